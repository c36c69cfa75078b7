"""A command that is killed at any moment leaves its output absent or complete, and what was there intact."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from commands import ONE_FILE, content, hashes

import mdf
from mpikit.checkpoints import _read
from mpikit.models import load_model

FEW, MANY = 6, 200
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
            out.write_bytes(b"what was there before")
        else:
            for path in (out, *pictures):
                path.unlink(missing_ok=True)
        moment = generator.uniform(0, 1.05 * whole["seconds"])
        ended = server.run(*command, *(["--force"] if replacing else []), folder=folder, kill_after=moment)
        assert ended["code"] in {-9, 0}, ended["err"]
        landed += ended["code"] == -9
        if replacing and out.read_bytes() == b"what was there before":
            continue
        if ended["code"] == 0 or out.exists():
            assert content(out) == wanted
            assert [each for each in mdf.validate(out) if each.is_error] == []
    assert landed >= kills / 2
    assert {key: value for key, value in hashes(folder).items() if key in inputs} == inputs
    last = server.run(*command, "--force", folder=folder)
    assert last["code"] == 0, last["err"]
    assert content(out) == wanted
    figure(f"{name}: {landed} of {kills} runs of {whole['seconds']:.2f} s were killed; none left a torn file")


@pytest.mark.parametrize("kills", SIZES)
def test_training_goes_on_after_any_kill(server, folder, generator, figure, kills):
    """Each kill meets the training where the one before has left it; the model is the same in the end."""
    whole = server.run(*TRAIN, "--quiet", folder=folder)
    assert whole["code"] == 0, whole["err"]
    model, checkpoint = folder / "model.safetensors", folder / "model.safetensors.checkpoint"
    wanted = model.read_bytes()
    card = load_model(model)[0]
    landed = finished = 0
    while landed < kills or not finished:
        going_on = checkpoint.exists()
        moment = generator.uniform(0, whole["seconds"]) if landed < kills else None
        more = ("--force", "--resume") if going_on else ("--force",)  # there is an older model
        ended = server.run(*TRAIN, "--quiet", *more, folder=folder, kill_after=moment)
        assert ended["code"] in {-9, 0}, ended["err"]
        landed += ended["code"] == -9
        assert load_model(model)[0].method == card.method  # complete, the old or the new
        assert tensors(model.read_bytes()) == tensors(wanted)
        if checkpoint.exists():
            assert _read(checkpoint)
        if ended["code"] == 0:
            finished += 1
            model.write_bytes(wanted)
    figure(f"train: {landed} kills over {finished} trainings; each model equals that of one go")


def tensors(content: bytes) -> bytes:
    """What stands behind the header of a safetensors file."""
    return content[8 + int.from_bytes(content[:8], "little") :]


@pytest.mark.parametrize("kills", [FEW // 2, SIZES[1]])
def test_an_experiment_goes_on_after_any_kill(server, tmp_path, generator, figure, kills):
    whole = server.run(*REPRODUCE, "--quiet", folder=tmp_path)
    assert whole["code"] == 0, whole["err"]
    out = tmp_path / "out"
    wanted = figures(out)
    landed = finished = 0
    shutil.rmtree(out)
    while landed < kills or not finished:
        moment = generator.uniform(0, 0.8 * whole["seconds"]) if landed < kills else None
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
