"""Say what each column of a data frame is for, and refuse frames and names that cannot be used."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NoReturn

import numpy as np

from skattn._frame_columns import is_missing, narwhals
from skattn._wording import shortened


@dataclass(frozen=True)
class Roles:
    """What each column of a frame is for; `features` begin with the values and end with `static` ones."""

    id: list[Any]
    order: Any
    features: list[Any]
    static: list[Any]
    target: Any

    @property
    def columns(self) -> list[Any]:
        """All columns that are read, each once."""
        others = [name for name in (self.order, self.target) if name is not None]
        return list(dict.fromkeys([*self.id, *others, *self.features]))


def open_frame(frame: Any, wanted: Iterable[Any]) -> Any:
    """Give any library's frame in narwhals' clothes, levels of its index that are wanted among its columns.

    Raises
    ------
    TypeError
        If it is no data frame, or is not computed yet.
    ValueError
        If two columns have one name, or there are no rows.
    """
    nw = narwhals()
    if hasattr(frame, "collect") and hasattr(frame, "lazy"):
        raise TypeError(f"frame is a {type(frame).__name__}, which is not computed yet; pass frame.collect().")
    names = list(getattr(frame, "column_names", getattr(frame, "columns", ())))
    repeated = [str(name) for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(
            f"The frame has several columns of the name {shortened(', '.join(repeated))}; give each a name of its own."
        )
    try:
        table = nw.from_native(frame, eager_only=True)
    except TypeError as error:
        raise TypeError(
            f"frame is {shortened(frame, 60)}, of type {type(frame).__name__}, and no data frame; pass one of pandas, "
            "polars or pyarrow."
        ) from error
    levels = [name for name in getattr(getattr(frame, "index", None), "names", ()) if name in set(wanted) - set(names)]
    if levels:
        table = nw.from_native(frame.reset_index(level=levels))
    if not len(table):
        raise ValueError(f"The frame has no rows (shape {table.shape}), so no sequences; check how it was cut.")
    return table


def listed(given: Any) -> list[Any]:
    """Give names as a list, whether one or several were given."""
    if given is None:
        return []
    return list(given) if isinstance(given, (list, tuple, set)) or hasattr(given, "tolist") else [given]


def resolve_roles(columns: list[Any], id: Any, order: Any, values: Any, static: Any, target: Any) -> Roles:
    """Say what each column is for, and refuse names that are not there or have two roles.

    Raises
    ------
    ValueError
        With the nearest names, the role that a column has already, or that there are no features.
    """
    for word, name in (("order", order), ("target", target)):
        if isinstance(name, (list, tuple, set)):
            raise ValueError(f"{word}={shortened(name, 60)}, and one column is wanted there; give its name alone.")
    given = {"id": listed(id), "static": listed(static), "target": [] if target is None else [target]}
    taken = {name for names in given.values() for name in names}
    given["values"] = (
        [name for name in columns if name not in taken and name != order] if values is None else listed(values)
    )
    for name in [*(name for names in given.values() for name in names), *([] if order is None else [order])]:
        if name not in columns:
            _refuse_unknown(name, columns)
    if not given["id"]:
        raise ValueError("id names no column, so rows cannot be told apart; give the column that says whose they are.")
    _refuse_two_roles(given, order)
    features = given["values"] + given["static"]
    if not features:
        raise ValueError(
            f"No column is left for features: the frame has {shortened(', '.join(map(str, columns)))}. Name the order "
            "column in values if times are what there is."
        )
    return Roles(given["id"], order, features, given["static"], target)


def _refuse_unknown(name: Any, columns: list[Any]) -> NoReturn:
    near = get_close_matches(str(name), list(map(str, columns)), n=3)
    words = f"the nearest are {', '.join(near)}" if near else f"it has {shortened(', '.join(map(str, columns)))}"
    raise ValueError(f"The frame has no column {name!r}; {words}.")


def _refuse_two_roles(given: dict[str, list[Any]], order: Any) -> None:
    roles = [(name, role) for role, names in given.items() for name in names]
    if order is not None and order not in given["values"]:
        roles.append((order, "order"))
    seen: dict[Any, str] = {}
    for name, role in roles:
        if name in seen:
            raise ValueError(
                f"Column {name!r} is named for {seen[name]} and for {role}; a column has one role, and only that of "
                "order may be among the values too. Copy the column under another name if it is to have two."
            )
        seen[name] = role


def refuse_missing(table: Any, name: Any, role: str) -> None:
    """Refuse a column in which an entry is missing, where each row must have one."""
    missing = np.flatnonzero(is_missing(table.get_column(name)))
    if len(missing):
        raise ValueError(
            f"Column {name!r} is the {role} and has no value in {len(missing)} of {len(table)} rows, the first of them "
            f"row {missing[0]}; fill these in, or drop the rows."
        )
