"""Attention as a layer of a network: projections, what is seen of each other, and what is added to them."""

import numpy as np

from .._kernels import head, linear_blocks
from .._kernels.attention import ATTENTION, BEST_ATTENTION, LINEAR_ATTENTION, LINEAR_SUMS
from .._kernels.bias import add_times
from .._kernels.distances import add_distances, learn_distances
from .._kernels.position import ROTATE
from .layers import branch_deviation, dropout, inner_deviation, linear, norm
from .positions import Places, slopes_of
from .rules import Normal

FORMS = ("softmax", "linear")
"""Forms of attention: by a softmax of scores, or by sums of features."""

MOST_KEYS = 1 << 16
"""Keys that a query can be told to read at most."""

ADAPTED = ("query", "key", "value", "output")
"""Projections of a layer that adapters are beside."""


def attention(tape, stream, layer, architecture, places=None):
    """Add to each step what it fetches from those that it sees, by several heads.

    Queries and keys are drawn apart, with unit variance for normalised steps, so that ``query @ key / sqrt(d_head)``
    has unit variance too (Vaswani et al. 2017, section 3.2.1, footnote 4): softmax begins neither uniform nor
    saturated. Keys have no bias: softmax does not see it. What a branch adds at first is scaled by
    ``1 / sqrt(2 n_layers)`` (Radford et al. 2019, section 2.3).
    """
    a, places, name = architecture, places or Places(), f"layers.{layer}"
    n_heads, n_kv_heads = len(a.heads_of(layer)), len(a.groups_of(layer))
    z = norm(tape, stream, f"{name}.attention_norm")
    wide = inner_deviation(a)
    query = linear(tape, z, f"{name}.query", n_heads * a.d_head, deviation=wide, slot=f"{name}.query")
    key = linear(tape, z, f"{name}.key", n_kv_heads * a.d_head, deviation=wide, bias=False, slot=f"{name}.key")
    value = linear(tape, z, f"{name}.value", n_kv_heads * a.d_value, deviation=wide, bias=False, slot=f"{name}.value")
    for projection, target in (("query", query), ("key", key), ("value", value)):
        _adapter(tape, z, f"{name}.{projection}", target, a.adapter_rank)
    if places.angles is not None:
        for rows, n in ((query, n_heads), (key, n_kv_heads)):
            tape.operation(ROTATE, target=rows, angles=places.angles, n_heads=n, d_head=a.d_head)
    mixed = dropout(tape, _attend(tape, layer, a, places, query=query, key=key, value=value), a.dropout)
    linear(tape, mixed, f"{name}.output", a.d_model, onto=stream, deviation=branch_deviation(mixed.width, a))
    _adapter(tape, mixed, f"{name}.output", stream, a.adapter_rank)


def _attend(tape, layer, architecture, places, **projections):
    """Mix the values of what each step sees into a new slot."""
    a, axis, table, slopes, called = architecture, projections["query"].axis, -1, -1, {}
    n_heads = len(a.heads_of(layer))
    target, kept = (tape.slot(width, axis=axis) for width in (n_heads * a.d_value, 2 * n_heads))
    if places.reach:
        table = tape.parameter(f"layers.{layer}.distance", (n_heads, 2 * places.reach + 1), Normal(0))
        called = {"adds": add_distances, "learns": learn_distances}
    if places.times != -1:
        slopes = tape.constant(lambda network, _: slopes_of(network.architecture, layer))
        called = {"adds": add_times}
    left, right = (head.bound(steps) for steps in a.window)
    kinds, fields = (ATTENTION,), {}
    if a.attention == "linear":
        sums = tape.slot(n_heads * linear_blocks.sum_size(a.d_head, a.d_value), axis=_pieces(tape, axis))
        kinds, fields = (LINEAR_SUMS, LINEAR_ATTENTION), {"sums": sums}
        tape.want_scratch(linear_blocks.scratch_size(a.d_head, a.d_value))
    elif a.top_k:
        best = tape.slot(2 * a.top_k * n_heads, axis=axis)
        kinds, fields = (BEST_ATTENTION,), {"top_k": a.top_k, "best": best}
    if a.dilation > 1:
        called["gathers"] = head.gather
    tape.want_scratch(head.scratch_size(a.d_head, a.d_value, a.top_k, a.dilation))
    kernels = _addresses(tape, **called)
    for kind in kinds:
        tape.operation(
            kind, **projections, target=target, kept=kept, n_heads=n_heads, n_kv_heads=len(a.groups_of(layer)),
            d_head=a.d_head, d_value=a.d_value, left=left, right=right, dilation=a.dilation, n_global=a.n_global_steps,
            times=places.times, slopes=slopes, table=table, reach=places.reach, kernels=kernels, **fields,
        )  # fmt: skip
    return target


def _pieces(tape, axis):
    """Give the axis with a row for each piece of the steps that linear attention sums up."""
    return tape.axis(axis.stride * linear_blocks.PIECE)


def _addresses(tape, adds=None, learns=None, gathers=None):
    """Name the constant of kernels that heads call by their addresses, which are those of this process; -1 for none."""
    kernels = (adds, learns, gathers)

    def give(network, _):
        return np.array([k.address(network.dtype.name) if k else 0 for k in kernels], np.int64)

    return tape.constant(give) if any(kernels) else -1


def name_of_adapter(name):
    """Give the names of the two factors of what is added to the weight of a projection."""
    return f"{name}.adapter.down", f"{name}.adapter.up"


def _adapter(tape, source, name, target, rank):
    """Add a product of two narrow matrices to a projection, nothing at first (Hu et al. 2021, arXiv:2106.09685)."""
    if rank:
        down, up = name_of_adapter(name)
        linear(
            tape, linear(tape, source, down, rank, bias=False), up, target.width, onto=target, bias=False, deviation=0
        )
