"""What attention is for is learned, on problems that the mean of the steps says nothing about.

Each is small, solved in a second or two, and scored on sequences that were not seen in training.
"""

import numpy as np
import pytest
from problems import SMALL
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer

N_HELD_OUT = 503
SETTINGS = SMALL | {"learning_rate_init": 0.01, "max_iter": 40, "n_jobs": 1}


def bag_of_steps(estimator):
    """A linear model of the mean over the steps: what can be had without looking at one step beside another."""
    return make_pipeline(FunctionTransformer(lambda X: X.mean(axis=1)), estimator)


def score_held_out(model, X, y):
    """Fit all but the last samples and score on those."""
    return model.fit(X[:-N_HELD_OUT], y[:-N_HELD_OUT]).score(X[-N_HELD_OUT:], y[-N_HELD_OUT:])


def one_hot(indices, n_features):
    """Indices of shape (n_samples, n_steps) as float32 features."""
    return np.eye(n_features, dtype=np.float32)[indices]


def make_addition(n_samples, n_steps=50, seed=0):
    """A value and a marker each step; two steps are marked, and their values' sum is wanted.

    Hochreiter & Schmidhuber (1997), "Long short-term memory", experiment 4.
    """
    generator = np.random.default_rng(seed)
    values = generator.uniform(size=(n_samples, n_steps))
    marked = generator.permuted(np.tile(np.arange(n_steps) < 2, (n_samples, 1)), axis=1)
    return np.stack([values, marked], axis=2, dtype=np.float32), (values * marked).sum(axis=1)


def make_recall(n_samples, n_pairs, interleaved=False, seed=0):
    """Pairs of a key and a value, then one of the keys; its value is the class.

    All keys and all values are there in every sequence: only what stands with what can tell. A pair is
    one step, or, interleaved, two: a key, then its value. Ba et al. (2016), arXiv:1610.06258, section 4.1.
    """
    generator = np.random.default_rng(seed)
    keys, values = (generator.permuted(np.tile(np.arange(n_pairs), (n_samples, 1)), axis=1) for _ in range(2))
    samples, asked = np.arange(n_samples), generator.integers(n_pairs, size=n_samples)
    key, value = one_hot(keys, 2 * n_pairs), one_hot(n_pairs + values, 2 * n_pairs)
    pairs = np.stack([key, value], axis=2).reshape(n_samples, 2 * n_pairs, -1) if interleaved else key + value
    return np.concatenate([pairs, key[samples, asked][:, np.newaxis]], axis=1), values[samples, asked]


def make_order(n_samples, n_steps=11, seed=0):
    """Two events in a long nothing; the class is which of them comes first."""
    generator = np.random.default_rng(seed)
    y = generator.integers(2, size=n_samples)
    first, last = np.sort(generator.permuted(np.tile(np.arange(n_steps), (n_samples, 1)), axis=1)[:, :2]).T
    X = np.zeros((n_samples, n_steps, 2), dtype=np.float32)
    X[np.arange(n_samples), first, y] = X[np.arange(n_samples), last, 1 - y] = 1
    return X, y


def make_waves(n_samples, n_steps=40, seed=0):
    """Sine waves that begin anywhere; the class is whether they are slow or fast."""
    generator = np.random.default_rng(seed)
    y = generator.integers(2, size=n_samples)
    n_periods, phase = generator.uniform(1, 2, size=n_samples) + 2 * y, generator.uniform(0, 2 * np.pi, size=n_samples)
    angle = 2 * np.pi * np.outer(n_periods, np.arange(n_steps) / n_steps) + phase[:, np.newaxis]
    return np.sin(angle, dtype=np.float32)[:, :, np.newaxis], y


def test_the_adding_problem_is_solved():
    """The last step fetches the values of the marked steps; the sum of all steps hides them."""
    X, y = make_addition(2003 + N_HELD_OUT)
    model = SelfAttentionRegressor(**SETTINGS | {"position": "sinusoidal", "pooling": "last", "alpha": 0.0})
    assert score_held_out(model, X, y) > 0.95
    assert score_held_out(bag_of_steps(Ridge()), X, y) < 0.3


def test_the_value_of_a_key_is_recalled():
    """The last step, a key, finds the step with the same key and tells the value that stands there."""
    X, y = make_recall(2003 + N_HELD_OUT, n_pairs=6)
    model = SelfAttentionClassifier(**SETTINGS | {"position": "none", "pooling": "last"})
    assert score_held_out(model, X, y) > 0.95
    assert score_held_out(bag_of_steps(LogisticRegression()), X, y) < 1 / 6 + 0.1


@pytest.mark.parametrize(("n_layers", "worst", "best"), [(1, 0, 0.6), (2, 0.95, 1)])
def test_recalling_the_step_after_a_key_takes_two_layers(n_layers, worst, best):
    """A value must first fetch the key before it, and only then can be found by that key."""
    X, y = make_recall(2003 + N_HELD_OUT, n_pairs=4, interleaved=True)
    parameters = {"n_layers": n_layers, "pooling": "last", "causal": True, "learning_rate_init": 0.003}
    score = score_held_out(SelfAttentionClassifier(**SETTINGS | parameters), X, y)
    assert worst < score <= best
    assert score_held_out(bag_of_steps(LogisticRegression()), X, y) < 1 / 4 + 0.1


@pytest.mark.parametrize(
    ("position", "worst", "best"), [("learned", 0.95, 1), ("sinusoidal", 0.95, 1), ("none", 0, 0.6)]
)
def test_the_order_of_two_events_is_told_by_their_positions(position, worst, best):
    X, y = make_order(1009 + N_HELD_OUT)
    model = SelfAttentionClassifier(**SETTINGS | {"position": position, "learning_rate_init": 0.003})
    score = score_held_out(model, X, y)
    assert worst < score <= best
    assert score_held_out(bag_of_steps(LogisticRegression()), X, y) < 0.6


@pytest.fixture(scope="module")
def reconstruction():
    """A transformer that has seen waves but no classes, the waves held out, and their classes."""
    X, y = make_waves(1009 + N_HELD_OUT)
    model = SelfAttentionTransformer(**SETTINGS | {"d_model": 32, "n_heads": 4, "d_feedforward": 64})
    return model.fit(X[:-N_HELD_OUT], X_val=X[-N_HELD_OUT:]), X, y


def test_hidden_steps_are_reconstructed_from_the_others(reconstruction):
    """The loss is half the squared error in standard deviations: 0.5 for whoever tells the mean."""
    model, _, _ = reconstruction
    assert model.loss_curve_[-1] < 0.1
    assert model.validation_scores_[-1] > -0.1


def test_features_learned_without_classes_tell_classes(reconstruction):
    model, X, y = reconstruction
    assert score_held_out(LogisticRegression(max_iter=1000), model.transform(X), y) > 0.85
    assert score_held_out(bag_of_steps(LogisticRegression()), X, y) < 0.6
