"""The contract of a plugin in code: run these checks over your records, as mpikit does over its own.

Each check raises AssertionError with a sentence, so that it needs no test framework.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NoReturn, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from mpikit.errors import MpikitError
from mpikit.events import Event, silent
from mpikit.options import options_as_text, parse_options
from mpikit.records import Denoiser, Method, Noise, NoiseModel, Run, WholeNoise
from mpikit.scan import Corrections, Repeats, Scan
from mpikit.scanner import DriveField

Number = TypeVar("Number", bound=np.generic)

SEED = 20
SCALE = 3.0  # for f(a y) = a f(y)
TOLERANCE = 1e-4  # relative to the largest sample: float32 sums in another order


def example_scan(
    *,
    frames: int = 6,
    periods: int = 1,
    repeats: Repeats = "frames",
    background_frames: int = 4,
    seed: int = 3,
) -> Scan:
    """Make a small scan: odd harmonic signals of two channels, white noise, and empty frames.

    One channel of a 25 kHz cosine drive field, 162 samples in a period. The signal is a sum of sines, so
    s(-t) = -s(t) as the symmetry of a cosine excitation asks; its rms is ten times the noise's.

    Parameters
    ----------
    frames, periods, background_frames : int
        N, J and E.
    repeats : {"frames", "periods", "both", "none"}
        Along which axes the clean signal is the same.
    seed : int
    """
    rng = np.random.default_rng(seed)
    channels, samples, lines = 2, 162, 12
    objects = (
        1 if repeats in ("frames", "both") else frames,
        1 if repeats in ("periods", "both") else periods,
    )
    weights = rng.normal(size=(*objects, channels, lines)) / np.arange(1, lines + 1)
    harmonics = np.sin(2 * np.pi * np.outer(np.arange(1, lines + 1), np.arange(samples)) / samples)
    clean = np.broadcast_to(weights @ harmonics, (frames, periods, channels, samples))
    deviation = 0.1 * np.sqrt(np.mean(clean**2))
    empty = (background_frames, periods, channels, samples)
    return Scan(
        signal=(clean + rng.normal(0, deviation, clean.shape)).astype(np.float32),
        background=rng.normal(0, deviation, empty).astype(np.float32),
        foreground_index=np.arange(background_frames // 2, background_frames // 2 + frames),
        background_index=np.r_[
            : background_frames // 2, background_frames // 2 + frames : background_frames + frames
        ],
        sampling_rate=25e3 * samples,
        unit="V",
        drive_field=DriveField(
            base_frequency=2.5e6,
            dividers=np.array([[100]]),
            amplitudes=np.full((periods, 1, 1), 12e-3),
            phases=np.full((periods, 1, 1), np.pi / 2),
            waveforms=np.array([["sine"]]),
        ),
        selection_field=None,
        stored_lines=np.ones(samples // 2 + 1, bool),
        corrections=Corrections(),
        repeats=repeats,
        name="example",
    )


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
    _require(isinstance(denoiser, Denoiser), f"a Denoiser was expected, not a {type(denoiser).__name__}")
    options = _check_options(denoiser, options)
    scan = _suitable(denoiser, options, scan)
    scan = _read_only(scan)
    method, output = _fit_and_denoise(denoiser, options, scan)
    _check_output(scan.signal, output, "denoise")
    _require(output.dtype == np.float32, f"denoise gave {output.dtype}, expected float32")

    _, again = _fit_and_denoise(denoiser, options, scan)
    _require(np.array_equal(output, again), "the same seed gave another result")
    _check_state(denoiser, options, scan, method, output)
    _check_interruption(denoiser, options, scan)
    if denoiser.homogeneous:
        _check_homogeneity(method, scan, output)
    if not denoiser.pools:
        _check_isolation(method, scan, output)
    _check_light(denoiser)


def check_noise_model(model: NoiseModel, options: BaseModel | None = None) -> None:
    """Check that a noise model keeps the contract.

    Parameters
    ----------
    model : NoiseModel
    options : pydantic.BaseModel or None
        None takes the defaults.

    Raises
    ------
    AssertionError
        With a sentence that says which promise is broken.
    """
    _require(isinstance(model, NoiseModel), f"a NoiseModel was expected, not a {type(model).__name__}")
    options = _check_options(model, options)
    scan = example_scan(repeats="none", periods=3)
    clean = scan.signal.copy()
    clean[-2:] = 0  # empty frames get noise too
    clean = _frozen(clean)
    noise = _draw(_built(model, options), clean, scan)
    _check_output(clean, noise, "the noise")
    _require(noise.dtype.kind == "f", f"the noise is {noise.dtype}, expected real floating-point numbers")
    again = _draw(_built(model, options), clean, scan)
    _require(np.array_equal(noise, again), "the same seed gave other noise")
    built = _built(model, options)
    if isinstance(built, WholeNoise):
        _check_begin(built, clean, scan, noise)
    if model.fit is not None:
        with _sentence("fit"):
            fitted = model.fit(_read_only(scan))
        _require(isinstance(fitted, model.options), f"fit gave no {model.options.__name__}")
        _check_output(clean, _draw(_built(model, fitted), clean, scan), "the noise of fitted options")
    _check_light(model)


def _require(kept: bool, sentence: str) -> None:
    assert kept, sentence


@contextmanager
def _sentence(what: str) -> Iterator[None]:
    """Turn any error of the plugin into a sentence."""
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        text = str(error)
        if "read-only" in text or "non-writable" in text or "not writ" in text:
            text = f"it must not write into its input ({text})"
        raise AssertionError(f"{what} failed: {type(error).__name__}: {text}") from error


def _check_options(record: Denoiser | NoiseModel, options: BaseModel | None) -> BaseModel:
    model = record.options
    _require(bool(model.model_config.get("frozen")), f"the options {model.__name__} are not frozen")
    _require(model.model_config.get("extra") == "forbid", f'the options {model.__name__} lack extra="forbid"')
    for name, field in model.model_fields.items():
        _require(bool(field.description), f"the option {name!r} has no description")
    if options is None:
        with _sentence("making options without arguments (pass options to the check if one is required)"):
            options = model()
    _require(isinstance(options, model), f"the options are no {model.__name__}")
    text = options_as_text(options)
    try:
        back = parse_options(record, text)
    except MpikitError as error:
        raise AssertionError(f"the options do not survive as text: {error}") from error
    _require(back == options, f"the options do not survive as text: {' '.join(text)}")
    return options


def _suitable(denoiser: Denoiser, options: BaseModel, scan: Scan | None) -> Scan:
    """Return the scan to work with; ask `missing` about others as well."""
    examples = [
        example_scan(),
        example_scan(frames=5, periods=2, repeats="periods"),
        example_scan(repeats="none", background_frames=0),
        example_scan(frames=1, repeats="none"),
    ]
    lacks = [_missing(denoiser, each, options) for each in ([scan] if scan else []) + examples]
    candidates = [scan] if scan else examples[:2]
    for candidate, lack in zip(candidates, lacks, strict=False):
        if lack is None:
            return candidate
    raise AssertionError(f"missing says {lacks[0]!r}: pass the check a scan that has what the method needs")


def _missing(denoiser: Denoiser, scan: Scan, options: BaseModel) -> str | None:
    with _sentence("missing"):
        lack = denoiser.missing(scan, options)
        removes = denoiser.frees_from_background(scan, options)
    _require(
        lack is None or (isinstance(lack, str) and lack != ""),
        f"missing gave {lack!r}, expected words or None",
    )
    _require(isinstance(removes, bool), f"removes_background gave {removes!r}, expected True or False")
    return lack


def _check_light(record: Denoiser | NoiseModel) -> None:
    """Check that listing the method does not wait for torch: build may import it, its module not."""
    module = getattr(record.build, "__module__", None)
    if module is None or not _importable(module):
        return
    done = subprocess.run(  # noqa: S603 - our own interpreter, a module that is already loaded here
        [sys.executable, "-c", f"import sys, {module}; print('torch' in sys.modules)"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    _require(done.returncode == 0, f"{module} cannot be imported by itself: {done.stderr.strip()[-300:]}")
    _require(
        done.stdout.split()[-1] == "False", f"loading {module} imports torch: import it inside a function"
    )


def _importable(module: str) -> bool:
    try:
        return module != "__main__" and importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _read_only(scan: Scan) -> Scan:
    """Copy a scan so that writing into it fails."""
    return replace(
        scan,
        signal=_frozen(scan.signal),
        background=_frozen(scan.background),
        foreground_index=_frozen(scan.foreground_index),
        background_index=_frozen(scan.background_index),
        stored_lines=_frozen(scan.stored_lines),
    )


def _frozen(array: NDArray[Number]) -> NDArray[Number]:
    array = array.copy()
    array.flags.writeable = False
    return array


def _run(tell: Callable[[Event], None] = silent) -> Run:
    return Run(rng=np.random.default_rng(SEED), tell=tell)


def _expect_event(event: Event) -> None:
    _require(
        isinstance(event, get_args(Event)), f"tell was given {event!r}, expected Step, Finding or Warned"
    )


def _build(denoiser: Denoiser, options: BaseModel) -> Method:
    with _sentence("build"):
        method = denoiser.build(options)
    for name in ("fit", "denoise", "state", "restore"):
        _require(callable(getattr(method, name, None)), f"the method that build makes has no {name}")
    return method


def _fit_and_denoise(
    denoiser: Denoiser, options: BaseModel, scan: Scan
) -> tuple[Method, NDArray[np.float32]]:
    method = _build(denoiser, options)
    with _sentence("fit"):
        method.fit([scan], run=_run(_expect_event))
    return method, _denoise(method, scan)


def _denoise(method: Method, scan: Scan) -> NDArray[np.float32]:
    with _sentence("denoise"):
        return method.denoise(scan, run=_run(_expect_event))


def _check_output(given: NDArray[Any], output: object, what: str) -> None:
    _require(isinstance(output, np.ndarray), f"{what} gave a {type(output).__name__}, expected a NumPy array")
    assert isinstance(output, np.ndarray)
    _require(output.shape == given.shape, f"{what} has shape {output.shape}, expected {given.shape}")
    _require(not np.shares_memory(output, given), f"{what} shares memory with its input: return a new array")
    _require(bool(np.all(np.isfinite(output))), f"{what} is not finite")


def _check_state(
    denoiser: Denoiser, options: BaseModel, scan: Scan, method: Method, output: NDArray[np.float32]
) -> None:
    from safetensors.numpy import load, save

    with _sentence("state"):
        state = method.state()
    _require(
        isinstance(state, Mapping), f"state gave a {type(state).__name__}, expected a flat dict of arrays"
    )
    for name, value in state.items():
        _require(
            isinstance(name, str) and isinstance(value, np.ndarray),
            f"state holds a {type(value).__name__} as {name!r}, expected NumPy arrays by name",
        )
    with _sentence("saving the state as safetensors"):
        kept = load(save({name: np.asarray(value, order="C") for name, value in state.items()}))
    other = _build(denoiser, options)
    with _sentence("restore"):
        other.restore(kept)
    _require(
        np.array_equal(output, _denoise(other, scan)), "a method restored from its state gives another result"
    )


def _check_interruption(denoiser: Denoiser, options: BaseModel, scan: Scan) -> None:
    method = _build(denoiser, options)
    told: list[Event] = []

    def stop(event: Event) -> NoReturn:
        told.append(event)
        raise KeyboardInterrupt

    try:
        method.fit([scan], run=_run(stop))
    except KeyboardInterrupt:
        return
    _require(not told, "fit went on after its listener raised KeyboardInterrupt: Ctrl-C must stop it")


def _check_homogeneity(method: Method, scan: Scan, output: NDArray[np.float32]) -> None:
    """f(a y) = a f(y), as a change of the unit: empty frames are scaled with the signal."""
    factor = np.float32(SCALE)
    scaled = replace(scan, signal=factor * scan.signal, background=factor * scan.background)
    _require(
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
    _require(
        _near(changed[others], output[others]),
        "the output of one period changes with another: say pools=True, or use the period alone",
    )


def _near(found: NDArray[Any], wanted: NDArray[Any]) -> bool:
    return found.shape == wanted.shape and bool(
        np.allclose(found, wanted, rtol=0, atol=TOLERANCE * float(np.max(np.abs(wanted), initial=0)))
    )


def _built(model: NoiseModel, options: BaseModel) -> Noise:
    with _sentence("build"):
        return model.build(options)


def _draw(
    noise: Noise,
    clean: NDArray[np.float32],
    scan: Scan,
    *,
    start: int = 0,
    seed: int = SEED,
    what: str = "the noise",
) -> NDArray[Any]:
    """Draw noise for frames of which the first has this place in the order of acquisition."""
    with _sentence(what):
        return noise(
            clean,
            frame_index=np.arange(start, start + len(clean)),
            sampling_rate=scan.sampling_rate,
            drive_field=scan.drive_field,
            rng=np.random.default_rng(seed),
        )


def _begin(noise: WholeNoise, clean: NDArray[np.float32], scan: Scan) -> Noise:
    filled = clean[np.any(clean, axis=(1, 2, 3))]
    with _sentence("begin"):
        begun = noise.begin(
            power=_frozen(np.mean(np.square(filled, dtype=float), axis=(0, 1, 3))),
            samples=clean.shape[-1],
            sampling_rate=scan.sampling_rate,
            drive_field=scan.drive_field,
            rng=np.random.default_rng(SEED),
        )
    _require(callable(begun), f"begin gave a {type(begun).__name__}, expected noise that can be called")
    return begun


def _check_begin(
    noise: WholeNoise, clean: NDArray[np.float32], scan: Scan, before: NDArray[np.floating[Any]]
) -> None:
    """Draw a measurement in two blocks, the second of empty frames alone, in either order."""
    starts = (0, len(clean) - 2)
    blocks = (clean[: starts[1]], clean[starts[1] :])
    what = "the noise of a block after begin"

    def drawn(begun: Noise, block: int) -> NDArray[Any]:
        seed = SEED + 1 + block
        return _draw(begun, blocks[block], scan, start=starts[block], seed=seed, what=what)

    begun = _begin(noise, clean, scan)
    after = _draw(noise, clean, scan)
    _require(np.array_equal(before, after), "begin changed the noise that it was called on")
    forwards = [drawn(begun, 0), drawn(begun, 1)]
    for block, output in zip(blocks, forwards, strict=True):
        _check_output(block, output, what)
    begun = _begin(noise, clean, scan)
    backwards = [drawn(begun, 1), drawn(begun, 0)]
    _require(
        all(np.array_equal(*pair) for pair in zip(forwards, reversed(backwards), strict=True)),
        "after begin with the same seed a block has other noise: it must not depend on what was drawn before",
    )
