"""What fuzzing has found, each as small as it gets."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from fuzz.bases import bases

import mdf
from mpikit.errors import InputError

DEEP = "[" * 100_000
TIME, SPECTRA, SPARSE = 0, 1, 3  # among the bases


@pytest.fixture
def base(tmp_path):
    def made(index: int) -> Path:
        path = tmp_path / "base.mdf"
        path.write_bytes(bases()[index])
        return path

    return made


def replace(path: Path, node: str, value=None, **how) -> None:
    with h5py.File(path, "r+") as hdf:
        if node in hdf:
            del hdf[node]
        hdf.create_dataset(node, data=value, **how)


def test_bases_are_valid(base):
    for index in range(5):
        assert [each for each in mdf.validate(base(index)) if each.severity == "error"] == []


def test_tiny_chunks(base):
    """HDF5 took 4 KB of memory and 8 µs for each chunk: 35 s and 7.6 GB for a file of 36 kB."""
    path = base(TIME)
    replace(path, "/acquisition/gradient", shape=(2**18, 3), dtype="f4", chunks=(1, 1))
    with mdf.open(path) as file, pytest.raises(mdf.MdfError, match="chunks"):
        _ = file.acquisition.gradient
    assert any("chunks" in each.message for each in mdf.validate(path))


def test_a_value_of_which_nothing_is_there(base):
    path = base(TIME)
    replace(path, "/acquisition/gradient", shape=(2**23, 1, 3, 3), dtype="f4", chunks=(2**20, 1, 3, 3))
    with mdf.open(path) as file, pytest.raises(mdf.MdfError, match="next to nothing"):
        _ = file.acquisition.gradient


@pytest.mark.parametrize(("count", "letters"), [(5000, 1), (4000, 100_000)])
def test_many_texts_that_are_one(base, count, letters):
    """An array of text has room for the longest everywhere: 400 kB became 1.6 GB."""
    path = base(TIME)
    texts = np.array(["x"] * (count - 1) + ["x" * letters], object)
    replace(path, "/tracer/name", texts, dtype=h5py.string_dtype())
    with mdf.open(path) as file, pytest.raises(mdf.MdfError, match="believed"):
        _ = file.tracer.name


def test_a_mask_that_is_one_number(base):
    path = base(SPARSE)
    replace(path, "/measurement/isBackgroundFrame", np.int8(0))
    with mdf.open(path) as file, pytest.raises(mdf.MdfError, match="isBackgroundFrame"):
        file.read_signal()


@pytest.mark.parametrize("count", [2**31, 2**40, 2**62, -1, 0])
def test_a_count_that_no_memory_holds(base, tmp_path, count):
    path = base(TIME)
    replace(path, "/acquisition/receiver/numSamplingPoints", np.int64(count))
    with pytest.raises(mdf.MdfError, match="numSamplingPoints"):
        mdf.convert(path, tmp_path / "out.mdf")


@pytest.mark.parametrize(
    "text", [DEEP, '{"a": ' * 50_000, "null", "3", '{"figures": [{}]}', '{"figures": [3]}']
)
def test_results_of_a_run(tmp_path, text):
    from mpikit.experiments.changes import read_records
    from mpikit.experiments.results_page import write_results_page

    (tmp_path / "results.json").write_text(text)
    with pytest.raises(InputError, match="holds no results"):
        read_records(tmp_path)
    with pytest.raises(InputError, match="results"):
        write_results_page([tmp_path], tmp_path / "pages")


@pytest.mark.parametrize(
    "change", [{"values": 3}, {"about": []}, {"about": {"device": []}}, {"format": 2}, {"has_arrays": True}]
)
def test_pieces(tmp_path, change):
    from fuzz.jsons import KEPT, _piece

    from mpikit.experiments.pieces import Pieces

    store = Pieces(tmp_path)
    store.folder.mkdir()
    store.path(_piece()).write_text(json.dumps({**KEPT, "has_arrays": False} | change))
    with pytest.raises(InputError):
        store.load(_piece())
    store.path(_piece()).write_text(DEEP)
    with pytest.raises(InputError, match="damaged"):
        store.load(_piece())


def test_checkpoints(tmp_path):
    from safetensors.numpy import save

    from mpikit.checkpoints import FileCheckpoint

    header = {"format": "mpikit-checkpoint", "format_version": "1"}
    path = tmp_path / "c"
    path.write_bytes(save({"a": np.zeros(1)}, metadata={**header, "about": DEEP}))
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        FileCheckpoint(path, {"a": 1}, resume=True)
    path.write_bytes(save({"a": np.zeros(1)}, metadata={**header, "about": '{"a": {"b": null}}'}))
    with pytest.raises(InputError, match="of another training"):
        FileCheckpoint(path, {"a": {}}, resume=True)


@pytest.mark.parametrize("options", [3, "a", None, [], {"noise": 3}])
def test_a_history_whose_options_are_no_table(options):
    from mpikit.scan_set import made_clean

    assert made_clean([{"command": "simulate", "options": options}]) is None
    assert made_clean([{"command": "simulate", "options": {"noise": []}}]) == "a simulation without noise"


@pytest.mark.parametrize(
    "text", [f"a = {DEEP}", "[" + "a." * 49_000 + "a]", "a = 1 #" + "x" * 200_000, "\ufeff\x00", "a" * 99_000]
)
def test_plans_and_presets(tmp_path, text):
    """Thousands of names joined by dots took tomllib minutes: a file of megabytes is none of ours."""
    from mpikit.cli.plan import _table
    from mpikit.errors import UsageError
    from mpikit.simulate.presets import preset

    path = tmp_path / "a.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises((InputError, UsageError)):
        preset(str(path))
    with pytest.raises(InputError):
        _table(path, "denoise", ["denoise"])


def npy(header: str) -> bytes:
    text = header.encode() + b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(96)


ODD_ARRAYS = {
    "brackets that do not close": npy("[" * 300),
    "a header that is no table": npy("3"),
    "a shape beyond all numbers": npy(
        "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,), }"
    ),
    "something pickled": npy("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }"),
    "the start of a ZIP file": b"PK\x03\x04" + bytes(50),
    "nothing": b"",
}


@pytest.mark.parametrize("name", ODD_ARRAYS)
def test_arrays(tmp_path, name):
    from mpikit.simulate.phantoms.mnist import read_digits
    from mpikit.simulate.phantoms.pictures import file_size

    path = tmp_path / "a.npy"
    path.write_bytes(ODD_ARRAYS[name])
    with pytest.raises(InputError):
        file_size(path)
    packed = tmp_path / "digits.npz"
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("a.npy", ODD_ARRAYS[name])
        file.writestr("b.txt", b"no array")
    with pytest.raises(InputError):
        read_digits(packed)


@pytest.mark.parametrize("way", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_arrays_that_are_packed_as_no_array_is(tmp_path, way):
    """256 kB of bz2 or LZMA, which are unpacked at once, can be gigabytes; NumPy writes none of them."""
    from mpikit.plain_arrays import read_arrays

    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", way) as file:
        content = io.BytesIO()
        np.save(content, np.arange(3))
        file.writestr("a.npy", content.getvalue())
    with pytest.raises(ValueError, match="another way"):
        read_arrays(path)


def test_packed_arrays_that_are_damaged(tmp_path):
    from mpikit.plain_arrays import read_arrays

    buffer, rng = io.BytesIO(), np.random.default_rng(0)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        content = io.BytesIO()
        np.save(content, rng.integers(0, 9, 500))
        file.writestr("a.npy", content.getvalue())
    path, refused = tmp_path / "a.npz", 0
    for place in range(40, 200, 3):
        raw = bytearray(buffer.getvalue())
        raw[place] ^= 0xFF
        path.write_bytes(raw)
        try:
            read_arrays(path)
        except ValueError:
            refused += 1
    assert refused > 40


def test_what_unfolds_to_gigabytes(tmp_path):
    from mpikit.plain_arrays import LARGEST, read_arrays
    from mpikit.simulate.phantoms.mnist import read_digits

    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.npy", b"abc")
    raw = path.read_bytes()
    at = raw.rindex(b"PK\x01\x02") + 24  # the size as the list at the end has it
    path.write_bytes(raw[:at] + struct.pack("<I", LARGEST + 1) + raw[at + 4 :])
    with pytest.raises(ValueError, match="unfolds to"):
        read_arrays(path)
    packed = tmp_path / "train-images-idx3-ubyte"
    packed.write_bytes(gzip.compress(struct.pack(">4I", 0x803, 1, 28, 28) + bytes(50_000_000)))
    with pytest.raises(InputError, match="at least 785 bytes of pixels, expected 784"):
        read_digits(packed)


def test_a_picture_with_more_pixels_than_a_phantom_needs(tmp_path):
    from PIL import Image

    from mpikit.simulate.phantoms.pictures import LARGEST, file_size

    side = int(LARGEST**0.5) + 1
    Image.new("1", (side, side), 1).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="million pixels"):
        file_size(tmp_path / "a.png")


@pytest.mark.parametrize(
    "raw", [b"BM" + bytes(60), b"GIF89a" + bytes(20), b"II*\0\x08\0\0\0" + bytes(6), b"P5\n0 0\n255\n"]
)
def test_pictures(tmp_path, raw):
    from mpikit.simulate.phantoms.pictures import file_size

    path = tmp_path / "a.png"
    path.write_bytes(raw)
    with pytest.raises(InputError):
        file_size(path)


def test_a_log_with_half_a_letter(tmp_path):
    from mpikit.events import Step
    from mpikit.training_log import TrainingLog

    lines, table = tmp_path / "a.log.jsonl", tmp_path / "a.log.csv"
    lines.write_text('{"step": 1, "total": 2, "seconds": 0.5, "\\ud800": 1.5}\n')
    with TrainingLog(lines, table, resume=True) as log:
        log.add(Step(2, 2, {"loss": 0.5}))
    assert "\\ud800" in table.read_text(encoding="utf-8")


def test_a_cache_whose_key_has_no_end(tmp_path):
    from fuzz.jsons import _cache

    from mpikit.reconstruct.cache import _look

    path = tmp_path / "a.h5"
    path.write_bytes(_cache())
    with h5py.File(path, "r+") as hdf:
        hdf.attrs["key"] = DEEP[:60_000]
    with path.open("r+b") as file:
        file.write(_cache()[:29])
    found, why = _look(path, {"a": 1})
    assert found is None
    assert "damaged" in why.text


@pytest.mark.parametrize("value", [np.arange(3.0), np.array(["frames", "none"], object), 3.0, "nonsense"])
def test_repeats_that_are_none(base, value):
    from mpikit.scan_file import read_scan

    path = base(TIME)
    replace(path, "/_mpikit/repeats", value)
    assert read_scan(path).repeats in {"frames", "periods", "both", "none"}


@pytest.mark.parametrize(
    "change",
    [
        {"loss": "a"}, {"loss": []}, {"loss": {}}, {"loss": True}, {"loss": 10**400}, {"loss": float("inf")},
        {"step": 10**30}, {"seconds": 10**400}, {"total": "many"}, {"loss is a lower bound": "yes"},
    ],
)  # fmt: skip
def test_figures_of_a_log_that_are_no_numbers(tmp_path, change):
    from mpikit.report import write_report
    from mpikit.report.plot import plot_file

    path = tmp_path / "a.log.jsonl"
    row = {"step": 1, "total": 2, "seconds": 0.5, "loss": 1.0}
    path.write_text(json.dumps(row) + "\n" + json.dumps(row | change) + "\n")
    with pytest.raises(InputError, match="line 2"):
        plot_file(path)
    with pytest.raises(InputError, match="line 2"):
        write_report([path], tmp_path / "a.html")


def test_a_log_may_have_gaps(tmp_path):
    from mpikit.report.plot import plot_file

    path = tmp_path / "a.log.jsonl"
    rows = [{"step": n, "seconds": 0.5, "loss": value} for n, value in enumerate((1.0, None, float("nan")))]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert plot_file(path).kind == "training"


@pytest.mark.parametrize("method", ["x-space", "kaczmarz"])
def test_a_transfer_function_of_the_stored_lines_alone(base, tmp_path, method):
    """It is that of all lines for x-space, and cannot stand beside images: both forgot the selection."""
    from mpikit.reconstruct import reconstruct_file

    matrix = tmp_path / "sm.mdf"
    matrix.write_bytes(bases()[SPARSE])
    how = {"system_matrix": matrix} if method == "kaczmarz" else {}
    done = reconstruct_file(
        base(SPECTRA),
        method=method,
        output=tmp_path / "out.mdf",
        pictures=False,
        transfer_function="auto",
        **how,
    )
    assert np.isfinite(done.images.values).all()
    with mdf.open(tmp_path / "out.mdf") as file:
        assert file.acquisition.receiver.transfer_function is None
