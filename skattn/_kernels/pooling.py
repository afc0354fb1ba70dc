"""Pool each sequence's rows into one vector: forward and backward.

The result fills `width` columns of the target, from `column` on. It is one row, so a part of a sequence has all of the
work or none.
"""

import math

from .jit import ints, kernel, real, reals
from .matmul import add_rows
from .operation import Call, Kind, d_slot, slot
from .record import Record
from .reduce import add_up, dot
from .simd import at

_Row = Record("source", "target", "column", "width", "adds")
_SelectRow = Record(*_Row.names, "is_last")
# `weights` [rows] keeps how much of each row is taken.
_AttentionRow = Record(*_Row.names, "query", "weights")


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


MEAN = Kind("pool_mean", mean_forward, mean_backward, _Row)


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


MAX = Kind("pool_max", max_forward, max_backward, _Row)


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


SELECT = Kind("pool_select", select_forward, select_backward, _SelectRow)


@kernel
def attention_forward(row: _AttentionRow, call: Call):
    """Mix the rows by how well each matches one learned query: softmax(source @ query / sqrt(width)) @ source."""
    if call.last == 0:
        return
    width, n_rows = row.width, ints(call.rows)[row.source]
    query, weights, sources = at(reals(call.weights), row.query), slot(call, row.weights), slot(call, row.source)
    scale = real(1) / math.sqrt(real(width))
    largest = real(-1e38)
    for t in range(n_rows):
        weights[t] = dot(at(sources, t * width), query, width) * scale
        largest = weights[t] if weights[t] > largest else largest
    for t in range(n_rows):
        weights[t] = math.exp(weights[t] - largest)
    total = add_up(weights, n_rows)
    target = at(slot(call, row.target), row.column)
    for j in range(width):
        target[j] = real(0)
    for t in range(n_rows):
        source = at(sources, t * width)
        weights[t] /= total
        for j in range(width):
            target[j] += weights[t] * source[j]


@kernel
def attention_backward(row: _AttentionRow, call: Call):
    """Add to the query's gradient, and give the rows'."""
    if call.last == 0:
        return
    width, n_rows, adds = row.width, ints(call.rows)[row.source], row.adds
    query, weights = at(reals(call.weights), row.query), slot(call, row.weights)
    # What is frozen has a gradient that nobody reads.
    d_query = at(reals(call.d_weights), row.query) if row.query < call.n_learned else reals(call.scratch)
    target, d_target = at(slot(call, row.target), row.column), at(d_slot(call, row.target), row.column)
    sources, d_sources = slot(call, row.source), d_slot(call, row.source)
    scale = real(1) / math.sqrt(real(width))
    expected = dot(d_target, target, width)
    for t in range(n_rows):
        source, d_source = at(sources, t * width), at(d_sources, t * width)
        d_score = weights[t] * (dot(d_target, source, width) - expected) * scale
        for j in range(width):
            d_query[j] += d_score * source[j]
            passed = weights[t] * d_target[j] + d_score * query[j]
            d_source[j] = d_source[j] + passed if adds else passed


ATTENTION = Kind("pool_attention", attention_forward, attention_backward, _AttentionRow)
