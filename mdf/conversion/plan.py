"""From wishes to a plan: the frames, channels and components, and what the file says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdf import spec
from mdf.conversion import noise
from mdf.conversion.options import ConversionError, Options
from mdf.conversion.positions import contents_of_positions, grid_sequence
from mdf.file import File

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_AVERAGES = "/acquisition/numAverages"
_INDUCTION = "/acquisition/receiver/inductionFactor"
_PLAIN_COSINES = ("DCT-II", "DCT-IV")  # what MPIFiles.jl reads


@dataclass
class Plan:
    """What a conversion does.

    Parameters
    ----------
    frames : shape (n,)
        Stored frames of the source, from 0, in the order of the target; not yet averaged.
    channels : shape (C',)
        Of the source, from 0.
    domain : str
        Of the target, "time" or "frequency".
    stored : shape (K,)
        Components that the source knows, from 0, ascending.
    lines : shape (K',)
        Components of the target, from 0, ascending; of time data all.
    average : int
        Frames averaged into one.
    frames_last : bool
    sparsity : (str, int) or None
        Transformation, and how many coefficients are kept.
    contents : dict
        For `mdf.create`.
    steps, remarks : list of str
        What is done, and what the user should know, in words.
    computes_snr : bool
        The signal-to-noise ratio is missing, and computed when the file is written.
    """

    frames: Ints
    channels: Ints
    domain: str
    stored: Ints
    lines: Ints
    average: int = 1
    frames_last: bool = False
    sparsity: tuple[str, int] | None = None
    contents: dict[str, Any] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    computes_snr: bool = False

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, J, C, V or K) of the target."""
        frames, periods, channels, samples = (
            int(self.contents[path]) for path in (spec.FRAMES, spec.PERIODS, spec.CHANNELS, spec.SAMPLES)
        )
        return frames, periods, channels, samples if self.domain == "time" else len(self.lines)


def make_plan(file: File, options: Options) -> Plan:
    """Return what to do, or say why it cannot be done.

    Raises
    ------
    ConversionError
        If it makes no sense for this file.
    MdfError
        If the file is damaged.
    """
    if file.measurement is None:
        raise ConversionError("the file has no measurement, there is no signal to convert")
    is_fourier = bool(file.value(spec.FOURIER))
    stored = np.flatnonzero(file.stored_lines) if is_fourier else np.arange(file._layout.samples // 2 + 1)
    plan = Plan(
        frames=np.arange(file.num_frames),
        channels=np.arange(file.num_channels),
        domain="frequency" if is_fourier else "time",
        stored=stored,
        lines=stored,
        frames_last=bool(file.value(spec.FAST_FRAME_AXIS)),
        contents=file.contents(),
    )
    if file.version != spec.VERSION:
        plan.steps.append(f"version {file.version} to {spec.VERSION}")
    _choose_domain(file, plan, options)
    _choose_frames(file, plan, options)
    _choose_channels(plan, options)
    _choose_lines(file, plan, options)
    _choose_axes(file, plan, options)
    _average(file, plan, options)
    _describe(file, plan)
    plan.remarks += remarks_of_copies(file)
    if options.compression is not None:
        plan.steps.append(f"compressed ({options.compression})")
    return plan


def remarks_of_copies(file: File) -> list[str]:
    """Say which of the user's nodes do not come into the new file."""
    left = file.left_out()
    if not left:
        return []
    some = ", ".join(left[:3]) + (f" and {len(left) - 3} more" if len(left) > 3 else "")
    return [f"not copied, for the values stand in another file or are virtual: {some}"]


def _choose_domain(file: File, plan: Plan, options: Options) -> None:
    is_sparse = options.sparsity not in {None, "none"}
    wanted = options.domain or ("frequency" if options.selects_components or is_sparse else plan.domain)
    if wanted == plan.domain:
        return
    plan.steps.append(f"{plan.domain} to {wanted} domain")
    plan.domain = wanted
    total = file.num_samples // 2 + 1
    if wanted == "time" and len(plan.stored) < total:
        plan.remarks.append(
            f"the file stores {len(plan.stored)} of {total} frequency components: the time signal is "
            "what they make up"
        )
    if wanted == "time":
        plan.lines = np.arange(total)


def _choose_frames(file: File, plan: Plan, options: Options) -> None:
    acquired, background = file.frame_index("all", "stored"), _stored_background(file)
    order = options.order
    sequence = _ordered(file, plan, order)
    if options.sparsity not in {None, "none"} and not _is_full_grid(file, sequence):
        order, sequence = "grid", _ordered(file, plan, "grid")
    if not np.array_equal(sequence, plan.frames):
        plan.steps.append(f"frames in {order} order")
    if isinstance(options.frames, str):
        is_kept = np.ones(len(sequence), bool)
        if options.frames != "all":
            is_kept = background[sequence] == (options.frames == "background")
        chosen = sequence[is_kept]
    else:
        chosen = _by_index(sequence, options.frames)
    if len(chosen) == 0:
        raise ConversionError(f"no frame is left: frames is {options.frames!r}")
    if len(chosen) < len(sequence):
        plan.steps.append(f"{len(chosen)} of {len(sequence)} frames")
    ranks = np.argsort(np.argsort(acquired[chosen]))
    is_permuted = not np.array_equal(ranks, np.arange(len(ranks)))
    plan.frames = chosen
    plan.contents |= {
        spec.BACKGROUND: background[chosen],
        spec.PERMUTED: is_permuted,
        spec.PERMUTATION: ranks + 1 if is_permuted else None,
    }
    if file.is_calibration:
        _place_frames(file, plan, background)


def _stored_background(file: File) -> NDArray[np.bool_]:
    return file.is_background[file.frame_index("all", "stored")]


def _ordered(file: File, plan: Plan, order: str | None) -> Ints:
    """Return all stored frames in an order; on a grid, the background frames come last."""
    acquired, background = file.frame_index("all", "stored"), _stored_background(file)
    if order == "acquisition":
        return np.argsort(acquired)
    if order == "grid":
        foreground, empty = np.flatnonzero(~background), np.flatnonzero(background)
        return np.concatenate([foreground[grid_sequence(file)], empty[np.argsort(acquired[empty])]])
    return plan.frames


def _by_index(sequence: Ints, frames: Sequence[int] | slice) -> Ints:
    if isinstance(frames, slice):
        return sequence[frames]
    return sequence[_indices("frames", frames, len(sequence))]


def _indices(name: str, index: Sequence[int], count: int) -> Ints:
    """Return distinct places that exist, from 0."""
    places = np.asarray(index)
    if places.ndim != 1 or places.size == 0 or places.dtype.kind not in "iu":
        raise ConversionError(f"{name} is {index!r}, expected whole numbers")
    if places.min() < 0 or places.max() >= count or len(np.unique(places)) < len(places):
        raise ConversionError(f"{name} is {places.tolist()}, expected different ones from 0 to {count - 1}")
    return places.astype(np.int64)


def _place_frames(file: File, plan: Plan, background: NDArray[np.bool_]) -> None:
    """Have the calibration say where its frames stand now."""
    foreground = plan.frames[~background[plan.frames]]
    if len(foreground) == 0:
        plan.contents = {
            path: value for path, value in plan.contents.items() if not path.startswith("/calibration")
        }
        plan.remarks.append("no position is left: the file is no calibration any more")
        return
    place = np.cumsum(~background) - 1
    changed, remarks = contents_of_positions(file, place[foreground])
    plan.contents |= changed
    plan.remarks += remarks


def _choose_channels(plan: Plan, options: Options) -> None:
    if options.channels is None:
        return
    chosen = _indices("channels", options.channels, len(plan.channels))
    if not np.array_equal(chosen, plan.channels):
        plan.steps.append(f"receive channels {', '.join(map(str, chosen))} (from 0)")
    plan.channels = chosen


def _choose_lines(file: File, plan: Plan, options: Options) -> None:
    """Choose components, and give every dataset that depends on them the ones that are stored."""
    ratio = plan.contents.get(spec.SNR)
    if file.is_calibration and spec.SNR not in plan.contents and "/calibration/method" in plan.contents:
        reason = noise.why_not(file)
        plan.computes_snr = not reason
        if options.needs_snr and not reason:
            ratio = noise.of_file(file)
            plan.contents[spec.SNR], plan.computes_snr = ratio, False
        if not reason:
            plan.steps.append("signal-to-noise ratio of the calibration computed")
    if options.selects_components:
        plan.lines = _selected(file, plan, options, ratio)
        if len(plan.lines) < len(plan.stored):
            plan.steps.append(f"{len(plan.lines)} of {len(plan.stored)} frequency components")
    _follow_lines(file, plan)


def _selected(file: File, plan: Plan, options: Options, ratio: Floats | None) -> Ints:
    lines, keep = plan.stored, np.ones(len(plan.stored), bool)
    if options.band is not None:
        low, high = options.band
        frequencies = lines * file.sampling_rate / file.num_samples
        keep &= (frequencies >= (low or 0.0)) & (frequencies <= (np.inf if high is None else high))
    if options.needs_snr:
        if ratio is None:
            raise ConversionError(
                "the file has no signal-to-noise ratio to choose components by, and none can be computed: "
                f"{noise.why_not(file)}"
            )
        best = ratio[:, plan.channels].max(axis=(0, 1))
        if options.snr_threshold is not None:
            keep &= best >= options.snr_threshold
        if options.best is not None:
            order = np.argsort(np.where(keep, -best, np.inf), kind="stable")[: options.best]
            keep &= np.isin(np.arange(len(lines)), order)
    if not np.any(keep):
        raise ConversionError(
            "no frequency component is left", hint="choose a wider band or a lower threshold"
        )
    return lines[keep]


def by_line(values: Any, stored: Ints, lines: Ints, total: int) -> Any:
    """Return an array (..., K) of the stored components for others, 0 where the source has none."""
    full = np.zeros((*values.shape[:-1], total), values.dtype)
    full[..., stored] = values
    return full[..., lines]


def _follow_lines(file: File, plan: Plan) -> None:
    total = file.num_samples // 2 + 1
    is_selected = plan.domain == "frequency" and len(plan.lines) < total
    plan.contents |= {
        spec.FOURIER: plan.domain == "frequency",
        spec.SELECTED: is_selected,
        spec.SELECTION: plan.lines + 1 if is_selected else None,
    }
    plan.contents.pop(spec.CONVERSION, None)  # it is applied to what is read
    for path in (spec.TRANSFER_FUNCTION, spec.SNR):
        if plan.contents.get(path) is not None:
            of_stored = _ascending(file, np.asarray(plan.contents[path]))
            value = by_line(of_stored, plan.stored, plan.lines, total)
            plan.contents[path] = value[..., plan.channels, :]
    if plan.contents.get(_INDUCTION) is not None:
        plan.contents[_INDUCTION] = plan.contents[_INDUCTION][plan.channels]


def _ascending(file: File, values: Any) -> Any:
    """Return an array (..., K) with the stored components in ascending order."""
    if not file.value(spec.FOURIER):
        return values
    return values[..., np.argsort(file.frequencies, kind="stable")]


def _choose_axes(file: File, plan: Plan, options: Options) -> None:
    """Choose the sparsity transformation and the frame axis."""
    was = str(file.value(spec.TRANSFORMATION)) if file.value(spec.SPARSE) else None
    wanted = was if options.sparsity is None else options.sparsity
    foreground = np.flatnonzero(~np.asarray(plan.contents[spec.BACKGROUND]))
    if wanted not in {None, "none"}:
        possible = plan.domain == "frequency" and options.fast_frame_axis is not False
        possible = possible and options.average_frames == 1 and _is_full_grid(file, plan.frames)
        if possible and wanted is not None:
            plan.sparsity = (wanted, _num_kept(file, options, len(foreground)))
        elif options.sparsity is not None:
            raise ConversionError(
                f"sparsity is {wanted!r}: this takes all positions of a calibration, and no averaging"
            )
    frames_last = plan.frames_last if options.fast_frame_axis is None else options.fast_frame_axis
    frames_last = frames_last or plan.sparsity is not None
    if frames_last != plan.frames_last:
        plan.steps.append(f"frame axis {'last' if frames_last else 'first'}")
    plan.frames_last = frames_last
    if plan.sparsity is None and was is not None:
        plan.steps.append(f"sparsity transformation {was} undone")
    if plan.sparsity is not None and options.sparsity is not None:
        plan.steps.append(f"{plan.sparsity[0]}, {plan.sparsity[1]} of {len(foreground)} coefficients kept")
        if plan.sparsity[0] not in _PLAIN_COSINES:
            plan.remarks.append(f"MPIFiles.jl does not read {plan.sparsity[0]}, only DCT-II and DCT-IV")


def _is_full_grid(file: File, frames: Ints) -> bool:
    """Say whether frames are all positions in the order of the grid, and then the background."""
    size = file.value("/calibration/size") if file.is_calibration else None
    background = _stored_background(file)
    if size is None or np.any(np.diff(background[frames].astype(int)) < 0):
        return False
    place = (np.cumsum(~background) - 1)[frames[~background[frames]]]
    is_whole = len(place) == np.sum(~background) == np.prod(size)
    try:
        sequence = grid_sequence(file) if is_whole else place[:0]
    except ConversionError:
        return False
    is_as_stored = file.value("/calibration/positions") is None and np.array_equal(
        place, np.arange(len(place))
    )
    return bool(is_whole and (is_as_stored or np.array_equal(place, sequence)))


def _num_kept(file: File, options: Options, positions: int) -> int:
    if options.kept is None:
        return int(file.value(spec.INDICES).shape[-1])
    if isinstance(options.kept, float) and options.kept <= 1:
        return max(1, round(options.kept * positions))
    if options.kept > positions:
        raise ConversionError(f"kept is {options.kept}, there are {positions} positions")
    return int(options.kept)


def _average(file: File, plan: Plan, options: Options) -> None:
    together = int(options.average_frames)
    if together == 1:
        return
    if file.is_calibration:
        raise ConversionError("the frames of a calibration are different positions, their mean means nothing")
    if plan.contents[spec.PERMUTED]:
        raise ConversionError(
            "frames that are not in the order of acquisition are not averaged", hint='add order="acquisition"'
        )
    if len(plan.frames) % together:
        whole = len(plan.frames) // together * together
        raise ConversionError(
            f"{len(plan.frames)} frames make no blocks of {together}",
            hint=f"choose {whole} of the frames" if whole else "average fewer frames",
        )
    plan.average = together
    blocks = np.asarray(plan.contents[spec.BACKGROUND]).reshape(-1, together)
    plan.contents[spec.BACKGROUND] = blocks.any(axis=1)
    plan.contents[_AVERAGES] = int(plan.contents.get(_AVERAGES) or 1) * together
    plan.steps.append(f"{together} frames averaged into one")
    mixed = int(np.sum(blocks.any(axis=1) & ~blocks.all(axis=1)))
    if mixed:
        plan.remarks.append(f"{mixed} averages mix empty frames with others, and count as empty")


def _describe(file: File, plan: Plan) -> None:
    """Put in the numbers and flags of what is written."""
    plan.contents |= {
        spec.FRAMES: len(plan.frames) // plan.average,
        spec.PERIODS: file.num_periods,
        spec.CHANNELS: len(plan.channels),
        spec.SAMPLES: file.num_samples,
        spec.FAST_FRAME_AXIS: plan.frames_last,
        spec.SPARSE: plan.sparsity is not None,
        spec.TRANSFORMATION: plan.sparsity[0] if plan.sparsity is not None else None,
        spec.INDICES: None,
    }
