"""The verbs of a notebook: the same numbers as the commands, in memory."""

from __future__ import annotations

import gc
import inspect
import pickle
import subprocess
import sys
import types
from dataclasses import replace

import numpy as np
import pytest

import mdf
import mpikit
from mpikit.denoise_file import denoise_file
from mpikit.errors import InputError, PluginError, UsageError
from mpikit.notebook import DenoisedScan, ReconstructedImages, SimulatedScan
from mpikit.provenance import HISTORY, read_history
from mpikit.reconstruct import reconstruct_file
from mpikit.scan_file import read_scan
from mpikit.simulate import How, Subject, preset, requested, simulate_calibration_file, simulate_file

SIZE, FRAMES, EMPTY = (7, 5), 6, 4
NOISE = "gaussian:snr_db=15"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A scan, its clean signals, and a system matrix."""
    folder, scanner = tmp_path_factory.mktemp("files"), preset("openmpi-2d")
    phantom, frames = requested(scanner, Subject(size=SIZE, frames=FRAMES), seed=3)
    simulate_file(
        scanner,
        folder / "scan.mdf",
        phantom=phantom,
        frames=frames,
        background_frames=EMPTY,
        noise=[NOISE],
        clean=folder / "clean.mdf",
        how=How(seed=3),
    )
    simulate_calibration_file(scanner, folder / "sm.mdf", grid=scanner.calibration.grid(SIZE, ()))
    return folder


@pytest.fixture(scope="module")
def simulated():
    return mpikit.simulate(
        "openmpi-2d", noise=NOISE, background_frames=EMPTY, seed=3, frames=FRAMES, size=SIZE
    )


@pytest.mark.parametrize(
    "before", ["", "import mpikit.{verb}", "from mpikit.{verb} import *; import mpikit.demo"]
)
def test_a_verb_is_a_module_too_whatever_is_imported_first(before):
    verbs = ("compare", "denoise", "reconstruct", "simulate")
    code = "import importlib, inspect, sys\n" + "\n".join(
        f"""
{before.format(verb=verb)}
import mpikit
assert callable(mpikit.{verb})
import mpikit.{verb} as module
assert module is sys.modules["mpikit.{verb}"] is mpikit.{verb} is importlib.import_module("mpikit.{verb}")
assert inspect.ismodule(module) and module.__file__
import mpikit.notebook
assert inspect.signature(mpikit.{verb}) == inspect.signature(mpikit.notebook.{verb})
importlib.reload(module)
assert callable(mpikit.{verb})
"""
        for verb in verbs
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert not done.stderr


def test_only_verbs_are_called():
    import mpikit.scan

    assert type(mpikit.scan) is types.ModuleType
    assert not callable(mpikit.scan)


def test_a_verb_travels_to_other_processes():
    assert pickle.loads(pickle.dumps(mpikit.denoise)) is mpikit.denoise  # noqa: S301
    assert inspect.signature(mpikit.denoise).parameters["method"].default == "auto"


def test_load_gives_what_the_file_holds(folder, tmp_path):
    scan = mpikit.load(folder / "scan.mdf")
    expected = read_scan(folder / "scan.mdf")
    assert type(scan) is mpikit.Scan
    np.testing.assert_array_equal(scan.signal, expected.signal)
    assert scan.about["/scanner/topology"] == "FFP"
    assert [each["command"] for each in read_history(scan.about[HISTORY])] == ["simulate"]
    with mpikit.load(folder / "sm.mdf") as matrix:
        assert matrix.system_matrix.shape == (1, 2, 817, 35)
    made = reconstruct_file(
        folder / "scan.mdf",
        system_matrix=folder / "sm.mdf",
        output=tmp_path / "image.mdf",
        iterations=2,
        lambda_=0.1,
    )
    images = mpikit.load(str(made.output))
    assert type(images) is mpikit.Images
    np.testing.assert_array_equal(images.values, made.images.values)
    assert images.values.shape == (FRAMES, 1, *SIZE[::-1])
    assert images.tracers == ()
    assert read_history(images.history)[-1]["command"] == "reconstruct"


def test_load_takes_repeats_of_a_measurement_alone(folder):
    assert mpikit.load(folder / "scan.mdf", repeats="none").repeats == "none"
    with pytest.raises(UsageError, match="system matrix, in which nothing repeats"):
        mpikit.load(folder / "sm.mdf", repeats="frames")
    with pytest.raises(UsageError, match="nothing repeats that way"):
        mpikit.load(folder / "scan.mdf", repeats="periods")


def test_what_cannot_be_loaded(tmp_path):
    with pytest.raises(mdf.MdfError, match=r"absent\.mdf"):
        mpikit.load(tmp_path / "absent.mdf")
    (tmp_path / "words.mdf").write_text("words")
    with pytest.raises(mdf.MdfError, match=r"words\.mdf"):
        mpikit.load(tmp_path / "words.mdf")


@pytest.mark.parametrize(("method", "options"), [("harmonic", {"symmetry": "off"}), ("auto", {})])
def test_denoise_gives_the_signals_of_the_command(folder, tmp_path, method, options):
    texts = tuple(f"{name}={value}" for name, value in options.items())
    written = denoise_file(
        folder / "scan.mdf", method=method, parameters=texts, seed=5, output=tmp_path / "out.mdf"
    )
    for given in (folder / "scan.mdf", mpikit.load(folder / "scan.mdf")):
        scan = mpikit.denoise(given, method, seed=5, **options)
        assert isinstance(scan, DenoisedScan)
        np.testing.assert_array_equal(scan.signal, written.result.signal)
        np.testing.assert_array_equal(scan.background, written.result.background)
        assert scan.corrections.background is written.result.without_background
        assert scan.scores[0]["method"] == "noisy"
        assert scan.scores[1]["snr_db"] > scan.scores[0]["snr_db"]
        assert (scan.choice is None) is (method != "auto")
    stored = read_scan(tmp_path / "out.mdf")
    np.testing.assert_allclose(stored.signal, scan.signal, atol=1e-6 * np.abs(scan.signal).max())
    assert stored.corrections == scan.corrections


def test_what_denoise_refuses(folder):
    with pytest.raises(InputError, match="calibration"):
        mpikit.denoise(folder / "sm.mdf")
    with mpikit.load(folder / "sm.mdf") as matrix, pytest.raises(InputError, match="calibration"):
        mpikit.denoise(matrix)
    for call in (mpikit.denoise, mpikit.compare, mpikit.reconstruct):
        with pytest.raises(UsageError, match="int is no measurement and no file"):
            call(3)
    with pytest.raises(PluginError, match="'harmonik'"):
        mpikit.denoise(folder / "scan.mdf", "harmonik")
    with pytest.raises(UsageError, match="symetry"):
        mpikit.denoise(folder / "scan.mdf", "harmonic", symetry="off")


def test_a_denoised_scan_is_no_fresh_one(simulated):
    denoised = mpikit.denoise(simulated, "harmonic")
    history = read_history(denoised.about[HISTORY])
    assert [each["command"] for each in history] == ["simulate", "denoise"]
    assert history[-1]["options"]["method"] == "harmonic"
    with pytest.warns(UserWarning) as caught:  # noqa: PT030 - the scan gives reason for others too
        mpikit.denoise(denoised, "harmonic")
    assert any("was denoised before" in str(each.message) for each in caught)
    heard = []
    mpikit.denoise(denoised, "harmonic", tell=heard.append)
    assert any("denoised before" in getattr(event, "text", "") for event in heard)


@pytest.mark.parametrize("method", [None, "harmonic"])
def test_reconstruct_gives_the_images_of_the_command(folder, tmp_path, method):
    """A scan in memory loses nothing that the image depends on, denoised or not."""
    source, scan = folder / "scan.mdf", mpikit.load(folder / "scan.mdf")
    if method:
        source = denoise_file(source, method=method, output=tmp_path / "denoised.mdf").path
        scan = mpikit.denoise(scan, method)
    options = {"iterations": 3, "lambda_": 0.2}
    expected = reconstruct_file(
        source, system_matrix=folder / "sm.mdf", output=tmp_path / "image.mdf", **options
    )
    with mpikit.load(folder / "sm.mdf") as matrix:
        for given, system_matrix in ((source, str(folder / "sm.mdf")), (scan, matrix), (scan, [matrix])):
            images = mpikit.reconstruct(given, system_matrix, **options)
            assert isinstance(images, ReconstructedImages)
            size = np.abs(expected.images.values).max()
            np.testing.assert_allclose(images.values, expected.images.values, atol=1e-4 * size)
            assert images.figures["rows"] == expected.figures["rows"]
            assert images.grid.size.tolist() == [*SIZE, 1]
            assert images.frame_interval == pytest.approx(1632 / 2.5e6)
    commands = [each["command"] for each in read_history(images.history)]
    assert commands == ["simulate", *(["denoise"] if method else []), "reconstruct"]


def test_reconstruct_leaves_no_file(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mpikit.reconstruct(folder / "scan.mdf", folder / "sm.mdf", iterations=1, lambda_=0.1, average_frames=True)
    assert not list(tmp_path.iterdir())
    with pytest.raises(UsageError, match="needs a system matrix"):
        mpikit.reconstruct(folder / "scan.mdf")


def test_a_standard_deviation_is_beside_the_images(folder):
    images = mpikit.reconstruct(
        folder / "scan.mdf", folder / "sm.mdf", iterations=1, lambda_=0.1, uncertainty="auto"
    )
    assert images.deviation.values.shape[1:] == images.values.shape[1:]
    assert images.deviation.values.max() > 0


def test_simulate_gives_the_scan_of_the_command(folder, simulated):
    stored = read_scan(folder / "scan.mdf")
    assert isinstance(simulated, SimulatedScan)
    np.testing.assert_allclose(simulated.signal, stored.signal, atol=1e-6 * np.abs(stored.signal).max())
    np.testing.assert_allclose(
        simulated.background, stored.background, atol=1e-6 * np.abs(stored.signal).max()
    )
    np.testing.assert_array_equal(simulated.foreground_index, stored.foreground_index)
    clean = read_scan(folder / "clean.mdf", repeats="none")
    np.testing.assert_allclose(simulated.clean, clean.signal, atol=1e-6 * np.abs(clean.signal).max())
    assert simulated.phantom.images.shape == (1, 1, *SIZE[::-1])
    assert (simulated.repeats, simulated.unit) == (stored.repeats, "V")


def test_simulate_shows_a_parameter_and_no_noise():
    quiet = mpikit.simulate("openmpi-2d", noise=(), frames=2, size=SIZE, periods=3)
    assert quiet.signal.shape == quiet.clean.shape == (2, 3, 2, 1632)
    np.testing.assert_array_equal(quiet.signal[0], quiet.signal[1])
    slow = mpikit.simulate(
        "openmpi-2d", noise=(), frames=2, size=SIZE, parameters=["particle.relaxation_time=2e-6"]
    )
    assert not np.allclose(slow.clean, quiet.clean[:, :1], atol=1e-3 * np.abs(quiet.clean).max())


def test_what_simulate_refuses():
    with pytest.raises(UsageError, match="phantm") as caught:
        mpikit.simulate("openmpi-2d", phantm="smile")
    assert "phantom" in caught.value.hint
    with pytest.raises(UsageError, match="dahms2026 makes several files"):
        mpikit.simulate("dahms2026")
    with pytest.raises(UsageError, match="this one is made"):
        mpikit.simulate(preset("openmpi-2d"), parameters=["particle.relaxation_time=2e-6"])
    with pytest.raises(PluginError, match="gausian"):
        mpikit.simulate("openmpi-2d", noise="gausian")


def test_compare_takes_files_and_scans(folder, simulated):
    options = {"harmonic": {"symmetry": "off"}}
    loaded = mpikit.load(folder / "scan.mdf")
    methods = ("harmonic", "low-rank")
    tables = [mpikit.compare(each, methods, options=options) for each in (folder / "scan.mdf", loaded)]
    rows = [{row.method: row.score.figures.snr_db for row in each.rows} for each in tables]
    assert rows[0] == rows[1]
    assert set(rows[0]) == {"harmonic", "low-rank"}
    harmonic = next(row for row in tables[0].rows if row.method == "harmonic")
    assert harmonic.options.symmetry == "off"
    found = mpikit.compare(simulated, "harmonic", reference=simulated.clean)
    by_file = mpikit.compare(simulated, "harmonic", reference=folder / "clean.mdf")
    assert found.rows[0].true.gain.mean > 3
    assert by_file.rows[0].true.gain.mean == pytest.approx(found.rows[0].true.gain.mean, abs=1e-3)


def test_no_method_sees_the_truth(simulated, installed):
    installed(
        "peeker",
        """
from mpikit import Denoiser, StatelessMethod, hookimpl

class Peek(StatelessMethod):
    def fit(self, scans, /, *, run):
        assert not [scan for scan in scans if hasattr(scan, "clean")], "clean signals"

    def denoise(self, scan, /, *, run):
        assert not hasattr(scan, "clean"), "clean signals"
        return scan.signal.copy()

@hookimpl
def mpikit_denoisers():
    yield Denoiser(name="peek", summary="Looks for clean signals", build=lambda options: Peek())
""",
    )
    assert mpikit.denoise(simulated, "peek").method == "peek"
    table = mpikit.compare(simulated, ["peek"], reference=simulated.clean)
    assert [row.error for row in table.rows] == [""]


def test_what_compare_refuses(simulated):
    with pytest.raises(InputError, match="reference has the shape"):
        mpikit.compare(simulated, ["harmonic"], reference=simulated.clean[:2])
    alone = replace(simulated, repeats="none")
    with pytest.raises(InputError, match="cannot be judged by itself: nothing in it was measured twice"):
        mpikit.compare(alone, ["harmonic"])
    with pytest.raises(UsageError, match="none of the methods to compare"):
        mpikit.compare(simulated, ["harmonic"], options={"low-rank": {"rank": 3}})


def test_what_a_file_says_survives_the_memory(folder, tmp_path):
    """Through `load` and `to_mdf` signals, sequence, scanner, tracer and history stay."""
    scan = mpikit.load(folder / "scan.mdf")
    assert scan.to_mdf(tmp_path / "again.mdf") == tmp_path / "again.mdf"
    again = mpikit.load(tmp_path / "again.mdf")
    np.testing.assert_array_equal(again.signal, scan.signal)
    np.testing.assert_array_equal(again.background, scan.background)
    assert again.about[HISTORY] == scan.about[HISTORY]
    with mdf.open(folder / "scan.mdf") as one, mdf.open(tmp_path / "again.mdf") as other:
        for name in ("/study/name", "/scanner/topology", "/tracer/concentration"):
            assert one.value(name) == other.value(name)
    assert not [problem for problem in mdf.validate(tmp_path / "again.mdf") if problem.severity == "error"]
    with pytest.raises(InputError, match="exists already"):
        scan.to_mdf(tmp_path / "again.mdf")
    bare = replace(scan, about={})
    bare.to_mdf(tmp_path / "bare.mdf")
    assert mpikit.load(tmp_path / "bare.mdf").about["/scanner/topology"] == "n.a."


def test_a_transfer_function_survives_the_memory(samples, tmp_path):
    source = samples / "multipatch-measurement.mdf"
    scan = mpikit.load(source)
    scan.to_mdf(tmp_path / "again.mdf")
    with mdf.open(source) as one, mdf.open(tmp_path / "again.mdf") as other:
        known = one.acquisition.receiver.transfer_function
        assert known is not None
        np.testing.assert_array_equal(known, other.acquisition.receiver.transfer_function)
    np.testing.assert_array_equal(mpikit.load(tmp_path / "again.mdf").signal, scan.signal)


def test_simulate_makes_a_calibration_for_reconstruct(folder):
    with mdf.open(folder / "sm.mdf") as file:
        expected = file.read_signal()
    matrix = mpikit.simulate("openmpi-2d", calibration=True, size=SIZE)
    place = matrix.path.parent
    np.testing.assert_array_equal(matrix.read_signal(), expected)
    options = {"iterations": 2, "lambda_": 0.1}
    images = mpikit.reconstruct(folder / "scan.mdf", matrix, **options)
    np.testing.assert_array_equal(
        images.values, mpikit.reconstruct(folder / "scan.mdf", folder / "sm.mdf", **options).values
    )
    del matrix
    gc.collect()
    assert not place.exists()


def test_what_a_calibration_refuses(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for strange in ({"grid": "9x9"}, {"phantom": "smile"}, {"background_frames": 3}):
        with pytest.raises(UsageError, match=f"no '{next(iter(strange))}', expected size") as caught:
            mpikit.simulate("openmpi-2d", calibration=True, **strange)
        assert "size=(19, 19)" in caught.value.hint
    with pytest.raises(UsageError, match="called 'grid'") as caught:
        mpikit.simulate("openmpi-2d", grid="9x9")
    assert "size=" in caught.value.hint
    with pytest.raises(PluginError, match="gausian"):
        mpikit.simulate("openmpi-2d", calibration=True, size=SIZE, noise="gausian")
    assert not list(tmp_path.iterdir())


def test_images_in_memory_become_mdf_with_their_deviation(folder, tmp_path):
    images = mpikit.reconstruct(
        mpikit.load(folder / "scan.mdf"),
        folder / "sm.mdf",
        iterations=1,
        lambda_=0.1,
        average_frames=True,
        uncertainty="drawn",
    )
    images.to_mdf(tmp_path / "i.mdf")
    again = mpikit.load(tmp_path / "i.mdf")
    np.testing.assert_array_equal(again.shown[0], images.shown[0])
    assert (again.shown[1], again.concentration) == ("mmol/L", images.concentration)
    with mdf.open(tmp_path / "i.mdf") as file:
        assert file.user_value("/_mpikit/standardDeviation").shape == (1, SIZE[0] * SIZE[1], 1)
        assert file.scanner.topology == "FFP"


def test_nothing_is_drawn_for_images_in_memory(folder, monkeypatch):
    def fail(*_args, **_more):
        raise AssertionError

    monkeypatch.setattr("mpikit.reconstruct.files.save_images", fail)
    monkeypatch.setattr("mpikit.reconstruct.writing.save_choice", fail)
    monkeypatch.setattr("mpikit.reconstruct.beside.save_images", fail)
    images = mpikit.reconstruct(
        folder / "scan.mdf",
        folder / "sm.mdf",
        iterations=1,
        lambda_="gcv",
        average_frames=True,
        tell=lambda _event: None,
    )
    assert images.values.shape == (1, 1, *SIZE[::-1])
