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
    measurement: File, calibration: File, *, allow_mismatch: bool, tell: Callable[[Event], None]
) -> None:
    """Refuse a system matrix of another sequence, scanner setting or processing state.

    Raises
    ------
    InputError
        Names everything that differs, with both values.
    """
    names = f"{measurement.path.name} and {calibration.path.name}"
    if measurement.num_samples != calibration.num_samples:
        raise InputError(
            f"{names} do not match: {measurement.num_samples}, {calibration.num_samples} samples in a period",
            hint="use the system matrix of this drive-field sequence",
        )
    found = differences(measurement, calibration)
    if not found:
        return
    text = f"{names} do not match (measurement, system matrix): {'; '.join(found)}"
    if not allow_mismatch:
        raise InputError(text, hint="use the system matrix of this sequence, or --allow-mismatch to go on")
    tell(Warned(text))


def differences(measurement: File, calibration: File) -> list[str]:
    """Return what differs, each as ``name value, value unit``."""
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
    found += _fields_that_differ(files)
    for name, words in (
        ("receive channels", [file.num_channels for file in files]),
        ("unit", [file.acquisition.receiver.unit for file in files]),
    ):
        if words[0] != words[1]:
            found.append(f"{name} {words[0]}, {words[1]}")
    return found


def _fields_that_differ(files: tuple[File, File]) -> list[str]:
    """Waveforms, phases and offset fields that are not alike; what only one file says is not compared."""
    found = []
    one, other = (_active(file) for file in files)
    if one[0].shape == other[0].shape:
        if np.any(one[0] != other[0]):
            found.append(f"waveforms {' '.join(one[0])}, {' '.join(other[0])}")
        turned = np.abs(np.angle(np.exp(1j * (one[1] - other[1]))))
        if np.any(turned > PHASE):
            found.append(f"drive phases {_text(one[1])}, {_text(other[1])} rad")
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


def check_external(empty: File, measurement: File) -> None:
    """Refuse an empty measurement of another receiver than the measurement's.

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
    found = differences(measurement, empty)
    if measurement.num_samples != empty.num_samples:
        found.append(f"samples in a period {measurement.num_samples}, {empty.num_samples}")
    if found:
        raise InputError(
            f"{measurement.path.name} and {empty.path.name} do not match (measurement, empty measurement): "
            f"{'; '.join(found)}",
            hint="name an empty measurement of the same sequence with --background-file",
        )


def check_patches(file: File) -> None:
    """Refuse periods with different fields: patches are no repeats of each other.

    Raises
    ------
    InputError
    """
    acquisition = file.acquisition
    for name, field in (
        ("offset field", acquisition.offset_field),
        ("gradient", acquisition.gradient),
        ("drive-field strength", acquisition.drivefield.strength),
        ("drive-field phase", acquisition.drivefield.phase),
    ):
        if field is not None and not np.allclose(field, field[:1], rtol=1e-6, atol=1e-9):
            raise InputError(
                f"{file.path.name}: the {name} differs between its {len(field)} periods, "
                "and multi-patch reconstruction is not there yet",
                hint="a turning field-free line is for --method fbp"
                if name == "gradient"
                else "x-space joins patches: --method x-space",
            )


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
