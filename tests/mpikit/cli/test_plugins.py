"""``mpikit plugins``: list, show, check."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from mpikit.cli import app, main
from mpikit.cli.completion import denoiser_names
from mpikit.errors import PluginError, UsageError


def run(*arguments):
    return CliRunner().invoke(app, ["plugins", *arguments], catch_exceptions=False)


def test_a_list_with_a_broken_plugin(installed, good_plugin):
    installed("fine", good_plugin)
    installed("gone", "import no_such_module")
    done = run("list")
    assert done.exit_code == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["box", "fine", "Nothing"] in rows
    assert "skipped gone (gone 0.1): import failed: No module named 'no_such_module'" in done.stderr
    assert "no_such_module" not in done.stdout


def test_the_keys_of_the_list(installed, good_plugin):
    installed("fine", good_plugin)
    installed("gone", "import no_such_module")
    listed = json.loads(run("list", "--json").stdout)
    assert set(listed) == {"denoisers", "noise_models", "failures"}
    box = {"name": "box", "summary": "Nothing", "plugin": "fine", "distribution": "fine"}
    assert box in listed["denoisers"]
    assert {
        "plugin": "gone",
        "distribution": "gone",
        "stage": "import",
        "error": "import failed: No module named 'no_such_module'",
    } in listed["failures"]


def test_show_says_all_that_a_user_needs():
    done = run("show", "gaussian")
    assert done.exit_code == 0
    assert done.stdout.startswith("gaussian: ")
    assert "noise model of mpikit" in done.stdout
    assert any(line.split()[:3] == ["snr_db", "a", "number"] for line in done.stdout.splitlines())


def test_the_keys_of_show():
    [shown] = json.loads(run("show", "harmonic", "--kind", "denoiser", "--json").stdout)["plugins"]
    assert set(shown) == {
        "name", "summary", "plugin", "distribution", "kind", "promises", "options", "cite",
    }  # fmt: skip
    assert shown["kind"] == "denoiser"
    assert {key for option in shown["options"] for key in option} == {"name", "type", "default", "help"}


def test_show_of_a_method_without_options(installed, good_plugin):
    installed("fine", good_plugin)
    assert "no options" in run("show", "box").stdout


@pytest.mark.parametrize("verb", ["show", "check"])
def test_an_unknown_name(verb):
    with pytest.raises(PluginError, match="'harmonics'") as caught:
        run(verb, "harmonics")
    assert "did you mean 'harmonic'?" in caught.value.hint


def test_two_of_one_name_cannot_be_shown(installed, good_plugin):
    installed("aa", good_plugin)
    installed("bb", good_plugin)
    with pytest.raises(PluginError, match="2 plugins offer"):
        run("show", "box")


def test_check_says_that_the_contract_is_kept():
    done = run("check", "harmonic", "--kind", "denoiser", "-p", "symmetry=off")
    assert done.exit_code == 0
    assert done.stderr == "denoiser 'harmonic' keeps the contract\n"


def test_a_name_that_is_a_denoiser_and_a_noise_model():
    kinds = [shown["kind"] for shown in json.loads(run("show", "harmonic", "--json").stdout)["plugins"]]
    assert kinds == ["denoiser", "noise model"]
    done = run("check", "harmonic", "--kind", "noise", "-p", "sir_db=3")
    assert done.stderr == "noise model 'harmonic' keeps the contract\n"
    with pytest.raises(UsageError, match="whose option is 'sir_db=3'"):
        run("check", "harmonic", "-p", "sir_db=3")
    with pytest.raises(PluginError, match="no noise model is called 'average'"):
        run("show", "average", "--kind", "noise")


def test_check_of_a_broken_contract_is_4(installed, good_plugin, monkeypatch, capsys):
    installed("same", good_plugin.replace(".copy()", ""))
    monkeypatch.setattr("sys.argv", ["mpikit", "plugins", "check", "box"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 4
    assert (
        "denoiser 'box' breaks the contract: denoise shares memory with its input" in capsys.readouterr().err
    )


def test_check_with_extremes(installed, good_plugin, monkeypatch, capsys):
    breaks = good_plugin.replace("signal.copy()", "signal[:] / (scan.signal.shape[-1] > 1)")
    assert breaks != good_plugin
    installed("breaks", breaks)
    assert run("check", "savgol", "--extremes").stderr == "denoiser 'savgol' keeps the contract\n"
    assert run("check", "box").exit_code == 0
    monkeypatch.setattr("sys.argv", ["mpikit", "plugins", "check", "box", "--extremes"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 4
    assert "breaks the contract: box and 1 samples: " in capsys.readouterr().err


def test_check_with_wrong_options():
    with pytest.raises(UsageError, match="has no option 'snr'"):
        run("check", "gaussian", "-p", "snr=3")


def test_names_for_the_shell(installed, good_plugin):
    installed("fine", good_plugin)
    assert denoiser_names("bo") == ["box"]
    assert set(denoiser_names("")) >= {"box", "harmonic"}
