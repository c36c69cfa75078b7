"""The data of Peng et al.: noisy digits to train and to test, their images, and the unit of the RMSE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.events import Event, silent
from mpikit.judging import take_periods
from mpikit.plugins import parse_noise
from mpikit.reconstruct import trajectory, x_space
from mpikit.scan import Scan
from mpikit.simulate import Signals, make_phantom, preset, simulate_scan
from mpikit.simulate.phantoms import digit_splits

Floats = NDArray[np.float64]
CONCENTRATION = 0.1  # mol(Fe)/L, of white; all figures but the scale of the images are free of it
IMAGE = (101, 101)  # voxels, as the phantoms of the paper
MIN_SPEED = 0.5  # of the highest: slower samples are left out of the images
AT_ONCE = 500  # phantoms


@dataclass(frozen=True)
class DataSet:
    """Signals of digits, each measured in two periods.

    Parameters
    ----------
    training, test : Scan
        N signals of J = 2 noisy periods; no digit of one is in the other.
    training_clean, test_clean : shape (N, C, V), V
        The clean signals.
    """

    training: Scan
    training_clean: NDArray[np.float32]
    test: Scan
    test_clean: NDArray[np.float32]

    @property
    def single(self) -> Scan:
        """The test signals, the first period of each alone."""
        return replace(take_periods(self.test, np.array([True, False])), repeats="none")


def make_data(
    scanner_name: str,
    noise: Sequence[str],
    *,
    training: int,
    test: int,
    seed: int = 0,
    mnist: Path | None = None,
    tell: Callable[[Event], None] = silent,
) -> DataSet:
    """Simulate training and test signals with one type of noise.

    Parameters
    ----------
    scanner_name : str
        See `mpikit.simulate.preset`.
    noise : sequence of str
        See `mpikit.plugins.parse_noise`.
    training, test : int
        Signals.
    seed : int
        The digits do not depend on the type of the noise.
    mnist : Path or None
        See `mpikit.simulate.make_phantom`.
    tell : callable
        Takes events.

    Raises
    ------
    PluginError, InputError
        When there are no digits.
    """
    scanner = preset(scanner_name)
    splits = digit_splits(
        [training, test],
        scanner.phantom.grid(),
        concentration=CONCENTRATION,
        rng=np.random.default_rng((seed, 0)),
        mnist=mnist,
    )
    found: list[Any] = []
    for place, digits in enumerate(splits):
        scan, clean = simulate_scan(
            scanner,
            digits,
            frames=digits.count,
            periods=2,
            noise=[parse_noise(spec) for spec in noise],
            rng=np.random.default_rng((seed, 1, place)),
            tell=tell,
        )
        found += [scan, clean[:, 0].copy()]
    return DataSet(*found)


def images(scan: Scan, signals: NDArray[Any]) -> tuple[Floats, Grid]:
    """Reconstruct images by x-space, (N, C, V) to (N, z, y, x).

    The paper does not describe its reconstruction. Here samples slower than half the highest speed are left
    out, and 101 x 101 voxels are filled linearly.
    """
    path = trajectory(
        scan.drive_field, scan.selection_field, samples=signals.shape[-1], sampling_rate=scan.sampling_rate
    )
    return x_space(signals.astype(np.float64), path, size=IMAGE, min_speed=MIN_SPEED)


def amplitudes(
    scanner_name: str, *, count: int, seed: int = 0, mnist: Path | None = None
) -> tuple[float, float]:
    """Return the largest amplitude of a set of clean signals, V, and the mean of their rms in units of it.

    The paper does not say by what its signals are divided; its noisy rows say that the mean rms is 0.228.

    Parameters
    ----------
    scanner_name : str
        See `mpikit.simulate.preset`.
    count : int
        Phantoms; 10,000 in the paper.
    seed : int
    mnist : Path or None
    """
    scanner = preset(scanner_name)
    grid = scanner.phantom.grid()
    digits = make_phantom(
        "digits",
        grid,
        concentration=CONCENTRATION,
        count=count,
        rng=np.random.default_rng((seed, 2)),
        mnist=mnist,
    )
    signals = Signals(scanner, grid, images=count)
    largest, powers = 0.0, []
    for start in range(0, count, AT_ONCE):
        clean = signals.of(digits.part(slice(start, start + AT_ONCE)))[:, 0]
        largest = max(largest, float(np.abs(clean).max()))
        powers.append(np.mean(clean**2, axis=(1, 2)))
    return largest, float(np.sqrt(np.concatenate(powers)).mean()) / largest
