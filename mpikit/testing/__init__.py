"""The contract of a plugin in code: run these checks over your records, as mpikit does over its own.

Each check raises AssertionError with a sentence, so that it needs no test framework.
"""

from mpikit.testing.denoiser import check_denoiser
from mpikit.testing.example import example_scan
from mpikit.testing.extremes import check_extremes, extreme_scans
from mpikit.testing.noise_model import check_noise_model

__all__ = ["check_denoiser", "check_extremes", "check_noise_model", "example_scan", "extreme_scans"]
