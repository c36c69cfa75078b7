"""What a viewer shows: arrays with their place in space, some of them read only where they are looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Read = Callable[[tuple[NDArray[np.int64], ...]], Array]


@dataclass(frozen=True, eq=False)
class OnDemand:
    """An array that is read as it is sliced, as napari takes one.

    Parameters
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    read : callable
        Takes the places along each axis, and returns the array of all their combinations.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Read = field(repr=False)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Array:
        """Read a part: integers, slices and one-dimensional indices, each along its own axis."""
        keys = _keys(key, self.ndim)
        places = tuple(_places(each, length) for each, length in zip(keys, self.shape, strict=True))
        block = self.read(places)
        gone = tuple(axis for axis, each in enumerate(keys) if _is_integer(each))
        return np.squeeze(block, axis=gone)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self[...], dtype)


def _is_integer(key: Any) -> bool:
    return isinstance(key, int | np.integer)


def _keys(key: Any, axes: int) -> tuple[Any, ...]:
    """Return one key for each axis."""
    keys = key if isinstance(key, tuple) else (key,)
    dots = [place for place, each in enumerate(keys) if each is Ellipsis]
    if len(dots) > 1 or len(keys) - len(dots) > axes:
        raise IndexError(f"there are {len(keys)} indices, the array has {axes} axes")
    place = dots[0] if dots else len(keys)
    rest = (slice(None),) * (axes - len(keys) + len(dots))
    return keys[:place] + rest + keys[place + len(dots) :]


def _places(key: Any, length: int) -> NDArray[np.int64]:
    chosen = key if isinstance(key, slice) else np.asarray(key)
    places: NDArray[np.int64] = np.atleast_1d(np.arange(length)[chosen])
    return places


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """An image layer of a viewer, with any number of axes.

    Parameters
    ----------
    name : str
    kind : {"image", "rows", "snr", "signal", "spectrum"}
    data : array
    axes : tuple of str
        What each axis counts.
    scale : tuple of float
        From one value to the next along each axis: mm of the scanner along z, y and x; ms along time.
    translate : tuple of float
        Place of the first value, in the same units.
    limits : (float, float)
        Values at the ends of the colour map.
    colours : str
        Name of a colour map of napari or Matplotlib.
    in_mm : bool
        The last three axes are z, y, x in mm.
    visible : bool
    adds : bool
        Its colours are added to those below.
    about : mapping
        What else is known: numbers and texts.
    """

    name: str
    kind: str
    data: Array | OnDemand
    axes: tuple[str, ...]
    scale: tuple[float, ...]
    translate: tuple[float, ...]
    limits: tuple[float, float]
    colours: str
    in_mm: bool = False
    visible: bool = True
    adds: bool = False
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of each axis, ``pixel`` where it only counts.

        Those of signals are left out: napari takes no unit when its layers have different ones.
        """
        plain = len(self.axes) - 3
        return ("pixel",) * plain + ("mm",) * 3 if self.in_mm else ("pixel",) * len(self.axes)

    def as_napari(self) -> tuple[Any, dict[str, Any], str]:
        """Return the layer as data, options and type, as a reader of napari gives it."""
        options = {
            "name": self.name,
            "axis_labels": self.axes,
            "scale": self.scale,
            "translate": self.translate,
            "units": self.units,
            "contrast_limits": self.limits,
            "colormap": self.colours,
            "interpolation2d": "nearest",
            "blending": "additive" if self.adds else "translucent",
            "visible": self.visible,
            "metadata": {"kind": self.kind, **self.about},
        }
        return self.data, options, "image"

    def described(self) -> dict[str, Any]:
        """Return what `mpikit view --json` prints of the layer."""
        return {
            "name": self.name,
            "kind": self.kind,
            "axes": list(self.axes),
            "shape": list(self.data.shape),
            "scale": list(self.scale),
            "translate": list(self.translate),
            "units": list(self.units),
            "visible": self.visible,
            "about": dict(self.about),
        }


def limits_of(values: Array) -> tuple[float, float]:
    """Return the ends of a colour map: from 0, or the smallest value below it, to the largest one."""
    finite = values[np.isfinite(values)]
    low = min(0.0, float(finite.min())) if finite.size else 0.0
    high = float(finite.max()) if finite.size else 1.0
    return low, high if high > low else low + 1.0
