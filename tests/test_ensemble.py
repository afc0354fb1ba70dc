"""Several networks: what they say together, apart, in files, after an interrupt; and samples merged before."""

import pickle

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import config_context, get_config
from sklearn.base import clone

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer
from skattn._network.learner import Plan
from skattn._training.objectives import OBJECTIVES
from skattn.checkpoint import Checkpoint

SMALL = {"n_kernels": 16, "d_model": 8, "n_heads": 2, "max_iter": 3, "random_state": 0}
GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(30, 20, 2))
Y = (X[:, 3, 0] > X[:, 11, 1]).astype(int)
TARGETS = {
    SelfAttentionClassifier: Y,
    SelfAttentionRegressor: X[:, 0, 0],
    SelfAttentionTransformer: X[:, :2, 1],
}


def fitted(kind=SelfAttentionClassifier, **parameters):
    return kind(**SMALL | parameters).fit(X, TARGETS[kind])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 1e4])
def test_outputs_together_give_the_geometric_mean_of_odds_and_the_mean_of_values(dtype, size):
    outputs = [(size * np.random.default_rng(i).normal(size=(7, 3))).astype(dtype) for i in range(3)]
    for objective in ("cross_entropy", "binary_cross_entropy"):
        entry = OBJECTIVES[objective]
        combined = entry.combine(outputs)
        logarithms = np.mean([entry.log_probabilities(o.astype(np.float64)) for o in outputs], axis=0)
        between = logarithms[:, 1:] - logarithms[:, :1]
        if objective == "binary_cross_entropy":
            between = logarithms - np.mean([entry.log_probabilities(-o.astype(np.float64)) for o in outputs], axis=0)
            np.testing.assert_allclose(combined, between, rtol=1e-4)
        else:
            np.testing.assert_allclose(combined[:, 1:] - combined[:, :1], between, rtol=1e-4)
        assert combined.dtype == dtype and np.isfinite(entry.probabilities(combined)).all()
    np.testing.assert_allclose(OBJECTIVES["squared_error"].combine(outputs), np.mean(outputs, axis=0), rtol=1e-5)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_one_network_speaks_for_itself(objective):
    outputs = np.ones((2, 3))
    assert OBJECTIVES[objective].combine([outputs]) is outputs


@pytest.mark.parametrize(
    ("n_samples", "n_tokens", "expected"),
    [(100, 10, [0, 0, 1, 0, 0, 1]), (100, 20, [0] * 6), (99, 10, [0] * 6)],
    ids=["several steps a token", "a step a token", "too few"],
)
def test_kernels_of_every_third_network_compete_where_there_is_enough_to_count(n_samples, n_tokens, expected):
    many = np.random.default_rng(0).normal(size=(n_samples, 20, 2))
    model = SelfAttentionClassifier(**SMALL | {"max_iter": 1}, n_estimators=6, n_tokens=n_tokens)
    model.fit(many, np.arange(n_samples) % 2)
    assert [member.network.stem.competes for member in model._fitted.members] == expected


def test_probabilities_are_the_geometric_mean_of_those_of_the_networks():
    model = fitted(n_estimators=3)
    each = [
        softmax(member.network.forward(model._read_fitted(X), "outputs").astype(np.float64), axis=1)
        for member in model._model.members
    ]
    expected = np.prod(each, axis=0) ** (1 / 3)
    np.testing.assert_allclose(model.predict_proba(X), expected / expected.sum(axis=1, keepdims=True), rtol=1e-9)
    assert np.abs(each[0] - each[1]).max() > 1e-3


def test_the_first_network_is_the_one_alone():
    alone, several = fitted(n_estimators=1), fitted(n_estimators=2)
    first, only = several._model.network, alone._model.network
    np.testing.assert_array_equal(first.parameters, only.parameters)
    np.testing.assert_array_equal(first.stem.weights, only.stem.weights)
    assert list(several.weights_) == [*alone.weights_, *(f"networks.1.{name}" for name in alone.weights_)]


@pytest.mark.parametrize("kind", TARGETS)
def test_features_stand_side_by_side(kind):
    model = fitted(kind, n_estimators=3)
    features = model.transform(X)
    assert features.shape == (30, 3 * 16) == (30, len(model.get_feature_names_out()))
    for i, member in enumerate(model._model.members):
        expected = member.network.forward(model._read_fitted(X), "features")
        np.testing.assert_array_equal(features[:, 16 * i : 16 * (i + 1)], expected)


def test_steps_of_several_networks_stand_side_by_side():
    model = SelfAttentionTransformer(**SMALL, pooling=None, n_estimators=2).fit(X)
    assert model.transform(X).shape == (30, 20, 16)


def test_each_network_shows_what_its_tokens_attend_to():
    model = fitted(n_estimators=2, n_tokens=7)
    maps = [model.attention_weights(X, network=i)[0] for i in range(2)]
    spans = model.token_spans(X)[0]
    assert maps[0].shape == maps[1].shape == (2, 7, 7)
    np.testing.assert_allclose(maps[0].sum(axis=-1), 1, rtol=1e-9)
    assert np.any(maps[0] != maps[1])
    np.testing.assert_array_equal(spans, [[0, 3], [3, 6], [6, 9], [9, 12], [12, 15], [15, 18], [18, 20]])
    np.testing.assert_array_equal(model.attention_weights(X, network=-1)[0], maps[1])
    with pytest.raises(ValueError, match="network=2 is none of the 2 networks"):
        model.attention_weights(X, network=2)


def test_without_a_stem_a_token_is_a_step():
    model = fitted(embedding="linear")
    np.testing.assert_array_equal(model.token_spans(X[:1])[0], np.stack([np.arange(20), np.arange(1, 21)], axis=1))


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("n_estimators", [1, 2])
def test_files_keep_every_network(kind, n_estimators, tmp_path):
    model = fitted(kind, n_estimators=n_estimators)
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.transform(X), model.transform(X))
    model.save_weights(tmp_path / "weights")
    loaded = clone(model).load_weights(tmp_path / "weights")
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))


def test_weights_of_another_number_of_networks_are_refused(tmp_path):
    fitted(n_estimators=2).save_weights(tmp_path / "weights")
    with pytest.raises(ValueError, match="n_estimators=2"):
        SelfAttentionClassifier(**SMALL | {"n_estimators": 3}).load_weights(tmp_path / "weights")


def test_networks_that_differ_are_refused():
    state = fitted(n_estimators=2).__getstate__()
    for members in (
        [],
        None,
        [state["_model"]["members"][0], fitted(d_model=4).__getstate__()["_model"]["members"][0]],
    ):
        state["_model"] = {**state["_model"], "members": members}
        with pytest.raises(ValueError, match="damaged"):
            SelfAttentionClassifier.__new__(SelfAttentionClassifier).__setstate__(state)


def test_another_number_of_networks_is_no_warm_start():
    model = fitted(n_estimators=2, warm_start=True)
    with pytest.raises(ValueError, match="n_estimators is 3 now"):
        model.set_params(n_estimators=3).fit(X, Y)


def test_warm_start_trains_every_network_on():
    model = fitted(n_estimators=2, warm_start=True)
    before = [member.network.parameters.copy() for member in model._model.members]
    model.fit(X, Y)
    assert model.n_iter_ == 6
    assert all(np.any(m.network.parameters != b) for m, b in zip(model._model.members, before, strict=True))


class Killed(BaseException):
    """Stands for the end of a process."""


@pytest.mark.parametrize("n_saved", [1, 3, 4, 5])
def test_a_killed_fit_goes_on_in_the_network_that_it_had_come_to(n_saved, tmp_path, monkeypatch):
    from skattn import checkpoint

    expected = fitted(n_estimators=2)
    calls, write = [], checkpoint.replace_file

    def replace_file(path, content):
        write(path, content)
        calls.append(path)
        if len(calls) == n_saved:
            raise Killed

    model = SelfAttentionClassifier(**SMALL, n_estimators=2, checkpoint=tmp_path / "fit.ckpt")
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "replace_file", replace_file)
        with pytest.raises(Killed):
            model.fit(X, Y)
    np.testing.assert_array_equal(model.fit(X, Y).predict_proba(X), expected.predict_proba(X))


@pytest.mark.parametrize(("n_jobs", "n_kept"), [(1, {2}), (2, {1, 2, 3})])
def test_ctrl_c_keeps_the_networks_that_have_learned(n_jobs, n_kept, monkeypatch):
    """One after another the third has not begun; side by side that is a matter of chance."""
    run, taken = Plan.run, []

    def interrupted(plan, first, last):
        taken.extend(range(first, last))
        if len(taken) > 24:  # two networks take twelve updates each
            raise KeyboardInterrupt
        run(plan, first, last)

    monkeypatch.setattr(Plan, "run", interrupted)
    model = SelfAttentionClassifier(**SMALL, n_estimators=3, n_jobs=n_jobs)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    assert len(model._model.members) in n_kept
    assert model.predict_proba(X).shape == (30, 2)


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("parameters", [{}, {"dropout": 0.3, "early_stopping": True, "max_iter": 5}])
def test_networks_side_by_side_learn_what_they_do_one_after_another(kind, parameters):
    expected = fitted(kind, n_estimators=3, n_jobs=1, **parameters)
    for n_jobs in (2, 3, None):
        found = fitted(kind, n_estimators=3, n_jobs=n_jobs, **parameters)
        for name, weight in expected.weights_.items():
            np.testing.assert_array_equal(found.weights_[name], weight)


def test_networks_side_by_side_see_the_settings_of_scikit_learn():
    """A scorer in a thread of its own would otherwise be given arrays where frames were asked for."""
    seen = []

    def score(estimator, X, y):
        seen.append(get_config()["transform_output"])
        return 0.0

    with config_context(transform_output="pandas"):
        fitted(n_estimators=2, n_jobs=2, early_stopping=True, scoring=score)
    assert set(seen) == {"pandas"}


def test_a_network_that_diverges_says_so_from_its_thread():
    with pytest.raises(ValueError, match="Training diverged"):
        fitted(n_estimators=2, n_jobs=2, optimizer="sgd", learning_rate_init=1e30, learning_rate="constant")


def test_the_order_of_samples_changes_no_bit():
    order = np.random.default_rng(1).permutation(30)
    expected = fitted().predict_proba(X)
    shuffled = SelfAttentionClassifier(**SMALL).fit(X[order], Y[order])
    np.testing.assert_array_equal(shuffled.predict_proba(X), expected)


@pytest.mark.parametrize("kind", TARGETS)
def test_weighting_a_sample_is_repeating_it_to_the_bit(kind):
    counts = np.arange(30) % 4
    rows = np.random.default_rng(2).permutation(np.repeat(np.arange(30), counts))
    parameters = {**SMALL, "dropout": 0.3, "embedding_dropout": 0.3}
    weighted = kind(**parameters).fit(X, TARGETS[kind], sample_weight=counts)
    repeated = kind(**parameters).fit(X[rows], TARGETS[kind][rows])
    np.testing.assert_array_equal(repeated.transform(X), weighted.transform(X))


def test_without_shuffling_samples_keep_their_order():
    model = fitted(shuffle=False)
    shuffled = SelfAttentionClassifier(**SMALL, shuffle=False).fit(X[::-1], Y[::-1])
    assert np.any(shuffled.predict_proba(X) != model.predict_proba(X))


def test_more_samples_are_left_as_they_are():
    more = np.repeat(X, 9, axis=0)
    model = SelfAttentionClassifier(**SMALL | {"max_iter": 1}).fit(more, np.repeat(Y, 9))
    assert model._model.state.n_updates == -(-270 // 8)


def test_samples_with_the_same_sequence_and_other_targets_are_not_merged():
    model = SelfAttentionClassifier(**SMALL | {"max_iter": 60}).fit(np.repeat(X[:2], 2, axis=0), [0, 1, 0, 1])
    np.testing.assert_allclose(model.predict_proba(X[:2]), 0.5, atol=0.05)


def test_tokens_that_are_too_many_are_computed_a_batch_at_a_time(monkeypatch):
    expected = fitted().predict_proba(X)
    monkeypatch.setattr("skattn.ensemble.KEPT_BYTES", 0)
    np.testing.assert_array_equal(fitted().predict_proba(X), expected)


def test_a_checkpoint_with_another_number_of_networks_is_refused(tmp_path):
    model = fitted(n_estimators=2, checkpoint=tmp_path / "fit.ckpt")
    found = Checkpoint(model)
    found._found["training"].pop()
    with pytest.raises(ValueError, match="no whole checkpoint"):
        found.restore(model._model)
