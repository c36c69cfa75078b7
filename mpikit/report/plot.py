"""One figure of a file: what is drawn depends on its kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import mdf
from mpikit.errors import InputError, UsageError
from mpikit.files import check_output, planned_outputs, write_atomically
from mpikit.report.gathering import look_at
from mpikit.scan import Scan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
STRONGEST = 3  # lines whose course is drawn
KINDS: dict[str, tuple[str, ...]] = {  # the first one is drawn when nothing is said
    "measurement": ("spectrum", "frames", "snr"),
    "calibration": ("rows", "snr"),
    "reconstruction": ("slices",),
    "training": ("training",),
}


@dataclass(frozen=True)
class Plot:
    """A figure of a file.

    Parameters
    ----------
    source : Path
    kind : str
        What is drawn, see `KINDS`.
    figure : Figure
    """

    source: Path
    kind: str
    figure: Figure

    def content(self, ending: str) -> bytes:
        """Return the figure as the bytes of a PNG, SVG or PDF file, the same for the same file."""
        from mpikit.figures_plot import as_file

        return as_file(self.figure, ending)


def default_output(source: Path) -> Path:
    """Name of the figure: ``STEM.plot.png`` beside the file."""
    return source.with_name(f"{source.stem}.plot.png")


def check_figure_name(output: Path) -> None:
    """Refuse an output whose name is not that of a PNG, SVG or PDF file (`UsageError`)."""
    if output.suffix.lower().removeprefix(".") not in FORMATS:
        raise UsageError(
            f"the output {output.name} is no name of a figure, expected one that ends in .png, .svg or .pdf",
            hint=f"say {output.with_suffix('.png').name}",
        )


def plot_file(
    source: Path, *, kind: str | None = None, output: Path | None = None, overwrite: bool = False
) -> Plot:
    """Draw a file, and write the figure if it is told where.

    Parameters
    ----------
    source : Path
        MDF file, or the log of a training (``.jsonl``).
    kind : str, optional
        Of a measurement ``"spectrum"``, ``"frames"`` (their course over time) or ``"snr"`` (of each
        harmonic); of a calibration ``"rows"`` or ``"snr"``; the first of them if not said. A reconstruction
        has ``"slices"``, a log ``"training"``.
    output : Path, optional
        PNG, SVG or PDF file.
    overwrite : bool
        Replace a file of this name.

    Returns
    -------
    Plot

    Raises
    ------
    UsageError, InputError, mdf.MdfError
        Nothing is written then.
    """
    if output is not None:
        check_figure_name(output)
    chosen = _chosen(source, kind)
    if output is not None:
        check_output(output, inputs=(source,), overwrite=overwrite)
    draw: dict[tuple[str, str], Callable[[Path], Figure]] = {
        ("measurement", "spectrum"): _spectrum,
        ("measurement", "frames"): _frames,
        ("measurement", "snr"): _snr,
        ("calibration", "rows"): _rows,
        ("calibration", "snr"): _matrix_snr,
        ("reconstruction", "slices"): _slices,
        ("training", "training"): _training,
    }
    plot = Plot(source, chosen[1], draw[chosen](source))
    if output is not None:
        ending = output.suffix.lower().removeprefix(".")
        write_atomically(output, plot.content(ending), overwrite=overwrite)
    return plot


def plan_plot(
    source: Path, *, kind: str | None = None, output: Path | None = None, overwrite: bool = False
) -> dict[str, Any]:
    """Say what `plot_file` would do, ready for JSON; nothing is drawn or written."""
    if output is not None:
        check_figure_name(output)
    of, drawn = _chosen(source, kind)
    if output is not None:
        check_output(output, inputs=(source,), overwrite=overwrite)
    outputs = planned_outputs([] if output is None else [output])
    return {"file": str(source), "of": of, "kind": drawn, "outputs": outputs}


def _chosen(source: Path, kind: str | None) -> tuple[str, str]:
    """Return the kind of the file and what is drawn of it."""
    known = {name for kinds in KINDS.values() for name in kinds}
    if kind is not None and kind not in known:
        raise UsageError(f"--kind is {kind!r}, expected one of {', '.join(sorted(known))}")
    there = [each for each in look_at(source).kinds if each in KINDS]
    if not there:
        raise InputError(
            f"{source.name} has nothing to draw, expected a measurement, a calibration, a reconstruction or "
            "the log of a training",
            hint="mpikit info shows what a file holds; a model has a log beside it (.log.jsonl)",
        )
    for each in there:
        if kind is None or kind in KINDS[each]:
            return each, kind or KINDS[each][0]
    ways = ", ".join(name for each in there for name in KINDS[each])
    raise UsageError(f"--kind {kind}: {source.name} is a {' and a '.join(there)}, expected one of {ways}")


def _scan(source: Path) -> Scan:
    from mpikit.scan_file import read_scan

    scan = read_scan(source)
    if not (np.isfinite(scan.signal).all() and np.isfinite(scan.background).all()):
        raise InputError(
            f"{source.name} has values that are no numbers (NaN or infinity)",
            hint="mpikit validate shows where",
        )
    return scan


def _spectrum(source: Path) -> Figure:
    from mpikit.figures_plot import draw_spectrum
    from mpikit.report.residual import amplitudes
    from mpikit.report.signals import standing_out, where_stored

    scan = _scan(source)
    drive = scan.drive_field
    return draw_spectrum(
        scan.frequencies,
        where_stored(amplitudes(scan.signal), scan),
        standing_out(scan),
        unit=scan.unit,
        marks="stand out of noise and background" if len(scan.background) else "stand out of the noise",
        drive=np.unique(drive.frequencies[drive.active]).tolist(),
        title=f"{source.name}: spectrum, root mean square over all frames",
    )


def _frames(source: Path) -> Figure:
    from mpikit.figures_plot import FrameCourse, draw_frames
    from mpikit.report.residual import amplitudes, line_amplitude
    from mpikit.signal import drive_field_lines

    scan = _scan(source)
    samples = scan.signal.shape[-1]
    mean = np.where(drive_field_lines(scan), amplitudes(scan.signal), 0.0)
    places = np.argsort(-mean, axis=None, kind="stable")[:STRONGEST]
    lines = []
    for channel, line in zip(*np.unravel_index(places, mean.shape), strict=True):
        spectra = np.fft.rfft(scan.signal[:, :, channel].astype(np.float64), axis=-1)[..., line]
        power = np.zeros((len(scan.signal), mean.shape[1]))
        power[:, line] = np.mean(np.abs(spectra) ** 2, axis=1)
        label = f"{scan.frequencies[line] / 1e3:.2f} kHz, channel {channel}"
        lines.append((label, line_amplitude(power, samples)[:, line]))
    course = FrameCourse(
        scan.foreground_index,
        scan.background_index,
        _level(scan.signal),
        _level(scan.background),
        lines,
        scan.unit,
    )
    return draw_frames(course, title=f"{source.name}: frames over time")


def _level(frames: Any) -> Any:
    """Root mean square of each frame in each channel, (N, C)."""
    return np.sqrt(np.mean(frames.astype(np.float64) ** 2, axis=(1, 3)))


def _snr(source: Path) -> Figure:
    from mpikit.figures import plain
    from mpikit.figures_report import draw_harmonics
    from mpikit.report.signals import line_snr, standing_out
    from mpikit.signal import noise_statistics, subtract_background

    scan = _scan(source)
    clear = subtract_background(scan)
    found = line_snr(clear, standing_out(scan), noise_statistics(clear).line_power)
    if not np.isfinite(found).any():
        raise InputError(
            f"no line of {source.name} stands out of the noise, or there is no noise: no SNR can be drawn",
            hint="--kind spectrum draws it as it is",
        )
    figure = draw_harmonics(scan.frequencies, [("SNR of one period", found)])
    figure.suptitle(plain(f"{source.name}: harmonics"), fontsize="medium")
    return figure


def _rows(source: Path) -> Figure:
    from mpikit.figures_plot import draw_rows
    from mpikit.report.matrices import full_grid, matrix_snr, mixing_of, shown_rows

    with mdf.open(source) as file:
        grid = full_grid(file)
        rows = shown_rows(file, matrix_snr(file), mixing_of(file))
    if grid is None or not rows:
        raise InputError(
            f"no row of {source.name} can be drawn: it has no signal, or its positions fill no regular grid",
            hint="--kind snr draws the SNR",
        )
    return draw_rows(rows, grid, title=f"{source.name}: rows by mixing order")


def _matrix_snr(source: Path) -> Figure:
    from mpikit.figures_plot import draw_matrix_snr
    from mpikit.report.matrices import factors_of_two, matrix_snr, mixing_of

    with mdf.open(source) as file:
        snr, mixing, frequencies = matrix_snr(file), mixing_of(file), file.frequencies
    if snr is None:
        raise InputError(
            f"{source.name} has no SNR, and it cannot be computed from its background frames",
            hint="mpikit convert computes it for large files",
        )
    return draw_matrix_snr(frequencies, snr, factors_of_two(mixing), title=f"{source.name}: SNR of the rows")


def _slices(source: Path) -> Figure:
    from mpikit.figures_plot import draw_slices
    from mpikit.report.images import read_pictured

    found = read_pictured(source)
    if not found.values.size or not np.isfinite(found.values).all():
        raise InputError(f"{source.name} has no images, or values that are no numbers")
    count = len(found.values)
    what = f"image 1 of {count}" if count > 1 else "image"
    of = f" of {found.tracers[0]}" if found.tracers[0] else ""
    return draw_slices(found.values[0, 0], found.grid, unit=found.unit, title=f"{source.name}: {what}{of}")


def _training(source: Path) -> Figure:
    from mpikit.figures_report import draw_training
    from mpikit.report.report import training_rows

    rows = training_rows(source)
    if not rows:
        raise InputError(f"{source.name} has no row: there is nothing to draw")
    return draw_training(rows, source.name)
