"""How far several networks are, and how long they will take, by a clock of the test."""

import re
from functools import partial

import pytest
from linear_network import LinearNetwork, Samples
from test_bar import Clock, Terminal
from test_loop import N_CLASSES, N_FEATURES, make_problem

from skattn._training import progress as progress_module
from skattn._training.bar import Bar
from skattn._training.loop import Settings, TrainingState, train
from skattn._training.progress import Progress


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "150")
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(progress_module, "Bar", partial(Bar, stream=terminal))
    return terminal


def take(part, clock, n_calls, seconds, n_updates=1):
    """So many calls of updates, each of which takes some seconds."""
    for _ in range(n_calls):
        clock.wait(seconds)
        part.updated(n_updates)


def test_within_an_epoch_it_is_told_how_far_it_is(clock, terminal):
    """An epoch of an hour is no silence of an hour."""
    part = Progress(2, clock=clock).begin(0, 2 * 1000, 1000)
    assert terminal.screen[0].endswith("0%  [>                       ]  epoch 0/2  starting  0:00")
    take(part, clock, 500, 1.0)
    assert "25%" in terminal.screen[0] and terminal.screen[0].endswith("epoch 0/2  8:20, 25:00 left")


def test_tokens_are_made_before_a_network_begins(clock, terminal, capsys, monkeypatch):
    progress = Progress(2, clock=clock)
    progress.make_tokens("", 10)
    clock.wait(7)
    progress.make_tokens("", 10)
    assert terminal.screen[0].endswith("0%  [>                       ]  making tokens  0:07")
    progress.begin(0, 20, 10)
    clock.wait(1)
    progress.make_tokens("", 10)
    progress.show()
    assert terminal.screen[0].endswith("epoch 0/2  starting  0:08"), "what networks do is told before what stems do"
    monkeypatch.setattr(progress_module, "MANY_STEPS", 10)
    for verbose, told in (
        (0, ""),
        (1, "network 2: makes tokens of 10 steps\n"),
        (2, ""),
        (3, "network 2: makes tokens of 10 steps\n"),
    ):
        one = Progress(verbose, clock=clock)
        one.make_tokens("network 2: ", 9)
        one.make_tokens("network 2: ", 10)
        assert capsys.readouterr().out == told


def test_epochs_losses_and_scores_are_told(clock, terminal):
    progress = Progress(2, clock=clock)
    part = progress.begin(0, 40, 10)
    take(part, clock, 10, 1.0)
    part.finished_epoch(0.5, -0.25)
    take(part, clock, 1, 1.0)
    assert "epoch 1/4  loss 0.5000  validation score -0.2500" in terminal.screen[0]


def test_several_networks_share_a_bar(clock, terminal):
    progress = Progress(2, n_networks=3, clock=clock)
    first, second = progress.begin(0, 40, 10), progress.begin(0, 40, 10)
    take(first, clock, 20, 1.0)
    take(second, clock, 10, 1.0)
    for part, loss in ((first, 0.5), (first, 0.25), (second, 0.75)):
        part.finished_epoch(loss, None)
    take(second, clock, 1, 1.0)
    assert 1 == len(terminal.screen)
    assert re.search(r"25%  .*3 networks, epoch 3/12  loss 0.5000  0:31, 1:3. left$", terminal.screen[0])


def test_what_was_done_before_counts_as_done_but_not_for_the_speed(clock, terminal):
    """As after a checkpoint: of three networks one is finished, one on its way, and one has not begun."""
    progress = Progress(2, n_networks=3, clock=clock)
    progress.begin(40, 40, 10).end(False)
    part = progress.begin(20, 40, 10)
    take(part, clock, 11, 2.0)
    assert re.search(r"59%  .*3 networks, epoch 6/12  0:22, 1:38 left$", terminal.screen[0])


def test_a_network_that_stands_still_has_nothing_left_to_do(clock, terminal):
    progress = Progress(2, clock=clock)
    part = progress.begin(0, 400, 10)
    take(part, clock, 10, 1.0)
    part.finished_epoch(0.5, None)
    part.end(True)
    progress.end()
    assert terminal.screen[0].endswith("epoch 1/40  loss 0.5000  stopped: no improvement  0:10")
    assert "100%" in terminal.screen[0] and "" == terminal.screen[1]


def test_a_plan_that_was_carried_out_did_not_stop(clock, terminal):
    progress = Progress(2, clock=clock)
    part = progress.begin(0, 3, 3)
    take(part, clock, 3, 1.0)
    part.end(True)
    progress.end()
    assert "stopped" not in terminal.getvalue() and "100%" in terminal.screen[0]


def test_with_nothing_to_do_all_is_done(clock, terminal):
    Progress(2, clock=clock).begin(0, 0, 7)
    assert "100%" in terminal.screen[0] and "starting" not in terminal.screen[0]


@pytest.mark.parametrize("verbose", [0, 1, 3])
def test_other_words_have_no_bar(clock, terminal, verbose):
    progress = Progress(verbose, clock=clock)
    part = progress.begin(0, 10, 5)
    take(part, clock, 5, 1.0)
    part.end(True)
    progress.end()
    assert "" == terminal.getvalue()


def test_of_a_long_fit_it_is_said_once_how_long(clock):
    """The first call compiles for a minute, which says nothing of those that follow."""
    told = []
    part = Progress(warn=told.append, clock=clock).begin(0, 10_001, 100)
    take(part, clock, 1, 60.0)
    assert [] == told
    take(part, clock, 500, 2.0)
    assert [pytest.approx(2.0 * (10_001 - 3))] == told


@pytest.mark.parametrize(("seconds", "is_long"), [(0.35, False), (0.37, True)])
def test_an_hour_is_long(clock, seconds, is_long):
    told = []
    part = Progress(warn=told.append, clock=clock).begin(0, 10_000, 100)
    take(part, clock, 1000, seconds)
    assert is_long == bool(told)


def test_networks_that_have_not_begun_are_counted_in(clock):
    told = []
    part = Progress(n_networks=3, warn=told.append, clock=clock).begin(0, 1000, 100)
    take(part, clock, 3, 2.0)
    assert [pytest.approx(2.0 * 2997)] == told


def test_networks_side_by_side_are_judged_together(clock):
    """Not by the one whose first call ends last, for that one has waited for the compiler."""
    told = []
    progress = Progress(n_networks=2, warn=told.append, clock=clock)
    parts = [progress.begin(0, 1000, 100) for _ in "12"]
    for part in parts * 2:
        take(part, clock, 1, 10.0)
    assert [] == told
    for part in parts:
        take(part, clock, 1, 10.0)
    assert [pytest.approx((2000 - 6) * 50 / 4)] == told or [pytest.approx((2000 - 5) * 40 / 3)] == told


def test_a_warning_is_not_written_into_the_bar(clock, terminal):
    part = Progress(2, warn=lambda seconds: terminal.write("careful\n"), clock=clock).begin(0, 10_000, 100)
    take(part, clock, 3, 60.0)
    assert "careful" == terminal.screen[0] and "fit" in terminal.screen[1]


@pytest.fixture
def parts(monkeypatch):
    """Those that networks have begun."""
    parts = []

    class Kept(progress_module.Part):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            parts.append(self)

    monkeypatch.setattr(progress_module, "Part", Kept)
    return parts


def train_with(parts, state, settings, network, **options):
    """Train by four batches an epoch, and give what was told of it."""
    data, target = make_problem()
    train(network, Samples(data, target), settings, state, progress=Progress(), **options)
    return parts[-1]


def test_the_loop_tells_of_every_call_and_every_epoch(parts):
    """And of what it does not need, where training stands still."""
    state = TrainingState(0)
    settings = Settings(max_iter=1000, batch_size=20, tol=10.0, n_iter_no_change=3, learning_rate="constant")
    part = train_with(parts, state, settings, LinearNetwork(N_FEATURES, N_CLASSES))
    assert 4000 == part.n_planned and state.n_updates == part.n_done == part.n_updates < 4000
    assert part.is_flat and state.n_epochs == part.epoch and state.loss_curve[-1] == part.loss


def test_the_loop_tells_of_what_was_done_before_it_was_stopped(parts):
    """But a new plan, and a pass, begin with nothing."""
    state, settings = TrainingState(0), Settings(max_iter=5, batch_size=20)
    network = LinearNetwork(N_FEATURES, N_CLASSES)
    train_with(parts, state, settings, network, on_epoch=lambda epoch, loss, score: epoch == 2)
    part = train_with(parts, state, settings, network, plan="resume")
    assert (20, 20, 5, 5) == (part.n_planned, part.n_done, part.epoch, part.last_epoch)
    part = train_with(parts, state, settings, network)
    assert (20, 20, 5) == (part.n_planned, part.n_done, part.last_epoch)
    part = train_with(parts, state, settings, network, plan="open", n_epochs=1)
    assert (4, 4, 1) == (part.n_planned, part.n_done, part.last_epoch)
