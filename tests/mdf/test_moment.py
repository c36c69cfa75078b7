"""With SOURCE_DATE_EPOCH the same work gives the same bytes, in another moment and in another place."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

import mdf
from mdf.moment import new_uuid, now

EPOCH = "SOURCE_DATE_EPOCH"
SOME_TRACER = {
    **{f"/tracer/{name}": ["a", "b"] for name in ("name", "batch", "vendor", "solute")},
    "/tracer/concentration": [0.1, 0.2],
    "/tracer/volume": [1e-6, 2e-6],
}


@pytest.fixture
def fixed(monkeypatch):
    monkeypatch.setenv(EPOCH, "1772446530")


def written(path: Path, contents, signal, **options) -> bytes:
    mdf.write(path, contents, signal, **options)
    return path.read_bytes()


def test_the_time_is_that_of_the_variable(fixed, tmp_path, contents, signal):
    assert now().isoformat() == "2026-03-02T10:15:30+00:00"
    mdf.write(tmp_path / "a.mdf", contents, signal)
    with mdf.open(tmp_path / "a.mdf") as file:
        assert file.time == "2026-03-02T10:15:30.000"
        assert file.repairs == ()


def test_the_same_content_gives_the_same_bytes(fixed, tmp_path, contents, signal):
    contents |= SOME_TRACER
    own = {"/_own": np.arange(3), "/study/_note": "mine"}
    whole = written(tmp_path / "a.mdf", contents, signal, user=own)
    assert written(tmp_path / "b.mdf", contents, signal, user=own) == whole
    with mdf.open(tmp_path / "a.mdf") as file:
        assert UUID(file.uuid).version == 4


def test_whatever_differs_gives_another_identity(fixed, tmp_path, contents, signal, monkeypatch):
    other = signal.copy()
    other[4, 2, 1, 9] += 1
    cases = {
        "as it is": (contents, signal, {}),
        "one sample": (contents, other, {}),
        "a text": (contents | {"/study/name": "another"}, signal, {}),
        "a number": (contents | {"/study/number": 7}, signal, {}),
        "a value of one's own": (contents, signal, {"user": {"/_own": 1}}),
        "another of them": (contents, signal, {"user": {"/_own": 2}}),
    }
    found = set()
    for place, (values, data, options) in enumerate(cases.values()):
        mdf.write(tmp_path / f"{place}.mdf", values, data, **options)
        with mdf.open(tmp_path / f"{place}.mdf") as file:
            found.add(file.uuid)
    monkeypatch.setenv(EPOCH, "1772446531")
    mdf.write(tmp_path / "later.mdf", contents, signal)
    with mdf.open(tmp_path / "later.mdf") as file:
        found.add(file.uuid)
    assert len(found) == len(cases) + 1


def test_a_value_that_is_replaced_counts(fixed, tmp_path, contents, signal):
    def identity(name: str, strength: float) -> str:
        with mdf.create(tmp_path / name, contents, num_frames=5) as out:
            out.append(signal)
            out.update("/acquisition/offsetField", np.full((3, 1, 3), strength))
        with mdf.open(tmp_path / name) as file:
            assert file.acquisition.offset_field[2, 0, 1] == strength
            return file.uuid

    assert identity("a.mdf", 0.25) == identity("b.mdf", 0.25) != identity("c.mdf", 0.5)


def test_an_identity_that_is_given_stays(fixed, tmp_path, contents, signal):
    given = "00000000-0000-4000-8000-00000000000a"
    mdf.write(tmp_path / "a.mdf", contents | {"/uuid": given}, signal)
    with mdf.open(tmp_path / "a.mdf") as file:
        assert file.uuid == given


@pytest.mark.parametrize("value", ["yesterday", "1e9", str(10**30), str(-(10**18))])
def test_a_moment_that_is_none(tmp_path, contents, signal, monkeypatch, value):
    monkeypatch.setenv(EPOCH, value)
    with pytest.raises(mdf.MdfError, match=f"{EPOCH} is '{value}', expected seconds since 1970") as caught:
        mdf.write(tmp_path / "a.mdf", contents, signal)
    assert caught.value.hint == f"unset {EPOCH}, or set it to a number"
    assert list(tmp_path.iterdir()) == []


def test_without_the_variable_every_identity_is_new(monkeypatch):
    monkeypatch.delenv(EPOCH, raising=False)
    assert len({new_uuid("the same") for _ in range(5)}) == 5
