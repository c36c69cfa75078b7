"""Some periods of an open file, as if it had no others."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

import mdf
from mdf import spec
from mdf.groups import Group

Ints = NDArray[np.int64]


def of_periods(file: mdf.File, periods: Ints) -> mdf.File:
    """Return a file with some of its periods, in the order that is given.

    All that has a value for each period is that of these periods: the signal, the rows of a system matrix,
    focus fields, gradients, drive fields and signal-to-noise ratios. The original stays open and is read.

    Parameters
    ----------
    file : mdf.File
    periods : shape (J',)
        From 0.
    """
    if len(periods) == file.num_periods:
        return file
    return cast("mdf.File", _SomePeriods(file, periods))


def periods_in(file: mdf.File) -> Ints:
    """Return which periods of the file on the disk these are, shape (J,), from 0.

    Parameters
    ----------
    file : mdf.File
        Whole, or from `of_periods`.
    """
    return file._periods if isinstance(file, _SomePeriods) else np.arange(file.num_periods)


class _SomePeriods:
    """Stands for a file wherever it is read; all that has no periods is asked of the file."""

    def __init__(self, file: mdf.File, periods: Ints) -> None:
        self._file, self._periods = file, periods

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    @property
    def num_periods(self) -> int:
        return len(self._periods)

    @property
    def acquisition(self) -> Group:
        return Group(cast("mdf.File", self), "/acquisition")

    def group(self, path: str) -> Group | None:
        return Group(cast("mdf.File", self), path) if self._file.has_group(path) else None

    def value(self, path: str) -> Any:
        value, axes = self._file.value(path), spec.FIELDS[path].shape
        if path == spec.PERIODS:
            return len(self._periods)
        if value is None or "J" not in axes or path == spec.DATA:
            return value
        return np.take(value, self._periods, axis=axes.index("J"))

    def read_signal(self, *args: Any, periods: Any = None, **options: Any) -> NDArray[Any]:
        return self._file.read_signal(*args, periods=self._some(periods), **options)

    def blocks(self, *args: Any, periods: Any = None, **options: Any) -> Any:
        return self._file.blocks(*args, periods=self._some(periods), **options)

    def _some(self, periods: Any) -> Ints:
        return self._periods if periods is None else np.atleast_1d(self._periods[periods])

    @property
    def system_matrix(self) -> mdf.SystemMatrix | None:
        found = self._file.system_matrix
        return None if found is None else cast("mdf.SystemMatrix", _SomeRows(found, self._periods))


class _SomeRows:
    """The rows of some periods of a calibration."""

    def __init__(self, matrix: mdf.SystemMatrix, periods: Ints) -> None:
        self._matrix, self._periods = matrix, periods
        self.frequencies = matrix.frequencies

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (len(self._periods), *self._matrix.shape[1:])

    def rows(self, index: Ints, frames: Any = "foreground", order: Any = "grid") -> NDArray[Any]:
        whole = np.column_stack([self._periods[index[:, 0]], index[:, 1:]])
        return self._matrix.rows(whole, frames, order)
