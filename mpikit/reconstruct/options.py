"""What each reconstruction method takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError

from mpikit.errors import UsageError
from mpikit.options import did_you_mean, expected, option_fields
from mpikit.reconstruct.background import Background
from mpikit.records import Options

Method = Literal["kaczmarz", "x-space"]


class Kaczmarz(Options):
    """System-matrix reconstruction with regularised Kaczmarz."""

    iterations: int = Field(10, ge=1, description="Sweeps over all rows")
    lambda_: float = Field(
        0.01, ge=0, allow_inf_nan=False, description="Tikhonov weight relative to ||S||_F^2 / P"
    )
    min_frequency: float = Field(80e3, ge=0, description="Lowest frequency that is used, Hz")
    max_frequency: float | None = Field(None, gt=0, description="Highest frequency that is used, Hz")
    snr_threshold: float = Field(
        2.0, ge=0, description="Rows with a lower SNR in the calibration are left out"
    )
    background: Background = Field("auto", description="Empty-scanner signal; auto is static where possible")


class XSpace(Options):
    """X-space reconstruction: signal over speed at the field-free point, gridded."""

    background: Background = Field("auto", description="Empty-scanner signal; auto is static where possible")
    grid: tuple[int, ...] | None = Field(
        None, min_length=1, max_length=3, description="Voxels along x, y, z; the rest is 1"
    )
    field_of_view: tuple[float, ...] | None = Field(
        None,
        min_length=1,
        max_length=3,
        description="Extent along x, y, z in m; not given: that of the trajectory",
    )
    min_speed: float = Field(
        0.1, gt=0, lt=1, description="Samples slower than this fraction of the highest speed are left out"
    )


METHODS: dict[str, type[Options]] = {"kaczmarz": Kaczmarz, "x-space": XSpace}


def make_options(method: str, values: Mapping[str, Any]) -> Options:
    """Check the options of a method; what is not given has its default.

    Raises
    ------
    UsageError
        For an unknown method or option, or a value that is not allowed.
    """
    if method not in METHODS:
        known = ", ".join(METHODS)
        raise UsageError(f"no reconstruction method is called {method!r}", hint=f"there are {known}")
    fields = option_fields(METHODS[method])
    for name in values:
        if name not in fields:
            raise UsageError(
                f"{method} has no option {_shown(name)!r}",
                hint=did_you_mean(name, fields) or f"its options are {', '.join(map(_shown, fields))}",
            )
    try:
        return METHODS[method].model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise UsageError(
            f"{method}: {_shown(name)!r} is {first['input']!r}, expected {expected(fields[name])}",
            hint=fields[name].description or "",
        ) from None


def _shown(name: str) -> str:
    return "fov" if name == "field_of_view" else name.rstrip("_").replace("_", "-")
