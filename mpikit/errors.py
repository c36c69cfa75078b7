"""Errors that a user can do something about, one class for each cause."""

from __future__ import annotations

from typing import ClassVar


class MpikitError(Exception):
    """Something the user can do something about (abstract: every subclass has its exit code).

    Parameters
    ----------
    message : str
        What is wrong with which thing, and what was expected; lower case, no full stop.
    hint : str
        What to do about it, or an empty string.
    """

    exit_code: ClassVar[int]

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(MpikitError):
    """The command line, or the options of a method, are wrong."""

    exit_code = 2


class InputError(MpikitError):
    """An input file is missing, is no MDF file, or lacks what is needed."""

    exit_code = 3


class PluginError(MpikitError):
    """There is no such method, or its plugin failed."""

    exit_code = 4


class NumericalError(MpikitError):
    """The numbers went bad: NaN, infinity or divergence."""

    exit_code = 5
