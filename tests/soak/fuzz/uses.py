"""MDF files on their way through commands: denoised, reconstructed, drawn, reported, taken for noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import mutate
import numpy as np
from fuzz.bases import bases
from fuzz.kinds import Kind, Rng
from fuzz.oddities import damage_more

TIME, SPECTRA, CALIBRATION, SPARSE, IMAGES = range(5)  # among the bases
MEASUREMENTS, MATRICES = (TIME, SPECTRA), (CALIBRATION, SPARSE)


@dataclass(frozen=True)
class Use:
    """What is done with a damaged file, and which bases fit."""

    run: Callable[[Path], object]
    bases: tuple[int, ...]


def _beside(path: Path, index: int) -> Path:
    """Return a file that is whole, beside the damaged one."""
    other = path.with_name("whole.mdf")
    other.write_bytes(bases()[index])
    return other


def denoise(path: Path, method: str) -> None:
    import mdf
    from mpikit.denoise_file import denoise_file

    out = path.with_suffix(".out.mdf")
    denoise_file(path, method=method, output=out)
    with mdf.open(out) as file:
        assert np.isfinite(file.read_signal()).all()


def empty_measurement(path: Path) -> None:
    from mpikit.denoise_file import denoise_file

    whole = _beside(path, TIME)
    denoise_file(whole, method="average", background_files=(path,), output=path.with_suffix(".out.mdf"))


def reconstruct(path: Path, **options: Any) -> None:
    from mpikit.reconstruct import reconstruct_file

    found = reconstruct_file(path, pictures=False, output=path.with_suffix(".out.mdf"), **options)
    assert np.isfinite(found.images.values).all()


def by_whole_matrix(path: Path) -> None:
    reconstruct(path, system_matrix=_beside(path, CALIBRATION))


def by_damaged_matrix(path: Path) -> None:
    reconstruct(_beside(path, TIME), system_matrix=path)


def draw(path: Path, kind: str) -> None:
    from mpikit.report.plot import plot_file

    assert plot_file(path, kind=kind).content("svg").startswith(b"<?xml")


def report(path: Path) -> None:
    from mpikit.report import write_report

    out = path.with_suffix(".html")
    write_report([path], out)
    assert "<script" not in out.read_text(encoding="utf-8")


def noise(path: Path) -> None:
    from mpikit.plugins import registry
    from mpikit.scanner import DriveField

    record = registry().noise_model("empirical").record
    model = record.build(record.options(file=str(path), mean="remove"))
    drive = DriveField(
        base_frequency=2.5e6,
        dividers=np.array([[12], [6]]),
        amplitudes=np.full((2, 2, 1), 0.012),
        phases=np.zeros((2, 2, 1)),
        waveforms=np.full((2, 1), "sine"),
    )
    how: dict[str, Any] = {"sampling_rate": 2.5e6, "drive_field": drive, "rng": np.random.default_rng(0)}
    begun = model.begin(power=np.ones(2), samples=12, **how)
    found = begun(np.zeros((3, 2, 2, 12)), frame_index=np.arange(3), **how)
    assert np.isfinite(found).all()


USED = (
    *(Use(partial(denoise, method=name), MEASUREMENTS) for name in ("wiener", "average", "low-rank")),
    Use(empty_measurement, MEASUREMENTS),
    Use(by_whole_matrix, MEASUREMENTS),
    Use(by_damaged_matrix, MATRICES),
    Use(partial(reconstruct, method="x-space"), MEASUREMENTS),
    *(Use(noise, MEASUREMENTS) for _ in range(2)),
)
DRAWN = (
    *(Use(partial(draw, kind=kind), MEASUREMENTS) for kind in ("spectrum", "frames", "snr")),
    *(Use(partial(draw, kind=kind), MATRICES) for kind in ("rows", "snr")),
    Use(partial(draw, kind="slices"), (IMAGES,)),
    Use(report, (*MEASUREMENTS, *MATRICES, IMAGES)),
)


def _make(uses: tuple[Use, ...], rng: Rng, folder: Path) -> Path:
    way = int(rng.integers(len(uses)))
    seeds = uses[way].bases
    path = folder / f"{way}.mdf"
    raw = bytearray(bases()[seeds[rng.integers(len(seeds))]])
    if rng.random() < 0.3:
        mutate.damage_bytes(rng, raw)
    path.write_bytes(raw)
    if rng.random() < 0.75:
        with h5py.File(path, "r+") as hdf:
            (mutate.damage_structure if rng.random() < 0.5 else damage_more)(rng, hdf)
    return path


def _read(uses: tuple[Use, ...], path: Path) -> None:
    uses[int(path.stem)].run(path)


KINDS = (
    Kind("mdf-used", partial(_make, USED), partial(_read, USED), of_hdf5=True),
    Kind("mdf-drawn", partial(_make, DRAWN), partial(_read, DRAWN), of_hdf5=True),
)
