"""The Magnetic Particle Imaging Data Format (MDF), version 2: open, read and write files.

It needs numpy and h5py, and knows nothing of mpikit.
"""

from mdf.check import write_time
from mdf.errors import MdfError
from mdf.file import File, Group, open  # noqa: A004
from mdf.grid import Grid
from mdf.repair import Repair
from mdf.write import Writer, create, write

__all__ = ["File", "Grid", "Group", "MdfError", "Repair", "Writer", "create", "open", "write", "write_time"]
