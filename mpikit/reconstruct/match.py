"""Whether a measurement and a system matrix belong together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mdf import File
from mpikit.errors import InputError
from mpikit.events import Event, Warned

PHASE = 0.1  # rad, of a drive field
OFFSET = 2e-4  # T, of the focus field: a fifth of a millimetre at 1 T/m
SINGULAR = 1e-6  # of the cubed norm of a gradient: a smaller determinant is that of a field-free line
TOLERANCE = 0.02  # of drive-field amplitudes and of the gradient: what a calibrated scanner reproduces


def check_kinds(measurement: File, calibration: File) -> None:
    """Refuse a calibration as measurement, a measurement as system matrix, and files without signal.

    Raises
    ------
    InputError
    """
    if measurement.measurement is None:
        raise InputError(
            f"{measurement.path.name} holds no measured signal, expected /measurement/data",
            hint="name the file that was measured or denoised, not a reconstruction",
        )
    if measurement.is_calibration:
        raise InputError(
            f"{measurement.path.name} is a calibration (a system matrix), expected a measurement",
            hint="mpikit reconstruct MEASUREMENT --system-matrix CALIBRATION",
        )
    if not calibration.is_calibration or calibration.measurement is None:
        raise InputError(
            f"{calibration.path.name} is no system matrix: it has no calibration data",
            hint="mpikit reconstruct MEASUREMENT --system-matrix CALIBRATION",
        )


def check_match(
    measurement: File,
    calibration: File,
    *,
    patches: bool = False,
    grouping: int = 1,
    allow_mismatch: bool,
    tell: Callable[[Event], None],
) -> None:
    """Refuse a system matrix of another sequence, scanner setting or processing state.

    Parameters
    ----------
    measurement, calibration : mdf.File
    patches : bool
        The focus fields may differ.
    grouping : int
        So many periods of the measurement are joined: those of the matrix may be as long, or as long as one.
    allow_mismatch : bool
        Go on with a warning.
    tell : callable

    Raises
    ------
    InputError
        Names everything that differs, with both values.
    """
    names = f"{measurement.path.name} and {calibration.path.name}"
    if calibration.num_samples not in {measurement.num_samples, grouping * measurement.num_samples}:
        joined = f" ({grouping} are grouped)" if grouping > 1 else ""
        raise InputError(
            f"{names} do not match: {measurement.num_samples}, {calibration.num_samples} samples in a period"
            + joined,
            hint="use the system matrix of this drive-field sequence",
        )
    found = differences(measurement, calibration, patches=patches)
    if not found:
        return
    text = f"{names} do not match (measurement, system matrix): {'; '.join(found)}"
    elsewhere = not patches and bool(_offsets_that_differ((measurement, calibration)))
    if not allow_mismatch:
        hint = "use the system matrix of this sequence, or --allow-mismatch to go on"
        if elsewhere and len(found) == 1:
            hint = "-p combine=patches moves the system matrix to the place of the measurement"
        raise InputError(text, hint=hint)
    tell(Warned(text + (_displaced(measurement, calibration) if elsewhere else "")))


def _displaced(measurement: File, calibration: File) -> str:
    """Say how far the image is from its place, as the system matrix is not moved."""
    gradient = measurement.acquisition.gradient
    offsets = [file.acquisition.offset_field for file in (measurement, calibration)]
    if gradient is None or gradient.shape[1] != 1 or offsets[0].shape[1] != 1 or offsets[1].shape[1] != 1:
        return ""
    if abs(np.linalg.det(gradient[0, 0])) <= SINGULAR * np.linalg.norm(gradient[0, 0]) ** 3:
        return ""
    length = np.linalg.norm(np.linalg.solve(gradient[0, 0], offsets[0][0, 0] - offsets[1][0, 0]))
    return f"; the image is displaced by {1e3 * length:.3g} mm"


def differences(measurement: File, calibration: File, *, patches: bool = False) -> list[str]:
    """Return what differs, each as ``name value, value unit``; with ``patches`` focus fields may differ."""
    files = (measurement, calibration)
    found = []
    for name, values, unit, tolerance in (
        ("drive frequencies", [_drive(file)[0] for file in files], "Hz", 1e-6),
        ("drive amplitudes", [1e3 * _drive(file)[1] for file in files], "mT", TOLERANCE),
        ("gradient", [_gradient(file) for file in files], "T/m", TOLERANCE),
        ("sampling rate", [np.array([file.sampling_rate]) for file in files], "Hz", 1e-6),
    ):
        if not _close(values, tolerance):
            found.append(f"{name} {_text(values[0])}, {_text(values[1])} {unit}")
    found += _drives_that_differ(files)
    if not patches:
        found += _offsets_that_differ(files)
    for name, words in (
        ("receive channels", [file.num_channels for file in files]),
        ("unit", [file.acquisition.receiver.unit for file in files]),
    ):
        if words[0] != words[1]:
            found.append(f"{name} {words[0]}, {words[1]}")
    return found


def _drives_that_differ(files: tuple[File, File]) -> list[str]:
    """Waveforms and phases that are not alike."""
    found = []
    one, other = (_active(file) for file in files)
    if one[0].shape == other[0].shape:
        if np.any(one[0] != other[0]):
            found.append(f"waveforms {' '.join(one[0])}, {' '.join(other[0])}")
        turned = np.abs(np.angle(np.exp(1j * (one[1] - other[1]))))
        if np.any(turned > PHASE):
            found.append(f"drive phases {_text(one[1])}, {_text(other[1])} rad")
    return found


def _offsets_that_differ(files: tuple[File, File]) -> list[str]:
    """Offset fields that are not alike; what only one file says is not compared."""
    found = []
    offsets = [file.acquisition.offset_field for file in files]
    if offsets[0] is not None and offsets[1] is not None:
        first, second = (offset.reshape(-1, offset.shape[-1])[0] for offset in offsets)
        if first.shape == second.shape and np.any(np.abs(first - second) > OFFSET):
            found.append(f"offset fields {_text(1e3 * first)}, {_text(1e3 * second)} mT")
    return found


def _active(file: File) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
    """Waveforms and phases of the active components, in the order of channels."""
    field = file.acquisition.drivefield
    active = np.mean(field.strength, axis=0) > 0
    waveforms = np.broadcast_to(field.waveform, active.shape)
    return waveforms[active].astype(str), field.phase[0][active]


def check_external(empty: File, measurement: File, *, patches: bool = False) -> None:
    """Refuse an empty measurement of another receiver or focus field than the measurement's.

    Parameters
    ----------
    empty, measurement : mdf.File
    patches : bool
        The periods of both have the same focus fields, one after the other; otherwise there is one.

    Raises
    ------
    InputError
    """
    name = f"the empty measurement {empty.path.name}"
    if empty.measurement is None or empty.is_calibration:
        raise InputError(
            f"{name} is no measurement", hint="name a measurement without object with --background-file"
        )
    if empty.value("/measurement/isBackgroundCorrected"):
        raise InputError(f"the background was subtracted from {name}, which was all that it held")
    found = differences(measurement, empty, patches=patches)
    if measurement.num_samples != empty.num_samples:
        found.append(f"samples in a period {measurement.num_samples}, {empty.num_samples}")
    if found:
        raise InputError(
            f"{measurement.path.name} and {empty.path.name} do not match (measurement, empty measurement): "
            f"{'; '.join(found)}",
            hint="name an empty measurement of the same sequence with --background-file",
        )
    if patches:
        _check_patches(measurement, empty)
    elif len(focus_periods(empty)) > 1:
        raise InputError(
            f"the periods of the empty measurement {empty.path.name} have {len(focus_periods(empty))} focus "
            f"fields, expected the one of {measurement.path.name}",
            hint="name an empty measurement of the same sequence with --background-file, or none",
        )


def check_periods(file: File) -> None:
    """Refuse periods with different gradients or drive fields: they are no repeats, nor patches of one scan.

    Raises
    ------
    InputError
    """
    acquisition = file.acquisition
    for name, field in (
        ("gradient", acquisition.gradient),
        ("drive-field strength", acquisition.drivefield.strength),
        ("drive-field phase", acquisition.drivefield.phase),
    ):
        if field is not None and not _alike(field, field[:1]):
            raise InputError(
                f"{file.path.name}: the {name} differs between its {len(field)} periods, and one calibration "
                "fits one alone",
                hint="a turning field-free line is for --method fbp"
                if name == "gradient"
                else "x-space joins patches: --method x-space",
            )


def _check_patches(measurement: File, empty: File) -> None:
    """Refuse an empty measurement whose periods have other focus fields than those of the measurement."""
    fields = [_focus_fields(file) for file in (measurement, empty)]
    if fields[0].shape != fields[1].shape or np.any(np.abs(fields[0] - fields[1]) > OFFSET):
        raise InputError(
            f"the {_periods(fields[0])} of {measurement.path.name} and the {len(fields[1])} of the empty "
            f"measurement {empty.path.name} differ in their focus fields, expected the same patches",
            hint="name an empty measurement of the same sequence with --background-file, or none",
        )


def _periods(fields: NDArray[np.float64]) -> str:
    return "1 period" if len(fields) == 1 else f"{len(fields)} periods"


def same_place(measurement: File, calibration: File) -> bool:
    """Tell whether the first periods of two files have the same focus field; 0 where a file does not say."""
    one, other = (_focus_fields(file)[0] for file in (measurement, calibration))
    return one.shape == other.shape and _alike(one, other)


def focus_periods(file: File) -> list[NDArray[np.int64]]:
    """Group the periods of a file by their focus field, in the order in which each comes first.

    Returns
    -------
    list of arrays
        Periods of each patch; one array for a file whose periods have all the same focus field, or that says
        nothing of it.
    """
    fields = _focus_fields(file)
    groups: list[list[int]] = []
    for period, field in enumerate(fields):
        known = next((group for group in groups if _alike(field, fields[group[0]])), None)
        if known is None:
            groups.append([period])
        else:
            known.append(period)
    return [np.array(group) for group in groups]


def _focus_fields(file: File) -> NDArray[np.float64]:
    """Offset field of each period, shape (J, Y * 3), T; 0 where the file does not say."""
    offset = file.acquisition.offset_field
    return np.zeros((file.num_periods, 3)) if offset is None else offset.reshape(len(offset), -1)


def _alike(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    return bool(np.allclose(one, other, rtol=1e-6, atol=1e-9))


def _drive(file: File) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies (Hz) and amplitudes (T) of the active components, in the order of channels."""
    field = file.acquisition.drivefield
    amplitude = np.mean(field.strength, axis=0)
    active = amplitude > 0
    return (field.base_frequency / field.divider)[active], amplitude[active]


def _gradient(file: File) -> NDArray[np.float64]:
    """Diagonal and off-diagonal elements, shape (Y * 9,), T/m; empty when the file does not say."""
    gradient = file.acquisition.gradient
    return np.zeros(0) if gradient is None else gradient[0].ravel()


def _close(values: Sequence[NDArray[np.float64]], tolerance: float) -> bool:
    one, other = values
    if one.shape != other.shape:
        return one.size == 0 or other.size == 0
    scale = float(np.max(np.abs(other), initial=0.0))
    return bool(np.all(np.abs(one - other) <= tolerance * scale))


def _text(values: NDArray[np.float64]) -> str:
    values = values.reshape(-1, 3, 3)[0].diagonal() if values.size and values.size % 9 == 0 else values
    return (
        "(" + " ".join(f"{value:.6g}" for value in values) + ")" if values.size != 1 else f"{values[0]:.6g}"
    )
