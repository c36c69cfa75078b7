"""Magnetic Particle Imaging in Python: simulate, denoise and reconstruct."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpikit.events import Event, Finding, Step, Warned
    from mpikit.hookspecs import hookimpl
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
}
__all__ = [
    "Checkpoint",
    "Denoiser",
    "DriveField",
    "Event",
    "Finding",
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
    "hookimpl",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"mpikit has no {name!r}")
    from importlib import import_module

    return getattr(import_module(f"mpikit.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
