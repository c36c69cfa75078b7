from __future__ import annotations

import numpy as np
import pytest

from mpikit.errors import InputError
from mpikit.events import Finding, Warned
from mpikit.reconstruct.transfer import (
    ReceiveChain,
    TransferPlan,
    group_transfer_function,
    inverse_transfer_function,
    plan_transfer_function,
)

FUNCTION = np.array([[1j, 2, 4, 0.5]])
DONE, ABSENT = ReceiveChain(True, FUNCTION), ReceiveChain(False)
READY = ReceiveChain(False, FUNCTION)
FACTOR = ReceiveChain(False, FUNCTION, np.array([3.0]))
DONE_FACTOR = ReceiveChain(True, FUNCTION, np.array([3.0]))
NEITHER = TransferPlan(frozenset(), False)


def plan(u, s, wanted="auto", **choice):
    heard = []
    found = plan_transfer_function({"u": u, "S": s}, wanted, tell=heard.append, **choice)
    return found, [event for event in heard if isinstance(event, Warned)]


@pytest.mark.parametrize(
    ("u", "s", "wanted", "divide", "induction"),
    [
        (READY, READY, "auto", "uS", False),
        (READY, READY, "divide", "uS", False),
        (READY, READY, "none", "", False),
        (FACTOR, FACTOR, "auto", "uS", True),
        (FACTOR, FACTOR, "none", "", False),
        (FACTOR, READY, "auto", "uS", False),  # of one alone would be the trap
        (DONE, DONE, "auto", "", False),
        (DONE, DONE, "divide", "", False),
        (DONE_FACTOR, DONE, "none", "", False),
        (DONE, READY, "auto", "S", False),
        (READY, DONE, "divide", "u", False),
        (ReceiveChain(False, FUNCTION, np.ones(1)), DONE, "auto", "u", False),
        (ABSENT, ABSENT, "auto", "", False),
        (ABSENT, ABSENT, "none", "", False),
        (READY, ABSENT, "none", "", False),
    ],
)
def test_both_files_end_up_alike(u, s, wanted, divide, induction):
    found, _ = plan(u, s, wanted)
    assert found == TransferPlan(frozenset(divide), induction)


def test_a_transfer_function_that_only_one_has_is_kept_with_a_warning():
    found, warned = plan(READY, ABSENT)
    assert found == NEITHER
    assert [each.text for each in warned] == [
        "transfer functions kept: u has one that is not divided out, S has none"
    ]
    assert not plan(ABSENT, ABSENT)[1]
    assert not plan(FACTOR, FACTOR)[1]


def test_what_is_done_is_said():
    heard = []
    plan_transfer_function({"u": FACTOR, "S": FACTOR}, "auto", tell=heard.append)
    assert heard == [
        Finding(
            "transfer function",
            ["S", "u"],
            "transfer function and the induction factor divided out of S, u",
        )
    ]


@pytest.mark.parametrize(
    ("u", "s", "wanted", "divided"),
    [
        (DONE, ABSENT, "auto", ""),
        (ABSENT, DONE, "none", ""),
        (DONE, READY, "none", ""),
        (DONE, FACTOR, "auto", "S"),  # was the factor in the correction of u?
        (READY, DONE_FACTOR, "divide", "u"),
    ],
)
def test_files_that_cannot_be_made_alike_are_refused(u, s, wanted, divided):
    with pytest.raises(InputError, match="expected the same for all"):
        plan(u, s, wanted)
    found, warned = plan(u, s, wanted, allow_mismatch=True)
    assert found == TransferPlan(frozenset(divided), False)
    assert len(warned) == 1


@pytest.mark.parametrize("other", [DONE, READY, ABSENT])
def test_dividing_needs_a_transfer_function(other):
    with pytest.raises(InputError, match="has no transfer function, expected one"):
        plan(other, ABSENT, "divide", allow_mismatch=True)


def test_the_coil_signal_comes_back(rng):
    at_coil = rng.normal(size=(3, 1, 2, 5)) + 1j * rng.normal(size=(3, 1, 2, 5))
    function = rng.normal(size=(2, 5)) + 1j * rng.normal(size=(2, 5))
    induction = np.array([2.0, -0.5])
    stored = at_coil * function * induction[:, None]
    inverse, usable = inverse_transfer_function(function, induction)
    assert usable.all()
    np.testing.assert_allclose(stored * inverse, at_coil, rtol=1e-12)
    inverse, _ = inverse_transfer_function(function)
    np.testing.assert_allclose(stored * inverse, at_coil * induction[:, None], rtol=1e-12)


def test_zeros_give_no_infinities_but_are_named():
    function = np.array([[0, 1e-3, 1e-17, 2j], [np.nan, 1e-8, np.inf, 1e-12], [0, 0, 0, 0]])
    inverse, usable = inverse_transfer_function(function, np.array([2.0, 1.0, 1.0]))
    np.testing.assert_array_equal(
        usable,
        [[False, True, False, True], [False, True, False, True], [False] * 4],
    )
    assert np.all(np.isfinite(inverse))
    assert not inverse[~usable].any()
    np.testing.assert_allclose(inverse[usable], [500, -0.25j, 1e8, 1e12])


@pytest.mark.parametrize("factor", [0.0, np.nan])
def test_an_induction_factor_that_cannot_be_divided_by(factor):
    with pytest.raises(InputError, match="induction factors"):
        inverse_transfer_function(np.ones((2, 3)), np.array([1.0, factor]))


@pytest.mark.parametrize("samples", [6, 7])
def test_grouped_lines_lie_between(samples):
    function = np.array([[0, 1 + 2j, 2, 5j], [3, 3, 3, 3]])
    grouped = group_transfer_function(function, samples=samples, count=2)
    assert grouped.shape == (2, samples + 1)
    np.testing.assert_allclose(grouped[:, :7:2], function)
    np.testing.assert_allclose(grouped[0, [1, 3, 5]], [0.5 + 1j, 1.5 + 1j, 1 + 2.5j])
    np.testing.assert_allclose(grouped[0, 6:], 5j)  # constant beyond the last line
