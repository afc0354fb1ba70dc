"""Tell a collection of sequences from one array."""

from collections.abc import Iterator, Sequence
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn._containers import as_array, columns_of, entries_of
from skattn._dates import is_date


def samples_of(X: Any, *, lists_are_rows: bool) -> Sequence[Any] | None:
    """Give the samples of ragged X, and None for what is to be read as one array.

    Parameters
    ----------
    X : object
        What `plain_container` gives.
    lists_are_rows : bool
        Whether equally long plain lists of numbers are the rows of a table. At fit they are, for a table
        tells its number of columns. Afterwards a list is a sequence of its own length, so that what it is
        does not depend on those beside it.

    Returns
    -------
    samples : list, tuple or None
        The entries of a list, tuple, 1-D object array, or column of sequences, and the rows of several
        columns of 1-D sequences, side by side as the features of a step. None where the entries are no
        sequences.
    """
    if isinstance(X, (list, tuple)):
        return _samples_of_list(X, lists_are_rows)
    columns = columns_of(X)
    if not columns:
        return None
    if len(columns) == 1:
        column = columns[0]
        return entries_of(column) if not len(column) or _holds_sequences(column) else None
    if not len(columns[0]) or not _holds_sequences(columns[0]):
        return None
    held = [entries_of(column) for column in columns]
    # A column of (n_steps, n_features) arrays says by itself what the features are; two of them would not.
    return list(_side_by_side(held)) if all(count_axes(entries[0]) == 1 for entries in held) else None


def _samples_of_list(X: list[Any] | tuple[Any, ...], lists_are_rows: bool) -> Sequence[Any] | None:
    n_axes = [count_axes(sample) for sample in X]
    deepest = max(n_axes, default=2)
    if deepest == 0 or (deepest == 1 and min(n_axes) == 0):
        return None
    are_rows = lists_are_rows and deepest == 1 and all(isinstance(sample, (list, tuple)) for sample in X)
    return None if are_rows and len({len(sample) for sample in X}) == 1 else X


def _holds_sequences(column: Any) -> bool:
    """Whether the entries of a column are sequences, judged by the first that is not missing."""
    for entry in entries_of(column[:1]):
        if count_axes(entry) or isinstance(entry, (str, bytes)) or (isinstance(entry, Number) and entry == entry):
            return count_axes(entry) > 0
    return any(count_axes(entry) for entry in entries_of(column))


def _side_by_side(held: list[list[Any]]) -> Iterator[NDArray[Any]]:
    """Give the cells of each row as the columns of one sequence."""
    for i, cells in enumerate(zip(*held, strict=True)):
        arrays = [_array_of_cell(cell) for cell in cells]
        shapes = sorted({array.shape for array in arrays})
        if len(shapes) > 1 or len(shapes[0]) != 1:
            raise ValueError(
                f"Sample {i} of X has cells of the shapes {', '.join(map(str, shapes[:5]))}; where each column holds "
                "a feature, the cells of a row are 1-D and equally long. Cut them to one length, or put (n_steps, "
                "n_features) arrays into one column."
            )
        yield np.column_stack(arrays)


def _array_of_cell(cell: Any) -> NDArray[Any]:
    """A cell as an array of numbers, or of objects where it holds dates, which those beside it are not."""
    array = np.asarray(cell)
    if array.dtype.kind not in "mMO" or not any(map(is_date, array.ravel())):
        return as_array(cell)
    return np.fromiter(array.ravel(), dtype=object, count=array.size).reshape(array.shape)


def count_axes(item: Any, most: int = 8) -> int:
    """Count the axes of an array or a nested list, looking at first entries only, and no deeper than `most`."""
    is_array_of_arrays = isinstance(item, np.ndarray) and item.dtype.kind == "O" and item.ndim == 1
    if isinstance(item, (list, tuple)) or is_array_of_arrays:
        return 1 + (count_axes(item[0], most - 1) if len(item) and most else 0)
    shape = getattr(item, "shape", ())
    return len(shape) if isinstance(shape, tuple) else 0
