"""Options of `auto`: which methods it tries, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

from mpikit.compare.files import candidates as find_candidates
from mpikit.compare.methods import Candidate
from mpikit.compare.unchanged import UNCHANGED
from mpikit.errors import UsageError
from mpikit.plugins import registry


def auto_candidates(parameters: Sequence[str] = ()) -> list[Candidate]:
    """Find the candidates of `auto`; the signal as it is always is one, and needs no name.

    Parameters
    ----------
    parameters : sequence of str
        ``candidates=NAME,NAME,...``, any methods that are installed; not said, all of mpikit's own that train
        no network and that make each period from itself alone. ``METHOD.name=value`` for their options. A
        small network on top of a method of mpikit is left off, unless its option says otherwise.

    Raises
    ------
    PluginError
        When a name is not known, or not of one method alone.
    UsageError
        When an option is wrong, or no candidate is named and none of mpikit's own is installed.
    """
    named: list[str] | None = None
    options = []
    for text in parameters:
        key, equals, value = text.partition("=")
        if key.strip() == "candidates" and equals:
            named = [name.strip() for name in value.split(",") if name.strip()]
        elif "." not in key:
            raise UsageError(
                f"{text!r} is no option of auto, expected candidates=NAME,... or METHOD.name=value",
                hint="for instance -p candidates=harmonic,low-rank -p harmonic.symmetry=off",
            )
        else:
            options.append(text)
    if named is not None and not named:
        raise UsageError("candidates= names no method", hint="leave it out for all that train no network")
    names = [name for name in named or _default_names() if name != UNCHANGED.record.name]
    for text in options:
        name = text.partition(".")[0].strip()
        if "=" not in name and name not in names:
            raise UsageError(
                f"{text!r}: {name!r} is none of the candidates", hint=f"they are {', '.join(names) or 'none'}"
            )
    if not names:
        return []
    return [_without_network(each) for each in find_candidates(names, options)]


def _without_network(candidate: Candidate) -> Candidate:
    """Switch a network off that nobody asked for: it would be trained once for each part held out."""
    record = candidate.offer.record
    field = record.options.model_fields.get("network")
    named = any(text.partition("=")[0].strip() == "network" for text in candidate.parameters)
    if candidate.offer.distribution != "mpikit" or named or field is None:
        return candidate
    if "off" not in get_args(field.annotation):
        return candidate
    return replace(candidate, parameters=(*candidate.parameters, "network=off"))


def _default_names() -> list[str]:
    offers = registry().denoisers
    found = [
        name
        for name in sorted(offers)
        if len(offers[name]) == 1
        and offers[name][0].distribution == "mpikit"
        and not (offers[name][0].record.learned or offers[name][0].record.pools)
    ]
    if not found:
        raise UsageError(
            "none of mpikit's own methods can be used", hint="see mpikit plugins list, or say candidates=NAME"
        )
    return found
