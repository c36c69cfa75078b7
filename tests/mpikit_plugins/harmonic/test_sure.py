"""``sure``: one period of known or measured noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from mpikit import Run, Warned
from mpikit.errors import PluginError
from mpikit.testing import check_denoiser, example_scan
from mpikit_plugins.harmonic import mpikit_denoisers

RECORD = next(record for record in mpikit_denoisers() if record.name == "sure")
LOW_RANK = next(record for record in mpikit_denoisers() if record.name == "low-rank")


@pytest.mark.parametrize(
    "options", [{}, {"noise": "even-part"}, {"sigma": 0.05}, {"symmetry": "off"}, {"background": "keep"}]
)
def test_it_keeps_the_contract_on_one_frame(options):
    scan = example_scan(frames=1, repeats="none", background_frames=3)
    check_denoiser(RECORD, RECORD.options(**options), scan)


def test_many_signals_have_directions(make_known, denoise):
    """From single periods as good as principal components from pairs; the choice is told."""
    single = make_known(objects=400, periods=1, repeats="none", empty=40)
    told = []
    error = single.error(denoise(RECORD, single.scan, told=told))
    assert error < 1.1 * single.error(denoise(LOW_RANK, single.scan))
    assert told[-1].value == "directions"


def test_one_frame_gains(make_known, denoise):
    gains = []
    for seed in range(20):
        known = make_known(objects=1, periods=1, repeats="none", seed=seed, level=0.5)
        errors = [
            known.error(denoise(RECORD, known.scan, **options)) / known.noise
            for options in ({"sigma": 0.5}, {"noise": "even-part"})
        ]
        gains.append(errors)
    assert np.all(np.mean(gains, axis=0) < 0.6)


def follow(known, spread, seed=2):
    """Give each period noise of its own level, log-normal with this spread."""
    noise = known.scan.signal - known.clean
    levels = np.random.default_rng(seed).lognormal(0, spread, size=(*noise.shape[:2], 1, 1))
    scan = replace(known.scan, signal=(known.clean + levels * noise).astype(np.float32))
    return replace(known, scan=scan)


def relative(known, output):
    """Error of each period in units of its noise, on average: no period outweighs the others."""
    error, noise = (np.mean((each - known.clean) ** 2, axis=(2, 3)) for each in (output, known.scan.signal))
    return np.mean(error / noise)


@pytest.mark.parametrize(("periods", "repeats"), [(1, "none"), (2, "periods")])
def test_levels_that_differ_are_those_of_each_period(make_known, denoise, periods, repeats):
    known = follow(make_known(objects=60, periods=periods, repeats=repeats, level=0.3), 1.0)
    told = []
    default = relative(known, denoise(RECORD, known.scan, told=told))
    own = relative(known, denoise(RECORD, known.scan, noise="even-part"))
    assert default < 1.15 * own
    assert told[-1].name == "noise level"
    # one level for all is far worse
    sigma = float(np.std(known.scan.signal - known.clean))
    assert default < 0.7 * relative(known, denoise(RECORD, known.scan, sigma=sigma))


@pytest.mark.parametrize(
    ("options", "words"), [({"symmetry": "off"}, "no symmetry"), ({"sigma": 0.3}, "sigma=0.3 is one for all")]
)
def test_levels_that_differ_and_cannot_be_told_are_warned_of(make_known, denoise, options, words):
    equal = make_known(objects=60, level=0.3)
    for known, warned in ((equal, False), (follow(equal, 0.5), True)):
        told = []
        denoise(RECORD, known.scan, told=told, **options)
        found = [event.text for event in told if isinstance(event, Warned)]
        assert bool(found) == warned
        assert not warned or words in found[0]


@pytest.mark.parametrize("level", [0.1, 1.0])
def test_signals_that_differ_are_not_noise_that_does(make_known, denoise, level):
    for seed in range(5):
        known = make_known(objects=40, level=level, seed=seed)
        told = []
        denoise(RECORD, known.scan, told=told)
        assert len(told) == 1


def test_nothing_but_noise(make_known, denoise):
    known = make_known(objects=3, periods=1, repeats="none", level=1.0)
    noise = np.random.default_rng(1).normal(size=known.scan.signal.shape).astype(np.float32)
    output = denoise(RECORD, replace(known.scan, signal=noise), sigma=1.0)
    assert np.mean(output**2) < 0.1


def test_what_is_asked_for_in_vain():
    for options in ({"sigma": 1.0}, {"symmetry": "off"}):
        with pytest.raises(ValidationError, match="does not go with"):
            RECORD.options(noise="even-part", **options)
    scan = example_scan(repeats="none")
    moving = replace(scan, drive_field=replace(scan.drive_field, waveforms=np.array([["custom"]])))
    assert "even part" in RECORD.missing(moving, RECORD.options(noise="even-part"))
    assert RECORD.missing(moving, RECORD.options()) is None
    assert "retraced" in RECORD.missing(moving, RECORD.options(symmetry="exact"))
    with pytest.raises(PluginError, match="sure has not been fitted"):
        RECORD.build(RECORD.options()).denoise(scan, run=Run(rng=np.random.default_rng(0)))
