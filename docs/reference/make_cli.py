"""Write ``cli.md`` from the app itself: ``python docs/reference/make_cli.py``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).with_name("cli.md")
HEAD = """\
# Command line

<!-- Made by docs/reference/make_cli.py; edit the docstrings in mpikit/cli instead. -->
"""


def page() -> str:
    """Return the page: the help of every command."""
    from typer.testing import CliRunner

    from mpikit.cli import app

    parts = [HEAD]
    for command in [(), *_commands(app)]:
        shown = CliRunner().invoke(app, [*command, "--help"], prog_name="mpikit", env={"COLUMNS": "88"})
        if shown.exit_code:
            raise RuntimeError(shown.output)
        parts.append(f"## {' '.join(('mpikit', *command))}\n\n```text\n{shown.stdout.strip()}\n```\n")
    return "\n".join(parts)


def _commands(app) -> Iterator[tuple[str, ...]]:
    for command in app.registered_commands:
        yield (command.name,)
    for group in app.registered_groups:
        yield (group.name,)
        for inner in _commands(group.typer_instance):
            yield (group.name, *inner)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
