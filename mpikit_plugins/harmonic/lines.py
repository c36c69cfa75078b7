"""Base of the methods that filter whitened coefficients of the lines that hold signal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mpikit import Finding, Run, Scan
from mpikit.errors import PluginError
from mpikit.signal import CleanSignals, HarmonicFilter, LineCoefficients, fit_line_coefficients
from mpikit_plugins.background import clear
from mpikit_plugins.harmonic.options import LineOptions


class CoefficientFilter(Protocol):
    """What is learnt on the coefficients."""

    def __call__(self, coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
        """Filter coefficients of shape (..., P)."""

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what was learnt as a flat dict of arrays."""


Filter = TypeVar("Filter", bound=CoefficientFilter)
Options = TypeVar("Options", bound=LineOptions)


class LineMethod(Generic[Options, Filter]):
    """Fit the lines, learn a filter on their coefficients, apply it to each period.

    A method says its name, what it learns (`learn`) and how that is read back (`restored`).
    """

    name: str

    def __init__(self, options: Options) -> None:
        self.options = options
        self.lines: LineCoefficients | None = None
        self.filter: Filter | None = None

    def learn(self, clean: CleanSignals, scans: Sequence[Scan], *, run: Run) -> Filter:
        """Learn a filter from the coefficients of `self.lines`; the scans are free of background."""
        raise NotImplementedError

    def restored(self, state: Mapping[str, NDArray[Any]]) -> Filter:
        """Take a filter back from its state."""
        raise NotImplementedError

    def known_lines(self) -> LineCoefficients:
        """Return the lines.

        Raises
        ------
        PluginError
            Before the fit.
        """
        if self.lines is None:
            raise not_fitted(self.name)
        return self.lines

    def fit(self, scans: Sequence[Scan], /, *, run: Run) -> None:
        """Find the lines, and learn the filter."""
        cleared = [clear(scan, self.options) for scan in scans]
        options = self.options
        self.lines, clean = fit_line_coefficients(
            cleared, false_alarm=options.false_alarm, symmetry=options.symmetry, band=options.band
        )
        run.tell(describe(self.lines.harmonic, band=options.band))
        self.filter = self.learn(clean, cleared, run=run)

    def denoise(self, scan: Scan, /, *, run: Run) -> NDArray[np.float32]:  # noqa: ARG002
        """Return the filtered foreground, shape (N, J, C, V)."""
        lines = self.known_lines()
        if self.filter is None:
            raise not_fitted(self.name)
        return lines.back(self.filter(lines.forward(clear(scan, self.options).signal)))

    def state(self) -> dict[str, NDArray[Any]]:
        """Return lines and filter."""
        if self.lines is None or self.filter is None:
            return {}
        return {
            **self.lines.state(),
            **{f"learnt.{key}": value for key, value in self.filter.state().items()},
        }

    def restore(self, state: Mapping[str, NDArray[Any]], /) -> None:
        """Take back lines and filter."""
        if not state:
            self.lines = self.filter = None
            return
        self.lines = LineCoefficients.restore(state)
        learnt = {key.removeprefix("learnt."): value for key, value in state.items()}
        self.filter = self.restored(learnt)


def not_fitted(name: str) -> PluginError:
    """Return the error of a method that is applied before it is fitted."""
    return PluginError(f"{name} has not been fitted", hint="call fit, or restore a fitted state")


def describe(harmonic: HarmonicFilter, *, band: int = 0) -> Finding:
    """Say in words what a filter keeps."""
    kept = int(harmonic.keep.sum())
    beside = f" or within {band} steps of one that is" if band else ""
    text = f"lines above the noise{beside}: {kept} of {harmonic.keep.size}"
    if harmonic.symmetry is None:
        text += "; no symmetry is used"
    else:
        odd = int((harmonic.symmetry.holds & harmonic.keep).sum())
        text += f"; the scan symmetry holds on {odd} of them"
    return Finding("harmonics", kept, text)
