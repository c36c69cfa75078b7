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
from mpikit.signal.background import consecutive, interpolation_weights

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Complex = NDArray[np.complexfloating[Any]]

_LEFT = 1e-6  # of the noise power of the frames: what interpolation leaves when it passes through all of them


@dataclass(frozen=True)
class Empty:
    """Signals of the empty scanner.

    Parameters
    ----------
    spectra : shape (M, E)
        Each is the mean of as many periods as one column of the data.
    index : shape (E,)
        When they were measured: in frames, in the order of acquisition, beside the frames of the object. A
        whole number is the middle of a frame.
    drifts : bool
        They come from two empty measurements, before and after: the drift between them is linear.
    """

    spectra: Complex
    index: NDArray[Any]
    drifts: bool = False

    def at(self, times: NDArray[Any], *, interpolated: bool) -> Complex:
        """Return the background at some times.

        Parameters
        ----------
        times : shape (n,)
            As `index`.
        interpolated : bool
            Between the means of consecutive empty frames; otherwise it is the mean of all.

        Returns
        -------
        shape (M, n), or (M, 1) when it is the same for all
        """
        if not (interpolated or self.drifts):
            return np.asarray(self.spectra.mean(axis=1, keepdims=True))
        return self.spectra @ interpolation_weights(self.index, times).T

    def shared_noise(self, times: NDArray[Any], sizes: Ints, *, interpolated: bool) -> float:
        """Return the noise power of the subtracted background over that of one of the spectra.

        Parameters
        ----------
        times : shape (n,)
            Of the columns of the data.
        sizes : shape (Q,)
            Consecutive columns in the mean of each image.
        interpolated : bool

        Returns
        -------
        float
            Mean over the images.
        """
        if not (interpolated or self.drifts):
            return 1.0 / len(self.index)
        weights = interpolation_weights(self.index, times)
        means = np.add.reduceat(weights, np.cumsum(sizes) - sizes) / sizes[:, None]
        return float(np.sum(means**2)) / len(sizes)

    def deviation(
        self, *, averages: int, subtracted: bool, interpolated: bool = False, shared: float | None = None
    ) -> Floats | None:
        """Return the noise of a mean of so many spectra on each row.

        Parameters
        ----------
        averages : int
        subtracted : bool
            With the noise of the subtracted background in it.
        interpolated : bool
            The background is interpolated: noise is what interpolation leaves, without slow drift. With two
            empty measurements it always is, if it is subtracted.
        shared : float, optional
            See `shared_noise`; that of the mean of all spectra if not given.

        Returns
        -------
        shape (M,), or None when too few spectra tell of the noise

        Notes
        -----
        The noise of spectra is taken as independent. A leakage correction correlates that of neighbours: the
        noise of single spectra is still right, that of means is then too small by up to a factor of 1.4.
        """
        if self.spectra.shape[1] < 2:
            return None
        noise = background_noise(self.spectra)
        if subtracted and (interpolated or self.drifts):
            left = self._left()
            if left is None:
                return None
            noise = left
        if subtracted and shared is None:
            shared = 1.0 / len(self.index)
        noise = noise * (1 / averages + (shared or 0.0 if subtracted else 0.0)) ** 0.5
        return noise if np.any(noise > 0) else None  # of frames that are copies of one

    def _left(self) -> Floats | None:
        """Noise of one spectrum, from what interpolation leaves of the empty frames."""
        count = len(self.index)
        rest = np.eye(count) - interpolation_weights(self.index, self.index)
        if np.sum(rest**2) < _LEFT * count:  # blocks of one: each is compared with those around it
            rest = _beside_others(self.index)
        power = float(np.sum(rest**2))
        if power < _LEFT * count:
            return None
        left = self.spectra @ rest.T
        return np.asarray(np.sqrt(np.vecdot(left, left).real / power), np.float64)


def _beside_others(index: NDArray[Any]) -> Floats:
    """Weights (e, E) of each inner block of empty frames less what its neighbours say of it."""
    blocks = consecutive(index)
    rows = np.zeros((max(len(blocks) - 2, 0), len(index)))
    for row, (before, itself, after) in zip(
        rows, zip(blocks, blocks[1:], blocks[2:], strict=False), strict=True
    ):
        others = np.concatenate([before, after])
        row[itself] = 1 / len(itself)
        row[others] = -interpolation_weights(index[others], index[itself].mean(keepdims=True))[0]
    return rows


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
        return Empty(of_object.rows(rows, index, "acquisition"), of_object.times(index))
    if len(external) > 2:
        raise UsageError(
            f"{len(external)} empty measurements, expected one, or two for before and after",
            hint="leave some --background-file out",
        )
    spectra, times = [], []
    for reader, is_after in zip(external, (False, True), strict=False):
        frames = _empty_frames(reader)
        place = np.arange(len(frames))
        spectra.append(reader.rows(rows, frames, "acquisition"))
        times.append(reader.times(file.num_frames + place if is_after else place - len(frames)))
    return Empty(np.concatenate(spectra, axis=1), np.concatenate(times), drifts=len(external) == 2)


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
