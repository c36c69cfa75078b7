"""The page on reliability: the tests that it names are there, and those that are there are named."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "reliability.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`(tests/[\w/]+\.py)`", PAGE))


def test_the_tests_that_are_named_are_there():
    assert len(NAMED) > 10
    assert [name for name in sorted(NAMED) if not (ROOT / name).is_file()] == []


def test_the_tests_of_reliability_are_named():
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "soak").rglob("test_*.py")}
    assert there - NAMED == set()
