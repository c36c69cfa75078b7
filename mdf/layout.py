"""How the frames of a file are stored, and how they become (N, J, C, V or K)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from mdf.nodes import as_complex, check_numbers, signal_dtype

Array = np.ndarray[Any, Any]
Ints = NDArray[np.int64]
Domain = Literal["time", "frequency"]

BLOCK = 2**25  # bytes read at once


@dataclass(frozen=True)
class Axes:
    """Axes of `/measurement/data` (MDF 2.1.0, measurement).

    Parameters
    ----------
    shape : tuple of int
        (N, J, C, W or K), wherever the frame axis is stored.
    frames_last : bool
        The array is stored as (J, C, W or K, N).
    squeezed : tuple of int
        Stored axes of length 1 that the array lacks.
    """

    shape: tuple[int, int, int, int]
    frames_last: bool
    squeezed: tuple[int, ...] = ()


def find_axes(found: tuple[int, ...], *, frames_last: bool, expected: tuple[int, int, int, int]) -> Axes:
    """Say which axis of the stored array is which.

    Parameters
    ----------
    found : tuple of int
        Shape of the stored array.
    frames_last : bool
        The flag isFastFrameAxis.
    expected : tuple of int
        (N, J, C, W or K) by the other datasets, used only where the array lacks axes; -1 is unknown.

    Raises
    ------
    ValueError
        If the array has no four axes and its shape leaves a doubt.
    """
    squeezed: tuple[int, ...] = ()
    if len(found) != 4:
        stored = expected[1:] + expected[:1] if frames_last else expected
        frame, period = (3, 0) if frames_last else (0, 1)
        choices = [((frame,), stored), ((period,), stored), (tuple(sorted((frame, period))), stored)]
        fitting = [
            axes
            for axes, sizes in choices
            if all(sizes[axis] == 1 for axis in axes)
            and tuple(size for axis, size in enumerate(sizes) if axis not in axes) == found
        ]
        if not fitting:
            raise ValueError(
                f"it has the shape {found}, expected four axes: frames, periods, channels, values"
            )
        squeezed, found = fitting[0], stored
    order = found[-1:] + found[:-1] if frames_last else found
    return Axes((order[0], order[1], order[2], order[3]), frames_last, squeezed)


@dataclass(frozen=True)
class Layout:
    """Everything that turns stored frames into physical ones.

    Parameters
    ----------
    axes : Axes
    is_fourier : bool
        Spectra are stored.
    samples : int
        V.
    sampling_rate : float, Hz
    acquired : shape (N,)
        Place in acquisition of each stored frame, from 0.
    is_background : shape (N,)
        In stored order.
    selection : shape (K,) or None
        Stored frequency components, from 0; None for all.
    conversion : shape (C, 2) or None
        (a, b) of each channel: the signal is a · stored + b.
    """

    axes: Axes
    is_fourier: bool
    samples: int
    sampling_rate: float
    acquired: Ints
    is_background: NDArray[np.bool_]
    selection: Ints | None
    conversion: NDArray[np.float64] | None

    @property
    def lines(self) -> Ints:
        """Stored frequency components, from 0, shape (K,); of time data all that it determines.

        Raises
        ------
        ValueError
            If the last axis does not go with the number of samples.
        """
        stored = self.axes.shape[-1]
        full = self.samples // 2 + 1
        lines = np.arange(full) if self.selection is None else self.selection
        expected = len(lines) if self.is_fourier else self.samples
        if stored != expected:
            what = "frequency components" if self.is_fourier else "samples"
            raise ValueError(
                f"periods of {stored} {what}, expected {expected}: numSamplingPoints is {self.samples}"
            )
        return lines

    def sequence(self, order: Literal["acquisition", "stored"]) -> Ints:
        """Return the stored places of all frames in an order, shape (N,)."""
        if order == "acquisition":
            return np.argsort(self.acquired)
        return np.arange(len(self.acquired))

    def read(self, dataset: h5py.Dataset, stored: Ints) -> Array:
        """Read frames by their stored places, in blocks.

        Returns
        -------
        shape (n, J, C, V or K), unit of the file
            float32, float64, complex64 or complex128, as the stored type suggests.
        """
        check_numbers(dataset)
        dtype = signal_dtype(dataset.dtype)
        if self.is_fourier and dtype.kind != "c":
            raise TypeError(f"spectra must be complex, found {dataset.dtype}")
        if not self.is_fourier and dtype.kind == "c":
            dtype = np.empty(0, dtype).real.dtype
        out: Array = np.empty((len(stored), *self.axes.shape[1:]), dtype)
        if len(stored):
            read = self._read_frames_last if self.axes.frames_last else self._read_frames_first
            read(dataset, stored, out)
        return out

    @property
    def _converts(self) -> bool:
        return self.conversion is not None and bool(np.any(self.conversion != (1, 0)))

    def _read_frames_first(self, dataset: h5py.Dataset, stored: Ints, out: Array) -> None:
        frame_bytes = int(np.prod(self.axes.shape[1:])) * dataset.dtype.itemsize
        longest = max(1, BLOCK // max(1, frame_bytes))
        everything = slice(None)
        direct = dataset.dtype == out.dtype and not self._converts and not self.axes.squeezed
        first = 0
        while first < len(stored):
            last = first + 1
            while last < len(stored) and last - first < longest and stored[last] == stored[last - 1] + 1:
                last += 1
            place = slice(stored[first], stored[last - 1] + 1)
            if direct:
                dataset.read_direct(out, np.s_[place], np.s_[first:last])
            else:
                block = self._slab(dataset, (place, everything, everything, everything))
                out[first:last] = self._physical(block, everything)
            first = last

    def _read_frames_last(self, dataset: h5py.Dataset, stored: Ints, out: Array) -> None:
        low, high = int(stored.min()), int(stored.max()) + 1
        _, periods, channels, values = self.axes.shape
        row_bytes = periods * channels * (high - low) * dataset.dtype.itemsize
        rows = max(1, BLOCK // max(1, row_bytes))
        everything = slice(None)
        for start in range(0, values, rows):
            part = slice(start, start + rows)
            block = self._slab(dataset, (everything, everything, part, slice(low, high)))
            frames = np.moveaxis(block[..., stored - low], -1, 0)
            out[..., part] = self._physical(frames, part)

    def _slab(self, dataset: h5py.Dataset, index: tuple[slice, slice, slice, slice]) -> Array:
        squeezed = self.axes.squeezed
        block = dataset[tuple(part for axis, part in enumerate(index) if axis not in squeezed)]
        return as_complex(np.expand_dims(block, squeezed))

    def _physical(self, block: Array, values: slice) -> Array:
        """Apply the conversion factor to (n, J, C, some of V or K); b is the DC component of spectra."""
        if not self.is_fourier:
            block = block.real
        if self.conversion is None or not self._converts:
            return block
        factor, offset = self.conversion.T[:, :, None]
        if not self.is_fourier:
            timed: Array = block * factor + offset
            return timed
        lines = np.arange(self.axes.shape[-1]) if self.selection is None else self.selection
        spectra: Array = block * factor + offset * (lines[values] == 0) * self.samples
        return spectra

    def to_domain(self, signal: Array, domain: Domain) -> Array:
        """Return frames in time or frequency; spectra are un-normalised rfft, what is not stored is zero."""
        if (domain == "frequency") == self.is_fourier:
            return signal
        lines = self.lines
        double = np.complex128 if self.is_fourier else np.float64
        last = self.samples if self.is_fourier else self.samples // 2 + 1
        single = signal.dtype.itemsize == (8 if self.is_fourier else 4)
        kinds = (np.float32, np.float64) if self.is_fourier else (np.complex64, np.complex128)
        out: Array = np.empty((*signal.shape[:-1], last), kinds[0] if single else kinds[1])
        for index, frame in enumerate(signal):  # frame by frame: double precision without twice the memory
            if self.is_fourier:
                full = np.zeros((*frame.shape[:-1], self.samples // 2 + 1), double)
                full[..., lines] = frame
                out[index] = np.fft.irfft(full, n=self.samples)
            else:
                out[index] = np.fft.rfft(frame.astype(double))
        return out
