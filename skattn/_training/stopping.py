"""Notice when training stands still, and keep the best parameters seen."""

import math

import numpy as np

from skattn._training.schedules import PLATEAU_DIVISOR, SCHEDULES, SMALLEST_RATE

MIN_PATIENCE = 50
"""Updates without improvement before anything stops: an epoch of a small set is a single update."""


class Watch:
    """Follows one call of `train`, from before its first epoch to its end.

    With early stopping and validation data it follows the validation score, else the training loss.
    Counters and what is kept live in the `TrainingState`, so that a resumed training stops where an unbroken one does.

    Parameters
    ----------
    network, settings, state, validation
        As in `train`.
    n_batches : int
        Updates an epoch.
    """

    def __init__(self, network, settings, state, validation, n_batches):
        self.network = network
        self.settings = settings
        self.state = state
        self.validation = validation
        self.schedule = SCHEDULES[settings.learning_rate]
        self.patience = max(settings.n_iter_no_change, math.ceil(MIN_PATIENCE / n_batches))
        self.doubt = 0.0
        self.of_score = settings.early_stopping and validation is not None
        if self.of_score and state.n_epochs > 0:
            # What an earlier call learned must not be lost to a worse continuation.
            self._keep_best(self.score())

    def score(self):
        """Validation score of the parameters as they are, higher is better; None without validation.

        `doubt` is then the standard error of the mean loss, and 0 for other scores.
        """
        if self.validation is None:
            return None
        samples, score = self.validation
        if score is not None:
            return score(self.network)
        losses, weight = self.network.losses(samples.data, samples.target, self.settings.n_jobs), samples.weight
        mean = np.average(losses, weights=weight)
        self.doubt = float(np.sqrt(np.sum((weight * (losses - mean)) ** 2)) / weight.sum())
        return -float(mean)

    def is_done(self, loss, score, n_plan_updates):
        """Take note of an epoch's loss and score after so many updates of the plan; True when training should stop."""
        if self.of_score:
            self._keep_best(score)
        state, value = self.state, score if self.of_score else -loss
        # Compared with the last real improvement, not with the best so far: many small gains add up.
        if value > state.reference + self.settings.tol:
            state.reference = value
            state.n_flat_epochs = 0
        elif self.schedule.counts_plateau(n_plan_updates, state.plan_updates, of_score=self.of_score):
            state.n_flat_epochs += 1
        if state.n_flat_epochs < self.patience:
            return False
        return not self._divide_rate()

    @property
    def n_epochs_before_the_end(self):
        """How many epochs there are at least until training may be said to stand still."""
        return max(1, self.patience - self.state.n_flat_epochs)

    def restore_best(self):
        """Put the best parameters back into the network, if a score chose any; they are not kept any longer."""
        state = self.state
        if state.kept_parameters is not None:
            self.network.parameters[:] = state.kept_parameters
        state.kept_score, state.kept_parameters = -math.inf, None

    def _keep_best(self, score):
        """Of scores that may be equal the later wins: it has been trained for longer.

        Notes
        -----
        The rule of one standard error: Breiman, Friedman, Olshen & Stone (1984), section 3.4.3. A few rare samples that
        are taken for others decide the mean loss, and would choose an early epoch by chance.
        """
        if score >= self.state.kept_score - self.doubt:
            self.state.kept_parameters = self.network.parameters.copy()
        self.state.kept_score = max(score, self.state.kept_score)

    def _divide_rate(self):
        """Go on with a smaller rate where the schedule says so; False when there is none left."""
        state = self.state
        rate = self.settings.learning_rate_init * state.rate_scale
        if not self.schedule.divides_on_plateau or rate <= SMALLEST_RATE:
            return False
        state.rate_scale /= PLATEAU_DIVISOR
        state.n_flat_epochs = 0
        return True
