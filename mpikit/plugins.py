"""The plugin host: finds the installed plugins, asks each its questions, and keeps what fails.

A broken plugin never breaks a command and is never hidden: its error is kept as a `Failure`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, cast

import numpy as np
import pluggy
from numpy.typing import NDArray
from pydantic import BaseModel

from mpikit import hookspecs
from mpikit.errors import NumericalError, PluginError, UsageError
from mpikit.frozen import frozen, read_only
from mpikit.guarded import (
    checked_output,
    contained,
    guarded_denoiser,
    guarded_noise_model,
    own_chance,
    watched,
)
from mpikit.options import did_you_mean, options_as_text, parse_options
from mpikit.records import Denoiser, Noise, NoiseModel, WholeNoise

__all__ = [
    "Failure",
    "Offer",
    "Registry",
    "build_noise",
    "load",
    "noise_files",
    "options_as_text",
    "parse_noise",
    "parse_options",
    "registry",
]

BLOCK = "MPIKIT_BLOCK_PLUGINS"
OWN = "mpikit"
RESERVED = ("auto", "unchanged")  # `auto` chooses among the methods and the signal as it is

Record = TypeVar("Record", Denoiser, NoiseModel)


@dataclass(frozen=True)
class Failure:
    """What went wrong with one plugin, or with one of its records.

    Parameters
    ----------
    plugin : str
        Name of the entry point: what ``MPIKIT_BLOCK_PLUGINS`` takes.
    distribution : str
        Name of the installed package that brings it.
    stage : {"import", "register", "call", "record"}
        Loading its module, registering its hooks, calling a hook, looking at a record that it gave.
    error : BaseException
        Also SystemExit, which a module may raise while it is imported.
    """

    plugin: str
    distribution: str
    stage: Literal["import", "register", "call", "record"]
    error: BaseException

    @property
    def text(self) -> str:
        """What failed, on one line."""
        words = " ".join(str(self.error).split())
        if self.stage != "record" and not isinstance(self.error, ImportError):
            words = f"{type(self.error).__name__}: {words}".rstrip(": ")
        return f"{self.stage} failed: {words}"


@dataclass(frozen=True)
class Offer(Generic[Record]):
    """A record, and who offers it: the plugin (entry point) and the distribution that brings it."""

    record: Record
    plugin: str
    distribution: str

    def __post_init__(self) -> None:
        if not self.is_own:
            guard = guarded_denoiser if isinstance(self.record, Denoiser) else guarded_noise_model
            object.__setattr__(self, "record", cast("Any", guard)(self.record, self.who))

    @property
    def is_own(self) -> bool:
        """The plugin is part of mpikit: an error there is our bug, and its traceback is wanted."""
        return self.distribution == OWN

    @property
    def who(self) -> str:
        """Method and distribution, as messages name them."""
        return f"{self.record.name!r} of {labelled(self.distribution)}"

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Turn any error of the plugin's code into a `PluginError` that names the distribution.

        What the plugin prints, and what it changes in the process, is held back too, see
        `mpikit.guarded.contained`. Our own distribution is left out.
        """
        if self.is_own:
            yield
            return
        with contained(self.who):
            yield


@dataclass
class Registry:
    """All that the plugins offer, by name, and all that failed.

    Parameters
    ----------
    denoisers, noise_models : dict
        Offers by name. More than one for a name is an error when that name is used.
    failures : list of Failure
    """

    denoisers: dict[str, list[Offer[Denoiser]]] = field(default_factory=dict)
    noise_models: dict[str, list[Offer[NoiseModel]]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def denoiser(self, name: str) -> Offer[Denoiser]:
        """Return the denoiser of this name; `PluginError` if there is none, or more than one."""
        return _the_one("method", name, self.denoisers, self.failures)

    def noise_model(self, name: str) -> Offer[NoiseModel]:
        """Return the noise model of this name; `PluginError` if there is none, or more than one."""
        return _the_one("noise model", name, self.noise_models, self.failures)


def _the_one(
    kind: str, name: str, offers: dict[str, list[Offer[Record]]], failures: Sequence[Failure]
) -> Offer[Record]:
    found = offers.get(name, [])
    if len(found) == 1:
        return found[0]
    if not found:
        known = f"there are {', '.join(sorted(offers))}" if offers else "none is installed"
        skipped = "; some plugins failed: see mpikit plugins list" if failures else ""
        hint = f"{did_you_mean(name, offers)} {known}{skipped}".strip()
        raise PluginError(f"no {kind} is called {name!r}", hint=hint)
    providers = " and ".join(f"{offer.plugin!r} of {labelled(offer.distribution)}" for offer in found)
    leave_out = f"{found[-1].distribution}:{found[-1].plugin}"
    raise PluginError(
        f"{len(found)} plugins offer the {kind} {name!r}: {providers}",
        hint=f"leave one out, for instance with {BLOCK}={leave_out}",
    )


def labelled(distribution: str) -> str:
    """Name of a distribution with its version, where it is known."""
    try:
        return f"{distribution} {version(distribution)}"
    except PackageNotFoundError:
        return distribution


@cache
def registry() -> Registry:
    """Return what the plugins of this machine offer, without those in ``MPIKIT_BLOCK_PLUGINS``.

    The variable lists entry points, ``name`` or ``distribution:name``, with commas between them.
    """
    out = blocked()
    points = entry_points(group="mpikit")
    return load(point for point in points if not out & {point.name, f"{_owner(point)}:{point.name}"})


def blocked() -> set[str]:
    """Return the plugins that ``MPIKIT_BLOCK_PLUGINS`` leaves out."""
    return {name.strip() for name in os.environ.get(BLOCK, "").split(",") if name.strip()}


def load(points: Iterable[EntryPoint]) -> Registry:
    """Ask every plugin; what fails is kept in ``failures``.

    Parameters
    ----------
    points : iterable of EntryPoint
        Each names a module with ``@hookimpl`` functions.
    """
    manager = pluggy.PluginManager("mpikit")
    manager.add_hookspecs(hookspecs)
    found = Registry()
    for point in points:
        stage: Literal["import", "register"] = "import"
        try:
            with _watched(point):
                plugin = point.load()
            stage = "register"
            _register(manager, plugin, f"{_owner(point)}:{point.name}")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: a plugin must not end the command
            found.failures.append(Failure(point.name, _owner(point), stage, error))
        else:
            _ask(found, manager, plugin, point)
    return found


def _watched(point: EntryPoint) -> AbstractContextManager[None]:
    owner = _owner(point)
    if owner == OWN:
        return nullcontext()
    return watched(f"{point.name} of {labelled(owner)}", f"{BLOCK}={owner}:{point.name} leaves it out")


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "unknown"


def _register(manager: pluggy.PluginManager, plugin: object, name: str) -> None:
    manager.register(plugin, name=name)
    try:
        _check_hooks(manager, plugin)
    except Exception:
        manager.unregister(name=name)
        raise


def _check_hooks(manager: pluggy.PluginManager, plugin: object) -> None:
    """Refuse what pluggy would pass over in silence."""
    callers = manager.get_hookcallers(plugin) or []
    if not callers:
        raise LookupError("no function is marked with @mpikit.hookimpl")
    known = [name for name in vars(hookspecs) if name.startswith("mpikit_")]
    for caller in callers:
        ours = next(impl for impl in caller.get_hookimpls() if impl.plugin is plugin)
        if ours.hookwrapper or ours.wrapper:
            raise TypeError(f"{caller.name} is a wrapper, and no plugin may change the answers of others")
        if caller.spec is None and not ours.optionalhook:
            hint = did_you_mean(caller.name, known) or f"there are {', '.join(known)}"
            raise LookupError(f"mpikit has no hook {caller.name!r}; {hint}")


def _ask(found: Registry, manager: pluggy.PluginManager, plugin: object, point: EntryPoint) -> None:
    """Call each implementation by itself: pluggy would throw away every answer when one raises."""
    for implementation in manager.hook.mpikit_denoisers.get_hookimpls():
        if implementation.plugin is plugin:
            _collect(found, found.denoisers, Denoiser, implementation, point)
    for implementation in manager.hook.mpikit_noise_models.get_hookimpls():
        if implementation.plugin is plugin:
            _collect(found, found.noise_models, NoiseModel, implementation, point)


def _collect(
    found: Registry,
    offers: dict[str, list[Offer[Record]]],
    kind: type[Record],
    implementation: pluggy.HookImpl,
    point: EntryPoint,
) -> None:
    ask = cast("Callable[[], Iterable[object]]", implementation.function)
    answers: list[Any] = []
    try:
        with _watched(point):
            for answer in ask():
                answers.append(answer)  # one by one: what came before an error counts
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        found.failures.append(Failure(point.name, _owner(point), "call", error))
    for answer in answers:
        problem = _problem(answer, kind)
        if problem:
            found.failures.append(Failure(point.name, _owner(point), "record", TypeError(problem)))
        else:
            offers.setdefault(answer.name, []).append(Offer(answer, point.name, _owner(point)))


def _problem(answer: object, kind: type[Denoiser] | type[NoiseModel]) -> str:
    if not isinstance(answer, kind):
        return f"a {type(answer).__name__} was given where a {kind.__name__} was expected"
    if answer.name in RESERVED:
        return f"the name {answer.name!r} is mpikit's own"
    return ""


def noise_files(spec: str) -> tuple[Path, ...]:
    """Return the files that the options of a noise name: they are inputs of whatever it is added to.

    Parameters
    ----------
    spec : str
        As `parse_noise` takes it.
    """
    name, _, text = spec.partition(":")
    options = parse_options(registry().noise_model(name.strip()).record, _split(text))
    texts = [value for value in options.model_dump().values() if isinstance(value, str | Path)]
    return tuple(path for path in map(Path, texts) if path.is_file())


def parse_noise(spec: str) -> Noise:
    """Make noise from ``name[:option=value[,option=value...]]``.

    Parameters
    ----------
    spec : str
        For instance ``"gaussian:snr_db=15,level=channel"``. A piece without ``=`` belongs to the value
        before it, so that an option may take several values.

    Raises
    ------
    PluginError
        No noise model has this name.
    UsageError
        The options are wrong.
    """
    name, _, text = spec.partition(":")
    offer = registry().noise_model(name.strip())
    return build_noise(offer, parse_options(offer.record, _split(text)))


def build_noise(offer: Offer[NoiseModel], options: BaseModel) -> Noise:
    """Build noise that checks what goes in and what comes out.

    Parameters
    ----------
    offer : Offer of NoiseModel
    options : pydantic.BaseModel
        An instance of the record's options.

    Returns
    -------
    Noise
        Clean signals of any real type may be given: float32 and float64 stay, others become float64. It
        raises `NumericalError` when they, or the noise, are not finite, and `PluginError` when the plugin
        gives anything but real numbers of their shape.
    """
    with offer.blamed():
        noise = offer.record.build(options)
    return _BlamedWhole(offer, noise) if isinstance(noise, WholeNoise) else _Blamed(offer, noise)


class _Blamed:
    """Noise that is checked, and whose errors name the distribution that it comes from."""

    def __init__(self, offer: Offer[NoiseModel], noise: Noise) -> None:
        self._offer, self.drawn_from = offer, noise

    @property
    def averages(self) -> int:
        """See `mpikit.Noise`."""
        return getattr(self.drawn_from, "averages", 1)

    def __call__(self, clean: NDArray[Any], /, **more: Any) -> NDArray[Any]:
        clean = np.asarray(clean)
        if clean.dtype not in (np.float32, np.float64):
            clean = clean.astype(np.float64)
        if not np.isfinite(clean).all():
            raise NumericalError("the signal that noise is added to has values that are no numbers")
        with self._offer.blamed():
            drawn = self.drawn_from(read_only(clean), **_for_plugin(self._offer, more))
        return checked_output(drawn, clean.shape, self._offer.who, "noise")


class _BlamedWhole(_Blamed):
    def begin(self, **more: Any) -> Noise:
        with self._offer.blamed():
            begun = cast(WholeNoise, self.drawn_from).begin(**_for_plugin(self._offer, more))
        if not callable(begun):
            raise PluginError(f"{self._offer.who} began with a {type(begun).__name__}, expected noise")
        return _Blamed(self._offer, begun)


def _for_plugin(offer: Offer[NoiseModel], given: dict[str, Any]) -> dict[str, Any]:
    """Return copies of what noise is given, and a generator of its own: other noise shares them."""
    if offer.is_own:
        return given
    own = {name: frozen(value) for name, value in given.items()}
    return own | ({"rng": own_chance(own["rng"])} if "rng" in own else {})


def _split(text: str) -> Sequence[str]:
    pairs: list[str] = []
    for piece in text.split(",") if text.strip() else []:
        if "=" in piece:
            pairs.append(piece)
        elif pairs:
            pairs[-1] += f",{piece}"
        else:
            raise UsageError(f"{piece!r} is no option, expected name=value")
    return pairs
