"""The page of hooks and records: made from the code, complete, with exact signatures."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import runpy
from pathlib import Path

import pytest

from mpikit import hookspecs, records

DOCS = Path(__file__).parents[2] / "docs"
MAKER = runpy.run_path(str(DOCS / "plugins" / "make_hooks.py"))
PAGE = MAKER["PAGE"].read_text()
HOOKS = [name for name in vars(hookspecs) if name.startswith("mpikit_")]
CLASSES = {
    name: each
    for name, each in vars(records).items()
    if isinstance(each, type) and each.__module__ == "mpikit.records"
}


def section(name):
    """Return what stands under a heading, down to the next one."""
    return re.split(r"^#+ ", PAGE.partition(f"# `{name}`\n")[2], flags=re.MULTILINE)[0]


def shown(name):
    """Return the signature that stands first under a heading."""
    return re.search(r"```python\n(.*?)\n```", section(name), re.DOTALL)[1]


def of_code(function):
    """Return arguments without ``self``, and what is returned, of a parsed function as comparable texts."""
    arguments = function.args
    first = arguments.posonlyargs or arguments.args
    if first and first[0].arg == "self":
        del first[0]
    return ast.unparse(arguments), function.returns and ast.unparse(function.returns)


def parsed(signature):
    return ast.parse(f"def {signature.replace('def ', '')}: ...").body[0]


def test_the_page_is_current():
    assert MAKER["page"]() == PAGE, "run python docs/plugins/make_hooks.py"


def test_the_page_is_linked():
    assert "](hooks.md)" in (DOCS / "plugins" / "index.md").read_text()
    assert "plugins/hooks\n" in (DOCS / "index.md").read_text()


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_with_its_signature_and_docstring(name):
    source = ast.parse(inspect.getsource(getattr(hookspecs, name))).body[0]
    assert of_code(parsed(shown(name))) == of_code(source)
    assert inspect.getdoc(getattr(hookspecs, name)).splitlines()[0] in section(name)


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_with_its_docstring(name):
    assert inspect.getdoc(CLASSES[name]).splitlines()[0] in section(name)


@pytest.mark.parametrize("name", [name for name, each in CLASSES.items() if dataclasses.is_dataclass(each)])
def test_every_field_of_a_record_with_its_type_and_default(name):
    [source] = ast.parse(inspect.getsource(CLASSES[name])).body
    fields = [each for each in source.body if isinstance(each, ast.AnnAssign)]
    assert len(fields) > 3
    arguments = parsed(shown(name)).args
    assert not arguments.posonlyargs
    given = arguments.args + arguments.kwonlyargs
    assert [(each.arg, ast.unparse(each.annotation)) for each in given] == [
        (each.target.id, ast.unparse(each.annotation)) for each in fields
    ]
    defaults = [each for each in [*arguments.defaults, *arguments.kw_defaults] if each]
    assert [ast.unparse(each) for each in defaults] == [
        ast.unparse(each.value) for each in fields if each.value
    ]
    described = re.findall(r"^- `([^`]+)`", section(name), re.MULTILINE)
    assert sorted(", ".join(described).split(", ")) == sorted(each.target.id for each in fields)


def test_every_method_with_its_signature_and_docstring():
    count = 0
    for name, each in CLASSES.items():
        [source] = ast.parse(inspect.getsource(each)).body
        for method in [each for each in source.body if isinstance(each, ast.FunctionDef)]:
            if method.name.startswith("_") and method.name != "__call__":
                continue
            count += 1
            heading = f"{name}.{method.name}"
            assert of_code(parsed(shown(heading))) == of_code(method), heading
            assert ast.get_docstring(method).splitlines()[0] in section(heading)
    assert count == 13


def test_nothing_else_is_on_the_page():
    headings = re.findall(r"^### `(\w+)`$", PAGE, re.MULTILINE)
    assert sorted(headings) == sorted([*HOOKS, *CLASSES])
