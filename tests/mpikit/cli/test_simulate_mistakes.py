"""``mpikit simulate`` refuses what cannot be, before it writes anything."""

import gc
import sys

import numpy as np
import pytest

from mpikit import workers
from mpikit.cli import main
from mpikit.simulate.presets import preset_names, preset_text

SMALL = ("openmpi-1d", "-o", "x.mdf")
OUT = ("-o", "x.mdf")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder that the commands run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refused(folder, monkeypatch, capsys):
    """Run a command that must fail as a user's mistake; return exit code, error and hint."""

    def fail(*arguments):
        before = sorted(folder.rglob("*"))
        monkeypatch.setattr(sys, "argv", ["mpikit", "simulate", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:  # anything else would have been a traceback
            main()
        told = capsys.readouterr()
        assert told.out == ""
        assert sorted(folder.rglob("*")) == before
        words, _, hint = told.err.partition("\n hint: ")
        return end.value.code, words.strip().splitlines()[-1], hint.strip()

    return fail


def changed(old, new, name="openmpi-1d"):
    text = preset_text(name)
    assert old in text
    return text.replace(old, new)


def test_presets_are_listed_when_none_is_named(refused):
    code, message, hint = refused()
    assert (code, message) == (2, "error: no preset is named")
    assert hint == f"choose one of {', '.join(preset_names())}, or a preset file"


# What the message must name, and what the hint must say
MISTAKES = [
    # what no machine holds
    ((*SMALL, "--frames", "100000000000"), "x.mdf would take", "fewer voxels, frames"),
    ((*SMALL, "--background-frames", "9" * 20), "its disk has", "fewer voxels, frames"),
    ((*SMALL, "--periods", "9" * 30, "--dry-run"), "its disk has", "fewer voxels, frames"),
    ((*SMALL, "-p", "receiver.averages=1000000000000", "--dry-run"), "of memory", "averages"),
    ((*SMALL, "-p", "receiver.oversampling=1000000"), "would have 102000000 samples", "less oversampling"),
    (("peng2023", *OUT, "--count", "9000000000"), "9000000000 phantoms would need", "fewer"),
    (("peng2023", "-o", "set", "--split", "99999999999,1"), "100000000000 digits would need", "fewer"),
    # units
    ((*SMALL, "-p", "particle.core_diameter=25"), "particles saturate at", "core_diameter is in m"),
    ((*SMALL, "--fov", "1e9"), "a field of view of 1e+09 mm", "--fov is in mm"),
    ((*SMALL, "--concentration", "100"), "is 100 mol(Fe)/L, expected 10 or less", "strong tracer"),
    ((*SMALL, "-p", "receiver.sensitivity=[[0,0,0]]"), "they see nothing", ""),
    ((*SMALL, "-p", "particle.core_diameter=true"), "core_diameter is True", ""),
    # the converter
    (
        (*SMALL, "-p", "receiver.adc={bits=24, full_scale=1e-3}", "-p", "receiver.averages=1000"),
        "1000 averages with 24 bits does not fit 32 bits",
        "fewer averages",
    ),
    # calibrations without noise on all lines
    ((*SMALL, "--calibration", "--noise", "none"), "without noise", "gaussian:level=channel"),
    ((*SMALL, "--calibration", "--noise", "background"), "have no noise", "gaussian:level=channel"),
    # data sets
    (("dahms2026", "-o", "set", "--workers", "0"), "0 workers do no work", "1 or more"),
    (("dahms2026", "-o", "set", "-p", "parts.nowhere.periods=3"), "no part is called 'nowhere'", "train"),
    (("dahms2026", "-o", "set", "-p", "parts.systemmatrix.periods=3"), "periods say nothing about", ""),
    # presets
    (("nowhere", *OUT), "no preset 'nowhere'", "openmpi-1d, openmpi-2d"),
    (("openmpi2d", *OUT), "no preset 'openmpi2d'", "did you mean 'openmpi-2d'?"),
    (("", *OUT), "no preset ''", "choose one of"),
    (("folder", *OUT), "no preset 'folder'", "preset file (.toml)"),
    (("openmpi-2d",), "no output is named", "-o scan.mdf"),
    (("openmpi-1d", "--show", "-p", "frames=2"), "--param says nothing about", "leave out --param"),
    # values
    ((*SMALL, "-p", "receiver.bandwith=1e6"), "no 'receiver.bandwith'", "did you mean 'bandwidth'?"),
    ((*SMALL, "-p", "bandwidth=1e6"), "no 'bandwidth'", "receiver"),
    ((*SMALL, "-p", "receiver=1e6"), "'receiver' is a table", "receiver.bandwidth"),
    ((*SMALL, "-p", "frames"), "'frames' sets nothing", "particle.relaxation_time=2e-6"),
    ((*SMALL, "-p", "particle.temperature=cold"), "particle.temperature is 'cold'", ""),
    ((*SMALL, "-p", "drive_field.amplitudes=0.01"), "drive_field.amplitudes is 0.01", ""),
    ((*SMALL, "-p", "drive_field.amplitudes=[0.0]"), "one of them above 0", ""),
    (
        (*SMALL, "-p", "drive_field.dividers=[102, 96]"),
        "drive_field.dividers are [2, 1]",
        "one value for each",
    ),
    ((*SMALL, "-p", "drive_field.phases=[0.0, 0.0]"), "drive_field.phases are [2, 1]", "one value for each"),
    ((*SMALL, "-p", "receiver.sensitivity=[[1.0, 2.0]]"), "receiver.sensitivity.0 is [1.0, 2.0]", ""),
    ((*SMALL, "-p", "receiver.feed_through=[[1e-6]]"), "expected 3 rows", ""),
    ((*SMALL, "-p", "selection_field.gradient=[-1,-1,1]"), "does not add up to 0", "-1, -1, 2 T/m"),
    ((*SMALL, "-p", "selection_field.gradient=[[-1,1,0],[0,-1,0],[0,0,2]]"), "is not symmetric", "no curl"),
    # frequencies, sampling
    (
        (*SMALL, "-p", "receiver.bandwidth=6.25e5"),
        "1250000 Hz is too low: the particle signal reaches up to",
        "bandwidth to 833333.3333 Hz or more",
    ),
    (
        (*SMALL, "-p", "receiver.bandwidth=73529.41176470587"),  # exactly that harmonic
        "147058.8235 Hz does not hold the third harmonic of the drive field, 73529.41176 Hz",
        "bandwidth to 98039.21569 Hz or more",
    ),
    ((*SMALL, "-p", "receiver.bandwidth=1.3e6"), "106.08 samples", "half the base frequency"),
    ((*SMALL, "-p", "drive_field.dividers=[999999999]"), "999999999 samples", "common factors"),
    ((*SMALL, "--calibration", "-p", "receiver.bandwidth=6.25e5"), "1250000 Hz is too low", "oversampling"),
    # phantoms
    ((*SMALL, "--phantom", "dotz"), "no phantom 'dotz'", "did you mean 'dots'?"),
    ((*SMALL, "--phantom", "binary.png"), "binary.png is no picture", "PNG"),
    ((*SMALL, "--at", "13,0"), "'bars' is out of the field of view: it reaches over x 2.2 to 23.8", "--at"),
    ((*SMALL, "--at", "0,0,3"), "z 2.5 to 3.5 mm, the field of view", "--fov"),
    ((*SMALL, "--at", "0,0,0,0"), "--at is '0,0,0,0'", ""),
    ((*SMALL, "--at", "left"), "--at is 'left', expected one to three numbers", ""),
    ((*SMALL, "--at", "nan"), "'bars' has the place (nan", ""),
    ((*SMALL, "--concentration", "-0.1"), "'bars' is -0.1 mol(Fe)/L, expected 0 or more", ""),
    ((*SMALL, "--concentration", "nan"), "'bars' is nan mol(Fe)/L", ""),
    ((*SMALL, "-p", "phantom.concentration=-0.1"), "phantom.concentration is -0.1", ""),
    ((*SMALL, "--calibration", "-p", "calibration.concentration=-1"), "calibration.concentration is -1", ""),
    ((*SMALL, "--mnist", "digits"), "'bars' shows no digits of digits", "--phantom digits"),
    # sizes
    ((*SMALL, "--grid", "0x4"), "a grid of [0, 4, 1] voxels", "--grid 19x19"),
    ((*SMALL, "--grid", "1.5x2"), "--grid is '1.5x2'", ""),
    ((*SMALL, "--grid", "3x3x3x3"), "--grid is '3x3x3x3'", ""),
    ((*SMALL, "--grid", "2x2x2"), "2 slices needs its extent in z", "--fov 38x38x19"),
    ((*SMALL, "--fov", "0x2"), "[0.0, 2.0, 1.0] mm is impossible", "--fov 38x38"),
    ((*SMALL, "--fov", "nan"), "[nan, 1.0, 1.0] mm is impossible", "--fov 38x38"),
    ((*SMALL, "--calibration", "--grid", "4x-2"), "a grid of [4, -2, 1] voxels", "--grid 19x19"),
    ((*SMALL, "--frames", "0"), "0 frames make no scan", "1 or more"),
    ((*SMALL, "--periods", "0"), "20 frames, 0 periods", "at least 1 frame"),
    ((*SMALL, "--background-frames", "-1"), "-1 empty frames", "0 empty frames"),
    (("peng2023", *OUT, "--count", "0"), "0 phantoms make no scan", "1 or more"),
    (
        (*SMALL, "--periods", "3", "-p", "selection_field.offset=[[0,0,0],[1e-3,0,0]]"),
        "3 periods",
        "of 2 per",
    ),
    # impossible memory
    ((*SMALL, "--grid", "1000000x1000000"), "1000000000000 voxels would need", "fewer voxels"),
    (
        (*SMALL, "--calibration", "--grid", "1000000x1000000"),
        "1000000000000 places would need",
        "fewer voxels",
    ),
    ((*SMALL, "-p", "phantom.size=[99999,99999,99999]"), "voxels would need", "fewer voxels"),
    # options that do not go together
    ((*SMALL, "--count", "3"), "takes no --count", "--frames"),
    (("peng2023", *OUT, "--frames", "3"), "takes no --frames", "--count"),
    (("peng2023", *OUT, "--phantom", "dots", "--count", "3"), "single image, not 3", "--phantom digits"),
    ((*SMALL, "--clean", "x.mdf"), "cannot be one file", "--clean another name"),
    ((*SMALL, "--clean", "./x.mdf"), "cannot be one file", "--clean another name"),
    (
        (*SMALL, "--calibration", "--count", "3"),
        "--count says nothing about a calibration",
        "leave out --count",
    ),
    ((*SMALL, "--calibration", "--frames", "0", "--at", "0"), "--at says", "leave out --at and --frames"),
    ((*SMALL, "--calibration", "--clean", "y.mdf"), "--clean says nothing", "leave out --clean"),
    ((*SMALL, "--calibration", "--split", "2,1"), "--split says nothing", "leave out --split"),
    ((*SMALL, "--calibration", "--phantom", "dots"), "--phantom says nothing", "leave out --phantom"),
    ((*SMALL, "--calibration", "--concentration", "1"), "--concentration says", "leave out --concentration"),
    ((*SMALL, "--calibration", "--mnist", "m"), "--mnist says nothing", "leave out --mnist"),
    ((*SMALL, "--calibration", "--periods", "2"), "--periods says nothing", "leave out --periods"),
    (
        ("dahms2026", "-o", "set", "--frames", "3"),
        "--frames says nothing about dahms2026",
        "leave out --frames",
    ),
    (("dahms2026", "-o", "set", "--phantom", "dots"), "--phantom says nothing", "leave out --phantom"),
    (("dahms2026", "-o", "set", "--clean", "y.mdf"), "--clean says nothing", "leave out --clean"),
    (("dahms2026", "-o", "set", "--grid", "3"), "--grid says nothing about dahms2026", "leave out --grid"),
    # splits
    ((*SMALL, "--split", "2,1"), "only a preset with many digits", "peng2023 --phantom digits --split"),
    (("peng2023", "-o", "set", "--split", "2,1", "--phantom", "dots"), "only a preset with many", "digits"),
    (
        ("peng2023", "-o", "set", "--split", "2,1", "--count", "4"),
        "asks for 3 phantoms, --count for 4",
        "leave",
    ),
    *(
        (("peng2023", "-o", "set", "--split", text), f"--split is '{text}', expected two or three whole", "")
        for text in ("8", "a,b", "1,2,3,4", "0,1", "-1,2", "1,,2", "", "1.5,2", "8 1 1")
    ),
    # noise
    ((*SMALL, "--noise", "gaussian:snr=3"), "no option 'snr'", "did you mean 'snr_db'?"),
    ((*SMALL, "--noise", "gaussian:snr_db=loud"), "'snr_db' is 'loud', expected a number", "dB"),
    ((*SMALL, "--noise", "gaussian:sigma=-1"), "'sigma' is '-1'", "Standard deviation"),
    ((*SMALL, "--noise", "gaussian:snr_db=3,sigma=1"), "either snr_db or sigma", ""),
    ((*SMALL, "--noise", "gaussian:snr_db"), "'snr_db' is no option", ""),
    ((*SMALL, "--noise", "gaussian", "--concentration", "0"), "signal is empty", "sigma="),
    ((*SMALL, "--calibration", "--noise", "gaussian:snr=3"), "no option 'snr'", "did you mean"),
    ((*SMALL, "-p", 'noise=["gaussian:snr=3"]'), "no option 'snr'", "did you mean"),
    # workers
    ((*SMALL, "--workers", "0"), "0 workers do no work", "1 or more"),
    ((*SMALL, "--calibration", "--workers", "-1"), "-1 workers do no work", "1 or more"),
    ((*SMALL, "--workers", "2", "--scheduler", "tcp://a:1"), "exclude each other", "has its workers"),
]


@pytest.mark.parametrize(("arguments", "words", "hint"), MISTAKES)
def test_wrong_command_lines(refused, folder, arguments, words, hint):
    (folder / "folder").mkdir()
    (folder / "binary.png").write_bytes(b"\x00\x01\x02")
    code, message, said = refused(*arguments)
    assert code == (3 if "binary" in words else 2)
    assert message.startswith("error: ")
    assert words in message
    assert hint in said


@pytest.mark.parametrize(
    ("arguments", "words", "hint"),
    [
        (("nowhere.toml", *OUT), "nowhere.toml cannot be read: No such file", ""),
        (("folder.toml", *OUT), "folder.toml cannot be read: Is a directory", ""),
        (("binary.toml", *OUT), "binary.toml cannot be read: it is no text in UTF-8", ""),
        (("binary", *OUT), "binary cannot be read: it is no text in UTF-8", ""),
        (("broken.toml", *OUT), "broken.toml is no TOML", ""),
        (("openmpi-1d", "-o", "nowhere/x.mdf"), "the folder nowhere does not exist", "make it first"),
        (("openmpi-1d", "-o", "folder"), "folder is a folder", "--output"),
        (("openmpi-1d", "-o", "precious"), "precious exists already", "--force"),
        ((*SMALL, "--clean", "precious"), "precious exists already", "--clean"),
        ((*SMALL, "--clean", "nowhere/x.mdf"), "the folder nowhere does not exist", "make it first"),
        (("openmpi-1d", "--calibration", "-o", "nowhere/x.mdf"), "folder nowhere does not", "make it first"),
        (("openmpi-1d", "-o", "y" * 300), "File name too long", ""),
        ((*SMALL, "--phantom", "nowhere.png"), "the phantom nowhere.png does not exist", ""),
        ((*SMALL, "--phantom", "binary.npy"), "binary.npy is no .npy file", "numpy.save"),
        (("peng2023", *OUT, "--mnist", "nowhere"), "the digits nowhere cannot be read", "--mnist"),
        (("peng2023", *OUT, "--mnist", "precious"), "precious is no IDX file", "train-images-idx3-ubyte"),
        (("peng2023", "-o", "set", "--split", "2,1", "--mnist", "nowhere"), "nowhere cannot be", "--mnist"),
        (("dahms2026", "-o", "precious"), "the folder precious cannot be made", "need a folder as --output"),
        (("dahms2026", "-o", "precious/set"), "precious/set cannot be made", "need a folder as --output"),
        (("dahms2026", "-o", "full"), "full/reference.mdf exists already", "--force"),
        ((*SMALL, "--noise", "empirical:file=nowhere.mdf"), "nowhere.mdf: there is no such file", ""),
    ],
)
def test_wrong_files(refused, folder, arguments, words, hint):
    for name in ("folder", "folder.toml", "full"):
        (folder / name).mkdir()
    for name in ("binary", "binary.toml", "binary.npy"):
        (folder / name).write_bytes(b"\x89HDF\r\n\x1a\n\xff\xfe")
    (folder / "broken.toml").write_text("[scanner\nname = 3")
    (folder / "full" / "reference.mdf").write_bytes(b"precious")
    (folder / "precious").write_bytes(b"precious")
    code, message, said = refused(*arguments)
    assert code == 3
    assert message.startswith("error: ")
    assert words in message
    assert hint in said
    assert (folder / "precious").read_bytes() == b"precious"


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # as a client closes, under load
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "cluster"])
def test_a_scheduler_that_does_not_answer(refused, monkeypatch, address):
    monkeypatch.setattr(workers, "CONNECT", 0.05)
    code, message, hint = refused(*SMALL, "--scheduler", address)
    gc.collect()  # of a Dask client that could not connect: while the next one starts is too late
    assert code == 3
    assert message.startswith(f"error: the Dask scheduler {address} does not answer")
    assert hint == "an address is like tcp://host:8786"


CLOCK = "base_frequency = 2.5e6            # Hz\ndividers = [102]                  # x\namplitudes = [0.012]"


@pytest.mark.parametrize(
    ("old", "new", "words", "hint"),
    [
        ("periods = 1\n", "peroids = 1\n", "there is no 'peroids'", "did you mean 'periods'?"),
        ("[receiver]", "[receiver]\nbandwith = 1", "no 'receiver.bandwith'", "did you mean 'bandwidth'?"),
        ("frames = 20", "frames = 'many'", "frames is 'many'", ""),
        ("temperature = 295.0", "temperature = [295]", "particle.temperature is [295]", ""),
        ("amplitudes = [0.012]", "", "'drive_field.amplitudes' is missing", ""),
        (
            "gradient = [-1.0, -1.0, 2.0]",
            "gradient = [-1.0, -1.0, -1.0]",
            "does not add up to 0",
            "divergence",
        ),
        ("size = [96, 1, 1]", "size = [96, 1.5, 1]", "phantom.size.1 is 1.5", ""),
        ("concentration = 0.1", "concentration = -0.1", "phantom.concentration is -0.1", ""),
        (CLOCK, "amplitudes = [0.012]", "give base_frequency and dividers, or frequencies in Hz", ""),
        (CLOCK, f"{CLOCK}\nfrequencies = [25e3]", "give base_frequency and dividers, or", ""),
        (
            CLOCK,
            "frequencies = [2500, 3535.533905932738]\namplitudes = [0.012, 0.012]",
            "2500, 3535.53390593 Hz have no common period",
            "fractions of whole numbers",
        ),
        (
            CLOCK,
            "frequencies = [25000.0, 25002.5000001]\namplitudes = [0.012, 0.012]",
            "have no common period",
            "fractions of whole numbers",
        ),
        (
            CLOCK,
            "base_frequency = 2.5e6\ndividers = [10007, 10009]\namplitudes = [0.012, 0.012]",
            "one period would have 100160063 samples",
            "no short common period",
        ),
        ("[calibration]", "[calibrations]", "calibration", ""),
    ],
)
def test_wrong_preset_files(refused, folder, old, new, words, hint):
    (folder / "mine.toml").write_text(changed(old, new))
    code, message, said = refused("mine.toml", *OUT)
    assert code == 2
    assert words in message
    assert hint in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("--frames", "many"),
        ("--frames", "1.5"),
        ("--seed", "-1"),
        ("--workers", "two"),
        ("--concentration", "high"),
        ("--bla",),
        ("another",),
        ("--noise",),
    ],
)
def test_what_the_parser_refuses(refused, arguments):
    code, message, _ = refused(*SMALL, *arguments)
    assert code == 2
    assert message.startswith("Error: ")


def test_unknown_noise(refused):
    code, message, hint = refused(*SMALL, "--noise", "gausian")
    assert (code, message) == (4, "error: no noise model is called 'gausian'")
    assert "did you mean 'gaussian'?" in hint


def test_an_input_is_no_output(refused, folder):
    """Not even with --force: the user's picture, preset, digits and empty measurement stay."""
    np.save(folder / "keep.npy", np.ones((5, 4)))
    (folder / "mine.toml").write_text(preset_text("openmpi-1d"))
    for arguments in (
        ("openmpi-2d", "--phantom", "keep.npy", "-o", "keep.npy"),
        ("mine.toml", "-o", "mine.toml"),
        ("openmpi-2d", "--phantom", "keep.npy", "-o", "x.mdf", "--clean", "keep.npy"),
    ):
        kept = {path.name: path.read_bytes() for path in folder.iterdir()}
        code, message, _ = refused(*arguments, "--force")
        assert (code, "is an input" in message) == (3, True)
        assert kept == {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("arguments", [("dahms2026",), ("peng2023", "--split", "2,1")])
def test_a_dry_run_makes_no_folder(folder, monkeypatch, arguments):
    monkeypatch.setattr(sys, "argv", ["mpikit", "simulate", *arguments, "-o", "set", "--dry-run"])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((*SMALL, "--noise", "gaussian:sigma=1e300"), 5, "far too large"),
        (("dahms2026", "-o", "a/b/set", "--noise", "gausian"), 4, "no noise model is called 'gausian'"),
    ],
)
def test_noise_that_cannot_be(refused, arguments, code, words):
    found, message, _ = refused(*arguments)
    assert found == code
    assert words in message
