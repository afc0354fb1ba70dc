"""Draw and judge what stands before estimators: scaled sequences, tokens, text and long frames."""

import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from features import Features, pick
from forms import FORMS, SPOILS
from hypothesis import strategies as st
from parts import as_given, sequences
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer

from skattn import RandomConvolutionTokens, SequenceScaler, TokenSequencer, sequences_from_frame
from skattn.scales import METHODS

ERRORS = (ValueError, TypeError)
# Letters that fold, join and take several code units; words of them are few, so that they come again.
ALPHABET = ["a", "B", "ß", "İ", "é", "\u0301", "中", "🙂", " ", " ", ".", "\n", "1", "\x00"]


@dataclass
class Preparation:
    """A transformer and what it is given, or a frame; what is meant is told by `plain`, None where it is refused."""

    kind: str
    what: list
    X: Any
    plain: Any
    estimator: Any = None
    options: Any = None

    def __repr__(self):
        return f"{self.kind}: {self.estimator}, {', '.join(map(str, self.what))}"

    def _repr_pretty_(self, printer, cycle):
        printer.text(repr(self))  # hypothesis would look into estimators that are not fitted

    def judge(self):
        """Give "right" or "refused", or raise an AssertionError that says what is wrong."""
        try:
            result = {"text": _run_text, "long frames": _run_frame}.get(self.kind, _run)(self)
        except ERRORS as error:
            assert self.plain is None, f"refused what is sound: {error!r}"
            assert len(str(error)) > 20, f"an error without words: {error!r}"
            return "refused"
        assert self.plain is not None, "took what it must refuse"
        return result


@st.composite
def prepared_sequences(draw, kind):
    """Sequences in any form, to be scaled or made tokens of; or spoiled ones."""
    samples, what = draw(sequences())
    X, meant, form = draw(as_given(samples, Features()))
    rows = FORMS[form.split(",")[0]].rows
    options = {"n_step_features": samples[0].shape[1] if rows else 1, "dtype": draw(pick("auto", "float32", "float64"))}
    if kind == "scaler":
        estimator = SequenceScaler(
            method=draw(pick(*METHODS)),
            within=draw(pick("data", "sequence")),
            differences=draw(st.booleans()),
            **options,
        )
    else:
        shared = {"n_kernels": draw(pick(1, 16, 40)), "n_tokens": draw(pick(1, 7, 64)), "causal": draw(st.booleans())}
        estimator = RandomConvolutionTokens(**shared, random_state=draw(pick(0, 7)), n_jobs=draw(pick(1, 2)), **options)
    if draw(pick(True, False, False)):
        name = draw(st.sampled_from(sorted(SPOILS)))
        plain = [np.array(steps, np.float64) for steps in meant]
        X, meant, form = SPOILS[name](plain, np.random.default_rng(draw(st.integers(0, 2**32 - 1)))), None, name
    return Preparation(kind, [*what, form], X, meant, estimator)


def _run(case):
    """The same bits as of a plain list, of a sequence alone, and from a pickle; the form of X; and a way back."""
    model = case.estimator.fit(case.X)
    result = _valid(model.transform(case.X), case.plain)
    again = pickle.loads(pickle.dumps(clone(case.estimator).fit(case.plain)))
    expected = again.transform(case.plain)
    assert all(np.isfinite(steps).all() for steps in expected), "not finite"
    for got, wanted, alone in zip(result, expected, (again.transform([steps])[0] for steps in case.plain), strict=True):
        np.testing.assert_array_equal(np.reshape(got, wanted.shape), wanted)
        np.testing.assert_array_equal(alone, wanted)
    if case.kind == "scaler" and hasattr(again, "inverse_transform"):
        for steps, back in zip(case.plain, again.inverse_transform(expected), strict=True):
            digits = 1e-10 if back.dtype == np.float64 else 1e-4
            np.testing.assert_allclose(
                back, steps, rtol=0, atol=digits * (1 + np.abs(np.concatenate(case.plain)).max())
            )
    return "right"


def _valid(result, plain):
    """Valid steps of what may be padded, or lie in rows."""
    if isinstance(result, list):
        return result
    n_steps = max(map(len, plain))
    width = result.shape[-1] if result.ndim == 3 else None
    flat = [
        row[~np.isnan(row)] if width is None else row[: len(steps)] for row, steps in zip(result, plain, strict=True)
    ]
    assert result.ndim == 2 or result.shape[1] >= n_steps
    return flat


@st.composite
def texts(draw):
    """Texts of few words, some of them empty, and others for `transform`; or what holds something else."""
    text = st.text(st.sampled_from(ALPHABET), max_size=12)
    X, later = draw(st.lists(text, min_size=2, max_size=7)), draw(st.lists(text, min_size=1, max_size=5))
    options = {
        "analyzer": draw(pick("word", "char", "char_wb", str.split)),
        "lowercase": draw(st.booleans()),
        "min_df": draw(pick(1, 1, 2)),
        "max_features": draw(pick(None, None, 3)),
        "max_steps": draw(pick(None, 1, 4)),
    }
    spoil = draw(pick(None, None, None, 7, np.nan, b"bytes", ["a"]))
    if spoil is not None:
        X[draw(st.integers(0, len(X) - 1))] = spoil
    form = draw(pick("list", "objects", "series", "polars")) if spoil is None else "list"
    make = {"list": list, "objects": lambda X: np.array(X, object), "series": pd.Series, "polars": pl.Series}[form]
    return Preparation("text", [repr(X), repr(later), form, options], make(X), later if spoil is None else None,
                       TokenSequencer(**options), X)  # fmt: skip


def _run_text(case):
    """Ids are those of scikit-learn's vocabulary from 1 on, in the order of the text, and 0 for all else."""
    model, options = case.estimator, case.estimator.get_params()
    n_steps = options.pop("max_steps")
    shared = {name: options[name] for name in ("analyzer", "lowercase", "min_df", "max_features")}
    analyse = CountVectorizer(**shared).build_analyzer()
    counter = CountVectorizer(**shared | {"analyzer": lambda text: analyse(text)[:n_steps]})
    try:
        known = counter.fit(case.options).vocabulary_ if case.plain is not None else None
    except ValueError:
        known = None  # scikit-learn wants a term at least
    try:
        model.fit(case.X)
    except ValueError as error:
        if case.plain is None:
            raise
        assert known is None, f"refused what is sound: {error!r}"
        assert len(str(error)) > 20
        return "refused"
    for text, ids in zip(case.plain or (), model.transform(case.plain) if case.plain else (), strict=True):
        wanted = [(known or {}).get(term, -1) + 1 for term in analyse(text)] or [0]
        assert wanted[:n_steps] == ids.tolist()
    return "right"


@st.composite
def long_frames(draw):
    """A long frame of some library, its rows shuffled, and the sequences that it means; or one that is spoiled."""
    samples, what = draw(sequences())
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_rows, n_features = sum(map(len, samples)), samples[0].shape[1]
    owners = np.repeat(np.arange(len(samples)), [len(steps) for steps in samples])
    ids = draw(pick("whole", "words", "dates"))
    names = {
        "whole": lambda i: 7 * i - 3,
        "words": lambda i: f"id {i}",
        "dates": lambda i: pd.Timestamp(2024, 1, 1 + i),
    }
    when = np.concatenate([np.cumsum(generator.integers(1, 9, len(steps))) for steps in samples])
    frame = pd.DataFrame({"who": [names[ids](i) for i in owners], "when": when})
    for column in range(n_features):
        frame[f"x{column}"] = np.concatenate([steps[:, column] for steps in samples])
    has_words = draw(st.booleans())
    codes = generator.integers(3, size=n_rows)
    if has_words:
        frame["word"] = np.array(["B", "a", "ä"])[codes]
    order = generator.permutation(n_rows)
    frame, first = frame.iloc[order].reset_index(drop=True), list(dict.fromkeys(owners[order].tolist()))
    known = np.unique(codes)
    tables = [np.column_stack([steps, np.searchsorted(known, codes[owners == i])]) if has_words else steps
              for i, steps in enumerate(samples)]  # fmt: skip
    plain, spoil = [tables[i] for i in first], draw(pick(None, None, None, "id", "order", "twice", "column"))
    if spoil in ("id", "order"):
        column = {"id": "who", "order": "when"}[spoil]
        frame[column] = frame[column].astype(object)
        frame.loc[0, column] = None
    elif spoil == "twice":
        frame = pd.concat([frame, frame[:1]], ignore_index=True)
    what = [*what, ids, has_words, spoil, draw(pick("pandas", "polars", "pyarrow"))]
    roles = {"id": "who", "order": "when"} | ({"values": "nowhere"} if spoil == "column" else {})
    return Preparation("long frames", what, frame, plain if spoil is None else None, options=roles)


def _run_frame(case):
    """Sequences in the order of first appearance, sorted by time, words as codes of their alphabet."""
    library = case.what[-1]
    frame = case.X if library == "pandas" else pl.from_pandas(case.X)
    found, index = sequences_from_frame(frame.to_arrow() if library == "pyarrow" else frame, **case.options)
    assert len(found) == len(index) == len(case.plain or found)
    for steps, wanted in zip(found, case.plain or found, strict=True):
        np.testing.assert_array_equal(np.asarray(steps), wanted)
    return "right"


PREPARATIONS = {
    "scaler": prepared_sequences("scaler"),
    "tokens": prepared_sequences("tokens"),
    "text": texts(),
    "long frames": long_frames(),
}
"""A strategy for each kind of case."""
