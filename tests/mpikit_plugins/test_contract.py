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
SHORT = {"unet-gd": {"steps": 4, "features": 3, "evaluate_every": 2}}


def test_the_entry_points_offer_them_all():
    assert set(OURS) == {"average", "harmonic", "unet-gd"}
    assert [failure.text for failure in registry().failures if failure.distribution == "mpikit"] == []
    assert [name for name, record in OURS.items() if record.learned] == ["unet-gd"]
    assert [name for name, record in OURS.items() if record.pools] == ["average"]


@pytest.mark.parametrize("name", OURS)
def test_frames_that_repeat(name):
    check_denoiser(OURS[name], OURS[name].options(**SHORT.get(name, {})))


@pytest.mark.parametrize("name", OURS)
def test_periods_that_repeat(name):
    scan = example_scan(frames=3, periods=5, repeats="periods", background_frames=1)
    check_denoiser(OURS[name], OURS[name].options(**SHORT.get(name, {})), scan)


def test_unet_with_the_preset_of_the_paper():
    options = OURS["unet-gd"].options(
        preset="paper", epochs=1, features=3, evaluate_every=2, learning_rate=1e-2
    )
    check_denoiser(OURS["unet-gd"], options)


def test_the_filter_without_background_and_symmetry():
    record = OURS["harmonic"]
    check_denoiser(record, record.options(background="keep", symmetry="off", false_alarm=0.2))
    check_denoiser(record, record.options(symmetry="exact"))
