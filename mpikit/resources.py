"""What the machine has, and what it has run out of."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from mpikit.errors import InputError, NumericalError


def physical_memory() -> int | None:
    """Return the physical memory in bytes; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


# what libraries say, in place of a MemoryError, when the system gives them no more
_NO_MEMORY = (
    "can't start new thread",
    "can't allocate memory",
    "cannot allocate memory",
    "could not create a primitive",
    "failed to map segment",
    "not enough memory",
    "std::bad_alloc",
    "unable to allocate",
)
_NO_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_NO_HANDLES = {errno.EMFILE, errno.ENFILE}
_NEARLY = 32 << 20  # bytes below a limit on memory


@dataclass(frozen=True)
class Shortage:
    """What the machine lacks for the work, in words for a user."""

    text: str
    hint: str
    exit_code: int


def shortage(error: BaseException) -> Shortage | None:
    """Tell whether an error, of whatever library, means that the machine has run out of something.

    Parameters
    ----------
    error : BaseException

    Returns
    -------
    Shortage or None
        None when the error has another cause.
    """
    code = error.errno if isinstance(error, OSError) else None
    text = str(error)
    if code in _NO_ROOM or "No usable temporary directory" in text:
        where = getattr(error, "filename", None)
        place = f" for {where}" if where else ""
        hint = "make room, there and for temporary files"
        return Shortage(f"no room on the disk{place}: {text}", hint, InputError.exit_code)
    if code in _NO_HANDLES:
        hint = "ask for fewer workers, or raise the limit: ulimit -n"
        return Shortage(f"too many open files: {text}", hint, InputError.exit_code)
    said = any(words in text.lower() for words in _NO_MEMORY)
    if isinstance(error, MemoryError) or code == errno.ENOMEM or said or _is_near_its_limit():
        words = f"out of memory: {text}".rstrip(": ")
        hint = "ask for less at once: fewer frames, or a smaller grid"
        return Shortage(words, hint, NumericalError.exit_code)
    return None


def _is_near_its_limit() -> bool:
    """Whether this process has taken about as much memory as it may (``ulimit -v``)."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit == resource.RLIM_INFINITY:
            return False
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        peak = next(line for line in lines if line.startswith("VmPeak:"))
    except (ImportError, OSError, StopIteration):
        return False
    return limit - 1024 * int(peak.split()[1]) < _NEARLY
