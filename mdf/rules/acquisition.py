"""Tracer, scanner, static field and receiver: rules T, A and R."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from mdf import spec
from mdf.rules.content import Array, Content, Shape
from mdf.rules.problem import Problem, Problems, error, note, warning

_GRADIENT = "/acquisition/gradient"
_OFFSET = "/acquisition/offsetField"
_STRENGTH = "/acquisition/drivefield/strength"
_INDUCTION = "/acquisition/receiver/inductionFactor"
_CORRECTED = "/measurement/isTransferFunctionCorrected"


def tracer(file: Content) -> Problems:
    """T01 and T02."""
    paths = [path for path, field in spec.FIELDS.items() if field.group == "/tracer" and file.has(path)]
    shapes = {path: file.shape(path) or () for path in paths}
    for path, shape in shapes.items():
        if shape == ():
            yield warning("T01", path, "a single value", shape, "one value for each tracer, (A,)")
        elif len(shape) > 1 or shape == (0,):
            yield error("T01", path, "the shape", shape, "(A,) with A of 1 or more")
    lengths = {path: math.prod(shape) for path, shape in shapes.items()}
    for (first, count), (second, other) in pairwise(lengths.items()):
        if count != other:
            yield error("T01", second, f"the number of tracers; {first} has {count}", other, count)
    for path in ("/tracer/concentration", "/tracer/volume"):
        most, unit = spec.LIMITS[path], spec.FIELDS[path].unit
        value = file.reals(path)
        if value is None:
            continue
        if not np.all(value >= 0):
            yield warning("T02", path, "below 0 or no number", value)
        elif np.any(value > most):
            yield warning("T02", path, "the unit may be wrong", value, f"{most} {unit} at most")


def bore(file: Content) -> Problems:
    """T03."""
    path = "/scanner/boreSize"
    size, most = file.number(path), spec.LIMITS[path]
    if size is not None and not 0 < size < most:
        yield warning("T03", path, "the diameter of the bore", size, f"above 0, below {most} m")


def counts(file: Content) -> Problems:
    """A01."""
    for path in (spec.FRAMES, spec.PERIODS, "/acquisition/numAverages"):
        count = file.number(path)
        if count is not None and not count >= 1:
            yield error("A01", path, "a number of things", count, "1 or more")


def fits_periods(found: int, periods: int | None, value: Array | None) -> str:
    """Say whether a first axis goes with J: "yes", "repairable" or "no" (section 8 of real files)."""
    if periods is None or found == periods:
        return "yes"
    if found == 1 and periods > 0:
        return "repairable"
    if periods < 1 or found == 0 or found % periods or value is None:
        return "no"
    blocks = value.reshape(periods, found // periods, -1)
    return "repairable" if np.all(blocks == blocks[:, :1]) else "no"


def static_field(file: Content) -> Problems:
    """A02."""
    parts = {}
    for path, end, short in ((_GRADIENT, (3, 3), ((3,), (3, 3))), (_OFFSET, (3,), ((3,),))):
        shape = file.shape(path) if file.has(path) else None
        if shape is None:
            continue
        periods = file.count(spec.PERIODS)
        expected = ("J" if periods is None else periods, "Y", *end)
        is_full = len(shape) == 2 + len(end) and shape[2:] == end and shape[1] > 0
        is_short = shape in short or (len(shape) == 1 + len(end) and shape[1:] == end)
        first = shape[0] if is_full or shape[1:] == end else 1
        fit = fits_periods(first, periods, file.reals(path)) if is_full or is_short else "no"
        if fit == "no":
            yield error("A02", path, "the shape", shape, expected)
        elif is_short or fit == "repairable":
            yield warning("A02", path, "the shape", shape, expected)
        if is_full:
            parts[path] = shape[1]
    if len(parts) == 2 and parts[_GRADIENT] != parts[_OFFSET]:
        yield error("A02", _OFFSET, "parts of a period, Y", parts[_OFFSET], f"{parts[_GRADIENT]} as gradient")


def field_values(file: Content) -> Problems:
    """A03 and A04."""
    gradient = file.reals(_GRADIENT)
    if gradient is not None and gradient.shape[-2:] == (3, 3) and gradient.size:
        matrices = gradient.reshape(-1, 3, 3)
        most = 0.05 * np.abs(matrices).max(axis=(1, 2))
        uneven = np.abs(matrices - matrices.transpose(0, 2, 1)).max(axis=(1, 2))
        trace = np.abs(np.trace(matrices, axis1=1, axis2=2))
        if not np.all(uneven <= most):
            yield warning("A03", _GRADIENT, "not symmetric: such a field has a curl")
        if not np.all(trace <= most):
            yield warning("A03", _GRADIENT, "not traceless: such a field has a divergence")
    for path in (_GRADIENT, _OFFSET, _STRENGTH):
        most_allowed, unit = spec.LIMITS[path], spec.FIELDS[path].unit
        value = file.reals(path)
        if value is not None and not np.all(np.abs(value) < most_allowed):
            strongest = np.abs(value).max()
            yield warning("A04", path, "the unit may be wrong", strongest, f"less than {most_allowed} {unit}")


def receiver(file: Content) -> Problems:
    """R01."""
    for path in (spec.CHANNELS, spec.SAMPLES, spec.BANDWIDTH):
        number = file.number(path)
        is_count = path != spec.BANDWIDTH
        if number is not None and not (number >= 1 if is_count else 0 < number < math.inf):
            expected = "1 or more" if is_count else "a number above 0"
            yield error("R01", path, "a property of the receiver", number, expected)


def conversion(file: Content) -> Problems:
    """R02."""
    if not file.has(spec.CONVERSION):
        return
    channels, shape = file.count(spec.CHANNELS), file.shape(spec.CONVERSION) or ()
    if not fits(shape, (channels, 2)):
        yield error("R02", spec.CONVERSION, "the shape", shape, shape_words("C", channels, 2))
    factor = file.reals(spec.CONVERSION)
    if factor is None or factor.ndim != 2 or factor.shape[1] != 2:
        return
    if not np.all(np.isfinite(factor)):
        yield error("R02", spec.CONVERSION, "a factor that is no finite number")
    if np.any(factor[:, 0] == 0):
        yield error("R02", spec.CONVERSION, "a factor a of 0: the signal would be lost")


def fits(shape: Shape, expected: tuple[int | None, ...]) -> bool:
    """Say whether a shape is the expected one; None fits every length."""
    return len(shape) == len(expected) and all(
        want is None or have == want for have, want in zip(shape, expected, strict=True)
    )


def shape_words(letter: str, count: int | None, *rest: object) -> str:
    """Return a shape in words, with the letter where the size is not known."""
    return f"({', '.join(map(str, (letter if count is None else count, *rest)))})"


def components(file: Content) -> int | None:
    """Return K: components of the stored spectra, or all that the samples have; None if unknown."""
    samples = file.count(spec.SAMPLES)
    if file.flag(spec.FOURIER) and file.flag(spec.SELECTED):
        shape = file.shape(spec.SELECTION) if file.has(spec.SELECTION) else None
        return None if shape is None else math.prod(shape)
    return None if samples is None else samples // 2 + 1


def transfer_function(file: Content) -> Problems:
    """R03 and R04."""
    path = spec.TRANSFER_FUNCTION
    if not file.has(path):
        return
    channels, stored, shape = file.count(spec.CHANNELS), components(file), file.shape(path) or ()
    if not fits(shape, (channels, stored)):
        expected = shape_words("C", channels, "K" if stored is None else stored)
        is_readable = len(shape) == 2 and channels in {None, shape[0]} and shape[1] in _other_lengths(file)
        say = warning if is_readable else error
        yield say("R03", path, "the shape", shape, expected)
    values = file.value(path)
    if values is None or values.ndim != 2 or values.dtype.kind not in "iufc":
        return
    if not np.all(np.isfinite(values)):
        yield warning("R04", path, "values that are no finite numbers")
    zeros = np.any(values == 0, axis=0)
    if np.any(zeros & ~_is_dc(file, zeros.size)):
        yield note("R04", path, "it is 0 beside the constant component: nothing is measured there")


def _other_lengths(file: Content) -> set[int]:
    """Lengths of a transfer function that can be read: of all components, and of the ungrouped period."""
    samples, periods = file.count(spec.SAMPLES), file.count(spec.PERIODS)
    if samples is None or samples < 1:
        return set()
    lengths = {samples // 2 + 1} if file.flag(spec.SELECTED) else set()
    for path in (_STRENGTH, _GRADIENT):
        shape = file.shape(path) if file.has(path) else None
        if shape and periods and periods > 0 and shape[0] > periods and shape[0] % periods == 0:
            lengths.add(samples // (shape[0] // periods) // 2 + 1)
    return lengths


def _is_dc(file: Content, length: int) -> Array:
    selection = file.integers(spec.SELECTION) if file.flag(spec.SELECTED) else None
    if selection is not None and selection.shape == (length,):
        return np.asarray(selection == 1)
    return np.asarray(np.arange(length) == 0)


def induction(file: Content) -> Problems:
    """R05 and R06."""
    has_function = file.has(spec.TRANSFER_FUNCTION)
    if file.flag(_CORRECTED) and not has_function:
        yield warning("R06", _CORRECTED, f"corrected, but there is no {spec.TRANSFER_FUNCTION}")
    if not file.has(_INDUCTION):
        return
    if not has_function:
        yield warning("R06", _INDUCTION, f"there is no {spec.TRANSFER_FUNCTION}")
    yield from _induction_values(file)


def _induction_values(file: Content) -> Problems:
    channels, shape = file.count(spec.CHANNELS), file.shape(_INDUCTION) or ()
    if not fits(shape, (channels,)):
        yield error("R05", _INDUCTION, "the shape", shape, f"({'C' if channels is None else channels},)")
    factor = file.reals(_INDUCTION)
    if factor is not None and not np.all((factor != 0) & np.isfinite(factor)):
        yield _zero(factor)


def _zero(factor: Array) -> Problem:
    return error("R05", _INDUCTION, "a factor of 0 or no finite number", factor, "numbers other than 0")


RULES = (
    tracer, bore, counts, static_field, field_values, receiver, conversion, transfer_function, induction,
)  # fmt: skip
