"""Objectives: targets encoded and outputs read back."""

import warnings
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from skattn._training.objectives import (
    OBJECTIVES,
    Target,
    log_sigmoid,
    log_softmax,
    sigmoid,
    softmax,
)

N_SAMPLES = 53


@pytest.fixture
def generator():
    return np.random.default_rng(5)


def learn_and_encode(name, y, weight=None, n_outputs=None):
    objective = OBJECTIVES[name]
    target = objective.learn_target(y, weight, n_outputs)
    return objective, target, objective.encode(y, target)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_rows_are_probabilities_however_large_the_outputs(dtype):
    outputs = np.array([[1e30, 0, -1e30], [-1e30, -1e30, -1e30], [3, 1, 2]], dtype=dtype)
    probabilities = softmax(outputs)
    assert probabilities.dtype == dtype
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(probabilities[0], [1, 0, 0])
    np.testing.assert_allclose(probabilities[1], 1 / 3, rtol=1e-6)
    np.testing.assert_allclose(probabilities[2], np.exp([3, 1, 2]) / np.exp([3, 1, 2]).sum(), rtol=1e-6)
    np.testing.assert_array_equal(outputs[2], [3, 1, 2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_is_stable_at_both_ends(dtype):
    outputs = np.array([[-1e30, -1.5, 0, 1.5, 1e30]], dtype=dtype)
    with np.errstate(all="raise", under="ignore"):
        probabilities = sigmoid(outputs)
    assert probabilities.dtype == dtype
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp([[100, 1.5, 0, -1.5, -100]])), atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logarithms_of_probabilities_stay_finite_however_unlikely(dtype):
    outputs = np.array([[1e30, 0, -1e30], [3, 1, 2]], dtype=dtype)
    of_classes, of_labels = log_softmax(outputs), log_sigmoid(outputs)
    assert of_classes.dtype == of_labels.dtype == dtype
    np.testing.assert_allclose(of_classes[0], [0, -1e30, -2e30], rtol=1e-6)
    np.testing.assert_allclose(of_classes[1], np.log(softmax(outputs)[1]), rtol=1e-5)
    np.testing.assert_allclose(of_labels[0], [0, -np.log(2), -1e30], rtol=1e-6)
    np.testing.assert_allclose(of_labels[1], np.log(sigmoid(outputs)[1]), rtol=1e-5)


@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy"])
def test_logarithms_are_those_of_the_probabilities(name, generator):
    outputs = generator.normal(size=(N_SAMPLES, 3))
    logarithms = OBJECTIVES[name].log_probabilities(outputs)
    np.testing.assert_allclose(np.exp(logarithms), OBJECTIVES[name].probabilities(outputs), rtol=1e-12)


def test_classes_are_one_column_of_indices(generator):
    y = generator.integers(3, size=N_SAMPLES)
    objective, target, encoded = learn_and_encode("cross_entropy", y, n_outputs=3)
    assert (3, True) == (target.n_outputs, target.is_column)
    np.testing.assert_array_equal(encoded, y[:, np.newaxis])
    np.testing.assert_array_equal(objective.predict(np.eye(3)[y], target), y)


def test_two_classes_are_told_by_the_sign_of_the_decision(generator):
    outputs = generator.normal(size=(N_SAMPLES, 2))
    objective, target, _ = learn_and_encode("cross_entropy", np.zeros(3, int), n_outputs=2)
    decision = objective.decision(outputs)
    assert decision.shape == (N_SAMPLES,)
    np.testing.assert_array_equal(decision > 0, objective.predict(outputs, target) == 1)
    np.testing.assert_allclose(sigmoid(decision), objective.probabilities(outputs)[:, 1], rtol=1e-12)


def test_more_classes_have_a_decision_each(generator):
    outputs = generator.normal(size=(N_SAMPLES, 5))
    objective, target, _ = learn_and_encode("cross_entropy", np.zeros(3, int), n_outputs=5)
    np.testing.assert_array_equal(objective.decision(outputs).argmax(axis=1), objective.predict(outputs, target))


def test_labels_are_predicted_where_they_are_likelier_than_not(generator):
    y = generator.integers(2, size=(N_SAMPLES, 3))
    objective, target, encoded = learn_and_encode("binary_cross_entropy", y)
    outputs = generator.normal(size=y.shape)
    assert (3, False) == (target.n_outputs, target.is_column)
    np.testing.assert_array_equal(encoded, y)
    np.testing.assert_array_equal(objective.decision(outputs), outputs)
    outputs[0, 1] = 0
    np.testing.assert_array_equal(objective.predict(outputs, target), objective.probabilities(outputs) > 0.5)


@pytest.mark.parametrize("shape", [(N_SAMPLES,), (N_SAMPLES, 1), (N_SAMPLES, 3)])
@pytest.mark.parametrize("unit", [1.0, 1e-200, 1e200])
def test_values_are_standardised_and_come_back_in_their_shape(generator, shape, unit):
    y = generator.normal(3, 7, size=shape) * unit
    objective, target, encoded = learn_and_encode("squared_error", y)
    assert encoded.shape == (N_SAMPLES, target.n_outputs)
    np.testing.assert_allclose(encoded.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(encoded.std(axis=0), 1, rtol=1e-12)
    np.testing.assert_allclose(objective.predict(encoded, target), y, rtol=1e-9, atol=1e-12 * unit)


def test_weighted_values_are_standardised_as_if_repeated(generator):
    y, weight = generator.normal(size=(N_SAMPLES, 2)), generator.integers(4, size=N_SAMPLES)
    _, weighted, _ = learn_and_encode("squared_error", y, weight)
    _, repeated, _ = learn_and_encode("squared_error", y.repeat(weight, axis=0))
    np.testing.assert_allclose(weighted.mean, repeated.mean, rtol=1e-12)
    np.testing.assert_allclose(weighted.scale, repeated.scale, rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e200, 1e-300])
def test_constant_values_keep_scale_one(value):
    objective, target, encoded = learn_and_encode("squared_error", np.full(N_SAMPLES, value))
    np.testing.assert_array_equal(target.scale, 1)
    np.testing.assert_allclose(encoded, 0, atol=abs(value) * 1e-14)
    np.testing.assert_allclose(objective.predict(np.zeros((2, 1)), target), value, rtol=1e-14)


def test_small_spread_around_a_large_value_is_not_constant():
    _, target, encoded = learn_and_encode("squared_error", 1e6 + np.array([0.0, 1e-3, 2e-3]))
    np.testing.assert_allclose(target.scale, np.std([0, 1e-3, 2e-3]), rtol=1e-6)
    np.testing.assert_allclose(encoded.std(), 1, rtol=1e-6)


def test_predicted_values_have_the_precision_of_the_outputs():
    objective, target, _ = learn_and_encode("squared_error", np.arange(7.0))
    assert objective.predict(np.zeros((3, 1), dtype=np.float32), target).dtype == np.float32


@pytest.mark.parametrize(
    "mean, scale, largest, is_held",
    [
        (0, 1, 1, True),
        (0, 1e30, 1e7, True),
        (0, np.finfo(np.float32).max, 1, True),
        (0, 1e30, 1e9, False),  # beyond the largest float32
        (0, 1e-37, 1, True),
        (0, 1e-38, 1, False),  # among its denormals
        (8e3, 1, 1, True),
        (9e3, 1, 1, False),  # a thousandth of a deviation is lost beside the mean
        (-9e3, 1, 1, False),
        ([0, 9e3], 1, 1, False),
        (0, [1, 1e-38], 1, False),
    ],
)
def test_predicted_values_have_double_precision_where_single_cannot_hold_them(mean, scale, largest, is_held):
    mean, scale = (np.broadcast_to(np.array(number, dtype=np.float64), 2) for number in (mean, scale))
    outputs = np.array([[0, -largest], [-largest, 0]], dtype=np.float32)
    predicted = OBJECTIVES["squared_error"].predict(outputs, Target(2, mean, scale))
    assert (np.float32 if is_held else np.float64) == predicted.dtype
    np.testing.assert_allclose(predicted, outputs * scale + mean, rtol=1e-6)


def test_a_prediction_beyond_all_floats_is_an_error_and_no_warning():
    warnings.simplefilter("error")
    message = r"A prediction exceeds float64: y at fit had a mean of up to 2 and a standard deviation of up to 1e\+308"
    with pytest.raises(ValueError, match=message):
        OBJECTIVES["squared_error"].predict(np.array([[0.0], [7.0]]), Target(1, np.array([-2.0]), np.array([1e308])))


def test_reconstruction_has_no_target():
    objective, target, encoded = learn_and_encode("reconstruction", None, n_outputs=7)
    assert target.n_outputs == 7
    assert encoded is target.mean is target.scale is None and not target.is_column
    readings = ("predict", "probabilities", "log_probabilities", "decision")
    assert [None] * 4 == [getattr(objective, name) for name in readings]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_and_what_was_learned_stay_as_they_are(name):
    target = OBJECTIVES[name].learn_target(np.eye(2), None, 2)
    with pytest.raises(FrozenInstanceError):
        OBJECTIVES[name].loss = "none"
    with pytest.raises(FrozenInstanceError):
        target.n_outputs = 3


@pytest.mark.parametrize("y", [[1, 2, 4], np.array([1, 2, 4], np.uint8), np.array([1, 2, 4], np.float32)])
@pytest.mark.parametrize("name", ["cross_entropy", "squared_error"])
def test_targets_are_encoded_in_double_precision(name, y):
    _, _, encoded = learn_and_encode(name, y, n_outputs=5)
    assert ((3, 1), np.float64) == (encoded.shape, encoded.dtype)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_encoding_leaves_the_target_alone(name, generator):
    y = generator.integers(2, size=(N_SAMPLES, 2)).astype(float)
    before = y.copy()
    y.setflags(write=False)
    learn_and_encode(name, y[:, 0] if name == "cross_entropy" else y, n_outputs=2)
    np.testing.assert_array_equal(y, before)
