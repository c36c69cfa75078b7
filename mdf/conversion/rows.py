"""Some frequency components, or samples, of all frames of a file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdf import spec
from mdf.conversion.options import ConversionError
from mdf.file import File

Array = np.ndarray[Any, Any]
Ints = NDArray[np.int64]

MEMORY = 2**26  # bytes of one block
_WHOLE = 2**30  # bytes of a signal that is transformed at once, where rows of the other domain are asked for


def components_of(file: File) -> Ints:
    """Return the place in the file of each stored component in ascending order, shape (K,)."""
    return np.argsort(file.frequencies, kind="stable")


class Rows:
    """Some components, or samples, of all frames of a file.

    Parameters
    ----------
    file : File
    domain : {"time", "frequency"}
    channels : shape (C',)
    """

    def __init__(self, file: File, domain: str, channels: Ints) -> None:
        self._file = file
        self._channels = channels
        self._whole: Array | None = None
        self._places: Ints | None = None
        if domain != domain_of(file):
            reason = self.why_not(file, domain)
            if reason:
                raise ConversionError(reason, hint="convert it to the other domain first")
            self._whole = file.read_signal(order="stored", domain=domain)[:, :, channels]  # type: ignore[arg-type]
        elif domain == "frequency":
            self._places = components_of(file)

    @staticmethod
    def why_not(file: File, domain: str) -> str:
        """Return why rows cannot be read in a domain, or an empty text."""
        if domain == domain_of(file):
            return ""
        total = file.num_samples // 2 + 1
        size = 8 * file.num_frames * file.num_periods * file.num_channels * total
        return "" if size <= _WHOLE else f"its {domain_of(file)} data are too large to be transformed at once"

    def read(self, values: Ints) -> Array:
        """Return components in ascending order, or samples, from 0, shape (N, J, C', n); N as stored."""
        if self._whole is not None:
            return self._whole[..., values]
        if self._places is None:
            return self._file.read_signal(order="stored", channels=self._channels, samples=values)
        components = self._places[values]
        return self._file.read_signal(order="stored", channels=self._channels, components=components)


def domain_of(file: File) -> str:
    """Return the domain in which a file stores its signal."""
    return "frequency" if file.value(spec.FOURIER) else "time"
