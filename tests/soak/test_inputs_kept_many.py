"""Inputs are kept where an output only meets them by its name: batches, companions, plans, locks, sources."""

from __future__ import annotations

import os

import h5py
import pytest
from commands import IMAGE, TINY, hashes

FORCE = ("--force",)
EVERY_HARMONIC = ("denoise", "-m", "harmonic")
RECONSTRUCT = ("reconstruct", "--system-matrix", "sm.mdf", "--iterations", "3")


def copy(folder, source, name):
    """Give a file a second place of its own, which may be written."""
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes((folder / source).read_bytes())
    return name


def refused(server, folder, *line, code=(2, 3)):
    """Run a command that must say no, and change nothing; return what it said."""
    before = hashes(folder)
    done = server.run(*line, folder=folder)
    assert done["code"] in code, done
    assert "error: " in done["err"]
    assert "Traceback" not in done["err"]
    assert hashes(folder) == before
    return done["err"]


# --- several files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [(), FORCE, ("--force", "--dry-run"), ("--resume",)])
def test_denoising_several_replaces_none_of_them(server, folder, more):
    other = copy(folder, "scan.mdf", "scan.harmonic.mdf")
    said = refused(server, folder, *EVERY_HARMONIC, "scan.mdf", other, *more, code={2})
    assert "the output of scan.mdf, scan.harmonic.mdf, is the input scan.harmonic.mdf" in said


def test_denoising_several_replaces_no_empty_measurement_and_no_model(server, folder):
    empty = copy(folder, "scan.mdf", "scan.harmonic.mdf")
    other = copy(folder, "scan.mdf", "other.mdf")
    line = (*EVERY_HARMONIC, "scan.mdf", other, "--force")
    assert "is the input" in refused(server, folder, *line, "--background-file", empty, code={2})
    (folder / "linked.mdf").symlink_to(folder / empty)
    assert "is the input" in refused(server, folder, *line, "--background-file", "linked.mdf", code={2})
    train = ("train", "-m", "unet-gd", *TINY, "scan.mdf", "-o", "m.safetensors")
    assert server.run(*train, folder=folder)["code"] == 0
    (folder / "scan.unet-gd.mdf").symlink_to(folder / "m.safetensors")
    said = refused(
        server, folder, "denoise", "scan.mdf", other, "--model", "m.safetensors", "--force", code={2}
    )
    assert "is the input m.safetensors" in said


@pytest.mark.parametrize("more", [FORCE, ("--force", "--dry-run")])
@pytest.mark.parametrize("taken", ["frame.reconstruction.mdf", "frame.reconstruction.png"])
def test_reconstructing_several_replaces_none_of_them(server, folder, taken, more):
    other = copy(folder, "frame.mdf", taken)
    said = refused(server, folder, *RECONSTRUCT, "frame.mdf", other, *more, code={2})
    assert f"the output of frame.mdf, {taken}, is the input {taken}" in said


def test_reconstructing_several_replaces_no_system_matrix(server, folder):
    other = copy(folder, "frame.mdf", "other.mdf")
    matrix = copy(folder, "sm.mdf", "matrices/frame.reconstruction.mdf")
    for named in ("matrices", matrix):
        line = ("reconstruct", "frame.mdf", other, "--system-matrix", named, "-o", "matrices", "--force")
        assert f"is the input {matrix}" in refused(server, folder, *line, code={2})


def test_figures_of_several_replace_none_of_them(server, folder):
    other = copy(folder, "scan.mdf", "scan.plot.png")
    said = refused(server, folder, "plot", "scan.mdf", other, "--force", code={2})
    assert "the output of scan.mdf, scan.plot.png, is the input" in said
    inside = copy(folder, "scan.mdf", "figures/frame.plot.png")
    refused(server, folder, "plot", "frame.mdf", inside, "-o", "figures", "--force", code={2})


def test_a_report_replaces_none_of_its_files(server, folder):
    other = copy(folder, "scan.mdf", "scan.report.html")
    assert "is an input" in refused(server, folder, "report", "scan.mdf", "--before", other, "--force")


@pytest.mark.parametrize("part", ["test", "background", "systemmatrix"])
def test_files_of_a_preset_do_not_replace_it(server, folder, part):
    from importlib.resources import files

    own = folder / "set"
    own.mkdir()
    text = (files("mpikit.simulate") / "scanners" / "dahms2026.toml").read_text(encoding="utf-8")
    (own / f"{part}.mdf").write_text(text)
    assert f'name = "{part}"' in text
    names = [path.name for path in own.iterdir()]
    done = refused(server, folder, "simulate", f"set/{part}.mdf", "-o", "set", "--force")
    assert "is an input" in done
    assert [path.name for path in own.iterdir()] == names


# --- what stands beside an output ------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["lambda.png", "uncertainty.png"])
def test_a_measurement_with_the_name_of_a_stale_picture_stays(server, folder, ending):
    assert server.run(*IMAGE, "-o", "out.mdf", folder=folder)["code"] == 0
    source = copy(folder, "frame.mdf", f"out.{ending}")
    other = "out.uncertainty.png" if ending == "lambda.png" else "out.lambda.png"
    (folder / other).write_text("my own notes")
    before = hashes(folder)
    done = server.run("reconstruct", source, *RECONSTRUCT[1:], "-o", "out.mdf", "--force", folder=folder)
    assert done["code"] == 0, done["err"]
    after = hashes(folder)
    for kept in (source, other, "frame.mdf", "sm.mdf"):
        assert after[kept] == before[kept]


@pytest.mark.parametrize("content", [b"notes", b"12345x", b"1" * 30])
def test_the_lock_of_a_training_is_no_file_of_the_user(server, folder, content):
    lock = folder / ".m.safetensors.lock"
    lock.write_bytes(content)
    refused(server, folder, "train", "-m", "low-rank", "scan.mdf", "-o", "m.safetensors", "--force")
    assert lock.read_bytes() == content


@pytest.mark.parametrize("link", ["symbolic", "hard"])
@pytest.mark.parametrize("line", ["train", "reproduce"])
def test_the_lock_of_a_work_leads_to_no_other_file(server, folder, link, line):
    victim = folder / copy(folder, "scan.mdf", "victim.mdf")
    if line == "train":
        lock = folder / ".m.safetensors.lock"
        command = ("train", "-m", "low-rank", "scan.mdf", "-o", "m.safetensors", "--force")
    else:
        from mpikit.experiments.run import LOCK

        (folder / "out").mkdir()
        lock = folder / "out" / LOCK
        command = ("reproduce", "peng-table2", "--scale", "smoke", "-o", "out", "--force")
    if link == "symbolic":
        lock.symlink_to(victim)
    else:
        lock.hardlink_to(victim)
    said = refused(server, folder, *command)
    assert str(lock.name) in said
    assert os.path.lexists(lock)


# --- plans -----------------------------------------------------------------------------------------------

PLANS = {
    "denoise": ('[denoise]\nfiles = ["scan.mdf"]\nmethod = "low-rank"\n', "plan.mdf", "plan.mdf"),
    "a companion": ('[train]\nfiles = ["scan.mdf"]\nmethod = "low-rank"\n', "q.log.csv", "q.safetensors"),
    "simulate": ('[simulate]\npreset = "openmpi-2d"\nframes = 2\n', "plan.mdf", "plan.mdf"),
    "convert": ('[convert]\nfile = "scan.mdf"\n', "plan.mdf", "plan.mdf"),
    "reconstruct": (
        '[reconstruct]\nfiles = ["frame.mdf"]\nsystem_matrix = "sm.mdf"\n', "image.png", "image.mdf",
    ),
    "report": ('[report]\nfiles = ["scan.mdf"]\n', "plan.html", "plan.html"),
    "plot": ('[plot]\nfiles = ["scan.mdf"]\n', "plan.png", "plan.png"),
    "noise": ('[noise]\nfile = "scan.mdf"\n', "plan.png", "plan.png"),
    "compare": ('[compare]\nfile = "scan.mdf"\nmethods = "harmonic"\n', "plan.csv", "plan.csv"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("link", [False, True])
def test_a_plan_is_an_input(server, folder, name, link):
    text, plan, out = PLANS[name]
    (folder / plan).write_text(text)
    if link:
        (folder / "plan.toml").hardlink_to(folder / plan)
        plan = "plan.toml"
    verb = text[1 : text.index("]")]
    said = refused(server, folder, verb, "--config", plan, "-o", out, "--force")
    assert "is an input" in said


def test_a_plan_of_several_files_is_an_input(server, folder):
    other = copy(folder, "scan.mdf", "other.mdf")
    plan = "scan.harmonic.mdf"
    (folder / plan).write_text(f'[denoise]\nfiles = ["scan.mdf", "{other}"]\nmethod = "harmonic"\n')
    assert f"is the input {plan}" in refused(server, folder, "denoise", "--config", plan, "--force", code={2})


# --- files behind files ----------------------------------------------------------------------------------


def virtual(folder, name, source):
    """Write a scan whose data stands in another file."""
    copy(folder, "scan.mdf", name)
    with h5py.File(folder / source) as from_file, h5py.File(folder / name, "r+") as hdf:
        data = from_file["/measurement/data"]
        layout = h5py.VirtualLayout(data.shape, data.dtype)
        layout[...] = h5py.VirtualSource(source, "/measurement/data", data.shape, data.dtype)
        del hdf["/measurement/data"]
        hdf.create_virtual_dataset("/measurement/data", layout)


def test_the_source_of_a_virtual_dataset_is_an_input(server, folder):
    virtual(folder, "v.mdf", copy(folder, "scan.mdf", "B.mdf"))
    line = ("denoise", "-m", "low-rank", "v.mdf", "--force")
    assert "is an input" in refused(server, folder, *line, "-o", "B.mdf")
    copy(folder, "scan.mdf", "v.low-rank.mdf")
    virtual(folder, "w.mdf", "v.low-rank.mdf")
    said = refused(server, folder, *line, "w.mdf", code={2})
    assert "v.low-rank.mdf, is the input w.mdf" in said


def test_a_repeated_reconstruction_does_not_replace_the_first(server, folder):
    assert server.run(*IMAGE, "-o", "out.mdf", folder=folder)["code"] == 0
    for more in ((), ("--dry-run",)):
        said = refused(server, folder, "reconstruct", "--rerun", "out.mdf", "-o", "out.mdf", "--force", *more)
        assert "is an input" in said
