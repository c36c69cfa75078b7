"""A plugin in one thread changes nothing for the others, and nothing for later."""

# ruff: noqa: T201 - what is printed is looked at

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mpikit.surroundings import is_passing, outside, surroundings_kept


@contextlib.contextmanager
def another_inside(work=lambda: None):
    """Have a thread inside a plugin, after some work there, until the end of the block."""
    ready, go = threading.Event(), threading.Event()

    def stay():
        try:
            with surroundings_kept():
                work()
                ready.set()
                assert go.wait(20)
        finally:
            ready.set()

    with ThreadPoolExecutor(1) as threads:
        done = threads.submit(stay)
        assert ready.wait(20)
        try:
            yield
        finally:
            go.set()
        done.result()


@pytest.fixture(autouse=True)
def found(monkeypatch, tmp_path):
    """Go into a folder of its own, with filters of warnings of its own; look at all that must come back."""
    monkeypatch.chdir(tmp_path)
    names = [(os, "_exit"), (os, "chdir"), (sys, "stdout"), (warnings, "filterwarnings")]
    names += [(warnings, "simplefilter"), (warnings, "resetwarnings")]
    before = [getattr(*name) for name in names]
    with warnings.catch_warnings():
        yield
        assert [getattr(*name) for name in names] == before


def test_what_is_printed_goes_to_stderr_from_a_thread_that_is_inside_alone(capsys):
    def plugin():
        print("plugin")
        sys.stdout.write("written\n")
        of_its_own = threading.Thread(target=lambda: print("its own thread"))
        of_its_own.start()
        of_its_own.join()

    with another_inside(plugin):
        print("somebody else")
        assert sys.stdout.encoding
    assert capsys.readouterr() == ("its own thread\nsomebody else\n", "plugin\nwritten\n")


def test_a_redirection_that_overlaps_leaves_no_dead_buffer(capsys):
    stdout, buffer = sys.stdout, io.StringIO()
    redirection = contextlib.redirect_stdout(buffer)
    with another_inside():
        redirection.__enter__()
    print("redirected")
    assert sys.stdout is buffer
    redirection.__exit__(None, None, None)
    print("as before")
    with surroundings_kept():
        print("plugin")
    assert sys.stdout is stdout
    assert buffer.getvalue() == "redirected\n"
    assert capsys.readouterr() == ("as before\n", "plugin\n")


@pytest.mark.parametrize("threads", [1, 2])
def test_streams_of_a_plugin_go_where_nobody_else_can_have_put_them(threads, monkeypatch):
    monkeypatch.setattr("threading.active_count", lambda: threads)
    before, streams = (sys.stdout, sys.stderr), (io.StringIO(), io.StringIO())
    with surroundings_kept():
        sys.stdout, sys.stderr = streams
    after = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = before
    assert after == (before if threads == 1 else streams)


def filters():
    return {each[1].pattern: each[0] for each in warnings.filters if each[1]}


def test_filters_of_warnings():
    warnings.filterwarnings("error", message="before")
    before = list(warnings.filters)

    def plugin():
        warnings.filterwarnings("error", message="of the plugin")
        warnings.simplefilter("ignore")

    with another_inside(plugin):
        assert filters()["of the plugin"] == "error"
        warnings.filterwarnings("error", message="of somebody else")
    assert "of somebody else" in filters()
    assert warnings.filters[1:] == before
    with pytest.raises(UserWarning, match="before"):
        warnings.warn("before", stacklevel=1)


def test_filters_that_a_plugin_drops_come_back():
    before = list(warnings.filters)
    with surroundings_kept():
        warnings.resetwarnings()
        assert not warnings.filters
    assert warnings.filters == before


def test_a_block_of_filters_that_overlaps_ends_as_it_should():
    before = list(warnings.filters)
    block = warnings.catch_warnings()
    with another_inside(lambda: warnings.filterwarnings("error", message="of the plugin")):
        block.__enter__()
        warnings.simplefilter("ignore")
    assert warnings.filters[0][0] == "ignore"
    block.__exit__(None, None, None)
    assert warnings.filters == before


def test_the_folder_of_a_plugin_is_left(tmp_path):
    with another_inside(lambda: os.chdir("/")):
        assert Path.cwd() == Path("/")
        with surroundings_kept():
            os.chdir(tmp_path.parent)
        assert Path.cwd() != tmp_path  # somebody is inside yet
    assert Path.cwd() == tmp_path


@pytest.mark.parametrize("plugin", [lambda: None, lambda: os.chdir("/")])
def test_the_folder_of_somebody_else_stays(plugin, tmp_path):
    (tmp_path / "other").mkdir()
    with another_inside(plugin):
        os.chdir(tmp_path / "other")
    assert Path.cwd() == tmp_path / "other"


def test_the_process_ends_for_anybody_else(monkeypatch):
    told = []
    monkeypatch.setattr("os._exit", lambda status: told.append(status) or sys.exit(f"really {status}"))

    def plugin():
        with pytest.raises(SystemExit, match=r"os\._exit\(3\)"):
            os._exit(3)

    with another_inside(plugin), pytest.raises(SystemExit, match="really 4"):
        os._exit(4)
    assert told == [4]
    monkeypatch.undo()


def test_what_somebody_else_puts_in_the_place_stays(monkeypatch):
    with another_inside(), monkeypatch.context() as patch:
        patch.setattr("os._exit", theirs := lambda _: None)
        with surroundings_kept():
            pass
        assert os._exit is theirs


def test_a_listener_is_outside(capsys):
    with surroundings_kept():
        with outside():
            print("listener")
        print("plugin")
    assert capsys.readouterr() == ("listener\n", "plugin\n")


def test_an_error_of_a_listener_passes():
    ours, theirs = ValueError("ours"), ValueError("theirs")
    with surroundings_kept():
        with pytest.raises(ValueError, match="ours"), outside():
            raise ours
        assert is_passing(ours)
        assert not is_passing(theirs)
    assert not is_passing(ours)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_is_inside_by_itself():
    """Its only thread is not inside: the one that was is not there."""
    with another_inside():
        child = os.fork()
        if not child:
            try:
                with surroundings_kept():
                    os.chdir("/")
                os._exit(0 if Path.cwd() != Path("/") else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
