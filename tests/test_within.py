"""Sequences measured by their own steps: against each of them measured alone, by what measures whole columns."""

import numpy as np
import pytest

from skattn._training.standardise import mean_and_scale, median_and_spread
from skattn._training.within import (
    changes_within,
    low_and_range_within,
    mean_and_scale_within,
    median_and_spread_within,
    scale_of_range,
    spread_within,
)

LENGTHS = np.array([1, 2, 3, 5, 7, 4, 13, 101])
LARGEST = np.finfo(np.float64).max


def make_steps(offset=0.0, size=1.0):
    steps = np.random.default_rng(0).normal(size=(LENGTHS.sum(), 3)) * size + offset
    steps[6:11, 1] = steps[6, 1]  # the whole fourth sequence
    return steps


def sequences_of(steps):
    return np.split(steps, np.cumsum(LENGTHS)[:-1])


@pytest.mark.parametrize(
    ("within", "alone"), [(mean_and_scale_within, mean_and_scale), (median_and_spread_within, median_and_spread)]
)
@pytest.mark.parametrize(("offset", "size"), [(0, 1), (-1e9, 1), (0, 1e300), (0, 1e-300)])
def test_each_sequence_is_measured_as_if_alone(within, alone, offset, size):
    steps = make_steps(offset, size)
    expected = [alone(sequence) for sequence in sequences_of(steps)]
    center, scale = within(steps, LENGTHS)
    np.testing.assert_allclose(center, [e[0] for e in expected], rtol=1e-12, atol=1e-15 * size)
    np.testing.assert_allclose(scale, [e[1] for e in expected], rtol=1e-9)


@pytest.mark.parametrize("within", [mean_and_scale_within, median_and_spread_within, low_and_range_within])
def test_others_do_not_change_a_bit(within):
    steps = make_steps()
    for i, sequence in enumerate(sequences_of(steps)):
        for together, alone in zip(within(steps, LENGTHS), within(sequence, LENGTHS[i : i + 1]), strict=True):
            np.testing.assert_array_equal(together[i], alone[0])


def test_what_stands_still_is_its_own_centre_and_divided_by_one():
    steps = np.full((7, 1), 0.1)
    for within in (mean_and_scale_within, median_and_spread_within, low_and_range_within):
        center, scale = within(steps, np.array([7]))
        assert (center.item(), scale.item()) == (0.1, 1.0)


def test_the_largest_numbers_have_a_mean_and_a_deviation():
    spread = spread_within(np.array([[LARGEST], [-LARGEST], [LARGEST], [LARGEST]]), np.array([2, 2]))
    np.testing.assert_array_equal(spread.mean, [[0], [LARGEST]])
    np.testing.assert_allclose(spread.deviation, [[LARGEST], [0]], rtol=1e-12)


def test_ranges_are_those_of_the_ends():
    steps = make_steps()
    lowest, distance = low_and_range_within(steps, LENGTHS)
    expected = [np.ptp(sequence, axis=0) for sequence in sequences_of(steps)]
    np.testing.assert_array_equal(lowest, [sequence.min(axis=0) for sequence in sequences_of(steps)])
    np.testing.assert_array_equal(distance, np.where(np.equal(expected, 0), 1, expected))


def test_a_range_may_be_infinite_and_never_vanishes():
    ends = np.array([-LARGEST, 0.0, 3.0]), np.array([LARGEST, 5e-324, 3.0])
    np.testing.assert_array_equal([np.inf, np.finfo(np.float64).tiny, 1], scale_of_range(*ends))


def test_changes_begin_with_nothing():
    steps = make_steps()
    expected = [np.vstack([np.zeros((1, 3)), np.diff(sequence, axis=0)]) for sequence in sequences_of(steps)]
    np.testing.assert_array_equal(changes_within(steps, LENGTHS), np.vstack(expected))
