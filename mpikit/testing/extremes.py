"""What a method does with extreme scans: no numbers, no noise, no repeats, few samples, any scale."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from mpikit.denoise import check_signal
from mpikit.errors import MpikitError
from mpikit.frozen import protected, read_only
from mpikit.guarded import unguarded
from mpikit.plugins import OWN, Offer, build_noise
from mpikit.records import Denoiser, NoiseModel, WholeNoise
from mpikit.scan import Scan
from mpikit.testing.denoiser import build_method, expect_event, missing_words, new_run
from mpikit.testing.example import example_scan
from mpikit.testing.noise_model import begin, draw
from mpikit.testing.sentences import check_options, check_output, require

Signals = NDArray[Any]
NUMBERS = "numbers"


def extreme_scans() -> dict[str, Scan]:
    """Make the scans of `check_extremes`, each by the name of what is extreme in it.

    Some cannot be denoised at all: a method then raises one of mpikit's errors, or says what it misses.
    """
    usual = example_scan()
    scans = {
        "the usual scan": usual,
        "one frame": example_scan(frames=1, repeats="none"),
        "one frame of repeated periods": example_scan(frames=1, periods=3, repeats="periods"),
        "two frames": example_scan(frames=2),
        "no background": example_scan(background_frames=0),
        "one background frame": example_scan(background_frames=1),
        "no repeats and no background": example_scan(frames=3, repeats="none", background_frames=0),
        "one channel": replace(usual, signal=usual.signal[:, :, :1], background=usual.background[:, :, :1]),
        "no frame at all": replace(
            usual, signal=usual.signal[:0], foreground_index=usual.foreground_index[:0]
        ),
    }
    scans |= {f"{count} samples": _shortened(usual, count) for count in (1, 2, 3, 5, 16)}
    scans |= {name: _changed(usual, change) for name, change in _VALUES.items()}
    scans |= {f"values of type {name}": _changed(usual, _typed(name)) for name in _TYPES}
    for name, value in {"NaN": np.nan, "infinity": np.inf, "minus infinity": -np.inf}.items():
        scans[f"{name} in the signal"] = replace(usual, signal=_pierced(usual.signal, value))
        scans[f"{name} in the background"] = replace(usual, background=_pierced(usual.background, value))
    scans["nothing but NaN"] = _changed(usual, lambda values: np.full_like(values, np.nan))
    return scans


def check_extremes(
    record: Denoiser | NoiseModel, options: BaseModel | None = None, scans: Mapping[str, Scan] | None = None
) -> dict[str, str]:
    """Check what a denoiser or a noise model does with extreme scans.

    From finite numbers it makes finite numbers of the right shape, or raises one of mpikit's errors with a
    sentence; no other error, no NaN, and no warning of NumPy. Scans that hold NaN or infinity are refused by
    mpikit before the plugin sees them. A scan of a usual kind must not be refused: integers, double
    precision, two frames, one channel (by a denoiser) or a channel of zeros; what a denoiser needs besides
    it says by ``missing``.

    Parameters
    ----------
    record : Denoiser or NoiseModel
    options : pydantic.BaseModel or None
        For instance with few training steps, so that the check is fast; None takes the defaults.
    scans : mapping of str to Scan, or None
        None takes all of `extreme_scans`. A noise model is given their signals as clean ones.

    Returns
    -------
    dict of str to str
        What came of each scan, by its name: ``"numbers"``, or the words that it was refused with.

    Raises
    ------
    AssertionError
        With a sentence that says what was extreme, and what went wrong; also when none of all scans gives
        numbers.
    """
    record = unguarded(record)
    require(
        isinstance(record, Denoiser | NoiseModel),
        f"a Denoiser or a NoiseModel was expected, not a {type(record).__name__}",
    )
    options = check_options(record, options)
    found: dict[str, str] = {}
    for name, scan in (extreme_scans() if scans is None else scans).items():
        try:
            found[name] = _tried(record, options, scan, is_usual=name in _USUAL[type(record)])
        except AssertionError as error:
            raise AssertionError(f"{record.name} and {name}: {error}") from error
    if scans is None:
        some = next(iter(found.values()))
        require(
            NUMBERS in found.values(),
            f"{record.name} refuses every scan ({some}): pass the check scans that have what it needs",
        )
    return found


def _tried(record: Denoiser | NoiseModel, options: BaseModel, scan: Scan, *, is_usual: bool) -> str:
    """Return `NUMBERS`, or the words with which the scan was refused."""
    try:
        with _only_our_errors(), _no_warnings():
            if isinstance(record, Denoiser):
                return _denoise_extreme(record, options, scan)
            return _draw_extreme(record, options, scan)
    except MpikitError as error:
        require(not is_usual, f"a scan of a usual kind was refused: {error}")
        return str(error)


def _denoise_extreme(denoiser: Denoiser, options: BaseModel, scan: Scan) -> str:
    scan = protected(scan)
    # as the host does before any plugin sees the scan
    check_signal(scan, expect_event, subtracted=False)
    lack = missing_words(denoiser, scan, options)
    if lack is not None:
        return lack
    method = build_method(denoiser, options)
    method.fit([scan], run=new_run(expect_event))
    empty = replace(scan, signal=scan.background, foreground_index=scan.background_index)
    for each in (scan, empty):
        if len(each.signal):
            check_output(each.signal, method.denoise(each, run=new_run(expect_event)), "denoise")
    return NUMBERS


def _draw_extreme(model: NoiseModel, options: BaseModel, scan: Scan) -> str:
    clean = read_only(scan.signal)
    if not clean.size:
        return "no simulation has no frame"
    noise = build_noise(Offer(model, "checked", OWN), options)
    begun = [noise]
    if isinstance(noise, WholeNoise) and np.isfinite(clean).all():
        begun.append(begin(noise, clean, scan))
    for each in begun:
        check_output(clean, draw(each, clean, scan), "the noise")
    return NUMBERS


@contextmanager
def _only_our_errors() -> Iterator[None]:
    """Let errors of mpikit pass, and make sentences of all others."""
    try:
        yield
    except MpikitError as error:
        require(str(error) != "", f"a {type(error).__name__} without a sentence")
        raise
    except AssertionError as error:
        cause = error.__cause__  # the checks that are shared make sentences of errors, of ours too
        if isinstance(cause, MpikitError):
            raise cause from None
        raise
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}") from error


@contextmanager
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _changed(scan: Scan, change: Callable[[Signals], Signals]) -> Scan:
    background = change(scan.background) if len(scan.background) else scan.background
    return replace(scan, signal=change(scan.signal), background=background)


def _shortened(scan: Scan, samples: int) -> Scan:
    """Keep the first samples of a period; the drive field is as fast as before."""
    return replace(
        scan,
        signal=scan.signal[..., :samples],
        background=scan.background[..., :samples],
        stored_lines=scan.stored_lines[: samples // 2 + 1],
        sampling_rate=samples * scan.sampling_rate / scan.signal.shape[-1],
    )


def _typed(name: str) -> Callable[[Signals], Signals]:
    """Return values of a type; integers as an ADC counts, a few thousand of them."""
    scale = 1000 if np.dtype(name).kind == "i" else 1
    return lambda values: np.round(scale * values, 4).astype(name)


def _pierced(values: Signals, value: float) -> Signals:
    values = values.copy()
    values[-1, 0, 1, 7] = value
    return values


def _single(values: Signals) -> Signals:
    found = np.zeros_like(values)
    found[0, 0, 0, values.shape[-1] // 2] = 1
    return found


def _outlier(values: Signals) -> Signals:
    values = values.copy()
    values[0] *= 1e6
    return values


_FIRST = np.array([1, 0], np.float32)[:, None]  # the first channel, of two
_VALUES: dict[str, Callable[[Signals], Signals]] = {
    "zeros": np.zeros_like,
    "a constant": lambda values: np.full_like(values, 0.3),
    "a single value": _single,
    "frames without noise": lambda values: np.repeat(values[:1], len(values), axis=0),
    "one frame that is a million times as strong": _outlier,
    "1e-30 V": lambda values: values * np.float32(1e-30),
    "1e-12 V": lambda values: values * np.float32(1e-12),
    "1e12 V": lambda values: values * np.float32(1e12),
    "1e30 V": lambda values: values * np.float32(1e30),
    "a constant channel": lambda values: values * _FIRST + np.float32(0.3) * (1 - _FIRST),
    "a zero channel": lambda values: values * _FIRST,
}
_TYPES = ("float16", "float64", "int16", "int32")
_KINDS = ("the usual scan", "two frames", "a constant channel", "a zero channel")
_USUAL = {
    Denoiser: {*_KINDS, "one channel", *(f"values of type {name}" for name in _TYPES)},
    NoiseModel: {*_KINDS, *(f"values of type {name}" for name in _TYPES)},
}
