"""Runs cases in a forked child, which may crash, hang or take too much memory; run as a script with -m.

JSON lines in: {"kind", "first", "count"}. JSON lines out: what the cases gave.

    PYTHONPATH=tests/soak:tests/mdf python -m fuzz.crew KIND NUMBER

makes one case again, keeps it, and reads it in this process.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import io
import json
import mmap
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from fuzz.kinds import Kind, generator

SECONDS = 10.0  # of a processor, for one case
HANGS = 90.0  # s of the clock, on a busy machine
MEGABYTES = 1000  # more than there was before the first case
HARD = 2500  # MB at which the system refuses more


PRELOADED = (
    *("h5py", "PIL.Image", "scipy.ndimage", "scipy.signal", "scipy.sparse.linalg", "torch", "nibabel"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg"),
    *("mpikit.cli", "mpikit.convert", "mpikit.denoise_file", "mpikit.experiments.run", "mpikit.file_facts"),
    *("mpikit.reconstruct", "mpikit.reconstruct.cache", "mpikit.reconstruct.rerun", "mpikit.report.plot"),
    *("mpikit.report", "mpikit.scan_file", "mpikit.signal.repeats", "mpikit.training_log"),
)
# cases of the short and of the long run, by what they take: about 50,000 in a quarter of an hour
KINDS = {
    "mdf-structure": (80, 8_000),
    "mdf-bytes": (60, 8_000),
    "model": (100, 5_000),
    "checkpoint": (15, 1_000),
    "plan": (160, 3_000),
    "preset": (160, 3_500),
    "picture": (340, 7_000),
    "npy": (280, 5_000),
    "digits": (100, 3_000),
    "piece": (80, 2_500),
    "results": (60, 1_500),
    "history": (20, 1_000),
    "receipt": (50, 1_000),
    "log": (40, 1_000),
    "cache": (40, 1_000),
    "images": (80, 3_000),
    "mdf-used": (20, 1_200),
    "mdf-drawn": (6, 250),
}
# Crashes and hangs inside of HDF5 that a share of a kind may have: they are none of ours to mend. Known is
# one, a hang in an attribute of a damaged cache file, in 51,500 cases.
MOST_IN_HDF5 = 2


def kinds() -> dict[str, Kind]:
    """Return all kinds by their names."""
    from fuzz import arrays, hdf5, images, jsons, models, texts, uses

    modules = (hdf5, models, texts, arrays, jsons, images, uses)
    found = {kind.name: kind for module in modules for kind in module.KINDS}
    assert set(found) == set(KINDS)
    return found


def main() -> None:
    for name in PRELOADED:  # paid once, and not by the first case of every child
        importlib.import_module(name)
    known = kinds()
    if len(sys.argv) > 1:
        again(known[sys.argv[1]], int(sys.argv[2]))
        return
    out = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        job = json.loads(line)
        found = run(known[job["kind"]], job["first"], job["count"])
        print(json.dumps(found), file=out, flush=True)


def again(kind: Kind, number: int) -> None:
    """Make one case and read it, without any net."""
    folder = Path(tempfile.mkdtemp(prefix=f"{kind.name}-{number}-"))
    sys.stdout.write(f"in {folder}\n")
    path = kind.make(generator(kind.name, number), folder)
    kind.read(path)


def run(kind: Kind, first: int, count: int) -> dict[str, Any]:
    """Run cases, with a new child after each one that died."""
    begun = time.perf_counter()
    found: dict[str, Any] = {"kind": kind.name, "cases": count, "refused": 0, "read": 0, "slowest": 0.0}
    found |= {"findings": {}, "library": {}, "unmade": 0}
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        here, end = first, first + count
        while here < end:
            here = _one_child(kind, here, end, Path(name), found)
    found["seconds"] = time.perf_counter() - begun
    return found


def _one_child(kind: Kind, first: int, end: int, folder: Path, found: dict[str, Any]) -> int:
    """Let a child work as far as it comes; return the number of the next case."""
    place = mmap.mmap(-1, 8)
    stack = (folder / "stack").open("w+")
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(source)
        _child(kind, range(first, end), folder / "case", place, sink, stack)
    os.close(sink)
    with os.fdopen(source) as pipe:
        for line in pipe:
            _count(found, json.loads(line))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    number = int.from_bytes(place[:8], "little")
    if code == 0:
        return number + 1
    _blame(kind, number, code, stack, found)
    return number + 1


def _count(found: dict[str, Any], said: dict[str, Any]) -> None:
    for name in ("refused", "read", "unmade"):
        found[name] += said.get(name, 0)
    found["slowest"] = max(found["slowest"], said.get("slowest", 0.0))
    for text, numbers in said.get("findings", {}).items():
        found["findings"].setdefault(text, []).extend(numbers)


def _blame(kind: Kind, number: int, code: int, stack: Any, found: dict[str, Any]) -> None:
    """Tell what a child died of; in HDF5 it is not ours, and is counted apart."""
    stack.seek(0)
    lines = [line.strip() for line in stack.read().splitlines() if line.startswith("  File")]
    what = "took too long" if code == 1 else signal.Signals(-code).name if code < 0 else f"exit code {code}"
    in_library = kind.of_hdf5 and bool(lines) and "/h5py/" in lines[0]
    own = next((line for line in lines if "/mdf/" in line or "/mpikit/" in line), "")
    where = own if in_library else " < ".join(lines[:2])
    found["library" if in_library else "findings"].setdefault(f"{what}: {where}", []).append(number)


def _child(kind: Kind, numbers: range, case: Path, place: mmap.mmap, sink: int, stack: Any) -> None:
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        faulthandler.enable(stack)
        _limit()
        warnings.simplefilter("ignore")
        with os.fdopen(sink, "w") as pipe:
            for number in numbers:
                place[:8] = number.to_bytes(8, "little")
                said = _one_case(kind, number, case, stack)
                pipe.write(json.dumps(said) + "\n")
                pipe.flush()  # the next case may end the process
                if _megabytes() > _START + MEGABYTES:  # a new child has a new measure
                    break
        os._exit(0)
    except BaseException:  # noqa: BLE001 - a fault of the test
        traceback.print_exc(file=stack)
        stack.flush()
    os._exit(99)


def _one_case(kind: Kind, number: int, case: Path, stack: Any) -> dict[str, Any]:
    from mdf import MdfError
    from mpikit.errors import MpikitError

    said: Counter[str] = Counter()
    path = _made(kind, number, case)
    if path is None:
        return {"unmade": 1}
    faulthandler.dump_traceback_later(HANGS, exit=True, file=stack)
    begun, findings = time.process_time(), {}
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            kind.read(path)
        said["read"] += 1
    except (MpikitError, MdfError):
        said["refused"] += 1
    except BaseException as error:  # noqa: BLE001 - that is what is looked for
        findings[_in_words(error)] = [number]
    seconds = time.process_time() - begun  # a busy machine is not to blame
    faulthandler.cancel_dump_traceback_later()
    if seconds > SECONDS:
        findings[f"took more than {SECONDS} s"] = [number]
    if _megabytes() > _START + MEGABYTES:
        findings[f"took more than {MEGABYTES} MB"] = [number]
    return {**said, "slowest": seconds, "findings": findings}


def _made(kind: Kind, number: int, case: Path) -> Path | None:
    """Make the file of a case; some damage cannot be done twice, then another is tried."""
    for attempt in range(3):
        shutil.rmtree(case, ignore_errors=True)
        case.mkdir()
        with contextlib.suppress(Exception):
            return kind.make(generator(kind.name, number + attempt * 10**9), case)
    return None


def _in_words(error: BaseException) -> str:
    places = traceback.extract_tb(error.__traceback__)
    own = [place for place in places if "/mdf/" in place.filename or "/mpikit" in place.filename]
    last = own[-1] if own else places[-1]
    where = f"{Path(last.filename).name}:{last.lineno} {last.name}"
    return f"{type(error).__name__} {str(error)[:100]!r} in {where}"


def _limit() -> None:
    global _START  # noqa: PLW0603 - of this child
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _START = _megabytes(peak=False)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + HARD * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


_START = 0.0


def _megabytes(*, peak: bool = True) -> float:
    status = Path("/proc/self/status").read_text()
    wanted = "VmHWM" if peak else "VmRSS"
    return float(next(line for line in status.splitlines() if line.startswith(wanted)).split()[1]) / 1000


if __name__ == "__main__":
    main()
