"""Small problems for the solvers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def oracle() -> tuple[Any, Any]:
    """Matrix and data of a published set of oracles, exact in binary."""
    matrix = np.array([[1 + 2j, 0.5, -1j], [0, 2 - 1j, 1 + 1j], [0.5j, -1, 1.5], [1 - 1j, 1j, 2]])
    data = np.array([[2.125 + 1.25j], [4.375 - 1.375j], [-1 + 0.5j], [2 + 1.125j]])
    return matrix, data


@pytest.fixture(scope="session")
def make_system() -> Callable[..., tuple[Any, Any]]:
    """Random matrices, with data that random images explain in part."""

    def make(seed: int, rows: int = 37, voxels: int = 24, frames: int = 3, kind: Any = np.complex128):
        rng = np.random.default_rng(seed)
        matrix = rng.normal(size=(rows, voxels)) + 1j * rng.normal(size=(rows, voxels))
        matrix *= np.linspace(1, 0.2, voxels)
        images = np.maximum(rng.normal(size=(voxels, frames)), 0)
        noise = rng.normal(size=(rows, frames)) + 1j * rng.normal(size=(rows, frames))
        return matrix.astype(kind), (matrix @ images + noise).astype(kind)

    return make
