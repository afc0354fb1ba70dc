"""A label or a value for every step."""

import pickle

import numpy as np
import pandas as pd
import pytest
from problems import SMALL
from sklearn.base import clone
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer
from skattn.step_labels import read_step_labels

LENGTHS = [5, 9, 3, 12, 7, 4, 11, 8] * 5
TINY = {"d_model": 16, "n_heads": 2, "n_estimators": 1, "random_state": 0, "causal": True}


@pytest.fixture
def X():
    generator = np.random.default_rng(0)
    return [generator.normal(size=(n_steps, 2)) for n_steps in LENGTHS]


@pytest.fixture
def y(X):
    """Whether the sum so far is positive."""
    return [np.where(np.cumsum(steps[:, 0]) > 0, 2, 1) for steps in X]


@pytest.fixture
def values(X):
    return [np.cumsum(steps[:, 0]) for steps in X]


def padded(parts, blank):
    """One array of all, `blank` where they have ended."""
    result = np.full((len(parts), max(LENGTHS), *parts[0].shape[1:]), blank, np.result_type(parts[0], type(blank)))
    for row, part in zip(result, parts, strict=True):
        row[: len(part)] = part
    return result


def objects(parts):
    """A 1-D array of arrays."""
    held = np.empty(len(parts), object)
    held[:] = parts
    return held


def assert_same(some, others):
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(one, other)


def test_labels_are_learned_step_by_step(X, y):
    model = SelfAttentionClassifier(max_iter=150, **TINY).fit(X, y)
    predicted, probabilities = model.predict(X), model.predict_proba(X)
    assert isinstance(predicted, list) and [len(part) for part in predicted] == LENGTHS
    assert np.mean(np.concatenate(predicted) == np.concatenate(y)) == model.score(X, y) > 0.9
    for part, rows, decision, logs in zip(
        predicted, probabilities, model.decision_function(X), model.predict_log_proba(X), strict=True
    ):
        np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-6)
        np.testing.assert_array_equal(model.classes_[rows.argmax(axis=1)], part)
        np.testing.assert_array_equal(decision > 0, part == 2)
        np.testing.assert_allclose(np.exp(logs), rows, rtol=1e-5)
    # Features of whole sequences are there as well.
    assert model.transform(X).shape == (40, 32) == (40, len(model.get_feature_names_out()))


def test_values_are_learned_step_by_step(X, values):
    model = SelfAttentionRegressor(max_iter=150, learning_rate_init=0.01, **TINY).fit(X, values)
    predicted = model.predict(X)
    assert [part.shape for part in predicted] == [part.shape for part in values]
    assert model.score(X, values) == r2_score(np.concatenate(values), np.concatenate(predicted)) > 0.9
    both = [np.column_stack([part, -2 * part]) for part in values]
    model.fit(X, both)
    assert [part.shape for part in model.predict(X)] == [part.shape for part in both]
    assert model.score(X, both) > 0.9


@pytest.mark.parametrize("words", [False, True])
def test_y_may_be_a_list_an_array_of_arrays_or_padded(X, y, words):
    """Predictions have the form of y, and its bits do not depend on it."""
    if words:
        y = [np.where(part == 1, "down", "up") for part in y]
    model = SelfAttentionClassifier(max_iter=5, **TINY)
    expected = model.fit(X, y).predict(X)
    held = model.fit(X, objects(y)).predict(X)
    assert held.dtype == object and held.shape == (40,)
    assert_same(held, expected)
    assert_same(model.fit(X, [part.tolist() for part in y]).predict(X), expected)
    blank = None if words else -1
    array = padded([part.astype(object) for part in y], blank) if words else padded(y, blank)
    found = model.fit(padded(X, np.nan), array).predict(padded(X, np.nan))
    np.testing.assert_array_equal(
        found, padded([p.astype(object) for p in expected], blank) if words else padded(expected, -1)
    )
    assert_same(model.predict(X), expected)  # of ragged X there is no padded answer
    probabilities = model.predict_proba(padded(X, np.nan))
    assert probabilities.shape == (40, 12, 2)
    np.testing.assert_array_equal(np.isnan(probabilities).all(axis=2), array == blank)


@pytest.mark.parametrize("blank", [np.nan, None])
def test_steps_without_a_label_count_for_nothing(X, y, blank):
    """What they would have been, and how they are marked, changes no bit; other steps are predicted as ever."""
    model = SelfAttentionClassifier(max_iter=5, **TINY)
    marked = [np.where(np.arange(len(part)) % 3 == 0, -1, part) for part in y]
    expected = model.fit(X, marked).predict_proba(X)
    otherwise = [[blank if label == -1 else label for label in part.tolist()] for part in marked]
    assert_same(model.fit(X, otherwise).predict_proba(X), expected)
    masked = [np.ma.masked_array(part, mask=other == -1) for part, other in zip(y, marked, strict=True)]
    assert_same(model.fit(X, masked).predict_proba(X), expected)
    assert any(np.any(one != other) for one, other in zip(model.fit(X, y).predict_proba(X), expected, strict=True))
    kept = np.concatenate(marked) != -1
    model.fit(X, marked)
    accuracy = accuracy_score(np.concatenate(y)[kept], np.concatenate(model.predict(X))[kept])
    assert model.score(X, marked) == accuracy


def test_sequences_without_any_label_are_left_out(X, y):
    model = SelfAttentionClassifier(max_iter=5, **TINY)
    some = [np.full_like(part, -1) if i in (2, 7) else part for i, part in enumerate(y)]
    weight = [0 if i in (2, 7) else 1 for i in range(40)]
    expected = model.fit(X, y, sample_weight=weight).predict_proba(X)
    assert_same(model.fit(X, some).predict_proba(X), expected)


def test_every_step_counts_alike_and_a_weight_is_that_of_each_step(X, values):
    """A sequence of twice as many labels moves the weights twice as much."""
    model = SelfAttentionRegressor(max_iter=5, **TINY)
    twice = model.fit(X, values, sample_weight=[2.0] * 10 + [1.0] * 30).predict(X)
    assert_same(model.fit(X + X[:10], values + values[:10]).predict(X), twice)


def test_class_weights_weigh_steps(X, y):
    model = SelfAttentionClassifier(max_iter=30, learning_rate_init=0.01, **TINY)
    shares = [
        np.mean(np.concatenate(model.set_params(class_weight=weight).fit(X, y).predict_proba(X))[:, 1])
        for weight in ({1: 5.0, 2: 1.0}, None, {1: 1.0, 2: 5.0})
    ]
    assert shares[0] < shares[1] - 0.05 and shares[1] < shares[2] - 0.05
    counts = np.bincount(np.concatenate(y))[1:]
    balanced = model.set_params(class_weight="balanced").fit(X, y).predict_proba(X)
    same = model.set_params(class_weight=dict(enumerate(counts.sum() / (2 * counts), 1))).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(np.concatenate(balanced), np.concatenate(same), rtol=1e-4)


@pytest.mark.parametrize("kind", [SelfAttentionClassifier, SelfAttentionRegressor])
def test_searches_and_cross_validation_work(X, y, values, kind):
    target = y if kind is SelfAttentionClassifier else values
    model = kind(max_iter=10, **TINY)
    scores = cross_val_score(model, X, target, cv=3, error_score="raise")
    expected = [
        model.fit([X[i] for i in train], [target[i] for i in train]).score(
            [X[i] for i in test], [target[i] for i in test]
        )
        for train, test in KFold(3).split(X)
    ]
    np.testing.assert_array_equal(scores, expected)
    search = GridSearchCV(model, {"d_model": [8, 16]}, cv=2, error_score="raise").fit(X, target)
    assert len(search.predict(X)) == 40
    assert [len(part) for part in cross_val_predict(model, X, objects(target), cv=KFold(2))] == LENGTHS


def test_partial_fit_and_warm_start_go_on(X, y):
    model = SelfAttentionClassifier(max_iter=5, warm_start=True, **TINY)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X, y)
    model.partial_fit(X, y, classes=[1, 2, 3]).partial_fit(X[:3], y[:3])
    assert model.predict_proba(X[:1])[0].shape == (5, 3)
    model.fit(X, y)
    with pytest.raises(ValueError, match="y has an entry for each sequence, and the fitted network was built with one"):
        model.fit(X, [1, 2] * 20)
    plain = SelfAttentionClassifier(max_iter=2, warm_start=True, **TINY).fit(X, [1, 2] * 20)
    with pytest.raises(ValueError, match="y has an entry for each step, and the fitted network was built with one"):
        plain.fit(X, y)


def test_early_stopping_scores_steps(X, y):
    model = SelfAttentionClassifier(max_iter=20, early_stopping=True, **TINY).fit(X, y)
    assert len(model.validation_scores_) == model.n_iter_
    held = model.fit(X[:30], y[:30], X_val=X[30:], y_val=y[30:]).validation_scores_
    unlabelled = [*y[30:39], np.full_like(y[39], -1)]
    assert model.fit(X[:30], y[:30], X_val=X[30:], y_val=unlabelled).validation_scores_ != held
    with pytest.raises(ValueError, match="y_val has one entry for each sequence, and y one for each step"):
        model.fit(X[:30], y[:30], X_val=X[30:], y_val=[1] * 10)
    with pytest.raises(ValueError, match="scoring='accuracy' compares one entry of y a sequence"):
        model.set_params(scoring="accuracy").fit(X, y)

    def mine(estimator, X, y):
        return accuracy_score(np.concatenate(y), np.concatenate(estimator.predict(X)))

    assert 0 < model.set_params(scoring=mine).fit(X, y).validation_scores_[-1] <= 1


def test_the_transformer_learns_from_steps(X, y, values):
    model = SelfAttentionTransformer(max_iter=5, **TINY)
    assert model.fit(X, y).objective_ == "cross_entropy" and model.transform(X).shape == (40, 32)
    assert model.fit(X, values).objective_ == "squared_error"
    marks = [np.column_stack([part == 1, part == 2, part > 0]).astype(int) for part in y]
    assert model.fit(X, marks).objective_ == "binary_cross_entropy"
    assert model.set_params(pooling=None).fit(X, y).transform(X).shape == (40, 12, 16)


def test_several_labels_a_step(X, y):
    marks = [np.column_stack([part == 1, part == 2, part > 0]).astype(int) for part in y]
    model = SelfAttentionClassifier(max_iter=60, learning_rate_init=0.01, **TINY).fit(X, marks)
    assert model.predict(X)[1].shape == (9, 3)
    # All three must be right.
    assert model.score(X, marks) > 0.85


def test_results_are_those_of_each_sequence_alone_on_any_number_of_threads(X, y):
    model = SelfAttentionClassifier(max_iter=5, **TINY).fit(X, y)
    together = model.predict_proba(X)
    assert_same([model.predict_proba([steps])[0] for steps in X], together)
    other = SelfAttentionClassifier(max_iter=5, n_jobs=2, **TINY).fit(X, y)
    assert_same(other.predict_proba(X), together)


def test_a_pickle_and_a_file_of_weights_answer_alike(X, y, tmp_path):
    for target in (y, objects(y)):
        model = SelfAttentionClassifier(max_iter=2, **TINY).fit(X, target)
        expected = model.predict_proba(X)
        assert_same(pickle.loads(pickle.dumps(model)).predict_proba(X), expected)
        model.save_weights(tmp_path / "weights")
        loaded = SelfAttentionClassifier(max_iter=2, **TINY).load_weights(tmp_path / "weights")
        assert type(loaded.predict_proba(X)) is type(expected)
        assert_same(loaded.predict_proba(X), expected)


@pytest.mark.parametrize("part", ["form", "is_stepwise"])
@pytest.mark.parametrize("value", [None, "rows", 7, False])
def test_a_state_that_does_not_say_what_has_labels_is_refused(X, y, part, value):
    model = SelfAttentionClassifier(max_iter=1, **TINY).fit(X, y)
    state = model.__getstate__()["_model"]
    if part == "form":
        state["target"]["form"] = value
    else:
        state["network"]["architecture"]["is_stepwise"] = value
    with pytest.raises(ValueError, match="damaged"):
        SelfAttentionClassifier().__setstate__({**model.__getstate__(), "_model": state})


def test_a_stem_with_fewer_tokens_than_steps_has_no_labels_of_steps(X):
    options = {"embedding": "random_convolution", "n_tokens": 4, "n_kernels": 16}
    model = SelfAttentionClassifier(max_iter=1, **TINY, **options).fit(X, [1, 2] * 20)
    state = model.__getstate__()["_model"]
    state["network"]["architecture"]["is_stepwise"] = True
    with pytest.raises(ValueError, match="is_stepwise is True, expected False"):
        SelfAttentionClassifier().__setstate__({**model.__getstate__(), "_model": state})


def test_a_killed_fit_goes_on(X, y, tmp_path):
    model = SelfAttentionClassifier(max_iter=6, checkpoint=tmp_path / "file", **TINY).fit(X, y)
    again = SelfAttentionClassifier(max_iter=6, checkpoint=tmp_path / "file", **TINY).fit(X, y)
    assert_same(again.predict_proba(X), model.predict_proba(X))
    with pytest.raises(ValueError, match="the values of y"):
        SelfAttentionClassifier(max_iter=6, checkpoint=tmp_path / "file", **TINY).fit(X, [3 - part for part in y])


@pytest.mark.parametrize("are_classes", [True, False, None])
def test_several_numbers_a_sequence_stay_what_they_are(are_classes):
    """An array that may hold several numbers for each sequence does, unless steps are asked for."""

    class Data:
        kind, n_samples, n_steps, lengths = "array", 4, 3, np.array([3, 3, 3, 3])

    numbers = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0], [0, 0, 1]])
    numbers = numbers * 0.5 if are_classes is False else numbers
    asked = {"is_wanted": False, "are_classes": are_classes}
    if are_classes:
        with pytest.warns(
            UserWarning, match="was taken for 3 labels of each sequence; .* set pooling=None, or give a list"
        ):
            assert read_step_labels(numbers, Data, **asked) is None
    else:
        assert read_step_labels(numbers, Data, **asked) is None
    assert read_step_labels(numbers.tolist(), Data, **asked) is None
    for told in (list(numbers), objects(list(numbers)), numbers[:, :, np.newaxis]):
        assert read_step_labels(told, Data, **asked).labels.shape[0] == 12
    assert read_step_labels(numbers, Data, is_wanted=True, are_classes=are_classes).labels.shape == (12,)
    # What cannot be anything else.
    holes = np.where(numbers > 0, np.nan, numbers)
    assert len(read_step_labels(holes, Data, **asked).rows) == 5
    Data.n_steps, Data.lengths = 4, np.array([4, 4, 4, 4])
    assert read_step_labels(numbers, Data, **asked) is None


def test_two_different_labels_or_more_a_step_are_no_labels_of_a_sequence(X):
    array = padded(X, np.nan)[:, :5]
    y = np.random.default_rng(0).integers(3, size=(40, 5))
    array = np.nan_to_num(array)
    assert SelfAttentionClassifier(max_iter=2, **TINY).fit(array, y).predict(array).shape == (40, 5)
    marks = np.random.default_rng(0).integers(2, size=(40, 25))
    long = np.random.default_rng(0).normal(size=(40, 25, 1))
    model = SelfAttentionClassifier(max_iter=2, **TINY).fit(long, marks)
    assert model.predict_proba(long).shape == (40, 25, 2)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda y: y[:-1], "40 sequences and 39 entries of y"),
        (
            lambda y: [y[0][:0], *y[1:]],
            r"y\[0\] has 0 entries, and sequence 0 of X has 5 steps; give one for each step",
        ),
        (
            lambda y: [y[0][:-1], *y[1:]],
            r"y\[0\] has 4 entries, and sequence 0 of X has 5 steps; give one for each step",
        ),
        (lambda y: [*y[:3], np.append(y[3], 1), *y[4:]], r"y\[3\] has a label at step 12, and sequence 3 of X has 12"),
        (lambda y: [np.full_like(part, -1) for part in y], "y has no label at any step, but NaN, None, -1 only"),
        (lambda y: [np.minimum(part, 1) for part in y], "only one class, 1 \\(a step of -1 has no label\\)"),
        (lambda y: [part[:, np.newaxis, np.newaxis] for part in y], r"y\[0\] has shape \(5, 1, 1\); give \(n_steps,\)"),
        (
            lambda y: [np.column_stack([y[0], y[0]]), *y[1:]],
            r"entries of the shapes \(\) and \(2,\); give all of them one",
        ),
        (lambda y: [part * 1.5 for part in y], "Unknown label type: continuous"),
        (lambda y: [*y[:2], y[2] * [1, 1, np.inf], *y[3:]], r"y\[2\] has infinity at step 2; give a finite number"),
        (lambda y: [1, 2] * 20, "pooling=None gives every step an output of its own, and y has one entry for each"),
    ],
)
def test_labels_that_do_not_fit_are_refused(X, y, change, message):
    model = SelfAttentionClassifier(pooling=None, **TINY)
    with pytest.raises(ValueError, match=message):
        model.fit(X, change(y))
    assert not hasattr(model, "n_features_in_")


def test_what_needs_whole_sequences_is_refused(X, y, values):
    with pytest.raises(ValueError, match="patch_size=2 makes .* y has an entry for every step: set patch_size=1"):
        SelfAttentionClassifier(patch_size=2, **TINY).fit(X, y)
    with pytest.raises(ValueError, match="y has an entry for every step: set embedding=.linear., or n_tokens=12"):
        SelfAttentionClassifier(embedding="random_convolution", n_tokens=2, **TINY).fit(X, y)
    with pytest.raises(ValueError, match="y has a value for each step; set normalise_target"):
        SelfAttentionRegressor(normalise_target="sequence", **TINY).fit(X, values)
    model = SelfAttentionClassifier(max_iter=1, **TINY).fit(X, y)
    with pytest.raises(
        ValueError, match="y has one entry for each sequence, and the estimator was fitted with one for"
    ):
        model.score(X, [1] * 40)


def test_a_stem_may_have_a_token_for_each_step(X, y):
    model = SelfAttentionClassifier(embedding="random_convolution", n_tokens=12, n_kernels=32, max_iter=3, **TINY)
    assert [len(part) for part in model.fit(X, y).predict(X)] == LENGTHS


def test_what_is_wrong_with_a_label_is_told_with_its_sequence_and_step():
    X = [np.random.default_rng(n).normal(size=(n, 2)) for n in (5, 7, 3)]
    y = [np.array([None] + ["low", "high"] * n)[: len(steps)] for n, steps in enumerate(X, start=3)]
    model = SelfAttentionClassifier(**SMALL).fit(X, y)
    strange = [labels.copy() for labels in y]
    strange[1][4] = "middle"
    for wrong in (lambda: model.partial_fit(X, strange), lambda: clone(model).fit(X, y, X_val=X, y_val=strange)):
        with pytest.raises(ValueError, match=r"^y(_val)?\[1\]\[4\] is 'middle', which is none of the classes"):
            wrong()
    counts = [np.full(len(steps), 2.0) for steps in X]
    counts[2][1] = -1
    with pytest.raises(ValueError, match=r"y holds -1, first below 0 at y\[2\]\[1\], and"):
        SelfAttentionRegressor(**SMALL, loss="poisson").fit(X, counts)


def test_partial_fit_looks_for_labels_where_there_are_some():
    """The first steps, and the first sequences, may have none."""
    X = [np.random.default_rng(n).normal(size=(n, 2)) for n in (5, 7, 3)]
    none = [np.full(len(steps), None) for steps in X]
    some = [*none[:2], np.array([None, "low", "high"])]
    model = SelfAttentionClassifier(**SMALL).partial_fit(X, some, classes=["high", "low"])
    assert set(np.concatenate(model.partial_fit(X, some).predict(X))) <= {"high", "low"}
    with pytest.raises(ValueError, match="y has no label at any step"):
        model.partial_fit(X, none)


def test_lists_of_lists_as_long_as_the_sequences_are_told_of():
    generator = np.random.default_rng(0)
    X = [generator.normal(size=(3, 2)) for _ in range(20)]
    steps = [(sequence[:, 0] > 0).astype(int) for sequence in X]
    with pytest.warns(UserWarning, match="y is a list of lists, .* 3 entries of each sequence.*pooling=None"):
        model = SelfAttentionClassifier(**SMALL).fit(X, [labels.tolist() for labels in steps])
    assert model.objective_ == "binary_cross_entropy"
    options = SMALL | {"pooling": None}
    expected = SelfAttentionClassifier(**options).fit(X, steps).predict(X)
    for y in ([labels.tolist() for labels in steps], pd.DataFrame(np.array(steps))):
        found = SelfAttentionClassifier(**options).fit(X, y).predict(X)
        np.testing.assert_array_equal(np.array(found), np.array(expected))
    with pytest.raises(ValueError, match=r"y\[0\] is one entry, and y\[1\] holds several; give one for each"):
        SelfAttentionClassifier(**SMALL).fit(X, [0, *steps[1:]])
