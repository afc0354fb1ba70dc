"""Sequences as they were given: their steps laid open, and the same X with other values in them."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from skattn._containers import columns_of, plain_container
from skattn._feature_names import names_of
from skattn._samples import count_axes, samples_of
from skattn._steps import Steps
from skattn._wording import shortened
from skattn.sequences import Sequences, read_sequences

INNER = ("best_estimator_", "regressor_", "estimator_", "estimator")
"""Where estimators keep the one that they are made of, the first that there is."""


class _AnyReader(BaseEstimator):
    """What `read_sequences` asks of an estimator, for those that read X in their own way."""

    def __init__(self, n_step_features: int, categorical_features: Any, time_feature: Any) -> None:
        self.n_step_features, self.categorical_features = n_step_features, categorical_features
        # Whether values may be missing is for the model to say.
        self.time_feature, self.handle_missing = time_feature, "mask"


@dataclass(frozen=True, eq=False)
class Given:
    """X, and its steps in one form.

    Attributes
    ----------
    X : object
        As it came; never altered.
    samples : sequence or None
        Its sequences where it is ragged.
    data : Sequences
        Its steps.
    keeps_codes : bool
        Whether codes stand for what X says, and not for what they stood for in fit.
    """

    X: Any
    samples: Sequence[Any] | None
    data: Sequences
    keeps_codes: bool

    @property
    def names(self) -> tuple[str, ...] | None:
        """Names of a step's features, where X has some."""
        if self.data.kind == "rows":
            return None
        return names_of(self.X if self.samples is None or self._has_cells else self.samples[0])

    @property
    def _has_cells(self) -> bool:
        """Whether X is a frame of several columns, each of which holds a feature."""
        return self.samples is not None and not isinstance(self.X, np.ndarray) and len(columns_of(self.X) or ()) > 1

    def with_values(self, values: NDArray[Any]) -> Any:
        """Give X with other values.

        Parameters
        ----------
        values : ndarray of the shape of `data.values`
            Taken over, not copied. What was padding stays padding.

        Returns
        -------
        X : object
            In the form of X: an array, a list, or frames of pandas or polars. What comes in another container is a
            list of arrays that know the names of their features.
        """
        if self.data.kind == "rows":
            return _like_table(self.X, values.reshape(self.data.n_samples, -1))
        if self.samples is None:
            return self._like_steps(self.X, values.reshape(self.data.n_samples, -1, self.data.n_features))
        parts = np.split(values, self.data.starts[1:])
        if self._has_cells or not isinstance(self.X, (list, tuple, np.ndarray)):
            return self._in_cells(parts)
        return [self._like_sample(sample, part) for sample, part in zip(self.samples, parts, strict=True)]

    def _like_sample(self, sample: Any, steps: NDArray[Any]) -> Any:
        if hasattr(sample, "columns") and not isinstance(sample, np.ndarray):
            return _like_table(sample, steps)
        return steps.reshape(-1) if count_axes(sample) == 1 else self._like_steps(sample, steps)

    def _like_steps(self, given: Any, steps: NDArray[Any]) -> NDArray[Any]:
        if not isinstance(given, Steps):
            return steps
        return Steps(steps, given.columns, given.categories if self.keeps_codes else None)

    def _in_cells(self, parts: list[NDArray[Any]]) -> Any:
        """The frame or column of pandas that X is, with other cells."""
        if not hasattr(self.X, "iloc"):
            return [Steps(part, self.names) for part in parts]
        if not self._has_cells:
            assert self.samples is not None
            pairs = zip(self.samples, parts, strict=True)
            columns = [_objects(self._like_sample(sample, part) for sample, part in pairs)]
        else:
            columns = [_objects(part[:, number] for part in parts) for number in range(self.data.n_features)]
        if not hasattr(self.X, "columns"):
            return type(self.X)(columns[0], index=self.X.index, name=self.X.name)
        changed = self.X.copy(deep=False)
        for number, column in enumerate(columns):
            changed.isetitem(number, column)
        return changed


def read_given(model: Any, X: Any) -> Given:
    """Read X for a fitted model, whatever it is.

    Parameters
    ----------
    model : estimator
        Where it, or the first step of a pipeline, is of this package, X is read as it reads it. `n_step_features`,
        `categorical_features` and `time_feature` of a later step hold for X as well.
    X : sequences, as in `SelfAttentionTransformer.fit`

    Raises
    ------
    ValueError, TypeError
        If X cannot be read as sequences of numbers.
    """
    X = plain_container(X)
    _refuse_texts(X)
    samples = samples_of(X, lists_are_rows=True)
    parts = list(parts_of(model))
    first = next((part for part in parts if not _is_made_of_others(part)), model)
    if hasattr(first, "_read_fitted") and first.__sklearn_is_fitted__():
        return Given(X, samples, first._read_fitted(X, lists_are_rows=True), False)
    defaults = {"n_step_features": 1, "categorical_features": None, "time_feature": None}
    reader = _AnyReader(**{name: _first_of(parts, name, default) for name, default in defaults.items()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what X may be meant as, fit has warned
        data = read_sequences(X, reader, reset=True)
    return Given(X, samples, data, True)


def parts_of(model: Any) -> Iterator[Any]:
    """Give an estimator, and those that it is made of, in the order in which they see X."""
    yield model
    inner = next((name for name in INNER if hasattr(model, name)), None)
    if inner is not None:
        yield from parts_of(getattr(model, inner))
    for _, step in getattr(model, "steps", ()):
        yield from parts_of(step)


def _is_made_of_others(model: Any) -> bool:
    return any(hasattr(model, name) for name in ("steps", *INNER)) or model is None or isinstance(model, str)


def _first_of(parts: list[Any], name: str, default: Any) -> Any:
    return next((getattr(part, name) for part in parts if hasattr(part, name)), default)


def _refuse_texts(X: Any) -> None:
    """Refuse strings, whose steps nobody knows before they are cut."""
    first = X[0] if isinstance(X, (list, tuple, np.ndarray)) and len(X) else None
    if isinstance(first, (str, bytes)):
        raise TypeError(
            f"X holds text ({shortened(repr(first), 40)}), whose steps are not known before it is cut into tokens; of "
            "a pipeline pass model[1:] and model[:1].transform(X)."
        )


def _like_table(table: Any, values: NDArray[Any]) -> Any:
    """A frame of pandas or polars with other values, and an array where it is neither."""
    if hasattr(table, "iloc"):
        return type(table)(values, columns=table.columns, index=table.index)
    return type(table)(values, schema=list(table.columns)) if hasattr(table, "get_columns") else values


def _objects(entries: Iterator[Any]) -> NDArray[np.object_]:
    """An array of arrays, of one axis whatever these are."""
    held = list(entries)
    column = np.empty(len(held), dtype=object)
    for number, entry in enumerate(held):
        column[number] = entry
    return column
