"""How to train: the options of every learned method."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mpikit import Options


class TrainingOptions(Options):
    """How to train; every learned method has these."""

    steps: int = Field(400, ge=1, description="Training steps at most")
    epochs: int | None = Field(None, ge=1, description="Passes over all pairs of repeats; replaces steps")
    batch: int = Field(16, ge=1, description="Pairs of periods in one step")
    learning_rate: float = Field(2e-3, gt=0, description="Largest step size of AdamW")
    weight_decay: float = Field(1e-2, ge=0, description="Weight decay of AdamW")
    schedule: Literal["one-cycle", "constant"] = Field("one-cycle", description="Course of the step size")
    clip: float = Field(1.0, gt=0, description="Largest norm of the gradient")
    evaluate_every: int = Field(25, ge=1, description="Steps from one reference-free score to the next")
    patience: int = Field(8, ge=1, description="Scores without a new best one after which training stops")

    def total_steps(self, pairs: int) -> int:
        """Count the steps for so many disjoint pairs of repeats."""
        return self.steps if self.epochs is None else -(-self.epochs * pairs // self.batch)
