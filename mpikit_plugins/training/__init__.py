"""The training loop of all learned methods, open to methods of strangers.

A learned denoiser of your own is a subclass of `LearnedMethod`: a network and a loss. Whoever needs more, say
networks that play against each other, gives `Player` s to `play`.

The names are imported on first use: the options of a method can be listed without loading torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpikit_plugins.training.batches import Batches, Pairs, Singles
    from mpikit_plugins.training.fit import Objective, apply, train
    from mpikit_plugins.training.learned import LearnedMethod
    from mpikit_plugins.training.loop import Player, play
    from mpikit_plugins.training.needs import without_repeats
    from mpikit_plugins.training.options import LearnedOptions, PairOptions, Presets, TrainingOptions
    from mpikit_plugins.training.preparation import Preparation
    from mpikit_plugins.training.repeats import RepeatedSignals, split_repeats, split_signals

_HOME = {
    "Batches": "batches",
    "LearnedMethod": "learned",
    "LearnedOptions": "options",
    "Objective": "fit",
    "PairOptions": "options",
    "Pairs": "batches",
    "Player": "loop",
    "Preparation": "preparation",
    "Presets": "options",
    "RepeatedSignals": "repeats",
    "Singles": "batches",
    "TrainingOptions": "options",
    "apply": "fit",
    "play": "loop",
    "split_repeats": "repeats",
    "split_signals": "repeats",
    "train": "fit",
    "without_repeats": "needs",
}
__all__ = [
    "Batches",
    "LearnedMethod",
    "LearnedOptions",
    "Objective",
    "PairOptions",
    "Pairs",
    "Player",
    "Preparation",
    "Presets",
    "RepeatedSignals",
    "Singles",
    "TrainingOptions",
    "apply",
    "play",
    "split_repeats",
    "split_signals",
    "train",
    "without_repeats",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"mpikit_plugins.training has no {name!r}")
    from importlib import import_module

    return getattr(import_module(f"mpikit_plugins.training.{_HOME[name]}"), name)
