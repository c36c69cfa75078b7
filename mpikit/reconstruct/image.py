"""Reconstructed images with their grid, and how MDF stores them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mdf import File, Grid
from mpikit.errors import UsageError

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True)
class Images:
    """Q images on one grid, of one tracer or of several.

    Parameters
    ----------
    values : shape (Q, z, y, x), or (Q, S, z, y, x) of several tracers, ``unit``
    grid : mdf.Grid
    frames : shape (Q,)
        Place in acquisition of the frame of each image, counted from 0; empty for a mean over frames.
    unit : str
        Of the values: ``"delta sample"`` is the amount in the calibration's sample.
    concentration : float, or tuple of S float, or None, mol/L
        What one unit stands for, when the calibration says; of several tracers when all calibrations do.
    tracers : tuple of S str
        Names of several tracers; empty for one.
    history : str
        How they were made: text of `/_mpikit/history`. Empty where it is not known.
    frame_interval : float or None, s
        From one image to the next, where it is known and the same for all.
    about : mapping
        What the file of the measurement says of sequence, scanner and the like, by path in the MDF standard:
        what `to_mdf` needs. Empty where it is not known.
    """

    values: NDArray[np.float32]
    grid: Grid
    frames: NDArray[np.int64]
    unit: str
    concentration: float | tuple[float, ...] | None = None
    tracers: tuple[str, ...] = ()
    history: str = field(default="", repr=False, compare=False)
    frame_interval: float | None = field(default=None, repr=False, compare=False)
    about: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __repr__(self) -> str:
        values, unit = self.shown
        axes = ("Q", "S", "z", "y", "x") if self.tracers else ("Q", "z", "y", "x")
        sizes = ", ".join(f"{name}={size}" for name, size in zip(axes, values.shape, strict=True))
        of = f", of {', '.join(self.tracers)}" if self.tracers else ""
        return f"<{type(self).__name__}: {sizes}, {unit}{of}>"

    def _repr_html_(self) -> str:
        from mpikit.shown import images_as_html

        return images_as_html(self)

    @property
    def shown(self) -> tuple[NDArray[np.float32], str]:
        """Values and unit for people: mmol/L where that is known."""
        if self.concentration is None:
            return self.values, self.unit
        factor = np.float32(1e3) * np.asarray(self.concentration, np.float32)
        return self.values * (factor if factor.ndim == 0 else factor[:, None, None, None]), "mmol/L"

    def each(self) -> tuple[Images, ...]:
        """Return the images of each tracer by themselves; of one tracer the images as they are."""
        if not self.tracers:
            return (self,)
        known = self.concentration
        return tuple(
            replace(
                self,
                values=self.values[:, index],
                concentration=known[index] if isinstance(known, tuple) else known,
                tracers=(),
            )
            for index in range(len(self.tracers))
        )

    def peak(self) -> tuple[NDArray[np.float64], float]:
        """Position (x, y, z) in m and value, in ``unit``, of the highest voxel of the mean image.

        Of several tracers that of the highest one; `each` has them apart.
        """
        if self.tracers:
            return max((images.peak() for images in self.each()), key=lambda peak: peak[1])
        mean = self.values.mean(axis=0, dtype=np.float64).ravel()
        highest = int(np.argmax(mean))
        return self.grid.positions()[highest], float(mean[highest])

    def to_xarray(self) -> xarray.DataArray:
        """Return the images with labelled axes and units, as `shown` has them.

        Returns
        -------
        xarray.DataArray
            Axes (frame, z, y, x), or (frame, tracer, z, y, x) of several tracers; x, y and z are the centres
            of the voxels in m, frames by their place in the acquisition where it is known.

        Raises
        ------
        PluginError
            When xarray is not installed.
        """
        from mpikit.labelled import images_as_xarray

        return images_as_xarray(self)

    def to_mdf(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write an MDF reconstruction with unit, concentration and history, which `mpikit.load` reads.

        Parameters
        ----------
        path : str or Path
        overwrite : bool
            Replace a file that exists.

        Returns
        -------
        Path
            The file, complete.

        Raises
        ------
        UsageError
            When the name has no ending of MDF, or the images know nothing of their measurement (`about`),
            which an MDF file has to say.
        InputError
            When the file exists already or cannot be written.
        """
        from mpikit.files import check_output
        from mpikit.labelled import check_suffix
        from mpikit.reconstruct.outputs import MDF_ENDINGS
        from mpikit.reconstruct.stored import write_mdf

        path = Path(path)
        check_suffix(path, MDF_ENDINGS)
        if not self.about:
            raise UsageError(
                "these images know nothing of sequence and scanner, which an MDF file has to say",
                hint="use to_npz or to_nifti; images of mpikit.reconstruct and mpikit.load know it",
            )
        check_output(path, overwrite=overwrite)
        deviation = getattr(self, "deviation", None)
        write_mdf(
            path, self, about=self.about, history=self.history, deviation=deviation, overwrite=overwrite
        )
        return path

    def to_nifti(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write a NIfTI file (``.nii`` or ``.nii.gz``), see `mpikit.reconstruct.outputs.write_images`.

        Parameters
        ----------
        path : str or Path
        overwrite : bool
            Replace a file that exists.

        Returns
        -------
        Path
            The file, complete.

        Raises
        ------
        UsageError
            When the name has another ending.
        PluginError
            When nibabel is not installed.
        InputError
            When the file exists already or cannot be written.
        """
        return self._write(path, (".nii", ".nii.gz"), overwrite=overwrite)

    def to_npz(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write arrays that `numpy.load` reads (``.npz``); the rest is as in `to_nifti`."""
        return self._write(path, (".npz",), overwrite=overwrite)

    def to_gif(
        self, path: str | Path, *, frame_duration: float | None = None, overwrite: bool = False
    ) -> Path:
        """Write an animation (``.gif``); the rest is as in `to_nifti`.

        Parameters
        ----------
        path : str or Path
        frame_duration : float or None, s
            How long each image is shown, 0.2 s if not given.
        overwrite : bool
        """
        return self._write(path, (".gif",), frame_duration=frame_duration, overwrite=overwrite)

    def to_png(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write a picture (``.png``), see `mpikit.figures.save_images`; the rest is as in `to_nifti`."""
        from mpikit.figures import save_images
        from mpikit.labelled import check_suffix

        check_suffix(Path(path), (".png",))
        values, unit = self.shown
        save_images(
            Path(path),
            values,
            self.grid,
            unit=unit,
            frames=self.frames.tolist(),
            tracers=self.tracers,
            overwrite=overwrite,
        )
        return Path(path)

    def _write(
        self,
        path: str | Path,
        endings: tuple[str, ...],
        *,
        frame_duration: float | None = None,
        overwrite: bool,
    ) -> Path:
        from mpikit.labelled import check_suffix
        from mpikit.reconstruct.outputs import write_images

        check_suffix(Path(path), endings)
        write_images(
            Path(path),
            self,
            history=self.history,
            frame_interval=None if endings == (".gif",) else self.frame_interval,
            frame_duration=frame_duration,
            overwrite=overwrite,
        )
        return Path(path)

    def contents(self) -> dict[str, object]:
        """Datasets of `/reconstruction` (MDF 2.1.0, reconstruction).

        Voxels are x fastest, and each tracer is a channel.
        """
        return {
            "/reconstruction/data": self._data(),
            "/reconstruction/size": self.grid.size,
            "/reconstruction/fieldOfView": self.grid.field_of_view,
            "/reconstruction/fieldOfViewCenter": self.grid.center,
            "/reconstruction/order": "xyz",
            "/reconstruction/positions": self.grid.positions(),
        }

    def _data(self) -> NDArray[np.float32]:
        """Return the values as (Q, P, S)."""
        channels = self.values.reshape(len(self.values), max(len(self.tracers), 1), -1)
        return np.ascontiguousarray(channels.swapaxes(1, 2), np.float32)


def concentration_of(calibration: File) -> float | None:
    """Return the concentration of the delta sample in mol/L, when the file says it without a doubt.

    Parameters
    ----------
    calibration : mdf.File
    """
    values = calibration.tracer.concentration if calibration.tracer is not None else None
    if values is None or np.size(values) != 1:
        return None
    value = float(np.ravel(values)[0])
    return value if np.isfinite(value) and value > 0 else None
