"""Containers of other libraries are read in their own precision, or refused by what they are."""

from collections import UserList, deque

import numpy as np
import pandas as pd
import polars as pl
import pytest
from problems import as_objects
from reading import Reader, assert_same_samples, read, samples_in

pa = pytest.importorskip("pyarrow")

FLAT = [[1.5, 2.5], [3.5, 4.5, 5.5], [0.25, 1.0]]
DEEP = [[[1.5, 2.5]], [[3.5, 4.5], [5.5, 6.5]], [[0.25, 1.0]]]
TYPES = {"float32": (pa.float32(), pl.Float32), "float64": (pa.float64(), pl.Float64), "int16": (pa.int16(), pl.Int16)}


class Awkward:
    """An array of lists of their own lengths, that says nothing of axes."""

    def __init__(self, values):
        self.values = values

    def to_list(self):
        return self.values

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        value = self.values[index]
        return Awkward(value) if isinstance(value, list) else value

    def __iter__(self):
        return (self[i] for i in range(len(self)))


class AwkwardInPart(Awkward):
    """The same, where lists of equal lengths know their precision."""

    def __getitem__(self, index):
        value = self.values[index]
        return AwkwardInPart(value) if isinstance(value, list | slice) else value

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype or np.float32)


def arrow(values, kind, deep):
    element = pa.list_(pa.list_(kind)) if deep else pa.list_(kind)
    return pa.array(values, element)


CONTAINERS = {
    "Arrow array": lambda values, types, deep: arrow(values, types[0], deep),
    "chunked Arrow array": lambda values, types, deep: pa.chunked_array(
        [arrow(values[:1], types[0], deep), arrow(values[1:], types[0], deep)]
    ),
    "Arrow table": lambda values, types, deep: pa.table({"x": arrow(values, types[0], deep)}),
    "pandas column of Arrow": lambda values, types, deep: pd.Series(
        values, dtype=pd.ArrowDtype(arrow(values, types[0], deep).type)
    ),
    "pandas frame of Arrow": lambda values, types, deep: pd.DataFrame(
        {"x": pd.Series(values, dtype=pd.ArrowDtype(arrow(values, types[0], deep).type))}
    ),
    "polars column": lambda values, types, deep: pl.Series(
        values, dtype=pl.List(pl.List(types[1])) if deep else pl.List(types[1])
    ),
    "polars frame": lambda values, types, deep: pl.DataFrame({"x": pl.from_arrow(arrow(values, types[0], deep))}),
}


def whole(values, dtype):
    """Numbers that the type holds."""
    return [np.array(value).astype(dtype).tolist() for value in values]


@pytest.mark.parametrize("deep", [False, True], ids=["flat", "deep"])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("container", CONTAINERS)
def test_columns_of_lists_are_read_in_their_own_precision(container, dtype, deep):
    values = whole(DEEP if deep else FLAT, dtype)
    got = read(CONTAINERS[container](values, TYPES[dtype], deep))
    assert "ragged" == got.kind
    assert_same_samples([np.array(v).reshape(len(v), -1) for v in values], got)
    assert got.values.dtype == (np.float64 if dtype == "float64" else np.float32)


FLOAT32 = {
    "nullable frame": pd.DataFrame({name: pd.array([1.5, 2.5], dtype="Float32") for name in "ab"}),
    "nullable frame with padding": pd.DataFrame({"a": [1.5, 2.5], "b": [3.5, None]}).astype("Float32"),
    "frame of Arrow's numbers": pd.DataFrame({name: pd.array([1.5, 2.5], dtype="float[pyarrow]") for name in "ab"}),
    "mixed nullable frame": pd.DataFrame({"a": pd.array([1, 2], dtype="Int16"), "b": np.ones(2, np.float32)}),
    "frame of booleans and numbers": pd.DataFrame({"a": [True, False], "b": np.ones(2, np.float32)}),
    "nullable booleans": pd.DataFrame({name: pd.array([True, False], dtype="boolean") for name in "ab"}),
    "Arrow table of numbers": pa.table({name: pa.array([1.5, 2.5], pa.float32()) for name in "ab"}),
    "polars frame": pl.DataFrame({name: pl.Series([1.5, 2.5], dtype=pl.Float32) for name in "ab"}),
    "objects": np.array([[np.float32(1.5), np.float32(2.5)]] * 3, dtype=object),
    "nullable arrays": [pd.array([1.5, 2.5], dtype="Float32"), pd.array([1.5], dtype="Float32")],
    "column of nullable arrays": pd.Series([pd.array([1.5, 2.5], dtype="Float32"), pd.array([1.5], dtype="Float32")]),
    "nullable frames": [pd.DataFrame({"a": [1.5, None], "b": [2.5, None]}).astype("Float32")] * 2,
    "frames of polars": [pl.DataFrame({"a": pl.Series([1.5, None], dtype=pl.Float32)})] * 2,
    "arrays of arrays": [as_objects([np.ones(2, np.float32)] * 3), as_objects([np.ones(2, np.float32)])],
    "objects in arrays of arrays": [as_objects([as_objects([np.float32(1.5), np.float32(2.5)])] * 3)],
    "ragged arrays that know it in part": AwkwardInPart(DEEP),
}


@pytest.mark.parametrize("name", FLOAT32)
def test_float32_stays_float32(name):
    assert np.float32 == read(FLOAT32[name]).values.dtype


def test_trailing_steps_that_are_missing_are_padding_in_every_frame():
    for frames in (FLOAT32["nullable frames"], FLOAT32["frames of polars"]):
        assert [1, 1] == read(frames).lengths.tolist()
    assert [2, 1] == read(FLOAT32["nullable frame with padding"]).lengths.tolist()


def test_large_whole_numbers_of_nullable_columns_become_float64():
    frame = pd.DataFrame({name: pd.array([2**40 + 1, 1], dtype="Int64") for name in "ab"})
    assert 2**40 + 1 == read(frame).values.max()


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": [0, 1], "b": [1, 0]}, dtype=object),
        pd.DataFrame({"a": [False, True], "b": [True, False]}),
        np.array([[False, True], [True, False]], dtype=object),
    ],
)
def test_truth_values_are_numbers(frame):
    assert_same_samples([[[0], [1]], [[1], [0]]], read(frame))


@pytest.mark.parametrize("values, wanted", [(FLAT, 1), (DEEP, 2)])
@pytest.mark.parametrize("container", [Awkward, AwkwardInPart])
def test_ragged_arrays_are_read_by_their_lists(container, values, wanted):
    estimator = Reader()
    assert_same_samples([np.array(v).reshape(len(v), -1) for v in values], read(container(values), estimator))
    assert wanted == estimator.n_features_in_


def test_ragged_steps_of_ragged_arrays_are_refused():
    for container in (Awkward, AwkwardInPart):
        with pytest.raises(ValueError, match="several values at sample 1, step 0"):
            read(container([[[1.0], [2.0]], [[1.0], [1.0, 2.0]]]))


@pytest.mark.parametrize("container", [deque, UserList, lambda X: dict(enumerate(X)).values()])
def test_collections_in_order_are_read_as_lists(container):
    sequences = [np.ones((2, 3)), np.zeros((5, 3))]
    assert_same_samples(sequences, read(container(sequences)))


@pytest.mark.parametrize(
    "make, way_out",
    [
        (lambda X: dict(enumerate(X)), r"^X is a dict of 2 entries; .* list\(X.values\(\)\)"),
        (lambda X: dict(enumerate(X)).items(), "^X is a dict_items, .*a list of"),
        (lambda X: (x for x in X), r"^X is a generator, which can be gone through only once; .* list\(X\)"),
        (iter, r"^X is a list_iterator, .* list\(X\)"),
        (lambda X: {1, 2}, "^X is a set, .*a list of"),
        (lambda X: pl.DataFrame({"a": [1.0]}).lazy(), r"^X is a LazyFrame, .* X.collect\(\)"),
        (lambda X: "a word", "^X is a word, of type str, .*a list of"),
        (lambda X: None, "^X is None, of type NoneType, .*a list of"),
        (lambda X: np.array(3.5), "^X is .*3.5.*, of type float"),
    ],
)
def test_what_has_no_order_is_refused_with_the_way_out(make, way_out):
    with pytest.raises(TypeError, match=way_out):
        read(make([np.ones((2, 3)), np.ones((5, 3))]))


# A feature a column, a sequence a cell


def nested(container, lengths=(2, 3), features="ab", cell=list):
    generator = np.random.default_rng(0)
    samples = [generator.normal(size=(n, len(features))) for n in lengths]
    columns = {name: [cell(steps[:, i]) for steps in samples] for i, name in enumerate(features)}
    return container(columns), samples


@pytest.mark.parametrize(
    "container, cell",
    [
        (pd.DataFrame, pd.Series),
        (pd.DataFrame, np.array),
        (pd.DataFrame, list),
        (pl.DataFrame, list),
        (pa.table, list),
        (lambda columns: pd.DataFrame(columns).to_numpy(), pd.Series),
    ],
)
def test_cells_of_a_row_stand_side_by_side_as_features(container, cell):
    X, samples = nested(container, cell=cell)
    estimator = Reader()
    assert_same_samples(samples, read(X, estimator))
    assert 2 == estimator.n_features_in_
    if hasattr(X, "columns"):
        assert ["a", "b"] == estimator.feature_names_in_.tolist()
        with pytest.raises(ValueError, match="should match .*: X has b, a, and fit had a, b"):
            read(nested(container, features="ba", cell=cell)[0], estimator, reset=False)


def test_cells_of_one_column_are_sequences_of_one_feature():
    X, samples = nested(pd.DataFrame, features="a", cell=pd.Series)
    assert_same_samples(samples, read(X))


def test_cells_of_different_lengths_in_a_row_are_refused():
    frame = pd.DataFrame({"a": [[1.0], [1.0, 2.0]], "b": [[1.0], [1.0]]})
    with pytest.raises(ValueError, match=r"^Sample 1 of X has cells of the shapes \(1,\), \(2,\); .*one column"):
        read(frame)


def test_a_column_whose_first_entry_is_missing_is_a_column_of_sequences():
    for missing in (None, np.nan, pd.NA):
        with pytest.raises((TypeError, ValueError), match="Sample 0 of X|sample 0"):
            read(pd.Series([missing, np.ones((2, 1))]))
    with pytest.raises((TypeError, ValueError), match="holds None at sample 0"):
        read(pd.Series([None, None]))


def test_a_frame_without_rows_is_refused():
    for frame in (pd.DataFrame({"a": [], "b": []}), pd.DataFrame({"a": [], "b": []}, dtype=object)):
        with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
            read(frame)


@pytest.mark.parametrize("values", [[["1", "2"], ["3", "b"]], [["1", "2"], ["3", "4"]]])
def test_strings_of_numpy_are_refused(values):
    words = np.array(values, dtype=np.dtypes.StringDType())
    for X, place in ((words, "sample 1, column 1"), ([np.ones((2, 2)), words], "sample 1, step 1, feature 1")):
        with pytest.raises(ValueError, match=f"'b' at {place}|StringDType.* holds no real numbers; convert it"):
            read(X)


def test_samples_in_their_own_containers_may_be_mixed():
    X = [np.ones((2, 1), np.float32), pa.table({"a": pa.array([1.0, 1.0], pa.float32())}), [[1.0], [1.0]]]
    got = read(X)
    assert all((steps == 1).all() for steps in samples_in(got)) and [2, 2, 2] == got.lengths.tolist()
