"""The files that a training writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mpikit.errors import InputError, UsageError
from mpikit.files import check_output


@dataclass(frozen=True)
class Outputs:
    """Files of one training.

    Parameters
    ----------
    model : Path
        The fitted method.
    checkpoint : Path
        State of a training that was interrupted; gone when it has ended.
    lines, table : Path
        The log, as JSON lines and as CSV.
    picture : Path
        The course of the figures.
    """

    model: Path
    checkpoint: Path
    lines: Path
    table: Path
    picture: Path

    @classmethod
    def beside(cls, model: Path) -> Outputs:
        """Return the names that go with a model file.

        Raises
        ------
        UsageError
            When the path ends in no name.
        """
        if not model.name:
            raise UsageError(
                f"the output '{model}' names no file", hint="name a model file: --output model.safetensors"
            )
        start = model.name.removesuffix(".safetensors")
        names = (f"{model.name}.checkpoint", *(f"{start}{end}" for end in (".log.jsonl", ".log.csv", ".png")))
        return cls(model, *(model.with_name(name) for name in names))

    @property
    def lock(self) -> Path:
        """What is there while the model is being trained, so that nobody else trains it."""
        return self.model.with_name(f".{self.model.name}.lock")

    def check(self, inputs: tuple[Path, ...], *, resume: bool, overwrite: bool) -> None:
        """Refuse files that cannot be written, or that exist, before any work.

        Parameters
        ----------
        inputs : tuple of Path
            Files that are read.
        resume : bool
            A checkpoint and a log are gone on with.
        overwrite : bool
            Files that exist may be replaced.

        Raises
        ------
        InputError
        """
        check_output(self.model, inputs=inputs, overwrite=overwrite)
        if self.checkpoint.exists() and not (resume or overwrite):
            raise InputError(
                f"{self.checkpoint} was left by a training that was interrupted",
                hint="--resume goes on from it, --force starts anew",
            )
        check_output(self.checkpoint, inputs=inputs, overwrite=True)
        for path in (self.lines, self.table, self.picture):
            check_output(path, inputs=inputs, overwrite=overwrite or resume)
