"""The training loop of all learned methods, open to methods of strangers.

The names are imported on first use: the options of a method can be listed without loading torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpikit_plugins.training.loop import Objective, apply, train
    from mpikit_plugins.training.options import TrainingOptions
    from mpikit_plugins.training.repeats import RepeatedSignals, split_repeats

_HOME = {
    "Objective": "loop",
    "RepeatedSignals": "repeats",
    "TrainingOptions": "options",
    "apply": "loop",
    "split_repeats": "repeats",
    "train": "loop",
}
__all__ = ["Objective", "RepeatedSignals", "TrainingOptions", "apply", "split_repeats", "train"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"mpikit_plugins.training has no {name!r}")
    from importlib import import_module

    return getattr(import_module(f"mpikit_plugins.training.{_HOME[name]}"), name)
