"""The one door of the core to torch; torch is imported inside these functions and not before."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import UsageError
from mpikit.options import did_you_mean

DEVICES = ("auto", "cpu", "cuda")


class Arrays(Protocol):
    """A library of arrays on a device: what NumPy and torch do not do alike with the same operators."""

    own_threads: bool  # whether the caller spreads the work over threads; else the library does

    def put(self, values: NDArray[Any], /) -> Any:
        """Return NumPy values as an array of the library, without a copy where that can be."""

    def get(self, values: Any, /) -> NDArray[Any]:
        """Return an array of the library as a NumPy array, without a copy where that can be."""

    def take(self, values: Any, places: slice | NDArray[np.intp], /) -> Any:
        """Return places of the last axis, row-major: the values themselves for all places."""

    def lower_gram(self, values: Any, /) -> Any:
        """Return ``a a^H`` of row-major values a; above the diagonal it may hold anything finite."""

    def energy(self, values: Any, /) -> Any:
        """Sum of the squared magnitudes of contiguous values, a number that may still be on the device."""


class NumPyArrays:
    """NumPy: the arrays stay what they are."""

    own_threads = True

    def put(self, values: NDArray[Any], /) -> NDArray[Any]:
        """Return the values themselves."""
        return values

    def get(self, values: NDArray[Any], /) -> NDArray[Any]:
        """Return the values themselves."""
        return values

    def take(self, values: NDArray[Any], places: slice | NDArray[np.intp], /) -> Any:
        """Return places of the last axis, row-major."""
        if isinstance(places, slice):
            return values if places == slice(None) else values[..., places].copy()
        return values.take(places, axis=-1)

    def lower_gram(self, values: NDArray[Any], /) -> NDArray[Any]:
        """Return the lower triangle of ``a a^H``, with zeros above: half the work of the product."""
        from scipy.linalg import blas

        # In Fortran's order: the transposed array as it is, and the upper triangle of the conjugate.
        products = blas.cherk if values.dtype == np.complex64 else blas.zherk
        upper: NDArray[Any] = products(1, values.T, trans=2)
        return upper.T

    def energy(self, values: NDArray[Any], /) -> Any:
        """Sum of the squared magnitudes."""
        return np.vdot(values, values).real


class TorchArrays:
    """Torch on one of its devices.

    Parameters
    ----------
    device : str
        As torch calls it, ``"cpu"`` or ``"cuda"``.
    """

    own_threads = False

    def __init__(self, device: str) -> None:
        self._device = device

    def put(self, values: NDArray[Any], /) -> Any:
        """Return the values as a tensor."""
        import torch

        values = values if values.flags.writeable else values.copy()  # torch warns of a read-only array
        return torch.as_tensor(values, device=self._device)

    def get(self, values: Any, /) -> NDArray[Any]:
        """Return a tensor as an array of the host."""
        found: NDArray[Any] = values.resolve_conj().cpu().numpy()
        return found

    def take(self, values: Any, places: slice | NDArray[np.intp], /) -> Any:
        """Return places of the last axis, row-major."""
        if isinstance(places, slice) and places == slice(None):
            return values
        return values[..., places].contiguous()

    def lower_gram(self, values: Any, /) -> Any:
        """Return ``a a^H``."""
        return values @ values.mH

    def energy(self, values: Any, /) -> Any:
        """Sum of the squared magnitudes, a tensor without axes."""
        import torch

        return torch.linalg.vector_norm(values) ** 2


def arrays_on(device: str) -> Arrays:
    """Return the library of arrays for a device.

    Parameters
    ----------
    device : {"cpu", "cuda", "torch-cpu"}
        NumPy, torch on a CUDA device, or torch on the CPU: the code of the CUDA device without one.

    Raises
    ------
    UsageError
        For another name, or ``"cuda"`` where there is none.
    """
    if device == "torch-cpu":
        return TorchArrays("cpu")
    return TorchArrays("cuda") if choose_device(device) == "cuda" else NumPyArrays()


def choose_device(name: str) -> str:
    """Return the device to compute on.

    Parameters
    ----------
    name : {"auto", "cpu", "cuda"}
        ``"auto"`` takes a CUDA device if there is one.

    Returns
    -------
    str
        ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    UsageError
        For another name, or ``"cuda"`` where there is none.
    """
    if name not in DEVICES:
        hint = did_you_mean(name, DEVICES)
        raise UsageError(f"no device is called {name!r}, expected one of {', '.join(DEVICES)}", hint=hint)
    if name == "cpu":
        return "cpu"
    found = cuda_name() is not None
    if name == "cuda" and not found:
        raise UsageError(
            "--device cuda: no CUDA device is found", hint="leave the option out, or use --device cpu"
        )
    return "cuda" if found else "cpu"


def cuda_name() -> str | None:
    """Return the name of the CUDA device, or None."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def torch_threads() -> int:
    """Return how many threads torch computes with on the CPU: the last bits of sums may depend on it."""
    import torch

    return torch.get_num_threads()


def set_torch_threads(count: int) -> None:
    """Let torch compute with so many threads on the CPU, as another process does."""
    import torch

    torch.set_num_threads(count)
