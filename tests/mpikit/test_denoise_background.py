"""Empty measurements in files of their own: what methods see, what is written, nothing subtracted twice."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import mdf
from mpikit.cli import main
from mpikit.compare import compare_file
from mpikit.denoise_file import denoise_file
from mpikit.errors import InputError, UsageError
from mpikit.events import Finding
from mpikit.provenance import HISTORY, read_history, sha256
from mpikit.scan_file import read_scan, unsaid, write_scan
from mpikit.testing import example_scan

OFFSET = 0.5


@pytest.fixture
def files(tmp_path, rng):
    """A measurement with an empty-scanner signal, once with empty frames in it, and such frames apart."""
    clean = example_scan(frames=7, seed=2)
    shape = clean.signal.shape[1:]
    background = (OFFSET * np.cos(np.arange(shape[-1])) * np.ones(shape)).astype(np.float32)
    empty = (background + rng.normal(0, 1e-3, (5, *shape))).astype(np.float32)
    none = clean.background[:0]
    scan = replace(
        clean,
        signal=clean.signal + background,
        background=none,
        foreground_index=np.arange(7),
        background_index=np.arange(0),
    )
    own = replace(
        scan, background=empty[:2] + 1, foreground_index=np.arange(2, 9), background_index=np.arange(2)
    )
    apart = replace(scan, signal=empty, foreground_index=np.arange(5), repeats="none")
    for name, each in {"scan": scan, "own": own, "empty": apart}.items():
        write_scan(each, tmp_path / f"{name}.mdf", contents=unsaid(each), user={"/_mpikit/repeats": "frames"})
    return tmp_path, clean, empty


def history(path):
    with mdf.open(path) as file:
        return read_history(file.user_value(HISTORY))[-1]


def test_the_background_is_subtracted_and_its_frames_stay_apart(files):
    folder, clean, empty = files
    scan, told = read_scan(folder / "scan.mdf"), []
    done = denoise_file(
        folder / "scan.mdf",
        method="background-subtraction",
        background_files=[folder / "empty.mdf"],
        tell=told.append,
    )
    made = read_scan(done.path)
    np.testing.assert_allclose(made.signal, scan.signal - empty.mean(axis=0), atol=1e-5)
    assert made.background.shape == (0, *clean.signal.shape[1:])
    assert made.corrections.background
    np.testing.assert_array_equal(made.foreground_index, scan.foreground_index)
    assert Finding("background", 5, "background: 5 frames of empty.mdf") in told
    record = history(done.path)
    assert record["inputs"] == {"scan.mdf": sha256(folder / "scan.mdf")}
    assert record["background_files"] == {"empty.mdf": sha256(folder / "empty.mdf")}
    assert "background_files" not in str(record["options"])


def test_nothing_is_subtracted_twice(files):
    folder, *_ = files
    empty = [folder / "empty.mdf"]
    done = denoise_file(folder / "scan.mdf", method="background-subtraction", background_files=empty)
    with pytest.raises(InputError, match="came with its background subtracted") as caught:
        denoise_file(done.path, method="harmonic", background_files=empty)
    assert "--background-file" in caught.value.hint


def test_own_empty_frames_are_written_and_treated_likewise(files):
    """The method sees those of the other file instead, as reconstruct does."""
    folder, _, empty = files
    scan, told = read_scan(folder / "own.mdf"), []
    done = denoise_file(
        folder / "own.mdf",
        method="background-subtraction",
        background_files=[folder / "empty.mdf"],
        tell=told.append,
    )
    made = read_scan(done.path)
    np.testing.assert_allclose(made.signal, scan.signal - empty.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(made.background, scan.background - empty.mean(axis=0), atol=1e-5)
    np.testing.assert_array_equal(made.background_index, [0, 1])
    assert "background: 5 frames of empty.mdf instead of its own 2" in [
        event.text for event in told if isinstance(event, Finding)
    ]
    alone = read_scan(denoise_file(folder / "own.mdf", method="average", output=folder / "x.mdf").path)
    assert np.abs(alone.signal - made.signal).max() > 0.5  # its own frames lie 1 higher


def test_two_measurements_are_before_and_after_with_a_drift_between(files):
    folder, _, empty = files
    before = read_scan(folder / "empty.mdf", repeats="none")
    after = replace(before, signal=before.signal + 1)
    write_scan(after, folder / "after.mdf", contents=unsaid(after))
    scan = read_scan(folder / "scan.mdf")
    done = denoise_file(
        folder / "scan.mdf",
        method="background-subtraction",
        parameters=("mode=interpolated",),
        background_files=[folder / "empty.mdf", folder / "after.mdf"],
    )
    share = (np.arange(7) + 5 - 2) / (5 + 7)  # from the middle of five frames to that of the other five
    expected = scan.signal - empty.mean(axis=0) - share[:, None, None, None]
    np.testing.assert_allclose(read_scan(done.path).signal, expected, atol=1e-5)
    with pytest.raises(UsageError, match="3 empty measurements"):
        denoise_file(
            folder / "scan.mdf",
            method="average",
            background_files=3 * [folder / "empty.mdf"],
            output=folder / "no.mdf",
        )


def test_a_method_that_keeps_the_background_leaves_it_for_the_reconstruction(files):
    folder, *_ = files
    done = denoise_file(
        folder / "own.mdf",
        method="average",
        parameters=("background=keep",),
        background_files=[folder / "empty.mdf"],
    )
    made = read_scan(done.path)
    assert not made.corrections.background
    assert made.background.shape[0] == 2
    assert made.background.mean() == pytest.approx(read_scan(folder / "own.mdf").background.mean(), rel=0.05)


@pytest.mark.parametrize("method", ["background-subtraction", "wgan-sn"])
def test_methods_that_need_empty_frames_get_them(files, method):
    folder, *_ = files
    with pytest.raises(InputError, match=r"scan\.mdf (lacks|has no) background frames"):
        denoise_file(folder / "scan.mdf", method=method, parameters=())
    from mpikit.denoise_file import plan

    planned = plan(folder / "scan.mdf", method=method, background_files=[folder / "empty.mdf"])
    assert planned["background_frames"] == 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sampling_rate": 1e6}, "different sampling rates"),
        ({"unit": "a.u."}, "is in 'a.u.', scan.mdf in"),
        ({"channels": 1}, r"has frames of 1 x 1 x \d+ \(periods x channels x samples\)"),
        ({"samples": 40}, r"has frames of 1 x 2 x 40 \(periods x channels x samples\)"),
    ],
)
def test_an_empty_measurement_of_another_sequence(files, change, words):
    folder, *_ = files
    empty = read_scan(folder / "empty.mdf", repeats="none")
    kept = (slice(None), slice(None), slice(change.pop("channels", None)), slice(change.pop("samples", None)))
    signal = empty.signal[kept]
    other = replace(
        empty,
        signal=signal,
        background=empty.background[kept],
        stored_lines=np.ones(signal.shape[-1] // 2 + 1, bool),
        **change,
    )
    write_scan(other, folder / "other.mdf", contents=unsaid(other))
    before = sorted(folder.iterdir())
    for verb in (denoise_file, compare_file):
        more = {"method": "average"} if verb is denoise_file else {"methods": ["average"]}
        with pytest.raises(InputError, match=words) as caught:
            verb(folder / "scan.mdf", background_files=[folder / "other.mdf"], **more)
        assert "same sequence" in caught.value.hint or "treated like" in caught.value.hint
    assert sorted(folder.iterdir()) == before


def test_the_commands_take_them(files, capsys, monkeypatch):
    folder, *_ = files
    monkeypatch.chdir(folder)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["mpikit", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0, capsys.readouterr().out

    empty = ("--background-file", "empty.mdf")
    code, out = run("compare", "scan.mdf", "--methods", "average", *empty, "--json", "-q")
    assert (code, json.loads(out)["without_background"]) == (0, True)
    code, out = run("compare", "scan.mdf", "--methods", "average", "--json", "-q")
    assert (code, json.loads(out)["without_background"]) == (0, False)
    code, out = run("denoise", "-m", "average", ".", *empty, "-o", "out", "--json", "-q")
    assert code == 0
    assert [each["source"] for each in json.loads(out)["files"]] == ["own.mdf", "scan.mdf"]
    assert read_scan("out/scan.average.mdf").corrections.background
    assert run("denoise", "-m", "average", "scan.mdf", *empty, "-o", "empty.mdf", "--force", "-q")[0] == 3
