"""A label or value for every step: y read into rows, one for each step that has a label."""

import warnings
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.base import is_classifier

from skattn._containers import columns_of, entries_of
from skattn._samples import count_axes
from skattn._training.objectives import OBJECTIVES
from skattn.labels import is_missing
from skattn.model import Model
from skattn.sequences import Sequences
from skattn.step_target import StepTarget
from skattn.targets import FEW_CLASSES, is_indicator_matrix


@dataclass(frozen=True, eq=False)
class StepLabels:
    """Labels of steps, one behind the other.

    Attributes
    ----------
    labels : array-like of shape (n_labels,) or (n_labels, n_columns)
        Of all steps that have one.
    rows : int64 ndarray of shape (n_labels,)
        Which they are, among the steps of all sequences.
    lengths : int64 ndarray of shape (n_samples,)
    form : str
        One of `FORMS`.
    """

    labels: Any
    rows: NDArray[np.int64]
    lengths: NDArray[np.int64]
    form: str

    def place_of(self, number: int) -> str:
        """Say where one of the labels stands: in which sequence, at which step."""
        row, ends = int(self.rows[number]), np.cumsum(self.lengths)
        sample = int(np.searchsorted(ends, row, side="right"))
        return f"[{sample}][{row - int(ends[sample] - self.lengths[sample])}]"

    def target(self, values: NDArray[Any]) -> StepTarget:
        """Bring what `read_target` makes of the labels to their steps."""
        n_rows = int(self.lengths.sum())
        weight, rows = np.zeros(n_rows), np.zeros((n_rows, *values.shape[1:]), values.dtype)
        weight[self.rows], rows[self.rows] = 1.0, values
        return StepTarget(rows, weight, np.cumsum(self.lengths) - self.lengths, self.lengths, self.form)


def read_step_labels(
    y: Any, data: Sequences, *, is_wanted: bool, are_classes: bool | None, name: str = "y"
) -> StepLabels | None:
    """Read y if it has an entry for every step.

    Parameters
    ----------
    y : list of array-like of shape (n_steps_i,) or (n_steps_i, n_outputs), or padded array, or anything else
    data : Sequences
        That it belongs to.
    is_wanted : bool
        Whether y is to have an entry for every step; otherwise an array that may as well hold several numbers for each
        sequence is taken for that.
    are_classes : bool or None
        Whether y holds labels, of which -1 stands for none; None where whole numbers are.
    name : str
        What errors call it.

    Returns
    -------
    labels : StepLabels or None
        None where y has one entry for each sequence.

    Raises
    ------
    ValueError
        If y has another number of entries than X, or than a sequence has steps, or no label at all.
    """
    entries, form = _entries_of_steps(y, data, is_wanted, are_classes, name)
    if entries is None:
        return None
    if len(entries) != data.n_samples:
        raise ValueError(
            f"{name.replace('y', 'X')} and {name} have inconsistent numbers of samples: {data.n_samples} sequences and "
            f"{len(entries)} entries of {name}; give the labels of each sequence's steps as one entry."
        )
    parts, rows, first = [], [], 0
    for i, (entry, length) in enumerate(zip(entries, data.lengths.tolist(), strict=True)):
        labels, is_there = _read_entry(entry, are_classes)
        _check_length(labels, is_there, i, length, name)
        _refuse_infinity(labels, i, name)
        rows.append(first + np.flatnonzero(is_there))
        parts.append(labels[is_there])
        first += length
    if not any(map(len, parts)):
        raise ValueError(f"{name} has no label at any step, but NaN, None{', -1' if are_classes else ''} only.")
    return StepLabels(_joined(parts, name), np.concatenate(rows), data.lengths, form)


def read_labels_for(estimator: Any, y: Any, data: Sequences, model: Model | None, name: str = "y") -> StepLabels | None:
    """Read y for an estimator if it has an entry for every step; see `read_step_labels`.

    Parameters
    ----------
    estimator : SelfAttentionEstimator
    y, data, name
        See `read_step_labels`.
    model : Model or None
        To go on with, which must have learned what y has.

    Raises
    ------
    ValueError
        If y has another kind of entries than the model has learned, or than ``pooling=None`` wants.
    """
    predicts, is_stepwise = hasattr(estimator, "predict"), model is not None and model.network.architecture.is_stepwise
    labels = read_step_labels(
        y,
        data,
        is_wanted=is_stepwise or (predicts and estimator.pooling is None),
        are_classes=is_classifier(estimator) if predicts else None,
        name=name,
    )
    if model is not None and OBJECTIVES[model.objective].target_type and (labels is not None) != is_stepwise:
        one, other = ("step", "sequence") if labels is not None else ("sequence", "step")
        raise ValueError(
            f"{name} has an entry for each {one}, and the fitted network was built with one for each {other}; go on as "
            "in the first call, or start anew with warm_start=False or sklearn.base.clone."
        )
    if labels is None and predicts and estimator.pooling is None and y is not None:
        raise ValueError(
            f"pooling=None gives every step an output of its own, and {name} has one entry for each sequence: set a "
            "pooling, or give y as a list of arrays, one with an entry for every step of each sequence."
        )
    return labels


def first_labels(y: Any) -> Any:
    """Give the labels of the first sequence that has some, none if none has, where y is a list of arrays; else y."""
    is_collection = isinstance(y, list | tuple) or (isinstance(y, np.ndarray) and y.dtype == object and y.ndim == 1)
    if not is_collection or not len(y) or not hasattr(y[0], "__len__") or isinstance(y[0], str):
        return y
    for entry in y:
        labels, is_there = _read_entry(entry, are_classes=True)
        if is_there.any():
            return labels[is_there]
    return []


def _entries_of_steps(y: Any, data: Sequences, is_wanted: bool, are_classes: bool | None, name: str) -> tuple[Any, str]:
    """An entry for each sequence, and the form of y; None where y has no entries of steps."""
    if y is None or issparse(y):
        return None, ""
    if is_wanted and hasattr(y, "columns") and len(getattr(y, "shape", ())) == 2 and y.shape[1] > 1:
        y = np.asarray(y)
    if isinstance(y, np.ndarray) and y.ndim > 1:
        return (y, "array") if _is_padded(y, data, is_wanted, are_classes, name) else (None, "")
    columns = None if isinstance(y, list | tuple) else columns_of(y)
    if columns is not None and len(columns) != 1:
        return None, ""
    entries = list(y) if columns is None and isinstance(y, list | tuple) else entries_of(columns[0]) if columns else []
    n_axes = [count_axes(entry) for entry in entries]
    if not entries or min(n_axes) == 0:
        if entries and max(n_axes) > 0:
            raise ValueError(
                f"{name}[{n_axes.index(0)}] is one entry, and {name}[{n_axes.index(max(n_axes))}] holds several; give "
                "one for each sequence, or one for every step of each."
            )
        return None, ""
    lengths = [len(entry) for entry in entries]
    if len(set(lengths)) == 1 and not is_wanted:
        are_arrays = not all(isinstance(entry, list | tuple) for entry in entries)
        if not are_arrays or data.kind == "rows" or lengths != data.lengths.tolist():
            if data.kind != "rows" and lengths == data.lengths.tolist() and lengths[0] > 1:
                warnings.warn(
                    f"{name} is a list of lists, as long as each sequence, and was taken for {lengths[0]} entries of "
                    "each sequence as a whole; if there is one for every step, set pooling=None, or give a list of "
                    "arrays.",
                    UserWarning,
                    stacklevel=2,
                )
            return None, ""
    return entries, "list" if isinstance(y, list | tuple) else "objects"


def _is_padded(y: NDArray[Any], data: Sequences, is_wanted: bool, are_classes: bool | None, name: str) -> bool:
    """Whether an array of two axes or more has an entry for each step, rather than several for each sequence."""
    longest = int(data.lengths.max())
    if y.ndim > 2 and y.shape[1] < longest:
        raise ValueError(
            f"{name} has {y.ndim} dimensions (shape={y.shape}), and X has sequences of up to {longest} steps: give "
            "(n_samples,) or (n_samples, n_outputs), or (n_samples, n_steps, n_outputs) with an entry for every step."
        )
    if y.ndim > 2 or is_wanted:
        return True
    if data.kind == "rows" or y.shape[1] != data.n_steps or y.shape[1] < 2:
        return False
    labels, is_there = _read_entry(y.reshape(-1), are_classes)
    if not is_there.all():
        return True
    if are_classes is False or labels.dtype.kind == "f":
        return False
    if not is_indicator_matrix(y):
        return True
    if are_classes and y.shape[1] > FEW_CLASSES:
        return True
    if are_classes:
        warnings.warn(
            f"{name} of shape {y.shape} holds 0 and 1, and was taken for {y.shape[1]} labels of each sequence; if it "
            f"has a label for each of {y.shape[1]} steps, set pooling=None, or give a list of arrays.",
            UserWarning,
            stacklevel=2,
        )
    return False


def _read_entry(entry: Any, are_classes: bool | None) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Labels as an array, of objects where they are no numbers, and which of them are there."""
    mask = np.ma.getmaskarray(entry) if isinstance(entry, np.ma.MaskedArray) else False
    array = np.ma.getdata(entry) if isinstance(entry, np.ma.MaskedArray) else entry
    if hasattr(array, "to_numpy"):
        array = array.to_numpy()
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biufU":
        array = np.array(array, dtype=object)
    if array.dtype.kind in "iuf":
        marks = array.dtype.kind != "f" if are_classes is None else are_classes
        is_none = np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
        is_none |= (array == -1) & marks
    elif array.dtype == object:
        is_none = np.array([_is_none(label, are_classes) for label in array.ravel().tolist()], bool).reshape(
            array.shape
        )
    else:
        is_none = np.zeros(array.shape, bool)
    is_none = is_none | mask
    return array, ~is_none.any(axis=tuple(range(1, is_none.ndim)))


def _is_none(label: Any, are_classes: bool | None) -> bool:
    """Whether an entry says that there is no label."""
    is_mark = isinstance(label, Integral) and not isinstance(label, bool) and label == -1 and are_classes is not False
    return is_mark or is_missing(label)


def _check_length(labels: NDArray[Any], is_there: NDArray[np.bool_], sample: int, length: int, name: str) -> None:
    """Refuse labels that do not belong to the steps of a sequence."""
    if labels.ndim > 2:
        raise ValueError(
            f"{name}[{sample}] has shape {labels.shape}; give (n_steps,) or (n_steps, n_outputs) for each sequence."
        )
    if len(labels) < length:
        raise ValueError(
            f"{name}[{sample}] has {len(labels)} entries, and sequence {sample} of X has {length} steps; give one for "
            "each step, NaN where there is none. Several labels of a whole sequence are a 0/1 matrix, such as "
            "sklearn.preprocessing.MultiLabelBinarizer makes."
        )
    if is_there[length:].any():
        step = length + int(np.argmax(is_there[length:]))
        raise ValueError(
            f"{name}[{sample}] has a label at step {step}, and sequence {sample} of X has {length} steps, the rest of "
            "which is padding; leave it out, or give NaN there."
        )


def _refuse_infinity(labels: NDArray[Any], sample: int, name: str) -> None:
    """Refuse a number that nothing can be learned from, with its place."""
    is_infinite = np.isinf(labels) if labels.dtype.kind == "f" else np.zeros(labels.shape, bool)
    if is_infinite.any():
        step = int(np.argwhere(is_infinite)[0, 0])
        raise ValueError(f"{name}[{sample}] has infinity at step {step}; give a finite number, or NaN for none.")


def _joined(parts: list[NDArray[Any]], name: str) -> Any:
    """Labels of all sequences, one behind the other, each as it is."""
    parts = [part for part in parts if len(part)]
    widths = sorted({part.shape[1:] for part in parts})
    if len(widths) > 1:
        raise ValueError(
            f"Steps of {name} have entries of the shapes {widths[0]} and {widths[1]}; give all of them one."
        )
    if len({part.dtype.kind in "biuf" for part in parts}) == 1 and parts[0].dtype.kind in "biuf":
        return np.concatenate(parts)
    return [label for part in parts for label in part.tolist()]
