"""Larger x-space images: overlapping partial fields of view, and the signal that a receiver takes away.

A receiver filters the drive frequency out, for the excitation would drown everything else. With it goes a
part of the particle signal. In one dimension the signal is u = E(b(t)) db/dt, where E is the image. The
filter takes the component of u at the frequency of b. As long as the particles follow the field at once, that
is a constant times db/dt: for b = A cos ωt, E(b(t)) is even in time and u odd, so that only sin ωt is in it.
Divided by the speed it is a constant: the image misses a constant, and nothing else.

The constants differ from one partial field of view to the next, but the tracer is the same. So they are found
where the fields of view overlap, by weighted least squares, and the one constant that remains by the edge of
the whole image, where there is no tracer.

In several dimensions u_c = Σ_d E_cd db_d/dt, and the loss is Σ_cd L_cd v_c v_d / |v|² with the velocity v: a
constant where one axis is much faster than the others, an approximation on a Lissajous curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from mdf import Grid
from mpikit.errors import UsageError
from mpikit.reconstruct.gridding import covering_grid, spread_sums, spreading, touched, weighted_mean
from mpikit.reconstruct.xspace import Moving, Trajectory, moving

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Lost = Literal["nothing", "patch", "line"]
Boundary = Literal["zero", "non-negative"]

_RIDGE = 1e-9  # of the mean diagonal: a constant that nothing determines becomes 0
_EDGE = 0.01  # weight of a zero at the edge: tails that reach it shall not bend what the overlaps say
_STILL = 1e-6  # of the largest extent: the field-free point stays where it is
_LEADS = 0.5  # an axis with more than this share of the fastest one's motion is fast too


@dataclass(frozen=True)
class Patch:
    """What one partial field of view adds to a common grid: sums with weights speed².

    Parameters
    ----------
    total : shape (Q, P)
        Weighted sum of the values of its samples.
    weight : shape (P,)
        Sum of the weights; 0 where it has no samples.
    group : shape (P,)
        Voxels with the same number have the same unknown constant.
    """

    total: Floats
    weight: Floats
    group: NDArray[np.int64]

    def members(self) -> csr_array[np.float64]:
        """Return 1 for the voxels of each group that has samples, shape (groups, P)."""
        from scipy.sparse import csr_array

        met = np.flatnonzero(self.weight)
        _, number = np.unique(self.group[met], return_inverse=True)
        shape = (int(number.max(initial=-1)) + 1, len(self.weight))
        return csr_array((np.ones(len(met)), (number, met)), shape=shape)


def x_space_patches(
    signal: NDArray[np.floating],
    paths: Sequence[Trajectory],
    *,
    size: tuple[int, ...] | None = None,
    field_of_view: tuple[float, ...] | None = None,
    min_speed: float = 0.1,
    lost: Lost = "patch",
    boundary: Boundary = "zero",
    min_overlap: float = 0.05,
) -> tuple[Floats, Grid]:
    """Reconstruct images from several partial fields of view, and recover what the receiver took away.

    Parameters
    ----------
    signal : shape (Q, J, C, V)
        As for `x_space`, a period for each partial field of view. Where the receive chain does more than to
        take lines away, its transfer function has to be divided out.
    paths : sequence of J Trajectory
        All are driven along the same axes. The focus field may shift them along others too.
    size : tuple of int, optional
        Voxels along x, y, z of the whole image.
    field_of_view : tuple of float, m, optional
        Extent along x, y, z. Not given: that of all trajectories together.
    min_speed : float
        Samples slower than this fraction of the highest speed are left out.
    lost : {"nothing", "patch", "line"}
        "nothing": the signal is complete. "patch": the drive frequency is missing, which is a constant in
        each partial field of view. "line": a band around the frequency of the fast axis is missing, which is
        a constant on each line of voxels along this axis.
    boundary : {"zero", "non-negative"}
        What fixes the constant of the whole image. It is zero at its outer edge, at the ends of the fast
        axes; or its lowest voxel is zero, for tracer that reaches the edge and for little noise.
    min_overlap : float
        Voxels that two partial fields of view have to share to be joined, as a fraction of the smaller one.

    Returns
    -------
    images : shape (Q, z, y, x), unit of the signal per T/s
        The sign is chosen so that they are mainly positive, or for "non-negative" so that they are low in
        most places and high in few.
    grid : mdf.Grid

    Raises
    ------
    InputError
        When no driven axis has a receive channel.
    UsageError
        When partial fields of view do not overlap, or are driven along different axes; for "line" without a
        fast axis; for a grid as in `x_space`.
    NumericalError
        When the signal is not finite.

    Notes
    -----
    After the idea of K. Lu, P. W. Goodwill, E. U. Saritas, B. Zheng, S. M. Conolly: Linearity and shift
    invariance for quantitative magnetic particle imaging, IEEE Transactions on Medical Imaging, 2013.
    """
    driven = _common_axes(paths)
    every = np.concatenate([path.positions for path in paths])
    axes = _met_axes(every, driven)
    grid = covering_grid(every, axes, size=size, field_of_view=field_of_view)
    fast = _fast_axes(paths, driven)
    if lost == "line" and len(fast) > 1:
        raise UsageError(
            f"the field-free point is equally fast along {' and '.join('xyz'[axis] for axis in fast)}, "
            "expected one fast axis: there are no lines",
            hint="recover a constant for each partial field of view instead: -p lost=patch",
        )
    group = _lines(grid, fast[0]) if lost == "line" else np.zeros(int(np.prod(grid.size)), np.int64)
    patches = [
        gridded(moving(signal[:, index], path, min_speed), grid, axes, group)
        for index, path in enumerate(paths)
    ]
    weight = np.sum([patch.weight for patch in patches], axis=0)
    met = touched(weight, grid)
    if lost == "nothing":
        total = np.sum([patch.total for patch in patches], axis=0)
    else:
        check_overlap(patches, grid, fast, min_overlap)
        total = recovered(patches, outer_edge(met, grid, fast))
    values = total[:, met] / weight[met]
    if boundary == "non-negative" and lost != "nothing":
        # the sign that makes it mainly low, for the constant is not known yet
        away = values - values.mean(axis=1, keepdims=True)
        sign = -1.0 if np.sum(away**3) < 0 else 1.0
        total = sign * total - weight * np.min(sign * values, axis=1, keepdims=True)
    elif values.sum() < 0:
        total = -total
    images = weighted_mean(total, weight, grid, axes)
    return images.reshape(len(signal), *grid.shape), grid


def gridded(samples: Moving, grid: Grid, axes: Sequence[int], group: NDArray[np.int64]) -> Patch:
    """Return what the samples of one partial field of view add to a common grid.

    Parameters
    ----------
    samples : Moving
    grid : mdf.Grid
    axes : sequence of int
        Axes along which samples are spread.
    group : shape (P,)
        See `Patch`.
    """
    spread = spreading(samples.positions, grid, axes)
    weight = spread_sums(spread, samples.weights)
    if weight.any():
        weight = weight * touched(weight, grid)
    return Patch(spread_sums(spread, samples.along) * (weight > 0), weight, group)


def recovered(patches: Sequence[Patch], edge: Flags) -> Floats:
    """Return the sum of all patches with the constants that they lost.

    With N_j(r) the sum of a patch including its unknown constants and W_j(r) its weight, the squared
    deviation of all samples from the mean image is least:

        Σ_r Σ_j N_j² / W_j - Σ_r (Σ_j N_j)² / Σ_j W_j → min.

    At the edge they also deviate from zero, with a small weight.

    Parameters
    ----------
    patches : sequence of Patch
    edge : shape (P,)
        Voxels where the image is zero.

    Returns
    -------
    shape (Q, P)
    """
    from scipy.sparse import csc_array, csr_array, diags_array, eye_array, vstack
    from scipy.sparse.linalg import splu

    total: Floats = np.sum([patch.total for patch in patches], axis=0)
    weight: Floats = np.sum([patch.weight for patch in patches], axis=0)
    members = [patch.members() for patch in patches]
    lost = csr_array(
        vstack([each * patch.weight for each, patch in zip(members, patches, strict=True)], format="csr")
    )
    if not lost.shape[0]:
        return total
    # Σ_r N_j² / W_j: for a constant, weights over weights leave a sum over the voxels of its group
    own = [spread_sums(each, patch.total) for each, patch in zip(members, patches, strict=True)]
    apart = diags_array(np.asarray(lost.sum(axis=1), np.float64))
    pooled = np.divide(1 - _EDGE * edge, weight, out=np.zeros_like(weight), where=weight > 0)
    normal = csc_array(apart - lost @ diags_array(pooled) @ lost.T)
    ridge = max(_RIDGE * float(normal.diagonal().mean()), np.finfo(float).tiny)
    right = spread_sums(lost, pooled * total) - np.concatenate(own, axis=1)
    factors = splu(csc_array(normal + ridge * eye_array(normal.shape[0]))).solve(right.T)
    return total + spread_sums(csr_array(lost.T), np.asarray(factors, np.float64).T)


def check_overlap(patches: Sequence[Patch], grid: Grid, axes: Sequence[int], min_overlap: float) -> None:
    """Refuse partial fields of view on the same lines that nothing joins.

    Parameters
    ----------
    patches : sequence of Patch
    grid : mdf.Grid
    axes : sequence of int
        Axes of the lines whose ends are the edge of the image.
    min_overlap : float
        Voxels that two of them have to share, as a fraction of the smaller one.

    Raises
    ------
    UsageError
    """
    from scipy.sparse.csgraph import connected_components

    met = np.array([patch.weight > 0 for patch in patches])
    count = met.astype(float)
    shared, voxels = count @ count.T, count.sum(axis=1)
    enough = shared >= np.maximum(min_overlap * np.minimum.outer(voxels, voxels), 1)
    groups, group = connected_components(enough, directed=False)
    for axis in axes:
        line = _lines(grid, axis)
        owner = np.full(len(line), -1)
        for number in range(groups):
            lines = np.unique(line[met[group == number].any(axis=0)])
            if np.any(owner[lines] >= 0):
                raise UsageError(
                    f"{np.sum(group == number)} of {len(patches)} partial fields of view share less than "
                    f"{min_overlap:.0%} of their voxels with the others, expected that all of them overlap",
                    hint="what the receiver took away is known only by the overlaps: measure with smaller "
                    "steps of the focus field, or recover nothing",
                )
            owner[lines] = number


def outer_edge(met: Flags, grid: Grid, axes: Sequence[int]) -> Flags:
    """Return the first and the last voxel with samples on each line along some axes, shape (P,).

    Parameters
    ----------
    met : shape (P,)
        Voxels with samples; holes between them are no edge.
    grid : mdf.Grid
    axes : sequence of int
    """
    volume = met.reshape(grid.shape)
    edge = np.zeros_like(volume)
    for axis in (2 - axis for axis in axes):
        before = np.cumsum(volume, axis=axis)
        edge |= volume & ((before == 1) | (before == np.max(before, axis=axis, keepdims=True)))
    return edge.ravel()


def _lines(grid: Grid, axis: int) -> NDArray[np.int64]:
    """Return a number for each line of voxels along an axis, shape (P,)."""
    index = np.indices(grid.shape)
    index[2 - axis] = 0
    numbers: NDArray[np.int64] = np.ravel_multi_index(tuple(index), grid.shape).ravel()
    return numbers


def _common_axes(paths: Sequence[Trajectory]) -> tuple[int, ...]:
    axes = {path.axes for path in paths}
    if len(axes) != 1:
        named = " and ".join(sorted(", ".join("xyz"[axis] for axis in each) for each in axes))
        raise UsageError(
            f"the partial fields of view are driven along different axes, {named}, expected the same axes"
        )
    return axes.pop()


def _met_axes(positions: Floats, driven: Sequence[int]) -> tuple[int, ...]:
    """Return the axes along which the field-free point is driven, or shifted by the focus field."""
    extent = np.ptp(positions, axis=0)
    return tuple(axis for axis in range(3) if axis in driven or extent[axis] > _STILL * extent.max())


def _fast_axes(paths: Sequence[Trajectory], axes: Sequence[int]) -> list[int]:
    """Return the axes along which most of the motion is."""
    motion = np.mean([np.diag(path.motion) for path in paths], axis=0)
    return [axis for axis in axes if motion[axis] > _LEADS * motion.max()]
