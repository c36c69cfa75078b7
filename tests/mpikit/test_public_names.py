"""The public names are a promise: adding one shows here."""

from __future__ import annotations

import subprocess
import sys

import pytest

import mpikit


def test_public_names():
    assert dir(mpikit) == [
        "Checkpoint",
        "Denoiser",
        "DriveField",
        "Event",
        "Finding",
        "Images",
        "Method",
        "NoOptions",
        "Noise",
        "NoiseModel",
        "Options",
        "Run",
        "Scan",
        "SelectionField",
        "StatelessMethod",
        "Step",
        "Warned",
        "WholeNoise",
        "compare",
        "denoise",
        "hookimpl",
        "load",
        "reconstruct",
        "simulate",
    ]
    assert set(mpikit.__all__) == {*mpikit._HOME, *mpikit._VERBS}
    for name in mpikit.__all__:
        getattr(mpikit, name)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="mpikit has no 'Scann'"):
        _ = mpikit.Scann


def test_the_root_package_imports_nothing():
    code = "import sys, mpikit; print(sorted({'numpy', 'pydantic', 'pluggy', 'typer'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
