"""Maps in parts: all layers, a head, a mean, some rows, one sequence after another; and what is too much."""

import tracemalloc

import numpy as np
import pytest
from problems import SMALL, fitted, make_ragged

from skattn import SelfAttentionClassifier, SelfAttentionTransformer, attention_maps

X = make_ragged()
LONG = [np.random.default_rng(n).normal(size=(n, 2)) for n in (211, 67, 3)]
SEEN = {
    "all": {},
    "a window, by distance": {"window": (50, 3), "position": "alibi"},
    "a dilated window": {"window": (40, 40), "dilation": 7, "n_global_steps": 5, "position": "relative"},
    "the past, linearly": {"causal": True, "attention": "linear", "position": "none"},
    "the best keys": {"top_k": 5, "window": 90},
    "shared keys": {"n_kv_heads": 1, "causal": True},
}


@pytest.fixture(scope="module")
def model():
    return fitted(SelfAttentionClassifier(**SMALL, n_layers=2), X)


def test_all_layers_come_in_a_list(model):
    both = model.attention_weights(X, layer=None)
    for layer in (0, 1):
        for maps, of_layer in zip(both, model.attention_weights(X, layer=layer), strict=True):
            assert len(maps) == 2
            np.testing.assert_array_equal(of_layer, maps[layer])


def test_a_head_or_the_mean_of_all_has_no_axis_of_heads(model):
    one, mean = model.attention_weights(X, head=-1), model.attention_weights(X, average=True)
    for maps, of_head, of_all in zip(model.attention_weights(X), one, mean, strict=True):
        np.testing.assert_array_equal(maps[1], of_head)
        np.testing.assert_allclose(of_all, maps.mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize("seen", SEEN)
def test_some_rows_are_those_of_the_whole_map(seen):
    model = SelfAttentionTransformer(**SMALL | {"max_iter": 1} | SEEN[seen]).fit(LONG)
    for steps in (-1, slice(None, None, 2), [2, 0, -1, 1]):
        for whole, rows in zip(model.attention_weights(LONG), model.attention_weights(LONG, steps=steps), strict=True):
            expected = whole[:, np.arange(whole.shape[1])[steps]]
            np.testing.assert_allclose(rows, expected, rtol=1e-12, atol=1e-15)
            assert rows.shape == expected.shape


def test_few_rows_of_a_long_sequence_take_little_room(model, monkeypatch):
    sizes, weights = [], attention_maps.biased_weights

    def spy(query, *arguments, **options):
        sizes.append(query.shape[2])
        return weights(query, *arguments, **options)

    monkeypatch.setattr(attention_maps, "biased_weights", spy)
    steps = [np.random.default_rng(0).normal(size=(701, 3))]
    assert [(2, 3, 701)] == [rows.shape for rows in model.attention_weights(steps, steps=[5, 6, 700])]
    assert max(sizes) <= 64 and len(sizes) == 2


def test_rows_over_steps_are_rows_of_the_map_over_steps():
    model = fitted(SelfAttentionClassifier(**SMALL | {"patch_size": 3}), X)
    whole = model.attention_weights(X, over="steps")
    for of_all, rows in zip(whole, model.attention_weights(X, over="steps", steps=[-1]), strict=True):
        np.testing.assert_array_equal(of_all[:, -1:], rows)


def test_the_iterator_gives_one_sequence_after_another(model, monkeypatch):
    expected = model.attention_weights(X, layer=None, head=0)
    monkeypatch.setattr(attention_maps, "_STEPS_A_BLOCK", 17)
    maps = model.iter_attention_weights(X, layer=None, head=0)
    for whole, one in zip(expected, maps, strict=True):
        np.testing.assert_allclose(one, whole, rtol=1e-12)


def test_maps_that_memory_cannot_hold_are_refused_with_their_size(model, monkeypatch):
    monkeypatch.setattr(attention_maps, "memory", lambda: 4000.0)
    with pytest.raises(ValueError, match="^The maps of 23 sequences of up to 11 steps need .* iter_attention_weights"):
        model.attention_weights(X)
    assert len(list(model.iter_attention_weights(X))) == 23
    monkeypatch.setattr(attention_maps, "memory", lambda: 1000.0)
    with pytest.raises(ValueError, match=r"^The maps of one sequence of up to 11 steps need .*; ask for less"):
        model.iter_attention_weights(X)
    assert len(model.attention_weights(X[:1], steps=0)) == 1


@pytest.mark.parametrize(
    "options, message",
    [
        ({"layer": 2}, "layer=2 is none of the 2 layers"),
        ({"layer": "last"}, "layer='last' is none of the 2 layers"),
        ({"head": -3}, "head=-3 is none of the 2 heads of layer 1"),
        ({"head": 0, "average": True}, "head=0 asks for one head, and average=True for the mean of all"),
        ({"network": 1}, "network=1 is none of the 1 networks"),
        ({"steps": []}, r"steps=\[\] names no rows"),
        ({"steps": [[1]]}, r"steps=\[\[1\]\] names no rows"),
        ({"steps": 0.5}, "steps=0.5 names no rows"),
        ({"steps": [0, 1, 5]}, "steps holds 5, and the map of sequence 4 has 3 rows, 0 to 2"),
        ({"steps": -12}, "steps holds -12, and the map of sequence 0 has 11 rows"),
    ],
)
@pytest.mark.parametrize("method", ["attention_weights", "iter_attention_weights"])
def test_what_there_is_not_is_refused_before_any_work(model, options, message, method, monkeypatch):
    monkeypatch.setattr(model, "_carry_by", None)
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(X, **options)


def test_maps_are_those_of_torch():
    """`need_weights` of its multi-head attention, with the weights copied, on the same normalised steps."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    model = SelfAttentionTransformer(**SMALL).fit(X, np.array([steps.mean() for steps in X]))
    w, network = model.weights_, model._model.network
    theirs = torch.nn.MultiheadAttention(14, 2, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        names = ("query", "key", "value")
        theirs.in_proj_weight[:] = torch.tensor(
            np.concatenate([w[f"layers.0.{name}.weight"].T for name in names]), dtype=torch.float64
        )
        theirs.in_proj_bias[:] = 0
        theirs.in_proj_bias[:14] = torch.tensor(w["layers.0.query.bias"])
    for steps, ours in zip(X, model.attention_weights(X), strict=True):
        stream = (steps - network.mean) / network.scale @ w["embedding.weight"] + w["embedding.bias"]
        stream = stream + w["position.weight"][: len(steps)]
        scale, bias = (torch.tensor(w[f"layers.0.attention_norm.{name}"]) for name in ("scale", "bias"))
        normal = torch.nn.functional.layer_norm(torch.tensor(stream), (14,), scale, bias)[None]
        _, maps = theirs(normal, normal, normal, need_weights=True, average_attn_weights=False)
        np.testing.assert_allclose(ours, maps[0].detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("over", ["tokens", "steps"])
def test_rows_come_in_the_order_in_which_they_are_asked_for(over):
    generator = np.random.default_rng(0)
    X = [generator.normal(size=(n, 2)) for n in (9, 7)] * 6
    options = {"max_iter": 1, "n_estimators": 1, "random_state": 0, "patch_size": 2 if over == "steps" else 1}
    model = SelfAttentionClassifier(embedding="linear", **options).fit(X, np.arange(12) % 2)
    whole = model.attention_weights(X[:1], over=over)[0]
    n = whole.shape[1]
    for steps in (slice(None, None, -1), np.arange(n)[::-1], np.roll(np.arange(n), 1), [0] * n, [3, 1], np.arange(n)):
        expected = whole[:, np.arange(n)[steps] if isinstance(steps, slice) else np.asarray(steps)]
        np.testing.assert_array_equal(model.attention_weights(X[:1], over=over, steps=steps)[0], expected)
        (one,) = model.iter_attention_weights(X[:1], over=over, steps=steps)
        np.testing.assert_array_equal(one, expected)


def test_rows_over_steps_take_the_room_of_those_rows():
    X = [np.sin(np.arange(3000) * (0.1 + 0.1 * (i % 2)))[:, np.newaxis].astype(np.float32) for i in range(6)]
    model = SelfAttentionClassifier(n_estimators=1, max_iter=1, random_state=0).fit(X, [0, 1] * 3)
    model.attention_weights(X[:1], over="steps", steps=0)
    tracemalloc.start()
    try:
        model.attention_weights(X[:1], over="steps", steps=0)
        assert tracemalloc.get_traced_memory()[1] < 20e6, "a whole map has 36 MB a head"
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["head", "layer", "network"])
def test_truth_values_are_no_numbers_of_heads(name):
    X = [np.random.default_rng(n).normal(size=(n, 2)) for n in range(3, 9)]
    options = {"embedding": "linear", "max_iter": 1, "random_state": 0}
    model = SelfAttentionClassifier(**options).fit(X, np.arange(6) % 2)
    with pytest.raises(ValueError, match=f"{name}=True is none of the"):
        model.attention_weights(X, **{name: True})
