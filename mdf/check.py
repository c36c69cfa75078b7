"""Check content against the standard before a byte of it is written."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np

from mdf import spec
from mdf.errors import MdfError
from mdf.moment import new_uuid, now

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

NUMBERS = tuple(np.dtype(name) for name in ["f4", "f8", "i1", "i2", "i4", "i8", "c8", "c16"])
_STRENGTH = "/acquisition/drivefield/strength"
_DIVIDER = "/acquisition/drivefield/divider"
_WAVEFORM = "/acquisition/drivefield/waveform"
_CYCLE = "/acquisition/drivefield/cycle"
_PHASE = "/acquisition/drivefield/phase"
_BASE = "/acquisition/drivefield/baseFrequency"
_SIGNED = ("/acquisition/gradient", "/acquisition/offsetField", "/calibration/offsetFields")
_FROM_OTHERS = (spec.DRIVE_CHANNELS, _WAVEFORM, _CYCLE)  # made of strength and divider, which are named
_LARGEST_MULTIPLE = 10**18  # of dividers; more does not fit into 64 bits
_FORMS = {"uuid": "a UUID", "time": "a time like 2026-03-02T10:15:30.500, in UTC"}


def write_time() -> str:
    """Return the time now as MDF wants it: UTC, milliseconds, no zone. ``SOURCE_DATE_EPOCH`` sets it."""
    return now().replace(tzinfo=None).isoformat(timespec="milliseconds")


def complete(
    contents: Mapping[str, Any],
    data: tuple[Shape, np.dtype[Any]] | None,
    *,
    kept: int | None = None,
    is_copy: bool = False,
) -> dict[str, Any]:
    """Fill in what is knowable, and check everything.

    Parameters
    ----------
    contents : mapping
        Values by their path in the standard; None counts as absent.
    data : (shape, dtype) or None
        Of the measured data, (N, J, C, V or K); None for a file without a measurement.
    kept : int or None
        B, if the data are sparsity-transformed.
    is_copy : bool
        The contents are those of an existing file: what looks like a wrong unit is not refused.

    Returns
    -------
    dict
        Path to a str, or an array of the type and shape that is to be written, in the order of the standard.

    Raises
    ------
    MdfError
        If something mandatory is missing, or does not conform to MDF 2.1.0.
    """
    given = {path: value for path, value in contents.items() if value is not None}
    _check_names(given)
    groups = {spec.FIELDS[path].group for path in given} | {
        path for path, must in spec.GROUPS.items() if must
    }
    if data is None and groups & {"/measurement", "/calibration"}:
        raise MdfError("/measurement and /calibration need data, there are none")
    if data is not None:
        groups.add("/measurement")
    fields = [field for field in spec.FIELDS.values() if field.group in groups and field.path != spec.DATA]
    values = {field.path: typed(field, given[field.path]) for field in fields if field.path in given}
    _check_axes(values)
    _count(values, data)
    _check_missing(fields, values)
    _check_shapes(values, _letters(values, data))
    _check_measurement(values, data)
    _check_sparsity(values, kept)
    _check_numbers(values)
    if not is_copy:
        _check_units(values)
    _derive(values)
    return {field.path: values[field.path] for field in fields if field.path in values}


def _check_names(given: Mapping[str, Any]) -> None:
    for path in given:
        if path == spec.DATA:
            raise MdfError(f"{path} is no part of the contents, it is given as data")
        if path == spec.INDICES:
            raise MdfError(f"{path} is no part of the contents, it is given with the data")
        if path not in spec.FIELDS:
            near = difflib.get_close_matches(path, spec.FIELDS, n=1)
            hint = (
                f"did you mean {near[0]!r}?" if near else "names of your own start with '_' and go into user"
            )
            raise MdfError(f"MDF {spec.VERSION} has no {path!r}", hint=hint)


def typed(field: spec.Field, value: Any) -> Any:
    """Return a value in the type of its field: str, or an array."""
    if field.is_text:
        return _text(field, value)
    array = np.asarray(value)
    kinds = {"int": "iu", "flag": "biu", "float": "iuf", "complex": "iufc", "number": "ifc"}[field.kind]
    if array.dtype.kind not in kinds:
        raise MdfError(f"{field.path} has the type {array.dtype}, expected {field.kind}")
    if field.kind == "flag" and not np.all((array == 0) | (array == 1)):
        raise MdfError(f"{field.path} is no flag, expected 0 or 1")
    if field.kind == "number":
        return check_dtype(field.path, array)
    if field.kind == "int" and array.size and array.max() > np.iinfo(np.int64).max:
        raise MdfError(f"{field.path} is {array.max()}, more than 64 bits can hold")
    return array.astype({"int": "<i8", "flag": "i1", "float": "<f8", "complex": "<c16"}[field.kind])


def _text(field: spec.Field, value: Any) -> Any:
    array = np.asarray(value, dtype=object)
    for text in array.reshape(-1):
        if not isinstance(text, str):
            raise MdfError(f"{field.path} has the type {type(text).__name__}, expected text")
        if not spec.is_well_formed(field, text):
            raise MdfError(f"{field.path} is {text!r}, expected {_FORMS[field.kind]}")
        check_text(field.path, text)
    return array.item() if array.ndim == 0 else array


def check_text(path: str, text: str) -> None:
    """Refuse text that HDF5 cannot hold."""
    if "\0" in text:
        raise MdfError(f"{path} has a zero character, which HDF5 text cannot hold")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise MdfError(f"{path} has half a surrogate pair, which is no UTF-8")


def check_dtype(path: str, array: Array) -> Array:
    """Return numbers as little-endian ones of a type that MDF allows."""
    if array.dtype.newbyteorder("=") not in NUMBERS:
        names = ", ".join(map(str, NUMBERS))
        raise MdfError(f"{path} has the type {array.dtype}, expected one of {names}")
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def _count(values: dict[str, Any], data: tuple[Shape, np.dtype[Any]] | None) -> None:
    """Put in the sizes that the data and the drive field have, or check them."""
    counts: dict[str, int] = {}
    if data is not None:
        shape = data[0]
        if len(shape) != 4 or 0 in shape:
            raise MdfError(f"the data have the shape {shape}, expected (frames, periods, channels, values)")
        counts = {spec.FRAMES: shape[0], spec.PERIODS: shape[1], spec.CHANNELS: shape[2]}
        values.setdefault(spec.BACKGROUND, np.zeros(shape[0], "i1"))
        if not np.any(values.get(spec.FOURIER, 0)):
            counts[spec.SAMPLES] = shape[3]
    strength = values.get(_STRENGTH)
    if strength is not None and strength.ndim == 3:
        counts[spec.DRIVE_CHANNELS] = strength.shape[1]
    for path, count in counts.items():
        found = values.setdefault(path, np.asarray(count, "<i8"))
        if not np.array_equal(found, count):
            raise MdfError(f"{path} is {found}, the data say {count}")


def _derive(values: dict[str, Any]) -> None:
    """Put in what follows from the drive field."""
    divider, active = values[_DIVIDER], np.any(values[_STRENGTH] > 0, axis=0)
    phase = values[_PHASE]
    wrapped = np.mod(phase + np.pi, 2 * np.pi) - np.pi  # the standard has phases from -pi to below pi
    values[_PHASE] = np.where((phase >= -np.pi) & (phase < np.pi), phase, wrapped)
    values.setdefault(_WAVEFORM, np.full(divider.shape, "sine", object))
    if _CYCLE not in values:
        values[_CYCLE] = np.asarray(_multiple(divider[active] if np.any(active) else divider) / values[_BASE])


def _multiple(dividers: Array) -> int:
    """Return the least common multiple."""
    multiple = 1
    for divider in np.unique(dividers).tolist():
        multiple = math.lcm(multiple, divider)
        if multiple > _LARGEST_MULTIPLE:
            hint = f"give {_CYCLE}, the time after which the trajectory repeats"
            raise MdfError(f"{_DIVIDER} has a least common multiple above {_LARGEST_MULTIPLE}", hint=hint)
    return multiple


def _check_missing(fields: Sequence[spec.Field], values: dict[str, Any]) -> None:
    """Put in the fixed defaults, and name all that is still missing."""
    missing = []
    for field in fields:
        if field.path == spec.INDICES:
            continue  # they come with the data
        if not _is_needed(field, values):
            if field.need not in {"no", "data", "yes"} and field.path in values:
                raise MdfError(f"{field.path} is given, but {field.need} is 0")
        elif field.default in {"new", "0", "1", spec.VERSION}:
            values.setdefault(field.path, _default(field, values))
        if _is_needed(field, values) and field.path not in {*values, *_FROM_OTHERS}:
            missing.append(field.path)
    if missing:
        raise MdfError(f"mandatory values are missing: {', '.join(missing)}")
    if values["/version"] != spec.VERSION:
        raise MdfError(f"/version is {values['/version']!r}, only {spec.VERSION!r} is written")


def _is_needed(field: spec.Field, values: Mapping[str, Any]) -> bool:
    if field.need == "no":
        return False
    return field.is_mandatory or bool(np.any(values.get(f"{field.group}/{field.need}", 0)))


def _default(field: spec.Field, values: Mapping[str, Any]) -> Any:
    if field.default == "new":
        return new_uuid(field.path, repr(sorted(values.items()))) if field.kind == "uuid" else write_time()
    return (
        field.default
        if field.is_text
        else np.asarray(int(field.default), "i1" if field.kind == "flag" else "<i8")
    )


def _letters(values: Mapping[str, Any], data: tuple[Shape, np.dtype[Any]] | None) -> dict[str, int]:
    letters = {}
    for letter, path in spec.COUNTS.items():
        if values[path].ndim or values[path] < 1:
            raise MdfError(f"{path} is {values[path]}, expected one number, 1 or more")
        letters[letter] = int(values[path])
    letters["K"] = letters["V"] // 2 + 1
    if data is not None:
        letters["O"] = letters["N"] - int(np.sum(values[spec.BACKGROUND]))
    if data is not None and values[spec.FOURIER] and values[spec.SELECTED]:
        letters["K"] = data[0][3]
    return letters


def _check_axes(values: Mapping[str, Any]) -> None:
    """Check the numbers of axes, from which the sizes are taken."""
    for path, value in values.items():
        axes = spec.FIELDS[path].shape
        if np.ndim(value) != len(axes):
            expected = f"({', '.join(map(str, axes))})"
            raise MdfError(f"{path} has the shape {np.shape(value)}, expected {expected}")


def _check_shapes(values: Mapping[str, Any], letters: dict[str, int]) -> None:
    for path, value in values.items():
        field, found = spec.FIELDS[path], np.shape(value)
        sizes = tuple(letters.get(axis, -1) if isinstance(axis, str) else axis for axis in field.shape)
        fits = len(sizes) == len(found) and all(
            size in (-1, length) for size, length in zip(sizes, found, strict=True)
        )
        if not fits:
            known = ", ".join(
                f"{axis} = {letters[axis]}" for axis in map(str, field.shape) if axis in letters
            )
            axes = f"({', '.join(map(str, field.shape))})" + (f" with {known}" if known else "")
            raise MdfError(f"{path} has the shape {found}, expected {axes}")
        for axis, length in zip(field.shape, found, strict=True):
            if isinstance(axis, str):
                letters.setdefault(axis, length)


def _check_measurement(values: Mapping[str, Any], data: tuple[Shape, np.dtype[Any]] | None) -> None:
    if data is None:
        return
    shape, dtype = data
    fourier, lines = bool(values[spec.FOURIER]), int(values[spec.SAMPLES]) // 2 + 1
    if (dtype.kind == "c") != fourier:
        raise MdfError(f"the data have the type {dtype}, {spec.FOURIER} is {int(fourier)}")
    if values[spec.SELECTED] and not fourier:
        raise MdfError(f"{spec.SELECTED} is 1, but time data have no frequency components")
    if values[spec.SELECTED]:
        lines_kept = values[spec.SELECTION]
        _check_index(spec.SELECTION, lines_kept, lines)
    elif fourier and shape[3] != lines:
        raise MdfError(f"the data have {shape[3]} frequency components, expected {lines} for {spec.SAMPLES}")
    if values[spec.PERMUTED]:
        _check_index(spec.PERMUTATION, values[spec.PERMUTATION], shape[0])


def _check_index(path: str, index: Array, count: int) -> None:
    if index.min() < 1 or index.max() > count or len(np.unique(index)) != len(index):
        raise MdfError(f"{path} has no distinct indices from 1 to {count}", hint="MDF counts from 1")


def _check_sparsity(values: Mapping[str, Any], kept: int | None) -> None:
    """Check what MDF 2.1.0 asks of sparsity-transformed data."""
    if not np.any(values.get(spec.SPARSE, 0)):
        if kept is not None:
            raise MdfError(f"{spec.SPARSE} is 0, but coefficients are announced")
        return
    positions = int(np.sum(values[spec.BACKGROUND] == 0))
    size = values.get("/calibration/size")
    if not (values[spec.FOURIER] and values[spec.FAST_FRAME_AXIS]):
        raise MdfError(f"{spec.SPARSE} is 1, expected spectra with the frame axis last")
    if np.any(np.diff(values[spec.BACKGROUND]) < 0):
        raise MdfError(f"{spec.SPARSE} is 1, expected all background frames after the others")
    if size is None or np.prod(size) != positions:
        raise MdfError(f"{spec.SPARSE} is 1, expected a /calibration/size of {positions} positions")
    if values[spec.TRANSFORMATION] not in spec.TRANSFORMATIONS:
        name, names = values[spec.TRANSFORMATION], ", ".join(spec.TRANSFORMATIONS)
        raise MdfError(f"{spec.TRANSFORMATION} is {name!r}, expected one of {names}")
    if kept is None or not 1 <= kept <= positions:
        raise MdfError(f"{kept} coefficients are announced, expected 1 to {positions}")


def check_kept(indices: Array, shape: Shape, kept: int | None, contents: Mapping[str, Any]) -> Array:
    """Return the indices of kept coefficients, (J, C, n, B), of data (B + E, J, C, n), as int32."""
    expected = (*shape[1:], kept)
    if indices.shape != expected or indices.dtype.kind not in "iu":
        raise MdfError(f"{spec.INDICES} has the shape {indices.shape}, expected whole numbers of {expected}")
    positions = int(np.sum(np.asarray(contents.get(spec.BACKGROUND, ())) == 0))
    in_order = np.sort(indices, axis=-1)
    inside = in_order.min(initial=1) >= 1 and in_order.max(initial=1) <= positions
    if not inside or np.any(in_order[..., 1:] == in_order[..., :-1]):
        raise MdfError(
            f"{spec.INDICES} has no distinct indices from 1 to {positions}", hint="MDF counts from 1"
        )
    return indices.astype("<i4")


def _check_units(values: Mapping[str, Any]) -> None:
    """Refuse numbers that can only be in another unit (mT, mm, ml, A/m), or are none."""
    for path, value in values.items():
        is_real = spec.FIELDS[path].kind in {"float", "complex"} and path != spec.SNR
        if is_real and not np.all(np.isfinite(value)):  # a ratio is infinite where there is no noise
            raise MdfError(f"{path} has numbers that are not finite")
    for path, limit in spec.LIMITS.items():
        value, unit = values.get(path), spec.FIELDS[path].unit
        if value is None:
            continue
        size = np.abs(value) if path in _SIGNED else np.where(value < 0, np.inf, value)
        if not np.all(size <= limit):
            worst = value.reshape(-1)[np.argmax(np.nan_to_num(size, nan=np.inf))]
            raise MdfError(
                f"{path} has {worst:g}, expected at most {limit} {unit}", hint=f"give it in {unit}"
            )
    for text in np.asarray(values.get(_WAVEFORM, ()), object).reshape(-1):
        if text not in spec.WAVEFORMS:
            raise MdfError(f"{_WAVEFORM} is {text!r}, expected one of {', '.join(spec.WAVEFORMS)}")


def _check_numbers(values: Mapping[str, Any]) -> None:
    positive = (
        spec.BANDWIDTH,
        _BASE,
        _DIVIDER,
        "/acquisition/numAverages",
        "/calibration/size",
        "/reconstruction/size",
    )
    for path in positive:
        value = values.get(path)
        if value is not None and not np.all((value > 0) & np.isfinite(value)):
            raise MdfError(f"{path} is {value.tolist()}, expected numbers above 0")
    factor = values.get(spec.CONVERSION)
    if factor is not None and not (np.all(np.isfinite(factor)) and np.all(factor[:, 0] != 0)):
        raise MdfError(f"{spec.CONVERSION} has a factor of 0 or one that is not finite")
    for group, last in (("/calibration", spec.BACKGROUND), ("/reconstruction", "/reconstruction/data")):
        size = values.get(f"{group}/size")
        if size is None or f"{group}/positions" in values:
            continue
        count = values[last].shape[1] if last.endswith("data") else int(np.sum(values[last] == 0))
        if np.prod(size) != count:
            raise MdfError(f"{group}/size is {size.tolist()}, there are {count} positions")
    for group in ("/calibration", "/reconstruction"):
        order = values.get(f"{group}/order", "xyz")
        if sorted(order) != ["x", "y", "z"]:
            raise MdfError(f"{group}/order is {order!r}, expected the letters x, y and z")


def store(hdf: h5py.Group, path: str, value: Any) -> None:
    """Write one value, contiguous; text as UTF-8 of variable length."""
    array = np.asarray(value)
    is_text = array.dtype.kind in "UO"
    hdf.create_dataset(
        path,
        data=array.astype(object) if is_text else array,
        dtype=h5py.string_dtype() if is_text else array.dtype,
    )
