"""Spectral normalisation against gradient penalty on the data of Dahms et al.: the spread over trainings.

    python tests/benchmarks/dahms_penalty.py [--steps 200] [--trainings 5] [--seed 0] [--output FILE.csv]

`wgan-sn` and `wgan-gp` are trained with the same number of steps, a quarter of the default if not said.
The figures are those of `mpikit reproduce dahms-figure2`, single periods, ten outputs for an image. A
training has collapsed when a strong signal comes out by less than half or more than twice its size.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch

from mpikit.experiments import Plan, Work
from mpikit.experiments.dahms_pieces import SINGLE, Trial, trial_piece
from mpikit.plugins import registry

METHODS = ("wgan-sn", "wgan-gp")


def trained(plan, method, training, steps):
    """Figures of one training."""
    trial = Trial(method=method, label=method, parameters=(f"steps={steps}",), training=training)
    outcome = trial_piece(plan, trial).work(Work())
    found = outcome.values[SINGLE]
    dose = found["dose"]
    return {
        "method": method,
        "training": training,
        "steps": steps,
        "position_error_mm": float(np.mean(found["errors_mm"])),
        "slope": dose.get("slope"),
        "gain_above": dose["gain_above"],
        "collapsed": not 0.5 < dose["gain_above"] < 2,
        "fit_seconds": outcome.about["fit_seconds"],
    }


def show(rows):
    for method in METHODS:
        own = [row for row in rows if row["method"] == method]
        for key in ("position_error_mm", "gain_above", "fit_seconds"):
            values = np.array([row[key] for row in own], float)
            spread = f"sd {values.std(ddof=1):.3f}, range {np.ptp(values):.3f}"
            print(f"{method} {key:18} mean {values.mean():.3f}, {spread}")
        print(f"{method} collapsed: {sum(row['collapsed'] for row in own)} of {len(own)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int)
    parser.add_argument("--trainings", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="of the session")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    plan = Plan(scale="quick", seed=given.seed)
    steps = given.steps or registry().denoiser("wgan-sn").record.options().steps // 4
    rows = []
    for training in range(given.trainings):
        for method in METHODS:
            rows.append(trained(plan, method, training, steps))
            print(rows[-1], flush=True)
    show(rows)
    if given.output is not None:
        with given.output.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
