"""Simulated scans and calibrations as MDF files."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mdf
from mpikit.errors import UsageError
from mpikit.events import Event, Finding, silent
from mpikit.files import check_output
from mpikit.plugins import parse_noise
from mpikit.provenance import HISTORY, REPEATS, append_history, run_record
from mpikit.scan import Scan
from mpikit.scan_file import scan_contents, write_scan
from mpikit.simulate.calibrations import Calibration, calibrate, snr
from mpikit.simulate.particles import LITRES
from mpikit.simulate.phantoms import Phantom, make_phantom
from mpikit.simulate.presets import Preset
from mpikit.simulate.scans import simulate_scan

CALIBRATION_NOISE = "gaussian:level=channel,snr_db=40"


def simulate_file(
    preset: Preset,
    path: Path,
    *,
    phantom: str | None = None,
    frames: int | None = None,
    background_frames: int | None = None,
    noise: Sequence[str] = (),
    clean: Path | None = None,
    seed: int = 0,
    overwrite: bool = False,
    tell: Callable[[Event], None] = silent,
) -> Scan:
    """Simulate a scan and write it to an MDF file.

    Parameters
    ----------
    preset : Preset
        Also says what is taken where an argument is None.
    path : Path
    phantom : str or None
        See `mpikit.simulate.phantoms`.
    frames : int or None
        N. Whether they show one phantom or each another one is up to the preset.
    background_frames : int or None
        E.
    noise : sequence of str
        As ``--noise`` takes it; without any, the scan is free of noise.
    clean : Path or None
        Also write the scan without noise, with the phantom under ``/_truth``. For evaluation only.
    seed, overwrite, tell

    Raises
    ------
    UsageError, InputError
        When the arguments make no scan with this preset, or a file cannot be written there.
    """
    _check_outputs(path, clean, overwrite)
    models = [parse_noise(spec) for spec in noise]
    phantom = phantom or preset.phantom_name
    images, frames = _images_and_frames(preset, phantom, frames)
    empty = preset.background_frames if background_frames is None else background_frames
    rng = np.random.default_rng(seed)
    region = preset.phantom
    objects = make_phantom(phantom, region.grid(), concentration=region.concentration, count=images, rng=rng)
    counts = {"frames": frames, "periods": preset.periods, "background_frames": empty}
    scan, truth = simulate_scan(preset, objects, **counts, noise=models, rng=rng, tell=tell)
    tell(_noise_finding(scan, truth))
    history = _history({"preset": preset.name, "phantom": phantom, **counts, "noise": list(noise)}, seed)
    contents = _words(preset, f"{phantom} phantom") | _tracer(preset, *_dose(objects))
    write_scan(scan, path, contents=contents, user={HISTORY: history}, overwrite=overwrite)
    if clean is not None:
        contents["/experiment/description"] = "The same scan without noise, for evaluation only"
        user = {HISTORY: history, **_truth(objects)}
        write_scan(_without_noise(scan, truth), clean, contents=contents, user=user, overwrite=overwrite)
    return scan


def simulate_calibration_file(
    preset: Preset,
    path: Path,
    *,
    size: Sequence[int] = (),
    field_of_view: Sequence[float] = (),
    noise: Sequence[str] = (),
    seed: int = 0,
    overwrite: bool = False,
    tell: Callable[[Event], None] = silent,
) -> Calibration:
    """Simulate a calibration and write it as a system matrix: spectra in grid order, empty frames last.

    Parameters
    ----------
    preset : Preset
        Also says what is taken where an argument is empty.
    path : Path
    size : two or three int
        Voxels along x, y and z.
    field_of_view : two or three float, m
        Extent along x, y and z.
    noise : sequence of str
        As ``--noise`` takes it; without any, `CALIBRATION_NOISE`.
    seed, overwrite, tell

    Raises
    ------
    UsageError, InputError
        When the grid is impossible, or the file cannot be written there.
    """
    check_output(path, overwrite=overwrite)
    if not noise:
        noise = (CALIBRATION_NOISE,)
        text = f"the calibration gets the noise {CALIBRATION_NOISE}; --noise gives it another"
        tell(Finding("calibration noise", CALIBRATION_NOISE, text))
    models = [parse_noise(spec) for spec in noise]
    region = preset.calibration
    grid, dose = region.grid(size, field_of_view), region.concentration
    rng = np.random.default_rng(seed)
    calibration = calibrate(preset, grid, concentration=dose, noise=models, rng=rng, tell=tell)
    extent = {"grid": grid.size.tolist(), "field_of_view": grid.field_of_view.tolist()}
    options = {"preset": preset.name, "calibration": True, **extent, "noise": list(noise)}
    contents = scan_contents(calibration.scan) | _words(preset, "delta sample")
    contents |= _tracer(preset, dose, float(np.prod(grid.spacing)) * LITRES)
    spectra, described = _calibration_data(calibration)
    user = {HISTORY: _history(options, seed), REPEATS: "none"}
    mdf.write(path, contents | described, spectra, user=user, overwrite=overwrite)
    return calibration


def _check_outputs(path: Path, clean: Path | None, overwrite: bool) -> None:
    check_output(path, overwrite=overwrite)
    if clean is None:
        return
    check_output(clean, overwrite=overwrite, option="--clean")
    if path.resolve() == clean.resolve():
        raise UsageError("the noisy and the clean scan cannot be one file", hint="give --clean another name")


def _images_and_frames(preset: Preset, phantom: str, frames: int | None) -> tuple[int, int]:
    """Return how many images Q are needed for how many frames N."""
    one_image = preset.repeats == "frames"
    if frames is None:
        frames = preset.frames if one_image or phantom == "digits" else 1
    return (1 if one_image else frames), frames


def _noise_finding(scan: Scan, clean: NDArray[np.float64]) -> Finding:
    noise = float(np.sqrt(np.mean((scan.signal - clean.astype(np.float32)) ** 2, dtype=float)))
    if noise == 0:
        return Finding("snr_db", None, "the scan has no noise; add some with --noise gaussian:snr_db=15")
    value = 20 * float(np.log10(np.sqrt(np.mean(clean**2)) / noise))
    return Finding("snr_db", value, f"signal-to-noise ratio {value:.2f} dB (rms over rms, whole scan)")


def _history(options: Mapping[str, Any], seed: int) -> str:
    return append_history(None, run_record("simulate", inputs=[], options=options, seed=seed))


def _words(preset: Preset, subject: str) -> dict[str, object]:
    """Return what the file says about study, experiment, scanner and time."""
    scanner = preset.scanner
    contents: dict[str, object] = {
        "/study/name": f"Simulation {preset.name}",
        "/study/number": 1,
        "/study/uuid": str(uuid.uuid4()),
        "/study/description": f"{preset.summary}. Source: {preset.source}",
        "/experiment/name": f"{preset.name}, {subject}",
        "/experiment/number": 1,
        "/experiment/uuid": str(uuid.uuid4()),
        "/experiment/description": "Langevin particles in equilibrium, ideal receive chain of full bandwidth",
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


def _tracer(preset: Preset, concentration: float, volume: float) -> dict[str, object]:
    """Return what the file says about the tracer, in mol(Fe)/L and L."""
    diameter = preset.particle.core_diameter * 1e9
    return {
        "/tracer/name": [f"Magnetite cores of {diameter:g} nm"],
        "/tracer/batch": ["none"],
        "/tracer/vendor": ["simulated"],
        "/tracer/solute": ["Fe"],
        "/tracer/concentration": np.array([concentration]),
        "/tracer/volume": np.array([volume]),
    }


def _dose(phantom: Phantom) -> tuple[float, float]:
    """Return the highest concentration, and the volume that would hold the mean amount of iron at it."""
    highest = float(phantom.images.max())
    voxel = float(np.prod(phantom.grid.spacing)) * LITRES
    amount = float(np.sum(phantom.images, dtype=float)) * voxel / len(phantom.images)
    return highest, amount / highest if highest else 0.0


def _truth(phantom: Phantom) -> dict[str, object]:
    return {
        "/_truth/_concentrations": phantom.images.astype(np.float32),
        "/_truth/_fieldOfView": phantom.grid.field_of_view,
    }


def _without_noise(scan: Scan, clean: NDArray[np.float64]) -> Scan:
    return replace(
        scan,
        signal=clean.astype(np.float32),
        background=scan.background[:0],
        foreground_index=np.arange(len(clean)),
        background_index=scan.background_index[:0],
    )


def _calibration_data(calibration: Calibration) -> tuple[NDArray[np.complex64], dict[str, object]]:
    """Return the spectra (N, J, C, K) in stored order, and what the file says about them and the grid."""
    scan, grid = calibration.scan, calibration.grid
    spectra = np.fft.rfft(np.concatenate([scan.signal, scan.background]).astype(float), axis=-1)
    places = len(scan.signal)
    described: dict[str, object] = {
        "/acquisition/receiver/numSamplingPoints": scan.signal.shape[-1],
        "/measurement/isFourierTransformed": 1,
        "/measurement/isFastFrameAxis": 1,
        "/measurement/isFramePermutation": 1,
        "/measurement/framePermutation": np.r_[scan.foreground_index, scan.background_index] + 1,
        "/measurement/isBackgroundFrame": np.arange(len(spectra)) >= places,
        "/calibration/method": "simulation",
        "/calibration/size": grid.size,
        "/calibration/fieldOfView": grid.field_of_view,
        "/calibration/fieldOfViewCenter": grid.center,
        "/calibration/order": "xyz",
        "/calibration/deltaSampleSize": grid.spacing,
        "/calibration/snr": snr(spectra[:places], spectra[places:]),
    }
    return spectra.astype(np.complex64), described
