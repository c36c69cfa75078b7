"""Trees of groups that are too large, too deep, or damaged: the walk ends, and says where."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import mdf
from mdf.rules import tree

DATA, GRADIENT = "/measurement/data", "/acquisition/gradient"


def found(path, rule):
    return [(each.severity, each.path, each.message) for each in mdf.validate(path) if each.rule == rule]


def test_the_number_of_names_is_bounded(made, monkeypatch):
    path = made({})
    assert found(path, "F11") == []
    monkeypatch.setattr(tree, "_MOST_NODES", 50)
    with h5py.File(path, "r+") as hdf:
        for place in range(60):
            hdf[f"/_own/{place}"] = place
        hdf["/study/odd"] = 1
    problems = found(path, "F11")
    assert [(severity, message) for severity, _, message in problems if "first" in message] == [
        ("note", "only the first 50 names of the file are checked")
    ]


@pytest.mark.parametrize(("depth", "is_told"), [(64, False), (65, True)])
def test_the_depth_is_bounded(made, depth, is_told):
    path = made({})
    with h5py.File(path, "r+") as hdf:
        hdf.create_group("/_own" + "/x" * (depth - 1))
    deepest = "/_own" + "/x" * 64
    expected = [("error", deepest, "groups are nested more than 64 deep")] if is_told else []
    assert found(path, "F01") == expected


def test_a_dataset_whose_description_is_damaged(made):
    path = made({})
    with h5py.File(path) as hdf:
        place = h5py.h5o.get_info(hdf[GRADIENT].id).addr
    raw = bytearray(path.read_bytes())
    raw[place] = 0xEE  # the version of the description
    path.write_bytes(raw)
    (problem,) = found(path, "F01")
    assert problem[:2] == ("error", GRADIENT)
    assert problem[2].startswith("cannot be read: ")
    with mdf.open(path) as file:
        with pytest.raises(mdf.MdfError, match=f"{GRADIENT} cannot be read"):
            _ = file.acquisition.gradient
        np.testing.assert_array_equal(file.read_signal([4])[0, 2, 1], np.arange(290, 300))


def test_a_link_of_a_kind_that_nobody_knows(made, tmp_path):
    path = made({})
    with h5py.File(path, "r+") as hdf:
        hdf["/_own/link"] = h5py.ExternalLink("elsewhere.h5", "/there")
    raw = bytearray(path.read_bytes())
    name = raw.index(b"\x04link")
    kind = raw.rindex(b"\x40", name - 16, name)  # 64, a link to another file
    raw[kind] = 0xC8
    path.write_bytes(raw)
    (problem,) = found(path, "F01")
    assert problem[:2] == ("error", "/_own/link")
    assert problem[2].startswith("cannot be read: ")
