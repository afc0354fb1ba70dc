"""Curves of training: of one model or several, with what is known of each."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from pictures import _closed, labels_of, touching  # noqa: F401
from problems import SMALL, fitted, make_ragged
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer
from skattn.inspection import LossCurveDisplay

X = make_ragged()


@pytest.fixture(scope="module")
def model():
    """Four epochs, stopped by nothing."""
    return fitted(SelfAttentionClassifier(**SMALL | {"max_iter": 4, "batch_size": 7}), X)


@pytest.fixture(scope="module")
def watched():
    """Three epochs with validation scores."""
    return fitted(SelfAttentionClassifier(**SMALL | {"early_stopping": True}), X)


def test_the_curve_of_a_model_is_its_losses(model):
    display = LossCurveDisplay.from_estimator(model)
    line = display.lines_["loss"]["SelfAttentionClassifier"]
    assert ([1, 2, 3, 4], model.loss_curve_) == (line.get_xdata().tolist(), line.get_ydata().tolist())
    assert "Training loss\n(cross-entropy, nats)" == display.ax_.get_ylabel()
    assert "Epoch (passes over the training data)" == display.ax_.get_xlabel()
    # Two classes are guessed.
    assert any(np.allclose(line.get_ydata(), np.log(2)) for line in display.ax_.lines)
    assert 1 == len(LossCurveDisplay.from_estimator(model, guessing=False).ax_.lines)


def test_scores_and_rates_have_axes_of_their_own(model, watched):
    display = LossCurveDisplay.from_estimators({"plain": model, "watched": watched}, learning_rate=True)
    assert ["loss", "validation_score", "learning_rate"] == list(display.axes_)
    assert ["watched"] == list(display.lines_["validation_score"])
    score = display.lines_["validation_score"]["watched"].get_ydata()
    np.testing.assert_array_equal(score, watched.validation_scores_)
    assert "Minus the\nvalidation loss" == display.axes_["validation_score"].get_ylabel()
    assert ["plain", "watched"] == [text.get_text() for text in display.ax_.get_legend().get_texts()]


@pytest.mark.parametrize("rate", ["constant", "cosine"])
def test_rates_are_those_of_the_schedule(rate):
    parameters = SMALL | {"learning_rate": rate, "batch_size": 7, "max_iter": 9}
    display = LossCurveDisplay.from_estimator(fitted(SelfAttentionRegressor(**parameters), X), learning_rate=True)
    found = display.lines_["learning_rate"]["SelfAttentionRegressor"].get_ydata()
    if rate == "constant":
        assert [0.003] * 9 == found.tolist()
    else:
        assert found.argmax() < 4 and (np.diff(found[4:]) < 0).all() and 0.002 < found.max() <= 0.003
        assert found[-1] < 0.0001


def test_rates_that_nobody_kept_are_not_drawn():
    parameters = SMALL | {"learning_rate": "adaptive"}
    display = LossCurveDisplay.from_estimator(fitted(SelfAttentionTransformer(**parameters), X), learning_rate=True)
    assert ["loss"] == list(display.axes_)


def test_the_loss_is_called_by_what_was_learned(model):
    regressor = fitted(SelfAttentionRegressor(**SMALL), X)
    assert "(squared error)" in LossCurveDisplay.from_estimator(regressor).ax_.get_ylabel()
    both = LossCurveDisplay.from_estimators([model, regressor])
    assert "Training loss" == both.ax_.get_ylabel()
    assert ["SelfAttentionClassifier 0", "SelfAttentionRegressor 1"] == both.names


def test_pipelines_and_other_learners_have_curves(model):
    pipeline = make_pipeline(SelfAttentionTransformer(**SMALL), LogisticRegression()).fit(X, np.arange(23) % 2)
    assert ["SelfAttentionTransformer"] == LossCurveDisplay.from_estimator(pipeline).names
    assert ["ends"] == LossCurveDisplay.from_estimator(make_pipeline(model), name="ends").names
    rows = np.random.default_rng(0).normal(size=(23, 2))
    other = MLPClassifier((3,), max_iter=3, early_stopping=False).fit(rows, np.arange(23) % 2)
    assert 3 == len(LossCurveDisplay.from_estimator(other).lines_["loss"]["MLPClassifier"].get_ydata())


@pytest.mark.parametrize("losses, scale", [([2.0, 0.1], "log"), ([2.0, 1.0], "linear"), ([2.0, -0.1], "linear")])
def test_losses_that_differ_by_much_are_on_a_logarithmic_axis(losses, scale):
    assert scale == LossCurveDisplay.from_curves({"a": {"loss": losses}}).ax_.get_yscale()
    assert "linear" == LossCurveDisplay.from_curves({"a": {"loss": losses}}, log=False).ax_.get_yscale()


@pytest.mark.parametrize("n_epochs", [1, 3, 31, 500])
@pytest.mark.parametrize("size", [(2.2, 2.6), (9, 6)])
def test_labels_never_touch(n_epochs, size):
    curve = np.geomspace(3, 1e-5, n_epochs)
    display = LossCurveDisplay.from_curves({"a": {"loss": curve, "validation_score": -curve}})
    display.figure_.set_size_inches(size)
    assert labels_of(display.figure_) and touching(display.figure_) == []


def test_curves_are_told_apart_without_their_colours():
    display = LossCurveDisplay.from_curves({name: {"loss": [2.0, 1.0]} for name in "abcde"}, line_kw={"linewidth": 3})
    dashes = {str(line._unscaled_dash_pattern) for line in display.lines_["loss"].values()}
    assert 5 == len(dashes) and {3} == {line.get_linewidth() for line in display.lines_["loss"].values()}


def test_axes_that_are_given_are_drawn_in():
    figure, (left, right) = plt.subplots(1, 2)
    one = LossCurveDisplay.from_curves({"a": {"loss": [2.0, 1.0]}}, ax=left, title="Vowels")
    assert one.ax_ is left and "Vowels" == left.get_title(loc="left")
    two = LossCurveDisplay.from_curves({"a": {"loss": [2.0, 1.0], "validation_score": [0, 1]}}, ax=right)
    assert two.figure_ is figure and not right.axison and 2 == len(two.axes_)


@pytest.mark.parametrize(
    "curves, message",
    [
        ({}, "There is no curve to draw"),
        ({"a": {"validation_score": [1.0]}}, "a has no loss; pass its curves as a dict with an entry 'loss'"),
        ({"a": {"loss": []}}, "a has no loss"),
        (
            {"a": {"loss": [1.0, 2.0], "validation_score": [1.0]}},
            "a has 2 epochs of loss and a validation_score",
        ),
    ],
)
def test_what_is_no_curve_is_refused(curves, message):
    with pytest.raises(ValueError, match=message):
        LossCurveDisplay(curves)


def test_only_fitted_learners_have_curves():
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(SelfAttentionClassifier())
    with pytest.raises(TypeError, match="A LogisticRegression has no loss_curve_"):
        LossCurveDisplay.from_estimator(LogisticRegression().fit([[0.0], [1.0]], [0, 1]))
    with pytest.raises(ValueError, match="There is no curve to draw"):
        LossCurveDisplay.from_estimators([])
