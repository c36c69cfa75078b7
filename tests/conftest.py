"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

# before torch is loaded: its waiting threads would spin, and starve each other beside a busy process
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture(scope="session")
def samples() -> Path:
    """Folder of the supplied sample files (``MPIKIT_SAMPLES``)."""
    folder = os.environ.get("MPIKIT_SAMPLES")
    if not folder:
        pytest.skip("MPIKIT_SAMPLES does not name the folder of the sample files")
    return Path(folder)
