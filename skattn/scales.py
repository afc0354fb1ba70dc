"""What features and their differences are centred on and divided by: learned, applied and taken back."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skattn._training.spread import Spread, measure, step_blocks, with_ends_of
from skattn._training.standardise import median_and_spread, standardised
from skattn._training.within import (
    changes_within,
    low_and_range_within,
    mean_and_scale_within,
    median_and_spread_within,
    scale_of_range,
)
from skattn.sequences import Sequences
from skattn.stepwise import whole_samples

_WITHIN = {"standard": mean_and_scale_within, "robust": median_and_spread_within, "min_max": low_and_range_within}
"""Centres and scales of sequences by their own steps."""

METHODS = (*_WITHIN, "none")
"""Ways to scale."""


class Scales(NamedTuple):
    """What features are centred on and divided by: arrays of shape (n_features,), float64.

    Attributes
    ----------
    center, scale : ndarray or None
        None where every sequence has its own.
    difference_scale : ndarray or None
        What differences are divided by, None where there are none.
    """

    center: Any
    scale: Any
    difference_scale: Any


def learn_scales(
    data: Sequences,
    weight: NDArray[np.float64],
    method: str,
    *,
    is_within: bool,
    differences: bool,
    seen: dict[str, Any],
) -> tuple[Scales, dict[str, Any]]:
    """Measure features, and then their differences, alone or together with those seen before.

    Parameters
    ----------
    data : Sequences
    weight : ndarray of shape (n_samples,)
        Positive.
    method : str
        One of `METHODS`.
    is_within : bool
        Whether every sequence is scaled by its own steps.
    differences : bool
        Whether differences are wanted.
    seen : dict
        What the call before gave; empty in the first one.

    Returns
    -------
    scales : Scales
    seen : dict
        How values and differences lie, as plain arrays; quartiles are not among them, to which nothing can be added.

    Raises
    ------
    ValueError
        If what is to be divided by exceeds float64.
    """
    seen = dict(seen)
    with np.errstate(all="ignore"):  # what overflows is refused
        scales = Scales(*_learn_features(data, weight, method, is_within, seen), None)
        if differences:
            scales = scales._replace(difference_scale=_learn_differences(data, weight, method, scales, seen))
    for found, what in ((scales.scale, "range"), (scales.difference_scale, "difference between steps")):
        if found is not None and not np.isfinite(found).all():
            feature = int(np.argmin(np.isfinite(found)))
            raise ValueError(f"The {what} of feature {feature} of a step exceeds float64; multiply X by 0.1 first.")
    return scales, seen


def scale_steps(
    scales: Scales, method: str, steps: NDArray[np.float64], lengths: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Scale the steps of whole sequences, and append their differences.

    Parameters
    ----------
    scales : Scales
    method : str
        That by which they were learned.
    steps, lengths : as `whole_samples` gives them

    Returns
    -------
    scaled : ndarray of shape (n_rows, n_features) or (n_rows, 2 * n_features), float64
        NaN or infinite where the range of a sequence, or what comes out, exceeds float64; NaN as well where a value is
        missing, or the one before it whose change it would be.
    """
    center, scale, difference_scale = scales
    if center is None:
        center, scale = (np.repeat(each, lengths, axis=0) for each in _WITHIN[method](steps, lengths))
        # Divided by infinity all would be 0, and nobody would notice.
        scale = np.where(np.isfinite(scale), scale, np.nan)
    scaled = standardised(steps, center, scale)
    if difference_scale is None:
        return scaled
    changes = changes_within(scaled if scales.center is None else steps, lengths)
    return np.hstack([scaled, changes / difference_scale])


def take_back(scales: Scales, steps: NDArray[np.float64], lengths: NDArray[np.int64]) -> NDArray[np.float64]:
    """Make of scaled steps what they were, without differences.

    Parameters
    ----------
    scales : Scales
        With a centre and a scale.
    steps, lengths : as `scale_steps` gives them, and as it was given them
    """
    # By halves, as in `standardised`.
    scaled = steps[:, : len(scales.center)]
    return (scaled * (scales.scale * 0.5) + scales.center * 0.5) * 2


def _learn_features(
    data: Sequences, weight: NDArray[np.float64], method: str, is_within: bool, seen: dict[str, Any]
) -> tuple[Any, Any]:
    """Centre and scale of every feature over all steps, None where every sequence has its own."""
    if method == "none":
        return np.zeros(data.n_features), np.ones(data.n_features)
    if is_within:
        return None, None
    if method == "robust":
        return _median_and_spread(data, weight)
    spread = _measure(partial(step_blocks, data, weight), "values", seen)
    if method == "min_max":
        return spread.lowest, scale_of_range(spread.lowest, spread.highest)
    return spread.mean, spread.scale


def _median_and_spread(data: Sequences, weight: NDArray[np.float64]) -> tuple[Any, Any]:
    """Median and scale of every feature, of the values that are there."""
    steps = np.concatenate([steps for _, _, steps in whole_samples(data)])
    step_weight, is_there = np.repeat(weight, data.lengths), ~np.isnan(steps)
    if is_there.all():
        return median_and_spread(steps, step_weight)
    center, scale = np.zeros(data.n_features), np.ones(data.n_features)
    for i, there in enumerate(is_there.T):
        if there.any():
            (center[i],), (scale[i],) = median_and_spread(steps[there, i : i + 1], step_weight[there])
    return center, scale


def _learn_differences(
    data: Sequences, weight: NDArray[np.float64], method: str, scales: Scales, seen: dict[str, Any]
) -> NDArray[np.float64]:
    """Deviation of all differences, 1 where no sequence has had two steps."""
    longer = data.lengths > 1
    if longer.any():
        _measure(partial(_difference_blocks, data.take(longer), weight[longer], method, scales), "differences", seen)
    return Spread(**seen["differences"]).scale if "differences" in seen else np.ones(data.n_features)


def _difference_blocks(data: Sequences, weight: NDArray[np.float64], method: str, scales: Scales) -> Iterator[Any]:
    """Differences some at a time, without those of the first steps, and what they weigh."""
    for samples, lengths, steps in whole_samples(data):
        is_later = np.ones(len(steps), bool)
        is_later[np.cumsum(lengths) - lengths] = False
        steps = scale_steps(scales, method, steps, lengths) if scales.center is None else steps
        changes, step_weight = changes_within(steps, lengths)[is_later], np.repeat(weight[samples], lengths - 1)
        is_missing = np.isnan(changes)
        if is_missing.any():
            changes = np.where(is_missing, 0.0, changes)
            step_weight = ~is_missing * step_weight[:, np.newaxis]
        yield changes, step_weight


def _measure(blocks: Any, name: str, seen: dict[str, Any]) -> Spread:
    """How numbers lie, together with those seen before by that name, which is written there."""
    before = Spread(**seen[name]) if name in seen else None
    spread = measure(blocks, before)
    spread = spread if before is None else with_ends_of(spread, before)
    seen[name] = dict(vars(spread))
    return spread
