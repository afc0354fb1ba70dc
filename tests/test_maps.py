"""Maps of tokens spread over the steps that these stand for."""

import numpy as np
import pytest
from problems import SMALL, fitted, make_ragged

from skattn import SelfAttentionClassifier, SelfAttentionTransformer

X = make_ragged()
LENGTHS = [len(steps) for steps in X]
TOKENS = {
    "a stem": {"embedding": "random_convolution", "n_kernels": 16, "n_tokens": 5},
    "patches": {"patch_size": 3},
    "patches longer than sequences": {"patch_size": 97},
    "overlapping patches": {"patch_size": 5, "patch_stride": 2},
    "patches with steps between": {"patch_size": 2, "patch_stride": 5},
    "patches of a step": {"patch_size": 1, "patch_stride": 3},
    "steps": {},
}


def spread(weights, spans, n_steps):
    """A map of one head over steps, one number at a time."""
    means, shares = np.zeros((n_steps, len(weights))), np.zeros((len(weights), n_steps))
    for step in range(n_steps):
        covering = [token for token, (first, end) in enumerate(spans) if first <= step < end]
        distances = [max(first - step, step - (end - 1)) for first, end in spans]
        for token in covering or [int(np.argmin(distances))]:
            means[step, token] = 1 / max(1, len(covering))
        for token in covering:
            shares[token, step] = 1 / (spans[token][1] - spans[token][0])
    return means @ weights @ shares


@pytest.mark.filterwarnings("ignore:patch_stride")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("tokens", TOKENS)
def test_steps_have_the_mean_of_their_tokens_which_share_what_they_get(tokens, dtype):
    model = fitted(SelfAttentionClassifier(**SMALL | {"n_layers": 2, "dtype": dtype} | TOKENS[tokens]), X)
    options = {"layer": 0, "network": -1}
    maps, spans = model.attention_weights(X, **options), model.token_spans(X)
    found = model.attention_weights(X, over="steps", **options)
    for length, of_tokens, of_steps, own in zip(LENGTHS, maps, found, spans, strict=True):
        assert (of_steps.shape, of_steps.dtype) == ((2, length, length), of_tokens.dtype)
        expected = np.stack([spread(of_head, own.tolist(), length) for of_head in of_tokens.astype(np.float64)])
        tolerance = 1e-6 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(of_steps, expected, rtol=tolerance, atol=tolerance / 100)
        np.testing.assert_allclose(of_steps.sum(axis=-1), 1.0, rtol=10 * tolerance)


def test_where_a_token_is_a_step_both_are_the_same():
    model = fitted(SelfAttentionTransformer(**SMALL), X)
    for of_tokens, of_steps in zip(model.attention_weights(X), model.attention_weights(X, over="steps"), strict=True):
        np.testing.assert_array_equal(of_steps, of_tokens)


def test_steps_that_no_patch_reads_have_the_row_of_the_nearest_and_no_column():
    settings = SMALL | {"patch_size": 2, "patch_stride": 5}
    with pytest.warns(UserWarning, match="3 of 5 steps are read by no"):
        model = fitted(SelfAttentionClassifier(**settings), X)
    steps = np.random.default_rng(0).normal(size=(14, X[0].shape[1]))
    (tokens,), (over_steps,) = model.attention_weights([steps]), model.attention_weights([steps], over="steps")
    rows = tokens[:, [0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]]
    unread = [2, 3, 4, 7, 8, 9, 12, 13]
    np.testing.assert_array_equal(over_steps[..., unread], 0.0)
    np.testing.assert_allclose(over_steps[..., [0, 1, 5, 6, 10, 11]], np.repeat(rows / 2, 2, axis=2), rtol=1e-12)


@pytest.mark.parametrize("over", ["patches", None, 3])
def test_maps_over_anything_else_are_refused(over):
    model = fitted(SelfAttentionClassifier(**SMALL), X)
    with pytest.raises(ValueError, match=f"^over={over!r}; maps are over 'tokens' or 'steps'"):
        model.attention_weights(X, over=over)


@pytest.mark.parametrize("tokens", ["steps", "a stem", "overlapping patches"])
def test_queries_that_pool_show_what_they_read(tokens):
    options = {"pooling": "attention", "n_pooling_queries": 3, "n_estimators": 2}
    model = fitted(SelfAttentionTransformer(**SMALL | options | TOKENS[tokens]), X)
    features = model.transform(X)
    assert features.shape == (len(X), 2 * 3 * 14) == (len(X), len(model.get_feature_names_out()))
    weights = model.pooling_weights(X)
    assert [part.shape for part in weights] == [(3, 2, len(spans)) for spans in model.token_spans(X)]
    for part in weights:
        np.testing.assert_allclose(part.sum(axis=2), 1, rtol=1e-6)
    # Queries do not begin alike, so they read differently.
    assert np.abs(weights[0] - weights[0].mean(axis=0)).max() > 0.01
    steps = model._carry(model._read_fitted(X[:1]), "steps")[0]
    # Each head reads a half of the width.
    read = np.concatenate([weights[0][:, head] @ steps[:, 7 * head : 7 * head + 7] for head in range(2)], axis=1)
    np.testing.assert_allclose(read.ravel(), features[0, : 3 * 14], rtol=1e-5, atol=1e-6)
    assert not np.array_equal(model.pooling_weights(X, network=-1)[0], weights[0])
    with pytest.raises(ValueError, match="network=2 is none of the 2 networks"):
        model.pooling_weights(X, network=2)


def test_other_poolings_have_no_queries():
    model = fitted(SelfAttentionClassifier(**SMALL), X)
    with pytest.raises(ValueError, match="pooling='mean' has no queries; fit with pooling=\"attention\" to see"):
        model.pooling_weights(X)
    with pytest.raises(
        ValueError, match="n_pooling_queries=2 are queries of pooling=\"attention\", and pooling is 'mean'"
    ):
        fitted(SelfAttentionClassifier(**SMALL | {"n_pooling_queries": 2}), X)
