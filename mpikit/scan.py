"""One measurement in canonical form: what every method sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mpikit.scanner import DriveField, SelectionField

Repeats = Literal["frames", "periods", "both", "none"]


@dataclass(frozen=True)
class Corrections:
    """What has been applied to the signal already.

    Parameters
    ----------
    background : bool
        The empty-scanner signal has been subtracted.
    transfer_function : bool
        The receive chain has been divided out.
    leakage : bool
        Spectral leakage has been corrected.
    averages : int
        Periods that the scanner averaged into each stored one.
    """

    background: bool = False
    transfer_function: bool = False
    leakage: bool = False
    averages: int = 1


@dataclass(frozen=True)
class Scan:
    """One measurement, whatever the layout of its file.

    The letters are those of the MDF standard: N foreground frames, E background frames, J periods in a
    frame, C receive channels, V samples of one drive-field period, K = V // 2 + 1 frequencies.

    Parameters
    ----------
    signal : shape (N, J, C, V), ``unit``
        Foreground frames in the time domain.
    background : shape (E, J, C, V), ``unit``
        Frames of the empty scanner; E may be 0.
    foreground_index, background_index : shapes (N,) and (E,)
        Place of each frame in the order of acquisition, counted from 0 over both kinds.
    sampling_rate : float, Hz
    unit : str
        Unit of the signal, usually ``"V"`` or ``"a.u."``.
    drive_field : DriveField
    selection_field : SelectionField or None
        None when the file does not say.
    stored_lines : shape (K,)
        Frequencies that the file really stores. The others are zero in the signal, and are not noise-free.
    corrections : Corrections
    repeats : {"frames", "periods", "both", "none"}
        Along which axis the same clean signal was measured again.
    name : str
        How messages call this scan, usually the name of its file.
    """

    signal: NDArray[np.float32]
    background: NDArray[np.float32]
    foreground_index: NDArray[np.int64]
    background_index: NDArray[np.int64]
    sampling_rate: float
    unit: str
    drive_field: DriveField
    selection_field: SelectionField | None
    stored_lines: NDArray[np.bool_]
    corrections: Corrections
    repeats: Repeats
    name: str = "scan"

    def __post_init__(self) -> None:
        frames, periods, channels, samples = self.signal.shape
        wanted = {
            "background": (len(self.background), periods, channels, samples),
            "foreground_index": (frames,),
            "background_index": (len(self.background),),
            "stored_lines": (samples // 2 + 1,),
        }
        for field, shape in wanted.items():
            found = getattr(self, field).shape
            if found != shape:
                raise ValueError(
                    f"{field} has shape {found}, the signal {self.signal.shape} asks for {shape}"
                )

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """Frequencies of all K lines, Hz."""
        return np.fft.rfftfreq(self.signal.shape[-1], 1 / self.sampling_rate).astype(np.float64)
