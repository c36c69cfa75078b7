"""``--config plan.toml``: the options of a command from a file; what the command line says wins.

A plan is the command line written down: what it says for a command is put before the words that were typed,
without what these say too. So both are read by the same rules.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand

from mpikit.cli.completion import choices_of
from mpikit.errors import InputError

CONFIG = "config"
PLANS = "mpikit.plans"  # where a context keeps the files that were read
LARGEST = 100_000  # bytes of a plan: tomllib takes the longer the more names are joined by dots
PARAM = "param"
MAY_BE_FILES = {("simulate", "preset"), ("simulate", "phantom")}  # texts that are paths if they have a suffix
ALSO_BY_PARAM = {"reconstruct"}  # whose -p takes what has an option of its own
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}


class PlannedCommand(TyperCommand):
    """A command that takes ``--config``."""

    def __init__(self, *args: Any, params: list[Any] | None = None, **more: Any) -> None:
        super().__init__(*args, params=[*(params or []), _config_option()], **more)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of the command line, and those of the plan before them."""
        return super().parse_args(ctx, args if ctx.resilient_parsing else with_plan(self, ctx, args))

    def invoke(self, ctx: Any) -> Any:
        """Run the command, whose plan is an input; of a dry run say which outputs exist, no error then."""
        from mpikit.files import reading

        with reading(*ctx.meta.get(PLANS, ())):
            return self._invoke(ctx)

    def _invoke(self, ctx: Any) -> Any:
        if not ctx.params.get("dry_run"):
            return super().invoke(ctx)
        from mpikit.cli.console import say
        from mpikit.files import planning

        with planning() as taken:
            try:
                return super().invoke(ctx)
            finally:
                for path, option in dict.fromkeys(taken):
                    say(f"{path} exists already: --force replaces it, {option} names another")


@functools.cache
def _config_option() -> Any:
    app = typer.Typer()

    @app.command()
    def described(
        config: Annotated[
            Path | None,
            typer.Option(
                f"--{CONFIG}",
                metavar="PLAN",
                expose_value=False,
                show_default=False,
                help="TOML file with options of this command; what the command line says wins.",
            ),
        ] = None,
    ) -> None: ...

    return next(each for each in typer.main.get_command(app).params if each.name == CONFIG)


@dataclass(frozen=True)
class Entry:
    """What a plan may say for a command.

    Parameters
    ----------
    name : str
        As it is written in a plan: the long name of an option; of an argument that in the usage line.
    dest : str
        Parameter of the command's function.
    flag : str
        What says it on the command line; empty for an argument.
    opposite : str
        What says the contrary, for instance ``--no-fast-frame-axis``; empty if nothing does.
    kind : type
        Of one value.
    many : bool
        It takes several values.
    least, most : float or None
        Bounds of a number.
    """

    name: str
    dest: str
    flag: str
    opposite: str
    kind: Any
    many: bool
    least: float | None
    most: float | None


def entries(command: Any) -> dict[str, Entry]:
    """Return what a plan may say for a command, by name.

    >>> from mpikit.cli import app
    >>> commands = typer.main.get_command(app).commands
    >>> list(entries(commands["info"])), entries(commands["denoise"])["files"].many
    (['files', 'json'], True)
    """
    hints = get_type_hints(inspect.unwrap(command.callback))
    found = [_entry(each, hints[each.name]) for each in command.params if each.name in hints]
    return {each.name: each for each in found}


def _entry(param: Any, hint: Any) -> Entry:
    kind, many = _kind(hint)
    flag = next((each for each in param.opts if each.startswith("--")), "")
    if param.param_type_name == "argument":
        name, flag = (param.metavar or param.name).lower().rstrip(".") + ("s" if many else ""), ""
    else:
        name = flag.removeprefix("--")
    return Entry(
        name.replace("-", "_"),
        param.name,
        flag,
        next(iter(getattr(param, "secondary_opts", [])), ""),
        kind,
        many,
        param.min,
        param.max,
    )


def _kind(hint: Any) -> tuple[Any, bool]:
    """Return the type of one value, and whether there may be several."""
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(each for each in get_args(hint) if each is not types.NoneType)
    if get_origin(hint) is list:
        return get_args(hint)[0], True
    return hint, False


def with_plan(command: Any, ctx: Any, args: list[str]) -> list[str]:
    """Return the words of a command line together with those of the plan that it names.

    Parameters
    ----------
    command : Command
    ctx : Context
    args : list of str
        What was typed.

    Raises
    ------
    InputError
        When the plan cannot be read, has no table for the command, or says what the command does not take.
    """
    parsed, *_ = command.make_parser(ctx).parse_args(args=list(args))
    typed = {name: value for name, value in parsed.items() if value not in (None, (), [])}
    if CONFIG not in typed or "help" in typed:
        return args
    path = Path(typed[CONFIG])
    known = [*getattr(getattr(ctx.parent, "command", None), "commands", {command.name: command})]
    table = _table(path, command.name, known)
    ctx.meta[PLANS] = (path,)
    said = _said(table, entries(command), f"{path.name}: [{command.name}]")
    words: list[str] = []
    arguments: list[str] = []
    for entry, value in said:
        if entry.dest == PARAM:
            words += _param_words(_Value(entry, path, command.name), value, typed)
        elif entry.dest not in typed and not _said_by_param(entry, typed, command.name):
            one = _Value(entry, path, command.name)
            (words if entry.flag else arguments).extend(one.words(value))
    divided = arguments if "--" in args or not arguments else ["--", *arguments]
    return [*words, *args, *divided]


def _table(path: Path, verb: str, verbs: Sequence[str]) -> dict[str, Any]:
    import tomllib

    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise InputError(f"the plan {path} has more than {LARGEST} bytes, expected a few hundred")
        plan = tomllib.loads(text.decode("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"the plan {path} is no TOML: {_lowered(str(error))}") from error
    except RecursionError as error:
        raise InputError(f"the plan {path} has tables within tables without end") from error
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise InputError(f"the plan {path} cannot be read: {_lowered(what)}") from error
    for name, value in plan.items():
        if name not in verbs:
            raise InputError(
                f"{path.name}: no command is called {name!r}",
                hint=_near(name, verbs, f"a plan has a table for each command, as [{verb}]"),
            )
        if not isinstance(value, dict):
            raise InputError(f"{path.name}: {name!r} is a value, expected a table", hint=f"write [{name}]")
    if verb not in plan:
        raise InputError(
            f"{path.name} has no table [{verb}]",
            hint=f"it has {', '.join(f'[{name}]' for name in plan)}"
            if plan
            else f"it is empty: write [{verb}], and below it a line for each option, name = value; "
            f"mpikit {verb} --help shows them",
        )
    table: dict[str, Any] = plan[verb]
    return table


def _said(table: Mapping[str, Any], known: Mapping[str, Entry], where: str) -> list[tuple[Entry, Any]]:
    said: dict[str, tuple[Entry, Any]] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in known and f"{name}s" in known and not known[f"{name}s"].flag:
            name += "s"  # one of what may be several
        if name not in known:
            listed = f"there are {', '.join(known)}"
            raise InputError(f"{where} has no option {key!r}", hint=_near(name, list(known), listed))
        if name in said:
            raise InputError(f"{where} says {name!r} twice", hint="write it once, with dashes or underscores")
        if isinstance(value, dict) and name != PARAM:
            raise InputError(f"{where} {key} is a table, expected {_expected(known[name])}")
        said[name] = known[name], value
    return list(said.values())


@dataclass(frozen=True)
class _Value:
    """The reader of one entry of a plan."""

    entry: Entry
    path: Path
    verb: str

    def words(self, value: Any) -> list[str]:
        """Return the words of the command line that say the same."""
        entry = self.entry
        if entry.kind is bool:
            self._check(value, isinstance(value, bool))
            word = entry.flag if value else entry.opposite
            return [word] if word else []
        if isinstance(value, list):
            self._check(value, entry.many)
        texts = [self._text(each) for each in (value if isinstance(value, list) else [value])]
        return [f"{entry.flag}={text}" if entry.flag else text for text in texts]

    def _text(self, value: Any) -> str:
        kind, is_number = self.entry.kind, isinstance(value, (int, float)) and not isinstance(value, bool)
        choices = choices_of(kind)
        if choices:
            self._check(value, value in choices)
        elif kind is int:
            self._check(value, is_number and isinstance(value, int))
        elif kind is float:
            self._check(value, is_number)
        elif kind is Path:
            self._check(value, isinstance(value, str))
            return str(self.path.parent / value)
        else:  # a number is as good as its text: lambda = 0.8
            self._check(value, is_number or isinstance(value, str))
        if is_number and not choices:
            low, high = self.entry.least, self.entry.most
            self._check(value, (low is None or value >= low) and (high is None or value <= high))
        is_file = (self.verb, self.entry.dest) in MAY_BE_FILES and Path(str(value)).suffix
        return str(self.path.parent / str(value)) if is_file else str(value)

    def _check(self, value: Any, good: bool) -> None:
        if good:
            return
        choices, hint = choices_of(self.entry.kind), ""
        if choices and isinstance(value, str):
            hint = _near(value, choices, "")
        raise InputError(
            f"{self.path.name}: [{self.verb}] {self.entry.name} is {_shown(value)}, "
            f"expected {_expected(self.entry)}",
            hint=hint,
        )


def _expected(entry: Entry) -> str:
    if entry.dest == PARAM:
        return "a table of options, or a list of name=value"
    choices = choices_of(entry.kind)
    what = f"one of {', '.join(choices)}" if choices else _WORDS.get(entry.kind, "text")
    if entry.least is not None:
        what += f", at least {entry.least}"
    if entry.most is not None:
        what += f", at most {entry.most}"
    return f"{what}, or a list of such" if entry.many else what


def _shown(value: Any) -> str:
    return _as_text(value, quoted=True) if isinstance(value, (bool, str, int, float, list)) else str(value)


def _param_words(of: _Value, value: Any, typed: Mapping[str, Any]) -> list[str]:
    """Return the ``-p`` of a plan, without those that the command line says."""
    entry, verb = of.entry, of.verb
    if isinstance(value, dict):
        pairs = _pairs(value, "", brackets=verb == "simulate")
    elif isinstance(value, list) and all(isinstance(each, str) for each in value):
        pairs = value
    else:
        raise InputError(
            f"{of.path.name}: [{verb}] param is {_shown(value)}, expected {_expected(entry)}",
            hint=f"write [{verb}.param], and below it name = value",
        )
    by_name = {_plain(pair) for pair in typed.get(PARAM, ())}
    if verb in ALSO_BY_PARAM:
        by_name |= {name.rstrip("_") for name in typed}
    return [f"{entry.flag}={pair}" for pair in pairs if _plain(pair) not in by_name]


def _said_by_param(entry: Entry, typed: Mapping[str, Any], verb: str) -> bool:
    return verb in ALSO_BY_PARAM and entry.name in {_plain(pair) for pair in typed.get(PARAM, ())}


def _plain(pair: str) -> str:
    """Return the name that ``name=value`` sets, however it is written."""
    name = pair.partition("=")[0].strip().replace("-", "_").rstrip("_")
    return "fov" if name == "field_of_view" else name


def _pairs(table: Mapping[str, Any], prefix: str, *, brackets: bool) -> list[str]:
    """Return ``name=value`` for each value of a table, ``outer.name=value`` for those inside of others."""
    pairs = []
    for name, value in table.items():
        if isinstance(value, dict):
            pairs += _pairs(value, f"{prefix}{name}.", brackets=brackets)
        else:
            pairs.append(f"{prefix}{name}={_as_text(value, brackets=brackets)}")
    return pairs


def _as_text(value: Any, *, brackets: bool = False, quoted: bool = False) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        inside = [_as_text(each, brackets=brackets, quoted=quoted or brackets) for each in value]
        return f"[{', '.join(inside)}]" if brackets or quoted else ",".join(inside)
    return repr(value) if quoted and isinstance(value, str) else str(value)


def _near(word: str, known: Sequence[str], otherwise: str) -> str:
    from mpikit.options import did_you_mean

    return f"{did_you_mean(word, known)} {otherwise}".strip()


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
