from __future__ import annotations

import numpy as np
import pytest

from mpikit.errors import InputError, UsageError
from mpikit.reconstruct.signals import (
    Preparation,
    average_columns,
    average_periods,
    columns_of_images,
    correct_leakage,
    group_periods,
    leakage_weights,
    prepare,
)

N, J, C, V = 7, 6, 2, 10


@pytest.fixture
def signal(rng):
    return rng.normal(size=(N, J, C, V))


def test_columns_of_an_image_stand_side_by_side():
    """Five frames of three columns, two frames in an image: the last three images have one."""
    order, sizes = columns_of_images(5, 3, 2)
    assert order.tolist() == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11, 12, 13, 14]
    assert sizes.tolist() == [2] * 6 + [1] * 3
    order, sizes = columns_of_images(5, 1, 99)
    assert (order.tolist(), sizes.tolist()) == ([0, 1, 2, 3, 4], [5])


def test_columns_are_averaged(rng):
    data = (rng.normal(size=(4, 7)) + 1j * rng.normal(size=(4, 7))).astype(np.complex64)
    averaged = average_columns(data, np.array([3, 1, 2, 1]))
    assert averaged.dtype == np.complex64
    wanted = [data[:, :3].mean(axis=1), data[:, 3], (data[:, 4] + data[:, 5]) / 2, data[:, 6]]
    np.testing.assert_allclose(averaged, np.transpose(wanted), rtol=1e-6)
    assert average_columns(data, np.ones(7, int)) is data


def test_periods_are_averaged_within_a_frame(signal):
    averaged = average_periods(signal, 2)
    assert averaged.shape == (N, 3, C, V)
    np.testing.assert_allclose(averaged[:, 1], (signal[:, 2] + signal[:, 3]) / 2, rtol=1e-12)
    np.testing.assert_allclose(average_periods(signal, J)[:, 0], signal.mean(axis=1), rtol=1e-12)


def test_grouped_periods_follow_each_other_in_time(signal):
    grouped = group_periods(signal, 3)
    assert grouped.shape == (N, 2, C, 3 * V)
    joined = np.concatenate([signal[:, 3], signal[:, 4], signal[:, 5]], axis=-1)
    np.testing.assert_array_equal(grouped[:, 1], joined)


def test_repeated_periods_put_everything_on_every_third_line(signal):
    repeated = np.repeat(signal[:, :1], 3, axis=1)
    spectra = prepare(repeated, Preparation(grouping=3))
    np.testing.assert_allclose(spectra[:, 0, :, ::3], 3 * np.fft.rfft(signal[:, 0]), rtol=1e-9, atol=1e-12)
    off = np.arange(spectra.shape[-1]) % 3 != 0
    np.testing.assert_allclose(spectra[..., off], 0, atol=1e-12)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.complex64, np.complex128])
def test_precision_is_kept(signal, kind):
    values = signal.astype(kind)
    assert average_periods(values, 2).dtype == kind


def test_integers_have_means_that_are_none(signal):
    counts = np.array([1, 2]).reshape(2, 1, 1, 1)
    assert average_periods(counts.reshape(1, 2, 1, 1), 2).item() == 1.5


def test_a_mean_of_single_precision_is_summed_in_double():
    values = np.full((1, 3000), 0.1, np.float32)
    assert average_columns(values, np.array([3000])).item() == np.float32(0.1)
    assert average_periods(values, 3000).item() == np.float32(0.1)


@pytest.mark.parametrize("steps", [average_periods, group_periods])
@pytest.mark.parametrize("count", [4, 5, 12])
def test_periods_that_cannot_be_taken_together(signal, steps, count):
    with pytest.raises(UsageError, match=f"6 periods of a frame cannot be taken {count} at a time"):
        steps(signal, count)


@pytest.mark.parametrize(
    "steps", [average_periods, group_periods, lambda _, count: columns_of_images(7, 2, count)]
)
def test_fewer_than_one(signal, steps):
    with pytest.raises(UsageError, match="expected 1 or more"):
        steps(signal, 0)


@pytest.mark.parametrize("samples", [8, 1000])
@pytest.mark.parametrize("periods", [2, 3])
def test_leakage_weights_of_each_sample_sum_to_one(samples, periods):
    weights = leakage_weights(samples, periods)
    assert weights.shape == (periods, samples)
    np.testing.assert_allclose(weights.sum(axis=0), 1, rtol=0, atol=1e-13)
    assert np.all(weights >= 0)
    window = weights.ravel()
    np.testing.assert_allclose(window[1:], window[:0:-1], atol=1e-13)


def test_symmetric_weights_sum_to_one_only_nearly():
    sums = leakage_weights(8, 3, symmetric=True).sum(axis=0)
    assert (round(sums.min(), 3), round(sums.max(), 3)) == (0.991, 1.013)
    sums = leakage_weights(1000, 3, symmetric=True).sum(axis=0)
    assert 1 - sums.min() < 1.35e-4
    assert 1.25e-4 < sums.max() - 1 < 1.35e-4
    assert leakage_weights(8, 3, symmetric=True).mean() == pytest.approx(1 / 3, rel=1e-12)


@pytest.mark.parametrize("shape", [(5, 1, 2, 9), (1, 5, 2, 9), (3, 2, 2, 9), (2, 1, 2, 9)])
def test_a_signal_that_repeats_is_left_as_it_is(rng, shape):
    period = rng.normal(size=(2, 9))
    repeated = np.broadcast_to(period, shape)
    np.testing.assert_allclose(correct_leakage(repeated), repeated, rtol=1e-12)


@pytest.mark.parametrize("axis", [0, 1])
def test_lines_are_those_of_the_window_over_three_periods(rng, axis):
    periods, samples = 5, 9
    run = rng.normal(size=(periods, samples))
    signal = run.reshape(periods, 1, 1, samples) if axis == 0 else run.reshape(1, periods, 1, samples)
    spectra = np.fft.rfft(correct_leakage(signal).reshape(periods, samples))

    def windowed(part):
        window = 1 - np.cos(2 * np.pi * np.arange(part.size) / part.size)
        return np.fft.rfft(window * part.ravel())[:: len(part)] / len(part)

    np.testing.assert_allclose(spectra[0], windowed(run[:2])[:5], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(spectra[2], windowed(run[1:4])[:5], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(spectra[4], windowed(run[3:])[:5], rtol=1e-9, atol=1e-12)


def test_a_disturbance_leaks_less():
    """A tone between two lines, seen 20 lines away."""
    samples, frames = 200, 6
    time = np.arange(frames * samples).reshape(frames, 1, 1, samples) / samples
    tone = np.sin(2 * np.pi * 10.4 * time)
    before, after = (np.abs(np.fft.rfft(signal))[..., 30] for signal in (tone, correct_leakage(tone)))
    assert after[1:-1].max() < before.min() / 500
    assert after[[0, -1]].max() < before.min() / 100


def test_neighbours_follow_each_other_in_acquisition(rng):
    signal = rng.normal(size=(5, 1, 2, 9))
    corrected = correct_leakage(signal, frame_index=np.array([3, 4, 5, 9, 10]))
    np.testing.assert_array_equal(corrected[:3], correct_leakage(signal[:3]))
    np.testing.assert_array_equal(corrected[3:], correct_leakage(signal[3:]))
    with pytest.raises(InputError, match="a frame has no neighbour"):
        correct_leakage(signal, frame_index=np.array([3, 4, 5, 9, 11]))
    with pytest.raises(InputError, match="a frame has no neighbour"):
        correct_leakage(signal[:1])


def test_periods_of_other_frames_are_no_neighbours(signal):
    together = correct_leakage(signal)
    np.testing.assert_array_equal(together[3:4], correct_leakage(signal[3:4]))


def test_leakage_correction_of_no_frames_and_of_single_precision(signal):
    assert correct_leakage(signal[:0, :1]).shape == (0, 1, C, V)
    single = signal.astype(np.float32)
    assert correct_leakage(single).dtype == np.float32
    np.testing.assert_allclose(correct_leakage(single), correct_leakage(signal), rtol=0, atol=1e-6)


@pytest.mark.parametrize("averages", [1, 2, None])
def test_all_steps_in_their_order(rng, averages):
    """Periods are joined, then corrected with their like, transformed and averaged."""
    signal = rng.normal(size=(3, 12, C, V))
    spectra = prepare(signal, Preparation(3, True, averages))
    joined = np.stack(
        [np.concatenate(list(frame[j : j + 3]), axis=-1) for frame in signal for j in (0, 3, 6, 9)]
    )
    each = np.fft.rfft(correct_leakage(joined.reshape(3, 4, C, 3 * V)))
    wanted = each.reshape(3, -1, averages or 4, C, 3 * V // 2 + 1).mean(axis=2)
    assert spectra.shape == (3, 4 // (averages or 4), C, 16)
    np.testing.assert_allclose(spectra, wanted, rtol=1e-9, atol=1e-9)


def test_frames_that_do_not_follow_each_other_are_told_to_the_correction(rng):
    signal, index = rng.normal(size=(4, 1, 2, 9)), np.array([0, 1, 7, 8])
    spectra = prepare(signal, Preparation(leakage=True), frame_index=index)
    np.testing.assert_allclose(spectra, np.fft.rfft(correct_leakage(signal, frame_index=index)), rtol=1e-9)


def test_the_correction_correlates_the_noise_as_its_docstring_says(rng):
    periods = np.moveaxis(correct_leakage(rng.normal(size=(1, 6, 50, 400))), 1, 0)[:, 0]
    covariance = np.array([[np.mean(one * other) for other in periods[1:]] for one in periods[1:]])
    middle = covariance[1, 1]
    assert middle**0.5 == pytest.approx(0.71, abs=0.02)
    assert covariance[4, 4] ** 0.5 == pytest.approx(0.87, abs=0.02)
    assert covariance[1, 2] / middle == pytest.approx(0.47, abs=0.03)
    assert covariance[1, 3] / middle == pytest.approx(0.03, abs=0.03)


@pytest.mark.parametrize("periods", [1, 2, 3, 6, None])
def test_averages_of_spectra_are_spectra_of_averages(signal, periods):
    how = Preparation(averages=periods)
    wanted = np.fft.rfft(average_periods(signal, periods or J))
    np.testing.assert_allclose(prepare(signal, how), wanted, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(prepare(np.fft.rfft(signal), how), wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (Preparation(grouping=2), "grouping of periods"),
        (Preparation(leakage=True), "spectral leakage correction"),
    ],
)
def test_spectra_cannot_do_what_needs_time(signal, how, words):
    with pytest.raises(InputError, match=f"{words} needs signals in the time domain"):
        prepare(np.fft.rfft(signal), how)
