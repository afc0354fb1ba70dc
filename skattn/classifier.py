"""Classify sequences."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils._param_validation import Interval, StrOptions

from skattn._training.objectives import OBJECTIVES
from skattn.base import SelfAttentionEstimator
from skattn.parameters import document
from skattn.sequences import Sequences
from skattn.step_labels import first_labels
from skattn.targets import choose_objective_of_classes
from skattn.weighting import weigh_classes


def _numbers_of_objects(y: Any) -> Any:
    """Whole numbers and truth values among objects are such, as in fit; all else stays as it is."""
    if not isinstance(y, np.ndarray) or y.dtype != object or y.ndim != 1:
        return y
    kinds = {type(label) for label in y.tolist()}
    return np.array(y.tolist()) if len(kinds) == 1 and kinds <= {bool, int} else y


@document
@dataclass(kw_only=True, eq=False, repr=False)
class SelfAttentionClassifier(ClassifierMixin, SelfAttentionEstimator):
    """Classify sequences by self-attention.

    Parameters
    ----------
    {parameters}
    class_weight : dict, "balanced" or None, default=None
        What each class weighs, multiplied with `sample_weight`; classes that a dict does not name
        weigh 1. "balanced": all classes together weigh the same, however frequent.
    label_smoothing : float or "auto", default="auto"
        Share of each label that counts for all classes alike while learning, in [0, 1): keeps probabilities from being
        surer than few samples can make them (Szegedy et al. 2016, arXiv:1512.00567, section 7). "auto": 0.1 over the
        number of classes, which is 0.05 for two, and for each of several labels a sample; none with `early_stopping`,
        for which the loss of samples held out does the same.

    Attributes
    ----------
    {attributes}

    See Also
    --------
    SelfAttentionTransformer : The same network, followed by any scikit-learn classifier.

    Notes
    -----
    Self-attention: Vaswani et al. (2017), arXiv:1706.03762. Normalisation before each part: Xiong et
    al. (2020), arXiv:2002.04745.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn import SelfAttentionClassifier
    >>> generator = np.random.default_rng(0)
    >>> X = [generator.normal(size=(n_steps, 2)) for n_steps in generator.integers(3, 8, size=20)]
    >>> y = ["falls" if sequence[0, 0] > sequence[-1, 0] else "rises" for sequence in X]
    >>> SelfAttentionClassifier(random_state=0).fit(X, y).score(X, y)
    1.0
    """

    class_weight: Mapping[Any, float] | str | None = None
    label_smoothing: float | str = "auto"

    _streams: ClassVar[str] = "predict_proba"
    _learns: ClassVar[frozenset[str]] = frozenset(
        name for name, objective in OBJECTIVES.items() if objective.target_type in ("classes", "indicators")
    )

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **SelfAttentionEstimator._parameter_constraints,
        "label_smoothing": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Learn from more sequences: one epoch over X.

        The first call settles the classes, and the codes of categories: later ones are unknown. Means and scales follow
        all that was seen, but before a stem, which stays as it was calibrated, and the table of positions grows with
        longer sequences, without a change to what was learned.

        Parameters
        ----------
        X, y : as in `fit`
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come. Needed at the first call; not needed where a sample has
            several labels.
        sample_weight : as in `fit`

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            With ``early_stopping=True``, which cannot know how often this will be called; with
            ``class_weight="balanced"``; at the first call without `classes`; else as `fit`.
        """
        self._validate_params()
        is_first = not self.__sklearn_is_fitted__()
        kind = OBJECTIVES[self._choose_objective(first_labels(y), None)].target_type
        if is_first and classes is None and kind == "classes":
            raise ValueError(
                "classes must be passed on the first call to partial_fit, because y need not hold all of "
                "them; try classes=np.unique(all_labels)."
            )
        if isinstance(self.class_weight, str):
            raise ValueError(
                'class_weight="balanced" needs all samples at once, and partial_fit sees only some; give a '
                "dict, such as sklearn.utils.compute_class_weight computes."
            )
        return self._partial_fit(X, y, sample_weight, classes)

    def predict(self, X: Any) -> Any:
        """Tell the most likely class of each sequence.

        Parameters
        ----------
        X : sequences, as in `fit`

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels), or list of ndarray of shape (n_steps_i,)
            Class labels; or 0 and 1 for each label. Where steps have labels: those of every step, in the form in which
            y came at fit; of a padded array, -1, NaN or None where X is padded.
        """
        data = self._read_fitted(X)
        return self._as_given(self._predict_rows(data), data)

    def _predict_rows(self, data: Sequences) -> NDArray[Any]:
        predicted = self._derive("predict", data, self._fitted.target)
        return self.classes_[predicted] if predicted.ndim == 1 else predicted

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Tell the share of sequences whose class is predicted, or of steps, where these have labels.

        Parameters
        ----------
        X, y, sample_weight : as in `fit`

        Returns
        -------
        accuracy : float
        """
        if self._fitted.target.form is None:
            return float(super().score(X, _numbers_of_objects(y), sample_weight))
        return float(accuracy_score(**self._compare_steps(X, y, sample_weight)))

    def predict_proba(self, X: Any) -> Any:
        """Tell how likely each class is.

        Parameters
        ----------
        X : sequences, as in `fit`

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), or list of ndarray of shape (n_steps_i, n_classes)
            In the order of `classes_`; rows sum to 1, unless a sample has several labels. Where steps have labels: a
            row for every step, in the form in which y came at fit, as for the two methods that follow.
        """
        data = self._read_fitted(X)
        return self._as_given(self._derive("probabilities", data), data)

    def predict_log_proba(self, X: Any) -> Any:
        """Tell the logarithm of how likely each class is.

        Parameters
        ----------
        X : sequences, as in `fit`

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            Logarithms of `predict_proba`, finite also where that rounds to 0.
        """
        data = self._read_fitted(X)
        return self._as_given(self._derive("log_probabilities", data), data)

    def decision_function(self, X: Any) -> Any:
        """Tell how much speaks for each class, on an unbounded scale.

        Parameters
        ----------
        X : sequences, as in `fit`

        Returns
        -------
        decision : ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes, and for each of several labels, the logarithm of its odds: of two classes one number,
            positive where the second is more likely. For more classes logarithms of their probabilities, up to a number
            that is the same for all classes of a row.
        """
        data = self._read_fitted(X)
        return self._as_given(self._derive("decision", data), data)

    def _choose_objective(self, y: Any, current: str | None, classes: Any = None) -> str:
        """Several labels a sample or one, as at first."""
        return choose_objective_of_classes(y) if current is None else current

    def _weigh_classes(
        self, indices: NDArray[np.int64], classes: NDArray[Any], weight: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        return weigh_classes(self.class_weight, indices, classes, weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
