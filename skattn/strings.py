"""Read strings out of any column or collection, and refuse what is none, with its place."""

from collections.abc import Iterable, Iterator, Mapping, Set
from numbers import Real
from typing import Any, NoReturn

import numpy as np
from scipy.sparse import issparse

from skattn._containers import columns_of, entries_of
from skattn._wording import shortened


def read_strings(X: Any) -> Iterator[str]:
    """Give one string after another.

    Parameters
    ----------
    X : iterable of str
        A list, a column of NumPy, pandas, polars or Arrow, a frame or an array of one column, or an iterator.

    Yields
    ------
    text : str

    Raises
    ------
    ValueError
        If X is one string alone or has several columns, or an entry is missing: None, NaN or NA.
    TypeError
        If X has no strings in an order, or an entry is no string.
    """
    for number, entry in enumerate(_entries(X)):
        if not isinstance(entry, str):
            _refuse_entry(entry, number)
        yield entry


def read_tokens(tokens: Any, number: int) -> list[str]:
    """Give what an analyzer of the user's made of a text as a list of strings.

    Parameters
    ----------
    tokens : iterable of str
    number : int
        Of the text, for errors.

    Returns
    -------
    tokens : list of str

    Raises
    ------
    TypeError
        If they are no strings in an order.
    """
    # A string would be taken for its characters, and a set has another order in every process.
    if isinstance(tokens, str | Set) or not isinstance(tokens, Iterable):
        raise TypeError(
            f"analyzer gave {shortened(tokens, 60)}, of type {type(tokens).__name__}, for sample {number} of X, and "
            "tokens in their order are wanted; let it give a list of strings."
        )
    tokens = list(tokens)
    for token in tokens:
        if not isinstance(token, str):
            raise TypeError(
                f"analyzer gave the token {shortened(token, 60)}, of type {type(token).__name__}, for sample {number} "
                "of X, and strings are wanted; let it give str(token)."
            )
    return tokens


def _entries(X: Any) -> Iterable[Any]:
    """What is in X, whatever column or collection it is, not yet looked at."""
    if isinstance(X, str | bytes):
        raise ValueError("Iterable over raw text documents expected, string object received. Pass a list, such as [X].")
    is_lazy = hasattr(X, "collect") and hasattr(X, "lazy")
    columns = None if is_lazy else _columns(X)
    if columns is not None and len(columns) != 1:
        raise ValueError(f"X has {len(columns)} columns, and one of texts is wanted; pass that one, such as X['text'].")
    if columns is not None:
        return entries_of(columns[0])
    # Going through these would give keys, names of columns, or texts in an order that nobody chose.
    has_no_order = isinstance(X, Mapping | Set) or issparse(X) or is_lazy or hasattr(X, "columns")
    if has_no_order or not isinstance(X, Iterable) or getattr(X, "shape", None) == ():
        raise TypeError(
            f"X is {shortened(X, 60)}, of type {type(X).__name__}, and an iterable of strings is wanted; pass a list "
            "of texts, or a column of them."
        )
    return X


def _columns(X: Any) -> list[Any] | None:
    """The columns of a frame or an array of two axes, X alone where it is a column, and None for all else."""
    return list(X.T) if isinstance(X, np.ndarray) and X.ndim == 2 else columns_of(X)


def _refuse_entry(entry: Any, number: int) -> NoReturn:
    """Raise the error for what is no string, with a way to make one of it."""
    what = f"Sample {number} of X is {shortened(entry, 60)}, of type {type(entry).__name__}, and a string is wanted"
    is_nan = isinstance(entry, Real) and entry != entry
    if entry is None or is_nan or type(entry).__name__ in ("NAType", "NaTType"):
        raise ValueError(f"{what}; drop the sample, or fill it with the empty string.")
    if isinstance(entry, bytes):
        raise TypeError(f"{what}; decode it, for example text.decode('utf-8').")
    if isinstance(entry, list | tuple | np.ndarray):
        raise TypeError(f"{what}; of tokens make a text, ' '.join(tokens), and take analyzer=str.split.")
    raise TypeError(f"{what}; make it one, for example str(value).")
