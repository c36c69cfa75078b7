"""The page of the public data sets: its names are there, its lines of Python run."""

from __future__ import annotations

import functools
import re
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mpikit.datasets import DATASETS, fitting, place
from mpikit.datasets.places import CACHE, MIRROR

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "howto" / "datasets.md").read_text()
NAME = re.compile(r"\b(?:openmpi|mdf-example|mpi-mnist)-[a-z0-9-]*[a-z0-9]")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_words):
        pass


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """Serve a folder that is a cache of others."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    folder = tmp_path / "mirror"
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as running:
        monkeypatch.setenv(MIRROR, f"http://127.0.0.1:{running.server_port}")
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield folder
        running.shutdown()
        thread.join()


def test_every_name_is_one():
    named = set(NAME.findall(PAGE))
    assert {"openmpi-concentration-1d", "mdf-example-measurement", "mpi-mnist-test-noisy"} <= named
    assert named <= set(DATASETS)


def test_every_group_of_names_is_on_the_page():
    named = NAME.findall(PAGE)
    groups = {name.rsplit("-", 1)[0] for name in DATASETS if name.startswith("openmpi-calibration")}
    for group in [*groups, "openmpi-rotation", "openmpi-shape", "mdf-example", "mpi-mnist"]:
        assert any(name.startswith(group) for name in named), group


@pytest.mark.parametrize("number", [3, 6])
def test_sizes_on_the_page_are_those_of_the_list(number):
    [text] = re.findall(rf"`openmpi-calibration-{number}` about ([\d.]+)", PAGE)
    assert float(text) == pytest.approx(DATASETS[f"openmpi-calibration-{number}"].size / 1e9, rel=0.02)


def test_the_lines_of_python_run(mirror):
    name = "openmpi-concentration-1d"
    for each in (DATASETS[name], *fitting(name)):
        path = place(each, mirror)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(each.name.encode())
    [block] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    found: dict[str, Path] = {}
    exec(block, found)  # noqa: S102 - lines of our own
    assert found["scan"].read_bytes() == name.encode()
    assert found["matrix"].read_bytes() == b"openmpi-calibration-1"


def test_the_variables_and_the_links():
    assert f"`{CACHE}`" in PAGE
    assert f"`{MIRROR}`" in PAGE
    assert "](datasets.md)" in (DOCS / "howto" / "index.md").read_text()
    assert "howto/datasets\n" in (DOCS / "index.md").read_text()
