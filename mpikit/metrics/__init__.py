"""Figures of merit, each with its definition.

Of signals and images beside a clean reference, with confidence intervals; of dilution series and point
samples; of signals without a reference, judged by independent repeats; and of the residual, which should be
noise.
"""

from mpikit.metrics.averaging import averages_to_reach
from mpikit.metrics.detection import (
    DetectionCheck,
    DetectionLimit,
    check_detection_limit,
    detection_limit,
    verified_limit,
)
from mpikit.metrics.images import nrmse, psnr, ssim
from mpikit.metrics.intervals import Interval, bootstrap_mean, paired_difference
from mpikit.metrics.linearity import Linearity, dose_linearity
from mpikit.metrics.paired import Losses, Spread, View, excess, losses
from mpikit.metrics.positions import PositionErrors, locate, position_errors
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
    "DetectionCheck",
    "DetectionLimit",
    "Interval",
    "Linearity",
    "Losses",
    "PositionErrors",
    "ReferenceFree",
    "Spread",
    "View",
    "Whiteness",
    "amplitude_bias",
    "averages_to_reach",
    "bootstrap_mean",
    "check_detection_limit",
    "clean_power",
    "combine",
    "detection_limit",
    "dose_linearity",
    "equivalent_averages",
    "excess",
    "locate",
    "losses",
    "nrmse",
    "paired_difference",
    "position_errors",
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
    "verified_limit",
]
