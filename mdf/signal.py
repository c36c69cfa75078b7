"""Which part of the signal is read, and what is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdf import spec
from mdf.layout import Array, Domain, Ints, Layout
from mdf.nodes import reading

Some = int | Sequence[int] | slice | NDArray[Any] | None


def places(some: Some, length: int) -> Ints:
    """Return the places along an axis, from 0, that indices, a mask or a slice mean; None means all.

    Raises
    ------
    IndexError
        If there are no such places.
    """
    everything = np.arange(length)
    if some is None:
        return everything
    chosen = some if isinstance(some, slice) else np.asarray(some)
    if isinstance(chosen, np.ndarray) and chosen.size == 0:
        chosen = chosen.astype(np.int64)
    return np.atleast_1d(everything[chosen])


@dataclass(frozen=True)
class Reader:
    """Reads the same periods, channels and values of any frames.

    Parameters
    ----------
    path : Path
        Of the file, for messages.
    layout : Layout
    domain : {"time", "frequency"}
    full : bool
        Fill spectra with zeros for the components that are not stored.
    some : (periods, channels, samples, components)
    """

    path: Path
    layout: Layout
    domain: Domain
    full: bool
    some: tuple[Some, Some, Some, Some]

    def __post_init__(self) -> None:
        wrong = 3 if self.domain == "time" else 2
        if self.some[wrong] is not None:
            name = "components" if self.domain == "time" else "samples"
            raise ValueError(f"{name} are given for a signal in the {self.domain} domain")

    @property
    def _changes_domain(self) -> bool:
        return (self.domain == "frequency") != self.layout.is_fourier

    @property
    def frame_bytes(self) -> int:
        """Memory that one frame takes at the most while it is read."""
        periods, channels = (len(places(self.some[axis], self.layout.shape[axis + 1])) for axis in (0, 1))
        longest = max(self.layout.shape[3], self.layout.samples + 2)
        return periods * channels * longest * 16 * (3 if self._changes_domain else 2)

    def read(self, frames: Ints, block: int) -> Array:
        """Read frames by their stored places, shape (n, J, C, V or K)."""
        layout = self.layout
        _, periods, channels, values = layout.shape
        picks = [frames, places(self.some[0], periods), places(self.some[1], channels)]
        some = self.some[2 if self.domain == "time" else 3]
        with reading(self.path, spec.DATA), np.errstate(invalid="ignore", over="ignore"):
            if self.domain == "frequency" and self.full and layout.is_fourier:
                return self._read_full(picks, places(some, layout.samples // 2 + 1), block)
            if not self._changes_domain:
                return layout.read([*picks, places(some, values)], block)
            signal = layout.to_domain(layout.read([*picks, np.arange(values)], block), self.domain)
            return signal if some is None else signal[..., places(some, signal.shape[-1])]

    def _read_full(self, picks: Sequence[Ints], wanted: Ints, block: int) -> Array:
        layout = self.layout
        stored = np.full(layout.samples // 2 + 1, -1)
        stored[layout.lines] = np.arange(layout.shape[3])
        there = stored[wanted] >= 0
        signal = layout.read([*picks, stored[wanted][there]], block)
        if np.all(there):
            return signal
        out: Array = np.zeros((*signal.shape[:-1], len(wanted)), signal.dtype)
        out[..., there] = signal
        return out
