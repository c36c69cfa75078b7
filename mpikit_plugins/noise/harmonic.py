"""Interference in proportion to the signal, line by line."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mpikit import DriveField, Options
from mpikit_plugins.noise.level import signal_power

Floats = NDArray[np.floating[Any]]

# mean of the squared magnitude of a draw
MEAN_SQUARE = {"uniform-complex": 2 / 3, "uniform-real": 1 / 3, "fixed-phase": 1 / 3}


class HarmonicOptions(Options):
    """Options of harmonic interference."""

    sir_db: float = Field(
        15.0,
        allow_inf_nan=False,
        description="Signal-to-interference ratio in dB: 20 log10 of a line of the signal over the largest "
        "real or imaginary part of its interference",
    )
    distribution: Literal["uniform-complex", "uniform-real", "fixed-phase"] = Field(
        "uniform-complex",
        description="Draw of a line, relative to the line: real and imaginary part from -1 to 1; "
        "a real number from -1 to 1; or a real number from 0 to 1, so that every line grows",
    )
    shared: bool = Field(
        False, description="The periods of a frame share one draw, instead of each having its own"
    )
    amplitude: Literal["exact", "drawn"] = Field(
        "exact",
        description="exact: each draw is scaled so that its power is the expected one; drawn: it is as it is",
    )


class Harmonic:
    """Multiplicative interference: line k of the signal, S_k, gets n_k = S_k · 10^(-sir_db/20) · draw.

    This is how equation 3 of Peng et al. 2023 and the noisy rows of its Table II fit together. The expected
    power of a uniform complex draw is 2/3 · 10^(-sir_db/10) of the signal's. Few lines hold most of the
    signal, so the power of a single draw varies much; ``amplitude="exact"`` takes that away. DC gets nothing.

    Parameters
    ----------
    options : HarmonicOptions
    """

    def __init__(self, options: HarmonicOptions) -> None:
        self.options = options

    def __call__(
        self,
        clean: Floats,
        /,
        *,
        frame_index: NDArray[np.int64],  # noqa: ARG002
        sampling_rate: float,  # noqa: ARG002
        drive_field: DriveField,  # noqa: ARG002
        rng: np.random.Generator,
    ) -> Floats:
        """Draw interference; see `mpikit.Noise`. An empty signal gets none.

        Parameters
        ----------
        clean : shape (N, J, C, V), unit of the signal

        Returns
        -------
        shape (N, J, C, V), unit of the signal
        """
        spectra = np.fft.rfft(clean, axis=-1)
        spectra[..., 0] = 0
        draw = self._draw((len(clean), 1 if self.options.shared else clean.shape[1], *spectra.shape[2:]), rng)
        drawn = np.fft.irfft(spectra * draw.astype(spectra.dtype), n=clean.shape[-1], axis=-1)
        factor = np.asarray(10 ** (-self.options.sir_db / 20))
        if self.options.amplitude == "exact":
            factor = factor * self._to_the_expected_power(spectra, drawn)
        drawn *= factor.astype(drawn.dtype)
        interference: Floats = drawn.astype(clean.dtype, copy=False)
        return interference

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.inexact[Any]]:
        if self.options.distribution == "uniform-complex":
            return rng.uniform(-1, 1, (*shape, 2)).view(complex)[..., 0]
        return rng.uniform(-1 if self.options.distribution == "uniform-real" else 0, 1, shape)

    def _to_the_expected_power(self, spectra: NDArray[np.inexact[Any]], drawn: Floats) -> Floats:
        """Return what to multiply each draw with, shape (N, J, C, 1)."""
        samples = drawn.shape[-1]
        squared = np.square(spectra.real, dtype=float) + np.square(spectra.imag, dtype=float)
        power = 2 * np.sum(squared, axis=-1)
        if samples % 2 == 0:
            power -= squared[..., -1]  # Nyquist has no partner
        found = signal_power(drawn)
        wanted = MEAN_SQUARE[self.options.distribution] * power / samples**2
        ratio: Floats = np.sqrt(np.divide(wanted, found, out=np.zeros_like(found), where=found > 0))
        return ratio[..., None]
