"""What a model says of each sequence, and by how much that changes."""

import numpy as np
import pandas as pd
import pytest
from problems import SMALL, direction, make_ragged, pad, rise
from sklearn.base import BaseEstimator, ClassifierMixin

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer
from skattn.inspection import head_report
from skattn.inspection.answers import Answers, method_of

X = make_ragged(n_samples=7)
OTHER = [steps + 1 for steps in X]


class Telling(ClassifierMixin, BaseEstimator):
    """Says what it was made with: of X, which is "before", or of any other."""

    def __init__(self, before, after, classes):
        self.before, self.after, self.classes = before, after, classes
        self.classes_ = np.asarray(classes)

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return self.before if X == "before" else self.after

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def local(before, after, classes, y):
    """By how much the right class of each sequence falls."""
    scoring = None if y is None else lambda *_: 0.0
    answers = Answers(Telling(before, after, classes), "before", len(before), y, scoring, True)
    return answers.compare("after")[1]


BEFORE = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
AFTER = np.array([[0.4, 0.5, 0.1], [0.2, 0.2, 0.6]])


@pytest.mark.parametrize("form", [list, np.array, pd.Series])
def test_the_probability_of_the_right_class_falls(form):
    np.testing.assert_allclose(local(BEFORE, AFTER, ["a", "b", "c"], form(["b", "c"])), [-0.3, 0.2])


def test_without_y_that_of_the_predicted_class_falls():
    np.testing.assert_allclose(local(BEFORE, AFTER, ["a", "b", "c"], None), [0.3, 0.2])


def test_a_class_that_the_model_does_not_know_falls_by_nothing():
    np.testing.assert_allclose(local(BEFORE, AFTER, ["a", "b", "c"], ["d", "a"]), [0, -0.1])


def test_of_several_labels_each_counts_a_share():
    before, after = np.array([[0.9, 0.2]]), np.array([[0.5, 0.3]])
    np.testing.assert_allclose(local(before, after, [0, 1], np.array([[1, 0]])), [(0.4 + 0.1) / 2])
    np.testing.assert_allclose(local(before, after, [0, 1], None), [(0.4 + 0.1) / 2])


def test_labels_of_steps_are_averaged_over_those_that_there_are():
    before = [np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]), np.array([[0.6, 0.4]])]
    after = [np.array([[0.5, 0.5], [0.1, 0.9], [0.5, 0.5]]), np.array([[0.9, 0.1]])]
    np.testing.assert_allclose(local(before, after, ["a", "b"], [["a", "b", None], ["b"]]), [(0.4 - 0.1) / 2, 0.3])
    np.testing.assert_allclose(local(before, after, ["a", "b"], None), [(0.4 - 0.1) / 3, -0.3])
    padded = [np.full((2, 3, 2), np.nan) for _ in range(2)]
    for array, parts in zip(padded, (before, after), strict=True):
        for row, part in zip(array, parts, strict=True):
            row[: len(part)] = part
    np.testing.assert_allclose(local(*padded, ["a", "b"], None), [(0.4 - 0.1) / 3, -0.3])
    y = np.array([["a", "b", None], ["b", None, None]], dtype=object)
    np.testing.assert_allclose(local(*padded, ["a", "b"], y), [(0.4 - 0.1) / 2, 0.3])


def test_without_y_the_probability_that_moves_most_counts():
    answers = Answers(Telling(BEFORE, AFTER, [0, 1, 2]), "before", 2, None, None, False)
    importance, nothing = answers.compare("after")
    assert nothing is None
    np.testing.assert_allclose(importance, (0.3 + 0.2) / 2)


def test_scores_fall():
    model = SelfAttentionClassifier(**SMALL).fit(X, direction(X))
    answers = Answers(model, X, 7, direction(X), "accuracy", False)
    assert model.score(X, direction(X)) - model.score(OTHER, direction(X)) == answers.compare(OTHER)[0]


def test_values_and_features_move():
    regressor = SelfAttentionRegressor(**SMALL).fit(X, rise(X))
    moved = np.abs(regressor.predict(X) - regressor.predict(OTHER))
    importance, of_each = Answers(regressor, X, 7, None, None, True).compare(OTHER)
    np.testing.assert_allclose(of_each, moved, rtol=1e-6)
    np.testing.assert_allclose(importance, moved.mean(), rtol=1e-6)
    np.testing.assert_allclose(Answers(regressor, X, 7, rise(X), "r2", True).compare(OTHER)[1], moved, rtol=1e-6)
    for options, form in (({}, list), ({"pooling": None}, pad)):
        transformer = SelfAttentionTransformer(**SMALL | options).fit(X)
        moved = np.linalg.norm(transformer.transform(form(X)) - transformer.transform(form(OTHER)), axis=-1)
        moved = np.nanmean(moved, axis=1) if moved.ndim == 2 else moved
        of_each = Answers(transformer, form(X), 7, None, None, True).compare(form(OTHER))[1]
        np.testing.assert_allclose(of_each, moved, rtol=1e-5)


class Naming(BaseEstimator):
    """Predicts words."""

    def fit(self, X):
        return self

    def predict(self, X):
        return np.array(["a", "b", "c" if X == "before" else "b"])


def test_words_differ_or_do_not():
    importance, of_each = Answers(Naming(), "before", 3, None, None, True).compare("after")
    assert (1 / 3, [0, 0, 1]) == (importance, of_each.tolist())


def test_the_first_method_that_there_is_is_asked():
    model = Telling(BEFORE, AFTER, [0, 1, 2])
    assert "predict_proba" == method_of(model)
    # Of several targets probabilities come in a list for each of these.
    model.classes_ = [np.arange(2), np.arange(3)]
    assert "predict" == method_of(model)
    assert ("predict", "transform") == (method_of(Naming()), method_of(SelfAttentionTransformer()))


def test_what_gives_no_answers_is_refused():
    with pytest.raises(TypeError, match="BaseEstimator has neither predict nor transform, so there are no answers"):
        method_of(BaseEstimator())


def test_y_of_another_length_is_refused():
    with pytest.raises(ValueError, match="2 sequences and 3 entries; give y one entry for each sequence"):
        Answers(Telling(BEFORE, AFTER, [0, 1, 2]), "before", 2, [0, 1, 2], None, False)


def test_a_score_needs_y():
    with pytest.raises(ValueError, match="scoring='accuracy' compares with y, and there is none; give y, or leave"):
        Answers(Telling(BEFORE, AFTER, [0, 1, 2]), "before", 2, None, "accuracy", False)


def test_padding_beside_steps_is_no_change():
    steps = SelfAttentionClassifier(**SMALL | {"pooling": None})
    y = [np.where(part[:, 0] > 0, "up", "down") for part in X]
    steps.fit(X, y)
    importance, of_each = Answers(steps, X, 7, y, None, True).compare(OTHER)
    assert steps.score(X, y) - steps.score(OTHER, y) == importance
    before, after = steps.predict_proba(X), steps.predict_proba(OTHER)
    places = [np.searchsorted(steps.classes_, labels) for labels in y]
    falls = [
        np.mean((one - other)[np.arange(len(place)), place])
        for one, other, place in zip(before, after, places, strict=True)
    ]
    np.testing.assert_allclose(of_each, falls, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("labels", [[0, 1], ["no", "yes"]])
def test_a_column_of_labels_is_labels(labels):
    y = np.array(labels)[np.arange(len(X)) % 2]
    model = SelfAttentionClassifier(**SMALL).fit(X, y)
    expected = Answers(model, X, len(X), y, None, True).compare(OTHER)
    for column in (y[:, np.newaxis], [[label] for label in y.tolist()], pd.DataFrame({"y": y})):
        found = Answers(model, X, len(X), column, None, True).compare(OTHER)
        np.testing.assert_array_equal(found[1], expected[1])
        assert found[0] == expected[0] and np.any(found[1])


def test_what_is_no_scorer_is_refused_in_words():
    model = SelfAttentionClassifier(**SMALL).fit(X, np.arange(len(X)) % 2)
    with pytest.raises(ValueError, match=r"scoring=\['accuracy'\] is no scorer; .* None for the model's own score"):
        Answers(model, X, len(X), np.arange(len(X)) % 2, ["accuracy"], True)
    with pytest.raises(ValueError, match="'acuracy' is no scorer of .* try 'accuracy'.* the model's own score"):
        head_report(model, X, np.arange(len(X)) % 2, scoring="acuracy")
