"""Predict numbers from sequences."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils._param_validation import StrOptions

from skattn.base import SelfAttentionEstimator
from skattn.levels import absolute
from skattn.parameters import document


@document
@dataclass(kw_only=True, eq=False, repr=False)
class SelfAttentionRegressor(RegressorMixin, SelfAttentionEstimator):
    """Predict one number or several from sequences by self-attention.

    Parameters
    ----------
    {parameters}
    normalise_target : {"global", "sequence"}, default="global"
        What y is counted from while learning. "global": its mean over all samples, in deviations. "sequence": the mean
        of the sequence's own steps, in their deviations, for what wanders: a forecast of the next values of a series
        whose level is another in each sample, or another later than at fit. Of several features each output is counted
        from the one whose mean is nearest to it.

    Attributes
    ----------
    {attributes}

    See Also
    --------
    SelfAttentionTransformer : The same network, followed by any scikit-learn regressor.

    Notes
    -----
    Self-attention: Vaswani et al. (2017), arXiv:1706.03762. Normalisation before each part: Xiong et
    al. (2020), arXiv:2002.04745. y is scaled by its mean and deviation while learning.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn import SelfAttentionRegressor
    >>> generator = np.random.default_rng(0)
    >>> X = [generator.normal(size=(n_steps, 2)) for n_steps in generator.integers(3, 8, size=20)]
    >>> y = [sequence[0, 0] - sequence[-1, 0] for sequence in X]
    >>> SelfAttentionRegressor(random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    normalise_target: str = "global"

    _learns: ClassVar[frozenset[str]] = frozenset({"squared_error"})
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **SelfAttentionEstimator._parameter_constraints,
        "normalise_target": [StrOptions({"global", "sequence"})],
    }

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from more sequences: one epoch over X.

        The first call settles the scale of y. Means and scales of features follow all that was seen, and the table of
        positions grows with longer sequences, without a change to what was learned.

        Parameters
        ----------
        X, y, sample_weight : as in `fit`

        Returns
        -------
        self : object
        """
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict each sequence's number or numbers.

        Parameters
        ----------
        X : sequences, as in `fit`

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            As y was at fit.
        """
        data, target = self._read_fitted(X), self._fitted.target
        values = self._derive("predict", data, target)
        return values if target.features is None else absolute(values, data, target)

    def _choose_objective(self, y: Any, current: str | None, classes: Any = None) -> str:
        return "squared_error"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
