"""The pages of results in the documentation, made from the outputs of runs: no number is typed by hand."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mpikit.errors import InputError
from mpikit.experiments.changes import RESULTS
from mpikit.experiments.tables import displayed_csv, displayed_markdown
from mpikit.files import write_atomically

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_OF_A_RUN = rf"{PLAIN.pattern}\.{PLAIN.pattern}\.{PLAIN.pattern}"  # name, scale and device
TABLE = re.compile(rf"^:file: ({_OF_A_RUN})\.csv$", re.MULTILINE)
DRAWING = re.compile(rf"^!\[.*\]\(({_OF_A_RUN}\.png)\)$", re.MULTILINE)
TABLE_ENDINGS = (".csv", ".table.md")
PAGE = "index.md"
LARGEST = 150_000  # bytes of a picture
NARROWEST = 300  # pixels: a picture is not made smaller than that
INDEX = """\
# Results

<!-- Made by docs/results/make_results.py from the outputs of mpikit reproduce; do not edit. -->

The tables and figures of both papers, each beside what mpikit finds. All numbers on these pages are read from
the files that `mpikit reproduce` wrote.

{found}
To make a page again, run its command, and give all outputs to the script that writes this folder:

```sh
mpikit reproduce all --scale quick --output results
python docs/results/make_results.py results
```

`--resume` goes on after an interruption; `--compare FOLDER` says what has changed since another run.
"""
NONE_YET = "No results are kept in this version.\n"


def write_results_page(outputs: Sequence[Path], pages: Path) -> list[Path]:
    """Write tables, figures and pages of some runs into a folder of the documentation.

    Each experiment has a folder with its tables as CSV and Markdown, its figures under 150 kB and a page that
    reads the CSV. What an earlier call wrote for these experiments is replaced, and goes: give all runs of an
    experiment, of any scale, in one call. Other files in the folder stay.

    Parameters
    ----------
    outputs : sequence of Path
        Each the ``--output`` of a run.
    pages : Path
        ``docs/results``.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    InputError
        When an output has no results, or a file cannot be written.
    """
    runs = [(folder, _read(folder)) for folder in outputs]
    try:
        made = _made(runs)
    except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        raise InputError(
            f"the results are damaged: {type(error).__name__}: {error}",
            hint="make them anew with mpikit reproduce --resume",
        ) from error
    written = []
    for name, files in made.items():
        written += _replace_experiment(pages / name, files)
    present = sorted(path.parent.name for path in pages.glob(f"*/{PAGE}"))
    found = NONE_YET
    if present:
        listed = "\n".join(f"{name}/index" for name in present)
        found = f"```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n"
    write_atomically(pages / PAGE, INDEX.format(found=found).encode(), overwrite=True)
    return [*written, pages / PAGE]


def _read(folder: Path) -> dict[str, Any]:
    path = folder / RESULTS
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} holds no results", hint="give the --output of mpikit reproduce") from error
    return found


def _made(runs: Sequence[tuple[Path, Mapping[str, Any]]]) -> dict[str, dict[str, bytes]]:
    """Return the files of each experiment."""
    names = list(dict.fromkeys(each["name"] for _, run in runs for each in run["experiments"]))
    return {_plain(name): _files_of(name, runs) for name in names}


def _plain(name: str) -> str:
    """Return a name that is one of a file in the folder at hand, and of no other."""
    if not PLAIN.fullmatch(name):
        raise ValueError(f"{name!r} is no name of an experiment, a table or a drawing")
    return name


def _replace_experiment(place: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write the files of an experiment, and remove what an earlier call left."""
    place.mkdir(parents=True, exist_ok=True)
    earlier = _shown_by(place / PAGE)
    for file, content in files.items():
        write_atomically(place / file, content, overwrite=True)
    for name in earlier - files.keys():
        (place / name).unlink(missing_ok=True)
    return [place / file for file in files]


def _shown_by(page: Path) -> set[str]:
    """Return the names of tables and figures that a page of an earlier call reads: they alone are ours."""
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return set()
    tables = TABLE.findall(text)
    return {*DRAWING.findall(text), *(f"{stem}{end}" for stem in tables for end in TABLE_ENDINGS)}


def _files_of(name: str, runs: Sequence[tuple[Path, Mapping[str, Any]]]) -> dict[str, bytes]:
    parts: list[str] = []
    files: dict[str, bytes] = {}
    for folder, run in runs:
        for experiment in run["experiments"]:
            if experiment["name"] == name:
                if not parts:
                    parts.append(
                        f"# {experiment['source']}: {experiment['title']}\n\n{experiment['paper']}.\n"
                    )
                parts.append(_section(experiment, run["run"], folder, files))
    files[PAGE] = "\n".join(parts).encode()
    return files


def _section(
    experiment: Mapping[str, Any], facts: Mapping[str, Any], folder: Path, files: dict[str, bytes]
) -> str:
    """Return what a page says of one run, and add the files that it reads."""
    scale, device = _plain(facts["scale"]), _plain(facts["device"])
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    host = facts["host"]
    machine = f"{host['system']} {host['machine']}, {host['gpu'] or 'CPU'}, {host['cores']} cores"
    command = facts["command"].replace(" ".join(facts["experiments"]), experiment["name"])
    parts = [
        f"## Scale {scale}, {device}\n",
        f"```sh\n{command}\n```\n",
        f"{facts['at'][:10]}; {versions}; {machine}. ± is half of the 95 % interval of the mean.\n",
    ]
    for table in experiment["tables"]:
        if not table["rows"]:
            continue
        stem = f"{_plain(table['name'])}.{scale}.{device}"
        files[f"{stem}.csv"] = displayed_csv(table)
        files[f"{stem}.table.md"] = displayed_markdown(table).encode()
        parts.append(
            f"```{{csv-table}} {table['title']}\n:file: {stem}.csv\n:header-rows: 1\n:class: results\n```\n"
        )
    parts += [f"- {remark}" for remark in experiment["remarks"]]
    for drawing in experiment["drawings"]:
        source = folder / f"{_plain(drawing['name'])}.png"
        if source.exists():
            file = f"{drawing['name']}.{scale}.{device}.png"
            files[file] = _small(source)
            parts.append(f"\n![{drawing['caption']}]({file})\n\n{drawing['caption']}")
    return "\n".join(parts) + "\n"


def _small(path: Path) -> bytes:
    """Return a picture in 64 colours, and narrower until it is small enough."""
    from PIL import Image

    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    while True:
        buffer = io.BytesIO()
        picture.quantize(64).save(buffer, format="png", optimize=True)
        if buffer.tell() < LARGEST or picture.width <= NARROWEST:
            return buffer.getvalue()
        picture = picture.resize((round(0.85 * picture.width), round(0.85 * picture.height)))
