"""``mpikit reproduce``: its tables, its folder, its exit codes."""

from __future__ import annotations

import csv
import io
import json
import signal

import pytest

from mpikit.cli import main
from mpikit.experiments import peng_tables
from mpikit.plugins import registry

EXPERIMENTS = ["peng-table2", "peng-table3", "peng-table4", "peng-figure3", "peng-figure4"]
DAHMS = ["dahms-figure1", "dahms-figure2", "dahms-figure3"]
STRANGER = """
import signal
from pathlib import Path

from mpikit import Denoiser, StatelessMethod, hookimpl


class Half(StatelessMethod):
    def denoise(self, scan, /, *, run):
        return 0.5 * scan.signal


class Broken(StatelessMethod):
    def denoise(self, scan, /, *, run):
        if Path("mended").exists():
            return scan.signal.copy()
        raise ValueError("it broke")


class Stopped(StatelessMethod):
    def denoise(self, scan, /, *, run):
        if not Path("mended").exists():
            signal.raise_signal(signal.SIGINT)
        return scan.signal.copy()


@hookimpl
def mpikit_denoisers():
    for kind in (Half, Broken, Stopped):
        yield Denoiser(name=kind.__name__.lower(), summary="Nothing", build=lambda options, kind=kind: kind())
"""


@pytest.fixture
def run(capsys, monkeypatch):
    """Run the command as a shell does: exit code, stdout, stderr."""

    def reproduce(*arguments):
        monkeypatch.setattr("sys.argv", ["mpikit", "reproduce", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0, *capsys.readouterr()

    return reproduce


@pytest.fixture
def folder(tmp_path, installed, monkeypatch):
    """A working folder, a stranger's methods, and tables of few lines."""
    installed("stranger", STRANGER)
    every = peng_tables.trials

    def few(plan, noise, *, as_printed):
        found = every(plan, noise, as_printed=as_printed)
        return [each for each in found if each.method in ("noisy", "wiener", "oracle", *plan.methods)]

    monkeypatch.setattr(peng_tables, "trials", few)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def test_list(run):
    code, out, err = run("list")
    assert (code, err) == (0, "")
    names = [row.split()[0] for row in out.splitlines()[2:]]
    assert names == [*EXPERIMENTS, *DAHMS]
    code, out, _ = run("list", "--json")
    listed = json.loads(out)["experiments"]
    assert [each["name"] for each in listed] == names
    assert listed[0]["source"] == "Table II"


def test_a_table_beside_the_paper_with_a_strangers_method(run, folder):
    code, out, err = run("peng-table3", "--scale", "smoke", "--methods", "half", "-o", "out")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("peng-table3 (Table III)")
    [noisy] = [line for line in lines if "  noisy  " in line]
    assert "4.86" in noisy
    assert any("  half  " in line for line in lines)
    assert any("best simple method" in line and "wiener" in line for line in lines)
    assert "== 1/5 amplitudes of peng2023-openmpi" in err
    assert err.splitlines()[-1] == "look at out/report.html"
    assert {path.name for path in (folder / "out").iterdir()} == {
        "pieces",
        "results.csv",
        "results.json",
        "report.html",
        "peng-table3-snr.png",
        "peng-table3-snr.svg",
    }
    rows = list(csv.DictReader(io.StringIO((folder / "out" / "results.csv").read_text())))
    assert {(row["method"], row["kind"]) for row in rows} == {
        ("noisy", "noisy"),
        ("wiener", "simple"),
        ("half", "yours"),
        ("oracle linear", "limit"),
    }
    [half] = [float(row["value"]) for row in rows if (row["method"], row["metric"]) == ("half", "SNR")]
    assert 4 < half < 6  # half of the signal is missing: 6 dB without any noise
    results = json.loads((folder / "out" / "results.json").read_text())
    [piece] = [each for each in results["pieces"].values() if each["settings"].get("method") == "half"]
    assert piece["settings"]["from"] == "stranger 0.1"
    assert len(piece["values"]["snr"]) == 4


def test_resume_force_compare_and_json(run, folder):
    smoke = ("peng-table3", "--scale", "smoke", "-q")
    assert run(*smoke)[0] == 0
    first = (folder / "reproduce-smoke" / "results.json").read_text()
    code, out, err = run(*smoke)
    assert (code, out) == (3, "")
    assert "the folder reproduce-smoke is not empty" in err
    assert "--resume" in err
    times = {path: path.stat().st_mtime_ns for path in (folder / "reproduce-smoke" / "pieces").iterdir()}
    code, out, _ = run(*smoke, "--resume", "--compare", "reproduce-smoke", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["changes"] == []
    assert found["figures"] == json.loads(first)["figures"]
    assert times == {path: path.stat().st_mtime_ns for path in times}
    code, out, _ = run(*smoke, "--force", "--seed", 1, "--compare", "reproduce-smoke")
    assert code == 0
    assert "changed since then:" in out
    assert "noisy, SNR:" in out
    assert run(*smoke, "--resume", "--force")[0] == 2
    code, _, err = run(*smoke, "-o", "other", "--compare", "nowhere")
    assert code == 3
    assert "nowhere" in err
    assert not (folder / "other").exists()


def test_what_fails_is_named_and_tried_again(run, folder):
    asked = ("peng-table3", "--scale", "smoke", "--methods", "broken", "-o", "out")
    code, out, err = run(*asked)
    assert code == 4
    assert "1 of 5 pieces failed: OpenMPIData" in err
    assert "ValueError: it broke" in err
    assert "stranger 0.1" in err
    assert "  noisy  " in out
    assert "  broken  " not in out
    (folder / "mended").write_text("")
    code, out, err = run(*asked, "--resume")
    assert code == 0
    assert "4 of 5 pieces are there already" in err
    assert "  broken  " in out


def test_an_interrupted_run_says_how_to_go_on(run, folder):
    asked = ("peng-table3", "--scale", "smoke", "--methods", "stopped", "-o", "out")
    before = signal.getsignal(signal.SIGINT)
    code, out, err = run(*asked)
    assert signal.getsignal(signal.SIGINT) is before
    assert (code, out) == (130, "")
    assert "3 of 5 pieces are kept in out; to go on:" in err
    assert f"mpikit reproduce {' '.join(asked)} --resume" in err
    assert not (folder / "out" / "results.json").exists()
    (folder / "mended").write_text("")
    code, _, err = run(*asked, "--resume")
    assert code == 0
    assert "3 of 5 pieces are there already" in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("peng-tabel2",), 2, "did you mean 'peng-table2'"),
        (("peng-table2", "nothing"), 2, "no experiment is called 'nothing'"),
        (("list", "peng-table2"), 2, "stands alone"),
        (("peng-table2", "--methods", "weiner"), 4, "did you mean 'wiener'"),
        (("peng-table2", "--scale", "tiny"), 2, "'tiny' is not one of"),
        (("peng-table2", "--device", "gpu"), 2, "no device is called 'gpu'"),
        (("peng-table2", "--mnist", "nowhere"), 3, "nowhere cannot be read"),
        ((), 2, "Missing argument"),
    ],
)
def test_mistakes(run, folder, arguments, code, words):
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    assert words in " ".join(err.split())
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_all_of_it(run, tmp_path, monkeypatch):
    """Every experiment on its smallest scale: every line of every table has figures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPIKIT_DATASETS", str(tmp_path / "none"))
    registry.cache_clear()
    code, _, _ = run("all", "--scale", "smoke", "-o", "out")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "results.csv").read_text())))
    assert {row["experiment"] for row in rows} >= set(EXPERIMENTS) - {"peng-figure3"}
    assert [row for row in rows if row["experiment"].startswith("peng") and not row["value"]] == []
    kinds = {row["kind"] for row in rows if row["table"] == "peng-table2"}
    assert kinds == {"noisy", "paper", "simple", "pooled", "ours", "limit"}
    assert len({row["group"] for row in rows if row["table"] == "peng-table2"}) == 5
    pictures = {path.stem for path in (tmp_path / "out").glob("*.png")}
    assert {"peng-table2-snr", "peng-figure3", "peng-figure4"} <= pictures
    assert set(DAHMS) <= {row["experiment"] for row in rows} & pictures
    errors = [row for row in rows if row["table"] == "dahms-figure2"]
    assert [row for row in errors if not row["value"]] == []
    assert {row["kind"] for row in errors} == {"noisy", "pooled", "simple", "paper", "ours", "limit"}
    assert {row["paper"] for row in errors if row["metric"] == "PE"} == {"", "2.78", "1.87"}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Errors in print" in page
