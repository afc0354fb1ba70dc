"""Take heads out of fitted models, or hear what is left when one is silent."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from skattn._network.network import Network
from skattn._network.pruning import pruned, silenced
from skattn._wording import shortened
from skattn.attention_maps import number_of
from skattn.base import SelfAttentionEstimator
from skattn.inspection.subject import check_model, with_network

_COLUMNS = ("network", "layer", "head")


def prune_heads(model: Any, heads: Any) -> Any:
    """Give a smaller fitted model without some of its heads.

    What the model makes of sequences is what it would be if these heads fetched nothing; the projections that belonged
    to them are gone, and so is the time that they took.

    Parameters
    ----------
    model : SelfAttentionTransformer, SelfAttentionClassifier or SelfAttentionRegressor
        Fitted; it stays as it is.
    heads : list of (layer, head) or (network, layer, head), or rows of a head report
        Heads to take out, counted as in `head_report`; pairs are taken out of every network.

    Returns
    -------
    smaller : estimator of the same kind
        Fitted. `partial_fit` and `warm_start` go on with it, with a new optimiser; a new `fit` begins with all heads
        again.

    Raises
    ------
    ValueError
        If there is no such head, or none of a layer would be left.
    TypeError, NotFittedError
        If the model is no fitted estimator of this package.

    Notes
    -----
    Of many heads few are needed once a model is trained: Michel et al. 2019, arXiv:1905.10650; Voita et al. 2019,
    arXiv:1905.09418. Heads that shared keys and values go on to share them where as many are left of each group;
    otherwise each gets a copy of its own.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn import SelfAttentionClassifier
    >>> from skattn.inspection import prune_heads
    >>> X = np.random.default_rng(0).normal(size=(20, 9, 3))
    >>> model = SelfAttentionClassifier(n_estimators=1, max_iter=2).fit(X, np.arange(20) % 2)
    >>> smaller = prune_heads(model, [(0, 1), (0, 3)])
    >>> [len(each.attention_weights(X, layer=0)[0]) for each in (model, smaller)]
    [4, 2]
    """
    networks = [member.network for member in check_model(model)._fitted.members]
    taken = _taken(networks, heads)
    return with_network(model, {number: partial(pruned, taken=layers) for number, layers in taken.items()})


def without_head(model: SelfAttentionEstimator, network: int, layer: int, head: int) -> Any:
    """Give a copy of a fitted estimator in which a head fetches nothing."""
    return with_network(model, {network: lambda whole: silenced(whole, layer, head)})


def _taken(networks: list[Network], heads: Any) -> dict[int, dict[int, set[int]]]:
    """Heads to take out, by network and layer."""
    taken: dict[int, dict[int, set[int]]] = {}
    for row in _rows(heads):
        chosen = range(len(networks))
        if len(row) == 3:
            chosen = [number_of("network", row[0], len(networks))]
        for number in chosen:
            architecture = networks[number].architecture
            layer = number_of("layer", row[-2], architecture.n_layers)
            count = len(architecture.heads_of(layer))
            head = number_of("head", row[-1], count, f" of layer {layer}")
            gone = taken.setdefault(number, {}).setdefault(layer, set())
            gone.add(head)
            if len(gone) == count:
                where = f"layer {layer} of network {number}"
                raise ValueError(f"heads takes all {count} heads out of {where}; leave one there at least.")
    return taken


def _rows(heads: Any) -> list[tuple[Any, ...]]:
    """Rows of two or three numbers, or those of a report."""
    names = getattr(heads, "columns", getattr(getattr(heads, "dtype", None), "names", None))
    if names is not None and set(_COLUMNS) <= set(names):
        return [tuple(int(number) for number in row) for row in zip(*(heads[name] for name in _COLUMNS), strict=True)]
    rows = list(heads) if isinstance(heads, Iterable) and not isinstance(heads, str) else [heads]
    if not all(isinstance(row, tuple | list) and len(row) in (2, 3) for row in rows):
        raise ValueError(
            f"heads={shortened(repr(heads), 80)}; give a list of pairs (layer, head) or of triples "
            "(network, layer, head), or rows of a head report."
        )
    return [tuple(row) for row in rows]
