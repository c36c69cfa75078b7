"""Write ``nodes.md`` from the table of the standard: ``python docs/reference/make_nodes.py``."""

from __future__ import annotations

from pathlib import Path

from mdf import spec

PAGE = Path(__file__).with_name("nodes.md")
HEAD = f"""\
# Nodes of MDF {spec.VERSION}

<!-- Made by docs/reference/make_nodes.py from the table in mdf/spec.py; edit that instead. -->

Every dataset of the standard, with the shape that h5py shows. Letters: A tracers, N frames (O foreground and
E background), B kept coefficients, J periods, Y parts of a period, C receive channels, D drive-field
channels, F frequencies of one channel, V samples, K frequency components, Q images, P voxels, S contrasts.
A flag is an int8 of 0 or 1. Magnetic fields are in T/µ0. A need that is a name is the flag that makes the
dataset mandatory. Default is what `mdf.write` puts when nothing is said. Names of your own start with `_`.
"""
NEEDS = {"data": "mandatory", "yes": "mandatory", "no": "optional"}


def page() -> str:
    """Return the page: one table for each group."""
    parts = [HEAD]
    for group, is_mandatory in spec.GROUPS.items():
        parts.append(f"## `{group}`\n\n{'In every file.' if is_mandatory else 'Optional.'}\n")
        rows = ["| name | type | shape | unit | need | default | meaning |", "|---|---|---|---|---|---|---|"]
        rows += [_row(field) for field in spec.FIELDS.values() if field.group == group]
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def _row(field: spec.Field) -> str:
    shape = f"({', '.join(map(str, field.shape))}{',' if len(field.shape) == 1 else ''})"
    need = NEEDS.get(field.need, f"with `{field.need}`")
    name = field.path.rpartition("/")[2]
    cells = [f"`{name}`", field.kind, shape, field.unit, need, field.default, field.meaning]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
