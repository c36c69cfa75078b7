"""Background frames of a file as noise; those of the fixture carry 1000 · (10 · frame + period)."""

import numpy as np
import pytest

from mdf import MdfError
from mpikit.errors import InputError, UsageError
from mpikit.plugins import parse_noise
from mpikit.scan_file import read_scan
from mpikit_plugins.noise import Empirical, EmpiricalOptions
from mpikit_plugins.noise.empirical import reflected


@pytest.fixture
def empirical(empty_file):
    return Empirical(EmpiricalOptions(file=str(empty_file)))


def labels(noise):
    """Return which frame and which period of the file each period is."""
    return np.rint(noise.mean(axis=(2, 3)) / 1000).astype(int)


def test_places_turn_back_at_the_ends():
    assert reflected(np.arange(-3, 10), 4).tolist() == [3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2, 3]
    assert reflected(np.arange(4), 1).tolist() == [0, 0, 0, 0]


def test_frames_follow_each_other_from_a_start_by_chance(empirical, begin, draw):
    started = set()
    for seed in range(40):
        begun = begin(empirical, np.ones(2), seed=seed)
        found = labels(draw(begun, np.zeros((12, 3, 2, 162))))
        expected = reflected(begun.start + np.arange(12), 5)
        np.testing.assert_array_equal(found, 10 * expected[:, None] + np.arange(3))
        started.add(begun.start)
    assert started == set(range(5))


def test_the_samples_are_those_of_the_file(empirical, begin, draw, empty_file):
    begun = begin(empirical, np.ones(2))
    measured = read_scan(empty_file).background
    noise = draw(begun, np.ones((2, 3, 2, 162), np.float32), start=5 - begun.start)
    np.testing.assert_array_equal(noise, measured[[3, 2]])


def test_blocks_fit_together(empirical, begin, draw):
    begun = begin(empirical, np.ones(2))
    whole = draw(begun, np.zeros((7, 3, 2, 162)))
    parts = [draw(begun, whole[:4], seed=8), draw(begun, whole[4:], seed=9, start=4)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("periods", [1, 2, 7])
def test_another_number_of_periods_takes_all_as_one_sequence(empirical, begin, draw, periods):
    begun = begin(empirical, np.ones(2))
    found = labels(draw(begun, np.zeros((4, periods, 2, 162)), start=2))
    place = reflected(3 * begun.start + np.arange(2 * periods, 6 * periods), 15)
    np.testing.assert_array_equal(found.ravel(), 10 * (place // 3) + place % 3)


def test_without_begin_each_call_starts_anew(empirical, draw):
    starts = {labels(draw(empirical, np.zeros((1, 3, 2, 162)), seed=seed))[0, 0] for seed in range(30)}
    assert starts == {0, 10, 20, 30, 40}


def test_the_constant_background_can_be_left_out(empty_file, draw):
    removed = Empirical(EmpiricalOptions(file=str(empty_file), mean="remove"))
    kept = Empirical(EmpiricalOptions(file=str(empty_file)))
    np.testing.assert_allclose(removed.frames.mean(axis=(0, 1), dtype=float), 0, atol=1e-3)
    np.testing.assert_allclose(
        np.diff(removed.frames, axis=0), np.diff(kept.frames, axis=0), atol=1e-2
    )  # float32 of 40000
    assert np.mean(kept.frames) == pytest.approx(21e3, rel=1e-3)


@pytest.mark.parametrize("averages", [1, 7])
def test_frames_that_are_averages_are_drawn_as_such(file_of_averages, begin, averages):
    empirical = Empirical(EmpiricalOptions(file=str(file_of_averages(averages))))
    assert empirical.averages == averages
    assert begin(empirical, np.ones(2)).averages == averages


def test_signals_that_do_not_fit(empirical, begin, draw):
    with pytest.raises(InputError, match="2 receive channels and 162 samples in a period, the signal has 3"):
        begin(empirical, np.ones(3))
    with pytest.raises(InputError, match="162 samples in a period, the signal has 2 and 81"):
        draw(empirical, np.zeros((1, 3, 2, 81)))
    with pytest.raises(InputError, match="samples per second"):
        begin(empirical, np.ones(2), sampling_rate=1e6)


def test_files_that_do_not_do(file_without_background, tmp_path):
    with pytest.raises(InputError, match="has no background frames"):
        parse_noise(f"empirical:file={file_without_background}")
    with pytest.raises(MdfError, match="no such file"):
        parse_noise(f"empirical:file={tmp_path / 'none.mdf'}")
    with pytest.raises(UsageError, match="needs the option 'file'"):
        parse_noise("empirical")
