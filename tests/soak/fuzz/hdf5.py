"""MDF files: damaged as bytes, and as trees of HDF5."""

from __future__ import annotations

import contextlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import mutate
import numpy as np
from fuzz.bases import bases
from fuzz.kinds import Kind, Rng
from fuzz.oddities import damage_more

import mdf

CONVERSIONS: tuple[dict[str, Any], ...] = (
    {"domain": "frequency"},
    {"domain": "time"},
    {"order": "grid"},
    {"frames": "foreground", "average_frames": 2},
    {"fast_frame_axis": True, "domain": "frequency", "best": 3},
    {"sparsity": "DCT-II", "kept": 2},
    {"sparsity": "none", "channels": [0]},
    {"band": (1e5, 1e6), "compression": 4},
)


def make_bytes(rng: Rng, folder: Path) -> Path:
    path = folder / f"{rng.integers(len(WAYS))}.mdf"
    seeds = bases()
    raw = bytearray(seeds[rng.integers(len(seeds))])
    for _ in range(int(rng.integers(1, 4))):
        if raw:
            mutate.damage_bytes(rng, raw)
    path.write_bytes(raw)
    return path


def make_structure(rng: Rng, folder: Path) -> Path:
    path = folder / f"{rng.integers(len(WAYS))}.mdf"
    seeds = bases()
    path.write_bytes(seeds[rng.integers(len(seeds))])
    with h5py.File(path, "r+") as hdf:
        for _ in range(int(rng.integers(1, 4))):
            # some damage cannot be done twice
            with contextlib.suppress(ValueError, TypeError, KeyError, RuntimeError, OSError, OverflowError):
                (mutate.damage_structure if rng.random() < 0.5 else damage_more)(rng, hdf)
    return path


def read(path: Path) -> None:
    """Read a file in the way that its name says."""
    WAYS[int(path.stem)](path)


def look(path: Path) -> None:
    with mdf.open(path) as file:
        steps = (
            file.contents,
            lambda: file.repairs,
            lambda: file.read_signal(slice(0, 2)),
            lambda: file.read_signal(slice(0, 2), domain="time"),
            lambda: file.read_signal(slice(0, 2), domain="frequency", full=True),
            lambda: file.read_signal("all", order="grid"),
            lambda: (file.grid, file.images, file.user_nodes(), file.data_axes, file.frequencies),
            lambda: file.calibration and (file.calibration.positions, file.calibration.voxels),
            file._repr_html_,
            lambda: file.user_value("/_mpikit/history"),
        )
        for step in steps:
            with contextlib.suppress(mdf.MdfError, IndexError):  # slice(0, 2) of none is fine, "all" too
                step()


def check(path: Path) -> None:
    problems = mdf.validate(path)
    for problem in problems:
        assert "failed" not in problem.message or not problem.message.startswith(mutate.FAILED), (
            problem.message
        )
        assert (problem.path + problem.message).isprintable(), repr(problem)


def scan(path: Path) -> None:
    from mpikit.scan_file import about_file, read_scan

    with mdf.open(path) as file:
        about_file(file)
    found = read_scan(path)
    assert len(found.signal)
    assert "<script" not in found._repr_html_()


def background(path: Path) -> None:
    from mpikit.scan_file import read_background

    read_background(path)


def info(path: Path) -> None:
    from mpikit.cli.console import _plain
    from mpikit.file_facts import describe, in_words

    facts = _plain(describe(path))
    json.dumps(facts, allow_nan=False)
    in_words(facts)


def convert(path: Path, options: dict[str, Any]) -> None:
    from mpikit.convert import convert_file

    convert_file(path, path.with_suffix(".out.mdf"), options=options)
    before = {each.path for each in mdf.validate(path) if each.severity == "error"}
    made = [each for each in mdf.validate(path.with_suffix(".out.mdf")) if each.severity == "error"]
    # other values stay as they are, and nodes of their own are copied
    wrong = [each for each in made if each.path not in before and "/_" not in each.path]
    assert not wrong, wrong[0]


def matrix(path: Path) -> None:
    with mdf.open(path) as file:
        found = file.system_matrix
        if found is not None:
            _ = found.shape, found.frequencies, found.snr
            found.rows(np.zeros((1, 3), int))


WAYS = (
    look, check, scan, background, info, look, check, scan, info, check, matrix,
    *(partial(convert, options=options) for options in CONVERSIONS),
)  # fmt: skip
KINDS = (
    Kind("mdf-structure", make_structure, read, of_hdf5=True),
    Kind("mdf-bytes", make_bytes, read, of_hdf5=True),
)
