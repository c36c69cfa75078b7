"""The checks accept what keeps the contract and name the promise that is broken.

Each broken method below is a good one with one thing wrong.
"""

# ruff: noqa: ARG002, ARG005, NPY002 - methods that are wrong on purpose

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict, Field

from mpikit import Denoiser, Finding, NoiseModel, Options, Step
from mpikit.testing import check_denoiser, check_noise_model, example_scan


class Shrink(Options):
    keep: float = Field(0.5, ge=0, le=1, description="Weight of the period beside the fitted mean")


class Mean:
    """Shrinks each period towards the fitted mean: learns, keeps a state, pools nothing."""

    def __init__(self, options):
        self.keep = options.keep
        self.mean = None

    def fit(self, scans, /, *, run):
        run.tell(Step(1, 1))
        noise = 1e-3 * run.rng.normal(size=scans[0].signal.shape[2:])
        self.mean = (np.mean(scans[0].signal, axis=(0, 1)) + noise).astype(np.float32)

    def denoise(self, scan, /, *, run):
        run.tell(Finding("nothing", None, "nothing was found"))
        return (self.keep * scan.signal + (1 - self.keep) * self.mean).astype(np.float32)

    def state(self):
        return {"mean": self.mean, "count": np.array(3)}

    def restore(self, state, /):
        assert state["count"].shape == ()
        self.mean = state["mean"]


def denoiser(build=Mean, **changes):
    return Denoiser(name="mean", summary="Shrinks to the mean", options=Shrink, build=build, **changes)


def broken(method, **changes):
    """A denoiser whose methods are replaced by those given."""
    return denoiser(type("Broken", (Mean,), changes), **method)


def test_a_good_method_passes():
    check_denoiser(denoiser())
    check_denoiser(denoiser(), Shrink(keep=0.25), example_scan(frames=4, periods=3, repeats="both"))


def both(scan):
    return np.mean(scan.signal, axis=0, keepdims=True) + 0 * scan.signal


def write(self, scan, /, *, run):
    scan.signal[0] = 0
    return scan.signal.copy()


def swallow(self, scans, /, *, run):
    try:
        Mean.fit(self, scans, run=run)
    except KeyboardInterrupt:
        self.mean = np.float32(0)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        (
            "denoise",
            lambda self, scan, /, *, run: scan.signal.astype(np.float64),
            "float64, expected float32",
        ),
        ("denoise", lambda self, scan, /, *, run: scan.signal[:-1].copy(), "has shape"),
        ("denoise", lambda self, scan, /, *, run: scan.signal, "shares memory"),
        ("denoise", lambda self, scan, /, *, run: scan.signal * np.float32(np.nan), "not finite"),
        ("denoise", lambda self, scan, /, *, run: scan.signal.tolist(), "expected a NumPy array"),
        ("denoise", lambda self, scan, /, *, run: both(scan), "say pools=True"),
        ("denoise", write, "must not write into its input"),
        ("denoise", lambda self, scan, /, *, run: run.tell("done"), "expected Step, Finding or Warned"),
        ("fit", lambda self, scans, /, *, run: setattr(self, "mean", np.random.rand()), "another result"),
        ("fit", lambda self, scans, /, *, run: 1 / 0, "fit failed: ZeroDivisionError"),
        ("fit", swallow, "Ctrl-C must stop it"),
        ("state", lambda self: [self.mean], "expected a flat dict"),
        ("state", lambda self: {"mean": float(self.mean[0, 0])}, "expected NumPy arrays"),
        ("state", lambda self: {"mean": np.array([self])}, "saving the state"),
        ("state", lambda self: {"mean": 2 * self.mean, "count": np.array(3)}, "restored from its state"),
        ("restore", lambda self, state, /: None, "denoise failed"),
        ("restore", None, "has no restore"),
    ],
)
def test_a_broken_method_is_named(name, change, words):
    with pytest.raises(AssertionError, match=words):
        check_denoiser(broken({}, **{name: change}))


def test_a_method_that_pools_may_use_the_repeats():
    check_denoiser(broken({"pools": True}, denoise=lambda self, scan, /, *, run: both(scan)))


def test_homogeneity_is_checked_only_where_it_is_promised():
    with pytest.raises(AssertionError, match=r"f\(3 y\) is not 3 f\(y\)"):
        check_denoiser(denoiser(homogeneous=True))  # the fitted mean does not scale
    check_denoiser(broken({"homogeneous": True}, denoise=lambda self, scan, /, *, run: 2 * scan.signal))


class NoHelp(Options):
    keep: float = 0.5


class Open(BaseModel):
    model_config = ConfigDict(frozen=True)


class Thawed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Required(Options):
    keep: float = Field(description="Weight")


class Inner(Options):
    nested: Shrink = Field(Shrink(), description="Options within options have no text")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (NoHelp, "'keep' has no description"),
        (Open, "extra="),
        (Thawed, "not frozen"),
        (Required, "pass options"),
        (Inner, "do not survive as text"),
    ],
)
@pytest.mark.parametrize("kind", ["denoiser", "noise model"])
def test_broken_options_are_named(kind, options, words):
    check, record = (check_denoiser, denoiser()) if kind == "denoiser" else (check_noise_model, model())
    with pytest.raises(AssertionError, match=words):
        check(replace(record, options=options))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"missing": lambda scan, options: True}, "expected words or None"),
        ({"missing": lambda scan, options: ""}, "expected words or None"),
        ({"missing": lambda scan, options: 1 / 0}, "missing failed"),
        ({"missing": lambda scan, options: "a scan of three channels"}, "pass the check a scan"),
        ({"removes_background": lambda scan, options: "yes"}, "expected True or False"),
    ],
)
def test_a_broken_record_is_named(change, words):
    with pytest.raises(AssertionError, match=words):
        check_denoiser(denoiser(**change))


def test_a_scan_of_periods_is_taken_where_frames_do_not_do():
    def missing(scan, options):
        return None if scan.repeats == "periods" else "repeated periods"

    check_denoiser(denoiser(missing=missing))


def test_a_plugin_whose_module_imports_torch_is_named(tmp_path, monkeypatch):
    (tmp_path / "heavy_box.py").write_text("import torch\ndef build(options):\n    return None\n")
    monkeypatch.syspath_prepend(tmp_path)

    def build(options):
        return Mean(options)

    build.__module__ = "heavy_box"
    with pytest.raises(AssertionError, match="loading heavy_box imports torch"):
        check_denoiser(denoiser(build))


class Level(Options):
    level: float = Field(1.0, ge=0, description="Standard deviation")


class White:
    def __init__(self, options):
        self.level = options.level

    def __call__(self, clean, /, *, frame_index, sampling_rate, drive_field, rng):
        return rng.normal(0, self.level, clean.shape)


def model(build=White, **changes):
    return NoiseModel(name="white", summary="White noise", options=Level, build=build, **changes)


def test_good_noise_passes():
    check_noise_model(model())
    check_noise_model(model(fit=lambda scan: Level(level=float(np.std(scan.background)))), Level(level=0.25))


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda self, clean, /, *, rng, **_: clean, "shares memory"),
        (lambda self, clean, /, *, rng, **_: clean[:2].copy(), "has shape"),
        (lambda self, clean, /, *, rng, **_: clean + 1j, "complex"),
        (
            lambda self, clean, /, *, rng, **_: clean / np.max(abs(clean), axis=-1, keepdims=True),
            "invalid value",
        ),
        (lambda self, clean, /, *, rng, **_: np.random.normal(size=clean.shape), "the same seed"),
        (lambda self, clean, /, *, rng, **_: clean.__iadd__(1), "must not write into its input"),
    ],
)
def test_broken_noise_is_named(draw, words):
    with pytest.raises(AssertionError, match=words):
        check_noise_model(model(type("Broken", (White,), {"__call__": draw})))


class Begun:
    """Noise of one level, with a sign for each measurement."""

    def __init__(self, level, sign):
        self.level, self.sign = level, sign

    def __call__(self, clean, /, *, frame_index, sampling_rate, drive_field, rng):
        return self.sign * rng.normal(0, self.level, clean.shape)


class Signed(White):
    def begin(self, *, power, samples, sampling_rate, drive_field, rng):
        assert power.shape == (2,)
        return Begun(self.level, rng.choice([-1, 1]))


def test_good_noise_that_begins_passes():
    check_noise_model(model(Signed))


def change_the_object(self, *, rng, **_):
    self.level = 2 * self.level
    return Begun(self.level, 1)


class Counting(Begun):
    def __call__(self, clean, /, *, rng, **_):
        self.level += 1
        return rng.normal(0, self.level, clean.shape)


@pytest.mark.parametrize(
    ("begin", "words"),
    [
        (lambda self, **_: None, "begin gave a NoneType"),
        (lambda self, *, rng, **_: 1 / 0, "begin failed: ZeroDivisionError"),
        (lambda self, *, power, **_: power.__iadd__(1), "begin failed: .*must not write into its input"),
        (change_the_object, "begin changed the noise"),
        (lambda self, **_: Begun(np.random.rand(), 1), "must not depend on what was drawn before"),
        (lambda self, **_: Counting(self.level, 1), "must not depend on what was drawn before"),
        (lambda self, **_: lambda clean, **_: clean[:1].copy(), "a block after begin has shape"),
        (lambda self, **_: lambda clean, **_: clean / np.max(clean, axis=-1, keepdims=True), "invalid value"),
    ],
)
def test_noise_that_begins_wrongly_is_named(begin, words):
    with pytest.raises(AssertionError, match=words):
        check_noise_model(model(type("Broken", (Signed,), {"begin": begin})))


def test_a_fit_that_gives_other_options_is_named():
    with pytest.raises(AssertionError, match="fit gave no Level"):
        check_noise_model(model(fit=lambda scan: Shrink()))


def test_the_example_has_the_symmetry_of_a_cosine_excitation():
    scan = example_scan(frames=400, background_frames=5)
    mean = np.mean(scan.signal, axis=0)
    reflected = -np.roll(mean[..., ::-1], 1, axis=-1)  # s(-t) = -s(t)
    noise = np.std(scan.background) / np.sqrt(400)
    assert np.std(mean - reflected) < 2 * noise
    assert np.std(mean) > 100 * noise


def test_the_example_repeats_as_it_says():
    frames = example_scan(frames=5, periods=3, repeats="frames").signal
    periods = example_scan(frames=5, periods=3, repeats="periods").signal
    assert np.std(frames[0] - frames[1]) < 0.5 * np.std(frames[:, 0] - frames[:, 1])
    assert np.std(periods[:, 0] - periods[:, 1]) < 0.5 * np.std(periods[0] - periods[1])


def test_the_example_counts_both_kinds_of_frames():
    scan = example_scan(frames=5, background_frames=3)
    assert sorted([*scan.foreground_index, *scan.background_index]) == list(range(8))
