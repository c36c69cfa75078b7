"""Scans in MDF files: every layout becomes one `Scan`, and a `Scan` becomes a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

import mdf
from mpikit.errors import InputError
from mpikit.provenance import HISTORY, REPEATS
from mpikit.scan import Corrections, Repeats, Scan
from mpikit.scanner import DriveField, SelectionField

STORED_LINES = "/_mpikit/stored_lines"
EMPTY_LINES = "/_mpikit/empty_lines"  # (C, K): 1 where a denoiser left nothing, which is no measured zero
_OF_DATA = (
    "/measurement/",
    "/calibration/",
    "/reconstruction/",
    "/acquisition/receiver/dataConversionFactor",
)
_WORDS = (
    "/study/description",
    "/experiment/name",
    "/experiment/description",
    "/experiment/subject",
    "/scanner/name",
    "/scanner/facility",
    "/scanner/manufacturer",
    "/scanner/operator",
    "/scanner/topology",
)


def read_scan(path: str | Path, *, repeats: Repeats | None = None) -> Scan:
    """Read the measurement of an MDF file, in the time domain.

    Parameters
    ----------
    path : str or Path
    repeats : {"frames", "periods", "both", "none"} or None
        Along which axis the same signal was measured again. None: what the file says in `/_mpikit/repeats`,
        and if it says nothing, what the data show.

    Returns
    -------
    Scan
        Frames in the order of acquisition.

    Raises
    ------
    InputError
        If the file has no measurement, or no foreground frame.
    mdf.MdfError
        If it is no MDF file, or a damaged one.
    """
    with _measurement(path) as file:
        signal = _frames(file, "foreground")
        if not len(signal):
            raise InputError(
                f"{path}: all {file.num_frames} frames are background frames, expected a measured object"
            )
        said = repeats or _said(file)
        scan = _scan(file, signal, said or "none")
    if said is not None:
        return scan
    from mpikit.signal.repeats import find_repeats

    with np.errstate(invalid="ignore"):  # who cannot use values that are no numbers says so later
        return replace(scan, repeats=find_repeats(scan))


def read_background(path: str | Path) -> Scan:
    """Read the background frames of an MDF file alone, in the time domain.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Scan
        With N = 0, and with E = 0 if there are none.

    Raises
    ------
    InputError
        If the file has no measurement.
    mdf.MdfError
        If it is no MDF file, or a damaged one.
    """
    with _measurement(path) as file:
        nothing = np.zeros((0, file.num_periods, file.num_channels, file.num_samples), np.float32)
        return _scan(file, nothing, "none")


@contextmanager
def _measurement(path: str | Path) -> Iterator[mdf.File]:
    """Open a file that has a measurement."""
    with mdf.open(path) as file:
        if file.measurement is None:
            raise InputError(
                f"{path}: the file has no /measurement, there is no signal to read",
                hint="a reconstruction holds images only",
            )
        yield file


def _scan(file: mdf.File, signal: NDArray[np.float32], repeats: Repeats) -> Scan:
    """Make a scan of the foreground frames, all or none, and what else the file holds."""
    assert file.measurement is not None  # noqa: S101 - _measurement has looked
    return Scan(
        signal=signal,
        background=_frames(file, "background"),
        foreground_index=file.frame_index("foreground")[: len(signal)],
        background_index=file.frame_index("background"),
        sampling_rate=file.sampling_rate,
        unit=file.acquisition.receiver.unit,
        drive_field=drive_field_of(file),
        selection_field=_selection_field(file),
        stored_lines=_stored_lines(file),
        corrections=Corrections(
            background=file.measurement.is_background_corrected,
            transfer_function=file.measurement.is_transfer_function_corrected,
            leakage=file.measurement.is_spectral_leakage_corrected,
            averages=file.acquisition.num_averages,
        ),
        repeats=repeats,
        name=Path(file.path).name,
    )


def _frames(file: mdf.File, kind: Any) -> NDArray[np.float32]:
    signal: NDArray[np.float32] = file.read_signal(kind, domain="time").astype(np.float32, copy=False)
    return signal


def _said(file: mdf.File) -> Repeats | None:
    said = file.user_value(REPEATS)
    return cast(Repeats, said) if isinstance(said, str) and said in get_args(Repeats) else None


def _stored_lines(file: mdf.File) -> NDArray[np.bool_]:
    """Return the lines that are stored; time data of ours may come from a file that stored only some."""
    stored = file.stored_lines
    said = np.asarray(file.user_value(STORED_LINES))
    return stored & (said != 0) if said.shape == stored.shape else stored


def drive_field_of(file: mdf.File) -> DriveField:
    """Return the drive field of an open file."""
    stored = file.acquisition.drivefield
    return DriveField(
        base_frequency=stored.base_frequency,
        dividers=stored.divider.copy(),
        amplitudes=stored.strength.copy(),
        phases=stored.phase.copy(),
        waveforms=stored.waveform.copy(),
    )


def _selection_field(file: mdf.File) -> SelectionField | None:
    gradient, offset = file.acquisition.gradient, file.acquisition.offset_field
    if gradient is None:
        return None
    if offset is None:
        offset = np.zeros(gradient.shape[:3])
    if offset.shape != gradient.shape[:3]:
        raise InputError(
            f"{file.path}: /acquisition/offsetField has the shape {offset.shape}, "
            f"/acquisition/gradient {gradient.shape}, expected the same periods and parts"
        )
    return SelectionField(gradient.copy(), offset.copy())


def scan_contents(scan: Scan) -> dict[str, Any]:
    """Return the parts `/acquisition` and `/measurement` of the contents for `mdf.write`.

    They go with `scan_frames`: time domain, all frames in the order of acquisition.
    """
    drive, corrections = scan.drive_field, scan.corrections
    contents: dict[str, Any] = {
        "/acquisition/numAverages": corrections.averages,
        "/acquisition/drivefield/baseFrequency": drive.base_frequency,
        "/acquisition/drivefield/divider": drive.dividers,
        "/acquisition/drivefield/strength": drive.amplitudes,
        "/acquisition/drivefield/phase": drive.phases,
        "/acquisition/drivefield/waveform": drive.waveforms,
        "/acquisition/receiver/bandwidth": scan.sampling_rate / 2,
        "/acquisition/receiver/unit": scan.unit,
        "/measurement/isBackgroundFrame": _in_order(scan)[1],
        "/measurement/isBackgroundCorrected": corrections.background,
        "/measurement/isFourierTransformed": False,
        "/measurement/isSpectralLeakageCorrected": corrections.leakage,
        "/measurement/isTransferFunctionCorrected": corrections.transfer_function,
    }
    if scan.selection_field is not None:
        contents["/acquisition/gradient"] = scan.selection_field.gradient
        contents["/acquisition/offsetField"] = scan.selection_field.offset
    return contents


def scan_frames(scan: Scan) -> NDArray[np.float32]:
    """Return foreground and background frames in the order of acquisition, shape (N + E, J, C, V)."""
    frames: NDArray[np.float32] = np.concatenate([scan.signal, scan.background])[_in_order(scan)[0]]
    return frames


def _in_order(scan: Scan) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the places of all frames, foreground first, in the order of acquisition, and the mask."""
    order = np.argsort(np.concatenate([scan.foreground_index, scan.background_index]), kind="stable")
    return order, order >= len(scan.signal)


def write_scan(
    scan: Scan,
    path: str | Path,
    *,
    contents: Mapping[str, Any] | None = None,
    user: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a scan as an MDF file, in the time domain and in the order of acquisition.

    `read_scan` gives the same scan again, bit for bit, if its frames are in order and none is left out: MDF
    has no gaps in the order of acquisition.

    Parameters
    ----------
    scan : Scan
    path : str or Path
    contents : mapping
        Adds to what `scan_contents` and ``scan.about`` give, or overrides it: study, experiment, scanner.
    user : mapping
        Values of our own, as for `mdf.write`.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    mdf.MdfError
        If a value does not conform to the standard, or the file cannot be written.
    """
    own = {name: value for name, value in scan.about.items() if is_own(name)}
    said = {name: value for name, value in scan.about.items() if name not in own}
    ours: dict[str, Any] = own | {REPEATS: scan.repeats}
    if not np.all(scan.stored_lines):
        ours[STORED_LINES] = scan.stored_lines
    mdf.write(
        path,
        said | scan_contents(scan) | dict(contents or {}),
        scan_frames(scan),
        user=ours | dict(user or {}),
        overwrite=overwrite,
    )


def unsaid(scan: Scan) -> dict[str, Any]:
    """Return what stands for the mandatory text that ``scan.about`` does not have: MDF asks for it."""
    values: dict[str, Any] = dict.fromkeys(_WORDS, "n.a.")
    values |= {"/study/number": 0, "/experiment/number": 0, "/experiment/isSimulation": False}
    values |= {"/study/name": scan.name, "/acquisition/startTime": mdf.write_time()}
    return {name: value for name, value in values.items() if name not in scan.about}


def is_own(path: str) -> bool:
    """Tell whether a path is of a value of our own: a name in it starts with an underscore."""
    return "/_" in path


def about_file(file: mdf.File) -> dict[str, Any]:
    """Return what an open file says besides its signals, as `Scan.about` takes it.

    Parameters
    ----------
    file : mdf.File
    """
    about = {name: value for name, value in file.contents().items() if not name.startswith(_OF_DATA)}
    own = {name: file.user_value(name) for name in (HISTORY, EMPTY_LINES)}
    return about | {name: value for name, value in own.items() if value is not None}
