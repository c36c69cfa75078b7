"""What a kind of fuzzed file is: how a case is made from its number, and what reads it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Rng = np.random.Generator


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Parameters
    ----------
    name : str
    make : callable
        Takes a generator and an empty folder, writes the case there and returns its path.
    read : callable
        Takes that path; whatever it raises besides the errors of mpikit and mdf is a finding.
    of_hdf5 : bool
        The HDF5 library reads the bytes: an end or an endless loop inside of it is counted apart.
    """

    name: str
    make: Callable[[Rng, Path], Path]
    read: Callable[[Path], object]
    of_hdf5: bool = False


def generator(kind: str, number: int) -> Rng:
    """Return the generator of a case: number and kind decide what it is, and nothing else."""
    return np.random.default_rng([zlib.crc32(kind.encode()), number])
