"""The noise of the empty scanner, as the fits take it."""

from __future__ import annotations

from dataclasses import replace

from mpikit import Scan
from mpikit.errors import InputError
from mpikit.noise_report import NoiseReport, enough_background, measure_noise


def empty_noise(scan: Scan) -> NoiseReport:
    """Measure the noise of the background frames of a scan.

    Parameters
    ----------
    scan : Scan

    Returns
    -------
    NoiseReport
        See `mpikit.noise_report.measure_noise`: neither the phase-locked background nor its drift counts.

    Raises
    ------
    InputError
        With too few background frames, when they are all the same, or with values that are no numbers.
    """
    if not enough_background(scan):
        raise InputError(
            f"{scan.name} has {len(scan.background)} background frames, and an estimate needs two",
            hint="use a file with an empty measurement, or give the options yourself",
        )
    alone = replace(scan, signal=scan.signal[:0], foreground_index=scan.foreground_index[:0], repeats="none")
    return measure_noise(alone)
