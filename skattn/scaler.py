"""Scaling of a step's features as a transformer of its own: sequences to sequences of the same form."""

from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from skattn._attempt import all_or_nothing
from skattn._containers import as_array
from skattn.parameters import AT_LEAST_1
from skattn.scales import METHODS, Scales, learn_scales, scale_steps, take_back
from skattn.sequences import Sequences, read_sequences
from skattn.stepwise import map_steps
from skattn.weighting import read_sample_weight


def _has_columns(scaler: Any) -> bool:
    """Whether there are columns to be named: not where it was fitted on sequences of several lengths or axes."""
    if getattr(scaler, "_steps_in", (True,))[0]:
        return True
    raise AttributeError("This SequenceScaler was fitted on 3-D or ragged X, which has no columns to be named.")


def _can_take_back(scaler: Any) -> bool:
    """Whether all sequences have one scale, which is kept."""
    is_shared = scaler.within == "data" or scaler.method == "none"
    if hasattr(scaler, "center_"):
        is_shared = scaler.center_ is not None
    if is_shared:
        return True
    raise AttributeError(
        'within="sequence" scales each sequence by its own steps, which nobody keeps, so there is no '
        'inverse_transform; keep X itself, or use within="data".'
    )


def _can_go_on(scaler: Any) -> bool:
    """Whether what was measured can be added to: quartiles over all steps cannot."""
    if scaler.method != "robust" or scaler.within == "sequence":
        return True
    raise AttributeError(
        'method="robust" needs all steps at once and has no partial_fit; use fit, or method="standard".'
    )


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceScaler(TransformerMixin, BaseEstimator):
    """Bring the features of a step near 0 and 1, over all steps or within each sequence.

    The result has the form of X: a 2-D or 3-D array, NaN where padded, or a ragged list. It is computed in double
    precision and rounded after that, so that a large offset costs nothing. NaN within a sequence is a value that is
    missing: it is not counted, and passed on, for estimators with ``handle_missing="mask"``.

    The estimators of this package standardise over all steps by themselves. This is for other ways, and for other
    estimators.

    Parameters
    ----------
    method : {"standard", "robust", "min_max", "none"}, default="standard"
        What a feature is centred on and divided by. "standard": mean and standard deviation. "robust": median, and
        the distance of the quartiles in deviations of what is normal, which a few far values do not move; the standard
        deviation where the quartiles are the same. "min_max": the lowest value, and the distance to the highest.
        "none": it is left as it is. A constant feature is divided by 1.
    within : {"data", "sequence"}, default="data"
        Whether that is measured over all steps of all sequences at fit, or over each sequence's own steps, so that
        neither level nor size of a sequence is told.
    differences : bool, default=False
        Whether to append, behind the features of each step, by how much each has changed since the step before: 0 at
        the first step, and divided by the standard deviation of all changes at fit, but not centred. With
        ``within="sequence"`` it is the scaled features whose changes these are.
    n_step_features : int, default=1
        For 2-D X: how many consecutive columns are one step.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Precision of the result. "auto": that of X.

    Attributes
    ----------
    center_, scale_ : ndarray of shape (n_step_features,), float64, or None
        What each feature of a step is centred on and divided by. None where every sequence has its own.
    difference_scale_ : ndarray of shape (n_step_features,), float64, or None
        What differences are divided by. None without `differences`.
    n_features_in_ : int
        Columns of a 2-D X, features of a step of any other.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of these at fit, where X is a data frame or holds data frames, and they are all strings.

    See Also
    --------
    RandomConvolutionTokens : Turns sequences into fewer steps of more features.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn import SequenceScaler
    >>> X = [np.array([[1.0], [3.0]]), np.array([[10.0], [20.0], [30.0]])]
    >>> [sequence.ravel().tolist() for sequence in SequenceScaler(method="min_max", within="sequence").fit_transform(X)]
    [[0.0, 1.0], [0.0, 0.5, 1.0]]
    """

    method: str = "standard"
    within: str = "data"
    differences: bool = False
    n_step_features: int = 1
    dtype: str = "auto"

    handle_missing: ClassVar[str] = "mask"  # no parameter: what is missing is passed on
    _seen: ClassVar[dict[str, Any]]  # set by fit; no parameters
    _method: ClassVar[str]

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "method": [StrOptions(set(METHODS))],
        "within": [StrOptions({"data", "sequence"})],
        "differences": ["boolean"],
        "n_step_features": [AT_LEAST_1],
        "dtype": [StrOptions({"auto", "float32", "float64"})],
    }

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Measure sequences.

        Parameters
        ----------
        X : sequences, as in `SelfAttentionTransformer.fit`
        y : ignored
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts, which is like repeating it. By default all count alike.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a parameter, X or a weight cannot be used, or what features are divided by would exceed float64.
        """
        return self._learn(X, sample_weight, goes_on=False)

    @available_if(_can_go_on)
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Measure more sequences, as if those before were among them.

        Not with ``method="robust"`` over all steps.

        Parameters
        ----------
        X, y, sample_weight : as in `fit`

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            As in `fit`, or if X differs in its features from that of the first call.
        """
        return self._learn(X, sample_weight, goes_on=hasattr(self, "_seen"))

    def transform(self, X: Any) -> Any:
        """Scale sequences.

        Parameters
        ----------
        X : sequences, as in `fit`

        Returns
        -------
        scaled : ndarray or list of ndarray
            2-D or 3-D as X, NaN where padded; a list of arrays (n_steps_i, n_features_out) of the valid steps of
            ragged X. With `differences` a step has twice as many features: all as they were, then their differences.

        Raises
        ------
        ValueError
            If X cannot be read or differs from that of `fit` in its features, or a scaled value exceeds the precision
            of the result.
        """
        check_is_fitted(self)
        data = read_sequences(X, self, reset=False, lists_are_rows=self._steps_in[0])
        n_features = data.n_features * self._n_columns
        change = partial(scale_steps, self._scales, self._method)
        return map_steps(data, change, n_features, self._precision(data), keeps_missing=True)

    @available_if(_can_take_back)
    def inverse_transform(self, X: Any) -> Any:
        """Take scaled sequences back to what they were, up to rounding.

        Not where each sequence was scaled by its own steps.

        Parameters
        ----------
        X : sequences, as `transform` gives them
            Differences are dropped.

        Returns
        -------
        X_original : ndarray or list of ndarray
            In the form of X.

        Raises
        ------
        ValueError
            If X cannot be read or has not the features that `transform` gives, or a value exceeds the precision of the
            result.
        """
        check_is_fitted(self)
        # A frame that `transform` gave has names that are not those of fit, and numbers are all that counts here.
        X = as_array(X) if self._steps_in[0] and hasattr(X, "columns") else X
        data = read_sequences(X, self._as_of_result(), reset=False, lists_are_rows=self._steps_in[0])
        change = partial(take_back, self._scales)
        return map_steps(data, change, self._steps_in[1], self._precision(data), keeps_missing=True)

    @available_if(_has_columns)
    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Name the columns of the result of 2-D X.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of X. By default those of `fit`, or "x0", "x1" and so on.

        Returns
        -------
        names : ndarray of str objects
            The same; behind those of a step those of its differences, which end in "_difference".

        Raises
        ------
        AttributeError
            If X of `fit` was 3-D or ragged.
        ValueError
            If the names are too few, too many, or not those of `fit`.
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features).reshape(-1, self._steps_in[1])
        if self.difference_scale_ is not None:
            names = np.hstack([names, names + "_difference"])
        return names.ravel()

    def _learn(self, X: Any, sample_weight: Any, *, goes_on: bool) -> Self:
        """Measure X, together with what was seen if it goes on; be left as before if anything is refused."""
        self._validate_params()
        with all_or_nothing(self):
            self._measure(X, sample_weight, goes_on)
        return self

    def _measure(self, X: Any, sample_weight: Any, goes_on: bool) -> None:
        data = read_sequences(X, self, reset=not goes_on)
        weight = read_sample_weight(sample_weight, data.n_samples)
        counted = np.flatnonzero(weight)
        scales, self._seen = learn_scales(
            data.take(counted),
            weight[counted],
            self.method,
            is_within=self.within == "sequence",
            differences=self.differences,
            seen=self._seen if goes_on else {},
        )
        self._method = self.method
        self.center_, self.scale_, self.difference_scale_ = scales

    @property
    def _scales(self) -> Scales:
        return Scales(self.center_, self.scale_, self.difference_scale_)

    @property
    def _n_columns(self) -> int:
        """Columns of the result for each of X."""
        return 1 if self.difference_scale_ is None else 2

    def _as_of_result(self) -> Any:
        """Give a scaler that reads what `transform` gives."""
        other, n = copy(self), self._n_columns
        other.n_step_features, other.n_features_in_ = self.n_step_features * n, self.n_features_in_ * n
        other._steps_in = (self._steps_in[0], self._steps_in[1] * n)
        vars(other).pop("feature_names_in_", None)
        return other

    def _precision(self, data: Sequences) -> np.dtype[Any]:
        return data.values.dtype if self.dtype == "auto" else np.dtype(self.dtype)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
