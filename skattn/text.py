"""Raw strings to ragged ids: a text becomes the sequence of its tokens, each told by its number."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils.validation import check_is_fitted

from skattn import __version__
from skattn._network.checks import damaged
from skattn._storage import refuse_newer
from skattn._wording import shortened
from skattn.parameters import AT_LEAST_1
from skattn.persistence import VERSION
from skattn.strings import read_strings, read_tokens
from skattn.vocabulary import learn_vocabulary, read_ids, read_vocabulary

UNKNOWN_TOKEN = "<unknown>"
"""What `inverse_transform` puts for the unknown id."""


# A frame made of a ragged list would be padded, or fail; see `set_output`.
@dataclass(kw_only=True, eq=False, repr=False)
class TokenSequencer(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Turn strings into sequences of ids, one for each token in the order of the text.

    Tokens are found by scikit-learn's own analyzers and counted as `CountVectorizer` counts them, but their order is
    kept, and no matrix of counts is made.

    Parameters
    ----------
    analyzer : {"word", "char", "char_wb"} or callable, default="word"
        What a token is. "word": what `token_pattern` finds. "char": a character. "char_wb": a character, each word
        having a space before and after. A callable takes a string and gives its tokens, strings, in their order;
        `lowercase` and `token_pattern` are then its own affair.
    lowercase : bool, default=True
        Whether capital letters are made small first.
    token_pattern : str, default=r"(?u)\\b\\w\\w+\\b"
        Regular expression of a word; where it has a group, the group is the token. The default is scikit-learn's,
        which leaves out punctuation and words of one character: r"\\w+|[^\\w\\s]" keeps both.
    min_df : int or float, default=1
        Texts that a term must stand in to be in the vocabulary; a float is their share, in [0, 1].
    max_features : int, default=None
        How many terms are kept, those that occur most often; of equally frequent ones the first in the alphabet.
        None: all.
    max_steps : int, default=None
        Only so many tokens of a text are read, from its beginning; later ones are not counted in `fit` either, for
        nothing could be learned of them. None: all.

    Attributes
    ----------
    vocabulary_ : dict of str to int
        Id of each term: from 1 on, in alphabetical order (by code point).
    unknown_id_ : int
        Id of any token that is not in the vocabulary: 0.

    See Also
    --------
    sklearn.feature_extraction.text.CountVectorizer : The same vocabulary, as columns of a sparse matrix of counts.

    Notes
    -----
    N-grams of several lengths have no order, so there is no `ngram_range`. For those of one length pass an analyzer,
    such as ``CountVectorizer(analyzer="char", ngram_range=(3, 3)).build_analyzer()``.

    With the defaults every token of `fit` is in the vocabulary, so that the unknown id is first met afterwards, and
    nothing was learned of it. ``min_df=2`` lets rare words stand for what is unknown.

    Examples
    --------
    >>> from skattn import TokenSequencer
    >>> sequencer = TokenSequencer()
    >>> ids = sequencer.fit_transform(["The cat sat.", "The cat saw the dog."])
    >>> [sequence.tolist() for sequence in ids]
    [[5, 1, 3], [5, 1, 4, 5, 2]]
    >>> sequencer.vocabulary_
    {'cat': 1, 'dog': 2, 'sat': 3, 'saw': 4, 'the': 5}
    >>> sequencer.inverse_transform(sequencer.transform(["the cow sat"]))
    [['the', '<unknown>', 'sat']]
    """

    analyzer: str | Callable[[str], Iterable[str]] = "word"
    lowercase: bool = True
    token_pattern: str = r"(?u)\b\w\w+\b"
    min_df: int | float = 1
    max_features: int | None = None
    max_steps: int | None = None

    unknown_id_: ClassVar[int] = 0
    vocabulary_: ClassVar[dict[str, int]]  # set by fit; no parameter

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "analyzer": [StrOptions({"word", "char", "char_wb"}), callable],
        "lowercase": ["boolean"],
        "token_pattern": [str],
        "min_df": [AT_LEAST_1, Interval(RealNotInt, 0, 1, closed="both")],
        "max_features": [AT_LEAST_1, None],
        "max_steps": [AT_LEAST_1, None],
    }

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the vocabulary.

        Parameters
        ----------
        X : iterable of str
            Texts. A list, a column of NumPy, pandas, polars or Arrow, a frame of one column, or an iterator.
        y : ignored

        Returns
        -------
        self : object
            After an error it is as it was.

        Raises
        ------
        ValueError
            If a parameter cannot be used, X is one string alone or has several columns, a text is missing, or no term
            is left.
        TypeError
            If X has no texts in an order, or holds something that is no string.
        """
        self._validate_params()
        self.vocabulary_ = learn_vocabulary(self._analyse(X), self.min_df, self.max_features)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> list[NDArray[Any]]:
        """Learn the vocabulary of texts, and turn them into ids.

        Parameters
        ----------
        X : iterable of str, as in `fit`
        y : ignored

        Returns
        -------
        ids : list of ndarray of shape (n_steps_i,), as `transform` gives it
        """
        self._validate_params()  # what is wrong with a parameter is told first, as in fit
        texts = list(read_strings(X))  # an iterator would be at its end after fit
        return self.fit(texts).transform(texts)

    def transform(self, X: Any) -> list[NDArray[Any]]:
        """Turn texts into ids.

        Parameters
        ----------
        X : iterable of str, as in `fit`

        Returns
        -------
        ids : list of ndarray of shape (n_steps_i,)
            A ragged list, as every estimator of this package takes it. A text without tokens is one unknown id, since
            nothing can be made of an empty sequence. They are int16 where the vocabulary allows, which float32 holds
            exactly, so that estimators which follow compute in float32; beyond 32767 terms int32.

        Raises
        ------
        NotFittedError, ValueError, TypeError
            If `fit` was not called, or as in `fit`.
        """
        check_is_fitted(self)
        dtype = np.int16 if len(self.vocabulary_) <= np.iinfo(np.int16).max else np.int32
        number_of, unknown = self.vocabulary_.get, self.unknown_id_
        return [
            np.array([number_of(token, unknown) for token in tokens] or [unknown], dtype) for tokens in self._analyse(X)
        ]

    def inverse_transform(self, X: Any) -> list[list[str]]:
        """Turn ids back into tokens.

        Parameters
        ----------
        X : iterable of int arrays of shape (n_steps_i,)
            Ids, as `transform` gives them.

        Returns
        -------
        tokens : list of lists of str
            "<unknown>" for the unknown id. What stood between tokens, and capital letters, are gone.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        TypeError
            If a sequence is no array of whole numbers with one axis.
        ValueError
            If an id is not in the vocabulary.
        """
        check_is_fitted(self)
        terms = [UNKNOWN_TOKEN, *self.vocabulary_]
        return [[terms[number] for number in read_ids(ids, i, len(terms) - 1)] for i, ids in enumerate(X)]

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Name the features of a step: the one there is, "token". The terms are in `vocabulary_`.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        names : ndarray of shape (1,), of str objects
        """
        check_is_fitted(self)
        return np.array(["token"], dtype=object)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Change nothing: ids are a ragged list, of which no frame is made. For pipelines, which ask every step.

        Parameters
        ----------
        transform : ignored

        Returns
        -------
        self : object
        """
        return self

    def _analyse(self, X: Any) -> Iterator[list[str]]:
        """Tokens of one text after another."""
        try:
            parameters = {"lowercase": self.lowercase, "token_pattern": self.token_pattern}
            analyse = CountVectorizer(analyzer=self.analyzer, **parameters).build_analyzer()
        except re.error as error:
            raise ValueError(
                f"token_pattern={shortened(repr(self.token_pattern), 100)} is no regular expression: {error}; "
                r"r'\w+' finds words of any length."
            ) from error
        for number, text in enumerate(read_strings(X)):
            tokens = analyse(text)
            yield (read_tokens(tokens, number) if callable(self.analyzer) else tokens)[: self.max_steps]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), VERSION: __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(_checked_state(state))


def _checked_state(state: Any) -> dict[str, Any]:
    """What a file holds of a sequencer, its vocabulary numbered as `fit` does it: networks look up what ids say."""
    if not isinstance(state, dict):
        raise damaged("This TokenSequencer", state, "attributes by name")
    attributes = dict(state)
    refuse_newer(str(attributes.pop(VERSION, "0")), "This TokenSequencer")
    if "vocabulary_" in attributes:
        attributes["vocabulary_"] = read_vocabulary(attributes["vocabulary_"])
    return attributes
