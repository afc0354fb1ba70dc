"""Train a network: epochs of batches, early stopping, interruption and divergence."""

import math
import time
from dataclasses import replace

import numpy as np

from skattn._training.optimizers import OPTIMIZERS
from skattn._training.progress import WITH_BAR, Progress
from skattn._training.settings import Settings, TrainingState, resolve_batch_size, resolve_max_iter
from skattn._training.stopping import Watch
from skattn._training.updates import Diverged, Updates

__all__ = ["Settings", "TrainingState", "resolve_batch_size", "resolve_max_iter", "train"]

LARGE = 1e3
"""Size of a weight from which on training may have diverged; features being standardised, few exceed 10."""

N_LINES = 20
"""Lines that ``verbose=1`` prints at most, besides the first and the last epoch of each network."""


def train(
    network,
    samples,
    settings,
    state,
    *,
    n_epochs=None,
    plan="new",
    validation=None,
    before_epoch=None,
    on_epoch=None,
    is_cancelled=None,
    progress=None,
):
    """Move ``network.parameters`` for some epochs; `state` is updated in place.

    Parameters
    ----------
    network : Network
        ``parameters``, ``n_decayed``, ``n_learned``, ``dtype``, ``learner``; to validate ``forward`` and ``losses``.
    samples : Samples
        A data class with ``take(indices)`` and the fields ``data``, with ``starts``, ``lengths`` and ``values``;
        ``target``, of shape (n_samples, n_target) as the objective encodes it, or None; ``weight``, of shape
        (n_samples,) and non-negative. Only ratios of weights matter, and a sample of weight zero is as if it were
        absent.
    settings : Settings
    state : TrainingState
    n_epochs : int, optional
        Epochs of this call; by default what ``settings.max_iter`` says (``plan="resume"``: what is left).
    plan : {"new", "open", "resume"}
        What the learning-rate schedule spans. "new": this call's epochs (``fit``, also with ``warm_start``).
        "open": no end is known (``partial_fit``). "resume": go on where an earlier call was stopped.
    validation : tuple (samples, score), optional
        And a callable ``(network) -> float``, higher being better, or None for minus the mean loss.
        Scored after every epoch; only with ``settings.early_stopping`` does it decide anything.
    before_epoch : callable (n_left), optional
        Called before every epoch with how many are to come, this one among them. Only with `on_epoch`.
    on_epoch : callable (epoch, loss, score) -> bool, optional
        Called after every epoch, when `network` and `state` are all that ``plan="resume"`` goes on from;
        `epoch` counts all epochs of `state` from 1, `score` is None without validation. True stops.
    is_cancelled : callable () -> bool, optional
        Asked every `updates.MOST_SECONDS` or so; True is as good as Ctrl-C.
    progress : Progress, optional
        Told every `updates.MOST_SECONDS` or so how far it is; that of all networks that are trained for one fit.

    Raises
    ------
    ValueError
        If the loss, its gradient or the score is not finite any more, or all weights are zero.
    KeyboardInterrupt
        On Ctrl-C. `network` and `state` then are what was learned until then, the best parameters where there
        is early stopping, and ``state.n_updates`` tells whether that is anything.

    Notes
    -----
    Training stops early once `n_iter_no_change` epochs, and at least `stopping.MIN_PATIENCE` updates, have
    gone by without an improvement by more than `tol`: of the validation score with early stopping, else of
    the training loss; `Schedule.counts_plateau` says which epochs count. "adaptive" first divides the rate.

    The order of samples depends on the seed and the number of the epoch alone, so a training that was
    stopped, pickled and resumed ends with the same bits. If one batch holds all samples, they keep their
    order, and weighting a sample is the same as repeating it, but for rounding.
    """
    samples = _prepare(samples)
    n_samples = len(samples.weight)
    n_batches = -(-n_samples // resolve_batch_size(settings.batch_size, n_samples))
    n_epochs = _begin_plan(settings, state, plan, n_epochs, n_samples, n_batches)
    _prepare_optimizer(network, settings, state)
    watch = Watch(network, settings, state, validation, n_batches)
    report = _Report(settings, state.n_epochs, n_epochs)
    progress = Progress() if progress is None else progress
    n_before = state.n_plan_updates if plan == "resume" else 0
    part = progress.begin(n_before, n_before + n_epochs * n_batches, n_batches)
    n_more_scores = len(state.validation_scores) - state.n_epochs
    updates = Updates(network, samples, settings, state, n_batches, is_cancelled, part)
    try:
        while n_epochs > 0:
            # Epochs after which nobody looks up run in a row.
            n_ahead = 1 if validation or on_epoch else min(n_epochs, watch.n_epochs_before_the_end)
            if before_epoch:
                before_epoch(n_epochs)
            for loss, n_updates in updates.run(n_ahead, n_epochs):
                is_over = _finish_epoch(loss, n_updates, watch, report, part, settings, state, on_epoch)
            n_epochs -= n_ahead
            if is_over:
                break
        watch.restore_best()
        part.end(state.is_finished)
        _refuse_overflow(network, samples, settings, state)
    except Diverged as found:
        raise _diverged(settings, state, found) from None
    except KeyboardInterrupt:
        # It may have come while an epoch was written down: what counts is how many were.
        del state.loss_curve[state.n_epochs :], state.validation_scores[state.n_epochs + n_more_scores :]
        watch.restore_best()
        raise


def _prepare(samples):
    """Drop samples of weight zero; weights with maximum 1, so that their scale cannot matter."""
    kept = np.flatnonzero(samples.weight)
    if len(kept) == 0:
        raise ValueError("All sample weights are zero: nothing to learn from; give some a weight.")
    if len(kept) < len(samples.weight):
        samples = samples.take(kept)
    return replace(samples, weight=samples.weight / samples.weight.max())


def _begin_plan(settings, state, plan, n_epochs, n_samples, n_batches):
    """Number of epochs of this call; says in `state` where the schedule begins and ends."""
    if plan == "resume" and n_epochs is None:
        return 0 if state.is_finished else -(-(state.plan_updates - state.n_plan_updates) // n_batches)
    if n_epochs is None:
        n_epochs = resolve_max_iter(settings.max_iter, n_samples, settings.batch_size)
    if plan == "new":
        state.begin_plan(state.n_updates, n_epochs * n_batches, settings.learning_rate_init)
    elif plan == "open" and state.plan_updates is not None:
        state.begin_plan(0, None, settings.learning_rate_init)
    return n_epochs


def _prepare_optimizer(network, settings, state):
    """Continue the optimiser's averages, unless another one is asked for."""
    kind, parameters = OPTIMIZERS[settings.optimizer], network.parameters[: network.n_learned]
    if type(state.optimizer) is not kind or not state.optimizer.fits(parameters):
        state.optimizer = kind(parameters.size, parameters.dtype)
    state.optimizer.alpha = float(settings.alpha)
    state.optimizer.ensure_writeable()


def _finish_epoch(loss, n_updates, watch, report, part, settings, state, on_epoch):
    """Score, record and report an epoch; True when training should stop."""
    # Where updates of a later epoch are taken already, these have met the parameters of this one.
    is_now = n_updates == state.n_updates
    if is_now and not np.isfinite(watch.network.parameters).all():
        raise _diverged(settings, state, "parameters that are not finite")
    if is_now and not state.optimizer.is_finite():
        raise _diverged(settings, state, f"averages of gradients that are not finite, with alpha={settings.alpha:g}")
    score = watch.score()
    if score is not None and not math.isfinite(score):
        raise _diverged(settings, state, f"validation score={score}")
    state.loss_curve.append(loss)
    if score is not None:
        state.validation_scores.append(score)
    state.n_epochs += 1
    state.is_finished = watch.is_done(loss, score, n_updates - state.plan_start)
    report.epoch(state.n_epochs, loss, score, state.is_finished)
    part.finished_epoch(loss, score)
    is_asked = on_epoch is not None and on_epoch(state.n_epochs, loss, score)
    return state.is_finished or bool(is_asked)


def _refuse_overflow(network, samples, settings, state):
    """After its last update nobody has looked at what the network computes; worth a look if weights are large."""
    largest = np.abs(network.parameters).max()
    if largest < LARGE:
        return
    with np.errstate(over="ignore", invalid="ignore"):
        losses = network.losses(samples.data, samples.target, n_jobs=settings.n_jobs)
    if not np.isfinite(losses).all():
        raise _diverged(settings, state, f"weights as large as {largest:.2g}, and a loss that is not finite")


def _diverged(settings, state, found):
    """The error for numbers that are not finite any more."""
    return ValueError(
        f"Training diverged in epoch {state.n_epochs + 1}, after {state.n_updates} updates: {found}. "
        f"Try a lower learning_rate_init (now {settings.learning_rate_init:g}) or alpha, and scale X and y or clip "
        "their extreme values."
    )


class _Report:
    """Prints how training goes, at most `N_LINES` evenly spaced epochs unless all are asked for."""

    def __init__(self, settings, n_before, n_epochs):
        self.verbose, self.label = settings.verbose, settings.label
        self.last = n_before + n_epochs
        self.every = 1 if self.verbose > WITH_BAR else max(1, -(-n_epochs * settings.n_networks // N_LINES))
        self.next = n_before + 1
        self.start = time.perf_counter()

    def epoch(self, epoch, loss, score, is_done):
        """A line for the first, the last and evenly spaced epochs."""
        if self.verbose in (0, WITH_BAR) or not (epoch >= self.next or epoch == self.last or is_done):
            return
        self.next = epoch + self.every
        score_text = "" if score is None else f"  validation score {score:.4f}"
        end = "  stopped: no improvement" if is_done and epoch < self.last else ""
        seconds = time.perf_counter() - self.start
        print(f"{self.label}epoch {epoch}/{self.last}  loss {loss:.4f}{score_text}  {seconds:.1f} s{end}", flush=True)
