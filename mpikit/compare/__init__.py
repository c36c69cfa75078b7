"""Compare denoising methods on one scan or file, with or without a clean reference."""

from mpikit.compare.files import candidates, compare_file
from mpikit.compare.methods import Candidate, compare_scan
from mpikit.compare.reference import TrueScore, read_reference, true_score
from mpikit.compare.result import Comparison, Gain, Row, Skipped, table

__all__ = [
    "Candidate",
    "Comparison",
    "Gain",
    "Row",
    "Skipped",
    "TrueScore",
    "candidates",
    "compare_file",
    "compare_scan",
    "read_reference",
    "table",
    "true_score",
]
