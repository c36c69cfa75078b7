"""The symmetry of the scan: where the drive field is retraced, the particle signal is odd.

Particles that follow the field at once give s(2c - t) = -s(t) about every time c at which all drive fields
turn. Relaxation and the receive chain rotate each line by a phase that is the same for every object; it is
fitted from the noisy data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpikit.scanner import DriveField

LEAST_LEVEL = 1e-3  # of the mean noise: a measurement that looks free of noise does not count alone
COHERENT = 0.9  # least share of a line's power that lies on one axis
Spectra = NDArray[np.complex128]


def symmetry_center(drive_field: DriveField, period: int = 0) -> float | None:
    """First time c >= 0 about which every drive field is even, or None.

    The candidates are the turning points of the fastest component; all others must turn there too, within
    1e-6 rad.

    Parameters
    ----------
    drive_field : DriveField
    period : int
        Index j of the period whose phases count.

    Returns
    -------
    float or None
        Time in s, below half a cycle.
    """
    active = drive_field.amplitudes[period] > 0
    if not active.any() or np.any(drive_field.waveforms[active] == "custom"):
        return None
    frequencies, phases = drive_field.frequencies[active], drive_field.phases[period][active]
    fastest = int(np.argmax(frequencies))
    turns = round(2 * frequencies[fastest] * drive_field.cycle)
    first = (np.pi / 2 - phases[fastest]) / np.pi % 1
    times = (np.arange(turns) + first) / (2 * frequencies[fastest])
    angles = 2 * np.pi * frequencies * times[:, None] + phases - np.pi / 2
    residue = np.abs(angles - np.pi * np.round(angles / np.pi)).max(axis=1)
    even = np.flatnonzero(residue < 1e-6)
    return float(times[even[0]]) if even.size else None


@dataclass(frozen=True)
class Symmetry:
    """The projection on signals that are odd about c, up to one fixed phase on each line.

    Parameters
    ----------
    angle : shape (C, K), rad
        2π f c - θ: turning each line by it brings particle signal onto the imaginary axis.
    holds : shape (C, K)
        Lines on which the symmetry was found to hold; the others are left alone.
    coherence : shape (C, K)
        Share of the power of each line on one axis, 0 to 1; 0 where nothing was measured.
    """

    angle: NDArray[np.float64]
    holds: NDArray[np.bool_]
    coherence: NDArray[np.float64]

    def project(self, spectra: Spectra) -> Spectra:
        """Remove what no particle can emit, from spectra (..., C, K)."""
        rotation = np.exp(1j * self.angle)
        odd = 1j * (spectra * rotation).imag * rotation.conj()
        return np.where(self.holds, odd, spectra)


def exact_symmetry(center: float, frequencies: NDArray[np.float64], channels: int) -> Symmetry:
    """Symmetry of an ideal scan: no relaxation, no receive chain, every line.

    Parameters
    ----------
    center : float, s
        See `symmetry_center`.
    frequencies : shape (K,), Hz
    channels : int
        C.
    """
    angle = np.tile(2 * np.pi * frequencies * center, (channels, 1))
    every = np.ones(angle.shape, bool)
    return Symmetry(angle, every, every.astype(float))


def fit_symmetry(
    signals: Spectra,
    noise: NDArray[np.float64],
    *,
    center: float,
    frequencies: NDArray[np.float64],
    detected: NDArray[np.bool_],
) -> Symmetry:
    """Fit the phase of each line to noisy spectra.

    θ = arg(-Σ U²) / 2 with U = S exp(2πi f c), over M measurements each divided by the power of its noise on
    the lines without signal. Circular noise has no mean square, so it does not bias the sum.

    Parameters
    ----------
    signals : shape (M, C, K)
        Spectra of M clean signals, each the mean of its repeats.
    noise : shape (C, K)
        Expected noise power of these means.
    center : float, s
        See `symmetry_center`.
    frequencies : shape (K,), Hz
    detected : shape (C, K)
        Lines that stand out of the noise; on the others no phase can be fitted.

    Returns
    -------
    Symmetry
        It holds where a detected line keeps at least nine tenths of its power on one axis, within two
        standard errors: a weak line is no evidence against it.
    """
    delay = np.tile(2 * np.pi * frequencies * center, (len(detected), 1))
    turned = signals[:, detected] * np.exp(1j * delay[detected])
    squares, level = np.mean(turned**2, axis=0), noise[detected]
    balanced = np.sum(turned**2 * _weights(signals, noise, ~detected)[:, None], axis=0)
    # here without weights: the noise of the measurements may differ, and only its mean is known
    power = np.mean(turned.real**2 + turned.imag**2, axis=0) - level
    found, doubt = np.zeros(power.shape), np.zeros(power.shape)
    np.divide(np.abs(squares), power, out=found, where=power > 0)
    wobble = np.sqrt((level**2 + 2 * level * np.maximum(power, 0)) / len(turned))
    np.divide(2 * wobble, power, out=doubt, where=power > 0)
    angle, coherence, holds = delay, np.zeros(delay.shape), np.zeros(delay.shape, bool)
    angle[detected] -= np.angle(-balanced) / 2
    coherence[detected] = np.minimum(found, 1)
    holds[detected] = (power > 0) & (found >= COHERENT - doubt)
    return Symmetry(angle, holds, coherence)


def _weights(signals: Spectra, noise: NDArray[np.float64], empty: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Inverse noise power of each measurement, relative to the mean; 1 where no empty line tells it.

    Not the inverse power of all: a weak sample would then count as much as a strong one, whose phases stand
    out far better when the noise of both is the same.
    """
    told = empty & (noise > 0)
    if not told.any():
        return np.ones(len(signals))
    lines = signals[:, told]
    level = np.mean((lines.real**2 + lines.imag**2) / noise[told], axis=1)
    return 1 / np.maximum(level, LEAST_LEVEL * level.mean()) if level.any() else np.ones(len(signals))
