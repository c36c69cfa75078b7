"""What a plugin answers with, and what a method must be able to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from mpikit.events import Event, silent
from mpikit.scan import Scan
from mpikit.scanner import DriveField

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class Options(BaseModel):
    """Base of a method's options: frozen, and an unknown name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NoOptions(Options):
    """A method that has no options."""


def nothing_missing(scan: Scan, options: Any, /) -> str | None:  # noqa: ARG001
    """Say that the scan has all that the method needs."""
    return None


class Checkpoint(Protocol):
    """Where a long fit keeps its state, to go on after an interruption."""

    def load(self) -> dict[str, NDArray[Any]] | None:
        """Return what was saved last, or None."""

    def save(self, state: Mapping[str, NDArray[Any]], /) -> None:
        """Keep this state; the one before is replaced only when this one is complete."""


@dataclass(frozen=True)
class Run:
    """Everything a method may take from the outside.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of chance: one seed, one result, bit for bit on the CPU.
    device : str
        ``"cpu"`` or ``"cuda"``.
    tell : callable
        Takes an event (`Step`, `Finding`, `Warned`) for whoever listens.
    checkpoint : Checkpoint or None
        None when no state is to be kept during the fit.
    """

    rng: np.random.Generator
    device: str = "cpu"
    tell: Callable[[Event], None] = silent
    checkpoint: Checkpoint | None = None


class Method(Protocol):
    """A denoising method with its options set."""

    def fit(self, scans: Sequence[Scan], /, *, run: Run) -> None:
        """Learn from noisy scans; a scan without repeats may be of no use to a method."""

    def denoise(self, scan: Scan, /, *, run: Run) -> NDArray[np.float32]:
        """Return the denoised foreground, shape (N, J, C, V) like ``scan.signal``; change nothing."""

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that was learnt, as arrays; empty if nothing was."""

    def restore(self, state: Mapping[str, NDArray[Any]], /) -> None:
        """Take back what `state` returned."""


class StatelessMethod:
    """Base for a method that learns nothing: write `denoise`, the rest is here."""

    def fit(self, scans: Sequence[Scan], /, *, run: Run) -> None:
        """Learn nothing."""

    def denoise(self, scan: Scan, /, *, run: Run) -> NDArray[np.float32]:
        """Return the denoised foreground, shape (N, J, C, V) like ``scan.signal``."""
        raise NotImplementedError

    def state(self) -> dict[str, NDArray[Any]]:
        """Return nothing, for nothing was learnt."""
        return {}

    def restore(self, state: Mapping[str, NDArray[Any]], /) -> None:
        """Take nothing back."""


@dataclass(frozen=True, kw_only=True)
class Denoiser:
    """A denoising method, as a plugin offers it.

    Parameters
    ----------
    name : str
        What ``--method`` takes: lower-case words joined by hyphens.
    summary : str
        One line for the listing.
    build : callable
        Makes a `Method` from options; heavy imports happen here and not before.
    options : type
        Frozen pydantic model with ``extra="forbid"`` and a description for every field.
    missing : callable
        ``missing(scan, options)`` says in words what the scan lacks for this method, or None.
    pools : bool
        The output of one period uses its repeats (an average does).
    homogeneous : bool
        Promises f(a y) = a f(y) for a > 0.
    learned : bool
        Fits a model with many parameters, which takes long: it is shown beside the best method that does not,
        and what was fitted without the part that judges it is used as it is. Other methods are fitted once
        more, to all there is.
    removes_background : bool or callable
        The output is free of the empty-scanner signal; a callable takes (scan, options).
    cite : tuple of str
        DOIs, without a prefix.
    """

    name: str
    summary: str
    build: Callable[[Any], Method]
    options: type[BaseModel] = NoOptions
    missing: Callable[[Scan, Any], str | None] = nothing_missing
    pools: bool = False
    homogeneous: bool = False
    learned: bool = False
    removes_background: bool | Callable[[Scan, Any], bool] = False
    cite: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_record("denoiser", self.name, self.summary, self.options)

    def frees_from_background(self, scan: Scan, options: BaseModel) -> bool:
        """Say whether the output for this scan is free of the empty-scanner signal."""
        answer = self.removes_background
        return answer(scan, options) if callable(answer) else answer


class Noise(Protocol):
    """Additive noise with its options set.

    It may have an attribute ``averages``, an int: how many averages its draws are the mean of already. With
    more than one, the simulation takes it for a scan of so many averages only, and draws it once for each
    stored period. Without the attribute it is 1: every period that is averaged gets a draw of its own.
    """

    def __call__(
        self,
        clean: NDArray[np.floating[Any]],
        /,
        *,
        frame_index: NDArray[np.int64],
        sampling_rate: float,
        drive_field: DriveField,
        rng: np.random.Generator,
    ) -> NDArray[np.floating[Any]]:
        """Draw noise for clean signals.

        Parameters
        ----------
        clean : shape (N, J, C, V), unit of the signal
            An SNR or SIR refers to its rms over V. Empty frames are all zero.
        frame_index : shape (N,)
            Place of each frame in the order of acquisition, so that noise can drift.
        sampling_rate : float, Hz
        drive_field : DriveField
        rng : numpy.random.Generator

        Returns
        -------
        shape (N, J, C, V), unit of the signal
            The noise alone.
        """


@runtime_checkable
class WholeNoise(Noise, Protocol):
    """Noise that has something in common over a whole measurement: a level, a drift, phases.

    A measurement is drawn in blocks of frames, in any order and by several workers. What the blocks share is
    fixed by `begin` before the first one; a noise without this method is drawn as it is.
    """

    def begin(
        self,
        *,
        power: NDArray[np.floating[Any]],
        samples: int,
        sampling_rate: float,
        drive_field: DriveField,
        rng: np.random.Generator,
    ) -> Noise:
        """Return the noise of one measurement; change nothing in this object.

        Parameters
        ----------
        power : shape (C,), unit of the signal squared
            Mean square of the clean signal in each channel, over all frames that are not empty; 0 when the
            scanner is empty throughout.
        samples : int
            V.
        sampling_rate : float, Hz
        drive_field : DriveField
        rng : numpy.random.Generator

        Returns
        -------
        Noise
            Whatever it shares is a function of ``frame_index``: two blocks fit together.
        """


@dataclass(frozen=True, kw_only=True)
class NoiseModel:
    """A noise model, as a plugin offers it.

    Parameters
    ----------
    name, summary, build, options, cite
        As in `Denoiser`; ``build`` makes a `Noise`.
    fit : callable or None
        Estimates the options from the background frames of a scan.
    """

    name: str
    summary: str
    build: Callable[[Any], Noise]
    options: type[BaseModel] = NoOptions
    fit: Callable[[Scan], BaseModel] | None = None
    cite: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_record("noise model", self.name, self.summary, self.options)


def _check_record(kind: str, name: str, summary: str, options: type[BaseModel]) -> None:
    if not NAME.fullmatch(name):
        raise ValueError(f"{kind} name {name!r} is not lower-case words joined by hyphens")
    if not summary or "\n" in summary:
        raise ValueError(f"{kind} {name!r} needs a summary of one line")
    if not (isinstance(options, type) and issubclass(options, BaseModel)):
        raise TypeError(f"{kind} {name!r}: options must be a pydantic model class, not {options!r}")
