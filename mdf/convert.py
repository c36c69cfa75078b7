"""Convert MDF files: domain, order, selection, averages, axes, compression, version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mdf import spec
from mdf.compression import Compression
from mdf.conversion import noise
from mdf.conversion.blocks import Progress, carry
from mdf.conversion.options import ConversionError, Frames, Options
from mdf.conversion.plan import Plan, by_line, make_plan, remarks_of_copies
from mdf.file import File
from mdf.file import open as open_file
from mdf.write import create, write

__all__ = ["Conversion", "ConversionError", "convert", "plan_conversion"]


@dataclass(frozen=True)
class Conversion:
    """What a conversion did, or would do.

    Parameters
    ----------
    steps : tuple of str
        Each change, in words.
    remarks : tuple of str
        What the user should know.
    shape : (N, J, C, V or K)
        Of the signal; of sparsity-transformed data as it is read; all 0 without a signal.
    domain : {"time", "frequency"}
        Of the signal; "time" without one.
    """

    steps: tuple[str, ...]
    remarks: tuple[str, ...]
    shape: tuple[int, int, int, int]
    domain: str


def _silent(done: int, total: int) -> None:
    """Tell nobody."""


def plan_conversion(source: str | Path | File, **options: Any) -> Conversion:
    """Say what `convert` would do with the same options; nothing is written.

    Raises
    ------
    ConversionError
        If it would refuse.
    MdfError
        If `source` is no MDF file, or a damaged one.
    """
    wishes = Options(**options)
    if isinstance(source, File):
        return _planned(source, wishes)
    with open_file(source) as file:
        return _planned(file, wishes)


def _planned(file: File, wishes: Options) -> Conversion:
    return _copied(file) if _is_copy(file, wishes) else _summary(make_plan(file, wishes))


def _is_copy(file: File, wishes: Options) -> bool:
    """Say whether only the version of a file without a signal can change."""
    return file.measurement is None and wishes == Options()


def _copied(file: File) -> Conversion:
    steps = () if file.version == spec.VERSION else (f"version {file.version} to {spec.VERSION}",)
    return Conversion(steps, tuple(remarks_of_copies(file)), (0, 0, 0, 0), "time")


def _summary(plan: Plan) -> Conversion:
    return Conversion(tuple(plan.steps), tuple(plan.remarks), plan.shape, plan.domain)


def convert(  # noqa: PLR0913 - a conversion has as many arguments as it has choices
    source: str | Path,
    target: str | Path,
    *,
    domain: Literal["time", "frequency"] | None = None,
    order: Literal["grid", "acquisition"] | None = None,
    frames: Frames = "all",
    channels: Sequence[int] | None = None,
    band: tuple[float | None, float | None] | None = None,
    snr_threshold: float | None = None,
    best: int | None = None,
    average_frames: int = 1,
    fast_frame_axis: bool | None = None,
    sparsity: Literal["DCT-I", "DCT-II", "DCT-III", "DCT-IV", "none"] | None = None,
    kept: int | float | None = None,
    compression: Compression | None = None,
    user: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress = _silent,
) -> Conversion:
    """Write an MDF file anew, as MDF 2.1.0, with the changes that are asked for.

    Every flag and every dataset that depends on frames, channels or components follows. The conversion factor
    is applied and left out; other values stay. Memory is bounded, whatever the size of the file.
    A calibration without a signal-to-noise ratio gets one if it can be computed (`mdf.snr`).

    Parameters
    ----------
    source, target : str or Path
    domain : {"time", "frequency"} or None
        None: as it is, or frequency where another choice needs spectra. Components that the source does not
        store are zero in the time signal.
    order : {"grid", "acquisition"} or None
        Order in which frames are stored; None leaves it. "grid" puts the foreground of a calibration with x
        fastest, and the background frames last.
    frames : {"all", "foreground", "background"}, indices or slice
        Indices count from 0 in the order that is written.
    channels : sequence of int or None
        Receive channels, from 0.
    band : (float or None, float or None)
        Lowest and highest frequency, both included, Hz.
    snr_threshold : float or None
        Keep components whose signal-to-noise ratio reaches this in any period and channel.
    best : int or None
        Keep that many components, those of the largest ratio, of what band and threshold leave.
    average_frames : int
        Average blocks of so many frames; `numAverages` is multiplied. A block with a background frame is a
        background frame (MDF 2.1.0, averaging).
    fast_frame_axis : bool or None
        Store the frame axis last, or first; None leaves it.
    sparsity : str or None
        Sparsity transformation of a calibration, or "none" to undo it; None leaves it where it can stay.
    kept : int, or float up to 1.0
        Coefficients that a sparsity transformation keeps, or their fraction: those of the largest magnitude.
    compression : int, "lzf" or None
        See `mdf.write`.
    user : mapping
        Values of your own, which win over those of the source: see `mdf.write`.
    overwrite : bool
        Replace a file that exists.
    progress : callable
        Takes what is done and what there is in all.

    Returns
    -------
    Conversion

    Raises
    ------
    ConversionError
        If this cannot be asked, or not of this file.
    MdfError
        If `source` is no MDF file or a damaged one, or `target` cannot be written. There is no file then.
    """
    wishes = Options(
        domain=domain,
        order=order,
        frames=frames,
        channels=channels,
        band=band,
        snr_threshold=snr_threshold,
        best=best,
        average_frames=average_frames,
        fast_frame_axis=fast_frame_axis,
        sparsity=sparsity,
        kept=kept,
        compression=compression,
    )
    with open_file(source) as file:
        if _is_copy(file, wishes):
            write(target, file.contents(), user=user, copy_user_from=file, overwrite=overwrite)
            return _copied(file)
        plan = make_plan(file, wishes)
        _run(file, plan, Path(target), wishes, user, overwrite, progress)
        return _summary(plan)


def _run(
    file: File,
    plan: Plan,
    target: Path,
    wishes: Options,
    user: Mapping[str, Any] | None,
    overwrite: bool,
    progress: Progress,
) -> None:
    with create(
        target,
        plan.contents,
        num_frames=plan.shape[0],
        kept=plan.sparsity[1] if plan.sparsity else None,
        user=user,
        copy_user_from=file,
        compression=wishes.compression,
        overwrite=overwrite,
    ) as out:
        if plan.computes_snr:  # the contents are written with the first piece of the signal
            ratio = by_line(noise.of_file(file), plan.stored, plan.lines, file.num_samples // 2 + 1)
            plan.contents[spec.SNR] = ratio[:, plan.channels]
        carry(file, plan, out, progress)
