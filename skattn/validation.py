"""Hold samples out, and score what was learned from the others."""

import math
from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import column_or_1d

from skattn._training.objectives import OBJECTIVES
from skattn._wording import shortened
from skattn.model import Member, Model, Samples
from skattn.step_target import StepTarget


def read_groups(groups: Any, n_samples: int) -> NDArray[np.int64] | None:
    """Number the groups that samples are held out by.

    Parameters
    ----------
    groups : array-like of shape (n_samples,), or None
        Words, numbers or anything else that can be told apart.
    n_samples : int

    Returns
    -------
    groups : int array of shape (n_samples,), or None
        From 0, in the order in which they come.

    Raises
    ------
    ValueError
        If there is not one for each sample, or they cannot be told apart.
    """
    if groups is None:
        return None
    try:
        labels = column_or_1d(groups).tolist()
        numbers: dict[Any, int] = {}
        codes = [numbers.setdefault(label, len(numbers)) for label in labels]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"validation_groups cannot be read as one group a sample ({str(error)[:200]}); give an array of numbers or "
            "words of shape (n_samples,)."
        ) from error
    if len(codes) != n_samples:
        raise ValueError(
            f"validation_groups has {len(codes)} entries for {n_samples} sequences; give one group for each sequence."
        )
    return np.array(codes, np.int64)


def rarest_labels(indicators: NDArray[Any]) -> NDArray[np.int64]:
    """Give each sample one class by which to stratify where it has several labels: the rarest of these, or none."""
    counts = indicators.sum(axis=0)
    order = np.argsort(counts, kind="stable")
    has = indicators[:, order] > 0
    return np.where(has.any(axis=1), order[has.argmax(axis=1)], indicators.shape[1])


def split_validation(
    n_samples: int,
    labels: NDArray[np.int64] | None,
    fraction: float,
    seed: int,
    groups: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw validation samples: the same share of every class, and never the last sample of one.

    Parameters
    ----------
    n_samples : int
    labels : int array of shape (n_samples,) or None
        Class of each sample, if it has one.
    fraction : float
        Share of validation samples; rounded up to whole samples.
    seed : int
    groups : int array of shape (n_samples,) or None
        Samples of one group, numbered from 0, are held out together; shares are then as near as groups allow.

    Returns
    -------
    train, validation : int array
        Sample numbers, in rising order.

    Raises
    ------
    ValueError
        If one of the two would be empty.
    """
    n_validation = math.ceil(fraction * n_samples)
    if n_validation >= n_samples:
        raise ValueError(
            f"early_stopping=True with validation_fraction={fraction} leaves none of n_samples={n_samples} "
            "to train on; give X_val and y_val to fit, or set early_stopping=False."
        )
    _, classes = np.unique(np.zeros(n_samples, np.int64) if labels is None else labels, return_inverse=True)
    generator, counts = np.random.default_rng(seed), np.bincount(classes)
    order = generator.permutation(n_samples)
    quotas = _quotas(counts, n_validation, generator)
    if groups is None:
        is_validation = _hold_out_samples(classes, order, quotas)
    else:
        is_validation = _hold_out_groups(classes, groups, generator, quotas, n_validation)
    if not is_validation.any():
        what = "class" if groups is None else "class, or nearly so, in each group"
        raise ValueError(
            f"early_stopping=True can hold out none of n_samples={n_samples}, for these are the only samples of their "
            f"{what}, and each class must be learned from; give X_val and y_val to fit, or set early_stopping=False."
        )
    return np.flatnonzero(~is_validation), np.flatnonzero(is_validation)


def _quotas(counts: NDArray[np.int64], n_validation: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Validation samples of each class, by largest remainders; one of each class at least is left to learn from."""
    shares = counts * (n_validation / counts.sum())
    quotas = np.minimum(np.floor(shares).astype(np.int64), counts - 1)
    # Of equal remainders chance decides, or the first classes would always be ahead.
    by_remainder = np.lexsort((generator.random(len(counts)), quotas - shares))
    missing = n_validation - quotas.sum()
    while missing > 0 and (quotas < counts - 1).any():
        open_classes = by_remainder[quotas[by_remainder] < counts[by_remainder] - 1][:missing]
        quotas[open_classes] += 1
        missing -= len(open_classes)
    return quotas


def _hold_out_samples(
    classes: NDArray[np.int64], order: NDArray[np.int64], quotas: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Take the first of each class, in an order, up to its quota."""
    by_class = order[np.argsort(classes[order], kind="stable")]
    counts = np.bincount(classes)
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    is_validation = np.zeros(len(order), bool)
    is_validation[by_class] = rank < quotas[classes[by_class]]
    return is_validation


def _hold_out_groups(
    classes: NDArray[np.int64],
    groups: NDArray[np.int64],
    generator: np.random.Generator,
    quotas: NDArray[np.int64],
    n_validation: int,
) -> NDArray[np.bool_]:
    """Take whole groups, first those that no quota is too small for, then those that bring the total nearer."""
    order = np.argsort(groups, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(groups))[:-1])
    left, wanted, n_taken = np.bincount(classes), quotas.copy(), 0
    is_taken = np.zeros(len(members), bool)
    for is_strict in (True, False):
        for group in generator.permutation(len(members)):
            held, counts = np.unique(classes[members[group]], return_counts=True)
            size = len(members[group])
            fits = (wanted[held] >= counts).all() if is_strict else 2 * n_taken + size < 2 * n_validation
            if not is_taken[group] and fits and (left[held] > counts).all():
                left[held] -= counts
                wanted[held] -= counts
                is_taken[group], n_taken = True, n_taken + size
    # Every group may be larger than twice what is wanted.
    for group in np.argsort([len(of_group) for of_group in members], kind="stable"):
        held, counts = np.unique(classes[members[group]], return_counts=True)
        if not is_taken.any() and (left[held] > counts).all():
            is_taken[group] = True
    return is_taken[groups]


def find_scorer(scoring: Any, none: str = "minus the validation loss") -> Callable[..., Any] | None:
    """Give the scorer that `scoring` names or is; None for what `none` tells.

    Raises
    ------
    ValueError
        If scikit-learn has none of that name, or it is no scorer.
    """
    if scoring is not None and not isinstance(scoring, str) and not callable(scoring):
        raise ValueError(
            f"scoring={shortened(scoring, 100)} is no scorer; give a name, a callable, or None for {none}."
        )
    if not isinstance(scoring, str):
        scorer: Callable[..., Any] | None = scoring
        return scorer
    # Here, because importing them takes longer than a small fit, and few fits score.
    from sklearn.metrics import get_scorer, get_scorer_names

    if scoring not in get_scorer_names():
        near = get_close_matches(scoring, get_scorer_names(), n=3) or ["accuracy", "r2"]
        raise ValueError(
            f"scoring={scoring[:100]!r} is no scorer of scikit-learn; try {', '.join(map(repr, near))}, another of "
            f"sklearn.metrics.get_scorer_names(), a callable (estimator, X, y), or None for {none}."
        )
    named: Callable[..., Any] = get_scorer(scoring)
    return named


def make_score(estimator: Any, samples: Samples, model: Model) -> Callable[[Any], float] | None:
    """Give what scores a network on samples by `scoring`, None for minus the loss.

    Parameters
    ----------
    estimator : SelfAttentionEstimator
        Left as it is: a scorer sees a copy that has the network at hand.
    samples : Samples
        To score on.
    model : Model
        What the network belongs to.

    Returns
    -------
    score : callable (network) -> float, or None
    """
    scorer = find_scorer(estimator.scoring)
    if scorer is None:
        return None
    data, target = samples.data, samples.target
    sequences = [data.values[start : start + n] for start, n in zip(data.starts, data.lengths, strict=True)]
    if isinstance(target, StepTarget):
        y = target.as_given(samples.classes)
    else:
        y = samples.classes[target] if OBJECTIVES[samples.objective].target_type == "classes" else target
    options = {}
    if np.ptp(samples.weight) and _takes_weights(scorer):
        options["sample_weight"] = samples.weight
    view = object.__new__(type(estimator))
    # Of its predictions nothing is told: the line is that of the fit.
    vars(view).update(vars(estimator), verbose=0)

    def score(network: Any) -> float:
        view._model = replace(model, members=[Member(network, model.state)])
        try:
            number = scorer(view, sequences, y, **options)
        except ValueError as error:
            raise ValueError(
                f"scoring={str(estimator.scoring)[:100]} cannot score the {data.n_samples} validation samples: "
                f"{shortened(error, 300)}. Where classes are missing among them, give more by validation_fraction or "
                "X_val, or set scoring=None."
            ) from error
        try:
            number = float(number)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(
                f"scoring={str(estimator.scoring)[:100]} gave no finite number on {data.n_samples} validation samples; "
                "give more of them, or another scoring."
            )
        return number

    return score


def _takes_weights(scorer: Callable[..., Any]) -> bool:
    """Whether a scorer was made of a metric that weighs samples."""
    metric = getattr(scorer, "_score_func", None)
    try:
        return metric is not None and "sample_weight" in signature(metric).parameters
    except (TypeError, ValueError):
        return False
