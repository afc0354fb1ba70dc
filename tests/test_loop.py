"""The training loop on a linear model: resuming, weights, stopping, interruption, divergence."""

import math
import pickle
import re
from dataclasses import replace

import numpy as np
import pytest
from linear_network import LinearNetwork, Samples, make_rows

from skattn._training import updates
from skattn._training.loop import Settings, TrainingState, train
from skattn._training.objectives import OBJECTIVES
from skattn._training.optimizers import OPTIMIZERS
from skattn._training.schedules import SCHEDULES

N_FEATURES, N_CLASSES = 5, 3
SMALL, LARGE = 23, 71  # one batch, and several


def make_problem(n_samples=LARGE, seed=1):
    """Rows of three overlapping classes, and their encoded classes."""
    generator = np.random.default_rng(seed)
    classes = generator.integers(N_CLASSES, size=n_samples)
    centres = generator.normal(size=(N_CLASSES, N_FEATURES))
    features = centres[classes] + generator.normal(scale=0.5, size=(n_samples, N_FEATURES))
    return make_rows(features), classes[:, np.newaxis].astype(float)


def fit(problem=None, weight=None, network=None, state=None, settings=None, **options):
    """Train a fresh or a given network; what it and its state are afterwards."""
    data, target = make_problem() if problem is None else problem
    network = LinearNetwork(N_FEATURES, N_CLASSES) if network is None else network
    state = TrainingState(seed=7) if state is None else state
    settings = Settings(max_iter=6) if settings is None else settings
    train(network, Samples(data, target, weight), settings, state, **options)
    return network, state


def accuracy(network, data, target):
    """Share of samples whose largest output is their class."""
    return np.mean(network.forward(data, "outputs").argmax(axis=1) == target[:, 0])


def validation(score="accuracy", seed=2):
    data, target = make_problem(31, seed)
    return Samples(data, target), (lambda network: accuracy(network, data, target)) if score == "accuracy" else None


def stop_after(n_epochs):
    return lambda epoch, loss, score: epoch == n_epochs


@pytest.mark.parametrize("learning_rate", SCHEDULES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_and_schedule_learns(optimizer, learning_rate):
    rate = 0.1 if optimizer == "sgd" else 0.03
    settings = Settings(optimizer, rate, learning_rate, max_iter=60)
    network, state = fit(settings=settings)
    data, target = make_problem()
    assert state.loss_curve[-1] < 0.5 * state.loss_curve[0]
    assert accuracy(network, data, target) > 0.9


@pytest.mark.parametrize("learning_rate", SCHEDULES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_training_stopped_pickled_and_resumed_has_the_same_bits(optimizer, learning_rate):
    settings = Settings(optimizer, 0.01, learning_rate, max_iter=6)
    whole, whole_state = fit(settings=settings)
    halted = fit(settings=settings, on_epoch=stop_after(3))
    assert halted[1].n_epochs == 3
    network, state = pickle.loads(pickle.dumps(halted))
    fit(network=network, state=state, settings=settings, plan="resume")
    assert state.n_epochs == 6
    np.testing.assert_array_equal(network.parameters, whole.parameters)
    assert state.loss_curve == whole_state.loss_curve


@pytest.mark.parametrize("moment", [1, 5, None])
def test_early_stopping_resumed_stops_where_an_unbroken_one_does(moment):
    """None: after its last epoch, when nothing is left to do."""
    settings = Settings("sgd", 2.0, "constant", max_iter=200, early_stopping=True, n_iter_no_change=5)
    copies = []
    network, state = LinearNetwork(N_FEATURES, N_CLASSES), TrainingState(seed=7)
    whole = {"network": network, "state": state, "settings": settings, "validation": validation()}
    fit(**whole, on_epoch=lambda *_: copies.append(pickle.dumps((network, state))))
    resumed, resumed_state = pickle.loads(copies[-1 if moment is None else moment - 1])
    fit(**whole | {"network": resumed, "state": resumed_state}, plan="resume")
    assert 5 < state.n_epochs == resumed_state.n_epochs < 200
    np.testing.assert_array_equal(resumed.parameters, network.parameters)


def test_the_seed_decides_the_batches():
    same, _ = fit(state=TrainingState(seed=7))
    again, _ = fit(state=TrainingState(seed=7))
    other, _ = fit(state=TrainingState(seed=8))
    np.testing.assert_array_equal(same.parameters, again.parameters)
    assert (same.parameters != other.parameters).any()


def test_every_epoch_is_shuffled_anew_unless_told_otherwise():
    for shuffle in (True, False):
        seen = record_batches(settings=Settings(max_iter=2, shuffle=shuffle))
        epochs = np.concatenate(seen[: len(seen) // 2]), np.concatenate(seen[len(seen) // 2 :])
        np.testing.assert_array_equal(np.sort(epochs[0]), np.arange(LARGE))
        assert (epochs[0] != epochs[1]).any() == shuffle


def test_batches_are_of_almost_one_size():
    sizes = {len(ids) for ids in record_batches(settings=Settings(batch_size=14, max_iter=1))}
    assert sizes == {11, 12}, "71 samples in 6 batches, not 5 of 14 and one of 1"


@pytest.mark.parametrize("n_planned", [1, 50, 150])
@pytest.mark.parametrize("learning_rate", ["constant", "adaptive"])
@pytest.mark.parametrize("bound", ["MOST_PLANNED", "MOST_STEPS"])
def test_how_many_updates_are_planned_at_once_changes_no_bit(bound, n_planned, learning_rate, monkeypatch):
    """A batch, a part of an epoch, two epochs, or all; also where a rate is divided amid what is planned."""
    settings = Settings("sgd", 2.0, learning_rate, batch_size=14, max_iter=60)
    for options in ({}, {"validation": validation()}):
        expected, expected_state = fit(settings=settings, **options)
        with monkeypatch.context() as patch:
            patch.setattr(updates, bound, n_planned)
            actual, state = fit(settings=settings, **options)
        assert (learning_rate == "adaptive") == (state.rate_scale < 1)
        assert state.loss_curve == expected_state.loss_curve
        np.testing.assert_array_equal(actual.parameters, expected.parameters)


def test_a_plan_outlives_the_epochs_that_somebody_looks_at():
    assert record_plans(validation=validation(), on_epoch=stop_after(4)) == [6 * LARGE]


@pytest.mark.parametrize("bound", ["MOST_PLANNED", "MOST_STEPS"])
def test_no_more_is_planned_than_memory_should_hold(bound, monkeypatch):
    """Samples of one step each."""
    monkeypatch.setattr(updates, bound, 3 * LARGE + 5)
    seen = record_plans(settings=Settings(max_iter=7))
    assert seen == [3 * LARGE, 3 * LARGE, LARGE]


def record_plans(**options):
    """How many samples each plan is of."""
    seen = []

    class Recorder(LinearNetwork):
        def learner(self, *arguments):
            learner = super().learner(*arguments)
            plan = learner.plan
            learner.plan = lambda order, *others: seen.append(len(order)) or plan(order, *others)
            return learner

    fit(network=Recorder(N_FEATURES, N_CLASSES), **options)
    return seen


def test_one_batch_keeps_the_order_of_the_samples():
    for ids in record_batches(problem=make_problem(SMALL)):
        np.testing.assert_array_equal(ids, np.arange(SMALL))


def record_batches(**options):
    """The numbers of the samples in each batch."""
    seen = []

    class Recorder(LinearNetwork):
        def loss_and_gradient(self, data, target, weight, *, ids, **counters):
            seen.append(ids.copy())
            return super().loss_and_gradient(data, target, weight, ids=ids, **counters)

    fit(network=Recorder(N_FEATURES, N_CLASSES), **options)
    return seen


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_weighting_a_sample_is_repeating_it(optimizer):
    data, target = make_problem(SMALL)
    weight = np.random.default_rng(0).integers(4, size=SMALL)
    repeated = make_rows(data.features.repeat(weight, axis=0)), target.repeat(weight, axis=0)
    settings = Settings(optimizer, 0.01)
    actual, state = fit((data, target), weight, settings=settings)
    expected, expected_state = fit(repeated, settings=settings)
    assert state.n_updates == expected_state.n_updates
    np.testing.assert_allclose(actual.parameters, expected.parameters, rtol=1e-9)


@pytest.mark.parametrize("n_samples", [SMALL, LARGE])
def test_a_sample_of_weight_zero_is_absent(n_samples):
    """Even where its features are the wildest and batches are cut by chance."""
    data, target = make_problem(n_samples)
    kept = np.arange(n_samples) % 3 != 0
    features = np.where(kept[:, np.newaxis], data.features, 1e300)
    actual, state = fit((make_rows(features), target), kept.astype(float))
    expected, expected_state = fit((make_rows(features[kept]), target[kept]))
    np.testing.assert_array_equal(actual.parameters, expected.parameters)
    assert state.loss_curve == expected_state.loss_curve


@pytest.mark.parametrize("constant", [3.0, 1e-300, 1e300])
def test_only_ratios_of_weights_matter(constant):
    expected, _ = fit()
    actual, _ = fit(weight=np.full(LARGE, constant))
    np.testing.assert_array_equal(actual.parameters, expected.parameters)


def test_batches_of_weighted_samples_add_up_to_the_gradient_of_the_whole():
    """The mean over an epoch's batches is the gradient of the weighted mean loss."""
    data, target = make_problem()
    weight = np.random.default_rng(0).uniform(0.1, 3, size=LARGE)
    frozen = Settings("sgd", 0.0, "constant", max_iter=1)
    network, state = fit((data, target), weight, settings=frozen)
    expected = np.average(network.losses(data, target), weights=weight)
    assert state.loss_curve[0] == pytest.approx(expected, rel=1e-12)


def test_all_weights_zero_is_an_error():
    with pytest.raises(ValueError, match="sample weights are zero"):
        fit(weight=np.zeros(LARGE))


def test_early_stopping_ends_with_the_best_parameters():
    samples, score = validation()
    settings = Settings("sgd", 2.0, "constant", max_iter=200, early_stopping=True, n_iter_no_change=5)
    network, state = fit(settings=settings, validation=(samples, score))
    assert state.n_epochs < 200
    assert score(network) == max(state.validation_scores)
    assert len(state.validation_scores) == len(state.loss_curve) == state.n_epochs


def test_without_a_score_of_its_own_validation_is_minus_the_loss():
    samples, score = validation(score=None)
    network, state = fit(validation=(samples, score))
    assert state.validation_scores[-1] == pytest.approx(-network.losses(samples.data, samples.target).mean())


def test_a_flat_loss_stops_training_of_a_constant_rate():
    settings = Settings("adam", 0.03, "constant", tol=0.1, max_iter=500)
    assert fit(settings=settings)[1].n_epochs < 100


def test_interruption_goes_on_and_leaves_what_was_learned():
    expected, _ = fit(settings=Settings(learning_rate="constant", max_iter=3))

    def interrupt(epoch, loss, score):
        if epoch == 3:
            raise KeyboardInterrupt

    network, state = LinearNetwork(N_FEATURES, N_CLASSES), TrainingState(seed=7)
    settings = Settings(learning_rate="constant", max_iter=6)
    with pytest.raises(KeyboardInterrupt):
        fit(network=network, state=state, settings=settings, on_epoch=interrupt)
    np.testing.assert_array_equal(network.parameters, expected.parameters)
    assert state.n_epochs == len(state.loss_curve) == 3


def test_interruption_within_an_epoch_keeps_its_updates():
    class Interrupted(LinearNetwork):
        def loss_and_gradient(self, *arguments, n_update, **options):
            if n_update == 2:
                raise KeyboardInterrupt
            return super().loss_and_gradient(*arguments, n_update=n_update, **options)

    network, untrained = Interrupted(N_FEATURES, N_CLASSES), LinearNetwork(N_FEATURES, N_CLASSES)
    state = TrainingState(seed=7)
    with pytest.raises(KeyboardInterrupt):
        fit(network=network, state=state)
    assert (network.parameters != untrained.parameters).all()
    assert (state.n_epochs, state.n_updates) == (0, 2)


@pytest.mark.parametrize("when", range(4))
def test_an_epoch_that_was_half_written_down_does_not_count(when):
    """Interrupted before its loss, before its score, before its number, and after that."""

    class Curve(list):
        def append(self, value):
            if len(self) == 2 and when == marks.index((self is state.loss_curve, "before")):
                raise KeyboardInterrupt
            super().append(value)
            if len(self) == 3 and when == marks.index((self is state.loss_curve, "after")):
                raise KeyboardInterrupt

    marks = [(True, "before"), (True, "after"), (False, "before"), (False, "after")]
    state = TrainingState(seed=7)
    state.loss_curve, state.validation_scores = Curve(), Curve()
    with pytest.raises(KeyboardInterrupt):
        fit(state=state, validation=validation())
    assert 2 == state.n_epochs == len(state.loss_curve) == len(state.validation_scores)


def test_interrupted_early_stopping_still_restores_the_best():
    def interrupt(epoch, loss, score):
        if epoch == 5:
            raise KeyboardInterrupt

    samples, score = validation()
    settings = Settings("sgd", 2.0, "constant", max_iter=50, early_stopping=True)
    network, state = LinearNetwork(N_FEATURES, N_CLASSES), TrainingState(seed=7)
    with pytest.raises(KeyboardInterrupt):
        fit(
            network=network,
            state=state,
            settings=settings,
            validation=(samples, score),
            on_epoch=interrupt,
        )
    assert score(network) == max(state.validation_scores)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_numbers_that_are_not_finite_name_the_epoch_and_a_way_out(bad, where):
    class Diverging(LinearNetwork):
        def loss_and_gradient(self, *arguments, n_update, **options):
            loss, gradient = super().loss_and_gradient(*arguments, n_update=n_update, **options)
            if n_update < 7:
                return loss, gradient
            return (bad, gradient) if where == "loss" else (loss, np.full_like(gradient, bad))

    with pytest.raises(ValueError, match=r"epoch 3, after 7 updates.*lower learning_rate_init.*scale"):
        fit(network=Diverging(N_FEATURES, N_CLASSES))


def test_a_score_that_is_no_number_is_refused():
    samples, _ = validation()
    with pytest.raises(ValueError, match="diverged in epoch 1.*: validation score=nan"):
        fit(validation=(samples, lambda network: math.nan))


def test_an_absurd_rate_diverges_with_an_error_instead_of_infinite_parameters():
    network = LinearNetwork(N_FEATURES, N_CLASSES, dtype=np.float32)
    with pytest.raises(ValueError, match="diverged in epoch 1"):
        fit(network=network, settings=Settings(learning_rate_init=1e60, max_iter=1))


def test_parameters_that_overflow_in_the_last_update_are_noticed():
    """No later batch could show it: the loss and the gradient of the only one are finite."""
    network = LinearNetwork(N_FEATURES, N_CLASSES, dtype=np.float32)
    with pytest.raises(ValueError, match="parameters that are not finite"):
        fit(make_problem(SMALL), network=network, settings=Settings(learning_rate_init=1e60, max_iter=1))


def test_averages_that_a_penalty_makes_overflow_are_noticed():
    """Steps shrink with them, so parameters stay finite, and no file could be loaded again."""
    network = LinearNetwork(N_FEATURES, N_CLASSES, dtype=np.float32)
    with pytest.raises(ValueError, match="averages of gradients that are not finite, with alpha=1e[+]30"):
        fit(make_problem(SMALL), network=network, settings=Settings(optimizer="adam", alpha=1e30, max_iter=3))


def test_an_epoch_reports_its_number_loss_and_score():
    seen = []
    _, state = fit(validation=validation(), on_epoch=lambda *news: seen.append(news))
    assert seen == list(zip(range(1, 7), state.loss_curve, state.validation_scores, strict=True))


def test_partial_fit_keeps_the_rate_up():
    """Without a planned end five calls of an epoch are one call of five."""
    settings = Settings(max_iter=5)
    whole, _ = fit(settings=settings, n_epochs=5, plan="open")
    network, state = LinearNetwork(N_FEATURES, N_CLASSES), TrainingState(seed=7)
    for _ in range(5):
        fit(network=network, state=state, settings=settings, n_epochs=1, plan="open")
    np.testing.assert_array_equal(network.parameters, whole.parameters)


def test_partial_fit_after_fit_starts_at_the_full_rate():
    """Neither the end of the cosine nor what plateaus took away is left over."""
    for learning_rate in ("cosine", "adaptive"):
        settings = Settings(learning_rate=learning_rate, max_iter=3)
        network, state = fit(settings=settings)
        state.rate_scale = 1e-3
        before = network.parameters.copy()
        fit(network=network, state=state, settings=settings, n_epochs=1, plan="open")
        assert state.plan_updates is None
        assert np.abs(network.parameters - before).max() > settings.learning_rate_init


def test_a_divided_rate_moves_less():
    moves = []
    for rate_scale in (1.0, 0.1):
        network, untrained = LinearNetwork(N_FEATURES, N_CLASSES), LinearNetwork(N_FEATURES, N_CLASSES)
        state = TrainingState(seed=7, rate_scale=rate_scale)
        settings = Settings("sgd", learning_rate="adaptive", alpha=0.0, batch_size=LARGE)
        fit(network=network, state=state, settings=settings, n_epochs=1, plan="open")
        moves.append(network.parameters - untrained.parameters)
    np.testing.assert_allclose(moves[1], 0.1 * moves[0], rtol=1e-9)


def test_a_warm_start_plans_anew_and_keeps_the_averages():
    network, state = fit()
    n_updates, optimizer = state.n_updates, state.optimizer
    fit(network=network, state=state)
    assert state.plan_start == n_updates
    assert state.optimizer is optimizer
    assert state.n_epochs == 12


def test_another_optimizer_begins_with_fresh_averages():
    network, state = fit()
    fit(network=network, state=state, settings=Settings("sgd", max_iter=2))
    assert type(state.optimizer) is OPTIMIZERS["sgd"]


def test_a_changed_alpha_is_obeyed_by_a_warm_start():
    network, state = fit()
    fit(network=network, state=state, settings=Settings(alpha=0.5, max_iter=1))
    assert state.optimizer.alpha == 0.5


def test_the_number_of_a_rate_decides_not_its_type():
    """A rate from a NumPy grid gives the bits of the same Python number."""
    networks = [
        fit(
            network=LinearNetwork(N_FEATURES, N_CLASSES, dtype=np.float32),
            settings=Settings(learning_rate_init=number(0.01), alpha=number(0.1), max_iter=3),
        )[0]
        for number in (float, np.float64)
    ]
    np.testing.assert_array_equal(networks[0].parameters, networks[1].parameters)


def test_squared_error_fits_a_line():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(LARGE, N_FEATURES))
    y = features @ [1.0, -2.0, 3.0, 0.0, 5.0] + 7
    objective = OBJECTIVES["squared_error"]
    target = objective.learn_target(y, None, None)
    data, encoded = make_rows(features), objective.encode(y, target)
    network = LinearNetwork(N_FEATURES, 1, loss="squared_error")
    fit((data, encoded), network=network, settings=Settings("adam", 0.03, alpha=0.0))
    np.testing.assert_allclose(objective.predict(network.forward(data, "outputs"), target), y, atol=1e-2)


@pytest.mark.parametrize(("verbose", "fewest", "most"), [(0, 0, 0), (1, 15, 22), (2, 0, 0), (3, 100, 100)])
def test_verbose_says_how_training_goes(capsys, verbose, fewest, most):
    settings = Settings(max_iter=100, tol=0, verbose=verbose)
    fit(settings=settings, validation=validation())
    lines = capsys.readouterr().out.splitlines()
    assert fewest <= len(lines) <= most
    for line in lines:
        assert re.fullmatch(r"epoch \d+/100  loss \d+\.\d+  validation score \d\.\d+  \d+\.\d s", line)


def test_settings_are_not_altered():
    settings = Settings(max_iter=2, learning_rate="adaptive")
    before = replace(settings)
    fit(settings=settings)
    assert settings == before
