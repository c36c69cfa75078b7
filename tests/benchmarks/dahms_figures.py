"""The figures of `dahms_denoise.py`: amplitude, detection limit, images and position error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from dahms_scene import FIFTH, GROUP, LIMIT_LEVELS, PLACE, grouped
from images_solver import Setting, Solver

from mpikit.errors import MpikitError
from mpikit.metrics import (
    PositionErrors,
    check_detection_limit,
    detection_limit,
    dose_linearity,
    position_errors,
    snr,
    verified_limit,
)
from mpikit.signal import noise_statistics, subtract_background

LAMBDAS, SWEEPS = (0.01, 0.03, 0.1, 0.3, 0.8, 3.0, 10.0), (1, 2, 5, 10, 20, 50)
FARTHEST, LEAST_SNR = 0.0111, 5.0  # m; of `best_guess`
PAPER = Setting(2.0, 0.8, 5)  # λ and sweeps of the paper; threshold of `mpikit reconstruct`


def fifth(signals):
    """Complex amplitude of the fifth harmonic, V, of signals (..., V)."""
    return 2 * np.fft.rfft(signals.astype(np.float64), axis=-1)[..., FIFTH] / signals.shape[-1]


@dataclass(frozen=True)
class Amplitudes:
    """The fifth harmonic of the samples of a dilution series by one method.

    Parameters
    ----------
    projected, magnitude : shape (N, J), V
        Of each output period: on the phase of the signal, and without a phase.
    """

    projected: np.ndarray
    magnitude: np.ndarray


def amplitudes(outputs, phases):
    """Amplitudes of outputs (N, J, C, V), for a phase of the signal of each sample, (N,)."""
    found = fifth(outputs[:, :, 0])
    return Amplitudes(np.real(found * np.exp(-1j * phases)[:, None]), np.abs(found))


def signal_phases(series, reference):
    """Phase of the fifth harmonic at the place of each sample: that of the strongest reference there."""
    strongest = series.concentrations.max()
    phases = np.angle(fifth(reference[:, 0, 0]))
    same = [
        (series.positions == place).all(axis=1) & (series.concentrations == strongest)
        for place in series.positions
    ]
    return np.array([phases[np.flatnonzero(each)[0]] for each in same])


def at_place(samples, place=PLACE):
    """Which samples are at a place on the x axis."""
    return np.isclose(samples.positions[:, 0], place)


def linearity(series, values, limit, *, above, highest):
    """Slope and R² from a limit on, of means (N,): the worst of all places, and above the trained range.

    Parameters
    ----------
    series : Samples
    values : shape (N,), V
    limit : float, mol/L
    above : shape (N,), V
        Amplitudes of the references, which say what is right.
    highest : float, mol/L
        Highest trained concentration.

    Returns
    -------
    dict
    """
    rows = []
    for place in np.unique(series.positions[:, 0]):
        used = at_place(series, place) & (series.concentrations >= limit * (1 - 1e-6))
        if np.count_nonzero(used) < 2:
            continue
        found = dose_linearity(series.concentrations[used], values[used])
        rows.append((found.slope, found.r2_log, np.count_nonzero(used)))
    higher = series.concentrations > highest * (1 + 1e-6)
    gains = values[higher] / above[higher]
    if not rows:
        return {"slope": np.nan, "r2": np.nan, "levels": 0, "gain_above": float(gains.mean())}
    slopes, r2, levels = (np.array(each) for each in zip(*rows, strict=True))
    worst = int(np.argmax(np.abs(slopes - 1)))
    return {
        "slope": float(slopes[worst]),
        "r2": float(r2.min()),
        "levels": int(levels.min()),
        "gain_above": float(gains.mean()),
        "gain_above_worst": float(gains[np.argmax(np.abs(gains - 1))]),
    }


def limits(series, values, blanks, checks, check_values, check_blanks):
    """Claim a detection limit of single periods at one place, and check it with samples and blanks anew.

    Parameters
    ----------
    series, checks : Samples
    values, check_values : shape (N, J), V
        Amplitudes of each period.
    blanks, check_blanks : shape (E, J), V
        Those of the empty scanner; no training has seen either.
    """
    low = at_place(series) & np.isin(np.round(series.concentrations, 9), np.round(LIMIT_LEVELS, 9))
    dose = np.repeat(series.concentrations[low], values.shape[1])
    claim = detection_limit(dose, values[low].ravel(), blanks.ravel())
    ladder = np.unique(checks.concentrations)
    each = [check_values[checks.concentrations == level].ravel() for level in ladder]
    nearest = int(np.argmin(np.abs(np.log(ladder / min(claim.limit, ladder[-1])))))
    check = check_detection_limit(
        claim, each[nearest], check_blanks.ravel(), concentration=float(ladder[nearest])
    )
    return {
        "claimed": claim.limit,
        "checked_at": float(ladder[nearest]),
        "bias": check.bias,
        "detected": check.detection_rate,
        "false_positives": check.false_positive_rate,
        "false_positives_of": check_blanks.size,
        "failures": "; ".join(check.failures),
        "verified": verified_limit(claim, ladder.tolist(), each, check_blanks.ravel()),
    }


class Imaging:
    """Images and what they say of the places of the samples; of signals (N, G, C, V), G images each."""

    def __init__(self, matrix, test, sampling_rate):
        self.test, self.matrix = test, matrix
        self.solver = Solver(matrix, sampling_rate, test.scan.signal.shape[-1])

    def images(self, signals, setting=PAPER, emptied=None):
        """Images (N, G, z, y, x), without emptied lines (C, K)."""
        found = self.solver.images(signals.reshape(-1, *signals.shape[2:]), setting, emptied=emptied)
        return found.reshape(*signals.shape[:2], *found.shape[1:])

    def errors(self, signals, setting=PAPER, emptied=None):
        """Position errors of these images."""
        images = self.images(signals, setting, emptied)
        return position_errors(images, self.test.positions[:, None], self.matrix.grid)

    def best_guess(self):
        """Errors of the posterior median: who knows the clean signals, and no concentration, does no better.

        The signals are those of the calibration, whose noise hardly counts; all its places within 11 mm are
        equally probable, and so is the logarithm of the concentration.
        """
        scan = self.test.scan
        noise = noise_statistics(scan).sigma[0] / GROUP**0.5
        seen = grouped(subtract_background(scan).signal)[:, :, 0] / noise
        places = self.matrix.grid.positions()
        possible = np.abs(places[:, 0]) < FARTHEST
        spectra = np.where(self.matrix.snr[0] >= LEAST_SNR, self.matrix.spectra[possible, 0], 0)
        signals = np.fft.irfft(spectra, n=seen.shape[-1]) / noise
        doses = np.geomspace(self.test.concentrations.min(), self.test.concentrations.max(), 60)[:, None]
        likelihood = (seen @ signals.T)[:, :, None] * doses - np.sum(signals**2, axis=1) * doses**2 / 2
        weight = np.exp(likelihood - likelihood.max(axis=(2, 3), keepdims=True)).sum(axis=2)
        share = np.cumsum(weight, axis=-1) / weight.sum(axis=-1, keepdims=True)
        guess = places[possible][np.argmax(share >= 0.5, axis=-1)]
        errors = np.abs(guess - self.test.positions[:, None])[..., 0]
        return PositionErrors(errors, np.zeros(errors.shape, bool), self.matrix.grid.spacing)

    def table(self, signals, emptied=None):
        """Mean position error for each λ and number of sweeps, mm, (λ, sweeps)."""
        return np.array(
            [
                [
                    1e3 * self.errors(signals, Setting(PAPER.threshold, each, count), emptied).mean
                    for count in SWEEPS
                ]
                for each in LAMBDAS
            ]
        )


def position_row(samples, found):
    """Mean and deviation in mm, of all images and for each concentration."""
    levels = np.unique(samples.concentrations)
    each = [1e3 * float(found.errors[samples.concentrations == level].mean()) for level in levels]
    return {
        "mean": 1e3 * found.mean,
        "deviation": 1e3 * found.deviation,
        "failed": float(found.failed.mean()),
        **{f"mm_at_{level:.4g}": value for level, value in zip(levels, each, strict=True)},
    }


def snr_row(samples, outputs, clean):
    """Mean SNR of the periods, dB, for each concentration."""
    levels = np.unique(samples.concentrations)
    every = snr(outputs[:, :, 0], np.broadcast_to(clean[:, :1, 0], outputs[:, :, 0].shape))
    return {f"snr_at_{level:.4g}": float(every[samples.concentrations == level].mean()) for level in levels}


def gain(samples, outputs, clean):
    """How much of the signal of the highest concentration comes out."""
    highest = samples.concentrations == samples.concentrations.max()
    mean, right = outputs[highest, :, 0].mean(axis=1), clean[highest, 0, 0]
    return float(np.mean(np.sum(mean * right, axis=1) / np.sum(right**2, axis=1)))


def guarded(figure, *arguments, **named):
    """Return a figure, or the words of why there is none."""
    try:
        return figure(*arguments, **named)
    except MpikitError as error:
        return {"failures": str(error)}
