"""Bring columns near 0 and 1."""

import numpy as np

from skattn._training.spread import measure

# Distance of the quartiles of what is normal, in its deviations.
_QUARTILES = 1.3489795003921634


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


def median_and_spread(columns, weight=None):
    """Weighted median of every column, and a deviation that a few far values do not move, in float64.

    Parameters
    ----------
    columns, weight : as in `mean_and_scale`

    Returns
    -------
    median, scale : ndarray of shape (n_columns,), float64
        `scale` is the distance of the quartiles, in deviations of what is normal; where they are the same, that of
        `mean_and_scale`.
    """
    columns = np.asarray(columns, dtype=np.float64)
    weight = np.ones(len(columns)) if weight is None else np.asarray(weight, dtype=np.float64)
    low, median, high = weighted_quantiles(columns, weight, (0.25, 0.5, 0.75))
    _, scale = mean_and_scale(columns, weight)
    return median, quartile_scale(low, high, scale)


def weighted_quantiles(columns, weight, levels):
    """Give the numbers below which, themselves included, lies so much of the weight.

    Parameters
    ----------
    columns : ndarray of shape (n_rows, n_columns), float64
    weight : ndarray of shape (n_rows,), float64
    levels : sequence of float

    Returns
    -------
    quantiles : ndarray of shape (n_levels, n_columns)
    """
    order = np.argsort(columns, axis=0, kind="stable")
    reached = np.cumsum(weight[order], axis=0)
    each = np.arange(columns.shape[1])
    # Rounding must not tell a weighted sample from a repeated one.
    rows = [(reached >= level * (1 - 1e-9) * reached[-1]).argmax(axis=0) for level in levels]
    return np.stack([columns[order[row, each], each] for row in rows])


def quartile_scale(low, high, scale):
    """Distance of the quartiles in deviations of what is normal, and `scale` where they are the same.

    Infinite where that exceeds float64.
    """
    with np.errstate(over="ignore"):
        distance = (high * 0.5 - low * 0.5) * (2 / _QUARTILES)
    return np.where(distance > 1e-9 * scale, distance, scale)


def standardised(columns, mean, scale):
    """``(columns - mean) / scale`` by halves: the difference of two numbers near the largest overflows.

    Parameters
    ----------
    columns : ndarray of shape (n_rows, n_columns), float64
    mean, scale : ndarray of shape (n_columns,), float64
    """
    return (columns * 0.5 - mean * 0.5) / (scale * 0.5)
