"""Figures of a report on signals: amplitudes, SNR of lines, the residual."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit.report.blocks import Facts, Table, Words
from mpikit.report.residual import amplitudes, as_treated, find_residual, line_amplitude
from mpikit.report.signals import line_snr, signal_sections
from mpikit.report.spread import directions, follows_itself, noise_left
from mpikit.signal import noise_statistics
from mpikit.testing import example_scan


def texts(section):
    """Return all facts and words of a section."""
    facts = dict(row for block in section.blocks if isinstance(block, Facts) for row in block.rows)
    return facts, " ".join(block.text for block in section.blocks if isinstance(block, Words))


@pytest.mark.parametrize("samples", [30, 31])
def test_the_amplitude_of_a_sine_is_its_own(samples):
    times = np.arange(samples) / samples
    signal = np.stack([1.5 * np.sin(2 * np.pi * 4 * times), 0.5 + 0.25 * np.cos(2 * np.pi * 3 * times)])
    found = amplitudes(np.broadcast_to(signal, (3, 2, 2, samples)))
    expected = np.zeros((2, samples // 2 + 1))
    expected[0, 4], expected[1, 0], expected[1, 3] = 1.5, 0.5, 0.25
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_amplitudes_are_averaged_as_powers():
    one = np.sin(2 * np.pi * np.arange(12) / 12)[None, None, None]
    assert amplitudes(np.concatenate([one, 7 * one]))[0, 1] == pytest.approx(5)


def test_the_snr_of_a_line_is_signal_over_noise():
    scan = example_scan(frames=2)
    line, samples = 5, scan.signal.shape[-1]
    noise = np.full((2, samples // 2 + 1), 4.0)
    wave = np.cos(2 * np.pi * line * np.arange(samples) / samples)
    power = 4.0 * (1 + 100)  # of the line, noise and 100 times as much signal
    signal = np.broadcast_to(wave * np.sqrt(power) * 2 / samples, scan.signal.shape).astype(np.float32)
    lines = np.zeros(noise.shape, bool)
    lines[1, line] = True
    found = line_snr(replace(scan, signal=signal), lines, noise)
    assert found[1, line] == pytest.approx(20, abs=1e-4)
    assert np.isnan(np.delete(found.ravel(), lines.size // 2 + line)).all()
    assert np.isnan(line_snr(replace(scan, signal=signal), lines, 0 * noise)).all()


def test_the_noise_left_is_the_variance_over_repeats(rng):
    scan = example_scan(frames=5, periods=3, repeats="frames")
    signal = rng.normal(size=(5, 3, 2, 162)).astype(np.float32)
    spectra = np.fft.rfft(signal, axis=-1)
    expected = (spectra.real.var(axis=0, ddof=1) + spectra.imag.var(axis=0, ddof=1)).mean(axis=0)
    np.testing.assert_allclose(noise_left(replace(scan, signal=signal), "frames"), expected, rtol=1e-5)
    assert noise_left(replace(scan, signal=signal), "none") is None


def clean_of(scan):
    """Return the scan without noise: the mean of many repeats of the same clean signal."""
    many = example_scan(frames=4000, background_frames=0)
    return many.signal.mean(axis=0, keepdims=True).repeat(len(scan.signal), axis=0)


@pytest.mark.parametrize(("frames", "background"), [(40, 0), (40, 400)])
def test_a_residual_of_noise_is_called_so(frames, background):
    scan = example_scan(frames=frames, background_frames=background)
    clean = replace(scan, signal=clean_of(scan))
    found = find_residual(scan, clean)
    assert found.whiteness.is_noise
    assert found.independent
    assert found.power == pytest.approx(0.01, rel=0.05)  # the rms of the signal is ten times the noise's
    noise = line_amplitude(noise_statistics(scan).line_power, 162)
    assert np.mean(found.amplitude[:, 1:-1] / noise[:, 1:-1]) == pytest.approx(1, abs=0.05)


def test_a_residual_with_signal_is_not():
    scan = example_scan(frames=40, background_frames=0)
    shrunk = replace(scan, signal=(0.8 * clean_of(scan)).astype(np.float32))
    found = find_residual(scan, shrunk)
    assert not found.whiteness.is_noise
    assert found.whiteness.correlation > 0.1


def test_without_independent_noise_there_is_no_verdict():
    scan = example_scan(frames=3, background_frames=0)
    found = find_residual(scan, replace(scan, signal=clean_of(scan)))
    assert not found.independent
    *_, section = signal_sections(replace(scan, signal=clean_of(scan)), scan)
    assert texts(section)[0]["verdict"].startswith("none: ")


def test_a_background_that_was_subtracted_leaves_no_verdict_if_its_noise_dominates():
    scan = example_scan(frames=40, background_frames=4)
    after = replace(scan, signal=clean_of(scan), corrections=replace(scan.corrections, background=True))
    treated = as_treated(scan, after)
    assert treated.corrections.background
    assert not find_residual(treated, after).independent
    assert as_treated(scan, scan) is scan


def test_the_sections_before_and_after():
    scan = example_scan(frames=12)
    corrections = replace(scan.corrections, background=True)
    sections = signal_sections(replace(scan, signal=clean_of(scan), corrections=corrections), scan)
    assert [section.title for section in sections] == [
        *("Signals before and after", "SNR per harmonic", "Residual"),
    ]
    words = texts(sections[1])[1]
    assert "which was measured from the repeats" in words
    assert "the repeats are all alike" in words
    [table] = [block for block in sections[1].blocks if isinstance(block, Table)]
    assert table.headings == ("channel", "kHz", "SNR before / dB")


def test_the_strongest_harmonic_leads_the_table():
    sections = signal_sections(example_scan(frames=50))
    [table] = [block for block in sections[1].blocks if isinstance(block, Table)]
    values = [float(row[2]) for row in table.rows]
    assert values == sorted(values, reverse=True)
    assert all(float(row[1]) / 25 <= 12 for row in table.rows)  # the scan has twelve harmonics of 25 kHz


@pytest.mark.parametrize(("value", "words"), [(np.nan, "no numbers"), (0.0, "zero everywhere")])
def test_what_cannot_be_drawn_is_said(value, words):
    scan = example_scan(frames=3)
    [section] = signal_sections(replace(scan, signal=np.full_like(scan.signal, value)))
    assert words in texts(section)[1]


def test_noise_alone_has_no_harmonic(rng):
    scan = example_scan(frames=30)
    noise = rng.normal(size=scan.signal.shape).astype(np.float32)
    sections = signal_sections(
        replace(scan, signal=noise, background=scan.background[:0], background_index=np.arange(0))
    )
    assert texts(sections[1])[1] == "No line stands out of the noise."


def projected(scan):
    """Return the scan with each repeat projected on the mean of all: one amplitude is left."""
    rows = scan.signal.astype(np.float64).reshape(len(scan.signal), -1)
    mean = rows.mean(axis=0)
    return replace(
        scan, signal=np.outer(rows @ mean / (mean @ mean), mean).reshape(scan.signal.shape).astype(np.float32)
    )


def test_directions_count_what_differs(rng):
    scan = example_scan(frames=30, background_frames=0)
    lines = np.zeros((2, 82), bool)
    lines[:, 3:9] = True
    assert directions(projected(scan), "frames", lines) == pytest.approx(1, abs=1e-3)
    many = example_scan(frames=400, background_frames=0)
    noise = replace(many, signal=rng.normal(size=many.signal.shape).astype(np.float32))
    count = 2 * lines.sum()  # real and imaginary parts
    expected = 128 * count / (128 + count)
    assert directions(noise, "frames", lines) == pytest.approx(expected, rel=0.05)
    still = replace(scan, signal=np.ones_like(scan.signal))
    assert directions(still, "frames", lines) == directions(scan, "none", lines) == 0
    assert directions(scan, "frames", ~lines & lines) == 0


def test_the_spread_of_repeats_on_one_direction_tells_no_noise():
    scan = example_scan(frames=30, background_frames=0)
    lines = np.zeros((2, 82), bool)
    lines[:, [1, 3, 5]] = True
    assert follows_itself(scan, replace(scan, signal=0.5 * scan.signal), lines)
    assert not follows_itself(scan, projected(scan), lines)
    few = example_scan(frames=2, background_frames=0)
    assert not follows_itself(few, few, lines)  # two repeats differ along one direction, whatever was done


@pytest.mark.parametrize(
    ("treat", "pooled", "words", "columns"),
    [
        (projected, False, "differ from each other along fewer directions", 3),
        (lambda scan: scan, True, "each repeat was made of several", 3),
        (lambda scan: replace(scan, signal=0.5 * scan.signal), False, "is the spread of the repeats", 4),
    ],
)
def test_the_snr_after_is_shown_where_it_is_known(treat, pooled, words, columns):
    scan = example_scan(frames=30, background_frames=0)
    section = signal_sections(treat(scan), scan, pooled=pooled)[1]
    assert words in texts(section)[1]
    [table] = [block for block in section.blocks if isinstance(block, Table)]
    assert len(table.headings) == columns
    if columns == 4:  # the same gain of signal and noise changes no SNR
        first, second = ([float(row[at]) for row in table.rows] for at in (2, 3))
        np.testing.assert_allclose(second, first, atol=3)
