"""The page of the notebook: its lines run, in the order of the page."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import mpikit
from mpikit import notebook
from mpikit.simulate import preset, simulate_calibration_file

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "howto" / "notebook.md").read_text()
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
BLOCKS = PYTHON.findall(PAGE)


def test_the_lines_of_python_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    found = {}
    for block in BLOCKS:
        exec(block, found)  # noqa: S102 - lines of our own
    noisy, denoised = found["noisy"], found["denoised"]
    errors = [float(np.mean((scan.signal - noisy.clean) ** 2)) for scan in (denoised, noisy)]
    assert errors[0] < 0.5 * errors[1]
    assert found["after"].values.shape == found["before"].values.shape == (10, 1, 9, 9)
    assert not np.array_equal(found["after"].values, found["before"].values)
    assert {row.method for row in found["table"].rows} == {"harmonic", "low-rank"}
    assert found["row"].dims == ("x",)
    np.testing.assert_allclose(found["row"], found["after"].shown[0].mean(axis=0)[0, 4], rtol=1e-5)
    assert capsys.readouterr().out.splitlines() == [
        "('frame', 'period', 'channel', 'time') s",
        "('frame', 'z', 'y', 'x') m mmol/L",
    ]
    written = set(re.findall(r'to_[a-z]+\("([^"]+)"', PAGE))
    assert len(written) == 7
    assert written == {path.name for path in tmp_path.iterdir()}
    images = mpikit.load("after.mdf")
    np.testing.assert_array_equal(images.shown[0], found["after"].shown[0])
    assert images.shown[1] == "mmol/L"
    again = mpikit.load("denoised.mdf")
    np.testing.assert_array_equal(again.signal, denoised.signal)


def test_the_lines_on_the_page_of_scripts_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scanner = preset("openmpi-2d")
    simulate_calibration_file(scanner, Path("sm.mdf"), grid=scanner.calibration.grid((9, 9), ()))
    mpikit.simulate("openmpi-2d", frames=4, noise="gaussian:snr_db=10").to_mdf("scan.mdf")
    scripts = (DOCS / "howto" / "scripts.md").read_text()
    [block] = [each for each in PYTHON.findall(scripts) if "mpikit.denoise(" in each]
    exec(block, {})  # noqa: S102
    assert (tmp_path / "image.nii.gz").stat().st_size > 348


@pytest.mark.parametrize("name", ["load", "simulate", "denoise", "reconstruct", "compare"])
def test_every_function_is_on_the_page(name):
    assert f"| `mpikit.{name}` |" in PAGE
    assert callable(getattr(mpikit, name))
    assert callable(getattr(notebook, name))


def test_the_links():
    assert "](notebook.md)" in (DOCS / "howto" / "index.md").read_text()
    assert "howto/notebook\n" in (DOCS / "index.md").read_text()
