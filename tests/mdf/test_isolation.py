"""The process in which files are checked: it may die, run forever, or want all memory."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import mdf
from mdf import isolation
from mdf.isolation import Isolation

MISBEHAVING = """
import json, os, sys, time
sys.path[:] = json.loads(sys.argv[1])
from mdf import isolation
validate = isolation.validate
def odd(path):
    if path.endswith("crash"):
        os.abort()
    if path.endswith("stop"):
        os._exit(7)
    while path.endswith("loop"):
        time.sleep(0.01)
    if path.endswith("memory"):
        return [bytearray(10**9)]
    if path.endswith("chatty"):
        print("words of a library", flush=True)
        os.write(1, b"and more of them\\n")
    return validate(path)
isolation.validate = odd
isolation.serve()
"""


@pytest.fixture
def misbehaving(monkeypatch):
    monkeypatch.setattr(isolation, "_PROGRAM", MISBEHAVING)


def test_the_answer_is_the_same(made):
    path = made({"/uuid": "Prüfung \x1b", "/tracer/name": None})
    problems = mdf.validate(path)
    assert problems
    assert mdf.validate(path, isolated=True) == problems
    assert mdf.validate(str(path), isolated=True) == problems


def test_an_odd_file_name(made, tmp_path):
    path = made({}).rename(tmp_path / "a b\nü\udce4.mdf")
    assert mdf.validate(path, isolated=True) == mdf.validate(path)


def test_one_child_serves_many_files_and_a_new_one_comes_after_a_death(made, misbehaving):
    path = made({})
    expected = mdf.validate(path)
    with Isolation(seconds=2) as child:
        assert child.validate(path) == expected
        first = child._child
        assert first is not None
        assert child.validate(path) == expected
        assert child._child is first
        (problem,) = child.validate("a.crash")
        assert (problem.rule, problem.severity, problem.path) == ("F01", "error", "/")
        assert problem.message == "checking it ended the process: SIGABRT"
        assert child.validate(path) == expected
        assert child._child is not first
        (problem,) = child.validate("a.stop")
        assert problem.message == "checking it ended the process: exit code 7"
    assert first.poll() is not None


def test_an_endless_loop_is_stopped(misbehaving, made):
    with Isolation(seconds=0.5) as child:
        start = time.monotonic()
        (problem,) = child.validate("a.loop")
        assert time.monotonic() - start < 60
        assert (problem.rule, problem.message) == (
            "F01",
            "checking it took more than 0.5 s, and was stopped",
        )
        assert child._child is None


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not limit memory")
def test_memory_is_limited(misbehaving):
    with Isolation() as child:
        (problem,) = child.validate("a.memory")
    assert problem.message == "checking it ended the process: exit code 1"


def test_words_of_libraries_do_not_mix_with_the_answer(misbehaving):
    with Isolation() as child:
        (problem,) = child.validate("chatty")
    assert problem.message == "there is no such file"


def test_a_child_without_a_parent_ends_itself(misbehaving, monkeypatch):
    with Isolation(seconds=0.1) as child:
        running = child._start()
        assert running.stdin is not None
        running.stdin.write('"a.loop"\n')
        running.stdin.flush()
        assert running.wait(timeout=30) < 0  # by its own alarm


def test_no_child_can_be_started(monkeypatch):
    monkeypatch.setattr(isolation, "_PROGRAM", "raise SystemExit(1)")
    with Isolation() as child, pytest.raises(RuntimeError, match="no process can be started"):
        child.validate("a")
