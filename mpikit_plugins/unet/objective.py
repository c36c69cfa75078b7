"""The priors of Peng et al.: gradient difference and total variation."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mpikit_plugins.training.preparation import Preparation


def slope(signal: Tensor) -> Tensor:
    """Differences of neighbouring samples around the period, (..., W)."""
    return signal.roll(-1, dims=-1) - signal


def gradient_difference(signal: Tensor, preparation: Preparation) -> Tensor:
    """Mean |s'(t) - s'(2c - t)|: zero for a signal that is odd about the turning point c.

    It is printed without an absolute value; signed, it telescopes to four samples and constrains nothing, so
    the absolute value is taken. The reflected signal is formed in the Fourier domain, with the turning point
    and the phases of the scan, so that no sample is off by one.

    Parameters
    ----------
    signal : shape (B, C, W)
    preparation : Preparation
        With lines and symmetry on the grid.

    Returns
    -------
    shape ()
        Per sample of the grid.
    """
    turned = torch.fft.rfft(signal) * preparation.rotation
    even = torch.where(
        preparation.holds, 2 * turned.real * preparation.rotation.conj(), torch.zeros_like(turned)
    )
    return slope(torch.fft.irfft(even, n=preparation.grid)).abs().mean()


def total_variation(signal: Tensor) -> Tensor:
    """Mean |s(t+1) - s(t)| around the period (Peng et al.), per sample of the grid."""
    return slope(signal).abs().mean()


def per_sample(preparation: Preparation) -> float:
    """Turn differences between samples of the grid into those between samples of the measurement."""
    return preparation.grid / preparation.samples


def per_radian(preparation: Preparation) -> float:
    """Turn differences between samples of the grid into slopes per radian of the period."""
    return preparation.grid / (2 * math.pi)
