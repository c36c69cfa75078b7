"""Tables as text: headings and rows for the terminal, the report and the pages of the documentation."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from mpikit.csv_cells import plain_cell, plain_row
from mpikit.experiments.experiment import Cell, Line, Metric, Table

LONG = (
    "experiment",
    "table",
    "group",
    "method",
    "kind",
    "metric",
    "unit",
    "value",
    "low",
    "high",
    "signals",
    "paper",
    "fit_seconds",
    "note",
)


def headings(table: Table) -> list[str]:
    """Return the headings of a table; those of the paper only where it has figures."""
    found = [table.group, "method"]
    for metric in table.metrics:
        found.append(metric.heading)
        if _in_paper(table, metric):
            found.append("paper")
    return [*found, "fit", "note"]


def rows(table: Table) -> list[list[str]]:
    """Return the rows of a table as text, one for each line."""
    return [_row(table, line) for line in table.lines]


def numeric(table: Table) -> list[int]:
    """Return the columns with numbers."""
    return list(range(2, len(headings(table)) - 1))


def _row(table: Table, line: Line) -> list[str]:
    found = [line.group, line.label]
    for metric in table.metrics:
        cell = line.cells.get(metric.name, Cell())
        found.append(shown(cell, metric))
        if _in_paper(table, metric):
            found.append(_number(cell.paper, 2))
    best = "best simple method" if line is best_simple(table, line.group) else ""
    note = "; ".join(word for word in (best, line.note) if word)
    return [*found, "" if line.seconds is None else _time(line.seconds), note]


def _in_paper(table: Table, metric: Metric) -> bool:
    cells = [line.cells.get(metric.name, Cell()) for line in table.lines]
    return any(cell.paper is not None for cell in cells)


def best_simple(table: Table, group: str) -> Line | None:
    """Return the simple method of a group that is best by the first metric, None without any.

    Parameters
    ----------
    table : Table
    group : str
    """
    if not table.metrics or not table.metrics[0].better:
        return None
    first = table.metrics[0]
    sign = 1 if first.better == "high" else -1
    among = [
        (sign * cell.value, line)
        for line in table.lines
        if line.kind == "simple" and line.group == group
        if (cell := line.cells.get(first.name)) is not None and cell.value is not None
    ]
    return max(among, key=lambda pair: pair[0])[1] if among else None


def shown(cell: Cell, metric: Metric) -> str:
    """Return a figure with half the length of its interval.

    >>> shown(Cell(value=20.123, low=20.0, high=20.3), Metric("SNR", "dB"))
    '20.12 ± 0.15'
    """
    text = _number(cell.value, metric.digits)
    if cell.low is None or cell.high is None or not text:
        return text
    return f"{text} ± {(cell.high - cell.low) / 2:.{metric.digits}f}"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def records(tables: Mapping[str, Sequence[Table]]) -> list[dict[str, Any]]:
    """Return every figure of the tables of some experiments, one record each, with the fields `LONG`.

    Parameters
    ----------
    tables : mapping of str to sequence of Table
        By the name of the experiment.
    """
    found = []
    for name, several in tables.items():
        for table in several:
            for line in table.lines:
                for metric in table.metrics:
                    cell = line.cells.get(metric.name, Cell())
                    about = (name, table.name, line.group, line.label, line.kind, metric.name, metric.unit)
                    figures = (cell.value, cell.low, cell.high, cell.count, cell.paper)
                    record = (*about, *figures, line.seconds, line.note)
                    found.append(dict(zip(LONG, record, strict=True)))
    return found


def as_csv(found: Sequence[Mapping[str, Any]]) -> bytes:
    """Return records as CSV, with a comma and one line each."""
    text = io.StringIO()
    writer = csv.DictWriter(text, LONG, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(plain_row, found))
    return text.getvalue().encode()


def displayed(table: Table) -> dict[str, Any]:
    """Return a table as it is shown, ready for JSON."""
    return {
        "name": table.name,
        "title": table.title,
        "headings": headings(table),
        "rows": rows(table),
        "numeric": numeric(table),
    }


def displayed_csv(table: Mapping[str, Any]) -> bytes:
    """Return a table of `displayed` as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in (table["headings"], *table["rows"]):
        writer.writerow(map(plain_cell, row))
    return text.getvalue().encode()


def displayed_markdown(table: Mapping[str, Any]) -> str:
    """Return a table of `displayed` as Markdown."""
    heads = list(table["headings"])
    rule = ["---:" if index in table["numeric"] else "---" for index in range(len(heads))]
    cells = [heads, rule, *table["rows"]]
    return "\n".join(f"| {' | '.join(each.replace('|', '/') for each in row)} |" for row in cells) + "\n"
