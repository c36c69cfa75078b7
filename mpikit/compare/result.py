"""What a comparison found: a row for each method, ready for a table, for JSON, or for a choice."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from mpikit.compare.reference import TrueScore
from mpikit.errors import InputError
from mpikit.judging import Score
from mpikit.metrics import Losses, Whiteness, equivalent_averages
from mpikit.plugins import Offer
from mpikit.records import Denoiser, Method, NoOptions

NOISY = "noisy"


@dataclass(frozen=True)
class Gain:
    """Reference-free gain of SNR over the noisy signal.

    Parameters
    ----------
    db : float
    error_db : float or None
        Standard error, as if those of the two SNRs were independent: they share the noise of the judges, so
        that it is rather too large. None where the gain is only a bound.
    is_bound : bool
        The gain is at least this large: the SNR of the method is only a lower bound, that of the noisy signal
        is known.
    """

    db: float
    error_db: float | None
    is_bound: bool


@dataclass(frozen=True)
class Row:
    """One method of a comparison, or the noisy signal.

    Parameters
    ----------
    method : str
    score : Score or None
        Reference-free; None when no repeats are left to judge by.
    gain : Gain or None
    true : TrueScore or None
        None without a clean reference.
    residual : Whiteness or None
        What the method took away, beside the noise of other repeats.
    periods_used : int
        Repeats that one output period is made from.
    fit_seconds, denoise_seconds : float
        Time to learn, and to denoise ``periods`` periods.
    periods : int
        Periods that were judged.
    needs : str
        What the method lacks when it is given one period and no background frame.
    error : str
        Why it failed; empty when it did not.
    options : pydantic.BaseModel
    offer : Offer or None
        None for the noisy signal.
    fitted : Method or None
        The method as it was judged: fitted to the part that was not held out.
    losses : tuple of Losses
        What compares it with the other rows, on the same repeats; one for each part that was held out.
    """

    method: str
    score: Score | None = None
    gain: Gain | None = None
    true: TrueScore | None = None
    residual: Whiteness | None = None
    periods_used: int = 1
    fit_seconds: float = 0.0
    denoise_seconds: float = 0.0
    periods: int = 0
    needs: str = ""
    error: str = ""
    options: BaseModel = field(default_factory=NoOptions)
    offer: Offer[Denoiser] | None = None
    fitted: Method | None = field(default=None, repr=False)
    losses: tuple[Losses, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Skipped:
    """A method that the scan does not allow, and what is lacking, in words."""

    method: str
    lacks: str


@dataclass(frozen=True)
class Comparison:
    """Methods side by side on one scan.

    Parameters
    ----------
    name : str
        Of the scan.
    noisy : Row
        The data as they are.
    rows : tuple of Row
        The methods, best first; those that failed come last.
    skipped : tuple of Skipped
    without_background : bool
        All figures are of signals free of the empty-scanner signal; otherwise it counts as signal.
    no_score : str
        Why there are no reference-free figures; empty when there are some.
    seed : int
    device : str
    interrupted : tuple of str
        Methods that were not finished when the comparison was interrupted.
    """

    name: str
    noisy: Row
    rows: tuple[Row, ...]
    skipped: tuple[Skipped, ...]
    without_background: bool
    no_score: str
    seed: int
    device: str
    interrupted: tuple[str, ...] = ()

    def __repr__(self) -> str:
        from mpikit.shown import comparison_as_text

        return comparison_as_text(self)

    def _repr_html_(self) -> str:
        from mpikit.shown import comparison_as_html

        return comparison_as_html(self)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in a comparison of which some methods were finished.

    Parameters
    ----------
    comparison : Comparison
        With those that were.
    unwritten : tuple of Path
        Files that could not be written.
    """

    def __init__(self, comparison: Comparison, unwritten: tuple[Path, ...] = ()) -> None:
        super().__init__()
        self.comparison, self.unwritten = comparison, unwritten


class NotWrittenError(InputError):
    """A comparison is finished, but not all of its files could be written.

    Parameters
    ----------
    message, hint : str
    comparison : Comparison
    unwritten : tuple of Path
        Files that could not be written; the others were.
    """

    def __init__(
        self, message: str, *, comparison: Comparison, unwritten: tuple[Path, ...], hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.comparison, self.unwritten = comparison, unwritten


def table(comparison: Comparison) -> list[dict[str, Any]]:
    """Return the rows ready for JSON, the noisy signal first.

    The keys of a row, None where a figure is not known or not finite:

    ``method``, ``error`` (why it failed), ``needs``, ``options``, ``distribution``, ``learned``;
    ``snr_db``, ``snr_error_db``, ``is_lower_bound``, ``mean_squared_error``, ``standard_error``
    (reference-free);
    ``gain_db``, ``gain_error_db``, ``gain_is_lower_bound``, ``equivalent_averages`` (of the gain, and as much
    of a bound as it is);
    ``true``: ``snr_db``, ``snr_interval``, ``gain_db``, ``gain_interval`` (means over the signals, 95 %),
    ``snr_std_db``, ``snr_median_db``, ``rmse``, ``prd`` (in percent), ``pooled_snr_db``,
    ``scale_invariant_snr_db``, ``amplitude``;
    ``residual``: ``autocorrelation``, ``expected``, ``spread``, ``correlation``, ``correlation_spread``,
    ``is_noise``; ``periods_used``, ``periods``, ``fit_seconds``, ``denoise_seconds``.
    """
    return [_row_json(row) for row in (comparison.noisy, *comparison.rows)]


def _row_json(row: Row) -> dict[str, Any]:
    figures = row.score.figures if row.score else None
    gain, residual = row.gain, row.residual
    return {
        "method": row.method,
        "error": row.error or None,
        "needs": row.needs or None,
        "options": row.options.model_dump(mode="json"),
        "distribution": row.offer.distribution if row.offer else None,
        "learned": row.offer.record.learned if row.offer else False,
        "snr_db": _finite(figures.snr_db) if figures else None,
        "snr_error_db": _finite(figures.snr_error_db) if figures else None,
        "is_lower_bound": figures.is_bound if figures else None,
        "mean_squared_error": figures.error if figures else None,
        "standard_error": figures.uncertainty if figures else None,
        "gain_db": gain.db if gain else None,
        "gain_error_db": gain.error_db if gain else None,
        "gain_is_lower_bound": gain.is_bound if gain else None,
        "equivalent_averages": equivalent_averages(gain.db, 0.0) if gain else None,
        "true": _true_json(row.true) if row.true else None,
        "residual": vars(residual) | {"is_noise": residual.is_noise} if residual else None,
        "periods_used": row.periods_used,
        "periods": row.periods,
        "fit_seconds": row.fit_seconds,
        "denoise_seconds": row.denoise_seconds,
    }


def _true_json(true: TrueScore) -> dict[str, Any]:
    return {
        "snr_db": _finite(true.snr.mean),
        "snr_interval": [_finite(true.snr.low), _finite(true.snr.high)],
        "gain_db": _finite(true.gain.mean),
        "gain_interval": [_finite(true.gain.low), _finite(true.gain.high)],
        "snr_std_db": _finite(true.snr_std_db),
        "snr_median_db": _finite(true.snr_median_db),
        "rmse": _finite(true.rmse),
        "prd": _finite(true.prd),
        "pooled_snr_db": _finite(true.pooled_db),
        "scale_invariant_snr_db": _finite(true.scale_invariant_db),
        "amplitude": _finite(true.amplitude),
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None


def signal_table(comparison: Comparison) -> list[dict[str, Any]]:
    """Return the true figures of each signal by each method, the noisy signal first, ready for JSON.

    The keys of a row, None where a figure is not finite: ``method``; ``signal``, ``repeat``, ``channel``
    (counted from 0, among those that the method was judged on); ``snr_db``, ``gain_db``, ``rmse``, ``prd``.
    """
    rows = []
    for row in (comparison.noisy, *comparison.rows):
        if row.true is None or row.true.each is None:
            continue
        each = row.true.each
        axes = ("signal", "repeat", "channel")
        places = [dict(zip(axes, place, strict=True)) for place in each.place.tolist()]
        figures = {"snr_db": each.snr, "gain_db": each.gain, "rmse": each.rmse, "prd": each.prd}
        rows += [
            {"method": row.method, **place, **{name: _finite(float(of[n])) for name, of in figures.items()}}
            for n, place in enumerate(places)
        ]
    return rows
