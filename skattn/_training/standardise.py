"""Measure the mean and the scale of columns, so that they can be brought near 0 and 1."""

from dataclasses import dataclass
from functools import partial

import numpy as np

# Deviations that a value may be from the mean. Only one that weighs next to nothing could be farther, and its square
# would leave the range of float32.
_FARTHEST = 1e15
# Deviations from the mean beyond which values of a feature are left out. No more than one value in FAR ** 2 can be so
# far from the mean of all (Chebyshev), so whatever is not rare is never left out.
_FAR = 14
# What is left out must have made the scale this many times what it is without: else it does no harm.
_HARM = 2
# Numbers that are taken at a time: a float64 copy of these is all that measuring costs.
_BLOCK = 1 << 18


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
    return _measure(lambda: [(columns, weight)], leaves_out=False)


def step_mean_and_scale(data, weight=None):
    """Mean and scale of every feature over the valid steps of all samples, but for rare ones that are far away.

    Parameters
    ----------
    data : Sequences
        Read a few megabytes at a time, several times.
    weight : ndarray of shape (n_samples,), optional
        Weight of each step of a sample.

    Returns
    -------
    mean, scale : ndarray of shape (n_features,), float64
        As of `mean_and_scale`, over all values of a feature but those that are more than 14 standard deviations from
        the mean, taken anew until no other is. These are left out where the deviation is less than half without
        them, and never where what is left is constant: a rare 1 among zeros is no outlier.
    """
    blocks = partial(step_blocks, data, weight)
    if data.lengths.sum() * data.values.shape[1] <= _BLOCK:
        kept = list(blocks())
        return _measure(lambda: kept, leaves_out=True)
    return _measure(blocks, leaves_out=True)


def standardised(columns, mean, scale):
    """``(columns - mean) / scale`` by halves: the difference of two numbers near the largest overflows.

    Parameters
    ----------
    columns : ndarray of shape (n_rows, n_columns), float64
    mean, scale : ndarray of shape (n_columns,), float64
    """
    return (columns * 0.5 - mean * 0.5) / (scale * 0.5)


def step_blocks(data, weight=None):
    """Give the valid steps of all samples, one sample after another, some at a time.

    Parameters
    ----------
    data : Sequences
    weight : ndarray of shape (n_samples,), optional

    Yields
    ------
    steps : ndarray of shape (n_rows, n_features), float64
    step_weight : ndarray of shape (n_rows,) or None
        Each step's is that of its sample.
    """
    ends = np.cumsum(data.lengths)
    shifts = data.starts - (ends - data.lengths)
    most = max(1, _BLOCK // data.values.shape[1])
    for first in range(0, int(ends[-1]), most):
        last = min(first + most, int(ends[-1]))
        samples = slice(*np.searchsorted(ends, [first, last - 1], side="right") + [0, 1])
        counts = np.minimum(ends[samples], last) - np.maximum(ends[samples] - data.lengths[samples], first)
        rows = np.arange(first, last) + np.repeat(shifts[samples], counts)
        steps = data.values[rows].astype(np.float64, copy=False)
        yield steps, None if weight is None else np.repeat(weight[samples], counts)


@dataclass(frozen=True)
class _Spread:
    """How the numbers of columns lie: arrays of shape (n_columns,)."""

    mean: np.ndarray
    deviation: np.ndarray
    farthest: np.ndarray
    is_constant: np.ndarray


def _measure(blocks, *, leaves_out):
    """Mean and scale of columns whose rows `blocks` gives some at a time, in the same order at every call."""
    with np.errstate(over="ignore"):  # large numbers of either sign
        spread = _spread(blocks)
        if leaves_out:
            spread = _leave_out(blocks, spread)
    scale = np.maximum(np.maximum(spread.deviation, spread.farthest / _FARTHEST), np.finfo(np.float64).tiny)
    return spread.mean, np.where(spread.is_constant, np.maximum(spread.farthest, 1.0), scale)


def _leave_out(blocks, spread):
    """How the numbers of columns lie without the far ones that do harm to mean and deviation."""
    suspects = np.flatnonzero(~spread.is_constant & (spread.farthest > _FAR * spread.deviation))
    near, tight = spread.mean[suspects], spread.deviation[suspects]
    is_moving = np.ones(len(suspects), bool)
    while is_moving.any():
        closer = _spread(partial(_near, blocks, suspects, near, _FAR * tight))
        # What would leave a constant is no outlier: it is all that there is to tell.
        is_moving &= (closer.deviation < tight) & ~closer.is_constant
        near, tight = np.where(is_moving, closer.mean, near), np.where(is_moving, closer.deviation, tight)
    harmed = spread.deviation[suspects] > _HARM * tight
    for numbers, better in ((spread.mean, near), (spread.deviation, tight), (spread.farthest, _FAR * tight)):
        numbers[suspects[harmed]] = better[harmed]
    return spread


def _near(blocks, chosen, centre, reach):
    """Some columns of the blocks, zeros that weigh nothing where they are farther than `reach` from `centre`."""
    for columns, weight in blocks():
        columns = columns[:, chosen]
        is_near = np.abs(columns - centre) <= reach
        yield np.where(is_near, columns, 0.0), _column(columns, weight) * is_near


def _spread(blocks):
    """Measure columns; rows may have one weight, or one for each number."""
    lowest, highest, n_rows = np.inf, -np.inf, 0
    for columns, weight in blocks():
        counts = True if weight is None or weight.ndim == 1 else weight > 0
        lowest = np.minimum(lowest, columns.min(axis=0, where=counts, initial=np.inf))
        highest = np.maximum(highest, columns.max(axis=0, where=counts, initial=-np.inf))
        n_rows += len(columns)
    # Numbers near 1 are squared, so that neither 1e200 nor 1e-200 leaves the range; powers of 2 are exact.
    _, exponent = np.frexp(np.maximum(-lowest, highest))
    lowest, highest = np.ldexp(lowest, -exponent), np.ldexp(highest, -exponent)
    mean, deviation = _moments(blocks, exponent)
    # The mean of equal numbers may differ from them by rounding, which in large numbers is much.
    mean = np.where(lowest == highest, lowest, mean)
    # Deviations that may be rounding errors of the mean are no scale at all.
    is_constant = deviation <= n_rows * np.finfo(np.float64).eps * np.abs(mean)
    farthest = np.maximum(highest - mean, mean - lowest)
    mean, deviation, farthest = (np.ldexp(numbers, exponent) for numbers in (mean, deviation, farthest))
    return _Spread(mean, deviation, np.minimum(farthest, np.finfo(np.float64).max), is_constant)


def _moments(blocks, exponent):
    """Weighted mean and deviation of every column, divided by a power of 2."""
    # Multiplied twice, for no number holds the largest factors; np.ldexp would take ten times as long.
    half, rest_half = np.ldexp(1.0, -exponent // 2), np.ldexp(1.0, -exponent - -exponent // 2)
    total, total_weight, n_blocks = 0.0, 0.0, 0
    for columns, weight in blocks():
        weight = _column(columns, weight)
        total = total + (columns * half * rest_half * weight).sum(axis=0)
        total_weight, n_blocks = total_weight + weight.sum(axis=0), n_blocks + 1
    mean = total / total_weight
    square, rest = 0.0, 0.0
    for columns, weight in blocks():
        weight, difference = _column(columns, weight), columns * half * rest_half - mean
        square, rest = square + (difference**2 * weight).sum(axis=0), rest + (difference * weight).sum(axis=0)
    # What rounding left of the mean where many blocks were added up; one block is summed as it always was.
    error = rest / total_weight if n_blocks > 1 else 0.0
    return mean + error, np.sqrt(np.maximum(square / total_weight - error**2, 0))


def _column(columns, weight):
    """Weights that can be multiplied with columns."""
    if weight is None:
        return np.ones((len(columns), 1))
    return weight[:, np.newaxis] if weight.ndim == 1 else weight
