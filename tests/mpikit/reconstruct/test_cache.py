"""The rows of a system matrix as 16-bit integers in a file."""

from __future__ import annotations

import errno
import json
import os
import shutil
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import mdf
from mdf import temporary
from mpikit.errors import InputError, UsageError
from mpikit.events import Step, silent
from mpikit.provenance import HISTORY
from mpikit.reconstruct import Kaczmarz, read_system, reconstruct_file
from mpikit.reconstruct.files import rerun_file
from mpikit.reconstruct.rounding import restored, rounded

OPTIONS = {"min_frequency": 0.0, "snr_threshold": 0.0, "lambda_": 0.01, "iterations": 7}
FLOATS = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)


@pytest.fixture
def files(pair):
    return SimpleNamespace(
        source=pair.measurement(), system=pair.calibration(background=4), cache=pair.folder / "rows.h5"
    )


def matrix(files, tell=silent, **options):
    """The rows as a solver gets them."""
    options = {"cache": files.cache, "min_frequency": 0.0, "snr_threshold": 0.0, **options}
    with mdf.open(files.source) as measurement, mdf.open(files.system) as calibration:
        found = read_system(measurement, calibration, Kaczmarz(**options), tell=tell).matrix
        if isinstance(found, np.ndarray):
            return found
        parts = [found.load(part).copy() for part in range(len(found))]
        found.close()
        return np.concatenate(parts)


def words(files, **options):
    """What is said of the cache: texts of findings and warnings, and the steps of writing."""
    events = []
    matrix(files, events.append, **options)
    said = [event.text for event in events if "the cache" in getattr(event, "text", "")]
    return said, [event for event in events if isinstance(event, Step)]


def why_anew(files, **options):
    (said, making), steps = words(files, **options)
    assert making.startswith("the matrix is written into the cache")
    assert steps[-1].index == steps[-1].total
    return said


def image(files, **options):
    options = {**OPTIONS, "cache": files.cache, **options}
    return reconstruct_file(files.source, system_matrix=files.system, overwrite=True, **options)


@given(arrays(np.float32, (3, 10), elements=FLOATS))
@settings(deadline=None)
def test_a_value_is_off_by_half_a_step_at_most(parts):
    values = parts.view(np.complex64)
    integers, scale = rounded(values)
    found = np.full_like(values, np.nan)
    restored(integers, scale, found)
    largest = np.abs(parts).max(axis=1, keepdims=True).astype(np.float64)
    most = largest / 65534 * 1.01 + 1e-37  # and the rounding of single precision
    assert np.all(np.abs(found.view(np.float32) - parts.astype(np.float64)) <= most)
    assert integers.shape == (3, 10)
    assert scale.shape == (3,)


def test_the_largest_value_of_a_row_is_kept_and_zeros_are():
    values = np.array([[3 - 4j, 0, 1], [0, 0, 0], [-2, 2j, 0]], np.complex128)
    found = np.empty_like(values)
    restored(*rounded(values), found)
    assert found.dtype == np.complex128
    np.testing.assert_allclose(found[0, 0].imag, -4, rtol=1e-15)
    np.testing.assert_allclose(found[2], values[2], rtol=1e-15)
    np.testing.assert_array_equal(found[:, 1] == 0, [True, True, False])
    np.testing.assert_array_equal(found[1], 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1j * np.inf])
def test_a_row_that_is_not_finite_stays_so(bad):
    values = np.array([[1, bad, 2], [3, 4, 5]], np.complex64)
    found = np.zeros_like(values)
    restored(*rounded(values), found)
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1], values[1], rtol=1e-4)


@pytest.mark.parametrize("memory", [None, 1e-9], ids=["held", "streamed"])
@pytest.mark.parametrize("background", ["static", "interpolated", "none"])
def test_each_value_is_near_that_of_the_calibration(files, monkeypatch, memory, background):
    monkeypatch.setattr("mpikit.reconstruct.streamed.PART", 5 * 8 * 24)
    options = {"background": background, "memory": memory}
    wanted = matrix(files, cache=None, **options)
    first, again, rounds = (
        matrix(files, **options),
        matrix(files, **options),
        matrix(files, cache=None, int16=True),
    )
    np.testing.assert_array_equal(again, first)
    largest = np.maximum(np.abs(wanted.real), np.abs(wanted.imag)).max(axis=1, keepdims=True)
    gap = (first - wanted) / largest
    most = max(np.abs(gap.real).max(), np.abs(gap.imag).max())
    assert 0 < most < 1.01 / 65534
    np.testing.assert_array_equal(matrix(files, **options | {"cache": None, "int16": True}), first)
    assert rounds.shape == first.shape == (62, 24)


@pytest.mark.parametrize("memory", [None, 1e-9], ids=["held", "streamed"])
def test_the_image_differs_by_less_than_a_thousandth(files, memory):
    wanted = image(files, cache=None, memory=memory).images.values
    found = image(files, memory=memory).images.values
    assert 0 < np.linalg.norm(found - wanted) < 1e-3 * np.linalg.norm(wanted)


def test_the_second_run_reads_the_cache_and_not_the_matrix(files, monkeypatch):
    (making,), steps = words(files)
    assert making.startswith(f"the matrix is written into the cache {files.cache}")
    assert steps[-1].index == steps[-1].total
    with h5py.File(files.cache, "r") as hdf:
        assert hdf["values"].shape == (62, 24, 2)
        assert hdf["values"].dtype == np.int16
        assert hdf["values"].chunks is None
    monkeypatch.delattr("mpikit.reconstruct.streamed.CalibrationRows._read")
    said, steps = words(files)
    assert said == [f"the matrix comes from the cache {files.cache}"]
    assert not steps


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"min_frequency": 2e5}, "rows"),
        ({"receive_channels": (1,)}, "rows"),
        ({"background": "none"}, "corrections"),
        ({"background": "interpolated"}, "corrections"),
        ({"field_of_view": (0.02,)}, "grid"),
        ({"grid": (3, 3, 2)}, "grid"),
    ],
)
def test_another_matrix_makes_it_anew(files, options, what):
    matrix(files)
    assert f"another matrix (not the same {what})" in why_anew(files, **options)
    wanted = matrix(files, cache=None, **options)
    np.testing.assert_allclose(matrix(files, **options), wanted, atol=5e-5 * np.abs(wanted).max())
    assert len(list(files.cache.parent.glob("*.h5"))) == 1


def test_options_of_the_solver_do_not_matter(files):
    matrix(files)
    _, steps = words(files, iterations=3, lambda_=0.1, frame_averages=3, memory=1e-9)
    assert not steps


def test_a_changed_calibration_makes_it_anew(files, pair):
    matrix(files)
    os.utime(files.system, ns=(1, 1))
    assert "(not the same calibration)" in why_anew(files)
    pair.matrix *= 2
    pair.calibration(background=4)
    os.utime(files.system, ns=(1, 1))
    np.testing.assert_allclose(matrix(files), matrix(files, cache=None), atol=1e-3)


def test_a_folder_holds_one_cache_for_each_matrix(files, pair):
    folder = pair.folder / "caches"
    folder.mkdir()
    for options in ({}, {"min_frequency": 2e5}, {}, {"min_frequency": 2e5}):
        matrix(files, cache=folder, **options)
    names = [path.name for path in folder.iterdir()]
    assert len(names) == 2
    assert all(name.startswith("system.") and name.endswith(".cache.h5") for name in names)


@pytest.mark.parametrize("content", [b"", b"my thesis", None], ids=["empty", "text", "calibration"])
def test_another_file_is_never_replaced(files, content):
    if content is None:
        shutil.copy(files.system, files.cache)
    else:
        files.cache.write_bytes(content)
    before = files.cache.read_bytes()
    with pytest.raises(InputError, match="is no cache of a system matrix, and is not replaced") as caught:
        matrix(files)
    assert "--cache" in caught.value.hint
    assert files.cache.read_bytes() == before
    with pytest.raises(InputError, match="is no cache"):
        matrix(files, cache=files.system)


@pytest.mark.parametrize("kept", [0.01, 0.3, 0.6, 0.999])
def test_a_truncated_cache_is_made_anew(files, kept):
    wanted = matrix(files)
    size = files.cache.stat().st_size
    os.truncate(files.cache, max(100, int(kept * size)))
    assert why_anew(files).startswith(f"the cache {files.cache} is damaged, it is made anew")
    assert files.cache.stat().st_size == size
    np.testing.assert_array_equal(matrix(files), wanted)


@pytest.mark.parametrize("node", ["values", "scale", "sums"])
@pytest.mark.parametrize("memory", [None, 1e-9], ids=["held", "streamed"])
def test_a_flipped_bit_is_found(files, node, memory):
    matrix(files)
    with h5py.File(files.cache, "r") as hdf:
        stored = hdf[node]
        place = stored.id.get_offset() + stored.size // 2 * stored.dtype.itemsize
    with files.cache.open("r+b") as raw:
        raw.seek(place)
        before = raw.read(1)[0]
        raw.seek(place)
        raw.write(bytes([before ^ 4]))
    with pytest.raises(InputError, match=r"rows.h5 is damaged: row \d+ is not as it was written") as caught:
        matrix(files, memory=memory)
    assert caught.value.hint == "delete it: the next run makes it anew"


def test_a_cache_without_its_parts_is_made_anew(files):
    matrix(files)
    with h5py.File(files.cache, "r+") as hdf:
        del hdf["sums"]
    assert "is damaged" in why_anew(files)


def test_a_full_disk_leaves_nothing(files, monkeypatch):
    before = sorted(files.system.parent.iterdir())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(InputError, match=r"needs 0.000\d* GiB, and .* GiB are free"):
        matrix(files)
    monkeypatch.undo()
    write = temporary.Sink.write

    def full(sink, data):
        if memoryview(data).nbytes > 3000:
            sink._error = OSError(errno.ENOSPC, "No space left on device")
            return memoryview(data).nbytes
        return write(sink, data)

    monkeypatch.setattr(temporary.Sink, "write", full)
    with pytest.raises(InputError, match=r"rows.h5 cannot be written: No space left on device"):
        matrix(files)
    assert sorted(files.system.parent.iterdir()) == before


def test_no_folder_for_it(files, pair):
    with pytest.raises(InputError, match=r"the folder .*missing does not exist"):
        matrix(files, cache=pair.folder / "missing" / "rows.h5")


def test_a_repeat_gives_the_same_bits_with_any_cache_or_none(files, pair):
    first = image(files)
    with mdf.open(first.output) as file:
        record = json.loads(file.user_value(HISTORY))[-1]
    assert record["options"]["int16"] is True
    assert str(pair.folder) not in json.dumps(record)
    assert rerun_file(first.output, output=pair.folder / "a.mdf").repeated
    assert rerun_file(first.output, output=pair.folder / "b.mdf", cache=files.cache).repeated
    files.cache.unlink()
    assert rerun_file(first.output, output=pair.folder / "c.mdf", cache=files.cache).repeated
    plain = image(files, cache=None, output=pair.folder / "plain.mdf")
    with pytest.raises(UsageError, match="was made without a cache"):
        rerun_file(plain.output, output=pair.folder / "d.mdf", cache=files.cache)


def test_a_history_does_not_say_where_a_cache_is_written(files, pair):
    first = image(files)
    with mdf.open(first.output) as file:
        history = json.loads(file.user_value(HISTORY))
        contents = file.contents()
    history[-1]["options"]["cache"] = str(pair.folder / "elsewhere.h5")
    kept = {name: value for name, value in contents.items() if name not in {"/version", "/uuid", "/time"}}
    mdf.write(pair.folder / "bad.mdf", kept, user={HISTORY: json.dumps(history)})
    with pytest.raises(InputError, match="that of no reconstruction: cache"):
        rerun_file(pair.folder / "bad.mdf")


@pytest.mark.parametrize("cached", [False, True])
def test_energies_are_those_of_the_rows(files, monkeypatch, cached):
    monkeypatch.setattr("mpikit.reconstruct.streamed.PART", 7 * 8 * 24)
    cache = files.cache if cached else None
    chosen = Kaczmarz(memory=1e-9, cache=cache, min_frequency=0, snr_threshold=0)
    with mdf.open(files.source) as measurement, mdf.open(files.system) as calibration:
        rows = read_system(measurement, calibration, chosen, tell=silent).matrix
        assert len(rows) == 9
        assert rows.columns(3) == slice(None)
        rows.load(2)
        found, whole = rows.energies(), rows.whole()
        rows.close()
    np.testing.assert_allclose(found, np.linalg.norm(whole, axis=1) ** 2, rtol=1e-5)


def test_several_matrices_need_a_folder(files, pair):
    other = pair.calibration("other.mdf")
    with pytest.raises(UsageError, match="2 system matrices cannot share the cache"):
        image(SimpleNamespace(**vars(files) | {"system": [files.system, other]}))
