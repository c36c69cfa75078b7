"""The one exception of the package."""

from __future__ import annotations


class MdfError(Exception):
    """A file that is no MDF file, or content that MDF does not allow.

    Parameters
    ----------
    message : str
        What is wrong with which thing, and what was expected; lower case, no full stop.
    hint : str
        What the user can do about it, or an empty string.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
