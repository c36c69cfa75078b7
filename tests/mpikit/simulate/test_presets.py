"""Presets hold what their sources say, and take changes and files of users."""

from math import prod

import numpy as np
import pytest

from mpikit.errors import InputError, UsageError
from mpikit.plugins import parse_noise
from mpikit.simulate.presets import preset, preset_names, preset_table, preset_text

NAMES = ["dahms2026", "openmpi-1d", "openmpi-2d", "openmpi-3d", "peng2023", "peng2023-openmpi"]
OPENMPI = ["openmpi-1d", "openmpi-2d", "openmpi-3d", "peng2023-openmpi"]
IRON = 55.845  # g/mol


def test_names():
    assert preset_names() == NAMES
    assert [preset(name).name for name in NAMES] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_is_physical(name):
    chosen = preset(name)
    assert chosen.source
    assert chosen.summary
    assert chosen.patches == 1
    assert np.trace(chosen.selection_field.gradient[0, 0]) == pytest.approx(0, abs=1e-12)  # no divergence
    assert chosen.samples / chosen.receiver.sampling_rate == pytest.approx(chosen.drive_field.cycle)
    times = np.array([0.3e-4, chosen.drive_field.cycle - 0.3e-4])
    np.testing.assert_allclose(*chosen.drive_field.field(times), rtol=1e-9)  # cosines
    for region in (chosen.phantom, chosen.calibration):
        assert region.concentration > 0
        np.testing.assert_array_equal(region.grid().center, 0)
    assert chosen.table == preset_table(name)


@pytest.mark.parametrize("name", OPENMPI)
def test_openmpi_scanner(name):
    chosen = preset(name)
    assert (chosen.scanner.topology, chosen.scanner.bore_size) == ("FFP", 0.118)
    assert (chosen.drive_field.base_frequency, chosen.receiver.bandwidth) == (2.5e6, 1.25e6)
    assert chosen.receiver.sampling_rate == 2.5e6
    np.testing.assert_array_equal(chosen.selection_field.gradient[0, 0], np.diag([-1, -1, 2]))
    np.testing.assert_array_equal(chosen.selection_field.offset, 0)
    np.testing.assert_array_equal(chosen.drive_field.amplitudes, 0.012)
    np.testing.assert_array_equal(chosen.drive_field.phases, np.pi / 2)
    assert "104971" in chosen.source


@pytest.mark.parametrize(
    ("name", "dividers", "kilohertz", "microseconds", "samples", "components", "lines"),
    [
        ("openmpi-1d", [102], [24.5098], 40.8, 102, 52, [1]),
        ("openmpi-2d", [102, 96], [24.5098, 26.0417], 652.8, 1632, 817, [16, 17]),
        ("openmpi-3d", [102, 96, 99], [24.5098, 26.0417, 25.2525], 21542.4, 53856, 26929, [528, 561, 544]),
    ],
)
def test_openmpi_sequences(name, dividers, kilohertz, microseconds, samples, components, lines):
    chosen = preset(name)
    drive = chosen.drive_field
    assert drive.dividers[:, 0].tolist() == dividers
    np.testing.assert_allclose(drive.frequencies[:, 0] / 1e3, kilohertz, atol=5e-5)
    assert drive.cycle * 1e6 == pytest.approx(microseconds, rel=1e-12)
    assert (chosen.samples, chosen.samples // 2 + 1) == (samples, components)
    np.testing.assert_allclose(drive.frequencies[:, 0] * drive.cycle, lines, rtol=1e-12)
    assert chosen.repeats == "frames"
    # the phantom fills what the field-free point covers: 24 x 24 x 12 mm
    reach = (
        2 * drive.amplitudes[0, :, 0] / np.abs(np.diag(chosen.selection_field.gradient[0, 0]))[: len(lines)]
    )
    np.testing.assert_allclose(chosen.phantom.field_of_view[: len(lines)], reach, rtol=1e-12)


@pytest.mark.parametrize(("name", "axes"), [("openmpi-1d", 1), ("openmpi-2d", 2), ("openmpi-3d", 3)])
def test_openmpi_calibrations_are_on_the_coarse_grid(name, axes):
    region = preset(name).calibration
    grid = region.grid()
    assert region.size == (19,) * axes + (1,) * (3 - axes)
    np.testing.assert_allclose(grid.field_of_view[:axes], [0.038, 0.038, 0.019][:axes])
    np.testing.assert_allclose(grid.spacing, [2e-3, 2e-3, 1e-3])  # 4 µL
    assert region.concentration == 0.1


@pytest.mark.parametrize(
    ("name", "axes"), [("openmpi-1d", "xyz"), ("openmpi-2d", "xy"), ("openmpi-3d", "xyz")]
)
def test_openmpi_coils(name, axes):
    sensitivity = preset(name).receiver.sensitivity
    np.testing.assert_array_equal(sensitivity, 1e-3 * np.eye(3)[: len(axes)])


def test_peng_2023_is_table_1():
    chosen = preset("peng2023")
    particle = chosen.particle
    assert (particle.core_diameter, particle.temperature, particle.boltzmann) == (20e-9, 300, 1.38e-23)
    assert particle.saturation_magnetisation == 4.77e5  # printed as 4.77e-5
    assert particle.saturation_field == pytest.approx(2.072e-3, rel=1e-4)
    np.testing.assert_array_equal(np.abs(np.diag(chosen.selection_field.gradient[0, 0]))[:2], 0.4)
    np.testing.assert_allclose(chosen.drive_field.frequencies[:, 0], [2500, 500])
    assert (chosen.receiver.channels, chosen.samples) == (1, 9900)
    assert chosen.phantom.size == (101, 101, 1)
    assert (chosen.repeats, chosen.periods, chosen.phantom_name) == ("periods", 2, "digits")
    # The drive field moves the field-free point over the whole phantom.
    reach = chosen.drive_field.amplitudes[0, :, 0] / 0.4
    np.testing.assert_allclose(2 * reach, chosen.phantom.field_of_view[:2])


def test_peng_2023_in_the_scanner_of_openmpidata():
    chosen, scanner, phantoms = preset("peng2023-openmpi"), preset("openmpi-2d"), preset("peng2023")
    for key in ("scanner", "particle", "drive_field", "selection_field", "receiver"):
        assert chosen.table[key] == scanner.table[key]
    assert (chosen.phantom.size, chosen.phantom_name) == (phantoms.phantom.size, "digits")
    assert (chosen.repeats, chosen.periods) == ("periods", 2)
    assert "Table III" in chosen.source


@pytest.fixture
def dahms():
    return preset("dahms2026")


def test_dahms_2026_scanner(dahms):
    assert dahms.drive_field.amplitudes.tolist() == [[[0.014]]]
    assert dahms.drive_field.cycle == pytest.approx(40e-6, rel=0.025)  # the paper rounds
    assert dahms.samples == 102
    assert abs(dahms.selection_field.gradient[0, 0, 0, 0]) == 1.25
    assert dahms.receiver.channels == 1
    # the field-free point reaches all samples
    assert 0.014 / 1.25 >= 0.011
    assert dahms.phantom.field_of_view[0] / 2 >= 0.011


def test_dahms_2026_samples(dahms):
    grid = dahms.phantom.grid()
    assert np.prod(grid.spacing) == pytest.approx(5e-9)  # 5 µL
    places = grid.positions()[:, 0]
    np.testing.assert_allclose(places, np.arange(-11, 12) * 1e-3, atol=1e-12)
    train, test, reference = dahms.parts[:3]
    np.testing.assert_allclose(train.positions, np.arange(-10, 11, 2) * 1e-3, atol=1e-12)
    np.testing.assert_allclose(test.positions, np.arange(-9, 10, 2) * 1e-3, atol=1e-12)
    assert (reference.positions, reference.concentrations) == (test.positions, test.concentrations)
    grams = np.sort([*train.concentrations, *test.concentrations]) * IRON  # per litre
    assert len(grams) == 9
    np.testing.assert_allclose(grams, 0.85 * 10.0 ** np.arange(-4, 0.5, 0.5), rtol=1e-4)  # half decades
    np.testing.assert_allclose(np.sort(test.concentrations) * IRON, grams[::2])  # 10 positions, 5 of them
    assert dahms.phantom.concentration == max(test.concentrations)
    assert dahms.calibration.concentration == pytest.approx(10 * dahms.phantom.concentration)


def test_dahms_2026_files(dahms):
    assert [part.name for part in dahms.parts] == ["train", "test", "reference", "background", "systemmatrix"]
    kinds = [part.kind for part in dahms.parts]
    assert kinds == ["samples", "samples", "samples", "empty", "calibration"]
    assert [part.periods for part in dahms.parts[:4]] == [None, None, 1, None]
    assert dahms.periods == 1000
    assert [part.averages for part in dahms.parts] == [1, 1, 1000, 1, 1]
    assert dahms.noise


def test_unknown_preset_lists_them():
    with pytest.raises(UsageError, match="'openmpi2d'") as caught:
        preset("openmpi2d")
    assert "did you mean 'openmpi-2d'?" in caught.value.hint
    assert ", ".join(NAMES) in caught.value.hint


def test_a_file_of_a_user_is_a_preset(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(preset_text("openmpi-2d").replace('name = "openmpi-2d"', 'name = "mine"'))
    mine, theirs = preset(str(path)), preset("openmpi-2d")
    assert mine.name == "mine"
    assert {**mine.table, "name": theirs.name} == theirs.table
    assert mine.samples == theirs.samples
    path.rename(tmp_path / "mine")  # its name need not say that it is one
    assert preset(str(tmp_path / "mine")).name == "mine"


def test_changes():
    changed = preset(
        "openmpi-2d",
        [
            "particle.relaxation_time=2e-6",
            "receiver.adc={bits=14, full_scale=1e-3}",
            "receiver.notch.quality=5",  # a table that was not there
            "drive_field.amplitudes=[0.010, [0.011]]",
            " phantom.name = smile",  # a word needs no quotes
            'scanner.name="A = B"',
            "frames=7",
        ],
    )
    assert changed.particle.relaxation_time == 2e-6
    assert (changed.receiver.adc.bits, changed.receiver.adc.full_scale) == (14, 1e-3)
    assert changed.receiver.notch.quality == 5
    assert changed.drive_field.amplitudes.tolist() == [[[0.010], [0.011]]]
    assert (changed.phantom_name, changed.scanner.name, changed.frames) == ("smile", "A = B", 7)
    assert changed.table["receiver"]["notch"] == {"quality": 5}  # the history of a file tells it
    assert preset("openmpi-2d").table == preset_table("openmpi-2d")  # the next one is as it was


def test_the_last_change_wins():
    assert preset("openmpi-1d", ["frames=3", "frames=4"]).frames == 4


def test_frequencies_in_hertz_make_the_same_scanner(tmp_path):
    clock = "base_frequency = 2.5e6            # Hz\ndividers = [102, 96]              # x, y\n"
    text = preset_text("openmpi-2d")
    assert clock in text
    path = tmp_path / "hertz.toml"
    path.write_text(text.replace(clock, f"frequencies = [{2.5e6 / 102!r}, {2.5e6 / 96!r}]\n"))
    other, one = preset(str(path)), preset("openmpi-2d")
    assert other.samples == one.samples
    np.testing.assert_allclose(other.drive_field.frequencies, one.drive_field.frequencies, rtol=1e-12)
    times = np.linspace(0, one.drive_field.cycle, 37)
    np.testing.assert_allclose(other.drive_field.field(times), one.drive_field.field(times), atol=1e-12)


def test_several_offsets_are_patches():
    chosen = preset("openmpi-1d", ["selection_field.offset=[[0.0,0,0], [0.001,0,0], [0.002,0,0]]"])
    assert (chosen.patches, chosen.periods) == (3, 3)
    assert chosen.selection_field.gradient.shape == (3, 1, 3, 3)
    np.testing.assert_array_equal(chosen.selection_field.offset[:, 0, 0], [0, 0.001, 0.002])
    with pytest.raises(UsageError, match="has 2 periods and 3 selection fields") as caught:
        preset("openmpi-1d", ["selection_field.offset=[[0,0,0], [0.001,0,0], [0.002,0,0]]", "periods=2"])
    assert "leave periods out" in caught.value.hint


def test_grid_takes_what_is_not_said_from_the_region():
    region = preset("openmpi-2d").calibration
    assert region.grid().shape == (1, 19, 19)
    grid = region.grid((7, 5), (0.021, 0.010))
    assert grid.shape == (1, 5, 7)
    np.testing.assert_allclose(grid.spacing, [0.003, 0.002, 0.001])
    assert region.grid((7,)).shape == (1, 19, 7)
    assert region.grid((7, 5, 3), (0.021, 0.010, 0.006)).shape == (3, 5, 7)


@pytest.mark.parametrize(
    ("size", "extent"),
    [((0, 4), ()), ((3, 4, 5, 6), ()), ((), (0.0, 0.1)), ((), (np.inf, 0.1)), ((), (np.nan, 0.1))],
)
def test_impossible_grids(size, extent):
    with pytest.raises(UsageError, match="is impossible") as caught:
        preset("openmpi-2d").calibration.grid(size, extent)
    assert "--grid 19x19 --fov 38x38" in caught.value.hint


def test_slices_need_a_thickness():
    with pytest.raises(UsageError, match="5 slices needs its extent in z") as caught:
        preset("openmpi-2d").calibration.grid((3, 4, 5))
    assert "--fov 38x38x19" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("particle.core_diametre=2e-9", "there is no 'particle.core_diametre'"),
        ("receiver.adc={bits=14, full_scale=1.0, range=2}", "there is no 'receiver.adc.range'"),
        ("a.b.c=3", "there is no 'a'"),
        ("particle=3", "'particle' is a table"),
        ("particle={core_diameter=2e-8}", "'particle.saturation_magnetisation' is missing"),
        ("receiver.adc={bits=14}", "'receiver.adc.full_scale' is missing"),
        ("particle.core_diameter", "sets nothing"),
        ("=3", "sets nothing"),
        ("particle..temperature=3", "sets nothing"),
        ("particle.temperature.kelvin=3", "'temperature' is a value and holds no others"),
        ("particle.temperature=", "particle.temperature is ''"),
        ("particle.temperature=warm", "particle.temperature is 'warm'"),
        ("particle.temperature=[300]", r"particle.temperature is \[300\]"),
        ("particle.temperature=nan", "particle.temperature is nan"),
        ("particle.core_diameter=-1e-9", "particle.core_diameter is -1e-09"),
        ("particle.relaxation_time=inf", "particle.relaxation_time is inf"),
        ("particle.diameter_spread=1.2", "particle.diameter_spread is 1.2"),
        ("periods=1.5", "periods is 1.5"),
        ("frames=0", "frames is 0"),
        ("repeats=both", "repeats is 'both'"),
        ("name=3", "name is 3"),
        ("noise=gaussian", "noise is 'gaussian'"),
        ("scanner.topology=ring", "'FFP', 'FFL' or 'MPS'"),
        ("receiver.bandwidth=0", "receiver.bandwidth is 0"),
        ("receiver.oversampling=0", "oversampling of the receiver is 0"),
        ("receiver.averages=-1", "number of averages of the receiver is -1"),
        ("receiver.sensitivity=[]", "receiver.sensitivity is"),
        ("receiver.sensitivity=[[1e-3, 0.0]]", "receiver.sensitivity.0 is"),
        ("receiver.adc={bits=40, full_scale=1.0}", "number of bits of the ADC is 40"),
        ("phantom.concentration=-0.1", "phantom.concentration is -0.1"),
        ("phantom.field_of_view=[0.01, 0.0, 0.01]", "phantom.field_of_view.1 is 0.0"),
        ("parts=3", "parts is 3"),
        ("parts=[{name='a', kind='blank'}]", "parts.0.kind is 'blank'"),
        ("parts=[{name='a', concentrations=[0.1, -0.2]}]", "parts.0.concentrations.1 is -0.2"),
    ],
)
def test_impossible_changes(change, words):
    with pytest.raises(UsageError, match=words) as caught:
        preset("openmpi-1d", [change])
    assert "\n" not in str(caught.value)


def test_the_hint_of_an_unknown_name_is_the_nearest_one():
    with pytest.raises(UsageError) as caught:
        preset("openmpi-1d", ["receiver.bandwith=1e6"])
    assert caught.value.hint.startswith("did you mean 'bandwidth'? there are sensitivity, bandwidth, ")
    with pytest.raises(UsageError) as caught:
        preset("openmpi-1d", ["receiver=1e6"])
    assert caught.value.hint == "change one of receiver.bandwidth, receiver.sensitivity"


def test_a_period_has_a_whole_number_of_samples():
    with pytest.raises(UsageError, match=r"40.8 µs, which are 106.08 samples at 2.6e\+06 Hz") as caught:
        preset("openmpi-1d", ["receiver.bandwidth=1.3e6"])
    assert "half the base frequency" in caught.value.hint


@pytest.mark.parametrize("dividers", [[10007, 10009], [10007, 10009, 10037]])  # primes
def test_a_period_has_an_end(dividers):
    changes = [f"drive_field.dividers={dividers}", f"drive_field.amplitudes={[0.01] * len(dividers)}"]
    with pytest.raises(UsageError, match=f"one period would have {prod(dividers)} samples") as caught:
        preset("openmpi-1d", changes)
    assert "no short common period" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe\x00", "no text in UTF-8"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "no text in UTF-8"),
        (b"name = ", "is no TOML"),
        (b"name = 'a'\nname = 'b'\n", "is no TOML"),
    ],
)
def test_files_that_are_no_presets(tmp_path, content, words):
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        preset(str(path))
    assert str(path) in str(caught.value)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match=r"mine\.toml cannot be read: No such file"):
        preset(str(tmp_path / "mine.toml"))
    folder = tmp_path / "folder.toml"
    folder.mkdir()
    with pytest.raises(InputError, match="Is a directory"):
        preset(str(folder))
    with pytest.raises(UsageError, match="there is no preset"):
        preset(str(tmp_path))


def test_an_empty_file_lacks_everything(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("")
    with pytest.raises(UsageError, match="'name' is missing"):
        preset(str(path))


@pytest.mark.parametrize("name", NAMES)
def test_the_noise_of_a_preset_is_noise(name):
    chosen = preset(name)
    for spec in chosen.noise:
        parse_noise(spec)
    assert bool(chosen.noise) == (not name.startswith("openmpi"))
