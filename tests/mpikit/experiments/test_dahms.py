"""The pieces, tables and remarks of Dahms et al."""

from __future__ import annotations

import numpy as np
import pytest

from mpikit.experiments import Outcome, Plan, Work
from mpikit.experiments.dahms_data import LADDER, PLACES, sample_levels
from mpikit.experiments.dahms_figures import FIGURE1, FIGURE2, FIGURE3, level_names
from mpikit.experiments.dahms_pieces import (
    BUDGETS,
    LIMIT,
    NOISY,
    REFERENCE,
    SINGLE,
    SUBTRACTED,
    TOGETHER,
    Trial,
    trial_piece,
)
from mpikit.experiments.dahms_rows import OURS, PENALTY, find, pieces_of, rows_of, seen_of
from mpikit.experiments.notes import DAHMS_CHOICES
from mpikit.experiments.published_dahms import ARTIFACTS, DENOISED
from mpikit.experiments.published_dahms import REFERENCE as PRINTED_REFERENCE
from mpikit.figures_experiments import as_png
from mpikit.options import parse_options
from mpikit.plugins import registry
from mpikit.simulate import preset

SMOKE, QUICK, FULL = (Plan(scale=scale) for scale in ("smoke", "quick", "full"))
FIGURES = (FIGURE1, FIGURE2, FIGURE3)


# --- pieces ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", [SMOKE, QUICK, FULL])
def test_all_figures_have_the_same_pieces_and_no_piece_is_there_twice(plan):
    keys = [[piece.key for piece in figure.pieces(plan)] for figure in FIGURES]
    assert keys[0] == keys[1] == keys[2]
    assert len(set(keys[0])) == len(keys[0])
    labels = [piece.label for piece in pieces_of(plan)]
    assert len(set(labels)) == len(labels)


def test_what_a_scale_trains():
    def trained(plan):
        found = [piece.settings for piece in pieces_of(plan) if piece.settings["method"] in (OURS, PENALTY)]
        return [(each["method"], each["options"]["preset"], each["options"]["steps"]) for each in found]

    usual = parse_options(registry().denoiser(OURS).record, ()).steps
    assert trained(QUICK) == [(OURS, "mpikit", usual), (PENALTY, "mpikit", usual)]
    assert trained(FULL) == [
        *[(OURS, "paper", 40_000)] * 5,
        *[(OURS, "mpikit", 2 * usual)] * 5,
        *[(PENALTY, "mpikit", 2 * usual)] * 5,
    ]
    methods = [piece.settings["method"] for piece in pieces_of(QUICK)]
    assert methods[-2:] == [OURS, PENALTY]  # minutes after seconds
    assert all(piece.settings["noise"] == list(preset("dahms2026").noise) for piece in pieces_of(QUICK))


@pytest.mark.parametrize("budget", BUDGETS.values())
def test_every_image_has_its_ten_periods(budget):
    assert budget.judged % 10 == budget.blanks % 10 == 0
    assert budget.judged <= budget.periods
    assert budget.blanks <= budget.periods // 2


def test_strangers_have_a_row_of_their_own_and_known_methods_none_twice(installed, good_plugin):
    installed("mine", good_plugin)
    plan = Plan(scale="smoke", methods=("box", "low-rank", "wgan-gp"))
    labels = [row.label for row in rows_of(plan)]
    assert labels.count("box") == labels.count("low-rank") == 1
    assert next(row.kind for row in rows_of(plan) if row.label == "box") == "yours"


def test_methods_that_train_nothing(installed, good_plugin):
    installed("mine", good_plugin)
    found = {}
    for method in (NOISY, "box", SUBTRACTED, "average", REFERENCE, LIMIT):
        found[method] = trial_piece(SMOKE, Trial(method=method, label=method)).work(Work())
    values = {method: outcome.values[SINGLE] for method, outcome in found.items()}
    assert values[NOISY] == values["box"]  # what changes nothing is as good as nothing
    assert all(TOGETHER not in outcome.values for outcome in found.values())
    for method in (NOISY, "average", REFERENCE):
        assert len(values[method]["errors_mm"]) == 50
        assert np.shape(values[method]["grid_mm"]) == (7, 6)
        assert len(values[method]["projected"]) == len(LADDER) * len(PLACES)
        assert found[method].arrays["single_images"].shape == (5, 27)
    # the harmonics of a mean of ten periods are the means of their harmonics
    np.testing.assert_allclose(values["average"]["errors_mm"], values[SUBTRACTED]["errors_mm"], atol=1e-6)
    assert max(values["average"]["spread"]) < max(values[SUBTRACTED]["spread"])
    assert np.mean(values[LIMIT]["errors_mm"]) < np.mean(values[SUBTRACTED]["errors_mm"])
    assert set(values[LIMIT]) == {"errors_mm", "deviation_mm", "failed"}
    assert values[REFERENCE]["dose"]["slope"] == pytest.approx(1, abs=0.02)
    assert values[REFERENCE]["dose"]["gain_above"] == 1


@pytest.mark.slow
def test_a_network_is_judged_in_two_ways():
    trial = next(row for row in rows_of(SMOKE) if row.label == "wgan-sn (mpikit)").trials[0]
    told = []
    outcome = trial_piece(SMOKE, trial).work(Work(tell=told.append))
    assert set(outcome.values) == {SINGLE, TOGETHER}
    assert outcome.values[SINGLE]["errors_mm"] != outcome.values[TOGETHER]["errors_mm"]
    assert set(outcome.arrays) == {"single_images", "together_images"}
    assert told


# --- tables and remarks ----------------------------------------------------------------------------------


def values_of(error, *, spread=1.0, limit=LADDER[8], gain=0.95, low=None):
    """Values of a row: errors that grow with the place, a grid around them, a proportional series."""
    errors = error * np.linspace(0.9, 1.1, 50).reshape(10, 5).T.ravel()
    if low is not None:
        errors = np.repeat([low, 0.0], [20, 30])
    doses = np.repeat(LADDER, 3)
    dose = {"gain": 0.9, "gain_above": gain, "levels": 0, "claimed": limit, "failures": "", "verified": limit}
    if limit is not None:
        dose |= {"slope": 1.01, "r2": 0.999, "detected": 0.97, "false_positives": 0.04}
    return {
        "errors_mm": errors.tolist(),
        "deviation_mm": 2.0 * error,
        "failed": 0.0,
        "grid_mm": (error + spread * np.linspace(-1, 1, 42).reshape(7, 6)).tolist(),
        "projected": doses.tolist(),
        "spread": (0.1 * doses).tolist(),
        "magnitude": (doses + 2 * LADDER[0]).tolist(),
        "dose": dose,
    }


IMAGES = {f"{way}_images": np.eye(5, 27, dtype=np.float32) for way in (SINGLE, TOGETHER)}


def outcomes_of(plan, given):
    """Outcomes by key; of several trainings of a row each has an error 0.1 mm larger than the one before."""
    found = {}
    for row in rows_of(plan):
        for trial in row.trials:
            if trial.method not in given:
                continue
            error = given[trial.method] + 0.1 * trial.training
            values = {SINGLE: values_of(error, spread=error), TOGETHER: values_of(error / 2, spread=error)}
            if trial.method == LIMIT:
                values = {SINGLE: {"errors_mm": [error] * 50, "deviation_mm": 1.0, "failed": 0.0}}
            outcome = Outcome(values, IMAGES, {"fit_seconds": 12.0})
            found[trial_piece(plan, trial).key] = outcome
    return found


GIVEN = {NOISY: 3.5, REFERENCE: 3.0, SUBTRACTED: 2.2, "low-rank": 2.1, OURS: 2.4, PENALTY: 2.6, LIMIT: 1.4}


def lines_of(findings):
    [table] = findings.tables
    return {line.label: line for line in table.lines}


def test_position_errors_beside_the_paper():
    lines = lines_of(FIGURE2.join(QUICK, outcomes_of(QUICK, GIVEN)))
    reference, ours = lines[REFERENCE].cells, lines["wgan-sn (mpikit)"].cells
    assert (reference["PE"].paper, reference["sd"].paper) == (2.78, 3.44)
    assert (ours["PE"].paper, ours["sd"].paper) == (1.87, 2.12)
    assert ours["of the reference"].paper == pytest.approx(0.673, abs=1e-3)
    assert reference["PE"].value == pytest.approx(3.0)
    assert reference["sd"].value == pytest.approx(6.0)
    assert reference["of the reference"].value == 1
    assert ours["of the reference"].value == pytest.approx(0.8)
    assert reference["PE"].count == 50
    assert reference["PE"].low < 3 < reference["PE"].high
    assert all(
        line.cells["PE"].paper is None
        for label, line in lines.items()
        if label not in (REFERENCE, "wgan-sn (mpikit)")
    )
    assert lines["wgan-sn (mpikit), of the mean"].cells["PE"].value == pytest.approx(1.2)
    assert lines["wgan-sn (mpikit), of the mean"].kind == "ours"
    assert lines["wgan-sn (mpikit)"].note.endswith(" steps")
    assert lines[LIMIT].kind == "limit"


def test_each_concentration_has_a_column():
    values = values_of(1.0)
    values["errors_mm"] = np.repeat([5.0, 4.0, 3.0, 2.0, 1.0], 10).tolist()
    key = trial_piece(QUICK, Trial(method=NOISY, label=NOISY)).key
    cells = lines_of(FIGURE2.join(QUICK, {key: Outcome({SINGLE: values}, IMAGES)}))[NOISY].cells
    assert level_names() == ["0.085 µg/mL", "0.85 µg/mL", "8.5 µg/mL", "85 µg/mL", "850 µg/mL"]
    assert [cells[name].value for name in level_names()] == [5, 4, 3, 2, 1]
    assert cells["of the reference"].value is None


def test_remarks_of_positions_come_from_the_values():
    remarks = " ".join(FIGURE2.join(QUICK, outcomes_of(QUICK, GIVEN)).remarks)
    assert (
        "wgan-sn (mpikit) from single periods: 2.40 ± 4.80 mm, 0.80 times the reference (3.00 ± 6.00 mm)"
        in remarks
    )
    assert "gains less than in the paper" in remarks
    assert "low-rank (2.10 mm): +0.30 mm" in remarks
    assert "over the samples), worse" in remarks
    assert "not in the paper: 1.20 mm" in remarks
    assert "over the samples), better" in remarks
    assert "has 1.40 mm from ten periods" in remarks
    assert "scale quick" in remarks
    good = " ".join(FIGURE2.join(QUICK, outcomes_of(QUICK, GIVEN | {OURS: 1.8})).remarks)
    assert "gains as much as in the paper" in good
    bad = " ".join(FIGURE2.join(QUICK, outcomes_of(QUICK, GIVEN | {OURS: 3.3})).remarks)
    assert "loses, other than in the paper" in bad


def test_where_the_error_comes_from():
    given = outcomes_of(QUICK, GIVEN)
    values = values_of(3.0, low=7.5)
    given[trial_piece(QUICK, Trial(method=REFERENCE, label=REFERENCE)).key] = Outcome(
        {SINGLE: values}, IMAGES
    )
    remarks = " ".join(FIGURE2.join(QUICK, given).remarks)
    assert "below 8.5 µg/mL make 100 % of the error of the reference; at 8.5 µg/mL" in remarks
    assert "it is 0.00 mm here" in remarks


def test_several_trainings_are_one_row():
    outcomes = outcomes_of(FULL, GIVEN)
    seen = find(seen_of(FULL, outcomes), "wgan-sn (mpikit)")
    assert seen.error_mm == pytest.approx(2.6)
    assert seen.each_error_mm == pytest.approx([2.4, 2.5, 2.6, 2.7, 2.8])
    findings = FIGURE2.join(FULL, outcomes)
    line = lines_of(findings)["wgan-sn (mpikit)"]
    assert line.note == "1600 steps; 5 trainings; 2.40 to 2.80 mm"
    assert line.cells["PE"].count == 50
    spread = [words for words in findings.remarks if "5 trainings" in words]
    assert len(spread) == 2
    assert "standard deviation 0.158 mm; 0 of them lost the signal" in spread[0]
    assert not any("scale full" in words for words in findings.remarks)


def test_the_spread_over_settings():
    findings = FIGURE3.join(QUICK, outcomes_of(QUICK, GIVEN))
    lines = lines_of(findings)
    assert LIMIT not in lines
    deviation = np.linspace(-1, 1, 42).std(ddof=1)
    assert lines[REFERENCE].cells["spread"].value == pytest.approx(3 * deviation)
    assert lines["wgan-sn (mpikit)"].cells["of the reference"].value == pytest.approx(0.8)
    assert lines[REFERENCE].cells["lowest"].value == pytest.approx(0)
    assert lines[REFERENCE].cells["highest"].value == pytest.approx(6)
    first, least, _ = findings.remarks
    assert "less than that of the reference" in first
    assert "0.80 times. That agrees with the paper" in first
    assert least.startswith("low-rank depends least")
    worse = FIGURE3.join(QUICK, outcomes_of(QUICK, GIVEN | {OURS: 3.3})).remarks[0]
    assert "not less than" in worse
    assert "differs from the paper" in worse


def test_amplitudes_and_limits():
    outcomes = outcomes_of(QUICK, GIVEN)
    key = trial_piece(
        QUICK, next(row for row in rows_of(QUICK) if row.label == "wgan-sn (mpikit)").trials[0]
    ).key
    weak = values_of(2.4, limit=None, gain=0.6)
    outcomes[key] = Outcome(
        {SINGLE: weak, TOGETHER: values_of(1.2, limit=LADDER[4])}, IMAGES, {"fit_seconds": 1.0}
    )
    findings = FIGURE1.join(QUICK, outcomes)
    lines = lines_of(findings)
    cells = lines["low-rank"].cells
    assert cells["verified limit"].value == pytest.approx(8.5, rel=1e-4)
    assert (cells["slope"].value, cells["R²"].value) == (1.01, 0.999)
    assert (cells["detected"].value, cells["false"].value) == pytest.approx((97, 4))
    assert lines["wgan-sn (mpikit)"].cells["verified limit"].value is None
    assert "ten periods are one" in lines["wgan-sn (mpikit), of the mean"].note
    assert "ten periods are one" not in lines["wgan-sn (mpikit)"].note
    assert LIMIT not in lines
    remarks = " ".join(findings.remarks)
    assert (
        "wgan-sn (mpikit) drops, as in the paper: 0.60 times the right one comes out, and 0.90 times"
        in remarks
    )
    assert "No detection limit of wgan-sn (mpikit) holds" in remarks
    assert "8.5 µg/mL, of background subtracted and low-rank and wgan-gp (mpikit)" in remarks
    assert "is 3 times the amplitude of the reference" in remarks


def test_a_network_that_keeps_amplitudes_differs_from_the_papers():
    remarks = " ".join(FIGURE1.join(QUICK, outcomes_of(QUICK, GIVEN)).remarks)
    assert "does not drop, other than in the paper: 0.95 times" in remarks
    assert (
        "holds from 8.5 µg/mL on; above it the slope of the logarithms is 1.010 with R² = 0.9990" in remarks
    )


@pytest.mark.parametrize("figure", FIGURES)
def test_drawings(figure):
    drawings = figure.join(QUICK, outcomes_of(QUICK, GIVEN)).drawings
    assert drawings[0].name == figure.name
    assert all(" " not in drawing.name for drawing in drawings)
    for drawing in drawings:
        assert as_png(drawing.draw()).startswith(b"\x89PNG")


@pytest.mark.parametrize("figure", FIGURES)
def test_what_failed_leaves_the_rest(figure):
    findings = figure.join(QUICK, outcomes_of(QUICK, {NOISY: 3.0, "low-rank": 2.0}))
    assert list(lines_of(findings)) == [NOISY, "low-rank"]
    nothing = figure.join(QUICK, {})
    assert (nothing.drawings, nothing.remarks, nothing.tables[0].lines) == ((), (), ())


# --- what is printed, and what is not --------------------------------------------------------------------


def test_the_sentence_of_the_paper():
    assert DENOISED.mean / PRINTED_REFERENCE.mean == pytest.approx(0.67, abs=0.005)
    assert ARTIFACTS in [pytest.approx(float(name.split()[0])) for name in level_names()]
    assert len(sample_levels()) == 5


def test_choices_are_those_of_the_options():
    ours = {choice.what: choice.ours for choice in DAHMS_CHOICES}
    mpikit, paper = (
        parse_options(registry().denoiser(OURS).record, given) for given in ((), ("preset=paper",))
    )
    penalty = parse_options(registry().denoiser(PENALTY).record, ())
    assert f"{paper.bottleneck} numbers wide, {paper.features} features" in ours["generator"]
    assert f"{mpikit.bottleneck} wide with {mpikit.features} features" in ours["generator"]
    for each in (paper, mpikit):
        sizes = f"{each.critic_depth} layers of {each.critic_features} to {each.critic_widest}"
        assert sizes in ours["critics"]
        assert str(each.batch) in ours["batch"]
        assert str(each.steps) in ours["steps"]
        assert each.critic_updates == penalty.critic_updates == 1
        assert each.divide == "noise"
    assert "length 7" in ours["critics"]
    assert mpikit.critic_kernel == paper.critic_kernel == 7
    assert (paper.learning_rate, mpikit.learning_rate, mpikit.critic_learning_rate) == (2e-4, 2e-3, 4e-3)
    assert all(
        rate in ours["optimiser"]
        for rate in ("paper: 2e-4", "2e-3 for the", "4e-3 for the critics", "1e-3 for both")
    )
    assert penalty.learning_rate == penalty.critic_learning_rate == 1e-3
    assert f"decay of {mpikit.ema}" in ours["optimiser"]
    assert mpikit.condition
    assert not paper.condition
    full = BUDGETS["full"]
    assert full.mpikit == ("steps=1600",)
    assert full.paper == ("steps=40000",)
    assert all(words in ours["steps"] for words in ("full 40,000", "full 1600"))
