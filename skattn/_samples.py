"""Tell a collection of sequences from one array."""

from typing import Any

import numpy as np


def samples_of(X: Any) -> list[Any] | tuple[Any, ...] | None:
    """Give the samples of ragged X, and None for what is to be read as one array.

    Parameters
    ----------
    X : object
        Anything a user passes.

    Returns
    -------
    samples : list, tuple or None
        The entries of a list, tuple, 1-D object array, or column of sequences. None where the entries
        are no sequences, and for equally long lists of numbers, which are the rows of a table.
    """
    column = _column_of(X)
    if column is not None:
        if len(column) and _count_axes(next(iter(column))) == 0:
            return None
        return column.tolist() if isinstance(column, np.ndarray) else column.to_list()
    if not isinstance(X, (list, tuple)):
        return None
    n_axes = [_count_axes(sample) for sample in X]
    deepest = max(n_axes, default=2)
    is_table = deepest == 1 and (min(n_axes) == 0 or len({_length(sample) for sample in X}) == 1)
    return None if deepest == 0 or is_table else X


def _length(sample: Any) -> int:
    """Length of an array or a list; a sparse one has a shape only."""
    return sample.shape[0] if hasattr(sample, "shape") else len(sample)


def _column_of(X: Any) -> Any:
    """Give X's only column, as scikit-learn's ColumnTransformer hands over a column of arrays, else None."""
    columns = getattr(X, "columns", None)
    if columns is not None:
        return X[columns[0]] if len(columns) == 1 else None
    if isinstance(X, np.ndarray):
        is_column = X.dtype == object and (X.ndim == 1 or X.shape[1:] == (1,))
        return X.reshape(-1) if is_column else None
    return X if hasattr(X, "to_list") else None


def _count_axes(item: Any, most: int = 8) -> int:
    """Count the axes of an array or a nested list, looking at first entries only, and no deeper than `most`."""
    is_array_of_arrays = isinstance(item, np.ndarray) and item.dtype.kind == "O" and item.ndim == 1
    if isinstance(item, (list, tuple)) or is_array_of_arrays:
        return 1 + (_count_axes(item[0], most - 1) if len(item) and most else 0)
    return len(getattr(item, "shape", ()))
