"""The page: nothing is missing, nothing is loaded, nothing from a file is markup, and it looks right."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

from mpikit.denoise_file import denoise_file
from mpikit.events import Warned
from mpikit.report import write_report
from mpikit.report.origin import citation_section, history_sections, shortly
from mpikit.scan_file import write_scan

from .conftest import ABOUT, STUDY, SUBJECT, write_reconstruction

ALL = ("scan.harmonic.mdf", "image.mdf", "sm.mdf", "model.log.jsonl")
VOID = {"meta", "img"}


class Tags(HTMLParser):
    """Notes tags, names and texts of a page, and whether every tag is closed."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.ids, self.open, self.text = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)


@pytest.fixture(scope="module")
def page(made, tmp_path_factory):
    output = tmp_path_factory.mktemp("page") / "report.html"
    write_report([made / name for name in ALL], output)
    return output.read_text()


def test_every_part_is_there(page):
    text = " ".join(" ".join(Tags(page).text).split())
    for words in (
        *ALL,
        *("denoised measurement", "What the file is", "Signals before and after", "SNR per harmonic"),
        *("Residual", "autocorrelation", "Scores", "Options and history", "false_alarm"),
        *("Images before and after", "Difference, after minus before", "Choice of λ", "System matrix"),
        *("Course of the training", "How to cite", "mpikit denoise, 20", "25 kHz"),
    ):
        assert words in text, words


def test_the_page_is_well_formed(page):
    found = Tags(page)
    assert found.open == []
    assert len(found.ids) == len(set(found.ids))
    assert page.count('<svg role="img" aria-label="') >= 9


def test_nothing_is_loaded_and_nothing_runs(page):
    tags = Tags(page).tags
    assert not {"script", "link", "iframe", "object", "form"} & {tag for tag, _ in tags}
    for tag, attributes in tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "xlink:href", "href"):
            value = attributes.get(name, "#")
            is_link = tag == "a" and value.startswith("https://doi.org/")
            assert value.startswith(("#", "data:image/png;base64,")) or is_link, value
    assert "@import" not in page
    targets = re.findall(r"url\(([^)]*)\)", page)
    assert targets
    assert all(target.startswith("#f") for target in targets)
    assert "Content-Security-Policy\" content=\"default-src 'none'" in page


def test_what_stands_in_a_file_is_no_markup(page):
    assert STUDY not in page
    assert html.escape(STUDY) in page


def test_the_subject_is_shown_only_when_asked_for(made, page, tmp_path):
    assert "Jane" not in page
    write_report([made / "scan.mdf"], tmp_path / "with.html", with_subject=True)
    shown = (tmp_path / "with.html").read_text()
    assert html.escape(SUBJECT) in shown
    assert SUBJECT not in shown


def test_markup_in_a_history_and_in_a_name(tmp_path):
    bad = "<img src=x onerror=alert(1)>"
    told = [
        {"command": bad, "options": {bad: bad, "method": bad}, "inputs": {bad: 3}, "at": bad},
        {"command": "denoise", "options": 3, "scores": [{"method": bad, "snr_db": "high"}, 5]},
        {"command": "reconstruct", "lambda": {"relative": bad}, "options": {"lambda": bad}},
    ]
    path = write_reconstruction(tmp_path / "a & $b$ <i>.mdf", np.ones((1, 1, 4, 5)), history=told)
    write_report([path], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "<img" not in page
    assert "<i>" not in page
    assert "a &amp; $b$ &lt;i&gt;.mdf" in page
    assert html.escape(bad) in page


def test_the_same_files_give_the_same_page_anywhere(made, copied, tmp_path):
    pages = []
    for folder in (made, copied):
        output = tmp_path / f"{folder.name}.html"
        write_report([folder / "scan.harmonic.mdf", folder / "image.mdf"], output)
        pages.append(output.read_text())
        assert str(folder) not in pages[-1]
    assert pages[0] == pages[1]
    assert os.uname().nodename not in " ".join(Tags(pages[0]).text).split()


def test_a_source_that_is_not_there_is_said(copied, tmp_path):
    (copied / "scan.mdf").unlink()
    told = []
    write_report([copied / "scan.harmonic.mdf"], tmp_path / "report.html", tell=told.append)
    assert [event.text for event in told if isinstance(event, Warned)] == [
        "scan.mdf, which scan.harmonic.mdf was denoised from, is not beside it: --before names it"
    ]
    assert "its source (scan.mdf) was not found beside it" in (tmp_path / "report.html").read_text()


def test_a_model_shows_its_options_and_its_training(copied, tmp_path):
    model, again = copied / "model.safetensors", copied / "again.mdf"
    (copied / "scan.harmonic.mdf").unlink()
    denoise_file(copied / "scan.mdf", method="harmonic", keep_model=model)
    denoise_file(copied / "scan.mdf", model=model, output=again)
    write_report([model, again], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    text = " ".join(Tags(page).text)
    assert "fitted to sampling rate" in text
    assert page.count("Course of the training.</figcaption>") == 2  # of the model, and of what it denoised
    assert "Signals before and after" in text
    model.write_bytes(b"another")
    write_report([again], tmp_path / "other.html")
    assert "Course of the training" not in (tmp_path / "other.html").read_text()


def test_a_file_without_an_object_says_so(empty_scan, tmp_path):
    write_scan(empty_scan, tmp_path / "empty.mdf", contents=ABOUT)
    write_report([tmp_path / "empty.mdf"], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "all 6 frames are background frames" in page
    assert str(tmp_path) not in page


def test_scores_that_are_odd_are_said_to_be_unknown():
    told = [{"scores": [{"method": "a", "snr_db": None}, {"snr_db": 3.25, "is_lower_bound": True}]}]
    table = history_sections(told)[0].blocks[0]
    assert [row[:2] for row in table.rows] == [("a", "not known"), ("?", "> 3.2")]


def test_values_of_options_are_short():
    assert shortly([1] * 100).endswith("…")
    assert [shortly(value) for value in (None, True, "auto", 0.1)] == ["not set", "yes", "auto", "0.1"]


def test_the_methods_are_cited():
    told = [
        {"command": "denoise", "options": {"method": "unet-gd"}},
        {"command": "denoise", "options": {"method": "none such"}},
    ]
    section = citation_section([told], ["10.1000/xyz"])
    addresses = [address for address, _ in section.blocks[-1].rows]
    assert "https://doi.org/10.1000/xyz" in addresses
    assert all(address.startswith("https://doi.org/10.") for address in addresses)


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed")
FRAME = '<iframe style="width:{width}px;height:900px;border:0" srcdoc="{page}"></iframe>'
MEASURE = """<p id="found"></p><script>
onload = () => {
  const roots = [...document.querySelectorAll("iframe")].map(each => each.contentDocument.documentElement);
  const sizes = roots.map(root => root.scrollWidth + " of " + root.clientWidth);
  document.getElementById("found").textContent = sizes.join(", ");
}
</script>"""


def browse(path, profile, *flags):
    """Open a page in a browser without a window; return its document, and what the console said."""
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--enable-logging=stderr", f"--user-data-dir={profile}", *flags, "--dump-dom", path.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@needs_chromium
def test_the_console_is_silent(page, tmp_path):
    (tmp_path / "report.html").write_text(page)
    shown, console = browse(tmp_path / "report.html", tmp_path / "profile")
    assert "How to cite" in shown
    assert console == []
    broken = page.replace("</body>", "<script>1</script></body>")
    (tmp_path / "broken.html").write_text(broken)
    assert browse(tmp_path / "broken.html", tmp_path / "profile")[1]  # an error would be seen


@needs_chromium
def test_nothing_has_to_be_scrolled_sideways(page, tmp_path):
    wide = "<!doctype html><p style='width:450px'>too wide"
    frames = [(400, page), (1200, page), (400, wide)]
    shown = "".join(FRAME.format(width=width, page=html.escape(each)) for width, each in frames)
    (tmp_path / "frames.html").write_text(f"<!doctype html><body>{shown}{MEASURE}</body>")
    flags = ("--window-size=1400,1000",)
    document, _ = browse(tmp_path / "frames.html", tmp_path / "profile", *flags)
    sizes = re.search(r'id="found">([^<]*)<', document).group(1)
    found = [[int(size) for size in each.split(" of ")] for each in sizes.split(", ")]
    assert [width - seen < 20 for (width, _), (_, seen) in zip(frames, found, strict=True)] == [True] * 3
    assert [scrolled > seen for scrolled, seen in found] == [False, False, True]


def test_the_parts_of_a_json_history_are_kept(page):
    whole = re.findall(r"<pre>(.*?)</pre>", page, re.DOTALL)
    records = json.loads(html.unescape(whole[0]))
    assert [record["command"] for record in records] == ["denoise"]
