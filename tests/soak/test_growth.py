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
# the C library keeps pages: what may come and go between two looks, in all and in use
SLACK = 8 * MEGABYTE
SLACK_IN_USE = MEGABYTE
# Objects of the interpreter: caches fill in the first rounds, and then it is less than one a round
BLOCKS, BLOCKS_A_ROUND = 2000, 2


@pytest.mark.parametrize("rounds", [14, pytest.param(500, marks=pytest.mark.soak)])
def test_nothing_grows(folder, figure, rounds):
    warm = min(WARM, rounds // 2)
    done = subprocess.run(
        [sys.executable, Path(__file__).parent / "rounds.py", folder, str(rounds), str(warm)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"},
    )
    start, _, end = (json.loads(line) for line in done.stdout.splitlines())
    grew = {name: end[name] - start[name] for name in start}
    figure(
        f"growth over {rounds - warm} rounds of denoise and reconstruct: {grew['memory'] / MEGABYTE:+.1f} MiB"
        f" of {start['memory'] / MEGABYTE:.0f}, in use {grew['in_use'] / 1024:+.0f} KiB, "
        f"{grew['blocks']:+d} objects, {grew['handles']:+d} file handles, {grew['native_threads']:+d} threads"
    )
    assert grew["handles"] == grew["threads"] == grew["native_threads"] == 0
    assert grew["memory"] < SLACK + A_ROUND * (rounds - warm)
    assert grew["in_use"] < SLACK_IN_USE + A_ROUND * (rounds - warm)
    assert grew["blocks"] < BLOCKS + BLOCKS_A_ROUND * (rounds - warm)
