"""Attention of all layers multiplied up: how far each step's outputs go back to each step."""

from functools import reduce
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn._wording import shortened
from skattn.attention_maps import over_steps
from skattn.inspection.subject import check_model
from skattn.sizes import memory


def attention_rollout(
    model: Any, X: Any, *, network: int = 0, over: str = "tokens", residual: float = 0.5
) -> list[NDArray[Any]]:
    """Follow attention through all layers, from what comes out at each step back to the steps that went in.

    Parameters
    ----------
    model : SelfAttentionTransformer, SelfAttentionClassifier or SelfAttentionRegressor
        Fitted.
    X : sequences, as in `fit`
    network : int, default=0
        Which of the `n_estimators` networks; negative numbers count from the last.
    over : {"tokens", "steps"}, default="tokens"
        What rows and columns are behind a stem or patches, as in the model's `attention_weights`: tokens are followed
        through the layers, and spread over steps in the end.
    residual : float, default=0.5
        Share of what goes past attention, in [0, 1]: of each layer's map is taken ``1 - residual``, and of the identity
        `residual`. The source has a half for each.

    Returns
    -------
    rollout : list of ndarray of shape (n_steps_i, n_steps_i)
        For each sequence, how much of what comes out at every step (row) goes back to every step (column); rows sum
        to 1. Behind a stem or patches they are tokens, unless they are spread `over` steps.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    TypeError
        If the model is no estimator of this package; of a pipeline pass ``model[-1]`` and ``model[:-1].transform(X)``.
    ValueError
        If there is no such network, `over` or `residual` is something else, or all maps together do not fit in memory.

    Notes
    -----
    Abnar & Zuidema (2020), "Quantifying Attention Flow in Transformers", arXiv:2005.00928, section 3: the mean over
    heads, mixed with the identity for what goes past attention, multiplied from the first layer to the last.

    It is a picture of routes, and no measure of effects. Values may be small where weights are large. Heads are
    averaged although each carries something else. What goes past attention is taken to be a fixed share, while its
    true share differs between layers and steps. Feed-forward parts and pooling are left out. Weights are never
    negative, so that what speaks against a class looks like what speaks for it.
    """
    check_model(model)
    if not isinstance(residual, Real) or isinstance(residual, bool) or not 0 <= residual <= 1:
        raise ValueError(f"residual={shortened(repr(residual), 60)}; give a share from 0 to 1.")
    if over not in ("tokens", "steps"):
        raise ValueError(f"over={shortened(repr(over), 60)}; rollouts are over 'tokens' or 'steps'.")
    # Spread once, in the end: what is spread in each layer would be smoothed in each.
    maps = model.iter_attention_weights(X, layer=None, average=True, network=network)
    lengths = model._read_fitted(X).lengths
    _refuse_too_large(model, lengths, over)
    rolled = []
    for of_sequence, length in zip(maps, lengths.tolist(), strict=True):
        rollout = reduce(lambda before, layer: layer @ before, [_mixed(layer, residual) for layer in of_sequence])
        rolled.append(rollout if over == "tokens" else over_steps(rollout[np.newaxis], model._spans(length), length)[0])
    return rolled


def _refuse_too_large(model: Any, lengths: NDArray[np.int64], over: str) -> None:
    """Refuse rollouts that this machine cannot hold all at once."""
    network = model._fitted.network
    n_rows = (lengths if over == "steps" else network.count_rows(lengths)).astype(np.float64)
    needed = float((n_rows**2).sum()) * network.dtype.itemsize
    if needed > memory():
        raise ValueError(
            f"The rollouts of {len(lengths)} sequences of up to {lengths.max()} steps need {needed / 2**30:.3g} GiB, "
            f"and this machine has {memory() / 2**30:.3g}; pass fewer sequences at a time."
        )


def _mixed(weights: NDArray[Any], residual: Any) -> NDArray[Any]:
    """The mean over heads, with the identity for what goes past attention; rows sum to 1."""
    mixed = (1 - float(residual)) * weights
    mixed[np.diag_indices(len(mixed))] += float(residual)
    return mixed / mixed.sum(axis=1, keepdims=True)
