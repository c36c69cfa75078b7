"""From signals to images: system-matrix and x-space reconstruction."""

from __future__ import annotations

from mpikit.reconstruction.files import Result, reconstruct_file
from mpikit.reconstruction.image import Images
from mpikit.reconstruction.kaczmarz import Sweep, absolute_lambda, kaczmarz, kaczmarz_sweeps
from mpikit.reconstruction.options import Kaczmarz, XSpace
from mpikit.reconstruction.selection import Rows, select_rows
from mpikit.reconstruction.system_matrix import LinearSystem, read_system
from mpikit.reconstruction.xspace import Trajectory, trajectory, x_space

__all__ = [
    "Images",
    "Kaczmarz",
    "LinearSystem",
    "Result",
    "Rows",
    "Sweep",
    "Trajectory",
    "XSpace",
    "absolute_lambda",
    "kaczmarz",
    "kaczmarz_sweeps",
    "read_system",
    "reconstruct_file",
    "select_rows",
    "trajectory",
    "x_space",
]
