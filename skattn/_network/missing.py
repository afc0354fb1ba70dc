"""Values that are missing, filled in for what takes whole sequences only."""

from dataclasses import replace

import numpy as np


def filled(data, mean, is_causal):
    """Give sequences with what is missing on straight lines between the values around it, the nearest at both ends.

    Parameters
    ----------
    data : data class with ``values`` (n_rows, n_features), ``starts`` and ``lengths`` (n_samples,)
        Missing values are NaN.
    mean : ndarray of shape (n_features,)
        Stands for a feature that a sequence has no value of.
    is_causal : bool
        Whether nothing may depend on later steps: then the value before stands for what is missing, and the mean where
        there is none.

    Returns
    -------
    data : the same where nothing is missing
    """
    with np.errstate(all="ignore"):
        if np.isfinite(data.values.sum()):
            return data
    values, owner = data.values.copy(), _owners(data)
    for column, level in zip(values.T, mean, strict=True):
        _fill(column, owner, level, is_causal)
    return replace(data, values=values)


def _owners(data):
    """The sample that each row is of, -1 for rows of none."""
    owner = np.full(len(data.values), -1)
    for number, (start, length) in enumerate(zip(data.starts.tolist(), data.lengths.tolist(), strict=True)):
        owner[start : start + length] = number
    return owner


def _fill(column, owner, level, is_causal):
    """Fill in one feature, in place."""
    there = np.flatnonzero(~np.isnan(column) & (owner >= 0))
    missing = np.flatnonzero(np.isnan(column) & (owner >= 0))
    if not len(there):
        column[missing] = level
        return
    after = np.searchsorted(there, missing)
    left, right = there[np.maximum(after - 1, 0)], there[np.minimum(after, len(there) - 1)]
    has_left = (owner[left] == owner[missing]) & (left < missing)
    has_right = (owner[right] == owner[missing]) & (right > missing) & (not is_causal)
    low, high = (np.float64(column[side]) for side in (left, right))
    with np.errstate(all="ignore"):
        way = (missing - left) / (right - left)
        # By parts: the difference of two numbers near the largest overflows.
        between = low * (1 - way) + high * way
    column[missing] = np.select([has_left & has_right, has_left, has_right], [between, low, high], level)
