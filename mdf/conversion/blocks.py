"""Carry a signal from file to file, a block at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdf import spec
from mdf.conversion.plan import Plan
from mdf.conversion.rows import MEMORY, Rows, components_of, domain_of
from mdf.file import File
from mdf.layout import split
from mdf.sparsity import transform
from mdf.write import Writer

Array = np.ndarray[Any, Any]
Ints = NDArray[np.int64]
Progress = Callable[[int, int], None]


def carry(file: File, plan: Plan, out: Writer, progress: Progress) -> None:
    """Write the whole signal of a plan, in blocks of bounded memory.

    Rows are carried along the axis that is contiguous on both sides where there is one: values of all frames
    if the frame axis is last, else frames.
    """
    is_by_rows = plan.sparsity is not None or (
        plan.frames_last and bool(file.value(spec.FAST_FRAME_AXIS)) and plan.domain == domain_of(file)
    )
    blocks = _rows(file, plan, out) if is_by_rows and plan.average == 1 else _frames(file, plan, out)
    for done, total in blocks:
        progress(done, total)


def _rows(file: File, plan: Plan, out: Writer) -> Iterator[tuple[int, int]]:
    rows = Rows(file, plan.domain, plan.channels)
    count = plan.shape[3]
    wanted = np.searchsorted(plan.stored, plan.lines) if plan.domain == domain_of(file) else plan.lines
    wanted = np.arange(count) if plan.domain == "time" else wanted
    row_bytes = 16 * file.num_frames * file.num_periods * len(plan.channels)
    for part in split(count, MEMORY // (4 * row_bytes if plan.sparsity else row_bytes)):
        block = rows.read(wanted[part])[plan.frames]
        if plan.sparsity is None:
            out.append_values(block)
        else:
            out.append_values(*_compressed(block, plan))
        yield part.stop, count


def _compressed(block: Array, plan: Plan) -> tuple[Array, Array]:
    """Return (B + E, J, C, n): coefficients, background frames; and places (J, C, n, B)."""
    assert plan.sparsity is not None  # noqa: S101
    name, kept = plan.sparsity
    is_background = np.asarray(plan.contents[spec.BACKGROUND], bool)
    size, order = plan.contents["/calibration/size"], plan.contents.get("/calibration/order") or "xyz"
    slow_to_fast = [int(size["xyz".index(letter)]) for letter in reversed(str(order).lower())]
    positions = np.moveaxis(block[~is_background], 0, -1)
    coefficients = transform(positions, name, slow_to_fast)
    places = np.argsort(-np.abs(coefficients), axis=-1, kind="stable")[..., :kept]
    largest = np.take_along_axis(coefficients, places, axis=-1).astype(block.dtype)
    return np.concatenate([np.moveaxis(largest, -1, 0), block[is_background]]), (places + 1).astype(np.int32)


def _frames(file: File, plan: Plan, out: Writer) -> Iterator[tuple[int, int]]:
    _, periods, channels, values = plan.shape
    frame_bytes = 16 * periods * channels * max(values, file.num_samples)
    together = max(1, MEMORY // frame_bytes)
    if plan.average <= together:
        together -= together % plan.average
        for part in split(len(plan.frames), together):
            frames = _read(file, plan, plan.frames[part])
            out.append(frames if plan.average == 1 else _mean(frames, plan.average))
            yield part.stop, len(plan.frames)
        return
    for block in split(len(plan.frames), plan.average):  # one average is more than a block
        pieces = [plan.frames[block][part] for part in split(plan.average, together)]
        total: Array | None = None
        for piece in pieces:
            frames = _read(file, plan, piece)
            summed = frames.sum(axis=0, keepdims=True, dtype=_double(frames))
            total = summed if total is None else total + summed
        assert total is not None  # noqa: S101
        out.append((total / plan.average).astype(frames.dtype))
        yield block.stop, len(plan.frames)


def _read(file: File, plan: Plan, places: Ints) -> Array:
    """Return stored frames as the target has them, shape (n, J, C', V or K)."""
    domain: Any = plan.domain
    is_stored = domain == domain_of(file)
    components = None
    if domain == "frequency":
        wanted = components_of(file)[np.searchsorted(plan.stored, plan.lines)] if is_stored else plan.lines
        is_all = np.array_equal(wanted, np.arange(len(plan.stored)))
        components = None if is_all else wanted
    return file.read_signal(places, "stored", domain, channels=plan.channels, components=components)


def _mean(frames: Array, together: int) -> Array:
    blocks = frames.reshape(-1, together, *frames.shape[1:])
    mean: Array = blocks.mean(axis=1, dtype=_double(frames)).astype(frames.dtype)
    return mean


def _double(frames: Array) -> Any:
    return np.complex128 if frames.dtype.kind == "c" else np.float64
