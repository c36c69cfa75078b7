"""The linear system S c = u from a calibration and a measurement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mdf
from mdf import File, Grid
from mpikit.errors import InputError, UsageError
from mpikit.events import Event, Finding, Warned
from mpikit.reconstruct.background import background_state, plan_background
from mpikit.reconstruct.empty import Empty, dictionary, empty_rows
from mpikit.reconstruct.match import check_external, check_kinds, check_match, check_patches
from mpikit.reconstruct.mixing import mixing_table
from mpikit.reconstruct.options import Kaczmarz, SystemMatrix
from mpikit.reconstruct.reading import Reader
from mpikit.reconstruct.selection import Rows, select_rows
from mpikit.reconstruct.streamed import FileRows
from mpikit.reconstruct.transfer import ReceiveChain, plan_transfer_function
from mpikit.reconstruct.weights import row_weights
from mpikit.resources import physical_memory
from mpikit.scan_file import EMPTY_LINES, drive_field_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LinearSystem:
    """Matrix and data after selection and correction.

    Parameters
    ----------
    matrix : shape (M, P), or FileRows
        One column for each voxel, x fastest, then y, then z; in units of the calibration's delta sample. One
        that does not fit into memory stays in its file, which has to stay open.
    data : shape (M, Q)
        One column for each image.
    rows : Rows
    grid : mdf.Grid
    frames : shape (Q,)
        Place in acquisition of the first frame of each image, counted from 0; empty when all were averaged.
    weights : shape (M,) or None
        Row weights W; None: all 1.
    noise : shape (M,) or None
        Standard deviation of the data of one image on each row; None without background frames.
    dictionary : shape (M, d) or None
        Signals of the empty scanner that are estimated jointly.
    background : tuple of str
        Files whose background was subtracted.
    """

    matrix: NDArray[np.complexfloating[Any]] | FileRows
    data: NDArray[np.complexfloating[Any]]
    rows: Rows
    grid: Grid
    frames: Ints
    weights: Floats | None = None
    noise: Floats | None = None
    dictionary: NDArray[np.complexfloating[Any]] | None = None
    background: tuple[str, ...] = ()


def read_system(
    measurement: File,
    calibration: File,
    options: SystemMatrix,
    *,
    empty: Sequence[File] = (),
    average_frames: bool = False,
    allow_mismatch: bool = False,
    tell: Callable[[Event], None],
) -> LinearSystem:
    """Read, check, select and correct what the solver needs.

    Parameters
    ----------
    measurement, calibration : mdf.File
    options : SystemMatrix
    empty : sequence of mdf.File
        Empty measurements, one or two (before and after), instead of the measurement's background frames.
    average_frames : bool
        One image of the mean of all frames.
    allow_mismatch : bool
    tell : callable

    Raises
    ------
    InputError
        When the files do not belong together, or when no row is left.
    """
    check_kinds(measurement, calibration)
    for file in (measurement, calibration, *empty):
        check_patches(file)
    check_match(measurement, calibration, allow_mismatch=allow_mismatch, tell=tell)
    for file in empty:
        check_external(file, measurement)
    grid = _grid(calibration)
    frames = measurement.frame_index("foreground")
    if not len(frames):
        raise InputError(
            f"{measurement.path.name} has no foreground frames, expected at least one",
            hint="all its frames are marked as background",
        )
    readers = _readers((measurement, calibration, *empty), options, allow_mismatch, tell)
    of_object, of_matrix, of_empty = readers[0], readers[1], readers[2:]
    rows = _rows(readers, options, tell)
    corrected = _plan(measurement, calibration, empty, options, allow_mismatch, tell)
    nothing = empty_rows(of_object, of_empty, rows)
    matrix = _matrix(of_matrix, rows, grid, options, corrected="system matrix" in corrected, tell=tell)
    data = of_object.rows(rows, frames, "acquisition")
    if "measurement" in corrected:
        data -= nothing.at(frames, interpolated=options.background == "interpolated").astype(data.dtype)
    data, frames = _averaged(data, frames, len(frames) if average_frames else options.frame_averages)
    return LinearSystem(
        matrix,
        data,
        rows,
        grid,
        frames[:0] if average_frames else frames,
        weights=_weights(options, rows, matrix, of_matrix, nothing),
        noise=nothing.deviation(
            averages=_together(options, average_frames, measurement), subtracted="measurement" in corrected
        ),
        dictionary=_dictionary(options, rows, of_matrix, nothing),
        background=tuple(sorted(corrected.values())),
    )


def _matrix(
    of_matrix: Reader,
    rows: Rows,
    grid: Grid,
    options: SystemMatrix,
    *,
    corrected: bool,
    tell: Callable[[Event], None],
) -> NDArray[Any] | FileRows:
    """Read the matrix, or prepare to read it in each sweep when it is larger than the memory for it."""
    voxels = np.arange(int(np.prod(grid.size)))
    empty = empty_rows(of_matrix, (), rows) if corrected else None
    source = FileRows(
        of_matrix,
        rows,
        voxels,
        empty=empty,
        background_at=of_matrix.file.frame_index("foreground", "grid"),
        interpolated=options.background == "interpolated",
    )
    size = 8.0 * len(rows) * len(voxels)
    if size <= _room(options):
        return source.whole()
    _check_streaming(of_matrix, options, size)
    text = f"the matrix of {size / 2**30:.3g} GiB is read from its file in every sweep"
    tell(Finding("streaming", size, text))
    if not of_matrix.file.value("/measurement/isFastFrameAxis"):
        hint = "mpikit convert --fast-frame-axis makes a file that is read much faster"
        tell(Warned(f"{of_matrix.file.path.name} stores frame after frame: {hint}"))
    return source


def _room(options: SystemMatrix) -> float:
    """Bytes of memory for the matrix."""
    if options.memory is not None:
        return options.memory * 2**30
    present = physical_memory()
    return np.inf if present is None else present / 2


def _check_streaming(of_matrix: Reader, options: SystemMatrix, size: float) -> None:
    """Refuse what needs the whole matrix at once."""
    whole = {
        "another method than kaczmarz": not isinstance(options, Kaczmarz),
        "another order of the rows than that of frequency": options.row_order != "frequency",
        "the weighting row-norm": "row-norm" in options.weighting,
        "a dictionary of the background": options.background == "dictionary",
        "a lambda that is chosen": not isinstance(options.lambda_, float),
    }
    needed = [what for what, wanted in whole.items() if wanted]
    if needed:
        raise UsageError(
            f"the rows of {of_matrix.file.path.name} take {size / 2**30:.3g} GiB, too much to hold, and "
            f"{needed[0]} needs them all",
            hint="use fewer rows (--snr-threshold, -p best=...), or allow more with -p memory=...",
        )


def _readers(
    files: Sequence[File], options: SystemMatrix, allow_mismatch: bool, tell: Callable[[Event], None]
) -> list[Reader]:
    """Readers of all files, whose receive chains are divided out alike."""
    roles = ("measurement", "system matrix", "empty measurement", "second empty measurement")
    names = [f"{role} {file.path.name}" for role, file in zip(roles, files, strict=False)]
    chains = {name: _chain(file) for name, file in zip(names, files, strict=True)}
    plan = plan_transfer_function(chains, options.transfer_function, allow_mismatch=allow_mismatch, tell=tell)
    return [
        Reader(
            file,
            leakage=options.leakage and index == 0,
            divide=names[index] in plan.divide,
            induction=plan.induction,
        )
        for index, file in enumerate(files)
    ]


def _chain(file: File) -> ReceiveChain:
    receiver = file.acquisition.receiver
    return ReceiveChain(
        corrected=bool(file.value("/measurement/isTransferFunctionCorrected")),
        function=receiver.transfer_function,
        induction=receiver.induction_factor,
    )


def _plan(
    measurement: File,
    calibration: File,
    empty: Sequence[File],
    options: SystemMatrix,
    allow_mismatch: bool,
    tell: Callable[[Event], None],
) -> dict[str, str]:
    """Decide what is subtracted; return the names of the files by what they are."""
    names = {
        "measurement": f"measurement {measurement.path.name}",
        "system matrix": f"system matrix {calibration.path.name}",
    }
    states = {
        names["measurement"]: background_state(measurement),
        names["system matrix"]: background_state(calibration),
    }
    if empty:
        if states[names["measurement"]] == "corrected":
            raise InputError(
                f"{names['measurement']} is background-corrected already, and nothing is subtracted twice",
                hint="leave out --background-file",
            )
        states[names["measurement"]] = "frames"
    corrected = plan_background(states, options.background, allow_mismatch=allow_mismatch, tell=tell)
    return {what: name for what, name in names.items() if name in corrected}


def _grid(calibration: File) -> Grid:
    grid = calibration.grid
    if grid is None:
        raise InputError(
            f"{calibration.path.name} has no regular grid, expected /calibration/size and fieldOfView",
            hint="irregular calibration positions are not supported",
        )
    return grid


def _rows(readers: Sequence[Reader], options: SystemMatrix, tell: Callable[[Event], None]) -> Rows:
    of_object, of_matrix = readers[:2]
    measurement, calibration = of_object.file, of_matrix.file
    channels = min(measurement.num_channels, calibration.num_channels)
    frequencies = of_object.frequencies
    snr = None
    if options.snr_threshold > 0 or options.best is not None or options.row_order == "snr":
        snr = _snr(calibration, channels, options, tell)
    orders = None
    if options.max_mixing_order is not None:
        orders = mixing_table(
            drive_field_of(measurement),
            samples=measurement.num_samples,
            sampling_rate=measurement.sampling_rate,
        ).orders
    zeros = [reader.zeros[:channels] for reader in readers if reader.zeros is not None]
    rows = select_rows(
        np.all([reader.stored for reader in readers], axis=0),
        frequencies,
        channels=channels,
        emptied=_emptied(measurement, channels, len(frequencies)),
        transfer_zeros=np.any(zeros, axis=0) if zeros else None,
        receive_channels=options.receive_channels,
        min_frequency=options.min_frequency,
        max_frequency=options.max_frequency,
        mixing_orders=orders,
        max_mixing_order=options.max_mixing_order,
        snr=snr,
        snr_threshold=options.snr_threshold,
        stop_bands=options.bands,
        best=options.best,
        order="snr" if options.row_order == "snr" else "frequency",
    )
    total = channels * len(frequencies)
    tell(Finding("rows", len(rows), f"{len(rows)} of {total} rows (frequency, channel) are used"))
    return rows


def _emptied(measurement: File, channels: int, lines: int) -> NDArray[np.bool_] | None:
    """Lines that a denoiser emptied, shape (C, K): they say nothing of the object, zero least of all."""
    said = np.asarray(measurement.user_value(EMPTY_LINES))
    return said[:channels] != 0 if said.ndim == 2 and said.shape[1] == lines else None


def _snr(
    calibration: File, channels: int, options: SystemMatrix, tell: Callable[[Event], None]
) -> Floats | None:
    """SNR of the first period on the full frequency axis, shape (C, K); computed when the file has none."""
    stored = calibration.value("/calibration/snr")
    if stored is None:
        stored = _computed_snr(calibration, _room(options))
        text = "stores no SNR, it is computed from its background frames"
        if stored is None:
            text = (
                "stores no SNR, and it cannot be computed (background frames with noise, 20 lines and memory "
                "are needed): no row is left out for it; mpikit convert computes it in parts"
            )
        tell(Warned(f"{calibration.path.name} {text}"))
    if stored is None:
        return None
    snr = np.zeros((channels, calibration.num_samples // 2 + 1))
    snr[:, Reader(calibration).lines] = stored[0, :channels]
    return snr


def _computed_snr(calibration: File, room: float) -> Floats | None:
    if (
        8.0 * np.prod(calibration.frequencies.shape) * calibration.num_frames * calibration.num_channels
        > room
    ):
        return None
    if int(np.sum(calibration.is_background)) < 2 or len(calibration.frequencies) < mdf.snr.STRONGEST:
        return None
    foreground = calibration.read_signal("foreground", domain="frequency")
    background = calibration.read_signal("background", domain="frequency")
    snr = mdf.snr.signal_to_noise(foreground, background)
    return snr if np.any(snr > 0) else None  # background frames without noise say nothing


def _together(options: SystemMatrix, average_frames: bool, measurement: File) -> int:
    """Frames in the mean of one image."""
    frames = len(measurement.frame_index("foreground"))
    return frames if average_frames else min(options.frame_averages, frames)


def _averaged(data: NDArray[Any], frames: Ints, count: int) -> tuple[NDArray[Any], Ints]:
    """Average consecutive frames; the last block may be shorter."""
    if count == 1:
        return data, frames
    first = np.arange(0, len(frames), count)
    sums = np.add.reduceat(data, first, axis=1)
    sizes = np.diff(np.append(first, len(frames)))
    return (sums / sizes).astype(data.dtype), frames[first]


def _weights(
    options: SystemMatrix, rows: Rows, matrix: NDArray[Any] | FileRows, of_matrix: Reader, nothing: Empty
) -> Floats | None:
    if set(options.weighting) == {"none"}:
        return None
    own = int(np.sum(of_matrix.file.is_background)) > 1
    noisy = empty_rows(of_matrix, (), rows) if own else nothing
    background = noisy.spectra.T if "whitening" in options.weighting else None
    return row_weights(
        options.weighting,
        rows.channels,
        matrix=matrix if isinstance(matrix, np.ndarray) else None,
        background=background,
        channel_weights=options.channel_weights or None,
    )


def _dictionary(
    options: SystemMatrix, rows: Rows, of_matrix: Reader, nothing: Empty
) -> NDArray[np.complexfloating[Any]] | None:
    if options.background != "dictionary":
        return None
    known = [nothing.spectra]
    if np.any(of_matrix.file.is_background):
        known.append(empty_rows(of_matrix, (), rows).spectra)
    spectra = np.concatenate(known, axis=1)
    if not spectra.shape[1]:
        raise InputError(
            "no file has background frames, and a dictionary of the background is made of them",
            hint="name an empty measurement with --background-file, or use --background none",
        )
    return dictionary(spectra, options.dictionary_size)
