"""What each step has given to a result, by the gradient there."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier

from skattn._network.explaining import explained, gradients
from skattn._network.network import Network
from skattn._wording import shortened
from skattn.base import SelfAttentionEstimator
from skattn.inspection.subject import check_model, chosen_networks
from skattn.sequences import Sequences

_STEPS_A_BLOCK = 8192


def gradient_times_input(
    model: Any, X: Any, *, target: Any = None, network: int | None = None, by_feature: bool = False
) -> list[NDArray[Any]]:
    """Tell what each step has given to a result, to first order: its values times the slope of the result there.

    Parameters
    ----------
    model : SelfAttentionClassifier, SelfAttentionRegressor or SelfAttentionTransformer
        Fitted, with an output for each sequence.
    X : sequences, as in `fit`
    target : class label, int, or array of one for each sequence, default=None
        Which result: of a classifier the score of a class, above the mean of all classes, by default of the one that is
        predicted; otherwise the number of an output, by default the first one.
    network : int, default=None
        Which of the networks; by default the mean of all.
    by_feature : bool, default=False
        Tell features apart. Behind a stem, which mixes them, that is refused.

    Returns
    -------
    attributions : list of ndarray of shape (n_steps_i,), or (n_steps_i, n_features)
        For each sequence what its steps have given, in units of the output: of a classifier those of
        `decision_function`, of values those of y. 0 is what the mean of a feature gives. Behind a stem the steps of a
        token share what it has given.

    Raises
    ------
    ValueError
        If there is no such class, output or network, or the model has no output for a whole sequence, or `by_feature`
        is asked of a model with a stem.
    TypeError, NotFittedError
        If the model is no fitted estimator of this package.

    Notes
    -----
    One forward and one backward pass. Gradient times input: Shrikumar et al. 2016, arXiv:1605.01713. It is the whole
    difference to a sequence of means where the model is linear, and only its slope where it is not: compare it with
    `step_importance`, which asks the model what it does without a step.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn import SelfAttentionClassifier
    >>> from skattn.inspection import gradient_times_input
    >>> X = np.random.default_rng(0).normal(size=(20, 9, 3))
    >>> model = SelfAttentionClassifier(n_estimators=1, max_iter=2).fit(X, np.arange(20) % 2)
    >>> gradient_times_input(model, X)[0].shape
    (9,)
    """
    numbers = chosen_networks(check_model(model), network)
    _refuse_without_output(model, by_feature)
    data = model._read_fitted(X)
    direction = _direction(model, X, data.n_samples, target)
    total: list[NDArray[Any]] = []
    for number in numbers:
        found = _attributions(model, model._fitted.members[number].network, data, direction)
        total = found if not total else [one + other for one, other in zip(total, found, strict=True)]
    return [(steps if by_feature else steps.sum(axis=1)) / len(numbers) for steps in total]


def _refuse_without_output(model: SelfAttentionEstimator, by_feature: bool) -> None:
    """Refuse models without an output for a whole sequence, and features where a stem has mixed them."""
    a = model._fitted.network.architecture
    if model._objective.target_type is None or a.is_stepwise:
        what = "an output for each step" if a.is_stepwise else f"learned by the objective {model.objective_!r}"
        raise ValueError(
            f"The model has {what}, and an output for a whole sequence is wanted; give one that was fitted with one "
            "entry of y for each sequence."
        )
    if by_feature and a.n_kernels:
        raise ValueError(
            "The model has a stem, whose tokens mix all features; leave by_feature out, take feature_importance, or "
            'fit with embedding="linear" or "convolution".'
        )


def _direction(model: SelfAttentionEstimator, X: Any, n_samples: int, target: Any) -> NDArray[np.float64]:
    """What each output of the network counts in the result that is asked for."""
    n_outputs = model._fitted.network.architecture.n_outputs
    is_of_classes = is_classifier(model) and model._objective.target_type == "classes"
    chosen = _classes(model, X, target) if is_of_classes else _outputs(target, n_outputs)
    if np.ndim(chosen) and len(chosen) != n_samples:
        raise ValueError(
            f"target has {len(chosen)} entries and X {n_samples} sequences; give one for each, or one for all."
        )
    direction = np.zeros((n_samples, n_outputs))
    direction[np.arange(n_samples), chosen] = 1
    if is_of_classes:
        return direction - 1 / n_outputs
    scale = model._fitted.target.scale
    return direction if scale is None else direction * np.repeat(scale, n_outputs // len(scale))


def _classes(model: SelfAttentionEstimator, X: Any, target: Any) -> Any:
    """Numbers of the classes that are asked for, by default those that are predicted."""
    labels = np.asarray(model.predict(X) if target is None else target)
    known = model.classes_
    strange = [label for label in np.unique(labels).tolist() if label not in known.tolist()]
    if strange or labels.ndim > 1:
        raise ValueError(
            f"target={shortened(repr(target), 60)} is no class; classes are {shortened(repr(known.tolist()), 200)}."
        )
    return np.searchsorted(known, labels)


def _outputs(target: Any, n_outputs: int) -> Any:
    """Numbers of the outputs that are asked for, by default the first."""
    numbers = np.asarray(0 if target is None else target)
    if numbers.ndim > 1 or numbers.dtype.kind not in "iu" or (numbers < 0).any() or (numbers >= n_outputs).any():
        raise ValueError(f"target={shortened(repr(target), 60)} is no output; there are 0 to {n_outputs - 1}.")
    return numbers


def _attributions(
    model: SelfAttentionEstimator, network: Network, data: Sequences, direction: NDArray[np.float64]
) -> list[NDArray[Any]]:
    """What the features of each step have given, or all together behind a stem; (n_steps_i, n_features) each."""
    found, watched = [], explained(network)
    for block in np.array_split(np.arange(data.n_samples), max(1, int(data.lengths.sum()) // _STEPS_A_BLOCK)):
        if len(block):
            some = _Block(model, watched, data.take(block), direction[block])
            found += some.of_tokens() if network.stem is not None else some.of_features()
    return found


@dataclass(frozen=True)
class _Block:
    """Some of the sequences."""

    model: SelfAttentionEstimator
    network: Network
    data: Sequences
    direction: NDArray[np.float64]

    def of_tokens(self) -> list[NDArray[Any]]:
        """Share what each token has given among its steps."""
        n_jobs, bias = self.model.n_jobs, self.network.weights["embedding.bias"]
        tokens = self.network.tokens(self.data, n_jobs)
        embedded = self.network.projector.forward(self.network.parameters, tokens, n_jobs).values - bias
        given = (embedded * gradients(self.network, tokens, self.direction, n_jobs)).sum(axis=1)
        found, ends = [], np.cumsum(tokens.lengths)
        for length, own in zip(self.data.lengths.tolist(), np.split(given, ends[:-1]), strict=True):
            spans = self.model._spans(length)
            sizes = spans[:, 1] - spans[:, 0]
            found.append(np.repeat(own / sizes, sizes)[:, np.newaxis])
        return found

    def of_features(self) -> list[NDArray[Any]]:
        """Give what each feature of each step has given."""
        network, data, a = self.network, self.data, self.network.architecture
        slopes, ends = gradients(network, data, self.direction, self.model.n_jobs), np.cumsum(data.lengths)
        rows = np.arange(ends[-1]) + np.repeat(data.starts - (ends - data.lengths), data.lengths)
        steps, weights = data.values[rows], network.weights
        given = np.zeros(steps.shape, network.dtype)
        numbers = list(a.numbers)
        if numbers:
            given[:, numbers] = network.forward(data, "input", self.model.n_jobs) * (
                _along(slopes, weights["embedding.weight"])
            )
        if a.handles_missing and numbers:
            is_missing = np.isnan(steps[:, numbers])
            given[:, numbers] = np.where(is_missing, _along(slopes, weights["missing.weight"]), given[:, numbers])
        for number, (column, n_codes) in enumerate(a.categories):
            codes = network.codes[number]
            places = np.minimum(np.searchsorted(codes, steps[:, column]), n_codes - 1)
            # The first vector is that of what is unknown.
            places = np.where(codes[places] == steps[:, column], places + 1, 0)
            given[:, column] = (slopes * weights[f"categories.{number}.weight"][places]).sum(axis=1)
        return np.split(given, ends[:-1])


def _along(slopes: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """Products of each row with each row of weights, which do not depend on the rows beside it, as BLAS has them."""
    return np.einsum("rd,nd->rn", slopes, weights)
