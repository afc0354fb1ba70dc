"""Features that are categories: which they are, and the codes that they hold."""

from collections.abc import Iterable
from dataclasses import replace
from numbers import Integral
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from skattn._network.checks import damaged
from skattn._wording import shortened

MOST = 1 << 24
"""Codes are below this: float32 holds them all."""


def resolve_categorical(
    wanted: Any, n_features: int, names: Any = None, *, parameter: str = "categorical_features"
) -> tuple[int, ...]:
    """Tell which features of a step are categories, or what else a parameter says.

    Parameters
    ----------
    wanted : None, "all", or array-like of bool, int or str
        The parameter `categorical_features`.
    n_features : int
        Features of a step.
    names : array-like of str, optional
        Their names, where they have some.
    parameter : str, default="categorical_features"
        What errors call it.

    Returns
    -------
    columns : tuple of int
        In rising order, each once.

    Raises
    ------
    ValueError
        If a feature is none of those that there are, or is named and they have no names.
    """
    if wanted is None:
        return ()
    if isinstance(wanted, str) and wanted == "all":
        return tuple(range(n_features))
    entries = np.atleast_1d(np.asarray(wanted, dtype=object)).tolist()
    if all(isinstance(entry, (bool, np.bool_)) for entry in entries) and entries:
        if len(entries) != n_features:
            raise ValueError(
                f"{parameter} is a mask of {len(entries)} entries, and a step has {n_features} features; give "
                "one for each."
            )
        return tuple(np.flatnonzero(entries).tolist())
    return tuple(sorted({_column_of(entry, n_features, names, parameter) for entry in entries}))


def _column_of(entry: Any, n_features: int, names: Any, parameter: str) -> int:
    """The column of one feature, by its number or its name."""
    if isinstance(entry, Integral) and not isinstance(entry, (bool, np.bool_)):
        if not 0 <= entry < n_features:
            raise ValueError(
                f"{parameter} has {entry}, and a step has the features 0 to {n_features - 1}; give numbers of these."
            )
        return int(entry)
    if not isinstance(entry, str):
        raise ValueError(
            f"{parameter} has {shortened(entry, 60)}; give numbers or names of features, a mask, or 'all'."
        )
    if names is None:
        raise ValueError(
            f"{parameter} has the name {entry!r}, and the features of X have no names; pass sequences that "
            "are data frames, or give numbers of features."
        )
    known = [str(name) for name in names]
    if entry not in known:
        raise ValueError(
            f"{parameter} has {entry!r}, which is no feature of X: it has {shortened(', '.join(known), 200)}."
        )
    return known.index(entry)


def check_codes(data: Any, *, allows_missing: bool) -> None:
    """Refuse what names no category: a number that is negative, fractional or too large.

    Parameters
    ----------
    data : Sequences
        With its `roles`.
    allows_missing : bool
        Whether NaN is a category that nobody knows.

    Raises
    ------
    ValueError
        With its place.
    """
    for column in data.roles.categorical:
        codes = data.values[:, column]
        with np.errstate(invalid="ignore"):
            is_code = (codes >= 0) & (codes < MOST) & (codes == np.rint(codes))
        if allows_missing:
            is_code |= np.isnan(codes)
        if not is_code.all():
            _refuse_first(data, column, ~is_code)


def _refuse_first(data: Any, column: int, is_wrong: NDArray[np.bool_]) -> None:
    """Name the first wrong code of a sequence's own steps; between two there may be padding."""
    for sample, (start, length) in enumerate(zip(data.starts.tolist(), data.lengths.tolist(), strict=True)):
        wrong = np.flatnonzero(is_wrong[start : start + length])
        if len(wrong):
            _refuse_code(data.values[start + wrong[0], column], f"sample {sample}, step {wrong[0]}, feature {column}")


def _refuse_code(code: Any, place: str) -> NoReturn:
    kind = "negative" if code < 0 else f"{MOST} or more" if code >= MOST else "no whole number"
    raise ValueError(
        f"Input X contains {code:.10g} at {place}, which is {kind}, and categorical_features says that it names a "
        f"category. Codes are whole numbers from 0 to {MOST - 1}: encode it, for example with scikit-learn's "
        "OrdinalEncoder, or leave the feature out of categorical_features."
    )


def learn_codes(data: Any) -> list[NDArray[np.float64]]:
    """Give the codes that each category has in the valid steps of all samples, in rising order; 0 alone for none.

    Parameters
    ----------
    data : Sequences
        With its `roles`.
    """
    return [_different(data, column) for column in data.roles.categorical]


def _different(data: Any, column: int) -> NDArray[np.float64]:
    is_there = np.zeros(len(data.values) + 1, np.int64)
    np.add.at(is_there, data.starts, 1)
    np.add.at(is_there, data.starts + data.lengths, -1)
    codes = data.values[np.cumsum(is_there[:-1]) > 0, column]
    codes = np.unique(codes[~np.isnan(codes)]).astype(np.float64)
    return codes if len(codes) else np.zeros(1)


def pairs_of(columns: Iterable[int], codes: Iterable[NDArray[np.float64]]) -> tuple[tuple[int, int], ...]:
    """Columns and how many codes each has, as an `Architecture` holds them."""
    return tuple((int(column), len(known)) for column, known in zip(columns, codes, strict=True))


def known_categories(held: Any, roles: Any) -> list[NDArray[Any]] | None:
    """Give what the codes of each category stand for, in the order of their columns; None where nobody says."""
    if held is None or not roles.categorical or any(held[column] is None for column in roles.categorical):
        return None
    return [np.asarray(held[column]) for column in roles.categorical]


def check_held(held: Any, n_columns: int) -> list[NDArray[Any]] | None:
    """Give what a file says that codes stand for, as `known_categories` did in fit.

    Parameters
    ----------
    held : object
        None where it does not say.
    n_columns : int
        How many features are categories.

    Raises
    ------
    ValueError
        If it is not an array of values for each of these.
    """
    if held is None:
        return None
    if not isinstance(held, list) or len(held) != n_columns or not held:
        raise damaged("categories", held, f"a list of {n_columns} arrays")
    for known in held:
        if not isinstance(known, np.ndarray) or known.ndim != 1:
            raise damaged("categories", known, "an array of one axis")
        try:
            set(known.tolist())
        except TypeError:
            raise damaged("categories", known.tolist(), "values that can be told apart") from None
    return held


def recoded(data: Any, samples: Any, known: list[NDArray[Any]] | None) -> Any:
    """Give sequences with the codes of fit, where they say that theirs stand for something else.

    Parameters
    ----------
    data : Sequences
        With its `roles`.
    samples : sequence of array or None
        What they were read from: `Steps` say what their codes stand for.
    known : list of ndarray or None
        As `known_categories` gave it in fit.

    Returns
    -------
    data : Sequences
        A category that was not there in fit has a code that nobody knows. The same where all is as it was.
    """
    if known is None or samples is None:
        return data
    values: NDArray[Any] | None = None
    for number, sample in enumerate(samples):
        held = getattr(sample, "categories", None)
        for column, wanted in zip(data.roles.categorical, known, strict=True):
            found = None if held is None else held[column]
            if found is None or found is wanted or np.array_equal(found, wanted):
                continue
            values = data.values.copy() if values is None else values
            start = data.starts[number]
            own = values[start : start + data.lengths[number], column]
            own[...] = _translated(own, found, wanted)
    return data if values is None else replace(data, values=values)


def _translated(codes: NDArray[Any], found: NDArray[Any], wanted: NDArray[Any]) -> NDArray[Any]:
    """Turn codes of some categories into those of others; what is no code stays as it is."""
    places = {category: place for place, category in enumerate(wanted.tolist())}
    table = np.array([places.get(category, MOST - 1) for category in found.tolist()], np.float64)
    is_code = (codes >= 0) & (codes < len(table)) & (codes == np.rint(codes))
    return np.where(is_code, table[np.where(is_code, codes, 0).astype(np.int64)], codes)
