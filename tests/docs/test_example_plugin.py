"""The plugin of the documentation, installed as a stranger would, beside a broken one."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "docs" / "plugins" / "example"


@pytest.fixture(scope="module")
def mpikit(tmp_path_factory):
    """Run mpikit in an environment that has the example and a broken plugin installed as well."""
    pytest.importorskip("pip")
    site = tmp_path_factory.mktemp("site")
    offline = ["--no-build-isolation"] if importlib.util.find_spec("hatchling") else []
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", *offline, "--target", site, EXAMPLE],
        check=True,
    )
    (site / "gone.py").write_text("import no_such_module\n")
    info = site / "mpikit_gone-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mpikit-gone\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[mpikit]\ngone = gone\n")

    def run(*arguments, code="from mpikit.cli import main; main()"):
        return subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *sys.path])},
        )

    return run


def test_it_is_listed_and_the_broken_one_is_reported(mpikit):
    done = mpikit("plugins", "list")
    assert done.returncode == 0
    rows = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    assert ["box", "mpikit-box", "Running mean over each period"] in rows
    assert ["hum", "mpikit-box", "Hum of the mains"] in rows
    assert any(row[:2] == ["harmonic", "mpikit"] for row in rows)
    assert "skipped gone (mpikit-gone 0.1): import failed: No module named 'no_such_module'" in done.stderr


@pytest.mark.parametrize("name", ["box", "hum"])
def test_it_keeps_the_contract(mpikit, name):
    done = mpikit("plugins", "check", name)
    assert (done.returncode, done.stderr.strip()[-22:]) == (0, f"{name}' keeps the contract"[-22:])


def test_its_own_tests_pass(mpikit):
    test = EXAMPLE / "test_mpikit_box.py"
    done = mpikit("-q", "-p", "no:cacheprovider", test, code="import pytest; raise SystemExit(pytest.main())")
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


@pytest.fixture(scope="module")
def scan(mpikit, tmp_path_factory):
    path = tmp_path_factory.mktemp("scan") / "scan.mdf"
    arguments = ("--frames", 3, "--noise", "hum:sir_db=10", "--noise", "gaussian:snr_db=10")
    made = mpikit("simulate", "openmpi-2d", *arguments, "-o", path)
    assert made.returncode == 0, made.stderr
    return path


def test_it_denoises_a_file(mpikit, scan, tmp_path):
    output = tmp_path / "out.mdf"
    done = mpikit("denoise", "--method", "box", "-p", "width=7", scan, "-o", output)
    assert done.returncode == 0, done.stderr

    import numpy as np
    from scipy.ndimage import uniform_filter1d

    import mdf

    with mdf.open(scan) as noisy, mdf.open(output) as denoised:
        wanted = uniform_filter1d(noisy.read_signal("foreground"), 7, axis=-1, mode="wrap")
        found = denoised.read_signal("foreground")
        history = json.loads(denoised.user_value("/_mpikit/history"))
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.max(np.abs(wanted)))
    assert [step["command"] for step in history] == ["simulate", "denoise"]


def test_wrong_options_are_told(mpikit, scan):
    done = mpikit("denoise", "--method", "box", "-p", "widht=7", scan)
    assert done.returncode == 2
    assert "error: box has no option 'widht'\n hint: did you mean 'width'?" in done.stderr
