"""Phantoms and digits: pictures, .npy, .npz and IDX files."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import zipfile
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from fuzz.damage import damage_bytes
from fuzz.kinds import Kind, Rng

FORMATS = {
    "png": {},
    "jpeg": {},
    "tiff": {"compression": "tiff_lzw"},
    "bmp": {},
    "gif": {},
    "webp": {},
    "ppm": {},
}
MODES = ("L", "RGB", "RGBA", "P", "1", "I;16", "F", "LA", "CMYK")
BOMBS = (
    400_000_000,
    10**9,
)  # bytes that small files unfold to: the most that is read, and the bound of memory


class Trap:
    """What runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, ("trapped", "w")


@cache
def _pictures() -> tuple[tuple[str, bytes], ...]:
    from PIL import Image

    rng = np.random.default_rng(0)
    made = []
    for ending, how in FORMATS.items():
        for mode in MODES:
            values = rng.integers(1, 255, (9, 7, 3), dtype=np.uint8)
            buffer = io.BytesIO()
            try:
                Image.fromarray(values).convert("L" if mode == "I;16" else mode).save(buffer, ending, **how)
            except (OSError, ValueError):
                continue  # not every format has every mode
            made.append((ending, buffer.getvalue()))
    return tuple(made)


@cache
def _picture_bombs() -> tuple[tuple[str, bytes], ...]:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("1", (5_792, 5_792), 1).save(buffer, "png", compress_level=9)  # the most dots that are read
    full = buffer.getvalue()
    bound = struct.pack(">IIBBBBB", 31_622, 31_622, 1, 0, 0, 0, 0)  # a dot for each byte of the bound
    made = [("png", full), ("png", full[:8] + _chunk(b"IHDR", bound) + full[33:])]
    frames = [Image.new("L", (5, 5), value) for value in range(1, 200)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "gif", save_all=True, append_images=frames[1:])
    return (*made, ("gif", buffer.getvalue()))


def make_picture(rng: Rng, folder: Path) -> Path:
    chance = rng.random()
    if chance < 0.004:
        bombs = _picture_bombs()
        ending, raw = bombs[rng.integers(len(bombs))]
    else:
        pictures = _pictures()
        ending, raw = pictures[rng.integers(len(pictures))]
        raw = _png_field(rng, raw) if ending == "png" and chance < 0.5 else damage_bytes(rng, raw)
    path = folder / f"p.{ending if rng.random() < 0.9 else 'png'}"
    path.write_bytes(raw)
    return path


def _png_field(rng: Rng, raw: bytes) -> bytes:
    """Change the header of a PNG, with the right checksum, or put a strange chunk behind it."""
    fields = list(struct.unpack(">IIBBBBB", raw[16:29]))
    odd = [0, 1, 2, 3, 4, 6, 8, 16, 17, 255, 5_000, 60_000, 2**31 - 1, 2**32 - 1]
    place = int(rng.integers(len(fields)))
    fields[place] = odd[rng.integers(len(odd))] % (256 if place > 1 else 2**32)
    out = raw[:8] + _chunk(b"IHDR", struct.pack(">IIBBBBB", *fields))
    if rng.random() < 0.4:
        name = [b"zTXt", b"iCCP", b"PLTE", b"tRNS", b"acTL", b"eXIf", b"iTXt"][rng.integers(7)]
        text = zlib.compress(bytes(10_000_000)) if rng.random() < 0.1 else rng.bytes(30)
        out += _chunk(name, b"a\0\0" + text)
    return out + raw[33:]


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def read_picture(path: Path) -> None:
    """Read a phantom in both ways: its size, and its values on a grid."""
    import mdf
    from mpikit.simulate.phantoms.pictures import file_size, picture

    grid = mdf.Grid(np.array([5, 4, 1]), np.array([0.05, 0.04, 0.01]), np.zeros(3))
    _, _, _, count = file_size(path)
    found = picture(path, grid, concentration=0.1, count=count)
    assert np.isfinite(found.images).all()
    assert not Path("trapped").exists()


HEADERS = (
    "{'descr': '<f8', 'fortran_order': False, 'shape': %s, }",
    "{'descr': %s, 'fortran_order': False, 'shape': (3, 4), }",
    "{'descr': '<f8', 'fortran_order': %s, 'shape': (3, 4), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), 'more': %s}",
    "%s",
)
ODD_HEADERS = (
    "(1099511627776,)", "(2**3, 4)", "(3, -4)", "()", "(0, 3)", "(3, 4" + ", 1" * 70 + ")", "'|O'", "'<c16'",
    "'|S3'", "[('a', '<f8'), ('b', '|O')]", "'<f2'", "'>i8'", "'|b1'",
    "'|u1'", "'<M8[s]'", "'|V8'", "'nonsense'",
    "None", "__import__('os').system('touch trapped')", "(lambda: 1)()", "[" * 300 + "]" * 300,
    "'" + "x" * 20_000 + "'", "(999999999999999999999999,)", "(4611686018427387904, 4)",
)  # fmt: skip


def _npy(rng: Rng) -> bytes:
    """Return a .npy file: with damaged bytes, an odd header, odd values, or something pickled."""
    buffer = io.BytesIO()
    chance = rng.random()
    if chance < 0.1:
        np.save(buffer, np.array([Trap()], object), allow_pickle=True)
        return buffer.getvalue()
    if chance < 0.15:
        return pickle.dumps(Trap())
    if chance < 0.5:
        header = (
            HEADERS[rng.integers(5)].replace("%s", ODD_HEADERS[rng.integers(len(ODD_HEADERS))])
        ).encode()
        header += b" " * (-(len(header) + 11) % 64) + b"\n"
        major = int(rng.choice([1, 2, 3, 9]))
        size = struct.pack("<H", len(header) % 2**16) if major == 1 else struct.pack("<I", len(header))
        return b"\x93NUMPY" + bytes([major, 0]) + size + header + rng.bytes(96)
    shapes = [(3, 4), (2, 3, 4), (1, 2, 3, 4), (5,), (), (0, 3), (1,) * 5]
    values = rng.uniform(0, 1, shapes[rng.integers(len(shapes))])
    if chance < 0.6 and values.size:
        values.reshape(-1)[0] = [np.nan, np.inf, -1, 1e308, 5e-324][rng.integers(5)]
    if chance < 0.65:
        values = values.astype(["f2", "i1", "c8", "?", ">u2", "U3", "V8"][rng.integers(7)])
    np.save(buffer, values)
    return damage_bytes(rng, buffer.getvalue()) if chance > 0.7 else buffer.getvalue()


def make_npy(rng: Rng, folder: Path) -> Path:
    path = folder / "p.npy"
    if rng.random() < 0.004:
        return _sparse(path, (2**25, 2**30)[rng.integers(2)])
    raw = _npy(rng)
    if rng.random() < 0.1:
        raw = _zip(rng, {"a.npy": raw, "b.npy": raw})
    path.write_bytes(raw)
    return path


def _sparse(path: Path, count: int) -> Path:
    """Write an array of bytes that is next to nothing on the disk."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (2**12, count // 2**12)}
        )
        file.write(b"\x01")
        file.truncate(file.tell() - 1 + count)
    return path


def _zip(rng: Rng, members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    way = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA][rng.integers(4)]
    with zipfile.ZipFile(buffer, "w", way) as file:
        for name, content in members.items():
            file.writestr(name, content)
    raw = buffer.getvalue()
    return damage_bytes(rng, raw) if rng.random() < 0.5 else raw


@cache
def _idx_bomb(size: int) -> bytes:
    """Return a gzip file of many members, each of a million zeros."""
    count = size // 784
    head = gzip.compress(struct.pack(">4I", 0x803, count, 28, 28), mtime=0)
    whole, rest = divmod(count * 784, 10**6)
    return head + gzip.compress(bytes(10**6), mtime=0) * whole + gzip.compress(bytes(rest), mtime=0)


@cache
def _npz_bomb(size: int) -> bytes:
    buffer = io.BytesIO()
    count = (size - 1_000) // 784  # with the header
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed,
        packed.open("a.npy", "w", force_zip64=True) as member,
    ):
        kind = {"descr": "|u1", "fortran_order": False, "shape": (count, 28, 28)}
        np.lib.format.write_array_header_1_0(member, kind)
        for start in range(0, count, 1000):
            member.write(bytes(784 * min(1000, count - start)))
    return buffer.getvalue()


def make_digits(rng: Rng, folder: Path) -> Path:
    path = folder / "train-images-idx3-ubyte"
    pixels = rng.integers(0, 255, (int(rng.integers(1, 4)), 28, 28), dtype=np.uint8)
    chance = rng.random()
    if chance < 0.003:
        size = BOMBS[rng.integers(2)]
        path.write_bytes(_idx_bomb(size) if rng.random() < 0.5 else _npz_bomb(size))
        return path
    odd = [0, 1, 27, 29, 2**31, 2**32 - 1]
    header = [0x803, len(pixels), 28, 28]
    if rng.random() < 0.5:
        header[rng.integers(4)] = odd[rng.integers(len(odd))]
    raw = struct.pack(">4I", *header) + pixels.tobytes()
    if chance < 0.4:
        packed = gzip.compress(raw, mtime=0)
        raw = packed + rng.bytes(5) if rng.random() < 0.2 else packed
    elif chance < 0.7:
        buffer = io.BytesIO()
        np.save(buffer, pixels.astype("u1" if rng.random() < 0.7 else "f4"))
        raw = _zip(rng, {"x.npy": buffer.getvalue(), "y.npy": _npy(rng), "../z": b"no array"})
    path.write_bytes(damage_bytes(rng, raw) if rng.random() < 0.5 else raw)
    return path if rng.random() < 0.9 else folder


def read_digits(path: Path) -> None:
    from mpikit.simulate.phantoms.mnist import read_digits as read

    found = read(path)
    assert found.shape[1:] == (28, 28)
    assert found.dtype == np.uint8
    assert not Path("trapped").exists()


KINDS = (
    Kind("picture", make_picture, read_picture),
    Kind("npy", make_npy, read_picture),
    Kind("digits", make_digits, read_digits),
)
