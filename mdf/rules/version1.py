"""Version 1 of the standard: what a converter needs."""

from __future__ import annotations

import math

import numpy as np

from mdf import spec
from mdf.rules import container, tree
from mdf.rules.content import Content
from mdf.rules.problem import Problems, error, note, warning

# The signal of version 1, the ranks it may have, and whether it is a spectrum: (r, i) on the last axis.
_DATA = {
    "/measurement/dataTD": ((3, 4), False),
    "/measurement/dataFD": ((4, 5), True),
    "/calibration/dataTD": ((3, 4), False),
    "/calibration/dataFD": ((4, 5), True),
}
_DATE = "/date"
_GROUPS = {"/study": warning, "/scanner": warning, "/acquisition": error,
           "/acquisition/drivefield": error, "/acquisition/receiver": error}  # fmt: skip
_NEEDED = (spec.BANDWIDTH, spec.SAMPLES)


def is_version_1(file: Content) -> bool:
    """Say whether a file is of version 1: by what is in it, and by the label only if that leaves a doubt."""
    if any(file.node(path) is not None for path in (*_DATA, _DATE)):
        return True
    found = container.label(file)
    return found is not None and found[0] == 1 and not file.has_group("/experiment")


def which(file: Content) -> Problems:
    """F02 of version 1."""
    yield note("F02", "/version", "this is MDF version 1; it can be read, and converted to 2.1.0")
    if container.label(file) is None or file.node("/version") is None:
        yield from container.version(file)


def groups(file: Content) -> Problems:
    """F04 and F08."""
    for path, say in _GROUPS.items():
        if not file.has_group(path):
            yield say("F04", path, "the group is missing")
    if not any(file.has(path) for path in (*_DATA, "/reconstruction/data")):
        yield warning("F08", "/", "neither a measurement nor a reconstruction: the file has no data")


def receiver(file: Content) -> Problems:
    """F05, F09 and R01: numbers, one for all channels or one for each (version 1.0.5)."""
    for path in _NEEDED:
        if not file.has(path):
            yield error("F05", path, "missing, the data cannot be read without it")
            continue
        values = file.reals(path)
        if values is None or not values.size:
            yield error("F09", path, "not a number", file.type(path), "a number")
        elif not np.all((values > 0) & np.isfinite(values)):
            yield error("R01", path, "a property of the receiver", values, "above 0")
        elif np.any(values != values.reshape(-1)[0]):
            yield error("R01", path, "not the same for all channels: version 2 cannot say so", values)


def data(file: Content) -> Problems:
    """M01, M03 and M13."""
    for path, (ranks, is_spectrum) in _DATA.items():
        shape = file.shape(path) if file.has(path) else None
        if shape is None:
            continue
        stored = file.type(path)
        is_compound = stored.startswith("complex of")
        if "float" not in stored and "int" not in stored:
            yield error("M03", path, "not a number", stored, "a number")
        fits = len(shape) in ranks and (not is_spectrum or shape[-1] == 2)
        if is_spectrum and is_compound:
            fits = len(shape) in {rank - 1 for rank in ranks}
        if not fits or math.prod(shape) == 0:
            expected = f"{' or '.join(map(str, ranks))} axes" + (", the last of 2" if is_spectrum else "")
            yield error("M01", path, "the axes", shape, expected)
        values = file.sample(path)
        if values is not None and not np.all(np.isfinite(values)):
            yield warning("M13", path, "values that are no finite numbers")


def identity(file: Content) -> Problems:
    """F13 and F14."""
    yield from container.identities(file)
    if not file.has(_DATE):
        yield warning("F05", _DATE, "missing: when the file was made")


RULES = (which, groups, receiver, data, identity, tree.links)
