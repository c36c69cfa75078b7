"""Several tracers: random matrices whose joint system is known, and simulated particles of two sizes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import mdf
from mpikit.cli import app
from mpikit.errors import InputError, UsageError
from mpikit.events import Finding, Warned, silent
from mpikit.reconstruct import Images, Kaczmarz, Rows, contrasts, kaczmarz, read_system, reconstruct_file
from mpikit.reconstruct.contrasts import common_rows
from mpikit.reconstruct.files import rerun_file
from mpikit.reconstruct.options import make_options
from mpikit.reconstruct.outputs import write_images
from mpikit.reconstruct.pair import data_of_pair
from mpikit.reconstruct.solvers import TotalVariation
from mpikit.reconstruct.solvers.each import Each
from mpikit.reconstruct.solving import solve
from mpikit.reconstruct.stored import TRACERS
from mpikit.simulate import Phantom, preset, simulate_calibration_file, simulate_file

from .conftest import LINES, VOXELS

ALL = {"min_frequency": 0.0, "snr_threshold": 0.0}


def tracer(name, concentration=0.1):
    words = {"name": name, "batch": "1", "vendor": "nobody", "solute": "Fe"}
    numbers = {"concentration": concentration, "volume": 1e-6}
    return {f"/tracer/{key}": np.array([value]) for key, value in (words | numbers).items()}


@pytest.fixture
def colours(pair, rng):
    """A measurement of two tracers, their two calibrations, the joint matrix and the images (Q, S, P)."""
    first, own = pair.matrix, pair.images
    second = rng.normal(size=first.shape) + 1j * rng.normal(size=first.shape)
    second[..., [0, -1]] = second[..., [0, -1]].real
    other = np.zeros((3, VOXELS))
    other[[0, 1, 2], [2, 14, 6]] = 0.5, 1.0, 0.3
    one = pair.calibration("one.mdf", **tracer("round"))
    pair.matrix = second
    two = pair.calibration("two.mdf", **tracer("square", 0.2))
    pair.matrix, pair.images = np.concatenate([first, second]), np.concatenate([own, other], axis=1)
    measurement = pair.measurement()
    joint = pair.matrix.reshape(2 * VOXELS, -1).T
    return measurement, [one, two], joint, np.stack([own, other], axis=1)


def read(measurement, paths, *, kind=Kaczmarz, tell=silent, **options):
    files = [mdf.open(path) for path in (measurement, *paths)]
    try:
        return read_system(files[0], files[1:], kind(**{**ALL, **options}), tell=tell)
    finally:
        for file in files:
            file.close()


def test_the_matrices_stand_side_by_side(colours):
    measurement, paths, joint, images = colours
    told = []
    system = read(measurement, paths, tell=told.append)
    assert system.tracers == ("round", "square")
    np.testing.assert_allclose(system.matrix, joint, atol=1e-4)
    np.testing.assert_allclose(system.data, joint @ images.reshape(3, -1).T, atol=1e-3)
    assert system.grid.shape == (2, 3, 4)
    assert [event.value for event in told if getattr(event, "name", "") == "tracers"] == [["round", "square"]]
    texts = [event.text for event in told if isinstance(event, Finding | Warned)]
    assert len(texts) == len(set(texts))  # what holds for both is said once


def test_each_tracer_comes_out_in_its_own_image(colours):
    measurement, paths, _, images = colours
    result = reconstruct_file(measurement, system_matrix=paths, lambda_=1e-6, iterations=400, **ALL)
    assert result.images.values.shape == (3, 2, 2, 3, 4)
    np.testing.assert_allclose(result.images.values.reshape(3, 2, -1), images, atol=1e-2)
    assert result.images.tracers == ("round", "square")
    assert result.images.concentration == (0.1, 0.2)
    assert result.figures["tracers"] == ["round", "square"]
    shown, unit = result.images.shown
    assert unit == "mmol/L"
    scaled = result.images.values * np.array([100, 200])[:, None, None, None]
    np.testing.assert_allclose(shown, scaled, rtol=1e-6)
    with mdf.open(result.output) as file:
        assert file.reconstruction.data.shape == (3, 24, 2)
        np.testing.assert_array_equal(file.images[..., 0], result.images.values[:, 0])
        np.testing.assert_array_equal(file.images[..., 1], result.images.values[:, 1])
        assert file.user_value(TRACERS).tolist() == ["round", "square"]
    with Image.open(result.picture) as picture:
        assert picture.size[1] > 5 * 260  # a row of three views for each of 3 images of 2 tracers


def test_it_is_the_solution_of_the_joint_system(colours):
    measurement, paths, joint, images = colours
    more = {"lambda_": 1e-2, "iterations": 5}
    system = read(measurement, paths, **more)
    found = solve(system, Kaczmarz(**ALL, **more), tell=silent)
    data = joint @ images.reshape(3, -1).T
    by_hand = kaczmarz(joint, data, **more)
    np.testing.assert_allclose(found.images, by_hand, atol=1e-5 * np.abs(by_hand).max())
    assert found.absolute == pytest.approx(1e-2 * np.linalg.norm(joint) ** 2 / 48, rel=1e-5)


def test_the_images_do_not_depend_on_the_order_of_tracers(colours):
    measurement, paths, _, _ = colours
    chosen = make_options("tikhonov", {"lambda_": 1e-3, **ALL})
    there, back = (
        read(measurement, order, kind=type(chosen), lambda_=1e-3) for order in (paths, paths[::-1])
    )
    assert back.tracers == ("square", "round")
    found = [solve(system, chosen, tell=silent).images.reshape(2, VOXELS, 3) for system in (there, back)]
    np.testing.assert_allclose(found[1][::-1], found[0], atol=1e-4)


def test_it_is_repeated_bit_for_bit(colours):
    measurement, paths, _, _ = colours
    made = reconstruct_file(measurement, system_matrix=paths, iterations=2, **ALL)
    again = rerun_file(made.output)
    assert again.repeated is True
    np.testing.assert_array_equal(again.images.values, made.images.values)


@pytest.mark.parametrize("prior", ["l1", "tv", "wavelet"])
def test_priors_act_on_each_tracer(colours, prior):
    measurement, paths, _, images = colours
    more = {"lambda_": 1e-6, "mu": 1e-4, "prior": prior, "tolerance": 1e-5}
    more |= {"wavelet": "haar"} if prior == "wavelet" else {}
    chosen = make_options("fista", {**ALL, **more})
    found = solve(read(measurement, paths, kind=type(chosen), **more), chosen, tell=silent)
    np.testing.assert_allclose(found.images.real.T.reshape(3, 2, -1), images, atol=0.05)


def test_neighbours_are_those_of_one_image(rng):
    one = TotalVariation((2, 3, 4))
    both, images = Each(one, 3), rng.normal(size=(3, 24, 5))
    assert both.shape == (3, 2, 3, 4)
    values = sum(one.value(image) for image in images)
    np.testing.assert_allclose(both.value(images.reshape(72, 5)), values)
    coefficients = rng.normal(size=both.transform(images.reshape(72, 5)).shape)
    forward = np.sum(both.transform(images.reshape(72, 5)) * coefficients)
    back = np.sum(images.reshape(72, 5) * both.adjoint(coefficients))
    assert forward == pytest.approx(back)


def test_row_norms_are_those_of_the_joint_rows(colours):
    measurement, paths, joint, _ = colours
    system = read(measurement, paths, weighting=("row-norm", "channel"), channel_weights=(1.0, 3.0))
    wanted = np.repeat([1.0, 3.0], LINES) / np.linalg.norm(joint, axis=1)
    np.testing.assert_allclose(system.weights, wanted, rtol=1e-4)


def test_a_dictionary_of_the_background_goes_with_tracers(colours, pair):
    measurement, paths, _, images = colours
    more = {"background": "dictionary", "dictionary_size": 1, "dictionary_lambda": 0.0}
    more |= {"lambda_": 1e-6, "iterations": 400}
    result = reconstruct_file(measurement, system_matrix=paths, **more, **ALL)
    np.testing.assert_allclose(result.images.values.reshape(3, 2, -1), images, atol=2e-2)


def test_only_rows_of_all_matrices_are_used(pair):
    snr = np.ones((2, 2, LINES))
    snr[0, 0, 3:9] = snr[1, 0, 6:12] = 5
    snr[0, 1, 20] = 5
    paths = [pair.calibration(f"{index}.mdf", snr=each) for index, each in enumerate(snr)]
    system = read(pair.measurement(), paths, snr_threshold=2)
    assert system.rows.lines.tolist() == [6, 7, 8]
    assert system.rows.channels.tolist() == [0, 0, 0]
    assert system.rows.removed["not selected for 1.mdf"] == 4
    snr[1, 0] = 1
    snr[1, 1, 4] = 5
    paths[1] = pair.calibration("1.mdf", snr=snr[1])
    with pytest.raises(InputError, match=r"no selected row in common: 7 for 0.mdf, 1 for 1.mdf") as caught:
        read(pair.measurement(), paths, snr_threshold=2)
    assert "--snr-threshold" in caught.value.hint


def test_common_rows_keep_the_order_of_the_first():
    first = Rows(np.array([1, 0, 1, 0]), np.array([9, 3, 2, 7]), {"below": 3})
    second = Rows(np.array([0, 1, 0]), np.array([7, 9, 2]), {})
    rows = common_rows([first, second], ["one", "two"])
    assert list(zip(rows.channels, rows.lines, strict=True)) == [(1, 9), (0, 7)]
    assert rows.removed == {"below": 3, "not selected for two": 2}


def test_matrices_on_different_grids_come_to_the_common_one(pair, rng):
    """Matrices that are linear in space are interpolated exactly; a smaller voxel holds less of a sample."""
    slopes = rng.normal(size=(2, 3, 2, LINES))
    with mdf.open(pair.calibration()) as file:
        coarse = file.grid
    fine = {
        "/calibration/fieldOfView": np.array([0.02, 0.033, 0.010]),
        "/calibration/fieldOfViewCenter": np.array([0.006, 0.002, -0.003]),
    }
    pair.matrix = np.tensordot(coarse.positions(), slopes[0], 1) * 1e3
    one = pair.calibration("one.mdf")
    own = mdf.Grid(coarse.size, *fine.values())
    pair.matrix = np.tensordot(own.positions(), slopes[1], 1) * 1e3
    two = pair.calibration("two.mdf", **fine)
    system = read(pair.measurement(), [one, two])
    assert system.grid.shape == (2, 3, 4)
    np.testing.assert_allclose(system.grid.spacing, [0.005, 0.011, 0.005])
    np.testing.assert_allclose(system.grid.center, [0.006, 0.002, -0.003])
    for index, ratio in ((0, 0.5), (1, 1.0)):
        wanted = np.tensordot(system.grid.positions(), slopes[index], 1).reshape(24, -1).T * 1e3 * ratio
        found = system.matrix[:, 24 * index : 24 * (index + 1)]
        np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())


def test_a_new_grid_is_interpolated_once(pair):
    """What is asked is asked of the common grid, and each matrix is brought there in one step."""
    moved = {"/calibration/fieldOfViewCenter": np.array([0.0137, 0.002, -0.003])}
    paths = [pair.calibration("one.mdf"), pair.calibration("two.mdf", **moved)]
    extent = read(pair.measurement(), paths).grid.field_of_view
    center = tuple(read(pair.measurement(), paths).grid.center)
    told = []
    short = read(pair.measurement(), paths, grid=(8, 8), tell=told.append)
    long = read(pair.measurement(), paths, grid=(8, 8), field_of_view=tuple(extent[:2]), center=center)
    assert short.grid.shape == (2, 8, 8)
    np.testing.assert_array_equal(short.matrix, long.matrix)
    assert sum(getattr(event, "name", "") == "grid" for event in told) == 1
    alone = read(pair.measurement(), paths[:1], grid=(8, 8), field_of_view=tuple(extent[:2]), center=center)
    np.testing.assert_allclose(short.matrix[:, :128], alone.matrix, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("weighting", [("whitening",), ("whitening", "row-norm")])
def test_noise_and_background_are_those_of_all_files(pair, rng, weighting):
    """Whichever calibration is named first."""
    paths = []
    for index, level in enumerate([0.2, 1.0]):
        path = pair.calibration(f"{index}.mdf", background=6, **tracer(f"t{index}"))
        with mdf.open(path) as file:
            contents = file.contents()
            signal = file.read_signal(order="stored").astype(complex)
        noise = rng.normal(size=signal[VOXELS:].shape) + 1j * rng.normal(size=signal[VOXELS:].shape)
        signal[VOXELS:] += level * (1 + index * np.arange(LINES)) * noise
        paths.append(pair._write(path.name, contents, signal.astype(np.complex64), None))
    more = {"weighting": weighting, "background": "dictionary"}
    there, back = (read(pair.measurement(), order, **more) for order in (paths, paths[::-1]))
    np.testing.assert_allclose(back.weights, there.weights, rtol=1e-4)
    spanned = [each.dictionary @ each.dictionary.conj().T for each in (there, back)]
    np.testing.assert_allclose(spanned[1], spanned[0], atol=1e-4)
    alone = read(pair.measurement(), paths[:1], **more)
    assert not np.allclose(alone.weights / alone.weights[0], there.weights / there.weights[0], rtol=0.1)


def test_the_measurement_is_read_once(pair, monkeypatch):
    paths = [pair.calibration(f"{index}.mdf") for index in range(3)]
    calls = []
    monkeypatch.setattr(contrasts, "data_of_pair", lambda *a, **k: calls.append(1) or data_of_pair(*a, **k))
    read(pair.measurement(), paths)
    assert len(calls) == 1


def test_grids_with_nothing_in_common_are_refused(pair):
    away = {"/calibration/fieldOfViewCenter": np.array([0.1, 0.002, -0.003])}
    paths = [pair.calibration("one.mdf"), pair.calibration("two.mdf", **away)]
    with pytest.raises(InputError, match="have nothing in common along x"):
        read(pair.measurement(), paths)


def test_matrices_of_other_sequences_or_places_are_refused(pair):
    one = pair.calibration("one.mdf")
    other = pair.calibration("two.mdf", **{"/acquisition/drivefield/divider": np.array([[24], [32]])})
    with pytest.raises(InputError, match=r"drive frequencies \(100000 66666.7\), \(100000 75000\) Hz"):
        read(pair.measurement(), [one, other])
    away = pair.calibration("two.mdf", **{"/acquisition/offsetField": np.array([[[0.01, 0, 0]]])})
    with pytest.raises(InputError, match=r"two.mdf has another focus field than measurement.mdf") as caught:
        read(pair.measurement(), [one, away])
    assert "combine=patches" in caught.value.hint
    assert read(pair.measurement(), [one, away], combine="patches").patches == (0,)


def test_matrices_in_different_states_are_refused(pair):
    one = pair.calibration("one.mdf")
    unknown = pair.calibration("two.mdf", background=0)
    with pytest.raises(InputError, match=r"one.mdf and two.mdf are in different states") as caught:
        read(pair.measurement(), [one, unknown])
    assert "--background none" in caught.value.hint


def test_one_matrix_makes_no_two_tracers(pair):
    with pytest.raises(UsageError, match="several tracers need one each"):
        read(pair.measurement(), [pair.calibration()], combine="tracers")
    path = pair.calibration()
    with pytest.raises(UsageError, match=r"system.mdf is named twice"):
        reconstruct_file(pair.measurement(), system_matrix=[path, path], **ALL)


def test_too_large_matrices_are_refused_with_a_hint(colours):
    measurement, paths, _, _ = colours
    with pytest.raises(UsageError, match="too large to hold together") as caught:
        read(measurement, paths, memory=1e-6)
    assert "memory" in caught.value.hint


@pytest.mark.parametrize("names", [("iron", "iron"), ("n.a.", ""), ("iron", "n.a.")])
def test_tracers_without_a_name_of_their_own_have_that_of_the_file(pair, names):
    paths = [pair.calibration(f"sm{i}.mdf", **tracer(name or "n.a.")) for i, name in enumerate(names)]
    found = read(pair.measurement(), paths).tracers
    assert found == (("sm0", "sm1") if names != ("iron", "n.a.") else ("iron", "sm1"))


def test_the_command_takes_a_matrix_for_each_tracer(colours):
    measurement, paths, _, images = colours
    options = ["-p", "snr-threshold=0", "--min-frequency", "0", "--lambda", "1e-6", "--iterations", "400"]
    matrices = [word for path in paths for word in ("--system-matrix", str(path))]
    done = CliRunner().invoke(app, ["reconstruct", str(measurement), *matrices, *options, "--json", "-q"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [each["name"] for each in found["tracers"]] == ["round", "square"]
    assert [each["mol_per_litre"] for each in found["tracers"]] == [0.1, 0.2]
    assert found["mol_per_litre"] == [0.1, 0.2]
    highest = images.mean(axis=0).max(axis=1)
    np.testing.assert_allclose([each["peak"] for each in found["tracers"]], highest, atol=1e-2)
    again = CliRunner().invoke(app, ["reconstruct", "--rerun", found["output"], "--json", "-q"])
    assert json.loads(again.stdout)["repeated"] is True
    forced = ["reconstruct", str(measurement), *matrices, *options, "--force"]
    said = CliRunner().invoke(app, forced).output
    assert "peak of round of the mean image" in said
    assert "peak of square of the mean image" in said


@pytest.fixture
def images(rng):
    grid = mdf.Grid(np.array([4, 3, 2]), np.array([0.04, 0.033, 0.010]), np.zeros(3))
    return Images(rng.random((5, 2, 2, 3, 4), np.float32), grid, np.arange(5), "V", None, ("one", "two"))


def test_images_of_tracers_in_other_formats(tmp_path, images):
    import nibabel

    write_images(tmp_path / "image.nii.gz", images, history="[]", frame_interval=0.5)
    volume = nibabel.load(tmp_path / "image.nii.gz")
    assert volume.shape == (4, 3, 2, 5, 2)
    np.testing.assert_array_equal(volume.get_fdata(), images.values.transpose(4, 3, 2, 0, 1))
    assert volume.header.get_zooms()[3] == 0.5
    assert b"one, two" in volume.header["descrip"].tobytes()
    write_images(tmp_path / "image.npz", images, history="[]")
    with np.load(tmp_path / "image.npz") as arrays:
        np.testing.assert_array_equal(arrays["images"], images.values)
        assert arrays["tracers"].tolist() == ["one", "two"]
    write_images(tmp_path / "image.gif", images, history="[]")
    with Image.open(tmp_path / "image.gif") as picture:
        assert picture.n_frames == 5
        assert picture.size == (3 * 260 + 120, 2 * 260 + 40)


def test_images_of_each_tracer(images):
    one, two = images.each()
    np.testing.assert_array_equal(two.values, images.values[:, 1])
    assert one.tracers == ()
    assert images.peak()[1] == max(one.peak()[1], two.peak()[1])


def test_particles_of_two_sizes_are_told_apart(tmp_path):
    """Two dots of different particles: each is in the image of its own, at its place and not in the other."""
    small, large = "particle.core_diameter=22e-9", "particle.core_diameter=30e-9"
    grid = mdf.Grid(np.array([7, 5, 1]), np.array([0.014, 0.010, 0.001]), np.zeros(3))
    places, signals, paths = {small: (-0.004, 0.002, 0.0), large: (0.002, -0.002, 0.0)}, [], []
    for index, (size, place) in enumerate(places.items()):
        scanner = preset("openmpi-2d", [size, "drive_field.amplitudes=[0.006, 0.006]"])
        image = np.zeros((1, *grid.shape))
        image.reshape(-1)[grid.nearest(np.array([place]))] = 0.1
        part, system = tmp_path / f"part{index}.mdf", tmp_path / f"sm{index}.mdf"
        simulate_file(scanner, part, phantom=Phantom(image, grid, "dot"), frames=1, background_frames=0)
        noise = ("gaussian:level=channel,snr_db=90",)
        simulate_calibration_file(scanner, system, grid=grid, noise=noise)
        with mdf.open(part) as file:
            contents = file.contents()
            signals.append(file.read_signal(order="stored"))
        paths.append(system)
    mdf.write(tmp_path / "both.mdf", contents, np.float32(signals[0] + signals[1]))
    result = reconstruct_file(
        tmp_path / "both.mdf", system_matrix=paths, lambda_=1e-8, iterations=500, snr_threshold=0.0
    )
    assert result.images.tracers == ("Magnetite cores of 22 nm", "Magnetite cores of 30 nm")
    for images, place in zip(result.images.each(), places.values(), strict=True):
        wanted = np.zeros(35)
        wanted[grid.nearest(np.array([place]))] = 1
        np.testing.assert_allclose(images.values.ravel(), wanted, atol=0.05)
