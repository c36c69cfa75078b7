"""A denoised file: the layout of its source, its metadata, the lines that were emptied."""

from __future__ import annotations

import hashlib
import json

import h5py
import numpy as np
import pytest

import mdf
from mpikit.denoise_file import denoise_file
from mpikit.denoise_write import emptied_lines
from mpikit.errors import InputError
from mpikit.provenance import read_history
from mpikit.scan_file import EMPTY_LINES, read_scan
from mpikit.scoring import score_table

FRAMES, EMPTY, PERIODS, CHANNELS, SAMPLES = 9, 6, 2, 3, 60
LINES = SAMPLES // 2 + 1
FAST = ("steps=4", "features=3", "evaluate_every=2")

ABOUT = {
    "/study/name": "tests",
    "/study/number": 3,
    "/study/description": "scans",
    "/experiment/name": "scan",
    "/experiment/number": 2,
    "/experiment/description": "made by a test",
    "/experiment/subject": "sines",
    "/experiment/isSimulation": True,
    "/scanner/name": "none",
    "/scanner/facility": "here",
    "/scanner/manufacturer": "nobody",
    "/scanner/operator": "nobody",
    "/scanner/topology": "FFP",
    "/scanner/boreSize": 0.12,
    "/acquisition/startTime": "2026-03-02T10:15:30.500",
    "/acquisition/numAverages": 5,
    "/acquisition/gradient": np.tile(np.diag([-1.0, -1.0, 2.0]), (PERIODS, 1, 1, 1)),
    "/acquisition/offsetField": np.zeros((PERIODS, 1, 3)),
    "/acquisition/drivefield/baseFrequency": 2.5e6,
    "/acquisition/drivefield/divider": np.array([[SAMPLES]]),
    "/acquisition/drivefield/strength": np.full((PERIODS, 1, 1), 0.012),
    "/acquisition/drivefield/phase": np.full((PERIODS, 1, 1), np.pi / 2),
    "/acquisition/drivefield/waveform": np.array([["sine"]]),
    "/acquisition/receiver/numSamplingPoints": SAMPLES,
    "/acquisition/receiver/bandwidth": 1.25e6,
    "/acquisition/receiver/unit": "V",
    "/acquisition/receiver/transferFunction": (1 + 0.1j) * np.ones((CHANNELS, LINES)),
}
BACKGROUND = np.isin(np.arange(FRAMES + EMPTY), [0, 1, 5, 6, 13, 14])  # in order of acquisition
SELECTED = np.array([1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 20, 21, 22, 25])  # from 0


def frames_by_time():
    """Odd signals on a background, with noise, (N + E, J, C, V)."""
    rng = np.random.default_rng(12)
    angle = 2 * np.pi * np.arange(SAMPLES) / SAMPLES
    clean = rng.uniform(0.5, 1, (CHANNELS, 10)) @ np.sin(np.outer(np.arange(1, 11), angle))
    background = rng.normal(size=(CHANNELS, 1)) * np.cos(angle)
    frames = np.where(BACKGROUND[:, None, None, None], 0, clean) + background
    return frames + rng.normal(0, 0.2, (FRAMES + EMPTY, PERIODS, CHANNELS, SAMPLES))


LAYOUTS = {
    "time": {},
    "time, frames last": {"last": True},
    "time, permuted": {"permuted": True},
    "integers": {"integers": True},
    "integers, permuted, frames last": {"integers": True, "permuted": True, "last": True},
    "frequency": {"fourier": True},
    "frequency, frames last": {"fourier": True, "last": True},
    "frequency, permuted, frames last": {"fourier": True, "last": True, "permuted": True},
    "frequency, converted": {"fourier": True, "converted": True},
    "selection": {"fourier": True, "selected": True},
    "selection, permuted, frames last": {"fourier": True, "selected": True, "permuted": True, "last": True},
}


def write(
    path, *, fourier=False, last=False, permuted=False, integers=False, converted=False, selected=False
):
    """Write the frames in one of the layouts of MDF."""
    order = np.random.default_rng(3).permutation(len(BACKGROUND)) if permuted else np.arange(len(BACKGROUND))
    data = frames_by_time()[order].astype(np.float32)
    contents = {
        **ABOUT,
        "/measurement/isBackgroundFrame": BACKGROUND[order],
        "/measurement/isFastFrameAxis": last,
        "/measurement/isFourierTransformed": fourier,
    }
    if permuted:
        contents |= {"/measurement/isFramePermutation": True, "/measurement/framePermutation": order + 1}
    if integers:
        factor = np.array([[1e-3, 0.25], [2e-3, 0.0], [5e-4, -0.5]])
        contents["/acquisition/receiver/dataConversionFactor"] = factor
        data = np.rint((data - factor[:, 1:]) / factor[:, :1]).astype(np.int16)
    if fourier:
        data = np.fft.rfft(data.astype(float), axis=-1).astype(np.complex64)
    if converted:
        factor = np.tile([4.0, 0.0], (CHANNELS, 1))
        contents["/acquisition/receiver/dataConversionFactor"] = factor
        data = data / np.float32(4)
    if selected:
        contents |= {
            "/measurement/isFrequencySelection": True,
            "/measurement/frequencySelection": SELECTED + 1,
        }
        data = data[..., SELECTED]
        transfer = contents["/acquisition/receiver/transferFunction"]
        contents["/acquisition/receiver/transferFunction"] = transfer[:, SELECTED]
    user = {"/_truth/_positions": np.arange(6.0).reshape(2, 3), "/measurement/_note": "kept"}
    mdf.write(path, contents, data, user=user)
    return path


@pytest.fixture
def source(tmp_path):
    return write(tmp_path / "scan.mdf")


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def stored(path):
    """What a file holds, without what must differ."""
    with mdf.open(path) as file:
        contents = file.contents()
    return {
        name: value
        for name, value in contents.items()
        if not name.endswith(("/dataConversionFactor", "/isBackgroundCorrected"))
    }


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The denoised scan of the plainest layout: harmonic, fitted to the part that is not held out."""
    path = write(tmp_path_factory.mktemp("plain") / "scan.mdf")
    return read_scan(denoise_file(path, method="harmonic").path)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_output_has_the_layout_of_the_input(layout, tmp_path, expected):
    source = write(tmp_path / "scan.mdf", **LAYOUTS[layout])
    before = digest(source)
    result = denoise_file(source, method="harmonic")
    assert digest(source) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scan.harmonic.mdf", "scan.mdf"]
    assert result.path == tmp_path / "scan.harmonic.mdf"

    given, made = stored(source), stored(result.path)
    assert given.keys() == made.keys()
    for name, value in given.items():
        np.testing.assert_array_equal(made[name], value, err_msg=name)
    with h5py.File(source) as old, h5py.File(result.path) as new:
        assert new["/measurement/data"].shape == old["/measurement/data"].shape
        wanted = np.complex64 if LAYOUTS[layout].get("fourier") else np.float32
        assert new["/measurement/data"].dtype == wanted
        assert "dataConversionFactor" not in new["/acquisition/receiver"]
        assert new["/measurement/isBackgroundCorrected"][()] == 1
        assert old["/uuid"][()] != new["/uuid"][()]
        assert old["/version"][()] == new["/version"][()]

    scan = read_scan(result.path)
    np.testing.assert_array_equal(scan.foreground_index, np.flatnonzero(~BACKGROUND))
    np.testing.assert_array_equal(scan.background_index, np.flatnonzero(BACKGROUND))
    assert scan.corrections.background
    assert scan.repeats == read_scan(source).repeats == "both"
    if LAYOUTS[layout].get("selected"):
        lines = np.fft.rfft(scan.signal)
        np.testing.assert_array_equal(np.flatnonzero(scan.stored_lines), SELECTED)
        wanted = np.fft.rfft(expected.signal) * scan.stored_lines
        np.testing.assert_allclose(lines, wanted, atol=0.02 * np.abs(wanted).max())
        return
    tolerance = 5e-3 if LAYOUTS[layout].get("integers") else 1e-5
    np.testing.assert_allclose(scan.signal, expected.signal, atol=tolerance)
    np.testing.assert_allclose(scan.background, expected.background, atol=tolerance)


@pytest.mark.parametrize("background", ["subtract", "keep"])
def test_frames_are_written_where_they_were(tmp_path, background):
    """The mean of the repeats, one value for all foreground frames, in every layout."""
    source = write(tmp_path / "scan.mdf", permuted=True, last=True)
    done = denoise_file(source, method="average", parameters=(f"background={background}",))
    scan, given = read_scan(done.path), read_scan(source)
    np.testing.assert_array_equal(scan.signal, done.result.signal)
    np.testing.assert_array_equal(scan.background, done.result.background)
    assert scan.corrections.background is (background == "subtract") is done.result.without_background
    if background == "keep":
        for made, old in ((scan.signal, given.signal), (scan.background, given.background)):
            mean = np.broadcast_to(old.mean(axis=(0, 1), dtype=float), made.shape)
            np.testing.assert_allclose(made, mean, atol=1e-6)
        return
    assert np.abs(scan.background).max() < 0.3  # the same method, on empty frames without background


def test_nothing_is_subtracted_twice(source, tmp_path):
    once = denoise_file(source, method="average").path
    twice = denoise_file(once, method="average", output=tmp_path / "twice.mdf").path
    np.testing.assert_allclose(read_scan(twice).signal, read_scan(once).signal, atol=1e-6)
    with h5py.File(twice) as file:
        assert file["/measurement/isBackgroundCorrected"][()] == 1


def test_metadata_user_nodes_and_history(source, tmp_path):
    first = denoise_file(source, method="harmonic", parameters=("false_alarm=1e-5", "symmetry=off"), seed=4)
    second = denoise_file(first.path, method="average", output=tmp_path / "second.mdf", seed=5)
    with mdf.open(source) as old, mdf.open(second.path) as file:
        assert set(file.user_nodes()) >= set(old.user_nodes()) | {"/_mpikit"}
        np.testing.assert_array_equal(file.user_value("/_truth/_positions"), np.arange(6.0).reshape(2, 3))
        assert file.user_value("/measurement/_note") == "kept"
        assert file.user_value("/_mpikit/repeats") == "both"
        assert file.acquisition.num_averages == 5
        assert file.acquisition.start_time == old.acquisition.start_time
        np.testing.assert_array_equal(
            file.acquisition.receiver.transfer_function, old.acquisition.receiver.transfer_function
        )
        history = read_history(file.user_value("/_mpikit/history"))
        assert len({old.uuid, file.uuid}) == 2
    assert [record["command"] for record in history] == ["denoise", "denoise"]
    assert [record["options"]["method"] for record in history] == ["harmonic", "average"]
    assert [record["seed"] for record in history] == [4, 5]
    assert history[0]["inputs"] == {"scan.mdf": digest(source)}
    assert history[1]["inputs"] == {"scan.harmonic.mdf": digest(first.path)}
    assert history[0]["options"] == {
        "method": "harmonic",
        "background": "subtract",
        "band": 0,
        "false_alarm": 1e-5,
        "symmetry": "off",
        "repeats": "both",
    }
    assert history[0]["scores"] == score_table(first.result)
    assert [row["method"] for row in history[0]["scores"]] == ["noisy", "harmonic", "low-rank", "average"]
    assert (history[0]["distribution"], history[0]["device"]) == ("mpikit", "cpu")
    assert str(tmp_path) not in json.dumps(history)


@pytest.mark.parametrize(("part", "value"), [("signal", np.nan), ("signal", np.inf), ("background", np.nan)])
def test_values_that_are_no_numbers(tmp_path, part, value):
    source = write(tmp_path / "scan.mdf")
    frame = {"signal": 2, "background": 0}[part]
    with h5py.File(source, "r+") as file:
        file["/measurement/data"][frame, 1, 2, 7] = value
    words = rf"scan\.mdf: the {part} has a value that is no number, first in frame {frame} "
    with pytest.raises(InputError, match=words):
        denoise_file(source, method="harmonic")
    assert [path.name for path in tmp_path.iterdir()] == ["scan.mdf"]


def test_emptied_lines():
    """Closed form: a line is emptied where its power fell below a millionth, or into the rounding."""
    rng = np.random.default_rng(2)
    before = rng.normal(size=(5, 2, 3, 40)).astype(np.float32)
    gain = np.ones((3, 21))
    gain[0, [2, 5]] = 0
    gain[1, 7], gain[1, 8] = 0.9e-3, 1.1e-3
    after = np.fft.irfft(np.fft.rfft(before.astype(float)) * gain, n=40).astype(np.float32)
    np.testing.assert_array_equal(emptied_lines(before, after), gain < 1e-3)
    assert not emptied_lines(before, before).any()
    assert emptied_lines(before, 0 * before).all()


def test_emptied_lines_are_written_and_not_reconstructed(source, tmp_path):
    done = denoise_file(source, method="harmonic", parameters=("background=keep",))
    with mdf.open(done.path) as file:
        said = file.user_value(EMPTY_LINES)
    assert said.shape == (CHANNELS, LINES)
    spectra = np.abs(np.fft.rfft(read_scan(done.path).signal)).max(axis=(0, 1))
    np.testing.assert_array_equal(said != 0, spectra < 1e-4 * spectra.max())
    assert 0 < said.sum() < said.size
    kept = denoise_file(source, method="average").path
    with mdf.open(kept) as file:
        assert file.user_value(EMPTY_LINES) is None
    chained = denoise_file(done.path, method="average", output=tmp_path / "chain.mdf").path
    with mdf.open(chained) as file:
        np.testing.assert_array_equal(file.user_value(EMPTY_LINES), said)
