"""Records of a table that attention looks things up in: merged, standardised, read."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn._kernels.scaling import FAR, LARGEST
from skattn._training.standardise import standardised
from skattn.functional import attention, attention_weights

Array = NDArray[np.float64]

# Numbers of an array of queries times keys, or of queries and what they fetch, at a time.
_BLOCK = 1 << 21


def merge_repeated(X: Array, target: NDArray[Any], weight: Array) -> tuple[NDArray[np.int64], Array]:
    """Make records that repeat each other one that weighs what they weigh together.

    Parameters
    ----------
    X : ndarray of shape (n_records, n_features)
    target : ndarray of shape (n_records,) or (n_records, n_outputs)
    weight : ndarray of shape (n_records,)

    Returns
    -------
    first : int array of shape (n_different,)
        Where each of them comes first; their order does not depend on that of the records.
    weight : ndarray of shape (n_different,)
    """
    # Adding 0 makes one of the two zeros, whose bits differ.
    rows = np.ascontiguousarray(np.column_stack([X, target]).astype(np.float64) + 0.0)
    rows = rows.view(f"V{rows.shape[1] * rows.itemsize}").ravel()
    _, first, number = np.unique(rows, return_index=True, return_inverse=True)
    return first, np.bincount(number.ravel(), weights=weight, minlength=len(first))


def standard(X: Array, mean: Array, scale: Array) -> Array:
    """Give features in deviations from their means; of what is farther than 30, only the logarithm counts.

    Parameters
    ----------
    X : ndarray of shape (n_records, n_features)
    mean, scale : ndarray of shape (n_features,)
    """
    with np.errstate(over="ignore"):
        deviations = standardised(X, mean, scale)
    size = np.abs(deviations)
    if size.max(initial=0.0) <= FAR:
        return deviations
    farther = FAR + np.log1p(np.clip(size, FAR, LARGEST) - FAR)
    return np.where(size > FAR, np.copysign(farther, deviations), deviations)


def queries_of(projected: Array) -> Array:
    """Give the queries of projected records: (n_records, n_components + 1)."""
    return np.column_stack([projected, np.ones(len(projected))])


def keys_of(projected: Array, log_weight: Array) -> Array:
    """Give the keys of projected records: (n_records, n_components + 1).

    A query times a key is minus half their squared distance, plus the logarithm of the record's weight, plus a number
    that all keys share and softmax does not see.
    """
    return np.column_stack([projected, log_weight - 0.5 * np.square(projected).sum(axis=1)])


def look_up(query: Array, key: Array, value: Array, n_jobs: int | None) -> Array:
    """Mix the values of a table by how near each record is to a query.

    Parameters
    ----------
    query : ndarray of shape (n_queries, n_components + 1)
    key : ndarray of shape (n_records, n_components + 1)
    value : ndarray of shape (n_records, n_outputs)
    n_jobs : int or None

    Returns
    -------
    mixed : ndarray of shape (n_queries, n_outputs)
    """
    mixed = attention(query[None, None], key[None, None], value[None, None], scale=1.0, n_jobs=n_jobs)
    assert isinstance(mixed, np.ndarray)
    return mixed[0, 0]


def most_read(query: Array, key: Array, k: int, n_jobs: int | None) -> tuple[NDArray[np.int64], Array]:
    """Give the records that each query reads most of, the most read first.

    Parameters
    ----------
    query, key, n_jobs : as in `look_up`
    k : int

    Returns
    -------
    records : int array of shape (n_queries, k)
    weights : ndarray of shape (n_queries, k)
    """
    records, weights = np.empty((len(query), k), np.int64), np.empty((len(query), k))
    step = max(1, _BLOCK // len(key))
    for first in range(0, len(query), step):
        some = slice(first, first + step)
        read = attention_weights(query[some][None, None], key[None, None], scale=1.0, n_jobs=n_jobs)[0, 0]
        # By the scores, which tell records apart that are too far away to have any weight.
        # In an order of its own for each, which BLAS does not keep.
        distance = -np.einsum("nd,kd->nk", query[some], key)
        nearest = np.sort(np.argpartition(distance, k - 1, axis=1)[:, :k], axis=1)
        order = np.argsort(np.take_along_axis(distance, nearest, axis=1), axis=1, kind="stable")
        records[some] = np.take_along_axis(nearest, order, axis=1)
        weights[some] = np.take_along_axis(read, records[some], axis=1)
    return records, weights
