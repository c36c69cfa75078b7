"""Recorrupted-to-recorrupted as a denoising method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from mpikit import Run, Scan
from mpikit.errors import InputError
from mpikit.metrics import ReferenceFree, combine, reference_free
from mpikit.signal.noise import line_weights
from mpikit_plugins.networks.learned_unet import LearnedUNet
from mpikit_plugins.r2r.limits import warn_of_limits
from mpikit_plugins.r2r.noise import noise_correlation, noise_power
from mpikit_plugins.r2r.options import RecorruptedOptions
from mpikit_plugins.r2r.recorruption import Recorruption
from mpikit_plugins.training import Batches, RepeatedSignals, Singles, split_repeats, split_signals
from mpikit_plugins.training.repeats import Signals
from mpikit_plugins.training.selection import MOST_VALIDATION, apply_to, score

FEW_LINES = 20  # the noise of a period is known to a tenth then


class Recorrupted(LearnedUNet):
    """Learn from single periods whose noise is known (Pang et al., Proc. CVPR 2021).

    A period is recorrupted twice, and the pair is learnt from as by Noise2Noise. The noise of the input is
    stronger than that of the period, so the output is the mean over several recorrupted inputs.
    """

    name: ClassVar[str] = "r2r"
    options: RecorruptedOptions

    def __init__(self, options: RecorruptedOptions) -> None:
        super().__init__(options)
        self._recorruption: Recorruption | None = None

    def look_at(self, scans: Sequence[Scan], *, run: Run) -> None:
        """Measure the noise, and say where the method is at its limits."""
        power = self.preparation.line_power(noise_power(scans, self.options))
        self._recorruption = self._with_noise(power, noise_correlation(scans))
        empty = self._recorruption.empty
        if empty is not None and np.sum(empty & (power > 0), axis=-1).min() < FEW_LINES:
            raise InputError(
                "too few lines without signal to measure the noise of a period by itself",
                hint="leave level=scan, or set lines=detected",
            )
        warn_of_limits(scans, self.preparation.harmonic.keep, self.options, run=run)

    @property
    def recorruption(self) -> Recorruption:
        """What makes a pair out of a period; once fitted."""
        assert self._recorruption is not None, "fit comes first"  # noqa: S101
        return self._recorruption

    def _with_noise(self, power: NDArray[np.float64], correlation: NDArray[np.float64]) -> Recorruption:
        """Recorrupt by noise of this power on the lines of the grid, (C, lines), correlated (C, C)."""
        empty = None
        if self.options.level == "period":
            lines = np.arange(power.shape[-1])
            below = (lines > 0) & (lines <= (self.preparation.grid - 1) // 2)
            empty = below & ~self.preparation.harmonic.keep[:, : len(lines)]
        return Recorruption(power, self.options.alpha, empty=empty, correlation=correlation)

    def split(self, groups: Sequence[Signals]) -> RepeatedSignals:
        """Keep repeats back where there are enough; else whole signals."""
        singles = [group for group in groups if group.shape[1] == 1]
        paired = split_repeats([group for group in groups if group.shape[1] > 1])
        if paired.validation:
            return replace(paired, training=[*paired.training, *singles])
        return split_signals(groups)

    def batches(self, data: RepeatedSignals, device: str) -> Batches:
        """Return the source of single periods."""
        return Singles(data.training, batch=self.options.batch, device=device)

    def pair(self, *batch: Tensor) -> tuple[Tensor, ...]:
        """Recorrupt a period twice."""
        return self.recorruption.pair(*batch)

    def distance(self, output: Tensor, target: Tensor) -> Tensor:
        """Mean squared difference."""
        return mse_loss(output, target)

    def predict(self, network: nn.Module, noisy: Tensor, /) -> Tensor:
        """Denoise (B, C, W): the mean over recorrupted inputs."""
        return self._mean(network, noisy, self.options.draws)

    def _mean(self, network: nn.Module, noisy: Tensor, draws: int) -> Tensor:
        if draws == 0:
            return super().predict(network, noisy)
        total = torch.zeros_like(noisy)
        for _ in range(draws):
            total += super().predict(network, self.recorruption.pair(noisy)[0])
        return total / draws

    def evaluation(
        self, network: nn.Module, data: RepeatedSignals, device: str
    ) -> Callable[[], ReferenceFree | None] | None:
        """Judge by repeats where there are some, else by recorrupted targets; all of one draw."""

        def predict(noisy: Tensor) -> Tensor:
            return self._mean(network, noisy, min(self.options.draws, 1))

        if not data.validation:
            return lambda: None
        if all(group.shape[1] > 1 for group in data.validation):
            return lambda: score(predict, data, device=device)
        return lambda: self._recorrupted_score(network, data.validation, device)

    def _recorrupted_score(self, network: nn.Module, groups: Sequence[Signals], device: str) -> ReferenceFree:
        """Error of the output for one recorrupted input, judged by the other, whose noise is known.

        The two have independent noise, so the mean of |f(y + alpha z) - (y - z / alpha)|² is the error plus
        1 + 1 / alpha² times the noise power of a period: unbiased, if the noise is what it is taken for.
        """
        recorruption, figures, counts = self.recorruption, [], []
        for group in groups:
            periods = group.reshape(-1, 1, *group.shape[2:])
            most = max(MOST_VALIDATION // len(groups), 1)
            chosen = np.linspace(0, len(periods) - 1, min(len(periods), most)).astype(int)
            noisy: Signals = np.array(periods[chosen])
            on_device = torch.from_numpy(noisy).to(device)
            first, second = (part.cpu().numpy() for part in recorruption.pair(on_device))
            estimate = apply_to(lambda block: LearnedUNet.predict(self, network, block), first, device=device)
            level = recorruption.level_of(on_device).square()
            mean = level.mean(dim=(0, 1)) if level.ndim else level  # over the periods, (C, 1)
            noise = mean.cpu().numpy() * recorruption.power
            power = float(np.mean(np.square(noisy, dtype=np.float64))) - _mean_square(noise, noisy.shape[-1])
            figures.append(reference_free(estimate, second, (1 + recorruption.alpha**-2) * noise, power))
            counts.append(len(noisy))
        return combine(figures, counts)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what the network learnt, and the noise."""
        state = super().state()
        if not state:
            return {}
        noise = self.recorruption
        return {**state, "noise": noise.power.copy(), "noise_correlation": noise.correlation.copy()}

    def restore(self, state: Mapping[str, NDArray[Any]], /) -> None:
        """Take back what `state` returned."""
        super().restore(state)
        if not state:
            self._recorruption = None
            return
        if not {"noise", "noise_correlation"} <= set(state):
            raise InputError("this is no state of r2r: it does not say what the noise is", hint="train anew")
        power, correlation = np.array(state["noise"]), np.array(state["noise_correlation"])
        channels = len(self.preparation.level)
        shapes = (channels, self.preparation.grid // 2 + 1), (channels, channels)
        if (power.shape, correlation.shape) != shapes:
            raise InputError(
                f"the state of r2r is damaged: noise of the shapes {power.shape} and {correlation.shape}, "
                f"expected {shapes[0]} (channels, lines) and {shapes[1]}",
                hint="train anew",
            )
        if not (np.isfinite(power).all() and (power >= 0).all() and _is_correlation(correlation)):
            raise InputError("the state of r2r is damaged: impossible noise", hint="train anew")
        self._recorruption = self._with_noise(power, correlation)


def _is_correlation(matrix: NDArray[np.float64]) -> bool:
    """Whether a matrix (C, C) can be the correlation of noise."""
    if not np.isfinite(matrix).all() or not np.allclose(matrix, matrix.T):
        return False
    return bool(np.allclose(np.diag(matrix), 1) and np.linalg.eigvalsh(matrix).min() > 0)


def _mean_square(line_power: NDArray[np.float64], samples: int) -> float:
    """Mean squared sample of noise with these powers of its lines, (C, lines)."""
    return float(np.sum(line_power @ line_weights(samples))) / (samples**2 * len(line_power))
