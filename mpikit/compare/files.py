"""Compare methods on an MDF file: which, with which options, and where the result goes."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.compare.choice import AUTO
from mpikit.compare.methods import Candidate, compare_scan, how_judged
from mpikit.compare.reference import read_reference
from mpikit.compare.result import Comparison, Interrupted, NotWrittenError, signal_table, table
from mpikit.compare.unchanged import UNCHANGED
from mpikit.csv_cells import plain_cell, plain_row
from mpikit.device import choose_device
from mpikit.errors import InputError, UsageError
from mpikit.events import Event, Warned, silent
from mpikit.files import check_output, planned_outputs, write_atomically
from mpikit.options import did_you_mean, parse_options
from mpikit.plugins import registry
from mpikit.scan import Repeats, Scan
from mpikit.scan_set import (
    describe_repeats,
    file_history,
    read_repeated,
    refuse_calibration,
    was_denoised,
    with_empty_measurements,
)
from mpikit.signal import stack_repeats

WRITTEN = (".csv", ".png")
OF_SIGNALS = ".signals.csv"


@dataclass(frozen=True)
class _Job:
    """What is to be done, checked as far as it can be before the work."""

    scan: Scan
    chosen: list[Candidate]
    clean: NDArray[np.float32] | None


def compare_file(  # noqa: PLR0913 - as many arguments as the command has options
    source: Path,
    *,
    methods: Sequence[str] = (),
    parameters: Sequence[str] = (),
    reference: Path | None = None,
    repeats: Repeats | None = None,
    background_files: Sequence[Path] = (),
    outputs: Sequence[Path] = (),
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
    tell: Callable[[Event], None] = silent,
) -> Comparison:
    """Compare methods on an MDF file.

    Parameters
    ----------
    source : Path
    methods : sequence of str
        Names; none for all that are installed.
    parameters : sequence of str
        Options, ``METHOD.name=value``.
    reference : Path or None
        Clean signals of the same frames; only evaluated, never learnt from.
    repeats : {"frames", "periods", "both", "none"} or None
        None finds out.
    background_files : sequence of Path
        Empty measurements, whose frames the methods see instead of the background frames of the source: one,
        or two for before and after.
    outputs : sequence of Path
        Files to write: tables (.csv), with a reference also of the figures of each signal (.signals.csv), and
        pictures (.png). What is finished when the comparison is interrupted is written too.
    seed : int
    device : {"auto", "cpu", "cuda"}
    overwrite : bool
        Replace files that exist.
    tell : callable
        Takes events.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError, PluginError, UsageError, mdf.MdfError
        When the file, the reference, a name or an option is wrong. What goes wrong with one method is its
        row.
    NotWrittenError
        An InputError with the whole comparison, when a file cannot be written in the end; the others are.
    Interrupted
        A KeyboardInterrupt with the methods that were finished.
    """
    job = _prepare(
        source,
        methods,
        parameters,
        reference,
        repeats,
        background_files,
        outputs,
        overwrite=overwrite,
        tell=tell,
    )
    scan, chosen = job.scan, job.chosen
    learned = any(candidate.offer.record.learned for candidate in chosen)
    device = choose_device(device) if learned or device != "auto" else "cpu"
    tell(describe_repeats(scan, asked=repeats is not None))
    if was_denoised(file_history(source)):
        tell(Warned(f"{scan.name} was denoised before: its repeats are no longer independent"))
    try:
        comparison = compare_scan(scan, chosen, clean=job.clean, seed=seed, device=device, tell=tell)
    except Interrupted as stopped:
        failed = _write_all(outputs, stopped.comparison, overwrite)
        for error in failed.values():
            tell(Warned(str(error)))
        raise Interrupted(stopped.comparison, tuple(failed)) from stopped
    failed = _write_all(outputs, comparison, overwrite)
    if failed:
        raise NotWrittenError(
            "; ".join(map(str, failed.values())),
            hint=next(iter(failed.values())).hint or "make room on the disk, and compare again",
            comparison=comparison,
            unwritten=tuple(failed),
        )
    return comparison


def plan_comparison(
    source: Path,
    *,
    methods: Sequence[str] = (),
    parameters: Sequence[str] = (),
    reference: Path | None = None,
    repeats: Repeats | None = None,
    background_files: Sequence[Path] = (),
    outputs: Sequence[Path] = (),
    overwrite: bool = False,
    tell: Callable[[Event], None] = silent,
) -> dict[str, Any]:
    """Say what `compare_file` would do, ready for JSON; nothing is fitted or written."""
    job = _prepare(
        source,
        methods,
        parameters,
        reference,
        repeats,
        background_files,
        outputs,
        overwrite=overwrite,
        tell=tell,
    )
    return {
        "file": str(source),
        "reference": str(reference) if reference else None,
        "repeats": job.scan.repeats,
        "shape": dict(zip("NJCV", job.scan.signal.shape, strict=True)),
        "background_frames": len(job.scan.background),
        "methods": [_planned(job.scan, each) for each in job.chosen],
        "outputs": planned_outputs(outputs),
    }


def _planned(scan: Scan, candidate: Candidate) -> dict[str, Any]:
    """Say with which options a method would be compared, and what the scan lacks for it."""
    record = candidate.offer.record
    options = parse_options(record, candidate.parameters)
    with candidate.offer.blamed():
        lacks = record.missing(scan, options)
    return {
        "method": record.name,
        "distribution": candidate.offer.distribution,
        "options": options.model_dump(mode="json"),
        "lacks": lacks,
    }


def _prepare(
    source: Path,
    methods: Sequence[str],
    parameters: Sequence[str],
    reference: Path | None,
    repeats: Repeats | None,
    background_files: Sequence[Path],
    outputs: Sequence[Path],
    *,
    overwrite: bool,
    tell: Callable[[Event], None],
) -> _Job:
    """Read and check all that a comparison needs; nothing is fitted or written."""
    chosen = candidates(methods, parameters)
    _check_outputs(outputs, [source, *([reference] if reference else []), *background_files], overwrite)
    for path in outputs if reference is None else ():
        if path.name.lower().endswith(OF_SIGNALS):
            raise UsageError(
                f"--output {path.name}: the figures of each signal need a clean reference",
                hint="name one with --reference, or another output",
            )
    refuse_calibration(source)
    scan = with_empty_measurements(read_repeated(source, repeats=repeats), background_files)
    if reference is None and stack_repeats(scan.signal, scan.repeats).shape[1] < 2:
        raise InputError(
            f"{scan.name} has no repeats to judge by",
            hint="name a clean file with --reference, or say with --repeats what repeats",
        )
    no_score = how_judged(scan)[1]
    if reference is None and no_score:
        raise InputError(
            f"{scan.name} cannot be judged by itself: {no_score}",
            hint="name a clean file with --reference, or say with --repeats what repeats",
        )
    return _Job(scan, chosen, None if reference is None else read_reference(reference, scan, tell=tell))


def candidates(methods: Sequence[str] = (), parameters: Sequence[str] = ()) -> list[Candidate]:
    """Find the methods to compare, each with its options.

    Parameters
    ----------
    methods : sequence of str
        Names; none for all of which there is one.
    parameters : sequence of str
        Options, ``METHOD.name=value``.

    Raises
    ------
    PluginError
        When a name is not known, or not of one method alone.
    UsageError
        When an option is wrong, or of a method that is not compared; or a name is ``auto`` or ``unchanged``.
    """
    if AUTO in methods:
        raise UsageError(
            f"{AUTO} chooses among the methods that are compared, and is none of them",
            hint=f"leave {AUTO} out",
        )
    if UNCHANGED.record.name in methods:
        raise UsageError(
            f"{UNCHANGED.record.name} is the noisy signal, which is always the first row",
            hint=f"leave {UNCHANGED.record.name} out",
        )
    found = registry()
    names = list(dict.fromkeys(methods)) or [
        name for name in sorted(found.denoisers) if len(found.denoisers[name]) == 1
    ]
    offers = {name: found.denoiser(name) for name in names}
    if not offers:
        raise UsageError("no denoiser is installed", hint="see mpikit plugins list")
    given: dict[str, list[str]] = {name: [] for name in names}
    for text in parameters:
        name, dot, pair = text.partition(".")
        if not dot or "=" in name:
            raise UsageError(f"{text!r} names no method, expected METHOD.name=value")
        if name not in given:
            hint = f"{did_you_mean(name, names)} the methods are {', '.join(names)}".strip()
            raise UsageError(f"{text!r}: {name!r} is none of the methods to compare", hint=hint)
        given[name].append(pair)
    for name, offer in offers.items():
        parse_options(offer.record, given[name])
    return [Candidate(offer, tuple(given[name])) for name, offer in offers.items()]


def _check_outputs(outputs: Sequence[Path], inputs: Sequence[Path], overwrite: bool) -> None:
    for path in outputs:
        if path.suffix.lower() not in WRITTEN:
            raise UsageError(
                f"--output {path.name}: no such kind of file", hint="name a table (.csv) or a picture (.png)"
            )
        check_output(path, inputs=tuple(inputs), overwrite=overwrite)
    where = [path.resolve() for path in outputs]
    for place, path in enumerate(outputs):
        if where[place] in where[:place]:
            raise UsageError(f"--output {path.name} is given twice", hint="name each output once")


def _write_all(paths: Sequence[Path], comparison: Comparison, overwrite: bool) -> dict[Path, InputError]:
    """Write what can be written; return what could not, and why."""
    failed = {}
    for path in paths:
        try:
            _write(path, comparison, overwrite)
        except InputError as error:
            failed[path] = error
    return failed


def _write(path: Path, comparison: Comparison, overwrite: bool) -> None:
    if path.suffix.lower() == ".csv":
        of_signals = path.name.lower().endswith(OF_SIGNALS)
        text = signals_as_csv(comparison) if of_signals else as_csv(comparison)
        write_atomically(path, text.encode(), overwrite=overwrite)
        return
    from mpikit.figures_compare import save_comparison

    save_comparison(path, comparison, overwrite=overwrite)


def as_csv(comparison: Comparison) -> str:
    """Return the rows of a comparison as CSV, with the keys of `table`; inner ones joined by a dot.

    The options are left out, and a pair of limits is two columns: ``.low`` and ``.high``.
    """
    return _csv([_flat(row) for row in table(comparison)])


def signals_as_csv(comparison: Comparison) -> str:
    """Return the true figures of each signal by each method as CSV, with the keys of `signal_table`."""
    return _csv(signal_table(comparison))


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writerow({name: plain_cell(name) for name in columns})
    writer.writerows(map(plain_row, rows))
    return text.getvalue()


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name == "options" or (name in ("true", "residual") and value is None):
            continue
        inner = value if isinstance(value, dict) else {"": value}
        for key, each in inner.items():
            place = f"{name}.{key}" if key else name
            ends = (
                {f"{place}.low": each[0], f"{place}.high": each[1]}
                if isinstance(each, list)
                else {place: each}
            )
            flat |= ends
    return flat
