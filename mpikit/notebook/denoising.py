"""Denoise a scan in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from mpikit.compare.auto import Choice, choose, denoise_chosen
from mpikit.compare.auto_options import auto_candidates
from mpikit.compare.choice import AUTO
from mpikit.compare.unchanged import find_method
from mpikit.denoise import Denoised, denoise_scan
from mpikit.denoise_write import emptied_lines
from mpikit.events import Warned
from mpikit.notebook.loading import history_of, measured, of_scan
from mpikit.notebook.running import Listener, run_of, warn
from mpikit.options import as_text, parse_options
from mpikit.plugins import Offer
from mpikit.provenance import HISTORY, append_history, run_record
from mpikit.records import Denoiser
from mpikit.scan import Scan
from mpikit.scan_file import EMPTY_LINES
from mpikit.scan_set import was_denoised
from mpikit.scoring import score_table, snr_words
from mpikit.shown import scan_as_html


@dataclass(frozen=True, repr=False)
class DenoisedScan(Scan):
    """A denoised scan, and what came out beside it.

    Parameters
    ----------
    result : Denoised
        The reference-free scores, the fitted method, and the like.
    choice : Choice or None
        What ``auto`` chose, and why, if it was asked.
    method : str
        Name of the method.
    """

    result: Denoised = field(kw_only=True)
    choice: Choice | None = field(default=None, kw_only=True)
    method: str = field(kw_only=True)

    def _repr_html_(self) -> str:
        scores = (("SNR before", self.result.before), ("SNR after", self.result.after))
        rows = [(name, snr_words(score)) for name, score in scores if score is not None]
        return scan_as_html(self, [("denoised by", self.method), *rows])

    @property
    def scores(self) -> list[dict[str, Any]]:
        """Reference-free figures of the noisy data, the method and simple methods, ready for a data frame.

        Empty when the scan has too few repeats; ``result.no_score`` then says so.
        """
        return score_table(self.result)


def denoise(
    scan: Scan | str | Path,
    method: str = AUTO,
    *,
    seed: int = 0,
    device: str = "auto",
    tell: Listener | None = None,
    **options: Any,
) -> DenoisedScan:
    """Denoise a measurement, as ``mpikit denoise`` does with a file.

    Parameters
    ----------
    scan : Scan, str or Path
        A measurement or its MDF file.
    method : str
        Name of a denoiser; ``"auto"`` chooses one on the noisy data, see `mpikit.compare.choose`.
    seed : int
        Of every random draw: a seed gives the signals of ``mpikit denoise --seed``.
    device : {"auto", "cpu", "cuda"}
    tell : callable or None
        Takes the events of the run. None makes Python warnings of what it warns of, and is silent else.
    **options
        Options of the method by name; of ``auto`` ``candidates=[...]``.

    Returns
    -------
    DenoisedScan
        A `Scan` of the same shape, with ``scores`` and the fitted method beside it.

    Raises
    ------
    InputError
        When the scan lacks what the method needs.
    PluginError
        When there is no such method, or its plugin fails.
    UsageError
        When an option is wrong.
    NumericalError
        When the output is not finite.
    mdf.MdfError
        When the file is no MDF file, or a damaged one.

    Examples
    --------
    >>> import mpikit
    >>> denoised = mpikit.denoise("scan.mdf", "harmonic", symmetry="off")  # doctest: +SKIP
    """
    tell = tell or warn
    noisy = measured(scan)
    if was_denoised(history_of(noisy)):
        tell(Warned(f"{noisy.name} was denoised before: its repeats are no longer independent"))
    texts = tuple(f"{name}={as_text(value)}" for name, value in options.items())
    if method == AUTO:
        done = _by_auto(noisy, texts, seed, device, tell)
    else:
        done = _by_name(noisy, method, texts, seed, device, tell)
    record = run_record(
        "denoise",
        inputs=() if isinstance(scan, Scan) else (Path(scan),),
        options={"method": done.offer.record.name, **done.options.model_dump(mode="json")}
        | {"repeats": noisy.repeats},
        seed=seed,
        distribution=done.offer.distribution,
        device=done.device,
        scores=score_table(done.result),
        **({} if done.choice is None else {"auto": done.choice.as_json()}),
    )
    return _denoised(noisy, done, record)


@dataclass(frozen=True)
class _Done:
    """What a method made of a scan."""

    result: Denoised
    offer: Offer[Denoiser]
    options: BaseModel
    device: str
    choice: Choice | None = None


def _by_auto(scan: Scan, texts: Sequence[str], seed: int, device: str, tell: Listener) -> _Done:
    among = auto_candidates(texts)
    run = run_of(seed, device, tell, learned=any(each.offer.record.learned for each in among))
    choice = choose(scan, among, seed=seed, device=run.device, tell=tell)
    return _Done(denoise_chosen(scan, choice, run=run), choice.offer, choice.options, run.device, choice)


def _by_name(scan: Scan, name: str, texts: Sequence[str], seed: int, device: str, tell: Listener) -> _Done:
    offer = find_method(name)
    options = parse_options(offer.record, texts)
    run = run_of(seed, device, tell, learned=offer.record.learned)
    return _Done(denoise_scan(scan, offer, options, run=run), offer, options, run.device)


def _denoised(noisy: Scan, done: _Done, record: Mapping[str, Any]) -> DenoisedScan:
    """Put denoised signals into the place of the noisy ones, with what the file of them would say."""
    result = done.result
    before = noisy.about.get(HISTORY)
    about = {**noisy.about, HISTORY: append_history(before if isinstance(before, str) else None, record)}
    emptied = emptied_lines(noisy.signal, result.signal)
    if emptied.any():
        about[EMPTY_LINES] = emptied.astype(np.int8)
    background = noisy.corrections.background or result.without_background
    changed = {
        "signal": result.signal,
        "background": result.background,
        "corrections": replace(noisy.corrections, background=background),
        "about": about,
    }
    return DenoisedScan(
        **(of_scan(noisy) | changed), result=result, choice=done.choice, method=done.offer.record.name
    )
