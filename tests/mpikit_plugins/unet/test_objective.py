"""The loss of Peng et al.: zero for clean signals, and what it is made of."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from mpikit.signal import HarmonicFilter, Symmetry, fit_harmonic_filter
from mpikit.testing import example_scan
from mpikit_plugins.unet.objective import GradientDifference, amplitude, slope
from mpikit_plugins.unet.options import UNetOptions

CHANNELS, SAMPLES = 3, 120
LINES = SAMPLES // 2 + 1


def symmetry(angle, holds=True):
    return Symmetry(angle, np.full(angle.shape, holds), np.ones(angle.shape))


def about(center):
    """Odd about a time, counted in samples."""
    return symmetry(np.tile(2 * np.pi * np.arange(LINES) * center / SAMPLES, (CHANNELS, 1)))


def objective(found=None, *, keep=None, level=None, exact=True, **options):
    """The objective, with its phases in float64 unless they are to be those of a training."""
    keep = np.ones((CHANNELS, LINES), bool) if keep is None else keep
    level = torch.ones(CHANNELS, dtype=torch.float64) if level is None else torch.as_tensor(level)
    made = GradientDifference(HarmonicFilter(keep, found, SAMPLES), level, UNetOptions(**options))
    if exact and found is not None:
        made.rotation = torch.from_numpy(np.exp(1j * found.angle))
    return made


def odd(center, rng, signals=5):
    """Sines about a time that need not be a sample, (B, C, V)."""
    times = 2 * np.pi * (np.arange(SAMPLES) - center) / SAMPLES
    weights = rng.normal(size=(signals, CHANNELS, 25))
    return torch.from_numpy(weights @ np.sin(np.arange(1, 26)[:, None] * times))


def noise(rng, *shape):
    return torch.from_numpy(rng.normal(size=shape or (5, CHANNELS, SAMPLES)))


CENTERS = [0, SAMPLES / 4, 17, 7.3, 0.5]


@pytest.mark.parametrize("center", CENTERS)
def test_the_gradient_difference_of_a_clean_signal_is_zero(center, rng):
    clean = odd(center, rng)
    size = float(slope(clean).abs().mean())
    assert objective(about(center)).gradient_difference(clean) < 1e-12 * size
    single = objective(about(center), exact=False).gradient_difference(clean.float())
    assert single < 1e-5 * size
    elsewhere = objective(about(center + 1)).gradient_difference(clean)
    assert elsewhere > 0.05 * size  # one sample off


@pytest.mark.parametrize("center", [0, SAMPLES // 4, 17])
def test_it_compares_the_slope_with_that_of_the_mirrored_signal(center, rng):
    """The mean of |s'(t) - s'(2c - t)|, with samples mirrored around the period."""
    signal = noise(rng)
    mirrored = signal[..., (2 * center - np.arange(SAMPLES)) % SAMPLES]
    expected = slope(signal + mirrored).abs().mean()
    torch.testing.assert_close(objective(about(center)).gradient_difference(signal), expected)


def test_closed_form_for_a_cosine():
    """The even part counts twice: |2 cos'| has the mean 2 * 2 sin(pi/V) * <|sin|>."""
    line = 1
    angle = 2 * np.pi * line * np.arange(SAMPLES) / SAMPLES
    signal = torch.from_numpy(np.tile(np.cos(angle), (1, CHANNELS, 1)))
    mean = np.abs(np.sin(angle + np.pi / SAMPLES)).mean()
    expected = 4 * np.sin(np.pi / SAMPLES) * mean
    found = objective(about(0)).gradient_difference(signal)
    assert float(found) == pytest.approx(expected, rel=1e-12)
    angular = objective(about(0), gd_scale="angular").gradient_difference(signal)
    assert float(angular) == pytest.approx(expected * SAMPLES / (2 * np.pi), rel=1e-12)


def test_it_is_not_the_signed_sum_which_telescopes(rng):
    clean, wrong = odd(7.3, rng), odd(7.3 + SAMPLES / 4, rng) + 3
    loss = objective(about(7.3))
    steps = [float(loss.gradient_difference(clean + size * wrong)) for size in (0, 0.01, 0.1, 1)]
    assert steps[0] < 1e-12
    assert all(later > 9 * earlier for earlier, later in pairwise(steps[1:]))
    assert float(loss.gradient_difference(clean - wrong)) == pytest.approx(steps[-1], rel=1e-9)
    assert float(slope(clean + wrong).sum(dim=-1).abs().max()) < 1e-11  # the signed sum sees nothing


def test_fitted_phases(rng):
    """Relaxation turns each line by a phase of its own: s is odd only after turning it back."""
    angle = rng.uniform(-np.pi, np.pi, (CHANNELS, LINES))
    angle[:, [0, -1]] = np.pi / 2  # DC and the last line are real
    spectra = 1j * rng.normal(size=(5, CHANNELS, LINES)) * np.exp(-1j * angle)
    spectra[..., [0, -1]] = 0
    clean = torch.from_numpy(np.fft.irfft(spectra, n=SAMPLES))
    size = float(slope(clean).abs().mean())
    assert objective(symmetry(angle)).gradient_difference(clean) < 1e-12 * size
    assert objective(symmetry(angle), exact=False).gradient_difference(clean.float()) < 1e-5 * size
    assert objective(about(0)).gradient_difference(clean) > 0.1 * size


def test_phases_fitted_to_a_scan():
    """From the scan to the loss: clean repeats of signals with a phase on each line."""
    scan = example_scan(frames=7, periods=2, repeats="periods", background_frames=0)
    rng = np.random.default_rng(4)
    spectra = np.zeros((7, 1, 2, 82), complex)
    turn = np.exp(1j * rng.uniform(-1.5, 1.5, (2, 12)))
    spectra[..., 1:13] = 1j * rng.normal(size=(7, 1, 2, 12)) * turn
    signal = np.broadcast_to(np.fft.irfft(spectra, n=162), scan.signal.shape).astype(np.float32)
    harmonic = fit_harmonic_filter([replace(scan, signal=signal)])
    assert harmonic.symmetry.holds[:, 1:13].all()
    loss = GradientDifference(harmonic, torch.ones(2), UNetOptions())
    clean = torch.from_numpy(signal[:, 0])
    assert loss.gradient_difference(clean) < 1e-5 * slope(clean).abs().mean()
    torch.testing.assert_close(loss.prepare(clean), clean, rtol=0, atol=1e-5 * float(clean.abs().max()))


def test_lines_on_which_the_symmetry_does_not_hold_are_left_alone(rng):
    holds = np.arange(LINES) < 20
    angle = np.zeros((CHANNELS, LINES))
    loss = objective(symmetry(angle, holds))
    even = torch.from_numpy(np.cos(2 * np.pi * np.outer([3, 30], np.arange(SAMPLES)) / SAMPLES))[:, None]
    even = even.repeat(1, CHANNELS, 1)
    assert loss.gradient_difference(even[:1]) > 0.1
    assert loss.gradient_difference(even[1:]) < 1e-12
    prepared = loss.prepare(even)
    assert prepared[0].abs().max() < 1e-12
    torch.testing.assert_close(prepared[1], even[1], rtol=0, atol=1e-12)


def test_without_symmetry_nothing_is_projected_and_there_is_no_difference(rng):
    signal = noise(rng)
    assert objective().gradient_difference(signal) == 0
    torch.testing.assert_close(objective().prepare(signal), signal)


@pytest.mark.parametrize("center", [0, 7.3])
def test_preparing_is_the_harmonic_filter(center, rng):
    keep = rng.random((CHANNELS, LINES)) < 0.5
    signal = noise(rng)
    wanted = HarmonicFilter(keep, about(center), SAMPLES)(signal.numpy())
    loss = objective(about(center), keep=keep)
    once = loss.prepare(signal)
    np.testing.assert_allclose(once.numpy(), wanted, atol=2e-6)
    torch.testing.assert_close(loss.prepare(once), once)  # a projection
    bare = objective(about(center), keep=keep, project=False).prepare(signal)
    np.testing.assert_allclose(bare.numpy(), HarmonicFilter(keep, None, SAMPLES)(signal.numpy()), atol=2e-6)


class Gain(nn.Module):
    def __init__(self, gain):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(float(gain), dtype=torch.float64))

    def forward(self, signal):
        return self.gain * signal


def test_the_loss_is_the_sum_of_its_terms(rng):
    """L1 of projected output and other repeat, plus alpha and beta times means over the bare output."""
    first, second = noise(rng), noise(rng)
    level = np.array([0.5, 2.0, 1.0])
    terms = {"alpha": 0.0, "beta": 0.0}
    made = objective(about(0), level=level, **terms)
    net = Gain(0.7)
    prepared = made.prepare(first / made.level)
    scale = prepared.square().mean(dim=(1, 2), keepdim=True).sqrt()
    difference = (0.7 * prepared / scale - second / made.level / scale).abs().mean()
    torch.testing.assert_close(made.loss(net, first, second), difference)

    raw = 0.7 * prepared / scale
    smooth = objective(about(0), level=level, alpha=0.0, beta=0.4).loss(net, first, second)
    torch.testing.assert_close(smooth - difference, 0.4 * slope(raw).abs().mean())

    unprojected = {"level": level, "project": False, "beta": 0.0}
    without = objective(about(0), **unprojected, alpha=0.0).loss(net, first, second)
    with_it = objective(about(0), **unprojected, alpha=0.3).loss(net, first, second)
    made = objective(about(0), **unprojected)
    raw = made.prepare(first / made.level)
    raw = 0.7 * raw / amplitude(raw)
    torch.testing.assert_close(with_it - without, 0.3 * made.gradient_difference(raw))
    assert with_it > without


def test_channels_weigh_by_their_noise(rng):
    """A channel in another unit, signal and noise alike, changes nothing."""
    first, second = noise(rng), noise(rng)
    unit = torch.tensor([1.0, 1e-6, 300.0], dtype=torch.float64)
    loss = objective(about(0)).loss(Gain(0.7), first, second)
    scaled = objective(about(0), level=unit).loss(Gain(0.7), first * unit[:, None], second * unit[:, None])
    torch.testing.assert_close(loss, scaled)


class Biased(nn.Module):
    def forward(self, signal):
        return signal + 1 + signal.roll(3, -1).relu()


def test_prediction_is_homogeneous_whatever_the_network(rng):
    signal = noise(rng)
    made = objective(about(7.3), level=[0.5, 2.0, 1.0], project=False)
    with torch.no_grad():
        output = made.predict(Biased(), signal)
        for factor in (3.0, 1e-4):
            torch.testing.assert_close(
                made.predict(Biased(), factor * signal), factor * output, rtol=1e-5, atol=1e-12
            )
        assert not made.predict(Biased(), torch.zeros_like(signal)).any()
        signal[2] = 0
        partly = made.predict(Biased(), signal)
    assert not partly[2].any()
    torch.testing.assert_close(partly[[0, 1, 3, 4]], output[[0, 1, 3, 4]])


def test_the_amplitude_is_one_for_all_channels(rng):
    signal = noise(rng)
    signal[1] = 0
    found = amplitude(signal)
    assert found.shape == (5, 1, 1)
    np.testing.assert_allclose(found[[0, 2, 3, 4], 0, 0] ** 2, (signal**2).mean((1, 2))[[0, 2, 3, 4]])
    assert found[1] == 1


def test_the_slope_goes_around_the_period():
    torch.testing.assert_close(slope(torch.tensor([[1.0, 4.0, 9.0]])), torch.tensor([[3.0, 5.0, -8.0]]))
