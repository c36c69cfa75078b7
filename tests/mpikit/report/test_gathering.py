"""Which file is of which kind, and which one shows the state before."""

from __future__ import annotations

import numpy as np
import pytest

import mdf
from mpikit.errors import InputError, UsageError
from mpikit.report.gathering import gather, look_at
from mpikit.report.sources import Hashes, denoised_from, history_of, imaged_before, measured_before

from .conftest import reconstruction_record, write_reconstruction


def before(files, *named):
    return [{kind: path.name for kind, path in item.before.items()} for item in gather(files, named)]


def test_the_kinds(made):
    names = ("scan.mdf", "sm.mdf", "image.mdf", "model.log.jsonl")
    kinds = [look_at(made / name).kinds for name in names]
    assert kinds == [("measurement",), ("calibration",), ("reconstruction",), ("training",)]


def test_the_source_is_found_beside(made):
    assert before([made / "scan.harmonic.mdf"]) == [{"measurement": "scan.mdf"}]
    assert before([made / "scan.mdf"]) == [{}]


def test_the_source_is_known_by_its_hash_whatever_its_name(copied, tmp_path):
    moved = tmp_path / "elsewhere.mdf"
    (copied / "scan.mdf").rename(moved)
    assert before([copied / "scan.harmonic.mdf"]) == [{}]
    assert before([copied / "scan.harmonic.mdf", moved]) == [{"measurement": "elsewhere.mdf"}, {}]


def test_another_file_of_the_same_name_is_no_source(copied):
    (copied / "sm.mdf").replace(copied / "scan.mdf")
    assert before([copied / "scan.harmonic.mdf"]) == [{}]


def test_a_history_does_not_lead_out_of_the_folder(copied):
    inside = copied / "inner"
    inside.mkdir()
    denoised = inside / "scan.harmonic.mdf"
    (copied / "scan.harmonic.mdf").rename(denoised)
    digest = Hashes()(copied / "scan.mdf")
    told = [{"command": "denoise", "inputs": {"../scan.mdf": digest}}]
    assert measured_before(denoised, told, [], Hashes()) is None
    (copied / "scan.mdf").rename(inside / "scan.mdf")
    assert measured_before(denoised, told, [], Hashes()) == inside / "scan.mdf"


@pytest.mark.parametrize("told", [[], [{"command": "denoise"}], [{"command": "denoise", "inputs": [1]}]])
def test_an_odd_history_names_no_source(told):
    assert denoised_from(told) == {}


def test_images_of_the_source_are_found_beside(made, copied):
    assert before([made / "image.mdf"]) == [{"reconstruction": "scan.reconstruction.mdf"}]
    assert before([made / "scan.reconstruction.mdf"]) == [{}]
    (copied / "scan.reconstruction.mdf").write_text("damaged")
    assert before([copied / "image.mdf"]) == [{}]


def test_the_order_of_related_images_does_not_matter(made):
    files = [made / "image.mdf", made / "scan.reconstruction.mdf"]
    assert before(files) == [{"reconstruction": "scan.reconstruction.mdf"}, {}]
    assert before(files[::-1]) == [{}, {"reconstruction": "scan.reconstruction.mdf"}]


def test_images_of_another_scan_are_not_taken_for_those_before(made):
    history = history_of(made / "image.mdf")
    others = {made / "sm.mdf": [reconstruction_record(made / "sm.mdf")]}
    found = imaged_before(made / "nowhere" / "image.mdf", history, others)
    assert found is None


def test_of_two_unrelated_reconstructions_the_first_one_is_before(tmp_path):
    files = [write_reconstruction(tmp_path / f"{name}.mdf", np.ones((1, 1, 4, 5))) for name in "ab"]
    assert before(files) == [{}, {"reconstruction": "a.mdf"}]
    third = write_reconstruction(tmp_path / "c.mdf", np.ones((1, 1, 4, 5)))
    assert before([*files, third]) == [{}, {}, {}]


def test_a_file_that_is_named_goes_first(made):
    found = before([made / "scan.harmonic.mdf", made / "image.mdf"], made / "scan.mdf")
    assert found[0] == {"measurement": "scan.mdf"}
    found = before([made / "scan.mdf"], made / "scan.harmonic.mdf")
    assert found == [{"measurement": "scan.harmonic.mdf"}]


@pytest.mark.parametrize(
    ("files", "named", "words"),
    [
        (["scan.mdf", "scan.mdf"], [], "is named twice"),
        ([], [], "no file is named"),
        (["scan.harmonic.mdf"], ["sm.mdf"], "neither a measurement nor a reconstruction"),
        (["image.mdf"], ["scan.mdf"], "scan.mdf is a measurement, and no other file"),
        (["scan.mdf"], ["scan.mdf"], "no other file"),
    ],
)
def test_what_cannot_be_meant(made, files, named, words):
    with pytest.raises(UsageError, match=words):
        gather([made / name for name in files], [made / name for name in named])


def test_two_files_before_of_one_kind(made, copied):
    with pytest.raises(UsageError, match="two files with a measurement"):
        gather([made / "scan.harmonic.mdf"], [made / "scan.mdf", copied / "scan.mdf"])


def test_files_that_are_missing_or_none(tmp_path):
    (tmp_path / "text.mdf").write_text("text")
    for name in ("none.mdf", "text.mdf"):
        with pytest.raises(mdf.MdfError, match=name):
            look_at(tmp_path / name)
    with pytest.raises(InputError, match="there is no such file"):
        look_at(tmp_path / "none.jsonl")
