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


def pytest_terminal_summary(terminalreporter) -> None:
    """Show what tests counted and measured (the fixture `figure`), for whoever quotes it."""
    reports = [each for kind in ("passed", "failed") for each in terminalreporter.stats.get(kind, [])]
    kept = [
        text
        for report in reports
        if report.when == "call"
        for name, text in report.user_properties
        if name == "figure"
    ]
    if kept:
        terminalreporter.section("figures")
    for text in kept:
        terminalreporter.write_line(text)
