"""What all checks share: sentences in place of errors, inputs that cannot be written, options, outputs."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from mpikit.errors import MpikitError
from mpikit.options import options_as_text, parse_options
from mpikit.records import Denoiser, NoiseModel

Number = TypeVar("Number", bound=np.generic)

SEED = 20


def require(kept: bool, sentence: str) -> None:
    """Raise AssertionError with a sentence, unless the promise is kept."""
    assert kept, sentence


@contextmanager
def sentence(what: str) -> Iterator[None]:
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


def check_options(record: Denoiser | NoiseModel, options: BaseModel | None) -> BaseModel:
    """Check the options, and return them or their defaults."""
    model = record.options
    require(bool(model.model_config.get("frozen")), f"the options {model.__name__} are not frozen")
    require(model.model_config.get("extra") == "forbid", f'the options {model.__name__} lack extra="forbid"')
    for name, field in model.model_fields.items():
        require(bool(field.description), f"the option {name!r} has no description")
    if options is None:
        with sentence("making options without arguments (pass options to the check if one is required)"):
            options = model()
    require(isinstance(options, model), f"the options are no {model.__name__}")
    text = options_as_text(options)
    try:
        back = parse_options(record, text)
    except MpikitError as error:
        raise AssertionError(f"the options do not survive as text: {error}") from error
    require(back == options, f"the options do not survive as text: {' '.join(text)}")
    return options


def check_light(record: Denoiser | NoiseModel) -> None:
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
    require(done.returncode == 0, f"{module} cannot be imported by itself: {done.stderr.strip()[-300:]}")
    require(
        done.stdout.split()[-1] == "False", f"loading {module} imports torch: import it inside a function"
    )


def _importable(module: str) -> bool:
    try:
        return module != "__main__" and importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def frozen(array: NDArray[Number]) -> NDArray[Number]:
    """Copy an array so that writing into the copy fails."""
    array = array.copy()
    array.flags.writeable = False
    return array


def check_output(given: NDArray[Any], output: object, what: str) -> None:
    """Check that an output is a new finite array of the shape that was given."""
    require(isinstance(output, np.ndarray), f"{what} gave a {type(output).__name__}, expected a NumPy array")
    assert isinstance(output, np.ndarray)
    require(output.shape == given.shape, f"{what} has shape {output.shape}, expected {given.shape}")
    require(not np.shares_memory(output, given), f"{what} shares memory with its input: return a new array")
    require(bool(np.all(np.isfinite(output))), f"{what} is not finite")
