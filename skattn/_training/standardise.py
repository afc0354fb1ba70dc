"""Bring columns near 0 and 1."""

import numpy as np

from skattn._training.spread import measure


def mean_and_scale(columns, weight=None):
    """Weighted mean and standard deviation of every column, in float64.

    Parameters
    ----------
    columns : ndarray of shape (n_rows, n_columns)
        Finite numbers of any size.
    weight : ndarray of shape (n_rows,), optional
        Non-negative, not all zero.

    Returns
    -------
    mean, scale : ndarray of shape (n_columns,), float64
        `scale` is the standard deviation, at least the smallest normal number. Where a column is constant, `mean` is
        exactly that number and `scale` 1; where it is all but constant, `scale` is no less than any deviation. It is
        no less than 1e-15 of any, either, which matters to values that weigh next to nothing.
    """
    columns = np.asarray(columns, dtype=np.float64)
    with np.errstate(all="ignore"):  # distances of large numbers of either sign
        spread = measure(lambda: [(columns, weight)])
        return spread.mean, spread.scale


def standardised(columns, mean, scale):
    """``(columns - mean) / scale`` by halves: the difference of two numbers near the largest overflows.

    Parameters
    ----------
    columns : ndarray of shape (n_rows, n_columns), float64
    mean, scale : ndarray of shape (n_columns,), float64
    """
    return (columns * 0.5 - mean * 0.5) / (scale * 0.5)
