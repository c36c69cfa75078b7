"""What simulated files say about themselves: scanner, tracer, electronics, history, truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import mdf
from mdf.moment import new_uuid
from mpikit.provenance import append_history, run_record
from mpikit.scan import Scan
from mpikit.simulate.acquisition import conversion
from mpikit.simulate.calibrations import CalibrationRun
from mpikit.simulate.particles import LITRES
from mpikit.simulate.phantoms import Digits, Phantom
from mpikit.simulate.presets import Preset
from mpikit.simulate.receive import chain_response, steps
from mpikit.simulate.scans import Simulation

SOURCES = "/_mpikit/sources"  # (N,): frames with the same number show the same picture


def history(
    plan: Simulation | CalibrationRun,
    noise: Sequence[str],
    seed: int,
    *,
    inputs: Sequence[Path] = (),
    clean: bool = False,
    **more: Any,
) -> str:
    """Return the history of a simulated file: all that it takes to make it again.

    Parameters
    ----------
    plan : Simulation or CalibrationRun
    noise : sequence of str
    seed : int
    inputs : sequence of Path
        Files that phantom and noise come from.
    clean : bool
        The file holds the particle signal alone.
    **more
        Further options, by name.
    """
    preset = plan.preset
    options: dict[str, Any] = {"preset": preset.name, "table": preset.table, "noise": list(noise)}
    grid = plan.grid if isinstance(plan, CalibrationRun) else plan.phantom.grid
    options["grid"] = {
        "size": grid.size.tolist(),
        "field_of_view": grid.field_of_view.tolist(),
        "center": grid.center.tolist(),
    }
    if isinstance(plan, Simulation):
        options |= {"phantom": plan.phantom.name, "frames": plan.frames, "periods": plan.periods}
        options |= {"background_frames": plan.background_frames, "form": plan.signals.forms}
    else:
        options["calibration"] = True
    record = run_record(
        "simulate",
        inputs=inputs,
        options=options | more,
        seed=seed,
        steps=electronic_steps(preset, clean=clean),
    )
    return append_history(None, record)


def electronic_steps(preset: Preset, *, clean: bool = False) -> dict[str, Any]:
    """Return what happens to the signal between particles and file, ready for JSON.

    A clean signal has neither feed-through nor ADC, and no averages make it better.
    """
    if clean:
        preset = replace(preset, receiver=replace(preset.receiver, feed_through=None, adc=None, averages=1))
    relaxation = preset.particle.relaxation_time
    described = {"relaxation": {"time": relaxation}} if relaxation else {}
    return described | steps(preset.receiver)


def words(preset: Preset, subject: str, forms: Sequence[str], *, seed: int) -> dict[str, Any]:
    """Return what the file says about study, experiment, scanner and time; a seed is an experiment."""
    scanner = preset.scanner
    chain = ", ".join(electronic_steps(preset)).replace("_", "-") or "ideal receive chain of full bandwidth"
    contents: dict[str, Any] = {
        "/study/name": f"Simulation {preset.name}",
        "/study/number": 1,
        "/study/uuid": new_uuid("study", preset.name),
        "/study/description": f"{preset.summary}. Source: {preset.source}",
        "/experiment/name": f"{preset.name}, {subject}",
        "/experiment/number": 1,
        "/experiment/uuid": new_uuid("experiment", preset.name, subject, str(seed)),
        "/experiment/description": f"Langevin particles, signal by {'/'.join(sorted(set(forms)))}; {chain}",
        "/experiment/subject": subject,
        "/experiment/isSimulation": 1,
        "/acquisition/startTime": mdf.write_time(),
        "/scanner/name": scanner.name,
        "/scanner/facility": "simulated",
        "/scanner/manufacturer": scanner.manufacturer,
        "/scanner/operator": "mpikit",
        "/scanner/topology": scanner.topology,
    }
    return contents if scanner.bore_size is None else contents | {"/scanner/boreSize": scanner.bore_size}


def tracer(preset: Preset, concentration: float, volume: float) -> dict[str, Any]:
    """Return what the file says about the tracer, in mol(Fe)/L and L."""
    particle = preset.particle
    spread = f", spread {particle.diameter_spread:g}" if particle.diameter_spread else ""
    return {
        "/tracer/name": [f"Magnetite cores of {particle.core_diameter * 1e9:g} nm{spread}"],
        "/tracer/batch": ["none"],
        "/tracer/vendor": ["simulated"],
        "/tracer/solute": ["Fe"],
        "/tracer/concentration": np.array([concentration]),
        "/tracer/volume": np.array([volume]),
    }


def dose(phantom: Phantom | Digits) -> tuple[float, float]:
    """Return the highest concentration, and the volume that would hold the mean amount of iron at it.

    Of many phantoms some hundred stand for all.
    """
    some = phantom.part(slice(0, min(phantom.count, 256)))
    highest = float(some.images.max())
    voxel = float(np.prod(phantom.grid.spacing)) * LITRES
    amount = float(np.sum(some.images, dtype=float)) * voxel / len(some.images)
    return highest, amount / highest if highest else 0.0


def electronics(preset: Preset, *, digitised: bool = True) -> dict[str, Any]:
    """Return what the file says about the receive chain."""
    contents: dict[str, Any] = {}
    response = chain_response(preset.receiver, preset.drive_field, preset.samples)
    if response is not None:
        contents["/acquisition/receiver/transferFunction"] = response
    factor = conversion(preset.receiver)
    if digitised and factor is not None:
        factors = np.array([[factor, 0.0]] * preset.receiver.channels)
        contents["/acquisition/receiver/dataConversionFactor"] = factors
    return contents


def truth(phantom: Phantom | Digits) -> dict[str, Any]:
    """Return the phantoms, for a file that is for evaluation only."""
    images = np.empty((phantom.count, *phantom.grid.shape), np.float32)
    for start in range(0, phantom.count, 256):
        part = slice(start, min(start + 256, phantom.count))
        images[part] = phantom.part(part).images
    return {"/_truth/_concentrations": images, "/_truth/_fieldOfView": phantom.grid.field_of_view}


def calibration_contents(header: Scan, grid: mdf.Grid) -> dict[str, Any]:
    """Return what the file says about grid and spectra; the signal-to-noise ratio is filled in later."""
    _, periods, channels, samples = header.signal.shape
    lines = samples // 2 + 1
    return {
        "/acquisition/receiver/numSamplingPoints": samples,
        "/measurement/isFourierTransformed": 1,
        "/measurement/isFastFrameAxis": 1,
        "/measurement/isFramePermutation": 1,
        "/measurement/framePermutation": np.r_[header.foreground_index, header.background_index] + 1,
        "/measurement/isBackgroundFrame": np.r_[
            np.zeros(len(header.signal), bool), np.ones(len(header.background), bool)
        ],
        "/calibration/method": "simulation",
        "/calibration/size": grid.size,
        "/calibration/fieldOfView": grid.field_of_view,
        "/calibration/fieldOfViewCenter": grid.center,
        "/calibration/order": "xyz",
        "/calibration/deltaSampleSize": grid.spacing,
        "/calibration/snr": np.zeros((periods, channels, lines)),
    }
