"""The linear system S c = u of a reconstruction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.reconstruct.patch_rows import PatchRows
from mpikit.reconstruct.selection import Rows
from mpikit.reconstruct.single import SingleFrames
from mpikit.reconstruct.streamed import FileRows

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LinearSystem:
    """Matrix and data after selection and correction.

    Parameters
    ----------
    matrix : shape (M, P), or FileRows, or PatchRows
        One column for each voxel, x fastest, then y, then z; in units of the calibration's delta sample. One
        that does not fit into memory stays in its file, which has to stay open.
    data : shape (M, Q)
        One column for each image.
    rows : Rows
    grid : mdf.Grid
    frames : shape (Q,)
        Place in acquisition of the first frame of each image, counted from 0; empty when all were averaged.
    weights : shape (M,) or None
        Row weights W; None: all 1.
    noise : shape (M,) or None
        Standard deviation of the data of one image on each row; None without background frames.
    dictionary : shape (M, d) or None
        Signals of the empty scanner that are estimated jointly.
    background : tuple of str
        Files whose background was subtracted.
    single : SingleFrames or None
        What the uncertainty of the images is made of, where it is asked for.
    patches : tuple of int
        Number of the calibration of each patch, whose rows follow each other; empty without patches.
    tracers : tuple of str
        Names of several tracers, whose columns follow each other; empty for one.
    denoised : str
        Name of the measurement if it was denoised, its empty frames too: they do not tell of the noise that
        is left. Empty for one as it was measured.
    """

    matrix: NDArray[np.complexfloating[Any]] | FileRows | PatchRows
    data: NDArray[np.complexfloating[Any]]
    rows: Rows
    grid: Grid
    frames: Ints
    weights: Floats | None = None
    noise: Floats | None = None
    dictionary: NDArray[np.complexfloating[Any]] | None = None
    background: tuple[str, ...] = ()
    single: SingleFrames | None = None
    patches: tuple[int, ...] = ()
    tracers: tuple[str, ...] = ()
    denoised: str = ""
