"""Features are measured over valid steps, some at a time, and without rare values that are far from all others."""

import numpy as np
import pytest
from cases import make_batch, sequences, take

from skattn._training import seen, spread
from skattn._training.seen import look
from skattn._training.spread import measure, step_blocks, with_ends_of
from skattn._training.standardise import mean_and_scale


def step_mean_and_scale(batch, weight=None):
    """Mean and scale of every feature, as the network takes them."""
    _, mean, scale = look(batch, np.ones(len(batch.lengths)) if weight is None else weight)
    return mean, scale


def test_features_are_measured_over_valid_steps_alone():
    batch = make_batch(lengths=(2, 7, 3), gap=2)
    expected = mean_and_scale(np.concatenate(sequences(batch)))
    np.testing.assert_array_equal(step_mean_and_scale(batch), expected)


def test_a_sample_weighs_by_all_of_its_steps():
    batch = make_batch(lengths=(2, 7, 3))
    first, _, third = sequences(batch)
    expected = mean_and_scale(np.concatenate([first, first, first, third, third]))
    np.testing.assert_allclose(step_mean_and_scale(batch, np.array([3, 0, 2])), expected, rtol=1e-13)


# Some numbers at a time


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 5 rows of 3 features."""
    monkeypatch.setattr(spread, "BLOCK", 17)
    monkeypatch.setattr(seen, "BLOCK", 17)


def test_blocks_hold_the_valid_steps_in_order(small_blocks):
    """Also where a sample is longer than a block, and where samples were taken in another order."""
    batch = take(make_batch(lengths=(2, 13, 3, 1), gap=2), [3, 1, 0])
    blocks = list(step_blocks(batch, np.array([7.0, 5.0, 3.0])))
    assert [5, 5, 5, 1] == [len(steps) for steps, _ in blocks]
    np.testing.assert_array_equal(np.concatenate([steps for steps, _ in blocks]), np.concatenate(sequences(batch)))
    np.testing.assert_array_equal(np.concatenate([w for _, w in blocks]), [7.0] + 13 * [5.0] + 2 * [3.0])


@pytest.mark.parametrize("offset", [0.0, 1.7e9, 1e250])
def test_blocks_are_added_up_to_what_all_of_it_gives(small_blocks, offset):
    batch, weight = make_batch(lengths=(2, 31, 3, 17)), np.array([1.0, 3.0, 2.0, 0.5])
    batch.values *= max(offset * 1e-9, 1.0)
    batch.values += offset
    exact = np.concatenate(sequences(batch)).astype(np.longdouble) - offset
    expected = np.average(exact, axis=0, weights=np.repeat(weight, batch.lengths))
    deviation = np.sqrt(np.average((exact - expected) ** 2, axis=0, weights=np.repeat(weight, batch.lengths)))
    mean, scale = step_mean_and_scale(batch, weight)
    np.testing.assert_allclose(mean, (expected + offset).astype(float), rtol=1e-15, atol=1e-15)
    np.testing.assert_allclose(scale, deviation.astype(float), rtol=1e-12)


def test_a_constant_keeps_its_value_in_blocks(small_blocks):
    batch = make_batch(lengths=(31, 17))
    batch.values[:, 1] = 0.1
    mean, scale = step_mean_and_scale(batch, np.array([0.3, 0.7]))
    assert (0.1, 1.0) == (mean[1], scale[1])


# Far values


def spiked(spikes, n_steps=1000):
    """Two features, one of them with spikes in some steps, and what they are without."""
    batch = make_batch(lengths=(n_steps, n_steps), n_features=2)
    expected = step_mean_and_scale(batch)
    batch.values[7 : 7 + len(spikes), 1] = spikes
    return batch, expected


@pytest.mark.parametrize("spikes", [[1e3], [-65535.0], [1e6, -1e3], [1e9, 1e6, 1e3], [1e300], [1.7e308, -1.7e308]])
def test_spikes_change_neither_mean_nor_scale(spikes):
    batch, expected = spiked(spikes)
    np.testing.assert_allclose(step_mean_and_scale(batch), expected, atol=0.01)


def test_spikes_are_left_out_of_blocks_too(small_blocks):
    batch, expected = spiked([1e9, 1e6, 1e3])
    np.testing.assert_allclose(step_mean_and_scale(batch), expected, atol=0.01)


def test_weighting_a_sample_is_the_same_as_repeating_it_beside_a_spike():
    batch, _ = spiked([1e9, 1e6, 1e3])
    expected = step_mean_and_scale(take(batch, [0, 0, 0, 1, 1]))
    np.testing.assert_allclose(step_mean_and_scale(batch, np.array([3.0, 2.0])), expected, rtol=1e-12)


@pytest.mark.parametrize("rare", [1.0, -1e-9, 1e9])
def test_a_rare_value_among_equal_ones_is_no_spike(rare):
    batch = make_batch(lengths=(4000, 4000), n_features=1)
    batch.values[:] = 3.0
    batch.values[[5, 700, 7000]] += rare
    mean, scale = step_mean_and_scale(batch)
    np.testing.assert_allclose([mean, scale], mean_and_scale(batch.values), rtol=1e-12)


def test_a_spike_beside_rare_values_leaves_these_in():
    batch = make_batch(lengths=(4000, 4000), n_features=1)
    batch.values[:] = 0.0
    batch.values[[5, 700, 7000]] = 1.0
    expected = step_mean_and_scale(batch)
    batch.values[9] = 1e9
    np.testing.assert_allclose(step_mean_and_scale(batch), expected, rtol=1e-3)


def test_heavy_tails_are_measured_whole():
    """What is far without doing harm stays: the scale would be nearly the same."""
    batch = make_batch(lengths=(4000, 4000), n_features=1)
    np.exp(batch.values, out=batch.values)
    batch.values[7] = 40.0
    np.testing.assert_array_equal(step_mean_and_scale(batch), mean_and_scale(batch.values))


def test_measuring_call_by_call_is_measuring_at_once():
    columns = np.random.default_rng(0).normal(size=(31, 3))
    expected, before = measure(lambda: [(columns, None)]), measure(lambda: [(columns[:7], None)])
    found = with_ends_of(measure(lambda: [(columns[7:], None)], before), before)
    for name, value in vars(expected).items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=1e-13)
