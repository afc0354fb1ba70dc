"""`RandomConvolutionTokens`: scikit-learn's checks, pipelines, files, and the stem of the estimators."""

import pickle

import numpy as np
import pytest
from problems import make_ragged
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_transformer_general, parametrize_with_checks

from skattn import RandomConvolutionTokens, SelfAttentionClassifier
from skattn import tokens as tokens_module

# What these look at is the shape or the dtype of a table, and tokens are a ragged list.
OF_TABLES = {"check_transformer_data_not_an_array", "check_transformer_general", "check_transformer_preserve_dtypes"}


def ragged(lengths=(30, 100, 130), n_features=2, dtype=np.float64):
    """Sequences of some lengths."""
    return [np.random.default_rng(n).normal(size=(n, n_features)).astype(dtype) for n in lengths]


@parametrize_with_checks([RandomConvolutionTokens(n_kernels=16)])
def test_scikit_learns_checks_pass(estimator, check):
    if getattr(check, "func", check).__name__ in OF_TABLES:
        with pytest.raises(AttributeError, match="'list' object has no attribute"):
            check(estimator)
    else:
        check(estimator)


def test_the_checks_that_fail_are_those_of_tables():
    with pytest.raises(AttributeError, match="'list' object has no attribute"):
        check_transformer_general("RandomConvolutionTokens", RandomConvolutionTokens(n_kernels=16))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_sequence_becomes_a_token_every_few_steps(dtype):
    transformer = RandomConvolutionTokens(n_kernels=20, n_tokens=10, random_state=0)
    tokens = transformer.fit_transform(ragged(dtype=dtype))
    assert transformer.stride_ == 10
    assert transformer.n_features_out_ == 32 + 8 * 6
    assert [sequence.shape for sequence in tokens] == [(3, 80), (10, 80), (13, 80)]
    assert all(sequence.dtype == dtype for sequence in tokens)


def test_ragged_padded_and_alone_give_equal_bits():
    X = ragged()
    transformer = RandomConvolutionTokens(n_kernels=16, random_state=0).fit(X)
    padded = np.full((3, 140, 2), np.nan)
    for row, sequence in zip(padded, X, strict=True):
        row[: len(sequence)] = sequence
    alone = [transformer.transform([sequence])[0] for sequence in X]
    for expected, *others in zip(transformer.transform(X), transformer.transform(padded), alone, strict=True):
        for other in others:
            np.testing.assert_array_equal(other, expected)


def test_weighting_is_repeating():
    X, counts = ragged(range(5, 25)), np.arange(20) % 3
    transformer = RandomConvolutionTokens(n_kernels=16, random_state=0)
    weighted = clone(transformer).fit(X, sample_weight=counts).transform(X)
    repeated = clone(transformer).fit([X[i] for i in np.repeat(np.arange(20), counts)]).transform(X)
    for a, b in zip(weighted, repeated, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-8)


def test_causal_tokens_do_not_look_ahead():
    X = ragged([60])
    transformer = RandomConvolutionTokens(n_kernels=16, n_tokens=20, causal=True, random_state=0).fit(X)
    longer = [np.concatenate([X[0], X[0] * 3])]
    np.testing.assert_array_equal(transformer.transform(longer)[0][:20], transformer.transform(X)[0])


def test_competing_kernels_tell_who_responds_the_most_and_not_how_much():
    X = ragged([60, 41])
    transformer = RandomConvolutionTokens(n_kernels=16, n_tokens=10, competing=True, random_state=0).fit(X)
    tokens = np.concatenate(transformer.transform(X))
    assert len(np.unique(tokens[:, 0])) <= transformer.stride_ + 2, "a count of steps, in tokens of one length or two"
    plain = clone(transformer).set_params(competing=False).fit(X)
    assert len(np.unique(np.concatenate(plain.transform(X))[:, 0])) == len(tokens)


def test_any_estimator_of_sequences_goes_on_with_tokens():
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(40, 50, 1)), np.arange(40) % 2
    X[y == 1, 20:26] += 3
    model = make_pipeline(
        RandomConvolutionTokens(n_kernels=32, n_tokens=10, random_state=0),
        SelfAttentionClassifier(embedding="linear", n_estimators=1, max_iter=30, random_state=0),
    )
    assert model.fit(X, y).score(X, y) == 1


def test_a_pickled_one_gives_equal_bits_and_damage_is_refused():
    X = ragged()
    transformer = RandomConvolutionTokens(n_kernels=16, random_state=0).fit(X)
    copied = pickle.loads(pickle.dumps(transformer))
    for a, b in zip(copied.transform(X), transformer.transform(X), strict=True):
        np.testing.assert_array_equal(a, b)
    for name, value in (("slope", np.zeros(0)), ("slope", None), ("n_dilations", 0)):
        state = transformer.__getstate__()
        state["_stem"] = {**state["_stem"], name: value}
        with pytest.raises(ValueError, match="damaged"):
            RandomConvolutionTokens.__new__(RandomConvolutionTokens).__setstate__(state)


def test_an_unfitted_one_can_be_pickled_and_says_so():
    copied = pickle.loads(pickle.dumps(RandomConvolutionTokens(n_kernels=16)))
    with pytest.raises(NotFittedError):
        copied.transform(ragged())


@pytest.mark.parametrize(
    ("parameters", "found"),
    [({"n_kernels": 0}, "n_kernels"), ({"n_tokens": 0}, "n_tokens"), ({"dtype": "f2"}, "dtype")],
)
def test_parameters_out_of_range_are_refused_by_name(parameters, found):
    with pytest.raises(ValueError, match=found):
        RandomConvolutionTokens(**parameters).fit(ragged())


def test_a_refused_fit_leaves_what_was_there():
    X = ragged()
    transformer = RandomConvolutionTokens(n_kernels=16, random_state=0).fit(X)
    expected = transformer.transform(X)
    with pytest.raises(ValueError, match="weights are zero"):
        transformer.fit(X, sample_weight=[0, 0, 0])
    for a, b in zip(transformer.transform(X), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_more_tokens_than_memory_holds_are_refused(monkeypatch):
    transformer = RandomConvolutionTokens(n_kernels=16, random_state=0).fit(ragged())
    monkeypatch.setattr("skattn.tokens.memory", lambda: 1000.0)
    with pytest.raises(ValueError, match="3 sequences take .* GiB, and this machine has .*a part of them at a time"):
        transformer.transform(ragged())


def test_repeating_is_weighting_for_the_number_of_kernels_too():
    X = make_ragged(n_samples=5)
    one = RandomConvolutionTokens(random_state=0).fit(X, sample_weight=np.full(5, 3.0))
    three = RandomConvolutionTokens(random_state=0).fit(X * 3)
    assert one.n_features_out_ == three.n_features_out_


def test_a_sequence_whose_tokens_memory_cannot_hold_is_refused_before_they_are_made(monkeypatch):
    monkeypatch.setattr(tokens_module, "memory", lambda: 10**6)
    X = [*make_ragged(n_samples=40), np.zeros((10_000, 3))]
    with pytest.raises(
        ValueError, match="tokens of the longest sequence, of 10000 steps, take .* GiB.*lower n_kernels"
    ):
        RandomConvolutionTokens(random_state=0).fit(X)
