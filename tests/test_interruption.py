"""Ctrl-C ends a fit and what is around it, and leaves an estimator that is fitted, or as it was."""

import pickle
import signal

import numpy as np
import pytest
from problems import ESTIMATORS, SMALL, assert_same_bits, fitted, make_ragged, results_of, target_of
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import skattn.beginning
import skattn.ensemble
import skattn.fitting
from skattn import SelfAttentionClassifier, SelfAttentionRegressor
from skattn._network.learner import Plan

X = make_ragged()
LONG = SMALL | {"batch_size": 7, "max_iter": 5}


@pytest.fixture
def interrupt_at(monkeypatch):
    """Press Ctrl-C before so many updates."""

    def at(number, what=Plan, name="run"):
        called, passed = [0], getattr(what, name)

        def interrupted(plan, first, last):
            middle = first + number - called[0]
            if first <= middle < last:
                passed(plan, first, middle)
                called[0] += middle + 1 - first
                signal.raise_signal(signal.SIGINT)
                first = middle
            else:
                called[0] += last - first
            passed(plan, first, last)

        def interrupted_call(*arguments, **options):
            called[0] += 1
            if called[0] == number + 1:
                signal.raise_signal(signal.SIGINT)
            return passed(*arguments, **options)

        monkeypatch.setattr(what, name, interrupted if what is Plan else interrupted_call)
        return called

    return at


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_an_interrupted_fit_is_usable(kind, interrupt_at):
    interrupt_at(10)
    model = kind(**LONG)
    with pytest.raises(KeyboardInterrupt) as caught:
        fitted(model, X)
    assert "interrupted in epoch 3, after 10 updates; what was learned until then is kept" in caught.value.__notes__[0]
    assert 2 == model.n_iter_ == len(model.loss_curve_)
    assert_same_bits(results_of(pickle.loads(pickle.dumps(model)), X), results_of(model, X))


def test_what_is_kept_is_what_was_learned_until_then(interrupt_at):
    """Whole epochs at a rate that does not depend on how many were to come."""
    expected = SelfAttentionRegressor(**LONG | {"max_iter": 2, "learning_rate": "constant", "loss": "huber"})
    expected = results_of(fitted(expected, X), X)
    model = SelfAttentionRegressor(**LONG | {"learning_rate": "constant", "loss": "huber"})
    interrupt_at(8)
    with pytest.raises(KeyboardInterrupt):
        fitted(model, X)
    assert_same_bits(results_of(model, X), expected)


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_before_the_first_update_nothing_is_kept(kind, interrupt_at):
    interrupt_at(0)
    model = kind(**LONG)
    with pytest.raises(KeyboardInterrupt) as caught:
        fitted(model, X)
    assert not hasattr(model, "n_features_in_") and not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize(
    ("module", "place"), [(skattn.fitting, "read_sequences"), (skattn.beginning, "look"), (skattn.ensemble, "train")]
)
def test_interrupted_on_the_way_to_the_first_update_an_estimator_is_as_it_was(module, place, interrupt_at):
    model = fitted(SelfAttentionRegressor(**LONG), X)
    before = pickle.dumps(model)
    interrupt_at(0, module, place)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, np.arange(len(X)))
    assert before == pickle.dumps(model)


@pytest.mark.parametrize("n_updates", [0, 5])
def test_a_warm_start_keeps_the_old_model_or_the_new(n_updates, interrupt_at):
    model = fitted(SelfAttentionClassifier(**LONG, warm_start=True), X)
    before, n_iter = model._model, model.n_iter_
    interrupt_at(n_updates)
    with pytest.raises(KeyboardInterrupt):
        fitted(model, X)
    assert (model._model is before) == (n_updates == 0)
    assert n_iter + n_updates // 4 == model.n_iter_


def test_an_interrupted_partial_fit_keeps_its_updates(interrupt_at):
    interrupt_at(2)
    model = SelfAttentionRegressor(**LONG)
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(X, target_of(model, X))
    assert 2 == model._model.state.n_updates and np.isfinite(model.predict(X)).all()


def test_interrupted_early_stopping_keeps_the_best(interrupt_at):
    model = SelfAttentionRegressor(**LONG, early_stopping=True, scoring="r2")
    interrupt_at(10)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, target_of(model, X), X_val=X, y_val=target_of(model, X))
    assert max(model.validation_scores_) == pytest.approx(model.score(X, target_of(model, X)))


def test_what_is_not_finite_is_not_kept(interrupt_at):
    interrupt_at(1)
    model = SelfAttentionRegressor(**LONG | {"learning_rate_init": 1e60, "dtype": "float32"})
    with pytest.raises(KeyboardInterrupt):
        fitted(model, X)
    assert not hasattr(model, "n_features_in_")


def test_an_interrupt_ends_a_search(interrupt_at):
    called = interrupt_at(3)
    search = GridSearchCV(SelfAttentionClassifier(**LONG), {"dropout": [0.0, 0.1]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        fitted(search, X)
    assert 4 == called[0] and not hasattr(search, "cv_results_")


def test_an_interrupt_ends_a_pipeline_whose_last_step_is_usable(interrupt_at):
    interrupt_at(3)
    pipeline = make_pipeline(FunctionTransformer(), SelfAttentionRegressor(**LONG))
    with pytest.raises(KeyboardInterrupt):
        pipeline.fit(X, target_of(pipeline[-1], X))
    assert np.isfinite(pipeline[-1].predict(X)).all()


def test_threads_are_as_they_were_after_an_interrupt(interrupt_at):
    """What a region takes it gives back, whatever ends it."""
    from skattn._kernels import parallel

    interrupt_at(3, parallel, "_region")
    model = SelfAttentionClassifier(**LONG, n_jobs=2)
    with pytest.raises(KeyboardInterrupt):
        fitted(model, X)
    assert {} == parallel._at_work
    assert np.isfinite(model.predict_proba(X)).all()
