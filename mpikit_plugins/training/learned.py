"""A learned denoiser around a network and a loss: the rest is here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mpikit import Run, Scan
from mpikit.errors import InputError, PluginError
from mpikit.independence import warn_of_correlation
from mpikit.metrics import ReferenceFree
from mpikit.signal import noise_statistics, shared_background_noise, stack_repeats
from mpikit_plugins.background import clear
from mpikit_plugins.training.batches import Batches, Pairs
from mpikit_plugins.training.chance import seeded
from mpikit_plugins.training.fit import apply, train
from mpikit_plugins.training.options import LearnedOptions, PairOptions
from mpikit_plugins.training.preparation import (
    Preparation,
    divisor,
    fit_preparation,
    peak,
    root_mean_square,
)
from mpikit_plugins.training.repeats import RepeatedSignals, Signals, split_repeats, without_kept_back
from mpikit_plugins.training.threads import threads_for


class LearnedMethod:
    """Base of a learned denoiser: a subclass gives a network and a loss.

    Write `new_network` and `distance`. With nothing else it learns one noisy repeat from another; the network
    gets periods of shape (B, C, W), free of background, in units of the noise, with lines and symmetry as the
    options say, of size one. What was divided out is put back behind it, so that the method is homogeneous,
    f(ay) = a f(y), whatever the network.

    Parameters
    ----------
    options : LearnedOptions
        Of a class with `PairOptions` as well, if there is a choice of pairs.
    """

    name: ClassVar[str] = "learned"

    def __init__(self, options: LearnedOptions) -> None:
        self.options = options
        self.network: nn.Module | None = None
        self.history: list[tuple[int, ReferenceFree]] = []
        self._preparation: Preparation | None = None

    def new_network(self, channels: int, *, coarse: bool) -> nn.Module:
        """Make the network, (B, C, W) to (B, C, W); for ``pairs=subset`` it gets one more channel.

        Parameters
        ----------
        channels : int
            C.
        coarse : bool
            The grid is coarser than the samples of the measurement.
        """
        raise NotImplementedError

    def distance(self, output: Tensor, target: Tensor) -> Tensor:
        """Loss of outputs beside independent noisy targets, both (B, C, W); the size of the input is 1."""
        raise NotImplementedError

    def prior(self, raw: Tensor) -> Tensor | None:  # noqa: ARG002
        """Return what to add to the loss for the output of the network before it is projected, (B, C, W)."""
        return None

    def pair(self, *batch: Tensor) -> tuple[Tensor, ...]:
        """Make noisy input and noisy target, (B, C, W), out of a batch; their noise must be independent."""
        return batch

    def lengths(self, coarse: bool) -> tuple[int, int]:  # noqa: ARG002
        """Lengths W that the network likes: multiples of the first number, not below the second."""
        return 1, 8

    @property
    def shortest(self) -> int:
        """Fewest samples of a period that the network can do anything with."""
        return 2

    def split(self, groups: Sequence[Signals]) -> RepeatedSignals:
        """Keep a part of the data back for the choice of the weights; groups of shape (B, R, C, V).

        Which part it is may depend on the shapes alone: what is in the other part, preparation and noise are
        fitted to, and it is found by asking for the places of the periods as well.
        """
        data = split_repeats(groups)
        if not data.training:
            raise InputError(f"{self.name} learns from repeats, and no scan has any", hint="see --repeats")
        if isinstance(self.options, PairOptions) and not self.options.resample:
            data = replace(data, training=[group[:, :2] for group in data.training])
        return data

    def batches(self, data: RepeatedSignals, device: str) -> Batches:
        """Return the source of batches: pairs of repeats."""
        options = self.options
        if not isinstance(options, PairOptions):
            return Pairs(data.training, batch=options.batch, device=device)
        return Pairs(data.training, batch=options.batch, device=device, rule=options.pairs, lag=options.lag)

    def evaluation(
        self,
        network: nn.Module,  # noqa: ARG002
        data: RepeatedSignals,  # noqa: ARG002
        device: str,  # noqa: ARG002
    ) -> Callable[[], ReferenceFree | None] | None:
        """Return how the network is judged; None: by the repeats that were kept back."""
        return None

    def look_at(self, scans: Sequence[Scan], *, run: Run) -> None:
        """Say what is doubtful about the scans, as noise that pairs share.

        They are free of background, and without what is kept back for the choice of the weights.
        """
        for scan in scans:
            warn_of_correlation(scan, run.tell, lines=self.preparation.harmonic.keep)

    @property
    def preparation(self) -> Preparation:
        """What is done before the network and after it; once fitted."""
        if self._preparation is None:
            raise PluginError(f"{self.name} has not been fitted", hint="call fit, or restore a fitted state")
        return self._preparation

    def fit(self, scans: Sequence[Scan], /, *, run: Run) -> None:
        """Train the network on noisy scans.

        Lines, symmetry and noise are found without what is kept back for the choice of the weights.
        """
        cleared = [clear(_finite(scan), self.options) for scan in scans]
        self._check_length(cleared[0])
        split = self.split([stack_repeats(scan.signal, scan.repeats) for scan in cleared])
        learnt_from = without_kept_back(cleared, self.split)
        prepared = fit_preparation(learnt_from, self.options, lengths=self.lengths, run=run)
        self._preparation, self.network = prepared.to(run.device), None
        self.look_at(learnt_from, run=run)
        data = self._on_grid(split, cleared)
        with threads_for(self._samples), seeded(int(run.rng.integers(2**63)), run.device):
            network = self._made_network().to(run.device)
            self.history = train(
                network,
                self,
                data,
                self.options,
                run=run,
                batches=self.batches(data, run.device),
                evaluate=self.evaluation(network, data, run.device),
            )
        self.network = network

    def loss(self, network: nn.Module, /, *batch: Tensor) -> Tensor:
        """Loss of a batch."""
        prepared = self.preparation
        noisy, target, *condition = self.pair(*batch)
        noisy = prepared.project(noisy / prepared.level)
        scale = divisor(self._size(noisy))
        raw = network(_conditioned(noisy / scale, condition))
        total = self.distance(prepared.project(raw), target / (prepared.level * scale))
        prior = self.prior(raw)
        return total if prior is None else total + prior

    def predict(self, network: nn.Module, noisy: Tensor, /) -> Tensor:
        """Denoise (B, C, W); exactly homogeneous, for the size is divided out and put back."""
        prepared = self.preparation
        noisy = prepared.project(noisy / prepared.level)
        size = self._size(noisy)
        condition = [noisy.new_ones(len(noisy))] if self.conditions else []
        raw = network(_conditioned(noisy / divisor(size), condition))
        # nothing comes out where nothing goes in
        return prepared.project(raw) * (size * prepared.level)

    def denoise(self, scan: Scan, /, *, run: Run) -> NDArray[np.float32]:
        """Return the denoised foreground, shape (N, J, C, V)."""
        prepared = self.preparation.to(run.device)
        if self.network is None:
            raise PluginError(f"{self.name} has not been fitted", hint="call fit, or restore a fitted state")
        signal = prepared.reduce(clear(_finite(scan), self.options).signal)
        with threads_for(self._samples), seeded(int(run.rng.integers(2**63)), run.device):
            return prepared.expand(apply(self.network.to(run.device), self, signal, run=run))

    def state(self) -> dict[str, NDArray[Any]]:
        """Return weights, lines, phases and noise level."""
        if self.network is None:
            return {}
        weights = {
            f"network.{name}": value.cpu().numpy() for name, value in self.network.state_dict().items()
        }
        return {name: np.array(value) for name, value in {**weights, **self.preparation.state()}.items()}

    def restore(self, state: Mapping[str, NDArray[Any]], /) -> None:
        """Take back what `state` returned."""
        if not state:
            self.network = self._preparation = None
            return
        try:
            self._preparation = Preparation.restore(state, project=self.options.project)
            network = self._made_network()
            weights = {
                name.removeprefix("network."): torch.from_numpy(np.array(value))
                for name, value in state.items()
                if name.startswith("network.")
            }
            network.load_state_dict(weights)
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise InputError(
                f"this is no state of {self.name} with these options: {error}", hint="train anew"
            ) from error
        if not all(value.isfinite().all() for value in network.state_dict().values()):
            raise InputError(
                f"the state of {self.name} is damaged: weights that are no numbers", hint="train anew"
            )
        self.network = network

    @property
    def conditions(self) -> int:
        """Channels that the network gets behind those of the signal: one for ``pairs=subset``."""
        return int(isinstance(self.options, PairOptions) and self.options.pairs == "subset")

    def _check_length(self, scan: Scan) -> None:
        samples = scan.signal.shape[-1]
        if samples < self.shortest:
            raise InputError(
                f"{scan.name} has periods of {samples} samples, the network of {self.name} needs "
                f"{self.shortest}",
                hint="choose a shorter kernel, or a method that learns nothing",
            )

    @property
    def _samples(self) -> int:
        """Samples of a batch."""
        return self.options.batch * len(self.preparation.level) * self.preparation.grid

    def _made_network(self) -> nn.Module:
        prepared = self.preparation
        return self.new_network(len(prepared.level), coarse=prepared.grid != prepared.samples)

    def _size(self, signal: Tensor) -> Tensor:
        return peak(signal) if self.options.scale == "peak" else root_mean_square(signal)

    def _on_grid(self, data: RepeatedSignals, scans: Sequence[Scan]) -> RepeatedSignals:
        """Bring the data to the grid of the network, and count the noise that a background left in all."""
        prepared = self.preparation
        shared = [shared_background_noise(scan) * noise_statistics(scan).line_power for scan in scans]
        common = np.mean(shared, axis=0)
        everything = np.zeros_like(prepared.harmonic.keep)
        everything[:, : (prepared.grid - 1) // 2 + 1] = True
        if prepared.grid == prepared.samples:
            everything[:] = True
        all_of_it = replace(prepared.harmonic, keep=everything, symmetry=None)
        return replace(
            data,
            training=[prepared.reduce(group) for group in data.training],
            validation=[prepared.reduce(group) for group in data.validation],
            common_power=all_of_it.passed_noise(common),
            common_passed=prepared.seen.passed_noise(common),
        )


def _conditioned(signal: Tensor, condition: Sequence[Tensor]) -> Tensor:
    """Put what is known of each signal, (B,) each, behind its channels."""
    if not condition:
        return signal
    channels = [each[:, None, None].expand(-1, 1, signal.shape[-1]) for each in condition]
    return torch.cat([signal, *channels], dim=1)


def _finite(scan: Scan) -> Scan:
    if not (np.isfinite(scan.signal).all() and np.isfinite(scan.background).all()):
        raise InputError(
            f"{scan.name}: the signal has values that are no numbers", hint="repair the file first"
        )
    return scan
