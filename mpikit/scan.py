"""One measurement in canonical form: what every method sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mpikit.scanner import DriveField, SelectionField

if TYPE_CHECKING:
    import xarray

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
        Foreground frames in the time domain. Real numbers of other types become float32, here and in
        ``background``; what float32 cannot hold becomes infinite, and is refused by whoever works on it.
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
    about : mapping
        What else its file says or will say, by path of the MDF standard: study, scanner, tracer, receive
        chain; and values of our own, as the history. No method looks at it.
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
    about: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("signal", "background"):
            values = getattr(self, name)
            if values.dtype != np.float32:
                if values.dtype.kind not in "fiu":
                    raise TypeError(f"{name} has values of type {values.dtype}, expected real numbers")
                with np.errstate(over="ignore"):
                    object.__setattr__(self, name, values.astype(np.float32))
        frames, periods, channels, samples = self.signal.shape
        wanted = {
            "background": (len(self.background), periods, channels, samples),
            "foreground_index": (frames,),
            "background_index": (len(self.background),),
            "stored_lines": (samples // 2 + 1,),
        }
        for name, shape in wanted.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(f"{name} has shape {found}, the signal {self.signal.shape} asks for {shape}")

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """Frequencies of all K lines, Hz."""
        return np.fft.rfftfreq(self.signal.shape[-1], 1 / self.sampling_rate).astype(np.float64)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}={size}" for name, size in self._sizes.items())
        return f"<{type(self).__name__} {self.name!r}: {sizes}, {self.unit}, repeats={self.repeats!r}>"

    def _repr_html_(self) -> str:
        from mpikit.shown import scan_as_html

        return scan_as_html(self)

    @property
    def _sizes(self) -> dict[str, int]:
        frames, periods, channels, samples = self.signal.shape
        return {"N": frames, "E": len(self.background), "J": periods, "C": channels, "V": samples}

    def to_xarray(self) -> xarray.Dataset:
        """Return the scan with labelled axes and units.

        Returns
        -------
        xarray.Dataset
            ``signal`` (frame, period, channel, time) and ``background`` (background_frame, period, channel,
            time) in ``unit``, ``stored_lines`` (frequency,); times in s, frequencies in Hz, frames by their
            place in the acquisition.

        Raises
        ------
        PluginError
            When xarray is not installed.
        """
        from mpikit.labelled import scan_as_xarray

        return scan_as_xarray(self)

    def to_npz(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the arrays of the scan, with their axes and units; `numpy.load` reads them.

        Parameters
        ----------
        path : str or Path
            File that ends in ``.npz``.
        overwrite : bool
            Replace a file that exists.

        Returns
        -------
        Path
            The file, complete.

        Raises
        ------
        UsageError
            When the name has another ending.
        InputError
            When the file exists already or cannot be written.
        """
        from mpikit.labelled import write_scan_npz

        return write_scan_npz(self, Path(path), overwrite=overwrite)

    def to_mdf(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the scan as an MDF file, in the time domain, with what ``about`` says.

        Parameters
        ----------
        path : str or Path
        overwrite : bool
            Replace a file that exists.

        Returns
        -------
        Path
            The file, complete.

        Raises
        ------
        InputError
            When the file exists already.
        mdf.MdfError
            When ``about`` does not conform to the standard, or the file cannot be written.
        """
        from mpikit.files import check_output
        from mpikit.scan_file import unsaid, write_scan

        check_output(Path(path), overwrite=overwrite)
        write_scan(self, path, contents=unsaid(self), overwrite=overwrite)
        return Path(path)
