"""One page with everything that a run found, complete in itself."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from mpikit.experiments.experiment import Experiment
from mpikit.experiments.run import Found
from mpikit.experiments.tables import displayed

TEMPLATE = "report.html"


def report_page(found: Found, facts: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    """Return the page as HTML; every text in it is escaped.

    Parameters
    ----------
    found : Found
    facts : mapping
        See `mpikit.experiments.host.run_facts`.
    pictures : mapping of str to bytes
        PNG files by the name of the drawing.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from mpikit.report.page import visible

    environment = Environment(
        loader=PackageLoader("mpikit", "experiments"),
        autoescape=True,
        finalize=visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(
        run=facts,
        sections=[_section(found, experiment, pictures) for experiment in found.experiments],
        papers=_papers(found),
        failed={found.pieces[key].label: words for key, words in found.failed.items()},
    )


def _section(found: Found, experiment: Experiment, pictures: Mapping[str, bytes]) -> dict[str, Any]:
    findings = found.findings[experiment.name]
    return {
        "name": experiment.name,
        "title": experiment.title,
        "source": experiment.source,
        "paper": experiment.paper,
        "remarks": findings.remarks,
        "tables": [displayed(table) for table in findings.tables],
        "pictures": [
            {"caption": drawing.caption, "data": base64.b64encode(pictures[drawing.name]).decode()}
            for drawing in findings.drawings
            if drawing.name in pictures
        ],
    }


def _papers(found: Found) -> list[dict[str, Any]]:
    """Return what each paper leaves open and misprints, once."""
    papers: dict[str, dict[str, Any]] = {}
    for each in found.experiments:
        known = papers.setdefault(each.paper, {"paper": each.paper, "choices": [], "misprints": []})
        known["choices"] += [choice for choice in each.open_choices if choice not in known["choices"]]
        known["misprints"] += [words for words in each.misprints if words not in known["misprints"]]
    return list(papers.values())
