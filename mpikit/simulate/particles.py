"""Superparamagnetic particles in equilibrium: the Langevin function and what follows from it.

Fields are flux densities B = µ0 H in T throughout, as MDF stores them.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpikit.errors import UsageError

Floats = NDArray[np.float64]

BOLTZMANN = 1.380649e-23  # J/K, exact since the SI of 2019
# Magnetite Fe3O4, three Fe in a unit: 231.533 g/mol at 5.17 g/cm³ (CRC Handbook of Chemistry and Physics).
MAGNETITE_PER_IRON = 231.533e-3 / 5170 / 3  # m³ of magnetite for each mol of iron
LITRES = 1000.0  # L in one m³

_MAY_BE_ZERO = ("diameter_spread", "relaxation_time")
_FIELDS = (1e-8, 1e4)  # T, between which any particle saturates
_SIZES = 24  # nodes of the quadrature over the diameters

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
    """Spherical single-domain particles in equilibrium, of one size or of many.

    Parameters
    ----------
    core_diameter : float, m
        Median of the numbers of cores over their diameter.
    saturation_magnetisation : float, A/m
    temperature : float, K
    boltzmann : float, J/K
        A preset may carry the rounded value of its publication.
    diameter_spread : float, 1
        Standard deviation of the logarithm of the diameter (log-normal distribution); 0: all alike.
    relaxation_time : float, s
        τ of Debye relaxation: the magnetisation follows the equilibrium through the linear filter
        1 / (1 + 2πi f τ). 0: without delay.

    Raises
    ------
    UsageError
        When a value is no number, or negative where that makes no particle.
    """

    core_diameter: float
    saturation_magnetisation: float
    temperature: float
    boltzmann: float = BOLTZMANN
    diameter_spread: float = 0.0
    relaxation_time: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            lowest = 0.0 if name in _MAY_BE_ZERO else sys.float_info.min
            if not lowest <= value < math.inf:
                wanted = "0 or more" if name in _MAY_BE_ZERO else "a number above 0"
                raise UsageError(f"the {name} of the particles is {value}, expected {wanted}, in SI units")
        if not _FIELDS[0] < self.saturation_field < _FIELDS[1]:
            raise UsageError(
                f"the particles saturate at {self.saturation_field:g} T, expected something between "
                f"{_FIELDS[0]:g} and {_FIELDS[1]:g} T",
                hint="core_diameter is in m, saturation_magnetisation in A/m, temperature in K",
            )

    @property
    def moment(self) -> float:
        """Magnetic moment of one particle of the median diameter, A m²."""
        return math.pi / 6 * self.core_diameter**3 * self.saturation_magnetisation

    @property
    def saturation_field(self) -> float:
        """Field µ0 H_sat = k T / m at which the Langevin argument is 1, T (Goodwill and Conolly 2011)."""
        return self.boltzmann * self.temperature / self.moment

    def resolution(self, gradient: float) -> float:
        """Full width at half maximum of the point spread function along a gradient in T/m, m.

        The derivative of the Langevin function falls to half its maximum at ±2.08. For the median diameter.
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

    def sizes(self) -> tuple[Floats, Floats]:
        """Saturation field of each size of particle, T, and the share of the tracer that it makes up.

        A share counts iron, not cores: the log-normal distribution of numbers, weighted with the volume, is
        again log-normal, with its median at d exp(3 s²). Gauss-Hermite quadrature.
        """
        if self.diameter_spread == 0:
            return np.array([self.saturation_field]), np.ones(1)
        nodes, weights = np.polynomial.hermite.hermgauss(_SIZES)
        spread = self.diameter_spread
        relative = np.exp(3 * spread**2 + math.sqrt(2) * spread * nodes)
        return self.saturation_field / relative**3, weights / math.sqrt(math.pi)

    def magnetisation(self, square: Floats) -> tuple[Floats, Floats]:
        """Return the two even functions that give mean magnetisation and its change with the field.

        For a field of the vector B and the size b, ``M/Ms = f B`` and ``d(M/Ms)/dB = f 1 + h B Bᵀ``, where
        ``f = L(b/B_sat)/b`` and ``h = (df/db)/b``, each the mean over the sizes.

        Parameters
        ----------
        square : any shape, T²
            Square of the flux density.

        Returns
        -------
        f, h : same shape, 1/T and 1/T³
        """
        strength = np.sqrt(square)
        first, second = np.zeros_like(strength), np.zeros_like(strength)
        for field, share in zip(*self.sizes(), strict=True):
            ratio, curvature = langevin_ratios(strength / field)
            first += (share / field) * ratio
            second += (share / field**3) * curvature
        return first, second

    def relaxation(self, frequencies: Floats) -> NDArray[np.complex128]:
        """Debye filter 1 / (1 + 2πi f τ) at some frequencies in Hz, 1."""
        return np.asarray(1 / (1 + 2j * np.pi * self.relaxation_time * frequencies), np.complex128)
