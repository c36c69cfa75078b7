"""What a run writes: figures of all tables as CSV and JSON, drawings, and one page to look at."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mpikit.events import Event, Warned, silent
from mpikit.experiments.changes import RESULTS
from mpikit.experiments.host import run_facts
from mpikit.experiments.report import report_page
from mpikit.experiments.run import Found
from mpikit.experiments.tables import as_csv, displayed, records
from mpikit.files import write_atomically

FORMAT = 1


def write_outputs(folder: Path, found: Found, *, tell: Callable[[Event], None] = silent) -> dict[str, Any]:
    """Write ``results.csv``, ``results.json``, the drawings as PNG and SVG, and ``report.html``.

    What is there under these names is replaced.

    Parameters
    ----------
    folder : Path
        Output of the run.
    found : Found
    tell : callable
        Takes events.

    Returns
    -------
    dict
        What is in ``results.json``.

    Raises
    ------
    InputError
        When a file cannot be written.
    """
    results = as_json(found)
    pictures = _draw(folder, found, tell)
    text = json.dumps(results, indent=1, allow_nan=False)
    write_atomically(folder / RESULTS, text.encode(), overwrite=True)
    write_atomically(folder / "results.csv", as_csv(results["figures"]), overwrite=True)
    page = report_page(found, results["run"], pictures)
    write_atomically(folder / "report.html", page.encode(), overwrite=True)
    return results


def as_json(found: Found) -> dict[str, Any]:
    """Return all that was found, ready for JSON: figures, remarks, and each signal's value in every piece."""
    tables = {name: findings.tables for name, findings in found.findings.items()}
    each = [
        {
            "name": experiment.name,
            "title": experiment.title,
            "paper": experiment.paper,
            "source": experiment.source,
            "tables": [displayed(table) for table in tables[experiment.name]],
            "drawings": [
                {"name": drawing.name, "caption": drawing.caption}
                for drawing in found.findings[experiment.name].drawings
            ],
            "remarks": list(found.findings[experiment.name].remarks),
        }
        for experiment in found.experiments
    ]
    pieces = {
        key: {
            "label": found.pieces[key].label,
            "settings": dict(found.pieces[key].settings),
            "values": dict(outcome.values),
            "about": dict(outcome.about),
        }
        for key, outcome in found.outcomes.items()
    }
    failed = {found.pieces[key].label: words for key, words in found.failed.items()}
    facts = run_facts(found.plan, [experiment.name for experiment in found.experiments])
    whole = {
        "format": FORMAT,
        "run": facts,
        "experiments": each,
        "figures": records(tables),
        "failed": failed,
        "pieces": pieces,
    }
    plain: dict[str, Any] = _finite(whole)
    return plain


def _finite(value: Any) -> Any:
    """Return the value with None for what is no finite number: JSON has no word for it."""
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _draw(folder: Path, found: Found, tell: Callable[[Event], None]) -> dict[str, bytes]:
    """Write the drawings; return them as PNG by name. One that cannot be drawn is warned of."""
    from mpikit.figures_experiments import as_png, as_svg

    pictures = {}
    for findings in found.findings.values():
        for drawing in findings.drawings:
            try:
                figure = drawing.draw()
                png, svg = as_png(figure), as_svg(figure)
            except (ArithmeticError, ValueError) as error:  # figures of methods that went astray
                tell(Warned(f"{drawing.name} cannot be drawn: {error}"))
                continue
            pictures[drawing.name] = png
            write_atomically(folder / f"{drawing.name}.png", png, overwrite=True)
            write_atomically(folder / f"{drawing.name}.svg", svg, overwrite=True)
    return pictures
