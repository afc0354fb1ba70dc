"""Operations that act on the embedded sequence in place: positions and hidden steps, forward and backward."""

from .jit import ints, kernel, real, reals
from .operation import Call, Kind, d_slot, slot
from .random import hides
from .record import Record
from .simd import at

# `table` numbers a constant of the tape.
_FixedRow = Record("target", "width", "table")
_LearnedRow = Record("target", "width", "table", "n_table")
# `fraction` of the steps that are hidden, in PROBABILITY_UNIT parts.
_HiddenRow = Record("target", "width", "token", "fraction")


@kernel
def fixed_forward(row: _FixedRow, call: Call):
    """Add the fixed vector of each position; target [rows, width]."""
    first, n = call.first * row.width, (call.last - call.first) * row.width
    target, table = at(slot(call, row.target), first), at(reals(ints(call.constants)[row.table]), first)
    for i in range(n):
        target[i] += table[i]


@kernel
def fixed_backward(row: _FixedRow, call: Call):
    """Leave the gradient as it is: the table is fixed."""


FIXED = Kind("position_fixed", fixed_forward, fixed_backward, _FixedRow, reads=())


@kernel
def learned_forward(row: _LearnedRow, call: Call):
    """Add the learned vector of each position; rows past the table take its last vector."""
    width, end, targets, table = row.width, row.n_table - 1, slot(call, row.target), at(reals(call.weights), row.table)
    for t in range(call.first, call.last):
        target, vector = at(targets, t * width), at(table, min(t, end) * width)
        for j in range(width):
            target[j] += vector[j]


@kernel
def learned_backward(row: _LearnedRow, call: Call):
    """Add each row's gradient to its position's."""
    if row.table >= call.n_learned:
        return
    width, end, d_targets = row.width, row.n_table - 1, d_slot(call, row.target)
    d_table = at(reals(call.d_weights), row.table)
    for t in range(call.first, call.last):
        d_target, d_vector = at(d_targets, t * width), at(d_table, min(t, end) * width)
        for j in range(width):
            d_vector[j] += d_target[j]


LEARNED = Kind("position_learned", learned_forward, learned_backward, _LearnedRow, reads=())


@kernel
def hidden_forward(row: _HiddenRow, call: Call):
    """Put one learned vector in the place of each hidden step."""
    width, fraction, targets = row.width, row.fraction, slot(call, row.target)
    token = at(reals(call.weights), row.token)
    for t in range(call.first, call.last):
        if hides(call, t, fraction):
            target = at(targets, t * width)
            for j in range(width):
                target[j] = token[j]


@kernel
def hidden_backward(row: _HiddenRow, call: Call):
    """Give a hidden step's gradient to the learned vector, and none to what it hides."""
    width, fraction, d_targets = row.width, row.fraction, d_slot(call, row.target)
    # What is frozen has a gradient that nobody reads.
    d_token = at(reals(call.d_weights), row.token) if row.token < call.n_learned else reals(call.scratch)
    for t in range(call.first, call.last):
        if hides(call, t, fraction):
            d_target = at(d_targets, t * width)
            for j in range(width):
                d_token[j] += d_target[j]
                d_target[j] = real(0)


HIDDEN = Kind("hidden", hidden_forward, hidden_backward, _HiddenRow, reads=())
