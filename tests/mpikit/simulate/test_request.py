"""What is asked for becomes a phantom on a grid, with so many frames."""

import struct

import numpy as np
import pytest

from mpikit.errors import InputError, UsageError
from mpikit.simulate.phantoms import Digits
from mpikit.simulate.presets import preset
from mpikit.simulate.request import Subject, requested, requested_splits


@pytest.fixture
def static():
    """A preset that measures one phantom in every frame."""
    return preset("openmpi-2d")


@pytest.fixture
def many():
    """A preset that measures another phantom in every frame."""
    return preset("peng2023")


@pytest.fixture
def mnist(tmp_path, rng):
    """Ten pictures in the form of MNIST; the number of a picture is in its middle."""
    pictures = rng.integers(0, 256, (10, 28, 28), dtype=np.uint8)
    path = tmp_path / "digits"
    path.write_bytes(struct.pack(">4I", 0x803, *pictures.shape) + pictures.tobytes())
    return path


def test_what_is_not_said_is_up_to_the_preset(static):
    phantom, frames = requested(static, Subject(), seed=1)
    assert (phantom.name, phantom.count, frames) == ("dots", 1, 20)
    assert phantom.grid.shape == (1, 48, 48)
    assert phantom.images.max() == pytest.approx(0.1)


def test_what_is_said(static):
    subject = Subject(
        phantom="smile", size=(30, 20), field_of_view=(0.03, 0.022), concentration=0.02, frames=3
    )
    phantom, frames = requested(static, subject, seed=1)
    assert (phantom.name, phantom.count, frames) == ("smile", 1, 3)
    assert phantom.grid.shape == (1, 20, 30)
    np.testing.assert_allclose(phantom.grid.field_of_view, [0.03, 0.022, 0.001])
    assert phantom.images.max() == pytest.approx(0.02)


def test_a_place(static):
    still, _ = requested(static, Subject(phantom="smile"), seed=1)
    moved, _ = requested(static, Subject(phantom="smile", centre=(1e-3, -0.5e-3, 0)), seed=1)
    np.testing.assert_allclose(moved.images[..., :-1, 2:], still.images[..., 1:, :-2], atol=1e-7)
    assert still.images.any()


def test_a_phantom_may_have_a_concentration_of_its_own(static):
    size = {"size": (24, 24, 12), "field_of_view": (0.024, 0.024, 0.012)}
    own, _ = requested(static, Subject(phantom="shape", **size), seed=1)
    other, _ = requested(static, Subject(phantom="shape", concentration=0.02, **size), seed=1)
    assert own.images.max() == pytest.approx(0.05, rel=1e-3)  # as OpenMPIData filled it
    assert other.images.max() == pytest.approx(0.02, rel=1e-3)


def test_a_file_brings_its_voxels(static, tmp_path, rng):
    values = rng.random((5, 7))
    np.save(tmp_path / "mine.npy", values)
    phantom, frames = requested(static, Subject(phantom=str(tmp_path / "mine.npy")), seed=1)
    assert (phantom.grid.shape, frames) == ((1, 5, 7), 20)
    np.testing.assert_allclose(phantom.grid.field_of_view, static.phantom.field_of_view)
    np.testing.assert_allclose(np.sort(phantom.images.ravel()), np.sort(values.ravel()), rtol=1e-6)


def test_digits(many, mnist):
    phantom, frames = requested(many, Subject(count=4, mnist=mnist), seed=2)
    assert isinstance(phantom, Digits)
    assert (phantom.count, frames) == (4, 4)
    assert phantom.part(slice(1, 3)).images.shape == (2, 1, 101, 101)
    assert len(set(phantom.sources)) == 4
    again, _ = requested(many, Subject(count=4, mnist=mnist), seed=2)
    other, _ = requested(many, Subject(count=4, mnist=mnist), seed=3)
    np.testing.assert_array_equal(phantom.images, again.images)
    assert not np.array_equal(phantom.sources, other.sources)
    usual, frames = requested(many, Subject(mnist=mnist), seed=2)
    assert usual.count == frames == many.frames == 100


def test_one_digit_in_every_frame(static, mnist):
    phantom, frames = requested(static, Subject(phantom="digits", mnist=mnist, frames=6), seed=2)
    assert (phantom.count, frames) == (1, 6)


def test_a_single_phantom_where_there_are_usually_many(many):
    phantom, frames = requested(many, Subject(phantom="dots"), seed=1)
    assert (phantom.count, frames) == (1, 1)


@pytest.mark.parametrize("counts", [(6, 3), (5, 2, 3), (30, 7, 4), (1, 1)])
def test_splits_have_nothing_in_common(many, mnist, counts):
    splits = requested_splits(many, Subject(mnist=mnist), counts, seed=3)
    assert [digits.count for digits in splits] == list(counts)
    sources = [set(digits.sources.tolist()) for digits in splits]
    assert sum(map(len, sources)) == len(set().union(*sources))
    images = [image.tobytes() for digits in splits for image in digits.part(slice(None)).images]
    assert len(set(images)) == sum(counts)  # copies are changed, too


def test_splits_are_what_is_said(many, mnist):
    subject = Subject(mnist=mnist, size=(31, 33), concentration=0.02, count=5)
    first, second = requested_splits(many, subject, (3, 2), seed=3)
    assert first.grid.shape == second.grid.shape == (1, 33, 31)
    assert 0.01 < first.images.max() <= 0.02 * (1 + 1e-6)


@pytest.mark.parametrize(
    ("subject", "words", "hint"),
    [
        ({"phantom": "dotz"}, "no phantom 'dotz'", "did you mean 'dots'"),
        ({"centre": (0.02, 0, 0)}, "'dots' is out of the field of view", "--at"),
        ({"concentration": -0.1}, "'dots' is -0.1 mol", ""),
        ({"concentration": np.nan}, "'dots' is nan mol", ""),
        ({"count": 3}, "takes no --count", "--frames"),
        ({"frames": 0}, "0 frames make no scan", "1 or more"),
        ({"frames": -2}, "-2 frames make no scan", "1 or more"),
        ({"size": (0, 3)}, "is impossible", "--grid"),
        ({"size": (10**6, 10**6)}, "1000000000000 voxels would need", "fewer voxels"),
        ({"mnist": "digits"}, "shows no digits of", "leave out --mnist"),
    ],
)
def test_impossible_requests(static, subject, words, hint):
    with pytest.raises(UsageError, match=words) as caught:
        requested(static, Subject(**subject), seed=1)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("subject", "words", "hint"),
    [
        ({"frames": 3}, "takes no --frames", "--count"),
        ({"count": 0}, "0 phantoms make no scan", "1 or more"),
        ({"phantom": "dots", "count": 2}, "a single image, not 2", "digits"),
    ],
)
def test_impossible_requests_for_many(many, subject, words, hint):
    with pytest.raises(UsageError, match=words) as caught:
        requested(many, Subject(**subject), seed=1)
    assert hint in caught.value.hint


def test_impossible_splits(static, many, mnist, tmp_path):
    with pytest.raises(UsageError, match="only a preset with many digits can be split"):
        requested_splits(static, Subject(phantom="digits"), (2, 1), seed=1)
    with pytest.raises(UsageError, match="only a preset with many digits can be split") as caught:
        requested_splits(many, Subject(phantom="dots"), (2, 1), seed=1)
    assert "peng2023 --phantom digits --split" in caught.value.hint
    with pytest.raises(UsageError, match="--split asks for 3 phantoms, --count for 4"):
        requested_splits(many, Subject(count=4, mnist=mnist), (2, 1), seed=1)
    with pytest.raises(InputError, match="nowhere cannot be read"):
        requested_splits(many, Subject(mnist=tmp_path / "nowhere"), (2, 1), seed=1)
    with pytest.raises(UsageError, match="do not make 11 sets"):
        requested_splits(many, Subject(mnist=mnist), (1,) * 11, seed=1)
