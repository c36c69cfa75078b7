"""What the empty scanner receives, on the rows of a linear system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import UsageError
from mpikit.reconstruct.choosing import background_noise
from mpikit.reconstruct.reading import Reader
from mpikit.reconstruct.selection import Rows
from mpikit.signal.background import interpolation_weights

Ints = NDArray[np.int64]
Complex = NDArray[np.complexfloating[Any]]


@dataclass(frozen=True)
class Empty:
    """Frames of the empty scanner.

    Parameters
    ----------
    spectra : shape (M, E)
    index : shape (E,)
        Place in the order of acquisition, beside the frames of the object.
    drifts : bool
        They come from two empty measurements, before and after: the drift between them is linear.
    """

    spectra: Complex
    index: Ints
    drifts: bool = False

    def at(self, frames: Ints, *, interpolated: bool) -> Complex:
        """Return the background at some places in the order of acquisition.

        Parameters
        ----------
        frames : shape (n,)
        interpolated : bool
            Between the means of consecutive empty frames; otherwise it is the mean of all.

        Returns
        -------
        shape (M, n), or (M, 1) when it is the same for all
        """
        if not (interpolated or self.drifts):
            return np.asarray(self.spectra.mean(axis=1, keepdims=True))
        return self.spectra @ interpolation_weights(self.index, frames).T

    def deviation(self, *, averages: int, subtracted: bool) -> NDArray[np.float64] | None:
        """Return the noise of a mean of so many frames on each row, shape (M,).

        With the noise of the subtracted background in it, if there is one; None with too few empty frames.
        """
        if self.spectra.shape[1] < 2:
            return None
        noise = background_noise(self.spectra, averages=averages, subtracted=subtracted)
        return noise if np.any(noise > 0) else None  # of frames that are copies of one


def empty_rows(of_object: Reader, external: Sequence[Reader], rows: Rows) -> Empty:
    """Read the empty frames: those of the file itself, or of empty measurements.

    Of an empty measurement the frames that are marked as background count, or all if none is. Two of them
    come before the first and after the last frame of the object.

    Parameters
    ----------
    of_object : Reader
    external : sequence of Reader
        None, one or two.
    rows : Rows

    Raises
    ------
    UsageError
        With more than two.
    """
    file = of_object.file
    if not external:
        index = np.flatnonzero(file.is_background)
        return Empty(of_object.rows(rows, index, "acquisition"), index)
    if len(external) > 2:
        raise UsageError(
            f"{len(external)} empty measurements, expected one, or two for before and after",
            hint="leave some --background-file out",
        )
    spectra = [reader.rows(rows, _empty_frames(reader), "acquisition") for reader in external]
    counts = [part.shape[1] for part in spectra]
    before = -np.arange(counts[0], 0, -1)
    after = file.num_frames + np.arange(counts[-1])
    index = before if len(external) == 1 else np.concatenate([before, after])
    return Empty(np.concatenate(spectra, axis=1), index, drifts=len(external) == 2)


def _empty_frames(reader: Reader) -> Ints:
    marked = np.flatnonzero(reader.file.is_background)
    return marked if len(marked) else np.arange(reader.file.num_frames)


def dictionary(spectra: Complex, size: int) -> Complex:
    """Return the strongest signals of the empty scanner, to be estimated with the image.

    The left singular vectors of all empty frames, each scaled by the root of its singular value over the
    largest (Knopp, Gdaniec, Rehr et al., Correction of linear system drifts in magnetic particle imaging).

    Parameters
    ----------
    spectra : shape (M, E)
    size : int
        At most so many.

    Returns
    -------
    shape (M, d)
    """
    left, values, _ = np.linalg.svd(spectra, full_matrices=False)
    kept = min(size, int(np.count_nonzero(values > 1e-7 * values[0])))
    return np.asarray(left[:, :kept] * np.sqrt(values[:kept] / values[0]))
