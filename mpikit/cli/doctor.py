"""``mpikit doctor``: text to paste into a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from mpikit.errors import PluginError


def doctor(json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Print versions, devices, plugins, what failed and what to do about it, to paste into a report.

    The last line is the verdict. The exit code is 4 if there is something to mend.

    mpikit doctor
    """
    from mpikit.cli.console import show, show_json
    from mpikit.doctor import examine

    report = examine()
    if json:
        show_json(report)
    else:
        for title, content in report.items():
            several = isinstance(content, (dict, list)) and content
            show(f"{title}: {'' if several else _words(content)}".rstrip())
            for line in _lines(_by_distribution(content) if title == "plugins" else content):
                show(f"  {line}")
    if report["todo"]:
        raise typer.Exit(PluginError.exit_code)


def _by_distribution(plugins: Mapping[str, Mapping[str, list[str]]]) -> dict[str, str]:
    """Return the names that each distribution offers, by kind."""
    lines: dict[str, list[str]] = {}
    for kind, offers in plugins.items():
        for name, owners in offers.items():
            for owner in owners:
                lines.setdefault(f"{kind.replace('_', ' ')} of {owner}", []).append(name)
    return {owner: ", ".join(names) for owner, names in lines.items()}


def _lines(content: Any) -> list[str]:
    if isinstance(content, Mapping):
        return [f"{name}: {_words(value)}" for name, value in content.items()]
    return list(content) if isinstance(content, list) else []


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_words(each)}" for name, each in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "missing" if value is None else str(value)
