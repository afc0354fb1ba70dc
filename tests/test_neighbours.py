"""Training sequences that a model finds most like others."""

import numpy as np
import pytest
from problems import SMALL, direction, fitted, make_array, make_ragged
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skattn import SelfAttentionClassifier, SelfAttentionTransformer, SequenceScaler
from skattn.inspection import nearest_examples

X, NEW = make_ragged(), make_ragged(n_samples=5, seed=1)
Y = direction(X)


@pytest.fixture(scope="module")
def model():
    return fitted(SelfAttentionClassifier(**SMALL), X)


def assert_nearest(found, train, new, metric):
    """Distances are those of features, and the least."""
    distances = pairwise_distances(new, train, metric=metric)
    np.testing.assert_array_equal(found.indices, np.argsort(distances, axis=1)[:, : found.indices.shape[1]])
    expected = np.take_along_axis(distances, found.indices, axis=1)
    np.testing.assert_allclose(found.distances, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_features_are_compared(model, metric):
    found = nearest_examples(model, X, NEW, k=3, metric=metric, y_train=Y)
    assert (5, 3) == found.indices.shape == found.distances.shape
    assert_nearest(found, model.transform(X), model.transform(NEW), metric)
    np.testing.assert_array_equal(found.labels, Y[found.indices])
    assert "labels" not in nearest_examples(model, X, NEW)


def test_a_training_sequence_finds_itself(model):
    assert list(range(23)) == nearest_examples(model, X, X, k=1).indices.ravel().tolist()


def test_what_a_pipeline_reads_last_is_compared():
    model = make_pipeline(SelfAttentionTransformer(**SMALL), StandardScaler(), LogisticRegression()).fit(X, Y)
    found = nearest_examples(model, X, NEW)
    assert_nearest(found, model[:-1].transform(X), model[:-1].transform(NEW), "euclidean")
    search = GridSearchCV(model, {"logisticregression__C": [1.0]}, cv=2).fit(X, Y)
    np.testing.assert_array_equal(nearest_examples(search, X, NEW).indices.shape, (5, 5))
    behind = make_pipeline(SequenceScaler(), SelfAttentionClassifier(**SMALL)).fit(X, Y)
    assert_nearest(nearest_examples(behind, X, NEW), behind.transform(X), behind.transform(NEW), "euclidean")


def test_labels_may_be_several(model):
    both = np.stack([Y, Y], axis=1)
    assert (5, 4, 2) == nearest_examples(model, X, NEW, k=4, y_train=both).labels.shape


def test_a_vector_for_each_step_is_none_for_a_sequence():
    stepwise = SelfAttentionTransformer(**SMALL | {"pooling": None}).fit(X)
    for model in (stepwise, make_pipeline(stepwise)):
        with pytest.raises(ValueError, match="SelfAttentionTransformer has pooling=None, and so a vector for each"):
            nearest_examples(model, X, NEW)
    with pytest.raises(ValueError, match="SequenceScaler makes sequences of sequences, and no vector of each"):
        nearest_examples(SequenceScaler().fit(X), X, NEW)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"metric": "manhattan"}, "metric='manhattan'; distances are 'euclidean' or 'cosine'"),
        ({"k": 0}, "k=0; give a whole number from 1 on"),
        ({"k": 1.5}, "k=1.5; give a whole number from 1 on"),
        ({"k": 24}, "k=24 examples are wanted of 23 sequences; give a smaller k"),
        ({"y_train": Y[:7]}, "23 sequences and 7 labels; give one label for each sequence"),
    ],
)
def test_what_cannot_be_found_is_refused(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        nearest_examples(model, X, NEW, **arguments)


def test_models_without_features_are_refused():
    rows = make_array(n_features=1)[:, :, 0]
    with pytest.raises(TypeError, match="Ridge has no transform, and no step before its last that has"):
        nearest_examples(Ridge().fit(rows, rows[:, 0]), rows, rows)
    # It has fitted copies of the classifier, each with features of its own.
    calibrated = CalibratedClassifierCV(SelfAttentionClassifier(**SMALL | {"max_iter": 1}), cv=2).fit(X, Y)
    with pytest.raises(TypeError, match="CalibratedClassifierCV has no transform"):
        nearest_examples(calibrated, X, NEW)
    with pytest.raises(NotFittedError):
        nearest_examples(SelfAttentionClassifier(), X, NEW)
