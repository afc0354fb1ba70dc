"""Read y: whatever a user passes into the arrays that objectives take."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, is_multilabel, type_of_target

from skattn._step_checks import refuse_masked
from skattn._training.objectives import CHOSEN, OBJECTIVES
from skattn._wording import shortened
from skattn.labels import as_array, class_indices

FEW_CLASSES = 20
"""Different whole numbers that are taken for classes without a second look."""


def choose_objective(y: Any) -> str:
    """Tell from y what is to be learned.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), or None

    Returns
    -------
    objective : str
        None: "reconstruction". Labels, among them whole numbers: "cross_entropy". A 0/1 matrix of two or
        more columns: "binary_cross_entropy". Other numbers: "squared_error"; so are whole numbers of more than
        `FEW_CLASSES` different values, if these are more than there are samples of each. If they go from 0 or 1 on
        without a gap, as classes are numbered, they are values only where there are less than two samples of each.

    Raises
    ------
    ValueError, TypeError
        If y is none of these, or a label is missing.

    Warns
    -----
    UserWarning
        Where it is close whether whole numbers are classes or values.
    """
    if y is None:
        return CHOSEN["none"]
    y = as_array(y, "y")
    if isinstance(y, np.ndarray):
        _refuse_not_finite(y, "y")
        if y.ndim == 1 and y.dtype.kind == "O":
            _classes_among(y, "y")
    kind = _in_few_words(lambda: type_of_target(y, input_name="y", raise_unknown=True))
    if kind not in CHOSEN:
        raise ValueError(
            f"y is {kind}, several columns of whole numbers, which may be classes or values; give values "
            'as floats with objective="squared_error", or fit one estimator for each column of classes.'
        )
    if kind == "multiclass" and y.dtype.kind in "iuf" and _are_values(y.ravel()):
        return CHOSEN["continuous"]
    return CHOSEN[kind]


def _are_values(numbers: NDArray[Any]) -> bool:
    """Tell whether whole numbers are values, such as prices, rather than classes; warns where that is close."""
    different = np.unique(numbers)
    n_different, each = len(different), len(numbers) / len(different)
    if n_different <= FEW_CLASSES:
        return False
    # Python's numbers: the difference of two of NumPy's may leave its type.
    first, last = int(different[0]), int(different[-1])
    if first in (0, 1) and last - first == n_different - 1:
        # Without a gap, as classes are numbered; they are learned from two samples each, and from fewer not at all.
        are_values, is_close = each < 2, n_different > each > 1
    else:
        are_values, is_close = n_different > each, each / 2 < n_different < 10 * each
    if is_close:
        taken, found, other = "classes", CHOSEN["multiclass"], CHOSEN["continuous"]
        if are_values:
            taken, found, other = "values", other, found
        warnings.warn(
            f"y holds {n_different} different whole numbers in {len(numbers)} samples, which were taken for {taken}; "
            f'set objective="{found}" if they are, or objective="{other}" if not.',
            UserWarning,
            stacklevel=2,
        )
    return are_values


def choose_objective_of_classes(y: Any) -> str:
    """Tell from y, which holds classes, whether there is one for each sample or several labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_labels), or None
    """
    return CHOSEN["multilabel-indicator" if y is not None and is_indicator_matrix(y) else "multiclass"]


def is_indicator_matrix(y: Any) -> bool:
    """Tell whether y marks the labels of each sample by 0 and 1, in two or more columns."""
    y = as_array(y, "y")
    if getattr(y, "ndim", 2) == 1:
        return False
    return bool(_in_few_words(lambda: is_multilabel(y)))


def _in_few_words(look: Callable[[], Any]) -> Any:
    """What scikit-learn finds out about y; its errors may show all of it."""
    try:
        with np.errstate(invalid="ignore"):  # whole numbers may be larger than any integer
            return look()
    except (TypeError, ValueError) as error:
        raise type(error)(shortened(error, 400)) from error


def read_target(
    y: Any,
    objective: str,
    n_samples: int,
    *,
    classes: NDArray[Any] | None = None,
    n_outputs: int | None = None,
    name: str = "y",
    place_of: Callable[[int], str] = "[{}]".format,
) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
    """Check y and bring it into the form that the objective encodes.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), or None
    objective : str
        A key of `skattn._training.objectives.OBJECTIVES`.
    n_samples : int
        Sequences that y belongs to.
    classes : ndarray of shape (n_classes,), optional
        Classes that are known already; by default those of y.
    n_outputs : int, optional
        Columns that are known already; by default those of y.
    name : str, default="y"
        What errors call it.
    place_of : callable (number) -> str
        What stands behind that where an entry is meant.

    Returns
    -------
    target : ndarray or None
        Class indices, a 0/1 matrix, float64 values; None for "reconstruction", which ignores y.
    classes : ndarray of shape (n_classes,) or None
        Sorted labels, or column numbers of a 0/1 matrix; None where there are no classes.

    Raises
    ------
    ValueError
        If y is missing, is not what the objective learns, holds NaN, infinity or unknown classes, or
        has another number of rows than X or of columns than before.
    """
    target_type = OBJECTIVES[objective].target_type
    if target_type is None:
        return None, None
    if y is None:
        raise ValueError(
            f'objective "{objective}" requires y to be passed, but the target {name} is None; '
            "give a label or value for each sequence."
        )
    refuse_masked(y, name)
    if issparse(y):
        y = y.toarray()
    target, classes = _READERS[target_type](y, classes, name, place_of)
    least = OBJECTIVES[objective].least
    if least is not None and target.min() < least:
        place = place_of(int(np.argwhere(target < least)[0, 0]))
        raise ValueError(
            f'{name} holds {target.min():g}, first below {least} at {name}{place}, and the objective "{objective}" '
            f"is for what is {least} or more; take another loss, or shift {name}."
        )
    n_columns = 1 if target.ndim == 1 else target.shape[1]
    if target_type != "classes" and n_outputs not in (None, n_columns):
        raise ValueError(
            f"{name} has {n_columns} columns, but the estimator was built for {n_outputs}; give the same "
            "columns, or fit again."
        )
    if len(target) != n_samples:
        raise ValueError(
            f"{name.replace('y', 'X')} and {name} have inconsistent numbers of samples: {n_samples} sequences and "
            f"{len(target)} targets; give one target for each sequence."
        )
    return target, classes


def _read_labels(
    y: Any, classes: NDArray[Any] | None, name: str, place_of: Callable[[int], str]
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Labels to indices into the sorted classes."""
    labels = as_array(y, name)
    labels = _in_few_words(lambda: column_or_1d(labels, warn=True))
    known = _classes_among(labels, name) if classes is None else classes
    _refuse_not_finite(labels, name)
    if classes is None or labels.dtype.kind == "f":
        _in_few_words(lambda: check_classification_targets(labels))
    indices = _in_order(lambda: class_indices(labels, known), name)
    if indices.min() < 0:
        sample = int(np.argmin(indices))
        found, wanted = shortened(repr(labels[sample : sample + 1].tolist()[0])), shortened(known.tolist(), 120)
        raise ValueError(
            f"{name}{place_of(sample)} is {found}, which is none of the classes {wanted} that the estimator was built "
            "for; give all classes at the first call, or fit again with all of them."
        )
    return indices, known


def sorted_classes(labels: Any, name: str) -> NDArray[Any]:
    """Different labels in their order.

    Parameters
    ----------
    labels : array-like of shape (n_labels,)
    name : str
        What errors call them.

    Raises
    ------
    ValueError
        If there are none, one is missing, NaN or infinite, or one is neither a word nor a number.
    TypeError
        If they have no order.
    """
    labels = np.asarray(as_array(labels, name))
    if labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"{name} has shape {labels.shape}, and one axis of labels is wanted; list each once.")
    return _classes_among(labels, name)


def _classes_among(labels: NDArray[Any], name: str) -> NDArray[Any]:
    """Different labels of an array of one axis, in their order."""
    _refuse_not_finite(labels, name)
    classes: NDArray[Any] = _in_order(lambda: np.unique(labels), name)
    strange = [label for label in classes if not isinstance(label, str)] if classes.dtype.kind == "O" else []
    if strange or classes.dtype.kind in "SVc":
        label = strange[0] if strange else classes[0]
        raise ValueError(
            f"Unknown label type: {name} holds {shortened(label)} ({type(label).__name__}), and labels are words or "
            "numbers that 64 bits hold; make words of them, such as [str(label) for label in y]."
        )
    return classes


def _in_order(compare: Callable[[], Any], name: str) -> Any:
    """What `compare` gives; labels such as words among numbers have no order."""
    try:
        return compare()
    except TypeError as error:
        raise TypeError(
            f"{name} holds labels that cannot be compared with each other, or with those known: {shortened(error)}. "
            "Make all labels of one kind, for example all of them words."
        ) from error


def _read_indicators(
    y: Any, classes: NDArray[Any] | None, name: str, place_of: Callable[[int], str]
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """A matrix that marks each sample's labels with 1."""
    matrix = as_numbers(y, name)
    if matrix.ndim != 2 or not np.isin(matrix, (0, 1)).all():
        raise ValueError(
            f"{name} of shape {matrix.shape} must be a matrix of 0 and 1, (n_samples, n_labels), where a "
            "sample has several labels; sklearn.preprocessing.MultiLabelBinarizer makes one."
        )
    return matrix.astype(np.int64), np.arange(matrix.shape[1])


def _read_values(
    y: Any, classes: NDArray[Any] | None, name: str, place_of: Callable[[int], str]
) -> tuple[NDArray[np.float64], None]:
    """Numbers, one or several a sample."""
    values = as_numbers(y, name)
    if values.ndim > 2:
        raise ValueError(
            f"{name} has {values.ndim} dimensions (shape={values.shape}), while (n_samples,) or (n_samples, "
            "n_outputs) is required; give each sample's numbers as one row."
        )
    return values, None


def _refuse_not_finite(values: NDArray[Any], name: str) -> None:
    """Name the first sample whose number is NaN or infinite."""
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return
    values = np.atleast_1d(values)
    sample = int(np.argwhere(~np.isfinite(values))[0, 0])
    found = "NaN" if np.isnan(values[sample]).any() else "infinity"
    raise ValueError(
        f"Input {name} contains {found} at sample {sample}; every sample needs a finite number or a label, so "
        "fill it in or leave the sample out."
    )


_READERS: dict[str, Callable[..., tuple[NDArray[Any], NDArray[Any] | None]]] = {
    "classes": _read_labels,
    "indicators": _read_indicators,
    "values": _read_values,
}


def as_numbers(values: Any, name: str) -> NDArray[np.float64]:
    """Make an array of float64 of whatever should hold numbers.

    Parameters
    ----------
    values : array-like of any number of axes
    name : str
        What errors call it.

    Raises
    ------
    ValueError
        If a value is no number, NaN or infinite.
    """
    refuse_masked(values, name)
    array = as_array(values, name)
    # Of words an error shows one as the user wrote it.
    values = values if isinstance(array, np.ndarray) and array.dtype.kind == "U" else array
    dtype = getattr(values, "dtype", None)
    if getattr(dtype, "kind", "f") in "MmV":
        raise ValueError(
            f"{name} has dtype {shortened(str(dtype))}, which holds no real numbers; convert it to floats."
        )
    try:
        array = check_array(
            values, dtype=np.float64, ensure_2d=False, allow_nd=True, ensure_all_finite=False, input_name=name
        )
    except (TypeError, ValueError) as error:
        if type(error) not in (TypeError, ValueError):
            raise
        raise type(error)(f"{name} cannot be read as numbers: {shortened(error)}") from error
    except OverflowError as error:
        found = shortened(error)
        raise ValueError(f"{name} holds a number that no float64 can hold ({found}); scale or clip it.") from error
    _refuse_not_finite(array, name)
    return array


def keep_present(indices: NDArray[np.int64], classes: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Leave out classes that no sample has, because all of theirs weigh nothing.

    Parameters
    ----------
    indices : int array of shape (n_samples,)
        Class of each sample, as an index into `classes`.
    classes : ndarray of shape (n_classes,)

    Returns
    -------
    indices, classes : arrays of the same kind
        With every class occurring.
    """
    present, indices = np.unique(indices, return_inverse=True)
    return indices, classes[present]
