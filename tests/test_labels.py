"""Labels keep their exact values whatever they come in, and missing ones are refused with their place."""

from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from problems import SMALL, make_ragged

from skattn import SelfAttentionClassifier
from skattn.labels import as_array, class_indices
from skattn.targets import choose_objective, read_target, sorted_classes

# Neighbours that are one and the same number in float64.
NEIGHBOURS = [2**53, 2**53 + 1, 2**53 + 2] * 2
WORDS = ["c", "a", "b"] * 2
YES_OR_NO = [True, False, True] * 2
STRING = getattr(np.dtypes, "StringDType", None) if hasattr(np, "dtypes") else None

COLUMNS = {
    "list": lambda y: y,
    "tuple": tuple,
    "array of objects": lambda y: np.array(y, dtype=object),
    "pandas": pd.Series,
    "pandas objects": lambda y: pd.Series(y, dtype=object),
    "pandas index": pd.Index,
    "pandas categories": lambda y: pd.Series(y).astype("category"),
    "pandas nullable": lambda y: pd.Series(y).convert_dtypes(),
    "pandas nullable array": lambda y: pd.Series(y).convert_dtypes().array,
    "pandas of Arrow": lambda y: pd.Series(y).convert_dtypes(dtype_backend="pyarrow"),
    "Arrow": pa.array,
    "Arrow chunks": lambda y: pa.chunked_array([pa.array(y[:1]), pa.array(y[1:])]),
    "polars": pl.Series,
}
FRAMES = {
    "pandas frame": lambda y: pd.DataFrame({"y": pd.Series(y).convert_dtypes()}),
    "polars frame": lambda y: pl.DataFrame({"y": y}),
    "Arrow table": lambda y: pa.table({"y": pa.array(y)}),
}


@pytest.mark.parametrize(
    "labels", [NEIGHBOURS, WORDS, YES_OR_NO, [0, 1, 0] * 2], ids=["numbers", "words", "bools", "01"]
)
@pytest.mark.parametrize("contain", COLUMNS.values(), ids=COLUMNS)
def test_labels_of_a_column_are_those_of_a_list(contain, labels):
    indices, classes = read_target(contain(labels), "cross_entropy", 6)
    assert sorted(set(labels)) == classes.tolist()
    assert labels == classes[indices].tolist()
    assert "cross_entropy" == choose_objective(contain(labels))
    assert classes.tolist() == sorted_classes(contain(labels), "classes").tolist()


@pytest.mark.filterwarnings("ignore:A column-vector y")
@pytest.mark.parametrize("labels", [NEIGHBOURS, WORDS, YES_OR_NO], ids=["numbers", "words", "bools"])
@pytest.mark.parametrize("contain", FRAMES.values(), ids=FRAMES)
def test_labels_of_a_frame_are_those_of_a_list(contain, labels):
    indices, classes = read_target(contain(labels), "cross_entropy", 6)
    assert labels == classes[indices].tolist()


@pytest.mark.skipif(STRING is None, reason="NumPy 1 has no strings of its own")
def test_numpys_own_strings_are_words():
    indices, classes = read_target(np.array(WORDS, dtype=STRING()), "cross_entropy", 6)
    assert (["a", "b", "c"], [2, 0, 1] * 2) == (classes.tolist(), indices.tolist())
    with pytest.raises(ValueError, match="y contains None at sample 1"):
        read_target(np.array(["a", None], dtype=STRING(na_object=None)), "cross_entropy", 2)


MISSING = {
    "None among words": ["a", None, "b"],
    "None among numbers": [1, None, 2],
    "NaN among words": ["a", np.nan, "b"],
    "NaN among numbers": [1.0, np.nan, 2.0],
    "NA": [1, pd.NA, 2],
    "NaT": [1, pd.NaT, 2],
    "NaT of NumPy": np.array(["2024", "NaT", "2025"], "M8[Y]"),
    "a decimal": [Decimal(1), Decimal("NaN"), Decimal(2)],
    "nothing else": [0, None, None],
}
MISSING |= {f"{name}, objects": np.array(y, dtype=object) for name, y in MISSING.items() if isinstance(y, list)}
MISSING |= {
    f"{name}, {kind}": COLUMNS[name](y)
    for name in ("pandas", "pandas categories", "pandas nullable", "pandas of Arrow", "Arrow", "Arrow chunks", "polars")
    for kind, y in (("words", ["a", None, "b"]), ("numbers", [1, None, 2]), ("bools", [True, None, False]))
}
MISSING |= {f"{name}, numbers": contain([1, None, 2]) for name, contain in FRAMES.items()}
MISSING |= {"dates of pandas": pd.Series(pd.to_datetime(["2024", None, "2025"]))}


@pytest.mark.parametrize("y", MISSING.values(), ids=MISSING)
@pytest.mark.parametrize("objective", ["cross_entropy", "squared_error"])
def test_a_missing_label_is_refused_with_its_place(y, objective):
    for read in (choose_objective, lambda y: read_target(y, objective, 3, name="y")):
        with pytest.raises(ValueError, match="y contains .* at sample 1.*; every sample needs .*leave the sample out"):
            read(y)


@pytest.mark.parametrize("y", [[[0, 1], [1, None]], pd.DataFrame({"a": [0, 1], "b": pd.array([1, None], "Int64")})])
def test_a_missing_label_of_several_is_refused_with_its_place(y):
    for read in (choose_objective, lambda y: read_target(y, "binary_cross_entropy", 2)):
        with pytest.raises(ValueError, match="y contains .* at sample 1"):
            read(y)


@pytest.mark.parametrize("y", [{0: "a", 1: "b"}, {0: "a"}.values(), {"a", "b"}, iter("ab"), "ab"], ids=repr)
def test_what_has_no_order_or_is_gone_through_once_is_refused(y):
    with pytest.raises(TypeError, match=r"y is a .*pass list\(y"):
        read_target(y, "cross_entropy", 2)


@pytest.mark.parametrize("y", [[2**63, 2**63 + 1, -1], [2**53, 2**53 + 1, 0.5], np.array(["a", "b"], "S1")], ids=repr)
def test_labels_that_no_type_holds_exactly_are_refused(y):
    with pytest.raises(ValueError, match=r"Unknown label type: y holds .* words.* \[str\(label\) for label in y\]"):
        read_target(y, "cross_entropy", len(y))


@pytest.mark.parametrize("known", [np.array([2**53 + 1, 2**53 + 3]), np.array([2**53 + 1, 2**53 + 3], np.uint64)])
def test_a_label_that_is_a_known_class_only_when_rounded_is_unknown(known):
    """Of int64 and uint64 NumPy makes float64, where different numbers are equal."""
    for kind in ("f8", "i8", "u8", "O"):
        assert [-1, -1] == class_indices(np.array([2**53, 2**53 + 2]).astype(kind), known).tolist()
    assert [1, 0] == class_indices(np.array([2**53 + 3, 2**53 + 1], np.uint64), known).tolist()
    assert [0, -1, 1] == class_indices(np.array([0.0, 0.5, 1.0]), np.array([0, 1])).tolist()


@pytest.mark.parametrize("contain", [COLUMNS["pandas nullable"], COLUMNS["Arrow"], COLUMNS["polars"]])
def test_neighbours_stay_apart_in_all_that_fit_is_given(contain):
    """In y, in y_val, in classes, and in what each class weighs."""
    X, y = make_ragged(n_samples=6), contain(NEIGHBOURS)
    weights = dict.fromkeys(NEIGHBOURS[:3], 1.0) | {NEIGHBOURS[1]: 3.0}
    model = SelfAttentionClassifier(**SMALL, class_weight=weights)
    first = model.partial_fit(X, y, classes=contain(NEIGHBOURS[:3])).weights_["head.bias"].copy()
    assert NEIGHBOURS[:3] == model.classes_.tolist()
    twin = SelfAttentionClassifier(**SMALL, class_weight=weights).partial_fit(X, NEIGHBOURS, classes=NEIGHBOURS[:3])
    np.testing.assert_array_equal(first, twin.weights_["head.bias"])
    with pytest.raises(ValueError, match=r"y_val\[1\] is 9007199254740995"):
        model.fit(X, y, X_val=X[:2], y_val=contain([2**53, 2**53 + 3]))


def test_lists_are_no_labels():
    nest = np.empty(2, dtype=object)
    nest[:] = [1, 2], [3]
    with pytest.raises(ValueError, match=r"Unknown label type: y holds \[1, 2\] \(list\)"):
        read_target(nest, "cross_entropy", 2)


def test_rows_of_different_lengths_are_left_to_others():
    rows = [[1, 2], [3]]
    assert rows is as_array(rows, "y")
