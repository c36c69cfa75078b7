"""A new plugin project, installed as its author would: its tests pass, and it stands beside the others."""

from __future__ import annotations

import csv
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[3] / "docs" / "plugins" / "compare.md"
MAIN = "from mpikit.cli import main; main()"
# the networks of the table take most of the time, and are not what is tested here
FEW_ROWS = """
from mpikit.experiments import peng_tables

every = peng_tables.trials

def few(plan, noise, *, as_printed):
    found = every(plan, noise, as_printed=as_printed)
    return [each for each in found if each.method in ("noisy", "wiener", *plan.methods)]

peng_tables.trials = few
"""


class Workplace:
    """A folder to work in, and a place where packages are installed."""

    def __init__(self, folder):
        self.folder, self.site = folder, folder / "site"

    def python(self, *arguments, at=None):
        """Run an interpreter that has the installed packages, without a cache of any kind."""
        path = os.pathsep.join([str(self.site), *sys.path])
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=at or self.folder,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def mpikit(self, *arguments, first=""):
        return self.python("-c", f"{first}\n{MAIN}", *arguments)

    def install(self, project):
        offline = ["--no-deps", "--no-build-isolation", "--no-index"]
        self.python("-m", "pip", "install", "-q", *offline, "--target", self.site, project)


@pytest.fixture
def workplace(tmp_path):
    pytest.importorskip("pip")
    pytest.importorskip("hatchling")
    folder = tmp_path / "my work"
    folder.mkdir()
    return Workplace(folder)


@pytest.mark.parametrize(("kind", "count"), [("denoiser", 6), ("noise", 5)])
def test_its_own_tests_pass(workplace, kind, count):
    project = workplace.folder / "the plugin"
    workplace.mpikit("plugins", "new", "two-words", project, "--kind", kind)
    workplace.install(project)
    done = workplace.python("-m", "pytest", "-q", "-p", "no:cacheprovider", at=project)
    assert f"{count} passed" in done.stdout
    listed = [line.split(maxsplit=2)[:2] for line in workplace.mpikit("plugins", "list").stdout.splitlines()]
    assert ["two-words", "mpikit-two-words"] in listed
    said = "denoiser" if kind == "denoiser" else "noise model"
    checked = workplace.mpikit("plugins", "check", "two-words")
    assert checked.stderr == f"{said} 'two-words' keeps the contract\n"


def test_a_noise_model_is_simulated(workplace):
    workplace.mpikit("plugins", "new", "hits", "hits", "--kind", "noise", "--quiet")
    workplace.install("./hits")
    noise = ("--noise", "hits:probability=0.02,height=2", "--frames", 3)
    workplace.mpikit("simulate", "openmpi-1d", *noise, "--clean", "clean.mdf", "-o", "scan.mdf")

    import numpy as np

    import mdf

    with mdf.open(workplace.folder / "scan.mdf") as noisy, mdf.open(workplace.folder / "clean.mdf") as clean:
        added = noisy.read_signal("foreground") - clean.read_signal("foreground")
    found = np.abs(added) > 1e-4 * np.abs(added).max()
    deviation = np.sqrt(0.02 * 0.98 / added.size)
    assert abs(np.mean(found) - 0.02) < 5 * deviation


def test_the_page_sets_it_beside_the_others(workplace):
    pytest.importorskip("mlxtend")
    shown = {}
    blocks = "".join(re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL))
    for line in blocks.replace("\\\n", " ").splitlines():
        program, *arguments = shlex.split(line.replace("--scale quick", "--scale smoke"))
        if program == "pip":
            workplace.install(f"./{arguments[-1]}")
        else:
            shown[line] = workplace.mpikit(*arguments, first=FEW_ROWS)
    assert len(shown) == 6
    true, alone, paper, again = list(shown.values())[2:]
    head, *rows = [re.split(r"\s{2,}", line.strip()) for line in true.stdout.splitlines()]
    assert head[3:6] == ["± (1 s.e.)", "true SNR", "true gain (95 %)"]
    [ours] = [row for row in rows if row[0] == "low-pass"]
    # half of white noise is 3 dB, and the page says so
    assert re.fullmatch(r"\+3\.\d dB \(\+[23]\.\d to \+3\.\d\)", ours[5])
    assert "low-pass" in (workplace.folder / "table.csv").read_text()
    assert any(line.startswith("low-pass") for line in alone.stdout.splitlines())
    _check_table(paper.stdout, workplace.folder / "results" / "results.csv")
    assert "16 of 16 pieces are there already" in again.stderr


def _check_table(shown, path):
    """Check that each type of noise has a row of ours with 95 % intervals."""
    assert len(re.findall(r"low-pass +\d+\.\d\d ± \d+\.\d\d", shown)) == 5
    with path.open() as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "yours"]
    assert {row["method"] for row in rows} == {"low-pass"}
    assert len({row["group"] for row in rows}) == 5
    assert {row["metric"] for row in rows} >= {"SNR", "SSIM", "PSNR"}
    for row in rows:
        assert float(row["low"]) < float(row["value"]) < float(row["high"])
