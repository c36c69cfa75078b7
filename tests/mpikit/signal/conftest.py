"""Scans of any shape for the tests of what physics knows about one period."""

from __future__ import annotations

import numpy as np
import pytest

from mpikit.scan import Corrections, Scan
from mpikit.scanner import DriveField, SelectionField


@pytest.fixture
def make_field():
    """Return a maker of drive fields: one sine of a divider and phase for each channel."""

    def make(dividers, phases=None, *, periods=1, base_frequency=1e6, waveform="sine"):
        channels = len(dividers)
        phases = np.full(channels, np.pi / 2) if phases is None else np.asarray(phases, float)
        return DriveField(
            base_frequency=base_frequency,
            dividers=np.array(dividers)[:, None],
            amplitudes=np.full((periods, channels, 1), 0.01),
            phases=np.tile(phases[:, None], (periods, 1, 1)),
            waveforms=np.full((channels, 1), waveform),
        )

    return make


@pytest.fixture
def make_scan(make_field):
    """Return a maker of scans; empty frames come half before and half after the others."""

    def make(signal, background=None, *, repeats="none", field=None, **others):
        frames, periods, channels, samples = signal.shape
        if background is None:
            background = np.zeros((0, periods, channels, samples))
        order = np.arange(frames + len(background))
        foreground = order[len(background) // 2 :][:frames]
        values = {
            "foreground_index": foreground,
            "background_index": np.delete(order, foreground),
            "sampling_rate": 1e6,
            "unit": "V",
            "drive_field": field or make_field([samples], periods=periods),
            "selection_field": SelectionField(np.ones((periods, 2, 3, 3)), np.zeros((periods, 2, 3))),
            "stored_lines": np.ones(samples // 2 + 1, bool),
            "corrections": Corrections(),
            "repeats": repeats,
        }
        return Scan(
            signal=signal.astype(np.float32), background=background.astype(np.float32), **values | others
        )

    return make
