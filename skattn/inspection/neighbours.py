"""Training sequences that a model finds most like others: examples that say why."""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import Bunch
from sklearn.utils.validation import _num_samples, check_is_fitted

from skattn._wording import shortened
from skattn.inspection.given import parts_of


def nearest_examples(
    model: Any, X_train: Any, X: Any, *, k: int = 5, metric: str = "euclidean", y_train: Any = None
) -> Bunch:
    """Find the training sequences whose features are nearest.

    Features are what `transform` gives, in a pipeline what its last step reads of those before it: on these alone rests
    what is predicted, so sequences that lie near each other there are alike to the model.

    Parameters
    ----------
    model : estimator
        Fitted, with `transform`, or a pipeline whose steps before the last have it.
    X_train : sequences, as in `fit`
        Those to find examples among: a model keeps none. Any will do, such as those of the test part.
    X : sequences, as in `fit`
        Those to find examples for.
    k : int, default=5
        How many for each.
    metric : {"euclidean", "cosine"}, default="euclidean"
        What near is; "cosine" looks at directions alone.
    y_train : array-like of shape (n_train,) or (n_train, n_outputs), default=None
        Labels or values to tell beside examples.

    Returns
    -------
    examples : Bunch
        ``indices``, int array of shape (n_samples, k): which of `X_train` are nearest, the nearest first.
        ``distances`` of the same shape. ``labels`` of the same shape, with an axis more where `y_train` has two, only
        where `y_train` is given.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    ValueError
        If the model has ``pooling=None``, so that there is no vector for a sequence; there are fewer than `k` sequences
        in `X_train`; `y_train` has another number; or `metric` is something else.
    TypeError
        If the model has no features.

    Notes
    -----
    Compares ``len(X) * len(X_train)`` vectors at most, by `sklearn.neighbors.NearestNeighbors`. A sequence of
    `X_train` finds itself first.
    """
    check_is_fitted(model)
    if metric not in ("euclidean", "cosine"):
        raise ValueError(f"metric={shortened(repr(metric), 60)}; distances are 'euclidean' or 'cosine'.")
    if not isinstance(k, Integral) or isinstance(k, bool) or k < 1:
        raise ValueError(f"k={shortened(repr(k), 60)}; give a whole number from 1 on.")
    reader = _reader_of(model)
    if y_train is not None and _num_samples(y_train) != _num_samples(X_train):
        raise ValueError(
            f"X_train and y_train have inconsistent numbers of samples: {_num_samples(X_train)} sequences and "
            f"{_num_samples(y_train)} labels; give one label for each sequence."
        )
    if _num_samples(X_train) < k:
        raise ValueError(f"k={k} examples are wanted of {_num_samples(X_train)} sequences; give a smaller k.")
    found = NearestNeighbors(n_neighbors=int(k), metric=metric).fit(_features(reader, X_train))
    distances, indices = found.kneighbors(_features(reader, X))
    labels = {} if y_train is None else {"labels": np.asarray(y_train)[indices]}
    return Bunch(indices=indices, distances=distances, **labels)


def _reader_of(model: Any) -> Any:
    """The part of a model that gives features."""
    for part in parts_of(model):
        if hasattr(part, "pooling") and part.pooling is None:
            raise ValueError(
                f"{type(part).__name__} has pooling=None, and so a vector for each step and none for a sequence; fit "
                "with a pooling, for example 'mean'."
            )
    for part in parts_of(model):
        if hasattr(part, "transform") and _is_fitted(part):
            return part
        if len(getattr(part, "steps", ())) > 1 and hasattr(part[:-1], "transform"):
            return part[:-1]
    raise TypeError(
        f"{type(model).__name__} has no transform, and no step before its last that has: it shows no features. Pass an "
        "estimator of skattn, or a pipeline."
    )


def _is_fitted(part: Any) -> bool:
    """Whether a part is what was fitted, and not what copies were made of."""
    try:
        check_is_fitted(part)
    except NotFittedError:
        return False
    return True


def _features(reader: Any, X: Any) -> NDArray[Any]:
    """A vector for each sequence."""
    features = reader.transform(X)
    if len(getattr(features, "shape", ())) != 2:
        raise ValueError(
            f"{type(reader).__name__} makes sequences of sequences, and no vector of each; put an estimator behind it "
            "that pools them, such as SelfAttentionTransformer."
        )
    return features
