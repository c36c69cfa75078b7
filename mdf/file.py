"""Open an MDF file and read it lazily, whatever its layout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from mdf import spec
from mdf.errors import MdfError
from mdf.grid import Grid
from mdf.groups import Calibration, Group, Reconstruction
from mdf.layout import BLOCK, Array, Domain, Ints, Layout, split
from mdf.nodes import reading
from mdf.repair import Repair
from mdf.signal import Reader, Some, places
from mdf.system_matrix import SystemMatrix
from mdf.values import LARGE, Values

Frames = Literal["foreground", "background", "all"] | Sequence[int] | slice | NDArray[Any]
Order = Literal["acquisition", "stored", "grid"]

_LONGEST = 2**24  # frames, or samples in a period; more are not believed
_KINDS: dict[str, type[Group]] = {"/calibration": Calibration, "/reconstruction": Reconstruction}


def open(path: str | Path) -> File:  # noqa: A001
    """Open an MDF file for reading; use it in a ``with`` statement.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    File

    Raises
    ------
    MdfError
        If there is no such file, if it is no MDF file, or of a kind that this version does not read.
    """
    return File(Path(path))


class File(Values):
    """An open MDF file.

    The signal, and every value, is read when it is asked for. The groups `study`, `experiment`, `scanner` and
    `acquisition` stand in every file; `tracer`, `measurement`, `calibration` and `reconstruction` are None
    where a file has none.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "" if self._hdf else ", closed"
        return f"<mdf.File {str(self.path)!r}: MDF {self.version}{state}>"

    def _repr_html_(self) -> str:
        from mdf.shown import file_as_html  # it is seldom asked for

        return file_as_html(self)

    def close(self) -> None:
        """Close the file; what was read stays valid."""
        self._hdf.close()

    def group(self, path: str) -> Group | None:
        """Return a group of the standard, or None if it is optional and absent."""
        return _KINDS.get(path, Group)(self, path) if self.has_group(path) else None

    @property
    def study(self) -> Group:
        """`/study`."""
        return self._always("/study")

    @property
    def experiment(self) -> Group:
        """`/experiment`."""
        return self._always("/experiment")

    @property
    def scanner(self) -> Group:
        """`/scanner`."""
        return self._always("/scanner")

    @property
    def acquisition(self) -> Group:
        """`/acquisition`, with the groups `drivefield` and `receiver`."""
        return self._always("/acquisition")

    @property
    def tracer(self) -> Group | None:
        """`/tracer`."""
        return self.group("/tracer")

    @property
    def measurement(self) -> Group | None:
        """`/measurement`; its `data` is the h5py dataset as stored, `read_signal` the signal."""
        return self.group("/measurement")

    @property
    def calibration(self) -> Calibration | None:
        """`/calibration`, with `grid`, `positions` and `voxels`."""
        return Calibration(self, "/calibration") if self.has_group("/calibration") else None

    @property
    def reconstruction(self) -> Reconstruction | None:
        """`/reconstruction`, with `grid` and `images`."""
        return Reconstruction(self, "/reconstruction") if self.has_group("/reconstruction") else None

    @property
    def system_matrix(self) -> SystemMatrix | None:
        """The rows of a calibration; None for other files."""
        return SystemMatrix(self) if self.is_calibration else None

    def _always(self, path: str) -> Group:
        group = self.group(path)
        assert group is not None  # noqa: S101
        return group

    @property
    def uuid(self) -> str:
        """Identity of the file."""
        return str(self.value("/uuid"))

    @property
    def time(self) -> str:
        """When the file was made, UTC."""
        return str(self.value("/time"))

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """Everything in which the file deviates and which was put right, in the order of the standard."""
        for path, field in spec.FIELDS.items():
            if path in LARGE:
                continue
            with suppress(MdfError):  # whoever asks for this value will be told
                if self.has_group(field.group):
                    self.value(path)
        with suppress(MdfError):
            _ = self._layout
        place = {path: index for index, path in enumerate([*spec.GROUPS, *spec.FIELDS])}
        return tuple(sorted(self._repairs.values(), key=lambda repair: place[repair.path]))

    @cached_property
    def _layout(self) -> Layout:
        axes = self._axes
        bandwidth = float(self.value(spec.BANDWIDTH))
        samples = int(self.value(spec.SAMPLES))
        with reading(self.path, spec.DATA):
            if max(axes.shape) > _LONGEST:
                raise ValueError(f"its shape {self._data.shape} is too large to be believed")
        acquired, selection = np.arange(axes.shape[0]), None
        with reading(self.path, spec.BANDWIDTH):
            if not 0 < bandwidth < np.inf:
                raise ValueError(f"it is {bandwidth}, expected a number above 0")
        with reading(self.path, spec.SAMPLES):
            if not 0 < samples <= _LONGEST:
                raise ValueError(f"it is {samples}, expected 1 to {_LONGEST}")
        if self.value(spec.PERMUTED):
            acquired = self._from_one(spec.PERMUTATION, axes.shape[0])  # one for each frame, by its shape
        if self.value(spec.SELECTED):
            selection = self._from_one(spec.SELECTION, samples // 2 + 1)
        is_fourier = bool(self.value(spec.FOURIER))
        with reading(self.path, spec.DATA):
            if not is_fourier and self._stored.dtype.kind == "c":
                self._note(spec.DATA, "M02", "complex time data, the imaginary part is left out")
        if not is_fourier and axes.shape[3] != samples:
            text = f"{axes.shape[3]} samples of {samples}: there is no frequency axis"
            self._note(spec.DATA, "M09", text)
        return Layout(
            stored=self._stored,
            is_fourier=is_fourier,
            samples=samples,
            sampling_rate=2 * bandwidth,
            acquired=acquired,
            is_background=self.value(spec.BACKGROUND),
            selection=selection,
            conversion=self.value(spec.CONVERSION),
        )

    @property
    def data_axes(self) -> tuple[str, ...]:
        """Letters of the axes of `/measurement/data` as it is stored.

        B+E stands for coefficients and background frames, RI for the real and imaginary part of version 1.
        """
        frames = "N" if self._sparsity is None else "B+E"
        inner = ["J", "C", "K" if self.value(spec.FOURIER) else "V"]
        letters = [*inner, frames] if self._stored_axes.frames_last else [frames, *inner]
        squeezed = self._stored_axes.squeezed
        pair = ["RI"] if self._stored.has_pairs else []
        return (*(letter for axis, letter in enumerate(letters) if axis not in squeezed), *pair)

    @property
    def num_frames(self) -> int:
        """N: all frames, background frames included."""
        return int(self.value(spec.FRAMES))

    @property
    def num_periods(self) -> int:
        """J: drive-field periods in a frame."""
        return int(self.value(spec.PERIODS))

    @property
    def num_channels(self) -> int:
        """C: receive channels."""
        return int(self.value(spec.CHANNELS))

    @property
    def num_samples(self) -> int:
        """V: samples in a period."""
        return int(self.value(spec.SAMPLES))

    @property
    def sampling_rate(self) -> float:
        """Samples per second, twice the bandwidth, Hz."""
        return 2 * float(self.value(spec.BANDWIDTH))

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """Frequencies of the stored components, shape (K,), Hz."""
        layout = self._layout
        with reading(self.path, spec.DATA):
            frequencies: NDArray[np.float64] = layout.lines * layout.sampling_rate / layout.samples
            return frequencies

    @property
    def stored_lines(self) -> NDArray[np.bool_]:
        """Which of all frequency components the file stores, shape (V // 2 + 1,)."""
        stored = np.zeros(self._layout.samples // 2 + 1, bool)
        with reading(self.path, spec.DATA):
            stored[self._layout.lines] = True
        return stored

    @property
    def is_background(self) -> NDArray[np.bool_]:
        """Frames of the empty scanner, shape (N,), in the order of acquisition."""
        layout = self._layout
        return layout.is_background[layout.sequence("acquisition")]

    def _stored_places(self, frames: Frames, order: Order) -> Ints:
        layout = self._layout
        if order not in {"acquisition", "stored", "grid"}:
            raise ValueError(f"order is {order!r}, expected 'acquisition', 'stored' or 'grid'")
        if order == "grid":
            sequence = np.flatnonzero(~layout.is_background)[self._grid_places]
        else:
            sequence = layout.sequence(order)
        if not isinstance(frames, str):
            return sequence[places(frames, len(sequence))]
        if frames == "all":
            return sequence
        if frames not in {"foreground", "background"}:
            raise ValueError(f"frames is {frames!r}, expected 'foreground', 'background', 'all' or indices")
        if order == "grid" and frames == "background":
            raise ValueError("background frames have no place on the grid")
        of_kind: Ints = sequence[layout.is_background[sequence] == (frames == "background")]
        return of_kind

    def frame_index(self, frames: Frames = "all", order: Order = "acquisition") -> Ints:
        """Return the place in acquisition of the frames that `read_signal` gives, shape (n,), from 0."""
        return self._layout.acquired[self._stored_places(frames, order)]

    def read_signal(
        self,
        frames: Frames = "all",
        order: Order = "acquisition",
        domain: Domain | None = None,
        *,
        full: bool = False,
        periods: Some = None,
        channels: Some = None,
        samples: Some = None,
        components: Some = None,
    ) -> Array:
        """Read frames in the unit of the file; only what is asked for is read.

        The conversion factor is applied, the transfer function never.

        Parameters
        ----------
        frames : {"all", "foreground", "background"} or indices
            Indices count in the chosen order.
        order : {"acquisition", "stored", "grid"}
            "grid" has the foreground of a calibration only, x fastest, whatever the path of acquisition.
        domain : {"time", "frequency"} or None
            None for the one that is stored. Spectra are un-normalised (`numpy.fft.rfft`) and have the
            components of `frequencies`. The time signal of a file that stores only some of them is what these
            make up, which `repairs` says.
        full : bool
            Give spectra all V // 2 + 1 components; those that are not stored are zero.
        periods, channels, samples, components : indices, slice or None
            Some of the axes J, C, V (time) and K (frequency, counted in the spectra that come back).

        Returns
        -------
        shape (n, J, C, V or K), unit `acquisition.receiver.unit`

        Raises
        ------
        MdfError
            If the file has no signal, or a damaged one.
        ValueError, IndexError
            If there are no such frames, periods, channels, samples or components.
        """
        reader = self._reader(domain, full=full, some=(periods, channels, samples, components))
        return reader.read(self._stored_places(frames, order), BLOCK)

    def blocks(
        self,
        frames: Frames = "all",
        order: Order = "acquisition",
        domain: Domain | None = None,
        *,
        full: bool = False,
        periods: Some = None,
        channels: Some = None,
        memory: int = 2**28,
    ) -> Iterator[tuple[Ints, Array]]:
        """Read frames in blocks, for files larger than memory.

        Parameters
        ----------
        frames, order, domain, full, periods, channels
            See `read_signal`.
        memory : int, bytes
            A block and all that it takes to make it stay below this, unless one frame alone needs more.
            A block that is kept counts on top.

        Yields
        ------
        frame_index : shape (n,)
            Place in acquisition of each frame of the block.
        signal : shape (n, J, C, V or K)
        """
        reader = self._reader(domain, full=full, some=(periods, channels, None, None))
        chosen = self._stored_places(frames, order)
        block = min(BLOCK, max(1, memory // 16))
        for part in split(len(chosen), (memory - 8 * block) // reader.frame_bytes):
            yield self._layout.acquired[chosen[part]], reader.read(chosen[part], block)

    def _reader(self, domain: Domain | None, *, full: bool, some: tuple[Some, Some, Some, Some]) -> Reader:
        if domain not in {None, "time", "frequency"}:
            raise ValueError(f"domain is {domain!r}, expected 'time' or 'frequency'")
        self._check_open()
        layout = self._layout
        stored: Domain = "frequency" if layout.is_fourier else "time"
        if domain == "time" and layout.is_fourier and self.value(spec.SELECTED):
            text = f"the time signal has {layout.shape[3]} of {layout.samples // 2 + 1} components"
            self._note(spec.SELECTION, "M07", text)
        return Reader(self.path, layout, domain or stored, full, some)

    @property
    def is_calibration(self) -> bool:
        """Whether the file is a system matrix: it has `/calibration/method` and a measurement."""
        return self.has_group("/calibration")

    @property
    def grid(self) -> Grid | None:
        """Grid of the calibration, or else of the reconstruction; None if the file does not say."""
        grids = (group.grid for group in (self.calibration, self.reconstruction) if group is not None)
        return next((grid for grid in grids if grid is not None), None)

    @property
    def images(self) -> Array | None:
        """Reconstructed images (Q, z, y, x, S), whatever the stored order; None if there are none."""
        return None if self.reconstruction is None else self.reconstruction.images

    @cached_property
    def _grid_places(self) -> Ints:
        """Place among the stored foreground frames of each position, x fastest, shape (O,)."""
        if self.calibration is None:
            raise MdfError(f"{self.path}: the file is no calibration, its frames have no place on a grid")
        count = int(np.sum(~self._layout.is_background))
        voxels = self.calibration._voxels(count)
        return np.arange(count) if voxels is None else np.argsort(voxels)
