"""Small files of each kind, made once for all tests."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import mdf
from mdf import Grid
from mpikit.denoise_file import denoise_file
from mpikit.provenance import HISTORY, run_record
from mpikit.reconstruct.image import Images
from mpikit.scan_file import scan_contents, write_scan
from mpikit.simulate import preset
from mpikit.simulate.calibration_files import simulate_calibration_file
from mpikit.simulate.files import How
from mpikit.testing import example_scan

STUDY = "<script>alert(1)</script>"
SUBJECT = "Jane <b>Doe</b>"
ABOUT = {
    **dict.fromkeys(("/study/description", "/experiment/name", "/experiment/description"), "test"),
    **dict.fromkeys(("/scanner/name", "/scanner/facility", "/scanner/manufacturer"), "test"),
    "/scanner/operator": "test",
    "/study/name": STUDY,
    "/experiment/subject": SUBJECT,
    "/scanner/topology": "FFP",
    "/study/number": 1,
    "/experiment/number": 2,
    "/experiment/isSimulation": True,
    "/acquisition/startTime": "2026-03-02T10:15:30.500",
}
GRID = Grid(np.array([5, 4, 1]), np.array([0.010, 0.008, 0.001]), np.array([0.001, 0.0, 0.0]))


def write_reconstruction(path, values, *, grid=GRID, history=(), **user):
    """Write images (Q, z, y, x) with a history."""
    images = Images(np.asarray(values, np.float32), grid, np.arange(len(values)), "delta sample")
    contents = {
        name: value
        for name, value in scan_contents(example_scan()).items()
        if not name.startswith("/measurement")
    }
    told = {HISTORY: json.dumps(list(history)), **user}
    more = {"/acquisition/numPeriodsPerFrame": 1, "/acquisition/numFrames": 6}
    more |= {"/acquisition/receiver/numChannels": 2, "/acquisition/receiver/numSamplingPoints": 162}
    more |= {"/acquisition/drivefield/numChannels": 1, "/acquisition/drivefield/cycle": 4e-5}
    mdf.write(path, {**ABOUT, **contents, **more, **images.contents()}, user=told)
    return path


def reconstruction_record(source, **figures):
    return run_record(
        "reconstruct", inputs=[source], options={"method": "kaczmarz", "lambda": 0.1}, **figures
    )


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Folder with a noisy scan, the denoised one, images of both, a calibration and the log of a training."""
    folder = tmp_path_factory.mktemp("report")
    scan, denoised = folder / "scan.mdf", folder / "scan.harmonic.mdf"
    write_scan(example_scan(frames=8, background_frames=12), scan, contents=ABOUT)
    denoise_file(scan, method="harmonic")
    rng = np.random.default_rng(5)
    clean = rng.random((1, 1, 4, 5))
    noisy = reconstruction_record(scan)
    write_reconstruction(folder / "scan.reconstruction.mdf", clean + 0.1, history=[noisy])
    with mdf.open(denoised) as file:
        told = json.loads(file.user_value(HISTORY))
    made = reconstruction_record(denoised, **{"lambda": {"relative": 0.25, "absolute": 3.5}})
    write_reconstruction(folder / "image.mdf", clean, history=[*told, made])
    scanner = preset("openmpi-2d")
    grid = scanner.calibration.grid((5, 4), (0.030, 0.030))
    simulate_calibration_file(scanner, folder / "sm.mdf", grid=grid, how=How(seed=1))
    rows = [{"step": step, "total": 3, "seconds": 0.5 * step, "loss": 1.0 / step} for step in (1, 2, 3)]
    (folder / "model.log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def copied(made, tmp_path):
    """Return a copy of these files that a test may change."""
    folder = tmp_path / "files"
    shutil.copytree(made, folder)
    return folder


@pytest.fixture
def empty_scan():
    """Return a scan with background frames alone."""
    scan = example_scan(frames=1, background_frames=6)
    return replace(
        scan,
        signal=scan.signal[:0],
        foreground_index=np.arange(0),
        background_index=np.arange(6),
        repeats="none",
    )
