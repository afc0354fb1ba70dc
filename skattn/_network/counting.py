"""Count what a network is made of: its operations, their shapes, parameters and multiplications."""

from dataclasses import dataclass

import numpy as np

from .._kernels.head import UNBOUNDED
from .._kernels.responses import GROUP, TAPS

_OF_PLACES = ("position_fixed", "times", "waves", "angles")
_OF_LEARNING = ("dropout", "drop_rows", "hide", "hidden", "augment", "mark")
"""Kinds that do nothing but while learning."""


@dataclass(frozen=True)
class Operation:
    """One operation: what it belongs to, its kind, what it gives, and what that takes.

    `shape` is rows and columns; multiplications are those of products, of one sequence forwards.
    """

    part: str
    kind: str
    shape: tuple
    n_parameters: int
    n_multiplications: int


def operations_of(network, n_steps):
    """Give the operations of a network in their order, for a sequence of some steps.

    Parameters
    ----------
    network : Network
    n_steps : int

    Returns
    -------
    operations : list of Operation
    """
    tape, found = network.runner.tape, []
    n_rows = int(network.count_rows(n_steps)) if network.stem is not None else n_steps
    sizes = {parameter.name: parameter.size for parameter in tape.parameters}
    if network.stem is not None:
        found += _of_stem(network, n_steps, n_rows, sizes)
    part = "input"
    for kind, fields in tape.operations:
        names = [value for value in fields.values() if isinstance(value, str)]
        if names:
            part = names[0].rpartition(".")[0] or names[0]
        elif part.startswith("layers."):
            part = ".".join(part.split(".")[:2])
        elif kind.name in _OF_PLACES:
            part = "position"
        if kind.name in _OF_LEARNING or fields["target"] is tape.names["loss"]:
            continue
        target = fields["target"]
        shape = int(target.axis.count(np.int64(n_rows))), target.width
        n_products = int(_PRODUCTS[kind.name](fields, *shape, n_rows)) if kind.name in _PRODUCTS else 0
        found.append(Operation(part, kind.name, shape, sum(sizes[name] for name in names), n_products))
    return found


def _of_stem(network, n_steps, n_rows, sizes):
    """Give the operations before the tape: kernels over all steps, which are fixed, and the embedding of tokens."""
    stem, width = network.stem, network.architecture.d_model
    n_learned = sizes["embedding.weight"] + sizes["embedding.bias"]
    n_products = n_steps * TAPS * GROUP * int(stem.n_channels.sum())
    return [
        Operation("stem", "random_convolution", (n_rows, stem.width), 0, n_products),
        Operation("embedding", "linear", (n_rows, width), n_learned, n_rows * stem.width * width),
    ]


def _of_attention(fields, n_rows, width, n_steps):
    """Products of queries with keys, and of weights with values; of the best keys alone, where these are chosen."""
    n_pairs = count_pairs(n_rows, *(fields[name] for name in ("left", "right", "dilation", "n_global")))
    n_values = min(n_pairs, n_rows * fields["top_k"]) if "top_k" in fields else n_pairs
    return fields["n_heads"] * (n_pairs * fields["d_head"] + n_values * fields["d_value"])


def _of_linear_attention(n_heads):
    """Products of features of keys with values, or of features of queries with sums of these, of so many heads."""
    return lambda fields, n_rows, width, _: n_rows * fields[n_heads] * fields["d_head"] * (fields["d_value"] + 1)


_PRODUCTS = {
    "linear": lambda fields, n_rows, width, _: n_rows * fields["n_in"] * fields["n_out"],
    "convolve": lambda fields, n_rows, width, _: n_rows * fields["taps"] * fields["n_in"] * fields["n_out"],
    "pool_attention": lambda fields, n_rows, width, n_steps: (
        2 * int(fields["source"].axis.count(np.int64(n_steps))) * fields["width"]
    ),
    "attention": _of_attention,
    "attention_best": _of_attention,
    "attention_linear_sums": _of_linear_attention("n_kv_heads"),
    "attention_linear": _of_linear_attention("n_heads"),
}
"""Multiplications of each kind that has products: of its fields, rows and columns that it gives, and steps at hand."""


def count_pairs(n, left, right, dilation, n_global):
    """Count the pairs of a query and a key that it sees, in a sequence of `n`; bounds as kernels take them."""
    places, causal = np.arange(n), right == 0
    n_global = min(n_global, n)
    near_left = np.minimum(places - n_global, min(left, UNBOUNDED))
    near_right = np.minimum(n - 1 - places, min(right, UNBOUNDED))
    near = near_left // dilation + near_right // dilation + 1
    seen = np.where(places < n_global, places + 1 if causal else n, n_global + near)
    return int(seen.sum())
