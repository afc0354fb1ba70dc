"""The tape refuses what kernels would take for something else, numbers what it uses, and takes what is new."""

import numpy as np
import pytest
import toys
from cases import make_network
from linear_network import Samples
from slopes import Problem, assert_gradient_is_the_slope, slices

from skattn._kernels.activation import GELU
from skattn._kernels.linear import LINEAR
from skattn._kernels.loss import SQUARED_ERROR
from skattn._kernels.operation import GRANULE
from skattn._network import layers, positions
from skattn._network.architecture import count_parameters, count_workspace, write_tape
from skattn._network.losses import LOSSES
from skattn._network.rules import Normal
from skattn._network.tape import APART, DECAYED, FREE, FROZEN, Tape
from skattn._training.loop import Settings, TrainingState, train


def begun(width=4):
    """A tape with its input."""
    tape = Tape()
    return tape, layers.standardised(tape, range(width), width)


def test_fields_that_are_missing_misspelt_or_superfluous_are_refused():
    tape, source = begun()
    before = list(tape.operations)
    with pytest.raises(
        TypeError, match=r"gelu has the fields \('source', 'target', 'width'\); \['widht', 'width'\] are"
    ):
        tape.operation(GELU, source=source, target=source, widht=4)
    with pytest.raises(TypeError, match=r"\['target'\] are missing"):
        tape.operation(GELU, source=source, width=4)
    with pytest.raises(TypeError, match=r"\['adds', 'bias'\] are missing or none"):
        tape.operation(GELU, source=source, target=source, width=4, adds=0, bias=-1)
    with pytest.raises(ValueError, match="Parameter p has group='thawed'; there are apart, decayed, free, frozen"):
        tape.parameter("p", (3,), Normal(0), group="thawed")
    assert tape.operations == before


def test_a_slot_that_two_operations_read_has_both_gradients_or_the_tape_is_refused():
    tape, source = begun()
    hidden = layers.linear(tape, source, "first", 4, wants_gradient=False)
    bent = tape.slot(4)
    tape.operation(GELU, source=hidden, target=bent, width=4)
    layers.linear(tape, hidden, "second", 4, onto=bent)
    pooled = layers.pooling(tape, bent, "mean")
    outputs = layers.linear(tape, pooled, "head", 1)
    loss = tape.slot(1, axis=tape.once, name="loss")
    tape.operation(SQUARED_ERROR, source=outputs, target=loss, n_outputs=1, has_shares=0)
    with pytest.raises(ValueError, match="gelu begins the gradient of its source, which an operation behind it has"):
        tape.rows()


def test_a_tape_numbers_the_kinds_and_axes_that_it_uses():
    tape, source = begun()
    hidden = layers.linear(tape, source, "first", 4, wants_gradient=False)
    tape.operation(GELU, source=hidden, target=hidden, width=4)
    layers.linear(tape, layers.pooling(tape, hidden, "max"), "second", 4)
    assert [kind.name for kind in tape.kinds] == ["standardise", "linear", "gelu", "pool_max"]
    assert tape.kinds[1] is LINEAR
    assert tape.rows()[:, 0].tolist() == [0, 1, 2, 3, 1]
    assert tape.rows()[:, 1].tolist() == [1, 1, 1, 0, 0]
    assert [axis.stride for axis in tape.axes] == [0, 1]
    assert tape.axis(5) is tape.axis(5)
    assert tape.axis(5).count(np.array([1, 5, 6])).tolist() == [1, 1, 2]
    assert tape.once.count(np.array([1, 5, 6])).tolist() == [1, 1, 1]


def test_parameters_lie_by_their_groups():
    tape = Tape()
    for number, group in enumerate((FROZEN, FREE, DECAYED, FREE, APART)):
        tape.parameter(f"p{number}", (number + 1, 2), Normal(1), group=group)
    layout = tape.layout()
    assert layout.offsets == {"p4": 0, "p2": 10, "p1": 16, "p3": 20, "p0": 28}
    assert (layout.n_apart, layout.n_decayed, layout.n_learned, layout.size) == (10, 16, 28, 30)


@pytest.mark.parametrize("changes", [{}, {"n_layers": 7, "d_feedforward": 13}, {"n_kernels": 16, "position": "none"}])
def test_what_a_network_needs_is_known_before_it_is_there(changes):
    network = make_network(**changes)
    tape = write_tape(network.architecture)
    assert count_parameters(network.architecture) == network.parameters.size
    assert count_workspace(network.architecture, 77) == tape.workspace(77, backward=True)[0]


def test_a_new_pooling_is_its_pair_and_an_entry(monkeypatch):
    monkeypatch.setitem(layers.POOLINGS, "sum", (toys.pool_sum,))
    problem = Problem((1, 2, 5, 2 * GRANULE + 3), pooling="sum")
    assert_gradient_is_the_slope(problem)
    features = problem.network.forward(problem.batch, "features")
    steps = problem.network.forward(problem.batch, "steps")
    ends = np.cumsum(problem.batch.lengths)
    np.testing.assert_allclose(features, [part.sum(axis=0) for part in np.split(steps, ends[:-1])], rtol=1e-12)


def test_a_new_loss_is_its_pair_and_an_entry(monkeypatch):
    problem = Problem(loss="squared_error")
    outputs = problem.network.forward(problem.batch, "outputs")
    monkeypatch.setitem(LOSSES, "fourth_power", toys.LOSS)
    powers = Problem(loss="fourth_power").with_target(problem.target)
    assert_gradient_is_the_slope(powers)
    wanted = ((outputs - problem.target) ** 4).sum(axis=1) @ problem.weight
    np.testing.assert_allclose(powers.loss(), wanted, rtol=1e-10)


@pytest.mark.parametrize("group", toys.GROUPS)
def test_a_new_kind_is_its_pair_and_the_part_that_writes_it(monkeypatch, group):
    monkeypatch.setitem(positions.POSITIONS, "scaled", toys.position_scaled(group))
    problem = Problem((1, 2, 5, 2 * GRANULE + 3), position="scaled")
    network = problem.network
    if group == FREE:
        assert network.n_learned == network.parameters.size
        assert_gradient_is_the_slope(problem)
        return
    frozen = slices(network)["scale.factor"]
    assert network.n_learned == frozen.start == network.parameters.size - 22
    _, gradient = problem.loss_and_gradient()
    assert gradient.shape == (network.n_learned,)
    assert set(network.weights) - set(network.views(gradient)) == {"scale.factor"}
    weights = network.parameters[: network.n_learned]
    for i in (0, 7, frozen.start - 1):
        h, losses = 1e-6, []
        for sign in (1, -1):
            weights[i] += sign * h
            losses.append(problem.loss())
            weights[i] -= sign * h
        np.testing.assert_allclose(gradient[i], (losses[0] - losses[1]) / (2 * h), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_what_is_frozen_stays_and_takes_no_room(monkeypatch, optimizer):
    monkeypatch.setitem(positions.POSITIONS, "scaled", toys.position_scaled(FROZEN))
    problem = Problem(position="scaled")
    network, state = problem.network, TrainingState(3)
    before = network.parameters.copy()
    settings = Settings(max_iter=4, batch_size=2, optimizer=optimizer, n_jobs=1)
    samples = Samples(problem.batch, problem.target, problem.weight)
    train(network, samples, settings, state)
    changed = before != network.parameters
    assert changed[: network.n_learned].mean() > 0.9
    assert not changed[network.n_learned :].any()
    assert {len(vector) for vector in state.optimizer.vectors.values()} == {network.n_learned}
