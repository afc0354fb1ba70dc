"""Take updates: cut epochs into batches, plan many updates at a time, and run them in compiled code."""

import time

import numpy as np

from skattn._training.descent import Descent
from skattn._training.schedules import SCHEDULES

__all__ = ["Diverged", "Updates"]

MOST_SECONDS = 0.1
"""Time that updates may take before Python hears of Ctrl-C again: what they do in a row is compiled."""

MOST_PLANNED = 1 << 14
"""Sequences whose updates are written down at once, about."""

MOST_STEPS = 1 << 20
"""Steps of these sequences, about: the longer they are, the more is written down of each, and the less it gains."""


class Updates:
    """Takes updates: planned many at a time, and run in compiled code, for `MOST_SECONDS` or one at a time.

    A plan outlives the epoch that it was made in, so nothing is written anew where somebody looks between epochs.
    """

    def __init__(self, network, samples, settings, state, n_batches, is_cancelled, part):
        self.settings, self.state, self.n_batches, self.is_cancelled = settings, state, n_batches, is_cancelled
        self.part, self.schedule = part, SCHEDULES[settings.learning_rate]
        self.weight, self.mean_weight = samples.weight, samples.weight.mean()
        self.learner = network.learner(samples.data, samples.target, state.seed, settings.n_jobs)
        parameters = network.parameters[: network.n_learned]
        self.descent = Descent(state.optimizer, parameters, network.n_decayed, settings.clip_norm)
        self.batches = Batches(len(self.weight), n_batches, settings.shuffle, state.seed)
        most = min(MOST_PLANNED, MOST_STEPS * len(self.weight) // int(samples.data.lengths.sum()))
        self.n_planned = max(1, most * n_batches // len(self.weight))
        # The first call is short, for nobody knows yet how long an update takes.
        self.n_a_call = 1
        self._forget()

    def run(self, n_epochs, n_left):
        """Pass over the samples some times; so many passes are left, these among them.

        Yields
        ------
        loss : float
            Mean loss of an epoch, every batch with the parameters it met.
        n_updates : int
            That there had been at its end. There may be more by now, of epochs that are yet to come.
        """
        if self.rate_scale != self.state.rate_scale:
            self._forget()
        n_updates = self.state.n_updates
        last, end = n_updates + n_epochs * self.n_batches, n_updates + n_left * self.n_batches
        total, n_met = 0.0, 0
        while self.state.n_updates < last:
            if self.descent.n_done == len(self.counts):
                self._plan(end - self.state.n_updates)
            done = self.descent.n_done
            error = self._call(done, min(len(self.counts), done + last - self.state.n_updates))
            new = slice(done, self.descent.n_done)
            for loss in (self.descent.losses[new] * self.counts[new]).tolist():
                total, n_met = total + loss, n_met + 1
                if n_met == self.n_batches:
                    n_updates += n_met
                    yield total / len(self.weight), n_updates
                    total, n_met = 0.0, 0
            if error is not None:
                raise error

    def _forget(self):
        """Drop what is planned and not taken yet."""
        self.batches.begin(self.state.n_epochs)
        self.descent.plan([])
        self.plan, self.counts, self.rate_scale = None, (), self.state.rate_scale

    def _plan(self, n_left):
        """Write down some updates, of so many that are left."""
        state, (order, self.counts) = self.state, self.batches.take(min(self.n_planned, n_left))
        numbers = range(state.n_plan_updates, state.n_plan_updates + len(self.counts))
        factors = [self.schedule.factor(number, state.plan_updates) * state.rate_scale for number in numbers]
        self.descent.plan([float(self.settings.learning_rate_init) * factor for factor in factors])
        weight = self.weight[order] / (self.mean_weight * self.counts).repeat(self.counts)
        self.plan = self.learner.plan(order, self.counts, weight, state.n_updates, self.descent)

    def _call(self, done, most):
        """Take some of the planned updates in compiled code, and count them; gives what is to be raised after that."""
        if self.is_cancelled is not None and self.is_cancelled():
            return KeyboardInterrupt()
        n, start, error = min(self.n_a_call, most - done), time.perf_counter(), None
        try:
            self.plan.run(done, done + n)
            self.part.updated(self.descent.n_done - done)
        except KeyboardInterrupt as interrupt:
            # It is heard before compiled code is entered, as soon as it is left, or while a line is written.
            error = interrupt
        self.state.n_updates += self.descent.count()
        if self.descent.stop[0] and error is None:
            number = self.descent.n_done
            found = f"loss={self.descent.losses[number]}, norm of the gradient={self.descent.norms[number]}"
            error = Diverged(found)
        n_within = MOST_SECONDS * n / (time.perf_counter() - start)
        self.n_a_call = int(min(max(n_within, 1), 2 * self.n_a_call))
        return error


class Batches:
    """Cuts one epoch after another into batches; sizes differ by one at most, so no small rest gets a full step."""

    def __init__(self, n_samples, n_batches, shuffle, seed):
        self.n_samples, self.n_batches, self.seed = n_samples, n_batches, seed
        self.shuffles = shuffle and n_batches > 1
        self.sizes = n_samples // n_batches + (np.arange(n_batches) < n_samples % n_batches)

    def begin(self, epoch):
        """Go on with the first batch of an epoch."""
        self.epoch, self.n_taken = epoch, 0

    def take(self, n):
        """Give the samples of up to `n` batches, one behind another, and their sizes: whole epochs, or within one."""
        n_epochs = 1 if self.n_taken else max(1, n // self.n_batches)
        if self.n_taken == 0:
            self.order = self._order(range(self.epoch, self.epoch + n_epochs))
        sizes = np.tile(self.sizes, n_epochs)[self.n_taken :][:n]
        order, self.order = np.split(self.order, [sizes.sum()])
        self.epoch, self.n_taken = divmod(self.epoch * self.n_batches + self.n_taken + len(sizes), self.n_batches)
        return order, sizes

    def _order(self, epochs):
        """Give the samples of some epochs in the order of each, one epoch behind another."""
        orders = np.tile(np.arange(self.n_samples, dtype=np.int64), (len(epochs), 1))
        if self.shuffles:
            for order, epoch in zip(orders, epochs, strict=True):
                np.random.default_rng([self.seed, epoch]).shuffle(order)
        return orders.ravel()


class Diverged(Exception):
    """A loss or a gradient that is not finite; says what was found."""
