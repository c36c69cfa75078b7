"""Whether repeats have independent noise, as every method and every score without clean data takes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpikit.events import Event, Warned
from mpikit.scan import Scan
from mpikit.signal.background import background_blocks
from mpikit.signal.noise import line_weights

MOST_TRIPLES = 60
FEWEST_TERMS = 40  # lines times triples, or products: with fewer nothing is certain
FEWEST_FRAMES = 3  # of a block, to tell what its periods have in common
LEAST = 0.05  # correlation that does not matter yet
CERTAIN = 5  # standard errors


@dataclass(frozen=True)
class Correlation:
    """Correlation of the noise of one repeat with that of the next.

    Parameters
    ----------
    value : float
        0 when they are independent; ½ for a moving average over two.
    error : float
        Its standard error if they are.
    """

    value: float
    error: float

    @property
    def matters(self) -> bool:
        """It is no chance, and not too small to matter."""
        return self.value > max(CERTAIN * self.error, LEAST)


def warn_of_correlation(
    scan: Scan, tell: Callable[[Event], None], *, lines: NDArray[np.bool_] | None = None
) -> None:
    """Warn when the background frames show that the noise of neighbouring repeats is correlated.

    Parameters
    ----------
    scan : Scan
    tell : callable
        Takes the warning.
    lines : shape (C, K) or None
        Lines that carry signal: it is warned of what is correlated on them, and not on all lines alike, of
        which the warning without ``lines`` speaks.
    """
    found = neighbour_correlation(scan)
    where, advice = "", ""
    if lines is not None:
        if found is not None and found.matters:
            return
        found = neighbour_correlation(scan, lines=lines)
        where = " on the lines that carry signal"
        advice = "; pairs that are further apart (lag) share less, and a background that is subtracted too"
    if found is not None and found.matters:
        tell(
            Warned(
                f"{scan.name}: the noise of one repeat and the next is correlated ({found.value:.2f}){where} "
                "in the background frames, as with averages that overlap or a drift: what they share is "
                f"learnt as signal, and figures come out too good{advice}"
            )
        )


def neighbour_correlation(scan: Scan, *, lines: NDArray[np.bool_] | None = None) -> Correlation | None:
    """Measure from the background frames how the noise of neighbouring repeats is correlated.

    Where periods repeat, it is the covariance of neighbouring periods over the frames of a block: what all
    periods of a frame have in common counts too. Elsewhere, three empty repeats in a row are looked at: with
    independent noise the step from the first to the second is as large as that to the third, on every line;
    averages that overlap, a filter that remembers, or a drift make it smaller.

    Parameters
    ----------
    scan : Scan
    lines : shape (C, K) or None
        Lines to look at, each with the weight of its power: what is strong on them is what is learnt as
        signal. None takes all, and each counts alike: the few on which a phase-locked background drifts do
        not decide.

    Returns
    -------
    Correlation or None
        None when nothing repeats, or there are too few background frames.
    """
    if scan.repeats == "none" or not len(scan.background):
        return None
    used = (line_weights(scan.signal.shape[-1]) == 2) & scan.stored_lines
    used = used & (np.ones((scan.signal.shape[2], 1), bool) if lines is None else lines)
    blocks = [scan.background[block] for block in background_blocks(scan)]
    if scan.repeats == "periods" and scan.signal.shape[1] > 1:
        long = [block for block in blocks if len(block) >= FEWEST_FRAMES]
        if long:
            return _of_periods(long, used, alike=lines is None)
    return _of_triples(_chains(scan, blocks), used, alike=lines is None)


def _of_periods(
    blocks: list[NDArray[np.float32]], used: NDArray[np.bool_], *, alike: bool
) -> Correlation | None:
    """Correlate neighbouring periods of blocks (n, J, C, V) over the frames of each."""
    shared, power = np.zeros(used.sum()), np.zeros(used.sum())
    products = 0
    for block in blocks:
        spectra = np.fft.rfft(block.astype(np.float64), axis=-1)[..., used]  # (n, J, lines)
        spectra -= spectra.mean(axis=0)
        neighbours = spectra[:, 1:] * spectra[:, :-1].conj()
        shared += neighbours.real.mean(axis=1).sum(axis=0)
        power += np.mean(np.abs(spectra) ** 2, axis=1).sum(axis=0)
        products += (len(block) - 1) * neighbours.shape[1]
    # of two independent complex values of power 1 the product has a real part of variance 1/2
    found = _mean_ratio(shared, power, products, 0.5, alike=alike)
    return None if found is None else Correlation(*found)


def _of_triples(
    chains: list[NDArray[np.float32]], used: NDArray[np.bool_], *, alike: bool
) -> Correlation | None:
    """Compare the steps to the next and to the one after it, in chains (n, ..., C, V).

    With powers x and y of the two steps, (y - x) / (y + x) is 0 on average for independent repeats, exactly:
    the second and the third can be swapped.
    """
    triples = [chain[: len(chain) // 3 * 3].reshape(-1, 3, *chain.shape[1:]) for chain in chains]
    found = [each for each in triples if len(each)]
    if not found:
        return None
    whole = np.concatenate(found)
    chosen = np.unique(np.linspace(0, len(whole) - 1, min(len(whole), MOST_TRIPLES)).astype(int))
    # an axis of periods stays for frames that repeat; each of its lines is a line of its own
    spectra = np.fft.rfft(whole[chosen].astype(np.float64), axis=-1)[..., used]
    near, far = (np.mean(np.abs(spectra[:, step] - spectra[:, 0]) ** 2, axis=0).ravel() for step in (1, 2))
    # y - x has the variance 6, and y + x the mean 4, in units of the power of the noise
    ratio = _mean_ratio(far - near, far + near, len(chosen), 6 / 16, alike=alike)
    if ratio is None:
        return None
    mean, error = ratio
    # with a correlation r of neighbours alone the mean is r / (2 - r)
    return Correlation(2 * mean / (1 + mean), 2 * error / (1 + mean) ** 2)


def _mean_ratio(
    part: NDArray[np.float64], whole: NDArray[np.float64], count: int, variance: float, *, alike: bool
) -> tuple[float, float] | None:
    """Average part / whole over lines, alike or by their power, with the standard error around 0.

    Of one term of ``count`` the ratio has this variance.
    """
    known = whole > 0
    if count * known.sum() < FEWEST_TERMS:
        return None
    weight = 1 / whole[known] if alike else np.ones(known.sum())
    shares = weight * whole[known]
    error = np.sqrt(variance / count * np.sum(shares**2)) / np.sum(shares)
    return float(np.sum(weight * part[known]) / np.sum(shares)), float(error)


def _chains(scan: Scan, blocks: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """Return empty repeats that follow each other, each (n, ..., C, V), along the axis that repeats."""
    if scan.repeats == "frames":
        return blocks
    return [block.reshape(-1, *block.shape[2:]) for block in blocks]
