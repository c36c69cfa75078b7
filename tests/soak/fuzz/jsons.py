"""Files of JSON and of JSON lines, and those beside them: experiments, histories, receipts, logs, caches."""

from __future__ import annotations

import io
import json
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from fuzz.arrays import _npy, _zip
from fuzz.damage import as_json, damage_bytes, damage_tree
from fuzz.kinds import Kind, Rng

KEPT = {
    "format": 1,
    "label": "a piece",
    "settings": {"piece": "a", "method": "wiener"},
    "values": {"snr": [1.0, 2.0, 3.0], "fit": 0.5},
    "about": {"seconds": 1.0, "device": "cpu", "code": "0", "warnings": ["w"]},
    "has_arrays": True,
}
FIGURE = {
    "experiment": "peng-table2",
    "table": "t",
    "group": "g",
    "method": "m",
    "kind": "simple",
    "metric": "SNR",
    "unit": "dB",
    "value": 1.0,
    "low": 0.5,
    "high": 1.5,
    "signals": 10,
    "paper": 2.0,
    "fit_seconds": 0.1,
    "note": "",
}
RESULTS = {
    "format": 1,
    "run": {
        "experiments": ["peng-table2"],
        "command": "mpikit reproduce peng-table2",
        "scale": "quick",
        "seed": 0,
        "device": "cpu",
        "at": "2026-01-01T00:00:00+00:00",
        "versions": {"numpy": "2"},
        "host": {"system": "linux", "machine": "x86_64", "cores": 2, "gpu": None},
    },
    "experiments": [
        {
            "name": "peng-table2",
            "title": "T",
            "paper": "P",
            "source": "S",
            "tables": [
                {
                    "name": "t",
                    "title": "T",
                    "headings": ["group", "method"],
                    "rows": [["a", "b"]],
                    "numeric": [1],
                }
            ],
            "drawings": [{"name": "figure", "caption": "c"}],
            "remarks": ["r"],
        }
    ],
    "figures": [FIGURE, {**FIGURE, "metric": "PSNR"}],
    "failed": {},
    "pieces": {"a": {"label": "a", "settings": {}, "values": {"snr": [1.0]}, "about": {}}},
}
HISTORY = [
    {
        "command": "simulate",
        "mpikit": "0.1",
        "at": "now",
        "inputs": {},
        "options": {"noise": ["gaussian:snr_db=3"]},
    },
    {
        "command": "denoise",
        "mpikit": "0.1",
        "at": "now",
        "inputs": {"a.mdf": "0" * 64},
        "options": {"method": "wiener", "repeats": "frames", "level": None},
        "seed": 0,
        "packages": {"numpy": "2"},
        "scores": [{"method": "noisy", "snr_db": 3.0, "is_lower_bound": False, "periods_used": 3}],
    },
    {
        "command": "reconstruct",
        "mpikit": "0.1",
        "at": "now",
        "inputs": {"a.mdf": "0" * 64, "sm.mdf": "1" * 64},
        "options": {"method": "kaczmarz", "lambda_": 0.1, "iterations": 3, "average_frames": False},
        "seed": None,
        "packages": {"numpy": "2"},
        "files": [
            {"role": "source", "name": "a.mdf", "sha256": "0" * 64},
            {"role": "system_matrix", "name": "sm.mdf", "sha256": "1" * 64},
        ],
        "row_list": "0:1-3",
        "images_sha256": "2" * 64,
    },
]
RECEIPT = {
    "url": "https://a/b",
    "fetched": "2026-01-01T00:00:00+00:00",
    "size": 3,
    "hash": "sha256:" + "0" * 64,
}
VERSION = {"url": "https://a/b", "validator": '"tag"', "total": 100}
RECORD = {
    "files": [
        {"key": "b", "size": 3, "checksum": "md5:" + "0" * 32},
        {"key": "c", "size": 1, "checksum": "x"},
    ]
}
ROW = {"step": 1, "total": 9, "seconds": 0.5, "loss": 1.0, "SNR / dB": 3.0, "SNR / dB is a lower bound": True}
_BEFORE = 512  # bytes of a cache file before those of HDF5
KEY = {"calibration": {"bytes": 1}, "rows": "0", "grid": ["0", [1, 1, 1]]}


def make_piece(rng: Rng, folder: Path) -> Path:
    path = folder / f"{_piece().key}.json"
    buffer = io.BytesIO()
    np.savez_compressed(buffer, a=np.arange(3.0), b=np.zeros((2, 2)))
    chance = rng.random()
    arrays = buffer.getvalue()
    if chance < 0.3:
        arrays = damage_bytes(rng, arrays)
    elif chance < 0.4:
        arrays = _zip(rng, {"a.npy": _npy(rng)})
    path.write_bytes(as_json(rng, damage_tree(rng, KEPT) if chance > 0.3 else KEPT))
    if rng.random() < 0.95:
        path.with_suffix(".npz").write_bytes(arrays)
    return path


def _piece() -> Any:
    from mpikit.experiments.experiment import Piece

    return Piece("a piece", {"piece": "a", "method": "wiener"}, lambda _: None)  # type: ignore[arg-type, return-value]


def read_piece(path: Path) -> None:
    """Read a piece as a run that goes on does, with its warnings about other devices and code."""
    from types import SimpleNamespace

    from mpikit.events import silent
    from mpikit.experiments.pieces import Pieces
    from mpikit.experiments.run import _warn_of_others

    folder = path.parent / "pieces"
    folder.mkdir()
    for each in path.parent.glob(f"{path.stem}.*"):
        each.rename(folder / each.name)
    kept = Pieces(path.parent).load(_piece())
    if kept is not None:
        _warn_of_others({"a": _piece()}, {"a": kept}, SimpleNamespace(device="cpu"), silent)  # type: ignore[arg-type]


def make_results(rng: Rng, folder: Path) -> Path:
    (folder / "results.json").write_bytes(as_json(rng, damage_tree(rng, RESULTS)))
    (folder / "figure.png").write_bytes(_png())
    return folder


@cache
def _png() -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("L", (4, 4), 3).save(buffer, "png")
    return buffer.getvalue()


def read_results(folder: Path) -> None:
    """Compare with a run before, and make pages of its results."""
    from mpikit.errors import MpikitError
    from mpikit.experiments.changes import changes, read_records
    from mpikit.experiments.results_page import write_results_page

    before = sorted(folder.parent.iterdir())
    refused = None
    try:
        for change in changes(read_records(folder), [FIGURE]):
            assert change.text
    except MpikitError as error:
        refused = error
    (folder / "pages").mkdir()
    write_results_page([folder], folder / "pages")
    assert sorted(folder.parent.iterdir()) == before, "something was written beside the folder"
    if refused:
        raise refused


def make_history(rng: Rng, folder: Path) -> Path:
    path = folder / "made.npz"
    text = as_json(rng, damage_tree(rng, HISTORY)).decode("utf-8", "replace").replace("\0", " ")
    np.savez(path, history=np.array(text))
    if rng.random() < 0.1:
        path.write_bytes(damage_bytes(rng, path.read_bytes()))
    return path


def read_history(path: Path) -> None:
    """Take a history as reports, repetitions and the choice of files take it."""
    from mpikit.file_facts import printable
    from mpikit.provenance import append_history
    from mpikit.provenance import read_history as read
    from mpikit.reconstruct.outputs import stored_history
    from mpikit.reconstruct.rerun import read_rerun
    from mpikit.reconstruct.resuming import _difference
    from mpikit.report.blocks import Part, Section
    from mpikit.report.origin import citation_section, history_sections
    from mpikit.report.page import page
    from mpikit.scan_set import made_clean, was_denoised

    text = stored_history(path)
    history = read(text)
    assert len(read(append_history(text, {"command": "a"}))) == len(history) + 1
    was_denoised(history)
    made_clean(history)
    sections = [*history_sections(history), citation_section([history])]
    page([Part("a", "b", sections)], Section("b", []))
    for record in history:
        printable(f"{record.get('at')}: mpikit {record.get('command')}")
        _difference(record, path, {"system_matrix": path, "overwrite": True}) if record.get(
            "options"
        ) else None
    read_rerun(path, places=[path.parent])


def make_receipt(rng: Rng, folder: Path) -> Path:
    path = folder / "b"
    path.write_bytes(b"abc")
    (folder / "b.json").write_bytes(as_json(rng, damage_tree(rng, RECEIPT)))
    (folder / "b.part").write_bytes(b"ab")
    (folder / "b.part.json").write_bytes(as_json(rng, damage_tree(rng, VERSION)))
    (folder / "record").write_bytes(as_json(rng, damage_tree(rng, RECORD)))
    (folder / "headers").write_text(json.dumps(_headers(rng)))
    return path


def _headers(rng: Rng) -> dict[str, str]:
    """Return what a server says of a file: with numbers that are none, or have no end."""

    def number() -> str:
        return ("2", "100", "-1", "", "9" * 19, "9" * 5000, "\u0663", "1e3")[rng.integers(8)]

    return {
        "Content-Length": number(),
        "Content-Range": (f"bytes {number()}-{number()}/{number()}", f"bytes */{number()}")[rng.integers(2)],
        "ETag": ('"tag"', "W/tag", "")[rng.integers(3)],
    }


def read_receipt(path: Path) -> None:
    """Read what is known of a download, of a part of one, and what a server says of a file."""
    from types import SimpleNamespace

    from mpikit.datasets.download import SPAN, WHOLE, _begun, _goes_on, _number, _version
    from mpikit.datasets.receipts import has_hash
    from mpikit.datasets.receipts import read_receipt as read
    from mpikit.datasets.web import known_file
    from mpikit.errors import MpikitError

    refused = None
    done, _ = _begun(path.with_name("b.part"), "https://a/b")
    assert done in {0, 2}
    answer: Any = SimpleNamespace(headers=json.loads(path.with_name("headers").read_text()))
    _goes_on(answer, done, _version(answer, "https://a/b"))
    for pattern, group in ((SPAN, 1), (SPAN, 2), (WHOLE, 1)):
        assert (_number(pattern, answer, group) or 0) < 10**18
    try:
        known_file("b", "https://a/record", "b", path.with_name("record").read_bytes())
    except MpikitError as error:
        refused = error
    receipt = read(path)
    if receipt is not None:
        has_hash(path, receipt.hash)
    if refused:
        raise refused


def make_log(rng: Rng, folder: Path) -> Path:
    path = folder / "m.log.jsonl"
    rows = [
        as_json(rng, damage_tree(rng, ROW) if rng.random() < 0.15 else {**ROW, "step": 1 + n})
        for n in range(4)
    ]
    raw = b"\n".join(rows) + (b"\n" if rng.random() < 0.7 else b"")
    path.write_bytes(damage_bytes(rng, raw) if rng.random() < 0.2 else raw)
    return path


def read_log(path: Path) -> None:
    """Draw a log as plot and report do, go on with it, and write it anew."""
    from mpikit.errors import InputError
    from mpikit.events import Step
    from mpikit.report import write_report
    from mpikit.report.plot import plot_file
    from mpikit.training_log import TrainingLog

    draw = zlib.crc32(path.read_bytes()) % 6  # to draw takes long
    try:
        if draw == 0:
            plot_file(path).content("png")
        elif draw == 1:
            write_report([path], path.with_suffix(".html"))
    except InputError as error:
        if "nothing to draw" not in str(error):
            raise
    with TrainingLog(path, path.with_suffix(".csv"), resume=True) as log:
        log.add(Step(7, 9, {"loss": 0.5}))


def make_cache(rng: Rng, folder: Path) -> Path:
    path = folder / "sm.cache.h5"
    chance = rng.random()
    raw = bytearray(_cache())
    if chance < 0.4:
        raw[_BEFORE:] = damage_bytes(rng, bytes(raw[_BEFORE:]))
    path.write_bytes(raw)
    if chance >= 0.4:
        with h5py.File(path, "r+") as hdf:
            _damage_cache(rng, hdf)
    with path.open("r+b") as file:
        file.write(_cache()[:29])
    return path


def _damage_cache(rng: Rng, hdf: h5py.File) -> None:
    name = ("values", "scale", "sums")[rng.integers(3)]
    match int(rng.integers(5)):
        case 0:
            hdf.attrs["key"] = as_json(rng, damage_tree(rng, KEY)).replace(b"\0", b" ")[:60_000]
        case 1:
            del hdf[name]
        case 2:
            value = hdf[name][()]
            del hdf[name]
            hdf[name] = [value.astype("f2"), value[:1], np.float64(3), "text", value[None]][rng.integers(5)]
        case 3:
            del hdf[name]
            hdf[name] = [h5py.SoftLink("/nowhere"), h5py.ExternalLink("a", "b")][rng.integers(2)]
        case _:
            shape, dtype = hdf[name].shape, hdf[name].dtype
            del hdf[name]
            chunks = tuple(min(3, length) for length in shape)
            hdf.create_dataset(
                name, (2**40, *shape[1:]), dtype, chunks=chunks if rng.random() < 0.5 else None
            )


@cache
def _cache() -> bytes:
    import tempfile

    values = np.arange(5 * 4 * 2, dtype=np.int16).reshape(5, 4, 2)
    scale = np.ones(5, np.float32)
    sums = [
        zlib.crc32(row.tobytes(), zlib.crc32(one.tobytes())) for row, one in zip(values, scale, strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.h5"
        with h5py.File(path, "w", userblock_size=_BEFORE) as hdf:
            hdf.attrs["key"] = json.dumps(KEY, sort_keys=True)
            hdf["values"], hdf["scale"], hdf["sums"] = values, scale, np.array(sums, np.uint32)
        return b"mpikit system matrix cache 1\n" + path.read_bytes()[29:]


def read_cache(path: Path) -> None:
    from mpikit.reconstruct.cache import _look

    found, _ = _look(path, KEY)
    if found is None:
        return
    try:
        if found.shape[0] < 10**6:
            for part in range(len(found)):
                found.load(part)
    finally:
        found.close()


KINDS = (
    Kind("piece", make_piece, read_piece),
    Kind("results", make_results, read_results),
    Kind("history", make_history, read_history),
    Kind("receipt", make_receipt, read_receipt),
    Kind("log", make_log, read_log),
    Kind("cache", make_cache, read_cache, of_hdf5=True),
)
