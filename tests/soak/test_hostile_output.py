"""What comes from a file is shown as it is, and obeyed by nobody: no terminal, browser or spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

import mdf
from mpikit.csv_cells import plain_cell
from mpikit.errors import InputError

HTML = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
TERMINAL = "\x1b]0;title\x07\x1b[2J\x9b31m\r\u202e"
FORMULA = "=HYPERLINK(A1)"
MATHS = r"$\frac{$ {0} %s [/] [red]"
PAYLOAD = f"{FORMULA}{HTML}{TERMINAL}{MATHS}"
NAME = f"=1+1<img src=x>{MATHS.replace('/', '')}\x1b[2J.mdf"  # a file may be called so
HISTORY = [
    {
        "command": PAYLOAD,
        "at": PAYLOAD,
        "mpikit": PAYLOAD,
        "inputs": {PAYLOAD: PAYLOAD},
        "options": {"method": PAYLOAD, PAYLOAD: PAYLOAD, "noise": [PAYLOAD]},
        "scores": [{"method": PAYLOAD, "snr_db": 3.0, "periods_used": PAYLOAD}],
    }
]
VERBS = {
    "info": ("info",),
    "validate": ("validate",),
    "noise": ("noise", "-o", "out.png"),
    "plot": ("plot", "-o", "out.svg"),
    "report": ("report", "-o", "out.html"),
    "compare": ("compare", "--methods", "harmonic", "-o", "out.csv", "--verbose"),
    "denoise": ("denoise", "-m", "harmonic", "-o", "out.mdf", "--verbose"),
    "convert": ("convert", "--domain", "frequency", "-o", "out.mdf"),
    "train": ("train", "-m", "harmonic", "-o", "out.safetensors"),
}


def poison(path: Path) -> None:
    """Put the payload into every text of a file that has no form, and into names and the history."""
    with h5py.File(path, "r+") as hdf:
        texts = []
        hdf.visititems(lambda name, node: texts.append(name) if is_free_text(name, node) else None)
        for name in texts:
            shape = hdf[name].shape
            del hdf[name]
            value = PAYLOAD if shape == () else np.full(shape, PAYLOAD, object)
            hdf.create_dataset(name, data=value, dtype=h5py.string_dtype())
        if "_mpikit/history" in hdf:
            del hdf["_mpikit/history"]
        hdf["_mpikit/history"] = json.dumps(HISTORY)
        hdf[f"_{PAYLOAD.replace('/', '')}"] = 1
    assert len(texts) > 5


def is_free_text(name: str, node) -> bool:
    if not isinstance(node, h5py.Dataset) or not h5py.check_string_dtype(node.dtype):
        return False
    fixed = ("uuid", "ime", "version", "waveform", "order", "history", "repeats", "method")
    return not name.endswith(fixed)


@pytest.fixture
def poisoned(folder) -> Path:
    made = folder / NAME
    shutil.copyfile(folder / "scan.mdf", made)
    made.chmod(0o600)
    poison(made)
    return made


def assert_tame(text: str) -> None:
    """No character that a terminal obeys, and none that turns the direction of what follows."""
    wild = {letter for letter in text if not letter.isprintable() and letter not in "\n\t"}
    assert not wild, wild


def assert_no_markup(page: str) -> None:
    """Of the payload no tag and no attribute is left."""
    assert "<script>alert" not in page
    assert not re.search(r"<img[^>]*onerror", page)
    assert not re.search(r"<img src=x", page)
    for tag in re.findall(r"<[a-zA-Z][^>]*>", page):
        assert "alert(" not in re.sub(r'"[^"]*"', "", tag), tag


@pytest.mark.parametrize("name", VERBS)
def test_texts_of_a_file_are_only_shown(server, folder, poisoned, name):
    verb, *more = VERBS[name]
    done = server.run(verb, poisoned.name, *more, folder=folder)
    assert done["code"] in {0, 3}, done
    assert "Traceback" not in done["err"]
    assert_tame(done["out"])
    assert_tame(done["err"])
    for page in [*folder.glob("*.html"), *folder.glob("*.svg")]:
        assert_no_markup(page.read_text(encoding="utf-8"))
        assert "\x1b" not in page.read_text(encoding="utf-8")
    for table in folder.glob("*.csv"):
        assert_no_formula(table.read_text(encoding="utf-8"))


@pytest.mark.parametrize("verb", ["info", "validate", "noise", "compare"])
def test_json_is_json(server, folder, poisoned, verb):
    few = ("--methods", "harmonic") if verb == "compare" else ()
    done = server.run(verb, poisoned.name, *few, "--json", folder=folder)
    assert done["code"] in {0, 3}, done
    assert done["out"].isascii()
    json.loads(done["out"])


def test_errors_are_only_shown(server, folder):
    """Also where the text of a file stands in the message itself."""
    bad = folder / "bad.mdf"
    shutil.copyfile(folder / "scan.mdf", bad)
    bad.chmod(0o600)
    with h5py.File(bad, "r+") as hdf:
        del hdf["version"]
        hdf["version"] = PAYLOAD
    for verb in ("info", "denoise", "compare", "validate", "report"):
        done = server.run(verb, "bad.mdf", folder=folder)
        assert done["code"] == 3, done
        assert_tame(done["out"] + done["err"])
    missing = server.run("info", f"no{NAME}", folder=folder)
    assert missing["code"] == 3
    assert_tame(missing["err"])


def test_shown_objects(poisoned):
    from mpikit.scan_file import read_scan

    scan = read_scan(poisoned)
    with mdf.open(poisoned) as file:
        shown = [file._repr_html_(), scan._repr_html_()]
    for page in shown:
        assert_no_markup(page)
        assert "\x1b" not in page


def assert_no_formula(text: str) -> None:
    for row in csv.reader(io.StringIO(text)):
        for cell in row:
            assert not cell.startswith(("=", "@", "\t", "\r")), cell
            assert cell[:1] not in "+-" or not cell or re.fullmatch(r"[-+\d.eE ±inf]+", cell), cell


@pytest.mark.parametrize(
    "text", [FORMULA, "+cmd|' /C calc'!A0", "-2+3+cmd|x", "@SUM(A1)", "\t=1", "\r=1", "--1", "-a"]
)
def test_a_formula_becomes_text(text):
    assert plain_cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "value", [-1.5, 3, None, "-1.5", "+2", "-3.20 ± 0.15", "-1e-30", "a=b", "", "SNR / dB", True]
)
def test_a_figure_stays_one(value):
    assert plain_cell(value) is value


def test_a_log_from_elsewhere(tmp_path):
    """A training goes on with the log that it finds: names in it become cells, words are no figures."""
    from mpikit.events import Step
    from mpikit.training_log import TrainingLog

    lines, table = tmp_path / "m.log.jsonl", tmp_path / "m.log.csv"
    row = {"step": 1, "total": 9, "seconds": 0.5, FORMULA: 3.0, "loss": -1.5}
    lines.write_text(json.dumps(row) + "\n")
    with TrainingLog(lines, table, resume=True) as log:
        log.add(Step(2, 9, {"loss": -0.5}))
    found = table.read_text(encoding="utf-8")
    assert_no_formula(found)
    assert "-1.5" in found
    assert "-0.5" in found
    lines.write_text(json.dumps(row | {"loss": "@SUM(A1)"}) + "\n")
    with (
        pytest.raises(InputError, match="line 1 has no number for 'loss'"),
        TrainingLog(lines, table, resume=True),
    ):
        pass


def test_results_from_elsewhere(tmp_path):
    from mpikit.experiments.tables import LONG, as_csv, displayed_csv

    record = dict.fromkeys(LONG, FORMULA) | {"value": -1.25}
    table = {"headings": ["group", FORMULA], "rows": [["-1.00 ± 0.50", FORMULA]]}
    for text in (as_csv([record]).decode(), displayed_csv(table).decode()):
        assert_no_formula(text)
    assert "-1.25" in as_csv([record]).decode()
    assert "\n-1.00 ± 0.50,'=" in displayed_csv(table).decode()


@pytest.mark.parametrize("scale", ["../../outside", "/outside", "a/b", "..", "x\x00"])
def test_results_stay_in_their_folder(tmp_path, scale):
    """The names of files on the pages come from results.json."""
    from fuzz.jsons import RESULTS

    from mpikit.errors import InputError
    from mpikit.experiments.results_page import write_results_page

    (tmp_path / "run").mkdir()
    (tmp_path / "pages").mkdir()
    for place in ("scale", "device"):
        run = {**RESULTS, "run": {**RESULTS["run"], place: scale}}
        (tmp_path / "run" / "results.json").write_text(json.dumps(run))
        with pytest.raises(InputError, match="damaged"):
            write_results_page([tmp_path / "run"], tmp_path / "pages")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pages", "run"]
    assert not list((tmp_path / "pages").iterdir())


def test_a_bar_takes_no_markup(monkeypatch):
    """Labels hold names of files, and rich has a language of its own in brackets."""
    from rich.console import Console

    from mpikit.cli import console
    from mpikit.events import Step

    heard = io.StringIO()
    monkeypatch.setattr(
        console,
        "_console",
        lambda **_: Console(file=heard, force_terminal=True, markup=False, width=120),
    )
    with console.listener("denoise [/] [red]a\x1b]0;x\x07") as tell:
        tell(Step(1, 2, {"loss [/]": 0.5}))
    shown = heard.getvalue()
    assert "[/] [red]a" in shown
    assert "\x1b]0" not in shown
