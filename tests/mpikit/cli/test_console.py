"""What is said to people: nothing that a terminal obeys gets through."""

from __future__ import annotations

import pytest

from mpikit.cli.console import listener, say, show, show_table
from mpikit.events import Finding, Warned

HOSTILE = "\x1b]0;taken\x07 \x1b[31mred\x9b2J\x08"


@pytest.mark.parametrize(
    "write",
    [
        lambda: say(HOSTILE),
        lambda: show(HOSTILE),
        lambda: show_table(["a", "b"], [[HOSTILE, "1"]]),
    ],
    ids=["say", "show", "table"],
)
def test_no_escape_reaches_the_terminal(write, capsys):
    write()
    assert_harmless("".join(capsys.readouterr()))


def test_no_escape_of_an_event_reaches_the_terminal(capsys):
    with listener("work", quiet=False, verbose=False) as tell:
        tell(Warned(HOSTILE))
        tell(Finding("name", 1, HOSTILE))
    assert_harmless("".join(capsys.readouterr()))


def test_lines_and_letters_stay(capsys):
    show("λ = 0.8 µT\n± 1")
    assert capsys.readouterr().out == "λ = 0.8 µT\n± 1\n"


def assert_harmless(text):
    assert "taken" in text
    assert not set(text) & set("\x1b\x07\x9b\x08")
