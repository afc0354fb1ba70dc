"""Times of steps: found, checked, and what positions are told by them; what cannot be a role is refused."""

import pickle

import numpy as np
import pytest
import reference
from problems import ESTIMATORS, SMALL, assert_same_bits, fitted, make_ragged, pad, results_of
from sklearn.base import clone

from skattn import SelfAttentionClassifier, SelfAttentionTransformer
from skattn._network.positions import OF_TIME, POSITIONS
from skattn.roles import Roles, resolve_roles, usual_interval
from skattn.sequences import read_sequences

TIMED = SMALL | {"time_feature": 1, "position": "auto"}


def timed(seed=0, **options):
    """Ragged sequences whose second feature is a time."""
    generator, X = np.random.default_rng(seed), make_ragged(**options)
    for steps in X:
        steps[:, 1] = 1e9 + np.cumsum(generator.exponential(60.0, size=len(steps)))
    return X


@pytest.mark.parametrize("position", ["auto", *OF_TIME])
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_times_tell_places_in_any_form(kind, position):
    X = timed()
    model = fitted(kind(**TIMED | {"position": position}), X)
    expected = results_of(model, X)
    assert_same_bits(results_of(model, pad(X)), expected)
    alone = {name: np.concatenate([results_of(model, [steps])[name] for steps in X]) for name in expected}
    assert_same_bits(alone, expected)
    assert_same_bits(results_of(pickle.loads(pickle.dumps(model)), X), expected)
    assert model.weights_["embedding.weight"].shape[0] == 2, "the time is no number to learn from"


@pytest.mark.parametrize("position", OF_TIME)
def test_neither_origin_nor_unit_of_time_matter(position):
    X, other = timed(), timed()
    for steps in other:
        steps[:, 1] = (steps[:, 1] - 1e9) / 3600
    model = fitted(SelfAttentionClassifier(**TIMED | {"position": position}), X)
    again = fitted(clone(model), other)
    np.testing.assert_allclose(again.predict_proba(other), model.predict_proba(X), rtol=1e-5)


@pytest.mark.parametrize("position", OF_TIME)
def test_even_times_are_as_none(position):
    X = make_ragged()
    with_times = [np.column_stack([steps[:, :1], 5.0 * np.arange(len(steps)), steps[:, 1:]]) for steps in X]
    settings = SMALL | {"position": position}
    plain = fitted(SelfAttentionClassifier(**settings), X).predict_proba(X)
    told = fitted(SelfAttentionClassifier(**settings, time_feature=1), with_times).predict_proba(with_times)
    np.testing.assert_allclose(told, plain, rtol=1e-5)


def test_the_unit_is_the_median_interval_of_fit():
    X = [np.array([[0.0, 1], [2, 1], [2, 1], [8, 1]]), np.array([[5.0, 1], [8, 1]]), np.array([[3.0, 1]])]
    data = read_sequences(X, SelfAttentionClassifier(time_feature=0), reset=True)
    assert usual_interval(data) == 3.0
    data = read_sequences(X[2:], SelfAttentionClassifier(time_feature=0), reset=True)
    assert usual_interval(data) == 1.0, "where there is no interval"


def test_names_tell_times_where_samples_are_frames():
    pandas = pytest.importorskip("pandas")
    X = [pandas.DataFrame(steps, columns=["speed", "when", "load"]) for steps in timed()]
    model = fitted(
        SelfAttentionClassifier(**TIMED | {"time_feature": "when"}), [frame.to_numpy() for frame in X][:0] or X
    )
    assert model._model.network.architecture.time_feature == 1


def test_categories_may_have_times_beside_them():
    generator = np.random.default_rng(0)
    X = [np.stack([np.cumsum(generator.random(n)), generator.integers(5, size=n)], axis=1) for n in (3, 7, 2, 5)]
    model = SelfAttentionClassifier(**TIMED | {"time_feature": 0, "categorical_features": "all"}).fit(X, [0, 1, 0, 1])
    assert set(resolve_roles(model, 2, None)) == set(Roles((1,), 0))
    model = SelfAttentionTransformer(**TIMED | {"time_feature": 0, "categorical_features": [1]}).fit(X)
    assert model.weights_["head.weight"].shape[1] == 5


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"time_feature": 3}, "time_feature has 3, and a step has the features 0 to 2"),
        ({"time_feature": "when"}, "time_feature has the name 'when', and the features of X have no names"),
        ({"time_feature": 1, "categorical_features": [1]}, "both the time_feature and one of categorical_features"),
        ({"time_feature": 1, "position": "learned"}, "does not read times, and time_feature=1 says when"),
        ({"time_feature": 1, "position": "relative"}, "does not read times"),
        ({"time_feature": 1, "embedding": "random_convolution"}, "and feature 1 is a time"),
        ({"time_feature": True}, "time_feature is True"),
        ({"time_feature": 1.5}, "must be"),
    ],
)
def test_what_cannot_be_a_time_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        fitted(SelfAttentionClassifier(**SMALL | {"position": "auto"} | parameters), timed())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda times: times[::-1], "goes backwards at sample 0, step 1, feature 1: .* Sort the steps"),
        (lambda times: np.where(times == times[2], np.nan, times), "missing at sample 0, step 2, feature 1"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "predict"])
def test_times_that_make_no_sense_are_refused_with_their_place(change, message, method):
    X, model = timed(), SelfAttentionClassifier(**TIMED, handle_missing="mask")
    if method == "predict":
        fitted(model, timed())
    X[0][:, 1] = change(X[0][:, 1].copy())
    with pytest.raises(ValueError, match=message):
        fitted(model, X) if method == "fit" else model.predict(X)


def test_times_alone_are_nothing_to_learn_from():
    with pytest.raises(ValueError, match="the only feature of a step"):
        SelfAttentionClassifier(**TIMED | {"time_feature": 0}).fit([[1.0, 2.0], [3.0]], [0, 1])


def test_equal_times_are_allowed():
    X = [np.array([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0]]), np.array([[1.0, 7.0]])]
    assert np.isfinite(SelfAttentionClassifier(**TIMED).fit(X, [0, 1]).predict_proba(X)).all()


@pytest.mark.parametrize("position", [*POSITIONS])
def test_longer_sequences_may_come_later(position):
    X, y = make_ragged(), np.arange(23) % 2
    model = SelfAttentionClassifier(**SMALL | {"position": position}).partial_fit(X, y, classes=[0, 1])
    longer = [np.concatenate([steps, steps, steps]) for steps in X]
    before = model.predict_proba(X)
    model.set_params(learning_rate_init=1e-12).partial_fit(longer, y)
    np.testing.assert_allclose(model.predict_proba(X), before, rtol=1e-3)


@pytest.mark.parametrize("position", [*POSITIONS])
def test_maps_show_what_attention_is_whatever_places_count(position):
    X = make_ragged()
    model = fitted(SelfAttentionClassifier(**SMALL | {"position": position, "window": (5, 2), "n_layers": 2}), X)
    network = model._model.network
    for name, weight in network.weights.items():
        if name.endswith("distance"):
            weight += np.random.default_rng(1).normal(size=weight.shape)
    for layer in (0, 1):
        for steps, found in zip(X[:3], model.attention_weights(X[:3], layer=layer), strict=True):
            truth = reference.forward(network.weights, network.architecture, steps, network.mean, network.scale)
            query, key = (reference.split_heads(truth[f"layers.{layer}.{name}"], 2) for name in ("query", "key"))
            table = network.weights.get(f"layers.{layer}.distance")
            bias = reference.bias_of_scores(network.architecture, np.arange(len(steps)), table)
            expected = reference.attention_weights(query, key, (5, 2), bias=bias)
            np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-12)


def test_a_file_of_weights_keeps_what_features_are(tmp_path):
    pytest.importorskip("safetensors")
    generator = np.random.default_rng(0)
    X = [np.stack([np.cumsum(generator.random(n)), generator.integers(5, size=n)], axis=1) for n in (3, 7, 2, 5)]
    parameters = TIMED | {"time_feature": 0, "categorical_features": [1]}
    model = SelfAttentionClassifier(**parameters).fit(X, [0, 1, 0, 1])
    model.save_weights(tmp_path / "weights")
    read = SelfAttentionClassifier(**parameters).load_weights(tmp_path / "weights")
    np.testing.assert_array_equal(read.predict_proba(X), model.predict_proba(X))
    for changes, name in (({"categorical_features": None}, "categories"), ({"time_feature": None}, "time_feature")):
        with pytest.raises(ValueError, match=name):
            SelfAttentionClassifier(**parameters | changes).load_weights(tmp_path / "weights")


def test_a_damaged_unit_of_time_is_refused():
    model = fitted(SelfAttentionClassifier(**TIMED), timed())
    for wrong in (None, 7.0, np.zeros(1), np.ones(2), np.array([np.nan])):
        state = model.__getstate__()
        state["_model"]["network"] = state["_model"]["network"] | {"time_unit": wrong}
        with pytest.raises(ValueError, match="time_unit.*the file is damaged"):
            SelfAttentionClassifier().__setstate__(state)
    state = model.__getstate__()
    architecture = state["_model"]["network"]["architecture"] | {"categories": ((1, 4),)}
    state["_model"]["network"] = state["_model"]["network"] | {"architecture": architecture}
    with pytest.raises(ValueError, match="time_feature is 1, expected a feature of its own"):
        SelfAttentionClassifier().__setstate__(state)


def test_forms_of_attention_that_do_not_fit_are_refused_in_a_file():
    model = SelfAttentionTransformer(**SMALL).fit(make_ragged())
    for change in (
        {"attention": "linear", "position": "rotary"},
        {"attention": "linear", "position": "alibi"},
        {"n_pooling_heads": 3},
    ):
        state = model.__getstate__()
        architecture = state["_model"]["network"]["architecture"] | change
        state["_model"]["network"] = state["_model"]["network"] | {"architecture": architecture}
        with pytest.raises(ValueError, match="the file is damaged"):
            SelfAttentionTransformer().__setstate__(state)


def test_stems_and_patches_do_not_go_together_in_a_file():
    model = fitted(
        SelfAttentionClassifier(**SMALL | {"embedding": "random_convolution", "n_kernels": 16}), make_ragged()
    )
    for change in ({"n_taps": 3}, {"patch_size": 2}, {"categories": ((0, 3),)}):
        state = model.__getstate__()
        architecture = state["_model"]["network"]["architecture"] | change
        state["_model"]["network"] = state["_model"]["network"] | {"architecture": architecture}
        with pytest.raises(ValueError, match="the file is damaged"):
            SelfAttentionClassifier().__setstate__(state)
    model = SelfAttentionTransformer(**SMALL).fit(make_ragged())
    for change in ({"n_taps": 3}, {"patch_size": 2}):
        state = model.__getstate__()
        architecture = state["_model"]["network"]["architecture"] | change
        state["_model"]["network"] = state["_model"]["network"] | {"architecture": architecture}
        with pytest.raises(ValueError, match="single steps are told"):
            SelfAttentionClassifier().__setstate__(state)
