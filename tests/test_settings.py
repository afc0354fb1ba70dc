"""The rules behind "auto", and what a training state says of itself."""

import math

import pytest

from skattn._training.settings import (
    MAX_UPDATES,
    MIN_EPOCHS,
    MIN_UPDATES,
    SMALL_SET,
    TrainingState,
    resolve_batch_size,
    resolve_max_iter,
)

SIZES = [1, 2, 15, 30, SMALL_SET, SMALL_SET + 1, 100, 270, 1000, 7494, 8000, 10**5, 10**7]


def count_updates(n_samples, batch_size="auto"):
    n_batches = math.ceil(n_samples / resolve_batch_size(batch_size, n_samples))
    return resolve_max_iter("auto", n_samples, batch_size) * n_batches


@pytest.mark.parametrize("n_samples", [1, 15, 30, SMALL_SET])
def test_a_small_set_is_one_batch_with_one_number_of_updates(n_samples):
    """So weighting and repeating samples train alike."""
    assert resolve_batch_size("auto", n_samples) == n_samples
    assert count_updates(n_samples) == MIN_UPDATES


def test_whoever_asks_for_one_batch_gets_the_same_number_of_updates():
    assert count_updates(700, batch_size=700) == count_updates(1400, batch_size=1400) == MIN_UPDATES


def test_batches_grow_slowly_with_the_set():
    sizes = [resolve_batch_size("auto", n) for n in SIZES if n > SMALL_SET]
    assert sizes == sorted(sizes)
    assert sizes[0] == 32
    assert sizes[-1] == 256


@pytest.mark.parametrize("n_samples", SIZES)
def test_every_fit_has_enough_updates_and_no_more_epochs_than_it_needs(n_samples):
    assert count_updates(n_samples) >= min(MIN_UPDATES, 5 * n_samples) or n_samples <= SMALL_SET
    assert count_updates(n_samples) >= MIN_UPDATES
    if n_samples <= 10**3:
        assert count_updates(n_samples) <= MAX_UPDATES * 1.1
    assert resolve_max_iter("auto", n_samples, "auto") >= MIN_EPOCHS


def test_numbers_are_taken_as_given():
    assert resolve_batch_size(7, 100) == 7
    assert resolve_max_iter(3, 100, 7) == 3


def test_a_batch_is_no_larger_than_the_set():
    assert resolve_batch_size(200, 30) == 30


def test_a_new_plan_is_not_finished():
    state = TrainingState(0, n_updates=7, plan_updates=9, n_flat_epochs=3, is_finished=True)
    state.begin_plan(7, 5, 0.02)
    assert (False, 0, 5, 0) == (state.is_finished, state.n_flat_epochs, state.plan_updates, state.n_plan_updates)
