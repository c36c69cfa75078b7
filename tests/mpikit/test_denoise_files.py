"""Several files with one method: shared among workers, of which one dies, and gone on with later."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from mpikit import denoise_files as module
from mpikit.denoise_file import denoise_file
from mpikit.denoise_files import Outcome, denoise_files, plan_files
from mpikit.denoise_job import Request
from mpikit.errors import InputError, UsageError
from mpikit.events import Finding, Step
from mpikit.provenance import HISTORY
from mpikit.scan_file import unsaid, write_scan
from mpikit.testing import example_scan

NAMES = "abcde"
PATIENT = """
import os
import time
from pathlib import Path

import numpy as np
from pydantic import Field

from mpikit import Denoiser, Options, StatelessMethod, hookimpl


class PatientOptions(Options):
    folder: str = Field("", description="Where to say who is at work on the scan that waits")
    waits: str = Field("", description="Name of the scan that waits to be killed, once")


class Patient(StatelessMethod):
    def __init__(self, options):
        self.options = options

    def denoise(self, scan, /, *, run):
        folder = Path(self.options.folder)
        if scan.name == self.options.waits and not (folder / "killed").exists():
            (folder / "writing").write_text(str(os.getpid()))
            (folder / "writing").rename(folder / "victim")
            time.sleep(600)
        return (scan.signal + run.rng.normal(size=scan.signal.shape)).astype(np.float32)


@hookimpl
def mpikit_denoisers():
    yield Denoiser(name="patient", summary="Waits", build=Patient, options=PatientOptions)
"""


@pytest.fixture
def scans(tmp_path):
    """A folder with five small measurements."""
    folder = tmp_path / "scans of a day"
    folder.mkdir()
    for seed, name in enumerate(NAMES):
        scan = example_scan(frames=6, seed=seed)
        write_scan(scan, folder / f"{name}.mdf", contents=unsaid(scan))
    return folder


@pytest.fixture(scope="module")
def cluster():
    """Address of a scheduler with one worker in a thread of this process."""
    import distributed

    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
    ) as made:
        yield made.scheduler_address


def content(path):
    """Everything in a file but its own identity and the times in its history, bytes by name."""
    found = {}

    def take(name, node):
        if isinstance(node, h5py.Dataset) and name not in ("uuid", "time"):
            value = node[()]
            if f"/{name}" == HISTORY:
                records = json.loads(value)
                value = json.dumps([{**record, "at": None} for record in records]).encode()
            value = np.asarray(value)
            found[name] = value.tolist() if value.dtype.hasobject else (value.dtype, value.tobytes())

    with h5py.File(path) as file:
        file.visititems(take)
    return found


def assert_same(folder, other):
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in other.iterdir() if not path.name.startswith("."))
    assert len(names) == len(NAMES)
    for name in names:
        one, two = content(folder / name), content(other / name)
        assert set(one) == set(two)
        assert [key for key in one if one[key] != two[key]] == []
        assert "measurement/data" in one


def test_a_cluster_makes_files_as_this_process_does(scans, cluster, tmp_path, monkeypatch):
    (scans / "c.mdf").write_bytes(b"no file")
    monkeypatch.chdir(tmp_path)
    sources, told = [Path(scans.name) / f"{name}.mdf" for name in "abc"], ([], [])
    alone = denoise_files(sources, method="harmonic", folder=Path("one"), tell=told[0].append)
    shared = denoise_files(
        sources, method="harmonic", folder=Path("two"), scheduler=cluster, tell=told[1].append
    )
    for one, other in zip(alone, shared, strict=True):
        assert one.source == other.source
        assert one.scores == other.scores
        assert (one.before, one.after, one.cite) == (other.before, other.after, other.cite)
    assert [outcome.output for outcome in shared] == [
        Path("two/a.harmonic.mdf"),
        Path("two/b.harmonic.mdf"),
        None,
    ]
    assert "c.mdf" in shared[2].error
    for name in "ab":
        assert content(f"one/{name}.harmonic.mdf") == content(f"two/{name}.harmonic.mdf")
    words = [[event.text for event in events if isinstance(event, Finding)] for events in told]
    assert words[0] == words[1]
    assert [line for line in words[1] if line.startswith("== ")] == [
        f"== {number}/3 scans of a day/{name}.mdf" for number, name in enumerate("abc", 1)
    ]
    assert [event for event in told[1] if isinstance(event, Step)] == [Step(index, 3) for index in (1, 2, 3)]


@pytest.mark.slow
def test_torch_computes_with_as_many_threads_on_a_worker(scans, cluster, tmp_path, monkeypatch):
    counts = []
    monkeypatch.setattr(module, "torch_threads", lambda: 3)
    monkeypatch.setattr(module, "set_torch_threads", counts.append)
    few = ("steps=2", "features=3")
    how = {"folder": tmp_path / "out", "parameters": few, "device": "cpu", "scheduler": cluster}
    denoise_files([scans / "a.mdf", scans / "b.mdf"], method="unet-gd", **how)
    assert counts == [3, 3]
    denoise_files([scans / "a.mdf"], method="average", folder=tmp_path / "out", scheduler=cluster)
    assert counts == [3, 3]


@pytest.mark.slow
def test_a_worker_that_is_killed_takes_no_file_with_it(scans, tmp_path, installed):
    """The others go on, and what it was at is made once more, to the same bytes."""
    import distributed

    installed("patient", PATIENT)
    parameters = (f"folder={tmp_path}", "waits=b.mdf")
    how = {"method": "patient", "parameters": parameters, "seed": 3}
    victims = []

    def kill():
        for _ in range(10_000):
            if (tmp_path / "victim").exists():
                victims.append(int((tmp_path / "victim").read_text()))
                (tmp_path / "killed").touch()
                os.kill(victims[0], signal.SIGKILL)
                return
            time.sleep(0.05)

    killer = threading.Thread(target=kill)
    quiet = {"dashboard_address": "127.0.0.1:0", "silence_logs": 50}
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, **quiet) as cluster:
        killer.start()
        shared = denoise_files(
            [scans], folder=tmp_path / "shared", scheduler=cluster.scheduler_address, **how
        )
        killer.join()
    assert victims
    assert os.getpid() not in victims
    assert [(each.error, each.output.name) for each in shared] == [
        ("", f"{name}.patient.mdf") for name in NAMES
    ]
    denoise_files([scans], folder=tmp_path / "alone", **how)
    assert_same(tmp_path / "alone", tmp_path / "shared")


def test_what_a_worker_wrote_before_it_died_is_done(scans, tmp_path):
    """Its piece is made once more: the output is there by then, and is no mistake of the user."""
    source, output, told = scans / "a.mdf", tmp_path / "a.average.mdf", []
    making = module._Making(Request("average"), resume=False)
    file = module._File(1, source, output, there=True, fresh=True)
    first = making(file, told.append)
    before = output.read_bytes()
    again = making(file, told.append)
    assert (again.output, again.kept, again.scores, again.error) == (output, False, first.scores, "")
    assert output.read_bytes() == before
    assert "exists already" in making(replace(file, fresh=False), told.append).error
    other = module._Making(Request("average", seed=1), resume=False)(file, told.append)
    assert "its seed is 0" in other.error
    assert output.read_bytes() == before


def test_a_worker_that_does_not_see_the_folder(scans):
    file = module._File(1, scans / "gone.mdf", scans / "x.mdf", there=True, fresh=True)
    outcome = module._Making(Request("average"), resume=False)(file, print)
    assert f"does not see {scans / 'gone.mdf'}" in outcome.error
    assert "mount" in outcome.hint
    outcome = module._Making(Request("average"), resume=False)(replace(file, there=False), print)
    assert "does not see" not in outcome.error
    assert outcome.error


def stop_at(name):
    """Press Ctrl-C when a file begins."""

    def tell(event):
        if isinstance(event, Finding) and event.name == "file" and str(event.value).endswith(name):
            raise KeyboardInterrupt

    return tell


def test_an_interrupted_folder_is_gone_on_with(scans, tmp_path):
    out, told = tmp_path / "out", []
    stop = stop_at("c.mdf")

    def tell(event):
        told.append(event)
        stop(event)

    with pytest.raises(KeyboardInterrupt):
        denoise_files([scans], method="harmonic", folder=out, tell=tell)
    assert told[-1].text.startswith("2 of 5 files are done")
    assert "--resume" in told[-1].text
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert sorted(before) == ["a.harmonic.mdf", "b.harmonic.mdf"]
    planned = plan_files([scans], method="harmonic", folder=out, resume=True)
    assert [plan.get("kept", False) for plan in planned] == [True, True, False, False, False]
    done = denoise_files([scans], method="harmonic", folder=out, resume=True)
    assert [outcome.kept for outcome in done] == [True, True, False, False, False]
    assert all(outcome.output and outcome.after and outcome.scores for outcome in done)
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before
    denoise_files([scans], method="harmonic", folder=tmp_path / "at once")
    assert_same(tmp_path / "at once", out)


def test_a_cluster_goes_on_too(scans, tmp_path, cluster):
    out = tmp_path / "out"
    first = denoise_files([scans / "a.mdf"], method="harmonic", folder=out)
    done = denoise_files([scans], method="harmonic", folder=out, resume=True, scheduler=cluster)
    assert [outcome.kept for outcome in done] == [True, False, False, False, False]
    assert (done[0].scores, done[0].before, done[0].after) == (
        first[0].scores,
        first[0].before,
        first[0].after,
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 1}, "its seed is 0"),
        ({"parameters": ("symmetry=off",)}, "its options differ (symmetry)"),
        ({"repeats": "frames"}, "its options differ (repeats)"),
        ({"background_files": ("e.mdf",)}, "its empty measurements are others"),
    ],
)
def test_what_was_made_in_another_way_is_an_error_or_replaced(scans, tmp_path, change, words):
    source, out = scans / "a.mdf", tmp_path / "out"
    if "background_files" in change:
        change = {"background_files": [scans / name for name in change["background_files"]]}
    denoise_files([source], method="harmonic", folder=out)
    how = {"method": "harmonic", "folder": out, "resume": True, **change}
    (outcome,) = denoise_files([source], **how)
    assert words in outcome.error
    assert "exists already" in outcome.error
    assert "--force" in outcome.hint
    (planned,) = plan_files([source], **how)
    assert words in planned["error"]
    (outcome,) = denoise_files([source], **how, overwrite=True)
    assert (outcome.error, outcome.kept) == ("", False)
    (outcome,) = denoise_files([source], **how, overwrite=True)
    assert (outcome.error, outcome.kept) == ("", True)


def test_another_source_of_the_same_name_and_a_file_that_was_not_denoised(scans, tmp_path):
    out = tmp_path / "out"
    denoise_files([scans / "a.mdf"], method="average", folder=out)
    (scans / "a.mdf").write_bytes((scans / "b.mdf").read_bytes())
    (outcome,) = denoise_files([scans / "a.mdf"], method="average", folder=out, resume=True)
    assert "a.mdf, or the model, is another file now" in outcome.error
    (out / "a.average.mdf").write_bytes((scans / "b.mdf").read_bytes())
    (outcome,) = denoise_files([scans / "a.mdf"], method="average", folder=out, resume=True)
    assert "it was not denoised" in outcome.error
    (out / "a.average.mdf").write_bytes(b"cut")
    (outcome,) = denoise_files([scans / "a.mdf"], method="average", folder=out, resume=True)
    assert "a.average.mdf" in outcome.error


def test_auto_is_kept_when_the_same_candidates_are_asked_for(scans, tmp_path):
    how = {"folder": tmp_path / "out", "resume": True}
    (first,) = denoise_files([scans / "a.mdf"], parameters=("candidates=average,harmonic",), **how)
    assert first.auto["method"]
    (again,) = denoise_files([scans / "a.mdf"], parameters=("candidates=average,harmonic",), **how)
    assert (again.kept, again.auto) == (True, json.loads(json.dumps(first.auto)))
    (other,) = denoise_files([scans / "a.mdf"], parameters=("candidates=average,low-rank",), **how)
    assert "its options differ (harmonic, low-rank)" in other.error


def test_a_model_is_told_by_its_content(scans, tmp_path):
    model = tmp_path / "m"
    denoise_file(scans / "d.mdf", method="harmonic", output=tmp_path / "d.mdf", keep_model=model)
    how = {"model": model, "folder": tmp_path / "out", "resume": True}
    for kept in (False, True):
        (outcome,) = denoise_files([scans / "a.mdf"], **how)
        assert outcome.kept == kept
    denoise_file(
        scans / "e.mdf", method="harmonic", output=tmp_path / "e.mdf", keep_model=model, overwrite=True
    )
    (outcome,) = denoise_files([scans / "a.mdf"], **how)
    assert "a.mdf, or the model, is another file now" in outcome.error


def test_impossible_workers_and_folders(scans, tmp_path):
    with pytest.raises(UsageError, match="exclude each other"):
        denoise_files([scans], method="average", workers=1, scheduler="tcp://a:1")
    with pytest.raises(UsageError, match="the name of a file"):
        denoise_files([scans], method="average", folder=tmp_path / "out.mdf")
    with pytest.raises(InputError, match="nothing but empty measurements"):
        denoise_files([scans / "a.mdf"], method="average", background_files=[scans / "a.mdf"])
    assert not list(tmp_path.glob("out*"))
    assert Outcome(scans).as_json()["output"] is None
