"""Stopping: patience in epochs and updates, rates divided on a plateau, best parameters kept."""

import numpy as np
import pytest
from linear_network import Samples

from skattn._training.settings import Settings, TrainingState
from skattn._training.stopping import MIN_PATIENCE, Watch

N_BATCHES = 10


class ScriptedNetwork:
    """Its only parameter is its score."""

    def __init__(self):
        self.parameters = np.zeros(1)


def weighted(weight):
    """Samples of which nothing but their weights matters."""
    return Samples(None, None, weight)


VALIDATION = (None, lambda network: network.parameters[0])


def count_epochs(settings, losses=None, scores=None, n_batches=N_BATCHES, plan_updates=None, state=None):
    """Epochs until the watch says stop; None when it never does. The parameter follows `scores`."""
    state = TrainingState(0) if state is None else state
    state.plan_updates = plan_updates
    network = ScriptedNetwork()
    watch = Watch(network, settings, state, None if scores is None else VALIDATION, n_batches)
    for epoch in range(len(scores if losses is None else losses)):
        if scores is not None:
            network.parameters[:] = scores[epoch]
        state.n_epochs += 1
        state.n_updates += n_batches
        loss = 1.0 if losses is None else losses[epoch]
        if watch.is_done(loss, watch.score(), state.n_plan_updates):
            watch.restore_best()
            return epoch + 1, network.parameters[0]
    watch.restore_best()
    return None, network.parameters[0]


def flat(n_epochs=200):
    return [1.0] * n_epochs


@pytest.mark.parametrize("patience", [7, 11])
def test_a_flat_loss_stops_after_the_patience(patience):
    settings = Settings(learning_rate="constant", n_iter_no_change=patience)
    assert count_epochs(settings, flat())[0] == patience + 1


def test_epochs_of_one_update_need_more_of_them_to_stop():
    settings = Settings(learning_rate="constant", n_iter_no_change=7)
    assert count_epochs(settings, flat(), n_batches=1)[0] == MIN_PATIENCE + 1


def test_gains_below_the_tolerance_add_up():
    """A loss that falls slowly but steadily is not flat."""
    settings = Settings(learning_rate="constant", n_iter_no_change=7, tol=1e-2)
    assert count_epochs(settings, np.linspace(1, 0, 301))[0] is None


def test_gains_that_stay_below_the_tolerance_are_none():
    settings = Settings(learning_rate="constant", n_iter_no_change=7, tol=1e-2)
    assert count_epochs(settings, np.linspace(1, 0.995, 301))[0] == 8


def test_a_flat_loss_does_not_stop_a_cosine_whose_rate_is_high():
    settings = Settings(learning_rate="cosine", n_iter_no_change=7)
    n_epochs = 100
    stopped, _ = count_epochs(settings, flat(), plan_updates=n_epochs * N_BATCHES)
    assert stopped > n_epochs / 2


def test_adaptive_divides_the_rate_before_it_stops():
    state, settings = TrainingState(0), Settings(learning_rate="adaptive", n_iter_no_change=7)
    stopped, _ = count_epochs(settings, flat(), state=state)
    assert state.rate_scale == pytest.approx(5.0**-5), "1e-3 / 5 ** 5 is the first rate below 1e-6"
    assert stopped == 1 + 7 * 6


def test_the_best_parameters_are_restored():
    settings = Settings(learning_rate="constant", early_stopping=True, n_iter_no_change=7)
    assert count_epochs(settings, scores=[0.1, 0.9, *[0.5] * 20]) == (9, 0.9)


def test_nothing_is_kept_beyond_the_end():
    """What another call's samples score is no measure for the next one's."""
    state = TrainingState(0)
    count_epochs(Settings(early_stopping=True), scores=[0.1, 0.9, 0.5], state=state)
    assert (-np.inf, None) == (state.kept_score, state.kept_parameters)


def test_of_equal_scores_the_later_parameters_are_kept():
    settings = Settings(early_stopping=True)
    network = ScriptedNetwork()
    watch = Watch(network, settings, TrainingState(0), (None, lambda network: 0.5), N_BATCHES)
    for value in (1.0, 2.0):
        network.parameters[:] = value
        watch.is_done(1.0, watch.score(), 0)
    network.parameters[:] = 3.0
    watch.restore_best()
    assert network.parameters[0] == 2.0


def test_a_score_without_early_stopping_decides_nothing():
    settings = Settings(learning_rate="constant", n_iter_no_change=7)
    scores = [0.9, *[0.1] * 30]
    losses = np.linspace(1, 0, len(scores))
    assert count_epochs(settings, losses, scores) == (None, 0.1)


def test_a_worse_continuation_cannot_lose_what_was_learned():
    settings = Settings(early_stopping=True)
    network, state = ScriptedNetwork(), TrainingState(0, n_epochs=3)
    network.parameters[:] = 0.9
    watch = Watch(network, settings, state, VALIDATION, N_BATCHES)
    network.parameters[:] = 0.4
    watch.is_done(1.0, watch.score(), 0)
    watch.restore_best()
    assert network.parameters[0] == 0.9


class ScriptedLosses(ScriptedNetwork):
    """Of four samples three have no loss, and the parameter is that of the fourth."""

    dtype = np.dtype(np.float64)

    def losses(self, data, target, n_jobs=None):
        return np.array([0.0, 0.0, 0.0, self.parameters[0]])


@pytest.mark.parametrize("weight, doubt", [(np.ones(4), 3**0.5 / 8), (np.array([1, 1, 1, 3]), 3**0.5 / 6)])
def test_the_doubt_of_a_mean_loss_is_its_standard_error(weight, doubt):
    network = ScriptedLosses()
    network.parameters[:] = 1.0
    watch = Watch(network, Settings(), TrainingState(0), (weighted(weight), None), N_BATCHES)
    watch.score()
    assert watch.doubt == pytest.approx(doubt)


@pytest.mark.parametrize("later, kept", [(3.0, 3.0), (9.0, 1.0)])
def test_of_losses_that_may_be_equal_the_later_parameters_are_kept(later, kept):
    """One sample of four that is taken for another is no reason to choose an early epoch."""
    network = ScriptedLosses()
    validation = weighted(np.ones(4)), None
    watch = Watch(network, Settings(early_stopping=True), TrainingState(0), validation, N_BATCHES)
    for loss in (1.0, later):
        network.parameters[:] = loss
        watch.is_done(1.0, watch.score(), 0)
    watch.restore_best()
    assert network.parameters[0] == kept
