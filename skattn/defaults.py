"""What "auto" stands for, decided by the sequences to learn from; measured in docs/accuracy.rst."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn._kernels.responses import GROUP
from skattn._network.architecture import Architecture
from skattn._network.losses import LOSSES
from skattn._network.positions import OF_STEPS, OF_TIME
from skattn._network.stem_learning import measure_columns
from skattn._training import settings
from skattn.sequences import Sequences

FEWEST_KERNELS, MOST_KERNELS, KERNELS_A_TOKEN, FEW_TOKENS = 64, 1920, 2, 128
"""Kernels of a stem: so many for each token to learn from beyond a few, within bounds. With 1920, three networks take
2 MiB."""

COMPETING, FEWEST_COMPETING = 3, 100
"""From so many samples on, one network of so many has a stem whose kernels compete, which errs elsewhere
(docs/accuracy.rst)."""

MOST_TIMES = 4
"""Times as many tokens as `n_tokens` that the longest sequences may have, so that most have about as many."""

N_TAPS = 3
"""Steps that the learned convolution behind an embedding reads."""

MOST_FEATURES = 512
"""Features of a step beyond which a stem's tokens would be wider than what a network can learn from."""

UPDATES = {15: 100, 30: 600, 300: 600, 500: 1000, 2000: 1500}
"""Updates behind a stem for some numbers of samples; in between along straight lines, beyond as at the ends."""

RATES = {300: 0.002, 500: 0.003}
"""Highest learning rate behind a stem, likewise."""

SMOOTHING = 0.1
"""Share of a label that is spread over all classes, times their number: the fewer there are, the surer probabilities
of few samples become."""

BATCH, LARGE, LARGE_BATCH = 8, 2000, 16
"""Samples an update behind a stem, and that many from so many samples on."""

RATE, RATE_OF_CODES, RATE_OF_ADAPTERS = 0.001, 0.003, 0.01
"""Highest learning rate without a stem; where there is nothing but categories: each of their vectors learns from few
steps; and where adapters learn beside weights that stay: nothing that was learned before can be spoiled
(docs/accuracy.rst)."""

_TELLS = {
    "reconstruction": "The objective reconstruction tells hidden steps from the others",
    "next_step": "The objective next_step tells each step from those before it",
    "contrastive": "The objective contrastive changes steps and draws pieces anew in every update",
}
"""Why steps are wanted as they are."""

# Values that are looked at to tell whether steps are binary.
_MOST_VALUES = 1 << 16


@dataclass(frozen=True)
class Choice:
    """What stands before a network, and how long its sequences are then.

    Attributes
    ----------
    n_kernels : int
        0 without a stem.
    stride : int
        Steps of a token; 1 without a stem.
    max_steps : int
        Steps, or tokens, of the longest sequence that positions are learned for.
    categories : tuple of (int, int)
        Columns of features that are categories, and how many codes each has.
    n_taps : int
        Steps that a learned convolution behind the embedding reads; 0 without one.
    patch_size : int
        Steps that are made one token; 0 where a step is one, or a stem makes them.
    time_feature : int or None
        Column that says when a step was.
    is_stepwise : bool
        Whether every step has an output of its own.
    """

    n_kernels: int
    stride: int
    max_steps: int
    categories: tuple[tuple[int, int], ...] = ()
    n_taps: int = 0
    patch_size: int = 0
    time_feature: int | None = None
    is_stepwise: bool = False


def chosen(estimator: Any, architecture: Architecture) -> Choice:
    """What stands before a network that there is already, where the estimator does not ask for something else.

    Parameters
    ----------
    estimator : SelfAttentionEstimator
    architecture : Architecture
    """
    a = architecture
    n_kernels = a.n_kernels
    if estimator.embedding == "linear":
        n_kernels = 0
    elif estimator.n_kernels != "auto" and (n_kernels or estimator.embedding == "random_convolution"):
        n_kernels = whole_groups(estimator.n_kernels)
    elif estimator.embedding == "random_convolution":
        # Where there is no stem, any number is another one.
        n_kernels = n_kernels or FEWEST_KERNELS
    n_taps = {"linear": 0, "convolution": N_TAPS}.get(estimator.embedding, a.n_taps)
    patch_size, stride = resolve_patches(estimator)
    stride = stride if patch_size else a.stride
    return Choice(n_kernels, stride, a.max_steps, a.categories, n_taps, patch_size, a.time_feature, a.is_stepwise)


def resolve_dtype(
    estimator: Any, architecture: Architecture, given: np.dtype[Any], before: np.dtype[Any] | None
) -> np.dtype[Any]:
    """Precision of weights: float32 behind a stem, whose responses say no more, else that of X.

    Parameters
    ----------
    estimator : SelfAttentionEstimator
        Its `dtype` is read.
    architecture : Architecture
    given : dtype
        Of X.
    before : dtype or None
        Of the network that this one begins with: it stays.
    """
    if estimator.dtype != "auto":
        return np.dtype(estimator.dtype)
    if before is not None:
        return before
    return np.dtype(np.float32) if architecture.n_kernels else given


def resolve_batch_size(batch_size: int | str, architecture: Architecture, n_samples: int) -> int:
    """Sequences an update: `BATCH` behind a stem, or `LARGE_BATCH`; else see `settings.resolve_batch_size`.

    Parameters
    ----------
    batch_size : int or "auto"
    architecture : Architecture
    n_samples : int
    """
    if batch_size == "auto" and architecture.n_kernels:
        batch_size = BATCH if n_samples < LARGE else LARGE_BATCH
    return settings.resolve_batch_size(batch_size, n_samples)


def resolve_learning_rate(estimator: Any, architecture: Architecture, n_samples: int) -> float:
    """Highest learning rate: that of `RATES` behind a stem, `RATE_OF_CODES` where there are no numbers, else `RATE`.

    Where adapters learn beside weights that stay it is `RATE_OF_ADAPTERS`. Where a validation score chooses the epoch
    it is `RATE` behind a stem as well: that epoch may come before the rate has fallen.

    Parameters
    ----------
    estimator : SelfAttentionEstimator
        Its `learning_rate_init` and `early_stopping` are read.
    architecture : Architecture
    n_samples : int
    """
    if estimator.learning_rate_init != "auto":
        return float(estimator.learning_rate_init)
    if architecture.adapter_rank and architecture.frozen:
        return RATE_OF_ADAPTERS
    if architecture.n_kernels and not estimator.early_stopping:
        return float(np.interp(n_samples, list(RATES), list(RATES.values())))
    return RATE if architecture.numbers else RATE_OF_CODES


def resolve_max_iter(max_iter: int | str, architecture: Architecture, n_samples: int, batch_size: int) -> int:
    """Epochs of a fit: behind a stem as many as `UPDATES` take; else see `settings.resolve_max_iter`.

    Parameters
    ----------
    max_iter : int or "auto"
    architecture : Architecture
    n_samples : int
    batch_size : int
    """
    if max_iter == "auto" and architecture.n_kernels:
        n_updates = round(float(np.interp(n_samples, list(UPDATES), list(UPDATES.values()))))
        return -(-n_updates // -(-n_samples // batch_size))
    return settings.resolve_max_iter(max_iter, n_samples, batch_size)


def resolve_label_smoothing(estimator: Any, loss: str, n_outputs: int) -> float:
    """Share of a label that is spread over all classes.

    Where training stops by the loss of samples held out, that loss keeps probabilities from certainty already.

    Parameters
    ----------
    estimator : SelfAttentionEstimator
    loss : str
        Name of the loss: only classes and labels are spread.
    n_outputs : int
    """
    share = getattr(estimator, "label_smoothing", 0.0)
    n_spread = LOSSES[loss].n_spread
    if n_spread == 0:
        return 0.0
    if share != "auto":
        return float(share)
    if estimator.early_stopping:
        return 0.0
    return SMOOTHING / (n_outputs if n_spread is None else n_spread)


def choose(
    estimator: Any,
    data: Sequences,
    weight: NDArray[np.float64],
    loss: str,
    longest: int,
    *,
    is_open: bool = False,
    is_stepwise: bool = False,
) -> Choice:
    """Decide what stands before the network.

    Parameters
    ----------
    estimator : SelfAttentionEstimator
        Its `embedding`, `n_kernels`, `n_tokens` and `pooling` are read.
    data : Sequences
        What is learned from.
    weight : ndarray of shape (n_samples,)
    loss : str
        Name of the loss.
    longest : int
        Steps that positions are learned for.
    is_open : bool
        Whether these are only the first of more, as in `partial_fit`: a stem is calibrated once.
    is_stepwise : bool
        Whether every step has an output of its own.

    Raises
    ------
    ValueError
        If a stem is asked for where every step is to have a row of its own, or to be told from the others.
    """
    embedding, (patch_size, stride) = estimator.embedding, resolve_patches(estimator)
    wants_steps = "y has an entry for every step" if is_stepwise else None
    if estimator.pooling is None:
        wants_steps = "pooling=None wants every step"
    if embedding == "auto":
        embedding = _suited(estimator, data, loss, is_open=is_open, is_whole=wants_steps is None)
    if embedding == "random_convolution":
        return _choose_stem(estimator, data, weight, loss, longest, wants_steps)
    if LOSSES[loss].reconstructs and (patch_size or (LOSSES[loss].hides and embedding == "convolution")):
        mixing = "patches" if LOSSES[loss].n_ahead else 'embedding="convolution" and patches'
        raise ValueError(
            f'{_TELLS[loss]}, and {mixing} mix them: set embedding="linear" and patch_size=1, or give y and another '
            "objective."
        )
    if patch_size and wants_steps:
        raise ValueError(
            f"patch_size={patch_size} makes {(longest - 1) // stride + 1} tokens of {longest} steps, and "
            f"{wants_steps}: set patch_size=1."
        )
    _warn_of_gaps(patch_size, stride)
    n_taps = N_TAPS if embedding == "convolution" else 0
    return Choice(0, stride, (longest - 1) // stride + 1, n_taps=n_taps, patch_size=patch_size)


def _suited(estimator: Any, data: Sequences, loss: str, *, is_open: bool, is_whole: bool) -> str:
    """The embedding that suits the data: a stem for numbers, a convolution for categories."""
    if data.roles.categorical:
        return "linear" if LOSSES[loss].hides else "convolution"
    suits = not is_open and is_whole and data.roles.time is None and _suits(estimator, data, loss)
    return "random_convolution" if suits else "linear"


def _choose_stem(
    estimator: Any, data: Sequences, weight: NDArray[np.float64], loss: str, longest: int, wants_steps: str | None
) -> Choice:
    """How many kernels and tokens a stem has."""
    found = f"patch_size={estimator.patch_size}" if estimator.patch_size > 1 else None
    if data.roles.time is not None:
        found = f"feature {data.roles.time} is a time"
    if data.roles.categorical:
        found = f"{len(data.roles.categorical)} of {data.n_features} features are categories by categorical_features"
    if found:
        raise ValueError(
            f'embedding="random_convolution" takes numbers at even times and makes tokens of its own, and {found}: set '
            'embedding="auto", or leave that out.'
        )
    if LOSSES[loss].reconstructs or LOSSES[loss].contrasts:
        raise ValueError(
            f'{_TELLS[loss]}, and embedding="random_convolution" mixes them: set embedding="linear", or give y and '
            "another objective."
        )
    stride = resolve_stride(data.lengths, weight, longest, estimator.n_tokens)
    if stride > 1 and wants_steps:
        raise ValueError(
            f'embedding="random_convolution" makes {(longest - 1) // stride + 1} tokens of {longest} steps, and '
            f'{wants_steps}: set embedding="linear", or n_tokens={longest} for as many tokens as steps.'
        )
    n_kernels = estimator.n_kernels
    if n_kernels == "auto":
        n_kernels = resolve_n_kernels(data.lengths, stride)
    return Choice(whole_groups(n_kernels), stride, (longest - 1) // stride + 1)


def competes(number: int, stride: int, n_samples: int) -> bool:
    """Whether kernels of a network's stem compete: of a token of one step, who won says less than by how much.

    Parameters
    ----------
    number : int
        Of the network, from 0 on.
    stride : int
        Steps of a token.
    n_samples : int
        Different samples to learn from: few do not tell which kernels' victories count.
    """
    return stride > 1 and n_samples >= FEWEST_COMPETING and number % COMPETING == COMPETING - 1


def resolve_position(estimator: Any, loss: str, time_feature: int | None) -> str:
    """How places are told: by learned vectors, or by angles where there are times, or sequences that go on.

    Raises
    ------
    ValueError
        If there are times, and the position that is asked for counts steps.
    """
    position = str(estimator.position)
    if position == "auto":
        between = "sinusoidal" if estimator.attention == "linear" else "rotary"
        return between if time_feature is not None or LOSSES[loss].n_ahead else "learned"
    if time_feature is not None and position not in OF_TIME:
        fitting = [repr(each) for each in OF_TIME if estimator.attention != "linear" or each in OF_STEPS]
        raise ValueError(
            f'position="{position}" does not read times, and time_feature={estimator.time_feature!r} says when steps '
            f"were: set position to {', '.join(fitting)} or 'auto', or leave time_feature out."
        )
    return position


def resolve_patches(estimator: Any) -> tuple[int, int]:
    """Steps of a patch, 0 where a step is a token, and steps from one to the next."""
    if estimator.patch_size == 1 and estimator.patch_stride in (None, 1):
        return 0, 1
    return int(estimator.patch_size), int(estimator.patch_stride or estimator.patch_size)


def _warn_of_gaps(patch_size: int, stride: int) -> None:
    if stride > max(patch_size, 1):
        warnings.warn(
            f"patch_stride={stride} is more than patch_size={patch_size}, so {stride - patch_size} of {stride} steps "
            f"are read by no patch; set patch_stride to {patch_size} or less if they matter.",
            UserWarning,
            stacklevel=2,
        )


def resolve_stride(lengths: NDArray[np.int64], weight: NDArray[np.float64], longest: int, n_tokens: int) -> int:
    """Steps of a token, so that a sequence of median length has so many tokens, and the longest not many times more."""
    _, (median,) = measure_columns(lengths.astype(np.float64)[:, np.newaxis], weight, [0.5])
    return math.ceil(max(min(median, longest), longest / MOST_TIMES) / n_tokens)


def resolve_n_kernels(lengths: NDArray[np.int64], stride: int) -> int:
    """Kernels for sequences of some lengths: few tokens cannot tell many kernels apart."""
    n_tokens = int(((lengths - 1) // stride + 1).sum())
    return min(max(KERNELS_A_TOKEN * (n_tokens - FEW_TOKENS), FEWEST_KERNELS), MOST_KERNELS)


def whole_groups(n_kernels: int) -> int:
    """Kernels in whole groups, as a stem has them."""
    return -(-int(n_kernels) // GROUP) * GROUP


def _suits(estimator: Any, data: Sequences, loss: str) -> bool:
    """Whether a stem is of use: for numbers that are told as a whole, not for marks and not for single steps."""
    is_whole = not (LOSSES[loss].reconstructs or LOSSES[loss].contrasts) and resolve_patches(estimator)[0] == 0
    return is_whole and data.max_length > 1 and data.n_features <= MOST_FEATURES and not _is_binary(data)


def _is_binary(data: Sequences) -> bool:
    """Whether steps hold nothing but 0 and 1, as far as a look at some from all over the data tells."""
    ends = np.cumsum(data.lengths)
    n_looks = min(int(ends[-1]), max(1, _MOST_VALUES // data.n_features))
    steps = np.linspace(0, ends[-1] - 1, n_looks).astype(np.int64)
    owners = np.searchsorted(ends, steps, side="right")
    values = data.values[steps - (ends - data.lengths)[owners] + data.starts[owners]]
    return bool(((values == 0) | (values == 1) | np.isnan(values)).all())
