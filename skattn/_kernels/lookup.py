"""Vectors that are looked up for each step and added to it: of its categories, and of what is missing."""

import math

import numpy as np

from .jit import Double, Int, doubles, ints, kernel, reals, singles
from .operation import LEARN, PROBABILITY_UNIT, Call, Kind, d_slot, slot
from .random import OPERATION_SITE, drawing, mix
from .record import Record
from .simd import at

# `column` among the `n_columns` of a step holds a code; `codes` numbers the constant of those known, in rising order.
# The table has a row for each behind that of the unknown; `rate` in PROBABILITY_UNIT parts is taken for unknown while
# learning. `onto`: add to what the target holds.
_LookupRow = Record(
    *("target", "width", "column", "n_columns", "codes", "n_codes", "table", "onto", "rate", "site"),
)
# `columns` numbers the constant of the columns that hold numbers; the table has a row for each.
_MissingRow = Record("target", "width", "columns", "n_columns", "n_numbers", "table")


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
    code = raw(call, (call.begin + t) * row.n_columns + row.column)
    return code_row(ints(call.constants)[row.codes], row.n_codes, code)


@kernel
def lookup_forward(row: _LookupRow, call: Call):
    """Give, or add, the vector of each step's code; target [rows, width]."""
    width, onto, targets, begin = row.width, row.onto, slot(call, row.target), drawing(call, OPERATION_SITE + row.site)
    table = at(reals(call.weights), row.table)
    for t in range(call.first, call.last):
        target, vector = at(targets, t * width), at(table, _row_of(row, call, t, begin) * width)
        for j in range(width):
            target[j] = target[j] + vector[j] if onto else vector[j]


@kernel
def lookup_backward(row: _LookupRow, call: Call):
    """Add each step's gradient to that of its code's vector."""
    if row.table >= call.n_learned:
        return
    width, d_targets, begin = row.width, d_slot(call, row.target), drawing(call, OPERATION_SITE + row.site)
    d_table = at(reals(call.d_weights), row.table)
    for t in range(call.first, call.last):
        d_target, d_vector = at(d_targets, t * width), at(d_table, _row_of(row, call, t, begin) * width)
        for j in range(width):
            d_vector[j] += d_target[j]


LOOKUP = Kind("lookup", lookup_forward, lookup_backward, _LookupRow, reads=())


@kernel
def missing_forward(row: _MissingRow, call: Call):
    """Add the vector of each number that is missing; target [rows, width]."""
    width, n_columns, n_numbers, targets = row.width, row.n_columns, row.n_numbers, slot(call, row.target)
    columns, table = ints(ints(call.constants)[row.columns]), at(reals(call.weights), row.table)
    for t in range(call.first, call.last):
        target, begin = at(targets, t * width), (call.begin + t) * n_columns
        for number in range(n_numbers):
            if math.isnan(raw(call, begin + columns[number])):
                vector = at(table, number * width)
                for j in range(width):
                    target[j] += vector[j]


@kernel
def missing_backward(row: _MissingRow, call: Call):
    """Add each step's gradient to that of the vectors of what is missing."""
    if row.table >= call.n_learned:
        return
    width, n_columns, n_numbers, d_targets = row.width, row.n_columns, row.n_numbers, d_slot(call, row.target)
    columns, d_table = ints(ints(call.constants)[row.columns]), at(reals(call.d_weights), row.table)
    for t in range(call.first, call.last):
        d_target, begin = at(d_targets, t * width), (call.begin + t) * n_columns
        for number in range(n_numbers):
            if math.isnan(raw(call, begin + columns[number])):
                d_vector = at(d_table, number * width)
                for j in range(width):
                    d_vector[j] += d_target[j]


MISSING = Kind("missing", missing_forward, missing_backward, _MissingRow, reads=())
