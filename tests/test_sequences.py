"""Whatever form X comes in, the same sequences are read."""

import pickle
import warnings
from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import as_objects
from reading import (
    LENGTHS,
    N_FEATURES,
    SAME_SEQUENCES,
    Reader,
    assert_same_samples,
    make_samples,
    padded,
    read,
)
from sklearn.compose import ColumnTransformer

from skattn import _step_checks


@pytest.fixture
def ragged():
    return make_samples()


@pytest.mark.parametrize("form", SAME_SEQUENCES)
def test_the_same_sequences_are_read_from_every_form(ragged, form):
    X = SAME_SEQUENCES[form](ragged)
    estimator = Reader()
    got = read(X, estimator)
    assert_same_samples(ragged, got)
    assert estimator.n_features_in_ == N_FEATURES == got.n_features
    assert hasattr(estimator, "feature_names_in_") == (form == "polars frames")
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


@pytest.mark.parametrize("form", [list, tuple, as_objects, pd.Series, pl.Series])
def test_lists_of_numbers_of_unequal_length_are_sequences_of_one_feature(form):
    samples = [np.arange(float(n)) for n in LENGTHS]
    got = read(form(samples))
    assert got.kind == "ragged"
    assert_same_samples([steps[:, None] for steps in samples], got)


def test_arrays_of_arrays_of_equal_length_are_no_table():
    samples = [as_objects(list(steps)) for steps in np.arange(12.0).reshape(2, 3, 2)]
    for X in (samples, [[row.tolist() for row in sample] for sample in samples]):
        assert "ragged" == read(X).kind
        assert_same_samples(np.arange(12.0).reshape(2, 3, 2), read(X))


def test_plain_lists_of_equal_length_are_the_rows_of_a_table_at_fit():
    estimator = Reader()
    assert "rows" == read([[1.0, 2.0, 3.0], (4.0, 5.0, 6.0)], estimator).kind
    assert 3 == estimator.n_features_in_


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


@pytest.mark.parametrize("block", [1, 7, 10, 100])
def test_padding_is_told_some_rows_at_a_time(monkeypatch, ragged, block):
    """Samples may begin and end within such a block, and fill several."""
    monkeypatch.setattr(_step_checks, "_BLOCK", block)
    for X in (padded(ragged), [np.vstack([steps, np.full((4, N_FEATURES), np.nan)]) for steps in ragged]):
        assert_same_samples(ragged, read(X))
    X = padded(ragged)
    X[2, 5, 1] = np.nan
    with pytest.raises(ValueError, match="sample 2, step 5, feature 1"):
        read(X)


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


# A sequence alone, and in company


FLAT = [np.arange(4.0), np.arange(6.0), np.arange(6.0) + 1]
FLAT_FORMS = [list, tuple, as_objects, pd.Series, pl.Series, lambda X: [pd.Series(x) for x in X]]


@pytest.mark.parametrize("form", FLAT_FORMS)
def test_arrays_of_one_axis_are_sequences_whatever_the_lengths_beside_them(form):
    for some in (FLAT, FLAT[1:], FLAT[:1]):
        estimator = Reader()
        got = read(form(some), estimator)
        assert "ragged" == got.kind and 1 == estimator.n_features_in_
        assert_same_samples([steps[:, None] for steps in some], got)


@pytest.mark.parametrize("fitted_on", [FLAT, FLAT[1:], np.ones((5, 6)), np.ones((5, 6)).tolist(), np.ones((5, 6, 1))])
@pytest.mark.parametrize("form", [*FLAT_FORMS, lambda X: [x.tolist() for x in X], lambda X: tuple(map(tuple, X))])
def test_after_fit_a_sequence_alone_is_what_it_is_in_company(form, fitted_on):
    estimator = Reader().fit(fitted_on)
    assert_same_samples([steps[:, None] for steps in FLAT], read(form(FLAT), estimator, reset=False))
    for i in range(len(FLAT)):
        assert_same_samples([FLAT[i][:, None]], read(form(FLAT[i : i + 1]), estimator, reset=False))


def test_lists_of_rows_are_the_same_sequences_as_the_table():
    rows = np.arange(12.0).reshape(2, 6)
    estimator = Reader(n_step_features=2).fit(rows.tolist())
    assert 6 == estimator.n_features_in_
    for X in (rows, rows.tolist(), list(rows)):
        assert_same_samples(list(rows.reshape(2, 3, 2)), read(X, estimator, reset=False))


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


# One sequence, or sequences of one step


@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("width", [1, 3])
def test_one_sequence_is_not_taken_for_sequences_of_one_step(container, width):
    X = np.random.default_rng(0).normal(size=(5, 7, width))
    for fitted_on in (X, list(X)):
        estimator = Reader(n_step_features=width).fit(fitted_on)
        message = r"7 sequences of one step each, .* up to 9 steps. Pass one sequence alone as X\[np.newaxis\], and"
        with pytest.raises(ValueError, match=message):
            read(container(X[0]), estimator, reset=False, longest=9)
        assert_same_samples(X[:1], read(X[0][np.newaxis], estimator, reset=False, longest=9))
        single = X[0].reshape(-1, 1, width)
        assert_same_samples(list(single), read(single, estimator, reset=False, longest=9))


def test_rows_of_one_step_are_read_where_fit_knew_such_or_rows():
    X = np.arange(5.0)[:, np.newaxis]
    assert_same_samples(X[:, np.newaxis], read(X, Reader().fit(X[:, np.newaxis]), reset=False, longest=1))
    assert_same_samples(X[:, np.newaxis], read(X, Reader().fit(X), reset=False, longest=9))
    assert_same_samples(
        [X[:4], X[1:]], read(np.hstack([X[:4], X[1:]]).T, Reader().fit(X[None]), reset=False, longest=9)
    )
