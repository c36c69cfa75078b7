"""A scan of phantoms: frames, periods, empty frames and noise, in blocks that are made one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import UsageError
from mpikit.events import Event, Step, silent
from mpikit.records import Noise
from mpikit.scan import Repeats, Scan
from mpikit.simulate.acquisition import Acquired, Acquisition, header, streams
from mpikit.simulate.phantoms import Digits, Phantom
from mpikit.simulate.presets import Preset
from mpikit.simulate.signals import Form, Signals, check_scanner
from mpikit.workers import in_order

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_BLOCK = 1 << 22  # samples in a block of frames
_PROBES = 64  # phantoms that tell the mean power of all


@dataclass(frozen=True)
class Block:
    """Consecutive frames in the order of acquisition.

    Parameters
    ----------
    acquired : Acquired
        n frames, empty ones included.
    clean : shape (m, 1 or J, C, V), V
        The particle signal of the foreground frames among them.
    signal_power, noise_power : float, V²
        Sums of squares over the samples of the foreground frames: particle signal, and all that was added.
    """

    acquired: Acquired
    clean: NDArray[np.float32]
    signal_power: float
    noise_power: float


@dataclass(frozen=True)
class Session:
    """Scans that were made one after the other.

    Parameters
    ----------
    seed : int
        Of what their noise has in common, such as the phases of a background.
    first_frame : int
        Place of the first frame of this scan among all of them.
    """

    seed: int
    first_frame: int = 0


class Simulation:
    """A scan that is about to be made.

    One phantom is measured in every frame; several give one frame each. The empty frames come half before
    and half after the others (one more before when their number is odd).

    Parameters
    ----------
    preset : Preset
    phantom : Phantom or Digits
        Q images, Q = 1 or Q = N.
    frames, periods, background_frames : int
        N, J and E.
    noise : sequence of Noise
        Their draws are added.
    rng : numpy.random.Generator
    session : Session or None
        None: the scan stands by itself.
    form : {"auto", "x-space", "direct"}
        See `Signals`.
    tell : callable

    Raises
    ------
    UsageError
        When the numbers of frames, periods and images make no scan, or the receiver cannot hold the signal.
    """

    def __init__(
        self,
        preset: Preset,
        phantom: Phantom | Digits,
        *,
        frames: int,
        periods: int = 1,
        background_frames: int = 0,
        noise: Sequence[Noise] = (),
        rng: np.random.Generator,
        session: Session | None = None,
        form: Form = "auto",
        tell: Callable[[Event], None] = silent,
    ) -> None:
        _check_counts(preset, phantom.count, frames, periods, background_frames)
        check_scanner(preset, phantom.grid)
        self.preset, self.phantom = preset, phantom
        self.frames, self.periods, self.background_frames = frames, periods, background_frames
        order = np.arange(frames + background_frames)
        self._before = (background_frames + 1) // 2
        self.foreground: Indices = order[self._before : self._before + frames]
        self.background: Indices = np.delete(order, self.foreground)
        filled = None
        if isinstance(phantom, Phantom):
            filled = int(np.count_nonzero(phantom.images.any(axis=0)))
        self.signals = Signals(preset, phantom.grid, images=phantom.count, filled=filled, form=form)
        together, apart = rng.spawn(2)
        self._together_rng = together if session is None else np.random.default_rng((session.seed, 2))
        self._first_frame = 0 if session is None else session.first_frame
        self._streams = streams(apart, self.blocks)
        self._noise, self._tell = tuple(noise), tell
        self.power: Floats | None = None
        self._prepared: _Prepared | None = None

    def prepare(self) -> None:
        """Do what all blocks have in common: the signal of a single phantom, and what the noise shares."""
        if self._prepared is not None:
            return
        self.signals.prepare()
        empty, one = self._periods(self.signals.empty()), None
        if self.phantom.count == 1:
            one = self.signals.of(self.phantom.part(slice(0, 1)), tell=self._tell)
        power = self._power(one) if self.power is None else self.power
        acquisition = Acquisition(
            self.preset, self._noise, periods=self.periods, power=power, rng=self._together_rng
        )
        self._prepared = _Prepared(empty, None if one is None else self._periods(one), acquisition)

    def mean_power(self) -> Floats:
        """Return the mean square of the particle signal in each channel, shape (C,), V².

        Over up to `_PROBES` phantoms; the noise of several scans may refer to one power, see `power`.
        """
        one = self.signals.of(self.phantom.part(slice(0, 1))) if self.phantom.count == 1 else None
        return self._power(one)

    @property
    def blocks(self) -> int:
        """Number of blocks that `draw` makes."""
        return -(-(self.frames + self.background_frames) // self._together)

    @property
    def repeats(self) -> Repeats:
        """Along which axes the clean signal is the same."""
        same_frames = self.phantom.count == 1 and self.frames > 1
        same_periods = self.periods > self.preset.patches == 1
        if same_frames and same_periods:
            return "both"
        if same_frames:
            return "frames"
        return "periods" if same_periods else "none"

    def draw(self, index: int, /) -> Block:
        """Make one block of frames."""
        first = index * self._together
        order = np.arange(first, min(first + self._together, self.frames + self.background_frames))
        inside = np.isin(order, self.foreground)
        if self._prepared is None:
            self.prepare()
        assert self._prepared is not None  # noqa: S101 - `prepare` has made it
        empty, acquisition = self._prepared.empty, self._prepared.acquisition
        clean = self._clean(order[inside] - self._before)
        particles = np.zeros((len(order), *clean.shape[1:]))
        particles[inside] = clean
        rng = np.random.default_rng(self._streams[index])
        acquired = acquisition.acquire(particles, empty, order + self._first_frame, rng)
        added = acquired.volts[inside] - (clean + empty)
        factor = self.periods / clean.shape[1]
        return Block(
            acquired,
            clean.astype(np.float32),
            signal_power=factor * float(np.sum(clean**2)),
            noise_power=float(np.sum(added**2)),
        )

    def header(self) -> Scan:
        """Return all that is known of the scan but its samples, which are zero and take no memory."""
        return header(
            self.preset,
            self.foreground,
            self.background,
            periods=self.periods,
            repeats=self.repeats,
            name=self.phantom.name,
        )

    @property
    def _together(self) -> int:
        """Frames in a block: by the size of a frame alone, so that a seed gives the same scan everywhere."""
        receiver = self.preset.receiver
        frame = self.periods * receiver.averages * receiver.channels * self.preset.samples
        voxels = int(np.prod(self.phantom.grid.size)) if self.phantom.count > 1 else 0
        return max(1, _BLOCK // max(frame, voxels))

    def _clean(self, numbers: Indices) -> Floats:
        """Particle signal of some foreground frames, shape (n, 1 or J, C, V)."""
        assert self._prepared is not None  # noqa: S101 - `draw` has seen to it
        if self._prepared.one is not None:
            return np.repeat(self._prepared.one, len(numbers), axis=0)
        if not len(numbers):
            return np.zeros((0, *self._prepared.empty.shape))
        return self._periods(self.signals.of(self.phantom.part(slice(int(numbers[0]), int(numbers[-1]) + 1))))

    def _periods(self, signals: Floats) -> Floats:
        """Repeat the periods of several patches, (..., P, C, V), up to J; a single one stands for all."""
        patches = self.preset.patches
        return signals if patches == 1 else np.repeat(signals, self.periods // patches, axis=-3)

    def _power(self, one: Floats | None) -> Floats:
        if one is not None:
            return np.asarray(np.mean(one**2, axis=(0, 1, 3)))
        chosen = np.unique(np.linspace(0, self.phantom.count - 1, _PROBES).round().astype(int))
        images = [self.phantom.part(slice(each, each + 1)).images for each in chosen.tolist()]
        probes = Phantom(np.concatenate(images), self.phantom.grid, self.phantom.name)
        return np.asarray(np.mean(self.signals.of(probes) ** 2, axis=(0, 1, 3)))


@dataclass(frozen=True)
class _Prepared:
    """What all blocks need: signals of the empty scanner and of a single phantom, and the electronics."""

    empty: Floats
    one: Floats | None
    acquisition: Acquisition


def simulate_scan(
    preset: Preset,
    phantom: Phantom | Digits,
    *,
    frames: int,
    periods: int = 1,
    background_frames: int = 0,
    noise: Sequence[Noise] = (),
    rng: np.random.Generator,
    form: Form = "auto",
    tell: Callable[[Event], None] = silent,
) -> tuple[Scan, NDArray[np.float32]]:
    """Scan phantoms, all in memory.

    Parameters
    ----------
    preset, phantom, frames, periods, background_frames, noise, rng, form, tell
        See `Simulation`.

    Returns
    -------
    scan : Scan
        The noisy scan in V.
    clean : shape (N, J, C, V), V
        The particle signal of the N frames, without noise and feed-through.

    Raises
    ------
    UsageError
        When the numbers of frames, periods and images make no scan, or the receiver cannot hold the signal.
    NumericalError
        When a noise model gives values that are no numbers.
    """
    plan = Simulation(
        preset,
        phantom,
        frames=frames,
        periods=periods,
        background_frames=background_frames,
        noise=noise,
        rng=rng,
        form=form,
        tell=tell,
    )
    known = plan.header()
    acquired = np.empty((frames + background_frames, *known.signal.shape[1:]), np.float32)
    clean = np.empty(known.signal.shape, np.float32)
    at = done = 0
    with in_order(plan) as blocks:
        for index, block in enumerate(blocks, start=1):
            acquired[at : at + len(block.acquired.volts)] = block.acquired.volts
            clean[done : done + len(block.clean)] = block.clean
            at, done = at + len(block.acquired.volts), done + len(block.clean)
            tell(Step(index, plan.blocks))
    return replace(known, signal=acquired[plan.foreground], background=acquired[plan.background]), clean


def _check_counts(preset: Preset, images: int, frames: int, periods: int, background_frames: int) -> None:
    if min(frames, background_frames) < 0 or frames + background_frames < 1 or periods < 1:
        raise UsageError(
            f"{frames} frames, {periods} periods and {background_frames} empty frames make no scan",
            hint="give at least 1 frame, 1 period and 0 empty frames",
        )
    if images not in (1, frames):
        raise UsageError(
            f"{images} images do not fill {frames} frames", hint="give one image, or one a frame"
        )
    if periods % preset.patches:
        raise UsageError(
            f"{periods} periods do not fit {preset.patches} patches with a selection field of their own",
            hint=f"give a multiple of {preset.patches} periods",
        )
