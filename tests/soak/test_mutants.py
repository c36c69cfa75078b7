"""The tests notice small changes of the code that they are for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("target", ["layout", "kaczmarz", "signal"])
def test_four_of_five_mutants_are_killed(target):
    """Of a few, chosen by a seed; `mutants.py` without `--sample` takes all."""
    script = Path(__file__).with_name("mutants.py")
    options = ["--sample", "25", "--seed", "2", "--longest", "1", "--least", "0.8"]
    done = subprocess.run(
        [sys.executable, str(script), target, *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
