"""``savgol``: the Savitzky-Golay filter around the period."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import savgol_filter

from mpikit import Run
from mpikit.errors import InputError
from mpikit.testing import check_denoiser, example_scan
from mpikit_plugins.classic import mpikit_denoisers
from mpikit_plugins.classic.savgol import SavitzkyGolay, SavitzkyGolayOptions, response

RECORD = next(record for record in mpikit_denoisers() if record.name == "savgol")


@pytest.mark.parametrize(("window", "order"), [(5, 2), (21, 3), (161, 4)])
def test_it_is_the_filter_that_wraps_around(make_known, denoise, window, order):
    known = make_known(objects=3)
    found = denoise(RECORD, known.scan, background="keep", symmetry="off", window=window, order=order)
    expected = savgol_filter(known.scan.signal, window, order, axis=-1, mode="wrap")
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("samples", [40, 41])
def test_the_gain_is_real_and_one_for_slow_signals(samples):
    gain = response(samples, 9, 2)
    assert gain.shape == (samples // 2 + 1,)
    assert gain[0] == pytest.approx(1)
    assert abs(gain[-1]) < 0.3


def test_the_window_has_the_least_error(make_known, rng):
    """Chosen on noisy data for each channel: no other window is more than 10 % better on the clean ones."""
    known = make_known(objects=200)
    smooth = np.fft.rfft(known.clean)
    smooth[..., 1, 6:] = 0  # the second channel is slow, and wants a longer window
    clean = np.fft.irfft(smooth, n=162)
    scan = replace(known.scan, signal=(clean + rng.normal(size=clean.shape)).astype(np.float32))
    method = SavitzkyGolay(SavitzkyGolayOptions(symmetry="off"))
    method.fit([scan], run=Run(rng=rng))
    fast, slow = method.windows
    assert slow > fast

    def error(window, channel):
        found = savgol_filter(scan.signal[:, :, channel], window, 3, axis=-1, mode="wrap")
        return np.mean((found - clean[:, :, channel]) ** 2)

    for channel, window in enumerate(method.windows):
        best = min(error(other, channel) for other in range(5, 80, 2))
        assert error(window, channel) < 1.1 * best


def test_one_period_alone_and_the_symmetry(make_known, denoise):
    known = make_known(objects=1, periods=1, repeats="none", empty=0, level=0.3)
    assert known.error(denoise(RECORD, known.scan)) < 0.9 * known.noise
    many = make_known(objects=100)
    half, whole = (many.error(denoise(RECORD, many.scan, symmetry=mode)) for mode in ("fit", "off"))
    assert half < 0.7 * whole


@pytest.mark.parametrize("options", [{"window": 8}, {"window": 163}, {"window": 5, "order": 5}])
def test_windows_that_do_not_fit(denoise, options):
    with pytest.raises(InputError, match="does not suit polynomials of degree"):
        denoise(RECORD, example_scan(), **options)


@pytest.mark.parametrize(("samples", "order"), [(4, 2), (5, 4), (6, 4), (2, 0)])
def test_periods_too_short_for_the_degree(denoise, samples, order):
    scan = example_scan(background_frames=0)
    short = replace(
        scan,
        signal=scan.signal[..., :samples],
        background=scan.background[..., :samples],
        stored_lines=scan.stored_lines[: samples // 2 + 1],
    )
    assert np.isfinite(denoise(RECORD, short, order=order)).all()
    with pytest.raises(InputError, match=f"{samples} samples in a period are too few") as caught:
        denoise(RECORD, short, order=order + 1)
    assert caught.value.hint in (f"take order={order}", "use another method")


def test_contract_of_the_variants():
    check_denoiser(RECORD, RECORD.options(window=11, order=2, symmetry="off"))
    check_denoiser(RECORD, scan=example_scan(frames=1, repeats="none", background_frames=0))
