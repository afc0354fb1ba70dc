"""The regressor predicts one number or several, in the units and the shape of y."""

import pickle

import numpy as np
import pytest
from problems import SMALL, make_ragged, rise

from skattn import SelfAttentionRegressor

X = make_ragged(n_samples=41)
Y = rise(X)


def make(**parameters):
    return SelfAttentionRegressor(**SMALL | parameters)


@pytest.mark.parametrize("shape", [(41,), (41, 1), (41, 2)])
def test_predictions_have_the_shape_of_y(shape):
    y = np.column_stack([Y, Y**2])[:, : shape[-1]].reshape(shape) if len(shape) > 1 else Y
    assert shape == make().fit(X, y).predict(X).shape


def test_values_are_learned():
    assert SelfAttentionRegressor(random_state=0).fit(X, Y).score(X, Y) > 0.95


def test_several_values_are_learned_in_their_own_units():
    y = np.column_stack([1e6 * Y + 5e6, 1e-6 * Y**2])
    model = SelfAttentionRegressor(random_state=0).fit(X, y)
    for column, predicted in zip(y.T, model.predict(X).T, strict=True):
        assert np.corrcoef(column, predicted)[0, 1] > 0.95


@pytest.mark.parametrize("loss", ["absolute_error", "huber"])
def test_a_few_wrong_values_do_not_move_the_others(loss):
    spoiled = Y.copy()
    spoiled[::10] += 50 * Y.std()
    errors = {
        each: np.median(np.abs(make(loss=each, max_iter=100).fit(X, spoiled).predict(X) - Y))
        for each in (loss, "squared_error")
    }
    assert errors[loss] < 0.5 * errors["squared_error"]


def test_counts_are_learned_by_their_logarithm():
    """Predictions are positive, and of the mean; several networks say the mean of their rates."""
    counts = np.random.default_rng(0).poisson(np.exp(Y - Y.mean()))
    model = make(loss="poisson", max_iter=60, n_estimators=2, learning_rate_init=0.01).fit(X, counts)
    predicted = model.predict(X)
    assert predicted.min() > 0 and np.corrcoef(predicted, np.exp(Y))[0, 1] > 0.8
    each = np.mean([np.exp(model._carry(model._read_fitted(X), "outputs")[i][:, 0]) for i in range(2)], axis=0)
    np.testing.assert_allclose(predicted, each * counts.mean(), rtol=1e-5)
    np.testing.assert_allclose(
        make(loss="poisson", max_iter=100, learning_rate_init=0.01).fit(X, 0 * counts).predict(X), 0, atol=0.5
    )


def test_what_is_no_count_is_refused():
    with pytest.raises(ValueError, match='y holds -1, first below 0 at y.1., and the objective "poisson" is for'):
        make(loss="poisson").fit(X[:3], [2, -1, 0])
    with pytest.raises(ValueError, match='"sequence" makes values above and below 0 of y, and the loss "poisson"'):
        make(loss="poisson", normalise_target="sequence").fit(X, np.abs(Y))


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "poisson", "quantile"])
def test_another_loss_is_kept_and_refused_in_going_on(loss):
    model = make(loss=loss, warm_start=True).fit(X, np.abs(Y))
    assert model.objective_ == loss
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.fit(X, np.abs(Y)).predict(X), model.fit(X, np.abs(Y)).predict(X))
    model.loss = "squared_error"
    with pytest.raises(ValueError, match=f'asks for loss="squared_error", but the network was built for "{loss}"'):
        model.fit(X, np.abs(Y))
    with pytest.raises(ValueError, match="'loss' parameter of SelfAttentionRegressor must be a str among"):
        make(loss="cross_entropy").fit(X, np.abs(Y))


def test_units_do_not_matter():
    expected = make(max_iter=20).fit(X, Y).predict(X)
    np.testing.assert_allclose(make(max_iter=20).fit(X, 1024 * Y).predict(X), 1024 * expected, rtol=1e-7)


def test_a_constant_is_predicted():
    np.testing.assert_allclose(make(max_iter=100).fit(X, np.full(41, 7.0)).predict(X), 7.0, atol=1e-3)


def test_whole_numbers_are_values_too():
    y = np.round(Y).astype(int)
    np.testing.assert_array_equal(make().fit(X, y).predict(X), make().fit(X, y.astype(float)).predict(X))


def test_one_sample_is_enough():
    assert np.isfinite(make().fit(X[:1], [3.0]).predict(X)).all()


def test_a_regressor_has_neither_classes_nor_probabilities():
    model = make().fit(X, Y)
    assert not any(hasattr(model, name) for name in ("classes_", "predict_proba", "decision_function"))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed, but the target y is None"),
        (Y[:-1], "inconsistent numbers of samples: 41 sequences and 40 targets"),
        (np.where(np.arange(41) == 5, np.nan, Y), "Input y contains NaN"),
        (np.where(np.arange(41) == 5, np.inf, Y), "Input y contains infinity"),
        (np.where(Y > 0, "up", "down"), "could not convert string"),
        (Y.reshape(41, 1, 1), "3 dimensions"),
    ],
)
def test_an_unusable_y_is_refused(y, message):
    with pytest.raises(ValueError, match=message):
        make().fit(X, y)


@pytest.mark.parametrize("y", [np.column_stack([Y, Y]), np.column_stack([Y, Y, Y])])
def test_partial_fit_keeps_to_the_columns_of_the_first_call(y):
    """Not even one column may come for several, though it could be broadcast."""
    model = make().partial_fit(X, y)
    for other in (Y, np.column_stack([y, Y])):
        with pytest.raises(ValueError, match="but the estimator was built for"):
            model.partial_fit(X, other)


def test_partial_fit_keeps_the_units_of_the_first_call():
    model = make().partial_fit(X, Y)
    before = model.predict(X)
    model.set_params(learning_rate_init=1e-12).partial_fit(X, 1e6 * Y)
    np.testing.assert_allclose(model.predict(X), before, rtol=1e-3, atol=1e-6)


def test_validation_may_be_scored_by_r_squared():
    other = make_ragged(n_samples=19, seed=3)
    model = make(early_stopping=True, scoring="r2").fit(X, Y, X_val=other, y_val=rise(other))
    assert max(model.validation_scores_) == pytest.approx(model.score(other, rise(other)))


def test_quantiles_are_those_of_the_loss_that_was_fitted():
    model = make(causal=True, embedding="linear").fit(X, Y).set_params(loss="quantile")
    with pytest.raises(AttributeError, match="has no attribute 'predict_quantiles'"):
        model.predict_quantiles(X)
    with pytest.raises(ValueError, match="output='predict_quantiles' is no method"):
        model.stream(output="predict_quantiles")
    model = make(loss="quantile").fit(X, Y)
    expected = model.predict_quantiles(X)
    np.testing.assert_array_equal(model.set_params(loss="huber").predict_quantiles(X), expected)


@pytest.mark.parametrize("loss", ["squared_error", "huber", "absolute_error", "quantile"])
def test_a_spread_beyond_float64_is_refused_before_it_is_learned(loss):
    y = np.where(np.arange(len(X)) % 2, 1.7e308, -1.7e308)
    model = make(loss=loss)
    if loss == "squared_error":
        assert np.isfinite(model.fit(X, y).predict(X)).all()
        return
    with pytest.raises(ValueError, match="y is spread over more than float64 can hold"):
        model.fit(X, y)


def test_values_too_small_for_a_float_are_none_whatever_the_caller_says():
    tiny = [steps * 1e-310 for steps in X]
    model = make(normalise_target="sequence").fit(tiny, Y * 1e-310)
    expected = model.predict(tiny)
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(model.predict(tiny), expected)
