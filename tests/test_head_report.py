"""Heads that are ill are found to be, and others are not."""

import numpy as np
import pytest
from problems import SMALL
from sklearn.exceptions import NotFittedError

from skattn import SelfAttentionClassifier, SelfAttentionTransformer
from skattn.inspection import head_report, prune_heads
from skattn.inspection.findings import find

X = [np.random.default_rng(n).normal(size=(n, 3)) for n in (29, 23, 31, 17, 13, 19, 11, 37)]
CLASSES = np.arange(len(X)) % 2
SETTINGS = SMALL | {"d_model": 24, "n_heads": 3, "n_layers": 2, "position": "relative"}


@pytest.fixture
def model():
    """A model whose heads look each elsewhere."""
    model = SelfAttentionClassifier(**SETTINGS).fit(X, CLASSES)
    for name, weight in model._model.network.weights.items():
        if name.endswith(("query.weight", "key.weight")):
            weight *= 2
    return model


def weights_of(model, name, layer=0):
    return model._model.network.weights[f"layers.{layer}.{name}"]


def findings(model, **options):
    return head_report(model, X, **options).findings


def test_a_healthy_model_has_no_findings(model):
    report = head_report(model, X)
    assert report.findings == []
    assert [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] == list(zip(report["layer"], report["head"], strict=True))
    shares = ["entropy", "on_self", "on_previous", "on_next", "on_first", "on_sinks", "similarity"]
    assert ((report[shares] >= 0) & (report[shares] <= 1)).all(axis=None)


def test_identical_heads_are_told(model):
    for name in ("query.weight", "query.bias", "key.weight"):
        weights_of(model, name)[..., 16:] = weights_of(model, name)[..., 8:16]
    weights_of(model, "distance")[2] = weights_of(model, "distance")[1]
    report = head_report(model, X)
    assert report.findings == ["layer 0 head 2 repeats head 1"]
    assert report["similarity"][2] == pytest.approx(1) and report["similar_to"][2] == "0.1"


def test_a_layer_that_looks_nowhere_is_told(model):
    for name in ("query.weight", "query.bias", "distance"):
        weights_of(model, name, 1)[...] = 0
    (found,) = findings(model)
    assert found.startswith("all heads of layer 1 attend almost uniformly")
    np.testing.assert_allclose(head_report(model, X)["entropy"][3:], 1)


def test_a_head_that_looks_nowhere_is_told(model):
    weights_of(model, "query.weight")[:, :8] = 0
    weights_of(model, "query.bias")[:8] = 0
    weights_of(model, "distance")[0] = 0
    assert findings(model) == ["layer 0 head 0 attends almost uniformly: it averages what it sees"]


@pytest.mark.parametrize(
    "distance, words", [(1, "copies the previous step"), (-1, "copies the next step"), (0, "looks at")]
)
def test_a_head_that_copies_its_neighbour_is_told(model, distance, words):
    reach = weights_of(model, "distance").shape[1] // 2
    weights_of(model, "distance")[1, reach + distance] = 60
    (found,) = findings(model)
    assert found.startswith(f"layer 0 head 1 {words}")


def test_a_head_that_rests_on_a_step_is_told():
    """The first step lies far from all others, and every query looks that way."""
    model = SelfAttentionClassifier(**SETTINGS | {"position": "learned"}).fit(X, CLASSES)
    there = np.where(np.arange(24) % 2, 1.0, -1.0)
    model._model.network.weights["position.weight"][0] = 100 * there
    weights_of(model, "query.weight")[:, :8], weights_of(model, "query.bias")[:8] = 0, 3
    weights_of(model, "key.weight")[:, :8] = there[:, np.newaxis]
    report = head_report(model, X)
    assert report["on_first"][0] > 0.99 and report["on_sinks"][0] > 0.99
    assert "layer 0 head 0 rests on the first step, as heads do that find nothing to fetch" in report.findings


def test_queries_and_keys_of_one_projection_are_told(model):
    weights_of(model, "query.weight", 1)[:, 8:16] = weights_of(model, "key.weight", 1)[:, 8:16]
    (found,) = findings(model)
    assert found.startswith("layer 1 head 1 has much the same weights for queries and keys (cosine 1.00)")


def test_a_head_is_worth_what_the_score_loses_without_it(model):
    report = head_report(model, X, CLASSES)
    for network, layer, head, worth in zip(
        *(report[c] for c in ("network", "layer", "head", "importance")), strict=True
    ):
        without = prune_heads(model, [(network, layer, head)]).score(X, CLASSES)
        assert worth == pytest.approx(model.score(X, CLASSES) - without)


def test_a_head_that_does_harm_is_told():
    row = dict.fromkeys(["network", "layer", "head"], 0) | dict.fromkeys(
        ["entropy", "on_self", "on_previous", "on_next", "on_first", "query_key_similarity", "similarity"], 0.5
    )
    found = find(
        [row | {"on_sinks": 0.9, "similar_to": "1.1", "importance": -0.25}, row | {"network": 1, "on_sinks": 0.1}]
    )
    assert found == [
        "network 0 layer 0 head 0 rests on a few steps whatever the query is",
        "network 0 layer 0 head 0 does harm on these samples: without it the score rises by 0.25",
    ]
    assert find([row | {"on_sinks": 0, "layer": 1, "similarity": 1.0, "similar_to": "0.1"}]) == [
        "layer 1 head 0 repeats layer 0 head 1"
    ]


def test_rows_of_a_report_say_which_heads_to_prune(model):
    report = head_report(model, X, CLASSES)
    chosen = report[report["head"] == 1]
    assert chosen.findings == report.findings
    assert [2, 2] == [len(maps) for maps in prune_heads(model, chosen).attention_weights(X[:1], layer=None)[0]]


def test_without_pandas_there_is_a_record_array(model, monkeypatch):
    import sys

    frame, module = head_report(model, X), sys.modules["skattn.inspection.head_report"]
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    records = head_report(model, X)
    assert isinstance(records, np.recarray) and records.findings == frame.findings
    assert records[records["head"] == 1].findings == frame.findings
    for name in frame.columns:
        np.testing.assert_array_equal(records[name], frame[name].to_numpy())
    smaller = prune_heads(model, records[:1])
    assert [2, 3] == [len(maps) for maps in smaller.attention_weights(X[:1], layer=None)[0]]


def test_numbers_of_one_network_or_of_all():
    model = SelfAttentionClassifier(**SETTINGS | {"n_estimators": 2}).fit(X, CLASSES)
    assert [0] * 6 + [1] * 6 == list(head_report(model, X)["network"])
    assert [1] * 6 == list(head_report(model, X, network=-1)["network"])


def test_one_head_alone_is_like_no_other():
    model = SelfAttentionClassifier(**SETTINGS | {"n_heads": 1, "n_layers": 1}).fit(X, CLASSES)
    report = head_report(model, X)
    assert np.isnan(report["similarity"][0]) and report["similar_to"][0] == ""


def test_sequences_of_one_step_have_no_entropy_and_do_not_matter(model):
    report = head_report(model, [*X, np.zeros((1, 3))])
    np.testing.assert_allclose(report["entropy"], head_report(model, X)["entropy"])


def test_what_cannot_be_reported_is_refused(model):
    with pytest.raises(ValueError, match="network=1 is none of the 1 networks"):
        head_report(model, X, network=1)
    with pytest.raises(NotFittedError):
        head_report(SelfAttentionClassifier(), X)
    transformer = SelfAttentionTransformer(**SETTINGS).fit(X)
    with pytest.raises(ValueError, match="SelfAttentionTransformer has no score to compare with y; give scoring"):
        head_report(transformer, X, CLASSES)
    report = head_report(transformer, X, CLASSES, scoring=lambda model, X, y: float(np.abs(model.transform(X)).sum()))
    assert (report["importance"] != 0).all()
