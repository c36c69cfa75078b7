"""The rows of a calibration: read at once, or in each sweep when they are too large to hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import UsageError
from mpikit.events import Event, Finding, Warned
from mpikit.reconstruct.cache import cached_rows, matrix_key
from mpikit.reconstruct.options import Kaczmarz, SystemMatrix
from mpikit.reconstruct.reading import Reader
from mpikit.reconstruct.regrid import Regridding
from mpikit.reconstruct.regridded_rows import RegriddedRows
from mpikit.reconstruct.rounding import RoundedRows
from mpikit.reconstruct.selection import Rows
from mpikit.reconstruct.streamed import CalibrationRows, FileRows, Subtracted
from mpikit.resources import physical_memory


def read_matrix(
    of_matrix: Reader,
    rows: Rows,
    regridding: Regridding,
    options: SystemMatrix,
    *,
    corrected: bool,
    tell: Callable[[Event], None],
) -> NDArray[Any] | FileRows:
    """Read the matrix, or prepare to read it in each sweep when it is larger than the memory for it.

    Parameters
    ----------
    of_matrix : Reader
        Of the calibration.
    rows : Rows
    regridding : Regridding
        From the grid of the calibration to that of the columns.
    options : SystemMatrix
    corrected : bool
        The background is subtracted.
    tell : callable

    Raises
    ------
    UsageError
        When the matrix is too large to hold, and something needs all of it.
    """
    size = 8.0 * len(rows) * max(int(np.prod(regridding.target.size)), len(regridding.needed))
    is_streamed = size > memory_for(options)
    if is_streamed:
        _check_streaming(of_matrix, options, size)
        text = f"the matrix of {size / 2**30:.3g} GiB is read from its file in every sweep"
        tell(Finding("streaming", size, text))
        if not of_matrix.file.value("/measurement/isFastFrameAxis"):
            hint = "mpikit convert --fast-frame-axis makes a file that is read much faster"
            tell(Warned(f"{of_matrix.file.path.name} stores frame after frame: {hint}"))
    source = _kept_rows(of_matrix, rows, regridding, options, corrected=corrected, tell=tell)
    if is_streamed:
        return source
    try:
        return source.whole()
    finally:
        source.close()


def _kept_rows(
    of_matrix: Reader,
    rows: Rows,
    regridding: Regridding,
    options: SystemMatrix,
    *,
    corrected: bool,
    tell: Callable[[Event], None],
) -> FileRows:
    """Return the rows as they are read from the calibration, or from a cache of them."""
    background: Subtracted = "none"
    if corrected:
        background = "interpolated" if options.background == "interpolated" else "static"

    def read() -> FileRows:
        source = CalibrationRows(of_matrix, rows, regridding.needed, background=background)
        return source if regridding.is_crop else RegriddedRows(source, regridding)

    if options.cache is None:
        return RoundedRows(read()) if options.int16 else read()
    key = matrix_key(of_matrix, rows, regridding.needed, regridding.target, background=background)
    return cached_rows(options.cache, key, read, name=of_matrix.file.path.stem, tell=tell)


def memory_for(options: SystemMatrix) -> float:
    """Return the bytes of memory for the matrix."""
    if options.memory is not None:
        return options.memory * 2**30
    present = physical_memory()
    return np.inf if present is None else present / 2


def _check_streaming(of_matrix: Reader, options: SystemMatrix, size: float) -> None:
    """Refuse what needs the whole matrix at once."""
    whole = {
        "another method than kaczmarz": not isinstance(options, Kaczmarz),
        "another order of the rows than that of frequency": options.row_order != "frequency",
        "the weighting row-norm": "row-norm" in options.weighting,
        "a dictionary of the background": options.background == "dictionary",
        "a lambda that is chosen": not isinstance(options.lambda_, float),
    }
    needed = [what for what, wanted in whole.items() if wanted]
    if needed:
        raise UsageError(
            f"the rows of {of_matrix.file.path.name} take {size / 2**30:.3g} GiB, too much to hold, and "
            f"{needed[0]} needs them all",
            hint="use fewer rows (--snr-threshold, -p best=...), or allow more with -p memory=...",
        )
