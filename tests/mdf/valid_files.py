"""Changes that make a valid file of each kind of the file by hand in `conftest`."""

from __future__ import annotations

import numpy as np

TRACER = {
    **{f"/tracer/{name}": np.array(["a", "b"], object) for name in ("name", "batch", "vendor", "solute")},
    "/tracer/concentration": np.array([0.1, 0.05]),
    "/tracer/volume": np.array([1e-6, 2e-6]),
    "/tracer/injectionTime": np.array(["2026-03-02T10:15:30"] * 2, object),
    "/scanner/boreSize": 0.118,
    "/study/time": "2026-03-01T00:00:00.25",
    "/acquisition/receiver/transferFunction": np.arange(12).reshape(2, 6) + 1j,
    "/acquisition/receiver/dataConversionFactor": np.array([[0.5, 0.0], [2.0, 1.0]]),
    "/acquisition/receiver/inductionFactor": np.array([0.5, 2.0]),
}
# J = 1, C = 2, V = 10, K = 4 of 6, O = 6 on a grid of 3 x 2 x 1, E = 1: N = 7.
POSITIONS = np.array([[x, y, 0] for y in (-1, 1) for x in (-2, 0, 2)]) * 1e-3
CALIBRATION = {
    **TRACER,
    "/acquisition/numFrames": 7,
    "/acquisition/numPeriodsPerFrame": 1,
    "/acquisition/gradient": np.diag([-1.0, -1.0, 2.0])[None, None],
    "/acquisition/offsetField": np.zeros((1, 1, 3)),
    "/acquisition/drivefield/strength": np.full((1, 2, 1), 0.012),
    "/acquisition/drivefield/phase": np.full((1, 2, 1), -np.pi),
    "/acquisition/receiver/transferFunction": np.arange(8).reshape(2, 4) + 1j,
    "/measurement/data": (np.arange(56) + 1j).astype(np.complex64).reshape(1, 2, 4, 7),
    "/measurement/isBackgroundFrame": np.array([0, 0, 0, 0, 0, 0, 1], np.int8),
    "/measurement/isFourierTransformed": np.int8(1),
    "/measurement/isFastFrameAxis": np.int8(1),
    "/measurement/isFramePermutation": np.int8(1),
    "/measurement/framePermutation": np.array([2, 3, 4, 7, 6, 5, 1]),
    "/measurement/isFrequencySelection": np.int8(1),
    "/measurement/frequencySelection": np.array([1, 2, 4, 6]),
    "/calibration/method": "robot",
    "/calibration/size": np.array([3, 2, 1]),
    "/calibration/fieldOfView": np.array([0.006, 0.004, 0.001]),
    "/calibration/fieldOfViewCenter": np.zeros(3),
    "/calibration/order": "xyz",
    "/calibration/positions": POSITIONS,
    "/calibration/deltaSampleSize": np.full(3, 0.001),
    "/calibration/snr": np.ones((1, 2, 4)),
}
SPARSE = {
    **{path: value for path, value in CALIBRATION.items() if path != "/calibration/positions"},
    "/measurement/data": np.ones((1, 2, 4, 3), np.complex64),
    "/measurement/isSparsityTransformed": np.int8(1),
    "/measurement/sparsityTransformation": "DCT-IV",
    "/measurement/subsamplingIndices": np.broadcast_to(np.array([6, 2], np.int32), (1, 2, 4, 2)),
}
IMAGES = {
    **TRACER,
    "/reconstruction/data": np.arange(18, dtype=np.float32).reshape(3, 6, 1),
    "/reconstruction/size": np.array([3, 2, 1]),
    "/reconstruction/fieldOfView": np.array([0.006, 0.004, 0.001]),
    "/reconstruction/fieldOfViewCenter": np.zeros(3),
    "/reconstruction/order": "yxz",
    "/reconstruction/positions": POSITIONS,
    "/reconstruction/isOverscanRegion": np.array([1, 0, 0, 0, 0, 1], np.int8),
}
FILES = {"scan": TRACER, "calibration": CALIBRATION, "sparse": SPARSE, "images": IMAGES}
