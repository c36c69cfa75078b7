"""What is done to a period before the network and after it: lines, symmetry, noise level, coarser grid.

As only some low lines carry signal, the network may work on fewer samples than were measured: the spectrum is
cut above them, and the samples between are put back after the network. Nothing that is kept is lost by that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mpikit import Run, Scan
from mpikit.errors import InputError
from mpikit.signal import HarmonicFilter, drive_field_lines, fit_harmonic_filter, noise_statistics
from mpikit_plugins.harmonic import describe
from mpikit_plugins.training.options import PreparationOptions
from mpikit_plugins.training.repeats import Signals

Lengths = Callable[
    [bool], tuple[int, int]
]  # of a coarse grid or not: multiples of the first, from the second
MARGIN = 1.15  # samples of the grid over the fewest that its highest line needs
WORTH = 0.75  # a grid that is hardly coarser is not worth the way to it and back
AT_ONCE = 256  # periods transformed at a time, a bound on memory


class Preparation(nn.Module):
    """The filter around a network, and the grid that the network works on.

    Parameters
    ----------
    harmonic : HarmonicFilter
        Lines and symmetry at V samples.
    level : shape (C,), unit of the scan
        Noise of one sample; channels are divided by it before the network.
    grid : int
        W, samples of a period on the grid; V when it is that of the measurement.
    project : bool
        Project on the symmetry.
    """

    keep: Tensor
    rotation: Tensor
    holds: Tensor
    level: Tensor

    def __init__(
        self, harmonic: HarmonicFilter, level: NDArray[np.float32], grid: int, *, project: bool
    ) -> None:
        super().__init__()
        lines = grid // 2 + 1
        symmetry = harmonic.symmetry
        keep = harmonic.keep[:, :lines]
        angle = np.zeros(keep.shape) if symmetry is None else symmetry.angle[:, :lines]
        holds = np.zeros(keep.shape, bool) if symmetry is None else symmetry.holds[:, :lines]
        self.harmonic, self.grid, self.project_symmetry = harmonic, grid, project
        self.register_buffer("keep", torch.from_numpy(keep.copy()))
        self.register_buffer("rotation", torch.from_numpy(np.exp(1j * angle).astype(np.complex64)))
        self.register_buffer("holds", torch.from_numpy(holds.copy()))
        self.register_buffer("level", torch.from_numpy(level.copy())[:, None])

    @property
    def samples(self) -> int:
        """V of the measurement."""
        return self.harmonic.samples

    @property
    def seen(self) -> HarmonicFilter:
        """The filter as it acts on input and output: without symmetry when that is not projected on."""
        return self.harmonic if self.project_symmetry else replace(self.harmonic, symmetry=None)

    def reduce(self, signal: Signals) -> Signals:
        """Bring signals (..., C, V) to the grid, (..., C, W): the spectrum is cut, nothing else."""
        self.harmonic.check(signal.shape)
        return _resample(signal, self.grid)

    def expand(self, signal: Signals) -> Signals:
        """Bring signals (..., C, W) back to V samples."""
        return _resample(signal, self.samples)

    def line_power(self, power: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bring the noise power of lines (C, K), unit squared, to those of the grid."""
        cut = power[:, : self.grid // 2 + 1] * (self.grid / self.samples) ** 2
        if self.grid != self.samples and self.grid % 2 == 0:
            cut[:, -1] = 0  # its last line is not used, for sampling keeps no phase of it
        return cut

    def project(self, signal: Tensor) -> Tensor:
        """Keep the lines that count, projected on the symmetry, in signals (..., C, W)."""
        spectrum = torch.fft.rfft(signal) * self.keep
        if self.project_symmetry:
            odd = 1j * (spectrum * self.rotation).imag * self.rotation.conj()
            spectrum = torch.where(self.holds, odd, spectrum)
        projected: Tensor = torch.fft.irfft(spectrum, n=self.grid)
        return projected

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that was found, as arrays."""
        level = self.level[:, 0].cpu().numpy()
        return {**self.harmonic.state(), "level": level, "grid": np.array(self.grid)}

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]], *, project: bool) -> Preparation:
        """Take back what `state` returned.

        Raises
        ------
        InputError
            When the arrays do not fit together, or are no such numbers.
        """
        harmonic = HarmonicFilter.restore(state)
        level, grid = np.asarray(state["level"], np.float32), int(state["grid"])
        if words := _damage(harmonic, level, grid):
            raise InputError(f"the state of the method is damaged: {words}", hint="train anew")
        return cls(harmonic, level, grid, project=project)


def _damage(harmonic: HarmonicFilter, level: NDArray[np.float32], grid: int) -> str:
    """Say what is wrong with the arrays of a preparation."""
    if not 2 <= grid <= harmonic.samples:
        return f"a grid of {grid} samples for periods of {harmonic.samples}"
    wanted = (level.size, harmonic.samples // 2 + 1)
    arrays: dict[str, NDArray[Any]] = {"keep": harmonic.keep}
    if harmonic.symmetry is not None:
        arrays |= {"angle": harmonic.symmetry.angle, "holds": harmonic.symmetry.holds}
    for name, array in arrays.items():
        if array.shape != wanted:
            return f"{name} has the shape {array.shape}, expected {wanted} (channels, lines)"
        if name != "angle" and array.dtype != bool:
            return f"{name} is no array of truth values"
        if not np.isfinite(array).all():
            return f"{name} has values that are no numbers"
    if level.ndim != 1 or not (np.isfinite(level) & (level > 0)).all():
        return "the noise level of each channel must be a positive number"
    return ""


def fit_preparation(
    scans: Sequence[Scan], options: PreparationOptions, *, lengths: Lengths, run: Run
) -> Preparation:
    """Find lines, symmetry, noise level and grid.

    Parameters
    ----------
    scans : sequence of Scan
        Free of background, or the background counts as signal.
    options : PreparationOptions
    lengths : callable
        Says which lengths of a period the network takes without padding, on a coarse grid or not: multiples
        of the first number, not below the second.
    run : Run

    Raises
    ------
    InputError
        When there is nothing to learn from, or the scans do not fit together.
    """
    harmonic = fit_harmonic_filter(scans, false_alarm=options.false_alarm, symmetry=options.symmetry)
    grid = harmonic.samples
    if options.lines == "all":
        harmonic = replace(harmonic, keep=np.tile(drive_field_lines(scans[0]), (len(harmonic.keep), 1)))
    elif harmonic.keep.any() and options.decimate == "auto":
        grid = _coarsest(highest_line(scans, harmonic, options), harmonic.samples, lengths(True))
        harmonic = _cut(harmonic, grid)
    if not harmonic.keep.any():
        raise InputError(
            "no line of the spectrum stands out of the noise, there is nothing to learn from",
            hint="raise false_alarm, or set lines=all",
        )
    if options.lines == "detected":
        run.tell(describe(harmonic))
    return Preparation(harmonic, noise_levels(scans), grid, project=options.project)


def highest_line(scans: Sequence[Scan], harmonic: HarmonicFilter, options: PreparationOptions) -> int:
    """Highest line that carries signal for certain: ``false_alarm`` is shared out over all lines."""
    strict = fit_harmonic_filter(
        scans, false_alarm=options.false_alarm / harmonic.keep.size, symmetry="off"
    ).keep.any(axis=0)
    lines = np.flatnonzero(strict if strict.any() else harmonic.keep.any(axis=0))
    return int(lines[-1])


def _coarsest(line: int, samples: int, lengths: tuple[int, int]) -> int:
    """Fewest samples that hold a line with a margin, in a length that the network takes as it is."""
    multiple, least = lengths
    wanted = max(int(np.ceil(MARGIN * (2 * line + 1) / multiple)) * multiple, least)
    return wanted if wanted <= WORTH * samples else samples


def _cut(harmonic: HarmonicFilter, grid: int) -> HarmonicFilter:
    """Drop the lines that the grid does not hold: so far up they are false alarms."""
    keep = harmonic.keep.copy()
    if grid != harmonic.samples:
        keep[:, (grid - 1) // 2 + 1 :] = False
    return replace(harmonic, keep=keep)


def _resample(signal: Signals, samples: int) -> Signals:
    """Give periods another number of samples: lines that both hold stay, the others are left out or zero."""
    before = signal.shape[-1]
    if before == samples:
        return np.array(signal, np.float32)
    flat = signal.reshape(-1, signal.shape[-2], before)
    output: Signals = np.empty((*flat.shape[:-1], samples), np.float32)
    lines = (min(before, samples) - 1) // 2 + 1  # below the Nyquist line of either
    for start in range(0, len(flat), AT_ONCE):
        spectra = np.fft.rfft(flat[start : start + AT_ONCE].astype(np.float64))[..., :lines]
        output[start : start + AT_ONCE] = np.fft.irfft(spectra, n=samples) * (samples / before)
    return output.reshape(*signal.shape[:-1], samples)


def noise_levels(scans: Sequence[Scan]) -> NDArray[np.float32]:
    """Noise of one sample of each channel, or the signal where there is no noise; (C,)."""
    noise: NDArray[np.float64] = np.sqrt(
        np.mean([noise_statistics(scan).sigma ** 2 for scan in scans], axis=0)
    )
    signal: NDArray[np.float64] = np.sqrt(
        np.mean([np.mean(np.square(scan.signal, dtype=float), axis=(0, 1, 3)) for scan in scans], axis=0)
    )
    level = np.where(noise > 1e-6 * signal, noise, signal)
    return np.where(level > 0, level, 1).astype(np.float32)


def root_mean_square(signal: Tensor) -> Tensor:
    """Root mean square over channels and samples, (B, 1, 1)."""
    return signal.square().mean(dim=(-2, -1), keepdim=True).sqrt()


def peak(signal: Tensor) -> Tensor:
    """Largest magnitude over channels and samples, (B, 1, 1)."""
    return signal.abs().amax(dim=(-2, -1), keepdim=True)


def divisor(size: Tensor) -> Tensor:
    """Size of a signal to divide by: 1 where there is no signal at all."""
    return torch.where(size > 0, size, torch.ones_like(size))
