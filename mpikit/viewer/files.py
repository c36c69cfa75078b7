"""The layers of an MDF file."""

from __future__ import annotations

from pathlib import Path

import h5py

import mdf
from mpikit.errors import InputError
from mpikit.viewer.layer import Layer


def is_mdf(path: Path) -> bool:
    """Say whether a file is for us to read.

    Other formats are called ``.mdf`` too, so that the content counts: an HDF5 file of this name is ours even
    if it is damaged, for its reader says what is wrong. Files of other names must be valid MDF files.
    """
    try:
        if not path.is_file() or not h5py.is_hdf5(path):
            return False
        if path.suffix.lower() == ".mdf":
            return True
        with mdf.open(path) as file:
            return file.has_group("/acquisition")
    except (OSError, mdf.MdfError):
        return False


def layers_of_file(path: str | Path) -> list[Layer]:
    """Return the layers of an MDF file: images, rows of a system matrix, or signals and spectra.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    list of Layer
        Images come whole; rows and signals are read from the file when they are looked at.

    Raises
    ------
    InputError
        When the file has nothing to show.
    mdf.MdfError
        When it is no MDF file, or a damaged one.
    """
    path = Path(path)
    layers: list[Layer] = []
    with mdf.open(path) as file:
        if file.is_calibration:
            from mpikit.viewer.matrices import matrix_layers

            layers += matrix_layers(file)
        elif file.measurement is not None:
            from mpikit.viewer.signals import signal_layers

            layers += signal_layers(file)
        if file.reconstruction is not None:
            from mpikit.viewer.images import image_layers

            layers += image_layers(file)
    if not layers:
        raise InputError(
            f"{path.name} has nothing to show, expected a measurement, a calibration or a reconstruction",
            hint="mpikit info shows what a file holds",
        )
    return layers
