"""Convert MDF files, and write down what was done."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import mdf
from mpikit.errors import InputError, UsageError
from mpikit.events import Event, Finding, Step, Warned, silent
from mpikit.files import check_output
from mpikit.provenance import HISTORY, append_history, run_record
from mpikit.scan_file import EMPTY_LINES, STORED_LINES


def convert_file(
    source: str | Path,
    output: str | Path,
    *,
    options: Mapping[str, Any],
    overwrite: bool = False,
    dry_run: bool = False,
    tell: Callable[[Event], None] = silent,
) -> mdf.Conversion:
    """Convert an MDF file with `mdf.convert`; the steps go into `/_mpikit/history`.

    Parameters
    ----------
    source, output : str or Path
    options : mapping
        Choices of `mdf.convert` by name: domain, order, frames, channels, band, snr_threshold, best,
        average_frames, fast_frame_axis, sparsity, kept, compression.
    overwrite : bool
        Replace a file that exists.
    dry_run : bool
        Check everything, write nothing.
    tell : callable
        Listener.

    Returns
    -------
    mdf.Conversion

    Raises
    ------
    UsageError
        If the choices make no sense, or not for this file.
    InputError
        If the output cannot be written.
    mdf.MdfError
        If `source` is no MDF file, or a damaged one.
    """
    source, output = Path(source), Path(output)
    if not source.exists():
        raise InputError(f"{source}: there is no such file")
    check_output(output, inputs=(source,), overwrite=overwrite)
    try:
        with mdf.open(source) as file:
            planned = mdf.plan_conversion(file, **options)
            user = _own_values(file, source, planned, options)
            _tell_repairs(file, tell)
        if not dry_run:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", mdf.CompressionWarning)
                planned = mdf.convert(
                    source,
                    output,
                    **options,
                    user=user,
                    overwrite=overwrite,
                    progress=lambda done, total: tell(Step(done, total)),
                )
            for warning in caught:
                tell(Warned(str(warning.message)))
    except mdf.ConversionError as error:
        raise UsageError(str(error), hint=error.hint) from error
    for remark in planned.remarks:
        tell(Warned(remark))
    return planned


def _tell_repairs(file: mdf.File, tell: Callable[[Event], None]) -> None:
    count = len(file.repairs)
    if count:
        where = f"mpikit info {file.path.name} lists them"
        tell(Finding("repairs", count, f"{count} deviations from the standard are put right; {where}"))


def _own_values(
    file: mdf.File, source: Path, planned: mdf.Conversion, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the history, and what we know about components that the new file would not tell."""
    before = file.user_value(HISTORY)
    record = run_record(
        "convert",
        inputs=[source],
        options=_plain(options),
        steps=list(planned.steps),
        repairs=[f"{repair.path}: {repair.text}" for repair in file.repairs],
        result=_plain_result(planned),
    )
    user: dict[str, Any] = {HISTORY: append_history(before if isinstance(before, str) else None, record)}
    if file.measurement is None:
        return user
    stored = file.stored_lines
    if planned.domain == "time" and not np.all(stored):
        user[STORED_LINES] = stored.astype(np.int8)
    channels, empty = options.get("channels"), file.user_value(EMPTY_LINES)
    if channels is not None and isinstance(empty, np.ndarray) and len(empty) == file.num_channels:
        user[EMPTY_LINES] = empty[list(channels)].astype(np.int8)
    return user


def _plain_result(planned: mdf.Conversion) -> dict[str, Any]:
    return {name: value for name, value in asdict(planned).items() if name in {"shape", "domain", "remarks"}}


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options ready for JSON."""
    return {
        name: [value.start, value.stop, value.step] if isinstance(value, slice) else value
        for name, value in options.items()
    }
