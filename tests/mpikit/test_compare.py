"""Compare: cross-fitted rows, true figures beside reference-free ones, failures, what is skipped."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

import mdf
from mpikit import Denoiser, Finding, Run, StatelessMethod, Step, Warned
from mpikit.compare import (
    Candidate,
    Comparison,
    Interrupted,
    NotWrittenError,
    Row,
    candidates,
    compare_file,
    compare_scan,
    read_reference,
    table,
    true_score,
)
from mpikit.compare.files import as_csv
from mpikit.compare.methods import gain_of
from mpikit.denoise import denoise_scan
from mpikit.errors import InputError, NumericalError, PluginError, UsageError
from mpikit.judging import Score, hold_out
from mpikit.metrics import ReferenceFree, snr
from mpikit.plugins import Offer, registry
from mpikit.scan import Corrections
from mpikit.scan_file import write_scan
from mpikit.signal import subtract_background
from mpikit.testing import example_scan

ABOUT = {
    **dict.fromkeys(("/study/name", "/study/description", "/experiment/name"), "test"),
    **dict.fromkeys(("/experiment/description", "/experiment/subject", "/scanner/name"), "test"),
    **dict.fromkeys(("/scanner/facility", "/scanner/manufacturer", "/scanner/operator"), "test"),
    "/scanner/topology": "FFP",
    "/study/number": 1,
    "/experiment/number": 2,
    "/experiment/isSimulation": True,
    "/acquisition/startTime": "2026-03-02T10:15:30.500",
}
FRAMES, CHANNELS, SAMPLES = 24, 2, 162


def simulated(rng, *, frames=FRAMES, periods=1, repeats="frames", empty=8, background=0.0, noise=0.3):
    """A noisy scan of a few harmonics in each channel, and its clean signals."""
    scan = example_scan(frames=frames, periods=periods, repeats=repeats, background_frames=empty)
    objects = {"frames": (1, periods), "periods": (frames, 1), "both": (1, 1), "none": (frames, periods)}
    weights = rng.normal(size=(*objects[repeats], CHANNELS, 6))
    lines = np.sin(2 * np.pi * np.outer(np.arange(1, 7), np.arange(SAMPLES)) / SAMPLES)
    clean = np.broadcast_to(weights @ lines, scan.signal.shape).astype(np.float32)
    feed = background * np.cos(2 * np.pi * np.arange(SAMPLES) / SAMPLES)
    signal = clean + feed + noise * rng.normal(size=clean.shape)
    empty_frames = feed + noise * rng.normal(size=scan.background.shape)
    scan = replace(scan, signal=signal.astype(np.float32), background=empty_frames.astype(np.float32))
    return scan, clean


def strange(name, work, distribution="stranger", **record):
    class Method(StatelessMethod):
        def denoise(self, scan, /, *, run):
            return work(scan, run)

    denoiser = Denoiser(name=name, summary="Strange", build=lambda _: Method(), **record)
    return Candidate(Offer(denoiser, name, distribution))


def keeping(name="same", factor=1.0):
    """A method of a stranger that knows nothing of a background."""
    return strange(name, lambda scan, _: (factor * scan.signal).astype(np.float32))


def by_name(comparison):
    return {row.method: row for row in comparison.rows}


def test_a_row_is_what_denoise_says():
    """Cross-fitted alike, from the same seed: the figures of `mpikit denoise`."""
    scan, _ = simulated(np.random.default_rng(1))
    comparison = compare_scan(scan, candidates(("average", "harmonic"), ["harmonic.symmetry=off"]), seed=5)
    assert comparison.without_background
    for name, options in (("average", {}), ("harmonic", {"symmetry": "off"})):
        offer = registry().denoiser(name)
        run = Run(rng=np.random.default_rng(5))
        alone = denoise_scan(scan, offer, offer.record.options(**options), run=run)
        row = by_name(comparison)[name]
        assert row.score == alone.after
        assert comparison.noisy.score == alone.before
        assert row.gain.db == pytest.approx(alone.after.figures.snr_db - alone.before.figures.snr_db)
        assert row.true is None
        assert row.options == offer.record.options(**options)
        assert row.fitted is not None
        assert (row.fit_seconds >= 0, row.denoise_seconds > 0, row.error) == (True, True, "")
    assert by_name(comparison)["average"].periods_used == 19
    snrs = [row.score.figures.snr_db for row in comparison.rows]
    assert snrs == sorted(snrs, reverse=True)


def test_a_method_draws_the_same_with_and_without_others():
    scan, _ = simulated(np.random.default_rng(2))

    def jitter(scan, run):
        return (scan.signal + 0.01 * run.rng.normal(size=scan.signal.shape)).astype(np.float32)

    one, two = strange("one", jitter), strange("two", jitter)
    alone = compare_scan(scan, [two], seed=3).rows[0].score
    both = by_name(compare_scan(scan, [one, two], seed=3))
    assert both["two"].score == alone
    assert both["one"].score.figures == alone.figures
    assert compare_scan(scan, [two], seed=4).rows[0].score != alone


@pytest.mark.parametrize(
    ("repeats", "frames", "periods", "empty"),
    [("frames", 24, 1, 0), ("periods", 30, 4, 0), ("both", 6, 5, 0), ("frames", 24, 1, 16)],
)
def test_the_reference_free_snr_is_the_true_one(repeats, frames, periods, empty):
    """Each method, 25 draws: the error without a reference less the true one, three standard errors."""
    rng = np.random.default_rng(3)
    methods = [*candidates(("average", "harmonic")), keeping("shrink", 0.7)]
    differences: dict[str, list[float]] = {}
    for _ in range(25):
        scan, clean = simulated(
            rng, frames=frames, periods=periods, repeats=repeats, empty=empty, background=2
        )
        if not empty:
            scan = replace(scan, signal=scan.signal - 2 * cosine())
        comparison = compare_scan(scan, methods, clean=clean)
        for row in (comparison.noisy, *comparison.rows):
            true = judged_power(scan, clean, row.method) / 10 ** (row.true.pooled_db / 10)
            differences.setdefault(row.method, []).append(row.score.figures.error / true - 1)
    assert set(differences) == {"noisy", "average", "harmonic", "shrink"}
    for name, values in differences.items():
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        assert abs(np.mean(values)) < 3 * error, name


def cosine():
    return np.cos(2 * np.pi * np.arange(SAMPLES) / SAMPLES).astype(np.float32)


def judged_power(scan, clean, method):
    """Mean squared clean signal of the frames that a method was judged on."""
    parts = hold_out(replace(scan, signal=clean))
    judged = parts.fitting if method == "average" and parts.shared else parts.inputs
    return np.mean(judged.signal.astype(float) ** 2)


def test_one_scan_within_three_standard_errors():
    scan, clean = simulated(np.random.default_rng(4), frames=60, empty=0)
    comparison = compare_scan(scan, [*candidates(("harmonic", "average")), keeping()], clean=clean)
    for row in (comparison.noisy, *comparison.rows):
        figures = row.score.figures
        assert abs(figures.snr_db - row.true.pooled_db) < 3 * figures.snr_error_db
        assert np.isnan([row.true.snr.low, row.true.gain.high]).all()  # one clean signal alone
    for row in comparison.rows[:2]:
        assert abs(row.gain.db - row.true.gain.mean) < 3 * row.gain.error_db
        assert row.true.gain.mean > 3
    same = by_name(comparison)["same"]
    assert (same.gain.db, same.true.gain.mean) == (0, 0)
    assert same.true.amplitude == pytest.approx(1, abs=0.05)


def test_the_true_score_by_hand(rng):
    clean = rng.normal(size=(5, 3, 2, 40))
    noisy, estimate = (clean + level * rng.normal(size=clean.shape) for level in (0.5, 0.1))
    clean[2, 1, 0] = 0  # an empty signal has no SNR, and is left out
    some = np.any(clean != 0, axis=-1)
    found = true_score(estimate, noisy, clean, rng=rng)
    each = [snr(estimate[b][some[b]], clean[b][some[b]]).mean() for b in range(5)]
    assert found.snr.mean == pytest.approx(np.mean(each))
    assert (found.snr.count, found.gain.count) == (5, 5)
    gains = [each[b] - snr(noisy[b][some[b]], clean[b][some[b]]).mean() for b in range(5)]
    assert found.gain.mean == pytest.approx(np.mean(gains))
    alone = true_score(estimate[:1], noisy[:1], clean[:1], rng=rng)
    assert alone.snr.mean == pytest.approx(each[0])
    assert np.isnan([alone.snr.low, alone.snr.high, alone.gain.low, alone.gain.high]).all()
    error = np.mean((estimate - clean)[some] ** 2)
    assert found.pooled_db == pytest.approx(10 * np.log10(np.mean(clean[some] ** 2) / error))
    assert found.scale_invariant_db > found.snr.mean
    values = snr(estimate, clean)[some]
    assert (found.each.snr.shape, found.each.place.shape) == ((29,), (29, 3))
    np.testing.assert_array_equal(found.each.place, np.argwhere(some))
    np.testing.assert_allclose(found.each.snr, values)
    np.testing.assert_allclose(found.each.gain, values - snr(noisy, clean)[some])
    errors = np.sqrt(np.mean((estimate - clean)[some] ** 2, axis=-1))
    np.testing.assert_allclose(found.each.rmse, errors)
    np.testing.assert_allclose(found.each.prd, 100 * 10 ** (-values / 20))
    assert found.snr_std_db == pytest.approx(np.std(values, ddof=1))
    assert found.snr_median_db == pytest.approx(np.median(values))
    assert found.rmse == pytest.approx(errors.mean())
    assert found.prd == pytest.approx(np.mean(100 * 10 ** (-values / 20)))
    assert true_score(estimate, noisy, 0 * clean, rng=rng) is None


def test_the_interval_covers_the_mean_over_clean_signals():
    """8 signals of 10 repeats, whose strengths vary far more than their noise; 100 draws."""
    rng = np.random.default_rng(21)
    wave = np.sin(2 * np.pi * np.arange(32) / 32)
    inside = 0
    for _ in range(100):
        clean = np.exp(0.5 * rng.normal(size=(8, 1, 1, 1))) * np.broadcast_to(wave, (8, 10, 1, 32))
        noise = np.sqrt(32) * (direction := rng.normal(size=clean.shape))
        noise /= np.linalg.norm(direction, axis=-1, keepdims=True)  # of power 1, so that the mean is known
        found = true_score(clean + noise, clean + 2 * noise, clean, rng=rng)
        inside += found.snr.low <= 10 * np.log10(0.5) <= found.snr.high
        assert found.gain.low == pytest.approx(10 * np.log10(4))
    assert 85 <= inside < 100


@pytest.mark.parametrize(
    ("after", "before", "gain"),
    [
        ((0.1, 0.01), (1.0, 0.2), (10.0, 4.342945 * np.hypot(0.1, 0.2), False)),
        ((0.1, 0.1), (1.0, 0.2), (10 * np.log10(1 / 0.3), None, True)),
        ((-0.1, 0.1), (1.0, 0.2), (10 * np.log10(1 / 0.2), None, True)),
        # the noisy SNR is a bound: what the bound itself would give is 15.6 dB
        ((0.01, 0.001), (0.1, 0.08), (10.0, 4.342945 * np.hypot(0.1, 0.8), False)),
        ((0.02, 0.015), (0.1, 0.08), (6.9897, 4.342945 * np.hypot(0.75, 0.8), False)),
        ((0.01, 0.001), (0.1, 0.1), None),
        ((0.01, 0.01), (0.1, 0.08), None),
        ((-0.01, 0.001), (0.1, 0.08), None),
        ((0.01, 0.001), (-0.1, 0.08), None),
        ((0.0, 0.0), (1.0, 0.2), None),
    ],
)
def test_the_gain_and_when_it_is_a_bound(after, before, gain):
    """Errors and their standard errors of a signal of power 1."""
    scores = [Score(name, ReferenceFree(*each, 1.0), 1) for name, each in (("a", after), ("noisy", before))]
    found = gain_of(*scores)
    if gain is None:
        assert found is None
        return
    assert (found.db, found.is_bound) == (pytest.approx(gain[0], abs=1e-4), gain[2])
    assert found.error_db == (None if gain[1] is None else pytest.approx(gain[1], abs=1e-4))


def test_a_bound_of_the_gain_is_marked_and_one_of_the_snr_alone_is_not():
    noisy = Row("noisy", score=Score("noisy", ReferenceFree(0.1, 0.08, 1.0), 1))
    score = Score("a", ReferenceFree(0.02, 0.015, 1.0), 1)
    for before, marked in (
        (noisy, False),
        (replace(noisy, score=Score("b", ReferenceFree(1, 0.1, 1.0), 1)), True),
    ):
        row = Row("a", score=score, gain=gain_of(score, before.score), offer=registry().denoiser("harmonic"))
        (_, told) = table(Comparison("scan", before, (row,), (), False, "", 0, "cpu"))
        assert (told["is_lower_bound"], told["gain_is_lower_bound"]) == (True, marked)


def test_no_gain_where_no_signal_is_found():
    noisy = Score("noisy", ReferenceFree(0.1, 0.01, 1.0), 1)
    assert gain_of(Score("a", ReferenceFree(0.1, 0.01, -1.0), 1), noisy) is None


# --- the background --------------------------------------------------------------------------------------


def test_a_method_that_keeps_the_background_is_judged_without_it_too():
    """It is given signals from which it was subtracted: doing nothing gains nothing, and is no better."""
    scan, clean = simulated(np.random.default_rng(5), background=4.0)
    comparison = compare_scan(scan, [keeping()], clean=clean)
    (row,) = comparison.rows
    assert comparison.without_background
    assert row.score.figures == comparison.noisy.score.figures
    assert row.true.snr.mean == comparison.noisy.true.snr.mean > 10  # with the background it would be -9 dB
    seen = strange("seen", lambda scan, _: scan.signal.copy())
    kept = compare_scan(subtract_background(scan), [seen])
    assert kept.without_background


def test_without_enough_empty_frames_the_background_counts_as_signal_for_all():
    scan, _ = simulated(np.random.default_rng(6), empty=3, background=1.0)  # one block has one frame
    comparison = compare_scan(scan, [*candidates(("harmonic", "average")), keeping()])
    assert not comparison.without_background
    assert {row.method: row.options.model_dump().get("background") for row in comparison.rows} == {
        "harmonic": "keep",
        "average": "keep",
        "same": None,
    }
    asked = compare_scan(scan, candidates(("harmonic",), ["harmonic.background=subtract"]))
    assert [each.method for each in asked.skipped] == ["harmonic"]
    always = strange("always", lambda scan, _: subtract_background(scan).signal, removes_background=True)
    assert compare_scan(scan, [always]).skipped[0].lacks.startswith("two background frames")


# --- failures, and what is skipped -----------------------------------------------------------------------


def broken(kind):
    def work(scan, run):
        raise kind("it broke")

    return work


def test_a_method_that_fails_is_a_row_and_the_rest_goes_on():
    scan, _ = simulated(np.random.default_rng(7))
    told = []
    methods = [
        strange("raises", broken(ZeroDivisionError)),
        strange("ours", broken(RuntimeError), distribution="mpikit"),
        strange("goes-bad", broken(NumericalError)),
        strange("crops", lambda scan, _: scan.signal[..., 1:]),
        strange("no-number", lambda scan, _: scan.signal * np.float32("nan")),
        strange("asks", broken(ValueError), missing=lambda *_: 1 / 0),
        *candidates(("harmonic",)),
    ]
    comparison = compare_scan(scan, methods, tell=told.append)
    assert (comparison.rows[0].method, comparison.rows[0].error) == ("harmonic", "")
    errors = {row.method: row.error for row in comparison.rows[1:]}
    assert errors == {
        "raises": "'raises' of stranger failed: ZeroDivisionError: it broke",
        "ours": "RuntimeError: it broke",
        "goes-bad": "'goes-bad' of stranger: it broke",
        "crops": "'crops' of stranger gave the shape (5, 1, 2, 161), expected (5, 1, 2, 162)",
        "no-number": "'no-number' of stranger gave a signal for example with values that are no numbers",
        "asks": "'asks' of stranger failed: ZeroDivisionError: division by zero",
    }
    assert sum(isinstance(event, Warned) for event in told) == 6
    assert all(row.score is None and row.true is None for row in comparison.rows[1:])
    json.dumps(table(comparison), allow_nan=False)


def test_ctrl_c_is_no_failure_of_a_method():
    scan, _ = simulated(np.random.default_rng(8))
    with pytest.raises(KeyboardInterrupt) as caught:
        compare_scan(scan, [strange("slow", broken(KeyboardInterrupt))])
    assert type(caught.value) is KeyboardInterrupt  # nothing is finished


def test_ctrl_c_keeps_what_is_finished():
    scan, _ = simulated(np.random.default_rng(8))
    picky = strange("picky", broken(ValueError), missing=lambda *_: "gold")
    methods = [keeping(), picky, strange("slow", broken(KeyboardInterrupt)), keeping("later")]
    with pytest.raises(Interrupted) as caught:
        compare_scan(scan, methods, seed=3)
    comparison = caught.value.comparison
    assert [row.method for row in comparison.rows] == ["same"]
    assert [each.method for each in comparison.skipped] == ["picky"]
    assert comparison.interrupted == ("slow", "later")
    whole = compare_scan(scan, methods[:2], seed=3)
    assert whole.interrupted == ()
    assert (comparison.rows[0].score, comparison.rows[0].gain) == (whole.rows[0].score, whole.rows[0].gain)


def test_what_the_scan_does_not_allow_is_skipped():
    scan, clean = simulated(np.random.default_rng(9), repeats="none")
    comparison = compare_scan(scan, candidates(("average", "harmonic")), clean=clean)
    assert [(each.method, each.lacks) for each in comparison.skipped] == [
        ("average", "frames or periods that repeat")
    ]
    (row,) = comparison.rows
    assert (row.score, row.gain, comparison.noisy.score) == (None, None, None)
    assert comparison.no_score == "too few repeats to hold any back as judges"
    assert row.true.gain.low > 0
    assert row.needs == ""
    (needs,) = [
        each.needs
        for each in compare_scan(simulated(np.random.default_rng(9))[0], candidates(("average",))).rows
    ]
    assert needs == "frames or periods that repeat"


def test_a_method_that_pools_all_periods_of_a_signal_has_no_reference_free_score():
    """Two periods of a training set: one would be input and judge at once; the true figures stay."""
    scan, clean = simulated(np.random.default_rng(10), frames=30, periods=2, repeats="periods", empty=0)
    comparison = compare_scan(scan, candidates(("average", "harmonic")), clean=clean)
    average = by_name(comparison)["average"]
    assert average.score is None
    assert average.true.gain.mean == pytest.approx(10 * np.log10(2), abs=0.3)
    assert comparison.rows[-1] is average


def test_events():
    scan, _ = simulated(np.random.default_rng(11))

    def work(scan, run):
        run.tell(Step(1, 2))
        return scan.signal.copy()

    class Talks(StatelessMethod):
        def fit(self, _, /, *, run):
            run.tell(Step(1, 2, {"loss": 1.0}))
            run.tell(Warned("few data"))
            run.tell(Finding("lines", 3, "three lines"))

        def denoise(self, scan, /, *, run):
            return work(scan, run)

    told = []
    record = Denoiser(name="talks", summary="Talks", build=lambda _: Talks())
    compare_scan(scan, [Candidate(Offer(record, "talks", "stranger"))], tell=told.append)
    assert [event for event in told if isinstance(event, Step)] == [Step(1, 2, {"loss": 1.0})]
    assert [event.text for event in told if isinstance(event, Warned)] == ["talks: few data"]
    assert [event.text for event in told if isinstance(event, Finding)] == ["== talks"]


def test_the_residual_tells_what_was_taken_away():
    """Half of the signal is no noise; the mean of all repeats leaves noise alone."""
    scan, _ = simulated(np.random.default_rng(12), frames=60, empty=0)
    rows = by_name(compare_scan(scan, [*candidates(("average",)), keeping("half", 0.5)]))
    assert rows["average"].residual.is_noise
    assert not rows["half"].residual.is_noise
    assert rows["half"].residual.correlation > 0.9
    free = replace(scan, signal=np.broadcast_to(scan.signal[:1], scan.signal.shape).copy())
    assert compare_scan(free, [keeping()]).rows[0].residual is None  # there is no noise to compare with


# --- references ------------------------------------------------------------------------------------------


def written(path, scan, **more):
    write_scan(scan, path, contents=ABOUT, **more)
    return path


def reference_of(scan, signal, **more):
    nothing = scan.background[:0]
    index = np.arange(len(signal))
    return replace(
        scan, signal=signal, background=nothing, background_index=index[:0], foreground_index=index, **more
    )


def test_a_reference_that_belongs(tmp_path, rng):
    scan, clean = simulated(rng, frames=12, periods=3, repeats="none", noise=2.0)
    path = written(tmp_path / "clean.mdf", reference_of(scan, clean))
    np.testing.assert_array_equal(read_reference(path, scan), clean)


def test_references_that_do_not_belong(tmp_path, rng):
    scan, clean = simulated(rng, frames=12, periods=3, repeats="none")
    bad = np.where(np.arange(SAMPLES) == 7, np.float32("nan"), clean)
    for name, other, words in (
        ("fewer", reference_of(scan, clean[1:]), r"has 11 x 3 x 2 x 162 frames .* has 12 x 3 x 2 x 162"),
        ("turned", reference_of(scan, clean[::-1]), "in another order|with a factor"),
        ("shifted", reference_of(scan, np.roll(clean, 1, axis=0)), "in another order|with a factor"),
        ("scaled", reference_of(scan, 1000 * clean), r"with a factor of 0\.00"),
        ("unit", reference_of(scan, clean, unit="A"), "the unit 'A'"),
        ("rate", reference_of(scan, clean, sampling_rate=2e6), "has 2000000 Hz"),
        ("nan", reference_of(scan, bad), "values that are no numbers"),
    ):
        path = written(tmp_path / f"{name}.mdf", other)
        with pytest.raises(InputError, match=words) as caught:
            read_reference(path, scan)
        assert f"{name}.mdf" in str(caught.value)
    alike = replace(scan, signal=scan.signal + 2 * cosine())  # what all frames have in common
    turned = written(tmp_path / "alike.mdf", reference_of(scan, clean[::-1] + 2 * cosine()))
    with pytest.raises(InputError, match="in another order"):
        read_reference(turned, alike)
    other, foreign = simulated(np.random.default_rng(99), frames=12, periods=3, repeats="none")
    with pytest.raises(InputError, match=r"factor|order"):
        read_reference(written(tmp_path / "foreign.mdf", reference_of(other, foreign)), scan)


@pytest.mark.parametrize("factor", [-4.0, -0.95, 0.8, 4.0])
@pytest.mark.parametrize("turned", [False, True])
def test_interference_on_the_lines_of_the_signal_is_no_mistake(tmp_path, rng, factor, turned):
    """All frames share it; the reference is of the same frames, unless they are in another order."""
    scan, clean = simulated(rng, frames=12, periods=3, repeats="none")
    clean += 2 * cosine()
    noisy = replace(scan, signal=scan.signal + 2 * cosine() + factor * clean.mean(axis=0))
    path = written(tmp_path / "clean.mdf", reference_of(scan, clean[::-1] if turned else clean))
    told = []
    if turned and factor > -0.9:  # a factor above nothing, and not of the frames
        with pytest.raises(InputError, match="in another order"):
            read_reference(path, noisy)
        return
    if turned:
        with pytest.raises(InputError, match="with a factor of"):
            read_reference(path, noisy)
        return
    np.testing.assert_array_equal(read_reference(path, noisy, tell=told.append), clean)
    assert all("interference on the lines of the signal" in event.text for event in told)
    share = np.sum(clean.mean(axis=0) ** 2) * len(clean) / np.sum(clean**2)
    assert len(told) == (abs(factor * share) > 0.5)


@pytest.mark.parametrize(
    ("factor", "kind"),
    [(-1.0, "refused"), (0.05, "refused"), (0.3, "warned"), (1.2, ""), (3.0, "warned"), (20.0, "refused")],
)
@pytest.mark.parametrize("frames", [1, 12])
def test_a_factor_that_only_a_mistake_explains_is_refused(tmp_path, rng, factor, kind, frames):
    scan, clean = simulated(rng, frames=frames, periods=3, repeats="none", noise=0.01)
    path = written(tmp_path / "clean.mdf", reference_of(scan, (clean / factor).astype(np.float32)))
    told = []
    if kind == "refused":
        with pytest.raises(InputError, match="with a factor of"):
            read_reference(path, scan)
        return
    read_reference(path, scan, tell=told.append)
    assert [type(event) for event in told] == [Warned] * (kind == "warned")


def test_the_reference_is_shown_to_no_method(tmp_path):
    """The same rows, bit for bit, with and without it."""
    scan, clean = simulated(np.random.default_rng(13))
    methods = candidates(("average", "harmonic"))
    with_it, without = compare_scan(scan, methods, clean=clean), compare_scan(scan, methods)
    assert [row.score for row in with_it.rows] == [row.score for row in without.rows]


# --- files -----------------------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path):
    scan, clean = simulated(np.random.default_rng(14))
    written(tmp_path / "clean.mdf", reference_of(scan, clean))
    return written(tmp_path / "scan.mdf", scan)


def test_a_table_and_a_picture(source, tmp_path):
    outputs = [tmp_path / "table.csv", tmp_path / "picture.png"]
    told = []
    comparison = compare_file(
        source,
        methods=["harmonic", "average"],
        reference=tmp_path / "clean.mdf",
        outputs=outputs,
        tell=told.append,
    )
    assert told[0].text.startswith("repeats: ")
    assert comparison.name == "scan.mdf"
    rows = list(csv.DictReader(io.StringIO(outputs[0].read_text())))
    assert [row["method"] for row in rows] == ["noisy", *(row.method for row in comparison.rows)]
    assert outputs[0].read_text() == as_csv(comparison)
    wanted = table(comparison)
    for row, expected in zip(rows, wanted, strict=True):
        assert row["snr_db"] == str(expected["snr_db"])
        assert row["true.gain_interval.low"] == ""  # all frames are of one clean signal
        assert expected["true"]["gain_interval"] == [None, None]
        assert row["true.gain_db"] == str(expected["true"]["gain_db"])
    assert rows[1]["residual.is_noise"] in ("True", "False")
    assert outputs[1].read_bytes()[:4] == b"\x89PNG"
    assert set(wanted[1]) == {
        *("method", "error", "needs", "options", "distribution", "learned"),
        *("snr_db", "snr_error_db", "is_lower_bound", "mean_squared_error", "standard_error"),
        *("gain_db", "gain_error_db", "gain_is_lower_bound", "equivalent_averages", "true", "residual"),
        *("periods_used", "periods", "fit_seconds", "denoise_seconds"),
    }
    assert wanted[1]["equivalent_averages"] == pytest.approx(10 ** (wanted[1]["gain_db"] / 10))


@pytest.fixture
def full(monkeypatch):
    """A disk on which no picture has room."""

    def nothing(path, *_, **__):
        raise InputError(f"{path.name} cannot be written: No space left on device")

    monkeypatch.setattr("mpikit.figures_compare.save_comparison", nothing)


def test_a_file_that_cannot_be_written_does_not_cost_the_comparison(source, tmp_path, full):
    picture, lines = tmp_path / "p.png", tmp_path / "t.csv"
    with pytest.raises(NotWrittenError, match=r"p\.png cannot be written") as caught:
        compare_file(source, methods=["harmonic"], outputs=[picture, lines])
    comparison = caught.value.comparison
    assert [row.method for row in comparison.rows] == ["harmonic"]
    assert caught.value.unwritten == (picture,)
    assert caught.value.hint
    assert lines.read_text() == as_csv(comparison)


def test_what_is_refused(source, tmp_path):
    (tmp_path / "taken.csv").write_text("somebody's")
    few = written(tmp_path / "few.mdf", simulated(np.random.default_rng(3), frames=3)[0])
    before = sorted(path.name for path in tmp_path.iterdir())
    for kind, words, arguments in (
        (PluginError, "no method is called 'harmonics'", {"methods": ["harmonics"]}),
        (UsageError, "harmonic has no option 'width'", {"parameters": ["harmonic.width=3"]}),
        (UsageError, "'symmetry=off' names no method", {"parameters": ["symmetry=off"]}),
        (
            UsageError,
            "'average' is none of the methods",
            {"methods": ["harmonic"], "parameters": ["average.background=keep"]},
        ),
        (UsageError, r"table\.txt: no such kind of file", {"outputs": [tmp_path / "table.txt"]}),
        (InputError, r"taken\.csv exists already", {"outputs": [tmp_path / "taken.csv"]}),
        (
            UsageError,
            r"--output t\.csv is given twice",
            {"outputs": [tmp_path / "t.csv", tmp_path / "p.png", tmp_path / "." / "t.csv"]},
        ),
        (UsageError, "unchanged is the noisy signal", {"methods": ["unchanged", "harmonic"]}),
        (UsageError, "auto chooses among the methods that are compared", {"methods": ["auto"]}),
        (InputError, "has no repeats to judge by", {"repeats": "none", "methods": ["harmonic"]}),
        (InputError, "cannot be judged by itself: too few repeats", {"source": few}),
        (UsageError, "no device is called", {"device": "tpu"}),
        (mdf.MdfError, "gone", {"reference": tmp_path / "gone.mdf", "methods": ["harmonic"]}),
    ):
        with pytest.raises(kind, match=words):
            compare_file(**{"source": source, "methods": ["average", "harmonic"]} | arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    with pytest.raises(mdf.MdfError, match="gone"):
        compare_file(tmp_path / "gone.mdf", methods=["average"])


def test_all_methods_are_the_candidates_unless_some_are_named():
    assert [each.offer.record.name for each in candidates()] == sorted(registry().denoisers)
    assert [each.offer.record.name for each in candidates(("harmonic", "average", "harmonic"))] == [
        "harmonic",
        "average",
    ]


def test_a_corrected_scan_is_warned_of_and_compared():
    scan, _ = simulated(np.random.default_rng(15))
    told = []
    corrected = replace(scan, corrections=Corrections(background=True))
    assert compare_scan(corrected, candidates(("average",)), tell=told.append).without_background
    assert any("figures come out too good" in event.text for event in told if isinstance(event, Warned))
