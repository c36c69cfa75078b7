"""The page: parts as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING

from mpikit.figures_report import embedded_svg
from mpikit.made_here import software
from mpikit.report.blocks import Block, Facts, Part, Picture, Section, Table

if TYPE_CHECKING:
    from markupsafe import Markup

TEMPLATE = "report.html"
REM_PER_INCH = 6.5


def page(parts: Sequence[Part], last: Section) -> str:
    """Return the page; every text in it is escaped, and the same parts give the same page.

    Parameters
    ----------
    parts : sequence of Part
    last : Section
        What stands below all of them.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mpikit", "report"),
        autoescape=True,
        finalize=visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    numbers = count(1)

    def drawn(block: Picture) -> Markup:
        return _drawn(block, f"f{next(numbers)}")

    return environment.get_template(TEMPLATE).render(
        parts=parts, last=last, runs=_runs, drawn=drawn, width=_width, software=software()
    )


def visible(value: object) -> object:
    """Return what stands on a page without characters that nobody sees, and terminals and editors obey."""
    if type(value) is not str:  # what is markup already is ours
        return value
    return "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in value)


def _width(block: Picture) -> str:
    """Return the width of a figure on the page, rem, so that the letters of all are of one size."""
    return f"{REM_PER_INCH * float(block.figure.get_figwidth()):.3g}"


def _drawn(block: Picture, name: str) -> Markup:
    """Return an SVG element."""
    from markupsafe import Markup, escape

    svg = embedded_svg(block.figure, name)
    named = f'<svg role="img" aria-label="{escape(block.caption)}"'
    # the figure is our own drawing: texts in it are outlines of letters, without any markup
    return Markup(svg.replace("<svg", named, 1))  # noqa: S704


def _runs(blocks: Sequence[Block]) -> Iterator[tuple[bool, list[Block]]]:
    """Group blocks that follow each other into those that stand side by side, and others.

    Pictures stand side by side; beside a single one stands the table or the facts that follow it.
    """
    rest = list(blocks)
    while rest:
        pictures = next((at for at, each in enumerate(rest) if not isinstance(each, Picture)), len(rest))
        beside = pictures == 1 and len(rest) > 1 and isinstance(rest[1], Table | Facts)
        size = max(pictures, 1) + beside
        yield pictures > 0, rest[:size]
        rest = rest[size:]
