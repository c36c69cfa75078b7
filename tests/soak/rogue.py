"""A plugin that does all that a plugin must not do: copied into a distribution of its own by the tests."""

# ruff: noqa: ARG002, ARG005, PLW0108 - every way and every output is called alike

from __future__ import annotations

import io
import os
import signal
import sys
import time
import warnings

import numpy as np
from pydantic import Field

from mpikit import Denoiser, Finding, NoiseModel, Options, Step, hookimpl
from mpikit.errors import InputError

if os.environ.get("ROGUE_AT_IMPORT") == "hang":
    time.sleep(600)
if os.environ.get("ROGUE_AT_IMPORT") == "print":
    print("printed at import")
    os.chdir("/")
    np.seterr(all="raise")
if os.environ.get("ROGUE_AT_IMPORT") == "leave":
    os._exit(0)


class End(BaseException):
    """Nothing that `except Exception` would catch."""


class RogueOptions(Options):
    """Options of all that is offered here."""

    at: str = Field("", description="Where something happens")
    how: str = Field("", description="What happens")


class NoError(InputError):
    """As an error of mpikit, and as if all were well."""

    exit_code = 0


def _raise(error):
    raise error


def _fill(array):
    array.fill(array.flat[0])


def _reverse(array):
    array[:] = array[::-1].copy()


def _unlock(array):
    array.flags.writeable = True


def _share_chance(run):
    """Make what is drawn after this the same for everybody."""
    run.rng.bit_generator.state = np.random.default_rng(0).bit_generator.state


WAYS = {
    "raises": lambda scan, run: 1 / 0,
    "exits": lambda scan, run: sys.exit(0),
    "ends": lambda scan, run: _raise(End("the end")),
    "recurses": lambda scan, run: WAYS["recurses"](scan, run),
    "writes": lambda scan, run: scan.signal.fill(0),
    "tells words": lambda scan, run: run.tell("hello"),
    "tells odd steps": lambda scan, run: run.tell(Step("one", None)),
    "tells odd figures": lambda scan, run: run.tell(Step(1, 1, {"loss": "high"})),
    "tells odd findings": lambda scan, run: run.tell(Finding("found", 1, None)),
    "reverses the frames": lambda scan, run: _reverse(scan.foreground_index),
    "moves the background": lambda scan, run: _fill(scan.background_index),
    "hides lines": lambda scan, run: _fill(scan.stored_lines),
    "drives harder": lambda scan, run: _fill(scan.drive_field.amplitudes),
    "divides by less": lambda scan, run: _fill(scan.drive_field.dividers),
    "unlocks the signal": lambda scan, run: _unlock(scan.signal),
    "unlocks the background": lambda scan, run: _unlock(scan.background),
    "unlocks the lines": lambda scan, run: _unlock(scan.stored_lines),
    "finds fault": lambda scan, run: _raise(InputError("something is wrong")),
    "has no room": lambda scan, run: _raise(MemoryError("x")),
    "has no error": lambda scan, run: _raise(NoError("all is well")),
    "leaves": lambda scan, run: os._exit(0),
    "dies": lambda scan, run: os.kill(os.getpid(), signal.SIGSEGV),
    # these do no harm
    "forks": lambda scan, run: os.waitpid(os.fork() or os._exit(0), 0),
    "prints": lambda scan, run: print("rogue was here"),
    "changes NumPy": lambda scan, run: np.seterr(all="raise"),
    "changes warnings": lambda scan, run: warnings.filterwarnings("error", message="rogue"),
    "drops warnings": lambda scan, run: warnings.resetwarnings(),
    "changes the folder": lambda scan, run: os.chdir("/"),
    "changes what is said": lambda scan, run: scan.about.clear(),
    "shares its chance": lambda scan, run: _share_chance(run),
    "takes stdout": lambda scan, run: setattr(sys, "stdout", io.StringIO()),
}
OUTPUTS = {
    "short": lambda signal: signal[..., :-1],
    "flat": lambda signal: signal.ravel(),
    "list": lambda signal: signal.tolist(),
    "nothing": lambda signal: None,
    "number": lambda signal: 3.0,
    "complex": lambda signal: signal.astype(complex),
    "objects": lambda signal: signal.astype(object),
    "texts": lambda signal: signal.astype(str),
    "NaN": lambda signal: signal * np.float32(np.nan),
    "one infinity": lambda signal: np.where(signal == signal.max(), np.inf, signal),
    "too large for float32": lambda signal: signal.astype(float) * 1e300,
    # these do no harm
    "float64": lambda signal: signal.astype(float),
    "another order": lambda signal: np.asfortranarray(signal),
    "its input": lambda signal: signal,
    "a subclass": lambda signal: np.ma.masked_array(signal),
}
STATES = {
    "a list": [1, 2],
    "a text": {"a": "text"},
    "objects": {"a": np.array([{}], object)},
    "complex numbers": {"a": np.ones(2, complex)},
    "numbers for names": {1: np.ones(2)},
    "NaN": {"a": np.full(2, np.nan)},
}


class Rogue:
    """Does nothing to the signal."""

    def __init__(self, options):
        self.options = options
        self._at("build", None, None)

    def _at(self, place, scan, run):
        if self.options.at == place and self.options.how in WAYS:
            WAYS[self.options.how](scan, run)

    def fit(self, scans, /, *, run):
        self._at("fit", scans[0], run)

    def denoise(self, scan, /, *, run):
        self._at("denoise", scan, run)
        if self.options.at == "output":
            return OUTPUTS[self.options.how](scan.signal)
        return scan.signal / 2

    def state(self):
        self._at("state", None, None)
        if self.options.at == "kept":
            return STATES[self.options.how]
        return {"kept": np.arange(3.0)} if self.options.at == "restore" else {}

    def restore(self, state, /):
        if (self.options.at, self.options.how) == ("restore", "writes"):
            _fill(state["kept"])
        else:
            self._at("restore", None, None)


def missing(scan, options):
    if options.at == "missing" and options.how in WAYS:
        WAYS[options.how](scan, None)
    return 3 if options.at == "missing" and options.how == "answers oddly" else None


class RogueNoise:
    """Adds a constant."""

    def __init__(self, options):
        self.options = options
        if options.at == "build":
            WAYS[options.how](None, None)

    def __call__(self, clean, /, *, frame_index, sampling_rate, drive_field, rng):
        if self.options.at == "draw":
            given = {"places": frame_index, "field": drive_field.phases, "signal": clean}
            verb, _, what = self.options.how.partition(" the ")
            if what in given:
                {"writes": _fill, "unlocks": _unlock}[verb](given[what])
            else:
                WAYS[self.options.how](None, None)
        noise = np.full(clean.shape, 1e-9)
        return OUTPUTS[self.options.how](noise) if self.options.at == "output" else noise


class RogueWhole(RogueNoise):
    """The same over a whole measurement."""

    def begin(self, *, power, samples, sampling_rate, drive_field, rng):
        if self.options.how == "odd":
            return "noise"
        given = {"writes the power": power, "writes the field": drive_field.phases}
        if self.options.how in given:
            _fill(given[self.options.how])
        else:
            WAYS[self.options.how](None, None)
        return self


def build_noise(options):
    return (RogueWhole if options.at == "begin" else RogueNoise)(options)


@hookimpl
def mpikit_denoisers():
    yield Denoiser(name="rogue", summary="Rogue", build=Rogue, options=RogueOptions, missing=missing)


@hookimpl
def mpikit_noise_models():
    yield NoiseModel(name="rogue", summary="Rogue", build=build_noise, options=RogueOptions)
