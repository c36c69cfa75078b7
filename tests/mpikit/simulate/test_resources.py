"""What no machine can do is refused, what it can do is not."""

import os
import shutil

import pytest

from mpikit.errors import UsageError
from mpikit.simulate.resources import check_disk, check_memory


def test_memory():
    check_memory(1e3, "a little")
    with pytest.raises(UsageError, match=r"a house would need 9.31e\+14 GiB of memory") as caught:
        check_memory(1e24, "a house")
    assert "fewer voxels" in caught.value.hint


@pytest.mark.parametrize(("pages", "enough"), [(100, False), (111, False), (112, True), (200, True)])
def test_a_tenth_of_the_memory_is_left(monkeypatch, pages, enough):
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 1 << 20, "SC_PHYS_PAGES": pages}.__getitem__)
    if enough:
        check_memory(100 * 2**20, "it")
        return
    with pytest.raises(UsageError, match=r"it would need 0.0977 GiB of memory, this machine has 0\.\d+ GiB"):
        check_memory(100 * 2**20, "it")


def test_a_system_that_does_not_say_refuses_nothing(monkeypatch):
    def unknown(name):
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", unknown)
    check_memory(1e24, "a house")


def test_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(3e9, 2e9, 1e9))
    check_disk(tmp_path / "scan.mdf", 0.999e9)
    with pytest.raises(UsageError, match=r"scan.mdf would take 1.02 GiB, its disk has 0.931 GiB") as caught:
        check_disk(tmp_path / "scan.mdf", 1.1e9)
    assert "--output" in caught.value.hint


def test_a_real_disk(tmp_path):
    check_disk(tmp_path / "scan.mdf", 1)
    with pytest.raises(UsageError):
        check_disk(tmp_path / "scan.mdf", 1e24)
