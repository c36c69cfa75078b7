"""Noise2Noise and R2R beside the same losses as deepinv has them (Tachella et al., JOSS 2025).

    pip install --no-deps deepinv einops natsort torchmetrics lightning-utilities
    python tests/benchmarks/peers_denoise.py [--training 300] [--test 100] [--steps 100] [--seeds 4]
                                             [--snr 5 10] [--common]

The methods `n2n` (l2) and `r2r` (white noise, measured) learn from noisy periods of the preset peng2023. So
do two that differ from them in the loss, and for R2R in the mean over draws at the end: these are deepinv's.
Network, its first weights, batches, optimiser and schedule are the same, by the same seed; the last weights
are used, as a choice of the best ones would add luck. deepinv has no loss with the name of Noise2Noise: it is
`SupLoss` with a noisy target. Its alpha of R2R is a, with alpha here = sqrt(a / (1 - a)). Its losses are in
the unit of the signals, so each period is first divided by its size, as the methods do inside;
with `--common` all are divided by the same, and strong signals count for more.

All periods have the same noise, not the same SNR, as R2R knows one noise for all. The figure is the mean true
SNR over test signals, each denoised from one period, and over seeds. `loss` is how far the two losses of one
batch are apart, relatively, for the same network and the same draws: by rounding for Noise2Noise; for R2R by
the size as well, which here is that of the recorrupted period. Rounding alone leads two trainings apart; the
differences of the seeds show how far. One thread. Ends with 1 if a mean difference exceeds 0.3 dB.
"""

from __future__ import annotations

import argparse
import importlib.machinery
import importlib.util
import sys
import time
import types

import numpy as np
import torch
from torch import nn

from mpikit import Run
from mpikit.metrics import snr
from mpikit.plugins import parse_noise
from mpikit.simulate import make_phantom, preset, simulate_scan
from mpikit_plugins.n2n.method import Noise2Noise
from mpikit_plugins.n2n.options import Noise2NoiseOptions
from mpikit_plugins.r2r.method import Recorrupted
from mpikit_plugins.r2r.options import RecorruptedOptions
from mpikit_plugins.training import LearnedMethod
from mpikit_plugins.training.preparation import root_mean_square

ALLOWED = 0.3  # dB


class Nothing(types.ModuleType):
    """A module that has every name, and nothing behind it."""

    __path__ = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        setattr(self, name, type(name, (), {}))
        return getattr(self, name)


class InPlaceOfTorchvision:
    """Finds `torchvision` and all below it, without anything in it."""

    def find_spec(self, name, *_):
        if name.split(".")[0] == "torchvision":
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return Nothing(spec.name)

    def exec_module(self, module):
        pass


def load_deepinv():
    """Import deepinv, or say what is missing."""
    if importlib.util.find_spec("deepinv") is None:
        sys.exit("nothing compared: deepinv is not installed; see the head of this file")
    # deepinv imports torchvision, for pictures; its losses use nothing of it. The torchvision of the package
    # index is built for another torch than the one for the CPU alone, and fails at import.
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError, OSError):
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        sys.meta_path.insert(0, InPlaceOfTorchvision())
    import deepinv

    return deepinv


class Reconstructor(nn.Module):
    """The denoiser around a network, as deepinv calls it; it is homogeneous, so that units do not matter."""

    def __init__(self, method, network):
        super().__init__()
        self.method, self.network = method, network

    def forward(self, noisy, _physics=None):
        return LearnedMethod.predict(self.method, self.network, noisy)


class Normalised:
    """Mixed into a method: what a period is divided by before deepinv sees it, for it divides by nothing."""

    common = None  # one unit for all signals, when there is to be one

    def unit(self, noisy):
        """Size of each period without the noise between its lines, (B, 1, 1); or one size for all."""
        return root_mean_square(self.preparation.project(noisy)) if self.common is None else self.common


def peers(deepinv):
    """The methods with the losses of deepinv."""

    class PeerNoise2Noise(Normalised, Noise2Noise):
        def loss(self, network, /, *batch):
            noisy, target = (part / self.unit(batch[0]) for part in batch)
            return deepinv.loss.SupLoss()(x_net=Reconstructor(self, network)(noisy), x=target)

    class PeerRecorrupted(Normalised, Recorrupted):
        def adapted(self, network, unit):
            """Model, loss and physics of deepinv for periods in a unit; their noise is white."""
            grid, square = self.preparation.grid, self.options.alpha**2
            sigma = float(np.sqrt(self.recorruption.power[0, 1] / grid))
            physics = deepinv.physics.Denoising(deepinv.physics.GaussianNoise(sigma / unit))
            loss = deepinv.loss.R2RLoss(alpha=square / (1 + square), eval_n_samples=self.options.draws)
            return loss.adapt_model(Reconstructor(self, network)), loss, physics

        def loss(self, network, /, *batch):
            unit = self.unit(batch[0])
            model, loss, physics = self.adapted(network, unit)
            noisy = batch[0] / unit
            found = model(noisy, physics, update_parameters=True)
            return loss(x_net=found, y=noisy, physics=physics, model=model)

        def predict(self, network, noisy, /):
            unit = self.unit(noisy)
            model, _, physics = self.adapted(network, unit)
            return model.eval()(noisy / unit, physics) * unit

    return PeerNoise2Noise, PeerRecorrupted


def scans(decibels, counts):
    """Training and test scans (noisy, clean) of different digits."""
    scanner = preset("peng2023")
    rng = np.random.default_rng(2)
    digits = make_phantom("digits", scanner.phantom.grid(), concentration=0.1, count=sum(counts), rng=rng)
    for start, count in zip((0, counts[0]), counts, strict=True):
        yield simulate_scan(
            scanner,
            digits.part(slice(start, start + count)),
            frames=count,
            periods=2,
            noise=[parse_noise(f"gaussian:snr_db={decibels},level=channel")],
            rng=np.random.default_rng(start),
        )


def trained(method, data, seed):
    """Fit, and denoise the first period of each test signal. Returns the SNR of each, and seconds."""
    (training, _), (test, right) = data
    run = Run(rng=np.random.default_rng(seed))
    start = time.perf_counter()
    method.fit([training], run=run)
    seconds = time.perf_counter() - start
    return snr(method.denoise(test, run=run)[:, 0, 0], right[:, 0, 0]), seconds


def apart(ours, theirs, scan):
    """Relative difference of the two losses of a batch, for one network."""
    periods = torch.from_numpy(ours.preparation.reduce(scan.signal[:16]))
    batch = (periods[:, 0],) if isinstance(ours, Recorrupted) else (periods[:, 0], periods[:, 1])
    losses = []
    for method in (ours, theirs):
        torch.manual_seed(0)
        losses.append(method.loss(ours.network, *batch).item())
    return abs(losses[1] / losses[0] - 1)


def compare(name, kinds, options, data, seeds):
    """Print one line; return the mean difference."""
    levels, seconds = np.empty((seeds, 2)), np.zeros(2)
    for seed in range(seeds):
        methods = [kind(options) for kind in kinds]
        for place, method in enumerate(methods):
            values, took = trained(method, data, seed)
            levels[seed, place] = values.mean()
            seconds[place] += took / seeds
    (training, _), (test, right) = data
    noisy = snr(test.signal[:, 0, 0], right[:, 0, 0]).mean()
    here, there = levels.mean(axis=0)
    steps = levels[:, 0] - levels[:, 1]
    each = " ".join(f"{step:+.2f}" for step in steps)
    figures = f"{noisy:8.2f}{here:8.2f}{there:9.2f}{steps.mean():+8.2f}  ({each})"
    times = f"{seconds[0]:6.0f} s{seconds[1]:6.0f} s"
    print(f"{name:6}{figures:50}{times}{apart(*methods, training):10.0e}", flush=True)
    return steps.mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--training", type=int, default=300)
    parser.add_argument("--test", type=int, default=100)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--snr", type=float, nargs="+", default=[5.0])
    parser.add_argument("--common", action="store_true", help="one unit for all signals")
    given = parser.parse_args()
    deepinv = load_deepinv()
    torch.set_num_threads(1)
    schedule = {"steps": given.steps, "evaluate_every": given.steps}
    pairs, recorrupted = peers(deepinv)
    print(f"deepinv {deepinv.__version__}; {given.training} signals, {given.steps} steps; SNR / dB")
    levels = f"{'noisy':>8}{'here':>8}{'deepinv':>9}{'difference, of each seed':>25}"
    print(f"{'':6}{levels:50}{'here':>8}{'deepinv':>8}{'loss':>10}")
    worst = 0.0
    for decibels in given.snr:
        data = list(scans(decibels, (given.training, given.test)))
        if given.common:
            Normalised.common = float(np.std(data[0][0].signal))
        two = Noise2NoiseOptions(**schedule, loss="l2")
        one = RecorruptedOptions(**schedule, noise="white")
        found = [
            compare("n2n", (Noise2Noise, pairs), two, data, given.seeds),
            compare("r2r", (Recorrupted, recorrupted), one, data, given.seeds),
        ]
        worst = max(worst, *(abs(value) for value in found))
    print(f"largest difference {worst:.2f} dB, {ALLOWED} dB allowed")
    sys.exit(int(worst > ALLOWED))


if __name__ == "__main__":
    main()
