"""From parameters to the sizes of a network, and whether this machine can hold it."""

import math
import os
from numbers import Integral
from typing import Any

import numpy as np

from skattn._bounds import bounds, check_linear, check_sparse
from skattn._network.architecture import AUGMENTATIONS, Architecture, count_parameters, count_workspace
from skattn._network.losses import LOSSES
from skattn._network.positions import OF_STEPS, OF_TIME
from skattn._wording import shortened
from skattn.defaults import Choice, resolve_label_smoothing, resolve_position
from skattn.parameters import FEEDFORWARD_RATIO, HIDDEN_FRACTION, SelfAttentionParameters


def resolve_architecture(
    parameters: SelfAttentionParameters, *, loss: str, n_features: int, n_outputs: int, choice: Choice
) -> Architecture:
    """Turn parameters into the sizes of a network, every "auto" and None decided.

    Parameters
    ----------
    parameters : SelfAttentionParameters
        Whose values satisfy `_parameter_constraints`.
    loss : str
        Name of the loss that the network computes.
    n_features, n_outputs : int
        Features of a step that go in, numbers that come out.
    choice : Choice
        What stands before the network.

    Raises
    ------
    ValueError
        If heads and widths do not divide, or the window is no pair of bounds.
    """
    d_head = _resolve_d_head(parameters)
    d_feedforward = parameters.d_feedforward
    if isinstance(d_feedforward, str):
        d_feedforward = FEEDFORWARD_RATIO * int(parameters.d_model)
    return Architecture(
        n_features=n_features,
        n_outputs=n_outputs,
        loss=loss,
        d_model=int(parameters.d_model),
        n_heads=int(parameters.n_heads),
        n_kv_heads=_resolve_n_kv_heads(parameters),
        d_head=d_head,
        d_value=int(parameters.d_value or d_head),
        n_layers=int(parameters.n_layers),
        d_feedforward=int(d_feedforward or 0),
        position=resolve_position(parameters, loss, choice.time_feature),
        max_steps=choice.max_steps,
        window=_resolve_seen(parameters, loss, choice.time_feature),
        dilation=int(parameters.dilation),
        n_global_steps=int(parameters.n_global_steps),
        top_k=int(parameters.top_k or 0),
        attention=str(parameters.attention),
        pooling=parameters.pooling,
        dropout=float(parameters.dropout),
        hidden_fraction=HIDDEN_FRACTION,
        n_kernels=choice.n_kernels,
        stride=choice.stride,
        embedding_dropout=float(parameters.embedding_dropout) if choice.n_kernels else 0.0,
        token_dropout=float(parameters.token_dropout),
        label_smoothing=resolve_label_smoothing(parameters, loss, n_outputs),
        categories=choice.categories,
        handles_missing=parameters.handle_missing == "mask",
        n_taps=choice.n_taps,
        patch_size=choice.patch_size,
        time_feature=choice.time_feature,
        is_stepwise=choice.is_stepwise,
        n_pooling_queries=resolve_pooling_queries(parameters),
        # As many as divide the width; one query alone has one, as it had before there could be several.
        n_pooling_heads=math.gcd(parameters.n_heads, parameters.d_model) if parameters.n_pooling_queries > 1 else 1,
        adapter_rank=int(parameters.adapter_rank),
        **_resolve_views(parameters, loss, n_features > len(choice.categories) + (choice.time_feature is not None)),
        quantiles=tuple(map(float, getattr(parameters, "quantiles", ()))) if loss == "quantile" else (),
    )


def refuse_too_large(architecture: Architecture, dtype: np.dtype[Any], longest: int) -> None:
    """Refuse a network that this machine's memory cannot hold, before the system ends the process over it.

    Parameters
    ----------
    architecture : Architecture
    dtype : dtype
        Of its numbers.
    longest : int
        Steps of the longest sequence.

    Raises
    ------
    ValueError
        If parameters with their gradients, or the longest sequence on its way, need more than all memory.
    """
    a, n_parameters = architecture, count_parameters(architecture)
    # Parameters, their transposes, gradients and averages; a sequence forwards and backwards.
    needed = (5 * n_parameters + count_workspace(a, longest)) * dtype.itemsize
    if needed > memory():
        raise ValueError(
            f"A network of {n_parameters:.2g} parameters for sequences of up to {longest} steps needs at least "
            f"{needed / 2**30:.3g} GiB in {dtype}, and this machine has {memory() / 2**30:.3g}; lower d_model "
            f"(now {a.d_model}), d_feedforward, d_head, d_value, n_heads or n_layers."
        )


def memory() -> float:
    """Bytes of this machine's memory; no limit where the system does not tell."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return float("inf")


def resolve_window(window: int | tuple[int | None, int | None] | None, causal: bool) -> tuple[int | None, int | None]:
    """Turn a window into bounds: steps to the left, steps to the right, None for no limit."""
    left, right = bounds(causal, window)
    return None if left is None else int(left), None if right is None else int(right)


def _resolve_seen(
    parameters: SelfAttentionParameters, loss: str, time_feature: int | None
) -> tuple[int | None, int | None]:
    """Give the bounds of what a step sees, where that goes together with how it is read."""
    window = _window_for(loss, parameters)
    sparse = parameters.dilation, parameters.n_global_steps, parameters.top_k
    check_sparse(window, *sparse)
    if parameters.attention == "linear":
        check_linear(window, *sparse)
        position = resolve_position(parameters, loss, time_feature)
        if position not in OF_STEPS:
            fitting = [each for each in OF_STEPS if time_feature is None or each in OF_TIME]
            raise ValueError(
                f'position="{position}" counts by what is between two steps, and linear attention does not compare '
                f"steps one by one; set position to {', '.join(map(repr, fitting))} or 'auto', or take softmax."
            )
    return window


def _window_for(loss: str, parameters: SelfAttentionParameters) -> tuple[int | None, int | None]:
    """The window of a network, in which none may see the steps that it is to tell from those before them."""
    window = resolve_window(parameters.window, parameters.causal)
    if not LOSSES[loss].n_ahead:
        return window
    if not isinstance(parameters.window, Integral) and window[1]:
        raise ValueError(
            f"The objective {loss} tells each step from those before it, and window={parameters.window} lets a step "
            f"see {window[1]} after it; set window=({window[0]}, 0), or None for all before."
        )
    return resolve_window(parameters.window, causal=True)


_OF_STEPS = {"crop", "mask"}
"""Augmentations that change more than numbers."""


def _resolve_views(parameters: SelfAttentionParameters, loss: str, has_numbers: bool) -> dict[str, Any]:
    """How views of a sequence differ, and how sharply they are told from others, where they are."""
    if not LOSSES[loss].contrasts:
        return {}
    given: Any = getattr(parameters, "augmentations", ())
    words = [given] if isinstance(given, str) else list(given)
    for word in words:
        if word not in AUGMENTATIONS:
            raise ValueError(
                f"augmentations names {shortened(repr(word), 60)}; give some of {', '.join(map(repr, AUGMENTATIONS))}."
            )
    if not parameters.dropout and not (set(words) if has_numbers else set(words) & _OF_STEPS):
        found = f"are {', '.join(map(repr, words))}, which change no categories" if words else "are none"
        raise ValueError(
            f"augmentations {found}, and dropout=0: both views of a sequence would be the same; set one of them."
        )
    temperature = float(getattr(parameters, "temperature", 0.1))
    return {"augmentations": tuple(word for word in AUGMENTATIONS if word in words), "temperature": temperature}


def resolve_pooling_queries(parameters: SelfAttentionParameters) -> int:
    """How many learned queries pool; one where pooling is not by attention."""
    n_queries = int(parameters.n_pooling_queries)
    if n_queries > 1 and parameters.pooling != "attention":
        raise ValueError(
            f'n_pooling_queries={n_queries} are queries of pooling="attention", and pooling is {parameters.pooling!r}; '
            "set one or the other."
        )
    return n_queries


def _resolve_d_head(parameters: SelfAttentionParameters) -> int:
    """Width of a head: as given, or the model's width split evenly."""
    if parameters.d_head is not None:
        return int(parameters.d_head)
    d_model, n_heads = int(parameters.d_model), int(parameters.n_heads)
    if d_model % n_heads:
        wider = d_model + n_heads - d_model % n_heads
        raise ValueError(
            f"d_model={d_model} does not split over n_heads={n_heads}; "
            f"try d_model={wider} or n_heads={_nearest_divisor(d_model, n_heads)}."
        )
    return d_model // n_heads


def _resolve_n_kv_heads(parameters: SelfAttentionParameters) -> int:
    """Heads of keys and values: as many as of queries, or a whole part of them."""
    n_heads = int(parameters.n_heads)
    n_kv_heads = int(parameters.n_kv_heads or n_heads)
    if n_heads % n_kv_heads:
        raise ValueError(
            f"n_heads={n_heads} is no multiple of n_kv_heads={n_kv_heads}; "
            f"try n_kv_heads={_nearest_divisor(n_heads, n_kv_heads)}."
        )
    return n_kv_heads


def _nearest_divisor(number: int, wanted: int) -> int:
    """Divisor of `number` that is nearest to `wanted`, the larger of two equally near ones."""
    divisors = [n for n in range(1, number + 1) if number % n == 0]
    return min(divisors, key=lambda n: (abs(n - wanted), -n))
