"""A scanner on your desk: particles, phantoms, presets, scans, calibrations and their files."""

from mpikit.simulate.calibrations import Calibration, calibrate, system_matrix
from mpikit.simulate.particles import Particle
from mpikit.simulate.phantoms import Phantom, make_phantom
from mpikit.simulate.presets import Preset, preset, preset_names
from mpikit.simulate.scans import simulate_scan

__all__ = [
    "Calibration",
    "Particle",
    "Phantom",
    "Preset",
    "calibrate",
    "make_phantom",
    "preset",
    "preset_names",
    "simulate_scan",
    "system_matrix",
]
