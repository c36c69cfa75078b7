"""The history that stands in a file of images, read without trust: it may come from anywhere."""

from __future__ import annotations

import gzip
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from mpikit.errors import InputError, PluginError
from mpikit.extras import install_hint
from mpikit.plain_arrays import read_arrays

LARGEST = 2**22  # bytes at the start of a file that are looked at: a history is kilobytes, and stands there
_COMMENT = 6  # kind of an extension of NIfTI


def require_nibabel() -> ModuleType:
    """Return nibabel.

    Raises
    ------
    PluginError
        When it is not installed.
    """
    try:
        import nibabel
    except ImportError as error:
        raise PluginError(
            "NIfTI files need nibabel, which is not installed", hint=install_hint("nifti")
        ) from error
    return nibabel


def history_of_nifti(path: Path) -> str | None:
    """Return the first comment among the extensions of the header; the images are not read."""
    nibabel = require_nibabel()
    with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
        start = file.read(LARGEST)
    kinds = [kind for kind in (nibabel.Nifti1Header, nibabel.Nifti2Header) if kind.may_contain_header(start)]
    if not kinds:
        raise ValueError("it has no header of NIfTI")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # without its check, which logs to stderr: nothing but the extensions is used
        header = kinds[0].from_fileobj(io.BytesIO(start), check=False)
        texts = [each.get_content() for each in header.extensions if each.get_code() == _COMMENT]
    return texts[0].rstrip(b"\0").decode() if texts else None


def history_of_npz(path: Path) -> str | None:
    """Return the array ``history``, and read no other one."""
    found = read_arrays(path, only=("history",), largest=4 * LARGEST)["history"]
    if found.ndim or found.dtype.kind != "U":
        raise ValueError(f"its history has the shape {found.shape} and the type {found.dtype}, expected text")
    return str(found)


def history_of_gif(path: Path) -> str | None:
    """Return the comment; no picture is decoded."""
    from PIL import Image

    with path.open("rb") as file:
        start = io.BytesIO(file.read(LARGEST))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow warns of, as large pictures, is not decoded
        with Image.open(start, formats=("GIF",)) as picture:
            comment = picture.info.get("comment")
    return comment.decode() if isinstance(comment, bytes) else None


def read_history_text(path: Path, suffix: str, reader: Callable[[Path], str | None]) -> str | None:
    """Return what a reader finds in a file.

    Raises
    ------
    InputError
        When the file is missing, or damaged: whatever the reader raises then.
    PluginError
        When the reader needs what is not installed.
    """
    try:
        return reader(path)
    except PluginError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file") from error
    except Exception as error:  # nibabel and Pillow raise whatever comes of a damaged file
        told = str(error) or type(error).__name__
        raise InputError(f"{path} is damaged, or no {suffix} file: {told}") from error
