"""``mpikit view``: the layers that it lists, what it opens, what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mpikit.cli import main
from mpikit.extras import install_hint
from mpikit.scan_file import write_scan
from mpikit.testing import example_scan
from mpikit.viewer import layers_of_file, window

from .test_report import ABOUT


@pytest.fixture
def run(capsys, monkeypatch):
    """Run the command as a shell does: exit code, stdout, stderr."""

    def view(*arguments):
        monkeypatch.setattr("sys.argv", ["mpikit", "view", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0, *capsys.readouterr()

    return view


@pytest.fixture
def opened(monkeypatch):
    """Pretend that napari and a display are there; return the layers that a window gets."""
    layers = []
    monkeypatch.setattr(window, "check_window", lambda: None)
    monkeypatch.setattr(window, "open_window", layers.extend)
    return layers


@pytest.fixture
def source(tmp_path):
    write_scan(example_scan(), tmp_path / "scan.mdf", contents=ABOUT)
    return tmp_path / "scan.mdf"


def test_all_files_are_opened_in_one_window(run, source, opened, tmp_path):
    other = tmp_path / "mit Lücke.mdf"
    other.write_bytes(source.read_bytes())
    assert run(source, other) == (0, "", "")
    expected = [layer.name for path in (source, other) for layer in layers_of_file(path)]
    assert [layer.name for layer in opened] == expected
    assert "mit Lücke channel 0" in expected


def test_layers_are_listed_without_napari(run, source, monkeypatch):
    monkeypatch.setattr(window, "find_spec", lambda _: None)
    code, out, err = run(source, "--dry-run")
    assert (code, err) == (0, "")
    heading, _, first, second, *_ = out.splitlines()
    assert " ".join(heading.split()) == "layer axes voxel z, y, x / mm first voxel / mm"
    shape = layers_of_file(source)[0].data.shape
    assert first.split("  ")[0] == "scan channel 0"
    assert first.endswith(f"time {shape[2]}")
    assert second.startswith("scan channel 0, spectrum (log10)")


def test_the_list_has_mm(run, samples):
    code, out, err = run(samples / "openmpi3d-small-systemmatrix.mdf", "--dry-run")
    assert (code, err) == (0, "")
    row = out.splitlines()[2]
    assert "z 3, y 4, x 5" in row
    assert row.endswith("-3, -6, -8")
    assert "3, 4, 4" in row


def test_json_has_stable_keys(run, source):
    code, out, err = run(source, "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert list(told) == ["layers"]
    for found, layer in zip(told["layers"], layers_of_file(source), strict=True):
        assert list(found) == [
            "file", "name", "kind", "axes", "shape", "scale", "translate", "units", "visible", "about",
        ]  # fmt: skip
        assert found["file"] == str(source)
        assert found["shape"] == list(layer.data.shape)
        np.testing.assert_allclose(found["scale"], layer.scale)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["none.mdf"], 3, "none.mdf"),
        (["scan.mdf", "text.mdf"], 3, "text.mdf"),
        (["text.mdf", "--json"], 3, "text.mdf"),
        ([], 2, "FILE"),
    ],
)
def test_what_goes_wrong_and_its_exit_code(run, source, opened, monkeypatch, arguments, code, words):
    monkeypatch.chdir(source.parent)
    (source.parent / "text.mdf").write_text("text")
    found, out, err = run(*arguments)
    assert (found, out, opened) == (code, "", [])
    assert words in err
    assert "Traceback" not in err


def test_without_napari_nothing_is_read(run, monkeypatch):
    monkeypatch.setattr(window, "find_spec", lambda _: None)
    code, out, err = run("none.mdf")
    assert (code, out) == (4, "")
    assert "needs napari, which is not installed" in err
    assert install_hint("napari") in err
