"""``wiener``, ``low-rank``, ``harmonic-n2n`` and ``mp-pca``: filters on whitened line coefficients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit import Run, Warned
from mpikit.errors import InputError, PluginError
from mpikit.models import Card, load_model, save_model
from mpikit.testing import check_denoiser, example_scan
from mpikit_plugins.harmonic import mpikit_denoisers

RECORDS = {record.name: record for record in mpikit_denoisers()}
NAMES = ["wiener", "low-rank", "harmonic-n2n", "mp-pca"]
LOW_RANK = ["low-rank", "harmonic-n2n", "mp-pca"]


def run():
    return Run(rng=np.random.default_rng(0))


def best_linear_error(train, test):
    """Mean squared error of the linear filter that knows the clean covariance of all samples."""
    known = train.clean[:, 0].reshape(len(train.clean), -1)
    covariance = known.T @ known / len(known)
    weights = np.linalg.solve(covariance + train.level**2 * np.eye(len(covariance)), covariance)
    found = test.scan.signal.reshape(-1, len(covariance)).astype(float) @ weights
    return test.error(found.reshape(test.clean.shape))


@pytest.mark.parametrize("angle", [0.0, 0.4])
def test_close_to_the_best_linear_filter(make_known, denoise, angle):
    """From 400 noisy pairs at 0.7 dB, other phases or not: within 0.7 dB of what knows the covariance."""
    train, test = make_known(objects=400, angle=angle), make_known(objects=100, angle=angle, seed=5)
    limit = best_linear_error(train, test)
    assert limit < 0.03 * test.noise
    for name in ("low-rank", "harmonic-n2n"):
        error = test.error(denoise(RECORDS[name], train.scan, test.scan))
        assert error < 10**0.07 * limit, name
    lines = test.error(denoise(RECORDS["wiener"], train.scan, test.scan))
    unweighted = test.error(denoise(RECORDS["harmonic"], train.scan, test.scan))
    assert 2 * limit < lines < unweighted < 0.2 * test.noise


@pytest.mark.parametrize("name", NAMES)
def test_the_symmetry_helps(make_known, denoise, name):
    known = make_known(objects=200, angle=np.pi / 4)  # where real and imaginary part are alike
    with_it, without = (
        known.error(denoise(RECORDS[name], known.scan, symmetry=mode)) for mode in ("fit", "off")
    )
    assert with_it < without  # few directions pass in either case, but for `wiener`
    if name == "wiener":
        assert with_it == pytest.approx(without / 2, rel=0.15)
    ideal = make_known(objects=200)
    exact, fitted = (denoise(RECORDS[name], ideal.scan, symmetry=mode) for mode in ("exact", "fit"))
    np.testing.assert_array_equal(exact, fitted)


@pytest.mark.parametrize("name", NAMES)
def test_the_ideal_symmetry_is_refused_where_it_does_not_hold(make_known, denoise, name):
    known = make_known(angle=0.4)
    with pytest.raises(InputError, match="not odd about its turning point"):
        denoise(RECORDS[name], known.scan, symmetry="exact")


@pytest.mark.parametrize("name", NAMES)
def test_channels_may_differ_in_unit_and_noise(make_known, denoise, name):
    """Whitening: a channel in another unit gives the same in that unit."""
    known = make_known()
    factor = np.array([1, 1e6], np.float32)[:, None]
    scaled = replace(known.scan, signal=known.scan.signal * factor, background=known.scan.background * factor)
    expected = denoise(RECORDS[name], known.scan) * factor
    found = denoise(RECORDS[name], scaled)
    np.testing.assert_allclose(found[:, :, 0], expected[:, :, 0], atol=1e-4)
    np.testing.assert_allclose(found[:, :, 1], expected[:, :, 1], atol=1e2)


@pytest.mark.parametrize("name", LOW_RANK)
def test_channels_help_each_other(make_known, denoise, name):
    """A channel in much noise is known from a channel in little."""
    known = make_known(objects=200)
    noise = (known.scan.signal - known.clean) * np.array([0.05, 3])[:, None]
    signal = (known.clean + noise).astype(np.float32)
    scan = replace(known.scan, signal=signal, background=known.scan.background * 0)
    alone = replace(scan, signal=signal[:, :, 1:], background=scan.background[:, :, 1:])
    together = denoise(RECORDS[name], scan, background="keep")[:, :, 1:]
    apart = denoise(RECORDS[name], alone, background="keep")
    truth = known.clean[:, :, 1:]
    assert np.mean((together - truth) ** 2) < 0.6 * np.mean((apart - truth) ** 2)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("empty", [6, 0])
def test_signals_without_repeats(make_known, denoise, name, empty):
    """The noise is that of background frames, or of the spectrum."""
    known = make_known(objects=200, periods=1, repeats="none", empty=empty)
    assert known.error(denoise(RECORDS[name], known.scan)) < 0.2 * known.noise


@pytest.mark.parametrize("name", NAMES)
def test_one_period_alone(make_known, denoise, name):
    known = make_known(objects=1, periods=1, repeats="none", level=0.1, rank=1)
    record = RECORDS[name]
    if name == "mp-pca":
        assert record.missing(known.scan, record.options()) == "more than one frame or period"
        return
    assert known.error(denoise(record, known.scan)) < 0.4 * known.noise
    check_denoiser(record, scan=known.scan)


def test_noise2noise_from_mirror_images(make_known, denoise):
    """Without repeats, as good as from repeats; with them likewise."""
    single = make_known(objects=400, periods=1, repeats="none", empty=40)
    pairs = make_known(objects=400)
    record = RECORDS["harmonic-n2n"]
    reference = pairs.error(denoise(record, pairs.scan, pairs="repeats"))
    assert single.error(denoise(record, single.scan, pairs="mirror")) < 1.2 * reference
    assert pairs.error(denoise(record, pairs.scan, pairs="mirror")) < 1.1 * reference
    told = []
    denoise(record, single.scan, told=told)
    assert [event.name for event in told] == ["harmonics", "mirror", "rank"]


def test_what_noise2noise_needs(make_known, denoise):
    record = RECORDS["harmonic-n2n"]
    single = example_scan(repeats="none")
    moving = replace(single, drive_field=replace(single.drive_field, waveforms=np.array([["custom"]])))

    def lack(scan, **options):
        return record.missing(scan, record.options(**options))

    assert lack(single) is None
    assert lack(single, pairs="repeats") == "frames or periods that repeat"
    assert lack(single, symmetry="off") == "frames or periods that repeat, or a drive field that is retraced"
    assert lack(moving) == "frames or periods that repeat, or a drive field that is retraced"
    assert lack(moving, pairs="mirror") == "a drive field that is retraced, and symmetry=fit or exact"
    with pytest.raises(InputError, match="has no repeats to learn from"):
        denoise(record, single, pairs="repeats")
    with pytest.raises(InputError, match="has no symmetry"):
        denoise(record, moving)


@pytest.mark.parametrize("name", ["harmonic", *NAMES])
def test_the_ideal_symmetry_needs_a_field_that_is_retraced(name):
    scan = example_scan()
    moving = replace(scan, drive_field=replace(scan.drive_field, waveforms=np.array([["custom"]])))
    record = RECORDS[name]
    assert "retraced" in record.missing(moving, record.options(symmetry="exact"))
    assert record.missing(moving, record.options()) is None


@pytest.mark.parametrize("noise", ["measured", "tail"])
def test_a_series_of_frames_of_low_rank(make_known, denoise, noise):
    """A signal that changes from frame to frame, without repeats: far below what single lines reach."""
    known = make_known(objects=150, periods=1, repeats="none", rank=2, empty=8)
    series = known.error(denoise(RECORDS["mp-pca"], known.scan, noise=noise))
    lines = known.error(denoise(RECORDS["harmonic"], known.scan))
    assert series < 0.35 * lines


def test_periods_that_repeat_are_rows_of_the_series(make_known, denoise):
    """Few objects in many periods each: as good as a fit to their covariance."""
    known = make_known(objects=4, periods=30)
    series, fitted = (known.error(denoise(RECORDS[name], known.scan)) for name in ("mp-pca", "low-rank"))
    assert series < 1.3 * fitted


@pytest.mark.parametrize("name", NAMES)
def test_noise_alone_leaves_next_to_nothing(make_known, denoise, name):
    known = make_known(objects=60)
    rng = np.random.default_rng(1)
    noise = replace(known.scan, signal=rng.normal(size=known.scan.signal.shape).astype(np.float32))
    assert np.mean(denoise(RECORDS[name], noise) ** 2) < 0.02


def test_a_warning_when_nothing_is_left(make_known, denoise):
    empty = replace(make_known().scan, signal=np.zeros((80, 2, 2, 162), np.float32))
    for name in ("low-rank", "harmonic-n2n"):
        told = []
        assert not denoise(RECORDS[name], empty, told=told, background="keep").any()
        assert any(isinstance(event, Warned) and "nothing is left" in event.text for event in told)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_file_holds_all_that_was_learnt(make_known, tmp_path, name):
    known, record = make_known(), RECORDS[name]
    method = record.build(record.options())
    with pytest.raises(PluginError, match=f"{name} has not been fitted"):
        method.denoise(known.scan, run=run())
    assert method.state() == {}
    method.fit([known.scan], run=run())
    path = tmp_path / "model.safetensors"
    save_model(path, Card(name, "mpikit", method.options.model_dump(mode="json")), method.state())
    card, state = load_model(path)
    other = record.build(record.options(**card.options))
    other.restore(state)
    np.testing.assert_array_equal(other.denoise(known.scan, run=run()), method.denoise(known.scan, run=run()))
    other.restore({})
    assert other.state() == {}


def test_the_options_of_the_lines(make_known, denoise):
    """A wider band keeps more lines, and the shrinkage of the edge is another one."""
    known = make_known(objects=20, level=2.0)

    def kept(**options):
        told = []
        denoise(RECORDS["wiener"], known.scan, told=told, **options)
        return told[0].value

    assert kept(band=0) < kept(band=1) < kept(band=4)
    assert kept(false_alarm=1e-9) < kept(false_alarm=1e-2)
    one, other = (denoise(RECORDS["low-rank"], known.scan, shrinkage=how) for how in ("optimal", "edge"))
    assert known.error(one) < known.error(other)
