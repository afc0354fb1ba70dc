"""Schedules: warm-up, the cosine's fall, plans without an end, and when a plateau counts."""

import math

import numpy as np
import pytest

from skattn._training.schedules import MIN_WARM_UP, SCHEDULES

N_TOTAL = 331


@pytest.fixture(params=SCHEDULES)
def schedule(request):
    return SCHEDULES[request.param]


def factors(name, n_total, n_updates=None):
    return np.array([SCHEDULES[name].factor(n, n_total) for n in range(n_updates or n_total)])


@pytest.mark.parametrize("n_total", [1, 2, 3, 13, N_TOTAL, None])
def test_every_rate_is_above_zero_and_at_most_the_initial_one(schedule, n_total):
    shares = [schedule.factor(n, n_total) for n in range(n_total or 50)]
    assert min(shares) > 0
    assert max(shares) <= 1


@pytest.mark.parametrize("name", ["constant", "adaptive"])
def test_the_rate_stays_by_itself(name):
    np.testing.assert_array_equal(factors(name, N_TOTAL), 1)


def test_cosine_rises_in_equal_steps_for_a_tenth_of_the_plan():
    n_warm_up = N_TOTAL // 10
    np.testing.assert_allclose(np.diff(factors("cosine", N_TOTAL)[: n_warm_up + 1]), 1 / (n_warm_up + 1))
    assert factors("cosine", N_TOTAL).argmax() == n_warm_up


def test_cosine_falls_from_one_to_almost_nothing():
    n_warm_up = N_TOTAL // 10
    fall = factors("cosine", N_TOTAL)[n_warm_up:]
    expected = [(1 + math.cos(math.pi * n / len(fall))) / 2 for n in range(len(fall))]
    np.testing.assert_allclose(fall, expected, rtol=1e-12)
    assert fall[0] == 1
    assert fall[-1] < 1e-3


def test_cosine_without_an_end_is_constant_after_its_warm_up():
    shares = factors("cosine", None, n_updates=3 * MIN_WARM_UP)
    assert (np.diff(shares[: MIN_WARM_UP + 1]) > 0).all()
    np.testing.assert_array_equal(shares[MIN_WARM_UP:], 1)


def test_cosine_past_its_end_stays_where_it_was():
    factor = SCHEDULES["cosine"].factor
    assert factor(N_TOTAL + 5, N_TOTAL) == factor(N_TOTAL - 1, N_TOTAL)


@pytest.mark.parametrize("name", ["constant", "adaptive"])
def test_a_plateau_counts_from_the_start_without_warm_up(name):
    assert SCHEDULES[name].counts_plateau(0, N_TOTAL, of_score=False)


def test_a_flat_loss_counts_only_once_the_cosine_is_below_half():
    schedule = SCHEDULES["cosine"]
    counts = [schedule.counts_plateau(n, N_TOTAL, of_score=False) for n in range(N_TOTAL)]
    n_warm_up = N_TOTAL // 10
    np.testing.assert_array_equal(counts[n_warm_up:], factors("cosine", N_TOTAL)[n_warm_up:] < 0.5)
    assert not any(counts[:n_warm_up])


def test_a_flat_score_counts_right_after_warm_up():
    schedule = SCHEDULES["cosine"]
    counts = [schedule.counts_plateau(n, N_TOTAL, of_score=True) for n in range(N_TOTAL)]
    np.testing.assert_array_equal(counts, np.arange(N_TOTAL) >= N_TOTAL // 10)


def test_without_an_end_a_flat_loss_counts_after_warm_up():
    schedule = SCHEDULES["cosine"]
    assert not schedule.counts_plateau(MIN_WARM_UP - 1, None, of_score=False)
    assert schedule.counts_plateau(MIN_WARM_UP, None, of_score=False)
