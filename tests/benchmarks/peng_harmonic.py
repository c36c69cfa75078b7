"""The rows of Peng et al. 2023, Table II, by methods that work on the harmonics.

    python tests/benchmarks/peng_harmonic.py [--rows 15 10 5 15/15 15/5 ...] [--training 4000] [--test 300]

Beside the rows of the paper there are those whose noise says nothing of the amplitude of the signal: in the
paper sigma is tied to the rms of each signal, so that lines without signal tell how strong it is ("absolute":
one sigma for all), and our preset scales each draw of the interference to its expected power, so that the
strongest line and its even part together tell it too ("drawn": no such scaling). The figure is the mean SNR
over the test signals, each denoised from a single period; training and test digits are different pictures.
The oracle is linear and knows the covariance of the clean signals.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from mpikit import Run
from mpikit.experiments import oracle_linear
from mpikit.experiments.peng_data import make_data
from mpikit.experiments.published_peng import TABLE_II
from mpikit.metrics import snr
from mpikit.plugins import registry

ROWS = {
    name: (each.noise, each.lines["unet-gd"].snr)
    for name, each in zip(("15", "10", "5", "15/15", "15/5"), TABLE_II, strict=True)
}
ABSOLUTE = {f"{level} absolute": (f"gaussian:snr_db={level},level=channel",) for level in (15, 10, 5)}
DRAWN = {
    f"15/{level} absolute, drawn": (
        "gaussian:snr_db=15,level=channel",
        f"harmonic:sir_db={level},amplitude=drawn",
    )
    for level in (15, 5)
}
METHODS = {
    "low-rank": ("low-rank", {}),
    "n2n linear": ("harmonic-n2n", {"network": "off"}),
    "n2n network": ("harmonic-n2n", {"network": "on"}),
    "n2n redrawn": ("harmonic-n2n", {"network": "on", "noise": "redrawn"}),
    "mirror network": ("harmonic-n2n", {"network": "on", "pairs": "mirror"}),
    "blind linear": ("harmonic-n2n", {"network": "off", "pairs": "blind-spot"}),
    "blind network": ("harmonic-n2n", {"network": "on", "pairs": "blind-spot"}),
    "sure": ("sure", {}),
    "sure even-part": ("sure", {"noise": "even-part"}),
}


def main():
    for name, noise in {**ABSOLUTE, **DRAWN}.items():
        ROWS[name] = (noise, np.nan)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", default=list(ROWS))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--training", type=int, default=4000)
    parser.add_argument("--test", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for row in given.rows:
        noise, paper = ROWS[row]
        data = make_data("peng2023", noise, training=given.training, test=given.test)
        first, single = data.test_clean[:, 0], data.single
        print(f"{row}: SNR / dB, seconds to fit (paper's own method {paper:.2f} dB)")
        print(f"  {'noisy':16}{snr(single.signal[:, 0, 0], first).mean():8.2f}")
        limit = oracle_linear(data.training, data.training_clean, single.signal[:, 0])
        print(f"  {'oracle linear':16}{snr(limit[:, 0], first).mean():8.2f}")
        for name in given.methods:
            method, options = METHODS[name]
            record = registry().denoiser(method).record
            built = record.build(record.options(**options))
            run = Run(rng=np.random.default_rng(0))
            start = time.perf_counter()
            built.fit([data.training], run=run)
            seconds = time.perf_counter() - start
            found = snr(built.denoise(single, run=run)[:, 0, 0], first)
            half = 1.96 * found.std(ddof=1) / np.sqrt(len(found))
            print(f"  {name:16}{found.mean():8.2f} +- {half:.2f}{seconds:8.1f}", flush=True)


if __name__ == "__main__":
    main()
