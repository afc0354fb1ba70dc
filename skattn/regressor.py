"""Predict numbers from sequences."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from skattn.base import SelfAttentionEstimator
from skattn.parameters import document


@document
@dataclass(kw_only=True, eq=False, repr=False)
class SelfAttentionRegressor(RegressorMixin, SelfAttentionEstimator):
    """Predict one number or several from sequences by self-attention.

    Parameters
    ----------
    {parameters}

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

    _learns: ClassVar[frozenset[str]] = frozenset({"squared_error"})

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
        return self._derive("predict", X, self._fitted.target)

    def _choose_objective(self, y: Any, current: str | None, classes: Any = None) -> str:
        return "squared_error"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
