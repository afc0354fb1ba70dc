"""Whatever form X comes in, the same sequences are read; what is no sequence is refused with its place."""

import pickle
import warnings
from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer

from skattn.sequences import read_sequences

LENGTHS = [5, 2, 7, 3]
N_FEATURES = 3


class Reader(BaseEstimator):
    """The least estimator that reads sequences, and hands out their first step."""

    def __init__(self, n_step_features=1):
        self.n_step_features = n_step_features

    def fit(self, X, y=None):
        read_sequences(X, self, reset=True, dtype="auto")
        return self

    def transform(self, X):
        read = read_sequences(X, self, reset=False, dtype="auto")
        return read.values[read.starts]


def read(X, estimator=None, reset=True, dtype="auto"):
    return read_sequences(X, estimator or Reader(), reset=reset, dtype=dtype)


def samples_in(read):
    """Give the valid steps of each sample."""
    return [read.values[s : s + n] for s, n in zip(read.starts, read.lengths, strict=True)]


def assert_same_samples(expected, read):
    assert len(expected) == read.n_samples
    assert read.values.flags.c_contiguous, "compiled code reads one row after another"
    for steps, got in zip(expected, samples_in(read), strict=True):
        np.testing.assert_array_equal(steps, got)


@pytest.fixture
def ragged():
    generator = np.random.default_rng(0)
    return [generator.normal(size=(n, N_FEATURES)) for n in LENGTHS]


def padded(ragged, n_steps=11):
    X = np.full((len(ragged), n_steps, ragged[0].shape[1]), np.nan, dtype=ragged[0].dtype)
    for i, steps in enumerate(ragged):
        X[i, : len(steps)] = steps
    return X


def object_array(samples):
    X = np.empty(len(samples), dtype=object)
    X[:] = samples
    return X


SAME_SEQUENCES = {
    "list": lambda r: r,
    "tuple": tuple,
    "object array": object_array,
    "object array of one column": lambda r: object_array(r).reshape(-1, 1),
    "nested lists": lambda r: [steps.tolist() for steps in r],
    "data frames": lambda r: [pd.DataFrame(steps) for steps in r],
    "polars frames": lambda r: [pl.DataFrame(steps) for steps in r],
    "Fortran order": lambda r: [np.asfortranarray(steps) for steps in r],
    "all in Fortran order, of several features": lambda r: tuple(np.array(steps, order="F") for steps in r),
    "strided": lambda r: [np.repeat(steps, 2, axis=0)[::2] for steps in r],
    "big-endian": lambda r: [steps.astype(">f8") for steps in r],
    "trailing NaN steps": lambda r: [np.vstack([s, np.full((2, N_FEATURES), np.nan)]) for s in r],
    "trailing None steps": lambda r: [[*s.tolist(), [None] * N_FEATURES] for s in r],
    "arrays of arrays": lambda r: [object_array(list(steps)) for steps in r],
    "column of a pandas frame": lambda r: pd.DataFrame({"path": pd.Series(r)}),
    "pandas column": pd.Series,
    "column of a polars frame": lambda r: pl.DataFrame({"path": [s.tolist() for s in r]}),
    "polars column": lambda r: pl.Series([s.tolist() for s in r]),
    "padded": padded,
    "padded, Fortran order": lambda r: np.asfortranarray(padded(r)),
    "padded, strided": lambda r: np.repeat(padded(r), 2, axis=2)[:, :, ::2],
    "padded, objects": lambda r: padded(r).astype(object),
    "padded, nested lists": lambda r: padded(r).tolist(),
}


@pytest.mark.parametrize("form", SAME_SEQUENCES)
def test_the_same_sequences_are_read_from_every_form(ragged, form):
    X = SAME_SEQUENCES[form](ragged)
    estimator = Reader()
    got = read(X, estimator)
    assert_same_samples(ragged, got)
    assert estimator.n_features_in_ == N_FEATURES == got.n_features
    assert not hasattr(estimator, "feature_names_in_")
    assert got.max_length == 7


@pytest.mark.parametrize("form", SAME_SEQUENCES)
def test_the_callers_x_is_left_as_it_was(ragged, form):
    X = SAME_SEQUENCES[form](ragged)
    before = pickle.dumps(X)
    read(X)
    assert before == pickle.dumps(X)


@pytest.mark.parametrize("form", ["list", "padded"])
def test_a_sequence_alone_is_the_same_as_in_company(ragged, form):
    X = SAME_SEQUENCES[form](ragged)
    for i in range(len(ragged)):
        assert_same_samples([ragged[i]], read(X[i : i + 1]))


@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame, pl.DataFrame, lambda rows: rows.tolist()])
def test_rows_are_steps_of_consecutive_columns(ragged, container):
    X = padded(ragged)
    rows = X.reshape(len(X), -1)
    estimator = Reader(n_step_features=N_FEATURES)
    got = read(container(rows), estimator)
    assert_same_samples(ragged, got)
    assert (got.kind, got.n_steps) == ("rows", 11)
    assert estimator.n_features_in_ == 33


def test_one_column_is_a_step_unless_told_otherwise():
    got = read(np.arange(10.0).reshape(2, 5))
    assert_same_samples([np.arange(5.0)[:, None], np.arange(5.0, 10.0)[:, None]], got)


@pytest.mark.parametrize("container", [pd.DataFrame, pl.DataFrame])
def test_names_of_columns_are_kept_and_checked(container):
    frame = container({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    estimator = Reader()
    read(frame, estimator)
    assert ["a", "b"] == estimator.feature_names_in_.tolist()
    with pytest.raises(ValueError, match="feature names should match"):
        read(frame[["b", "a"]], estimator, reset=False)


def test_names_of_an_earlier_fit_are_forgotten(ragged):
    estimator = Reader()
    read(pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}), estimator)
    read(ragged, estimator)
    assert not hasattr(estimator, "feature_names_in_")


@pytest.mark.parametrize("form", [list, tuple, object_array, pd.Series, pl.Series])
def test_lists_of_numbers_of_unequal_length_are_sequences_of_one_feature(form):
    samples = [np.arange(float(n)) for n in LENGTHS]
    got = read(form(samples))
    assert got.kind == "ragged"
    assert_same_samples([steps[:, None] for steps in samples], got)


def test_arrays_of_arrays_of_equal_length_are_no_table():
    samples = [object_array(list(steps)) for steps in np.arange(12.0).reshape(2, 3, 2)]
    for X in (samples, [[row.tolist() for row in sample] for sample in samples]):
        assert "ragged" == read(X).kind
        assert_same_samples(np.arange(12.0).reshape(2, 3, 2), read(X))


def test_lists_of_numbers_of_equal_length_are_the_rows_of_a_table():
    got = read([np.arange(5.0), np.arange(5.0)])
    assert got.kind == "rows" and got.n_samples == 2


def test_ragged_rows_divide_into_steps_as_rows_do():
    samples = [np.arange(4.0), np.arange(10.0)]
    got = read(samples, Reader(n_step_features=2))
    assert_same_samples([steps.reshape(-1, 2) for steps in samples], got)


def test_kind_and_number_of_steps_tell_what_came(ragged):
    assert ("ragged", 7) == (read(ragged).kind, read(ragged).n_steps)
    assert ("array", 11) == (read(padded(ragged)).kind, read(padded(ragged)).n_steps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_clean_array_is_not_copied(dtype):
    X = np.ones((5, 3, 2), dtype)
    assert np.shares_memory(X, read(X).values)


def test_a_read_only_memory_map_is_not_copied(tmp_path):
    np.save(tmp_path / "X.npy", np.ones((5, 3, 2), np.float32))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert np.shares_memory(X, read(X).values)


def test_unaligned_memory_is_aligned():
    X = np.zeros(1 + 4 * 30, np.uint8)[1:].view(np.float32).reshape(5, 3, 2)
    assert read(X).values.flags.aligned


@pytest.mark.parametrize("dtype", ["f8", "i8", "i4", "u4", "u8", "g", ">f8"])
def test_types_that_need_float64_get_it(dtype):
    for X in (np.ones((5, 3, 2), dtype), [np.ones((3, 2), dtype)], np.ones((5, 3), dtype)):
        values = read(X).values
        assert values.dtype == np.float64 and values.dtype.isnative


@pytest.mark.parametrize("dtype", ["f4", "f2", "?", "i1", "i2", "u1", "u2", ">f4"])
def test_types_that_float32_holds_stay_small(dtype):
    for X in (np.ones((5, 3, 2), dtype), [np.ones((3, 2), dtype)], np.ones((5, 3), dtype)):
        values = read(X).values
        assert values.dtype == np.float32 and values.dtype.isnative


def test_ragged_samples_share_the_widest_of_their_types():
    mixed = [np.ones((3, 2), np.float32), np.ones((5, 2), np.float64)]
    assert read(mixed).values.dtype == np.float64


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_precision_is_what_was_asked_for(ragged, dtype):
    for X in (ragged, padded(ragged), [[1, 2], [3, 4]]):
        assert read(X, dtype=dtype).values.dtype == dtype


def test_large_finite_values_are_no_mistake():
    X = np.full((5, 3, 2), 3e38, np.float32)
    warnings.simplefilter("error")
    assert [3] * 5 == read(X).lengths.tolist()


def test_taking_samples_copies_no_values(ragged):
    whole = read(padded(ragged))
    some = whole.take([2, 0])
    assert_same_samples([ragged[2], ragged[0]], some)
    assert some.values is whole.values and some.n_steps == whole.n_steps


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3)), min_size=1, max_size=7), st.integers(1, 3))
def test_any_padding_is_found(lengths_and_padding, n_features):
    generator = np.random.default_rng(len(lengths_and_padding))
    valid = [generator.normal(size=(n, n_features)) for n, _ in lengths_and_padding]
    X = [
        np.vstack([steps, np.full((extra, n_features), np.nan)])
        for steps, (_, extra) in zip(valid, lengths_and_padding, strict=True)
    ]
    assert_same_samples(valid, read(X))
    assert_same_samples(valid, read(padded(valid, 8)))


def test_what_was_read_stays_as_it_is(ragged):
    got = read(ragged)
    with pytest.raises(FrozenInstanceError):
        got.lengths = got.lengths[:1]
    assert got == got and got != read(ragged), "told apart by identity, for arrays have no one answer"
    assert type(got.max_length) is type(got.n_steps) is int


# Another X than at fit


def test_padding_may_come_later_than_at_fit():
    X = np.ones((2, 6))
    estimator = Reader(n_step_features=2).fit(X)
    X[1, 2:] = np.nan
    assert [3, 1] == read(X, estimator, reset=False).lengths.tolist()


def test_reading_leaves_the_estimator_as_fit_left_it():
    forms = [pd.DataFrame(np.ones((5, 6)), columns=list("abcdef")), np.ones((5, 7, 2)), [np.ones((3, 2))]]
    for fitted_on in forms:
        estimator = Reader(n_step_features=2).fit(fitted_on)
        before = pickle.dumps(estimator)
        for other in forms:
            read(other, estimator, reset=False)
        assert before == pickle.dumps(estimator)


def test_longer_sequences_than_at_fit_are_fine(ragged):
    estimator = Reader().fit(ragged)
    longer = [np.ones((23, N_FEATURES))]
    assert_same_samples(longer, read(longer, estimator, reset=False))
    assert_same_samples(longer, read(np.stack(longer), estimator, reset=False))


def test_fitted_on_rows_reads_the_same_sequences_ragged_and_back():
    rows = np.arange(12.0).reshape(2, 6)
    ragged = list(rows.reshape(2, 3, 2))
    for fitted_on, other in [(rows, ragged), (ragged, rows)]:
        estimator = Reader(n_step_features=2).fit(fitted_on)
        assert_same_samples(ragged, read(other, estimator, reset=False))


@pytest.mark.parametrize("X", [np.ones((5, 7, 2)), [np.ones((7, 2)), np.ones((3, 2))]])
def test_another_width_than_at_fit_is_refused(ragged, X):
    estimator = Reader().fit(ragged)
    message = "X has 2 features, but Reader is expecting 3 features as input at each step, as in fit.$"
    with pytest.raises(ValueError, match=message):
        read(X, estimator, reset=False)


def test_another_column_count_than_at_fit_is_refused():
    estimator = Reader(n_step_features=2).fit(np.ones((5, 6)))
    for n_columns in (3, 4):
        message = f"X has {n_columns} features, but Reader is expecting 6 features as input"
        with pytest.raises(ValueError, match=message):
            read(np.ones((5, n_columns)), estimator, reset=False)


def test_one_sequence_mistaken_for_rows_is_told_the_way_out(ragged):
    estimator = Reader().fit(ragged)
    with pytest.raises(ValueError, match=r"expecting 3 features .* pass one sequence alone as X\[np.newaxis\]"):
        read(ragged[0], estimator, reset=False)


def test_refused_x_leaves_the_estimator_as_it_was(ragged):
    estimator = Reader().fit(pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}))
    before = pickle.dumps(estimator)
    ragged[1][0, 0] = np.inf
    for X in (ragged, padded(ragged), pd.DataFrame({"c": [np.nan, 1.0]})):
        with pytest.raises(ValueError, match="infinity|every step of sample 0 is NaN"):
            read(X, estimator)
    assert before == pickle.dumps(estimator)


# What is refused, and the place that the error names


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", ["list", "padded", "column of a pandas frame"])
@pytest.mark.parametrize("value, name", [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
def test_nan_and_infinity_inside_a_sequence_are_refused_with_their_place(ragged, form, value, name, dtype):
    ragged = [steps.astype(dtype) for steps in ragged]
    ragged[2][4, 1] = value
    ragged[3][0, 0] = value
    with pytest.raises(ValueError, match=f"contains {name}.* at sample 2, step 4, feature 1. "):
        read(SAME_SEQUENCES[form](ragged))


@pytest.mark.parametrize("form", ["list", "padded"])
def test_a_missing_step_between_others_is_refused(ragged, form):
    ragged[2][3] = np.nan
    with pytest.raises(ValueError, match="contains NaN at sample 2, step 3, feature 0"):
        read(SAME_SEQUENCES[form](ragged))


def test_a_half_missing_last_step_is_refused(ragged):
    ragged[0][-1, 2] = np.nan
    with pytest.raises(ValueError, match="contains NaN at sample 0, step 4, feature 2"):
        read(padded(ragged))


def test_mistakes_in_rows_name_the_column_too():
    X = np.ones((5, 6))
    X[3, 4] = np.nan
    with pytest.raises(ValueError, match=r"sample 3, step 1, feature 1 \(column 4\)"):
        read(X, Reader(n_step_features=3))


def test_infinity_in_a_trailing_step_is_no_padding(ragged):
    X = padded(ragged)
    X[1, 10] = np.inf
    with pytest.raises(ValueError, match="sample 1, step 2, feature 0"):
        read(X)


def test_values_too_large_for_float32_are_refused(ragged):
    ragged[1][0, 2] = 1e300
    for X in (ragged, padded(ragged)):
        with warnings.catch_warnings(), pytest.raises(ValueError, match="for float32 at sample 1, step 0, feature 2"):
            warnings.simplefilter("error")
            read(X, dtype="float32")


@pytest.mark.parametrize("empty", [np.full((3, N_FEATURES), np.nan), np.empty((0, N_FEATURES)), []])
def test_a_sequence_of_length_0_is_refused(ragged, empty):
    ragged[1] = empty
    with pytest.raises(ValueError, match=r"[Ss]ample 1 .*length 0|length 0.* sample 1 .*drop"):
        read(ragged)


def test_empty_lists_are_refused():
    with pytest.raises(ValueError, match="^Sample 1 of X is a sequence of length 0"):
        read([[1.0, 2.0], []])
    with pytest.raises(ValueError, match=r"0 feature\(s\)"):
        read([[], []])


@pytest.mark.parametrize("sample", [0, 3])
def test_an_all_padding_row_is_refused(ragged, sample):
    X = padded(ragged)
    X[sample] = np.nan
    for form in (X, X.reshape(len(X), -1)):
        with pytest.raises(ValueError, match=f"length 0: every step of sample {sample} is NaN"):
            read(form)


def test_samples_of_different_widths_are_refused(ragged):
    ragged[2:] = [np.ones((7, 2)), np.ones((3, 2))]
    message = r"^Sample 2 of X has 2 features a step \(shape \(7, 2\)\), but sample 0 has 3 \(shape \(5, 3\)\)"
    with pytest.raises(ValueError, match=message):
        read(ragged)


def test_steps_of_different_widths_are_refused():
    with pytest.raises(ValueError, match="several values at sample 1, step 0"):
        read([[[1.0, 2.0]], [[1.0, 2.0], [3.0]]])


def test_arrays_of_different_widths_within_a_sample_are_refused():
    with pytest.raises(ValueError, match="^Sample 1 of X: .*inhomogeneous"):
        read([[[1.0]], [np.ones((2, 3)), np.ones((2, 2))]])


def test_columns_that_do_not_divide_into_steps_are_refused():
    with pytest.raises(ValueError, match="^X has 7 columns.* n_step_features=3; set n_step_features to a divisor"):
        read(np.ones((5, 7)), Reader(n_step_features=3))
    with pytest.raises(ValueError, match="^Sample 1 of X has 5 columns"):
        read([np.ones(6), np.ones(5)], Reader(n_step_features=3))


@pytest.mark.parametrize("X", [np.ones((2, 3, 5, 7)), [np.ones((3, 5, 7))]])
def test_more_than_three_dimensions_are_refused(X):
    with pytest.raises(ValueError, match="dim 4|Sample 0 of X has shape .* flatten"):
        read(X)


@pytest.mark.parametrize("X", [[], (), np.empty((0, 3)), np.empty((0, 5, 3)), object_array([])])
def test_no_samples_are_refused(X):
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        read(X)


@pytest.mark.parametrize(
    "X, who", [(np.empty((5, 0)), " by Reader"), (np.empty((5, 3, 0)), ": X"), ([np.empty((3, 0))], ": Sample 0 of X")]
)
def test_no_features_are_refused(X, who):
    message = rf"0 feature\(s\) \(shape=\(.*, 0\)\) while a minimum of 1 is required{who}\.$"
    with pytest.raises(ValueError, match=message):
        read(X)


def test_an_array_without_steps_is_refused():
    with pytest.raises(ValueError, match=r"^X is a sequence of length 0 \(shape \(5, 0, 3\)\)"):
        read(np.empty((5, 0, 3)))


@pytest.mark.parametrize("X", [np.arange(5.0), [1.0, 2.0], pd.Series([1.0, 2.0]), pl.Series([1.0, 2.0])])
def test_one_dimension_is_refused(X):
    with pytest.raises(ValueError, match="Reshape your data|2-dimensional container"):
        read(X)


@pytest.mark.parametrize(
    "X, place",
    [
        ([["1", "two"], ["3", "4"]], "'two' at sample 0, column 1"),
        (pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}), "'x' at sample 0, column 1"),
        ([np.ones((2, 2)), np.array([["1", "2"], ["3", "four"]])], "'four' at sample 1, step 1, feature 1"),
        ([[[1.0, 2.0]], [[3.0, "four"]]], "'four' at sample 1, step 0, feature 1"),
        (np.full((2, 3, 5), "w"), "'w' at sample 0, step 0, feature 0"),
    ],
)
def test_words_are_refused_with_their_place(X, place):
    with pytest.raises(ValueError, match=f"holds {place}: could not convert string"):
        read(X)


def test_objects_are_refused_with_their_place():
    X = np.ones((5, 3), dtype=object)
    X[2, 1] = {"foo": "bar"}
    message = r"holds \{'foo': 'bar'\} at sample 2, column 1: float\(\) argument must be a string or a real"
    with pytest.raises(TypeError, match=message):
        read(X)
    with pytest.raises(TypeError, match=r"holds \{\} at sample 1, step 0, feature 1: float\(\) argument must be"):
        read([np.ones((3, 2)), [[1.0, {}]]])


@pytest.mark.parametrize(
    "make, place",
    [
        (lambda huge: [[huge, 1], [2, 3]], "X"),
        (lambda huge: np.array([[1, huge], [2, 3]], dtype=object), "sample 0, column 1"),
        (lambda huge: np.full((2, 3, 2), huge, dtype=object), "sample 0, step 0, feature 0"),
        (lambda huge: [np.ones((2, 1)), [[1.0], [huge]]], "sample 1, step 1, feature 0"),
        (lambda huge: [np.ones((2, 1)), huge], "^Sample 1 of X: .* that no float can hold; scale or clip it"),
    ],
)
def test_numbers_that_no_float_holds_are_refused(make, place):
    with pytest.raises(ValueError, match=place):
        read(make(10**400))


def _endless():
    endless = []
    endless.append(endless)
    return endless


def _deep():
    deep = [1.0]
    for _ in range(3000):
        deep = [deep]
    return deep


@pytest.mark.parametrize("make", [_endless, _deep])
def test_nests_without_end_are_refused(make):
    with pytest.raises(ValueError, match="is nested .* deep"):
        read(make())


def test_how_deep_words_are_nested_is_told():
    with pytest.raises(ValueError, match="^Sample 1 of X is nested 4 deep; a sequence is"):
        read([np.ones((2, 1)), [[[["one"]]]]])
    with pytest.raises(ValueError, match="^X is nested 4 deep; a sequence is"):
        read(np.full((1, 1, 1, 2), "one"))


@pytest.mark.parametrize("frame", [pd.DataFrame(), pl.DataFrame(), pd.DataFrame(index=range(3))])
def test_frames_without_columns_are_refused(frame):
    with pytest.raises(ValueError, match=r"0 feature\(s\)"):
        read(frame)


def test_words_among_categories_are_refused_with_their_place():
    with pytest.raises(ValueError, match="'x' at sample 0, column 0"):
        read(pd.DataFrame({"a": pd.Categorical(["x", "y"]), "b": [1, 2]}))


@pytest.mark.parametrize("width", [None, 0, -1, 1.5, "3"])
@pytest.mark.parametrize("X", [np.ones((2, 6)), [np.ones(6), np.ones(3)]])
def test_the_width_of_a_step_is_checked_where_it_is_read(X, width):
    """It may have been set after fit. Where steps have an axis of their own it says nothing."""
    with pytest.raises(ValueError, match=f"^n_step_features={width!r} is no number of columns.* set it to a whole"):
        read(X, Reader(n_step_features=width))
    assert 3 == read([np.ones((3, 2))], Reader(n_step_features=width)).n_steps


def test_the_width_of_a_step_may_be_a_small_integer_of_numpys():
    for X in (np.ones((2, 300)), [np.ones(300), np.ones(6)]):
        assert 100 == read(X, Reader(n_step_features=np.uint8(3))).n_steps


def test_an_entry_that_is_no_sequence_is_refused(ragged):
    ragged[2] = None
    for X in (ragged, object_array(ragged), pd.Series(ragged)):
        with pytest.raises(ValueError, match=r"Sample 2 of X has shape \(\)"):
            read(X)


def test_several_columns_of_sequences_are_refused(ragged):
    frame = pd.DataFrame({"a": pd.Series(ragged), "b": pd.Series(ragged)})
    for X in (frame, frame.to_numpy()):
        with pytest.raises(ValueError, match="several values at sample 0, column 0.* one list or column"):
            read(X)


@pytest.mark.parametrize("X, place", [([1.0, [2.0]], "sample 1"), (([2.0], 1.0), "sample 0")])
def test_numbers_among_sequences_are_refused(X, place):
    with pytest.raises(ValueError, match=f"several values at {place}, where one number belongs"):
        read(X)


@pytest.mark.parametrize("X", [np.ones((5, 3)), np.ones((5, 3, 2))])
def test_complex_numbers_are_refused(X):
    for form in (X * 1j, [sample * 1j for sample in X]):
        with pytest.raises(ValueError, match="Complex data not supported"):
            read(form)


@pytest.mark.parametrize(
    "unit, array, ragged",
    [
        ("D", r"X holds datetime.date\(.*\) at sample 0, column 0", r"X holds .* at sample 1, step 0, feature 0"),
        # NumPy makes whole numbers of these, in which no entry is a mistake.
        ("ns", r"^X has dtype datetime64\[ns\], which holds no real", r"^Sample 1 of X has dtype datetime64\[ns\]"),
    ],
)
def test_dates_are_refused(unit, array, ragged):
    dates = np.full((5, 3), np.datetime64("2001-02-03", unit))
    for X, message in ((dates, array), ([np.ones((2, 3)), dates], ragged)):
        with pytest.raises((TypeError, ValueError), match=message):
            read(X)


@pytest.mark.parametrize(
    "rows, alone", [(np.eye(3), "^Sample 0 of X is sparse"), (np.ones(3), r"^Input X holds <.*> at sample 0: float")]
)
def test_sparse_samples_are_refused(rows, alone):
    with pytest.raises(TypeError, match=r"Sample 0 of X is sparse.*toarray"):
        read([sparse.coo_array(rows), sparse.coo_array(rows)] + [np.ones((2, 2))])
    with pytest.raises(TypeError, match=alone):
        read([sparse.coo_array(rows), sparse.coo_array(rows)])


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix, sparse.coo_array])
@pytest.mark.parametrize("rows", [np.eye(3), np.ones(3)])
def test_sparse_is_refused(container, rows):
    with pytest.raises(TypeError, match="[Ss]parse data was passed for X,"):
        read(container(rows))


def test_masked_entries_are_refused():
    masked = np.ma.masked_invalid(np.array([[1.0, np.nan], [2.0, 3.0]]))
    for X, who in ((masked, "X"), ([np.ones((3, 2)), masked], "Sample 1 of X")):
        with pytest.raises(ValueError, match=f"^{who} has masked entries"):
            read(X)


# scikit-learn hands over what it was given


@pytest.mark.parametrize("columns", ["path", ["path"]])
def test_a_column_transformer_hands_over_its_column(ragged, columns):
    frames = [
        pd.DataFrame({"path": pd.Series(ragged), "other": range(len(ragged))}),
        pl.DataFrame({"path": [steps.tolist() for steps in ragged], "other": range(len(ragged))}),
    ]
    for frame in frames:
        out = ColumnTransformer([("sequences", Reader(), columns)]).fit_transform(frame)
        np.testing.assert_array_equal([steps[0] for steps in ragged], out)
