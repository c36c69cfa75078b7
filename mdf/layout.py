"""How the frames of a file are stored, and how they become (N, J, C, V or K)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from mdf.nodes import as_complex, check_chunks, check_filters, check_numbers, signal_dtype
from mdf.sparsity import Sparsity

Array = np.ndarray[Any, Any]
Ints = NDArray[np.int64]
Domain = Literal["time", "frequency"]
Slices = tuple[slice, slice, slice, slice]

BLOCK = 2**22  # bytes read at once when they must be changed: they stay in the cache of the processor
_MUCH = 2**28  # bytes; less can be read whether it is there or not
_MOST_COMPRESSED = 1500  # times: more than any filter reaches


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
class Stored:
    """The array of a file as four axes of plain numbers, in the stored order; read as it is sliced.

    Parameters
    ----------
    dataset : h5py.Dataset
    axes : Axes
    has_pairs : bool
        Real and imaginary part are an axis of length 2 behind the others, as in version 1.
    sparsity : Sparsity or None
        What brings foreground frames back of which only coefficients are stored.
    """

    dataset: h5py.Dataset
    axes: Axes
    has_pairs: bool = False
    sparsity: Sparsity | None = None

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """float32, float64, complex64 or complex128, as the stored type suggests."""
        check_numbers(self.dataset)
        check_filters(self.dataset)
        dtype = signal_dtype(self.dataset.dtype)
        return np.result_type(dtype, np.complex64) if self.has_pairs else dtype

    @cached_property
    def is_plain(self) -> bool:
        """Whether HDF5 can put the numbers right where they are wanted."""
        changed = self.axes.squeezed or self.has_pairs or self.sparsity is not None
        return not changed and bool(self.dataset.dtype == self.dtype)

    def check_amount(self, wanted: int) -> None:
        """Refuse to fill the memory with values that a damaged file declares and does not hold."""
        is_much = wanted > _MUCH and not self.dataset.is_virtual and self.sparsity is None
        if is_much and wanted > _MOST_COMPRESSED * self.dataset.id.get_storage_size():
            raise ValueError(f"it declares the shape {self.dataset.shape} and holds next to nothing")
        check_chunks(self.dataset, wanted)

    def __getitem__(self, index: Slices) -> Array:
        if self.sparsity is None:
            return self._slab(index)
        everything = self._slab((*index[:3], slice(None)))
        return self.sparsity.restore(everything, index[:3])[..., index[3]]

    def _slab(self, index: Slices) -> Array:
        squeezed = self.axes.squeezed
        block = self.dataset[tuple(part for axis, part in enumerate(index) if axis not in squeezed)]
        if self.has_pairs:
            block = (block[..., 0] + 1j * block[..., 1]).astype(self.dtype)
        return as_complex(np.expand_dims(block, squeezed))


def runs(places: Ints, longest: int) -> Iterator[tuple[int, int]]:
    """Split places into runs of neighbours, none longer than allowed: first and last + 1 of each.

    >>> list(runs(np.array([3, 4, 5, 9, 2]), 2))
    [(0, 2), (2, 3), (3, 4), (4, 5)]
    """
    edges = (np.flatnonzero(np.diff(places) != 1) + 1).tolist()
    for first, last in zip([0, *edges], [*edges, len(places)], strict=True):
        for start in range(first, last, longest):
            yield start, min(start + longest, last)


@dataclass(frozen=True)
class Layout:
    """Everything that turns stored frames into physical ones.

    Parameters
    ----------
    stored : Stored
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

    stored: Stored
    is_fourier: bool
    samples: int
    sampling_rate: float
    acquired: Ints
    is_background: NDArray[np.bool_]
    selection: Ints | None
    conversion: NDArray[np.float64] | None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, J, C, W or K)."""
        return self.stored.axes.shape

    @property
    def frames_last(self) -> bool:
        """Whether the values of all frames stand side by side."""
        return self.stored.axes.frames_last

    @property
    def lines(self) -> Ints:
        """Stored frequency components, from 0, shape (K,); of time data all that it determines.

        Raises
        ------
        ValueError
            If the last axis does not go with the number of samples.
        """
        stored = self.shape[-1]
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

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the signal as `read` gives it."""
        dtype = self.stored.dtype
        if self.is_fourier and dtype.kind != "c":
            raise TypeError(f"spectra must be complex, found {self.stored.dataset.dtype}")
        return dtype if self.is_fourier else np.empty(0, dtype).real.dtype

    def read(self, picks: Sequence[Ints], block: int = BLOCK) -> Array:
        """Read some frames, periods, channels and values by their stored places, in blocks.

        Parameters
        ----------
        picks : four arrays of places, from 0
            Along N, J, C, and V or K.
        block : int, bytes
            Size of the parts that are read at once where they cannot be read right into the result.

        Returns
        -------
        shape (n, J, C, V or K), unit of the file
            A frame axis that is stored last stays so in memory.
        """
        by_storage = [*picks[1:], picks[0]] if self.frames_last else list(picks)
        sizes = [len(places) for places in by_storage]
        self.stored.check_amount(math.prod(sizes) * self.dtype.itemsize)
        out: Array = np.empty(sizes, self.dtype)
        if out.size:
            self._fill(out, by_storage, block)
        return np.moveaxis(out, -1, 0) if self.frames_last else out

    @cached_property
    def converts(self) -> bool:
        """Whether there is a conversion factor that changes anything."""
        return self.conversion is not None and bool(np.any(self.conversion != (1, 0)))

    def _fill(self, out: Array, picks: list[Ints], block: int) -> None:
        """Read axis 0, or axis 2 of (J, C, K, N), in runs; of the other axes the span that holds all."""
        along = 2 if self.frames_last else 0
        spans = [slice(int(places.min()), int(places.max()) + 1) for places in picks]
        inner = [None if _is_run(places) else places - places.min() for places in picks]
        inner[along] = None
        is_direct = self.stored.is_plain and out.dtype == self.stored.dtype
        is_direct = is_direct and all(places is None for places in inner)
        row = math.prod(span.stop - span.start for axis, span in enumerate(spans) if axis != along)
        if self.stored.sparsity is not None:
            row = row * 2 * self.shape[0] // (spans[3].stop - spans[3].start)
        longest = max(1, block // max(1, row * out.dtype.itemsize))
        if is_direct and not self.converts:
            longest = out.shape[along]
        for first, last in runs(picks[along], longest):
            start = int(picks[along][first])
            spans[along] = slice(start, start + last - first)
            place = tuple(slice(first, last) if axis == along else slice(None) for axis in range(4))
            if is_direct:
                self.stored.dataset.read_direct(out, tuple(spans), place)
            else:
                out[place] = self._slab((spans[0], spans[1], spans[2], spans[3]), inner)
            if self.converts:
                self._convert(out[place], picks, slice(first, last))

    def _slab(self, spans: Slices, inner: list[Ints | None]) -> Array:
        slab = self.stored[spans]
        for axis, places in enumerate(inner):
            if places is not None:
                slab = np.take(slab, places, axis=axis)
        return slab if self.is_fourier else slab.real

    def _convert(self, part: Array, picks: list[Ints], run: slice) -> None:
        """Apply the conversion factor in place; b is the DC component of spectra."""
        assert self.conversion is not None  # noqa: S101
        channel_axis, value_axis = (1, 2) if self.frames_last else (2, 3)
        shape = [1, 1, 1, 1]
        shape[channel_axis] = -1
        pairs = self.conversion[picks[channel_axis]].astype(part.real.dtype)
        factor, offset = (column.reshape(shape) for column in pairs.T)
        if self.is_fourier:
            lines = np.arange(self.shape[-1]) if self.selection is None else self.selection
            values = picks[value_axis][run] if value_axis == 2 else picks[value_axis]
            shape = [1, 1, 1, 1]
            shape[value_axis] = -1
            at_dc = np.where(lines[values] == 0, self.samples, 0).reshape(shape)
            offset = offset * at_dc.astype(offset.dtype)
        part *= factor
        if np.any(offset):
            part += offset

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
        frame_bytes = 16 * last * int(np.prod(signal.shape[1:-1]))
        for part in split(len(signal), BLOCK // max(1, frame_bytes)):  # double precision, little memory
            if self.is_fourier:
                full = np.zeros((*signal[part].shape[:-1], self.samples // 2 + 1), double)
                full[..., lines] = signal[part]
                out[part] = np.fft.irfft(full, n=self.samples)
            else:
                out[part] = np.fft.rfft(signal[part].astype(double))
        return out


def split(count: int, longest: int) -> Iterator[slice]:
    """Split a range into slices, each of one or more and none longer than allowed."""
    step = max(1, longest)
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def _is_run(places: Ints) -> bool:
    return len(places) == 1 or bool(np.all(np.diff(places) == 1))
