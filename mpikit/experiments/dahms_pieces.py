"""The pieces of the figures of Dahms et al.: one method, judged on all test samples and a dilution series."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.denoise import denoised, refuse_if_missing
from mpikit.denoise_write import emptied_lines
from mpikit.experiments.dahms_amplitudes import amplitudes, at_place, limits, proportion, signal_phases
from mpikit.experiments.dahms_data import (
    LIMIT_LEVELS,
    PLACE,
    Samples,
    Session,
    grouped,
    highest_trained,
    make_session,
    ten_together,
    tens,
)
from mpikit.experiments.dahms_imaging import Imaging, best_guess
from mpikit.experiments.experiment import Outcome, Piece, Plan, Work
from mpikit.experiments.published_dahms import PRESET
from mpikit.metrics import PositionErrors
from mpikit.options import parse_options
from mpikit.plugins import labelled, registry
from mpikit.records import Run
from mpikit.scan import Scan
from mpikit.signal import subtract_background
from mpikit.simulate import preset

NOISY, REFERENCE, SUBTRACTED, LIMIT = "noisy", "reference", "background subtracted", "posterior median"
SPECIAL = (NOISY, REFERENCE, SUBTRACTED, LIMIT)  # no denoisers of the registry
SINGLE, TOGETHER = "single", "together"  # ten outputs averaged for an image, or ten inputs for an output


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Sizes of a scale.

    Parameters
    ----------
    periods, judged, blanks : int
        See `mpikit.experiments.dahms_data.make_session`.
    seeds : int
        Trainings of each network.
    mpikit, paper : tuple of str
        Options of the networks beside those of the two presets.
    as_printed : bool
        Train in the setting of the paper, too.
    shortened : str
        What is less than in the scale ``full``, in words; empty for that.
    """

    periods: int
    judged: int
    blanks: int
    seeds: int = 1
    mpikit: tuple[str, ...] = ()
    paper: tuple[str, ...] = ()
    as_printed: bool = True
    shortened: str = ""


_TINY = ("features=4", "critic_features=4", "critic_widest=8", "critic_depth=2", "batch=4")
BUDGETS: Mapping[str, Budget] = {
    "smoke": Budget(
        periods=20,
        judged=20,
        blanks=10,
        mpikit=("steps=4", *_TINY),
        paper=("steps=3", *_TINY),
        shortened="a few steps of tiny networks, to see that it runs",
    ),
    # a step of either network takes about 0.11 s of one core, so that the usual 800 are 90 s
    "quick": Budget(
        periods=1000,
        judged=200,
        blanks=100,
        as_printed=False,
        shortened="one training of each network with the steps that are the default, which fits minutes on a "
        "CPU; no training in the setting of the paper",
    ),
    "full": Budget(
        periods=1000, judged=1000, blanks=100, seeds=5, mpikit=("steps=1600",), paper=("steps=40000",)
    ),
}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A method to try.

    Parameters
    ----------
    method : str
        Of the registry, or one of `SPECIAL`.
    label : str
    parameters : tuple of str
        Options of the method.
    training : int
        Which of several trainings.
    """

    method: str
    label: str
    parameters: tuple[str, ...] = ()
    training: int = 0

    @property
    def is_learned(self) -> bool:
        """Whether it trains a network."""
        return self.method not in SPECIAL and registry().denoiser(self.method).record.learned


def trial_piece(plan: Plan, trial: Trial) -> Piece:
    """Return the piece of one method.

    Its outcome has the values `SINGLE` and, of learned methods, `TOGETHER`: see `judged`.

    Raises
    ------
    PluginError, UsageError
        When there is no such method, or its options are wrong.
    """
    budget = BUDGETS[plan.scale]
    settings: dict[str, Any] = {
        "piece": "dahms",
        "scanner": PRESET,
        "noise": list(preset(PRESET).noise),
        "periods": [budget.periods, budget.judged, budget.blanks],
        "seed": plan.seed,
        "method": trial.method,
        "training": trial.training,
    }
    if trial.method in SPECIAL:
        settings["from"] = labelled("mpikit")
    else:
        offer = registry().denoiser(trial.method)
        options = parse_options(offer.record, trial.parameters)
        settings |= {"from": labelled(offer.distribution), "options": options.model_dump(mode="json")}
    words = f", training {trial.training + 1}" if budget.seeds > 1 and trial.is_learned else ""
    return Piece(f"point samples, {trial.label}{words}", settings, partial(_work, plan, trial))


@lru_cache(maxsize=1)  # all pieces of a run have the same
def session_of(scale: str, seed: int) -> Session:
    """Return the simulated session of a scale."""
    budget = BUDGETS[scale]
    return make_session(periods=budget.periods, judged=budget.judged, blanks=budget.blanks, seed=seed)


Apply = Callable[[Scan], NDArray[Any]]  # all periods of a scan, (N, J, C, V)


@dataclass(frozen=True)
class _Way:
    """How signals become what is judged: what is done to the periods, and how periods join to images."""

    apply: Apply
    join: Callable[[NDArray[Any]], NDArray[Any]]


def _work(plan: Plan, trial: Trial, work: Work) -> Outcome:
    session = session_of(plan.scale, plan.seed)
    if trial.method == LIMIT:
        found = best_guess(session.matrix, session.test)
        return Outcome({SINGLE: _position_values(found)}, {}, {"knows": "the clean signals"})
    if trial.method == REFERENCE:
        return _reference(session)
    begun = time.perf_counter()
    apply = _fitted(plan, trial, session, work)
    seconds = time.perf_counter() - begun
    ways = {SINGLE: _Way(apply, grouped)}
    if trial.is_learned:
        ways[TOGETHER] = _Way(lambda scan: apply(ten_together(scan)), lambda outputs: outputs)
    values: dict[str, Any] = {}
    arrays: dict[str, NDArray[Any]] = {}
    for name, way in ways.items():
        values[name], images = judged(session, way.apply, way.join, is_method=trial.method not in SPECIAL)
        arrays[f"{name}_images"] = images
    return Outcome(values, arrays, {"fit_seconds": seconds})


def judged(
    session: Session,
    apply: Apply,
    join: Callable[[NDArray[Any]], NDArray[Any]],
    *,
    is_method: bool,
) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """Find position errors, the grid of settings, amplitudes and limits of what is done to scans.

    Parameters
    ----------
    session : Session
    apply : callable
        Scan to signals (N, J, C, V).
    join : callable
        Those to what makes images, (N, G, C, V).
    is_method : bool
        It may leave nothing on some lines.

    Returns
    -------
    values : dict
        "errors_mm", the mean of each sample; "deviation_mm" of all images; "failed", share of images that
        show nothing; "grid_mm"; "projected", "spread" and "magnitude" of the series, V, and "dose", see
        `mpikit.experiments.dahms_amplitudes`.
    images : shape (L, P), mol(Fe)/L
        One image of each concentration next to the centre.
    """
    outputs = apply(session.test.scan)
    emptied = emptied_lines(session.test.scan.signal, outputs) if is_method else None
    values, images = _imaged(session, join(outputs), emptied)
    phases = signal_phases(session.series, session.series_reference)
    here = float(phases[at_place(session.series)][0])
    series = amplitudes(apply(session.series.scan), phases)
    new, blanks, new_blanks = (
        amplitudes(apply(each.scan), here).projected
        for each in (session.new_series, session.blanks, session.new_blanks)
    )
    dose = limits(session.series, series.projected, blanks, session.new_series, new, new_blanks)
    means, right = series.projected.mean(axis=1), amplitudes(session.series_reference, phases).projected[:, 0]
    above, highest = dose.get("verified", np.inf), highest_trained()
    dose |= proportion(session.series, means, right, above=above, highest=highest)
    values |= {
        "projected": _known(means),
        "spread": _known(series.projected.std(axis=1)),
        "magnitude": _known(series.magnitude.mean(axis=1)),
        "dose": {name: _finite(value) for name, value in dose.items()},
    }
    return values, images


def _reference(session: Session) -> Outcome:
    """Judge the means of 1000 periods; slope from 85 µg/mL on, where the background has no part."""
    values, images = _imaged(session, session.reference.scan.signal, None)
    phases = signal_phases(session.series, session.series_reference)
    series = amplitudes(session.series_reference, phases)
    means = series.projected[:, 0]
    dose = proportion(session.series, means, means, above=LIMIT_LEVELS[-1], highest=highest_trained())
    values |= {
        "projected": _known(means),
        "spread": [0.0] * len(means),
        "magnitude": _known(series.magnitude[:, 0]),
        "dose": {name: _finite(value) for name, value in dose.items()},
    }
    return Outcome({SINGLE: values}, {f"{SINGLE}_images": images})


def _imaged(
    session: Session, signals: NDArray[Any], emptied: NDArray[np.bool_] | None
) -> tuple[dict[str, Any], NDArray[np.float32]]:
    imaging = Imaging(session.matrix, session.test)
    images = imaging.images(signals, emptied)
    values = _position_values(imaging.errors(images))
    values["grid_mm"] = [_known(row) for row in imaging.grid(signals, emptied)]
    return values, _centre_images(session.test, images)


def _centre_images(test: Samples, images: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the first image of each concentration next to the centre, (L, P)."""
    here: NDArray[np.float32] = images[at_place(test, PLACE), 0].astype(np.float32)
    return here.reshape(len(here), -1)


def _position_values(found: PositionErrors) -> dict[str, Any]:
    return {
        "errors_mm": _known(1e3 * found.errors.mean(axis=1)),
        "deviation_mm": float(1e3 * found.deviation),
        "failed": float(found.failed.mean()),
    }


def _known(values: NDArray[np.float64]) -> list[float]:
    return [float(f"{value:.7g}") for value in values]


def _finite(value: Any) -> Any:
    """Return a number or words; None for what is no finite number."""
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _fitted(plan: Plan, trial: Trial, session: Session, work: Work) -> Apply:
    """Fit a method to the training samples; return what denoises."""
    if trial.method == NOISY:
        return lambda scan: scan.signal
    if trial.method == SUBTRACTED:
        return lambda scan: subtract_background(scan).signal
    offer = registry().denoiser(trial.method)
    options = parse_options(offer.record, trial.parameters)
    training = session.training.scan
    refuse_if_missing(training, offer, options)
    checkpoint = work.checkpoint() if work.checkpoint and trial.is_learned else None
    run = Run(
        rng=np.random.default_rng((plan.seed, 3, trial.training)),
        device=work.device,
        tell=work.tell,
        checkpoint=checkpoint,
    )
    later = Run(rng=np.random.default_rng((plan.seed, 4)), device=work.device)
    with offer.blamed():
        fitted = offer.record.build(options)
        fitted.fit([training], run=run)

    def apply(scan: Scan) -> NDArray[Any]:
        # what makes one out of several periods has the ten of an image, and no more
        parts = tens(scan) if offer.record.pools else [scan]
        with offer.blamed():
            return np.concatenate([denoised(fitted, part, later) for part in parts], axis=1)

    return apply
