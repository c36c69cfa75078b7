"""The contract of a noise model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from mpikit.frozen import protected
from mpikit.guarded import unguarded
from mpikit.records import Noise, NoiseModel, WholeNoise
from mpikit.scan import Scan
from mpikit.testing.example import example_scan
from mpikit.testing.sentences import (
    SEED,
    check_light,
    check_options,
    check_output,
    frozen,
    require,
    sentence,
)


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
    model = unguarded(model)
    require(isinstance(model, NoiseModel), f"a NoiseModel was expected, not a {type(model).__name__}")
    options = check_options(model, options)
    scan = example_scan(repeats="none", periods=3)
    clean = scan.signal.copy()
    clean[-2:] = 0  # empty frames get noise too
    clean = frozen(clean)
    noise = draw(build_noise(model, options), clean, scan)
    check_output(clean, noise, "the noise")
    require(noise.dtype.kind == "f", f"the noise is {noise.dtype}, expected real floating-point numbers")
    again = draw(build_noise(model, options), clean, scan)
    require(np.array_equal(noise, again), "the same seed gave other noise")
    built = build_noise(model, options)
    if isinstance(built, WholeNoise):
        _check_begin(built, clean, scan, noise)
    if model.fit is not None:
        with sentence("fit"):
            fitted = model.fit(protected(scan))
        require(isinstance(fitted, model.options), f"fit gave no {model.options.__name__}")
        check_output(clean, draw(build_noise(model, fitted), clean, scan), "the noise of fitted options")
    check_light(model)


def build_noise(model: NoiseModel, options: BaseModel) -> Noise:
    """Build a noise."""
    with sentence("build"):
        return model.build(options)


def draw(
    noise: Noise,
    clean: NDArray[np.float32],
    scan: Scan,
    *,
    start: int = 0,
    seed: int = SEED,
    what: str = "the noise",
) -> NDArray[Any]:
    """Draw noise for frames of which the first has this place in the order of acquisition."""
    with sentence(what):
        return noise(
            clean,
            frame_index=np.arange(start, start + len(clean)),
            sampling_rate=scan.sampling_rate,
            drive_field=scan.drive_field,
            rng=np.random.default_rng(seed),
        )


def begin(noise: WholeNoise, clean: NDArray[np.float32], scan: Scan) -> Noise:
    """Begin a measurement of the power of clean signals (N, J, C, V)."""
    filled = clean[np.any(clean, axis=(1, 2, 3))]
    power = (
        np.mean(np.square(filled, dtype=float), axis=(0, 1, 3)) if len(filled) else np.zeros(clean.shape[2])
    )
    with sentence("begin"):
        begun = noise.begin(
            power=frozen(power),
            samples=clean.shape[-1],
            sampling_rate=scan.sampling_rate,
            drive_field=scan.drive_field,
            rng=np.random.default_rng(SEED),
        )
    require(callable(begun), f"begin gave a {type(begun).__name__}, expected noise that can be called")
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
        return draw(begun, blocks[block], scan, start=starts[block], seed=seed, what=what)

    begun = begin(noise, clean, scan)
    after = draw(noise, clean, scan)
    require(np.array_equal(before, after), "begin changed the noise that it was called on")
    forwards = [drawn(begun, 0), drawn(begun, 1)]
    for block, output in zip(blocks, forwards, strict=True):
        check_output(block, output, what)
    begun = begin(noise, clean, scan)
    backwards = [drawn(begun, 1), drawn(begun, 0)]
    require(
        all(np.array_equal(*pair) for pair in zip(forwards, reversed(backwards), strict=True)),
        "after begin with the same seed a block has other noise: it must not depend on what was drawn before",
    )
