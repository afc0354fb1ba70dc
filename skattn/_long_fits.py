"""Say, where a fit will take hours, how many, and what would make it minutes."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from skattn._kernels.parallel import n_workers
from skattn._network.losses import LOSSES
from skattn.defaults import resolve_batch_size, resolve_max_iter
from skattn.model import Model, Samples

WANTED = 600.0
"""Seconds that the advice aims at."""

FEWEST = 100
"""Sequences below which no fewer are advised."""

WINDOW, LONG = 64, 512
"""Window that is advised, for sequences of so many tokens or more."""

PATCH, FEW_TOKENS = 8, 16
"""Steps of a token that are advised, and tokens of a sequence behind a stem."""


def warn_of_hours(estimator: Any, model: Model, learned: Samples, is_open: bool, seconds: float) -> None:
    """Warn that a fit will take long.

    Parameters
    ----------
    estimator : SelfAttentionEstimator
    model : Model
        That is trained.
    learned : Samples
        To learn from.
    is_open : bool
        Whether it is one pass of `partial_fit`.
    seconds : float
        That it will still take.
    """
    n_networks = len(model.members)
    what = f"{n_networks} networks, " if n_networks > 1 else ""
    what += f"{len(learned.weight):,} sequences of up to {learned.data.max_length:,} steps"
    ways = "; ".join(f"{way} ({in_words(left)})" for way, left in _ways(estimator, model, learned, is_open, seconds))
    quicker = f" Quicker, each by itself: {ways}." if ways else ""
    warnings.warn(
        f"This fit will take {in_words(seconds)} more, judged by its first updates: {what}.{quicker} Ctrl-C ends it "
        "and keeps what was learned until then.",
        UserWarning,
        stacklevel=2,
    )


def in_words(seconds: float) -> str:
    """A time as people round it: "about 3 hours"."""
    if seconds < 60:
        return "less than a minute"
    size, name = next((size, name) for size, name in _UNITS if seconds >= 2 * size or size == 60)
    number = round(seconds / size)
    return f"about {number} {name}{'s' * (number != 1)}"


_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"))


def _ways(estimator: Any, model: Model, learned: Samples, is_open: bool, seconds: float) -> Iterator[tuple[str, float]]:
    """What would be quicker, and how long it would take, about."""
    a, n_samples, n_networks = model.network.architecture, len(learned.weight), len(model.members)
    if not is_open:
        n_epochs = resolve_max_iter(
            estimator.max_iter, a, n_samples, resolve_batch_size(estimator.batch_size, a, n_samples)
        )
        n_fewer = max(1, int(n_epochs * WANTED / seconds))
        if n_fewer < n_epochs:
            yield f"max_iter={n_fewer} instead of {n_epochs}", seconds * n_fewer / n_epochs
    if n_networks > 1:
        yield "n_estimators=1", seconds / n_networks
    if model.network.dtype == np.float64:
        yield 'dtype="float32"', seconds / 2
    yield from _ways_of_length(model, learned, seconds)
    n_used, n_cores = n_workers(estimator.n_jobs), n_workers(-1)
    if n_used < n_cores:
        yield f"n_jobs=-1, for {n_cores} cores instead of {n_used}", seconds * n_used / n_cores
    n_few = int(n_samples * WANTED / seconds)
    if FEWEST <= n_few < n_samples:
        yield f"{n_few:,} of the {n_samples:,} sequences", WANTED


def _ways_of_length(model: Model, learned: Samples, seconds: float) -> Iterator[tuple[str, float]]:
    """What makes fewer tokens of a sequence, or lets each read fewer of them."""
    a, length = model.network.architecture, int(np.median(learned.data.lengths))
    if a.n_kernels:
        if a.max_steps >= 2 * FEW_TOKENS:
            yield f"n_tokens={FEW_TOKENS}", seconds * FEW_TOKENS / min(a.max_steps, length)
        return
    n_tokens = -(-length // a.stride)
    tells_steps = a.pooling is None or model.target.form is not None or LOSSES[a.loss].reconstructs
    if a.stride == 1 and length >= 8 * PATCH and not tells_steps:
        yield f"patch_size={PATCH}", seconds / PATCH
    if a.attention == "softmax" and a.window[0] is None and n_tokens >= LONG:
        # Multiplications of a step: with its weights, and with the steps that it reads.
        weights, read = (model.network.parameters.size, 2 * a.n_layers * a.d_model)
        share = (weights + read * 2 * WINDOW) / (weights + read * n_tokens)
        yield f"window={WINDOW}", seconds * share
    if n_tokens >= LONG and not tells_steps:
        yield "sequences of every second step only", seconds / 2
