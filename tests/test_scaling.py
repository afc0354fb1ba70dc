"""Features are centred and scaled before anything is rounded, whatever a few of them are, and in little memory."""

import tracemalloc

import numpy as np
import pytest
from problems import ESTIMATORS, SMALL, make_array, target_of

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer, _step_checks
from skattn._network.network import Network
from skattn._training import seen, spread
from skattn.sequences import read_sequences

X = make_array()


@pytest.mark.parametrize("offset", [1e8, 1.7e9, -1e10])
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_an_offset_costs_a_float32_network_nothing(kind, offset):
    """In float32 all values of a day in seconds since 1970 are the same few numbers."""
    plain = kind(**SMALL, dtype="float32").fit(X, target_of(kind(), X)).transform(X)
    shifted = kind(**SMALL, dtype="float32").fit(X + offset, target_of(kind(), X)).transform(X + offset)
    assert np.float32 == shifted.dtype
    np.testing.assert_allclose(shifted, plain, atol=2e-3)


def test_an_offset_within_float32_values_is_taken_off_in_double_precision():
    whole = np.round(X * 8).astype(np.float32)
    plain = SelfAttentionTransformer(**SMALL).fit(whole).transform(whole)
    shifted = SelfAttentionTransformer(**SMALL).fit(whole + 1e6).transform(whole + 1e6)
    assert np.float32 == shifted.dtype
    np.testing.assert_allclose(shifted, plain, atol=2e-5)


@pytest.mark.parametrize("given", ["float32", "float64"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_of_either_precision_go_into_a_network_of_either(given, dtype):
    values = X.astype(given)
    transformer = SelfAttentionTransformer(**SMALL, dtype=dtype).fit(values)
    other = values.astype("float64" if given == "float32" else "float32").astype("float64")
    assert transformer.transform(values).dtype == dtype
    np.testing.assert_allclose(transformer.transform(other), transformer.transform(values), atol=1e-5)


@pytest.mark.parametrize("given", ["float32", "float64"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_precision_of_the_network_costs_a_copy_of_x(given, dtype):
    values = X.astype(given)
    transformer = SelfAttentionTransformer(**SMALL, dtype=dtype).fit(values)
    assert np.shares_memory(values, read_sequences(values, transformer, reset=False).values)


def test_a_network_saved_with_float32_scaling_becomes_the_same_network():
    """As version 0.1.0 wrote it."""
    network = SelfAttentionTransformer(**SMALL).fit(X.astype(np.float32))._model.network
    network.mean, network.scale = (np.float64(np.float32(array)) for array in (network.mean, network.scale))
    state = network.__getstate__()
    old = {**state, "mean": state["mean"].astype(np.float32), "scale": state["scale"].astype(np.float32)}
    loaded = Network.__new__(Network)
    loaded.__setstate__(old)
    assert np.float64 == loaded.mean.dtype == loaded.scale.dtype
    np.testing.assert_array_equal([loaded.mean, loaded.scale], [network.mean, network.scale])


# Spikes


def level(X):
    """The first feature's mean over steps, in standard deviations."""
    return X[:, :, 0].mean(axis=1, dtype=float) * X.shape[1] ** 0.5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("spike", [1e3, -65535.0, 1e6, 1e38])
def test_a_spike_in_one_step_does_little_harm(spike, dtype):
    learned, held_out = (make_array(n, 2, 11, seed).astype(dtype) for seed, n in enumerate((300, 200)))
    y = level(learned) > 0
    learned[7, 3, 0] = spike
    classifier = SelfAttentionClassifier(**SMALL | {"max_iter": 20}).fit(learned, y)
    assert classifier.score(held_out, level(held_out) > 0) > 0.9


def test_a_spike_does_little_harm_to_values():
    learned, held_out = make_array(300, 2, 11, 0), make_array(200, 2, 11, 1)
    y = level(learned)
    learned[[7, 9], [3, 5], 0] = 1e6, -1e4
    regressor = SelfAttentionRegressor(**SMALL | {"max_iter": 40}).fit(learned, y)
    assert regressor.score(held_out, level(held_out)) > 0.8


def test_a_spike_does_little_harm_to_reconstruction():
    """A spike that is hidden has to be predicted, and its error is squared."""
    learned, held_out = make_array(300, 2, 11, 0) / 5, make_array(200, 2, 11, 1) / 5
    for X in (learned, held_out):
        X += np.random.default_rng(2).normal(size=(len(X), 1, 2))  # hidden steps are like the others
    learned[7, 3] = 1e9
    transformer = SelfAttentionTransformer(**SMALL | {"max_iter": 20}).fit(learned)
    network, data = transformer._model.network, read_sequences(held_out, transformer, reset=False)
    of_means = 0.5 * np.square((held_out - held_out.mean((0, 1))) / network.scale).mean()
    assert network.losses(data, None).mean() < 0.5 * of_means


# Memory


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(20_000, 50, 2), (40, 50, 1000)])
@pytest.mark.parametrize("n_padding", [0, 3])
def test_fit_takes_little_memory_beside_x(monkeypatch, shape, n_padding, dtype):
    for module, name in ((spread, "BLOCK"), (seen, "BLOCK"), (_step_checks, "_BLOCK")):
        monkeypatch.setattr(module, name, 1 << 15)
    values = np.random.default_rng(0).normal(size=shape).astype("float32")
    values[:, shape[1] - n_padding :] = np.nan
    tiny = SMALL | {"max_iter": 1, "d_model": 2, "n_heads": 1, "d_feedforward": 2}
    tracemalloc.start()
    SelfAttentionClassifier(**tiny, dtype=dtype).fit(values, np.arange(shape[0]) % 2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.6 * values.nbytes
