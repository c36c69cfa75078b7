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
from mpikit_plugins.training import Preparation
from mpikit_plugins.training.preparation import divisor, peak, root_mean_square
from mpikit_plugins.unet.method import UNetGradientDifference
from mpikit_plugins.unet.objective import gradient_difference, slope
from mpikit_plugins.unet.options import UNetOptions

CHANNELS, SAMPLES = 3, 120
LINES = SAMPLES // 2 + 1


def symmetry(angle, holds=True):
    return Symmetry(angle, np.full(angle.shape, holds), np.ones(angle.shape))


def about(center):
    """Odd about a time, counted in samples."""
    return symmetry(np.tile(2 * np.pi * np.arange(LINES) * center / SAMPLES, (CHANNELS, 1)))


def prepared(found=None, *, keep=None, level=None, exact=True, grid=SAMPLES, project=True):
    """The preparation, with its phases in float64 unless they are to be those of a training."""
    keep = np.ones((CHANNELS, LINES), bool) if keep is None else keep
    level = np.ones(CHANNELS) if level is None else np.asarray(level, float)
    made = Preparation(HarmonicFilter(keep, found, SAMPLES), level, grid, project=project)
    if exact and found is not None:
        made.rotation = torch.from_numpy(np.exp(1j * found.angle[:, : grid // 2 + 1]))
    return made


def difference(found, signal, **how):
    return gradient_difference(signal, prepared(found, **how))


def method(preparation, **options):
    made = UNetGradientDifference(UNetOptions(project=preparation.project_symmetry, **options))
    made._preparation = preparation
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
    assert difference(about(center), clean) < 1e-12 * size
    single = difference(about(center), clean.float(), exact=False)
    assert single < 1e-5 * size
    elsewhere = difference(about(center + 1), clean)
    assert elsewhere > 0.05 * size  # one sample off


@pytest.mark.parametrize("center", [0, SAMPLES // 4, 17])
def test_it_compares_the_slope_with_that_of_the_mirrored_signal(center, rng):
    """The mean of |s'(t) - s'(2c - t)|, with samples mirrored around the period."""
    signal = noise(rng)
    mirrored = signal[..., (2 * center - np.arange(SAMPLES)) % SAMPLES]
    expected = slope(signal + mirrored).abs().mean()
    torch.testing.assert_close(difference(about(center), signal), expected)


def test_closed_form_for_a_cosine():
    """The even part counts twice: |2 cos'| has the mean 2 * 2 sin(pi/V) * <|sin|>."""
    line = 1
    angle = 2 * np.pi * line * np.arange(SAMPLES) / SAMPLES
    signal = torch.from_numpy(np.tile(np.cos(angle), (1, CHANNELS, 1)))
    mean = np.abs(np.sin(angle + np.pi / SAMPLES)).mean()
    expected = 4 * np.sin(np.pi / SAMPLES) * mean
    assert float(difference(about(0), signal)) == pytest.approx(expected, rel=1e-12)
    for scale, factor in (("sample", 1), ("angular", SAMPLES / (2 * np.pi))):
        prior = method(prepared(about(0)), alpha=0.5, beta=0, gd_scale=scale).prior(signal)
        assert float(prior) == pytest.approx(0.5 * expected * factor, rel=1e-12)


@pytest.mark.parametrize("scale", ["sample", "angular"])
def test_the_priors_are_the_same_on_a_coarser_grid(scale):
    """A slow signal, on a third of the samples: slopes are those of the measurement, up to their steps."""
    grid = SAMPLES // 3
    signal = 3 * np.cos(2 * np.pi * np.arange(SAMPLES) / SAMPLES) + np.cos(
        6 * np.pi * np.arange(SAMPLES) / SAMPLES
    )
    fine = torch.from_numpy(np.tile(signal, (2, CHANNELS, 1)))
    for options in ({"alpha": 1.0, "beta": 0.0, "gd_scale": scale}, {"alpha": 0.0, "beta": 1.0}):
        priors = [
            method(prepared(about(7.3), grid=each), **options).prior(fine[..., :: SAMPLES // each])
            for each in (SAMPLES, grid)
        ]
        assert float(priors[1]) == pytest.approx(float(priors[0]), rel=0.01)
        assert float(priors[0]) > 0.01
    assert method(prepared(about(7.3)), alpha=0, beta=0).prior(fine) is None


def test_it_is_not_the_signed_sum_which_telescopes(rng):
    clean, wrong = odd(7.3, rng), odd(7.3 + SAMPLES / 4, rng) + 3
    steps = [float(difference(about(7.3), clean + size * wrong)) for size in (0, 0.01, 0.1, 1)]
    assert steps[0] < 1e-12
    assert all(later > 9 * earlier for earlier, later in pairwise(steps[1:]))
    assert float(difference(about(7.3), clean - wrong)) == pytest.approx(steps[-1], rel=1e-9)
    assert float(slope(clean + wrong).sum(dim=-1).abs().max()) < 1e-11  # the signed sum sees nothing


def test_fitted_phases(rng):
    """Relaxation turns each line by a phase of its own: s is odd only after turning it back."""
    angle = rng.uniform(-np.pi, np.pi, (CHANNELS, LINES))
    angle[:, [0, -1]] = np.pi / 2  # DC and the last line are real
    spectra = 1j * rng.normal(size=(5, CHANNELS, LINES)) * np.exp(-1j * angle)
    spectra[..., [0, -1]] = 0
    clean = torch.from_numpy(np.fft.irfft(spectra, n=SAMPLES))
    size = float(slope(clean).abs().mean())
    assert difference(symmetry(angle), clean) < 1e-12 * size
    assert difference(symmetry(angle), clean.float(), exact=False) < 1e-5 * size
    assert difference(about(0), clean) > 0.1 * size


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
    found = Preparation(harmonic, np.ones(2, np.float32), 162, project=True)
    clean = torch.from_numpy(signal[:, 0])
    assert gradient_difference(clean, found) < 1e-5 * slope(clean).abs().mean()
    torch.testing.assert_close(found.project(clean), clean, rtol=0, atol=1e-5 * float(clean.abs().max()))


def test_lines_on_which_the_symmetry_does_not_hold_are_left_alone(rng):
    holds = np.arange(LINES) < 20
    angle = np.zeros((CHANNELS, LINES))
    found = prepared(symmetry(angle, holds))
    even = torch.from_numpy(np.cos(2 * np.pi * np.outer([3, 30], np.arange(SAMPLES)) / SAMPLES))[:, None]
    even = even.repeat(1, CHANNELS, 1)
    assert gradient_difference(even[:1], found) > 0.1
    assert gradient_difference(even[1:], found) < 1e-12
    projected = found.project(even)
    assert projected[0].abs().max() < 1e-12
    torch.testing.assert_close(projected[1], even[1], rtol=0, atol=1e-12)


def test_without_symmetry_nothing_is_projected_and_there_is_no_difference(rng):
    signal = noise(rng)
    assert difference(None, signal) == 0
    torch.testing.assert_close(prepared().project(signal), signal)


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
    made = prepared(about(0), level=level)
    net = Gain(0.7)
    seen = made.project(first / made.level)
    scale = seen.square().mean(dim=(1, 2), keepdim=True).sqrt()
    raw = 0.7 * seen / scale
    distance = (raw - second / made.level / scale).abs().mean()
    torch.testing.assert_close(method(made, **terms).loss(net, first, second), distance)
    smooth = method(made, alpha=0.0, beta=0.4).loss(net, first, second)
    torch.testing.assert_close(smooth - distance, 0.4 * slope(raw).abs().mean())
    largest = seen.abs().amax(dim=(1, 2), keepdim=True)
    peaked = method(made, **terms, scale="peak").loss(net, first, second)
    distance = ((0.7 * seen - second / made.level) / largest).abs().mean()
    torch.testing.assert_close(peaked, distance)

    made = prepared(about(0), level=level, project=False)
    without = method(made, alpha=0.0, beta=0.0).loss(net, first, second)
    with_it = method(made, alpha=0.3, beta=0.0).loss(net, first, second)
    raw = made.project(first / made.level)
    raw = 0.7 * raw / root_mean_square(raw)
    torch.testing.assert_close(with_it - without, 0.3 * gradient_difference(raw, made))
    assert with_it > without


def test_channels_weigh_by_their_noise(rng):
    """A channel in another unit, signal and noise alike, changes nothing."""
    first, second = noise(rng), noise(rng)
    unit = torch.tensor([1.0, 1e-6, 300.0], dtype=torch.float64)
    loss = method(prepared(about(0))).loss(Gain(0.7), first, second)
    scaled = method(prepared(about(0), level=unit.numpy())).loss(
        Gain(0.7), first * unit[:, None], second * unit[:, None]
    )
    torch.testing.assert_close(loss, scaled)


class Biased(nn.Module):
    def forward(self, signal):
        return signal + 1 + signal.roll(3, -1).relu()


@pytest.mark.parametrize("scale", ["rms", "peak"])
def test_prediction_is_homogeneous_whatever_the_network(rng, scale):
    signal = noise(rng)
    made = method(prepared(about(7.3), level=[0.5, 2.0, 1.0], project=False), scale=scale)
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
    found = root_mean_square(signal)
    assert found.shape == peak(signal).shape == (5, 1, 1)
    np.testing.assert_allclose(found[:, 0, 0] ** 2, (signal**2).mean((1, 2)))
    np.testing.assert_array_equal(peak(signal)[:, 0, 0], signal.abs().amax(dim=(1, 2)))
    assert divisor(found)[:, 0, 0].tolist() == [1 if row == 1 else found[row, 0, 0] for row in range(5)]


def test_the_slope_goes_around_the_period():
    torch.testing.assert_close(slope(torch.tensor([[1.0, 4.0, 9.0]])), torch.tensor([[3.0, 5.0, -8.0]]))
