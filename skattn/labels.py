"""Read labels out of any container exactly: none passes through a type that cannot hold it, and none is missing."""

from collections.abc import Iterator, Mapping, Set, ValuesView
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from skattn._wording import shortened


def as_array(y: Any, name: str) -> Any:
    """Give labels or values as an array that holds them as they are.

    Parameters
    ----------
    y : array-like
        A list, tuple, array, data frame or column, of pandas, polars or Arrow, of any type. What is sparse or masked
        is given back as it is, and so are rows of different lengths.
    name : str
        What errors call it.

    Returns
    -------
    labels : ndarray
        Whole numbers as whole numbers, also those of nullable and Arrow types. Of objects where no other type holds
        all of them: words among numbers, or whole numbers that no float and no 64 bits hold.

    Raises
    ------
    TypeError
        If `y` has no order, or can be gone through but once.
    ValueError
        If a label is missing: None, NaN or NaT.
    """
    if type(y) is np.ndarray and y.dtype.kind in "biuf" or issparse(y) or isinstance(y, np.ma.MaskedArray):
        return y
    columns = _columns(y)
    if columns:
        # Each by itself: a frame's own array may need a type that holds none of them exactly.
        return np.stack([as_array(column, name) for column in columns], axis=1)
    _refuse_no_sequence(y, name)
    _refuse_missing_entries(y, name)
    try:
        array = np.asarray(y)
        # Numbers among words, and among other numbers, are as they were only in their list.
        objects = array if isinstance(y, np.ndarray) else np.asarray(y, dtype=object)
    except ValueError:
        return y  # of rows of different lengths, which whoever reads rows has words for
    if array.dtype.kind in "OTMm" or array.dtype.kind in "Uf" and isinstance(y, list | tuple):
        array = _exactly(array, objects, name)
    return array


def _columns(y: Any) -> list[Any]:
    """The columns of a frame of pandas, polars or Arrow; none of anything else."""
    if hasattr(y, "iloc") and y.ndim == 2:
        return [y.iloc[:, i] for i in range(y.shape[1])]
    iterate = getattr(y, "iter_columns", None) or getattr(y, "itercolumns", None)
    return list(iterate()) if iterate else []


def _refuse_no_sequence(y: Any, name: str) -> None:
    """What has no order cannot belong to sequences, and an iterator is empty once it was looked at."""
    if isinstance(y, Mapping | Set | Iterator | ValuesView | str | bytes):
        way = f"list({name}.values())" if isinstance(y, Mapping) else f"list({name})"
        raise TypeError(
            f"{name} is a {type(y).__name__}, and a list or an array with an entry for each sequence is wanted; if "
            f"its entries are in the order of the sequences, pass {way}."
        )


def _refuse_missing_entries(y: Any, name: str) -> None:
    """Look for missing entries where a container knows of them itself."""
    tell = getattr(y, "isna", None) or getattr(y, "is_null", None)
    if tell is not None:
        missing = np.flatnonzero(np.asarray(tell(), dtype=bool))
        if len(missing):
            _refuse_missing("a missing value", (int(missing[0]),), name)


def _exactly(array: NDArray[Any], objects: NDArray[Any], name: str) -> NDArray[Any]:
    """An array of what objects are, if that holds each of them as it is; else the objects."""
    if array.dtype.kind in "Mm":
        missing = np.argwhere(np.isnat(array))
        if len(missing):
            _refuse_missing("NaT", tuple(missing[0].tolist()), name)
        return array
    if array.dtype.kind == "T":
        objects = array.astype(object)
    labels = objects.ravel().tolist()
    for i, label in enumerate(labels):
        if is_missing(label):
            found = "NaN" if isinstance(label, float | np.floating) else shortened(label)
            _refuse_missing(found, tuple(map(int, np.unravel_index(i, objects.shape))), name)
    if all(isinstance(label, str) for label in labels):
        # Objects stay objects, as predictions of words have the type of y.
        return array if array.dtype.kind in "UO" else np.array(labels).reshape(objects.shape)
    try:
        numbers = np.array(labels)
    except ValueError:
        return objects
    if numbers.dtype.kind not in "biuf" or numbers.tolist() != labels:
        return objects
    return numbers.reshape(objects.shape)


def is_missing(label: Any) -> bool:
    """Tell None, NaN, NaT and pandas' NA, which is neither equal nor unequal to anything."""
    if label is None or type(label).__name__ == "NAType":
        return True
    if isinstance(label, str):
        return False
    try:
        return bool(label != label)
    except Exception:  # an array has no truth, and others have errors of their own
        return False


def _refuse_missing(found: str, place: tuple[int, ...], name: str) -> NoReturn:
    where = ", ".join(f"{axis} {i}" for axis, i in zip(("sample", "column"), place, strict=False))
    raise ValueError(
        f"Input {name} contains {found} at {where}; every sample needs a finite number or a label, so fill it in or "
        "leave the sample out."
    )


def class_indices(labels: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.int64]:
    """Look labels up among sorted classes.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
    classes : ndarray of shape (n_classes,)

    Returns
    -------
    indices : int64 array of shape (n_samples,)
        -1 where a label is none of the classes.

    Raises
    ------
    TypeError
        If labels cannot be compared with each other.
    """
    if labels.dtype.kind != classes.dtype.kind:
        # NumPy would compare a whole number with a float by rounding it; Python compares their values.
        places = {label: i for i, label in enumerate(classes.tolist())}
        return np.array([places.get(label, -1) for label in labels.tolist()], np.int64)
    indices = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
    return np.where(classes[indices] == labels, indices, -1)
