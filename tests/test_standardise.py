"""Columns are measured whatever their size."""

import numpy as np
import pytest

from skattn._training.standardise import mean_and_scale, median_and_spread

COLUMNS = np.random.default_rng(0).normal(loc=[3.0, -5.0], scale=[2.0, 7.0], size=(31, 2))


def test_mean_and_deviation_are_numpys():
    mean, scale = mean_and_scale(COLUMNS)
    np.testing.assert_allclose(mean, COLUMNS.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(scale, COLUMNS.std(axis=0), rtol=1e-13)


def test_weighting_a_row_is_the_same_as_repeating_it():
    weight = np.random.default_rng(1).integers(0, 5, size=31)
    expected = mean_and_scale(np.repeat(COLUMNS, weight, axis=0))
    np.testing.assert_allclose(mean_and_scale(COLUMNS, weight), expected, rtol=1e-13)


def test_a_value_that_weighs_next_to_nothing_is_not_too_far_to_square():
    column, weight = np.array([[0.0], [1.0], [0.0]]), np.array([1e13, 1e-27, 1e26])
    mean, scale = mean_and_scale(column, weight)
    assert abs(mean[0]) < 1e-50 and scale[0] == 1e-15


@pytest.mark.parametrize("unit", [1e-250, 1e-30, 1e30, 1e250])
def test_the_unit_of_a_column_does_not_matter(unit):
    """Squares of such numbers overflow or vanish."""
    mean, scale = mean_and_scale(COLUMNS)
    np.testing.assert_allclose(mean_and_scale(COLUMNS * unit), (mean * unit, scale * unit), rtol=1e-12)


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e300])
def test_a_constant_has_scale_1(constant):
    mean, scale = mean_and_scale(np.full((7, 1), constant))
    np.testing.assert_allclose(mean, [constant], rtol=1e-15)
    assert [1.0] == scale


def test_the_median_and_the_spread_are_not_moved_by_a_few():
    values = np.random.default_rng(0).normal(3.0, 2.0, size=(4000, 1))
    median, scale = median_and_spread(values)
    np.testing.assert_allclose([median[0], scale[0]], [3.0, 2.0], atol=0.1)
    values[::20] = 1e9
    np.testing.assert_allclose(median_and_spread(values), [median, scale], rtol=0.15)
    assert mean_and_scale(values)[1][0] > 1e7


def test_the_median_of_weighted_values_is_that_of_repeated_ones():
    values = np.random.default_rng(1).normal(size=(30, 2))
    weight = np.arange(30) % 4
    repeated = median_and_spread(values.repeat(weight, axis=0))
    for found, expected in zip(median_and_spread(values, 0.1 * weight), repeated, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_where_most_values_are_the_same_the_spread_is_the_deviation():
    values = np.r_[np.zeros(80), np.ones(20)][:, np.newaxis]
    median, scale = median_and_spread(values)
    assert median[0] == 0
    np.testing.assert_allclose(scale, values.std())
    np.testing.assert_array_equal(median_and_spread(np.full((5, 1), 7.0)), [[7.0], [1.0]])
