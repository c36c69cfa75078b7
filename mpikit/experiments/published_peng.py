"""The tables of Peng et al., Self-supervised Signal Denoising for Magnetic Particle Imaging, 2023."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

PAPER = (
    "H. Peng, Y. Li, X. Yang, J. Tian, H. Hui: Self-supervised Signal Denoising for Magnetic Particle "
    "Imaging, 2023"
)


@dataclass(frozen=True)
class Printed:
    """One line of a table of the paper.

    Parameters
    ----------
    snr, psnr : float, dB
    rmse : float
        In the units of its signals; the factor of the heading is put in.
    ssim : float
    """

    snr: float
    rmse: float
    ssim: float
    psnr: float


@dataclass(frozen=True)
class NoiseType:
    """One type of noise, with what the paper has for it.

    Parameters
    ----------
    name : str
    preset : str
        Scanner of `mpikit.simulate.preset`.
    noise : tuple of str
        As `mpikit.plugins.parse_noise` takes it.
    alpha : float
        Weight of the gradient difference for this type (section III.A).
    lines : mapping of str to Printed
        By method: "noisy", "n2n", "r2r", "unet-gd".
    """

    name: str
    preset: str
    noise: tuple[str, ...]
    alpha: float
    lines: Mapping[str, Printed]


def _lines(factor: float, *rows: tuple[float, float, float, float]) -> Mapping[str, Printed]:
    methods = ("noisy", "n2n", "r2r", "unet-gd")
    return MappingProxyType(
        {
            method: Printed(snr, rmse * factor, ssim, psnr)
            for method, (snr, rmse, ssim, psnr) in zip(methods, rows, strict=True)
        }
    )


TABLE_II = (
    NoiseType(
        "Gaussian 15 dB",
        "peng2023",
        ("gaussian:snr_db=15",),
        0.03,
        _lines(
            1e-3,
            (15.00, 40.56, 0.74, 30.03),
            (22.78, 16.87, 0.95, 34.48),
            (21.82, 19.00, 0.96, 35.18),
            (26.10, 11.39, 0.98, 37.68),
        ),
    ),
    NoiseType(
        "Gaussian 10 dB",
        "peng2023",
        ("gaussian:snr_db=10",),
        0.03,
        _lines(
            1e-3,
            (10.00, 72.13, 0.56, 25.41),
            (19.97, 23.00, 0.92, 31.60),
            (16.82, 33.52, 0.91, 29.81),
            (23.83, 14.79, 0.97, 34.72),
        ),
    ),
    NoiseType(
        "Gaussian 5 dB",
        "peng2023",
        ("gaussian:snr_db=5",),
        0.03,
        _lines(
            1e-3,
            (5.00, 128.27, 0.39, 21.13),
            (16.53, 34.17, 0.87, 28.30),
            (11.68, 60.50, 0.69, 24.90),
            (20.97, 20.95, 0.95, 31.66),
        ),
    ),
    NoiseType(
        "Gaussian 15 dB, interference 15 dB",
        "peng2023",
        ("gaussian:snr_db=15", "harmonic:sir_db=15"),
        0.08,
        _lines(
            1e-3,
            (12.66, 53.72, 0.68, 27.96),
            (20.94, 20.91, 0.94, 32.67),
            (18.18, 29.16, 0.88, 30.65),
            (25.13, 12.61, 0.96, 34.07),
        ),
    ),
    NoiseType(
        "Gaussian 15 dB, interference 5 dB",
        "peng2023",
        ("gaussian:snr_db=15", "harmonic:sir_db=5"),
        0.5,
        _lines(
            1e-3,
            (6.20, 116.33, 0.47, 22.58),
            (17.48, 30.92, 0.89, 29.06),
            (8.83, 88.04, 0.55, 23.23),
            (22.72, 16.59, 0.94, 31.46),
        ),
    ),
)
FIVE_DB = TABLE_II[2]  # of the ablation, and of figure 3 here

TABLE_III = NoiseType(
    "OpenMPIData: Gaussian 15 dB, interference 5 dB",
    "peng2023-openmpi",
    ("gaussian:snr_db=15", "harmonic:sir_db=5"),
    0.5,  # not stated for this table: that of the same noise in Table II
    _lines(
        1e-4,
        (4.86, 54.41, 0.74, 19.89),
        (18.88, 9.58, 0.93, 25.32),
        (15.04, 15.34, 0.81, 21.60),
        (24.09, 5.28, 0.95, 26.20),
    ),
)

# Table IV, on 5 dB of Gaussian noise
ABLATION: Mapping[str, Printed] = MappingProxyType(
    {
        "L1": Printed(18.97, 25.72e-3, 0.95, 31.53),
        "L1 + GD": Printed(19.49, 24.19e-3, 0.94, 30.20),
        "L1 + TV": Printed(18.89, 25.92e-3, 0.94, 29.35),
        "L1 + GD + TV": Printed(20.79, 20.95e-3, 0.95, 31.66),
    }
)
ALPHA, BETA = 0.03, 0.01  # of the ablation: those of section III.A for Gaussian noise

TRAINING, VALIDATION, TEST = 8000, 1000, 1000  # signals
EPOCHS = 100
