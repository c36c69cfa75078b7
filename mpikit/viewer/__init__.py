"""Layers for napari: reconstructions, system matrices and measurements; also the npe2 plugin.

Nothing but `window` needs napari.
"""

from mpikit.viewer.files import is_mdf, layers_of_file
from mpikit.viewer.layer import Layer, OnDemand

__all__ = ["Layer", "OnDemand", "is_mdf", "layers_of_file"]
