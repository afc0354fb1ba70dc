"""What a projection begins with, how far it moves, and how sharp it is."""

import numpy as np
import pytest
from sklearn.datasets import make_friedman1

from skattn.learned_projection import ALPHAS, ProjectionLearner, choose_factors, held_out, joined, sharpened
from skattn.leaving_out import Lookups

SETTINGS = {"n_components": "auto", "alpha": "auto", "learn": True, "max_iter": 50, "tol": 1e-4}


def curves(n_records=200, noise=0.1):
    """Five features that tell y, and five that do not."""
    X, y = make_friedman1(n_records, 10, noise=noise, random_state=0)
    return (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()


def lookups_of(X, y):
    return Lookups(X, y[:, np.newaxis], np.ones(len(X)), False, None)


def learn(X, y, **settings):
    learner = ProjectionLearner(**SETTINGS | settings, generator=np.random.RandomState(0))
    return learner.fit(lookups_of(X, y), y)


def test_features_that_tell_nothing_come_to_count_little():
    found = learn(*curves())
    sizes = np.linalg.norm(found.weight, axis=1)
    assert sizes[5:].mean() < 0.5 * sizes[:5].mean()
    assert found.alpha in ALPHAS and found.n_iter > 0


def test_learning_beats_what_it_begins_with():
    assert learn(*curves()).loss < 0.8 * learn(*curves(), learn=False).loss


def test_where_nothing_can_be_learned_the_projection_stays_as_it_began():
    X = np.random.default_rng(0).normal(size=(60, 5))
    found, begun = (learn(X, np.random.default_rng(1).normal(size=60), learn=learn_) for learn_ in (True, False))
    assert np.inf == found.alpha == begun.alpha and 0 == begun.n_iter
    found, begun = (projection.weight / np.linalg.norm(projection.weight) for projection in (found, begun))
    np.testing.assert_allclose(found, begun, rtol=1e-12)


def test_what_is_learned_too_sharply_is_looked_at_less_sharply():
    X, y = curves(60, noise=3.0)
    sides = [lookups_of(X[::2], y[::2]), lookups_of(X[1::2], y[1::2])]
    for size, is_too_sharp in ((20.0, True), (0.02, False)):
        loss, factor = held_out(sides, [size * np.eye(10)] * 2)
        assert (factor < 1.0) == is_too_sharp != (factor > 1.0)
        first, second = sides
        weight = factor * size * np.eye(10)
        assert loss == first.loss_of_others(second, weight) + second.loss_of_others(first, weight)


def test_a_penalty_of_ones_own_is_taken_as_it_is():
    strong, weak = learn(*curves(), alpha=100.0), learn(*curves(), alpha=0.001)
    assert (100.0, 0.001) == (strong.alpha, weak.alpha) and weak.loss < strong.loss


def test_few_records_do_not_judge_each_other():
    X, y = curves(7)
    assert np.inf == learn(X, y).alpha


@pytest.mark.parametrize("n_components, expected", [("auto", 10), (3, 3), (50, 10), (np.int64(2), 2)])
def test_there_are_no_more_components_than_directions(n_components, expected):
    assert (10, expected) == learn(*curves(), n_components=n_components).weight.shape


def test_factors_are_those_of_the_lowest_loss():
    X, y = curves()
    lookups, telling = lookups_of(X, y), X.T @ y[:, np.newaxis] / len(X)
    chosen = choose_factors(lookups, telling)
    assert lookups.loss(joined(lookups, telling, chosen)) <= min(
        lookups.loss(joined(lookups, telling, factors)) for factors in [(0, 1), (1.0, 0), (3.0, 1), (9.0, 0)]
    )


def test_a_table_of_more_records_is_read_more_sharply():
    X, y = curves(1600, noise=0.0)
    weight = learn(X[:100], y[:100], alpha=0.1).weight
    assert np.linalg.norm(sharpened(weight, lookups_of(X, y))) > 1.2 * np.linalg.norm(weight)
