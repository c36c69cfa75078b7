"""The rows of a system matrix as 16-bit integers in a file: half the bytes, read without any work."""

from __future__ import annotations

import hashlib
import json
import shutil
import zlib
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

import mdf
from mdf import temporary
from mpikit.errors import InputError, UsageError
from mpikit.events import Event, Finding, Step, Warned
from mpikit.reconstruct.periods import periods_in
from mpikit.reconstruct.reading import Reader
from mpikit.reconstruct.rounding import restored, rounded
from mpikit.reconstruct.selection import Rows
from mpikit.reconstruct.streamed import PIECE, FileRows, split_rows

Array = NDArray[Any]
Ints = NDArray[np.int64]
Key = Mapping[str, Any]
Tell = Callable[[Event], None]

_MARK = b"mpikit system matrix cache 1\n"  # first bytes of the file: even a damaged one can be told
_BEFORE = 512  # bytes in front of the HDF5 file
_SAMPLES, _SAMPLE = 64, 4096  # of the calibration: pieces, and bytes of each, that are hashed
_ROOM = 2**20  # bytes for all but the values


class CacheRows(FileRows):
    """Rows of a cache; each is checked when it is read for the first time.

    Parameters
    ----------
    path : Path
    hdf : h5py.File
        Open; `close` closes it.
    """

    def __init__(self, path: Path, hdf: h5py.File) -> None:
        self._path, self._hdf = path, hdf
        self._values, self._scale, self._sums = hdf["values"], hdf["scale"][()], hdf["sums"][()]
        rows, voxels, _ = self._values.shape
        super().__init__((rows, voxels), np.result_type(self._scale.dtype, np.complex64))
        self._checked = np.zeros(rows, bool)
        self._scratch = np.empty((0, voxels, 2), np.int16)

    def close(self) -> None:
        """Wait for what is being read, and close the file."""
        super().close()
        self._hdf.close()

    def _read_piece(self, rows: slice, out: Array) -> None:
        count = rows.stop - rows.start
        if len(self._scratch) < count:
            self._scratch = np.empty((count, *self._values.shape[1:]), np.int16)
        integers = self._scratch[:count].reshape(count, -1)
        try:
            self._values.read_direct(self._scratch, np.s_[rows], np.s_[:count])
        except OSError as error:
            raise self._damaged(f"cannot be read: {error}") from error
        if not self._checked[rows].all():
            wrong = np.flatnonzero(_sums(integers, self._scale[rows]) != self._sums[rows])
            if len(wrong):
                raise self._damaged(f"is damaged: row {rows.start + wrong[0]} is not as it was written")
            self._checked[rows] = True
        restored(integers, self._scale[rows], out)
        self._note(rows, out)

    def _damaged(self, what: str) -> InputError:
        return InputError(f"the cache {self._path} {what}", hint="delete it: the next run makes it anew")


def matrix_key(
    reader: Reader, rows: Rows, voxels: Ints, grid: mdf.Grid, *, background: str
) -> dict[str, Any]:
    """Return what the values of a matrix depend on, ready for JSON.

    The calibration is told by its size, time of change and UUID, and a hash over 64 pieces of 4 KiB, first
    and last among them. A hash of all would take as long as a sweep, and is not needed: who changes values in
    a file changes its time. A copy that has a time of its own counts as another file.

    What the reader does to the values, such as dividing the receive chain out, is told by some of them.

    Parameters
    ----------
    reader : Reader
        Of the calibration.
    rows : Rows
    voxels : shape (P'',)
        Places of the calibration's grid that are read.
    grid : mdf.Grid
        Of the columns.
    background : str
        How it is subtracted.
    """
    some = np.unique(np.linspace(0, len(rows) - 1, 8).round().astype(int))
    few = voxels[np.unique(np.linspace(0, len(voxels) - 1, 4).round().astype(int))]
    probes = reader.rows(Rows(rows.channels[some], rows.lines[some], {}), few, "grid")
    return {
        "calibration": _identity(reader.file),
        "version of mpikit": version("mpikit"),
        "periods": periods_in(reader.file).tolist(),
        "rows": _digest(rows.channels, rows.lines),
        "grid": [_digest(voxels), *(part.tolist() for part in (grid.size, grid.field_of_view, grid.center))],
        "corrections": [background, _digest(probes)],
    }


def check_cache_place(place: Path, matrices: int) -> None:
    """Refuse one file as the cache of several matrices, which would overwrite each other.

    Parameters
    ----------
    place : Path
        The cache, or a folder of caches.
    matrices : int
        How many are kept.

    Raises
    ------
    UsageError
    """
    if matrices > 1 and not place.is_dir():
        raise UsageError(
            f"{place} is one cache, and {matrices} matrices are to be kept",
            hint="name an existing folder with --cache: each matrix then has a cache of its own there",
        )


def _identity(file: mdf.File) -> dict[str, Any]:
    status = file.path.stat()
    pieces = hashlib.sha256()
    with file.path.open("rb") as raw:
        for place in np.linspace(0, max(0, status.st_size - _SAMPLE), _SAMPLES).astype(np.int64).tolist():
            raw.seek(place)
            pieces.update(raw.read(_SAMPLE))
    known = {"bytes": status.st_size, "changed": status.st_mtime_ns, "uuid": str(file.uuid)}
    return {**known, "sample": pieces.hexdigest()}


def _digest(*arrays: Array) -> str:
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def cached_rows(place: Path, key: Key, source: Callable[[], FileRows], *, name: str, tell: Tell) -> FileRows:
    """Return the rows of a cache, which is made first where it is missing or belongs to something else.

    Parameters
    ----------
    place : Path
        The cache, or a folder of caches.
    key : mapping
        See `matrix_key`.
    source : callable
        Gives the rows that are to be kept; called only if they are needed.
    name : str
        Of the calibration: a cache in a folder is named after it.
    tell : callable

    Raises
    ------
    InputError
        When the file is something else, cannot be written, or there is no space for it.
    """
    path = place
    if place.is_dir():
        path = place / f"{name}.{hashlib.sha256(_text(key).encode()).hexdigest()[:12]}.cache.h5"
    found, why = _look(path, key)
    if found is None:
        if why:
            tell(why)
        _make(path, key, source, tell)
        found, why = _look(path, key)
        if found is None:
            raise InputError(f"the cache {path} changed meanwhile", hint="use one that no other run changes")
    else:
        tell(Finding("cache", str(path), f"the matrix comes from the cache {path}"))
    return found


def _text(key: Key) -> str:
    return json.dumps(key, sort_keys=True)


def _look(path: Path, key: Key) -> tuple[CacheRows | None, Event | None]:
    """Return the rows if they are the wanted ones; else why the file is to be made anew, if there is one.

    Raises
    ------
    InputError
        When there is a file that is no cache: it is never replaced.
    """
    if not path.exists():
        return None, None
    try:
        with path.open("rb") as raw:
            is_cache = raw.read(len(_MARK)) == _MARK
    except OSError as error:
        raise InputError(f"the cache {path} cannot be read: {error.strerror or error}") from error
    if not is_cache:
        raise InputError(
            f"{path} is no cache of a system matrix, and is not replaced",
            hint="name another file, or a folder, with --cache",
        )
    try:
        hdf = h5py.File(path, "r")
    except OSError as error:
        return None, Warned(f"the cache {path} is damaged, it is made anew ({error})")
    try:
        stored = _checked_key(hdf)
        if _text(stored) == _text(key):
            return CacheRows(path, hdf), None
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        hdf.close()
        return None, Warned(f"the cache {path} is damaged, it is made anew ({error})")
    hdf.close()
    other = next((name for name in key if stored.get(name) != key[name]), "key")
    text = f"the cache {path} is that of another matrix (not the same {other}), it is made anew"
    return None, Finding("cache", str(path), text)


def _checked_key(hdf: h5py.File) -> dict[str, Any]:
    """Return the key of a cache whose parts have the right shapes and are all there."""
    key = json.loads(hdf.attrs["key"])
    if not isinstance(key, dict):
        raise TypeError("its key is none")
    values, scale, sums = (hdf[name] for name in ("values", "scale", "sums"))
    rows, _, parts = values.shape
    kinds = (values.dtype, sums.dtype, scale.dtype.kind)
    if (parts, scale.shape, sums.shape, kinds) != (2, (rows,), (rows,), (np.int16, np.uint32, "f")):
        raise ValueError("its parts do not fit each other")
    ends = [each.id.get_offset() + each.id.get_storage_size() for each in (values, scale, sums)]
    if max(ends) > Path(hdf.filename).stat().st_size:
        raise ValueError("its end is missing")
    return key


def _sums(integers: NDArray[np.int16], scale: Array) -> NDArray[np.uint32]:
    """Return the checksum of each row."""
    known = (zlib.crc32(row, zlib.crc32(factor)) for row, factor in zip(integers, scale, strict=True))
    return np.fromiter(known, np.uint32, len(integers))


def _make(path: Path, key: Key, source: Callable[[], FileRows], tell: Tell) -> None:
    """Write a cache: it is complete or absent."""
    if not path.parent.is_dir():
        raise InputError(f"the folder {path.parent} does not exist", hint="make it first")
    rows = source()
    try:
        _check_space(path, rows)
        size = _bytes(rows) / 2**30
        tell(Finding("cache", str(path), f"the matrix is written into the cache {path}, {size:.3g} GiB"))
        hidden = temporary.claim(path)
        try:
            _write(hidden, key, rows, tell)
            temporary.publish(hidden, path, overwrite=True)
        finally:
            temporary.release(hidden)
    except OSError as error:
        raise InputError(
            f"the cache {path} cannot be written: {error.strerror or error}",
            hint="name another place with --cache",
        ) from error
    finally:
        rows.close()


def _bytes(rows: FileRows) -> int:
    return 4 * rows.shape[0] * rows.shape[1] + 16 * rows.shape[0] + _ROOM


def _check_space(path: Path, rows: FileRows) -> None:
    free = shutil.disk_usage(path.parent).free
    if free < _bytes(rows):
        raise InputError(
            f"the cache {path} needs {_bytes(rows) / 2**30:.3g} GiB, and {free / 2**30:.3g} GiB are free",
            hint="make room, use fewer rows (--snr-threshold, -p best=...), or name another place",
        )


def _write(hidden: Path, key: Key, rows: FileRows, tell: Tell) -> None:
    count, voxels = rows.shape
    scale = np.empty(count, rows.dtype.type(0).real.dtype)
    sums = np.empty(count, np.uint32)
    with temporary.Sink(hidden) as sink:
        with h5py.File(sink, "w", userblock_size=_BEFORE) as hdf:
            hdf.attrs["key"] = _text(key)
            values = hdf.create_dataset("values", (count, voxels, 2), np.int16, fill_time="never")
            for part in range(len(rows)):
                place, read = rows.rows(part), rows.load(part)
                for piece in split_rows(place, voxels, PIECE):
                    integers, scale[piece] = rounded(
                        read[piece.start - place.start : piece.stop - place.start]
                    )
                    sums[piece] = _sums(integers, scale[piece])
                    values.write_direct(integers.reshape(-1, voxels, 2), dest_sel=np.s_[piece])
                    sink.check()
                tell(Step(part + 1, len(rows), {"GiB": 4 * place.stop * voxels / 2**30}))
            hdf["scale"], hdf["sums"] = scale, sums
        sink.seek(0)
        sink.write(_MARK)
        sink.check()
