"""``mpikit doctor`` and the choice of a device."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mpikit.cli import app
from mpikit.device import choose_device, cuda_name
from mpikit.doctor import examine
from mpikit.errors import UsageError


def test_the_report_as_json(installed, monkeypatch):
    installed("gone", f"raise OSError({str(Path.home())!r} + '/secret')")
    monkeypatch.setenv("MPIKIT_BLOCK_PLUGINS", "unet")
    done = CliRunner().invoke(app, ["doctor", "--json"], catch_exceptions=False)
    assert done.exit_code == 4
    report = json.loads(done.stdout)
    assert list(report) == [
        "versions", "machine", "cuda", "extras", "plugins", "failures", "blocked", "samples",
        "todo", "verdict",
    ]  # fmt: skip
    assert report["verdict"] == "1 thing to mend, see todo"
    [todo] = report["todo"]
    assert "MPIKIT_BLOCK_PLUGINS=gone" in todo
    assert "gone 0.1" in todo
    assert report["versions"]["python"] == platform.python_version()
    assert {"mpikit", "numpy", "scipy", "h5py", "torch"} <= set(report["versions"])
    assert None not in report["versions"].values()
    assert set(report["extras"]) >= {
        "compression", "datasets", "distributed", "nifti", "phantoms", "xarray",
    }  # fmt: skip
    assert report["blocked"] == ["unet"]
    assert report["failures"] == ["gone (gone 0.1): import failed: OSError: ~/secret"]


def test_the_report_as_text_has_every_part():
    done = CliRunner().invoke(app, ["doctor"], catch_exceptions=False)
    assert done.exit_code == 0
    titles = [line.split(":")[0] for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert titles == list(examine())
    assert done.stdout.splitlines()[-1].startswith("verdict: all is well: ")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scipy": None}, "scipy is missing: pip install scipy"),
        ({"mdf": "3.0"}, "the package mdf of other people is installed"),
    ],
)
def test_what_is_wrong_with_packages_is_said(monkeypatch, change, words):
    from importlib.metadata import version

    monkeypatch.setattr(
        "mpikit.doctor._version", lambda name: change.get(name, None if name == "mdf" else version(name))
    )
    monkeypatch.setattr("mpikit.doctor._requirements", lambda: {"": ["numpy", "scipy"]})
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 4
    assert done.stdout.splitlines()[-1] == "verdict: 1 thing to mend, see todo"
    assert f"  {words}" in done.stdout


def test_two_plugins_of_one_name_are_to_be_mended(installed, good_plugin):
    installed("first", good_plugin)
    installed("second", good_plugin)
    [todo] = examine()["todo"]
    assert todo.startswith("the denoiser box is offered by first 0.1 and second 0.1")


def test_a_torch_that_does_not_load_is_to_be_mended(monkeypatch):
    def broken():
        raise OSError("no libcudart")

    monkeypatch.setattr("mpikit.device.cuda_name", broken)
    report = examine()
    assert report["cuda"] == "torch does not load: no libcudart"
    assert [each for each in report["todo"] if "torch" in each]


@pytest.mark.parametrize("folder", ["set", None])
def test_no_personal_paths(folder, monkeypatch, tmp_path):
    (tmp_path / "a.mdf").touch()
    if folder:
        monkeypatch.setenv("MPIKIT_SAMPLES", str(tmp_path))
    else:
        monkeypatch.delenv("MPIKIT_SAMPLES", raising=False)
    report = examine()
    assert report["samples"] == ("MPIKIT_SAMPLES is set, 1 files" if folder else "MPIKIT_SAMPLES is not set")
    text = json.dumps(report, default=str)
    assert str(tmp_path) not in text
    assert f"{Path.home()}/" not in text


def test_the_processor_is_always_there():
    assert choose_device("cpu") == "cpu"


@pytest.mark.parametrize(("name", "device"), [("NVIDIA H100", "cuda"), (None, "cpu")])
def test_auto_takes_what_there_is(monkeypatch, name, device):
    monkeypatch.setattr("mpikit.device.cuda_name", lambda: name)
    assert choose_device("auto") == device


def test_asking_for_cuda_without_one(monkeypatch):
    monkeypatch.setattr("mpikit.device.cuda_name", lambda: None)
    with pytest.raises(UsageError, match="no CUDA device is found"):
        choose_device("cuda")


def test_an_unknown_device():
    with pytest.raises(UsageError, match="no device is called 'cude'") as caught:
        choose_device("cude")
    assert caught.value.hint == "did you mean 'cuda'?"


@pytest.mark.gpu
def test_a_real_cuda_device():
    if cuda_name() is None:
        pytest.skip("no CUDA device is found")
    assert choose_device("auto") == choose_device("cuda") == "cuda"
