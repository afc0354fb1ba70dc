"""Which terms get an id, and what an id stands for."""

from collections import Counter
from collections.abc import Iterable
from numbers import Integral
from typing import Any

import numpy as np

from skattn._network.checks import damaged
from skattn._wording import shortened


def learn_vocabulary(texts: Iterable[list[str]], min_df: int | float, max_features: int | None) -> dict[str, int]:
    """Choose terms by the texts that they stand in, as scikit-learn's `CountVectorizer` does, without its matrix.

    Parameters
    ----------
    texts : iterable of lists of str
        The tokens of each text.
    min_df : int or float
        Texts that a term must stand in; a float is their share, in [0, 1].
    max_features : int or None
        How many terms are kept, those that occur most often; of equally frequent ones the first in the alphabet.

    Returns
    -------
    vocabulary : dict of str to int
        Ids from 1 on, the terms being in alphabetical order; 0 is left to what is unknown.

    Raises
    ------
    ValueError
        If there is no text, no token, or no term that stands in enough texts.
    """
    n_texts, occurrences, texts_with = 0, Counter[str](), Counter[str]()
    for tokens in texts:
        n_texts += 1
        occurrences.update(tokens)
        texts_with.update(set(tokens))
    # Sorted first: the order in which sets give their terms differs from process to process.
    terms = sorted(_frequent(texts_with, min_df, n_texts))
    if max_features is not None:
        terms = sorted(sorted(terms, key=lambda term: -occurrences[term])[:max_features])
    return _numbered(terms)


def _frequent(texts_with: Counter[str], min_df: int | float, n_texts: int) -> list[str]:
    """Terms that stand in enough texts, one at least."""
    if n_texts == 0:
        raise ValueError("X holds no text, and a vocabulary needs at least one; pass a list of strings.")
    if not texts_with:
        raise ValueError(
            f"Empty vocabulary: no token was found in {n_texts} text(s); look whether they are empty, or try another "
            'token_pattern, or analyzer="char".'
        )
    least = min_df if isinstance(min_df, Integral) else min_df * n_texts
    terms = [term for term, count in texts_with.items() if count >= least]
    if not terms:
        most = max(texts_with.values())
        raise ValueError(
            f"Empty vocabulary: min_df={min_df} asks for terms that stand in at least {least:g} of {n_texts} text(s), "
            f"and the most common stands in {most}; lower min_df, to {most} or less, or pass more texts."
        )
    return terms


def _numbered(terms: list[str]) -> dict[str, int]:
    """Ids of terms in their order."""
    return {term: number for number, term in enumerate(terms, start=1)}


def read_vocabulary(value: Any) -> dict[str, int]:
    """Give a vocabulary that came out of a file, numbered as `learn_vocabulary` does it: networks look ids up.

    Parameters
    ----------
    value : object

    Returns
    -------
    vocabulary : dict of str to int

    Raises
    ------
    ValueError
        If it is anything else.
    """
    is_dict = isinstance(value, dict) and len(value) > 0 and all(isinstance(term, str) for term in value)
    if not is_dict or list(value.items()) != list(_numbered(sorted(value)).items()):
        raise damaged("vocabulary_", value, "terms in alphabetical order, numbered from 1 on")
    return _numbered(list(value))


def read_ids(ids: Any, number: int, most: int) -> list[int]:
    """Give one sequence of ids as a list, all of them in a vocabulary.

    Parameters
    ----------
    ids : array-like of int, of shape (n_steps,)
    number : int
        Of the sequence, for errors.
    most : int
        Largest id.

    Returns
    -------
    ids : list of int

    Raises
    ------
    TypeError
        If it is no array of whole numbers with one axis.
    ValueError
        If an id is negative or too large.
    """
    array = np.asarray(ids)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise TypeError(
            f"Sample {number} is {shortened(ids, 60)}, and an array of whole numbers with one axis is wanted; pass a "
            "list of what transform gives, and a sequence alone as [ids]."
        )
    outside = np.flatnonzero((array < 0) | (array > most))
    if len(outside):
        raise ValueError(
            f"Sample {number} has the id {array[outside[0]]} at step {outside[0]}, and ids go from 0 to {most}; pass "
            "ids that were made with this vocabulary."
        )
    return array.tolist()
