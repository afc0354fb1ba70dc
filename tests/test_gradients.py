"""What steps have given, by the gradient: against finite differences, and against what it adds up to."""

import numpy as np
import pytest
from problems import SMALL, STEMS, TOLD, make_ragged, make_told
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer
from skattn.inspection import gradient_times_input

X = make_ragged()
CLASSES = np.array(["low", "middle", "high"])[np.arange(len(X)) % 3]
LARGE = SMALL | {"learning_rate_init": 0.03, "dropout": 0.2}


def outputs(model, X, number=0):
    """Outputs of a network, shape (n_samples, n_outputs)."""
    return model._carry_by(model._model.members[number].network, model._read_fitted(X), "outputs")


def above_the_mean(model, X, labels):
    """The score of a class of each sequence, above the mean of all."""
    scores = outputs(model, X)
    return scores[np.arange(len(X)), np.searchsorted(model.classes_, labels)] - scores.mean(axis=1)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"patch_size": 3, "position": "rotary"},
        {"embedding": "convolution"},
        {"adapter_rank": 2},
        {"position": "alibi"},
    ],
)
def test_it_is_the_slope_of_the_score_times_the_distance_from_the_mean(settings):
    model = SelfAttentionClassifier(**LARGE | settings).fit(X, CLASSES)
    labels, mean = model.predict(X[:2]), model._model.network.mean
    for steps, label, found in zip(X[:2], labels, gradient_times_input(model, X[:2], by_feature=True), strict=True):
        assert found.shape == steps.shape
        for t, j in ((0, 0), (len(steps) - 1, 2), (len(steps) // 2, 1)):
            ends = []
            for side in (-1e-5, 1e-5):
                moved = steps.copy()
                moved[t, j] += side * (steps[t, j] - mean[j])
                ends.append(above_the_mean(model, [moved], [label])[0])
            assert found[t, j] == pytest.approx((ends[1] - ends[0]) / 2e-5, rel=1e-4, abs=1e-9)


def test_steps_have_what_their_features_have_together():
    model = SelfAttentionClassifier(**LARGE).fit(X, CLASSES)
    for alone, together in zip(
        gradient_times_input(model, X, by_feature=True), gradient_times_input(model, X), strict=True
    ):
        np.testing.assert_allclose(alone.sum(axis=1), together, rtol=1e-12)


@pytest.mark.parametrize("name", ["a stem", *TOLD])
def test_all_steps_together_have_the_slope_along_everything_that_is_embedded(name):
    """Scaling what each feature adds to the embedded step moves the score by the sum of all attributions."""
    settings = STEMS if name == "a stem" else TOLD[name]
    settings = SMALL | settings | {"n_estimators": 1, "dtype": "float64"}
    sequences = X if name == "a stem" else make_told(settings)
    model = SelfAttentionClassifier(**settings).fit(sequences, CLASSES)
    labels, network = model.predict(sequences), model._model.network
    found = [steps.sum() for steps in gradient_times_input(model, sequences, target=labels)]
    names = [n for n in network.weights if n in ("embedding.weight", "missing.weight") or n.startswith("categories.")]
    before, ends = network.parameters.copy(), []
    for factor in (1 - 1e-6, 1 + 1e-6):
        for weight in names:
            network.weights[weight][...] *= factor
        ends.append(above_the_mean(model, sequences, labels))
        network.parameters[:] = before
    np.testing.assert_allclose(found, (ends[1] - ends[0]) / 2e-6, rtol=1e-4, atol=1e-8)


def test_values_are_told_in_units_of_y():
    y = np.stack([1000 * np.arange(23.0), np.arange(23.0) ** 2], axis=1)
    model = SelfAttentionRegressor(**LARGE).fit(X, y)
    for target in (0, 1):
        found = gradient_times_input(model, X[:1], target=target, by_feature=True)[0]
        step, mean = X[0].copy(), model._model.network.mean
        step[0, 0] += 1e-5 * (step[0, 0] - mean[0])
        slope = (model.predict([step]) - model.predict(X[:1]))[0, target] / 1e-5
        assert found[0, 0] == pytest.approx(slope, rel=1e-3)


def test_several_networks_have_the_mean_of_each():
    model = SelfAttentionClassifier(**LARGE | {"n_estimators": 2}).fit(X, CLASSES)
    both, labels = gradient_times_input(model, X), model.predict(X)
    each = [gradient_times_input(model, X, network=number, target=labels) for number in (0, -1)]
    for mean, first, second in zip(both, *each, strict=True):
        np.testing.assert_allclose(mean, (first + second) / 2, rtol=1e-12)


@pytest.mark.parametrize("settings", [{}, {"embedding": "random_convolution", "n_kernels": 16}])
def test_padding_a_batch_and_threads_change_nothing(settings):
    model = SelfAttentionClassifier(**LARGE | settings).fit(X, CLASSES)
    padded = np.full((len(X), 13, 3), np.nan)
    for row, steps in zip(padded, X, strict=True):
        row[: len(steps)] = steps
    expected = gradient_times_input(model, X)
    for number, steps in enumerate(gradient_times_input(model, padded)):
        np.testing.assert_array_equal(steps, expected[number])
        np.testing.assert_array_equal(gradient_times_input(model, X[number : number + 1])[0], expected[number])
    model.set_params(n_jobs=2)
    np.testing.assert_array_equal(np.concatenate(gradient_times_input(model, X)), np.concatenate(expected))


def test_the_model_stays_as_it_is():
    model = SelfAttentionClassifier(**LARGE).fit(X, CLASSES)
    before = model._model.network.parameters.copy()
    gradient_times_input(model, X)
    np.testing.assert_array_equal(model._model.network.parameters, before)


def test_what_cannot_be_told_is_refused():
    model = SelfAttentionClassifier(**SMALL).fit(X, CLASSES)
    for options, message in (
        ({"target": "none"}, "target='none' is no class; classes are .'high', 'low', 'middle'"),
        ({"target": ["low", "high"]}, "target has 2 entries and X 23 sequences"),
        ({"network": 1}, "network=1 is none of the 1 networks"),
    ):
        with pytest.raises(ValueError, match=message):
            gradient_times_input(model, X, **options)
    with pytest.raises(ValueError, match="target=7 is no output; there are 0 to 0"):
        gradient_times_input(SelfAttentionRegressor(**SMALL).fit(X, np.arange(23.0)), X, target=7)
    with pytest.raises(ValueError, match="has a stem, whose tokens mix all features"):
        gradient_times_input(SelfAttentionClassifier(**STEMS).fit(X, CLASSES), X, by_feature=True)
    with pytest.raises(ValueError, match="learned by the objective 'reconstruction', and an output for a whole"):
        gradient_times_input(SelfAttentionTransformer(**SMALL).fit(X), X)
    stepwise = SelfAttentionRegressor(**SMALL).fit(X, [steps[:, 0] for steps in X])
    with pytest.raises(ValueError, match="an output for each step"):
        gradient_times_input(stepwise, X)
    with pytest.raises(NotFittedError):
        gradient_times_input(SelfAttentionClassifier(), X)
    with pytest.raises(TypeError, match=r"of a pipeline give model\[-1\]"):
        gradient_times_input(make_pipeline(model), X)
    with pytest.raises(TypeError, match="model is 3, and a fitted SelfAttentionTransformer"):
        gradient_times_input(3, X)
