"""Work that no machine could do is refused before it begins."""

from __future__ import annotations

import shutil
from pathlib import Path

from mpikit.errors import UsageError
from mpikit.resources import physical_memory
from mpikit.simulate.presets import Preset

_COPIES = 6  # of a frame that are held at once: clean, empty, noise, their sum, what is stored


def check_memory(needed: float, what: str) -> None:
    """Refuse work that needs more memory than the machine has.

    Parameters
    ----------
    needed : float, bytes
    what : str
        What needs it, in words.

    Raises
    ------
    UsageError
    """
    present = physical_memory()
    if present is not None and needed > 0.9 * present:
        raise UsageError(
            f"{what} would need {_gib(needed)} of memory, this machine has {_gib(present)}",
            hint="ask for fewer voxels, frames, periods or averages",
        )


def check_disk(path: Path, needed: float) -> None:
    """Refuse a file that is larger than the room left beside it.

    Parameters
    ----------
    path : Path
        File to be written.
    needed : float, bytes

    Raises
    ------
    UsageError
    """
    present = next(folder for folder in path.absolute().parents if folder.is_dir())
    free = shutil.disk_usage(present).free
    if needed > free:
        raise UsageError(
            f"{path.name} would take {_gib(needed)}, its disk has {_gib(free)} left",
            hint="ask for fewer voxels, frames or periods, or choose another place with --output",
        )


def check_scan(
    preset: Preset, path: Path, *, frames: int, periods: int, background_frames: int, voxels: int
) -> None:
    """Refuse a scan that no disk or no memory holds, by its numbers alone.

    Parameters
    ----------
    preset : Preset
    path : Path
        File to be written.
    frames, periods, background_frames : int
        N, J and E.
    voxels : int
        Of one phantom.

    Raises
    ------
    UsageError
    """
    receiver, total = preset.receiver, float(frames) + float(background_frames)
    period = float(receiver.channels) * preset.samples
    check_disk(path, 4 * total * periods * period)
    frame = periods * receiver.averages * period + 4 * receiver.oversampling * period + 3.0 * voxels
    check_memory(8 * _COPIES * frame + 40 * total, "one frame of this scan" if total < 1e6 else "this scan")


def _gib(size: float) -> str:
    return f"{size / 2**30:.3g} GiB"
