"""``auto``: what it chooses, what it leaves alone, and what it tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit import Denoiser, Finding, Run, StatelessMethod, Step, Warned
from mpikit.compare import Candidate, auto_candidates, choose, compare_scan, denoise_chosen
from mpikit.denoise import denoise_scan
from mpikit.errors import PluginError, UsageError
from mpikit.plugins import Offer, registry
from mpikit.signal import subtract_background
from mpikit.testing import example_scan

SAMPLES, SEED = 162, 4
FAST = ["candidates=harmonic,low-rank,symmetry"]


def simulated(
    rng, *, frames=20, periods=1, repeats="frames", empty=8, noise=0.3, feed=0.0, signal=1.0, **more
):
    """A scan of odd signals in white noise on a background, and its clean signals."""
    base = example_scan(frames=frames, periods=periods, repeats=repeats, background_frames=empty)
    objects = {"frames": (1, periods), "periods": (frames, 1), "both": (1, 1), "none": (frames, periods)}
    time = 2 * np.pi * np.arange(SAMPLES) / SAMPLES
    weights = rng.normal(size=(*objects[repeats], 2, 6))
    clean = signal * np.broadcast_to(weights @ np.sin(np.outer(np.arange(1, 7), time)), base.signal.shape)
    locked = feed * np.cos(2 * time)
    values = {
        "signal": clean + locked + noise * rng.normal(size=clean.shape),
        "background": locked + noise * rng.normal(size=base.background.shape),
    }
    arrays = {name: value.astype(np.float32) for name, value in values.items()}
    return replace(base, **arrays, **more), clean


def chosen(scan, parameters=FAST, **more):
    told = []
    choice = choose(scan, auto_candidates(parameters), seed=SEED, tell=told.append, **more)
    return choice, denoise_chosen(scan, choice, run=Run(rng=np.random.default_rng(SEED))), told


def strange(name, work, **record):
    class Method(StatelessMethod):
        def denoise(self, scan, /, *, run):  # noqa: ARG002
            return work(scan)

    denoiser = Denoiser(name=name, summary="Strange", build=lambda _: Method(), **record)
    return Candidate(Offer(denoiser, "odd", "stranger"))


def error(signal, clean):
    return float(np.mean((signal - clean) ** 2))


@pytest.mark.parametrize("repeats", ["frames", "periods", "both", "none"])
def test_it_is_as_good_as_the_best_candidate(repeats):
    periods = 1 if repeats in ("frames", "none") else 3
    scan, clean = simulated(np.random.default_rng(1), repeats=repeats, periods=periods, feed=0.5)
    choice, result, _ = chosen(scan, [])
    assert choice.judged_by == ("symmetry" if repeats == "none" else "repeats")
    errors = {}
    judged = {each.method for each in choice.verdicts if each.score is not None}
    assert {"background-subtraction", "harmonic", "low-rank", "symmetry", "wiener"} < judged
    for candidate in auto_candidates():
        run = Run(rng=np.random.default_rng(SEED))
        offer = candidate.offer
        if offer.record.name not in judged:
            continue
        alone = denoise_scan(scan, offer, offer.record.options(), run=run)
        errors[offer.record.name] = error(alone.signal, clean)
        if offer.record.name == choice.offer.record.name:
            np.testing.assert_array_equal(alone.signal, result.signal)
            np.testing.assert_array_equal(alone.background, result.background)
    found = 10 * np.log10(error(result.signal, clean) / min(errors.values()))
    assert found < 0.5
    assert result.without_background


def test_the_candidates_are_ours_without_training_and_pooling():
    names = [candidate.offer.record.name for candidate in auto_candidates()]
    assert {"background-subtraction", "harmonic", "low-rank", "symmetry", "wiener"} <= set(names)
    assert not {"average", "mp-pca", "unet-gd", "n2n", "r2r", "unchanged"} & set(names)
    assert names == sorted(names)


def test_named_candidates_and_their_options():
    found = auto_candidates(["candidates=unet-gd, harmonic,unchanged", "harmonic.symmetry=off"])
    assert [(each.offer.record.name, each.parameters) for each in found] == [
        ("unet-gd", ()),
        ("harmonic", ("symmetry=off",)),
    ]
    assert auto_candidates(["candidates=unchanged"]) == []


@pytest.mark.parametrize(
    ("parameters", "kind", "words"),
    [
        (["steps=4"], UsageError, "'steps=4' is no option of auto"),
        (["candidates"], UsageError, "'candidates' is no option of auto"),
        (["candidates="], UsageError, "names no method"),
        (["candidates=harmonics"], PluginError, "no method is called 'harmonics'"),
        (["candidates=auto"], UsageError, "auto chooses among the methods that are compared"),
        (["candidates=harmonic", "low-rank.band=3"], UsageError, "'low-rank' is none of the candidates"),
        (["harmonic.symetry=off"], UsageError, "symmetry"),
    ],
)
def test_wrong_options(parameters, kind, words):
    with pytest.raises(kind) as caught:
        auto_candidates(parameters)
    assert words in f"{caught.value} {caught.value.hint}"


def test_no_network_is_trained_that_nobody_asked_for():
    by_name = {each.offer.record.name: each.parameters for each in auto_candidates()}
    assert by_name["harmonic-n2n"] == ("network=off",)
    assert all(not options for name, options in by_name.items() if name != "harmonic-n2n")
    named = ["candidates=harmonic-n2n", "harmonic-n2n.pairs=mirror"]
    assert auto_candidates(named)[0].parameters == ("pairs=mirror", "network=off")
    named.append("harmonic-n2n.network = auto")
    assert auto_candidates(named)[0].parameters == ("pairs=mirror", "network = auto")


@pytest.mark.parametrize("learned", [False, True])
def test_the_oracle_wins_whatever_part_it_is_judged_on(learned):
    """Whole signals are held out, of other power in each turn; a learned method has the first turn alone."""
    scan, clean = simulated(np.random.default_rng(14), frames=30, periods=2, repeats="periods", empty=0)
    for order in (slice(None), slice(None, None, -1)):
        power = np.geomspace(0.1, 10, 30)[order, None, None, None]
        truth = (clean * power).astype(np.float32)
        given = replace(scan, signal=(truth + scan.signal - clean).astype(np.float32))
        known = {noisy.tobytes(): pure for noisy, pure in zip(given.signal, truth, strict=True)}

        def tell_truth(part, known=known):
            return np.stack([known[frame.tobytes()] for frame in part.signal])

        tried = [strange("oracle", tell_truth, learned=learned), *auto_candidates(FAST)]
        choice = choose(given, tried, seed=SEED)
        assert choice.offer.record.name == "oracle"
        assert choice.verdicts[0].method == "oracle"


def test_the_figures_are_those_of_all_turns():
    scan, _ = simulated(np.random.default_rng(15))
    choice, result, _ = chosen(scan)
    alone = compare_scan(scan, auto_candidates(FAST))
    one = {row.method: row.score.figures for row in (alone.noisy, *alone.rows)}
    assert result.before.figures.uncertainty < 0.7 * one["noisy"].uncertainty
    power = result.before.figures.power
    for verdict in choice.verdicts:
        assert verdict.score.figures.power == pytest.approx(power)
        behind = verdict.score.figures.error - choice.verdicts[0].score.figures.error
        assert verdict.behind == pytest.approx(behind, abs=1e-6 * power)
    assert {score.method for score in result.simple} >= {"average"}
    for score in result.simple:
        assert score.figures.power == pytest.approx(power)


def test_one_that_fails_in_a_later_turn_is_judged_on_the_turns_before():
    scan, clean = simulated(np.random.default_rng(16), empty=0)
    seen = []

    def tires(part):
        seen.append(part)
        if len(seen) == 3:
            raise RuntimeError("tired")
        return np.broadcast_to(clean[:1], part.signal.shape).astype(np.float32)

    choice = choose(scan, [strange("tires", tires), *auto_candidates(FAST)], seed=SEED)
    verdict = next(each for each in choice.verdicts if each.method == "tires")
    assert "judged on 2 of 5 parts" in verdict.verdict


def test_what_is_told():
    scan, _ = simulated(np.random.default_rng(2))
    choice, result, told = chosen(scan)
    assert [event for event in told if isinstance(event, Step)] == [
        Step(step, 15)
        for step in range(1, 16)  # three candidates, five parts held out in turn
    ]
    findings = {event.name: event for event in told if isinstance(event, Finding)}
    assert findings["auto"].value == choice.offer.record.name
    assert findings["auto"].text == f"auto chose {choice.offer.record.name}: {choice.why}"
    assert findings["candidates"].value == choice.as_json()["candidates"]
    assert [each.method for each in choice.verdicts][-1] == "unchanged"  # with the noise of the raw signal
    # the mean over the repeats is shown beside, and is not chosen
    assert "average" in {score.method for score in result.simple}
    assert result.after.method == choice.offer.record.name
    about = choice.as_json()
    assert about["chosen_by"] == "auto"
    assert {"method", "why", "judged_by", "candidates", "background_subtracted_first"} < set(about)


def test_a_seed_repeats_the_choice():
    scan, _ = simulated(np.random.default_rng(3), repeats="none")
    (one, first, _), (other, second, _) = chosen(scan), chosen(scan)
    assert one.as_json() == other.as_json()
    np.testing.assert_array_equal(first.signal, second.signal)
    assert choose(scan, auto_candidates(FAST), seed=5).as_json() != one.as_json()  # another split


@pytest.mark.parametrize("repeats", ["frames", "periods", "both", "none"])
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ({"noise": 0.0}, "no noise"),
        ({"signal": 0.0}, "no line stands out of the noise"),
        ({"signal": 0.0, "feed": 2.0}, "no line stands out of the noise"),
        ({"signal": 0.0, "noise": 0.0}, "no noise"),
    ],
)
def test_what_is_left_alone(repeats, kind, words):
    """Clean, noise alone, background alone, nothing at all: said, and not touched."""
    scan, _ = simulated(np.random.default_rng(5), repeats=repeats, periods=3, **kind)
    choice, result, told = chosen(scan)
    assert (choice.offer.record.name, choice.judged_by, choice.verdicts) == ("unchanged", "nothing", ())
    np.testing.assert_array_equal(result.signal, scan.signal)
    np.testing.assert_array_equal(result.background, scan.background)
    assert not result.without_background
    assert [event.text for event in told if isinstance(event, Warned) and words in event.text]
    assert result.no_score == "nothing was done to the signal"


@pytest.mark.parametrize("noise", [1e-4, 0.05, 3.0])
@pytest.mark.parametrize("empty", [0, 2, 8])
@pytest.mark.parametrize("repeats", ["frames", "none"])
def test_it_is_never_worse_than_the_noisy_signal(noise, empty, repeats):
    rng = np.random.default_rng(int(1e4 * noise) + empty)
    for _ in range(3):
        scan, clean = simulated(rng, frames=11, repeats=repeats, empty=empty, noise=noise)
        _, result, _ = chosen(scan)
        assert error(result.signal, clean) <= 1.02 * error(scan.signal, clean)


def test_one_period_is_judged_by_the_symmetry_of_the_scan():
    scan, clean = simulated(np.random.default_rng(6), frames=1, repeats="none", empty=0)
    choice, result, told = chosen(scan)
    assert choice.judged_by == "symmetry"
    assert next(event.text for event in told if isinstance(event, Finding)) == (
        "no repeats to judge by: each period is split into two views by the noise known from the even part "
        "of an odd scan"
    )
    assert choice.offer.record.name != "unchanged"
    assert error(result.signal, clean) < 0.5 * error(scan.signal, clean)
    assert (result.before, result.after) == (None, None)
    assert result.no_score.startswith("too few repeats to hold any back as judges")


def test_too_few_repeats_still_show_the_noise():
    scan, clean = simulated(np.random.default_rng(7), frames=3, empty=0)
    choice, result, _ = chosen(scan)
    assert choice.judged_by == "few repeats"
    assert error(result.signal, clean) < 0.5 * error(scan.signal, clean)


def test_without_anything_to_judge_by_the_signal_is_left_as_it_is():
    scan, _ = simulated(np.random.default_rng(8), frames=1, repeats="none", empty=0)
    field = replace(scan.drive_field, waveforms=np.array([["custom"]]))
    choice, result, told = chosen(replace(scan, drive_field=field))
    assert choice.offer.record.name == "unchanged"
    np.testing.assert_array_equal(result.signal, scan.signal)
    [warned] = [event.text for event in told if isinstance(event, Warned)]
    assert "cannot be judged by itself: too few repeats to hold any back" in warned
    assert "the signal is left as it is" in warned


def test_a_method_of_a_stranger_is_a_candidate_and_loses_the_background_first():
    """It knows nothing of a background; the oracle of this test, it knows the signal."""
    scan, clean = simulated(np.random.default_rng(9), feed=3.0)

    def towards(given):
        known = np.broadcast_to(clean[:1], given.signal.shape)
        return (known + 0.01 * (given.signal - known)).astype(np.float32)

    choice = choose(scan, [strange("oracle", towards), *auto_candidates(["candidates=symmetry"])], seed=SEED)
    assert (choice.offer.record.name, choice.cleared_first) == ("oracle", True)
    result = denoise_chosen(scan, choice, run=Run(rng=np.random.default_rng(SEED)))
    wanted = towards(subtract_background(scan))
    np.testing.assert_array_equal(result.signal, wanted)
    assert result.without_background


def test_one_that_fails_does_not_stop_the_others():
    def breaks(scan):
        raise RuntimeError("out of luck")

    told = []
    scan, _ = simulated(np.random.default_rng(10))
    tried = [
        strange("unlucky", breaks),
        strange("lacking", breaks, missing=lambda *_: "a map"),
        *auto_candidates(FAST),
    ]
    choice = choose(scan, tried, seed=SEED, tell=told.append)
    assert choice.offer.record.name in ("harmonic", "low-rank")
    verdicts = {each.method: each.verdict for each in choice.verdicts}
    assert "out of luck" in verdicts["unlucky"]
    assert verdicts["lacking"] == "lacks a map"
    assert any("unlucky failed: " in event.text for event in told if isinstance(event, Warned))


def test_only_the_chosen_method_warns():
    scan, _ = simulated(np.random.default_rng(11))

    class Talks(StatelessMethod):
        def denoise(self, scan, /, *, run):  # noqa: ARG002
            return (0.9 * scan.signal).astype(np.float32)

        def fit(self, scans, /, *, run):  # noqa: ARG002
            run.tell(Warned("it is not my day"))

    offer = Offer(Denoiser(name="talks", summary="Strange", build=lambda _: Talks()), "odd", "stranger")
    told = []
    choose(scan, [Candidate(offer), *auto_candidates(FAST)], seed=SEED, tell=told.append)
    assert not [event for event in told if isinstance(event, Warned)]


def test_interference_that_repeats_is_warned_of_where_it_is_not_subtracted():
    scan, _ = simulated(np.random.default_rng(12), feed=2.0)
    offer = registry().denoiser("harmonic")
    for background, warned in (("keep", True), ("subtract", False)):
        told = []
        run = Run(rng=np.random.default_rng(0), tell=told.append)
        denoise_scan(scan, offer, offer.record.options(background=background), run=run)
        texts = [event.text for event in told if isinstance(event, Warned)]
        assert any("in every period, and are not subtracted" in text for text in texts) == warned
    told = []
    lone = replace(scan, background=scan.background[:2], background_index=np.array([0, 30]))
    compare_scan(lone, auto_candidates(FAST), tell=told.append)  # judged with the background, so it counts
    assert any(
        "the score counts, them as signal" in event.text for event in told if isinstance(event, Warned)
    )


def test_a_candidate_that_pools_may_be_named():
    scan, _ = simulated(np.random.default_rng(13))
    choice, _, _ = chosen(scan, ["candidates=average,symmetry"])
    assert choice.offer.record.name == "average"
