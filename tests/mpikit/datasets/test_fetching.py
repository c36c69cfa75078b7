"""Data sets from a server on this machine: whole, in parts, changed, wrong, absent."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import socket
import sys
from collections import namedtuple

import numpy as np
import pytest

from mpikit.datasets import fetch, fetched_path, place, plan
from mpikit.datasets.receipts import read_receipt
from mpikit.errors import InputError, PluginError, UsageError
from mpikit.events import Finding, Step
from mpikit.extras import install_hint

FILE = "some/scan.mdf"
SIZE = 3_400_000
CUT = 1_300_000


@pytest.fixture
def content(rng):
    return rng.integers(0, 256, SIZE, dtype=np.uint8).tobytes()


@pytest.fixture
def scan(server, content):
    """Serve one data set, with an ETag."""
    server.files[FILE] = content
    server.tags[FILE] = '"first"'
    return server.dataset()


def digest(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def names(folder):
    return sorted(path.name for path in (folder / "some").iterdir())


def interrupted(server, scan, folder):
    """Fetch a part of the data set."""
    server.cut = CUT
    with pytest.raises(InputError, match=r"scan has come in part.*broke") as stopped:
        fetch(scan, folder=folder)
    assert "goes on" in stopped.value.hint
    assert names(folder) == ["scan.mdf.part", "scan.mdf.part.json"]
    server.cut = None
    server.asked.clear()
    server.sent = 0
    return (folder / "some" / "scan.mdf.part").stat().st_size


def test_a_whole_file(server, scan, content, tmp_path):
    events = []
    path = fetch(scan, folder=tmp_path, tell=events.append)
    assert path == tmp_path / "some" / "scan.mdf" == place(scan, tmp_path)
    assert path.read_bytes() == content
    assert names(tmp_path) == ["scan.mdf", "scan.mdf.json"]
    assert isinstance(events[0], Finding)
    assert (events[0].name, events[0].value) == ("size", SIZE)
    assert "scan: 3.4 MB, to" in events[0].text
    steps = [event for event in events if isinstance(event, Step)]
    assert [(step.index, step.total) for step in steps] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    receipt = read_receipt(path)
    assert (receipt.url, receipt.size, receipt.hash) == (scan.url, SIZE, digest(content))


def test_a_new_file_is_not_condemned_by_the_receipt_of_the_old_one(
    server, scan, content, tmp_path, monkeypatch
):
    """Killed between the two, it has no receipt, and gets one."""
    path = fetch(scan, folder=tmp_path)
    server.files[FILE] = new = content[::-1]
    server.tags[FILE] = '"second"'

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("mpikit.datasets.fetching.write_receipt", killed)
        with pytest.raises(KeyboardInterrupt):
            fetch(scan, folder=tmp_path, force=True)
    assert fetch(scan, folder=tmp_path) == path
    assert path.read_bytes() == new
    assert read_receipt(path).hash == digest(new)


def test_the_second_time_nothing_is_asked(server, scan, tmp_path):
    first = fetch(scan, folder=tmp_path)
    server.asked.clear()
    events = []
    assert fetch(scan, folder=tmp_path, tell=events.append) == first
    assert server.asked == []
    assert [event.name for event in events] == ["fetched"]
    assert fetched_path(scan, tmp_path) == first


def test_an_interrupted_download_goes_on(server, scan, content, tmp_path):
    come = interrupted(server, scan, tmp_path)
    assert come == CUT
    events = []
    path = fetch(scan, folder=tmp_path, tell=events.append)
    assert path.read_bytes() == content
    assert server.asked == [(f"/{FILE}", f"bytes={come}-")]
    assert server.sent == SIZE - come
    assert "1.3 MB of it are here" in events[0].text
    assert names(tmp_path) == ["scan.mdf", "scan.mdf.json"]


def test_ctrl_c_keeps_what_has_come(server, scan, content, tmp_path):
    def stop(event):
        if isinstance(event, Step) and event.index == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(scan, folder=tmp_path, tell=stop)
    assert names(tmp_path) == ["scan.mdf.part", "scan.mdf.part.json"]
    server.asked.clear()
    assert fetch(scan, folder=tmp_path).read_bytes() == content
    assert server.asked == [(f"/{FILE}", "bytes=2000000-")]


def test_a_part_that_is_whole_is_not_sent_again(server, scan, content, tmp_path):
    interrupted(server, scan, tmp_path)
    (tmp_path / "some" / "scan.mdf.part").write_bytes(content)
    assert fetch(scan, folder=tmp_path).read_bytes() == content
    assert server.sent == 0


@pytest.mark.parametrize("obeys", [True, False], ids=["If-Range is obeyed", "If-Range is ignored"])
def test_a_file_that_changed_between_the_parts(server, scan, content, tmp_path, obeys):
    interrupted(server, scan, tmp_path)
    server.files[FILE] = other = content[::-1]
    server.tags[FILE] = '"second"'
    server.conditions = obeys
    events = []
    assert fetch(scan, folder=tmp_path, tell=events.append).read_bytes() == other
    assert events[0].name == "restart"
    assert events[1].value == SIZE


def test_a_server_that_cannot_send_parts(server, scan, content, tmp_path):
    interrupted(server, scan, tmp_path)
    server.ranges = False
    assert fetch(scan, folder=tmp_path).read_bytes() == content
    assert len(server.asked) == 2
    assert server.asked[1][1] is None


def test_a_server_that_sends_another_part_than_was_asked_for(server, scan, content, tmp_path):
    interrupted(server, scan, tmp_path)
    server.shift = 7
    assert fetch(scan, folder=tmp_path).read_bytes() == content


@pytest.mark.parametrize("tag", ["", 'W/"weak"'])
def test_without_a_sure_version_it_starts_anew(server, scan, content, tmp_path, tag):
    server.tags[FILE] = tag
    interrupted(server, scan, tmp_path)
    assert fetch(scan, folder=tmp_path).read_bytes() == content
    assert server.asked == [(f"/{FILE}", None)]


def test_another_address_starts_anew(server, scan, content, tmp_path):
    interrupted(server, scan, tmp_path)
    server.files["other/scan.mdf"] = content
    moved = server.dataset(official_hash=digest(content))
    object.__setattr__(moved, "url", f"{server.address}/other/scan.mdf")
    assert fetch(moved, folder=tmp_path).read_bytes() == content
    assert server.asked == [("/other/scan.mdf", None)]


def test_a_server_that_does_not_tell_the_length(server, scan, content, tmp_path):
    server.says_length = False
    events = []
    assert fetch(scan, folder=tmp_path, tell=events.append).read_bytes() == content
    assert "an unknown size" in events[0].text


def test_a_file_that_is_not_there(server, scan, tmp_path):
    server.files.clear()
    with pytest.raises(
        InputError, match=r"scan cannot be fetched: http.*/some/scan\.mdf answers 404"
    ) as wrong:
        fetch(scan, folder=tmp_path)
    assert "moved or removed" in wrong.value.hint
    assert fetched_path(scan, tmp_path) is None


def test_a_404_keeps_the_part(server, scan, content, tmp_path):
    interrupted(server, scan, tmp_path)
    server.status = 404
    with pytest.raises(InputError, match="404"):
        fetch(scan, folder=tmp_path)
    server.status = 0
    assert fetch(scan, folder=tmp_path).read_bytes() == content
    assert server.sent == SIZE - CUT


def test_a_server_in_trouble(server, scan, tmp_path):
    server.status = 503
    with pytest.raises(InputError, match="answers 503") as wrong:
        fetch(scan, folder=tmp_path)
    assert "later" in wrong.value.hint


def test_no_network(server, scan, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    object.__setattr__(scan, "url", f"http://127.0.0.1:{port}/scan.mdf")
    with pytest.raises(InputError, match=f"no connection to 127.0.0.1:{port}") as wrong:
        fetch(scan, folder=tmp_path)
    assert names(tmp_path) == []
    assert "network" in wrong.value.hint


def test_a_server_that_keeps_silent(scan, tmp_path, monkeypatch):
    monkeypatch.setattr("mpikit.datasets.download.TIMEOUT", (1, 0.05))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        object.__setattr__(scan, "url", f"http://127.0.0.1:{silent.getsockname()[1]}/scan.mdf")
        with pytest.raises(InputError, match="does not answer"):
            fetch(scan, folder=tmp_path)


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_wrong_published_hash(server, scan, content, tmp_path, algorithm):
    right = f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
    assert fetch(server.dataset(official_hash=right), folder=tmp_path / "right").read_bytes() == content
    server.files[FILE] = content[:-1] + b"?"
    with pytest.raises(InputError, match="removed again: its hash is not the published one") as wrong:
        fetch(server.dataset(official_hash=right), folder=tmp_path)
    assert "not the published one" in wrong.value.hint
    assert names(tmp_path) == []


def test_the_hash_of_the_first_download_holds(server, scan, content, tmp_path):
    path = fetch(scan, folder=tmp_path)
    path.unlink()
    server.files[FILE] = content[::-1]
    with pytest.raises(InputError, match="not that of the first download") as wrong:
        fetch(scan, folder=tmp_path)
    assert "--force" in wrong.value.hint
    assert names(tmp_path) == ["scan.mdf.json"]
    assert fetch(scan, folder=tmp_path, force=True).read_bytes() == content[::-1]
    assert read_receipt(path).hash == digest(content[::-1])


def test_a_file_that_was_damaged_later_is_removed(scan, content, tmp_path):
    path = fetch(scan, folder=tmp_path)
    path.write_bytes(content[:-1])
    with pytest.raises(InputError, match="has changed since it was fetched, and is removed") as wrong:
        fetch(scan, folder=tmp_path)
    assert wrong.value.hint == "mpikit datasets fetch scan gets it again"
    assert names(tmp_path) == ["scan.mdf.json"]
    assert fetch(scan, folder=tmp_path).read_bytes() == content


def test_force_keeps_the_old_file_until_the_new_one_is_there(server, scan, content, tmp_path):
    path = fetch(scan, folder=tmp_path)
    server.files[FILE] = content[::-1]
    server.cut = CUT
    with pytest.raises(InputError, match="in part"):
        fetch(scan, folder=tmp_path, force=True)
    assert path.read_bytes() == content
    server.cut = None
    assert fetch(scan, folder=tmp_path, force=True).read_bytes() == content[::-1]


def test_a_file_put_there_by_hand_gets_a_receipt(server, scan, content, tmp_path):
    path = place(scan, tmp_path)
    path.parent.mkdir()
    path.write_bytes(content)
    assert fetch(scan, folder=tmp_path) == path
    assert server.asked == []
    assert read_receipt(path).hash == digest(content)


@pytest.mark.parametrize("damage", ["{", "[]", '{"hash": 3}', '{"url":"","fetched":"","size":1,"hash":"x"}'])
def test_a_damaged_receipt(scan, tmp_path, damage):
    path = fetch(scan, folder=tmp_path)
    path.with_name("scan.mdf.json").write_text(damage)
    with pytest.raises(InputError, match=r"scan\.mdf\.json"):
        fetch(scan, folder=tmp_path)


def test_no_space(scan, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(InputError, match=r"scan needs 3\.4 MB, but .*1 MB free") as wrong:
        fetch(scan, folder=tmp_path)
    assert "MPIKIT_DATASETS" in wrong.value.hint
    assert fetched_path(scan, tmp_path) is None


def test_a_disk_that_gets_full(server, scan, content, tmp_path, monkeypatch):
    def full(handle):
        if os.fstat(handle).st_size > CUT:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(InputError, match="is full"):
            fetch(scan, folder=tmp_path)
    assert fetch(scan, folder=tmp_path).read_bytes() == content


def test_a_cache_that_cannot_be_written(scan, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be made") as wrong:
        fetch(scan, folder=tmp_path / "file")
    assert "--cache" in wrong.value.hint
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    with pytest.raises(InputError, match="is read-only"):
        fetch(scan, folder=tmp_path)


def test_more_than_the_file_may_have(server, content, tmp_path):
    server.files[FILE] = content
    small = server.dataset(size=SIZE // 5)  # four times that are too few
    with pytest.raises(InputError, match=r"the server has 3\.4 MB, expected 2\.72 MB at most"):
        fetch(small, folder=tmp_path)
    server.says_length = False
    with pytest.raises(InputError, match=r"sends more than 2\.72 MB"):
        fetch(small, folder=tmp_path)
    assert names(tmp_path) == []
    server.says_length = True
    assert fetch(server.dataset(size=SIZE // 4), folder=tmp_path).stat().st_size == SIZE


def test_two_at_once(scan, tmp_path):
    def fetch_again(event):
        if isinstance(event, Step) and event.index == 1:
            with pytest.raises(InputError, match="scan is being fetched by another process"):
                fetch(scan, folder=tmp_path)

    assert fetch(scan, folder=tmp_path, tell=fetch_again).stat().st_size == SIZE


def test_without_the_extra(scan, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    monkeypatch.delenv("MPIKIT_DATASETS", raising=False)
    with pytest.raises(PluginError, match="needs pooch, which is not installed") as wrong:
        fetch(scan, folder=tmp_path)
    assert wrong.value.hint == install_hint("datasets")
    with pytest.raises(PluginError, match="pooch"):
        place(scan)
    assert place(scan, tmp_path) == tmp_path / "some" / "scan.mdf"


def test_pooch_says_nothing_of_its_own(scan, tmp_path, capfd):
    fetch(scan, folder=tmp_path)
    assert capfd.readouterr() == ("", "")


def test_the_plan_asks_for_the_size_alone(server, scan, tmp_path):
    told = plan(scan, folder=tmp_path)
    assert (told["size"], told["fetched"], told["begun"]) == (SIZE, False, 0)
    assert server.sent == 0
    come = interrupted(server, scan, tmp_path)
    assert plan(scan, folder=tmp_path)["begun"] == come
    fetch(scan, folder=tmp_path)
    server.files.clear()
    assert plan(scan, folder=tmp_path)["fetched"] is True


def test_an_unknown_name(tmp_path):
    with pytest.raises(UsageError, match="no data set is called 'openmpi-concentration-1'") as wrong:
        fetch("openmpi-concentration-1", folder=tmp_path)
    assert wrong.value.hint.startswith("did you mean 'openmpi-concentration-1d'?")


def test_the_receipt_is_json_for_people(scan, tmp_path):
    path = fetch(scan, folder=tmp_path)
    kept = json.loads(path.with_name("scan.mdf.json").read_text())
    assert set(kept) == {"url", "fetched", "size", "hash"}
    assert kept["fetched"].endswith("+00:00")
