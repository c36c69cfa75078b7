"""Values that are not finite are named by frame, frequency, channel and place."""

from __future__ import annotations

import numpy as np
import pytest

import mdf
from mpikit.errors import InputError
from mpikit.events import silent
from mpikit.reconstruct import Kaczmarz, read_system
from mpikit.reconstruct.finite import FiniteReader
from mpikit.reconstruct.selection import Rows

ALL = {"min_frequency": 0.0, "snr_threshold": 0.0}


def read(source, system, **options):
    with mdf.open(source) as one, mdf.open(system) as other:
        found = read_system(one, other, Kaczmarz(**{**ALL, **options}), tell=silent)
        if not isinstance(found.matrix, np.ndarray):
            for part in range(len(found.matrix)):
                found.matrix.load(part)


def broken_calibration(pair, frame, channel, line, value, *, background=2):
    """A system matrix with one wrong value; frames are the voxels in grid order, then the empty ones."""
    path = pair.calibration(background=background)
    with mdf.open(path) as file:
        contents = {k: v for k, v in file.contents().items() if k not in {"/version", "/uuid", "/time"}}
        data = file.read_signal("all", "stored", domain="frequency")
    data[frame, 0, channel, line] = value
    mdf.write(path, contents, data, overwrite=True)
    return path


def broken_measurement(pair, frame, sample, value):
    path = pair.measurement()
    with mdf.open(path) as file:
        contents = {k: v for k, v in file.contents().items() if k not in {"/version", "/uuid", "/time"}}
        data = file.read_signal("all", "stored")
    data[frame, 0, 1, sample] = value
    mdf.write(path, contents, data, overwrite=True)
    return path


@pytest.mark.parametrize(("frame", "what"), [(2, "object"), (4, "empty")])
def test_a_frame_is_counted_as_it_was_acquired(pair, frame, what):
    """One bad sample is in all lines of its channel: the first one is named, and how many there are."""
    words = rf"measurement\.mdf holds 31 values that are not finite, first in frame {frame} \(counted from 0"
    with pytest.raises(InputError, match=words + ".* at 0 kHz in receive channel 1") as caught:
        read(broken_measurement(pair, frame, 7, np.nan), pair.calibration())
    assert "stop_bands" in caught.value.hint, what


@pytest.mark.parametrize("memory", [None, 1e-9])
def test_a_value_of_the_matrix_is_named_by_its_place(pair, memory):
    """In memory and streamed; lines are 33.333 kHz apart, and voxel 17 is x 1, y 1, z 1."""
    system = broken_calibration(pair, 17, 1, 9, np.inf)
    with mdf.open(system) as file:
        x, y, z = 1e3 * file.grid.positions()[17]
    assert (round(x, 6), round(y, 6), round(z, 6)) == (-4, 2, -0.5)
    words = (
        r"system\.mdf holds 1 values .* first at 300 kHz in receive channel 1, at the grid position x -4, y "
    )
    with pytest.raises(InputError, match=words + r"2, z -0\.5 mm"):
        read(pair.measurement(), system, memory=memory)


def test_an_empty_frame_of_the_matrix_is_named(pair):
    with pytest.raises(InputError, match=r"system\.mdf .* in frame 25 .* at 100 kHz in receive channel 0"):
        read(pair.measurement(), broken_calibration(pair, 25, 0, 3, np.nan))


def test_rows_that_are_not_used_do_not_matter(pair):
    system = broken_calibration(pair, 17, 1, 9, np.inf)
    read(pair.measurement(), system, stop_bands=(299e3, 301e3))
    read(pair.measurement(), system, receive_channels=(0,))


def test_numbers_whose_squares_are_too_large_are_finite(pair):
    with mdf.open(broken_calibration(pair, 17, 1, 9, 1e30)) as file:
        rows = Rows(np.array([1]), np.array([9]), {})
        values = FiniteReader(file).rows(rows, np.arange(24), "grid")
    assert values[0, 17] == np.complex64(1e30)
