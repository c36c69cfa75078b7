"""What `dahms_denoise.py` measures: the files of the preset dahms2026, and some more of the same session."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from images_scenes import Matrix

import mdf
from mpikit.scan_file import read_background, read_scan
from mpikit.scan_set import with_empty_measurements
from mpikit.signal import subtract_background
from mpikit.simulate import How, preset, simulate_parts

GROUP = 10  # periods of one image, as in the paper
FIFTH = 5  # harmonic whose amplitude is looked at
IRON = 55.845e3  # µg/mL of iron for 1 mol/L
LOWEST, DECADES, STEPS = 1.5221e-6, 4.5, 4  # mol(Fe)/L; of the dilution series, levels in each decade
SERIES_PLACES = (-0.005, 0.001, 0.007)  # m, test places
PLACE = 0.001  # m, of the detection limit
LIMIT_LEVELS = LOWEST * 10 ** (np.arange(8, 13) / STEPS)  # mol/L, 8.5 to 85 µg/mL: its calibration line


def ladder():
    """Concentrations of the dilution series, mol(Fe)/L: up to ten times the highest trained one."""
    return tuple(LOWEST * 10 ** (np.arange(round(DECADES * STEPS) + 1) / STEPS))


def simulate(folder, *, seed):
    """Write all files into a folder: those of the preset, a dilution series, another one, and blanks.

    In ``clean`` is what the test samples give without noise; no method sees it.
    """
    folder = Path(folder)
    base = preset("dahms2026")
    empty = next(part for part in base.parts if part.kind == "empty")
    some = next(part for part in base.parts if part.name == "test")
    series = replace(some, positions=SERIES_PLACES, concentrations=ladder())
    parts = [
        replace(series, name="series"),
        replace(series, name="series-check", positions=(PLACE,)),
        replace(empty, name="blanks"),
        replace(empty, name="blanks-check"),
    ]
    how = How(seed=seed, overwrite=True)
    simulate_parts(replace(base, parts=(*base.parts, *parts)), folder, how=how)
    clean = replace(base, parts=(replace(some, periods=1),))
    simulate_parts(clean, folder / "clean", noise=(), how=how)


@dataclass(frozen=True)
class Samples:
    """A scan of point samples, single periods, with what is known of them.

    Parameters
    ----------
    scan : Scan
        N samples, J periods each, with the frames of the empty scanner.
    positions : shape (N, 3), m
    concentrations : shape (N,), mol(Fe)/L
    """

    scan: object
    positions: np.ndarray
    concentrations: np.ndarray


def read_samples(folder, name, *, periods=None):
    """Read the samples of one file, some of their periods."""
    path = Path(folder) / f"{name}.mdf"
    scan = read_scan(path)
    if scan.signal.shape[1] > 1:  # the reference is one mean period, and nothing is done to it
        scan = with_empty_measurements(scan, [Path(folder) / "background.mdf"])
    with mdf.open(path) as file:
        positions = np.asarray(file.user_value("/_mpikit/sample_positions"))
        doses = np.asarray(file.user_value("/_mpikit/sample_concentrations"))
    return Samples(some_periods(scan, slice(periods)), positions, doses)


def read_blanks(folder, name, *, periods):
    """Read frames of the empty scanner as if they were samples, those of the training beside them."""
    empty = read_background(Path(folder) / f"{name}.mdf")
    scan = replace(
        empty,
        signal=empty.background,
        foreground_index=empty.background_index,
        background=empty.background[:0],
        background_index=empty.background_index[:0],
        repeats="periods",
    )
    scan = with_empty_measurements(scan, [Path(folder) / "background.mdf"])
    frames = len(scan.signal)
    return Samples(some_periods(scan, slice(periods)), np.tile([PLACE, 0, 0], (frames, 1)), np.zeros(frames))


def some_periods(scan, part):
    """Return the scan with a slice of its periods; the empty frames lose as many."""
    field, selection = scan.drive_field, scan.selection_field
    return replace(
        scan,
        signal=scan.signal[:, part],
        background=scan.background[:, part],
        drive_field=replace(field, amplitudes=field.amplitudes[part], phases=field.phases[part]),
        selection_field=replace(selection, gradient=selection.gradient[part], offset=selection.offset[part]),
    )


def tens(periods):
    """Slices of ten periods each."""
    return [slice(start, start + GROUP) for start in range(0, periods - GROUP + 1, GROUP)]


def micrograms(concentration):
    """Concentration in µg/mL of iron, from mol/L."""
    return IRON * concentration


def grouped(signals):
    """Means of ten periods after the other: (N, J, C, V) into (N, J / 10, C, V).

    The harmonics of ten periods that are joined are those of their mean, and no other line is used.
    """
    frames, periods, *rest = signals.shape
    groups = periods // GROUP
    joined = signals[:, : groups * GROUP].reshape(frames, groups, GROUP, *rest)
    return joined.mean(axis=2, dtype=np.float64)


def ten_together(scan):
    """Return the scan with the means of ten periods for its periods, also in the empty frames."""
    fewer = some_periods(scan, slice(scan.signal.shape[1] // GROUP))
    signal, background = (grouped(each).astype(np.float32) for each in (scan.signal, scan.background))
    return replace(fewer, signal=signal, background=background)


def read_matrix(folder):
    """Read the simulated calibration, free of its background."""
    path = Path(folder) / "systemmatrix.mdf"
    scan = subtract_background(read_scan(path))
    with mdf.open(path) as file:
        calibration, grid = file.calibration, file.grid
        snr = np.asarray(calibration.snr)[0]
    concentration = preset("dahms2026").calibration.concentration
    return Matrix(np.fft.rfft(scan.signal[:, 0].astype(np.float64), axis=-1) / concentration, snr, grid)
