"""A measurement as layers: for each receive channel its frames over time, and their spectra below."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mdf
from mpikit.figures import COLOURS
from mpikit.signal.noise import line_weights
from mpikit.viewer.layer import Layer, OnDemand

MOST_VALUES = 2**25  # of one picture; of longer measurements every n-th frame is shown
PROBED = 2**22  # values that the colours are chosen by
SHAPE = 2 / 3  # height of a picture over its width
GAP = 0.06  # between two pictures, over the width
SHARE = 99.9  # percent of the values within the colour map
DIVERGING = "RdBu_r"

Places = tuple[NDArray[np.int64], ...]
_SMALLEST = np.finfo(np.float32).tiny


def signal_layers(file: mdf.File) -> list[Layer]:
    """Return two layers for each receive channel: its time signal, and the logarithm of its spectrum.

    The axes are (period, frame, time) and (period, frame, frequency), with all frames in the order of
    acquisition. With more periods than frames the first two change places: a picture is of the longer one,
    the slider of the shorter one.

    Time is in ms. Frames are drawn so high that a picture is two thirds as high as wide. A spectrum stands
    below its signal and is as wide, channels stand side by side; `about` has the step in kHz.

    Raises
    ------
    mdf.MdfError
        When the signal is damaged.
    """
    sheet = _sheet(file)
    probe = _probe(file, sheet)
    lines = file.num_samples // 2 + 1
    layers = []
    for channel in range(file.num_channels):
        source = _Source(Path(file.path), channel, sheet)
        about = {
            "file": file.path.name,
            "channel": channel,
            "unit": str(file.acquisition.receiver.unit),
            "frame_step": sheet.every,
        }
        values = probe[:, :, channel]
        signal = OnDemand((*sheet.counts, file.num_samples), np.dtype(np.float32), source.signal)
        spectrum = OnDemand((*sheet.counts, lines), np.dtype(np.float32), source.spectrum)
        step = {"step_ms": 1e3 / file.sampling_rate}
        layers.append(_layer("signal", signal, sheet, _signal_limits(values), about | step))
        step = {"step_kHz": 1e-3 * file.sampling_rate / file.num_samples}
        layers.append(_layer("spectrum", spectrum, sheet, _spectrum_limits(values), about | step))
    return layers


@dataclass(frozen=True)
class _Sheet:
    """What all pictures of a measurement have in common.

    Parameters
    ----------
    name : str
    frames : shape (n,)
        Those that are shown, in the order of acquisition.
    every : int
        Step from one shown frame to the next.
    periods : int
        J.
    width : float, ms
        Length of a period.
    """

    name: str
    frames: NDArray[np.int64]
    every: int
    periods: int
    width: float

    @property
    def periods_upright(self) -> bool:
        return self.periods > len(self.frames)

    @property
    def axes(self) -> tuple[str, str]:
        return ("frame", "period") if self.periods_upright else ("period", "frame")

    @property
    def counts(self) -> tuple[int, int]:
        sizes = {"frame": len(self.frames), "period": self.periods}
        return sizes[self.axes[0]], sizes[self.axes[1]]


def _sheet(file: mdf.File) -> _Sheet:
    every = max(1, -(-file.num_frames * file.num_samples // MOST_VALUES))
    width = 1e3 * file.num_samples / file.sampling_rate
    return _Sheet(file.path.stem, np.arange(0, file.num_frames, every), every, file.num_periods, width)


def _layer(
    kind: str, data: OnDemand, sheet: _Sheet, limits: tuple[float, float], about: dict[str, Any]
) -> Layer:
    channel = about["channel"]
    is_signal = kind == "signal"
    below = 0.0 if is_signal else sheet.width * (SHAPE + GAP)
    return Layer(
        name=f"{sheet.name} channel {channel}" + ("" if is_signal else ", spectrum (log10)"),
        kind=kind,
        data=data,
        axes=(*sheet.axes, "time" if is_signal else "frequency"),
        scale=(1.0, SHAPE * sheet.width / data.shape[1], sheet.width / data.shape[2]),
        translate=(0.0, below, channel * sheet.width * (1 + GAP)),
        limits=limits,
        colours=DIVERGING if is_signal else COLOURS,
        about=about,
    )


@dataclass(frozen=True)
class _Source:
    """One receive channel, read anew each time: no file stays open behind a window."""

    path: Path
    channel: int
    sheet: _Sheet

    def signal(self, places: Places) -> NDArray[np.float32]:
        """Read signals (first axis, second axis, time)."""
        return self._read(places, {"domain": "time", "samples": places[2]}).astype(np.float32, copy=False)

    def spectrum(self, places: Places) -> NDArray[np.float32]:
        """Read log10 of amplitudes (first axis, second axis, frequency)."""
        how = {"domain": "frequency", "full": True, "components": places[2]}
        with mdf.open(self.path) as file:
            samples = file.num_samples
        return _log_amplitude(self._read(places, how), samples, places[2])

    def _read(self, places: Places, how: dict[str, Any]) -> NDArray[Any]:
        first, second = places[:2]
        frames, periods = (first, second) if self.sheet.periods_upright else (second, first)
        with mdf.open(self.path) as file:
            block = file.read_signal(
                self.sheet.frames[frames], periods=periods, channels=[self.channel], **how
            )[:, :, 0]
        return block if self.sheet.periods_upright else block.swapaxes(0, 1)


def _log_amplitude(spectra: NDArray[Any], samples: int, lines: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return log10 of 2 |X| / V, at DC and Nyquist of |X| / V: what a sine of each line has."""
    amplitude = np.abs(spectra) * (line_weights(samples)[lines] / samples)
    level: NDArray[np.float32] = np.log10(np.maximum(amplitude, _SMALLEST)).astype(np.float32)
    return level


def _probe(file: mdf.File, sheet: _Sheet) -> NDArray[Any]:
    """Read a few signals, (n, j, C, V), spread evenly."""
    each = file.num_channels * file.num_samples
    frames = _spread(len(sheet.frames), max(1, min(8, PROBED // each)))
    periods = _spread(sheet.periods, max(1, min(8, PROBED // (each * len(frames)))))
    return file.read_signal(sheet.frames[frames], domain="time", periods=periods)


def _spread(length: int, count: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(np.int64))


def _signal_limits(probe: NDArray[Any]) -> tuple[float, float]:
    size = np.abs(probe[np.isfinite(probe)])
    most = float(np.percentile(size, SHARE)) if size.size else 0.0
    most = most or float(size.max(initial=0.0)) or 1.0
    return -most, most


def _spectrum_limits(probe: NDArray[Any]) -> tuple[float, float]:
    """From the median amplitude, which is about the noise, to the largest one."""
    samples = probe.shape[-1]
    with np.errstate(invalid="ignore", over="ignore"):
        level = _log_amplitude(np.fft.rfft(probe), samples, np.arange(samples // 2 + 1))
    known = level[np.isfinite(level) & (level > np.log10(_SMALLEST) + 1)]
    if not known.size:
        return -1.0, 0.0
    low, high = float(np.median(known)), float(known.max())
    return (low, high) if high > low else (low - 1.0, low)
