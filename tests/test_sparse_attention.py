"""Forms of attention on plain arrays: against the reference, for any lengths, threads, precision and bad input."""

import numpy as np
import pytest
import reference

from skattn import attention, attention_weights
from skattn.functional import attention_backward

# (n_heads, n_kv_heads, n_steps, n_keys, d_head, d_value)
SHAPES = {
    "square": (3, 3, 150, 150, 7, 5),
    "grouped": (4, 2, 70, 70, 5, 9),
    "short": (2, 1, 3, 3, 4, 4),
    "one": (1, 1, 1, 1, 1, 1),
    "more keys": (2, 2, 40, 333, 6, 3),
    "fewer keys": (2, 2, 141, 20, 6, 3),
}
FORMS = {
    "full": {},
    "dilated": {"window": (20, 9), "dilation": 3},
    "dilated, causal": {"window": (64, 0), "dilation": 4, "causal": True},
    "dilated beyond": {"window": (4, None), "dilation": 200},
    "global": {"window": (5, 3), "n_global_steps": 4},
    "global, causal": {"window": (5, 0), "n_global_steps": 4, "causal": True},
    "dilated, global": {"window": (31, 17), "dilation": 5, "n_global_steps": 70},
    "all global": {"window": (0, 0), "n_global_steps": 1000},
    "top": {"top_k": 3},
    "top, causal": {"top_k": 7, "causal": True},
    "top of a window": {"top_k": np.int8(2), "window": (9, 9)},
    "top, dilated, global": {"top_k": 4, "window": (40, 40), "dilation": 2, "n_global_steps": 3},
    "more than all": {"top_k": 10**6},
    "at the end": {"causal": "end"},
    "at the end, window": {"causal": "end", "window": (6, 0)},
    "at the end, dilated, global": {"causal": "end", "window": (60, 0), "dilation": 7, "n_global_steps": 5},
    "at the end, top": {"causal": "end", "top_k": 5},
}


def draw(shape, n_samples=2, dtype=np.float64, seed=0):
    """Seeded query, key, value, gradient of the output, and a bias and mask of all scores."""
    n_heads, n_kv_heads, n_steps, n_keys, d_head, d_value = shape
    generator = np.random.default_rng(seed)
    sizes = [(n_heads, n_steps, d_head), (n_kv_heads, n_keys, d_head), (n_kv_heads, n_keys, d_value)]
    sizes += [(n_heads, n_steps, d_value), (n_heads, n_steps, n_keys)]
    *arrays, bias = (generator.normal(size=(n_samples, *size)).astype(dtype) for size in sizes)
    return *arrays, bias, generator.random(bias.shape) < 0.6


def allowed(n_steps, n_keys, causal=False, window=(None, None), dilation=1, n_global_steps=0):
    """What the reference lets each query see."""
    window = (window[0], 0) if causal else window
    offset = n_keys - n_steps if causal == "end" else 0
    return reference.attends(n_steps, n_keys, window, dilation, n_global_steps, offset)


def agree(form, shape, lengths=None, bias=None, mask=None, **options):
    """Compare output, weights, sums and gradients with the reference, sample by sample."""
    query, key, value, d_output, *_ = draw(shape)
    given = {**form, **options, "bias": bias, "mask": mask, "lengths": lengths}
    output, sums = attention(query, key, value, return_log_sum_exp=True, **given)
    weights, gradients = (
        attention_weights(query, key, **given),
        attention_backward(query, key, value, d_output, **given),
    )
    rules = {name: setting for name, setting in form.items() if name != "top_k"}
    of_scores = np.zeros((*query.shape[:3], key.shape[2]))
    for i in range(len(query)):
        n, m = (query.shape[2], key.shape[2]) if lengths is None else (lengths[0][i], lengths[1][i])
        parts = query[i, :, :n], key[i, :, :m], value[i, :, :m]
        seen = allowed(n, m, **rules)
        seen = seen if mask is None else seen & np.broadcast_to(mask, of_scores.shape)[i, :, :n, :m]
        added = 0.0 if bias is None else np.broadcast_to(bias, of_scores.shape)[i, :, :n, :m]
        truth = {"bias": added, "allowed": seen, "top_k": form.get("top_k")}
        expected = reference.attention_weights(*parts[:2], **truth)
        close(weights[i, :, :n, :m], expected)
        assert ((weights[i, :, :n, :m] == 0) == (expected == 0)).all()
        close(output[i, :, :n], reference.mixed_values(expected, parts[2]))
        assert (np.isneginf(sums[i, :, :n]) == (expected.sum(axis=-1) == 0)).all()
        of_scores[i, :, :n, :m] = reference.gradient_of_scores(expected, parts[2], d_output[i, :, :n])
        expected = reference.attention_gradient(*parts, d_output[i, :, :n], **truth)
        for gradient, wanted, end in zip(gradients[:3], expected, (n, m, m), strict=True):
            close(gradient[i, :, :end], wanted)
            assert not gradient[i, :, end:].any()
        assert not output[i, :, n:].any()
    if bias is not None:
        axes = tuple(axis for axis, size in enumerate(bias.shape) if size == 1 < of_scores.shape[axis])
        close(gradients[3], of_scores.sum(axis=axes, keepdims=True))


def close(result, truth):
    """Equal to ten digits."""
    np.testing.assert_allclose(result, truth, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_forms_agree_with_the_reference(form, shape):
    agree(form, shape)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_forms_of_samples_of_their_own_lengths(form):
    agree(form, (3, 1, 150, 140, 7, 5), lengths=(np.array([149, 0]), np.array([70, 140])))
    agree(form, (2, 2, 90, 99, 7, 5), lengths=(np.array([1, 66]), np.array([0, 1])))


LONG = {
    "a window over many blocks": ({"window": (700, 301)}, 1009),
    "strands longer than what is kept of them": ({"window": (60, 41), "dilation": 2}, 1501),
    "windows longer than what is kept": ({"window": (2500, 101), "dilation": 2}, 2603),
    "best of long strands": ({"window": (2500, 101), "dilation": 2, "top_k": 2}, 2603),
    "global steps beside long strands": ({"window": (90, 0), "dilation": 3, "n_global_steps": 5, "causal": True}, 1301),
}


@pytest.mark.parametrize(("form", "n_steps"), LONG.values(), ids=LONG)
def test_forms_of_long_sequences_agree_with_the_reference(form, n_steps):
    agree(form, (1, 1, n_steps, n_steps, 3, 2))


BANDS = [{"window": (51, 0)}, {"window": (300, 13), "dilation": 3}, {"window": (70, 7), "n_global_steps": 3}]


@pytest.mark.parametrize("form", BANDS, ids=str)
def test_a_sample_has_the_bits_that_it_has_alone(form):
    query, key, value, d_output, *_ = draw((1, 1, 1103, 1103, 5, 3), n_samples=3, dtype=np.float32)
    ends = np.array([1103, 401, 49])
    together = attention(query, key, value, lengths=ends, **form)
    gradients = attention_backward(query, key, value, d_output, lengths=ends, **form)
    for i, end in enumerate(ends):
        alone = [array[i : i + 1, :, :end] for array in (query, key, value, d_output)]
        np.testing.assert_array_equal(together[i, :, :end], attention(*alone[:3], **form)[0])
        for gradient, own in zip(gradients, attention_backward(*alone, **form), strict=True):
            np.testing.assert_array_equal(gradient[i, :, :end], own[0])


ADDED_TO = ["full", "dilated, global", "top, dilated, global", "at the end, window"]


@pytest.mark.parametrize("form", [FORMS[name] for name in ADDED_TO], ids=ADDED_TO)
@pytest.mark.parametrize("served", [(), (0,), (1,), (0, 1), (2,), (0, 1, 2), (3,)], ids=str)
def test_a_bias_and_a_mask_that_serve_several_scores(form, served):
    shape = (3, 3, 140, 150, 7, 5)
    *_, bias, mask = draw(shape)
    pick = tuple(slice(0, 1) if axis in served else slice(None) for axis in range(4))
    agree(form, shape, bias=bias[pick])
    agree(form, shape, mask=mask[pick])
    agree(form, shape, mask=mask[pick], bias=bias, lengths=(np.array([140, 77]), np.array([13, 150])))


def test_minus_infinity_in_a_bias_hides_as_a_mask_does():
    query, key, value, d_output, _, mask = draw(SHAPES["square"])
    mask[:, :, 5] = False
    bias = np.where(mask, 0.0, -np.inf)
    np.testing.assert_array_equal(attention(query, key, value, bias=bias), attention(query, key, value, mask=mask))
    gradients = attention_backward(query, key, value, d_output, bias=bias)
    for by_bias, by_mask in zip(gradients, attention_backward(query, key, value, d_output, mask=mask), strict=False):
        np.testing.assert_array_equal(by_bias, by_mask)


def test_blocks_that_a_mask_hides_are_not_read():
    query, key, value, d_output, *_ = draw((1, 1, 130, 400, 4, 4), n_samples=1)
    mask = np.zeros((130, 400), bool)
    mask[:, 128:256] = True
    expected = attention(query, key[:, :, 128:256], value[:, :, 128:256])
    key[:, :, 256:], value[:, :, 256:], key[:, :, :128] = np.nan, np.nan, np.nan
    np.testing.assert_array_equal(attention(query, key, value, mask=mask), expected)
    gradients = attention_backward(query, key, value, d_output, mask=mask)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_a_dilation_beyond_all_steps_leaves_a_step_alone():
    query, key, value, d_output, *_ = draw((1, 1, 1, 2500, 4, 4), n_samples=1)
    options = {"causal": "end", "window": (10**6, 0)}
    for dilation in (1800, 2499, 2500, 2**70):
        weights = attention_weights(query, key, dilation=dilation, **options)[0, 0, 0]
        expected = [0, 2499] if dilation == 2499 else [699, 2499] if dilation == 1800 else [2499]
        assert np.flatnonzero(weights).tolist() == expected
        d_value = attention_backward(query, key, value, d_output, dilation=dilation, **options)[2]
        assert np.flatnonzero(d_value[0, 0, :, 0]).tolist() == expected


def test_of_equal_scores_the_first_are_read():
    query, key = np.ones((1, 1, 2, 3)), np.ones((1, 1, 500, 3))
    weights = attention_weights(query, key, top_k=4)
    assert (weights[0, 0, :, :4] == 0.25).all() and not weights[..., 4:].any()
    key[0, 0, 300] = 2
    assert np.flatnonzero(attention_weights(query, key, top_k=4)[0, 0, 0]).tolist() == [0, 1, 2, 300]


@pytest.mark.parametrize("form", [*FORMS.values(), {"kind": "linear"}, {"kind": "linear", "causal": True}], ids=str)
def test_bits_do_not_depend_on_threads(form):
    query, key, value, d_output, *_ = draw((1, 1, 1300, 2100, 4, 4), n_samples=1, dtype=np.float32)
    for n_jobs in (1, 2, 3):
        results = (
            attention(query, key, value, n_jobs=n_jobs, **form),
            *attention_backward(query, key, value, d_output, n_jobs=n_jobs, **form),
        )
        if n_jobs == 1:
            first = results
        for result, before in zip(results, first, strict=True):
            np.testing.assert_array_equal(result, before)


@pytest.mark.parametrize("form", [*FORMS.values(), {"kind": "linear"}, {"kind": "linear", "causal": True}], ids=str)
def test_float32_is_near_float64(form):
    query, key, value, d_output, *_ = draw((2, 2, 300, 300, 16, 16), dtype=np.float32)
    exact = [array.astype(np.float64) for array in (query, key, value, d_output)]
    np.testing.assert_allclose(attention(query, key, value, **form), attention(*exact[:3], **form), atol=3e-6)
    for fast, truth in zip(
        attention_backward(query, key, value, d_output, **form), attention_backward(*exact, **form), strict=True
    ):
        assert fast.dtype == np.float32
        np.testing.assert_allclose(fast, truth, atol=2e-5)


@pytest.mark.parametrize("causal", [False, True, "end"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("lengths", [None, (0, 1), (-1, -1)], ids=str)
def test_linear_attention_agrees_with_the_reference(causal, shape, lengths):
    query, key, value, d_output, *_ = draw(shape)
    _, _, n_steps, n_keys, *_ = shape
    if lengths is not None:
        lengths = tuple(np.clip([n + n // 2 * extra, n], 0, n) for n, extra in zip(shape[2:4], lengths, strict=True))
    options = {"kind": "linear", "causal": causal, "lengths": lengths}
    output = attention(query, key, value, **options)
    weights, gradients = (
        attention_weights(query, key, **options),
        attention_backward(query, key, value, d_output, **options),
    )
    for i in range(len(query)):
        n, m = (n_steps, n_keys) if lengths is None else (lengths[0][i], lengths[1][i])
        offset = m - n if causal == "end" else 0
        expected = reference.linear_weights(query[i, :, :n], key[i, :, :m], bool(causal), offset)
        close(weights[i, :, :n, :m], expected)
        close(output[i, :, :n], reference.mixed_values(expected, value[i, :, :m]))
        assert not output[i, :, n:].any() and not weights[i, :, :, m:].any()
        assert not gradients[0][i, :, n:].any() and not gradients[1][i, :, m:].any()


@pytest.mark.parametrize("causal", [False, True, "end"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_gradients_of_linear_attention_are_its_slopes(causal, shape):
    *arrays, d_output, _, _ = draw(shape, n_samples=1)
    gradients = attention_backward(*arrays, d_output, kind="linear", causal=causal)
    generator, step = np.random.default_rng(1), 1e-6
    for which, gradient in enumerate(gradients):
        for _ in range(4):
            direction = generator.normal(size=gradient.shape)
            sides = []
            for sign in (1, -1):
                moved = [array + sign * step * direction if i == which else array for i, array in enumerate(arrays)]
                sides.append((attention(*moved, kind="linear", causal=causal) * d_output).sum())
            slope = (sides[0] - sides[1]) / (2 * step)
            np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=1e-6, atol=1e-7)


def test_what_is_not_a_number_shows():
    query, key, value, *_ = draw((1, 1, 70, 70, 4, 4), n_samples=1)
    query[0, 0, 3] = np.nan
    for form in ({"top_k": 3}, {"kind": "linear"}, {"window": (8, 8), "dilation": 2}):
        output = attention(query, key, value, **form)
        assert np.isnan(output[0, 0, 3]).all() and np.isfinite(np.delete(output, 3, axis=2)).all()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"dilation": 2}, ValueError, "takes one step in 2 of a window, and there is none"),
        ({"dilation": 2, "causal": True}, ValueError, "there is none that ends"),
        ({"dilation": 0, "window": (3, 3)}, ValueError, "dilation=0 is no whole number of 1 or more"),
        ({"dilation": 1.5, "window": (3, 3)}, ValueError, "dilation=1.5 is no whole number"),
        ({"dilation": True, "window": (3, 3)}, ValueError, "dilation=True is no whole number"),
        ({"n_global_steps": 2}, ValueError, "adds steps to what a window leaves"),
        ({"n_global_steps": -1, "window": (3, 3)}, ValueError, "n_global_steps=-1 is no whole number of 0 or more"),
        ({"top_k": 0}, ValueError, "top_k=0 is no whole number of 1 or more"),
        ({"causal": "start"}, ValueError, "causal=start is unknown; known are False, True and 'end'"),
        ({"kind": "relu"}, ValueError, "kind=relu is unknown"),
        ({"kind": "linear", "top_k": 2}, ValueError, "top_k chooses among the scores"),
        ({"kind": "linear", "window": (2, 2)}, ValueError, "window chooses among the scores"),
        ({"kind": "linear", "scale": 1.0}, ValueError, "scale chooses among the scores"),
        ({"kind": "linear", "bias": 0.0}, ValueError, "bias chooses among the scores"),
        ({"bias": np.zeros((5, 4))}, ValueError, r"bias has shape \(5, 4\), which does not broadcast to the scores"),
        ({"bias": "x"}, TypeError, "bias holds .*; real numbers are wanted"),
        ({"bias": np.zeros((3, 3), bool)}, TypeError, "bias holds bool"),
        ({"bias": np.ma.zeros((3, 3))}, TypeError, "bias is a masked array"),
        ({"mask": np.zeros((3, 3))}, TypeError, "mask holds float64; wanted is True where"),
        ({"mask": np.zeros((7, 3), bool)}, ValueError, r"mask has shape \(7, 3\)"),
        ({"mask": [[True], [True, False]]}, ValueError, "mask is no array"),
    ],
)
def test_bad_input_is_refused(options, error, words):
    query, key, value, *_ = draw((1, 1, 3, 3, 2, 2))
    with pytest.raises(error, match=words):
        attention(query, key, value, **options)
