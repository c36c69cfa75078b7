"""Tensors as the bytes of a safetensors file, the same bytes for the same tensors."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LENGTH = struct.Struct("<Q")  # of the header, which is filled up to whole words
_METADATA = "__metadata__"


def tensor_bytes(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """Return a safetensors file whose metadata stand in the order of their names.

    The library writes them in another order in each process.

    Parameters
    ----------
    tensors : mapping of str to array
    metadata : mapping of str to str
    """
    from safetensors.numpy import save

    contiguous = {name: np.asarray(value, order="C") for name, value in tensors.items()}
    content: bytes = save(contiguous, metadata=dict(metadata))
    (length,) = _LENGTH.unpack_from(content)
    data = content[_LENGTH.size + length :]
    header = json.loads(content[_LENGTH.size : _LENGTH.size + length])
    header[_METADATA] = dict(sorted(header[_METADATA].items()))
    words = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    words += b" " * (-len(words) % _LENGTH.size)
    return _LENGTH.pack(len(words)) + words + data
