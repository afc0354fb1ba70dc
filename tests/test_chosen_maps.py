"""Which maps are shown: what is out of range is refused, and the rest is what the model computes."""

import numpy as np
import pytest
from problems import SMALL, fitted, make_ragged
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skattn import SelfAttentionClassifier, TokenSequencer
from skattn.inspection.chosen_maps import check_number, choose_maps, find_query, read_maps, read_rows

X = make_ragged()
TEXTS = ["not bad, good", "good", "bad not", "not good: bad bad"]


@pytest.fixture(scope="module")
def model():
    """Two layers of two heads, twice."""
    return fitted(SelfAttentionClassifier(**SMALL | {"n_layers": 2, "n_estimators": 2}), X)


@pytest.fixture(scope="module")
def tokens():
    """A model behind patches of three steps."""
    return fitted(SelfAttentionClassifier(**SMALL | {"patch_size": 3}), X)


@pytest.fixture(scope="module")
def critic():
    """A pipeline from texts."""
    parameters = SMALL | {"categorical_features": "all"}
    return make_pipeline(TokenSequencer(), None, SelfAttentionClassifier(**parameters)).fit(TEXTS, [0, 1, 0, 1])


@pytest.mark.parametrize("sequence", [0, 5, -1])
@pytest.mark.parametrize("network", [0, -1])
def test_maps_of_one_sequence_are_those_of_the_model(model, sequence, network):
    chosen = choose_maps(model, X, sequence=sequence, layer=0, network=network)
    (found,), expected = chosen.weights, model.attention_weights(X, layer=0, network=network)[sequence]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert (["head 0 of layer 0", "head 1"], None, "step") == (chosen.titles, chosen.labels, chosen.unit)


def test_all_layers_one_head_and_the_mean_of_heads(model):
    both = choose_maps(model, X, layer=None)
    assert ["layer 0, head 0", "layer 0, head 1", "layer 1, head 0", "layer 1, head 1"] == both.titles
    one, mean = choose_maps(model, X, head=-1), choose_maps(model, X, average=True)
    np.testing.assert_array_equal(one.weights[0], both.weights[1][1:])
    np.testing.assert_allclose(mean.weights[0][0], both.weights[1].mean(axis=0))
    assert (["layer 1, head -1"], ["layer 1, mean of its heads"]) == (one.titles, mean.titles)


def test_some_rows_are_those_of_their_steps(model):
    whole, some = choose_maps(model, X), choose_maps(model, X, steps=[4, -1])
    np.testing.assert_array_equal(some.weights[0], whole.weights[0][:, [4, 10]])
    assert [4, 10] == some.rows.tolist()


def test_tokens_are_labelled_by_their_steps_or_by_the_label_of_the_first(tokens):
    spans = tokens.token_spans(X[:1])[0].tolist()
    assert [f"{first}–{end - 1}" if end - first > 1 else str(first) for first, end in spans] == choose_maps(
        tokens, X
    ).labels
    of_steps = choose_maps(tokens, X, labels=[f"s{step}" for step in range(11)])
    assert [f"s{first}" for first, _ in spans] == of_steps.labels and of_steps.unit == "token"
    assert list("abcd") == choose_maps(tokens, X, labels=list("abcd")).labels
    spread = choose_maps(tokens, X, over="steps")
    assert (spread.weights[0].shape, spread.labels, spread.unit) == ((2, 11, 11), None, "step")


def test_texts_bring_their_words(critic):
    chosen = choose_maps(critic, TEXTS, sequence=3, query="good")
    assert (["not", "good", "bad", "bad"], "word", [1]) == (chosen.labels, chosen.unit, chosen.rows.tolist())
    assert (2, 1, 4) == chosen.weights[0].shape


def test_padding_is_left_out(model):
    padded = np.full((2, 13, 3), np.nan)
    padded[0, :5], padded[1] = X[0][:5], np.resize(X[0], (13, 3))
    assert (2, 5, 5) == choose_maps(model, padded[:, :11]).weights[0].shape


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"sequence": 23}, "sequence=23 is none of the 23 sequences of X; they are numbered from 0 to 22"),
        ({"layer": 2}, "layer=2 is none of the 2 layers"),
        ({"head": -3}, "head=-3 is none of the 2 heads of layer 1"),
        ({"network": 2}, "network=2 is none of the 2 networks"),
        ({"steps": [0, 11]}, "steps=11 is none of the 11 steps"),
        ({"steps": []}, r"steps have shape \(0,\)"),
        ({"query": 11}, "query=11 is none of the 11 steps"),
        ({"query": "it"}, "query='it' is none of the 11 steps; pass the number of one"),
        ({"labels": list("abc")}, "There are 3 labels for 11 steps"),
        ({"over": "words"}, "over='words'"),
        ({"head": 0, "average": True}, "head=0 asks for one head, and average=True"),
    ],
)
def test_what_is_not_there_is_refused(model, wrong, message):
    with pytest.raises(ValueError, match=message):
        choose_maps(model, X, **wrong)


@pytest.mark.parametrize("wrong", [0.5, "0", None, True])
def test_numbers_are_whole(model, wrong):
    with pytest.raises(TypeError, match="sequence=.* is no whole number"):
        choose_maps(model, X, sequence=wrong)


def test_only_fitted_models_with_attention_are_asked(critic):
    with pytest.raises(NotFittedError):
        choose_maps(SelfAttentionClassifier(), X)
    with pytest.raises(NotFittedError):
        choose_maps(make_pipeline(SelfAttentionClassifier()), X)
    with pytest.raises(TypeError, match="A LogisticRegression has no attention_weights"):
        choose_maps(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), X)


def test_one_map_several_heads_and_several_layers_are_read():
    weights = np.random.default_rng(0).dirichlet(np.ones(5), size=(3, 2, 7))
    shapes = [[layer.shape for layer in read_maps(given)] for given in (weights[0, 0], weights[0], weights, [*weights])]
    assert [[(1, 7, 5)], [(2, 7, 5)], [(2, 7, 5)] * 3, [(2, 7, 5)] * 3] == shapes
    assert [(2, 7, 5), (1, 7, 5)] == [layer.shape for layer in read_maps([weights[0], weights[1, :1]])]


def test_padding_of_maps_is_left_out():
    weights = np.full((2, 6, 6), np.nan)
    weights[:, :4, :4] = 0.25
    np.testing.assert_array_equal(read_maps(weights)[0], np.full((2, 4, 4), 0.25))


@pytest.mark.parametrize(
    "wrong, message",
    [
        ([0.5, 0.5], r"weights have shape \(2,\); a map is \(n_rows, n_columns\)"),
        (np.zeros((0, 3)), r"weights have shape \(0, 3\)"),
        ([[0.5, np.nan], [0.1, 0.9]], "weights hold NaN, infinite or negative numbers"),
        (np.full((2, 2), np.nan), "weights hold NaN"),
        ([[-0.1, 1.1]], "negative numbers"),
        ([[np.inf, 0.0]], "infinite"),
        ([np.ones((1, 2, 2)), np.ones((1, 3, 3))], r"shapes \(1, 2, 2\), \(1, 3, 3\); maps of one sequence"),
    ],
)
def test_what_is_no_map_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        read_maps(wrong)


def test_rows_and_queries_by_number_or_by_word():
    assert [0, 4] == read_rows([0, -1], 5, "step").tolist() and [3] == read_rows(3, 5, "step").tolist()
    assert (2, 2, 0) == tuple(find_query(query, ["a", "b", "c"]) for query in ("c", -1, np.int64(0)))
    with pytest.raises(ValueError, match=r"query='a' stands at \[0, 2\]; pass the number of one"):
        find_query("a", ["a", "b", "a"])
    assert 1 == check_number("head", -1, 2, "heads")


def test_one_text_alone_is_no_list_of_texts():
    texts = ["not bad at all", "very good", "not good"] * 4
    pipeline = make_pipeline(TokenSequencer(), SelfAttentionClassifier(**SMALL, categorical_features="all"))
    pipeline.fit(texts, [0, 1, 1] * 4)
    for X in ("not bad at all", {"not bad"}, {"a": "not bad"}):
        with pytest.raises(TypeError, match=r"X is .*, and no list of sequences or texts; pass one alone as \[X\]"):
            choose_maps(pipeline, X)
    with pytest.raises(ValueError, match="sequence=0, and there are no sequences of X"):
        choose_maps(pipeline, [])
