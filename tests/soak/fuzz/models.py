"""Model files and checkpoints: safetensors with JSON in their headers."""

from __future__ import annotations

import json
import struct
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from fuzz.damage import ODD_TEXTS, as_json, damage_bytes, damage_tree
from fuzz.kinds import Kind, Rng

DTYPES = ("F32", "F64", "F16", "BF16", "I8", "I64", "U8", "BOOL", "F8_E4M3", "C64", "X", "", None, 3)
METHODS = ("low-rank", "wiener", "unet-gd", "average", "harmonic")
ABOUT = {"method": "unet-gd", "options": {"steps": 3, "lr": 0.1}, "seed": 0, "inputs": {"a.mdf": "0" * 64}}


@cache
def scan() -> Any:
    """Return a scan in which each of four signals repeats in three frames."""
    from mpikit.scan import Corrections, Scan
    from mpikit.scanner import DriveField

    rng = np.random.default_rng(0)
    lines = np.zeros((1, 4, 2, 25), complex)
    lines[..., [2, 3, 5]] = rng.normal(size=(1, 4, 2, 3)) * 200
    return Scan(
        signal=np.fft.irfft(lines, n=48) + rng.normal(size=(3, 4, 2, 48)),
        background=np.zeros((0, 4, 2, 48), np.float32),
        foreground_index=np.arange(3),
        background_index=np.arange(0),
        sampling_rate=2.5e6,
        unit="V",
        drive_field=DriveField(
            base_frequency=2.5e6,
            dividers=np.array([[48]]),
            amplitudes=np.full((4, 1, 1), 0.01),
            phases=np.zeros((4, 1, 1)),
            waveforms=np.array([["sine"]]),
        ),
        selection_field=None,
        stored_lines=np.ones(25, bool),
        corrections=Corrections(background=False, transfer_function=False, leakage=False),
        repeats="frames",
        name="a.mdf",
    )


@cache
def fitted() -> tuple[bytes, ...]:
    """Return model files of several methods, each fitted to the scan."""
    import tempfile

    from mpikit.models import fitted_card, save_model
    from mpikit.plugins import registry
    from mpikit.records import Run

    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name in METHODS:
            offer = registry().denoiser(name)
            tiny = {"steps": 2, "features": 4, "batch": 2, "evaluate_every": 1} if name == "unet-gd" else {}
            options = offer.record.options(**tiny)
            method = offer.record.build(options)
            method.fit([scan()], run=Run(rng=np.random.default_rng(0)))
            path = Path(folder) / name
            save_model(
                path, fitted_card(offer, options, {"inputs": {"a.mdf": "0"}}, [scan()]), method.state()
            )
            found.append(path.read_bytes())
    return tuple(found)


def _split(raw: bytes) -> tuple[dict[str, Any], bytes]:
    (size,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + size]), raw[8 + size :]


def _join(rng: Rng, header: Any, body: bytes) -> bytes:
    text = as_json(rng, header)
    size = len(text)
    chance = rng.random()
    if chance < 0.05:
        size = int(rng.choice([0, 1, size - 1, size + 1, 2**31, 2**62, 100_000_000]))
    elif chance < 0.07:
        text += b" " * 5_000_000
        size = len(text)
    return struct.pack("<Q", size) + text + body


def _damage(rng: Rng, raw: bytes, inner: str) -> bytes:
    """Damage a safetensors file: its bytes, its table, its tensors, or the JSON text in its header."""
    header, body = _split(raw)
    names = [name for name in header if name != "__metadata__"]
    name = names[rng.integers(len(names))] if names else ""
    match int(rng.integers(9)):
        case 0:
            return damage_bytes(rng, raw)
        case 1:
            return _join(rng, damage_tree(rng, header), body)
        case 2 | 3 | 4 if inner in header["__metadata__"]:
            tree = damage_tree(rng, json.loads(header["__metadata__"][inner]))
            header["__metadata__"][inner] = as_json(rng, tree).decode("latin-1")
        case 5:
            header["__metadata__"] = damage_tree(rng, header["__metadata__"])
        case 6 if name:
            header[name]["dtype"] = DTYPES[rng.integers(len(DTYPES))]
        case 7 if name:
            return _replaced(rng, header, body, name, names)
        case _ if name:
            array = np.frombuffer(body, np.uint8).copy()
            low, high = header[name]["data_offsets"]
            count = max(1, (high - low) // 4)
            odd = np.full(count, [np.nan, np.inf, -np.inf, 0, 1e38, -1][rng.integers(6)], np.float32)
            array[low:high] = np.resize(odd.view(np.uint8), high - low)
            body = array.tobytes()
    return _join(rng, header, body)


def _replaced(rng: Rng, header: dict[str, Any], body: bytes, name: str, names: list[str]) -> bytes:
    """Give a tensor another shape, type or name."""
    from safetensors.numpy import load, save

    whole = load(_join_plain(header, body))
    shapes = [(), (0,), (1,), (3,), (1, 2, 3), (2, 48), (4, 2, 25), (1,) * 12]
    types = ["float32", "float64", "int64", "bool", "uint8", "float16", "int8"]
    match int(rng.integers(4)):
        case 0:
            whole[name] = np.ones(shapes[rng.integers(len(shapes))], types[rng.integers(len(types))])
        case 1:
            whole[name] = np.ascontiguousarray(whole[name].T).astype(types[rng.integers(len(types))])
        case 2:
            whole[ODD_TEXTS[rng.integers(10)].encode("utf-8", "replace").decode()] = whole.pop(name)
        case _:
            whole[name] = np.array(whole[names[rng.integers(len(names))]])
    return save(whole, metadata=header["__metadata__"])


def _join_plain(header: dict[str, Any], body: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def make_model(rng: Rng, folder: Path) -> Path:
    path = folder / "m.safetensors"
    models = fitted()
    path.write_bytes(_damage(rng, models[rng.integers(len(models))], "card"))
    return path


def read_model(path: Path) -> None:
    """Load a model as `mpikit denoise --model` does, and apply it."""
    from mpikit.denoise import denoise_scan
    from mpikit.denoise_job import Request, choose_method
    from mpikit.models import check_model_fits, has_seen
    from mpikit.records import Run

    chosen = choose_method(Request(model=path))
    wanted, card = chosen.wanted, chosen.card
    assert wanted is not None
    assert card is not None
    check_model_fits(card, path, scan())
    has_seen(card, Path(__file__), scan(), learned=wanted.offer.record.learned)
    if any(value.size > 10**6 for value in (wanted.state or {}).values()):
        return
    run = Run(rng=np.random.default_rng(0))
    denoise_scan(
        scan(), wanted.offer, wanted.options, run=run, state=wanted.state, model=path.name, no_score="-"
    )


@cache
def checkpoint() -> bytes:
    """Return a checkpoint of an interrupted training."""
    import tempfile

    from mpikit.checkpoints import FileCheckpoint
    from mpikit.plugins import registry
    from mpikit.records import Run

    with tempfile.TemporaryDirectory() as folder:
        kept = FileCheckpoint(Path(folder) / "c", ABOUT, resume=False, made_with={"torch": "1"})
        _train(registry(), Run(rng=np.random.default_rng(0), checkpoint=kept))
        return kept.path.read_bytes()


def _train(known: Any, run: Any) -> None:
    record = known.denoiser("unet-gd").record
    record.build(record.options(steps=2, features=4, batch=2, evaluate_every=1)).fit([scan()], run=run)


def make_checkpoint(rng: Rng, folder: Path) -> Path:
    path = folder / "c.checkpoint"
    path.write_bytes(_damage(rng, checkpoint(), ("about", "made_with")[rng.integers(2)]))
    return path


def read_checkpoint(path: Path) -> None:
    """Go on with a checkpoint."""
    from mpikit.checkpoints import FileCheckpoint
    from mpikit.plugins import registry
    from mpikit.records import Run

    kept = FileCheckpoint(path, ABOUT, resume=True, made_with={"torch": "2"})
    state = kept.load() or {}
    if any(value.size > 10**6 for value in state.values()):
        return
    _train(registry(), Run(rng=np.random.default_rng(0), checkpoint=kept))


KINDS = (
    Kind("model", make_model, read_model),
    Kind("checkpoint", make_checkpoint, read_checkpoint),
)
