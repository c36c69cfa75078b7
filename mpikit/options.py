"""Options of methods as text: what ``-p name=value`` says, and how an options class reads in words.

The options class of a method (a frozen pydantic model) is the one place for name, type, default, bounds and
help of an option; everything here is read from it.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from mpikit.errors import UsageError

if TYPE_CHECKING:
    from mpikit.records import Denoiser, NoiseModel

_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    types.NoneType: "none",
}
_SIZE = re.compile(r"[\d.]+(x[\d.]+)+", re.IGNORECASE)  # 19x19x9, as a size is written elsewhere
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"did you mean 'x'?"`` for the nearest known word, or an empty text."""
    nearest = get_close_matches(word, list(known), n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else ""


def option_fields(options: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of an options class by the name that a user writes."""
    return {field.alias or name: field for name, field in options.model_fields.items()}


def expected(field: FieldInfo) -> str:
    """Say in words what an option takes: its type and its bounds.

    Examples
    --------
    >>> from pydantic import Field
    >>> class Options(BaseModel):
    ...     epochs: int = Field(10, ge=1)
    ...     level: float | None = None
    >>> [expected(field) for field in Options.model_fields.values()]
    ['a whole number, at least 1', 'a number or none']
    """
    bounds = [
        f"{words} {getattr(limit, bound)}"
        for limit in field.metadata
        for bound, words in _BOUNDS.items()
        if getattr(limit, bound, None) is not None
    ]
    return ", ".join([_in_words(field.annotation), *bounds])


def _in_words(annotation: Any) -> str:
    alternatives = _alternatives(annotation)
    if len(alternatives) > 1:
        return " or ".join(_in_words(each) for each in alternatives)
    choices = _choices(annotation)
    if choices:
        return "one of " + ", ".join(choices)
    if get_origin(annotation) in (tuple, list):
        return "values with commas between them"
    return _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _choices(annotation: Any) -> dict[str, Any]:
    if get_origin(annotation) is Literal:
        return {as_text(value): value for value in get_args(annotation)}
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return {as_text(value): value for value in annotation}
    return {}


def parse_options(record: Denoiser | NoiseModel, pairs: Sequence[str]) -> BaseModel:
    """Make the options of a method from ``name=value`` texts.

    Parameters
    ----------
    record : Denoiser or NoiseModel
    pairs : sequence of str
        ``"none"`` stands for None where the option allows it; values of a tuple have commas between them.

    Returns
    -------
    pydantic.BaseModel
        An instance of ``record.options``; what is not given has its default.

    Raises
    ------
    UsageError
        For a text without ``=``, an unknown or repeated name, a missing or forbidden value.
    """
    values = read_pairs(record.name, record.options, pairs)
    fields = option_fields(record.options)
    try:
        return record.options.model_validate(values, strict=False)
    except ValidationError as error:
        raise _in_our_words(record, fields, error) from None


def read_pairs(owner: str, options: type[BaseModel], pairs: Sequence[str]) -> dict[str, Any]:
    """Read ``name=value`` texts for the options of something, unchecked.

    Parameters
    ----------
    owner : str
        Whose options they are, for messages.
    options : type
    pairs : sequence of str

    Returns
    -------
    dict
        Values by the name of the option, ready for the options class.

    Raises
    ------
    UsageError
        For a text without ``=``, an unknown or repeated name.
    """
    fields = option_fields(options)
    values: dict[str, Any] = {}
    for pair in pairs:
        said, equals, text = pair.partition("=")
        name = _field_name(said.strip(), fields)
        if not equals:
            what = "has no value" if name in fields else "is no option"
            raise UsageError(
                f"{owner}: {pair!r} {what}, expected name=value",
                hint=expected(fields[name]) if name in fields else _listing(owner, fields, name),
            )
        if name not in fields:
            raise UsageError(f"{owner} has no option {name!r}", hint=_listing(owner, fields, name))
        if name in values:
            raise UsageError(f"{owner}: the option {name!r} is given twice")
        values[name] = _read(text.strip(), fields[name].annotation)
    return values


def _field_name(said: str, fields: Mapping[str, FieldInfo]) -> str:
    """Name of an option, which may be written with hyphens, and without the mark of a Python keyword."""
    for name in (said, said.replace("-", "_"), f"{said}_"):
        if name in fields:
            return name
    return said


def _read(text: str, annotation: Any) -> Any:
    """Help pydantic where a text alone does not say the type."""
    for kind in _alternatives(annotation):
        choices = _choices(kind)
        if kind is types.NoneType and text == "none":
            return None
        if text in choices:
            return choices[text]
        if get_origin(kind) in (tuple, list):
            pieces = text.lower().split("x") if _SIZE.fullmatch(text) else text.split(",")
            return [_read(piece.strip(), get_args(kind)[0]) for piece in pieces if piece.strip()]
    return text


def _listing(owner: str, fields: Mapping[str, FieldInfo], name: str) -> str:
    known = [each.rstrip("_") for each in fields]
    if not known:
        return f"{owner} has no options"
    return f"{did_you_mean(name, known)} its options are {', '.join(known)}".strip()


def _in_our_words(
    record: Denoiser | NoiseModel, fields: Mapping[str, FieldInfo], error: ValidationError
) -> UsageError:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if name not in fields:  # a rule over several options
        return UsageError(f"{record.name}: {first['msg'].removeprefix('Value error, ')}")
    field = fields[name]
    if first["type"] == "missing":
        return UsageError(
            f"{record.name} needs the option {name!r}: {expected(field)}", hint=field.description or ""
        )
    said = as_text(first["input"])
    wanted = expected(field)
    if first["type"] in ("value_error", "assertion_error"):
        wanted += f": {first['msg'].removeprefix('Value error, ').removeprefix('Assertion failed, ')}"
    return UsageError(
        f"{record.name}: option {name!r} is {said!r}, expected {wanted}", hint=field.description or ""
    )


def options_as_text(options: BaseModel) -> list[str]:
    """Write options as ``name=value`` texts that `parse_options` reads back to the same options."""
    return [
        f"{shown}={as_text(getattr(options, name))}"
        for name, shown in zip(type(options).model_fields, option_fields(type(options)), strict=True)
    ]


def as_text(value: Any) -> str:
    """Write the value of one option as ``-p name=value`` takes it."""
    if isinstance(value, Enum):
        return as_text(value.value)
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return ",".join(as_text(each) for each in value)
    return str(value)
