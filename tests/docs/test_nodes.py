"""The pages of the package mdf: its examples run, and its table is that of the code."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import mdf

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_all_nodes_is_current():
    make_nodes = runpy.run_path(str(DOCS / "reference" / "make_nodes.py"))
    page = make_nodes["page"]()
    assert make_nodes["PAGE"].read_text() == page, "run python docs/reference/make_nodes.py"
    for field in mdf.spec.FIELDS.values():
        assert f"| `{field.path.rpartition('/')[2]}` |" in page


def test_the_examples_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", (DOCS / "mdf.md").read_text(), re.DOTALL)
    assert len(examples) == 6
    names: dict[str, object] = {}
    for example in examples:
        exec(example, names)  # noqa: S102 - our own page
    shown = capsys.readouterr().out
    assert "2.1.0 demo" in shown
    assert "names of your own start with an underscore" in shown
    assert "[0 1 2 3] (4, 1, 2, 102)" in shown
