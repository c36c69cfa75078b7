"""``mpikit plugins``: what is installed, what a method takes, whether it keeps the contract; a new one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mpikit.cli.completion import plugin_names
from mpikit.errors import PluginError, UsageError

if TYPE_CHECKING:
    from mpikit.plugins import Failure, Offer
    from mpikit.records import Denoiser, NoiseModel

    AnyOffer = Offer[Denoiser] | Offer[NoiseModel]

plugins_app = typer.Typer(
    help="List, show, check and begin denoisers and noise models.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[
    str,
    typer.Argument(help="A denoiser or a noise model.", show_default=False, autocompletion=plugin_names),
]
Kind = Annotated[
    Literal["denoiser", "noise"] | None,
    typer.Option("--kind", help="Which of the two, where a name is both.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

_KINDS = {None: "denoiser or noise model", "denoiser": "denoiser", "noise": "noise model"}


@plugins_app.command("list")
def list_plugins(json: Json = False) -> None:
    """List every denoiser and noise model, and the plugins that failed.

    mpikit plugins list
    """
    from mpikit.cli.console import say, show, show_json, show_table
    from mpikit.plugins import labelled, registry

    found = registry()
    if json:
        show_json(
            {
                "denoisers": [_listed(offer) for offer in _all(found.denoisers)],
                "noise_models": [_listed(offer) for offer in _all(found.noise_models)],
                "failures": [_failed(failure) for failure in found.failures],
            }
        )
    else:
        show_table(("method", "from", "summary"), [_row(offer) for offer in _all(found.denoisers)])
        show("")
        show_table(("noise", "from", "summary"), [_row(offer) for offer in _all(found.noise_models)])
    for failure in found.failures:
        say(f"skipped {failure.plugin} ({labelled(failure.distribution)}): {failure.text}")


@plugins_app.command("show")
def show_plugin(name: Name, kind: Kind = None, json: Json = False) -> None:
    """Show a method: what it promises, its options, its references.

    mpikit plugins show unet-gd
    """
    from mpikit.cli.console import show, show_json

    offers = _named(name, kind)
    if json:
        show_json({"plugins": [_described(offer) for offer in offers]})
        return
    for index, offer in enumerate(offers):
        if index:
            show("")
        _show_offer(offer)


@plugins_app.command("check")
def check_plugin(
    name: Name,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", help="Option of the method, name=value.")
    ] = None,
    kind: Kind = None,
    extremes: Annotated[
        bool,
        typer.Option(
            "--extremes",
            help="Also try zeros, NaN, one frame, one sample and 1e30 V: some thirty scans; a learned method "
            "is trained on each.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Check that a method keeps the contract of its record; a learned method is trained for it.

    mpikit plugins check harmonic

    mpikit plugins check harmonic --extremes
    """
    from mpikit.cli.console import say, show_json
    from mpikit.options import parse_options
    from mpikit.records import Denoiser
    from mpikit.testing import check_denoiser, check_extremes, check_noise_model

    offers = _named(name, kind)
    if param and len(offers) > 1:
        raise UsageError(
            f"{name!r} is a denoiser and a noise model: whose option is {param[0]!r}?",
            hint="add --kind denoiser or --kind noise",
        )
    for offer in offers:
        record = offer.record
        options = parse_options(record, param or [])
        try:
            if isinstance(record, Denoiser):
                check_denoiser(record, options)
            else:
                check_noise_model(record, options)
            if extremes:
                check_extremes(record, options)
        except AssertionError as error:
            raise PluginError(f"{_kind(record)} {name!r} breaks the contract: {error}") from error
        if not json:
            say(f"{_kind(record)} {name!r} keeps the contract")
    if json:
        kinds = [_kind(offer.record) for offer in offers]
        show_json({"plugins": [{"name": name, "kind": each, "keeps_contract": True} for each in kinds]})


@plugins_app.command("new")
def new_plugin_project(
    name: Annotated[
        str,
        typer.Argument(help="Of the method: lower-case words joined by hyphens.", show_default=False),
    ],
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder to write, new or empty.", show_default=False)
    ],
    kind: Annotated[
        Literal["denoiser", "noise"], typer.Option("--kind", help="A denoiser or a noise model.")
    ] = "denoiser",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and stop.")] = False,
    json: Json = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Write into a folder that is not empty: replace files of the same names."
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")] = False,
) -> None:
    """Write the project of a plugin that works: package, entry point, README and tests that pass.

    mpikit plugins new low-pass mpikit-low-pass

    mpikit plugins new spikes mpikit-spikes --kind noise
    """
    import shlex

    from mpikit.cli.console import say, show_json
    from mpikit.files import planned_outputs
    from mpikit.scaffold import check_plugin_project, new_plugin

    make = check_plugin_project if dry_run else new_plugin
    project = make(name, folder, kind=kind, overwrite=force)
    written = list(project.contents())
    told = {
        "folder": str(folder),
        "name": project.name,
        "kind": project.kind,
        "distribution": project.distribution,
        "package": project.package,
        "files": written,
    }
    if dry_run:
        show_json(told | {"outputs": planned_outputs(folder / each for each in written)})
    elif json:
        show_json(told)
    if quiet or json or dry_run:
        return
    say(f"wrote {project.distribution} into {folder}: {', '.join(written)}")
    say("to install it and run its tests:")
    say(f"  pip install -e {shlex.quote(f'{folder}[test]')} && pytest {shlex.quote(str(folder))}")


def _named(name: str, kind: str | None) -> list[AnyOffer]:
    """Offers of this name: a denoiser, a noise model, or both if no kind is asked for."""
    from mpikit.plugins import registry

    found = registry()
    offers: list[AnyOffer] = []
    if name in found.denoisers and kind != "noise":
        offers.append(found.denoiser(name))
    if name in found.noise_models and kind != "denoiser":
        offers.append(found.noise_model(name))
    if not offers:
        from mpikit.options import did_you_mean

        known = sorted({*found.denoisers, *found.noise_models})
        raise PluginError(
            f"no {_KINDS[kind]} is called {name!r}",
            hint=f"{did_you_mean(name, known)} there are {', '.join(known)}".strip(),
        )
    return offers


def _all(offers: dict[str, list[Any]]) -> Iterable[AnyOffer]:
    return [offer for name in sorted(offers) for offer in offers[name]]


def _row(offer: AnyOffer) -> tuple[str, str, str]:
    return (offer.record.name, offer.distribution, offer.record.summary)


def _kind(record: Denoiser | NoiseModel) -> str:
    from mpikit.records import Denoiser

    return "denoiser" if isinstance(record, Denoiser) else "noise model"


def _listed(offer: AnyOffer) -> dict[str, str]:
    return {
        "name": offer.record.name,
        "summary": offer.record.summary,
        "plugin": offer.plugin,
        "distribution": offer.distribution,
    }


def _failed(failure: Failure) -> dict[str, str]:
    return {
        "plugin": failure.plugin,
        "distribution": failure.distribution,
        "stage": failure.stage,
        "error": failure.text,
    }


def _described(offer: AnyOffer) -> dict[str, Any]:
    from mpikit.options import expected, option_fields

    record = offer.record
    return {
        **_listed(offer),
        "kind": _kind(record),
        "promises": _promises(record),
        "options": [
            {
                "name": name,
                "type": expected(field),
                "default": _default(field),
                "help": field.description or "",
            }
            for name, field in option_fields(record.options).items()
        ],
        "cite": list(record.cite),
    }


def _default(field: Any) -> str:
    from mpikit.options import as_text

    return "required" if field.is_required() else as_text(field.get_default(call_default_factory=True))


def _promises(record: Denoiser | NoiseModel) -> list[str]:
    from mpikit.records import Denoiser

    if not isinstance(record, Denoiser):
        return ["can be fitted to the empty frames of a scan"] if record.fit is not None else []
    removes = record.removes_background
    said = {
        "learns from the noisy data": record.learned,
        "uses the repeats of a period to denoise it": record.pools,
        "scales with its input: f(a y) = a f(y)": record.homogeneous,
        "removes the background": removes is True,
        "removes the background, depending on scan and options": callable(removes),
    }
    return [words for words, holds in said.items() if holds]


def _show_offer(offer: AnyOffer) -> None:
    from mpikit.cli.console import show, show_table
    from mpikit.plugins import labelled

    told = _described(offer)
    show(f"{told['name']}: {told['summary']}")
    show(f"{told['kind']} of {labelled(offer.distribution)}, plugin {offer.plugin}")
    for promise in told["promises"]:
        show(f"- {promise}")
    show("")
    if told["options"]:
        rows = [(each["name"], each["type"], each["default"], each["help"]) for each in told["options"]]
        show_table(("option", "type", "default", "help"), rows)
    else:
        show("no options")
    for doi in told["cite"]:
        show(f"cite: https://doi.org/{doi}")
