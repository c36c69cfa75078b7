"""The network of ``harmonic-n2n``: nothing before training, homogeneous, blind where it must be."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from mpikit import Finding, Run, Step, Warned
from mpikit.errors import InputError
from mpikit.events import silent
from mpikit.signal import FactorModel
from mpikit.testing import check_denoiser, example_scan
from mpikit_plugins.harmonic import learning, mpikit_denoisers
from mpikit_plugins.harmonic.correction import Correction
from mpikit_plugins.harmonic.gaussian import is_gaussian
from mpikit_plugins.harmonic.learning import FixedPairs, HiddenLines, RedrawnPairs
from mpikit_plugins.harmonic.space import (
    Parts,
    Places,
    hidden_groups,
    places_of,
    space_of_factors,
    space_of_filter,
)
from mpikit_plugins.harmonic.views import Views, views_of

RECORD = next(record for record in mpikit_denoisers() if record.name == "harmonic-n2n")
SHORT = {"network": "on", "steps": 12, "width": 7, "evaluate_every": 5, "batch": 8}
KINDS = [
    {},
    {"noise": "redrawn"},
    {"pairs": "mirror"},
    {"pairs": "blind-spot"},
    {"symmetry": "off"},
    {"pairs": "blind-spot", "symmetry": "off"},
]
P, E, R = 13, 9, 3


@pytest.fixture
def always(monkeypatch):
    """Use the network whether it is better or not."""
    monkeypatch.setattr(learning, "SURE", -1e12)


def built(scan, *, checkpoint=None, tell=silent, seed=0, **options):
    method = RECORD.build(RECORD.options(**(SHORT | options)))
    method.fit([scan], run=Run(rng=np.random.default_rng(seed), tell=tell, checkpoint=checkpoint))
    return method


def applied(method, scan):
    return method.denoise(scan, run=Run(rng=np.random.default_rng(9)))


def interfered(make_known, objects, seed):
    """One pattern of few lines in random amounts, and interference in proportion to each line.

    That is not Gaussian, and a linear filter can weigh the lines by their mean noise only.
    """
    known = make_known(objects=objects, level=0.02)
    rng = np.random.default_rng(seed)
    spectra = np.zeros((objects, 2, 2, known.clean.shape[-1] // 2 + 1), complex)
    amounts = rng.uniform(0.3, 2, (objects, 1, 1, 1))
    spectra[..., 1:7] = 81j * amounts * np.array([1, 2, -1, 0.5, 1.5, -2])
    draw = rng.uniform(-1, 1, (*spectra.shape, 2)).view(complex)[..., 0]
    clean = np.fft.irfft(spectra, n=known.clean.shape[-1])
    noise = np.fft.irfft(0.6 * spectra * draw, n=known.clean.shape[-1])
    white = known.scan.signal - known.clean
    return replace(
        known, clean=clean, scan=replace(known.scan, signal=(clean + noise + white).astype(np.float32))
    )


@pytest.mark.parametrize("options", KINDS)
def test_it_keeps_the_contract(always, options):
    single = options.get("pairs") in ("mirror", "blind-spot")
    scan = example_scan(
        frames=30, periods=2 if single else 3, repeats="none" if single else "periods", background_frames=3
    )
    told = []
    method = built(scan, tell=told.append, **options)
    assert method.network is not None
    assert any(isinstance(event, Finding) and event.name == "network" for event in told)
    check_denoiser(RECORD, RECORD.options(**(SHORT | options)), scan)


@pytest.mark.parametrize("options", KINDS)
def test_before_training_it_is_the_linear_filter(always, make_known, options):
    known = make_known(objects=40)
    method = built(known.scan, **options)
    linear = RECORD.build(RECORD.options(**{**options, "noise": "fixed"}, network="off"))
    linear.fit([known.scan], run=Run(rng=np.random.default_rng(0)))
    assert not np.array_equal(applied(method, known.scan), applied(linear, known.scan))
    for parameter in method.network.layers[-1].parameters():
        torch.nn.init.zeros_(parameter)
    np.testing.assert_array_equal(applied(method, known.scan), applied(linear, known.scan))


@pytest.mark.parametrize("options", KINDS)
def test_twice_the_signal_gives_twice_the_output(always, make_known, options):
    known = make_known(objects=40)
    method = built(known.scan, **options)
    double = replace(known.scan, signal=2 * known.scan.signal, background=2 * known.scan.background)
    output = applied(method, known.scan)
    np.testing.assert_allclose(applied(method, double), 2 * output, rtol=0, atol=1e-5 * np.abs(output).max())
    nothing = replace(known.scan, signal=0 * known.scan.signal, background=0 * known.scan.background)
    assert not applied(method, nothing).any()


@pytest.mark.parametrize("options", KINDS)
def test_a_restored_state_is_the_same_to_the_last_bit(always, make_known, options):
    known = make_known(objects=40)
    method, again = built(known.scan, **options), built(known.scan, **options)
    other = RECORD.build(RECORD.options(**(SHORT | options)))
    other.restore(method.state())
    output = applied(method, known.scan)
    for each in (again, other):
        np.testing.assert_array_equal(applied(each, known.scan), output)
    assert set(other.state()) == set(method.state())
    other.restore({})
    assert other.network is None


class Memory:
    """A checkpoint that keeps copies."""

    def __init__(self):
        self.state = None

    def load(self):
        return self.state

    def save(self, state, /):
        self.state = {name: np.array(value) for name, value in state.items()}


@pytest.mark.parametrize("options", KINDS[:4])
def test_an_interrupted_training_goes_on(always, make_known, options):
    known, memory = make_known(objects=40), Memory()

    def stop(event):
        if isinstance(event, Step) and event.index == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        built(known.scan, checkpoint=memory, tell=stop, **options)
    resumed, whole = built(known.scan, checkpoint=memory, **options), built(known.scan, **options)
    np.testing.assert_array_equal(applied(resumed, known.scan), applied(whole, known.scan))
    with pytest.raises(InputError, match="other options or other data"):
        built(make_known(objects=41).scan, checkpoint=memory, **options)


def test_it_beats_the_linear_filter_where_that_is_not_the_best(make_known, denoise):
    """Interference in proportion to each line; `auto` finds out by itself, from pairs and other lines."""
    train, test = interfered(make_known, 500, 3), interfered(make_known, 80, 4)
    told = []
    short = {"steps": 200, "width": 48}
    linear = test.error(denoise(RECORD, train.scan, test.scan, network="off"))
    fixed = test.error(denoise(RECORD, train.scan, test.scan, told=told, **short))
    redrawn = test.error(denoise(RECORD, train.scan, test.scan, noise="redrawn", **short))
    assert fixed < 0.9 * linear
    assert redrawn < 0.9 * linear
    assert told[-1].name == "network"
    assert "it is used" in told[-1].text


def test_gaussian_noise_needs_no_network(make_known, denoise):
    known, told = make_known(objects=300), []
    denoise(RECORD, known.scan, told=told)
    assert {event.name for event in told} == {"harmonics", "rank"}


def test_a_network_that_is_not_better_is_not_used(make_known, denoise):
    known, told = make_known(objects=60), []
    found = denoise(RECORD, known.scan, told=told, **SHORT)
    assert "not used" in told[-1].text
    np.testing.assert_array_equal(found, denoise(RECORD, known.scan, network="off"))


def test_few_signals_teach_nothing():
    scan, told = example_scan(frames=9), []
    assert built(scan, tell=told.append).network is None
    assert any(isinstance(event, Warned) and "teach a network nothing" in event.text for event in told)


def parts_for(count, seed=0):
    rng = np.random.default_rng(seed)
    return Parts(rng.normal(size=(count, P)), rng.normal(size=(count, E)))


def some_places():
    lines = np.arange(2, 2 + P)
    return Places(lines, lines[:E], np.linspace(1, 2, P), np.linspace(1, 2, P)[:E])


@pytest.fixture
def blind():
    rng = np.random.default_rng(1)
    model = FactorModel(rng.normal(size=(P, R)), rng.uniform(0.5, 2, P))
    hidden = hidden_groups(some_places().lines, 0.25, 2, rng)
    space = space_of_factors(model, hidden, some_places(), parts_for(50))
    network = Correction(space, 8)
    torch.nn.init.normal_(network.layers[-1].weight)
    return model, space, network


def test_hidden_lines_are_not_seen(blind):
    """Neither estimate, correction nor size depends on what is hidden; on all else they do."""
    _, space, network = blind
    data = parts_for(1)
    for group in range(len(space.hidden)):
        signal, empty = (
            torch.tensor(values, dtype=torch.float32, requires_grad=True)
            for values in (data.signal, data.empty)
        )
        which = torch.tensor([group])
        for output in network(signal, empty, which):
            for values, hidden in ((signal, space.hidden), (empty, space.hidden_empty)):
                (slope,) = torch.autograd.grad(output.sum(), values, retain_graph=True, allow_unused=True)
                if slope is None:
                    continue
                assert not slope[0, torch.from_numpy(hidden[group])].any()
        (slope,) = torch.autograd.grad(output.sum(), signal)
        assert slope[0, torch.from_numpy(~space.hidden[group])].all()


def test_groups_hide_each_line_once_in_each_partition():
    lines = np.array([4, 7, 7, 4, 9, 1, 2, 2, 30, 5])
    hidden = hidden_groups(lines, 0.25, 3, np.random.default_rng(0))
    assert hidden.shape == (12, 10)
    np.testing.assert_array_equal(hidden.sum(axis=0), np.full(10, 3))
    for same in ([0, 3], [1, 2], [6, 7]):
        np.testing.assert_array_equal(*hidden[:, same].T)


def test_the_gain_of_a_correction_is_what_the_hidden_lines_leave_of_it(blind):
    """A prior that is moved by d before the hidden lines are seen is moved by d (I - K) after."""
    model, space, _ = blind
    group = 1
    hidden = space.hidden[group]
    covariance = model.loadings @ model.loadings.T
    noisy = covariance + np.diag(model.noise)
    seen = np.ix_(~hidden, ~hidden)
    left = covariance - covariance[:, ~hidden] @ np.linalg.inv(noisy[seen]) @ covariance[~hidden]
    left = left[np.ix_(hidden, hidden)]
    kalman = left @ np.linalg.inv(left + np.diag(model.noise[hidden]))
    moved = np.array([0.3, -1.0, 2.0])
    before = space.decode[hidden] @ moved
    after = space.decode[hidden] @ (moved @ space.gain[group])
    np.testing.assert_allclose(after, before - kalman @ before, atol=1e-9)


def test_fixed_pairs_stay_together():
    views = Views(parts_for(10), np.repeat([0, 1, 2], [5, 2, 3]))
    np.testing.assert_array_equal(views.pairs, [[0, 1], [2, 3], [5, 6], [7, 8]])
    examples = FixedPairs(views.parts, views.pairs, batch=6, device="cpu")
    drawn = examples.draw(40, np.random.default_rng(0))
    assert drawn.shape == (40, 6, 2)
    assert {tuple(sorted(pair)) for pair in drawn.reshape(-1, 2).tolist()} == {(0, 1), (2, 3), (5, 6), (7, 8)}
    one, empty, other, group = examples.take(torch.tensor([[3, 2], [5, 6]]))
    np.testing.assert_allclose(one, views.parts.signal[[3, 5]], rtol=1e-6)
    np.testing.assert_allclose(empty, views.parts.empty[[3, 5]], rtol=1e-6)
    np.testing.assert_allclose(other, views.parts.signal[[2, 6]], rtol=1e-6)
    assert not group.any()


def test_redrawn_pairs_exchange_whole_lines_of_one_signal():
    signals = np.repeat([0, 1, 2], [5, 2, 3])
    marked = np.arange(10.0)[:, None]
    parts = Parts(np.tile(marked, P), np.tile(marked, E))
    lines = np.arange(P) // 2  # two channels
    examples = RedrawnPairs(
        parts,
        Views(parts, signals).pairs,
        batch=7,
        device="cpu",
        signals=signals,
        lines=lines,
        empty_lines=lines[:E],
    )
    drawn = torch.from_numpy(examples.draw(50, np.random.default_rng(0)))
    exchanged = 0
    for index in drawn:
        one, empty, other, _ = (values.numpy().astype(int) for values in examples.take(index))
        assert np.all(one != other)
        np.testing.assert_array_equal(signals[one], np.tile(signals[one[:, :1]], P))
        np.testing.assert_array_equal(signals[one], signals[other])
        np.testing.assert_array_equal(one[:, 0:12:2], one[:, 1:12:2])
        np.testing.assert_array_equal(empty, one[:, :E])
        exchanged += int(np.sum(one != one[:, :1]))
    assert 0.3 < exchanged / (50 * 7 * P) < 0.6
    one, _, other, _ = examples.take(examples.everything())
    assert np.all(one.numpy() == one.numpy()[:, :1])
    assert len(one) == 2 * examples.items


def test_periods_with_hidden_lines():
    examples = HiddenLines(parts_for(11), groups=4, batch=3, device="cpu")
    assert examples.items == 11
    drawn = examples.draw(5, np.random.default_rng(0))
    assert drawn.shape == (5, 3, 2)
    assert drawn[..., 1].max() < 4
    one, _, target, group = examples.take(examples.everything())
    np.testing.assert_array_equal(one, target)
    np.testing.assert_array_equal(group, np.arange(11) % 4)


def test_size_is_the_root_mean_square_of_the_period(make_known):
    known = make_known(objects=30)
    method = RECORD.build(RECORD.options(network="off"))
    method.fit([known.scan], run=Run(rng=np.random.default_rng(0)))
    from mpikit_plugins.harmonic.space import parts_of_signal

    lines, signal = method.lines, known.scan.signal
    seen, places = parts_of_signal(lines, signal), places_of(lines)
    square = seen.signal**2 @ places.weights + seen.empty**2 @ places.empty_weights
    spectra = np.fft.rfft(signal.astype(float)) * lines.harmonic.keep
    kept = np.fft.irfft(spectra, n=signal.shape[-1])
    np.testing.assert_allclose(square, np.sum(np.mean(kept**2, axis=-1), axis=-1), rtol=1e-6)


def test_the_parts_are_those_of_the_lines(make_known):
    """Signal and even part, whether the symmetry holds on a line or not."""
    from mpikit_plugins.harmonic.space import parts_of_signal

    known = make_known(objects=30)
    method = RECORD.build(RECORD.options(network="off"))
    method.fit([known.scan], run=Run(rng=np.random.default_rng(0)))
    lines = method.lines
    symmetry = lines.harmonic.symmetry
    mixed = replace(symmetry, holds=symmetry.holds & (np.arange(symmetry.holds.shape[1]) % 3 > 0))
    for each in (symmetry, mixed, None):
        now = replace(lines, harmonic=replace(lines.harmonic, symmetry=each))
        seen = parts_of_signal(now, known.scan.signal)
        np.testing.assert_allclose(seen.signal, now.forward(known.scan.signal), rtol=1e-12)
        places = places_of(now)
        assert seen.empty.shape[-1] == len(places.empty_lines)
        assert seen.signal.shape[-1] == len(places.lines)


def test_what_is_gaussian(make_known):
    rng = np.random.default_rng(0)
    count = 600
    sizes = rng.uniform(0.5, 2, (count, 1, 1))
    clean = np.broadcast_to(sizes * np.linspace(20, 90, P), (count, 2, P))
    gaussian = rng.normal(size=clean.shape)
    uniform = rng.uniform(-1, 1, clean.shape)
    none = np.zeros((count, 2, 0))
    for noise, expected in ((gaussian, True), (sizes * gaussian, True), (clean * uniform / 9, False)):
        views = views_of([Parts(clean + noise, none)])
        assert is_gaussian(views, some_places().without_empty()) == expected
    alone = views_of([Parts(clean[:, :1] + gaussian[:, :1], none[:, :1])])
    assert not is_gaussian(alone, some_places().without_empty())


def test_the_space_of_a_filter_repeats_it():
    rng = np.random.default_rng(3)
    from mpikit.signal import LowRankFilter

    linear = LowRankFilter(rng.normal(size=(P, R)), rng.normal(size=(P, R)))
    data = parts_for(20)
    space = space_of_filter(linear, some_places(), data, 1.0)
    np.testing.assert_allclose(data.signal @ space.encode[0] @ space.decode.T, linear(data.signal), atol=1e-9)
    np.testing.assert_allclose(space.decode.T @ space.decode, np.eye(R), atol=1e-12)
    assert not space.blind


@pytest.mark.parametrize(
    "options",
    [
        {"network": "off", "steps": 3},
        {"network": "off", "noise": "redrawn"},
        {"hidden": 0.1},
        {"pairs": "blind-spot", "noise": "redrawn"},
    ],
)
def test_options_that_do_nothing_are_refused(options):
    with pytest.raises(ValidationError, match="does nothing for"):
        RECORD.options(**options)


def test_no_torch_without_a_network():
    program = (
        "import sys, numpy as np\n"
        "from mpikit import Run\n"
        "from mpikit.testing import example_scan\n"
        "from mpikit_plugins.harmonic import mpikit_denoisers\n"
        "scan, run = example_scan(), Run(rng=np.random.default_rng(0))\n"
        "for record in mpikit_denoisers():\n"
        "    method = record.build(record.options())\n"
        "    method.fit([scan], run=run)\n"
        "    method.denoise(scan, run=run)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
