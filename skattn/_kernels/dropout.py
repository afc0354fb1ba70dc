"""Dropout: zero a share of the numbers, or of the rows, while learning (Srivastava et al. 2014)."""

from .jit import Reals, kernel, real
from .operation import LEARN, PROBABILITY_UNIT, Call, Kind, d_slot, slot
from .random import OPERATION_SITE, drawing, mix
from .record import Record
from .simd import at

# `rate` in PROBABILITY_UNIT parts; `site` numbers what draws in a network.
_Row = Record("source", "target", "width", "rate", "site", "adds")
_RowsRow = Record("target", "width", "rate", "site")


@kernel
def dropout_forward(row: _Row, call: Call):
    """Zero a share of the numbers, and stretch the others so that their expectation stays."""
    first, n = call.first * row.width, (call.last - call.first) * row.width
    source, target = at(slot(call, row.source), first), at(slot(call, row.target), first)
    begin, rate = drawing(call, OPERATION_SITE + row.site) + first, row.rate if call.purpose == LEARN else 0
    stretch = real(PROBABILITY_UNIT) / real(PROBABILITY_UNIT - rate)
    for i in range(n):
        kept = (mix(begin + i) & (PROBABILITY_UNIT - 1)) >= rate
        target[i] = source[i] * stretch if kept else real(0)


@kernel
def dropout_backward(row: _Row, call: Call):
    """Give the source's gradient: what was zeroed gets none."""
    first, n, adds = call.first * row.width, (call.last - call.first) * row.width, row.adds
    d_source, d_target = at(d_slot(call, row.source), first), at(d_slot(call, row.target), first)
    begin, rate = drawing(call, OPERATION_SITE + row.site) + first, row.rate if call.purpose == LEARN else 0
    stretch = real(PROBABILITY_UNIT) / real(PROBABILITY_UNIT - rate)
    for i in range(n):
        kept = (mix(begin + i) & (PROBABILITY_UNIT - 1)) >= rate
        passed = d_target[i] * stretch if kept else real(0)
        d_source[i] = d_source[i] + passed if adds else passed


DROPOUT = Kind("dropout", dropout_forward, dropout_backward, _Row, step=dropout_forward)


@kernel
def drop_rows_forward(row: _RowsRow, call: Call):
    """Zero a share of the rows. Others stay as they are: what follows tells them apart by their places."""
    if call.purpose == LEARN:
        _clear_dropped(slot(call, row.target), row, call)


@kernel
def drop_rows_backward(row: _RowsRow, call: Call):
    """Give no gradient to what was zeroed."""
    if call.purpose == LEARN:
        _clear_dropped(d_slot(call, row.target), row, call)


@kernel
def _clear_dropped(rows: Reals, row: _RowsRow, call: Call):
    """Zero the rows that this update does not see."""
    width, rate, begin = row.width, row.rate, drawing(call, OPERATION_SITE + row.site)
    for r in range(call.first, call.last):
        if (mix(begin + r) & (PROBABILITY_UNIT - 1)) < rate:
            for j in range(width):
                rows[r * width + j] = real(0)


DROP_ROWS = Kind("drop_rows", drop_rows_forward, drop_rows_backward, _RowsRow, reads=(), step=drop_rows_forward)
