"""``mpikit compare``: its table, its JSON, its exit codes."""

from __future__ import annotations

import json

import pytest

from mpikit.cli import main
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

@hookimpl
def mpikit_denoisers():
    yield Denoiser(name="broken", summary="Broken", build=lambda options: Broken())
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
        *("rows", "skipped", "outputs"),
    }
    assert (found["file"], found["reference"], found["seed"], found["device"]) == ("scan.mdf", None, 3, "cpu")
    assert [row["method"] for row in found["rows"]] == ["noisy", "harmonic", "average"]
    assert found["rows"][1]["options"]["symmetry"] == "off"
    assert found["rows"][1]["gain_db"] > 4
    assert found["skipped"] == [{"method": "picky", "lacks": "a second channel of gold"}]


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
        ([], 2, "FILE"),
    ],
)
def test_what_goes_wrong_and_its_exit_code(run, work, arguments, code, words):
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    assert words in err
    assert "Traceback" not in err
    assert names(work) == ["scan.mdf"]
