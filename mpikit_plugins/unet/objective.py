"""Loss of Peng et al., and what is done around the network."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mpikit.signal import HarmonicFilter
from mpikit_plugins.unet.options import UNetOptions


class GradientDifference(nn.Module):
    """L1 between repeats, gradient difference and total variation (Peng et al., equations 5 to 9).

    The gradient difference is printed without an absolute value; signed, it telescopes to four samples and
    constrains nothing, so the absolute value is taken. All terms are means. The reflected signal is formed in
    the Fourier domain, with the turning point and the phases of the scan, so that no sample is off by one.

    Parameters
    ----------
    harmonic : HarmonicFilter
        Lines and symmetry.
    level : shape (C,)
        Noise of one sample; channels are divided by it.
    options : UNetOptions
    """

    keep: Tensor
    rotation: Tensor
    holds: Tensor
    level: Tensor

    def __init__(self, harmonic: HarmonicFilter, level: Tensor, options: UNetOptions) -> None:
        super().__init__()
        self.alpha, self.beta = options.alpha, options.beta
        self.samples = harmonic.samples
        self.angular = self.samples / (2 * math.pi) if options.gd_scale == "angular" else 1.0
        self.project = options.project
        symmetry = harmonic.symmetry
        keep = torch.from_numpy(harmonic.keep)
        self.register_buffer("keep", keep)
        angle = torch.zeros(keep.shape) if symmetry is None else torch.from_numpy(symmetry.angle)
        holds = torch.zeros_like(keep) if symmetry is None else torch.from_numpy(symmetry.holds)
        self.register_buffer("rotation", torch.polar(torch.ones_like(angle), angle).to(torch.complex64))
        self.register_buffer("holds", holds)
        self.register_buffer("level", level[:, None])

    def loss(self, network: nn.Module, first: Tensor, second: Tensor) -> Tensor:
        """Loss of a batch of noisy pairs (B, C, V)."""
        first, second = self.prepare(first / self.level), second / self.level
        scale = amplitude(first)
        raw = network(first / scale)
        total = (self.prepare(raw) - second / scale).abs().mean()
        if self.alpha:
            total = total + self.alpha * self.gradient_difference(raw)
        if self.beta:
            total = total + self.beta * slope(raw).abs().mean()
        return total

    def predict(self, network: nn.Module, noisy: Tensor) -> Tensor:
        """Denoise (B, C, V); exactly homogeneous, for the amplitude is divided out and put back."""
        prepared = self.prepare(noisy / self.level)
        output = self.prepare(network(prepared / amplitude(prepared)))
        return output * root_mean_square(prepared) * self.level  # nothing comes out where nothing goes in

    def prepare(self, signal: Tensor) -> Tensor:
        """Keep the lines that count, projected on the symmetry."""
        spectrum = torch.fft.rfft(signal) * self.keep
        if self.project:
            odd = 1j * (spectrum * self.rotation).imag * self.rotation.conj()
            spectrum = torch.where(self.holds, odd, spectrum)
        prepared: Tensor = torch.fft.irfft(spectrum, n=self.samples)
        return prepared

    def gradient_difference(self, signal: Tensor) -> Tensor:
        """Mean |s'(t) - s'(2c - t)|: zero for a signal that is odd about the turning point c."""
        turned = torch.fft.rfft(signal) * self.rotation
        even = torch.where(self.holds, 2 * turned.real * self.rotation.conj(), torch.zeros_like(turned))
        mean: Tensor = slope(torch.fft.irfft(even, n=self.samples)).abs().mean()
        return self.angular * mean


def slope(signal: Tensor) -> Tensor:
    """Differences of neighbouring samples around the period, (..., V)."""
    return signal.roll(-1, dims=-1) - signal


def root_mean_square(signal: Tensor) -> Tensor:
    """Root mean square over channels and samples, (B, 1, 1)."""
    return signal.square().mean(dim=(-2, -1), keepdim=True).sqrt()


def amplitude(signal: Tensor) -> Tensor:
    """`root_mean_square` to divide by: 1 where there is no signal at all."""
    rms = root_mean_square(signal)
    return torch.where(rms > 0, rms, torch.ones_like(rms))
