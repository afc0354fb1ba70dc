"""Networks without some heads compute what is left, and go everywhere that others go."""

import joblib
import numpy as np
import pytest
from problems import SMALL, STEMS, make_ragged
from sklearn.base import clone

from skattn import SelfAttentionClassifier, SelfAttentionTransformer
from skattn.inspection import prune_heads

X = make_ragged()
CLASSES = np.arange(len(X)) % 3
FORMS = {
    "plain": {},
    "two layers": {"n_layers": 2, "d_value": 5},
    "one key for all, by distance": {"n_kv_heads": 1, "position": "alibi"},
    "keys for two, rotated": {"n_heads": 4, "d_head": 4, "n_kv_heads": 2, "position": "rotary"},
    "learned distances": {"position": "relative"},
    "the best keys": {"top_k": 2},
    "linear": {"attention": "linear"},
    "adapters": {"adapter_rank": 2},
    "stems": STEMS,
}


def fitted(**settings):
    return SelfAttentionClassifier(**SMALL | settings).fit(X, CLASSES)


def quiet(model, heads):
    """The model with rows of the output projection set to 0 by hand."""
    model = clone(model).fit(X, CLASSES)
    for member in model._model.members:
        for layer, head in heads:
            rows = slice(head * member.network.architecture.d_value, (head + 1) * member.network.architecture.d_value)
            for name in (f"layers.{layer}.output.weight", f"layers.{layer}.output.adapter.down.weight"):
                if name in member.network.weights:
                    member.network.weights[name][rows] = 0
    return model


@pytest.mark.parametrize("form", FORMS)
def test_what_is_left_computes_as_if_the_heads_fetched_nothing(form):
    model = fitted(**FORMS[form])
    smaller = prune_heads(model, [(0, 1)])
    np.testing.assert_allclose(smaller.predict_proba(X), quiet(model, [(0, 1)]).predict_proba(X), rtol=1e-12)
    assert not np.allclose(smaller.predict_proba(X), model.predict_proba(X))
    sizes = [sum(weight.size for weight in each.weights_.values()) for each in (model, smaller)]
    assert sizes[1] < sizes[0]
    for whole, left in zip(model.attention_weights(X, layer=0), smaller.attention_weights(X, layer=0), strict=True):
        np.testing.assert_allclose(left, np.delete(whole, 1, axis=0), rtol=1e-12)


def test_heads_are_counted_anew_after_each_pruning():
    model = fitted(n_heads=4, d_head=3, n_kv_heads=2, position="alibi")
    expected = quiet(model, [(0, 0), (0, 2), (0, 3)]).predict_proba(X)
    # Of two pairs one head is left of the second; then of the first one.
    smaller = prune_heads(prune_heads(prune_heads(model, [(0, 2)]), [(0, 0)]), [(0, 1)])
    np.testing.assert_allclose(smaller.predict_proba(X), expected, rtol=1e-12)
    np.testing.assert_allclose(prune_heads(model, [(0, 0), (0, 2), (0, 3)]).predict_proba(X), expected, rtol=1e-12)


def test_keys_stay_shared_where_as_many_heads_are_left_of_each_group():
    model = fitted(n_heads=4, d_head=3, n_kv_heads=2)
    widths = {
        len(gone): prune_heads(model, [(0, head) for head in gone]).weights_["layers.0.key.weight"].shape[1]
        for gone in ((0, 2), (1,), (0, 1, 2))
    }
    assert widths == {2: 2 * 3, 1: 3 * 3, 3: 1 * 3}


def test_each_network_may_lose_others():
    model = fitted(n_estimators=2)
    smaller = prune_heads(model, [(0, 0, 1), (-1, 0, 0)])
    first, second = (smaller.attention_weights(X, network=number) for number in (0, 1))
    for maps, number, kept in ((first, 0, 0), (second, 1, 1)):
        for left, whole in zip(maps, model.attention_weights(X, network=number), strict=True):
            np.testing.assert_allclose(left[0], whole[kept], rtol=1e-12)
    only_one = prune_heads(model, [(1, 0, 0)])
    assert [2, 1] == [len(only_one.attention_weights(X[:1], network=number)[0]) for number in (0, 1)]


@pytest.mark.parametrize("n_estimators", [1, 2])
def test_a_pruned_model_goes_into_every_file(n_estimators, tmp_path):
    model = fitted(n_estimators=n_estimators)
    smaller = prune_heads(model, [(0, 0, 1)])
    joblib.dump(smaller, tmp_path / "model.joblib")
    smaller.save_weights(tmp_path / "model.safetensors")
    loaded = joblib.load(tmp_path / "model.joblib"), clone(model).load_weights(tmp_path / "model.safetensors")
    for each in loaded:
        np.testing.assert_array_equal(each.predict_proba(X), smaller.predict_proba(X))
    goes_on = SelfAttentionClassifier(**SMALL, pretrained=tmp_path / "model.safetensors").fit(X, CLASSES)
    assert 1 == len(goes_on.attention_weights(X[:1])[0])


def test_a_pruned_model_goes_on_learning():
    model = fitted(n_estimators=2)
    smaller = prune_heads(model, [(1, 0, 0)])
    before = smaller.predict_proba(X)
    smaller.partial_fit(X, CLASSES)
    assert [2, 1] == [len(smaller.attention_weights(X[:1], network=number)[0]) for number in (0, 1)]
    assert not np.array_equal(before, smaller.predict_proba(X))
    assert 2 == len(smaller.fit(X, CLASSES).attention_weights(X[:1], network=1)[0])


def test_a_new_model_may_begin_with_a_pruned_one():
    smaller = prune_heads(fitted(), [(0, 0)])
    model = SelfAttentionClassifier(**SMALL | {"adapter_rank": 2}, pretrained=smaller).fit(X, CLASSES)
    assert 1 == len(model.attention_weights(X[:1])[0])
    frozen = smaller.weights_["layers.0.query.weight"]
    np.testing.assert_array_equal(model.weights_["layers.0.query.weight"], frozen)


def test_streams_want_the_same_heads_in_every_network():
    settings = SMALL | {"causal": True, "n_estimators": 2}
    model = SelfAttentionTransformer(**settings).fit(X)
    stream = prune_heads(model, [(0, 1)]).stream()
    for step in X[0]:
        found = stream.step(step)
    np.testing.assert_allclose(found, prune_heads(model, [(0, 1)]).transform(X[:1])[0], rtol=1e-9)
    with pytest.raises(ValueError, match="heads were taken out of some that others have"):
        prune_heads(model, [(0, 0, 1)]).stream()


def test_the_model_stays_as_it_was():
    model = fitted()
    before = model.predict_proba(X)
    prune_heads(model, [(0, 0)]).partial_fit(X, CLASSES)
    np.testing.assert_array_equal(model.predict_proba(X), before)
    assert 2 == len(model.attention_weights(X[:1])[0])


@pytest.mark.parametrize("heads", [[[[[0], [0]]]], "none", [[[[0]]], [[[1]]]], [[[[7]]]]])
def test_a_file_whose_heads_do_not_fit_is_refused(heads, tmp_path):
    from skattn import _weights_file

    model, path = fitted(), tmp_path / "model.safetensors"
    prune_heads(model, [(0, 0)]).save_weights(path)
    tensors, description = _weights_file.read_file(path)
    _weights_file.write_file(path, tensors, description | {"heads": heads})
    with pytest.raises(ValueError, match="damaged"):
        clone(model).load_weights(path)


@pytest.mark.parametrize(
    "heads, message",
    [
        ([(1, 0)], "layer=1 is none of the 1 layers"),
        ([(0, 2)], "head=2 is none of the 2 heads of layer 0"),
        ([(1, 0, 0)], "network=1 is none of the 1 networks"),
        ([(0, 0), (0, -1)], "heads takes all 2 heads out of layer 0 of network 0; leave one there"),
        ([0], r"heads=\[0\]; give a list of pairs"),
        ("first", "heads='first'; give a list of pairs"),
        (3, "heads=3; give a list of pairs"),
        ([("first", 0)], "layer='first' is none of the 1 layers"),
    ],
)
def test_heads_that_there_are_not_are_refused(heads, message):
    with pytest.raises(ValueError, match=message):
        prune_heads(fitted(), heads)
