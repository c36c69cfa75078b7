"""What the empty scanner says about the noise: level, colour, phase-locked lines, drift, fitted models."""

from mpikit.noise_report.fits import Fitted, fit_models, noise_spec
from mpikit.noise_report.report import NoiseReport, measure_noise, plan_noise, report_noise
from mpikit.noise_report.series import enough_background

__all__ = [
    "Fitted",
    "NoiseReport",
    "enough_background",
    "fit_models",
    "measure_noise",
    "noise_spec",
    "plan_noise",
    "report_noise",
]
