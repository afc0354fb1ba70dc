"""The stem of random convolutions: its tokens against the reference, calibration by weights, and the network behind."""

import pickle

import numpy as np
import pytest
import reference
from cases import LENGTHS, make_batch, make_network, make_stem, make_target, sequences, take
from slopes import Problem, assert_gradient_is_the_slope

from skattn._network.network import Network
from skattn._network.stem_learning import learn_stem, measure_columns

STEM = {"n_kernels": 48, "stride": 3}
CASES = {
    "stem": {},
    "causal": {"window": (None, 0)},
    "a step a token": {"stride": 1},
    "long tokens": {"stride": 17},
    "one feature": {"n_features": 1},
    "competing": {"competes": True, "n_features": 2},
    "competing, causal": {"competes": True, "window": (None, 0), "stride": 5},
    "many features": {"n_features": 23},
    "so many features that the window is shorter": {"n_features": 197},
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def changes(request):
    """How an architecture differs from the base with a stem."""
    return STEM | request.param


def of_samples(tokens):
    """Each sample's own tokens."""
    return np.split(tokens.values, np.cumsum(tokens.lengths)[:-1])


def expected_tokens(network, batch):
    """What the reference makes of each sample."""
    return [reference.tokens(s.astype(np.float64), network.mean, network.scale, network.stem) for s in sequences(batch)]


@pytest.mark.parametrize("lengths", [LENGTHS, (300, 523, 1)])
def test_tokens_agree_with_the_reference(changes, lengths):
    network = make_network(**changes)
    batch = make_batch(lengths, network.architecture.n_features)
    for found, expected in zip(of_samples(network.tokens(batch)), expected_tokens(network, batch), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_float32_tokens_err_by_rounding_only(changes):
    network = make_network(np.float32, **changes)
    batch = make_batch((7, 131), network.architecture.n_features, np.float32)
    for found, expected in zip(of_samples(network.tokens(batch)), expected_tokens(network, batch), strict=True):
        # Where two kernels respond all but alike, rounding decides which of them wins.
        is_far = np.abs(found - expected) > 2e-4 * np.abs(expected).max()
        assert is_far.mean() <= (0.005 if network.stem.competes else 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tokens_have_equal_bits_alone_padded_and_for_any_number_of_threads(changes, dtype):
    network = make_network(dtype, **changes)
    n_features = network.architecture.n_features
    lengths = (*LENGTHS, 300, 523)
    plain, padded = (make_batch(lengths, n_features, dtype, gap=gap) for gap in (0, 5))
    together = network.tokens(plain, n_jobs=1)
    for n_jobs in (2, 3):
        np.testing.assert_array_equal(network.tokens(padded, n_jobs=n_jobs).values, together.values)
    for i, expected in enumerate(of_samples(together)):
        np.testing.assert_array_equal(network.tokens(take(plain, [i])).values, expected)


def test_values_of_either_precision_are_read(changes):
    network = make_network(**changes)
    batch = make_batch(n_features=network.architecture.n_features, dtype=np.float32)
    expected = network.tokens(batch).values
    batch.values = batch.values.astype(np.float64)
    np.testing.assert_array_equal(network.tokens(batch).values, expected)


def test_where_kernels_compete_no_scale_counts():
    network, batch = make_network(competes=True, **STEM), make_batch((131, 17))
    before = network.tokens(batch).values[:, :48]
    assert len(np.unique(before[:, 0])) > 2
    network.stem.weights[...] *= 16.0
    np.testing.assert_array_equal(network.tokens(batch).values[:, :48], before)


def test_no_kernel_wins_where_nothing_stirs():
    network, batch = make_network(competes=True, **STEM), make_batch((150,))
    batch.values[60:] = batch.values[60]
    shares = network.tokens(batch).values[:, :48] / network.stem.feature_scale[:48] + network.stem.feature_mean[:48]
    of_runs = shares.reshape(50, 6, 8).sum(axis=-1)
    assert of_runs[:18].mean() > 0.9
    np.testing.assert_allclose(of_runs[27:40], 0, atol=1e-9)


def test_causal_tokens_do_not_look_ahead():
    network = make_network(window=(None, 0), **STEM)
    batch = make_batch([41])
    before = network.tokens(batch).values
    batch.values[24:] += 7
    after = network.tokens(batch).values
    np.testing.assert_array_equal(after[:8], before[:8])
    assert np.all(np.any(after[8:] != before[8:], axis=1))


def test_other_tokens_look_both_ways():
    network = make_network(**STEM)
    batch = make_batch([41])
    before = network.tokens(batch).values
    batch.values[24:] += 7
    assert np.any(network.tokens(batch).values[7] != before[7])


@pytest.mark.parametrize("largest", [1e30, -1e300, np.finfo(np.float64).max])
def test_tokens_of_extreme_values_are_finite(largest):
    network = make_network(**STEM)
    batch = make_batch([31, 32])
    batch.values[5] = largest
    assert np.isfinite(network.tokens(batch).values).all()


def stem_of(batch, weight):
    """A stem calibrated on a batch."""
    return learn_stem(
        batch, weight, np.full(3, 0.25), np.ones(3), n_kernels=32, stride=2, is_causal=False,
        seed=3, dtype=np.float64,
    )  # fmt: skip


def test_weighting_a_sequence_is_repeating_it():
    batch, counts = make_batch(), np.arange(len(LENGTHS)) % 3 + 1
    repeated = stem_of(take(batch, np.repeat(np.arange(len(LENGTHS)), counts)), np.ones(counts.sum()))
    weighted = stem_of(batch, counts.astype(float))
    for name, value in vars(weighted).items():
        np.testing.assert_allclose(getattr(repeated, name), value, rtol=1e-9, atol=1e-12, err_msg=name)
    assert any(
        np.any(value != vars(stem_of(batch, np.ones(len(counts))))[name]) for name, value in vars(weighted).items()
    )


def test_features_are_standard_over_the_training_tokens():
    batch = make_batch()
    tokens = stem_of(batch, np.ones(len(LENGTHS))).tokens(batch, np.full(3, 0.25), np.ones(3)).values
    np.testing.assert_allclose(tokens.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(tokens.std(axis=0), 1, rtol=1e-6)


def test_many_sequences_are_calibrated_on_some():
    batch = make_batch([5] * 300)
    stem = stem_of(batch, np.ones(300))
    assert np.isfinite(stem.tokens(batch, np.zeros(3), np.ones(3)).values).all()
    np.testing.assert_array_equal(stem.slope, stem_of(batch, np.ones(300)).slope)


@pytest.mark.parametrize("n_features", [1, 2])
def test_constant_features_give_tokens_of_zero(n_features):
    batch = make_batch(n_features=n_features)
    batch.values[:] = 3.0
    stem = learn_stem(
        batch, np.ones(len(LENGTHS)), np.full(n_features, 3.0), np.ones(n_features), n_kernels=16, stride=1,
        is_causal=False, seed=0, dtype=np.float64,
    )  # fmt: skip
    np.testing.assert_array_equal(stem.tokens(batch, np.full(n_features, 3.0), np.ones(n_features)).values, 0)


def test_each_kernel_reads_a_channel_and_weighs_to_nothing():
    stem = make_stem(make_network(n_features=23, n_kernels=160))
    assert stem.n_channels.min() >= 1
    np.testing.assert_allclose(stem.weights.sum(axis=2), 0, atol=1e-12)


def test_kept_tokens_and_sequences_give_equal_bits(changes):
    network = make_network(**changes)
    batch = make_batch(n_features=network.architecture.n_features)
    tokens = network.tokens(batch)
    for name in ("outputs", "features", "steps"):
        np.testing.assert_array_equal(network.forward(batch, name), network.forward(tokens, name))
    target = make_target(network.architecture, LENGTHS)
    np.testing.assert_array_equal(network.losses(batch, target), network.losses(tokens, target))


def test_blocks_change_nothing(monkeypatch):
    network, batch = make_network(**STEM), make_batch()
    expected = network.forward(batch, "steps")
    monkeypatch.setattr("skattn._network.stem._BLOCK_BYTES", 1)
    assert len(network.stem.blocks(batch)) > 3
    np.testing.assert_array_equal(network.forward(batch, "steps"), expected)


def test_the_network_takes_tokens_as_steps(changes):
    network = make_network(**changes)
    batch = make_batch(n_features=network.architecture.n_features)
    outputs = network.forward(batch, "outputs")
    for found, tokens in zip(outputs, expected_tokens(network, batch), strict=True):
        expected = reference.forward(network.weights, network.architecture, tokens)["outputs"]
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("embedding_dropout", [0.0, 0.4])
def test_gradient_is_the_slope(embedding_dropout):
    assert_gradient_is_the_slope(
        Problem(embedding_dropout=embedding_dropout, token_dropout=0.3, d_feedforward=13, **STEM)
    )


@pytest.mark.parametrize("lengths", [(31, 32), (1500, 31)])
def test_features_are_dropped_in_blocks_for_a_whole_batch_and_anew_in_each_update(lengths):
    problem = Problem(lengths[:1], embedding_dropout=0.5, **STEM)
    rows = [problem.loss_and_gradient(n_update=n)[1][problem.network.projector.weight] for n in range(3)]
    dropped = [~row.reshape(-1, problem.network.architecture.d_model).any(axis=1) for row in rows]
    for some in dropped:
        assert 0.2 < some.mean() < 0.8
        for first in range(0, len(some), 16):
            assert len(set(some[first : first + 16])) == 1, "kernels of a group are dropped together"
    assert np.any(dropped[0] != dropped[1]) and np.any(dropped[0] != dropped[2])
    problem = Problem(lengths, embedding_dropout=0.5, **STEM)
    of_two = problem.loss_and_gradient()[1][problem.network.projector.weight]
    assert np.any(of_two.reshape(len(dropped[0]), -1).any(axis=1) == dropped[0]), "the batch decides what is dropped"


@pytest.mark.parametrize("n_jobs", [2, 3])
def test_gradients_do_not_depend_on_threads(n_jobs):
    problem = Problem((700, 1, 31, 8, 1100), embedding_dropout=0.3, **STEM | {"n_kernels": 480})
    loss, gradient = problem.loss_and_gradient(n_jobs=1)
    expected = loss, gradient.copy()
    loss, gradient = problem.loss_and_gradient(n_jobs=n_jobs)
    assert loss == expected[0]
    np.testing.assert_array_equal(gradient, expected[1])


def test_the_embedding_is_that_of_any_order():
    """Tokens that lie behind each other are multiplied together, others alone: the bits are the same."""
    network = make_network(np.float32, **STEM)
    tokens = network.tokens(make_batch(dtype=np.float32))
    expected = network.projector.forward(network.parameters, tokens, 1).values
    order = np.random.default_rng(0).permutation(len(LENGTHS))
    found = network.projector.forward(network.parameters, tokens.take(order), 2).values
    begins = np.cumsum(tokens.lengths) - tokens.lengths
    wanted = [expected[begins[i] : begins[i] + tokens.lengths[i]] for i in order]
    np.testing.assert_array_equal(found, np.concatenate(wanted))
    plain = tokens.values.astype(float) @ network.weights["embedding.weight"] + network.weights["embedding.bias"]
    np.testing.assert_allclose(expected, plain, rtol=1e-4, atol=1e-4)


def test_nothing_is_dropped_but_while_learning():
    network, batch = make_network(embedding_dropout=0.5, token_dropout=0.5, **STEM), make_batch()
    kept = make_network(**STEM)
    kept.parameters[:] = network.parameters
    np.testing.assert_array_equal(network.forward(batch, "outputs"), kept.forward(batch, "outputs"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.77, 1.0])
def test_columns_are_measured_as_if_rows_were_repeated(share, dtype):
    generator = np.random.default_rng(0)
    # Some values many times, some once; a column of one value.
    table = np.stack([generator.normal(size=57), generator.integers(4, size=57), np.full(57, 3.0)], axis=1).astype(
        dtype
    )
    counts = generator.integers(1, 4, 57)
    deviations, quantiles = measure_columns(table, counts, np.full(3, share))
    repeated = np.repeat(table.astype(np.float64), counts, axis=0)
    np.testing.assert_array_equal(quantiles, np.quantile(repeated, share, axis=0, method="inverted_cdf"))
    np.testing.assert_allclose(deviations, repeated.std(axis=0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n_rows", [1, 2, 3, 1000])
def test_quantiles_of_any_number_of_rows(n_rows):
    table = np.random.default_rng(n_rows).normal(size=(n_rows, 40))
    shares = np.linspace(0, 1, 40)
    _, quantiles = measure_columns(table, np.full(n_rows, 2.0), shares)
    expected = [np.quantile(table[:, j], share, method="inverted_cdf") for j, share in enumerate(shares)]
    np.testing.assert_array_equal(quantiles, expected)


def test_a_batch_may_be_given_as_sequences_while_learning():
    problem = Problem(**STEM)
    loss, gradient = problem.loss_and_gradient()
    problem.batch = problem.network.tokens(problem.batch)
    kept_loss, kept_gradient = problem.loss_and_gradient()
    assert loss == kept_loss
    np.testing.assert_array_equal(gradient, kept_gradient)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_copied_network_gives_equal_bits(changes, dtype):
    network = make_network(dtype, **changes)
    batch = make_batch(n_features=network.architecture.n_features, dtype=dtype)
    copied = pickle.loads(pickle.dumps(network))
    np.testing.assert_array_equal(copied.forward(batch, "outputs"), network.forward(batch, "outputs"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("seed", 0.5),
        ("n_dilations", 0),
        ("n_dilations", 21),
        ("competes", 2),
        ("slope", np.full(48, np.inf)),
        ("channel_floor", np.zeros(3)),
        ("difference_scale", -np.ones(3)),
        ("shift", np.zeros(47)),
        ("feature_mean", np.zeros((1, 120))),
        ("feature_scale", np.zeros(120, np.float32)),
        ("channel_floor", None),
    ],
)
def test_what_no_stem_has_is_refused(name, value):
    state = make_network(**STEM).__getstate__()
    state["stem"] = {**state["stem"], name: value}
    with pytest.raises(ValueError, match="damaged"):
        Network.__new__(Network).__setstate__(state)


def test_kernels_are_drawn_alike_everywhere():
    """These numbers are in no file: another draw would make other models of files."""
    stem = make_stem(make_network(n_kernels=32, n_features=5), seed=7)
    np.testing.assert_allclose(
        stem.weights[0, 0, :3, 0], [-1.1588386240978992, -2.598881666612215, 0.19030469148029722], rtol=1e-12
    )
    np.testing.assert_array_equal(stem.channels[:, : stem.n_channels.min()], [[5], [1]])


def test_a_stem_that_is_missing_superfluous_or_uneven_is_refused():
    with_stem, without = make_network(**STEM).__getstate__(), make_network().__getstate__()
    uneven = {**with_stem, "architecture": {**with_stem["architecture"], "n_kernels": 50}}
    told = {"loss": "reconstruction", "n_outputs": 3}
    by_steps = {**with_stem, "architecture": {**with_stem["architecture"], **told}}
    for state in ({**with_stem, "stem": None}, {**without, "stem": with_stem["stem"]}, uneven, by_steps):
        with pytest.raises(ValueError, match="damaged"):
            Network.__new__(Network).__setstate__(state)
