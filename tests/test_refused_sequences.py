"""What is no sequence is refused before anything changes, with its place."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from problems import as_objects
from reading import N_FEATURES, SAME_SEQUENCES, Reader, make_samples, padded, read
from scipy import sparse


@pytest.fixture
def ragged():
    return make_samples()


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


@pytest.mark.skipif(np.finfo(np.longdouble).max == np.finfo(np.float64).max, reason="no wider floats here")
def test_values_too_large_for_float64_are_refused(ragged):
    ragged = [steps.astype(np.longdouble) for steps in ragged]
    ragged[1][0, 2] = np.finfo(np.longdouble).max
    for X in (ragged, padded(ragged).astype(np.longdouble)):
        X[1][0, 2] = np.finfo(np.longdouble).max
        with warnings.catch_warnings(), pytest.raises(ValueError, match="for float64 at sample 1, step 0, feature 2"):
            warnings.simplefilter("error")
            read(X)


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


@pytest.mark.parametrize("X", [[], (), np.empty((0, 3)), np.empty((0, 5, 3)), as_objects([])])
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
    for X in (ragged, as_objects(ragged), pd.Series(ragged)):
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


@pytest.mark.parametrize("rows", [np.eye(3), np.ones(3)])
def test_sparse_samples_are_refused(rows):
    for others in ([np.ones((2, 2))], []):
        with pytest.raises(TypeError, match=r"^Sample 0 of X is sparse.*toarray"):
            read([sparse.coo_array(rows), sparse.coo_array(rows), *others])


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
