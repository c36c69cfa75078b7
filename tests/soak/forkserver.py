"""Runs commands of mpikit, each in a forked child: imports are paid once, and a child may be killed.

JSON lines in: {"arguments", "folder", "kill_after", "limits"}.
JSON lines out: {"code", "seconds", "out", "err"}.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path

PRELOADED = (
    "h5py",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "scipy.signal",
    "scipy.sparse.linalg",
    "torch",
    "mpikit.cli",
    "mpikit.compare",
    "mpikit.denoise_file",
    "mpikit.experiments",
    "mpikit.reconstruct",
    "mpikit.report",
    "mpikit.simulate",
    "mpikit.train",
)
POLL = 0.0005  # s


def main() -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    from mpikit.plugins import registry

    for offers in registry().denoisers.values():
        for offer in offers:
            offer.record.build(offer.record.options())
    import numpy as np
    import scipy.linalg

    # BLAS takes its buffers at the first call, and ends the process when there is no room for them
    square = np.ones((300, 300))
    scipy.linalg.blas.dgemm(1.0, square, square @ square)
    gc.freeze()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


def run(job: dict) -> dict:
    """Run one command; kill it with all its children after some seconds, if asked."""
    # pipes, for a limit on the size of files would hold for files
    heard = {"out": _Heard(), "err": _Heard()}
    begun = time.perf_counter()
    child = os.fork()
    if child == 0:
        _child(job, heard["out"].end, heard["err"].end)
    for each in heard.values():
        each.begin()
    status = _wait(child, job.get("kill_after"))
    seconds = time.perf_counter() - begun
    code = os.waitstatus_to_exitcode(status)
    return {"code": code, "seconds": seconds, **{name: each.text() for name, each in heard.items()}}


class _Heard:
    """What comes out of a pipe, read by a thread so that the pipe never fills."""

    def __init__(self) -> None:
        self._source, self.end = os.pipe()
        self._content = b""
        self._thread = threading.Thread(target=self._read)

    def begin(self) -> None:
        os.close(self.end)
        self._thread.start()

    def text(self) -> str:
        self._thread.join()
        return self._content.decode(errors="replace")

    def _read(self) -> None:
        with os.fdopen(self._source, "rb") as source:
            self._content = source.read()


def _wait(child: int, kill_after: float | None) -> int:
    if kill_after is not None:
        deadline = time.perf_counter() + kill_after
        while time.perf_counter() < deadline:
            found, status = os.waitpid(child, os.WNOHANG)
            if found:
                return status
            time.sleep(POLL)
        _kill(child)
    return os.waitpid(child, 0)[1]


def _kill(child: int) -> None:
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:  # it has not made its group yet
        os.kill(child, signal.SIGKILL)


def _child(job: dict, out: int, err: int) -> None:
    try:
        os.setsid()
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(job["folder"])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for name, limit in (job.get("limits") or {}).items():
            _limit(name, limit)
        sys.argv = ["mpikit", *job["arguments"]]
        os._exit(_code())
    finally:
        os._exit(99)  # never back into the loop of the server


def _code() -> int:
    from mpikit.cli import main as command

    try:
        command()
    except SystemExit as end:
        code = end.code
        sys.stdout.flush()
        sys.stderr.flush()
        return code if isinstance(code, int) else 0 if code is None else 1
    except BaseException:  # noqa: BLE001 - a bug: shown as Python shows it, with its exit code
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
        return 1
    return 0


def _limit(name: str, limit: int) -> None:
    if name == "memory":  # bytes beyond what the process has now
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit += pages * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    elif name == "file_size":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python does by itself: EFBIG, not an end
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    else:
        raise ValueError(name)


if __name__ == "__main__":
    main()
