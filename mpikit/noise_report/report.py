"""The noise of a scan, and of a file with its picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import mdf
from mpikit.errors import InputError, UsageError
from mpikit.events import Event, Warned, silent
from mpikit.files import check_output, planned_outputs
from mpikit.made_here import is_made_here
from mpikit.noise_report.fits import Fitted, chosen_models, fit_models
from mpikit.noise_report.locked import Background, describe, drifting_lines, locked_lines
from mpikit.noise_report.moments import moments
from mpikit.noise_report.series import Series, enough_background, noise_alone, series_of
from mpikit.noise_report.spectrum import (
    Band,
    Colour,
    Floats,
    Level,
    Mask,
    Spectrum,
    bands,
    colour,
    correlation,
    level,
    measured_spectrum,
    noise_beside,
)
from mpikit.scan import Scan
from mpikit.scan_file import read_background, read_scan
from mpikit.signal.noise import line_weights


@dataclass(frozen=True)
class NoiseReport:
    """What the empty acquisitions of a scan say about its noise.

    Parameters
    ----------
    name, unit : str
    source : {"background frames", "repeats"}
    frames, periods : int
        How many were used: E and J, or N and J with "repeats".
    channels, samples : int
        C and V.
    averages : int
        Periods that the scanner averaged into each of them.
    sampling_rate : float, Hz
    frequencies : shape (K,), Hz
    stored_lines : shape (K,)
    spectrum : Spectrum
    drifting : shape (C, K)
        Phase-locked lines whose drift may hide the noise: theirs is that of the lines beside them.
    level : Level
    colour : Colour
    bands : tuple of Band
    correlation, correlation_error : shape (C, C)
    background : Background or None
        None with "repeats": their mean is the signal of the object.
    models : tuple of Fitted
    """

    name: str
    unit: str
    source: str
    frames: int
    periods: int
    channels: int
    samples: int
    averages: int
    sampling_rate: float
    frequencies: Floats
    stored_lines: Mask
    spectrum: Spectrum
    drifting: Mask
    level: Level
    colour: Colour
    bands: tuple[Band, ...]
    correlation: Floats
    correlation_error: Floats
    background: Background | None
    models: tuple[Fitted, ...] = ()

    def density(self, power: Floats) -> Floats:
        """Return the one-sided amplitude spectral density of a power on a line, unit / sqrt(Hz).

        Of a rectangular window of one period. DC and Nyquist are taken as limits of their neighbours, so
        that white noise is flat.
        """
        amplitude: Floats = np.sqrt(2 * power / (self.sampling_rate * self.samples))
        return amplitude


def measure_noise(scan: Scan, *, tell: Callable[[Event], None] = silent) -> NoiseReport:
    """Measure the noise of a scan from its background frames, or from its repeats if there are too few.

    The random part is measured from the steps between neighbouring acquisitions, and on phase-locked lines
    that drift even so from the lines beside them. So neither the phase-locked background nor its drift counts
    as noise.

    Parameters
    ----------
    scan : Scan
    tell : callable

    Returns
    -------
    NoiseReport
        Without fitted models.

    Raises
    ------
    InputError
        With too few background frames and no repeats, without any noise, or with values that are no numbers.
    """
    series = series_of(scan)
    channels, samples = series.stack.shape[2:]
    found = moments(series, tell)
    stored = scan.stored_lines
    if not np.any(found.power[:, stored]):
        raise InputError(
            f"{scan.name}: the {series.source} are all equal, expected noise",
            hint="name a measured file, or a simulated one with noise",
        )
    is_background = series.source == "background frames"
    locked = locked_lines(series, found, stored) if is_background else np.zeros(found.power.shape, bool)
    beside = noise_beside(found.power, series.step_freedom(), stored & ~locked, samples)
    drifting = drifting_lines(series, found, beside, locked)
    power = np.where(drifting, beside, found.power)
    spectrum = measured_spectrum(power, series.step_freedom(), stored, samples)
    usable = (stored & (line_weights(samples) == 2)) & ~drifting
    matrix, matrix_error = correlation(found.cross, spectrum, usable)
    _warn(scan, series, drifting, tell)
    return NoiseReport(
        name=scan.name,
        unit=scan.unit,
        source=series.source,
        frames=len(scan.background if is_background else scan.signal),
        periods=scan.signal.shape[1],
        channels=channels,
        samples=samples,
        averages=scan.corrections.averages,
        sampling_rate=scan.sampling_rate,
        frequencies=scan.frequencies,
        stored_lines=stored,
        spectrum=spectrum,
        drifting=drifting,
        level=level(spectrum, drifting, samples),
        colour=colour(spectrum, usable, scan.frequencies),
        bands=bands(spectrum, usable, scan.frequencies),
        correlation=matrix,
        correlation_error=matrix_error,
        background=describe(series, found, spectrum, locked, scan.frequencies) if is_background else None,
    )


def _warn(scan: Scan, series: Series, drifting: Mask, tell: Callable[[Event], None]) -> None:
    """Tell what makes the figures mean something else."""
    if series.source == "repeats":
        tell(
            Warned(
                "too few background frames: the noise is that of the repeats, and a phase-locked background "
                "cannot be told from the signal"
            )
        )
        return
    if scan.corrections.background:
        tell(Warned("the background has been subtracted already: its phase-locked lines do not show"))
    if not series.neighbours.any() and drifting.any():
        tell(
            Warned(
                "no two background frames were acquired one after the other, and between them phase-locked "
                "lines drift: their noise is taken from the lines beside them, as far as there are any"
            )
        )


def read_noise(path: Path) -> Scan:
    """Read what the noise of a file is measured from.

    Returns
    -------
    Scan
        The background frames alone (N = 0); the whole scan, if they are too few and there are others.

    Raises
    ------
    InputError
        If the file has no measurement.
    mdf.MdfError
        If it is no MDF file, or a damaged one.
    """
    scan = read_background(path)
    if enough_background(scan):
        return scan
    with mdf.open(path) as file:
        others = file.num_frames - len(scan.background)
    return read_scan(path) if others else scan


def report_noise(
    source: Path,
    *,
    output: Path | None = None,
    models: Sequence[str] = (),
    overwrite: bool = False,
    tell: Callable[[Event], None] = silent,
) -> tuple[NoiseReport, Path]:
    """Measure the noise of a file, fit the noise models to it, and write a picture.

    Parameters
    ----------
    source : Path
        MDF file.
    output : Path, optional
        PNG file to write, beside the source as ``STEM.noise.png`` if not given; a picture of that name that
        mpikit made is then replaced.
    models : sequence of str
        Noise models to fit; all that can be, if empty.
    overwrite : bool
        Replace an existing picture.
    tell : callable

    Returns
    -------
    report : NoiseReport
    picture : Path

    Raises
    ------
    UsageError, InputError, PluginError, mdf.MdfError
    """
    from mpikit.figures import save_noise

    overwrite = overwrite or _may_replace(source, output)
    picture, names, scan = _prepare(source, output, models, overwrite=overwrite)
    report = measure_noise(scan, tell=tell)
    empty = scan if report.source == "background frames" else noise_alone(scan)
    report = replace(report, models=fit_models(empty, names, tell))
    save_noise(picture, report, overwrite=overwrite)
    return report, picture


def plan_noise(
    source: Path, *, output: Path | None = None, models: Sequence[str] = (), overwrite: bool = False
) -> dict[str, Any]:
    """Say what `report_noise` would do, ready for JSON; nothing is measured or written."""
    overwrite = overwrite or _may_replace(source, output)
    picture, names, scan = _prepare(source, output, models, overwrite=overwrite)
    frames, periods, channels, samples = scan.signal.shape
    return {
        "file": str(source),
        "shape": {"N": frames, "J": periods, "C": channels, "V": samples},
        "background_frames": len(scan.background),
        "models": list(names),
        "outputs": planned_outputs([picture]),
    }


def _default_picture(source: Path) -> Path:
    return source.with_name(f"{source.stem}.noise.png")


def _may_replace(source: Path, output: Path | None) -> bool:
    """Say whether a picture of ours is at the name that is taken if none is given."""
    return output is None and is_made_here(_default_picture(source))


def _prepare(
    source: Path, output: Path | None, models: Sequence[str], *, overwrite: bool
) -> tuple[Path, Sequence[str], Scan]:
    """Return the picture to write, the models to fit and the scan, if all may be."""
    picture = output or _default_picture(source)
    if picture.suffix.lower() != ".png":
        raise UsageError(
            f"the output {picture.name} is no name of a picture, expected one that ends in .png",
            hint=f"say {picture.with_suffix('.png').name}",
        )
    names = chosen_models(models)
    check_output(picture, inputs=(source,), overwrite=overwrite)
    return picture, names, read_noise(source)
