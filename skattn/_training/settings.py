"""Say how to train, and hold what training goes on from."""

import math
from dataclasses import dataclass, field

import numpy as np

from skattn._training.optimizers import Optimizer

SMALL_SET = 64
"""Samples up to which ``batch_size="auto"`` makes one batch."""

MIN_UPDATES, MAX_UPDATES = 300, 1500
"""Updates that ``max_iter="auto"`` aims at for the smallest sets and for a few hundred samples."""

MIN_EPOCHS = 20
"""Epochs that ``max_iter="auto"`` gives to large sets."""


@dataclass
class Settings:
    """How to train; the estimators' learning parameters under the same names.

    Attributes
    ----------
    optimizer : str
        A key of `skattn._training.optimizers.OPTIMIZERS`.
    learning_rate_init : float
        Highest learning rate.
    learning_rate : str
        A key of `skattn._training.schedules.SCHEDULES`.
    alpha : float
        Strength of weight decay (AdamW) or of the L2 penalty (Adam, SGD); never on norms and biases.
    batch_size : int or "auto"
        Samples an update; see `resolve_batch_size`.
    max_iter : int or "auto"
        Epochs; see `resolve_max_iter`.
    shuffle : bool
        Whether every epoch cuts its batches anew.
    tol, n_iter_no_change : float, int
        Training stops after this many epochs without an improvement by `tol`; see `train`.
    early_stopping : bool
        Whether the validation score decides when to stop and which parameters are kept.
    clip_norm : float
        Largest Euclidean norm of a gradient; longer ones are shortened. ``inf`` for none.
    verbose : int
        0: silent. 1: at most about 20 lines a fit. 2: none, for `Progress` shows a bar. 3: a line each epoch.
    label : str
        What such lines begin with.
    n_networks : int
        How many share the lines of a fit.
    n_jobs : int or None
        Threads, handed on to the network.
    """

    optimizer: str = "adamw"
    learning_rate_init: float = 1e-3
    learning_rate: str = "cosine"
    alpha: float = 0.01
    batch_size: int | str = "auto"
    max_iter: int | str = "auto"
    shuffle: bool = True
    tol: float = 1e-4
    n_iter_no_change: int = 10
    early_stopping: bool = False
    clip_norm: float = 1.0
    verbose: int = 0
    label: str = ""
    n_networks: int = 1
    n_jobs: int | None = None


@dataclass
class TrainingState:
    """Everything that training goes on from, besides the network; plain values, so it can be pickled.

    Start one with ``TrainingState(seed)``; hand the same one to `train` again to continue.

    Attributes
    ----------
    seed : int
        Non-negative; decides shuffling, dropout and hidden steps.
    optimizer : object or None
        Entry of `OPTIMIZERS` with its moments; made by the first `train`.
    n_epochs, n_updates : int
        Finished so far, over all calls.
    plan_start, plan_updates : int, int or None
        Update at which the schedule began, and the updates it spans; None when no end is known.
    rate : float
        Highest learning rate of the schedule; 0 where nothing has been learned, or a file does not tell.
    rate_scale : float
        What the rate is multiplied by; "adaptive" makes it less.
    reference : float
        Loss or score of the last real improvement, higher is better.
    n_flat_epochs : int
        Epochs since then.
    is_finished : bool
        Whether the plan ended before its last update, because training stood still.
    kept_score, kept_parameters : float, ndarray or None
        While training with early stopping: the best score, and the last parameters that reached it, or nearly.
    loss_curve, validation_scores : list of float
        One entry an epoch; scores only where there is validation.
    """

    seed: int
    optimizer: Optimizer | None = None
    n_epochs: int = 0
    n_updates: int = 0
    plan_start: int = 0
    plan_updates: int | None = None
    rate: float = 0.0
    rate_scale: float = 1.0
    reference: float = -math.inf
    n_flat_epochs: int = 0
    is_finished: bool = False
    kept_score: float = -math.inf
    kept_parameters: np.ndarray | None = None
    loss_curve: list = field(default_factory=list)
    validation_scores: list = field(default_factory=list)

    @property
    def n_plan_updates(self):
        """Updates since the schedule began."""
        return self.n_updates - self.plan_start

    def begin_plan(self, start, n_updates, rate):
        """Begin the schedule anew and forget plateaus; averages of gradients are kept."""
        self.plan_start, self.plan_updates, self.rate = start, n_updates, rate
        self.rate_scale, self.reference, self.n_flat_epochs, self.is_finished = 1.0, -math.inf, 0, False


def resolve_batch_size(batch_size, n_samples):
    """Samples an update; "auto" is one batch up to 64 samples, then 32, and up to 256 for large sets.

    Small batches learn better than large ones, but up to 64 samples one batch makes learning independent
    of how samples are ordered, and weighted instead of repeated. From 8,000 samples on the size doubles
    whenever the set grows fourfold. The size is never larger than the set.
    """
    if batch_size == "auto":
        if n_samples <= SMALL_SET:
            return n_samples
        batch_size = min(256, 32 * 2 ** int(math.log(max(1, n_samples / 2000), 4)))
    return min(batch_size, n_samples)


def resolve_max_iter(max_iter, n_samples, batch_size):
    """Epochs of a fit; "auto" counts updates: 300 for one batch, up to 1500 for a few hundred samples.

    Large sets get 20 epochs. With one batch the number does not depend on `n_samples`, so that weighting
    a sample is the same as repeating it.
    """
    if max_iter != "auto":
        return max_iter
    n_batches = -(-n_samples // resolve_batch_size(batch_size, n_samples))
    if n_batches == 1:
        return MIN_UPDATES
    n_updates = min(max(MIN_UPDATES, 5 * n_samples), MAX_UPDATES)
    return max(MIN_EPOCHS, -(-n_updates // n_batches))
