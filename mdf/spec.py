"""The MDF 2.1.0 standard as one table: the only place that knows its names, types, shapes and units.

Letters of the shapes: A tracers, N frames (O foreground and E background), B kept coefficients, J periods,
Y parts of a period, C receive channels, D drive-field channels, F frequencies of one channel, V samples,
K frequency components, Q images, P voxels, S contrasts.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

Kind = Literal["string", "uuid", "time", "int", "float", "flag", "number", "complex"]

VERSION = "2.1.0"
DATA = "/measurement/data"
BACKGROUND = "/measurement/isBackgroundFrame"
FOURIER = "/measurement/isFourierTransformed"
FAST_FRAME_AXIS = "/measurement/isFastFrameAxis"
PERMUTED = "/measurement/isFramePermutation"
PERMUTATION = "/measurement/framePermutation"
SELECTED = "/measurement/isFrequencySelection"
SELECTION = "/measurement/frequencySelection"
SPARSE = "/measurement/isSparsityTransformed"
TRANSFORMATION = "/measurement/sparsityTransformation"
INDICES = "/measurement/subsamplingIndices"
FRAMES = "/acquisition/numFrames"
PERIODS = "/acquisition/numPeriodsPerFrame"
DRIVE_CHANNELS = "/acquisition/drivefield/numChannels"
CHANNELS = "/acquisition/receiver/numChannels"
SAMPLES = "/acquisition/receiver/numSamplingPoints"
BANDWIDTH = "/acquisition/receiver/bandwidth"
CONVERSION = "/acquisition/receiver/dataConversionFactor"
TRANSFER_FUNCTION = "/acquisition/receiver/transferFunction"
SNR = "/calibration/snr"

TRANSFORMATIONS = ("DCT-I", "DCT-II", "DCT-III", "DCT-IV")
WAVEFORMS = ("sine", "triangle", "custom")

# A larger value was given in another unit, as mT or mm; in the unit of the dataset.
LIMITS = {
    "/tracer/concentration": 10,
    "/tracer/volume": 1,
    "/scanner/boreSize": 2,
    "/acquisition/gradient": 50,
    "/acquisition/offsetField": 1,
    "/acquisition/drivefield/strength": 1,
    "/calibration/fieldOfView": 1,
    "/calibration/offsetFields": 1,
    "/reconstruction/fieldOfView": 1,
}

# Letters whose size has a dataset of its own.
COUNTS = {"N": FRAMES, "J": PERIODS, "C": CHANNELS, "V": SAMPLES, "D": DRIVE_CHANNELS}

UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?")

# Groups, True for those that every file has.
GROUPS = {
    "/": True,
    "/study": True,
    "/experiment": True,
    "/tracer": False,
    "/scanner": True,
    "/acquisition": True,
    "/acquisition/drivefield": True,
    "/acquisition/receiver": True,
    "/measurement": False,
    "/calibration": False,
    "/reconstruction": False,
}

# need: "data" is mandatory and the signal cannot be read without it, "yes" is mandatory, "no" is optional,
# a name is the flag that makes it mandatory. default: what the writer puts when nothing is said ("new" is
# made on the spot, "derived" follows from other values).
_TABLE = """
path | type | shape | unit | need | default | meaning

/version | string | | | yes | 2.1.0 | version of the format
/uuid | uuid | | | yes | new | identity of this file
/time | time | | | yes | new | when this file was made

/study/name | string | | | yes | | name of the study
/study/number | int | | | yes | | number of the study
/study/uuid | uuid | | | yes | new | identity of the study
/study/description | string | | | yes | | short description
/study/time | time | | | no | | when the study was made

/experiment/name | string | | | yes | | name of the experiment
/experiment/number | int | | | yes | | number of the experiment within the study
/experiment/uuid | uuid | | | yes | new | identity of the experiment
/experiment/description | string | | | yes | | short description
/experiment/subject | string | | | yes | | what was imaged
/experiment/isSimulation | flag | | | yes | | simulated, not measured

/tracer/name | string | A | | yes | | name of each tracer
/tracer/batch | string | A | | yes | | batch
/tracer/vendor | string | A | | yes | | supplier
/tracer/solute | string | A | | yes | | what the concentration counts, usually Fe
/tracer/concentration | float | A | mol/L | yes | | molar concentration of the solute
/tracer/volume | float | A | L | yes | | volume that was applied
/tracer/injectionTime | time | A | | no | | start of each injection

/scanner/name | string | | | yes | | name of the scanner
/scanner/facility | string | | | yes | | where it stands
/scanner/manufacturer | string | | | yes | | who built it
/scanner/operator | string | | | yes | | who used it
/scanner/topology | string | | | yes | | FFP, FFL or MPS
/scanner/boreSize | float | | m | no | | diameter of the bore

/acquisition/startTime | time | | | yes | | start of the measurement
/acquisition/numFrames | int | | | data | derived | N: frames, background frames included
/acquisition/numPeriodsPerFrame | int | | | data | derived | J: drive-field periods in a frame
/acquisition/numAverages | int | | | yes | 1 | periods averaged into each stored one
/acquisition/gradient | float | J,Y,3,3 | T/m | no | | Jacobian of the static field at the centre
/acquisition/offsetField | float | J,Y,3 | T | no | | static field at the scanner centre

/acquisition/drivefield/numChannels | int | | | yes | derived | D: drive-field channels
/acquisition/drivefield/baseFrequency | float | | Hz | yes | | clock of all drive-field frequencies
/acquisition/drivefield/divider | int | D,F | | yes | | a frequency is the base frequency over this
/acquisition/drivefield/strength | float | J,D,F | T | yes | | amplitude
/acquisition/drivefield/phase | float | J,D,F | rad | yes | | phase of the sine
/acquisition/drivefield/waveform | string | D,F | | yes | sine | sine, triangle or custom
/acquisition/drivefield/cycle | float | | s | yes | derived | time after which the trajectory repeats

/acquisition/receiver/numChannels | int | | | data | derived | C: receive channels
/acquisition/receiver/numSamplingPoints | int | | | data | derived | V: samples in a period
/acquisition/receiver/bandwidth | float | | Hz | data | | half of the sampling rate
/acquisition/receiver/unit | string | | | yes | | unit of the signal, usually V
/acquisition/receiver/dataConversionFactor | float | C,2 | | no | | (a, b): the signal is a · stored + b
/acquisition/receiver/transferFunction | complex | C,K | | no | | spectrum stored over that at the coil
/acquisition/receiver/inductionFactor | float | C | | no | | coil voltage to magnetic moment

/measurement/data | number | N,J,C,V | | data | | the signal, its axes by the flags
/measurement/isBackgroundFrame | flag | N | | data | 0 | stored frame of the empty scanner
/measurement/isBackgroundCorrected | flag | | | yes | 0 | the background is subtracted
/measurement/isFastFrameAxis | flag | | | data | 0 | the frame axis is the last one
/measurement/isFourierTransformed | flag | | | data | 0 | spectra are stored
/measurement/isFramePermutation | flag | | | yes | 0 | frames are not in the order of acquisition
/measurement/framePermutation | int | N | | isFramePermutation | | acquisition place of stored frames, from 1
/measurement/isFrequencySelection | flag | | | data | 0 | only some frequency components are stored
/measurement/frequencySelection | int | K | | isFrequencySelection | | stored components, 1 is DC
/measurement/isSpectralLeakageCorrected | flag | | | yes | 0 | leakage correction was applied
/measurement/isTransferFunctionCorrected | flag | | | yes | 0 | the transfer function is divided out
/measurement/isSparsityTransformed | flag | | | yes | 0 | foreground is compressed along the frames
/measurement/sparsityTransformation | string | | | isSparsityTransformed | | DCT-I, DCT-II, DCT-III or DCT-IV
/measurement/subsamplingIndices | int | J,C,K,B | | isSparsityTransformed | | kept coefficients, from 1

/calibration/method | string | | | yes | | robot, hybrid, simulation
/calibration/size | int | 3 | | no | | voxels along x, y, z
/calibration/fieldOfView | float | 3 | m | no | | extent between the outer faces
/calibration/fieldOfViewCenter | float | 3 | m | no | | centre of the grid
/calibration/order | string | | | no | | axes from fast to slow, xyz if absent
/calibration/positions | float | O,3 | m | no | | position of each foreground frame
/calibration/offsetFields | float | O,3 | T | no | | field that emulates each position
/calibration/deltaSampleSize | float | 3 | m | no | | size of the calibration sample
/calibration/snr | float | J,C,K | | no | | signal-to-noise ratio of each component

/reconstruction/data | number | Q,P,S | | yes | | images, not laid out on axes
/reconstruction/size | int | 3 | | no | | voxels along x, y, z
/reconstruction/fieldOfView | float | 3 | m | no | | extent between the outer faces
/reconstruction/fieldOfViewCenter | float | 3 | m | no | | centre of the grid
/reconstruction/order | string | | | no | | axes from fast to slow, xyz if absent
/reconstruction/positions | float | P,3 | m | no | | position of each voxel
/reconstruction/isOverscanRegion | flag | P | | no | | the voxel is outside of the trajectory
"""

# Names of files older than the standard's final text, and the name each one means.
ALIASES = {
    "/acquisition/numPeriodsPerFrame": ("/acquisition/numPeriods", "/acquisition/numPatches"),
    "/measurement/isFastFrameAxis": ("/measurement/isTransposed",),
    "/measurement/isFramePermutation": ("/measurement/isFramePermution",),
    "/calibration/offsetFields": ("/calibration/offsetField",),
    "/acquisition/receiver/transferFunction": ("/acquisition/receiver/transferfunction",),
    "/acquisition/receiver/dataConversionFactor": ("/measurement/dataConversionFactor",),
    "/acquisition/receiver/unit": ("/measurement/unit",),
}

# Names without an underscore that programs write although the standard does not have them.
KNOWN_EXTRAS = (
    "/acquisition/drivefield/customWaveform",
    "/acquisition/receiver/transferFunctionFileName",
    "/calibration/isMeanderingGrid",
    "/custom/auxiliaryData",
)


@dataclass(frozen=True)
class Field:
    """One dataset of the standard.

    Parameters
    ----------
    path : str
    kind : str
        A type of the standard; "uuid" and "time" are strings of a fixed format.
    shape : tuple of str and int
        Letters of the standard and fixed numbers; empty for a single value.
    unit : str
        SI unit; magnetic fields are in T/µ0.
    need : str
        "data", "yes", "no", or the name of the flag that makes it mandatory.
    default : str
        What the writer puts when nothing is said; empty if that must be said.
    meaning : str
    """

    path: str
    kind: Kind
    shape: tuple[str | int, ...]
    unit: str
    need: str
    default: str
    meaning: str

    @property
    def group(self) -> str:
        """Path of its group."""
        return self.path.rpartition("/")[0] or "/"

    @property
    def name(self) -> str:
        """Name as a Python attribute: ``num_periods_per_frame``."""
        return snake_case(self.path.rpartition("/")[2])

    @property
    def is_text(self) -> bool:
        """Whether the value is text."""
        return self.kind in {"string", "uuid", "time"}

    @property
    def is_mandatory(self) -> bool:
        """Whether every file that has the group has this."""
        return self.need in {"data", "yes"}


def is_well_formed(field: Field, value: Any) -> bool:
    """Say whether times and UUIDs have the form that the standard gives them; other text is free."""
    is_right = {"uuid": lambda text: UUID.fullmatch(text) is not None, "time": _is_time}.get(field.kind)
    texts = [value] if isinstance(value, str) else value
    return is_right is None or all(map(is_right, texts))


def _is_time(text: str) -> bool:
    if TIME.fullmatch(text) is None:
        return False
    with suppress(ValueError):  # there is no such day, or hour
        return bool(datetime.fromisoformat(text))
    return False


def snake_case(name: str) -> str:
    """Return the Python attribute for a name of the standard.

    >>> snake_case("fieldOfViewCenter")
    'field_of_view_center'
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _field(row: str) -> Field:
    path, kind, shape, *rest = (cell.strip() for cell in row.split("|"))
    axes = tuple(int(letter) if letter.isdigit() else letter for letter in shape.split(",") if letter)
    return Field(path, cast(Kind, kind), axes, *rest)


_ROWS = [row for row in _TABLE.splitlines() if row.startswith("/")]
FIELDS: dict[str, Field] = {field.path: field for field in map(_field, _ROWS)}
