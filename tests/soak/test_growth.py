"""A process that works all night holds no more in the end than after its first rounds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WARM = 12
MEGABYTE = 1 << 20
# Bytes that a round may add: a kilobyte of an interpreter's own caches is no leak, an array would be
A_ROUND = 2048
# pages come in steps: what may come and go between two looks
SLACK = 8 * MEGABYTE


@pytest.mark.parametrize("rounds", [24, pytest.param(500, marks=pytest.mark.soak)])
def test_nothing_grows(folder, figure, rounds):
    done = subprocess.run(
        [sys.executable, Path(__file__).parent / "rounds.py", folder, str(rounds), str(WARM)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"},
    )
    start, _, end = (json.loads(line) for line in done.stdout.splitlines())
    grown = end["memory"] - start["memory"]
    figure(
        f"growth over {rounds - WARM} rounds of denoise and reconstruct: {grown / MEGABYTE:+.1f} MiB of "
        f"{start['memory'] / MEGABYTE:.0f}, {end['handles'] - start['handles']:+d} file handles, "
        f"{end['native_threads'] - start['native_threads']:+d} threads"
    )
    assert end["handles"] == start["handles"]
    assert end["threads"] == start["threads"]
    assert end["native_threads"] == start["native_threads"]
    assert grown < SLACK + A_ROUND * (rounds - WARM)
