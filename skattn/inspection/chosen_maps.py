"""Which maps of which sequence are shown: asked of a fitted model or given as arrays, checked before any work."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples, check_is_fitted

from skattn._wording import shortened
from skattn.inspection.spaced_labels import read_labels
from skattn.text import TokenSequencer


@dataclass
class ChosenMaps:
    """Maps of one sequence.

    Attributes
    ----------
    weights : list of ndarray of shape (n_heads, n_rows, n_columns)
        An array a layer.
    titles : list of str
        One for each map.
    labels : list of str or None
        One for each column; None: they are counted.
    unit : str
        What a column is.
    rows : ndarray of shape (n_rows,)
        Numbers of the steps that attend.
    """

    weights: list[NDArray[Any]]
    titles: list[str]
    labels: list[str] | None
    unit: str
    rows: NDArray[np.int64]


def check_number(name: str, number: Any, count: int, of_what: str) -> int:
    """Give the number of one of several, which negative ones count from the last.

    Parameters
    ----------
    name : str
        Of the parameter.
    number : int
    count : int
        How many there are.
    of_what : str
        What they are, in the plural.

    Returns
    -------
    number : int
        From 0 on.

    Raises
    ------
    TypeError
        If it is no whole number.
    ValueError
        If there are not so many.
    """
    if not isinstance(number, Integral) or isinstance(number, bool | np.bool_):
        raise TypeError(f"{name}={shortened(repr(number), 60)} is no whole number; {name}=0 is the first of {count}.")
    if count == 0:
        raise ValueError(f"{name}={number}, and there are no {of_what}; give some.")
    if not -count <= number < count:
        raise ValueError(f"{name}={number} is none of the {count} {of_what}; they are numbered from 0 to {count - 1}.")
    return int(number) % count


def read_maps(weights: Any) -> list[NDArray[Any]]:
    """Read one map, those of several heads, or those of several layers.

    Parameters
    ----------
    weights : array-like of shape (n_rows, n_columns) or (n_heads, n_rows, n_columns), or a list of such arrays
        A list, or an array of four axes, has an entry a layer. Rows and columns at the end that are NaN throughout are
        padding, and left out.

    Returns
    -------
    maps : list of ndarray of shape (n_heads, n_rows, n_columns)

    Raises
    ------
    ValueError
        If shapes are others or differ but for the heads, or a weight is negative, infinite, or NaN elsewhere.
    """
    is_layers = isinstance(weights, list | tuple) and len(weights) > 0 and np.ndim(weights[0]) == 3
    layers = list(weights) if is_layers or np.ndim(weights) == 4 else [weights]
    maps = [_read_layer(layer) for layer in layers]
    if len({layer.shape[1:] for layer in maps}) != 1:
        shapes = ", ".join(str(layer.shape) for layer in maps)
        raise ValueError(
            f"weights of the layers have shapes {shapes}; maps of one sequence differ in their heads only."
        )
    return maps


def _read_layer(weights: ArrayLike) -> NDArray[Any]:
    """Maps of the heads of a layer."""
    maps = np.asarray(weights, dtype=np.float64)
    if maps.ndim == 2:
        maps = maps[np.newaxis]
    if maps.ndim != 3 or 0 in maps.shape:
        raise ValueError(
            f"weights have shape {np.shape(weights)}; a map is (n_rows, n_columns), heads are (n_heads, n_rows, "
            "n_columns), as an entry of attention_weights is."
        )
    is_read = ~np.isnan(maps).all(axis=0)
    n_rows, n_columns = (int(np.flatnonzero(is_read.any(axis=axis)).max(initial=-1)) + 1 for axis in (1, 0))
    maps = maps[:, :n_rows, :n_columns]
    # NaN fails the comparison as well.
    if not maps.size or not (np.isfinite(maps) & (maps >= 0)).all():
        raise ValueError("weights hold NaN, infinite or negative numbers; shares of attention are 0 or more.")
    return maps


def choose_maps(
    estimator: Any,
    X: Any,
    *,
    sequence: int = 0,
    layer: int | None = -1,
    head: int | None = None,
    average: bool = False,
    network: int = 0,
    over: str = "tokens",
    steps: ArrayLike | None = None,
    query: int | str | None = None,
    labels: ArrayLike | None = None,
    name: str = "labels",
) -> ChosenMaps:
    """Ask a fitted model for maps of one sequence.

    Parameters
    ----------
    estimator : fitted estimator, or a pipeline that ends with one
    X : sequences, as its `fit` takes them
    sequence, layer, head, network : int
        Which; `layer` and `head` may be None: all.
    average : bool, default=False
        Whether the mean over the heads of a layer is wanted.
    over : {"tokens", "steps"}, default="tokens"
        As in `attention_weights`.
    steps : int array-like, default=None
        Rows that are wanted; None: all.
    query : int or str, default=None
        The one row that is wanted, by its number or its label.
    labels : array-like of shape (n_tokens,) or (n_steps,), default=None
        None: words of a pipeline with a `TokenSequencer`; steps of each token where there are several in one.
    name : str, default="labels"
        What messages call them.

    Returns
    -------
    chosen : ChosenMaps

    Raises
    ------
    NotFittedError
        If the estimator was not fitted.
    TypeError, ValueError
        If a number is out of range or none, there are not as many labels as steps, or the estimator has no attention.
    """
    model, one, words = _take(estimator, X, sequence)
    spans = model.token_spans(one)[0]
    if over == "steps":
        spans = np.arange(spans[:, 1].max())[:, np.newaxis] + [0, 1]
    named, unit = _label_columns(spans, words, labels, name)
    rows = np.arange(len(spans)) if steps is None else read_rows(steps, len(spans), unit)
    if query is not None:
        rows = np.array([find_query(query, named or [str(number) for number in rows], f"{unit}s")])
    where = {"layer": layer, "head": head, "average": average, "network": network, "over": over}
    maps = model.attention_weights(one, steps=None if steps is None and query is None else rows, **where)[0]
    maps = maps if layer is None else [maps]
    maps = [of_layer if of_layer.ndim == 3 else of_layer[np.newaxis] for of_layer in maps]
    n_layers = model._fitted.network.architecture.n_layers
    layers = list(range(n_layers)) if layer is None else [layer % n_layers]
    return ChosenMaps(maps, _titles(layers, maps, head, average), named, unit, rows)


def read_rows(steps: ArrayLike, count: int, unit: str) -> NDArray[np.int64]:
    """Read the numbers of some rows.

    Parameters
    ----------
    steps : int array-like of shape (n_rows,)
    count : int
        How many there are.
    unit : str
        What they are.

    Returns
    -------
    rows : ndarray of shape (n_rows,)

    Raises
    ------
    TypeError, ValueError
        If one of them is no whole number or out of range, or there are none.
    """
    rows = np.atleast_1d(np.asarray(steps))
    if rows.ndim != 1 or not len(rows):
        raise ValueError(f"steps have shape {rows.shape}; pass the numbers of some {unit}s, such as steps=[0, 1].")
    return np.array([check_number("steps", row, count, f"{unit}s") for row in rows], dtype=np.int64)


def find_query(query: int | str, tokens: list[str], of_what: str = "tokens") -> int:
    """Give the number of the token that attends.

    Parameters
    ----------
    query : int or str
        Its number, or the token itself where it stands there once.
    tokens : list of str
    of_what : str, default="tokens"
        What they are, in messages.

    Returns
    -------
    number : int

    Raises
    ------
    TypeError, ValueError
        If it is no whole number or out of range, or no token, or one of several that are alike.
    """
    if not isinstance(query, str):
        return check_number("query", query, len(tokens), of_what)
    places = [number for number, token in enumerate(tokens) if token == query]
    if len(places) != 1:
        found = f"stands at {shortened(str(places), 80)}" if places else f"is none of the {len(tokens)} {of_what}"
        raise ValueError(f"query={shortened(repr(query), 60)} {found}; pass the number of one, counted from 0.")
    return places[0]


def _take(estimator: Any, X: Any, sequence: int) -> tuple[Any, Any, list[str] | None]:
    """The fitted model, the one sequence as it reaches it, and the words that this was made of."""
    check_is_fitted(estimator)
    model = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if not hasattr(model, "attention_weights"):
        raise TypeError(f"A {type(model).__name__} has no attention_weights; pass a fitted estimator of skattn.")
    if isinstance(X, str | bytes | Mapping | Set):
        raise TypeError(f"X is {shortened(repr(X), 60)}, and no list of sequences or texts; pass one alone as [X].")
    one, words = _safe_indexing(X, [check_number("sequence", sequence, _num_samples(X), "sequences of X")]), None
    for _, step in estimator.steps[:-1] if isinstance(estimator, Pipeline) else []:
        if step in (None, "passthrough"):
            continue
        one = step.transform(one)
        if isinstance(step, TokenSequencer):
            words = step.inverse_transform(one)[0]
    return model, one, words


def _titles(layers: list[int], maps: list[NDArray[Any]], head: int | None, average: bool) -> list[str]:
    """What each map is called."""
    if average:
        return [f"layer {number}, mean of its heads" for number in layers]
    if head is not None:
        return [f"layer {number}, head {head}" for number in layers]
    if len(layers) == 1 and len(maps[0]) > 1:
        return [f"head {i}" + (f" of layer {layers[0]}" if i == 0 else "") for i in range(len(maps[0]))]
    return [f"layer {number}, head {i}" for number, of in zip(layers, maps, strict=True) for i in range(len(of))]


def _label_columns(
    spans: NDArray[np.int64], words: list[str] | None, labels: ArrayLike | None, name: str
) -> tuple[list[str] | None, str]:
    """Labels as they were passed, words, or where a token begins and ends; and what a column is."""
    n_columns, n_steps = len(spans), int(spans[:, 1].max())
    is_steps = n_columns == n_steps
    unit = "token" if not is_steps else "step" if words is None else "word"
    if labels is not None and not is_steps and np.ndim(labels) == 1 and len(np.asarray(labels)) == n_steps:
        of_steps = read_labels(labels, n_steps, name)
        return [of_steps[first] for first in spans[:, 0]], unit
    if labels is not None:
        return read_labels(labels, n_columns, name, f"{unit}s"), unit
    if is_steps:
        return (None if words is None else read_labels(words, n_columns)), unit
    return [f"{first}–{end - 1}" if end - first > 1 else str(first) for first, end in spans.tolist()], unit
