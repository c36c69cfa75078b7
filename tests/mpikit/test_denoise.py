"""Denoise: scores, models, refusals, other people's methods."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

import mdf
from mpikit import Denoiser, Finding, Run, StatelessMethod, Warned
from mpikit.denoise import denoise_scan
from mpikit.denoise_file import default_output, denoise_file, plan
from mpikit.errors import InputError, NumericalError, PluginError, UsageError
from mpikit.models import Card, load_model, save_model
from mpikit.plugins import Offer, registry
from mpikit.provenance import read_history
from mpikit.records import NoOptions
from mpikit.scan_file import read_scan, write_scan
from mpikit.scoring import score_table
from mpikit.signal import subtract_background
from mpikit.testing import example_scan

FRAMES, EMPTY, PERIODS, CHANNELS, SAMPLES = 9, 4, 3, 2, 162
FAST = ("steps=4", "features=3", "evaluate_every=2")
ABOUT = {
    **dict.fromkeys(("/study/name", "/study/description", "/experiment/name"), "test"),
    **dict.fromkeys(("/experiment/description", "/experiment/subject", "/scanner/name"), "test"),
    **dict.fromkeys(("/scanner/facility", "/scanner/manufacturer", "/scanner/operator"), "test"),
    "/scanner/topology": "FFP",
    "/study/number": 1,
    "/experiment/number": 2,
    "/experiment/isSimulation": True,
    "/acquisition/startTime": "2026-03-02T10:15:30.500",
}


def write(path):
    scan = example_scan(frames=FRAMES, periods=PERIODS, repeats="both", background_frames=EMPTY)
    write_scan(scan, path, contents=ABOUT)
    return path


@pytest.fixture
def source(tmp_path):
    return write(tmp_path / "scan.mdf")


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_history_is_strict_json_even_without_noise(tmp_path):
    scan = example_scan(frames=8, background_frames=0)
    free = replace(scan, signal=np.broadcast_to(scan.signal[:1], scan.signal.shape).copy(), name="free")
    write_scan(free, tmp_path / "free.mdf", contents=ABOUT)
    done = denoise_file(tmp_path / "free.mdf", method="average", keep_model=tmp_path / "model")
    with mdf.open(done.path) as file:
        text = file.user_value("/_mpikit/history")

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    [record] = json.loads(text, parse_constant=refuse)
    assert record["scores"][0]["snr_db"] is None  # without noise there is no finite SNR
    np.testing.assert_allclose(read_scan(done.path).signal, free.signal, atol=1e-6)


@pytest.mark.parametrize("learned", [False, True])
def test_the_result_is_fitted_to_all_and_the_scores_to_a_part(learned):
    """A gain that tells how many frames a fit has seen; a network is not trained twice."""

    class Counting(StatelessMethod):
        def fit(self, scans, /, *, run):
            self.frames = len(scans[0].signal)
            run.tell(Finding("frames", self.frames, "seen"))

        def denoise(self, scan, /, *, run):  # noqa: ARG002
            return scan.signal * np.float32(self.frames)

    told = []
    scan = example_scan(frames=FRAMES, periods=PERIODS, repeats="frames", background_frames=0)
    record = Denoiser(name="counting", summary="Counts", build=lambda _: Counting(), learned=learned)
    run = Run(rng=np.random.default_rng(0), tell=told.append)
    done = denoise_scan(scan, Offer(record, "test", "stranger"), NoOptions(), run=run)
    part = FRAMES - 2  # a fifth of the repeats judges
    fits = [part] if learned else [FRAMES]
    assert [each.value for each in told if getattr(each, "name", "") == "frames"] == fits
    np.testing.assert_allclose(done.signal, scan.signal * fits[-1], rtol=1e-6)
    # what is scored is the fit to a part: (part - 1)² of the signal, and part² of the noise
    expected = (part - 1) ** 2 * done.after.figures.power + part**2 * done.before.figures.error
    assert done.after.figures.error == pytest.approx(expected, rel=0.05)
    judged_alone = denoise_scan(
        scan, Offer(record, "test", "stranger"), NoOptions(), run=run, no_score="seen"
    )
    np.testing.assert_allclose(judged_alone.signal, scan.signal * FRAMES, rtol=1e-6)


def test_no_score_beside_judges_that_keep_their_background():
    """A model removes a background that the scan cannot be freed from: it would be taken for wrong."""
    scan = example_scan(frames=FRAMES, periods=PERIODS, repeats="frames", background_frames=0)
    record = Denoiser(name="frees", summary="Frees", build=lambda _: Unchanged(), removes_background=True)
    run = Run(rng=np.random.default_rng(0))
    done = denoise_scan(scan, Offer(record, "test", "stranger"), NoOptions(), run=run)
    assert done.after is None
    assert "without background frames the judges are not" in done.no_score
    corrected = replace(scan, corrections=replace(scan.corrections, background=True))
    assert denoise_scan(corrected, Offer(record, "test", "stranger"), NoOptions(), run=run).after is not None


class Unchanged(StatelessMethod):
    """Does nothing."""

    def denoise(self, scan, /, *, run):  # noqa: ARG002
        return scan.signal


def test_the_scores(source):
    """The method, the noisy data and the simple methods, judged by repeats that were held out."""
    told = []
    done = denoise_file(source, method="harmonic", tell=told.append)
    table = score_table(done.result)
    assert [row["method"] for row in table] == ["noisy", "harmonic", "low-rank", "average"]
    assert [row["periods_used"] for row in table] == [1, 1, 1, 7 * PERIODS]
    for row in table:
        assert set(row) == {
            "method",
            "snr_db",
            "is_lower_bound",
            "mean_squared_error",
            "standard_error",
            "periods_used",
        }
    noisy, harmonic, *_ = table
    sigma = float(read_scan(source).background.std())
    assert 1 < noisy["mean_squared_error"] / sigma**2 < 2  # the frame's noise, and the background's
    assert harmonic["snr_db"] > noisy["snr_db"] + 4
    assert told[0].name == "repeats"
    assert told[0].text == "repeats: the same signal was measured again in 9 frames of 3 periods"


def test_learned_methods_are_shown_beside_simple_ones(source):
    done = denoise_file(source, method="unet-gd", parameters=FAST)
    assert {score.method for score in done.result.simple} == {"harmonic", "low-rank", "average"}
    figures = [score.figures.snr_db for score in done.result.simple]
    assert figures == sorted(figures, reverse=True)
    assert done.result.after.method == "unet-gd"


@pytest.mark.parametrize(("repeats", "warned"), [("frames", True), ("both", True), ("none", False)])
def test_a_background_that_was_subtracted_before_is_warned_of(repeats, warned):
    """Where there are repeats, that is: without them there is no figure that could be too good."""
    scan = subtract_background(example_scan(frames=FRAMES, repeats=repeats, background_frames=EMPTY))
    told, offer = [], registry().denoiser("harmonic")
    run = Run(rng=np.random.default_rng(0), tell=told.append)
    result = denoise_scan(scan, offer, offer.record.options(), run=run)
    words = [event.text for event in told if isinstance(event, Warned)]
    assert any("figures come out too good" in text for text in words) == warned
    assert (result.before is not None) == warned


def test_when_the_background_is_kept_the_simple_methods_keep_it_too(source):
    done = denoise_file(source, method="harmonic", parameters=("background=keep",))
    assert not done.result.without_background
    assert [score.method for score in done.result.simple] == ["low-rank", "average"]
    assert done.result.before is not None


def test_too_few_repeats_to_judge(tmp_path):
    source = write(tmp_path / "scan.mdf")
    scan = read_scan(source)
    few = replace(
        scan,
        signal=scan.signal[:3],
        foreground_index=np.arange(3),
        background=scan.background[:0],
        background_index=scan.background_index[:0],
        repeats="frames",
    )
    offer = registry().denoiser("average")
    result = denoise_scan(few, offer, offer.record.options(), run=Run(rng=np.random.default_rng(0)))
    assert (result.before, result.after, result.simple) == (None, None, ())
    assert result.no_score == "too few repeats to hold any back as judges"
    assert score_table(result) == []
    assert result.background.shape == (0, PERIODS, CHANNELS, SAMPLES)


def test_a_lone_background_frame_cannot_serve_input_and_judge():
    """What is subtracted from both looks like signal; without the subtraction there is a score."""
    scan = example_scan(frames=12, periods=2, background_frames=3)
    offer = registry().denoiser("harmonic")
    for background, has_score in (("subtract", False), ("keep", True)):
        options = offer.record.options(background=background)
        result = denoise_scan(scan, offer, options, run=Run(rng=np.random.default_rng(0)))
        assert (result.after is not None) is has_score
        assert result.no_score.startswith("a block of background frames") is not has_score


@pytest.mark.parametrize(("repeats", "axes"), [("frames", 0), ("periods", 1), ("both", (0, 1))])
def test_repeats_can_be_said(source, repeats, axes):
    told = []
    done = denoise_file(
        source, method="average", parameters=("background=keep",), repeats=repeats, tell=told.append
    )
    signal = read_scan(source).signal
    mean = np.broadcast_to(signal.mean(axis=axes, keepdims=True, dtype=float), signal.shape)
    np.testing.assert_allclose(done.result.signal, mean, atol=1e-6)
    assert isinstance(told[0], Finding)
    assert (told[0].value, told[0].text[-9:]) == (repeats, "(as asked)"[1:])
    with mdf.open(done.path) as file:
        assert file.user_value("/_mpikit/repeats") == repeats


def test_one_seed_gives_one_file(source, tmp_path):
    paths = [tmp_path / name for name in ("one.mdf", "same.mdf", "other.mdf")]
    for path, seed in zip(paths, (3, 3, 4), strict=True):
        denoise_file(source, method="unet-gd", parameters=FAST, output=path, seed=seed)
    one, same, other = (read_scan(path).signal for path in paths)
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(("method", "parameters"), [("unet-gd", FAST), ("harmonic", ("symmetry=off",))])
def test_a_model_gives_the_same_again(source, tmp_path, method, parameters):
    model = tmp_path / "kept.model"
    first = denoise_file(source, method=method, parameters=parameters, keep_model=model, seed=7)
    assert first.model == model
    card, _ = load_model(model)
    assert (card.method, card.distribution) == (method, "mpikit")
    assert card.history["inputs"] == {"scan.mdf": digest(source)}
    before = digest(model)
    again = denoise_file(source, method=method, model=model, output=tmp_path / "again.mdf")
    np.testing.assert_array_equal(read_scan(again.path).signal, read_scan(first.path).signal)
    assert digest(model) == before
    with mdf.open(again.path) as file:
        [record] = read_history(file.user_value("/_mpikit/history"))
    assert record["inputs"]["kept.model"] == before
    assert record["options"] | {"repeats": "both"} == record["options"]
    if registry().denoiser(method).record.learned:
        assert again.result.after.figures.snr_db == pytest.approx(first.result.after.figures.snr_db)
    else:
        assert again.result.after is None
        assert again.result.no_score.startswith("the model was fitted to all of this file")


def test_models_that_do_not_fit(source, tmp_path):
    model = tmp_path / "harmonic.model"
    denoise_file(source, method="harmonic", keep_model=model)
    wrong = {
        "a model of 'harmonic', not of 'unet-gd'": {"method": "unet-gd", "model": model},
        "options of a fitted model are in": {
            "method": "harmonic",
            "model": model,
            "parameters": ("symmetry=off",),
        },
        "cannot be read as a model file": {"method": "harmonic", "model": source},
    }
    for words, arguments in wrong.items():
        with pytest.raises(InputError, match=words):
            denoise_file(source, output=tmp_path / "out.mdf", **arguments)
    options = tmp_path / "options.model"
    save_model(options, Card("harmonic", "mpikit", {"width": 3}), {})
    with pytest.raises(InputError, match=r"options in the model file options\.model"):
        denoise_file(source, output=tmp_path / "out.mdf", method="harmonic", model=options)
    other = tmp_path / "other.mdf"
    scan = read_scan(source)
    one = replace(scan, signal=scan.signal[:, :, :1], background=scan.background[:, :, :1])
    write_scan(one, other, contents=ABOUT)
    with pytest.raises(InputError, match=r"1 receive channels and 162 samples.*fitted to 2 and 162"):
        denoise_file(other, output=tmp_path / "out.mdf", method="harmonic", model=model)
    assert not (tmp_path / "out.mdf").exists()


def test_outputs_that_are_refused(source, tmp_path):
    before = digest(source)
    model = tmp_path / "a.model"
    done = denoise_file(source, method="average", keep_model=model)
    made, kept = digest(done.path), digest(model)
    link = tmp_path / "link.mdf"
    link.symlink_to(source)
    for words, arguments in {
        "exists already": {},
        "is an input": {"output": source, "overwrite": True},
        "link.mdf is an input": {"output": link, "overwrite": True},
        "is a folder": {"output": tmp_path},
        "does not exist": {"output": tmp_path / "nowhere" / "out.mdf"},
        "a.model exists already": {"output": tmp_path / "new.mdf", "keep_model": model},
        "scan.mdf is an input": {"output": tmp_path / "new.mdf", "keep_model": source, "overwrite": True},
    }.items():
        with pytest.raises(InputError, match=words):
            denoise_file(source, method="average", **arguments)
    assert (digest(source), digest(done.path), digest(model)) == (before, made, kept)
    assert not (tmp_path / "new.mdf").exists()
    with pytest.raises(UsageError, match=r"cannot both be new\.mdf"):
        denoise_file(
            source, method="average", output=tmp_path / "new.mdf", keep_model=tmp_path / "." / "new.mdf"
        )
    assert not (tmp_path / "new.mdf").exists()
    replaced = denoise_file(source, method="average", overwrite=True, keep_model=model)
    assert replaced.path == done.path
    assert digest(done.path) != made


def test_a_model_cannot_be_the_output(source, tmp_path):
    """The model that is read is an input too."""
    model = tmp_path / "a.model"
    denoise_file(source, method="harmonic", keep_model=model)
    before = digest(model)
    with pytest.raises(InputError, match=r"a\.model is an input"):
        denoise_file(source, method="harmonic", model=model, output=model, overwrite=True)
    assert digest(model) == before


def test_a_model_that_is_used_is_not_saved_anew(source, tmp_path):
    """Its card would say that it was fitted to a file that it has never seen."""
    model = tmp_path / "a.model"
    denoise_file(source, method="harmonic", keep_model=model)
    before = sorted(path.name for path in tmp_path.iterdir())
    for other in (model, tmp_path / "b.model"):
        with pytest.raises(UsageError, match=r"with --model a\.model nothing is"):
            denoise_file(source, model=model, keep_model=other, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_the_fitted_model_is_kept_when_the_file_cannot_be_written(source, tmp_path, monkeypatch):
    def full(*_, **__):
        raise mdf.MdfError("the disk is full", hint="make room")

    model = tmp_path / "a.model"
    with monkeypatch.context() as patch:
        patch.setattr(mdf, "write", full)
        with pytest.raises(mdf.MdfError, match="the disk is full") as caught:
            denoise_file(source, method="harmonic", keep_model=model)
        assert caught.value.hint == f"make room; the fitted model is kept: --model {model} uses it"
        with pytest.raises(mdf.MdfError) as caught:
            denoise_file(source, method="harmonic")
        assert caught.value.hint == "make room"
    again = denoise_file(source, model=model)
    once = denoise_file(source, method="harmonic", output=tmp_path / "once.mdf")
    np.testing.assert_array_equal(again.result.signal, once.result.signal)


def test_without_the_model_there_is_no_file(source, tmp_path, monkeypatch):
    def full(*_, **__):
        raise InputError("the disk is full")

    monkeypatch.setattr("mpikit.denoise_file.save_model", full)
    with pytest.raises(InputError, match="the disk is full"):
        denoise_file(source, method="harmonic", keep_model=tmp_path / "a.model")
    assert not (tmp_path / "scan.harmonic.mdf").exists()


def test_what_is_missing_is_said_before_any_work(tmp_path):
    source = write(tmp_path / "scan.mdf")
    for method in ("unet-gd", "average"):
        with pytest.raises(
            InputError, match=f"lacks frames or periods that repeat, which {method} needs"
        ) as caught:
            denoise_file(source, method=method, repeats="none")
        assert caught.value.hint.startswith("methods that would work: background-subtraction, harmonic, ")
    with pytest.raises(PluginError, match="no method is called 'unet'"):
        denoise_file(source, method="unet")
    with pytest.raises(UsageError, match="harmonic has no option 'width'"):
        denoise_file(source, method="harmonic", parameters=("width=3",))
    with pytest.raises(mdf.MdfError):
        denoise_file(tmp_path / "none.mdf", method="harmonic")
    assert [path.name for path in tmp_path.iterdir()] == ["scan.mdf"]


class Strange(StatelessMethod):
    """A method of somebody else."""

    work = None

    def denoise(self, scan, /, *, run):  # noqa: ARG002
        return type(self).work(scan)


def strange(denoise, distribution="stranger"):
    class Method(Strange):
        work = staticmethod(denoise)

    record = Denoiser(name="strange", summary="Strange", build=lambda _: Method())
    return Offer(record, "strange", distribution)


def apply(offer, scan=None):
    scan = scan or example_scan(frames=10, periods=1, background_frames=2)
    return denoise_scan(scan, offer, NoOptions(), run=Run(rng=np.random.default_rng(0)))


def test_methods_that_misbehave():
    with pytest.raises(PluginError, match="gave the shape"):
        apply(strange(lambda scan: scan.signal[..., :-1]))
    with pytest.raises(NumericalError, match=r"strange.*gave a signal for example with values that are no"):
        apply(strange(lambda scan: scan.signal * np.float32("nan")))
    with pytest.raises(PluginError, match=r"'strange' of stranger.* failed: ZeroDivisionError"):
        apply(strange(lambda scan: scan.signal / (1 // 0)))
    with pytest.raises(ZeroDivisionError):  # an error of ours is a bug, and is shown whole
        apply(strange(lambda scan: scan.signal / (1 // 0), distribution="mpikit"))
    result = apply(strange(lambda scan: scan.signal.astype(np.float64)))
    assert result.signal.dtype == np.float32


def test_the_method_that_does_nothing_gains_nothing():
    result = apply(strange(lambda scan: scan.signal.copy()))
    assert result.after.figures == result.before.figures
    # keeping the background
    assert {score.method for score in result.simple} == {"average", "harmonic", "low-rank"}
    none = example_scan(frames=10, background_frames=0)
    assert {score.method for score in apply(strange(lambda scan: scan.signal.copy()), none).simple} == {
        "average",
        "harmonic",
        "low-rank",
    }


def test_empty_frames_are_treated_likewise():
    seen = []

    def halve(scan):
        seen.append((scan.signal.shape, tuple(scan.foreground_index)))
        return scan.signal / 2

    scan = example_scan(frames=10, periods=2, repeats="both", background_frames=3)
    result = apply(strange(halve), scan)
    np.testing.assert_array_equal(result.signal, scan.signal / 2)
    np.testing.assert_array_equal(result.background, scan.background / 2)
    assert (scan.background.shape, tuple(scan.background_index)) in seen


def test_the_plan(source, tmp_path):
    planned = plan(source, method="unet-gd", parameters=("steps=3",))
    assert planned["options"]["steps"] == 3
    assert {name: value for name, value in planned.items() if name != "options"} == {
        "source": str(source),
        "output": str(tmp_path / "scan.unet-gd.mdf"),
        "method": "unet-gd",
        "distribution": "mpikit",
        "repeats": "both",
        "shape": {"N": FRAMES, "J": PERIODS, "C": CHANNELS, "V": SAMPLES},
        "background_frames": EMPTY,
        "removes_background": True,
    }
    assert default_output(source, "average").name == "scan.average.mdf"
    with pytest.raises(InputError, match="lacks frames or periods that repeat"):
        plan(source, method="unet-gd", repeats="none")
    assert [path.name for path in tmp_path.iterdir()] == ["scan.mdf"]


def test_denoise_and_reconstruct_find_the_five_dots(samples, tmp_path, monkeypatch):
    """Rows whose lines were emptied are left out, and the points are where they are."""
    from mpikit.reconstruct import reconstruct_file

    monkeypatch.setattr("mpikit.reconstruct.files.save_images", lambda *_, **__: None)
    source, matrix = samples / "bruker2d-measurement.mdf", samples / "bruker2d-systemmatrix.mdf"
    denoised = denoise_file(source, method="harmonic", output=tmp_path / "denoised.mdf").path
    options = {"lambda_": 1e-5, "iterations": 300, "snr_threshold": 3.0, "system_matrix": matrix}
    result = reconstruct_file(denoised, output=tmp_path / "image.mdf", **options)
    with mdf.open(denoised) as file:
        emptied = file.user_value("/_mpikit/empty_lines") != 0
    assert result.figures["rows_removed"]["emptied by denoising"] == emptied.sum()
    assert result.figures["rows"] <= np.sum(~emptied)
    subtracted = result.figures["background_subtracted"]
    assert subtracted == [f"system matrix {matrix.name}"]  # the denoised file is free of it already
    images = result.images.values.reshape(20, -1)
    with mdf.open(source) as file:
        positions, wanted = file.user_value("/_truth/_positions"), file.user_value("/_truth/_concentrations")
    voxels = result.images.grid.nearest(positions)
    assert set(np.argsort(-images.mean(axis=0))[:5]) == set(voxels)
    np.testing.assert_allclose(images.mean(axis=0)[voxels], wanted[0] / 0.1, atol=0.1)


def test_a_scan_without_repeats_names_what_would_work(samples, tmp_path):
    source = samples / "openmpi3d-small-measurement.mdf"
    for method in ("unet-gd", "average"):
        with pytest.raises(InputError, match="lacks frames or periods that repeat") as caught:
            denoise_file(source, method=method, output=tmp_path / "out.mdf")
        assert "harmonic" in caught.value.hint
    assert list(tmp_path.iterdir()) == []
