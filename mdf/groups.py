"""The groups of a file; their datasets are attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mdf import spec
from mdf.errors import MdfError
from mdf.grid import Grid, stored_index
from mdf.nodes import reading

if TYPE_CHECKING:
    from mdf.file import File

Ints = NDArray[np.int64]


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


class OnGrid(Group):
    """A group whose values belong to positions."""

    @property
    def grid(self) -> Grid | None:
        """The regular grid; None if the file does not say."""
        size, extent = self.size, self.field_of_view
        if size is None or extent is None:
            return None
        with reading(self._file.path, f"{self._path}/size"):
            if not (np.all(size > 0) and np.all((extent > 0) | ((size == 1) & (extent == 0)))):
                raise ValueError("expected a grid with sizes above 0")
        center = np.zeros(3) if self.field_of_view_center is None else self.field_of_view_center
        return Grid(size, extent, center, self._order)

    @property
    def _order(self) -> str:
        order = str(self.order or "xyz").lower()
        with reading(self._file.path, f"{self._path}/order"):
            if sorted(order) != ["x", "y", "z"]:
                raise ValueError(f"it is {order!r}, expected the letters x, y and z")
        return order

    def _voxels(self, count: int) -> Ints | None:
        """Return the voxel, x fastest, of each stored value, shape (count,); None without a grid."""
        positions, grid = self._file.value(f"{self._path}/positions"), self.grid
        if positions is None:
            if self.size is None:
                return None
            if np.any(self.size < 1) or np.prod(self.size) != count:
                raise MdfError(
                    f"{self._file.path}: {self._path}/size is {self.size.tolist()}, the file has {count} "
                    + ("foreground frames" if self._path == "/calibration" else "voxels")
                )
            return np.argsort(stored_index(self.size, self._order))
        if len(positions) != count:
            raise MdfError(
                f"{self._file.path}: {self._path}/positions has {len(positions)} rows, expected {count}"
            )
        if grid is None or not np.all(np.isfinite(positions)):
            return None
        voxels = grid.nearest(positions)
        is_regular = np.all(voxels >= 0) and len(np.unique(voxels)) == count
        return voxels if is_regular else None


class Calibration(OnGrid):
    """The group `/calibration`; it always knows its positions."""

    @property
    def positions(self) -> NDArray[np.float64]:
        """Position of each foreground frame, shape (O, 3), m, in the order "grid" of `File.read_signal`."""
        places = self._file._grid_places
        stored = self._file.value("/calibration/positions")
        if stored is not None:
            positions: NDArray[np.float64] = stored[places]
            return positions
        grid = self.grid
        if grid is None:
            raise MdfError(f"{self._file.path}: /calibration has neither positions nor size and fieldOfView")
        return grid.positions()

    @property
    def voxels(self) -> Ints | None:
        """Voxel of the grid, x fastest, of each position, shape (O,); None for positions off any grid.

        A part of the grid may have been measured only: then there are fewer positions than voxels.
        """
        voxels = self._voxels(len(self._file._grid_places))
        return None if voxels is None else np.sort(voxels)


class Reconstruction(OnGrid):
    """The group `/reconstruction`."""

    @property
    def images(self) -> NDArray[Any]:
        """Images (Q, z, y, x, S), whatever the order in which they are stored; NaN where a voxel is missing.

        Raises
        ------
        MdfError
            If the voxels fill no regular grid: `data` has them as they are.
        """
        data, size = self._file.value("/reconstruction/data"), self.size
        frames, count, contrasts = data.shape
        voxels = self._voxels(count)
        if voxels is None or size is None:
            raise MdfError(f"{self._file.path}: the voxels of /reconstruction fill no grid")
        x, y, z = (int(length) for length in size)
        if count == x * y * z:
            full = np.empty(data.shape, data.dtype)
        else:
            full = np.full((frames, x * y * z, contrasts), np.nan, np.result_type(data, np.float32))
        full[:, voxels] = data
        return full.reshape(frames, z, y, x, contrasts)
