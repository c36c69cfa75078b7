"""Commands on the small files of the fixture `files`, and how their outputs are told apart."""

from __future__ import annotations

import hashlib
from pathlib import Path

import h5py
import numpy as np

NOISE = ("--noise", "gaussian:snr_db=5")
SIMULATE = ("simulate", "openmpi-2d", "--phantom", "smile", "--frames", "5", *NOISE)
TINY = ("-p", "steps=6", "-p", "features=4", "-p", "batch=4", "-p", "evaluate_every=3")
IMAGE = ("reconstruct", "frame.mdf", "--system-matrix", "sm.mdf", "--iterations", "3")

# verbs whose output is one MDF file, without that output
ONE_FILE = {
    "simulate": SIMULATE,
    "convert": ("convert", "scan.mdf", "--domain", "frequency"),
    "denoise": ("denoise", "-m", "low-rank", "scan.mdf"),
    "reconstruct": IMAGE,
}
# all verbs that write, with the name of their output
WRITERS = {
    **{name: (arguments, "out.mdf") for name, arguments in ONE_FILE.items()},
    "denoise with a network": (("denoise", "-m", "unet-gd", *TINY, "scan.mdf"), "out.mdf"),
    "train": (("train", "-m", "unet-gd", *TINY, "scan.mdf"), "out.safetensors"),
    "compare": (("compare", "scan.mdf", "--methods", "harmonic,low-rank"), "out.csv"),
    "noise": (("noise", "scan.mdf"), "out.png"),
    "report": (("report", "scan.mdf"), "out.html"),
    "plot": (("plot", "scan.mdf"), "out.svg"),
    "to numpy": (IMAGE, "out.npz"),
}
# for SOURCE_DATE_EPOCH
MOMENT = "1700000000"
OF_THE_MOMENT = {"acquisition/startTime"}


def content(path: Path) -> dict[str, str]:
    """Hash of every dataset of an MDF file, without how and when it was made."""
    found: dict[str, str] = {}

    def visit(name: str, node) -> None:
        if not isinstance(node, h5py.Dataset) or name in OF_THE_MOMENT:
            return
        if name.startswith("_mpikit/history") or name.endswith(("uuid", "time")):
            return
        values = np.asarray(node[()])
        held = repr(values.tolist()).encode() if values.dtype == object else values.tobytes()
        found[name] = hashlib.sha256(held).hexdigest()

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def hidden(folder: Path) -> list[str]:
    """Files that should have gone with the process that made them; a lock may stay."""
    found = (path.name for path in folder.rglob(".*"))
    return sorted(name for name in found if not name.endswith(".lock"))


def hashes(folder: Path) -> dict[str, str]:
    """Hash of every file of a folder."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}
