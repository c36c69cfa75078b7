"""Options of every learned method."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from mpikit_plugins import training
from mpikit_plugins.n2n.options import Noise2NoiseOptions
from mpikit_plugins.networks.options import PAPER, PAPER_NETWORK
from mpikit_plugins.r2r.options import RecorruptedOptions
from mpikit_plugins.training import LearnedOptions, TrainingOptions
from mpikit_plugins.unet.options import UNetOptions


@pytest.mark.parametrize(
    ("epochs", "batch", "pairs", "steps"),
    [(None, 16, 1000, 400), (1, 2, 7, 4), (3, 2, 7, 11), (5, 64, 3, 1), (100, 2, 8000, 400_000)],
)
def test_steps_are_counted_for_whole_passes(epochs, batch, pairs, steps):
    assert TrainingOptions(epochs=epochs, batch=batch).total_steps(pairs) == steps


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"epochs": 0},
        {"batch": 0},
        {"learning_rate": 0},
        {"weight_decay": -1},
        {"clip": 0},
        {"patience": 0},
        {"evaluate_every": 0},
        {"schedule": "cosine"},
        {"rate": 1},
    ],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        TrainingOptions(**wrong)


def test_a_preset_fills_what_is_not_given():
    paper = UNetOptions(preset="paper", batch=8, symmetry="fit")
    for name, value in PAPER.items():
        assert getattr(paper, name) == {"batch": 8, "symmetry": "fit"}.get(name, value)
    assert (paper.alpha, paper.beta, paper.learning_rate, paper.epochs) == (0.03, 0.01, 1e-4, 100)
    default = UNetOptions()
    assert (default.preset, default.bias, default.project, default.epochs) == ("mpikit", False, True, None)
    assert UNetOptions.model_validate(paper.model_dump()) == paper
    assert UNetOptions.model_validate(UNetOptions(preset="paper", epochs=None).model_dump()).epochs is None


@pytest.mark.parametrize("options", [UNetOptions, Noise2NoiseOptions, RecorruptedOptions])
def test_every_method_has_the_network_of_the_paper(options):
    paper = options(preset="paper")
    for name, value in PAPER.items():
        assert getattr(paper, name) == value
    assert set(PAPER_NETWORK) <= set(PAPER)
    assert all(field.description for field in options.model_fields.values())


@pytest.mark.parametrize(
    ("total", "said", "interval"),
    [(400, None, 25), (60, None, 25), (4000, None, 100), (10**6, None, 500), (400, 7, 7)],
)
def test_how_often_a_training_is_judged(total, said, interval):
    assert TrainingOptions(evaluate_every=said).interval(total) == interval


def test_a_lag_needs_pairs():
    assert UNetOptions(lag=3).lag == 3
    with pytest.raises(ValidationError, match="lag=3 has a meaning for pairs=pair alone"):
        UNetOptions(lag=3, pairs="mean")


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        (TrainingOptions, {"steps": 7, "epochs": 3}, "steps=7 does nothing beside epochs=3"),
        (TrainingOptions, {"steps": 7, "epochs": 3}, "epochs=3, leave one out"),
        (
            UNetOptions,
            {"preset": "paper", "steps": 7},
            "steps=7 does nothing beside epochs=100 of preset=paper; epochs=none lets steps count",
        ),
        (UNetOptions, {"preset": "paper", "steps": 7, "epochs": 3}, "epochs=3, leave one out"),
        (UNetOptions, {"gd_scale": "angular", "alpha": 0}, "gd_scale=angular does nothing beside alpha=0"),
        (
            UNetOptions,
            {"gd_scale": "angular", "symmetry": "off"},
            "gd_scale=angular does nothing beside symmetry=off",
        ),
        (UNetOptions, {"pairs": "mean", "resample": False}, "pairs=mean does nothing beside resample=false"),
        (
            Noise2NoiseOptions,
            {"preset": "paper", "pairs": "subset"},
            "pairs=subset does nothing beside resample=false",
        ),
        (RecorruptedOptions, {"sigma": 2, "level": "period"}, "sigma=2.0 does nothing beside level=period"),
        (UNetOptions, {"symmetry": "off", "alpha": 0.3}, "alpha=0.3 does nothing without symmetry"),
        (
            UNetOptions,
            {"lines": "all", "symmetry": "off", "false_alarm": 0.1},
            "false_alarm=0.1 does nothing",
        ),
        (Noise2NoiseOptions, {"delta": 2, "loss": "l1"}, "delta=2.0 has a meaning for loss=huber alone"),
        (LearnedOptions, {"lines": "all", "decimate": "off"}, "decimate=off does nothing beside lines=all"),
        (UNetOptions, {"preset": "paper", "decimate": "auto"}, "decimate=auto does nothing beside lines=all"),
        (
            UNetOptions,
            {"symmetry": "off", "project": False},
            "project=false does nothing beside symmetry=off",
        ),
        (
            UNetOptions,
            {"preset": "paper", "symmetry": "off", "project": True},
            "project=true does nothing beside symmetry=off",
        ),
        (RecorruptedOptions, {"sigma": 2, "noise": "white"}, "noise=white does nothing beside sigma=2.0"),
        (
            RecorruptedOptions,
            {"preset": "paper", "sigma": 2, "noise": "coloured"},
            "noise=coloured does nothing beside sigma=2.0",
        ),
    ],
)
def test_options_that_do_nothing_are_refused(model, options, words):
    with pytest.raises(ValidationError, match=words):
        model(**options)


@pytest.mark.parametrize(
    "options",
    [
        UNetOptions(preset="paper", steps=7, epochs=None),
        UNetOptions(symmetry="off"),
        UNetOptions(symmetry="off", alpha=0),
        UNetOptions(gd_scale="angular"),
        Noise2NoiseOptions(preset="paper", pairs="mean", resample=True),
        RecorruptedOptions(level="period", noise="white"),
        UNetOptions(lines="all", false_alarm=0.1),  # on those lines the symmetry is fitted
        UNetOptions(preset="paper", symmetry="off"),
        UNetOptions(preset="paper", lines="detected", decimate="auto", project=True),
        RecorruptedOptions(sigma=2),
        RecorruptedOptions(preset="paper", sigma=2),
        Noise2NoiseOptions(delta=2, loss="huber"),
        Noise2NoiseOptions(preset="paper"),
    ],
)
def test_what_a_model_file_says_is_taken_back(options):
    assert type(options).model_validate(options.model_dump(mode="json")) == options


def test_the_public_names_are_there():
    for name in training.__all__:
        assert getattr(training, name).__name__ == name
    with pytest.raises(AttributeError, match=r"mpikit_plugins\.training has no 'nothing'"):
        _ = training.nothing
