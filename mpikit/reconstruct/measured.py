"""The data of a linear system: measured spectra without background, averaged to images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import UsageError
from mpikit.reconstruct.empty import Empty
from mpikit.reconstruct.reading import Reader
from mpikit.reconstruct.selection import Rows
from mpikit.reconstruct.signals import average_columns, columns_of_images
from mpikit.reconstruct.single import SingleFrames, single_frames

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Data:
    """Data and their noise.

    Parameters
    ----------
    values : shape (M, Q)
        One column for each image.
    frames : shape (Q,)
        Place in acquisition of the first frame of each.
    noise : shape (M,) or None
        Standard deviation of one column; None without background frames that tell.
    single : SingleFrames or None
        Before the average of frames.
    """

    values: NDArray[np.complexfloating[Any]]
    frames: Ints
    noise: Floats | None
    single: SingleFrames | None


def read_data(
    of_object: Reader,
    rows: Rows,
    nothing: Empty,
    *,
    averages: int,
    subtracted: bool,
    interpolated: bool,
    keep_single: bool,
) -> Data:
    """Read the foreground frames.

    Parameters
    ----------
    of_object : Reader
        Of the measurement.
    rows : Rows
    nothing : Empty
    averages : int
        Consecutive frames in an image; the last image may have fewer. If a frame makes several columns, an
        image has one column of each of its frames.
    subtracted : bool
        The background is subtracted.
    interpolated : bool
        It is interpolated at the time of each column.
    keep_single : bool
        Return the single frames too.

    Raises
    ------
    UsageError
        When single frames are asked for, and images before the last have fewer.
    """
    frames = of_object.file.frame_index("foreground")
    order, sizes = columns_of_images(len(frames), of_object.blocks, averages)
    values = of_object.rows(rows, frames, "acquisition")
    values = values if of_object.blocks == 1 else values[:, order]
    times = of_object.times(frames)[order]
    shared = None
    if subtracted:
        values -= nothing.at(times, interpolated=interpolated).astype(values.dtype)
        shared = nothing.shared_noise(times, sizes, interpolated=interpolated)
    noise = nothing.deviation(
        averages=averages, subtracted=subtracted, interpolated=interpolated, shared=shared
    )
    single = None
    if keep_single:
        _check_equal(sizes, averages)
        single = single_frames(values, averages, nothing, shared=shared, interpolated=interpolated)
    of_images = np.repeat(frames, of_object.blocks)[order][np.cumsum(sizes) - sizes]
    return Data(average_columns(values, sizes), of_images, noise, single)


def _check_equal(sizes: Ints, averages: int) -> None:
    """Refuse images of fewer frames before the last one, of whose noise nothing is known."""
    if np.any(sizes[:-1] != averages):
        raise UsageError(
            f"{averages} frames are averaged, and fewer for the last images: there is no uncertainty of them",
            hint="choose frame_averages that divides the number of frames",
        )
