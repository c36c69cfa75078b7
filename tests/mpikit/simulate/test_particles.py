"""The Langevin function, and what follows from it for a particle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpikit.simulate.particles import (
    Particle,
    langevin,
    langevin_derivative,
    langevin_ratios,
)


@pytest.fixture
def magnetite() -> Particle:
    return Particle(core_diameter=20e-9, saturation_magnetisation=4.77e5, temperature=300, boltzmann=1.38e-23)


def test_limits_at_zero_and_far_away():
    np.testing.assert_array_equal(langevin(np.array([0.0])), [0.0])
    np.testing.assert_allclose(langevin_derivative(np.array([0.0])), 1 / 3, rtol=1e-15)
    far = np.array([1e3, 1e6, 1e12])
    np.testing.assert_allclose(langevin(far), 1 - 1 / far, rtol=1e-15)
    np.testing.assert_allclose(langevin_derivative(far), far**-2.0, rtol=1e-3, atol=1e-15)
    assert np.all(np.isfinite(langevin_ratios(np.array([0.0, 1e-300, 1e300]))))


@pytest.mark.parametrize("x", [0.3, 1.0, 2.5, 8.0])
def test_definition(x):
    np.testing.assert_allclose(langevin(np.array(x)), np.cosh(x) / np.sinh(x) - 1 / x, rtol=1e-13)
    np.testing.assert_allclose(langevin_derivative(np.array(x)), 1 / x**2 - 1 / np.sinh(x) ** 2, rtol=1e-12)


def test_series_and_formula_meet():
    below, above = (np.array(0.1 * (1 + step)) for step in (-1e-12, 1e-12))
    for one, other in zip(langevin_ratios(below), langevin_ratios(above), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


@given(st.floats(-1e4, 1e4))
def test_odd_bounded_and_rising(x):
    value, mirrored = langevin(np.array([x, -x]))
    assert value == -mirrored
    assert abs(value) < 1
    assert 0 < langevin_derivative(np.array(x)) <= 1 / 3 + 1e-12


def test_saturation_field_and_resolution_of_table_1(magnetite):
    assert magnetite.saturation_field == pytest.approx(2.072e-3, rel=1e-4)
    assert magnetite.resolution(0.4) == pytest.approx(21.5e-3, rel=5e-3)


def test_resolution_is_where_the_derivative_has_halved(magnetite):
    edge = magnetite.resolution(1.0) / 2 / magnetite.saturation_field
    assert langevin_derivative(np.array(edge)) == pytest.approx(1 / 6, rel=2e-3)


def test_saturated_magnetisation_of_iron(magnetite):
    # 1 mol(Fe)/L is a third of a mol of magnetite, 77.18 g at 5.17 g/cm³, in a litre.
    share = 77.178e-3 / 5170 * 1000
    np.testing.assert_allclose(magnetite.saturated(np.array([0, 1])), [0, share * 4.77e5], rtol=1e-4)
