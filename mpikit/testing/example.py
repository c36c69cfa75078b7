"""A small scan with everything that a method may need."""

from __future__ import annotations

import numpy as np

from mpikit.scan import Corrections, Repeats, Scan
from mpikit.scanner import DriveField


def example_scan(
    *,
    frames: int = 6,
    periods: int = 1,
    repeats: Repeats = "frames",
    background_frames: int = 4,
    seed: int = 3,
) -> Scan:
    """Make a small scan: odd harmonic signals of two channels, white noise, and empty frames.

    One channel of a 25 kHz cosine drive field, 162 samples in a period. The signal is a sum of sines, so
    s(-t) = -s(t) as the symmetry of a cosine excitation asks; its rms is ten times the noise's.

    Parameters
    ----------
    frames, periods, background_frames : int
        N, J and E.
    repeats : {"frames", "periods", "both", "none"}
        Along which axes the clean signal is the same.
    seed : int
    """
    rng = np.random.default_rng(seed)
    channels, samples, lines = 2, 162, 12
    objects = (
        1 if repeats in ("frames", "both") else frames,
        1 if repeats in ("periods", "both") else periods,
    )
    weights = rng.normal(size=(*objects, channels, lines)) / np.arange(1, lines + 1)
    harmonics = np.sin(2 * np.pi * np.outer(np.arange(1, lines + 1), np.arange(samples)) / samples)
    clean = np.broadcast_to(weights @ harmonics, (frames, periods, channels, samples))
    deviation = 0.1 * np.sqrt(np.mean(clean**2))
    empty = (background_frames, periods, channels, samples)
    return Scan(
        signal=(clean + rng.normal(0, deviation, clean.shape)).astype(np.float32),
        background=rng.normal(0, deviation, empty).astype(np.float32),
        foreground_index=np.arange(background_frames // 2, background_frames // 2 + frames),
        background_index=np.r_[
            : background_frames // 2, background_frames // 2 + frames : background_frames + frames
        ],
        sampling_rate=25e3 * samples,
        unit="V",
        drive_field=DriveField(
            base_frequency=2.5e6,
            dividers=np.array([[100]]),
            amplitudes=np.full((periods, 1, 1), 12e-3),
            phases=np.full((periods, 1, 1), np.pi / 2),
            waveforms=np.array([["sine"]]),
        ),
        selection_field=None,
        stored_lines=np.ones(samples // 2 + 1, bool),
        corrections=Corrections(),
        repeats=repeats,
        name="example",
    )
