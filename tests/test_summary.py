"""A summary counts what is there: against the arrays themselves, and against pairs counted one by one."""

import numpy as np
import pytest
from problems import SMALL, STEMS, TOLD, make_ragged, make_told
from sklearn.exceptions import NotFittedError

from skattn import SelfAttentionClassifier
from skattn._kernels.head import bound
from skattn._network.counting import count_pairs
from skattn.inspection import prune_heads

X = make_ragged()
CLASSES = np.arange(len(X)) % 3


@pytest.mark.parametrize("name", ["plain", "stems", *TOLD])
def test_parameters_are_those_that_there_are(name):
    settings = SMALL | {"plain": {"n_layers": 2, "adapter_rank": 2}, "stems": STEMS}.get(name, TOLD.get(name, {}))
    sequences = make_told(settings) if name in TOLD else X
    model = SelfAttentionClassifier(**settings).fit(sequences, CLASSES)
    summary = model.summary()
    assert summary.n_parameters == sum(weight.size for weight in model.weights_.values())
    of_one = sum(operation.n_parameters for operation in summary.operations)
    assert of_one * summary.n_networks == summary.n_parameters


def test_multiplications_by_hand():
    """Width 14, two heads, a hidden layer of 17, three features, three classes, seven steps."""
    summary = SelfAttentionClassifier(**SMALL).fit(X, CLASSES).summary(7)
    of_layer = 7 * (4 * 14 * 14 + 2 * 14 * 17) + 2 * 49 * (7 + 7)
    assert summary.n_multiplications == 7 * 3 * 14 + of_layer + 14 * 3
    shapes = {(operation.part, operation.kind): operation.shape for operation in summary.operations}
    assert shapes[("layers.0.expand", "linear")] == (7, 17) and shapes[("head", "linear")] == (1, 3)


def test_a_stem_is_counted_with_its_fixed_kernels():
    model = SelfAttentionClassifier(**STEMS | {"n_tokens": 4}).fit(X, CLASSES)
    summary, n_tokens = model.summary(11), len(model.token_spans(X[:1])[0])
    stem, embedding = summary.operations[:2]
    assert (stem.part, stem.n_parameters, stem.shape[0]) == ("stem", 0, n_tokens)
    assert (
        embedding.n_multiplications == n_tokens * stem.shape[1] * 14 and summary.n_fixed > 0 and summary.n_networks == 2
    )
    assert "2 networks like this one" in str(summary) and "fixed numbers" in str(summary)


FEWER = {"attention": "linear"}, {"top_k": 2}, {"window": 3}, {"patch_size": 3}


@pytest.mark.parametrize("settings", [*FEWER, {"pooling": "attention", "n_pooling_queries": 2}])
def test_other_forms_take_less_or_more(settings):
    plain, other = (SelfAttentionClassifier(**SMALL | each).fit(X, CLASSES).summary(101) for each in ({}, settings))
    assert (other.n_multiplications > plain.n_multiplications) == ("pooling" in settings)


def test_multiplications_of_linear_attention_and_of_the_best_keys_by_hand():
    """Seven steps, two heads of width 7: sums of 7 by 8 numbers, made and read; values of two keys a query alone."""
    plain, linear, best = (
        SelfAttentionClassifier(**SMALL | each).fit(X, CLASSES).summary(7).n_multiplications
        for each in ({}, {"attention": "linear"}, {"top_k": 2})
    )
    of_scores = of_values = 2 * 49 * 7
    assert linear - (plain - of_scores - of_values) == 2 * 2 * 7 * 7 * 8
    assert best - (plain - of_values) == 2 * 7 * 2 * 7


@pytest.mark.parametrize("window", [(None, None), (None, 0), (3, 2), (9, 0), (0, 0)])
@pytest.mark.parametrize("dilation, n_global", [(1, 0), (2, 0), (3, 2), (1, 40)])
def test_pairs_are_those_that_attention_meets(window, dilation, n_global):
    left, right = (bound(side) for side in window)
    i, j = np.arange(23)[:, np.newaxis], np.arange(23)
    near = (j >= i - left) & (j <= i + right) & ((j - i) % dilation == 0)
    seen = near | (((i < n_global) | (j < n_global)) & ((j <= i) | (window[1] != 0)))
    assert count_pairs(23, left, right, dilation, n_global) == seen.sum()


def test_silencing_pruning_and_summary_agree():
    model = SelfAttentionClassifier(**SMALL).fit(X, CLASSES)
    whole, smaller = model.summary(7), prune_heads(model, [(0, 1)]).summary(7)
    # A head's columns of query (with a bias), key and value, and its rows of the output.
    assert whole.n_parameters - smaller.n_parameters == 14 * 7 * 4 + 7
    assert whole.n_multiplications - smaller.n_multiplications == 7 * 14 * 7 * 4 + 49 * 14


def test_it_is_shown_as_a_table():
    model = SelfAttentionClassifier(**SMALL)
    assert "What was learned" not in model._repr_html_()
    model.fit(X, CLASSES)
    summary = model.summary()
    text, html = str(summary), summary._repr_html_()
    assert summary.n_steps == 11 and repr(summary) == text
    assert text.splitlines()[0].split() == ["part", "operation", "gives", "parameters", "multiplications"]
    assert "layers.0.query" in text and f"{summary.n_parameters:,} parameters" in text
    assert html.count("<tr>") == len(summary.operations) + 1
    assert html in model._repr_html_() and html in model._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize("n_steps", [0, -1, 2.5, True, "all"])
def test_no_number_of_steps_is_refused(n_steps):
    model = SelfAttentionClassifier(**SMALL).fit(X, CLASSES)
    with pytest.raises(ValueError, match=f"n_steps={n_steps!r}; give a whole number from 1 on"):
        model.summary(n_steps)
    with pytest.raises(NotFittedError):
        SelfAttentionClassifier().summary()
