"""The U-Net with gradient-difference loss, as a denoising method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mpikit import Run, Scan
from mpikit.errors import InputError, PluginError
from mpikit.signal import (
    HarmonicFilter,
    drive_field_lines,
    fit_harmonic_filter,
    noise_statistics,
    shared_background_noise,
    stack_repeats,
)
from mpikit_plugins.background import clear
from mpikit_plugins.harmonic import describe
from mpikit_plugins.training import apply, split_repeats, train
from mpikit_plugins.unet.network import UNet
from mpikit_plugins.unet.objective import GradientDifference
from mpikit_plugins.unet.options import UNetOptions


class UNetGradientDifference:
    """Learn one noisy repeat from another (Peng et al.)."""

    def __init__(self, options: UNetOptions) -> None:
        self.options = options
        self.harmonic: HarmonicFilter | None = None
        self.level: NDArray[np.float32] = np.ones(0, np.float32)
        self.network: UNet | None = None

    def fit(self, scans: Sequence[Scan], /, *, run: Run) -> None:
        """Train the network on pairs of repeats."""
        cleared = [clear(scan, self.options) for scan in scans]
        data = split_repeats([stack_repeats(scan.signal, scan.repeats) for scan in cleared])
        if not data.training:
            raise InputError("unet-gd learns from repeats, and no scan has any", hint="see --repeats")
        harmonic = fit_harmonic_filter(
            cleared, false_alarm=self.options.false_alarm, symmetry=self.options.symmetry
        )
        if self.options.lines == "detected":
            run.tell(describe(harmonic))
        else:
            harmonic = replace(harmonic, keep=np.tile(drive_field_lines(cleared[0]), (len(harmonic.keep), 1)))
        if not harmonic.keep.any():
            raise InputError(
                "no line of the spectrum stands out of the noise, there is nothing to learn from",
                hint="raise false_alarm, or set lines=all",
            )
        seen = harmonic if self.options.project else replace(harmonic, symmetry=None)
        shared = [shared_background_noise(scan) * noise_statistics(scan).line_power for scan in cleared]
        common = np.mean(shared, axis=0)
        everything = replace(seen, keep=np.ones_like(seen.keep), symmetry=None)
        data = replace(
            data, common_power=everything.passed_noise(common), common_passed=seen.passed_noise(common)
        )
        self.harmonic = harmonic
        self.level = _levels(cleared)
        devices = [torch.cuda.current_device()] if run.device == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(int(run.rng.integers(2**63)))
            self.network = self._new_network().to(run.device)
            train(self.network, self._objective().to(run.device), data, self.options, run=run)

    def denoise(self, scan: Scan, /, *, run: Run) -> NDArray[np.float32]:
        """Return the denoised foreground, shape (N, J, C, V)."""
        if self.network is None or self.harmonic is None:
            raise PluginError("unet-gd has not been fitted", hint="call fit, or restore a fitted state")
        self.harmonic.check(scan.signal.shape)
        self.network.to(run.device)
        return apply(
            self.network, self._objective().to(run.device), clear(scan, self.options).signal, run=run
        )

    def state(self) -> dict[str, NDArray[Any]]:
        """Return weights, lines, phases and noise level."""
        if self.network is None or self.harmonic is None:
            return {}
        weights = {
            f"network.{name}": value.cpu().numpy() for name, value in self.network.state_dict().items()
        }
        learnt = {**weights, **self.harmonic.state(), "level": self.level}
        return {name: np.array(value) for name, value in learnt.items()}

    def restore(self, state: Mapping[str, NDArray[Any]], /) -> None:
        """Take back what `state` returned."""
        if not state:
            self.network = None
            return
        try:
            self.harmonic, self.level = HarmonicFilter.restore(state), state["level"]
            self.network = self._new_network()
            weights = {
                name.removeprefix("network."): torch.from_numpy(np.array(value))
                for name, value in state.items()
                if name.startswith("network.")
            }
            self.network.load_state_dict(weights)
        except (KeyError, RuntimeError) as error:
            raise InputError(f"this is no state of unet-gd with these options: {error}") from error

    def _new_network(self) -> UNet:
        options = self.options
        return UNet(
            len(self.level),
            features=options.features,
            kernel=options.kernel,
            stem_stride=options.stem_stride,
            down_kernel=options.down_kernel,
            dropout=options.dropout,
            bias=options.bias,
            residual=options.residual,
        )

    def _objective(self) -> GradientDifference:
        assert self.harmonic is not None  # noqa: S101
        return GradientDifference(self.harmonic, torch.from_numpy(self.level), self.options)


def _levels(scans: Sequence[Scan]) -> NDArray[np.float32]:
    """Noise of one sample of each channel, or the signal where there is no noise."""
    noise: NDArray[np.float64] = np.sqrt(
        np.mean([noise_statistics(scan).sigma ** 2 for scan in scans], axis=0)
    )
    signal: NDArray[np.float64] = np.sqrt(
        np.mean([np.mean(scan.signal**2, axis=(0, 1, 3)) for scan in scans], axis=0)
    )
    level = np.where(noise > 1e-6 * signal, noise, signal)
    return np.where(level > 0, level, 1).astype(np.float32)
