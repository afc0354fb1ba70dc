"""Say how large the learning rate is at each update, and what a plateau of the loss means."""

import math
from collections.abc import Callable
from dataclasses import dataclass

WARM_UP_SHARE = 0.1
"""Share of the planned updates during which the rate of "cosine" rises."""

MIN_WARM_UP = 10
"""Updates of warm-up when a plan is short or has no end."""

PLATEAU_DIVISOR = 5
"""What "adaptive" divides the rate by, as scikit-learn's multi-layer perceptron does."""

SMALLEST_RATE = 1e-6
"""Rate at which "adaptive" stops instead of dividing once more, as scikit-learn's does."""


@dataclass(frozen=True)
class Schedule:
    """One entry of `SCHEDULES`.

    Attributes
    ----------
    factor : callable (n_update, n_updates_total) -> float
        Share of ``learning_rate_init`` for the update numbered `n_update` from 0. `n_updates_total` is
        None when no end is known.
    count_warm_up : callable (n_updates_total) -> int
        Updates during which the rate still rises.
    anneals : bool
        Whether the rate falls by itself towards the planned end.
    divides_on_plateau : bool
        Whether a plateau divides the rate before it ends training.
    """

    factor: Callable
    count_warm_up: Callable
    anneals: bool = False
    divides_on_plateau: bool = False

    def counts_plateau(self, n_update, n_updates_total, *, of_score):
        """Whether standing still at this update says that training is done.

        Not during warm-up, when the rate is small. And not for a training loss while an annealed rate is
        above half of its top: what holds the loss up may be the rate, and a lower one is about to come. A
        validation score counts earlier, as the best parameters are kept.
        """
        if n_update < self.count_warm_up(n_updates_total):
            return False
        if of_score or n_updates_total is None or not self.anneals:
            return True
        return self.factor(n_update, n_updates_total) < 0.5


def constant_factor(n_update, n_updates_total):
    """The same rate throughout."""
    return 1.0


def no_warm_up(n_updates_total):
    """The top rate from the first update on."""
    return 0


def cosine_factor(n_update, n_updates_total):
    """Rise linearly, then fall along half a cosine to almost 0 at the last update.

    Without a known end the rate stays at its top after the warm-up; past a known end it stays where it was.

    Notes
    -----
    Cosine: Loshchilov & Hutter (2017), arXiv:1608.03983, equation 5. Linear warm-up: Goyal et al.
    (2017), arXiv:1706.02677, section 2.2.
    """
    n_warm_up = cosine_warm_up(n_updates_total)
    if n_update < n_warm_up:
        return (n_update + 1) / (n_warm_up + 1)
    if n_updates_total is None:
        return 1.0
    n_left = n_updates_total - n_warm_up
    return 0.5 * (1 + math.cos(math.pi * min(n_update - n_warm_up, n_left - 1) / n_left))


def cosine_warm_up(n_updates_total):
    """A tenth of the plan, but `MIN_WARM_UP` updates, unless that is more than half of it."""
    if n_updates_total is None:
        return MIN_WARM_UP
    return min(max(MIN_WARM_UP, int(WARM_UP_SHARE * n_updates_total)), n_updates_total // 2)


SCHEDULES = {
    "constant": Schedule(constant_factor, no_warm_up),
    "cosine": Schedule(cosine_factor, cosine_warm_up, anneals=True),
    "adaptive": Schedule(constant_factor, no_warm_up, divides_on_plateau=True),
}
"""Learning-rate schedules by name."""
