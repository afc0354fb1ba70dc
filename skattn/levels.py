"""Values to predict counted from the level of their own sequence, as forecasts of what wanders are."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn._network.stem_learning import measure_columns
from skattn._training.objectives import Target
from skattn._training.standardise import standardised
from skattn.sequences import Sequences

FLOOR = 0.01
"""Share of the median deviation that a sequence's own counts as at least: one that stands still has none."""


NOISE = 1e-12
"""Share of the largest mean below which deviations are rounding errors."""


def measure_levels(data: Sequences) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of every sequence's own steps.

    Parameters
    ----------
    data : Sequences

    Returns
    -------
    mean, deviation : ndarray of shape (n_samples, n_features)
    """
    mean, deviation = np.empty((2, data.n_samples, data.n_features))
    for i, (start, length) in enumerate(zip(data.starts.tolist(), data.lengths.tolist(), strict=True)):
        steps, is_there = _present(np.asarray(data.values[start : start + length], np.float64))
        if (steps == steps[0]).all():
            # To the last bit: a rounding error is no deviation.
            mean[i], deviation[i] = steps[0], 0.0
            continue
        # Shares are added up, and halves taken off: sums and differences of the largest numbers overflow.
        mean[i] = (steps / length).sum(axis=0)
        halves = np.abs(steps * 0.5 - mean[i] * 0.5)
        largest = np.maximum(halves.max(axis=0), np.finfo(np.float64).tiny)
        deviation[i] = 2 * np.sqrt(np.square(halves / largest).mean(axis=0) / is_there) * largest
    return mean, deviation


def _present(steps: NDArray[np.float64]) -> tuple[NDArray[np.float64], Any]:
    """Steps with the mean of the others where a value is missing, 0 where all are; and which share of each is there."""
    is_missing = np.isnan(steps)
    if not is_missing.any():
        return steps, 1.0
    n_there = np.maximum((~is_missing).sum(axis=0), 1)
    mean = (np.where(is_missing, 0.0, steps) / n_there).sum(axis=0)
    return np.where(is_missing, mean, steps), n_there / len(steps)


def learn_levels(
    target: NDArray[np.float64], data: Sequences, weight: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Choose for each output the feature that it is counted from: the number whose mean is nearest to it.

    Parameters
    ----------
    target : ndarray of shape (n_samples,) or (n_samples, n_outputs)
    data : Sequences
    weight : ndarray of shape (n_samples,)

    Returns
    -------
    features : ndarray of shape (n_outputs,)
    floors : ndarray of shape (n_outputs,)
        What the deviation of a sequence counts as at least.

    Raises
    ------
    ValueError
        If no feature is a number: codes and times have no level.
    """
    numbers = np.setdiff1d(np.arange(data.n_features), data.roles.no_numbers)
    if not len(numbers):
        raise ValueError(
            'normalise_target="sequence" counts y from the level of a number, and all features are categories or '
            'times; set normalise_target="global", or add a number to the features.'
        )
    columns = target.reshape(len(target), -1)
    mean, deviation = measure_levels(data)
    features = np.empty(columns.shape[1], np.int64)
    for k, column in enumerate(columns.T):
        distances = column[:, np.newaxis] * 0.5 - mean[:, numbers] * 0.5
        largest = max(np.abs(distances).max(), np.finfo(np.float64).tiny)
        nearest = np.average(np.square(distances / largest), axis=0, weights=weight).argmin()
        features[k] = numbers[nearest]
    _, median = measure_columns(deviation, weight, np.full(data.n_features, 0.5))
    floors = np.where(median > 0, np.maximum(FLOOR * median, NOISE * np.abs(mean).max(axis=0)), 1.0)
    return features, np.maximum(floors[features], np.finfo(np.float64).tiny)


def relative(target: NDArray[np.float64], data: Sequences, levels: Target) -> NDArray[np.float64]:
    """Values in deviations of their own sequence from its mean.

    Parameters
    ----------
    target : ndarray of shape (n_samples,) or (n_samples, n_outputs)
    data : Sequences
    levels : Target
        Its `features` and `floors`.
    """
    mean, deviation = _levels_of(data, levels)
    return standardised(target.reshape(len(target), -1), mean, deviation).reshape(target.shape)


def absolute(values: NDArray[Any], data: Sequences, levels: Target) -> NDArray[np.float64]:
    """What `relative` makes of values taken back, in float64.

    Parameters
    ----------
    values : ndarray of shape (n_samples,) or (n_samples, n_outputs)
    data, levels
        See `relative`.

    Raises
    ------
    ValueError
        If a value exceeds float64.
    """
    mean, deviation = _levels_of(data, levels)
    with np.errstate(over="ignore"):
        result = np.asarray(values, np.float64).reshape(len(values), -1) * deviation + mean
    if not np.isfinite(result).all():
        raise ValueError("A prediction exceeds float64: the sequence that it belongs to is too large; scale X and y.")
    return result.reshape(values.shape)


def counted_from(target: Target) -> str:
    """The `normalise_target` that a target was learned with."""
    return "global" if target.features is None else "sequence"


def _levels_of(data: Sequences, levels: Target) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mean, deviation = measure_levels(data)
    return mean[:, levels.features], np.maximum(deviation[:, levels.features], levels.floors)
