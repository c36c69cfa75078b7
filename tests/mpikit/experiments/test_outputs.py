"""What a run writes, what has changed since another, and the pages of the documentation."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace

import pytest
from PIL import Image

from mpikit.errors import InputError
from mpikit.events import Warned
from mpikit.experiments import (
    Cell,
    Line,
    Metric,
    Plan,
    Table,
    changes,
    mean_cell,
    read_records,
    run_experiments,
    write_outputs,
    write_results_page,
)
from mpikit.experiments.tables import best_simple, displayed, displayed_csv, displayed_markdown, shown

PLAN = Plan(scale="smoke", seed=3)


def read(path):
    return list(csv.reader(io.StringIO(path.read_text())))


def write(small, folder, **options):
    found = run_experiments([small.experiment()], folder, PLAN, overwrite=True)
    return write_outputs(folder, found, **options)


def test_files(small, tmp_path):
    results = write(small, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "pieces",
        "results.csv",
        "results.json",
        "report.html",
        "small-figure.png",
        "small-figure.svg",
    }
    assert json.loads((tmp_path / "results.json").read_text()) == results
    rows = list(csv.DictReader(io.StringIO((tmp_path / "results.csv").read_text())))
    assert [row["value"] for row in rows] == ["11.5", "", "21.5", ""]
    assert rows[0]["paper"] == "12.5"
    assert rows[0]["signals"] == "4"
    first, second = results["pieces"].values()
    assert first["values"]["snr"] == [10, 11, 12, 13]
    assert second["settings"]["seed"] == 3
    with Image.open(tmp_path / "small-figure.png") as picture:
        assert picture.size == (400, 200)
    assert "<svg" in (tmp_path / "small-figure.svg").read_text()


def test_facts_name_nobody(small, tmp_path):
    import getpass
    import platform

    facts = write(small, tmp_path / "somewhere")["run"]
    text = json.dumps(facts)
    assert facts["command"] == "mpikit reproduce small --scale smoke --seed 3 --device cpu"
    assert "somewhere" not in text
    assert f'"{platform.node()}"' not in text
    assert f'"{getpass.getuser()}"' not in text


def test_the_report_is_complete_in_itself_and_escaped(small, tmp_path):
    write(small, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "<b>first" not in page
    assert "&lt;b&gt;first&lt;/b&gt;" in page
    assert "On &lt;small&gt; things" in page
    assert "A &lt;figure&gt;" in page
    for words in ("Table I has a wrong sign.", "not stated", "2 lines", "11.50", "12.50"):
        assert words in page
    assert re.findall(r'(?:src|href)="(?!data:image/png;base64,)', page) == []
    assert "data:image/png;base64,iVBORw0KGgo" in page


def test_what_failed_is_in_the_report(small, tmp_path):
    small.raises["first"] = RuntimeError("no <luck>")
    results = write(small, tmp_path)
    assert results["failed"] == {"<b>first</b>": "RuntimeError: no <luck>"}
    assert "no &lt;luck&gt;" in (tmp_path / "report.html").read_text()


def test_a_drawing_that_fails_is_warned_of(small, tmp_path):
    def fail():
        raise ValueError("infinite")

    small.draw = fail
    told = []
    write(small, tmp_path, tell=told.append)
    assert told == [Warned("small-figure cannot be drawn: infinite")]
    assert not (tmp_path / "small-figure.png").exists()


def test_changes(small, tmp_path):
    before = write(small, tmp_path / "one")["figures"]
    assert read_records(tmp_path / "one") == before
    assert changes(before, before) == []
    small.add = 0.25
    after = write(small, tmp_path / "two")["figures"]
    found = changes(before, after)
    assert [each.text for each in found] == [
        "small-table, noise & more, <b>first</b>, SNR: 11.5 before, 11.75 now (+0.25, within the intervals)",
        "small-table, noise & more, <b>second</b>, SNR: 21.5 before, 21.75 now (+0.25, within the intervals)",
    ]
    small.add = 100
    assert all(each.is_clear for each in changes(before, write(small, tmp_path / "three")["figures"]))


def test_changes_of_what_is_new_or_gone(small, tmp_path):
    before = write(small, tmp_path / "one")["figures"]
    assert changes(before, before[2:])[0].text.endswith("SNR: gone, 11.5")
    assert changes(before[2:], before)[0].text.endswith("SNR: new, 11.5")
    other = [each | {"table": "another"} for each in before]
    assert changes(before, other) == []


@pytest.mark.parametrize("text", [None, "{", "[]", "{}"])
def test_no_results_to_compare_with(tmp_path, text):
    if text is not None:
        (tmp_path / "results.json").write_text(text)
    with pytest.raises(InputError, match=r"results\.json"):
        read_records(tmp_path)


SNR = Metric("SNR", "dB")


def line(label, kind, value, group="g"):
    return Line(group=group, label=label, kind=kind, cells={"SNR": Cell(value=value)})


def test_the_best_simple_method_is_marked_in_each_group():
    lines = (
        line("a", "simple", 3.0),
        line("b", "simple", 4.0),
        line("c", "pooled", 9.0),
        line("d", "paper", 8.0),
        line("e", "simple", None),
        line("a", "simple", 7.0, "h"),
    )
    table = Table(name="t", title="", group="noise", metrics=(SNR,), lines=lines)
    assert best_simple(table, "g") is lines[1]
    assert best_simple(table, "h") is lines[5]
    assert best_simple(table, "none") is None
    low = replace(table, metrics=(replace(SNR, better="low"),))
    assert best_simple(low, "g") is lines[0]
    notes = [row[-1] for row in displayed(table)["rows"]]
    assert notes == ["", "best simple method", "", "", "", "best simple method"]


def test_the_paper_has_a_column_only_where_it_has_figures():
    cells = {"SNR": mean_cell([1.0, 2.0, 4.0], paper=2.5), "PSNR": Cell(value=None)}
    lines = (Line(group="g", label="x|y", kind="paper", cells=cells, seconds=3.21, note="n"),)
    table = displayed(
        Table(name="t", title="T", group="noise", metrics=(SNR, Metric("PSNR", "dB")), lines=lines)
    )
    assert table["headings"] == ["noise", "method", "SNR / dB", "paper", "PSNR / dB", "fit", "note"]
    [[group, label, value, paper, empty, seconds, note]] = table["rows"]
    assert (group, label, paper, empty, seconds, note) == ("g", "x|y", "2.50", "", "3.2 s", "n")
    assert value.startswith("2.33 ± ")
    assert list(csv.reader(io.StringIO(displayed_csv(table).decode())))[1] == table["rows"][0]
    assert displayed_markdown(table).splitlines()[1].count("---:") == 4
    assert "| x/y |" in displayed_markdown(table)


def test_figures_of_no_or_one_value():
    assert mean_cell([]) == Cell(count=0)
    assert mean_cell([2.0], factor=3) == Cell(value=6.0, count=1)
    assert shown(mean_cell([2.0]), SNR) == "2.00"
    assert shown(Cell(), SNR) == ""
    assert mean_cell([1.0, float("nan")]).value is None


def test_pages_of_the_documentation(small, tmp_path):
    pages = tmp_path / "pages"
    pages.mkdir()
    assert write_results_page([], pages) == [pages / "index.md"]
    assert "No results are kept" in (pages / "index.md").read_text()
    write(small, tmp_path / "out")
    written = write_results_page([tmp_path / "out"], pages)
    names = {str(path.relative_to(pages)) for path in written}
    assert names == {
        "index.md",
        "small/index.md",
        "small/small-table.smoke.cpu.csv",
        "small/small-table.smoke.cpu.table.md",
        "small/small-figure.smoke.cpu.png",
    }
    page = (pages / "small" / "index.md").read_text()
    assert ":file: small-table.smoke.cpu.csv" in page
    assert "mpikit reproduce small --scale smoke" in page
    assert "11.5" not in page
    assert "small/index" in (pages / "index.md").read_text()
    rows = read(pages / "small" / "small-table.smoke.cpu.csv")
    assert rows[1][:2] == ["noise & more", "<b>first</b>"]
    small.add = 1
    write(small, tmp_path / "out")
    write_results_page([tmp_path / "out"], pages)
    again = read(pages / "small" / "small-table.smoke.cpu.csv")
    assert again[1][2].startswith("12.50")


def test_old_results_go_and_other_files_stay(small, tmp_path):
    pages = tmp_path / "pages"
    (place := pages / "small").mkdir(parents=True)
    kept = ["notes.txt", "photo.png", "mine.csv", "mine.smoke.cpu.csv", "mine.smoke.cpu.table.md"]
    for name in kept:
        (place / name).write_text("mine")
    write(small, tmp_path / "out")
    written = {path.name for path in write_results_page([tmp_path / "out"], pages)}
    (place / "index.md").write_text(
        (place / "index.md").read_text() + "\n![a photo](photo.png)\n\n![out](../index.smoke.cpu.png)\n"
    )
    (pages / "index.smoke.cpu.png").write_text("mine")
    results = tmp_path / "out" / "results.json"
    for name in ("small-table", "small-figure"):
        results.write_text(results.read_text().replace(f'"name": "{name}"', f'"name": "new{name}"'))
    (tmp_path / "out" / "small-figure.png").rename(tmp_path / "out" / "newsmall-figure.png")
    again = {path.name for path in write_results_page([tmp_path / "out"], pages)}
    assert again == {name.replace("small-", "newsmall-") for name in written}
    assert {path.name for path in place.iterdir()} == {*again, *kept}
    assert (pages / "index.smoke.cpu.png").exists()


def test_pictures_of_the_documentation_are_small(small, tmp_path, rng):
    write(small, tmp_path / "out")
    noise = rng.integers(0, 256, (500, 600, 3), dtype="uint8")
    Image.fromarray(noise).save(tmp_path / "out" / "small-figure.png")
    (tmp_path / "pages").mkdir()
    [picture] = [
        path for path in write_results_page([tmp_path / "out"], tmp_path / "pages") if path.suffix == ".png"
    ]
    assert 20_000 < picture.stat().st_size < 150_000


def test_pages_of_no_run(tmp_path):
    with pytest.raises(InputError, match="holds no results"):
        write_results_page([tmp_path], tmp_path)


@pytest.mark.parametrize("name", ["../victim", "..", "a/b", ""])
def test_pages_stay_in_their_folder(small, tmp_path, name):
    write(small, tmp_path / "out")
    results = tmp_path / "out" / "results.json"
    results.write_text(results.read_text().replace('"name": "small"', f'"name": "{name}"'))
    victim = tmp_path / "victim" / "kept"
    victim.parent.mkdir()
    victim.write_text("kept")
    (tmp_path / "pages").mkdir()
    with pytest.raises(InputError, match="the results are damaged"):
        write_results_page([tmp_path / "out"], tmp_path / "pages")
    assert victim.read_text() == "kept"


def test_old_pages_stay_when_new_ones_cannot_be_made(small, tmp_path):
    pages = tmp_path / "pages"
    pages.mkdir()
    write(small, tmp_path / "out")
    before = {path: path.read_bytes() for path in write_results_page([tmp_path / "out"], pages)}
    (tmp_path / "out" / "small-figure.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="the results are damaged"):
        write_results_page([tmp_path / "out"], pages)
    assert {path: path.read_bytes() for path in before} == before
