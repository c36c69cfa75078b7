"""Images of a report, and the choice of λ."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mdf import Grid
from mpikit.errors import InputError
from mpikit.reconstruct.choosing import Choice, Curve
from mpikit.reconstruct.stored import TRACERS
from mpikit.report.blocks import Facts, Picture, Words
from mpikit.report.images import image_sections, lambda_section, read_pictured

from .conftest import GRID, write_reconstruction


def facts(section):
    return dict(row for block in section.blocks if isinstance(block, Facts) for row in block.rows)


def figures(section):
    return [block.figure for block in section.blocks if isinstance(block, Picture)]


def values(rng, count=1):
    return rng.random((count, 1, 4, 5))


def test_before_and_after_have_one_scale_and_a_difference(rng, tmp_path):
    one, other = values(rng), 2 * values(rng)
    pair = [
        read_pictured(write_reconstruction(tmp_path / f"{name}.mdf", each))
        for name, each in (("a", one), ("b", other))
    ]
    [section] = image_sections(pair[1], pair[0])
    both, difference = figures(section)
    drawn = [axes.images[0] for axes in both.axes[:2]]
    top = max(one.max(), other.max())
    for image, given in zip(drawn, (one, other), strict=True):
        np.testing.assert_allclose(image.get_array(), given[0, 0], rtol=1e-6)
        assert image.get_clim() == (0, pytest.approx(top))
        np.testing.assert_allclose(image.get_extent(), [-4, 6, -4, 4])  # mm
    assert both.axes[2].get_ylabel() == "value as stored"
    change = (other - one)[0, 0]
    np.testing.assert_allclose(difference.axes[0].images[0].get_array(), change, rtol=1e-5, atol=1e-7)
    low, high = difference.axes[0].images[0].get_clim()
    assert low == -high == pytest.approx(-np.abs(change).max())
    norm = 100 * np.linalg.norm(change) / np.linalg.norm(one)
    assert (
        facts(section)["difference"] == f"{norm:.3g} % of the norm before; largest {np.abs(change).max():.3g}"
    )


def test_a_volume_has_three_views_and_its_difference_keeps_the_sign(tmp_path):
    grid = Grid(np.array([5, 4, 3]), np.array([0.010, 0.008, 0.006]), np.zeros(3))
    one, other = np.zeros((1, 3, 4, 5)), np.zeros((1, 3, 4, 5))
    one[0, 2, 1, 3], other[0, 0, 1, 3] = 2, 1
    pair = [
        read_pictured(write_reconstruction(tmp_path / f"{name}.mdf", each, grid=grid))
        for name, each in (("a", one), ("b", other))
    ]
    [section] = image_sections(pair[1], pair[0])
    both, difference = figures(section)
    assert len(both.axes) == 7
    shapes = [axes.images[0].get_array().shape for axes in difference.axes[:3]]
    assert shapes == [(4, 5), (3, 5), (3, 4)]
    assert difference.axes[0].images[0].get_array()[1, 3] == -2
    assert difference.axes[1].images[0].get_array()[:, 3].tolist() == [1, 0, -2]


def test_the_peak_is_where_it_is(tmp_path):
    images = np.zeros((2, 1, 4, 5))
    images[:, 0, 3, 1] = 4, 6
    [section] = image_sections(read_pictured(write_reconstruction(tmp_path / "a.mdf", images)))
    assert facts(section)["peak"] == "5 at x -1, y 3, z 0 mm"
    assert len(figures(section)) == 2  # the images, and the last minus the first


def test_images_on_other_grids_are_not_compared(rng, tmp_path):
    one = read_pictured(write_reconstruction(tmp_path / "a.mdf", values(rng)))
    wide = Grid(GRID.size, 2 * GRID.field_of_view, GRID.center)
    other = read_pictured(write_reconstruction(tmp_path / "b.mdf", values(rng), grid=wide))
    with pytest.raises(InputError, match=r"a\.mdf and b\.mdf are on different grids"):
        image_sections(other, one)


def test_tracers_are_named(rng, tmp_path):
    path = write_reconstruction(tmp_path / "a.mdf", values(rng), **{TRACERS: np.array(["perimag"])})
    assert read_pictured(path).tracers == ("",)  # of one tracer nothing has to be told apart


def test_images_without_numbers_are_not_drawn(rng, tmp_path):
    broken = values(rng)
    broken[0, 0, 1, 1] = np.nan
    [section] = image_sections(read_pictured(write_reconstruction(tmp_path / "a.mdf", broken)))
    [words] = [block for block in section.blocks if isinstance(block, Words)]
    assert "no numbers" in words.text


def test_a_measurement_has_no_images(made):
    with pytest.raises(InputError, match=r"scan\.mdf has no images"):
        read_pictured(made / "scan.mdf")


def choice_of(criterion):
    lambdas = np.geomspace(1e-4, 10, 6)
    curve = Curve(lambdas, 2 + lambdas, 1 / (1 + lambdas), 3 + lambdas**2, np.full(6, np.nan))
    return Choice(criterion, 0.25, 3.0, curve, 2.5, "because <b>", ("not kept",))


@pytest.mark.parametrize("criterion", ["gcv", "discrepancy", "l-curve"])
def test_the_lambda_and_its_curve(criterion):
    kept = json.loads(json.dumps(choice_of(criterion).as_json()))
    record = {"command": "reconstruct", "lambda": {"relative": 0.25, "absolute": 3, "choice": kept}}
    section = lambda_section([record])
    assert facts(section) == {"relative λ": "0.25", "absolute λ": "3", "chosen by": "because <b>"}
    [axes] = section.blocks[-1].figure.axes
    assert criterion in axes.get_title()
    again = Choice.from_json(kept)
    np.testing.assert_allclose(again.curve.residuals, choice_of(criterion).curve.residuals, rtol=1e-5)
    assert np.isnan(again.curve.curvature).all()


@pytest.mark.parametrize(
    "broken",
    [
        {"curve": {}},
        {"criterion": "dice"},
        {"relative": -1},
        {"relative": None},
        {"target": []},
        {"curve": {**choice_of("gcv").as_json()["curve"], "lambdas": [1, 2]}},
        {"curve": {**choice_of("gcv").as_json()["curve"], "lambdas": [6, 5, 4, 3, 2, 1]}},
        {"curve": {**choice_of("gcv").as_json()["curve"], "residuals": [0, 1, 2, 3, 4, 5]}},
        {"curve": {**choice_of("gcv").as_json()["curve"], "solutions": ["x"] * 6}},
    ],
)
def test_a_choice_that_is_not_ours_is_left_out(broken):
    kept = {**choice_of("gcv").as_json(), **broken}
    with pytest.raises(ValueError, match=r"lambda|convert"):
        Choice.from_json(kept)
    section = lambda_section([{"command": "reconstruct", "lambda": {"relative": 0.25, "choice": kept}}])
    assert [type(block) for block in section.blocks] == [Facts]
    assert lambda_section([{"command": "reconstruct", "lambda": {"choice": []}}]).blocks == [Facts([])]


@pytest.mark.parametrize(
    "told", [[], [{"command": "reconstruct"}], [{"command": "reconstruct", "lambda": 3}]]
)
def test_without_a_lambda_there_is_no_section(told):
    assert lambda_section(told) is None
