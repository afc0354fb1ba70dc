"""How a fit encodes its target."""

from dataclasses import replace
from typing import Any

import numpy as np

from skattn._training.objectives import Objective, Target
from skattn.levels import learn_levels, relative
from skattn.model import Samples
from skattn.step_target import StepTarget


def learn_target(estimator: Any, samples: Samples, objective: Objective, n_outputs: int) -> Target:
    """Find how the target is encoded; values may be counted from the level of their own sequences.

    Parameters
    ----------
    estimator : SelfAttentionEstimator
        Its `normalise_target` and `quantiles` are read, where it has them.
    samples : Samples
    objective : Objective
    n_outputs : int
        Outputs of the network where the target cannot tell.

    Raises
    ------
    ValueError
        If the target cannot be counted from the level of sequences.
    """
    target = samples.target
    if isinstance(target, StepTarget):
        if getattr(estimator, "normalise_target", "global") != "global":
            raise ValueError(
                'normalise_target="sequence" counts the value of a sequence from the mean of its steps, and y has a '
                'value for each step; set normalise_target="global".'
            )
        learned = objective.learn_target(target.labelled, target.of_labelled(samples.weight), n_outputs)
        return replace(_with_quantiles(learned, estimator, objective), form=target.form)
    if getattr(estimator, "normalise_target", "global") == "global":
        return _with_quantiles(objective.learn_target(target, samples.weight, n_outputs), estimator, objective)
    if objective.least is not None:
        raise ValueError(
            f'normalise_target="sequence" makes values above and below 0 of y, and the loss "{objective.loss}" is for '
            f'what is {objective.least} or more; set normalise_target="global".'
        )
    features, floors = learn_levels(samples.target, samples.data, samples.weight)
    levels = {"features": features, "floors": floors}
    values = relative(samples.target, samples.data, Target(len(features), **levels))
    learned = objective.learn_target(values, samples.weight, n_outputs)
    return replace(_with_quantiles(learned, estimator, objective), **levels)


def _with_quantiles(target: Target, estimator: Any, objective: Objective) -> Target:
    """A target of which every value has an output for each quantile, where quantiles are learned.

    Raises
    ------
    ValueError
        If the spread of y is beyond float64, so that nothing could be told in its units.
    """
    if target.scale is not None and not np.isfinite(target.scale).all():
        raise ValueError(
            "y is spread over more than float64 can hold, so nothing could be told in its units; scale it, for example "
            "by sklearn.compose.TransformedTargetRegressor."
        )
    if objective.quantiles is None:
        return target
    levels = tuple(float(level) for level in estimator.quantiles)
    return replace(target, n_outputs=target.n_outputs * len(levels), quantiles=levels)
