"""The contract of a denoiser."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NoReturn, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from mpikit.events import Event, silent
from mpikit.frozen import protected
from mpikit.guarded import unguarded
from mpikit.records import Denoiser, Method, Run
from mpikit.scan import Scan
from mpikit.testing.example import example_scan
from mpikit.testing.sentences import (
    SEED,
    check_light,
    check_options,
    check_output,
    require,
    sentence,
)

SCALE = 3.0  # for f(a y) = a f(y)
TOLERANCE = 1e-4  # relative to the largest sample: float32 sums in another order


def check_denoiser(denoiser: Denoiser, options: BaseModel | None = None, scan: Scan | None = None) -> None:
    """Check that a denoiser keeps the contract.

    Parameters
    ----------
    denoiser : Denoiser
    options : pydantic.BaseModel or None
        For instance with few training steps, so that the check is fast; None takes the defaults.
    scan : Scan or None
        None takes the first `example_scan` from which the method misses nothing: repeated frames, then
        repeated periods.

    Raises
    ------
    AssertionError
        With a sentence that says which promise is broken.
    """
    denoiser = unguarded(denoiser)
    require(isinstance(denoiser, Denoiser), f"a Denoiser was expected, not a {type(denoiser).__name__}")
    options = check_options(denoiser, options)
    scan = _suitable(denoiser, options, scan)
    scan = protected(scan)
    method, output = _fit_and_denoise(denoiser, options, scan)
    check_output(scan.signal, output, "denoise")
    require(output.dtype == np.float32, f"denoise gave {output.dtype}, expected float32")

    _, again = _fit_and_denoise(denoiser, options, scan)
    require(np.array_equal(output, again), "the same seed gave another result")
    _check_state(denoiser, options, scan, method, output)
    _check_interruption(denoiser, options, scan)
    if denoiser.homogeneous:
        _check_homogeneity(method, scan, output)
    if not denoiser.pools:
        _check_isolation(method, scan, output)
    check_light(denoiser)


def _suitable(denoiser: Denoiser, options: BaseModel, scan: Scan | None) -> Scan:
    """Return the scan to work with; ask `missing` about others as well."""
    examples = [
        example_scan(),
        example_scan(frames=5, periods=2, repeats="periods"),
        example_scan(repeats="none", background_frames=0),
        example_scan(frames=1, repeats="none"),
    ]
    lacks = [missing_words(denoiser, each, options) for each in ([scan] if scan else []) + examples]
    candidates = [scan] if scan else examples[:2]
    for candidate, lack in zip(candidates, lacks, strict=False):
        if lack is None:
            return candidate
    raise AssertionError(f"missing says {lacks[0]!r}: pass the check a scan that has what the method needs")


def missing_words(denoiser: Denoiser, scan: Scan, options: BaseModel) -> str | None:
    """Return what the method says that the scan lacks, or None."""
    with sentence("missing"):
        lack = denoiser.missing(scan, options)
        removes = denoiser.frees_from_background(scan, options)
    require(
        lack is None or (isinstance(lack, str) and lack != ""),
        f"missing gave {lack!r}, expected words or None",
    )
    require(isinstance(removes, bool), f"removes_background gave {removes!r}, expected True or False")
    return lack


def new_run(tell: Callable[[Event], None] = silent) -> Run:
    """Return a run with the seed of the checks."""
    return Run(rng=np.random.default_rng(SEED), tell=tell)


def expect_event(event: Event) -> None:
    """Refuse what is no event."""
    require(isinstance(event, get_args(Event)), f"tell was given {event!r}, expected Step, Finding or Warned")


def build_method(denoiser: Denoiser, options: BaseModel) -> Method:
    """Build a method, and look whether all of it is there."""
    with sentence("build"):
        method = denoiser.build(options)
    for name in ("fit", "denoise", "state", "restore"):
        require(callable(getattr(method, name, None)), f"the method that build makes has no {name}")
    return method


def _fit_and_denoise(
    denoiser: Denoiser, options: BaseModel, scan: Scan
) -> tuple[Method, NDArray[np.float32]]:
    method = build_method(denoiser, options)
    with sentence("fit"):
        method.fit([scan], run=new_run(expect_event))
    return method, _denoise(method, scan)


def _denoise(method: Method, scan: Scan) -> NDArray[np.float32]:
    with sentence("denoise"):
        return method.denoise(scan, run=new_run(expect_event))


def _check_state(
    denoiser: Denoiser, options: BaseModel, scan: Scan, method: Method, output: NDArray[np.float32]
) -> None:
    from safetensors.numpy import load, save

    with sentence("state"):
        state = method.state()
    require(
        isinstance(state, Mapping), f"state gave a {type(state).__name__}, expected a flat dict of arrays"
    )
    for name, value in state.items():
        require(
            isinstance(name, str) and isinstance(value, np.ndarray),
            f"state holds a {type(value).__name__} as {name!r}, expected NumPy arrays by name",
        )
    with sentence("saving the state as safetensors"):
        kept = load(save({name: np.asarray(value, order="C") for name, value in state.items()}))
    other = build_method(denoiser, options)
    with sentence("restore"):
        other.restore(kept)
    require(
        np.array_equal(output, _denoise(other, scan)), "a method restored from its state gives another result"
    )


def _check_interruption(denoiser: Denoiser, options: BaseModel, scan: Scan) -> None:
    method = build_method(denoiser, options)
    told: list[Event] = []

    def stop(event: Event) -> NoReturn:
        told.append(event)
        raise KeyboardInterrupt

    try:
        method.fit([scan], run=new_run(stop))
    except KeyboardInterrupt:
        return
    require(not told, "fit went on after its listener raised KeyboardInterrupt: Ctrl-C must stop it")


def _check_homogeneity(method: Method, scan: Scan, output: NDArray[np.float32]) -> None:
    """f(a y) = a f(y), as a change of the unit: empty frames are scaled with the signal."""
    factor = np.float32(SCALE)
    scaled = replace(scan, signal=factor * scan.signal, background=factor * scan.background)
    require(
        _near(_denoise(method, scaled), factor * output),
        f"homogeneous is promised, but f({SCALE:g} y) is not {SCALE:g} f(y)",
    )


def _check_isolation(method: Method, scan: Scan, output: NDArray[np.float32]) -> None:
    """Check that a period is denoised from itself and what was fitted alone, whatever its repeats are."""
    signal = scan.signal.copy()
    signal[0, 0] = 2 * signal[0, 0, :, ::-1]
    others = np.ones(signal.shape[:2], bool)
    others[0, 0] = False
    changed = _denoise(method, replace(scan, signal=signal))
    require(
        _near(changed[others], output[others]),
        "the output of one period changes with another: say pools=True, or use the period alone",
    )


def _near(found: NDArray[Any], wanted: NDArray[Any]) -> bool:
    return found.shape == wanted.shape and bool(
        np.allclose(found, wanted, rtol=0, atol=TOLERANCE * float(np.max(np.abs(wanted), initial=0)))
    )
