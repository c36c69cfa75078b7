"""Figures of merit, each with its definition.

Of signals and images beside a clean reference, with confidence intervals; of signals without one, judged by
independent repeats; and of the residual, which should be noise.
"""

from mpikit.metrics.images import psnr, ssim
from mpikit.metrics.intervals import Interval, bootstrap_mean, paired_difference
from mpikit.metrics.reference_free import (
    ReferenceFree,
    clean_power,
    combine,
    reference_free,
    score_mean,
    score_repeats,
)
from mpikit.metrics.residual import Whiteness, residual_whiteness
from mpikit.metrics.signals import amplitude_bias, equivalent_averages, prd, rmse, scale_invariant_snr, snr

__all__ = [
    "Interval",
    "ReferenceFree",
    "Whiteness",
    "amplitude_bias",
    "bootstrap_mean",
    "clean_power",
    "combine",
    "equivalent_averages",
    "paired_difference",
    "prd",
    "psnr",
    "reference_free",
    "residual_whiteness",
    "rmse",
    "scale_invariant_snr",
    "score_mean",
    "score_repeats",
    "snr",
    "ssim",
]
