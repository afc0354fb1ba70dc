"""Quantiles: learned, moved to where samples say that were not learned from, and never crossed."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from problems import SMALL

from skattn import SelfAttentionRegressor
from skattn._training.calibrate import SHARE, calibrate_quantiles, held_out
from skattn._training.objectives import OBJECTIVES, Target

LEVELS = (0.05, 0.5, 0.95)


@pytest.fixture(scope="module")
def data():
    """Values with noise that the level of the second feature tells the size of: X, y, X and y to test."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(500, 8, 2))
    X[::2, :, 1] += 2
    y = 3 * X[:, :, 0].mean(axis=1) + generator.normal(size=500) * np.where(np.arange(500) % 2, 0.2, 1.0)
    return X[:300], y[:300], X[300:], y[300:]


def make(**parameters):
    return SelfAttentionRegressor(**{**SMALL, "loss": "quantile", "max_iter": 30, **parameters})


def between(quantiles, y):
    return np.mean((quantiles[..., 0] <= y) & (y <= quantiles[..., -1]))


@pytest.mark.parametrize("options", [{}, {"n_estimators": 3}, {"early_stopping": True}])
def test_as_many_values_lie_between_quantiles_as_they_say(data, options):
    X, y, X_test, y_test = data
    model = make(learning_rate_init=0.01, max_iter=60, **options).fit(X, y)
    quantiles = model.predict_quantiles(X_test)
    assert quantiles.shape == (200, 3)
    assert 0.84 <= between(quantiles, y_test) <= 0.97
    np.testing.assert_array_equal(model.predict(X_test), quantiles[:, 1])
    # Where noise is large, quantiles are far apart.
    distance, is_noisy = quantiles[:, 2] - quantiles[:, 0], np.arange(200) % 2 == 0
    assert distance[is_noisy].mean() > 1.3 * distance[~is_noisy].mean()


def test_quantiles_never_cross(data):
    X, y, X_test, _ = data
    levels = tuple(np.linspace(0.02, 0.98, 25))
    model = make(quantiles=levels, max_iter=2).fit(X, y)
    outputs = model._carry(model._read_fitted(X_test), "outputs")[0]
    assert (np.diff(outputs, axis=1) < 0).any()
    assert (np.diff(model.predict_quantiles(X_test), axis=1) >= 0).all()


def test_forms_of_y_and_ways_to_keep_a_model(data, tmp_path):
    X, y, X_test, _ = data
    both = np.column_stack([y, -y])
    model = make().fit(X, both)
    quantiles = model.predict_quantiles(X_test)
    assert quantiles.shape == (200, 2, 3) and model.predict(X_test).shape == (200, 2)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_quantiles(X_test), quantiles)
    model.save_weights(tmp_path / "weights")
    np.testing.assert_array_equal(make().load_weights(tmp_path / "weights").predict_quantiles(X_test), quantiles)
    assert model.set_params(warm_start=True, max_iter=1).fit(X, both).predict_quantiles(X_test).shape == (200, 2, 3)
    steps = make(causal=True).fit(X, list(np.cumsum(X[:, :, 0], axis=1)))
    assert steps.predict_quantiles(X_test)[0].shape == (8, 3) and steps.predict(X_test)[0].shape == (8,)
    of_levels = make(normalise_target="sequence").fit(X, y)
    np.testing.assert_array_equal(of_levels.predict_quantiles(X_test)[:, 1], of_levels.predict(X_test))


def test_weighting_a_sample_is_repeating_it(data):
    X, y, X_test, _ = data
    X, y = X[:60], y[:60]
    weighted = make(max_iter=3).fit(X, y, sample_weight=[2] * 20 + [1] * 40).predict_quantiles(X_test)
    repeated = make(max_iter=3).fit(np.concatenate([X, X[:20]]), np.append(y, y[:20])).predict_quantiles(X_test)
    np.testing.assert_allclose(repeated, weighted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "levels, median", [((0.1, 0.4, 0.6), 2.5), ((0.6, 0.9), 1.0), ((0.1, 0.2), 2.0), ((0.7,), 1.0)]
)
def test_the_median_lies_between_quantiles_or_is_the_nearest(levels, median):
    target = Target(len(levels), np.zeros(1), np.ones(1), is_column=True, quantiles=levels)
    outputs = np.arange(1.0, len(levels) + 1)[np.newaxis]
    np.testing.assert_allclose(OBJECTIVES["quantile"].predict(outputs, target), [median])


def test_quantiles_move_by_what_held_out_samples_tell():
    generator = np.random.default_rng(0)
    wanted = generator.normal(size=(1001, 2))
    networks, parts = [], []
    for indices in (slice(0, 400), slice(400, 1001)):
        bias = np.zeros(6)
        networks.append(
            SimpleNamespace(
                weights={"head.bias": bias},
                forward=lambda data, name, n_jobs, bias=bias: np.tile(bias, (data, 1)),
            )
        )
        target = wanted[indices]
        parts.append(SimpleNamespace(data=len(target), target=target, weight=np.ones(len(target))))
    calibrate_quantiles(networks, parts, LEVELS)
    expected = np.quantile(wanted, LEVELS, axis=0, method="inverted_cdf").T.ravel()
    for network in networks:
        np.testing.assert_array_equal(network.weights["head.bias"], expected)


def test_each_sample_is_held_out_from_one_network():
    parts = [held_out(103, number) for number in range(SHARE)]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(103))
    assert len(held_out(19, 0)) == 0 < len(held_out(20, 0))


def test_of_few_samples_none_is_held_out(data):
    X, y, X_test, _ = data
    assert make(max_iter=2).fit(X[:10], y[:10]).predict_quantiles(X_test).shape == (200, 3)


@pytest.mark.parametrize("levels", [(), (0.5, 0.1), (0.1, 0.1), (0, 0.5), (0.5, 1.0), ("low", "high"), (np.nan,)])
def test_what_are_no_quantiles_is_refused(data, levels):
    with pytest.raises(ValueError, match="must be numbers between 0 and 1 in rising order; try"):
        make(quantiles=levels).fit(*data[:2])


def test_other_losses_have_no_quantiles(data):
    model = make(loss="huber").fit(*data[:2])
    with pytest.raises(AttributeError) as caught:
        model.predict_quantiles(data[2])
    assert 'With loss="huber" there are no quantiles' in str(caught.value.__cause__)


WRONG = [None, [], (0.5, 0.1, 0.9), (0.1, 0.1, 0.9), (0.1, 0.9), (0.0, 0.5, 0.9), (0.1, 0.5, 0.9)]


@pytest.mark.parametrize("levels", WRONG)
@pytest.mark.parametrize("part", ["network", "target"])
def test_a_state_of_other_quantiles_is_refused(data, levels, part):
    model = make(max_iter=1).fit(*data[:2])
    state = model.__getstate__()
    where = state["_model"]["network"]["architecture"] if part == "network" else state["_model"]["target"]
    where["quantiles"] = levels
    with pytest.raises(ValueError, match="quantiles is .*damaged"):
        SelfAttentionRegressor().__setstate__(state)
