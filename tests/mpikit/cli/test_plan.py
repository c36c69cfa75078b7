"""``--config``: a plan says the same as a command line, and what is typed wins."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

from mpikit.cli import app, main


@pytest.fixture
def run(capsys, monkeypatch):
    def mpikit(*arguments):
        monkeypatch.setattr("sys.argv", ["mpikit", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0, *capsys.readouterr()

    return mpikit


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    path = tmp_path_factory.mktemp("scan") / "scan.mdf"
    command = "simulate openmpi-1d --frames 6 --background-frames 4 --noise gaussian:snr_db=10 -o"
    assert CliRunner().invoke(app, [*command.split(), str(path)]).exit_code == 0
    return path


@pytest.fixture
def work(scan, tmp_path, monkeypatch):
    """A folder for plans below the one of the scan, and another one to be in."""
    for name in ("plans", "elsewhere"):
        (tmp_path / name).mkdir()
    shutil.copy(scan, tmp_path / "scan.mdf")
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path


def plan(work, text):
    (work / "plans" / "plan.toml").write_text(text)
    return work / "plans" / "plan.toml"


DENOISE = """
[denoise]
files = ["../scan.mdf"]
method = "harmonic"
dry-run = true

[denoise.param]
symmetry = "exact"
band = 3

[reconstruct]
anything = "is not looked at"
"""


def test_a_plan_says_what_a_command_line_says(run, work):
    path = plan(work, DENOISE)
    code, out, err = run("denoise", "--config", path)
    assert (code, err) == (0, "")
    typed = run(
        "denoise",
        path.parent / "../scan.mdf",
        "-m",
        "harmonic",
        "-p",
        "symmetry=exact",
        "-p",
        "band=3",
        "--dry-run",
    )
    assert json.loads(out) == json.loads(typed[1])
    assert json.loads(out)["options"]["band"] == 3


def test_what_is_typed_wins_option_by_option(run, work):
    path = plan(work, DENOISE)
    _, out, _ = run("denoise", "--config", path, "-p", "band=1", "-p", "false-alarm=0.5")
    options = json.loads(out)["options"]
    assert (options["symmetry"], options["band"], options["false_alarm"]) == ("exact", 1, 0.5)
    assert "average has no option" in run("denoise", "--config", path, "-m", "average")[2]
    copied = work / "elsewhere" / "other.mdf"
    copied.write_bytes((work / "scan.mdf").read_bytes())
    assert json.loads(run("denoise", "--config", path, "other.mdf")[1])["source"] == "other.mdf"


def test_dashes_or_underscores(run, work):
    text = DENOISE.replace("dry-run", "dry_run")
    assert run("denoise", "--config", plan(work, text))[0] == 0
    code, _, err = run(
        "denoise", "--config", plan(work, text.replace("[denoise.param]", "dry-run = true\n[denoise.param]"))
    )
    assert (code, err.splitlines()[0]) == (3, "error: plan.toml: [denoise] says 'dry_run' twice")


def test_numbers_flags_and_lists(run, work):
    path = plan(
        work,
        """
[simulate]
preset = "openmpi-2d"
output = "../new.mdf"
noise = ["gaussian:snr_db=15", "harmonic"]
frames = 3
concentration = 0.1
grid = "5x6"
json = true
quiet = true
[simulate.param]
particle.relaxation_time = 2e-6
selection_field.gradient = [-1, 0, 1]
scanner.topology = "FFL"
""",
    )
    code, out, err = run("simulate", "--config", path)
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert (told["files"][0]["frames"], told["written"]) == (3, True)
    import mdf
    from mpikit.provenance import HISTORY, read_history

    with mdf.open(work / "new.mdf") as file:
        [step] = read_history(file.user_value(HISTORY))
        options = step["options"]
    assert options["table"]["particle"]["relaxation_time"] == 2e-6
    assert options["table"]["selection_field"]["gradient"] == [-1, 0, 1]
    assert options["table"]["scanner"]["topology"] == "FFL"
    assert len(options["noise"]) == 2


def test_a_preset_file_is_looked_for_beside_the_plan(run, work):
    shown = run("simulate", "openmpi-2d", "--show")[1]
    (work / "plans" / "mine.toml").write_text(shown)
    path = plan(work, '[simulate]\npreset = "mine.toml"\noutput = "x.mdf"\ndry-run = true\njson = true')
    code, out, err = run("simulate", "--config", path)
    assert (code, err) == (0, "")
    assert json.loads(out)["files"][0]["path"] == str(work / "plans" / "x.mdf")


def test_of_reconstruct_an_option_and_its_p_are_one(run, work):
    done = (
        run("simulate", "openmpi-2d", "-o", "s.mdf", "--frames", 2, "-q"),
        run("simulate", "openmpi-2d", "--calibration", "--grid", "3x3", "-o", "sm.mdf", "-q"),
    )
    assert [each[0] for each in done] == [0, 0]
    path = plan(
        work,
        """
[reconstruct]
files = "../elsewhere/s.mdf"
system-matrix = "../elsewhere/sm.mdf"
iterations = 3
lambda = 0.8
dry-run = true
[reconstruct.param]
snr-threshold = 1.5
""",
    )
    options = json.loads(run("reconstruct", "--config", path)[1])["options"]
    assert (options["iterations"], options["lambda"], options["snr_threshold"]) == (3, 0.8, 1.5)
    typed = ("-p", "iterations=4", "-p", "lambda=0.1", "--snr-threshold", "2.5")
    options = json.loads(run("reconstruct", "--config", path, *typed)[1])["options"]
    assert (options["iterations"], options["lambda"], options["snr_threshold"]) == (4, 0.1, 2.5)


def test_options_of_several_methods_stand_in_tables(run, work):
    path = plan(
        work,
        """
[compare]
file = "../scan.mdf"
methods = "harmonic,unet-gd"
dry-run = true
[compare.param.unet-gd]
steps = 7
[compare.param]
harmonic.band = 2
""",
    )
    told = json.loads(run("compare", "--config", path)[1])
    options = {each["method"]: each["options"] for each in told["methods"]}
    assert (options["unet-gd"]["steps"], options["harmonic"]["band"]) == (7, 2)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[denoise", "is no TOML", ""),
        ("seed = 1", "no command is called 'seed'", "a plan has a table for each command, as [denoise]"),
        ("denoise = 1", "'denoise' is a value, expected a table", "write [denoise]"),
        ("[denois]", "no command is called 'denois'", "did you mean 'denoise'?"),
        ("", "has no table [denoise]", "it is empty"),
        ("[train]", "has no table [denoise]", "it has [train]"),
        ("[denoise]\nsede = 1", "[denoise] has no option 'sede'", "did you mean 'seed'?"),
        ("[denoise]\nfil = 'a'", "[denoise] has no option 'fil'", "did you mean 'files'?"),
        ("[denoise]\nconfig = 'a'", "[denoise] has no option 'config'", "there are"),
        ("[denoise]\nseed = 'one'", "[denoise] seed is 'one', expected a whole number, at least 0", ""),
        ("[denoise]\nseed = 1.5", "[denoise] seed is 1.5, expected a whole number", ""),
        ("[denoise]\nseed = true", "[denoise] seed is true, expected a whole number", ""),
        ("[denoise]\nseed = -1", "[denoise] seed is -1, expected a whole number, at least 0", ""),
        ("[denoise]\nforce = 1", "[denoise] force is 1, expected true or false", ""),
        ("[denoise]\nmethod = ['a', 'b']", "[denoise] method is ['a', 'b'], expected text", ""),
        ("[denoise]\noutput = 3", "[denoise] output is 3, expected a path", ""),
        (
            "[denoise]\nrepeats = 'frame'",
            "expected one of frames, periods, both, none",
            "did you mean 'frames'?",
        ),
        ("[denoise]\nfiles = [1]", "[denoise] files is 1, expected a path, or a list of such", ""),
        (
            "[denoise]\nparam = 'a=1'",
            "[denoise] param is 'a=1', expected a table of options",
            "write [denoise.param]",
        ),
        ("[denoise.method]\na = 1", "[denoise] method is a table, expected text", ""),
    ],
)
def test_mistakes_in_a_plan(run, work, text, message, hint):
    code, out, err = run("denoise", "--config", plan(work, text))
    assert (code, out) == (3, "")
    lines = err.splitlines()
    assert "plan.toml" in lines[0]
    assert message in lines[0]
    assert hint in "".join(lines[1:])


def test_a_plan_that_cannot_be_read(run, work):
    for place, words in (("none.toml", "no such file"), (work, "directory")):
        code, _, err = run("denoise", "--config", place)
        assert code == 3
        assert words in err
    (work / "binary.toml").write_bytes(b"\xff\xfe")
    assert "it is no text in UTF-8" in run("denoise", "--config", work / "binary.toml")[2]


def test_help_needs_no_plan(run):
    code, out, _ = run("denoise", "--config", "none.toml", "--help")
    assert code == 0
    assert "--config PLAN" in out


def test_every_verb_takes_a_plan():
    import typer

    from mpikit.cli import app

    for name, command in typer.main.get_command(app).commands.items():
        if name not in {"datasets", "plugins"}:
            assert any("--config" in each.opts for each in command.params), name


def test_of_files_that_start_with_a_dash(run, work):
    (work / "plans" / "-x.mdf").write_bytes((work / "scan.mdf").read_bytes())
    path = plan(work, '[validate]\nfiles = ["-x.mdf"]\n')
    import os

    os.chdir(path.parent)
    code, out, _ = run("validate", "--config", "plan.toml")
    assert code in {0, 3}
    assert "-x.mdf" in out
