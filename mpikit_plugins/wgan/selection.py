"""How a generator is judged while it trains: by repeats that were kept back, or else by the critics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mpikit import Scan
from mpikit.metrics import ReferenceFree, clean_power, combine, reference_free
from mpikit.signal import noise_statistics, shared_background_noise
from mpikit_plugins.training.repeats import RepeatedSignals, Signals
from mpikit_plugins.training.selection import MOST_VALIDATION, SNR, apply_to
from mpikit_plugins.wgan.amplitude import clean_amplitudes
from mpikit_plugins.wgan.game import Game

if TYPE_CHECKING:
    from mpikit_plugins.wgan.method import WassersteinGAN
    from mpikit_plugins.wgan.training_data import TrainingData

Floats = NDArray[np.float64]
DISTANCE = "distance seen by the critics, of that without a generator"


@dataclass(frozen=True)
class _Trial:
    """Periods (b, r, C, W), means of the other repeats of their signals, the noise in these, clean power."""

    inputs: Signals
    judges: Floats
    noise: Floats
    power: float


class HeldOut:
    """What was kept back of the noisy periods.

    Parameters
    ----------
    method : WassersteinGAN
        With its preparation fitted.
    inputs, judges : RepeatedSignals
        The same periods as the generator sees them, and free of background, on the grid.
    scans : sequence of Scan
        Those that ``judges`` are of.
    data : TrainingData
    """

    def __init__(
        self,
        method: WassersteinGAN,
        inputs: RepeatedSignals,
        judges: RepeatedSignals,
        scans: Sequence[Scan],
        data: TrainingData,
    ) -> None:
        self.method, self.kept_back = method, inputs.kept_back
        self.arrays = [method.preparation.reduce(group) for group in inputs.validation]
        self.has_repeats = any(group.shape[1] > 1 for group in self.arrays)
        self.figure = SNR if self.has_repeats else DISTANCE
        learns = method.options.background == "learn"
        common = _common_noise(method, scans) if learns else 0.0
        self._common_power = judges.common_power
        self._uncounted = 0.0 if learns else 2 * judges.common_passed - judges.common_power
        most = MOST_VALIDATION // max(len(self.arrays), 1)
        self._trials = [
            _trial(given, free, most, common)
            for given, free in zip(self.arrays, judges.validation, strict=True)
            if given.shape[1] > 1
        ]
        self._singles = None if self.has_repeats else self._single_batch(inputs, data)

    def by_repeats(self, network: nn.Module, game: Game, device: str) -> ReferenceFree | None:  # noqa: ARG002
        """Reference-free error of the output of some repeats, each judged by all others of its signal."""

        def predict(noisy: Tensor) -> Tensor:
            return self.method.predict(network, noisy)

        figures, counts = [], []
        for trial in self._trials:
            estimate = apply_to(predict, trial.inputs, device=device)
            figures.append(reference_free(estimate, trial.judges, trial.noise, trial.power))
            counts.append(estimate.shape[0] * estimate.shape[1])
        found = combine(figures, counts)
        # noise that a subtracted background left in inputs and judges alike was counted as signal
        return replace(found, error=found.error + self._uncounted, power=found.power - self._common_power)

    def by_critics(self, network: nn.Module, game: Game, device: str) -> ReferenceFree | None:  # noqa: ARG002
        """Distance that both critics see on single periods and noise samples that were kept back."""
        if self._singles is None:
            return None
        return game.held_out_distance(*(torch.from_numpy(each).to(device) for each in self._singles))

    def _single_batch(
        self, inputs: RepeatedSignals, data: TrainingData
    ) -> tuple[NDArray[np.float32], ...] | None:
        if not inputs.validation:
            return None
        groups = [self.method.seen(group) for group in inputs.validation]
        amplitude = np.concatenate([clean_amplitudes(group, data.noise_power)[0] for group in groups])
        signal = np.concatenate([group[:, 0] for group in groups])
        chosen = np.linspace(0, len(signal) - 1, min(len(signal), MOST_VALIDATION)).astype(int)
        # the two kinds of noise sample are neighbours, never the same one
        added = data.blanks[np.arange(len(chosen)) % len(data.blanks)]
        other = data.blanks[(np.arange(len(chosen)) + 1) % len(data.blanks)]
        return (signal[chosen], *data.scale(amplitude[chosen]), added, other)


def _common_noise(method: WassersteinGAN, scans: Sequence[Scan]) -> Floats:
    """Noise power that the background leaves in all judges, (C, lines of the grid), and in no input."""
    shared = [shared_background_noise(scan) * noise_statistics(scan).line_power for scan in scans]
    return method.preparation.line_power(np.mean(shared, axis=0))


def _trial(inputs: Signals, judges: Signals, most: int, common: Floats | float) -> _Trial:
    """Choose signals, spread evenly over a group (B, R, C, W), and some repeats of them as inputs."""
    signals, repeats = inputs.shape[:2]
    count = min(signals, max(most // 2, 1))
    chosen = np.linspace(0, signals - 1, count).astype(int)
    used = min(max(most // count, 2), repeats)
    group = judges[chosen].astype(np.float64)
    others = (group.sum(axis=1, keepdims=True) - group[:, :used]) / (repeats - 1)
    spread = np.var(np.fft.rfft(group, axis=-1), axis=1, ddof=1).mean(axis=0)
    given = np.ascontiguousarray(inputs[chosen, :used])
    return _Trial(given, others, spread / (repeats - 1) + common, clean_power(group))
