"""Values counted from the level of their own sequence: what wanders is forecast wherever it has wandered to."""

import pickle
from copy import deepcopy

import numpy as np
import pytest
from problems import SMALL

from skattn import SelfAttentionRegressor
from skattn._training.objectives import Target
from skattn.levels import absolute, learn_levels, measure_levels
from skattn.sequences import Sequences

GENERATOR = np.random.default_rng(0)
# Windows of walks whose next step goes on as the last one went: each at a level of its own.
STEPS = np.cumsum(GENERATOR.normal(size=(60, 13, 1)), axis=1) + GENERATOR.normal(scale=30, size=(60, 1, 1))
X, Y = STEPS[:, :12], 2 * STEPS[:, 11, 0] - STEPS[:, 10, 0]


def make(**parameters):
    return SelfAttentionRegressor(**SMALL | {"normalise_target": "sequence"} | parameters)


def sequences_of(arrays):
    lengths = np.array([len(steps) for steps in arrays])
    values = np.concatenate(arrays)
    return Sequences(values, np.cumsum(lengths) - lengths, lengths, "list", None)


def test_levels_are_means_and_deviations_of_each_sequence():
    arrays = [GENERATOR.normal(5, 3, size=(n, 2)) for n in (1, 2, 30)]
    mean, deviation = measure_levels(sequences_of(arrays))
    np.testing.assert_allclose(mean, [steps.mean(axis=0) for steps in arrays], rtol=1e-12)
    np.testing.assert_allclose(deviation, [steps.std(axis=0) for steps in arrays], rtol=1e-12, atol=1e-12)


def test_the_largest_numbers_have_levels():
    mean, deviation = measure_levels(sequences_of([np.array([[1.7e308], [-1.7e308]]), np.full((3, 1), 1.7e308)]))
    np.testing.assert_allclose(mean, [[0], [1.7e308]])
    np.testing.assert_allclose(deviation, [[1.7e308], [0]], atol=1e295)


def test_each_output_is_counted_from_the_feature_nearest_to_it():
    arrays = [GENERATOR.normal(GENERATOR.normal(scale=50, size=3), 1, size=(9, 3)) for _ in range(20)]
    y = np.array([[steps[-1, 2], steps[0, 0]] for steps in arrays])
    features, floors = learn_levels(y, sequences_of(arrays), np.ones(20))
    assert features.tolist() == [2, 0]
    assert ((0.002 < floors) & (floors < 0.02)).all()


def test_neither_codes_nor_times_are_levels():
    codes = GENERATOR.integers(5, size=X.shape).astype(float)
    told = np.concatenate([X, codes, Y[:, np.newaxis, np.newaxis] + np.cumsum(np.ones_like(X), axis=1)], axis=2)
    parameters = {"categorical_features": [1], "time_feature": 2, "position": "auto"}
    model = make(**parameters).fit(told, Y)
    assert model._model.target.features.tolist() == [0]
    later = told + [0, 0, 1e9]
    np.testing.assert_allclose(model.predict(later), model.predict(told), rtol=1e-4)
    with pytest.raises(ValueError, match='all features are categories or times; set normalise_target="global"'):
        make(**parameters).set_params(categorical_features=[0], time_feature=1).fit(told[:, :, 1:], Y)


def test_what_wanders_is_forecast_where_it_never_was():
    parameters = {"d_model": 16, "max_iter": 60, "random_state": 0}
    far = X + 1000
    assert make(**parameters).fit(X, Y).score(far, Y + 1000) > 0.95
    assert make(**parameters | {"normalise_target": "global"}).fit(X, Y).score(far, Y + 1000) < 0


def test_predictions_move_with_the_sequences():
    model = make(embedding="random_convolution", n_kernels=16, max_iter=5).fit(X, Y)
    moved = make(embedding="random_convolution", n_kernels=16, max_iter=5).fit(X + 4096, Y + 4096)
    np.testing.assert_allclose(moved.predict(X + 4096), model.predict(X) + 4096, rtol=1e-9)


@pytest.mark.parametrize("shape", [(60,), (60, 1), (60, 3)])
def test_predictions_have_the_shape_of_y_and_are_float64(shape):
    y = np.resize(Y, shape)
    found = make().fit(X.astype(np.float32), y).predict(X.astype(np.float32))
    assert found.shape == shape and found.dtype == np.float64


def test_sequences_that_stand_still_have_finite_predictions():
    still = X.copy()
    still[::2] = 7.0
    assert np.isfinite(make().fit(still, Y).predict(still)).all()
    assert np.isfinite(make().fit(np.full((9, 4, 1), 3.0), np.arange(9.0)).predict(still)).all()


def test_rounding_errors_are_no_deviations():
    """Sequences of one number each, whose means are rounded, as in a fleet of sensors that stand still."""
    still = np.repeat(7.3 + np.arange(9.0)[:, np.newaxis, np.newaxis], 13, axis=1)
    assert (measure_levels(sequences_of(list(still)))[1] == 0).all()
    nearly = still.copy()
    nearly[:, 3] *= 1 + 2e-16
    y = np.arange(9.0)
    model = make(learning_rate_init=1e-6).fit(nearly, y)
    assert np.abs(model.predict(nearly) - y).max() < 20


def test_a_prediction_beyond_float64_is_refused():
    data = sequences_of([np.array([[1e308], [-1e308]])])
    with pytest.raises(ValueError, match="A prediction exceeds float64"):
        absolute(np.array([5.0]), data, Target(1, features=np.array([0]), floors=np.array([1.0])))


def test_pickles_and_weights_keep_what_values_are_counted_from(tmp_path):
    model = make().fit(X, np.column_stack([Y, -Y]))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    model.save_weights(tmp_path / "weights")
    np.testing.assert_array_equal(make().load_weights(tmp_path / "weights").predict(X), model.predict(X))
    with pytest.raises(ValueError, match="normalise_target='sequence'"):
        make(normalise_target="global").load_weights(tmp_path / "weights")


def test_going_on_keeps_what_values_are_counted_from():
    model = make(warm_start=True).fit(X, Y)
    model.fit(X, Y)
    model.normalise_target = "global"
    with pytest.raises(ValueError, match="normalise_target is 'global' now"):
        model.fit(X, Y)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("features", None),
        ("features", np.array([1])),
        ("features", np.array([-1])),
        ("features", np.array([0.0])),
        ("features", np.zeros(2, np.int64)),
        ("floors", None),
        ("floors", np.array([0.0])),
        ("floors", np.array([np.nan])),
    ],
)
def test_what_no_fit_has_written_is_refused(name, value):
    state = deepcopy(make().fit(X, Y).__getstate__())
    state["_model"]["target"][name] = value
    model = SelfAttentionRegressor.__new__(SelfAttentionRegressor)
    with pytest.raises(ValueError, match="damaged"):
        model.__setstate__(state)
