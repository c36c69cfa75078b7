"""Which axis repeats, found from the data alone."""

from dataclasses import replace

import numpy as np
import pytest

from mpikit.scan_file import read_scan
from mpikit.scanner import SelectionField
from mpikit.signal import find_repeats

SAMPLES = 408
LINES = np.arange(1, 30)
CASES = ["frames", "periods", "both", "none"]


def particles(rng, repeats, frames, periods):
    """Odd signals of strong low lines; different ones where nothing repeats."""
    different = {"frames": (1, periods), "periods": (frames, 1), "both": (1, 1), "none": (frames, periods)}
    lines = rng.normal(size=(*different[repeats], 2, len(LINES))) / LINES**1.5
    waves = np.sin(2 * np.pi * LINES[:, None] * np.arange(SAMPLES) / SAMPLES)
    return np.broadcast_to(lines @ waves, (frames, periods, 2, SAMPLES))


@pytest.mark.parametrize("repeats", CASES)
@pytest.mark.parametrize("background", [0, 1, 2, 8])
@pytest.mark.parametrize("sigma", [0.0, 1e-3, 0.3])
def test_every_case(make_scan, rng, repeats, background, sigma):
    signal = particles(rng, repeats, 5, 3)
    scan = make_scan(
        signal + sigma * rng.normal(size=signal.shape),
        sigma * rng.normal(size=(background, *signal.shape[1:])),
    )
    assert find_repeats(scan) == repeats


@pytest.mark.parametrize("sigma", [0.0, 0.1])
def test_one_frame_cannot_repeat(make_scan, rng, sigma):
    for repeats, expected in [
        ("none", "none"),
        ("frames", "none"),
        ("periods", "periods"),
        ("both", "periods"),
    ]:
        signal = particles(rng, repeats, 1, 4)
        assert find_repeats(make_scan(signal + sigma * rng.normal(size=signal.shape))) == expected
    alone = particles(rng, "both", 1, 1)
    assert find_repeats(make_scan(alone + sigma * rng.normal(size=alone.shape))) == "none"


def test_two_frames_of_one_period(make_scan, rng):
    for repeats in ["frames", "none"]:
        signal = particles(rng, repeats, 2, 1)
        assert find_repeats(make_scan(signal + 0.05 * rng.normal(size=signal.shape))) == repeats


@pytest.mark.parametrize("part", ["offset", "gradient", "amplitudes", "phases"])
def test_periods_of_different_fields_never_repeat(make_scan, rng, part):
    """An empty scanner gives the same signal in every patch, which says nothing of a phantom."""
    signal = particles(rng, "both", 4, 3)
    scan = make_scan(signal + 0.1 * rng.normal(size=signal.shape))
    assert find_repeats(scan) == "both"
    change = np.array([0, 0, 1e-2])
    selection, drive = scan.selection_field, scan.drive_field
    if part in ("offset", "gradient"):
        values = {"gradient": selection.gradient, "offset": selection.offset}
        values[part] = values[part] + change.reshape(-1, *[1] * (values[part].ndim - 1))
        scan = replace(scan, selection_field=SelectionField(**values))
    else:
        values = {part: getattr(drive, part) + change[:, None, None]}
        scan = replace(scan, drive_field=replace(drive, **values))
    assert find_repeats(scan) == "frames"


def test_an_unknown_selection_field_does_not_matter(make_scan, rng):
    signal = particles(rng, "periods", 4, 3) + 0.1 * rng.normal(size=(4, 3, 2, SAMPLES))
    assert find_repeats(make_scan(signal, selection_field=None)) == "periods"


@pytest.mark.parametrize("repeats", CASES)
def test_a_drifting_phase_locked_background(make_scan, rng, repeats):
    """Empty frames at both ends take the drift away; harmonics as strong as the particles."""
    frames, periods, empty = 12, 3, 10
    order = np.arange(frames + empty)[:, None, None, None]
    time = 2 * np.pi * np.arange(SAMPLES) / SAMPLES
    feedthrough = sum(np.cos(line * time + 1e-3 * order) / line for line in (1, 2, 3, 5))
    drift = (1 + 0.004 * order) * feedthrough + 0.02 * rng.normal(size=(frames + empty, periods, 2, SAMPLES))
    signal = particles(rng, repeats, frames, periods) + drift[5:17]
    scan = make_scan(signal, np.concatenate([drift[:5], drift[17:]]))
    assert find_repeats(scan) == repeats


def test_its_own_word_is_not_looked_at(make_scan, rng):
    signal = particles(rng, "frames", 6, 1) + 0.1 * rng.normal(size=(6, 1, 2, SAMPLES))
    for said in CASES:
        assert find_repeats(make_scan(signal, repeats=said)) == "frames"


def test_lines_that_are_not_stored_say_nothing(make_scan, rng):
    """Junk on lines that are not stored would deny the repeats."""
    signal = particles(rng, "frames", 6, 1) + 0.01 * rng.normal(size=(6, 1, 2, SAMPLES))
    spectra = np.fft.rfft(signal)
    stored = np.arange(SAMPLES // 2 + 1) < 100
    spectra[..., ~stored] = 0
    spectra[..., 120:180] = 1e4 * rng.normal(size=(6, 1, 2, 60))
    signal = np.fft.irfft(spectra, n=SAMPLES)
    assert find_repeats(make_scan(signal, stored_lines=stored)) == "frames"
    assert find_repeats(make_scan(signal)) == "none"


def test_many_frames_are_sampled_over_the_whole_scan(make_scan, rng):
    signal = np.repeat(particles(rng, "none", 2, 1), 150, axis=0)  # another object from the middle on
    signal = signal + 0.1 * rng.normal(size=signal.shape)
    assert find_repeats(make_scan(signal)) == "none"
    assert find_repeats(make_scan(signal[:150])) == "frames"


@pytest.mark.parametrize(
    ("name", "repeats"),
    [
        ("bruker2d-measurement.mdf", "frames"),
        ("bruker1d-measurement.mdf", "periods"),
        ("openmpi3d-small-measurement.mdf", "none"),
        ("multipatch-measurement.mdf", "frames"),
    ],
)
def test_samples(samples, name, repeats):
    assert read_scan(samples / name).repeats == repeats
