"""Which rows of a system matrix are used: pairs of receive channel and frequency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Selected rows, frequency fastest, then channel.

    Parameters
    ----------
    channels : shape (M,)
        Receive channel of each row.
    lines : shape (M,)
        Its place on the full frequency axis of K = V // 2 + 1 lines.
    removed : dict
        How many rows each filter took away, by the name of the filter, in the order of application.
    """

    channels: Ints
    lines: Ints
    removed: dict[str, int]

    def __len__(self) -> int:
        return len(self.lines)

    def pick(self, spectra: NDArray[Any], lines: Ints) -> NDArray[Any]:
        """Take the rows out of spectra.

        Parameters
        ----------
        spectra : shape (n, C, stored K)
        lines : shape (stored K,)
            Place of each stored component on the full frequency axis.

        Returns
        -------
        shape (M, n)
        """
        place = np.zeros(int(lines.max()) + 1, np.int64)
        place[lines] = np.arange(len(lines))
        return spectra[:, self.channels, place[self.lines]].T


def select_rows(
    stored: NDArray[np.bool_],
    frequencies: NDArray[np.float64],
    *,
    channels: int,
    emptied: NDArray[np.bool_] | None = None,
    min_frequency: float = 0.0,
    max_frequency: float | None = None,
    snr: NDArray[np.float64] | None = None,
    snr_threshold: float = 0.0,
) -> Rows:
    """Select rows by what is stored, by frequency and by signal-to-noise ratio.

    Parameters
    ----------
    stored : shape (K,)
        Lines that measurement and system matrix both store.
    frequencies : shape (K,), Hz
    channels : int
        Receive channels C that both have.
    emptied : shape (C, K), optional
        Lines that a denoiser emptied.
    min_frequency, max_frequency : float, Hz
        Band, both ends included.
    snr : shape (C, K), optional
        Rows below ``snr_threshold`` are left out, equal ones are kept. None: no row is.
    snr_threshold : float

    Raises
    ------
    InputError
        When no row is left; it says how many rows each filter removed.
    """
    filters: dict[str, NDArray[np.bool_]] = {"not stored in both files": stored}
    if emptied is not None:
        filters["emptied by denoising"] = ~emptied
    filters |= {
        f"below {min_frequency:g} Hz": frequencies >= min_frequency,
    }
    if max_frequency is not None:
        filters[f"above {max_frequency:g} Hz"] = frequencies <= max_frequency
    if snr is not None:
        filters[f"SNR below {snr_threshold:g}"] = snr >= snr_threshold  # NaN is not
    kept = np.ones((channels, len(frequencies)), bool)
    removed = {}
    for name, passed in filters.items():
        removed[name] = int(np.count_nonzero(kept & ~passed))
        kept &= passed
    if not kept.any():
        counts = ", ".join(f"{count} {name}" for name, count in removed.items() if count)
        raise InputError(
            f"no rows are left of {kept.size}: {counts}",
            hint=_where_rows_are(filters, frequencies),
        )
    channel, line = np.nonzero(kept)
    return Rows(channel, line, removed)


def _where_rows_are(filters: dict[str, NDArray[np.bool_]], frequencies: NDArray[np.float64]) -> str:
    """Say what to do when no row is left: the band of those that only its limits remove, if there are any."""
    passed = [kept for name, kept in filters.items() if not name.endswith(" Hz")]
    found = frequencies[
        np.all(np.broadcast_arrays(*passed), axis=0).reshape(-1, len(frequencies)).any(axis=0)
    ]
    if found.size == 0:
        return "lower --snr-threshold"
    band = f"{found[0]:g} to {found[-1]:g} Hz"
    return f"lower --min-frequency or raise --max-frequency: there are rows from {band}"
