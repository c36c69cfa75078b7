"""Simulate a scan in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

import mdf
from mpikit.errors import UsageError
from mpikit.notebook.calibrating import simulated_calibration
from mpikit.notebook.loading import of_scan
from mpikit.notebook.running import Listener, warn
from mpikit.options import did_you_mean
from mpikit.plugins import noise_files, parse_noise
from mpikit.provenance import HISTORY
from mpikit.scan import Scan
from mpikit.simulate.contents import SOURCES, dose, electronics, history, tracer, words
from mpikit.simulate.phantoms import Digits, Phantom
from mpikit.simulate.presets import Preset
from mpikit.simulate.presets import preset as find_preset
from mpikit.simulate.request import Recipe, Subject, recipe, requested
from mpikit.simulate.resources import check_memory
from mpikit.simulate.scans import Simulation, simulate_scan


@dataclass(frozen=True, repr=False)
class SimulatedScan(Scan):
    """A simulated scan with its truth, which is for evaluation only.

    Parameters
    ----------
    clean : shape (N, J, C, V), ``unit``
        The particle signal of the frames, without noise and feed-through.
    phantom : Phantom or Digits
        What was in the scanner: ``phantom.images`` in mol(Fe)/L, on ``phantom.grid``.
    """

    clean: NDArray[np.float32] = field(kw_only=True)
    phantom: Phantom | Digits = field(kw_only=True)


@overload
def simulate(
    preset: str | Preset,
    *,
    calibration: Literal[False] = False,
    noise: str | Sequence[str] | None = None,
    periods: int | None = None,
    background_frames: int | None = None,
    parameters: Sequence[str] = (),
    seed: int = 0,
    tell: Listener | None = None,
    **subject: Any,
) -> SimulatedScan: ...


@overload
def simulate(
    preset: str | Preset,
    *,
    calibration: Literal[True],
    noise: str | Sequence[str] | None = None,
    parameters: Sequence[str] = (),
    seed: int = 0,
    tell: Listener | None = None,
    **subject: Any,
) -> mdf.File: ...


def simulate(
    preset: str | Preset,
    *,
    calibration: bool = False,
    noise: str | Sequence[str] | None = None,
    periods: int | None = None,
    background_frames: int | None = None,
    parameters: Sequence[str] = (),
    seed: int = 0,
    tell: Listener | None = None,
    **subject: Any,
) -> SimulatedScan | mdf.File:
    """Simulate a measurement or a calibration, as ``mpikit simulate`` does for a file.

    Parameters
    ----------
    preset : str or Preset
        Scanner with its sequence, see `mpikit.simulate.preset_names`, or the path of a preset file.
    calibration : bool
        Make the system matrix of the scanner, on ``size`` voxels over ``field_of_view`` (m).
    noise : str, sequence of str, or None
        Noise to add, for instance ``"gaussian:snr_db=15"``; ``()`` is none. None takes that of the preset; of
        a calibration that of ``mpikit simulate --calibration``.
    periods, background_frames : int or None
        J and E of a scan; None for those of the preset.
    parameters : sequence of str
        Other values for the preset, as ``"particle.relaxation_time=2e-6"``.
    seed : int
        Of every random draw: a seed gives the scan of ``mpikit simulate --seed``.
    tell : callable or None
        As in `denoise`.
    **subject
        What is put into the scanner: ``phantom``, ``frames``, ``count``, ``concentration``, ``size``,
        ``field_of_view`` and the other parameters of `mpikit.simulate.Subject`.

    Returns
    -------
    SimulatedScan
        A `Scan` in V, with the ``clean`` signals and the ``phantom`` beside it.
    mdf.File
        Of a calibration: a system matrix for `mpikit.reconstruct`. Its temporary file is removed with it.

    Raises
    ------
    UsageError, InputError
        When there is no such preset, phantom or parameter, or the arguments make no scan with this preset.
    PluginError
        When there is no such noise.

    Examples
    --------
    >>> import mpikit
    >>> scan = mpikit.simulate("openmpi-2d", frames=2, size=(7, 5), noise="gaussian:snr_db=15")
    >>> scan.signal.shape
    (2, 1, 2, 1632)
    """
    scanner = find_preset(preset, parameters) if isinstance(preset, str) else preset
    if calibration:
        of_scan_alone = {"periods": periods, "background_frames": background_frames}
        given = subject | {name: value for name, value in of_scan_alone.items() if value is not None}
        _check_parameters(preset, parameters)
        wanted = (noise,) if isinstance(noise, str) else noise
        return simulated_calibration(scanner, given, noise=wanted, seed=seed, tell=tell or warn)
    _check(scanner, preset, parameters, subject)
    put = Subject(**subject)
    specs = scanner.noise if noise is None else (noise,) if isinstance(noise, str) else tuple(noise)
    try:
        phantom, frames = requested(scanner, put, seed=seed)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"the arguments make no scan: {error}", hint="help(mpikit.notebook.simulate) says what each is"
        ) from error
    counts: dict[str, Any] = {
        "frames": frames,
        "periods": scanner.periods if periods is None else periods,
        "background_frames": scanner.background_frames if background_frames is None else background_frames,
        "noise": [parse_noise(spec) for spec in specs],
        "tell": tell or warn,
    }
    plan = Simulation(scanner, phantom, rng=np.random.default_rng(seed), **counts)
    shape = plan.header().signal.shape
    check_memory(8.0 * float(np.prod(shape, dtype=float)) * (1 + plan.background_frames / frames), "the scan")
    scan, clean = simulate_scan(scanner, phantom, rng=np.random.default_rng(seed), **counts)
    about = _about(plan, specs, seed, recipe(scanner, put))
    return SimulatedScan(
        **(of_scan(scan) | {"about": about}), clean=np.broadcast_to(clean, shape), phantom=phantom
    )


def _check(scanner: Preset, preset: str | Preset, parameters: Sequence[str], subject: dict[str, Any]) -> None:
    if scanner.parts:
        raise UsageError(
            f"{scanner.name} makes several files", hint=f"mpikit simulate {scanner.name} -o FOLDER"
        )
    _check_parameters(preset, parameters)
    known = list(Subject.__dataclass_fields__)
    strange = [name for name in subject if name not in known]
    if strange:
        raise UsageError(
            f"nothing to simulate is called {strange[0]!r}, expected one of {', '.join(known)}",
            hint="say size=(19, 19)" if strange[0] == "grid" else did_you_mean(strange[0], known),
        )


def _check_parameters(preset: str | Preset, parameters: Sequence[str]) -> None:
    if parameters and not isinstance(preset, str):
        raise UsageError("parameters change a preset by name, this one is made", hint="leave parameters out")


def _about(plan: Simulation, noise: Sequence[str], seed: int, told: Recipe) -> dict[str, Any]:
    """Return what the file of a simulated scan would say."""
    scanner, phantom = plan.preset, plan.phantom
    inputs = (*told.inputs, *(file for spec in noise for file in noise_files(spec)))
    about = words(scanner, f"{phantom.name} phantom", plan.signals.forms, seed=seed)
    about |= tracer(scanner, *dose(phantom)) | electronics(scanner, digitised=False)
    text = history(plan, noise, seed, inputs=inputs, **told.options)
    return about | {HISTORY: text, SOURCES: phantom.sources, **told.values}
