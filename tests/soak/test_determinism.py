"""One seed, one result: twice, with one thread and with two; with SOURCE_DATE_EPOCH byte by byte."""

from __future__ import annotations

import os
import subprocess
import sys

import h5py
import numpy as np
import pytest
from commands import IMAGE, MOMENT, NOISE, ONE_FILE, SIMULATE, TINY, WRITERS, content, hashes
from safetensors.numpy import load_file

import mdf

BACKGROUND = ("--noise", "background", "--noise", "coloured", "--noise", "harmonic:sir_db=20")
MORE = {
    "simulate with all noise": ((*SIMULATE[:6], *BACKGROUND), "out.mdf"),
    "simulate a calibration": (
        ("simulate", "openmpi-2d", "--calibration", "--grid", "9x7", *NOISE),
        "out.mdf",
    ),
    "denoise by itself": (("denoise", "scan.mdf"), "out.mdf"),
    "denoise with n2n": (("denoise", "-m", "n2n", *TINY, "scan.mdf"), "out.mdf"),
    "denoise with r2r": (("denoise", "-m", "r2r", *TINY, "scan.mdf"), "out.mdf"),
    "denoise, keep the model": (
        ("denoise", "-m", "unet-gd", *TINY, "scan.mdf", "--save-model", "kept.safetensors"),
        "out.mdf",
    ),
    "simulate many": (("simulate", "peng2023", "--phantom", "digits", "--count", "5", *NOISE), "out.mdf"),
    "convert to frequencies": (("convert", "frame.mdf", "--domain", "frequency"), "out.mdf"),
    "noise to json": (("noise", "scan.mdf", "--json"), "out.png"),
    "report of an image": (("report", "scan.mdf", "frame.mdf", "sm.mdf"), "out.html"),
    "compare to a picture": (("compare", "scan.mdf", "--methods", "harmonic,wiener"), "out.png"),
    "reconstruct by cgls": ((*IMAGE[:-2], "--method", "cgls"), "out.mdf"),
    "reconstruct by fista": ((*IMAGE[:-2], "--method", "fista"), "out.mdf"),
    "reconstruct by admm": ((*IMAGE[:-2], "--method", "admm"), "out.mdf"),
    "reconstruct by tikhonov": ((*IMAGE[:-2], "--method", "tikhonov"), "out.mdf"),
    "reconstruct by x-space": (("reconstruct", "frame.mdf", "--method", "x-space"), "out.mdf"),
    "to nifti": (IMAGE, "out.nii.gz"),
    "plot to pdf": (("plot", "scan.mdf"), "out.pdf"),
    "plot to png": (("plot", "frame.mdf"), "out.png"),
    "train n2n": (("train", "-m", "n2n", *TINY, "scan.mdf"), "out.safetensors"),
}
ALL = WRITERS | MORE
LONG = [name for name in MORE if name not in ("simulate with all noise", "denoise by itself")]
NAMES = [pytest.param(name, marks=pytest.mark.soak) if name in LONG else name for name in ALL]
# of the largest value: two threads sum in another order, and each step of a solver carries it on
THREADS = 2e-3


@pytest.fixture
def two_folders(files, tmp_path):
    """Return two folders with the small files."""
    folders = tmp_path / "first", tmp_path / "second"
    for folder in folders:
        folder.mkdir()
        for path in files.iterdir():
            (folder / path.name).hardlink_to(path)
    return folders


def written(server, folder, name):
    """Run a command; return the paths of all that it wrote."""
    arguments, out = ALL[name]
    before = {path.name for path in folder.iterdir()}
    done = server.run(*arguments, "-o", out, folder=folder)
    assert done["code"] == 0, done["err"]
    found = sorted(path for path in folder.iterdir() if path.name not in before)
    assert folder / out in found
    return found


@pytest.mark.parametrize("name", NAMES)
def test_twice_the_same_bytes(dated_server, two_folders, name):
    for folder in two_folders:
        written(dated_server, folder, name)
    first, second = map(hashes, two_folders)
    # the log of a training holds how long each step took
    assert {name for name in first if first[name] != second[name]} == set()
    assert first.keys() == second.keys()


@pytest.mark.parametrize("name", ONE_FILE)
def test_twice_the_same_values_at_any_moment(server, two_folders, name):
    for folder in two_folders:
        written(server, folder, name)
    first, second = (content(folder / "out.mdf") for folder in two_folders)
    assert first == second
    with mdf.open(two_folders[0] / "out.mdf") as one, mdf.open(two_folders[1] / "out.mdf") as other:
        assert one.uuid != other.uuid


def test_files_of_one_moment_have_identities_of_their_own(dated_server, tmp_path):
    found = set()
    for seed in (1, 2):
        done = dated_server.run(*SIMULATE, "--seed", seed, "-o", f"{seed}.mdf", folder=tmp_path)
        assert done["code"] == 0, done["err"]
        with h5py.File(tmp_path / f"{seed}.mdf") as file:
            found |= {(name, file[name].asstr()[()]) for name in ("uuid", "experiment/uuid", "time")}
        assert mdf.validate(tmp_path / f"{seed}.mdf") == []
    assert len(found) == 5  # one time, and two of each identity
    assert ("time", "2023-11-14T22:13:20.000") in found


def test_a_moment_that_is_none(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(mdf.MdfError, match="SOURCE_DATE_EPOCH is 'yesterday', expected seconds"):
        mdf.write_time()


def run_alone(folder, cores, threads, *arguments):
    """Run a command in a process of its own, on some cores with some threads of torch and BLAS."""
    number = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", "from mpikit.cli import main; main()", *arguments],
        cwd=folder,
        env=os.environ | number | {"SOURCE_DATE_EPOCH": MOMENT, "MPLBACKEND": "agg"},
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def numbers_of(path):
    """All floating-point numbers of a file by name."""
    if path.suffix == ".safetensors":
        return {name: value for name, value in load_file(path).items() if value.dtype.kind == "f"}
    found = {}

    def visit(name, node):
        if isinstance(node, h5py.Dataset) and node.dtype.kind in "fc":
            found[name] = node[()]

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


CORES = sorted(os.sched_getaffinity(0))[:2]
# products of whole matrices, and trainings
OTHER_ORDER = [
    *("reconstruct by cgls", "reconstruct by fista", "reconstruct by admm"),
    *("train", "train n2n", "denoise with a network", "denoise with n2n", "denoise with r2r"),
    "denoise, keep the model",
]
FEW = ("denoise", "train")


@pytest.mark.skipif(len(CORES) < 2, reason="two threads need two cores")
@pytest.mark.parametrize(
    "name", [name if name in FEW else pytest.param(name, marks=pytest.mark.soak) for name in ALL]
)
def test_one_thread_and_two(two_folders, figure, name):
    arguments, out = ALL[name]
    for threads, folder in enumerate(two_folders, start=1):
        run_alone(folder, CORES[:threads], threads, *arguments, "-o", out)
    first, second = map(hashes, two_folders)
    other = {each for each in first if first[each] != second[each]}
    if name not in OTHER_ORDER:
        assert other == set()
        return
    values = [numbers_of(folder / out) for folder in two_folders]
    assert values[0].keys() == values[1].keys()
    worst = max(
        float(np.max(np.abs(one - two), initial=0) / max(np.max(np.abs(one), initial=0), 1e-30))
        for one, two in zip(*(each.values() for each in values), strict=True)
    )
    figure(f"one thread and two, {name}: {worst:.1e} of the largest value")
    assert worst <= THREADS
