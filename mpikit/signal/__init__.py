"""What physics knows about one drive-field period: repeats, noise, background, harmonics, symmetry."""

from mpikit.signal.background import shared_background_noise, subtract_background
from mpikit.signal.harmonics import HarmonicFilter, drive_field_lines, fit_harmonic_filter
from mpikit.signal.noise import NoiseStatistics, noise_statistics
from mpikit.signal.repeats import find_repeats
from mpikit.signal.stacks import stack_repeats, unstack_repeats
from mpikit.signal.symmetry import Symmetry, fit_symmetry, symmetry_center

__all__ = [
    "HarmonicFilter",
    "NoiseStatistics",
    "Symmetry",
    "drive_field_lines",
    "find_repeats",
    "fit_harmonic_filter",
    "fit_symmetry",
    "noise_statistics",
    "shared_background_noise",
    "stack_repeats",
    "subtract_background",
    "symmetry_center",
    "unstack_repeats",
]
