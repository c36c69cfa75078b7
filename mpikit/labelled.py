"""Scans and images as arrays whose axes have names and units: xarray, and npz files."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from mpikit.errors import PluginError, UsageError
from mpikit.extras import install_hint
from mpikit.files import check_output, write_atomically
from mpikit.provenance import HISTORY

if TYPE_CHECKING:
    import xarray

    from mpikit.reconstruct.image import Images
    from mpikit.scan import Scan

AXES = ("frame", "period", "channel", "time")


def check_suffix(path: Path, endings: tuple[str, ...]) -> None:
    """Refuse a file whose name does not end as its format does (`UsageError`)."""
    if not path.name.lower().endswith(endings):
        raise UsageError(
            f"{path.name} has another ending than {' or '.join(endings)}",
            hint=f"for instance {path.stem or 'image'}{endings[0]}",
        )


def scan_as_xarray(scan: Scan) -> xarray.Dataset:
    """See `mpikit.Scan.to_xarray`."""
    xr = _xarray()
    measured = {"units": scan.unit, "long_name": "receive signal"}
    empty = measured | {"long_name": "signal of the empty scanner"}
    times = np.arange(scan.signal.shape[-1]) / scan.sampling_rate
    stored = {"long_name": "lines that the file stores"}
    labelled: xarray.Dataset = xr.Dataset(
        {
            "signal": (AXES, scan.signal, measured),
            "background": (("background_frame", *AXES[1:]), scan.background, empty),
            "stored_lines": (("frequency",), scan.stored_lines, stored),
        },
        coords={
            "frame": ("frame", scan.foreground_index, {"long_name": "place in the acquisition"}),
            "background_frame": (
                "background_frame",
                scan.background_index,
                {"long_name": "place in the acquisition"},
            ),
            "channel": ("channel", np.arange(scan.signal.shape[2]), {"long_name": "receive channel"}),
            "period": ("period", np.arange(scan.signal.shape[1]), {"long_name": "drive-field period"}),
            "time": ("time", times, {"units": "s", "long_name": "time from the start of the period"}),
            "frequency": ("frequency", scan.frequencies, {"units": "Hz", "long_name": "frequency"}),
        },
        attrs=_facts(scan),
    )
    return labelled


def images_as_xarray(images: Images) -> xarray.DataArray:
    """See `mpikit.reconstruct.Images.to_xarray`."""
    xr = _xarray()
    values, unit = images.shown
    axes = ("frame", *(("tracer",) if images.tracers else ()), "z", "y", "x")
    places = images.grid.positions().reshape(*images.grid.shape, 3)
    centres = {"x": places[0, 0, :, 0], "y": places[0, :, 0, 1], "z": places[:, 0, 0, 2]}
    coordinates: dict[str, Any] = {
        name: (name, values, {"units": "m", "long_name": f"position along {name}"})
        for name, values in centres.items()
    }
    if len(images.frames) == len(values):
        about = {"long_name": "place of the frame in the acquisition"}
        coordinates["frame"] = ("frame", images.frames, about)
    if images.tracers:
        coordinates["tracer"] = ("tracer", list(images.tracers))
    if images.frame_interval is not None:
        times = np.arange(len(values)) * images.frame_interval
        about = {"units": "s", "long_name": "time from the first image"}
        coordinates["time"] = ("frame", times, about)
    labelled: xarray.DataArray = xr.DataArray(
        values,
        dims=axes,
        coords=coordinates,
        name="image",
        attrs={"units": unit, "long_name": "MPI image", "history": images.history},
    )
    return labelled


def write_scan_npz(scan: Scan, path: Path, *, overwrite: bool) -> Path:
    """See `mpikit.Scan.to_npz`."""
    check_suffix(path, (".npz",))
    check_output(path, overwrite=overwrite)
    buffer = io.BytesIO()
    facts: dict[str, Any] = {name: np.array(value) for name, value in _facts(scan).items()}
    np.savez_compressed(
        buffer,
        signal=scan.signal,
        background=scan.background,
        foreground_index=scan.foreground_index,
        background_index=scan.background_index,
        time=np.arange(scan.signal.shape[-1]) / scan.sampling_rate,
        frequency=scan.frequencies,
        stored_lines=scan.stored_lines,
        axes=np.array(AXES),
        **facts,
    )
    write_atomically(path, buffer.getvalue(), overwrite=overwrite)
    return path


def _facts(scan: Scan) -> dict[str, Any]:
    """Return what is no array, as numbers and text alone: netCDF takes nothing else."""
    history = scan.about.get(HISTORY)
    return {
        "name": scan.name,
        "unit": scan.unit,
        "sampling_rate": scan.sampling_rate,
        "repeats": scan.repeats,
        "drive_frequencies": scan.drive_field.frequencies[scan.drive_field.active],
        "corrections": json.dumps(vars(scan.corrections)),
        "history": history if isinstance(history, str) else "",
    }


def _xarray() -> ModuleType:
    try:
        import xarray
    except ImportError as error:
        raise PluginError(
            "labelled arrays need xarray, which is not installed", hint=install_hint("xarray")
        ) from error
    return xarray
