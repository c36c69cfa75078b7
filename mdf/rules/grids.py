"""Calibration and reconstruction: rules C and P."""

from __future__ import annotations

import math

import numpy as np

from mdf import spec
from mdf.grid import Grid, stored_index
from mdf.rules.acquisition import components, fits, shape_words
from mdf.rules.content import Array, Content
from mdf.rules.measurement import sizes
from mdf.rules.problem import Problems, error, warning

_VECTORS = ("size", "fieldOfView", "fieldOfViewCenter", "deltaSampleSize")
_POSITIONS = "/calibration/positions"
_OFFSETS = "/calibration/offsetFields"
_IMAGES = "/reconstruction/data"
_OVERSCAN = "/reconstruction/isOverscanRegion"
_CLOSE = 0.01  # of a voxel


def vectors(file: Content) -> Problems:
    """C01."""
    for group in ("/calibration", "/reconstruction"):
        for path in (f"{group}/{name}" for name in _VECTORS):
            if path in spec.FIELDS and file.has(path) and file.shape(path) != (3,):
                yield error("C01", path, "the shape", file.shape(path), "(3,)")


def _foreground(file: Content) -> int | None:
    """O, by the data and the mask."""
    found, mask = sizes(file), file.reals(spec.BACKGROUND)
    if found is None or mask is None or found.is_sparse:
        return None
    return found.shape[0] - int(np.sum(mask != 0))


def _product(file: Content, path: str) -> int | None:
    size = file.integers(path)
    return None if size is None or size.shape != (3,) else math.prod(size.tolist())


def positions(file: Content) -> Problems:
    """C02, C03 and C04."""
    count, product, size = _foreground(file), _product(file, "/calibration/size"), "/calibration/size"
    if not file.has_group("/calibration"):
        return
    for path in (_POSITIONS, _OFFSETS):
        shape = file.shape(path) if file.has(path) else None
        if shape is not None and not fits(shape, (count, 3)):
            yield error("C03", path, "the shape", shape, shape_words("O", count, 3))
    if file.has(_POSITIONS) and file.has(_OFFSETS):
        yield warning("C04", _OFFSETS, f"given together with {_POSITIONS}")
    sides = file.integers(size)
    if sides is not None and np.any(sides < 1):
        yield error("C02", size, "voxels along an axis", sides, "1 or more")
    elif product is not None and count is not None and product != count:
        is_part = file.has(_POSITIONS) and count < product
        say = warning if is_part else error
        yield say("C02", size, f"its product is {product}, the foreground frames are others", product, count)


def _axis_order(file: Content, group: str, rule: str) -> Problems:
    order = file.text(f"{group}/order")
    if order is not None and sorted(order) != ["x", "y", "z"]:
        yield warning(rule, f"{group}/order", "not an order of axes", repr(order), "x, y and z, each once")


def _extent(file: Content, group: str, rule: str) -> Problems:
    path = f"{group}/fieldOfView"
    extent, size = file.reals(path), file.reals(f"{group}/size")
    if extent is None or extent.shape != (3,):
        return
    wide = np.ones(3, bool) if size is None or size.shape != (3,) else size > 1
    if not np.all(extent[wide] > 0):
        yield warning(rule, path, "along an axis with voxels", extent, "above 0")
    if np.any(extent > spec.LIMITS[path]):
        yield warning(rule, path, "the unit may be wrong", extent, f"{spec.LIMITS[path]} m at most")


def order(file: Content) -> Problems:
    """C05, C08 and P03."""
    for group, order_rule, extent_rule in (("/calibration", "C05", "C08"), ("/reconstruction", "P03", "P03")):
        if file.has_group(group):
            yield from _axis_order(file, group, order_rule)
            yield from _extent(file, group, extent_rule)


def snr(file: Content) -> Problems:
    """C06 and C07."""
    shape = file.shape(spec.SNR) if file.has(spec.SNR) else None
    if shape is None:
        return
    found = sizes(file)
    stored = found.shape[3] if found is not None and found.is_fourier else components(file)
    periods, channels = file.count(spec.PERIODS), file.count(spec.CHANNELS)
    if not fits(shape, (periods, channels, stored)):
        lacks_periods = periods == 1 and fits(shape, (channels, stored))
        say = warning if lacks_periods else error
        expected = f"({shape_words('J', periods, *_names(channels, stored))[1:-1]})"
        yield say("C06", spec.SNR, "the shape", shape, expected)
    values = file.reals(spec.SNR)
    if values is not None and not np.all((values >= 0) & np.isfinite(values)):
        yield warning("C07", spec.SNR, "values below 0, or no finite numbers")


def _names(channels: int | None, stored: int | None) -> tuple[object, object]:
    return ("C" if channels is None else channels), ("K" if stored is None else stored)


def regular_grid(file: Content) -> Problems:
    """C09 and C10."""
    delta = file.reals("/calibration/deltaSampleSize")
    if delta is not None and delta.size and np.all(delta == 0):
        yield warning("C10", "/calibration/deltaSampleSize", "all 0: the size of the sample is unknown")
    stored, size = file.reals(_POSITIONS), file.integers("/calibration/size")
    extent, center = (file.reals(f"/calibration/{name}") for name in ("fieldOfView", "fieldOfViewCenter"))
    letters = "xyz" if not file.has("/calibration/order") else file.text("/calibration/order") or ""
    center = np.zeros(3) if center is None else center
    if stored is None or size is None or extent is None or sorted(letters) != ["x", "y", "z"]:
        return
    if any(vector.shape != (3,) for vector in (size, extent, center)) or np.any(size < 1):
        return
    if stored.shape != (math.prod(size.tolist()), 3):
        return
    distance = _off_grid(stored, Grid(size, extent, center, letters))
    if not distance <= _CLOSE:
        what = f"not on the grid of size and fieldOfView in the order {letters}"
        yield warning("C09", _POSITIONS, what, f"{distance:.3g} voxels beside it")


def _off_grid(stored: Array, grid: Grid) -> float:
    """Return the largest distance between stored positions and a grid, in voxels."""
    by_grid = stored[stored_index(grid.size, grid.order)]
    voxel = np.where(grid.spacing > 0, grid.spacing, np.inf)
    distance: float = np.abs((by_grid - grid.positions()) / voxel).max()
    return distance


def images(file: Content) -> Problems:
    """P01 and P02."""
    shape = file.shape(_IMAGES) if file.has(_IMAGES) else None
    if shape is None:
        return
    if len(shape) == 2:
        yield warning("P01", _IMAGES, "without an axis of contrasts, as in version 1", shape, "(Q, P, S)")
    elif len(shape) != 3:
        yield error("P01", _IMAGES, "the axes", shape, "(Q, P, S)")
        return
    if 0 in shape:
        yield error("P01", _IMAGES, "an axis without values", shape)
    voxels, product = shape[1], _product(file, "/reconstruction/size")
    if product not in {None, voxels}:
        yield error("P02", "/reconstruction/size", "its product", product, f"{voxels} voxels")
    for path, expected in (("/reconstruction/positions", (voxels, 3)), (_OVERSCAN, (voxels,))):
        found = file.shape(path) if file.has(path) else None
        if found not in {None, expected}:
            yield error("P02", path, "the shape", found, expected)
    overscan = file.reals(_OVERSCAN)
    if overscan is not None and not np.all((overscan == 0) | (overscan == 1)):
        yield error("P02", _OVERSCAN, "values other than 0 and 1")


RULES = (vectors, positions, order, snr, regular_grid, images)
