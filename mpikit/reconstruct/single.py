"""What single frames tell of the noise of images that are made of their means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.reconstruct.empty import Empty

Complex = NDArray[np.complexfloating[Any]]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SingleFrames:
    """Frames before they are averaged, and the noise of one.

    Where a frame makes several columns of data, a frame here is one of these.

    Parameters
    ----------
    data : shape (M, N)
        One column for each frame, without the background that was subtracted.
    averages : int
        Consecutive frames in the mean of an image; the last image may have fewer.
    noise : shape (M,) or None
        Standard deviation of one frame on each row, without that of the subtracted background; None without
        background frames that tell.
    shared : float
        Power of the noise of the subtracted background over that of one frame; the same error is in all
        frames of an image. 0 when nothing was subtracted.
    """

    data: Complex
    averages: int
    noise: Floats | None
    shared: float

    @property
    def groups(self) -> list[slice]:
        """Frames of each image."""
        count = self.data.shape[1]
        return [slice(start, min(start + self.averages, count)) for start in range(0, count, self.averages)]

    @property
    def shared_noise(self) -> Floats | None:
        """Noise of the subtracted background, which all frames share, shape (M,); None: none, or unknown."""
        return None if self.noise is None or not self.shared else self.noise * self.shared**0.5

    def noise_of(self, frames: int) -> Floats | None:
        """Return the noise of a mean of some frames, that of the subtracted background in it, shape (M,)."""
        if self.noise is None:
            return None
        return np.asarray(self.noise * (1 / frames + self.shared) ** 0.5)


def single_frames(
    data: Complex,
    averages: int,
    nothing: Empty,
    *,
    shared: float | None,
    interpolated: bool = False,
) -> SingleFrames:
    """Put frames (M, N) and what is known of their noise together.

    Parameters
    ----------
    data : shape (M, N)
    averages : int
    nothing : Empty
    shared : float or None
        See `mpikit.reconstruct.empty.Empty.shared_noise`; None when no background was subtracted.
    interpolated : bool
        It was interpolated.
    """
    subtracted = shared is not None
    noise = nothing.deviation(averages=1, subtracted=subtracted, interpolated=interpolated, shared=0.0)
    return SingleFrames(data, averages, noise, shared or 0.0)
