"""What each reconstruction method takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from mpikit.errors import UsageError
from mpikit.options import did_you_mean, expected, option_fields
from mpikit.reconstruct.background import Background
from mpikit.reconstruct.idle import idle_options, refuse_idle
from mpikit.reconstruct.transfer import Transfer
from mpikit.records import Options

Method = Literal["kaczmarz", "cgls", "fista", "admm", "tikhonov", "x-space", "fbp"]
Weighting = Literal["none", "whitening", "channel", "row-norm"]
Choosing = Literal["auto", "discrepancy", "l-curve", "gcv"]
Uncertainty = Literal["none", "auto", "exact", "bootstrap", "drawn"]


class _Reconstruction(Options):
    """Options of a method, none of which may do nothing."""

    @model_validator(mode="after")
    def _none_idle(self) -> Self:
        refuse_idle(self)
        return self


class SystemMatrix(_Reconstruction):
    """What all methods with a system matrix take."""

    lambda_: float | Choosing = Field(
        0.01,
        description="Tikhonov weight relative to ||W S||_F^2 / P, or auto, discrepancy, l-curve, gcv",
    )
    min_frequency: float = Field(80e3, ge=0, description="Lowest frequency that is used, Hz")
    max_frequency: float | None = Field(None, gt=0, description="Highest frequency that is used, Hz")
    snr_threshold: float = Field(
        2.0, ge=0, description="Rows with a lower SNR in the calibration are left out"
    )
    receive_channels: tuple[int, ...] | None = Field(
        None, min_length=1, description="Receive channels that are used, counted from 0; none: all"
    )
    best: int | None = Field(None, ge=1, description="Only so many rows, those with the highest SNR")
    max_mixing_order: int | None = Field(None, ge=1, description="Highest mixing order of a frequency")
    stop_bands: tuple[float, ...] = Field(
        (), description="Frequencies to leave out, Hz: lower and upper end of each band"
    )
    row_order: Literal["frequency", "snr", "random"] = Field(
        "frequency", description="Order of the rows: ascending frequency, descending SNR, or at random"
    )
    weighting: tuple[Weighting, ...] = Field(
        ("none",), min_length=1, description="Row weights: none, whitening, channel, row-norm, or several"
    )
    channel_weights: tuple[float, ...] = Field(
        (), description="Weight of each receive channel, for the weighting channel"
    )
    background: Background = Field(
        "auto",
        description="Empty-scanner signal; auto is static where possible, dictionary estimates it jointly",
    )
    dictionary_size: int = Field(2, ge=1, description="Background signals that are estimated jointly")
    dictionary_lambda: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="Tikhonov weight of the background signals, relative; 0: as strong as the data want",
    )
    transfer_function: Transfer = Field(
        "auto", description="Divide the receive chain out of both files; auto: where that is possible"
    )
    leakage: bool = Field(False, description="Correct the spectral leakage between frames or periods")
    grid: tuple[int, ...] | None = Field(
        None,
        min_length=1,
        max_length=3,
        description="Voxels along x, y, z of a new grid; other axes keep the calibration's positions (with "
        "several tracers or patches those of the grid of all)",
    )
    field_of_view: tuple[float, ...] | None = Field(
        None,
        min_length=1,
        max_length=3,
        description="Extent along x, y, z in m, inside the calibration (what all tracers share, or the "
        "patches cover); without a grid it is cropped",
    )
    center: tuple[float, ...] | None = Field(
        None,
        min_length=1,
        max_length=3,
        description="Centre of the field of view, x, y, z in m; none: that of the calibration, of what all "
        "tracers share, or of all patches",
    )
    period_grouping: int = Field(
        1,
        ge=1,
        description="Consecutive periods of a frame that are joined to a longer one, whose lines are then "
        "those of the system matrix",
    )
    period_averages: int | None = Field(
        None,
        ge=1,
        description="Consecutive periods, after grouping, that are averaged for an image; none: all",
    )
    memory: float | None = Field(
        None,
        gt=0,
        description="GiB of memory for the matrix; a larger one is read in every sweep; none: half of the "
        "machine's",
    )
    cache: Path | None = Field(
        None,
        description="File in which the rows are kept as 16-bit integers, or a folder of such files: the next "
        "run reads them from there",
    )
    int16: bool = Field(False, description="Round the rows to 16 bits, as a cache does, without one")
    combine: Literal["auto", "tracers", "patches"] = Field(
        "auto",
        description="What several system matrices are: of tracers, or of patches; auto: of patches where "
        "focus fields differ",
    )
    mapping: tuple[int, ...] = Field(
        (),
        description="Patches: number of the system matrix of each, counted from 0 as they are given; none: "
        "that of the nearest focus field",
    )
    frame_averages: int = Field(1, ge=1, description="Consecutive frames that are averaged for an image")
    uncertainty: Uncertainty = Field(
        "none",
        description="Standard deviation of each voxel. exact: the noise of the background frames through a "
        "linear solver; bootstrap: over the averaged frames; drawn: noise that is drawn; auto: what suits",
    )
    seed: int = Field(0, ge=0, description="Of the random order of the rows, and of the uncertainty")

    @field_validator("lambda_")
    @classmethod
    def _a_weight(cls, value: float | str) -> float | str:
        if isinstance(value, float) and not 0 <= value < float("inf"):
            raise ValueError("a number, at least 0, or auto, discrepancy, l-curve, gcv")
        return value

    @field_validator("cache")
    @classmethod
    def _in_any_folder(cls, value: Path | None) -> Path | None:
        return None if value is None else value.absolute()  # workers may be in another folder

    @model_validator(mode="after")
    def _that_fit(self) -> Self:
        if self.background == "dictionary" and not isinstance(self, Kaczmarz):
            raise ValueError("a dictionary of the background goes with the method kaczmarz alone")
        if self.background == "dictionary" and not isinstance(self.lambda_, float):
            raise ValueError("a lambda is chosen without a dictionary of the background: give a number")
        if self.row_order != "frequency" and not isinstance(self, Kaczmarz):
            raise ValueError("the order of the rows matters to the method kaczmarz alone")
        if self.mapping and self.combine == "tracers":
            raise ValueError("a mapping is for patches, not for tracers")
        if len(self.stop_bands) % 2:
            raise ValueError("stop_bands needs a lower and an upper end for each band")
        if "none" in self.weighting and len(self.weighting) > 1:
            raise ValueError("the weighting none stands alone")
        if ("channel" in self.weighting) != bool(self.channel_weights):
            raise ValueError("the weighting channel and channel_weights go together")
        return self

    @property
    def bands(self) -> tuple[tuple[float, float], ...]:
        """Stop bands as pairs."""
        return tuple(zip(self.stop_bands[::2], self.stop_bands[1::2], strict=True))


class Kaczmarz(SystemMatrix):
    """System-matrix reconstruction with regularised Kaczmarz."""

    iterations: int = Field(10, ge=1, description="Sweeps over all rows")
    enforce_real: bool = Field(True, description="Images are real")
    enforce_positive: bool = Field(True, description="Negative values are set to zero after each sweep")
    exact: bool = Field(
        False, description="Go to the non-negative minimiser (Dykstra), which takes many more sweeps"
    )
    device: Literal["cpu", "cuda"] = Field("cpu", description="Where the sweeps are computed")

    @model_validator(mode="after")
    def _exactly_positive(self) -> Self:
        if self.exact and not self.enforce_positive:
            raise ValueError("exact says how images are made positive, but enforce_positive is off")
        return self


class Cgls(SystemMatrix):
    """Conjugate gradients on the least-squares problem."""

    iterations: int = Field(100, ge=1, description="Iterations at most")
    tolerance: float = Field(1e-5, gt=0, lt=1, description="Gradient, relative to that at zero, to stop at")
    enforce_real: bool = Field(True, description="Images are real")


class _Composite(SystemMatrix):
    iterations: int = Field(500, ge=1, description="Iterations at most")
    tolerance: float = Field(1e-4, gt=0, lt=1, description="Gradient, relative to that at zero, to stop at")
    prior: Literal["none", "l1", "tv", "wavelet"] = Field("none", description="What the images should be")
    mu: float = Field(0.0, ge=0, allow_inf_nan=False, description="Weight of the prior, relative as lambda")
    wavelet: str = Field("db2", description="Orthogonal wavelet of PyWavelets, for the prior wavelet")
    isotropic: bool = Field(True, description="Total variation is isotropic")
    enforce_real: bool = Field(True, description="Images are real")
    enforce_positive: bool = Field(True, description="Images are not negative, exactly")

    @model_validator(mode="after")
    def _prior_and_weight(self) -> Self:
        if (self.prior == "none") != (self.mu == 0):
            raise ValueError("a prior and its weight mu above 0 go together")
        return self


class Fista(_Composite):
    """Accelerated proximal gradients: L1, total variation, wavelets, non-negativity."""


class Admm(_Composite):
    """Alternating directions: L1, total variation, wavelets, non-negativity."""


class Tikhonov(SystemMatrix):
    """Closed form of the L2 problem: one operator for all frames."""

    enforce_real: bool = Field(True, description="Images are real")


class _FieldFree(_Reconstruction):
    background: Background = Field("auto", description="Empty-scanner signal; auto is static where possible")
    transfer_function: Transfer = Field(
        "auto", description="Divide the receive chain out; auto: if the file has one"
    )
    min_speed: float = Field(
        0.1, gt=0, lt=1, description="Samples slower than this fraction of the highest speed are left out"
    )

    @field_validator("background")
    @classmethod
    def _subtracted(cls, value: str) -> str:
        if value == "dictionary":
            raise ValueError("a dictionary needs a system matrix")
        return value


class XSpace(_FieldFree):
    """X-space reconstruction: signal over speed at the field-free point, gridded."""

    grid: tuple[int, ...] | None = Field(
        None,
        min_length=1,
        max_length=3,
        description="Voxels along x, y, z, for instance 32,32 or 32x32; the rest is 1",
    )
    field_of_view: tuple[float, ...] | None = Field(
        None,
        min_length=1,
        max_length=3,
        description="Extent along x, y, z in m, for instance 0.03,0.03 (--fov takes mm: 30x30); not given: "
        "that of the trajectory",
    )
    lost: Literal["nothing", "patch", "line"] = Field(
        "nothing",
        description="What the receiver lost of each partial field of view and is recovered: a constant "
        "of the patch, or of each line",
    )
    boundary: Literal["zero", "non-negative"] = Field(
        "zero", description="What fixes the recovered level: the edge is empty, or nothing is negative"
    )
    deconvolution: Literal["none", "wiener", "richardson-lucy"] = Field(
        "none", description="Undo the blur of the particles, whose saturation_field must be said"
    )
    saturation_field: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Field of the Langevin argument 1, T (25 nm magnetite 1.05e-3)",
    )
    noise_to_signal: float = Field(0.01, gt=0, description="Wiener: ratio of the powers of noise and image")
    deconvolution_iterations: int = Field(20, ge=1, description="Iterations of Richardson-Lucy")

    @field_validator("field_of_view")
    @classmethod
    def _in_metres(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and not all(0 < length <= 1 for length in value):
            raise ValueError("lengths in m, above 0 and at most 1")
        return value

    @model_validator(mode="after")
    def _known_particles(self) -> Self:
        if (self.deconvolution != "none") != (self.saturation_field is not None):
            raise ValueError("deconvolution and saturation_field go together")
        return self


class BackProjection(_FieldFree):
    """Filtered back-projection of a field-free line that turns from period to period."""

    bins: int | None = Field(None, ge=8, description="Voxels along each side; none: by the samples")
    filter_name: Literal["ramp", "shepp-logan", "cosine", "hamming", "hann"] = Field(
        "ramp", description="Filter of the projections"
    )
    recover: bool = Field(False, description="Recover the constant that the receiver lost of each projection")


METHODS: dict[str, type[Options]] = {
    "kaczmarz": Kaczmarz,
    "cgls": Cgls,
    "fista": Fista,
    "admm": Admm,
    "tikhonov": Tikhonov,
    "x-space": XSpace,
    "fbp": BackProjection,
}


def make_options(method: str, values: Mapping[str, Any]) -> Options:
    """Check the options of a method; what is not given has its default.

    Raises
    ------
    UsageError
        For an unknown method or option, or a value that is not allowed.
    """
    fields = option_fields(options_class(method))
    for name in values:
        if name not in fields:
            raise UsageError(
                f"{method} has no option {shown(name)!r}",
                hint=did_you_mean(name, fields) or f"its options are {', '.join(map(shown, fields))}",
            )
    try:
        return METHODS[method].model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        said = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise UsageError(f"{method}: {said}") from None
        name = str(first["loc"][0])
        wanted = said if first["type"] == "value_error" else expected(fields[name])
        raise UsageError(
            f"{method}: {shown(name)!r} is {values.get(name)!r}, expected {wanted}",
            hint=fields[name].description or "",
        ) from None


def without_idle(method: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a history says of all options without those that do nothing beside the others.

    Parameters
    ----------
    method : str
    values : mapping
        Options by name, unchecked; those of others are kept.
    """
    own = {name: value for name, value in values.items() if name in METHODS[method].model_fields}
    idle = idle_options(METHODS[method].model_construct(**own))
    return {name: value for name, value in values.items() if name not in idle}


def options_class(method: str) -> type[Options]:
    """Return the options of a method.

    Raises
    ------
    UsageError
        When there is no such method.
    """
    if method not in METHODS:
        near = did_you_mean(method, METHODS)
        hint = f"{near} there are {', '.join(METHODS)}".strip()
        raise UsageError(f"no reconstruction method is called {method!r}", hint=hint)
    return METHODS[method]


def shown(name: str) -> str:
    """Name of an option as the command line writes it."""
    return "fov" if name == "field_of_view" else name.rstrip("_").replace("_", "-")
