"""Files made by hand with h5py, and contents for the writer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from old_file import write as write_old
from valid_files import FILES

NIL = "00000000-0000-4000-8000-00000000000"

# N = 5, J = 3, C = 2, V = 10, D = 2, F = 1: all different.
TEXTS = {
    "/version": "2.1.0",
    "/uuid": NIL + "1",
    "/time": "2026-03-02T10:15:30.500",
    "/study/name": "Prüfung",
    "/study/uuid": NIL + "2",
    "/study/description": "made by hand",
    "/experiment/name": "one",
    "/experiment/uuid": NIL + "3",
    "/experiment/description": "nothing",
    "/experiment/subject": "a dot",
    "/scanner/name": "bench",
    "/scanner/facility": "here",
    "/scanner/manufacturer": "us",
    "/scanner/operator": "nobody",
    "/scanner/topology": "FFP",
    "/acquisition/startTime": "2026-03-02T10:15:30",
    "/acquisition/receiver/unit": "V",
}
FLAGS = (
    "BackgroundCorrected",
    "FastFrameAxis",
    "FourierTransformed",
    "FramePermutation",
    "FrequencySelection",
    "SpectralLeakageCorrected",
    "TransferFunctionCorrected",
    "SparsityTransformed",
)


def nodes_of_a_file() -> dict[str, Any]:
    """Everything mandatory, as it stands in a file."""
    return {
        **TEXTS,
        "/study/number": 1,
        "/experiment/number": 2,
        "/experiment/isSimulation": np.int8(1),
        "/acquisition/numFrames": 5,
        "/acquisition/numPeriodsPerFrame": 3,
        "/acquisition/numAverages": 4,
        "/acquisition/gradient": np.broadcast_to(np.diag([-1.0, -1.0, 2.0]), (3, 1, 3, 3)),
        "/acquisition/offsetField": np.zeros((3, 1, 3)),
        "/acquisition/drivefield/numChannels": 2,
        "/acquisition/drivefield/baseFrequency": 2.5e6,
        "/acquisition/drivefield/divider": np.array([[10], [5]]),
        "/acquisition/drivefield/strength": np.full((3, 2, 1), 0.012),
        "/acquisition/drivefield/phase": np.full((3, 2, 1), np.pi / 2),
        "/acquisition/drivefield/waveform": np.array([["sine"], ["triangle"]], object),
        "/acquisition/drivefield/cycle": 4e-6,
        "/acquisition/receiver/numChannels": 2,
        "/acquisition/receiver/numSamplingPoints": 10,
        "/acquisition/receiver/bandwidth": 1.25e6,
        "/measurement/data": np.arange(300, dtype=np.float32).reshape(5, 3, 2, 10),
        "/measurement/isBackgroundFrame": np.array([1, 0, 0, 0, 1], np.int8),
        **{f"/measurement/is{flag}": np.int8(0) for flag in FLAGS},
    }


def write_nodes(path: Path, changes: Mapping[str, Any]) -> Path:
    """Write a file by hand; a value of None leaves that dataset out."""
    with h5py.File(path, "w") as hdf:
        for node, value in (nodes_of_a_file() | dict(changes)).items():
            if value is None:
                continue
            is_text = isinstance(value, np.ndarray) and value.dtype.kind == "O"
            hdf.create_dataset(node, data=value, dtype=h5py.string_dtype() if is_text else None)
    return path


@pytest.fixture(scope="session")
def by_hand() -> Callable[[Path, Mapping[str, Any]], Path]:
    return write_nodes


@pytest.fixture
def made(tmp_path: Path) -> Callable[[Mapping[str, Any]], Path]:
    """Make a file by hand, with changes: a value of None leaves that dataset out."""
    return lambda changes: write_nodes(tmp_path / "made.mdf", changes)


@pytest.fixture
def contents() -> dict[str, Any]:
    """The least that the writer asks for, N = 5, J = 3, C = 2, V = 10."""
    knowable = ("numFrames", "numPeriodsPerFrame", "numAverages", "numChannels", "numSamplingPoints", "cycle")
    return {
        path: value
        for path, value in nodes_of_a_file().items()
        if not path.endswith(("/version", "/uuid", "/time", "/data", *knowable))
        and (path.endswith("isBackgroundFrame") or not path.startswith("/measurement/is"))
    }


@pytest.fixture
def signal(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(5, 3, 2, 10)).astype(np.float32)


@pytest.fixture
def old(tmp_path: Path) -> Callable[[Mapping[str, Any]], Path]:
    """Make a file of version 1 by hand, with changes: a value of None leaves that dataset out."""
    return lambda changes: write_old(tmp_path / "old.mdf", changes)


@pytest.fixture
def frames(rng: np.random.Generator) -> np.ndarray:
    """Return what the file of version 1 may hold, (L, J, C, V)."""
    return rng.normal(size=(4, 2, 3, 10))


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Make a valid file, and change it: None leaves out a dataset, or all of a group."""

    def build(name: str, changes: dict[str, Any]) -> Path:
        path = write_nodes(tmp_path / "made.mdf", FILES[name])
        with h5py.File(path, "r+") as hdf:
            for node, value in changes.items():
                if node in hdf:
                    del hdf[node]
                if value is None:
                    continue
                is_text = isinstance(value, np.ndarray) and value.dtype.kind == "O"
                hdf.create_dataset(node, data=value, dtype=h5py.string_dtype() if is_text else None)
        return path

    return build
