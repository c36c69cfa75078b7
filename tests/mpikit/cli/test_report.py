"""``mpikit report``: its words, its JSON, its refusals and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from mpikit.cli import main
from mpikit.denoise_file import denoise_file
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


@pytest.fixture
def run(capsys, monkeypatch):
    """Run the command as a shell does: exit code, stdout, stderr."""

    def report(*arguments):
        monkeypatch.setattr("sys.argv", ["mpikit", "report", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0, *capsys.readouterr()

    return report


@pytest.fixture
def files(tmp_path):
    """Return a noisy file and the denoised one."""
    write_scan(example_scan(), tmp_path / "scan.mdf", contents=ABOUT)
    return tmp_path / "scan.mdf", denoise_file(tmp_path / "scan.mdf", method="harmonic").path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_words(run, files, tmp_path):
    output = tmp_path / "report.html"
    code, out, err = run(files[1], "-o", output)
    assert (code, out) == (0, "")
    assert err.splitlines() == [
        "scan.harmonic.mdf is shown beside scan.mdf",
        "report 1/1",
        f"wrote {output}",
    ]
    assert "Signals before and after" in output.read_text()


def test_quiet_writes_beside_the_first_file(run, files, tmp_path):
    assert run(files[0], "-q") == (0, "", "")
    assert names(tmp_path) == ["scan.harmonic.mdf", "scan.mdf", "scan.report.html"]


def test_the_subject_is_asked_for(run, files, tmp_path):
    run(files[0], "-q")
    run(files[0], "-q", "--with-subject", "-o", tmp_path / "with.html")
    shown = [(tmp_path / name).read_text() for name in ("scan.report.html", "with.html")]
    assert ["not shown (--with-subject shows it)" in page for page in shown] == [True, False]


def test_json_has_stable_keys(run, files, tmp_path):
    code, out, err = run(files[1], files[0], "--json", "-q", "-o", tmp_path / "report.html")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert set(found) == {"output", "written", "files"}
    assert found["written"] is True
    first, second = found["files"]
    assert set(first) == {"file", "kinds", "before", "sections", "error"}
    assert (first["kinds"], first["before"]) == (["measurement"], {"measurement": str(files[0])})
    assert second["before"] == {}
    assert first["sections"][:2] == ["What the file is", "Signals before and after"]


def test_a_dry_run_writes_nothing(run, files, tmp_path):
    code, out, err = run(files[1], "--dry-run", "-o", tmp_path / "report.html")
    assert (code, out) == (0, "")
    assert err.splitlines() == [
        f"would write {tmp_path / 'report.html'}",
        f"{files[1]}: measurement, beside {files[0]}",
    ]
    found = json.loads(run(files[1], "--dry-run", "--json", "-o", tmp_path / "report.html")[1])
    assert found["written"] is False
    assert found["files"][0]["sections"] is None
    assert names(tmp_path) == ["scan.harmonic.mdf", "scan.mdf"]


def test_a_report_that_exists_is_kept(run, files, tmp_path):
    output = tmp_path / "report.html"
    output.write_text("somebody's")
    code, _, err = run(files[0], "-o", output)
    assert code == 3
    assert "exists already" in err
    assert output.read_text() == "somebody's"
    assert run(files[0], "-o", output, "--force", "-q") == (0, "", "")
    assert output.read_text().startswith("<!doctype html>")


def test_an_input_is_never_replaced(run, files):
    content = [path.read_bytes() for path in files]
    for output in files:  # the second one is read as what was before the first
        code, _, err = run(files[1], "-o", output, "--force")
        assert code == 3
        assert "is an input" in err
    assert [path.read_bytes() for path in files] == content


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["none.mdf"], 3, "none.mdf"),
        (["text.mdf"], 3, "text.mdf"),
        (["none.mdf", "text.mdf"], 3, "none.mdf"),
        (["text.jsonl"], 3, "text.jsonl is no log of a training"),
        (["text.safetensors"], 3, "text.safetensors cannot be read as a model file"),
        (["scan.mdf", "scan.mdf"], 2, "is named twice"),
        (["scan.mdf", "--before", "none.mdf"], 3, "none.mdf"),
        (["scan.mdf", "-o", "nowhere/report.html"], 3, "the folder nowhere does not exist"),
        (["other.mdf", "--before", "scan.mdf"], 3, "expected the measurement that was denoised"),
        ([], 2, "FILE"),
    ],
)
def test_what_goes_wrong_and_its_exit_code(run, files, monkeypatch, tmp_path, arguments, code, words):
    write_scan(example_scan(frames=3), tmp_path / "other.mdf", contents=ABOUT)
    for name in ("text.mdf", "text.jsonl", "text.safetensors"):
        (tmp_path / name).write_text("text\ntext")
    monkeypatch.chdir(tmp_path)
    before = names(tmp_path)
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    assert words in err
    assert "Traceback" not in err
    assert names(tmp_path) == before


def test_of_several_files_the_damaged_ones_say_why(run, files, tmp_path):
    broken = tmp_path / "broken.mdf"
    broken.write_text("text")
    output = tmp_path / "report.html"
    code, out, err = run(files[0], broken, tmp_path / "none.mdf", "--json", "-q", "-o", output)
    assert code == 6
    assert err.count("error: ") == 2
    assert err.count(str(broken)) == 1
    good, *bad = json.loads(out)["files"]
    assert good["error"] is None
    assert [each["error"]["exit_code"] for each in bad] == [3, 3]
    assert [each["sections"] for each in bad] == [["What went wrong"]] * 2
    page = output.read_text()
    assert "The file is not shown. broken.mdf: " in page
    assert str(tmp_path) not in page
    assert "Signals" in page


def test_a_file_that_fails_while_it_is_drawn_stops_no_other(run, files, tmp_path):
    write_scan(example_scan(frames=3), tmp_path / "other.mdf", contents=ABOUT)
    code, _, err = run(files[1], tmp_path / "other.mdf", "--before", files[0], "-q")
    assert code == 6
    assert "expected the measurement that was denoised" in err
    assert "Signals before and after" in (tmp_path / "scan.harmonic.report.html").read_text()


def test_a_page_of_ours_at_the_default_name_is_replaced(run, files, tmp_path):
    assert run(files[0], "-q") == (0, "", "")
    assert run(files[0], "-q") == (0, "", "")
    assert run(files[0], "-q", "-o", tmp_path / "scan.report.html")[0] == 3  # a name that was given
    (tmp_path / "scan.report.html").write_text("<!doctype html><p>somebody's")
    assert run(files[0], "-q")[0] == 3


def test_paths_with_spaces_and_other_letters(run, files, tmp_path):
    folder = tmp_path / "ein Ordner ü日"
    folder.mkdir()
    path = folder / "a b<i>.mdf"
    path.write_bytes(files[0].read_bytes())
    assert run(path, "-q", "-o", folder / "é &.html") == (0, "", "")
    assert "a b&lt;i&gt;.mdf" in (folder / "é &.html").read_text(encoding="utf-8")


def test_the_verb_imports_nothing_heavy():
    heavy = {"numpy", "scipy", "h5py", "torch", "matplotlib", "jinja2"}
    code = f"import sys, mpikit.cli.report, mpikit.cli.plot; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
