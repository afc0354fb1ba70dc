"""Lookups in all other records: against their definition, and gradients against finite differences."""

import numpy as np
import pytest

from skattn.leaving_out import DOUBT, Lookups, descend

GENERATOR = np.random.default_rng(0)
N_RECORDS, N_FEATURES, N_COMPONENTS = 29, 5, 3
RECORDS = GENERATOR.normal(size=(N_RECORDS, N_FEATURES))
WEIGHT = GENERATOR.uniform(0.5, 2.0, size=N_RECORDS)
PROJECTION = GENERATOR.normal(size=(N_FEATURES, N_COMPONENTS))


def make(is_class, n_queries=None, records=RECORDS):
    """Lookups of one of three classes, or of two numbers."""
    values = np.eye(3)[np.arange(len(records)) % 3] if is_class else np.sin(records[:, :2])
    return Lookups(records, values, WEIGHT[: len(records)], is_class, None, n_queries)


def read_from(projected, table, values, weight, own=False):
    """What queries read by the definition; record i is left out for query i, unless it is no record of its own."""
    scores = -np.square(projected[:, None] - table).sum(axis=2) / 2 + np.log(weight)
    if not own:
        np.fill_diagonal(scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True) @ values


def loss_of(mixed, values, weight, is_class):
    """Weighted mean of log loss, or of half the squared error."""
    if is_class:
        losses = -np.log((1 - DOUBT) * (mixed * values).sum(axis=1) + DOUBT / values.shape[1])
    else:
        losses = np.square(mixed - values).mean(axis=1) / 2
    return weight @ losses / weight.sum()


@pytest.mark.parametrize("is_class", [True, False])
@pytest.mark.parametrize("n_queries", [None, 11])
def test_the_loss_is_that_of_records_that_are_left_out(is_class, n_queries):
    lookups, projected = make(is_class, n_queries), RECORDS @ PROJECTION
    some = slice(n_queries)
    mixed = read_from(projected[some], projected, lookups.values, WEIGHT)
    expected = loss_of(mixed, lookups.values[some], WEIGHT[some], is_class)
    assert lookups.loss(PROJECTION) == pytest.approx(expected, rel=1e-12)
    assert lookups.loss_and_gradient(PROJECTION)[0] == lookups.loss(PROJECTION)


@pytest.mark.parametrize("is_class", [True, False])
@pytest.mark.parametrize("n_queries", [None, 11])
def test_the_gradient_is_the_slope_of_the_loss(is_class, n_queries):
    lookups, step = make(is_class, n_queries), 1e-6
    _, gradient = lookups.loss_and_gradient(PROJECTION)
    for place in np.ndindex(PROJECTION.shape):
        moved = np.zeros_like(PROJECTION)
        moved[place] = step
        slope = (lookups.loss(PROJECTION + moved) - lookups.loss(PROJECTION - moved)) / (2 * step)
        assert gradient[place] == pytest.approx(slope, rel=1e-5, abs=1e-8)


def test_its_own_target_is_never_read():
    lookups = make(is_class=False)
    before = lookups.loss_of(RECORDS)
    own = lookups.values.copy()
    lookups.values[0] += 100.0
    lookups.values[:] = np.where(np.arange(N_RECORDS)[:, None] == 0, lookups.values, own)
    # All others read it, and it reads none of itself: that far away, nobody reads it.
    far = RECORDS.copy()
    far[0] += 1e3
    distant = make(is_class=False, records=far)
    distant.values[:] = lookups.values
    errors = np.square(read_from(far, far, lookups.values, WEIGHT) - lookups.values).mean(axis=1) / 2
    assert distant.loss_of(far) == pytest.approx(WEIGHT @ errors / WEIGHT.sum(), rel=1e-12)
    assert distant.loss_of(far) > before + 10


@pytest.mark.parametrize("is_class", [True, False])
def test_other_records_look_up_in_all(is_class):
    lookups = make(is_class)
    table, others = lookups.take(np.arange(17)), lookups.take(np.arange(17, N_RECORDS))
    projected = RECORDS @ PROJECTION
    mixed = read_from(projected[17:], projected[:17], table.values, table.weight, own=True)
    expected = loss_of(mixed, others.values, others.weight, is_class)
    assert table.loss_of_others(others, PROJECTION) == pytest.approx(expected, rel=1e-12)


def test_bits_are_the_same_for_any_number_of_threads():
    results = []
    for n_jobs in (1, 2):
        lookups = make(is_class=True)
        lookups.n_jobs = n_jobs
        results.append(lookups.loss_and_gradient(PROJECTION))
    assert results[0][0] == results[1][0]
    np.testing.assert_array_equal(results[0][1], results[1][1])


def test_a_descent_lowers_the_loss_and_a_penalty_keeps_projections_small():
    lookups, sizes = make(is_class=False), []
    for alpha in (0.0, 0.1, 1e6):
        moved, n_gradients = descend(lookups, PROJECTION, PROJECTION, alpha, 50, 1e-9)
        sizes.append(np.square(moved).sum())
        penalty = alpha / np.square(PROJECTION).sum()
        before, after = (lookups.loss(w) + penalty * np.square(w).sum() for w in (PROJECTION, moved))
        assert after < before and n_gradients >= 1
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < 1e-6
