"""The third column of Figure 4 of Peng et al.: the concentration phantom of OpenMPIData.

Simulated in the scanner of Table III it is denoised by what has learned from digits. The real measurement has
another sequence, so that a method is fitted to it alone, by its repeated frames.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.experiments.experiment import Outcome, Piece, Plan, Work
from mpikit.judging import take_periods
from mpikit.plugins import labelled, parse_noise, parse_options, registry
from mpikit.records import Run
from mpikit.scan import Scan
from mpikit.simulate import make_phantom, preset, simulate_scan

SCANNER = "peng2023-openmpi"
DATASET = "openmpi-concentration-1d"
LAYER = (0.0, 0.0, -3e-3)  # m: brings the upper four chambers into the plane of the trajectory
REPEATS = 20


@dataclass(frozen=True)
class Concentration:
    """The simulated concentration phantom.

    Parameters
    ----------
    scan : Scan
        N frames of J = 2 periods.
    clean : shape (N, C, V), V
    """

    scan: Scan
    clean: NDArray[np.float32]

    @property
    def single(self) -> Scan:
        """The first period of each frame alone."""
        return replace(take_periods(self.scan, np.array([True, False])), repeats="none")


def make_concentration(scanner_name: str, noise: tuple[str, ...], *, seed: int) -> Concentration | None:
    """Simulate the concentration phantom; None for another scanner than that of OpenMPIData.

    Parameters
    ----------
    scanner_name : str
    noise : tuple of str
    seed : int
    """
    if scanner_name != SCANNER:
        return None
    scanner = preset(scanner_name)
    rng = np.random.default_rng((seed, 5))
    phantom = make_phantom(
        "concentration", scanner.phantom.grid(), concentration=None, count=1, rng=rng, centre=LAYER
    )
    scan, clean = simulate_scan(
        scanner, phantom, frames=REPEATS, periods=2, noise=[parse_noise(spec) for spec in noise], rng=rng
    )
    # a method is asked for what it has learned from digits: frames are no repeats here
    return Concentration(replace(scan, repeats="periods"), clean[:, 0].copy())


def cached_measurement() -> Path | None:
    """Return the real measurement, if it was fetched before; nothing is fetched here."""
    from mpikit.datasets import fetched_path
    from mpikit.errors import MpikitError

    try:
        return fetched_path(DATASET)
    except MpikitError:
        return None


def real_piece(plan: Plan, path: Path, method: str, parameters: tuple[str, ...]) -> Piece:
    """Return the piece of one method on the real measurement.

    Parameters
    ----------
    plan : Plan
    path : Path
        MDF file.
    method : str
    parameters : tuple of str
        Its options.
    """
    from mpikit.provenance import sha256

    offer = registry().denoiser(method)
    options = parse_options(offer.record, parameters)
    settings: dict[str, Any] = {
        "piece": "openmpi-concentration",
        "file": sha256(path),
        "method": method,
        "from": labelled(offer.distribution),
        "options": options.model_dump(mode="json"),
        "seed": plan.seed,
    }
    return Piece(f"{DATASET}, {method}", settings, partial(_denoise_real, plan, path, method, parameters))


def _denoise_real(plan: Plan, path: Path, method: str, parameters: tuple[str, ...], work: Work) -> Outcome:
    from mpikit.denoise import denoise_scan
    from mpikit.scan_set import read_repeated
    from mpikit.signal import subtract_background

    scan = read_repeated(path)
    offer = registry().denoiser(method)
    run = Run(rng=np.random.default_rng((plan.seed, 3)), device=work.device, tell=work.tell)
    done = denoise_scan(scan, offer, parse_options(offer.record, parameters), run=run)
    noisy = subtract_background(scan) if done.without_background else scan
    values = {
        "before_snr_db": None if done.before is None else float(done.before.figures.snr_db),
        "after_snr_db": None if done.after is None else float(done.after.figures.snr_db),
        "without_background": done.without_background,
        "no_score": done.no_score,
    }
    mean = noisy.signal.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    arrays = {
        "noisy": noisy.signal[0, 0],
        "signal": done.signal[0, 0],
        "mean": mean,
        "sampling_rate": np.array(scan.sampling_rate),
    }
    return Outcome(values, arrays)
