"""Measure every sequence by its own steps: means and deviations, medians and quartiles, ends."""

import numpy as np

from skattn._training.spread import Spread
from skattn._training.standardise import quartile_scale


def spread_within(steps, lengths):
    """How the features of every sequence lie, as `measure` tells it of all of them.

    What it gives of a sequence does not depend on those beside it, to the last bit.

    Parameters
    ----------
    steps : ndarray of shape (n_rows, n_features), float64
        Valid steps of all sequences, one sequence after another; NaN where a value is missing, which does not count.
    lengths : int array of shape (n_samples,)
        Steps of each, 1 or more.

    Returns
    -------
    spread : Spread
        Its arrays have the shape (n_samples, n_features). `scale` may have to be asked under ``np.errstate``.
    """
    starts, counts, is_there = _counted(steps, lengths)
    lowest, highest = np.fmin.reduceat(steps, starts), np.fmax.reduceat(steps, starts)
    # As in `measure`: numbers near 1 are squared, and powers of 2 are exact.
    _, exponent = np.frexp(np.maximum(-lowest, highest))
    near_one = np.ldexp(steps, np.repeat(-exponent, lengths, axis=0))
    near_one = np.where(is_there, near_one, 0.0)
    mean = np.add.reduceat(near_one, starts) / counts
    difference = np.where(is_there, near_one - np.repeat(mean, lengths, axis=0), 0.0)
    error = np.add.reduceat(difference, starts) / counts
    square = np.add.reduceat(np.square(difference), starts) / counts
    deviation = np.sqrt(np.maximum(square - error**2, 0))
    is_constant = lowest == highest
    mean = np.where(is_constant, lowest, np.ldexp(mean + error, exponent))
    deviation = np.where(is_constant, 0.0, np.ldexp(deviation, exponent))
    return Spread(counts, mean, deviation, lowest, highest, counts * np.finfo(np.float64).eps)


def _counted(steps, lengths):
    """Where each sequence begins, how many values of each feature it has, 1 or more, and which are there."""
    is_there, starts = ~np.isnan(steps), np.cumsum(lengths) - lengths
    return starts, np.maximum(np.add.reduceat(is_there.astype(np.int64), starts), 1), is_there


def mean_and_scale_within(steps, lengths):
    """Mean and standard deviation of every sequence, as `mean_and_scale` gives them.

    Parameters
    ----------
    steps, lengths : as in `spread_within`

    Returns
    -------
    mean, scale : ndarray of shape (n_samples, n_features), float64
    """
    with np.errstate(all="ignore"):  # distances of large numbers of either sign
        spread = spread_within(steps, lengths)
        return spread.mean, spread.scale


def median_and_spread_within(steps, lengths):
    """Median of every sequence, and a deviation that a few far values do not move, as in `median_and_spread`.

    Parameters
    ----------
    steps, lengths : as in `spread_within`

    Returns
    -------
    median, scale : ndarray of shape (n_samples, n_features), float64
    """
    owners, (starts, counts, _) = np.repeat(np.arange(len(lengths)), lengths), _counted(steps, lengths)
    # Columns one by one: NumPy sorts by two keys along one axis only. What is missing comes last.
    ordered = np.stack([column[np.lexsort((column, owners))] for column in steps.T], axis=1)
    places = [starts[:, np.newaxis] - (-level * counts // 4) - 1 for level in (1, 2, 3)]
    low, median, high = (np.take_along_axis(ordered, place, axis=0) for place in places)
    _, scale = mean_and_scale_within(steps, lengths)
    return median, quartile_scale(low, high, scale)


def low_and_range_within(steps, lengths):
    """Lowest value of every sequence, and how far the highest is from it.

    Parameters
    ----------
    steps, lengths : as in `spread_within`

    Returns
    -------
    lowest, distance : ndarray of shape (n_samples, n_features), float64
        `distance` as in `scale_of_range`.
    """
    starts = np.cumsum(lengths) - lengths
    lowest = np.fmin.reduceat(steps, starts)
    return lowest, scale_of_range(lowest, np.fmax.reduceat(steps, starts))


def scale_of_range(lowest, highest):
    """Distance of the ends, at least the smallest normal number: 1 where they are one, infinite beyond float64."""
    with np.errstate(over="ignore"):
        distance = np.maximum(highest - lowest, np.finfo(np.float64).tiny)
    return np.where(lowest == highest, 1.0, distance)


def changes_within(steps, lengths):
    """By how much every step differs from the one before it, 0 at the first of each sequence.

    Parameters
    ----------
    steps, lengths : as in `spread_within`

    Returns
    -------
    changes : ndarray of shape (n_rows, n_features), float64
        Infinite beyond float64.
    """
    changes = np.diff(steps, axis=0, prepend=steps[:1])
    changes[np.cumsum(lengths) - lengths] = 0
    return changes
