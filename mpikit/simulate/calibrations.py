"""The calibration of a scanner: the signal of a delta sample at every place of a grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.errors import UsageError
from mpikit.events import Event, Step, silent
from mpikit.records import Noise
from mpikit.scan import Scan
from mpikit.simulate import direct
from mpikit.simulate.acquisition import Acquired, Acquisition, header, streams
from mpikit.simulate.presets import Preset
from mpikit.simulate.scanner_fields import fields_of
from mpikit.simulate.signals import Signals, check_scanner, received
from mpikit.workers import in_order

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_BLOCK = 1 << 22  # samples in a block of places
_PROBES = 512  # places that tell the mean power of all


@dataclass(frozen=True)
class Calibration:
    """A simulated calibration.

    Parameters
    ----------
    scan : Scan
        One foreground frame for each place, in grid order (x fastest); ``foreground_index`` says when each
        was acquired.
    grid : mdf.Grid
        The delta sample fills one voxel.
    concentration : float, mol(Fe)/L
        Of the delta sample.
    """

    scan: Scan
    grid: Grid
    concentration: float


class CalibrationRun:
    """A calibration that is about to be made, in blocks: all places in grid order, then the empty frames.

    The robot meanders over the grid, with an empty frame before each line along x and one at the end.

    Parameters
    ----------
    preset : Preset
    grid : mdf.Grid
    concentration : float, mol(Fe)/L
    noise : sequence of Noise
        At least one: without noise the signal-to-noise ratio of the file would be infinite.
    rng : numpy.random.Generator

    Raises
    ------
    UsageError
        Without noise, or when the receiver cannot hold the signal.
    """

    def __init__(
        self,
        preset: Preset,
        grid: Grid,
        *,
        concentration: float,
        noise: Sequence[Noise],
        rng: np.random.Generator,
    ) -> None:
        if not noise:
            raise UsageError(
                "a calibration without noise has no signal-to-noise ratio",
                hint="add some, for instance --noise gaussian:level=channel,snr_db=40",
            )
        check_scanner(preset, grid)
        self.preset, self.grid, self.concentration = preset, grid, concentration
        self.foreground, self.background = robot_path(grid)
        self._places = grid.positions()
        self._empty = Signals(preset, grid, filled=0).empty()
        together, apart = rng.spawn(2)
        self._together_rng, self._noise = together, tuple(noise)
        self._streams = streams(apart, self.blocks)
        self._acquisition: Acquisition | None = None

    def prepare(self) -> None:
        """Let the noise know the power of the signal; otherwise the first block does it."""
        if self._acquisition is None:
            self._acquisition = Acquisition(
                self.preset,
                self._noise,
                periods=self.preset.patches,
                power=self._power(),
                rng=self._together_rng,
            )

    @property
    def blocks(self) -> int:
        """Number of blocks that `draw` makes: first those of places, then those of empty frames."""
        return self.filled_blocks - (-len(self.background) // self._together)

    @property
    def filled_blocks(self) -> int:
        """Number of blocks of places."""
        return -(-len(self.foreground) // self._together)

    def draw(self, index: int, /) -> Acquired:
        """Make one block, n frames."""
        empty = index - self.filled_blocks
        source = self.foreground if empty < 0 else self.background
        first = (index if empty < 0 else empty) * self._together
        part = slice(first, first + self._together)
        if empty < 0:
            particles = self._signals(self._places[part])
        else:
            particles = np.zeros((len(source[part]), *self._empty.shape))
        rng = np.random.default_rng(self._streams[index])
        if self._acquisition is None:
            self.prepare()
        assert self._acquisition is not None  # noqa: S101 - `prepare` has made it
        return self._acquisition.acquire(particles, self._empty, source[part], rng)

    def header(self) -> Scan:
        """Return all that is known of the scan but its samples, which are zero and take no memory."""
        return header(
            self.preset,
            self.foreground,
            self.background,
            periods=self.preset.patches,
            repeats="none",
            name="calibration",
        )

    def _signals(self, positions: Floats) -> Floats:
        return _delta_sample(self.preset, self.grid, positions, self.concentration)

    @property
    def _together(self) -> int:
        """Places in a block."""
        receiver = self.preset.receiver
        frame = self.preset.patches * receiver.averages * receiver.channels * self.preset.samples
        return max(1, _BLOCK // (frame * receiver.oversampling))

    def _power(self) -> Floats:
        """Mean square of the signal in each channel, over up to `_PROBES` places."""
        count = len(self._places)
        chosen = np.unique(np.linspace(0, count - 1, _PROBES).round().astype(int))
        total = np.zeros(self.preset.receiver.channels)
        for start in range(0, len(chosen), self._together):
            signals = self._signals(self._places[chosen[start : start + self._together]])
            total += np.mean(signals**2, axis=(1, 3)).sum(axis=0)
        return total / len(chosen)


def calibrate(
    preset: Preset,
    grid: Grid,
    *,
    concentration: float,
    noise: Sequence[Noise],
    rng: np.random.Generator,
    tell: Callable[[Event], None] = silent,
) -> Calibration:
    """Calibrate a scanner, all in memory.

    Parameters
    ----------
    preset, grid, concentration, noise, rng
        See `CalibrationRun`.
    tell : callable
        Takes a `Step` for each block of places.

    Raises
    ------
    UsageError
        Without noise, or when the receiver cannot hold the signal.
    """
    run = CalibrationRun(preset, grid, concentration=concentration, noise=noise, rng=rng)
    known = run.header()
    volts = []
    with in_order(run) as blocks:
        for index, block in enumerate(blocks, start=1):
            volts.append(block.volts)
            tell(Step(index, run.blocks))
    every, places = np.concatenate(volts), len(run.foreground)
    scan = replace(known, signal=every[:places], background=every[places:])
    return Calibration(scan, grid, concentration)


def system_matrix(preset: Preset, grid: Grid, *, concentration: float) -> Floats:
    """Return the noise-free signal of the delta sample at each place of a grid, all in memory.

    The delta sample has the volume of a voxel, and all its moment at the centre of the voxel: a phantom on
    the same grid is an exact combination of these signals.

    Parameters
    ----------
    preset : Preset
    grid : mdf.Grid
    concentration : float, mol(Fe)/L

    Returns
    -------
    shape (O, J, C, V), V
        In grid order.
    """
    return _delta_sample(preset, grid, grid.positions(), concentration)


def _delta_sample(preset: Preset, grid: Grid, positions: Floats, concentration: float) -> Floats:
    """Signal (n, J, C, V) of a voxel full of tracer at some positions (n, 3)."""
    moment = float(preset.particle.saturated(np.array(concentration))) * float(np.prod(grid.spacing))
    periods = [
        received(preset, moment * direct.responses(fields_of(preset, period), positions))
        for period in range(preset.patches)
    ]
    return np.stack(periods, axis=1)


def robot_path(grid: Grid) -> tuple[Indices, Indices]:
    """Return when each place of a grid is visited on a meandering path.

    Every other line along x and every other plane is run backwards, so that each move is by one voxel.

    Returns
    -------
    foreground : shape (O,)
        Place in the order of acquisition, counted from 0, of each grid point (x fastest).
    background : shape (E,)
        The same of the empty frames: one before each line along x and one at the end.
    """
    depth, height, width = grid.shape
    planes = np.arange(depth * height * width).reshape(depth, height, width)
    planes[1::2] = planes[1::2, ::-1]
    lines = planes.reshape(depth * height, width)
    lines[1::2] = lines[1::2, ::-1]
    places = np.arange(depth * height * (width + 1) + 1)
    background = places[:: width + 1]
    foreground = np.empty(lines.size, np.int64)
    foreground[lines.ravel()] = np.delete(places, background)
    return foreground, background


class SignalToNoise:
    """Signal-to-noise ratio of each frequency of a calibration that comes in pieces.

    MDF does not define it; here it is the mean over the places of abs(signal - mean background), over the
    mean of abs(difference of consecutive background frames). A line without signal so has about 0.7.
    The background comes first.
    """

    def __init__(self) -> None:
        self._last: NDArray[np.complexfloating] | None = None
        self._background, self._jitter, self._strength = (np.zeros(()) for _ in range(3))
        self._empty = self._places = 0

    def add_background(self, spectra: NDArray[np.complexfloating]) -> None:
        """Take background frames (n, J, C, K) in the order of acquisition."""
        before = spectra[:0] if self._last is None else self._last[None]
        self._jitter = self._jitter + np.abs(np.diff(spectra, axis=0, prepend=before)).sum(axis=0)
        self._background = self._background + spectra.sum(axis=0, dtype=complex)
        self._last = spectra[-1]
        self._empty += len(spectra)

    def add_places(self, spectra: NDArray[np.complexfloating]) -> None:
        """Take the frames (n, J, C, K) of some places."""
        mean = (self._background / self._empty).astype(spectra.dtype)
        self._strength = self._strength + np.abs(spectra - mean).sum(axis=0, dtype=float)
        self._places += len(spectra)

    def check(self) -> None:
        """Refuse a background without noise, before the first place is measured.

        Raises
        ------
        UsageError
            When a line has no more than the rounding of single precision.
        """
        mean = np.abs(self._background / self._empty)
        rounding = np.finfo(np.float32).eps * np.sqrt(np.mean(mean**2, axis=-1, keepdims=True))
        if not np.all(self._jitter / max(self._empty - 1, 1) > rounding):
            raise UsageError(
                "some frequencies of the calibration have no noise, and so an infinite signal-to-noise ratio",
                hint="add noise at all frequencies, for instance --noise gaussian:level=channel,snr_db=40",
            )

    def ratio(self) -> Floats:
        """Return the ratio, shape (J, C, K)."""
        ratio: Floats = (self._strength / self._places) / (self._jitter / (self._empty - 1))
        return ratio
