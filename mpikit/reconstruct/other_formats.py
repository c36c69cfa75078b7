"""Files of other formats, some of which mpikit writes itself: what they are, and what reads them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from mpikit.errors import InputError

_PILLOW = "any program for pictures shows it"
_KNOWN = (  # first bytes, what it is, what reads it
    (b"PK\x03\x04", "a NumPy file (.npz) or another ZIP archive", "numpy.load reads NumPy files"),
    (b"\x93NUMPY", "a NumPy file (.npy)", "numpy.load reads it"),
    (b"\x1f\x8b", "a gzip file, as NIfTI images (.nii.gz) are", "nibabel.load reads NIfTI files"),
    (b"GIF8", "an animation (GIF)", _PILLOW),
    (b"\x89PNG", "a picture (PNG)", _PILLOW),
)
_NIFTI = {344: (b"n+1\0", b"ni1\0"), 4: (b"n+2\0", b"ni2\0")}  # where its magic stands


def other_format(path: Path) -> tuple[str, str] | None:
    """Say what a file of another format is and what reads it; None for HDF5 and what is not known.

    Parameters
    ----------
    path : Path
        Only its first bytes are read.
    """
    head = b""
    with suppress(OSError), path.open("rb") as file:
        head = file.read(348)
    for start, what, reader in _KNOWN:
        if head.startswith(start):
            return what, reader
    if any(head[place : place + 4] in magics for place, magics in _NIFTI.items()):
        return "a NIfTI file", "nibabel.load reads it"
    return None


def refuse_other(path: Path) -> None:
    """Refuse a file that is no MDF file and whose format is known.

    Raises
    ------
    InputError
    """
    found = other_format(path)
    if found is not None:
        what, reader = found
        raise InputError(
            f"{path.name} is {what}, expected an MDF file",
            hint=f"{reader}; of images that mpikit made, name the MDF file, or make one with -o image.mdf",
        )
