"""What physics knows about one drive-field period: repeats, noise, background, harmonics, symmetry."""

from mpikit.signal.background import shared_background_noise, subtract_background
from mpikit.signal.factors import FactorModel, fit_factors
from mpikit.signal.harmonics import HarmonicFilter, drive_field_lines, find_filter, fit_harmonic_filter
from mpikit.signal.lines import CleanSignals, LineCoefficients, fit_line_coefficients
from mpikit.signal.lowrank import LowRankFilter, fit_low_rank, fit_noise2noise, shrink_matrix
from mpikit.signal.measured import MeasuredLines, measure_lines
from mpikit.signal.noise import NoiseStatistics, noise_statistics
from mpikit.signal.repeats import find_repeats
from mpikit.signal.stacks import stack_repeats, unstack_repeats
from mpikit.signal.sure import SureFilter, even_part_noise, fit_sure
from mpikit.signal.symmetry import Symmetry, fit_symmetry, symmetry_center
from mpikit.signal.views import both_parts, half_period_views, mirror_views
from mpikit.signal.wiener import LineGains, fit_line_gains

__all__ = [
    "CleanSignals",
    "FactorModel",
    "HarmonicFilter",
    "LineCoefficients",
    "LineGains",
    "LowRankFilter",
    "MeasuredLines",
    "NoiseStatistics",
    "SureFilter",
    "Symmetry",
    "both_parts",
    "drive_field_lines",
    "even_part_noise",
    "find_filter",
    "find_repeats",
    "fit_factors",
    "fit_harmonic_filter",
    "fit_line_coefficients",
    "fit_line_gains",
    "fit_low_rank",
    "fit_noise2noise",
    "fit_sure",
    "fit_symmetry",
    "half_period_views",
    "measure_lines",
    "mirror_views",
    "noise_statistics",
    "shared_background_noise",
    "shrink_matrix",
    "stack_repeats",
    "subtract_background",
    "symmetry_center",
    "unstack_repeats",
]
