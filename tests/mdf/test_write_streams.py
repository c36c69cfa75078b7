"""Files that are written piece by piece: by values, compressed, and when the process or the disk gives up."""

from __future__ import annotations

import os
import signal as signals
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pytest

import mdf
from mdf import spec, temporary

KIND, INDICES = "/measurement/sparsityTransformation", "/measurement/subsamplingIndices"
POSIX = pytest.mark.skipif(os.name == "nt", reason="signals and limits of POSIX")


@pytest.fixture
def spectra(contents):
    """Contents of O = 12 positions and E = 2 empty frames, K = 6 (V = 10), frame axis last."""
    return contents | {
        "/acquisition/receiver/numSamplingPoints": 10,
        spec.FOURIER: True,
        spec.FAST_FRAME_AXIS: True,
        spec.BACKGROUND: [0] * 12 + [1] * 2,
        "/calibration/method": "robot",
        "/calibration/size": [3, 2, 2],
        "/calibration/fieldOfView": [0.003, 0.004, 0.005],
    }


@pytest.fixture
def matrix(rng):
    return (rng.normal(size=(14, 3, 2, 6)) + 1j * rng.normal(size=(14, 3, 2, 6))).astype(np.complex64)


class TestByValues:
    @pytest.mark.parametrize("frames_last", [True, False])
    @pytest.mark.parametrize("together", [1, 4, 6])
    def test_the_same_file_as_by_frames(self, tmp_path, spectra, matrix, frames_last, together):
        spectra |= {spec.FAST_FRAME_AXIS: frames_last}
        with mdf.create(tmp_path / "a.mdf", spectra, num_frames=14) as out:
            for start in range(0, 6, together):
                out.append_values(matrix[..., start : start + together])
        with mdf.open(tmp_path / "a.mdf") as file:
            np.testing.assert_array_equal(file.read_signal(), matrix)
            assert file.repairs == ()
        mdf.write(tmp_path / "b.mdf", spectra, matrix)
        with h5py.File(tmp_path / "a.mdf") as by_values, h5py.File(tmp_path / "b.mdf") as by_frames:
            np.testing.assert_array_equal(by_values[spec.DATA], by_frames[spec.DATA])

    def test_selected_components_and_time(self, tmp_path, spectra, contents, matrix, signal):
        some = spectra | {spec.SELECTED: True, spec.SELECTION: [2, 4]}
        with mdf.create(tmp_path / "a.mdf", some, num_frames=14) as out:
            out.append_values(matrix[..., :2])
        timed = contents | {"/acquisition/receiver/numSamplingPoints": 10}
        with mdf.create(tmp_path / "b.mdf", timed, num_frames=5) as out:
            out.append_values(signal[..., :3])
            out.append_values(signal[..., 3:])
        with mdf.open(tmp_path / "a.mdf") as file, mdf.open(tmp_path / "b.mdf") as other:
            np.testing.assert_array_equal(file.read_signal(), matrix[..., :2])
            np.testing.assert_array_equal(other.read_signal(), signal)

    def test_what_does_not_go_together(self, tmp_path, spectra, contents, matrix, signal):
        def write(values, *others, base=spectra, frames=14):
            with mdf.create(tmp_path / "a.mdf", base, num_frames=frames) as out:
                out.append_values(values)
                for other in others:
                    other(out)

        with pytest.raises(mdf.MdfError, match="5 values were written, 6"):
            write(matrix[..., :5])
        with pytest.raises(mdf.MdfError, match="more values than the 6"):
            write(matrix, lambda out: out.append_values(matrix[..., :1]))
        with pytest.raises(mdf.MdfError, match="do not go together"):
            write(matrix[..., :5], lambda out: out.append(matrix[:1]))
        with pytest.raises(mdf.MdfError, match="the first had"):
            write(matrix[..., :2], lambda out: out.append_values(matrix[:13, ..., 2:]))
        with pytest.raises(mdf.MdfError, match="numSamplingPoints is None"):
            write(signal, base=contents, frames=5)
        with pytest.raises(mdf.MdfError, match="no other"):
            write(matrix[..., :2], lambda out: out.append_values(matrix[..., 2:], np.ones((3, 2, 4, 1), int)))
        assert list(tmp_path.iterdir()) == []


class TestSparsity:
    @pytest.fixture
    def sparse(self, spectra):
        return spectra | {spec.SPARSE: True, KIND: "DCT-II"}

    @pytest.fixture
    def places(self, rng):
        """B = 4 of 12 coefficients, each component another choice."""
        return np.argsort(rng.normal(size=(3, 2, 6, 12)), axis=-1)[..., :4] + 1

    def test_at_once_and_by_values(self, tmp_path, sparse, matrix, places):
        stored = matrix[:6]  # B + E
        mdf.write(tmp_path / "a.mdf", sparse | {INDICES: places}, stored)
        with mdf.create(tmp_path / "b.mdf", sparse, num_frames=14, kept=4) as out:
            out.append_values(stored[..., :5], places[:, :, :5])
            out.append_values(stored[..., 5:], places[:, :, 5:])
        for name in ("a.mdf", "b.mdf"):
            with h5py.File(tmp_path / name) as hdf:
                np.testing.assert_array_equal(hdf[spec.DATA], np.moveaxis(stored, 0, -1))
                np.testing.assert_array_equal(hdf[INDICES], places)
                assert hdf[INDICES].dtype == np.int32
                assert hdf[spec.FRAMES][()] == 14
                assert hdf[spec.BACKGROUND].shape == (14,)
        assert [problem for problem in mdf.validate(tmp_path / "a.mdf") if problem.severity == "error"] == []

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({spec.FAST_FRAME_AXIS: False}, "frame axis last"),
            ({spec.BACKGROUND: [1] * 2 + [0] * 12}, "after the others"),
            ({"/calibration/size": None}, "size of 12 positions"),
            ({KIND: "DCT-V"}, "DCT-I, DCT-II"),
            ({KIND: None}, "missing: /measurement/sparsityTransformation"),
            ({spec.SPARSE: False, KIND: None}, "coefficients are announced"),
        ],
    )
    def test_what_the_standard_asks(self, tmp_path, sparse, matrix, places, changes, message):
        with (
            pytest.raises(mdf.MdfError, match=message),
            mdf.create(tmp_path / "a.mdf", sparse | changes, num_frames=14, kept=4) as out,
        ):
            out.append_values(matrix[:6], places)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("change", [lambda index: index - 1, lambda index: index + 12, np.ones_like])
    def test_indices_that_are_none(self, tmp_path, sparse, matrix, places, change):
        with pytest.raises(mdf.MdfError, match="distinct indices from 1 to 12"):
            mdf.write(tmp_path / "a.mdf", sparse | {INDICES: change(places)}, matrix[:6])

    @pytest.mark.parametrize("kept", [0, 13])
    def test_a_number_of_coefficients_that_is_none(self, tmp_path, sparse, matrix, kept):
        with (
            pytest.raises(mdf.MdfError, match=f"{kept} coefficients are announced, expected 1 to 12"),
            mdf.create(tmp_path / "a.mdf", sparse, num_frames=14, kept=kept) as out,
        ):
            out.append_values(matrix[: kept + 2], np.ones((3, 2, 6, kept), int))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("change", [lambda index: index[:, :1], lambda index: index.astype(float)])
    def test_indices_of_another_shape_or_type(self, tmp_path, sparse, matrix, places, change):
        with pytest.raises(mdf.MdfError, match=r"expected whole numbers of \(3, 2, 6, 4\)"):
            mdf.write(tmp_path / "a.mdf", sparse | {INDICES: change(places)}, matrix[:6])
        assert list(tmp_path.iterdir()) == []

    def test_frames_are_not_appended(self, tmp_path, sparse, matrix):
        with (
            pytest.raises(mdf.MdfError, match="by components"),
            mdf.create(tmp_path / "a.mdf", sparse, num_frames=14, kept=4) as out,
        ):
            out.append(matrix[:1])


class TestCompression:
    @pytest.mark.parametrize("compression", [0, 9, "lzf"])
    @pytest.mark.parametrize("frames_last", [True, False])
    def test_it_warns_and_is_read(self, tmp_path, spectra, matrix, compression, frames_last):
        spectra |= {spec.FAST_FRAME_AXIS: frames_last}
        with pytest.warns(mdf.CompressionWarning, match="Julia"):
            mdf.write(tmp_path / "a.mdf", spectra, matrix, compression=compression)
        with h5py.File(tmp_path / "a.mdf") as hdf:
            data = hdf[spec.DATA]
            assert (data.compression, data.compression_opts) == (
                ("lzf", None) if compression == "lzf" else ("gzip", compression)
            )
        with mdf.open(tmp_path / "a.mdf") as file:
            np.testing.assert_array_equal(file.read_signal(), matrix)
        assert "F17" in {problem.rule for problem in mdf.validate(tmp_path / "a.mdf")}

    @pytest.mark.parametrize("compression", [-1, 10, True, "gzip", 1.5])
    def test_what_is_none(self, tmp_path, spectra, matrix, compression):
        with pytest.raises(ValueError, match="from 0 to 9, or 'lzf'"):
            mdf.write(tmp_path / "a.mdf", spectra, matrix, compression=compression)


def test_units_are_checked(tmp_path, contents, signal, made):
    wrong = {
        "/acquisition/drivefield/strength": (12.0, "at most 1 T"),
        "/acquisition/gradient": (2e3, "at most 50 T/m"),
        "/scanner/boreSize": (120.0, "at most 2 m"),
        "/acquisition/drivefield/waveform": ("sinus", "expected one of sine, triangle, custom"),
        "/acquisition/receiver/transferFunction": (np.nan, "not finite"),
    }
    shapes = {"/scanner/boreSize": (), "/acquisition/receiver/transferFunction": (2, 6)}
    for path, (value, message) in wrong.items():
        shape = shapes.get(path) if path in shapes else np.shape(contents[path])
        changed = contents | {path: np.full(shape, value, object if isinstance(value, str) else None)[()]}
        with pytest.raises(mdf.MdfError, match=message):
            mdf.write(tmp_path / "a.mdf", changed, signal)
    path = made({"/acquisition/drivefield/strength": np.full((3, 2, 1), 12.0)})
    with mdf.open(path) as file:  # an existing file is copied as it stands
        mdf.write(tmp_path / "b.mdf", file.contents(), file.read_signal(order="stored"), copy_user_from=file)


def test_phases_are_wrapped(tmp_path, contents, signal):
    phase = np.array([-np.pi, np.pi, 0.5, 7.0, -4.0, 3.0]).reshape(3, 2, 1)
    mdf.write(tmp_path / "a.mdf", contents | {"/acquisition/drivefield/phase": phase}, signal)
    with mdf.open(tmp_path / "a.mdf") as file:
        stored = file.acquisition.drivefield.phase
        assert np.all((stored >= -np.pi) & (stored < np.pi))
        np.testing.assert_allclose(np.exp(1j * stored), np.exp(1j * phase), atol=1e-12)


def test_images_with_positions_contrasts_and_frames(tmp_path, contents, rng):
    """Q = 2, P = 6, S = 3."""
    images, positions = rng.normal(size=(2, 6, 3)), rng.normal(size=(6, 3)) * 1e-3
    contents = {path: value for path, value in contents.items() if not path.startswith("/measurement")} | {
        "/acquisition/numFrames": 5,
        "/acquisition/numPeriodsPerFrame": 3,
        "/acquisition/receiver/numChannels": 2,
        "/acquisition/receiver/numSamplingPoints": 10,
        "/reconstruction/data": images,
        "/reconstruction/positions": positions,
        "/reconstruction/order": "zyx",
        "/reconstruction/isOverscanRegion": [0, 1, 0, 0, 1, 0],
    }
    mdf.write(tmp_path / "a.mdf", contents)
    with mdf.open(tmp_path / "a.mdf") as file:
        np.testing.assert_array_equal(file.reconstruction.data, images)
        np.testing.assert_array_equal(file.reconstruction.positions, positions)
        assert file.reconstruction.order == "zyx"
    with pytest.raises(mdf.MdfError, match="positions has the shape"):
        mdf.write(tmp_path / "b.mdf", contents | {"/reconstruction/positions": positions[:5]})


STREAM = """
    import sys, time
    import numpy as np
    import mdf

    source, target, frames = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with mdf.open(source) as file:
        contents, signal = file.contents(), file.read_signal()
    contents |= {"/measurement/isBackgroundFrame": np.zeros(frames, int), "/acquisition/numFrames": frames}
    try:
        with mdf.create(target, contents, num_frames=frames, overwrite="--replace" in sys.argv) as out:
            for index in range(frames):
                out.append(signal[:1] + index)
                print(index, flush=True)
                sys.stdin.readline()
    except mdf.MdfError as error:
        sys.exit(f"MdfError: {error}")
"""


def start(source: Path, target: Path, frames: int, *options: str, before: str = "") -> subprocess.Popen[str]:
    """Write a file in another process; each line sent to it has it write one more frame."""
    code = before + textwrap.dedent(STREAM)
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code, str(source), str(target), str(frames), *options]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture
def source(tmp_path, contents, signal):
    folder = tmp_path / "source"
    folder.mkdir()
    mdf.write(folder / "a.mdf", contents, signal)
    return folder / "a.mdf"


@POSIX
class TestTheEndOfAProcess:
    def test_killed(self, tmp_path, source, contents, signal):
        target = tmp_path / "a.mdf"
        target.write_bytes(b"old")
        process = start(source, target, 9, "--replace")
        for _ in range(4):
            process.stdout.readline()
            process.stdin.write("\n")
            process.stdin.flush()
        (hidden,) = tmp_path.glob(".*")
        mdf.write(target, contents, signal, overwrite=True)
        assert hidden.exists()  # its process is alive
        process.send_signal(signals.SIGKILL)
        process.communicate()
        assert hidden.exists()
        target.write_bytes(b"old")
        mdf.write(tmp_path / "b.mdf", contents, signal)
        assert hidden.exists()  # of another name
        assert target.read_bytes() == b"old"
        mdf.write(target, contents, signal, overwrite=True)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mdf", "b.mdf", "source"]

    @pytest.mark.parametrize("limit", [2000, 40_000])
    def test_a_limit_of_the_file_size(self, tmp_path, source, limit):
        """Like a full disk; HDF5 itself crashes when it cannot close such a file."""
        before = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        process = start(source, tmp_path / "a.mdf", 400, before=before)
        _, errors = process.communicate("\n" * 400)
        assert process.returncode == 1, errors
        assert errors.startswith("MdfError: ")
        assert "File too large" in errors
        assert errors.count("\n") == 1
        assert [path.name for path in tmp_path.iterdir()] == ["source"]

    def test_two_processes_and_one_name(self, tmp_path, source):
        both = [start(source, tmp_path / "a.mdf", 9) for _ in range(2)]
        for process in both:
            process.stdout.readline()
        ends = [process.communicate("\n" * 9) for process in both]
        assert [process.returncode for process in both] == [0, 1]
        assert "the file exists" in ends[1][1]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mdf", "source"]
        with mdf.open(tmp_path / "a.mdf") as file:
            assert file.num_frames == 9


def test_hidden_names(tmp_path, monkeypatch):
    path = tmp_path / "a.mdf"
    ours = temporary.claim(path)
    ours.touch()
    stem = ours.name.rpartition("-")[0].rpartition("-")[0]
    gone = tmp_path / f"{stem}-{2**22 + 1}-01234567.part"  # no system has such a process
    reused = tmp_path / f"{stem}-{os.getpid()}-01234567.part"  # an older process with our number
    others = [
        tmp_path / f".a.mdf.00000000-{2**22 + 1}-01234567.part",  # another machine
        tmp_path / f"{stem}-{2**22 + 1}-xyz.part",
        tmp_path / f".b{stem[2:]}-{2**22 + 1}-01234567.part",
    ]
    for other in (gone, reused, *others):
        other.touch()
    temporary.remove_stale(path)
    assert sorted(tmp_path.iterdir()) == sorted([ours, *others])
    temporary.release(ours)
    assert sorted(tmp_path.iterdir()) == sorted(others)


def test_a_very_long_name(tmp_path, contents, signal):
    path = tmp_path / ("ä" * 120 + ".mdf")
    mdf.write(path, contents, signal)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
