"""Pictures of a comparison and of a training."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from mpikit import figures_compare
from mpikit.compare import Comparison, Gain, Row, TrueScore
from mpikit.errors import InputError
from mpikit.judging import Score
from mpikit.metrics import Interval, ReferenceFree
from mpikit.training_log import BOUND


def interval(mean, low, high):
    return Interval(mean, low, high, 0.95, 9)


def comparison(*rows):
    return Comparison("scan.mdf", Row("noisy"), rows, (), True, "", 0, "cpu")


def score(gain, low, high):
    return TrueScore(interval(20, 19, 21), interval(gain, low, high), 20.0, 20.0, 1.0)


def drawn(*rows):
    return figures_compare._draw_comparison(comparison(*rows)).axes[0]


def test_each_method_is_a_bar_with_its_error_bar():
    axes = drawn(
        Row("best", gain=Gain(9.0, 0.5, False), true=score(8.0, 7.5, 8.75)),
        Row("bound", gain=Gain(7.0, None, True), periods_used=12),
        Row("bad", error="it broke"),
    )
    assert [bar.get_width() for bar in axes.patches] == [9, 7]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["best (1 period)", "bound (12 periods)"]
    spans = [[float(x) for x, _ in path.vertices] for each in axes.collections for path in each.get_paths()]
    assert [9 - 1.96 * 0.5, 9 + 1.96 * 0.5] in [pytest.approx(span) for span in spans]
    assert [7.5, 8.75] in [pytest.approx(span) for span in spans]
    arrows = [line for line in axes.lines if line.get_marker() == ">"]
    assert [float(line.get_xdata()[0]) for line in arrows] == [7]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the best is on top
    assert {text.get_text() for text in axes.get_legend().get_texts()} == {
        "without a reference",
        "with the reference",
    }


def test_rows_without_figures_are_drawn_too(tmp_path):
    nan = float("nan")
    rows = (Row("a"), Row("b", true=score(3.0, nan, nan)), Row("c", gain=Gain(np.inf, None, False)))
    for index, given in enumerate((rows, (), (Row("bad", error="it broke"),))):
        figures_compare.save_comparison(tmp_path / f"{index}.png", comparison(*given))
        assert (tmp_path / f"{index}.png").stat().st_size > 0


@pytest.mark.parametrize("bounds", [(True, False), (False, True)])
def test_the_arrow_is_that_of_the_gain(bounds):
    """Not of the score: its SNR may be a bound where the gain is not one."""
    score = Score("a", ReferenceFree(0.02, 0.015, 1.0), 1)
    axes = drawn(*(Row(str(is_bound), score=score, gain=Gain(5.0, None, is_bound)) for is_bound in bounds))
    arrows = [line for line in axes.lines if line.get_marker() == ">"]
    assert [float(line.get_ydata()[0]) for line in arrows] == [bounds.index(True)]


LOG = [
    {
        "step": step,
        "total": 40,
        "seconds": 0.1 * step,
        "loss": 1 / step,
        "SNR": None if step == 10 else 5.0 + step,
    }
    for step in (10, 20, 40)
]


def test_each_figure_of_a_training_has_its_panel():
    panels = figures_compare._draw_training(LOG, "net").axes
    assert [axes.get_ylabel() for axes in panels] == ["loss", "SNR"]
    assert panels[-1].get_xlabel() == "step"
    np.testing.assert_array_equal(panels[0].lines[0].get_xdata(), [10, 20, 40])
    np.testing.assert_array_equal(panels[1].lines[0].get_xdata(), [20, 40])
    np.testing.assert_array_equal(panels[1].lines[0].get_ydata(), [25, 45])
    (only,) = figures_compare._draw_training([{"step": 1, "total": 1, "seconds": 0.5}], "net").axes
    assert only.get_ylabel() == "seconds"


def test_lower_bounds_are_marked():
    marked = [row | {f"SNR{BOUND}": row["step"] != 20} for row in LOG]
    panels = figures_compare._draw_training(marked, "net").axes
    assert [axes.get_ylabel() for axes in panels] == ["loss", "SNR"]
    assert [len(axes.lines) for axes in panels] == [1, 2]
    assert (panels[1].lines[1].get_marker(), list(panels[1].lines[1].get_xdata())) == ("^", [40])


def test_a_training_is_written_as_a_small_picture(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # its import would fail
    path = tmp_path / "training.png"
    figures_compare.save_training(path, LOG, title="net")
    with Image.open(path) as image:
        assert image.size == (600, 450)
    assert path.stat().st_size < 60_000
    with pytest.raises(InputError, match="exists already"):
        figures_compare.save_training(path, LOG, title="net")
