"""Damage copies of the sample files in many ways, and see whether `mdf` stays calm.

    MPIKIT_SAMPLES=... python tests/mdf/mutate.py --count 20000 --seed 0 --jobs 2

Each file is opened and read, and validated, in a child process that takes many files. What counts as a
finding: an exception other than `MdfError`, a rule that fails, more than 10 s for a step, more than 500 MB,
and a file on which `mdf.validate(path, isolated=True)` fails. The exit code is 1 then. Crashes and endless
loops within the HDF5 library are counted apart, as deaths: isolation is there for them. `--only INDEX` makes
one file again, and keeps it.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from pathlib import Path

import h5py
import numpy as np

import mdf
from mdf import spec
from mdf.isolation import limit_memory
from mdf.rules import FAILED

SECONDS = 10
MEGABYTES = 500


def shrink(source: Path, target: Path) -> None:
    """Write a small file of the same kind: few frames, few samples or components, everything else alike."""
    with h5py.File(source) as old, h5py.File(target.name, "w", driver="core", backing_store=False) as small:
        for name in old:
            old.copy(name, small)
        mask = old["/measurement/isBackgroundFrame"][()]
        frames = np.sort(np.r_[np.flatnonzero(mask == 0)[:4], np.flatnonzero(mask == 1)[:1]])
        _shrink_frames(small, frames)
        _shrink_periods(small, slice(0, 2))
        _shrink_values(small)
        with h5py.File(target, "w") as new:  # what was deleted still takes its place in the first one
            for name in small:
                small.copy(name, new)


def _shrink_frames(hdf: h5py.File, kept: np.ndarray) -> None:
    frames_last = bool(hdf["/measurement/isFastFrameAxis"][()])
    data = hdf["/measurement/data"][()]
    _replace(hdf, "/measurement/data", data[..., kept] if frames_last else data[kept])
    _replace(hdf, "/measurement/isBackgroundFrame", hdf["/measurement/isBackgroundFrame"][()][kept])
    _replace(hdf, "/acquisition/numFrames", np.int64(len(kept)))
    if "/measurement/framePermutation" in hdf:
        order = hdf["/measurement/framePermutation"][()][kept]
        _replace(hdf, "/measurement/framePermutation", np.argsort(np.argsort(order)) + 1)
    if "/calibration/size" in hdf:
        _replace(hdf, "/calibration/size", np.array([2, 2, 1]))


def _shrink_periods(hdf: h5py.File, kept: slice) -> None:
    old_name, new_name = "/acquisition/numPeriods", "/acquisition/numPeriodsPerFrame"
    path = old_name if old_name in hdf else new_name
    _replace(hdf, path, np.int64(min(2, hdf[path][()])))
    for name in ("drivefield/strength", "drivefield/phase", "gradient", "offsetField"):
        _replace(hdf, f"/acquisition/{name}", hdf[f"/acquisition/{name}"][kept])
    frames_last = bool(hdf["/measurement/isFastFrameAxis"][()])
    data = hdf["/measurement/data"][()]
    _replace(hdf, "/measurement/data", data[kept] if frames_last else data[:, kept])


def _shrink_values(hdf: h5py.File) -> None:
    selected = bool(hdf["/measurement/isFrequencySelection"][()])
    count, samples = (4 if selected else 9), 16
    data, frames_last = hdf["/measurement/data"][()], bool(hdf["/measurement/isFastFrameAxis"][()])
    _replace(hdf, "/measurement/data", data[:, :, :count] if frames_last else data[..., :samples])
    if selected:
        _replace(hdf, "/measurement/frequencySelection", hdf["/measurement/frequencySelection"][:count])
    else:
        _replace(hdf, "/acquisition/receiver/numSamplingPoints", np.int64(samples))
    for path in ("/calibration/snr", "/acquisition/receiver/transferFunction"):
        if path in hdf:
            _replace(hdf, path, hdf[path][..., :count])


def _replace(hdf: h5py.File, path: str, value: object) -> None:
    del hdf[path]
    hdf[path] = value


def damage_bytes(rng: np.random.Generator, raw: bytearray) -> str:
    kind = rng.choice(["flip", "set", "zero", "cut", "insert", "remove", "field", "copy", "head"])
    at, length = int(rng.integers(len(raw))), int(rng.integers(1, 65))
    if kind == "flip":
        for place in rng.integers(len(raw), size=rng.integers(1, 17)):
            raw[place] ^= 1 << int(rng.integers(8))
    elif kind == "set":
        raw[at : at + length] = rng.bytes(len(raw[at : at + length]))
    elif kind == "zero":
        raw[at : at + 8 * length] = bytes(len(raw[at : at + 8 * length]))
    elif kind == "cut":
        del raw[at:]
    elif kind == "insert":
        raw[at:at] = rng.bytes(length)
    elif kind == "remove":
        del raw[at : at + length]
    elif kind == "copy":
        to = int(rng.integers(len(raw)))
        raw[to : to + length] = raw[at : at + length]
    else:  # fields of HDF5 are aligned: sizes, addresses, counts
        at = 8 * int(rng.integers(len(raw) // 8 if kind == "field" else 256))
        odd = [0, 1, 0xFF, 2**15, 2**31 - 1, 2**32 - 1, 2**48, 2**63 - 1, 2**64 - 1, len(raw), at]
        width = int(rng.choice([1, 2, 4, 8]))
        value = odd[rng.integers(len(odd))] % 2 ** (8 * width)
        raw[at : at + width] = value.to_bytes(width, "little")
    return f"bytes {kind}"


TEXT = h5py.string_dtype()
IR = np.dtype([("i", "f4"), ("r", "f4")])
ODD_VALUES = [
    np.float16(1), np.uint8(200), np.array(3, ">f8"), True, "text", b"\xff\xfe", np.void(b"opaque"), -1, 0,
    np.int64(2**62), np.nan, np.inf, -1e300, 1j, np.zeros(2, IR), np.zeros((1, 2, 3, 4, 5)), np.zeros((0, 3)),
    h5py.Empty("f8"), "x" * 2_000_000, "\x1b[2J\x07", "1.0", "2.0.1", "9.9", "2026-13-45T99:00:00",
    np.full((3, 3), np.nan), np.array([[1, 2], [3, 4]], ">i4"), np.zeros(5, "c16"), np.arange(10**5),
]  # fmt: skip


KINDS = (
    "delete", "value", "retype", "reshape", "number", "nan", "group", "huge", "huge chunks", "soft loop",
    "hard loop",
    "external link", "external storage", "virtual", "texts", "rename", "attribute", "swap", "flag",
    "native complex", "sequences",
)  # fmt: skip


def damage_structure(rng: np.random.Generator, hdf: h5py.File) -> str:
    nodes: list[str] = []
    hdf.visit(nodes.append)
    path = "/" + str(rng.choice(nodes))
    if rng.random() < 0.15:
        path = str(rng.choice([*spec.FIELDS, "/measurement/dataTD", "/calibration/dataFD", "/_own", "/odd"]))
    kind = str(rng.choice(["value", "value", "value", *KINDS]))
    old = hdf[path][()] if path in hdf and isinstance(hdf[path], h5py.Dataset) else None
    if kind == "flag":
        path = str(rng.choice([path for path, field in spec.FIELDS.items() if field.kind == "flag"]))
        old = np.int8(rng.integers(3))
    if kind == "rename" and path in hdf:
        hdf.move(path, path + "X")
        return f"structure {kind}"
    if kind == "attribute" and path in hdf:
        hdf[path].attrs["odd"] = 1
        return f"structure {kind}"
    if kind == "hard loop":
        hdf[path.rpartition("/")[0] + "/loop"] = hdf[path.rpartition("/")[0] or "/"]
        return f"structure {kind}"
    if path in hdf:
        del hdf[path]
    _put(rng, hdf, path, kind, old)
    return f"structure {kind}"


def _put(rng: np.random.Generator, hdf: h5py.File, path: str, kind: str, old: object) -> None:
    """Put something else where a dataset was; nothing for a deletion."""
    other = str(rng.choice([*spec.FIELDS, path]))
    if kind == "flag":
        hdf[path] = old
    elif kind == "value":
        hdf[path] = ODD_VALUES[rng.integers(len(ODD_VALUES))]
    elif kind == "group":
        hdf.create_group(path)
    elif kind == "texts":
        hdf[path] = np.array(["x" * int(rng.integers(2000))] * int(rng.integers(1, 2000)), TEXT)
    elif kind == "swap" and other in hdf:
        hdf[path] = hdf[other]
    elif isinstance(old, np.ndarray | np.generic) and np.asarray(old).dtype.kind in "biufc":
        _put_numbers(rng, hdf, path, kind, np.array(old))
    if path not in hdf:
        _put_storage(rng, hdf, path, kind, other)


def _put_numbers(rng: np.random.Generator, hdf: h5py.File, path: str, kind: str, old: np.ndarray) -> None:
    flat = old.reshape(-1)
    if kind == "retype":
        dtype = str(rng.choice(["f2", "f4", "u1", "u8", ">f8", "i1", "i4", "c8", "S7"]))
        hdf[path] = old.real.astype(dtype)
    elif kind == "reshape":
        shapes = [(*old.shape, 1), (1, *old.shape), (old.size,), old.shape[::-1], (1, old.size)]
        hdf[path] = old.reshape(shapes[rng.integers(len(shapes))])
    elif kind == "number" and old.size:
        flat[rng.integers(old.size)] = rng.choice([0, 1, 2, 7, 100])
        hdf[path] = flat.reshape(old.shape)
    elif kind == "nan":
        flat = flat.astype(complex if old.dtype.kind == "c" else float)
        flat[rng.integers(max(1, old.size)) :] = rng.choice([np.nan, np.inf, -np.inf])
        hdf[path] = flat.reshape(old.shape)


def _put_storage(rng: np.random.Generator, hdf: h5py.File, path: str, kind: str, other: str) -> None:
    if kind.startswith("huge"):
        shape = [(2**40,), (2**20, 2**20), (10, 3, 2, 2**40), (2**31, 4, 3, 3), (2**16,)][rng.integers(5)]
        chunks = tuple(min(length, 64) for length in shape) if "chunks" in kind else None
        dtype = [np.dtype("f4"), np.dtype("i8"), TEXT, np.dtype("S1000"), np.dtype("c8")][rng.integers(5)]
        hdf.create_dataset(path, shape, dtype, chunks=chunks)
    elif kind == "soft loop":
        hdf[path] = h5py.SoftLink(str(rng.choice([path, "/nowhere", "..", other, path.rpartition("/")[0]])))
    elif kind == "external link":
        target = str(rng.choice(["other.h5", "/dev/zero", Path(hdf.filename).name]))
        hdf[path] = h5py.ExternalLink(target, other)
    elif kind == "external storage":
        hdf.create_dataset(path, (4, 4), "f8", external=[("/dev/zero", 0, 128)])
    elif kind == "virtual":
        layout = h5py.VirtualLayout((4, 4), "f8")
        layout[:] = h5py.VirtualSource(str(rng.choice(["missing.h5", Path(hdf.filename).name])), "x", (4, 4))
        hdf.create_virtual_dataset(path, layout)
    elif kind == "native complex" and hasattr(h5py.h5t, "COMPLEX_IEEE_F32LE"):
        space = h5py.h5s.create_simple((2, 3))
        h5py.h5d.create(hdf.id, path.encode(), h5py.h5t.COMPLEX_IEEE_F32LE, space, _with_groups())
    elif kind == "sequences":
        hdf.create_dataset(path, (3,), h5py.vlen_dtype(np.int32))


def _with_groups() -> h5py.h5p.PropLCID:
    properties = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    properties.set_create_intermediate_group(True)
    return properties


def make(seeds: list[Path], seed: int, index: int, path: Path) -> str:
    """Make damaged file number `index`; the same every time."""
    rng = np.random.default_rng([seed, index])
    raw = bytearray(seeds[index % len(seeds)].read_bytes())
    if rng.random() < 0.5:
        kinds = [damage_bytes(rng, raw) for _ in range(rng.integers(1, 4)) if raw]
        path.write_bytes(raw)
        return kinds[0]
    path.write_bytes(raw)
    kind = "structure"
    with h5py.File(path, "r+") as hdf:
        for _ in range(rng.integers(1, 4)):
            with contextlib.suppress(ValueError, TypeError, KeyError, RuntimeError, OSError, OverflowError):
                kind = damage_structure(rng, hdf)  # some damage cannot be done twice
    return kind


def read(path: Path) -> str:
    with mdf.open(path) as file:
        contents = file.contents()
        assert file.repairs is not None
        if "/measurement/isBackgroundFrame" in contents:
            file.read_signal(slice(0, 2))
            file.read_signal(slice(0, 2), domain="time")
        _ = file.grid, file.user_nodes()
    return "read"


def check(path: Path) -> str:
    problems = mdf.validate(path)
    failed = [problem.message for problem in problems if problem.message.startswith(FAILED)]
    assert not failed, failed[0]
    return " ".join(sorted({f"{problem.rule}-{problem.severity}" for problem in problems}))


def work(folder: Path, seed: int) -> None:
    """Be the child: for each index on standard input make the file and take both steps."""
    seeds, path = sorted(folder.glob("seed*.mdf")), folder / f"{os.getppid()}-{os.getpid()}.mdf"
    before = _memory()
    limit_memory(4 * MEGABYTES)
    stack = (folder / f"stack-{os.getpid()}").open("w")
    for line in sys.stdin:
        _tell(step="make", path=str(path))
        try:
            kind = make(seeds, seed, int(line), path)
        except Exception:  # noqa: BLE001 - HDF5 may give up on a file that it has itself damaged
            kind = "half made"
        results = {}
        for name, step in (("open", read), ("validate", check)):
            _tell(step=name)
            faulthandler.dump_traceback_later(SECONDS, exit=True, file=stack)
            start = time.perf_counter()
            try:
                results[name] = step(path)
            except mdf.MdfError:
                results[name] = "MdfError"
            except BaseException as error:  # noqa: BLE001 - that is what is looked for
                places = traceback.extract_tb(error.__traceback__)
                where = f"{Path(places[-1].filename).name}:{places[-1].lineno}"
                own = [
                    f"{Path(place.filename).name}:{place.lineno}"
                    for place in places
                    if "/mdf/" in place.filename
                ]
                results[name] = f"! {type(error).__name__} {str(error)[:80]} {own[-1] if own else where}"
            results[f"{name} seconds"] = time.perf_counter() - start
            faulthandler.cancel_dump_traceback_later()
        _tell(kind=kind, megabytes=(_memory() - before) / 1e6, **results)


def _memory() -> int:
    """Peak memory since the last call, bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return 1024 * int(peak.split()[1])


def _tell(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


class Crew:
    """What the children found."""

    def __init__(self, folder: Path, indices: list[int], seed: int, end: float) -> None:
        self.folder, self.seed, self.end = folder, seed, end
        self.files = 0
        self.waiting: queue.Queue[int] = queue.Queue()
        for index in indices:
            self.waiting.put(index)
        self.findings: dict[str, list[int]] = {}
        self.deaths: dict[str, list[int]] = {}
        self.histogram: Counter[str] = Counter()
        self.most = {"seconds": 0.0, "megabytes": 0.0}
        self.lock = threading.Lock()

    def drive(self) -> None:
        """Lead one child after the other until no file is left."""
        while not self.waiting.empty() and time.monotonic() < self.end:
            child = subprocess.Popen(
                [sys.executable, __file__, "--child", str(self.folder), "--seed", str(self.seed)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )  # fmt: skip
            lines: queue.Queue[str] = queue.Queue()
            threading.Thread(target=self._listen, args=(child.stdout, lines), daemon=True).start()
            self._lead(child, lines)
            child.kill()
            child.wait()

    @staticmethod
    def _listen(pipe, lines) -> None:
        for line in pipe:
            lines.put(line)
        lines.put("")

    def _lead(self, child, lines) -> None:
        while time.monotonic() < self.end:
            try:
                index = self.waiting.get_nowait()
            except queue.Empty:
                return
            with self.lock:
                self.files += 1
            with contextlib.suppress(OSError):
                child.stdin.write(f"{index}\n")
                child.stdin.flush()
            step, path = "start", None
            while True:
                try:
                    answer = lines.get(timeout=60 if step == "start" else 3 * SECONDS)
                except queue.Empty:
                    answer = ""
                    child.kill()
                if not answer:
                    self._died(step, child, index)
                    self._isolated(path, index)
                    return
                facts = json.loads(answer)
                if "kind" in facts:
                    break
                step, path = facts["step"], facts.get("path", path)
            self._count(index, facts)

    def _died(self, step: str, child, index: int) -> None:
        """Tell deaths and endless loops of HDF5, which is the last one in the stack then, from our own."""
        code = child.wait()
        stack = (self.folder / f"stack-{child.pid}").read_text() if step != "start" else ""
        places = [line.strip() for line in stack.splitlines() if line.startswith("  File")]
        if places and "/h5py/" not in places[0]:
            self._find(f"hang in {step}: {places[0]}", index)
            return
        own = next((place for place in places if "/mdf/" in place), "")
        with self.lock:
            what = f"hang of HDF5 in {step}: {own}" if places else f"end of {step}: {code}"
            self.deaths.setdefault(what, []).append(index)

    def _isolated(self, path: str | None, index: int) -> None:
        try:
            assert mdf.validate(str(path), isolated=True) is not None
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            self._find(f"isolated validation: {type(error).__name__} {error}", index)

    def _find(self, what: str, index: int) -> None:
        with self.lock:
            self.findings.setdefault(what, []).append(index)

    def _count(self, index: int, facts: dict) -> None:
        for step in ("open", "validate"):
            if facts[step].startswith("! "):
                self._find(f"{step}: {facts[step][2:]}", index)
        if facts["megabytes"] > MEGABYTES:
            self._find("more than 500 MB", index)
        with self.lock:
            seconds = max(facts["open seconds"], facts["validate seconds"])
            self.most["seconds"] = max(self.most["seconds"], seconds)
            self.most["megabytes"] = max(self.most["megabytes"], facts["megabytes"])
            self.histogram[facts["kind"]] += 1
            self.histogram["opened" if facts["open"] == "read" else "refused"] += 1
            self.histogram.update(
                rule for rule in facts["validate"].split() if rule[-5:] in {"error", "rning", "-note"}
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=np.inf, help="begin no new file after this time")
    parser.add_argument("--only", type=int, help="one file again, kept as damaged.mdf")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        work(options.child, options.seed)
        return
    begin = time.monotonic()
    memory = Path("/dev/shm")  # noqa: S108 - only to spare the disk
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        folder = Path(name)
        samples = sorted(Path(os.environ["MPIKIT_SAMPLES"]).glob("*.mdf"))
        for place, sample in enumerate(samples):
            shrink(sample, folder / f"seed{place}.mdf")
        seeds = sorted(folder.glob("seed*.mdf"))
        for seed in seeds:
            errors = [problem for problem in mdf.validate(seed) if problem.severity == "error"]
            assert not errors, errors[0]
            read(seed)
        if options.only is not None:
            kind = make(seeds, options.seed, options.only, Path("damaged.mdf"))
            sys.stdout.write(f"damaged.mdf: {kind}\n")
            return
        crew = Crew(folder, list(range(options.count)), options.seed, begin + options.seconds)
        threads = [threading.Thread(target=crew.drive) for _ in range(options.jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    report = {
        "files": crew.files,
        "wall_seconds": round(time.monotonic() - begin, 1),
        "slowest_step_seconds": round(crew.most["seconds"], 2),
        "peak_megabytes": round(crew.most["megabytes"], 1),
        "findings": {
            what: {"count": len(where), "index": where[:5]} for what, where in crew.findings.items()
        },
        "deaths": {what: {"count": len(where), "index": where[:5]} for what, where in crew.deaths.items()},
        "histogram": dict(sorted(crew.histogram.items())),
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    sys.exit(1 if crew.findings else 0)


if __name__ == "__main__":
    main()
