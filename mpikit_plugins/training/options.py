"""How to train: the options of every learned method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from mpikit import Options
from mpikit_plugins.background import BackgroundOptions

# Peng et al., Sec. III.A; the schedule is not stated there, and training goes on to the end
PAPER_TRAINING: dict[str, Any] = {
    "epochs": 100,
    "batch": 2,
    "learning_rate": 1e-4,
    "schedule": "constant",
    "patience": 1000,
    "ema": 0.0,
    "clip": None,
    "precision": "single",
}
# the network sees the periods as they are
PAPER_PREPARATION: dict[str, Any] = {
    "lines": "all",
    "symmetry": "exact",
    "project": False,
    "decimate": "off",
    "background": "keep",
}


def chosen(options: Options, name: str) -> bool:
    """Whether an option has another value than the preset gives it, or the default where there is none."""
    presets = options.preset_values() if isinstance(options, Presets) else {}
    usual = type(options).model_fields[name].default
    value: bool = getattr(options, name) != presets.get(getattr(options, "preset", ""), {}).get(name, usual)
    return value


class TrainingOptions(Options):
    """How to train; every learned method has these."""

    steps: int = Field(400, ge=1, description="Training steps at most")
    epochs: int | None = Field(None, ge=1, description="Passes over all training data; replaces steps")
    batch: int = Field(16, ge=1, description="Periods, or pairs of them, in one step")
    learning_rate: float = Field(1e-3, gt=0, description="Largest step size of AdamW")
    weight_decay: float = Field(1e-2, ge=0, description="Weight decay of AdamW")
    schedule: Literal["one-cycle", "constant"] = Field("one-cycle", description="Course of the step size")
    clip: float | None = Field(1.0, gt=0, description="Largest norm of the gradient; none: any")
    ema: float = Field(
        0.0, ge=0, lt=1, description="Decay of a running average of the weights, which is used then; 0: none"
    )
    evaluate_every: int | None = Field(
        None, ge=1, description="Steps from one score to the next; none: a fortieth of all, 25 to 500"
    )
    patience: int = Field(
        8, ge=1, description="Scores clearly worse than the best one after which training stops"
    )
    precision: Literal["auto", "single"] = Field(
        "auto", description="Precision of the network; auto: bfloat16 where it helps, on a CUDA device"
    )
    graph: bool = Field(
        True,
        description="On a CUDA device, record a step once as a CUDA graph and replay it, without a launch "
        "from Python (torch.compile is not used); no effect on the CPU",
    )

    @model_validator(mode="after")
    def _check_steps(self) -> TrainingOptions:
        if self.epochs is not None and chosen(self, "steps"):
            preset = getattr(self, "preset", "") if not chosen(self, "epochs") else ""
            by = f" of preset={preset}; epochs=none lets steps count" if preset else ", leave one out"
            raise ValueError(f"steps={self.steps} does nothing beside epochs={self.epochs}{by}")
        return self

    def total_steps(self, items: int) -> int:
        """Count the steps for so many periods, or disjoint pairs of them."""
        return self.steps if self.epochs is None else -(-self.epochs * items // self.batch)

    def interval(self, total: int) -> int:
        """Return the steps from one score to the next, of so many in all."""
        return self.evaluate_every or min(max(total // 40, 25), 500)


class PreparationOptions(BackgroundOptions):
    """What is done to a period before the network sees it, and after."""

    lines: Literal["detected", "all"] = Field(
        "detected", description="Harmonics that the network sees: those above the noise, or all"
    )
    false_alarm: float = Field(
        1e-4, gt=0, lt=1, description="Probability with which a line of noise counts as above the noise"
    )
    symmetry: Literal["fit", "exact", "off"] = Field(
        "fit", description="Symmetry of the scan: with fitted phases, as for an ideal scan, or none"
    )
    project: bool = Field(True, description="Project input and output on the symmetry where it holds")
    decimate: Literal["auto", "off"] = Field(
        "auto", description="Compute on as few samples as the lines above the noise need (lines=detected)"
    )
    scale: Literal["rms", "peak"] = Field(
        "rms", description="What is divided out of a period before the network, and put back after it"
    )

    @model_validator(mode="after")
    def _check_preparation(self) -> PreparationOptions:
        if self.lines == "all" and self.symmetry == "off" and chosen(self, "false_alarm"):
            raise ValueError(f"false_alarm={self.false_alarm} does nothing for lines=all and symmetry=off")
        if self.lines == "all" and chosen(self, "decimate"):
            raise ValueError(f"decimate={self.decimate} does nothing beside lines=all: all samples are used")
        if self.symmetry == "off" and chosen(self, "project"):
            raise ValueError(
                f"project={str(self.project).lower()} does nothing beside symmetry=off: there is nothing to "
                "project on"
            )
        return self


class PairOptions(Options):
    """Which repeats make a pair, for methods that learn one repeat from another."""

    pairs: Literal["pair", "mean", "subset"] = Field(
        "pair",
        description="pair: one repeat from another; mean: one from the mean of all others; subset: the mean "
        "of some from the mean of others, and the network is told how noisy its input is",
    )
    lag: int = Field(1, ge=1, description="Least distance of the two repeats of a pair (pairs=pair)")
    resample: bool = Field(
        True, description="Draw from all repeats; false: from the first two of each signal, as two fixed ones"
    )

    @model_validator(mode="after")
    def _check_lag(self) -> PairOptions:
        if self.lag > 1 and self.pairs != "pair":
            raise ValueError(f"lag={self.lag} has a meaning for pairs=pair alone, not for pairs={self.pairs}")
        if self.pairs != "pair" and not self.resample:
            raise ValueError(
                f"pairs={self.pairs} does nothing beside resample=false, which leaves two repeats; "
                "resample=true lets it count"
            )
        return self


class LearnedOptions(TrainingOptions, PreparationOptions):
    """Options of a learned method: how to train, and what is done before the network and after it."""


class Presets(Options):
    """Base of options with a field ``preset``: it fills what is not given.

    A subclass gives ``preset`` its names, and the values of each by overriding `preset_values`.
    """

    @classmethod
    def preset_values(cls) -> Mapping[str, Mapping[str, Any]]:
        """Values of each preset that has other ones than the defaults."""
        return {}

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {**cls.preset_values().get(str(given.get("preset")), {}), **given}
