"""What the tests of reliability share: a server of forked commands, and small files to work on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import MOMENT

HERE = Path(__file__).parent


class Server:
    """Runs commands in children of one process that has all imports behind it."""

    def __init__(self) -> None:
        surroundings = os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg", "COLUMNS": "200"}
        surroundings.pop("PYTHONWARNINGS", None)
        self._process = subprocess.Popen(
            [sys.executable, HERE / "forkserver.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=surroundings,
        )
        assert self._answer() == {"ready": True}

    def run(self, *arguments, folder, kill_after=None, **limits) -> dict:
        """Run a command in a folder; `kill_after` in s, limits ``memory`` and ``file_size`` in bytes."""
        job = {"arguments": [str(each) for each in arguments], "folder": str(folder)}
        job |= {"kill_after": kill_after, "limits": limits}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        self._process.stdin.close()
        assert self._process.wait(timeout=60) == 0
        self._process.stdout.close()

    def _answer(self) -> dict:
        return json.loads(self._process.stdout.readline())


@pytest.fixture(scope="session")
def server():
    made = Server()
    yield made
    made.close()


@pytest.fixture(scope="session")
def second_server():
    made = Server()
    yield made
    made.close()


@pytest.fixture(scope="session")
def dated_server():
    """Return a server for which it is always the same moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", MOMENT)
        made = Server()
    yield made
    made.close()


@pytest.fixture(scope="session")
def files(server, tmp_path_factory) -> Path:
    """Return a folder with a scan of digits (each twice), a frame of a phantom, and its calibration."""
    folder = tmp_path_factory.mktemp("files")
    noise = ("--noise", "gaussian:snr_db=5")
    for arguments in (
        ("simulate", "peng2023", "--phantom", "digits", "--count", "24", *noise, "-o", "scan.mdf"),
        ("simulate", "openmpi-2d", "--phantom", "smile", *noise, "-o", "frame.mdf"),
        ("simulate", "openmpi-2d", "--calibration", "--grid", "9x7", "-o", "sm.mdf"),
    ):
        done = server.run(*arguments, folder=folder)
        assert done["code"] == 0, done["err"]
    for path in folder.iterdir():
        path.chmod(0o444)
    return folder


@pytest.fixture
def generator(request) -> np.random.Generator:
    return np.random.default_rng(sum(map(ord, request.node.name)))


@pytest.fixture
def figure(record_property):
    """Keep a figure for the summary of the run."""

    def keep(text: str) -> None:
        record_property("figure", text)

    return keep


@pytest.fixture
def folder(files, tmp_path) -> Path:
    """Return a folder of its own with links to the small files."""
    for path in files.iterdir():
        (tmp_path / path.name).hardlink_to(path)
    return tmp_path
