"""Fit, transform, attention weights, fitted attributes, saving: what the three estimators share."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from functools import partial
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, is_classifier
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skattn._attempt import all_or_nothing
from skattn._network.layers import pooling_parts
from skattn._network.network import Network
from skattn._training.objectives import OBJECTIVES
from skattn.beginning import roles_of
from skattn.callbacks import CallbackSupportMixin
from skattn.carrying import as_precise, carry, carry_all
from skattn.checkpoint import Checkpoint
from skattn.fitted import FittedAttributes
from skattn.fitting import fit_model
from skattn.interchange import load_weights, save_weights
from skattn.labels import as_array
from skattn.model import Member, Model
from skattn.parameters import SelfAttentionParameters
from skattn.persistence import read_state, write_state
from skattn.pretraining import pretrained_model, without_adapters
from skattn.sequences import Sequences, read_sequences
from skattn.step_labels import read_step_labels
from skattn.step_target import give_steps
from skattn.weighting import read_sample_weight


def _has_columns(estimator: "SelfAttentionEstimator") -> bool:
    """Whether `transform` gives a table: without columns there are no names and no data frame."""
    if estimator.pooling is None:
        raise AttributeError("With pooling=None the output is no table; set pooling, for example to 'mean'.")
    return True


class SelfAttentionEstimator(
    FittedAttributes, ClassNamePrefixFeaturesOutMixin, TransformerMixin, CallbackSupportMixin, SelfAttentionParameters
):
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
            order, `n_step_features` of them a step; so has a list of equally long plain lists, while a list of
            1-D arrays is ragged whatever their lengths. Steps at the end whose features are all NaN are
            padding. Features need no scaling: the network takes off their mean and divides by their
            standard deviation, both measured without far outliers, and reins in what is far away.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), or list of arrays, default=None
            Class labels, values, or a 0/1 matrix of several labels a sample. A list of arrays of shape (n_steps_i,) or
            (n_steps_i, n_outputs) has a label or values for every step, which are then learned step by step; so does
            an array of shape (n_samples, n_steps) or (n_samples, n_steps, n_outputs) beside X of three axes, where it
            can be nothing else, or with ``pooling=None``. NaN and None, and -1 among labels, stand for none.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each sample counts, or each step of it where steps have labels; 0 leaves it out. By default all
            count alike.
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
        KeyboardInterrupt
            On Ctrl-C, which so ends a search as well. What was learned until then is kept: the estimator is fitted
            all the same, unless nothing was learned yet; then it is as it was before.
        """
        self._validate_params()
        with _all_or_nothing(self):
            checkpoint = None if self.checkpoint is None else Checkpoint(self)
            model = self._model if self.warm_start and self.__sklearn_is_fitted__() else None
            fit_model(
                self,
                X,
                y,
                sample_weight,
                model=model,
                X_val=X_val,
                y_val=y_val,
                validation_groups=validation_groups,
                checkpoint=checkpoint,
                keep=self._keep,
            )
        return self

    def _keep(self, model: Model) -> None:
        """Be fitted: this is what was learned."""
        self._model = model

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
            options = {"classes": classes, "n_epochs": 1, "plan": "open"}
            fit_model(self, X, y, sample_weight, model=model, keep=self._keep, **options)
        return self

    def transform(self, X: Any) -> NDArray[Any]:
        """Turn sequences into features.

        Parameters
        ----------
        X : sequences, as in `fit`

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_features_out)
            One vector for each sequence, those of several networks side by side. With ``pooling=None``: one for
            each step, of shape (n_samples, n_steps, n_estimators * d_model), NaN where padded.

        Raises
        ------
        ValueError
            If X cannot be read or differs from that of `fit` in its features, or if training diverged so far that
            numbers leave the range of floats. So do all methods that take X.
        """
        data = self._read_fitted(X)
        if self._fitted.network.architecture.pooling is not None:
            return _side_by_side(self._carry(data, "features"))
        steps = _side_by_side(self._carry(data, "steps"))
        padded = np.full((data.n_samples, data.n_steps, steps.shape[1]), np.nan, dtype=steps.dtype)
        padded[np.arange(data.n_steps) < data.lengths[:, np.newaxis]] = steps
        return padded

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
            If a class label, or what a code stands for, is neither a word nor a number nor a boolean.
        OSError
            If the file cannot be written.

        Notes
        -----
        The tensors have the names of `weights_`, and besides ``input.mean``, ``input.scale`` and, for values,
        ``target.mean``, ``target.scale``, all four in float64: the network takes ``(x - mean) / scale``. What the
        optimiser keeps is not in the file.
        """
        save_weights(self, self._fitted, path)

    def save_adapters(self, path: str | PathLike[str]) -> None:
        """Write what was learned beside `pretrained`: adapters and outputs, where the rest has stayed as it was.

        `load_weights` of an estimator with the same `pretrained` reads the file. It is a few kilobytes, so one
        pretrained network can serve many tasks. Needs ``pip install "skattn[interchange]"``.

        Parameters
        ----------
        path : str or path-like

        Raises
        ------
        ValueError
            If there was no `pretrained`, or nothing of it has stayed; and as `save_weights`.
        ImportError, OSError
            As `save_weights`.
        """
        model, before = self._fitted, pretrained_model(self)
        if before is None:
            raise ValueError("There is no pretrained network to leave out of the file; save_weights keeps all.")
        save_weights(self, model, path, before)

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
        attributes = load_weights(self, path, partial(pretrained_model, self))
        for name in ("feature_names_in_", "_held_categories"):
            self.__dict__.pop(name, None)
        self.__dict__.update(attributes)
        return self

    def merge_adapters(self) -> Self:
        """Add adapters to the weights that they are beside, and leave them out.

        Returns
        -------
        self : object
            Results are the same, but for rounding; `adapter_rank` is 0 and `freeze` None from here on.

        Raises
        ------
        ValueError
            If there are none.
        """
        model = self._fitted
        if not model.network.architecture.adapter_rank:
            raise ValueError("There are no adapters to merge; set adapter_rank before fit.")
        members = [Member(without_adapters(member.network), copy(member.state)) for member in model.members]
        for member in members:
            # Its averages are those of other weights.
            member.state.optimizer = member.state.kept_parameters = None
        self._model = replace(model, members=members)
        self.adapter_rank, self.freeze = 0, None
        return self

    @available_if(_has_columns)
    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Name the columns of `transform`: the class's name in lower case and a number.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Only checked against the names seen in `fit`. The name of the one column that held the sequences,
            as a `ColumnTransformer` passes it, fits as well.

        Returns
        -------
        feature_names_out : ndarray of str objects
        """
        check_is_fitted(self)
        if input_features is not None and len(input_features) == 1 and not self._steps_in[0]:
            # It names a column, while the names of `fit` are those of a step's features.
            input_features = None
        return super().get_feature_names_out(input_features)

    @property
    def _fitted(self) -> Model:
        """What the last fit left behind."""
        if not self.__sklearn_is_fitted__():
            # Not asked first: it reads all tags, which takes longer than a short sequence.
            check_is_fitted(self)
        return self._model

    @property
    def _n_features_out(self) -> int:
        architecture = self._fitted.network.architecture
        n_parts = len(pooling_parts(architecture.pooling, architecture.n_pooling_queries))
        return len(self._fitted.members) * n_parts * architecture.d_model

    @property
    def _objective(self) -> Any:
        """Entry of `OBJECTIVES` by which the network was trained."""
        return OBJECTIVES[self._fitted.objective]

    def _choose_objective(self, y: Any, current: str | None, classes: Any = None) -> str:
        """Key of `OBJECTIVES` that y is learned by; `current` is that of the model to go on with, if any.

        Where `classes` were announced, y holds some of them.
        """
        raise NotImplementedError

    def _weigh_classes(
        self, indices: NDArray[np.int64], classes: NDArray[Any], weight: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Sample weights times what each sample's class weighs."""
        return weight

    def _read_fitted(self, X: Any, *, lists_are_rows: bool = False) -> Sequences:
        """Read X as the fitted network takes it; see `read_sequences`."""
        architecture = self._fitted.network.architecture
        longest = architecture.max_steps * architecture.stride
        with np.errstate(under="ignore"):
            known = {"longest": longest, "roles": roles_of(architecture)}
            return read_sequences(X, self, reset=False, lists_are_rows=lists_are_rows, **known)

    def _as_given(self, found: NDArray[Any], data: Sequences) -> Any:
        """What was found for each sequence, or that for each step in the form in which y came."""
        form = self._fitted.target.form
        return found if form is None else give_steps(found, data, form)

    def _compare_steps(self, X: Any, y: Any, sample_weight: Any) -> dict[str, Any]:
        """What `predict` says of the steps that have a label, and what a metric of scikit-learn needs besides."""
        data = self._read_fitted(X)
        labels = read_step_labels(y, data, is_wanted=True, are_classes=is_classifier(self))
        if labels is None:
            raise ValueError(
                "y has one entry for each sequence, and the estimator was fitted with one for each step; give a list "
                "of arrays, one with an entry for every step of each sequence."
            )
        weight = None
        if sample_weight is not None:
            weight = np.repeat(read_sample_weight(sample_weight, data.n_samples), data.lengths)[labels.rows]
        predicted = self._predict_rows(data)[labels.rows]
        return {"y_true": as_array(labels.labels, "y"), "y_pred": predicted, "sample_weight": weight}

    def _predict_rows(self, data: Sequences) -> NDArray[Any]:
        """What is predicted of every sequence, or of every step."""
        raise NotImplementedError

    def _derive(self, name: str, data: Sequences, *arguments: Any) -> NDArray[Any]:
        """What a function of the objective makes of what the networks together make of each sequence, or step."""
        outputs = self._carry(data, "outputs")
        # What is too small for a float is 0, whatever the caller has NumPy do about it.
        with np.errstate(under="ignore"):
            return getattr(self._objective, name)(self._objective.combine(outputs), *arguments)

    def _carry(self, data: Sequences, name: str) -> list[NDArray[Any]]:
        """What stands in a slot of each network."""
        found = carry_all([member.network for member in self._fitted.members], data, name, self.n_jobs, self.verbose)
        return as_precise(found, data) if self.dtype == "auto" else found

    def _carry_by(self, network: Network, data: Sequences, name: str) -> NDArray[Any]:
        """What stands in a slot of a network, all of it finite."""
        return carry(network, data, name, self.n_jobs)

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


def _side_by_side(parts: list[NDArray[Any]]) -> NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


@contextmanager
def _all_or_nothing(estimator: Any) -> Iterator[None]:
    """If anything fails, let the estimator be as it was; but keep what was learned until Ctrl-C."""

    def keeps(error: BaseException, before: dict[str, Any]) -> bool:
        return isinstance(error, KeyboardInterrupt) and vars(estimator).get("_model") is not before.get("_model")

    with all_or_nothing(estimator, keeps), np.errstate(under="ignore"):
        yield
