"""Scores of attention that are large, equal or at the end of their range."""

import numpy as np
import pytest
import reference
from problems import SMALL, make_array

from skattn import SelfAttentionTransformer, attention, attention_weights
from skattn.functional import attention_backward


def scores_up_to(size, dtype, shape=(2, 3, 37, 8), seed=0):
    """Queries, keys, values whose scores reach `size`."""
    generator = np.random.default_rng(seed)
    query, key, value = (generator.normal(size=shape).astype(dtype) for _ in range(3))
    largest = np.abs(np.einsum("bhqd,bhkd->bhqk", query, key)).max() / np.sqrt(shape[-1])
    return [query * query.dtype.type(size / largest), key, value]


def sample_by_sample(function, arrays, window):
    """What the reference makes of every sample."""
    return np.array([function(*sample, window) for sample in zip(*arrays, strict=True)])


@pytest.mark.parametrize("window", [(None, None), (None, 0), (5, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e2, 1e3, 1e4])
def test_large_scores_err_by_their_own_rounding(size, dtype, window):
    """A score is a sum of 8 products: it errs by 8 half-ulps of its size, and an output by twice that times a value."""
    arrays = scores_up_to(size, dtype)
    exact = [array.astype(np.longdouble) for array in arrays]
    bound = 8 * np.finfo(dtype).eps * size
    output, weights = attention(*arrays, window=window), attention_weights(*arrays[:2], window=window)
    assert np.abs(weights - sample_by_sample(reference.attention_weights, exact[:2], window)).max() <= bound
    error = np.abs(output - sample_by_sample(reference.attention, exact, window)).max()
    assert error <= 2 * bound * np.abs(arrays[2]).max()
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5 if dtype == "float32" else 1e-13)


@pytest.mark.parametrize("window", [(None, None), (None, 0), (5, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e2, 1e3, 1e4])
def test_gradients_of_large_scores_err_like_plain_ones(size, dtype, window):
    """Beside what a plain computation errs, there is the rounding of differences which all but vanish."""
    arrays = scores_up_to(size, dtype)
    arrays.append(np.random.default_rng(1).normal(size=arrays[0].shape).astype(dtype))
    exact = [array.astype(np.longdouble) for array in arrays]
    query, key, value, d_output = map(np.abs, arrays)
    rounding = 8 * np.finfo(dtype).eps * np.einsum("bhqd,bhkd->bhqk", d_output, value).max()
    factors = key.max() / 8**0.5, query.max() / 8**0.5, 1
    plain, truth = (sample_by_sample(reference.attention_gradient, given, window) for given in (arrays, exact))
    for i, gradient in enumerate(attention_backward(*arrays, window=window)):
        allowed = 4 * np.abs(plain - truth)[:, i].max() + rounding * factors[i]
        assert np.abs(gradient - truth[:, i]).max() <= allowed


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("score", [0.0, 1.0, -1e4, 1e30, -1e30])
def test_equal_scores_give_the_mean(score, dtype):
    query = np.full((1, 1, 19, 1), score, dtype)
    value = np.random.default_rng(0).normal(size=(1, 1, 19, 3)).astype(dtype)
    output = attention(query, np.ones_like(query), value, scale=1.0)
    atol = 1e-6 if dtype == "float32" else 1e-14
    np.testing.assert_allclose(output, np.broadcast_to(value.mean(axis=2, keepdims=True), output.shape), atol=atol)


@pytest.mark.parametrize("dtype, huge", [("float32", 1e4), ("float32", 2e38), ("float64", 1e4), ("float64", 1e308)])
@pytest.mark.parametrize("n_keys", [5, 70, 200])
def test_a_single_huge_score_takes_all(dtype, huge, n_keys):
    key = np.zeros((1, 1, n_keys, 1), dtype)
    key[0, 0, 3] = huge
    value = np.random.default_rng(0).normal(size=(1, 1, n_keys, 3)).astype(dtype)
    query = np.ones((1, 1, n_keys, 1), dtype)
    np.testing.assert_array_equal(attention(query, key, value, scale=1.0)[0, 0, 0], value[0, 0, 3])
    # And where it is out of sight, those that are seen share.
    seen = attention(query, key, value, scale=1.0, window=(0, None))[0, 0, 4]
    np.testing.assert_allclose(seen, value[0, 0, 4:].mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("dtype, low", [("float32", -2e38), ("float64", -1e40), ("float64", -1e308)])
@pytest.mark.parametrize("window", [(None, None), (None, 0), (1, 1)])
def test_scores_as_low_as_numbers_go_are_scores_all_the_same(dtype, low, window):
    """They are neither out of bounds nor less than what is."""
    query = np.full((1, 1, 67, 1), low, dtype)
    value = np.random.default_rng(0).normal(size=(1, 1, 67, 3)).astype(dtype)
    output = attention(query, np.ones_like(query), value, scale=1.0, window=window)
    expected = attention(np.zeros_like(query), np.ones_like(query), value, scale=1.0, window=window)
    np.testing.assert_array_equal(output, expected)
    weights = attention_weights(query, np.ones_like(query), scale=1.0, window=window)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)


def test_a_network_of_large_scores_agrees_with_the_reference():
    """Scores reach 1e4 within the network: each errs by the rounding of what it is summed from."""
    X = make_array()
    transformer = SelfAttentionTransformer(**SMALL | dict(d_model=6, d_feedforward=5), dtype="float32").fit(X)
    network = transformer._model.network
    for name in ("layers.0.query.weight", "layers.0.key.weight"):
        network.weights[name][...] *= 70
    largest, errors = 0, []
    for steps, got in zip(X, transformer.transform(X), strict=True):
        given = steps, network.mean, network.scale
        truth, rough = (
            reference.forward(network.weights, network.architecture, *given, dtype=dtype)
            for dtype in (np.float64, np.float32)
        )
        scores = reference.scaled_scores(
            *(reference.split_heads(truth[f"layers.0.{name}"], 2) for name in ("query", "key"))
        )
        largest = max(largest, np.abs(scores).max())
        errors.append((np.abs(got - truth["features"]).max(), np.abs(rough["features"] - truth["features"]).max()))
    assert largest > 1e4
    assert max(error for error, _ in errors) <= 1e-5 + 4 * max(plain for _, plain in errors)
