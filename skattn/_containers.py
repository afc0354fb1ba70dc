"""Bring the containers of other libraries to arrays and lists, each in the precision that it has."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, ValuesView
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from skattn._dates import is_date
from skattn._steps import Steps
from skattn._wording import shortened

_REAL = "fiub"
"""Kinds of dtype that hold real numbers."""


def plain_container(X: Any) -> Any:
    """Give X, as a list where it is another collection in order, and refuse what has no samples in an order.

    Raises
    ------
    TypeError
        For a dict, a set, an iterator, a frame that is not computed yet, or one single thing.
    """
    if isinstance(X, Steps) and (X.ndim != 3 or X.columns is None):
        # The names of a step's features are not those of a table's columns.
        X = np.asarray(X)
    if isinstance(X, (np.ndarray, list, tuple)) or issparse(X):
        if getattr(X, "shape", None) == ():
            _refuse_single(X[()])
        return X
    kind = type(X).__name__
    if isinstance(X, Mapping):
        raise TypeError(f"X is a {kind} of {len(X)} entries; pass its sequences as a list, list(X.values()).")
    if isinstance(X, ValuesView) or (_is_sequence(X) and not hasattr(X, "to_list")):
        return list(X)
    if hasattr(X, "collect") and hasattr(X, "lazy"):
        raise TypeError(f"X is a {kind}, which is not computed yet; pass X.collect(), or a list of sequences.")
    if hasattr(X, "__array__") or hasattr(X, "shape") or hasattr(X, "to_list"):
        return X
    if isinstance(X, Iterator):
        raise TypeError(f"X is a {kind}, which can be gone through only once; pass a list of its sequences, list(X).")
    if isinstance(X, Iterable) and not isinstance(X, (str, bytes)):
        raise TypeError(f"X is a {kind}, and no list; pass a list of (n_steps, n_features) arrays in their order.")
    return _refuse_single(X)


def _is_sequence(X: Any) -> bool:
    """Whether X is a collection in order, but no array and no text."""
    return isinstance(X, Sequence) and not isinstance(X, (str, bytes)) and not hasattr(X, "shape")


def _refuse_single(X: Any) -> Any:
    raise TypeError(
        f"X is {shortened(X, 60)}, of type {type(X).__name__}, and no set of sequences; pass a list of (n_steps, "
        "n_features) arrays, or an array of 2 or 3 axes."
    )


def columns_of(X: Any) -> list[Any] | None:
    """Give the columns of a frame, X alone where it is a column, and None for all else.

    None as well for a frame of numbers, whose columns hold no sequences.
    """
    if hasattr(X, "columns") and not isinstance(X, np.ndarray):
        dtypes = getattr(X, "dtypes", ())
        if len(dtypes) and all(is_real(dtype) for dtype in dtypes):
            return None
        if hasattr(X, "iloc"):
            return [X.iloc[:, i] for i in range(X.shape[1])]
        # Frames of polars give columns when asked, Arrow tables hold them.
        return list(X.get_columns() if hasattr(X, "get_columns") else X.columns)
    if isinstance(X, np.ndarray):
        return list(X.T) if X.dtype == object and X.ndim == 2 else [X] if X.dtype == object and X.ndim == 1 else None
    is_column = hasattr(X, "to_list") or hasattr(X, "to_numpy")
    return [X] if is_column and len(getattr(X, "shape", (0,))) == 1 else None


def entries_of(column: Any) -> list[Any]:
    """Give the entries of a column, arrays among them in their own precision where the column knows it."""
    if hasattr(column, "to_pylist"):  # of Arrow
        return list(column.to_numpy(zero_copy_only=False))
    if hasattr(column, "to_numpy") and hasattr(column, "shape"):
        return list(column.to_numpy())
    return [_plain_entry(entry) for entry in column]


def _plain_entry(entry: Any) -> Any:
    """An array or a list of what has no shape, such as the ragged arrays of other libraries."""
    if hasattr(entry, "shape") or not hasattr(entry, "to_list"):
        return entry
    try:
        array = np.asarray(entry)
    except (TypeError, ValueError):
        return entry.to_list()
    return array if array.ndim else entry.to_list()


def is_real(dtype: Any) -> bool:
    """Whether a dtype of NumPy, pandas or polars is one of real numbers."""
    is_numeric = getattr(dtype, "is_numeric", None)  # of polars
    return bool(is_numeric()) if callable(is_numeric) else getattr(dtype, "kind", "O") in _REAL


def as_array(item: Any) -> NDArray[Any]:
    """Make an array of a sequence or a table, in the least precision that holds what its own types hold.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As NumPy does where the entries make no array of numbers.
    """
    dtypes = _numpy_types(item)
    if dtypes is not None:
        # Left to itself pandas makes objects of these, and so float64.
        return item.to_numpy(dtype=np.result_type(np.float32, *dtypes), na_value=np.nan)
    array = np.asarray(item)
    return _of_numbers(array) if array.dtype == object else array


def _numpy_types(item: Any) -> list[np.dtype[Any]] | None:
    """Types of numbers that the columns of a pandas frame hold, where they are not all one type of NumPy's."""
    if not hasattr(item, "iloc") or not hasattr(item, "columns"):
        return None
    dtypes = [getattr(dtype, "numpy_dtype", dtype) for dtype in item.dtypes]
    if not all(isinstance(dtype, np.dtype) and dtype.kind in _REAL for dtype in dtypes):
        return None
    return None if dtypes and all(dtype == dtypes[0] for dtype in item.dtypes) else dtypes


def _of_numbers(array: NDArray[Any]) -> NDArray[Any]:
    """Turn an array of objects into numbers: those of its entries where they have a type, else float64."""
    inner = np.array(array.tolist())
    while inner.dtype == object and inner.shape != array.shape:
        # An array of arrays, as read back from Parquet, may hold arrays of arrays in turn.
        array, inner = inner, np.array(inner.tolist())
    if inner.dtype.kind in "mM" or any(map(is_date, inner.reshape(-1))):
        # NumPy would make numbers of some of these, in units that nobody has chosen.
        raise TypeError("dates or durations are no numbers")
    # Where entries are missing, or words are among numbers, NumPy makes objects or words.
    if inner.dtype.kind in _REAL:
        return inner
    entries = inner.ravel().tolist()
    if any(type(entry).__name__ == "NAType" for entry in entries):
        # What pandas calls missing is no number to NumPy.
        entries = [np.nan if type(entry).__name__ == "NAType" else entry for entry in entries]
        return np.array(entries, dtype=np.float64).reshape(inner.shape)
    return np.array(array.tolist(), dtype=np.float64)
