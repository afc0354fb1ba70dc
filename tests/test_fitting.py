"""Fitting: seeds, weights, scaling, validation, and going on from where an earlier call ended."""

import pickle

import numpy as np
import pytest
from problems import (
    ESTIMATORS,
    SMALL,
    assert_same_bits,
    fitted,
    make_array,
    make_ragged,
    results_of,
    rise,
    target_of,
)
from sklearn.base import clone

from skattn import SelfAttentionClassifier, SelfAttentionRegressor

X = make_ragged()


@pytest.fixture(params=ESTIMATORS, ids=lambda estimator: estimator.__name__)
def estimator(request):
    """An unfitted estimator that fits in a moment."""
    return request.param(**SMALL)


def test_the_seed_decides_everything(estimator):
    estimator.set_params(batch_size=5, dropout=0.1, early_stopping=True, validation_fraction=0.3)
    models = [fitted(clone(estimator).set_params(random_state=seed), X) for seed in (3, 3, 4)]
    assert_same_bits(models[1].weights_, models[0].weights_)
    assert models[2].loss_curve_ != models[0].loss_curve_


def test_a_random_state_instance_gives_another_model_at_every_fit(estimator):
    estimator.set_params(random_state=np.random.RandomState(3))
    first = fitted(estimator, X).transform(X)
    assert not np.array_equal(first, fitted(estimator, X).transform(X))


def test_samples_that_weigh_nothing_are_as_if_absent(estimator):
    y, weight = target_of(estimator, X), np.arange(len(X)) % 3 / 2
    kept = np.flatnonzero(weight)
    expected = clone(estimator).fit([X[i] for i in kept], y[kept], weight[kept])
    assert_same_bits(results_of(estimator.fit(X, y, weight), X), results_of(expected, X))


def test_the_scale_of_weights_does_not_matter(estimator):
    y, weight = target_of(estimator, X), np.linspace(1, 2, len(X))
    expected = results_of(clone(estimator).fit(X, y, weight), X)
    assert_same_bits(results_of(estimator.fit(X, y, 1024 * weight), X), expected)


def test_features_need_no_scaling(estimator):
    y = target_of(estimator, X)
    expected = clone(estimator).fit(X, y).transform(X)
    far = [1024.0 * sequence + 7.0 for sequence in X]
    np.testing.assert_allclose(estimator.fit(far, y).transform(far), expected, rtol=1e-6, atol=1e-8)


def test_a_constant_feature_changes_nothing_but_its_own_weights(estimator):
    constant = [np.column_stack([sequence, np.full(len(sequence), 5.0)]) for sequence in X]
    assert np.isfinite(fitted(estimator, constant).transform(constant)).all()


def test_a_warm_start_goes_on(estimator):
    estimator.set_params(warm_start=True)
    first = fitted(estimator, X).loss_curve_[:]
    fitted(estimator, X)
    assert 6 == estimator.n_iter_
    assert first == estimator.loss_curve_[:3] and estimator.loss_curve_[-1] < first[-1]


def test_without_a_warm_start_fit_begins_anew(estimator):
    assert_same_bits(fitted(fitted(estimator, X), X).weights_, fitted(clone(estimator), X).weights_)


def test_partial_fit_goes_through_the_samples_once(estimator):
    y = target_of(estimator, X)
    classes = {"classes": np.unique(y)} if isinstance(estimator, SelfAttentionClassifier) else {}
    estimator.partial_fit(X, y, **classes)
    assert 1 == estimator.n_iter_
    assert 2 == estimator.partial_fit(X, y).n_iter_
    assert estimator.loss_curve_[1] < estimator.loss_curve_[0]


def test_partial_fit_takes_weights(estimator):
    y, weight = target_of(estimator, X), np.arange(len(X)) % 3 / 2
    kept = np.flatnonzero(weight)
    expected = fitted(clone(estimator), X).partial_fit([X[i] for i in kept], y[kept], sample_weight=weight[kept])
    actual = fitted(estimator, X).partial_fit(X, y, sample_weight=weight)
    assert_same_bits(actual.weights_, expected.weights_)


def test_partial_fit_goes_on_from_fit(estimator):
    before = fitted(estimator, X).transform(X)
    estimator.partial_fit(X, target_of(estimator, X))
    assert 4 == estimator.n_iter_ and not np.array_equal(before, estimator.transform(X))


def test_partial_fit_cannot_stop_early(estimator):
    fitted(estimator, X).set_params(early_stopping=True)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True.*use fit"):
        estimator.partial_fit(X, target_of(estimator, X))


def test_a_share_of_the_samples_decides_when_to_stop(estimator):
    estimator.set_params(early_stopping=True, validation_fraction=0.3)
    model = fitted(estimator, X)
    assert model.n_iter_ == len(model.validation_scores_)


def test_validation_samples_of_ones_own_are_scored(estimator):
    """Without early stopping they decide nothing; the weights are those of a fit without them."""
    other = make_ragged(n_samples=13, seed=5)
    y, y_val = target_of(estimator, X), target_of(estimator, other)
    expected = clone(estimator).fit(X, y).weights_
    model = estimator.fit(X, y, X_val=other, y_val=y_val)
    assert 3 == len(model.validation_scores_)
    assert_same_bits(model.weights_, expected)


@pytest.mark.parametrize("kind", [SelfAttentionClassifier, SelfAttentionRegressor])
def test_the_best_weights_by_validation_are_kept(kind):
    """The last ones are worse: so large a rate goes up and down."""
    rate = {"learning_rate": "constant", "learning_rate_init": 0.1}
    scoring = "accuracy" if kind is SelfAttentionClassifier else "r2"
    model = kind(**SMALL | rate | {"max_iter": 40, "early_stopping": True, "scoring": scoring})
    y = target_of(model, X)
    model.fit(X[:15], y[:15], X_val=X[15:], y_val=y[15:])
    assert max(model.validation_scores_) > model.validation_scores_[-1]
    assert max(model.validation_scores_) == pytest.approx(model.score(X[15:], y[15:]))


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        ({"y_val": [1]}, "y_val was given without X_val"),
        ({"X_val": X}, "y_val is None"),
        ({"X_val": make_ragged(n_features=5), "y_val": rise(X)}, "X_val: X has 5 features"),
        ({"X_val": X, "y_val": [1.0]}, "X_val and y_val have inconsistent numbers of samples"),
    ],
)
def test_unusable_validation_samples_are_refused(validation, message):
    with pytest.raises(ValueError, match=message):
        SelfAttentionRegressor(**SMALL).fit(X, rise(X), **validation)


def test_another_network_cannot_be_gone_on_with(estimator):
    y = target_of(estimator, X)
    fitted(estimator.set_params(warm_start=True), X)
    for changed in ({"d_model": 16}, {"causal": True}, {"pooling": "max"}, {"dtype": "float32"}):
        (name,) = changed
        before = {name: estimator.get_params()[name]}
        reported = {"causal": r"window \(with causal\)"}.get(name, name)
        with pytest.raises(ValueError, match=f"{reported} is .* now, but the fitted network was built with"):
            estimator.set_params(**changed).fit(X, y)
        estimator.set_params(**before)
    estimator.set_params(dropout=0.5, alpha=0.0, optimizer="sgd").fit(X, y)


def test_progress_is_printed_only_when_asked_for(estimator, capsys):
    fitted(clone(estimator), X)
    assert "" == capsys.readouterr().out
    fitted(estimator.set_params(verbose=3), X)
    assert 3 == len([line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")])


def test_going_on_keeps_the_scaling_of_the_first_call(estimator):
    """Sequences far from the first ones do not become near ones."""
    y = target_of(estimator, X)
    before = results_of(fitted(estimator, X), X)
    far = [1024.0 * sequence + 7.0 for sequence in X]
    estimator.set_params(learning_rate_init=1e-15).partial_fit(far, y)
    for name, result in results_of(estimator, X).items():
        if result.dtype.kind == "f":
            np.testing.assert_allclose(result, before[name], rtol=1e-6, atol=1e-9)


def test_a_failed_call_leaves_no_trace_in_the_optimiser(estimator):
    y = target_of(estimator, X)
    expected = clone(estimator).fit(X, y).partial_fit(X, y).weights_
    estimator.fit(X, y).set_params(learning_rate_init=1e300, batch_size=5)
    with pytest.raises(ValueError, match="diverged"):
        estimator.partial_fit(X, y)
    estimator.set_params(learning_rate_init=SMALL["learning_rate_init"], batch_size="auto")
    assert_same_bits(estimator.partial_fit(X, y).weights_, expected)


def test_only_fit_knows_where_the_schedule_ends(estimator):
    assert 3 == fitted(estimator, X)._model.state.plan_updates
    assert estimator.partial_fit(X, target_of(estimator, X))._model.state.plan_updates is None


def test_another_width_cannot_be_gone_on_with(estimator):
    y = target_of(estimator, X)
    fitted(estimator.set_params(warm_start=True), X)
    for go_on in (estimator.fit, estimator.partial_fit):
        with pytest.raises(ValueError, match="X has 5 features.*is expecting 3"):
            go_on(make_ragged(n_features=5), y)
    assert 3 == estimator.n_features_in_


def test_one_sequence_alone_is_not_taken_for_many_of_one_step():
    """Neither to predict, nor to go on learning, nor to validate."""
    X, y = make_array(n_features=1), np.arange(23) % 2
    model = SelfAttentionClassifier(**SMALL).fit(X, y)
    for call in (
        model.predict,
        lambda one: model.partial_fit(one, y[:7]),
        lambda one: model.fit(X, y, X_val=one, y_val=y[:7]),
    ):
        with pytest.raises(ValueError, match=r"X\[np.newaxis\]"):
            call(X[0])
    assert 1 == len(model.predict(X[:1])) and 1 == len(model.predict(X[0].T))


def test_what_features_are_stays_where_a_fit_goes_on():
    generator = np.random.default_rng(0)
    X = [np.column_stack([np.arange(n), generator.integers(0, 3, n)]).astype(float) for n in range(3, 23)]
    y = np.arange(20) % 2
    model = SelfAttentionClassifier(**SMALL, warm_start=True).fit(X, y)
    for options, name in (
        ({"time_feature": 0}, "time_feature is 0 now"),
        ({"categorical_features": [1]}, r"\(1,\) now"),
    ):
        with pytest.raises(ValueError, match=f"{name}, but the fitted network was built with"):
            clone_fitted(model).set_params(**options).fit(X, y)
        with pytest.raises(ValueError, match=f"{name}, but the fitted network was built with"):
            clone_fitted(model).set_params(**options).partial_fit(X, y)
    options = SMALL | {"position": "auto", "time_feature": 0, "categorical_features": [1]}
    known = SelfAttentionClassifier(**options, warm_start=True).fit(X, y)
    assert known.fit(X, y).partial_fit(X, y)
    with pytest.raises(ValueError, match="time_feature is None now"):
        known.set_params(time_feature=None).fit(X, y)


def clone_fitted(model):
    return pickle.loads(pickle.dumps(model))
