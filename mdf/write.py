"""Write MDF 2.1.0: strict, and complete or not at all."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np

from mdf import spec, temporary
from mdf.check import check_dtype, check_kept, complete, store, typed
from mdf.compression import Compression, CompressionWarning, check_compression, filters
from mdf.errors import MdfError
from mdf.file import File
from mdf.moment import is_fixed, new_uuid
from mdf.own_values import user_content

Array = np.ndarray[Any, Any]


def write(
    path: str | Path,
    contents: Mapping[str, Any],
    data: Array | None = None,
    *,
    user: Mapping[str, Any] | None = None,
    copy_user_from: File | None = None,
    compression: Compression | None = None,
    overwrite: bool = False,
) -> None:
    """Write an MDF file at once.

    Parameters
    ----------
    path : str or Path
    contents : mapping
        Values by their path in the standard (``{"/study/name": "..."}``), in SI units. Each is checked
        against the table of all nodes (`mdf.spec.FIELDS`) before a byte is written: a path that the standard
        does not have, text where it has a number, a fraction where it has a whole number, a flag other than
        0 and 1, another number of axes or another length, or a number that can only be in another unit (mT,
        mm) is an error. Integers and floats of any width become those of the standard; lists, scalars and
        arrays are taken. What is knowable may be left out: version, UUIDs, time, the numbers of frames,
        periods, channels and samples, flags that are 0, the waveform sine, the cycle.
    data : shape (N, J, C, V or K), or None
        Frames in the order in which they are to be stored, in the domain that
        ``contents["/measurement/isFourierTransformed"]`` says; never with the frame axis last, the writer
        moves it. Of sparsity-transformed data (B + E, J, C, K): B coefficients, then E background frames.
        None for a file without a measurement.
    user : mapping
        Values of your own by path: the first name below a group of the standard starts with an underscore.
    copy_user_from : File
        An open file that this one is made from. Its own values are copied, `user` wins; and what looks like a
        wrong unit or an unknown waveform is its business, and not refused.
    compression : int, "lzf" or None
        Level of gzip, 0 to 9, or LZF. MPIFiles.jl cannot open such files: a `CompressionWarning` says so.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    MdfError
        If something mandatory is missing or does not conform, or the file cannot be written. There is no file
        then, and an older one stays as it was.
    """
    contents, indices, kept = dict(contents), None, None
    data = None if data is None else np.asarray(data)
    if data is not None and (data.ndim != 4 or not data.size):
        raise MdfError(_not_four_axes(data))
    frames = None if data is None else len(data)
    if data is not None and np.any(contents.get(spec.SPARSE) or 0):
        indices = np.asarray(contents.pop(spec.INDICES, ()))
        frames, kept = np.size(contents.get(spec.BACKGROUND, ())), indices.shape[-1]
    with create(
        path,
        contents,
        num_frames=frames,
        kept=kept,
        user=user,
        copy_user_from=copy_user_from,
        compression=compression,
        overwrite=overwrite,
    ) as out:
        if data is not None and kept is None:
            out.append(data)
        elif data is not None:
            out.append_values(data, indices)


def create(
    path: str | Path,
    contents: Mapping[str, Any],
    *,
    num_frames: int | None,
    kept: int | None = None,
    user: Mapping[str, Any] | None = None,
    copy_user_from: File | None = None,
    compression: Compression | None = None,
    overwrite: bool = False,
) -> Writer:
    """Write an MDF file piece by piece, in a ``with`` statement.

    Parameters
    ----------
    num_frames : int or None
        N: how many frames there will be, background frames included; None for a file without a measurement.
    kept : int or None
        B: kept coefficients of each component, if the data are sparsity-transformed.
    path, contents, user, copy_user_from, compression, overwrite
        See `write`.

    Returns
    -------
    Writer
        Its `append` takes frames, or its `append_values` takes some samples or frequency components of all
        frames. The file appears when the block is left with everything written.
    """
    if num_frames is not None and (not isinstance(num_frames, int | np.integer) or num_frames < 1):
        raise MdfError(f"num_frames is {num_frames!r}, expected a whole number above 0, or None")
    if compression is not None:
        check_compression(compression)
        warnings.warn(
            "the data are compressed: Julia readers (MPIFiles.jl) cannot map such a file and do not open it",
            CompressionWarning,
            stacklevel=2,
        )
    return Writer(
        Path(path),
        contents,
        num_frames,
        user or {},
        copy_user_from,
        kept=kept,
        compression=compression,
        overwrite=overwrite,
    )


class Writer:
    """A file that is being written, under a hidden name beside its place."""

    def __init__(
        self,
        path: Path,
        contents: Mapping[str, Any],
        num_frames: int | None,
        user: Mapping[str, Any],
        copy_user_from: File | None,
        *,
        kept: int | None,
        compression: Compression | None,
        overwrite: bool,
    ) -> None:
        self._path = path
        self._contents = contents
        self._num_frames = num_frames
        self._user = user_content(user)
        self._source = copy_user_from
        self._kept = kept
        self._compression = compression
        self._overwrite = overwrite
        self._axis: int | None = None  # of (N, J, C, V or K), along which the pieces come
        self._written = 0
        self._is_done = False
        self._hidden: Path | None = None
        self._sink: temporary.Sink | None = None
        self._hdf: h5py.File | None = None
        self._data: h5py.Dataset | None = None
        self._indices: h5py.Dataset | None = None
        self._frames_last = False
        # with SOURCE_DATE_EPOCH the identity of a file is made of all that is in it
        self._digest = sha256() if is_fixed() and not contents.get("/uuid") else None

    def __enter__(self) -> Self:
        _check_target(self._path, self._source, overwrite=self._overwrite)
        self._hidden = temporary.claim(self._path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            self._discard()

    def append(self, frames: Array) -> None:
        """Write the next frames, shape (n, J, C, V or K).

        Raises
        ------
        MdfError
            If they do not conform, do not fit the ones before, or are too many.
        """
        if self._kept is not None:
            raise MdfError("sparsity-transformed data come by components, with their indices")
        self._append(self._prepare(frames, axis=0), axis=0)

    def append_values(self, values: Array, indices: Array | None = None) -> None:
        """Write the next samples or components of all frames, shape (N, J, C, n).

        This is the way for system matrices that are larger than memory: their frame axis is the last one.

        Parameters
        ----------
        values : shape (N, J, C, n)
            Of sparsity-transformed data (B + E, J, C, n): coefficients, then background frames.
        indices : shape (J, C, n, B) or None
            Places of the coefficients among the positions, from 1.

        Raises
        ------
        MdfError
            If they do not conform, do not fit the ones before, or are too many.
        """
        if (indices is None) != (self._kept is None):
            raise MdfError(f"{spec.INDICES} go with sparsity-transformed data, and with no other")
        values, first = self._prepare(values, axis=3), self._written
        if indices is not None and self._kept is not None:
            indices = check_kept(np.asarray(indices), values.shape, self._kept, self._contents)
            self._store_indices(indices, first)
        self._append(values, axis=3)

    def update(self, path: str, value: Any) -> None:
        """Replace a value of the contents that is known only after the data, as the SNR of a calibration.

        Parameters
        ----------
        path : str
            One of the contents that the file was begun with.
        value : number or array
            Of the same shape.

        Raises
        ------
        MdfError
            If nothing was written yet, the file has no such value, or it has another type or shape.
        """
        if self._hdf is None or self._is_done:
            raise MdfError(
                f"{self._path}: a value is replaced after the first data, inside of the 'with' statement"
            )
        stored = self._hdf.get(path)
        if path not in self._contents or not isinstance(stored, h5py.Dataset):
            raise MdfError(f"{self._path}: there is no {path} among the contents, which could be replaced")
        if spec.FIELDS[path].is_text:
            raise MdfError(f"{path} is text, only numbers are replaced")
        value = typed(spec.FIELDS[path], value)
        if value.shape != stored.shape:
            raise MdfError(f"{path} has the shape {value.shape}, expected {stored.shape} as at first")
        with self._writing():
            stored[...] = value
        self._note(path, value)

    def _prepare(self, piece: Array, axis: int) -> Array:
        """Check a piece by itself; the first one begins the file."""
        if self._hidden is None or self._is_done:
            raise MdfError(f"{self._path}: frames are written inside of the 'with' statement only")
        piece = check_dtype(spec.DATA, np.asarray(piece))
        if self._num_frames is None:
            raise MdfError(f"{self._path}: frames for a file that was announced without")
        if piece.ndim != 4:
            raise MdfError(_not_four_axes(piece))
        if self._axis not in {None, axis}:
            raise MdfError("pieces of frames and pieces of values do not go together in one file")
        if self._data is None:
            self._begin(self._whole(piece.shape, axis), piece)
        self._axis = axis
        return piece

    def _append(self, piece: Array, axis: int) -> None:
        """Write a piece that is checked by itself, if it goes with those before."""
        assert self._data is not None  # noqa: S101
        whole = self._canonical()
        last = self._written + piece.shape[axis]
        place = [slice(None)] * 4
        place[axis] = slice(self._written, last)
        if _without(piece.shape, axis) != _without(whole, axis) or piece.dtype != self._data.dtype:
            raise MdfError(
                f"{_PIECES[axis]} of shape {_without(piece.shape, axis)} and type {piece.dtype}, the first "
                f"had {_without(whole, axis)} and {self._data.dtype}"
            )
        if last > whole[axis]:
            raise MdfError(f"{self._path}: more {_PIECES[axis]} than the {whole[axis]} that were announced")
        self._note(spec.DATA, piece)
        with self._writing():
            if self._frames_last:
                self._data[(*place[1:], place[0])] = np.moveaxis(piece, 0, -1)
            else:
                self._data[tuple(place)] = piece
        self._written = last

    def _canonical(self) -> tuple[int, ...]:
        """Return the shape of all data, frames first."""
        assert self._data is not None  # noqa: S101
        shape = tuple(self._data.shape)
        return shape[-1:] + shape[:-1] if self._frames_last else shape

    def _whole(self, piece: tuple[int, ...], axis: int) -> tuple[int, ...]:
        """Return the shape of all frames as they were measured, by that of the first piece."""
        assert self._num_frames is not None  # noqa: S101
        if axis == 0:
            return (self._num_frames, *piece[1:])
        return (self._num_frames, *piece[1:3], self._num_values())

    def _num_values(self) -> int:
        """Return the number of samples or components of a period, by the contents."""
        if np.any(self._contents.get(spec.SELECTED) or 0):
            return int(np.size(self._contents.get(spec.SELECTION, ())))
        samples = self._contents.get(spec.SAMPLES)
        if samples is None or np.ndim(samples):
            raise MdfError(f"{spec.SAMPLES} is {samples}, expected the number of samples in a period")
        return int(samples) // 2 + 1 if np.any(self._contents.get(spec.FOURIER) or 0) else int(samples)

    def _begin(self, shape: tuple[int, ...] | None, piece: Array | None) -> None:
        """Check everything, then write everything but the data."""
        data = None if shape is None or piece is None else (shape, piece.dtype)
        checked = complete(self._contents, data, kept=self._kept, is_copy=self._source is not None)
        assert self._hidden is not None  # noqa: S101
        with self._writing():
            self._sink = temporary.Sink(self._hidden)
            self._hdf = h5py.File(self._sink, "w")
            for path, value in checked.items():
                store(self._hdf, path, value)
                self._note(path, value)
            if data is not None and piece is not None:
                self._frames_last = bool(checked[spec.FAST_FRAME_AXIS])
                self._make_data(data[0], piece, int(np.sum(checked[spec.BACKGROUND])))
        self._write_user_values(self._hdf)

    def _make_data(self, shape: tuple[int, ...], piece: Array, background_frames: int) -> None:
        assert self._hdf is not None  # noqa: S101
        frames = shape[0] if self._kept is None else self._kept + background_frames
        together = min(len(piece), frames)
        stored = (*shape[1:], frames) if self._frames_last else (frames, *shape[1:])
        longest = (*shape[1:], together) if self._frames_last else (together, *shape[1:])
        options = filters(self._compression, longest, piece.dtype.itemsize)
        self._data = self._hdf.create_dataset(spec.DATA, stored, piece.dtype, fill_time="never", **options)
        if self._kept is not None:
            places = (*shape[1:], self._kept)
            options = filters(self._compression, places, 4)
            self._indices = self._hdf.create_dataset(
                spec.INDICES, places, "<i4", fill_time="never", **options
            )

    def _store_indices(self, indices: Array, first: int) -> None:
        assert self._indices is not None  # noqa: S101
        with self._writing():
            self._indices[:, :, first : first + indices.shape[2]] = indices

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn all that goes wrong into an `MdfError`."""
        try:
            yield
            assert self._sink is not None  # noqa: S101
            self._sink.check()
        except (OSError, ValueError, RuntimeError, TypeError) as error:
            raise MdfError(f"{self._path}: cannot be written: {error}") from error

    def _write_user_values(self, hdf: h5py.File) -> None:
        if self._source is not None:
            self._source.copy_user_nodes(hdf)
        with self._writing():
            for path, value in self._user.items():
                if path in hdf:
                    del hdf[path]
                store(hdf, path, value)
                self._note(path, value)

    def _note(self, path: str, value: Any) -> None:
        """Let a value have its part in the identity of the file."""
        if self._digest is not None:
            array = np.asarray(value)
            is_text = array.dtype.kind in "UO"
            self._digest.update(path.encode())
            self._digest.update(repr(array.tolist()).encode() if is_text else array.tobytes())

    def _finish(self) -> None:
        axis = self._axis or 0
        if self._num_frames is None:
            self._begin(None, None)
        elif self._data is None or self._written != self._canonical()[axis]:
            announced = self._num_frames if self._data is None else self._canonical()[axis]
            raise MdfError(
                f"{self._path}: {self._written} {_PIECES[axis]} were written, {announced} were announced: "
                "there is no file"
            )
        assert self._hdf is not None  # noqa: S101
        assert self._hidden is not None  # noqa: S101
        with self._writing():
            if self._digest is not None:
                self._hdf["/uuid"][()] = new_uuid(self._digest.hexdigest())
            self._hdf.close()
            assert self._sink is not None  # noqa: S101
            self._sink.check()
            self._sink.close()
            temporary.publish(self._hidden, self._path, overwrite=self._overwrite)

    def _discard(self) -> None:
        self._is_done = True
        if self._hdf is not None:
            self._hdf.close()
        if self._sink is not None:
            self._sink.close()
        assert self._hidden is not None  # noqa: S101
        temporary.release(self._hidden)


_PIECES = {0: "frames", 3: "values"}


def _not_four_axes(data: Array) -> str:
    return f"the data have the shape {data.shape}, expected (frames, periods, channels, values)"


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[axis + 1 :]


def _check_target(path: Path, source: File | None, *, overwrite: bool) -> None:
    if not path.parent.is_dir():
        raise MdfError(f"{path}: there is no folder {str(path.parent)!r}")
    if path.is_dir():
        raise MdfError(f"{path}: this is a folder, expected a file to write")
    if source is not None and path.exists() and path.samefile(source.path):
        raise MdfError(f"{path}: the output is the input {str(source.path)!r}", hint="choose another name")
    if not overwrite and os.path.lexists(path):
        raise temporary.exists(path)
