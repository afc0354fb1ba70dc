"""Predict numbers from sequences."""

from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if

from skattn._training.objectives import OBJECTIVES
from skattn._wording import shortened
from skattn.base import SelfAttentionEstimator
from skattn.levels import absolute
from skattn.parameters import document
from skattn.sequences import Sequences


def _learns_quantiles(estimator: "SelfAttentionRegressor") -> bool:
    """Whether there are quantiles to predict: as fitted, or else as asked for."""
    model = getattr(estimator, "_model", None)
    loss = estimator.loss if model is None else model.objective
    if loss != "quantile":
        raise AttributeError(f'With loss="{loss}" there are no quantiles; set loss="quantile" before fit.')
    return True


@document
@dataclass(kw_only=True, eq=False, repr=False)
class SelfAttentionRegressor(RegressorMixin, SelfAttentionEstimator):
    """Predict one number or several from sequences by self-attention.

    Parameters
    ----------
    {parameters}
    loss : {"squared_error", "absolute_error", "huber", "poisson", "quantile"}, default="squared_error"
        What is made small. "squared_error" aims at the mean, and ridge regression finds the weights of the outputs anew
        when a first `fit` without `early_stopping` has ended; "absolute_error" aims at the median, which a few wrong y
        do not move; "huber" is squared up to 1.35 deviations of y, and grows along a line beyond (Huber 1964).
        "poisson" is for counts and rates, none of them negative: their logarithm is learned, so predictions are
        positive. "quantile" learns the `quantiles` (Koenker & Bassett 1978): each network leaves out one in five
        samples, which tell how far its quantiles must be moved. For it, "huber" and "absolute_error" deviations are
        counted by the quartiles of y.
    quantiles : tuple of float, default=(0.05, 0.5, 0.95)
        For ``loss="quantile"``: which, in rising order, between 0 and 1. `predict_quantiles` gives all of them,
        `predict` that of 0.5, on a line between those around it, or the nearest where all are above or below.
    normalise_target : {"global", "sequence"}, default="global"
        What y is counted from while learning. "global": its mean over all samples, in deviations. "sequence": the mean
        of the sequence's own steps, in their deviations, for what wanders: a forecast of the next values of a series
        whose level is another in each sample, or another later than at fit. Of several features that are numbers each
        output is counted from the one whose mean is nearest to it.

    Attributes
    ----------
    {attributes}

    See Also
    --------
    SelfAttentionTransformer : The same network, followed by any scikit-learn regressor.

    Notes
    -----
    Self-attention: Vaswani et al. (2017), arXiv:1706.03762. Normalisation before each part: Xiong et
    al. (2020), arXiv:2002.04745. While learning, y is scaled: for squared errors by its
    mean and deviation, for absolute ones, Huber's and quantiles by its median and quartiles, for counts by their mean.

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

    loss: str = "squared_error"
    quantiles: tuple[float, ...] = (0.05, 0.5, 0.95)
    normalise_target: str = "global"

    _streams: ClassVar[str] = "predict"
    _learns: ClassVar[frozenset[str]] = frozenset(
        name for name, objective in OBJECTIVES.items() if objective.target_type == "values"
    )
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **SelfAttentionEstimator._parameter_constraints,
        "loss": [StrOptions(set(_learns))],
        "quantiles": ["array-like"],
        "normalise_target": [StrOptions({"global", "sequence"})],
    }

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from more sequences: one epoch over X.

        The first call settles the scale of y, and the codes of categories: later ones are unknown. Means and scales of
        features follow all that was seen, but before a stem, which stays as it was calibrated, and the table of
        positions grows with longer sequences, without a change to what was learned.

        Parameters
        ----------
        X, y, sample_weight : as in `fit`

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            With ``early_stopping=True``, which cannot know how often this will be called; else as `fit`.
        """
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X: Any) -> Any:
        """Predict each sequence's number or numbers.

        Parameters
        ----------
        X : sequences, as in `fit`

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs), or list of ndarray of shape (n_steps_i,)
            As y was at fit: where it had values for every step, so has this; of a padded array, NaN where X is padded.
        """
        data = self._read_fitted(X)
        return self._as_given(self._predict_rows(data), data)

    def _predict_rows(self, data: Sequences) -> NDArray[Any]:
        target = self._fitted.target
        values = self._derive("predict", data, target)
        with np.errstate(under="ignore"):  # as in `_derive`
            return values if target.features is None else absolute(values, data, target)

    @available_if(_learns_quantiles)
    def predict_quantiles(self, X: Any) -> Any:
        """Predict the `quantiles` of each sequence's number or numbers; they never cross.

        Parameters
        ----------
        X : sequences, as in `fit`

        Returns
        -------
        quantiles : ndarray of shape (n_samples, n_quantiles) or (n_samples, n_outputs, n_quantiles)
            In rising order. Where y had values for every step: of every step, in the form in which y came.

        Notes
        -----
        What training left crossed is sorted, which brings no quantile further from the true one (Chernozhukov,
        Fernández-Val & Galichon 2010). A network's quantiles lie too close together, for it knows what it has learned
        from; so a first `fit` of 20 samples or more moves each by what samples tell that the network has not learned
        from: those of the validation, or one in five, other ones for each network (Romano, Patterson & Candès 2019).
        """
        data, target = self._read_fitted(X), self._fitted.target
        quantiles = self._derive("quantiles", data, target)
        if target.features is not None:
            levels = [absolute(quantiles[:, :, i], data, target) for i in range(quantiles.shape[2])]
            quantiles = np.stack(levels, axis=2)
        return self._as_given(quantiles[:, 0] if target.is_column else quantiles, data)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Tell the coefficient of determination, R², over sequences, or over steps where these have values.

        Parameters
        ----------
        X, y, sample_weight : as in `fit`

        Returns
        -------
        r2 : float
        """
        if self._fitted.target.form is None:
            return float(super().score(X, y, sample_weight))
        return float(r2_score(**self._compare_steps(X, y, sample_weight)))

    def _validate_params(self) -> None:
        """Refuse quantiles that are none."""
        super()._validate_params()
        levels = self.quantiles if all(isinstance(level, Real) for level in self.quantiles) else ()
        if not len(levels) or not all(0 < level < 1 for level in levels) or list(levels) != sorted(set(levels)):
            raise ValueError(
                f"quantiles={shortened(self.quantiles)} must be numbers between 0 and 1 in rising order; try (0.05, "
                "0.5, 0.95)."
            )

    def _choose_objective(self, y: Any, current: str | None, classes: Any = None) -> str:
        if current not in (None, self.loss):
            raise ValueError(
                f'This call asks for loss="{self.loss}", but the network was built for "{current}"; go on as in the '
                "first call, or start anew with warm_start=False or sklearn.base.clone."
            )
        return self.loss

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
