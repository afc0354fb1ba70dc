"""Scikit-learn's own checks, those that it never runs by itself, and their twins for sequences."""

import copy
import inspect

import numpy as np
import pandas as pd
import pytest
from problems import (
    ESTIMATORS,
    FORMS,
    SMALL,
    assert_same_bits,
    direction,
    fitted,
    make_ragged,
    pad,
    results_of,
    rise,
    take,
    target_of,
)
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skattn import SelfAttentionClassifier, SelfAttentionTransformer, SoftLookupClassifier, SoftLookupRegressor
from skattn.parameters import SelfAttentionParameters

OF_TABLES = (SoftLookupClassifier, SoftLookupRegressor)
NEVER_YIELDED = [
    "check_dataframe_column_names_consistency",
    "check_get_feature_names_out_error",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_inplace_ensure_writeable",
    "check_param_validation",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
]


@parametrize_with_checks([estimator() for estimator in (*ESTIMATORS, *OF_TABLES)])
def test_check_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names:UserWarning")
@pytest.mark.parametrize("check", NEVER_YIELDED)
@pytest.mark.parametrize("estimator", [*ESTIMATORS, *OF_TABLES])
def test_check_that_scikit_learn_never_yields(estimator, check):
    getattr(estimator_checks, check)(estimator.__name__, estimator(max_iter=2))


def test_several_labels_a_sample_pass_the_check_of_several_outputs():
    """It is yielded only for several columns of classes, but its subject is a 0/1 matrix."""
    estimator_checks.check_classifier_multioutput("SelfAttentionClassifier", SelfAttentionClassifier(max_iter=2))


@pytest.fixture(params=ESTIMATORS, ids=lambda estimator: estimator.__name__)
def estimator(request):
    """An unfitted estimator that fits in a moment."""
    return request.param(**SMALL)


@pytest.fixture(params=FORMS.values(), ids=FORMS.keys())
def X(request):
    """Sequences in one of the forms."""
    return request.param()


def test_fitting_twice_gives_the_same_bits(estimator, X):
    expected = results_of(fitted(clone(estimator), X), X)
    assert_same_bits(results_of(fitted(fitted(estimator, X), X), X), expected)


def test_results_do_not_depend_on_the_rest_of_the_batch(estimator, X):
    whole = results_of(fitted(estimator, X), X)
    for i in range(len(X)):
        alone = results_of(estimator, take(X, [i]))
        assert_same_bits(alone, {name: result[[i]] for name, result in whole.items()})


def test_results_follow_the_order_of_samples(estimator, X):
    order = np.random.default_rng(5).permutation(len(X))
    expected = {name: result[order] for name, result in results_of(fitted(estimator, X), X).items()}
    assert_same_bits(results_of(estimator, take(X, order)), expected)


def test_fit_transform_is_fit_and_transform(estimator, X):
    y = target_of(estimator, X)
    np.testing.assert_array_equal(clone(estimator).fit_transform(X, y), estimator.fit(X, y).transform(X))


def test_nothing_that_was_passed_is_altered(estimator, X):
    y = target_of(estimator, X)
    weight = np.linspace(0.5, 2.0, len(X))
    before = copy.deepcopy((X, y, weight, estimator.get_params()))
    results_of(estimator.fit(X, y, weight), X)
    for old, new in zip(before[0], X, strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(before[1], y)
    np.testing.assert_array_equal(before[2], weight)
    assert before[3] == estimator.get_params()


def test_applying_changes_nothing(estimator, X):
    before = dict(vars(fitted(estimator, X)))
    results_of(estimator, X)
    assert vars(estimator) == before


def test_a_clone_is_unfitted_and_alike(estimator, X):
    twin = clone(fitted(estimator, X))
    assert twin.get_params() == estimator.get_params()
    with pytest.raises(NotFittedError):
        twin.transform(X)


def test_read_only_sequences_are_read(estimator):
    sequences, array = make_ragged(), pad(make_ragged())
    array.flags.writeable = False
    for sequence in sequences:
        sequence.flags.writeable = False
    assert_same_bits(
        results_of(fitted(estimator, sequences), sequences), results_of(fitted(clone(estimator), array), array)
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_preserved(estimator, dtype):
    X = make_ragged(dtype=dtype)
    assert dtype == fitted(estimator, X).transform(X).dtype


@pytest.mark.parametrize("form", ["array", "list"])
def test_weighting_a_sample_is_the_same_as_repeating_it(estimator, form):
    X = FORMS[form]()
    y = target_of(estimator, X)
    weight = np.random.default_rng(7).integers(0, 4, size=len(X))
    repeated = np.repeat(np.arange(len(X)), weight)
    weighted = clone(estimator).set_params(max_iter=20).fit(X, y, sample_weight=weight)
    estimator.set_params(max_iter=20).fit(take(X, repeated), y[repeated])
    for name, expected in results_of(estimator, X).items():
        if name != "predict" or expected.dtype.kind == "f":
            np.testing.assert_allclose(results_of(weighted, X)[name], expected, rtol=1e-7, atol=1e-9)


def test_another_width_than_at_fit_is_refused(estimator):
    X = make_ragged(n_features=3)
    fitted(estimator, X)
    with pytest.raises(ValueError, match=f"X has 5 features, but {type(estimator).__name__} is expecting 3"):
        estimator.transform(make_ragged(n_features=5))


def test_features_are_counted_by_step_and_columns_by_row(estimator):
    assert 3 == fitted(estimator, make_ragged(n_features=3)).n_features_in_
    assert 7 == fitted(estimator, FORMS["rows"]()).n_features_in_


def test_sequences_longer_than_any_at_fit_are_welcome(estimator):
    X = make_ragged()
    longer = [np.tile(sequence, (5, 1)) for sequence in X]
    assert len(X) == len(fitted(estimator, X).transform(longer))


def test_values_and_labels_of_other_containers_are_read():
    """Lists and data frame columns are as good as arrays."""
    X = make_ragged()
    for y in (direction(X).tolist(), pd.Series(direction(X)), pd.Series(direction(X), dtype="category")):
        expected = SelfAttentionTransformer(**SMALL).fit(X, direction(X)).transform(X)
        np.testing.assert_array_equal(SelfAttentionTransformer(**SMALL).fit(X, y).transform(X), expected)
    expected = SelfAttentionTransformer(**SMALL).fit(X, rise(X)).transform(X)
    actual = SelfAttentionTransformer(**SMALL).fit(X, pd.Series(rise(X))).transform(X)
    np.testing.assert_array_equal(actual, expected)


def test_all_estimators_share_parameters_defaults_and_their_order():
    shared = inspect.signature(SelfAttentionParameters).parameters
    for estimator in ESTIMATORS:
        parameters = inspect.signature(estimator).parameters
        assert list(parameters.items())[: len(shared)] == list(shared.items())
