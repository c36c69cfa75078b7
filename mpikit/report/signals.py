"""The signals of a measurement, by themselves or before and after denoising."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpikit.figures_report import draw_harmonics, draw_residual, draw_spectra, draw_times
from mpikit.report.blocks import Block, Facts, Picture, Section, Table, Words
from mpikit.report.residual import (
    Residual,
    amplitudes,
    as_treated,
    find_residual,
    line_amplitude,
)
from mpikit.report.spread import follows_itself, noise_left
from mpikit.scan import Scan
from mpikit.signal import (
    drive_field_lines,
    fit_harmonic_filter,
    noise_statistics,
    subtract_background,
)

MOST_LISTED = 12  # lines in the table, the strongest ones
SOURCES = {"spectrum": "the median of all lines", "repeats": "the repeats"}
Floats = NDArray[np.float64]


def signal_sections(scan: Scan, before: Scan | None = None, *, pooled: bool = False) -> list[Section]:
    """Return the sections on the signals of a scan, beside those of the scan that it was made of.

    Parameters
    ----------
    scan : Scan
    before : Scan, optional
        Of the same frames, periods, channels and samples.
    pooled : bool
        Each period of the scan was made of several periods before.
    """
    given = [each for each in (before, scan) if each is not None]
    if not all(np.isfinite(each.signal).all() and np.isfinite(each.background).all() for each in given):
        words = "The signal has values that are no numbers (NaN or infinity): there is nothing to draw."
        return [Section("Signals", [Words(words)])]
    if not scan.signal.size or not scan.signal.any():
        return [Section("Signals", [Words("The signal is zero everywhere: there is nothing to draw.")])]
    first = scan if before is None else before
    standing = standing_out(first)
    sections = [_shapes(scan, before, standing), _harmonics(scan, before, standing, pooled=pooled)]
    return sections if before is None else [*sections, _residual(before, scan)]


def _named(scan: Scan, before: Scan | None) -> list[tuple[str, Scan]]:
    return [("signal", scan)] if before is None else [("before", before), ("after", scan)]


def standing_out(scan: Scan) -> NDArray[np.bool_]:
    """Return the lines (C, K) that noise does not explain."""
    clear = subtract_background(scan)
    return fit_harmonic_filter([clear], symmetry="off").keep


def _shapes(scan: Scan, before: Scan | None, standing: NDArray[np.bool_]) -> Section:
    """Draw spectra and one period."""
    treated = None if before is None else as_treated(before, scan)
    named = _named(scan, treated)
    frames, periods = scan.signal.shape[:2]
    over = f"{frames} frame{'s' if frames > 1 else ''}"
    over += f" of {periods} periods" if periods > 1 else ""
    spectra = draw_spectra(
        scan.frequencies,
        [(label, where_stored(amplitudes(each.signal), each)) for label, each in named],
        unit=scan.unit,
        marked=standing if before is None else None,
    )
    times = draw_times(
        scan.sampling_rate, [(label, each.signal[0, 0]) for label, each in named], unit=scan.unit
    )
    both = ", before and after on one scale" if before is not None else ""
    if treated is not before:
        both += "; the background is subtracted before as it is after"
    blocks: list[Block] = [
        Picture(f"Amplitude of each line, root mean square over {over}{both}.", spectra),
        Picture(f"The first period of the first frame{both}.", times),
    ]
    if scan.signal.shape[2] > 4:
        blocks.append(Words(f"The first four of {scan.signal.shape[2]} receive channels are drawn."))
    return Section("Signals before and after" if before is not None else "Signals", blocks)


def where_stored(amplitude: Floats, scan: Scan) -> Floats:
    """Leave out the lines that the file does not store, and what is left of emptied ones: rounding."""
    floor = 1e-6 * amplitude.max(axis=-1, keepdims=True)
    return np.where(scan.stored_lines & (amplitude > floor), amplitude, 0.0)


def line_snr(scan: Scan, lines: NDArray[np.bool_], noise: Floats) -> Floats:
    """Return the SNR of one period on some lines, dB.

    The noise is taken off the mean power of the line, and what is left is the signal.

    Parameters
    ----------
    scan : Scan
        Free of background, or the background counts as signal.
    lines : shape (C, K)
    noise : shape (C, K), unit squared
        Noise power on each line of an un-normalised rfft.

    Returns
    -------
    shape (C, K)
        NaN on other lines, and where signal or noise is nothing.
    """
    samples = scan.signal.shape[-1]
    power = (amplitudes(scan.signal) / line_amplitude(np.ones(samples // 2 + 1), samples)) ** 2
    rounding = np.finfo(np.float32).eps ** 2 * power.max(axis=-1, keepdims=True)
    known = lines & (power > noise) & (noise > rounding)
    decibels = np.full(power.shape, np.nan)
    decibels[known] = 10 * np.log10(power[known] / noise[known] - 1)
    return decibels


def _harmonics(scan: Scan, before: Scan | None, standing: NDArray[np.bool_], *, pooled: bool) -> Section:
    """Draw the SNR of each line that stands out."""
    first = subtract_background(scan if before is None else before)
    if not standing.any():
        return Section("SNR per harmonic", [Words("No line stands out of the noise.")])
    noise = noise_statistics(first)
    label = "signal" if before is None else "before"
    named = [(label, line_snr(first, standing, noise.line_power))]
    words = (
        f"{int(standing.sum())} of {standing.size} lines stand out of the noise, which was measured from "
        f"{SOURCES.get(noise.source, noise.source)}; a line of noise does with probability 0.0001."
    )
    if before is not None:
        known, told = _after(subtract_background(scan), first, standing, pooled=pooled)
        named += [] if known is None else [("after", known)]
        words += f" {told}"
    blocks: list[Block] = [Words(words)]
    if any(np.isfinite(each).any() for _, each in named):
        caption = "SNR of one period on each line that stands out."
        blocks += [Picture(caption, draw_harmonics(scan.frequencies, named)), _listed(scan, named)]
    return Section("SNR per harmonic", blocks)


def _after(
    after: Scan, before: Scan, standing: NDArray[np.bool_], *, pooled: bool
) -> tuple[Floats | None, str]:
    """Return the SNR of each line after denoising (C, K), None where it cannot be known, and words on it."""
    left = noise_left(after, before.repeats)
    if left is None:
        return None, "Nothing repeats, so that the noise that is left is not known."
    found = line_snr(after, standing, left)
    unknown = "How much noise is left on each line after denoising cannot be known here, and is not drawn:"
    scored = "What denoise says in its scores holds, for it uses repeats that the method did not see."
    if not np.isfinite(found).any():
        return None, f"{unknown} the repeats are all alike. {scored}"
    if pooled:
        return None, f"{unknown} each repeat was made of several, which share their errors. {scored}"
    if not follows_itself(before, after, standing):
        return None, (
            f"{unknown} the repeats differ from each other along fewer directions than before (all lines "
            f"rise and fall together, for instance), so that errors which they share do not show. {scored}"
        )
    return found, (
        "The noise after denoising is the spread of the repeats. It does not see an error that all of them "
        "have in common, such as signal that was taken away: see the residual."
    )


def _listed(scan: Scan, named: list[tuple[str, Floats]]) -> Table:
    """List the strongest lines."""
    first = np.where(np.isfinite(named[0][1]), named[0][1], -np.inf)
    order = np.argsort(-first, axis=None, kind="stable")[:MOST_LISTED]
    places = [
        place for place in zip(*np.unravel_index(order, first.shape), strict=True) if first[place] > -np.inf
    ]
    grid = drive_field_lines(scan)
    rows = [
        (
            str(channel),
            f"{scan.frequencies[line] / 1e3:.2f}" + ("" if grid[line] else " (off the grid)"),
            *(f"{each[channel, line]:.1f}" if np.isfinite(each[channel, line]) else "-" for _, each in named),
        )
        for channel, line in places
    ]
    heads = ("channel", "kHz", *(f"SNR {label} / dB" for label, _ in named))
    return Table(heads, rows, right=tuple(range(len(heads))))


def _residual(before: Scan, after: Scan) -> Section:
    """Draw what was taken away, and say whether it is noise."""
    treated = as_treated(before, after)
    found = find_residual(treated, after)
    whence = SOURCES.get(found.noise.source, found.noise.source).removeprefix("the ")
    noise = line_amplitude(found.noise.line_power * before.stored_lines, before.signal.shape[-1])
    drawn = draw_residual(
        before.frequencies,
        where_stored(found.amplitude, before),
        noise,
        unit=before.unit,
        whence=whence,
    )
    minus = "" if treated is before else ", its background subtracted,"
    caption = (
        f"Spectrum of the residual: the signal before{minus} minus the signal after. Where only noise was "
        "taken away it lies on the line of the noise; below it, noise was left in; above it, signal was lost."
    )
    facts = Facts([("taken away", f"{100 * found.power:.2g} % of the energy"), *_whiteness(found)])
    return Section("Residual", [Picture(caption, drawn), facts])


def _whiteness(found: Residual) -> list[tuple[str, str]]:
    white = found.whiteness
    if white is None:
        return [("whiteness", "not known: a channel has too few lines with noise")]
    rows = [
        (
            "autocorrelation",
            f"{white.autocorrelation:.3g}; of noise alone {white.expected:.3g} ± {white.spread:.1g}",
        ),
        (
            "correlation with the signal after",
            f"{white.correlation:.3g}; of noise alone 0 ± {white.correlation_spread:.1g}",
        ),
    ]
    if not found.independent:
        verdict = "none: the noise could not be measured on other data than the residual"
    elif white.is_noise:
        verdict = "the residual looks like noise"
    else:
        verdict = "the residual is not only noise, or not all of it: look at its spectrum"
    return [*rows, ("verdict", verdict)]
