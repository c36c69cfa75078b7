"""The how-to pages and the front pages: every method has its row, every command line would be taken."""

from __future__ import annotations

import functools
import re
import shlex
from pathlib import Path

import pytest
import typer

from mpikit.cli import app
from mpikit.options import parse_options
from mpikit.plugins import registry

ROOT = Path(__file__).parents[2]
HOWTO = ROOT / "docs" / "howto"
PAGE = HOWTO / "which-denoiser.md"
PAGES = (*sorted(HOWTO.glob("*.md")), ROOT / "docs" / "index.md", ROOT / "README.md")
AUTO = "auto"


def ours():
    """Names of the denoisers that come with mpikit."""
    offers = registry().denoisers
    return sorted(
        name for name, found in offers.items() if any(one.distribution == "mpikit" for one in found)
    )


def commands(page):
    """Arguments of every `mpikit ...` in the code blocks of a page."""
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.splitlines():
            known = re.sub(r'"\$\(.*\)"', "OUTPUT", line)  # what another program prints
            words = shlex.shlex(known, posix=True, punctuation_chars="&>|;")
            words.whitespace_split = True
            yield from calls(list(words))


def calls(words):
    """Cut a line of the shell into its programs, and keep the arguments of mpikit."""
    one: list[str] = []
    for word in [*words, "&&"]:
        if word in ("&&", ">", "|", ";"):
            if one and one[0] == "mpikit":
                yield tuple(one[1:])
            one = []
        elif one or "=" not in word:  # variables may stand before the program
            one.append(word)


def parser(commands, groups, seen):
    """Make a program of the same command lines that only notes what it was told."""
    twin = typer.Typer()
    for command in commands:

        @functools.wraps(command.callback)
        def note(*, _name=command.name, **given):
            seen.append((_name, given))

        twin.command(command.name)(note)
    for group in groups:
        inner = group.typer_instance
        twin.add_typer(parser(inner.registered_commands, (), seen), name=group.name)
    return twin


SEEN: list[tuple[str, dict[str, object]]] = []
TWIN = typer.main.get_command(parser(app.registered_commands, app.registered_groups, SEEN))


@functools.cache
def parsed(arguments):
    """Parse a command line as the program does: the command and its arguments."""
    SEEN.clear()
    try:
        TWIN.main(list(arguments), prog_name="mpikit", standalone_mode=False)
    except Exception as wrong:
        raise AssertionError(f"mpikit {shlex.join(arguments)}: {wrong}") from wrong
    return SEEN[0]


def test_every_method_of_ours_has_a_row():
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|", PAGE.read_text(), re.MULTILINE)
    assert len(ours()) > 10
    assert set(ours()) <= set(rows), (
        "a method that is new is not in the table of docs/howto/which-denoiser.md"
    )
    assert len(rows) == len(set(rows))


def test_the_choice_of_the_program_is_on_the_page():
    assert f"`{AUTO}`" in PAGE.read_text()
    assert "which-denoiser.md" in (HOWTO / "index.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_line_is_one(page):
    found = list(commands(page))
    assert found or "```sh" not in page.read_text()
    for arguments in found:
        parsed(arguments)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_method_and_option_that_is_named_is_there(page):
    known = set()  # what the page makes by itself
    for arguments in commands(page):
        name, given = parsed(arguments)
        known |= {given["name"]} if name == "new" else set()
        if name not in ("denoise", "train", "compare"):
            continue
        pairs = given["param"] or ()
        if name == "compare":
            for method in (given["methods"] or "").split(",") if given["methods"] else ():
                if method in known:
                    continue
                mine = [pair.removeprefix(f"{method}.") for pair in pairs if pair.startswith(f"{method}.")]
                parse_options(registry().denoiser(method).record, mine)
        elif given["method"]:
            parse_options(registry().denoiser(given["method"]).record, pairs)
        else:  # of auto
            for pair in pairs:
                assert pair.startswith("candidates=")
                for method in pair.removeprefix("candidates=").split(","):
                    registry().denoiser(method)


def test_a_wrong_command_line_would_be_found():
    with pytest.raises(AssertionError, match="No such option"):
        parsed(("denoise", "--metod", "harmonic", "scan.mdf"))
    with pytest.raises(AssertionError, match="Missing"):
        parsed(("denoise",))
    with pytest.raises(AssertionError, match="No such command"):
        parsed(("denoize", "scan.mdf"))
    assert parsed(("denoise", "-m", "harmonic", "scan.mdf"))[1]["method"] == "harmonic"


def test_lines_of_the_shell_are_cut_into_programs():
    line = "A=1 mpikit info a && mpikit validate b > c && pip install d"
    assert list(calls(shlex.split(line))) == [("info", "a"), ("validate", "b")]
