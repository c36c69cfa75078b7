"""The rule of `auto`, in closed form on errors that are made up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit import Denoiser, StatelessMethod
from mpikit.compare import SIMPLICITY, Row, Skipped, simplest
from mpikit.compare.choice import as_lines, rank
from mpikit.judging import Score
from mpikit.metrics import Losses, ReferenceFree, Spread
from mpikit.plugins import Offer

NOBODY = Spread(np.zeros((0, 1, 1), complex), np.zeros((1, 1)))


def row(method, signals, *, learned=False):
    """A method with the given loss on each of ten clean signals, whose spread is the standard error."""
    record = Denoiser(name=method, summary="Made up", build=lambda _: StatelessMethod(), learned=learned)
    each = np.array(signals, float)
    found = Losses(each, np.array([each.mean()]), None, NOBODY, NOBODY, NOBODY)
    score = Score(method, ReferenceFree(float(each.mean()) + 2, 0.1, 2.0), 1)
    return Row(method, score=score, losses=(found,), offer=Offer(record, "made-up", "mpikit"))


def level(mean, wobble=0.0):
    """Ten losses of a mean; relative to another mean the standard error is wobble / 3."""
    return mean + wobble * np.tile([1.0, -1.0], 5)


UNCHANGED = row("unchanged", level(1.0))


@pytest.mark.parametrize(
    ("ahead", "wobble", "chosen"),
    [
        (0.299, 0.9, "harmonic"),  # 0.299 behind, and the standard error is 0.3
        (0.301, 0.9, "low-rank"),
        (-1e-9, 0.0, "harmonic"),
        (1e-9, 0.0, "low-rank"),
    ],
)
def test_the_simplest_within_one_standard_error(ahead, wobble, chosen):
    best, simple = row("low-rank", level(-3 - ahead)), row("harmonic", level(-3, wobble))
    for rows in ([UNCHANGED, best, simple], [UNCHANGED, simple, best]):
        found, why, _ = simplest(rows, [])
        assert found.method == chosen
        assert ("within one standard error of the best, low-rank" in why) == (ahead == 0.299)


@pytest.mark.parametrize(("gain", "chosen"), [(0.599, "unchanged"), (0.601, "harmonic")])
def test_a_method_has_to_be_better_than_the_signal_by_two_standard_errors(gain, chosen):
    found, why, verdicts = simplest([UNCHANGED, row("harmonic", level(1 - gain, 0.9))], [])
    assert found.method == chosen
    if chosen == "unchanged":
        assert why == "no candidate is better than the signal as it is by two standard errors"
        assert verdicts[0].verdict == "not clearly better than the signal as it is"
        assert verdicts[1].verdict == "chosen"


def test_differences_of_the_rounding_are_none():
    rows = [UNCHANGED, row("low-rank", level(-1e-13)), row("harmonic", level(0.0))]
    assert simplest(rows, [], rounding=1e-12)[0].method == "harmonic"
    barely = [UNCHANGED, row("harmonic", level(1 - 1e-13))]
    assert simplest(barely, [], rounding=1e-12)[0].method == "unchanged"


def test_a_learned_method_comes_after_all_others():
    names = [*SIMPLICITY, "stranger"]
    rows = [row(name, level(0)) for name in names] + [row("harmonic", level(0), learned=True)]
    assert sorted(rows, key=rank) == rows
    learned, stranger = row("net", level(-1), learned=True), row("stranger", level(-1))
    assert simplest([UNCHANGED, learned, stranger], [])[0] is stranger
    assert simplest([UNCHANGED, learned], [])[0] is learned


def test_the_verdicts():
    failed = replace(row("wavelet", level(0)), losses=(), score=None, error="no memory")
    mute = replace(row("average", level(0)), losses=(), score=None)
    rows = [UNCHANGED, row("wiener", level(-1)), failed, row("symmetry", level(0.5)), mute]
    found, why, verdicts = simplest(rows, [Skipped("sure", "a known noise")])
    assert found.method == "wiener"
    assert why == "the best of 3, and none that is simpler is within one standard error of it"
    assert [(each.method, each.verdict) for each in verdicts] == [
        ("wiener", "chosen, the best"),
        ("symmetry", "behind the best"),
        ("unchanged", ""),
        ("wavelet", "failed: no memory"),
        ("average", "could not be judged"),
        ("sure", "lacks a known noise"),
    ]
    assert [each.behind for each in verdicts] == [0, 1.5, 2, None, None, None]
    noisy = Score("noisy", ReferenceFree(3.0, 0.1, 2.0), 1)
    lines = as_lines(verdicts, noisy)
    assert lines[0].split() == ["candidate", "error", "behind", "the", "best", "verdict"]
    assert "83.3 ± 3.3 %  50 ± 0 %" in lines[2]
    assert lines[-1].split() == ["sure", "lacks", "a", "known", "noise"]


def test_a_method_judged_on_fewer_parts_competes_on_those():
    """The losses of a part hold the power of its signals: here 0, 40 and -70."""
    shifts = (0.0, 40.0, -70.0)

    def judged(method, mean, parts=3, *, learned=False):
        one = row(method, level(mean), learned=learned)
        losses = [row(method, level(mean + shift)).losses[0] for shift in shifts]
        return replace(one, losses=tuple(losses[:parts]))

    rows = [judged("unchanged", 1), judged("wavelet", -1), judged("low-rank", -2)]
    for first in shifts:
        shifts = (first, 40.0, -70.0)
        best, worse = judged("net", -3, 1, learned=True), judged("other-net", -1.5, 1, learned=True)
        rows = [judged("unchanged", 1), judged("wavelet", -1), judged("low-rank", -2)]
        found, _, verdicts = simplest([*rows, worse], [])
        assert found.method == "low-rank"
        assert [each.method for each in verdicts] == ["low-rank", "other-net", "wavelet", "unchanged"]
        assert verdicts[1].verdict == "behind the best, judged on 1 of 3 parts"
        assert verdicts[1].behind == pytest.approx(0.5)
        found, _, verdicts = simplest([*rows, worse, best], [])
        assert found is best
        assert [each.behind for each in verdicts] == pytest.approx([0, 1, 1.5, 2, 4])


def test_what_was_judged_on_other_repeats_is_compared_as_independent():
    odd = row("average", level(-3))
    odd = replace(odd, losses=(replace(odd.losses[0], signals=np.full(4, -3.0)),))
    found, _, verdicts = simplest([UNCHANGED, odd], [])
    assert found is odd
    assert verdicts[1].behind_error == pytest.approx(np.hypot(0.1, 0.1))
