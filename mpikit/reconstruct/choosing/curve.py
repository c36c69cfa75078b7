"""Tikhonov images of all λ at once, in the singular directions of the system matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_NEGLECTED = 0.05  # filter factor that a direction may be left out for


@dataclass(frozen=True)
class Directions:
    """Data in the singular directions of the weighted system matrix ``B = U diag(s) V^H``.

    Over real images B is the real part of W A above its imaginary part, so an equation is a real number, and
    else W A itself.

    Parameters
    ----------
    squares : shape (r,)
        s², of the directions that were computed.
    energies : shape (r,), unit of the data squared
        ``|u^H b|²``, mean over the frames.
    outside : float
        Energy of the data in no computed direction.
    equations : int
        Rows of B with a weight above 0.
    complete : bool
        No direction was left out.
    """

    squares: Floats
    energies: Floats
    outside: float
    equations: int
    complete: bool = True

    def residuals(self, lambdas: Floats) -> Floats:
        """``||B c - b||²`` for each absolute λ, mean over the frames."""
        left = self._shrunk(lambdas)
        return np.asarray(left**2 @ self.energies + self.outside)

    def solutions(self, lambdas: Floats) -> Floats:
        """``||c||²`` for each absolute λ, mean over the frames."""
        return np.asarray((self.squares / (self.squares + lambdas[:, None]) ** 2) @ self.energies)

    def freedom(self, lambdas: Floats) -> Floats:
        """Degrees of freedom of the residual, the trace of ``1 - B (B^H B + λ)⁻¹ B^H``."""
        return np.asarray(self.equations - len(self.squares) + self._shrunk(lambdas).sum(axis=1))

    def cross_validation(self, lambdas: Floats) -> Floats:
        """Return what generalised cross-validation minimises, ``n ||B c - b||² / freedom²``, n equations."""
        return np.asarray(self.equations * self.residuals(lambdas) / self.freedom(lambdas) ** 2)

    def curvature(self, lambdas: Floats) -> Floats:
        """Curvature of the L-curve (log residual norm, log solution norm), positive at its corner.

        With t = log λ, x and y the logarithms of the norms, r = ||B c - b||² and q = ||c||²:
        ``dr/dλ = -λ dq/dλ``, so that the second derivatives of q drop out, and the curvature is
        ``x' y' (2 x' - 2 y' - 1) / (x'² + y'²)^(3/2)``.
        """
        solutions = self.solutions(lambdas)
        parts = self.squares / (self.squares + lambdas[:, None]) ** 2
        slope = -2 * (parts * self._shrunk(lambdas)) @ self.energies  # dq/dt
        x, y = -lambdas * slope / (2 * self.residuals(lambdas)), slope / (2 * solutions)
        return np.asarray(x * y * (2 * x - 2 * y - 1) / np.hypot(x, y) ** 3)

    def reliable(self, lambdas: Floats) -> NDArray[np.bool_]:
        """Tell for which absolute λ the directions left out have next to no part in the image.

        Filter factors s² / (s² + λ) of each of them, and so what they take of the degrees of freedom of the
        residual, are then below 5 %.
        """
        if self.complete:
            return np.ones(len(lambdas), bool)
        return np.asarray(self.squares.min() <= _NEGLECTED * lambdas)

    def _shrunk(self, lambdas: Floats) -> Floats:
        """Part of each direction that the image does not explain, λ / (s² + λ), shape (L, r)."""
        return np.asarray(lambdas[:, None] / (self.squares + lambdas[:, None]))


@dataclass(frozen=True)
class Curve:
    """What each candidate λ leads to; all of shape (L,), over several frames the root of the mean square.

    Parameters
    ----------
    lambdas : relative λ, ascending
    residuals : residual norms ``||W (A c - b)||``
    solutions : solution norms ``||c||``
    cross_validation : function of generalised cross-validation
    curvature : curvature of the L-curve
    """

    lambdas: Floats
    residuals: Floats
    solutions: Floats
    cross_validation: Floats
    curvature: Floats


def make_curve(directions: Directions, relative: Floats, scale: float) -> Curve:
    """Compute the curve of relative λ (L,), which ``scale`` makes absolute."""
    absolute = relative * scale
    return Curve(
        relative,
        np.sqrt(directions.residuals(absolute)),
        np.sqrt(directions.solutions(absolute)),
        directions.cross_validation(absolute),
        directions.curvature(absolute),
    )
