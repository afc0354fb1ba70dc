"""Strings come out of every column and collection; what is none is refused with its place and a way out."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.sparse import csr_array

from skattn.strings import read_strings, read_tokens

TEXTS = ["one text", "", "naïve 猫"]
FORMS = {
    "list": TEXTS,
    "tuple": tuple(TEXTS),
    "dict values": dict(enumerate(TEXTS)).values(),
    "iterator": TEXTS,
    "array": np.array(TEXTS),
    "objects": np.array(TEXTS, dtype=object),
    "one column": np.array(TEXTS).reshape(3, 1),
    "pandas": pd.Series(TEXTS, index=[7, 7, 0]),
    "pandas objects": pd.Series(TEXTS, dtype=object),
    "pandas strings": pd.Series(TEXTS, dtype="string"),
    "pandas categories": pd.Series(TEXTS, dtype="category"),
    "pandas index": pd.Index(TEXTS),
    "pandas frame": pd.DataFrame({"text": TEXTS}),
    "polars": pl.Series(TEXTS),
    "polars frame": pl.DataFrame({"text": TEXTS}),
    "polars categories": pl.Series(TEXTS, dtype=pl.Categorical),
    "Arrow": pa.array(TEXTS),
    "Arrow chunks": pa.chunked_array([TEXTS[:1], TEXTS[1:]]),
    "Arrow table": pa.table({"text": TEXTS}),
}


@pytest.mark.parametrize("form", FORMS)
def test_strings_come_out_of_every_form(form):
    X = iter(FORMS[form]) if form == "iterator" else FORMS[form]
    read = list(read_strings(X))
    assert TEXTS == read and all(isinstance(text, str) for text in read)


@pytest.mark.skipif(not hasattr(np, "dtypes") or not hasattr(np.dtypes, "StringDType"), reason="NumPy 2 has it")
def test_strings_of_numpys_own_are_read():
    assert TEXTS == list(read_strings(np.array(TEXTS, dtype=np.dtypes.StringDType())))


@pytest.mark.parametrize(
    ("X", "error", "found"),
    [
        ("a text", ValueError, "string object received. Pass a list"),
        (b"a text", ValueError, "string object received. Pass a list"),
        (pd.DataFrame({"a": TEXTS, "b": TEXTS}), ValueError, r"2 columns, and one of texts is wanted; .* X\['text'\]"),
        (np.array([TEXTS, TEXTS]), ValueError, "3 columns, and one of texts is wanted"),
        (pd.DataFrame({"a": [1.0]}), TypeError, "of type DataFrame, and an iterable of strings is wanted"),
        (pl.LazyFrame({"a": TEXTS}), TypeError, "of type LazyFrame"),
        (dict(enumerate(TEXTS)), TypeError, "of type dict, .*; pass a list of texts"),
        (set(TEXTS), TypeError, "of type set"),
        (csr_array((3, 3)), TypeError, "of type csr_array"),
        (np.array("a text"), TypeError, "of type ndarray"),
        (None, TypeError, "X is None, of type NoneType"),
        (7, TypeError, "X is 7, of type int"),
        (SimpleNamespace(), TypeError, "of type SimpleNamespace"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_holds_no_strings_in_order_is_refused(X, error, found):
    with pytest.raises(error, match=found):
        list(read_strings(X))


@pytest.mark.parametrize(
    ("entry", "error", "found"),
    [
        (None, ValueError, "None, of type NoneType, and a string is wanted; drop the sample, or fill it"),
        (np.nan, ValueError, "nan, of type float, .* fill it"),
        (np.float32("nan"), ValueError, "fill it"),
        (pd.NA, ValueError, "of type NAType, .* fill it"),
        (pd.NaT, ValueError, "of type NaTType, .* fill it"),
        (7, TypeError, r"7, of type int, .*str\(value\)"),
        (1.5, TypeError, r"1.5, of type float, .*str\(value\)"),
        (b"bytes", TypeError, "of type bytes, .* decode it"),
        (["its", "tokens"], TypeError, "of type list, .*analyzer=str.split"),
        (np.ones(3), TypeError, "of type ndarray, .*analyzer=str.split"),
        ({"a": 1}, TypeError, "of type dict"),
    ],
    ids=repr,
)
def test_an_entry_that_is_no_string_is_named_with_its_place(entry, error, found):
    with pytest.raises(error, match="Sample 2 of X is .*" + found):
        list(read_strings(["a", "b", entry, "c"]))


@pytest.mark.parametrize(
    "X",
    [pd.Series(["a", None]), pd.Series(["a", pd.NA], dtype="string"), pl.Series(["a", None]), pa.array(["a", None])],
)
def test_missing_entries_of_columns_are_named(X):
    with pytest.raises(ValueError, match="Sample 1 of X is .*; drop the sample, or fill it with the empty string"):
        list(read_strings(X))


def test_errors_are_short():
    for X in (["word" * 10**5], [["word" * 10**5] * 1000], dict.fromkeys(["word" * 10**5] * 1000)):
        if isinstance(X, list) and isinstance(X[0], str):
            X = [X[0].encode()]
        with pytest.raises(TypeError) as caught:
            list(read_strings(X))
        assert len(str(caught.value)) < 500


def test_tokens_of_an_analyzer_are_a_list_of_strings():
    assert (
        ["a", "b"] == read_tokens(iter("ab"), 0) == read_tokens(("a", "b"), 0) == read_tokens(np.array(["a", "b"]), 0)
    )


@pytest.mark.parametrize("tokens", [None, 7, "text", {"a"}, {"a": 1}.keys()])
def test_tokens_without_an_order_are_refused(tokens):
    with pytest.raises(TypeError, match="analyzer gave .* for sample 5 of X, .* let it give a list of strings"):
        read_tokens(tokens, 5)


@pytest.mark.parametrize("token", [None, 7, b"a", ["a"]])
def test_a_token_that_is_no_string_is_named(token):
    with pytest.raises(TypeError, match=r"analyzer gave the token .* for sample 5 of X, .* let it give str\(token\)"):
        read_tokens(["a", token], 5)
