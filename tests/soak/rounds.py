"""Denoises and reconstructs again and again in one process; prints what the process holds, as JSON lines."""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
from pathlib import Path

from mpikit.denoise_file import denoise_file
from mpikit.reconstruct import reconstruct_file


def held() -> dict[str, int]:
    """Bytes of memory, file handles and threads of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "memory": pages * os.sysconf("SC_PAGE_SIZE"),
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
