"""Measure the mean and the scale of columns, so that they can be brought near 0 and 1."""

import numpy as np

# Deviations that a value may be from the mean. Only one that weighs next to nothing could be farther, and its square
# would leave the range of float32.
_FARTHEST = 1e15


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
    # Numbers near 1 are squared, so that neither 1e200 nor 1e-200 leaves the range; powers of 2 are exact.
    lowest, highest = columns.min(axis=0), columns.max(axis=0)
    _, exponent = np.frexp(np.maximum(-lowest, highest))
    unit = np.ldexp(columns, -exponent)
    # The mean of equal numbers may differ from them by rounding, which in large numbers is much.
    mean = np.where(lowest == highest, unit[0], np.average(unit, axis=0, weights=weight))
    deviation = np.sqrt(np.average((unit - mean) ** 2, axis=0, weights=weight))
    # Deviations that may be rounding errors of the mean are no scale at all.
    is_constant = deviation <= len(unit) * np.finfo(np.float64).eps * np.abs(mean)
    farthest = np.maximum(np.ldexp(highest, -exponent) - mean, mean - np.ldexp(lowest, -exponent))
    scale = np.ldexp(np.maximum(deviation, farthest / _FARTHEST), exponent)
    scale = np.maximum(scale, np.finfo(np.float64).tiny)
    with np.errstate(over="ignore"):  # that of large numbers which differ is not asked for
        farthest = np.ldexp(farthest, exponent)
    return np.ldexp(mean, exponent), np.where(is_constant, np.maximum(farthest, 1.0), scale)


def standardised(columns, mean, scale):
    """``(columns - mean) / scale`` by halves: the difference of two numbers near the largest overflows.

    Parameters
    ----------
    columns : ndarray of shape (n_rows, n_columns), float64
    mean, scale : ndarray of shape (n_columns,), float64
    """
    return (columns * 0.5 - mean * 0.5) / (scale * 0.5)


def step_mean_and_scale(data, weight=None):
    """Mean and scale of every feature over the valid steps of all samples.

    Parameters
    ----------
    data : Sequences
    weight : ndarray of shape (n_samples,), optional
        Weight of each step of a sample.

    Returns
    -------
    mean, scale : ndarray of shape (n_features,), float64
        As of `mean_and_scale`.
    """
    step_weight = None if weight is None else np.repeat(weight, data.lengths)
    return mean_and_scale(data.values[valid_rows(data)], step_weight)


def valid_rows(data):
    """Row numbers of all valid steps, one sample after another: (sum of lengths,)."""
    first = np.cumsum(data.lengths) - data.lengths
    return np.arange(data.lengths.sum()) + np.repeat(data.starts - first, data.lengths)
