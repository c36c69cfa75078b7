"""A scanner on your desk: particles, phantoms, presets, scans, calibrations and their files."""

from mpikit.simulate.calibration_files import simulate_calibration_file
from mpikit.simulate.calibrations import Calibration, calibrate, system_matrix
from mpikit.simulate.files import How, Simulated, simulate_file
from mpikit.simulate.particles import Particle
from mpikit.simulate.parts import simulate_parts, simulate_splits
from mpikit.simulate.phantoms import Digits, Phantom, make_phantom
from mpikit.simulate.presets import Preset, preset, preset_names
from mpikit.simulate.receive import Adc, HighPass, Notch, Receiver, TransferFunction
from mpikit.simulate.request import Subject, recipe, requested, requested_splits
from mpikit.simulate.scanner_fields import Fields, fields_of
from mpikit.simulate.scans import simulate_scan
from mpikit.simulate.signals import Signals

__all__ = [
    "Adc",
    "Calibration",
    "Digits",
    "Fields",
    "HighPass",
    "How",
    "Notch",
    "Particle",
    "Phantom",
    "Preset",
    "Receiver",
    "Signals",
    "Simulated",
    "Subject",
    "TransferFunction",
    "calibrate",
    "fields_of",
    "make_phantom",
    "preset",
    "preset_names",
    "recipe",
    "requested",
    "requested_splits",
    "simulate_calibration_file",
    "simulate_file",
    "simulate_parts",
    "simulate_scan",
    "simulate_splits",
    "system_matrix",
]
