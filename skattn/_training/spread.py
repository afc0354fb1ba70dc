"""Measure how numbers lie, some at a time: mean and deviation, without rare ones that are far from all others."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

FARTHEST = 1e15
"""Deviations that a value may be from the mean. Only one that weighs next to nothing could be farther, and its square
would leave the range of float32."""

FAR = 14
"""Deviations from the mean beyond which values are left out. No more than one value in ``FAR ** 2`` can be so far from
the mean of all (Chebyshev), so whatever is not rare is never left out."""

HARM = 2
"""What is left out must have made the deviation this many times what it is without; else it does no harm."""

BLOCK = 1 << 18
"""Numbers that are taken at a time: some float64 copies of these are all that measuring costs."""


@dataclass(frozen=True)
class Spread:
    """How the numbers of columns lie: arrays of shape (n_columns,), float64.

    Attributes
    ----------
    weight : ndarray
        What all that was measured weighs.
    mean, deviation : ndarray
        Weighted mean and standard deviation. Where a column is constant, `mean` is exactly that number.
    lowest, highest : ndarray
        Ends of the numbers that were measured last.
    noise : float
        Deviations of this many times the mean may be rounding errors.
    """

    weight: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    noise: float

    @property
    def is_constant(self):
        """Which columns have no deviation but rounding errors of the mean."""
        return self.deviation <= self.noise * np.abs(self.mean)

    @property
    def farthest(self):
        """Largest distance from the mean, but no infinite one."""
        return np.minimum(np.maximum(self.highest - self.mean, self.mean - self.lowest), np.finfo(np.float64).max)

    @property
    def scale(self):
        """The deviation, at least the smallest normal number and 1e-15 of any distance.

        Where a column is constant 1; where it is all but constant, no less than any distance.
        """
        scale = np.maximum(np.maximum(self.deviation, self.farthest / FARTHEST), np.finfo(np.float64).tiny)
        return np.where(self.is_constant, np.maximum(self.farthest, 1.0), scale)

    def replace(self, chosen, other):
        """Give the same with some columns as in `other`, which holds these columns only."""
        changed = {}
        for name in ("weight", "mean", "deviation", "lowest", "highest"):
            changed[name] = getattr(self, name).copy()
            changed[name][chosen] = getattr(other, name)
        return Spread(**changed, noise=self.noise)

    def take(self, chosen):
        """Give some of the columns."""
        names = ("weight", "mean", "deviation", "lowest", "highest")
        return Spread(**{name: getattr(self, name)[chosen] for name in names}, noise=self.noise)


def step_blocks(data, weight=None):
    """Give the valid steps of all samples, one sample after another, some at a time.

    Parameters
    ----------
    data : Sequences
    weight : ndarray of shape (n_samples,), optional

    Yields
    ------
    steps : ndarray of shape (n_rows, n_features), float64
    step_weight : ndarray of shape (n_rows,) or (n_rows, n_features), or None
        Each step's is that of its sample. What is missing is 0, and weighs nothing.
    """
    ends = np.cumsum(data.lengths)
    shifts = data.starts - (ends - data.lengths)
    most = max(1, BLOCK // data.values.shape[1])
    for first in range(0, int(ends[-1]), most):
        last = min(first + most, int(ends[-1]))
        samples = slice(*np.searchsorted(ends, [first, last - 1], side="right") + [0, 1])
        counts = np.minimum(ends[samples], last) - np.maximum(ends[samples] - data.lengths[samples], first)
        rows = np.arange(first, last) + np.repeat(shifts[samples], counts)
        steps = data.values[rows].astype(np.float64, copy=False)
        row_weight = None if weight is None else np.repeat(weight[samples], counts)
        is_missing = np.isnan(steps)
        if is_missing.any():
            steps[is_missing] = 0.0
            row_weight = ~is_missing * (1.0 if row_weight is None else row_weight[:, np.newaxis])
        yield steps, row_weight


def measure(blocks, before=None):
    """Measure columns, alone or together with what was measured before.

    Parameters
    ----------
    blocks : callable () -> iterable of (columns, weight)
        Gives float64 columns of shape (n_rows, n_columns), some rows at a time and the same at every call, and the
        weights of the rows, of their numbers one by one, or None.
    before : Spread, optional

    Returns
    -------
    spread : Spread
    """
    weight, lowest, highest, n_rows = 0.0, np.inf, -np.inf, 0
    for columns, row_weight in blocks():
        counts = True if row_weight is None or row_weight.ndim == 1 else row_weight > 0
        lowest = np.minimum(lowest, columns.min(axis=0, where=counts, initial=np.inf))
        highest = np.maximum(highest, columns.max(axis=0, where=counts, initial=-np.inf))
        n_rows += len(columns)
    is_empty = lowest > highest
    lowest, highest = np.where(is_empty, 0.0, lowest), np.where(is_empty, 0.0, highest)
    # Numbers near 1 are squared, so that neither 1e200 nor 1e-200 leaves the range; powers of 2 are exact.
    _, exponent = np.frexp(np.maximum(-lowest, highest))
    weight, mean, deviation = _moments(blocks, exponent)
    # The mean of equal numbers may differ from them by rounding, which in large numbers is much.
    is_constant = lowest == highest
    mean = np.where(is_constant, lowest, np.ldexp(mean, exponent))
    deviation = np.where(is_constant, 0.0, np.ldexp(deviation, exponent))
    noise = n_rows * np.finfo(np.float64).eps
    return _together(before, Spread(weight, mean, deviation, lowest, highest, noise))


def measure_without_far(blocks, before=None):
    """Measure columns but for rare values that are far from all others, where these do harm.

    Values more than `FAR` deviations from the mean are left out, and the mean and the deviation taken anew, until no
    other is so far. A column stays whole where that makes its deviation less than `HARM` times smaller, and no step
    leaves a constant: a rare 1 among zeros is no outlier.

    Parameters
    ----------
    blocks, before : as in `measure`

    Returns
    -------
    spread : Spread
    left_out : ndarray of shape (n_columns,)
        What was left out weighs so much.
    """
    with np.errstate(all="ignore"):  # distances of large numbers of either sign
        whole = measure(blocks, before)
        suspects = np.flatnonzero(~whole.is_constant & (whole.farthest > FAR * whole.deviation))
        near, is_moving = whole.take(suspects), np.ones(len(suspects), bool)
        while is_moving.any():
            known = before and before.take(suspects)
            closer = measure(partial(_near, blocks, suspects, near.mean, FAR * near.deviation), known)
            is_moving &= (closer.deviation < near.deviation) & ~closer.is_constant
            near = near.replace(is_moving, closer.take(is_moving))
        harmed = whole.deviation[suspects] > HARM * near.deviation
        spread = whole.replace(suspects[harmed], near.take(harmed))
    return spread, whole.weight - spread.weight


def with_ends_of(spread, before):
    """Give a spread that was measured together with one before, as if all had been measured at once.

    Parameters
    ----------
    spread, before : Spread
        What `measure` gave, and what it was given.
    """
    lowest, highest = np.minimum(before.lowest, spread.lowest), np.maximum(before.highest, spread.highest)
    return replace(spread, lowest=lowest, highest=highest, noise=before.noise + spread.noise)


def _near(blocks, chosen, centre, reach):
    """Some columns of the blocks, zeros that weigh nothing where they are farther than `reach` from `centre`."""
    for columns, weight in blocks():
        columns = columns[:, chosen]
        weight = weight if weight is None or weight.ndim == 1 else weight[:, chosen]
        is_near = np.abs(columns - centre) <= reach
        yield np.where(is_near, columns, 0.0), _column(columns, weight) * is_near


def _together(before, now):
    """Two spreads as one, by Chan, Golub & LeVeque (1983); the ends are those of `now`."""
    if before is None:
        return now
    weight = before.weight + now.weight
    share = now.weight / np.maximum(weight, np.finfo(np.float64).tiny)
    # By halves: two numbers near the largest may differ by more than that.
    shift = np.where(now.weight > 0, now.mean * 0.5 - before.mean * 0.5, 0.0)
    mean = before.mean + shift * share + shift * share
    within = np.hypot(np.sqrt(1 - share) * before.deviation, np.where(share > 0, np.sqrt(share) * now.deviation, 0.0))
    deviation = np.hypot(within, 2 * (np.sqrt(share * (1 - share)) * shift))
    return Spread(weight, mean, deviation, now.lowest, now.highest, now.noise)


def _moments(blocks, exponent):
    """Weight, weighted mean and deviation of every column, divided by a power of 2."""
    # Multiplied twice, for no number holds the largest factors; np.ldexp would take ten times as long.
    half, rest_half = np.ldexp(1.0, -exponent // 2), np.ldexp(1.0, -exponent - -exponent // 2)
    total, total_weight, n_blocks = 0.0, np.zeros(len(exponent)), 0
    for columns, weight in blocks():
        weight = _column(columns, weight)
        total = total + (columns * half * rest_half * weight).sum(axis=0)
        total_weight, n_blocks = total_weight + weight.sum(axis=0), n_blocks + 1
    # Of a column of which nothing is there the mean is 0.
    divisor = np.where(total_weight > 0, total_weight, 1.0)
    mean = total / divisor
    square, rest = 0.0, 0.0
    for columns, weight in blocks():
        weight, difference = _column(columns, weight), columns * half * rest_half - mean
        square, rest = square + (difference**2 * weight).sum(axis=0), rest + (difference * weight).sum(axis=0)
    # What rounding left of the mean where many blocks were added up; one block is summed as it always was.
    error = rest / divisor if n_blocks > 1 else 0.0
    return total_weight, mean + error, np.sqrt(np.maximum(square / divisor - error**2, 0))


def _column(columns, weight):
    """Weights that can be multiplied with columns."""
    if weight is None:
        return np.ones((len(columns), 1))
    return weight[:, np.newaxis] if weight.ndim == 1 else weight
