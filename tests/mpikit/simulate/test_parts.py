"""Data sets of several files: samples, references, empty scanner, calibration, and splits of digits."""

import json
from dataclasses import replace

import numpy as np
import pytest

import mdf
from mpikit.errors import InputError, UsageError
from mpikit.events import Finding
from mpikit.scan_file import read_scan
from mpikit.simulate import files
from mpikit.simulate.files import How
from mpikit.simulate.parts import CONCENTRATIONS, POSITIONS, samples, simulate_parts, simulate_splits
from mpikit.simulate.phantoms import digit_splits
from mpikit.simulate.presets import preset, preset_table

NAMES = ["train", "test", "reference", "background", "systemmatrix"]
SMALL = {"train": {"periods": 3}, "test": {"periods": 2}, "reference": {"averages": 5}}
SMALL |= {"background": {"frames": 4, "periods": 2}, "systemmatrix": {}}


def inline(table):
    return "{" + ", ".join(f"{key} = {value!r}" for key, value in table.items()) + "}"


def frames_of(path):
    """Read all frames of a file, empty ones too, in volts."""
    with mdf.open(path) as file:
        return file.read_signal(domain="time").astype(float)


def dahms(*changes):
    """Return the preset with few periods."""
    small = [part | SMALL[part["name"]] for part in preset_table("dahms2026")["parts"]]
    return preset("dahms2026", [f"parts=[{', '.join(map(inline, small))}]", *changes])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """All files of the data set, with its own noise."""
    folder = tmp_path_factory.mktemp("dahms") / "made" / "here"
    told = []
    made = simulate_parts(dahms(), folder, how=How(seed=7, tell=told.append))
    return folder, made, told


def test_the_empty_scanner_alone(tmp_path):
    """Noise and background are of absolute size: they need no samples."""
    [empty] = [part for part in dahms().parts if part.name == "background"]
    [made] = simulate_parts(replace(dahms(), parts=(empty,)), tmp_path / "set", how=How(seed=7))
    assert (made.frames, made.background_frames) == (0, 4)
    assert frames_of(made.path).std() == pytest.approx(1e-6, rel=0.2)


def test_all_files_are_there_and_whole(whole):
    folder, made, told = whole
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{name}.mdf" for name in NAMES)
    assert [each.path for each in made] == [folder / f"{name}.mdf" for name in NAMES]
    shapes = {"train": (44, 0, 3), "test": (50, 0, 2), "reference": (50, 0, 1), "background": (0, 4, 2)}
    shapes["systemmatrix"] = (27, 2, 1)
    for name, each in zip(NAMES, made, strict=True):
        assert (each.frames, each.background_frames, each.periods) == shapes[name]
        with mdf.open(each.path) as file:
            assert file.repairs == ()
            assert (file.num_frames, file.num_periods) == (sum(shapes[name][:2]), shapes[name][2])
            assert (file.num_channels, file.num_samples) == (1, 102)
            assert int(file.is_background.sum()) == shapes[name][1]
            assert file.is_calibration == (name == "systemmatrix")
            assert file.experiment.is_simulation
    assert [event.value for event in told if isinstance(event, Finding) and event.name == "part"] == NAMES


@pytest.mark.parametrize(
    ("name", "millimetres", "milligrams"),
    [
        ("train", range(-10, 11, 2), [2.688e-4, 2.688e-3, 2.688e-2, 0.2688]),
        ("test", range(-9, 10, 2), [8.5e-5, 8.5e-4, 8.5e-3, 8.5e-2, 0.85]),
        ("reference", range(-9, 10, 2), [8.5e-5, 8.5e-4, 8.5e-3, 8.5e-2, 0.85]),
    ],
)
def test_every_frame_says_what_was_measured(whole, name, millimetres, milligrams):
    with mdf.open(whole[0] / f"{name}.mdf") as file:
        places, concentrations = file.user_value(POSITIONS), file.user_value(CONCENTRATIONS)
        assert places.shape == (file.num_frames, 3)
        assert file.tracer.volume[0] == pytest.approx(5e-6 * np.mean(concentrations) / max(concentrations))
    np.testing.assert_array_equal(places[:, 1:], 0)
    found = np.stack([concentrations * 55.845, places[:, 0] * 1e3], axis=1)  # mg/mL, mm
    expected = [(dose, place) for dose in milligrams for place in millimetres]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-9)


def test_test_and_train_have_nothing_in_common(whole):
    with mdf.open(whole[0] / "train.mdf") as train, mdf.open(whole[0] / "test.mdf") as test:
        for node in (CONCENTRATIONS, POSITIONS):
            one, other = (np.round(file.user_value(node), 12) for file in (train, test))
            one, other = (values.reshape(len(values), -1)[:, 0] for values in (one, other))
            assert len(one) == 44
            assert not set(one.tolist()) & set(other.tolist())


def test_the_reference_is_averaged(whole):
    folder, _, _ = whole
    with mdf.open(folder / "reference.mdf") as reference, mdf.open(folder / "test.mdf") as test:
        assert (reference.acquisition.num_averages, test.acquisition.num_averages) == (5, 1)
    # at the same places, so that they differ by the noise alone; the last concentration drowns the background
    one, five = read_scan(folder / "test.mdf"), read_scan(folder / "reference.mdf")
    sigma = np.std(one.signal[:, 0] - one.signal[:, 1], dtype=float) / np.sqrt(2)
    assert sigma == pytest.approx(1e-6, rel=0.02)
    difference = (five.signal[:, 0] - one.signal.mean(axis=1)).astype(float)
    assert np.std(difference) == pytest.approx(sigma * np.sqrt(1 / 5 + 1 / 2), rel=0.05)


def test_what_repeats(whole):
    repeats = {name: read_scan(whole[0] / f"{name}.mdf").repeats for name in NAMES[:3]}
    assert repeats == {"train": "periods", "test": "periods", "reference": "none"}


def test_a_clean_point_sample_is_the_row_of_its_place(tmp_path):
    """A sample and the delta sample of the calibration fill the same volume."""
    small = dahms("receiver.feed_through=[[0.0]]")
    simulate_parts(small, tmp_path, noise=[], how=How(seed=1))
    scan = read_scan(tmp_path / "test.mdf")
    with mdf.open(tmp_path / "systemmatrix.mdf") as file:
        matrix = file.read_signal(order="grid", domain="time")[:, 0]
        wanted = file.grid.nearest(samples(small, small.parts[1]).grid.positions())
    assert len(wanted) == 23
    columns = 13 + np.arange(-9, 10, 2)  # of 27 places, a millimetre apart
    ratio = np.array(small.parts[1].concentrations) / small.calibration.concentration
    expected = (ratio[:, None, None, None] * matrix[columns]).reshape(-1, 1, 102)
    top = slice(40, None)  # the calibration has noise, 40 dB below
    error = np.linalg.norm(scan.signal[top, 0] - expected[top]) / np.linalg.norm(expected[top])
    assert error < 0.02


BACKGROUND = "background:amplitude=1e-3,lines=20,decay_db=1,drift={},phase_drift={}"


@pytest.mark.parametrize(("drift", "left"), [(0.0, 1e-4), (0.05, 0.15)])
def test_the_background_is_the_same_in_all_files(tmp_path, drift, left):
    noise = [BACKGROUND.format(drift, drift)]
    simulate_parts(dahms("receiver.feed_through=[[0.0]]"), tmp_path, noise=noise, how=How(seed=3))
    empty = frames_of(tmp_path / "background.mdf")
    assert np.sqrt(np.mean(empty**2)) == pytest.approx(1e-3, rel=0.2)
    for name in ("train", "test", "reference"):
        faint = frames_of(tmp_path / f"{name}.mdf")[:10]  # of hardly any tracer
        rest = faint - empty.mean(axis=(0, 1))
        assert np.linalg.norm(rest) < left * np.linalg.norm(faint)


def test_another_seed_is_another_session(tmp_path):
    for seed in (1, 2):
        how = How(seed=seed)
        simulate_parts(dahms(), tmp_path / str(seed), noise=[BACKGROUND.format(0, 0)], how=how)
    one, other = (frames_of(tmp_path / str(seed) / "background.mdf") for seed in (1, 2))
    assert np.linalg.norm(one - other) > 0.5 * np.linalg.norm(one)


def test_one_session_from_file_to_file(tmp_path, monkeypatch):
    """Frames are counted on, and no two files have the same noise."""

    def count(clean, *, frame_index, rng, **_):
        noise = np.zeros(clean.shape)
        noise += frame_index[:, None, None, None]
        noise[..., 50:] = rng.standard_normal()
        return noise

    monkeypatch.setattr(files, "parse_noise", lambda _: count)
    monkeypatch.setattr(files, "noise_files", lambda _: ())
    parts = [part for part in dahms().table["parts"] if part["name"] != "systemmatrix"]
    scanner = dahms("receiver.feed_through=[[0.0]]", f"parts=[{', '.join(map(inline, parts))}]")
    simulate_parts(scanner, tmp_path, noise=["counted"], how=How(seed=1))
    found, drawn = [], []
    for name in NAMES[:4]:
        frames = frames_of(tmp_path / f"{name}.mdf")
        found.extend(np.round(frames[:, 0, 0, :50].mean(axis=-1)).astype(int).tolist())
        drawn.append(float(frames[0, 0, 0, 60]))
    assert found == list(range(44 + 50 + 50 + 4))
    assert len(set(drawn)) == 4


def test_a_seed_repeats_all_files(whole, tmp_path):
    folder, _, _ = whole
    simulate_parts(dahms(), tmp_path, how=How(seed=7))
    for name in NAMES:
        one, other = frames_of(folder / f"{name}.mdf"), frames_of(tmp_path / f"{name}.mdf")
        np.testing.assert_array_equal(one, other)
    with mdf.open(tmp_path / "train.mdf") as file:
        (record,) = json.loads(file.user_value("/_mpikit/history"))
    assert record["options"]["noise"] == list(preset("dahms2026").noise)


def test_samples_are_points():
    scanner = preset("dahms2026")
    phantom = samples(scanner, scanner.parts[0])
    assert phantom.images.shape == (44, 1, 1, 23)
    np.testing.assert_array_equal(np.count_nonzero(phantom.images, axis=(1, 2, 3)), 1)
    columns = np.argmax(phantom.images[:, 0, 0], axis=-1)
    np.testing.assert_array_equal(columns, np.tile(np.arange(1, 22, 2), 4))
    np.testing.assert_array_equal(
        phantom.images.sum(axis=(1, 2, 3)), np.repeat(scanner.parts[0].concentrations, 11)
    )


def test_a_sample_between_voxels():
    table = "{name='odd', positions=[0.0, 0.0004], concentrations=[0.1]}"
    scanner = preset("dahms2026", [f"parts=[{table}]"])
    with pytest.raises(UsageError, match=r"part 'odd' .* sample at 0.4 mm is at the centre of no voxel"):
        samples(scanner, scanner.parts[0])


def test_a_preset_of_one_file_has_no_parts(tmp_path):
    with pytest.raises(UsageError, match="openmpi-1d is one file"):
        simulate_parts(preset("openmpi-1d"), tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_stops_all(tmp_path):
    (tmp_path / "background.mdf").write_bytes(b"precious")
    with pytest.raises(InputError, match=r"background\.mdf exists already"):
        simulate_parts(dahms(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["background.mdf"]
    assert (tmp_path / "background.mdf").read_bytes() == b"precious"
    simulate_parts(dahms(), tmp_path, how=How(overwrite=True))
    assert len(frames_of(tmp_path / "background.mdf")) == 4


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "set").write_bytes(b"precious")
    for place in (tmp_path / "set", tmp_path / "set" / "deeper"):
        with pytest.raises(InputError, match="cannot be made") as caught:
            simulate_parts(dahms(), place)
        assert "need a folder as --output" in caught.value.hint
    assert (tmp_path / "set").read_bytes() == b"precious"


@pytest.fixture
def mnist(tmp_path, rng):
    path = tmp_path / "digits.npz"
    np.savez(path, rng.integers(0, 256, (9, 28, 28), dtype=np.uint8))
    return path


def test_splits(tmp_path, rng, mnist):
    scanner = preset("peng2023", ["drive_field.base_frequency=2.475e5", "receiver.bandwidth=123750.0"])
    grid = scanner.phantom.grid((21, 21))
    digits = digit_splits([5, 1, 2], grid, concentration=0.1, rng=rng, mnist=mnist)
    names = ("train", "validation", "test")
    made = simulate_splits(scanner, tmp_path / "set", list(zip(names, digits, strict=True)), how=How(seed=2))
    assert [each.frames for each in made] == [5, 1, 2]
    assert sorted(path.stem for path in (tmp_path / "set").iterdir()) == sorted(names)
    seen = {}
    for name, one in zip(names, digits, strict=True):
        with mdf.open(tmp_path / "set" / f"{name}.mdf") as file:
            seen[name] = set(file.user_value("/_mpikit/sources").tolist())
            assert seen[name] == set(one.sources.tolist())
            assert (file.num_frames, file.num_periods) == (one.count, 2)
    assert len(set().union(*seen.values())) == sum(map(len, seen.values())) == 8


def test_splits_have_noise_of_their_own(tmp_path, rng, mnist):
    scanner = preset("peng2023", ["drive_field.base_frequency=2.475e5", "receiver.bandwidth=123750.0"])
    (digits,) = digit_splits([1], scanner.phantom.grid((9, 9)), concentration=0.1, rng=rng, mnist=mnist)
    both = [("train", digits), ("test", digits)]
    simulate_splits(scanner, tmp_path, both, noise=["gaussian:snr_db=0"], how=How(seed=2))
    one, other = (read_scan(tmp_path / f"{name}.mdf").signal for name in ("train", "test"))
    noise = one - other
    assert np.std(noise) == pytest.approx(np.std(one[:, 0] - one[:, 1]), rel=0.2)


def test_noise_by_ratio_refers_to_the_samples_of_all_files(tmp_path):
    """The empty measurement has no signal of its own, and its noise is as strong as in the other files."""
    simulate_parts(dahms(), tmp_path, noise=["gaussian:level=channel,snr_db=20"], how=How(seed=2))
    levels = []
    for name in ("train", "background"):
        frames = frames_of(tmp_path / f"{name}.mdf")
        levels.append(np.std(np.diff(frames, axis=1)) / np.sqrt(2))
    assert levels[1] == pytest.approx(levels[0], rel=0.15)


def test_one_part_that_is_impossible_stops_all(tmp_path):
    bad = "{name='odd', positions=[0.0004], concentrations=[0.1]}"
    good = "{name='even', positions=[0.0], concentrations=[0.1], periods=2}"
    with pytest.raises(UsageError, match="centre of no voxel"):
        simulate_parts(preset("dahms2026", [f"parts=[{good}, {bad}]"]), tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_splits_with_clean_files(tmp_path, rng, mnist):
    scanner = preset("peng2023")
    grid = scanner.phantom.grid((9, 8))
    digits = digit_splits([2, 3], grid, concentration=0.1, rng=rng, mnist=mnist)
    made = simulate_splits(
        scanner,
        tmp_path / "set",
        list(zip(("train", "test"), digits, strict=True)),
        periods=3,
        noise=["gaussian:snr_db=10"],
        clean=tmp_path / "clean",
        how=How(seed=4),
    )
    assert [each.periods for each in made] == [3, 3]
    noisy, clean = (read_scan(tmp_path / folder / "test.mdf").signal for folder in ("set", "clean"))
    power = np.mean(clean.astype(float) ** 2, axis=-1)
    noise = np.mean((noisy - clean).astype(float) ** 2, axis=-1)
    np.testing.assert_allclose(10 * np.log10(power / noise), 10, atol=0.3)
    for folder, specs in (("set", ["gaussian:snr_db=10"]), ("clean", [])):
        with mdf.open(tmp_path / folder / "test.mdf") as file:
            (record,) = json.loads(file.user_value("/_mpikit/history"))
        assert record["options"]["noise"] == specs
        assert record["options"]["part"] == "test"
        assert record["options"]["data_set_seed"] == 4
