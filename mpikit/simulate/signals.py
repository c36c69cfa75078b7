"""From tracer to what arrives at the converter: coils, relaxation, receive chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.errors import UsageError
from mpikit.events import Event, silent
from mpikit.simulate import direct
from mpikit.simulate.phantoms import Phantom
from mpikit.simulate.presets import Preset
from mpikit.simulate.receive import check_sampling, empty_signal, receive
from mpikit.simulate.scanner_fields import Fields, fields_of
from mpikit.simulate.xspace import XSpace, planned_cost

Floats = NDArray[np.float64]
Form = Literal["auto", "x-space", "direct"]


class Signals:
    """The noise-free signals of phantoms on one grid in one scanner.

    Parameters
    ----------
    preset : Preset
    grid : mdf.Grid
    images : int
        How many phantoms there will be.
    filled : int or None
        Voxels with tracer in any of them, where that is known.
    form : {"auto", "x-space", "direct"}
        See `mpikit.simulate.xspace` and `mpikit.simulate.direct`; "auto" takes what costs less.

    Attributes
    ----------
    forms : list of str
        The form of each period with a selection field of its own.
    """

    def __init__(
        self, preset: Preset, grid: Grid, *, images: int = 1, filled: int | None = None, form: Form = "auto"
    ) -> None:
        if form not in get_args(Form):
            raise UsageError(
                f"there is no form {form!r} of the signal", hint="choose auto, x-space or direct"
            )
        self.preset, self.grid = preset, grid
        voxels = int(np.prod(grid.size)) if filled is None else filled
        self._fields = [fields_of(preset, period) for period in range(preset.patches)]
        self._images = images
        self.forms = [self._form(fields, voxels, form) for fields in self._fields]
        self._solved: list[XSpace | None] | None = None

    def prepare(self) -> None:
        """Set up the x-space form; otherwise the first phantom does it."""
        self._solved = [
            XSpace(fields, self.grid, images=self._images) if form == "x-space" else None
            for fields, form in zip(self._fields, self.forms, strict=True)
        ]

    def _form(self, fields: Fields, voxels: int, form: Form) -> str:
        if form != "auto":
            return form
        in_x_space = planned_cost(fields, self.grid, self._images)
        return "x-space" if in_x_space < direct.planned_cost(fields, voxels, self._images) else "direct"

    def of(self, phantom: Phantom, *, tell: Callable[[Event], None] = silent) -> Floats:
        """Return the signals of phantoms.

        Parameters
        ----------
        phantom : Phantom
            Q images on the grid.
        tell : callable
            Takes a `Step` for each block of voxels of the direct sum.

        Returns
        -------
        shape (Q, P, C, V), V
            P periods with a selection field of their own: one if all periods are alike.
        """
        if self._solved is None:
            self.prepare()
        moments = self.preset.particle.saturated(phantom.images) * float(np.prod(self.grid.spacing))
        out = [self._period(index, fields, moments, tell=tell) for index, fields in enumerate(self._fields)]
        return np.stack(out, axis=1)

    def empty(self) -> Floats:
        """Return the signal without tracer, which is the feed-through, shape (P, C, V), V."""
        preset = self.preset
        one = empty_signal(preset.receiver, preset.drive_field, samples=preset.samples)
        return np.repeat(one[None], preset.patches, axis=0)

    def _period(
        self, index: int, fields: Fields, moments: Floats, *, tell: Callable[[Event], None]
    ) -> Floats:
        solved = self._solved[index] if self._solved is not None else None
        if solved is not None:
            voltages = solved.voltages(moments)
        else:
            flat = moments.reshape(len(moments), -1)
            voltages = direct.summed(fields, self.grid.positions(), flat, tell=tell)
        return received(self.preset, voltages)


def received(preset: Preset, voltages: Floats) -> Floats:
    """Return what arrives at the converter of the particles: relaxation, then the receive chain.

    The feed-through is left out: it is in `Signals.empty`, for the chain is linear.

    Parameters
    ----------
    preset : Preset
    voltages : shape (..., C, V * oversampling), V
        Of particles in equilibrium.

    Returns
    -------
    shape (..., C, V), V
    """
    if preset.particle.relaxation_time > 0:
        samples = voltages.shape[-1]
        frequencies = np.fft.rfftfreq(samples, preset.drive_field.cycle / samples)
        relaxed = np.fft.rfft(voltages, axis=-1) * preset.particle.relaxation(frequencies)
        voltages = np.fft.irfft(relaxed, n=samples, axis=-1)
    chain = replace(preset.receiver, feed_through=None)
    return receive(chain, preset.drive_field, voltages, samples=preset.samples)


def check_scanner(preset: Preset, grid: Grid) -> None:
    """Refuse a receiver that cannot hold the particle signal, before any work.

    A point of tracer at the place of the grid's centre that the scanner sees best shows how far the signal
    reaches: at the field-free point all its harmonics are there.

    Parameters
    ----------
    preset : Preset
    grid : mdf.Grid

    Raises
    ------
    UsageError
    """
    factor = max(4, preset.receiver.oversampling)
    for period in range(preset.patches):
        fields = fields_of(preset, period, factor)
        # where the static field vanishes, or the place of the grid that is nearest to it
        place = -np.linalg.lstsq(fields.gradient, fields.offset, rcond=None)[0]
        half = grid.field_of_view / 2
        place = np.clip(place, grid.center - half, grid.center + half)
        voltage = direct.responses(fields, place[None])[0]
        check_sampling(preset.receiver, preset.drive_field, voltage, samples=preset.samples)
