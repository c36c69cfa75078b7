"""Noise that repeats have in common: a network that learns one from the other takes it for signal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpikit import Run, Scan, Warned
from mpikit.signal.background import background_blocks

MUCH = 0.1  # of the noise power
CERTAIN = 4  # standard errors


def warn_of_shared_noise(scan: Scan, lines: NDArray[np.bool_], *, run: Run) -> None:
    """Warn when the background frames show that consecutive repeats share noise.

    Parameters
    ----------
    scan : Scan
    lines : shape (C, K)
        Where the particle signal is.
    run : Run
    """
    found = shared_noise(scan, lines)
    if found is None or found[0] < max(MUCH, CERTAIN * found[1]):
        return
    what = "periods" if scan.repeats == "periods" else "frames"
    run.tell(
        Warned(
            f"{scan.name}: consecutive {what} share {100 * found[0]:.0f} % of their noise on the lines that "
            "carry signal (a drift, or averages that overlap), and what pairs share is learnt as signal; try "
            "pairs that are further apart (lag), or correct the background"
        )
    )


def shared_noise(scan: Scan, lines: NDArray[np.bool_]) -> tuple[float, float] | None:
    """Correlation of the noise of consecutive repeats, measured on the background frames.

    The mean of Re<n1 n2*> over lines, in units of the noise power. Of periods it is the covariance over the
    frames of a block; of frames it is what the mean squared step between neighbours falls short of twice the
    variance (von Neumann, Ann. Math. Statist. 12, 1941).

    Parameters
    ----------
    scan : Scan
    lines : shape (C, K)
        Lines that count.

    Returns
    -------
    (float, float) or None
        Share and its standard error for independent noise; None without enough background frames.
    """
    if scan.repeats == "none" or not lines.any():
        return None
    over_periods = scan.repeats == "periods"
    if over_periods and scan.signal.shape[1] < 2:
        return None
    shared, power, freedom = 0.0, 0.0, 0
    for block in background_blocks(scan) if len(scan.background) else []:
        if len(block) < 3:
            continue
        spectra = np.fft.rfft(scan.background[block].astype(np.float64), axis=-1)[..., lines]  # (n, J, lines)
        spectra -= spectra.mean(axis=0)
        size = float(np.sum(np.abs(spectra) ** 2))
        if over_periods:
            product = spectra[:, 1:] * spectra[:, :-1].conj()
            shared += float(np.sum(product.real)) * scan.signal.shape[1] / (scan.signal.shape[1] - 1)
            freedom += product.size
        else:
            steps = float(np.sum(np.abs(np.diff(spectra, axis=0)) ** 2))
            shared += size - steps / 2
            freedom += spectra.size
        power += size
    if not power:
        return None
    return shared / power, float(freedom**-0.5)
