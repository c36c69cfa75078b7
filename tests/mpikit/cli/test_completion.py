"""Completion by the protocol of the shells: a line with a cursor in, words out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from mpikit.cli.completion import PREFIX, join_bash_words

BASH = shutil.which("bash")


def complete(monkeypatch, capsys, *words, shell="bash"):
    """Complete the last word as bash splits it, or as the other shells hand it over."""
    from mpikit.cli import main

    for name in ("COMP_WORDS", "COMP_CWORD", PREFIX, "_TYPER_COMPLETE_ARGS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("_MPIKIT_COMPLETE", f"complete_{shell}")
    if shell == "bash":
        monkeypatch.setenv("COMP_WORDS", "\n".join(["mpikit", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
    else:
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", " ".join(["mpikit", *words]))
        monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setattr("sys.argv", ["mpikit"])
    with pytest.raises(SystemExit) as end:
        main()
    out, err = capsys.readouterr()
    assert (end.value.code, err) == (0, "")
    monkeypatch.delenv(PREFIX, raising=False)
    return out.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("rep", {"report", "reproduce"}),
        ("denoise -m une", {"unet-gd"}),
        ("denoise -m au", {"auto"}),
        ("train --method = une", {"unet-gd"}),
        ("denoise -m harmonic -p symm", {"symmetry=fit", "symmetry=exact", "symmetry=off"}),
        ("denoise -m harmonic -p symmetry = o", {"off"}),
        ("denoise -m harmonic --param = symmetry = o", {"off"}),
        ("denoise -m harmonic -p symmetry =", {"fit", "exact", "off"}),
        ("denoise -m wgan-gp -p preset =", {"mpikit", "paper"}),
        ("denoise -p cand", {"candidates="}),
        ("compare x.mdf --methods average,wie", {"average,wiener"}),
        ("compare x.mdf --methods average,harmonic -p h", {"harmonic."}),
        ("compare x.mdf -p harmonic.symmetry = f", {"fit"}),
        ("compare x.mdf --dev", {"--device"}),
        ("compare x.mdf --device cu", {"cuda"}),
        ("reproduce peng-t", {"peng-table2", "peng-table3"}),
        ("reproduce --scale s", {"smoke"}),
        ("reproduce peng-table2 --methods sav", {"savgol"}),
        ("simulate peng", {"peng2023", "peng2023-openmpi"}),
        ("simulate openmpi-2d --noise col", {"coloured"}),
        ("simulate openmpi-2d --noise gaussian : snr_db = 5 --phantom sm", {"smile"}),
        ("simulate openmpi-2d --noise gaussian : snr_db = 5,refer", {"5,reference=rms", "5,reference=peak"}),
        ("simulate openmpi-2d --noise gaussian : level =", {"signal", "channel"}),
        ("noise x.mdf --model emp", {"empirical"}),
        ("plot x.mdf --kind sl", {"slices"}),
        ("reconstruct x.mdf -m fi", {"fista"}),
        ("reconstruct x.mdf -m fista -p prior = t", {"tv"}),
        ("reconstruct x.mdf --lambda g", {"gcv"}),
        ("reconstruct x.mdf --background dic", {"dictionary"}),
        ("datasets fetch mdf-example-c", {"mdf-example-calibration"}),
        ("datasets path mdf-example-c", {"mdf-example-calibration"}),
        ("plugins show gau", {"gaussian"}),
        ("plugins check harmonic --kind n", {"noise"}),
    ],
)
def test_in_bash(line, words, monkeypatch, capsys):
    found = set(complete(monkeypatch, capsys, *line.split()))
    assert words <= found
    if not line.endswith(("=", "rep", "-p symm", "wie", "peng-t")):
        assert found == words


def test_of_several_options_the_defaults_are_shown(monkeypatch, capsys):
    found = complete(monkeypatch, capsys, "denoise", "-m", "harmonic", "-p", "")
    assert {"symmetry=fit", "band=0"} <= set(found)
    assert "symmetry=off" not in found


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_in_other_shells_words_stay_whole(shell, monkeypatch, capsys):
    found = complete(monkeypatch, capsys, "denoise", "-m", "harmonic", "-p", "symmetry=o", shell=shell)
    assert "symmetry=off" in " ".join(found)
    assert "fit" not in " ".join(found)


def test_a_method_of_a_stranger_is_proposed(installed, good_plugin, monkeypatch, capsys):
    installed("stranger", good_plugin)
    assert complete(monkeypatch, capsys, "denoise", "-m", "bo") == ["box"]


def test_an_empty_word_after_a_space_is_a_word_of_its_own():
    environment = {"COMP_WORDS": "mpikit\ncompare\n-p\na\n=\nb\n", "COMP_CWORD": "6"}
    join_bash_words(environment)
    assert environment["COMP_WORDS"].split("\n") == ["mpikit", "compare", "-p", "a=b", ""]
    assert (environment["COMP_CWORD"], environment[PREFIX]) == ("4", "")


def test_completion_loads_no_torch_and_is_fast():
    code = """
import sys, time
from mpikit.cli import main
try:
    main()
except SystemExit:
    pass
print(sorted({"torch", "matplotlib", "skimage"} & set(sys.modules)), time.process_time())
"""
    environment = {
        **os.environ,
        "COMP_WORDS": "mpikit\ndenoise\n-m\nune",
        "COMP_CWORD": "3",
        "_MPIKIT_COMPLETE": "complete_bash",
    }
    seconds = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
        )
        found, heavy, took = done.stdout.split()
        assert (found, heavy) == ("unet-gd", "[]")
        seconds.append(float(took))
    assert min(seconds) < 1.2  # half a second on an idle machine


@pytest.mark.skipif(BASH is None, reason="needs bash")
def test_bash_itself(tmp_path):
    """The script of --show-completion, driven as readline drives it."""
    command = tmp_path / "mpikit"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "from mpikit.cli import main; main()" "$@"\n')
    command.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    environment = {name: value for name, value in environment.items() if not name.startswith("_MPIKIT")}
    shown = subprocess.run(
        [str(command), "--show-completion", "bash"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if shown.returncode:  # where the shell is found out, the option takes none
        shown = subprocess.run(
            [BASH, "-c", "mpikit --show-completion"],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
    script = shown.stdout
    assert "complete_bash" in script
    words = "mpikit denoise -m harmonic -p symmetry = o"
    script += f'\nCOMP_WORDS=({words}); COMP_CWORD=7; _mpikit_completion mpikit; echo "${{COMPREPLY[@]}}"\n'
    done = subprocess.run([BASH, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["off"]
