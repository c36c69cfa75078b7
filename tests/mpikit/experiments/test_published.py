"""The figures of the papers agree with themselves, where they do."""

from __future__ import annotations

import pytest

from mpikit.experiments.published_peng import ABLATION, FIVE_DB, TABLE_II, TABLE_III
from mpikit.plugins import parse_noise
from mpikit.simulate import preset

METHODS = ["noisy", "n2n", "r2r", "unet-gd"]


def test_every_type_has_every_method():
    assert len({noise.name for noise in TABLE_II}) == 5
    for noise in (*TABLE_II, TABLE_III):
        assert list(noise.lines) == METHODS
        assert preset(noise.preset).phantom.size == (101, 101, 1)
        for spec in noise.noise:
            parse_noise(spec)


def test_noisy_lines_are_of_one_set_of_signals():
    """RMSE · 10^(SNR/20) is the rms of a signal, the same for three levels of white noise."""
    for noise in TABLE_II[:3]:
        line = noise.lines["noisy"]
        assert line.snr == float(noise.noise[0].split("=")[1])
        assert line.rmse * 10 ** (line.snr / 20) == pytest.approx(0.2281, abs=5e-5)


def test_every_line_is_of_the_same_order():
    """The rms that follows from SNR and RMSE is about that of the noisy line: no digit is out of place."""
    for noise in (*TABLE_II, TABLE_III):
        levels = [line.rmse * 10 ** (line.snr / 20) for line in noise.lines.values()]
        assert max(levels) / min(levels) < 1.14


def test_the_method_of_the_paper_is_the_best_of_each_type():
    for noise in (*TABLE_II, TABLE_III):
        ours = noise.lines["unet-gd"]
        for method in METHODS[:3]:
            other = noise.lines[method]
            assert ours.snr > other.snr
            assert ours.rmse < other.rmse
            assert ours.ssim > other.ssim
            assert ours.psnr > other.psnr


def test_the_full_loss_of_both_tables():
    """All is equal but the SNR: that is one of the errors in print."""
    one, other = FIVE_DB.lines["unet-gd"], ABLATION["L1 + GD + TV"]
    assert (one.rmse, one.ssim, one.psnr) == (other.rmse, other.ssim, other.psnr)
    assert one.snr - other.snr == pytest.approx(0.18)


def test_weights_are_those_of_the_text():
    assert [noise.alpha for noise in TABLE_II] == [0.03, 0.03, 0.03, 0.08, 0.5]
    assert TABLE_III.alpha == TABLE_II[4].alpha
    assert TABLE_III.noise == TABLE_II[4].noise
