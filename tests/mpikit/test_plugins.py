"""Using what the plugins offer: names, blame, noise from text."""

from __future__ import annotations

import numpy as np
import pytest

from mdf.errors import MdfError
from mpikit import Denoiser, NoiseModel, Options
from mpikit.errors import InputError, PluginError, UsageError
from mpikit.plugins import Failure, Offer, Registry, load, parse_noise


@pytest.fixture
def record():
    return Denoiser(name="unet-gd", summary="Something", build=dict)


@pytest.fixture
def found(record):
    return Registry(denoisers={"unet-gd": [Offer(record, "unet", "mpikit")]})


def test_a_name_gives_its_offer(found, record):
    assert found.denoiser("unet-gd").record is record


def test_an_unknown_name_says_what_there_is(found):
    with pytest.raises(PluginError, match="no method is called 'unetgd'") as caught:
        found.denoiser("unetgd")
    assert caught.value.hint == "did you mean 'unet-gd'? there are unet-gd"


def test_an_unknown_name_points_to_failed_plugins(found):
    found.failures.append(Failure("gone", "gone", "import", ImportError("no")))
    with pytest.raises(PluginError) as caught:
        found.denoiser("wavelet")
    assert "mpikit plugins list" in caught.value.hint


def test_no_plugins_at_all():
    nothing = load([])
    assert (nothing.denoisers, nothing.noise_models, nothing.failures) == ({}, {}, [])
    with pytest.raises(PluginError, match="no noise model is called 'gaussian'") as caught:
        nothing.noise_model("gaussian")
    assert caught.value.hint == "none is installed"


def test_a_failure_is_one_line():
    failure = Failure("odd", "odd", "call", ValueError("two\n  lines"))
    assert failure.text == "call failed: ValueError: two lines"


def test_an_error_in_a_strangers_code_names_the_distribution(record):
    offer = Offer(record, "box", "mpikit-box")
    with pytest.raises(PluginError, match="'unet-gd' of mpikit-box failed") as caught, offer.blamed():
        _ = 1 / 0
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_error_in_our_own_code_stays_a_bug(record):
    with pytest.raises(ZeroDivisionError), Offer(record, "unet", "mpikit").blamed():
        _ = 1 / 0


@pytest.mark.parametrize("error", [InputError("no frames"), MdfError("no file"), KeyboardInterrupt()])
def test_an_error_of_the_user_is_passed_on(record, error):
    with pytest.raises(type(error)), Offer(record, "box", "mpikit-box").blamed():
        raise error


class HumOptions(Options):
    level: float = 1.0
    lines: tuple[int, ...] = (3,)


class Hum:
    def __init__(self, options):
        self.options = options

    def __call__(self, clean, /, **_):
        return np.full_like(clean, self.options.level)


@pytest.fixture
def hum(monkeypatch):
    model = NoiseModel(name="hum", summary="A constant", options=HumOptions, build=Hum)
    found = Registry(noise_models={"hum": [Offer(model, "hum", "mpikit-hum")]})
    monkeypatch.setattr("mpikit.plugins.registry", lambda: found)


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("hum", HumOptions()),
        ("hum:", HumOptions()),
        ("hum:level=2", HumOptions(level=2)),
        ("hum:level=2,lines=5,7,11", HumOptions(level=2, lines=(5, 7, 11))),
        ("hum:lines=5,7,level=2.5", HumOptions(level=2.5, lines=(5, 7))),
    ],
)
@pytest.mark.usefixtures("hum")
def test_noise_from_text(spec, options):
    assert parse_noise(spec).drawn_from.options == options


@pytest.mark.parametrize("spec", ["hum:2", "hum:volume=2", "hum:level=loud"])
@pytest.mark.usefixtures("hum")
def test_wrong_noise_is_a_usage_error(spec):
    with pytest.raises(UsageError):
        parse_noise(spec)


@pytest.mark.usefixtures("hum")
def test_unknown_noise_is_a_plugin_error():
    with pytest.raises(PluginError, match="no noise model is called 'humm'") as caught:
        parse_noise("humm:level=2")
    assert "did you mean 'hum'?" in caught.value.hint


class Loud:
    """A stranger's noise that goes wrong in one place."""

    def __init__(self, where):
        self.where = where

    def begin(self, **_):
        return self if self.where == "drawing" else 1 / 0

    def __call__(self, clean, /, **_):
        return clean[:1] if self.where == "shape" else 1 / 0


@pytest.mark.parametrize("where", ["beginning", "drawing", "shape"])
def test_noise_that_fails_names_its_package(where, monkeypatch):
    model = NoiseModel(name="loud", summary="Something", build=lambda _: Loud(where))
    offers = Registry(noise_models={"loud": [Offer(model, "loud", "mpi-loud")]})
    monkeypatch.setattr("mpikit.plugins.registry", lambda: offers)
    noise = parse_noise("loud")
    with pytest.raises(PluginError, match=r"'loud' of mpi-loud (failed|gave the shape)"):
        (noise.begin() if where == "beginning" else noise)(np.ones((2, 1, 1, 5)))
