"""Open an MDF file and read it lazily, whatever its layout."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from mdf import spec
from mdf.errors import MdfError
from mdf.grid import Grid, stored_index
from mdf.layout import Array, Domain, Ints, Layout
from mdf.nodes import reading
from mdf.repair import Repair
from mdf.values import Values

Frames = Literal["foreground", "background", "all"] | Sequence[int] | slice | NDArray[Any]
Order = Literal["acquisition", "stored", "grid"]

_MOST_SAMPLES = 2**27  # more in one period are not believed


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


class Group:
    """One group of the standard; its datasets are attributes in snake_case.

    A value has the type and shape that the standard gives it, repaired where the file deviates. An optional
    dataset that is absent is None, an absent mandatory one is an `MdfError`.
    """

    def __init__(self, file: File, path: str) -> None:
        self._file = file
        self._path = path
        self._fields = {field.name: field for field in spec.FIELDS.values() if field.group == path}
        self._groups = {
            spec.snake_case(group.rpartition("/")[2]): group
            for group in spec.GROUPS
            if group.rpartition("/")[0] == path
        }

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._groups:
            return self._file.group(self._groups[name])
        if name in self._fields:
            return self._file.value(self._fields[name].path)
        raise AttributeError(f"MDF {spec.VERSION} has no {name!r} in {self._path}")

    def __dir__(self) -> list[str]:
        return [*self._fields, *self._groups]


class Calibration(Group):
    """The group `/calibration`; it always knows its positions."""

    @property
    def positions(self) -> NDArray[np.float64]:
        """Position of each foreground frame, shape (O, 3), m, in the order "grid" of `File.read_signal`."""
        return self._file._positions()


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

    def close(self) -> None:
        """Close the file; what was read stays valid."""
        self._hdf.close()

    def group(self, path: str) -> Group | None:
        """Return a group of the standard, or None if it is optional and absent."""
        if not self.has_group(path):
            return None
        return Calibration(self, path) if path == "/calibration" else Group(self, path)

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
    def calibration(self) -> Group | None:
        """`/calibration`."""
        return self.group("/calibration")

    @property
    def reconstruction(self) -> Group | None:
        """`/reconstruction`."""
        return self.group("/reconstruction")

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
            if path in {spec.DATA, "/reconstruction/data"}:
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
        acquired, selection = np.arange(axes.shape[0]), None
        with reading(self.path, spec.BANDWIDTH):
            if not (0 < bandwidth < np.inf and 0 < samples < _MOST_SAMPLES):
                raise ValueError(f"expected a bandwidth above 0 and 1 to {_MOST_SAMPLES} samples in a period")
        if self._data.dtype.kind == "c" and not self.value(spec.FOURIER):
            self._note(spec.DATA, "M02", "complex time data, the imaginary part is left out")
        if self.value(spec.PERMUTED):
            acquired = self._from_one(spec.PERMUTATION, axes.shape[0])
            with reading(self.path, spec.PERMUTATION):
                if len(acquired) != axes.shape[0]:
                    raise ValueError("expected one index for each frame")
        if self.value(spec.SELECTED):
            selection = self._from_one(spec.SELECTION, samples // 2 + 1)
        return Layout(
            axes=axes,
            is_fourier=self.value(spec.FOURIER),
            samples=samples,
            sampling_rate=2 * bandwidth,
            acquired=acquired,
            is_background=self.value(spec.BACKGROUND),
            selection=selection,
            conversion=self.value(spec.CONVERSION),
        )

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
            chosen = frames if isinstance(frames, slice) else np.asarray(frames)
            if isinstance(chosen, np.ndarray) and chosen.size == 0:
                chosen = chosen.astype(np.int64)
            return np.atleast_1d(sequence[chosen])
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
        self, frames: Frames = "all", order: Order = "acquisition", domain: Domain | None = None
    ) -> Array:
        """Read frames in the unit of the file.

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
            make up.

        Returns
        -------
        shape (n, J, C, V or K), unit `acquisition.receiver.unit`

        Raises
        ------
        MdfError
            If the file has no signal, or a damaged one.
        ValueError, IndexError
            If there are no such frames.
        """
        if domain not in {None, "time", "frequency"}:
            raise ValueError(f"domain is {domain!r}, expected 'time' or 'frequency'")
        places = self._stored_places(frames, order)
        with reading(self.path, spec.DATA), np.errstate(invalid="ignore", over="ignore"):
            signal = self._layout.read(self._data, places)
            return signal if domain is None else self._layout.to_domain(signal, domain)

    @property
    def is_calibration(self) -> bool:
        """Whether the file is a system matrix: it has `/calibration/method` and a measurement."""
        return self.calibration is not None

    @property
    def grid(self) -> Grid | None:
        """Grid of the calibration, or else of the reconstruction; None if the file does not say."""
        for group in (self.calibration, self.reconstruction):
            if group is None or group.size is None or group.field_of_view is None:
                continue
            with reading(self.path, f"{group._path}/size"):
                if not (np.all(group.size > 0) and np.all(group.field_of_view > 0)):
                    raise ValueError("expected a grid with sizes above 0")
            center = np.zeros(3) if group.field_of_view_center is None else group.field_of_view_center
            return Grid(group.size, group.field_of_view, center, self._order_of_axes(group))
        return None

    def _order_of_axes(self, group: Group) -> str:
        order = str(group.order or "xyz").lower()
        with reading(self.path, f"{group._path}/order"):
            if sorted(order) != ["x", "y", "z"]:
                raise ValueError(f"it is {order!r}, expected the letters x, y and z")
        return order

    @cached_property
    def _grid_places(self) -> Ints:
        """Place among the stored foreground frames of each position, x fastest, shape (O,)."""
        group = self.calibration
        if group is None:
            raise MdfError(f"{self.path}: the file is no calibration, its frames have no place on a grid")
        count = int(np.sum(~self._layout.is_background))
        stored = self.value("/calibration/positions")
        if stored is not None:
            return self._places_of(stored, count)
        if group.size is None:
            return np.arange(count)
        if np.any(group.size < 1) or np.prod(group.size) != count:
            size = group.size.tolist()
            raise MdfError(
                f"{self.path}: /calibration/size is {size}, the file has {count} foreground frames"
            )
        return stored_index(group.size, self._order_of_axes(group))

    def _places_of(self, positions: NDArray[np.float64], count: int) -> Ints:
        """Sort frames of known positions, x fastest, if they fill the grid; else leave them as stored."""
        if len(positions) != count:
            raise MdfError(
                f"{self.path}: /calibration/positions has {len(positions)} rows, the file has {count} "
                "foreground frames"
            )
        grid = self.grid
        if grid is None or np.prod(grid.size) != count or not np.all(np.isfinite(positions)):
            return np.arange(count)
        voxel = grid.nearest(positions)
        by_voxel = np.argsort(voxel)
        return by_voxel if np.array_equal(voxel[by_voxel], np.arange(count)) else np.arange(count)

    def _positions(self) -> NDArray[np.float64]:
        places = self._grid_places
        stored = self.value("/calibration/positions")
        if stored is not None:
            positions: NDArray[np.float64] = stored[places]
            return positions
        grid = self.grid
        if grid is None:
            raise MdfError(f"{self.path}: /calibration has neither positions nor size and fieldOfView")
        return grid.positions()
