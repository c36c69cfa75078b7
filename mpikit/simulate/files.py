"""Simulated scans and calibrations as MDF files, written block by block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

import mdf
from mpikit.errors import UsageError
from mpikit.events import Event, Finding, Step, Warned, silent
from mpikit.files import check_output
from mpikit.plugins import parse_noise
from mpikit.provenance import HISTORY, REPEATS
from mpikit.scan import Scan
from mpikit.scan_file import scan_contents
from mpikit.simulate.acquisition import Acquisition
from mpikit.simulate.calibrations import CalibrationRun, SignalToNoise
from mpikit.simulate.contents import (
    SOURCES,
    calibration_contents,
    dose,
    electronics,
    history,
    tracer,
    truth,
    words,
)
from mpikit.simulate.particles import LITRES
from mpikit.simulate.phantoms import Digits, Phantom
from mpikit.simulate.presets import Preset
from mpikit.simulate.request import Recipe
from mpikit.simulate.resources import check_disk, check_memory
from mpikit.simulate.scans import Block, Session, Simulation
from mpikit.simulate.workers import in_order

CALIBRATION_NOISE = "gaussian:level=channel,snr_db=40"
_HELD = 1 << 28  # bytes of spectra that are written at once


@dataclass(frozen=True)
class Simulated:
    """A file that was written.

    Parameters
    ----------
    path : Path
    frames, background_frames, periods, channels, samples : int
        N, E, J, C and V.
    size : int, bytes
        Of the data.
    snr_db : float or None
        Of the whole scan, rms over rms; None without noise, and for a calibration.
    """

    path: Path
    frames: int
    background_frames: int
    periods: int
    channels: int
    samples: int
    size: int
    snr_db: float | None = None


@dataclass(frozen=True, kw_only=True)
class How:
    """How files are made, whatever is in them.

    Parameters
    ----------
    seed : int
        Of every random draw.
    session : int or None
        Seed of what the noise of several files has in common; None: each file stands by itself.
    first_frame : int
        Place of the first frame in such a session.
    overwrite : bool
    workers : int or None
        Processes, through Dask; None takes threads.
    scheduler : str or None
        Address of a Dask scheduler.
    dry_run : bool
        Check everything, and write nothing.
    tell : callable
    """

    seed: int = 0
    session: int | None = None
    first_frame: int = 0
    overwrite: bool = False
    workers: int | None = None
    scheduler: str | None = None
    dry_run: bool = False
    tell: Callable[[Event], None] = silent


def simulate_file(
    preset: Preset,
    path: Path,
    *,
    phantom: Phantom | Digits,
    frames: int,
    periods: int | None = None,
    background_frames: int | None = None,
    noise: Sequence[str] = (),
    clean: Path | None = None,
    recipe: Recipe | None = None,
    how: How | None = None,
) -> Simulated:
    """Simulate a scan and write it to an MDF file.

    Parameters
    ----------
    preset : Preset
        Also says what is taken where an argument is None.
    path : Path
    phantom : Phantom or Digits
        One, or one a frame.
    frames : int
        N.
    periods, background_frames : int or None
        J and E.
    noise : sequence of str
        As ``--noise`` takes it; without any, the scan is free of noise.
    clean : Path or None
        Also write the particle signal alone, without noise and feed-through, with the phantom under
        ``/_truth``. For evaluation only.
    recipe : Recipe or None
        What the file says about the phantom.
    how : How

    Raises
    ------
    UsageError, InputError
        When the arguments make no scan with this preset, or a file cannot be written there.
    """
    how = how or How()
    _check_outputs(path, clean, how.overwrite)
    rng = np.random.default_rng(how.seed)
    simulation = Simulation(
        preset,
        phantom,
        frames=frames,
        periods=preset.periods if periods is None else periods,
        background_frames=preset.background_frames if background_frames is None else background_frames,
        noise=[parse_noise(spec) for spec in noise],
        rng=rng,
        session=None if how.session is None else Session(how.session, how.first_frame),
        tell=how.tell,
    )
    header = simulation.header()
    made = _described(path, header, simulation.acquisition)
    _check_room(made, clean, phantom)
    if how.dry_run:
        return made
    recipe = recipe or Recipe()
    session = {"session": how.session, "first_frame": how.first_frame}
    told = {**recipe.options, **(session if how.session is not None else {})}
    said = history(simulation, noise, how.seed, inputs=recipe.inputs, **told)
    contents = words(preset, f"{phantom.name} phantom", simulation.signals.forms) | tracer(
        preset, *dose(phantom)
    )
    own: dict[str, Any] = {HISTORY: said, REPEATS: header.repeats, SOURCES: phantom.sources, **recipe.values}
    with ExitStack() as files:
        noisy = _create(
            files,
            path,
            scan_contents(header) | contents | electronics(simulation.acquisition),
            own,
            frames + simulation.background_frames,
            how,
        )
        reference = None
        if clean is not None:
            without = replace(
                header,
                background=header.background[:0],
                foreground_index=np.arange(frames),
                background_index=header.background_index[:0],
            )
            contents["/experiment/description"] = "The particle signal alone, for evaluation only"
            described = (
                scan_contents(without) | contents | electronics(simulation.acquisition, digitised=False)
            )
            reference = _create(files, clean, described, own | truth(phantom), frames, how)
        found = _write(simulation, noisy, reference, how)
    how.tell(found)
    return replace(made, snr_db=cast("float | None", found.value))


def simulate_calibration_file(
    preset: Preset,
    path: Path,
    *,
    grid: mdf.Grid | None = None,
    noise: Sequence[str] = (),
    how: How | None = None,
) -> Simulated:
    """Simulate a calibration and write it as a system matrix: spectra in grid order, empty frames last.

    Only some places are held at a time.

    Parameters
    ----------
    preset : Preset
    path : Path
    grid : mdf.Grid or None
        None: that of the preset.
    noise : sequence of str
        As ``--noise`` takes it; without any, `CALIBRATION_NOISE`.
    how : How

    Raises
    ------
    UsageError, InputError
        When the grid is impossible, or the file cannot be written there.
    """
    how = how or How()
    check_output(path, overwrite=how.overwrite)
    if not noise:
        noise = (CALIBRATION_NOISE,)
        text = f"the calibration gets the noise {CALIBRATION_NOISE}; --noise gives it another"
        how.tell(Finding("calibration noise", CALIBRATION_NOISE, text))
    grid = preset.calibration.grid() if grid is None else grid
    places = int(np.prod(grid.size, dtype=object))
    row = 8 * preset.patches * preset.receiver.channels * (preset.samples // 2 + 1)
    check_memory(_HELD + 200.0 * places + 8.0 * row, f"a calibration of {places} places")
    check_disk(path, 1.0 * places * row)
    run = CalibrationRun(
        preset,
        grid,
        concentration=preset.calibration.concentration,
        noise=[parse_noise(spec) for spec in noise],
        rng=np.random.default_rng(how.seed),
    )
    header = run.header()
    made = _described(path, header, None)
    if how.dry_run:
        return made
    contents = scan_contents(header) | words(preset, "delta sample", ["direct"])
    contents |= tracer(preset, run.concentration, float(np.prod(grid.spacing)) * LITRES)
    contents |= electronics(run.acquisition, digitised=False) | calibration_contents(header, grid)
    user = {HISTORY: history(run, noise, how.seed), REPEATS: "none"}
    total = len(run.foreground) + len(run.background)
    with mdf.create(path, contents, num_frames=total, user=user, overwrite=how.overwrite) as out:
        _write_calibration(run, out, how)
    return made


def _described(path: Path, header: Scan, acquisition: Acquisition | None) -> Simulated:
    """Return what a file will hold: counts or volts of a scan, spectra of a calibration."""
    frames, periods, channels, samples = header.signal.shape
    values, each = samples // 2 + 1, 8
    if acquisition is not None:
        values, each = samples, acquisition.stored_type.itemsize
    total = frames + len(header.background)
    size = total * periods * channels * values * each
    return Simulated(path, frames, len(header.background), periods, channels, samples, size)


def _check_outputs(path: Path, clean: Path | None, overwrite: bool) -> None:
    check_output(path, overwrite=overwrite)
    if clean is None:
        return
    check_output(clean, overwrite=overwrite, option="--clean")
    if path.resolve() == clean.resolve():
        raise UsageError("the noisy and the clean scan cannot be one file", hint="give --clean another name")


def _check_room(made: Simulated, clean: Path | None, phantom: Phantom | Digits) -> None:
    check_disk(made.path, made.size)
    if clean is not None:
        images = 4.0 * float(np.prod(phantom.grid.size, dtype=float)) * phantom.count
        check_memory(images, "the phantoms of the clean file")
        check_disk(
            clean, made.size + 4.0 * made.frames * made.periods * made.channels * made.samples + images
        )


def _create(
    files: ExitStack,
    path: Path,
    contents: dict[str, Any],
    user: dict[str, Any],
    frames: int,
    how: How,
) -> mdf.Writer:
    return files.enter_context(
        mdf.create(path, contents, num_frames=frames, user=user, overwrite=how.overwrite)
    )


def _write(simulation: Simulation, noisy: mdf.Writer, clean: mdf.Writer | None, how: How) -> Finding:
    """Write all blocks, and return the signal-to-noise ratio of the scan."""
    signal = noise = clipped = 0.0
    with in_order(simulation, workers=how.workers, scheduler=how.scheduler) as blocks:
        block: Block
        for index, block in enumerate(blocks, start=1):
            noisy.append(block.acquired.stored)
            if clean is not None and len(block.clean):
                shape = (len(block.clean), simulation.periods, *block.clean.shape[2:])
                clean.append(np.broadcast_to(block.clean, shape))
            signal, noise = signal + block.signal_power, noise + block.noise_power
            clipped += block.acquired.clipped / simulation.blocks
            how.tell(Step(index, simulation.blocks))
    _tell_of_clipping(clipped, how)
    return _noise_finding(signal, noise)


def _noise_finding(signal: float, noise: float) -> Finding:
    if signal == 0:
        return Finding("snr_db", None, "the scanner is empty: there is no signal-to-noise ratio")
    if noise <= 1e-12 * signal:
        return Finding("snr_db", None, "the scan has no noise; add some with --noise gaussian:snr_db=15")
    ratio = 10 * float(np.log10(signal / noise))
    return Finding("snr_db", ratio, f"signal-to-noise ratio {ratio:.2f} dB (rms over rms, whole scan)")


def _tell_of_clipping(share: float, how: How) -> None:
    if share > 0:
        how.tell(Warned(f"the ADC clipped {share:.2%} of the samples: raise receiver.adc.full_scale"))


@dataclass(frozen=True)
class _Spectra:
    """The blocks of a calibration as they are stored."""

    run: CalibrationRun

    @property
    def blocks(self) -> int:
        return self.run.blocks

    def draw(self, index: int, /) -> tuple[NDArray[np.complex64], float]:
        """Return the spectra (n, J, C, K) of one block, and the share of its samples that were clipped."""
        acquired = self.run.draw(index)
        spectra = np.fft.rfft(acquired.volts.astype(float), axis=-1)
        return spectra.astype(np.complex64), acquired.clipped


def _write_calibration(run: CalibrationRun, out: mdf.Writer, how: How) -> None:
    """Write spectra in pieces, and then the signal-to-noise ratio, for which the empty frames come first."""
    ratio, plan = SignalToNoise(), _Spectra(run)
    for index in range(run.filled_blocks, run.blocks):
        ratio.add_background(plan.draw(index)[0])
    held: list[NDArray[np.complex64]] = []
    clipped = 0.0
    with in_order(plan, workers=how.workers, scheduler=how.scheduler) as blocks:
        for index, (spectra, share) in enumerate(blocks, start=1):
            if index <= run.filled_blocks:
                ratio.add_places(spectra)
            held.append(spectra)
            clipped += share / run.blocks
            if sum(each.nbytes for each in held) >= _HELD or index == run.blocks:
                out.append(np.concatenate(held))
                held.clear()
            how.tell(Step(index, run.blocks))
    _tell_of_clipping(clipped, how)
    out.update("/calibration/snr", ratio.ratio())
