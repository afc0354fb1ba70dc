"""Updates that are planned together are those of one batch after another, whatever is in them."""

import numpy as np
import pytest
from cases import make_batch_for, make_network, make_target, take
from hypothesis import given
from hypothesis import strategies as st

from skattn._network import walking
from skattn._network.shares import cut, cut_all
from skattn._network.tables import order_rows
from skattn._training.descent import Descent
from skattn._training.optimizers import OPTIMIZERS, AdamW

LENGTHS = (5, 1100, 17, 1, 37, 2, 1300, 29, 8, 64, 200, 3)
COUNTS = np.array([5, 4, 3])
TABLES = {"categories": ((0, 997), (2, 5))}
STEM = {"n_kernels": 16, "stride": 3, "embedding_dropout": 0.3}
# The second batch has no long sequence, and the third has them alone.
ORDER = np.array([1, 0, 2, 3, 4, 5, 7, 8, 9, 6, 10, 11])


@given(st.lists(st.lists(st.integers(1, 400), min_size=1, max_size=20), min_size=1, max_size=5))
def test_batches_are_cut_as_each_would_be_alone(batches):
    counts = np.array([len(batch) for batch in batches])
    firsts = np.cumsum(counts) - counts
    bounds, places, n_shares = cut_all(np.concatenate(batches), firsts, counts, 128, 64)
    for batch, first, place, n in zip(batches, firsts, places, n_shares, strict=True):
        np.testing.assert_array_equal(bounds[place : place + n + 1] - first, cut(np.array(batch), 128, 64))


SEQUENCES = st.lists(st.tuples(st.integers(1, 400), st.booleans()), min_size=1, max_size=9)


@given(st.lists(SEQUENCES, min_size=1, max_size=5))
def test_rows_are_added_up_share_by_share_and_long_sequences_last(batches):
    lengths = np.array([length for batch in batches for length, _ in batch])
    order, long, bounds, ends, starts, first = [], [], [], [], np.empty_like(lengths), 0
    for batch in batches:
        numbers, is_long = first + np.arange(len(batch)), np.array([is_long for _, is_long in batch])
        shares, cut_within = np.array_split(numbers[~is_long], 3), numbers[is_long]
        bounds += (len(order) + np.cumsum([0, *map(len, shares)])).tolist()
        order += numbers[~is_long].tolist()
        long.append(cut_within)
        parts = [min(128, n - begin) for n in lengths[cut_within].tolist() for begin in range(0, n, 128)]
        ends.append(np.cumsum([*(lengths[share].sum() for share in shares), *parts]))
        placed = np.concatenate([*shares, cut_within])
        starts[placed] = np.cumsum(lengths[placed]) - lengths[placed]
        first += len(batch)
    n_shares, counts = np.full(len(batches), 3), np.array([len(batch) for batch in batches])
    rows = order_rows(lengths, counts, np.array(order, np.int64), np.array(bounds), n_shares, long)
    np.testing.assert_array_equal(rows.starts, starts)
    np.testing.assert_array_equal(rows.counts, [part[-1] for part in ends])
    for place, expected in zip(rows.places, ends, strict=True):
        np.testing.assert_array_equal(rows.ends[place : place + len(expected)], expected)


@pytest.fixture(
    params=[{}, {"dropout": 0.2, "token_dropout": 0.2}, TABLES, STEM, {"loss": "reconstruction", "n_outputs": 3}],
    ids=str,
)
def problem(request):
    """A network, all sequences, their targets and weights; also the tokens of a stem, which are learned from alike."""
    network = make_network(np.float64, **request.param)
    batch = make_batch_for(network.architecture, LENGTHS)
    return network, batch, make_target(network.architecture, LENGTHS, np.float64)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("made_before", [False, True])
def test_gradients_of_planned_updates_are_those_of_their_batches(problem, n_jobs, made_before):
    network, batch, target = problem
    weight = np.linspace(0.5, 2, len(LENGTHS))
    data = network.tokens(batch) if made_before else batch
    plan = network.learner(data, target, seed=11, n_jobs=n_jobs).plan(ORDER, COUNTS, weight, 3, None)
    for number, last in enumerate(np.cumsum(COUNTS)):
        plan.run(number, number + 1)
        part = slice(last - COUNTS[number], last)
        gradient = network.runner.room("gradient", network.n_learned).copy()
        chosen = ORDER[part]
        loss, expected = network.loss_and_gradient(
            take(batch, chosen), None if target is None else target[chosen], weight[part], ids=chosen, seed=11,
            n_update=3 + number,
        )  # fmt: skip
        np.testing.assert_array_equal(gradient, expected)
        np.testing.assert_allclose(plan.losses[part] @ weight[part], loss, rtol=1e-14)


def test_updates_in_one_call_are_those_of_a_call_each(problem):
    network, batch, target = problem
    start, ends = network.parameters.copy(), []
    for calls in ([(0, 3)], [(0, 1), (1, 2), (2, 3)], [(0, 2), (2, 3)]):
        network.parameters[:] = start
        descent = Descent(AdamW(network.n_learned, network.dtype, 0.01), network.parameters, network.n_decayed, 1.0)
        descent.plan([0.01, 0.02, 0.03])
        plan = network.learner(batch, target, seed=11).plan(ORDER, COUNTS, np.ones(len(LENGTHS)), 0, descent)
        for call in calls:
            plan.run(*call)
        assert (descent.count(), descent.stop[0]) == (3, 0)
        ends.append((network.parameters.copy(), descent.losses, descent.norms))
    for other in ends[1:]:
        for found, expected in zip(other, ends[0], strict=True):
            np.testing.assert_array_equal(found, expected)
    assert (ends[0][0] != start).mean() > 0.9


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_earlier_updates_have_found_in_tables_is_forgotten(name, monkeypatch):
    """Bits of updates that are planned together, by threads that share tables, are those of a plan for each."""
    monkeypatch.setattr(walking, "_WORTH_A_REGION", 1)
    ends = []
    for n_jobs, calls in ((1, [slice(0, 3)]), (2, [slice(0, 3)]), (1, [slice(0, 1), slice(1, 2), slice(2, 3)])):
        network = make_network(np.float32, **TABLES)
        batch = make_batch_for(network.architecture, LENGTHS, np.float32)
        target = make_target(network.architecture, LENGTHS, np.float32)
        optimizer = OPTIMIZERS[name](network.n_learned, network.dtype, 0.1)
        descent = Descent(optimizer, network.parameters, network.n_decayed, 1.0)
        for call in calls:
            counts = COUNTS[call]
            order = np.split(ORDER, np.cumsum(COUNTS))[call]
            descent.plan([0.01] * len(counts))
            learner = network.learner(batch, target, seed=11, n_jobs=n_jobs)
            plan = learner.plan(np.concatenate(order), counts, np.ones(counts.sum()), call.start, descent)
            plan.run(0, len(counts))
            descent.count()
        ends.append(network.parameters)
    for other in ends[1:]:
        np.testing.assert_array_equal(other, ends[0])


def test_a_share_sums_no_gradient_of_tables():
    sizes = []
    for n_codes in (5, 997):
        network = make_network(categories=((1, n_codes),))
        batch = make_batch_for(network.architecture, LENGTHS)
        target = make_target(network.architecture, LENGTHS)
        network.loss_and_gradient(batch, target, np.ones(len(LENGTHS)), ids=np.arange(len(LENGTHS)), seed=0, n_update=0)
        sizes.append(network.runner.room("gradients", 0).base.size)
    assert sizes[0] == sizes[1]
