"""What all estimators share: one meaning for every form, nothing half done, attention shown, equal bits."""

import numpy as np
import pytest
from problems import (
    ESTIMATORS,
    SMALL,
    assert_same_bits,
    direction,
    fitted,
    make_array,
    make_ragged,
    pad,
    results_of,
    target_of,
)
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer

X = make_ragged()
LENGTHS = [len(sequence) for sequence in X]


@pytest.fixture(params=ESTIMATORS, ids=lambda estimator: estimator.__name__)
def estimator(request):
    """An unfitted estimator that fits in a moment."""
    return request.param(**SMALL)


def test_padding_means_the_same_as_ending(estimator):
    """Fitted on either, applied to either: the same bits."""
    ragged, padded = fitted(estimator, X), fitted(clone(estimator), pad(X, n_steps=17))
    assert_same_bits(padded.weights_, ragged.weights_)
    assert_same_bits(results_of(ragged, pad(X, n_steps=19)), results_of(padded, X))


def test_rows_are_sequences_of_steps(estimator):
    array = make_array(n_features=3, n_steps=7)
    rows, y = array.reshape(len(array), -1), target_of(estimator, array)
    expected = results_of(clone(estimator).fit(array, y), array)
    assert_same_bits(results_of(estimator.set_params(n_step_features=3).fit(rows, y), rows), expected)


@pytest.mark.parametrize("batch_size", [5, "auto"])
def test_threads_do_not_change_a_bit(estimator, batch_size):
    """Neither in what is learned nor in what comes out."""
    estimator.set_params(batch_size=batch_size, dropout=0.1, early_stopping=True, validation_fraction=0.3)
    models = [fitted(clone(estimator).set_params(n_jobs=n_jobs), X) for n_jobs in (1, 2)]
    assert_same_bits(models[1].weights_, models[0].weights_)
    assert models[1].loss_curve_ == models[0].loss_curve_
    assert_same_bits(results_of(models[1], X), results_of(models[0], X))


def test_weights_are_named_and_cannot_be_written(estimator):
    weights = fitted(estimator, X).weights_
    assert (14, 14) == weights["layers.0.query.weight"].shape
    with pytest.raises(ValueError, match="read-only"):
        weights["layers.0.query.weight"][0] = 0.0


def test_what_was_learned_is_told(estimator):
    model = fitted(estimator, X)
    assert 3 == model.n_iter_ == len(model.loss_curve_)
    assert min(model.loss_curve_) == model.best_loss_
    assert not hasattr(model, "validation_scores_")


def test_nothing_is_told_before_fit(estimator):
    for name in ("weights_", "loss_curve_", "best_loss_", "n_iter_", "objective_", "classes_", "n_features_in_"):
        assert not hasattr(estimator, name)
    for method in ("transform", "attention_weights", "get_feature_names_out"):
        with pytest.raises(NotFittedError):
            getattr(estimator, method)(X)


def test_attention_is_one_matrix_a_head_for_every_sequence(estimator):
    weights = fitted(estimator, X).attention_weights(X)
    assert [(2, n_steps, n_steps) for n_steps in LENGTHS] == [matrix.shape for matrix in weights]
    for matrix in weights:
        np.testing.assert_allclose(matrix.sum(axis=-1), 1.0, rtol=1e-12)


def test_attention_is_softmax_of_queries_and_keys():
    """By hand, from the weights alone: embedding, position, normalisation, projections."""
    model = SelfAttentionTransformer(**SMALL).fit(X, direction(X))
    w, network = model.weights_, model._model.network
    sequence = (X[0] - network.mean) / network.scale
    stream = sequence @ w["embedding.weight"] + w["embedding.bias"] + w["position.weight"][: len(sequence)]
    centred = stream - stream.mean(axis=1, keepdims=True)
    normal = centred / np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + 1e-5)
    normal = normal * w["layers.0.attention_norm.scale"] + w["layers.0.attention_norm.bias"]
    query = normal @ w["layers.0.query.weight"] + w["layers.0.query.bias"]
    key = normal @ w["layers.0.key.weight"]
    for head in (0, 1):
        columns = slice(7 * head, 7 * head + 7)
        scores = np.exp(query[:, columns] @ key[:, columns].T / np.sqrt(7))
        expected = scores / scores.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(model.attention_weights(X)[0][head], expected, rtol=1e-6)


def test_attention_keeps_to_its_window():
    model = SelfAttentionTransformer(**SMALL, window=(2, 1)).fit(X)
    for matrix in model.attention_weights(X):
        steps = np.arange(matrix.shape[1])
        ahead = steps - steps[:, np.newaxis]
        np.testing.assert_array_equal(matrix > 0, np.broadcast_to((ahead >= -2) & (ahead <= 1), matrix.shape))


def test_heads_that_share_keys_have_weights_of_their_own():
    model = SelfAttentionTransformer(**SMALL, n_kv_heads=1).fit(X, direction(X))
    first, second = model.attention_weights(X)[0]
    assert not np.allclose(first, second)


def test_layers_are_counted_from_either_end():
    model = SelfAttentionTransformer(**SMALL, n_layers=2).fit(X, direction(X))
    np.testing.assert_array_equal(model.attention_weights(X)[0], model.attention_weights(X, layer=1)[0])
    np.testing.assert_array_equal(model.attention_weights(X, layer=-2)[0], model.attention_weights(X, layer=0)[0])
    assert not np.allclose(model.attention_weights(X, layer=0)[0], model.attention_weights(X, layer=1)[0])
    for layer in (2, -3):
        with pytest.raises(ValueError, match=f"layer={layer} is none of the 2 layers"):
            model.attention_weights(X, layer=layer)


def test_what_there_is_not_says_why():
    transformer = SelfAttentionTransformer(**SMALL, objective="reconstruction").fit(X)
    for name, message in (
        ("classes_", "There are no classes_: the objective learned"),
        ("validation_scores_", "validation_scores_ only with early_stopping=True or X_val"),
    ):
        with pytest.raises(AttributeError, match=message):
            getattr(transformer, name)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"d_model": 15}, "d_model=15 does not split over n_heads=2"),
        ({"n_kv_heads": 3}, "n_heads=2 .*n_kv_heads=3"),
        ({"window": (-1, 0)}, "window=.*-1"),
        ({"learning_rate_init": 1e300}, "diverged"),
    ],
)
def test_a_failed_fit_leaves_an_unfitted_estimator(estimator, wrong, message):
    estimator.set_params(n_heads=2, **wrong)
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=message):
        fitted(estimator, X)
    assert vars(estimator) == before


def test_a_failed_fit_leaves_the_last_one(estimator):
    before = dict(vars(fitted(estimator, X)))
    results = results_of(estimator, X)
    broken = [sequence.copy() for sequence in make_ragged(n_features=5)]
    broken[1][0, 2] = np.inf
    for wrong, message in ((broken, "infinity"), (X[:-1], "inconsistent numbers of samples")):
        with pytest.raises(ValueError, match=message):
            estimator.fit(wrong, target_of(estimator, X))
    assert vars(estimator) == before
    assert_same_bits(results_of(estimator, X), results)


def test_a_failed_partial_fit_leaves_the_model_as_it_was(estimator):
    results = results_of(fitted(estimator, X), X)
    with pytest.raises(ValueError, match="diverged"):
        estimator.set_params(learning_rate_init=1e300, batch_size=5).partial_fit(X, target_of(estimator, X))
    assert_same_bits(results_of(estimator, X), results)
    assert 3 == estimator.n_iter_


def test_features_are_named_after_the_class(estimator):
    names = fitted(estimator.set_params(pooling="mean_max"), X).get_feature_names_out()
    assert (28,) == names.shape == estimator.transform(X).shape[1:]
    assert f"{type(estimator).__name__.lower()}27" == names[-1]


def test_float32_is_asked_for_by_name(estimator):
    model = fitted(estimator.set_params(dtype="float32"), X)
    assert {np.dtype(np.float32)} == {weight.dtype for weight in model.weights_.values()}
    assert np.float32 == model.transform(X).dtype


def test_a_model_of_one_precision_reads_the_other(estimator):
    single = [sequence.astype(np.float32) for sequence in X]
    expected = results_of(fitted(estimator, single), single)
    double = [sequence.astype(np.float64) for sequence in single]
    for name, found in results_of(estimator, double).items():
        if found.dtype.kind == "U":
            assert found.tolist() == expected[name].tolist()
        else:
            np.testing.assert_allclose(found, expected[name], rtol=1e-6, atol=1e-7)
    assert np.float64 == estimator.transform(double).dtype


def test_a_stem_computes_in_float32_and_gives_the_precision_of_X(estimator):
    double = [sequence.astype(np.float64) for sequence in X]
    model = fitted(estimator.set_params(embedding="random_convolution", n_tokens=5), double)
    assert {np.dtype(np.float32)} == {weight.dtype for weight in model.weights_.values()}
    assert np.float64 == model.transform(double).dtype
    again = fitted(clone(estimator).set_params(dtype="float64"), double)
    assert {np.dtype(np.float64)} == {weight.dtype for weight in again.weights_.values()}


def test_tags_say_what_is_taken_and_given(estimator):
    tags = get_tags(estimator)
    assert tags.input_tags.two_d_array and tags.input_tags.three_d_array
    assert not tags.input_tags.allow_nan and not tags.non_deterministic
    assert {"float32", "float64"} == set(tags.transformer_tags.preserves_dtype)
    assert isinstance(estimator, SelfAttentionTransformer) != tags.target_tags.required
    assert isinstance(estimator, SelfAttentionRegressor) == tags.target_tags.multi_output
    assert isinstance(estimator, SelfAttentionClassifier) == bool(
        tags.classifier_tags and tags.classifier_tags.multi_label
    )
