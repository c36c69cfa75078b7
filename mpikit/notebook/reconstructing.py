"""Reconstruct a scan in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import mdf
from mpikit.notebook.loading import path_of
from mpikit.notebook.running import Listener, warn
from mpikit.reconstruct.files import reconstruct_file
from mpikit.reconstruct.image import Images
from mpikit.reconstruct.stored import about_images
from mpikit.scan import Scan


@dataclass(frozen=True, repr=False)
class ReconstructedImages(Images):
    """Images of a reconstruction, and what came out beside them.

    Parameters
    ----------
    figures : dict
        Figures of the run: with a system matrix ``rows`` and ``lambda`` (relative and absolute).
    deviation : Images or None
        Standard deviation of the images, if ``uncertainty`` was asked for.
    """

    figures: dict[str, Any] = field(kw_only=True)
    deviation: Images | None = field(default=None, kw_only=True)


def reconstruct(
    scan: Scan | str | Path,
    system_matrix: str | Path | mdf.File | Sequence[str | Path | mdf.File] | None = None,
    *,
    method: str = "kaczmarz",
    background_files: Sequence[str | Path] = (),
    average_frames: bool = False,
    allow_mismatch: bool = False,
    tell: Listener | None = None,
    **options: Any,
) -> ReconstructedImages:
    """Reconstruct the images of a measurement, as ``mpikit reconstruct`` does with a file.

    Parameters
    ----------
    scan : Scan, str or Path
        A measurement, denoised or not, or its MDF file. A scan is reconstructed from a temporary file.
    system_matrix : str, Path or mdf.File, or a sequence of them
        Calibration file, or a folder of them; several are those of several tracers, or of patches. All
        methods but ``"x-space"`` and ``"fbp"`` need one.
    method : {"kaczmarz", "cgls", "fista", "admm", "tikhonov", "x-space", "fbp"}
    background_files : sequence of str or Path
        One empty measurement, or two (before and after), instead of the background frames of the scan.
    average_frames : bool
        Make one image of the mean of all foreground frames, instead of one image for each.
    allow_mismatch : bool
        Go on with a system matrix that does not match, with a warning.
    tell : callable or None
        As in `denoise`.
    **options
        Options of the method by name, as ``iterations`` and ``lambda_``: see `mpikit.reconstruct.options`.

    Returns
    -------
    ReconstructedImages
        `Images` in memory: shape (Q, z, y, x), grid in m, and the ways out to files.

    Raises
    ------
    UsageError
        When an option is wrong, or the choices do not fit each other.
    InputError
        When the files do not belong together.
    NumericalError
        When the numbers go bad.
    mdf.MdfError
        When a file is no MDF file, or a damaged one.

    Examples
    --------
    >>> import mpikit
    >>> images = mpikit.reconstruct("scan.mdf", "sm.mdf", iterations=5, lambda_=0.1)  # doctest: +SKIP
    """
    with tempfile.TemporaryDirectory(prefix="mpikit-") as folder:
        source = _as_file(scan, Path(folder))
        made = reconstruct_file(
            source,
            system_matrix=_matrices(system_matrix),
            background_files=[Path(path) for path in background_files],
            output=Path(folder) / "images.npz",  # it keeps history and frame interval
            pictures=False,  # nobody would see them
            method=method,
            average_frames=average_frames,
            allow_mismatch=allow_mismatch,
            tell=tell or warn,
            **options,
        )
        with np.load(made.output, allow_pickle=False) as arrays:
            history, interval = str(arrays["history"]), float(arrays["frame_interval"])
        with mdf.open(source) as file:
            about = about_images(file)
    images = made.images
    return ReconstructedImages(
        images.values,
        images.grid,
        images.frames,
        images.unit,
        images.concentration,
        images.tracers,
        history,
        None if np.isnan(interval) else interval,
        about,
        figures=made.figures,
        deviation=made.deviation,
    )


def _as_file(scan: Scan | str | Path, folder: Path) -> Path:
    """Return the file of a scan; one in memory is written into a folder, under its name."""
    if not isinstance(scan, Scan):
        return path_of(scan)
    return scan.to_mdf(folder / f"{Path(scan.name).stem or 'scan'}.mdf")


def _matrices(
    given: str | Path | mdf.File | Sequence[str | Path | mdf.File] | None,
) -> Path | list[Path] | None:
    if given is None:
        return None
    if isinstance(given, list | tuple):
        return [path_of(each) for each in given]
    return path_of(given)
