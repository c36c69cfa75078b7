"""Every noise model keeps the contract, travels to a worker and adds to the others."""

import pickle

import numpy as np
import pytest

from mpikit import WholeNoise
from mpikit.plugins import parse_noise, parse_options, registry
from mpikit.testing import check_noise_model

NAMES = ["gaussian", "harmonic", "coloured", "background", "empirical"]
SPECS = [
    "gaussian",
    "gaussian:level=channel,snr_db=3",
    "gaussian:reference=peak",
    "gaussian:sigma=2e-6",
    "harmonic",
    "harmonic:sir_db=5,distribution=uniform-real,shared=true",
    "harmonic:distribution=fixed-phase,amplitude=drawn",
    "coloured",
    "coloured:level=channel,correlation=-0.5,exponent=2",
    "coloured:sigma=1,frequencies=1e4,1e6,levels=3,1,covariance=2,0.5,0.5,1",
    "background",
    "background:amplitude=1,0.2,drift=0,lines=3",
    "empirical:mean=remove",
]


@pytest.fixture
def parsed(empty_file):
    """Read a noise model with its options from text."""

    def read(spec):
        name, _, text = spec.partition(":")
        extra = f"file={empty_file}" if name == "empirical" else ""
        return f"{name}:" + ",".join(filter(None, [text, extra]))

    return read


def record(spec):
    return registry().noise_model(spec.partition(":")[0]).record


def test_the_entry_point_offers_them_all():
    ours = [n for n, offers in registry().noise_models.items() if offers[0].distribution == "mpikit"]
    assert sorted(ours) == sorted(NAMES)


@pytest.mark.parametrize("spec", SPECS)
def test_contract(spec, parsed):
    check_noise_model(record(spec), parse_noise(parsed(spec)).drawn_from.options)


@pytest.mark.parametrize("spec", SPECS)
def test_a_worker_draws_the_same(spec, parsed, draw, begin, rng):
    clean = rng.normal(size=(3, 4, 2, 162)).astype(np.float32)
    noise = parse_noise(parsed(spec))
    if isinstance(noise, WholeNoise):
        noise = begin(noise, [1.0, 1.0])
    drawn = draw(noise, clean, start=2)
    np.testing.assert_array_equal(draw(pickle.loads(pickle.dumps(noise)), clean, start=2), drawn)  # noqa: S301
    assert drawn.dtype == np.float32
    assert draw(noise, clean.astype(float), start=2).dtype == np.float64


@pytest.mark.parametrize("samples", [162, 161])
@pytest.mark.parametrize("spec", [spec for spec in SPECS if not spec.startswith("empirical")])
def test_an_empty_block_of_any_length(spec, parsed, draw, begin, samples):
    noise = parse_noise(parsed(spec))
    rate = {"sampling_rate": 25e3 * samples}
    if isinstance(noise, WholeNoise):
        noise = begin(noise, [0.5, 2.0], samples=samples, **rate)
    for frames in (0, 1, 5):
        clean = np.zeros((frames, 3, 2, samples))
        drawn = draw(noise, clean, start=7, **rate)
        assert drawn.shape == clean.shape
        assert np.all(np.isfinite(drawn))
        assert np.all(np.any(drawn, axis=-1)) == (frames == 0 or not spec.startswith("harmonic"))


def test_options_of_several_models_are_read_from_text():
    assert parse_noise("harmonic:sir_db=5").drawn_from.options.sir_db == 5
    options = parse_options(record("coloured"), ["frequencies=1,2e3,3e4", "levels=3,2,1"])
    assert options.frequencies == (1.0, 2000.0, 30000.0)
    assert options.levels == (3.0, 2.0, 1.0)
