"""The whole path on simulated data: a scan, a calibration, denoising, two images and one picture."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mpikit.denoise import Denoised
from mpikit.denoise_file import default_output, denoise_file
from mpikit.errors import InputError
from mpikit.events import Event, Finding, silent
from mpikit.figures import side_by_side
from mpikit.files import check_output, planned_outputs
from mpikit.metrics import snr
from mpikit.reconstruct import Result, reconstruct_file
from mpikit.scan_file import read_scan
from mpikit.simulate import preset
from mpikit.simulate.calibration_files import simulate_calibration_file
from mpikit.simulate.files import How, simulate_file
from mpikit.simulate.request import Subject, recipe, requested

PRESET = "openmpi-2d"
METHOD = "unet-gd"
NOISE = ("gaussian:level=channel,snr_db=15",)
GRID, FIELD_OF_VIEW = (30, 30), (0.030, 0.030)
ITERATIONS, LAMBDA = 10, 0.1


@dataclass(frozen=True)
class Demo:
    """What the demonstration made.

    Parameters
    ----------
    folder : Path
    picture : Path
        One frame reconstructed before and after denoising.
    denoised : Denoised
    true_snr_db : dict
        Mean SNR of one frame against the clean simulation, dB: ``"before"`` and ``"after"``. The clean
        signal is used for these two figures alone.
    """

    folder: Path
    picture: Path
    denoised: Denoised
    true_snr_db: dict[str, float]


def run_demo(
    folder: Path, *, seed: int = 0, overwrite: bool = False, tell: Callable[[Event], None] = silent
) -> Demo:
    """Simulate, denoise and reconstruct, and write everything into a folder.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    seed : int
    overwrite : bool
        Replace what an earlier run wrote there.
    tell : callable
        Takes events.

    Raises
    ------
    InputError
        When the folder cannot be made, or holds files that may not be replaced.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be made: {error.strerror}") from error
    outputs = _outputs(folder)
    for path in outputs:
        check_output(path, overwrite=overwrite)
    scan, clean, matrix, picture, *_ = outputs
    scanner = preset(PRESET)
    _title(tell, "a scan of a smiling phantom, simulated")
    how = How(seed=seed, overwrite=overwrite, tell=tell)
    subject = Subject(phantom="smile")
    phantom, frames = requested(scanner, subject, seed=seed)
    told = recipe(scanner, subject)
    simulate_file(
        scanner, scan, phantom=phantom, frames=frames, noise=NOISE, clean=clean, recipe=told, how=how
    )
    _title(tell, "the system matrix of the same scanner")
    grid = scanner.calibration.grid(GRID, FIELD_OF_VIEW)
    simulate_calibration_file(scanner, matrix, grid=grid, how=replace(how, seed=seed + 1))
    _title(tell, f"{METHOD} learns from the noisy frames alone")
    denoised = denoise_file(scan, method=METHOD, seed=seed, overwrite=overwrite, tell=tell)
    _title(tell, "images of the noisy and of the denoised scan")
    images = [_image(path, matrix, overwrite=overwrite, tell=tell) for path in (scan, denoised.path)]
    _compare(picture, images, overwrite=overwrite)
    return Demo(folder, picture, denoised.result, _true_snr(clean, scan, denoised.result))


def plan_demo(folder: Path, *, seed: int = 0, overwrite: bool = False) -> dict[str, Any]:
    """Say what `run_demo` would do, ready for JSON; nothing is made or written.

    Raises
    ------
    InputError
        As `run_demo`, for what is there already.
    """
    outputs = _outputs(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"the folder {folder} cannot be made: {os.strerror(errno.EEXIST)}")
    for path in outputs if folder.is_dir() else ():
        check_output(path, overwrite=overwrite)
    return {
        "folder": str(folder),
        "preset": PRESET,
        "noise": list(NOISE),
        "method": METHOD,
        "iterations": ITERATIONS,
        "lambda": LAMBDA,
        "seed": seed,
        "outputs": planned_outputs(outputs),
    }


def _outputs(folder: Path) -> list[Path]:
    """Scan, clean scan, system matrix, the last picture, and what comes in between."""
    scan, *others = (folder / name for name in ("scan.mdf", "scan.clean.mdf", "systemmatrix.mdf", "demo.png"))
    return [scan, *others, *_later(scan)]


def _later(scan: Path) -> list[Path]:
    """Files that come after the training, named so that nobody waits for it in vain."""
    denoised = default_output(scan, METHOD)
    images = [path.with_name(f"{path.stem}.reconstruction.mdf") for path in (scan, denoised)]
    return [denoised, *images, *(image.with_suffix(".png") for image in images)]


def _title(tell: Callable[[Event], None], text: str) -> None:
    tell(Finding("stage", text, f"== {text}"))


def _image(source: Path, matrix: Path, *, overwrite: bool, tell: Callable[[Event], None]) -> Result:
    return reconstruct_file(
        source,
        system_matrix=matrix,
        iterations=ITERATIONS,
        lambda_=LAMBDA,
        overwrite=overwrite,
        tell=tell,
    )


def _compare(picture: Path, images: list[Result], *, overwrite: bool) -> None:
    """Draw the first frame before and after."""
    shown = [result.images.shown[0][0] for result in images]
    titles = ["one noisy frame", f"the same frame after {METHOD}"]
    unit = images[0].images.shown[1]
    side_by_side(picture, shown, images[0].images.grid, titles=titles, unit=unit, overwrite=overwrite)


def _true_snr(clean: Path, noisy: Path, denoised: Denoised) -> dict[str, float]:
    reference = read_scan(clean).signal
    return {
        "before": float(snr(read_scan(noisy).signal, reference).mean()),
        "after": float(snr(denoised.signal, reference).mean()),
    }
