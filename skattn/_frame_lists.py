"""Make a long frame of one that holds a sequence a row: lists in its cells become rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn._frame_columns import is_missing, kind_of, narwhals
from skattn._samples import count_axes


def lengthen(table: Any) -> Any:
    """Give a row a step where cells hold lists, all else repeated; a frame without lists as it is.

    Parameters
    ----------
    table : narwhals.DataFrame

    Returns
    -------
    table : narwhals.DataFrame

    Raises
    ------
    ValueError
        If lists of a row are not equally long, are empty or missing, or hold lists themselves.
    """
    nw = narwhals()
    fixed = [name for name in table.columns if kind_of(table.get_column(name)) == "Array"]
    if fixed:
        table = table.with_columns(*(nw.col(name).cast(nw.List(table.get_column(name).dtype.inner)) for name in fixed))
    lists = [name for name in table.columns if _holds_lists(table.get_column(name))]
    if not lists:
        return table
    lengths = _shared_lengths(table, lists)
    native = table.to_native()
    if table.implementation.is_pandas_like():
        native = native.explode(lists, ignore_index=True)
        native[lists] = native[lists].infer_objects()
        longer = nw.from_native(native)
    elif table.implementation.is_pyarrow():
        longer = nw.from_native(_lengthen_arrow(native, lists, lengths))
    else:
        longer = table.explode(*lists)
    deep = [name for name in lists if _holds_lists(longer.get_column(name))]
    if deep:
        raise ValueError(
            f"Column {deep[0]!r} holds lists of lists; a cell holds one feature of a sequence, a number a step. Give "
            "each feature a column, or pass the column alone as X, which takes (n_steps, n_features) cells."
        )
    return longer


def _holds_lists(series: Any) -> bool:
    """Whether cells are lists, judged by the first that is not missing where the type does not tell."""
    if kind_of(series) in ("List", "Array"):
        return True
    if kind_of(series) not in ("Object", "Unknown"):
        return False
    values = series.to_numpy()
    there = np.flatnonzero(~is_missing(series)) if values.dtype.kind == "O" else np.empty(0, int)
    return len(there) > 0 and count_axes(values[there[0]]) > 0


def _shared_lengths(table: Any, lists: list[str]) -> NDArray[np.int64]:
    """Lengths of the lists of each row."""
    shared = _lengths(table.get_column(lists[0]))
    for name in lists:
        lengths = _lengths(table.get_column(name))
        if not lengths.all():
            raise ValueError(
                f"Column {name!r} has no list, or an empty one, in row {np.argmin(lengths)}; a sequence has one step "
                "at least. Drop the row."
            )
        differs = np.flatnonzero(lengths != shared)
        if len(differs):
            row = differs[0]
            raise ValueError(
                f"Row {row} has lists of {shared[row]} entries in column {lists[0]!r} and {lengths[row]} in {name!r}; "
                "the features of a sequence are equally long. Cut them to one length."
            )
    return shared


def _lengths(series: Any) -> NDArray[np.int64]:
    """Lengths of the lists of a column, 0 where there is none."""
    if kind_of(series) == "List":
        return np.asarray(series.list.len().fill_null(0).to_numpy()).astype(np.int64)
    return np.array([len(cell) if count_axes(cell) else 0 for cell in series.to_list()], dtype=np.int64)


def _lengthen_arrow(native: Any, lists: list[str], lengths: NDArray[np.int64]) -> Any:
    """The same for Arrow tables, which cannot do it by themselves."""
    rows = np.repeat(np.arange(len(lengths)), lengths)
    columns = [
        native[name].combine_chunks().flatten() if name in lists else native[name].take(rows)
        for name in native.column_names
    ]
    return type(native).from_arrays(columns, names=native.column_names)
