"""``mpikit doctor``: text to paste into a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer


def doctor(json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Print versions, devices, plugins and what failed, to paste into a report.

    mpikit doctor
    """
    from mpikit.cli.console import show, show_json
    from mpikit.doctor import examine

    report = examine()
    if json:
        show_json(report)
        return
    for title, content in report.items():
        show(f"{title}: {'' if isinstance(content, (dict, list)) and content else _words(content)}".rstrip())
        for line in _lines(content):
            show(f"  {line}")


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
