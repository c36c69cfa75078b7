"""A clean reference beside a noisy scan: read, checked, and only ever used to evaluate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError
from mpikit.events import Event, Warned, silent
from mpikit.metrics import Interval, amplitude_bias, bootstrap_mean, prd, rmse, scale_invariant_snr, snr
from mpikit.scan import Scan
from mpikit.scan_file import read_scan
from mpikit.signal import subtract_background

Signals = NDArray[np.floating]
LEAST_FACTOR, MOST_FACTOR = 0.1, 10.0  # of a reference in the same unit


@dataclass(frozen=True)
class SignalFigures:
    """True figures of n signals, those that are all zero left out.

    Parameters
    ----------
    place : shape (n, 3)
        Clean signal, repeat of it and receive channel, counted from 0.
    snr : shape (n,), dB
    gain : shape (n,), dB
        SNR less that of the noisy signal.
    rmse : shape (n,), unit of the signal
    prd : shape (n,), percent
    """

    place: NDArray[np.intp]
    snr: NDArray[np.float64]
    gain: NDArray[np.float64]
    rmse: NDArray[np.float64]
    prd: NDArray[np.float64]


@dataclass(frozen=True)
class TrueScore:
    """How far an estimate is from the clean signals. A signal is one period of one receive channel.

    Parameters
    ----------
    snr : Interval, dB
        Mean over the clean signals of the mean SNR of the repeats and channels of each, with its 95 %
        interval; NaN limits with one clean signal alone.
    gain : Interval, dB
        The same of the SNR less that of the noisy signal, repeat by repeat.
    pooled_db : float, dB
        Mean power of all signals over the mean squared error, which is what the reference-free SNR estimates.
    scale_invariant_db : float, dB
        Mean over the signals of the SNR after the best factor.
    amplitude : float
        Mean amplitude Σ x x̂ / Σ x²: 1 without bias.
    snr_std_db, snr_median_db : float, dB
        Standard deviation (n - 1) and median of the SNR over the signals; of one signal alone there is no
        deviation (NaN).
    rmse : float, unit of the signal
        Mean over the signals of the root mean squared error.
    prd : float, percent
        Mean over the signals of the percent root difference.
    each : SignalFigures or None
        The figures of each signal.
    """

    snr: Interval
    gain: Interval
    pooled_db: float
    scale_invariant_db: float
    amplitude: float
    snr_std_db: float = np.nan
    snr_median_db: float = np.nan
    rmse: float = np.nan
    prd: float = np.nan
    each: SignalFigures | None = field(default=None, repr=False, compare=False)


def true_score(
    estimate: Signals, noisy: Signals, clean: Signals, *, rng: np.random.Generator
) -> TrueScore | None:
    """Score an estimate by the clean signals; those that are all zero are left out.

    The repeats of one clean signal, and its channels, are no independent samples of what may be measured: the
    intervals come from a bootstrap over the clean signals.

    Parameters
    ----------
    estimate, noisy, clean : shape (B, R, C, V), same unit
        R repeats of B clean signals, see `mpikit.signal.stack_repeats`.
    rng : numpy.random.Generator
        For the bootstrap.

    Returns
    -------
    TrueScore or None
        None when all clean signals are zero.
    """
    some = np.any(clean != 0, axis=-1)
    if not some.any():
        return None
    estimate, noisy, clean = (np.asarray(each, np.float64)[some] for each in (estimate, noisy, clean))
    after, before = snr(estimate, clean), snr(noisy, clean)
    error = float(np.mean((estimate - clean) ** 2))
    with np.errstate(invalid="ignore"):  # a signal without noise, denoised without error
        gains = after - before
    gain = bootstrap_mean(_of_each(gains, some), rng=rng)
    each = SignalFigures(np.argwhere(some), after, gains, rmse(estimate, clean), prd(estimate, clean))
    several = after.size > 1 and bool(np.isfinite(after).all())
    return TrueScore(
        snr=bootstrap_mean(_of_each(after, some), rng=rng),
        gain=gain,
        pooled_db=float(10 * np.log10(np.mean(clean**2) / error)) if error > 0 else np.inf,
        scale_invariant_db=float(np.mean(scale_invariant_snr(estimate, clean))),
        amplitude=float(np.mean(amplitude_bias(estimate, clean))),
        snr_std_db=float(np.std(after, ddof=1)) if several else np.nan,
        snr_median_db=float(np.median(after)),
        rmse=float(np.mean(each.rmse)),
        prd=float(np.mean(each.prd)),
        each=each,
    )


def _of_each(figures: NDArray[np.float64], some: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Average the figures of those signals that a mask (B, R, C) leaves, over each of B that has any."""
    place = np.nonzero(some)[0]
    clusters = np.unique(place)
    means = [np.mean(figures[place == cluster]) for cluster in clusters]
    return np.array(means, np.float64)


def read_reference(path: Path, scan: Scan, *, tell: Callable[[Event], None] = silent) -> NDArray[np.float32]:
    """Read the clean signals of a scan.

    Parameters
    ----------
    path : Path
        MDF file with the same foreground frames in the same order, as ``mpikit simulate --clean`` writes it.
    scan : Scan
        The noisy scan.
    tell : callable
        Takes the warning that the scan holds the reference with another factor than 1.

    Returns
    -------
    shape (N, J, C, V)

    Raises
    ------
    InputError
        When shape, sampling rate or unit differ, the values are no numbers, the frames are in another order,
        or they are not the clean signals of this scan.
    """
    return check_reference(read_scan(path, repeats="none"), scan, tell=tell)


def check_reference(
    reference: Scan, scan: Scan, *, tell: Callable[[Event], None] = silent
) -> NDArray[np.float32]:
    """Return the clean signals (N, J, C, V) of a scan, if they are; see `read_reference`.

    Parameters
    ----------
    reference : Scan
        Its foreground frames are clean.
    scan, tell
        As in `read_reference`.

    Raises
    ------
    InputError
    """
    if reference.signal.shape != scan.signal.shape:
        shapes = [" x ".join(map(str, each.signal.shape)) for each in (reference, scan)]
        raise InputError(
            f"the reference {reference.name} has {shapes[0]} frames x periods x channels x samples, "
            f"{scan.name} has {shapes[1]}",
            hint="a reference has the same foreground frames as the noisy file, in the same order",
        )
    if not np.isclose(reference.sampling_rate, scan.sampling_rate, rtol=1e-6) or reference.unit != scan.unit:
        raise InputError(
            f"the reference {reference.name} has {reference.sampling_rate:.9g} Hz and the unit "
            f"{reference.unit!r}, {scan.name} has {scan.sampling_rate:.9g} Hz and {scan.unit!r}",
            hint="a reference is the clean signal of the same measurement",
        )
    if not np.isfinite(reference.signal).all():
        raise InputError(f"the reference {reference.name} has values that are no numbers")
    odd = _check_order(reference.signal, subtract_background(scan).signal, reference.name, scan.name)
    if odd:
        tell(Warned(odd))
    return reference.signal


def _check_order(clean: Signals, noisy: Signals, name: str, of: str) -> str:
    """Compare the noisy frames with the clean ones, and with the clean ones after them.

    With y = g x + n the sum of y x is g times the power of x, and the sum over the frames of y (x - x of the
    next frame) is g times half the sum of the squared steps of x, up to noise; it is near 0 or below when the
    frames are in another order. Interference that all frames share moves the first, and not the second. So
    only a factor is refused that both agree on, and that a mistake in the unit explains rather than
    interference.

    Returns
    -------
    str
        What is worth a warning, or nothing.
    """
    x, y = clean.astype(np.float64), noisy.astype(np.float64)
    power = float(np.sum(x**2))
    if power == 0:
        return ""
    factor = float(np.sum(x * y)) / power
    noise = float(np.sqrt(np.mean((y - factor * x) ** 2)))
    step = x - np.roll(x, -1, axis=0)
    half, found = float(np.sum(step**2)) / 2, float(np.sum(y * step))
    hint = "a reference is the clean signal of the same foreground frames, in the same order and unit"
    changes = min(factor, 1) * half > 5 * noise * np.linalg.norm(step)
    if factor > LEAST_FACTOR and changes and found < min(factor, 1) * half / 2:
        raise InputError(
            f"the frames of the reference {name} are in another order than those of {of}", hint=hint
        )
    doubt = 5 * noise / np.sqrt(power)
    words = f"{of} holds the reference {name} with a factor of {factor:.3g}, expected 1"
    of_steps = found / half if half > 5 * noise * np.linalg.norm(step) else factor
    if not any(LEAST_FACTOR - doubt <= each <= MOST_FACTOR + doubt for each in (factor, of_steps)):
        raise InputError(words, hint=hint)
    if abs(factor - 1) <= 0.5 + doubt:
        return ""
    return f"{words}: interference on the lines of the signal does that, and so does another amplification"
