"""What the machine has, and what an error says that it lacks."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from mpikit.resources import physical_memory, shortage


def test_the_memory_of_this_machine():
    assert physical_memory() > 1 << 26


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError("Unable to allocate 3 GiB"), "out of memory: Unable to allocate 3 GiB"),
        (MemoryError(), "out of memory"),
        (RuntimeError("can't start new thread"), "out of memory: can't start"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "out of memory"),
        (ImportError("x.so: failed to map segment from shared object"), "out of memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out of memory"),
        (OSError(errno.ENOSPC, "No space left on device", "a.mdf"), "no room on the disk for a.mdf"),
        (FileNotFoundError(2, "No usable temporary directory found in ['/tmp']"), "no room on the disk"),
        (OSError(errno.EMFILE, "Too many open files"), "too many open files"),
    ],
)
def test_what_is_lacking(error, words):
    found = shortage(error)
    assert found.text.startswith(words)
    assert found.hint
    assert found.exit_code == (5 if "memory" in words else 3)


@pytest.mark.parametrize("error", [ValueError("no"), RuntimeError("x"), FileNotFoundError(2, "No such file")])
def test_other_errors_are_no_shortage(error):
    assert shortage(error) is None


@pytest.mark.parametrize(("spare", "expected"), [(1 << 20, True), (1 << 34, False)])
def test_a_process_at_its_limit(spare, expected):
    code = (
        "import resource; from mpikit.resources import shortage\n"
        "pages = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        f"resource.setrlimit(resource.RLIMIT_AS, (pages + {spare},) * 2)\n"
        "print(shortage(SystemError('error return without exception set')) is not None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(expected)]
