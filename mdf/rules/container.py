"""Version, groups, datasets, types and texts: rules F02 to F10 and F13 to F17."""

from __future__ import annotations

import re
from datetime import datetime

import h5py
import numpy as np

from mdf import spec
from mdf.rules.content import NUMBERS, REALS, Array, Content, is_big_endian
from mdf.rules.problem import Problem, Problems, error, note, warning

_KNOWN_MINORS = {1: (0,), 2: (0, 1)}
_LABEL = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?")
_NIL = "00000000-0000-0000-0000-000000000000"
_SPARSITY = (spec.SPARSE, spec.TRANSFORMATION, spec.INDICES)
_EXACT = {"flag": ("int8",), "int": ("int64",), "float": ("float64",), "complex": ("complex of float64",)}
_FLAG_STORAGE = ("bitfield", "enum", "uint8", *REALS)
_ODD_REALS = ("uint8", "uint16", "uint32", "uint64", "float16", "enum", "bitfield")
_ODD_COMPLEX = tuple(f"complex of {real}" for real in _ODD_REALS)
_ANY_INTEGER = ("int8", "int16", "int32", "int64")
_OWN_RULES = (spec.DATA, "/version")  # M03 and F02 say what their types are


def label(file: Content) -> tuple[int, int] | None:
    """Return major and minor version by the label; None if it says nothing."""
    text = file.text("/version")
    found = None if text is None else _LABEL.fullmatch(text.strip().removeprefix("v"))
    return None if found is None else (int(found[1]), int(found[2] or 0))


def version(file: Content) -> Problems:
    """F02."""
    text, found = file.text("/version"), label(file)
    if text is None:
        there = "it is no single text" if file.node("/version") is not None else "it is missing"
        yield error("F02", "/version", there, "", "a version like 2.1.0")
    elif found is None or found[0] not in _KNOWN_MINORS:
        yield error("F02", "/version", "not a version of MDF", repr(text), "2.1.0 or an older one")
    elif found[1] not in _KNOWN_MINORS[found[0]]:
        yield warning("F02", "/version", "a version that is not known", repr(text), "2.1.0 or an older one")
    elif _LABEL.fullmatch(text) is None:
        yield warning("F02", "/version", "not written as a version", repr(text), "2.1.0")


def label_and_content(file: Content) -> Problems:
    """F03."""
    found = label(file)
    if found is None:
        return
    newer = [path for path in _SPARSITY if file.has(path)]
    if newer and found < (2, 1):
        yield warning("F03", "/version", f"the file has {newer[0]}", file.text("/version"), "2.1.0 or newer")
    if found >= (2, 1) and file.has_group("/measurement") and not file.has(spec.SPARSE):
        yield warning("F03", spec.SPARSE, "missing, the version is 2.1.0 or newer")


def groups(file: Content) -> Problems:
    """F04, F06, F07, F08, and F09 of groups."""
    for path, is_mandatory in spec.GROUPS.items():
        found = file.node(path)
        if found is not None and not isinstance(found, h5py.Group):
            yield error("F09", path, "the wrong kind of object", type(found).__name__.lower(), "a group")
        elif is_mandatory and found is None:
            yield error("F04", path, "the group is missing, every MDF file has it")
    if file.has_group("/calibration"):
        for path in ("/calibration/method", "/measurement"):
            if file.node(path) is None:
                yield warning("F06", "/calibration", f"there is no {path}: this is no calibration")
    has_measurement = file.has_group("/measurement")
    if has_measurement and not file.has_group("/tracer"):
        background = file.reals(spec.BACKGROUND)
        if background is not None and np.any(background == 0):
            yield warning("F07", "/tracer", "missing, although there are foreground frames")
    if not has_measurement and not file.has_group("/reconstruction"):
        yield warning("F08", "/", "neither a measurement nor a reconstruction: the file has no data")


def mandatory(file: Content) -> Problems:
    """F05."""
    found = label(file)
    for path, field in spec.FIELDS.items():
        if not field.is_mandatory or not file.has_group(field.group) or path == "/version":
            continue
        is_new = path == spec.SPARSE and (found is None or found < (2, 1))
        is_there = file.node(path) is not None and not _is_null(file, path)
        if is_there or is_new:
            continue
        is_needed = field.need == "data" or path.endswith("/data")
        say = error if is_needed else warning
        yield say("F05", path, f"missing, every file with {field.group} has it")


def _is_null(file: Content, path: str) -> bool:
    return isinstance(file.node(path), h5py.Dataset) and file.shape(path) is None


def types(file: Content) -> Problems:
    """F09 and F16: stored types."""
    for path, field in spec.FIELDS.items():
        node = file.node(path)
        if node is None:
            continue
        if not isinstance(node, h5py.Dataset):
            yield error("F09", path, "the wrong kind of object", type(node).__name__.lower(), "a dataset")
            continue
        stored = file.type(path)
        if stored and path not in _OWN_RULES:
            yield from _type(path, field, stored)
        big = False
        with file.reading(path):
            big = is_big_endian(node.id.get_type())
        if big:
            yield warning("F16", path, "the highest byte stands first", "big-endian", "little-endian")


def _type(path: str, field: spec.Field, stored: str) -> Problems:
    exact, readable = _types(path, field)
    if stored in exact:
        return
    say = warning if stored in readable else error
    yield say(
        "F09", path, "the stored type", stored, exact[0] if len(exact) == 1 else "a number of the standard"
    )


def _types(path: str, field: spec.Field) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the stored types that a field may have, and those that can be read all the same."""
    if field.is_text:
        return ("text",), ()
    if path == spec.INDICES:
        return _ANY_INTEGER, (*REALS, *_ODD_REALS)
    if field.kind == "number":
        return NUMBERS, (*_ODD_REALS, *_ODD_COMPLEX)
    if field.kind == "flag":
        return _EXACT["flag"], _FLAG_STORAGE
    if field.kind == "complex":
        return _EXACT["complex"], (*NUMBERS, *_ODD_REALS, *_ODD_COMPLEX)
    return _EXACT[field.kind], (*REALS, *_ODD_REALS)


def values(file: Content) -> Problems:
    """F09 of values (flags, whole numbers) and F10."""
    for path, field in spec.FIELDS.items():
        shape = file.shape(path) if file.has(path) else None
        if shape is None:
            continue
        if not field.shape and shape != ():
            is_single = all(length == 1 for length in shape)
            say = warning if is_single else error
            yield say("F10", path, "the shape of a single value", shape, "()")
        numbers = file.value(path) if field.kind in {"flag", "int"} else None
        if numbers is None or numbers.dtype.kind not in "biuf":
            continue
        if field.kind == "flag" and not np.all((numbers == 0) | (numbers == 1)):
            yield error("F09", path, "not a flag", _first(numbers, (numbers != 0) & (numbers != 1)), "0 or 1")
        if field.kind == "int" and file.integers(path) is None:
            yield error("F09", path, "not whole numbers", numbers)


def _first(numbers: Array, wrong: Array) -> str:
    return str(numbers[wrong].reshape(-1)[0])


def identities(file: Content) -> Problems:
    """F13."""
    for path in (path for path, field in spec.FIELDS.items() if field.kind == "uuid"):
        text = file.text(path)
        if text is None:
            continue
        if spec.UUID.fullmatch(text) is None:
            yield warning("F13", path, "not a UUID", repr(text), "8-4-4-4-12 hexadecimal digits")
        elif text == _NIL:
            yield warning("F13", path, "the nil UUID, which identifies nothing")
        elif text[14] != "4":
            yield note("F13", path, "the version of the UUID", text[14], "4, a random one")


def times(file: Content) -> Problems:
    """F14."""
    for path in (path for path, field in spec.FIELDS.items() if field.kind == "time"):
        texts = file.value(path)
        if texts is None:
            continue
        for text in dict.fromkeys(texts.reshape(-1).tolist()):
            problem = _time(path, str(text))
            if problem is not None:
                yield problem
                break
    made, started = (_parsed(file.text(path)) for path in ("/time", "/acquisition/startTime"))
    if made is not None and started is not None and started > made:
        found, expected = started.isoformat(), f"not after {made.isoformat()}"
        yield note("F14", "/acquisition/startTime", "later than /time", found, expected)


def _time(path: str, text: str) -> Problem | None:
    parts = _TIME.fullmatch(text)
    if parts is None or _parsed(text) is None:
        expected = "yyyy-mm-ddThh:mm:ss.ms in UTC, without a zone"
        return warning("F14", path, "not a time of the standard", repr(text), expected)
    if len(parts[2] or "") > 3:
        return note("F14", path, "finer than milliseconds", repr(text), "3 digits of a second at most")
    return None


def _parsed(text: str | None) -> datetime | None:
    parts = _TIME.fullmatch(text or "")
    if parts is None:
        return None
    try:
        return datetime.fromisoformat(f"{parts[1]}.{(parts[2] or '0')[:6].ljust(6, '0')}")
    except ValueError:
        return None


def encodings(file: Content) -> Problems:
    """F15: all texts of the standard are read, so that the file knows which of them are not UTF-8."""
    for path, field in spec.FIELDS.items():
        if field.is_text:
            file.value(path)
    for path in dict.fromkeys(file.not_utf8):
        yield note("F15", path, "the text is not UTF-8, it is shown as Latin-1")


def storage(file: Content) -> Problems:
    """F17."""
    dataset = file.dataset(spec.DATA)
    if dataset is None:
        return
    layout, filters = h5py.h5d.CONTIGUOUS, 0
    with file.reading(spec.DATA):
        properties = dataset.id.get_create_plist()
        layout, filters = properties.get_layout(), properties.get_nfilters()
    names = {h5py.h5d.CHUNKED: "chunked", h5py.h5d.COMPACT: "compact", h5py.h5d.VIRTUAL: "virtual"}
    if layout != h5py.h5d.CONTIGUOUS:
        found = names.get(layout, "unknown") + (" and filtered" if filters else "")
        yield note("F17", spec.DATA, "MPIFiles.jl cannot open data stored so", found, "contiguous")


RULES = (
    version, label_and_content, groups, mandatory, types, values, identities, times, encodings, storage,
)  # fmt: skip
