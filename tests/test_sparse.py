"""What steps see of each other, in estimators: maps, learning, persistence, bad input."""

import pickle

import numpy as np
import pytest
import reference
from problems import SMALL, fitted, make_ragged, target_of

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer

X = make_ragged()
LABELS = target_of(SelfAttentionClassifier(), X)
FORMS = {
    "dilated": {"window": (6, 3), "dilation": 3},
    "global": {"window": 1, "n_global_steps": 2},
    "global, causal": {"window": 1, "n_global_steps": 2, "causal": True},
    "top": {"top_k": 2},
    "linear": {"attention": "linear"},
    "linear, causal": {"attention": "linear", "causal": True},
}


@pytest.fixture(params=FORMS.values(), ids=FORMS)
def form(request):
    """Parameters of a form."""
    return request.param


@pytest.mark.parametrize("kind", [SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer])
def test_maps_show_what_is_seen(kind, form):
    model = fitted(kind(**SMALL | form), X)
    for steps, weights in zip(X, model.attention_weights(X), strict=True):
        n = len(steps)
        np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
        window = form.get("window")
        sides = (window, window) if isinstance(window, int) else window or (None, None)
        sides = (sides[0], 0) if form.get("causal") else sides
        allowed = reference.attends(n, n, sides, form.get("dilation", 1), form.get("n_global_steps", 0))
        if "top_k" in form:
            assert ((weights > 0).sum(axis=-1) == min(n, 2)).all()
        else:
            assert ((weights > 0) == allowed).all()


def test_forms_survive_files_and_go_on(form, tmp_path):
    model = fitted(SelfAttentionClassifier(**SMALL | form), X)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_proba(X), model.predict_proba(X))
    model.save_weights(tmp_path / "model.safetensors")
    other = SelfAttentionClassifier(**SMALL | form).load_weights(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(
        model.partial_fit(X, LABELS).predict_proba(X), copy.partial_fit(X, LABELS).predict_proba(X)
    )


def test_what_came_first_is_found_far_from_the_window():
    """A mark at the first step decides, 200 steps from the last one that is pooled."""
    generator = np.random.default_rng(0)
    sequences, y = generator.normal(size=(120, 200, 1)), np.arange(120) % 2
    sequences[:, 0, 0] = 3 * y - 1.5
    settings = {
        "embedding": "linear",
        "pooling": "last",
        "window": 4,
        "n_estimators": 1,
        "random_state": 0,
        "max_iter": 40,
    }
    far = SelfAttentionClassifier(**settings, n_global_steps=1).fit(sequences[:80], y[:80])
    near = SelfAttentionClassifier(**settings).fit(sequences[:80], y[:80])
    assert far.score(sequences[80:], y[80:]) > 0.8 and near.score(sequences[80:], y[80:]) < 0.7


def test_times_go_with_linear_attention():
    times = [np.column_stack([np.cumsum(np.ones(len(steps))), steps]) for steps in X]
    settings = SMALL | {"position": "auto", "attention": "linear", "time_feature": 0}
    model = SelfAttentionClassifier(**settings).fit(times, LABELS)
    assert model._model.network.architecture.position == "sinusoidal"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"dilation": 2}, "dilation=2 takes one step in 2 of a window, and there is none that ends"),
        ({"dilation": 2, "causal": True}, "there is none that ends"),
        ({"n_global_steps": 3}, "n_global_steps=3 adds steps to what a window leaves"),
        ({"attention": "linear", "window": 3}, "window chooses among the scores"),
        ({"attention": "linear", "top_k": 3}, "top_k chooses among the scores"),
        ({"attention": "linear", "position": "rotary"}, 'position="rotary" counts by what is between two steps'),
        ({"attention": "linear", "position": "alibi"}, "set position to 'learned', 'sinusoidal', 'none' or 'auto'"),
        ({"top_k": 0}, "The 'top_k' parameter"),
        ({"dilation": 0, "window": 3}, "The 'dilation' parameter"),
        ({"n_global_steps": -1, "window": 3}, "The 'n_global_steps' parameter"),
        ({"attention": "relu"}, "The 'attention' parameter"),
    ],
)
def test_what_does_not_go_together_is_refused(parameters, words):
    model = SelfAttentionClassifier(**SMALL | parameters)
    with pytest.raises(ValueError, match=words):
        model.fit(X, LABELS)
    assert not hasattr(model, "classes_")
