"""What dropout and hiding leave to chance: decided by counters, in its share, and gone from what is judged."""

import itertools

import numpy as np
import pytest
import reference
from cases import make_network
from slopes import LENGTHS, Problem, slices

from skattn._network import layers


@pytest.mark.parametrize("changes", [{"dropout": 0.3}, {"loss": "reconstruction", "n_outputs": 3}])
@pytest.mark.parametrize("counter", ["seed", "n_update", "ids"])
def test_chance_is_decided_by_seed_update_and_sample(changes, counter):
    problem = Problem(**changes)
    loss = problem.loss()
    assert problem.loss() == loss
    if counter == "ids":
        problem.ids = problem.ids + 1
        assert problem.loss() != loss
    else:
        assert problem.loss(**{counter: 4}) != loss


def hidden_steps(network, n_steps, number, **counters):
    """Steps of sample `number` that are hidden: those whose input alone makes a loss against outputs of 0."""
    blind = make_network(loss="reconstruction", n_outputs=3, hidden_fraction=network.architecture.hidden_fraction)
    blind.weights["head.weight"][:] = 0
    blind.weights["head.bias"][:] = 0
    problem = Problem((n_steps,), loss="reconstruction", n_outputs=3)
    problem.network, problem.ids = blind, np.array([number])
    hidden = []
    for step in range(n_steps):
        problem.batch.values[:] = blind.mean
        problem.batch.values[step] += blind.scale
        if problem.loss(**counters) > 0:
            hidden.append(step)
    return hidden


@pytest.mark.parametrize("n_steps", [1, 2, 7, 17, 37])
def test_reconstruction_is_judged_on_hidden_steps_alone(n_steps):
    problem = Problem((n_steps,), loss="reconstruction", n_outputs=3, d_feedforward=13)
    network = problem.network
    hidden = hidden_steps(network, n_steps, problem.ids[0])
    expected = reference.loss(
        network.weights,
        network.architecture,
        problem.batch.values,
        None,
        network.mean,
        network.scale,
        hidden=hidden,
    )
    assert hidden and expected > 0
    np.testing.assert_allclose(problem.loss(), problem.weight[0] * expected, rtol=1e-12)


def test_every_sequence_has_a_hidden_step_and_the_share_is_as_asked():
    network = make_network(loss="reconstruction", n_outputs=3, hidden_fraction=0.3)
    numbers = range(97)
    assert all(hidden_steps(network, 1, number) == [0] for number in numbers)
    share = np.mean([len(hidden_steps(network, 13, number)) / 13 for number in numbers])
    assert 0.25 < share < 0.4


def test_hidden_steps_are_drawn_anew_for_each_sample_and_update():
    network = make_network(loss="reconstruction", n_outputs=3)
    drawn = [
        tuple(hidden_steps(network, 31, number, n_update=update, seed=seed))
        for number, update, seed in itertools.product((0, 1, 2), (0, 1, 2), (0, 1))
    ]
    assert len(set(drawn)) == len(drawn)


def hidden_values(n_steps, number, **changes):
    """Mask of the values of sample `number` that are hidden: which alone make a loss against outputs of 0."""
    problem = Problem((n_steps,), loss="reconstruction", handles_missing=True, **changes)
    network, values = problem.network, problem.batch.values
    network.weights["head.weight"][:] = network.weights["head.bias"][:] = 0
    problem.ids, told = np.array([number]), np.zeros(values.shape, bool)
    codes = dict(network.architecture.categories)
    for step, column in np.ndindex(values.shape):
        values[:] = network.mean
        values[:, list(codes)] = 997
        values[step, column] = 0 if column in codes else network.mean[column] + network.scale[column]
        told[step, column] = problem.loss() > 0
    return told


VALUES = [
    {"n_outputs": 3},
    {"n_outputs": 6, "categories": ((1, 4),)},
    {"n_outputs": 9, "categories": ((0, 2), (1, 4), (2, 3))},
]


@pytest.mark.parametrize("changes", VALUES, ids=str)
@pytest.mark.parametrize("n_steps", [1, 7, 37])
def test_hidden_values_are_told_as_if_they_were_missing(changes, n_steps, monkeypatch):
    """Whole steps, and values beside others, are hidden; what is missing anyway is not asked for."""
    monkeypatch.setattr(layers, "UNKNOWN", 0)
    problem = Problem((n_steps,), loss="reconstruction", handles_missing=True, d_feedforward=13, **changes)
    network, hidden = problem.network, hidden_values(n_steps, problem.ids[0], **changes)
    arguments = network.weights, network.architecture, problem.batch.values, None, network.mean, network.scale
    expected = reference.loss(*arguments, hidden=hidden)
    assert hidden.any() and "hidden_step" not in network.weights
    np.testing.assert_allclose(problem.loss(), problem.weight[0] * expected, rtol=1e-12)


def test_whole_steps_and_single_values_are_hidden_in_their_shares():
    hidden = np.concatenate([hidden_values(37, number, n_outputs=3, hidden_fraction=0.3) for number in range(23)])
    whole = hidden.all(axis=1)
    # All three of a step are hidden one by one in 1 of 125.
    assert 0.25 < whole.mean() < 0.37
    assert 0.16 < hidden[~whole].mean() < 0.24


def dropped(gradient, name, network):
    """Inputs of a matrix that were dropped from a sequence of one step: those whose row has no gradient."""
    weight = network.weights[name]
    return (gradient[slices(network)[name]].reshape(weight.shape) == 0).all(axis=1)


def test_each_dropout_drops_its_share_and_no_two_the_same():
    problem = Problem((1,), dropout=0.3, n_layers=2, d_value=499, d_feedforward=998, d_model=23)
    _, gradient = problem.loss_and_gradient()
    names = [f"layers.{layer}.{part}.weight" for layer in (0, 1) for part in ("output", "contract")]
    masks = [dropped(gradient, name, problem.network) for name in names]
    for mask in masks:
        assert 0.24 < mask.mean() < 0.36
    for first, second in itertools.combinations(masks, 2):
        # Of independent draws the share 2 * 0.3 * 0.7 differs.
        assert 0.35 < (first != second).mean() < 0.49


def test_what_is_not_dropped_is_stretched():
    problem = Problem((7,), dropout=0.2, n_layers=0, loss="squared_error")
    features = problem.network.forward(problem.batch, "features")[0]
    _, gradient = problem.loss_and_gradient()
    where = slices(problem.network)
    d_weight, d_outputs = gradient[where["head.weight"]].reshape(22, 5), gradient[where["head.bias"]]
    factors = d_weight[:, 0] / d_outputs[0] / features
    kept = factors != 0
    assert 0 < kept.sum() < 22
    np.testing.assert_allclose(factors[kept], 1 / 0.8, rtol=1e-6)


def test_rows_are_dropped_in_their_share_whole_and_anew_in_each_update():
    """What a network without layers or positions learns of a step is the sum of the rows that it sees."""
    problem = Problem((1,) * 997, token_dropout=0.3, n_layers=0, position="none", max_steps=1)
    masks = []
    for n_update in (0, 1):
        rows = problem.network.forward(problem.batch, "steps")
        losses = [problem.take([i]).loss(n_update=n_update) / problem.weight[i] for i in range(len(rows))]
        seen = problem.network.losses(problem.batch, problem.target)
        masks.append(~np.isclose(losses, seen, rtol=1e-9))
        assert 0.25 < masks[-1].mean() < 0.35
    # Of independent draws the share 2 * 0.3 * 0.7 differs.
    assert 0.35 < (masks[0] != masks[1]).mean() < 0.49


@pytest.mark.parametrize("changes", [{"dropout": 0.5}, {"token_dropout": 0.5}])
def test_losses_have_no_dropout(changes):
    problem, without = Problem(**changes), Problem()
    losses = problem.network.losses(problem.batch, problem.target)
    np.testing.assert_array_equal(losses, without.network.losses(without.batch, without.target))
    assert abs(problem.loss() - problem.weight @ losses) > 1e-3


def test_reconstruction_losses_are_the_same_every_time():
    problem = Problem(loss="reconstruction", n_outputs=3)
    losses = problem.network.losses(problem.batch, None)
    assert losses.shape == (len(LENGTHS),)
    assert (losses > 0).all()
    np.testing.assert_array_equal(problem.network.losses(problem.batch, None), losses)
