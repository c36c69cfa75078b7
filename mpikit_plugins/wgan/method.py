"""The WGAN as a denoising method: unpaired noisy periods and noise samples teach it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mpikit import Run, Scan, Warned
from mpikit.errors import InputError
from mpikit.signal import stack_repeats
from mpikit_plugins.networks.unet import lengths, new_unet, stem_stride
from mpikit_plugins.training import LearnedMethod, Player, RepeatedSignals, play, split_repeats, split_signals
from mpikit_plugins.training.chance import seeded
from mpikit_plugins.training.fit import as_trained
from mpikit_plugins.training.options import chosen
from mpikit_plugins.training.preparation import divisor, fit_preparation
from mpikit_plugins.training.repeats import Signals, without_kept_back
from mpikit_plugins.training.selection import apply_to
from mpikit_plugins.training.threads import threads_for
from mpikit_plugins.wgan.amplitude import clean_amplitudes
from mpikit_plugins.wgan.batches import Unpaired
from mpikit_plugins.wgan.critic import Critic, with_spectral_norm
from mpikit_plugins.wgan.game import Game
from mpikit_plugins.wgan.generator import Autoencoder
from mpikit_plugins.wgan.noise import foreground, judged, mean_sample, noise_samples
from mpikit_plugins.wgan.options import (
    SHORT,
    UNET_ALONE,
    PenaltyOptions,
    SpectralOptions,
    WassersteinOptions,
)
from mpikit_plugins.wgan.response import Response
from mpikit_plugins.wgan.selection import HeldOut
from mpikit_plugins.wgan.training_data import TrainingData, training_data

AT_ONCE = 1024  # periods that are prepared at a time, a bound on memory


class WassersteinGAN(LearnedMethod):
    """Learn from unpaired noisy periods and noise samples (Dittmer et al., Dahms et al.).

    The generator and two critics work on periods free of the mean noise sample, in units of the noise, with
    lines and symmetry as the options say. What the noise samples hold is noise, also what is locked in phase.
    """

    options: WassersteinOptions

    def __init__(self, options: WassersteinOptions) -> None:
        super().__init__(options)
        self.response: Response | None = None
        self._mean = torch.zeros(1, 1)
        self._fixed = self._noise_power = 1.0
        self._restored = False

    def new_critic(self, channels: int, samples: int) -> Critic:
        """Make a critic for periods of C channels and W samples."""
        raise NotImplementedError

    def new_network(self, channels: int, *, coarse: bool) -> nn.Module:
        """Make the generator."""
        options, samples = self.options, self.preparation.grid
        if self._takes_unet():
            return new_unet(channels, options, coarse=coarse)
        return Autoencoder(
            channels,
            samples,
            features=options.features,
            kernel=options.kernel,
            bottleneck=options.bottleneck,
            bias=options.bias,
            residual=options.residual,
        )

    def _takes_unet(self) -> bool:
        kind = self.options.generator
        return kind == "unet" or (kind == "auto" and self.preparation.grid > SHORT)

    def _warn_of_idle_options(self, groups: Sequence[Signals], run: Run) -> None:
        """Say which options do nothing for these scans; those that never do something are refused before."""
        options = self.options
        if options.paired_weight and all(group.shape[1] < 2 for group in groups):
            words = f"paired_weight={options.paired_weight} does nothing: no signal was measured again"
            run.tell(Warned(words))
        network, others = ("U-Net", ("bottleneck",)) if self._takes_unet() else ("autoencoder", UNET_ALONE)
        idle = [name for name in others if options.generator == "auto" and chosen(options, name)]
        if idle:
            size = f"periods of {self.preparation.grid} samples"
            run.tell(Warned(f"{idle[0]} does nothing: generator=auto takes the {network} for {size}"))

    def lengths(self, coarse: bool) -> tuple[int, int]:
        """Lengths that the generator takes as they are; the autoencoder halves them twice."""
        if self.options.generator == "unet":
            return lengths(self.options.kernel, stem_stride(self.options, coarse=coarse))
        return 4, 16

    def split(self, groups: Sequence[Signals]) -> RepeatedSignals:
        """Keep repeats back where there are enough; else whole signals."""
        singles = [group for group in groups if group.shape[1] == 1]
        paired = split_repeats([group for group in groups if group.shape[1] > 1])
        if paired.validation:
            return replace(paired, training=[*paired.training, *singles])
        return split_signals(groups)

    def fit(self, scans: Sequence[Scan], /, *, run: Run) -> None:
        """Train generator and critics on noisy scans and their background frames.

        Raises
        ------
        InputError
            When there are no noise samples, or a single one.
        NumericalError
            When the training diverges before there is anything to keep.
        """
        for scan in scans:
            _refuse_gaps(scan)
        self._check_length(scans[0])
        self.network, self.response = None, None
        pool = noise_samples(scans, self.options, run=run)
        judges = [judged(scan, self.options) for scan in scans]
        learnt_from = without_kept_back(judges, self.split)
        prepared = fit_preparation(learnt_from, self.options, lengths=self.lengths, run=run)
        self._preparation = prepared.to(run.device)
        if self.options.paired_weight:
            self.look_at(learnt_from, run=run)
        self._mean = torch.from_numpy(prepared.reduce(mean_sample(pool, self.options))).to(run.device)
        groups = self.split([_stacked(foreground(scan, self.options)) for scan in scans])
        self._warn_of_idle_options(groups.training, run)
        with threads_for(self._samples), seeded(int(run.rng.integers(2**63)), run.device):
            data = training_data(groups.training, pool, self.seen, self.options)
            self._noise_power, self._fixed = data.noise_power, data.size
            free = self._on_grid(self.split([_stacked(judge) for judge in judges]), judges)
            held_out = HeldOut(self, groups, free, judges, data)
            network = self._made_network().to(run.device)
            self._play(network, data, held_out, run=run)
            self.network = network
            self.response = data.response(lambda seen: self._generated(network, seen, run.device))
        self._restored = False
        warning = self.response.one_amplitude()
        for event in (*self.response.events(), *([warning] if warning else [])):
            run.tell(event)

    def _play(self, network: nn.Module, data: TrainingData, held_out: HeldOut, *, run: Run) -> None:
        """Train the generator against both critics."""
        options, (channels, samples) = self.options, data.noise.shape[1:]
        critics = [self.new_critic(channels, samples).to(run.device) for _ in range(2)]
        trained = as_trained(network, options, run.device)
        game = Game(lambda seen: self.generate(trained, seen), critics[0], critics[1], options)
        batches = Unpaired(
            data.measured,
            data.noise,
            batch=options.batch,
            ranges=options.strata,
            paired=options.paired_weight > 0,
            device=run.device,
            rng=run.rng,
        )
        evaluate = held_out.by_repeats if held_out.has_repeats else held_out.by_critics
        figure, kept_back = held_out.figure, held_out.kept_back
        betas, rate = (options.beta1, options.beta2), options.critic_learning_rate
        identity = self._fingerprint(network, data, held_out) if run.checkpoint else b""
        self.history = play(
            [
                Player(network, game.generator_loss, options.learning_rate, betas, name="generator"),
                Player(critics[0], game.noise_loss, rate, betas, options.critic_updates, "noise critic"),
                Player(critics[1], game.signal_loss, rate, betas, options.critic_updates, "signal critic"),
            ],
            batches,
            options,
            run=run,
            evaluate=lambda: evaluate(network, game, run.device),
            kept_back=kept_back,
            fingerprint=identity,
            figure=figure,
            explosion=options.explosion,
        )

    def seen(self, signals: Signals) -> Signals:
        """Bring signals (..., C, V) to what the networks work on, (..., C, W)."""
        prepared = self.preparation
        flat = prepared.reduce(signals).reshape(-1, signals.shape[-2], prepared.grid)
        output: Signals = np.empty_like(flat)
        with torch.no_grad():
            for start in range(0, len(flat), AT_ONCE):
                block = torch.from_numpy(flat[start : start + AT_ONCE]).to(self._mean.device)
                output[start : start + AT_ONCE] = self._seen(block).cpu().numpy()
        return output.reshape(*signals.shape[:-1], prepared.grid)

    def _seen(self, noisy: Tensor) -> Tensor:
        prepared = self.preparation
        return prepared.project((noisy - self._mean) / prepared.level)

    def generate(self, network: nn.Module, seen: Tensor) -> Tensor:
        """Apply the generator to what `seen` gives, (B, C, W); the output has the same unit."""
        prepared = self.preparation
        if not self.options.centre:  # it finds out itself what the mean of the noise is
            seen = seen + prepared.project(self._mean / prepared.level)
        size = self._size(seen)
        # nothing comes out where nothing goes in
        return prepared.project(network(seen / divisor(size))) * size

    def predict(self, network: nn.Module, noisy: Tensor, /) -> Tensor:
        """Denoise (B, C, W), in the unit of the scan."""
        return self.generate(network, self._seen(noisy)) * self.preparation.level

    def denoise(self, scan: Scan, /, *, run: Run) -> NDArray[np.float32]:
        """Return the denoised foreground (N, J, C, V); say what is known of the model, and where it ends."""
        self._mean = self._mean.to(run.device)
        output = super().denoise(scan, run=run)
        if scan.signal is not scan.background and self.response is not None:  # empty frames tell nothing
            events = list(self.response.events()) if self._restored else []
            repeats = self.seen(_stacked(foreground(scan, self.options)))
            found, floor = clean_amplitudes(repeats, self._noise_power)
            noise = self._noise_power**0.5
            warning = self.response.outside(found / noise, floor / noise, scan.name)
            for event in (*events, *([warning] if warning else [])):
                run.tell(event)
        return output

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what the generator learnt, and what was measured of it."""
        state = super().state()
        if not state or self.response is None:
            return {}
        known = {"mean": self._mean.cpu().numpy(), "sizes": np.array([self._fixed, self._noise_power])}
        return {**state, **known, **self.response.state()}

    def restore(self, state: Mapping[str, NDArray[Any]], /) -> None:
        """Take back what `state` returned."""
        super().restore(state)
        self.response = None
        if not state:
            return
        try:
            self.response = Response.restore(state)
            mean, sizes = np.array(state["mean"], np.float32), np.array(state["sizes"], np.float64)
        except KeyError as error:
            raise InputError(
                f"this is no state of {self.name}: {error} is missing", hint="train anew"
            ) from error
        channels = len(self.preparation.level)
        if mean.shape != (channels, self.preparation.grid) or sizes.shape != (2,) or not (sizes > 0).all():
            raise InputError(f"the state of {self.name} is damaged: mean or sizes", hint="train anew")
        self._mean, (self._fixed, self._noise_power) = torch.from_numpy(mean), sizes.tolist()
        self._restored = True

    def _size(self, signal: Tensor) -> Tensor:
        if self.options.scale == "fixed":
            return torch.full_like(signal[:, :1, :1], self._fixed)
        return super()._size(signal)

    def _generated(self, network: nn.Module, seen: Signals, device: str) -> Signals:
        network.eval()
        return apply_to(lambda block: self.generate(network, block), seen, device=device, batch=256)

    def _fingerprint(self, network: nn.Module, data: TrainingData, held_out: HeldOut) -> bytes:
        """Whatever makes this training another one: options, network, data."""
        digest = hashlib.sha256(self.options.model_dump_json().encode())
        for name, value in network.state_dict().items():
            digest.update(f"{name} {tuple(value.shape)}".encode())
        for array in (data.measured.signal, data.noise, data.blanks, *held_out.arrays):
            digest.update(f"{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.digest()


class SpectralGAN(WassersteinGAN):
    """Critics with spectral normalisation on every layer (Dahms et al.)."""

    name: ClassVar[str] = "wgan-sn"
    options: SpectralOptions

    def new_critic(self, channels: int, samples: int) -> Critic:
        """Make a critic for periods of C channels and W samples."""
        options = self.options
        return with_spectral_norm(
            lambda wrap: Critic(channels, samples, options, wrap=wrap),
            iterations=options.power_iterations,
            warm_up=options.warm_up,
        )


class PenaltyGAN(WassersteinGAN):
    """Critics with a gradient penalty (Dittmer et al.)."""

    name: ClassVar[str] = "wgan-gp"
    options: PenaltyOptions

    def new_critic(self, channels: int, samples: int) -> Critic:
        """Make a critic for periods of C channels and W samples."""
        return Critic(channels, samples, self.options, normalise=self.options.normalise)


def _stacked(scan: Scan) -> Signals:
    return stack_repeats(scan.signal, scan.repeats)


def _refuse_gaps(scan: Scan) -> None:
    if not (np.isfinite(scan.signal).all() and np.isfinite(scan.background).all()):
        raise InputError(
            f"{scan.name}: the signal has values that are no numbers", hint="repair the file first"
        )
