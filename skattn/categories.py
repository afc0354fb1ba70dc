"""Features that are categories: which they are, and the codes that they hold."""

import warnings
from collections.abc import Iterable
from numbers import Integral
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

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


def warn_of_unknown(data: Any, known: Iterable[NDArray[Any]]) -> None:
    """Warn where a fit that goes on meets categories most of which are none that the first one met.

    Parameters
    ----------
    data : Sequences
        With its `roles`.
    known : iterable of ndarray
        The codes of each category that the network has vectors for.
    """
    for column, found, codes in zip(data.roles.categorical, learn_codes(data), known, strict=True):
        n_unknown = int((~np.isin(found, codes)).sum())
        if 2 * n_unknown > len(found):
            warnings.warn(
                f"Feature {column} of X has {len(found)} categories, of which the first fit has met "
                f"{len(found) - n_unknown}: the others count as unknown, all alike, and have no vectors of their own. "
                "Begin with samples that hold all of them.",
                UserWarning,
                stacklevel=4,
            )
