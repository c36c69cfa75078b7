"""A part of a download is written to its own file, never through a link to another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpikit.datasets import fetch
from mpikit.errors import InputError

FILE = "some/scan.mdf"


@pytest.fixture
def victim(tmp_path):
    (tmp_path / "some").mkdir()
    precious = tmp_path / "precious.mdf"
    precious.write_bytes(b"irreplaceable")
    return precious


@pytest.fixture
def scan(server):
    server.files[FILE] = bytes(range(256)) * 40
    server.tags[FILE] = '"first"'
    return server.dataset()


@pytest.mark.parametrize("kind", ["symbolic", "hard", "dangling", "unseen"])
def test_a_link_in_place_of_a_part(scan, victim, tmp_path, monkeypatch, kind):
    part = tmp_path / "some" / "scan.mdf.part"
    if kind == "hard":
        part.hardlink_to(victim)
    else:
        part.symlink_to(tmp_path / "absent" if kind == "dangling" else victim)
    if kind == "unseen":  # it appears after the look
        monkeypatch.setattr(Path, "is_symlink", lambda _: False)
    with pytest.raises(InputError, match=r"scan\.mdf\.part"):
        fetch(scan, folder=tmp_path)
    assert victim.read_bytes() == b"irreplaceable"
    assert not (tmp_path / "absent").exists()
    monkeypatch.undo()
    part.unlink()
    assert fetch(scan, folder=tmp_path).read_bytes() == bytes(range(256)) * 40


@pytest.mark.parametrize("name", ["scan.mdf.part.json", "scan.mdf.json", "scan.mdf.new"])
def test_a_link_in_place_of_what_stands_beside(scan, victim, tmp_path, name):
    """These are replaced as a whole, so that a link goes and its target stays."""
    victim.write_text('{"url": "", "fetched": "", "size": 1, "hash": "sha256:0"}')
    before = victim.read_bytes()
    (tmp_path / "some" / name).symlink_to(victim)
    fetch(scan, folder=tmp_path, force=True)
    assert victim.read_bytes() == before
