"""Scaled dot-product attention within bounds, softmax(Q K^T / sqrt(d_head)) V: forward and backward.

Blocks of queries meet blocks of keys; what lies outside ``query - left <= key <= query + right`` is skipped. Queries
fill the lanes of vectors (softmax.py). Of the forward pass only the largest score and one over the sum of powers are
kept for each query; the backward pass computes the weights again, so that no array grows with the square of the length
(Dao 2023, arXiv:2307.08691).
"""

import math

import numpy as np

from .ahead import fetch_some
from .jit import Int, Reals, address_of, doubles, ints, kernel, real, reals
from .matmul import matmul, transpose
from .operation import GRANULE, Call, Kind, d_slot, slot
from .record import Record
from .simd import at, lanes_of, transpose_tile
from .softmax import absorb, absorb_masked, mask_columns, recall, recall_masked, settle

# What is added to scores, if anything (-1: nothing): `slopes` numbers the constant of what each head takes off for one
# unit of the distance between two of the slot `times`; `table` is a parameter [n_heads, 2 * reach + 1], a number for
# each distance in rows, farther ones counting as `reach`.
_Row = Record(
    *("query", "key", "value", "target", "kept", "n_heads", "n_kv_heads", "d_head", "d_value", "left", "right"),
    *("times", "slopes", "table", "reach"),
)
# `kept` [2 * n_heads, n_steps]: of each head the largest score of each query, in log2 units, then one over the sum.

QUERIES = GRANULE
KEYS = 128
# Distances between the queries and the keys of a block.
_MOST_DISTANCES = QUERIES + KEYS
# Stands for a window without an end: no sequence is as long.
UNBOUNDED = 1 << 40

LOG2_E = 1.4426950408889634


def bound(steps):
    """Give a side of a window as kernels take it: None has no end, nor has what is longer than any sequence."""
    return UNBOUNDED if steps is None else min(steps, UNBOUNDED)


def scratch_size(d_head, d_value):
    """Give how many numbers the backward kernel needs in `scratch`; the forward kernel needs fewer."""
    return QUERIES * (2 * d_head + d_value + 2 * KEYS + 4) + 2 * _MOST_DISTANCES


Head = Record(
    # Arrays of one head, and how many numbers lie between rows; what is kept of the softmax of its queries.
    *("query", "query_row", "key", "key_row", "value", "value_row", "target", "target_row", "top", "inverse"),
    # The queries that attend, and the keys that they meet, within the window of each.
    *("begin", "end", "first_key", "end_key", "left", "right", "d_head", "d_value"),
    # Gradients, which lie as what they are of; whether those of keys and values are begun here, or added to.
    *("d_query", "d_key", "d_values", "d_target", "begins"),
    # What is added to scores: addresses, 0 where there is nothing, and of the gradient of the table.
    *("times", "table", "reach", "d_table"),
    *("scratch", "ahead"),
    doubles=("scale", "slope"),
)
"""One head of one sequence."""

_Block = Record(
    # Queries at hand, and their columns in whole vectors; what lies in scratch: arrays that are turned have a column a
    # query, scores a row a key, the rest a number a query.
    *("first", "n_queries", "width"),
    *("turned", "d_turned", "d_mixed", "scores", "d_scores", "highest", "inverses", "expected"),
)


@kernel
def attend_forward(head: Head):
    """Attend from the queries of one head."""
    query, query_row, key, key_row = reals(head.query), head.query_row, reals(head.key), head.key_row
    value, value_row, target, target_row = reals(head.value), head.value_row, reals(head.target), head.target_row
    n_keys, d_head, d_value, left, right = head.end_key, head.d_head, head.d_value, head.left, head.right
    top, inverse, ahead, end, factor = (
        reals(head.top),
        reals(head.inverse),
        ints(head.ahead),
        head.end,
        real(head.scale),
    )
    lanes, turned, biased = lanes_of(query), reals(head.scratch), head.times or head.table
    mixed = at(turned, QUERIES * d_head)
    scores = at(mixed, QUERIES * d_value)
    highest = at(scores, QUERIES * KEYS)
    total = at(highest, QUERIES)
    for first in range(head.begin, end, QUERIES):
        n_queries = min(end - first, QUERIES)
        width = (n_queries + lanes - 1) // lanes * lanes
        last = first + n_queries - 1
        fetch_some(ahead)
        rows = at(query, first * query_row)
        transpose(rows, query_row, n_queries, d_head, turned, width, width, factor * real(LOG2_E))
        start, stop = max(0, first - left), min(n_keys, last + right + 1)
        fresh = True
        for k in range(start, stop, KEYS):
            n = min(stop - k, KEYS)
            fetch_some(ahead)
            matmul(at(key, k * key_row), key_row, 1, turned, width, scores, width, n, d_head, width, True)
            if biased:
                add_bias(head, first, width, k, n, scores)
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
def attend_backward(head: Head):
    """Begin the gradient of the queries, and begin or add to those of keys and values.

    Several workers can share a head: each meets some of its keys, and has a `d_query` of its own. Block by block of
    queries: 1. turn them, and recall what the forward pass kept; 2. meet the keys; 3. turn the gradient back.
    """
    query_row, d_head, end = head.query_row, head.d_head, head.end
    if head.begins and head.begin == end:
        _clear_keys(head, head.first_key, head.end_key)
    block, turned = _Block(), reals(head.scratch)
    d_turned = at(turned, QUERIES * d_head)
    d_mixed = at(d_turned, QUERIES * d_head)
    scores = at(d_mixed, QUERIES * head.d_value)
    d_scores = at(scores, QUERIES * KEYS)
    highest = at(d_scores, QUERIES * KEYS)
    block.turned, block.d_turned, block.d_mixed = address_of(turned), address_of(d_turned), address_of(d_mixed)
    block.scores, block.d_scores, block.highest = address_of(scores), address_of(d_scores), address_of(highest)
    block.inverses, block.expected = address_of(at(highest, QUERIES)), address_of(at(highest, 2 * QUERIES))
    for first in range(head.begin, end, QUERIES):
        block.first, block.n_queries = first, min(end - first, QUERIES)
        _turn_queries(head, block)
        _meet_keys(head, block)
        d_rows = at(reals(head.d_query), first * query_row)
        transpose(d_turned, block.width, d_head, block.n_queries, d_rows, query_row, d_head, real(1))


@kernel
def _turn_queries(head: Head, block: _Block):
    """Turn queries and the gradients of what they fetched, and recall what softmax needs of each."""
    first, n_queries, d_value, target_row = block.first, block.n_queries, head.d_value, head.target_row
    rows, target = at(reals(head.query), first * head.query_row), at(reals(head.target), first * target_row)
    d_rows, top, inverse = at(reals(head.d_target), first * target_row), reals(head.top), reals(head.inverse)
    highest, inverses, expected = reals(block.highest), reals(block.inverses), reals(block.expected)
    lanes = lanes_of(rows)
    width = (n_queries + lanes - 1) // lanes * lanes
    block.width = width
    fetch_some(ints(head.ahead))
    factor = real(head.scale) * real(LOG2_E)
    transpose(rows, head.query_row, n_queries, head.d_head, reals(block.turned), width, width, factor)
    transpose(d_rows, target_row, n_queries, d_value, reals(block.d_mixed), width, width, real(1))
    for q in range(width):
        live = q < n_queries
        highest[q] = top[first + q] if live else real(0)
        inverses[q] = inverse[first + q] if live else real(0)
        expected[q] = real(0)
    for q in range(n_queries):
        mixed_row, d_row = at(target, q * target_row), at(d_rows, q * target_row)
        # One after the other, as in a product, so that it cancels exactly where a query attends to one key alone.
        along = real(0)
        for j in range(d_value):
            along += mixed_row[j] * d_row[j]
        expected[q] = along


@kernel
def _meet_keys(head: Head, block: _Block):
    """Compute scores and their gradients anew, block by block of keys, and what these add to all other gradients."""
    first, n_queries, width, d_head, d_value = block.first, block.n_queries, block.width, head.d_head, head.d_value
    query_row, key_row, value_row, target_row = head.query_row, head.key_row, head.value_row, head.target_row
    rows, d_rows = at(reals(head.query), first * query_row), at(reals(head.d_target), first * target_row)
    turned, d_turned, d_mixed = reals(block.turned), reals(block.d_turned), reals(block.d_mixed)
    scores, d_scores, highest = reals(block.scores), reals(block.d_scores), reals(block.highest)
    inverses, expected, scale, ahead = reals(block.inverses), reals(block.expected), real(head.scale), ints(head.ahead)
    left, right, last, lanes = head.left, head.right, first + n_queries - 1, lanes_of(rows)
    first_key, end_key, biased = head.first_key, head.end_key, head.times or head.table
    start, stop = max(first_key, first - left), min(end_key, last + right + 1)
    begins = head.begins and first == head.begin
    if begins:
        # The first block meets these not at all; those that it meets it writes.
        _clear_keys(head, first_key, min(start, end_key))
        _clear_keys(head, max(start, stop), end_key)
    for k in range(start, stop, KEYS):
        n = min(stop - k, KEYS)
        keys, values = at(reals(head.key), k * key_row), at(reals(head.value), k * value_row)
        fetch_some(ahead)
        matmul(keys, key_row, 1, turned, width, scores, width, n, d_head, width, True)
        if biased:
            add_bias(head, first, width, k, n, scores)
        fetch_some(ahead)
        matmul(values, value_row, 1, d_mixed, width, d_scores, width, n, d_value, width, True)
        masked = k < last - left or k + n - 1 > first + right
        for q in range(0, width, lanes):
            fetch_some(ahead)
            column, d_column = at(scores, q), at(d_scores, q)
            if masked:
                mask_columns(column, width, n, k, first + q, left, right)
                recall_masked(column, d_column, width, n, at(highest, q), at(inverses, q), at(expected, q), scale)
            else:
                recall(column, d_column, width, n, at(highest, q), at(inverses, q), at(expected, q), scale)
        if head.d_table:
            _learn_bias(head, first, n_queries, width, k, n, d_scores)
        fetch_some(ahead)
        d_values = at(reals(head.d_values), k * value_row)
        matmul(scores, width, 1, d_rows, target_row, d_values, value_row, n, n_queries, d_value, begins)
        fetch_some(ahead)
        d_keys = at(reals(head.d_key), k * key_row)
        matmul(d_scores, width, 1, rows, query_row, d_keys, key_row, n, n_queries, d_head, begins)
        fetch_some(ahead)
        matmul(keys, 1, key_row, d_scores, width, d_turned, width, d_head, n, width, k == start)
    if start >= stop:
        for i in range(d_head * width):
            d_turned[i] = real(0)


@kernel
def add_bias(head: Head, first: Int, width: Int, k: Int, n: Int, scores: Reals):
    """Add what distances count to the scores of a block, in units of log2."""
    if head.times:
        times, slope = reals(head.times), real(head.slope) * real(LOG2_E)
        for key in range(n):
            row, time = at(scores, key * width), times[k + key]
            for q in range(width):
                row[q] -= slope * abs(times[first + q] - time)
        return
    table, reach = at(reals(head.table), head.reach), head.reach
    biases = _biases(head)
    for i in range(n + width - 1):
        distance = first - (k + n - 1) + i
        biases[i] = table[min(max(distance, -reach), reach)] * real(LOG2_E)
    for key in range(n):
        row, of_key = at(scores, key * width), at(biases, n - 1 - key)
        for q in range(width):
            row[q] += of_key[q]


@kernel
def _learn_bias(head: Head, first: Int, n_queries: Int, width: Int, k: Int, n: Int, d_scores: Reals):
    """Add the gradients of a block of scores, which are of those before scaling, to those of the distances."""
    d_table, reach, d_biases = at(reals(head.d_table), head.reach), head.reach, at(_biases(head), _MOST_DISTANCES)
    for i in range(n + n_queries - 1):
        d_biases[i] = real(0)
    for key in range(n):
        row, of_key = at(d_scores, key * width), at(d_biases, n - 1 - key)
        for q in range(n_queries):
            of_key[q] += row[q]
    unscaled = real(1) / real(head.scale)
    for i in range(n + n_queries - 1):
        distance = first - (k + n - 1) + i
        d_table[min(max(distance, -reach), reach)] += d_biases[i] * unscaled


@kernel
def _biases(head: Head) -> Reals:
    """Give room for what the distances of a block count, and for the gradients of that."""
    return at(reals(head.scratch), QUERIES * (2 * head.d_head + head.d_value + 2 * KEYS + 4))


@kernel
def _tell_bias(row: _Row, call: Call, head: Head, number: Int):
    """Tell a head what is added to its scores."""
    head.times = head.table = head.d_table = 0
    if row.times >= 0:
        head.times, head.slope = address_of(slot(call, row.times)), doubles(ints(call.constants)[row.slopes])[number]
    if row.table >= 0:
        head.reach, place = row.reach, row.table + number * (2 * row.reach + 1)
        head.table = address_of(at(reals(call.weights), place))
        if row.table < call.n_learned and call.d_weights:
            head.d_table = address_of(at(reals(call.d_weights), place))


@kernel
def _clear_keys(head: Head, begin: Int, end: Int):
    """Set the gradients of some keys and values to zeros."""
    d_head, d_value = head.d_head, head.d_value
    for t in range(begin, end):
        d_key, d_value_row = at(reals(head.d_key), t * head.key_row), at(reals(head.d_values), t * head.value_row)
        for j in range(d_head):
            d_key[j] = real(0)
        for j in range(d_value):
            d_value_row[j] = real(0)


@kernel
def attention_forward(row: _Row, call: Call):
    """Attend with each head; a part of a sequence has its queries."""
    head, n_heads, n_kv_heads, d_head, d_value = Head(), row.n_heads, row.n_kv_heads, row.d_head, row.d_value
    n_rows, group = ints(call.rows)[row.key], n_heads // n_kv_heads
    query, key, value = slot(call, row.query), slot(call, row.key), slot(call, row.value)
    target, kept = slot(call, row.target), slot(call, row.kept)
    head.d_head, head.d_value, head.left, head.right = d_head, d_value, row.left, row.right
    head.query_row, head.target_row = n_heads * d_head, n_heads * d_value
    head.key_row, head.value_row = n_kv_heads * d_head, n_kv_heads * d_value
    head.begin, head.end, head.first_key, head.end_key = call.first, call.last, 0, n_rows
    head.scratch, head.ahead = call.scratch, call.ahead
    head.scale = np.float64(real(1) / math.sqrt(real(d_head)))
    for number in range(n_heads):
        shared, top = number // group, at(kept, 2 * number * n_rows)
        head.query, head.target = address_of(at(query, number * d_head)), address_of(at(target, number * d_value))
        head.key, head.value = address_of(at(key, shared * d_head)), address_of(at(value, shared * d_value))
        head.top, head.inverse = address_of(top), address_of(at(top, n_rows))
        _tell_bias(row, call, head, number)
        attend_forward(head)


@kernel
def attention_backward(row: _Row, call: Call):
    """Give the gradients of queries, keys and values; a part of a sequence has some of the key/value heads."""
    head, n_heads, n_kv_heads, d_head, d_value = Head(), row.n_heads, row.n_kv_heads, row.d_head, row.d_value
    n_rows, group = ints(call.rows)[row.key], n_heads // n_kv_heads
    query, key, value = slot(call, row.query), slot(call, row.key), slot(call, row.value)
    d_query, d_key, d_values = d_slot(call, row.query), d_slot(call, row.key), d_slot(call, row.value)
    target, d_target, kept = slot(call, row.target), d_slot(call, row.target), slot(call, row.kept)
    head.d_head, head.d_value, head.left, head.right = d_head, d_value, row.left, row.right
    head.query_row, head.target_row = n_heads * d_head, n_heads * d_value
    head.key_row, head.value_row = n_kv_heads * d_head, n_kv_heads * d_value
    head.begin, head.end, head.first_key, head.end_key = 0, n_rows, 0, n_rows
    head.scratch, head.ahead = call.scratch, call.ahead
    head.scale = np.float64(real(1) / math.sqrt(real(d_head)))
    for number in range(
        call.part * n_kv_heads // call.n_parts * group, (call.part + 1) * n_kv_heads // call.n_parts * group
    ):
        shared, top = number // group, at(kept, 2 * number * n_rows)
        head.query, head.d_query = address_of(at(query, number * d_head)), address_of(at(d_query, number * d_head))
        head.key, head.d_key = address_of(at(key, shared * d_head)), address_of(at(d_key, shared * d_head))
        head.value, head.d_values = address_of(at(value, shared * d_value)), address_of(at(d_values, shared * d_value))
        head.target = address_of(at(target, number * d_value))
        head.d_target = address_of(at(d_target, number * d_value))
        head.top, head.inverse, head.begins = address_of(top), address_of(at(top, n_rows)), number % group == 0
        _tell_bias(row, call, head, number)
        attend_backward(head)


ATTENTION = Kind("attention", attention_forward, attention_backward, _Row, reads=("query", "key", "value"))
