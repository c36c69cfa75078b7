"""Simulated calibrations as MDF files: system matrices that need not fit into memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import mdf
from mpikit.events import Finding, Step
from mpikit.files import check_output
from mpikit.plugins import noise_files, parse_noise
from mpikit.provenance import HISTORY, REPEATS
from mpikit.scan_file import scan_contents
from mpikit.simulate.calibrations import CalibrationRun, SignalToNoise
from mpikit.simulate.contents import calibration_contents, electronics, history, tracer, words
from mpikit.simulate.files import How, Simulated, described, tell_of_clipping
from mpikit.simulate.particles import LITRES
from mpikit.simulate.presets import Preset
from mpikit.simulate.resources import check_disk, check_memory
from mpikit.workers import in_order

CALIBRATION_NOISE = "gaussian:level=channel,snr_db=40"
_HELD = 1 << 28  # bytes of spectra that are written at once


def simulate_calibration_file(
    preset: Preset,
    path: Path,
    *,
    grid: mdf.Grid | None = None,
    noise: Sequence[str] | None = None,
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
        As ``--noise`` takes it; None: `CALIBRATION_NOISE`.
    how : How

    Raises
    ------
    UsageError, InputError
        When the grid is impossible, or the file cannot be written there.
    """
    how = how or How()
    check_output(path, overwrite=how.overwrite)
    if noise is None:
        noise = (CALIBRATION_NOISE,)
        text = f"the calibration gets the noise {CALIBRATION_NOISE}; --noise gives it another"
        how.tell(Finding("calibration noise", CALIBRATION_NOISE, text))
    job = CalibrationFile(preset, path, grid=grid, noise=noise, how=how)
    job.check_outputs()
    return job.made if how.dry_run else job.write()


class CalibrationFile:
    """A calibration that is about to be simulated and written: everything that can be checked has been.

    Parameters
    ----------
    preset, path, grid, noise, how
        See `simulate_calibration_file`.

    Raises
    ------
    UsageError
        When the grid is impossible, or there is no noise.
    """

    def __init__(
        self,
        preset: Preset,
        path: Path,
        *,
        grid: mdf.Grid | None = None,
        noise: Sequence[str] = (CALIBRATION_NOISE,),
        how: How | None = None,
    ) -> None:
        self.path, self.noise, self.how = path, tuple(noise), how or How()
        grid = preset.calibration.grid() if grid is None else grid
        places = int(np.prod(grid.size, dtype=object))
        row = 8 * preset.patches * preset.receiver.channels * (preset.samples // 2 + 1)
        check_memory(_HELD + 200.0 * places + 8.0 * row, f"a calibration of {places} places")
        empty = 1 + int(np.prod(grid.size[1:], dtype=object))
        check_disk(path, 1.0 * (places + empty) * row)
        self.run = CalibrationRun(
            preset,
            grid,
            concentration=preset.calibration.concentration,
            noise=[parse_noise(spec) for spec in noise],
            rng=np.random.default_rng((self.how.seed, 4)),  # a scan of this seed has other noise
        )
        own = () if preset.file is None else (preset.file,)
        self.inputs = (*own, *(file for spec in noise for file in noise_files(spec)))
        self.made = described(path, self.run.header())

    def check_outputs(self) -> None:
        """Refuse to write where something is that shall stay.

        Raises
        ------
        InputError
        """
        check_output(self.path, inputs=self.inputs, overwrite=self.how.overwrite)

    def write(self) -> Simulated:
        """Simulate, and write the file."""
        run, header, preset = self.run, self.run.header(), self.run.preset
        contents = scan_contents(header) | words(preset, "delta sample", ["direct"], seed=self.how.seed)
        contents |= tracer(preset, run.concentration, float(np.prod(run.grid.spacing)) * LITRES)
        contents |= electronics(preset, digitised=False) | calibration_contents(header, run.grid)
        said = history(run, self.noise, self.how.seed, inputs=self.inputs)
        user, total = {HISTORY: said, REPEATS: "none"}, len(run.foreground) + len(run.background)
        with mdf.create(
            self.path, contents, num_frames=total, user=user, overwrite=self.how.overwrite
        ) as out:
            _write_calibration(run, out, self.how)
        return self.made


@dataclass(frozen=True)
class _Spectra:
    """The blocks of a calibration as they are stored."""

    run: CalibrationRun

    @property
    def blocks(self) -> int:
        return self.run.blocks

    def prepare(self) -> None:
        self.run.prepare()

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
    ratio.check()
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
    tell_of_clipping(clipped, how)
    out.update("/calibration/snr", ratio.ratio())
