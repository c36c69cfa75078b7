"""A file of version 1.0, built by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

# J = 2 patches, C = 3, V = 10, D = 2: all different; L = 4 frames.
NODES = {
    "/version": "1.0.5",
    "/uuid": "00000000-0000-4000-8000-000000000001",
    "/date": "2016-03-02T10:15:30.5",
    "/study/name": "old",
    "/study/experiment": "17",
    "/study/description": "what was done",
    "/study/subject": "a dot",
    "/study/simulation": 1,
    "/study/reference": 0,
    "/tracer/name": "particles",
    "/tracer/batch": "1",
    "/tracer/vendor": "them",
    "/tracer/volume": 1e-6,
    "/tracer/concentration": 0.5,
    "/tracer/time": "2016-03-02T10:00:00",
    "/scanner/facility": "here",
    "/scanner/operator": "nobody",
    "/scanner/manufacturer": "us",
    "/scanner/model": "bench",
    "/scanner/topology": "FFP",
    "/acquisition/time": "2016-03-02T10:15:00",
    "/acquisition/numFrames": 4,
    "/acquisition/numPatches": 2,
    "/acquisition/framePeriod": 8e-6,
    "/acquisition/gradient": np.array([[1.0, 1.5, -2.5], [2.0, 2.5, -4.5]]),
    "/acquisition/drivefield/numChannels": 2,
    "/acquisition/drivefield/strength": np.array([[0.01, 0.02], [0.03, 0.04]]),
    "/acquisition/drivefield/baseFrequency": 2.5e6,
    "/acquisition/drivefield/divider": np.array([10, 5]),
    "/acquisition/drivefield/period": 4e-6,
    "/acquisition/drivefield/averages": 6,
    "/acquisition/drivefield/repetitionTime": 4e-6,
    "/acquisition/drivefield/fieldOfView": np.full((2, 3), 0.02),
    "/acquisition/drivefield/fieldOfViewCenter": np.array([[0.01, 0, 0], [0, 0.02, 0.03]]),
    "/acquisition/receiver/numChannels": 3,
    "/acquisition/receiver/bandwidth": np.full(3, 1.25e6),
    "/acquisition/receiver/numSamplingPoints": np.full(3, 10),
}


def write(path: Path, changes: Mapping[str, Any]) -> Path:
    with h5py.File(path, "w") as hdf:
        for node, value in (NODES | dict(changes)).items():
            if value is not None:
                hdf[node] = value
    return path


def pairs(values: np.ndarray) -> np.ndarray:
    return np.stack([values.real, values.imag], axis=-1)
