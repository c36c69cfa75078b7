"""A report of files: read, compare, draw, and write one page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mdf
from mpikit.errors import InputError, MpikitError, NumericalError, UsageError
from mpikit.events import Event, Finding, Step, Warned, silent
from mpikit.files import check_output, named_once, write_atomically
from mpikit.report.blocks import Block, Facts, Part, Picture, Section, Words
from mpikit.report.gathering import MODEL, Item, gather, refuse_if_all_failed
from mpikit.report.origin import citation_section, history_sections, pools
from mpikit.report.sources import Hashes, denoised_from
from mpikit.scan import Scan

HIDDEN = "not shown (--with-subject shows it)"


@dataclass(frozen=True)
class Report:
    """A report that was written, or would be.

    Parameters
    ----------
    output : Path
    items : tuple of Item
        The files, with what they are shown beside, or with their ``error``: of several files those that
        cannot be read have a section that says why.
    parts : tuple of Part
        What is on the page; empty when nothing was written.
    """

    output: Path
    items: tuple[Item, ...]
    parts: tuple[Part, ...] = ()


def write_report(
    files: Sequence[Path],
    output: Path,
    *,
    before: Sequence[Path] = (),
    with_subject: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    tell: Callable[[Event], None] = silent,
) -> Report:
    """Write one HTML file that shows what files hold, and what denoising changed.

    The page needs no network, and nothing beside it. The same files give the same page, byte for byte.

    Parameters
    ----------
    files : sequence of Path
        MDF files: measurements, denoised ones, calibrations, reconstructions; also models
        (``.safetensors``) and the logs of trainings (``.jsonl``).
    output : Path
    before : sequence of Path
        A measurement, a reconstruction or both that show the state before; found by their hash in the
        history, if not given (see `mpikit.report.gathering.gather`).
    with_subject : bool
        Show the name of the subject.
    overwrite : bool
        Replace a file of this name.
    dry_run : bool
        Only check, and say which files would be shown beside each other.
    tell : callable
        Takes events.

    Returns
    -------
    Report

    Raises
    ------
    UsageError, InputError, mdf.MdfError
        When the arguments are wrong, or no file can be shown. Nothing is written then.
    """
    items = gather(files, before)
    inputs = {path.resolve(): path for item in items for path in (item.path, *item.before.values())}
    check_output(output, inputs=tuple(inputs.values()), overwrite=overwrite)
    if dry_run:
        return Report(output, tuple(items))
    parts = []
    for index, item in enumerate(items):
        part, error = _part_or_error(item, with_subject=with_subject, tell=tell)
        items[index] = replace(item, error=error)
        parts.append(part)
        tell(Step(index + 1, len(items), {}))
    refuse_if_all_failed(items)
    content = _content(items, parts)
    write_atomically(output, content.encode("utf-8", "replace"), overwrite=overwrite)
    return Report(output, tuple(items), tuple(parts))


def _content(items: Sequence[Item], parts: Sequence[Part]) -> str:
    from mpikit.report.page import page

    cards = [_card(item) for item in items if "model" in item.kinds and item.error is None]
    histories = [*(item.history for item in items), *([card.history] for card in cards)]
    return page(parts, citation_section(histories, [doi for card in cards for doi in card.cite]))


def _part_or_error(
    item: Item, *, with_subject: bool, tell: Callable[[Event], None]
) -> tuple[Part, MpikitError | mdf.MdfError | None]:
    """Return the part of a file, one that says what is wrong with it if it cannot be shown."""
    error = item.error
    if error is None:
        try:
            return _part(item, with_subject=with_subject, tell=tell), None
        except (InputError, NumericalError, UsageError, mdf.MdfError) as found:
            error = found
    said = named_once(item.path, str(error)).replace(str(item.path), item.path.name)  # without its folder
    words = [Words(f"The file is not shown. {said}"), *([Words(f"Hint: {error.hint}")] if error.hint else [])]
    return Part(item.path.name, "could not be shown", [Section("What went wrong", words)]), error


def _part(item: Item, *, with_subject: bool, tell: Callable[[Event], None]) -> Part:
    if "training" in item.kinds:
        return Part(item.path.name, "log of a training", [_training(item.path)])
    if "model" in item.kinds:
        return _model(item)
    about = " and ".join(item.kinds) or "an MDF file without data"
    if denoised_from(item.history) and "measurement" in item.kinds:
        about = f"denoised {about}"
    sections = [Section("What the file is", [Facts(_facts(item.path, with_subject=with_subject))])]
    if "measurement" in item.kinds:
        sections += [*_measurement(item, tell), *_trainings(item)]
    if "calibration" in item.kinds:
        from mpikit.report.matrices import matrix_sections

        sections += matrix_sections(item.path)
    if "reconstruction" in item.kinds:
        sections += _images(item, tell)
    if not item.kinds:
        words = "The file has neither a measurement nor images: there is nothing to draw."
        sections.append(Section("Data", [Words(words)]))
    return Part(item.path.name, about, [*sections, *history_sections(item.history)])


def _facts(path: Path, *, with_subject: bool) -> list[tuple[str, str]]:
    """Return what `mpikit info` says, without its lines on the history, which has a section of its own."""
    from mpikit.file_facts import describe, in_words, printable

    facts = describe(path)
    if not with_subject and facts["subject"]:
        facts["subject"] = HIDDEN
    return [(label, printable(text)) for label, text in in_words(facts) if label != "history"]


def _measurement(item: Item, tell: Callable[[Event], None]) -> list[Section]:
    from mpikit.report.signals import signal_sections

    try:
        scan = _read(item.path)
    except InputError as error:  # background frames alone
        return [
            Section(
                "Signals",
                [Words(f"There is no signal to draw: {error}.".replace(str(item.path), "the file"))],
            )
        ]
    known = item.before.get("measurement")
    if known is None:
        wanted = ", ".join(name for name in denoised_from(item.history) if not name.endswith(MODEL))
        sections = signal_sections(scan)
        if wanted:
            tell(
                Warned(
                    f"{wanted}, which {item.path.name} was denoised from, is not beside it: --before names it"
                )
            )
            words = Words(f"The file was denoised; its source ({wanted}) was not found beside it.")
            sections = [Section("Before denoising", [words]), *sections]
        return sections
    before = _read(known)
    _check_pair(before, scan)
    tell(Finding("before", str(known), f"{item.path.name} is shown beside {known.name}"))
    shown = Facts([("before", known.name), ("after", item.path.name)])
    first, *rest = signal_sections(scan, before, pooled=pools(item.history))
    return [Section(first.title, [shown, *first.blocks]), *rest]


def _read(path: Path) -> Scan:
    from mpikit.scan_file import read_scan

    return read_scan(path)


def _check_pair(before: Scan, after: Scan) -> None:
    from mpikit.scan_set import check_alike

    if before.signal.shape != after.signal.shape:
        shapes = [" x ".join(map(str, each.signal.shape)) for each in (before, after)]
        raise InputError(
            f"{before.name} has {shapes[0]} foreground frames x periods x channels x samples, "
            f"{after.name} has {shapes[1]}; expected the measurement that was denoised",
            hint="name the source of the denoised file with --before",
        )
    check_alike([before, after])


def _images(item: Item, tell: Callable[[Event], None]) -> list[Section]:
    from mpikit.report.images import image_sections, lambda_section, read_pictured

    after = read_pictured(item.path)
    known = item.before.get("reconstruction")
    if known is None:
        sections = image_sections(after)
    else:
        tell(Finding("before", str(known), f"{item.path.name} is shown beside {known.name}"))
        first, *rest = image_sections(after, read_pictured(known))
        shown = Facts([("before", known.name), ("after", item.path.name)])
        sections = [Section(first.title, [shown, *first.blocks]), *rest]
    chosen = lambda_section(item.history)
    return sections if chosen is None else [*sections, chosen]


def training_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of the log of a training.

    Raises
    ------
    InputError
        When the file is missing, or no log.
    """
    from mpikit.training_log import TrainingLog

    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    return TrainingLog(path, path.with_suffix(".csv"), resume=True).rows


def _training(path: Path) -> Section:
    from mpikit.figures_report import draw_training

    rows = training_rows(path)
    if not rows:
        return Section("Training", [Words("The log has no row: there is nothing to draw.")])
    last = rows[-1]
    facts = [("steps", f"{last['step']} of {shown(last.get('total'))}"), ("time", f"{last['seconds']:.4g} s")]
    blocks: list[Block] = [Facts(facts), Picture("Course of the training.", draw_training(rows, ""))]
    return Section("Training", blocks)


def shown(value: Any) -> str:
    """Return a value of a log as text."""
    return "?" if value is None else str(value)


def _trainings(item: Item) -> list[Section]:
    """Return the course of the training of the model that a file was denoised with, if both lie beside it."""
    from mpikit.training_outputs import Outputs

    found = []
    hashes = Hashes()
    for name, digest in denoised_from(item.history).items():
        model = item.path.parent / Path(name).name
        if not name.endswith(MODEL) or not model.is_file() or hashes(model) != digest:
            continue
        log = Outputs.beside(model).lines
        if log.is_file():
            found.append(_training(log))
    return found


def _card(item: Item) -> Any:
    from mpikit.models import load_model

    return load_model(item.path)[0]


def _model(item: Item) -> Part:
    from mpikit.training_outputs import Outputs

    card = _card(item)
    facts = [("method", card.method), ("distribution", card.distribution), *_fitted_to(card.signal)]
    sections = [Section("What the file is", [Facts(facts)])]
    log = Outputs.beside(item.path).lines
    if log.is_file():
        sections.append(_training(log))
    history: Mapping[str, Any] = card.history
    return Part(item.path.name, "model", [*sections, *history_sections([history] if history else [])])


def _fitted_to(signal: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(f"fitted to {name.replace('_', ' ')}", shown(value)) for name, value in signal.items()]
