"""Files that stand beside a file of images: pictures, and the standard deviation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import mdf
from mpikit.errors import InputError, MpikitError
from mpikit.events import Event, Finding, Warned
from mpikit.figures import save_images
from mpikit.files import is_input
from mpikit.made_here import is_made_here
from mpikit.provenance import read_history
from mpikit.reconstruct.image import Images
from mpikit.reconstruct.outputs import MDF_ENDINGS, deviation_file, stored_history, suffix_of

DEVIATION = "/_mpikit/standardDeviation"


@dataclass(frozen=True)
class Beside:
    """Names of the files beside a file of images.

    Parameters
    ----------
    output : Path
        Of images.
    """

    output: Path

    @property
    def picture(self) -> Path:
        """Picture of the images: ``STEM.png`` of an MDF file, and of others the whole name with ``.png``.

        So ``image.npz`` and ``image.nii.gz`` beside each other, of one call each, do not share a picture.
        """
        suffix = suffix_of(self.output, also=MDF_ENDINGS)
        name = self.output.name[: -len(suffix)] if suffix in MDF_ENDINGS else self.output.name
        return self.output.with_name(f"{name}.png")

    @property
    def curve(self) -> Path:
        """Picture of the choice of λ, ``STEM.lambda.png`` where the picture is ``STEM.png``."""
        return self.picture.with_name(f"{self.picture.stem}.lambda.png")

    @property
    def deviation_picture(self) -> Path:
        """Picture of the standard deviation, ``STEM.uncertainty.png`` where the picture is ``STEM.png``."""
        return self.picture.with_name(f"{self.picture.stem}.uncertainty.png")

    def wanted(self, *, curve: bool, deviation: bool) -> list[Path]:
        """Return all files of a run."""
        apart = deviation_file(self.output)
        with_deviation = [self.deviation_picture, *([] if apart is None else [apart])]
        return [
            self.output,
            self.picture,
            *([self.curve] if curve else []),
            *(with_deviation if deviation else []),
        ]

    def remove_stale(
        self, *, curve: bool, deviation: bool, inputs: Iterable[Path] = (), tell: Callable[[Event], None]
    ) -> None:
        """Remove what a replaced run wrote and this one did not: it would be taken for a part of this one.

        A file of such a name that mpikit did not make, or that is read, stays.

        Parameters
        ----------
        curve, deviation : bool
            What this run wrote.
        inputs : iterable of Path
            Files that this run read.
        tell : callable
            Hears what was removed.

        Raises
        ------
        InputError
            When a file cannot be removed.
        """
        everything = self.wanted(curve=True, deviation=True)
        ours = self.wanted(curve=curve, deviation=deviation)
        known = tuple(inputs)
        for path in everything:
            if path in ours or not _is_of_a_run(path) or is_input(path, known):
                continue
            try:
                path.unlink()
            except OSError as error:
                raise InputError(
                    f"{path} is stale and cannot be removed: {error.strerror or error}"
                ) from error
            tell(Finding("removed", str(path), f"removed {path}: it was of the images that were replaced"))

    def save_deviation(
        self,
        deviation: Images | None,
        *,
        overwrite: bool,
        tell: Callable[[Event], None],
    ) -> Path | None:
        """Write the picture of the standard deviation, if there is one, and return its name."""
        if deviation is None:
            return None
        if self.output.name.lower().endswith(".gif"):
            tell(Warned(f"{self.output.name} holds no standard deviation: it is in the picture alone"))
        values, unit = deviation.shown
        save_images(
            self.deviation_picture,
            values,
            deviation.grid,
            unit=f"standard deviation / ({unit})",
            frames=deviation.frames.tolist(),
            tracers=deviation.tracers,
            overwrite=overwrite,
        )
        return self.deviation_picture


def _is_of_a_run(path: Path) -> bool:
    """Say whether a file is a picture that mpikit made, or images that it reconstructed."""
    if not path.is_file():
        return False
    if path.suffix.lower() == ".png":
        return is_made_here(path)
    try:
        history = read_history(stored_history(path))
    except (MpikitError, mdf.MdfError):
        return False
    return bool(history) and history[-1].get("command") == "reconstruct"
