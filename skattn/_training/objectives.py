"""Say what is learned: how a target is encoded, and how outputs are read back."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from skattn._training.standardise import mean_and_scale, median_and_spread, standardised


@dataclass(frozen=True)
class Target:
    """What one fit learned about its target; plain arrays, so it can be pickled with the estimator.

    Attributes
    ----------
    n_outputs : int
        Width of the network's output, ``Architecture.n_outputs``.
    mean, scale : ndarray of shape (n_outputs,), float64, or None
        Weighted mean and standard deviation of values, or median and spread; None where targets are not standardised.
    is_column : bool
        Whether the target was 1-D, so that predictions are 1-D too.
    features : int64 ndarray of shape (n_outputs,), or None
        Where values are counted from the level of their own sequence: the feature whose level that is.
    floors : ndarray of shape (n_outputs,), float64, or None
        What the deviation of a sequence counts as at least there.
    form : str or None
        Where every step has a target: in which form they came, and predictions are given.
    quantiles : tuple of float
        Levels of the outputs of each value, in rising order; none where values have one output each.
    """

    n_outputs: int
    mean: np.ndarray | None = None
    scale: np.ndarray | None = None
    is_column: bool = False
    features: np.ndarray | None = None
    floors: np.ndarray | None = None
    form: str | None = None
    quantiles: tuple = ()

    @property
    def n_values(self):
        """Columns of the target."""
        return self.n_outputs // max(1, len(self.quantiles))


def mean_outputs(outputs):
    """What several networks say together.

    Of classes that is the geometric mean of their probabilities, up to a factor: who is sure says more than who is not.
    """
    return outputs[0] if len(outputs) == 1 else np.mean(outputs, axis=0)


@dataclass(frozen=True)
class Objective:
    """One entry of `OBJECTIVES`: everything that an estimator must know about a loss.

    Every function takes arrays that the estimator has checked already. `outputs` are what
    ``network.forward(data, "outputs")`` gives, of shape (n_samples, n_outputs).

    Attributes
    ----------
    loss : str
        Name of the per-sample loss that the network computes, ``Architecture.loss``.
    target_type : {"classes", "indicators", "values"} or None
        What y holds: one of several classes a sample, 0 and 1 for each of several labels, numbers; None where y is
        nothing of interest.
    learn_target : callable (y, weight, n_outputs) -> Target
        Look at the target once, at the first fit. `weight` may be None. `n_outputs` is needed where y
        cannot tell: the number of classes for "cross_entropy", of features for "reconstruction".
    encode : callable (y, target) -> ndarray of shape (n_samples, n_target), float64, or None
        What the loss is computed against.
    predict : callable (outputs, target) -> ndarray, or None
        Class indices, values in the units of y, or 0/1 indicators. None where nothing is predicted.
    probabilities : callable (outputs) -> ndarray of shape (n_samples, n_outputs), or None
        None where there are no classes.
    log_probabilities : callable (outputs) -> ndarray of shape (n_samples, n_outputs), or None
        Their logarithms, finite also where a probability is too small for a float.
    decision : callable (outputs) -> ndarray, or None
        Scikit-learn's ``decision_function``: (n_samples,) for two classes, else (n_samples, n_outputs).
    combine : callable (list of outputs) -> outputs
        What several networks say together, as outputs of one.
    quantiles : callable (outputs, target) -> ndarray of shape (n_samples, n_values, n_quantiles), or None
        In the units of y, in rising order. None where there are none.
    least : float or None
        What y is never below; None for no limit.
    is_refitted : bool
        Whether ridge regression finds the weights of the outputs when training has ended.
    is_chosen_for : tuple of str
        Kinds of y, in scikit-learn's words, that are learned by this where nobody says by what; "none" without y.
    """

    loss: str
    target_type: str | None
    learn_target: Callable
    encode: Callable
    predict: Callable | None = None
    probabilities: Callable | None = None
    log_probabilities: Callable | None = None
    decision: Callable | None = None
    combine: Callable = mean_outputs
    quantiles: Callable | None = None
    least: float | None = None
    is_refitted: bool = False
    is_chosen_for: tuple[str, ...] = ()


def softmax(outputs):
    """Turn each row into probabilities; the row's maximum is taken off first, so nothing overflows."""
    shifted = outputs - outputs.max(axis=1, keepdims=True)
    np.exp(shifted, out=shifted)
    shifted /= shifted.sum(axis=1, keepdims=True)
    return shifted


def log_softmax(outputs):
    """Turn each row into logarithms of probabilities, never by way of a probability that may be 0."""
    shifted = outputs - outputs.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def sigmoid(outputs):
    """Turn each number into a probability; only ever the exponential of a negative number."""
    decayed = np.exp(-np.abs(outputs))
    return np.where(outputs >= 0, 1, decayed) / (1 + decayed)


def log_sigmoid(outputs):
    """Turn each number into the logarithm of a probability."""
    return -np.logaddexp(0, -outputs)


def _learn_classes(y, weight, n_outputs):
    """Classes are known to the estimator; only their number matters here."""
    return Target(n_outputs=n_outputs, is_column=True)


def _learn_indicators(y, weight, n_outputs):
    """One output for each label."""
    return Target(n_outputs=y.shape[1])


def _learn_nothing(y, weight, n_outputs):
    """What tells steps has as many outputs as a step has features, or codes of these."""
    return Target(n_outputs=n_outputs)


def _learn_values(y, weight, n_outputs):
    """Weighted mean and standard deviation of every output, in float64."""
    columns = _as_columns(y)
    return Target(columns.shape[1], *mean_and_scale(columns, weight), is_column=np.ndim(y) == 1)


def _learn_values_firmly(y, weight, n_outputs):
    """Weighted median of every output, and a deviation that a few wrong values do not move."""
    columns = _as_columns(y)
    return Target(columns.shape[1], *median_and_spread(columns, weight), is_column=np.ndim(y) == 1)


def _as_columns(y):
    """(n_samples,) or (n_samples, n_outputs) to float64 (n_samples, n_outputs)."""
    columns = np.asarray(y, dtype=np.float64)
    return columns[:, np.newaxis] if columns.ndim == 1 else columns


def _encode_columns(y, target):
    """Class indices or indicators, as they are."""
    return _as_columns(y)


def _encode_values(y, target):
    """Values in standard deviations from their mean."""
    return standardised(_as_columns(y), target.mean, target.scale)


def _encode_nothing(y, target):
    """The sequences are their own target."""
    return None


def _predict_classes(outputs, target):
    return outputs.argmax(axis=1)


def _predict_indicators(outputs, target):
    return (outputs > 0).astype(np.int64)


def _predict_values(outputs, target):
    """In the precision of the outputs, or in float64 where that cannot tell values a deviation apart."""
    with np.errstate(over="ignore"):
        values = outputs * target.scale + target.mean
    if not np.isfinite(values).all():
        raise ValueError(
            f"A prediction exceeds float64: y at fit had a mean of up to {np.abs(target.mean).max():g} and a standard "
            f"deviation of up to {target.scale.max():g}; scale y before fit."
        )
    if outputs.dtype != values.dtype and _holds(outputs.dtype, values, target):
        values = values.astype(outputs.dtype, copy=False)
    return values[:, 0] if target.is_column else values


def _learn_rates(y, weight, n_outputs):
    """Weighted mean of every output, which its rate is counted in."""
    columns = _as_columns(y)
    mean = mean_and_scale(columns, weight)[0]
    return Target(columns.shape[1], np.zeros_like(mean), np.where(mean > 0, mean, 1.0), is_column=np.ndim(y) == 1)


def _predict_rates(outputs, target):
    """Outputs are logarithms of rates, in those of the mean."""
    with np.errstate(over="ignore", under="ignore"):
        rates = np.exp(outputs.astype(np.float64))
    return _predict_values(rates, target)


def mean_rates(outputs):
    """Outputs whose exponential is the mean of those of several networks."""
    if len(outputs) == 1:
        return outputs[0]
    return np.logaddexp.reduce(outputs, axis=0) - np.log(len(outputs)).astype(outputs[0].dtype)


def _predict_quantiles(outputs, target):
    """Quantiles that training left crossed are sorted, which brings them no further from the true ones.

    Chernozhukov, Fernández-Val & Galichon (2010), "Quantile and probability curves without crossing".
    """
    levels = np.sort(outputs.reshape(len(outputs), target.n_values, -1), axis=2)
    columns = replace(target, is_column=False)
    return np.stack([_predict_values(levels[:, :, i], columns) for i in range(levels.shape[2])], axis=2)


def _predict_median(outputs, target):
    """The quantile at one half, on a line between those around it; the nearest where all are on one side."""
    quantiles, levels = _predict_quantiles(outputs, target), target.quantiles
    after = min(int(np.searchsorted(levels, 0.5)), len(levels) - 1)
    before = max(after - 1, 0)
    share = np.interp(0.5, [levels[before], levels[after]], [0.0, 1.0]) if after > before else 1.0
    values = quantiles[:, :, before] * (1 - share) + quantiles[:, :, after] * share
    values = values.astype(quantiles.dtype, copy=False)
    return values[:, 0] if target.is_column else values


def _holds(dtype, values, target):
    """Whether a precision has room for values, and for a thousandth of their deviation beside their mean."""
    limits = np.finfo(dtype)
    is_fine = np.all(target.scale >= 1000 * limits.eps * np.abs(target.mean)) and np.all(target.scale >= limits.tiny)
    return is_fine and np.abs(values).max() <= limits.max


def _class_decision(outputs):
    """Log-odds of the second of two classes; else one number a class."""
    return outputs[:, 1] - outputs[:, 0] if outputs.shape[1] == 2 else outputs


def _label_decision(outputs):
    return outputs


def _of_values(loss, learn_target, **options):
    """An objective whose outputs are values in deviations from their middle."""
    return Objective(loss, "values", learn_target, _encode_values, _predict_values, **options)


OBJECTIVES = {
    "cross_entropy": Objective(
        loss="cross_entropy",
        target_type="classes",
        learn_target=_learn_classes,
        encode=_encode_columns,
        predict=_predict_classes,
        probabilities=softmax,
        log_probabilities=log_softmax,
        decision=_class_decision,
        is_chosen_for=("binary", "multiclass"),
    ),
    "squared_error": _of_values(
        "squared_error",
        _learn_values,
        is_refitted=True,
        is_chosen_for=("continuous", "continuous-multioutput"),
    ),
    "absolute_error": _of_values("absolute_error", _learn_values_firmly),
    "huber": _of_values("huber", _learn_values_firmly),
    "binary_cross_entropy": Objective(
        loss="binary_cross_entropy",
        target_type="indicators",
        learn_target=_learn_indicators,
        encode=_encode_columns,
        predict=_predict_indicators,
        probabilities=sigmoid,
        log_probabilities=log_sigmoid,
        decision=_label_decision,
        is_chosen_for=("multilabel-indicator",),
    ),
    "poisson": Objective(
        "poisson", "values", _learn_rates, _encode_values, _predict_rates, combine=mean_rates, least=0
    ),
    "quantile": Objective(
        "quantile", "values", _learn_values_firmly, _encode_values, _predict_median, quantiles=_predict_quantiles
    ),
    "reconstruction": Objective(
        loss="reconstruction",
        target_type=None,
        learn_target=_learn_nothing,
        encode=_encode_nothing,
        is_chosen_for=("none",),
    ),
    "next_step": Objective("next_step", None, _learn_nothing, _encode_nothing),
    "contrastive": Objective("contrastive", None, _learn_nothing, _encode_nothing),
}
"""Objectives by name; the estimator stores the name and looks the entry up."""

CHOSEN = {kind: name for name, objective in OBJECTIVES.items() for kind in objective.is_chosen_for}
"""Names of objectives by the kind of y that they are chosen for."""
