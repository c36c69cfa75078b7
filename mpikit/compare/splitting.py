"""Two independent views of each period where nothing was measured twice, for noise that is known.

With noise n of covariance S and a draw b of the same covariance, y + a b and y - b / a are independent when
the noise is Gaussian: their covariance is S - S. A method that is given the first is judged by the second
without bias, whatever it does, at the price of 1 + a² times the noise (Oliveira, Lei and Tibshirani,
"Unbiased risk estimation in the normal means problem via coupled bootstrap techniques", 2021; the training of
Pang et al., recorrupted-to-recorrupted, rests on the same pair).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mpikit.compare.oddness import MEDIAN, Chance, Halves, freedom_of, smooth, uneven, width_of
from mpikit.judging import Holdout
from mpikit.metrics import View
from mpikit.scan import Scan
from mpikit.signal import stack_repeats, subtract_background, symmetry_center
from mpikit.signal.background import background_blocks, background_weights
from mpikit.signal.noise import ENOUGH, line_weights, running_median

SHARE = 0.5  # the a above: 1.0 dB more noise for the method, 7 dB more for the judge
Source = Literal["few repeats", "background frames", "symmetry"]
Spectra = NDArray[np.complex128]


@dataclass(frozen=True)
class KnownNoise:
    """Noise of one period, measured where there is no signal.

    Parameters
    ----------
    line_power : shape (C, K), unit squared
        Expected squared magnitude on each line of an un-normalised rfft.
    mixing : shape (C, C)
        Root of the correlation of the channels.
    source : {"few repeats", "background frames", "symmetry"}
    width : int
        Lines whose level was measured together.
    freedom : float
        Complex degrees of freedom of that measurement.
    levels : shape (N, J) or None
        Power of the noise of each period of the foreground, relative to ``line_power``; None when all are
        alike.
    """

    line_power: NDArray[np.float64]
    mixing: NDArray[np.float64]
    source: Source
    width: int = 1
    freedom: float = np.inf
    levels: NDArray[np.float64] | None = None

    def draw(self, count: int, samples: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw noise of so many periods, (count, C, V)."""
        shape = (count, *self.line_power.shape)
        level = np.sqrt(self.line_power)
        spectra = (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(2)
        alone = line_weights(samples) == 1  # DC and Nyquist are real
        spectra[..., alone] = rng.normal(size=(*shape[:2], int(alone.sum())))
        mixed = np.einsum("cd,ndk->nck", self.mixing, spectra) * level
        return np.asarray(np.fft.irfft(mixed, n=samples, axis=-1), np.float64)


def known_noise(scan: Scan) -> KnownNoise | None:
    """Measure the noise of a scan where it holds no signal: in repeats, background frames, or its even part.

    Returns
    -------
    KnownNoise or None
        None when there is nothing of the kind: the spectrum of the signal alone does not say.
    """
    stacked = stack_repeats(scan.signal, scan.repeats)
    if stacked.shape[1] > 1:
        return _noise_of_repeats(scan, list(stacked), "few repeats")
    even = _noise_of_even_part(scan)
    if len(scan.background) < 2:
        return even
    blocks = [block for block in background_blocks(scan) if len(block) > 1]
    # between blocks of one frame each the background drifts, but on so few lines that their median is noise
    groups = [scan.background[block] for block in blocks] or [scan.background]
    each = [group[:, period] for group in groups for period in range(group.shape[1])]
    empty = _noise_of_repeats(scan, each, "background frames")
    if even is not None and even.levels is not None:  # background frames cannot say that
        return even
    # the one that is known better
    return empty if even is None or even.freedom / even.width < empty.freedom / empty.width else even


def _noise_of_repeats(scan: Scan, groups: list[NDArray[np.float32]], source: Source) -> KnownNoise:
    """Noise of what was measured again and again: groups of shape (R, C, V)."""
    freedom = sum(len(group) - 1 for group in groups)
    power = np.zeros((scan.signal.shape[2], len(scan.stored_lines)))
    for group in groups:
        spectra = np.fft.rfft(group.astype(np.float64), axis=-1)
        power += np.sum(np.abs(spectra - spectra.mean(axis=0)) ** 2, axis=0) / freedom
    width = 1
    if freedom < ENOUGH:
        power[:, scan.stored_lines] = running_median(power[:, scan.stored_lines], freedom)
        width = 2 * (ENOUGH // freedom // 2) + 3
    known = freedom * width * (MEDIAN if width > 1 else 1)
    return KnownNoise(power, _mixing(groups, power), source, width, known)


def _mixing(groups: list[NDArray[np.float32]], power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root (C, C) of the correlation of the channels, from repeats (R, C, V) of some signals."""
    channels = len(power)
    total = np.zeros((channels, channels))
    for group in groups if channels > 1 else []:
        spectra = np.fft.rfft(group.astype(np.float64), axis=-1)
        total += _cross(spectra - spectra.mean(axis=0), power)
    return _root(total)


def _cross(spectra: Spectra, power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of products of the channels, each line (n, C, K) in units of its noise."""
    white = np.divide(spectra, np.sqrt(power), out=np.zeros_like(spectra), where=power > 0)
    found: NDArray[np.float64] = np.einsum("nck,ndk->cd", white, white.conj()).real
    return found


def _root(total: NDArray[np.float64]) -> NDArray[np.float64]:
    level = np.sqrt(np.diag(total))
    known = np.outer(level, level) > 0
    correlation = np.divide(total, np.outer(level, level), out=np.eye(len(total)), where=known)
    values, vectors = np.linalg.eigh(correlation)
    root: NDArray[np.float64] = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    return root


def _noise_of_even_part(scan: Scan) -> KnownNoise | None:
    """Measure the noise in what an ideal scan cannot hold, and make sure that it holds no signal."""
    center = symmetry_center(scan.drive_field)
    if center is None:
        return None
    cleared = subtract_background(scan)
    flat = cleared.signal.reshape(-1, *scan.signal.shape[2:])
    turn = np.exp(2j * np.pi * scan.frequencies * center)
    tested = (line_weights(scan.signal.shape[-1]) == 2) & scan.stored_lines
    if not tested.any():
        return None
    halves = Halves(flat, turn, tested)
    count, lines = len(flat), int(tested.sum())
    moments = halves.moments()
    found, cross = halves.compare(smooth(moments.even, count))
    levels = uneven(found, flat.shape[1] * lines)
    if levels is not None:
        moments = halves.moments(levels)
    own = _own_background(scan)
    if not moments.are_of_an_odd_scan(Chance(count, own / (1 + own), levels)):
        return None
    power = np.zeros((flat.shape[1], len(turn)))
    power[:, tested] = smooth(moments.even, count)
    power[:, ~tested & scan.stored_lines] = np.median(power[:, tested], axis=-1, keepdims=True)
    if levels is not None:  # without the share of a background that was subtracted from all
        levels = np.maximum(levels * (1 + own) - own, 0).reshape(scan.signal.shape[:2])
    return KnownNoise(
        power / (1 + own), _root(cross), "symmetry", width_of(count), freedom_of(count, lines), levels
    )


def _own_background(scan: Scan) -> float:
    """Noise power that a subtraction of the background adds to one period, relative to its own."""
    if scan.corrections.background or not len(scan.background):
        return 0.0
    weights = background_weights(scan, scan.foreground_index)
    return float(np.sum(weights**2)) / len(weights)


def split_noise(scan: Scan, noise: KnownNoise, rng: np.random.Generator) -> Holdout:
    """Make two views of a scan that share no noise, the background frames included.

    Parameters
    ----------
    scan : Scan
    noise : KnownNoise
        Of that scan.
    rng : numpy.random.Generator

    Returns
    -------
    Holdout
        The views hold the same clean signals; a method is fitted and applied to the first. Of the noise of
        the second, that of the scan itself comes again in every other split.
    """
    first, second = (
        replace(scan, signal=scan.signal.copy(), background=scan.background.copy()) for _ in "ab"
    )
    levels = np.ones(scan.signal.shape[:2]) if noise.levels is None else noise.levels
    pairs = (
        (first.signal, second.signal, levels),
        (first.background, second.background, np.ones(scan.background.shape[:2])),
    )
    for one, other, level in pairs:
        for frame in range(len(one)):  # one at a time bounds the memory
            drawn = noise.draw(one.shape[1], one.shape[-1], rng) * np.sqrt(level[frame])[:, None, None]
            one[frame] += SHARE * drawn
            other[frame] -= drawn / SHARE
    view = View(
        noise=noise.line_power * (1 + SHARE**-2),
        in_common=1 / (1 + SHARE**-2),
        leak=2 / (1 + SHARE**2),
        width=noise.width,
        freedom=noise.freedom,
    )
    return Holdout(first, second, first, shared=True, view=view)
