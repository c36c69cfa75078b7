"""Many frames and many files: the same images whoever makes them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import mdf
from mpikit.cli import app
from mpikit.errors import InputError, UsageError
from mpikit.events import Finding, Step, Warned, silent
from mpikit.provenance import HISTORY
from mpikit.reconstruct import Kaczmarz, kaczmarz, many, read_system, reconstruct_file, streamed
from mpikit.reconstruct.files import rerun_file
from mpikit.reconstruct.frames import FRAMES, Frames, Sharing, frame_parts, solve_frames
from mpikit.reconstruct.many import find_measurements, reconstruct_files
from mpikit.reconstruct.options import Admm, Cgls, Fista, Tikhonov
from mpikit.reconstruct.solving import solve

ALL = {"min_frequency": 0.0, "snr_threshold": 0.0}
FEW = {**ALL, "iterations": 3, "lambda_": 0.01}
METHODS = {
    "kaczmarz": Kaczmarz(**FEW),
    "dictionary": Kaczmarz(**FEW, background="dictionary"),
    "cgls": Cgls(**ALL, iterations=20),
    "fista": Fista(**ALL, iterations=20),
    "admm": Admm(**ALL, iterations=20),
    "tikhonov": Tikhonov(**ALL),
}


@pytest.fixture(scope="module")
def cluster():
    """Address of a scheduler with one worker in a thread of this process."""
    import distributed

    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
    ) as made:
        yield made.scheduler_address


@pytest.fixture
def no_pictures(monkeypatch):
    """Pictures of so many images would take most of the time."""
    monkeypatch.setattr("mpikit.reconstruct.files.save_images", lambda *_, **__: None)


@pytest.fixture
def with_frames(pair, rng):
    """A measurement of so many frames, and its system matrix."""

    def write(count, name="measurement.mdf"):
        pair.images = rng.random((count, 24))
        return pair.measurement(name), pair.calibration()

    return write


@pytest.fixture
def system(with_frames):
    """The linear system of so many frames."""

    def read(count, options=METHODS["kaczmarz"]):
        source, matrix = with_frames(count)
        with mdf.open(source) as measurement, mdf.open(matrix) as calibration:
            return read_system(measurement, calibration, options, tell=silent)

    return read


@given(st.integers(1, 5000), st.integers(1, 12))
def test_parts_of_equal_length_hold_each_frame_once(frames, together):
    parts, blocks = frame_parts(frames, together), frame_parts(frames, 1)
    assert [part.start for part in parts] == [block.start for block in blocks[::together]]
    assert [part.stop for part in parts[:-1]] == [part.start for part in parts[1:]]
    assert parts[-1].stop == blocks[-1].stop
    (length,) = {block.stop - block.start for block in blocks}
    assert length % 2 == 0
    assert length <= FRAMES
    assert blocks[-1].start < frames <= blocks[-1].stop


@pytest.mark.parametrize("count", [101, 130, 207])
@pytest.mark.parametrize("method", sorted(set(METHODS) - {"tikhonov", "dictionary"}))
def test_blocks_are_the_same_one_by_one_and_together(system, method, count):
    given_ = system(count)
    images = solve(given_, METHODS[method], tell=silent).images
    assert images.shape == (24, count)
    parts = frame_parts(count, 1)
    assert len(parts) == -(-count // FRAMES)

    def by_method(part, tell):
        return solve(part, METHODS[method], tell=tell).images

    plan = Frames(given_, by_method, parts, whole=method == "kaczmarz")
    found = np.concatenate([plan.draw(index)[0] for index in range(plan.blocks)], axis=1)
    np.testing.assert_array_equal(found, images)
    for frame in (0, count // 2, count - 1):
        alone = solve(replace(given_, data=given_.data[:, [frame]]), METHODS[method], tell=silent).images
        np.testing.assert_allclose(images[:, [frame]], alone, atol=2e-3)


@pytest.mark.parametrize("count", [1, 7, 51, 100])
def test_few_frames_are_solved_as_ever(system, count):
    given_ = system(count)
    plain = kaczmarz(given_.matrix, given_.data, lambda_=0.01, iterations=3)
    np.testing.assert_array_equal(solve(given_, METHODS["kaczmarz"], tell=silent).images, plain)


@pytest.mark.parametrize("method", METHODS)
def test_workers_do_not_change_images(system, cluster, method):
    given_, told = system(130, METHODS[method]), []
    alone = solve(given_, METHODS[method], tell=silent).images
    shared = solve(given_, METHODS[method], sharing=Sharing(scheduler=cluster), tell=told.append).images
    np.testing.assert_array_equal(shared, alone)
    steps = [event for event in told if isinstance(event, Step)]
    assert steps == ([] if method == "tikhonov" else [Step(1, 2), Step(2, 2)])
    warnings = [event.text for event in told if isinstance(event, Warned)]
    assert len(warnings) == len(set(warnings))


def test_the_steps_of_several_calls_are_those_of_one_bar(system):
    told = []
    solve(system(1003), METHODS["kaczmarz"], tell=told.append)
    assert [(step.index, step.total) for step in told] == [(index, 6) for index in range(1, 7)]


@pytest.mark.parametrize("count", [1, 100])
def test_a_single_block_needs_no_workers(system, count):
    told = []
    nobody = Sharing(scheduler="tcp://127.0.0.1:1")
    solve(system(count), METHODS["kaczmarz"], sharing=nobody, tell=told.append)
    assert told[0] == Finding(
        "workers", 0, f"{count} images are a single block: there is nothing that workers could share"
    )


def test_a_frame_that_is_not_finite_is_found_before_the_work(system):
    given_ = system(130)
    given_.data[3, 117] = np.nan
    sharing = Sharing(scheduler="tcp://127.0.0.1:1")
    for who in (Sharing(), sharing):
        with pytest.raises(InputError, match="not finite, first in frame 117"):
            solve(given_, METHODS["kaczmarz"], sharing=who, tell=silent)


def test_what_goes_wrong_at_a_worker_is_told_as_it_is(system, cluster):
    with pytest.raises(InputError, match="frames are too many") as caught:
        solve_frames(
            system(130),
            _refuse,
            own_threads=False,
            together=False,
            sharing=Sharing(scheduler=cluster),
            tell=silent,
        )
    assert caught.value.hint == "take fewer"


def _refuse(system, tell):
    raise InputError(f"{system.data.shape[1]} frames are too many", hint="take fewer")


def images_in(path):
    with mdf.open(path) as file:
        return file.reconstruction.data[...]


@pytest.mark.usefixtures("no_pictures")
def test_workers_open_a_streamed_matrix_themselves(with_frames, cluster, monkeypatch, tmp_path):
    monkeypatch.setattr(streamed, "PART", 8 * 24 * 20)  # rows of a part
    source, matrix = with_frames(130)
    told = []
    more = {"system_matrix": matrix, "memory": 1e-9, **FEW}
    alone = reconstruct_file(source, output=tmp_path / "a.mdf", **more)
    shared = reconstruct_file(source, output=tmp_path / "b.mdf", scheduler=cluster, tell=told.append, **more)
    assert [event.name for event in told if isinstance(event, Finding)].count("streaming") == 1
    np.testing.assert_array_equal(shared.images.values, alone.images.values)
    held = reconstruct_file(source, output=tmp_path / "c.mdf", **{**more, "memory": 1.0})
    np.testing.assert_allclose(held.images.values, alone.images.values, atol=1e-4)


@pytest.mark.usefixtures("no_pictures")
def test_lambda_is_chosen_once_from_all_frames(with_frames, cluster, tmp_path):
    source, matrix = with_frames(130)
    more = {"system_matrix": matrix, **ALL, "lambda_": "gcv"}
    told = []
    alone = reconstruct_file(source, output=tmp_path / "a.mdf", **more)
    shared = reconstruct_file(source, output=tmp_path / "b.mdf", scheduler=cluster, tell=told.append, **more)
    assert [event.name for event in told if isinstance(event, Finding)].count("lambda") == 1
    assert shared.figures == alone.figures
    np.testing.assert_array_equal(shared.images.values, alone.images.values)


@pytest.mark.usefixtures("no_pictures")
def test_the_history_knows_no_workers_and_a_rerun_may_have_them(with_frames, cluster, tmp_path):
    source, matrix = with_frames(130)
    made = reconstruct_file(source, system_matrix=matrix, output=tmp_path / "a.mdf", scheduler=cluster, **FEW)
    with mdf.open(made.output) as file:
        history = file.user_value(HISTORY)
    assert not {"workers", "scheduler"} & set(json.loads(history)[-1]["options"])
    assert cluster not in history
    for who in ({}, {"scheduler": cluster}):
        assert rerun_file(made.output, output=tmp_path / "b.mdf", overwrite=True, **who).repeated


@pytest.mark.parametrize(
    ("method", "who", "words"),
    [
        ("tikhonov", {"workers": 2}, "tikhonov makes all images of a file at once"),
        ("x-space", {"scheduler": "tcp://a:1"}, "x-space makes all images of a file at once"),
        ("kaczmarz", {"workers": 0}, "0 workers do no work"),
        ("kaczmarz", {"workers": 1, "scheduler": "tcp://a:1"}, "exclude each other"),
    ],
)
def test_workers_that_have_nothing_to_share(pair, method, who, words):
    matrix = {} if method == "x-space" else {"system_matrix": pair.folder / "none.mdf"}
    with pytest.raises(UsageError, match=words) as caught:
        reconstruct_file(pair.folder / "none.mdf", method=method, **matrix, **who)
    assert caught.value.hint


@pytest.fixture
def scans(pair):
    """A folder with three measurements, one of them without an object, a calibration and a text."""
    folder, pair.folder = pair.folder, pair.folder / "scans"
    pair.folder.mkdir()
    images = pair.images
    for index, name in enumerate("abc"):
        pair.images = images[: index + 1]
        pair.measurement(f"{name}.mdf")
    pair.calibration("system.mdf")
    (pair.folder / "notes.txt").write_text("three scans")
    pair.folder, pair.images = folder, images
    return folder / "scans"


def paths(scans):
    return [scans / f"{name}.mdf" for name in "abc"]


@pytest.mark.usefixtures("no_pictures")
def test_files_are_made_beside_their_sources_or_in_a_folder(scans, tmp_path):
    more = {"system_matrix": scans / "system.mdf", **FEW}
    beside = reconstruct_files(paths(scans), **more)
    assert [outcome.source for outcome in beside] == paths(scans)
    assert [outcome.kept.output.name for outcome in beside] == [
        f"{name}.reconstruction.mdf" for name in "abc"
    ]
    assert [len(outcome.kept.images.values) for outcome in beside] == [1, 2, 3]
    inside = reconstruct_files([scans], output=tmp_path / "images", keep=_shape, **more)
    assert [outcome.source for outcome in inside] == paths(scans)  # neither the calibration nor the images
    assert [outcome.kept for outcome in inside] == [(1, 2, 3, 4), (2, 2, 3, 4), (3, 2, 3, 4)]
    for name in "abc":
        made = f"{name}.reconstruction.mdf"
        np.testing.assert_array_equal(images_in(tmp_path / "images" / made), images_in(scans / made))


def _shape(result):
    return result.images.values.shape


@pytest.mark.usefixtures("no_pictures")
def test_a_cluster_makes_files_as_this_process_does(scans, cluster, tmp_path):
    (scans / "b.mdf").write_bytes(b"no file")
    more = {"system_matrix": scans / "system.mdf", "keep": _shape, **FEW}
    told = [], []
    alone = reconstruct_files(paths(scans), output=tmp_path / "a", tell=told[0].append, **more)
    shared = reconstruct_files(
        paths(scans), output=tmp_path / "b", scheduler=cluster, tell=told[1].append, **more
    )
    for one, other in zip(alone, shared, strict=True):
        assert (one.source, one.kept, str(one.error)) == (other.source, other.kept, str(other.error))
    assert [type(outcome.error) for outcome in shared] == [type(None), mdf.MdfError, type(None)]
    assert shared[1].error.hint
    for name in "ac":
        made = f"{name}.reconstruction.mdf"
        np.testing.assert_array_equal(images_in(tmp_path / "a" / made), images_in(tmp_path / "b" / made))
    words = [[event.text for event in events if isinstance(event, Finding)] for events in told]
    assert words[0] == words[1]
    assert words[0][0].startswith("a.mdf: ")
    assert [event for event in told[1] if isinstance(event, Step)] == [Step(index, 3) for index in (1, 2, 3)]


@pytest.mark.slow
def test_processes_make_files_as_this_process_does(scans, tmp_path):
    more = {"system_matrix": scans / "system.mdf", **ALL, "lambda_": "gcv", "method": "tikhonov"}
    alone = reconstruct_files(paths(scans), output=tmp_path / "a", **more)
    shared = reconstruct_files(paths(scans), output=tmp_path / "b", workers=2, **more)
    for one, other in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(one.kept.images.values, other.kept.images.values)
        assert one.kept.figures == other.kept.figures


@pytest.mark.slow
def test_processes_share_frames(system):
    given_ = system(130)
    alone = solve(given_, METHODS["kaczmarz"], tell=silent).images
    shared = solve(given_, METHODS["kaczmarz"], sharing=Sharing(workers=2), tell=silent).images
    np.testing.assert_array_equal(shared, alone)


def test_what_is_left_out_of_a_folder_is_told(scans):
    told = []
    found = find_measurements([scans, scans / "system.mdf"], besides=[scans / "b.mdf"], tell=told.append)
    assert found == [scans / "a.mdf", scans / "c.mdf", scans / "system.mdf"]
    assert told == [
        Finding(
            "left out",
            ["b.mdf", "system.mdf"],
            f"no measurements in {scans}, and left out: b.mdf, system.mdf",
        )
    ]
    with pytest.raises(InputError, match="there is no measurement in") as caught:
        find_measurements([scans], besides=paths(scans))
    assert caught.value.hint


def test_mistakes_are_found_before_any_file_is_made(scans, tmp_path):
    more = {"system_matrix": scans / "system.mdf", **FEW}
    before = sorted(scans.iterdir())
    with pytest.raises(UsageError, match="would both become"):
        reconstruct_files([*paths(scans), scans / "a.mdf"], **more)
    (scans / "sub").mkdir()
    (scans / "sub" / "a.mdf").write_bytes(b"another")
    with pytest.raises(UsageError, match=r"would both become .*images.a.reconstruction.mdf"):
        reconstruct_files([scans / "a.mdf", scans / "sub" / "a.mdf"], output=tmp_path / "images", **more)
    assert not (tmp_path / "images").exists()
    for name in ("image.mdf", "image.nii.gz", "image.png", "scans/notes.txt"):
        with pytest.raises(UsageError, match="is the name of a file, expected a folder"):
            reconstruct_files(paths(scans), output=tmp_path / name, **more)
    with pytest.raises(UsageError, match="has no option 'iteration'"):
        reconstruct_files(paths(scans), iteration=3, **more)
    with pytest.raises(InputError, match="cannot be made"):
        reconstruct_files(paths(scans), output=tmp_path / "no" / "folder", **more)
    assert [path for path in sorted(scans.iterdir()) if path.name != "sub"] == before


def run(*arguments):
    return CliRunner().invoke(app, ["reconstruct", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def command(scans):
    options = ["--min-frequency", 0, "--snr-threshold", 0, "--iterations", 3]
    return [*options, "--system-matrix", scans / "system.mdf"]


@pytest.mark.usefixtures("no_pictures")
def test_the_command_ends_with_a_summary(scans, command, tmp_path):
    done = run(*paths(scans), "-o", tmp_path / "images", *command)
    assert done.exit_code == 0
    made = [tmp_path / "images" / f"{name}.reconstruction.mdf" for name in "abc"]
    counts = ["1 image", "2 images", "3 images"]
    words = [f"wrote {path}: {count}" for path, count in zip(made, counts, strict=True)]
    assert done.stderr.splitlines()[-4:] == [*words, "3 files: 3 reconstructed, 0 failed"]
    assert done.stdout == ""


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(("broken", "code"), [("b", 6), ("abc", 3)])
def test_a_failure_is_shown_with_its_file_and_does_not_stop_the_others(scans, command, broken, code):
    for name in broken:
        (scans / f"{name}.mdf").write_bytes(b"no file")
    done = run(scans, *command, "--json", "-q")
    assert done.exit_code == code
    files = json.loads(done.stdout)["files"]
    assert [each["source"] for each in files] == list(map(str, paths(scans)))
    assert ["error" in each for each in files] == [name in broken for name in "abc"]
    for name in broken:
        assert f"error: {scans / name}.mdf: " in done.stderr
    failed = next(each["error"] for each in files if "error" in each)
    assert set(failed) == {"message", "hint", "exit_code"}
    assert failed["exit_code"] == 3


def test_the_error_of_a_frame_comes_with_its_file(scans, command, pair):
    folder, pair.folder, pair.images = pair.folder, scans, np.full((2, 24), np.nan)
    pair.measurement("b.mdf")
    pair.folder = folder
    done = run(*paths(scans), *command, "-q")
    assert done.exit_code == 6
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert "b.mdf" in error
    assert (scans / "c.reconstruction.mdf").exists()
    assert not (scans / "b.reconstruction.mdf").exists()


def test_one_file_may_go_into_a_folder(scans, command):
    done = run(scans / "a.mdf", "-o", scans, *command, "--json", "-q")
    assert json.loads(done.stdout)["output"] == str(scans / "a.reconstruction.mdf")


@pytest.mark.usefixtures("no_pictures")
def test_a_worker_that_died_after_it_had_written_leaves_no_mistake(scans, tmp_path):
    """Another makes the file once more; what was there before the work is not replaced."""
    choices = {"system_matrix": scans / "system.mdf", **FEW}
    making = many._Making(choices, _shape, resume=False)
    file = many._File(scans / "a.mdf", tmp_path / "a.reconstruction.mdf")
    new = file.elsewhere(choices)
    assert (new.fresh, file.fresh) == (True, False)
    for _ in range(2):
        assert making(new, silent).error is None
    old = file.elsewhere(choices)
    assert not old.fresh
    assert "exists already" in str(making(old, silent).error)


@pytest.mark.slow
def test_an_interrupted_folder_is_gone_on_with(scans, command, tmp_path):
    out = tmp_path / "images"
    assert run(scans / "a.mdf", scans / "b.mdf", "-o", out, *command).exit_code == 0
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    (out / "b.reconstruction.png").unlink()  # as after Ctrl-C in between
    planned = json.loads(run(scans, "-o", out, *command, "--resume", "--dry-run", "-q").stdout)["files"]
    assert [each.get("kept", False) for each in planned] == [True, False, False]
    done = run(scans, "-o", out, *command, "--resume")
    assert done.exit_code == 0
    assert f"kept {out / 'a.reconstruction.mdf'}" in done.stderr.splitlines()
    assert done.stderr.splitlines()[-1] == "3 files: 2 reconstructed, 1 kept, 0 failed"
    assert (out / "a.reconstruction.mdf").stat().st_mtime_ns == before["a.reconstruction.mdf"]
    assert (out / "b.reconstruction.png").exists()
    files = json.loads(run(scans, "-o", out, *command, "--resume", "--json", "-q").stdout)["files"]
    assert [each["kept"] for each in files] == [True, True, True]
    assert [each["output"] for each in files] == [str(out / f"{name}.reconstruction.mdf") for name in "abc"]


@pytest.mark.usefixtures("no_pictures")
def test_images_that_were_made_in_another_way_are_an_error_or_replaced(scans, cluster, tmp_path):
    out, matrix = tmp_path / "images", scans / "system.mdf"
    how = {"system_matrix": matrix, "output": out, "keep": _shape, "resume": True}
    source = scans / "a.mdf"
    reconstruct_files([source], **how, **FEW)
    (out / "a.reconstruction.png").write_bytes(b"")  # no pictures are drawn here
    for who in ({}, {"scheduler": cluster}):
        (done,) = reconstruct_files([source], **how, **FEW, **who)
        assert (done.there, done.kept, done.error) == (out / "a.reconstruction.mdf", None, None)
    (done,) = reconstruct_files([source], **how, **{**FEW, "iterations": 4})
    assert "its options differ (iterations)" in str(done.error)
    assert "--force" in done.error.hint
    (done,) = reconstruct_files([source], **how, **{**FEW, "iterations": 4}, overwrite=True)
    assert (done.error, done.there) == (None, None)
    source.write_bytes((scans / "b.mdf").read_bytes())
    (done,) = reconstruct_files([source], **how, **{**FEW, "iterations": 4})
    assert "its files are others now" in str(done.error)
    (out / "a.reconstruction.mdf").write_bytes(source.read_bytes())
    (done,) = reconstruct_files([source], **how, **FEW)
    assert "it was not reconstructed" in str(done.error)


@pytest.mark.usefixtures("no_pictures")
def test_an_interruption_says_how_to_go_on(scans, monkeypatch):
    made, told = reconstruct_file, []

    def make(source, **how):
        if source.name == "b.mdf":
            raise KeyboardInterrupt
        return made(source, **how)

    monkeypatch.setattr(many, "reconstruct_file", make)
    with pytest.raises(KeyboardInterrupt):
        reconstruct_files(paths(scans), system_matrix=scans / "system.mdf", tell=told.append, **FEW)
    assert told[-1] == Finding("interrupted", 1, "1 of 3 files are done; --resume goes on")
