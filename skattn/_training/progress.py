"""How far the networks of a fit are, all together: a bar, and a word where it will take hours."""

import math
import threading
import time

from skattn._training.bar import TOLD_AFTER, Bar

JUDGED_AFTER = 2.0
"""Seconds of updates, compilation not among them, from which the time of a fit is foretold."""

LONG = 3600.0
"""Seconds from which on a fit is long."""

WITH_BAR = 2
"""Of `verbose`: one bar for all networks."""

MANY_STEPS = 1 << 19
"""Steps whose tokens take seconds to make, which a line tells of."""


class Progress:
    """Counts the updates of all networks of a fit, in whichever threads they are taken.

    Parameters
    ----------
    verbose : int, default=0
        `WITH_BAR` shows a bar.
    n_networks : int, default=1
        How many there are to train; a network that has not begun counts as much as the longest that has.
    warn : callable (seconds), default=None
        Called once if the rest will take longer than `LONG`, judged by the first updates after compilation.
    clock : callable () -> float, default=None
        Seconds; None: `time.perf_counter`.
    """

    def __init__(self, verbose=0, n_networks=1, warn=None, clock=None):
        self.verbose, self.n_networks, self.warn = verbose, n_networks, warn
        self.clock = time.perf_counter if clock is None else clock
        self.lock, self.parts, self.bar = threading.Lock(), [], None
        # Since the first call, which may compile: when that was, and updates counted.
        self._since, self._n_counted = None, 0

    def begin(self, n_done, n_updates, n_batches):
        """Take note that a network begins, or goes on.

        Parameters
        ----------
        n_done : int
            Updates of its plan that were taken before.
        n_updates : int
            Of its plan, those among them.
        n_batches : int
            Updates an epoch.

        Returns
        -------
        part : Part
            Which is to be told what the network does.
        """
        with self.lock:
            part = Part(self, n_done, n_updates, n_batches)
            self.parts.append(part)
            self._begin_bar()
            self.show()
        return part

    def make_tokens(self, label, n_steps):
        """Take note that a stem makes tokens of so many steps, which may take a while, before its network begins."""
        with self.lock:
            self._begin_bar()
            if self.bar is not None and not self.parts:
                self.bar.show(0.0, "making tokens")
            elif self.verbose not in (0, WITH_BAR) and n_steps >= MANY_STEPS:
                print(f"{label}makes tokens of {n_steps} steps", flush=True)

    def _begin_bar(self):
        if self.verbose == WITH_BAR and self.bar is None:
            self.bar = Bar("fit", clock=self.clock)

    def end(self):
        """Leave the last line of the bar as it is, whatever ended the fit."""
        with self.lock:
            if self.bar is not None:
                self.bar.end()

    def moved(self, n, is_first):
        """Take note of so many more updates; `is_first` is a network's first call, which may have compiled."""
        now = self.clock()
        if self._since is None:
            self._since = now
        elif not is_first:
            self._n_counted += n
        if self.warn is not None and now - self._since >= JUDGED_AFTER and self._n_counted >= 2 * len(self.parts):
            self._judge(now)
        self.show()

    def _judge(self, now):
        """Say so, once, if the fit will take long."""
        warn, self.warn = self.warn, None
        seconds = self._seconds_left(now)
        if seconds >= LONG:
            if self.bar is not None:
                self.bar.hide()
            warn(seconds)

    def _seconds_left(self, now):
        """How long the rest will take; NaN where nothing is known yet."""
        if not self._n_counted or now < self._since + TOLD_AFTER:
            return math.nan
        return (self._total() - self._done()) * (now - self._since) / self._n_counted

    def _done(self):
        return sum(part.n_done for part in self.parts)

    def _total(self):
        return sum(part.n_updates for part in self.parts) + self._of_others("n_planned")

    def _of_others(self, name):
        """What networks that have not begun are taken to bring."""
        return (self.n_networks - len(self.parts)) * max(getattr(part, name) for part in self.parts)

    def show(self):
        """Show the bar, if there is one."""
        if self.bar is None:
            return
        done, total = self._done(), self._total()
        share = done / total if total else 1.0
        self.bar.show(share, self._note(done == total), self._seconds_left(self.clock()))

    def _note(self, is_over):
        """Epochs, and the means of the last losses and scores."""
        done, last = (sum(getattr(part, name) for part in self.parts) for name in ("epoch", "last_epoch"))
        note = f"epoch {done}/{last + self._of_others('last_epoch')}"
        note = note if self.n_networks == 1 else f"{self.n_networks} networks, {note}"
        for name, found in (("loss", "loss"), ("validation score", "score")):
            values = [getattr(part, found) for part in self.parts if getattr(part, found) is not None]
            if values:
                note += f"  {name} {sum(values) / len(values):.4f}"
        if is_over:
            return f"{note}  stopped: no improvement" if any(part.is_flat for part in self.parts) else note
        return f"{note}  starting" if self._since is None else note


class Part:
    """One network's share of a `Progress`, told what it does by the thread that trains it."""

    def __init__(self, progress, n_done, n_updates, n_batches):
        self.progress, self.n_done, self.n_updates, self.n_planned = progress, n_done, n_updates, n_updates
        self.epoch, self.last_epoch = n_done // n_batches, -(-n_updates // n_batches)
        self.loss, self.score, self.is_flat, self._is_first = None, None, False, True

    def updated(self, n):
        """So many updates were taken in a call."""
        with self.progress.lock:
            self.n_done += n
            is_first, self._is_first = self._is_first, False
            self.progress.moved(n, is_first)

    def finished_epoch(self, loss, score):
        """An epoch has ended, with its loss and its score, if there is one."""
        with self.progress.lock:
            self.epoch, self.loss, self.score = self.epoch + 1, loss, score

    def end(self, is_flat):
        """The network takes no more updates, perhaps because it stood still; what it did not need is not to come."""
        with self.progress.lock:
            self.is_flat = is_flat and self.n_done < self.n_updates
            self.n_updates = self.n_done
            self.progress.show()
