"""All that was seen is counted over calls, and a weighted sample counts as a repeated one."""

import numpy as np
import pytest
from cases import make_batch, sequences, take

from skattn._training.seen import look, supported_length


def look_at(batches, weights=None):
    """Look at one batch after the other."""
    seen = None
    for i, batch in enumerate(batches):
        weight = np.ones(len(batch.lengths)) if weights is None else weights[i]
        seen, mean, scale = look(batch, weight, seen)
    return seen, mean, scale


def lengths_seen(lengths, weight=None):
    """What is seen of sequences of these lengths."""
    batch = make_batch(lengths=lengths, n_features=1)
    return look(batch, np.ones(len(lengths)) if weight is None else np.asarray(weight, float))[0]


# Features


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e300])
def test_batches_one_after_another_are_as_if_together(offset):
    batch = make_batch(lengths=(5, 17, 3, 31, 7))
    batch.values[batch.starts[3] :] *= 10
    batch.values *= max(1.0, offset / 1e6)
    batch.values += offset
    parts = [take(batch, [0, 1]), take(batch, [2]), take(batch, [3, 4])]
    together, mean, scale = look_at([batch])
    seen, running_mean, running_scale = look_at(parts)
    np.testing.assert_allclose([running_mean, running_scale], [mean, scale], rtol=1e-9)
    np.testing.assert_array_equal(seen.weight, together.weight)
    np.testing.assert_array_equal(seen.lengths, together.lengths)


def test_weighting_a_sample_is_the_same_as_repeating_it_over_calls():
    batch = make_batch(lengths=(5, 17, 3))
    repeated = look_at([take(batch, [0, 0, 1]), take(batch, [2, 2, 2])])
    weighted = look_at([take(batch, [0, 1]), take(batch, [2])], [np.array([2.0, 1.0]), np.array([3.0])])
    for got, expected in zip(weighted[1:], repeated[1:], strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_a_feature_that_was_constant_gets_its_scale_when_it_changes():
    first, later = (make_batch(lengths=(31,), seed=seed) for seed in (1, 2))
    first.values[:, 1] = 0.1
    _, mean, scale = look_at([first, first])
    assert (0.1, 1.0) == (mean[1], scale[1])
    _, mean, scale = look_at([first, later])
    both = np.concatenate([*sequences(first), *sequences(later)])
    np.testing.assert_allclose([mean, scale], [both.mean(axis=0), both.std(axis=0)], rtol=1e-12)


def test_a_spike_in_a_small_batch_is_left_out_beside_what_was_before():
    before, spiked = make_batch(lengths=(1000,)), make_batch(lengths=(2, 1), seed=2)
    spiked.values[1, 0] = 1e9
    expected = look_at([before])[1:]
    seen, *found = look_at([before, spiked])
    np.testing.assert_allclose(found, expected, atol=0.01)
    assert [1.0, 0.0, 0.0] == seen.left_out.tolist()


def test_a_batch_that_is_all_far_is_left_out_at_first():
    before, far = make_batch(lengths=(1000,)), make_batch(lengths=(2,), seed=2)
    far.values += 1e9
    np.testing.assert_array_equal(look_at([before, far])[1:], look_at([before])[1:])


def test_what_keeps_coming_from_afar_is_taken_in():
    """No call brings much of it, but it is no exception any more."""
    before, far = make_batch(lengths=(1000,), n_features=1), make_batch(lengths=(2,), seed=2, n_features=1)
    far.values += 1e6
    seen, mean, scale = look_at([before, *[far] * 5])
    assert mean[0] > 1e3 and scale[0] > 1e4 and [0.0] == seen.left_out.tolist()


# Lengths


@pytest.mark.parametrize("lengths", [[7], [7] * 20, [*range(7, 30)] * 5, [3, 50], [10] * 19 + [20, 63]])
def test_the_longest_of_ordinary_sequences_is_supported(lengths):
    assert max(lengths) == supported_length(lengths_seen(lengths), max(lengths))


@pytest.mark.parametrize("n_others", [20, 200])
def test_one_long_sequence_among_many_is_not(n_others):
    seen = lengths_seen([10] * n_others + [5000])
    assert 64 == supported_length(seen, 5000)


def test_a_weighted_sequence_supports_as_a_repeated_one():
    for n_others in range(1, 60):
        repeated = lengths_seen([3] * n_others + [5000] * 3)
        weighted = lengths_seen([3, 5000], [0.1 * n_others, 0.1 * 3])
        assert supported_length(repeated, 5000) == supported_length(weighted, 5000)


def test_long_sequences_are_supported_once_they_are_many():
    seen = look_at([make_batch([5] * 100), make_batch([400] * 2), make_batch([400] * 30)])[0]
    assert 400 == supported_length(seen, 400)
    assert 32 == supported_length(look_at([make_batch([5] * 100), make_batch([400] * 2)])[0], 400)
