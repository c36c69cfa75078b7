"""The fifth harmonic over concentration: its proportion, and the detection limit with its checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError
from mpikit.experiments.dahms_data import LIMIT_LEVELS, PLACE, Samples
from mpikit.experiments.published_dahms import HARMONIC
from mpikit.metrics import check_detection_limit, detection_limit, dose_linearity, verified_limit

Floats = NDArray[np.float64]
SAME = 1e-6  # relative: concentrations that differ less are the same
DECADE = 10


def harmonic(signals: NDArray[Any]) -> NDArray[np.complex128]:
    """Return the complex amplitude of the fifth harmonic, V, of signals (..., V)."""
    spectra = np.fft.rfft(signals.astype(np.float64), axis=-1)
    return np.asarray(2 * spectra[..., HARMONIC] / signals.shape[-1], np.complex128)


@dataclass(frozen=True)
class Amplitudes:
    """The fifth harmonic of samples.

    Parameters
    ----------
    projected, magnitude : shape (N, J), V
        Of each period: on the phase of the signal, and without a phase. The mean magnitude of noise is not
        zero, that of its projection is.
    """

    projected: Floats
    magnitude: Floats


def amplitudes(signals: NDArray[Any], phases: NDArray[np.floating] | float) -> Amplitudes:
    """Return the amplitudes of signals (N, J, C, V), for the phase of the signal of each sample, (N,)."""
    found = harmonic(signals[:, :, 0])
    turn = np.exp(-1j * np.broadcast_to(phases, len(found)))[:, None]
    return Amplitudes(np.real(found * turn), np.abs(found))


def signal_phases(series: Samples, reference: NDArray[Any]) -> Floats:
    """Return the phase at the place of each sample: that of the strongest reference (N, 1, C, V) there."""
    found = np.angle(harmonic(reference[:, 0, 0]))
    strongest = series.concentrations >= series.concentrations.max() * (1 - SAME)
    return np.array(
        [found[strongest & (series.positions == place).all(axis=1)][0] for place in series.positions]
    )


def at_place(samples: Samples, place: float = PLACE) -> NDArray[np.bool_]:
    """Say which samples are at a place on the x axis."""
    return np.isclose(samples.positions[:, 0], place)


def proportion(
    series: Samples, means: Floats, right: Floats, *, above: float, highest: float
) -> dict[str, float]:
    """Return slope and R² of the logarithms from a limit on, and the gain within and above the trained range.

    Parameters
    ----------
    series : Samples
    means : shape (N,), V
        Mean projected amplitudes.
    right : shape (N,), V
        Those of the references.
    above : float, mol(Fe)/L
        The limit.
    highest : float, mol(Fe)/L
        Highest trained concentration.

    Returns
    -------
    dict
        "slope" of the worst place, the least "r2", "levels" at each place; "gain" of the uppermost decade of
        the trained range and "gain_above" it.
    """
    dose, gains = series.concentrations / highest, means / right
    trained = (dose > 1 / DECADE * (1 + SAME)) & (dose < 1 + SAME)
    found = {
        "gain": float(gains[trained].mean()),
        "gain_above": float(gains[dose > 1 + SAME].mean()),
        "levels": 0.0,
    }
    lines = []
    for place in np.unique(series.positions[:, 0]):
        used = at_place(series, place) & (series.concentrations >= above * (1 - SAME))
        if np.count_nonzero(used) > 2:  # a line through two points is straight
            line = dose_linearity(series.concentrations[used], means[used])
            lines.append((abs(line.slope - 1), line.slope, line.r2_log, float(np.count_nonzero(used))))
    if lines:
        found |= {
            "slope": max(lines)[1],
            "r2": min(line[2] for line in lines),
            "levels": min(line[3] for line in lines),
        }
    return found


def limits(
    series: Samples,
    values: Floats,
    blanks: Floats,
    new_series: Samples,
    new_values: Floats,
    new_blanks: Floats,
) -> dict[str, Any]:
    """Claim a detection limit at one place, and check it with samples and blanks that had no part in it.

    Parameters
    ----------
    series, new_series : Samples
    values, new_values : shape (N, J), V
        Projected amplitudes of each period.
    blanks, new_blanks : shape (E, J), V
        Those of the empty scanner.

    Returns
    -------
    dict
        "claimed" and "verified", mol(Fe)/L, the latter infinite when no concentration passes; at the
        concentration "checked_at" next to the claim "bias", "detected", "false_positives" and "failures", in
        words. "failures" alone where no limit can be claimed.
    """
    low = at_place(series) & np.isclose(series.concentrations[:, None], LIMIT_LEVELS, rtol=SAME).any(axis=1)
    dose = np.repeat(series.concentrations[low], values.shape[1])
    try:
        claim = detection_limit(dose, values[low].ravel(), blanks.ravel())
    except InputError as error:  # of too few blanks
        return {"failures": str(error)}
    ladder = np.unique(new_series.concentrations)
    each = [new_values[new_series.concentrations == level].ravel() for level in ladder]
    nearest = int(np.argmin(np.abs(np.log(ladder / np.clip(claim.limit, ladder[0], ladder[-1])))))
    check = check_detection_limit(
        claim, each[nearest], new_blanks.ravel(), concentration=float(ladder[nearest])
    )
    return {
        "claimed": claim.limit,
        "checked_at": float(ladder[nearest]),
        "bias": check.bias,
        "detected": check.detection_rate,
        "false_positives": check.false_positive_rate,
        "failures": "; ".join(check.failures),
        "verified": verified_limit(claim, ladder.tolist(), each, new_blanks.ravel()),
    }
