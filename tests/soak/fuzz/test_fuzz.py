"""No file makes mpikit raise anything but its own errors, take long, or take much memory.

A case that fails is told with its number; it is made and read again by

    PYTHONPATH=tests/soak:tests/mdf python -m fuzz.crew KIND NUMBER
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz.crew import KINDS, MOST_IN_HDF5

SOAK = Path(__file__).parents[1]
MOST_AT_ONCE = 500


class Crew:
    """The process that runs cases; see `fuzz.crew`."""

    def __init__(self) -> None:
        places = os.pathsep.join([str(SOAK), str(SOAK.parent / "mdf")])
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "fuzz.crew"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": places, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"},
        )

    def run(self, kind: str, first: int, count: int) -> dict:
        self._process.stdin.write(json.dumps({"kind": kind, "first": first, "count": count}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        assert self._process.wait(timeout=60) == 0
        self._process.stdout.close()


@pytest.fixture(scope="module")
def crew():
    made = Crew()
    yield made
    made.close()


@pytest.mark.parametrize("share", ["few", pytest.param("many", marks=pytest.mark.soak)])
@pytest.mark.parametrize("name", KINDS)
def test_no_file_does_harm(crew, figure, name, share):
    """The long run has other cases than the short one, which comes before it."""
    few, many = KINDS[name]
    first, count = (0, few) if share == "few" else (few, many)
    parts = [
        crew.run(name, start, min(MOST_AT_ONCE, first + count - start))
        for start in range(first, first + count, MOST_AT_ONCE)
    ]
    found = {key: sum(part[key] for part in parts) for key in ("read", "refused", "unmade", "seconds")}
    library = [(end, each) for part in parts for end, numbers in part["library"].items() for each in numbers]
    figure(
        f"fuzz {name}: {count} cases in {found['seconds']:.0f} s, {found['read']} read, {found['refused']} "
        f"refused, slowest {max(part['slowest'] for part in parts):.2f} s, {len(library)} ends inside of HDF5"
    )
    assert {text: numbers for part in parts for text, numbers in part["findings"].items()} == {}
    assert len(library) <= MOST_IN_HDF5, library
    assert found["read"] + found["refused"] >= 0.9 * count, "too few cases could be made"
    assert found["refused"] > 0
