"""Periods of a frame: averaged to images, joined to longer ones, freed of leakage, alike in all files."""

from __future__ import annotations

import numpy as np
import pytest

import mdf
from mpikit.errors import InputError, UsageError
from mpikit.events import Finding, Warned, silent
from mpikit.reconstruct import Kaczmarz, read_system, reconstruct_file
from mpikit.reconstruct.reading import Reader
from mpikit.reconstruct.signals import correct_leakage
from mpikit.scan_file import EMPTY_LINES, STORED_LINES

from .conftest import BASE, CHANNELS, LINES, RATE, SAMPLES, VOXELS

ALL = {"min_frequency": 0.0, "snr_threshold": 0.0, "background": "none"}
OF_DATA = ("/measurement/data", "/acquisition/numFrames", "/acquisition/numPeriodsPerFrame")
LONG = 3 * SAMPLES // 2 + 1  # lines of three joined periods


def measured(pair, signal, empty=0, name="measurement.mdf", user=None, **changes):
    """A file in the time domain, signal (N, J, C, V); ``empty`` are flags, or the first so many frames."""
    frames, periods = signal.shape[:2]
    flags = np.arange(frames) < empty if np.isscalar(empty) else np.asarray(empty, bool)
    contents = {**BASE, "/measurement/isBackgroundFrame": flags}
    for path in ("gradient", "offsetField", "drivefield/strength", "drivefield/phase"):
        contents[f"/acquisition/{path}"] = np.repeat(BASE[f"/acquisition/{path}"], periods, axis=0)
    return pair._write(name, contents | changes, signal.astype(np.float32), user)


def calibrated(pair, values, name="system.mdf", *, samples=SAMPLES, **changes):
    """A calibration, values (VOXELS + 2, J, C, K or V) with two empty frames last."""
    with mdf.open(pair.calibration()) as file:
        contents = {path: value for path, value in file.contents().items() if path not in OF_DATA}
    if not np.iscomplexobj(values):
        contents["/measurement/isFourierTransformed"] = False
        contents["/measurement/isFastFrameAxis"] = False
    contents["/acquisition/receiver/numSamplingPoints"] = samples
    for path in ("gradient", "offsetField", "drivefield/strength", "drivefield/phase"):
        contents[f"/acquisition/{path}"] = np.repeat(BASE[f"/acquisition/{path}"], values.shape[1], axis=0)
    kind = np.complex64 if np.iscomplexobj(values) else np.float32
    return pair._write(name, contents | changes, values.astype(kind), None)


def read(measurement, calibration, tell=silent, empty=(), average_frames=False, **options):
    files = [mdf.open(path) for path in (measurement, calibration, *empty)]
    try:
        how = Kaczmarz(**{**ALL, **options})
        more = {"empty": files[2:], "average_frames": average_frames, "tell": tell}
        return read_system(files[0], files[1], how, **more)
    finally:
        for file in files:
            file.close()


def flat(spectra):
    """Rows (C K) of spectra (..., C, K)."""
    return spectra.reshape(*spectra.shape[:-2], -1)


@pytest.fixture
def signal(rng):
    """Five frames of six periods."""
    return rng.normal(size=(5, 6, CHANNELS, SAMPLES))


def test_periods_make_images_of_their_own(pair, signal):
    """Every two periods: three images of a frame, one after the other."""
    events = []
    system = read(measured(pair, signal, 1), pair.calibration(), tell=events.append, period_averages=2)
    means = np.fft.rfft(signal[1:]).reshape(4, 3, 2, CHANNELS, LINES).mean(axis=2)
    np.testing.assert_allclose(system.data.T, flat(means).reshape(12, -1), atol=1e-4)
    assert system.frames.tolist() == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
    said = [event.text for event in events if isinstance(event, Finding) and event.name == "periods"]
    assert said == ["each frame makes 3 images, of its periods one after the other"]
    whole = read(measured(pair, signal, 1), pair.calibration())
    np.testing.assert_allclose(whole.data.T, flat(np.fft.rfft(signal[1:]).mean(axis=1)), atol=1e-4)
    assert whole.frames.tolist() == [1, 2, 3, 4]


def test_frames_and_periods_are_averaged_together(pair, signal):
    """Images of two frames each, the last of one; an image has one column of each of its frames."""
    file = measured(pair, signal)
    system = read(file, pair.calibration(), period_averages=3, frame_averages=2)
    spectra = np.fft.rfft(signal).reshape(5, 2, 3, CHANNELS, LINES).mean(axis=2)
    means = [spectra[first : first + 2].mean(axis=0) for first in (0, 2, 4)]
    np.testing.assert_allclose(system.data.T, flat(np.concatenate(means)), atol=1e-4)
    assert system.frames.tolist() == [0, 0, 2, 2, 4, 4]
    system = read(file, pair.calibration(), period_averages=3, average_frames=True)
    np.testing.assert_allclose(system.data.T, flat(spectra.mean(axis=0)), atol=1e-4)
    assert len(system.frames) == 0


@pytest.mark.parametrize("averages", [1, 2, None])
def test_joined_periods_have_the_lines_of_a_longer_one(pair, rng, averages):
    """The calibration has periods three times as long."""
    signal = rng.normal(size=(3, 12, CHANNELS, SAMPLES))
    matrix = rng.normal(size=(VOXELS + 2, 1, CHANNELS, LONG)) + 0j
    system = calibrated(pair, matrix, samples=3 * SAMPLES)
    found = read(measured(pair, signal), system, period_grouping=3, period_averages=averages)
    joined = np.swapaxes(signal.reshape(3, 4, 3, CHANNELS, SAMPLES), 2, 3).reshape(
        3, 4, CHANNELS, 3 * SAMPLES
    )
    wanted = np.fft.rfft(joined).reshape(3, -1, averages or 4, CHANNELS, LONG).mean(axis=2)
    np.testing.assert_allclose(found.data.T, flat(wanted).reshape(-1, CHANNELS * LONG), atol=2e-4)
    np.testing.assert_allclose(found.matrix.T, flat(matrix[:VOXELS, 0]), rtol=1e-6)
    assert found.rows.lines.tolist() == list(range(LONG)) * CHANNELS
    assert found.frames.tolist() == np.repeat([0, 1, 2], 4 // (averages or 4)).tolist()


def test_joined_periods_that_are_equal_fill_every_third_line(pair, rng):
    signal = np.repeat(rng.normal(size=(2, 1, CHANNELS, SAMPLES)), 6, axis=1)
    matrix = np.ones((VOXELS + 2, 1, CHANNELS, LONG), complex)
    system = calibrated(pair, matrix, samples=3 * SAMPLES)
    found = read(measured(pair, signal), system, period_grouping=3)
    lines = found.data.T.reshape(2, CHANNELS, LONG)
    np.testing.assert_allclose(lines[..., ::3], 3 * np.fft.rfft(signal[:, 0]), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(lines[..., np.arange(LONG) % 3 != 0], 0, atol=1e-4)


@pytest.mark.parametrize("domain", ["time", "frequency"])
def test_both_files_are_grouped_when_their_periods_are_as_long(pair, signal, rng, domain):
    """The matrix has three periods, the measurement twice three."""
    known = rng.normal(size=(VOXELS + 2, 3, CHANNELS, SAMPLES))
    stored = known if domain == "time" else np.fft.rfft(known)
    events = []
    system = calibrated(pair, stored)
    found = read(measured(pair, signal), system, tell=events.append, period_grouping=3)
    joined = np.fft.rfft(np.swapaxes(known, 1, 2).reshape(VOXELS + 2, CHANNELS, 3 * SAMPLES))
    np.testing.assert_allclose(found.matrix.T, flat(joined[:VOXELS]), atol=2e-4)
    long = np.swapaxes(signal.reshape(5, 2, 3, CHANNELS, SAMPLES), 2, 3).reshape(5, 2, CHANNELS, -1)
    np.testing.assert_allclose(found.data.T, flat(np.fft.rfft(long).mean(axis=1)), atol=2e-4)
    said = [event.text for event in events if isinstance(event, Finding) and event.name == "grouping"]
    assert said == [
        "every 3 periods are joined to one of 180 samples, in measurement measurement.mdf, "
        "system matrix system.mdf"
    ]


def test_rows_are_chosen_on_the_lines_of_joined_periods(pair, signal, rng):
    """By frequency, by the SNR of the long calibration, and by mixing order: lines of one period alone."""
    snr = np.zeros((1, CHANNELS, LONG))
    snr[0, 0, [7, 40]], snr[0, 1, [9, 60]] = 5, 6
    matrix = rng.normal(size=(VOXELS + 2, 1, CHANNELS, LONG)) + 0j
    system = calibrated(pair, matrix, samples=3 * SAMPLES, **{"/calibration/snr": snr})
    file = measured(pair, signal)
    found = read(file, system, period_grouping=3, snr_threshold=2, min_frequency=8 * RATE / 180)
    assert found.rows.channels.tolist() == [0, 1, 1]
    assert found.rows.lines.tolist() == [40, 9, 60]
    spectra = np.fft.rfft(
        np.swapaxes(signal.reshape(5, 2, 3, CHANNELS, -1), 2, 3).reshape(5, 2, CHANNELS, -1)
    )
    wanted = spectra.mean(axis=1)[:, [0, 1, 1], [40, 9, 60]]
    np.testing.assert_allclose(found.data.T, wanted, atol=2e-4)
    orders = read(file, system, period_grouping=3, max_mixing_order=3)
    single = read(file, pair.calibration(), max_mixing_order=3)
    assert orders.rows.lines.tolist() == (3 * single.rows.lines).tolist()


def test_the_snr_of_joined_periods_is_computed(pair, signal, rng):
    known = rng.normal(size=(VOXELS + 4, 3, CHANNELS, SAMPLES))
    flags = {"/measurement/isBackgroundFrame": np.arange(VOXELS + 4) >= VOXELS}
    own = {"/calibration/snr": np.ones((3, CHANNELS, LINES))}  # of single periods: it says nothing here
    system = calibrated(pair, known, **flags, **own)
    joined = np.fft.rfft(np.swapaxes(known, 1, 2).reshape(VOXELS + 4, 1, CHANNELS, 3 * SAMPLES))
    snr = mdf.snr.signal_to_noise(joined[:VOXELS], joined[VOXELS:])[0]
    events = []
    best = read(measured(pair, signal), system, tell=events.append, period_grouping=3, best=5).rows
    strongest = np.sort(np.argsort(snr.ravel())[-5:])
    assert (best.channels * LONG + best.lines).tolist() == strongest.tolist()
    warned = [event.text for event in events if isinstance(event, Warned)]
    assert warned == [
        "system.mdf stores no SNR of grouped periods, it is computed from its background frames"
    ]


def test_the_receive_chain_of_joined_periods_lies_between_its_lines(pair, signal, rng):
    chain = np.exp(0.2j * np.arange(LINES)) * np.array([[1.0], [2.0]])
    long = np.array([np.interp(np.arange(LONG) / 3, np.arange(LINES), row) for row in chain])
    matrix = rng.normal(size=(VOXELS + 2, 1, CHANNELS, LONG)) + 0j
    path = "/acquisition/receiver/transferFunction"
    plain = read(measured(pair, signal), calibrated(pair, matrix, samples=3 * SAMPLES), period_grouping=3)
    system = calibrated(pair, matrix, samples=3 * SAMPLES, **{path: long})
    divided = read(measured(pair, signal, **{path: chain}), system, period_grouping=3)
    np.testing.assert_allclose(divided.data, plain.data / long.ravel()[:, None], atol=2e-4)
    np.testing.assert_allclose(divided.matrix, plain.matrix / long.ravel()[:, None], rtol=1e-5, atol=1e-6)


def test_lines_beside_an_emptied_one_are_left_out(pair, signal):
    emptied = np.zeros((CHANNELS, LINES))
    emptied[1, 4] = 1
    matrix = np.ones((VOXELS + 2, 1, CHANNELS, LONG), complex)
    system = calibrated(pair, matrix, samples=3 * SAMPLES)
    rows = read(measured(pair, signal, user={EMPTY_LINES: emptied}), system, period_grouping=3).rows
    missing = np.setdiff1d(np.arange(CHANNELS * LONG), rows.channels * LONG + rows.lines)
    assert missing.tolist() == (LONG + np.arange(10, 15)).tolist()
    assert rows.removed["emptied by denoising"] == 5


def test_periods_that_cannot_be_taken_together(pair, signal):
    file, short = measured(pair, signal), pair.calibration("short.mdf")
    matrix = np.ones((VOXELS + 2, 1, CHANNELS, LONG), complex)
    long = calibrated(pair, matrix, "long.mdf", samples=3 * SAMPLES)
    with pytest.raises(UsageError, match=r"measurement.mdf has 6 periods in a frame, .* taken 4 at a time"):
        read(file, short, period_averages=4)
    with pytest.raises(UsageError, match="taken 4 at a time of 3 grouped ones"):
        read(file, long, period_grouping=3, period_averages=4)
    with pytest.raises(UsageError, match=r"short.mdf has 1 periods in a frame"):
        read(file, short, period_grouping=3)
    with pytest.raises(InputError, match=r"60, 180 samples in a period \(2 are grouped\)"):
        read(file, long, period_grouping=2)
    with pytest.raises(InputError, match=r"60, 180 samples in a period$"):
        read(file, long)


def test_periods_of_files_that_lack_frequencies_are_not_joined(pair, signal):
    partly = measured(pair, signal, user={STORED_LINES: (np.arange(LINES) != 5).astype(np.int8)})
    matrix = np.ones((VOXELS + 2, 1, CHANNELS, LONG), complex)
    system = calibrated(pair, matrix, samples=3 * SAMPLES)
    with pytest.raises(InputError, match="has only some frequencies, and periods are grouped"):
        read(partly, system, period_grouping=3)


def test_patches_are_neither_grouped_nor_images_of_their_own(pair, signal):
    offset = np.zeros((6, 1, 3))
    offset[3:, 0, 0] = 0.004
    patches = measured(pair, signal, **{"/acquisition/offsetField": offset})
    for how in ({"period_averages": 3}, {"period_grouping": 3}):
        with pytest.raises(UsageError, match="are patches"):
            read(patches, pair.calibration(), **how)


@pytest.mark.parametrize("grouping", [1, 3])
def test_a_drift_is_interpolated_at_the_time_of_each_period(pair, rng, grouping):
    """Two empty frames, three with the object, one empty: a linear drift goes without a rest."""
    frames, periods = 6, 6
    flags = [True, True, False, False, False, True]
    drift, level = rng.normal(size=(2, CHANNELS, SAMPLES))
    long = np.arange(frames * periods) // grouping  # it is the same within joined periods
    drifting = level + long.reshape(frames, periods, 1, 1) * drift
    thing = rng.normal(size=(CHANNELS, SAMPLES))
    signal = drifting + np.where(flags, 0.0, 1.0).reshape(-1, 1, 1, 1) * thing
    matrix = np.ones((VOXELS + 2, 1, CHANNELS, grouping * SAMPLES // 2 + 1), complex)
    system = calibrated(
        pair, matrix, samples=grouping * SAMPLES, **{"/measurement/isBackgroundCorrected": True}
    )
    how = {
        "background": "interpolated",
        "period_grouping": grouping,
        "period_averages": 2 if grouping == 1 else 1,
    }
    found = read(measured(pair, signal, flags), system, **how)
    wanted = flat(np.fft.rfft(np.tile(thing, grouping)))
    assert found.data.shape[1] == (9 if grouping == 1 else 6)
    np.testing.assert_allclose(found.data.T, np.broadcast_to(wanted, found.data.T.shape), atol=2e-4)


def test_external_empty_files_are_read_as_the_measurement_is(pair, rng):
    """Grouped, averaged and freed of leakage alike: then its own empty frames say the same."""
    signal = rng.normal(size=(7, 6, CHANNELS, SAMPLES))
    matrix = np.ones((VOXELS + 2, 1, CHANNELS, LONG), complex)
    system = calibrated(pair, matrix, samples=3 * SAMPLES, **{"/measurement/isBackgroundCorrected": True})
    how = {"background": "static", "period_grouping": 3, "period_averages": 1, "leakage": True}
    own = read(measured(pair, signal, 3), system, **how)
    empty = measured(pair, signal[:3], 0, name="empty.mdf")
    external = read(measured(pair, signal[3:], 0, name="object.mdf"), system, empty=[empty], **how)
    np.testing.assert_allclose(external.data, own.data, atol=2e-4)
    np.testing.assert_allclose(external.noise, own.noise, rtol=1e-4)


@pytest.mark.parametrize("bounded", [False, True])
def test_frames_are_freed_of_leakage_beside_their_like(pair, rng, bounded, monkeypatch):
    """Neighbours are frames of one kind that follow each other, also across parts of a file."""
    if bounded:
        monkeypatch.setattr("mpikit.reconstruct.reading.MEMORY", 1)
    signal = rng.normal(size=(9, 1, CHANNELS, SAMPLES))
    flags = np.array([1, 1, 0, 0, 0, 1, 1, 0, 0], bool)
    system = pair.calibration(**{"/measurement/isBackgroundCorrected": True})
    events = []
    file = measured(pair, signal, flags)
    found = read(file, system, tell=events.append, leakage=True, background="static")
    runs = [correct_leakage(signal[part]) for part in np.split(np.arange(9), [2, 5, 7])]
    spectra = flat(np.fft.rfft(np.concatenate(runs))[:, 0])
    wanted = spectra[~flags] - spectra[flags].mean(axis=0)
    np.testing.assert_allclose(found.data.T, wanted, atol=1e-4)
    said = [event.text for event in events if isinstance(event, Finding) and event.name == "leakage"]
    assert len(said) == 1
    assert "measurement measurement.mdf: each period is mixed" in said[0]
    assert "correlated" in said[0]
    with mdf.open(file) as opened:
        one = Reader(opened, leakage=True).spectra(np.array([3]))
    np.testing.assert_allclose(flat(one[:, 0]), spectra[[3]], atol=1e-4)


def test_a_frame_without_a_neighbour_of_its_kind(pair, rng):
    signal = rng.normal(size=(4, 1, CHANNELS, SAMPLES))
    file = measured(pair, signal, [True, False, False, False])
    with pytest.raises(InputError, match="a frame has no neighbour"):
        read(file, pair.calibration(), leakage=True, background="static")


def test_files_of_different_leakage_are_said(pair, rng):
    signal = rng.normal(size=(4, 1, CHANNELS, SAMPLES))
    done = measured(pair, signal, **{"/measurement/isSpectralLeakageCorrected": True})
    empty = measured(pair, signal, name="empty.mdf")
    events = []
    system = pair.calibration()
    read(done, system, tell=events.append, empty=[empty], background="static")
    warned = [event.text for event in events if isinstance(event, Warned)]
    assert warned == [
        "spectral leakage is corrected already in measurement measurement.mdf, but not in empty measurement "
        "empty.mdf"
    ]
    events.clear()
    read(done, system, tell=events.append, empty=[empty], background="static", leakage=True)
    assert not [event for event in events if isinstance(event, Warned)]


def test_images_of_periods_in_a_file(pair, signal, tmp_path):
    """The command line's own function: frames, times and pictures of images that share a frame."""
    result = reconstruct_file(
        measured(pair, signal, 2),
        system_matrix=pair.calibration(**{"/measurement/isBackgroundCorrected": True}),
        output=tmp_path / "image.npz",
        period_averages=3,
        min_frequency=0.0,
        snr_threshold=0.0,
        overwrite=True,
    )
    assert result.images.frames.tolist() == [2, 2, 3, 3, 4, 4]
    with np.load(result.output, allow_pickle=False) as file:
        assert file["images"].shape[0] == 6
        assert file["frame_interval"] == pytest.approx(3 * SAMPLES / RATE)


def test_single_columns_of_an_image_are_those_of_its_mean(pair, signal):
    how = {"uncertainty": "bootstrap", "period_averages": 3, "frame_averages": 2}
    system = read(measured(pair, signal[:4]), pair.calibration(), **how)
    means = np.stack([system.single.data[:, part].mean(axis=1) for part in system.single.groups], axis=1)
    np.testing.assert_allclose(means, system.data, atol=1e-5)
    assert system.data.shape[1] == 4
    with pytest.raises(UsageError, match="2 frames are averaged, and fewer for the last images"):
        read(measured(pair, signal), pair.calibration(), **how)
