"""Images of an open measurement, with a system matrix or without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mdf
from mpikit.errors import InputError
from mpikit.events import Event, Finding, Warned
from mpikit.provenance import HISTORY, read_history
from mpikit.reconstruct.background import background_state, plan_background
from mpikit.reconstruct.choosing import Choice
from mpikit.reconstruct.deconvolution import point_spread_function, richardson_lucy, wiener
from mpikit.reconstruct.frames import ALONE, Sharing, Stored
from mpikit.reconstruct.image import Images, concentration_of
from mpikit.reconstruct.linear_system import LinearSystem
from mpikit.reconstruct.options import BackProjection, SystemMatrix, XSpace
from mpikit.reconstruct.partial_fov import x_space_patches
from mpikit.reconstruct.projections import back_projected, line_scan
from mpikit.reconstruct.selection import Rows
from mpikit.reconstruct.solving import solve
from mpikit.reconstruct.spread import choose_way, find_spread
from mpikit.reconstruct.system_matrix import read_system
from mpikit.reconstruct.transfer import ReceiveChain, inverse_transfer_function, plan_transfer_function
from mpikit.reconstruct.xspace import Trajectory, trajectory, x_space
from mpikit.records import Options
from mpikit.scan import Scan
from mpikit.scan_file import read_scan
from mpikit.scan_set import was_denoised
from mpikit.signal.background import background_at

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Made:
    """Images, and how they came about.

    Parameters
    ----------
    images : Images
    figures : dict
        Ready for JSON.
    rows : Rows or None
        Rows of the system matrix that were used.
    choice : Choice or None
        Of λ.
    deviation : Images or None
        Standard deviation of the images, one for each or one for all.
    """

    images: Images
    figures: dict[str, Any]
    rows: Rows | None = None
    choice: Choice | None = None
    deviation: Images | None = None


def by_matrix(
    measurement: mdf.File,
    calibration: mdf.File | Sequence[mdf.File],
    options: SystemMatrix,
    *,
    empty: Sequence[mdf.File],
    average_frames: bool,
    allow_mismatch: bool,
    sharing: Sharing = ALONE,
    tell: Callable[[Event], None],
) -> Made:
    """Reconstruct with a system matrix.

    Parameters
    ----------
    measurement, calibration, options, empty, average_frames, allow_mismatch, tell
        See `mpikit.reconstruct.system_matrix.read_system`.
    sharing : Sharing
        Who solves the frames.
    """
    system = read_system(
        measurement,
        calibration,
        options,
        empty=empty,
        average_frames=average_frames,
        allow_mismatch=allow_mismatch,
        tell=tell,
    )
    history = measurement.user_value(HISTORY)
    if was_denoised(read_history(history if isinstance(history, str) else None)):
        system = replace(system, denoised=measurement.path.name)
    try:
        stored = Stored.of(
            measurement,
            calibration,
            options,
            empty=empty,
            average_frames=average_frames,
            allow_mismatch=allow_mismatch,
        )
        way = None if options.uncertainty == "none" else choose_way(system, options)
        solution = solve(system, options, sharing=sharing, stored=stored, tell=tell)
        spread = None if way is None else find_spread(system, options, solution, way, tell=tell)
    finally:
        if not isinstance(system.matrix, np.ndarray):
            system.matrix.close()
    _tell_imaginary(solution.images, tell)
    calibrations = [calibration] if isinstance(calibration, mdf.File) else list(calibration)
    images = _images(system, solution.images, calibrations)
    figures = {
        "lambda": {
            "relative": solution.relative,
            "absolute": solution.absolute,
            "choice": solution.choice.as_json() if solution.choice else None,
        },
        "rows": len(system.rows),
        "rows_removed": system.rows.removed,
        "background_subtracted": list(system.background),
    }
    if system.patches:
        figures["patches"] = list(system.patches)
    if system.tracers:
        figures["tracers"] = list(system.tracers)
    if spread is None:
        return Made(images, figures, system.rows, solution.choice)
    figures["uncertainty"] = spread.way
    return Made(images, figures, system.rows, solution.choice, spread.beside(images))


def field_free(
    measurement: mdf.File, options: Options, *, average_frames: bool, tell: Callable[[Event], None]
) -> Made:
    """Reconstruct by the path of the field-free point or line, without a system matrix.

    Parameters
    ----------
    measurement : mdf.File
    options : XSpace or BackProjection
    average_frames : bool
        One image of the mean of all frames.
    tell : callable

    Raises
    ------
    InputError
        When the file has no signal, or its fields do not suit the method.
    """
    if measurement.is_calibration or measurement.measurement is None:
        raise no_measurement(measurement)
    assert isinstance(options, XSpace | BackProjection)  # noqa: S101 - the methods without a matrix
    name = f"measurement {measurement.path.name}"
    try:
        corrected = plan_background({name: background_state(measurement)}, options.background, tell=tell)
    except InputError as error:  # its hint is for methods with a system matrix
        hint = "use --background none: the background stays in the image"
        raise InputError(str(error), hint=hint) from None
    scan = read_scan(measurement.path, repeats="none")
    signal = _signals(scan, options.background if corrected else "none")
    signal = _without_chain(measurement, scan, signal, options, tell)
    if average_frames:
        signal = signal.mean(axis=0, keepdims=True)
    if isinstance(options, XSpace):
        values, grid = _by_x_space(scan, signal, options, tell)
    else:
        values, grid = _by_projections(scan, signal, options)
    frames = scan.foreground_index[:0] if average_frames else scan.foreground_index
    images = Images(values.astype(np.float32), grid, frames, f"{scan.unit} / (T/s)")
    return Made(images, {"background_subtracted": sorted(corrected)})


def no_measurement(file: mdf.File) -> InputError:
    """Return what to raise for a file that has no measured signals."""
    return InputError(
        f"{file.path.name} is no measurement, expected measured signals",
        hint="name the file that was measured or denoised",
    )


def _images(system: LinearSystem, images: NDArray[Any], calibrations: Sequence[mdf.File]) -> Images:
    """Return solutions (P, Q) as images; of several tracers they have an axis for them."""
    tracers = (len(system.tracers),) if system.tracers else ()
    values = images.real.T.reshape(-1, *tracers, *system.grid.shape).astype(np.float32)
    used = [calibrations[number] for number in sorted(set(system.patches))] or calibrations
    known = [concentration_of(calibration) for calibration in used]
    concentration: float | tuple[float, ...] | None = known[0]
    if system.tracers:
        said = tuple(value for value in known if value is not None)
        concentration = said if len(said) == len(known) else None
    return Images(values, system.grid, system.frames, "delta sample", concentration, system.tracers)


def _tell_imaginary(images: NDArray[Any], tell: Callable[[Event], None]) -> None:
    """Say that the imaginary part of images, which are not made real, is left out."""
    size = float(np.linalg.norm(images.imag)) if np.iscomplexobj(images) else 0.0
    if size > 0:
        share = size / float(np.linalg.norm(images))
        tell(
            Warned(
                "the images are not made real (enforce_real), and their real part alone is kept: the "
                f"imaginary part has {share:.2g} of their norm"
            )
        )


def _signals(scan: Scan, background: str) -> Floats:
    """Return the signals (N, J, C, V) without the background that is asked for."""
    if not len(scan.signal):
        raise InputError(f"{scan.name} has no foreground frames, expected at least one")
    signal = scan.signal.astype(np.float64)
    if background == "none":
        return signal
    if background == "interpolated":
        return signal - background_at(scan, scan.foreground_index)
    return np.asarray(signal - scan.background.mean(axis=0, dtype=np.float64))


def _without_chain(
    file: mdf.File,
    scan: Scan,
    signal: Floats,
    options: XSpace | BackProjection,
    tell: Callable[[Event], None],
) -> Floats:
    """Divide the receive chain out; lines on which it lets nothing through are lost, and left at zero."""
    receiver = file.acquisition.receiver
    chain = ReceiveChain(
        scan.corrections.transfer_function, receiver.transfer_function, receiver.induction_factor
    )
    plan = plan_transfer_function({scan.name: chain}, options.transfer_function, tell=tell)
    if not plan.divide:
        if not scan.corrections.transfer_function:
            text = "the transfer function is not corrected: the image shows the receive chain too"
            tell(Finding("transfer function", False, text))
        return signal
    function = _of_all_lines(file, np.asarray(receiver.transfer_function))
    size = np.where(np.isfinite(function), np.abs(function), 0)
    weak = size < _WEAK * size.max(axis=-1, keepdims=True)
    inverse, _ = inverse_transfer_function(function, receiver.induction_factor if plan.induction else None)
    inverse[weak] = 0
    spectra = np.fft.rfft(signal, axis=-1) * inverse
    return np.asarray(np.fft.irfft(spectra, n=signal.shape[-1], axis=-1))


def _of_all_lines(file: mdf.File, function: NDArray[Any]) -> NDArray[Any]:
    """Return a transfer function (C, K) that may have the stored lines alone, with 0 on all others."""
    stored = file.stored_lines
    if function.shape[-1] == len(stored):
        return function
    full = np.zeros((*function.shape[:-1], len(stored)), function.dtype)
    full[..., np.rint(file.frequencies * file.num_samples / file.sampling_rate).astype(int)] = function
    return full


_WEAK = 1e-2  # of its largest value: below, a line of the transfer function holds noise and no signal


def _by_x_space(
    scan: Scan, signal: Floats, options: XSpace, tell: Callable[[Event], None]
) -> tuple[Floats, mdf.Grid]:
    paths = [_path(scan, signal, period) for period in range(signal.shape[1])]
    missing = [axis for axis in paths[0].axes if axis >= signal.shape[2]]
    if missing:
        axes = " and ".join("xyz"[axis] for axis in missing)
        tell(Warned(f"no channel receives along {axes}: the image is made of the other components alone"))
    more: dict[str, Any] = {"size": options.grid, "field_of_view": options.field_of_view}
    more["min_speed"] = options.min_speed
    alike = all(np.array_equal(path.positions, paths[0].positions) for path in paths)
    if options.lost == "nothing" and alike:
        values, grid = x_space(signal.mean(axis=1), paths[0], **more)
    else:
        values, grid = x_space_patches(signal, paths, lost=options.lost, boundary=options.boundary, **more)
    if options.deconvolution == "none" or options.saturation_field is None:
        return values, grid
    assert scan.selection_field is not None  # noqa: S101 - there is no path without it
    gradient = scan.selection_field.gradient[0, 0]
    spread = point_spread_function(options.saturation_field, gradient, grid, motion=paths[0].motion)
    if options.deconvolution == "wiener":
        return wiener(values, spread, noise_to_signal=options.noise_to_signal), grid
    return richardson_lucy(values, spread, iterations=options.deconvolution_iterations), grid


def _path(scan: Scan, signal: Floats, period: int) -> Trajectory:
    return trajectory(
        scan.drive_field,
        scan.selection_field,
        samples=signal.shape[-1],
        sampling_rate=scan.sampling_rate,
        period=period,
    )


def _by_projections(scan: Scan, signal: Floats, options: BackProjection) -> tuple[Floats, mdf.Grid]:
    if scan.selection_field is None:
        raise InputError(
            "the file has no gradient, back-projection needs one for each period",
            hint="reconstruct with --system-matrix instead",
        )
    scanned = line_scan(
        scan.drive_field,
        scan.selection_field,
        samples=signal.shape[-1],
        sampling_rate=scan.sampling_rate,
    )
    return back_projected(
        signal,
        scanned,
        bins=options.bins,
        min_speed=options.min_speed,
        recover=options.recover,
        filter_name=options.filter_name,
    )
