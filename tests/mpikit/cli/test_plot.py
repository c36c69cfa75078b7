"""``mpikit plot``: where the figure goes, and what a terminal is sent."""

from __future__ import annotations

import base64
import io
import json
import re
import sys

import numpy as np
import pytest
from PIL import Image

from mpikit.cli import main
from mpikit.cli.terminal import CHUNK, escapes, protocol
from mpikit.scan_file import write_scan
from mpikit.testing import example_scan

from .test_report import ABOUT, names


@pytest.fixture
def run(capfdbinary, monkeypatch):
    """Run the command as a shell does: exit code, stdout, stderr."""
    for name in ("TERM", "TERM_PROGRAM", "KITTY_WINDOW_ID", "LC_TERMINAL", "TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)

    def plot(*arguments):
        monkeypatch.setattr("sys.argv", ["mpikit", "plot", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capfdbinary.readouterr()
        return end.value.code or 0, out, err.decode()

    return plot


@pytest.fixture
def source(tmp_path):
    write_scan(example_scan(), tmp_path / "scan.mdf", contents=ABOUT)
    return tmp_path / "scan.mdf"


def test_without_a_terminal_the_figure_is_a_file(run, source, tmp_path):
    code, out, err = run(source)
    assert (code, out, err) == (0, b"", f"wrote {tmp_path / 'scan.plot.png'}\n")
    with Image.open(tmp_path / "scan.plot.png") as picture:
        assert picture.format == "PNG"


def test_a_terminal_that_shows_pictures_gets_one(run, source, tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-kitty")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, err = run(source)
    assert (code, err) == (0, "")
    assert out.startswith(b"\x1b_Ga=T,f=100,")
    assert names(tmp_path) == ["scan.mdf"]


@pytest.mark.parametrize("arguments", [["-q"], ["--json"], ["-o", "scan.plot.png"]])
def test_who_asks_for_a_file_gets_no_picture(run, source, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "xterm-kitty")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, _ = run(source, *arguments)
    assert code == 0
    assert b"\x1b" not in out
    assert names(tmp_path) == ["scan.mdf", "scan.plot.png"]


def test_a_figure_of_ours_at_the_default_name_is_replaced(run, source, tmp_path):
    place = tmp_path / "scan.plot.png"
    assert [run(source, "-q")[0] for _ in range(2)] == [0, 0]
    assert run(source, "-q", "-o", place)[0] == 3  # a name that was given
    Image.new("RGB", (2, 3)).save(place)
    content = place.read_bytes()
    code, _, err = run(source, "-q")
    assert (code, place.read_bytes()) == (3, content)
    assert "exists already" in err
    code, _, err = run(source, "--kind", "nonsense")
    assert (code, "nonsense" in err, "exists" in err) == (2, True, False)


def test_several_files_go_into_a_folder(run, source, tmp_path):
    (tmp_path / "b.mdf").write_bytes(source.read_bytes())
    (tmp_path / "text.mdf").write_text("text")
    sources = [source, tmp_path / "text.mdf", tmp_path / "b.mdf"]
    folder = tmp_path / "figures"
    code, out, _ = run(*sources, "-o", folder, "--dry-run")
    assert (code, folder.exists()) == (6, False)
    assert json.loads(out)["files"][2]["kind"] == "spectrum"
    code, out, err = run(*sources, "-o", folder, "--json")
    assert code == 6
    assert "text.mdf" in err
    first, second, third = json.loads(out)["files"]
    assert first == {"file": str(source), "kind": "spectrum", "output": str(folder / "scan.plot.png")}
    assert second["error"]["exit_code"] == 3
    assert names(folder) == ["b.plot.png", "scan.plot.png"]
    assert third["output"] == str(folder / "b.plot.png")


def test_several_figures_need_a_folder_and_names_of_their_own(run, source, tmp_path):
    (tmp_path / "in").mkdir()
    other = tmp_path / "in" / "scan.mdf"
    other.write_bytes(source.read_bytes())
    assert "is the name of a file" in run(source, other, "-o", tmp_path / "a.png")[2]
    code, _, err = run(source, other, "-o", tmp_path / "figures")
    assert (code, "would both become" in err) == (2, True)
    assert run(source, other, "-q") == (0, b"", "")
    assert (tmp_path / "in" / "scan.plot.png").exists()


def test_json_has_stable_keys(run, source, tmp_path):
    code, out, err = run(source, "--kind", "snr", "--json", "-o", tmp_path / "a.svg")
    assert (code, err) == (0, "")
    assert json.loads(out) == {"file": str(source), "kind": "snr", "output": str(tmp_path / "a.svg")}
    assert (tmp_path / "a.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["none.mdf"], 3, "none.mdf"),
        (["text.mdf"], 3, "text.mdf"),
        (["scan.mdf", "-o", "figure.jpg"], 2, "is no name of a figure"),
        (["scan.mdf", "-o", "nowhere/a.png"], 3, "the folder nowhere does not exist"),
        (["scan.mdf", "--kind", "slices"], 2, "scan.mdf is a measurement"),
        (["scan.mdf", "-o", "taken.png"], 3, "taken.png exists already"),
        ([], 2, "FILE"),
    ],
)
def test_what_goes_wrong_and_its_exit_code(run, source, monkeypatch, arguments, code, words):
    monkeypatch.chdir(source.parent)
    for name in ("text.mdf", "taken.png"):
        (source.parent / name).write_text("text")
    before = names(source.parent)
    found, out, err = run(*arguments)
    assert (found, out) == (code, b"")
    assert words in err
    assert "Traceback" not in err
    assert names(source.parent) == before
    assert (source.parent / "taken.png").read_text() == "text"


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, None),
        ({"TERM": "xterm-256color"}, None),
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-ghostty"}, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"TERM_PROGRAM": "WezTerm", "TERM": "xterm-256color"}, "iterm2"),
        ({"LC_TERMINAL": "iTerm2"}, "iterm2"),
        ({"TERM": "foot"}, "sixel"),
        ({"TERM": "xterm-sixel"}, "sixel"),
        ({"TERM_PROGRAM": "mintty", "TERM": "xterm"}, "sixel"),
        ({"TERM": "xterm-kitty", "TMUX": "/run/tmux-0/default,1,0"}, None),
        ({"TERM": "screen.xterm", "TERM_PROGRAM": "iTerm.app"}, None),
    ],
)
def test_terminals_are_known_by_their_variables(environment, wanted):
    assert protocol(environment) == wanted


def png(dots):
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(dots, np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


def test_the_escapes_of_kitty(rng):
    content = png(rng.integers(0, 256, (50, 70, 3)))
    shown = escapes(content, "kitty")
    commands = re.findall(rb"\x1b_G([^;]*);([^\x1b]*)\x1b\\", shown)
    assert b"".join(b"\x1b_G%s;%s\x1b\\" % each for each in commands) + b"\n" == shown
    assert len(commands) > 2
    assert commands[0][0] == b"a=T,f=100,q=2,m=1"
    assert [keys for keys, _ in commands[1:]] == [b"m=1"] * (len(commands) - 2) + [b"m=0"]
    assert {len(piece) for _, piece in commands[:-1]} == {CHUNK}
    assert base64.b64decode(b"".join(piece for _, piece in commands)) == content


def test_the_escapes_of_iterm2():
    content = png(np.zeros((2, 3, 3)))
    start = b"\x1b]1337;File=inline=1;size=%d:" % len(content)
    assert escapes(content, "iterm2") == start + base64.b64encode(content) + b"\x07\n"


def read_sixels(shown):
    """Draw what a terminal would."""
    size, body = re.fullmatch(rb'\x1bPq"1;1;(\d+;\d+)(.*)\x1b\\\n', shown, re.DOTALL).groups()
    width, height = (int(each) for each in size.split(b";"))
    dots, colours = np.full((height + 6, width, 3), -1), {}
    x, top, colour = 0, 0, None
    for token in re.findall(rb"#\d+;2;\d+;\d+;\d+|#\d+|!\d+[?-~]|[?-~$-]", body):
        if token.startswith(b"#") and b";" in token:
            number, _, *percent = (int(each) for each in token[1:].split(b";"))
            colours[number] = percent
        elif token.startswith(b"#"):
            colour = colours[int(token[1:])]
        elif token in (b"$", b"-"):
            x, top = 0, top + 6 * (token == b"-")
        else:
            count = int(token[1:-1] or 1) if token.startswith(b"!") else 1
            for bit in range(6):
                if (token[-1] - 63) >> bit & 1:
                    dots[top + bit, x : x + count] = colour
            x += count
    return dots[:height]


def test_the_escapes_of_sixel_draw_the_picture(rng):
    levels = rng.integers(0, 6, (13, 17, 3))
    levels[3:5] = 5
    shown = read_sixels(escapes(png(levels * 51), "sixel"))
    np.testing.assert_array_equal(shown, levels * 20)
