"""Blank response and amplitude linearity of generators that are known."""

from __future__ import annotations

import numpy as np
import pytest

from mpikit import Finding, Warned
from mpikit.errors import InputError
from mpikit_plugins.wgan.response import Response, measure_response


@pytest.fixture
def signals(rng):
    templates = (
        rng.normal(size=(3, 2, 40)).astype(np.float32) * np.array([1, 5, 9], np.float32)[:, None, None]
    )
    return templates, rng.normal(0, 2, (12, 2, 40)).astype(np.float32)


def measured(denoise, signals):
    return measure_response(denoise, *signals, trained=(0.5, 8.0), noise=2.0)


def test_a_linear_filter(signals):
    found = measured(lambda noisy: 0.3 * noisy, signals)
    assert found.blank[0] == pytest.approx(0.09, rel=1e-5)
    assert found.blank[1] == 12
    assert found.blank_db == pytest.approx(20 * np.log10(0.3), abs=1e-4)
    np.testing.assert_allclose(found.gains, 0.3, rtol=1e-4)
    np.testing.assert_allclose(found.amplitudes, np.geomspace(0.25, 12, 8))
    np.testing.assert_allclose(found.trained, (0.25, 4))
    blank, linear = found.events()
    assert isinstance(blank, Finding)
    assert "-10.5 dB of the power of the noise" in blank.text
    assert linear.value["slope"] == pytest.approx(1, abs=1e-3)
    assert "linearity: log-log slope 1.000, R² 1.0000 from 0.25 to 12 times the noise" in linear.text


def test_a_filter_that_takes_weak_signals_away(signals):
    def cut(noisy):
        return np.where(np.mean(noisy**2, axis=(1, 2), keepdims=True) > 16, noisy, 0)

    found = measured(cut, signals)
    assert found.blank[0] == 0
    assert found.blank_db == -120
    assert found.gains[0] == 0
    assert found.gains[-1] > 0.9
    assert "does not grow with the signal" in list(found.events())[1].text


def test_amplitudes_outside(signals):
    found = measured(lambda noisy: noisy, signals)  # trained from 0.25 to 4 times the noise
    assert found.outside(np.array([0.25, 1, 4.5]), 0.1, "scan") is None
    above, below = (found.outside(np.array([each, 1.0]), 0.07, "scan") for each in (5.0, 0.15))
    assert "scan has signals of 5 times the noise, above the trained range (to 4)" in above.text
    assert "0.15 times the noise, below the trained range (from 0.25)" in below.text
    assert found.outside(np.array([0.13, 1]), 0.07, "scan") is None  # not known to be so weak


def test_one_amplitude(signals):
    several = measured(lambda noisy: noisy, signals)
    assert several.one_amplitude() is None
    one = measure_response(lambda noisy: noisy, *signals, trained=(3.0, 8.0), noise=2.0)
    assert isinstance(one.one_amplitude(), Warned)
    assert "about one amplitude, 1.5 to 4 times the noise" in one.one_amplitude().text


def test_it_is_kept(signals):
    found = measured(lambda noisy: 0.3 * noisy, signals)
    again = Response.restore(found.state())
    assert [event.text for event in again.events()] == [event.text for event in found.events()]
    with pytest.raises(InputError, match="damaged"):
        Response.restore({**found.state(), "response.gains": np.ones(3)})
