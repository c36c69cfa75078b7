"""A method of a stranger reaches nothing that its caller, or another method, holds."""

# ruff: noqa: ARG002, ARG005, N818 - methods and errors of many kinds

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, fields, is_dataclass, replace

import numpy as np
import pytest

from mdf.errors import MdfError
from mpikit import Denoiser, Finding, NoiseModel, Run, StatelessMethod, Step
from mpikit.errors import InputError, MpikitError, NumericalError, PluginError, UsageError
from mpikit.frozen import frozen, protected, read_only
from mpikit.plugins import Offer, build_noise
from mpikit.records import NoOptions
from mpikit.scanner import SelectionField
from mpikit.testing import example_scan

WHO = "'some' of stranger"


def arrays(value, name=""):
    """Return all arrays of a record, by their place in it."""
    if isinstance(value, np.ndarray):
        return {name: value}
    if is_dataclass(value):
        value = {each.name: getattr(value, each.name) for each in fields(value)}
    if not isinstance(value, dict):
        return {}
    return {key: array for part in value for key, array in arrays(value[part], f"{name}.{part}").items()}


@pytest.fixture
def scan():
    return replace(
        example_scan(periods=3),
        selection_field=SelectionField(np.ones((3, 1, 3, 3)), np.ones((3, 1, 3))),
        about={"/a": np.arange(3), "/b": {"/c": [1, 2]}},
    )


def check_closed(array):
    with pytest.raises(ValueError, match="read-only"):
        array[...] = array
    for each in (array, array[:1], array.T):
        with pytest.raises(ValueError, match="cannot set WRITEABLE"):
            each.flags.writeable = True


def test_no_array_of_a_scan_can_be_opened(scan):
    given, mine = arrays(protected(scan)), arrays(scan)
    assert len(given) == 12
    assert given.keys() == mine.keys()
    for name, array in given.items():
        check_closed(array)
        assert array.dtype == mine[name].dtype
        np.testing.assert_array_equal(array, mine[name])
        assert np.shares_memory(array, mine[name]) == (name in (".signal", ".background"))
        assert mine[name].flags.writeable


def test_what_is_said_of_a_scan_is_a_copy(scan):
    given = protected(scan)
    given.about["/b"]["/c"].append(3)
    given.about.clear()
    assert scan.about["/b"] == {"/c": [1, 2]}


@pytest.mark.parametrize("part", [np.s_[:], np.s_[::-1], np.s_[..., ::2], np.s_[:0]])
@pytest.mark.parametrize("kind", ["f4", ">i2", "c16", "bool", "U5", "M8[s]"])
def test_any_layout_is_closed(part, kind):
    array = np.arange(24).reshape(2, 3, 4).astype(kind)[part]
    given = read_only(array)
    assert (given.shape, given.dtype) == (array.shape, array.dtype)
    np.testing.assert_array_equal(given, array)
    assert not given.flags.writeable
    if kind != "M8[s]" and array.size:  # times are no buffers
        assert given.strides == array.strides
        check_closed(given)


def test_large_signals_are_not_copied(scan):
    large = replace(scan, signal=np.zeros((6, 3, 2, 2_000_000), np.float32)[..., :162])
    tracemalloc.start()
    try:
        protected(large)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_frozen_keeps_what_it_does_not_know():
    thing = object()
    given = frozen({"thing": thing, "pair": (1, np.ones(2)), "step": Step(1, 2, {"loss": 3.0})})
    assert given["thing"] is thing
    assert (given["pair"][0], given["step"]) == (1, Step(1, 2, {"loss": 3.0}))
    check_closed(given["pair"][1])


class Method(StatelessMethod):
    """Does some work when it is fitted."""

    def __init__(self, work):
        self.work, self.learnt = work, {"a": np.arange(3.0)}

    def fit(self, scans, /, *, run):
        self.work(run)

    def denoise(self, scan, /, *, run):
        return scan.signal * run.rng.normal()

    def state(self):
        return self.learnt

    def restore(self, state, /):
        self.learnt = state


def guarded(work=lambda run: None):
    record = Denoiser(name="some", summary="Some", build=lambda _: Method(work))
    return Offer(record, "some", "stranger").record.build(NoOptions())


def new_run(**more):
    return Run(rng=np.random.default_rng(4), **more)


def change_chance(run):
    run.rng.normal(size=1000)
    run.rng.bit_generator.seed_seq.spawn(3)
    run.rng.bit_generator.state = np.random.default_rng(0).bit_generator.state


def test_the_chance_of_others_is_out_of_reach(scan):
    drawn = []
    for work in (lambda run: None, change_chance):
        run = new_run()
        guarded(work).fit([scan], run=run)
        drawn.append((run.rng.normal(), run.rng.spawn(1)[0].normal()))
    assert drawn[0] == drawn[1]


def test_one_run_gives_the_same_again_but_not_twice_the_same(scan):
    method, run, again = guarded(), new_run(), new_run()
    first, second = method.denoise(scan, run=run), method.denoise(scan, run=run)
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(method.denoise(scan, run=again), first)


class Kept:
    """A checkpoint in memory."""

    def __init__(self, error=None):
        self.state, self.error = {"a": np.ones(2)}, error

    def load(self):
        return self.state

    def save(self, state, /):
        if self.error:
            raise self.error
        self.state = state


def test_a_checkpoint_gives_and_takes_copies(scan):
    kept, mine = Kept(), np.full(3, np.inf)

    def work(run):
        assert not hasattr(run.checkpoint, "state")
        run.checkpoint.load()["a"][:] = 7
        np.testing.assert_array_equal(kept.state["a"], [1, 1])
        run.checkpoint.save({"b": mine, "step": 3})
        mine[:] = 0

    guarded(work).fit([scan], run=new_run(checkpoint=kept))
    np.testing.assert_array_equal(kept.state["b"], [np.inf] * 3)
    assert kept.state["step"] == 3


@pytest.mark.parametrize("state", [[1], {1: np.ones(2)}, {"a": "text"}, {"a": {}}])
def test_what_cannot_be_kept_names_the_method(scan, state):
    with pytest.raises(PluginError, match=WHO):
        guarded(lambda run: run.checkpoint.save(state)).fit([scan], run=new_run(checkpoint=Kept()))


@pytest.mark.parametrize("error", [InputError("no room"), ValueError("odd"), KeyboardInterrupt()])
def test_the_method_is_not_blamed_for_what_it_calls(scan, error):
    def listen(event):
        raise error

    told = Finding("found", 1, "words")
    for work in (lambda run: run.tell(told), lambda run: run.checkpoint.save({})):
        with pytest.raises(type(error)) as caught:
            guarded(work).fit([scan], run=new_run(tell=listen, checkpoint=Kept(error)))
        assert caught.value is error
        assert str(error) in ("no room", "odd", "")


def test_what_was_told_does_not_change(scan):
    figures, found, heard = {"loss": 1.0}, np.ones(2), []

    def work(run):
        run.tell(Step(1, 2, figures))
        run.tell(Finding("found", found, "words"))
        figures["loss"], found[:] = 2.0, 3

    guarded(work).fit([scan], run=new_run(tell=heard.append))
    assert heard[0] == Step(1, 2, {"loss": 1.0})
    np.testing.assert_array_equal(heard[1].value, [1, 1])
    check_closed(heard[1].value)


def test_a_state_is_a_copy_and_is_given_closed():
    method = guarded()
    before = method.state()
    method.method.learnt["a"][:] = 7
    np.testing.assert_array_equal(before["a"], [0, 1, 2])
    method.restore(before)
    check_closed(method.method.learnt["a"])
    assert before["a"].flags.writeable


class Fine(InputError):
    """An error that ends a command as if all were well."""

    exit_code = 0


class Bare(MpikitError):
    """Without an exit code or a hint."""

    def __init__(self):
        Exception.__init__(self, "bare")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (InputError("something is wrong", hint="mend it"), InputError, f"{WHO}: something is wrong"),
        (UsageError("odd", hint="mend it"), UsageError, f"{WHO}: odd"),
        (NumericalError("infinite", hint="mend it"), NumericalError, f"{WHO}: infinite"),
        (MdfError("no file", hint="mend it"), MdfError, f"{WHO}: no file"),
        (Fine("well", hint="mend it"), InputError, f"{WHO}: well"),
        (Bare(), PluginError, f"{WHO} failed: Bare: bare"),
        (MemoryError("x"), MemoryError, f"{WHO}: x"),
        (MemoryError(), MemoryError, WHO),
    ],
)
def test_every_error_names_the_method(scan, error, kind, words):
    def work(run):
        raise error

    offer = Offer(Denoiser(name="some", summary="Some", build=lambda _: Method(work)), "some", "stranger")
    with pytest.raises(kind) as caught, offer.blamed():
        offer.record.build(NoOptions()).fit([scan], run=new_run())
    assert (type(caught.value), str(caught.value)) == (kind, words)
    if kind not in (MemoryError, PluginError):
        assert caught.value.hint == "mend it"


@dataclass(frozen=True)
class Taken:
    """Noise that keeps what it is given."""

    given: dict

    def begin(self, **given):
        self.given.update(given)
        return self

    def __call__(self, clean, /, **given):
        self.given.update(given, clean=clean)
        change_chance(Run(rng=given["rng"]))
        return 0 * clean


@pytest.mark.parametrize("distribution", ["stranger", "mpikit"])
def test_what_noise_is_given(distribution):
    taken, scan = {}, example_scan()
    model = NoiseModel(name="some", summary="Some", build=lambda _: Taken(taken))
    noise = build_noise(Offer(model, "some", distribution), NoOptions())
    rng, field = np.random.default_rng(4), scan.drive_field
    noise.begin(power=np.ones(2), samples=162, sampling_rate=1e6, drive_field=field, rng=rng)
    noise(scan.signal, frame_index=scan.foreground_index, sampling_rate=1e6, drive_field=field, rng=rng)
    check_closed(taken["clean"])
    is_own = distribution == "mpikit"
    assert (taken["drive_field"] is field, taken["rng"] is rng) == (is_own, is_own)
    if not is_own:
        found = arrays(taken)
        assert found.keys() > {".power", ".frame_index", ".clean", ".drive_field.phases"}
        for array in found.values():
            check_closed(array)
        after = np.random.default_rng(4)
        after.integers(1 << 63, size=2), after.integers(1 << 63, size=2)
        assert rng.normal() == after.normal()
