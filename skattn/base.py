"""Fit, transform, attention weights, fitted attributes, saving: what the three estimators share."""

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skattn._network.layers import POOLINGS
from skattn._overflow import refuse_overflow
from skattn._training.objectives import OBJECTIVES
from skattn.checkpoint import Checkpoint
from skattn.fitting import Model, fit_model
from skattn.functional import attention_weights
from skattn.interchange import load_weights, save_weights
from skattn.parameters import SelfAttentionParameters
from skattn.persistence import read_state, write_state
from skattn.sequences import Sequences, read_sequences


def _has_columns(estimator: "SelfAttentionEstimator") -> bool:
    """Whether `transform` gives a table: without columns there are no names and no data frame."""
    if estimator.pooling is None:
        raise AttributeError("With pooling=None the output is no table; set pooling, for example to 'mean'.")
    return True


class SelfAttentionEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, SelfAttentionParameters):
    """What all estimators do with sequences; a subclass says what is learned and adds its outputs."""

    _model: Model

    _learns: ClassVar[frozenset[str]] = frozenset(OBJECTIVES)
    """Objectives that the estimator may have learned."""

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        validation_groups: Any = None,
    ) -> Self:
        """Learn from sequences.

        Parameters
        ----------
        X : array of shape (n_samples, n_steps, n_features), or list of (n_steps_i, n_features) arrays
            The sequences. A 2-D array or data frame has a sequence in each row: its columns in time
            order, `n_step_features` of them a step. Steps at the end whose features are all NaN are
            padding. Features need no scaling: the network takes off their mean and divides by their
            standard deviation, both measured without far outliers, and reins in what is far away.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Class labels, values, or a 0/1 matrix of several labels a sample.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts; 0 leaves it out. By default all count alike.
        X_val, y_val : as X and y, default=None
            Samples to score after every epoch, instead of a share of X where there is `early_stopping`.
        validation_groups : array-like of shape (n_samples,), default=None
            Who or what each sample is of; those of one group are held out together, or not at all. Only where
            `early_stopping` holds out a share of X.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X, y or a weight cannot be used, or training diverges, or the `checkpoint` is of
            another fit. The estimator is then as it was before.
        OSError
            If the `checkpoint` cannot be written; the estimator is then as it was before, and the file too.
        """
        self._validate_params()
        with _all_or_nothing(self):
            checkpoint = None if self.checkpoint is None else Checkpoint(self)
            model = self._model if self.warm_start and self.__sklearn_is_fitted__() else None
            self._model = fit_model(
                self,
                X,
                y,
                sample_weight,
                model=model,
                X_val=X_val,
                y_val=y_val,
                validation_groups=validation_groups,
                checkpoint=checkpoint,
            )
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        """Go through X once, with a new network or with the one there is."""
        self._validate_params()
        if self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True, because it cannot know how often it will "
                "be called; use fit, or set early_stopping=False."
            )
        with _all_or_nothing(self):
            model = getattr(self, "_model", None)
            self._model = fit_model(self, X, y, sample_weight, model=model, classes=classes, n_epochs=1, plan="open")
        return self

    def transform(self, X: Any) -> NDArray[Any]:
        """Turn sequences into features.

        Parameters
        ----------
        X : sequences, as in `fit`

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_features_out)
            One vector for each sequence. With ``pooling=None``: one for each step, of shape
            (n_samples, n_steps, d_model), NaN where padded.

        Raises
        ------
        ValueError
            If X cannot be read or differs from that of `fit` in its features, or if training diverged so far that
            numbers leave the range of floats. So do all methods that take X.
        """
        network, data = self._fitted.network, self._read_fitted(X)
        if network.architecture.pooling is not None:
            return self._carry(data, "features")
        steps = self._carry(data, "steps")
        padded = np.full((data.n_samples, data.n_steps, steps.shape[1]), np.nan, dtype=steps.dtype)
        padded[np.arange(data.n_steps) < data.lengths[:, np.newaxis]] = steps
        return padded

    def attention_weights(self, X: Any, layer: int = -1) -> list[NDArray[Any]]:
        """Show what each step attends to.

        Parameters
        ----------
        X : sequences, as in `fit`
        layer : int, default=-1
            Which layer, counted from 0; negative numbers count from the last.

        Returns
        -------
        weights : list of ndarray of shape (n_heads, n_steps_i, n_steps_i)
            For each sequence, how much every step (row) attends to every step (column); rows sum to 1.

        Raises
        ------
        ValueError
            If there is no such layer.
        """
        network, data = self._fitted.network, self._read_fitted(X)
        n_layers = network.architecture.n_layers
        if not -n_layers <= layer < n_layers:
            raise ValueError(f"layer={layer} is none of the {n_layers} layers; try layer=-1, the last.")
        queries, keys = (self._carry(data, f"layers.{layer % n_layers}.{name}") for name in ("query", "key"))
        bounds = np.cumsum(data.lengths)[:-1]
        options = {"window": network.architecture.window, "n_jobs": self.n_jobs}
        weights = [
            attention_weights(self._split_heads(query), self._split_heads(key), **options)[0]
            for query, key in zip(np.split(queries, bounds), np.split(keys, bounds), strict=True)
        ]
        for of_sample in weights:
            refuse_overflow(of_sample, network)
        return weights

    def save_weights(self, path: str | PathLike[str]) -> None:
        """Write the weights, and all that predictions need besides, into a safetensors file.

        It holds numbers and words only, for other programs and for people who must not load pickles. Needs
        ``pip install "skattn[interchange]"``.

        Parameters
        ----------
        path : str or path-like
            A file that stands there is replaced at once: whatever happens, the old or the new one is whole.

        Raises
        ------
        ImportError
            If safetensors is not installed.
        ValueError
            If a class label is neither a word nor a number nor a boolean.
        OSError
            If the file cannot be written.

        Notes
        -----
        The tensors have the names of `weights_`, and besides ``input.mean``, ``input.scale`` and, for values,
        ``target.mean``, ``target.scale``, all four in float64: the network takes ``(x - mean) / scale``. What the
        optimiser keeps is not in the file.
        """
        save_weights(self, self._fitted, path)

    def load_weights(self, path: str | PathLike[str]) -> Self:
        """Become the fitted estimator that `save_weights` wrote.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        self : object
            Predictions have the same bits. `partial_fit` and `warm_start` go on with a new optimiser.

        Raises
        ------
        ImportError
            If safetensors is not installed.
        ValueError
            If the file is damaged or no such file, a later version wrote it, or it is of another network than
            the parameters of this estimator ask for. The estimator is then as it was before.
        OSError
            If the file cannot be read.
        """
        self._validate_params()
        attributes = load_weights(self, path)
        self.__dict__.pop("feature_names_in_", None)
        self.__dict__.update(attributes)
        return self

    @available_if(_has_columns)
    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Name the columns of `transform`: the class's name in lower case and a number.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Only checked against the names seen in `fit`.

        Returns
        -------
        feature_names_out : ndarray of str objects
        """
        return super().get_feature_names_out(input_features)

    @property
    def weights_(self) -> dict[str, NDArray[Any]]:
        """Every learned array by its name; read-only, for these are the arrays that are computed with."""
        views = {name: weight.view() for name, weight in self._fitted.network.weights.items()}
        for view in views.values():
            view.flags.writeable = False
        return views

    @property
    def objective_(self) -> str:
        """What was learned."""
        return self._fitted.objective

    @property
    def classes_(self) -> NDArray[Any]:
        """Class labels, sorted."""
        if self._fitted.classes is None:
            raise AttributeError("There are no classes_: the objective learned values or sequences.")
        return self._fitted.classes

    @property
    def loss_curve_(self) -> list[float]:
        """Training loss of every epoch."""
        return self._fitted.state.loss_curve

    @property
    def best_loss_(self) -> float:
        """Lowest training loss of an epoch."""
        return self._fitted.state.best_loss

    @property
    def validation_scores_(self) -> list[float]:
        """Validation score of every epoch."""
        if not self._fitted.state.validation_scores:
            raise AttributeError("There are validation_scores_ only with early_stopping=True or X_val.")
        return self._fitted.state.validation_scores

    @property
    def n_iter_(self) -> int:
        """Epochs so far."""
        return self._fitted.state.n_epochs

    @property
    def _fitted(self) -> Model:
        """What the last fit left behind."""
        check_is_fitted(self)
        return self._model

    @property
    def _n_features_out(self) -> int:
        architecture = self._fitted.network.architecture
        return len(POOLINGS[architecture.pooling]) * architecture.d_model

    @property
    def _objective(self) -> Any:
        """Entry of `OBJECTIVES` by which the network was trained."""
        return OBJECTIVES[self._fitted.objective]

    def _choose_objective(self, y: Any, current: str | None) -> str:
        """Key of `OBJECTIVES` that y is learned by; `current` is that of the model to go on with, if any."""
        raise NotImplementedError

    def _weigh_classes(
        self, indices: NDArray[np.int64], classes: NDArray[Any], weight: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Sample weights times what each sample's class weighs."""
        return weight

    def _read_fitted(self, X: Any) -> Sequences:
        """Read X as the fitted network takes it."""
        return read_sequences(X, self, reset=False)

    def _outputs(self, X: Any) -> NDArray[Any]:
        """What the network makes of each sequence: (n_samples, n_outputs)."""
        return self._carry(self._read_fitted(X), "outputs")

    def _carry(self, data: Sequences, name: str) -> NDArray[Any]:
        """What stands in a slot of the network, all of it finite."""
        network = self._fitted.network
        return refuse_overflow(network.forward(data, name, n_jobs=self.n_jobs), network)

    def _split_heads(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Steps with their heads side by side to (1, n_heads, n_steps, d_head)."""
        d_head = self._fitted.network.architecture.d_head
        return rows.reshape(1, len(rows), -1, d_head).swapaxes(1, 2)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_model")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __getstate__(self) -> dict[str, Any]:
        return write_state(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(read_state(state, type(self)))


@contextmanager
def _all_or_nothing(estimator: Any) -> Iterator[None]:
    """If anything fails, put the estimator's attributes back as they were."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
