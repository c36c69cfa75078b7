"""Noise as a scanner made it: the background frames of a file."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

import mdf
from mpikit import DriveField, Options
from mpikit.errors import InputError

Floats = NDArray[np.floating[Any]]


class EmpiricalOptions(Options):
    """Options of measured noise."""

    file: str = Field(
        min_length=1,
        description="MDF file with background frames, in the unit of the signal; if its frames are averages, "
        "the scan must have as many averages",
    )
    mean: Literal["keep", "remove"] = Field(
        "keep",
        description="keep: with the constant background; remove: what changes from frame to frame only",
    )


class Empirical:
    """Background frames of a file, one after the other as they were acquired.

    A measurement starts at a frame drawn by chance and goes on in the order of acquisition, so that drift and
    everything else that lasts longer than a frame is kept; at the last frame it turns back, and at the first
    again. When its frames have another number of periods than the file's, all periods are taken as one
    sequence. The frames are read once. An object that has not begun begins a measurement with each call.
    Frames of a file that are averages are drawn as such; see ``averages`` of `mpikit.Noise`.

    Parameters
    ----------
    options : EmpiricalOptions
    frames : shape (E, J, C, V), unit of the signal, or None
        None reads them.
    sampling_rate : float, Hz
        Of the frames.
    averages : int
        What the frames are averages of.
    start : int or None
        First frame of the measurement; None draws it with each call.

    Raises
    ------
    InputError
        When the file has no background frame.
    mdf.MdfError
        When it is no MDF file.
    """

    def __init__(
        self,
        options: EmpiricalOptions,
        frames: Floats | None = None,
        *,
        sampling_rate: float = 0.0,
        averages: int = 1,
        start: int | None = None,
    ) -> None:
        self.options = options
        self.start = start
        if frames is None:
            frames, sampling_rate, averages = _read(options)
        self.frames, self.sampling_rate, self.averages = frames, sampling_rate, averages

    def begin(
        self,
        *,
        power: Floats,
        samples: int,
        sampling_rate: float,
        drive_field: DriveField,  # noqa: ARG002
        rng: np.random.Generator,
    ) -> Empirical:
        """Draw the frame to start with; see `mpikit.WholeNoise`.

        Raises
        ------
        InputError
            When the file has other channels, samples or another sampling rate.
        """
        self._check(len(power), samples, sampling_rate)
        start = int(rng.integers(len(self.frames)))
        return Empirical(
            self.options,
            self.frames,
            sampling_rate=self.sampling_rate,
            averages=self.averages,
            start=start,
        )

    def __call__(
        self,
        clean: Floats,
        /,
        *,
        frame_index: NDArray[np.int64],
        sampling_rate: float,
        drive_field: DriveField,  # noqa: ARG002
        rng: np.random.Generator,
    ) -> Floats:
        """Return measured noise; see `mpikit.Noise`.

        Parameters
        ----------
        clean : shape (N, J, C, V), unit of the signal

        Returns
        -------
        shape (N, J, C, V), unit of the signal

        Raises
        ------
        InputError
            When the file has other channels, samples or another sampling rate.
        """
        self._check(clean.shape[2], clean.shape[3], sampling_rate)
        start = int(rng.integers(len(self.frames))) if self.start is None else self.start
        count, periods = self.frames.shape[:2]
        if clean.shape[1] == periods:
            return self.frames[reflected(start + frame_index, count)].astype(clean.dtype)
        place = start * periods + frame_index[:, None] * clean.shape[1] + np.arange(clean.shape[1])
        sequence = self.frames.reshape(count * periods, *self.frames.shape[2:])
        return sequence[reflected(place, len(sequence))].astype(clean.dtype)

    def _check(self, channels: int, samples: int, sampling_rate: float) -> None:
        found = self.frames.shape[2:]
        if found != (channels, samples):
            raise InputError(
                f"{self.options.file} has {found[0]} receive channels and {found[1]} samples in a period, "
                f"the signal has {channels} and {samples}",
                hint="use background frames of the same sequence",
            )
        if not np.isclose(self.sampling_rate, sampling_rate, rtol=1e-6, atol=0):
            raise InputError(
                f"{self.options.file} has {self.sampling_rate:g} samples per second, "
                f"the signal has {sampling_rate:g}",
                hint="use background frames of the same sequence",
            )


def _read(options: EmpiricalOptions) -> tuple[NDArray[np.float32], float, int]:
    with mdf.open(options.file) as file:
        frames = file.read_signal("background", domain="time").astype(np.float32, copy=False)
        sampling_rate, averages = file.sampling_rate, file.acquisition.num_averages
    if not len(frames):
        raise InputError(
            f"{options.file} has no background frames",
            hint="use a file with an empty measurement",
        )
    if not np.all(np.isfinite(frames)):
        raise InputError(f"the background frames of {options.file} have values that are no numbers")
    if options.mean == "remove":
        frames -= np.mean(frames, axis=(0, 1), dtype=float)
    return frames, sampling_rate, averages


def reflected(place: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return places in 0 ... count - 1 for places of a sequence that turns back at both ends."""
    if count == 1:
        return np.zeros_like(place)
    place = place % (2 * (count - 1))
    return np.minimum(place, 2 * (count - 1) - place)
