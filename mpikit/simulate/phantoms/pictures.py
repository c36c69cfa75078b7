"""Any picture, or any array of concentrations, as a phantom."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.errors import InputError, UsageError
from mpikit.plain_arrays import map_array
from mpikit.simulate.phantoms.phantom import Phantom
from mpikit.simulate.phantoms.place import ORIGIN, Vector, check_inside, field_of_view
from mpikit.simulate.phantoms.resample import resample

if TYPE_CHECKING:
    from PIL.Image import Image

Floats = NDArray[np.float64]
Values = NDArray[np.floating[Any]]

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".npy", ".pgm", ".png", ".tif", ".tiff", ".webp")
LARGEST = 2**25  # pixels of a picture, values of an array: a small file can unfold to any size
LONGEST = 2**16  # pixels along one side: bringing them to a grid takes the product of both sizes
_ARRAY_HINT = "save an array of numbers of shape (y, x), (z, y, x) or (Q, z, y, x) with numpy.save"
_PICTURE_HINT = "give a picture (PNG, JPEG, TIFF, ...) or a .npy file"


def phantom_file(name: str) -> Path | None:
    """Return the file that a phantom's name means: one that exists, or a text that reads like a file.

    >>> str(phantom_file("heart.png"))
    'heart.png'
    >>> phantom_file("dots")
    """
    path = Path(name)
    reads_so = path.suffix.lower() in SUFFIXES or any(mark in name for mark in ("/", os.sep))
    return path if reads_so or path.is_file() else None


def file_size(path: Path) -> tuple[int, int, int, int]:
    """Return the voxels along x, y and z of a file, and its number of images Q.

    Raises
    ------
    InputError
        When it cannot be read.
    """
    if path.suffix.lower() == ".npy":
        count, nz, ny, nx = _four_axes(path, _load(path)).shape
    else:
        count, nz, ny, nx = _read_picture(path).shape
    return nx, ny, nz, count


def picture(
    path: Path, grid: Grid, *, concentration: float | None, count: int = 1, centre: Vector = ORIGIN
) -> Phantom:
    """Return the phantom that a file shows. It fills the field of view of the grid.

    On a grid of another size it is resampled with the same amount of tracer, see `averaging`.

    Parameters
    ----------
    path : Path
        A ``.npy`` file of shape (y, x), (z, y, x) or (Q, z, y, x), in mol(Fe)/L; or a picture, whose row 0
        is at the highest y, from black for no tracer to white, and transparent for none. A colour counts by
        its brightness.
    grid : mdf.Grid
    concentration : float or None, mol(Fe)/L
        Of white, or the highest of an array; None leaves an array as it is.
    count : int
        Expected number of images Q.
    centre : shape (3,), m
        Shift from the centre of the field of view.

    Raises
    ------
    InputError
        When the file is missing, is of another kind, has no tracer, or has values that are negative or no
        numbers.
    UsageError
        When it has another number of images, a picture gets no concentration, or the shift brings tracer out
        of the field of view.
    """
    if path.suffix.lower() == ".npy":
        images = _read_array(path)
        dose = 1.0 if concentration is None else concentration / float(images.max())
    elif concentration is None:
        raise UsageError(f"the picture {path.name} needs the concentration of white, in mol(Fe)/L")
    else:
        images = _read_picture(path)
        dose = concentration
    _check(path, images, count)
    _check_place(path, images, grid, centre)
    return Phantom(dose * resample(images, grid, centre), grid, path.name)


def _load(path: Path) -> NDArray[Any]:
    """Return an array that is not read before it is used."""
    try:
        return map_array(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:
        raise InputError(f"{path} is no .npy file of plain numbers", hint=_ARRAY_HINT) from error


def _four_axes(path: Path, values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind not in "buif":
        raise InputError(f"{path} has values of type {values.dtype}, expected numbers", hint=_ARRAY_HINT)
    if values.ndim not in (2, 3, 4) or not values.size:
        raise InputError(f"{path} has the shape {values.shape}", hint=_ARRAY_HINT)
    if values.size > LARGEST:  # it may be next to nothing on the disk, and is eight bytes for each in memory
        raise InputError(
            f"{path} has the shape {values.shape}, more than {LARGEST / 1e6:.0f} million values",
            hint="make it smaller, or save its images in several files",
        )
    _check_sides(path, values.shape[-3:])
    return values.reshape((1,) * (4 - values.ndim) + values.shape)


def _check_sides(path: Path, sides: tuple[int, ...]) -> None:
    if max(sides) > LONGEST:
        raise InputError(
            f"{path} has {max(sides)} values along one side, expected {LONGEST} at most",
            hint="make it smaller",
        )


def _read_array(path: Path) -> Values:
    images: Values = np.array(_four_axes(path, _load(path)), float)
    if not np.all(np.isfinite(images)) or np.any(images < 0):
        raise InputError(
            f"{path} has a concentration that is negative or no number",
            hint="give mol(Fe)/L of 0 and above",
        )
    if not np.any(images):
        raise InputError(f"{path} has no tracer: all its values are zero")
    return images


def _read_picture(path: Path) -> Values:
    """Return the brightness from 0 to 1, shape (1, 1, y, x), with row 0 at the lowest y."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow warns of, as large pictures, is refused below
            with Image.open(path) as image:
                if image.width * image.height > LARGEST:
                    raise Image.DecompressionBombError
                _check_sides(path, image.size)
                pages = getattr(image, "n_frames", 1)
                grey = _brightness(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:
        raise InputError(f"{path} is no picture that can be read", hint=_PICTURE_HINT) from error
    except Image.DecompressionBombError as error:
        raise InputError(
            f"{path} has more than {LARGEST / 1e6:.0f} million pixels", hint="make it smaller"
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    except InputError:
        raise
    except Exception as error:  # its readers raise whatever comes of a damaged file
        raise InputError(f"{path} is a damaged picture", hint=_PICTURE_HINT) from error
    if pages > 1:
        raise InputError(f"{path} has {pages} pictures, expected one", hint=_ARRAY_HINT)
    if not np.all((grey >= 0) & (grey <= 1)):
        raise InputError(f"{path} has a brightness that is not from 0 to 1", hint=_ARRAY_HINT)
    if not np.any(grey):
        raise InputError(f"{path} has no tracer: the picture is black")
    return grey[None, None, ::-1]


def _brightness(image: Image) -> Floats:
    if image.mode.startswith("I"):  # 16 bits, which Pillow may hold in 32
        return np.asarray(image, float) / 65535
    if image.mode == "F":
        return np.asarray(image, float)
    # Some modes have no way to transparency but through RGB.
    coloured = image if image.mode in ("1", "L", "LA", "P", "PA", "RGB", "RGBA") else image.convert("RGB")
    both = np.asarray(coloured.convert("RGBA").convert("LA"))
    brightness: Floats = both[..., 0] / 255
    brightness *= both[..., 1] / 255
    return brightness


def _unreadable(path: Path, error: OSError) -> InputError:
    if not path.exists():
        return InputError(f"the phantom {path} does not exist")
    if path.is_dir():
        return InputError(f"the phantom {path} is a folder", hint=_PICTURE_HINT)
    return InputError(f"the phantom {path} cannot be read: {error.strerror or error}", hint=_PICTURE_HINT)


def _check(path: Path, images: Values, count: int) -> None:
    found = len(images)
    if found == count:
        return
    if found == 1:
        raise UsageError(
            f"phantom {path.name!r} is a single image, not {count} different ones",
            hint="leave out --count, or choose --phantom digits",
        )
    raise UsageError(
        f"phantom {path.name!r} has {found} images, not {count}",
        hint=f"ask for {found}, or save an array of {count}",
    )


def _check_place(path: Path, images: Values, grid: Grid, centre: Vector) -> None:
    if not any(centre):
        return  # it fills the field of view and no more
    low, high = field_of_view(grid)
    box = np.empty((2, 3))
    for place, axis in enumerate((3, 2, 1)):
        cells = images.shape[axis]
        others = tuple(other for other in range(4) if other != axis)
        used = np.flatnonzero(np.any(images > 0, axis=others))
        spread = 0.5 if grid.size[place] > cells else 0.0  # of straight lines between cells
        edges = np.clip([used[0] - spread, used[-1] + 1 + spread], 0, cells)
        box[:, place] = low[place] + (high - low)[place] * edges / cells + centre[place]
    check_inside(path.name, box[None], grid)
