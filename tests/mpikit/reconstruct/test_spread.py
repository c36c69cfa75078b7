"""The standard deviation of images: which way is taken, and that each way gives what a closed form says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import mdf
from mpikit.errors import InputError, UsageError
from mpikit.events import Finding, Step, Warned, silent
from mpikit.reconstruct import Images, LinearSystem, Rows, reconstruct_file, spread
from mpikit.reconstruct.files import rerun_file
from mpikit.reconstruct.options import Admm, Cgls, Fista, Kaczmarz, Tikhonov
from mpikit.reconstruct.single import SingleFrames
from mpikit.reconstruct.solvers import tikhonov_operator
from mpikit.reconstruct.solving import solve
from mpikit.reconstruct.spread import Spread, choose_way, find_spread

ROWS, VOXELS, FRAMES = 13, 6, 7
LINEAR = {
    "tikhonov": (Tikhonov, {}),
    "kaczmarz": (Kaczmarz, {"enforce_positive": False, "iterations": 80}),
    "cgls": (Cgls, {"tolerance": 1e-12}),
    "fista": (Fista, {"enforce_positive": False, "tolerance": 1e-12, "iterations": 2000}),
    "admm": (Admm, {"enforce_positive": False, "tolerance": 1e-12, "iterations": 2000}),
}
ALL = {"min_frequency": 0.0, "snr_threshold": 0.0}


def spectra(rng, *shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


@pytest.fixture
def system(rng):
    """Seven frames of one object; an image is the mean of three, the last one is a single frame."""
    return make_system(rng, averages=3)


def make_system(rng, *, averages, frames=FRAMES, known=True, shared=0.25):
    matrix = spectra(rng, ROWS, VOXELS)
    noise = rng.uniform(0.1, 0.5, ROWS)
    data = (matrix @ rng.uniform(0, 2, VOXELS))[:, None] + noise[:, None] * spectra(
        rng, ROWS, frames
    ) / 2**0.5
    groups = [slice(start, start + averages) for start in range(0, frames, averages)]
    return LinearSystem(
        matrix,
        np.column_stack([data[:, part].mean(axis=1) for part in groups]),
        Rows(np.zeros(ROWS, np.int64), np.arange(ROWS), {}),
        mdf.Grid(np.array([3, 2, 1]), np.array([0.03, 0.02, 0.01]), np.zeros(3)),
        np.arange(0, frames, averages),
        weights=rng.uniform(0.5, 2, ROWS),
        single=SingleFrames(data, averages, noise if known else None, shared),
    )


def spread_of(system, options, *, tell=silent):
    return find_spread(
        system, options, solve(system, options, tell=silent), choose_way(system, options), tell=tell
    )


def closed(system, options, frames):
    noise = system.single.noise * (1 / frames + system.single.shared) ** 0.5
    operator = tikhonov_operator(system.matrix, lambda_=options.lambda_, weights=system.weights)
    return operator.standard_deviation(noise)


@pytest.mark.parametrize("method", LINEAR)
def test_linear_solvers_have_the_closed_form(system, method):
    """Three images: two of three frames, with the same standard deviation, and one of a single frame."""
    kind, more = LINEAR[method]
    options = kind(lambda_=0.5, uncertainty="auto", **more)
    found = spread_of(system, options)
    assert found.way == "exact"
    wanted = np.array([closed(system, options, frames) for frames in (3, 3, 1)])
    np.testing.assert_allclose(found.values, wanted, rtol=1e-4)


def test_one_map_for_all_images_of_as_many_frames(rng):
    system = make_system(rng, averages=1)
    options = Tikhonov(lambda_=0.5, uncertainty="exact")
    told = []
    found = spread_of(system, options, tell=told.append)
    np.testing.assert_allclose(found.values, closed(system, options, 1)[None])
    (finding,) = told
    assert (finding.name, finding.value) == ("uncertainty", "exact")
    assert finding.text.endswith("one map for all images")


def test_images_that_need_not_be_real_have_the_noise_of_their_real_part(rng):
    """Real parts are kept of images, with half of the noise; R is A^H / 2 for orthonormal columns, λ = 1."""
    system = replace(make_system(rng, averages=1), matrix=np.linalg.qr(spectra(rng, ROWS, VOXELS))[0])
    system = replace(
        system, weights=None, single=replace(system.single, noise=np.full(ROWS, 0.4), shared=0.0)
    )
    options = {"lambda_": 1.0, "enforce_real": False}
    for kind, more in ((Tikhonov, {}), (Kaczmarz, {"enforce_positive": False, "iterations": 60})):
        found = spread_of(system, kind(uncertainty="exact", **options, **more))
        np.testing.assert_allclose(found.values, np.full((1, VOXELS), 0.2 / 2**0.5), rtol=1e-4)


def test_many_rows_are_drawn_once_for_all_images(rng, monkeypatch):
    monkeypatch.setattr(spread, "MOST_ROWS", ROWS - 1)
    system = make_system(rng, averages=1)
    options = Kaczmarz(lambda_=0.5, enforce_positive=False, iterations=80, uncertainty="auto")
    found = spread_of(system, options)
    assert (found.way, found.values.shape) == ("drawn", (1, VOXELS))
    np.testing.assert_allclose(found.values[0], closed(system, options, 1), rtol=0.2)
    assert spread_of(system, Tikhonov(lambda_=0.5, uncertainty="auto")).way == "exact"


def test_positive_images_have_a_map_each(system):
    options = Kaczmarz(lambda_=0.5, uncertainty="auto")
    told = []
    found = spread_of(system, options, tell=told.append)
    assert (found.way, found.values.shape) == ("drawn", (3, VOXELS))
    steps = [event for event in told if isinstance(event, Step)]
    assert (steps[-1].index, steps[-1].total) == (600, 600)
    # the object is far above 0, so that positivity changes little; one frame is noisier than three
    np.testing.assert_allclose(found.values[0], closed(system, options, 3), rtol=0.5)
    assert found.values[2].sum() > 1.2 * found.values[0].sum()


def test_the_bootstrap_sees_the_frames_and_the_background_that_they_share(rng):
    few = make_system(rng, averages=300, frames=300, shared=0.0)
    much = replace(few, single=replace(few.single, shared=0.1))
    options = Kaczmarz(lambda_=0.5, enforce_positive=False, iterations=80, uncertainty="bootstrap")
    for system in (few, much):
        found = spread_of(system, options)
        assert (found.way, found.values.shape) == ("bootstrap", (1, VOXELS))
        np.testing.assert_allclose(found.values[0], closed(system, options, 300), rtol=0.2)


@pytest.mark.parametrize(
    ("averages", "frames", "known", "kind", "more", "way"),
    [
        (1, 7, True, Kaczmarz, {}, "drawn"),
        (1, 7, True, Fista, {"prior": "l1", "mu": 0.1, "enforce_positive": False}, "drawn"),
        (1, 7, True, Fista, {"enforce_positive": False}, "exact"),
        (9, 18, True, Kaczmarz, {}, "bootstrap"),
        (9, 20, True, Kaczmarz, {}, "drawn"),
        (3, 6, True, Admm, {}, "drawn"),
        (3, 6, False, Admm, {}, "bootstrap"),
        (3, 6, False, Tikhonov, {}, "bootstrap"),
        (9, 18, True, Tikhonov, {}, "exact"),
        (9, 18, True, Tikhonov, {"uncertainty": "bootstrap"}, "bootstrap"),
        (9, 18, True, Kaczmarz, {"uncertainty": "drawn"}, "drawn"),
    ],
)
def test_which_way_is_taken(rng, averages, frames, known, kind, more, way):
    system = make_system(rng, averages=averages, frames=frames, known=known)
    assert choose_way(system, kind(**{"uncertainty": "auto", **more})) == way


@pytest.mark.parametrize(
    ("averages", "known", "options", "words"),
    [
        (1, False, {"uncertainty": "auto"}, "needs the noise of the measurement"),
        (3, False, {"uncertainty": "auto"}, "needs the noise of the measurement"),
        (7, False, {"uncertainty": "drawn"}, "needs the noise of the measurement"),
        (3, True, {"uncertainty": "bootstrap"}, "an image of a single frame"),
        (1, True, {"uncertainty": "exact"}, "linear solvers alone"),
    ],
)
def test_what_cannot_be_known_is_refused(rng, averages, known, options, words):
    system = make_system(rng, averages=averages, known=known)
    with pytest.raises((InputError, UsageError), match=words) as caught:
        choose_way(system, Kaczmarz(**options))
    assert caught.value.hint


def test_a_solver_that_has_not_come_to_its_limit(rng):
    system = make_system(rng, averages=1)
    options = {"lambda_": 1e-6, "iterations": 2}
    told = []
    found = spread_of(system, Cgls(uncertainty="auto", **options), tell=told.append)
    assert (found.way, len(found.values)) == ("drawn", FRAMES)
    assert any(isinstance(event, Warned) and "before it is linear" in event.text for event in told)
    with pytest.raises(UsageError, match="not linear") as caught:
        spread_of(system, Cgls(uncertainty="exact", **options))
    assert "more iterations" in caught.value.hint


def test_a_seed_repeats(system):
    first, again, other = (
        spread_of(system, Kaczmarz(uncertainty="drawn", seed=seed)).values for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_map_for_all_belongs_to_no_frame():
    grid = mdf.Grid(np.array([3, 2, 1]), np.array([0.03, 0.02, 0.01]), np.zeros(3))
    images = Images(np.zeros((2, 1, 2, 3), np.float32), grid, np.array([4, 9]), "delta sample", 0.1)
    one = Spread(np.arange(6.0)[None], "exact").beside(images)
    assert one.values.shape == (1, 1, 2, 3)
    assert one.values[0, 0, 1, 2] == 5
    assert one.frames.size == 0
    two = Spread(np.arange(12.0).reshape(2, 6), "drawn").beside(images)
    assert two.values[1, 0, 1, 0] == 9
    np.testing.assert_array_equal(two.frames, [4, 9])
    assert two.shown[1] == "mmol/L"


@pytest.fixture
def noisy(pair):
    """A measurement of three objects with four empty frames, all with noise, and its system matrix."""
    path = pair.measurement(background=4)
    with mdf.open(path) as file:
        contents = file.contents()
        data = file.read_signal("all", "stored")
    contents = {name: value for name, value in contents.items() if name not in {"/version", "/uuid", "/time"}}
    data = data + np.random.default_rng(8).normal(size=data.shape).astype(np.float32) / 50
    mdf.write(path, contents, data.astype(np.float32), overwrite=True)
    return path, pair.calibration()


def test_the_file_holds_the_standard_deviation(pair, noisy):
    source, system = noisy
    told = []
    result = reconstruct_file(
        source, system_matrix=system, method="tikhonov", uncertainty="auto", tell=told.append, **ALL
    )
    assert any(isinstance(event, Finding) and event.name == "uncertainty" for event in told)
    assert result.figures["uncertainty"] == "exact"
    assert result.deviation_picture == pair.folder / "measurement.reconstruction.uncertainty.png"
    assert result.deviation_picture.read_bytes().startswith(b"\x89PNG")
    with mdf.open(result.output) as file:
        stored = file.user_value("/_mpikit/standardDeviation")
        assert file.reconstruction.data.shape == (3, 24, 1)
    assert stored.shape == (1, 24, 1)
    assert stored.dtype == np.float32
    np.testing.assert_array_equal(stored.ravel(), result.deviation.values.ravel())
    # in time noise of 1/50; a line has V / 2 of it in each part, and the subtracted mean of 4 a quarter more
    scale = np.sum(np.abs(pair.matrix) ** 2, axis=(1, 2))
    expected = 0.02 * (60 * 1.25 / 2 / scale) ** 0.5
    assert 0.3 < np.median(stored.ravel() / expected) < 3


@pytest.mark.parametrize("ending", [".mdf", ".npz", ".nii.gz", ".gif"])
def test_every_format_and_its_repeat(pair, noisy, ending):
    source, system = noisy
    output = pair.folder / f"image{ending}"
    told = []
    options = {**ALL, "iterations": 2, "uncertainty": "auto", "seed": 3, "frame_averages": 2}
    first = reconstruct_file(source, system_matrix=system, output=output, tell=told.append, **options)
    assert first.deviation.values.shape == (2, 2, 3, 4)
    apart = pair.folder / f"image.uncertainty{ending}"
    assert apart.exists() == (ending == ".nii.gz")
    stem = "image" if ending == ".mdf" else f"image{ending}"
    assert (pair.folder / f"{stem}.uncertainty.png").exists()
    left_out = [event.text for event in told if isinstance(event, Warned)]
    assert left_out == (
        ["image.gif holds no standard deviation: it is in the picture alone"] if ending == ".gif" else []
    )
    again = rerun_file(output, output=pair.folder / "again.mdf")
    assert again.repeated is True
    np.testing.assert_array_equal(again.deviation.values, first.deviation.values)


def test_without_noise_nothing_is_written(pair):
    source, system = pair.measurement(), pair.calibration()  # the empty frames are equal
    before = sorted(pair.folder.iterdir())
    with pytest.raises(InputError, match="no two background frames with noise") as caught:
        reconstruct_file(source, system_matrix=system, uncertainty="auto", **ALL)
    assert "--average-frames" in caught.value.hint
    assert sorted(pair.folder.iterdir()) == before


def test_frames_of_one_object_need_no_noise(pair):
    pair.images[:] = pair.images[0] * np.array([[0.9], [1.0], [1.1]])
    result = reconstruct_file(
        pair.measurement(),
        system_matrix=pair.calibration(),
        average_frames=True,
        uncertainty="auto",
        lambda_=1e-4,
        iterations=60,
        **ALL,
    )
    assert result.figures["uncertainty"] == "bootstrap"
    # the frames differ in strength alone, by 0.1: so does the mean, by 0.1 over the root of 3
    expected = pair.images.mean(axis=0) * 0.1 / 3**0.5
    np.testing.assert_allclose(result.deviation.values.ravel(), expected, atol=0.015)


def test_a_repeat_compares_the_standard_deviation(pair, noisy, monkeypatch):
    source, system = noisy
    first = reconstruct_file(source, system_matrix=system, iterations=2, uncertainty="drawn", **ALL)
    monkeypatch.setattr(spread, "DRAWS", 100)
    told = []
    again = rerun_file(first.output, tell=told.append)
    assert again.repeated is False
    np.testing.assert_array_equal(again.images.values, first.images.values)
    assert any(isinstance(event, Warned) and "not their standard deviation" in event.text for event in told)


@pytest.mark.parametrize("ending", [".mdf", ".npz", ".nii.gz"])
def test_several_tracers_have_a_map_each(pair, noisy, rng, ending):
    source, first = noisy
    known, pair.matrix = pair.matrix, pair.matrix[::-1] * (1 + rng.random(pair.matrix.shape[2]))
    second = pair.calibration("second.mdf")
    pair.matrix = known
    output = pair.folder / f"image{ending}"
    options = {**ALL, "method": "tikhonov", "uncertainty": "auto", "combine": "tracers"}
    result = reconstruct_file(source, system_matrix=[first, second], output=output, **options)
    assert result.images.values.shape == (3, 2, 2, 3, 4)
    assert result.deviation.values.shape == (1, 2, 2, 3, 4)
    assert np.all(result.deviation.values > 0)
    one, two = result.deviation.values[0]
    assert one.mean() > 1.1 * two.mean()  # a stronger matrix lets less noise through
    if ending == ".mdf":
        with mdf.open(output) as file:
            stored = file.user_value("/_mpikit/standardDeviation")
        np.testing.assert_array_equal(stored, np.stack([one.ravel(), two.ravel()], axis=-1)[None])
