"""Training from files: the model and its card, the log, resuming, and what is refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

import mdf
from mpikit import Finding, Run, Step, Warned, checkpoints
from mpikit.denoise import fit_scans
from mpikit.denoise_file import denoise_file
from mpikit.errors import InputError, NumericalError, PluginError, UsageError
from mpikit.models import load_model
from mpikit.plugins import registry
from mpikit.provenance import HISTORY, append_history
from mpikit.scan_file import read_scan, write_scan
from mpikit.scoring import score_table
from mpikit.signal import noise_statistics
from mpikit.testing import example_scan
from mpikit.train import plan_training, train_files
from mpikit.training_outputs import Outputs

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


def write(path, *, user=None, **shape):
    shape = {"frames": 12, "background_frames": 4} | shape
    write_scan(example_scan(**shape), path, contents=ABOUT, user=user or {})
    return path


@pytest.fixture
def work(tmp_path, learner):
    """A folder of its own: the stand-in method is installed beside it."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def sources(work):
    return [write(work / "a.mdf"), write(work / "b.mdf", frames=16, seed=4)]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_is_written(sources, work):
    told = []
    done = train_files(
        sources, work / "m.safetensors", method="learner", parameters=["steps=5"], seed=7, tell=told.append
    )
    assert names(work) == ["a.mdf", "b.mdf", "m.log.csv", "m.log.jsonl", "m.png", "m.safetensors"]
    card, state = load_model(work / "m.safetensors")
    assert card == done.card
    assert (card.method, card.distribution, card.cite) == ("learner", "learner", ("10.1000/learner",))
    assert card.options == {"steps": 5, "save_every": 1, "stop_after": 0}
    assert card.signal == {"channels": 2, "samples": 162, "sampling_rate": 4050000.0, "unit": "V"}
    scans = [read_scan(path) for path in sources]
    sigma = np.sqrt(np.mean([noise_statistics(scan).sigma ** 2 for scan in scans], axis=0))
    np.testing.assert_allclose(card.noise["sigma"], sigma)
    assert (card.noise["unit"], card.noise["sources"]) == ("V", ["repeats"])
    history = card.history
    assert (history["command"], history["seed"], history["device"]) == ("train", 7, "cpu")
    assert history["inputs"] == {path.name: digest(path) for path in sources}
    assert history["options"]["repeats"] == ["frames", "frames"]
    assert history["packages"].keys() >= {"numpy", "torch"}
    assert history["scores"] == score_table(done.scores)
    assert [score["method"] for score in history["scores"]][:2] == ["noisy", "learner"]
    assert all(score["standard_error"] > 0 for score in history["scores"])
    assert str(work) not in json.dumps(history)
    assert state["gain"].shape == (2, 1)
    assert [row["step"] for row in rows(work / "m.log.jsonl")] == [1, 2, 3, 4, 5]
    assert (work / "m.log.csv").read_text().splitlines()[0] == "step,total,seconds,loss,learning rate"
    assert (work / "m.png").read_bytes()[:4] == b"\x89PNG"
    texts = [event.text for event in told if isinstance(event, Finding)]
    assert texts[:2] == [
        "repeats of a.mdf: the same signal was measured again in 12 frames",
        "repeats of b.mdf: the same signal was measured again in 16 frames",
    ]
    assert sum(isinstance(event, Step) for event in told) == 5


def test_it_learns_from_all_files_and_never_from_what_judges(sources, work, monkeypatch):
    """The method sees the fitting parts alone, and the scores are those of fit_scans."""
    offer = registry().denoiser("learner")
    seen = []
    built = offer.record.build

    def build(options):
        method = built(options)
        fit = method.fit

        def watched(scans, /, *, run):
            seen.extend(scans)
            fit(scans, run=run)

        method.fit = watched
        return method

    monkeypatch.setitem(
        registry().denoisers, "learner", [replace(offer, record=replace(offer.record, build=build))]
    )
    done = train_files(sources, work / "m", method="learner", seed=2)
    assert [scan.signal.shape[0] for scan in seen] == [10, 13]  # a fifth of the frames is held out
    scans = [read_scan(path) for path in sources]
    run = Run(rng=np.random.default_rng(2))
    fitted = fit_scans(scans, offer, offer.record.options(), run=run)
    assert score_table(fitted.scores) == score_table(done.scores)


def test_the_model_denoises_what_it_was_not_fitted_to(sources, work):
    train_files(sources[:1], work / "m.model", method="learner")
    other = write(work / "c.mdf", seed=9)
    done = denoise_file(other, model=work / "m.model")
    gain = load_model(work / "m.model")[1]["gain"]
    assert done.path == work / "c.learner.mdf"
    np.testing.assert_allclose(done.result.signal, gain * read_scan(other).signal, rtol=1e-6)
    named = denoise_file(other, method="learner", model=work / "m.model", output=work / "d.mdf")
    np.testing.assert_array_equal(named.result.signal, done.result.signal)


# --- interrupted, and going on ---------------------------------------------------------------------------


def interrupted(sources, model, step, **more):
    parameters = ["steps=8", f"stop_after={step}", *more.pop("parameters", ())]
    with pytest.raises(KeyboardInterrupt):
        train_files(sources, model, method="learner", parameters=parameters, seed=3, **more)
    return parameters


@pytest.mark.parametrize("step", [1, 5, 8])
def test_resuming_is_bit_for_bit(sources, work, step):
    """Oracle 12: an interruption changes nothing, whichever way the generator was used before."""
    whole = train_files(sources, work / "whole.m", method="learner", parameters=["steps=8"], seed=3)
    parameters = interrupted(sources, work / "parts.m", step)
    assert names(work) == [
        "a.mdf",
        "b.mdf",
        *(f"parts.m.{end}" for end in ("checkpoint", "log.csv", "log.jsonl")),
        *(f"whole.m{end}" for end in ("", ".log.csv", ".log.jsonl", ".png")),
    ]
    parts = train_files(
        sources, work / "parts.m", method="learner", parameters=parameters, seed=3, resume=True
    )
    assert "parts.m.checkpoint" not in names(work)
    one, other = (load_model(work / name)[1]["gain"] for name in ("whole.m", "parts.m"))
    np.testing.assert_array_equal(one, other)
    assert score_table(whole.scores) == score_table(parts.scores)
    logs = [rows(work / f"{name}.m.log.jsonl") for name in ("whole", "parts")]
    for log in logs:
        for row in log:
            del row["seconds"]
    assert logs[0] == logs[1]


def test_a_checkpoint_that_is_older_than_the_log(sources, work):
    """Rows after the checkpoint come again, and are there once."""
    parameters = interrupted(sources, work / "m", 5, parameters=["save_every=3"])
    assert [row["step"] for row in rows(work / "m.log.jsonl")] == [1, 2, 3, 4, 5]
    train_files(sources, work / "m", method="learner", parameters=parameters, seed=3, resume=True)
    assert [row["step"] for row in rows(work / "m.log.jsonl")] == list(range(1, 9))
    assert [int(line.split(",")[0]) for line in (work / "m.log.csv").read_text().splitlines()[1:]] == list(
        range(1, 9)
    )


def test_before_the_first_checkpoint_nothing_is_left(sources, work):
    before = names(work)
    interrupted(sources, work / "m", 2, parameters=["save_every=5"])
    assert names(work) == before


def test_what_was_interrupted_is_neither_forgotten_nor_mixed_up(sources, work):
    parameters = interrupted(sources, work / "m", 4)
    kept = (work / "m.checkpoint").read_bytes()
    wanted = {"method": "learner", "parameters": parameters, "seed": 3}
    with pytest.raises(InputError, match="was left by a training that was interrupted") as caught:
        train_files(sources, work / "m", **wanted)
    assert caught.value.hint == "--resume goes on from it, --force starts anew"
    for other, words in (
        ({"seed": 4}, "its seed is 3, now it is 4"),
        ({"parameters": ["steps=9", "stop_after=4"]}, "its steps is 8, now it is 9"),
        ({"method": "harmonic", "parameters": []}, "its method is 'learner', now it is 'harmonic'"),
        ({"repeats": "both"}, "its repeats is"),
    ):
        with pytest.raises(InputError, match=words):
            train_files(sources, work / "m", **wanted | other, resume=True)
    with pytest.raises(InputError, match=r"other files \(b\.mdf was changed"):
        train_files(sources[:1], work / "m", **wanted, resume=True)
    assert (work / "m.checkpoint").read_bytes() == kept
    anew = train_files(sources, work / "m", method="learner", parameters=["steps=2"], overwrite=True)
    assert not anew.files.checkpoint.exists()
    assert [row["step"] for row in rows(work / "m.log.jsonl")] == [1, 2]


@pytest.mark.parametrize("step", [0, 2])
def test_a_finished_model_stays_whole_when_force_comes_to_nothing(sources, work, monkeypatch, step):
    """Stopped before the first checkpoint, before or after the first score: all files are as they were."""
    train_files(sources, work / "m", method="learner", parameters=["steps=3"])
    before = {path: path.read_bytes() for path in work.iterdir()}
    for error in (KeyboardInterrupt, UsageError("no device")):
        with monkeypatch.context() as patch:
            if step == 0:
                patch.setattr("mpikit.train.fit_scans", stopping(error))
            with pytest.raises((KeyboardInterrupt, UsageError)):
                interrupted_by(sources, work / "m", step)
        assert {path: path.read_bytes() for path in work.iterdir()} == before


def stopping(error):
    def fit(*_, **__):
        raise error

    return fit


def interrupted_by(sources, model, step):
    parameters = [f"stop_after={step}", "save_every=5"]
    train_files(sources, model, method="learner", parameters=parameters, overwrite=True)


def test_an_old_checkpoint_is_there_until_there_is_a_new_one(sources, work):
    parameters = interrupted(sources, work / "m", 4)
    before = {path: path.read_bytes() for path in work.iterdir()}
    interrupted(sources, work / "m", 2, parameters=["save_every=5"], overwrite=True)
    assert {path: path.read_bytes() for path in work.iterdir()} == before
    resumed = train_files(sources, work / "m", method="learner", parameters=parameters, seed=3, resume=True)
    assert not resumed.files.checkpoint.exists()


def test_after_a_divergence_the_hint_says_how_to_start_anew(sources, work):
    def diverge(event):
        if isinstance(event, Step) and event.index == 3:
            raise NumericalError("training diverged", hint="choose a smaller rate")

    with pytest.raises(NumericalError, match="training diverged") as caught:
        train_files(sources, work / "m", method="learner", tell=diverge)
    assert caught.value.hint == "choose a smaller rate; --force starts anew with other options"
    assert (work / "m.checkpoint").exists()


def test_a_picture_that_cannot_be_written_is_a_warning(sources, work, monkeypatch):
    def full(*_, **__):
        raise InputError("m.png cannot be written: No space left on device")

    monkeypatch.setattr("mpikit.figures_compare.save_training", full)
    told = []
    done = train_files(sources, work / "m", method="learner", tell=told.append)
    assert (done.has_picture, done.files.checkpoint.exists()) == (False, False)
    assert load_model(work / "m")[0] == done.card
    assert any("No space left" in event.text for event in told if isinstance(event, Warned))


def test_nothing_to_resume(sources, work):
    before = names(work)
    with pytest.raises(InputError, match="there is no checkpoint"):
        train_files(sources, work / "m", method="learner", resume=True)
    assert names(work) == before


def test_a_disk_that_is_full_at_the_end(sources, work, monkeypatch):
    """The model cannot be written: the checkpoint is still there, and finishes the work later."""

    def full(*_, **__):
        raise InputError("m cannot be written: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("mpikit.train.save_model", full)
        with pytest.raises(InputError, match="No space left") as caught:
            train_files(sources, work / "m", method="learner")
    assert "--resume" in caught.value.hint
    assert "m" not in names(work)
    train_files(sources, work / "m", method="learner", resume=True)
    whole = train_files(sources, work / "whole", method="learner")
    one, other = (load_model(work / name)[1]["gain"] for name in ("m", "whole"))
    np.testing.assert_array_equal(one, other)
    assert whole.has_picture


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_training(sources, work, monkeypatch):
    write_atomically = checkpoints.write_atomically

    def full(path, content, **how):
        if len(told) < 3:
            raise InputError(f"{path.name} cannot be written: No space left on device")
        write_atomically(path, content, **how)

    told = []
    monkeypatch.setattr("mpikit.checkpoints.write_atomically", full)
    done = train_files(sources, work / "m", method="learner", tell=told.append)
    assert sum("No space left" in event.text for event in told if isinstance(event, Warned)) == 1
    whole = train_files(sources, work / "whole", method="learner")
    assert score_table(done.scores) == score_table(whole.scores)


def test_a_disk_that_is_full_all_along(sources, work, monkeypatch):
    """No checkpoint and no model: the error says that nothing is left."""

    def full(path, content, **how):
        raise InputError(f"{path.name} cannot be written: No space left on device")

    for place in ("checkpoints", "models", "training_log"):
        monkeypatch.setattr(f"mpikit.{place}.write_atomically", full)
    told = []
    with pytest.raises(InputError, match="m cannot be written: No space left") as caught:
        train_files(sources, work / "m", method="learner", tell=told.append)
    assert "nothing of the training is left" in caught.value.hint
    assert sum(isinstance(event, Warned) for event in told) == 2
    assert names(work) == ["a.mdf", "b.mdf"]


def test_going_on_with_another_version_is_warned_of(sources, work, monkeypatch):
    parameters = interrupted(sources, work / "m", 3)
    with monkeypatch.context() as patch:
        patch.setattr("mpikit.train.version", lambda name: f"{name}-9.9")
        told = []
        train_files(
            sources,
            work / "m",
            method="learner",
            parameters=parameters,
            seed=3,
            resume=True,
            tell=told.append,
        )
    said = [event.text for event in told if isinstance(event, Warned)]
    assert [text.split(", it goes on with ")[1].split(":")[0] for text in said] == [
        "mpikit mpikit-9.9",
        "torch torch-9.9",
    ]


def test_two_trainings_of_one_model(sources, work):
    """The second one is refused while the first one goes on, with --force too; the first one is whole."""
    refused = []

    def begin_another(event):
        if isinstance(event, Step) and event.index == 3:
            with pytest.raises(InputError, match="m is being trained by another process") as caught:
                train_files(sources, work / "m", method="learner", overwrite=True)
            refused.append(caught.value.hint)

    done = train_files(sources, work / "m", method="learner", tell=begin_another)
    assert len(refused) == 1
    assert [row["step"] for row in rows(done.files.lines)] == list(range(1, 7))
    assert "m.checkpoint" not in names(work)
    assert not any(name.startswith(".") for name in names(work))


# --- what is refused -------------------------------------------------------------------------------------


def test_nothing_is_written_when_something_is_wrong(sources, work):
    write(work / "none.mdf", repeats="none")
    write(work / "two.mdf", frames=6, periods=2, repeats="both")
    one = read_scan(sources[0])
    short = replace(one, signal=one.signal[:, :, :1], background=one.background[:, :, :1])
    write_scan(short, work / "one-channel.mdf", contents=ABOUT)
    nan = replace(one, signal=np.full_like(one.signal, np.nan))
    write_scan(nan, work / "nan.mdf", contents=ABOUT, user={"/_mpikit/repeats": "frames"})
    (work / "taken").write_text("somebody's")
    (work / "shown.png").write_text("somebody's")
    (work / "empty").mkdir()
    before = names(work)
    a, model = sources[0], work / "m"
    for kind, words, files, output, more in (
        (
            InputError,
            "none.mdf lacks frames or periods that repeat, which learner needs",
            [a, work / "none.mdf"],
            model,
            {},
        ),
        (
            InputError,
            "one-channel.mdf has receive channels 1, a.mdf has 2",
            [a, work / "one-channel.mdf"],
            model,
            {},
        ),
        (InputError, "nan.mdf: the signal has 3888 values that are no", [work / "nan.mdf"], model, {}),
        (InputError, "taken exists already", [a], work / "taken", {}),
        (InputError, r"shown\.png exists already", [a], work / "shown.safetensors", {}),
        (InputError, "is an input", [a], a, {"overwrite": True}),
        (InputError, "does not exist", [a], work / "gone" / "m", {}),
        (InputError, "has no MDF file", [work / "empty"], model, {}),
        (UsageError, "learner has no option 'epochs'", [a], model, {"parameters": ["epochs=3"]}),
        (UsageError, "--repeats periods: a.mdf has N = 12", [a], model, {"repeats": "periods"}),
        (UsageError, "no file is named", [], model, {}),
        (PluginError, "no method is called 'lerner'", [a], model, {"method": "lerner"}),
        (mdf.MdfError, "gone", [work / "gone.mdf"], model, {}),
    ):
        with pytest.raises(kind, match=words):
            train_files(files, output, **{"method": "learner"} | more)
    assert names(work) == before


def test_background_of_some_files_only(work):
    with_empty, without = write(work / "a.mdf"), write(work / "b.mdf", background_frames=0)
    with pytest.raises(InputError, match=r"a\.mdf would lose its background, b\.mdf has none") as caught:
        train_files([with_empty, without], work / "m", method="harmonic")
    assert "--background-file" in caught.value.hint
    empty = write(work / "empty.mdf", frames=2, background_frames=6)
    done = train_files([without], work / "m", method="harmonic", background_files=[empty])
    assert done.card.history["inputs"].keys() == {"b.mdf", "empty.mdf"}
    assert not done.has_picture  # nothing was told step by step
    assert names(work) == ["a.mdf", "b.mdf", "empty.mdf", "m", "m.log.csv", "m.log.jsonl"]


def test_clean_and_denoised_files_are_warned_of(work):
    def simulated(noise):
        return {HISTORY: append_history(None, {"command": "simulate", "options": {"noise": noise}})}

    clean = write(work / "clean.mdf", user=simulated([]))
    noisy = write(work / "noisy.mdf", user=simulated(["gaussian:snr_db=20"]))
    denoised = denoise_file(noisy, method="average").path
    for path, words in ((clean, "a simulation without noise"), (denoised, "denoised before"), (noisy, None)):
        told = []
        train_files([path], work / f"{path.stem}.m", method="learner", tell=told.append)
        said = [event.text for event in told if isinstance(event, Warned) and path.name in event.text]
        assert any(words in text for text in said) if words else not said


def test_files_of_one_name(sources, work):
    (work / "sub").mkdir()
    other = write(work / "sub" / "a.mdf", seed=11)
    done = train_files([sources[0], other], work / "m", method="learner")
    assert done.card.history["inputs"] == {"a.mdf": digest(sources[0]), "a.mdf (2)": digest(other)}


def test_the_plan(sources, work):
    planned = plan_training(sources, work / "m.safetensors", method="learner", parameters=["steps=3"])
    assert planned == {
        "sources": [str(path) for path in sources],
        "model": str(work / "m.safetensors"),
        "checkpoint": str(work / "m.safetensors.checkpoint"),
        "log": [str(work / "m.log.jsonl"), str(work / "m.log.csv")],
        "picture": str(work / "m.png"),
        "method": "learner",
        "distribution": "learner",
        "options": {"steps": 3, "save_every": 1, "stop_after": 0},
        "scans": [
            {"repeats": "frames", "shape": {"N": count, "J": 1, "C": 2, "V": 162}, "background_frames": 4}
            for count in (12, 16)
        ],
    }
    assert names(work) == ["a.mdf", "b.mdf"]
    assert Outputs.beside(work / "m.safetensors").lines.name == "m.log.jsonl"
    versions = [Outputs.beside(work / name) for name in ("unet.v1", "unet.v2", "m.png")]
    assert [each.picture.name for each in versions] == ["unet.v1.png", "unet.v2.png", "m.png.png"]
    assert [each.table.name for each in versions[:2]] == ["unet.v1.log.csv", "unet.v2.log.csv"]
