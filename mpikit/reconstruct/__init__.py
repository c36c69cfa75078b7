"""From signals to images: system-matrix and x-space reconstruction."""

from __future__ import annotations

from mpikit.reconstruct.files import Result, reconstruct_file
from mpikit.reconstruct.image import Images
from mpikit.reconstruct.kaczmarz import Sweep, absolute_lambda, kaczmarz, kaczmarz_sweeps
from mpikit.reconstruct.linear_system import LinearSystem
from mpikit.reconstruct.options import Kaczmarz, XSpace
from mpikit.reconstruct.rows import ArrayRows, RowSource
from mpikit.reconstruct.selection import Rows, select_rows
from mpikit.reconstruct.system_matrix import read_system
from mpikit.reconstruct.xspace import Trajectory, trajectory, x_space

__all__ = [
    "ArrayRows",
    "Images",
    "Kaczmarz",
    "LinearSystem",
    "Result",
    "RowSource",
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
