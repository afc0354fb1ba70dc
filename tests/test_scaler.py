"""`SequenceScaler`: scikit-learn's checks, the forms of X, names, the way back, and numbers of any size."""

import pickle

import numpy as np
import pandas as pd
import pytest
from problems import make_array, make_ragged, pad
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skattn import SelfAttentionClassifier, SequenceScaler
from skattn.scales import METHODS

ALL = [
    SequenceScaler(method=method, within=within, differences=differences)
    for method in METHODS
    for within in ("data", "sequence")
    for differences in (False, True)
]
RAGGED = make_ragged()


@parametrize_with_checks(ALL)
def test_scikit_learns_checks_pass(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("method", "reference", "rtol"),
    [
        ("standard", StandardScaler(), 1e-12),
        ("min_max", MinMaxScaler(), 1e-12),
        # Quartiles there are between two values, and here the lower of them.
        ("robust", RobustScaler(unit_variance=True), 0.05),
    ],
)
def test_over_all_steps_it_scales_as_scikit_learn_scales_a_table_of_steps(method, reference, rtol):
    X = make_ragged(n_samples=101)
    expected = reference.fit_transform(np.concatenate(X))
    np.testing.assert_allclose(
        np.concatenate(SequenceScaler(method=method).fit_transform(X)), expected, rtol, atol=rtol
    )


@pytest.mark.parametrize("scaler", ALL, ids=repr)
def test_all_forms_of_x_give_the_same(scaler):
    padded = pad(RAGGED)
    expected = pad(clone(scaler).fit(RAGGED).transform(RAGGED))
    np.testing.assert_array_equal(expected, clone(scaler).fit(padded).transform(padded))
    rows = padded.reshape(len(RAGGED), -1)
    scaler = clone(scaler).set_params(n_step_features=3)
    np.testing.assert_array_equal(expected.reshape(len(RAGGED), -1), scaler.fit(rows).transform(rows))
    np.testing.assert_array_equal(expected, scaler.fit(padded).transform(padded))
    alone = scaler.transform(RAGGED[:1])[0]
    np.testing.assert_array_equal(alone, expected[0, : len(alone)])


@pytest.mark.parametrize("method", METHODS)
def test_within_each_sequence_others_and_levels_do_not_count(method):
    scaler = SequenceScaler(method=method, within="sequence", differences=True).fit(RAGGED)
    moved = [sequence * 4 + 100 for sequence in RAGGED]
    for one, other in zip(scaler.transform(RAGGED), scaler.transform(moved), strict=True):
        if method == "none":
            other[:, :3] = (other[:, :3] - 100) / 4
            other[:, 3:] /= 4
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


def test_differences_come_behind_the_features_of_their_step():
    X = make_array()
    scaler = SequenceScaler(method="none", differences=True)
    scaled = scaler.fit_transform(X)
    np.testing.assert_array_equal(scaled[..., :3], X)
    np.testing.assert_array_equal(scaled[:, 0, 3:], 0)
    np.testing.assert_allclose(scaled[:, 1:, 3:], np.diff(X, axis=1) / np.diff(X, axis=1).std(axis=(0, 1)))


@pytest.mark.parametrize("given", [np.float32, np.float64])
@pytest.mark.parametrize("asked", ["auto", "float32", "float64"])
def test_the_precision_is_that_of_x_or_what_is_asked_for(given, asked):
    scaled = SequenceScaler(dtype=asked).fit_transform(make_array().astype(given))
    assert scaled.dtype == (given if asked == "auto" else asked)


@pytest.mark.parametrize("within", ["data", "sequence"])
@pytest.mark.parametrize("method", ["standard", "robust", "min_max"])
def test_an_offset_costs_nothing(method, within):
    X = np.round(make_array() * 2**10) / 2**10  # so that X + 2**30 is exact
    scaler = SequenceScaler(method=method, within=within, differences=True, dtype="float32")
    expected = clone(scaler).fit_transform(X)
    np.testing.assert_allclose(scaler.fit_transform(X + 2.0**30), expected, rtol=1e-5, atol=1e-6)


def test_weighting_is_repeating():
    counts = np.arange(len(RAGGED)) % 3
    repeated = [RAGGED[i] for i in np.repeat(np.arange(len(RAGGED)), counts)]
    for scaler in ALL:
        expected, found = clone(scaler).fit(repeated), clone(scaler).fit(RAGGED, sample_weight=counts)
        for one, other in zip(expected.transform(RAGGED), found.transform(RAGGED), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("scaler", [s for s in ALL if s.within == "data" or s.method == "none"], ids=repr)
def test_the_way_back_leads_to_where_it_began(scaler):
    scaler, padded = clone(scaler).fit(RAGGED), pad(RAGGED)
    np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(padded)), padded, rtol=1e-12)
    for one, other in zip(scaler.inverse_transform(scaler.transform(RAGGED)), RAGGED, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    rows = padded.reshape(len(RAGGED), -1)
    scaler = clone(scaler).set_params(n_step_features=3).fit(rows)
    scaled = scaler.transform(rows)
    np.testing.assert_allclose(scaler.inverse_transform(scaled), rows, rtol=1e-12)


def test_the_way_back_begins_with_what_transform_gives():
    scaler = SequenceScaler(differences=True).fit(RAGGED)
    with pytest.raises(ValueError, match="X has 3 features, but SequenceScaler is expecting 6"):
        scaler.inverse_transform(RAGGED)


def test_there_is_no_way_back_from_a_scale_of_each_sequence():
    scaler = SequenceScaler(within="sequence")
    assert not hasattr(scaler, "inverse_transform")
    scaler.fit(RAGGED)
    with pytest.raises(AttributeError) as caught:
        scaler.set_params(within="data").inverse_transform(RAGGED)
    assert 'no inverse_transform; keep X itself, or use within="data"' in str(caught.value.__cause__)


def test_what_was_fitted_counts_whatever_was_set_since():
    scaler = SequenceScaler(within="sequence").fit(RAGGED)
    expected = scaler.transform(RAGGED)
    scaler.set_params(method="none", within="data", differences=True)
    for one, other in zip(expected, scaler.transform(RAGGED), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_columns_of_a_table_have_names():
    frame = pd.DataFrame(make_array().reshape(23, -1)[:, :4], columns=["a_0", "b_0", "a_1", "b_1"], index=range(5, 28))
    scaler = SequenceScaler(n_step_features=2, differences=True).set_output(transform="pandas").fit(frame)
    scaled = scaler.transform(frame)
    assert [
        *["a_0", "b_0", "a_0_difference", "b_0_difference"],
        *["a_1", "b_1", "a_1_difference", "b_1_difference"],
    ] == list(scaled.columns)
    np.testing.assert_array_equal(frame.index, scaled.index)
    np.testing.assert_array_equal(["a_0", "b_0", "a_1", "b_1"], scaler.feature_names_in_)
    np.testing.assert_allclose(scaler.inverse_transform(scaled), frame, rtol=1e-12)


def test_other_forms_have_no_columns_and_come_as_they_are():
    with config_context(transform_output="pandas"):
        assert isinstance(SequenceScaler().fit_transform(make_array()), np.ndarray)
        assert isinstance(SequenceScaler().fit_transform(RAGGED), list)
    with pytest.raises(AttributeError) as caught:
        SequenceScaler().fit(RAGGED).get_feature_names_out()
    assert "no columns to be named" in str(caught.value.__cause__)


def test_lists_of_rows_are_a_table_afterwards_too():
    rows = make_array().reshape(23, -1)
    scaler = SequenceScaler(n_step_features=3).fit(rows.tolist())
    np.testing.assert_array_equal(scaler.transform(rows), scaler.transform(rows.tolist()))


def test_a_sequence_at_a_time_is_all_at_once():
    scaler, X = SequenceScaler(differences=True), make_array()
    for sequence in X:
        scaler.partial_fit(sequence[np.newaxis])
    np.testing.assert_allclose(scaler.transform(X), clone(scaler).fit_transform(X), rtol=1e-10, atol=1e-12)
    assert not np.allclose(scaler.transform(X), scaler.fit(X[:3]).transform(X))


def test_quartiles_of_all_steps_cannot_be_added_to():
    assert hasattr(SequenceScaler(method="robust", within="sequence"), "partial_fit")
    with pytest.raises(AttributeError) as caught:
        SequenceScaler(method="robust").partial_fit(RAGGED)
    assert "needs all steps at once" in str(caught.value.__cause__)


def test_a_far_value_moves_neither_median_nor_quartiles():
    X = make_array()
    expected = SequenceScaler(method="robust").fit(X)
    X[3, 2, 1] = X.max() * 1e6
    found = SequenceScaler(method="robust").fit(X)
    np.testing.assert_allclose(found.center_, expected.center_, atol=0.1)
    np.testing.assert_allclose(found.scale_, expected.scale_, rtol=0.1)


def test_what_comes_out_beyond_float32_is_refused():
    scaler = SequenceScaler(dtype="float32").fit(RAGGED)
    with pytest.raises(ValueError, match="sample 1 of X exceeds float32, in feature 2"):
        scaler.transform([RAGGED[0], np.array([[0, 0, 1e300]])])


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"method": "mean"}, "method"),
        ({"within": "row"}, "within"),
        ({"differences": "yes"}, "differences"),
        ({"n_step_features": 0}, "n_step_features"),
        ({"dtype": "float16"}, "dtype"),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(parameters, found):
    with pytest.raises(ValueError, match=found):
        SequenceScaler(**parameters).fit(RAGGED)


@pytest.mark.parametrize("method", ["transform", "inverse_transform", "get_feature_names_out"])
def test_an_unfitted_one_says_so(method):
    with pytest.raises(NotFittedError):
        getattr(SequenceScaler(), method)(RAGGED)


def test_other_features_than_those_of_fit_are_refused():
    with pytest.raises(ValueError, match="X has 2 features, but SequenceScaler is expecting 3"):
        SequenceScaler().fit(RAGGED).transform([sequence[:, :2] for sequence in RAGGED])


def with_gaps():
    """Sequences without some values, without a whole step within, and one that has nothing of a feature."""
    generator = np.random.default_rng(0)
    X = [generator.normal(3, 2, (n, 3)) for n in (9, 4, 12, 7, 5)]
    for steps in X:
        steps[generator.random(steps.shape) < 0.2] = np.nan
        steps[-1] = 1.5
    X[2][4] = np.nan
    X[3][:, 1] = np.nan
    return X


@pytest.mark.parametrize("scaler", ALL, ids=str)
def test_what_is_missing_is_not_counted_and_passed_on(scaler):
    X = with_gaps()
    scaled = clone(scaler).fit_transform(X)
    for number, (steps, told) in enumerate(zip(X, scaled, strict=True)):
        values = told[:, :3]
        np.testing.assert_array_equal(np.isnan(values), np.isnan(steps))
        if scaler.differences:
            is_unknown = np.isnan(np.diff(steps, axis=0, prepend=0.0))
            np.testing.assert_array_equal(np.isnan(told[1:, 3:]), is_unknown[1:])
            assert (told[0, 3:][~np.isnan(steps[0])] == 0).all()
        # A feature is scaled as if there were nothing but what is there.
        for feature in range(3):
            there = ~np.isnan(steps[:, feature])
            own = [part[~np.isnan(part[:, feature]), feature][:, np.newaxis] for part in X]
            own = [part for part in own if len(part)]
            if not there.any():
                continue
            alone = SequenceScaler(method=scaler.method, within=scaler.within).fit(own)
            expected = alone.transform([steps[there, feature][:, np.newaxis]])[0][:, 0]
            np.testing.assert_allclose(values[there, feature], expected, rtol=1e-12, atol=1e-12, err_msg=str(number))
    if scaler.within == "data":
        for steps, back in zip(X, clone(scaler).fit(X).inverse_transform(scaled), strict=True):
            np.testing.assert_allclose(back, steps, rtol=1e-9, atol=1e-9)


def test_what_is_missing_goes_on_to_an_estimator_that_learns_around_it():
    X = with_gaps() * 4
    model = make_pipeline(SequenceScaler(), SelfAttentionClassifier(max_iter=2, handle_missing="mask", random_state=0))
    assert model.fit(X, np.arange(20) % 2).predict_proba(X).shape == (20, 2)
    with pytest.raises(ValueError, match='contains NaN at sample .*handle_missing="mask"'):
        make_pipeline(SequenceScaler(), SelfAttentionClassifier(max_iter=2)).fit(X, np.arange(20) % 2)


def test_overflow_beside_what_is_missing_is_refused():
    X = [np.array([[1.0], [np.nan], [2.0]]), np.array([[-1e308], [np.nan], [1e308]])]
    scaler = SequenceScaler(method="min_max", within="sequence").fit(X[:1])
    with pytest.raises(ValueError, match="What becomes of sample 1 of X exceeds float64, in feature 0"):
        scaler.transform(X)
    with pytest.raises(ValueError, match="contains infinity"):
        SequenceScaler().fit([np.array([[np.inf], [np.nan], [1.0]])])


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_refused_fit_leaves_what_was_there(method):
    scaler = SequenceScaler().fit(RAGGED)
    before = dict(vars(scaler))
    with pytest.raises(ValueError, match="weights are zero"):
        getattr(scaler, method)(RAGGED, sample_weight=np.zeros(len(RAGGED)))
    assert vars(scaler) == before


def test_x_is_not_written():
    X = make_array()
    expected = X.copy()
    for scaler in ALL:
        scaled = clone(scaler).fit_transform(X)
        scaled[:] = 0
    np.testing.assert_array_equal(expected, X)


def test_a_pickled_one_goes_on():
    scaler = SequenceScaler(differences=True).fit(RAGGED[:7])
    copied = pickle.loads(pickle.dumps(scaler))
    for one, other in zip(
        copied.partial_fit(RAGGED[7:]).transform(RAGGED), scaler.partial_fit(RAGGED[7:]).transform(RAGGED), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_a_warning_points_at_the_line_that_calls_fit():
    X = np.zeros((20, 9, 1))
    X[:, :4] = 1 + np.random.default_rng(0).random((20, 4, 1))
    X[::2, :7] = 1.5
    with pytest.warns(UserWarning, match="zeros") as caught:
        SequenceScaler().fit(X)
    assert __file__ == caught[0].filename


def test_an_estimator_goes_on_with_what_comes_out():
    X, y = make_ragged(), np.arange(23) % 2
    model = make_pipeline(
        SequenceScaler(within="sequence", differences=True),
        SelfAttentionClassifier(embedding="linear", n_estimators=1, max_iter=2, random_state=0),
    )
    assert (23, 2) == model.fit(X, y).predict_proba(X).shape
