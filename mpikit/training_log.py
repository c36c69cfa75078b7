"""The course of a training on disk, written while it goes on: JSON lines, and the same as CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from mpikit.csv_cells import plain_cell
from mpikit.errors import InputError
from mpikit.events import Event, Step, Warned, silent
from mpikit.files import write_atomically
from mpikit.provenance import clock

SECONDS = "seconds"
NO_LOG = "move it away, or start with --force"
_LARGEST_STEP = 10**18  # no training has so many, and a float holds them
_SHOWN = 40  # letters of a name in a message
BOUND = " is a lower bound"  # what follows the name of a figure, as the name of a column


class TrainingLog:
    """One row for each `Step` that a training tells of: step, steps in all, its figures, seconds so far.

    Every row is on disk when it has been told; until the first one the files are as they were. A training
    that goes on takes up the rows before; those from its first step on are written anew, so that none is
    there twice. A figure that may be a lower bound only has a column beside it that says so.

    A disk that is full is warned of, once, and the training goes on: at each later row, and at the end, all
    rows are tried again.

    Parameters
    ----------
    lines : Path
        File of JSON lines; a figure that is not finite is null.
    table : Path
        CSV file with the same rows.
    resume : bool
        Go on with the rows that are there.
    tell : callable
        Takes the warning.
    clock : callable
        Time in seconds.

    Raises
    ------
    InputError
        When a log to go on with cannot be read.
    """

    def __init__(
        self,
        lines: Path,
        table: Path,
        *,
        resume: bool = False,
        tell: Callable[[Event], None] = silent,
        clock: Callable[[], float] = clock,
    ) -> None:
        self._paths = {"lines": lines, "table": table}
        self._tell, self._warned, self._behind = tell, False, False
        self._clock, self._begun = clock, clock()
        self.rows: list[dict[str, Any]] = _read(lines) if resume and lines.exists() else []
        self._files: dict[str, IO[str]] = {}
        self._fresh = True

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        # without any step an old log is none of this training
        if self._behind or (self._fresh and error is None):
            self._rewrite()
        self._close()

    @property
    def columns(self) -> list[str]:
        """Names of all figures so far, those that every row has first."""
        names = ["step", "total", SECONDS]
        return list(dict.fromkeys([*names, *(name for row in self.rows for name in row)]))

    def add(self, step: Step) -> None:
        """Write the row of one step."""
        if self._fresh:
            self._take_up(step.index)
        row: dict[str, Any] = {
            "step": step.index,
            "total": step.total,
            SECONDS: round(self._clock() - self._begun, 3),
        }
        for name, value in step.values.items():
            row[name] = _plain(value)
            if name in step.bounds:
                row[f"{name}{BOUND}"] = step.bounds[name]
        before = self.columns
        self.rows.append(row)
        if self._behind or self.columns != before:
            self._rewrite()
            return
        self._write("lines", json.dumps(row) + "\n")
        self._write("table", _csv_line([row.get(name) for name in before]))

    def _take_up(self, first: int) -> None:
        """Begin the files, without the rows that are about to come again; time goes on where it stopped."""
        self._fresh = False
        kept = [row for row in self.rows if row["step"] < first]
        if kept:
            self._begun -= float(kept[-1][SECONDS])
        self.rows = kept
        self._rewrite()

    def _rewrite(self) -> None:
        """Write all rows, each file whole or not at all, and go on at their end."""
        self._close()
        columns = self.columns
        values = [[row.get(name) for name in columns] for row in self.rows]
        texts = {
            "lines": "".join(json.dumps(row) + "\n" for row in self.rows),
            "table": _csv_line(columns) + "".join(_csv_line(each) for each in values),
        }
        self._behind = False
        for name, path in self._paths.items():
            try:
                write_atomically(path, texts[name].encode(errors="backslashreplace"), overwrite=True)
                self._files[name] = path.open("a", encoding="utf-8", errors="backslashreplace", newline="")
            except (InputError, OSError) as error:
                self._fall_behind(str(error))

    def _close(self) -> None:
        for file in self._files.values():
            with suppress(OSError):  # what a full disk did not take was told of when it was written
                file.close()
        self._files = {}

    def _write(self, name: str, text: str) -> None:
        try:
            self._files[name].write(text)
            self._files[name].flush()
        except OSError as error:
            self._fall_behind(f"{self._paths[name]} cannot be written: {error.strerror or error}")

    def _fall_behind(self, words: str) -> None:
        self._behind = True
        if not self._warned:
            self._warned = True
            self._tell(Warned(f"the log {words}; the training goes on, make room on the disk"))


def _csv_line(values: Sequence[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(map(plain_cell, values))
    return text.getvalue()


def _plain(value: float) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def _read(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a log; a last line that was cut off is left out."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(f"the log {path} cannot be read: {error.strerror or error}") from error
    rows = []
    for place, line in enumerate(lines):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:  # no JSON, or no UTF-8
            if place == len(lines) - 1:  # cut off, or nothing after the last end of a line
                break
            raise InputError(
                f"{path} is no log of a training: line {place + 1} is no JSON", hint=NO_LOG
            ) from error
        if not isinstance(row, dict) or not _is_whole(row.get("step")) or not _is_finite(row.get(SECONDS)):
            raise InputError(f"{path} is no log of a training: line {place + 1} is no row", hint=NO_LOG)
        wrong = [name for name in row if not _fits(name, row[name])]
        if wrong:
            raise InputError(
                f"{path} is no log of a training: line {place + 1} has no number for {wrong[0][:_SHOWN]!r}",
                hint=NO_LOG,
            )
        rows.append(row)
    return rows


def _fits(name: str, value: object) -> bool:
    """Say whether a value of a row is what `TrainingLog` writes under this name; NaN is as good as null."""
    if value is None or name in ("step", SECONDS):
        return True
    if name.endswith(BOUND):
        return isinstance(value, bool)
    if name == "total":
        return _is_whole(value)
    return _is_finite(value) or (isinstance(value, float) and math.isnan(value))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST_STEP


def _is_finite(value: object) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))
