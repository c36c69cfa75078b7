"""Write ``hooks.md`` from the docstrings: ``python docs/plugins/make_hooks.py``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

from mpikit import hookspecs, records

PAGE = Path(__file__).with_name("hooks.md")
HEAD = """\
# Hooks and records

<!-- Made by docs/plugins/make_hooks.py; edit the docstrings in mpikit/hookspecs.py and records.py. -->

Every hook that a plugin may answer, and every class on the way from the answer to a denoised scan, with
exact signatures. All classes here are names of `mpikit`: `from mpikit import Denoiser, hookimpl`. What a
scan holds, and the events for `run.tell`, are among [the Python names](../reference/api.md). How they come
together shows [the page of plugins](index.md).

Letters: N frames, J periods in a frame, C receive channels, V samples in a period.
"""
GROUPS = {
    "What a hook answers with": ("Denoiser", "NoiseModel"),
    "What a denoiser builds": ("Method", "StatelessMethod"),
    "What a noise model builds": ("Noise", "WholeNoise"),
    "What comes from the outside": ("Options", "NoOptions", "Run", "Checkpoint"),
}
WIDTH = 96  # characters of a signature on one line


def hooks() -> dict[str, Callable[..., object]]:
    """Return the hooks by name."""
    return {name: hook for name, hook in vars(hookspecs).items() if name.startswith("mpikit_")}


def classes() -> dict[str, type]:
    """Return the public classes of ``mpikit.records`` by name."""
    found = {name: each for name, each in vars(records).items() if inspect.isclass(each)}
    return {name: each for name, each in found.items() if each.__module__ == records.__name__}


def methods(each: type) -> dict[str, Callable[..., object]]:
    """Return the methods that a class has of its own, ``__call__`` among them, by name."""
    defaults = getattr(each, "__dataclass_fields__", {})  # functions, but no methods
    return {
        name: method
        for name, method in vars(each).items()
        if inspect.isfunction(method)
        and name not in defaults
        and (name == "__call__" or not name.startswith("_"))
    }


def signature(name: str, called: Callable[..., object]) -> str:
    """Return how something is called: one line, or one for each parameter where that is too long."""
    found = inspect.signature(called)
    parameters = [each for each in found.parameters.values() if each.name != "self"]
    shown = [_parameter(each) for each in parameters]
    kinds = [each.kind for each in parameters]
    if inspect.Parameter.POSITIONAL_ONLY in kinds:
        shown.insert(kinds.count(inspect.Parameter.POSITIONAL_ONLY), "/")
    if inspect.Parameter.KEYWORD_ONLY in kinds:
        shown.insert(len(shown) - kinds.count(inspect.Parameter.KEYWORD_ONLY), "*")
    gives = found.return_annotation
    end = "" if inspect.isclass(called) or gives is inspect.Signature.empty else f" -> {gives}"
    line = f"{name}({', '.join(shown)}){end}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {each}," for each in shown), f"){end}"])


def _parameter(parameter: inspect.Parameter) -> str:
    default = parameter.default
    if default is inspect.Parameter.empty:
        return f"{parameter.name}: {parameter.annotation}"
    value = getattr(default, "__name__", None) or repr(default)
    return f"{parameter.name}: {parameter.annotation} = {value}"


def page() -> str:
    """Return the page."""
    parts = [HEAD, "## Hooks\n"]
    for name, hook in hooks().items():
        parts += _section(3, name, hook)
    known = classes()
    for title, names in GROUPS.items():
        parts.append(f"## {title}\n")
        for name in names:
            parts += _section(3, name, known[name])
            for own, method in methods(known[name]).items():
                parts += _section(4, f"{name}.{own}", method)
    return "\n".join(parts)


def _section(level: int, name: str, documented: Callable[..., object]) -> Iterator[str]:
    yield f"{'#' * level} `{name}`\n"
    last = name.rpartition(".")[2]
    is_record = hasattr(documented, "__dataclass_fields__")
    shown = (
        _head(documented) if isinstance(documented, type) and not is_record else signature(last, documented)
    )
    yield f"```python\n{shown}\n```\n"
    yield from _prose(inspect.getdoc(documented) or "")


def _head(each: type) -> str:
    """Return the head of a class to derive from or to imitate, whose constructor says nothing."""
    bases = [base.__name__ for base in each.__bases__ if base is not object]
    return f"class {each.__name__}({', '.join(bases)})" if bases else f"class {each.__name__}"


def _prose(docstring: str) -> Iterator[str]:
    from numpydoc.docscrape import NumpyDocString

    told = NumpyDocString(docstring)
    yield _paragraphs(told["Summary"])
    if told["Extended Summary"]:
        yield _paragraphs(told["Extended Summary"])
    for title in ("Parameters", "Returns", "Raises"):
        if told[title]:
            yield f"**{title}**\n"
            yield "\n".join(_item(each) for each in told[title]) + "\n"
    if told["Examples"]:
        lines = "\n".join(told["Examples"]).strip()
        yield f"```pycon\n{lines}\n```\n"


def _paragraphs(lines: list[str]) -> str:
    return "\n".join(lines).strip() + "\n"


def _item(told) -> str:
    head = f"`{told.name}`" if told.name else ""
    kind = told.type.replace("``", "`")
    about = " ".join(line.strip() for line in told.desc).strip()
    named = ", ".join(part for part in (head, kind) if part)
    return f"- {named}: {about}" if about else f"- {named}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
