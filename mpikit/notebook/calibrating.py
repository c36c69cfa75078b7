"""Simulate a calibration for a notebook."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mdf
from mpikit.errors import UsageError
from mpikit.notebook.running import Listener
from mpikit.simulate.calibration_files import simulate_calibration_file
from mpikit.simulate.files import How
from mpikit.simulate.presets import Preset

_GRID = ("size", "field_of_view")


def simulated_calibration(
    scanner: Preset, given: Mapping[str, Any], *, noise: Sequence[str] | None, seed: int, tell: Listener
) -> mdf.File:
    """Return the open system matrix of a scanner; its temporary file is removed when nobody holds it.

    Parameters
    ----------
    scanner : Preset
    given : mapping
        ``size`` and ``field_of_view`` of the grid, if they are not those of the preset.
    noise : sequence of str or None
        As of `mpikit.simulate.simulate_calibration_file`.
    seed : int
    tell : callable

    Raises
    ------
    UsageError
        When something else is given, or the grid is impossible.
    """
    strange = [name for name in given if name not in _GRID]
    if strange:
        raise UsageError(
            f"a calibration has no {strange[0]!r}, expected {' and '.join(_GRID)}",
            hint="for instance size=(19, 19), field_of_view=(0.038, 0.038)",
        )
    grid = scanner.calibration.grid(*(given.get(name, ()) for name in _GRID))
    folder = Path(tempfile.mkdtemp(prefix="mpikit-"))
    try:
        path = folder / "systemmatrix.mdf"
        simulate_calibration_file(scanner, path, grid=grid, noise=noise, how=How(seed=seed, tell=tell))
        file = mdf.open(path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(file, shutil.rmtree, folder, ignore_errors=True)
    return file
