"""Classify and predict rows of a table by attention over the training records."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils._param_validation import StrOptions

from skattn._training.standardise import mean_and_scale, standardised
from skattn._wording import shortened
from skattn.leaving_out import DOUBT
from skattn.lookup_table import Array, SoftLookup, document_lookup
from skattn.targets import read_target, sorted_classes
from skattn.weighting import weigh_classes


@document_lookup
@dataclass(kw_only=True, eq=False, repr=False)
class SoftLookupClassifier(ClassifierMixin, SoftLookup):
    """Classify rows of a table by attention over the training records.

    Attention is a soft lookup: a query is compared with the key of each record, and what it reads is the mean of their
    values, weighted by softmax. Here keys are the training records and queries those to be classified, both
    standardised and projected alike; values are the labels. A record is read by ``exp(-distance ** 2 / 2)``.
    The projection is learned: each record looks its label up in all others.

    Parameters
    ----------
    {parameters}
    class_weight : dict, "balanced" or None, default=None
        What records of each class weigh, multiplied with `sample_weight`; classes that a dict does not name weigh 1.
        "balanced": all classes together weigh the same, however frequent.

    Attributes
    ----------
    {attributes}
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.

    See Also
    --------
    sklearn.neighbors.NeighborhoodComponentsAnalysis : A projection learned likewise, for `KNeighborsClassifier`.

    Notes
    -----
    Leaving out: neighbourhood components analysis, Goldberger et al. (2004). Records that repeat each other, in X and
    y, are one record that weighs as much as they do together, and they are left out together: so a weight is the same
    as repeating, and none of them finds its label in its own copy. Learning begins with all directions of X, which
    count alike, beside those of linear discriminant analysis; how much each of the two counts is chosen by leaving out
    as well. All classes share half a percent of a probability,
    whatever was read.

    Time of learning grows with the square of `subsample`, that of predicting with queries times records; memory grows
    with neither product.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skattn import SoftLookupClassifier
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> lookup = SoftLookupClassifier(random_state=0).fit(X[:-1], y[:-1])
    >>> lookup.predict(X[-1:])
    array([2])
    >>> records, weights = lookup.neighbors(X[-1:], k=3)
    >>> y[records[0]].tolist()
    [2, 2, 2]
    """

    class_weight: Mapping[Any, float] | str | None = None

    _is_class: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **SoftLookup._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Add records to the table; nothing is learned of them but what they tell.

        The first call is a `fit`. Afterwards the projection stays, and so does what features are divided by.

        Parameters
        ----------
        X, y : as in `fit`
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come. Needed at the first call.
        sample_weight : as in `fit`

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            As in `fit`, or if `classes` are missing, or ``class_weight="balanced"``, which needs all records at once.
            The estimator is then as it was before.
        """
        self._validate_params()
        if classes is None and not hasattr(self, "components_"):
            raise ValueError(
                "classes must be passed on the first call to partial_fit, because y need not hold all of them; try "
                "classes=np.unique(all_labels)."
            )
        if isinstance(self.class_weight, str):
            raise ValueError(
                'class_weight="balanced" needs all records at once, and partial_fit sees only some; give a dict, such '
                "as sklearn.utils.compute_class_weight computes."
            )
        return self._add(X, y, sample_weight, classes)

    def predict(self, X: Any) -> NDArray[Any]:
        """Tell the most likely class of each query.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)

        Returns
        -------
        y : ndarray of shape (n_queries,)
        """
        read = self._read(X)
        labels: NDArray[Any] = self.classes_[read.argmax(axis=1)]
        return labels

    def predict_proba(self, X: Any) -> Array:
        """Tell how likely each class is.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_queries, n_classes)
            In the order of `classes_`; rows sum to 1, and none is 0.
        """
        read = self._read(X)
        return (1 - DOUBT) * read + DOUBT / read.shape[1]

    def predict_log_proba(self, X: Any) -> Array:
        """Tell the logarithm of how likely each class is.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)

        Returns
        -------
        log_probabilities : ndarray of shape (n_queries, n_classes)
        """
        return np.log(self.predict_proba(X))

    def _read_target(self, y: Any, n_records: int, classes: Any, goes_on: bool) -> NDArray[Any]:
        known = self.classes_ if goes_on else None if classes is None else sorted_classes(classes, "classes")
        target, found = read_target(y, "cross_entropy", n_records, classes=known)
        assert found is not None and target is not None
        if len(found) < 2:
            raise ValueError(
                f"y holds one class, {shortened(repr(found.tolist()[0]))}, and a classifier needs two at least; give "
                "records of another class too."
            )
        self.classes_ = found
        return target

    def _weigh(self, target: NDArray[Any], weight: Array) -> Array:
        return weigh_classes(self.class_weight, target, self.classes_, weight)

    def _settle_values(self, target: NDArray[Any], weight: Array) -> None:
        """Nothing to decide: the value of a label is its row of the identity matrix."""

    def _values_of(self, target: NDArray[Any]) -> Array:
        values = np.zeros((len(target), len(self.classes_)))
        values[np.arange(len(target)), target] = 1.0
        return values


@document_lookup
@dataclass(kw_only=True, eq=False, repr=False)
class SoftLookupRegressor(RegressorMixin, SoftLookup):
    """Predict numbers from rows of a table by attention over the training records.

    Attention is a soft lookup: a query is compared with the key of each record, and what it reads is the mean of their
    values, weighted by softmax. Here keys are the training records and queries those to be predicted, both
    standardised and projected alike; values are y. A record is read by ``exp(-distance ** 2 / 2)``, so this is the
    estimator of Nadaraya and Watson (1964) with a learned distance.
    The projection is learned: each record looks its y up in all others.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    sklearn.neighbors.KNeighborsRegressor : The mean of the nearest records, which are read alike.

    Notes
    -----
    Leaving out: metric learning for kernel regression, Weinberger & Tesauro (2007), after Goldberger et al. (2004).
    Records that repeat each other, in X and y, are one record that weighs as much as they do together, and they are
    left out together: so a weight is the same as repeating, and none of them finds its y in its own copy. Learning
    begins with all directions of X, which count alike, beside the slopes of ridge regression; how much each of the two
    counts is chosen by leaving out as well.

    A mean of records is never beyond them: lines are not continued where there are no records.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn import SoftLookupRegressor
    >>> X = np.arange(40.0).reshape(-1, 1)
    >>> lookup = SoftLookupRegressor(random_state=0).fit(X, np.sin(X[:, 0] / 6))
    >>> bool(abs(lookup.predict([[20.5]])[0] - np.sin(20.5 / 6)) < 0.1)
    True
    """

    _is_class: ClassVar[bool] = False

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Add records to the table; nothing is learned of them but what they tell.

        The first call is a `fit`. Afterwards the projection stays, and so does what features are divided by.

        Parameters
        ----------
        X, y, sample_weight : as in `fit`

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            As in `fit`. The estimator is then as it was before.
        """
        self._validate_params()
        return self._add(X, y, sample_weight)

    def predict(self, X: Any) -> Array:
        """Predict the numbers of each query.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)

        Returns
        -------
        y : ndarray of shape (n_queries,) or (n_queries, n_outputs)
            As y was at fit.
        """
        # By halves, as y was standardised: levels and sizes may be near the largest float.
        numbers = (self._read(X) * (self._size * 0.5) + self._level * 0.5) * 2
        return numbers if self._has_columns else numbers[:, 0]

    def _read_target(self, y: Any, n_records: int, classes: Any, goes_on: bool) -> NDArray[Any]:
        n_outputs = len(self._level) if goes_on else None
        target, _ = read_target(y, "squared_error", n_records, n_outputs=n_outputs)
        assert target is not None
        if not goes_on:
            self._has_columns = target.ndim == 2
        return target.reshape(n_records, -1)

    def _settle_values(self, target: NDArray[Any], weight: Array) -> None:
        """Bring y near 0 and 1."""
        self._level, self._size = mean_and_scale(target, weight)

    def _values_of(self, target: NDArray[Any]) -> Array:
        return standardised(target, self._level, self._size)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
