from __future__ import annotations

import itertools

import pytest

import mdf
from mpikit.errors import InputError
from mpikit.events import Warned, silent
from mpikit.reconstruct.background import background_state, plan_background

STATES = ["corrected", "frames", "simulated", "unknown"]


def warnings_of(files, wanted, **options):
    events = []
    subtract = plan_background(files, wanted, tell=events.append, **options)
    return subtract, [event.text for event in events if isinstance(event, Warned)]


@pytest.mark.parametrize(("one", "other"), list(itertools.product(STATES, STATES)))
def test_by_default_it_is_subtracted_from_all_or_from_none(one, other):
    subtract, warned = warnings_of({"a": one, "b": other}, "auto")
    possible = "unknown" not in (one, other)
    wanted = {name for name, state in (("a", one), ("b", other)) if state == "frames"}
    assert subtract == (wanted if possible else set())
    assert len(warned) == (not possible)


def test_it_is_said_of_which_file():
    events = []
    plan_background({"a": "corrected", "b": "frames"}, "auto", tell=events.append)
    plan_background({"a": "corrected"}, "auto", tell=events.append)
    said = [event.text.partition(": ")[2] for event in events]
    assert said == ["b; corrected already: a", "from no file; corrected already: a"]


def test_static_that_cannot_be_done_is_refused():
    with pytest.raises(InputError, match="b has no background frames") as caught:
        plan_background({"a": "frames", "b": "unknown"}, "static", tell=silent)
    assert "--background none" in caught.value.hint


def test_none_subtracts_nothing():
    assert warnings_of({"a": "frames", "b": "frames"}, "none") == (set(), [])


def test_none_with_a_corrected_file_is_refused_unless_allowed():
    files = {"a": "corrected", "b": "frames"}
    with pytest.raises(InputError, match="a is background-corrected already, b has background frames"):
        plan_background(files, "none", tell=silent)
    subtract, warned = warnings_of(files, "none", allow_mismatch=True)
    assert subtract == set()
    assert len(warned) == 1


def test_the_state_of_a_file(pair):
    cases = {
        "frames": pair.measurement("a.mdf"),
        "corrected": pair.measurement("b.mdf", **{"/measurement/isBackgroundCorrected": True}),
        "unknown": pair.measurement("c.mdf", background=0),
        "simulated": pair.measurement("d.mdf", background=0, **{"/experiment/isSimulation": True}),
    }
    for state, path in cases.items():
        with mdf.open(path) as file:
            assert background_state(file) == state
