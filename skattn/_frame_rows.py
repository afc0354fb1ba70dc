"""Find the rows of each sequence in a long data frame, and refuse frames in which they cannot be told."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn._frame_columns import Numbers, alike, entries_at, is_missing, kind_of, ticks_of
from skattn._frame_roles import Roles, refuse_missing
from skattn._wording import shortened


@dataclass(frozen=True, eq=False)
class Grouping:
    """Rows of each sequence: its number for each row, its first row, and all rows in order, None if they are."""

    codes: NDArray[np.int64]
    firsts: NDArray[np.int64]
    rows: NDArray[np.int64] | None
    index: Any
    id: list[Any]

    @property
    def ends(self) -> NDArray[np.int64]:
        """Where each sequence ends among the sorted rows."""
        return np.cumsum(np.bincount(self.codes, minlength=len(self.firsts)))

    def word(self, number: int) -> str:
        """Name a sequence by its id."""
        return shortened(f"{', '.join(map(str, self.id))} = {self.index[number]}", 120)


def group_rows(table: Any, roles: Roles) -> Grouping:
    """Find the rows of each sequence, in the order that its steps have.

    Raises
    ------
    ValueError
        If an order is missing, is of no kind that says what comes first, or occurs twice within an id.
    """
    codes, firsts = alike(table, roles.id)
    entries = [entries_at(table.get_column(name), firsts) for name in roles.id]
    several = len(entries) > 1
    index = list(zip(*(part.tolist() for part in entries), strict=True)) if several else entries[0]
    if roles.order is None:
        rows = None if (np.diff(codes) >= 0).all() else _stable_order(codes, len(firsts))
        return Grouping(codes, firsts, rows, index, roles.id)
    refuse_missing(table, roles.order, "order")
    keys = _order_keys(table.get_column(roles.order))
    grouping = Grouping(codes, firsts, _sorted_rows(codes, keys, len(firsts)), index, roles.id)
    _refuse_repeated(grouping, keys, roles.order)
    return grouping


def _order_keys(series: Any) -> NDArray[Any]:
    """Give numbers or times to sort by."""
    if kind_of(series) in ("Datetime", "Date", "Duration"):
        return ticks_of(series)
    if not series.dtype.is_numeric():
        raise ValueError(
            f"Column {series.name!r} is the order and of type {series.dtype}; steps are sorted by numbers or dates. "
            "Convert it to one of these first, or sort the frame yourself and leave order out."
        )
    keys = series.to_numpy()
    return np.asarray(keys if keys.dtype.kind in "fiu" else keys.astype(np.float64))


def _sorted_rows(codes: NDArray[np.int64], keys: NDArray[Any], n_ids: int) -> NDArray[np.int64] | None:
    """Rows by id and then by key; None where they stand so already."""
    is_next = np.diff(codes) > 0
    if (is_next | ((np.diff(codes) == 0) & (keys[1:] >= keys[:-1]))).all():
        return None
    by_key = np.argsort(keys, kind="stable")
    return by_key[_stable_order(codes[by_key], n_ids)]


def _stable_order(codes: NDArray[np.int64], n_ids: int) -> NDArray[np.int64]:
    # Whole numbers of 16 bits NumPy sorts digit by digit, several times as fast.
    return np.argsort(codes.astype(np.uint16 if n_ids <= 1 << 16 else np.int64), kind="stable")


def _refuse_repeated(grouping: Grouping, keys: NDArray[Any], order: Any) -> None:
    rows = slice(None) if grouping.rows is None else grouping.rows
    codes, keys = grouping.codes[rows], keys[rows]
    repeated = np.flatnonzero((codes[1:] == codes[:-1]) & (keys[1:] == keys[:-1]))
    if len(repeated):
        first = repeated[0]
        raise ValueError(
            f"{len(repeated)} rows repeat the order of another of their sequence: {grouping.word(int(codes[first]))} "
            f"has {order} = {keys[first]} twice. Drop or average them, or leave order out if the rows are in order."
        )


def refuse_changing(grouping: Grouping, name: Any, numbers: Numbers) -> None:
    """Refuse a static column that is not constant within each id."""
    values = numbers.values
    before = values[grouping.firsts][grouping.codes]
    wrong = np.flatnonzero((values != before) & ~(np.isnan(values) & np.isnan(before)))
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(
            f"Column {name!r} is static, and changes within {grouping.word(int(grouping.codes[row]))} (row {row}); "
            "name it in values if it does change, or mend it."
        )


def labels_of(table: Any, grouping: Grouping, target: Any) -> NDArray[Any]:
    """Give the one label of each sequence; rows without one are passed over.

    Raises
    ------
    ValueError
        If a sequence has none, or several that differ.
    """
    given = np.flatnonzero(~is_missing(table.get_column(target)))
    first = np.full(len(grouping.firsts), -1)
    # What is written last stays, which is the first row of each.
    first[grouping.codes[given][::-1]] = given[::-1]
    without = np.flatnonzero(first < 0)
    if len(without):
        words = "; ".join(grouping.word(int(number)) for number in without[:3])
        raise ValueError(
            f"{len(without)} of {len(first)} ids without label: {words}{'; ...' if len(without) > 3 else ''}. Column "
            f"{target!r} has no value there; fill it in, or drop their rows."
        )
    codes = alike(table, [target])[0]
    wrong = given[codes[given] != codes[first[grouping.codes[given]]]]
    if len(wrong):
        number = int(grouping.codes[wrong[0]])
        both = entries_at(table.get_column(target), np.array([first[number], wrong[0]]))
        raise ValueError(
            f"Column {target!r} is the target, and has both {both[0]} and {both[1]} within {grouping.word(number)}; a "
            "sequence has one label. Cut it where the label changes, or keep one of them."
        )
    return entries_at(table.get_column(target), first)
