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


CALIBRATION = {"/calibration/method": "robot", "/calibration/size": [3, 1, 1]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"/measurement/isFourierTransformed": 1}, "need data, there are none"),
        (CALIBRATION, "/measurement and /calibration need data, there are none"),
        ({"/acquisition/numFrames": 0}, "numFrames is 0, expected one number, 1 or more"),
        ({"/acquisition/receiver/numSamplingPoints": -4}, "numSamplingPoints is -4, expected one number"),
    ],
)
def test_a_file_without_a_measurement(tmp_path, contents, changes, message):
    images = {
        "/acquisition/numFrames": 5,
        "/acquisition/numPeriodsPerFrame": 3,
        "/acquisition/receiver/numChannels": 2,
        "/acquisition/receiver/numSamplingPoints": 10,
        "/measurement/isBackgroundFrame": None,
        "/reconstruction/data": np.zeros((5, 6, 1)),
    }
    with pytest.raises(mdf.MdfError, match=message):
        mdf.write(tmp_path / "a.mdf", contents | images | changes)
    assert list(tmp_path.iterdir()) == []
    mdf.write(tmp_path / "a.mdf", contents | images)
    with mdf.open(tmp_path / "a.mdf") as file:
        assert file.measurement is None


def test_indices_of_coefficients_among_plain_contents(tmp_path, contents, signal):
    changes = {"/measurement/subsamplingIndices": np.ones((3, 2, 6, 1), int)}
    with pytest.raises(mdf.MdfError, match="subsamplingIndices is no part of the contents, it is given with"):
        mdf.write(tmp_path / "a.mdf", contents | changes, signal)


@pytest.mark.parametrize("components", [5, 7, 10])
def test_another_number_of_components_than_the_samples_have(tmp_path, contents, signal, components):
    spectra = np.zeros((5, 3, 2, components), np.complex64)
    changes = {"/measurement/isFourierTransformed": 1, "/acquisition/receiver/numSamplingPoints": 10}
    with pytest.raises(mdf.MdfError, match=f"have {components} frequency components, expected 6"):
        mdf.write(tmp_path / "a.mdf", contents | changes, spectra)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((5, 3, 2), r"the data have the shape \(5, 3, 2\)"), ((5, 3, 0, 10), r"\(5, 3, 0, 10\), expected")],
)
def test_pieces_without_four_axes_or_without_values(tmp_path, contents, shape, message):
    with (
        pytest.raises(mdf.MdfError, match=message),
        mdf.create(tmp_path / "a.mdf", contents, num_frames=5) as out,
    ):
        out.append(np.zeros(shape, np.float32))
    assert list(tmp_path.iterdir()) == []


def test_frames_for_a_file_that_was_announced_without(tmp_path, contents, signal):
    with (
        pytest.raises(mdf.MdfError, match="frames for a file that was announced without"),
        mdf.create(tmp_path / "a.mdf", contents, num_frames=None) as out,
    ):
        out.append(signal)
    assert list(tmp_path.iterdir()) == []


def test_dividers_without_a_cycle(tmp_path, contents, signal):
    """Their least common multiple is beyond 64 bits: the cycle must be said, or it would be garbage."""
    dividers = {"/acquisition/drivefield/divider": [[10**10 + 1], [10**10]]}
    with pytest.raises(mdf.MdfError, match="divider has a least common multiple above") as caught:
        mdf.write(tmp_path / "a.mdf", contents | dividers, signal)
    assert caught.value.hint.startswith("give /acquisition/drivefield/cycle")
    mdf.write(tmp_path / "a.mdf", contents | dividers | {"/acquisition/drivefield/cycle": 4e-6}, signal)
    with mdf.open(tmp_path / "a.mdf") as file:
        assert file.acquisition.drivefield.cycle == 4e-6
    (problem,) = [problem for problem in mdf.validate(tmp_path / "a.mdf") if problem.rule == "D06"]
    assert problem.message == f"the least common multiple of the dividers is above {10**18}"
