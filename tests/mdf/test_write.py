from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mdf
from mdf import spec


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def calibration(contents: dict[str, object]) -> dict[str, object]:
    """Contents with O = 12 positions and E = 2, three frequencies of V = 10 stored, in every special way."""
    periods = ("gradient", "offsetField", "drivefield/strength", "drivefield/phase")
    one_period = {f"/acquisition/{name}": contents[f"/acquisition/{name}"][:1] for name in periods}
    return contents | one_period | {
        "/acquisition/receiver/numSamplingPoints": 10,
        "/measurement/isFourierTransformed": True,
        "/measurement/isFastFrameAxis": True,
        "/measurement/isFramePermutation": True,
        "/measurement/framePermutation": [2, 3, 4, 7, 6, 5, 13, 12, 11, 8, 9, 10, 1, 14],
        "/measurement/isFrequencySelection": True,
        "/measurement/frequencySelection": [2, 4, 6],
        "/measurement/isBackgroundFrame": [False] * 12 + [True] * 2,
        "/calibration/method": "simulation",
        "/calibration/size": [3, 2, 2],
        "/calibration/fieldOfView": [0.003, 0.004, 0.005],
        "/calibration/snr": np.arange(6.0).reshape(1, 2, 3),
    }  # fmt: skip


def test_what_is_written_is_read_bit_for_bit(tmp_path, contents, signal):
    mdf.write(tmp_path / "a.mdf", contents, signal)
    with mdf.open(tmp_path / "a.mdf") as file:
        np.testing.assert_array_equal(file.read_signal(), signal)
        assert file.repairs == ()
        read = file.contents()
        for path, value in contents.items():
            np.testing.assert_array_equal(read[path], value, err_msg=path)
        assert (file.num_frames, file.num_periods, file.num_channels, file.num_samples) == signal.shape
        assert file.acquisition.num_averages == 1
        assert file.acquisition.drivefield.cycle == pytest.approx(10 / 2.5e6)
        assert leftovers(tmp_path) == []


def test_a_copy_by_its_contents_is_the_same(tmp_path, contents, signal, samples):
    sources = sorted(samples.glob("*.mdf"))
    assert len(sources) == 7
    for source in sources:
        with mdf.open(source) as file:
            # The conversion is applied to what is read, so it must not be written again.
            copied = file.contents() | {spec.CONVERSION: None}
            mdf.write(tmp_path / source.name, copied, file.read_signal(order="stored"), copy_user_from=file)
            with mdf.open(tmp_path / source.name) as copy:
                np.testing.assert_array_equal(copy.read_signal(), file.read_signal())
                assert copy.user_nodes() == file.user_nodes()
                assert copy.repairs == ()
                assert copy.version == "2.1.0"
                assert copy.uuid != file.uuid
                again = copy.contents()
                assert set(again) == {path for path, value in copied.items() if value is not None} | set(
                    again
                )
                for path, value in copied.items():
                    if value is not None:
                        np.testing.assert_array_equal(again[path], value, err_msg=path)


def test_a_calibration_in_every_special_way(tmp_path, contents, rng):
    data = (rng.normal(size=(14, 1, 2, 3)) + 1j * rng.normal(size=(14, 1, 2, 3))).astype(np.complex64)
    mdf.write(tmp_path / "a.mdf", calibration(contents), data)
    with h5py.File(tmp_path / "a.mdf") as hdf:
        np.testing.assert_array_equal(hdf["/measurement/data"], np.moveaxis(data, 0, -1))
    with mdf.open(tmp_path / "a.mdf") as file:
        np.testing.assert_array_equal(file.read_signal(order="stored"), data)
        np.testing.assert_array_equal(file.read_signal(order="grid"), data[:12])
        np.testing.assert_array_equal(file.read_signal([0, 13]), data[[12, 13]])
        np.testing.assert_allclose(file.frequencies, [0.25e6, 0.75e6, 1.25e6])
        assert file.grid.shape == (2, 2, 3)
        assert file.repairs == ()


def test_images_without_a_measurement(tmp_path, contents, signal):
    images = np.arange(48.0).reshape(2, 24, 1)
    contents = {path: value for path, value in contents.items() if not path.startswith("/measurement")} | {
        "/acquisition/numFrames": 5,
        "/acquisition/numPeriodsPerFrame": 3,
        "/acquisition/receiver/numChannels": 2,
        "/acquisition/receiver/numSamplingPoints": 10,
        "/reconstruction/data": images,
        "/reconstruction/size": [4, 3, 2],
        "/reconstruction/fieldOfView": [0.004, 0.003, 0.002],
    }
    mdf.write(tmp_path / "a.mdf", contents)
    with mdf.open(tmp_path / "a.mdf") as file:
        assert file.measurement is None
        assert not file.is_calibration
        assert file.grid.shape == (2, 3, 4)
        np.testing.assert_array_equal(file.reconstruction.data, images)
        assert file.repairs == ()
        assert file.num_frames == 5
        with pytest.raises(mdf.MdfError, match="/measurement/data"):
            file.read_signal()


def test_how_it_stands_in_the_file(tmp_path, contents, signal):
    """What MPIFiles.jl asks for: scalar dataspaces, int8 flags, contiguous data, times of milliseconds."""
    mdf.write(tmp_path / "a.mdf", contents, signal, user={"/_mpikit/history": "[]"})
    with h5py.File(tmp_path / "a.mdf") as hdf:
        nodes: list[h5py.Dataset] = []
        hdf.visititems(lambda _, node: nodes.append(node) if isinstance(node, h5py.Dataset) else None)
        assert all(node.chunks is None and node.maxshape == node.shape for node in nodes)
        assert hdf["/measurement/data"].id.get_offset() is not None
        for node in nodes:
            assert len(node.attrs) == 0
            field = spec.FIELDS.get(node.name)
            if field is None:
                assert node.name == "/_mpikit/history"
                continue
            assert node.ndim == len(field.shape)
            if field.is_text:
                assert h5py.check_string_dtype(node.dtype).encoding == "utf-8"
            expected = {"flag": "int8", "int": "int64", "float": "float64"}.get(field.kind, node.dtype)
            assert node.dtype == expected
        form = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}"
        assert re.fullmatch(form, hdf["/time"].asstr()[()])
    assert re.fullmatch(form, mdf.write_time())


@given(
    shape=st.tuples(*[st.integers(1, 4)] * 3, st.integers(1, 7)),
    kind=st.sampled_from(["f4", "f8", "i1", "i2", "i4", "i8", "c8", "c16", ">f4", ">i2"]),
    frames_last=st.booleans(),
    cuts=st.lists(st.integers(1, 3), min_size=0, max_size=3),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_every_type_and_shape_piece_by_piece(base, shape, kind, frames_last, cuts, seed):
    rng = np.random.default_rng(seed)
    data = (100 * rng.normal(size=shape)).astype(kind)
    is_complex = data.dtype.kind == "c"
    samples = 2 * shape[3] - 1 if is_complex else shape[3]
    periods = {path: np.repeat(base[path][:1], shape[1], axis=0) for path in base if "drivefield/" in path
               and path.endswith(("strength", "phase"))}  # fmt: skip
    contents = base | periods | {
        "/acquisition/gradient": None,
        "/acquisition/offsetField": None,
        "/acquisition/receiver/numSamplingPoints": samples,
        "/measurement/isBackgroundFrame": rng.integers(0, 2, shape[0]),
        "/measurement/isFourierTransformed": is_complex,
        "/measurement/isFastFrameAxis": frames_last,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.mdf"
        with mdf.create(path, contents, num_frames=shape[0]) as out:
            for part in np.split(data, np.unique([min(cut, shape[0]) for cut in cuts])):
                out.append(part)
        with h5py.File(path) as hdf:
            stored = hdf["/measurement/data"][()]
            assert stored.dtype == data.dtype.newbyteorder("<")
            np.testing.assert_array_equal(np.moveaxis(stored, -1, 0) if frames_last else stored, data)
        with mdf.open(path) as file:
            np.testing.assert_array_equal(file.read_signal(), data.astype(file.read_signal().dtype))


@pytest.fixture(scope="module")
def base(by_hand, tmp_path_factory):
    """Contents for property tests, which take no fixture of one test."""
    with mdf.open(by_hand(tmp_path_factory.mktemp("base") / "a.mdf", {})) as file:
        derived = ("numFrames", "numPeriodsPerFrame", "receiver/numChannels", "numSamplingPoints")
        return {path: value for path, value in file.contents().items() if not path.endswith(derived)}


M, A = "/measurement", "/acquisition"
TRACER = {f"/tracer/{name}": ["a"] for name in ("name", "batch", "vendor", "solute")}
WRONG = {
    "an unknown name": ({"/study/nmae": "x"}, "no '/study/nmae'"),
    "a group that is none": ({"/phantom/name": "x"}, "no '/phantom/name'"),
    "the data among the contents": ({f"{M}/data": 1}, "given as data"),
    "a number for text": ({"/study/name": 3}, "expected text"),
    "text for a number": ({"/study/number": "3"}, "expected int"),
    "half a number": ({"/study/number": 1.5}, "expected int"),
    "a flag of 2": ({"/experiment/isSimulation": 2}, "expected 0 or 1"),
    "a bad UUID": ({"/study/uuid": "abc"}, "a UUID"),
    "a time with a zone": ({f"{A}/startTime": "2026-03-02T10:15:30Z"}, "in UTC"),
    "a zero character": ({"/study/name": "a\0b"}, "zero character"),
    "half a surrogate pair": ({"/study/name": "a\ud800"}, "surrogate"),
    "a value in an array": ({"/study/number": [1]}, r"has the shape \(1,\), expected \(\)"),
    "a transposed divider": ({f"{A}/drivefield/divider": [[10, 5]]}, "divider has the shape"),
    "a divider of 0": ({f"{A}/drivefield/divider": [[10], [0]]}, "divider is .* above 0"),
    "too few periods": ({f"{A}/gradient": np.zeros((1, 1, 3, 3))}, "J = 3"),
    "too many frames": ({f"{A}/numFrames": 6}, "the data say 5"),
    "another number of channels": ({f"{A}/drivefield/numChannels": 3}, "numChannels is 3"),
    "a mask that is too short": ({f"{M}/isBackgroundFrame": [0, 1]}, "N = 5"),
    "spectra that are real": ({f"{M}/isFourierTransformed": 1, f"{A}/receiver/numSamplingPoints": 10},
                              "float32"),
    "a selection of time": ({f"{M}/isFrequencySelection": 1, f"{M}/frequencySelection": range(1, 7)},
                            "time data"),
    "a permutation from 0": ({f"{M}/isFramePermutation": 1, f"{M}/framePermutation": range(5)},
                             "from 1 to 5"),
    "a permutation too much": ({f"{M}/framePermutation": [1, 2, 3, 4, 5]}, "isFramePermutation is 0"),
    "no permutation": ({f"{M}/isFramePermutation": 1}, "missing: /measurement/framePermutation"),
    "a compression": ({f"{M}/isSparsityTransformed": 1, f"{M}/sparsityTransformation": "DCT-IV",
                       f"{M}/subsamplingIndices": np.ones((3, 2, 6, 1), int),
                       f"{A}/receiver/numSamplingPoints": 10}, "frame axis last"),
    "no bandwidth": ({f"{A}/receiver/bandwidth": 0}, "above 0"),
    "a factor of 0": ({spec.CONVERSION: [[1, 0], [0, 0]]}, "factor of 0"),
    "an old version": ({"/version": "2.0.1"}, "only '2.1.0'"),
    "a grid too small": ({"/calibration/method": "x", "/calibration/size": [2, 1, 1]}, "are 3 positions"),
    "an order of two axes": ({"/calibration/method": "x", "/calibration/order": "xy"}, "order is 'xy'"),
    "half a tracer": ({"/tracer/name": ["x"]}, "/tracer/batch, /tracer/vendor"),
    "tracers of two lengths": (TRACER | {"/tracer/concentration": [1, 2], "/tracer/volume": [1.0]},
                               "concentration has the shape"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_content_leaves_no_file(tmp_path, contents, signal, wrong):
    changes, message = WRONG[wrong]
    with pytest.raises(mdf.MdfError, match=message):
        mdf.write(tmp_path / "a.mdf", contents | changes, signal)
    assert list(tmp_path.iterdir()) == []


def test_a_hint_for_a_misspelt_name(tmp_path, contents, signal):
    with pytest.raises(mdf.MdfError) as caught:
        mdf.write(tmp_path / "a.mdf", contents | {"/study/nmae": "x"}, signal)
    assert caught.value.hint == "did you mean '/study/name'?"


def test_all_that_is_missing_is_named(tmp_path, signal):
    with pytest.raises(mdf.MdfError) as caught:
        mdf.write(tmp_path / "a.mdf", {}, signal)
    message = str(caught.value)
    for path in (
        "/study/name",
        "/scanner/topology",
        "/acquisition/drivefield/divider",
        "/experiment/isSimulation",
    ):
        assert path in message
    for knowable in ("/uuid", "/time", "/measurement/isBackgroundFrame", "/acquisition/numFrames"):
        assert f"{knowable}," not in message


@pytest.mark.parametrize("kind", ["f2", "u1", "u2", "?", "U3", "O"])
def test_types_that_mdf_does_not_know(tmp_path, contents, signal, kind):
    with pytest.raises(mdf.MdfError, match="/measurement/data has the type"):
        mdf.write(tmp_path / "a.mdf", contents, signal.astype(kind))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(5, 3, 2), (0, 3, 2, 10), (5, 3, 2, 0)])
def test_data_of_another_shape(tmp_path, contents, shape):
    with pytest.raises(mdf.MdfError, match="shape"):
        mdf.write(tmp_path / "a.mdf", contents, np.zeros(shape, np.float32))


def stream(path: Path, contents: dict[str, object], parts: Iterable[np.ndarray], **options: object) -> None:
    with mdf.create(path, contents, num_frames=5, **options) as out:
        for part in parts:
            out.append(part)


class TestFrameByFrame:
    def test_too_few_frames(self, tmp_path, contents, signal):
        with pytest.raises(mdf.MdfError, match="4 frames were written, 5"):
            stream(tmp_path / "a.mdf", contents, [signal[:1], signal[1:4]])
        with pytest.raises(mdf.MdfError, match="0 frames were written, 5"):
            stream(tmp_path / "a.mdf", contents, [])
        assert list(tmp_path.iterdir()) == []

    def test_too_many_frames(self, tmp_path, contents, signal):
        with pytest.raises(mdf.MdfError, match="more frames than the 5"):
            stream(tmp_path / "a.mdf", contents, [signal, signal[:1]])
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("change", [lambda frames: frames[..., 1:], lambda frames: frames.astype(float)])
    def test_frames_that_differ(self, tmp_path, contents, signal, change):
        with pytest.raises(mdf.MdfError, match="the first had"):
            stream(tmp_path / "a.mdf", contents, [signal[:1], change(signal[1:])])
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
    def test_an_interruption_leaves_no_file_and_the_old_one_alone(self, tmp_path, contents, signal, error):
        def interrupted():
            yield signal[:3]
            assert len(leftovers(tmp_path)) == 1
            raise error

        (tmp_path / "a.mdf").write_bytes(b"old")
        with pytest.raises(error):
            stream(tmp_path / "a.mdf", contents, interrupted(), overwrite=True)
        assert (tmp_path / "a.mdf").read_bytes() == b"old"
        assert [path.name for path in tmp_path.iterdir()] == ["a.mdf"]

    def test_a_full_disk(self, tmp_path, contents, signal, monkeypatch):
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(mdf.MdfError, match="No space left"):
            mdf.write(tmp_path / "a.mdf", contents, signal)
        assert list(tmp_path.iterdir()) == []


class TestTarget:
    def test_an_existing_file(self, tmp_path, contents, signal):
        (tmp_path / "a.mdf").write_bytes(b"old")
        with pytest.raises(mdf.MdfError, match="exists"):
            mdf.write(tmp_path / "a.mdf", contents, signal)
        assert (tmp_path / "a.mdf").read_bytes() == b"old"
        mdf.write(tmp_path / "a.mdf", contents, signal, overwrite=True)
        with mdf.open(tmp_path / "a.mdf") as file:
            assert len(file.read_signal()) == 5

    def test_a_file_that_appears_meanwhile(self, tmp_path, contents, signal):
        def disturbed():
            yield signal
            (tmp_path / "a.mdf").write_bytes(b"of another")

        with pytest.raises(mdf.MdfError, match="exists"):
            stream(tmp_path / "a.mdf", contents, disturbed())
        assert (tmp_path / "a.mdf").read_bytes() == b"of another"
        assert leftovers(tmp_path) == []

    @pytest.mark.parametrize("where", ["missing/a.mdf", "."])
    def test_places_that_take_no_file(self, tmp_path, contents, signal, where):
        with pytest.raises(mdf.MdfError, match="folder"):
            mdf.write(tmp_path / where, contents, signal, overwrite=True)

    @pytest.mark.parametrize("link", ["itself", "symlink", "hard link"])
    def test_the_output_is_the_input(self, tmp_path, contents, signal, link):
        source, target = tmp_path / "a.mdf", tmp_path / "b.mdf"
        mdf.write(source, contents, signal)
        before = source.read_bytes()
        if link == "symlink":
            target.symlink_to(source)
        elif link == "hard link":
            os.link(source, target)
        else:
            target = source
        with mdf.open(source) as file, pytest.raises(mdf.MdfError, match="the output is the input"):
            mdf.write(target, contents, signal, copy_user_from=file, overwrite=True)
        assert source.read_bytes() == before

    def test_permissions_are_those_of_any_new_file(self, tmp_path, contents, signal):
        mdf.write(tmp_path / "a.mdf", contents, signal)
        (tmp_path / "plain").touch()
        modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.mdf", "plain")]
        assert modes[0] == modes[1]


def test_a_file_with_gaps_can_be_copied(tmp_path, made):
    """Whatever the reader repairs, the writer takes."""
    path = made(
        {
            "/scanner/operator": None,
            "/study/uuid": "not one",
            "/acquisition/startTime": "2026-03-02T10:15:30.123456Z",
            "/acquisition/numAverages": None,
            "/measurement/isSparsityTransformed": None,
            "/acquisition/drivefield/cycle": None,
            "/measurement/isFramePermutation": np.int8(1),
            "/calibration/deltaSampleSize": np.ones(3),
            "/study/time": "long ago",
        }
    )
    with mdf.open(path) as file:
        mdf.write(tmp_path / "copy.mdf", file.contents(), file.read_signal(order="stored"))
    with mdf.open(tmp_path / "copy.mdf") as copy:
        assert copy.repairs == ()
        assert copy.scanner.operator == "n.a."
        assert copy.acquisition.start_time == "2026-03-02T10:15:30.123"
        assert copy.study.time is None
        assert copy.study.uuid != "not one"
