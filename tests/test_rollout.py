"""Attention followed through the layers."""

import numpy as np
import pytest
from problems import SMALL, fitted, make_ragged, pad
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from test_maps import TOKENS, spread

from skattn import SelfAttentionClassifier, SelfAttentionTransformer
from skattn.inspection import attention_rollout, rollout

X = make_ragged()
THREE = SMALL | {"n_layers": 3, "n_estimators": 2}


@pytest.fixture(scope="module")
def model():
    return fitted(SelfAttentionClassifier(**THREE), X)


@pytest.mark.parametrize("residual", [0, 0.5, 0.3])
@pytest.mark.parametrize("network", [0, -1])
def test_maps_are_mixed_with_the_identity_and_multiplied_upwards(model, network, residual):
    layers = [model.attention_weights(X, layer=layer, network=network) for layer in range(3)]
    found = attention_rollout(model, X, network=network, residual=residual)
    for number, steps in enumerate(X):
        expected = np.eye(len(steps))
        for layer in range(3):
            mixed = residual * np.eye(len(steps)) + (1 - residual) * layers[layer][number].mean(axis=0)
            expected = mixed @ expected
        np.testing.assert_allclose(found[number], expected, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(found[number].sum(axis=1), 1, rtol=1e-5)


def test_where_all_goes_past_attention_each_step_is_its_own(model):
    for found in attention_rollout(model, X, residual=1):
        np.testing.assert_allclose(found, np.eye(len(found)), atol=1e-7)


@pytest.mark.parametrize("form", [name for name in TOKENS if "between" not in name and "of a step" not in name])
def test_tokens_are_spread_over_their_steps_in_the_end(form):
    model = fitted(SelfAttentionTransformer(**SMALL | {"n_layers": 2} | TOKENS[form]), X)
    of_tokens, of_steps = attention_rollout(model, X), attention_rollout(model, X, over="steps")
    for steps, tokens, found, spans in zip(X, of_tokens, of_steps, model.token_spans(X), strict=True):
        assert (len(spans), len(spans)) == tokens.shape
        expected = spread(tokens.astype(np.float64), spans.tolist(), len(steps))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


def test_padded_sequences_are_followed_alike(model):
    for ragged, padded in zip(attention_rollout(model, X), attention_rollout(model, pad(X)), strict=True):
        np.testing.assert_array_equal(ragged, padded)


@pytest.mark.parametrize("residual", [-0.1, 1.5, "half", None, True, np.nan])
def test_shares_that_are_none_are_refused(model, residual):
    with pytest.raises(ValueError, match="residual=.*; give a share from 0 to 1"):
        attention_rollout(model, X, residual=residual)


def test_other_networks_and_axes_are_refused(model):
    with pytest.raises(ValueError, match="network=2 is none of the 2 networks"):
        attention_rollout(model, X, network=2)
    with pytest.raises(ValueError, match="over='patches'; rollouts are over 'tokens' or 'steps'"):
        attention_rollout(model, X, over="patches")


def test_models_without_attention_are_refused():
    with pytest.raises(TypeError, match="model is Ridge.., and a fitted SelfAttentionTransformer"):
        attention_rollout(Ridge(), X)
    with pytest.raises(NotFittedError):
        attention_rollout(SelfAttentionClassifier(), X)


def test_what_memory_cannot_hold_is_refused_with_its_size(model, monkeypatch):
    monkeypatch.setattr(rollout, "memory", lambda: 1000)
    with pytest.raises(ValueError, match="rollouts of 23 sequences of up to 11 steps need .* GiB, .* pass fewer"):
        attention_rollout(model, X)
