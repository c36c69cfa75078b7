"""Files of reconstructed images, of which `mpikit reconstruct --rerun` reads the history."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
from fuzz.arrays import _npy
from fuzz.damage import as_json, damage_bytes, damage_tree
from fuzz.jsons import HISTORY
from fuzz.kinds import Kind, Rng

import mdf

SUFFIXES = (".nii", ".nii.gz", ".gif", ".npz")
HEADER = 400  # bytes at the start of a file, which most damage is done to


@cache
def made(suffix: str, history: str = json.dumps(HISTORY)) -> bytes:
    """Return a file of images."""
    import tempfile

    from mpikit.reconstruct.image import Images
    from mpikit.reconstruct.outputs import write_images

    grid = mdf.Grid(np.array([3, 2, 1]), np.array([0.03, 0.02, 0.01]), np.zeros(3))
    values = np.arange(12, dtype=np.float32).reshape(2, 1, 2, 3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        write_images(path, Images(values, grid, np.arange(2), "a.u."), history=history)
        return path.read_bytes()


@cache
def _npz_bomb() -> bytes:
    """Return a history beside a gigabyte of images."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        with packed.open("history.npy", "w") as member:
            np.lib.format.write_array(member, np.array("[]"))
        with packed.open("images.npy", "w", force_zip64=True) as member:
            kind = {"descr": "|u1", "fortran_order": False, "shape": (10**9,)}
            np.lib.format.write_array_header_1_0(member, kind)
            for _ in range(1000):
                member.write(bytes(10**6))
    return out.getvalue()


@cache
def _nifti_bomb() -> bytes:
    """Return a header whose comment has a gigabyte."""
    raw = bytearray(gzip.decompress(made(".nii.gz")))
    raw[352:356] = (10**9).to_bytes(4, "little")
    raw[108:112] = np.float32(2 * 10**9).tobytes()
    return gzip.compress(bytes(raw), mtime=0) + 1000 * gzip.compress(bytes(10**6), mtime=0)


def make_images(rng: Rng, folder: Path) -> Path:
    chance = rng.random()
    suffix = SUFFIXES[rng.integers(len(SUFFIXES))]
    if chance < 0.002:
        suffix = (".npz", ".nii.gz")[rng.integers(2)]
        raw = _npz_bomb() if suffix == ".npz" else _nifti_bomb()
    elif chance < 0.3:
        raw = _with_history(rng, suffix)
    elif suffix == ".nii.gz" and chance < 0.9:
        raw = gzip.compress(_damaged(rng, gzip.decompress(made(suffix))), 1, mtime=0)
    else:
        raw = _damaged(rng, made(suffix))
    path = folder / f"made{suffix}"
    path.write_bytes(raw)
    return path


def _damaged(rng: Rng, raw: bytes) -> bytes:
    if rng.random() < 0.3:
        return damage_bytes(rng, raw)
    return damage_bytes(rng, raw[:HEADER]) + raw[HEADER:]


def _with_history(rng: Rng, suffix: str) -> bytes:
    """Return a whole file with an odd history; of arrays also one that is no text."""
    text = as_json(rng, damage_tree(rng, HISTORY))
    if suffix == ".npz":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("history.npy", _npy(rng))
        return buffer.getvalue()
    if suffix == ".gif":
        return made(suffix).replace(b"command", text[:7].ljust(7), 1)
    raw = gzip.decompress(made(suffix)) if suffix == ".nii.gz" else made(suffix)
    at = raw.index(b'[{"command"')
    raw = raw[:at] + text[: len(raw) - at] + raw[at + len(text) :]
    return gzip.compress(raw, 1, mtime=0) if suffix == ".nii.gz" else raw


def read_images(path: Path) -> None:
    """Repeat what the file tells of, as far as its inputs: none of them is there."""
    from mpikit.errors import InputError
    from mpikit.reconstruct.outputs import stored_history
    from mpikit.reconstruct.rerun import read_rerun

    text = stored_history(path)
    assert text is None or isinstance(text, str)
    try:
        read_rerun(path, places=[path.parent])
    except InputError as error:
        if "is missing, expected it in" not in str(error):  # it was read as a whole
            raise
    assert not Path("trapped").exists()


KINDS = (Kind("images", make_images, read_images),)
