"""Which rows of a system matrix are used: pairs of receive channel and frequency."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import InputError, UsageError

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Order = Literal["frequency", "snr"]

_EDGE = 1e-6  # of the distance of two lines: frequencies of lines are quotients, limits are decimals
_WIDEN = "lower --min-frequency or raise --max-frequency"
_LOWER = "lower --snr-threshold"


@dataclass(frozen=True)
class Rows:
    """Selected rows, in the order in which they are used.

    Parameters
    ----------
    channels : shape (M,)
        Receive channel of each row, counted from 0.
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

    def part(self, part: slice) -> Rows:
        """Return some of the rows."""
        return Rows(self.channels[part], self.lines[part], {})

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
        return spectra[:, self.channels, self.places(lines)].T

    def places(self, lines: Ints) -> Ints:
        """Return where each row stands among stored components.

        Parameters
        ----------
        lines : shape (stored K,)
            Place of each stored component on the full frequency axis.

        Raises
        ------
        ValueError
            When a row is not stored.
        """
        place = np.full(max(int(lines.max()), int(self.lines.max(initial=0))) + 1, -1)
        place[lines] = np.arange(len(lines))
        found = place[self.lines]
        if np.any(found < 0):
            raise ValueError(f"{np.count_nonzero(found < 0)} rows are not stored")
        return found


@dataclass(frozen=True)
class _Filter:
    """Rows that pass, broadcasts to (C, K); ``remedy`` is what a user can do, empty if nothing."""

    name: str
    passed: Bools
    remedy: str = ""


def select_rows(  # noqa: PLR0913 - one argument for each filter
    stored: Bools,
    frequencies: Floats,
    *,
    channels: int,
    emptied: Bools | None = None,
    transfer_zeros: Bools | None = None,
    receive_channels: Sequence[int] | None = None,
    min_frequency: float = 0.0,
    max_frequency: float | None = None,
    mixing_orders: Ints | None = None,
    max_mixing_order: int | None = None,
    snr: Floats | None = None,
    snr_threshold: float = 0.0,
    stop_bands: Sequence[tuple[float, float]] = (),
    best: int | None = None,
    order: Order = "frequency",
) -> Rows:
    """Select rows by what is stored, by channel, frequency, mixing order and signal-to-noise ratio.

    The filters are applied in the order of the arguments. All but ``best`` look at each row by itself, so
    that their order decides nothing but the counts. A limit in Hz counts as being on a line when it is no
    further from it than a millionth of the distance of two lines.

    Parameters
    ----------
    stored : shape (K,)
        Lines that measurement and system matrix both store.
    frequencies : shape (K,), Hz
    channels : int
        Receive channels C that both have.
    emptied : shape (C, K), optional
        Lines that a denoiser emptied.
    transfer_zeros : shape (C, K), optional
        Lines on which a transfer function that is divided out is zero.
    receive_channels : sequence of int, optional
        Receive channels to use, counted from 0. None: all.
    min_frequency, max_frequency : float, Hz
        Band, both ends included.
    mixing_orders : shape (K,), optional
        Order of each line, -1 where there is none: see `mpikit.reconstruct.mixing`.
    max_mixing_order : int, optional
        Keep lines of an order from 0 up to this one.
    snr : shape (C, K), optional
        None means that it is not known: then the threshold leaves no row out. A row whose SNR is NaN is left
        out as soon as the SNR is used for anything.
    snr_threshold : float
        Rows below it are left out, equal ones are kept; 0 is no threshold.
    stop_bands : sequence of (lowest, highest), Hz
        Lines inside are left out, those on either edge too. The line below the lower edge is kept
        (MPIFiles.jl removes it).
    best : int, optional
        Of the rows that all other filters keep, take this many with the highest SNR over all receive
        channels together (all of them if there are fewer). Of equal ones the first in order of channel and
        frequency are taken. An SNR is a ratio, so that channels compare.
    order : {"frequency", "snr"}
        Ascending, frequency fastest, then channel; or by falling SNR.

    Raises
    ------
    InputError
        When no row is left, which says how many rows each filter removed; when the SNR is needed and not
        known.
    UsageError
        When a choice is impossible.
    """
    if (best is not None or order == "snr") and snr is None:
        raise InputError(
            "the best rows are asked for, and the calibration has no SNR",
            hint="a calibration with background frames lets it be computed",
        )
    uses_snr = snr_threshold > 0 or best is not None or order == "snr"
    filters = [
        *_usable(stored, emptied, transfer_zeros),
        *_of_channels(receive_channels, channels),
        *_in_band(frequencies, min_frequency, max_frequency),
        *_of_low_order(mixing_orders, max_mixing_order),
        *(_clear(snr, snr_threshold) if uses_snr and snr is not None else ()),
        *_outside(stop_bands, frequencies),
    ]
    shape = channels, len(frequencies)
    kept, removed = _apply(filters, shape)
    if not kept.any():
        counts = ", ".join(f"{count} {name}" for name, count in removed.items() if count)
        raise InputError(
            f"no rows are left of {kept.size}: {counts}", hint=_what_to_do(filters, shape, frequencies, snr)
        )
    if best is not None and snr is not None:
        chosen = _best(kept, snr, best)
        removed[f"not among the best {best}"] = int(np.count_nonzero(kept & ~chosen))
        kept = chosen
    channel, line = np.nonzero(kept)
    if order == "snr" and snr is not None:
        falling = np.argsort(-snr[channel, line], kind="stable")
        channel, line = channel[falling], line[falling]
    return Rows(channel, line, removed)


def _usable(stored: Bools, emptied: Bools | None, transfer_zeros: Bools | None) -> Iterator[_Filter]:
    yield _Filter("not stored in both files", stored)
    if emptied is not None:
        yield _Filter("emptied by denoising", ~emptied)
    if transfer_zeros is not None:
        yield _Filter("where the transfer function is zero", ~transfer_zeros)


def _of_channels(wanted: Sequence[int] | None, channels: int) -> Iterator[_Filter]:
    if wanted is None:
        return
    unknown = [number for number in wanted if not 0 <= number < channels]
    if unknown or not wanted:
        said = f"there is no receive channel {unknown[0]}" if unknown else "no receive channel is named"
        raise UsageError(f"{said}, expected some of 0 to {channels - 1}", hint="channels are counted from 0")
    passed = np.isin(np.arange(channels), list(wanted))[:, None]
    yield _Filter("of receive channels that are left out", passed, "use more receive channels")


def _in_band(frequencies: Floats, lowest: float, highest: float | None) -> Iterator[_Filter]:
    edge = _edge(frequencies)
    yield _Filter(f"below {lowest:g} Hz", frequencies >= lowest - edge, _WIDEN)
    if highest is not None:
        yield _Filter(f"above {highest:g} Hz", frequencies <= highest + edge, _WIDEN)


def _of_low_order(orders: Ints | None, highest: int | None) -> Iterator[_Filter]:
    if highest is None:
        return
    if orders is None:
        raise ValueError("max_mixing_order needs mixing_orders")
    if highest < 1:
        raise UsageError(f"the highest mixing order is {highest}, expected 1 or more")
    passed = (orders >= 0) & (orders <= highest)
    yield _Filter(f"of a mixing order above {highest} or of none", passed, "allow higher mixing orders")


def _clear(snr: Floats, threshold: float) -> Iterator[_Filter]:
    yield _Filter("with an unknown SNR (NaN)", ~np.isnan(snr), _LOWER)
    if threshold > 0:
        yield _Filter(f"SNR below {threshold:g}", ~(snr < threshold), _LOWER)


def _outside(bands: Sequence[tuple[float, float]], frequencies: Floats) -> Iterator[_Filter]:
    edge = _edge(frequencies)
    for lowest, highest in bands:
        if not lowest <= highest:
            raise UsageError(
                f"a stop band goes from {lowest:g} to {highest:g} Hz, expected the lower frequency first"
            )
        inside = (frequencies >= lowest - edge) & (frequencies <= highest + edge)
        yield _Filter(f"in the stop band {lowest:g} to {highest:g} Hz", ~inside, "narrow the stop bands")


def _edge(frequencies: Floats) -> float:
    return _EDGE * float(frequencies[1] - frequencies[0]) if len(frequencies) > 1 else 0.0


def _apply(filters: Sequence[_Filter], shape: tuple[int, int]) -> tuple[Bools, dict[str, int]]:
    kept = np.ones(shape, bool)
    removed: dict[str, int] = {}
    for each in filters:
        count = int(np.count_nonzero(kept & ~each.passed))
        removed[each.name] = removed.get(each.name, 0) + count
        kept &= each.passed
    return kept, removed


def _best(kept: Bools, snr: Floats, count: int) -> Bools:
    if count < 1:
        raise UsageError(f"the best {count} rows are asked for, expected 1 or more")
    candidates = np.flatnonzero(kept)
    falling = np.argsort(-snr.ravel()[candidates], kind="stable")
    chosen = np.zeros(kept.size, bool)
    chosen[candidates[falling[:count]]] = True
    return chosen.reshape(kept.shape)


def _what_to_do(
    filters: Sequence[_Filter], shape: tuple[int, int], frequencies: Floats, snr: Floats | None
) -> str:
    """Name the limit that removes the last rows; with a band, where the rows are that only it removes."""
    remedies = dict.fromkeys(each.remedy for each in filters if each.remedy and not each.passed.all())
    for remedy in sorted(remedies, key=lambda each: each != _WIDEN):
        others = [each for each in filters if each.remedy != remedy]
        found, _ = _apply(others, shape)
        if not found.any():
            continue
        if remedy == _WIDEN:
            band = frequencies[found.any(axis=0)]
            return f"{remedy}: there are rows from {band[0]:g} to {band[-1]:g} Hz"
        if remedy == _LOWER and snr is not None and not np.any(snr[found] > 0):
            return "the SNR of the calibration says nothing, it is 0 or NaN: use --snr-threshold 0"
        return remedy
    found, _ = _apply([each for each in filters if not each.remedy], shape)
    return " and ".join(remedies) if found.any() else "the two files have no usable row in common"
