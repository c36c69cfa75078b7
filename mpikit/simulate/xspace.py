"""The x-space form of the signal: the density convolved with the point spread function, along a trajectory.

The magnetisation depends on time through the drive field b(t) alone. With the static field H(r) of the
scanner, the moments m(r) and the coil sensitivity p,

    u(t) = Σ_d  db_d/dt  E_d(b(t)),    E_d(b) = Σ_r  m(r) h_d(b + H(r)),    h_d(B) = -d/dB_d  p · M(B).

For a field-free point b = -G x and H = G r, so that E is the density convolved with the point spread function
h, taken where the field-free point x is, times its velocity: equation (1) of Peng et al. 2023, after Goodwill
and Conolly, Multidimensional x-space magnetic particle imaging, IEEE Transactions on Medical Imaging 30
(2011) 1581. In the drive field's own units it holds for a field-free line too, where no point x exists.

E is analytic, for the point spread function is: its nearest singularities lie at the imaginary field π B_sat.
So it is known everywhere from its values at few Chebyshev nodes, and the same is true of the dependence on r,
so that the convolution takes few sources as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.simulate.particles import Particle
from mpikit.simulate.scanner_fields import Fields

Floats = NDArray[np.float64]

TOLERANCE = 1e-6  # of the largest value that a unit moment induces
_HELD = 1 << 21  # values held at once in an intermediate array


class XSpace:
    """Voltages of any tracer on a grid, in one period.

    Parameters
    ----------
    fields : Fields
    grid : mdf.Grid
        Of the images.
    images : int
        How many there will be; many pay for a matrix from images to voltages.
    tolerance : float
        Of the largest value that a unit moment induces.
    """

    def __init__(self, fields: Fields, grid: Grid, *, images: int = 1, tolerance: float = TOLERANCE) -> None:
        self.fields = fields
        self._axes = np.flatnonzero(fields.reach() > 0)
        self._sources = _sources(fields, grid, tolerance)
        self._nodes = [
            chebyshev(node_count(fields.particle, fields.reach()[axis], tolerance)) for axis in self._axes
        ]
        self._kernel = self._convolution()
        _, pays = _costs(fields, self.size[0], self.size[1], images)
        self._matrix = self._voltages_of_sources() if pays else None

    @property
    def size(self) -> tuple[int, int]:
        """Chebyshev nodes of the drive field, and sources after compression."""
        return int(np.prod([len(nodes) for nodes in self._nodes])), self._kernel.shape[1]

    def voltages(self, moments: Floats) -> Floats:
        """Return the voltages of saturated magnetic moments.

        Parameters
        ----------
        moments : shape (Q, z, y, x), A m²

        Returns
        -------
        shape (Q, C, T), V
        """
        for axis, interpolation in enumerate(self._sources.interpolations):
            if interpolation is not None:  # axis 0 is x, the last one of an image
                moments = np.moveaxis(np.tensordot(moments, interpolation, ([3 - axis], [1])), -1, 3 - axis)
        weights = moments.reshape(len(moments), -1)
        channels, times = len(self.fields.sensitivity), len(self.fields.times)
        if self._matrix is not None:
            return (weights @ self._matrix).reshape(len(weights), channels, times)
        convolved = (weights @ self._kernel.T).reshape(len(weights), channels, len(self._axes), -1)
        rate = self.fields.rate()[:, self._axes]
        out = np.zeros((len(weights), channels, times))
        along = [polynomials(len(nodes), path) for nodes, path in zip(self._nodes, self._path(), strict=True)]
        for image, channel, component in np.ndindex(convolved.shape[:3]):
            values = self._coefficients(convolved[image, channel, component])
            out[image, channel] += rate[:, component] * _evaluate(values, along)
        return out

    def _convolution(self) -> Floats:
        """Return E at all nodes for a unit moment in each source, shape (C · D · nodes, sources)."""
        fields, sensitivity = self.fields, self.fields.sensitivity
        reach = fields.reach()[self._axes]
        mesh = np.meshgrid(
            *(nodes * half for nodes, half in zip(self._nodes, reach, strict=True)), indexing="ij"
        )
        drive = np.zeros((mesh[0].size if mesh else 1, 3))
        for axis, values in zip(self._axes, mesh, strict=True):
            drive[:, axis] = values.ravel()
        static = fields.static(self._sources.positions)
        out = np.empty((len(sensitivity), len(self._axes), len(drive), len(static)))
        step = max(1, _HELD // (8 * len(static)))
        for start in range(0, len(drive), step):
            part = slice(start, start + step)
            total = drive[part, None] + static
            even, growth = fields.particle.magnetisation(np.einsum("nsa,nsa->ns", total, total))
            for channel, coil in enumerate(sensitivity):
                seen = growth * (total @ coil)
                for component, axis in enumerate(self._axes):
                    out[channel, component, part] = -(even * coil[axis] + seen * total[..., axis])
        return out.reshape(-1, len(static))

    def _path(self) -> list[Floats]:
        """Return the drive field along each driven axis, in units of its reach."""
        drive, reach = self.fields.drive(), self.fields.reach()
        return [np.clip(drive[:, axis] / reach[axis], -1, 1) for axis in self._axes]

    def _coefficients(self, values: Floats) -> Floats:
        """Turn values at the nodes into Chebyshev coefficients, an axis for each driven one."""
        out = values.reshape([len(nodes) for nodes in self._nodes])
        for axis, nodes in enumerate(self._nodes):
            out = np.moveaxis(np.tensordot(to_coefficients(nodes), out, ([1], [axis])), 0, axis)
        return out

    def _voltages_of_sources(self) -> Floats:
        """Return the matrix from the moments of the sources to voltages, shape (sources, C · T)."""
        channels, times, sources = len(self.fields.sensitivity), len(self.fields.times), self._kernel.shape[1]
        kernel = self._kernel.reshape(channels, -1, sources)
        along = [
            to_coefficients(nodes).T @ polynomials(len(nodes), path)
            for nodes, path in zip(self._nodes, self._path(), strict=True)
        ]
        rate = self.fields.rate()[:, self._axes].T
        out = np.empty((channels, sources, times))
        step = max(1, 8 * _HELD // kernel.shape[1])
        for start in range(0, times, step):
            part = slice(start, start + step)
            basis = rate[:, part]
            for values in along:
                basis = (basis[:, None] * values[:, part]).reshape(-1, basis.shape[-1])
            out[:, :, part] = kernel.transpose(0, 2, 1) @ basis
        return np.ascontiguousarray(out.transpose(1, 0, 2)).reshape(sources, channels * times)


@dataclass(frozen=True)
class _Sources:
    """Few places that stand for all voxels: positions (S, 3), and matrices (s, voxels) for x, y and z."""

    positions: Floats
    interpolations: list[Floats | None]


def _sources(fields: Fields, grid: Grid, tolerance: float) -> _Sources:
    lines: list[Floats] = []
    interpolations: list[Floats | None] = []
    for axis in range(3):
        voxels, extent = int(grid.size[axis]), float(grid.field_of_view[axis])
        half = extent / 2 * (1 - 1 / voxels)
        centres = np.linspace(-half, half, voxels)
        reach = float(np.linalg.norm(fields.gradient[:, axis])) * half
        count = node_count(fields.particle, reach, tolerance)
        if count >= voxels:
            lines.append(grid.center[axis] + centres)
            interpolations.append(None)
            continue
        nodes = chebyshev(count)
        lines.append(grid.center[axis] + half * nodes)
        interpolations.append(to_coefficients(nodes).T @ polynomials(count, centres / half))
    z, y, x = np.meshgrid(*lines[::-1], indexing="ij")
    return _Sources(np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1), interpolations)


def planned_cost(fields: Fields, grid: Grid, images: int, tolerance: float = TOLERANCE) -> float:
    """Estimate the time that the x-space form takes for so many images, in ns of one core."""
    counts = [node_count(fields.particle, reach, tolerance) for reach in fields.reach() if reach > 0]
    sources = len(_sources(fields, grid, tolerance).positions)
    return _costs(fields, int(np.prod(counts)), sources, images)[0]


def _costs(fields: Fields, nodes: int, sources: int, images: int) -> tuple[float, bool]:
    """Estimate the time in ns, and say whether a matrix from sources to voltages pays."""
    channels, times = len(fields.sensitivity), len(fields.times)
    components = int(np.count_nonzero(fields.reach()))
    kernel = nodes * sources * (25.0 * len(fields.particle.sizes()[0]) + 5 * channels * components)
    one = channels * components * nodes * (0.1 * sources + 0.4 * times)
    matrix = 0.1 * channels * sources * components * nodes * times
    each = 0.1 * sources * channels * times
    by_matrix = matrix + images * each
    return kernel + min(images * one, by_matrix), by_matrix < images * one


def node_count(particle: Particle, reach: float, tolerance: float) -> int:
    """How many Chebyshev nodes resolve the point spread function over a field of ±reach.

    The singularity nearest to the real axis, at the imaginary field π B_sat, lets the coefficients fall by
    r = a + sqrt(1 + a²) from one to the next, a = π B_sat / reach. Each size of particle counts with its
    share.

    Parameters
    ----------
    particle : Particle
    reach : float, T
    tolerance : float

    Returns
    -------
    int
    """
    if reach == 0:
        return 1
    fields, shares = particle.sizes()
    decay = np.arcsinh(np.pi * fields / reach)
    return int(np.ceil(np.max(np.log(np.maximum(shares / tolerance, 1)) / decay))) + 2


def chebyshev(count: int) -> Floats:
    """Chebyshev nodes of the first kind on [-1, 1], shape (count,)."""
    return np.cos((np.arange(count) + 0.5) * np.pi / count)


def polynomials(count: int, places: Floats) -> Floats:
    """Chebyshev polynomials T_0 ... T_(count - 1) at some places, shape (count, places)."""
    out = np.empty((count, len(places)))
    out[0] = 1
    if count > 1:
        out[1] = places
    for order in range(2, count):
        out[order] = 2 * places * out[order - 1] - out[order - 2]
    return out


def to_coefficients(nodes: Floats) -> Floats:
    """Return the matrix from values at Chebyshev nodes to coefficients, shape (count, count)."""
    count = len(nodes)
    matrix = 2 / count * polynomials(count, nodes)
    matrix[0] /= 2
    return matrix


def _evaluate(coefficients: Floats, along: list[Floats]) -> Floats:
    """Sum a series of one to three variables at all times, shape (T,)."""
    times = along[0].shape[1] if along else 0
    step = max(1, _HELD // max(1, coefficients.size // coefficients.shape[-1]))
    out = np.empty(times)
    for start in range(0, times, step):
        part = slice(start, start + step)
        values = coefficients @ along[-1][:, part]
        for polynomial in along[-2::-1]:
            values = np.einsum("...nt,nt->...t", values, polynomial[:, part])
        out[part] = values
    return out
