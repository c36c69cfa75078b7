"""A clean reference beside a noisy scan: read, checked, and only ever used to evaluate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError
from mpikit.metrics import Interval, amplitude_bias, bootstrap_mean, scale_invariant_snr, snr
from mpikit.scan import Scan
from mpikit.scan_file import read_scan
from mpikit.signal import subtract_background

Signals = NDArray[np.floating]


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
    """

    snr: Interval
    gain: Interval
    pooled_db: float
    scale_invariant_db: float
    amplitude: float


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
    return TrueScore(
        snr=bootstrap_mean(_of_each(after, some), rng=rng),
        gain=gain,
        pooled_db=float(10 * np.log10(np.mean(clean**2) / error)) if error > 0 else np.inf,
        scale_invariant_db=float(np.mean(scale_invariant_snr(estimate, clean))),
        amplitude=float(np.mean(amplitude_bias(estimate, clean))),
    )


def _of_each(figures: NDArray[np.float64], some: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Average the figures of those signals that a mask (B, R, C) leaves, over each of B that has any."""
    place = np.nonzero(some)[0]
    clusters = np.unique(place)
    means = [np.mean(figures[place == cluster]) for cluster in clusters]
    return np.array(means, np.float64)


def read_reference(path: Path, scan: Scan) -> NDArray[np.float32]:
    """Read the clean signals of a scan.

    Parameters
    ----------
    path : Path
        MDF file with the same foreground frames in the same order, as ``mpikit simulate --clean`` writes it.
    scan : Scan
        The noisy scan.

    Returns
    -------
    shape (N, J, C, V)

    Raises
    ------
    InputError
        When shape, sampling rate or unit differ, the values are no numbers, the frames are in another order,
        or they are not the clean signals of this scan.
    """
    reference = read_scan(path, repeats="none")
    if reference.signal.shape != scan.signal.shape:
        shapes = [" x ".join(map(str, each.signal.shape)) for each in (reference, scan)]
        raise InputError(
            f"the reference {path.name} has {shapes[0]} frames x periods x channels x samples, "
            f"{scan.name} has {shapes[1]}",
            hint="a reference has the same foreground frames as the noisy file, in the same order",
        )
    if not np.isclose(reference.sampling_rate, scan.sampling_rate, rtol=1e-6) or reference.unit != scan.unit:
        raise InputError(
            f"the reference {path.name} has {reference.sampling_rate:.9g} Hz and the unit "
            f"{reference.unit!r}, {scan.name} has {scan.sampling_rate:.9g} Hz and {scan.unit!r}",
            hint="a reference is the clean signal of the same measurement",
        )
    if not np.isfinite(reference.signal).all():
        raise InputError(f"the reference {path.name} has values that are no numbers")
    _check_order(reference.signal, subtract_background(scan).signal, path.name, scan.name)
    return reference.signal


def _check_order(clean: Signals, noisy: Signals, name: str, of: str) -> None:
    """Compare the noisy frames with the clean ones, and with the clean ones after them.

    With y = g x + n the sum of y x is g times the power of x, and the sum over the frames of y (x - x of the
    next frame) is g times half the sum of the squared steps of x, up to noise; it is near 0 or below when the
    frames are in another order.
    """
    x, y = clean.astype(np.float64), noisy.astype(np.float64)
    power = float(np.sum(x**2))
    if power == 0:
        return
    factor = float(np.sum(x * y)) / power
    noise = float(np.sqrt(np.mean((y - factor * x) ** 2)))
    step = x - np.roll(x, -1, axis=0)
    wanted, found = factor * float(np.sum(step**2)) / 2, float(np.sum(y * step))
    hint = "a reference is the clean signal of the same foreground frames, in the same order and unit"
    if wanted > 5 * noise * np.linalg.norm(step) and found < wanted / 2:
        raise InputError(
            f"the frames of the reference {name} are in another order than those of {of}", hint=hint
        )
    if abs(factor - 1) > 0.5 + 5 * noise / np.sqrt(power):
        raise InputError(
            f"{of} holds the reference {name} with a factor of {factor:.3g}, expected 1", hint=hint
        )
