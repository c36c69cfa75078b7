"""What a conversion is asked for, checked by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mdf import spec
from mdf.compression import Compression

Frames = Literal["all", "foreground", "background"] | Sequence[int] | slice


class ConversionError(ValueError):
    """A conversion that makes no sense, or not for this file.

    Parameters
    ----------
    message : str
        What is asked for and why it cannot be; lower case, no full stop.
    hint : str
        What to ask for, or an empty string.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class Options:
    """The arguments of `mdf.convert`; None leaves a thing as it is, or as the others need it."""

    domain: str | None = None
    order: str | None = None
    frames: Frames = "all"
    channels: Sequence[int] | None = None
    band: tuple[float | None, float | None] | None = None
    snr_threshold: float | None = None
    best: int | None = None
    average_frames: int = 1
    fast_frame_axis: bool | None = None
    sparsity: str | None = None
    kept: int | float | None = None
    compression: Compression | None = None

    def __post_init__(self) -> None:
        _check_choice("domain", self.domain, ("time", "frequency"))
        _check_choice("order", self.order, ("grid", "acquisition"))
        _check_choice("sparsity", self.sparsity, (*spec.TRANSFORMATIONS, "none"))
        if isinstance(self.frames, str):
            _check_choice("frames", self.frames, ("all", "foreground", "background"))
        for name in ("best", "average_frames"):
            number = getattr(self, name)
            if number is not None and (isinstance(number, bool) or int(number) != number or number < 1):
                raise ConversionError(f"{name} is {number!r}, expected a whole number above 0")
        if self.snr_threshold is not None and not self.snr_threshold > 0:
            raise ConversionError(f"snr_threshold is {self.snr_threshold!r}, expected a number above 0")
        if self.selects_components and self.domain == "time":
            raise ConversionError("frequency components can be chosen of spectra only, not of time data")
        self._check_band()
        self._check_sparsity()

    def _check_band(self) -> None:
        if self.band is None:
            return
        low, high = self.band
        if (
            (low is None and high is None)
            or (low or 0.0) < 0
            or (high is not None and not high >= (low or 0))
        ):
            raise ConversionError(f"band is {self.band!r}, expected two frequencies, the lower one first")

    def _check_sparsity(self) -> None:
        is_asked = self.sparsity not in {None, "none"}
        if is_asked and self.kept is None:
            raise ConversionError(
                f"sparsity is {self.sparsity!r}, but nothing says how many coefficients are kept",
                hint="give kept as a number, or as a fraction below 1",
            )
        if self.kept is None:
            return
        if not is_asked:
            raise ConversionError("kept goes with a sparsity transformation only", hint="say which one")
        if (
            isinstance(self.kept, bool)
            or not self.kept > 0
            or (self.kept > 1 and self.kept != int(self.kept))
        ):
            raise ConversionError(f"kept is {self.kept!r}, expected a number, or a fraction below 1")
        if is_asked and self.fast_frame_axis is False:
            raise ConversionError("sparsity-transformed data have the frame axis last, which is excluded")
        if is_asked and self.domain == "time":
            raise ConversionError("sparsity-transformed data are spectra, not time data")

    @property
    def selects_components(self) -> bool:
        """Whether some frequency components are chosen."""
        return self.band is not None or self.needs_snr

    @property
    def needs_snr(self) -> bool:
        """Whether the choice of components needs their signal-to-noise ratio."""
        return self.snr_threshold is not None or self.best is not None


def _check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    if value is not None and value not in choices:
        raise ConversionError(f"{name} is {value!r}, expected {', '.join(map(repr, choices))}")
