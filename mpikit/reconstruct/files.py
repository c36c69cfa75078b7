"""From an MDF file to an MDF file with images, and a picture of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mdf
from mpikit.errors import InputError, UsageError
from mpikit.events import Event, Finding, Warned, silent
from mpikit.figures import save_images
from mpikit.files import check_output
from mpikit.provenance import HISTORY, append_history, run_record
from mpikit.reconstruct.background import background_state, plan_background
from mpikit.reconstruct.image import Images
from mpikit.reconstruct.kaczmarz import absolute_lambda, kaczmarz
from mpikit.reconstruct.match import check_patches
from mpikit.reconstruct.options import Kaczmarz, XSpace, make_options
from mpikit.reconstruct.system_matrix import read_system
from mpikit.reconstruct.xspace import trajectory, x_space
from mpikit.records import Options
from mpikit.scan import Scan

_NOT_KEPT = ("/measurement/", "/calibration/", "/reconstruction/")
_ITSELF = {"/version", "/uuid", "/time"}  # a new file has its own


@dataclass(frozen=True)
class Result:
    """What `reconstruct_file` made.

    Parameters
    ----------
    output, picture : Path
        The MDF file and the PNG file.
    method : str
    images : Images
    figures : dict
        Figures of the run, ready for JSON: for Kaczmarz ``rows`` and ``lambda`` (relative and absolute).
    """

    output: Path
    picture: Path
    method: str
    images: Images
    figures: dict[str, Any]


def reconstruct_file(
    source: Path,
    *,
    system_matrix: Path | None = None,
    output: Path | None = None,
    method: str = "kaczmarz",
    average_frames: bool = False,
    allow_mismatch: bool = False,
    overwrite: bool = False,
    tell: Callable[[Event], None] = silent,
    **options: Any,
) -> Result:
    """Reconstruct the images of a measurement and write them.

    Parameters
    ----------
    source : Path
        Measured or denoised MDF file.
    system_matrix : Path, optional
        Calibration file. Kaczmarz needs one, x-space takes none.
    output : Path, optional
        MDF file to write, beside the source as ``STEM.reconstruction.mdf`` if not given. The picture has
        the same name with the ending ``.png``.
    method : {"kaczmarz", "x-space"}
    average_frames : bool
        Make one image of the mean of all foreground frames, instead of one image for each.
    allow_mismatch : bool
        Go on with a system matrix that does not match, with a warning.
    overwrite : bool
        Replace existing files.
    tell : callable
    **options
        Options of the method by name: see `Kaczmarz` and `XSpace` in `mpikit.reconstruct.options`.

    Returns
    -------
    Result

    Raises
    ------
    UsageError, InputError, NumericalError, mdf.MdfError
    """
    chosen = make_options(method, options)
    if method == "x-space" and (system_matrix is not None or allow_mismatch):
        raise UsageError(
            "x-space uses no system matrix, expected neither --system-matrix nor --allow-mismatch",
            hint="leave them out, or use --method kaczmarz",
        )
    inputs = (source,) if system_matrix is None else (source, system_matrix)
    output = output or source.with_name(f"{source.stem}.reconstruction.mdf")
    if output.suffix.lower() == ".png":
        raise UsageError(
            f"the output {output.name} is the name of a picture, expected that of an MDF file",
            hint=f"say {output.with_suffix('.mdf').name}: the picture stands beside it",
        )
    picture = output.with_suffix(".png")
    for path in (output, picture):
        check_output(path, inputs=inputs, overwrite=overwrite)
    with mdf.open(source) as measurement:
        if isinstance(chosen, XSpace):
            images, figures = _by_x_space(measurement, chosen, average_frames, tell)
        elif isinstance(chosen, Kaczmarz):
            images, figures = _by_kaczmarz(
                measurement, system_matrix, chosen, average_frames, allow_mismatch, tell
            )
        said = {
            "method": method,
            "average_frames": average_frames,
            "allow_mismatch": allow_mismatch,
            **_plain_options(chosen),
        }
        record = run_record("reconstruct", inputs=inputs, options=said, **figures)
        _write(output, measurement, images, record, overwrite)
    values, unit = images.shown
    save_images(picture, values, images.grid, unit=unit, frames=images.frames.tolist(), overwrite=overwrite)
    return Result(output, picture, method, images, figures)


def _plain_options(options: Options) -> dict[str, Any]:
    return {name.rstrip("_"): value for name, value in options.model_dump().items()}


def _by_kaczmarz(
    measurement: mdf.File,
    system_matrix: Path | None,
    options: Kaczmarz,
    average_frames: bool,
    allow_mismatch: bool,
    tell: Callable[[Event], None],
) -> tuple[Images, dict[str, Any]]:
    if system_matrix is None:
        raise UsageError(
            "kaczmarz needs a system matrix",
            hint="add --system-matrix FILE (the calibration), or use --method x-space",
        )
    with mdf.open(system_matrix) as calibration:
        system = read_system(
            measurement,
            calibration,
            options,
            average_frames=average_frames,
            allow_mismatch=allow_mismatch,
            tell=tell,
        )
        concentration = _concentration(calibration)
    absolute = absolute_lambda(system.matrix, options.lambda_)
    found = kaczmarz(
        system.matrix, system.data, lambda_=options.lambda_, iterations=options.iterations, tell=tell
    )
    values = found.T.reshape(-1, *system.grid.shape).astype(np.float32)
    images = Images(values, system.grid, system.frames, "delta sample", concentration)
    figures = {
        "lambda": {"relative": options.lambda_, "absolute": absolute},
        "rows": len(system.rows),
        "rows_removed": system.rows.removed,
        "background_subtracted": list(system.background),
    }
    return images, figures


def _concentration(calibration: mdf.File) -> float | None:
    """Concentration of the delta sample in mol/L, when the file says it without a doubt."""
    values = calibration.tracer.concentration if calibration.tracer is not None else None
    if values is None or np.size(values) != 1:
        return None
    value = float(np.ravel(values)[0])
    return value if np.isfinite(value) and value > 0 else None


def _by_x_space(
    measurement: mdf.File, options: XSpace, average_frames: bool, tell: Callable[[Event], None]
) -> tuple[Images, dict[str, Any]]:
    from mpikit.scan_file import read_scan

    if measurement.is_calibration or measurement.measurement is None:
        raise InputError(
            f"{measurement.path.name} is no measurement, expected measured signals",
            hint="name the file that was measured or denoised",
        )
    check_patches(measurement)
    name = f"measurement {measurement.path.name}"
    states = {name: background_state(measurement)}
    corrected = plan_background(states, options.background, tell=tell)
    scan = read_scan(measurement.path, repeats="none")
    signal = _one_signal_for_each_image(scan, subtract=bool(corrected), average_frames=average_frames)
    path = trajectory(
        scan.drive_field,
        scan.selection_field,
        samples=signal.shape[-1],
        sampling_rate=scan.sampling_rate,
    )
    values, grid = x_space(
        signal, path, size=options.grid, field_of_view=options.field_of_view, min_speed=options.min_speed
    )
    missing = [axis for axis in path.axes if axis >= signal.shape[1]]
    if missing:
        axes = " and ".join("xyz"[axis] for axis in missing)
        tell(Warned(f"no channel receives along {axes}: the image is made of the other components alone"))
    if not scan.corrections.transfer_function:
        text = "the transfer function is not corrected: the image shows the receive chain too"
        tell(Finding("transfer function", False, text))
    frames = scan.foreground_index[:0] if average_frames else scan.foreground_index
    unit = f"{scan.unit} / (T/s)"
    return Images(values.astype(np.float32), grid, frames, unit), {"background_subtracted": sorted(corrected)}


def _one_signal_for_each_image(scan: Scan, *, subtract: bool, average_frames: bool) -> NDArray[np.float64]:
    """Mean over periods, and over frames if wanted, shape (Q, C, V)."""
    if not len(scan.signal):
        raise InputError(f"{scan.name} has no foreground frames, expected at least one")
    signal: NDArray[np.float64] = scan.signal.mean(axis=1, dtype=np.float64)
    if subtract:
        signal -= scan.background.mean(axis=(0, 1), dtype=np.float64)
    return signal.mean(axis=0, keepdims=True) if average_frames else signal


def _write(
    output: Path, measurement: mdf.File, images: Images, record: dict[str, Any], overwrite: bool
) -> None:
    kept = {
        name: value
        for name, value in measurement.contents().items()
        if name not in _ITSELF and not name.startswith(_NOT_KEPT)
    }
    before = measurement.user_value(HISTORY)
    history = append_history(before if isinstance(before, str) else None, record)
    mdf.write(
        output,
        {**kept, **images.contents()},
        user={HISTORY: history},
        copy_user_from=measurement,
        overwrite=overwrite,
    )
