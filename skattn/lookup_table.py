"""A table of records that attention looks things up in: how it is learned, kept, added to and read."""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from skattn import __version__
from skattn._attempt import all_or_nothing
from skattn._storage import refuse_newer
from skattn._training.spread import measure_without_far
from skattn._wording import shortened
from skattn.learned_projection import ProjectionLearner, sharpened
from skattn.leaving_out import Lookups
from skattn.parameters import AT_LEAST_1
from skattn.persistence import VERSION
from skattn.records import keys_of, look_up, merge_repeated, most_read, queries_of, standard
from skattn.weighting import read_sample_weight

Array = NDArray[np.float64]

_PARAMETERS = """n_components : int or "auto", default="auto"
        Components of queries and keys, at most: there are no more than directions in which records vary. "auto": 32.
    alpha : float or "auto", default="auto"
        L2 penalty: so many times the squared size of the projection, in units of what that was at the beginning, are
        added to the loss. "auto": .1 or .01, or the projection stays as it began, by how well each half of the records
        looks up in the other; how sharply it looks is then chosen in the same way. A number is taken as it is.
    learn : bool, default=True
        Whether to learn the projection. If not, the one to begin with is kept: it is chosen, not descended to.
    subsample : int, default=4000
        Records, at most, that the projection is learned from; they are drawn. The table holds all of them, and how
        sharply it is read is then chosen anew.
    max_iter : int, default=50
        Steps of L-BFGS.
    tol : float, default=1e-3
        A step that makes the loss smaller by less than this share of it is the last one.
    random_state : int, RandomState instance or None, default=None
        Decides which records are drawn, and who is in which half where `alpha` is chosen.
    n_jobs : int, default=None
        Threads. None: all cores that this process may use, or what joblib's context says; -1: all. The results have
        the same bits for any number."""

_ATTRIBUTES = """components_ : ndarray of shape (n_components, n_features)
        The projection: queries and keys are ``standardised X @ components_.T``.
    mean_, scale_ : ndarray of shape (n_features,)
        What features are centred on and divided by.
    alpha_ : float
        The penalty; infinite where the projection stays as it began.
    loss_ : float
        Mean loss of the records that were learned from, each left out of its own lookup: log loss, or half the squared
        error of standardised y.
    n_iter_ : int
        Gradients that were computed, those that chose `alpha_` included.
    n_records_ : int
        Records in the table.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where X is a data frame and they are all strings."""


def document_lookup(estimator: type) -> type:
    """Fill in what both estimators say alike."""
    if estimator.__doc__:
        text = estimator.__doc__.replace("{parameters}", _PARAMETERS)
        estimator.__doc__ = text.replace("{attributes}", _ATTRIBUTES)
    return estimator


@dataclass(kw_only=True, eq=False, repr=False)
class SoftLookup(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """What both estimators do: learn how to look, keep the table, read it."""

    n_components: int | str = "auto"
    alpha: float | str = "auto"
    learn: bool = True
    subsample: int = 4000
    max_iter: int = 50
    tol: float = 1e-3
    random_state: int | np.random.RandomState | None = None
    n_jobs: int | None = None

    _is_class: ClassVar[bool]
    # Set by fit; no parameters. `_rows` numbers the records as X had them, over all calls.
    _key: ClassVar[Array]
    _value: ClassVar[Array]
    _rows: ClassVar[NDArray[np.int64]]

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [AT_LEAST_1, StrOptions({"auto"})],
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "learn": ["boolean"],
        "subsample": [Interval(Integral, 2, None, closed="left")],
        "max_iter": [AT_LEAST_1],
        "tol": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
        "n_jobs": [Interval(Integral, None, -1, closed="right"), AT_LEAST_1, None],
    }

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn how to look records up, and keep them as the table.

        Parameters
        ----------
        X : array-like of shape (n_records, n_features)
            Records: numbers, none of them missing.
        y : array-like of shape (n_records,) or (n_records, n_outputs)
            What is looked up.
        sample_weight : array-like of shape (n_records,), default=None
            How much each record counts, which is like repeating it; 0 leaves it out. By default all count alike.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a parameter, X, y or a weight cannot be used, or there are less than two different records. The estimator
            is then as it was before.
        """
        self._validate_params()
        with all_or_nothing(self):
            self._begin(X, y, sample_weight, None)
        return self

    def transform(self, X: Any) -> Array:
        """Project records to what queries and keys are made of.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)

        Returns
        -------
        projected : ndarray of shape (n_queries, n_components)
            A record is read the more, the nearer it is: by ``exp(-distance ** 2 / 2)``.
        """
        check_is_fitted(self)
        return self._project(validate_data(self, X, dtype=np.float64, reset=False))

    def neighbors(self, X: Any, k: int = 5) -> tuple[NDArray[np.int64], Array]:
        """Tell which records are read most, and how much.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
        k : int, default=5
            So many of them.

        Returns
        -------
        records : int array of shape (n_queries, k)
            Rows of X of `fit`, the most read first; rows of X of `partial_fit` are counted on from there.
        weights : ndarray of shape (n_queries, k)
            Share of what was read: all records together have 1.

        Raises
        ------
        ValueError
            If `k` is no number from 1 to that of the records.
        """
        check_is_fitted(self)
        if isinstance(k, bool) or not isinstance(k, Integral) or not 1 <= k <= self.n_records_:
            raise ValueError(
                f"k={shortened(repr(k))}, and there are {self.n_records_} records in the table; give a whole number "
                f"from 1 to {self.n_records_}."
            )
        found, weights = most_read(queries_of(self.transform(X)), self._key, int(k), self.n_jobs)
        return self._rows[found], weights

    @property
    def n_records_(self) -> int:
        """Records in the table."""
        return len(self._rows)

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def _project(self, X: Array) -> Array:
        # BLAS would give a record alone other last bits than among others.
        projected: Array = np.einsum("nd,kd->nk", standard(X, self.mean_, self.scale_), self.components_)
        return projected

    def _read(self, X: Any) -> Array:
        """Mix what the table holds for each query: (n_queries, n_values)."""
        return look_up(queries_of(self.transform(X)), self._key, self._value, self.n_jobs)

    def _begin(self, X: Any, y: Any, sample_weight: Any, classes: Any) -> None:
        """Learn the projection, and begin the table."""
        X, target, weight, rows = self._read_records(X, y, sample_weight, classes, goes_on=False)
        # So that neither the order of records nor how repetitions are written counts.
        kept, merged = merge_repeated(X, target, weight)
        if len(kept) < 2:
            raise ValueError(
                "n_samples=1, of different records that weigh something, and learning leaves each record out of its "
                "own lookup; give at least two."
            )
        generator = check_random_state(self.random_state)
        mixed = generator.permutation(len(kept))
        self._settle_values(target[kept], merged)
        self._learn(X[kept[mixed]], target[kept[mixed]], merged[mixed], generator)
        self._weight_unit = float(merged.mean())
        self._key, self._value, self._rows = self._entries(X, target, weight, rows)

    def _learn(self, X: Array, target: NDArray[Any], weight: Array, generator: np.random.RandomState) -> None:
        """Learn the projection from different records in no order."""
        spread, _ = measure_without_far(lambda: [(X, weight)])
        self.mean_, self.scale_ = spread.mean, spread.scale
        table = Lookups(
            standard(X, self.mean_, self.scale_), self._values_of(target), weight, self._is_class, self.n_jobs
        )
        some = slice(self.subsample)
        names = ("n_components", "alpha", "learn", "max_iter", "tol")
        learner = ProjectionLearner(**{name: getattr(self, name) for name in names}, generator=generator)
        found = learner.fit(table.take(some), target[some])
        self.components_, self.loss_, self.alpha_, self.n_iter_ = found.weight.T, found.loss, found.alpha, found.n_iter
        if len(X) > self.subsample:
            self.components_ = sharpened(found.weight, table).T

    def _add(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        """Begin, or put more records into the table."""
        with all_or_nothing(self):
            if not hasattr(self, "components_"):
                self._begin(X, y, sample_weight, classes)
                return self
            n_before = self._n_rows
            X, target, weight, rows = self._read_records(X, y, sample_weight, classes, goes_on=True)
            before = (self._key, self._value, self._rows)
            new = self._entries(X, target, weight, n_before + rows)
            self._key, self._value, self._rows = map(np.concatenate, zip(before, new, strict=True))
            self._n_rows += n_before
        return self

    def _read_records(
        self, X: Any, y: Any, sample_weight: Any, classes: Any, *, goes_on: bool
    ) -> tuple[Array, NDArray[Any], Array, NDArray[np.int64]]:
        """Give the records that weigh something, what they tell, their weights, and their rows in X."""
        name = type(self).__name__
        if y is None:
            raise ValueError(
                f"{name} requires y to be passed, but the target y is None; give what each record tells, a label or a "
                "number."
            )
        X = validate_data(self, X, dtype=np.float64, reset=not goes_on, ensure_min_samples=1 if goes_on else 2)
        check_consistent_length(X, y)
        target = self._read_target(y, len(X), classes, goes_on)
        weight = self._weigh(target, read_sample_weight(sample_weight, len(X)))
        rows, self._n_rows = np.flatnonzero(weight), len(X)
        return X[rows], target[rows], weight[rows], rows

    def _entries(
        self, X: Array, target: NDArray[Any], weight: Array, rows: NDArray[np.int64]
    ) -> tuple[Array, Array, NDArray[np.int64]]:
        """Give the keys, the values and the numbers of records."""
        log_weight = np.log(weight) - np.log(self._weight_unit)
        return keys_of(self._project(X), log_weight), self._values_of(target), rows

    def _weigh(self, target: NDArray[Any], weight: Array) -> Array:
        return weight

    def _read_target(self, y: Any, n_records: int, classes: Any, goes_on: bool) -> NDArray[Any]:
        """Give what records tell as class indices, or as numbers in columns."""
        raise NotImplementedError

    def _settle_values(self, target: NDArray[Any], weight: Array) -> None:
        """Decide how targets become values, by different records."""
        raise NotImplementedError

    def _values_of(self, target: NDArray[Any]) -> Array:
        """Give what is looked up: (n_records, n_values)."""
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), VERSION: __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        attributes = dict(state)
        refuse_newer(str(attributes.pop(VERSION, "0")), f"This {type(self).__name__}")
        super().__setstate__(attributes)
