"""The one door of the core to torch; torch is imported inside these functions and not before."""

from __future__ import annotations

from mpikit.errors import UsageError
from mpikit.options import did_you_mean

DEVICES = ("auto", "cpu", "cuda")


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
