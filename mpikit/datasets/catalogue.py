"""The public data sets that mpikit knows by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from mpikit.errors import UsageError

Kind = Literal["measurement", "calibration", "phantom"]

LARGEST = 100_000_000_000  # bytes; nothing that is known comes near
SLACK = 4  # a size in the catalogue may be this much too small: element types are not always documented
PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")

OPENMPI = "https://media.tuhh.de/ibi/openMPIData/data/"
EXAMPLE = "https://media.tuhh.de/ibi/mdfv2/"
MNIST = "https://zenodo.org/records/12799417/files/"
MNIST_RECORD = "https://zenodo.org/api/records/12799417"

COMPLEX64 = 8  # bytes
GRIDS = {  # number of the first calibration -> voxels, extent in mm, frames with the empty ones
    1: ("19x19x19", "38x38x19", 7221),
    4: ("37x37x37", "37x37x18.5", 52023),
}
LINES = {"1-D": 52, "2-D": 817, "3-D": 26929}  # K of each sequence
CHANNELS = 3
SEQUENCES = ("1-D", "2-D", "3-D")
FRAMES_3D = 2000 * 3 * 53856 * 2  # bytes of (E + N, J, C, V) in int16


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One file that can be fetched.

    Parameters
    ----------
    name : str
        What it is called in mpikit.
    kind : {"measurement", "calibration", "phantom"}
        What it holds: signals, a system matrix, or the truth that was measured.
    summary : str
        The subject, or the grid.
    sequence : str
        ``"1-D"``, ``"2-D"`` or ``"3-D"``: how many axes the drive field has; ``"unknown"`` where nobody says.
    tracer : str
    url : str
        Address, https.
    file : str
        Place in the cache, with ``/`` between folders.
    size : int, optional
        About how many bytes: reported by users, or from the documented shape of the arrays. None is unknown.
    licence, citation, doi : str
    calibrations : tuple of str
        Names of the calibrations with this sequence and tracer.
    official_hash : str, optional
        ``"algorithm:hexadecimal digits"``, as its makers publish it.
    record : str
        Address of a Zenodo record that knows size and hash of the file; empty without one.

    Raises
    ------
    UsageError
        When the place in the cache would not be inside it.
    """

    name: str
    kind: Kind
    summary: str
    url: str
    file: str
    sequence: str = "unknown"
    tracer: str = "unknown"
    size: int | None = None
    licence: str = "not stated"
    citation: str = ""
    doi: str = ""
    calibrations: tuple[str, ...] = ()
    official_hash: str | None = None
    record: str = ""

    def __post_init__(self) -> None:
        if not all(PART.fullmatch(part) for part in self.file.split("/")):
            raise UsageError(
                f"the data set {self.name!r} cannot be kept as {self.file!r}, expected folders and a file "
                "inside the cache, of letters, digits, dots, - and _"
            )

    @property
    def limit(self) -> int:
        """Bytes that a server may send at most."""
        return LARGEST if self.size is None else SLACK * self.size


def dataset(name: str) -> Dataset:
    """Return the data set of a name.

    Raises
    ------
    UsageError
        When there is none; the hint has the nearest name.
    """
    from mpikit.options import did_you_mean

    if name not in DATASETS:
        raise UsageError(
            f"no data set is called {name!r}",
            hint=f"{did_you_mean(name, DATASETS)} mpikit datasets list shows all".strip(),
        )
    return DATASETS[name]


def fitting(name: str) -> tuple[Dataset, ...]:
    """Return the calibrations that fit a measurement: same scanner, sequence and tracer.

    Examples
    --------
    >>> [each.name for each in fitting("openmpi-concentration-1d")]
    ['openmpi-calibration-1', 'openmpi-calibration-4']
    """
    return tuple(dataset(each) for each in dataset(name).calibrations)


def in_bytes(count: int) -> str:
    """Return a size in words.

    >>> in_bytes(616_000_000), in_bytes(4_667_543_208), in_bytes(12)
    ('616 MB', '4.67 GB', '12 bytes')
    """
    for factor, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= 0.9995 * factor:
            return f"{float(f'{count / factor:.3g}'):g} {unit}"
    return f"{count} bytes"


def _openmpi() -> Iterator[Dataset]:
    """Yield OpenMPIData, with the pairing and the grids that its documentation has."""
    for phantom in ("shape", "resolution", "concentration"):
        for number, sequence in enumerate(SEQUENCES, 1):
            yield _of_openmpi(
                f"{phantom}-{number}d",
                f"measurements/{phantom}Phantom/{number}.mdf",
                kind="measurement",
                summary=f"{phantom} phantom",
                sequence=sequence,
                size=FRAMES_3D if sequence == "3-D" else None,
                calibrations=_numbered(number, number + 3),
            )
    for number, motion in enumerate(("slow", "fast", "background", "static"), 1):
        yield _of_openmpi(
            f"rotation-{motion}",
            f"measurements/rotationPhantom/{number}.mdf",
            kind="measurement",
            summary=f"rotation phantom, patches: {motion}",
            sequence="3-D",
            calibrations=_numbered(*range(8, 16)),
        )
    for number in range(1, 18):
        yield _calibration(number)


def _numbered(*numbers: int) -> tuple[str, ...]:
    return tuple(f"openmpi-calibration-{number}" for number in numbers)


def _calibration(number: int) -> Dataset:
    known = _of_openmpi(
        f"calibration-{number}", f"calibrations/{number}.mdf", kind="calibration", summary="undocumented"
    )
    if number > 15:
        return replace(known, tracer="unknown")
    if number > 7:
        kept = "large" if number < 12 else "small"
        return replace(known, sequence="3-D", summary=f"33x33x27 voxels over 66x66x27 mm, patches, {kept}")
    voxels, extent, frames = GRIDS[1 if number < 4 else 4]
    sequence = SEQUENCES[min(number - 1, 5) % 3]
    return replace(
        known,
        sequence=sequence,
        tracer="Synomag-D" if number == 7 else "Perimag",
        summary=f"{voxels} voxels over {extent} mm",
        size=CHANNELS * LINES[sequence] * frames * COMPLEX64,
    )


def _of_openmpi(name: str, path: str, **facts: object) -> Dataset:
    return replace(
        Dataset(
            name=f"openmpi-{name}",
            kind="measurement",
            summary="",
            url=OPENMPI + path,
            file=f"openmpi/{path}",
            tracer="Perimag",
            licence="CC BY 4.0",
            citation="T. Knopp, P. Szwargulski, F. Griese, M. Gräser: OpenMPIData: An initiative for freely "
            "accessible magnetic particle imaging data. Data in Brief 28 (2020) 104971",
            doi="10.1016/j.dib.2019.104971",
        ),
        **facts,  # type: ignore[arg-type]
    )


def _example() -> Iterator[Dataset]:
    """Yield the small pair that the example scripts of the MDF standard read."""
    base = Dataset(
        name="mdf-example-calibration",
        kind="calibration",
        summary="44x44x1 voxels over 44x44x1 mm",
        url=f"{EXAMPLE}systemMatrix_V2.mdf",
        file="mdf-example/systemMatrix_V2.mdf",
        sequence="2-D",
        tracer="Resovist",
        citation="T. Knopp and others: MDF: Magnetic Particle Imaging Data Format. arXiv:1602.06072",
        doi="10.48550/arXiv.1602.06072",
    )
    yield replace(
        base,
        name="mdf-example-measurement",
        kind="measurement",
        summary="500 frames, none of them empty",
        url=f"{EXAMPLE}measurement_V2.mdf",
        file="mdf-example/measurement_V2.mdf",
        calibrations=(base.name,),
    )
    yield base


def _mnist() -> Iterator[Dataset]:
    """Yield MPI-MNIST: archives of the Zenodo record 12799417, which knows sizes and hashes."""
    base = Dataset(
        name="mpi-mnist-calibrations",
        kind="calibration",
        summary="system matrices of several models and grids (archive)",
        url=f"{MNIST}SM.tar.gz",
        file="mpi-mnist/SM.tar.gz",
        sequence="2-D",
        tracer="simulated",
        licence="CC BY 4.0",
        citation="M. Iske, H. Albers, T. Kluth, T. Knopp: MPI-MNIST Dataset. Zenodo, 2025",
        doi="10.5281/zenodo.12799417",
        record=MNIST_RECORD,
    )
    for part in ("train", "test"):
        for name, stem, kind, summary in MNIST_FILES:
            yield replace(
                base,
                name=f"mpi-mnist-{part}-{name}",
                kind=kind,
                summary=f"{summary}, {part} part (archive)",
                url=f"{MNIST}{part}_{stem}.tar.gz",
                file=f"mpi-mnist/{part}_{stem}.tar.gz",
                calibrations=(base.name,) if name in ("noisy", "clean") else (),
            )
    yield base


MNIST_FILES: tuple[tuple[str, str, Kind, str], ...] = (
    ("noisy", "obsnoisy", "measurement", "digits with the noise of a scanner"),
    ("clean", "obs", "measurement", "digits without noise"),
    ("noise", "noise", "measurement", "noise of a scanner"),
    ("phantoms", "gt", "phantom", "digits"),
)

DATASETS: dict[str, Dataset] = {each.name: each for group in (_openmpi, _example, _mnist) for each in group()}
