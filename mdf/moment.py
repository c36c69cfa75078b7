"""The time, and identities: of this moment, or with ``SOURCE_DATE_EPOCH`` the same in every run."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID, uuid4

from mdf.errors import MdfError

EPOCH = "SOURCE_DATE_EPOCH"


def is_fixed() -> bool:
    """Say whether ``SOURCE_DATE_EPOCH`` is set, so that the same work gives the same bytes."""
    return bool(os.environ.get(EPOCH))


def now() -> datetime:
    """Return the time in UTC: that of ``SOURCE_DATE_EPOCH`` (seconds since 1970) where it is set.

    Raises
    ------
    MdfError
        When the variable holds no such number.

    Notes
    -----
    https://reproducible-builds.org/specs/source-date-epoch/
    """
    if not is_fixed():
        return datetime.now(UTC)
    try:
        return datetime.fromtimestamp(int(os.environ[EPOCH]), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise MdfError(
            f"{EPOCH} is {os.environ[EPOCH]!r}, expected seconds since 1970",
            hint=f"unset {EPOCH}, or set it to a number",
        ) from error


def new_uuid(*content: str) -> str:
    """Return a new identity: random, or with ``SOURCE_DATE_EPOCH`` made of the time and the content.

    Parameters
    ----------
    *content : str
        What tells this thing from others of its kind.
    """
    if not is_fixed():
        return str(uuid4())
    digest = sha256("\n".join([now().isoformat(), *content]).encode()).digest()
    return str(UUID(bytes=digest[:16], version=4))
