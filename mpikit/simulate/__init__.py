"""A scanner on your desk: particles, phantoms, presets, scans, calibrations and their files."""

from mpikit.simulate.calibrations import Calibration, calibrate, system_matrix
from mpikit.simulate.particles import Particle
from mpikit.simulate.phantoms import Phantom, make_phantom
from mpikit.simulate.presets import Preset, preset, preset_names
from mpikit.simulate.receive import Receiver
from mpikit.simulate.scans import simulate_scan
from mpikit.simulate.signals import Signals

__all__ = [
    "Calibration",
    "Particle",
    "Phantom",
    "Preset",
    "Receiver",
    "Signals",
    "calibrate",
    "make_phantom",
    "preset",
    "preset_names",
    "simulate_scan",
    "system_matrix",
]
