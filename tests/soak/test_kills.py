"""A command that is killed at any moment leaves its output absent or complete, and what was there intact."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from commands import ONE_FILE, WRITERS, content, hashes
from PIL import Image

import mdf
from mpikit.checkpoints import _read
from mpikit.models import load_model

OLD = b"what was there before"
FEW, MANY = 4, 200
SIZES = [FEW, pytest.param(MANY, marks=pytest.mark.soak)]

TRAIN = (
    *("train", "-m", "unet-gd", "scan.mdf", "-o", "model.safetensors"),
    *("-p", "steps=12", "-p", "features=4", "-p", "batch=4", "-p", "evaluate_every=3"),
)
REPRODUCE = ("reproduce", "peng-figure4", "--scale", "smoke", "-o", "out", "--resume")


@pytest.mark.parametrize("kills", SIZES)
@pytest.mark.parametrize("name", ONE_FILE)
def test_output_is_absent_or_complete(server, folder, generator, figure, name, kills):
    inputs = hashes(folder)
    pictures = [folder / "out.png", folder / "out.lambda.png"]
    command = (*ONE_FILE[name], "--quiet", "-o", "out.mdf")
    whole = server.run(*command, folder=folder)
    assert whole["code"] == 0, whole["err"]
    out = folder / "out.mdf"
    wanted = content(out)
    assert len(wanted) > 10
    landed = 0
    for number in range(kills):
        replacing = number % 2 == 1
        if replacing:
            out.write_bytes(OLD)
        else:
            for path in (out, *pictures):
                path.unlink(missing_ok=True)
        moment = generator.uniform(0, 1.05 * whole["seconds"])
        ended = server.run(*command, *(["--force"] if replacing else []), folder=folder, kill_after=moment)
        assert ended["code"] in {-9, 0}, ended["err"]
        killed = ended["code"] == -9
        landed += killed
        for path in filter(Path.exists, pictures):
            Image.open(path).load()
        if killed and (out.read_bytes() == OLD if replacing else not out.exists()):
            continue
        assert content(out) == wanted
        assert [each for each in mdf.validate(out) if each.is_error] == []
    assert landed >= kills / 2
    assert {key: value for key, value in hashes(folder).items() if key in inputs} == inputs
    last = server.run(*command, "--force", folder=folder)
    assert last["code"] == 0, last["err"]
    assert content(out) == wanted
    figure(f"{name}: {landed} of {kills} runs of {whole['seconds']:.2f} s were killed; none left a torn file")


@pytest.mark.parametrize(
    ("name", "kills"),
    [
        *(("compare", 2), ("report", 2)),
        *(pytest.param(name, 50, marks=pytest.mark.soak) for name in WRITERS if name not in ONE_FILE),
    ],
)
def test_other_outputs_are_absent_or_complete(dated_server, folder, generator, figure, name, kills):
    """Tables, pages, pictures, arrays: each whole, byte by byte, or the old one."""
    arguments, out = WRITERS[name]
    command = (*arguments, "--force", "-o", out)
    before = hashes(folder)
    whole = dated_server.run(*command, folder=folder)
    assert whole["code"] == 0, whole["err"]
    wanted = hashes(folder)
    made = [key for key in wanted if key not in before and not key.endswith((".log.csv", ".log.png"))]
    landed = 0
    for number in range(kills):
        for key in made:
            (folder / key).unlink(missing_ok=True)
        if number % 2:
            (folder / out).write_bytes(OLD)
        older = hashes(folder)
        moment = generator.uniform(0, 1.05 * whole["seconds"])
        ended = dated_server.run(*command, folder=folder, kill_after=moment)
        assert ended["code"] in {-9, 0}, ended["err"]
        landed += ended["code"] == -9
        found = hashes(folder)
        allowed = [wanted] if ended["code"] == 0 else [wanted, older]
        for key in made:
            assert found.get(key) in [each.get(key) for each in allowed], key
        assert {key: found[key] for key in before} == before
    figure(f"{name}: {landed} of {kills} runs of {whole['seconds']:.2f} s were killed; none left a torn file")


@pytest.mark.parametrize("kills", [FEW // 2, SIZES[1]])
def test_several_files_are_gone_on_with_after_any_kill(server, folder, generator, figure, kills):
    command = ("denoise", "-m", "low-rank", "scan.mdf", "frame.mdf", "-o", "denoised", "--resume", "--quiet")
    whole = server.run(*command, folder=folder)
    assert whole["code"] == 0, whole["err"]
    out = folder / "denoised"
    wanted = {path.name: content(path) for path in out.glob("*.mdf")}
    assert len(wanted) == 2
    shutil.rmtree(out)
    landed = finished = 0
    while landed < kills or not finished:
        moment = generator.uniform(0, whole["seconds"]) if landed < kills else None
        ended = server.run(*command, folder=folder, kill_after=moment)
        assert ended["code"] in {-9, 0}, ended["err"]
        landed += ended["code"] == -9
        for path in out.glob("*.mdf"):
            assert content(path) == wanted[path.name]
        if ended["code"] == 0:
            finished += 1
            assert len(list(out.glob("*.mdf"))) == 2
            shutil.rmtree(out)
    figure(f"denoise of two files: {landed} kills over {finished} runs; each file equals that of one go")


@pytest.mark.parametrize("kills", SIZES)
def test_training_goes_on_after_any_kill(server, folder, generator, figure, kills):
    """Each kill meets the training where the one before has left it; the model is the same in the end."""
    whole = server.run(*TRAIN, "--quiet", folder=folder)
    assert whole["code"] == 0, whole["err"]
    model, checkpoint = folder / "model.safetensors", folder / "model.safetensors.checkpoint"
    wanted = tensors(model)
    older = server.run(*TRAIN, "--quiet", "--seed", "7", "--force", folder=folder)
    assert older["code"] == 0, older["err"]
    old = model.read_bytes()
    assert tensors(model) != wanted
    landed = finished = 0
    while landed < kills or not finished:
        if not checkpoint.exists():  # a new training, now over an older model, now without one
            replacing = finished % 2 == 1
            model.unlink(missing_ok=True)
            if replacing:
                model.write_bytes(old)
        more = ("--force", "--resume") if checkpoint.exists() else ("--force",)
        moment = generator.uniform(0, whole["seconds"]) if landed < kills else None
        ended = server.run(*TRAIN, "--quiet", *more, folder=folder, kill_after=moment)
        assert ended["code"] in {-9, 0}, ended["err"]
        killed = ended["code"] == -9
        landed += killed
        if checkpoint.exists():
            assert _read(checkpoint)
        if killed and (model.read_bytes() == old if replacing else not model.exists()):
            continue
        load_model(model)
        assert tensors(model) == wanted
        finished += 1
        checkpoint.unlink(missing_ok=True)  # of one that was killed after its last step
    figure(f"train: {landed} kills over {finished} trainings; each model equals that of one go")


def tensors(model: Path) -> bytes:
    """What stands behind the header of a safetensors file."""
    found = model.read_bytes()
    return found[8 + int.from_bytes(found[:8], "little") :]


@pytest.mark.parametrize("kills", [1, SIZES[1]])
def test_an_experiment_goes_on_after_any_kill(server, tmp_path, generator, figure, kills):
    whole = server.run(*REPRODUCE, "--quiet", folder=tmp_path)
    assert whole["code"] == 0, whole["err"]
    out = tmp_path / "out"
    wanted = figures(out)
    landed = finished = 0
    shutil.rmtree(out)
    while landed < kills or not finished:
        moment = generator.uniform(0, 0.4 * whole["seconds"]) if landed < kills else None
        ended = server.run(*REPRODUCE, "--quiet", folder=tmp_path, kill_after=moment)
        assert ended["code"] in {-9, 0}, ended["err"]
        landed += ended["code"] == -9
        for path in (out / "pieces").glob("*.json"):
            assert set(json.loads(path.read_text())) >= {"values", "about"}
        if (out / "results.json").exists():
            assert figures(out) == wanted
        if ended["code"] == 0:
            finished += 1
            shutil.rmtree(out)
    figure(f"reproduce: {landed} kills over {finished} runs; the figures equal those of one go")


def figures(out: Path) -> list:
    """Return the figures of a run, without the time that they took."""
    found = json.loads((out / "results.json").read_text())["figures"]
    return [{key: value for key, value in each.items() if key != "fit_seconds"} for each in found]
