"""Train the networks of a model, each on what its own stem makes of the samples."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import config_context, get_config

from skattn._kernels.parallel import n_workers
from skattn._long_fits import warn_of_hours
from skattn._network.network import Network
from skattn._training.calibrate import calibrate_quantiles, held_out
from skattn._training.loop import train
from skattn._training.objectives import OBJECTIVES
from skattn._training.progress import Progress
from skattn._training.readout import refit_outputs
from skattn._training.together import train_together
from skattn.callbacks import FitCallbacks
from skattn.levels import relative
from skattn.model import Model, Samples
from skattn.parameters import resolve_settings
from skattn.step_target import StepTarget
from skattn.validation import make_score

if TYPE_CHECKING:
    from skattn.checkpoint import Checkpoint

KEPT_BYTES = 1 << 29
"""Tokens that each network keeps for a whole fit; more are computed anew for every batch."""


_OUTPUTS = {"head.weight", "head.bias"}
"""Weights that are found anew, or moved, when training has ended, unless they are frozen."""


def train_all(
    estimator: Any,
    model: Model,
    learned: Samples,
    validation: Samples | None,
    n_epochs: int | None,
    plan: str,
    checkpoint: "Checkpoint | None",
    resumes: bool,
    goes_on: bool,
    callbacks: FitCallbacks | None = None,
) -> None:
    """Train the networks side by side; one after another where there is one core, or a checkpoint or a callback.

    A file holds what all networks go on from, which is so between epochs only.

    Parameters
    ----------
    estimator : SelfAttentionEstimator
    model : Model
        Its networks are changed in place.
    learned, validation : Samples, Samples or None
    n_epochs, plan
        See `train`.
    checkpoint : Checkpoint or None
        Written after every epoch.
    resumes : bool
        Whether the model was restored from it.
    goes_on : bool
        Whether the networks have learned from other samples, which outputs of these alone would forget.
    callbacks : FitCallbacks, optional
        Called before and after every epoch, by one thread. Networks that they leave untrained are no part of the
        model any more.
    """
    n_networks, n_threads = len(model.members), n_workers(estimator.n_jobs)
    is_shared = n_networks > 1 and n_threads > 1 and checkpoint is None and callbacks is None
    # Settled once: to ask joblib before every update would read files of the system each time.
    n_jobs = max(1, n_threads // n_networks) if is_shared else n_threads
    refits = plan == "new" and not goes_on and not estimator.early_stopping
    stays = "head.bias" in model.network.architecture.frozen
    calibrates = plan == "new" and not goes_on and bool(model.target.quantiles) and not stays
    parts = [_part(learned, number, calibrates and validation is None) for number in range(n_networks)]
    hours = partial(warn_of_hours, estimator, model, learned, plan == "open")
    progress = Progress(estimator.verbose, n_networks, hours)
    config = get_config()  # a thread of its own would have scikit-learn's defaults

    def task(number: int, is_cancelled: Callable[[], bool] | None = None) -> None:
        # A network that a killed fit had not come to begins like any other.
        begun = resumes and model.members[number].state.plan_updates is not None
        with config_context(**config):
            how = "resume" if begun else plan
            given = parts[number][0], validation, n_epochs, how, checkpoint, n_jobs, is_cancelled
            _train(estimator, model, number, *given, progress, callbacks, refits=refits)

    try:
        if is_shared:
            train_together([partial(task, number) for number in range(n_networks)])
        else:
            _train_in_turn(task, model, plan, callbacks)
    finally:
        progress.end()
    parts = parts[: len(model.members)]
    judged = [validation or part for _, part in parts]
    if calibrates and all(len(part.weight) for part in judged):
        networks = [member.network for member in model.members]
        judged = [_encode(part, model, network, n_threads) for part, network in zip(judged, networks, strict=True)]
        calibrate_quantiles(networks, judged, model.target.quantiles, n_threads)


def _train_in_turn(task: Callable[[int], None], model: Model, plan: str, callbacks: FitCallbacks | None) -> None:
    """Train the networks one after another, until callbacks ask for no more."""
    if callbacks:
        callbacks.begin(model)
    for number in range(len(model.members)):
        task(number)
        # A pass of `partial_fit` is one epoch of each network, and the next one needs them all.
        if callbacks and callbacks.end_network() and plan != "open":
            model.members[:] = [member for member in model.members if member.state.n_updates]
            break


def _part(learned: Samples, number: int, holds_out: bool) -> tuple[Samples, Samples]:
    """What a network learns from, and what is held out from it."""
    indices = held_out(len(learned.weight), number) if holds_out else np.zeros(0, np.int64)
    if len(indices) == 0:
        return learned, learned.take(indices)
    return learned.take(np.setdiff1d(np.arange(len(learned.weight)), indices)), learned.take(indices)


def _train(
    estimator: Any,
    model: Model,
    number: int,
    learned: Samples,
    validation: Samples | None,
    n_epochs: int | None,
    plan: str,
    checkpoint: "Checkpoint | None",
    n_jobs: int | None,
    is_cancelled: Callable[[], bool] | None,
    progress: Progress,
    callbacks: FitCallbacks | None,
    *,
    refits: bool,
) -> None:
    """Train one network of a model; `refits` finds the weights of its outputs anew, where the objective asks for it."""
    member, n_networks = model.members[number], len(model.members)
    label = f"network {number + 1} of {n_networks}: " if n_networks > 1 else ""
    settings = resolve_settings(estimator, member.network.architecture, len(learned.weight))
    settings = replace(settings, label=label, n_networks=n_networks, n_jobs=n_jobs)
    if 0 < member.network.bytes_of_tokens(learned.data) <= KEPT_BYTES:
        progress.make_tokens(label, int(learned.data.lengths.sum()))
    samples = _encode(learned, model, member.network, n_jobs)

    def on_epoch(*news: Any) -> bool:
        if checkpoint:
            checkpoint.save(model)
        return callbacks is not None and callbacks.after_epoch()

    try:
        train(
            member.network,
            samples,
            settings,
            member.state,
            n_epochs=n_epochs,
            plan=plan,
            validation=validation
            and (_encode(validation, model, member.network, n_jobs), make_score(estimator, validation, model)),
            before_epoch=callbacks and callbacks.before_epoch,
            on_epoch=on_epoch if checkpoint or callbacks else None,
            is_cancelled=is_cancelled,
            progress=progress,
        )
        if (
            refits
            and OBJECTIVES[model.objective].is_refitted
            and not _OUTPUTS & set(member.network.architecture.frozen)
        ):
            refit_outputs(member.network, samples, n_jobs)
    finally:
        member.network.release()


def _encode(samples: Samples, model: Model, network: Network, n_jobs: int | None) -> Samples:
    """Samples as training takes them: targets in the form of the objective, and what the network's stem makes of all
    sequences, where that is little enough to be kept for the whole fit.
    """
    data, target, weight = samples.data, samples.target, samples.weight
    tokens: Any = network.tokens(data, n_jobs) if network.bytes_of_tokens(data) <= KEPT_BYTES else network.whole(data)
    encode = OBJECTIVES[model.objective].encode
    if isinstance(target, StepTarget):
        # Steps count alike, so a sequence counts as many times as it has labels.
        weight, target = weight * target.totals, target.encoded(lambda values: encode(values, model.target))
        return replace(samples, data=tokens, target=target, weight=weight)
    if model.target.features is not None:
        target = relative(target, data, model.target)
    return replace(samples, data=tokens, target=encode(target, model.target))
