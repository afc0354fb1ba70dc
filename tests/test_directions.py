"""Directions that learning begins with: against scikit-learn's, and where they fail others."""

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from skattn import directions
from skattn.directions import principal_directions, telling_directions

GENERATOR = np.random.default_rng(0)
X, TARGET = load_iris(return_X_y=True)
X = X - X.mean(axis=0)
SHARE = np.full(len(X), 1 / len(X))


def angles(a, b):
    """Cosines between what two sets of directions span, the largest angle last."""
    return np.linalg.svd(np.linalg.qr(a)[0].T @ np.linalg.qr(b)[0])[1]


def test_directions_of_most_variance_are_those_of_principal_components():
    expected = PCA().fit(X).components_.T
    np.testing.assert_allclose(np.abs(np.sum(principal_directions(X, SHARE) * expected, axis=0)), 1.0, rtol=1e-10)


def test_directions_without_variance_are_left_out():
    doubled = np.column_stack([X, X[:, 0] - X[:, 1], np.zeros(len(X))])
    assert (6, 4) == principal_directions(doubled, SHARE).shape
    assert (4, 1) == principal_directions(np.zeros((7, 4)), np.full(7, 1 / 7)).shape


def test_directions_of_classes_are_those_of_discriminant_analysis():
    target = np.arange(3000) % 3
    records = GENERATOR.normal(size=(3000, 4)) @ GENERATOR.normal(size=(4, 4)) + GENERATOR.normal(size=(3, 4))[target]
    records -= records.mean(axis=0)
    found = telling_directions(records, target, np.eye(3)[target], np.full(3000, 1 / 3000))
    expected = LinearDiscriminantAnalysis().fit(records, target).scalings_[:, :2]
    np.testing.assert_allclose(angles(found, expected), 1.0, atol=1e-3)
    within = np.concatenate([records[target == c] - records[target == c].mean(axis=0) for c in range(3)]) @ found
    np.testing.assert_allclose(within.std(axis=0), 1.0, rtol=0.05)


def test_what_varies_within_classes_is_shrunk_as_ledoit_and_wolf_say():
    expected, _ = ledoit_wolf(X, assume_centered=True)
    np.testing.assert_allclose(directions._covariance(X, SHARE), expected, rtol=1e-5)


def test_classes_that_do_not_vary_and_those_that_are_not_there_have_directions_too():
    records, target = np.repeat(np.eye(3), 2, axis=0) - 1 / 3, np.repeat([0, 1, 3], 2)
    found = telling_directions(records, target, np.eye(5)[target], np.full(6, 1 / 6))
    assert (3, 2) == found.shape and np.isfinite(found).all()
    assert (3, 0) == telling_directions(records[:2], target[:2], np.eye(5)[target[:2]], np.full(2, 0.5)).shape


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_directions_of_numbers_are_their_slopes_in_units_of_what_is_left(n_outputs):
    records, slopes = GENERATOR.normal(size=(3000, 4)), GENERATOR.normal(size=(4, n_outputs))
    numbers = records @ slopes + 0.5 * GENERATOR.normal(size=(3000, n_outputs))
    found = telling_directions(records, numbers, numbers, np.full(3000, 1 / 3000))
    np.testing.assert_allclose(found, slopes / 0.5, atol=0.15)


def test_weighting_is_repeating():
    counts = np.arange(len(X)) % 3
    again = np.repeat(np.arange(len(X)), counts)
    centred = X - counts @ X / counts.sum()
    weighted = telling_directions(centred, TARGET, np.eye(3)[TARGET], counts / counts.sum())
    repeated = telling_directions(
        centred[again], TARGET[again], np.eye(3)[TARGET[again]], np.full(len(again), 1 / len(again))
    )
    # Shrinkage counts how many records there are, and repeated ones are more.
    np.testing.assert_allclose(angles(weighted, repeated), 1.0, atol=1e-3)
