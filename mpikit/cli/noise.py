"""``mpikit noise``: the noise of a file in numbers, in a picture, and as a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mpikit.cli.completion import noise_names

if TYPE_CHECKING:
    from mpikit.noise_report import Fitted, NoiseReport
    from mpikit.noise_report.locked import Background, Drift, LockedLine

MOST_LINES = 12
LONGEST = 100  # letters of an option that are shown


def noise(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="MDF file with background frames.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Picture to write [default: FILE-stem.noise.png beside FILE]."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="Noise model to fit, all that can be if not said; may be given again.",
            autocompletion=noise_names,
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, with every line and whole options.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Replace a file that exists; a picture of ours at the default name is replaced without.",
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")] = False,
) -> None:
    """Show the noise of an MDF file: level, colour, phase-locked lines, drift, and fitted noise models.

    It is measured from the background frames, or from repeats if there are too few.

    mpikit noise scan.mdf
    """
    from mpikit.cli.console import listener, say, show_json
    from mpikit.noise_report import plan_noise, report_noise

    if dry_run:
        show_json(plan_noise(source, output=output, models=tuple(model or ()), overwrite=force))
        return
    with listener("noise", quiet=quiet) as tell:
        report, picture = report_noise(
            source, output=output, models=tuple(model or ()), overwrite=force, tell=tell
        )
    if json:
        show_json(_as_json(report, picture))
    elif not quiet:
        show_noise(report)
    if not quiet:
        say(f"wrote {picture}")


def show_noise(report: NoiseReport) -> None:
    """Show the figures of a report as text."""
    from mpikit.cli.console import show

    for label, text in _about(report):
        show(f"{label:14}{text}")
    show("")
    _show_channels(report)
    show("")
    _show_bands(report)
    if report.channels > 1:
        show("")
        _show_correlation(report)
    if report.background is not None:
        show("")
        _show_locked(report, report.background)
    for line in _models_in_words(report):
        show(line)


def _about(report: NoiseReport) -> list[tuple[str, str]]:
    from mpikit.file_facts import printable

    periods = f" of {report.periods} periods" if report.periods > 1 else ""
    averaged = f", each the mean of {report.averages} averages" if report.averages > 1 else ""
    freedom = report.spectrum.raw_freedom.max()
    smoothed = f"; median over {report.spectrum.window} lines" if report.spectrum.window > 1 else ""
    lines, stored = len(report.stored_lines), int(report.stored_lines.sum())
    filled = int(report.drifting.sum())
    beside = f"; lines that drift ({filled}) have the noise of those beside them" if filled else ""
    some = f"{stored} of {lines} lines are stored, and sigma is that of these; " if stored < lines else ""
    return [
        ("file", printable(report.name)),
        ("measured from", f"{report.frames} {report.source}{periods}{averaged}"),
        (
            "spectrum",
            f"{some}{freedom:.3g} degrees of freedom on each line{smoothed}{beside}; "
            "intervals of 95 % confidence",
        ),
    ]


def _show_channels(report: NoiseReport) -> None:
    from mpikit.cli.console import show_table

    rows = [
        (
            str(channel),
            _within(report.level.sigma[channel], report.level.interval[:, channel]),
            _with_error(report.colour.exponent[channel], report.colour.exponent_error[channel]),
            _within(report.colour.ratio[channel], report.colour.ratio_interval[:, channel]),
        )
        for channel in range(report.channels)
    ]
    heads = ("channel", f"sigma of a sample / {report.unit}", "exponent of 1/f", "low over high frequencies")
    show_table(heads, rows, right=(0,))


def _show_bands(report: NoiseReport) -> None:
    from mpikit.cli.console import show_table

    rows = []
    for band in report.bands:
        level = report.density(band.power)
        interval = report.density(band.interval)
        rows.append(
            (
                f"{band.low / 1e3:.4g} to {band.high / 1e3:.4g}",
                str(band.lines.max()),
                *(_within(level[channel], interval[:, channel]) for channel in range(report.channels)),
            )
        )
    heads = [f"channel {channel} / ({report.unit}/√Hz)" for channel in range(report.channels)]
    show_table(("noise at kHz", "lines", *heads), rows, right=(1,))


def _show_correlation(report: NoiseReport) -> None:
    from mpikit.cli.console import show_table

    rows = [(str(first), *(f"{value:.3f}" for value in row)) for first, row in enumerate(report.correlation)]
    error = f"correlation (± {report.correlation_error.max():.1g})"
    columns = tuple(range(report.channels))
    show_table((error, *map(str, columns)), rows, right=tuple(column + 1 for column in columns))


def _show_locked(report: NoiseReport, background: Background) -> None:
    from mpikit.cli.console import show, show_table
    from mpikit.noise_report.locked import FALSE_ALARM

    count, lines = len(background.lines), int(report.stored_lines.sum()) * report.channels
    alarm = f"probability of any false one {100 * FALSE_ALARM:.2g} %"
    show(f"phase-locked: {count} of {lines} lines ({alarm})")
    if not count:
        return
    for channel, drift in enumerate(background.drift):
        show(f"drift of channel {channel}, first to last: {_drift_in_words(drift)}")
    show("")
    heads = ("channel", "kHz", f"amplitude / {report.unit}", "phase / rad", "drift / %", "drift / rad")
    show_table(heads, [_row(line) for line in background.lines[:MOST_LINES]], right=(0, 1))
    if count > MOST_LINES:
        show(f"... the strongest {MOST_LINES} of {count}; --json has all")


def _row(line: LockedLine) -> tuple[str, ...]:
    return (
        str(line.channel),
        f"{line.frequency / 1e3:.2f}",
        _with_error(line.amplitude, line.amplitude_error),
        f"{line.phase:.3f}",
        _with_error(100 * line.amplitude_change, 100 * line.change_error),
        _with_error(line.phase_change, line.change_error),
    )


def _drift_in_words(drift: Drift | None) -> str:
    if drift is None:
        return "no line is locked"
    amplitude = _with_error(100 * drift.amplitude_change, 100 * drift.change_error)
    phase = _with_error(drift.phase_change, drift.change_error)
    return f"amplitude {amplitude} %, phase {phase} rad; rms {drift.relative_to_noise:.3g} of the random part"


def _models_in_words(report: NoiseReport) -> list[str]:
    """Return what ``--noise`` takes for each model that was fitted, and what its levels are of."""
    fitted = [each for each in report.models if each.spec]
    shown = [text for each in fitted for text in ("", f"--noise {_shortened(each)}")]
    if not fitted or report.averages == 1:
        return shown
    factor = report.averages**0.5
    about = (
        f"The models below are of stored samples, each the mean of {report.averages} averages:",
        "simulate with -p receiver.averages=1, or, with as many averages, multiply the level of random noise",
        f"by {factor:.4g}; a background that is locked in phase keeps its own.",
    )
    return ["", *about, *shown]


def _within(value: float, interval: Any) -> str:
    return f"{value:.4g} ({interval[0]:.4g} to {interval[1]:.4g})"


def _with_error(value: float, error: float) -> str:
    """Return value and standard error, to two digits of the error.

    >>> _with_error(84.69458, 0.01621)
    '84.695 ± 0.016'
    """
    from math import floor, isfinite, log10

    if not (isfinite(error) and error > 0):
        return f"{value:.4g} ± {error:.2g}"
    digits = 1 - floor(log10(error))
    if digits > 5:
        return f"{value:.{max(4, digits + floor(log10(abs(value) or error)) + 1)}g} ± {error:.1e}"
    return f"{value:.{max(0, digits)}f} ± {error:.{max(0, digits)}f}"


def _shortened(fitted: Fitted) -> str:
    """Return what ``--noise`` takes; a table is cut and counted."""
    from mpikit.options import as_text, option_fields

    spec, options = fitted.spec, fitted.options
    if options is None:
        return spec
    for name, shown in zip(type(options).model_fields, option_fields(type(options)), strict=True):
        value = getattr(options, name)
        text = as_text(value)
        if len(text) > LONGEST:
            count = f" {len(value)} values" if isinstance(value, (tuple, list)) else ""
            spec = spec.replace(f"{shown}={text}", f"{shown}={text[:LONGEST]}...{count} (whole with --json)")
    return spec


def _as_json(report: NoiseReport, picture: Path) -> dict[str, Any]:
    level, colour, spectrum = report.level, report.colour, report.spectrum
    background = report.background
    stored = report.stored_lines
    low, high = report.density(spectrum.interval())
    return {
        "file": report.name,
        "picture": str(picture),
        "source": report.source,
        "frames": report.frames,
        "periods": report.periods,
        "samples": report.samples,
        "averages": report.averages,
        "sampling_rate": report.sampling_rate,
        "unit": report.unit,
        "channels": [
            {
                "sigma": level.sigma[channel],
                "sigma_interval": level.interval[:, channel],
                "exponent": colour.exponent[channel],
                "exponent_error": colour.exponent_error[channel],
                "low_over_high": colour.ratio[channel],
                "low_over_high_interval": colour.ratio_interval[:, channel],
                "drift": background and background.drift[channel] and vars(background.drift[channel]),
            }
            for channel in range(report.channels)
        ],
        "correlation": report.correlation,
        "correlation_error": report.correlation_error,
        "spectrum": {
            "unit": f"{report.unit}/sqrt(Hz)",
            "window": spectrum.window,
            "frequency": report.frequencies[stored],
            "freedom": spectrum.freedom[stored],
            "density": report.density(spectrum.power)[:, stored],
            "low": low[:, stored],
            "high": high[:, stored],
            "from_beside": report.drifting[:, stored],
        },
        "phase_locked": None if background is None else [vars(line) for line in background.lines],
        "models": [_model(fitted) for fitted in report.models],
    }


def _model(fitted: Fitted) -> dict[str, Any]:
    if fitted.options is None:
        return {"name": fitted.name, "error": fitted.error}
    return {"name": fitted.name, "noise": fitted.spec, "options": fitted.options.model_dump(mode="json")}
