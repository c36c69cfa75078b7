"""The page on the symmetry and the limit: what its text says is what its figures show."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "plot_symmetry.py"


@pytest.mark.slow
def test_what_the_page_says(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPIKIT_FAST", "1")
    monkeypatch.setenv("MPLBACKEND", "agg")
    page = runpy.run_path(str(PAGE))
    from matplotlib import pyplot as plt

    plt.close("all")
    printed = capsys.readouterr().out
    assert "17 : 16, sines                 no symmetry" in printed
    assert "symmetry=exact: the scan is not odd" in printed

    signal, noisy = page["signal"], page["noisy"]
    odd, even = page["split"](noisy)
    np.testing.assert_allclose(page["split"](signal)[1], 0, atol=1e-12 * np.abs(signal).max())
    np.testing.assert_allclose(odd + even, noisy)

    fitted, late = page["fitted"], page["late_clean"]
    assert page["lost"](fitted.symmetry, late) > page["lost"](page["ideal"], late) + 20
    strongest = 5  # the fundamental of x, 2.5 kHz
    assert abs(page["angles"][strongest] - page["exact"][strongest]) < 3
    used = page["used"]
    assert page["seen"][used].sum() == pytest.approx(page["true"][used].sum(), rel=0.05)

    rows = {name: found[0] for name, found in page["rows"].items()}
    assert rows["symmetry"] - rows["noisy"] == pytest.approx(10 * np.log10(2), abs=0.1)
    assert rows["noisy"] + 20 < rows["harmonic"] < rows["wiener"] < rows["low-rank"]
    assert rows["oracle"] - 2 < rows["low-rank"] < rows["oracle"] + 0.1
    assert rows["oracle"] - 2 < rows["harmonic-n2n"] < rows["oracle"] + 0.1
