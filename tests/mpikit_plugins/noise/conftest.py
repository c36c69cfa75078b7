"""What the tests of all noise models need."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit.scan import Corrections
from mpikit.scan_file import write_scan
from mpikit.testing import example_scan

RATE = 25e3 * 162  # the drive field of the example, 162 samples in a period

ABOUT = {
    "/study/name": "tests",
    "/study/number": 1,
    "/study/description": "noise",
    "/experiment/name": "empty scanner",
    "/experiment/number": 2,
    "/experiment/description": "made by a test",
    "/experiment/subject": "nothing",
    "/experiment/isSimulation": True,
    "/scanner/name": "none",
    "/scanner/facility": "none",
    "/scanner/manufacturer": "none",
    "/scanner/operator": "none",
    "/scanner/topology": "FFP",
    "/acquisition/startTime": "2026-03-02T10:15:30.500",
}


@pytest.fixture
def clean(rng):
    """Signals of different strength, (4, 2, 3, 2000)."""
    return rng.normal(size=(4, 2, 3, 2000)) * rng.uniform(0.1, 10, size=(4, 2, 3, 1))


@pytest.fixture
def draw():
    """Draw noise for clean signals, of which the first was acquired at the place ``start``."""

    def drawn(noise, clean, seed=1, start=0, **scanner):
        scanner = {"sampling_rate": RATE, "drive_field": example_scan().drive_field} | scanner
        index = np.arange(start, start + len(clean))
        return noise(clean, frame_index=index, rng=np.random.default_rng(seed), **scanner)

    return drawn


@pytest.fixture
def begin():
    """Begin a measurement."""

    def begun(noise, power, samples=162, seed=2, **scanner):
        scanner = {"sampling_rate": RATE, "drive_field": example_scan().drive_field} | scanner
        rng = np.random.default_rng(seed)
        return noise.begin(power=np.asarray(power, float), samples=samples, rng=rng, **scanner)

    return begun


@pytest.fixture
def empty_file(tmp_path):
    """MDF file like the example; its background (5, 3, 2, 162) says which frame and period each is."""
    scan = example_scan(frames=2, periods=3, background_frames=5)
    label = 10 * np.arange(5)[:, None] + np.arange(3)
    background = scan.background + 1000 * label[:, :, None, None].astype(np.float32)
    path = tmp_path / "empty.mdf"
    write_scan(replace(scan, background=background), path, contents=ABOUT)
    return path


@pytest.fixture
def file_of_averages(tmp_path):
    """Write a file whose frames are so many averages."""

    def written(averages):
        scan = replace(example_scan(), corrections=Corrections(averages=averages))
        write_scan(scan, tmp_path / f"of{averages}.mdf", contents=ABOUT)
        return tmp_path / f"of{averages}.mdf"

    return written


@pytest.fixture
def file_without_background(tmp_path):
    path = tmp_path / "full.mdf"
    write_scan(example_scan(frames=2, background_frames=0), path, contents=ABOUT)
    return path
