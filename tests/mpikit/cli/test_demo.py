"""``mpikit demo`` from the command line."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from mpikit import demo as module
from mpikit.cli import app
from mpikit.demo import Demo
from mpikit.denoise import Denoised
from mpikit.errors import InputError
from mpikit.events import Finding
from mpikit.judging import Score
from mpikit.metrics import ReferenceFree


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Answer as a run of the demonstration would; its arguments."""
    seen = {}

    def run_demo(folder, *, seed, overwrite, tell):
        seen.update(folder=folder, seed=seed, overwrite=overwrite)
        tell(Finding("stage", "scan", "== a scan"))
        scores = [Score(name, ReferenceFree(error, 1e-3, 1.0), 1) for name, error in TABLE]
        denoised = Denoised(None, None, scores[0], scores[1], tuple(scores[2:]), True, None)
        return Demo(folder, folder / "demo.png", denoised, {"before": 12.34, "after": 25.67})

    monkeypatch.setattr(module, "run_demo", run_demo)
    monkeypatch.chdir(tmp_path)
    return seen


TABLE = (("noisy", 0.1), ("unet-gd", 0.01), ("harmonic", 0.02))


def run(*arguments):
    return CliRunner().invoke(app, ["demo", *map(str, arguments)])


def test_data_on_stdout_words_on_stderr(asked):
    done = run()
    assert done.exit_code == 0
    assert {name: str(value) for name, value in asked.items()} == {
        "folder": "mpikit-demo",
        "seed": "0",
        "overwrite": "False",
    }
    lines = done.stdout.splitlines()
    assert lines[-1] == "against the clean simulation: 12.3 dB before, 25.7 dB after"
    assert [line.split("  ")[0] for line in lines[2:-1]] == [
        "before (noisy)",
        "after (unet-gd)",
        "best simple (harmonic)",
    ]
    assert done.stderr.splitlines() == ["== a scan", "wrote mpikit-demo; look at mpikit-demo/demo.png"]


def test_options(asked, tmp_path):
    done = run("-o", tmp_path / "here", "--seed", 5, "--force", "-q")
    assert asked == {"folder": tmp_path / "here", "seed": 5, "overwrite": True}
    assert (done.stdout, done.stderr) == ("", "")
    assert run("--seed", -1).exit_code == 2


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("somebody's")
    done = run("-o", tmp_path / "file")
    assert isinstance(done.exception, InputError)
    assert "cannot be made" in str(done.exception)
    assert (tmp_path / "file").read_text() == "somebody's"
