"""A value that is known only after the data: it is replaced in the file that is being written."""

from __future__ import annotations

import numpy as np
import pytest

import mdf
from mdf import spec

OFFSET = "/acquisition/offsetField"


def test_it_is_what_the_file_has_in_the_end(tmp_path, contents, signal):
    wanted = np.arange(9.0).reshape(3, 1, 3) / 16
    with mdf.create(tmp_path / "a.mdf", contents, num_frames=5) as out:
        out.append(signal[:2])
        out.update(OFFSET, wanted.tolist())
        out.append(signal[2:])
    with mdf.open(tmp_path / "a.mdf") as file:
        np.testing.assert_array_equal(file.acquisition.offset_field, wanted)
        np.testing.assert_array_equal(file.read_signal(), signal)
        assert file.repairs == ()
    assert mdf.validate(tmp_path / "a.mdf")[0].rule == "F07"  # it has no tracer, and no other fault


def test_only_while_the_file_is_written(tmp_path, contents, signal):
    out = mdf.create(tmp_path / "a.mdf", contents, num_frames=5)
    message = "a value is replaced after the first data, inside of the 'with' statement"
    with pytest.raises(mdf.MdfError, match=message):
        out.update(OFFSET, np.zeros((3, 1, 3)))
    with out:
        with pytest.raises(mdf.MdfError, match=message):
            out.update(OFFSET, np.zeros((3, 1, 3)))
        out.append(signal)
    with pytest.raises(mdf.MdfError, match=message):
        out.update(OFFSET, np.ones((3, 1, 3)))
    with mdf.open(tmp_path / "a.mdf") as file:
        assert not file.acquisition.offset_field.any()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (spec.DATA, np.zeros((5, 3, 2, 10), np.float32), "no /measurement/data among the contents"),
        ("/acquisition/numFrames", 6, "no /acquisition/numFrames among the contents"),
        ("/calibration/snr", np.ones((3, 2, 6)), "no /calibration/snr among the contents"),
        ("/study", 1, "no /study among the contents"),
        (OFFSET, np.zeros((1, 1, 3)), r"has the shape \(1, 1, 3\), expected \(3, 1, 3\) as at first"),
        (OFFSET, np.full((3, 1, 3), "x"), "offsetField has the type <U1, expected float"),
        ("/study/number", 2.5, "/study/number has the type float64, expected int"),
        ("/experiment/isSimulation", 2, "isSimulation is no flag, expected 0 or 1"),
        ("/study/name", "another", "/study/name is text, only numbers are replaced"),
    ],
)
def test_what_cannot_be_replaced_leaves_no_file(tmp_path, contents, signal, path, value, message):
    def attempt() -> None:
        with mdf.create(tmp_path / "a.mdf", contents, num_frames=5) as out:
            out.append(signal)
            out.update(path, value)

    with pytest.raises(mdf.MdfError, match=message):
        attempt()
    assert list(tmp_path.iterdir()) == []
