"""Turn data frames, and arrays of other layouts, into sequences, and sequences into data frames."""

from typing import Any

from skattn._array_layouts import sequences_from_array, sequences_from_padded
from skattn._frame_building import build_frame
from skattn._frame_columns import joined, numbers_of
from skattn._frame_lists import lengthen
from skattn._frame_roles import Roles, listed, open_frame, refuse_missing, resolve_roles
from skattn._frame_rows import Grouping, group_rows, labels_of, refuse_changing
from skattn._steps import Steps

__all__ = ["frame_from_sequences", "sequences_from_array", "sequences_from_frame", "sequences_from_padded"]


def sequences_from_frame(
    frame: Any,
    *,
    id: Any,  # noqa: A002
    order: Any = None,
    values: Any = None,
    static: Any = None,
    target: Any = None,
) -> tuple[Any, ...]:
    """Cut a long data frame, a row a step, into one sequence for each id.

    Parameters
    ----------
    frame : data frame of pandas or polars, or Arrow table
        Not altered. Named levels of a pandas index can be named below like columns. Where cells hold lists, a row is a
        sequence: they become steps, and what is no list is repeated on each. Needs narwhals.
    id : str or list of str
        Column or columns that say whose step a row is. The rows of an id need not stand together.
    order : str, optional
        Column of numbers or dates to sort the steps of each id by. Without it they stay in the order of the rows.
    values : str or list of str, optional
        Columns that are features. By default all that have no other role. The order column is a feature only if it
        is named here, as where steps are not evenly spaced in time.
    static : str or list of str, optional
        Columns that are constant within an id: features as well, after the values, repeated on each step.
    target : str, optional
        Column of labels, one an id. Rows without one are passed over where another row of the id has it.

    Returns
    -------
    sequences : list of Steps of shape (n_steps_i, n_features)
        In order of first appearance of the ids. Arrays with the names of their features (``.columns``) and the values
        that codes stand for (``.categories``), which estimators keep as ``feature_names_in_``. float32 where that
        holds every value of the columns' types, and float64 otherwise. All share one block of memory.
    index : ndarray of shape (n_samples,), or list of tuples
        The id of each sequence; tuples if `id` is several columns.
    y : ndarray of shape (n_samples,)
        Only with `target`.

    Raises
    ------
    ImportError
        If narwhals is not installed.
    TypeError
        If `frame` is no data frame, or is not computed yet.
    ValueError
        If a column is not there, has two roles, or holds neither numbers, words, truth values, dates nor durations; if
        an id or an order is missing; if an order occurs twice within an id; if an id has no label or several, or
        `static` changes within it; if there are no rows or no features.

    Notes
    -----
    What is missing becomes NaN. Categories become codes 0, 1, ... in their order, words in that of the alphabet, and
    truth values 0 and 1. The codes of words depend on which words the frame has: read all data at once, or make words
    categories of a fixed order before it is split. Dates become seconds since 1970-01-01 UTC, and durations seconds.

    Examples
    --------
    >>> import pandas as pd
    >>> from skattn import sequences_from_frame
    >>> visits = pd.DataFrame({"patient": ["b", "a", "b"], "day": [2, 1, 1], "pulse": [70.0, 80.0, 90.0]})
    >>> sequences, index = sequences_from_frame(visits, id="patient", order="day")
    >>> index.tolist(), [steps.tolist() for steps in sequences]
    (['b', 'a'], [[[90.0], [70.0]], [[80.0]]])
    >>> sequences[0].columns
    ('pulse',)
    """
    table = open_frame(frame, [name for part in (id, order, values, static, target) for name in listed(part)])
    roles = resolve_roles(list(table.columns), id, order, values, static, target)
    table = table.select(*(table.get_column(name) for name in roles.columns))
    for name in roles.id:
        refuse_missing(table, name, "id")
    table = lengthen(table)
    grouping = group_rows(table, roles)
    labels = () if target is None else (labels_of(table, grouping, target),)
    return (_cut(_read_features(table, roles, grouping), grouping), grouping.index, *labels)


def _read_features(table: Any, roles: Roles, grouping: Grouping) -> Steps:
    """Steps of all sequences, one after another."""
    numbers = [numbers_of(table, name) for name in roles.features]
    for name, column in zip(roles.features, numbers, strict=True):
        if name in roles.static:
            refuse_changing(grouping, name, column)
    return joined(numbers, roles.features, grouping.rows)


def _cut(block: Steps, grouping: Grouping) -> list[Steps]:
    ends = grouping.ends.tolist()
    return [block[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def frame_from_sequences(
    sequences: Any,
    *,
    index: Any = None,
    columns: Any = None,
    id: Any = "id",  # noqa: A002
    order: str | None = "step",
    kind: str = "pandas",
) -> Any:
    """Put sequences into one long data frame, a row a step.

    Parameters
    ----------
    sequences : list of arrays or data frames of shape (n_steps_i, n_features), or 3-D array
        Where they are `Steps` with categories, codes become these again.
    index : array-like or list of tuples of length n_samples, optional
        The id of each sequence; 0, 1, ... by default.
    columns : list of str, optional
        Names of the features; by default those that the sequences have, and else "x0", "x1", ...
    id : str or list of str, default="id"
        Name of the column of ids; a list where `index` holds tuples.
    order : str or None, default="step"
        Name of a column that counts the steps of each sequence from 0. None, or the name of a feature, adds none.
    kind : {"pandas", "polars", "pyarrow"}, default="pandas"
        Library of the frame, which must be installed.

    Returns
    -------
    frame : data frame or Arrow table
        Of the ids, the order, and the features. Categories are pandas' Categorical, polars' Enum or Arrow's dictionary
        where they are words, and plain values otherwise. Dates stay the seconds that `sequences_from_frame` made.

    Raises
    ------
    ImportError
        If the library is not installed.
    ValueError
        If `kind` is another; names or ids are too few, too many or twice there; sequences differ in width, names or
        categories; or a number is no code of the categories.

    Examples
    --------
    >>> import numpy as np
    >>> from skattn import frame_from_sequences
    >>> frame_from_sequences([np.array([[1.5], [2.5]]), np.array([[3.5]])], columns=["pulse"])
       id  step  pulse
    0   0     0    1.5
    1   0     1    2.5
    2   1     0    3.5
    """
    return build_frame(sequences, index, columns, listed(id), order, kind)
