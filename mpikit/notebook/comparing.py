"""Compare methods on a scan in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.compare.files import candidates
from mpikit.compare.methods import compare_scan, how_judged
from mpikit.compare.reference import check_reference
from mpikit.compare.result import Comparison
from mpikit.errors import InputError
from mpikit.events import Warned
from mpikit.notebook.loading import history_of, measured
from mpikit.notebook.running import Listener, run_of, warn
from mpikit.options import as_text
from mpikit.scan import Scan
from mpikit.scan_file import read_scan
from mpikit.scan_set import was_denoised
from mpikit.signal import stack_repeats


def compare(
    scan: Scan | str | Path,
    methods: Sequence[str] = (),
    *,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    reference: Scan | str | Path | NDArray[np.float32] | None = None,
    seed: int = 0,
    device: str = "auto",
    tell: Listener | None = None,
) -> Comparison:
    """Compare methods on a measurement, as ``mpikit compare`` does with a file.

    Parameters
    ----------
    scan : Scan, str or Path
    methods : sequence of str
        Names; none for all that are installed.
    options : mapping
        Options of some methods: ``{"unet-gd": {"steps": 1000}}``.
    reference : Scan, str or Path, or array of shape (N, J, C, V), optional
        Clean signals of the same frames; only evaluated, never learnt from.
    seed : int
    device : {"auto", "cpu", "cuda"}
    tell : callable or None
        As in `denoise`.

    Returns
    -------
    Comparison
        A row for each method, best first; `mpikit.compare.table` makes a list of mappings of it.

    Raises
    ------
    InputError
        When the scan has no repeats to judge by, and there is no reference or a wrong one.
    PluginError
        When there is no such method. What goes wrong with one method is its row.
    UsageError
        When an option is wrong.
    mdf.MdfError
        When a file is no MDF file, or a damaged one.
    Interrupted
        A KeyboardInterrupt with the methods that were finished.

    Examples
    --------
    >>> import mpikit
    >>> mpikit.compare("scan.mdf", ["harmonic", "low-rank"])  # doctest: +SKIP
    """
    tell = tell or warn
    pairs = [
        f"{name}.{key}={as_text(value)}"
        for name, given in (options or {}).items()
        for key, value in given.items()
    ]
    if isinstance(methods, str):  # a single name is a sequence of letters too
        methods = [methods]
    chosen = candidates(methods, pairs)
    noisy = measured(scan)
    if was_denoised(history_of(noisy)):
        tell(Warned(f"{noisy.name} was denoised before: its repeats are no longer independent"))
    clean = None if reference is None else _clean(reference, noisy, tell)
    if clean is None:
        _check_judged(noisy)
    learned = any(candidate.offer.record.learned for candidate in chosen)
    run = run_of(seed, device, tell, learned=learned)
    return compare_scan(noisy, chosen, clean=clean, seed=seed, device=run.device, tell=tell)


def _clean(
    reference: Scan | str | Path | NDArray[np.float32], noisy: Scan, tell: Listener
) -> NDArray[np.float32]:
    """Return the clean signals of a scan, checked."""
    if isinstance(reference, np.ndarray):
        if reference.shape != noisy.signal.shape:
            raise InputError(
                f"the reference has the shape {reference.shape}, {noisy.name} has {noisy.signal.shape}",
                hint="a reference has a clean signal for each of the noisy scan",
            )
        given: dict[str, Any] = {"signal": np.asarray(reference, np.float32), "name": "reference"}
        reference = replace(noisy, **given)
    if not isinstance(reference, Scan):
        reference = read_scan(reference, repeats="none")
    return check_reference(reference, noisy, tell=tell)


def _check_judged(scan: Scan) -> None:
    """Refuse a scan that cannot be judged without a reference."""
    lack = how_judged(scan)[1]
    if stack_repeats(scan.signal, scan.repeats).shape[1] < 2:
        lack = "nothing in it was measured twice"
    if lack:
        raise InputError(
            f"{scan.name} cannot be judged by itself: {lack}",
            hint="give clean signals as reference, or load it with the repeats that it has",
        )
