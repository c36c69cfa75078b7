"""Addresses that are allowed, and records that know hashes."""

from __future__ import annotations

import hashlib
import json

import pytest

from mpikit.datasets import fetch
from mpikit.datasets.web import Session
from mpikit.errors import InputError

CONTENT = b"digits" * 1000


@pytest.mark.parametrize(
    "url",
    [
        "http://media.tuhh.de/scan.mdf",
        "http://127.0.0.1.example.org/scan.mdf",
        "http://127.0.0.1:80@example.org/scan.mdf",
        "http://localhost.example.org/scan.mdf",
    ],
)
def test_only_https(server, tmp_path, url):
    scan = server.dataset()
    object.__setattr__(scan, "url", url)
    with pytest.raises(InputError, match="its address is not https"):
        fetch(scan, folder=tmp_path)


@pytest.mark.parametrize("url", ["ftp://media.tuhh.de/scan.mdf", "file:///etc/passwd", "scan.mdf"])
def test_no_other_protocol(server, tmp_path, url):
    scan = server.dataset()
    object.__setattr__(scan, "url", url)
    with pytest.raises(InputError, match=r"scan cannot be fetched|is not https"):
        fetch(scan, folder=tmp_path)


def test_a_redirection_on_this_machine(server, tmp_path):
    server.files["new/scan.mdf"] = CONTENT
    server.redirects["/some/scan.mdf"] = "/new/scan.mdf"
    assert fetch(server.dataset(), folder=tmp_path).read_bytes() == CONTENT


def test_no_redirection_to_http(server, tmp_path):
    server.redirects["/some/scan.mdf"] = "http://example.org/scan.mdf"
    with pytest.raises(InputError, match=r"http://example\.org/scan\.mdf is not fetched"):
        fetch(server.dataset(), folder=tmp_path)


def test_no_redirection_from_outside_to_this_machine(server):
    with Session("https://example.org/scan.mdf") as session, pytest.raises(InputError, match="not https"):
        session.get(f"{server.address}/scan.mdf")
    assert server.asked == []


def test_a_redirection_without_end(server, tmp_path):
    server.redirects["/some/scan.mdf"] = "/some/scan.mdf"
    with pytest.raises(InputError, match="redirects"):
        fetch(server.dataset(), folder=tmp_path)


@pytest.fixture
def recorded(server):
    """Serve a file and the record of it."""
    server.files["some/scan.mdf"] = CONTENT
    found = {
        "key": "scan.mdf",
        "size": len(CONTENT),
        "checksum": f"md5:{hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()}",
    }

    def publish(**changes):
        files = [{"key": "other"}, found | changes]
        server.files["record"] = json.dumps({"files": files}).encode()

    publish()
    return publish


def test_the_hash_of_a_record(server, recorded, tmp_path):
    scan = server.dataset(record=f"{server.address}/record")
    assert fetch(scan, folder=tmp_path).read_bytes() == CONTENT
    assert [path for path, _ in server.asked] == ["/record", "/some/scan.mdf"]
    recorded(checksum="md5:" + 32 * "0")
    with pytest.raises(InputError, match="its hash is not the published one, md5:0"):
        fetch(scan, folder=tmp_path, force=True)
    assert fetch(scan, folder=tmp_path).read_bytes() == CONTENT


def test_the_size_of_a_record(server, recorded, tmp_path):
    recorded(size=5999)
    with pytest.raises(InputError, match=r"the server has 6 kB \(6000\), expected 6 kB \(5999\)"):
        fetch(server.dataset(record=f"{server.address}/record"), folder=tmp_path)


@pytest.mark.parametrize(
    "changes",
    [{"key": "third"}, {"checksum": "crc:12"}, {"checksum": "md5:../.."}, {"size": -1}, {"size": ""}],
)
def test_a_record_that_does_not_know_the_file(server, recorded, tmp_path, changes):
    recorded(**changes)
    with pytest.raises(InputError, match="scan cannot be checked"):
        fetch(server.dataset(record=f"{server.address}/record"), folder=tmp_path)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"files": 3}', b"<html>", b" " * 4_200_000 + b"{}"])
def test_a_record_that_is_none(server, recorded, tmp_path, content):
    server.files["record"] = content
    with pytest.raises(InputError, match="scan cannot be checked"):
        fetch(server.dataset(record=f"{server.address}/record"), folder=tmp_path)
    assert "/some/scan.mdf" not in [path for path, _ in server.asked]


def test_a_record_that_is_gone(server, tmp_path):
    with pytest.raises(InputError, match="record answers 404"):
        fetch(server.dataset(record=f"{server.address}/record"), folder=tmp_path)


def test_a_mirror(server, recorded, tmp_path, monkeypatch):
    server.files["mirror/mpi-mnist/SM.tar.gz"] = CONTENT
    monkeypatch.setenv("MPIKIT_DATASETS_MIRROR", f"{server.address}/mirror/")
    monkeypatch.setenv("MPIKIT_DATASETS", str(tmp_path))
    assert fetch("mpi-mnist-calibrations") == tmp_path / "mpi-mnist" / "SM.tar.gz"
    assert [path for path, _ in server.asked] == ["/mirror/mpi-mnist/SM.tar.gz"]
