"""What "auto" stands for."""

import numpy as np
import pytest
from cases import make_network

from skattn import SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer
from skattn.defaults import (
    _is_binary,
    resolve_batch_size,
    resolve_learning_rate,
    resolve_max_iter,
    resolve_n_kernels,
    resolve_stride,
)
from skattn.sequences import read_sequences

TINY = {"max_iter": 1, "n_estimators": 1, "random_state": 0, "d_model": 8, "n_heads": 2}


def fitted(X, estimator=SelfAttentionClassifier, **parameters):
    """The architecture that a fit on X decides on."""
    y = np.arange(len(X)) % 2
    return estimator(**TINY | parameters).fit(X, y)._model.network.architecture


def read(X):
    """X as networks take it."""
    return read_sequences(X, SelfAttentionClassifier(), reset=True)


def numbers(n_samples=20, n_steps=30, n_features=2):
    return np.random.default_rng(0).normal(size=(n_samples, n_steps, n_features))


@pytest.mark.parametrize("estimator", [SelfAttentionClassifier, SelfAttentionRegressor, SelfAttentionTransformer])
def test_numbers_get_a_stem(estimator):
    assert fitted(numbers(), estimator).n_kernels == 944


def test_tokens_are_dropped_where_that_is_asked_for():
    assert fitted(numbers()).token_dropout == 0
    for embedding in ("linear", "random_convolution"):
        assert fitted(numbers(), embedding=embedding, token_dropout=0.4).token_dropout == 0.4


def test_words_tell_of_dropped_tokens(capsys):
    for share, expected in ((0, "rate 0.001\n"), (0.25, "rate 0.001, token dropout 0.25\n")):
        fitted(numbers(), embedding="linear", token_dropout=share, verbose=1)
        assert expected in capsys.readouterr().out


@pytest.mark.parametrize(
    ("X", "parameters"),
    [
        (np.random.default_rng(0).integers(0, 2, (20, 9, 3)).astype(float), {}),
        (numbers(n_steps=1), {}),
        (numbers(n_features=600, n_steps=3), {}),
        (numbers(), {"embedding": "linear"}),
    ],
)
def test_marks_single_steps_and_very_wide_ones_do_not(X, parameters):
    assert fitted(X, **parameters).n_kernels == 0


def test_steps_from_all_over_the_data_tell_whether_they_are_marks():
    """Of very many sequences a step each is looked at, and rows of images begin blank."""
    X = np.zeros((3000, 28, 28), np.float32)
    assert _is_binary(read(X))
    X[:, 9, 3:7] = 0.5
    assert not _is_binary(read(X))


def test_hidden_steps_are_told_without_a_stem():
    assert fitted(numbers(), SelfAttentionTransformer, objective="reconstruction").n_kernels == 0
    with pytest.raises(ValueError, match='set embedding="linear"'):
        fitted(numbers(), SelfAttentionTransformer, objective="reconstruction", embedding="random_convolution")


def test_what_is_told_of_every_step_gets_no_stem_unless_every_step_has_a_token():
    assert fitted(numbers(), SelfAttentionTransformer, pooling=None).n_kernels == 0
    asked = {"pooling": None, "embedding": "random_convolution"}
    assert fitted(numbers(), SelfAttentionTransformer, n_tokens=30, **asked).stride == 1
    with pytest.raises(ValueError, match='embedding="linear", or n_tokens=30'):
        fitted(numbers(), SelfAttentionTransformer, n_tokens=29, **asked)


@pytest.mark.parametrize(
    ("n_tokens", "stride", "n_rows"), [(64, 1, 30), (30, 1, 30), (29, 2, 15), (7, 5, 6), (1, 30, 1)]
)
def test_tokens_are_as_many_as_asked_for_or_fewer(n_tokens, stride, n_rows):
    architecture = fitted(numbers(), n_tokens=n_tokens)
    assert (architecture.stride, architecture.max_steps) == (stride, n_rows)


@pytest.mark.parametrize(
    ("lengths", "weight", "n_tokens", "stride"),
    [
        ([10, 20, 30], [1, 1, 1], 10, 2),
        ([10, 20, 30], [3, 1, 1], 10, 1),
        ([10, 10, 10, 20, 30], [1, 1, 1, 1, 1], 10, 1),
        ([10, 10, 10, 10, 100], [1, 1, 1, 1, 1], 10, 3),
        ([10, 10, 10, 10, 41], [1, 1, 1, 1, 1], 10, 2),
    ],
)
def test_a_sequence_of_median_length_has_so_many_tokens_and_no_other_four_times_more(lengths, weight, n_tokens, stride):
    lengths, weight = np.array(lengths), np.array(weight, float)
    assert resolve_stride(lengths, weight, int(lengths.max()), n_tokens) == stride


@pytest.mark.parametrize(("given", "found"), [(1, 16), (16, 16), (17, 32), (1000, 1008)])
def test_kernels_come_in_whole_groups(given, found):
    assert fitted(numbers(), n_kernels=given).n_kernels == found


def test_a_first_part_of_the_data_calibrates_no_stem():
    model = SelfAttentionClassifier(**TINY).partial_fit(numbers(), np.arange(20) % 2, classes=[0, 1])
    assert model._model.network.architecture.n_kernels == 0


def test_kernels_grow_with_the_tokens_that_there_are():
    assert [resolve_n_kernels(np.full(n, 10), 1) for n in (1, 40, 5000)] == [64, 544, 1920]


def test_updates_and_batches_follow_the_number_of_samples():
    architecture = fitted(numbers())
    linear = fitted(numbers(), embedding="linear")
    for n_samples, batch, n_updates in (
        (5, 5, 100),
        (24, 8, 400),
        (100, 8, 600),
        (400, 8, 800),
        (1250, 8, 1250),
        (3000, 16, 1500),
    ):
        assert resolve_batch_size("auto", architecture, n_samples) == batch
        epochs = resolve_max_iter("auto", architecture, n_samples, batch)
        assert n_updates <= epochs * -(-n_samples // batch) < n_updates + -(-n_samples // batch)
    assert resolve_batch_size("auto", linear, 50) == 50
    assert resolve_batch_size(7, architecture, 50) == 7
    assert resolve_max_iter(3, architecture, 50, 8) == 3


def test_behind_a_stem_the_rate_follows_the_number_of_samples():
    auto, behind_a_stem = SelfAttentionClassifier(), fitted(numbers())
    rates = [resolve_learning_rate(auto, behind_a_stem, n) for n in (5, 300, 400, 500, 90000)]
    np.testing.assert_allclose(rates, [0.002, 0.002, 0.0025, 0.003, 0.003])
    assert resolve_learning_rate(auto, fitted(numbers(), embedding="linear"), 500) == 0.001
    assert resolve_learning_rate(SelfAttentionClassifier(early_stopping=True), behind_a_stem, 500) == 0.001


def test_labels_are_smoothed_the_more_the_fewer_there_are():
    for n_classes, share in ((2, 0.05), (5, 0.02)):
        model = SelfAttentionClassifier(**TINY).fit(numbers(), np.arange(20) % n_classes)
        assert model._model.network.architecture.label_smoothing == pytest.approx(share)
    several = SelfAttentionClassifier(**TINY).fit(numbers(), np.eye(3, dtype=int)[np.arange(20) % 3])
    assert several._model.network.architecture.label_smoothing == pytest.approx(0.05)
    assert fitted(numbers(), label_smoothing=0.25).label_smoothing == 0.25
    assert fitted(numbers(), early_stopping=True).label_smoothing == 0
    assert fitted(numbers(), early_stopping=True, label_smoothing=0.25).label_smoothing == 0.25
    regressor = SelfAttentionRegressor(**TINY).fit(numbers(), np.arange(20.0))
    assert regressor._model.network.architecture.label_smoothing == 0


def test_smoothed_labels_keep_probabilities_from_certainty():
    parameters = TINY | {"max_iter": 200}
    plain, smoothed = (
        SelfAttentionClassifier(**parameters, label_smoothing=share).fit(numbers(), np.arange(20) % 2)
        for share in (0, 0.3)
    )
    assert smoothed.predict_proba(numbers()).max() < 0.95 < plain.predict_proba(numbers()).max()


def test_what_was_decided_is_told(capsys):
    SelfAttentionClassifier(**TINY | {"verbose": 1, "n_estimators": 2}).fit(numbers(), np.arange(20) % 2)
    told = capsys.readouterr().out
    assert "embedding random_convolution" in told
    assert "up to 30 tokens of 1 step," in told
    assert "network 2 of 2" in told


@pytest.mark.parametrize(
    ("changes", "given", "rate"),
    [({}, "auto", 0.001), ({"categories": ((1, 4),)}, "auto", 0.001), ({}, 0.1, 0.1)]
    + [({"adapter_rank": 2}, "auto", 0.001), ({"adapter_rank": 2, "frozen": ("embedding.weight",)}, "auto", 0.01)]
    + [({"categories": ((0, 5), (1, 1), (2, 3))}, given, rate) for given, rate in (("auto", 0.003), (0.001, 0.001))],
)
def test_codes_alone_and_adapters_are_learned_at_a_higher_rate(changes, given, rate):
    estimator = SelfAttentionClassifier(learning_rate_init=given)
    assert resolve_learning_rate(estimator, make_network(**changes).architecture, 700) == rate


def patched(**parameters):
    """A small classifier of patches."""
    return SelfAttentionClassifier(**TINY | {"max_iter": 3} | parameters)


@pytest.mark.parametrize(("size", "stride", "n_tokens", "last"), [(7, None, 5, [28, 30]), (5, 2, 15, [28, 30])])
def test_patches_make_tokens_of_steps(size, stride, n_tokens, last):
    X = [steps[: 30 - i] for i, steps in enumerate(numbers())]
    model = patched(patch_size=size, patch_stride=stride).fit(X, np.arange(20) % 2)
    assert model._model.network.architecture.max_steps == n_tokens
    assert model.attention_weights(X)[0].shape == (2, n_tokens, n_tokens)
    np.testing.assert_array_equal(model.token_spans(X)[0][-1], last)
    alone = np.concatenate([model.predict_proba([steps]) for steps in X])
    np.testing.assert_array_equal(alone, model.predict_proba(X))


def test_verbose_says_how_many_patches(capsys):
    patched(patch_size=7, verbose=1).fit(numbers(), np.arange(20) % 2)
    assert "embedding linear: up to 5 patches of 7 steps of 2 features" in capsys.readouterr().out


def test_patches_of_one_step_are_steps():
    y = np.arange(20) % 2
    assert patched(patch_size=1).fit(numbers(), y)._model.network.architecture.patch_size == 0
    assert patched(patch_size=1, patch_stride=2).fit(numbers(), y)._model.network.architecture.stride == 2


def test_steps_that_no_patch_reads_are_warned_of():
    with pytest.warns(UserWarning, match="patch_stride=5 is more than patch_size=3, so 2 of 5 steps are read by no"):
        patched(patch_size=3, patch_stride=5).fit(numbers(), np.arange(20) % 2)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"patch_size": 3, "embedding": "random_convolution"}, "makes tokens of its own, and patch_size=3"),
        ({"patch_size": 3, "pooling": None}, "makes 10 tokens of 30 steps, and pooling=None"),
        ({"patch_size": 3, "objective": "reconstruction"}, 'set embedding="linear" and patch_size=1'),
        ({"embedding": "convolution", "objective": "reconstruction"}, "reconstruction tells hidden steps"),
    ],
)
def test_patches_that_cannot_be_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        SelfAttentionTransformer(**TINY | parameters).fit(numbers(), np.arange(20) % 2)


@pytest.mark.parametrize("embedding", ["linear", "convolution"])
def test_going_on_keeps_patches_and_convolutions(embedding):
    y = np.arange(20) % 2
    model = patched(patch_size=4, embedding=embedding).partial_fit(numbers(), y, classes=[0, 1])
    before = model.weights_["patch.weight"].copy()
    model.partial_fit(numbers(), y)
    assert (model.weights_["patch.weight"] != before).any()
    with pytest.raises(ValueError, match="the number of steps that embedding convolves is . now"):
        model.set_params(embedding="convolution" if embedding == "linear" else "linear").partial_fit(numbers(), y)
    with pytest.raises(ValueError, match="patch_size|stride"):
        model.set_params(embedding=embedding, patch_size=5).partial_fit(numbers(), y)


def test_what_is_told_of_tokens_and_epochs_is_so(capsys):
    generator = np.random.default_rng(0)
    X = [generator.normal(size=(20, 1)) for _ in range(60)] + [generator.normal(size=(500, 1))]
    options = TINY | {"embedding": "random_convolution", "n_kernels": 16, "verbose": 1, "n_estimators": 1}
    model = SelfAttentionClassifier(**options).fit(X, np.arange(61) % 2)
    told = capsys.readouterr().out
    assert f"up to {len(model.token_spans(X[-1:])[0])} tokens" in told
    SelfAttentionClassifier(**options).partial_fit(X, np.arange(61) % 2, classes=[0, 1])
    assert "at most 1 epoch in batches" in capsys.readouterr().out


def test_marks_with_gaps_are_marks():
    generator = np.random.default_rng(0)
    X = [(generator.random((8, 3)) < 0.5).astype(float) for _ in range(30)]
    X[3][2, 1] = np.nan
    model = SelfAttentionClassifier(**TINY, handle_missing="mask").fit(X, np.arange(30) % 2)
    assert model._model.network.architecture.n_kernels == 0
