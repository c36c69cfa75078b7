"""What is to be denoised and how, checked as far as it can be before the work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pydantic import BaseModel

from mpikit.compare.auto_options import auto_candidates
from mpikit.compare.choice import AUTO
from mpikit.compare.methods import Candidate
from mpikit.compare.unchanged import find_method
from mpikit.denoise import refuse_if_missing
from mpikit.errors import InputError, UsageError
from mpikit.files import check_output
from mpikit.models import Card, check_model_fits, has_seen, load_model
from mpikit.options import parse_options
from mpikit.plugins import Offer
from mpikit.records import Denoiser
from mpikit.scan import Repeats, Scan
from mpikit.scan_set import (
    file_history,
    read_repeated,
    refuse_calibration,
    was_denoised,
    with_empty_measurements,
)


@dataclass(frozen=True)
class Request:
    """What is asked for, of one file or of several alike.

    Parameters
    ----------
    method, parameters, model, repeats, background_files, seed, device, overwrite
        As for `mpikit.denoise_file.denoise_file`.
    """

    method: str = ""
    parameters: tuple[str, ...] = ()
    model: Path | None = None
    repeats: Repeats | None = None
    background_files: tuple[Path, ...] = ()
    seed: int = 0
    device: str = "auto"
    overwrite: bool = False

    def inputs(self, source: Path) -> tuple[Path, ...]:
        """Files that are read: the source first."""
        return (source, *([] if self.model is None else [self.model]))


@dataclass(frozen=True)
class Wanted:
    """A method with its options, and its state if it is fitted already."""

    offer: Offer[Denoiser]
    options: BaseModel
    state: Mapping[str, NDArray[Any]] | None = None
    cleared_first: bool = False


@dataclass(frozen=True)
class Chosen:
    """The method that is asked for, with the card of its model; or the candidates of ``auto``."""

    wanted: Wanted | None
    candidates: tuple[Candidate, ...] = ()
    card: Card | None = None

    @property
    def name(self) -> str:
        """Of the method, or ``"auto"``."""
        return self.wanted.offer.record.name if self.wanted else AUTO

    @property
    def learned(self) -> bool:
        """Something computes on a device, where there is one."""
        offers = [self.wanted.offer] if self.wanted else [each.offer for each in self.candidates]
        return any(offer.record.learned for offer in offers)

    def asked(self, repeats: Repeats | None) -> dict[str, Any]:
        """Say what was asked for, as the history keeps it: the same again gives the same file."""
        asked: dict[str, Any] = {"method": self.name, "repeats": repeats}
        if self.wanted is not None:
            return asked | {"options": self.wanted.options.model_dump(mode="json")}
        tried = {
            each.offer.record.name: parse_options(each.offer.record, each.parameters).model_dump(mode="json")
            for each in self.candidates
        }
        return asked | {"candidates": tried}


@dataclass(frozen=True)
class Job:
    """A file with all that is needed to denoise it.

    Parameters
    ----------
    source, output : Path
    chosen : Chosen
    stored : Scan
        As it is in the file.
    scan : Scan
        As the method sees it: with the frames of empty measurements, if some are named.
    warnings : tuple of str
    no_score : str
        Why no score would be honest, in words; empty to find out.
    """

    source: Path
    output: Path
    chosen: Chosen
    stored: Scan
    scan: Scan
    warnings: tuple[str, ...] = ()
    no_score: str = ""


def choose_method(request: Request) -> Chosen:
    """Find the method, of a model with its card, or the candidates of ``auto``.

    Raises
    ------
    InputError, PluginError, UsageError
        When a name, an option or the model is wrong.
    """
    method, model = request.method, request.model
    if model is None:
        if method in ("", AUTO):
            return Chosen(None, tuple(auto_candidates(request.parameters)))
        offer = find_method(method)
        return Chosen(Wanted(offer, parse_options(offer.record, request.parameters)))
    card, state = load_model(model)
    if method == AUTO:
        raise UsageError(
            f"{model.name} is a model of {card.method!r}, so that there is nothing to choose",
            hint="leave --method out, or leave --model out",
        )
    offer = find_method(method or card.method)
    options = _model_options(model, card, offer, request.parameters)
    return Chosen(Wanted(offer, options, state, card.cleared_first), card=card)


def prepare(source: Path, output: Path | None, request: Request, *, keep_model: Path | None = None) -> Job:
    """Read and check all that a run needs; nothing is fitted or written.

    Parameters
    ----------
    source : Path
    output : Path or None
        None for `default_output`.
    request : Request
    keep_model : Path or None
        Where the fitted model will be kept.

    Raises
    ------
    InputError, PluginError, UsageError, mdf.MdfError
    """
    model = request.model
    if model is not None and keep_model is not None:
        raise UsageError(
            f"--save-model keeps what was fitted, and with --model {model.name} nothing is",
            hint="copy the model file, or leave one of the two out",
        )
    chosen = choose_method(request)
    wanted, card = chosen.wanted, chosen.card
    history = _check_source(source)
    output = output or default_output(source, chosen.name)
    inputs = (*request.inputs(source), *request.background_files)
    check_output(output, inputs=inputs, overwrite=request.overwrite)
    if keep_model is not None:
        _check_model_output(keep_model, output, inputs, overwrite=request.overwrite)
    stored = read_repeated(source, repeats=request.repeats)
    scan = with_empty_measurements(stored, request.background_files)
    warnings = []
    if was_denoised(history):
        warnings.append(
            f"{scan.name} was denoised before: its repeats are no longer independent, no figure holds"
        )
    if card is not None and model is not None:
        odd = check_model_fits(card, model, scan)
        warnings += [odd] if odd else []
    if wanted is not None:
        refuse_if_missing(scan, wanted.offer, wanted.options)
    no_score = ""
    if card is not None and wanted is not None:
        no_score = has_seen(card, source, scan, learned=wanted.offer.record.learned)
    return Job(source, output, chosen, stored, scan, tuple(warnings), no_score)


def default_output(source: Path, method: str) -> Path:
    """Name of the denoised file: ``STEM.METHOD.mdf`` beside the source."""
    return source.with_name(f"{source.stem}.{method}.mdf")


def _check_source(source: Path) -> list[dict[str, Any]]:
    """Refuse what cannot be denoised; return the history of the file."""
    if not source.name:
        raise UsageError("no file is named", hint="mpikit denoise scan.mdf")
    refuse_calibration(source)
    return file_history(source)


def _check_model_output(keep_model: Path, output: Path, inputs: tuple[Path, ...], *, overwrite: bool) -> None:
    if keep_model.resolve() == output.resolve():
        raise UsageError(
            f"the model and the denoised file cannot both be {output.name}",
            hint="give --save-model another name",
        )
    check_output(keep_model, inputs=inputs, overwrite=overwrite, option="--save-model")


def _model_options(model: Path, card: Card, offer: Offer[Denoiser], parameters: tuple[str, ...]) -> BaseModel:
    if parameters:
        raise InputError(
            f"the options of a fitted model are in {model.name}",
            hint="leave out --param, or leave out --model",
        )
    if card.method != offer.record.name:
        raise InputError(
            f"{model.name} is a model of {card.method!r}, not of {offer.record.name!r}",
            hint=f"say --method {card.method}, or leave --method out",
        )
    try:
        return offer.record.options.model_validate(dict(card.options))
    except ValueError as error:
        raise InputError(
            f"the options in the model file {model.name} are not those of {card.method}",
            hint="it was made by another version of the method: fit it again",
        ) from error
