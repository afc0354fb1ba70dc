"""Pictures of maps: what is drawn is what is computed, at its place, under its name."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from pictures import _closed, labels_of, touching  # noqa: F401
from problems import SMALL, fitted, make_ragged

from skattn import SelfAttentionClassifier
from skattn.inspection import AttentionDisplay

X = make_ragged()


@pytest.fixture(scope="module")
def model():
    """Two layers of two heads."""
    return fitted(SelfAttentionClassifier(**SMALL | {"n_layers": 2}), X)


def make_maps(*shape):
    """Shares that sum to 1 in rows."""
    return np.random.default_rng(0).dirichlet(np.full(shape[-1], 0.3), size=shape[:-1])


def test_one_map_is_drawn_as_it_is(model):
    display = AttentionDisplay.from_estimator(model, X, sequence=3, layer=0, head=1)
    expected = model.attention_weights(X, layer=0)[3][1]
    np.testing.assert_allclose(display.im_.get_array(), expected, rtol=1e-6)
    assert "What each step attends to: layer 0, head 1" == display.ax_.get_title(loc="left")
    assert ("To step", "From step") == (display.ax_.get_xlabel(), display.ax_.get_ylabel())
    assert "Share of attention" == display.colorbar_.ax.get_ylabel()
    assert display.figure_ is display.ax_.figure


def test_a_row_a_layer_and_a_column_a_head_on_one_scale(model):
    display = AttentionDisplay.from_estimator(model, X, layer=None)
    assert (2, 2) == display.axes_.shape
    assert ["layer 0, head 0", "layer 0, head 1", "layer 1, head 0", "layer 1, head 1"] == [
        ax.get_title(loc="left") for ax in display.axes_.flat
    ]
    assert 1 == len({image.get_clim() for image in display.images_})
    for layer in range(2):
        for image, weights in zip(display.images_[2 * layer :], model.attention_weights(X[:1], layer=layer)[0]):  # noqa: B905
            np.testing.assert_allclose(image.get_array(), weights, rtol=1e-6)


def test_layers_may_have_different_numbers_of_heads():
    display = AttentionDisplay.from_weights([make_maps(3, 5, 5), make_maps(1, 5, 5)])
    assert [[True, True, True], [True, False, False]] == [[ax.get_visible() for ax in row] for row in display.axes_]
    # The lowest of each column says what its steps are.
    assert ["To step", "To step"] == [display.axes_[1, 0].get_xlabel(), display.axes_[0, 2].get_xlabel()]


@pytest.mark.parametrize("n_heads, shape", [(1, (1, 1)), (3, (1, 3)), (7, (2, 4))])
def test_heads_of_one_layer_stand_in_rows_of_four(n_heads, shape):
    assert shape == AttentionDisplay.from_weights(make_maps(n_heads, 3, 3)).axes_.shape


def test_long_maps_are_blocks_and_the_bar_says_so():
    weights = make_maps(53, 53)
    display = AttentionDisplay.from_weights(weights, most_cells=10)
    found = display.im_.get_array()
    assert (9, 9) == found.shape and display.block_size_ == 6
    assert found[1, 2] == pytest.approx(weights[6:12, 12:18].sum(axis=1).mean())
    assert "Share of attention, blocks of 6 steps" == display.colorbar_.ax.get_ylabel()
    # Cells stand at their steps, and the last block ends where the sequence does.
    assert ((-0.5, 53.5, 53.5, -0.5), (-0.5, 52.5)) == (tuple(display.im_.get_extent()), display.ax_.get_xlim())


@pytest.mark.filterwarnings("ignore:Glyph", "ignore:constrained_layout not applied")
@pytest.mark.parametrize("n_steps, n_heads", [(1, 1), (3, 1), (31, 1), (500, 1), (3, 4), (31, 4)])
@pytest.mark.parametrize("share", [1, 0.75])
def test_labels_never_touch(n_steps, n_heads, share):
    words = [["the", "Donaudampfschifffahrtsgesellschaft", "日本語"][number % 3] for number in range(n_steps)]
    display = AttentionDisplay.from_weights(make_maps(n_heads, n_steps, n_steps), labels=words, unit="word")
    display.figure_.set_size_inches(display.figure_.get_size_inches() * share)
    assert labels_of(display.figure_) and touching(display.figure_) == []


@pytest.mark.parametrize("n_steps", [1, 3, 31, 500])
def test_labels_of_steps_do_not_touch_in_stamps_either(n_steps):
    figure, ax = plt.subplots(figsize=(1.5, 1.5))
    AttentionDisplay.from_weights(make_maps(n_steps, n_steps), ax=ax)
    assert touching(figure, names=False) == []


def test_shares_are_written_into_few_cells_only():
    display = AttentionDisplay.from_weights([[0.999, 0.001], [0.25, 0.75]])
    assert ["1.00", ".25", ".75"] == [text.get_text() for text in display.ax_.texts]
    assert not AttentionDisplay.from_weights(make_maps(13, 13)).ax_.texts
    assert not AttentionDisplay.from_weights(make_maps(2, 3, 3)).ax_.texts
    assert AttentionDisplay.from_weights(make_maps(13, 13), values=True, text_kw={"color": "red"}).ax_.texts
    assert not AttentionDisplay.from_weights(make_maps(3, 3), values=False, colorbar=False).ax_.texts


def test_axes_that_are_given_are_drawn_in():
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
    one = AttentionDisplay.from_weights(make_maps(3, 3), ax=left)
    assert one.ax_ is left and one.figure_ is figure
    heads = AttentionDisplay.from_weights(make_maps(4, 3, 3), ax=right)
    assert heads.figure_ is figure and not right.axison
    # As large as they get where the place is a square.
    assert (2, 2) == heads.axes_.shape


def test_keywords_reach_the_image():
    display = AttentionDisplay.from_weights(make_maps(3, 3), im_kw={"cmap": "Greys", "vmax": 1})
    assert ("Greys", 1) == (display.im_.get_cmap().name, display.im_.get_clim()[1])


def test_some_steps_attend_and_keep_their_labels(model):
    words = [f"w{step}" for step in range(11)]
    display = AttentionDisplay.from_estimator(model, X, steps=[4, 7], labels=words)
    assert (["w4", "w7"], words) == (display.query_labels, display.labels)
    assert ["4", "7"] == AttentionDisplay.from_estimator(model, X, steps=[4, 7]).query_labels
    oblong = AttentionDisplay.from_weights(make_maps(2, 5), labels=list("abcde"), query_labels=["x", "y"])
    assert {"x", "y"} < set(labels_of(oblong.figure_))


def test_padded_sequences_look_like_those_that_are_not(model):
    padded = np.full((1, 11, 3), np.nan)
    padded[0, : len(X[4])] = X[4]
    plain, other = (AttentionDisplay.from_estimator(model, given, sequence=0) for given in ([X[4]], padded))
    np.testing.assert_array_equal(plain.im_.get_array(), other.im_.get_array())


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"labels": list("ab")}, "There are 2 labels for 3 words that are attended to"),
        ({"query_labels": list("ab")}, "There are 2 query_labels for 3 words that attend"),
        ({"titles": ["one", "two"]}, "There are 2 titles for 1 maps"),
        ({"most_cells": 0}, "most_cells=0 leaves no cell"),
    ],
)
def test_what_does_not_fit_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        AttentionDisplay.from_weights(make_maps(3, 3), unit="word", **wrong)


def test_nothing_is_computed_for_what_cannot_be_drawn(model, monkeypatch):
    monkeypatch.setattr(type(model), "attention_weights", None)
    with pytest.raises(TypeError, match="AttentionDisplay.plot has no argument 'colour'"):
        AttentionDisplay.from_estimator(model, X, colour=1)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="AttentionDisplay draws with matplotlib"):
        AttentionDisplay.from_estimator(model, X)
