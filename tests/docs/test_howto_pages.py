"""The how-to pages and the tutorials: all are found, each leads on, and their commands do what they say."""

from __future__ import annotations

import re
import runpy
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

import mdf
from mpikit.cli import app

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
HOWTO = DOCS / "howto"
PAGES = sorted(HOWTO.glob("*.md"))
TUTORIALS = sorted((DOCS / "tutorials").glob("*.py"))
commands = runpy.run_path(str(HERE / "test_which_denoiser.py"))["commands"]
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


def mpikit(*arguments):
    """Run a command in the folder where we are; its errors are raised."""
    done = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def run_page(name, files, folder, monkeypatch, *, but=()):
    """Run all commands of a page but some, in a folder of its own with some files; return how many."""
    for path in files.iterdir():
        shutil.copy(path, folder / path.name)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MPLBACKEND", "agg")
    count = 0
    for arguments in commands(HOWTO / name):
        line = " ".join(arguments)
        if any(word in line for word in ("OUTPUT", *but)):
            continue
        again = arguments[0] == "reconstruct" and not {"--force", "--list-options"} & {*arguments}
        mpikit(*arguments, *(("--force",) if again else ()))
        count += 1
    return count


@pytest.fixture(scope="module")
def files_2d(tmp_path_factory):
    """A small scan with its calibration, and what is made of them."""
    folder = tmp_path_factory.mktemp("files")
    scan, matrix = folder / "scan.mdf", folder / "sm.mdf"
    noise = ("--noise", "gaussian:snr_db=15")
    mpikit("simulate", "openmpi-2d", "--frames", 4, "--background-frames", 6, *noise, "-o", scan)
    mpikit("simulate", "openmpi-2d", "--calibration", "--grid", "7x5", "-o", matrix)
    mpikit("denoise", "--method", "harmonic", scan)
    mpikit("reconstruct", scan, "--system-matrix", matrix, "-o", folder / "image.mdf")
    return folder


@pytest.fixture(scope="module")
def files_1d(tmp_path_factory):
    """A scan in which a robot moved the phantom between periods."""
    folder = tmp_path_factory.mktemp("robot")
    scan, matrix = folder / "scan.mdf", folder / "sm.mdf"
    counts = ("--frames", 1, "--periods", 2000, "--background-frames", 2)
    mpikit("simulate", "openmpi-1d", *counts, "--noise", "gaussian:snr_db=15", "-o", scan)
    mpikit("simulate", "openmpi-1d", "--calibration", "--grid", "19", "-o", matrix)
    return folder


def test_the_index_leads_to_every_page():
    linked = set(re.findall(r"\]\(([a-z-]+\.md)\)", (HOWTO / "index.md").read_text()))
    assert linked == {page.name for page in PAGES} - {"index.md"}
    listed = (DOCS / "index.md").read_text()
    assert [page.stem for page in PAGES if f"\nhowto/{page.stem}\n" not in listed] == []


@pytest.mark.parametrize("page", [*PAGES, DOCS / "mdf.md"], ids=lambda page: page.stem)
def test_every_page_has_a_next_step(page):
    last = page.read_text().rstrip().split("\n\n")[-1]
    assert last.startswith("Next: ")
    assert "](" in last


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_every_tutorial_has_a_next_step(page):
    last = re.split(r"^# Next( step)?: ", page.read_text(), flags=re.MULTILINE)[-1]
    assert ":doc:`" in last
    assert all(line.startswith("#") for line in last.splitlines()[1:])


def test_pages_are_short():
    assert {page.name: lines for page in PAGES if (lines := page.read_text().count("\n")) > 200} == {}


def test_the_lines_of_python_read_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for arguments in commands(HOWTO / "read-mdf.md"):
        mpikit(*arguments)
    capsys.readouterr()
    found: dict[str, object] = {}
    blocks = PYTHON.findall((HOWTO / "read-mdf.md").read_text())
    for block in blocks:
        exec(block, found)  # noqa: S102 - lines of our own
    assert len(blocks) == 3
    assert len(blocks[0].strip().splitlines()) == 10
    assert capsys.readouterr().out.splitlines() == [
        "(4, 1, 2, 1632) (4, 1, 2, 817) 2.5 MHz 0",
        "(2, 1, 9, 9) complex64",
        "frames V (817,)",
    ]
    np.testing.assert_allclose(np.fft.rfft(found["signal"]), found["spectra"], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found["signal"], found["scan"].signal)
    np.testing.assert_allclose(found["free"], found["signal"] - found["empty"], rtol=1e-4, atol=1e-7)
    assert Path("denoised.npz").exists()


def test_the_commands_on_files_run(files_2d, tmp_path, monkeypatch):
    files = shutil.copytree(files_2d, tmp_path / "files")
    shutil.copy(files / "scan.mdf", files / "old.mdf")
    (folder := tmp_path / "page").mkdir()
    (folder / "scans").mkdir()
    shutil.copy(files / "scan.mdf", folder / "scans")
    assert run_page("files.md", files, folder, monkeypatch) == 12
    assert {"new.mdf", "small.mdf", "report.html"} <= {path.name for path in folder.iterdir()}
    with mdf.open(folder / "spectra.mdf") as file:
        assert file.frequencies[0] >= 80e3
        assert file.frequencies[-1] <= 625e3


@pytest.mark.slow
def test_the_commands_to_tune_run(files_2d, tmp_path, monkeypatch):
    assert run_page("tune-reconstruction.md", files_2d, tmp_path, monkeypatch) == 10
    written = {path.name for path in tmp_path.iterdir()}
    assert {"snr.png", "first.mdf", "first.lambda.png", "both.html", "sure.mdf", "a.rerun.mdf"} <= written
    with mdf.open("sure.mdf") as file:
        assert np.all(np.asarray(file.user_value("/_mpikit/standardDeviation")) >= 0)


@pytest.mark.slow
def test_the_commands_on_openmpidata_run(files_1d, tmp_path, monkeypatch):
    (tmp_path / "calibrations").mkdir()
    shutil.copy(files_1d / "sm.mdf", tmp_path / "calibrations")
    assert run_page("bruker-openmpidata.md", files_1d, tmp_path, monkeypatch, but=("fetch",)) == 11
    with mdf.open("positions.mdf") as file:
        assert len(file.images) == 2  # one for each position of the robot
    with mdf.open("image.mdf") as file:
        assert len(file.images) == 1


@pytest.fixture(scope="module")
def many_files(files_2d, tmp_path_factory):
    """What stands on the page of reconstructions: patches, other calibrations, empty measurements."""
    folder = tmp_path_factory.mktemp("many")
    offsets = "selection_field.offset=[[0.012, 0, 0], [-0.012, 0, 0]]"
    noise = ("--noise", "gaussian:snr_db=15")
    scan, matrix = folder / "scan.mdf", folder / "sm.mdf"
    mpikit("simulate", "openmpi-2d", "--frames", 1, "--background-frames", 6, *noise, "-o", scan)
    patches = ("-p", offsets, "--fov", "48x24", *noise, "-o", folder / "patches.mdf")
    mpikit("simulate", "openmpi-2d", "--frames", 1, *patches)
    for name in ("sm", "perimag", "synomag", "large"):
        shutil.copy(files_2d / "sm.mdf", folder / f"{name}.mdf")
    for name in ("empty", "before", "after"):
        shutil.copy(scan, folder / f"{name}.mdf")
    mpikit("reconstruct", scan, "--system-matrix", matrix, "-o", folder / "image.mdf")
    return folder


@pytest.mark.slow
def test_the_commands_to_reconstruct_run(many_files, tmp_path, monkeypatch):
    for name in ("calibrations", "caches", "data"):
        (tmp_path / name).mkdir()
    for source, target in (("sm.mdf", "calibrations"), ("scan.mdf", "data"), ("sm.mdf", "data")):
        shutil.copy(many_files / source, tmp_path / target)
    elsewhere = ("--workers", "--scheduler", "left.mdf", "fbp")  # processes, and scanners of their own
    assert run_page("reconstruct.md", many_files, tmp_path, monkeypatch, but=elsewhere) == 25


def with_habits(path):
    """Give a file what files of the Bruker scanner have."""
    with h5py.File(path, "r+") as file:
        drive = file["/acquisition/drivefield"]
        divider = drive["divider"][()]
        del drive["divider"], drive["waveform"]
        drive["divider"], drive["waveform"] = divider.T, np.array([[b"sine"]])
        file.move("/acquisition/numPeriodsPerFrame", "/acquisition/numPeriods")
        del file["/measurement/isSparsityTransformed"]
        gradient = file["/acquisition/gradient"][()]
        del file["/acquisition/gradient"]
        file["/acquisition/gradient"] = gradient[:, 0]
        del file["/acquisition/startTime"]
        file["/acquisition/startTime"] = "2026-03-02 10:15:30.123456+01:00"


def test_the_habits_of_bruker_files_are_put_right(files_2d, tmp_path):
    path = tmp_path / "scan.mdf"
    shutil.copy(files_2d / "scan.mdf", path)
    with mdf.open(path) as file:
        before = file.read_signal("all"), file.acquisition.drivefield.divider, file.acquisition.gradient
    with_habits(path)
    with mdf.open(path) as file:
        after = file.read_signal("all"), file.acquisition.drivefield.divider, file.acquisition.gradient
        assert list(file.acquisition.drivefield.waveform.flat) == ["sine", "sine"]
        assert file.acquisition.start_time == "2026-03-02T09:15:30.123"
        repaired = {repair.path.rpartition("/")[2] for repair in file.repairs}
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
    assert {"divider", "waveform", "numPeriodsPerFrame", "isSparsityTransformed", "gradient"} <= repaired
    page = (HOWTO / "bruker-openmpidata.md").read_text()
    assert [name for name in repaired - {"startTime"} if f"`{name}`" not in page] == []
    mpikit("convert", path, "-o", tmp_path / "standard.mdf")
    assert not [each for each in mdf.validate(tmp_path / "standard.mdf") if each.severity != "note"]
