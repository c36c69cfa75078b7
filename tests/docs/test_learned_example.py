"""The learned denoiser of the documentation, installed as a stranger would: it trains, is kept and used."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
LEARNED = DOCS / "plugins" / "learned"


def test_every_file_of_it_is_on_the_page():
    page = (DOCS / "plugins" / "index.md").read_text()
    files = [path.name for path in LEARNED.iterdir() if path.is_file()]
    assert len(files) == 3
    for name in files:
        assert f"```{{literalinclude}} learned/{name}" in page


@pytest.fixture(scope="module")
def mpikit(tmp_path_factory):
    """Run mpikit, or other code, in an environment that has the example installed."""
    pytest.importorskip("pip")
    site = tmp_path_factory.mktemp("site")
    offline = ["--no-build-isolation"] if importlib.util.find_spec("hatchling") else []
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", *offline, "--target", site, LEARNED],
        check=True,
    )

    def run(*arguments, code="from mpikit.cli import main; main()"):
        return subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *sys.path])},
        )

    return run


@pytest.mark.slow
def test_its_own_tests_pass(mpikit):
    test = LEARNED / "test_mpikit_tiny.py"
    done = mpikit("-q", "-p", "no:cacheprovider", test, code="import pytest; raise SystemExit(pytest.main())")
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


@pytest.mark.slow
def test_a_model_is_trained_and_used(mpikit, tmp_path):
    scan, model, output = tmp_path / "scan.mdf", tmp_path / "tiny.safetensors", tmp_path / "out.mdf"
    made = mpikit("simulate", "openmpi-1d", "--frames", 12, "--noise", "gaussian:snr_db=5", "-o", scan)
    assert made.returncode == 0, made.stderr
    trained = mpikit("train", "--method", "tiny", "-p", "steps=30", "--device", "cpu", scan, "-o", model)
    assert trained.returncode == 0, trained.stderr
    assert not model.with_name("tiny.safetensors.checkpoint").exists()
    done = mpikit("denoise", "--model", model, "--device", "cpu", scan, "-o", output)
    assert done.returncode == 0, done.stderr

    import numpy as np

    import mdf

    with mdf.open(scan) as noisy, mdf.open(output) as denoised:
        before, after = noisy.read_signal("foreground"), denoised.read_signal("foreground")
    assert after.shape == before.shape
    # all frames have one clean signal: what differs between them is noise
    assert np.std(after, axis=0).mean() < 0.5 * np.std(before, axis=0).mean()
