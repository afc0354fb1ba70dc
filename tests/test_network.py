"""The network's results: against the reference, whatever the batch, the padding and the number of threads."""

from itertools import pairwise

import numpy as np
import pytest
import reference
from cases import (
    ARCHITECTURES,
    LENGTHS,
    make_batch,
    make_batch_for,
    make_network,
    make_target,
    sequences,
    take,
)
from slopes import Problem, assert_gradient_is_the_slope

from skattn._network.shares import cut_evenly

PER_STEP = ("steps", "layers.0.query", "layers.0.key", "layers.0.value")


def result_names(architecture):
    """Names of everything that `Network.forward` can be asked for."""
    last = f"layers.{architecture.n_layers - 1}."
    pooled = ("features",) if architecture.pooling is not None else ()
    return ("outputs", *pooled, *PER_STEP, last + "query", last + "key", last + "value")


def reference_results(network, batch, dtype=np.float64):
    """What the reference makes of a whole batch, rows of the samples one after another, by name."""
    results = [
        reference.forward(
            network.weights, network.architecture, sequence, network.mean, network.scale, dtype=dtype, unit=0.7
        )
        for sequence in sequences(batch)
    ]
    return {name: np.concatenate([np.atleast_2d(r[name]) for r in results]) for name in results[0]}


def reference_losses(network, batch, target):
    """Loss of every sample by the reference: (n_samples,)."""
    return np.array(
        [
            reference.loss(network.weights, network.architecture, sequence, row, network.mean, network.scale)
            for sequence, row in zip(sequences(batch), target, strict=True)
        ]
    )


@pytest.fixture(params=ARCHITECTURES.values(), ids=ARCHITECTURES.keys())
def changes(request):
    """How an architecture differs from the base."""
    return request.param


def assert_as_exact_as_plain_float32(*pairs):
    """Over all pairs of a network and a batch, each result errs at most twice what plain float32 errs."""
    for name in result_names(pairs[0][0].architecture):
        errors = []
        for network, batch in pairs:
            truth, plain = (reference_results(network, batch, dtype)[name] for dtype in (np.float64, np.float32))
            result = network.forward(batch, name)
            assert result.dtype == np.float32, name
            bit = 1.2e-7 * np.abs(truth).max()
            errors.append((np.abs(result - truth).max(), np.abs(plain - truth).max(), bit))
        fast, plain, bit = np.max(errors, axis=0)
        assert fast <= 2 * plain + bit, name


def test_forward_agrees_with_the_reference(changes):
    network = make_network(**changes)
    batch = make_batch_for(network.architecture)
    expected = reference_results(network, batch)
    for name in result_names(network.architecture):
        np.testing.assert_allclose(network.forward(batch, name), expected[name], rtol=1e-10, atol=1e-10, err_msg=name)


def test_float32_errs_at_most_twice_plain_float32(changes):
    """The largest error of each over a few networks: of one alone, luck decides."""
    networks = [make_network(np.float32, seed=seed, **changes) for seed in range(5)]
    architecture = networks[0].architecture
    batches = [make_batch_for(architecture, (1, 7, 17, 37), np.float32, seed=seed) for seed in range(50, 55)]
    assert_as_exact_as_plain_float32(*zip(networks, batches, strict=True))


@pytest.mark.parametrize("n_steps", range(1, 41))
def test_every_length_agrees_with_the_reference(n_steps):
    network = make_network(d_feedforward=13, window=(5, 3), pooling="mean_max")
    batch = make_batch([n_steps])
    expected = reference_results(network, batch)
    for name in ("steps", "outputs"):
        np.testing.assert_allclose(network.forward(batch, name), expected[name], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("window", [(None, None), (None, 0), (0, None), (67, 41), (131, 0), (2, 300)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_long_sequences_agree_with_the_reference(window, dtype):
    network = make_network(dtype, window=window)
    batch = make_batch([67, 128, 131, 257, 523], dtype=dtype)
    if dtype == np.float32:
        return assert_as_exact_as_plain_float32((network, batch))
    expected = reference_results(network, batch)
    np.testing.assert_allclose(network.forward(batch, "steps"), expected["steps"], rtol=1e-10, atol=1e-10)


def with_large_scores(largest):
    """A network and a batch whose largest score is `largest`."""
    network = make_network(np.float32)
    batch = make_batch([37, 129], dtype=np.float32)
    query, key = (network.forward(batch, f"layers.0.{name}")[:37] for name in ("query", "key"))
    scores = reference.scaled_scores(reference.split_heads(query, 2), reference.split_heads(key, 2))
    network.weights["layers.0.key.weight"][:] *= largest / np.abs(scores).max()
    return network, batch


def test_large_scores_lose_no_precision():
    assert_as_exact_as_plain_float32(with_large_scores(80))


def test_huge_scores_neither_overflow_nor_lose_more_than_their_own_rounding():
    network, batch = with_large_scores(700)
    expected = reference_results(network, batch)["steps"]
    # A score of 700 in float32 is off by up to 3e-5, and with it the logarithm of a weight.
    np.testing.assert_allclose(network.forward(batch, "steps"), expected, rtol=1e-4, atol=1e-4)


def test_released_room_is_taken_anew():
    """Giving back what learning took changes no result."""
    network, batch = make_network(), make_batch()
    before = network.forward(batch, "features")
    network.release()
    np.testing.assert_array_equal(network.forward(batch, "features"), before)


def test_equal_scores_average_the_values():
    network = make_network(window=(2, 1))
    network.weights["layers.0.key.weight"][:] = 0
    batch = make_batch()
    expected = reference_results(network, batch)["steps"]
    np.testing.assert_allclose(network.forward(batch, "steps"), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("loss", sorted(reference.LOSSES))
@pytest.mark.parametrize("n_outputs", [1, 2, 5, 17, 37])
@pytest.mark.parametrize("is_stepwise", [False, True])
def test_losses_agree_with_the_reference(loss, n_outputs, is_stepwise):
    network = make_network(loss=loss, n_outputs=n_outputs, is_stepwise=is_stepwise)
    batch = make_batch()
    target = make_target(network.architecture, LENGTHS)
    losses = network.losses(batch, target)
    assert losses.dtype == np.float64
    np.testing.assert_allclose(losses, reference_losses(network, batch, target), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
@pytest.mark.parametrize("n_outputs", [1, 2, 5])
def test_smoothed_labels_are_those_of_all_classes_in_part(loss, n_outputs):
    """The loss is linear in the label, so it is a mean over labels; what is judged is not smoothed."""
    changes = {"loss": loss, "n_outputs": n_outputs}
    smoothed, plain = Problem(label_smoothing=0.3, **changes), Problem(**changes)
    n_samples = len(plain.weight)
    if loss == "cross_entropy":
        others = [np.full((n_samples, 1), k, float) for k in range(n_outputs)]
    else:
        others = [np.zeros((n_samples, n_outputs)), np.ones((n_samples, n_outputs))]
    losses = [0.7 * plain.loss()]
    losses += [0.3 / len(others) * plain.with_target(target).loss() for target in others]
    # A share is written in 2 ** 24 parts.
    np.testing.assert_allclose(smoothed.loss(), sum(losses), rtol=1e-6)
    judged = smoothed.network.losses(smoothed.batch, smoothed.target)
    np.testing.assert_array_equal(judged, plain.network.losses(plain.batch, plain.target))
    assert_gradient_is_the_slope(smoothed)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_losses_of_extreme_outputs_are_finite_and_exact(loss):
    network = make_network(loss=loss)
    network.weights["head.weight"][:] *= 1e4
    batch = make_batch()
    target = make_target(network.architecture, LENGTHS)
    expected = reference_losses(network, batch, target)
    assert expected.max() > 1000
    np.testing.assert_allclose(network.losses(batch, target), expected, rtol=1e-10)


@pytest.mark.parametrize("is_stepwise", [False, True])
def test_losses_of_quantiles_agree_with_the_reference(is_stepwise):
    network = make_network(loss="quantile", n_outputs=6, quantiles=(0.1, 0.5, 0.75), is_stepwise=is_stepwise)
    batch, target = make_batch(), make_target(network.architecture, LENGTHS)
    np.testing.assert_allclose(network.losses(batch, target), reference_losses(network, batch, target), rtol=1e-10)


@pytest.mark.parametrize("garbage", [1e30, np.nan, np.inf])
def test_padding_is_never_read(changes, garbage):
    """Garbage before, between and after the sequences cannot reach any result, not by one bit."""
    network = make_network(np.float32, **changes)
    alone = make_batch_for(network.architecture, dtype=np.float32)
    padded = make_batch_for(network.architecture, dtype=np.float32, gap=3, garbage=garbage)
    target = make_target(network.architecture, LENGTHS, np.float32)
    for name in result_names(network.architecture):
        np.testing.assert_array_equal(network.forward(padded, name), network.forward(alone, name))
    np.testing.assert_array_equal(network.losses(padded, target), network.losses(alone, target))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_a_sample_gets_does_not_depend_on_the_batch(changes, dtype):
    network = make_network(dtype, **changes)
    batch = make_batch_for(network.architecture, dtype=dtype)
    together = {name: network.forward(batch, name) for name in ("features", "outputs", "steps")}
    counts = network.count_rows(batch.lengths)
    for sample, end in enumerate(np.cumsum(counts)):
        alone = take(batch, [sample])
        rows = slice(end - counts[sample], end)
        np.testing.assert_array_equal(network.forward(alone, "steps"), together["steps"][rows])
        np.testing.assert_array_equal(network.forward(alone, "features")[0], together["features"][sample])


def test_samples_may_come_in_any_order_and_overlap():
    network = make_network()
    batch = make_batch()
    order = np.array([5, 0, 11, 5, 7, 7, 2])
    expected = network.forward(batch, "outputs")[order]
    np.testing.assert_array_equal(network.forward(take(batch, order), "outputs"), expected)


@pytest.mark.parametrize("lengths", [(1,), (3001,), (3001, 1, 7), (1,) * 67, tuple(range(1, 60))])
def test_results_have_equal_bits_for_any_number_of_threads(lengths):
    network = make_network(np.float32, window=(31, 5), d_feedforward=13)
    batch = make_batch(lengths, dtype=np.float32)
    target = make_target(network.architecture, lengths, np.float32)
    for name in ("steps", "features", "outputs"):
        np.testing.assert_array_equal(
            network.forward(batch, name, n_jobs=1), network.forward(batch, name, n_jobs=2), err_msg=name
        )
    np.testing.assert_array_equal(network.losses(batch, target, n_jobs=1), network.losses(batch, target, n_jobs=2))


@pytest.mark.parametrize("window", [(None, None), (31, 5), (None, 0)])
def test_a_long_sequence_has_equal_bits_alone_and_among_others(window):
    network = make_network(np.float32, window=window)
    batch = make_batch([3001, 5, 37, 700, 1, 300, 13], dtype=np.float32)
    together = network.forward(batch, "steps")[:3001]
    np.testing.assert_array_equal(network.forward(take(batch, [0]), "steps"), together)


def test_a_long_sequence_agrees_with_the_reference():
    network = make_network()
    batch = make_batch([3001])
    expected = reference_results(network, batch)["steps"]
    np.testing.assert_allclose(network.forward(batch, "steps"), expected, rtol=1e-10, atol=1e-10)


def test_steps_past_the_learned_table_take_its_last_row():
    network = make_network(max_steps=7)
    table = network.weights["position.weight"]
    batch = make_batch([11])
    expected = network.forward(batch, "steps")[-1]
    table[:-1] += 1.0
    assert np.abs(network.forward(batch, "steps")[0] - expected).max() > 1e-3
    without_attention = make_network(max_steps=7, window=(0, 0))
    before = without_attention.forward(batch, "steps")[6:]
    without_attention.weights["position.weight"][:-1] += 1.0
    np.testing.assert_array_equal(without_attention.forward(batch, "steps")[6:], before)


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name.startswith("next step")])
def test_losses_of_next_steps_agree_with_the_reference(name):
    """A sequence of one step has none; the last step of others tells nothing."""
    network = make_network(**ARCHITECTURES[name])
    batch = make_batch_for(network.architecture)
    expected = [
        reference.loss(network.weights, network.architecture, steps, None, network.mean, network.scale, unit=0.7)
        for steps in sequences(batch)
    ]
    assert expected[0] == 0 < min(expected[1:])
    np.testing.assert_allclose(network.losses(batch, None), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("loss, n_outputs", [("reconstruction", 3), ("cross_entropy", 5)])
def test_no_pooling_still_gives_steps_and_outputs(loss, n_outputs):
    network = make_network(pooling=None, loss=loss, n_outputs=n_outputs)
    batch = make_batch()
    expected = reference_results(network, batch)
    for name in ("steps", "outputs"):
        np.testing.assert_allclose(network.forward(batch, name), expected[name], rtol=1e-10, atol=1e-10)


def test_weights_are_views_of_the_flat_parameters():
    network = make_network(d_feedforward=13, pooling="attention", loss="reconstruction", n_outputs=3)
    sizes = 0
    for name, weight in network.weights.items():
        assert np.shares_memory(weight, network.parameters), name
        sizes += weight.size
    assert sizes == network.parameters.size


def test_only_matrices_are_decayed():
    network = make_network(d_feedforward=13, pooling="attention", n_layers=2)
    network.parameters[:] = 0
    network.parameters[: network.n_decayed] = 1
    for name, weight in network.weights.items():
        decayed = name.endswith(".weight") and not name.startswith("position")
        assert (weight == decayed).all(), name


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_copied_network_gives_equal_bits(dtype):
    import pickle

    network = make_network(dtype)
    copy = pickle.loads(pickle.dumps(network))
    batch = make_batch(dtype=dtype)
    np.testing.assert_array_equal(copy.forward(batch, "outputs"), network.forward(batch, "outputs"))
    copy.weights["head.bias"][:] += 1
    assert np.abs(copy.forward(batch, "outputs") - network.forward(batch, "outputs")).min() > 0.5


def test_read_only_values_are_welcome():
    network = make_network()
    batch = make_batch()
    expected = network.forward(batch, "outputs")
    batch.values.flags.writeable = False
    np.testing.assert_array_equal(network.forward(batch, "outputs"), expected)


def test_initial_attention_is_neither_uniform_nor_saturated():
    network = make_network()
    network.initialise(np.random.default_rng(0))
    batch = make_batch([37])
    query, key = (reference.split_heads(network.forward(batch, f"layers.0.{name}"), 2) for name in ("query", "key"))
    spread = reference.scaled_scores(query, key).std()
    assert 0.1 < spread < 3


def test_the_same_generator_initialises_the_same_bits():
    first, second, other = make_network(), make_network(), make_network()
    for network, seed in ((first, 5), (second, 5), (other, 6)):
        network.initialise(np.random.default_rng(seed))
    np.testing.assert_array_equal(first.parameters, second.parameters)
    assert not np.array_equal(first.parameters, other.parameters)


def test_equal_work_is_cut_into_equal_shares():
    np.testing.assert_array_equal(cut_evenly(np.full(32, 61.2), 16), np.arange(17) * 2)


def test_no_share_has_more_than_its_part_and_one_item():
    work = np.random.default_rng(0).uniform(1, 100, 200)
    for n_shares in (1, 2, 16, 64):
        bounds = cut_evenly(work, n_shares)
        assert bounds[0] == 0 and bounds[-1] == 200 and len(bounds) == n_shares + 1
        shares = [work[a:b].sum() for a, b in pairwise(bounds)]
        assert max(shares) <= work.sum() / n_shares + work.max()
        assert min(shares) >= work.sum() / n_shares - work.max()
