"""Say in words what "auto" came to."""

from typing import Any

from skattn._network.architecture import Architecture
from skattn.defaults import resolve_batch_size, resolve_learning_rate, resolve_max_iter


def describe(
    estimator: Any, architecture: Architecture, n_samples: int, longest: int | None = None, *, is_open: bool = False
) -> str:
    """Say in a few lines what was decided by the samples.

    Parameters
    ----------
    estimator : SelfAttentionEstimator
    architecture : Architecture
        Of its networks.
    n_samples : int
    longest : int, optional
        Steps of the longest sequence; positions may be learned for fewer, which is the default.
    is_open : bool
        Whether one pass is made at a time.
    """
    a = architecture
    n_rows = a.max_steps if longest is None else -(-longest // a.stride)
    steps = f"up to {n_rows} steps of {_count(a.n_features, 'feature')}"
    if a.patch_size:
        steps = f"up to {n_rows} patches of {a.patch_size} steps of {_count(a.n_features, 'feature')}"
    if a.n_kernels:
        steps = f"up to {n_rows} tokens of {_count(a.stride, 'step')}, "
        steps += f"{a.d_input} features each ({a.n_kernels} kernels)"
    batch = resolve_batch_size(estimator.batch_size, a, n_samples)
    epochs = 1 if is_open else resolve_max_iter(estimator.max_iter, a, n_samples, batch)
    rate = f"rate {resolve_learning_rate(estimator, a, n_samples):.3g}"
    if a.token_dropout:
        rate += f", token dropout {a.token_dropout:.3g}"
    return (
        f"{_count(n_samples, 'sequence')}; embedding {name_of_embedding(a)}: {steps}\n"
        f"{_count(estimator.n_estimators, 'network')} of width {a.d_model}, {_count(a.n_layers, 'layer')}, "
        f"{_count(a.n_heads, 'head')}; at most {_count(epochs, 'epoch')} in batches of {batch}, {rate}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def name_of_embedding(architecture: Architecture) -> str:
    """What an architecture turns steps into, in the words of the parameter `embedding`."""
    return "random_convolution" if architecture.n_kernels else "convolution" if architecture.n_taps else "linear"
