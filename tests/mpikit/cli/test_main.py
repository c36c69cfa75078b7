"""The frame of the command line: start-up, exit codes, words and data on their own streams."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mdf.errors import MdfError
from mpikit.cli import app, console, main
from mpikit.errors import InputError, NumericalError, PluginError, UsageError
from mpikit.events import Finding, Step, Warned

MPIKIT = [sys.executable, "-c", "from mpikit.cli import main; main()"]


def mpikit(*arguments, **settings):
    return subprocess.run([*MPIKIT, *arguments], capture_output=True, text=True, check=False, **settings)


def test_help_imports_nothing_heavy():
    code = """
import sys
from typer.testing import CliRunner
from mpikit.cli import app
assert CliRunner().invoke(app, ["--help"]).exit_code == 0
print(sorted({"torch", "scipy", "numpy", "h5py", "skimage", "matplotlib", "rich"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["plugins", "--help"], ["doctor", "-h"]])
def test_help_is_no_error(arguments):
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0
    assert "Usage: mpikit" in done.stdout


def test_version_and_citation():
    assert CliRunner().invoke(app, ["--version"]).stdout == f"{_version()}\n"
    cited = CliRunner().invoke(app, ["--cite"])
    assert cited.exit_code == 0
    assert f"mpikit {_version()}" in cited.stdout


def _version():
    from importlib.metadata import version

    return version("mpikit")


def test_the_citation_names_what_the_citation_file_names():
    import yaml

    file = yaml.safe_load((Path(__file__).parents[3] / "CITATION.cff").read_text())
    assert (file["cff-version"], file["version"]) == ("1.2.0", _version())
    cited = " ".join(CliRunner().invoke(app, ["--cite"]).stdout.split())
    assert len(file["references"]) == 2
    for paper in file["references"]:
        assert paper["title"] in cited
        for author in paper["authors"]:
            assert f"{author['given-names'][0]}. {author['family-names']}" in cited


@pytest.mark.parametrize(
    "arguments", [["nope"], ["plugins", "nope"], ["doctor", "--nope"], ["plugins", "show"], [], ["plugins"]]
)
def test_a_wrong_command_line_is_2(arguments):
    done = mpikit(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


ERRORS = [
    (UsageError, 2),
    (InputError, 3),
    (MdfError, 3),
    (PluginError, 4),
    (NumericalError, 5),
]


@pytest.fixture
def failing(monkeypatch):
    """Make ``mpikit doctor`` raise an error."""

    def fail_with(error, *arguments):
        def examine():
            raise error

        monkeypatch.setattr("mpikit.doctor.examine", examine)
        monkeypatch.setattr("sys.argv", ["mpikit", "doctor", *arguments])

    return fail_with


@pytest.mark.parametrize(("kind", "code"), ERRORS)
def test_each_cause_has_its_code(failing, capsys, kind, code):
    failing(kind("scan.mdf has 2 channels, expected 3", hint="choose another scan"))
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: scan.mdf has 2 channels, expected 3\n hint: choose another scan\n"


@pytest.mark.parametrize(("kind", "code"), ERRORS)
def test_debug_lets_the_error_through(failing, kind, code):
    failing(kind("no"), "--debug")
    with pytest.raises(kind, match="no"):
        main()


def test_debug_may_stand_before_the_verb():
    done = mpikit("--debug", "plugins", "show", "nothing-of-this-name")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")


def test_a_bug_is_shown_whole(failing):
    failing(ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError, match="ours"):
        main()


def test_an_interruption_is_130(failing, capsys):
    failing(KeyboardInterrupt())
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 130
    assert capsys.readouterr().err == "error: interrupted; no file was left half written\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a child process")
def test_ctrl_c_ends_a_running_command():
    code = """
import sys, time
import mpikit.doctor
def examine():
    print("ready", flush=True)
    time.sleep(30)
mpikit.doctor.examine = examine
sys.argv = ["mpikit", "doctor"]
from mpikit.cli import main
main()
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "ready\n"
    time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=10)
    assert (child.returncode, err) == (130, "error: interrupted; no file was left half written\n")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no closed pipes")
@pytest.mark.parametrize("arguments", ["plugins list", "plugins list --json", "--help"])
def test_a_reader_that_leaves_is_no_bug(arguments):
    child = subprocess.Popen(
        [*MPIKIT, *arguments.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    child.stdout.close()
    err = child.stderr.read()
    child.stderr.close()
    assert child.wait() == 141
    assert "Traceback" not in err
    assert "BrokenPipe" not in err


def test_off_a_terminal_nothing_is_cut(capsys):
    long = "word " * 200 + "end"
    console.show_table(("name", "summary"), [("a", long)])
    console.show(long)
    console.say(long)
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 4
    assert out.count("end") == 2
    assert err == f"{long}\n"


def test_text_is_shown_as_it_is(capsys):
    console.show("[bold]a[/bold] :smile: [1, 2]")
    assert capsys.readouterr().out == "[bold]a[/bold] :smile: [1, 2]\n"


def test_json_has_plain_numbers(capsys):
    console.show_json(
        {"snr": np.float32(1.5), "none": float("nan"), "at": (np.int64(1), np.bool_(True)), 3: Path("a")}
    )
    assert json.loads(capsys.readouterr().out) == {"snr": 1.5, "none": None, "at": [1, True], "3": "a"}


def test_events_off_a_terminal(capsys):
    with console.listener("training") as tell:
        for index in range(1, 41):
            tell(Step(index, 40, {"loss": 1 / index}))
        tell(Finding("repeats", "frames", "frames repeat"))
        tell(Warned("few frames"))
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 12
    assert lines[0] == "training 4/40  loss 0.25"
    assert lines[-2:] == ["frames repeat", "warning: few frames"]


def test_a_lower_bound_is_marked(capsys):
    with console.listener("training") as tell:
        tell(Step(1, 1, {"SNR in dB": 27.25, "loss": 0.5}, {"SNR in dB": True}))
        tell(Step(1, 1, {"SNR in dB": 25.5, "loss": 0.5}, {"SNR in dB": False}))
    assert capsys.readouterr().err.splitlines() == [
        "training 1/1  SNR in dB > 27.25  loss 0.5",
        "training 1/1  SNR in dB 25.5  loss 0.5",
    ]


def test_quiet_leaves_warnings_only(capsys):
    with console.listener("training", quiet=True) as tell:
        tell(Step(1, 1))
        tell(Finding("repeats", "frames", "frames repeat"))
        tell(Warned("few frames"))
    assert capsys.readouterr().err == "warning: few frames\n"


def test_verbose_shows_every_step(capsys):
    with console.listener("training", verbose=True) as tell:
        for index in range(1, 41):
            tell(Step(index, 40))
    assert len(capsys.readouterr().err.splitlines()) == 40
