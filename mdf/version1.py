"""Version 1.0 of the format, seen with the names and shapes of version 2 (MDF 2.1.0 and 1.0.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid5

import h5py
import numpy as np

from mdf import nodes, spec
from mdf.layout import Axes
from mdf.repair import Array

Note = Callable[[str, str, str], None]

_MEASURED = ("/measurement/dataTD", "/measurement/dataFD")
_CALIBRATED = ("/calibration/dataFD", "/calibration/dataTD")
_SIGNS = ("/date", "/scanner/model", "/acquisition/time", "/acquisition/drivefield/period")

# Where version 1 has what version 2 has elsewhere.
_NAMES = {
    "/time": "/date",
    "/experiment/number": "/study/experiment",
    "/experiment/description": "/study/description",
    "/experiment/subject": "/study/subject",
    "/experiment/isSimulation": "/study/simulation",
    "/tracer/injectionTime": "/tracer/time",
    "/scanner/name": "/scanner/model",
    "/acquisition/startTime": "/acquisition/time",
    spec.PERIODS: "/acquisition/numPatches",
    "/acquisition/numAverages": "/acquisition/drivefield/averages",
    "/acquisition/drivefield/cycle": "/acquisition/drivefield/period",
    spec.SNR: "/calibration/snrFD",
}
_OTHER_MEANING = "/study/description"  # in version 1 it describes the experiment
_FREQUENCIES = "/acquisition/receiver/frequencies"
_CENTER = "/acquisition/drivefield/fieldOfViewCenter"
_GRADIENT = "/acquisition/gradient"

# What version 1 does not say, or may leave out.
_UNSAID: dict[str, Any] = {
    "/study/name": "n.a.",
    "/study/number": 0,
    "/study/description": "n.a.",
    "/experiment/name": "n.a.",
    "/experiment/number": 0,
    "/experiment/description": "n.a.",
    "/experiment/subject": "n.a.",
    "/experiment/isSimulation": False,
    **{f"/tracer/{name}": ["n.a."] for name in ("name", "batch", "vendor")},
    "/tracer/solute": ["Fe"],
    "/tracer/concentration": [0.0],
    "/tracer/volume": [0.0],
    "/acquisition/numAverages": 1,
    "/acquisition/receiver/unit": "a.u.",
    "/acquisition/drivefield/waveform": "sine",
    "/calibration/method": "n.a.",
    "/measurement/isSpectralLeakageCorrected": False,
    "/measurement/isTransferFunctionCorrected": False,
}
_NEW_GROUPS = ("/experiment", "/study")  # of which version 1 has other parts, or none


def is_version_1(hdf: h5py.Group) -> bool:
    """Say whether a file is of version 1, by the datasets that it has."""
    if _is_there(hdf, spec.DATA):
        return False
    if any(_is_there(hdf, path) for path in (*_MEASURED, *_CALIBRATED)):
        return True
    return any(_is_there(hdf, path) for path in _SIGNS) and not _is_there(hdf, "/experiment")


def _is_there(hdf: h5py.Group, path: str) -> bool:
    """Say whether there is anything, readable or not: whoever reads it will be told."""
    try:
        return nodes.find(hdf, path) is not None
    except (ValueError, KeyError, OSError, RuntimeError):
        return True


class Version1:
    """A file of version 1.

    Parameters
    ----------
    hdf : h5py.Group
    note : callable
        Takes path, rule and text of whatever is read otherwise than it stands.
    """

    def __init__(self, hdf: h5py.Group, note: Note) -> None:
        self._hdf = hdf
        self._note = note
        found = [path for path in (*_CALIBRATED, *_MEASURED) if _is_there(hdf, path)]
        self.data_path = found[0] if found else None
        note("/version", "F02", "the datasets are those of version 1, read as version 2")
        if len(found) > 1:
            note(spec.DATA, "F11", f"{found[0]} is taken, {', '.join(found[1:])} left out")

    @property
    def _is_calibration(self) -> bool:
        return self.data_path in _CALIBRATED

    @property
    def has_spectra(self) -> bool:
        """Whether spectra are stored."""
        return self.data_path is not None and self.data_path.endswith("FD")

    @property
    def has_pairs(self) -> bool:
        """Whether real and imaginary part stand in a last axis of length 2; some programs use a compound."""
        data = self.dataset(spec.DATA) if self.has_spectra else None
        return data is not None and data.dtype.kind != "c" and data.dtype.names is None

    def has_group(self, path: str) -> bool:
        """Say whether the file has what makes a group of version 2."""
        if path == "/measurement":
            return self.data_path is not None
        if path == "/calibration":
            return self._is_calibration
        return path in _NEW_GROUPS or nodes.find_group(self._hdf, path) is not None

    def dataset(self, path: str) -> h5py.Dataset | None:
        """Return the dataset that holds a value of version 2, in its own shape."""
        if path == spec.DATA:
            return None if self.data_path is None else nodes.find_dataset(self._hdf, self.data_path)
        old = _NAMES.get(path)
        found = None if old is None else nodes.find_dataset(self._hdf, old)
        if found is not None:
            self._note(path, "F11", f"the file calls it {old}")
        elif path != _OTHER_MEANING:
            found = nodes.find_dataset(self._hdf, path)
        return found

    def axes(self, dataset: h5py.Dataset) -> Axes:
        """Say which axis of the data is which.

        Raises
        ------
        ValueError
            If version 1 has no such shape.
        """
        shape, has_pairs = tuple(dataset.shape), self.has_pairs
        if has_pairs and shape[-1:] != (2,):
            raise ValueError(f"it has the shape {shape}, expected a last axis of real and imaginary part")
        shape = shape[:-1] if has_pairs else shape
        if len(shape) not in {3, 4}:
            raise ValueError(f"it has the shape {shape}, expected (patches,) channels, values and frames")
        squeezed: tuple[int, ...] = ()
        if len(shape) == 3:
            squeezed = (0,) if self._is_calibration else (1,)
            shape = (*shape[: squeezed[0]], 1, *shape[squeezed[0] :])
        order = shape[-1:] + shape[:-1] if self._is_calibration else shape
        return Axes((order[0], order[1], order[2], order[3]), self._is_calibration, squeezed)

    def value(self, path: str) -> Any:
        """Return a value in the shape that version 2 gives it, as far as that is known; None if absent."""
        make = _MADE.get(path)
        if make is not None:
            return make(self)
        if path in spec.COUNTS.values():
            counted = self._counted(path)
            if counted is not None:
                return counted
        dataset = self.dataset(path)
        if dataset is None:
            return self._unsaid(path)
        value = np.asarray(nodes.read_value(dataset, spec.FIELDS[path])[0])
        return _SHAPES[path](value) if path in _SHAPES else value

    def _unsaid(self, path: str) -> Any:
        if path in {"/study/uuid", "/experiment/uuid"}:
            self._note(path, "F05", "not in version 1, made from that of the file")
            return self._uuid(path)
        if path not in _UNSAID:
            return None
        value = np.asarray(_UNSAID[path])
        shown = int(value) if value.dtype == bool else value.flat[0]
        self._note(path, "F05", f"absent, taken as {shown}")
        return value

    def _uuid(self, path: str) -> str:
        """Return a UUID that is the same whenever the file is read."""
        dataset = nodes.find_dataset(self._hdf, "/uuid")
        text = "" if dataset is None else str(nodes.read_text(dataset)[0])
        return str(uuid5(UUID(int=0), f"{text}{path}"))

    def _counted(self, path: str) -> Any:
        """Return a size; receivers may give theirs for each channel, and old files not at all."""
        data = self.dataset(spec.DATA)
        place = {spec.FRAMES: 0, spec.PERIODS: 1, spec.CHANNELS: 2}.get(path)
        if place is not None and data is not None and self.dataset(path) is None:
            return self.axes(data).shape[place]
        return self._same_for_all(path) if path == spec.SAMPLES else None

    def _same_for_all(self, path: str) -> Any:
        """Return the one value that all channels have."""
        dataset = nodes.find_dataset(self._hdf, path)
        if dataset is None:
            return None
        value = np.asarray(nodes.read_value(dataset, spec.FIELDS[path])[0])
        if value.size == 0 or np.any(value != value.flat[0]):
            raise ValueError(f"it is {value.tolist()}, expected the same for all channels")
        return value.flat[0]

    def _read(self, path: str, kind: spec.Kind = "float") -> Array | None:
        dataset = nodes.find_dataset(self._hdf, path)
        field = spec.Field(path, kind, (), "", "no", "", "")
        return None if dataset is None else np.asarray(nodes.read_value(dataset, field)[0])

    def _periods(self) -> int:
        periods = self.value(spec.PERIODS)
        return 1 if periods is None else int(periods)

    def _gradient(self) -> Array | None:
        """Diagonals (3,) or (J, 3) become matrices (J, 1, 3, 3)."""
        stored = self._read(_GRADIENT)
        if stored is None or stored.shape[-1:] != (3,) or stored.ndim > 2:
            return stored
        diagonal = np.broadcast_to(stored, (self._periods(), 3))
        return diagonal[:, None, :, None] * np.eye(3)

    def _offset(self) -> Array | None:
        """Return the field at the scanner's centre that puts the field-free point where the patch is."""
        gradient, center = self._gradient(), self._read(_CENTER)
        stored = self._read("/acquisition/offsetField")
        if stored is not None or gradient is None or center is None or gradient.ndim != 4:
            return stored
        self._note("/acquisition/offsetField", "F05", f"made from the gradient and {_CENTER}")
        offset: Array = -np.einsum("jyab,jb->jya", gradient, np.broadcast_to(center, (len(gradient), 3)))
        return offset

    def _strength(self) -> Array | None:
        stored = self._read("/acquisition/drivefield/strength")
        if stored is None or stored.ndim not in {1, 2}:
            return stored
        return np.broadcast_to(stored, (self._periods(), stored.shape[-1]))[..., None]

    def _phase(self) -> Array | None:
        stored, strength = self._read("/acquisition/drivefield/phase"), self._strength()
        if stored is not None or strength is None:
            return stored
        self._note("/acquisition/drivefield/phase", "F05", "not in version 1, taken as pi/2: a cosine")
        return np.full(strength.shape, np.pi / 2)

    def _transfer_function(self) -> Array | None:
        stored = self._read(spec.TRANSFER_FUNCTION, "number")
        if stored is None or stored.dtype.kind == "c" or stored.shape[-1:] != (2,):
            return stored
        return stored[..., 0] + 1j * stored[..., 1]

    def _selection(self) -> Array | None:
        """Return the stored components, from 1; None if all are stored."""
        frequencies = self._read(_FREQUENCIES) if self.has_spectra else None
        samples, bandwidth = self._same_for_all(spec.SAMPLES), self._same_for_all(spec.BANDWIDTH)
        if frequencies is None or not frequencies.size or samples is None or bandwidth is None:
            return None
        rows = np.atleast_2d(frequencies)
        if not np.array_equal(rows, np.broadcast_to(rows[0], rows.shape), equal_nan=True):
            raise ValueError(f"{_FREQUENCIES} differs between channels, which version 2 cannot say")
        if rows.shape[1] == int(samples) // 2 + 1:
            return None
        with np.errstate(all="ignore"):
            place = rows[0] * float(samples) / (2 * float(bandwidth))
        if not np.all((place > -0.5) & (place < samples)) or np.any(np.abs(place - np.rint(place)) > 0.1):
            raise ValueError(f"{_FREQUENCIES} has frequencies that no sampled period has")
        lines: Array = np.rint(place).astype(np.int64) + 1
        return lines

    def _number(self) -> Any:
        """Return the number of the experiment, which version 1 has as text."""
        path = "/experiment/number"
        dataset = self.dataset(path)
        if dataset is None:
            return self._unsaid(path)
        if h5py.check_string_dtype(dataset.dtype) is None:
            return nodes.read_value(dataset, spec.FIELDS[path])[0]
        text = str(nodes.read_text(dataset)[0])
        if text.strip().isdecimal():
            return int(text)
        self._note(path, "F09", f"{text!r} is no number, taken as 0")
        return 0

    def _is_background(self) -> Array | None:
        data = self.dataset(spec.DATA)
        if data is None:
            return None
        reference = self._read("/study/reference", "flag")
        is_empty = reference is not None and bool(np.any(reference))
        if is_empty:
            self._note(spec.BACKGROUND, "F11", "the file calls itself a reference: all frames are background")
        return np.full(self.axes(data).shape[0], is_empty)

    def _is_corrected(self) -> bool:
        if self._is_calibration:
            text = "not in version 1, taken as 1 for a calibration, as other readers do"
            self._note("/measurement/isBackgroundCorrected", "F05", text)
        return self._is_calibration


_MADE: dict[str, Callable[[Version1], Any]] = {
    spec.FOURIER: lambda old: old.has_spectra,
    spec.FAST_FRAME_AXIS: lambda old: old._is_calibration,
    spec.PERMUTED: lambda old: old._is_calibration,  # a robot may have gone any way, and nothing says which
    spec.SELECTED: lambda old: old._selection() is not None,
    spec.SELECTION: Version1._selection,
    spec.SPARSE: lambda _: False,
    spec.BACKGROUND: Version1._is_background,
    "/measurement/isBackgroundCorrected": Version1._is_corrected,
    "/experiment/number": Version1._number,
    spec.BANDWIDTH: lambda old: old._same_for_all(spec.BANDWIDTH),
    spec.TRANSFER_FUNCTION: Version1._transfer_function,
    _GRADIENT: Version1._gradient,
    "/acquisition/offsetField": Version1._offset,
    "/acquisition/drivefield/strength": Version1._strength,
    "/acquisition/drivefield/phase": Version1._phase,
}


def _column(value: Array) -> Array:
    """One divider for each channel: the axis of frequencies is new."""
    return value[:, None] if value.ndim == 1 else value


def _with_periods(value: Array) -> Array:
    return value[None] if value.ndim == 2 else value


_SHAPES: dict[str, Callable[[Array], Array]] = {
    "/acquisition/drivefield/divider": _column,
    spec.SNR: _with_periods,
    **{field.path: np.atleast_1d for field in spec.FIELDS.values() if field.group == "/tracer"},
}
