"""The receive chain: divided out of measurement and system matrix alike, or of neither."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError
from mpikit.events import Event, Finding, Warned

Array = NDArray[Any]
Bools = NDArray[np.bool_]
Complex = NDArray[np.complex128]
Floats = NDArray[np.float64]
Transfer = Literal["auto", "divide", "none"]

_ZERO = 1e-9  # of the largest magnitude of a transfer function: a notch that rounding keeps from being 0
_OTHER_FILES = "use files of the same state, or --allow-mismatch to go on"


@dataclass(frozen=True)
class ReceiveChain:
    """What a file says of its receive chain.

    Parameters
    ----------
    corrected : bool
        The transfer function is divided out already.
    function : shape (C, K) or None
        Stored spectrum over that at the coil.
    induction : shape (C,) or None
        Coil voltage over magnetic moment.
    """

    corrected: bool
    function: Array | None = None
    induction: Floats | None = None

    @property
    def words(self) -> str:
        """The state in words."""
        if self.corrected:
            return "is corrected for it already"
        return "has none" if self.function is None else "has one that is not divided out"


@dataclass(frozen=True)
class TransferPlan:
    """From which files the transfer function is divided out, and whether the induction factor is as well."""

    divide: frozenset[str]
    induction: bool


def plan_transfer_function(
    files: Mapping[str, ReceiveChain],
    wanted: Transfer,
    *,
    allow_mismatch: bool = False,
    tell: Callable[[Event], None],
) -> TransferPlan:
    """Decide from which files the transfer function is divided out: in the end from all, or from none.

    The induction factor is divided out where the transfer function is, and only if every file has one and
    none was corrected before: whether an earlier correction had it in is not on record.

    Parameters
    ----------
    files : mapping
        Receive chain of each file by the name that messages use.
    wanted : {"auto", "divide", "none"}
        "auto" divides when all files end up alike by that, else does nothing.
    allow_mismatch : bool
        Go on with a warning although the files are not alike.
    tell : callable

    Raises
    ------
    InputError
        When the files cannot be treated alike.
    """
    corrected = {name for name, chain in files.items() if chain.corrected}
    lacking = [name for name, chain in files.items() if not chain.corrected and chain.function is None]
    state = ", ".join(f"{name} {chain.words}" for name, chain in files.items())
    if wanted == "divide" and lacking:
        raise InputError(
            f"{lacking[0]} has no transfer function, expected one to divide by",
            hint="leave the transfer functions in (none)",
        )
    divide = frozenset() if wanted == "none" or lacking else frozenset(files) - corrected
    if corrected and not divide and len(corrected) < len(files):
        hint = _OTHER_FILES if lacking else "divide it out of the others too (auto)"
        _refuse(f"the files differ in their transfer function: {state}", allow_mismatch, tell, hint)
    if corrected and divide and any(_has_factor(chain) for chain in files.values()):
        text = f"whether an earlier correction divided the induction factor out is unknown: {state}"
        _refuse(text, allow_mismatch, tell, _OTHER_FILES)
    if lacking and len(lacking) < len(files) and not corrected:
        tell(Warned(f"transfer functions kept: {state}"))
    induction = len(divide) == len(files) and all(chain.induction is not None for chain in files.values())
    factor = " and the induction factor" if induction else ""
    where = ", ".join(sorted(divide)) or "no file"
    if not divide and all(chain.function is None and not chain.corrected for chain in files.values()):
        return TransferPlan(divide, induction)  # nobody misses what no file has
    tell(Finding("transfer function", sorted(divide), f"transfer function{factor} divided out of {where}"))
    return TransferPlan(divide, induction)


def _has_factor(chain: ReceiveChain) -> bool:
    return chain.induction is not None and bool(np.any(chain.induction != 1))


def _refuse(text: str, allowed: bool, tell: Callable[[Event], None], hint: str) -> None:
    if not allowed:
        raise InputError(f"{text}; expected the same for all", hint=hint)
    tell(Warned(text))


def inverse_transfer_function(function: Array, induction: Floats | None = None) -> tuple[Complex, Bools]:
    """Return what spectra are multiplied with to divide out the receive chain.

    Parameters
    ----------
    function : shape (C, K)
        On the lines of the spectra.
    induction : shape (C,), optional
        It is divided out as well. The factor 2 pi i k of the standard's relation is not: it is the same for
        data and system matrix.

    Returns
    -------
    inverse : shape (C, K)
        0 where the function is zero (below 1e-9 of its largest magnitude in the channel) or no finite number.
    usable : shape (C, K)
        False on these lines, whose rows say nothing.

    Raises
    ------
    InputError
        When an induction factor is 0 or no finite number.
    """
    function = np.asarray(function, np.complex128)
    size = np.where(np.isfinite(function), np.abs(function), 0.0)
    usable = size > _ZERO * size.max(axis=1, initial=0.0, keepdims=True)
    inverse = np.zeros(function.shape, np.complex128)
    np.divide(1.0, function, out=inverse, where=usable)
    if induction is not None:
        if not np.all(np.isfinite(induction) & (induction != 0)):
            raise InputError(
                f"the induction factors are {np.asarray(induction).tolist()}, expected numbers other than 0"
            )
        inverse /= np.asarray(induction, np.float64)[:, None]
    return inverse, usable


def group_transfer_function(function: Array, *, samples: int, count: int) -> Complex:
    """Interpolate a transfer function to the lines of grouped periods.

    Linear in the complex values, constant beyond the ends.

    Parameters
    ----------
    function : shape (C, K), K = samples // 2 + 1
    samples : int
        V of one period before grouping.
    count : int
        Periods that are grouped, 1 or more.

    Returns
    -------
    shape (C, count * samples // 2 + 1)
    """
    known = np.arange(function.shape[1])
    wanted = np.arange(count * samples // 2 + 1) / count
    return np.array([np.interp(wanted, known, row) for row in function.astype(np.complex128)])
