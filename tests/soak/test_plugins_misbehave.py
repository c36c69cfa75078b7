"""A plugin that misbehaves changes no input, leaves no half output, and is named: exit code 4."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import rogue
from commands import SIMULATE, hashes

import mdf
from mpikit.cli import main
from mpikit.plugins import registry

NAME = "rogue 0.1"
HARMLESS_WAYS = {  # and where each can be
    "forks": ("build", "missing", "fit", "denoise"),
    "prints": ("build", "missing", "fit", "denoise"),
    "changes NumPy": ("build", "missing", "fit", "denoise"),
    "changes warnings": ("build", "missing", "fit", "denoise"),
    "drops warnings": ("build", "missing", "fit", "denoise"),
    "changes the folder": ("build", "missing", "fit", "denoise"),
    "changes what is said": ("missing", "fit", "denoise"),
    "shares its chance": ("fit", "denoise"),
}
# of noise, which many threads may draw at once: another stream may be of any of them
HARMLESS_WAYS_OF_NOISE = ("forks", "prints", "changes NumPy", "changes warnings", "changes the folder")
HARMFUL_WAYS = [way for way in rogue.WAYS if way not in (*HARMLESS_WAYS, "takes stdout", "dies")]
HARMLESS_OUTPUTS = ("float64", "another order", "its input", "a subclass")
HARMFUL_OUTPUTS = [output for output in rogue.OUTPUTS if output not in HARMLESS_OUTPUTS]
NO_NUMBERS = ("NaN", "one infinity", "too large for float32")
WITHOUT_SCAN = ("raises", "exits", "leaves", "ends", "recurses", "finds fault", "has no room", "has no error")
WRITES = [way for way in HARMFUL_WAYS if way.split()[0] in ("writes", "reverses", "moves", "hides", "drives")]
PLACES = {  # of a denoiser; without a scan or a run there is less to do
    "build": WITHOUT_SCAN,
    "missing": (*WITHOUT_SCAN, *WRITES, "answers oddly"),
    "fit": HARMFUL_WAYS,
    "denoise": HARMFUL_WAYS,
}
CODES = {"finds fault": 3, "has no error": 3, "has no room": 5}  # a plugin may say what is at fault


def some(cases, *, among):
    """Return cases of which those that are among some run in any case, all others in the long run."""
    assert set(among) <= set(cases)
    values = {case: case if isinstance(case, tuple) else (case,) for case in cases}
    marks = {case: () if case in among else pytest.mark.soak for case in cases}
    return [pytest.param(*values[case], marks=marks[case]) for case in cases]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Folder with a distribution that brings the plugin."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(rogue.__file__, folder / "rogue.py")
    info = folder / "rogue-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rogue\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[mpikit]\nrogue = rogue\n")
    return folder


@pytest.fixture
def installed(site, monkeypatch):
    monkeypatch.syspath_prepend(site)
    monkeypatch.delenv("MPIKIT_BLOCK_PLUGINS", raising=False)
    registry.cache_clear()
    yield
    registry.cache_clear()


@pytest.fixture
def command(installed, folder, monkeypatch, capsys):
    """Run a command in this process, in a folder with small files; return exit code, stdout and stderr."""
    monkeypatch.chdir(folder)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["mpikit", *map(str, arguments)])
        before = surroundings()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        assert surroundings() == before
        return code, *capsys.readouterr()

    return run


def surroundings():
    """What the plugin changes in the process, if it can."""
    filters = [each for each in warnings.filters if "rogue" in str(each[1])]
    return Path.cwd(), np.geterr(), filters, sys.stdout, os._exit


def parameters(at, how):
    return ("-p", f"at={at}", "-p", f"how={how}")


def check_refused(command, folder, *arguments, code=4):
    """Run a command with an old output in its place: all stays as it was, and the plugin is named."""
    (folder / "out.mdf").write_text("old")
    before = hashes(folder)
    found, out, err = command(*arguments, "-o", "out.mdf", "--force")
    assert (found, out) == (code, ""), err
    assert "'rogue' of rogue 0.1" in err
    assert "Traceback" not in err
    assert hashes(folder) == before


@pytest.mark.parametrize(
    ("at", "how"),
    some(
        [(at, how) for at, ways in PLACES.items() for how in ways],
        among=[
            *(("build", "leaves"), ("build", "has no error"), ("missing", "hides lines")),
            *(("fit", "reverses the frames"), ("fit", "finds fault"), ("denoise", "unlocks the signal")),
            *(("denoise", "has no room"), ("denoise", "tells odd figures")),
        ],
    ),
    ids=lambda each: each,
)
def test_a_denoiser_that_fails(command, folder, at, how):
    line = ("denoise", "-m", "rogue", "scan.mdf", *parameters(at, how))
    check_refused(command, folder, *line, code=CODES.get(how, 4))


@pytest.mark.parametrize("how", some(HARMFUL_OUTPUTS, among=["short", "one infinity"]))
def test_a_denoiser_with_a_strange_output(command, folder, how):
    code = 5 if how in NO_NUMBERS else 4
    check_refused(
        command, folder, "denoise", "-m", "rogue", "scan.mdf", *parameters("output", how), code=code
    )


@pytest.mark.parametrize(
    ("at", "how"),
    some(
        [(at, how) for how, places in HARMLESS_WAYS.items() for at in places],
        among=[
            *(("build", "prints"), ("missing", "changes the folder"), ("fit", "changes warnings")),
            *(("denoise", "forks"), ("fit", "shares its chance")),
        ],
    ),
    ids=lambda each: each,
)
def test_a_denoiser_that_touches_its_surroundings(command, folder, at, how):
    before = hashes(folder)
    line = ("denoise", "-m", "rogue", "scan.mdf", "-o", "out.mdf", "--json")
    code, out, err = command(*line, *parameters(at, how))
    assert code == 0, err
    assert json.loads(out)
    assert ("rogue was here" in err) == (how == "prints")
    assert mdf.validate(folder / "out.mdf") == mdf.validate(folder / "scan.mdf")
    after = hashes(folder)
    assert after.pop("out.mdf")
    assert after == before
    with mdf.open(folder / "scan.mdf") as noisy, mdf.open(folder / "out.mdf") as half:
        np.testing.assert_allclose(half.read_signal(), noisy.read_signal() / 2, rtol=1e-5)


@pytest.mark.parametrize("how", some(HARMLESS_OUTPUTS, among=["its input"]))
def test_an_output_that_is_taken(command, folder, how):
    code, _, err = command("denoise", "-m", "rogue", "scan.mdf", "-o", "out.mdf", *parameters("output", how))
    assert code == 0, err
    with mdf.open(folder / "scan.mdf") as noisy, mdf.open(folder / "out.mdf") as same:
        np.testing.assert_array_equal(same.read_signal(), noisy.read_signal())


@pytest.mark.parametrize(
    ("verb", "how"),
    some(
        [(verb, how) for verb in ("train", "denoise") for how in rogue.STATES],
        among=[("train", "objects"), ("denoise", "NaN")],
    ),
)
def test_a_state_that_cannot_be_kept(command, folder, verb, how):
    given, wanted = parameters("kept", how), 5 if how == "NaN" else 4
    if verb == "denoise":
        line = ("denoise", "-m", "rogue", "scan.mdf", *given, "--save-model", "m.safetensors")
        check_refused(command, folder, *line, code=wanted)
    else:
        before = hashes(folder)
        code, _, err = command("train", "-m", "rogue", "scan.mdf", "-o", "m.safetensors", *given)
        assert code == wanted
        assert "'rogue' of rogue 0.1" in err
        assert {**before, **hashes(folder)} == before | {
            name: digest for name, digest in hashes(folder).items() if name.endswith(".lock")
        }
    assert not (folder / "m.safetensors").exists()


@pytest.mark.parametrize("how", some(["raises", "exits", "ends", "writes", "tells words"], among=["exits"]))
def test_a_training_that_fails(command, folder, how):
    code, _, err = command("train", "-m", "rogue", "scan.mdf", "-o", "m.safetensors", *parameters("fit", how))
    assert code == 4
    assert "'rogue' of rogue 0.1" in err
    assert not (folder / "m.safetensors").exists()


@pytest.mark.parametrize(
    ("how", "code"),
    some(
        [
            *(("raises", 4), ("exits", 4), ("ends", 4)),
            *(("writes", 3), ("finds fault", 3), ("recurses", 3), ("has no room", 5)),
        ],
        among=[("exits", 4), ("writes", 3)],
    ),
)
def test_a_model_that_cannot_be_restored(command, folder, how, code):
    line = ("train", "-m", "rogue", "scan.mdf", "-o", "m.safetensors")
    found, _, err = command(*line, *parameters("restore", how))
    assert found == 0, err
    found, _, err = command("denoise", "--model", "m.safetensors", "scan.mdf", "-o", "out.mdf")
    assert found == code
    assert "'rogue' of rogue 0.1" in err
    assert not (folder / "out.mdf").exists()


@pytest.mark.parametrize(
    "how",
    some(
        ["raises", "exits", "writes", "reverses the frames", "tells words", "prints", "shares its chance"],
        among=["reverses the frames", "shares its chance"],
    ),
)
def test_a_rogue_in_a_comparison_leaves_the_others_alone(command, folder, how):
    rows = []
    for names, given in (("harmonic", ()), ("rogue,harmonic", ("rogue.at=fit", f"rogue.how={how}"))):
        chosen = [word for each in given for word in ("-p", each)]
        code, out, err = command("compare", "scan.mdf", "--methods", names, *chosen, "--json")
        assert code == 0, err
        rows.append({row["method"]: row for row in json.loads(out)["rows"]})
    alone, beside = (each["harmonic"] for each in rows)
    assert alone["snr_db"] is not None
    assert {key: beside[key] for key in alone if "second" not in key} == {
        key: alone[key] for key in alone if "second" not in key
    }


@pytest.mark.parametrize(
    ("at", "how"),
    some(
        [
            *(("build", "raises"), ("build", "exits"), ("begin", "raises"), ("begin", "ends")),
            *(("begin", "odd"), ("begin", "writes the power"), ("begin", "writes the field")),
            *(("draw", "raises"), ("draw", "exits"), ("draw", "leaves"), ("draw", "ends")),
            *(("draw", "writes the signal"), ("draw", "writes the places"), ("draw", "writes the field")),
            *(("draw", "unlocks the signal"), ("draw", "finds fault"), ("draw", "has no room")),
            *(("output", output) for output in HARMFUL_OUTPUTS if output != "too large for float32"),
        ],
        among=[
            *(("build", "exits"), ("begin", "writes the power"), ("draw", "leaves")),
            *(("draw", "unlocks the signal"), ("output", "short")),
        ],
    ),
    ids=lambda each: each,
)
def test_noise_that_fails(command, folder, at, how):
    code = 5 if at == "output" and how in NO_NUMBERS else CODES.get(how, 4)
    check_refused(command, folder, *SIMULATE[:6], "--noise", f"rogue:at={at},how={how}", code=code)


@pytest.mark.parametrize("how", some(HARMLESS_WAYS_OF_NOISE, among=["prints"]))
def test_noise_that_touches_its_surroundings(command, folder, how):
    line = (*SIMULATE[:6], "--noise", f"rogue:at=draw,how={how}", "-o", "out.mdf", "--json")
    code, out, err = command(*line)
    assert code == 0, err
    assert json.loads(out)
    assert ("rogue was here" in err) == (how == "prints")
    assert mdf.open(folder / "out.mdf").close() is None


def process(site, folder, *arguments, **surroundings):
    """Start a command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", "from mpikit.cli import main; main()", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"} | surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("at", ["fit", "denoise"])
def test_a_plugin_that_takes_stdout(site, folder, at):
    """In a process of its own: where other threads live, nobody can tell who put another stream there."""
    line = ("denoise", "-m", "rogue", "scan.mdf", "-o", "out.mdf", "--json", *parameters(at, "takes stdout"))
    started = process(site, folder, *line)
    out, err = started.communicate(timeout=120)
    assert started.returncode == 0, err
    assert json.loads(out)


def test_a_plugin_that_crashes_the_process(site, folder):
    (folder / "out.mdf").write_text("old")
    before = hashes(folder)
    line = ("denoise", "-m", "rogue", "scan.mdf", "-o", "out.mdf", "--force", *parameters("fit", "dies"))
    started = process(site, folder, *line)
    out, _ = started.communicate(timeout=120)
    assert (started.returncode, out) == (-signal.SIGSEGV, "")
    assert hashes(folder) == before


def test_a_plugin_that_ends_the_process_at_import(site, folder):
    started = process(site, folder, "plugins", "list", ROGUE_AT_IMPORT="leave")
    out, err = started.communicate(timeout=120)
    assert started.returncode == 0, err
    assert "harmonic" in out
    assert "skipped rogue (rogue 0.1): import failed: SystemExit: os._exit(0)" in err


@pytest.mark.soak
def test_a_plugin_that_touches_its_surroundings_at_import(site, folder):
    line = ("denoise", "-m", "harmonic", "scan.mdf", "-o", "out.mdf", "--json")
    started = process(site, folder, *line, ROGUE_AT_IMPORT="print")
    out, err = started.communicate(timeout=120)
    assert started.returncode == 0, err
    assert json.loads(out)
    assert "printed at import" in err
    assert (folder / "out.mdf").exists()


def test_a_plugin_that_hangs_at_import(site, folder):
    started = process(site, folder, "plugins", "list", ROGUE_AT_IMPORT="hang")
    begun = time.monotonic()
    line = started.stderr.readline()
    assert time.monotonic() - begun < 60
    words = "warning: still loading the plugin rogue of rogue 0.1;"
    assert line == f"{words} MPIKIT_BLOCK_PLUGINS=rogue:rogue leaves it out\n"
    started.send_signal(signal.SIGINT)
    _, err = started.communicate(timeout=60)
    assert started.returncode == 130
    assert "interrupted while loading the plugin rogue of rogue 0.1; MPIKIT_BLOCK_PLUGINS=" in err
    assert "Traceback" not in err
    blocked = process(
        site, folder, "plugins", "list", ROGUE_AT_IMPORT="hang", MPIKIT_BLOCK_PLUGINS="rogue:rogue"
    )
    out, _ = blocked.communicate(timeout=120)
    assert blocked.returncode == 0
    assert "harmonic" in out
