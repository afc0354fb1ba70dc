"""What stands at the head of a tape: numbers of a sequence, standardised, or its embedded tokens as they come."""

import math

from .jit import doubles, ints, kernel, real, reals
from .operation import Call, Kind, d_slot, slot
from .random import hides_value
from .record import Record
from .scaling import standard
from .simd import at

# `mean`, `scale` and `columns` number constants of the tape: of each number its column among the `n_columns` of a step.
_StandardiseRow = Record("target", "width", "mean", "scale", "columns", "n_columns")
# `fraction` and `share` say what is hidden: see `hides_value`.
_HideRow = Record("source", "target", "width", "columns", "n_columns", "fraction", "share")
_TakeRow = Record("target", "width")


@kernel
def standardise_forward(row: _StandardiseRow, call: Call):
    """Give ``(x - mean) / scale`` of every number of every step, and 0 where it is missing.

    Steps have the precision that they came in. They are centred and scaled in double precision, and rounded after that:
    a large offset, such as the time of day in seconds, would take all digits of float32.
    """
    width, n_columns, source, is_double = row.width, row.n_columns, call.source, call.is_double
    mean, scale = doubles(ints(call.constants)[row.mean]), doubles(ints(call.constants)[row.scale])
    columns, target = ints(ints(call.constants)[row.columns]), slot(call, row.target)
    for t in range(call.first, call.last):
        begin, into = (call.begin + t) * n_columns, at(target, t * width)
        for j in range(width):
            column = columns[j]
            number = standard(source, is_double, begin + column, mean[column], scale[column])
            into[j] = real(0) if math.isnan(number) else real(number)


@kernel
def standardise_backward(row: _StandardiseRow, call: Call):
    """Give no gradient: nothing before this learns."""


STANDARDISE = Kind(
    "standardise", standardise_forward, standardise_backward, _StandardiseRow, reads=(), step=standardise_forward
)


@kernel
def hide_forward(row: _HideRow, call: Call):
    """Give the numbers as they are, and 0 in the place of those that are hidden, as of those that are missing."""
    width, n_columns, fraction, share = row.width, row.n_columns, row.fraction, row.share
    columns = ints(ints(call.constants)[row.columns])
    for t in range(call.first, call.last):
        source, target = at(slot(call, row.source), t * width), at(slot(call, row.target), t * width)
        for j in range(width):
            is_hidden = hides_value(call, t, columns[j], n_columns, fraction, share)
            target[j] = real(0) if is_hidden else source[j]


@kernel
def hide_backward(row: _HideRow, call: Call):
    """Give no gradient: nothing before this learns."""


HIDE = Kind("hide", hide_forward, hide_backward, _HideRow, reads=(), step=hide_forward)


@kernel
def take_forward(row: _TakeRow, call: Call):
    """Give the rows as they came, in the precision of the network."""
    first, n = call.first * row.width, (call.last - call.first) * row.width
    source, target = at(reals(call.source), call.begin * row.width + first), at(slot(call, row.target), first)
    for i in range(n):
        target[i] = source[i]


@kernel
def take_backward(row: _TakeRow, call: Call):
    """Give the gradient of the rows to who made them, where it is wanted."""
    if call.d_source:
        first, n = call.first * row.width, (call.last - call.first) * row.width
        d_source, d_target = reals(call.d_source), at(d_slot(call, row.target), first)
        d_source = at(d_source, call.begin * row.width + first)
        for i in range(n):
            d_source[i] = d_target[i]


TAKE = Kind("take", take_forward, take_backward, _TakeRow, reads=())


@kernel
def mark_forward(row: _TakeRow, call: Call):
    """Leave the rows as they are; on the way back their gradient is given to who wants it."""


MARK = Kind("mark", mark_forward, take_backward, _TakeRow, reads=())
