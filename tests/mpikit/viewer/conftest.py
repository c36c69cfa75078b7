"""Small files of each kind, all of their axes of different length."""

from __future__ import annotations

import numpy as np
import pytest

import mdf

SUBJECT, STUDY = "Jane Doe", "a study with a name"
SIZE = np.array([5, 4, 3])  # x, y, z
EXTENT = np.array([0.010, 0.012, 0.015])  # voxels of 2 x 3 x 5 mm
CENTER = np.array([0.001, 0.002, -0.003])
# centres of the first voxel, mm: 1 - 5 + 1, 2 - 6 + 1.5, -3 - 7.5 + 2.5
SCALE, FIRST = (5.0, 3.0, 2.0), (-8.0, -2.5, -3.0)
CHANNELS, SAMPLES, LINES = 2, 60, 31
RATE = 2e6

BASE = {
    **dict.fromkeys(("/study/description", "/experiment/name", "/experiment/description"), "test"),
    **dict.fromkeys(("/scanner/name", "/scanner/facility", "/scanner/manufacturer"), "test"),
    "/scanner/operator": "test",
    "/scanner/topology": "FFP",
    "/study/name": STUDY,
    "/study/number": 1,
    "/experiment/number": 2,
    "/experiment/subject": SUBJECT,
    "/experiment/isSimulation": True,
    "/acquisition/startTime": "2026-03-02T10:15:30.500",
    "/acquisition/drivefield/baseFrequency": 2.4e6,
    "/acquisition/drivefield/divider": np.array([[24], [36]]),
    "/acquisition/drivefield/cycle": SAMPLES / RATE,
    "/acquisition/drivefield/waveform": np.full((2, 1), "sine"),
    "/acquisition/receiver/numSamplingPoints": SAMPLES,
    "/acquisition/receiver/bandwidth": RATE / 2,
    "/acquisition/receiver/unit": "V",
}


def of_periods(periods):
    return {
        **BASE,
        "/acquisition/drivefield/strength": np.full((periods, 2, 1), 0.012),
        "/acquisition/drivefield/phase": np.full((periods, 2, 1), np.pi / 2),
    }


def write_measurement(path, signal, empty=()):
    """Write (N, J, C, V); `empty` are the background frames."""
    flags = np.isin(np.arange(len(signal)), empty)
    mdf.write(path, {**of_periods(signal.shape[1]), "/measurement/isBackgroundFrame": flags}, signal)
    return path


def write_images(path, images, *, extent=EXTENT, user=None):
    """Write (Q, z, y, x, S)."""
    values = np.asarray(images, np.float32)
    z, y, x = values.shape[1:4]
    contents = {
        **of_periods(1),
        "/acquisition/numFrames": len(values),
        "/acquisition/numPeriodsPerFrame": 1,
        "/acquisition/receiver/numChannels": CHANNELS,
        "/acquisition/drivefield/numChannels": 2,
        "/reconstruction/data": values.reshape(len(values), x * y * z, -1),
        "/reconstruction/size": np.array([x, y, z]),
        "/reconstruction/fieldOfView": np.asarray(extent),
        "/reconstruction/fieldOfViewCenter": CENTER,
        "/reconstruction/order": "xyz",
    }
    mdf.write(path, contents, user=user)
    return path


def write_matrix(path, rows, empty, *, snr=None, **changes):
    """Write rows (O, C, K) in grid order, with two equal empty frames (C, K) behind."""
    frames = np.concatenate([rows + empty, empty[None], empty[None]])[:, None]
    contents = {
        **of_periods(1),
        "/measurement/isBackgroundFrame": np.arange(len(frames)) >= len(rows),
        "/measurement/isFourierTransformed": True,
        "/measurement/isFastFrameAxis": True,
        "/calibration/method": "robot",
        "/calibration/size": SIZE,
        "/calibration/fieldOfView": EXTENT,
        "/calibration/fieldOfViewCenter": CENTER,
        "/calibration/order": "xyz",
    }
    if snr is not None:
        contents["/calibration/snr"] = snr[None]
    mdf.write(path, {key: value for key, value in (contents | changes).items() if value is not None}, frames)
    return path


@pytest.fixture
def rows(rng):
    """Rows of a matrix (O, C, K)."""
    shape = (int(np.prod(SIZE)), CHANNELS, LINES)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


@pytest.fixture
def matrix(tmp_path, rows, rng):
    """Return a calibration whose SNR is 5, 10, 15, ... over frequency in the first channel."""
    snr = np.stack([5.0 * np.arange(LINES), np.full(LINES, 2.0)])
    empty = 3 * rng.normal(size=rows.shape[1:]).astype(np.complex64)
    return write_matrix(tmp_path / "sm.mdf", rows, empty, snr=snr)


@pytest.fixture
def scan(tmp_path, rng):
    """Return a measurement of 7 frames and 3 periods, the last frame empty."""
    signal = rng.normal(size=(7, 3, CHANNELS, SAMPLES)).astype(np.float32)
    return write_measurement(tmp_path / "scan.mdf", signal, empty=[6])


@pytest.fixture
def image(tmp_path, rng):
    """Return a reconstruction of two images of one tracer."""
    return write_images(tmp_path / "image.mdf", rng.random((2, 3, 4, 5, 1)))
