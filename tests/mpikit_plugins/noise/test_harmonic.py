"""Interference in proportion to the lines of the signal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpikit.simulate import make_phantom, preset, simulate_scan
from mpikit_plugins.noise import Gaussian, GaussianOptions, Harmonic, HarmonicOptions

SHARES = {"uniform-complex": 2 / 3, "uniform-real": 1 / 3, "fixed-phase": 1 / 3}


def harmonic(**options):
    return Harmonic(HarmonicOptions(**options))


def power(values):
    return np.mean(np.square(values, dtype=float), axis=-1)


def relative(noise, clean):
    """Interference of each line over the line, without DC and Nyquist."""
    return (np.fft.rfft(noise) / np.fft.rfft(clean))[..., 1:-1]


@pytest.mark.parametrize("samples", [160, 161])
@pytest.mark.parametrize("distribution", SHARES)
@given(sir_db=st.floats(-20, 60), seed=st.integers(0, 99))
def test_the_power_is_exactly_the_expected_one(draw_plain, distribution, samples, sir_db, seed):
    clean = np.random.default_rng(seed).normal(size=(2, 3, 4, samples))
    clean -= clean.mean(axis=-1, keepdims=True)
    noise = draw_plain(harmonic(sir_db=sir_db, distribution=distribution), clean, seed)
    np.testing.assert_allclose(power(noise), SHARES[distribution] * 10 ** (-sir_db / 10) * power(clean))


@pytest.fixture(scope="module")
def draw_plain():
    def drawn(noise, clean, seed):
        index, rng = np.arange(len(clean)), np.random.default_rng(seed)
        return noise(clean, frame_index=index, sampling_rate=1.0, drive_field=None, rng=rng)

    return drawn


@pytest.mark.parametrize("distribution", SHARES)
def test_a_draw_as_it_is_has_the_distribution(clean, draw, distribution):
    ratio = relative(
        draw(harmonic(sir_db=20, distribution=distribution, amplitude="drawn"), clean), clean
    ).ravel()
    ratio *= 10
    low = 0 if distribution == "fixed-phase" else -1
    parts = [ratio.real, ratio.imag] if distribution == "uniform-complex" else [ratio.real]
    for part in parts:
        quartiles = np.quantile(part, [0, 0.25, 0.5, 0.75, 1])
        np.testing.assert_allclose(quartiles, np.linspace(low, 1, 5), atol=0.03)
        assert part.min() >= low - 1e-9
        assert part.max() <= 1 + 1e-9
    if distribution == "uniform-complex":
        assert abs(np.corrcoef(parts)[0, 1]) < 0.03
    else:
        np.testing.assert_allclose(ratio.imag, 0, atol=1e-9)
    assert np.mean(np.abs(ratio) ** 2) == pytest.approx(SHARES[distribution], rel=0.03)


def test_only_lines_of_the_signal_and_no_dc(draw):
    time = np.arange(100) / 100
    clean = np.broadcast_to(7 + np.cos(2 * np.pi * 3 * time) + np.sin(2 * np.pi * 8 * time), (2, 3, 2, 100))
    spectra = np.abs(np.fft.rfft(draw(harmonic(), clean)))
    assert np.all(spectra[..., [3, 8]] > 1e-3)
    np.testing.assert_allclose(np.delete(spectra, [3, 8], axis=-1), 0, atol=1e-10)


def test_an_empty_or_constant_signal_gets_nothing(clean, draw):
    clean[1] = 0
    clean[2] = 3
    noise = draw(harmonic(), clean)
    np.testing.assert_array_equal(noise[1], 0)
    np.testing.assert_allclose(noise[2], 0, atol=1e-14)
    assert np.all(np.any(noise[[0, 3]], axis=-1))


@pytest.mark.parametrize("shared", [True, False])
def test_periods_share_a_draw_or_not(clean, draw, shared):
    noise = draw(harmonic(shared=shared, amplitude="drawn"), clean)
    ratio = relative(noise, clean)
    assert np.allclose(ratio[:, 0], ratio[:, 1]) == shared
    for other in (ratio[::-1], ratio[:, :, [1, 2, 0]]):  # frames and channels never do
        assert not np.any(np.isclose(ratio[..., :50], other[..., :50]))


def test_single_precision_is_close(clean, draw):
    noise = draw(harmonic(), clean.astype(np.float32))
    np.testing.assert_allclose(noise, draw(harmonic(), clean), atol=1e-5 * np.abs(clean).max())


@pytest.mark.parametrize(("sir_db", "paper"), [(15.0, 12.66), (5.0, 6.20)])
def test_the_noisy_rows_of_the_paper(draw, sir_db, paper):
    """Peng et al. 2023, Table II, types 4 and 5: mean over the signals of the SNR in dB."""
    scanner = preset("peng2023")
    rng = np.random.default_rng(4)
    grid = scanner.phantom.grid((25, 25))
    digits = make_phantom("digits", grid, concentration=0.1, count=20, rng=rng)
    _, clean = simulate_scan(scanner, digits, frames=20, periods=2, rng=rng)
    noise = draw(Gaussian(GaussianOptions(snr_db=15)), clean, seed=5)
    noise = noise + draw(harmonic(sir_db=sir_db), clean, seed=6)
    snr = np.mean(10 * np.log10(power(clean) / power(noise)))
    assert snr == pytest.approx(paper, abs=0.3)
    expected = -10 * np.log10(10**-1.5 + 2 / 3 * 10 ** (-sir_db / 10))
    assert snr == pytest.approx(expected, abs=0.03)
