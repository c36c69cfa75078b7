from __future__ import annotations

import os
from itertools import pairwise

import h5py
import numpy as np
import pytest

import mdf

# A robot that moves back and forth over 3 x 2 x 2 points: place in acquisition of each point, x fastest.
MEANDER = [1, 2, 3, 6, 5, 4, 12, 11, 10, 7, 8, 9]


def test_groups_are_attributes(made):
    with mdf.open(made({})) as file:
        assert file.version == "2.1.0"
        assert file.time == "2026-03-02T10:15:30.500"
        assert file.study.name == "Prüfung"
        assert file.experiment.is_simulation is True
        assert file.acquisition.num_averages == 4
        assert file.acquisition.receiver.bandwidth == 1.25e6
        assert file.acquisition.drivefield.divider.tolist() == [[10], [5]]
        assert file.acquisition.drivefield.waveform.tolist() == [["sine"], ["triangle"]]
        assert file.acquisition.gradient.shape == (3, 1, 3, 3)
        assert file.measurement.is_fourier_transformed is False
        assert file.repairs == ()


def test_what_is_absent(made):
    path = made({"/study/name": None, "/acquisition/gradient": None, "/measurement/isFastFrameAxis": None})
    with mdf.open(path) as file:
        assert file.acquisition.gradient is None
        assert (file.tracer, file.calibration, file.reconstruction, file.grid) == (None,) * 4
        assert not file.is_calibration
        with pytest.raises(mdf.MdfError, match="/study/name is missing"):
            _ = file.study.name
        with pytest.raises(AttributeError, match="'nmae'"):
            _ = file.study.nmae
        with pytest.raises(mdf.MdfError, match="isFastFrameAxis is missing"):
            file.read_signal()


def test_a_missing_group(made):
    names = ("name", "facility", "manufacturer", "operator", "topology")
    with mdf.open(made({f"/scanner/{name}": None for name in names})) as file:
        assert file.read_signal().shape == (5, 3, 2, 10)
        with pytest.raises(mdf.MdfError, match="the group /scanner is missing"):
            _ = file.scanner


def test_the_names_that_a_group_offers(made):
    with mdf.open(made({})) as file:
        assert {"drivefield", "receiver", "num_frames", "offset_field"} < set(dir(file.acquisition))


def test_values_cannot_be_changed_by_accident(made):
    with mdf.open(made({})) as file, pytest.raises(ValueError, match="read-only"):
        file.acquisition.gradient[:] = 0


def test_frames_by_kind_index_and_order(made, rng):
    place = np.array([3, 0, 4, 1, 2])
    acquired = rng.normal(size=(5, 3, 2, 10)).astype(np.float32)
    path = made(
        {
            "/measurement/data": acquired[place],
            "/measurement/isFramePermutation": np.int8(1),
            "/measurement/framePermutation": place + 1,
            "/measurement/isBackgroundFrame": np.array([0, 0, 1, 1, 0], np.int8),
        }
    )
    with mdf.open(path) as file:
        np.testing.assert_array_equal(file.is_background, [False, True, False, False, True])
        np.testing.assert_array_equal(file.read_signal("foreground"), acquired[[0, 2, 3]])
        np.testing.assert_array_equal(file.read_signal("background", "stored"), acquired[[4, 1]])
        np.testing.assert_array_equal(file.read_signal([4, 0]), acquired[[4, 0]])
        np.testing.assert_array_equal(file.read_signal([-1, 2], "stored"), acquired[place[[-1, 2]]])
        np.testing.assert_array_equal(file.read_signal(slice(1, 4)), acquired[1:4])
        np.testing.assert_array_equal(file.read_signal(file.is_background), acquired[[1, 4]])
        np.testing.assert_array_equal(file.frame_index([-1, 2], "stored"), place[[-1, 2]])
        assert file.read_signal([]).shape == (0, 3, 2, 10)
        assert file.read_signal([], domain="frequency").shape == (0, 3, 2, 6)


def test_questions_that_make_no_sense(made):
    with mdf.open(made({})) as file:
        with pytest.raises(IndexError):
            file.read_signal([5])
        for arguments in ({"frames": "empty"}, {"order": "random"}, {"domain": "space"}):
            with pytest.raises(ValueError, match="expected"):
                file.read_signal(**arguments)
        with pytest.raises(mdf.MdfError, match="no calibration"):
            file.read_signal(order="grid")


def calibration(order: str, size: list[int], sigma: list[int], **more: object) -> dict[str, object]:
    """Return changes for a calibration whose values are the places of acquisition of its frames."""
    data = np.empty((1, 2, 6, len(sigma)), np.complex64)
    data[:] = sigma
    return {
        "/measurement/data": data,
        "/measurement/isFourierTransformed": np.int8(1),
        "/measurement/isFastFrameAxis": np.int8(1),
        "/measurement/isFramePermutation": np.int8(1),
        "/measurement/framePermutation": sigma,
        "/measurement/isBackgroundFrame": (np.arange(len(sigma)) >= np.prod(size)).astype(np.int8),
        "/acquisition/numFrames": len(sigma),
        "/acquisition/numPeriodsPerFrame": 1,
        "/acquisition/gradient": np.zeros((1, 1, 3, 3)),
        "/acquisition/offsetField": np.zeros((1, 1, 3)),
        "/acquisition/drivefield/strength": np.ones((1, 2, 1)),
        "/acquisition/drivefield/phase": np.ones((1, 2, 1)),
        "/calibration/method": "robot",
        "/calibration/size": size,
        "/calibration/fieldOfView": [0.003, 0.004, 0.005],
        "/calibration/order": order,
        **more,
    }


def test_a_meander_that_is_not_its_own_inverse(made):
    with mdf.open(made(calibration("xyz", [3, 2, 2], MEANDER))) as file:
        assert file.is_calibration
        assert file.read_signal(order="acquisition")[:, 0, 0, 0].real.tolist() == list(range(1, 13))
        assert file.read_signal(order="stored")[:, 0, 0, 0].real.tolist() == MEANDER
        assert file.read_signal(order="grid")[:, 0, 1, 5].real.tolist() == MEANDER
        assert (file.frame_index("foreground", "grid") + 1).tolist() == MEANDER
        assert file.grid.shape == (2, 2, 3)
        np.testing.assert_allclose(file.calibration.positions[:4, 0], [-0.001, 0, 0.001, -0.001], atol=1e-15)
        # A robot takes small steps: in the order of acquisition each differs in one coordinate only.
        path = file.calibration.positions[np.argsort(file.frame_index("all", "grid"))]
        assert all(np.sum(~np.isclose(one, other)) == 1 for one, other in pairwise(path))


def test_background_frames_have_no_place_on_the_grid(made):
    sigma = [2, 3, 4, 7, 6, 5, 1, 8]
    with mdf.open(made(calibration("xyz", [3, 2, 1], sigma))) as file:
        assert file.read_signal(order="grid")[:, 0, 0, 0].real.tolist() == sigma[:6]
        assert file.read_signal("foreground", "grid").shape[0] == 6
        assert file.is_background.tolist() == [True, *[False] * 6, True]
        with pytest.raises(ValueError, match="background"):
            file.read_signal("background", "grid")


def test_another_order_of_axes(made):
    sigma = list(range(1, 13))  # z moves fastest, then x, then y
    with mdf.open(made(calibration("zxy", [3, 2, 2], sigma))) as file:
        place = np.array(sigma).reshape(2, 3, 2).transpose(2, 0, 1)  # (y, x, z) to (z, y, x)
        assert file.read_signal(order="grid")[:, 0, 0, 0].real.tolist() == place.reshape(-1).tolist()
        np.testing.assert_allclose(file.calibration.positions, file.grid.positions())


def test_stored_positions_decide(made):
    sigma = list(range(1, 13))
    shuffled = np.random.default_rng(3).permutation(12)
    grid = mdf.Grid(np.array([3, 2, 2]), np.array([0.003, 0.004, 0.005]), np.zeros(3))
    changes = calibration("xyz", [3, 2, 2], sigma)
    with mdf.open(made(changes | {"/calibration/positions": grid.positions()[shuffled]})) as file:
        np.testing.assert_allclose(file.calibration.positions, grid.positions())
        np.testing.assert_array_equal(file.frame_index(order="grid"), np.argsort(shuffled))


def test_positions_off_the_grid_stay_as_stored(made, rng):
    positions = rng.normal(size=(12, 3))
    changes = calibration("xyz", [3, 2, 2], MEANDER) | {"/calibration/positions": positions}
    with mdf.open(made(changes)) as file:
        np.testing.assert_array_equal(file.calibration.positions, positions)
        assert file.read_signal(order="grid")[:, 0, 0, 0].real.tolist() == MEANDER


def test_a_grid_that_does_not_fit(made):
    changes = calibration("xyz", [3, 2, 2], MEANDER)
    with mdf.open(made(changes | {"/calibration/size": [3, 2, 3]})) as file:
        with pytest.raises(mdf.MdfError, match="12 foreground frames"):
            file.read_signal(order="grid")
        assert len(file.read_signal()) == 12
    with (
        mdf.open(made(changes | {"/calibration/order": "xyx"})) as file,
        pytest.raises(mdf.MdfError, match="xyx"),
    ):
        file.read_signal(order="grid")


@pytest.mark.parametrize("permutation", [[0, 1, 2, 3, 4], [1, 1, 2, 3, 4], [1, 2, 3, 4], [2, 3, 4, 5, 6]])
def test_what_is_no_permutation(made, permutation):
    changes = {"/measurement/isFramePermutation": np.int8(1), "/measurement/framePermutation": permutation}
    with mdf.open(made(changes)) as file, pytest.raises(mdf.MdfError, match="framePermutation"):
        file.read_signal()


class TestBadFiles:
    """Whatever is wrong with a file, it is an `MdfError` that names it."""

    def test_no_file_at_all(self, tmp_path):
        for path in (tmp_path / "none.mdf", tmp_path, tmp_path / ("a" * 300)):
            with pytest.raises(mdf.MdfError, match=path.name[:20]):
                mdf.open(path)

    @pytest.mark.parametrize(
        "content", [b"", b"HDF", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(4000)]
    )
    def test_no_hdf5(self, tmp_path, content):
        path = tmp_path / "a.mdf"
        path.write_bytes(content)
        with pytest.raises(mdf.MdfError, match=r"a\.mdf"):
            mdf.open(path)

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
    def test_truncated(self, made, share):
        path = made({})
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(mdf.MdfError), mdf.open(path) as file:
            file.read_signal()

    def test_hdf5_without_mdf(self, tmp_path):
        path = tmp_path / "a.h5"
        with h5py.File(path, "w") as hdf:
            hdf["measurement/data"] = np.zeros(3)
        with pytest.raises(mdf.MdfError, match="/version is missing"):
            mdf.open(path)

    @pytest.mark.parametrize("version", ["3.0.0", "", "latest", "\x1b[31m"])
    def test_an_unknown_version(self, made, version):
        with pytest.raises(mdf.MdfError, match=r"expected '2\.1\.0'"):
            mdf.open(made({"/version": version}))

    @pytest.mark.parametrize(
        ("node", "value", "ask"),
        [
            ("/acquisition/receiver/bandwidth", "wide", lambda file: file.acquisition.receiver.bandwidth),
            ("/acquisition/receiver/bandwidth", np.nan, lambda file: file.read_signal()),
            ("/acquisition/receiver/bandwidth", -1.0, lambda file: file.frequencies),
            ("/acquisition/receiver/numSamplingPoints", 10.5, lambda file: file.num_samples),
            ("/acquisition/receiver/numSamplingPoints", np.inf, lambda file: file.num_samples),
            ("/acquisition/receiver/numSamplingPoints", 2**40, lambda file: file.stored_lines),
            ("/acquisition/receiver/dataConversionFactor", np.zeros((2, 2)), lambda file: file.read_signal()),
            ("/acquisition/receiver/dataConversionFactor", np.ones((3, 2)), lambda file: file.read_signal()),
            ("/measurement/isBackgroundFrame", np.zeros(4, np.int8), lambda file: file.read_signal()),
            ("/measurement/isBackgroundFrame", np.full(5, 2, np.int8), lambda file: file.is_background),
            ("/measurement/isFourierTransformed", np.int8(1), lambda file: file.read_signal()),
            ("/measurement/data", "a signal", lambda file: file.read_signal()),
            ("/measurement/data", 3.0, lambda file: file.read_signal()),
            ("/measurement/data", h5py.Empty("f4"), lambda file: file.read_signal()),
            ("/study/name", 3, lambda file: file.study.name),
            ("/study/name", np.array(["a", "b"], object), lambda file: file.study.name),
            ("/study/number", 1j, lambda file: file.study.number),
            ("/acquisition/gradient", np.zeros((2, 1, 3, 3)) + np.arange(2).reshape(2, 1, 1, 1),
             lambda file: file.acquisition.gradient),
            ("/acquisition/drivefield/divider", np.ones((4, 2), int),
             lambda file: file.acquisition.drivefield.divider),
            ("/acquisition/drivefield/numChannels", 0, lambda file: file.acquisition.drivefield.strength),
        ],
    )  # fmt: skip
    def test_wrong_values(self, made, node, value, ask):
        with mdf.open(made({node: value})) as file, pytest.raises(mdf.MdfError, match=r"made\.mdf: /"):
            ask(file)

    @pytest.mark.parametrize(
        "damage", ["group", "dataset", "external link", "soft loop", "dangling", "storage", "virtual"]
    )
    def test_other_things_in_place_of_a_value(self, made, tmp_path, damage):
        path = made({})
        with h5py.File(tmp_path / "other.h5", "w") as other:
            other["data"] = np.zeros((5, 3, 2, 10))
        virtual = h5py.VirtualLayout((5, 3, 2, 10), "f4")
        virtual[:] = h5py.VirtualSource("missing.h5", "data", (5, 3, 2, 10))
        with h5py.File(path, "r+") as hdf:
            del hdf["/measurement/data"]
            put = {
                "group": lambda: hdf.create_group("/measurement/data"),
                "dataset": lambda: (
                    hdf.move("/measurement", "/gone") or hdf.create_dataset("/measurement", data=1)
                ),
                "external link": lambda: hdf.update(
                    {"/measurement/data": h5py.ExternalLink("other.h5", "/data")}
                ),
                "soft loop": lambda: hdf.update({"/measurement/data": h5py.SoftLink("/measurement/data")}),
                "dangling": lambda: hdf.update({"/measurement/data": h5py.SoftLink("/nowhere")}),
                "storage": lambda: hdf.create_dataset(
                    "/measurement/data", (5, 3, 2, 10), "f4", external=[(str(tmp_path / "raw"), 0, 1200)]
                ),
                "virtual": lambda: hdf.create_virtual_dataset("/measurement/data", virtual),
            }
            put[damage]()
        with pytest.raises(mdf.MdfError, match="/measurement"), mdf.open(path) as file:
            file.read_signal()

    def test_a_shape_that_is_too_large_to_be_true(self, made):
        path = made({"/tracer/name": None})
        with h5py.File(path, "r+") as hdf:
            hdf.create_dataset("/tracer/concentration", (2**40,), "f8", chunks=(1024,))
        with mdf.open(path) as file, pytest.raises(mdf.MdfError, match="too large"):
            _ = file.tracer.concentration

    def test_a_link_within_the_file_is_followed(self, made):
        path = made({})
        with h5py.File(path, "r+") as hdf:
            hdf.move("/measurement/data", "/_elsewhere")
            hdf["/measurement/data"] = h5py.SoftLink("/_elsewhere")
        with mdf.open(path) as file:
            assert file.read_signal().shape == (5, 3, 2, 10)

    @pytest.mark.parametrize(
        ("name", "words"), [("", "a folder"), ("a.mdf", "no such file"), ("pipe", "no ordinary file")]
    )
    def test_no_file(self, tmp_path, name, words):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(mdf.MdfError, match=words):
            mdf.open(tmp_path / name)

    def test_a_closed_file(self, made):
        with mdf.open(made({})) as file:
            pass
        with pytest.raises(mdf.MdfError):
            file.read_signal()


class TestOwnValues:
    """Values whose names start with an underscore."""

    def test_where_they_stand(self, made):
        path = made(
            {
                "/_mpikit/history": "[]",
                "/measurement/_monitoring/temperature/observed": 300.0,
                "/_é": np.array(["ü", "b"], object),
                "/custom/_not_ours": 1,
            }
        )
        with mdf.open(path) as file:
            assert file.user_nodes() == ["/_mpikit", "/_é", "/measurement/_monitoring"]
            assert file.user_value("/_mpikit/history") == "[]"
            assert file.user_value("/measurement/_monitoring/temperature/observed") == 300.0
            assert file.user_value("/_é").tolist() == ["ü", "b"]
            assert file.user_value("/_nothing") is None
            assert file.user_value("/_mpikit") is None


class TestSamples:
    """The supplied files, beside plain h5py."""

    @pytest.mark.parametrize("name", ["bruker1d", "bruker2d", "openmpi3d-small", "multipatch"])
    def test_measurements(self, samples, name):
        path = samples / f"{name}-measurement.mdf"
        with h5py.File(path) as hdf, mdf.open(path) as file:
            raw = hdf["measurement/data"][()].astype(np.float32)
            factor = hdf.get("acquisition/receiver/dataConversionFactor")
            expected = raw if factor is None else raw * factor[0, 0].astype(np.float32)
            np.testing.assert_array_equal(file.read_signal(), expected)
            np.testing.assert_array_equal(file.is_background, hdf["measurement/isBackgroundFrame"][()] != 0)
            assert file.num_periods == raw.shape[1]
            drive = file.acquisition.drivefield
            assert drive.divider.shape == drive.waveform.shape == drive.strength.shape[1:]
            assert file.scanner.facility == "Universität Beispielstadt"
            assert file.user_nodes() == ["/_truth"]

    @pytest.mark.parametrize("name", ["bruker1d", "bruker2d", "openmpi3d-small"])
    def test_calibrations(self, samples, name):
        path = samples / f"{name}-systemmatrix.mdf"
        with h5py.File(path) as hdf, mdf.open(path) as file:
            stored = np.moveaxis(hdf["measurement/data"][()], -1, 0)
            place = hdf["measurement/framePermutation"][()] - 1
            empty = hdf["measurement/isBackgroundFrame"][()] != 0
            np.testing.assert_array_equal(file.read_signal(order="grid"), stored[~empty])
            np.testing.assert_array_equal(file.read_signal()[place], stored)
            np.testing.assert_array_equal(file.frame_index("background", "stored"), place[empty])
            assert file.calibration.positions.shape == (np.sum(~empty), 3)
            assert file.calibration.snr.shape == stored.shape[1:]

    def test_the_small_grid_of_three_dimensions(self, samples):
        with mdf.open(samples / "openmpi3d-small-systemmatrix.mdf") as file:
            np.testing.assert_allclose(file.grid.spacing, [0.004, 0.004, 0.003])
            assert file.frequencies.shape == (400,)
            assert file.frequencies.min() > 80e3
            assert file.stored_lines.sum() == 400
            # The truth of the measurement lies at voxels 7, 33 and 56.
            with mdf.open(samples / "openmpi3d-small-measurement.mdf") as scan:
                truth = scan.user_value("/_truth/_positions")
            np.testing.assert_allclose(file.calibration.positions[[7, 33, 56]], truth, atol=1e-12)
