"""Pool each sequence's rows into one vector: forward and backward.

The result fills `width` columns of the target, from `column` on. It is one row, so a part of a sequence has all of the
work or none.
"""

import math

import numpy as np

from .jit import address_of, doubles, ints, kernel, real, reals
from .kept import kept_of, steps_before, width_of
from .matmul import add_rows
from .operation import Call, Kind, d_slot, slot
from .record import Record
from .reduce import add_up, dot
from .simd import at

_Row = Record("source", "target", "column", "width", "adds")
_SelectRow = Record(*_Row.names, "is_last")
# `weights` [n_heads, rows] keeps how much of each row is taken.
_AttentionRow = Record(*_Row.names, "query", "weights", "n_heads")


@kernel
def mean_forward(row: _Row, call: Call):
    """Give the mean over rows; source [rows, width]."""
    if call.last == 0:
        return
    width, n_rows = row.width, ints(call.rows)[row.source]
    target = at(slot(call, row.target), row.column)
    for j in range(width):
        target[j] = real(0)
    add_rows(slot(call, row.source), n_rows, width, target, reals(call.scratch))
    factor = real(1) / real(n_rows)
    for j in range(width):
        target[j] *= factor


@kernel
def mean_backward(row: _Row, call: Call):
    """Give every row its equal share of the gradient."""
    if call.last == 0:
        return
    width, n_rows, adds = row.width, ints(call.rows)[row.source], row.adds
    d_target, d_sources = at(d_slot(call, row.target), row.column), d_slot(call, row.source)
    factor = real(1) / real(n_rows)
    for t in range(n_rows):
        d_source = at(d_sources, t * width)
        for j in range(width):
            d_source[j] = d_source[j] + d_target[j] * factor if adds else d_target[j] * factor


@kernel
def mean_step(row: _Row, call: Call):
    """Give the mean over each stream's steps so far; their sum is kept in double precision, for it may be long."""
    width, across, sources = row.width, width_of(call, row.target), slot(call, row.source)
    targets = at(slot(call, row.target), row.column)
    for r in range(call.first, call.last):
        count, total = steps_before(call, r), doubles(address_of(kept_of(call, r)))
        source, target, factor = at(sources, r * width), at(targets, r * across), 1.0 / np.float64(count + 1)
        for j in range(width):
            total[j] = source[j] + (total[j] if count else 0.0)
            target[j] = real(total[j] * factor)


MEAN = Kind(
    "pool_mean", mean_forward, mean_backward, _Row, step=mean_step, keeps=lambda row: (("once", 2 * row["width"]),)
)


@kernel
def max_forward(row: _Row, call: Call):
    """Give the largest value over rows of each column."""
    if call.last == 0:
        return
    width, n_rows = row.width, ints(call.rows)[row.source]
    target, sources = at(slot(call, row.target), row.column), slot(call, row.source)
    for j in range(width):
        target[j] = sources[j]
    for t in range(1, n_rows):
        source = at(sources, t * width)
        for j in range(width):
            # What is not a number is the largest, lest it pass unnoticed.
            target[j] = source[j] if source[j] > target[j] or source[j] != source[j] else target[j]


@kernel
def max_backward(row: _Row, call: Call):
    """Give each column's gradient to the first row that has the largest value."""
    if call.last == 0:
        return
    width, n_rows, adds, left = row.width, ints(call.rows)[row.source], row.adds, reals(call.scratch)
    target, d_target = at(slot(call, row.target), row.column), at(d_slot(call, row.target), row.column)
    sources, d_sources = slot(call, row.source), d_slot(call, row.source)
    for j in range(width):
        left[j] = d_target[j]
    for t in range(n_rows):
        source, d_source = at(sources, t * width), at(d_sources, t * width)
        for j in range(width):
            passed = left[j] if source[j] == target[j] else real(0)
            # What one row has taken is gone for later ones that tie with it.
            left[j] -= passed
            d_source[j] = d_source[j] + passed if adds else passed


@kernel
def max_step(row: _Row, call: Call):
    """Give the largest value over each stream's steps so far."""
    width, across, sources = row.width, width_of(call, row.target), slot(call, row.source)
    targets = at(slot(call, row.target), row.column)
    for r in range(call.first, call.last):
        is_first, kept = steps_before(call, r) == 0, kept_of(call, r)
        source, target = at(sources, r * width), at(targets, r * across)
        for j in range(width):
            if is_first or source[j] > kept[j] or source[j] != source[j]:
                kept[j] = source[j]
            target[j] = kept[j]


MAX = Kind("pool_max", max_forward, max_backward, _Row, step=max_step, keeps=lambda row: (("once", row["width"]),))


@kernel
def select_forward(row: _SelectRow, call: Call):
    """Give the first row, or the last."""
    if call.last == 0:
        return
    width, n_rows = row.width, ints(call.rows)[row.source]
    chosen = n_rows - 1 if row.is_last else 0
    source, target = at(slot(call, row.source), chosen * width), at(slot(call, row.target), row.column)
    for j in range(width):
        target[j] = source[j]


@kernel
def select_backward(row: _SelectRow, call: Call):
    """Give the gradient to the chosen row alone."""
    if call.last == 0:
        return
    width, n_rows = row.width, ints(call.rows)[row.source]
    chosen = n_rows - 1 if row.is_last else 0
    d_source, d_target = d_slot(call, row.source), at(d_slot(call, row.target), row.column)
    if row.adds == 0:
        for i in range(n_rows * width):
            d_source[i] = real(0)
    d_source = at(d_source, chosen * width)
    for j in range(width):
        d_source[j] += d_target[j]


@kernel
def select_step(row: _SelectRow, call: Call):
    """Give each stream's first step, which is kept, or its new one."""
    width, across, sources, is_last = row.width, width_of(call, row.target), slot(call, row.source), row.is_last
    targets = at(slot(call, row.target), row.column)
    for r in range(call.first, call.last):
        is_new, kept = is_last or steps_before(call, r) == 0, kept_of(call, r)
        source, target = at(sources, r * width), at(targets, r * across)
        for j in range(width):
            if is_new:
                kept[j] = source[j]
            target[j] = kept[j]


SELECT = Kind(
    "pool_select", select_forward, select_backward, _SelectRow, step=select_step,
    keeps=lambda row: (("once", row["width"]),),
)  # fmt: skip


@kernel
def attention_forward(row: _AttentionRow, call: Call):
    """Mix the rows by how well each matches one learned query, in each head by its own columns.

    A head is ``softmax(source @ query / sqrt(width)) @ source`` of its `width` columns.
    """
    if call.last == 0:
        return
    n_rows, across, n_heads = ints(call.rows)[row.source], row.width, row.n_heads
    width = across // n_heads
    scale = real(1) / math.sqrt(real(width))
    for head in range(n_heads):
        begin = head * width
        query, sources = at(reals(call.weights), row.query + begin), at(slot(call, row.source), begin)
        weights, target = at(slot(call, row.weights), head * n_rows), at(slot(call, row.target), row.column + begin)
        largest = real(-1e38)
        for t in range(n_rows):
            weights[t] = dot(at(sources, t * across), query, width) * scale
            largest = weights[t] if weights[t] > largest else largest
        for t in range(n_rows):
            weights[t] = math.exp(weights[t] - largest)
        total = add_up(weights, n_rows)
        for j in range(width):
            target[j] = real(0)
        for t in range(n_rows):
            source = at(sources, t * across)
            weights[t] /= total
            for j in range(width):
                target[j] += weights[t] * source[j]


@kernel
def attention_backward(row: _AttentionRow, call: Call):
    """Add to the query's gradient, and give the rows'."""
    if call.last == 0:
        return
    n_rows, across, n_heads, adds = ints(call.rows)[row.source], row.width, row.n_heads, row.adds
    width = across // n_heads
    scale = real(1) / math.sqrt(real(width))
    for head in range(n_heads):
        begin = head * width
        query, weights = at(reals(call.weights), row.query + begin), at(slot(call, row.weights), head * n_rows)
        # What is frozen has a gradient that nobody reads.
        d_query = at(reals(call.d_weights), row.query) if row.query < call.n_learned else reals(call.scratch)
        d_query = at(d_query, begin)
        target, d_target = (
            at(slot(call, row.target), row.column + begin),
            at(d_slot(call, row.target), row.column + begin),
        )
        sources, d_sources = at(slot(call, row.source), begin), at(d_slot(call, row.source), begin)
        expected = dot(d_target, target, width)
        for t in range(n_rows):
            source, d_source = at(sources, t * across), at(d_sources, t * across)
            d_score = weights[t] * (dot(d_target, source, width) - expected) * scale
            for j in range(width):
                d_query[j] += d_score * source[j]
                passed = weights[t] * d_target[j] + d_score * query[j]
                d_source[j] = d_source[j] + passed if adds else passed


@kernel
def attention_step(row: _AttentionRow, call: Call):
    """Mix each stream's steps so far; of each head its largest score, sum of powers and mix are kept, in doubles.

    Softmax by one score after another: Milakov & Gimelshein (2018), arXiv:1805.02867, Algorithm 3.
    """
    across, n_heads, sources = row.width, row.n_heads, slot(call, row.source)
    width, queries = across // n_heads, at(reals(call.weights), row.query)
    targets, scale = at(slot(call, row.target), row.column), real(1) / math.sqrt(real(width))
    for r in range(call.first, call.last):
        is_first = steps_before(call, r) == 0
        for head in range(n_heads):
            begin = head * width
            source = at(sources, r * across + begin)
            target = at(targets, r * width_of(call, row.target) + begin)
            kept = at(doubles(address_of(kept_of(call, r))), head * (width + 2))
            score = np.float64(dot(source, at(queries, begin), width) * scale)
            largest = score if is_first or score > kept[0] else kept[0]
            shrink, power = 0.0 if is_first else math.exp(kept[0] - largest), math.exp(score - largest)
            kept[0], kept[1] = largest, power + (0.0 if is_first else kept[1] * shrink)
            mixed, inverse = at(kept, 2), 1.0 / kept[1]
            for j in range(width):
                mixed[j] = power * source[j] + (0.0 if is_first else mixed[j] * shrink)
                target[j] = real(mixed[j] * inverse)


ATTENTION = Kind(
    "pool_attention", attention_forward, attention_backward, _AttentionRow, step=attention_step,
    keeps=lambda row: (("once", 2 * (row["width"] + 2 * row["n_heads"])),),
)  # fmt: skip
