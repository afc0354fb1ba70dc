"""What a model says of sequences, and by how much that changes where parts of these are replaced."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring
from sklearn.utils.validation import _num_samples

from skattn._wording import shortened
from skattn.validation import find_scorer

_OWN_SCORE = "the model's own score"


class Answers:
    """What a model says of X as it came, to compare other answers with.

    Parameters
    ----------
    model : estimator
    X : object
    n_samples : int
        Sequences of X.
    y : object
        None where nobody says what is right.
    scoring : str, callable or None
    is_local : bool
        Whether each sequence is to be told of.

    Raises
    ------
    ValueError, TypeError
        If y does not belong to X, nothing can be scored, or the model gives no answers.
    """

    def __init__(self, model: Any, X: Any, n_samples: int, y: Any, scoring: Any, is_local: bool) -> None:
        self._model, self._y, self._n_samples = model, y, n_samples
        self._scorer = None if y is None else check_scoring(model, scoring=find_scorer(scoring, _OWN_SCORE))
        _check_lengths(y, scoring, n_samples)
        self._asks = is_local or y is None
        self._method = method_of(model) if self._asks else ""
        self._told = self._ask(X)
        self._marks = self._mark_classes() if is_local and self._tells_classes else None
        self._is_local = is_local
        self._score = None if self._scorer is None else float(self._scorer(model, X, y))

    def compare(self, X: Any) -> tuple[float, NDArray[np.float64] | None]:
        """Tell how much worse, or other, answers get.

        Parameters
        ----------
        X : object
            In which something is replaced.

        Returns
        -------
        importance : float
            By how much the score falls; without y by how much answers move, the mean over sequences.
        local : ndarray of shape (n_samples,) or None
            By how much the probability of the right class, or without y of the predicted one, falls for each sequence,
            and where there are none, how much its answer moves.
        """
        told = self._ask(X)
        score = None if self._scorer is None else self._score - float(self._scorer(self._model, X, self._y))
        moves = None if score is not None and self._marks is not None else self._moves(told)
        local = None
        if self._is_local:
            local = moves if self._marks is None else self._falls(told)
        return float(np.mean(moves)) if score is None else score, local

    @property
    def _tells_classes(self) -> bool:
        """Whether answers are probabilities of classes."""
        return self._method == "predict_proba" and is_classifier(self._model)

    def _ask(self, X: Any) -> list[NDArray[Any]]:
        """The answer to each sequence, of shape (), (n_outputs,) or (n_steps, n_outputs)."""
        if not self._asks:
            return []
        told = getattr(self._model, self._method)(X)
        told = told.toarray() if hasattr(told, "toarray") else told
        return [np.asarray(answer) for answer in (told if isinstance(told, list) else np.asarray(told))]

    def _moves(self, told: list[NDArray[Any]]) -> NDArray[np.float64]:
        """How much the answer to each sequence moves."""
        pairs = zip(self._told, told, strict=True)
        return np.array([_distance(before, after, self._method) for before, after in pairs])

    def _falls(self, told: list[NDArray[Any]]) -> NDArray[np.float64]:
        """How much the probability of the marked classes falls."""
        assert self._marks is not None
        triples = zip(self._marks, self._told, told, strict=True)
        return np.array([np.nansum(marks * (before - after)) for marks, before, after in triples])

    def _mark_classes(self) -> list[NDArray[np.float64]]:
        """Weights by which falls of probabilities are added up: 1 for the class that counts, or shares of several."""
        if self._y is None:
            return [_mark_predicted(answer) for answer in self._told]
        places = {label: place for place, label in enumerate(self._model.classes_.tolist())}
        entries = list(self._y) if isinstance(self._y, (list, tuple)) else list(np.asarray(self._y))
        return [_mark_right(entry, answer, places) for entry, answer in zip(entries, self._told, strict=True)]


def method_of(model: Any) -> str:
    """Give the method whose answers are compared.

    Raises
    ------
    TypeError
        If the model has none.
    """
    # Probabilities of several targets come in a list for each of these, not for each sequence.
    has_several = isinstance(getattr(model, "classes_", None), list)
    names = ("predict",) if has_several else ("predict_proba", "decision_function", "predict", "transform")
    found = next((name for name in names if hasattr(model, name)), None)
    if found is None:
        raise TypeError(
            f"{type(model).__name__} has neither predict nor transform, so there are no answers that could change; "
            "pass a fitted estimator, or a pipeline."
        )
    return found


def _check_lengths(y: Any, scoring: Any, n_samples: int) -> None:
    if y is None and scoring is not None:
        raise ValueError(
            f"scoring={shortened(repr(scoring), 60)} compares with y, and there is none; give y, or leave scoring out "
            "to see how much predictions move."
        )
    if y is not None and _num_samples(y) != n_samples:
        raise ValueError(
            f"X and y have inconsistent numbers of samples: {n_samples} sequences and {_num_samples(y)} entries; give "
            "y one entry for each sequence."
        )


def _distance(before: NDArray[Any], after: NDArray[Any], method: str) -> float:
    """How far an answer moves, the mean over steps where these have answers."""
    if before.dtype.kind not in "fiub" or (method == "predict" and before.dtype.kind != "f"):
        return float(np.mean(before != after))
    change = np.abs(before.astype(np.float64) - after)
    change = change[~np.isnan(change).all(axis=-1)] if change.ndim == 2 else change
    if change.ndim and method == "predict_proba":
        return float(change.max(axis=-1).mean())
    if change.ndim and method == "transform":
        return float(np.sqrt((change**2).sum(axis=-1)).mean())
    return float(change.mean())


def _mark_predicted(answer: NDArray[Any]) -> NDArray[np.float64]:
    """Mark the likeliest class; of several labels a sample what is predicted of each."""
    is_there = ~np.isnan(answer).any(axis=-1, keepdims=True)
    n_steps = max(1, int(is_there.sum()))
    if np.allclose(answer.sum(axis=-1)[is_there[..., 0]], 1, atol=1e-4):
        likeliest = np.arange(answer.shape[-1]) == np.where(is_there, answer, 0).argmax(axis=-1)[..., np.newaxis]
        return likeliest * is_there / n_steps
    return np.where(answer >= 0.5, 1.0, -1.0) * is_there / (n_steps * answer.shape[-1])


def _mark_right(entry: Any, answer: NDArray[Any], places: dict[Any, int]) -> NDArray[np.float64]:
    """Mark the class that y names, at every step that has one, or what it says of each of several labels."""
    if np.shape(entry) == (1,) and answer.ndim == 1 and len(answer) > 1:
        # A column of labels.
        entry = np.asarray(entry, dtype=object)[0]
    if np.ndim(entry) == answer.ndim:
        marks = np.where(np.asarray(entry) == 1, 1.0, -1.0)
        return marks / marks.size if marks.shape == answer.shape else np.zeros(answer.shape)
    rows = answer.reshape(-1, answer.shape[-1])
    marks = np.zeros(rows.shape)
    labels = np.asarray(entry, dtype=object).reshape(-1)[: len(rows)].tolist()
    known = [(step, places[label]) for step, label in enumerate(labels) if label in places]
    for step, place in known:
        marks[step, place] = 1 / len(known)
    return marks.reshape(answer.shape)
