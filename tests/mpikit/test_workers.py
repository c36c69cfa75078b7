"""Blocks in order, whoever makes them."""

import gc
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from mpikit import workers
from mpikit.errors import InputError, NumericalError, UsageError
from mpikit.events import Finding, Step
from mpikit.scan_file import read_scan
from mpikit.simulate import calibrations, scans
from mpikit.simulate.calibration_files import simulate_calibration_file
from mpikit.simulate.files import How, simulate_file
from mpikit.simulate.phantoms import make_phantom
from mpikit.simulate.presets import preset
from mpikit.workers import in_order, one_by_one

NOISE = ["gaussian:snr_db=5", "harmonic:sir_db=10", "background:sbr_db=5,drift_frames=3"]


@dataclass
class Numbers:
    """A plan whose blocks are their own numbers."""

    blocks: int
    before: Callable[[int], None] = lambda _: None
    drawn: list[int] = field(default_factory=list)

    def prepare(self):
        self.prepared = True

    def draw(self, index, /):
        self.before(index)
        self.drawn.append(index)
        return index


def test_the_last_may_be_ready_first():
    plan = Numbers(12, lambda index: time.sleep(0.002 * (12 - index)))
    with in_order(plan) as blocks:
        assert list(blocks) == list(range(12))
    assert sorted(plan.drawn) == list(range(12))


def test_a_plan_without_blocks():
    with in_order(Numbers(0)) as blocks:
        assert list(blocks) == []


@pytest.mark.parametrize("cores", [1, 3, 64])
def test_few_blocks_are_held(monkeypatch, cores):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    plan = Numbers(40)
    with in_order(plan) as blocks:
        assert next(blocks) == 0
        time.sleep(0.02)  # time enough for all of them
        assert 1 <= len(plan.drawn) <= 7  # four threads at most, two more, and the one that was taken
        assert list(blocks) == list(range(1, 40))


def test_what_goes_wrong_in_a_block_is_told_as_it_is():
    def fail(index):
        if index == 5:
            raise UsageError("block 5 is impossible", hint="leave it out")

    plan = Numbers(200, fail)
    taken = []

    def read():
        with in_order(plan) as blocks:
            taken.extend(blocks)

    with pytest.raises(UsageError, match="block 5 is impossible") as caught:
        read()
    assert caught.value.hint == "leave it out"
    assert taken == [0, 1, 2, 3, 4]
    assert len(plan.drawn) < 20


def test_a_reader_that_fails_stops_the_work():
    plan = Numbers(500, lambda _: time.sleep(1e-3))

    def read():
        with in_order(plan) as blocks:
            for block in blocks:
                if block == 3:
                    raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        read()
    done = len(plan.drawn)
    assert done < 20
    time.sleep(0.02)
    assert len(plan.drawn) == done  # and nobody goes on behind the back


def test_a_reader_that_has_enough():
    plan = Numbers(500, lambda _: time.sleep(1e-3))
    with in_order(plan) as blocks:
        assert [next(blocks), next(blocks)] == [0, 1]
    assert len(plan.drawn) < 20


def test_blocks_are_made_by_other_threads():
    names = set()
    plan = Numbers(4, lambda _: names.add(threading.current_thread().name))
    with in_order(plan) as blocks:
        list(blocks)
    assert threading.current_thread().name not in names


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"workers": 0}, "0 workers do no work"),
        ({"workers": -2}, "-2 workers do no work"),
        ({"workers": 2, "scheduler": "tcp://localhost:8786"}, "exclude each other"),
    ],
)
def test_impossible_workers(how, words):
    plan = Numbers(3)
    with pytest.raises(UsageError, match=words) as caught, in_order(plan, **how):
        pass
    assert caught.value.hint
    assert plan.drawn == []


@pytest.fixture
def impatient(monkeypatch):
    """Wait hardly at all for a scheduler.

    A Dask client that could not connect closes itself when it is collected. That must not happen while the
    next one starts: both need the same lock.
    """
    monkeypatch.setattr(workers, "CONNECT", 0.05)
    yield
    gc.collect()


@pytest.mark.usefixtures("impatient")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # as it closes, under load
@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:1", "127.0.0.1:1", "nonsense", "", "tcp://127.0.0.1", "http://127.0.0.1:1"]
)
def test_a_scheduler_that_does_not_answer(address):
    with (
        pytest.raises(InputError, match=f"the Dask scheduler {address} does not answer") as caught,
        in_order(Numbers(3), scheduler=address),
    ):
        pass
    assert "tcp://host:8786" in caught.value.hint


def scanner(averages):
    return preset("openmpi-2d", [f"receiver.averages={averages}", "receiver.adc={bits=14, full_scale=1e-4}"])


def scan_of(chosen, path, noise=NOISE, seed=5, **how):
    grid = chosen.phantom.grid((7, 5))
    phantom = make_phantom("smile", grid, concentration=0.1, count=1, rng=np.random.default_rng(1))
    options = {"frames": 5, "background_frames": 2, "noise": noise, "clean": path.with_suffix(".clean.mdf")}
    simulate_file(chosen, path, phantom=phantom, how=How(seed=seed, **how), **options)
    return read_scan(path)


def calibration_of(chosen, path, **how):
    grid = chosen.calibration.grid((3, 2))
    simulate_calibration_file(chosen, path, grid=grid, how=How(seed=8, **how))
    return read_scan(path)


def assert_same(one, other):
    np.testing.assert_array_equal(one.signal, other.signal)
    np.testing.assert_array_equal(one.background, other.background)
    np.testing.assert_array_equal(one.foreground_index, other.foreground_index)


@pytest.fixture
def one_thread(tmp_path, monkeypatch):
    """A scanner, and the folder of what a single thread made: a scan, its clean twin, a calibration."""
    for module in (scans, calibrations):
        monkeypatch.setattr(module, "_BLOCK", 20_000)  # two frames
    folder = tmp_path / "one"
    folder.mkdir()
    chosen = scanner(3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "cpu_count", lambda: 1)
        scan_of(chosen, folder / "scan.mdf")
        calibration_of(chosen, folder / "sm.mdf")
    return chosen, folder


def test_threads_do_not_change_a_file(one_thread, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    chosen, folder = one_thread
    scan = scan_of(chosen, tmp_path / "scan.mdf")
    assert_same(scan, read_scan(folder / "scan.mdf"))
    assert_same(calibration_of(chosen, tmp_path / "sm.mdf"), read_scan(folder / "sm.mdf"))
    assert_same(read_scan(tmp_path / "scan.clean.mdf"), read_scan(folder / "scan.clean.mdf"))
    another = scan_of(chosen, tmp_path / "other.mdf", seed=6)
    assert not np.array_equal(another.signal, scan.signal)


def test_no_two_blocks_have_the_same_noise(tmp_path, monkeypatch):
    monkeypatch.setattr(scans, "_BLOCK", 1)
    scan = scan_of(scanner(1), tmp_path / "scan.mdf", noise=["gaussian:snr_db=5"])
    frames = np.concatenate([scan.background, scan.signal])
    assert len(np.unique(frames, axis=0)) == len(frames) == 7
    assert not np.array_equal(scan.signal[0] - scan.signal[1], scan.signal[2] - scan.signal[3])


@pytest.mark.slow
def test_processes_do_not_change_a_file(tmp_path):
    chosen = scanner(500)  # two frames fill a block, and most is averaged away
    noise = NOISE[:1]
    alone = scan_of(chosen, tmp_path / "alone.mdf", noise)
    assert_same(scan_of(chosen, tmp_path / "scan.mdf", noise, workers=2), alone)
    assert_same(read_scan(tmp_path / "scan.clean.mdf"), read_scan(tmp_path / "alone.clean.mdf"))


@pytest.fixture
def cluster():
    """A scheduler with workers in threads of this process."""
    import distributed

    made = []

    def start(workers):
        made.append(
            distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=False,
                protocol="tcp://",
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
            )
        )
        return made[-1].scheduler_address

    yield start
    for each in made:
        each.close()


def test_a_cluster_does_not_change_a_file(one_thread, tmp_path, cluster):
    address = cluster(1)
    chosen, folder = one_thread
    assert_same(scan_of(chosen, tmp_path / "scan.mdf", scheduler=address), read_scan(folder / "scan.mdf"))
    assert_same(calibration_of(chosen, tmp_path / "sm.mdf", scheduler=address), read_scan(folder / "sm.mdf"))


@dataclass
class Addresses:
    """A plan whose arrays are told where they lie."""

    arrays: list[np.ndarray]
    blocks: int = 12

    def prepare(self):
        pass

    def draw(self, _index, /):
        time.sleep(0.01)  # so that nobody does all of them
        return [(array.flags.aligned, array.sum()) for array in self.arrays]


def test_arrays_arrive_where_they_can_be_worked_on(cluster):
    plan = Addresses([np.ones(size, np.complex128) for size in range(1, 8)] + [np.ones(3, np.uint8)])
    with in_order(plan, scheduler=cluster(2)) as blocks:  # the second gets them from the first
        assert list(blocks) == 12 * [[(True, size) for size in range(1, 8)] + [(True, 3)]]


def test_processes_of_ours_leave_interrupts_to_us():
    before = signal.getsignal(signal.SIGINT)
    try:
        workers._ignore_interrupts()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_workers_that_die_are_told(cluster):
    from distributed import KilledWorker

    address = cluster(1)

    def die(_):
        raise KilledWorker("a block", SimpleNamespace(address=address), 3)  # what the scheduler says of it

    with (
        pytest.raises(NumericalError, match="workers died") as caught,
        in_order(Numbers(3, die), scheduler=address) as blocks,
    ):
        list(blocks)
    assert "memory" in caught.value.hint


def test_a_scheduler_without_workers(tmp_path, cluster):
    address = cluster(0)
    with pytest.raises(InputError, match="has no worker") as caught:
        scan_of(scanner(1), tmp_path / "scan.mdf", scheduler=address)
    assert address in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def make_piece(job, tell):
    tell(Finding("job", job, f"at {job}"))
    tell(Step(job, 9))
    if job == 4:
        raise UsageError("piece 4 is impossible")
    return job**2


def died(job, error):
    return f"{job}: {error.hint}"


def test_pieces_come_in_order_whoever_makes_them(cluster):
    jobs, told = [3, 1, 2, 5, 9, 8, 7], ([], [])
    alone = one_by_one(make_piece, jobs, died=died, tell=lambda *each: told[0].append(each))
    shared = one_by_one(
        make_piece, jobs, died=died, tell=lambda *each: told[1].append(each), scheduler=cluster(1)
    )
    assert list(alone) == list(shared) == [job**2 for job in jobs]
    assert [(job, event) for job, event in told[0] if isinstance(event, Finding)] == told[1]
    assert [job for job, _ in told[1]] == jobs


def test_a_piece_that_goes_wrong_says_so_as_it_is(cluster):
    for who in ({}, {"scheduler": cluster(1)}):
        pieces = one_by_one(make_piece, [1, 4, 2], died=died, tell=print, **who)
        assert next(pieces) == 1
        with pytest.raises(UsageError, match="piece 4 is impossible"):
            next(pieces)


def kill_by(job, _tell):
    from distributed import KilledWorker

    if job == 1:
        raise KilledWorker("a piece", SimpleNamespace(address="here"), 3)  # what the scheduler says of it
    return job


def test_a_piece_that_workers_die_of_does_not_stop_the_others(cluster):
    found = list(one_by_one(kill_by, [0, 1, 2], died=died, tell=print, scheduler=cluster(1)))
    assert found[::2] == [0, 2]
    assert found[1].startswith("1: ")
    assert "memory" in found[1]


def test_a_scheduler_that_goes_away(cluster):
    from distributed.client import FutureCancelledError

    def lose(_):
        raise FutureCancelledError("a block", "the scheduler went away")

    with (
        pytest.raises(InputError, match="scheduler went away") as caught,
        in_order(Numbers(3, lose), scheduler=cluster(1)) as blocks,
    ):
        list(blocks)
    assert "start it again" in caught.value.hint


def test_workers_with_another_mpikit(cluster, monkeypatch):
    own = workers.version("mpikit")
    workers._check_versions({"tcp://a:1": own, "tcp://b:1": OSError("it died meanwhile")})
    with pytest.raises(InputError, match=f"tcp://c:1 has mpikit 0.0.1, expected {own}") as caught:
        workers._check_versions({"tcp://a:1": own, "tcp://c:1": "0.0.1"})
    assert "the same version" in caught.value.hint
    with pytest.raises(InputError, match="has no mpikit"):
        workers._check_versions({"tcp://d:1": ModuleNotFoundError("No module named 'mpikit'")})
    plan = Numbers(3)
    address = cluster(1)
    monkeypatch.setattr(workers, "_check_versions", lambda found: plan.drawn.extend(found.values()))
    with in_order(plan, scheduler=address):
        pass
    assert plan.drawn[0] == own
