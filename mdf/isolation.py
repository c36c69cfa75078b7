"""Validate in a process of its own: HDF5 can crash or run forever on files that were made to harm.

The child reads paths from its standard input, one JSON text a line, and answers each with one line: a JSON
list of problems. It limits its own memory, and an alarm ends it even inside of the HDF5 library.
"""

from __future__ import annotations

import json
import math
import os
import queue
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import IO, Self

from mdf.rules.problem import Problem, error
from mdf.validate import validate

SECONDS = 10.0
MEGABYTES = 500
_START = 60.0  # seconds that a busy machine may take to start Python
_GRACE = 2  # seconds after which a child without a parent ends itself
_READY = "ready"

# The child takes the parent's places of modules, and never the folder that it happens to stand in.
_PROGRAM = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from mdf.isolation import serve; serve()"


class Isolation:
    """A child process that validates file after file, replaced by a new one when it ends.

    Parameters
    ----------
    seconds : float
        Longest time for one file.
    megabytes : int
        Most memory, beyond what the child has after its start (not on Windows).

    Examples
    --------
    >>> with Isolation() as child:
    ...     [problem.rule for problem in child.validate("no-such-file.mdf")]
    ['F01']
    """

    def __init__(self, *, seconds: float = SECONDS, megabytes: int = MEGABYTES) -> None:
        self._seconds = seconds
        self._megabytes = megabytes
        self._child: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str] = queue.Queue()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def validate(self, path: str | Path) -> list[Problem]:
        """Check one file; see `mdf.validate`.

        Raises
        ------
        RuntimeError
            If no child process can be started.
        """
        child = self._child or self._start()
        with suppress(OSError):  # it has ended, the missing answer will tell
            child.stdin.write(json.dumps(os.path.abspath(path)) + "\n")  # type: ignore[union-attr] # noqa: PTH100
            child.stdin.flush()  # type: ignore[union-attr]
        answer = self._answer(self._seconds)
        if answer is None:
            self._stop()
            text = f"checking it took more than {self._seconds:g} s, and was stopped"
            return [error("F01", "/", text)]
        if not answer:
            return [error("F01", "/", f"checking it ended the process: {self._cause()}")]
        return [Problem(**problem) for problem in json.loads(answer)]

    def _start(self) -> subprocess.Popen[str]:
        limits = [f"{self._seconds:g}", str(self._megabytes)]
        self._answers = queue.Queue()
        self._child = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-c", _PROGRAM, json.dumps(sys.path), *limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="ascii",
        )
        Thread(target=_listen, args=(self._child.stdout, self._answers), daemon=True).start()
        if self._answer(_START) != _READY:
            self._stop()
            raise RuntimeError("no process can be started to check files in")
        return self._child

    def _answer(self, seconds: float) -> str | None:
        """Return the next line, an empty one when the child has ended, and None when time is up."""
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            return None

    def _cause(self) -> str:
        """Say how the child ended, and forget it."""
        assert self._child is not None  # noqa: S101
        code = self._child.wait()
        self._stop()
        if code >= 0:
            return f"exit code {code}"
        with suppress(ValueError):
            return signal.Signals(-code).name
        return f"signal {-code}"

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]


def _listen(pipe: IO[str], answers: queue.Queue[str]) -> None:
    with suppress(OSError, ValueError):
        for line in pipe:
            answers.put(line.strip())
    answers.put("")


def serve() -> None:
    """Be the child: answer each path on standard input with its problems."""
    seconds, megabytes = float(sys.argv[2]), int(sys.argv[3])
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nothing else may write into the answers
    limit_memory(megabytes)
    _say(out, _READY)
    for line in sys.stdin:
        _set_alarm(math.ceil(seconds) + _GRACE)
        problems = validate(json.loads(line))
        _set_alarm(0)
        _say(out, json.dumps([asdict(problem) for problem in problems]))


def _say(out: IO[str], text: str) -> None:
    out.write(text + "\n")
    out.flush()


def _set_alarm(seconds: int) -> None:
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def limit_memory(megabytes: int) -> None:
    """Let this process have this much more memory than it has now, where the system knows how to."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + megabytes * 2**20
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        if hard == resource.RLIM_INFINITY or most < hard:
            resource.setrlimit(resource.RLIMIT_AS, (most, hard))
