"""Chunked and compressed storage: smaller files that Julia readers cannot open."""

from __future__ import annotations

from typing import Any, Literal

Compression = int | Literal["lzf"]

CHUNK = 2**20  # bytes


class CompressionWarning(UserWarning):
    """A file is written compressed, so that MPIFiles.jl, which maps the data into memory, cannot open it."""


def check_compression(compression: object) -> None:
    """Refuse what is neither a level of gzip nor LZF."""
    is_level = isinstance(compression, int) and not isinstance(compression, bool) and 0 <= compression <= 9
    if not is_level and compression != "lzf":
        raise ValueError(f"compression is {compression!r}, expected a level from 0 to 9, or 'lzf'")


def filters(compression: Compression | None, longest: tuple[int, ...], itemsize: int) -> dict[str, Any]:
    """Return how h5py stores a dataset whose chunks are at most so long."""
    if compression is None:
        return {}
    options: dict[str, Any] = {"chunks": chunk_shape(longest, itemsize), "shuffle": True}
    if compression == "lzf":
        return options | {"compression": "lzf"}
    return options | {"compression": "gzip", "compression_opts": compression}


def chunk_shape(longest: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return the largest chunk of at most 1 MiB (`CHUNK`) that is whole along the fastest axes.

    >>> chunk_shape((1, 3, 26929, 7221), 8)
    (1, 1, 18, 7221)
    """
    room, chunks = max(1, CHUNK // itemsize), []
    for size in reversed(longest):
        chunks.append(max(1, min(size, room)))
        room //= chunks[-1]
    return tuple(reversed(chunks))
