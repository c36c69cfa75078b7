"""Superparamagnetic particles in equilibrium: the Langevin function and what follows from it.

Fields are flux densities B = µ0 H in T throughout, as MDF stores them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BOLTZMANN = 1.380649e-23  # J/K, exact since the SI of 2019
# Magnetite Fe3O4, three Fe in a unit: 231.533 g/mol at 5.17 g/cm³ (CRC Handbook of Chemistry and Physics).
MAGNETITE_PER_IRON = 231.533e-3 / 5170 / 3  # m³ of magnetite for each mol of iron
LITRES = 1000.0  # L in one m³

# Below this argument the differences of large numbers lose more digits than the series leave out.
_SMALL = 0.1
_LANGEVIN_SERIES = (1 / 3, -1 / 45, 2 / 945, -1 / 4725, 2 / 93555)
_CURVATURE_SERIES = (-2 / 45, 8 / 945, -6 / 4725, 16 / 93555, -10 * 1382 / 638512875)


def langevin(x: NDArray[Any]) -> Floats:
    """Langevin function L(x) = coth x - 1/x.

    Parameters
    ----------
    x : any shape, 1
        Magnetic over thermal energy, of either sign.

    Returns
    -------
    same shape, 1
    """
    x = np.asarray(x, float)
    values: Floats = langevin_ratios(np.abs(x))[0] * x
    return values


def langevin_derivative(x: NDArray[Any]) -> Floats:
    """Return the derivative L'(x) = 1/x² - 1/sinh² x; L'(0) = 1/3.

    Parameters
    ----------
    x : any shape, 1

    Returns
    -------
    same shape, 1
    """
    x = np.abs(np.asarray(x, float))
    ratio, curvature = langevin_ratios(x)
    return ratio + x**2 * curvature


def langevin_ratios(x: Floats) -> tuple[Floats, Floats]:
    """Return L(x)/x and (L'(x) - L(x)/x)/x², the two even functions that a vector field needs.

    Parameters
    ----------
    x : any shape, 1
        Not negative.

    Returns
    -------
    two arrays of the same shape, 1
    """
    small = x < _SMALL
    safe = np.where(small, 1.0, x)
    inverse = 1 / safe
    coth = 1 / np.tanh(safe)
    ratio = np.asarray((coth - inverse) * inverse)  # a single number must take an assignment too
    curvature = np.asarray(((1 - coth**2) + inverse**2 - ratio) * inverse**2)
    if np.any(small):
        square = x[small] ** 2
        ratio[small] = np.polynomial.polynomial.polyval(square, _LANGEVIN_SERIES)
        curvature[small] = np.polynomial.polynomial.polyval(square, _CURVATURE_SERIES)
    return ratio, curvature


@dataclass(frozen=True, kw_only=True)
class Particle:
    """A spherical single-domain particle that follows the field without delay.

    Parameters
    ----------
    core_diameter : float, m
    saturation_magnetisation : float, A/m
    temperature : float, K
    boltzmann : float, J/K
        A preset may carry the rounded value of its publication.
    """

    core_diameter: float
    saturation_magnetisation: float
    temperature: float
    boltzmann: float = BOLTZMANN

    @property
    def moment(self) -> float:
        """Magnetic moment of one particle, A m²."""
        return math.pi / 6 * self.core_diameter**3 * self.saturation_magnetisation

    @property
    def saturation_field(self) -> float:
        """Field µ0 H_sat = k T / m at which the Langevin argument is 1, T (Goodwill and Conolly 2011)."""
        return self.boltzmann * self.temperature / self.moment

    def resolution(self, gradient: float) -> float:
        """Full width at half maximum of the point spread function along a gradient in T/m, m.

        The derivative of the Langevin function falls to half its maximum at ±2.08.
        """
        return 4.16 * self.saturation_field / gradient

    def saturated(self, concentration: NDArray[Any]) -> Floats:
        """Magnetisation when all particles are aligned.

        Parameters
        ----------
        concentration : any shape, mol(Fe)/L
            All iron is taken to be in magnetite cores.

        Returns
        -------
        same shape, A/m
        """
        share = np.asarray(concentration, float) * LITRES * MAGNETITE_PER_IRON
        return share * self.saturation_magnetisation
