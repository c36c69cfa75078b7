"""What is put into the scanner: concentrations on a grid, upright where +x is to the right and +y up."""

from mpikit.simulate.phantoms.handwritten import Digits, digit_splits, draw_digits
from mpikit.simulate.phantoms.make import PHANTOMS, make_phantom, needs_concentration
from mpikit.simulate.phantoms.openmpidata import concentration_phantom, resolution_phantom, shape_phantom
from mpikit.simulate.phantoms.patterns import bars, dots, point, shepp_logan, smile
from mpikit.simulate.phantoms.phantom import Phantom
from mpikit.simulate.phantoms.pictures import file_size, phantom_file, picture
from mpikit.simulate.phantoms.vessels import vessels

__all__ = [
    "PHANTOMS",
    "Digits",
    "Phantom",
    "bars",
    "concentration_phantom",
    "digit_splits",
    "dots",
    "draw_digits",
    "file_size",
    "make_phantom",
    "needs_concentration",
    "phantom_file",
    "picture",
    "point",
    "resolution_phantom",
    "shape_phantom",
    "shepp_logan",
    "smile",
    "vessels",
]
