"""Small, whole MDF files of every sort, from which damaged ones are made."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import mdf

# N = 5, J = 2, C = 2, V = 12, D = 2, F = 1
IDENTITY = "00000000-0000-4000-8000-000000000001"
SHARED: dict[str, Any] = {
    **dict.fromkeys(("/uuid", "/study/uuid", "/experiment/uuid"), IDENTITY),
    "/time": "2026-03-02T10:15:31",
    **dict.fromkeys(
        ("/study/name", "/study/description", "/experiment/name", "/experiment/description"), "a"
    ),
    **dict.fromkeys(("/experiment/subject", "/scanner/name", "/scanner/facility", "/scanner/operator"), "b"),
    "/study/number": 1,
    "/experiment/number": 2,
    "/experiment/isSimulation": True,
    "/scanner/manufacturer": "c",
    "/scanner/topology": "FFP",
    "/tracer/name": np.array(["x", "y"], object),
    "/tracer/vendor": np.array(["v", "v"], object),
    "/tracer/batch": np.array(["1", "2"], object),
    "/tracer/volume": np.array([1e-6, 2e-6]),
    "/tracer/concentration": np.array([0.5, 0.25]),
    "/tracer/solute": np.array(["Fe", "Fe"], object),
    "/tracer/injectionTime": np.array(["2026-03-02T10:15:30"] * 2, object),
    "/acquisition/numAverages": 3,
    "/acquisition/startTime": "2026-03-02T10:15:30",
    "/acquisition/gradient": np.broadcast_to(np.diag([-1.0, -1.0, 2.0]), (2, 1, 3, 3)),
    "/acquisition/offsetField": np.zeros((2, 1, 3)),
    "/acquisition/drivefield/baseFrequency": 2.5e6,
    "/acquisition/drivefield/divider": np.array([[12], [6]]),
    "/acquisition/drivefield/strength": np.full((2, 2, 1), 0.012),
    "/acquisition/drivefield/phase": np.full((2, 2, 1), 0.5),
    "/acquisition/receiver/bandwidth": 1.25e6,
    "/acquisition/receiver/unit": "V",
    "/acquisition/receiver/dataConversionFactor": np.array([[2.0, 0.1], [3.0, 0.0]]),
}
OWN = {
    "/_mpikit/history": '[{"command": "denoise", "at": "now", "options": {"method": "wiener"}}]',
    "/_mpikit/repeats": "frames",
    "/tracer/_own": np.arange(3.0),
}
GRID = {
    "/calibration/method": "robot",
    "/calibration/size": np.array([3, 2, 1]),
    "/calibration/fieldOfView": np.array([0.03, 0.02, 0.01]),
    "/calibration/fieldOfViewCenter": np.zeros(3),
    "/calibration/order": "xyz",
    "/calibration/deltaSampleSize": np.full(3, 0.001),
}


@cache
def bases() -> tuple[bytes, ...]:
    """Return the files: measurements in time and frequency, calibrations, images, version 1."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for index, write in enumerate((_time, _spectra, _calibration, _sparse, _images, _version_1)):
            write(folder / f"{index}.mdf", rng)
        return tuple(path.read_bytes() for path in sorted(folder.iterdir()))


def _time(path: Path, rng: np.random.Generator) -> None:
    mask = {"/measurement/isBackgroundFrame": np.array([1, 0, 0, 0, 1], np.int8)}
    mdf.write(path, SHARED | mask, rng.normal(size=(5, 2, 2, 12)).astype(np.float32), user=OWN)


def _complex(rng: np.random.Generator, *shape: int) -> np.ndarray[Any, Any]:
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


def _spectra(path: Path, rng: np.random.Generator) -> None:
    more = {
        "/measurement/isBackgroundFrame": np.array([0, 0, 1, 0, 1], np.int8),
        "/measurement/isFourierTransformed": True,
        "/measurement/isFramePermutation": True,
        "/measurement/framePermutation": np.array([3, 1, 2, 5, 4]),
        "/measurement/isFrequencySelection": True,
        "/measurement/frequencySelection": np.array([2, 3, 5]),
        "/acquisition/receiver/numSamplingPoints": 12,
        "/acquisition/receiver/transferFunction": _complex(rng, 2, 3).astype(np.complex128),
        "/acquisition/receiver/inductionFactor": np.array([1.0, 2.0]),
    }
    mdf.write(path, SHARED | more, _complex(rng, 5, 2, 2, 3), user=OWN)


def _of_matrix(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "/measurement/isBackgroundFrame": np.array([0] * 6 + [1, 1], np.int8),
        "/measurement/isFourierTransformed": True,
        "/measurement/isFastFrameAxis": True,
        "/acquisition/receiver/numSamplingPoints": 12,
        "/calibration/snr": rng.uniform(1, 9, (2, 2, 7)),
    }


def _calibration(path: Path, rng: np.random.Generator) -> None:
    positions = mdf.Grid(GRID["/calibration/size"], GRID["/calibration/fieldOfView"], np.zeros(3)).positions()
    more = _of_matrix(rng) | {"/calibration/positions": positions[::-1]}
    mdf.write(path, SHARED | GRID | more, _complex(rng, 8, 2, 2, 7), user=OWN)


def _sparse(path: Path, rng: np.random.Generator) -> None:
    plain = path.with_suffix(".plain")
    mdf.write(plain, SHARED | GRID | _of_matrix(rng), _complex(rng, 8, 2, 2, 7))
    mdf.convert(plain, path, sparsity="DCT-II", kept=4)
    plain.unlink()
    with h5py.File(path, "r+") as hdf:
        for name in ("uuid", "time"):  # every file has the same ones
            hdf[name][()] = SHARED[f"/{name}"]


def _images(path: Path, rng: np.random.Generator) -> None:
    more = {name.replace("calibration", "reconstruction"): value for name, value in GRID.items()}
    for name in ("method", "deltaSampleSize"):
        del more[f"/reconstruction/{name}"]
    more |= {"/reconstruction/data": rng.normal(size=(2, 6, 1)).astype(np.float32)}
    needed = {"/acquisition/numFrames": 2, "/acquisition/numPeriodsPerFrame": 2}
    needed |= {"/acquisition/receiver/numChannels": 2, "/acquisition/receiver/numSamplingPoints": 12}
    without = {name: value for name, value in SHARED.items() if "ConversionFactor" not in name}
    mdf.write(path, without | needed | more, user=OWN)


def _version_1(path: Path, rng: np.random.Generator) -> None:
    """Write a calibration of version 1.0, which has other names, flat dividers and no frame axis."""
    nodes: dict[str, Any] = {
        "/version": "1.0.5",
        "/uuid": IDENTITY,
        "/date": "2016-03-02T10:15:30.5",
        "/study/name": "old",
        "/study/experiment": "17",
        "/study/subject": "a dot",
        "/study/simulation": 1,
        "/tracer/name": "particles",
        "/tracer/volume": 1e-6,
        "/tracer/concentration": 0.5,
        "/scanner/facility": "here",
        "/scanner/model": "bench",
        "/scanner/topology": "FFP",
        "/acquisition/numFrames": 4,
        "/acquisition/numPatches": 1,
        "/acquisition/framePeriod": 8e-6,
        "/acquisition/gradient": np.array([1.0, 1.5, -2.5]),
        "/acquisition/drivefield/numChannels": 2,
        "/acquisition/drivefield/strength": np.array([[0.01, 0.02]]),
        "/acquisition/drivefield/baseFrequency": 2.5e6,
        "/acquisition/drivefield/divider": np.array([12, 6]),
        "/acquisition/drivefield/period": 4e-6,
        "/acquisition/drivefield/averages": 6,
        "/acquisition/receiver/numChannels": 3,
        "/acquisition/receiver/bandwidth": np.full(3, 1.25e6),
        "/acquisition/receiver/numSamplingPoints": np.full(3, 12),
        "/measurement/dataTD": rng.normal(size=(4, 1, 3, 12)).astype(np.float32),
    }
    with h5py.File(path, "w") as hdf:
        for name, value in nodes.items():
            hdf[name] = value
