"""Everything that the commands show: data on stdout, words on stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mpikit.events import Event, Finding, Step, Warned

if TYPE_CHECKING:
    from rich.console import Console

UNCUT = 100_000  # columns off a terminal: nothing may be folded or cut, somebody's script reads it


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else UNCUT
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)


def _printable(text: str) -> str:
    """Return text without what a terminal would obey: names and texts in a file may come from anywhere."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else " " for letter in text)


def say(text: str) -> None:
    """Write words for people to stderr."""
    _console(stderr=True).print(_printable(text), soft_wrap=True)


def show(text: str) -> None:
    """Write data to stdout."""
    _console(stderr=False).print(_printable(text), soft_wrap=True)


def show_json(value: Any) -> None:
    """Write one JSON value to stdout; NumPy values as plain ones, NaN and infinity as null."""
    sys.stdout.write(json.dumps(_plain(value), indent=2, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # NumPy arrays and scalars, without importing NumPy
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, type(None))) else str(value)


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """Write a table to stdout.

    Parameters
    ----------
    columns : sequence of str
        Headings.
    rows : sequence of sequence of str
    right : sequence of int
        Columns to align on the right: those with numbers.
    """
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for index, heading in enumerate(columns):
        table.add_column(_printable(heading), justify="right" if index in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_printable, row))
    console = _console(stderr=False)
    with console.capture() as captured:
        console.print(table)
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def show_error(message: str, hint: str = "") -> None:
    """Write an error, and what to do about it, to stderr."""
    say(f"error: {message}")
    if hint:
        say(f" hint: {hint}")


@contextmanager
def listener(label: str, *, quiet: bool = False, verbose: bool = False) -> Iterator[Callable[[Event], None]]:
    """Show events: steps as a bar on a terminal and as a few plain lines elsewhere, the rest as words.

    Parameters
    ----------
    label : str
        What the work is called beside the bar.
    quiet : bool
        Show warnings only.
    verbose : bool
        Show every step as a line.

    Yields
    ------
    callable
        Takes an event.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console, label = _console(stderr=True), _printable(label)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
        TimeRemainingColumn(),
    )
    no_bar = quiet or verbose or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=no_bar) as bar:
        task = bar.add_task(label, total=None, figures="", visible=False)

        def tell(event: Event) -> None:
            if isinstance(event, Warned):
                console.print(_printable(f"warning: {event.text}"), soft_wrap=True)
            elif isinstance(event, Finding) and not quiet:
                console.print(_printable(event.text), soft_wrap=True)
            elif isinstance(event, Step):
                figures = _figures(event)
                bar.update(task, completed=event.index, total=event.total, figures=figures, visible=True)
                if verbose or (no_bar and not quiet and _worth_a_line(event)):
                    console.print(f"{label} {event.index}/{event.total}  {figures}".rstrip(), soft_wrap=True)

        yield tell


def _figures(step: Step) -> str:
    return "  ".join(
        f"{name} {'> ' if step.bounds.get(name) else ''}{value:.4g}" for name, value in step.values.items()
    )


def _worth_a_line(step: Step) -> bool:
    tenth = max(1, step.total // 10)
    return step.index % tenth == 0 or step.index == step.total
