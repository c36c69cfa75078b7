"""Plugins of strangers at arm's length: what they break, print or leave behind stays with them.

A record of another distribution is wrapped once, where it enters (`mpikit.plugins.Offer`), so that all of
mpikit sees a method that keeps its word or raises an error with its name.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NoReturn, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from mpikit.errors import InputError, NumericalError, PluginError, UsageError
from mpikit.events import Event, Finding, Step
from mpikit.frozen import frozen, protected, read_only
from mpikit.records import Checkpoint, Denoiser, Method, NoiseModel, Run
from mpikit.scan import Scan
from mpikit.surroundings import is_passing, outside, surroundings_kept

SLOW = 5.0  # s: loading a plugin that takes longer is told
HINT = "--debug shows where; the authors of the plugin will want to see it"
_OURS = (UsageError, InputError, PluginError, NumericalError)


@contextmanager
def watched(plugin: str, way_out: str) -> Iterator[None]:
    """Load a plugin; say its name on stderr when it takes long, or when Ctrl-C ends the wait.

    Parameters
    ----------
    plugin : str
        Its name, with that of its distribution.
    way_out : str
        What the user can do.
    """
    timer = threading.Timer(SLOW, _complain, [f"still loading the plugin {plugin}; {way_out}"])
    timer.daemon = True
    timer.start()
    try:
        with surroundings_kept():
            yield
    except KeyboardInterrupt:
        _complain(f"interrupted while loading the plugin {plugin}; {way_out}")
        raise
    finally:
        timer.cancel()


def _complain(text: str) -> None:
    """Say a thing while no listener is there yet."""
    sys.stderr.write(f"warning: {text}\n")
    sys.stderr.flush()


@contextmanager
def contained(who: str) -> Iterator[None]:
    """Run code of a plugin: its errors name it, and see `mpikit.surroundings.surroundings_kept`.

    A crash of the interpreter (a segmentation fault) cannot be held; no output is half written then.

    Parameters
    ----------
    who : str
        Method and distribution, for messages.

    Raises
    ------
    PluginError
        For every error but those below, also for SystemExit. Ctrl-C passes, and so does what a listener or a
        checkpoint raises that the plugin has called.
    MpikitError, mdf.MdfError, MemoryError
        Of the same kind as that of the plugin, with its name in front.
    """
    with surroundings_kept():
        try:
            yield
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            if is_passing(error):
                raise
            blame(who, error)


def blame(who: str, error: BaseException) -> NoReturn:
    """Raise an error of the same kind, or else a `PluginError`, that names method and distribution."""
    from mdf.errors import MdfError

    told = str(error)
    if isinstance(error, (*_OURS, MdfError, MemoryError)):
        if who in told:
            raise error
        # a class of our own: that of a plugin may have any exit code
        kind = next(each for each in (*_OURS, MdfError, MemoryError) if isinstance(error, each))
        named = kind(f"{who}: {told}".rstrip(": "))
        if not isinstance(named, MemoryError):
            named.hint = str(getattr(error, "hint", ""))
        raise named from error
    words = f"{type(error).__name__}: {told}".rstrip(": ")
    if isinstance(error, SystemExit):
        words = f"it tried to end the process ({words})"
    raise PluginError(f"{who} failed: {words}", hint=HINT) from error


def checked_output(output: object, shape: tuple[int, ...], who: str, what: str = "signal") -> NDArray[Any]:
    """Return what a plugin gave, or say what is wrong with it.

    Parameters
    ----------
    output : object
    shape : tuple of int
        The shape that it must have.
    who : str
        Method and distribution.
    what : str
        What the output is, for messages.

    Raises
    ------
    PluginError
        When it is no NumPy array of this shape with real numbers.
    NumericalError
        When it is not finite.
    """
    if not isinstance(output, np.ndarray):
        raise PluginError(f"{who} gave a {type(output).__name__}, expected a NumPy array", hint=HINT)
    if output.shape != shape:
        raise PluginError(f"{who} gave the shape {output.shape}, expected {shape}", hint=HINT)
    if output.dtype.kind not in "fiu":
        raise PluginError(f"{who} gave values of type {output.dtype}, expected real numbers", hint=HINT)
    if not np.isfinite(output).all():
        raise NumericalError(f"{who} gave a {what} with values that are no numbers")
    return output


def guarded_denoiser(record: Denoiser, who: str) -> Denoiser:
    """Return the same denoiser at arm's length; one that is already stays as it is."""
    if isinstance(record.build, _GuardedBuild):
        return record
    removes = record.removes_background
    return replace(
        record,
        build=_GuardedBuild(record, who),
        missing=_GuardedQuestion(record.missing, who, (str, type(None))),
        removes_background=_GuardedQuestion(removes, who, (bool,)) if callable(removes) else removes,
    )


def guarded_noise_model(record: NoiseModel, who: str) -> NoiseModel:
    """Return the same noise model at arm's length; its noise is wrapped by `mpikit.plugins.parse_noise`."""
    if isinstance(record.build, _GuardedBuild):
        return record
    fit = None if record.fit is None else _GuardedQuestion(record.fit, who, (record.options,))
    return replace(record, build=_GuardedBuild(record, who), fit=fit)


def unguarded(record: Any) -> Any:
    """Return the record that the plugin gave."""
    build = getattr(record, "build", None)
    return build.given if isinstance(build, _GuardedBuild) else record


@dataclass(frozen=True)
class _GuardedBuild:
    """Builds what a plugin builds, at arm's length."""

    given: Denoiser | NoiseModel
    who: str

    def __call__(self, options: BaseModel) -> Any:
        with contained(self.who):
            built: Any = self.given.build(options)
        if isinstance(self.given, NoiseModel):
            if not callable(built):
                raise PluginError(f"{self.who} built a {type(built).__name__}, expected noise", hint=HINT)
            return built
        lacks = [name for name in ("fit", "denoise", "state", "restore") if not hasattr(built, name)]
        if lacks:
            raise PluginError(
                f"{self.who} built a {type(built).__name__} without {', '.join(lacks)}", hint=HINT
            )
        # one at arm's length is not held twice: it would draw other numbers
        return built if type(built) is GuardedMethod else GuardedMethod(built, self.who)


@dataclass(frozen=True)
class _GuardedQuestion:
    """Asks a plugin about scans; the answer is of one of some types."""

    ask: Callable[..., Any]
    who: str
    types: tuple[type, ...]

    def __call__(self, scan: Scan, *more: Any) -> Any:
        with contained(self.who):
            answer = self.ask(protected(scan), *more)
        if not isinstance(answer, self.types):
            wanted = " or ".join(each.__name__ for each in self.types)
            raise PluginError(
                f"{self.who} answered with a {type(answer).__name__}, expected {wanted}", hint=HINT
            )
        return answer


class GuardedMethod:
    """A method of a plugin at arm's length: see `mpikit.Method`.

    Parameters
    ----------
    method : Method
    who : str
        Method and distribution, for messages.
    """

    def __init__(self, method: Method, who: str) -> None:
        self.method, self._who = method, who

    def fit(self, scans: Sequence[Scan], /, *, run: Run) -> None:
        """Learn from scans that cannot be written into."""
        given = _guarded_run(run, self._who)
        with contained(self._who):
            self.method.fit([protected(scan) for scan in scans], run=given)

    def denoise(self, scan: Scan, /, *, run: Run) -> NDArray[np.float32]:
        """Return the denoised signals (N, J, C, V) in memory of their own."""
        given = _guarded_run(run, self._who)
        with contained(self._who):
            output = self.method.denoise(protected(scan), run=given)
        what = f"signal for {scan.name}"
        found = checked_output(output, scan.signal.shape, self._who, what)
        with np.errstate(over="ignore"):
            kept: NDArray[np.float32] = found.astype(np.float32)
        return checked_output(kept, kept.shape, self._who, what)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of what was learnt, as arrays that can be kept."""
        with contained(self._who):
            state = _checked_state(self.method.state(), self._who)
        for name, value in state.items():
            if not np.isfinite(value).all():
                raise NumericalError(f"{self._who} has values in {name!r} of its state that are no numbers")
        return state

    def restore(self, state: Mapping[str, NDArray[Any]], /) -> None:
        """Take back what was learnt; a state that does not fit is an error of the file, told as it is."""
        with surroundings_kept():
            try:
                self.method.restore({name: read_only(value) for name, value in state.items()})
            except SystemExit as error:
                blame(self._who, error)


def _checked_state(state: object, who: str, kinds: str = "fiub") -> dict[str, NDArray[Any]]:
    """Return copies of the arrays of a state; what is learnt later does not change them."""
    if not isinstance(state, Mapping):
        raise PluginError(
            f"{who} gave a {type(state).__name__} as its state, expected a dict of arrays", hint=HINT
        )
    for name, value in state.items():
        kind = value.dtype.kind if isinstance(value, np.ndarray) else ""
        if not isinstance(name, str) or kind not in tuple(kinds):
            found = f"array of {value.dtype}" if kind else type(value).__name__
            raise PluginError(
                f"{who} has {name!r} in its state, an object of type {found}: it cannot be kept",
                hint="the state is a dict of NumPy arrays of real numbers",
            )
    return {name: np.array(value) for name, value in state.items()}


def own_chance(rng: np.random.Generator) -> np.random.Generator:
    """Return a generator for a plugin alone; the other one goes on alike, whatever the plugin does."""
    return np.random.default_rng(rng.integers(1 << 63, size=2))


def _guarded_run(run: Run, who: str) -> Run:
    """Return a run that refuses what is no event, and through which no other method is reached."""

    def tell(event: Event) -> None:
        problem = _problem_of(event)
        if problem:
            raise TypeError(problem)
        kept = frozen(event)
        with outside():
            run.tell(kept)

    checkpoint = None if run.checkpoint is None else _GuardedCheckpoint(run.checkpoint, who)
    return replace(run, rng=own_chance(run.rng), tell=tell, checkpoint=checkpoint)


@dataclass(frozen=True)
class _GuardedCheckpoint:
    """A checkpoint of which a plugin reaches no more than it should."""

    _given: Checkpoint
    _who: str

    def load(self) -> dict[str, NDArray[Any]] | None:
        """Return copies: a fit may go on in them."""
        with outside():
            state = self._given.load()
        return None if state is None else {name: np.array(value) for name, value in state.items()}

    def save(self, state: Mapping[str, NDArray[Any]], /) -> None:
        """Keep a state; NaN and infinity may be in one."""
        arrays = {name: np.asarray(value) for name, value in state.items()}
        checked = _checked_state(arrays, self._who, "fiubc")
        with outside():
            self._given.save(checked)


def _problem_of(event: object) -> str:
    if not isinstance(event, get_args(Event)):
        return f"tell was given a {type(event).__name__}, expected Step, Finding or Warned"
    if isinstance(event, Step):
        if not all(isinstance(count, int | np.integer) for count in (event.index, event.total)):
            return f"a Step of {event.index!r} of {event.total!r}, expected integers"
        if not isinstance(event.values, Mapping) or not isinstance(event.bounds, Mapping):
            return "the figures of a Step are no mapping"
        wrong = [name for name, value in event.values.items() if not _is_figure(name, value)]
        return f"the figure {wrong[0]!r} of a Step is no number" if wrong else ""
    words = (event.name, event.text) if isinstance(event, Finding) else (event.text,)
    return "" if all(isinstance(word, str) for word in words) else f"{event!r} has no words"


def _is_figure(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, int | float | np.integer | np.floating)
