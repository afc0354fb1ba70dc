"""Measure the mean and the scale of columns, so that they can be brought near 0 and 1."""

import numpy as np


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
        `scale` is the standard deviation; 1 where a column is constant.
    """
    columns = np.asarray(columns, dtype=np.float64)
    # Numbers near 1 are squared, so that neither 1e200 nor 1e-200 leaves the range; powers of 2 are exact.
    _, exponent = np.frexp(np.abs(columns).max(axis=0))
    unit = np.ldexp(columns, -exponent)
    mean = np.average(unit, axis=0, weights=weight)
    deviation = np.sqrt(np.average((unit - mean) ** 2, axis=0, weights=weight))
    # A constant comes out as rounding errors of the mean: no scale at all.
    is_constant = deviation <= len(unit) * np.finfo(np.float64).eps * np.abs(mean)
    return np.ldexp(mean, exponent), np.where(is_constant, 1.0, np.ldexp(deviation, exponent))


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
    """
    step_weight = None if weight is None else np.repeat(weight, data.lengths)
    return mean_and_scale(data.values[valid_rows(data)], step_weight)


def valid_rows(data):
    """Row numbers of all valid steps, one sample after another: (sum of lengths,)."""
    first = np.cumsum(data.lengths) - data.lengths
    return np.arange(data.lengths.sum()) + np.repeat(data.starts - first, data.lengths)
