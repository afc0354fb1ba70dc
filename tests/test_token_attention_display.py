"""Texts with what a word attends to."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from pictures import _closed  # noqa: F401
from problems import SMALL, fitted, make_ragged
from sklearn.pipeline import make_pipeline

from skattn import SelfAttentionClassifier, TokenSequencer
from skattn.inspection import TokenAttentionDisplay
from skattn.inspection.picture_style import shades

TEXT = "The dog chased the ball over 日本語 and Donaudampfschifffahrtsgesellschaftskapitänsmützen for $5 and $6".split()


def make_shares(*shape):
    """Shares that sum to 1."""
    return np.random.default_rng(0).dirichlet(np.full(shape[-1], 0.3), size=shape[:-1])


def test_the_shade_of_a_word_is_its_share():
    display = TokenAttentionDisplay([0.1, 0.7, 0.2], ["the", "dog", "slept"], query="slept").plot()
    colours = [box.get_facecolor() for box in display.boxes_[0]]
    np.testing.assert_allclose(colours, shades()(np.array([0.1, 0.7, 0.2]) / 0.7))
    assert to_rgba("none") == display.boxes_[0][1].get_edgecolor() != display.boxes_[0][2].get_edgecolor()


def test_arcs_lead_to_the_words_that_get_most_and_never_to_itself():
    shares = [0.3, 0.04, 0.35, 0.01, 0.3]
    display = TokenAttentionDisplay(shares, list("abcde"), query=0).plot()
    ends = {float(arc.get_path().vertices[-1, 0]) for arc in display.arcs_[0]}
    boxes = [box.get_x() + box.get_width() / 2 for box in display.boxes_[0]]
    assert {boxes[2], boxes[4]} == ends
    widths = [arc.get_linewidth() for arc in display.arcs_[0]]
    assert widths == sorted(widths, reverse=True)
    assert [1, 0] == [len(display.plot(n_arcs=n).arcs_[0]) for n in (1, 0)]


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("n_heads", [1, 3])
@pytest.mark.parametrize("width", [1.0, 4.0, 20.0])
def test_no_word_stands_on_another_and_all_are_within_the_picture(width, n_heads):
    tokens = TEXT * 3
    display = TokenAttentionDisplay.from_weights(make_shares(n_heads, 39, 39), tokens, query=-1, width=width)
    display.figure_.canvas.draw()
    words = [word.get_window_extent() for of_head in display.words_ for word in of_head]
    assert n_heads * 39 == len(words)
    assert not any(one.overlaps(other) for one, other in itertools.combinations(words, 2))
    box = display.figure_.bbox
    inside = [box.y0 <= word.y0 and word.y1 <= box.y1 and box.x0 <= word.x0 for word in words]
    assert all(inside)


def test_words_keep_their_boxes_when_the_picture_shrinks():
    display = TokenAttentionDisplay.from_weights(make_shares(1, 5, 5), list("abcde"), query=2)
    display.figure_.set_size_inches(1.5, 1)
    display.figure_.canvas.draw()
    for word, box in zip(display.words_[0], display.boxes_[0], strict=True):
        inner, outer = word.get_window_extent(), box.get_window_extent()
        assert outer.x0 <= inner.x0 and inner.x1 <= outer.x1


def test_each_head_has_a_text_of_its_own_on_one_scale():
    weights = make_shares(3, 5, 5)
    display = TokenAttentionDisplay.from_weights(weights, list("abcde"), query="d")
    np.testing.assert_array_equal(display.weights, weights[:, 3])
    tops = [boxes[0].get_y() for boxes in display.boxes_]
    assert ["head 0", "head 1", "head 2"] == display.titles and tops == sorted(tops, reverse=True)
    assert display.colorbar_.vmax == weights[:, 3].max()


def test_words_come_from_the_pipeline():
    texts = ["not bad, good", "good", "bad not", "not good: bad"]
    model = make_pipeline(TokenSequencer(), SelfAttentionClassifier(**SMALL | {"categorical_features": "all"}))
    model.fit(texts, [0, 1, 0, 1])
    display = TokenAttentionDisplay.from_estimator(model, texts, query="good", head=1)
    expected = model[-1].attention_weights(model[0].transform(texts[:1]))[0][1, 2]
    np.testing.assert_allclose(display.weights[0], expected, rtol=1e-6)
    assert (["not", "bad", "good"], 2) == (display.tokens, display.query)


def test_steps_without_words_are_numbered_and_may_be_named():
    X = make_ragged()
    model = fitted(SelfAttentionClassifier(**SMALL), X)
    assert "10" == TokenAttentionDisplay.from_estimator(model, X, query=-1).tokens[-1]
    named = TokenAttentionDisplay.from_estimator(model, X, query="k", tokens=list("abcdefghijk"), average=True)
    assert (10, (1, 11)) == (named.query, named.weights.shape)
    with pytest.raises(ValueError, match="There are 2 tokens for 11 steps"):
        TokenAttentionDisplay.from_estimator(model, X, query=0, tokens=["a", "b"])


def test_axes_that_are_given_are_drawn_in():
    figure, (_, right) = plt.subplots(1, 2)
    display = TokenAttentionDisplay([1.0], ["one"], query=0).plot(right, colorbar=False, arc_kw={"alpha": 1})
    assert display.ax_ is right and display.figure_ is figure and display.colorbar_ is None


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((np.ones((2, 3, 3)), list("abc")), r"weights have shape \(2, 3, 3\); pass those of one query"),
        (([0.5, 0.5], list("abc")), "There are 3 tokens for 2 weights"),
        (([0.5, -0.5], list("ab")), "negative"),
    ],
)
def test_weights_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        TokenAttentionDisplay(*arguments, query=0)


def test_what_else_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="There are 2 titles for 1 heads"):
        TokenAttentionDisplay([1.0], ["one"], query=0, titles=["a", "b"])
    with pytest.raises(ValueError, match="query=3 is none of the 2 tokens"):
        TokenAttentionDisplay([0.5, 0.5], ["a", "b"], query=3)
    with pytest.raises(ValueError, match="Maps have 2 rows and 3 columns; pass square ones"):
        TokenAttentionDisplay.from_weights(make_shares(2, 3), list("abc"), query=0)
    with pytest.raises(ValueError, match="There are 2 tokens for 3 columns"):
        TokenAttentionDisplay.from_weights(make_shares(3, 3), list("ab"), query=0)
    with pytest.raises(ValueError, match="width=0 has no room"):
        TokenAttentionDisplay([1.0], ["one"], query=0).plot(width=0)
