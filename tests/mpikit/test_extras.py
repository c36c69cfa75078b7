"""What to install for an extra."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from mpikit import extras
from mpikit.extras import install_hint, packages_of

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("extra", ["napari", "distributed", "nifti", "xarray", "datasets", "phantoms"])
def test_the_packages_are_those_of_the_project(extra):
    wanted = [each.partition(">")[0] for each in PROJECT["optional-dependencies"][extra]]
    assert [each.partition(">")[0] for each in packages_of(extra)] == wanted


def test_markers_are_read(monkeypatch):
    lines = [
        "numpy>=2.1",
        "napari[pyqt6]>=0.9; extra == 'napari'",
        'npe2>=0.9 ; python_version > "3" and extra == "napari"',
        "other; extra == 'napari-more'",
    ]
    monkeypatch.setattr(extras, "requires", lambda _: lines)
    assert packages_of("napari") == ["napari[pyqt6]>=0.9", "npe2>=0.9"]
    assert (
        install_hint("napari", upgrade=True)
        == "pip install -U 'napari[pyqt6]>=0.9' 'npe2>=0.9' (the extra napari of mpikit)"
    )


def test_without_an_installed_mpikit_the_extra_is_named(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(extras, "requires", missing)
    assert install_hint("nifti") == "install the extra nifti of mpikit"
