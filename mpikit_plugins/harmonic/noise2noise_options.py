"""Options of `harmonic-n2n`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mpikit_plugins.harmonic.options import LineOptions
from mpikit_plugins.training.options import TrainingOptions

ENOUGH = 200  # clean signals from which a network can learn what a linear filter cannot
OF_THE_NETWORK = ("steps", "batch", "learning_rate", "evaluate_every", "width", "noise")


class HarmonicNoise2NoiseOptions(LineOptions):
    """Options of self-supervised learning on the lines."""

    pairs: Literal["auto", "repeats", "mirror", "blind-spot"] = Field(
        "auto",
        description="What it learns from: repeats; each period and its mirror image (by the symmetry, views "
        "of one signal); the lines of a period from its other lines; or repeats if there are any, else "
        "mirror images",
    )
    network: Literal["auto", "on", "off"] = Field(
        "auto",
        description="A small network on top of the linear filter, kept only if it is better on signals kept "
        f"back; auto: from {ENOUGH} different signals on, if their noise is not Gaussian",
    )
    noise: Literal["fixed", "redrawn"] = Field(
        "fixed",
        description="Noise that the network learns from: fixed pairs, each as measured; or redrawn in every "
        "step, line by line, from any two repeats (for noise that is independent between lines)",
    )
    hidden: float = Field(
        0.2, ge=0.05, le=0.5, description="Part of the lines that is hidden at a time (pairs=blind-spot)"
    )
    width: int = Field(256, ge=1, description="Units in each of the three hidden layers of the network")
    steps: int = Field(1500, ge=1, description="Training steps of the network at most")
    batch: int = Field(128, ge=1, description="Pairs in one training step")
    learning_rate: float = Field(1e-3, gt=0, description="Largest step size of AdamW")
    evaluate_every: int | None = Field(
        None, ge=1, description="Steps from one score to the next; none: a fortieth of all, 25 to 500"
    )

    @model_validator(mode="after")
    def _check_use(self) -> HarmonicNoise2NoiseOptions:
        if self.network == "off":
            for name in OF_THE_NETWORK:
                self._refuse(name, "network=off")
        if self.pairs != "blind-spot":
            self._refuse("hidden", f"pairs={self.pairs}")
        elif self.network == "off":
            self._refuse("hidden", "network=off")
        else:
            self._refuse("noise", "pairs=blind-spot, which has one period alone")
        return self

    def _refuse(self, name: str, where: str) -> None:
        """Refuse an option that does nothing."""
        if getattr(self, name) != type(self).model_fields[name].default:
            raise ValueError(f"{name}={getattr(self, name)} does nothing for {where}")

    def training(self) -> TrainingOptions:
        """Return how the network is trained."""
        return TrainingOptions(
            steps=self.steps,
            batch=self.batch,
            learning_rate=self.learning_rate,
            evaluate_every=self.evaluate_every,
            ema=0.99,
        )
