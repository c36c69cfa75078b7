"""Drive field: rules D."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mdf import spec
from mdf.rules.acquisition import fits_periods
from mdf.rules.content import Array, Content, Shape
from mdf.rules.problem import Problems, error, note, warning

_GROUP = "/acquisition/drivefield"
_BASE = f"{_GROUP}/baseFrequency"
_DIVIDER = f"{_GROUP}/divider"
_STRENGTH = f"{_GROUP}/strength"
_PHASE = f"{_GROUP}/phase"
_WAVEFORM = f"{_GROUP}/waveform"
_CYCLE = f"{_GROUP}/cycle"

_TOLERANCE = 1e-6
_LARGEST_MULTIPLE = 10**18


def _channels(file: Content) -> int | None:
    """D, by the number of channels or else by the strength."""
    count = file.count(spec.DRIVE_CHANNELS)
    shape = file.shape(_STRENGTH) if file.has(_STRENGTH) else None
    return count if count is not None or shape is None or len(shape) != 3 else shape[1]


def _frequencies(file: Content) -> int | None:
    """F, by the strength or else by the divider."""
    for path, rank in ((_STRENGTH, 3), (_PHASE, 3), (_DIVIDER, 2)):
        shape = file.shape(path) if file.has(path) else None
        if shape is not None and len(shape) == rank:
            return shape[-1]
    return None


def amplitudes(file: Content) -> Problems:
    """D01 and D02 of strength and phase."""
    channels, frequencies, periods = _channels(file), _frequencies(file), file.count(spec.PERIODS)
    count = file.count(spec.DRIVE_CHANNELS)
    if count is not None and count < 1:
        yield error("D01", spec.DRIVE_CHANNELS, "the number of drive channels", count, "1 or more")
    for path in (_STRENGTH, _PHASE):
        shape = file.shape(path) if file.has(path) else None
        if shape is None:
            continue
        expected = _shape_words(J=periods, D=channels, F=frequencies)
        if len(shape) != 3:
            fitting = {(channels,), (periods, channels), (channels, frequencies)}
            say = warning if shape in fitting else error
            yield say("D02", path, "the shape", shape, expected)
            continue
        if channels not in {None, shape[1]}:
            yield error("D01", path, "the number of drive channels, D", shape[1], channels)
        if frequencies not in {None, shape[2]}:
            yield error("D02", path, "the number of frequencies, F", shape[2], frequencies)
        fit = fits_periods(shape[0], periods, file.reals(path))
        if fit != "yes":
            say = warning if fit == "repairable" else error
            yield say("D02", path, "the number of periods, J", shape[0], periods)


def _shape_words(**sizes: int | None) -> str:
    return f"({', '.join(letter if size is None else str(size) for letter, size in sizes.items())})"


def components(file: Content) -> Problems:
    """D01 and D02 of divider and waveform."""
    channels, frequencies = _channels(file), _frequencies(file)
    for path in (_DIVIDER, _WAVEFORM):
        shape = file.shape(path) if file.has(path) else None
        if shape is None or channels is None or frequencies is None or shape == (channels, frequencies):
            continue
        expected = (channels, frequencies)
        is_one_for_all = path == _WAVEFORM and math.prod(shape) == 1
        is_flat = len(shape) < 2 and math.prod(shape) == channels * frequencies
        if shape == expected[::-1] or is_one_for_all or is_flat:
            yield warning("D02", path, "the shape", shape, expected)
        elif len(shape) != 2 or shape[0] != channels:
            yield error("D01", path, "the shape", shape, expected)
        else:
            yield error("D02", path, "the shape", shape, expected)


def values(file: Content) -> Problems:
    """D03, D04 and D05."""
    base = file.number(_BASE)
    if base is not None and not 0 < base < math.inf:
        yield error("D03", _BASE, "the base frequency", base, "a number above 0")
    divider = file.reals(_DIVIDER)
    if divider is not None and not np.all((divider >= 1) & np.isfinite(divider)):
        yield error("D03", _DIVIDER, "the dividers", divider, "1 or more")
    strength = file.reals(_STRENGTH)
    if strength is not None and not np.all((strength >= 0) & np.isfinite(strength)):
        yield error("D03", _STRENGTH, "the amplitudes", strength, "0 or more")
    phase = file.reals(_PHASE)
    if phase is not None and not np.all((phase >= -np.pi) & (phase < np.pi)):
        yield warning("D04", _PHASE, "the phases", phase, "-π or more, less than π")
    waveform = file.value(_WAVEFORM)
    for name in () if waveform is None else dict.fromkeys(waveform.reshape(-1).tolist()):
        if name not in spec.WAVEFORMS:
            yield warning("D05", _WAVEFORM, "not of the standard", repr(name), ", ".join(spec.WAVEFORMS))
            break


def _dividers(file: Content) -> tuple[list[int], list[int]] | None:
    """Return the dividers of the active components, and all; None if the file does not say, or by D03."""
    divider, strength = file.integers(_DIVIDER), file.reals(_STRENGTH)
    if divider is None or strength is None or strength.ndim != 3 or not divider.size or np.any(divider < 1):
        return None
    shape: Shape = strength.shape[1:]
    if divider.shape not in {shape, shape[::-1], (math.prod(shape),)}:
        return None
    oriented = divider.T if divider.shape == shape[::-1] else divider.reshape(shape)
    active: Array = np.any(strength > 0, axis=0)
    return np.unique(oriented[active]).tolist(), np.unique(oriented).tolist()


def _cycle(dividers: Sequence[int], base: float) -> float | None:
    """Return the least common multiple over the base frequency, s; None if it is beyond all measure."""
    multiple = 1
    for divider in dividers:
        multiple = math.lcm(multiple, divider)
        if multiple > _LARGEST_MULTIPLE:
            return None
    return multiple / base


def _is_close(found: float, expected: float | None) -> bool:
    return expected is not None and math.isclose(found, expected, rel_tol=_TOLERANCE)


def cycle(file: Content) -> Problems:
    """D06."""
    found, base, dividers = file.number(_CYCLE), file.number(_BASE), _dividers(file)
    if found is None or base is None or not 0 < base < math.inf or dividers is None or not dividers[0]:
        return
    active, every = _cycle(dividers[0], base), _cycle(dividers[1], base)
    if _is_close(found, active):
        return
    what = "not the least common multiple of the active dividers over the base frequency"
    if active is None:
        what = f"the least common multiple of the dividers is above {_LARGEST_MULTIPLE}"
        yield warning("D06", _CYCLE, what)
    elif _is_close(found, every):
        yield note("D06", _CYCLE, f"{what}, but that of all dividers", found, active)
    else:
        yield warning("D06", _CYCLE, what, found, active)


def samples(file: Content) -> Problems:
    """D07."""
    count, bandwidth, period = (file.number(path) for path in (spec.SAMPLES, spec.BANDWIDTH, _CYCLE))
    if count is None or bandwidth is None or period is None:
        return
    expected = 2 * bandwidth * period
    if not _is_close(count, expected):
        yield warning(
            "D07", spec.SAMPLES, "not twice the bandwidth times the cycle", count, f"{expected:.9g}"
        )


RULES = (amplitudes, components, values, cycle, samples)
