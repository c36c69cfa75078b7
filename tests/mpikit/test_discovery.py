"""Plugins are found where they are installed; what is broken is told and breaks nothing."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

from mpikit.errors import PluginError
from mpikit.plugins import load, registry


def ours(found):
    """Failures of the fake distributions, as (plugin, stage)."""
    return [(each.plugin, each.stage) for each in found.failures if each.distribution != "mpikit"]


def test_a_broken_plugin_breaks_nothing(installed, good_plugin):
    installed("gone", "import no_such_module")
    installed("fine", good_plugin)
    found = load(entry_points(group="mpikit"))
    [offer] = found.denoisers["box"]
    assert (offer.plugin, offer.distribution) == ("fine", "fine")
    assert ours(found) == [("gone", "import")]
    [failure] = [each for each in found.failures if each.plugin == "gone"]
    assert failure.text == "import failed: No module named 'no_such_module'"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def f(:", "SyntaxError"),
    ],
)
def test_whatever_an_import_raises_is_kept(installed, source, text):
    installed("odd", source)
    found = load(entry_points(group="mpikit", name="odd"))
    assert ours(found) == [("odd", "import")]
    assert text in found.failures[0].text


def test_ctrl_c_is_no_failure_of_a_plugin(installed):
    installed("slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load(entry_points(group="mpikit", name="slow"))


def test_a_misspelt_hook_is_told_with_the_right_one(installed, good_plugin):
    installed("typo", good_plugin.replace("mpikit_denoisers", "mpikit_denosiers"))
    found = load(entry_points(group="mpikit", name="typo"))
    assert ours(found) == [("typo", "register")]
    assert "did you mean 'mpikit_denoisers'?" in found.failures[0].text
    assert found.denoisers == {}


def test_a_hook_of_a_later_mpikit_may_be_optional(installed, good_plugin):
    later = "@hookimpl(optionalhook=True)\ndef mpikit_solvers():\n    return ()\n"
    installed("modern", good_plugin + later)
    found = load(entry_points(group="mpikit", name="modern"))
    assert ours(found) == []
    assert list(found.denoisers) == ["box"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("@hookimpl", "", "@mpikit.hookimpl"),
        ("mpikit_denoisers():", "mpikit_denoisers(scan):", "scan"),
        ("@hookimpl", "@hookimpl(wrapper=True)", "wrapper"),
    ],
)
def test_a_hook_that_cannot_be_asked_is_a_failure(installed, good_plugin, old, new, words):
    installed("wrong", good_plugin.replace(old, new))
    found = load(entry_points(group="mpikit", name="wrong"))
    assert ours(found) == [("wrong", "register")]
    assert words in found.failures[0].text


def test_after_a_failed_registration_the_others_are_asked(installed, good_plugin):
    installed("aa", good_plugin.replace("@hookimpl", "@hookimpl(wrapper=True)"))
    installed("bb", good_plugin)
    found = load(entry_points(group="mpikit"))
    assert [offer.plugin for offer in found.denoisers["box"]] == ["bb"]
    assert ours(found) == [("aa", "register")]


def test_what_came_before_an_error_counts(installed, good_plugin):
    installed("half", good_plugin + "    raise OSError('the rest is missing')\n")
    found = load(entry_points(group="mpikit", name="half"))
    assert list(found.denoisers) == ["box"]
    assert ours(found) == [("half", "call")]
    assert found.failures[0].text == "call failed: OSError: the rest is missing"


def test_one_hook_that_raises_does_not_silence_the_other(installed, good_plugin):
    installed("mixed", good_plugin + "\n@hookimpl\ndef mpikit_noise_models():\n    raise OSError\n")
    found = load(entry_points(group="mpikit", name="mixed"))
    assert list(found.denoisers) == ["box"]
    assert ours(found) == [("mixed", "call")]


def test_a_wrong_record_leaves_the_others(installed, good_plugin):
    installed("wrong", good_plugin.replace("    yield", "    yield 'box'\n    yield"))
    found = load(entry_points(group="mpikit", name="wrong"))
    assert list(found.denoisers) == ["box"]
    assert ours(found) == [("wrong", "record")]
    assert found.failures[0].text == "record failed: a str was given where a Denoiser was expected"


@pytest.mark.parametrize("name", ["auto", "unchanged"])
def test_auto_is_reserved(installed, good_plugin, name):
    installed("greedy", good_plugin.replace('"box"', f'"{name}"'))
    found = load(entry_points(group="mpikit", name="greedy"))
    assert found.denoisers == {}
    assert ours(found) == [("greedy", "record")]


def test_two_of_one_name_are_listed_and_an_error_when_used(installed, good_plugin):
    installed("aa", good_plugin)
    installed("bb", good_plugin)
    found = load(entry_points(group="mpikit"))
    assert [offer.distribution for offer in found.denoisers["box"]] == ["aa", "bb"]
    assert ours(found) == []
    with pytest.raises(PluginError, match=r"'aa' of aa 0\.1 and 'bb' of bb 0\.1") as caught:
        found.denoiser("box")
    assert "MPIKIT_BLOCK_PLUGINS=bb:bb" in caught.value.hint


@pytest.mark.parametrize("named", ["bb", " bb , nothing", "bb:bb"])
def test_a_plugin_can_be_left_out(installed, good_plugin, monkeypatch, named):
    installed("aa", good_plugin)
    installed("bb", good_plugin)
    monkeypatch.setenv("MPIKIT_BLOCK_PLUGINS", named)
    assert registry().denoiser("box").plugin == "aa"


def test_a_blocked_plugin_is_not_even_imported(installed, monkeypatch):
    installed("hangs", "raise KeyboardInterrupt")
    monkeypatch.setenv("MPIKIT_BLOCK_PLUGINS", "hangs")
    assert "hangs" not in [failure.plugin for failure in registry().failures]


def test_the_machine_is_asked_once(installed, good_plugin):
    installed("fine", good_plugin)
    assert registry() is registry()


def test_our_own_plugins_load():
    found = load(entry_points(group="mpikit"))
    assert [each.text for each in found.failures if each.distribution == "mpikit"] == []
    assert "harmonic" in found.denoisers
    assert "gaussian" in found.noise_models
