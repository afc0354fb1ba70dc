"""Attention on plain arrays: against the reference, whatever the shapes, bounds, strides and threads."""

import math

import numpy as np
import pytest
import reference

from skattn import attention, attention_weights
from skattn.functional import attention_backward

# (n_samples, n_heads, n_kv_heads, n_steps, n_keys, d_head, d_value)
SHAPES = {
    "odd": (3, 5, 5, 23, 23, 11, 11),
    "one step": (2, 3, 3, 1, 1, 7, 5),
    "one number": (1, 1, 1, 1, 1, 1, 1),
    "fewer than lanes": (2, 1, 1, 3, 3, 2, 3),
    "full lanes": (2, 2, 2, 16, 16, 16, 16),
    "one more than a block": (1, 2, 2, 65, 65, 16, 16),
    "narrowest": (2, 3, 3, 37, 37, 1, 1),
    "widest": (1, 2, 2, 29, 29, 257, 131),
    "grouped": (2, 6, 2, 31, 31, 5, 7),
    "one key head": (2, 7, 1, 19, 19, 3, 2),
    "fewer keys": (2, 3, 3, 41, 7, 5, 3),
    "more keys": (2, 2, 1, 5, 139, 5, 3),
    "many more keys": (1, 2, 1, 5, 2053, 5, 3),
    "long": (1, 2, 1, 531, 517, 11, 13),
}
WINDOWS = [(None, None), (None, 0), (0, None), (3, 2), (0, 0), (70, 0), (1, 67), (10**6, 10**6)]


@pytest.fixture(params=SHAPES.values(), ids=SHAPES.keys())
def shape(request):
    """Sizes of queries, keys and values."""
    return request.param


def draw(shape, dtype=np.float64, seed=0):
    """Seeded query, key and value: (n_samples, n_heads or n_kv_heads, n_steps or n_keys, width) each."""
    n_samples, n_heads, n_kv_heads, n_steps, n_keys, d_head, d_value = shape
    generator = np.random.default_rng(seed)
    return (
        generator.normal(size=(n_samples, n_heads, n_steps, d_head)).astype(dtype),
        generator.normal(size=(n_samples, n_kv_heads, n_keys, d_head)).astype(dtype),
        generator.normal(size=(n_samples, n_kv_heads, n_keys, d_value)).astype(dtype),
    )


def by_sample(function, *arrays, **options):
    """Apply a function of the reference to each sample: its result with an axis of samples before it."""
    return np.array([function(*sample, **options) for sample in zip(*arrays, strict=True)])


def errors(result, plain, truth):
    """The largest error, that of plain float32, and a bit of the largest number."""
    assert result.dtype == np.float32
    return np.abs(result - truth).max(), np.abs(plain - truth).max(), 1.2e-7 * np.abs(truth).max()


@pytest.mark.parametrize("window", WINDOWS)
def test_attention_agrees_with_the_reference(shape, window):
    query, key, value = draw(shape)
    expected = by_sample(reference.attention, query, key, value, window=window)
    np.testing.assert_allclose(attention(query, key, value, window=window), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("window", WINDOWS)
def test_weights_agree_with_the_reference(shape, window):
    query, key, _ = draw(shape)
    expected = by_sample(reference.attention_weights, query, key, window=window)
    weights = attention_weights(query, key, window=window)
    np.testing.assert_allclose(weights, expected, rtol=1e-11, atol=1e-14)
    assert ((weights == 0) == (expected == 0)).all()


@pytest.mark.parametrize("window", WINDOWS)
def test_log_sum_exp_agrees_with_the_reference(shape, window):
    query, key, value = draw(shape)
    expected = by_sample(reference.log_sum_exp, query, key, window=window)
    _, result = attention(query, key, value, window=window, return_log_sum_exp=True)
    np.testing.assert_allclose(result, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("window", WINDOWS)
def test_gradients_agree_with_the_reference(shape, window):
    query, key, value = draw(shape)
    d_output = np.random.default_rng(9).normal(size=(*query.shape[:3], value.shape[3]))
    results = attention_backward(query, key, value, d_output, window=window)
    for sample in range(len(query)):
        expected = reference.attention_gradient(
            query[sample], key[sample], value[sample], d_output[sample], window=window
        )
        for result, truth in zip(results, expected, strict=True):
            np.testing.assert_allclose(result[sample], truth, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("size", [1, 80])
@pytest.mark.parametrize("window", [(None, None), (None, 0), (70, 3)])
def test_float32_errs_at_most_twice_plain_float32(shape, window, size):
    """For scores as large as `size` too. The largest error of each over a few draws: of one alone, luck decides."""
    found = []
    for seed in range(10 if math.prod(shape[:5]) < 100_000 else 3):
        query, key, value = draw(shape, np.float32, seed)
        scores = by_sample(reference.scaled_scores, query, key)
        query *= np.float32(size / np.abs(scores).max())
        plain = by_sample(reference.attention, query, key, value, window=window)
        exact = [array.astype(np.float64) for array in (query, key, value)]
        truth = by_sample(reference.attention, *exact, window=window)
        found.append(errors(attention(query, key, value, window=window), plain, truth))
    fast, plain, bit = np.max(found, axis=0)
    assert fast <= 2 * plain + bit


def test_very_large_scores_err_by_their_own_rounding_alone(shape):
    query, key, value = draw(shape, np.float32)
    query *= np.float32(600 / np.abs(by_sample(reference.scaled_scores, query, key)).max())
    truth = by_sample(reference.attention, *(array.astype(np.float64) for array in (query, key, value)))
    rounding = 600 * np.finfo(np.float32).eps * np.abs(value).max()
    assert np.abs(attention(query, key, value) - truth).max() <= rounding


@pytest.mark.parametrize("window", [(None, None), (None, 0), (70, 3)])
def test_float32_gradients_err_at_most_twice_plain_float32(shape, window):
    arrays = draw(shape, np.float32)
    d_output = np.random.default_rng(9).normal(size=(*arrays[0].shape[:3], shape[-1])).astype(np.float32)
    results = attention_backward(*arrays, d_output, window=window)
    for i, result in enumerate(results):
        plain, truth = (
            np.array(
                [
                    reference.attention_gradient(*(array.astype(dtype) for array in sample), window=window)[i]
                    for sample in zip(*arrays, d_output, strict=True)
                ]
            )
            for dtype in (np.float32, np.float64)
        )
        # Where the slope is 0 but for rounding (one key takes all), plain float32 may be exact by luck.
        floor = 1e-6 * np.abs(d_output).max()
        assert np.abs(result - truth).max() <= 2 * np.abs(plain - truth).max() + floor


def test_equal_scores_average_the_values():
    query, key, value = draw(SHAPES["grouped"])
    expected = np.broadcast_to(value.mean(axis=2, keepdims=True), value.shape).repeat(3, axis=1)
    np.testing.assert_allclose(attention(query, 0 * key, value), expected, rtol=1e-13, atol=1e-15)


def test_causal_means_no_key_to_the_right():
    query, key, value = draw(SHAPES["odd"])
    expected = attention(query, key, value, window=(4, 0))
    np.testing.assert_array_equal(attention(query, key, value, causal=True, window=(4, 9)), expected)


def test_one_number_is_a_window_to_both_sides():
    query, key, value = draw(SHAPES["odd"])
    expected = attention(query, key, value, window=(4, 4))
    np.testing.assert_array_equal(attention(query, key, value, window=4), expected)
    np.testing.assert_array_equal(attention(query, key, value, window=np.int64(4)), expected)


@pytest.mark.parametrize("scale", [0.0, 0.3, -1.7])
def test_any_scale_is_taken(scale):
    query, key, value = draw(SHAPES["odd"])
    expected = by_sample(reference.attention, query, key, value, scale=scale)
    np.testing.assert_allclose(attention(query, key, value, scale=scale), expected, rtol=1e-11, atol=1e-13)
    expected = by_sample(reference.attention_weights, query, key, scale=scale)
    np.testing.assert_allclose(attention_weights(query, key, scale=scale), expected, rtol=1e-11)


@pytest.mark.parametrize("garbage", [1e30, np.nan, np.inf])
def test_steps_beyond_the_lengths_are_neither_read_nor_written(garbage):
    query, key, value = draw((4, 6, 2, 37, 41, 5, 7))
    n_queries, n_keys = np.array([37, 1, 17, 0]), np.array([3, 41, 16, 20])
    for sample in range(4):
        query[sample, :, n_queries[sample] :] = garbage
        key[sample, :, n_keys[sample] :] = garbage
        value[sample, :, n_keys[sample] :] = garbage
    options = {"lengths": (n_queries, n_keys), "window": (9, 4)}
    output, log_sum_exp = attention(query, key, value, return_log_sum_exp=True, **options)
    weights = attention_weights(query, key, **options)
    d_output = np.full(output.shape, garbage)
    for sample in range(4):
        d_output[sample, :, : n_queries[sample]] = 1.0
    gradients = attention_backward(query, key, value, d_output, **options)
    for sample, (steps, keys) in enumerate(zip(n_queries, n_keys, strict=True)):
        q, k, v = query[sample, :, :steps], key[sample, :, :keys], value[sample, :, :keys]
        if steps:
            expected = reference.attention(q, k, v, window=(9, 4))
            np.testing.assert_allclose(output[sample, :, :steps], expected, rtol=1e-11, atol=1e-13)
            expected = reference.attention_weights(q, k, window=(9, 4))
            np.testing.assert_allclose(weights[sample, :, :steps, :keys], expected, rtol=1e-11)
            expected = reference.log_sum_exp(q, k, window=(9, 4))
            np.testing.assert_allclose(log_sum_exp[sample, :, :steps], expected, rtol=1e-11, atol=1e-13)
            expected = reference.attention_gradient(q, k, v, np.ones_like(output[sample, :, :steps]), (9, 4))
            for gradient, truth, end in zip(gradients, expected, (steps, keys, keys), strict=True):
                np.testing.assert_allclose(gradient[sample, :, :end], truth, rtol=1e-10, atol=1e-12)
        for gradient, end in zip(gradients, (steps, keys, keys), strict=True):
            assert (gradient[sample, :, end:] == 0).all()
        assert (output[sample, :, steps:] == 0).all()
        assert (weights[sample, :, steps:] == 0).all()
        assert (weights[sample, :, :, keys:] == 0).all()


def test_a_query_that_sees_no_key_gets_zero():
    query, key, value = draw((2, 3, 3, 19, 5, 4, 3))
    output, log_sum_exp = attention(query, key, value, window=(2, 1), return_log_sum_exp=True)
    assert (output[:, :, 7:] == 0).all()
    assert (log_sum_exp[:, :, 7:] == -np.inf).all()
    assert (attention_weights(query, key, window=(2, 1))[:, :, 7:] == 0).all()
    d_query, _, _ = attention_backward(query, key, value, np.ones_like(output), window=(2, 1))
    assert (d_query[:, :, 7:] == 0).all()


def test_one_length_serves_queries_and_keys():
    query, key, value = draw(SHAPES["odd"])
    lengths = np.array([23, 1, 12])
    expected = attention(query, key, value, lengths=(lengths, lengths))
    np.testing.assert_array_equal(attention(query, key, value, lengths=lengths), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_strided_views_give_equal_bits(dtype):
    query, key, value = draw(SHAPES["grouped"], dtype)
    expected = attention(query, key, value)

    def spread(array):
        """The same numbers as (n_samples, n_steps, n_heads, width) within a larger array, turned back."""
        larger = np.full((array.shape[0], array.shape[2], array.shape[1] + 1, array.shape[3] + 3), np.nan, dtype)
        view = larger.transpose(0, 2, 1, 3)[:, 1:, :, 2:-1]
        view[...] = array
        return view

    np.testing.assert_array_equal(attention(spread(query), spread(key), spread(value)), expected)


def test_any_layout_and_number_type_is_read():
    query, key, value = draw(SHAPES["grouped"])
    expected = attention(query, key, value)
    for change in (np.asfortranarray, lambda a: a.astype(">f8"), lambda a: a[..., ::-1].copy()[..., ::-1]):
        np.testing.assert_array_equal(attention(change(query), change(key), change(value)), expected)
    whole = [np.rint(array).astype(np.int64) for array in (query, key, value)]
    expected = attention(*(array.astype(np.float64) for array in whole))
    np.testing.assert_array_equal(attention(*whole), expected)
    for array in (query, key, value):
        array.flags.writeable = False
    assert attention(query, key, value).flags.writeable


def test_what_a_sample_gets_does_not_depend_on_the_others():
    query, key, value = draw((5, 4, 2, 331, 331, 5, 7), np.float32)
    together = attention(query, key, value, window=(40, 3))
    for sample in range(5):
        alone = attention(*(array[sample : sample + 1] for array in (query, key, value)), window=(40, 3))
        np.testing.assert_array_equal(alone[0], together[sample])


@pytest.mark.parametrize("shape", [(1, 1, 1, 1031, 1031, 5, 5), (1, 2, 1, 37, 4099, 5, 5), (7, 3, 1, 37, 37, 5, 3)])
def test_results_have_equal_bits_for_any_number_of_threads(shape):
    arrays = draw(shape, np.float32)
    d_output = np.ones((*arrays[0].shape[:3], shape[-1]), np.float32)
    np.testing.assert_array_equal(attention(*arrays, n_jobs=1), attention(*arrays, n_jobs=2))
    one, two = (attention_backward(*arrays, d_output, n_jobs=n_jobs) for n_jobs in (1, 2))
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("window", [(None, None), (None, 0)])
def test_attention_and_its_gradient_agree_with_torch(window):
    torch = pytest.importorskip("torch")
    query, key, value = draw((2, 6, 2, 41, 41, 5, 7))
    tensors = [torch.tensor(array, requires_grad=True) for array in (query, key, value)]
    repeated = [tensors[0], *(tensor.repeat_interleave(3, dim=1) for tensor in tensors[1:])]
    expected = torch.nn.functional.scaled_dot_product_attention(*repeated, is_causal=window == (None, 0))
    d_output = np.random.default_rng(1).normal(size=expected.shape)
    expected.backward(torch.tensor(d_output))
    output = attention(query, key, value, window=window)
    np.testing.assert_allclose(output, expected.detach().numpy(), rtol=1e-11, atol=1e-13)
    gradients = attention_backward(query, key, value, d_output, window=window)
    for result, tensor in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(result, tensor.grad.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("window", [(2**62, 2**62), (2**63 - 1, 2**63 - 1), (10**30, 10**30)])
def test_windows_may_be_as_wide_as_one_likes(window):
    query, key, value = draw(SHAPES["odd"])
    expected = attention(query, key, value)
    np.testing.assert_array_equal(attention(query, key, value, window=window), expected)


def test_bad_windows_are_named():
    query, key, value = draw(SHAPES["odd"])
    for window in ((-1, 0), (0, -2), (1.5, 0), (True, 0), -1):
        with pytest.raises(ValueError, match=r"window=.*left|window=.*right"):
            attention(query, key, value, window=window)
    for window in (1.5, True, (1, 2, 3)):
        with pytest.raises(ValueError, match="pair"):
            attention(query, key, value, window=window)


def test_shapes_that_do_not_fit_are_named():
    query, key, value = draw(SHAPES["grouped"])
    for arrays, words in (
        ((query[0], key, value), "query has shape"),
        ((query, key[..., :-1], value), "d_head"),
        ((query, key[:1], value), "samples"),
        ((query, key, value[:, :1]), "n_kv_heads"),
        ((query, key, value[:, :, :-1]), "n_keys"),
        ((query[:, :5], key, value), "multiple"),
        ((query[:0], key[:0], value[:0]), "empty"),
    ):
        with pytest.raises(ValueError, match=words):
            attention(*arrays)
    with pytest.raises(ValueError, match="d_output"):
        attention_backward(query, key, value, np.ones((1, 1, 1, 1)))


def test_numbers_that_are_not_real_are_named():
    query, key, value = draw(SHAPES["grouped"])
    for wrong in (query.astype(complex), query.astype(str), query.astype(object)):
        with pytest.raises(TypeError, match="query"):
            attention(wrong, key, value)


@pytest.mark.parametrize("lengths", [[24, 1, 1], [-1, 3, 3], [1, 2], [1.0, 2.0, 3.0], [[1, 2, 3]]])
def test_bad_lengths_are_named(lengths):
    with pytest.raises(ValueError, match="lengths"):
        attention(*draw(SHAPES["odd"]), lengths=lengths)


def test_no_argument_is_altered():
    arrays = draw(SHAPES["grouped"])
    copies = [array.copy() for array in arrays]
    attention_backward(*arrays, np.ones((2, 6, 31, 7)))
    attention_weights(*arrays[:2])
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_masked_arrays_are_refused():
    query, key, value = draw(SHAPES["grouped"])
    with pytest.raises(TypeError, match="key is a masked array"):
        attention(query, np.ma.masked_greater(key, 0), value)
    seen = np.ones((query.shape[2], key.shape[2]), bool)
    for name, given in (("mask", seen), ("bias", seen * 1.0), ("lengths", np.full(len(query), 1))):
        with pytest.raises(TypeError, match=f"{name} is a masked array"):
            attention(query, key, value, **{name: np.ma.array(given, mask=given > 0)})


@pytest.mark.parametrize("scale", [np.nan, np.inf, "wide", [1.0, 2.0], 1j, 10**400])
def test_a_scale_that_is_no_finite_number_is_refused(scale):
    with pytest.raises(ValueError, match="scale=.* is no finite number"):
        attention(*draw(SHAPES["grouped"]), scale=scale)


def test_what_is_no_array_is_called_by_its_name():
    query, key, value = draw(SHAPES["grouped"])
    with pytest.raises(ValueError, match="value is no array"):
        attention(query, key, [[[[1.0], [1.0, 2.0]]]])
    with pytest.raises(ValueError, match="lengths of queries is no array"):
        attention(query, key, value, lengths=[[1], [1, 2]])


@pytest.mark.parametrize("n_jobs", [1.5, "all"])
def test_a_part_of_a_thread_is_refused(n_jobs):
    with pytest.raises(TypeError, match="n_jobs=.* is no whole number"):
        attention(*draw(SHAPES["grouped"]), n_jobs=n_jobs)


def test_numbers_of_threads_may_be_small_integers_of_numpys():
    arrays = draw(SHAPES["grouped"])
    np.testing.assert_array_equal(attention(*arrays, n_jobs=np.int8(2)), attention(*arrays, n_jobs=2))
