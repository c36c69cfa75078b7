"""Presets hold what their sources say."""

import numpy as np
import pytest

from mpikit.errors import UsageError
from mpikit.simulate.presets import preset, preset_names


def test_names():
    assert preset_names() == ["openmpi-2d", "peng2023"]
    assert [preset(name).name for name in preset_names()] == preset_names()


@pytest.mark.parametrize("name", ["openmpi-2d", "peng2023"])
def test_every_preset_is_physical(name):
    chosen = preset(name)
    assert chosen.source
    assert np.trace(chosen.selection_field.gradient[0, 0]) == 0  # no divergence
    assert chosen.samples / chosen.receiver.sampling_rate == pytest.approx(chosen.drive_field.cycle)
    times = np.array([0.3e-4, chosen.drive_field.cycle - 0.3e-4])
    np.testing.assert_allclose(*chosen.drive_field.field(times), rtol=1e-9)  # cosines


def test_openmpi_2d():
    chosen = preset("openmpi-2d")
    assert chosen.samples == 1632
    lines = chosen.drive_field.frequencies[:, 0] * chosen.drive_field.cycle
    np.testing.assert_allclose(lines, [16, 17], rtol=1e-12)
    assert chosen.receiver.bandwidth == 1.25e6
    assert chosen.repeats == "frames"


def test_peng_2023_is_table_1():
    chosen = preset("peng2023")
    assert chosen.samples == 9900
    np.testing.assert_allclose(chosen.drive_field.frequencies[:, 0], [2500, 500])
    assert chosen.particle.saturation_magnetisation == 4.77e5
    assert chosen.particle.saturation_field == pytest.approx(2.072e-3, rel=1e-4)
    assert chosen.phantom.size == (101, 101, 1)
    assert (chosen.repeats, chosen.periods) == ("periods", 2)
    # The drive field moves the field-free point over the whole phantom.
    reach = chosen.drive_field.amplitudes[0, :, 0] / 0.4
    np.testing.assert_allclose(2 * reach, chosen.phantom.field_of_view[:2])


def test_unknown_preset_lists_them():
    with pytest.raises(UsageError, match="'openmpi2d'") as caught:
        preset("openmpi2d")
    assert "did you mean 'openmpi-2d'?" in caught.value.hint
    assert "peng2023" in caught.value.hint


def test_grid_takes_what_is_not_said_from_the_region():
    region = preset("openmpi-2d").calibration
    assert region.grid().shape == (1, 19, 19)
    grid = region.grid((7, 5), (0.021, 0.010))
    assert grid.shape == (1, 5, 7)
    np.testing.assert_allclose(grid.spacing, [0.003, 0.002, 0.001])


@pytest.mark.parametrize(
    ("size", "extent"),
    [((0, 4), ()), ((3, 4, 5, 6), ()), ((), (0.0, 0.1)), ((), (np.inf, 0.1)), ((3, 4, 5), ())],
)
def test_impossible_grids(size, extent):
    with pytest.raises(UsageError):
        preset("openmpi-2d").calibration.grid(size, extent)
