"""The page of reports and plots: linked, complete, and right about what is drawn."""

from __future__ import annotations

import re
from pathlib import Path

from mpikit.report.plot import KINDS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "howto" / "report.md").read_text()


def test_the_page_is_linked():
    assert "](report.md)" in (DOCS / "howto" / "index.md").read_text()
    assert "howto/report\n" in (DOCS / "index.md").read_text()


def test_every_kind_of_plot_is_shown():
    named = set(re.findall(r"--kind ([a-z]+)", PAGE))
    assert named <= {kind for kinds in KINDS.values() for kind in kinds}
    others = {kind for kinds in KINDS.values() for kind in kinds[1:]}
    assert others <= named
    assert PAGE.count("mpikit plot ") >= len(KINDS)
