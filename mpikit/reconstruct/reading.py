"""Rows of a file: spectra of selected frames, channels and lines, in bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdf import File
from mpikit.errors import InputError
from mpikit.reconstruct.selection import Rows
from mpikit.reconstruct.signals import correct_leakage
from mpikit.reconstruct.transfer import inverse_transfer_function
from mpikit.scan_file import STORED_LINES

Ints = NDArray[np.int64]

MEMORY = 2**28  # bytes of spectra that are read at once


class Reader:
    """Reads a file as it goes into the linear system.

    Parameters
    ----------
    file : mdf.File
    leakage : bool
        Correct the spectral leakage between frames.
    divide, induction : bool
        Divide the transfer function and the induction factor out.

    Attributes
    ----------
    file : mdf.File
    lines : shape (stored K,)
        Place of each stored component on the full frequency axis.
    zeros : shape (C, K) or None
        Lines on which the transfer function that is divided out is zero.

    Raises
    ------
    InputError
        When leakage cannot be corrected, or a transfer function is no number anywhere.
    """

    def __init__(
        self, file: File, *, leakage: bool = False, divide: bool = False, induction: bool = False
    ) -> None:
        self.file = file
        self.lines: Ints = np.rint(file.frequencies * file.num_samples / file.sampling_rate).astype(np.int64)
        self._leakage = leakage and not file.value("/measurement/isSpectralLeakageCorrected")
        self._inverse: NDArray[np.complex128] | None = None
        self.zeros: NDArray[np.bool_] | None = None
        if self._leakage and not np.all(file.stored_lines):
            raise InputError(
                f"{file.path.name} stores only some frequencies, and leakage is corrected in the time domain",
                hint="leave out -p leakage=true",
            )
        if divide:
            self._take_transfer_function(induction)

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """Frequencies of all K lines, Hz."""
        samples = self.file.num_samples
        return np.arange(samples // 2 + 1) * self.file.sampling_rate / samples

    @property
    def stored(self) -> NDArray[np.bool_]:
        """Lines that were measured, shape (K,): our time data may come from a file that stored only some."""
        stored = self.file.stored_lines
        said = np.asarray(self.file.user_value(STORED_LINES))
        return stored & (said != 0) if said.shape == stored.shape else stored

    def rows(self, rows: Rows, frames: Ints, order: Any) -> NDArray[Any]:
        """Return the mean over the periods of the selected rows of some frames, shape (M, n).

        Parameters
        ----------
        rows : Rows
        frames : shape (n,)
            Places of the frames in the order that is given next.
        order : {"acquisition", "grid"}
        """
        if order == "grid" and self.file.num_periods == 1:
            return self._grid_rows(rows, frames)
        size = 8 * self.file.num_periods * self.file.num_channels * max(self.file.num_samples, 1)
        at_once = len(frames) if self._leakage else max(1, MEMORY // size)
        parts = []
        for start in range(0, len(frames), at_once):
            spectra = self._spectra(frames[start : start + at_once], order)
            parts.append(rows.pick(spectra, self.lines))
        return np.concatenate(parts, axis=1) if parts else np.zeros((len(rows), 0), np.complex64)

    def _grid_rows(self, rows: Rows, voxels: Ints) -> NDArray[Any]:
        """Read the selected rows of a calibration and no others, shape (M, n)."""
        places = rows.places(self.lines)
        index = np.stack([np.zeros(len(rows), np.int64), rows.channels, places], axis=1)
        calibration = self.file.system_matrix
        assert calibration is not None  # noqa: S101 - only a calibration has a grid
        values = calibration.rows(index, voxels, "grid")
        if self._inverse is None:
            return values
        return np.asarray(values * self._inverse[rows.channels, rows.lines][:, None], values.dtype)

    def _spectra(self, frames: Ints, order: Any) -> NDArray[Any]:
        """Mean over the periods, shape (n, C, stored K)."""
        if self._leakage:
            signal = self.file.read_signal(frames, order, "time")
            spectra = np.fft.rfft(correct_leakage(signal, frame_index=frames), axis=-1)
            mean = spectra.mean(axis=1).astype(np.complex64)
        else:
            mean = self.file.read_signal(frames, order, "frequency").mean(axis=1)
        if self._inverse is None:
            return np.asarray(mean)
        return np.asarray(mean * self._inverse[:, self.lines], mean.dtype)

    def _take_transfer_function(self, induction: bool) -> None:
        receiver = self.file.acquisition.receiver
        function = np.asarray(receiver.transfer_function)
        lines = self.file.num_samples // 2 + 1
        if function.shape != (self.file.num_channels, lines):
            raise InputError(
                f"{self.file.path.name}: the transfer function has the shape {function.shape}, expected "
                f"{(self.file.num_channels, lines)}",
                hint="leave it in, with -p transfer-function=none",
            )
        self._inverse, usable = inverse_transfer_function(
            function, receiver.induction_factor if induction else None
        )
        self.zeros = ~usable
