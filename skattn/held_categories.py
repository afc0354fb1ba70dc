"""What codes of categories stand for: in the sequences of fit, and in those that come later."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from skattn._containers import is_real
from skattn._frame_columns import array_of, joined, narwhals, numbers_of
from skattn._network.checks import damaged
from skattn._steps import Steps
from skattn._wording import shortened
from skattn.categories import MOST

Held = Sequence[NDArray[Any] | None]
"""For each of some features what its codes 0, 1, ... stand for; None for one whose numbers are no such codes."""


def with_codes(sample: Any) -> Any:
    """Give a data frame as `Steps`, where it has words, categories or truth values, and anything else as it is.

    Raises
    ------
    ValueError
        If a column holds something else, but numbers.
    """
    dtypes = getattr(sample, "dtypes", None) if hasattr(sample, "columns") else None
    if isinstance(sample, Steps) or dtypes is None or all(is_real(d) and getattr(d, "kind", "") != "b" for d in dtypes):
        return sample
    table = narwhals().from_native(sample, eager_only=True)
    return joined([numbers_of(table, name) for name in table.columns], table.columns)


def words_of(sample: Any) -> Held | None:
    """Give what the codes of a sequence stand for, None where it does not say."""
    return sample.categories if isinstance(sample, Steps) else None


def words_of_all(samples: Iterable[Any]) -> Held | None:
    """Give what codes stand for in sequences that may have come from several frames, of all of them together.

    Codes are those of the first that says; what only others have comes behind.
    """
    found: dict[int, dict[int, NDArray[Any]]] = {}
    n_features = None
    for sample in samples:
        held = words_of(sample)
        n_features = n_features if held is None else len(held)
        for column, words in enumerate(held or ()):
            if words is not None:
                found.setdefault(column, {})[id(words)] = words
    if n_features is None:
        return None
    return [_together(list(found[i].values())) if i in found else None for i in range(n_features)]


def _together(tables: list[NDArray[Any]]) -> NDArray[Any]:
    """All that several tables hold, each once."""
    known = dict.fromkeys(word for words in tables for word in words.tolist())
    return tables[0] if len(known) == len(tables[0]) else array_of(list(known))


def known_categories(held: Held | None, roles: Any) -> list[NDArray[Any] | None] | None:
    """Give what the codes of each category stand for, in the order of their columns; None where nobody says."""
    return None if held is None or not roles.categorical else [held[column] for column in roles.categorical]


def check_held(held: Any, n_columns: int) -> list[NDArray[Any] | None] | None:
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
        If it is not an array of values, or None, for each of these.
    """
    if held is None:
        return None
    if not isinstance(held, list) or len(held) != n_columns or not held:
        raise damaged("categories", held, f"a list of {n_columns} arrays")
    for known in held:
        if known is None:
            continue
        if not isinstance(known, np.ndarray) or known.ndim != 1:
            raise damaged("categories", known, "an array of one axis")
        try:
            set(known.tolist())
        except TypeError:
            raise damaged("categories", known.tolist(), "values that can be told apart") from None
    return held


def recoded(data: Any, samples: Any, known: Held | None) -> Any:
    """Give sequences with the codes of fit, where they say that theirs stand for something else.

    Parameters
    ----------
    data : Sequences
        With its `roles`.
    samples : sequence of array or None
        What they were read from: `Steps` say what their codes stand for.
    known : list of (ndarray or None), or None
        As `known_categories` gave it in fit.

    Returns
    -------
    data : Sequences
        A category that was not there in fit has a code that nobody knows. The same where all is as it was.

    Raises
    ------
    ValueError
        If a feature has words in one place and numbers in another.
    """
    if known is None or samples is None:
        return data
    values: NDArray[Any] | None = None
    for number, sample in enumerate(samples):
        held = words_of(sample)
        if held is None:
            continue
        rows = slice(data.starts[number], data.starts[number] + data.lengths[number])
        for column, wanted in zip(data.roles.categorical, known, strict=True):
            found = held[column]
            own = data.values[rows, column]
            translated = as_in_fit(own, found, wanted, f"sample {number}, feature {column}")
            if translated is not own:
                values = data.values.copy() if values is None else values
                values[rows, column] = translated
    return data if values is None else replace(data, values=values)


def _are_alike(found: NDArray[Any] | None, wanted: NDArray[Any] | None) -> bool:
    return found is not None and wanted is not None and np.array_equal(found, wanted)


def as_in_fit(codes: NDArray[Any], found: NDArray[Any] | None, wanted: NDArray[Any] | None, place: str) -> NDArray[Any]:
    """Turn codes of some categories into those of others; what is no code stays as it is.

    Parameters
    ----------
    codes : ndarray
    found, wanted : ndarray or None
        What they stand for, and what those of fit do; None for numbers.
    place : str
        What an error says of it.

    Raises
    ------
    ValueError
        If only one of both is None, and there are codes.
    """
    if found is wanted or _are_alike(found, wanted):
        return codes
    if found is None or wanted is None:
        if not np.isnan(codes).all():
            _refuse_other_kind(found, wanted, place)
        return codes
    places = {category: number for number, category in enumerate(wanted.tolist())}
    table = np.array([places.get(category, MOST - 1) for category in found.tolist()], np.float64)
    is_code = (codes >= 0) & (codes < len(table)) & (codes == np.rint(codes))
    return np.where(is_code, table[np.where(is_code, codes, 0).astype(np.int64)], codes)


def _refuse_other_kind(found: NDArray[Any] | None, wanted: NDArray[Any] | None, place: str) -> NoReturn:
    here, there = (
        "numbers" if words is None else f"words such as {shortened(words.tolist()[:1], 40)}"
        for words in (found, wanted)
    )
    raise ValueError(
        f"Input X has {here} at {place}, and fit, or another sequence of it, has {there} there: codes of both would be "
        "taken for each other. Give the column one type in all frames that sequences are cut from."
    )
