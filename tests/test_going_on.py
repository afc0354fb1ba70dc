"""Later calls bring other scales, new features and longer sequences, and nothing that was learned is changed by it."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
from problems import ESTIMATORS, SMALL, assert_same_bits, fitted, make_array, make_ragged, results_of, target_of

from skattn import SelfAttentionClassifier, SelfAttentionTransformer
from skattn._network.going_on import copy_network, copy_optimizer, standardise_anew
from skattn._training.optimizers import OPTIMIZERS

X = make_ragged()
STANDING = {"learning_rate_init": 1e-15, "alpha": 0.0}
"""Steps so small that only what is not learning can change anything."""


@pytest.fixture(params=ESTIMATORS, ids=lambda estimator: estimator.__name__)
def estimator(request):
    """An unfitted estimator that fits in a moment."""
    return request.param(**SMALL)


def assert_results_close(results, expected):
    for name, result in results.items():
        if result.dtype.kind == "f":
            np.testing.assert_allclose(result, expected[name], rtol=1e-6, atol=1e-8)


def go_on(estimator, how, sequences, y=None):
    y = target_of(estimator, sequences) if y is None else y
    return getattr(estimator.set_params(**STANDING, warm_start=True), how)(sequences, y)


@pytest.mark.parametrize("how", ["partial_fit", "fit"])
@pytest.mark.parametrize(
    "change",
    [
        lambda sequence: 1024.0 * sequence + 7.0,
        lambda sequence: 0.001 * sequence - 0.5,
        lambda sequence: np.tile(sequence, (5, 1)),
    ],
    ids=["wider", "narrower", "longer"],
)
def test_going_on_with_other_sequences_changes_nothing_that_was_learned(estimator, how, change):
    before = results_of(fitted(estimator, X), X)
    network = estimator._model.network
    go_on(estimator, how, [change(sequence) for sequence in X])
    assert_results_close(results_of(estimator, X), before)
    after = estimator._model.network
    assert not np.array_equal(network.scale, after.scale) or after.architecture.max_steps == 55


def test_hidden_steps_are_predicted_as_before():
    """The steps that reconstruction predicts have another scale; its outputs follow."""
    transformer = fitted(SelfAttentionTransformer(**SMALL, objective="reconstruction"), X)
    data = transformer._read_fitted(X)
    before = transformer._model.network
    go_on(transformer, "partial_fit", [1024.0 * sequence + 7.0 for sequence in X])
    after = transformer._model.network
    expected, outputs = (network.forward(data, "outputs") * network.scale + network.mean for network in (before, after))
    np.testing.assert_allclose(outputs, expected, rtol=1e-6, atol=1e-8)


def test_the_scaling_follows_all_that_was_seen(estimator):
    fitted(estimator, X)
    go_on(estimator, "partial_fit", [10.0 * sequence for sequence in X])
    both = np.concatenate([*X, *(10.0 * sequence for sequence in X)])
    network = estimator._model.network
    np.testing.assert_allclose([network.mean, network.scale], [both.mean(axis=0), both.std(axis=0)], rtol=1e-9)


def test_the_same_data_again_changes_no_bit_of_the_scaling(estimator):
    network = fitted(estimator, X)._model.network
    go_on(estimator, "fit", X)
    for name in ("mean", "scale"):
        np.testing.assert_array_equal(getattr(estimator._model.network, name), getattr(network, name))


def test_a_feature_that_was_constant_is_learned_from_later():
    arrays, y = make_array(60, 2, 5), np.arange(60) % 2
    arrays[:, :, 1] = 3.0
    classifier = SelfAttentionClassifier(**SMALL | {"learning_rate_init": 0.01})
    classifier.partial_fit(arrays, y, classes=[0, 1])
    before = classifier.predict_proba(arrays)
    later = arrays.copy()
    later[:, :, 1] = 1e9 * (y[:, np.newaxis] + 1)
    copied = go_on(copy.deepcopy(classifier), "partial_fit", later, y)
    np.testing.assert_allclose(copied.predict_proba(arrays), before, rtol=1e-6)
    for _ in range(60):
        classifier.partial_fit(later, y)
    assert classifier.score(later, y) == 1.0


@pytest.mark.parametrize("how", ["partial_fit", "fit"])
@pytest.mark.parametrize("position", ["learned", "sinusoidal", "none"])
def test_positions_grow_with_longer_sequences(how, position):
    classifier = fitted(SelfAttentionClassifier(**SMALL | {"position": position}), X)
    go_on(classifier, how, make_array(23, 3, 17))
    assert 17 == classifier._model.network.architecture.max_steps
    if position == "learned":
        table = classifier.weights_["position.weight"]
        assert (17, 14) == table.shape and 17 == len(np.unique(table.round(6), axis=0))


def test_a_model_that_grew_is_saved_whole(estimator):
    fitted(estimator, X)
    go_on(estimator, "partial_fit", make_array(23, 3, 17))
    loaded = pickle.loads(pickle.dumps(estimator))
    for model in (estimator, loaded):
        model.set_params(learning_rate_init=0.003).partial_fit(make_array(23, 3, 19), target_of(estimator, X))
    assert_same_bits(loaded.weights_, estimator.weights_)


def test_a_longer_sequence_that_is_an_exception_makes_no_position():
    arrays = [*make_array(60, 2, 10), np.ones((2000, 2))]
    y = np.arange(61) % 2
    assert 64 == SelfAttentionClassifier(**SMALL).fit(arrays, y).weights_["position.weight"].shape[0]


# Optimisers


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_averages_move_with_their_parameters(name):
    network = fitted(SelfAttentionClassifier(**SMALL), X)._model.network
    optimizer = OPTIMIZERS[name](network.parameters.size, network.dtype)
    optimizer.n_updates = 5
    for i, vector in enumerate(optimizer.vectors.values()):
        vector[:] = network.parameters + i
    grown = copy_network(network, replace(network.architecture, max_steps=17))
    moved = copy_optimizer(optimizer, network, grown)
    assert moved.fits(grown.parameters) and 5 == moved.n_updates
    for i, vector in enumerate(moved.vectors.values()):
        views = grown.views(vector)
        assert not views["position.weight"][11:].any()
        np.testing.assert_array_equal(views["position.weight"][:11], network.weights["position.weight"] + i)
        np.testing.assert_array_equal(views["head.weight"], network.weights["head.weight"] + i)


@pytest.mark.parametrize("name, powers", [("adamw", (-1, -2)), ("adam", (-1, -2)), ("sgd", (1,))])
def test_averages_follow_the_scale_of_first_weights(name, powers):
    network = fitted(SelfAttentionClassifier(**SMALL), X)._model.network
    optimizer = OPTIMIZERS[name](network.parameters.size, network.dtype)
    for vector in optimizer.vectors.values():
        vector[:] = 1
    standardise_anew(network, optimizer, network.mean, network.scale * [1, 8, 1], np.zeros(3, bool))
    for vector, power in zip(optimizer.vectors.values(), powers, strict=True):
        expected = np.ones((3, 14)) * [[1], [8.0**power], [1]]
        np.testing.assert_allclose(network.views(vector)["embedding.weight"], expected)
        assert (network.views(vector)["head.weight"] == 1).all()


@pytest.mark.parametrize("keeps", [False, True])
def test_a_model_is_as_large_as_its_weights_unless_it_is_made_to_go_on(estimator, keeps):
    estimator.set_params(d_model=64, d_feedforward=512, warm_start=keeps)
    n_bytes = fitted(estimator, X)._model.network.parameters.nbytes
    assert keeps == (len(pickle.dumps(estimator)) > 2.9 * n_bytes)
    assert (len(pickle.dumps(estimator)) < 1.2 * n_bytes) != keeps


def test_partial_fit_keeps_the_optimiser(estimator):
    classes = {"classes": ["falls", "rises"]} if isinstance(estimator, SelfAttentionClassifier) else {}
    for n_calls in (1, 2):
        estimator.partial_fit(X, target_of(estimator, X), **classes)
        assert n_calls == estimator._model.state.optimizer.n_updates


def test_partial_fit_after_fit_begins_with_a_new_optimiser(estimator):
    fitted(estimator, X).partial_fit(X, target_of(estimator, X))
    assert 1 == estimator._model.state.optimizer.n_updates


def test_a_model_of_which_nothing_is_told_takes_what_comes_for_as_much(estimator):
    """As from a file of weights."""
    fitted(estimator, X)._model.seen = None
    before = results_of(estimator, X)
    go_on(estimator, "partial_fit", [np.tile(10.0 * sequence, (5, 1)) for sequence in X])
    assert_results_close(results_of(estimator, X), before)
    both = np.concatenate([*X, *(10.0 * sequence for sequence in X)])
    np.testing.assert_allclose(estimator._model.network.scale, both.std(axis=0), rtol=0.05)
    assert 55 == estimator._model.network.architecture.max_steps
