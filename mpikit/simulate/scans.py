"""A scan of a phantom: frames, periods, empty frames and noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import NumericalError, UsageError
from mpikit.events import Event, silent
from mpikit.records import Noise
from mpikit.scan import Corrections, Repeats, Scan
from mpikit.scanner import DriveField, SelectionField
from mpikit.simulate.phantoms import Phantom
from mpikit.simulate.presets import Preset
from mpikit.simulate.signals import signals

Floats = NDArray[np.float64]


def simulate_scan(
    preset: Preset,
    phantom: Phantom,
    *,
    frames: int,
    periods: int = 1,
    background_frames: int = 0,
    noise: Sequence[Noise] = (),
    rng: np.random.Generator,
    tell: Callable[[Event], None] = silent,
) -> tuple[Scan, Floats]:
    """Scan a phantom with an ideal receive chain: full bandwidth, no filter, no feed-through.

    One image is measured in every frame; several images give one frame each. The empty frames come half
    before and half after the others (one more before when their number is odd).

    Parameters
    ----------
    preset : Preset
    phantom : Phantom
        Q images, Q = 1 or Q = N.
    frames, periods, background_frames : int
        N, J and E.
    noise : sequence of Noise
        Their draws are added.
    rng : numpy.random.Generator
    tell : callable

    Returns
    -------
    scan : Scan
        The noisy scan in V.
    clean : shape (N, J, C, V), V
        The signal of the N frames without noise.

    Raises
    ------
    UsageError
        When the numbers of frames, periods and images make no scan.
    """
    _check_counts(len(phantom.images), frames, periods, background_frames)
    order = np.arange(frames + background_frames)
    before = (background_frames + 1) // 2
    foreground = order[before : before + frames]
    background = np.delete(order, foreground)
    one_period = signals(preset, phantom, tell=tell)
    channels, samples = one_period.shape[1:]
    clean = np.zeros((len(order), periods, channels, samples))
    clean[foreground] = one_period[:, None]
    noisy = add_noise(clean, noise, preset=preset, rng=rng)
    repeats = _repeats(len(phantom.images), frames, periods)
    scan = make_scan(preset, noisy, foreground, background, repeats=repeats, name=phantom.name)
    return scan, clean[foreground]


def add_noise(
    clean: Floats, noise: Sequence[Noise], *, preset: Preset, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Add the draws of all noise models to frames in the order of acquisition.

    Parameters
    ----------
    clean : shape (N, J, C, V), V
        All frames; empty ones are zero.
    noise : sequence of Noise
    preset : Preset
    rng : numpy.random.Generator

    Returns
    -------
    shape (N, J, C, V), V

    Raises
    ------
    NumericalError
        When a noise model gives values that are no numbers.
    """
    drive_field, _ = fields(preset, clean.shape[1])
    noisy = clean
    for model in noise:
        noisy = noisy + model(
            clean,
            frame_index=np.arange(len(clean)),
            sampling_rate=preset.receiver.sampling_rate,
            drive_field=drive_field,
            rng=rng,
        )
    if not np.all(np.isfinite(noisy)):
        raise NumericalError(
            "the noise has values that are no numbers", hint="look at the options of --noise"
        )
    return noisy.astype(np.float32)


def make_scan(
    preset: Preset,
    acquired: NDArray[np.float32],
    foreground: NDArray[np.int64],
    background: NDArray[np.int64],
    *,
    repeats: Repeats,
    name: str,
) -> Scan:
    """Sort acquired frames into a scan.

    Parameters
    ----------
    preset : Preset
    acquired : shape (N + E, J, C, V), V
        In the order of acquisition.
    foreground, background : shapes (N,) and (E,)
        Places of the frames in that order.
    repeats, name
        As in `Scan`.
    """
    drive_field, selection_field = fields(preset, acquired.shape[1])
    return Scan(
        signal=acquired[foreground],
        background=acquired[background],
        foreground_index=foreground,
        background_index=background,
        sampling_rate=preset.receiver.sampling_rate,
        unit="V",
        drive_field=drive_field,
        selection_field=selection_field,
        stored_lines=np.ones(acquired.shape[-1] // 2 + 1, bool),
        corrections=Corrections(),
        repeats=repeats,
        name=name,
    )


def fields(preset: Preset, periods: int) -> tuple[DriveField, SelectionField]:
    """Return the fields of a preset for several equal periods."""

    def tile(values: Floats) -> Floats:
        return np.repeat(values, periods, axis=0)

    drive, selection = preset.drive_field, preset.selection_field
    return (
        replace(drive, amplitudes=tile(drive.amplitudes), phases=tile(drive.phases)),
        SelectionField(tile(selection.gradient), tile(selection.offset)),
    )


def _check_counts(images: int, frames: int, periods: int, background_frames: int) -> None:
    if frames < 1 or periods < 1 or background_frames < 0:
        raise UsageError(
            f"{frames} frames, {periods} periods and {background_frames} empty frames make no scan",
            hint="give at least 1 frame, 1 period and 0 empty frames",
        )
    if images not in (1, frames):
        raise UsageError(
            f"{images} images do not fill {frames} frames", hint="give one image, or one a frame"
        )


def _repeats(images: int, frames: int, periods: int) -> Repeats:
    same_frames, same_periods = images == 1 and frames > 1, periods > 1
    if same_frames and same_periods:
        return "both"
    if same_frames:
        return "frames"
    return "periods" if same_periods else "none"
