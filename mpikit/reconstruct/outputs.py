"""Reconstructed images in files for other tools: NIfTI, numpy arrays and animations."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import mdf
from mdf import Grid
from mpikit.errors import UsageError
from mpikit.figures import COLOURS, DOTS, PANEL, draw_view, plain, views_of
from mpikit.files import check_output, write_atomically
from mpikit.provenance import HISTORY
from mpikit.reconstruct.image import Images
from mpikit.reconstruct.stored_history import (
    history_of_gif,
    history_of_nifti,
    history_of_npz,
    read_history_text,
    require_nibabel,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL.Image import Image

MDF_ENDINGS = (".mdf", ".h5", ".hdf5")
FRAME_DURATION = 0.2  # s, of an animation
_LONGEST_NIFTI_1 = 2**15 - 1  # voxels or frames along an axis
_GREYS = 40  # colours of a GIF that are left for the frame and the words around an image


@dataclass(frozen=True)
class About:
    """What a file says of its images besides their values.

    Parameters
    ----------
    history : str
        Text of `/_mpikit/history`, see `mpikit.provenance`.
    frame_interval : float or None, s
        From one image to the next, where it is known and the same for all.
    frame_duration : float, s
        How long an animation shows each image.
    deviation : Images or None
        Standard deviation of the images, for a format that takes it in the same file.
    what : str
        What the images are.
    """

    history: str
    frame_interval: float | None = None
    frame_duration: float = FRAME_DURATION
    deviation: Images | None = None
    what: str = "MPI image"


@dataclass(frozen=True)
class Format:
    """One kind of file: how it is made of images, and where it keeps its history."""

    encode: Callable[[Images, About], bytes]
    history: Callable[[Path], str | None]


def write_images(
    path: Path,
    images: Images,
    *,
    history: str,
    deviation: Images | None = None,
    frame_interval: float | None = None,
    frame_duration: float | None = None,
    overwrite: bool = False,
) -> None:
    """Write images in the format that the name of the file asks for; `FORMATS` has all of them.

    Values are in mmol/L where the concentration is known, else in the unit of the images.

    ``.nii``, ``.nii.gz``
        NIfTI-1 (NIfTI-2 where an axis is too long for it) with the axes x, y, z and, of several images, time;
        of several tracers x, y, z, time and tracer.
        The affine gives a voxel's centre in the coordinates of the scanner, mm. The history is an extension
        of the kind "comment". The standard deviation is a file of its own, see `deviation_file`.
    ``.npz``
        Arrays ``images`` (Q, z, y, x), or (Q, S, z, y, x) of the ``tracers`` (S,), ``unit``, ``size``,
        ``field_of_view``, ``center`` (x, y, z in m), ``positions`` (P, 3) in m with x fastest, ``frames``
        (Q,), ``frame_interval`` in s (NaN: not known) and ``history``; ``standard_deviation``, as the images
        or with Q = 1, where it is given. `numpy.load` reads it with ``allow_pickle=False``.
    ``.gif``
        An animation that repeats for ever: one picture for each image with one colour scale for all, maximum
        projections of volumes, a row for each of several tracers. The history is its comment. It has no
        standard deviation.

    Parameters
    ----------
    path : Path
    images : Images
    history : str
        Text of `/_mpikit/history`.
    deviation : Images, optional
        Standard deviation of each image, or one for all.
    frame_interval : float, optional, s
        From one image to the next, for NIfTI and npz.
    frame_duration : float, optional, s
        How long an animation shows each image, 0.2 s if not given; a GIF counts in hundredths of a second.
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    UsageError
        When the ending is of no known format, or a duration does not fit the format.
    PluginError
        When NIfTI is asked for and nibabel is not installed.
    InputError
        When the file exists already or cannot be written.
    """
    suffix = suffix_of(path)
    if frame_duration is not None and suffix != ".gif":
        raise UsageError(
            f"{path.name} is no animation, and has no frame duration",
            hint="leave out the duration, or name a .gif file",
        )
    if frame_duration is not None and not 0.02 <= frame_duration <= 600:  # faster ones are shown slowly
        raise UsageError(f"the frame duration is {frame_duration:g} s, expected 0.02 to 600")
    about = About(history, frame_interval, frame_duration or FRAME_DURATION, deviation)
    apart = None if deviation is None else deviation_file(path)
    for each in (path,) if apart is None else (path, apart):
        check_output(each, overwrite=overwrite)
    write_atomically(path, FORMATS[suffix].encode(images, about), overwrite=overwrite)
    if deviation is not None and apart is not None:
        about = replace(about, what="standard deviation of an MPI image")
        write_atomically(apart, FORMATS[suffix].encode(deviation, about), overwrite=overwrite)


def deviation_file(path: Path) -> Path | None:
    """Return the file that the standard deviation of the images in a file has of its own.

    ``STEM.uncertainty.nii.gz`` (or .nii) beside NIfTI files; None for other formats.
    """
    suffix = next((each for each in (".nii.gz", ".nii") if path.name.lower().endswith(each)), None)
    if suffix is None:
        return None
    stem, ending = path.name[: -len(suffix)], path.name[-len(suffix) :]
    return path.with_name(f"{stem}.uncertainty{ending}")


def suffix_of(path: Path, *, also: Sequence[str] = ()) -> str:
    """Return the ending that says the format of a file, lower case.

    Parameters
    ----------
    path : Path
    also : sequence of str
        Endings that the caller knows besides those of `FORMATS`.

    Raises
    ------
    UsageError
        When the name has none of these endings.
    """
    known = [*also, *FORMATS]
    name = path.name.lower()
    found = [suffix for suffix in known if name.endswith(suffix)]
    if not found:
        raise UsageError(
            f"{path.name} has no ending that names a format, expected one of {', '.join(known)}",
            hint=f"for instance {path.stem or 'image'}{known[0]}",
        )
    return max(found, key=len)


def stored_history(path: Path) -> str | None:
    """Return the text of the history that stands in a file of images, None if there is none.

    Parameters
    ----------
    path : Path
        A file of `write_images`, or an MDF file (any other ending).

    Raises
    ------
    InputError, PluginError, mdf.MdfError
        When the file is missing or damaged, or nibabel is needed and not installed.
    """
    suffixes = [suffix for suffix in FORMATS if path.name.lower().endswith(suffix)]
    if not suffixes:
        with mdf.open(path) as file:
            value = file.user_value(HISTORY)
        return value if isinstance(value, str) else None
    return read_history_text(path, suffixes[0], FORMATS[suffixes[0]].history)


def affine(grid: Grid) -> NDArray[np.float64]:
    """Return the matrix from voxel indices (i, j, k, 1) along x, y, z to positions in mm, shape (4, 4).

    A flat grid may have no thickness. Its one layer then gets that of the thinnest other side, 1 mm if there
    is none: an affine that cannot be inverted is no use to a viewer, and the centre is the same.
    """
    step = 1e3 * grid.spacing
    thick = step > 0
    step = np.where(thick, step, step[thick].min() if thick.any() else 1.0)
    matrix = np.diag([*step, 1.0])
    matrix[:3, 3] = 1e3 * grid.positions()[0]
    return matrix


def _encode_nifti(images: Images, about: About) -> bytes:
    nibabel = require_nibabel()
    values, unit = images.shown
    if images.tracers:
        data = values.transpose(4, 3, 2, 0, 1)
    else:
        data = values.transpose(3, 2, 1, 0)
        data = data[..., 0] if len(values) == 1 else data
    kind = nibabel.Nifti1Image if max(data.shape) <= _LONGEST_NIFTI_1 else nibabel.Nifti2Image
    image = kind(np.asarray(data, np.float32), affine(images.grid))
    for place in (image.set_sform, image.set_qform):
        place(affine(images.grid), code="scanner")
    header = image.header
    header.set_xyzt_units("mm", "sec")
    if data.ndim > 3:
        interval = about.frame_interval or 0.0  # 0: not known
        header.set_zooms((*header.get_zooms()[:3], interval, *header.get_zooms()[4:]))
    of = f" of {', '.join(images.tracers)}" if images.tracers else ""
    header["descrip"] = f"{about.what} in {unit}{of}".encode()[:79]
    header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", about.history.encode()))
    content: bytes = image.to_bytes()
    return content


def _encode_nifti_gz(images: Images, about: About) -> bytes:
    return gzip.compress(_encode_nifti(images, about), compresslevel=6, mtime=0)  # the same bytes each time


def _encode_npz(images: Images, about: About) -> bytes:
    values, unit = images.shown
    buffer = io.BytesIO()
    more: dict[str, Any] = {}
    if images.tracers:
        more["tracers"] = np.array(images.tracers)
    if about.deviation is not None:
        more["standard_deviation"] = about.deviation.shown[0]
    np.savez_compressed(
        buffer,
        images=values,
        unit=np.array(unit),
        size=images.grid.size,
        field_of_view=images.grid.field_of_view,
        center=images.grid.center,
        positions=images.grid.positions(),
        frames=images.frames,
        frame_interval=np.array(np.nan if about.frame_interval is None else about.frame_interval),
        history=np.array(about.history),
        **more,
    )
    return buffer.getvalue()


def _encode_gif(images: Images, about: About) -> bytes:
    pictures = _pictures(images)
    first = next(pictures)
    buffer = io.BytesIO()
    first.save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=pictures,
        duration=10 * round(100 * about.frame_duration),  # ms
        loop=0,
        comment=about.history.encode(),
    )
    return buffer.getvalue()


def _pictures(images: Images) -> Iterator[Image]:
    """Draw one image after the other into the same axes, so that nothing but the image changes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    values, unit = images.shown
    values = values if images.tracers else values[:, None]
    views, names = views_of(images.grid), images.tracers or ("",)
    size = (PANEL * len(views) + 1.2, PANEL * len(names) + 0.4)
    figure = Figure(figsize=size, dpi=DOTS, layout="constrained")
    canvas: Any = FigureCanvasAgg(figure)
    panels = figure.subplots(len(names), len(views), squeeze=False)
    low, high = min(0.0, float(values.min())), float(values.max())
    limits = (low, high if high > low else low + 1.0)
    drawn = [
        draw_view(panel, value, images.grid, view, limits, unit)
        for row, value in zip(panels, values[0], strict=True)
        for panel, view in zip(row, views, strict=True)
    ]
    if drawn[-1] is not None:
        figure.colorbar(drawn[-1], ax=panels, label=plain(unit), shrink=0.9)
    palette = _palette()
    for shown, time in zip(values, _titles(images), strict=True):
        for row, value, name in zip(panels, shown, names, strict=True):
            for panel, view in zip(row, views, strict=True):
                _show(panel, value, view)
            title = plain("\n".join(filter(None, (name, time))))
            row[0].set_title(f"{title}, maximum projections" if len(views) == 3 else title, fontsize="medium")
        canvas.draw()
        figure.set_layout_engine("none")  # what the first picture found stays
        coloured = Image.fromarray(np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3]))
        yield coloured.quantize(palette=palette, dither=Image.Dither.NONE)


def _show(panel: Axes, value: NDArray[np.float32], view: tuple[int, int]) -> None:
    """Put an image in the place of the one that is drawn: to draw anew takes several times as long."""
    right, up = view
    if right == up:
        panel.lines[0].set_ydata(value.ravel())
    else:
        panel.images[0].set_data(value.max(axis=right + up - 1))  # the axis, of z, y, x, that is in neither


def _titles(images: Images) -> list[str]:
    count = len(images.values)
    if len(images.frames) == count:
        return [f"frame {number}" for number in images.frames]
    return [f"image {index} of {count}" for index in range(1, count + 1)] if count > 1 else ["mean"]


def _palette() -> Image:
    """One table of colours for all pictures, so that a value has the same colour in each."""
    from matplotlib import colormaps
    from PIL import Image

    colours = colormaps[COLOURS](np.linspace(0, 1, 256 - _GREYS))[:, :3]
    greys = np.linspace(0, 1, _GREYS)[:, None].repeat(3, axis=1)
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.rint(255 * np.concatenate([colours, greys])).astype(np.uint8).tobytes())
    return palette


FORMATS = {
    ".nii": Format(_encode_nifti, history_of_nifti),
    ".nii.gz": Format(_encode_nifti_gz, history_of_nifti),
    ".npz": Format(_encode_npz, history_of_npz),
    ".gif": Format(_encode_gif, history_of_gif),
}
