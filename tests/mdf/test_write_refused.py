"""What the writer refuses before a byte is written."""

from __future__ import annotations

import numpy as np
import pytest

import mdf


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("/acquisition/startTime", "2026-13-45T10:00:00", "expected a time like"),
        ("/study/number", 2**63, "more than 64 bits"),
        ("/acquisition/drivefield/strength", np.full((3, 2), 0.01), r"\(3, 2\), expected \(J, D, F\)"),
        ("/acquisition/drivefield/phase", np.full((3, 2, 1), np.nan), "not finite"),
        ("/acquisition/offsetField", np.full((3, 1, 3), np.inf), "not finite"),
        ("/acquisition/offsetField", np.full((3, 1, 3), 2.0), "at most 1 T"),
    ],
)
def test_a_value_that_would_not_be_valid(tmp_path, contents, signal, path, value, message):
    with pytest.raises(mdf.MdfError, match=message):
        mdf.write(tmp_path / "a.mdf", contents | {path: value}, signal)
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_names_only_what_a_person_can_give(tmp_path, contents, signal):
    given = {path: value for path, value in contents.items() if not path.endswith("/strength")}
    with pytest.raises(mdf.MdfError, match=r"missing: /acquisition/drivefield/strength$"):
        mdf.write(tmp_path / "a.mdf", given, signal)


@pytest.mark.parametrize("data", [0.0, np.zeros(5), [[[1.0]]]])
def test_data_without_four_axes(tmp_path, contents, data):
    with pytest.raises(mdf.MdfError, match="the data have the shape"):
        mdf.write(tmp_path / "a.mdf", contents, data)


@pytest.mark.parametrize("count", [0, -1, "4", 4.0])
def test_a_number_of_frames_that_is_none(tmp_path, contents, count):
    with pytest.raises(mdf.MdfError, match="num_frames is"):
        mdf.create(tmp_path / "a.mdf", contents, num_frames=count)


def test_frames_outside_of_the_with_statement(tmp_path, contents, signal):
    out = mdf.create(tmp_path / "a.mdf", contents, num_frames=5)
    with pytest.raises(mdf.MdfError, match="inside of the 'with' statement"):
        out.append(signal)
    with out:
        out.append(signal)
    with pytest.raises(mdf.MdfError, match="inside of the 'with' statement"):
        out.append(signal)
    with mdf.open(tmp_path / "a.mdf") as file:
        assert file.num_frames == 5
