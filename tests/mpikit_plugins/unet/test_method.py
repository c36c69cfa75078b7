"""``unet-gd`` as a method: it learns from noise alone, and its state is all that it learnt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mpikit import Finding, Run
from mpikit.errors import InputError, NumericalError, PluginError
from mpikit.events import silent
from mpikit.models import Card, load_model, save_model
from mpikit.testing import example_scan
from mpikit_plugins.training import without_repeats as missing
from mpikit_plugins.unet.method import UNetGradientDifference
from mpikit_plugins.unet.options import UNetOptions

SMALL = {"features": 4, "kernel": 3, "batch": 8, "evaluate_every": 10, "steps": 20}


def make(**options):
    return UNetGradientDifference(UNetOptions(**(SMALL | options)))


def run(seed=0, tell=silent):
    return Run(rng=np.random.default_rng(seed), tell=tell)


def fitted(scan, seed=0, **options):
    method = make(**options)
    method.fit([scan], run=run(seed))
    return method


def toy(signals=30, repeats=6, sigma=0.3):
    """A scan of many clean signals, and these, (N, J, C, V)."""
    scan = example_scan(frames=signals, periods=repeats, repeats="periods", background_frames=0)
    rng = np.random.default_rng(8)
    waves = np.sin(2 * np.pi * np.outer(np.arange(1, 13), np.arange(162)) / 162)
    clean = (rng.normal(size=(signals, 1, 2, 12)) / np.arange(1, 13)) @ waves
    clean = np.broadcast_to(clean / clean.std(), scan.signal.shape)
    noisy = (clean + rng.normal(0, sigma, clean.shape)).astype(np.float32)
    return replace(scan, signal=noisy), clean


def error(estimate, clean):
    return float(np.mean((estimate - clean) ** 2))


@pytest.fixture(scope="module")
def scan():
    return example_scan(frames=9, periods=2, repeats="both", background_frames=3)


def test_it_beats_its_noisy_input():
    scan, clean = toy()
    told = []
    method = make(features=8, steps=60, evaluate_every=15, learning_rate=5e-3, residual=False)
    method.fit([scan], run=run(tell=told.append))
    scores = [event.values["reference-free SNR in dB"] for event in told if hasattr(event, "values")]
    assert scores[-1] > scores[0] + 3
    output = method.denoise(scan, run=run())
    assert error(output, clean) < 0.5 * error(scan.signal, clean)
    assert [event.name for event in told if isinstance(event, Finding)] == ["harmonics", "training"]


def test_it_learns_without_the_filter_too():
    """Nothing but the network: every line, no projection, only the pairs of noisy repeats."""
    scan, clean = toy()
    before = torch.get_rng_state()
    bare = {"lines": "all", "symmetry": "off", "alpha": 0, "beta": 0}
    method = fitted(scan, features=8, steps=80, evaluate_every=20, learning_rate=5e-3, **bare)
    assert error(method.denoise(scan, run=run()), clean) < 0.7 * error(scan.signal, clean)
    assert torch.equal(torch.get_rng_state(), before)


def test_one_seed_gives_the_same_weights_bit_for_bit(scan):
    torch.manual_seed(1)
    one = fitted(scan, seed=5, dropout=0.1).state()
    torch.manual_seed(2)
    same, other = fitted(scan, seed=5, dropout=0.1).state(), fitted(scan, seed=6, dropout=0.1).state()
    assert list(one) == list(same) == list(other)
    for name, value in one.items():
        np.testing.assert_array_equal(value, same[name])
    assert any(not np.array_equal(one[name], other[name]) for name in one if name.startswith("network."))


def test_the_global_state_of_torch_is_not_touched(scan):
    before = torch.get_rng_state()
    method = fitted(scan)
    method.denoise(scan, run=run())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("options", [{}, {"symmetry": "off"}, {"bias": True, "stem_stride": 1}])
def test_a_model_file_holds_all_that_was_learnt(scan, tmp_path, options):
    method = fitted(scan, **options)
    path = tmp_path / "model.safetensors"
    save_model(path, Card("unet-gd", "mpikit", method.options.model_dump(mode="json")), method.state())
    card, state = load_model(path)
    other = UNetGradientDifference(UNetOptions(**card.options))
    assert other.options == method.options
    other.restore(state)
    np.testing.assert_array_equal(other.denoise(scan, run=run()), method.denoise(scan, run=run(9)))
    for name, value in method.state().items():
        np.testing.assert_array_equal(other.state()[name], value)
        assert other.state()[name].dtype == value.dtype


def test_state_is_a_copy_of_what_was_learnt(scan):
    method = fitted(scan)
    output = method.denoise(scan, run=run())
    for value in method.state().values():
        value[...] = 0
    np.testing.assert_array_equal(method.denoise(scan, run=run()), output)


def test_what_was_not_fitted(scan):
    method = make()
    assert method.state() == {}
    with pytest.raises(PluginError, match="unet-gd has not been fitted"):
        method.denoise(scan, run=run())
    method.restore({})
    with pytest.raises(PluginError, match="unet-gd has not been fitted"):
        method.denoise(scan, run=run())


def test_a_state_that_does_not_fit(scan):
    state = fitted(scan).state()
    with pytest.raises(InputError, match="no state of unet-gd with these options"):
        make(features=5).restore(state)
    incomplete = {name: value for name, value in state.items() if name != "level"}
    with pytest.raises(InputError, match="no state of unet-gd"):
        make().restore(incomplete)


def test_a_scan_of_another_kind(scan):
    method = fitted(scan)
    shorter = replace(
        scan,
        signal=scan.signal[..., :160],
        background=scan.background[..., :160],
        stored_lines=scan.stored_lines[:81],
    )
    with pytest.raises(InputError, match=r"2 receive channels and 160 samples.*fitted to 2 and 162"):
        method.denoise(shorter, run=run())
    one = replace(scan, signal=scan.signal[:, :, :1], background=scan.background[:, :, :1])
    with pytest.raises(InputError, match="1 receive channels and 162 samples"):
        method.denoise(one, run=run())


def test_it_needs_repeats_and_signal(scan):
    none = replace(scan, repeats="none")
    assert missing(none, UNetOptions()) == "frames or periods that repeat"
    assert missing(scan, UNetOptions()) is None
    with pytest.raises(InputError, match="no scan has any"):
        make().fit([none], run=run())
    rng = np.random.default_rng(2)
    noise = replace(scan, signal=rng.normal(size=scan.signal.shape).astype(np.float32))
    with pytest.raises(InputError, match="nothing to learn from") as caught:
        make(false_alarm=1e-9).fit([noise], run=run())
    assert "lines=all" in caught.value.hint


def test_periods_shorter_than_the_kernel(scan):
    short = replace(
        scan,
        signal=scan.signal[..., :8],
        background=scan.background[..., :8],
        stored_lines=scan.stored_lines[:5],
    )
    with pytest.raises(InputError, match="periods of 8 samples, the network of unet-gd needs 9") as caught:
        make(kernel=9).fit([short], run=run())
    assert "shorter kernel" in caught.value.hint


def test_several_scans_teach_one_network(scan):
    other = example_scan(frames=5, periods=3, repeats="frames", background_frames=2, seed=9)
    method = make()
    method.fit([scan, other], run=run())
    assert method.denoise(other, run=run()).shape == other.signal.shape
    without = fitted(scan).state()
    name = "network.head.weight"
    assert not np.array_equal(method.state()[name], without[name])


def test_numbers_that_go_bad(scan):
    with pytest.raises(NumericalError, match="diverged"):
        fitted(scan, learning_rate=1e30, schedule="constant", clip=1e30)


def test_scale_is_the_unit(scan):
    """Fitted on the same scan in another unit, it gives the same in that unit."""
    unit = np.float32(2.0**-20)
    other = replace(scan, signal=unit * scan.signal, background=unit * scan.background)
    np.testing.assert_allclose(
        fitted(other).denoise(other, run=run()) / unit,
        fitted(scan).denoise(scan, run=run()),
        atol=1e-4 * float(np.abs(scan.signal).max()),
    )


@pytest.mark.parametrize(
    "options", [{}, {"preset": "paper", "epochs": 1, "steps": 400, "learning_rate": 1e-2}]
)
def test_it_is_homogeneous(scan, options):
    method = fitted(scan, background="keep", **options)
    signal = scan.signal.copy()
    signal[1] = 0
    scan = replace(scan, signal=signal)
    output = method.denoise(scan, run=run())
    quadrupled = method.denoise(replace(scan, signal=4 * scan.signal), run=run())
    np.testing.assert_array_equal(quadrupled, 4 * output)  # powers of two are not rounded
    tripled = method.denoise(replace(scan, signal=3 * scan.signal), run=run())
    np.testing.assert_allclose(tripled, 3 * output, rtol=0, atol=1e-4 * float(np.abs(output).max()))
    assert np.abs(output[0]).max() > 0
    assert not output[1].any()


def test_the_output_is_on_the_lines_that_count(scan):
    method = fitted(scan)
    spectra = np.fft.rfft(method.denoise(scan, run=run()).astype(float))
    left = np.abs(spectra).max(axis=(0, 1))
    assert left[method.preparation.harmonic.keep].min() > 0
    assert left[~method.preparation.harmonic.keep].max() < 1e-5 * left.max()


def test_the_level_of_a_channel_is_its_noise(scan):
    """White noise of one rms in both channels; doubled in one of them."""
    doubled = scan.signal * np.array([1, 2], np.float32)[:, None]
    level = fitted(replace(scan, signal=doubled), background="keep").state()["level"]
    assert level[1] / level[0] == pytest.approx(2, rel=0.05)
    free = replace(scan, signal=np.broadcast_to(scan.signal[:1, :1], scan.signal.shape))
    level = fitted(free, background="keep", steps=2).state()["level"]
    np.testing.assert_allclose(level**2, np.mean(free.signal**2, axis=(0, 1, 3)), rtol=1e-5)
