"""Scaled dot-product attention within bounds, softmax(Q K^T / sqrt(d_head)) V: forward and backward.

Blocks of queries meet blocks of keys; what lies outside ``query - left <= key <= query + right`` is skipped. Queries
fill the lanes of vectors (softmax.py). Of the forward pass only the largest score and one over the sum of powers are
kept for each query; the backward pass computes the weights again, so that no array grows with the square of the length
(Dao 2023, arXiv:2307.08691).
"""

import math

from .ahead import fetch_some
from .jit import Bool, Int, Ints, Real, Reals, ints, kernel, real, reals
from .matmul import matmul, transpose
from .operation import GRANULE, Call, Kind, d_slot, slot
from .record import Record
from .simd import at, lanes_of, transpose_tile
from .softmax import absorb, absorb_masked, mask_columns, recall, recall_masked, settle

_Row = Record(
    *("query", "key", "value", "target", "kept", "n_heads", "n_kv_heads", "d_head", "d_value", "left", "right"),
)
# `kept` [2 * n_heads, n_steps]: of each head the largest score of each query, in log2 units, then one over the sum.

QUERIES = GRANULE
KEYS = 128
# Stands for a window without an end: no sequence is as long.
UNBOUNDED = 1 << 40

LOG2_E = 1.4426950408889634


def bound(steps):
    """Give a side of a window as kernels take it: None has no end, nor has what is longer than any sequence."""
    return UNBOUNDED if steps is None else min(steps, UNBOUNDED)


def scratch_size(d_head, d_value):
    """Give how many numbers the backward kernel needs in `scratch`; the forward kernel needs fewer."""
    return QUERIES * (2 * d_head + d_value + 2 * KEYS + 4)


@kernel
def attend_forward(
    query: Reals,
    query_row: Int,
    key: Reals,
    key_row: Int,
    value: Reals,
    value_row: Int,
    target: Reals,
    target_row: Int,
    top: Reals,
    inverse: Reals,
    begin: Int,
    end: Int,
    n_keys: Int,
    d_head: Int,
    d_value: Int,
    left: Int,
    right: Int,
    scale: Real,
    scratch: Reals,
    ahead: Ints,
):
    """Attend from the queries `begin` to `end` of one head; rows of each array lie `..._row` numbers apart."""
    lanes = lanes_of(query)
    turned = scratch
    mixed = at(turned, QUERIES * d_head)
    scores = at(mixed, QUERIES * d_value)
    highest = at(scores, QUERIES * KEYS)
    total = at(highest, QUERIES)
    for first in range(begin, end, QUERIES):
        n_queries = min(end - first, QUERIES)
        width = (n_queries + lanes - 1) // lanes * lanes
        last = first + n_queries - 1
        fetch_some(ahead)
        transpose(
            at(query, first * query_row),
            query_row,
            n_queries,
            d_head,
            turned,
            width,
            width,
            scale * real(LOG2_E),
        )
        start, stop = max(0, first - left), min(n_keys, last + right + 1)
        fresh = True
        for k in range(start, stop, KEYS):
            n = min(stop - k, KEYS)
            fetch_some(ahead)
            matmul(at(key, k * key_row), key_row, 1, turned, width, scores, width, n, d_head, width, True)
            masked = k < last - left or k + n - 1 > first + right
            for q in range(0, width, lanes):
                fetch_some(ahead)
                block, before = at(scores, q), at(mixed, q)
                if masked:
                    mask_columns(block, width, n, k, first + q, left, right)
                    absorb_masked(block, width, n, at(highest, q), at(total, q), before, width, d_value, fresh)
                else:
                    absorb(block, width, n, at(highest, q), at(total, q), before, width, d_value, fresh)
            fetch_some(ahead)
            matmul(at(value, k * value_row), 1, value_row, scores, width, mixed, width, d_value, n, width, fresh)
            fresh = False
        fetch_some(ahead)
        _finish(
            mixed, highest, total, n_keys + left - first if n_keys > 0 else 0, width, n_queries, d_value,
            at(target, first * target_row), target_row, at(top, first), at(inverse, first),
        )  # fmt: skip


@kernel
def _finish(
    mixed: Reals,
    highest: Reals,
    total: Reals,
    reach: Int,
    width: Int,
    n_queries: Int,
    d_value: Int,
    target: Reals,
    target_row: Int,
    top: Reals,
    inverse: Reals,
):
    """Divide by the sums and turn the block back; queries from `reach` on have no key within their bounds and get 0."""
    lanes = lanes_of(mixed)
    if reach <= 0:
        for i in range(d_value * width):
            mixed[i] = real(0)
    for q in range(0, width, lanes):
        live = min(n_queries - q, lanes)
        settle(at(highest, q), at(total, q), at(top, q), at(inverse, q), live, reach - q)
        for j in range(0, d_value, lanes):
            source, out, across = at(mixed, j * width + q), at(target, q * target_row + j), min(d_value - j, lanes)
            transpose_tile(source, width, across, live, out, target_row, across, at(total, q))


@kernel
def attend_backward(
    query: Reals,
    query_row: Int,
    key: Reals,
    key_row: Int,
    value: Reals,
    value_row: Int,
    target: Reals,
    target_row: Int,
    top: Reals,
    inverse: Reals,
    begin: Int,
    end: Int,
    first_key: Int,
    n_keys: Int,
    d_head: Int,
    d_value: Int,
    left: Int,
    right: Int,
    scale: Real,
    d_query: Reals,
    d_key: Reals,
    d_value_out: Reals,
    d_target: Reals,
    begins: Bool,
    scratch: Reals,
    ahead: Ints,
):
    """Begin the gradient of the queries, and begin or add to those of keys and values; they lie as what they are of.

    Only keys from `first_key` to `n_keys` are met: several workers can share a head, each with its own `d_query`.
    """
    if begins and begin == end:
        _clear(d_key, key_row, first_key, n_keys, d_head)
        _clear(d_value_out, value_row, first_key, n_keys, d_value)
    lanes = lanes_of(query)
    turned = scratch
    d_turned = at(turned, QUERIES * d_head)
    d_mixed = at(d_turned, QUERIES * d_head)
    scores = at(d_mixed, QUERIES * d_value)
    d_scores = at(scores, QUERIES * KEYS)
    highest = at(d_scores, QUERIES * KEYS)
    share = at(highest, QUERIES)
    expected = at(share, QUERIES)
    for first in range(begin, end, QUERIES):
        n_queries = min(end - first, QUERIES)
        width = (n_queries + lanes - 1) // lanes * lanes
        last = first + n_queries - 1
        rows = at(query, first * query_row)
        d_rows = at(d_target, first * target_row)
        fetch_some(ahead)
        transpose(rows, query_row, n_queries, d_head, turned, width, width, scale * real(LOG2_E))
        transpose(d_rows, target_row, n_queries, d_value, d_mixed, width, width, real(1))
        for q in range(width):
            live = q < n_queries
            highest[q] = top[first + q] if live else real(0)
            share[q] = inverse[first + q] if live else real(0)
            expected[q] = real(0)
        for q in range(n_queries):
            mixed_row, d_row = at(target, (first + q) * target_row), at(d_rows, q * target_row)
            # One after the other, as in a product, so that it cancels exactly where a query attends to one key alone.
            along = real(0)
            for j in range(d_value):
                along += mixed_row[j] * d_row[j]
            expected[q] = along
        start, stop = max(first_key, first - left), min(n_keys, last + right + 1)
        begins_keys = begins and first == begin
        if begins_keys:
            # The first block meets these not at all; those that it meets it writes.
            edge = max(start, stop)
            _clear(d_key, key_row, first_key, min(start, n_keys), d_head)
            _clear(d_key, key_row, edge, n_keys, d_head)
            _clear(d_value_out, value_row, first_key, min(start, n_keys), d_value)
            _clear(d_value_out, value_row, edge, n_keys, d_value)
        fresh = True
        for k in range(start, stop, KEYS):
            n = min(stop - k, KEYS)
            keys, values = at(key, k * key_row), at(value, k * value_row)
            fetch_some(ahead)
            matmul(keys, key_row, 1, turned, width, scores, width, n, d_head, width, True)
            fetch_some(ahead)
            matmul(values, value_row, 1, d_mixed, width, d_scores, width, n, d_value, width, True)
            masked = k < last - left or k + n - 1 > first + right
            for q in range(0, width, lanes):
                fetch_some(ahead)
                block, d_block = at(scores, q), at(d_scores, q)
                if masked:
                    mask_columns(block, width, n, k, first + q, left, right)
                    recall_masked(block, d_block, width, n, at(highest, q), at(share, q), at(expected, q), scale)
                else:
                    recall(block, d_block, width, n, at(highest, q), at(share, q), at(expected, q), scale)
            d_values = at(d_value_out, k * value_row)
            fetch_some(ahead)
            matmul(scores, width, 1, d_rows, target_row, d_values, value_row, n, n_queries, d_value, begins_keys)
            fetch_some(ahead)
            d_keys = at(d_key, k * key_row)
            matmul(d_scores, width, 1, rows, query_row, d_keys, key_row, n, n_queries, d_head, begins_keys)
            fetch_some(ahead)
            matmul(keys, 1, key_row, d_scores, width, d_turned, width, d_head, n, width, fresh)
            fresh = False
        if fresh:
            for i in range(d_head * width):
                d_turned[i] = real(0)
        transpose(d_turned, width, d_head, n_queries, at(d_query, first * query_row), query_row, d_head, real(1))


@kernel
def _clear(array: Reals, row: Int, begin: Int, end: Int, width: Int):
    """Set some steps of one head to zeros."""
    for t in range(begin, end):
        for j in range(width):
            array[t * row + j] = real(0)


@kernel
def attention_forward(row: _Row, call: Call):
    """Attend with each head; a part of a sequence has its queries."""
    n_heads, n_kv_heads, d_head, d_value = row.n_heads, row.n_kv_heads, row.d_head, row.d_value
    n_rows, group, first, last = ints(call.rows)[row.key], n_heads // n_kv_heads, call.first, call.last
    query, key, value = slot(call, row.query), slot(call, row.key), slot(call, row.value)
    target, kept, scratch, ahead = slot(call, row.target), slot(call, row.kept), reals(call.scratch), ints(call.ahead)
    scale = real(1) / math.sqrt(real(d_head))
    for head in range(n_heads):
        shared, top = head // group, at(kept, 2 * head * n_rows)
        attend_forward(
            at(query, head * d_head), n_heads * d_head, at(key, shared * d_head), n_kv_heads * d_head,
            at(value, shared * d_value), n_kv_heads * d_value, at(target, head * d_value), n_heads * d_value,
            top, at(top, n_rows), first, last, n_rows, d_head, d_value, row.left, row.right, scale, scratch, ahead,
        )  # fmt: skip


@kernel
def attention_backward(row: _Row, call: Call):
    """Give the gradients of queries, keys and values; a part of a sequence has some of the key/value heads."""
    n_heads, n_kv_heads, d_head, d_value = row.n_heads, row.n_kv_heads, row.d_head, row.d_value
    n_rows, group = ints(call.rows)[row.key], n_heads // n_kv_heads
    query, key, value = slot(call, row.query), slot(call, row.key), slot(call, row.value)
    d_query, d_key, d_values = d_slot(call, row.query), d_slot(call, row.key), d_slot(call, row.value)
    target, d_target, kept = slot(call, row.target), d_slot(call, row.target), slot(call, row.kept)
    scale, scratch, ahead = real(1) / math.sqrt(real(d_head)), reals(call.scratch), ints(call.ahead)
    first, last = call.part * n_kv_heads // call.n_parts, (call.part + 1) * n_kv_heads // call.n_parts
    for shared in range(first, last):
        for head in range(shared * group, (shared + 1) * group):
            top = at(kept, 2 * head * n_rows)
            attend_backward(
                at(query, head * d_head), n_heads * d_head, at(key, shared * d_head), n_kv_heads * d_head,
                at(value, shared * d_value), n_kv_heads * d_value, at(target, head * d_value), n_heads * d_value,
                top, at(top, n_rows), 0, n_rows, 0, n_rows, d_head, d_value, row.left, row.right, scale,
                at(d_query, head * d_head), at(d_key, shared * d_head), at(d_values, shared * d_value),
                at(d_target, head * d_value), head == shared * group, scratch, ahead,
            )  # fmt: skip


ATTENTION = Kind("attention", attention_forward, attention_backward, _Row, reads=("query", "key", "value"))
