"""Places that take a file badly: a limit on its size, and a file system without hard links."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import mdf

resource = pytest.importorskip("resource", reason="limits of POSIX")


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the system refuse to write beyond this many bytes of any file, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 100, 3000, 20_000, 100_000])
@pytest.mark.parametrize("old", [b"", b"old"])
def test_a_file_that_does_not_fit(tmp_path, contents, rng, size, old):
    frames = rng.normal(size=(5, 3, 2, 1000))  # 240 kB
    target = tmp_path / "a.mdf"
    target.write_bytes(old)

    def write() -> None:
        with mdf.create(target, contents, num_frames=5, overwrite=True) as out:
            for frame in frames:
                out.append(frame[None])

    with (
        pytest.raises(mdf.MdfError, match=r"a\.mdf: cannot be written: .*File too large"),
        largest_file(size),
    ):
        write()
    assert [path.name for path in tmp_path.iterdir()] == ["a.mdf"]
    assert target.read_bytes() == old
    write()
    with mdf.open(target) as file:
        np.testing.assert_array_equal(file.read_signal(), frames)


class TestWithoutHardLinks:
    @pytest.fixture(autouse=True)
    def no_links(self, monkeypatch):
        def refuse(*_: object) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)

    def test_the_file_gets_its_name_all_the_same(self, tmp_path, contents, signal):
        mdf.write(tmp_path / "a.mdf", contents, signal)
        assert [path.name for path in tmp_path.iterdir()] == ["a.mdf"]
        with mdf.open(tmp_path / "a.mdf") as file:
            np.testing.assert_array_equal(file.read_signal(), signal)

    def test_a_file_that_appears_meanwhile_stays(self, tmp_path, contents, signal):
        target = tmp_path / "a.mdf"

        def write(other: Path) -> None:
            with mdf.create(target, contents, num_frames=5) as out:
                out.append(signal)
                other.write_bytes(b"of another")

        with pytest.raises(mdf.MdfError, match="the file exists"):
            write(target)
        assert target.read_bytes() == b"of another"
        assert [path.name for path in tmp_path.iterdir()] == ["a.mdf"]
