"""Vectors that are looked up for each step and added to it: of its categories, and of what is missing."""

import math

import numpy as np

from .jit import Double, Int, doubles, ints, kernel, real, reals, singles
from .operation import LEARN, PROBABILITY_UNIT, Call, Kind, d_slot, slot
from .random import OPERATION_SITE, drawing, hides_value, mix
from .record import Record
from .simd import at

# `column` among the `n_columns` of a step holds a code; `codes` numbers the constant of those known, in rising order.
# The table has a row for each behind that of the unknown; `rate` in PROBABILITY_UNIT parts is taken for unknown while
# learning. `onto`: add to what the target holds. `number` is that of the table among `n_tables`.
_LookupRow = Record(
    *("target", "width", "column", "n_columns", "codes", "n_codes", "table", "onto", "rate", "site"),
    *("number", "n_tables", "fraction", "share"),
)
# `columns` numbers the constant of the columns that hold numbers; the table has a row for each. What is hidden by
# `fraction` and `share` (see `hides_value`) is missing, or unknown, as well.
_MissingRow = Record("target", "width", "columns", "n_columns", "n_numbers", "table", "fraction", "share")


Gather = Record(
    # Of each row of the batch the vector that it has found in table `number` of `n_tables`, and the gradient.
    *("found", "n_tables", "number", "n_rows", "d_found", "width"),
    # The first row of each vector's chain, and the row after each; where shares end that are added up apart.
    *("heads", "following", "ends"),
    # The gradient of the table, of which only what was found by the batch before is not 0, and room for each worker.
    *("d_table", "n_vectors", "parts"),
)
"""What is told to those who make the gradient of a table."""

# Vectors that one item works on.
VECTORS_AN_ITEM = 64
# Heads of empty chains: the vector's gradient is 0, or what an update before has left there.
CLEAR, LEFT = -1, -2


@kernel
def raw(call: Call, place: Int) -> Double:
    """Give a number of the batch as it came."""
    return doubles(call.source)[place] if call.is_double else np.float64(singles(call.source)[place])


@kernel
def code_row(codes: Int, n_codes: Int, code: Double) -> Int:
    """Give the row of a code: its place among those known, from 1, or 0 where it is unknown."""
    known, low, high = doubles(codes), 0, n_codes
    while low < high:
        middle = (low + high) // 2
        if known[middle] < code:
            low = middle + 1
        else:
            high = middle
    return low + 1 if low < n_codes and known[low] == code else 0


@kernel
def _row_of(row: _LookupRow, call: Call, t: Int, begin: Int) -> Int:
    """Give the row of a step's code; draws count from `begin`."""
    if call.purpose == LEARN and (mix(begin + t) & (PROBABILITY_UNIT - 1)) < row.rate:
        return 0
    if hides_value(call, t, row.column, row.n_columns, row.fraction, row.share):
        return 0
    code = raw(call, (call.begin + t) * row.n_columns + row.column)
    return code_row(ints(call.constants)[row.codes], row.n_codes, code)


@kernel
def lookup_forward(row: _LookupRow, call: Call):
    """Give, or add, the vector of each step's code; target [rows, width]. While learning, note which it is."""
    width, onto, targets, begin = row.width, row.onto, slot(call, row.target), drawing(call, OPERATION_SITE + row.site)
    table, is_noted, n_tables = at(reals(call.weights), row.table), call.purpose == LEARN, row.n_tables
    found = at(ints(call.found), call.row * n_tables + row.number)
    for t in range(call.first, call.last):
        number = _row_of(row, call, t, begin)
        target, vector = at(targets, t * width), at(table, number * width)
        if is_noted:
            found[t * n_tables] = number
        for j in range(width):
            target[j] = target[j] + vector[j] if onto else vector[j]


@kernel
def lookup_backward(row: _LookupRow, call: Call):
    """Give the gradient of each step's vector to `gather_item`, once: all tables add to one slot."""
    if row.number == 0:
        first, n = call.first * row.width, (call.last - call.first) * row.width
        d_found, d_target = at(reals(call.d_found), call.row * row.width + first), at(d_slot(call, row.target), first)
        for i in range(n):
            d_found[i] = d_target[i]


LOOKUP = Kind("lookup", lookup_forward, lookup_backward, _LookupRow, reads=(), step=lookup_forward)


@kernel
def chain_item(gather: Gather, item: Int, worker: Int):
    """Chain the steps that found the same vector, each to the next one: from the end, so that chains rise."""
    n_tables, heads, following = gather.n_tables, ints(gather.heads), ints(gather.following)
    found = at(ints(gather.found), gather.number)
    for step in range(gather.n_rows - 1, -1, -1):
        vector = found[step * n_tables]
        following[step] = heads[vector]
        heads[vector] = step


@kernel
def gather_item(gather: Gather, item: Int, worker: Int):
    """Give the gradient of some vectors of a table, and forget their chains."""
    width, heads, following, ends = gather.width, ints(gather.heads), ints(gather.following), ints(gather.ends)
    d_found, part, first = reals(gather.d_found), at(reals(gather.parts), worker * width), item * VECTORS_AN_ITEM
    for vector in range(first, min(first + VECTORS_AN_ITEM, gather.n_vectors)):
        step, share = heads[vector], 0
        if step == CLEAR:
            continue
        heads[vector] = CLEAR if step < 0 else LEFT
        d_vector = at(reals(gather.d_table), vector * width)
        for j in range(width):
            d_vector[j] = real(0)
        while step >= 0:
            # Steps of a share are added up before they meet the total.
            while ends[share] <= step:
                share += 1
            end = ends[share]
            for j in range(width):
                part[j] = real(0)
            while 0 <= step < end:
                d_step = at(d_found, step * width)
                for j in range(width):
                    part[j] += d_step[j]
                step = following[step]
            for j in range(width):
                d_vector[j] += part[j]


@kernel
def _is_missing(row: _MissingRow, call: Call, t: Int, column: Int) -> Int:
    """Give 1 for a number that is not there, or hidden."""
    if math.isnan(raw(call, (call.begin + t) * row.n_columns + column)):
        return 1
    return hides_value(call, t, column, row.n_columns, row.fraction, row.share)


@kernel
def missing_forward(row: _MissingRow, call: Call):
    """Add the vector of each number that is missing; target [rows, width]."""
    width, n_numbers, targets = row.width, row.n_numbers, slot(call, row.target)
    columns, table = ints(ints(call.constants)[row.columns]), at(reals(call.weights), row.table)
    for t in range(call.first, call.last):
        target = at(targets, t * width)
        for number in range(n_numbers):
            if _is_missing(row, call, t, columns[number]):
                vector = at(table, number * width)
                for j in range(width):
                    target[j] += vector[j]


@kernel
def missing_backward(row: _MissingRow, call: Call):
    """Add each step's gradient to that of the vectors of what is missing."""
    if row.table >= call.n_learned:
        return
    width, n_numbers, d_targets = row.width, row.n_numbers, d_slot(call, row.target)
    columns, d_table = ints(ints(call.constants)[row.columns]), at(reals(call.d_weights), row.table)
    for t in range(call.first, call.last):
        d_target = at(d_targets, t * width)
        for number in range(n_numbers):
            if _is_missing(row, call, t, columns[number]):
                d_vector = at(d_table, number * width)
                for j in range(width):
                    d_vector[j] += d_target[j]


MISSING = Kind("missing", missing_forward, missing_backward, _MissingRow, reads=(), step=missing_forward)
