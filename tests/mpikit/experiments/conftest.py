"""A small experiment of two pieces, whose work can be counted, made to fail and interrupted."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from mpikit.experiments import (
    Cell,
    Drawing,
    Experiment,
    Findings,
    Line,
    Metric,
    Outcome,
    Piece,
    Table,
    mean_cell,
)
from mpikit.experiments.notes import Choice


@dataclass
class Small:
    """The experiment, what its pieces did, and what they shall raise."""

    done: list[str] = field(default_factory=list)
    raises: dict[str, BaseException] = field(default_factory=dict)
    add: float = 0.0

    def pieces(self, plan):
        return [self.piece(plan, name) for name in ("first", "second")]

    def piece(self, plan, name):
        settings = {"piece": "small", "method": name, "seed": plan.seed, "scale": plan.scale}
        return Piece(f"<b>{name}</b>", settings, lambda _: self.work(name))

    def work(self, name):
        if name in self.raises:
            raise self.raises[name]
        self.done.append(name)
        values = np.arange(4.0) + {"first": 10, "second": 20}[name] + self.add
        return Outcome({"snr": list(values)}, {"signal": np.arange(3, dtype=np.float32)}, {"chosen": "x"})

    def join(self, plan, outcomes):
        found = {name: outcomes.get(self.piece(plan, name).key) for name in ("first", "second")}
        lines = tuple(
            Line(
                group="noise & more",
                label=f"<b>{name}</b>",
                kind="simple",
                cells={
                    "SNR": mean_cell(outcome.values["snr"], paper=12.5 if name == "first" else None),
                    "size": Cell(),
                },
                seconds=12.3,
            )
            for name, outcome in found.items()
            if outcome is not None
        )
        metrics = (Metric("SNR", "dB"), Metric("size", better="low"))
        table = Table(name="small-table", title="Small", group="noise", metrics=metrics, lines=lines)
        drawing = Drawing(name="small-figure", caption="A <figure>", draw=self.draw)
        remarks = (f"{len(lines)} lines",)
        return Findings(tables=(table,), drawings=(drawing,), remarks=remarks)

    @staticmethod
    def draw():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(4, 2))
        figure.subplots().plot([0, 1])
        return figure

    def experiment(self, name="small"):
        return Experiment(
            name=name,
            title="A small one",
            paper="A. Author: On <small> things, 2020",
            source="Table I",
            pieces=self.pieces,
            join=self.join,
            open_choices=(Choice("size", "not stated", "small"),),
            misprints=("Table I has a wrong sign.",),
        )


@pytest.fixture
def small():
    return Small()
