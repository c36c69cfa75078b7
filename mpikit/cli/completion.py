"""What the shell proposes: names of methods, their options, presets, experiments, data sets.

Nothing here may be slow or loud: a shell waits for it, and shows what it writes.
"""

from __future__ import annotations

import os
import types
from collections.abc import Iterable, MutableMapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

COMPLETE = "_MPIKIT_COMPLETE"  # what the script of the shell sets
PREFIX = "_MPIKIT_COMPLETE_PREFIX"
AUTO = "auto"


def choices_of(kind: Any) -> list[str]:
    """Return the words that a type allows, none if it is not a choice of some.

    >>> choices_of(Literal["fit", "off"]), choices_of(int)
    (['fit', 'off'], [])
    """
    if get_origin(kind) is Literal:
        return [str(each) for each in get_args(kind)]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [str(each.value) for each in kind]
    return []


def join_bash_words(environment: MutableMapping[str, str]) -> None:
    r"""Put together what bash has split at ``=`` and ``:``, as it does by itself.

    Bash replaces only the part after the last of them: what is before it in the same word is kept in the
    variable `PREFIX`, for `matching`.

    >>> words = {"COMP_WORDS": "mpikit\ndenoise\n-p\nsymmetry\n=\no", "COMP_CWORD": "5"}
    >>> join_bash_words(words)
    >>> words["COMP_WORDS"].split(), words["COMP_CWORD"], words[PREFIX]
    (['mpikit', 'denoise', '-p', 'o'], '3', 'symmetry=')
    """
    count = int(environment["COMP_CWORD"]) + 1
    words = [*environment["COMP_WORDS"].split("\n"), ""][:count]
    joined: list[list[str]] = []
    goes_on = False
    for word in words:
        is_break = bool(word) and not word.strip("=:")
        if joined and word and (goes_on or is_break):
            joined[-1].append(word)
        else:
            joined.append([word])
        goes_on = is_break
    before = ["".join(parts) for parts in joined[:-1]]
    last = [*joined[-1], ""] if goes_on else joined[-1]
    prefix, incomplete = "".join(last[:-1]), last[-1]
    if prefix.startswith("--"):
        option, _, prefix = prefix.partition("=")
        before.append(option)
    environment["COMP_WORDS"] = "\n".join([*before, incomplete])
    environment["COMP_CWORD"] = str(len(before))
    environment[PREFIX] = prefix


def _whole(incomplete: str) -> str:
    return os.environ.get(PREFIX, "") + incomplete


def matching(candidates: Iterable[str], incomplete: str) -> list[str]:
    """Return the candidates that begin like the word at the cursor, as far as the shell takes them."""
    begun = _whole(incomplete)
    cut = len(begun) - len(incomplete)
    return [each[cut:] for each in candidates if each.startswith(begun)]


def denoiser_names(incomplete: str) -> list[str]:
    """Names for ``--method``."""
    from mpikit.plugins import registry

    return matching(sorted(registry().denoisers), incomplete)


def denoiser_names_and_auto(incomplete: str) -> list[str]:
    """Names for ``--method`` where `auto` may choose."""
    return [*matching([AUTO], incomplete), *denoiser_names(incomplete)]


def denoiser_list(incomplete: str) -> list[str]:
    """Names for ``--methods``, the last of those with commas between them."""
    from mpikit.plugins import registry

    before = _whole(incomplete).rpartition(",")[0]
    named = before.split(",")
    others = (name for name in sorted(registry().denoisers) if name not in named)
    return matching((f"{before},{name}" if before else name for name in others), incomplete)


def noise_names(incomplete: str) -> list[str]:
    """Names of noise models for ``--model``."""
    from mpikit.plugins import registry

    return matching(sorted(registry().noise_models), incomplete)


def noise_specs(incomplete: str) -> list[str]:
    """Noise models for ``--noise``; behind the colon their options."""
    from mpikit.plugins import registry

    found = registry().noise_models
    name, colon, pairs = _whole(incomplete).partition(":")
    if not colon:
        return matching(["none", *sorted(found)], incomplete)
    if len(found.get(name, ())) != 1:
        return []
    done, comma, begun = pairs.rpartition(",")
    options = _pairs(found[name][0].record.options, begun)
    return matching((f"{name}:{done}{comma}{pair}" for pair in options), incomplete)


def plugin_names(incomplete: str) -> list[str]:
    """Names of denoisers and noise models."""
    from mpikit.plugins import registry

    found = registry()
    return matching(sorted({*found.denoisers, *found.noise_models}), incomplete)


def options_of_method(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return options for ``-p`` of the method that is named, with their defaults or all that they take."""
    method = ctx.params.get("method") or AUTO
    if method == AUTO:
        return [*matching(["candidates="], incomplete), *options_of_methods(ctx, incomplete)]
    return matching(_pairs(_options_of(method), _whole(incomplete)), incomplete)


def options_of_methods(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return options for ``-p`` of one of several methods: ``METHOD.name=value``."""
    from mpikit.plugins import registry

    named = [name for name in (ctx.params.get("methods") or "").split(",") if name]
    method, dot, begun = _whole(incomplete).partition(".")
    if not dot:
        return matching((f"{name}." for name in named or sorted(registry().denoisers)), incomplete)
    return matching((f"{method}.{pair}" for pair in _pairs(_options_of(method), begun)), incomplete)


def options_of_reconstruction(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return options for ``-p`` of a method of reconstruction."""
    from mpikit.reconstruct.options import METHODS

    options = METHODS.get(ctx.params.get("method") or "kaczmarz")
    return matching(_pairs(options, _whole(incomplete)), incomplete)


def _options_of(method: str) -> type[BaseModel] | None:
    from mpikit.plugins import registry

    found = registry()
    offers = [*found.denoisers.get(method, ()), *found.noise_models.get(method, ())]
    return offers[0].record.options if offers else None


def _pairs(options: type[BaseModel] | None, begun: str) -> list[str]:
    """Return ``name=default`` for each option; where one alone is meant, all that it takes."""
    from mpikit.options import as_text, option_fields

    fields = {} if options is None else option_fields(options)
    named = {name.rstrip("_"): field for name, field in fields.items()}
    meant = [name for name in named if f"{name}=".startswith(begun) or begun.startswith(f"{name}=")]
    pairs = []
    for name in meant:
        field = named[name]
        default = "" if field.is_required() else as_text(field.get_default(call_default_factory=True))
        values = _values(field.annotation) if len(meant) == 1 else []
        pairs += [f"{name}={value}" for value in values or [default]]
    return pairs


def _values(annotation: Any) -> list[str]:
    """Return what an option takes, if it is a choice of some words."""
    kinds = list(get_args(annotation)) if _is_union(annotation) else [annotation]
    values: list[str] = []
    for kind in kinds:
        words = {bool: ["true", "false"], types.NoneType: ["none"]}.get(kind) or choices_of(kind)
        if not words:
            return []
        values += words
    return values


def _is_union(annotation: Any) -> bool:
    from typing import Union

    return get_origin(annotation) in (Union, types.UnionType)


def preset_names(incomplete: str) -> list[str]:
    """Names of simulated scanners."""
    from importlib.resources import files

    scanners = files("mpikit.simulate") / "scanners"
    return matching(sorted(each.name.removesuffix(".toml") for each in scanners.iterdir()), incomplete)


def phantom_names(incomplete: str) -> list[str]:
    """Names for ``--phantom``."""
    from mpikit.simulate.phantoms.make import PHANTOMS

    return matching(sorted(PHANTOMS), incomplete)


def plot_kinds(incomplete: str) -> list[str]:
    """Kinds for ``--kind`` of a figure."""
    from mpikit.report.plot import KINDS

    return matching(dict.fromkeys(name for kinds in KINDS.values() for name in kinds), incomplete)


def experiment_names(incomplete: str) -> list[str]:
    """Experiments for ``mpikit reproduce``."""
    from mpikit.experiments import ALL, experiments

    return matching(["list", ALL, *experiments()], incomplete)


def dataset_names(incomplete: str) -> list[str]:
    """Names of public data sets."""
    from mpikit.datasets import DATASETS

    return matching(DATASETS, incomplete)


def device_names(incomplete: str) -> list[str]:
    """Words for ``--device``."""
    return matching(["auto", "cpu", "cuda"], incomplete)


def reconstruction_names(incomplete: str) -> list[str]:
    """Names of methods of reconstruction."""
    from mpikit.reconstruct.options import METHODS

    return matching(METHODS, incomplete)


def lambda_rules(incomplete: str) -> list[str]:
    """Words for ``--lambda``."""
    return matching(["auto", "discrepancy", "l-curve", "gcv"], incomplete)


def backgrounds(incomplete: str) -> list[str]:
    """Words for ``--background``."""
    return matching(["auto", "static", "interpolated", "dictionary", "none"], incomplete)
