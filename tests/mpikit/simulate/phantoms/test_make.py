"""Phantoms by their name: which there are, and what is refused before work starts."""

import numpy as np
import pytest

from mpikit.errors import InputError, UsageError
from mpikit.simulate import phantoms
from mpikit.simulate.phantoms import PHANTOMS, Phantom, make_phantom, needs_concentration, phantom_file


def make(name, grid, *, concentration=0.1, count=1, seed=3, **more):
    rng = np.random.default_rng(seed)
    return make_phantom(name, grid, concentration=concentration, count=count, rng=rng, **more)


def test_names():
    assert list(PHANTOMS) == [
        *("dots", "smile", "bars", "vessels", "shepp-logan", "point", "digits"),
        *("concentration", "resolution", "shape"),
    ]
    for name in phantoms.__all__:
        getattr(phantoms, name)


@pytest.mark.parametrize("name", PHANTOMS)
def test_every_phantom_fills_a_volume_up_to_its_concentration(name, volume):
    made = make(name, volume, concentration=0.03)
    images = made.images
    assert made.name == name
    assert images.shape == (1, 18, 40, 48)
    assert images.min() == 0
    assert 0.0299 < images.max() <= 0.03 * (1 + 1e-6)
    np.testing.assert_array_equal(made.sources.shape, [1])


@pytest.mark.parametrize("name", [name for name in PHANTOMS if name != "concentration"])
def test_a_seed_repeats_a_slice(name, grid):
    first, second = (make(name, grid, seed=5).images for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (1, 1, 48, 60)


@pytest.mark.parametrize("name", ["smile", "shepp-logan", "digits", "dots", "vessels", "bars"])
def test_a_shift_by_voxels_moves_the_image(name, make_grid):
    grid = make_grid((50, 60, 1), (25, 24, 2))
    still, moved = make(name, grid), make(name, grid, centre=(0.5e-3, -0.4e-3, 0))
    np.testing.assert_allclose(moved.images[..., :-1, 1:], still.images[..., 1:, :-1], atol=1e-7)
    assert still.images.any()


@pytest.mark.parametrize("name", ["smile", "shepp-logan", "digits", "dots", "vessels", "bars", "point"])
@pytest.mark.parametrize("centre", [(13e-3, 0, 0), (0, -13e-3, 0), (0, 0, 0.6e-3)])
def test_scaled_phantoms_stay_in_the_field_of_view(name, centre, grid):
    with pytest.raises(UsageError, match=f"{name}' is out of the field of view") as caught:
        make(name, grid, centre=centre)
    assert "--at" in caught.value.hint


def test_the_extents_are_said(grid):
    with pytest.raises(UsageError) as caught:
        make("dots", grid, centre=(6e-3, 0, 0))
    assert str(caught.value) == (
        "phantom 'dots' is out of the field of view: "
        "it reaches over x -3 to 13, y -7 to 7, z -0.5 to 0.5 mm, "
        "the field of view over x -12 to 12, y -12 to 12, z -0.5 to 0.5 mm"
    )


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("dots", {"count": 2}, "single image, not 2"),
        ("shape", {"count": 3}, "single image, not 3"),
        ("dots", {"count": 0}, "cannot make 0"),
        ("digits", {"count": -1}, "cannot make -1"),
        ("dots", {"concentration": -0.1}, "'dots' is -0.1"),
        ("shape", {"concentration": -0.1}, "'shape' is -0.1"),
        ("digits", {"concentration": float("nan")}, "'digits' is nan"),
        ("smile", {"concentration": float("inf")}, "'smile' is inf"),
        ("vessels", {"concentration": None}, "'vessels' needs its highest concentration"),
        ("dots", {"mnist": "digits.npz"}, "'dots' shows no digits of digits.npz"),
        ("dots", {"centre": (0, float("nan"), 0)}, "expected three numbers"),
    ],
)
def test_impossible_phantoms(grid, name, more, words):
    with pytest.raises(UsageError, match=words):
        make(name, grid, **more)


def test_an_unknown_name_gives_the_listing(grid):
    with pytest.raises(UsageError, match="no phantom 'vesels'") as caught:
        make("vesels", grid)
    assert caught.value.hint.startswith("did you mean 'vessels'? choose one of dots, smile, ")


@pytest.mark.parametrize("name", ["heart.png", "heart.TIF", "hearts/heart", "heart.npy"])
def test_what_reads_like_a_file_has_to_be_there(grid, name):
    with pytest.raises(InputError, match=f"phantom {name} does not exist"):
        make(name, grid)


def test_a_name_means_a_file_when_there_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert phantom_file("heart") is None
    (tmp_path / "heart").write_bytes(b"")
    assert phantom_file("heart").name == "heart"
    (tmp_path / "folder").mkdir()
    assert phantom_file("folder") is None


def test_which_phantoms_need_a_concentration(grid):
    own = [name for name in PHANTOMS if not needs_concentration(name)]
    assert own == ["concentration", "resolution", "shape"]
    assert needs_concentration("a.png")
    assert not needs_concentration("a.npy")


def test_a_concentration_is_a_number_and_not_negative(grid):
    for bad in (-0.1, np.nan):
        with pytest.raises(UsageError, match="negative or no number"):
            Phantom(np.full((1, 1, 48, 60), bad), grid, "bad")


def test_parts_of_a_phantom_keep_their_sources(grid, rng):
    images = rng.random((5, 1, 48, 60))
    whole = Phantom(images, grid, "some")
    np.testing.assert_array_equal(whole.sources, np.arange(5))
    part = whole.part(slice(1, 4)).part(slice(1, None))
    np.testing.assert_array_equal(part.images, images[2:4])
    np.testing.assert_array_equal(part.sources, [2, 3])
    assert part.count == 2
    with pytest.raises(ValueError, match="origins"):
        Phantom(images, grid, "some", np.arange(4))
