"""Mixing orders: which combination of drive frequencies each line of a spectrum belongs to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError
from mpikit.scanner import DriveField

Ints = NDArray[np.int64]

_WHOLE = 0.01  # oscillations that a period may lack of a whole number of them
_NEVER = np.int32(2**30)


@dataclass(frozen=True)
class MixingTable:
    """Mixing products of K lines, of D drive channels with F components.

    Parameters
    ----------
    orders : shape (K,)
        Sum of the magnitudes of the factors; -1 for a line that no combination reaches.
    factors : shape (K, D, F)
        Line k is at ``sum(factors[k] * drive_field.frequencies)``; 0 for inactive components, and where the
        order is -1.
    """

    orders: Ints
    factors: Ints


def mixing_table(drive_field: DriveField, *, samples: int, sampling_rate: float) -> MixingTable:
    """Find the combination of drive frequencies of the lowest order for each line.

    With m_j oscillations of component j in a period, line k belongs to all integers a with
    k = sum_j a_j m_j; the table keeps those with the smallest order sum_j |a_j|. Of several it keeps the one
    with the largest a of the first component, then of the second, and so on. Factors go up to
    |a_j| = K / m_j, rounded. With a single component that oscillates once in a period the order is k.

    Parameters
    ----------
    drive_field : DriveField
        Its components without amplitude are left out.
    samples : int
        V, of one period (after grouping, if periods are grouped).
    sampling_rate : float, Hz

    Raises
    ------
    InputError
        When the period does not hold a whole number of oscillations of every active component, or when
        there is none.

    Notes
    -----
    Same choice as the table of MPIFiles.jl, found by adding one component at a time: the work grows with
    their number, not exponentially.
    """
    lines = samples // 2 + 1
    harmonics = _harmonics(drive_field, samples / sampling_rate)
    reach = np.rint(lines / harmonics).astype(int).tolist()
    orders, found = _cheapest(harmonics.tolist(), reach, lines)
    factors = np.zeros((lines, drive_field.active.size), np.int64)
    factors[:, np.flatnonzero(drive_field.active)] = found
    return MixingTable(orders, factors.reshape(lines, *drive_field.active.shape))


def _harmonics(drive_field: DriveField, period: float) -> Ints:
    """Return how often each active component oscillates in a period."""
    if not drive_field.active.any():
        raise InputError("the drive field has no component with an amplitude, so there are no mixing orders")
    counts = (drive_field.frequencies * period)[drive_field.active]
    whole = np.rint(counts)
    wrong = np.flatnonzero((np.abs(counts - whole) > _WHOLE) | (whole < 1))
    if wrong.size:
        raise InputError(
            f"a period of {period:g} s holds {counts[wrong[0]]:.6g} oscillations of a drive channel, "
            "mixing orders need a whole number",
            hint="leave out the limit on the mixing order",
        )
    return whole.astype(np.int64)


def _cheapest(harmonics: list[int], reach: list[int], lines: int) -> tuple[Ints, Ints]:
    """Return orders (lines,) and factors (lines, components).

    Table s holds, for each sum from -R_s to R_s, the lowest order that components s, s + 1, ... make it with,
    and the factor of component s in it.
    """
    cost, radius = np.zeros(1, np.int32), 0
    tables = []
    for harmonic, most in zip(reversed(harmonics), reversed(reach), strict=True):
        wider = radius + most * harmonic
        total = np.full(2 * wider + 1, _NEVER, np.int32)
        factor = np.zeros(2 * wider + 1, np.int32)
        for tried in range(-most, most + 1):
            start = wider - radius + tried * harmonic
            here = slice(start, start + len(cost))
            candidate = cost + np.int32(abs(tried))
            better = (candidate <= total[here]) & (cost < _NEVER)
            total[here][better] = candidate[better]
            factor[here][better] = tried
        cost, radius = total, wider
        tables.append((factor, radius))
    sums = np.arange(min(lines, radius + 1))
    orders = np.full(lines, -1, np.int64)
    reached = sums[cost[radius + sums] < _NEVER]
    orders[reached] = cost[radius + reached]
    factors = np.zeros((lines, len(harmonics)), np.int64)
    rest = reached.copy()
    for component, (factor, center) in enumerate(reversed(tables)):
        factors[reached, component] = factor[center + rest]
        rest -= factors[reached, component] * harmonics[component]
    return orders, factors
