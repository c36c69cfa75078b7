"""Simulated scans and calibrations as MDF files, written block by block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

import mdf
from mpikit.errors import UsageError
from mpikit.events import Event, Finding, Step, Warned, silent
from mpikit.files import check_output
from mpikit.plugins import noise_files, parse_noise
from mpikit.provenance import HISTORY, REPEATS
from mpikit.scan import Scan
from mpikit.scan_file import scan_contents
from mpikit.simulate.acquisition import stored_type
from mpikit.simulate.contents import (
    SOURCES,
    dose,
    electronics,
    history,
    tracer,
    truth,
    words,
)
from mpikit.simulate.phantoms import Digits, Phantom
from mpikit.simulate.presets import Preset
from mpikit.simulate.request import Recipe
from mpikit.simulate.resources import check_disk, check_memory, check_scan
from mpikit.simulate.scans import Block, Session, Simulation
from mpikit.workers import check_workers, in_order


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

    def __post_init__(self) -> None:
        check_workers(self.workers, self.scheduler)


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
    job = ScanFile(
        preset,
        path,
        phantom=phantom,
        frames=frames,
        periods=periods,
        background_frames=background_frames,
        noise=noise,
        clean=clean,
        recipe=recipe,
        how=how,
    )
    job.check_outputs()
    return job.made if job.how.dry_run else job.write()


class ScanFile:
    """A scan that is about to be simulated and written: everything that can be checked has been.

    Parameters
    ----------
    preset, path, phantom, frames, periods, background_frames, noise, clean, recipe, how
        See `simulate_file`.

    Raises
    ------
    UsageError, InputError
        When the arguments make no scan with this preset.
    """

    def __init__(
        self,
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
    ) -> None:
        self.how, self.recipe, self.noise = how or How(), recipe or Recipe(), tuple(noise)
        self.path, self.clean = path, clean
        counts: dict[str, Any] = {
            "frames": frames,
            "periods": preset.periods if periods is None else periods,
            "background_frames": preset.background_frames if background_frames is None else background_frames,
        }
        check_scan(preset, path, voxels=int(np.prod(phantom.grid.size)), **counts)
        session = None if self.how.session is None else Session(self.how.session, self.how.first_frame)
        self.simulation = Simulation(
            preset,
            phantom,
            **counts,
            noise=[parse_noise(spec) for spec in noise],
            rng=np.random.default_rng(self.how.seed),
            session=session,
            tell=self.how.tell,
        )
        files = [file for spec in noise for file in noise_files(spec)]
        self.inputs = (*self.recipe.inputs, *files)
        self.made = described(path, self.simulation.header(), stored_type(preset.receiver))

    def check_outputs(self) -> None:
        """Refuse to write where something is that shall stay, or where there is no room.

        Raises
        ------
        UsageError, InputError
        """
        preset = self.simulation.preset.file
        inputs = self.inputs if preset is None else (*self.inputs, preset)
        _check_outputs(self.path, self.clean, inputs, self.how.overwrite)
        if self.clean is not None:
            phantom, made = self.simulation.phantom, self.made
            images = 4.0 * float(np.prod(phantom.grid.size, dtype=float)) * phantom.count
            check_memory(images, "the phantoms of the clean file")
            samples = 4.0 * made.frames * made.periods * made.channels * made.samples
            check_disk(self.clean, made.size + samples + images)

    def write(self) -> Simulated:
        """Simulate, and write the file or the two files."""
        with ExitStack() as files:
            noisy, reference = self._open(files)
            found = _write(self.simulation, noisy, reference, self.how)
        self.how.tell(found)
        return replace(self.made, snr_db=cast("float | None", found.value))

    def _open(self, files: ExitStack) -> tuple[mdf.Writer, mdf.Writer | None]:
        """Begin the noisy and, if there shall be one, the clean file."""
        simulation, preset, phantom = self.simulation, self.simulation.preset, self.simulation.phantom
        header = simulation.header()
        about = words(preset, f"{phantom.name} phantom", simulation.signals.forms, seed=self.how.seed)
        about |= tracer(preset, *dose(phantom))
        own = {REPEATS: header.repeats, SOURCES: phantom.sources, **self.recipe.values}
        noisy = self._create(files, self.path, header, about | electronics(preset), own | self._history())
        if self.clean is None:
            return noisy, None
        only = replace(
            header,
            background=header.background[:0],
            foreground_index=np.arange(simulation.frames),
            background_index=header.background_index[:0],
        )
        about["/experiment/description"] = "The particle signal alone, for evaluation only"
        about |= electronics(preset, digitised=False)
        own |= self._history(clean=True) | truth(phantom)
        return noisy, self._create(files, self.clean, only, about, own)

    def _create(
        self, files: ExitStack, path: Path, scan: Scan, about: dict[str, Any], own: dict[str, Any]
    ) -> mdf.Writer:
        contents, count = scan_contents(scan) | about, len(scan.signal) + len(scan.background)
        return files.enter_context(
            mdf.create(path, contents, num_frames=count, user=own, overwrite=self.how.overwrite)
        )

    def _history(self, *, clean: bool = False) -> dict[str, Any]:
        how = self.how
        session = {"session": how.session, "first_frame": how.first_frame} if how.session is not None else {}
        text = history(
            self.simulation,
            () if clean else self.noise,
            how.seed,
            inputs=self.recipe.inputs if clean else self.inputs,
            clean=clean,
            **self.recipe.options,
            **session,
        )
        return {HISTORY: text}


def described(path: Path, header: Scan, stored: np.dtype[Any] | None = None) -> Simulated:
    """Return what a file will hold: stored values of a scan, or spectra of a calibration."""
    frames, periods, channels, samples = header.signal.shape
    values, each = (samples // 2 + 1, 8) if stored is None else (samples, stored.itemsize)
    size = (frames + len(header.background)) * periods * channels * values * each
    return Simulated(path, frames, len(header.background), periods, channels, samples, size)


def _check_outputs(path: Path, clean: Path | None, inputs: tuple[Path, ...], overwrite: bool) -> None:
    check_output(path, inputs=inputs, overwrite=overwrite)
    if clean is None:
        return
    check_output(clean, inputs=inputs, overwrite=overwrite, option="--clean")
    if path.resolve() == clean.resolve():
        raise UsageError("the noisy and the clean scan cannot be one file", hint="give --clean another name")


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
    tell_of_clipping(clipped, how)
    return _noise_finding(signal, noise)


def _noise_finding(signal: float, noise: float) -> Finding:
    if signal == 0:
        return Finding("snr_db", None, "the scanner is empty: there is no signal-to-noise ratio")
    if noise <= 1e-12 * signal:
        return Finding("snr_db", None, "the scan has no noise; add some with --noise gaussian:snr_db=15")
    ratio = 10 * float(np.log10(signal / noise))
    return Finding("snr_db", ratio, f"signal-to-noise ratio {ratio:.2f} dB (rms over rms, whole scan)")


def tell_of_clipping(share: float, how: How) -> None:
    """Warn when a converter clipped a share of the samples."""
    if share > 0:
        how.tell(Warned(f"the ADC clipped {share:.2%} of the samples: raise receiver.adc.full_scale"))
