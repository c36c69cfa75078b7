"""Whether repeats have independent noise, as every method and every score without clean data takes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpikit.scan import Scan
from mpikit.signal.background import background_blocks
from mpikit.signal.noise import line_weights

MOST_TRIPLES = 60
FEWEST_LINES = 20
LEAST = 0.05  # correlation that does not matter yet


@dataclass(frozen=True)
class Correlation:
    """Correlation of the noise of one repeat with that of the next.

    Parameters
    ----------
    value : float
        0 when they are independent; ½ for a moving average over two.
    error : float
        Standard error.
    """

    value: float
    error: float

    @property
    def matters(self) -> bool:
        """It is no chance, and not too small to matter."""
        return self.value > max(5 * self.error, LEAST)


def neighbour_correlation(scan: Scan) -> Correlation | None:
    """Measure from the background frames how the noise of neighbouring repeats is correlated.

    Of three empty repeats in a row, independent noise makes the step from the first to the second as large
    as that to the third, on every line. Averages that overlap, a filter that remembers, or a drift make it
    smaller. With powers x and y of the two steps, (y - x) / (y + x) is averaged over the lines, each of which
    counts alike: the few on which a phase-locked background drifts do not decide. Its mean under
    independence is exactly 0, for the second and the third can be swapped.

    Parameters
    ----------
    scan : Scan

    Returns
    -------
    Correlation or None
        None when nothing repeats, or no three background frames (or periods of them) follow each other.
    """
    if scan.repeats == "none" or not len(scan.background):
        return None
    triples = [chain[: len(chain) // 3 * 3].reshape(-1, 3, *chain.shape[1:]) for chain in _chains(scan)]
    found = [each for each in triples if len(each)]
    if not found:
        return None
    whole = np.concatenate(found)
    chosen = np.unique(np.linspace(0, len(whole) - 1, min(len(whole), MOST_TRIPLES)).astype(int))
    spectra = np.fft.rfft(whole[chosen].astype(np.float64), axis=-1)
    near, far = (np.mean(np.abs(spectra[:, step] - spectra[:, 0]) ** 2, axis=0) for step in (1, 2))
    # an axis of periods stays for frames that repeat; each of its lines is a line of its own
    used = (near + far > 0) & (line_weights(scan.signal.shape[-1]) == 2) & scan.stored_lines
    if used.sum() < FEWEST_LINES:
        return None
    terms = (far - near)[used] / (far + near)[used]
    mean, error = float(terms.mean()), float(terms.std(ddof=1) / np.sqrt(terms.size))
    # with a correlation r of neighbours alone the mean is r / (2 - r)
    return Correlation(2 * mean / (1 + mean), 2 * error / (1 + mean) ** 2)


def _chains(scan: Scan) -> list[NDArray[np.float32]]:
    """Return empty repeats that follow each other, each (n, ..., C, V), along the axis that repeats."""
    blocks = [scan.background[block] for block in background_blocks(scan)]
    if scan.repeats == "frames":
        return blocks
    return [block.reshape(-1, *block.shape[2:]) for block in blocks]
