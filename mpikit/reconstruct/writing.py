"""The files that a reconstruction leaves: images, their picture, and what stands beside them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import mdf
from mpikit.figures import save_choice
from mpikit.files import check_output
from mpikit.provenance import HISTORY, append_history, sha256
from mpikit.reconstruct.beside import Beside
from mpikit.reconstruct.making import Made
from mpikit.reconstruct.options import SystemMatrix
from mpikit.reconstruct.outputs import MDF_ENDINGS, suffix_of, write_images
from mpikit.reconstruct.stored import about_images, frame_interval, write_mdf
from mpikit.records import Options


def default_output(source: Path) -> Path:
    """Name of the file with the images: ``STEM.reconstruction.mdf`` beside the source."""
    return source.with_name(f"{source.stem}.reconstruction.mdf")


def known_hash(path: Path) -> str:
    """Return the SHA-256 of a file: that of a system matrix is found once for many measurements."""
    state = path.stat()
    return _hash_as_it_was(path.resolve(), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=16)
def _hash_as_it_was(path: Path, _size: int, _changed: int) -> str:
    return sha256(path)


def extras_of(options: Options) -> dict[str, bool]:
    """Say which files beside the images and their picture are written."""
    if not isinstance(options, SystemMatrix):
        return {"curve": False, "deviation": False}
    return {
        "curve": not isinstance(options.lambda_, float),
        "deviation": options.uncertainty != "none",
    }


def find_outputs(
    source: Path,
    output: Path | None,
    inputs: tuple[Path, ...],
    overwrite: bool,
    extras: Mapping[str, bool],
) -> Beside:
    """Return the file to write and those beside it, if they may be written."""
    output = output or default_output(source)
    beside = Beside(output)
    for path in beside.wanted(**extras):
        check_output(path, inputs=inputs, overwrite=overwrite)
    return beside


def save_curve(path: Path, made: Made, overwrite: bool) -> Path | None:
    """Draw how λ was chosen, if it was; return where."""
    if made.choice is None:
        return None
    save_choice(path, made.choice, overwrite=overwrite)
    return path


def plain_options(options: Options) -> dict[str, Any]:
    """Return the options as the history keeps them."""
    values = options.model_dump()
    if values.pop("cache", None) is not None:  # where it is says nothing, what it does to the values does
        values["int16"] = True
    return {name.rstrip("_"): value for name, value in values.items()}


def write_made(
    output: Path, measurement: mdf.File, made: Made, record: dict[str, Any], overwrite: bool
) -> None:
    """Write the images, beside all that the measurement says but its signals."""
    images, deviation = made.images, made.deviation
    before = measurement.user_value(HISTORY)
    history = append_history(before if isinstance(before, str) else None, record)
    if suffix_of(output, also=MDF_ENDINGS) not in MDF_ENDINGS:
        interval = frame_interval(measurement, record["options"], len(images.frames))
        write_images(
            output,
            images,
            history=history,
            deviation=deviation,
            frame_interval=interval,
            overwrite=overwrite,
        )
        return
    write_mdf(
        output,
        images,
        about=about_images(measurement),
        history=history,
        deviation=deviation,
        copy_user_from=measurement,
        overwrite=overwrite,
    )
