"""Rows of a file: spectra of selected frames, channels and lines, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdf import File
from mpikit.errors import InputError, UsageError
from mpikit.events import Event, Finding, Warned
from mpikit.reconstruct.selection import Rows
from mpikit.reconstruct.signals import Preparation, prepare
from mpikit.reconstruct.transfer import group_transfer_function, inverse_transfer_function
from mpikit.scan_file import EMPTY_LINES, STORED_LINES

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MEMORY = 2**28  # bytes of spectra that are read at once


class Reader:
    """Reads a file as it goes into the linear system.

    Parameters
    ----------
    file : mdf.File
    leakage : bool
        Correct the spectral leakage between periods, or between frames of one period. Neighbours are those in
        the order of acquisition, of the same kind: see `mpikit.reconstruct.signals.correct_leakage`, also
        for what it does to the noise.
    divide, induction : bool
        Divide the transfer function and the induction factor out.
    grouping : int
        Consecutive periods of a frame that are joined to a longer one.
    averages : int or None
        Longer periods of a frame in one column; None: all of them, so that a frame is a column.

    Attributes
    ----------
    file : mdf.File
    blocks : int
        Columns that a frame makes, B.
    lines : shape (stored K,)
        Place of each stored component on the full frequency axis.
    zeros : shape (C, K) or None
        Lines on which the transfer function that is divided out is zero.

    Raises
    ------
    UsageError
        When the periods of a frame cannot be taken so many at a time.
    InputError
        When leakage cannot be corrected or periods cannot be grouped, or a transfer function is no number
        anywhere.
    """

    def __init__(
        self,
        file: File,
        *,
        leakage: bool = False,
        divide: bool = False,
        induction: bool = False,
        grouping: int = 1,
        averages: int | None = None,
    ) -> None:
        self.file = file
        leakage = leakage and not file.value("/measurement/isSpectralLeakageCorrected")
        self._preparation = Preparation(grouping, leakage, averages)
        self.blocks = self._columns_of_a_frame()
        self._check_time()
        self.lines: Ints = np.rint(file.frequencies * file.num_samples / file.sampling_rate).astype(np.int64)
        if grouping > 1:
            self.lines = np.arange(len(self.frequencies))
        self._inverse: NDArray[np.complex128] | None = None
        self.zeros: Bools | None = None
        if divide:
            self._take_transfer_function(induction)

    @property
    def grouping(self) -> int:
        """Periods that are joined to a longer one."""
        return self._preparation.grouping

    @property
    def leakage(self) -> bool:
        """The spectral leakage is corrected as the file is read."""
        return self._preparation.leakage

    @property
    def samples(self) -> int:
        """Samples V of a period, after grouping."""
        return self.file.num_samples * self.grouping

    @property
    def frequencies(self) -> Floats:
        """Frequencies of all K lines, Hz."""
        return np.arange(self.samples // 2 + 1) * self.file.sampling_rate / self.samples

    @property
    def stored(self) -> Bools:
        """Lines that were measured, shape (K,): our time data may come from a file that stored only some."""
        return self._stored if self.grouping == 1 else np.ones(len(self.frequencies), bool)

    @property
    def emptied(self) -> Bools | None:
        """Lines that a denoiser emptied, shape (C, K): they say nothing of the object, zero least of all.

        None: it does not say. A line of grouped periods lies between two lines of one period, and counts as
        emptied when either is.
        """
        said = np.asarray(self.file.user_value(EMPTY_LINES))
        if said.ndim != 2 or said.shape[1] != self.file.num_samples // 2 + 1:
            return None
        place = np.arange(len(self.frequencies)) / self.grouping
        last = said.shape[1] - 1
        below, above = np.floor(place).astype(int), np.ceil(place).astype(int)
        found: Bools = (said[:, below] != 0) | (said[:, np.minimum(above, last)] != 0)
        return found

    def times(self, frames: Ints) -> Floats:
        """Return when the columns of some frames were measured, shape (n B,).

        Parameters
        ----------
        frames : shape (n,)
            Places in the order of acquisition.

        Returns
        -------
        shape (n B,)
            In frames; a whole number is the middle of a frame.
        """
        within = (np.arange(self.blocks) + 0.5) / self.blocks - 0.5
        return np.asarray(frames[:, None] + within).ravel()

    def rows(self, rows: Rows, frames: Ints, order: Any) -> NDArray[Any]:
        """Return the selected rows of some frames, shape (M, n B), the columns of a frame side by side.

        Parameters
        ----------
        rows : Rows
        frames : shape (n,)
            Places of the frames in the order that is given next.
        order : {"acquisition", "grid"}
        """
        if order == "grid" and self.file.num_periods == 1:
            return self._grid_rows(rows, frames)
        parts = []
        at_once = self._at_once()
        for start in range(0, len(frames), at_once):
            spectra = self._spectra(frames[start : start + at_once], order)
            parts.append(rows.pick(spectra.reshape(-1, *spectra.shape[2:]), self.lines))
        return np.concatenate(parts, axis=1) if parts else np.zeros((len(rows), 0), np.complex64)

    def spectra(self, frames: Ints) -> NDArray[Any]:
        """Return all lines of some frames, shape (n, B, C, stored K), the receive chain still in them.

        Parameters
        ----------
        frames : shape (n,)
            Places in the order of acquisition.
        """
        return self._prepared(frames, "acquisition")

    def _at_once(self) -> int:
        size = 8 * self.file.num_periods * self.file.num_channels * max(self.file.num_samples, 1)
        return max(1, MEMORY // size)

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
        """Spectra without the receive chain, shape (n, B, C, stored K)."""
        spectra = self._prepared(frames, order)
        if self._inverse is None:
            return spectra
        return np.asarray(spectra * self._inverse[:, self.lines], spectra.dtype)

    def _prepared(self, frames: Ints, order: Any) -> NDArray[Any]:
        how = self._preparation
        if not how.needs_time:
            return prepare(self.file.read_signal(frames, order, "frequency"), how)
        if not how.leakage or self.file.num_periods > how.grouping:
            return prepare(self.file.read_signal(frames, order, "time"), how)
        around = self._with_neighbours(frames)
        spectra = prepare(self.file.read_signal(around, order, "time"), how, frame_index=around)
        return np.asarray(spectra[np.searchsorted(around, frames)])

    def _with_neighbours(self, frames: Ints) -> Ints:
        """Add the frames that were acquired before and after some, if they are of the same kind."""
        empty = self.file.is_background
        beside = [frames + step for step in (-1, 1)]
        known = [(each >= 0) & (each < len(empty)) for each in beside]
        same = [
            each[there][empty[each[there]] == empty[frames[there]]]
            for each, there in zip(beside, known, strict=True)
        ]
        return np.unique(np.concatenate([frames, *same]))

    @property
    def _stored(self) -> Bools:
        """Lines of one period that were measured."""
        stored = self.file.stored_lines
        said = np.asarray(self.file.user_value(STORED_LINES))
        return stored & (said != 0) if said.shape == stored.shape else stored

    def _columns_of_a_frame(self) -> int:
        how, periods = self._preparation, self.file.num_periods
        each = how.grouping * (how.averages or 1)
        if periods % each:
            joined = f" of {how.grouping} grouped ones" if how.grouping > 1 else ""
            raise UsageError(
                f"{self.file.path.name} has {periods} periods in a frame, which cannot be taken "
                f"{how.averages or how.grouping} at a time{joined if how.averages else ''}",
                hint="period_grouping times period_averages has to divide the periods of a frame",
            )
        return periods // each if how.averages else 1

    def _check_time(self) -> None:
        """Refuse what is done in the time domain to a file without all its frequencies."""
        how, name = self._preparation, self.file.path.name
        if how.leakage and not np.all(self.file.stored_lines):
            raise InputError(
                f"{name} stores only some frequencies, and leakage is corrected in the time domain",
                hint="leave out -p leakage=true",
            )
        if how.grouping > 1 and not np.all(self._stored):
            raise InputError(
                f"{name} has only some frequencies, and periods are grouped in the time domain",
                hint="leave out -p period_grouping=...",
            )

    def _take_transfer_function(self, induction: bool) -> None:
        receiver = self.file.acquisition.receiver
        function = np.asarray(receiver.transfer_function)
        samples = self.file.num_samples
        if function.shape != (self.file.num_channels, samples // 2 + 1):
            raise InputError(
                f"{self.file.path.name}: the transfer function has the shape {function.shape}, expected "
                f"{(self.file.num_channels, samples // 2 + 1)}",
                hint="leave it in, with -p transfer-function=none",
            )
        if self.grouping > 1:
            function = group_transfer_function(function, samples=samples, count=self.grouping)
        self._inverse, usable = inverse_transfer_function(
            function, receiver.induction_factor if induction else None
        )
        self.zeros = ~usable


def tell_leakage(readers: Mapping[str, Reader], tell: Callable[[Event], None]) -> None:
    """Say from which files spectral leakage is corrected, and what that does; warn if they are not alike.

    Parameters
    ----------
    readers : mapping
        Of the measurement and the empty measurements, by the names that messages use.
    tell : callable
    """
    done = [
        name
        for name, reader in readers.items()
        if reader.file.value("/measurement/isSpectralLeakageCorrected")
    ]
    now = [name for name, reader in readers.items() if reader.leakage]
    if now:
        text = (
            f"spectral leakage corrected in {', '.join(now)}: each period is mixed with its neighbours, so "
            "that their noise is lower but correlated, and the noise of means larger than it seems"
        )
        tell(Finding("leakage", now, text))
    other = [name for name in readers if name not in done and name not in now]
    if done and other:
        text = f"spectral leakage is corrected already in {', '.join(done)}, but not in {', '.join(other)}"
        tell(Warned(text))


def tell_periods(readers: Mapping[str, Reader], tell: Callable[[Event], None]) -> None:
    """Say what becomes of the periods, if it is not that all of a frame are averaged.

    Parameters
    ----------
    readers : mapping
        By the names that messages use; that of the measurement is the first.
    tell : callable
    """
    grouped = [name for name, reader in readers.items() if reader.grouping > 1]
    of_object = next(iter(readers.values()))
    if grouped:
        text = f"every {of_object.grouping} periods are joined to one of {of_object.samples} samples"
        tell(Finding("grouping", of_object.grouping, f"{text}, in {', '.join(grouped)}"))
    if of_object.blocks > 1:
        text = f"each frame makes {of_object.blocks} images, of its periods one after the other"
        tell(Finding("periods", of_object.blocks, text))
