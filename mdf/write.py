"""Write MDF 2.1.0: strict, and complete or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import h5py
import numpy as np

from mdf import spec
from mdf.check import check_dtype, complete, store, user_content
from mdf.errors import MdfError
from mdf.file import File

Array = np.ndarray[Any, Any]


def write(
    path: str | Path,
    contents: Mapping[str, Any],
    data: Array | None = None,
    *,
    user: Mapping[str, Any] | None = None,
    copy_user_from: File | None = None,
    overwrite: bool = False,
) -> None:
    """Write an MDF file at once.

    Parameters
    ----------
    path : str or Path
    contents : mapping
        Values by their path in the standard (``{"/study/name": "..."}``), in SI units and the standard's
        shapes. What is knowable may be left out: version, UUIDs, time, the numbers of frames, periods,
        channels and samples, flags that are 0, the waveform sine, the cycle.
    data : shape (N, J, C, V or K), or None
        Frames in the order in which they are to be stored, in the domain that
        ``contents["/measurement/isFourierTransformed"]`` says; never with the frame axis last, the writer
        moves it. None for a file without a measurement.
    user : mapping
        Values of your own by path: the first name below a group of the standard starts with an underscore.
    copy_user_from : File
        An open file whose own values are copied; `user` wins.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    MdfError
        If something mandatory is missing or does not conform, or the file cannot be written. There is no file
        then, and an older one stays as it was.
    """
    frames = None if data is None else len(data)
    with create(
        path, contents, num_frames=frames, user=user, copy_user_from=copy_user_from, overwrite=overwrite
    ) as out:
        if data is not None:
            out.append(data)


def create(
    path: str | Path,
    contents: Mapping[str, Any],
    *,
    num_frames: int | None,
    user: Mapping[str, Any] | None = None,
    copy_user_from: File | None = None,
    overwrite: bool = False,
) -> Writer:
    """Write an MDF file frame by frame, in a ``with`` statement.

    Parameters
    ----------
    num_frames : int or None
        How many frames will come, background frames included; None for a file without a measurement.
    path, contents, user, copy_user_from, overwrite
        See `write`.

    Returns
    -------
    Writer
        Its `append` takes frames. The file appears when the block is left with all frames written.
    """
    return Writer(Path(path), contents, num_frames, user or {}, copy_user_from, overwrite)


class Writer:
    """A file that is being written, under a hidden name beside its place."""

    def __init__(
        self,
        path: Path,
        contents: Mapping[str, Any],
        num_frames: int | None,
        user: Mapping[str, Any],
        copy_user_from: File | None,
        overwrite: bool,
    ) -> None:
        self._path = path
        self._contents = contents
        self._num_frames = num_frames
        self._user = user_content(user)
        self._source = copy_user_from
        self._overwrite = overwrite
        self._written = 0
        self._temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
        self._hdf: h5py.File | None = None
        self._data: h5py.Dataset | None = None
        self._frames_last = False

    def __enter__(self) -> Self:
        _check_target(self._path, self._source, overwrite=self._overwrite)
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
        frames = check_dtype(spec.DATA, np.asarray(frames))
        if self._num_frames is None:
            raise MdfError(f"{self._path}: frames for a file that was announced without")
        if self._data is None:
            shape = (self._num_frames, *frames.shape[1:])
            self._begin(shape, frames.dtype)
        assert self._data is not None  # noqa: S101
        expected = self._frame_shape()
        if frames.shape[1:] != expected or frames.dtype != self._data.dtype:
            raise MdfError(
                f"frames of shape {frames.shape[1:]} and type {frames.dtype}, the first had {expected} and "
                f"{self._data.dtype}"
            )
        place = slice(self._written, self._written + len(frames))
        if place.stop > self._num_frames:
            raise MdfError(f"{self._path}: more frames than the {self._num_frames} that were announced")
        with _writing(self._path):
            if self._frames_last:
                self._data[..., place] = np.moveaxis(frames, 0, -1)
            else:
                self._data[place] = frames
        self._written = place.stop

    def _frame_shape(self) -> tuple[int, ...]:
        assert self._data is not None  # noqa: S101
        shape = self._data.shape
        return tuple(shape[:-1] if self._frames_last else shape[1:])

    def _begin(self, shape: tuple[int, ...] | None, dtype: np.dtype[Any] | None) -> None:
        """Check everything, then write everything but the frames."""
        data = None if shape is None or dtype is None else (shape, dtype)
        checked = complete(self._contents, data)
        with _writing(self._path):
            self._hdf = h5py.File(self._temporary, "x")
            for path, value in checked.items():
                store(self._hdf, path, value)
            if data is not None:
                self._frames_last = bool(checked[spec.FAST_FRAME_AXIS])
                stored = data[0][1:] + data[0][:1] if self._frames_last else data[0]
                self._data = self._hdf.create_dataset(spec.DATA, stored, data[1], fill_time="never")
        self._write_user_values(self._hdf)

    def _write_user_values(self, hdf: h5py.File) -> None:
        if self._source is not None:
            self._source.copy_user_nodes(hdf)
        with _writing(self._path):
            for path, value in self._user.items():
                if path in hdf:
                    del hdf[path]
                store(hdf, path, value)

    def _finish(self) -> None:
        if self._num_frames is None:
            self._begin(None, None)
        elif self._written != self._num_frames:
            raise MdfError(
                f"{self._path}: {self._written} frames were written, {self._num_frames} were announced: "
                "there is no file"
            )
        assert self._hdf is not None  # noqa: S101
        with _writing(self._path):
            self._hdf.close()
            _sync(self._temporary)
            _publish(self._temporary, self._path, overwrite=self._overwrite)
            _sync(self._path.parent)

    def _discard(self) -> None:
        if self._hdf is not None:
            self._hdf.close()
        self._temporary.unlink(missing_ok=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        raise MdfError(f"{path}: cannot be written: {error}") from error


def _check_target(path: Path, source: File | None, *, overwrite: bool) -> None:
    if not path.parent.is_dir():
        raise MdfError(f"{path}: there is no folder {str(path.parent)!r}")
    if path.is_dir():
        raise MdfError(f"{path}: this is a folder, expected a file to write")
    if source is not None and path.exists() and path.samefile(source.path):
        raise MdfError(f"{path}: the output is the input {str(source.path)!r}", hint="choose another name")
    if not overwrite and os.path.lexists(path):
        raise _exists(path)


def _exists(path: Path) -> MdfError:
    return MdfError(f"{path}: the file exists", hint="choose another name, or ask for it to be overwritten")


def _publish(temporary: Path, path: Path, *, overwrite: bool) -> None:
    """Give the finished file its name; a file that appeared meanwhile is not overwritten."""
    if overwrite:
        temporary.replace(path)
        return
    try:
        os.link(temporary, path)  # unlike a rename it fails if there is something
    except FileExistsError:
        raise _exists(path) from None
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise _exists(path) from None
        temporary.replace(path)


def _sync(path: Path) -> None:
    """Have the system put a file or folder on the disk."""
    if path.is_dir() and os.name == "nt":
        return  # folders cannot be opened there
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
