"""Two noisy versions of one noisy period: noise is added to one, and taken from the other."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Recorruption:
    """Draws z like the noise n of y = x + n, and makes y + alpha z and y - z / alpha.

    Their noise has the covariance S - S = 0, so that for Gaussian noise they are independent; its power is
    1 + alpha² and 1 + 1 / alpha² times that of n (Pang et al., Proc. CVPR 2021, with D = alpha I).

    Parameters
    ----------
    power : shape (C, lines), unit squared
        Expected squared magnitude of the noise on each line of an un-normalised rfft of one period.
    alpha : float
    empty : shape (C, lines) or None
        Lines without signal, by which the noise of a period is measured relative to ``power``; None where all
        periods have the same.
    correlation : shape (C, C) or None
        Of the noise of the channels, the same on every line; positive definite. None where they are
        independent.
    """

    def __init__(
        self,
        power: NDArray[np.float64],
        alpha: float,
        *,
        empty: NDArray[np.bool_] | None = None,
        correlation: NDArray[np.float64] | None = None,
    ) -> None:
        self.power, self.alpha, self.empty = power, alpha, empty
        self.correlation = np.eye(len(power)) if correlation is None else correlation
        self._mixing = np.linalg.cholesky(self.correlation)
        self._tables: tuple[Tensor, Tensor, Tensor] | None = None

    def pair(self, noisy: Tensor) -> tuple[Tensor, Tensor]:
        """Recorrupt periods (B, C, W) twice."""
        drawn = self.draw(noisy)
        return noisy + self.alpha * drawn, noisy - drawn / self.alpha

    def draw(self, like: Tensor) -> Tensor:
        """Draw noise like that of periods (..., C, W): white, each line then made as strong as measured."""
        gain, _, mixing = self._on_device(like)
        white = torch.randn_like(like)
        if len(mixing) > 1:
            white = mixing @ white
        drawn: Tensor = torch.fft.irfft(torch.fft.rfft(white) * gain, n=like.shape[-1])
        return drawn * self.level_of(like)

    def level_of(self, noisy: Tensor) -> Tensor:
        """Noise of each period relative to ``power``, as standard deviations, (..., C, 1) or ()."""
        if self.empty is None:
            return noisy.new_ones(())
        _, weight, _ = self._on_device(noisy)
        level: Tensor = (torch.fft.rfft(noisy).abs().square() * weight).sum(dim=-1, keepdim=True).sqrt()
        return level

    def _on_device(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gain of each line of white noise, its weight in the level, and the mixing of channels, once."""
        if self._tables is None or self._tables[0].device != like.device:
            gain, weight = np.sqrt(self.power / like.shape[-1]), np.zeros(self.power.shape)
            if self.empty is not None:
                np.divide(1, self.power, out=weight, where=self.empty & (self.power > 0))
                weight /= np.maximum(np.sum(weight > 0, axis=-1, keepdims=True), 1)
            gain_, weight_, mixing = (
                torch.from_numpy(each).to(like) for each in (gain, weight, self._mixing)
            )
            self._tables = gain_, weight_, mixing
        return self._tables
