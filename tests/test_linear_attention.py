"""Linear attention of long sequences, cut into pieces: against the reference, and for any number of threads."""

import numpy as np
import pytest
import reference
from cases import make_batch, make_network, take
from slopes import Problem, assert_gradient_is_the_slope

from skattn import _attention_call, attention
from skattn._kernels import parallel
from skattn.functional import attention_backward

# (n_heads, n_kv_heads, n_steps, n_keys, d_head, d_value)
SHAPES = {
    "square": (1, 1, 1601, 1601, 5, 3),
    "grouped": (6, 2, 1103, 1103, 3, 2),
    "whole pieces": (1, 1, 1024, 1024, 2, 3),
    "more keys": (1, 1, 701, 2111, 3, 2),
    "fewer keys": (1, 1, 2111, 701, 3, 2),
    "one query": (1, 1, 1, 1709, 3, 2),
}


@pytest.fixture
def are_cut(monkeypatch):
    """Let any sequence of several pieces be cut among so many threads, whatever the machine has."""

    def cut(n_workers):
        monkeypatch.setattr(_attention_call, "_WORTH_PIECES", 0)
        monkeypatch.setattr(parallel, "n_workers", lambda n_jobs=None: n_workers)

    return cut


def draw(shape, n_samples=1, dtype=np.float64):
    """Seeded query, key, value and gradient of the output."""
    n_heads, n_kv_heads, n_steps, n_keys, d_head, d_value = shape
    generator = np.random.default_rng(0)
    sizes = [(n_heads, n_steps, d_head), (n_kv_heads, n_keys, d_head), (n_kv_heads, n_keys, d_value)]
    sizes += [(n_heads, n_steps, d_value)]
    return [generator.normal(size=(n_samples, *size)).astype(dtype) for size in sizes]


def truth(query, key, value, d_output, causal):
    """Output and gradients of one sample, written out with a matrix of weights."""
    offset, group = key.shape[1] - query.shape[1] if causal == "end" else 0, len(query) // len(key)
    weights = reference.linear_weights(query, key, bool(causal), offset)
    of_queries, of_keys = (reference.linear_features(array) for array in (query, np.repeat(key, group, axis=0)))
    sums = np.where(weights > 0, of_queries @ of_keys.swapaxes(1, 2), 0).sum(axis=2, keepdims=True)
    values = np.repeat(value, group, axis=0)
    d_weights = d_output @ values.swapaxes(1, 2)
    d_products = np.where(weights > 0, d_weights - (weights * d_weights).sum(axis=2, keepdims=True), 0)
    d_products = np.divide(d_products, sums, out=np.zeros_like(weights), where=sums > 0)
    d_key, d_value = d_products.swapaxes(1, 2) @ of_queries, weights.swapaxes(1, 2) @ d_output
    d_key, d_value = (part.reshape(len(key), group, *part.shape[1:]).sum(axis=1) for part in (d_key, d_value))
    # What elu(x) + 1 rises by: 1 above 0, itself below.
    slopes = [np.minimum(reference.linear_features(array), 1) for array in (query, key)]
    return weights @ values, d_products @ of_keys * slopes[0], d_key * slopes[1], d_value


def results(arrays, **options):
    """Output and gradients."""
    return attention(*arrays[:3], **options), *attention_backward(*arrays, **options)


@pytest.mark.parametrize("n_workers", [1, 3])
@pytest.mark.parametrize("causal", [False, True, "end"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_pieces_agree_with_the_reference(shape, causal, n_workers, are_cut):
    are_cut(n_workers)
    arrays = draw(shape)
    expected = truth(*(array[0] for array in arrays), causal)
    for result, wanted in zip(results(arrays, kind="linear", causal=causal), expected, strict=True):
        np.testing.assert_allclose(result[0], wanted, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("causal", [False, True, "end"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bits_are_the_same_however_pieces_are_shared_out(shape, causal, dtype, are_cut):
    arrays = draw(shape, dtype=dtype)
    are_cut(1)
    alone = results(arrays, kind="linear", causal=causal)
    for n_workers in (2, 3, 64):
        are_cut(n_workers)
        for result, expected in zip(results(arrays, kind="linear", causal=causal), alone, strict=True):
            np.testing.assert_array_equal(result, expected)


def test_bits_are_the_same_for_any_number_of_threads():
    arrays = draw((1, 1, 20011, 20011, 16, 16), dtype=np.float32)
    for causal in (False, True):
        alone = results(arrays, kind="linear", causal=causal, n_jobs=1)
        for n_jobs in (2, 3):
            again = results(arrays, kind="linear", causal=causal, n_jobs=n_jobs)
            assert all(np.array_equal(a, b) for a, b in zip(alone, again, strict=True))


@pytest.mark.parametrize("n_workers", [1, 5])
@pytest.mark.parametrize("causal", [False, True, "end"])
def test_a_sample_has_the_bits_that_it_has_alone(causal, n_workers, are_cut):
    are_cut(n_workers)
    arrays, ends = draw((2, 1, 1301, 1201, 3, 2), n_samples=4), [(1301, 1201), (601, 13), (17, 1100), (0, 600)]
    lengths = tuple(np.array(end) for end in zip(*ends, strict=True))
    together = results(arrays, kind="linear", causal=causal, lengths=lengths)
    for i, (n, m) in enumerate(ends[:3]):
        own = [array[i : i + 1, :, :end] for array, end in zip(arrays, (n, m, m, n), strict=True)]
        alone = results(own, kind="linear", causal=causal)
        for result, expected, end in zip(together, alone, (n, n, m, m), strict=True):
            np.testing.assert_array_equal(result[i, :, :end], expected[0])
            assert not result[i, :, end:].any()
    assert not any(result[3].any() for result in together)


@pytest.mark.parametrize("window", [(None, None), (None, 0)])
def test_a_network_gives_a_sequence_the_same_bits_cut_and_whole(window):
    """Of nine long sequences none is a large part of the batch, so each is taken whole; alone it is cut."""
    network = make_network(np.float32, attention="linear", window=window, n_heads=6, n_kv_heads=2, d_head=5)
    batch = make_batch([1733] + [1501] * 8, dtype=np.float32)
    together = network.forward(batch, "steps")[:1733]
    np.testing.assert_array_equal(network.forward(take(batch, [0]), "steps"), together)


@pytest.mark.parametrize("window", [(None, None), (None, 0)])
def test_gradient_of_a_network_is_the_slope_where_a_sequence_is_cut(window):
    changes = {"attention": "linear", "window": window, "n_heads": 6, "n_kv_heads": 2, "d_head": 5}
    assert_gradient_is_the_slope(Problem((1601, 3), **changes), n_directions=1)


@pytest.mark.parametrize("window", [(None, None), (None, 0)])
def test_gradient_of_a_network_has_equal_bits_for_any_number_of_threads(window):
    problem = Problem((1601, 3), np.float32, attention="linear", window=window, n_kv_heads=1, d_feedforward=13)
    loss, gradient = problem.loss_and_gradient(n_jobs=1)
    for n_jobs in (2, 3):
        again = problem.loss_and_gradient(n_jobs=n_jobs)
        assert again[0] == loss
        np.testing.assert_array_equal(again[1], gradient)
