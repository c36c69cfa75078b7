"""Files that are complete or absent."""

import errno
import os
import resource
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mdf.temporary
from mpikit.errors import InputError, UsageError
from mpikit.files import (
    check_output,
    is_input,
    named_once,
    planning,
    reading,
    refuse_inputs,
    write_atomically,
)
from mpikit.made_here import PNG, is_made_here, software


@pytest.fixture
def target(tmp_path):
    return tmp_path / "result.bin"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=3000))
def test_what_is_written_is_read(tmp_path, content):
    path = tmp_path / "any.bin"
    write_atomically(path, content, overwrite=True)
    assert path.read_bytes() == content
    assert names(tmp_path) == ["any.bin"]


def test_an_existing_file_is_kept_unless_asked(target):
    target.write_bytes(b"old")
    with pytest.raises(InputError, match="exists already") as caught:
        write_atomically(target, b"new")
    assert "--force" in caught.value.hint
    assert target.read_bytes() == b"old"
    write_atomically(target, b"new", overwrite=True)
    assert target.read_bytes() == b"new"


def test_a_file_that_appears_meanwhile_is_kept(target, monkeypatch):
    """Somebody else writes it while this one is on its way to the disk."""

    def somebody(_):
        target.write_bytes(b"theirs")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", somebody)
        with pytest.raises(InputError, match="exists already"):
            write_atomically(target, b"ours")
    assert target.read_bytes() == b"theirs"
    assert names(target.parent) == ["result.bin"]


def test_a_file_system_without_links(target, monkeypatch):
    def refused(*_):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refused)
    write_atomically(target, b"new")
    assert target.read_bytes() == b"new"
    assert names(target.parent) == ["result.bin"]


def test_a_file_that_appears_on_a_file_system_without_links_is_kept(target, monkeypatch):
    def somebody(*_):
        target.write_bytes(b"theirs")
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", somebody)
    with pytest.raises(InputError, match="exists already"):
        write_atomically(target, b"ours")
    assert target.read_bytes() == b"theirs"
    assert names(target.parent) == ["result.bin"]


def test_what_a_killed_process_left_is_removed(target, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 2**22 + 1)  # more than Linux gives
        left = mdf.temporary.claim(target)
        left.write_bytes(b"half")
        mdf.temporary._ours.discard(left.name)  # it is gone, and all that it knew
    (mine := target.parent / ".result.bin.partial").write_bytes(b"of the user")
    write_atomically(target, b"new")
    assert names(target.parent) == [mine.name, "result.bin"]


def test_what_another_process_is_writing_stays(target, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", os.getppid)
        theirs = mdf.temporary.claim(target)
        mdf.temporary._ours.discard(theirs.name)
    theirs.write_bytes(b"half")
    write_atomically(target, b"new")
    assert theirs.read_bytes() == b"half"


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("before", [None, b"old"])
def test_nothing_is_left_of_a_write_that_fails(target, monkeypatch, step, before):
    if before is not None:
        target.write_bytes(before)
    kept = names(target.parent)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[step], full)
    with pytest.raises(InputError, match=r"cannot be written: No space left on device"):
        write_atomically(target, b"new", overwrite=True)
    assert names(target.parent) == kept
    assert before is None or target.read_bytes() == before


def test_nothing_is_left_of_a_write_that_is_interrupted(target, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(target, b"new")
    assert names(target.parent) == []


def test_a_disk_that_fills_up_half_way(target):
    """The kernel refuses to let any file grow beyond a limit, as a quota would."""
    import signal

    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        with pytest.raises(InputError, match="cannot be written"):
            write_atomically(target, bytes(1 << 18))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert names(target.parent) == []


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077, 0o002])
def test_the_mode_is_that_of_any_new_file(target, mask):
    before = os.umask(mask)
    try:
        write_atomically(target, b"x")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~mask


def test_the_umask_is_never_touched(target, monkeypatch):
    """It is of the whole process: a thread that makes a file meanwhile would make one that all may write."""

    def changed(_):
        raise AssertionError("the umask was changed")

    monkeypatch.setattr(os, "umask", changed)
    write_atomically(target, b"x")
    write_atomically(target, b"y", overwrite=True)


def test_a_folder_that_must_not_be_synced_takes_files_too(target, monkeypatch):
    """Its file is in its place, whether or not the system says that the name is on the disk."""
    sync = os.fsync

    def refused(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        sync(handle)

    monkeypatch.setattr(os, "fsync", refused)
    write_atomically(target, b"x")
    assert target.read_bytes() == b"x"


def test_the_target_appears_only_when_it_is_complete(target, monkeypatch):
    seen = []
    write = os.fsync

    def watch(handle):
        seen.append((target.exists(), os.fstat(handle).st_size))
        write(handle)

    monkeypatch.setattr(os, "fsync", watch)
    write_atomically(target, b"12345")
    assert seen[0] == (False, 5)


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize(
    "kind", ["itself", "symlink", "hard link", "other spelling", "through a linked folder"]
)
def test_an_output_that_is_an_input_is_refused(target, kind, overwrite):
    target.write_bytes(b"data")
    folder = target.parent
    if kind == "symlink":
        (output := folder / "link.bin").symlink_to(target)
    elif kind == "hard link":
        (output := folder / "hard.bin").hardlink_to(target)
    elif kind == "through a linked folder":
        (folder / "elsewhere").symlink_to(folder, target_is_directory=True)
        output = folder / "elsewhere" / target.name
    else:
        output = {"itself": target, "other spelling": folder / ".." / folder.name / target.name}[kind]
    with pytest.raises(InputError, match="is an input"):
        check_output(output, inputs=(folder / "absent.bin", target), overwrite=overwrite)


def test_an_input_through_a_symlink_is_protected(target):
    target.write_bytes(b"data")
    (link := target.parent / "link.bin").symlink_to(target)
    with pytest.raises(InputError, match="is an input"):
        check_output(target, inputs=(link,), overwrite=True)


def test_what_is_being_read_is_an_input(target):
    target.write_bytes(b"plan")
    other = target.parent / "other.bin"
    other.write_bytes(b"other")
    with reading(other), reading(target, target.parent / "absent"):
        for path in (target, other):
            with pytest.raises(InputError, match="is an input"):
                write_atomically(path, b"new", overwrite=True)
    assert (target.read_bytes(), other.read_bytes()) == (b"plan", b"other")
    write_atomically(target, b"new", overwrite=True)


def test_an_input_is_known_by_its_place(target):
    target.write_bytes(b"data")
    (twin := target.parent / "twin.bin").write_bytes(b"data")
    (link := target.parent / "link.bin").symlink_to(target)
    absent = target.parent / "absent"
    assert is_input(link, [absent, twin, target])
    assert is_input(target, [link])
    assert not is_input(target, [twin, absent])
    assert not is_input(absent, [absent])


def test_several_outputs_and_one_is_an_input(target):
    target.write_bytes(b"data")
    folder = target.parent
    (link := folder / "link.bin").symlink_to(target)
    made = {folder / "a.out": folder / "a.bin", link: folder / "b.bin"}
    refuse_inputs(made, made.values())
    with pytest.raises(
        UsageError, match=r"the output of \S+b\.bin, \S+link\.bin, is the input \S+result\.bin"
    ):
        refuse_inputs(made, [folder / "a.bin", target])
    with reading(target), pytest.raises(UsageError, match="is the input"):
        refuse_inputs(made, [])


def test_the_hint_names_the_option(target):
    target.write_bytes(b"")
    with pytest.raises(InputError, match="exists already") as caught:
        check_output(target, option="--clean")
    assert caught.value.hint == "choose another name with --clean, or add --force"


def test_a_new_output_is_accepted(target):
    check_output(target)
    check_output(target, inputs=(target.parent / "absent.bin",))
    assert names(target.parent) == []


def test_places_where_nothing_can_be_written(target, monkeypatch):
    folder = target.parent
    with pytest.raises(InputError, match="is a folder"):
        check_output(folder, overwrite=True)
    with pytest.raises(InputError, match="does not exist"):
        check_output(folder / "absent" / "x.bin")
    target.write_bytes(b"")
    with pytest.raises(InputError, match="does not exist"):
        check_output(target / "x.bin")
    with pytest.raises(InputError, match="cannot be written"):
        check_output(folder / ("x" * 300))
    monkeypatch.setattr(os, "access", lambda path, mode: (Path(path), mode) != (folder, os.W_OK))
    with pytest.raises(InputError, match="read-only"):
        check_output(folder / "x.bin")


def test_a_plan_notes_what_exists_and_refuses_the_rest(tmp_path):
    there = tmp_path / "there.txt"
    there.touch()
    with planning() as taken:
        check_output(there, option="--clean")
        check_output(there, overwrite=True)
        check_output(tmp_path / "new.txt")
        with pytest.raises(InputError, match="is an input"):
            check_output(there, inputs=(there,))
    assert taken == [(there, "--clean")]
    with pytest.raises(InputError, match="exists already"):
        check_output(there)


@pytest.mark.parametrize("begin", ["", "{path}: ", "{absolute}: ", "{name}: ", "{absolute}: {path}: "])
def test_a_file_is_named_once(begin, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("scans/a.mdf")
    message = begin.format(path=path, absolute=path.absolute(), name=path.name) + "it is damaged"
    assert named_once(path, message) == "scans/a.mdf: it is damaged"
    assert named_once(path, "a.mdf has no data") == "a.mdf has no data"


def test_what_was_made_here_says_so(tmp_path):
    path = tmp_path / "file"
    assert not is_made_here(path)
    for content in (b"", b"mpikit 1.0", PNG + b"tEXtSoftware\0Matplotlib", b"<!doctype html><p>mpikit 1.0"):
        path.write_bytes(content)
        assert not is_made_here(path)
    page = f'<!DOCTYPE html>\n<meta name="generator" content="{software()}">'.encode()
    for content in (PNG + f"tEXtSoftware\0{software()}".encode(), page):
        path.write_bytes(content)
        assert is_made_here(path)
