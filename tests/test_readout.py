"""The outputs of a trained network of values are the best linear ones of its features."""

from types import SimpleNamespace

import numpy as np
import pytest
from problems import SMALL, make_ragged, rise
from sklearn.linear_model import Ridge, RidgeCV

import skattn.ensemble
from skattn import SelfAttentionRegressor
from skattn._training.readout import SHRINKAGE, refit_outputs

X = make_ragged(n_samples=41)
Y = rise(X)


def refitted(features, target, weight=None):
    """Weights and bias for features that a network would give."""
    weights = {"head.weight": np.zeros((features.shape[1], target.shape[1])), "head.bias": np.zeros(target.shape[1])}
    network = SimpleNamespace(weights=weights, forward=lambda data, name, n_jobs: features.copy())
    weight = np.ones(len(features)) if weight is None else weight
    refit_outputs(network, SimpleNamespace(data=None, target=target, weight=weight))
    return weights["head.weight"], weights["head.bias"]


def make(n_samples=60, n_features=12, n_outputs=2, noise=0.3):
    generator = np.random.default_rng(0)
    features = 5 + generator.normal(size=(n_samples, n_features)) * np.logspace(0, 2, n_features)
    slopes = generator.normal(size=(n_features, n_outputs)) / np.logspace(0, 2, n_features)[:, np.newaxis]
    return features, features @ slopes + noise * generator.normal(size=(n_samples, n_outputs))


@pytest.mark.parametrize(("n_samples", "noise"), [(60, 0.3), (60, 10.0), (10, 1.0)])
def test_it_is_ridge_regression_with_the_penalty_that_tells_best_what_is_left_out(n_samples, noise):
    features, target = make(n_samples, noise=noise)
    scale = features.std(axis=0)
    # Scikit-learn leaves samples out after the mean is taken off, so the means of those without each are given here.
    errors = []
    for penalty in SHRINKAGE:
        left_out = 0.0
        inner = (features - features.mean(axis=0)) / scale
        model = Ridge(penalty * n_samples).fit(inner, target)
        own = (
            np.diag(inner @ np.linalg.inv(inner.T @ inner + penalty * n_samples * np.eye(12)) @ inner.T) + 1 / n_samples
        )
        left_out = (((target - model.predict(inner)) / (1 - own)[:, np.newaxis]) ** 2).sum()
        errors.append((left_out, model.coef_.T / scale[:, np.newaxis]))
    slopes, bias = refitted(features, target)
    np.testing.assert_allclose(slopes, min(errors, key=lambda pair: pair[0])[1], rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose((features @ slopes + bias).mean(axis=0), target.mean(axis=0), rtol=1e-9)


def test_it_does_as_well_as_scikit_learns_choice():
    features, target = make(400, noise=1.0)
    slopes, bias = refitted(features[:200], target[:200])
    scale = features[:200].std(axis=0)
    other = RidgeCV(200 * SHRINKAGE).fit(features[:200] / scale, target[:200])
    errors = [
        np.square(predicted - target[200:]).mean()
        for predicted in (features[200:] @ slopes + bias, other.predict(features[200:] / scale))
    ]
    assert errors[0] < 1.02 * errors[1]


def test_weights_count_as_repetitions_and_only_their_ratios():
    features, target = make()
    weight = np.arange(60) % 3 + 1.0
    slopes, bias = refitted(features, target, weight)
    other = refitted(features, target, 1e-9 * weight)
    np.testing.assert_allclose(other[0], slopes, rtol=1e-9)
    inner = (features - np.average(features, axis=0, weights=weight)) / features.std(axis=0)
    assert np.isfinite(slopes).all() and np.isfinite(bias).all() and np.isfinite(inner).all()
    np.testing.assert_allclose(
        np.average(features @ slopes + bias, axis=0, weights=weight), np.average(target, axis=0, weights=weight)
    )


def test_what_tells_nothing_is_left_out():
    features, target = make()
    features[:, 3] = 1e6
    slopes, bias = refitted(features, target)
    assert not slopes[3].any() and np.isfinite(bias).all()
    constant = refitted(np.ones((5, 2)), np.arange(5.0)[:, np.newaxis])
    np.testing.assert_array_equal(constant[0], 0)
    np.testing.assert_allclose(constant[1], 2.0)


def test_too_few_samples_and_what_is_not_finite_leave_the_outputs_alone():
    features, target = make()
    assert not refitted(features[:2], target[:2])[0].any()
    features[7, 7] = np.inf
    assert not refitted(features, target)[0].any()


def test_a_fit_ends_with_it_and_learns_values_better():
    before = SelfAttentionRegressor(**SMALL | {"loss": "huber"}).fit(X, Y).score(X, Y)
    assert SelfAttentionRegressor(**SMALL).fit(X, Y).score(X, Y) > before


@pytest.mark.parametrize(
    ("parameters", "method", "n_calls"),
    [
        ({}, "fit", 1),
        ({"n_estimators": 2}, "fit", 2),
        ({"early_stopping": True}, "fit", 0),
        ({"loss": "absolute_error"}, "fit", 0),
        ({}, "partial_fit", 0),
        ({"warm_start": True}, "fit", 1),
    ],
)
def test_only_whole_fits_of_squares_end_with_it(monkeypatch, parameters, method, n_calls):
    calls = []
    monkeypatch.setattr(skattn.ensemble, "refit_outputs", lambda *arguments: calls.append(arguments))
    model = getattr(SelfAttentionRegressor(**SMALL | parameters), method)(X, Y)
    assert len(calls) == n_calls
    if model.warm_start:
        model.fit(X[:5], Y[:5])
        assert len(calls) == n_calls, "what was learned before is forgotten"
