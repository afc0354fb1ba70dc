"""Steps and features that matter are found, in every form of X and for any estimator."""

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from problems import SMALL, direction, make_array, make_ragged, make_told, pad, rise
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer
from skattn.inspection import feature_importance, step_importance

N_STEPS, N_FEATURES, N_SAMPLES = 13, 3, 67
METHODS = ["permutation", "occlusion"]


def flattened(X):
    """Sequences as rows of one table, 0 where they have ended."""
    rows = np.zeros((len(X), N_STEPS, N_FEATURES))
    for row, steps in zip(rows, X, strict=True):
        row[: len(steps)] = steps
    return rows.reshape(len(X), -1)


def make_linear(estimator=None):
    """A model that takes sequences, and nothing of this package."""
    return make_pipeline(FunctionTransformer(flattened), RidgeClassifier() if estimator is None else estimator)


def share_right(model, X, y):
    """What `score` gives, in a fraction of the time."""
    return np.mean(model.predict(X) == y)


def planted(seed, is_ragged=False):
    """Noise in which one step of one feature decides; the step, and the feature."""
    generator = np.random.default_rng(seed)
    step, feature = int(generator.integers(7)), int(generator.integers(N_FEATURES))
    X = generator.normal(size=(N_SAMPLES, N_STEPS, N_FEATURES))
    y = generator.integers(2, size=N_SAMPLES)
    X[:, step, feature] = generator.normal(4 * y - 2, 0.5)
    lengths = generator.integers(7, N_STEPS + 1, size=N_SAMPLES)
    return [steps[:n] for steps, n in zip(X, lengths, strict=True)] if is_ragged else X, y, step, feature


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("is_ragged", [False, True])
def test_what_was_planted_is_found_in_20_of_20(is_ragged, method):
    found = []
    for seed in range(20):
        X, y, step, feature = planted(seed, is_ragged)
        options = {"method": method, "n_repeats": 2, "random_state": 0, "scoring": share_right}
        model = make_linear().fit(X, y)
        steps = step_importance(model, X, y, **options).importances_mean
        features = feature_importance(model, X, y, **options).importances_mean
        found.append((np.argmax(steps) == step, np.argmax(features) == feature))
    assert 20 == sum(of_step for of_step, _ in found) == sum(of_feature for _, of_feature in found)


@pytest.fixture(scope="module")
def attentive():
    """A model of this package that has learned what was planted."""
    X, y, step, feature = planted(3, is_ragged=True)
    options = SMALL | {"d_model": 32, "max_iter": 60, "batch_size": 16, "learning_rate_init": 0.01}
    model = SelfAttentionClassifier(**options).fit(X, y)
    assert model.score(X, y) > 0.95
    return model, X, y, step, feature


@pytest.mark.parametrize("has_y", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_what_attention_has_learned_is_found_too(attentive, method, has_y):
    model, X, y, step, feature = attentive
    y, options = y if has_y else None, {"method": method, "random_state": 0}
    steps, features = step_importance(model, X, y, **options), feature_importance(model, X, y, **options)
    assert (step, feature) == (np.argmax(steps.importances_mean), np.argmax(features.importances_mean))
    n_repeats = 5 if method == "permutation" else 1
    assert ((13, n_repeats), (3, n_repeats)) == (steps.importances.shape, features.importances.shape)
    np.testing.assert_array_equal(steps.steps, np.stack([np.arange(13), np.arange(1, 14)], axis=1))
    np.testing.assert_array_equal(steps.importances.std(axis=1), steps.importances_std)
    np.testing.assert_array_equal(features.importances.mean(axis=1), features.importances_mean)


@pytest.mark.parametrize("method", METHODS)
def test_ragged_and_padded_forms_have_the_same_importance(attentive, method):
    model, X, y, *_ = attentive
    for measure in (step_importance, feature_importance):
        options = {"method": method, "n_repeats": 2, "random_state": 0}
        expected = measure(model, X, y, **options)
        for form in (pad(X), tuple(X), [pd.DataFrame(steps) for steps in X]):
            found = measure(model, form, y, **options)
            np.testing.assert_array_equal(found.importances, expected.importances)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("measure", [step_importance, feature_importance])
def test_any_number_of_jobs_and_any_run_give_the_same(linear, measure, method):
    model, X, y = linear
    options = {"method": method, "n_repeats": 2, "random_state": 7}
    # What stands in this file cannot be found from another process; the next test goes there.
    with parallel_config(backend="threading"):
        first, again, shared = (measure(model, X, y, **options, n_jobs=jobs) for jobs in (None, 1, 2))
    np.testing.assert_array_equal(first.importances, again.importances)
    np.testing.assert_array_equal(first.importances, shared.importances)


def test_attention_gives_the_same_in_other_processes(attentive):
    model, X, y, *_ = attentive
    alone, shared = (feature_importance(model, X, y, n_repeats=2, random_state=7, n_jobs=jobs) for jobs in (1, 2))
    np.testing.assert_array_equal(alone.importances, shared.importances)


def test_other_random_states_exchange_otherwise():
    X, y, *_ = planted(0)
    model = make_linear().fit(X, y)
    some, others = (feature_importance(model, X, y, random_state=state).importances for state in (0, 1))
    assert not np.array_equal(some, others)
    assert len(set(some[some.std(axis=1).argmax()])) > 1
    instance = np.random.RandomState(0)
    np.testing.assert_array_equal(feature_importance(model, X, y, random_state=instance).importances, some)


def test_local_importance_tells_of_each_sequence_at_its_own_steps(attentive):
    model, X, y, step, _ = attentive
    local = step_importance(model, X, y, method="occlusion").local
    assert [len(steps) for steps in X] == [len(of_sequence) for of_sequence in local]
    firsts = [int(np.argmax(of_sequence)) for of_sequence in local]
    assert np.mean(np.equal(firsts, step)) > 0.7
    changed = [steps.copy() for steps in X]
    mean = np.concatenate(X).mean(axis=0)
    for steps in changed:
        steps[step] = mean
    places = np.arange(len(X)), np.searchsorted(model.classes_, y)
    falls = model.predict_proba(X)[places] - model.predict_proba(changed)[places]
    np.testing.assert_allclose([of_sequence[step] for of_sequence in local], falls, rtol=1e-4, atol=1e-6)
    of_features = feature_importance(model, X, y, method="occlusion", features=[0, 2]).local
    assert (67, 2) == of_features.shape
    assert "local" not in step_importance(model, X, y, random_state=0)


def test_steps_of_a_block_have_one_number():
    X, y, step, _ = planted(0)
    model = make_linear(LogisticRegression()).fit(X, y)
    found = step_importance(model, X, y, method="occlusion", window=5)
    assert [[0, 5], [5, 10], [10, 13]] == found.steps.tolist()
    assert step // 5 == np.argmax(found.importances_mean)
    assert [1, 1, 1] == [len(set(block)) for block in np.split(found.local[4], [5, 10])]


def test_long_sequences_are_cut_into_few_blocks():
    X = np.random.default_rng(0).normal(size=(3, 325, 1))
    model = SelfAttentionTransformer(**SMALL | {"max_iter": 1}).fit(X)
    found = step_importance(model, X, n_repeats=1, random_state=0)
    assert ((30, 2), [319, 325]) == (found.steps.shape, found.steps[-1].tolist())


def test_a_score_that_is_named_is_asked():
    X, y, *_ = planted(0)
    model = make_linear(LogisticRegression()).fit(X, y)
    accuracy, loss = (
        step_importance(model, X, y, scoring=scoring, random_state=0).importances
        for scoring in ("accuracy", "neg_log_loss")
    )
    np.testing.assert_array_equal(accuracy, step_importance(model, X, y, random_state=0).importances)
    assert not np.array_equal(accuracy, loss)


@pytest.mark.parametrize("method", METHODS)
def test_regressors_and_labels_of_steps_are_asked_as_well(method):
    X, options = make_ragged(), {"method": method, "n_repeats": 2, "random_state": 0}
    regressor = SelfAttentionRegressor(**SMALL).fit(X, rise(X))
    assert np.isfinite(step_importance(regressor, X, rise(X), **options).importances).all()
    y = [np.where(steps[:, 1] > 0, "up", "down") for steps in X]
    stepwise = SelfAttentionClassifier(**SMALL | {"pooling": None, "max_iter": 40}).fit(X, y)
    for given in (y, None):
        assert 1 == np.argmax(feature_importance(stepwise, X, given, **options).importances_mean)
        assert np.isfinite(step_importance(stepwise, X, given, **options).importances).all()


def test_ridge_on_rows_has_a_step_a_column():
    X = make_array(n_features=1)[:, :, 0]
    model = Ridge().fit(X, 3 * X[:, 4] - X[:, 1])
    frame = pd.DataFrame(X, columns=list("abcdefg"))
    named = clone(model).fit(frame, model.predict(X))
    for method in METHODS:
        options = {"method": method, "random_state": 0}
        assert 4 == np.argmax(step_importance(model, X, **options).importances_mean)
        assert 4 == np.argmax(step_importance(named, frame, **options).importances_mean)
        # The names of columns are those of steps.
        assert ["x0"] == feature_importance(named, frame, **options).feature_names.tolist()


def test_categories_times_and_what_is_missing_are_replaced_as_such():
    options = {"categorical_features": [1, 3], "time_feature": 2, "handle_missing": "mask", "position": "rotary"}
    X = make_told(options)
    y = np.array([steps[0, 1] > 5 for steps in X])
    model = SelfAttentionClassifier(**SMALL | options).fit(X, y)
    for method, replacement in (("permutation", "auto"), ("occlusion", "auto"), ("occlusion", "missing")):
        for measure in (step_importance, feature_importance):
            found = measure(model, X, y, method=method, replacement=replacement, random_state=0)
            assert np.isfinite(found.importances).all()


def test_what_takes_the_place_can_be_told(linear):
    model, X, y = linear
    options = {"method": "occlusion", "scoring": lambda model, X, y: model.decision_function(X).sum()}
    expected = model.decision_function(X).sum()
    for replacement, value in ((-7.0, -7), ([1, 0, 2], [1, 0, 2])):
        changed = X.copy()
        changed[:, 4] = value
        found = step_importance(model, X, y, replacement=replacement, **options)
        np.testing.assert_allclose(found.importances_mean[4], expected - model.decision_function(changed).sum())
        changed = X.copy()
        changed[:, :, 2] = np.broadcast_to(value, 3)[2]
        found = feature_importance(model, X, y, replacement=replacement, **options)
        np.testing.assert_allclose(found.importances_mean[2], expected - model.decision_function(changed).sum())


def test_features_are_chosen_by_number_name_or_mask():
    X, y = [pd.DataFrame(steps, columns=["pulse", "heat", "flow"]) for steps in make_ragged()], direction(make_ragged())
    model = SelfAttentionClassifier(**SMALL).fit(X, y)
    for features in ([2, 0], ["flow", "pulse"], [True, False, True]):
        found = feature_importance(model, X, y, features=features, random_state=0)
        assert ([0, 2], ["pulse", "flow"]) == (found.features.tolist(), found.feature_names.tolist())
    unnamed = feature_importance(make_linear().fit(make_ragged(), y), make_ragged(), y)
    assert ["x0", "x1", "x2"] == unnamed.feature_names.tolist()


def test_neither_x_nor_the_model_is_altered(attentive):
    model, X, y, *_ = attentive
    before, weights = [steps.copy() for steps in X], {name: w.copy() for name, w in model.weights_.items()}
    for method in METHODS:
        step_importance(model, X, y, method=method, random_state=0)
        feature_importance(model, X, y, method=method, random_state=0)
    for steps, own in zip(before, X, strict=True):
        np.testing.assert_array_equal(steps, own)
    for name, weight in weights.items():
        np.testing.assert_array_equal(weight, model.weights_[name])


@pytest.fixture(scope="module")
def linear():
    X, y, *_ = planted(0)
    return make_linear().fit(X, y), X, y


@pytest.mark.parametrize("measure", [step_importance, feature_importance])
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"method": "shuffle"}, "method='shuffle'; values are replaced by 'permutation' or 'occlusion'"),
        ({"n_repeats": 0}, "n_repeats=0; give a whole number from 1 on"),
        ({"n_repeats": 2.5}, "n_repeats=2.5; give a whole number from 1 on"),
        ({"n_repeats": True}, "n_repeats=True; give a whole number from 1 on"),
        ({"y": [0, 1]}, "67 sequences and 2 entries; give y one entry for each sequence"),
        ({"y": None, "scoring": "r2"}, "scoring='r2' compares with y, and there is none"),
        ({"scoring": "acuracy"}, "scoring='acuracy' is no scorer of scikit-learn; try 'accuracy'"),
        ({"X": planted(0)[0][:1], "y": [0]}, "X holds one sequence, which has no other .* or use method='occlusion'"),
        ({"method": "occlusion", "replacement": "median"}, "replacement='median' is none of"),
    ],
)
def test_what_cannot_be_measured_is_refused(linear, measure, arguments, message):
    model, X, y = linear
    with pytest.raises(ValueError, match=message):
        measure(model, **{"X": X, "y": y} | arguments)


@pytest.mark.parametrize(
    "window, message",
    [
        (14, "window=14 is longer than the longest sequence of X, of 13 steps, .* give fewer steps, or 'auto'"),
        (0, "window=0; give a whole number from 1 on"),
        (1.5, "window=1.5; give a whole number from 1 on"),
        ("all", "window='all'; give a number of steps, or 'auto'"),
    ],
)
def test_windows_that_are_none_are_refused(linear, window, message):
    model, X, y = linear
    with pytest.raises(ValueError, match=message):
        step_importance(model, X, y, window=window)


@pytest.mark.parametrize(
    "features, message",
    [
        ([3], "features has 3, and a step has the features 0 to 2; give numbers of these"),
        (["pulse"], "features has the name 'pulse', and the features of X have no names"),
        ([True], "features is a mask of 1 entries, and a step has 3 features"),
        ([], r"features=\[\] has none; give one, or None for all"),
    ],
)
def test_features_that_are_none_are_refused(linear, features, message):
    model, X, y = linear
    with pytest.raises(ValueError, match=message):
        feature_importance(model, X, y, features=features)


def test_one_sequence_can_be_occluded(linear):
    model, X, y = linear
    assert (13, 1) == step_importance(model, X[:1], y[:1], method="occlusion").importances.shape


def test_models_without_missing_values_refuse_these():
    X = make_ragged()
    model = SelfAttentionClassifier(**SMALL).fit(X, direction(X))
    with pytest.raises(ValueError, match='takes no missing values; fit it with handle_missing="mask", or use repl'):
        step_importance(model, X, method="occlusion", replacement="missing")


@pytest.mark.parametrize("measure", [step_importance, feature_importance])
def test_unfitted_models_are_refused(measure):
    for model in (SelfAttentionClassifier(), make_linear()):
        with pytest.raises(NotFittedError):
            measure(model, make_ragged())
