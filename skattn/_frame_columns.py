"""Read the columns of a data frame of any library as numbers, and tell which of its rows are alike."""

from decimal import Decimal
from importlib import import_module
from numbers import Real
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skattn._dates import is_date, seconds_of, seconds_of_entries
from skattn._steps import Steps
from skattn._wording import shortened

_EXACT_IN_FLOAT32 = {"Int8", "Int16", "UInt8", "UInt16", "Float16", "Float32"}
"""Types of which float32 holds every value."""

_MOST_CODES = 1 << 24
"""Whole numbers up to this float32 holds all."""

TIMES = ("Datetime", "Date", "Duration")
"""Types of moments and durations."""


class Numbers(NamedTuple):
    """A column as numbers: NaN where missing, the precision they need, and the values behind codes or None."""

    values: NDArray[Any]
    dtype: type[np.floating[Any]]
    categories: NDArray[Any] | None = None


def library(name: str, purpose: str) -> ModuleType:
    """Import a library that is needed for one purpose only.

    Raises
    ------
    ImportError
        If it is not installed, with the command that installs it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        package = name.split(".")[0]
        raise ImportError(f"{purpose} needs {package}, which is not installed: pip install {package}.") from error


def narwhals() -> ModuleType:
    """Import what speaks to all libraries of data frames."""
    return library("narwhals.stable.v2", "Reading a data frame")


def kind_of(series: Any) -> str:
    """Name of the type of a column, as narwhals names it for all libraries."""
    return str(type(series.dtype).__name__)


def is_missing(series: Any) -> NDArray[np.bool_]:
    """Tell where a column has no value."""
    missing = series.is_null().to_numpy().astype(bool)
    return missing | series.is_nan().fill_null(False).to_numpy().astype(bool) if series.dtype.is_float() else missing


def alike(table: Any, names: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the rows by what they hold in some columns, and give the first row of each number.

    Parameters
    ----------
    table : narwhals.DataFrame
    names : list

    Returns
    -------
    codes : int64 array of shape (n_rows,)
        0, 1, ... in order of first appearance. What is missing counts as one more value.
    firsts : int64 array of shape (n_different,)
    """
    # Names of their own: those of a frame may be anything.
    keys = [f"key{i}" for i in range(len(names))]
    columns = (_joinable(table.get_column(name)).alias(key) for name, key in zip(names, keys, strict=True))
    table = table.select(*columns).with_row_index("row")
    first = table.select(narwhals().col("row").min().over(*keys))["row"].to_numpy().astype(np.int64)
    is_first = first == np.arange(len(first))
    return (np.cumsum(is_first) - 1)[first], np.flatnonzero(is_first)


def _joinable(series: Any) -> Any:
    """A column that all libraries can group by: Arrow's dictionaries lose what is missing."""
    if kind_of(series) != "Categorical" or not series.implementation.is_pyarrow():
        return series
    native = series.to_native()
    plain = native.cast(native.type.value_type)
    return narwhals().from_native(plain, series_only=True)


def entries_at(series: Any, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Give some entries of a column as an array of their own type: words as words, categories as their values."""
    series = series[rows]
    if series.dtype.is_numeric() or kind_of(series) in ("Date", "Duration"):
        return np.asarray(series.to_numpy())
    if kind_of(series) == "Datetime" and series.dtype.time_zone is None:
        return np.asarray(series.to_numpy())
    return array_of(series.to_list())


def array_of(values: list[Any]) -> NDArray[Any]:
    """Make an array of values of one type, and of objects where they are of several."""
    kinds = {type(value) for value in values}
    if len(kinds) == 1 and kinds <= {str, int, float, bool}:
        return np.array(values)
    return np.fromiter(values, dtype=object, count=len(values))


def numbers_of(table: Any, name: str) -> Numbers:
    """Read a column as numbers.

    Parameters
    ----------
    table : narwhals.DataFrame
    name : object

    Returns
    -------
    numbers : Numbers
        Codes of categories, in their order, of words, in that of the alphabet, and of truth values. Seconds since
        1970-01-01 UTC of dates, and seconds of durations, in float64.

    Raises
    ------
    ValueError
        If it holds something else.
    """
    series = table.get_column(name)
    kind = kind_of(series)
    if series.dtype.is_numeric():
        if kind in ("Decimal", "Int128", "UInt128"):
            series = series.cast(narwhals().Float64)
        return Numbers(series.to_numpy(), np.float32 if kind in _EXACT_IN_FLOAT32 else np.float64)
    if kind == "Boolean":
        codes = series.cast(narwhals().Float32).to_numpy()
        return Numbers(codes, np.float32, np.array([False, True]))
    if kind in ("Categorical", "Enum", "String"):
        return _codes_of(table, name)
    if kind in TIMES:
        return Numbers(seconds_of_series(series), np.float64)
    return _numbers_of_objects(series)


def joined(numbers: list[Numbers], names: list[Any], rows: NDArray[np.int64] | None = None) -> Steps:
    """Put columns side by side, in the precision that all of them need; some rows of them, if these are given."""
    block = np.empty((len(numbers[0].values if rows is None else rows), len(numbers)), _precision_of(numbers))
    for i, column in enumerate(numbers):
        block[:, i] = column.values if rows is None else column.values[rows]
    return Steps(block, map(str, names), (column.categories for column in numbers))


def _precision_of(numbers: list[Numbers]) -> np.dtype[Any]:
    return np.result_type(*(column.dtype for column in numbers))


def _codes_of(table: Any, name: str) -> Numbers:
    """Codes of a column of categories or words."""
    series = table.get_column(name)
    codes, firsts = alike(table, [name])
    missing = series[firsts].is_null().to_list()
    entries = [None if gone else entry for entry, gone in zip(series[firsts].to_list(), missing, strict=True)]
    try:
        known = None if kind_of(series) == "String" else series.cat.get_categories().to_list()
    except AttributeError:
        known = None  # pandas says nothing of the order of Arrow's dictionaries
    if known is None:
        known = sorted(entry for entry in entries if entry is not None)
    places: dict[Any, float] = {entry: place for place, entry in enumerate(known)}
    dtype = np.float32 if len(known) <= _MOST_CODES else np.float64
    return Numbers(np.array([places.get(entry, np.nan) for entry in entries], dtype)[codes], dtype, array_of(known))


def ticks_of(series: Any) -> NDArray[Any]:
    """Give a column of dates or durations as NumPy's, times of a zone as those of UTC."""
    nw = narwhals()
    if kind_of(series) == "Date":
        series = series.cast(nw.Datetime("us"))
    if kind_of(series) == "Datetime" and series.dtype.time_zone is not None:
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return np.asarray(series.to_numpy())


def seconds_of_series(series: Any) -> NDArray[np.float64]:
    """Give dates as seconds since 1970-01-01 UTC, and durations as seconds, NaN where missing."""
    return seconds_of(ticks_of(series))


def _numbers_of_objects(series: Any) -> Numbers:
    """Numbers of a column that only says that it holds objects."""
    values = np.asarray(series.to_numpy())
    if values.ndim != 1 or values.dtype.kind not in "Ofiub":
        raise ValueError(
            f"Column {series.name!r} is of type {series.dtype} (in NumPy {values.dtype}), which holds no real numbers; "
            "convert it to numbers, words or dates, or leave it out by values=[...]."
        )
    if values.dtype.kind == "O":
        missing = is_missing(series)
        entries = values[~missing].tolist()
        if any(map(is_date, entries)):
            where = f"in row {{}} of column {series.name!r}".format
            return Numbers(seconds_of_entries(values.tolist(), where), np.float64)
        for entry in entries:
            if not isinstance(entry, (Real, Decimal, np.bool_)):
                _refuse_entry(series.name, entry)
        numbers = np.full(len(values), np.nan)
        numbers[~missing] = np.array([float(entry) for entry in entries])
        is_truth = bool(entries) and all(isinstance(entry, (bool, np.bool_)) for entry in entries)
        return Numbers(numbers, np.float32, np.array([False, True])) if is_truth else Numbers(numbers, np.float64)
    return Numbers(values, np.float64)


def _refuse_entry(name: str, entry: Any) -> None:
    raise ValueError(
        f"Column {name!r} holds {shortened(repr(entry), 60)}, of type {type(entry).__name__}, which is no number, or "
        "not among words; convert the column to one type, or leave it out by values=[...]."
    )
