"""The empty-scanner signal: subtracted from measurement and system matrix alike, or from neither."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np

from mdf import File
from mpikit.errors import InputError
from mpikit.events import Event, Finding, Warned

Background = Literal["auto", "static", "interpolated", "dictionary", "none"]
State = Literal["corrected", "frames", "simulated", "unknown"]

WORDS: dict[State, str] = {
    "corrected": "is background-corrected already",
    "frames": "has background frames",
    "simulated": "is a simulation without background frames, taken as free of background",
    "unknown": "has no background frames and is not background-corrected",
}


def background_state(file: File) -> State:
    """Say what is known about the empty-scanner signal in a file."""
    if file.value("/measurement/isBackgroundCorrected"):
        return "corrected"
    if np.any(file.is_background):
        return "frames"
    return "simulated" if file.experiment.is_simulation else "unknown"


def plan_background(
    files: dict[str, State],
    wanted: Background,
    *,
    allow_mismatch: bool = False,
    how: Mapping[str, str] | None = None,
    tell: Callable[[Event], None],
) -> set[str]:
    """Decide from which files their background is subtracted.

    A file that is corrected already is never corrected again. All files end up free of the background, or
    all keep it.

    Parameters
    ----------
    files : dict
        State of each file by the name that messages use.
    wanted : {"auto", "static", "interpolated", "dictionary", "none"}
        "auto" is "static" where that is possible, else "none" with a warning. With "dictionary" the
        measurement keeps its background, which is estimated with the image; it is the first of the files.
    allow_mismatch : bool
        With "none": go on although one file is corrected and another is not.
    how : mapping, optional
        In words what is subtracted from a file, by its name, where it is not what the mode says of its own
        background frames.
    tell : callable

    Returns
    -------
    set of str
        Names of the files to correct.

    Raises
    ------
    InputError
        When the wanted mode would treat the files differently.
    """
    states = set(files.values())
    subtract = {name for name, state in files.items() if state == "frames"}
    if wanted == "dictionary":
        measurement, *others = files
        if files[measurement] == "corrected":
            raise InputError(
                f"{measurement} {WORDS['corrected']}: a dictionary finds no background in it",
                hint="use --background static",
            )
        subtract -= {measurement}
        lacking = [name for name in others if files[name] == "unknown"]
        if lacking:
            tell(Warned(f"background kept: {lacking[0]} {WORDS['unknown']}; it may show in the image"))
    elif wanted == "none":
        subtract = set()
        if "corrected" in states and states & {"frames", "unknown"}:
            _refuse(files, allow_mismatch, tell, hint="use --background static, or --allow-mismatch to go on")
    elif "unknown" in states:
        if wanted in {"static", "interpolated"}:
            without = next(name for name, state in files.items() if state == "unknown")
            raise InputError(
                f"{without} {WORDS['unknown']}, --background {wanted} cannot be done",
                hint="name an empty measurement with --background-file, or use --background none and a "
                "--min-frequency above the first drive-field harmonics",
            )
        subtract = set()
        tell(Warned(f"background kept: {_described(files)}; it may show in the image"))
    usual = f"{'interpolated between' if wanted == 'interpolated' else 'mean of'} the background frames"
    text = f"background subtracted {_what_is_subtracted(sorted(subtract), usual, how or {})}"
    if wanted == "dictionary":
        text += "; that of the measurement is estimated with the image"
    done = ", ".join(sorted(name for name, state in files.items() if state == "corrected"))
    if done:
        text += f"; corrected already: {done}"
    tell(Finding("background", sorted(subtract), text))
    return subtract


def how_subtracted(file: File, empty: Sequence[File], wanted: Background) -> str:
    """Say in words what would be subtracted from a file.

    Parameters
    ----------
    file : mdf.File
    empty : sequence of mdf.File
        Empty measurements that are used instead of its own background frames.
    wanted : {"auto", "static", "interpolated", "dictionary", "none"}
    """
    if len(empty) > 1:
        return f"linear in time between the means of {empty[0].path.name} and {empty[1].path.name}"
    between = wanted == "interpolated"
    if empty:
        return f"mean of {empty[0].path.name}" + (", with nothing to interpolate between" if between else "")
    frames = np.flatnonzero(file.is_background)
    if between and len(frames) and np.all(np.diff(frames) == 1):
        return "mean of the background frames, which are one group with nothing to interpolate between"
    return f"{'interpolated between' if between else 'mean of'} the background frames"


def _what_is_subtracted(names: list[str], usual: str, how: Mapping[str, str]) -> str:
    if not names:
        return f"({usual}): from no file"
    words = dict.fromkeys(how.get(name, usual) for name in names)
    return "; ".join(
        f"({each}): {', '.join(name for name in names if how.get(name, usual) == each)}" for each in words
    )


def _refuse(files: dict[str, State], allowed: bool, tell: Callable[[Event], None], *, hint: str) -> None:
    text = f"the files differ in their background: {_described(files)}"
    if not allowed:
        raise InputError(f"{text}; expected the same for all", hint=hint)
    tell(Warned(text))


def _described(files: dict[str, State]) -> str:
    return ", ".join(f"{name} {WORDS[state]}" for name, state in files.items())
