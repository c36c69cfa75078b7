"""The values of a file, each read when it is asked for, in the type and shape of the standard."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mdf import nodes, spec
from mdf.errors import MdfError
from mdf.grid import stored_shape
from mdf.layout import Axes, Ints, Stored, find_axes
from mdf.nodes import reading
from mdf.own_nodes import copy_own_nodes, left_out, own_nodes
from mdf.repair import Array, Repair, fit, tidy_time
from mdf.sparsity import Sparsity
from mdf.version1 import Version1, is_version_1

_ITSELF = ("/version", "/uuid", "/time")  # what tells one file from another
_LARGEST_GRID = 2**27  # positions; more are not believed
LARGE = (spec.DATA, "/reconstruction/data", spec.INDICES)  # read only when they are asked for
_COMPRESSED = (spec.TRANSFORMATION, spec.INDICES)
_UNKNOWN_TEXT = "n.a."
_MADE = ("new", "derived", "sine")  # defaults that the writer puts
_TAKEN = {"/study/number": 0, "/experiment/number": 0, "/experiment/isSimulation": False}  # if not said
_START = "/acquisition/startTime"
# What the data tell better than the dataset: rule that it breaks, and axis of (N, J, C, V).
_COUNTED = {spec.FRAMES: ("M05", 0), spec.PERIODS: ("M01", 1), spec.CHANNELS: ("M01", 2)}


class Values:
    """What stands in an open file, without its meaning: `mdf.File` is built on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with reading(path, "the file"):
            if not path.is_file():
                kind = "it is a folder" if path.is_dir() else "it is no ordinary file"
                raise MdfError(f"{path}: {kind if path.exists() else 'there is no such file'}")
            self._hdf = h5py.File(path, "r")
        self._values: dict[str, Any] = {}
        self._repairs: dict[tuple[str, str], Repair] = {}
        self._old: Version1 | None = None
        try:
            self.version: str = self.value("/version")
            self._check_version()
        except BaseException:
            self._hdf.close()
            raise

    def _check_version(self) -> None:
        label = re.fullmatch(r"\s*v?(\d+)(\.\d+)*\s*", self.version)
        if label is None or label[1] not in "12":
            raise MdfError(f"{self.path}: /version is {self.version!r}, expected '2.1.0' or an older one")
        with reading(self.path, "/"):
            self._old = Version1(self._hdf, self._note) if is_version_1(self._hdf) else None

    def _check_open(self) -> None:
        if not self._hdf:
            raise MdfError(f"{self.path}: the file is closed", hint="read inside of the 'with' statement")

    def has_group(self, path: str) -> bool:
        """Say whether a group of the standard is there; a mandatory one that is not is an `MdfError`."""
        self._check_open()
        with reading(self.path, path):
            if self._old is not None:
                found = self._old.has_group(path)
            else:
                found = nodes.find_group(self._hdf, path) is not None
        if not found and spec.GROUPS[path]:
            raise MdfError(f"{self.path}: the group {path} is missing, every MDF file has it")
        if not found or path != "/calibration" or self._old is not None:
            return found
        if self._dataset("/calibration/method") is not None and self.has_group("/measurement"):
            return True
        self._note(path, "F06", "no method or no measurement: the group is ignored")
        return False

    def _note(self, path: str, rule: str, text: str) -> None:
        self._repairs.setdefault((path, rule), Repair(rule, path, text))

    def _dataset(self, path: str) -> h5py.Dataset | None:
        """Return the dataset of a standard name, or of an old name for it."""
        self._check_open()
        with reading(self.path, path):
            if self._old is not None:
                return self._old.dataset(path)
            found = nodes.find_dataset(self._hdf, path)
            for alias in () if found is not None else spec.ALIASES.get(path, ()):
                found = nodes.find_dataset(self._hdf, alias)
                if found is not None:
                    self._note(path, "F11", f"the file calls it {alias}")
                    break
        return found

    def _stored_value(self, field: spec.Field) -> Any:
        with reading(self.path, field.path):
            value = self._read_value(field) if self._old is None else self._old.value(field.path)
        if value is None:
            return self._absent(field)
        if field.path == spec.BACKGROUND and self._sparsity is not None:
            value = self._all_frames(np.asarray(value), self._sparsity)
        with reading(self.path, field.path):
            known = self._letters if any(isinstance(axis, str) for axis in field.shape) else {}
            fitted = fit(field, np.asarray(value), known, lambda *note: self._note(field.path, *note))
        return _plain(fitted)

    def _read_value(self, field: spec.Field) -> Any:
        """Return a value as it is stored, None if it is absent."""
        dataset = self._dataset(field.path)
        if dataset is None:
            return None
        value, exact = nodes.read_value(dataset, field)
        if not exact:
            rule = "F15" if field.is_text else "F09"
            what = "text is not UTF-8, read as Latin-1"
            self._note(field.path, rule, what if field.is_text else f"stored as {dataset.dtype}")
        return value

    def _absent(self, field: spec.Field) -> Any:
        if not self.has_group(field.group):  # then nothing in it is missing
            return None
        if field.need == "yes" and field.default in {"0", "1"}:
            rule = "F03" if field.path == spec.SPARSE else "F05"
            self._note(field.path, rule, f"absent, taken as {field.default}")
            return bool(int(field.default)) if field.kind == "flag" else int(field.default)
        if field.is_mandatory:
            group = "" if field.group == "/" else f" with {field.group}"
            raise MdfError(f"{self.path}: {field.path} is missing, every MDF file{group} has it")
        return None

    def value(self, path: str) -> Any:
        """Return the value of a standard dataset, repaired; None if it is optional and absent.

        Parameters
        ----------
        path : str
            Path of the standard, for instance ``"/acquisition/gradient"``. `/measurement/data` comes as the
            h5py dataset itself, as it is stored: see `read_signal`.

        Raises
        ------
        MdfError
            If it is mandatory and absent, or damaged.
        KeyError
            If the standard has no such path.
        """
        if path == spec.DATA:
            return self._data
        if path not in self._values:
            self._values[path] = self._agreed(path, self._stored_value(spec.FIELDS[path]))
        return self._values[path]

    def _agreed(self, path: str, value: Any) -> Any:
        """Return a value that agrees with the rest of the file."""
        if path == spec.PERMUTED and value and self._dataset(spec.PERMUTATION) is None:
            self._note(
                path, "M06", f"no {spec.PERMUTATION}: the stored order is taken for that of acquisition"
            )
            return False
        if path == spec.SELECTED and value and not self.value(spec.FOURIER):
            self._note(path, "M08", "a selection of frequencies in time data: it is ignored")
            return False
        if path == spec.TRANSFER_FUNCTION and value is not None:
            return self._selected(value)
        if spec.FIELDS[path].kind == "time" and value is not None:
            return self._tidy(path, value)
        if path in _COUNTED and self._has_data:
            rule, axis = _COUNTED[path]
            found = self._axes.shape[axis]
            if found != value:
                self._note(path, rule, f"it says {value}, {spec.DATA} has {found}")
            return found
        return value

    def _selected(self, function: Array) -> Array | None:
        """Return the columns of a transfer function that belong to the stored components, or None."""
        letters, found = self._letters, function.shape[1]
        if found == letters["K"]:
            return function
        if found == letters["V"] // 2 + 1 and self.value(spec.SELECTED):
            self._note(spec.TRANSFER_FUNCTION, "R03", "it has all components, the stored ones are taken")
            return _plain(function[:, self._from_one(spec.SELECTION, found)])  # type: ignore[no-any-return]
        text = f"it has {found} components, the data {letters['K']}: it is left out"
        self._note(spec.TRANSFER_FUNCTION, "R03", text)
        return None

    def _tidy(self, path: str, value: Any) -> Any:
        tidied = tidy_time(value) if isinstance(value, str) else np.array([tidy_time(text) for text in value])
        if not np.array_equal(tidied, value):
            self._note(path, "F14", "the time is brought into the form of MDF")
        return tidied

    @property
    def _data(self) -> h5py.Dataset:
        found = self._dataset(spec.DATA)
        if found is None:
            raise MdfError(f"{self.path}: {spec.DATA} is missing: the file has no signal")
        return found

    @cached_property
    def _has_data(self) -> bool:
        return self._dataset(spec.DATA) is not None

    @cached_property
    def _stored_axes(self) -> Axes:
        """Axes of the array as it stands, with B + E frames where it is compressed."""
        shape = self._data.shape
        if self._old is not None:
            with reading(self.path, spec.DATA):
                return self._old.axes(self._data)
        expected = (-1, -1, -1, -1)
        if len(shape) != 4:
            frames, periods, channels = (
                self._stored_value(spec.FIELDS[path]) for path in (spec.FRAMES, spec.PERIODS, spec.CHANNELS)
            )
            expected = (frames, periods, channels, self._values_per_period())
            self._note(spec.DATA, "M01", f"shape {shape}: axes of length 1 are missing")
        with reading(self.path, spec.DATA):
            return find_axes(shape, frames_last=self.value(spec.FAST_FRAME_AXIS), expected=expected)

    @cached_property
    def _axes(self) -> Axes:
        axes, sparsity = self._stored_axes, self._sparsity
        if sparsity is None:
            return axes
        frames = axes.shape[0] - sparsity.num_kept + sparsity.num_positions
        return replace(axes, shape=(frames, *axes.shape[1:]))

    @property
    def _stored(self) -> Stored:
        has_pairs = self._old is not None and self._old.has_pairs
        return Stored(self._data, self._axes, has_pairs, self._sparsity)

    @cached_property
    def _sparsity(self) -> Sparsity | None:
        """How the foreground is compressed, None if it is not (MDF 2.1.0, sparsity transformation)."""
        if not self._has_data or not self.value(spec.SPARSE):
            return None
        name, size = self.value(spec.TRANSFORMATION), self.value("/calibration/size")
        places = self._dataset(spec.INDICES)
        with reading(self.path, spec.SPARSE):
            if not (self.value(spec.FOURIER) and self.value(spec.FAST_FRAME_AXIS)):
                raise ValueError("only spectra with the frame axis last can be compressed")
            if size is None or np.any(size < 1):
                raise ValueError("the grid is unknown, expected /calibration/size")
        with reading(self.path, spec.TRANSFORMATION):
            if str(name).strip().upper() not in spec.TRANSFORMATIONS:
                raise ValueError(f"it is {name!r}, expected one of {', '.join(spec.TRANSFORMATIONS)}")
        stored = self._stored_axes.shape
        with reading(self.path, spec.INDICES):
            if places is None or places.dtype.kind not in "iu":
                raise ValueError("expected the indices of the coefficients")
            positions, kept = int(np.prod(size, dtype=object)), places.shape[-1] if places.shape else 0
            fits = places.shape[:-1] == stored[1:] and 0 < kept <= min(stored[0], positions)
            if not fits or positions > _LARGEST_GRID:
                raise ValueError(f"it has the shape {places.shape}, {spec.DATA} {self._data.shape}")
        order = str(self.value("/calibration/order") or "xyz").lower()
        with reading(self.path, "/calibration/order"):
            return Sparsity(str(name).strip().upper(), stored_shape(size, order), places)

    def _all_frames(self, is_background: Array, sparsity: Sparsity) -> Array:
        """Return the mask of all O + E frames: it may count the B + E that are stored."""
        kept, positions = sparsity.num_kept, sparsity.num_positions
        empty = self._stored_axes.shape[0] - kept
        counts_kept = is_background.size == kept + empty != positions + empty
        first = kept if counts_kept else positions
        with reading(self.path, spec.BACKGROUND):
            if not np.array_equal(is_background, np.arange(first + empty) >= first):
                raise ValueError(f"expected the {empty} background frames behind the others")
        if counts_kept:
            text = f"it counts {kept} coefficients, read for all {positions + empty} frames"
            self._note(spec.BACKGROUND, "M04", text)
        return np.arange(positions + empty) >= positions

    def _values_per_period(self) -> int:
        """Return how many values of a period should be stored, by all but the array."""
        samples = int(self.value(spec.SAMPLES))
        selection = self._dataset(spec.SELECTION)
        if self.value(spec.SELECTED) and selection is not None:
            return int(selection.size)
        return samples // 2 + 1 if self.value(spec.FOURIER) else samples

    @cached_property
    def _letters(self) -> Mapping[str, int]:
        """Sizes of the axes by the letters of the standard."""
        letters = {"F": 1}
        for letter, path in spec.COUNTS.items():
            with suppress(MdfError):  # whoever needs it will be told
                letters[letter] = int(self.value(path))
        if self._has_data and self.value(spec.FOURIER):
            letters["K"] = self._axes.shape[3]
        elif "V" in letters:
            letters["K"] = letters["V"] // 2 + 1
        strength = self._dataset("/acquisition/drivefield/strength")
        if strength is not None and len(strength.shape) == 3:
            letters["F"] = strength.shape[2]
        return letters

    def _from_one(self, path: str, count: int) -> Ints:
        """Return indices counted from 0; the file counts 1 to `count`."""
        index = self.value(path)
        if index is None:
            raise MdfError(f"{self.path}: {path} is missing, its flag is 1")
        if index.min(initial=1) < 1 or index.max(initial=1) > count or len(np.unique(index)) != len(index):
            hint = "the indices seem to count from 0, MDF counts from 1" if index.min(initial=1) == 0 else ""
            raise MdfError(f"{self.path}: {path} has no distinct indices from 1 to {count}", hint=hint)
        zero_based: Ints = index - 1
        return zero_based

    def contents(self) -> dict[str, Any]:
        """Return every standard dataset except `/measurement/data`, repaired, ready for `mdf.write`.

        They go with the signal as `read_signal` gives it, never compressed, and without what tells this file
        from another (`/version`, `/uuid`, `/time`). Mandatory text that the file lacks becomes "n.a.", study
        and experiment numbers 0, the start the time of the file; `repairs` says so.
        """
        contents = {}
        for path, field in spec.FIELDS.items():
            if path == spec.DATA or path in {*_ITSELF, *_COMPRESSED} or not self.has_group(field.group):
                continue
            value = self._known(field)
            if value is not None:
                contents[path] = value
        if spec.SPARSE in contents:
            contents[spec.SPARSE] = False
        return contents

    def _known(self, field: spec.Field) -> Any:
        """Return a value as the writer takes it; None for one that it can do without."""
        if field.path in {*_TAKEN, _START} and self._is_absent(field.path):
            return self._taken(field.path)
        if field.need not in {"data", "yes", "no"} and not self.value(f"{field.group}/{field.need}"):
            return None
        if self._is_absent(field.path) and field.is_mandatory and field.default in {"", *_MADE}:
            is_free_text = field.kind == "string" and not field.shape and not field.default
            return _UNKNOWN_TEXT if is_free_text else None
        value = self.value(field.path)
        replaceable = not field.is_mandatory or field.default == "new"
        return None if replaceable and value is not None and not spec.is_well_formed(field, value) else value

    def _taken(self, path: str) -> Any:
        """Return what stands for a mandatory value that the file lacks; None where nothing can."""
        value = _TAKEN[path] if path != _START else None if self._is_absent("/time") else self.value("/time")
        if value is not None:
            self._note(path, "F05", f"absent; taken as {value if path == _START else int(value)}")
        return value

    def _is_absent(self, path: str) -> bool:
        if self._old is None:
            return self._dataset(path) is None
        with reading(self.path, path):
            return self._old.value(path) is None

    def user_nodes(self) -> list[str]:
        """Return the paths of the top-most nodes whose name starts with an underscore.

        Without those that lead to other files, and virtual datasets.
        """
        return own_nodes(self._hdf, self.path)

    def left_out(self) -> list[str]:
        """Return the paths of the user's nodes that are never copied, for their values stand elsewhere."""
        return left_out(self._hdf, self.path)

    def copy_user_nodes(self, target: h5py.Group) -> None:
        """Copy all nodes of `user_nodes` into an open HDF5 file, except into groups that it lacks."""
        copy_own_nodes(self._hdf, target, self.path)

    def user_value(self, path: str) -> Any:
        """Return the value of a user's dataset (text as str), or None if there is none."""
        with reading(self.path, path):
            found = nodes.find(self._hdf, path)
            if not isinstance(found, h5py.Dataset):
                return None
            dataset = nodes.find_dataset(self._hdf, path)
            if dataset is None:
                return None
            is_text = h5py.check_string_dtype(dataset.dtype) is not None
            return _plain(np.asarray(nodes.read_text(dataset)[0] if is_text else nodes.read_numbers(dataset)))


def _plain(value: Array) -> Any:
    """Return a Python scalar, or an array that cannot be changed by accident."""
    if value.ndim == 0:
        return value.item()
    value = np.array(value)
    value.setflags(write=False)
    return value
