"""Finite numbers or a clear error: every denoiser, noise model and solver on extreme data."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from methods import DENOISERS, LEARNED, NOISE_MODELS, SOLVERS, options, system

from mpikit import Run
from mpikit.denoise import denoise_scan
from mpikit.errors import InputError, MpikitError
from mpikit.plugins import registry
from mpikit.reconstruct import trajectory, x_space
from mpikit.reconstruct.projections import back_projected, line_scan
from mpikit.scan import Corrections
from mpikit.scan_file import write_scan
from mpikit.scanner import DriveField, SelectionField
from mpikit.testing import check_extremes, example_scan, extreme_scans

EXTREMES = extreme_scans()
NOT_FINITE = [name for name in EXTREMES if "NaN" in name or "infinity" in name]
# what a share of each run does with the methods that take long
SOME = ["one frame of repeated periods", "frames without noise", "1e30 V", "1e-30 V"]
IN_CI = [("n2n", SOME[0]), ("r2r", SOME[1]), ("unet-gd", SOME[0]), ("wgan-sn", SOME[1])]
# what no method can denoise, and what else a method may refuse; from all others it makes numbers
NOTHING_TO_DENOISE = {*NOT_FINITE, "no frame at all"}
WITHOUT_REPEATS = {"one frame", "no repeats and no background"}
NO_NOISE_SAMPLES = {"no background", "one background frame", "no repeats and no background"}
FEW = [f"{count} samples" for count in (1, 2, 3, 5, 16)]
NOTHING_TO_LEARN = {"zeros", "a constant", "a single value", *FEW[:4]}
MAY_REFUSE = {
    "average": WITHOUT_REPEATS,
    "background-subtraction": {"no background", "no repeats and no background"},
    "mp-pca": {"one frame"},
    "n2n": NOTHING_TO_LEARN | WITHOUT_REPEATS,
    "r2r": NOTHING_TO_LEARN,
    "savgol": {*FEW[:3]},
    "unet-gd": NOTHING_TO_LEARN | WITHOUT_REPEATS,
    "wavelet": {*FEW},
    "wgan-gp": NOTHING_TO_LEARN | NO_NOISE_SAMPLES,
    "wgan-sn": NOTHING_TO_LEARN | NO_NOISE_SAMPLES,
}
NO_CLEAN_SIGNAL = {case for case in NOT_FINITE if "background" not in case} | {"no frame at all"}
NOISE_MAY_REFUSE = {  # a level that refers to the signal needs one
    "background": {"zeros", *FEW[:2]},
    "coloured": {"zeros"},
    "empirical": {"one channel", *FEW},  # which its file does not have
    "gaussian": {"zeros"},
}
NO_BACKGROUND_TO_FIT = NO_NOISE_SAMPLES | {"zeros", "a constant", "frames without noise"}


def refused(found):
    return {case for case, what in found.items() if what != "numbers"}


def check_all(name):
    """Look at all extreme scans; return in how many words that went."""
    found = check_extremes(DENOISERS[name], options(name))
    assert found.keys() == EXTREMES.keys()
    assert refused(found) <= NOTHING_TO_DENOISE | MAY_REFUSE.get(name, set())
    return f"{name}: {len(EXTREMES)} extreme scans, {len(EXTREMES) - len(refused(found))} give numbers"


@pytest.mark.parametrize("name", [name for name in DENOISERS if name not in LEARNED])
def test_denoisers(name, figure):
    figure(check_all(name))


@pytest.mark.parametrize(
    ("name", "case"),
    [
        pytest.param(name, case, marks=() if (name, case) in IN_CI else pytest.mark.soak)
        for name in LEARNED
        for case in SOME[:2]
    ],
)
def test_learned_denoisers(name, case):
    assert check_extremes(DENOISERS[name], options(name), {case: EXTREMES[case]}) == {case: "numbers"}


@pytest.mark.soak
@pytest.mark.parametrize("name", LEARNED)
def test_learned_denoisers_on_all(name, figure):
    figure(check_all(name))


@pytest.mark.soak
@pytest.mark.parametrize("preset", ["paper"])
@pytest.mark.parametrize("name", LEARNED)
def test_the_presets_of_papers(name, preset):
    short = {"epochs": 1, "features": 3, "evaluate_every": 2} | ({"draws": 2} if name == "r2r" else {})
    record = DENOISERS[name]
    found = check_extremes(
        record, record.options(preset=preset, **short), {case: EXTREMES[case] for case in SOME}
    )
    # the noise that all its frames share is not odd, as the papers take a signal to be
    assert refused(found) <= {"frames without noise"}


@pytest.fixture(scope="module")
def empty_file(tmp_path_factory):
    """File whose background frames have the shape of the examples."""
    path = tmp_path_factory.mktemp("noise") / "empty.mdf"
    scan = replace(example_scan(), corrections=Corrections())
    words = ("study/name", "study/description", "experiment/name", "experiment/description")
    scanner = [f"scanner/{word}" for word in ("name", "facility", "manufacturer", "operator", "topology")]
    said = {f"/{word}": "a test" for word in (*words, "experiment/subject", *scanner)}
    numbers = {"/study/number": 1, "/experiment/number": 1, "/experiment/isSimulation": True}
    start = {"/acquisition/startTime": "2026-03-02T10:15:30.500"}
    write_scan(scan, path, contents=said | numbers | start)
    return path


@pytest.mark.parametrize("name", NOISE_MODELS)
def test_noise_models(name, empty_file):
    record = NOISE_MODELS[name]
    given = {"file": str(empty_file)} if name == "empirical" else {}
    found = check_extremes(record, record.options(**given))
    assert refused(found) <= NO_CLEAN_SIGNAL | NOISE_MAY_REFUSE.get(name, set())


@pytest.mark.parametrize("name", NOISE_MODELS)
def test_noise_models_fit_extreme_backgrounds(name):
    record = NOISE_MODELS[name]
    if record.fit is None:
        pytest.skip("cannot be fitted")
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for case, scan in EXTREMES.items():
            if case in NOT_FINITE:
                continue
            try:
                assert isinstance(record.fit(scan), record.options), case
                found[case] = "numbers"
            except MpikitError as error:
                found[case] = str(error)
    may_refuse = NO_BACKGROUND_TO_FIT | (set() if name == "gaussian" else set(FEW[:2]))
    assert refused(found) <= may_refuse


@pytest.mark.parametrize("case", NOT_FINITE)
def test_values_that_are_no_numbers_are_refused_with_their_place(case):
    scan = EXTREMES[case]
    index = scan.background_index if "background" in case else scan.foreground_index
    what = "background" if "background" in case else "signal"
    frame, channel = (index[0], 0) if "nothing" in case else (index[-1], 1)
    values = r"(a value that is no number|\d+ values that are no numbers)"
    words = rf"{what} has {values}, first in frame {frame} .*channel {channel}"
    for name in ("harmonic", "n2n"):
        offer = registry().denoiser(name)
        with pytest.raises(InputError, match=words):
            denoise_scan(scan, offer, options(name), run=Run(rng=np.random.default_rng(1)))


def scored(name, cases):
    """Denoise with all that a command does: parts kept back, scores, simple methods beside."""
    offer, found = registry().denoiser(name), {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for case in cases:
            try:
                done = denoise_scan(
                    EXTREMES[case], offer, options(name), run=Run(rng=np.random.default_rng(1))
                )
            except MpikitError as error:
                found[case] = str(error)
            else:
                assert np.isfinite(done.signal).all(), case
                assert done.signal.shape == EXTREMES[case].signal.shape
                found[case] = "numbers"
    return found


def test_scores_of_extreme_scans():
    assert refused(scored("harmonic", EXTREMES)) == NOTHING_TO_DENOISE


@pytest.mark.soak
@pytest.mark.parametrize("name", DENOISERS)
def test_scores_of_extreme_scans_of_all(name, figure):
    found = refused(scored(name, EXTREMES))
    assert found <= NOTHING_TO_DENOISE | MAY_REFUSE.get(name, set())
    figure(f"{name}, with scores: {len(EXTREMES) - len(found)} finite, {len(found)} refused")


def one_zero(values, axis):
    values = values.copy()
    values[(slice(None),) * axis + (3,)] = 0
    return values


def with_value(values, value):
    values = values.copy()
    values[2, 1] = value
    return values


MATRIX, DATA = system()
FINITE_SYSTEMS = {
    "usual": (MATRIX, DATA),
    "data of zeros": (MATRIX, 0 * DATA),
    "constant data": (MATRIX, np.ones_like(DATA)),
    "data of 1e-30": (MATRIX, DATA * np.float32(1e-30)),
    "data of 1e30": (MATRIX, DATA * np.float32(1e30)),
    "data of 1e38": (MATRIX, DATA * np.float32(1e36)),
    "data of 1e-12, of 1e30 and of zeros": (MATRIX, DATA * np.array([1e-12, 1e30, 0], np.float32)),
    "a matrix of 1e-30": (MATRIX * np.float32(1e-30), DATA),
    "a matrix of 1e30": (MATRIX * np.float32(1e30), DATA),
    "both of 1e-30": (MATRIX * np.float32(1e-30), DATA * np.float32(1e-30)),
    "both of 1e30": (MATRIX * np.float32(1e30), DATA * np.float32(1e30)),
    "both of 1e-12": (MATRIX * np.float32(1e-12), DATA * np.float32(1e-12)),
    "both of 1e30 in double precision": (MATRIX.astype(complex) * 1e30, DATA * 1e30),
    "a row of zeros": (one_zero(MATRIX, 0), DATA),
    "a voxel that is not seen": (one_zero(MATRIX, 1), DATA),
    "rows that are all the same": (np.repeat(MATRIX[:1], 30, axis=0), DATA),
    "one row": (MATRIX[:1], DATA[:1]),
    "real data of float16": (MATRIX, DATA.real.astype(np.float16)),
    "real data of float64": (MATRIX, DATA.real.astype(np.float64)),
    "integer data": (MATRIX, np.round(100 * DATA.real).astype(np.int16)),
    "a real matrix of float64": (MATRIX.real.astype(np.float64), DATA.real.astype(np.float64)),
    "an integer matrix": (np.round(9 * MATRIX.real).astype(np.int32), DATA),
}
REFUSED_SYSTEMS = {
    "no frame": (MATRIX, DATA[:, :0]),
    "a matrix of zeros": (0 * MATRIX, DATA),
    "no row": (MATRIX[:0], DATA[:0]),
    "no voxel": (MATRIX[:, :0], DATA),
    "NaN in the data": (MATRIX, with_value(DATA, np.nan)),
    "infinity in the data": (MATRIX, with_value(DATA, np.inf)),
    "NaN in the matrix": (with_value(MATRIX, np.nan), DATA),
    "infinity in the matrix": (with_value(MATRIX, -np.inf), DATA),
}


NO_ROW_IN_SINGLE_PRECISION = {
    f"{what} of {size}" for what in ("a matrix", "both") for size in ("1e-30", "1e30")
}
TOO_LARGE_INSIDE = {name: {"data of 1e38"} for name in SOLVERS if name.startswith(("cgls", "admm"))}


@pytest.mark.parametrize("name", SOLVERS)
def test_solvers(name):
    wrong, refusing = [], set()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for case, (matrix, data) in FINITE_SYSTEMS.items():
            try:
                images = SOLVERS[name](matrix, data)
            except MpikitError:
                refusing.add(case)
            except Exception as error:  # noqa: BLE001 - every one is a failure, told with its case
                wrong.append(f"{case}: {type(error).__name__}: {error}")
            else:
                if images.shape != (matrix.shape[1], data.shape[1]) or not np.isfinite(images).all():
                    wrong.append(f"{case}: shape {images.shape}, or not finite")
    assert not wrong, "\n".join(wrong)
    assert refusing <= NO_ROW_IN_SINGLE_PRECISION | TOO_LARGE_INSIDE.get(name, set())


@pytest.mark.parametrize("case", REFUSED_SYSTEMS)
@pytest.mark.parametrize("name", SOLVERS)
def test_solvers_refuse(name, case):
    with pytest.raises(MpikitError, match=r"\w+ \w+"):
        SOLVERS[name](*REFUSED_SYSTEMS[case])


def moving_point():
    """A field-free point that a 1-D drive field moves, 204 samples."""
    drive = DriveField(
        base_frequency=2.5e6,
        dividers=np.array([[102]]),
        amplitudes=np.full((1, 1, 1), 12e-3),
        phases=np.full((1, 1, 1), np.pi / 2),
        waveforms=np.array([["sine"]]),
    )
    selection = SelectionField(np.diag([-1.0, -1.0, 2.0])[None, None], np.zeros((1, 1, 3)))
    return trajectory(drive, selection, samples=204, sampling_rate=5e6)


def turning_line():
    """A field-free line at six angles, driven across itself."""
    angles = np.arange(6) * np.pi / 6
    across = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    up = np.array([0, 0, 1.0])
    gradient = 2 * (np.outer(up, up) - np.einsum("ja,jb->jab", across, across))
    drive = DriveField(
        base_frequency=2.5e6,
        dividers=np.full((3, 1), 102),
        amplitudes=0.02 * np.abs(across)[..., None],
        phases=np.where(across < 0, 1.5 * np.pi, np.pi / 2)[..., None],
        waveforms=np.full((3, 1), "sine"),
    )
    selection = SelectionField(gradient[:, None], np.zeros((6, 1, 3)))
    return line_scan(drive, selection, samples=204, sampling_rate=5e6)


def by_x_space(signal):
    return x_space(signal[:, 0], moving_point())[0]


def by_projections(signal):
    return back_projected(signal, turning_line())[0]


DIRECT = {"x-space": by_x_space, "fbp": by_projections}
SIGNAL = np.random.default_rng(3).normal(size=(2, 6, 3, 204))
SIGNALS = {
    "usual": SIGNAL,
    "zeros": 0 * SIGNAL,
    "constant": np.ones_like(SIGNAL),
    "1e-30": SIGNAL * 1e-30,
    "1e30": SIGNAL * 1e30,
    "1e30 in single precision": (SIGNAL * 1e30).astype(np.float32),
    "float16": SIGNAL.astype(np.float16),
    "integers": np.round(100 * SIGNAL).astype(np.int16),
}


@pytest.mark.parametrize("case", SIGNALS)
@pytest.mark.parametrize("name", DIRECT)
def test_images_without_a_matrix(name, case):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images = DIRECT[name](SIGNALS[case])
        assert np.isfinite(images).all()
        assert len(images) == 2
        assert bool(images.any()) == bool(SIGNALS[case].any())


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", DIRECT)
def test_images_without_a_matrix_refuse(name, value):
    broken = SIGNAL.copy()
    broken[1, 0, 0, 50] = value
    with pytest.raises(MpikitError, match=r"frame|finite"):
        DIRECT[name](broken)
