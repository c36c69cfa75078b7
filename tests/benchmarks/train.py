"""What the training loop costs beside the bare step, and how much of the machine it uses.

    python tests/benchmarks/train.py [threads]

Without a number short signals are computed by one thread, as in a training. For each network the loop (seeded
batches, losses, schedule, clipping, checks) and the bare forward, backward and optimiser of the same network
on one fixed batch take turns, in blocks of steps; times are those of the fastest block. GFLOP are of the
network alone, counted by torch.utils.flop_counter; the rate of the machine is that of a product of two
matrices of 2048 x 2048 in the same turns, with as many threads.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: waiting threads would spin

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from mpikit import Run
from mpikit.signal import HarmonicFilter, Symmetry
from mpikit_plugins.n2n.method import Noise2Noise
from mpikit_plugins.n2n.options import Noise2NoiseOptions
from mpikit_plugins.r2r.method import Recorrupted
from mpikit_plugins.r2r.options import RecorruptedOptions
from mpikit_plugins.r2r.recorruption import Recorruption
from mpikit_plugins.training import Pairs, Player, Preparation, Singles
from mpikit_plugins.training.loop import Training
from mpikit_plugins.training.threads import SHORT, threads_for
from mpikit_plugins.unet.method import UNetGradientDifference
from mpikit_plugins.unet.options import UNetOptions

BLOCKS, SIZE = 15, 2048


@dataclass
class Case:
    """A method on signals of V samples, with a network on W of them."""

    name: str
    kind: type
    options: object
    samples: int
    grid: int
    steps: int  # in a block


CASES = [
    Case("unet-gd", UNetGradientDifference, UNetOptions(), 9900, 243, 6),
    Case("n2n", Noise2Noise, Noise2NoiseOptions(), 9900, 243, 6),
    Case("n2n pairs=mean", Noise2Noise, Noise2NoiseOptions(pairs="mean"), 9900, 243, 6),
    Case("r2r", Recorrupted, RecorruptedOptions(), 9900, 243, 6),
    Case("unet-gd, 1632 samples", UNetGradientDifference, UNetOptions(), 1632, 486, 4),
    Case("unet-gd decimate=off", UNetGradientDifference, UNetOptions(decimate="off"), 9900, 9900, 1),
    Case("unet-gd preset=paper", UNetGradientDifference, UNetOptions(preset="paper"), 9900, 9900, 1),
]


def made(case):
    """A method with its lines set by hand, its network, and a training of it."""
    lines = case.samples // 2 + 1
    keep = (np.arange(lines) % 2 == 1)[None] & (np.arange(lines) < case.grid // 4)
    symmetry = Symmetry(np.zeros((1, lines)), np.ones((1, lines), bool), np.ones((1, lines)))
    harmonic = HarmonicFilter(keep, symmetry, case.samples)
    method = case.kind(case.options)
    method._preparation = Preparation(
        harmonic, np.ones(1, np.float32), case.grid, project=case.options.project
    )
    if isinstance(method, Recorrupted):
        method._recorruption = Recorruption(np.full((1, case.grid // 2 + 1), float(case.grid)), 0.5)
    torch.manual_seed(0)
    network = method.new_network(1, coarse=case.grid != case.samples)
    rng = np.random.default_rng(0)
    data = [rng.normal(size=(200, 4, 1, case.grid)).astype(np.float32)]
    batch = case.options.batch
    if isinstance(method, Recorrupted):
        batches = Singles(data, batch=batch, device="cpu")
    else:
        batches = Pairs(data, batch=batch, device="cpu", rule=case.options.pairs)
    player = Player(network, lambda *parts: method.loss(network, *parts), case.options.learning_rate)
    training = Training([player], batches, case.options, run=Run(rng=rng))
    return network, training


def bare(network, case):
    """Forward, backward and optimiser on one batch, and nothing else."""
    torch.manual_seed(1)
    first, second = torch.randn(2, case.options.batch, 1, case.grid)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-9, fused=True)

    def steps(count):
        network.train()
        for _ in range(count):
            optimiser.zero_grad(set_to_none=True)
            (network(first) - second).square().mean().backward()
            optimiser.step()

    return steps, first


def gigaflops(network, first):
    """GFLOP of one step, forward and backward."""
    with FlopCounterMode(display=False) as counter:
        network(first).sum().backward()
    return counter.get_total_flops() / 1e9


def timed(function, *arguments):
    begin = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - begin


def main():
    said = int(sys.argv[1]) if len(sys.argv) > 1 else None
    print(f"fastest of {BLOCKS} blocks, in turns")
    titles = (
        f"{'loop':>10}{'bare':>10}{'ratio':>7}{'samples/s':>11}{'GFLOP':>8}{'GFLOP/s':>9}{'of matmul':>11}"
    )
    print(f"{'':26}{'threads':>8}{titles}")
    for case in CASES:
        with threads_for(SHORT if said else case.options.batch * case.grid):
            if said:
                torch.set_num_threads(said)
            measure(case)


def measure(case):
    """Print one line."""
    left, right = torch.randn(2, SIZE, SIZE)
    network, training = made(case)
    steps, first = bare(network, case)
    work, count = gigaflops(network, first), case.steps
    training.advance(2)
    steps(2)
    rows = [
        (
            timed(training.advance, count) / count,
            timed(steps, count) / count,
            timed(torch.mm, left, right),
        )
        for _ in range(BLOCKS)
    ]
    loop, plain, product = (min(column) for column in zip(*rows, strict=True))
    rate, most = work / loop, 2 * SIZE**3 / 1e9 / product
    times = f"{1e3 * loop:7.1f} ms{1e3 * plain:7.1f} ms{loop / plain:7.2f}"
    speed = f"{case.options.batch / loop:11.0f}{work:8.2f}{rate:9.1f}{100 * rate / most:9.0f} %"
    print(f"{case.name:26}{torch.get_num_threads():8}{times}{speed}")


if __name__ == "__main__":
    main()
