"""Cross-fitting: no repeat and no background frame on both sides of a score."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpikit.judging import hold_out, judge, judge_noisy, take_frames, take_periods, turns
from mpikit.records import Denoiser, Run, StatelessMethod
from mpikit.scan import Corrections, Scan
from mpikit.scanner import DriveField, SelectionField
from mpikit.signal import stack_repeats, subtract_background
from mpikit.testing import example_scan

SAMPLES = 48
CLEAN = np.sin(2 * np.pi * 3 * np.arange(SAMPLES) / SAMPLES)


def make_scan(signal, background, repeats):
    """A scan with half of its empty frames before and half after; the fields number the periods."""
    frames, periods, _, samples = signal.shape
    order = np.arange(frames + len(background))
    foreground = order[len(background) // 2 :][:frames]
    number = np.arange(periods, dtype=float)
    drive = DriveField(
        1e6,
        np.array([[samples]]),
        1 + number.reshape(-1, 1, 1),
        number.reshape(-1, 1, 1),
        np.array([["sine"]]),
    )
    selection = SelectionField(
        np.tile(number[:, None, None, None], (1, 1, 3, 3)), np.tile(number[:, None, None], (1, 1, 3))
    )
    return Scan(
        signal=signal.astype(np.float32),
        background=background.astype(np.float32),
        foreground_index=foreground,
        background_index=np.delete(order, foreground),
        sampling_rate=1e6,
        unit="V",
        drive_field=drive,
        selection_field=selection,
        stored_lines=np.ones(samples // 2 + 1, bool),
        corrections=Corrections(),
        repeats=repeats,
    )


def numbered(frames, periods, empty, repeats):
    """Every period of every frame is a number of its own, in both channels and all four samples."""
    numbers = np.arange((frames + empty) * periods, dtype=float).reshape(-1, periods)
    values = np.broadcast_to(numbers[:, :, None, None], (*numbers.shape, 2, 4))
    return make_scan(values[:frames], values[frames:], repeats)


def numbers(array):
    return set(np.unique(array).tolist())


# --- parts of a scan -------------------------------------------------------------------------------------


@given(
    st.integers(1, 25),
    st.integers(1, 14),
    st.sampled_from([0, 4, 5, 9, 12]),
    st.sampled_from(["frames", "periods", "both", "none"]),
)
def test_no_repeat_and_no_empty_frame_in_both_parts(frames, periods, empty, repeats):
    scan = numbered(frames, periods, empty, repeats)
    holdout = hold_out(scan)
    if holdout.judging is None:
        assert holdout.fitting is scan
        assert holdout.inputs is None
        return
    fitting, judging, inputs = holdout.fitting, holdout.judging, holdout.inputs
    assert numbers(fitting.signal).isdisjoint(numbers(judging.signal))
    assert numbers(fitting.background).isdisjoint(numbers(judging.background))
    assert numbers(inputs.background).isdisjoint(numbers(judging.background))
    np.testing.assert_array_equal(inputs.signal, judging.signal)
    np.testing.assert_array_equal(inputs.foreground_index, judging.foreground_index)
    assert numbers(fitting.signal) | numbers(judging.signal) == numbers(scan.signal)
    for part in (fitting, judging):
        assert stack_repeats(part.signal, repeats).shape[1] >= 2
        if empty:
            assert len(part.background) >= empty // 2 - 1


@given(st.integers(4, 60), st.floats(0.05, 0.5))
def test_what_is_held_out_is_spread_over_time(frames, share):
    judging = hold_out(numbered(frames, 1, 0, "frames"), share=share).judging
    if judging is None:
        assert frames - max(2, round(share * frames)) < 2
        return
    index = judging.foreground_index
    assert len(index) == max(2, round(share * frames))
    gaps = np.diff(index)
    assert gaps.max() - gaps.min() <= 1
    assert abs(index.mean() - (frames - 1) / 2) <= 1


@pytest.mark.parametrize(
    ("repeats", "frames", "periods", "held", "shared"),
    [
        ("frames", 20, 3, (4, 3), True),
        ("periods", 3, 20, (3, 4), True),
        ("periods", 40, 4, (8, 4), False),  # enough clean signals: some of them whole
        ("periods", 40, 9, (40, 2), True),  # enough repeats
        ("periods", 9, 4, (9, 2), True),
        ("both", 12, 5, (2, 5), True),
        ("both", 5, 12, (5, 2), True),
        ("frames", 5, 12, (2, 12), True),  # no patch is unknown to what is fitted
        ("both", 3, 3, (1, 3), True),  # one frame holds repeats enough
        ("both", 3, 2, (1, 2), True),
        ("both", 2, 4, (2, 1), True),
        ("both", 2, 2, (1, 2), True),
        ("both", 4, 1, (2, 1), True),
    ],
)
def test_what_is_held_out(repeats, frames, periods, held, shared):
    holdout = hold_out(numbered(frames, periods, 0, repeats))
    assert holdout.judging.signal.shape[:2] == held
    assert holdout.shared == shared
    assert holdout.fitting.signal.size + holdout.judging.signal.size == 8 * frames * periods


@pytest.mark.parametrize(
    ("repeats", "frames", "periods"),
    [("none", 20, 20), ("frames", 3, 12), ("periods", 9, 3), ("both", 3, 1), ("frames", 1, 1)],
)
def test_too_few_repeats(repeats, frames, periods):
    scan = numbered(frames, periods, 4, repeats)
    holdout = hold_out(scan)
    assert holdout.fitting is scan
    assert (holdout.judging, holdout.inputs) == (None, None)
    assert judge_noisy(holdout, without_background=False) is None
    assert judge(denoiser(), Same(), holdout, without_background=False, run=run()) is None


def test_a_single_empty_frame_serves_both():
    holdout = hold_out(numbered(9, 1, 2, "frames"))
    np.testing.assert_array_equal(holdout.fitting.background, holdout.judging.background)


def test_take_frames_and_periods():
    scan = numbered(5, 3, 4, "both")
    some = take_frames(scan, np.array([True, False, False, True, True]))
    np.testing.assert_array_equal(some.signal, scan.signal[[0, 3, 4]])
    np.testing.assert_array_equal(some.foreground_index, scan.foreground_index[[0, 3, 4]])
    np.testing.assert_array_equal(some.background, scan.background)
    two = take_periods(scan, np.array([True, False, True]))
    np.testing.assert_array_equal(two.signal, scan.signal[:, [0, 2]])
    np.testing.assert_array_equal(two.background, scan.background[:, [0, 2]])
    np.testing.assert_array_equal(two.drive_field.phases.ravel(), [0, 2])
    np.testing.assert_array_equal(two.drive_field.amplitudes.ravel(), [1, 3])
    np.testing.assert_array_equal(two.selection_field.offset[:, 0, 0], [0, 2])
    np.testing.assert_array_equal(two.selection_field.gradient[:, 0, 2, 1], [0, 2])
    assert (
        take_periods(replace(scan, selection_field=None), np.array([True, False, True])).selection_field
        is None
    )


# --- scores ----------------------------------------------------------------------------------------------


class Same(StatelessMethod):
    """Changes nothing but the background."""

    def __init__(self, *, clear=False, factor=1.0):
        self.clear, self.factor = clear, factor
        self.seen = []

    def denoise(self, scan, /, *, run):  # noqa: ARG002
        self.seen.append(scan)
        cleared = subtract_background(scan) if self.clear else scan
        return (self.factor * cleared.signal).astype(np.float32)


class Mean(StatelessMethod):
    """Mean of all repeats that it is given."""

    def __init__(self):
        self.seen = []

    def denoise(self, scan, /, *, run):  # noqa: ARG002
        self.seen.append(scan)
        axis = {"frames": 0, "periods": 1, "both": (0, 1)}[scan.repeats]
        return np.broadcast_to(scan.signal.mean(axis=axis, keepdims=True), scan.signal.shape)


def denoiser(**record):
    return Denoiser(name="test", summary="For a test", build=Same, **record)


def run():
    return Run(rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("repeats", "frames", "periods"),
    [("frames", 12, 3), ("periods", 20, 4), ("periods", 3, 12), ("both", 4, 9)],
)
@pytest.mark.parametrize("pools", [False, True])
def test_judges_are_no_input_of_a_method_that_pools(repeats, frames, periods, pools):
    """Were it shown its judges, their mean would be a perfect score."""
    scan = numbered(frames, periods, 8, repeats)
    holdout, method = hold_out(scan), Mean() if pools else Same()
    score = judge(denoiser(pools=pools), method, holdout, without_background=False, run=run())
    (seen,) = method.seen
    assert numbers(seen.background).isdisjoint(numbers(holdout.judging.background))
    if not pools:
        np.testing.assert_array_equal(seen.signal, holdout.judging.signal)
        assert score.periods_used == 1
        return
    judges = numbers(holdout.judging.signal) - numbers(seen.signal)
    assert score.periods_used == stack_repeats(seen.signal, repeats).shape[1]
    if holdout.shared:
        assert judges == numbers(holdout.judging.signal)
    else:  # whole signals were held out: half of their periods judge the other half
        assert len(judges) == len(numbers(holdout.judging.signal)) / 2


def test_a_signal_of_too_few_periods_cannot_judge_a_method_that_pools():
    holdout = hold_out(numbered(20, 3, 0, "periods"))
    assert judge(denoiser(pools=True), Mean(), holdout, without_background=False, run=run()) is None
    assert judge(denoiser(), Same(), holdout, without_background=False, run=run()) is not None


def noisy_scan(rng, repeats, frames, periods, empty, background=0.0):
    signal = CLEAN + background + rng.normal(size=(frames, periods, 3, SAMPLES))
    return make_scan(signal, background + rng.normal(size=(empty, periods, 3, SAMPLES)), repeats)


SHAPES = [
    ("frames", 20, 2, 8),
    ("frames", 20, 2, 4),  # two frames in a block, one for each part
    ("both", 3, 3, 8),
    ("periods", 3, 12, 4),
    ("periods", 20, 4, 4),
    ("both", 12, 2, 8),
    ("both", 2, 12, 8),
]


@pytest.mark.parametrize(("repeats", "frames", "periods", "empty"), SHAPES)
def test_the_score_is_unbiased_when_a_background_is_subtracted(repeats, frames, periods, empty):
    """Error and power of 200 draws against the clean signal, within three and a half standard errors."""
    rng = np.random.default_rng(12)
    method, feedthrough = Same(clear=True, factor=0.8), 5 * np.cos(2 * np.pi * np.arange(SAMPLES) / SAMPLES)
    differences = []
    for _ in range(200):
        holdout = hold_out(noisy_scan(rng, repeats, frames, periods, empty, feedthrough))
        score = judge(denoiser(), method, holdout, without_background=True, run=run())
        true = np.mean((method.denoise(holdout.inputs, run=run()) - CLEAN) ** 2)
        differences.append([score.figures.error - true, score.figures.power - np.mean(CLEAN**2)])
    mean, spread = np.mean(differences, axis=0), np.std(differences, axis=0, ddof=1)
    assert np.all(np.abs(mean) < 3.5 * spread / np.sqrt(200)), mean


@pytest.mark.parametrize(
    ("repeats", "frames", "periods", "empty"),
    [("frames", 30, 1, 0), ("periods", 20, 4, 0), ("both", 6, 4, 0)],
)
def test_the_score_of_a_method_that_pools(repeats, frames, periods, empty):
    """The mean of R repeats of unit noise has an error of 1/R; its uncertainty is the spread."""
    rng = np.random.default_rng(13)
    scores = []
    for _ in range(200):
        holdout = hold_out(noisy_scan(rng, repeats, frames, periods, empty))
        scores.append(judge(denoiser(pools=True), Mean(), holdout, without_background=False, run=run()))
    errors = np.array([score.figures.error for score in scores])
    spread = errors.std(ddof=1)
    assert abs(errors.mean() - 1 / scores[0].periods_used) < 3.5 * spread / np.sqrt(200)
    assert spread == pytest.approx(np.mean([score.figures.uncertainty for score in scores]), rel=0.15)


def test_the_noisy_score_is_that_of_doing_nothing():
    rng = np.random.default_rng(14)
    for without_background in (False, True):
        holdout = hold_out(noisy_scan(rng, "frames", 40, 2, 10))
        noisy = judge_noisy(holdout, without_background=without_background)
        method = Same(clear=without_background)
        same = judge(denoiser(), method, holdout, without_background=without_background, run=run())
        assert noisy.figures == same.figures
        assert (noisy.method, noisy.periods_used) == ("noisy", 1)
        assert noisy.figures.error == pytest.approx(1 + without_background / 6, rel=0.1)


def test_the_score_of_a_method_that_pools_with_a_background_subtracted():
    """The judges share the noise of their own half of the empty frames."""
    rng = np.random.default_rng(15)

    class ClearMean(Mean):
        def denoise(self, scan, /, *, run):
            return super().denoise(subtract_background(scan), run=run)

    differences = []
    for _ in range(200):
        holdout = hold_out(noisy_scan(rng, "frames", 20, 2, 8, background=3.0))
        score = judge(denoiser(pools=True), ClearMean(), holdout, without_background=True, run=run())
        true = np.mean((ClearMean().denoise(holdout.fitting, run=run()) - CLEAN) ** 2)
        differences.append(score.figures.error - true)
    assert abs(np.mean(differences)) < 3.5 * np.std(differences, ddof=1) / np.sqrt(200)


@pytest.mark.parametrize("pools", [False, True])
def test_a_background_that_was_subtracted_before_is_not_counted_twice(pools):
    """Estimate and judges share its noise: the score is too good by it, and by no more."""
    rng = np.random.default_rng(16)
    errors = []
    for _ in range(100):
        scan = subtract_background(noisy_scan(rng, "frames", 20, 2, 8))
        method = Mean() if pools else Same()
        score = judge(denoiser(pools=pools), method, hold_out(scan), without_background=True, run=run())
        errors.append(score.figures.error)
    expected = 1 / 16 if pools else 1.0
    assert abs(np.mean(errors) - expected) < 0.08  # frames lose not quite the same; counted twice: -0.25


@pytest.mark.parametrize("frames", [8, 12])
def test_the_uncertainty_of_two_judges_of_a_method_that_pools(frames):
    rng = np.random.default_rng(17)
    scores = []
    for _ in range(200):
        holdout = hold_out(noisy_scan(rng, "frames", frames, 1, 0))
        scores.append(judge(denoiser(pools=True), Mean(), holdout, without_background=False, run=run()))
    spread = np.std([score.figures.error for score in scores], ddof=1)
    assert spread == pytest.approx(np.mean([score.figures.uncertainty for score in scores]), rel=0.15)


@pytest.mark.parametrize(
    ("frames", "periods", "repeats", "wanted"),
    [
        (20, 1, "frames", 5),
        (13, 2, "frames", 4),
        (5, 1, "frames", 2),
        (24, 2, "periods", 4),
        (3, 3, "both", 3),
        (3, 1, "frames", 1),
    ],
)
def test_each_turn_holds_others_out(frames, periods, repeats, wanted):
    scan = example_scan(frames=frames, periods=periods, repeats=repeats)
    assert turns(scan) == wanted
    if wanted == 1:
        return
    seen = []
    for turn in range(wanted):
        parts = hold_out(scan, turn=turn)
        seen += parts.judging.foreground_index.tolist()
        assert not set(parts.judging.foreground_index) & set(parts.fitting.foreground_index)
    assert len(seen) == len(set(seen))
