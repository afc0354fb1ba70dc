"""Features are centred and scaled before anything is rounded."""

import numpy as np
import pytest
from problems import ESTIMATORS, SMALL, make_array, target_of

from skattn import SelfAttentionTransformer
from skattn._network.network import Network
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
