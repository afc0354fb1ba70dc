"""What a table says of distances, far beyond its reach and within blocks of any shape, beside sums pair by pair."""

import ctypes

import numpy as np
import pytest

from skattn._kernels import attend, distances
from skattn._kernels.ahead import N_AHEAD
from skattn._kernels.head import UNBOUNDED, Head, gather, scratch_size

N_STEPS, D_HEAD, D_VALUE = 331, 5, 3
SEEN = {
    "all": {},
    "causal": {"right": 0},
    "window": {"left": 101, "right": 23},
    "dilated": {"dilation": 3},
    "dilated window with global steps": {"dilation": 2, "left": 90, "right": 90, "n_global": 3},
}


CALLED = {"adds": distances.add_distances, "learns": distances.learn_distances, "gathers": gather}


def arrays_of(n_steps, reach, dtype):
    generator = np.random.default_rng(7)
    sizes = {"query": D_HEAD, "key": D_HEAD, "value": D_VALUE, "d_target": D_VALUE}
    arrays = {name: generator.normal(size=(n_steps, size)).astype(dtype) for name, size in sizes.items()}
    arrays["table"] = generator.normal(size=2 * reach + 1).astype(dtype)
    results = {"target": D_VALUE, "d_query": D_HEAD, "d_key": D_HEAD, "d_values": D_VALUE}
    arrays |= {name: np.full((n_steps, size), np.nan, dtype) for name, size in results.items()}
    return arrays | {"d_table": np.zeros(2 * reach + 1, dtype)}


def attended(arrays, **seen):
    """Fill the results of the arrays, forwards and backwards, by the kernels."""
    dtype, n_steps = arrays["query"].dtype, len(arrays["query"])
    room = {
        **{name: np.zeros(n_steps, dtype) for name in ("top", "inverse")},
        "scratch": np.full(scratch_size(D_HEAD, D_VALUE, dilation=seen.get("dilation", 1)), np.nan, dtype),
        "ahead": np.zeros(N_AHEAD, np.int64),
    }
    head = Head.new(
        n_queries=n_steps, end_key=n_steps, n_parts=1, d_head=D_HEAD, d_value=D_VALUE, query_row=D_HEAD,
        key_row=D_HEAD, value_row=D_VALUE, target_row=D_VALUE, begins=1, scale=D_HEAD**-0.5,
        **{name: kernel.address(dtype.name) for name, kernel in CALLED.items()},
        reach=len(arrays["table"]) // 2, **{"left": UNBOUNDED, "right": UNBOUNDED, "dilation": 1} | seen,
        **{name: array.ctypes.data for name, array in (arrays | room).items()},
    )  # fmt: skip
    for kernel in (attend.attend_forward, attend.attend_backward):
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(kernel.address(dtype.name))(head.ctypes.data)
    return arrays


def sums_of_pairs(arrays, left=UNBOUNDED, right=UNBOUNDED, dilation=1, n_global=0):
    """Give the output and the gradients of all arrays, every pair for itself."""
    a = {name: array.astype(np.float64) for name, array in arrays.items()}
    places, reach = np.arange(len(a["query"])), len(a["table"]) // 2
    behind = places[:, np.newaxis] - places
    sees = (behind <= left) & (-behind <= right) & (behind % dilation == 0)
    sees |= (places < n_global) | (places < n_global)[:, np.newaxis]
    entries = np.clip(behind, -reach, reach) + reach
    scores = np.where(sees, a["query"] @ a["key"].T * D_HEAD**-0.5 + a["table"][entries], -np.inf)
    weights = np.exp(scores - scores.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    d_weights = a["d_target"] @ a["value"].T
    d_scores = weights * (d_weights - (weights * d_weights).sum(1, keepdims=True))
    return {
        "target": weights @ a["value"],
        "d_query": d_scores @ a["key"] * D_HEAD**-0.5,
        "d_key": d_scores.T @ a["query"] * D_HEAD**-0.5,
        "d_values": weights.T @ a["d_target"],
        "d_table": np.bincount(entries.ravel(), d_scores.ravel(), 2 * reach + 1),
    }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reach", [1, 11, 64, 500])
@pytest.mark.parametrize("seen", SEEN.values(), ids=SEEN)
def test_a_distance_counts_what_the_table_says(seen, reach, dtype):
    arrays = attended(arrays_of(N_STEPS, reach, dtype), **seen)
    tolerance = 1e-11 if dtype == "float64" else 2e-4
    for name, expected in sums_of_pairs(arrays, **seen).items():
        np.testing.assert_allclose(arrays[name], expected, rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("n_steps", [1, 2, 7, 19, 61, 67, 131])
def test_any_length_will_do(n_steps):
    arrays = attended(arrays_of(n_steps, 13, "float64"))
    for name, expected in sums_of_pairs(arrays).items():
        np.testing.assert_allclose(arrays[name], expected, rtol=1e-11, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_all_distances_count_is_the_same_as_nothing(dtype):
    """Also where the last block has room for more queries than there are, and powers of that are no numbers."""
    arrays = arrays_of(61, 5, dtype)
    arrays["table"] += 89 if dtype == "float32" else 710
    attended(arrays)
    tolerance = 1e-10 if dtype == "float64" else 1e-3
    for name, expected in sums_of_pairs(arrays).items():
        np.testing.assert_allclose(arrays[name], expected, rtol=tolerance, atol=tolerance, err_msg=name)
