"""What a reconstruction is asked for: choices that fit each other, before a file is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mpikit.device import arrays_on
from mpikit.errors import InputError, UsageError
from mpikit.reconstruct.frames import Sharing
from mpikit.reconstruct.options import METHODS, Kaczmarz, SystemMatrix, make_options
from mpikit.reconstruct.outputs import MDF_ENDINGS, suffix_of
from mpikit.reconstruct.solving import by_frames
from mpikit.records import Options
from mpikit.workers import check_workers


def check_choices(
    *,
    system_matrix: Path | Sequence[Path] | None = None,
    background_files: Sequence[Path] = (),
    method: str = "kaczmarz",
    average_frames: bool = False,
    allow_mismatch: bool = False,
    **options: Any,
) -> Options:
    """Return the options of the method, if all choices fit each other; no file is read.

    Parameters
    ----------
    system_matrix, background_files, method, average_frames, allow_mismatch, **options
        As in `reconstruct_file`.

    Raises
    ------
    UsageError
    """
    chosen = make_options(method, options)
    _check_roles(chosen, method, system_matrix, background_files, allow_mismatch)
    _check_together(chosen, background_files, average_frames)
    return chosen


def check_sharing(options: Options, method: str, workers: int | None, scheduler: str | None) -> Sharing:
    """Refuse workers for what they cannot share."""
    check_workers(workers, scheduler)
    sharing = Sharing(workers, scheduler)
    if sharing.alone or (isinstance(options, SystemMatrix) and by_frames(options)):
        return sharing
    what = f"{method} on a CUDA device" if isinstance(options, Kaczmarz) else method
    raise UsageError(
        f"{what} makes all images of a file at once, which workers cannot share",
        hint="leave --workers and --scheduler out, they are for several files",
    )


def matrix_paths(system_matrix: Path | Sequence[Path] | None) -> list[Path]:
    """Return one system matrix, several or none as a list."""
    if system_matrix is None:
        return []
    return [system_matrix] if isinstance(system_matrix, Path) else list(system_matrix)


def _check_roles(
    options: Options,
    method: str,
    system_matrix: Path | Sequence[Path] | None,
    background_files: Sequence[Path],
    allow_mismatch: bool,
) -> None:
    """Refuse files that the method takes no notice of, or lacks."""
    matrices = matrix_paths(system_matrix)
    if isinstance(options, SystemMatrix):
        if not matrices:
            raise UsageError(
                f"{method} needs a system matrix", hint="add --system-matrix FILE, or --method x-space"
            )
        return
    if matrices or allow_mismatch or background_files:
        raise UsageError(
            f"{method} uses no system matrix, expected neither --system-matrix nor --allow-mismatch nor "
            "--background-file",
            hint="leave them out, or use --method kaczmarz",
        )


def check_known(options: Mapping[str, Any], made: Path) -> None:
    """Refuse a history that no reconstruction wrote."""
    method = options.get("method")
    known = {"method", "average_frames", "allow_mismatch"}
    known |= set(METHODS[method].model_fields) - {"cache"} if method in METHODS else set()
    strange = ", ".join(sorted(set(options) - known))
    if strange or method not in METHODS:
        raise InputError(
            f"the history of {made.name} is that of no reconstruction: {strange or f'the method {method!r}'}",
            hint="reconstruct anew without --rerun",
        )


def _check_together(options: Options, background_files: Sequence[Path], average_frames: bool) -> None:
    """Refuse what would do nothing, and what cannot be done on this machine, before a file is read."""
    if len(background_files) > 2:
        raise UsageError(
            f"{len(background_files)} empty measurements, expected one, or two for before and after",
            hint="leave some --background-file out",
        )
    if not isinstance(options, SystemMatrix):
        return
    if background_files and options.background == "none":
        raise UsageError(
            "with --background none an empty measurement would do nothing", hint="leave one of them out"
        )
    if average_frames and options.frame_averages > 1:
        raise UsageError(
            "--average-frames averages all frames, so that frame_averages would do nothing",
            hint="leave one of them out",
        )
    if isinstance(options, Kaczmarz) and options.device != "cpu":
        arrays_on(options.device)


def check_cache(options: Options, matrices: Sequence[Path]) -> None:
    """Refuse one file for several matrices, which would replace each other."""
    cache = options.cache if isinstance(options, SystemMatrix) else None
    if cache is not None and len(matrices) > 1 and not cache.is_dir():
        raise UsageError(
            f"{len(matrices)} system matrices cannot share the cache {cache}",
            hint="name a folder that exists with --cache: each has a file in it",
        )


def check_ending(output: Path | None) -> None:
    """Refuse an output that is no file of images."""
    if output is None:
        return
    if output.suffix.lower() == ".png":
        raise UsageError(
            f"the output {output.name} is the name of a picture, expected that of an MDF file",
            hint=f"say {output.with_suffix('.mdf').name}: the picture stands beside it",
        )
    suffix_of(output, also=MDF_ENDINGS)
