"""Turn sequences into features that any scikit-learn estimator can go on with."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar, Self

from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, StrOptions

from skattn._network.architecture import AUGMENTATIONS
from skattn._training.objectives import OBJECTIVES
from skattn.base import SelfAttentionEstimator
from skattn.parameters import document
from skattn.predicted_steps import forecast, impute
from skattn.sequences import Sequences
from skattn.targets import choose_objective, choose_objective_of_classes


@document
@dataclass(kw_only=True, eq=False, repr=False)
class SelfAttentionTransformer(SelfAttentionEstimator):
    """Turn sequences into features by self-attention.

    With y the features are learned to predict it. Without y some steps of every sequence are hidden,
    and the features are learned by predicting those from the rest; or each step is told from those before it.

    Parameters
    ----------
    {parameters}
    objective : {"auto", "cross_entropy", "binary_cross_entropy", "squared_error", "absolute_error", "huber", \
"poisson", "reconstruction", "next_step", "contrastive"}, default="auto"
        What is learned. "auto" asks y: "reconstruction" without y, "cross_entropy" for labels, among
        them whole numbers, "binary_cross_entropy" for a 0/1 matrix of labels, "squared_error" for
        values. Whole numbers of more than 20 different values are values too if these are more than
        there are samples of each, or, where they count from 0 or 1 on without a gap, if there are less
        than two samples of each; where that is close a warning says what they were taken for.
        "reconstruction" tells hidden steps from the others, and with ``handle_missing="mask"`` hidden values too,
        for `impute`. It ignores y, as in a pipeline whose last step needs it; so does "next_step", which learns to
        tell each step from those before it, for `forecast`: the network is causal whatever `causal` says, steps that
        follow count alike, and sequences of one step do not count. "contrastive", without y as well, learns to
        tell two views of each sequence from those of the others in its batch.
    label_smoothing : float or "auto", default="auto"
        Share of each label that counts for all classes alike while learning, in [0, 1): keeps probabilities from being
        surer than few samples can make them (Szegedy et al. 2016, arXiv:1512.00567, section 7). "auto": 0.1 over the
        number of classes, which is 0.05 for two, and for each of several labels a sample; none with `early_stopping`,
        for which the loss of samples held out does the same.
    augmentations : sequence of {"jitter", "scaling", "crop", "mask"}, default=('jitter', 'scaling', 'crop', 'mask')
        How the two views of "contrastive" are made of a sequence, anew in every update. "jitter" adds noise of a
        tenth of a deviation to its numbers. "scaling" multiplies each feature, from its mean, by a factor near 1, of
        deviation 0.2. "crop" takes a piece of half of the steps or more. "mask" puts the mean in the place of 15 % of
        the steps, and the unknown in that of 15 % of codes. None of them: views differ by `dropout`.
    temperature : float, default=0.1
        What similarities of views are divided by: the lower, the more the nearest other sequences count.

    Attributes
    ----------
    {attributes}

    See Also
    --------
    SelfAttentionClassifier : The same network with class labels as its output.
    SelfAttentionRegressor : The same network with values as its output.

    Notes
    -----
    Self-attention: Vaswani et al. (2017), arXiv:1706.03762. Normalisation before each part: Xiong et
    al. (2020), arXiv:2002.04745. Views of sequences: Chen et al. (2020), arXiv:2002.05709, whose loss is computed for
    embeddings first (Gao et al. 2021, arXiv:2101.06983).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skattn import SelfAttentionTransformer
    >>> generator = np.random.default_rng(0)
    >>> X = [generator.normal(size=(n_steps, 2)) for n_steps in generator.integers(3, 8, size=20)]
    >>> y = [int(sequence[0, 0] > sequence[-1, 0]) for sequence in X]
    >>> model = make_pipeline(SelfAttentionTransformer(random_state=0), LogisticRegression())
    >>> model.fit(X, y).score(X, y)
    1.0
    """

    objective: str = "auto"
    label_smoothing: float | str = "auto"
    augmentations: str | Sequence[str] = AUGMENTATIONS
    temperature: float = 0.1

    _learns: ClassVar[frozenset[str]] = frozenset(set(OBJECTIVES) - {"quantile"})
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **SelfAttentionEstimator._parameter_constraints,
        "label_smoothing": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
        "objective": [StrOptions({"auto", *_learns})],
        "augmentations": [str, "array-like"],
        "temperature": [Interval(Real, 0, None, closed="neither")],
    }

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None) -> Self:
        """Learn from more sequences: one epoch over X.

        The first call settles the classes, and the codes of categories: later ones are unknown. Means and scales follow
        all that was seen, but before a stem, which stays as it was calibrated, and the table of positions grows with
        longer sequences, without a change to what was learned.

        Parameters
        ----------
        X, y : as in `fit`
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come, if y holds labels. By default those of the first call.
        sample_weight : as in `fit`

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            With ``early_stopping=True``, which cannot know how often this will be called; else as `fit`.
        """
        return self._partial_fit(X, y, sample_weight, classes)

    def forecast(self, X: Any, n_steps: int) -> NDArray[Any]:
        """Tell the steps that follow each sequence, by a transformer fitted with ``objective="next_step"``.

        Each step is told from those before it, and is then one of them; so the prefix is computed anew for each step.

        Parameters
        ----------
        X : sequences, as in `fit`
        n_steps : int
            How many steps to tell.

        Returns
        -------
        steps : ndarray of shape (n_samples, n_steps, n_features), or (n_samples, n_steps * n_step_features) for 2-D X
            In the units and the precision of X. Numbers are the mean of what the networks tell. Of a category it is
            the code that is most probable among those that `fit` has seen; whole numbers where there are categories
            alone. The feature that says when a step was goes on by the median interval of `fit`. Where the sequences of
            `fit` knew what their codes stand for, so do these, as `frame_from_sequences` reads them.

        Raises
        ------
        ValueError
            If something else was learned, `n_steps` is no number of steps, or a number exceeds the precision of X.
        """
        return forecast(self, X, n_steps)

    def impute(self, X: Any) -> Any:
        """Fill in what is missing, by a transformer fitted without y and with ``handle_missing="mask"``.

        Parameters
        ----------
        X : sequences, as in `fit`
            Not altered. NaN is what is missing, also of whole steps, but for those at the end, which are padding.

        Returns
        -------
        filled : ndarray or list of ndarray
            2-D or 3-D as X, NaN where padded; a list of arrays (n_steps_i, n_features) of the valid steps of ragged X.
            In the units and the precision of X; what is there stays as it is. Numbers are the mean of what the networks
            tell of the feature, which is not a draw from what it may have been. Of a category it is the code that is
            most probable among those that `fit` has seen; where codes stand for words, as from `sequences_from_frame`,
            among the sequence's own words, and in its own codes.

        Raises
        ------
        ValueError
            If something else was learned, codes are missing of a sequence none of whose words `fit` has seen, or a
            number exceeds the precision of X.
        """
        return impute(self, X)

    def _read_in_form(self, X: Any) -> Sequences:
        """Read X for a result that has its form."""
        return self._read_fitted(X, lists_are_rows=self._steps_in[0])

    def _validate_params(self) -> None:
        """Refuse a scorer too: it would ask for predictions."""
        super()._validate_params()
        if self.scoring is not None:
            raise ValueError(
                f"scoring={str(self.scoring)[:100]} needs predictions, and {type(self).__name__} makes none; leave "
                "scoring=None, which watches the validation loss, or use a classifier or regressor of skattn."
            )

    def _choose_objective(self, y: Any, current: str | None, classes: Any = None) -> str:
        """What is asked for must be what the model has learned so far."""
        chosen = self.objective
        if chosen == "auto" and current is None and classes is not None and y is not None:
            return choose_objective_of_classes(y)
        if chosen == "auto" and current is not None and OBJECTIVES[current].target_type is not None and y is not None:
            return current  # a small part of the data may look like something else than the whole did
        if chosen == "auto":
            chosen = choose_objective(y)
        if current not in (None, chosen):
            raise ValueError(
                f'This call asks for the objective "{chosen}", but the network was built for "{current}"; '
                "go on as in the first call, or start anew with warm_start=False or sklearn.base.clone."
            )
        return chosen
