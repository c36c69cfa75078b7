"""Pictures and arrays as phantoms."""

import numpy as np
import pytest
from PIL import Image

from mpikit.errors import InputError, UsageError
from mpikit.simulate.phantoms import file_size, make_phantom, picture


@pytest.fixture
def saved(tmp_path):
    """Save an array and return where it is."""

    def save(values):
        np.save(tmp_path / "some.npy", np.asarray(values))
        return tmp_path / "some.npy"

    return save


@pytest.mark.parametrize(
    ("shape", "size"), [((5, 4), (4, 5, 1, 1)), ((3, 5, 4), (4, 5, 3, 1)), ((2, 3, 5, 4), (4, 5, 3, 2))]
)
def test_arrays_are_taken_as_they_are(saved, make_grid, rng, shape, size):
    values = rng.random(shape)
    path = saved(values)
    assert file_size(path) == size
    *voxels, count = size
    phantom = picture(path, make_grid(voxels, (20, 30, 10)), concentration=None, count=count)
    np.testing.assert_array_equal(phantom.images, values.reshape(count, *voxels[::-1]))
    assert phantom.name == "some.npy"
    np.testing.assert_array_equal(phantom.sources, np.arange(count))


def test_arrays_can_be_scaled(saved, make_grid, rng):
    values = rng.random((2, 3, 5, 4)).astype(np.float32)
    phantom = picture(saved(values), make_grid((4, 5, 3), (4, 5, 3)), concentration=0.2, count=2)
    np.testing.assert_allclose(phantom.images, 0.2 * values / values.max(), rtol=1e-6)


@pytest.mark.parametrize("size", [(9, 7, 2), (2, 3, 1), (4, 10, 3)])
def test_the_amount_of_tracer_is_kept(saved, make_grid, rng, size, amount):
    values = rng.random((3, 5, 4))
    phantom = picture(saved(values), make_grid(size, (20, 30, 10)), concentration=None)
    assert amount(phantom) == pytest.approx(values.mean() * 20 * 30 * 10 * 1e-6)


def test_a_flat_array_is_alike_in_all_slices(saved, make_grid, rng):
    values = rng.random((5, 4))
    phantom = picture(saved(values), make_grid((4, 5, 3), (4, 5, 3)), concentration=None)
    np.testing.assert_allclose(phantom.images[0], np.broadcast_to(values, (3, 5, 4)))


def test_a_shift_stops_where_tracer_would_leave(saved, make_grid):
    values = np.zeros((3, 6, 8))
    values[1, 2:4, 1:5] = 1
    grid, path = make_grid((8, 6, 3), (8, 6, 3)), saved(values)
    for move, axis, steps in (((3e-3, 0, 0), 2, 3), ((0, -2e-3, 0), 1, -2), ((0, 0, 1e-3), 0, 1)):
        phantom = picture(path, grid, concentration=None, centre=move)
        np.testing.assert_allclose(phantom.images[0], np.roll(values, steps, axis), atol=1e-9)
    for move in ((3.1e-3, 0, 0), (-1.1e-3, 0, 0), (0, 2.1e-3, 0), (0, 0, -1.1e-3)):
        with pytest.raises(UsageError, match=r"'some.npy' is out of the field of view: it reaches over x"):
            picture(path, grid, concentration=None, centre=move)


def test_a_shift_on_a_finer_grid_loses_nothing(saved, make_grid, amount):
    values = np.zeros((6, 8))
    values[2:4, 1:5] = 1
    grid, path = make_grid((32, 24, 1), (8, 6, 1)), saved(values)
    phantom = picture(path, grid, concentration=None, centre=(2.5e-3, 0, 0))
    assert amount(phantom) == pytest.approx(8e-6)
    with pytest.raises(UsageError, match="out of the field of view"):
        picture(path, grid, concentration=None, centre=(2.6e-3, 0, 0))


def test_the_top_of_a_picture_is_at_the_highest_y(tmp_path, make_grid, at):
    values = np.zeros((10, 20), np.uint8)
    values[0, :5] = 255  # above, on the left
    values[9, 19] = 51
    Image.fromarray(values).save(tmp_path / "some.png")
    assert file_size(tmp_path / "some.png") == (20, 10, 1, 1)
    grid = make_grid((20, 10, 1), (40, 20, 1))
    phantom = make_phantom(str(tmp_path / "some.png"), grid, concentration=0.1, count=1, rng=None)
    assert at(phantom, -19, 9) == pytest.approx(0.1)
    assert at(phantom, 19, -9) == pytest.approx(0.02)
    assert np.count_nonzero(phantom.images) == 6


def shades():
    return np.linspace(0, 255, 12).astype(np.uint8).reshape(3, 4)


def transparent():
    white = np.full((3, 4), 255, np.uint8)
    return Image.merge("LA", [Image.fromarray(white), Image.fromarray(shades())])


MODES = {
    "L.png": lambda: Image.fromarray(shades()),
    "RGB.png": lambda: Image.fromarray(shades()).convert("RGB"),
    "RGBA.png": lambda: Image.fromarray(shades()).convert("RGBA"),
    "P.png": lambda: Image.fromarray(shades()).convert("P"),
    "LA.png": transparent,
    "CMYK.tif": lambda: Image.fromarray(shades()).convert("RGB").convert("CMYK"),
    "I16.png": lambda: Image.fromarray(shades().astype(np.uint16) * 257),
    "I16.tif": lambda: Image.fromarray(shades().astype(np.uint16) * 257),
    "F.tif": lambda: Image.fromarray(shades().astype(np.float32) / 255),
}


@pytest.mark.parametrize("name", MODES)
def test_every_kind_of_picture(name, tmp_path, make_grid):
    MODES[name]().save(tmp_path / name)
    images = picture(tmp_path / name, make_grid((4, 3, 1), (4, 3, 1)), concentration=1.0).images
    np.testing.assert_allclose(images[0, 0, ::-1], shades() / 255, atol=1e-6)


def test_a_photograph_is_seen_as_it_was_taken(tmp_path, make_grid):
    image = Image.fromarray(np.repeat(np.repeat(shades(), 16, 0), 16, 1))
    exif = Image.Exif()
    exif[0x112] = 3  # upside down
    image.save(tmp_path / "some.jpg", exif=exif, quality=100)
    images = picture(tmp_path / "some.jpg", make_grid((4, 3, 1), (4, 3, 1)), concentration=1.0).images
    np.testing.assert_allclose(images[0, 0, :, ::-1], shades() / 255, atol=0.01)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full((3, 4), -1.0), "negative or no number"),
        (np.full((3, 4), np.nan), "negative or no number"),
        (np.zeros((3, 4)), "no tracer"),
        (np.ones(4), r"shape \(4,\)"),
        (np.ones((1, 1, 1, 3, 4)), "shape"),
        (np.ones((0, 4)), "shape|no .npy file"),
        (np.ones((3, 4), complex), "complex128, expected numbers"),
        (np.array([[{"a": 1}]], object), "no .npy file of plain numbers"),
    ],
)
def test_wrong_arrays(saved, make_grid, values, words):
    with pytest.raises(InputError, match=words):
        picture(saved(values), make_grid((4, 3, 1), (4, 3, 1)), concentration=None)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.npy", b"no array", "no .npy file"),
        ("a.npy", b"", "no .npy file"),
        ("a.png", b"no picture", "no picture that can be read"),
        ("a.png", b"", "no picture that can be read"),
        ("a.mat", b"no picture", "no picture that can be read"),
    ],
)
def test_damaged_files(tmp_path, make_grid, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words):
        file_size(tmp_path / name)
    with pytest.raises(InputError, match=words):
        picture(tmp_path / name, make_grid((4, 3, 1), (4, 3, 1)), concentration=1.0)


def test_a_picture_that_breaks_off(tmp_path):
    Image.fromarray(np.arange(10000, dtype=np.uint16).reshape(100, 100)).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cannot be read|damaged"):
        file_size(tmp_path / "a.png")


def test_pictures_that_are_no_phantom(tmp_path, make_grid):
    grid = make_grid((4, 3, 1), (4, 3, 1))
    Image.fromarray(np.zeros((3, 4), np.uint8)).save(tmp_path / "black.png")
    with pytest.raises(InputError, match="the picture is black"):
        picture(tmp_path / "black.png", grid, concentration=1.0)
    Image.fromarray(shades().astype(np.float32)).save(tmp_path / "bright.tif")
    with pytest.raises(InputError, match="not from 0 to 1"):
        picture(tmp_path / "bright.tif", grid, concentration=1.0)
    Image.fromarray(shades()).save(
        tmp_path / "two.tif", save_all=True, append_images=[Image.fromarray(shades())]
    )
    with pytest.raises(InputError, match="has 2 pictures, expected one"):
        picture(tmp_path / "two.tif", grid, concentration=1.0)
    Image.fromarray(shades()).save(tmp_path / "good.png")
    with pytest.raises(UsageError, match="needs the concentration of white"):
        picture(tmp_path / "good.png", grid, concentration=None)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        picture(tmp_path / "folder.png", grid, concentration=1.0)


def test_the_number_of_images_has_to_fit(saved, make_grid):
    grid = make_grid((4, 3, 1), (4, 3, 1))
    with pytest.raises(UsageError, match="single image, not 2"):
        picture(saved(np.ones((3, 4))), grid, concentration=None, count=2)
    with pytest.raises(UsageError, match="has 5 images, not 2"):
        picture(saved(np.ones((5, 1, 3, 4))), grid, concentration=None, count=2)
