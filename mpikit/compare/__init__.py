"""Compare denoising methods on one scan or file, with or without a clean reference, and choose one."""

from mpikit.compare.auto import Choice, choose, denoise_chosen
from mpikit.compare.auto_options import auto_candidates
from mpikit.compare.choice import SIMPLICITY, Verdict, simplest
from mpikit.compare.files import candidates, compare_file, plan_comparison
from mpikit.compare.methods import Candidate, compare_scan
from mpikit.compare.reference import SignalFigures, TrueScore, read_reference, true_score
from mpikit.compare.result import (
    Comparison,
    Gain,
    Interrupted,
    NotWrittenError,
    Row,
    Skipped,
    signal_table,
    table,
)

__all__ = [
    "SIMPLICITY",
    "Candidate",
    "Choice",
    "Comparison",
    "Gain",
    "Interrupted",
    "NotWrittenError",
    "Row",
    "SignalFigures",
    "Skipped",
    "TrueScore",
    "Verdict",
    "auto_candidates",
    "candidates",
    "choose",
    "compare_file",
    "compare_scan",
    "denoise_chosen",
    "plan_comparison",
    "read_reference",
    "signal_table",
    "simplest",
    "table",
    "true_score",
]
