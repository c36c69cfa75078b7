"""How long ``import mpikit`` and the command line take to start: ``python tests/benchmarks/startup.py``."""

from __future__ import annotations

import subprocess
import sys
import time

RUNS = 7
PROGRAMS = {
    "python alone": "pass",
    "import numpy": "import numpy",
    "import mpikit": "import mpikit",
    "numpy, then mpikit": "import numpy, mpikit",
    "mpikit --help": "import sys; sys.argv = ['mpikit', '--help']; from mpikit.cli import main; main()",
    "mpikit plugins list": "import sys; sys.argv = ['mpikit', 'plugins', 'list']; "
    "from mpikit.cli import main; main()",
}


def seconds(code: str) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return time.perf_counter() - begun


def main() -> None:
    for name, code in PROGRAMS.items():
        print(f"{name:20} {1e3 * min(seconds(code) for _ in range(RUNS)):6.0f} ms")


if __name__ == "__main__":
    main()
