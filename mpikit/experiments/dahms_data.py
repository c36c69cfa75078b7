"""The data of Dahms et al.: point samples of one simulated session, to train, to test, and to find limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mdf
from mpikit.experiments.published_dahms import GROUP, PRESET
from mpikit.judging import take_periods
from mpikit.scan import Scan
from mpikit.scan_file import read_background, read_scan
from mpikit.scan_set import with_empty_measurements
from mpikit.signal import subtract_background
from mpikit.simulate import How, Preset, preset, simulate_parts
from mpikit.simulate.presets import Part

Floats = NDArray[np.float64]
IRON = 55.845e3  # µg/mL of iron for 1 mol/L
LOWEST, STEPS = 1.5221e-6, 4  # mol(Fe)/L; of the dilution series, and its concentrations in a decade
LADDER = tuple(float(each) for each in LOWEST * 10 ** (np.arange(19) / STEPS))  # to ten times the trained
LIMIT_LEVELS = LADDER[8:13]  # 8.5 to 85 µg/mL: the calibration line of the detection limit
PLACES = (-0.005, 0.001, 0.007)  # m, of the dilution series: test places
PLACE = 0.001  # m, next to the centre: of the detection limit and of the images
AVERAGES = 1000  # of a reference


@dataclass(frozen=True)
class Samples:
    """Point samples, with what is known of them.

    Parameters
    ----------
    scan : Scan
        N samples, J periods each, with frames of the empty scanner.
    positions : shape (N, 3), m
    concentrations : shape (N,), mol(Fe)/L
    """

    scan: Scan
    positions: Floats
    concentrations: Floats


@dataclass(frozen=True)
class Matrix:
    """A measured system matrix.

    Parameters
    ----------
    spectra : shape (P, C, K), V for 1 mol(Fe)/L
    snr : shape (C, K)
    grid : mdf.Grid
        Of its P places.
    """

    spectra: NDArray[np.complex128]
    snr: Floats
    grid: mdf.Grid


@dataclass(frozen=True)
class Session:
    """One session at the scanner.

    Parameters
    ----------
    training : Samples
        Every second concentration and position, single periods.
    test, reference : Samples
        The others: single periods, and the means of 1000.
    series : Samples
        Dilution series at three test places.
    series_reference : shape (N, 1, C, V), V
        Means of 1000 periods of that series.
    blanks : Samples
        The empty scanner as if it were samples.
    new_series, new_blanks : Samples
        The series at one place and the empty scanner once more: what checks a limit had no part in it.
    matrix : Matrix
    """

    training: Samples
    test: Samples
    reference: Samples
    series: Samples
    series_reference: NDArray[np.float32]
    blanks: Samples
    new_series: Samples
    new_blanks: Samples
    matrix: Matrix


def sample_levels() -> tuple[float, ...]:
    """Return the concentrations of the test samples, mol(Fe)/L."""
    return _part("test").concentrations


def highest_trained() -> float:
    """Return the highest concentration of the training samples, mol(Fe)/L."""
    return max(_part("train").concentrations)


def _part(name: str) -> Part:
    return next(part for part in preset(PRESET).parts if part.name == name)


def make_session(*, periods: int, judged: int, blanks: int, seed: int) -> Session:
    """Simulate a session; its files live as long as it takes to read them.

    Parameters
    ----------
    periods : int
        Of each training sample and each frame of the empty scanner.
    judged : int
        Of each sample that is judged, a multiple of ten, at most ``periods``.
    blanks : int
        Of each of the empty frames that check a limit, likewise. It is claimed from ``periods``: with as few,
        chance in the claim would fail the check.
    seed : int
    """
    with TemporaryDirectory(prefix="mpikit-") as name:
        folder = Path(name)
        simulate_parts(_scanner(periods), folder, how=How(seed=seed))
        return Session(
            training=_samples(folder, "train", periods),
            test=_samples(folder, "test", judged),
            reference=_samples(folder, "reference", 1),
            series=_samples(folder, "series", judged),
            series_reference=_samples(folder, "series-reference", 1).scan.signal,
            blanks=_blanks(folder, "blanks", periods),
            new_series=_samples(folder, "new-series", judged),
            new_blanks=_blanks(folder, "new-blanks", blanks),
            matrix=_matrix(folder),
        )


def _scanner(periods: int) -> Preset:
    """Return the preset with dilution series and further blanks, all with the same number of periods."""
    base = preset(PRESET)
    series = replace(_part("test"), positions=PLACES, concentrations=LADDER)
    empty = _part("background")
    parts = [
        *base.parts,
        replace(series, name="series"),
        replace(series, name="series-reference", periods=1, averages=AVERAGES),
        replace(series, name="new-series", positions=(PLACE,)),
        replace(empty, name="blanks"),
        replace(empty, name="new-blanks"),
    ]
    return replace(base, periods=periods, parts=tuple(parts))


def _samples(folder: Path, name: str, periods: int) -> Samples:
    path = folder / f"{name}.mdf"
    scan = read_scan(path)
    if scan.signal.shape[1] > 1:  # a reference is one mean period, and nothing is done to it
        scan = with_empty_measurements(scan, [folder / "background.mdf"])
    with mdf.open(path) as file:
        positions, doses = (
            np.asarray(file.user_value(f"/_mpikit/sample_{each}"), np.float64)
            for each in ("positions", "concentrations")
        )
    return Samples(first_periods(scan, periods), positions, doses)


def _blanks(folder: Path, name: str, periods: int) -> Samples:
    """Read frames of the empty scanner as samples, with those of the training beside them."""
    empty = read_background(folder / f"{name}.mdf")
    scan = replace(
        empty,
        signal=empty.background,
        foreground_index=empty.background_index,
        background=empty.background[:0],
        background_index=empty.background_index[:0],
        repeats="periods",
    )
    scan = with_empty_measurements(scan, [folder / "background.mdf"])
    frames = len(scan.signal)
    return Samples(first_periods(scan, periods), np.tile([PLACE, 0, 0], (frames, 1)), np.zeros(frames))


def _matrix(folder: Path) -> Matrix:
    """Read the simulated calibration, free of its background."""
    path = folder / "systemmatrix.mdf"
    scan = subtract_background(read_scan(path))
    with mdf.open(path) as file:
        calibration, grid = file.calibration, file.grid
        if calibration is None or grid is None or calibration.snr is None:
            raise ValueError(f"{path.name} is no calibration with a grid")  # we have just written it
        snr = np.asarray(calibration.snr, np.float64)[0]
    spectra = np.fft.rfft(scan.signal[:, 0].astype(np.float64), axis=-1)
    return Matrix(spectra / preset(PRESET).calibration.concentration, snr, grid)


def first_periods(scan: Scan, count: int) -> Scan:
    """Return the scan with its first periods; the frames of the empty scanner lose as many."""
    return some_periods(scan, range(count))


def some_periods(scan: Scan, wanted: Sequence[int]) -> Scan:
    """Return the scan with some of its periods, in all frames."""
    return take_periods(scan, np.isin(np.arange(scan.signal.shape[1]), wanted))


def tens(scan: Scan) -> list[Scan]:
    """Return a scan in parts of ten periods each."""
    count = scan.signal.shape[1] // GROUP
    return [some_periods(scan, range(GROUP * at, GROUP * (at + 1))) for at in range(count)]


def grouped(signals: NDArray[Any]) -> Floats:
    """Return means of ten periods after the other: (N, J, C, V) into (N, J / 10, C, V).

    The harmonics of ten periods that are joined are those of their mean, and no other line is used.
    """
    frames, periods, *rest = signals.shape
    groups = periods // GROUP
    joined = signals[:, : groups * GROUP].reshape(frames, groups, GROUP, *rest)
    return np.asarray(joined.mean(axis=2, dtype=np.float64))


def ten_together(scan: Scan) -> Scan:
    """Return the scan with means of ten periods for its periods, also in the empty frames."""
    fewer = first_periods(scan, scan.signal.shape[1] // GROUP)
    signal, background = (grouped(each).astype(np.float32) for each in (scan.signal, scan.background))
    return replace(fewer, signal=signal, background=background)


def micrograms(concentration: float) -> float:
    """Return a concentration in µg/mL of iron, from mol/L."""
    return IRON * concentration
