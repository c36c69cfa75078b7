"""Denoises and reconstructs again and again in one process; prints what the process holds, as JSON lines."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import threading
from pathlib import Path

from mpikit.denoise_file import denoise_file
from mpikit.reconstruct import reconstruct_file


class Malloc(ctypes.Structure):
    """What `mallinfo2` of the C library returns."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "mapped"),
            *("usmblks", "fsmblks", "in_use", "free", "keepcost"),
        )
    )


def in_use() -> int:
    """Bytes that were asked for and not given back: no pages that the C library keeps for later."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallinfo2"):  # not glibc
        return 0
    library.mallinfo2.restype = Malloc
    found = library.mallinfo2()
    return found.in_use + found.mapped


def held() -> dict[str, int]:
    """Bytes of memory, file handles and threads of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "memory": pages * os.sysconf("SC_PAGE_SIZE"),
        "in_use": in_use(),
        "blocks": sys.getallocatedblocks(),
        "handles": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
        "native_threads": len(list(Path("/proc/self/task").iterdir())),
    }


def one_round(folder: Path) -> None:
    """Denoise a file, and make an image of the result."""
    denoised = denoise_file(
        folder / "frame.mdf", output=folder / "denoised.mdf", method="harmonic", overwrite=True
    )
    reconstruct_file(
        denoised.path,
        system_matrix=folder / "sm.mdf",
        output=folder / "image.mdf",
        overwrite=True,
        iterations=3,
    )


def main(folder: Path, rounds: int, warm: int) -> None:
    for number in range(rounds):
        if number in {warm, (warm + rounds) // 2}:
            print(json.dumps(held()), flush=True)
        one_round(folder)
    print(json.dumps(held()), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
