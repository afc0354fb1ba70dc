"""Tables of records: what repeats is merged, far numbers are reined in, and what is read is what softmax says."""

import numpy as np
import pytest
import reference

from skattn import records
from skattn.records import keys_of, look_up, merge_repeated, most_read, queries_of, standard

GENERATOR = np.random.default_rng(0)
TABLE, QUERIES = GENERATOR.normal(size=(23, 3)), GENERATOR.normal(size=(7, 3))
WEIGHT = GENERATOR.uniform(0.5, 2.0, size=23)


def softmax_of_distances():
    """Weights by their definition: (n_queries, n_records)."""
    squares = np.square(QUERIES[:, None] - TABLE).sum(axis=2)
    weights = WEIGHT * np.exp(-squares / 2)
    return weights / weights.sum(axis=1, keepdims=True)


def test_records_that_repeat_each_other_weigh_together():
    X = np.array([[1.0, 0.0], [2.0, 3.0], [1.0, -0.0], [1.0, 0.0], [2.0, 3.0]])
    first, weight = merge_repeated(X, np.array([5, 7, 5, 6, 7]), np.array([1.0, 2.0, 4.0, 8.0, 16.0]))
    assert {0: 5.0, 1: 18.0, 3: 8.0} == dict(zip(first.tolist(), weight.tolist(), strict=True))


def test_the_order_of_merged_records_does_not_depend_on_that_of_the_rows():
    X, order = np.repeat(TABLE, 2, axis=0), GENERATOR.permutation(46)
    first, _ = merge_repeated(X, np.zeros(46), np.ones(46))
    again, _ = merge_repeated(X[order], np.zeros(46), np.ones(46))
    np.testing.assert_array_equal(X[first], X[order][again])


def test_numbers_are_reined_in_as_the_network_does_it():
    X = np.array([[1e308, -1e308], [35.0, 1.0], [-5.0, -40.0]])
    mean, scale = np.array([-1e307, 0.5]), np.array([1e-3, 0.25])
    np.testing.assert_allclose(standard(X, mean, scale), reference.standardise(X, mean, scale), rtol=1e-15)


def test_a_query_reads_each_record_by_its_weight_and_distance():
    value = GENERATOR.normal(size=(23, 2))
    mixed = look_up(queries_of(QUERIES), keys_of(TABLE, np.log(WEIGHT)), value, None)
    np.testing.assert_allclose(mixed, softmax_of_distances() @ value, rtol=1e-12)


@pytest.mark.parametrize("block", [1, 50, 1 << 21])
def test_the_records_that_are_read_most_come_first(block, monkeypatch):
    monkeypatch.setattr(records, "_BLOCK", block)
    expected = softmax_of_distances()
    order = np.argsort(-expected, axis=1)[:, :5]
    found, weights = most_read(queries_of(QUERIES), keys_of(TABLE, np.log(WEIGHT)), 5, None)
    np.testing.assert_array_equal(found, order)
    np.testing.assert_allclose(weights, np.take_along_axis(expected, order, axis=1), rtol=1e-12)
