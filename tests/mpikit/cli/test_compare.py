"""``mpikit compare``: its table, its JSON, its exit codes."""

from __future__ import annotations

import csv
import json
import re
import statistics

import numpy as np
import pytest

from mpikit.cli import main
from mpikit.cli.compare import show_comparison
from mpikit.compare import Comparison, Gain, Row, TrueScore
from mpikit.errors import InputError
from mpikit.judging import Score
from mpikit.metrics import Interval, ReferenceFree
from mpikit.plugins import registry
from mpikit.scan_file import write_scan
from mpikit.testing import example_scan

ABOUT = {
    **dict.fromkeys(("/study/name", "/study/description", "/experiment/name"), "test"),
    **dict.fromkeys(("/experiment/description", "/experiment/subject", "/scanner/name"), "test"),
    **dict.fromkeys(("/scanner/facility", "/scanner/manufacturer", "/scanner/operator"), "test"),
    "/scanner/topology": "FFP",
    "/study/number": 1,
    "/experiment/number": 2,
    "/experiment/isSimulation": True,
    "/acquisition/startTime": "2026-03-02T10:15:30.500",
}
BROKEN = """
from mpikit import Denoiser, StatelessMethod, hookimpl

class Broken(StatelessMethod):
    def denoise(self, scan, /, *, run):
        raise ValueError("it broke")

class Stopped(StatelessMethod):
    def denoise(self, scan, /, *, run):
        raise KeyboardInterrupt

@hookimpl
def mpikit_denoisers():
    yield Denoiser(name="broken", summary="Broken", build=lambda options: Broken())
    yield Denoiser(name="stopped", summary="Stopped", build=lambda options: Stopped())
    yield Denoiser(name="picky", summary="Picky", build=lambda options: Broken(),
                   missing=lambda scan, options: "a second channel of gold")
"""


@pytest.fixture
def run(capsys, monkeypatch):
    """Run the command as a shell does: exit code, stdout, stderr."""

    def compare(*arguments):
        monkeypatch.setattr("sys.argv", ["mpikit", "compare", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0, *capsys.readouterr()

    return compare


@pytest.fixture
def work(tmp_path, installed, monkeypatch):
    """A noisy and a clean file, and a plugin whose methods do not work."""
    installed("broken", BROKEN)
    folder = tmp_path / "work"
    folder.mkdir()
    scan = example_scan(frames=20, background_frames=8)
    write_scan(scan, folder / "scan.mdf", contents=ABOUT)
    monkeypatch.chdir(folder)
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_table_and_the_words(run, work):
    code, out, err = run(
        "scan.mdf", "--methods", "average, harmonic,broken,picky", "-o", "t.csv", "-o", "p.png"
    )
    assert code == 0
    lines = out.splitlines()
    heads = "method SNR gain ± (1 s.e.) periods used residual fit per period needs"
    assert " ".join(lines[0].split()) == heads
    assert [line.split()[0] for line in lines[2:]] == ["noisy", "harmonic", "average", "broken"]
    assert " ".join(lines[-1].split()) == "broken failed"
    assert "frames or periods that repeat" in lines[4]
    assert err.splitlines()[-5:] == [
        "all figures are of signals free of the background",
        "skipped picky: it lacks a second channel of gold",
        "failed broken: 'broken' of broken 0.1 failed: ValueError: it broke",
        "wrote t.csv",
        "wrote p.png",
    ]
    assert names(work) == ["p.png", "scan.mdf", "t.csv"]
    assert run("scan.mdf", "--methods", "average", "-o", "t.csv")[0] == 3
    assert run("scan.mdf", "--methods", "average", "-o", "t.csv", "--force", "-q")[0] == 0


def test_quiet_json_is_data_alone(run, work):
    methods = ["--methods", "average,harmonic,picky", "-p", "harmonic.symmetry=off"]
    code, out, err = run("scan.mdf", *methods, "-q", "--json", "--seed", "3")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert set(found) == {
        *("file", "reference", "without_background", "no_score", "seed", "device"),
        *("rows", "skipped", "interrupted", "outputs"),
    }
    assert (found["file"], found["reference"], found["seed"], found["device"]) == ("scan.mdf", None, 3, "cpu")
    assert [row["method"] for row in found["rows"]] == ["noisy", "harmonic", "average"]
    assert found["rows"][1]["options"]["symmetry"] == "off"
    assert found["rows"][1]["gain_db"] > 4
    assert found["skipped"] == [{"method": "picky", "lacks": "a second channel of gold"}]


def test_ctrl_c_shows_and_writes_what_is_finished(run, work):
    methods = ["--methods", "average,stopped,harmonic"]
    code, out, err = run("scan.mdf", *methods, "-o", "t.csv", "-o", "p.png")
    assert code == 130
    assert [line.split()[0] for line in out.splitlines()[2:]] == ["noisy", "average"]
    assert err.splitlines()[-4:] == [
        "interrupted before these were finished: stopped, harmonic",
        "wrote t.csv",
        "wrote p.png",
        "error: interrupted; no file was left half written",
    ]
    assert [line.split(",")[0] for line in (work / "t.csv").read_text().splitlines()] == [
        "method",
        "noisy",
        "average",
    ]
    code, out, _ = run("scan.mdf", *methods, "--json", "-q")
    assert code == 130
    found = json.loads(out)
    assert [row["method"] for row in found["rows"]] == ["noisy", "average"]
    assert found["interrupted"] == ["stopped", "harmonic"]
    code, out, _ = run("scan.mdf", "--methods", "stopped", "-o", "u.csv")
    assert (code, out, (work / "u.csv").exists()) == (130, "", False)


def test_a_full_disk_comes_after_the_table(run, work, monkeypatch):
    def full(path, *_, **__):
        raise InputError(f"{path} cannot be written: No space left on device")

    monkeypatch.setattr("mpikit.figures_compare.save_comparison", full)
    methods = ["--methods", "average,stopped", "-o", "p.png", "-o", "t.csv"]
    code, out, err = run("scan.mdf", *methods[:1], "average", *methods[2:])
    assert code == 3
    assert [line.split()[0] for line in out.splitlines()[2:]] == ["noisy", "average"]
    assert err.splitlines()[-3:] == [
        "wrote t.csv",
        "error: p.png cannot be written: No space left on device",
        " hint: make room on the disk, and compare again",
    ]
    code, out, _ = run("scan.mdf", *methods[:1], "average", *methods[2:], "--json", "-q", "--force")
    assert (code, json.loads(out)["outputs"]) == (3, ["t.csv"])
    code, out, err = run("scan.mdf", *methods, "--force")
    assert code == 130
    assert "average" in out
    assert "warning: p.png cannot be written: No space left on device" in err
    assert "wrote p.png" not in err
    assert "wrote t.csv" in err


def test_figures_that_are_not_known_have_no_number(capsys):
    lost, sure = (Score("a", ReferenceFree(0.1, doubt, power), 1) for doubt, power in ((0.2, -1), (0.01, 1)))
    doubtful = Score("b", ReferenceFree(0.1, 0.08, 1.0), 1)
    inf = Interval(np.inf, np.nan, np.nan, 0.95, 3)
    nothing = TrueScore(inf, Interval(np.nan, np.nan, np.nan, 0.95, 3), np.inf, np.inf, 1.0)
    offer = registry().denoiser("harmonic")
    rows = [
        Row("lost", score=lost, true=nothing, offer=offer),
        Row("doubtful", score=doubtful, gain=Gain(3.0, 4.0, False), true=nothing, offer=offer),
    ]
    show_comparison(Comparison("scan", Row("noisy", score=sure), tuple(rows), (), False, "", 0, "cpu"))
    out = capsys.readouterr().out
    assert "nan" not in out
    assert "-inf" not in out
    cells = [re.split(r" {2,}", line) for line in out.splitlines()[3:5]]
    assert cells[0][1:3] == ["no signal found", "inf dB"]
    assert cells[1][1:5] == ["> 5.9 dB", "+3.0 dB", "4.00", "inf dB"]


def test_the_figures_of_each_signal(run, work):
    write_scan(example_scan(frames=20, background_frames=0), work / "clean.mdf", contents=ABOUT)
    given = ["scan.mdf", "--methods", "average,harmonic", "-o", "t.signals.csv", "-o", "t.csv"]
    code, _, err = run(*given)
    assert (code, names(work)) == (2, ["clean.mdf", "scan.mdf"])
    assert "--output t.signals.csv: the figures of each signal need a clean reference" in err
    code, out, _ = run(*given, "--reference", "clean.mdf", "--json")
    assert code == 0
    with (work / "t.signals.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["method", "signal", "repeat", "channel", "snr_db", "gain_db", "rmse", "prd"]
    for summary in json.loads(out)["rows"]:
        mine = [row for row in rows if row["method"] == summary["method"]]
        # four frames of one signal are judged, and the mean of the others once
        assert len(mine) == 2 * (1 if summary["method"] == "average" else 4)
        assert {row["channel"] for row in mine} == {"0", "1"}
        true = summary["true"]
        values = {name: [float(row[name]) for row in mine] for name in ("snr_db", "gain_db", "rmse", "prd")}
        for name in ("snr_db", "gain_db", "rmse", "prd"):
            assert statistics.mean(values[name]) == pytest.approx(true[name])
        assert statistics.stdev(values["snr_db"]) == pytest.approx(true["snr_std_db"])
        assert statistics.median(values["snr_db"]) == pytest.approx(true["snr_median_db"])
    heads = (work / "t.csv").read_text().splitlines()[0].split(",")
    assert {"true.rmse", "true.prd", "true.snr_std_db", "true.snr_median_db"} <= set(heads)


def test_a_row_without_a_score_has_its_reason(run, work):
    """The average of two periods of each signal leaves no repeat to judge by."""
    pairs = example_scan(frames=30, periods=2, repeats="periods", background_frames=0)
    write_scan(pairs, work / "pairs.mdf", contents=ABOUT)
    code, _, err = run("pairs.mdf", "--methods", "average,harmonic", "--repeats", "periods")
    assert code == 0
    said = [line for line in err.splitlines() if line.startswith("no score of ")]
    assert said == ["no score of average: it uses every repeat, and none is left to judge by"]


def test_true_figures_have_their_columns(run, work):
    write_scan(example_scan(frames=20, background_frames=0), work / "clean.mdf", contents=ABOUT)
    code, out, _ = run("scan.mdf", "--methods", "average", "--reference", "clean.mdf")
    assert code == 0
    assert "true SNR" in out.splitlines()[0]
    assert "true gain (95 %)" in out.splitlines()[0]
    # without repeats there are no others
    code, out, err = run("scan.mdf", "--methods", "harmonic", "--reference", "clean.mdf", "--repeats", "none")
    assert code == 0
    assert "gain (95 %)" in out.splitlines()[0]
    assert "s.e." not in out.splitlines()[0]
    assert "no reference-free score: too few repeats" in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["scan.mdf", "--methods", "avrage"], 4, "did you mean 'average'?"),
        (["scan.mdf", "--methods", "average", "-p", "background=keep"], 2, "expected METHOD.name=value"),
        (["scan.mdf", "--methods", "average", "-p", "average.width=1"], 2, "average has no option 'width'"),
        (["scan.mdf", "--methods", "harmonic", "--repeats", "none"], 3, "name a clean file with --reference"),
        (["scan.mdf", "--methods", "average", "-o", "t.pdf"], 2, "name a table (.csv) or a picture (.png)"),
        (["scan.mdf", "--methods", "average", "--reference", "gone.mdf"], 3, "gone.mdf"),
        (["gone.mdf", "--methods", "average"], 3, "gone.mdf"),
        (["scan.mdf", "--methods", "average", "-o", "t.csv", "-o", "./t.csv"], 2, "t.csv is given twice"),
        (["scan.mdf", "--methods", "unchanged"], 2, "unchanged is the noisy signal"),
        (["scan.mdf", "--methods", "auto,average"], 2, "auto chooses among the methods"),
        ([], 2, "FILE"),
    ],
)
def test_what_goes_wrong_and_its_exit_code(run, work, arguments, code, words):
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    assert words in err
    assert "Traceback" not in err
    assert names(work) == ["scan.mdf"]
