"""``mpikit datasets``: list, fetch, path; from a mirror on this machine."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from mpikit.cli import app, main
from mpikit.cli.datasets import dataset_names
from mpikit.datasets import DATASETS, dataset, place
from mpikit.errors import InputError, UsageError
from mpikit.extras import install_hint

SCAN, MATRIX = "openmpi-concentration-1d", "openmpi-calibration-1"
CONTENT = {SCAN: b"scan" * 1000, MATRIX: b"matrix" * 777}


class Quiet(SimpleHTTPRequestHandler):
    """Serve files without words; under ``slow`` the second half of them waits."""

    stopped = threading.Event()

    def copyfile(self, source, outputfile):
        content = source.read()
        outputfile.write(content[: len(content) // 2])
        outputfile.flush()
        if "slow" in self.path:
            self.stopped.wait(20)
        outputfile.write(content[len(content) // 2 :])

    def log_message(self, *_words):
        pass


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """Serve a folder that looks like a cache, and name another one as cache."""
    folder = tmp_path / "mirror"
    for name, content in CONTENT.items():
        path = place(name, folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("MPIKIT_DATASETS", str(tmp_path / "cache"))
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as running:
        monkeypatch.setenv("MPIKIT_DATASETS_MIRROR", f"http://127.0.0.1:{running.server_port}")
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield folder
        Quiet.stopped.set()
        running.shutdown()
        thread.join()


def run(*arguments):
    return CliRunner().invoke(app, ["datasets", *arguments], catch_exceptions=False)


def test_the_list_says_which_calibration_fits(monkeypatch, tmp_path):
    monkeypatch.setenv("MPIKIT_DATASETS", str(tmp_path))
    done = run("list")
    assert done.exit_code == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    [row] = [row for row in rows if row[:1] == [SCAN]]
    assert row[1:] == ["1-D", "Perimag", "unknown", "openmpi-calibration-1,", "-4"]
    [row] = [row for row in rows if row[:1] == ["openmpi-calibration-3"]]
    assert row[1:5] == ["3-D", "Perimag", "~4.67", "GB"]
    assert f"cache: {tmp_path}" in done.stderr
    assert "CC BY 4.0; please cite" in done.stderr


def test_the_keys_of_the_list(mirror, tmp_path):
    run("fetch", SCAN)
    listed = json.loads(run("list", "--json").stdout)
    assert set(listed) == {"cache", "datasets"}
    assert listed["cache"] == str(tmp_path / "cache")
    by_name = {each["name"]: each for each in listed["datasets"]}
    assert list(by_name) == list(DATASETS)
    assert set(by_name[SCAN]) == {
        "name", "kind", "sequence", "tracer", "size", "summary", "calibrations", "url", "licence", "citation",
        "doi", "path",
    }  # fmt: skip
    assert by_name[SCAN]["calibrations"] == ["openmpi-calibration-1", "openmpi-calibration-4"]
    assert by_name[SCAN]["path"] == str(place(SCAN))
    assert by_name[SCAN]["size"] is None
    assert by_name[MATRIX]["path"] is None


def test_what_is_here_is_marked(mirror):
    run("fetch", MATRIX)
    here = [line for line in run("list").stdout.splitlines() if " yes " in line]
    assert [line.split()[0] for line in here] == [MATRIX]


def test_the_list_needs_no_extra(monkeypatch):
    monkeypatch.delenv("MPIKIT_DATASETS", raising=False)
    monkeypatch.setitem(sys.modules, "pooch", None)
    done = run("list")
    assert done.exit_code == 0
    assert SCAN in done.stdout
    assert install_hint("datasets") in done.stderr
    assert json.loads(run("list", "--json").stdout)["cache"] is None


def test_fetching_two(mirror, tmp_path):
    done = run("fetch", SCAN, MATRIX, SCAN)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [str(place(SCAN)), str(place(MATRIX))]
    for name, content in CONTENT.items():
        assert place(name).read_bytes() == content
    assert f"{SCAN}: 4 kB, to {place(SCAN).parent}" in done.stderr
    assert f"{SCAN}, MB 1/1  MB/s" in done.stderr
    assert "licence CC BY 4.0; please cite T. Knopp" in done.stderr


def test_another_cache(mirror, tmp_path):
    other = tmp_path / "other"
    done = run("fetch", SCAN, "--cache", str(other), "--quiet")
    assert (done.stdout, done.stderr) == (f"{place(SCAN, other)}\n", "")
    assert run("path", SCAN, "--cache", str(other)).stdout == done.stdout
    assert not (tmp_path / "cache").exists()


def test_the_path_of_what_is_not_there(mirror):
    with pytest.raises(InputError, match=f"{SCAN} has not been fetched") as wrong:
        run("path", SCAN)
    assert wrong.value.hint == f"mpikit datasets fetch {SCAN}"


@pytest.mark.parametrize("verb", ["fetch", "path"])
def test_an_unknown_name(mirror, verb):
    with pytest.raises(UsageError, match="no data set is called 'openmpi-calibraton-1'") as wrong:
        run(verb, "openmpi-calibraton-1")
    assert wrong.value.hint.startswith("did you mean 'openmpi-calibration-1'?")


def test_no_name_is_wrong_before_anything_is_fetched(mirror):
    with pytest.raises(UsageError):
        run("fetch", SCAN, "nothing")
    assert not place(SCAN).exists()


def test_one_of_two_fails(mirror):
    done = run("fetch", "openmpi-shape-1d", SCAN)
    assert done.exit_code == 6
    assert done.stdout.splitlines() == [str(place(SCAN))]
    assert "error: openmpi-shape-1d cannot be fetched" in done.stderr
    assert "404" in done.stderr
    assert " hint: the file was moved or removed" in done.stderr


@pytest.mark.parametrize(("name", "code"), [("openmpi-shape-1d", 3), ("nothing", 2)])
def test_exit_codes(mirror, name, code, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["mpikit", "datasets", "fetch", name])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == code
    assert capsys.readouterr().err.startswith("error: ")


def test_without_the_extra(mirror, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pooch", None)
    monkeypatch.setattr("sys.argv", ["mpikit", "datasets", "fetch", SCAN, MATRIX])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 4
    assert capsys.readouterr().err.splitlines() == [
        "error: fetching data sets needs pooch, which is not installed",
        f" hint: {install_hint('datasets')}",
    ]


def test_a_dry_run_asks_for_the_size(mirror):
    told = json.loads(run("fetch", SCAN, "--dry-run").stdout)
    assert told["datasets"] == [
        {
            "name": SCAN,
            "url": f"{os.environ['MPIKIT_DATASETS_MIRROR']}/openmpi/measurements/concentrationPhantom/1.mdf",
            "path": str(place(SCAN)),
            "fetched": False,
            "size": len(CONTENT[SCAN]),
            "begun": 0,
        }
    ]
    assert not place(SCAN).parent.exists()


def test_force_takes_a_replaced_file(mirror):
    run("fetch", SCAN)
    place(SCAN, mirror).write_bytes(b"new")
    run("fetch", SCAN)
    assert place(SCAN).read_bytes() == CONTENT[SCAN]
    run("fetch", SCAN, "--force")
    assert place(SCAN).read_bytes() == b"new"


def test_a_damaged_file_is_removed(mirror):
    run("fetch", SCAN)
    place(SCAN).write_bytes(b"?")
    with pytest.raises(InputError, match="is removed"):
        run("fetch", SCAN)
    assert not place(SCAN).exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a child process")
def test_ctrl_c(mirror, tmp_path):
    Quiet.stopped.clear()
    slow = mirror / "slow" / dataset(SCAN).file
    slow.parent.mkdir(parents=True)
    slow.write_bytes(bytes(3_000_000))
    code = f"""
import sys
from mpikit.cli import main
sys.argv = ["mpikit", "datasets", "fetch", "{SCAN}"]
main()
"""
    settings = os.environ | {"MPIKIT_DATASETS_MIRROR": f"{os.environ['MPIKIT_DATASETS_MIRROR']}/slow"}
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=settings,
    )
    lines = [child.stderr.readline(), child.stderr.readline()]
    assert lines[1].startswith(f"{SCAN}, MB 1/3")
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=10)
    assert (child.returncode, out) == (130, "")
    assert err.splitlines() == [
        f"what has come of {SCAN} is kept: the same command goes on from there",
        "error: interrupted; no file was left half written",
    ]
    kept = sorted(path.name for path in place(SCAN).parent.iterdir())
    assert kept == ["1.mdf.part", "1.mdf.part.json"]


def test_completion_of_names():
    assert dataset_names("openmpi-conc") == [f"openmpi-concentration-{number}d" for number in (1, 2, 3)]


def test_the_list_imports_nothing_heavy():
    code = """
import sys
from typer.testing import CliRunner
from mpikit.cli import app
assert CliRunner().invoke(app, ["datasets", "list", "--cache", "x"]).exit_code == 0
print(sorted({"torch", "scipy", "h5py", "requests", "pooch"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
