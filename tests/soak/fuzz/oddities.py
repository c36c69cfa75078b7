"""Damage to the tree of an HDF5 file that belongs to no single value: types, storage, links, flags."""

from __future__ import annotations

from collections.abc import Callable

import h5py
import numpy as np
from fuzz.damage import ODD_NUMBERS
from fuzz.kinds import Rng

from mdf import spec

COUNTS = tuple(spec.COUNTS.values())
FLAGS = tuple(path for path, field in spec.FIELDS.items() if field.kind == "flag")
TEXT = h5py.string_dtype()
FITTING = tuple(value for value in ODD_NUMBERS if not abs(value) >= 2**63 or isinstance(value, float))


def damage_more(rng: Rng, hdf: h5py.File) -> None:
    """Damage a file in one way."""
    KINDS[rng.integers(len(KINDS))](rng, hdf)


def _some(rng: Rng, hdf: h5py.File) -> str:
    nodes: list[str] = []
    hdf.visit(nodes.append)
    return nodes[rng.integers(len(nodes))]


def _dataset(rng: Rng, hdf: h5py.File) -> str:
    for _ in range(20):
        node = _some(rng, hdf)
        if isinstance(hdf[node], h5py.Dataset):
            return node
    raise KeyError


def _put(hdf: h5py.File, node: str, value: object, **how: object) -> None:
    if node in hdf:
        del hdf[node]
    hdf.create_dataset(node, data=value, **how)


def _reference(rng: Rng, hdf: h5py.File) -> None:
    other, node = hdf[_some(rng, hdf)], _dataset(rng, hdf)
    region = isinstance(other, h5py.Dataset) and rng.random() < 0.5
    value = other.regionref[...] if region else other.ref
    _put(hdf, node, value, dtype=h5py.regionref_dtype if region else h5py.ref_dtype)


def _number_as_text(rng: Rng, hdf: h5py.File) -> None:
    node = _dataset(rng, hdf)
    texts = np.asarray(hdf[node][()]).astype(str).astype(object)
    _put(hdf, node, texts, dtype=TEXT)


def _text_as_number(rng: Rng, hdf: h5py.File) -> None:
    texts = [path for path, field in spec.FIELDS.items() if field.is_text and path in hdf]
    node = texts[rng.integers(len(texts))]
    _put(hdf, node, np.arange(int(rng.integers(1, 4))) if rng.random() < 0.5 else 7.5)


def _count(rng: Rng, hdf: h5py.File) -> None:
    _put(hdf, COUNTS[rng.integers(len(COUNTS))], FITTING[rng.integers(len(FITTING))])


def _flags(rng: Rng, hdf: h5py.File) -> None:
    for path in FLAGS:
        if rng.random() < 0.5:
            _put(hdf, path, np.int8(rng.integers(2)))


def _stored_otherwise(rng: Rng, hdf: h5py.File) -> None:
    node = _dataset(rng, hdf)
    value = np.asarray(hdf[node][()])
    if not value.ndim or not value.size:
        raise ValueError
    chunks = tuple(int(rng.integers(1, 2 * length + 1)) for length in value.shape)
    most = tuple(None if rng.random() < 0.5 else max(c, n) for c, n in zip(chunks, value.shape, strict=True))
    how = [{"compression": "gzip"}, {"compression": "lzf"}, {"shuffle": True, "fletcher32": True}, {}]
    _put(hdf, node, value, chunks=chunks, maxshape=most, **how[rng.integers(4)])
    if rng.random() < 0.5:
        hdf[node].resize(int(rng.integers(0, 2 ** rng.integers(1, 40))), axis=most.index(None))


def _cycle(rng: Rng, hdf: h5py.File) -> None:
    groups = ["/", *(path for path in spec.GROUPS if path in hdf)]
    inside, other = (groups[rng.integers(len(groups))] for _ in range(2))
    name = f"{inside.rstrip('/')}/{rng.choice(['_loop', 'loop', 'data', 'drivefield'])}"
    if name in hdf:
        del hdf[name]
    hdf[name] = (
        hdf[other] if rng.random() < 0.5 else h5py.SoftLink(f"{other.rstrip('/')}/./{name.lstrip('/')}")
    )


def _alias(rng: Rng, hdf: h5py.File) -> None:
    node, other = _dataset(rng, hdf), _dataset(rng, hdf)
    del hdf[node]
    hdf[node] = hdf[other]


def _odd_type(rng: Rng, hdf: h5py.File) -> None:
    node = _dataset(rng, hdf)
    kinds: list[Callable[[], tuple[object, object]]] = [
        lambda: (1, h5py.enum_dtype({"a": 0, "b": 1}, basetype="i1")),
        lambda: (np.zeros((2,), [("r", "f4"), ("i", "f4"), ("k", "i2")]), None),
        lambda: (np.zeros(2, [("r", [("r", "f4"), ("i", "f4")]), ("i", "f4")]), None),
        lambda: (np.zeros(2, [("r", "f4", (3,)), ("i", "f4", (3,))]), None),
        lambda: (np.zeros(2, ("i4", (2, 2))), None),
        lambda: (np.zeros((2, 3), "S0" if rng.random() < 0.1 else "S3"), None),
        lambda: (np.array([b"\x00a\xff", b"b"], "S3"), h5py.string_dtype("ascii", 3)),
        lambda: (np.array([np.arange(3), np.arange(2)], object), h5py.vlen_dtype("f4")),
        lambda: (np.zeros(3, "V7"), None),
        lambda: (np.ones(2, np.longdouble), None),
        lambda: (np.array(["1"], object), h5py.string_dtype("ascii")),
        lambda: (np.zeros(3, "M8[s]").view("i8"), h5py.opaque_dtype(np.dtype("M8[s]"))),
    ]
    value, dtype = kinds[rng.integers(len(kinds))]()
    _put(hdf, node, value, dtype=dtype)


def _attributes(rng: Rng, hdf: h5py.File) -> None:
    node = hdf[_some(rng, hdf)] if rng.random() < 0.8 else hdf
    for name in ("DIMENSION_LIST", "CLASS", "odd\x1b[2J", "", "REFERENCE_LIST"):
        node.attrs[name or "x"] = [h5py.Empty("f4"), "x" * 60_000, np.zeros(100), node.ref][rng.integers(4)]


def _odd_names(rng: Rng, hdf: h5py.File) -> None:
    names = ("\x1b[2J\x07", "<script>alert(1)</script>", "=1+1", ".", "..", "x" * 5000, "é\u202e", " ")
    group = ("/", "/study/", "/measurement/")[rng.integers(3)]
    hdf[f"{group}_{names[rng.integers(len(names))]}"] = 1
    if rng.random() < 0.5:
        _put(hdf, "/study/name", names[rng.integers(len(names))])


def _odd_name_bytes(rng: Rng, hdf: h5py.File) -> None:
    group = hdf[("/", "/study")[rng.integers(2)]]
    name = (b"_\xff\xfe", b"\xc3\x28", b"_own\x01")[rng.integers(3)]
    h5py.h5g.create(group.id, name)


def _huge_numbers(rng: Rng, hdf: h5py.File) -> None:
    node = _dataset(rng, hdf)
    value = np.array(hdf[node][()])
    if value.dtype.kind not in "iufc":
        raise TypeError
    value = value.astype(float if value.dtype.kind != "c" else complex)
    value.reshape(-1)[rng.random(value.size) < 0.3] = FITTING[rng.integers(len(FITTING))]
    _put(hdf, node, value)


def _huge_shape(rng: Rng, hdf: h5py.File) -> None:
    node = _dataset(rng, hdf) if rng.random() < 0.6 else spec.DATA
    dtype, rank = hdf[node].dtype, len(hdf[node].shape)
    if node in hdf:
        del hdf[node]
    shape = tuple(int(2 ** rng.integers(0, 30)) for _ in range(rank))
    chunks = tuple(min(length, 8) for length in shape) if rank and rng.random() < 0.5 else None
    hdf.create_dataset(node, shape, dtype, chunks=chunks)


def _many(rng: Rng, hdf: h5py.File) -> None:
    group = hdf.require_group(("/_many", "/study/_many", "/study")[rng.integers(3)])
    for index in range(int(rng.integers(1, 400))):
        group.create_group(f"g{index}")
    deep = hdf
    for _ in range(int(rng.integers(1, 300))):
        deep = deep.create_group("_d")


KINDS = (
    _reference, _number_as_text, _text_as_number, _count, _flags, _stored_otherwise, _cycle, _alias,
    _odd_type, _attributes, _odd_names, _odd_name_bytes, _huge_numbers, _huge_numbers, _huge_shape, _many,
)  # fmt: skip
