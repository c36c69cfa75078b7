"""The Magnetic Particle Imaging Data Format (MDF), version 2: open, read and write files.

It needs numpy and h5py, and knows nothing of mpikit.
"""

from mdf.check import write_time
from mdf.compression import CompressionWarning
from mdf.convert import Conversion, ConversionError, convert, plan_conversion
from mdf.errors import MdfError
from mdf.file import File, open  # noqa: A004
from mdf.grid import Grid
from mdf.groups import Group
from mdf.repair import Repair
from mdf.system_matrix import SystemMatrix
from mdf.validate import Problem, validate
from mdf.write import Writer, create, write

__all__ = [
    "CompressionWarning", "Conversion", "ConversionError", "File", "Grid", "Group", "MdfError", "Problem",
    "Repair", "SystemMatrix", "Writer", "convert", "create", "open", "plan_conversion", "validate", "write",
    "write_time",
]  # fmt: skip
