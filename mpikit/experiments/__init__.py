"""The published experiments that we reproduce: their pieces, tables and figures, beside the papers'."""

from mpikit.experiments.catalogue import ALL, experiments, find_experiments
from mpikit.experiments.changes import Change, changes, read_records
from mpikit.experiments.experiment import (
    SCALES,
    Cell,
    Drawing,
    Experiment,
    Findings,
    Line,
    Metric,
    Outcome,
    Piece,
    Plan,
    Scale,
    Table,
    Work,
    mean_cell,
)
from mpikit.experiments.oracle import oracle_linear
from mpikit.experiments.outputs import write_outputs
from mpikit.experiments.results_page import write_results_page
from mpikit.experiments.run import Found, StoppedError, plan_run, run_experiments

__all__ = [
    "ALL",
    "SCALES",
    "Cell",
    "Change",
    "Drawing",
    "Experiment",
    "Findings",
    "Found",
    "Line",
    "Metric",
    "Outcome",
    "Piece",
    "Plan",
    "Scale",
    "StoppedError",
    "Table",
    "Work",
    "changes",
    "experiments",
    "find_experiments",
    "mean_cell",
    "oracle_linear",
    "plan_run",
    "read_records",
    "run_experiments",
    "write_outputs",
    "write_results_page",
]
