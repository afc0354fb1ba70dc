"""Numbers near the ends of their range: what comes is right, or an error that says what was too much."""

import pickle

import numpy as np
import pytest
import reference
from cases import make_batch, make_network
from problems import ESTIMATORS, SMALL, make_array, rise, target_of

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer
from skattn._training.objectives import OBJECTIVES, Target
from skattn._training.seen import look
from skattn._training.standardise import mean_and_scale, standardised

X = make_array()
TINY = dict(SMALL, d_model=6, d_feedforward=5, pooling="mean_max")


def assert_right(estimator, sequences):
    """Features are what the reference makes of the learned weights, in float64."""
    network = estimator._model.network
    features = estimator.transform(sequences)
    for got, steps in zip(features[:5], sequences, strict=False):
        steps = np.asarray(steps, np.float64)
        given = steps, network.mean, network.scale
        truth = reference.forward(network.weights, network.architecture, *given)["features"]
        np.testing.assert_allclose(got, truth, atol=2e-4 if network.dtype == np.float32 else 1e-10)


# Features


@pytest.mark.parametrize("dtype, unit", [
    ("float32", 1e-30), ("float32", 1e30), ("float64", 1e-30), ("float64", 1e30), ("float64", 1e-300),
    ("float64", 1e300), ("float32", 8e37), ("float64", 4e307),
])  # fmt: skip
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_the_unit_of_x_does_not_matter(kind, dtype, unit):
    scaled = (np.clip(X, -4, 4) * unit).astype(dtype)
    estimator = kind(**TINY).fit(scaled, target_of(kind(), X))
    assert_right(estimator, scaled)
    plain = kind(**TINY).fit(np.clip(X, -4, 4).astype(dtype), target_of(kind(), X))
    atol = 1e-3 if dtype == "float32" else 1e-9
    np.testing.assert_allclose(estimator.transform(scaled), plain.transform(np.clip(X, -4, 4)), atol=atol)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_features_of_very_different_units_learn_together(dtype):
    units = np.array([1e-30, 1.0, 1e30])
    mixed = (X * units).astype(dtype)
    y = rise(X)  # told by the feature of 1e-30
    regressor = SelfAttentionRegressor(**dict(TINY, max_iter=300, learning_rate_init=0.01)).fit(mixed, y)
    assert regressor.score(mixed, y) > 0.9
    assert_right(regressor, mixed)


def either_sign(number):
    """Sequences of a number with either sign, and what the first is."""
    X = np.where(np.random.default_rng(0).random((23, 5, 1)) < 0.3, -number, number)
    return X, [float(steps[0, 0] > 0) for steps in X]


@pytest.mark.parametrize("number", [np.finfo(np.float32).max, np.finfo(np.float64).max])
def test_the_largest_numbers_of_either_sign_are_told_apart(number):
    """Their difference overflows."""
    X, y = either_sign(number)
    regressor = SelfAttentionRegressor(**dict(TINY, max_iter=200, learning_rate_init=0.01)).fit(X, y)
    assert_right(regressor, X)
    assert regressor.score(X, y) > 0.9


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_denormal_numbers_are_finite_features(dtype):
    smallest = np.nextafter(np.zeros(1, dtype), np.ones(1, dtype))[0]
    X = smallest * np.random.default_rng(0).integers(-3, 4, (23, 5, 2)).astype(dtype)
    assert_right(SelfAttentionTransformer(**TINY).fit(X), X)
    rare = np.zeros_like(X)
    rare[0, 0] = smallest  # a deviation that rounds to 0
    assert_right(SelfAttentionTransformer(**TINY).fit(rare), rare)


@pytest.mark.parametrize("constant", [0.0, -0.0, 0.1, 1e-310, 3e38, -1e-45])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_constant_sequences_give_the_same_features(constant, dtype):
    X = np.full((11, 5, 3), constant, dtype)
    transformer = SelfAttentionTransformer(**TINY).fit(X)
    assert_right(transformer, X)
    assert 1 == len(np.unique(transformer.transform(X), axis=0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_constant_feature_beside_others_changes_nothing_else(dtype):
    weight = np.random.default_rng(0).uniform(1, 2, len(X))
    with_zero = np.insert(X.astype(dtype), 3, 0.0, axis=2)
    expected = SelfAttentionTransformer(**TINY).fit(with_zero, sample_weight=weight).transform(with_zero)
    for constant in (0.1, 1e20, 1e-30, 1e200 if dtype == "float64" else 3e38):
        with_constant = np.insert(X.astype(dtype), 3, constant, axis=2)
        transformer = SelfAttentionTransformer(**TINY).fit(with_constant, sample_weight=weight)
        np.testing.assert_array_equal(transformer.transform(with_constant), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_all_but_constant_feature_is_not_blown_up(dtype):
    """Its deviations may be rounding errors: they are no more than 1 afterwards."""
    almost = np.insert(X.astype(dtype), 3, 1e20, axis=2)
    almost[5, 2, 3] = np.nextafter(almost[5, 2, 3], almost.dtype.type(2e20))
    transformer = SelfAttentionTransformer(**TINY).fit(almost)
    network = transformer._model.network
    if dtype == "float64":  # in which it was measured
        assert np.abs((almost - network.mean) / network.scale)[..., 3].max() <= 1
    assert_right(transformer, almost)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_minus_zero_is_zero(dtype):
    zeros = np.where(X > 0, 0.0, X).astype(dtype)
    transformer = SelfAttentionTransformer(**TINY).fit(zeros)
    np.testing.assert_array_equal(transformer.transform(zeros), transformer.transform(np.where(X > 0, -zeros, zeros)))


@pytest.mark.parametrize("dtype", ["f2", "u1", "i1", "?", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_other_numbers_are_read_as_the_floats_nearest_to_them(dtype):
    limits = {"?": (0, 2), "f2": (-60000, 60000)}.get(dtype) or (np.iinfo(dtype).min, np.iinfo(dtype).max)
    whole = np.random.default_rng(0).uniform(*limits, size=X.shape).astype(dtype)
    floats = whole.astype(np.float32 if np.dtype(dtype).itemsize < 4 else np.float64)
    transformer = SelfAttentionTransformer(**TINY).fit(whole)
    np.testing.assert_array_equal(transformer.transform(whole), transformer.transform(floats))
    assert_right(transformer, whole)


# X that is far from the rest


@pytest.mark.parametrize("dtype, far", [
    ("float32", 1e3), ("float32", 1e25), ("float32", -3e38), ("float64", -1e160), ("float64", 1.7e308),
])  # fmt: skip
@pytest.mark.parametrize("pooling", ["mean", "max", "last", "attention", None])
def test_values_far_from_those_of_fit_count_by_their_logarithm(dtype, far, pooling):
    transformer = SelfAttentionTransformer(**dict(TINY, pooling=pooling)).fit(X.astype(dtype))
    away = X.astype(dtype)
    away[3, 2, 1] = far
    features, expected = transformer.transform(away), transformer.transform(X.astype(dtype))
    assert np.isfinite(features).all() and all(np.isfinite(w).all() for w in transformer.attention_weights(away))
    np.testing.assert_array_equal(np.delete(features, 3, axis=0), np.delete(expected, 3, axis=0))
    if pooling is not None:
        assert_right(transformer, away)


@pytest.mark.parametrize("far", [1e3, -1e30, 3e38])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_far_value_at_fit_gives_finite_results(kind, dtype, far):
    away = X.astype(dtype)
    away[3, 2, 1] = far
    estimator = kind(**TINY).fit(away, target_of(kind(), X))
    assert_right(estimator, away)


def test_farther_values_go_in_as_larger_ones():
    network, batch = make_network("float64", n_features=1), make_batch((7,), n_features=1)
    far = np.array([-8e307, -1e9, 29, 31, 100, 1e5, 8e307])
    batch.values[:, 0] = network.mean + network.scale * far
    standardised = network.forward(batch, "input")[:, 0]
    assert (np.diff(standardised) > 0).all() and np.abs(standardised).max() < 750
    np.testing.assert_allclose(standardised[2:4], far[2:4], rtol=0.02)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_that_carry_out_of_range_are_named(dtype):
    transformer = SelfAttentionTransformer(**TINY).fit(X.astype(dtype))
    transformer._model.network.weights["norm.scale"][:] = np.finfo(dtype).max / 2
    for method in (transformer.transform, transformer.attention_weights):
        transformer._model.network.weights["layers.0.query.weight"][:] = np.finfo(dtype).max / 2
        with pytest.raises(ValueError, match=f"exceeds {dtype}: its weights are as large as .* fit again"):
            method(X.astype(dtype))


# Targets


@pytest.mark.parametrize("unit", [1e-300, 1e-30, 1e30, 1e300])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_unit_of_y_does_not_matter(unit, dtype):
    y, inputs = rise(X), X.astype(dtype)
    plain = SelfAttentionRegressor(**TINY).fit(inputs, y).predict(inputs)
    scaled = SelfAttentionRegressor(**TINY).fit(inputs, y * unit).predict(inputs)
    np.testing.assert_allclose(scaled / unit, plain, atol=1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("offset, expected", [(0, np.float32), (1e3, np.float32), (1e9, np.float64)])
def test_predictions_have_the_digits_that_y_needs(offset, expected):
    y, inputs = rise(X), X.astype(np.float32)
    predicted = SelfAttentionRegressor(**TINY).fit(inputs, y + offset).predict(inputs)
    assert expected == predicted.dtype
    plain = SelfAttentionRegressor(**TINY).fit(inputs, y).predict(inputs)
    np.testing.assert_allclose(predicted - offset, plain, atol=0.02)  # Adam makes much of a gradient near 0
    assert len(np.unique(predicted)) > 20


def test_the_largest_targets_of_either_sign_are_told_apart():
    """Their difference overflows."""
    y = np.where(rise(X) > 0, -1e308, 1e308)
    regressor = SelfAttentionRegressor(**dict(TINY, max_iter=300, learning_rate_init=0.01)).fit(X, y)
    assert (np.sign(regressor.predict(X)) == np.sign(y)).all()


def test_a_prediction_beyond_all_floats_is_refused():
    target = Target(1, np.array([1e308]), np.array([1e308]))
    with pytest.raises(ValueError, match="A prediction exceeds float64.* scale y"):
        OBJECTIVES["squared_error"].predict(np.array([[7.0]]), target)


def test_denormal_targets_give_finite_predictions():
    """Their deviation is no scale to divide by."""
    y = np.where(rise(X) > 0, 5e-324, 1.5e-323)
    assert np.isfinite(SelfAttentionRegressor(**TINY).fit(X, y).predict(X)).all()


def test_targets_are_standardised_by_halves():
    y = np.array([[1.7e308], [1.7e308], [1.7e308], [-1.7e308]])
    result = standardised(y, *mean_and_scale(y))
    np.testing.assert_allclose(result[:, 0], [1 / 3**0.5] * 3 + [-(3**0.5)], rtol=1e-12)


def test_no_scale_is_below_the_smallest_normal_number():
    batch = make_batch((50, 50))
    batch.values[:] = 0
    batch.values[0] = 1e-310
    assert np.finfo(np.float64).tiny == look(batch, np.ones(2))[2].min()


# Weights of samples


@pytest.mark.parametrize("unit", [1e-307, 1e-30, 1e30, 1e307])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_unit_of_weights_does_not_matter(unit, dtype):
    weight = np.random.default_rng(0).uniform(1, 2, len(X))
    plain = SelfAttentionRegressor(**TINY, dtype=dtype).fit(X, rise(X), weight).predict(X)
    scaled = SelfAttentionRegressor(**TINY, dtype=dtype).fit(X, rise(X), weight * unit).predict(X)
    np.testing.assert_allclose(scaled, plain, rtol=1e-9 if dtype == "float64" else 1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_samples_of_very_different_weights_learn_what_weighs_most(dtype):
    weight = np.where(np.arange(len(X)) % 2, 1e30, 1e-30)
    y = np.arange(len(X)) % 2 + 1.0
    regressor = SelfAttentionRegressor(**TINY, dtype=dtype).fit(X, y, weight)
    np.testing.assert_allclose(regressor.predict(X), 2, rtol=1e-5)


# Parameters


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("learning_rate_init", [1e-300, 1e-30, 1.0, 1e3, 1e30, 1e300])
@pytest.mark.parametrize("alpha", [0.0, 1e30])
def test_any_learning_rate_gives_finite_results_or_says_that_training_diverged(
    dtype, optimizer, learning_rate_init, alpha
):
    chosen = {"optimizer": optimizer, "learning_rate_init": learning_rate_init, "alpha": alpha, "dtype": dtype}
    classifier = SelfAttentionClassifier(**TINY).fit(X, target_of(SelfAttentionClassifier(), X)).set_params(**chosen)
    before = pickle.dumps(vars(classifier))
    try:
        classifier.fit(X, target_of(classifier, X))
    except ValueError as error:
        assert "Training diverged" in str(error) and "learning_rate_init" in str(error)
        assert before == pickle.dumps(vars(classifier))
    else:
        probabilities = classifier.predict_proba(X)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
        assert np.isfinite(classifier.predict_log_proba(X)).all()


@pytest.mark.parametrize(
    "dtype, learning_rate_init, found",
    [
        ("float32", 1e30, r"weights as large as 1e\+30, and a loss that is not finite"),
        ("float32", 1e100, "parameters that are not finite"),
        ("float64", 1e300, r"weights as large as 1e\+300, and a loss that is not finite"),
    ],
)
def test_the_last_update_is_looked_at_too(dtype, learning_rate_init, found):
    """One epoch ends with weights that nobody has computed with."""
    chosen = {"learning_rate_init": learning_rate_init, "max_iter": 1, "dtype": dtype}
    with pytest.raises(ValueError, match=f"Training diverged .*{found}"):
        SelfAttentionTransformer(**TINY | chosen).fit(X)


@pytest.mark.parametrize("dtype, factor", [("float32", 1e20), ("float64", 1e200)])
def test_weights_that_overflow_later_are_refused(dtype, factor):
    transformer = SelfAttentionTransformer(**TINY, dtype=dtype).fit(X)
    transformer._model.network.parameters *= factor
    with pytest.raises(ValueError, match=f"exceeds {dtype}: its weights are as large as .* diverged"):
        transformer.transform(X)


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_almost_everything_may_be_dropped(kind, dtype):
    assert_right(kind(**dict(TINY, dropout=1 - 2**-53), dtype=dtype).fit(X, target_of(kind(), X)), X)
