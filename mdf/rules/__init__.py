"""The rules that a valid file follows: each a function from content to problems."""

from __future__ import annotations

from mdf.rules import acquisition, container, drivefield, grids, measurement, tree, version1
from mdf.rules.content import DAMAGE, Content
from mdf.rules.problem import Problems, error

FAILED = "the rule"

_RULES = (
    *container.RULES,
    *tree.RULES,
    *acquisition.RULES,
    *drivefield.RULES,
    *measurement.RULES,
    *grids.RULES,
)


def follow(file: Content) -> Problems:
    """Check a file against all rules that apply to its version."""
    for rule in version1.RULES if version1.is_version_1(file) else _RULES:
        try:
            yield from rule(file)
        except DAMAGE as trouble:  # the other rules have their say all the same
            yield error("F01", "/", f"{FAILED} {rule.__name__!r} cannot judge this file: {trouble}")
