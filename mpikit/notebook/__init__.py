"""The five verbs of a notebook: load, denoise, reconstruct, simulate, compare.

They take and give objects in memory, where the commands of the same names take and write files. They are also
`mpikit.load`, `mpikit.denoise` and so on.
"""

from mpikit.notebook.comparing import compare
from mpikit.notebook.denoising import DenoisedScan, denoise
from mpikit.notebook.loading import load
from mpikit.notebook.reconstructing import ReconstructedImages, reconstruct
from mpikit.notebook.simulating import SimulatedScan, simulate

__all__ = [
    "DenoisedScan",
    "ReconstructedImages",
    "SimulatedScan",
    "compare",
    "denoise",
    "load",
    "reconstruct",
    "simulate",
]
