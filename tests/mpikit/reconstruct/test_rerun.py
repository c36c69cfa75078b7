from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mdf
from mpikit.errors import InputError
from mpikit.events import Finding, Warned, silent
from mpikit.provenance import HISTORY, append_history, run_record, sha256
from mpikit.reconstruct import Images, Rows, reconstruct_file
from mpikit.reconstruct.outputs import write_images
from mpikit.reconstruct.rerun import check_repeat, images_digest, read_rerun, repeatable, rows_text

OPTIONS = {"min_frequency": 0.0, "snr_threshold": 0.0, "iterations": 3, "lambda_": 0.0125}
SAID = {"method": "kaczmarz", "average_frames": True, "allow_mismatch": False}
ROWS = Rows(np.array([0, 0, 0, 0, 1, 1]), np.array([7, 8, 9, 12, 3, 4]), {})
GRID = mdf.Grid(np.array([4, 3, 2]), np.array([0.04, 0.033, 0.010]), np.zeros(3))


@pytest.fixture
def images(rng) -> Images:
    return Images(rng.random((5, 2, 3, 4), np.float32), GRID, np.arange(5), "V")


@pytest.fixture
def kept(tmp_path, images):
    """An image file that tells of its inputs, which stand beside it: ``scan.mdf`` and ``system.mdf``."""
    return keep(tmp_path, images)


def keep(folder, images, *, system="system.mdf", **changes):
    source, matrix = folder / "scan.mdf", folder / system
    matrix.parent.mkdir(exist_ok=True)
    source.write_bytes(b"scan")
    matrix.write_bytes(b"matrix")
    options = {**SAID, **{name.rstrip("_"): value for name, value in OPTIONS.items()}}
    record = run_record("reconstruct", inputs=(source, matrix), options=options, seed=11)
    inputs = {"source": [source], "system_matrix": [matrix]}
    record = repeatable(record, inputs=inputs, images=images, rows=ROWS) | changes
    made = folder / "image.npz"
    write_images(made, images, history=append_history('[{"command": "denoise"}]', record), overwrite=True)
    return made


def test_inputs_options_rows_and_seed_are_read_back(kept, images):
    told = []
    rerun = read_rerun(kept, tell=told.append)
    assert rerun.source == kept.parent / "scan.mdf"
    assert rerun.inputs == {"system_matrix": (kept.parent / "system.mdf",)}
    assert rerun.options == {**SAID, **OPTIONS}
    assert rerun.seed == 11
    assert rerun.rows == "0:7-9,12 1:3-4"
    assert rerun.images_sha256 == images_digest(images)
    assert told == []


def test_a_reconstruction_is_repeated_bit_for_bit(pair):
    source, system = pair.measurement(), pair.calibration()
    first = reconstruct_file(source, system_matrix=system, average_frames=True, **OPTIONS)
    with mdf.open(first.output) as file:
        record = json.loads(file.user_value(HISTORY))[-1]
    record = repeatable(record, inputs={"source": [source], "system_matrix": [system]}, images=first.images)
    made = pair.folder / "image.npz"
    write_images(made, first.images, history=append_history(None, record))
    rerun = read_rerun(made)
    (matrix,) = rerun.inputs["system_matrix"]
    again = reconstruct_file(
        rerun.source, system_matrix=matrix, output=pair.folder / "again.mdf", **rerun.options
    )
    assert check_repeat(rerun, again.images, tell=silent)
    np.testing.assert_array_equal(again.images.values, first.images.values)


def test_whether_the_images_are_the_same_is_told(kept, images):
    told = []
    rerun = read_rerun(kept)
    assert check_repeat(rerun, images, ROWS, tell=told.append)
    values = images.values.copy()
    values[4, 1, 2, 3] = np.nextafter(values[4, 1, 2, 3], np.float32(2))
    other = Images(values, GRID, images.frames, "V")
    assert not check_repeat(rerun, other, ROWS, tell=told.append)
    assert not check_repeat(rerun, other, Rows(ROWS.channels[1:], ROWS.lines[1:], {}), tell=told.append)
    assert told == [
        Finding("repeat", True, "the images are those of image.npz, bit for bit"),
        Warned("the images are not those of image.npz, bit for bit"),
        Warned("the images are not those of image.npz, bit for bit, other rows were used"),
    ]


def test_the_digest_knows_the_shape(images):
    other = Images(images.values.reshape(5, 4, 3, 2), GRID, images.frames, "V")
    assert images_digest(other) != images_digest(images)


def test_files_are_found_in_other_folders_and_under_other_names(kept, tmp_path):
    away = tmp_path / "away"
    away.mkdir()
    shutil.move(tmp_path / "system.mdf", away / "system.mdf")
    assert read_rerun(kept, places=[away]).inputs["system_matrix"] == (away / "system.mdf",)
    shutil.move(away / "system.mdf", away / "renamed.mdf")
    with pytest.raises(InputError, match=r"the system matrix system.mdf of image.npz is missing") as caught:
        read_rerun(kept, places=[away])
    assert str(away) in str(caught.value)
    found = read_rerun(kept, places=[away / "renamed.mdf"])
    assert found.inputs["system_matrix"] == (away / "renamed.mdf",)


def test_a_file_that_changed_is_refused(kept, tmp_path):
    (tmp_path / "scan.mdf").write_bytes(b"another scan")
    expected = f"scan.mdf is not the source scan.mdf of image.npz: .* expected {_digest(b'scan')[:12]}"
    with pytest.raises(InputError, match=expected):
        read_rerun(kept)
    away = tmp_path / "away"
    away.mkdir()
    (away / "scan.mdf").write_bytes(b"scan")
    assert read_rerun(kept, places=[away]).source == away / "scan.mdf"


def _digest(content):
    return hashlib.sha256(content).hexdigest()


def test_files_of_the_same_name_are_told_apart(tmp_path, images):
    made = keep(tmp_path, images, system="calibrations/scan.mdf")
    rerun = read_rerun(made, places=[tmp_path / "calibrations"])
    assert rerun.source == tmp_path / "scan.mdf"
    assert rerun.inputs == {"system_matrix": (tmp_path / "calibrations" / "scan.mdf",)}


def test_hashes_that_are_known_are_not_computed_again(tmp_path, images, monkeypatch):
    paths = [tmp_path / name for name in ("a.mdf", "b.mdf", "c.mdf")]
    for path in paths:
        path.write_text(path.name)
    record = run_record("reconstruct", inputs=paths, options={})
    hashes = [sha256(path) for path in paths]
    monkeypatch.setattr("mpikit.reconstruct.rerun.sha256", None)
    inputs = {"source": paths[:1], "system_matrix": paths[1:]}
    files = repeatable(record, inputs=inputs, images=images)["files"]
    assert [each["sha256"] for each in files] == hashes
    assert [each["role"] for each in files] == ["source", "system_matrix", "system_matrix"]


def test_other_versions_are_told(tmp_path, images):
    made = keep(tmp_path, images, mpikit="0.0.1", packages={"numpy": "1.0", "no-such-package": "3"})
    told = []
    read_rerun(made, tell=told.append)
    (warned,) = told
    assert "mpikit 0.0.1 then" in warned.text
    assert "numpy 1.0 then" in warned.text
    assert "no-such-package 3 then, None now" in warned.text


def test_a_name_does_not_lead_out_of_the_folders(tmp_path, images):
    inner = tmp_path / "inner"
    inner.mkdir()
    made = keep(inner, images)
    (tmp_path / "secret").write_bytes(b"secret")
    record = run_record("reconstruct", inputs=(), options={})
    entry = {"role": "source", "name": "../secret", "sha256": sha256(tmp_path / "secret")}
    history = append_history(None, record | {"files": [entry]})
    write_images(made, images, history=history, overwrite=True)
    with pytest.raises(InputError, match=r"the source secret of image.npz is missing"):
        read_rerun(made)


@pytest.mark.parametrize(
    "change",
    [
        {"files": None},
        {"files": 3},
        {"files": ["scan.mdf"]},
        {"files": [{"role": "source", "name": 3, "sha256": "x"}]},
        {"files": []},
        {"options": None},
    ],
)
def test_a_history_that_tells_too_little_is_refused(tmp_path, images, change):
    made = keep(tmp_path, images, **change)
    with pytest.raises(InputError, match="does not tell all that a repeat needs"):
        read_rerun(made)


def test_a_file_that_was_not_reconstructed_is_refused(pair):
    with pytest.raises(InputError, match=r"measurement.mdf does not tell of a reconstruction"):
        read_rerun(pair.measurement(user={HISTORY: '[{"command": "denoise"}]'}))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), unique=True, max_size=30), st.booleans())
def test_row_text_keeps_rows_and_order(pairs, ascending):
    pairs = sorted(pairs) if ascending else pairs
    channels, lines = np.array(pairs, np.int64).reshape(-1, 2).T
    text = rows_text(Rows(channels, lines, {}))
    read = []
    for word in text.split():
        channel, _, ranges = word.partition(":")
        for each in ranges.split(","):
            first, _, last = each.partition("-")
            read += [(int(channel), line) for line in range(int(first), int(last or first) + 1)]
    assert read == pairs


def test_row_text_is_short():
    channels = np.repeat([0, 1, 2], 26000)
    lines = np.tile(np.arange(900, 26900), 3)
    assert rows_text(Rows(channels, lines, {})) == "0:900-26899 1:900-26899 2:900-26899"
    assert rows_text(Rows(channels[:0], lines[:0], {})) == ""
