"""Links of the documentation: files and headings exist, pages are in a toctree and say what to read next."""

from __future__ import annotations

import re
import runpy
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TUTORIALS = DOCS / "tutorials"
CONF = runpy.run_path(str(DOCS / "conf.py"))
DEPTH = CONF["myst_heading_anchors"]
GALLERY = CONF["sphinx_gallery_conf"]["gallery_dirs"]

FENCE = re.compile(r"^(```+|:::+)(\{(?P<directive>[\w-]+)\})?.*?^\1\s*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*(?:\n[^`\n]+)?`")
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\]\([^)]*\))*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
AUTOLINK = re.compile(r"<(https?:[^>\s]+)>")
ROLE = re.compile(r":doc:`(?:[^`<]*<)?([^`>]+)>?`")
RST_LINK = re.compile(r"`[^`<]*<([a-z]+:[^`>]+)>`_")
# Made by scripts beside them, or a list without an end: the sidebar leads on.
LISTS = {
    "changelog.md",
    "plugins/hooks.md",
    "reference/api.md",
    "reference/cli.md",
    "reference/nodes.md",
    "results/index.md",
}


def ignored(path: Path) -> bool:
    """Say whether Sphinx leaves a file out."""
    name = path.relative_to(DOCS).as_posix()
    patterns = [*CONF["exclude_patterns"], GALLERY]
    return any(
        fnmatch(name, pattern.replace("**/", "*")) or name.startswith(f"{pattern}/") for pattern in patterns
    )


PAGES = sorted(path for path in DOCS.rglob("*.md") if not ignored(path))
SCRIPTS = sorted(TUTORIALS.glob("*.py"))
EVERY = [ROOT / "README.md", *PAGES, *SCRIPTS, TUTORIALS / "README.rst"]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def prose(path: Path) -> str:
    """Return the text of a page without code; of a script its docstring and comments."""
    text = path.read_text()
    if path.suffix == ".py":
        head, *rest = re.split(r"^# %%.*$", text, flags=re.MULTILINE)
        comments = ("\n".join(re.findall(r"^# ?(.*)$", part, re.MULTILINE)) for part in rest)
        return "\n\f\n".join([head.split('"""')[1], *comments])
    if path.suffix == ".md":
        return FENCE.sub(lambda found: "" if found["directive"] in {None, "toctree"} else found[0], text)
    return text


def targets(path: Path) -> list[str]:
    """Return all that a page links to."""
    text = prose(path)
    if path.suffix == ".md":
        text = CODE.sub("code", text)
        return LINK.findall(text) + AUTOLINK.findall(text)
    return ROLE.findall(text) + RST_LINK.findall(text)


def is_external(target: str) -> bool:
    return bool(urlsplit(target).scheme)


def internal(path: Path) -> list[str]:
    return [target for target in targets(path) if not is_external(target)]


def resolve(path: Path, target: str) -> Path | None:
    """Return the file that a link leads to, None if there is none."""
    place = target.partition("#")[0]
    if not place:
        return path
    beside = DOCS / GALLERY if path.parent == TUTORIALS else path.parent
    start = DOCS if place.startswith("/") else beside
    found = (start / place.lstrip("/")).resolve()
    if found.parent == DOCS / GALLERY:  # made from the scripts by the build
        found = TUTORIALS / (f"{found.stem}.py" if found.stem != "index" else "README.rst")
    choices = [found, found.with_name(f"{found.name}.md")]
    return next((choice for choice in choices if choice.is_file()), None)


@cache
def anchors(path: Path) -> set[str]:
    """Return the anchors of the headings of a page, as MyST makes them, and its labels."""
    found: set[str] = set()
    for marks, title in re.findall(r"^(#+)\s+(.+?)\s*$", prose(path), re.MULTILINE):
        if len(marks) > DEPTH and path.parent != ROOT:
            continue
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-")
        unique, again = slug, 0
        while unique in found:
            again += 1
            unique = f"{slug}-{again}"
        found.add(unique)
    return found | set(re.findall(r"^\(([\w-]+)\)=$", prose(path), re.MULTILINE))


def last_section(path: Path) -> str:
    if path.suffix == ".py":
        return prose(path).rsplit("\f", 1)[-1]
    return re.split(r"^#+ ", prose(path), flags=re.MULTILINE)[-1]


def in_a_toctree(path: Path) -> set[Path]:
    """Return the pages that the toctrees of a page name."""
    trees = [found[0] for found in FENCE.finditer(path.read_text()) if found["directive"] == "toctree"]
    lines = [line.strip() for tree in trees for line in tree.splitlines()[1:-1]]
    entries = [line for line in lines if line and not line.startswith((":", "<!--"))]
    found = {entry: resolve(path, entry) for entry in entries}
    missing = [entry for entry, place in found.items() if place is None]
    assert missing == [], f"{name_of(path)} has a toctree with pages that are not there"
    return {place for place in found.values() if place is not None}


@pytest.mark.parametrize("path", EVERY, ids=name_of)
def test_links_lead_somewhere(path):
    broken = [target for target in internal(path) if resolve(path, target) is None]
    assert broken == []


@pytest.mark.parametrize("path", EVERY, ids=name_of)
def test_anchors_are_headings(path):
    wanted = [target for target in internal(path) if "#" in target]
    found = [(target, resolve(path, target)) for target in wanted]
    assert [t for t, place in found if place and t.partition("#")[2] not in anchors(place)] == []


@pytest.mark.parametrize("path", EVERY, ids=name_of)
def test_external_links_are_https(path):
    """There is no network in tests, so this is about their form alone."""
    parts = [urlsplit(target) for target in targets(path) if is_external(target)]
    wrong = [
        part.geturl()
        for part in parts
        if part.scheme != "https" or not re.match(r"[\w-]+(\.[\w-]+)+$", part.netloc)
    ]
    assert wrong == []


def test_every_page_is_in_a_toctree():
    listed = set.union(*(in_a_toctree(page) for page in PAGES))
    assert [name_of(page) for page in PAGES if page not in listed | {DOCS / "index.md"}] == []
    assert TUTORIALS / "README.rst" in listed


@pytest.mark.parametrize("path", [*PAGES, *SCRIPTS], ids=name_of)
def test_every_page_ends_with_a_next_step(path):
    if path.relative_to(DOCS).as_posix() in LISTS:
        pytest.skip("a list to look things up in")
    text = last_section(path)
    assert ROLE.search(text) or any(not is_external(found) for found in LINK.findall(text))


def test_the_check_finds_what_is_wrong(tmp_path):
    page, other = tmp_path / "page.md", tmp_path / "other.md"
    other.write_text("# Other\n\n## What it `does`, and *how*\n\n## Twice\n\n## Twice\n")
    page.write_text(
        "# Page\n[a](other.md#twice-1) [b](no.md) [c](#gone)\n```\n[d](code.md)\n```\n`[e](x.md)`\n"
    )
    assert internal(page) == ["other.md#twice-1", "no.md", "#gone"]
    assert [resolve(page, target) for target in internal(page)] == [other, None, page]
    assert anchors(other) == {"other", "what-it-does-and-how", "twice", "twice-1"}
