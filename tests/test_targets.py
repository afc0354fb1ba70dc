"""Whatever a user passes as y is read, or refused with its place."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from skattn.targets import (
    choose_objective,
    keep_present,
    read_target,
    sorted_classes,
)

LETTERS = np.array(["c", "a", "b", "a", "c"])
MATRIX = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 1], [0, 1, 0]])


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (None, "reconstruction"),
        (LETTERS, "cross_entropy"),
        ([0, 1, 1, 0], "cross_entropy"),
        ([True, False, True], "cross_entropy"),
        ([1.0, 2.0, 3.0, 2.0, 1.0, 1.0], "cross_entropy"),
        ([0.5, 1.0, 2.0], "squared_error"),
        ([[0.5, 1.0], [2.5, 3.0]], "squared_error"),
        (MATRIX, "binary_cross_entropy"),
        (csr_array(MATRIX), "binary_cross_entropy"),
    ],
)
def test_y_says_what_is_to_be_learned(y, expected):
    assert expected == choose_objective(y)


PRICES = np.random.default_rng(0).integers(3000, 9000, 500)
TENS = np.arange(10, 310, 10)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (PRICES, "squared_error"),
        (PRICES.astype(float), "squared_error"),
        (np.round(PRICES, -1), "squared_error"),
        (PRICES.astype(np.int16), "squared_error"),
        (pd.Series(PRICES, dtype="Int64"), "squared_error"),
        (PRICES.reshape(-1, 1), "squared_error"),
        (PRICES.tolist(), "squared_error"),
        (np.arange(30), "squared_error"),
        (PRICES.astype(str), "cross_entropy"),
        (PRICES.astype(str).astype(object), "cross_entropy"),
        (np.arange(20), "cross_entropy"),
        (np.arange(20) * 1000, "cross_entropy"),
        (np.repeat(np.arange(100), 100), "cross_entropy"),
        (np.repeat(np.arange(1, 41), 60), "cross_entropy"),
        (np.repeat(TENS, 100), "cross_entropy"),
    ],
)
def test_whole_numbers_are_values_where_more_differ_than_a_class_has_samples(y, expected):
    assert expected == choose_objective(y)


@pytest.mark.parametrize(
    ("y", "taken", "expected", "way"),
    [
        (np.repeat(TENS, 10), "values", "squared_error", "cross_entropy"),
        (np.repeat(TENS, 40), "classes", "cross_entropy", "squared_error"),
        (np.repeat(np.arange(40), 10), "classes", "cross_entropy", "squared_error"),
        ([*range(40), *range(30)], "values", "squared_error", "cross_entropy"),
    ],
)
def test_what_whole_numbers_were_taken_for_is_said_where_it_is_close(y, taken, expected, way):
    pattern = rf"different whole numbers in \d+ samples, which were taken for {taken}; .* if they are, .*{way}"
    with pytest.warns(UserWarning, match=pattern) as caught:
        assert expected == choose_objective(y)
    assert 1 == len(caught)


def test_several_columns_of_whole_numbers_may_be_either():
    with pytest.raises(ValueError, match=r'multiclass-multioutput.*objective="squared_error"'):
        choose_objective([[1, 2], [3, 4], [5, 6]])


class _Stubborn:
    """A number that will not be read, and says why with an error of its own."""

    class Refusal(ValueError):
        def __init__(self, what, why):
            super().__init__(f"{what}: {why}")

    def __float__(self):
        raise self.Refusal("no number", "it is a secret")


def test_an_error_of_a_values_own_comes_through():
    with pytest.raises(_Stubborn.Refusal, match="no number: it is a secret"):
        read_target([_Stubborn(), _Stubborn()], "squared_error", 2)


def test_what_is_no_target_is_called_so():
    with pytest.raises(ValueError, match="Unknown label type"):
        choose_objective(np.zeros((2, 2, 2)))


@pytest.mark.parametrize("form", [np.array, list, pd.Series, lambda y: pd.Series(y, dtype="category")])
def test_labels_become_indices_into_the_sorted_classes(form):
    indices, classes = read_target(form(LETTERS), "cross_entropy", 5)
    assert [2, 0, 1, 0, 2] == indices.tolist()
    assert ["a", "b", "c"] == classes.tolist()


@pytest.mark.parametrize("form", [np.array, np.ndarray.tolist, csr_array, pd.DataFrame])
def test_a_matrix_of_labels_is_taken_as_it_is(form):
    matrix, classes = read_target(form(MATRIX), "binary_cross_entropy", 5)
    np.testing.assert_array_equal(matrix, MATRIX)
    assert [0, 1, 2] == classes.tolist()


def test_values_become_float64():
    values, classes = read_target([1, 2, 3], "squared_error", 3)
    assert np.float64 == values.dtype and classes is None


def test_reconstruction_needs_no_target():
    assert (None, None) == read_target(LETTERS, "reconstruction", 5)


@pytest.mark.parametrize(
    ("y", "objective", "message"),
    [
        (None, "cross_entropy", "requires y to be passed, but the target y is None"),
        (["a", "b"], "cross_entropy", "inconsistent numbers of samples: 5 sequences and 2 targets"),
        ([1.5, 2.5, 1.0, 2.0, 3.0], "cross_entropy", "Unknown label type: continuous"),
        ([1.0, np.nan, 2.0, 1.0, 1.0], "cross_entropy", "Input y contains NaN at sample 1"),
        (np.array(["a", np.nan, "b", "a", "b"], dtype=object), "cross_entropy", "y contains NaN at sample 1"),
        ([1.0, np.nan, 2.0, 1.0, 1.0], "squared_error", "Input y contains NaN"),
        ([1.0, np.inf, 2.0, 1.0, 1.0], "squared_error", "Input y contains infinity at sample 1"),
        (LETTERS, "squared_error", "could not convert string"),
        (np.zeros((5, 2, 3)), "squared_error", re.escape("(n_samples,) or (n_samples, n_outputs)")),
        (MATRIX + 1, "binary_cross_entropy", "matrix of 0 and 1.*MultiLabelBinarizer"),
        (LETTERS == "a", "binary_cross_entropy", "matrix of 0 and 1"),
    ],
)
def test_an_unusable_target_is_refused(y, objective, message):
    with pytest.raises(ValueError, match=message):
        read_target(y, objective, 5)


def test_an_unknown_label_is_named_with_its_place():
    with pytest.raises(ValueError, match=r"y_val\[2\] is .*'b'.* none of the classes \['a', 'c'\]"):
        read_target(LETTERS, "cross_entropy", 5, classes=np.array(["a", "c"]), name="y_val")


def test_labels_of_another_kind_are_unknown():
    with pytest.raises(ValueError, match=r"y\[0\] is .*1.* none of the classes"):
        read_target([1, 2], "cross_entropy", 2, classes=np.array(["a", "c"]))


@pytest.mark.parametrize(("y", "objective"), [(MATRIX, "binary_cross_entropy"), (np.ones((5, 3)), "squared_error")])
def test_columns_must_be_those_of_before(y, objective):
    read_target(y, objective, 5, n_outputs=3)
    with pytest.raises(ValueError, match="y has 3 columns, but the estimator was built for 2"):
        read_target(y, objective, 5, n_outputs=2)


def test_classes_without_samples_are_left_out():
    indices, classes = keep_present(np.array([0, 2, 2]), np.array(["a", "b", "c"]))
    assert ([0, 1, 1], ["a", "c"]) == (indices.tolist(), classes.tolist())


def test_numbers_that_no_float_holds_are_refused():
    with pytest.raises(ValueError, match="y holds a number that no float64 can hold"):
        read_target([10**400, 1, 2], "squared_error", 3)


@pytest.mark.parametrize("objective", ["cross_entropy", "squared_error"])
def test_masked_targets_are_refused(objective):
    with pytest.raises(ValueError, match="y has masked entries"):
        read_target(np.ma.masked_equal([0, 1, 2], 1), objective, 3)


@pytest.mark.parametrize("y", [np.zeros(3, "M8[D]"), np.zeros(3, "m8[s]"), np.zeros(3, [("a", float)])])
def test_dates_and_records_are_no_values(y):
    with pytest.raises(ValueError, match="holds no real numbers"):
        read_target(y, "squared_error", 3)


@pytest.mark.parametrize("y", [["a", 1, "b"], [object(), object(), object()]])
def test_labels_without_an_order_are_refused(y):
    with pytest.raises(TypeError, match="y holds labels that cannot be compared.*Make all labels of one kind"):
        read_target(np.array(y, dtype=object), "cross_entropy", 3)


@pytest.mark.parametrize("classes, message", [([], "one axis of labels"), ([[0, 1]], "one axis"), ([0, np.nan], "NaN")])
def test_classes_without_sense_are_refused(classes, message):
    with pytest.raises(ValueError, match=message):
        sorted_classes(classes, "classes")


def test_words_that_are_no_values_are_called_by_their_name():
    with pytest.raises(ValueError, match="y cannot be read as numbers: could not convert string to float: 'a'"):
        read_target(["a", "b"], "squared_error", 2)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_single_number_that_is_not_finite_is_refused_as_others_are(number):
    with pytest.raises(ValueError, match="Input y contains (NaN|infinity) at sample 0"):
        choose_objective(np.array(number))
