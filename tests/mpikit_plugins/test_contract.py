"""Every denoiser that mpikit brings keeps the contract of a plugin."""

from __future__ import annotations

import pytest

from mpikit.plugins import registry
from mpikit.testing import check_denoiser, example_scan

OURS = {
    name: offer.record
    for name, offers in registry().denoisers.items()
    for offer in offers
    if offer.distribution == "mpikit"
}
LEARNED = ("n2n", "r2r", "unet-gd", "wgan-gp", "wgan-sn")
SHORT = {name: {"steps": 4, "features": 3, "evaluate_every": 2} for name in LEARNED}
SHORT["wgan-sn"] |= {"critic_features": 4, "critic_widest": 8}
SHORT["wgan-gp"] |= SHORT["wgan-sn"] | {"critic_updates": 2}


def test_the_entry_points_offer_them_all():
    classic = {"average", "background-subtraction", "wavelet", "savgol"}
    on_lines = {"harmonic", "symmetry", "wiener", "low-rank", "mp-pca", "harmonic-n2n"}
    assert classic | on_lines | set(LEARNED) <= set(OURS)
    assert [failure.text for failure in registry().failures if failure.distribution == "mpikit"] == []
    assert sorted(name for name, record in OURS.items() if record.learned) == sorted(LEARNED)
    assert sorted(name for name, record in OURS.items() if record.pools) == ["average", "mp-pca"]


@pytest.mark.parametrize("name", OURS)
def test_frames_that_repeat(name):
    check_denoiser(OURS[name], OURS[name].options(**SHORT.get(name, {})))


@pytest.mark.parametrize("name", OURS)
def test_periods_that_repeat(name):
    scan = example_scan(frames=3, periods=5, repeats="periods", background_frames=1)
    check_denoiser(OURS[name], OURS[name].options(**SHORT.get(name, {})), scan)


@pytest.mark.parametrize("name", LEARNED)
def test_the_presets_of_the_paper(name):
    short = {"epochs": 1, "features": 3, "evaluate_every": 2, "learning_rate": 1e-2}
    if name == "r2r":
        short["draws"] = 2
    check_denoiser(OURS[name], OURS[name].options(preset="paper", **short))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("unet-gd", {"odd": True, "up": "linear", "ema": 0.9}),
        ("n2n", {"pairs": "subset", "loss": "huber", "residual": False}),
        ("n2n", {"pairs": "mean", "scale": "peak"}),
        ("r2r", {"noise": "white", "level": "period", "draws": 0}),
    ],
)
def test_other_options_of_the_learned_methods(name, options):
    check_denoiser(OURS[name], OURS[name].options(**SHORT[name], **options))


def test_r2r_needs_no_repeats():
    scan = example_scan(frames=7, periods=2, repeats="none", background_frames=0)
    check_denoiser(OURS["r2r"], OURS["r2r"].options(**SHORT["r2r"]), scan)


def test_the_filter_without_background_and_symmetry():
    record = OURS["harmonic"]
    check_denoiser(record, record.options(background="keep", symmetry="off", false_alarm=0.2))
    check_denoiser(record, record.options(symmetry="exact"))
