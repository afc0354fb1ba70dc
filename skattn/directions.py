"""Where learning a projection of records begins: directions of most variance, and those that tell the target."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from sklearn.linear_model import RidgeCV

Array = NDArray[np.float64]

# Penalties of ridge regression that are tried, for records of weight 1 on average.
_PENALTIES = np.logspace(-2, 6, 33)
# Share of the deviation of y that is always taken for noise.
_LEAST_NOISE = 0.05
# Directions of less variance than this share of the largest are rounding errors.
_ROUNDING = 1e-10


def principal_directions(records: Array, share: Array) -> Array:
    """Give the directions in which records vary, those of most variance first: (n_features, n_directions).

    Parameters
    ----------
    records : ndarray of shape (n_records, n_features)
        Centred.
    share : ndarray of shape (n_records,)
        Weights that sum to 1.
    """
    _, sizes, directions = np.linalg.svd(records * np.sqrt(share)[:, np.newaxis], full_matrices=False)
    kept = max(1, int((np.square(sizes) > _ROUNDING * np.square(sizes[0])).sum()))
    directions = directions[:kept]
    # The sign of a direction is anybody's: by its largest entry.
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, np.newaxis], axis=1)
    return (directions * np.where(largest < 0, -1.0, 1.0)).T


def telling_directions(records: Array, target: NDArray[Any], values: Array, share: Array) -> Array:
    """Give directions in which records of one target lie about 1 apart, and those of others farther.

    Parameters
    ----------
    records : ndarray of shape (n_records, n_features)
    target : int array of shape (n_records,), or other
        Classes, if whole numbers.
    values : ndarray of shape (n_records, n_outputs)
        What is looked up: indicators of classes, or numbers of mean 0 and deviation 1.
    share : ndarray of shape (n_records,)
        Weights that sum to 1.

    Returns
    -------
    directions : ndarray of shape (n_features, n_directions)
        Of classes those of linear discriminant analysis, one fewer than classes, in units of the deviation within a
        class (shrunk: Ledoit & Wolf 2004). Of numbers the slopes of ridge regression, its penalty chosen by leaving
        each record out, in units of what is left.
    """
    if target.dtype.kind == "i":
        return _discriminants(records, target, values, share)
    weight = share * len(share)
    ridge = RidgeCV(_PENALTIES).fit(records, values, sample_weight=weight)
    noise = np.sqrt(share @ np.square(values - ridge.predict(records).reshape(values.shape)))
    slopes: Array = np.atleast_2d(ridge.coef_).T / np.maximum(noise, _LEAST_NOISE)
    return slopes


def _discriminants(records: Array, target: NDArray[Any], values: Array, share: Array) -> Array:
    """Directions in which means of classes differ most, in deviations within them."""
    of_class = share @ values
    present = np.flatnonzero(of_class)
    means = np.zeros((values.shape[1], records.shape[1]))
    means[present] = (values[:, present] * share[:, np.newaxis]).T @ records / of_class[present, np.newaxis]
    within = _covariance(records - means[target], share)
    distances = means[present] - of_class[present] @ means[present]
    between = (distances.T * of_class[present]) @ distances
    n_directions = min(len(present) - 1, len(within))
    if not n_directions:
        return np.zeros((len(within), 0))
    _, directions = eigh(between, within, subset_by_index=[len(within) - n_directions, len(within) - 1])
    return np.asarray(directions[:, ::-1])


def _covariance(centred: Array, share: Array) -> Array:
    """Covariance, shrunk towards what all directions have in common by how uncertain it is."""
    covariance = (centred.T * share) @ centred
    n_features = len(covariance)
    common = np.trace(covariance) / n_features
    distance = np.square(covariance).sum() / n_features - common**2
    squares = np.square(centred).sum(axis=1)
    noise = (share @ np.square(squares) / n_features - np.square(covariance).sum() / n_features) * np.square(
        share
    ).sum()
    shrinkage = 1.0 if noise >= distance else max(noise, 0.0) / distance
    # Classes that do not vary at all are told apart nevertheless.
    floor = max(common, 1e-6)
    return (1 - shrinkage) * covariance + (shrinkage * common + 1e-6 * floor) * np.eye(n_features)
