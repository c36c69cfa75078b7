"""Magnetic Particle Imaging in Python: simulate, denoise and reconstruct."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mpikit.events import Event, Finding, Step, Warned
    from mpikit.hookspecs import hookimpl
    from mpikit.notebook import compare, denoise, load, reconstruct, simulate
    from mpikit.reconstruct.image import Images
    from mpikit.records import (
        Checkpoint,
        Denoiser,
        Method,
        Noise,
        NoiseModel,
        NoOptions,
        Options,
        Run,
        StatelessMethod,
        WholeNoise,
    )
    from mpikit.scan import Scan
    from mpikit.scanner import DriveField, SelectionField

_HOME = {
    "Checkpoint": "records",
    "Denoiser": "records",
    "DriveField": "scanner",
    "Event": "events",
    "Finding": "events",
    "Images": "reconstruct.image",
    "Method": "records",
    "NoOptions": "records",
    "Noise": "records",
    "NoiseModel": "records",
    "Options": "records",
    "Run": "records",
    "Scan": "scan",
    "SelectionField": "scanner",
    "StatelessMethod": "records",
    "Step": "events",
    "Warned": "events",
    "WholeNoise": "records",
    "hookimpl": "hookspecs",
    "load": "notebook",
}
_VERBS = ("compare", "denoise", "reconstruct", "simulate")  # functions of the notebook, and modules
__all__ = [
    "Checkpoint",
    "Denoiser",
    "DriveField",
    "Event",
    "Finding",
    "Images",
    "Method",
    "NoOptions",
    "Noise",
    "NoiseModel",
    "Options",
    "Run",
    "Scan",
    "SelectionField",
    "StatelessMethod",
    "Step",
    "Warned",
    "WholeNoise",
    "compare",
    "denoise",
    "hookimpl",
    "load",
    "reconstruct",
    "simulate",
]


def __getattr__(name: str) -> object:
    if name in _VERBS:
        return import_module(f"mpikit.{name}")  # `_Package` makes it a verb
    if name not in _HOME:
        raise AttributeError(f"mpikit has no {name!r}")
    return getattr(import_module(f"mpikit.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__


class _Verb(ModuleType):
    """A module that is called as the function of the same name in `mpikit.notebook`."""

    def __call__(self, *values: Any, **options: Any) -> Any:
        return self._function()(*values, **options)

    def __reduce__(self) -> tuple[Any, ...]:
        return import_module, (self.__name__,)

    @property
    def __signature__(self) -> Any:
        from inspect import signature

        return signature(self._function())

    def _function(self) -> Any:
        return getattr(import_module("mpikit.notebook"), self.__name__.rpartition(".")[2])


class _Package(ModuleType):
    """The package, whose modules with the name of a verb can be called, whoever imports them, and when."""

    def __setattr__(self, name: str, value: object) -> None:
        # the import of a submodule sets it here as an attribute: a function of that name would be
        # overwritten, or would hide the module from all who say mpikit.simulate.preset
        if name in _VERBS and type(value) is ModuleType:
            value.__class__ = _Verb
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
