"""The few directions in which a network corrects a linear filter, and what it looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.signal import FactorModel, LineCoefficients, LowRankFilter, both_parts

Floats = NDArray[np.float64]
LEAST = 1e-12  # of the largest size, so that nothing is divided by zero
CERTAIN = 10  # periods that say as much of the noise of a line as was known before


@dataclass(frozen=True)
class Parts:
    """Coefficients of periods, and beside them what the symmetry says holds no signal.

    Parameters
    ----------
    signal : shape (..., P)
        As `LineCoefficients` gives them.
    empty : shape (..., E)
        Even part of each line on which the symmetry holds: noise of the same variance.
    """

    signal: Floats
    empty: Floats

    def flat(self) -> Parts:
        """Return all periods in one row, (n, P) and (n, E)."""
        count = int(np.prod(self.signal.shape[:-1]))
        return Parts(*(values.reshape(count, values.shape[-1]) for values in (self.signal, self.empty)))


@dataclass(frozen=True)
class Places:
    """Which line, and which weight in a sum over samples, each coefficient has.

    Parameters
    ----------
    lines, empty_lines : shape (P,), (E,)
        Numbers of the lines.
    weights, empty_weights : shape (P,), (E,)
        Squares of coefficients, weighted so, add up to a mean squared sample.
    """

    lines: NDArray[np.intp]
    empty_lines: NDArray[np.intp]
    weights: Floats
    empty_weights: Floats

    def without_empty(self) -> Places:
        """Return the places of coefficients without any even parts beside them."""
        return Places(self.lines, self.empty_lines[:0], self.weights, self.empty_weights[:0])


def _held(lines: LineCoefficients) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Channel and line of each kept line (n, 2), and on which of them the symmetry holds (n,)."""
    symmetry = lines.harmonic.symmetry
    places = lines.places
    if symmetry is None:
        return places[: len(places) // 2], np.zeros(len(places) // 2, bool)
    held = symmetry.holds[places[:, 0], places[:, 1]]
    kept = len(places) - int(np.sum(~held)) // 2  # a line without symmetry stands there twice
    return places[:kept], held[:kept]


def parts_of_signal(lines: LineCoefficients, signal: NDArray[np.floating[Any]]) -> Parts:
    """Take signals (..., C, V) apart into what may hold signal and what cannot."""
    if lines.harmonic.symmetry is None:
        found = lines.forward(signal)
        return Parts(found, found[..., :0])
    _, held = _held(lines)
    odd, even = np.split(everything(lines).forward(signal), 2, axis=-1)
    return Parts(np.concatenate([odd, even[..., ~held]], axis=-1), even[..., held])


def everything(lines: LineCoefficients) -> LineCoefficients:
    """Return coefficients of the odd parts of all lines, then of the even parts of all."""
    harmonic, symmetry = lines.harmonic, lines.harmonic.symmetry
    if symmetry is None:
        return lines
    anyhow = replace(symmetry, holds=np.ones_like(symmetry.holds))
    return both_parts(replace(lines, harmonic=replace(harmonic, symmetry=anyhow)))


def places_of(lines: LineCoefficients) -> Places:
    """Say where each coefficient comes from."""
    kept, held = _held(lines)
    every = lines.places
    scale = 1 / lines.harmonic.samples**2  # |S|^2 = u^2 power / 2, and a line stands for two
    power = lines.line_power * scale
    return Places(
        every[:, 1],
        kept[held, 1],
        power[every[:, 0], every[:, 1]],
        power[kept[held, 0], kept[held, 1]],
    )


def noise_of_parts(lines: LineCoefficients, parts: Parts) -> Floats:
    """Measure the noise variance of each coefficient by the even parts, shape (P,).

    What few periods say is weighed against the noise of the lines, which is one.

    Parameters
    ----------
    lines : LineCoefficients
    parts : Parts
        (n, P) and (n, E).
    """
    _, held = _held(lines)
    noise = np.ones(lines.count)
    periods = len(parts.empty)
    measured = (np.sum(parts.empty**2, axis=0) + CERTAIN) / (periods + CERTAIN)
    noise[np.flatnonzero(held)] = measured
    return noise


@dataclass(frozen=True)
class Space:
    """What surrounds the network: G ways to see a period, r directions in which it may be corrected.

    Parameters
    ----------
    decode : shape (P, r)
        Orthonormal directions.
    encode : shape (G, P, r)
        Linear estimate of the signal in these directions; zero on coefficients that are hidden.
    gain : shape (G, r, r)
        What is left of a correction (a row vector, times this) once the hidden coefficients are seen too.
    hidden, hidden_empty : shape (G, P), (G, E)
    weights, empty_weights, noise : shape (P,), (E,), (P,)
        See `Places`; variance of the noise in each coefficient.
    center, spread : shape (r,)
        Of the linear estimates of signals of size one.
    size, empty_size : shape (P,), (E,)
        Root mean square of the coefficients of signals of size one.
    """

    decode: Floats
    encode: Floats
    gain: Floats
    hidden: NDArray[np.bool_]
    hidden_empty: NDArray[np.bool_]
    weights: Floats
    empty_weights: Floats
    noise: Floats
    center: Floats
    spread: Floats
    size: Floats
    empty_size: Floats

    @property
    def blind(self) -> bool:
        """Something is hidden."""
        return bool(self.hidden.any())

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all as a flat dict of arrays."""
        return {f"space.{field.name}": getattr(self, field.name) for field in fields(self)}

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]]) -> Space:
        """Take back what `state` returned."""
        return cls(**{field.name: np.asarray(state[f"space.{field.name}"]) for field in fields(cls)})


def space_of_filter(found: LowRankFilter, places: Places, parts: Parts, noise: float) -> Space:
    """Return the space around a linear filter that sees everything.

    Parameters
    ----------
    found : LowRankFilter
        Of rank 1 at least.
    places : Places
    parts : Parts
        Examples, (n, P) and (n, E).
    noise : float
        Variance of the noise in a coefficient.
    """
    decode, turned = np.linalg.qr(found.left)
    encode = (found.right @ turned.T)[None]
    hidden = np.zeros((1, len(decode)), bool)
    gain = np.eye(decode.shape[1])[None]
    return _with_sizes(decode, encode, gain, hidden, places, parts, np.full(len(decode), noise))


def space_of_factors(model: FactorModel, hidden: NDArray[np.bool_], places: Places, parts: Parts) -> Space:
    """Return the space around a model that predicts hidden coefficients from the others.

    Once the hidden ones are seen too, what was known before counts by its share of the information:
    a correction d of the latent mean becomes (information of all)^-1 (information before) d.

    Parameters
    ----------
    model : FactorModel
        With one direction at least.
    hidden : shape (G, P)
    places : Places
    parts : Parts
        Examples, (n, P) and (n, E).
    """
    decode, turned = np.linalg.qr(model.loadings)
    every = np.ones(len(model.noise), bool)
    inverse = np.linalg.inv(turned)
    encode = np.stack([model.encoder(~each) @ turned.T for each in hidden])
    whole = np.linalg.inv(model.information(every))
    shares = [turned @ whole @ model.information(~each) @ inverse for each in hidden]
    gain = np.stack([share.T for share in shares])
    return _with_sizes(decode, encode, gain, hidden, places, parts, model.noise)


def _with_sizes(
    decode: Floats,
    encode: Floats,
    gain: Floats,
    hidden: NDArray[np.bool_],
    places: Places,
    parts: Parts,
    noise: Floats,
) -> Space:
    """Measure the sizes of what the network sees on examples."""
    length = np.sqrt(parts.signal**2 @ places.weights + parts.empty**2 @ places.empty_weights)
    unit = 1 / np.maximum(length, max(LEAST * length.max(), np.finfo(float).tiny))[:, None]
    latent = parts.signal @ encode.mean(axis=0) * unit
    hidden_lines = [np.unique(places.lines[each]) for each in hidden]

    def size(values: Floats) -> Floats:
        found: Floats = np.sqrt(np.mean((values * unit) ** 2, axis=0))
        least: Floats = np.maximum(found, LEAST * max(found.max(initial=0), 1))
        return least

    spread = latent.std(axis=0)
    return Space(
        decode=decode,
        encode=encode,
        gain=gain,
        hidden=hidden,
        hidden_empty=np.stack([np.isin(places.empty_lines, each) for each in hidden_lines]),
        weights=places.weights,
        empty_weights=places.empty_weights,
        noise=noise,
        center=latent.mean(axis=0),
        spread=np.maximum(spread, LEAST * max(spread.max(initial=0), 1)),
        size=size(parts.signal),
        empty_size=size(parts.empty),
    )


def hidden_groups(
    lines: NDArray[np.intp], share: float, partitions: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Divide the lines into groups at random, several times over; each group is hidden once.

    A line is hidden whole, in all receive channels, for there the noise may be correlated.

    Parameters
    ----------
    lines : shape (P,)
        Number of the line of each coefficient.
    share : float
        Part of the lines in a group.
    partitions : int
    rng : numpy.random.Generator

    Returns
    -------
    shape (G, P)
        Each coefficient is hidden in so many of the G groups as there are partitions.
    """
    numbers, place = np.unique(lines, return_inverse=True)
    groups = min(max(round(1 / share), 2), len(numbers))
    found = []
    for _ in range(partitions):
        group = rng.permutation(np.arange(len(numbers)) % groups)
        found += [group[place] == each for each in range(groups)]
    return np.stack(found)
