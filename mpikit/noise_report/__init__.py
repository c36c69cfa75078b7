"""What the empty scanner says about the noise: level, colour, phase-locked lines, drift, fitted models."""

from mpikit.noise_report.fits import Fitted, fit_models, noise_spec
from mpikit.noise_report.report import NoiseReport, measure_noise, report_noise

__all__ = ["Fitted", "NoiseReport", "fit_models", "measure_noise", "noise_spec", "report_noise"]
