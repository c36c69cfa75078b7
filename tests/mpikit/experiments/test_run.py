"""Pieces are kept one by one, taken again with resume, and done anew without."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mpikit.errors import InputError, PluginError
from mpikit.events import Finding, Warned
from mpikit.experiments import Piece, Plan, StoppedError, run_experiments
from mpikit.experiments.peng_pieces import Trial, trial_piece
from mpikit.experiments.pieces import Pieces
from mpikit.experiments.published_peng import TABLE_III

PLAN = Plan(scale="smoke")


def run(small, folder, plan=PLAN, **options):
    return run_experiments([small.experiment()], folder, plan, **options)


def test_a_piece_that_fails_says_what_to_do(small, tmp_path, monkeypatch):
    """What is missing is missing for all pieces: whoever installs it needs the name."""

    def missing(*_, **__):
        raise InputError("no digits", hint="pip install them")

    told = []
    monkeypatch.setattr("mpikit.experiments.run._done", missing)
    found = run(small, tmp_path / "out", tell=told.append)
    assert set(found.failed.values()) == {"no digits; pip install them"}
    assert any(
        "failed: no digits; pip install them" in event.text for event in told if hasattr(event, "text")
    )


def test_pieces_are_done_once_and_taken_with_resume(small, tmp_path):
    folder = tmp_path / "new" / "folder"
    found = run(small, folder)
    assert small.done == ["first", "second"]
    table = found.findings["small"].tables[0]
    assert [line.cells["SNR"].value for line in table.lines] == [11.5, 21.5]
    again = run(small, folder, resume=True)
    assert small.done == ["first", "second"]
    assert again.findings["small"].tables == found.findings["small"].tables
    for key, outcome in found.outcomes.items():
        np.testing.assert_array_equal(again.outcomes[key].arrays["signal"], outcome.arrays["signal"])
        assert again.outcomes[key].about == outcome.about
        assert again.outcomes[key].about["device"] == "cpu"


def test_another_seed_or_scale_is_another_piece(small, tmp_path):
    run(small, tmp_path / "out")
    run(small, tmp_path / "out", Plan(scale="smoke", seed=1), resume=True)
    run(small, tmp_path / "out", Plan(scale="quick"), resume=True)
    assert small.done == ["first", "second"] * 3


def test_the_key_is_that_of_the_settings():
    one = Piece("one label", {"piece": "p", "method": "a/b", "size": 1}, None)
    same = Piece("another", {"size": 1, "method": "a/b", "piece": "p"}, None)
    other = Piece("one label", {"piece": "p", "method": "a/b", "size": 2}, None)
    assert one.key == same.key != other.key
    assert one.key.startswith("p-a-b-")


def test_a_folder_with_something_in_it(small, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty") as refused:
        run(small, tmp_path / "out")
    assert all(word in refused.value.hint for word in ("--resume", "--force", "--output"))
    assert small.done == []
    run(small, tmp_path / "out", overwrite=True)
    small.add = 1.0
    anew = run(small, tmp_path / "out", overwrite=True)
    assert small.done == ["first", "second"] * 2
    assert anew.findings["small"].tables[0].lines[0].cells["SNR"].value == 12.5
    kept = run(small, tmp_path / "out", resume=True)
    assert kept.findings["small"].tables[0].lines[0].cells["SNR"].value == 12.5
    assert (tmp_path / "out" / "letter.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_made(small, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        run(small, tmp_path / "file")


def test_a_piece_in_common_is_done_once(small, tmp_path):
    both = [small.experiment("small"), small.experiment("other")]
    found = run_experiments(both, tmp_path / "out", PLAN)
    assert small.done == ["first", "second"]
    assert set(found.findings) == {"small", "other"}


def test_what_fails_is_told_and_tried_again(small, tmp_path):
    small.raises["first"] = ValueError("it broke")
    told = []
    found = run(small, tmp_path / "out", tell=told.append)
    assert list(found.failed.values()) == ["ValueError: it broke"]
    assert [event.text for event in told if isinstance(event, Warned)] == [
        "<b>first</b> failed: ValueError: it broke"
    ]
    assert [line.label for line in found.findings["small"].tables[0].lines] == ["<b>second</b>"]
    small.raises.clear()
    told.clear()
    assert not run(small, tmp_path / "out", resume=True, tell=told.append).failed
    assert small.done == ["second", "first"]
    assert [event.text for event in told if isinstance(event, Finding)] == [
        "1 of 2 pieces are there already",
        "== 1/2 <b>first</b>",
    ]


def test_an_interrupted_run_goes_on(small, tmp_path):
    small.raises["second"] = KeyboardInterrupt()
    with pytest.raises(StoppedError) as stopped:
        run(small, tmp_path / "out")
    assert (stopped.value.done, stopped.value.total) == (1, 2)
    assert sorted(path.suffix for path in (tmp_path / "out" / "pieces").iterdir()) == [".json", ".npz"]
    small.raises.clear()
    run(small, tmp_path / "out", resume=True)
    assert small.done == ["first", "second"]


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"format": 99, "has_arrays": False}), "null"])
def test_a_damaged_piece(small, tmp_path, text):
    run(small, tmp_path / "out")
    path = Pieces(tmp_path / "out").path(small.piece(PLAN, "first"))
    path.write_text(text)
    with pytest.raises(InputError, match=path.name) as refused:
        run(small, tmp_path / "out", resume=True)
    assert "remove the file" in refused.value.hint


def test_a_piece_without_its_arrays(small, tmp_path):
    run(small, tmp_path / "out")
    path = Pieces(tmp_path / "out").path(small.piece(PLAN, "first"))
    path.with_suffix(".npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(InputError, match="damaged"):
        run(small, tmp_path / "out", resume=True)


def test_an_unknown_method_is_refused_before_anything_is_made(small, tmp_path):
    with pytest.raises(PluginError, match="low-rnk") as refused:
        run(small, tmp_path / "out", Plan(methods=("low-rnk",)))
    assert "did you mean 'low-rank'" in refused.value.hint
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("learner")
def test_a_training_goes_on_within_its_piece(small, tmp_path, monkeypatch):
    """The training is the same as one that nobody interrupted."""
    pieces = {}

    def learn(stop):
        parameters = (f"stop_after={stop}",)
        return trial_piece(
            PLAN, TABLE_III, Trial(method="learner", label="l", kind="yours", parameters=parameters)
        )

    monkeypatch.setattr("mpikit.experiments.peng_pieces.is_learned", lambda _: True)
    monkeypatch.setattr(small, "pieces", lambda _: [pieces["now"]])
    pieces["now"] = learn(0)
    whole = run(small, tmp_path / "whole")
    pieces["now"] = learn(3)
    with pytest.raises(StoppedError):
        run(small, tmp_path / "out")
    [checkpoint] = (tmp_path / "out" / "pieces").glob("*.checkpoint")
    parts = run(small, tmp_path / "out", resume=True)
    assert not checkpoint.exists()
    [one], [other] = whole.outcomes.values(), parts.outcomes.values()
    assert one.values == other.values


def warnings_of_resume(small, folder, plan=PLAN):
    told = []
    run(small, folder, plan, resume=True, tell=told.append)
    return [event.text for event in told if isinstance(event, Warned)]


def test_kept_pieces_of_another_device_or_of_other_code_are_warned_of(small, tmp_path, monkeypatch):
    run(small, tmp_path / "out")
    assert warnings_of_resume(small, tmp_path / "out") == []
    (words,) = warnings_of_resume(small, tmp_path / "out", Plan(scale="smoke", device="cuda"))
    assert words.startswith("2 of the kept pieces were made on another device: <b>first</b>; <b>second</b>")
    monkeypatch.setattr("mpikit.experiments.run.code_of", lambda _: "changed")
    (words,) = warnings_of_resume(small, tmp_path / "out")
    assert "2 of the kept pieces were made by other code" in words
    assert "--force" in words


def test_the_code_of_a_method_is_ours_and_that_of_its_package(tmp_path, monkeypatch):
    import sys
    from types import SimpleNamespace

    from mpikit.experiments import code

    assert code.code_of("wiener") == code.code_of(None) == code.code_of("no such method")
    package = tmp_path / "strange"
    package.mkdir()
    (package / "__init__.py").write_text("LEVEL = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    import strange

    def build(options):
        raise AssertionError(options)

    build.__module__ = "strange.method"
    offer = SimpleNamespace(record=SimpleNamespace(name="odd", build=build), distribution="elsewhere")
    known = {**code.registry().denoisers, "odd": [offer]}
    monkeypatch.setattr(code, "registry", lambda: SimpleNamespace(denoisers=known))
    before = code.code_of("odd")
    assert before != code.code_of("wiener")
    (package / "__init__.py").write_text("LEVEL = 2\n")
    code._hash_of.cache_clear()
    assert code.code_of("odd") != before
    assert code.code_of("wiener") == code.code_of(None)
    monkeypatch.delitem(sys.modules, "strange")
    assert strange.LEVEL == 1
