"""The measured data, their axes and flags: rules M."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mdf import spec
from mdf.rules.content import NUMBERS, Array, Content, Shape
from mdf.rules.problem import Problems, error, note, warning

_CORRECTED = "/measurement/isBackgroundCorrected"
_SIZE = "/calibration/size"
_ODD = ("uint8", "uint16", "uint32", "uint64", "float16")
_COUNTS_FROM_ONE = "MDF counts from 1: add 1"


@dataclass(frozen=True)
class Sizes:
    """Sizes of the data's axes, as the array has them, and of the frames.

    Parameters
    ----------
    shape : tuple of int
        (N, J, C, W or K); for compressed frames N is B + E.
    is_fourier, is_selected, is_sparse : bool
        Flags.
    samples : int or None
        V.
    """

    shape: tuple[int, int, int, int]
    is_fourier: bool
    is_selected: bool
    is_sparse: bool
    samples: int | None


def _expected(file: Content) -> tuple[int | None, int | None, int | None, int | None]:
    """(N, J, C, W or K) by the other datasets."""
    samples = file.count(spec.SAMPLES)
    last = samples if samples is None or not file.flag(spec.FOURIER) else samples // 2 + 1
    if file.flag(spec.FOURIER) and file.flag(spec.SELECTED):
        shape = file.shape(spec.SELECTION) if file.has(spec.SELECTION) else None
        last = None if shape is None else math.prod(shape)
    return file.count(spec.FRAMES), file.count(spec.PERIODS), file.count(spec.CHANNELS), last


def _full_shape(file: Content) -> tuple[tuple[int, int, int, int] | None, bool]:
    """Return (N, J, C, W or K) of the array, None if that leaves a doubt, and whether it has four axes."""
    shape = (file.shape(spec.DATA) or ()) if file.has(spec.DATA) else ()
    frames_last = file.flag(spec.FAST_FRAME_AXIS)
    if len(shape) == 4:
        order = shape[-1:] + shape[:-1] if frames_last else shape
        return (order[0], order[1], order[2], order[3]), True
    expected = _expected(file)
    stored = expected[1:] + expected[:1] if frames_last else expected
    for dropped in _squeezes(frames_last=frames_last):
        kept = tuple(size for axis, size in enumerate(stored) if axis not in dropped)
        if kept == shape and all(stored[axis] == 1 for axis in dropped):
            return expected, False  # type: ignore[return-value]
    return None, False


def _squeezes(*, frames_last: bool) -> tuple[Shape, ...]:
    """Return stored axes that may be missing when they are 1: frames, periods, or both."""
    return ((3,), (0,), (0, 3)) if frames_last else ((0,), (1,), (0, 1))


def sizes(file: Content) -> Sizes | None:
    """Return what the axes of the data are; None without data, or if their shape leaves a doubt."""
    shape, _ = _full_shape(file)
    if shape is None or not file.has(spec.DATA):
        return None
    return Sizes(
        shape,
        is_fourier=file.flag(spec.FOURIER),
        is_selected=file.flag(spec.SELECTED),
        is_sparse=file.flag(spec.SPARSE),
        samples=file.count(spec.SAMPLES),
    )


def axes(file: Content) -> Problems:
    """M01."""
    if not file.has(spec.DATA):
        return
    found, is_full = _full_shape(file)
    stored = file.shape(spec.DATA) or ()
    names = "J, C, W or K, N" if file.flag(spec.FAST_FRAME_AXIS) else "N, J, C, W or K"
    if found is None:
        yield error("M01", spec.DATA, "the axes", stored, f"({names})")
        return
    if not is_full:
        yield warning("M01", spec.DATA, "axes of length 1 are missing", stored, f"({names})")
    if 0 in found:
        yield error("M01", spec.DATA, "an axis without values", stored)
    for axis, letter, path in ((1, "J", spec.PERIODS), (2, "C", spec.CHANNELS)):
        expected = file.count(path)
        if expected not in {None, found[axis]}:
            yield error("M01", spec.DATA, f"{letter} does not agree with {path}", found[axis], expected)


def data_type(file: Content) -> Problems:
    """M02, M03 and M14."""
    if not file.has(spec.DATA):
        return
    stored = file.type(spec.DATA)
    base = stored.removeprefix("complex of ")
    if base in _ODD:
        yield warning("M03", spec.DATA, "a type that the standard does not have", stored)
    elif stored not in NUMBERS:
        expected = "a number, or a compound of r and i"
        yield error("M03", spec.DATA, "not a number of the standard", stored, expected)
        return
    is_complex, is_fourier = stored != base, file.flag(spec.FOURIER)
    if is_fourier and not is_complex:
        yield error("M02", spec.DATA, "spectra", stored, "complex numbers")
    if is_complex and not is_fourier:
        yield warning("M02", spec.DATA, "time data", stored, "real numbers")
    if "int" in base and not file.has(spec.CONVERSION):
        yield warning("M14", spec.DATA, f"integers, but there is no {spec.CONVERSION}", stored)


def frames(file: Content) -> Problems:
    """M04, M05, M11 and M12."""
    found = sizes(file)
    mask, announced = file.reals(spec.BACKGROUND), file.count(spec.FRAMES)
    positions = _positions(file)
    background = None if mask is None else int(np.sum(mask != 0))
    stored = None if found is None else found.shape[0]
    total = stored
    if found is not None and found.is_sparse:
        total = None if positions is None or background is None else positions + background
    if mask is not None:
        yield from _mask(mask, total, stored if found is not None and found.is_sparse else None)
    if announced is not None and total not in {None, announced}:
        yield warning("M05", spec.FRAMES, f"the frames of {spec.DATA} are others", announced, total)
    if mask is None or not mask.size:
        return
    is_calibration = file.has_group("/calibration") and file.has("/calibration/method")
    if background == mask.size:
        yield note("M12", spec.BACKGROUND, "all frames are background")
    elif background == 0 and is_calibration:
        yield note("M12", spec.BACKGROUND, "a calibration without background frames")
        if not file.flag(_CORRECTED):
            text = "not corrected, and without background frames: this file cannot correct itself"
            yield note("M11", _CORRECTED, text)


def _mask(mask: Array, total: int | None, compressed: int | None) -> Problems:
    if mask.ndim != 1 or (total is not None and len(mask) != total):
        is_known = mask.ndim == 1 and compressed == len(mask)
        say = warning if is_known else error
        yield say("M04", spec.BACKGROUND, "the shape", mask.shape, f"({'N' if total is None else total},)")
    if not np.all((mask == 0) | (mask == 1)):
        yield error("M04", spec.BACKGROUND, "values other than 0 and 1")


def _positions(file: Content) -> int | None:
    """O of a compressed calibration."""
    size = file.integers(_SIZE)
    return None if size is None else math.prod(size.reshape(-1).tolist()[:3])


def permutation(file: Content) -> Problems:
    """M06."""
    path = spec.PERMUTATION
    if not file.flag(spec.PERMUTED):
        if file.has(path):
            yield warning("M06", path, f"stored, although {spec.PERMUTED} is 0")
        return
    if not file.has(path):
        yield warning("M06", path, "missing: the order of acquisition is unknown")
        return
    found, order = sizes(file), file.value(path)
    if order is None or order.dtype.kind not in "iuf":
        return
    count = order.size if found is None or found.is_sparse else found.shape[0]
    if order.shape != (count,):
        yield error("M06", path, "the shape", order.shape, f"({count},)")
    elif np.array_equal(np.sort(order), np.arange(count)):
        yield error("M06", path, "the frames are counted from 0", "", _COUNTS_FROM_ONE)
    elif not np.array_equal(np.sort(order), np.arange(1, count + 1)):
        yield error("M06", path, "not a permutation", order, f"each of 1 to {count} once")


def selection(file: Content) -> Problems:
    """M07 and M08."""
    path, found = spec.SELECTION, sizes(file)
    if not file.flag(spec.SELECTED):
        return
    if not file.flag(spec.FOURIER):
        yield warning("M08", spec.SELECTED, "a selection of frequencies, but time data are stored")
        return
    if not file.has(path):
        yield error("M07", path, f"missing, although {spec.SELECTED} is 1")
        return
    lines = file.value(path)
    if lines is None or lines.dtype.kind not in "iuf":
        return
    if lines.ndim != 1 or (found is not None and len(lines) != found.shape[3]):
        expected = f"({'K' if found is None else found.shape[3]},) as the data"
        yield error("M07", path, "the shape", lines.shape, expected)
    yield from _lines(lines.reshape(-1), file.count(spec.SAMPLES))


def _lines(lines: Array, samples: int | None) -> Problems:
    path = spec.SELECTION
    most = math.inf if samples is None else samples // 2 + 1
    if np.any(lines == 0):
        yield error("M07", path, "the components are counted from 0", "", _COUNTS_FROM_ONE)
    elif not np.all((lines >= 1) & (lines <= most)):
        yield error("M07", path, "beyond the components that there are", lines, f"1 to {most}")
    if len(np.unique(lines)) != len(lines):
        yield error("M07", path, "a component that is listed twice", lines)
    elif not np.all(lines[1:] > lines[:-1]):
        yield warning("M07", path, "not in increasing order", lines)


def values_per_period(file: Content) -> Problems:
    """M09."""
    found = sizes(file)
    if found is None or found.samples is None or found.samples < 1:
        return
    stored, lines = found.shape[3], found.samples // 2 + 1
    if found.is_fourier and not found.is_selected and stored != lines:
        yield error("M09", spec.DATA, "the number of components, K", stored, f"{lines} for {spec.SAMPLES}")
    if not found.is_fourier and stored != found.samples:
        yield warning(
            "M09", spec.DATA, "the samples of a period, W", stored, f"{found.samples}, {spec.SAMPLES}"
        )


def sparsity(file: Content) -> Problems:
    """M10: flags, order of the frames and transformation."""
    if not file.flag(spec.SPARSE):
        return
    for path in (spec.FOURIER, spec.FAST_FRAME_AXIS):
        if not file.flag(path):
            yield error("M10", path, f"0, although {spec.SPARSE} is 1", 0, 1)
    mask = file.reals(spec.BACKGROUND)
    if mask is not None and mask.ndim == 1 and np.any(np.diff(mask != 0) & (mask[1:] == 0)):
        yield error(
            "M10", spec.BACKGROUND, "compressed foreground frames stand first, background frames last"
        )
    if not file.has(_SIZE):
        yield error("M10", _SIZE, "missing, the transformation needs it")
    name = file.text(spec.TRANSFORMATION)
    if name not in spec.TRANSFORMATIONS:
        found = "" if name is None else repr(name)
        yield error(
            "M10", spec.TRANSFORMATION, "not a known transformation", found, ", ".join(spec.TRANSFORMATIONS)
        )
    if not file.has(spec.INDICES):
        yield error("M10", spec.INDICES, f"missing, although {spec.SPARSE} is 1")


def subsampling(file: Content) -> Problems:
    """M10: the kept coefficients."""
    found = sizes(file)
    if not file.flag(spec.SPARSE) or not file.has(spec.INDICES):
        return
    shape, positions, mask = file.shape(spec.INDICES) or (), _positions(file), file.reals(spec.BACKGROUND)
    if len(shape) != 4 or (found is not None and shape[:3] != found.shape[1:]):
        expected = "(J, C, K, B)" if found is None else f"({', '.join(map(str, found.shape[1:]))}, B)"
        yield error("M10", spec.INDICES, "the shape", shape, expected)
        return
    if positions is not None and shape[3] > positions:
        yield error("M10", spec.INDICES, "more coefficients than positions", shape[3], f"{positions} at most")
    if found is not None and mask is not None and found.shape[0] != shape[3] + int(np.sum(mask != 0)):
        total = f"{shape[3]} coefficients and {int(np.sum(mask != 0))} background frames"
        yield error("M10", spec.DATA, "the last axis", found.shape[0], total)
    yield from _kept(file, positions, shape[3])


def _kept(file: Content, positions: int | None, kept: int) -> Problems:
    index = file.sample(spec.INDICES)
    if index is None or not index.size:
        return
    most = math.inf if positions is None else positions
    if not np.all((index >= 1) & (index <= most)):
        hint = f"1 to {most}; {_COUNTS_FROM_ONE}" if np.any(index == 0) else f"1 to {most}"
        yield error("M10", spec.INDICES, "an index beyond the positions", "", hint)
    if index.shape[-1] == kept and np.any(np.diff(np.sort(index, axis=-1), axis=-1) == 0):
        yield error("M10", spec.INDICES, "a coefficient that is listed twice")


def finite(file: Content) -> Problems:
    """M13."""
    values = file.sample(spec.DATA)
    if values is not None and not np.all(np.isfinite(values)):
        yield warning("M13", spec.DATA, "values that are no finite numbers")


RULES = (
    axes, data_type, frames, permutation, selection, values_per_period, sparsity, subsampling, finite,
)  # fmt: skip
