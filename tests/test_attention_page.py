"""What stands in a page to explore attention by, and what is refused; browsers open it in test_page_in_browser.py."""

import json
import re
from base64 import b64decode
from html import unescape
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
from problems import SMALL, fitted, make_array, make_ragged, make_told
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skattn import SelfAttentionClassifier, SelfAttentionTransformer, SequenceScaler, sequences_from_frame
from skattn.inspection import AttentionPage, _page_content, _page_maps, prune_heads

X = make_ragged()[:5]
STEM = {"embedding": "random_convolution", "n_kernels": 16, "n_tokens": 5}


@pytest.fixture(scope="module")
def model():
    return fitted(SelfAttentionClassifier(**SMALL | {"n_layers": 3, "n_estimators": 2, "causal": True}), make_ragged())


def softmax(*shape, seed=0):
    """Maps whose rows are shares."""
    weights = np.exp(3 * np.random.default_rng(seed).normal(size=shape))
    return weights / weights.sum(axis=-1, keepdims=True)


def stored(page):
    """What the script in the page finds."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page.to_html(), re.S)[1])


def decoded(content, network, layer, sequence):
    """Weights as the script computes them, (n_heads, n_rows, n_columns)."""
    stored_map, bits = content["maps"][network][layer][sequence], content["bits"]
    n = len(content["sequences"][sequence]["spans"]) // 2
    codes = np.frombuffer(b64decode(stored_map["codes"]), f"<u{bits // 8}").reshape(stored_map["heads"], n, n)
    largest = np.frombuffer(b64decode(stored_map["largest"]), "<f4").reshape(stored_map["heads"], n, 1)
    return codes.astype(np.float64) / (2**bits - 1) * largest


@pytest.mark.parametrize("bits", [8, 16])
def test_every_weight_is_there_to_within_half_a_part_of_the_largest_in_its_row(model, monkeypatch, bits):
    monkeypatch.setattr(_page_maps, "FINE", 0 if bits == 8 else 10**6)
    content = stored(AttentionPage.from_estimator(model, X, layers=[0, -1], networks=1))
    assert (content["bits"], content["layers"], content["networks"]) == (bits, [0, 2], [1])
    for place, layer in enumerate([0, 2]):
        for number, expected in enumerate(model.attention_weights(X, layer=layer, network=1)):
            actual, largest = decoded(content, 0, place, number), expected.max(axis=-1, keepdims=True)
            # What would be rounded to nothing is told from nothing: it has the smallest part.
            most = np.where(expected * (2**bits - 1) < 0.5 * largest, 1.0, 0.5) * largest / (2**bits - 1)
            assert (np.abs(actual - expected) <= 1.001 * most).all()
            np.testing.assert_array_equal(actual == 0, expected == 0)
            np.testing.assert_allclose(actual.max(axis=-1, keepdims=True), largest, rtol=1e-6)


def test_what_is_next_to_nothing_is_told_from_nothing():
    content = stored(AttentionPage.from_weights([np.array([[1 - 1e-9, 1e-9], [1.0, 0.0]])]))
    np.testing.assert_allclose(decoded(content, 0, 0, 0), [[[1, 1 / 65535], [1, 0]]], rtol=1e-6)


def test_all_layers_and_networks_are_there_by_default_and_nothing_is_changed(model):
    before = [steps.copy() for steps in X]
    content = stored(AttentionPage.from_estimator(model, X))
    assert (content["layers"], content["networks"]) == ([0, 1, 2], [0, 1])
    assert [len(own["spans"]) // 2 for own in content["sequences"]] == [len(steps) for steps in X]
    for steps, own, kept in zip(X, content["sequences"], before, strict=True):
        signal = np.frombuffer(b64decode(own["signal"]), "<f4").reshape(3, -1).T
        np.testing.assert_array_equal(signal, steps.astype(np.float32))
        np.testing.assert_array_equal(steps, kept)


def test_layers_may_differ_in_heads():
    maps = [[softmax(3, 5, 5), softmax(2, 5, 5)], [softmax(3, 7, 7), softmax(2, 7, 7)]]
    content = stored(AttentionPage.from_weights(maps))
    assert [[own["heads"] for own in layer] for layer in content["maps"][0]] == [[3, 3], [2, 2]]
    np.testing.assert_allclose(decoded(content, 0, 1, 1), maps[1][1], atol=1e-5)


def test_layers_of_which_heads_were_taken_have_fewer(model):
    smaller = prune_heads(model, [(1, 0, 1)])
    content = stored(AttentionPage.from_estimator(smaller, X))
    assert [[layer[0]["heads"] for layer in network] for network in content["maps"]] == [[2, 2, 2], [1, 2, 2]]
    expected = smaller.attention_weights(X, layer=0, network=1)[2]
    np.testing.assert_allclose(decoded(content, 1, 0, 2), expected, atol=1e-5)


@pytest.mark.parametrize("over", ["tokens", "steps"])
@pytest.mark.parametrize("max_rows", [3, 1000])
def test_rows_of_long_maps_may_be_computed_a_few_at_a_time(monkeypatch, over, max_rows):
    model = fitted(SelfAttentionClassifier(**SMALL | STEM), make_ragged())
    expected = AttentionPage.from_estimator(model, X, over=over, max_rows=max_rows).content["maps"]
    monkeypatch.setattr(_page_content, "_ROWS", 2)
    assert expected == AttentionPage.from_estimator(model, X, over=over, max_rows=max_rows).content["maps"]


def test_a_map_of_one_head_and_an_array_of_maps_are_taken():
    content = stored(AttentionPage.from_weights([softmax(5, 5)]))
    assert decoded(content, 0, 0, 0).shape == (1, 5, 5)
    content = stored(AttentionPage.from_weights(softmax(3, 2, 5, 5)))
    assert [decoded(content, 0, 0, i).shape for i in range(3)] == [(2, 5, 5)] * 3


def test_long_maps_are_averaged_in_blocks_of_which_rows_still_sum_to_one():
    weights = softmax(2, 11, 11)
    content = stored(AttentionPage.from_weights([weights], signals=[np.arange(11.0)], max_rows=4))
    blocks = [slice(0, 3), slice(3, 6), slice(6, 9), slice(9, 11)]
    expected = [[[head[a, b].sum(axis=1).mean() for b in blocks] for a in blocks] for head in weights]
    np.testing.assert_allclose(decoded(content, 0, 0, 0), expected, atol=1e-5)
    np.testing.assert_allclose(decoded(content, 0, 0, 0).sum(axis=-1), 1.0, atol=1e-4)
    assert (content["sequences"][0]["block"], content["sequences"][0]["steps"]) == (3, 11)
    assert content["sequences"][0]["spans"] == [0, 3, 3, 6, 6, 9, 9, 11]


@pytest.mark.parametrize("over", ["tokens", "steps"])
def test_tokens_behind_a_stem_stand_for_their_steps(over):
    model = fitted(SelfAttentionClassifier(**SMALL | STEM), make_ragged())
    content = stored(AttentionPage.from_estimator(model, X, over=over))
    spans = (
        model.token_spans(X)
        if over == "tokens"
        else [np.stack([np.arange(len(s)), np.arange(len(s)) + 1], 1) for s in X]
    )
    for number, (own, expected) in enumerate(zip(content["sequences"], spans, strict=True)):
        assert (own["steps"], own["spans"]) == (len(X[number]), expected.ravel().tolist())
        np.testing.assert_allclose(
            decoded(content, 0, 0, number), model.attention_weights(X, over=over)[number], atol=1e-5
        )


def test_padding_is_not_shown():
    padded = np.full((2, 9, 3), np.nan)
    padded[0, :7], padded[1, :4] = X[0][:7], X[0][:4]
    model = SelfAttentionTransformer(**SMALL).fit(padded)
    assert [own["steps"] for own in stored(AttentionPage.from_estimator(model, padded))["sequences"]] == [7, 4]


def test_times_and_categories_label_steps_where_nobody_says_otherwise():
    told = {"categorical_features": [1, 3], "time_feature": 2, "position": "rotary"}
    steps = make_told(told)[:3]
    content = stored(AttentionPage.from_estimator(SelfAttentionTransformer(**SMALL | told).fit(steps), steps))
    assert [feature["kind"] for feature in content["features"]] == ["number", "category", "time", "category"]
    assert content["sequences"][1]["labels"] == [f"{time:.10g}" for time in steps[1][:, 2]]
    assert content["sequences"][1]["isText"] is False


def test_categories_that_frames_name_are_words_and_what_is_missing_is_called_so():
    colours = ["blue", "red", "red", None, "green", "blue", "red"]
    frame = pd.DataFrame({"id": [0] * 7 + [1] * 7, "colour": pd.Categorical(2 * colours, ["red", "green", "blue"])})
    X, *_ = sequences_from_frame(frame, id="id")
    settings = SMALL | {"categorical_features": "from_dtype", "handle_missing": "mask"}
    model = SelfAttentionTransformer(**settings).fit(X)
    (own,) = stored(AttentionPage.from_estimator(model, X[:1]))["sequences"]
    assert (own["labels"], own["isText"]) == ([word or "missing" for word in colours], True)


def test_codes_without_names_are_their_own_words():
    ids = [np.array([5, 2, 7]), np.array([2, 2])]
    model = SelfAttentionTransformer(**SMALL | {"categorical_features": "all"}).fit(ids)
    (own,) = stored(AttentionPage.from_estimator(model, ids[:1]))["sequences"]
    assert own["labels"] == ["5", "2", "7"]


def test_events_are_told_by_all_their_categories():
    events = [np.array([[3, 0.5, 1], [4, 2.5, 0]]), np.array([[4, 1.0, 1]])]
    settings = SMALL | {"categorical_features": [0, 2], "time_feature": 1, "position": "rotary"}
    (own,) = stored(AttentionPage.from_estimator(SelfAttentionTransformer(**settings).fit(events), events[:1]))[
        "sequences"
    ]
    assert (own["labels"], own["isText"]) == (["3 · 1", "4 · 0"], True)


def test_labels_may_be_words_numbers_or_dates_and_be_left_out():
    days = np.arange("2024-02-27", "2024-03-03", dtype="datetime64[D]")
    labels = ["abcde", days, np.arange(5) / 3, [7] * 5, None]
    own = stored(AttentionPage.from_weights(softmax(5, 2, 5, 5), labels=labels))["sequences"]
    assert own[0]["labels"] == list("abcde") and own[0]["isText"]
    assert own[1]["labels"][2] == "2024-02-29" and not own[1]["isText"]
    assert own[2]["labels"][1] == "0.3333333333" and own[3]["labels"][0] == "7" and own[4]["labels"] is None


@pytest.mark.parametrize("labels, is_text", [(["9:30", "9:45"], False), (["9:30", "noon"], True), (["9", 9.5], False)])
def test_beside_a_signal_strings_that_begin_with_a_digit_are_times(labels, is_text):
    weights = [softmax(1, 2, 2)]
    (own,) = stored(AttentionPage.from_weights(weights, labels=[labels], signals=[[1.0, 2.0]]))["sequences"]
    assert (own["labels"], own["isText"]) == ([str(label) for label in labels], is_text)
    assert stored(AttentionPage.from_weights(weights, labels=[labels]))["sequences"][0]["isText"]


def test_names_of_features_come_from_fit_or_from_whoever_asks():
    frames = [pd.DataFrame(steps, columns=["north", "east", "up"]) for steps in X]
    model = SelfAttentionTransformer(**SMALL).fit(frames)
    assert [f["name"] for f in stored(AttentionPage.from_estimator(model, frames))["features"]] == [
        "north",
        "east",
        "up",
    ]
    page = AttentionPage.from_estimator(model, frames, feature_names=["a", "b", "c"])
    assert [f["name"] for f in stored(page)["features"]] == ["a", "b", "c"]
    rows = make_array(n_features=1)[:, :, 0]
    page = AttentionPage.from_estimator(SelfAttentionTransformer(**SMALL).fit(rows), rows[:2])
    assert [f["name"] for f in stored(page)["features"]] == ["feature 0"]


EVIL = '</script><script>alert("x")</script><!-- & \u2028 {{ data }} \ud83d'


def test_no_string_can_leave_its_place(tmp_path):
    labels = [[EVIL, "b", "c"]]
    page = AttentionPage.from_weights(
        softmax(1, 1, 3, 3), labels=labels, title=EVIL, signals=[np.ones((3, 1))], feature_names=[EVIL]
    )
    page.save(tmp_path / "page.html")
    written = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert written.lower().count("<script") == written.lower().count("</script>") == 2
    assert "alert(&quot;x&quot;)" in written and 'alert("x")' not in written
    content = stored(page)
    assert (content["sequences"][0]["labels"], content["title"]) == (labels[0], EVIL)
    assert content["features"][0]["name"] == EVIL


def test_a_notebook_shows_the_page_in_a_frame_of_its_own(model):
    page = AttentionPage.from_estimator(model, X[:1], title='"quoted"')
    shown = page._repr_html_()
    frame = re.fullmatch(
        r'<iframe sandbox="allow-scripts" style="[^"]*" title="([^"]*)" srcdoc="([^"]*)"></iframe>', shown
    )
    assert (unescape(frame[1]), unescape(frame[2])) == ('"quoted"', page.to_html())


def test_the_page_asks_for_nothing_elsewhere(model):
    html = AttentionPage.from_estimator(model, X[:1]).to_html()
    assert "default-src 'none'" in html and not re.search(r"https?:|//\w+\.\w|@import|url\(|\bsrc=", html)


def test_what_the_page_is_made_of_is_shipped():
    names = ["page.html", "page.css", "page_data.js", "page_signal.js", "page_views.js", "page_state.js"]
    assert [name for name in names if not (files("skattn.inspection") / name).is_file()] == []


@pytest.mark.parametrize(
    "options, message",
    [
        ({"layers": 3}, r"^layers=3: 3 is none of the 3 layers of the model; try layers=-1"),
        ({"layers": [0, -4]}, r"^layers=\[0, -4\]: -4 is none of the 3"),
        ({"layers": []}, r"^layers=\[\]; give a number or a list of numbers from 0 to 2"),
        ({"layers": True}, "^layers=True; give a number"),
        ({"layers": 1.5}, "^layers=1.5; give a number"),
        ({"layers": "first"}, "^layers='first'; give a number"),
        ({"networks": 2}, "^networks=2: 2 is none of the 2 networks"),
        ({"labels": [["a"]]}, "^labels has 1 entries for 5 sequences"),
        (
            {"labels": [range(len(s) + (i == 3)) for i, s in enumerate(X)]},
            r"^labels\[3\] has (\d+) entries for the \d+ steps",
        ),
        ({"labels": [7] * 5}, r"^labels\[0\] has 7 for the 11 steps of sequence 0; give one token or time for each"),
        ({"feature_names": ["a"]}, r"^feature_names is \['a'\] for 3 features of a step; give a list"),
        ({"feature_names": "abc"}, "^feature_names is abc for 3 features"),
        ({"over": "patches"}, "^over='patches'; maps are over 'tokens' or 'steps'"),
        ({"max_rows": 0}, "^max_rows=0; give a whole number"),
        ({"max_rows": 2.0}, "^max_rows=2.0; give a whole number"),
        ({"max_megabytes": 0}, "^max_megabytes=0; give a number above 0"),
        ({"max_megabytes": "5"}, "^max_megabytes='5'; give a number above 0"),
        (
            {"max_megabytes": 0.001},
            r"^The page would take [\d.]+ MB, more than max_megabytes=0.001: 5 sequences of up to 11 rows",
        ),
        ({"max_megabytes": 0.001, "over": "steps"}, 'lower max_rows, take over="tokens", or raise'),
    ],
)
def test_what_a_model_cannot_show_is_refused_before_any_map_is_made(model, monkeypatch, options, message):
    def never(*_, **__):
        raise AssertionError("a map was asked for")

    monkeypatch.setattr(_page_content, "iterate", never)
    with pytest.raises(ValueError, match=message):
        AttentionPage.from_estimator(model, X, **options)


def test_models_that_are_not_fitted_or_have_no_attention_are_refused(model):
    with pytest.raises(NotFittedError, match="not fitted"):
        AttentionPage.from_estimator(SelfAttentionTransformer(), X)
    with pytest.raises(TypeError, match=r"^model is Pipeline.*of a pipeline give model\[-1\]"):
        AttentionPage.from_estimator(make_pipeline(SequenceScaler(), model), X)


@pytest.mark.parametrize("labels", ["the dog", 5])
def test_labels_that_are_no_list_of_them_are_refused(model, labels):
    with pytest.raises(TypeError, match=f"^labels is {labels!r}; give a list with the tokens or times"):
        AttentionPage.from_estimator(model, X[:1], labels=labels)


SQUARE, STEPS = softmax(2, 5, 5), np.ones((5, 3))


@pytest.mark.parametrize(
    "weights, options, error, message",
    [
        (SQUARE, {}, TypeError, r"^weights is an array of shape \(2, 5, 5\); give a list.*\[weights\] for one"),
        (None, {}, TypeError, "^weights is None; give a list"),
        ([], {}, ValueError, "^weights is an empty list"),
        ([[]], {}, ValueError, r"^weights\[0\] has 0 layers"),
        ([[SQUARE], [SQUARE, SQUARE]], {}, ValueError, r"^weights\[1\] has 2 layers, and weights\[0\] has 1"),
        ([[SQUARE, softmax(2, 7, 7)]], {}, ValueError, r"^weights\[0\] has layers of 5 and of 7 tokens"),
        ([SQUARE[:, :3]], {}, ValueError, r"^weights\[0\] has shape \(2, 3, 5\); a page needs all rows"),
        ([np.ones(5)], {}, ValueError, r"^weights\[0\] has shape \(5,\)"),
        ([np.ones((2, 0, 0))], {}, ValueError, r"^weights\[0\] has shape \(2, 0, 0\)"),
        ([np.array([["a"]])], {}, ValueError, r"^weights\[0\] holds no numbers"),
        ([SQUARE - 0.1], {}, ValueError, r"^weights\[0\] has weights from -0.\d+ to .*after the softmax"),
        ([3 * SQUARE], {}, ValueError, r"^weights\[0\] has weights from .* to 2"),
        ([SQUARE * np.nan], {}, ValueError, r"^weights\[0\] has weights from nan"),
        ([SQUARE], {"signals": [STEPS, STEPS]}, ValueError, "^signals has 2 entries for the maps of 1"),
        ([SQUARE], {"signals": [STEPS[:3]]}, ValueError, r"^signals\[0\] has 3 steps, and its map has 5 rows.*spans"),
        (
            [SQUARE] * 2,
            {"signals": [STEPS, STEPS[:, :2]]},
            ValueError,
            r"^signals\[1\] has 2 features, and signals\[0\] has 3",
        ),
        ([SQUARE], {"signals": [["a"] * 5]}, ValueError, r"^signals\[0\] holds no numbers"),
        ([SQUARE], {"signals": [np.ones((5, 0))]}, ValueError, r"^signals\[0\] has shape \(5, 0\)"),
        ([SQUARE], {"spans": []}, ValueError, "^spans has 0 entries for the maps of 1"),
        ([SQUARE], {"spans": [[[0, 1]]]}, ValueError, r"^spans\[0\] has shape \(1, 2\) for 5 rows"),
        ([SQUARE], {"spans": [[[0, 0]] * 5]}, ValueError, r"^spans\[0\] holds spans that are empty"),
        ([SQUARE], {"spans": [[[0, 2]] * 5], "signals": [[1.0]]}, ValueError, r"^spans\[0\] reaches up to step 2, and"),
        ([SQUARE], {"labels": ["abc"]}, ValueError, r"^labels\[0\] has 3 entries for the 5 steps of sequence 0"),
        ([SQUARE], {"max_megabytes": 1e-5}, ValueError, "^The page would take"),
        ([SQUARE], {"max_rows": None}, ValueError, "^max_rows=None"),
    ],
)
def test_weights_that_no_page_can_show_are_refused(weights, options, error, message):
    with pytest.raises(error, match=message):
        AttentionPage.from_weights(weights, **options)


@pytest.mark.parametrize("n_tokens", [7, 211])
def test_the_size_that_is_foretold_is_that_of_the_file(n_tokens):
    weights = [softmax(3, n_tokens, n_tokens)]
    frame = len(AttentionPage.from_weights([softmax(1, 1, 1)]).to_html())
    size = (len(AttentionPage.from_weights(weights).to_html()) - frame) / 1e6
    assert 3 * n_tokens**2 * 8 / 3 / 1e6 < size
    AttentionPage.from_weights(weights, max_megabytes=1.2 * size + 0.001)
    with pytest.raises(ValueError, match="would take"):
        AttentionPage.from_weights(weights, max_megabytes=0.8 * size)
