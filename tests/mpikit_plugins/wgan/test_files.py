"""Empty measurements in files of their own: those of another sequence are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit.errors import InputError
from mpikit.scan_file import write_scan
from mpikit.scan_set import with_empty_measurements
from mpikit.testing import example_scan

WORDS = ("/study/name", "/study/description", "/experiment/name", "/experiment/description", "/scanner/name")
ABOUT = {
    **dict.fromkeys((*WORDS, "/experiment/subject", "/scanner/facility", "/scanner/manufacturer"), "test"),
    "/scanner/operator": "test",
    "/scanner/topology": "FFP",
    "/study/number": 1,
    "/experiment/number": 2,
    "/experiment/isSimulation": True,
    "/acquisition/startTime": "2026-03-02T10:15:30.500",
}


@pytest.fixture
def write(tmp_path):
    def write(scan):
        path = tmp_path / "empty.mdf"
        write_scan(scan, path, contents=ABOUT)
        return path

    return write


SCAN = example_scan(frames=9, background_frames=0)
EMPTY = example_scan(frames=1, repeats="none", background_frames=40)


def test_their_frames_are_noise_samples(write, make, run):
    with_frames = with_empty_measurements(SCAN, [write(EMPTY)])
    method = make()
    method.fit([with_frames], run=run())
    assert method.response.blank[1] == 8  # every fifth of forty
    assert np.isfinite(method.denoise(SCAN, run=run())).all()


def test_another_sampling_rate(write):
    drive = replace(EMPTY.drive_field, base_frequency=EMPTY.drive_field.base_frequency * 2)
    other = replace(EMPTY, sampling_rate=2 * EMPTY.sampling_rate, drive_field=drive)
    with pytest.raises(InputError, match=r"empty\.mdf and example have different sampling rates") as caught:
        with_empty_measurements(SCAN, [write(other)])
    assert "same sequence" in caught.value.hint


def test_another_drive_field(write):
    drive = replace(EMPTY.drive_field, amplitudes=EMPTY.drive_field.amplitudes * 0.5)
    with pytest.raises(InputError, match=r"empty\.mdf and example have different drive fields"):
        with_empty_measurements(SCAN, [write(replace(EMPTY, drive_field=drive))])
