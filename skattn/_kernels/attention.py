"""Attention as an operation: several heads of a sequence, to all that they see, to the best of it, or linear."""

import math

import numpy as np

from . import step_attention
from .attend import attend_backward, attend_forward
from .best import best_backward, best_forward
from .head import Head
from .jit import Int, address_at, address_of, doubles, ints, kernel, real, reals
from .kept import kept_of, steps_before
from .linear_attention import (
    add_key,
    learn_keys,
    learn_queries,
    n_key_pieces,
    n_query_pieces,
    read_pieces,
    read_sum,
    sum_pieces,
)
from .operation import Call, Kind, d_slot, slot
from .record import Record
from .simd import at
from .step_attention import NewSteps, attend_steps

# What is added to scores, if anything (-1: nothing): `slopes` numbers the constant of what each head takes off for one
# unit of the distance between two of the slot `times`; `table` is a parameter [n_heads, 2 * reach + 1], a number for
# each distance in rows, farther ones counting as `reach`. `kernels` numbers the constant of what heads call by their
# addresses, if they call anything: `Head.adds`, `learns` and `gathers`.
_Row = Record(
    *("query", "key", "value", "target", "kept", "n_heads", "n_kv_heads", "d_head", "d_value", "left", "right"),
    *("dilation", "n_global", "times", "slopes", "table", "reach", "kernels"),
)
# `kept` [2 * n_heads, n_steps]: of each head the largest score of each query, in log2 units, then one over the sum.

_BestRow = Record(*_Row.names, "top_k", "best")
# `best` [n_heads, n_steps, 2 * top_k]: which keys each query reads, then how much of each.

_LinearRow = Record(*_Row.names, "sums")
# `sums` [n_heads, n_pieces, d_head, d_value + 1]: what pieces of keys and values come to, where a sequence is cut into
# parts, of the first `n_kv_heads`; and backwards, what pieces of queries come to. The operation that makes the sums has
# the same fields as the one that reads them, `target` among them: its gradient is what keys learn from.


@kernel
def _begin_heads(row: _Row, call: Call, head: Head):
    """Write what all heads of a sequence have alike."""
    head.d_head, head.d_value, head.left, head.right = row.d_head, row.d_value, row.left, row.right
    head.dilation, head.n_global, head.offset = row.dilation, row.n_global, 0
    head.query_row, head.target_row = row.n_heads * row.d_head, row.n_heads * row.d_value
    head.key_row, head.value_row = row.n_kv_heads * row.d_head, row.n_kv_heads * row.d_value
    head.n_queries = head.end_key = ints(call.rows)[row.key]
    head.part, head.n_parts, head.first_key = 0, 1, 0
    head.d_query = head.d_key = head.d_values = head.d_target = head.begins = 0
    head.top_k = head.best = head.times = head.table = head.d_table = head.bias = head.mask = 0
    head.adds = head.learns = head.gathers = head.covers = head.hides = 0
    if row.kernels >= 0:
        kernels = ints(ints(call.constants)[row.kernels])
        head.adds, head.learns, head.gathers = kernels[0], kernels[1], kernels[2]
    head.scratch, head.ahead = call.scratch, call.ahead
    head.scale = np.float64(real(1) / math.sqrt(real(row.d_head)))


@kernel
def _choose_head(row: _Row, call: Call, head: Head, number: Int):
    """Write where one of the heads is, and what is added to its scores."""
    d_head, d_value, n_rows, shared = row.d_head, row.d_value, head.n_queries, number // (row.n_heads // row.n_kv_heads)
    head.query = address_of(at(slot(call, row.query), number * d_head))
    head.target = address_of(at(slot(call, row.target), number * d_value))
    head.key = address_of(at(slot(call, row.key), shared * d_head))
    head.value = address_of(at(slot(call, row.value), shared * d_value))
    top = at(slot(call, row.kept), 2 * number * n_rows)
    head.top, head.inverse = address_of(top), address_of(at(top, n_rows))
    if row.times >= 0:
        head.times, head.slope = address_of(slot(call, row.times)), doubles(ints(call.constants)[row.slopes])[number]
    if row.table >= 0:
        head.reach, place = row.reach, row.table + number * (2 * row.reach + 1)
        head.table = address_at(call.weights, place)
        if row.table < call.n_learned and call.d_weights:
            head.d_table = address_at(call.d_weights, place)


@kernel
def _choose_gradients(row: _Row, call: Call, head: Head, number: Int):
    """Write where the gradients of one of the heads are."""
    d_head, d_value, group = row.d_head, row.d_value, row.n_heads // row.n_kv_heads
    head.d_query = address_of(at(d_slot(call, row.query), number * d_head))
    head.d_target = address_of(at(d_slot(call, row.target), number * d_value))
    head.d_key = address_of(at(d_slot(call, row.key), number // group * d_head))
    head.d_values = address_of(at(d_slot(call, row.value), number // group * d_value))
    head.begins = number % group == 0


@kernel
def _first_head(row: _Row, call: Call, part: Int) -> Int:
    """Give the first head of a part of them: those that share keys and values stay together."""
    return part * row.n_kv_heads // call.n_parts * (row.n_heads // row.n_kv_heads)


@kernel
def attention_forward(row: _Row, call: Call):
    """Attend with each head; a part of a sequence has its queries."""
    head = Head()
    _begin_heads(row, call, head)
    head.part, head.n_parts = call.part, call.n_parts
    for number in range(row.n_heads):
        _choose_head(row, call, head, number)
        attend_forward(head)


@kernel
def attention_backward(row: _Row, call: Call):
    """Give the gradients of queries, keys and values; a part of a sequence has some of the key/value heads."""
    head = Head()
    _begin_heads(row, call, head)
    for number in range(_first_head(row, call, call.part), _first_head(row, call, call.part + 1)):
        _choose_head(row, call, head, number)
        _choose_gradients(row, call, head, number)
        attend_backward(head)


@kernel
def attention_best_forward(row: _BestRow, call: Call):
    """Attend to the best keys with each head; a part of a sequence has its queries."""
    head, plain = Head(), _Row(address_of(row))
    _begin_heads(plain, call, head)
    head.part, head.n_parts, head.top_k = call.part, call.n_parts, row.top_k
    for number in range(row.n_heads):
        _choose_head(plain, call, head, number)
        head.best = address_of(at(slot(call, row.best), 2 * row.top_k * number * head.n_queries))
        best_forward(head)


@kernel
def attention_best_backward(row: _BestRow, call: Call):
    """Give the gradients of queries, keys and values; a part of a sequence has some of the key/value heads."""
    head, plain = Head(), _Row(address_of(row))
    _begin_heads(plain, call, head)
    head.top_k = row.top_k
    for number in range(_first_head(plain, call, call.part), _first_head(plain, call, call.part + 1)):
        _choose_head(plain, call, head, number)
        _choose_gradients(plain, call, head, number)
        head.best = address_of(at(slot(call, row.best), 2 * row.top_k * number * head.n_queries))
        best_backward(head)


@kernel
def _sums_of(row: _LinearRow, call: Call, number: Int, n_pieces: Int) -> Int:
    """Give where what the pieces of a key/value head come to lies."""
    return address_of(at(slot(call, row.sums), number * n_pieces * row.d_head * (row.d_value + 1)))


@kernel
def _d_sums_of(row: _LinearRow, call: Call, number: Int, n_pieces: Int) -> Int:
    """Give where what the pieces of the queries of a head come to lies."""
    return address_of(at(d_slot(call, row.sums), number * n_pieces * row.d_head * (row.d_value + 1)))


@kernel
def _piece(call: Call, n: Int, n_heads: Int, number: Int, later: Int) -> Int:
    """Give where this part of a sequence, or the next, begins among the pieces of a head, of which each has `n`."""
    return min(max((call.part + later) * n * n_heads // call.n_parts - number * n, 0), n)


@kernel
def linear_sums_forward(row: _LinearRow, call: Call):
    """Sum up keys and values, piece by piece, where a sequence is cut into parts: each has some pieces of all heads."""
    if call.n_parts == 1:
        return
    head, plain = Head(), _Row(address_of(row))
    _begin_heads(plain, call, head)
    n, group = n_key_pieces(head), row.n_heads // row.n_kv_heads
    for number in range(row.n_kv_heads):
        first, last = _piece(call, n, row.n_kv_heads, number, 0), _piece(call, n, row.n_kv_heads, number, 1)
        if first < last:
            _choose_head(plain, call, head, number * group)
            sum_pieces(head, _sums_of(row, call, number, n), first, last)


@kernel
def linear_attention_forward(row: _LinearRow, call: Call):
    """Attend linearly; a part of a sequence has some pieces of the queries of all heads."""
    head, plain, n_parts = Head(), _Row(address_of(row)), call.n_parts
    _begin_heads(plain, call, head)
    n, group = n_query_pieces(head), row.n_heads // row.n_kv_heads
    for number in range(row.n_heads):
        first, last = _piece(call, n, row.n_heads, number, 0), _piece(call, n, row.n_heads, number, 1)
        if first < last:
            _choose_head(plain, call, head, number)
            read_pieces(head, _sums_of(row, call, number // group, n) if n_parts > 1 else 0, first, last)


@kernel
def linear_attention_backward(row: _LinearRow, call: Call):
    """Give the gradients of queries, and what these come to for keys and values, as the forward pass is cut."""
    head, plain, n_parts = Head(), _Row(address_of(row)), call.n_parts
    _begin_heads(plain, call, head)
    n, group = n_query_pieces(head), row.n_heads // row.n_kv_heads
    for number in range(row.n_heads):
        first, last = _piece(call, n, row.n_heads, number, 0), _piece(call, n, row.n_heads, number, 1)
        if first < last:
            _choose_head(plain, call, head, number)
            _choose_gradients(plain, call, head, number)
            if n_parts == 1:
                learn_queries(head, 0, 0, first, last)
            else:
                sums, d_sums = _sums_of(row, call, number // group, n), _d_sums_of(row, call, number, n)
                learn_queries(head, sums, d_sums, first, last)


@kernel
def linear_sums_backward(row: _LinearRow, call: Call):
    """Give the gradients of keys and values, from what queries have come to."""
    head, plain, n_parts = Head(), _Row(address_of(row)), call.n_parts
    _begin_heads(plain, call, head)
    n, group = n_key_pieces(head), row.n_heads // row.n_kv_heads
    for number in range(row.n_heads):
        own = number // group
        first, last = _piece(call, n, row.n_kv_heads, own, 0), _piece(call, n, row.n_kv_heads, own, 1)
        if first < last:
            _choose_head(plain, call, head, number)
            _choose_gradients(plain, call, head, number)
            learn_keys(head, _d_sums_of(row, call, number, n) if n_parts > 1 else 0, first, last)


@kernel
def attention_step(row: _Row, call: Call):
    """Attend from the new step of each stream to those that it keeps; see step_attention.py."""
    step = NewSteps()
    _begin_step(row, call, step)
    attend_steps(step, call)


@kernel
def _begin_step(row: _Row, call: Call, step: NewSteps):
    """Write what attention of a new step is told."""
    step.query, step.key = address_of(slot(call, row.query)), address_of(slot(call, row.key))
    step.value, step.target = address_of(slot(call, row.value)), address_of(slot(call, row.target))
    step.n_heads, step.n_kv_heads, step.d_head, step.d_value = row.n_heads, row.n_kv_heads, row.d_head, row.d_value
    step.dilation, step.n_global, step.top_k = row.dilation, row.n_global, 0
    step.left, step.reach, step.scale = row.left, row.reach, np.float64(real(1) / math.sqrt(real(row.d_head)))
    step.slopes = ints(call.constants)[row.slopes] if row.times >= 0 else 0
    step.table = address_at(call.weights, row.table) if row.table >= 0 else 0


@kernel
def attention_best_step(row: _BestRow, call: Call):
    """Attend from the new step of each stream to the best of those that it keeps."""
    step = NewSteps()
    _begin_step(_Row(address_of(row)), call, step)
    step.top_k = row.top_k
    attend_steps(step, call)


@kernel
def linear_sums_step(row: _LinearRow, call: Call):
    """Leave new steps of streams to the operation that reads the sums: it keeps them."""


@kernel
def linear_attention_step(row: _LinearRow, call: Call):
    """Add the new step of each stream to the sum of those before, of each key/value head, and read it."""
    n_heads, n_kv_heads, d_head, d_value = row.n_heads, row.n_kv_heads, row.d_head, row.d_value
    scratch, size, group = reals(call.scratch), d_head * (d_value + 1), n_heads // n_kv_heads
    query, key, value, target = (
        slot(call, row.query),
        slot(call, row.key),
        slot(call, row.value),
        slot(call, row.target),
    )
    for r in range(call.first, call.last):
        totals, fresh = kept_of(call, r), steps_before(call, r) == 0
        for number in range(n_kv_heads):
            own = r * n_kv_heads + number
            total = at(totals, number * size)
            add_key(at(key, own * d_head), at(value, own * d_value), d_head, d_value, total, scratch, fresh)
        for number in range(n_heads):
            own, total = r * n_heads + number, at(totals, number // group * size)
            read_sum(at(query, own * d_head), d_head, d_value, total, at(target, own * d_value), scratch)


def _keeps_sums(fields):
    """Say what is kept of linear attention: one sum of keys and values a head, however many steps there were."""
    return (("once", fields["n_kv_heads"] * fields["d_head"] * (fields["d_value"] + 1)),)


_READS = ("query", "key", "value")
ATTENTION = Kind(
    "attention", attention_forward, attention_backward, _Row, reads=_READS, step=attention_step,
    keeps=step_attention.keeps, steps_know=step_attention.KNOWN,
)  # fmt: skip
BEST_ATTENTION = Kind(
    "attention_best", attention_best_forward, attention_best_backward, _BestRow, reads=_READS, step=attention_best_step,
    keeps=step_attention.keeps, steps_know=(*step_attention.KNOWN, "top_k", "best"),
)  # fmt: skip
# Two operations, for no part of a sequence can read sums before all parts have made them.
LINEAR_SUMS = Kind(
    "attention_linear_sums", linear_sums_forward, linear_sums_backward, _LinearRow, reads=("key", "value"),
    step=linear_sums_step,
)  # fmt: skip
LINEAR_ATTENTION = Kind(
    "attention_linear", linear_attention_forward, linear_attention_backward, _LinearRow, reads=("query",),
    step=linear_attention_step, keeps=_keeps_sums,
)  # fmt: skip
