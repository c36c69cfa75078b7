"""Calls from eight threads, and from eight processes, give what each gives alone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from commands import ONE_FILE, TINY, content
from methods import LEARNED, SOLVERS, options, system

import mpikit
from mpikit import Run
from mpikit.denoise import denoise_scan
from mpikit.denoise_file import denoise_file
from mpikit.plugins import registry
from mpikit.reconstruct import reconstruct_file
from mpikit.testing import example_scan

COUNT = 8
CLASSIC = [name for name in registry().denoisers if name not in LEARNED]
SOME = ("harmonic", "low-rank")  # the others have their turn in the long run, and once all together


def together(works):
    """Do all of some work at once, each in a thread that waits for the others to be there."""
    gate = threading.Barrier(len(works))

    def started(work):
        gate.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(started, works))


def scan_of(number):
    """Return scans that are all different, also in their shapes."""
    return replace(example_scan(frames=6 + number % 3, seed=number), name=f"scan {number}")


def denoiser(name, number):
    def work():
        run = Run(rng=np.random.default_rng(number))
        return denoise_scan(scan_of(number), registry().denoiser(name), options(name), run=run).signal

    return work


def compare(works):
    alone = [work() for work in works]
    for one, beside in zip(alone, together(works), strict=True):
        np.testing.assert_array_equal(one, beside)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "name", [name if name in SOME else pytest.param(name, marks=pytest.mark.soak) for name in CLASSIC]
)
def test_denoisers_in_threads(name):
    compare([denoiser(name, number) for number in range(COUNT)])


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "name", [name if name == "n2n" else pytest.param(name, marks=pytest.mark.soak) for name in LEARNED]
)
def test_learned_denoisers_in_threads(name):
    compare([denoiser(name, number) for number in range(COUNT)])


@pytest.mark.filterwarnings("default")
def test_all_denoisers_at_once():
    compare([denoiser(name, number) for number, name in enumerate(CLASSIC)])


@pytest.mark.parametrize("name", SOLVERS)
def test_solvers_in_threads(name):
    def solver(number):
        return lambda: SOLVERS[name](*system(rows=25 + number, seed=number))

    compare([solver(number) for number in range(COUNT)])


def test_simulations_in_threads():
    def simulation(number):
        noise = ("gaussian:snr_db=5", "background", "coloured")
        return lambda: mpikit.simulate("openmpi-2d", size=(7, 5), noise=noise, frames=2, seed=number).signal

    compare([simulation(number) for number in range(COUNT)])


def file_denoiser(folder, output, number):
    method = ("harmonic", "low-rank", "wiener", "savgol")[number % 4]

    def work():
        denoise_file(folder / "frame.mdf", method=method, output=folder / output, seed=number, overwrite=True)
        return content(folder / output)

    return work


def file_reconstructor(folder, output, number):
    def work():
        reconstruct_file(
            folder / "frame.mdf",
            system_matrix=folder / "sm.mdf",
            output=folder / output,
            method=("kaczmarz", "cgls")[number % 2],
            iterations=2 + number,
            overwrite=True,
        )
        return content(folder / output)

    return work


@pytest.mark.filterwarnings("default")
@pytest.mark.soak
@pytest.mark.parametrize("kind", [file_denoiser, file_reconstructor])
def test_files_in_threads(folder, kind):
    """All read the same files; HDF5 has one lock for the process."""
    alone = [kind(folder, f"alone{number}.mdf", number)() for number in range(COUNT)]
    found = together([kind(folder, f"beside{number}.mdf", number) for number in range(COUNT)])
    assert found == alone
    assert len({str(each) for each in alone}) == (4 if kind is file_denoiser else COUNT)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("count", [4, pytest.param(COUNT, marks=pytest.mark.soak)])
def test_denoising_and_reconstruction_at_once(folder, count):
    kinds = (file_denoiser, file_reconstructor)
    alone = [kinds[n % 2](folder, f"alone{n}.mdf", n)() for n in range(count)]
    assert together([kinds[n % 2](folder, f"beside{n}.mdf", n) for n in range(count)]) == alone


@pytest.mark.soak
@pytest.mark.filterwarnings("default")
def test_in_memory_in_threads(files):
    scans = [mpikit.load(files / name) for name in ("scan.mdf", "frame.mdf")]

    def work(number):
        def denoised():
            return mpikit.denoise(scans[number % 2], "harmonic", seed=number).signal

        def reconstructed():
            return mpikit.reconstruct(scans[1], files / "sm.mdf", iterations=1 + number).values

        return denoised if number % 4 < 2 else reconstructed

    compare([work(number) for number in range(COUNT)])


COMMANDS = ONE_FILE | {"denoise with a network": ("denoise", "-m", "unet-gd", *TINY, "scan.mdf")}


def process(folder, name, output):
    return subprocess.Popen(
        [sys.executable, "-c", "from mpikit.cli import main; main()", *COMMANDS[name], "-o", output],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.soak
@pytest.mark.parametrize("name", COMMANDS)
def test_eight_processes(server, folder, name):
    """All read the same files and write beside each other."""
    done = server.run(*COMMANDS[name], "-o", "alone.mdf", folder=folder)
    assert done["code"] == 0, done["err"]
    started = [process(folder, name, f"{number}.mdf") for number in range(COUNT)]
    for number, each in enumerate(started):
        _, err = each.communicate(timeout=300)
        assert each.returncode == 0, err
        assert content(folder / f"{number}.mdf") == content(folder / "alone.mdf")
