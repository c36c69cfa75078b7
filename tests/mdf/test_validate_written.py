"""Whatever `mdf.write` writes is valid."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import mdf

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
SIZES = st.integers(1, 4)
ORDERS = st.sampled_from(["xyz", "zyx"])


@st.composite
def files(draw: st.DrawFn) -> tuple[dict[str, Any], np.ndarray]:
    """Contents and data: any domain, layout, selection, type and kind of file."""
    frames, periods, channels, samples = draw(SIZES), draw(SIZES), draw(SIZES), draw(st.integers(1, 9))
    drives, frequencies, tracers, parts = draw(SIZES), draw(st.integers(1, 2)), draw(SIZES), draw(SIZES)
    fourier, frames_last = draw(st.booleans()), draw(st.booleans())
    lines = np.arange(1, samples // 2 + 2)
    contents = {
        **{f"/{path}": draw(TEXTS) for path in (
            "study/name", "study/description", "experiment/name", "experiment/description",
            "experiment/subject", "scanner/name", "scanner/facility", "scanner/manufacturer",
            "scanner/operator", "scanner/topology", "acquisition/receiver/unit",
        )},
        **{f"/tracer/{name}": [draw(TEXTS) for _ in range(tracers)]
           for name in ("name", "batch", "vendor", "solute")},
        "/tracer/concentration": np.linspace(0, 1, tracers), "/tracer/volume": np.full(tracers, 1e-6),
        "/study/number": draw(st.integers(0, 9)), "/experiment/number": 1, "/experiment/isSimulation": 1,
        "/acquisition/startTime": "2026-03-02T10:15:30",
        "/acquisition/gradient": np.tile(np.diag([-1.0, -1.0, 2.0]), (periods, parts, 1, 1)),
        "/acquisition/offsetField": np.zeros((periods, parts, 3)),
        "/acquisition/drivefield/baseFrequency": 1e6,
        "/acquisition/drivefield/divider": np.full((drives, frequencies), 10),
        "/acquisition/drivefield/strength": np.full((periods, drives, frequencies), 0.012),
        "/acquisition/drivefield/phase": np.zeros((periods, drives, frequencies)),
        "/acquisition/receiver/bandwidth": samples * 1e6 / 20,
        "/acquisition/receiver/numSamplingPoints": samples,
        "/measurement/isBackgroundFrame": np.array([draw(st.booleans()) for _ in range(frames)]),
        "/measurement/isFourierTransformed": fourier, "/measurement/isFastFrameAxis": frames_last,
    }  # fmt: skip
    if draw(st.booleans()):
        contents["/measurement/isFramePermutation"] = 1
        contents["/measurement/framePermutation"] = draw(st.permutations(range(1, frames + 1)))
    if fourier and draw(st.booleans()):
        chosen = np.array(draw(st.lists(st.sampled_from(lines.tolist()), min_size=1, unique=True)))
        lines = np.sort(chosen)
        contents["/measurement/isFrequencySelection"] = 1
        contents["/measurement/frequencySelection"] = lines
    dtype = draw(st.sampled_from(["c8", "c16"] if fourier else ["f4", "f8", "i1", "i2", "i4", "i8"]))
    if "i" in dtype or draw(st.booleans()):
        contents["/acquisition/receiver/dataConversionFactor"] = np.full((channels, 2), 0.5)
    if draw(st.booleans()):
        contents["/acquisition/receiver/transferFunction"] = np.ones((channels, len(lines)), complex)
        contents["/measurement/isTransferFunctionCorrected"] = draw(st.booleans())
    if draw(st.booleans()) and not np.all(contents["/measurement/isBackgroundFrame"]):
        count = int(np.sum(~contents["/measurement/isBackgroundFrame"]))
        contents |= {
            "/calibration/method": "robot", "/calibration/size": np.array([1, count, 1]),
            "/calibration/fieldOfView": np.array([0.001, 0.001 * count, 0.001]),
            "/calibration/fieldOfViewCenter": np.zeros(3), "/calibration/order": draw(ORDERS),
            "/calibration/snr": np.ones((periods, channels, len(lines))),
        }  # fmt: skip
    shape = (frames, periods, channels, len(lines) if fourier else samples)
    return contents, np.ones(shape, dtype)


@given(made=files())
@settings(max_examples=60, deadline=None)
def test_whatever_is_written_is_valid(made):
    contents, data = made
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.mdf")
        mdf.write(path, contents, data, user={"/_own/_value": np.zeros(3), "/study/_text": "x"})
        problems = mdf.validate(path)
    assert [problem for problem in problems if problem.severity != "note"] == []
