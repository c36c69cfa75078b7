"""A small pair of measurement and system matrix with a known image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mdf

SIZE = (4, 3, 2)
VOXELS, CHANNELS, SAMPLES, LINES = 24, 2, 60, 31
RATE = 2e6

BASE = {
    "/study/name": "study",
    "/study/number": 1,
    "/study/description": "a test",
    "/experiment/name": "experiment",
    "/experiment/number": 4,
    "/experiment/description": "a test",
    "/experiment/subject": "points",
    "/experiment/isSimulation": False,
    "/scanner/name": "scanner",
    "/scanner/facility": "here",
    "/scanner/manufacturer": "nobody",
    "/scanner/operator": "nobody",
    "/scanner/topology": "FFP",
    "/acquisition/startTime": "2026-01-02T03:04:05.000",
    "/acquisition/gradient": np.diag([-1.0, -1.0, 2.0])[None, None],
    "/acquisition/offsetField": np.zeros((1, 1, 3)),
    "/acquisition/drivefield/baseFrequency": 2.4e6,
    "/acquisition/drivefield/divider": np.array([[24], [36]]),
    "/acquisition/drivefield/strength": np.array([[[0.012], [0.010]]]),
    "/acquisition/drivefield/phase": np.full((1, 2, 1), np.pi / 2),
    "/acquisition/drivefield/waveform": np.full((2, 1), "sine"),
    "/acquisition/drivefield/cycle": SAMPLES / RATE,
    "/acquisition/receiver/numSamplingPoints": SAMPLES,
    "/acquisition/receiver/bandwidth": RATE / 2,
    "/acquisition/receiver/unit": "V",
}


@dataclass
class Pair:
    """Writes the files; `images` (Q, P) is what they show."""

    folder: Path
    matrix: np.ndarray
    images: np.ndarray
    empty: np.ndarray

    def measurement(
        self, name="measurement.mdf", *, periods=1, background=2, offset=None, user=None, **changes: Any
    ):
        """A measurement in the time domain: empty, all images, empty."""
        spectra = np.tensordot(self.images, self.matrix, 1) + self.empty
        empty = np.repeat(self.empty[None], background, axis=0)
        frames = np.concatenate([empty[: background // 2], spectra, empty[background // 2 :]])
        time = np.fft.irfft(frames, n=SAMPLES, axis=-1)[:, None].repeat(periods, axis=1)
        flags = np.zeros(len(frames), bool)
        flags[: background // 2] = True
        flags[len(frames) - (background - background // 2) :] = background > 0
        contents = {**BASE, "/measurement/isBackgroundFrame": flags}
        for path in ("gradient", "offsetField", "drivefield/strength", "drivefield/phase"):
            contents[f"/acquisition/{path}"] = np.repeat(BASE[f"/acquisition/{path}"], periods, axis=0)
        if offset is not None:
            contents["/acquisition/offsetField"] = np.asarray(offset)
        return self._write(name, contents | changes, time.astype(np.float32), user)

    def calibration(self, name="system.mdf", *, background=2, snr=None, lines=None, **changes: Any):
        """A calibration in the frequency domain with the background frames last."""
        frames = np.concatenate([self.matrix + self.empty, np.repeat(self.empty[None], background, axis=0)])
        contents = {
            **BASE,
            "/measurement/isBackgroundFrame": np.arange(VOXELS + background) >= VOXELS,
            "/measurement/isFourierTransformed": True,
            "/measurement/isFastFrameAxis": True,
            "/calibration/method": "robot",
            "/calibration/size": np.array(SIZE),
            "/calibration/fieldOfView": np.array([0.04, 0.033, 0.010]),
            "/calibration/fieldOfViewCenter": np.array([0.001, 0.002, -0.003]),
            "/calibration/order": "xyz",
        }
        if snr is not None:
            contents["/calibration/snr"] = snr[None]
        if lines is not None:
            frames = frames[..., lines]
            contents["/measurement/isFrequencySelection"] = True
            contents["/measurement/frequencySelection"] = np.asarray(lines) + 1
        return self._write(name, contents | changes, frames[:, None].astype(np.complex64), None)

    def _write(self, name, contents, data, user):
        path = self.folder / name
        contents = {key: value for key, value in contents.items() if value is not None}
        mdf.write(path, contents, data, user=user, overwrite=True)
        return path


@pytest.fixture
def pair(tmp_path, rng) -> Pair:
    def spectra(*shape):
        drawn = rng.normal(size=shape) + 1j * rng.normal(size=shape)
        drawn[..., [0, -1]] = drawn[..., [0, -1]].real  # of a real signal with an even number of samples
        return drawn

    images = np.zeros((3, VOXELS))
    images[[0, 1, 2], [5, 14, 23]] = 1.0, 0.5, 2.0
    images[:, 8] = 0.25
    return Pair(tmp_path, spectra(VOXELS, CHANNELS, LINES), images, 10 * spectra(CHANNELS, LINES))
