"""Patches with random matrices, whose dense system is known."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import mdf
from mpikit.errors import InputError, UsageError
from mpikit.events import Finding, Warned, silent
from mpikit.provenance import read_history
from mpikit.reconstruct import Kaczmarz, kaczmarz, read_system, reconstruct_file
from mpikit.reconstruct.files import rerun_file
from mpikit.reconstruct.options import Tikhonov, make_options
from mpikit.reconstruct.outputs import stored_history
from mpikit.reconstruct.patch_rows import PatchRows
from mpikit.reconstruct.periods import of_periods
from mpikit.reconstruct.solving import solve

from .conftest import BASE, CHANNELS, LINES, SAMPLES

ALL = {"min_frequency": 0.0, "snr_threshold": 0.0}
GRADIENT = np.diag([-1.0, -1.0, 2.0])  # of the files of `pair`
SPACING = np.array([0.010, 0.011, 0.005])
BIG = (2, 4, 6)  # z, y, x: two voxels more along x, and one along y


def offset_at(*place):
    """Focus field that moves the field-free point to a place in m."""
    return -GRADIENT @ np.asarray(place, float)


def columns_at(x, y):
    """Voxels of the big grid under a calibration of 4 x 3 x 2 voxels that is moved by x and y voxels."""
    grid = np.arange(48).reshape(BIG)
    return grid[:, y : y + 3, x : x + 4].ravel()


class Scan:
    """Writes measurements of an image (Q, 48) on the big grid, in patches moved by whole voxels."""

    def __init__(self, pair, image):
        self.pair, self.image = pair, image
        self.matrices: dict[int, np.ndarray] = {}

    def write(self, moves, name="patches.mdf", *, matrices=None, background=2, empty=None, **changes):
        periods = []
        empty = np.zeros((len(moves), CHANNELS, LINES)) if empty is None else empty
        for index, move in enumerate(moves):
            matrix = self.pair.matrix if matrices is None else matrices[index]
            periods.append(np.tensordot(self.image[:, columns_at(*move)], matrix, 1) + empty[index])
        frames = np.concatenate([np.stack(periods, axis=1), np.repeat(empty[None], background, axis=0)])
        contents = {**BASE, "/measurement/isBackgroundFrame": np.arange(len(frames)) >= len(self.image)}
        for path in ("gradient", "drivefield/strength", "drivefield/phase"):
            contents[f"/acquisition/{path}"] = np.repeat(BASE[f"/acquisition/{path}"], len(moves), axis=0)
        offsets = [offset_at(*(SPACING * (*move, 0))) for move in moves]
        contents["/acquisition/offsetField"] = np.array(offsets)[:, None]
        time = np.fft.irfft(frames, n=SAMPLES, axis=-1)
        return self.pair._write(name, contents | changes, time.astype(np.float32), None)


@pytest.fixture
def scan(pair, rng):
    image = np.zeros((2, 48))
    image[0, [3, 20, 41]] = 1.0, 0.5, 2.0
    image[1, [9, 30]] = 0.7, 1.5
    return Scan(pair, image)


MOVES = [(0, 0), (2, 1), (1, 0)]


def read(measurement, *calibrations, empty=(), tell=silent, allow_mismatch=False, kind=Kaczmarz, **options):
    opened = [mdf.open(path) for path in (measurement, *calibrations, *empty)]
    try:
        chosen = kind(**{**ALL, **options})
        first = 1 + len(calibrations)
        more = {"empty": opened[first:], "allow_mismatch": allow_mismatch, "tell": tell}
        return read_system(opened[0], opened[1:first], chosen, **more)
    finally:
        for file in opened:
            file.close()


def dense(pair, moves, matrices=None):
    """The stacked matrix, built by hand: rows frequency fastest, then channel, then patch."""
    stacked = np.zeros((len(moves), CHANNELS * LINES, 48), complex)
    for index, move in enumerate(moves):
        matrix = pair.matrix if matrices is None else matrices[index]
        stacked[index][:, columns_at(*move)] = matrix.reshape(24, -1).T
    return stacked.reshape(-1, 48)


def test_the_patches_stand_below_each_other_on_the_big_grid(pair, scan):
    system = read(scan.write(MOVES), pair.calibration())
    wanted = dense(pair, MOVES)
    assert isinstance(system.matrix, PatchRows)
    assert system.matrix.shape == (3 * 62, 48)
    assert system.patches == (0, 0, 0)
    np.testing.assert_allclose(system.matrix.whole(), wanted, atol=1e-4)
    np.testing.assert_allclose(system.data, wanted @ scan.image.T, atol=1e-3)
    np.testing.assert_array_equal(system.rows.lines, np.tile(np.arange(31), 6))
    np.testing.assert_array_equal(system.rows.channels, np.tile(np.repeat([0, 1], 31), 3))
    np.testing.assert_allclose(system.grid.spacing, SPACING)
    assert system.grid.shape == BIG
    np.testing.assert_allclose(system.grid.positions()[0], [0.001 - 0.015, 0.002 - 0.011, -0.003 - 0.0025])


def test_no_patch_holds_more_than_its_own_columns(pair, scan):
    system = read(scan.write(MOVES), pair.calibration())
    parts = [system.matrix.load(part) for part in range(len(system.matrix))]
    assert [part.shape for part in parts] == [(62, 24)] * 3
    assert all(np.shares_memory(part, parts[0]) for part in parts)  # one calibration is held once
    found = [system.matrix.columns(part) for part in range(3)]
    np.testing.assert_array_equal(found, [columns_at(*move) for move in MOVES])


def test_the_image_is_that_of_the_dense_system(pair, scan):
    measurement, calibration = scan.write(MOVES), pair.calibration()
    wanted = dense(pair, MOVES)
    more = {"lambda_": 1e-3, "iterations": 7}
    system = read(measurement, calibration, **more)
    solution = solve(system, Kaczmarz(**ALL, **more), tell=silent)
    by_hand = kaczmarz(wanted, wanted @ scan.image.T, **more)
    np.testing.assert_allclose(solution.images, by_hand, atol=1e-5 * np.abs(by_hand).max())
    assert solution.absolute == pytest.approx(1e-3 * np.linalg.norm(wanted) ** 2 / 48, rel=1e-5)


def test_dots_come_out_where_they_are(pair, scan):
    result = reconstruct_file(
        scan.write(MOVES), system_matrix=pair.calibration(), lambda_=1e-6, iterations=200, **ALL
    )
    np.testing.assert_allclose(result.images.values.reshape(2, 48), scan.image, atol=5e-3)
    assert result.figures["patches"] == [0, 0, 0]
    with mdf.open(result.output) as file:
        assert file.reconstruction.data.shape == (2, 48, 1)
        np.testing.assert_array_equal(file.reconstruction.size, [6, 4, 2])


@pytest.mark.parametrize("method", ["cgls", "fista", "admm", "tikhonov"])
def test_other_methods_take_the_dense_matrix(pair, scan, method):
    measurement, calibration = scan.write(MOVES), pair.calibration()
    more = {"lambda_": 1e-2} | ({"tolerance": 1e-7, "iterations": 5000} if method != "tikhonov" else {})
    more |= {"enforce_positive": False} if method in {"fista", "admm"} else {}
    chosen = make_options(method, {**ALL, **more})
    system = read(measurement, calibration, kind=type(chosen), **more)
    wanted = dense(pair, MOVES)
    assert isinstance(system.matrix, np.ndarray)
    np.testing.assert_allclose(system.matrix, wanted, atol=1e-4)
    found = solve(system, chosen, tell=silent).images
    stacked = np.concatenate([wanted.real, wanted.imag])
    penalty = 1e-2 * np.linalg.norm(wanted) ** 2 / 48
    closed = np.linalg.solve(stacked.T @ stacked + penalty * np.eye(48), stacked.T @ stacked @ scan.image.T)
    np.testing.assert_allclose(found.real, closed, atol=1e-3)


def test_a_random_order_of_rows_takes_the_dense_matrix_too(pair, scan):
    system = read(scan.write(MOVES), pair.calibration(), row_order="random", seed=3)
    assert isinstance(system.matrix, np.ndarray)


def test_periods_with_one_focus_field_are_averaged(pair, scan, rng):
    noise = rng.normal(size=(4, CHANNELS, LINES)) * (1 + 0j)
    noise[2:] = -noise[:2]  # the mean over the periods of a patch is free of it
    moves = [(0, 0), (2, 1), (0, 0), (2, 1)]
    system = read(scan.write(moves, empty=noise, background=0), pair.calibration(), background="none")
    assert system.patches == (0, 0)
    wanted = dense(pair, moves[:2])
    np.testing.assert_allclose(system.data, wanted @ scan.image.T, atol=2e-3)


@pytest.mark.parametrize("background", ["static", "interpolated"])
def test_each_patch_has_its_own_background(pair, scan, rng, background):
    empty = rng.normal(size=(3, CHANNELS, LINES)) * 30
    system = read(scan.write(MOVES, empty=empty), pair.calibration(), background=background)
    np.testing.assert_allclose(system.data, dense(pair, MOVES) @ scan.image.T, atol=5e-3)
    kept = read(scan.write(MOVES, empty=empty), pair.calibration(), background="none")
    both = dense(pair, MOVES) @ scan.image.T + empty.reshape(-1, 1)
    np.testing.assert_allclose(kept.data, both, atol=5e-3)


def test_an_empty_measurement_has_to_have_the_same_patches(pair, scan, rng):
    empty = rng.normal(size=(3, CHANNELS, LINES)) * 30
    of_object = scan.write(MOVES, empty=empty, background=0)
    nothing = Scan(pair, np.zeros((2, 48)))
    same = nothing.write(MOVES, "empty.mdf", empty=empty, background=0)
    system = read(of_object, pair.calibration(), empty=[same], background="static")
    np.testing.assert_allclose(system.data, dense(pair, MOVES) @ scan.image.T, atol=5e-3)
    other = nothing.write([*MOVES[:2], (2, 0)], "other.mdf", empty=empty, background=0)
    with pytest.raises(InputError, match=r"patches.mdf and the 3 of the empty measurement other.mdf differ"):
        read(of_object, pair.calibration(), empty=[other])


def calibrations(pair, rng, moves):
    """One calibration for each patch, at its place: the grid is around its own centre, moved along."""
    matrices, paths = [], []
    for index, move in enumerate(moves):
        drawn = rng.normal(size=pair.matrix.shape) + 1j * rng.normal(size=pair.matrix.shape)
        drawn[..., [0, -1]] = drawn[..., [0, -1]].real
        pair.matrix = drawn
        place = SPACING * (*move, 0)
        changes = {
            "/acquisition/offsetField": offset_at(*place)[None, None],
            "/calibration/fieldOfViewCenter": np.array([0.001, 0.002, -0.003]) + place,
        }
        paths.append(pair.calibration(f"sm{index}.mdf", **changes))
        matrices.append(drawn)
    return paths, matrices


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_each_patch_takes_the_nearest_calibration(pair, scan, rng, order):
    paths, matrices = calibrations(pair, rng, MOVES)
    measurement = scan.write(MOVES, matrices=matrices)
    system = read(measurement, *(paths[index] for index in order))
    assert system.patches == tuple(order.index(patch) for patch in range(3))
    wanted = dense(pair, MOVES, matrices)
    np.testing.assert_allclose(system.matrix.whole(), wanted, atol=1e-4)
    np.testing.assert_allclose(system.data, wanted @ scan.image.T, atol=1e-3)


def test_a_mapping_says_which(pair, scan, rng):
    paths, matrices = calibrations(pair, rng, MOVES[:2])
    mapped = [matrices[1], matrices[0], matrices[1]]
    told = []
    system = read(scan.write(MOVES, matrices=mapped), *paths, mapping=(1, 0, 1), tell=told.append)
    np.testing.assert_allclose(system.matrix.whole(), dense(pair, MOVES, mapped), atol=1e-4)
    assert system.patches == (1, 0, 1)
    texts = [event.text for event in told if isinstance(event, Finding) and event.name == "patches"]
    assert texts == [
        "3 patches, sm0.mdf for patch 1, sm1.mdf for patches 0, 2; the image has 6 x 4 x 2 voxels in "
        "60 x 44 x 10 mm around (11, 7.5, -3) mm"
    ]


def test_a_calibration_of_several_patches_gives_each_its_own(pair, scan, rng):
    """One file with a period for each focus field, all measured on one grid."""
    matrices = [rng.normal(size=pair.matrix.shape) * (1 + 0j) for _ in range(3)]
    data = np.stack(matrices, axis=1)
    offsets = np.array([offset_at(*(SPACING * (*move, 0))) for move in MOVES])
    periods = {
        f"/acquisition/{path}": np.repeat(BASE[f"/acquisition/{path}"], 3, axis=0)
        for path in ("gradient", "drivefield/strength", "drivefield/phase")
    }
    with mdf.open(pair.calibration()) as file:
        contents = file.contents() | periods
    contents["/acquisition/offsetField"] = offsets[:, None]
    contents["/acquisition/numPeriodsPerFrame"] = 3
    contents["/measurement/isBackgroundFrame"] = np.zeros(24, bool)
    contents["/measurement/isBackgroundCorrected"] = True
    contents.pop("/acquisition/numFrames", None)
    calibration = pair._write("several.mdf", contents, data.astype(np.complex64), None)
    still = Scan(pair, scan.image[:, columns_at(0, 0)])
    frames = np.stack([np.tensordot(still.image, matrix, 1) for matrix in matrices], axis=1)
    about = {**BASE, **periods, "/acquisition/offsetField": offsets[:, None]}
    about["/measurement/isBackgroundCorrected"] = True
    about["/measurement/isBackgroundFrame"] = np.zeros(2, bool)
    time = np.fft.irfft(frames, n=SAMPLES, axis=-1).astype(np.float32)
    measurement = pair._write("three.mdf", about, time, None)
    system = read(measurement, calibration)
    wanted = data.reshape(24, -1).T
    assert system.grid.shape == (2, 3, 4)
    np.testing.assert_allclose(system.matrix.whole(), wanted, atol=1e-5)
    np.testing.assert_allclose(system.data, wanted @ still.image.T, atol=1e-4)
    kept = pair.folder / "kept"
    kept.mkdir()
    for _ in range(2):  # made, and read again: a cache for each period
        rounded = read(measurement, calibration, cache=kept)
        np.testing.assert_allclose(rounded.matrix.whole(), wanted, atol=1e-4 * np.abs(wanted).max())
    assert len(list(kept.iterdir())) == 3
    with pytest.raises(UsageError, match="is one cache, and 3 matrices are to be kept"):
        read(measurement, calibration, cache=pair.folder / "one.h5")


def test_whitening_makes_noise_equal_in_all_patches(pair, scan, rng):
    sizes = np.array([1.0, 4.0, 2.0])
    empty = np.zeros((3, CHANNELS, LINES))
    path = scan.write(MOVES, empty=empty, background=60)
    with mdf.open(path) as file:
        signal, contents = file.read_signal(order="stored").copy(), file.contents()
    signal[2:] += sizes[:, None, None] * rng.normal(size=signal[2:].shape)
    noisy = pair._write("noisy.mdf", contents, signal.astype(np.float32), None)
    system = read(noisy, pair.calibration(background=0), weighting=("whitening",), background="none")
    level = np.sqrt(np.mean((system.weights * system.noise).reshape(3, -1) ** 2, axis=1))
    np.testing.assert_allclose(level, level[0], rtol=1e-9)
    shares = np.median(system.weights.reshape(3, -1), axis=1)
    np.testing.assert_allclose(shares / shares[0], 1 / sizes, rtol=0.1)


def test_a_streamed_matrix_makes_the_same_image(pair, scan):
    measurement, calibration = scan.write(MOVES), pair.calibration()
    more = {"iterations": 4, "lambda_": 1e-3, **ALL}
    wanted = reconstruct_file(measurement, system_matrix=calibration, **more)
    told = []
    options = more | {"memory": 1e-6, "overwrite": True, "tell": told.append}
    found = reconstruct_file(measurement, system_matrix=calibration, **options)
    assert any(isinstance(event, Finding) and event.name == "streaming" for event in told)
    np.testing.assert_allclose(found.images.values, wanted.images.values, atol=1e-5)
    with pytest.raises(UsageError, match="too much to hold") as caught:
        reconstruct_file(measurement, system_matrix=calibration, **options, method="cgls")
    assert "memory" in caught.value.hint


def test_patches_between_the_voxels_are_interpolated(pair, scan, rng):
    """A matrix that is linear in space is interpolated exactly, whatever the shift."""
    slope = rng.normal(size=(3, CHANNELS, LINES))
    with mdf.open(pair.calibration()) as file:
        own = file.grid
    pair.matrix = np.tensordot(own.positions(), slope, 1) * 1e3
    calibration = pair.calibration()
    shift = np.array([0.0123, 0.0, 0.0])
    offsets = np.array([np.zeros(3), offset_at(*shift)])[:, None]
    told = []
    measurement = pair.measurement(periods=2, offset=offsets)
    system = read(measurement, calibration, tell=told.append)
    assert system.grid.shape == (2, 3, 6)
    assert [event.value for event in told if getattr(event, "name", "") == "interpolated patch"] == [1]
    columns = system.matrix.columns(1)
    assert len(columns) == 2 * 3 * 4  # the nodes that lie inside the moved grid, up to its outer faces
    there = system.grid.positions()[columns] - shift
    wanted = np.tensordot(there, slope, 1).reshape(len(columns), -1).T * 1e3
    np.testing.assert_allclose(system.matrix.load(1), wanted, atol=1e-4 * np.abs(wanted).max())
    assert not any(isinstance(event, Warned) and "moved" in event.text for event in told)


def test_a_patch_that_is_all_but_on_the_voxels_is_moved_and_that_is_said(pair, scan):
    offsets = np.array([np.zeros(3), offset_at(0.01 + 5e-5, 0, 0)])[:, None]
    told = []
    system = read(pair.measurement(periods=2, offset=offsets), pair.calibration(), tell=told.append)
    assert system.grid.shape == (2, 3, 5)
    assert system.matrix.load(1).shape == (62, 24)
    said = [event.text for event in told if isinstance(event, Warned) and "moved" in event.text]
    assert said == ["patch 1 is moved by (-50, 0, 0) µm onto the voxels of the image"]


def test_single_frames_of_all_patches_make_the_uncertainty(pair, scan, rng):
    path = scan.write(MOVES, background=8)
    with mdf.open(path) as file:
        signal, contents = file.read_signal(order="stored").copy(), file.contents()
    signal[2:] += 0.1 * rng.normal(size=signal[2:].shape)
    noisy = pair._write("noisy.mdf", contents, signal.astype(np.float32), None)
    system = read(noisy, pair.calibration(), uncertainty="auto", kind=Tikhonov)
    assert system.single.data.shape == (3 * 62, 2)
    assert system.single.noise.shape == (3 * 62,)


def test_a_folder_has_the_calibrations_of_all_patches(pair, scan, rng):
    paths, matrices = calibrations(pair, rng, MOVES)
    folder = pair.folder / "calibrations"
    folder.mkdir()
    for path in paths:
        shutil.move(path, folder / path.name)
    pair.calibration("elsewhere.mdf").rename(folder / "far.mdf")
    measurement = scan.write([MOVES[0], MOVES[1]], matrices=matrices[:2])
    result = reconstruct_file(measurement, system_matrix=folder, lambda_=1e-6, iterations=200, **ALL)
    record = read_history(stored_history(result.output))[-1]
    assert {"patches.mdf", "sm1.mdf"} < set(record["inputs"])
    assert len(record["files"]) == 3


def test_it_is_repeated_bit_for_bit(pair, scan, rng):
    paths, matrices = calibrations(pair, rng, MOVES)
    made = reconstruct_file(
        scan.write(MOVES, matrices=matrices), system_matrix=paths, mapping=(0, 1, 2), iterations=3, **ALL
    )
    again = rerun_file(made.output)
    assert again.repeated is True
    np.testing.assert_array_equal(again.images.values, made.images.values)


@pytest.mark.parametrize(
    ("options", "words", "hint"),
    [
        ({"mapping": (0, 1)}, "the mapping has 2 numbers, expected one for each of 3 patches", "one patch"),
        ({"mapping": (0, 1, 2)}, "names the system matrix 2, expected 0 to 1", "from 0"),
        ({"mapping": (0, -1, 1)}, "names the system matrix -1, expected 0 to 1", "from 0"),
        ({"background": "dictionary"}, "a dictionary of the background is for one patch", "static"),
        ({"leakage": True}, "those of a patch are no neighbours", "leakage=true"),
    ],
)
def test_what_makes_no_sense_for_patches_is_refused(pair, scan, rng, options, words, hint):
    paths, _ = calibrations(pair, rng, MOVES[:2])
    with pytest.raises(UsageError, match=words) as caught:
        read(scan.write(MOVES), *paths, **options)
    assert hint in caught.value.hint


def test_a_mapping_is_not_for_tracers():
    with pytest.raises(UsageError, match="a mapping is for patches"):
        make_options("kaczmarz", {"mapping": (0, 1), "combine": "tracers"})


def test_matrices_that_do_not_fit_are_refused(pair, scan):
    other = {"/acquisition/drivefield/divider": np.array([[24], [32]])}
    steep = {"/acquisition/gradient": np.diag([-1.1, -1.1, 2.2])[None, None]}
    measurement = scan.write(MOVES)
    one = pair.calibration("one.mdf", **other)
    with pytest.raises(InputError, match=r"drive frequencies \(100000 66666.7\), \(100000 75000\) Hz"):
        read(measurement, one)
    with pytest.raises(InputError, match="no system matrix fits the patches") as caught:
        read(measurement, one, pair.calibration("two.mdf", **steep))
    assert "one.mdf: drive frequencies" in str(caught.value)
    assert "two.mdf: gradient (-1 -1 2), (-1.1 -1.1 2.2) T/m" in str(caught.value)
    assert "mapping" in caught.value.hint
    told = []
    system = read(measurement, one, pair.calibration(), tell=told.append)
    assert system.patches == (1, 1, 1)
    assert "one.mdf is used for no patch" in [getattr(event, "text", "") for event in told]


def test_two_matrices_of_one_place_leave_a_doubt(pair, scan):
    paths = [pair.calibration("one.mdf"), pair.calibration("two.mdf")]
    with pytest.raises(InputError, match=r"one.mdf and two.mdf have the same focus field") as caught:
        read(scan.write(MOVES), *paths)
    assert "mapping" in caught.value.hint
    assert read(scan.write(MOVES), *paths, mapping=(1, 1, 1)).patches == (1, 1, 1)
    with pytest.raises(InputError, match="several tracers are found in one patch alone"):
        read(scan.write(MOVES), *paths, combine="tracers")


def test_a_line_has_no_place_to_move(pair, scan):
    line = np.repeat(np.diag([-1.0, 1.0, 0.0])[None, None], 3, axis=0)
    measurement = scan.write(MOVES, **{"/acquisition/gradient": line})
    calibration = pair.calibration(**{"/acquisition/gradient": line[:1]})
    with pytest.raises(InputError, match="no single field-free point"):
        read(measurement, calibration)
    with pytest.raises(InputError, match="has no gradient, and the places of patches follow from it"):
        read(scan.write(MOVES, **{"/acquisition/gradient": None}), pair.calibration())


def test_samples_of_different_concentrations_are_refused(pair, scan, rng):
    tracer = {f"/tracer/{name}": np.array(["x"]) for name in ("name", "batch", "vendor", "solute")}
    tracer["/tracer/volume"] = np.array([1e-6])
    offset = {"/acquisition/offsetField": offset_at(*(SPACING * (2, 1, 0)))[None, None]}
    one = pair.calibration("one.mdf", **tracer, **{"/tracer/concentration": np.array([0.1])})
    two = pair.calibration("two.mdf", **tracer, **offset, **{"/tracer/concentration": np.array([0.2])})
    with pytest.raises(InputError, match="have 100 and 200 mmol/L, expected the same in all patches"):
        read(scan.write(MOVES), one, two)


def test_one_patch_away_from_its_calibration(pair, scan):
    """A single focus field that is not the calibration's is refused, unless patches are asked for."""
    measurement = scan.write([(2, 1)])
    with pytest.raises(InputError, match="offset fields"):
        read(measurement, pair.calibration())
    system = read(measurement, pair.calibration(), combine="patches")
    assert system.grid.shape == (2, 3, 4)
    np.testing.assert_allclose(system.grid.center, np.array([0.001, 0.002, -0.003]) + SPACING * (2, 1, 0))
    wanted = pair.matrix.reshape(24, -1).T @ scan.image[:, columns_at(2, 1)].T
    np.testing.assert_allclose(system.data, wanted, atol=1e-3)


def test_an_imaginary_part_is_not_dropped_in_silence(pair):
    more = {"method": "tikhonov", "lambda_": 1e-2, "enforce_real": False, **ALL}
    told = []
    reconstruct_file(pair.measurement(), system_matrix=pair.calibration(), tell=told.append, **more)
    said = [event.text for event in told if isinstance(event, Warned) and "enforce_real" in event.text]
    assert len(said) == 1
    assert "their real part alone is kept" in said[0]
    told.clear()
    more |= {"enforce_real": True, "overwrite": True, "tell": told.append}
    reconstruct_file(pair.measurement(), system_matrix=pair.calibration(), **more)
    assert not any("enforce_real" in getattr(event, "text", "") for event in told)


def test_some_periods_of_a_file(pair, scan):
    with mdf.open(scan.write(MOVES)) as file:
        some = of_periods(file, np.array([2, 0]))
        assert some.num_periods == 2
        np.testing.assert_array_equal(some.read_signal("all"), file.read_signal("all")[:, [2, 0]])
        offsets = file.acquisition.offset_field[[2, 0]]
        np.testing.assert_array_equal(some.acquisition.offset_field, offsets)
        assert some.acquisition.drivefield.strength.shape == (2, 2, 1)
        assert some.num_samples == SAMPLES
        assert of_periods(file, np.arange(3)) is file
