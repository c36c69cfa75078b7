"""What `images_denoise.py` measures: digits and point samples with realistic noise, and calibrations."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from mdf import Grid
from mpikit.plugins import parse_noise
from mpikit.signal import subtract_background
from mpikit.simulate import Phantom, calibrate, make_phantom, preset, simulate_scan
from mpikit.simulate.calibrations import SignalToNoise

EMPTY = 20  # empty frames, half of them before and half after the others
OPENMPI_NOISE = (
    "coloured:sigma=3e-4,exponent=1,corner=50e3",
    "background:amplitude=1e-3,lines=20,decay_db=1,drift=0.05,drift_frames=20",
)
FINE = Grid(np.array([44, 44, 1]), np.array([0.022, 0.022, 0.001]), np.zeros(3))  # 4 x 4 for a voxel of 2 mm


@dataclass(frozen=True)
class Samples:
    """Point samples for dose, position and detection limit, all concentrations in mol(Fe)/L.

    Parameters
    ----------
    levels, training_levels : tuple of float
    low : tuple of float
        The calibration line of the detection limit, which is that of one place.
    place : shape (3,), m
    averages : int
        Periods of the plain image whose limit is shown beside that of one period.
    """

    levels: tuple[float, ...]
    training_levels: tuple[float, ...]
    low: tuple[float, ...]
    place: tuple[float, float, float]
    averages: int


@dataclass(frozen=True)
class Scene:
    """One experiment.

    Parameters
    ----------
    preset : mpikit.simulate.Preset
    noise : tuple of str
    calibration_noise : tuple of str
    concentration : float or None
        Of digits; None for point samples.
    samples : Samples or None
    """

    name: str
    preset: object
    noise: tuple[str, ...]
    calibration_noise: tuple[str, ...]
    concentration: float | None = None
    samples: Samples | None = None
    counts: dict[str, int] = field(default_factory=dict)


def scenes(*, quick):
    """Return the experiments."""
    openmpi, dahms = preset("openmpi-2d"), preset("dahms2026")
    averaged = ("coloured:sigma=3e-5,exponent=1,corner=50e3", OPENMPI_NOISE[1])
    counts = {
        "training": 100 if quick else 400,
        "test": 10 if quick else 40,
        "periods": 64 if quick else 256,
        "repeats": 2,
    }
    few = {
        "training": 40 if quick else 120,
        "test": 10 if quick else 20,
        "periods": 64 if quick else 128,
        "repeats": 16,
    }
    points = {"training": 11, "test": 10, "periods": 128 if quick else 1024, "repeats": 256}
    openmpi_samples = Samples(
        (0.003, 0.01, 0.03, 0.1), (0.0055, 0.0175, 0.055), (0.01, 0.03), (2e-3, -4e-3, 0.0), 16
    )
    dahms_samples = Samples(
        (1.5221e-6, 1.5221e-5, 1.5221e-4, 1.5221e-3, 1.5221e-2),
        (4.8132e-6, 4.8132e-5, 4.8132e-4, 4.8132e-3),
        (1.5221e-4, 1.5221e-3),
        (1e-3, 0.0, 0.0),
        64,
    )
    both = (openmpi, OPENMPI_NOISE, averaged)
    return [
        Scene("openmpi-2d, digits, 10 dB", *both, concentration=0.02, counts=counts),
        Scene("openmpi-2d, digits, -10 dB", *both, concentration=0.002, counts=counts),
        Scene("openmpi-2d, points", *both, samples=openmpi_samples, counts=few),
        Scene(
            "dahms2026, points",
            dahms,
            dahms.noise,
            ("gaussian:sigma=6.3e-7", dahms.noise[1]),
            samples=dahms_samples,
            counts=points,
        ),
    ]


@dataclass(frozen=True)
class Objects:
    """Phantoms to be measured.

    Parameters
    ----------
    phantom : Phantom
        Q images, the blanks last.
    levels : shape (Q,)
        Concentration, 0 for blanks.
    positions : shape (Q, 3), m
        Where the sample is; of a blank, where it is looked for. Zero for digits.
    references : shape (Q, z, y, x)
        The images that a reconstruction should give.
    """

    phantom: Phantom
    levels: np.ndarray
    positions: np.ndarray
    references: np.ndarray


def digits(scene, *, start, count):
    """Digits that are different pictures for different starts."""
    every = make_phantom(
        "digits", FINE, concentration=scene.concentration, count=start + count, rng=np.random.default_rng(2)
    )
    phantom = every.part(slice(start, start + count))
    levels = np.full(count, scene.concentration)
    return Objects(phantom, levels, np.zeros((count, 3)), on_calibration_grid(scene, phantom))


def points(scene, places, levels, *, blanks=0):
    """Samples of each concentration at each place, and so many blanks for each place."""
    grid = FINE if scene.preset.name == "openmpi-2d" else scene.preset.phantom.grid()
    each = np.concatenate([np.repeat(levels, len(places)), np.zeros(blanks * len(places))])
    where = np.tile(places, (len(levels) + blanks, 1))
    size = scene.preset.calibration.grid().spacing
    inside = np.all(np.abs(grid.positions()[None] - where[:, None]) < size / 2 + 1e-9, axis=2)
    images = (inside * each[:, None]).reshape(-1, *grid.shape)
    phantom = Phantom(images, grid, "points")
    return Objects(phantom, each, where, on_calibration_grid(scene, phantom))


def on_calibration_grid(scene, phantom):
    """Mean concentration in the voxels of the calibration."""
    grid = scene.preset.calibration.grid()
    owner = grid.nearest(phantom.grid.positions())
    total = np.zeros((phantom.count, int(np.prod(grid.size))))
    share = np.prod(phantom.grid.spacing) / np.prod(grid.spacing)
    np.add.at(total.T, owner, phantom.images.reshape(phantom.count, -1).T * share)
    return total.reshape(-1, *grid.shape)


def places_of(scene, *, training, rng):
    """Places of training and of test samples, never the same."""
    count = scene.counts["training" if training else "test"]
    if scene.preset.name == "dahms2026":  # the paper: odd places for the test, even ones for the training
        x = np.arange(-10, 11, 2) if training else np.arange(-9, 10, 2)
        return np.stack([1e-3 * x, 0 * x, 0 * x], axis=1)
    return np.append(0.5e-3 * rng.integers(-17, 18, size=(count, 2)), np.zeros((count, 1)), axis=1)


def measure(scene, objects, *, periods, seed):
    """Scan objects in random order and subtract the background: the same for whoever goes on from here."""
    order = np.random.default_rng((seed, 1)).permutation(objects.phantom.count)
    scan, clean = simulate_scan(
        scene.preset,
        Phantom(objects.phantom.images[order], objects.phantom.grid, scene.name),
        frames=len(order),
        periods=periods,
        background_frames=EMPTY,
        noise=[parse_noise(spec) for spec in scene.noise],
        rng=np.random.default_rng(seed),
    )
    cleared, back = subtract_background(scan), np.argsort(order)
    scan = replace(cleared, signal=cleared.signal[back], foreground_index=cleared.foreground_index[back])
    return scan, clean[back, 0]


@dataclass(frozen=True)
class Matrix:
    """A measured system matrix.

    Parameters
    ----------
    spectra : shape (P, C, K), V for a concentration of 1 mol/L
    snr : shape (C, K)
    grid : mdf.Grid
    """

    spectra: np.ndarray
    snr: np.ndarray
    grid: Grid


def calibration(scene, *, seed):
    """Calibrate with noise, subtract the background, and find the SNR of each row."""
    region = scene.preset.calibration
    found = calibrate(
        scene.preset,
        region.grid(),
        concentration=region.concentration,
        noise=[parse_noise(spec) for spec in scene.calibration_noise],
        rng=np.random.default_rng(seed),
    )
    ratio = SignalToNoise()
    ratio.add_background(np.fft.rfft(found.scan.background, axis=-1))
    ratio.add_places(np.fft.rfft(found.scan.signal, axis=-1))
    scan = subtract_background(found.scan)
    spectra = np.fft.rfft(scan.signal[:, 0], axis=-1) / found.concentration
    return Matrix(spectra, ratio.ratio()[0], found.grid)


def one_period(scan, count=1):
    """Return the scan with its first periods only."""
    field, selection = scan.drive_field, scan.selection_field
    part = slice(0, count)
    return replace(
        scan,
        signal=scan.signal[:, part],
        background=scan.background[:, part],
        drive_field=replace(field, amplitudes=field.amplitudes[part], phases=field.phases[part]),
        selection_field=replace(selection, gradient=selection.gradient[part], offset=selection.offset[part]),
        repeats="periods" if count > 1 else "none",
    )
