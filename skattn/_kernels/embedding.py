"""Steps that act on the embedded sequence in place: positions and hidden steps, forward and backward."""

from .jit import Ints, Reals, kernel, real, reals
from .simd import at
from .step import PART, POSITIONS, Kind, hides, part_begin

_SINUSOIDAL_FIELDS = ("target", "width")
_LEARNED_FIELDS = ("target", "table", "width", "n_table")
_HIDDEN_FIELDS = ("target", "token", "width", "share")
# `share` of the steps that are hidden, in PROBABILITY_UNIT parts.


@kernel
def sinusoidal_forward(row: Ints, call: Ints, place: Ints, weights: Reals, values: Reals, scratch: Reals):
    """Add the fixed table of positions; target [n_steps, width]."""
    width = row[2]
    first, last = part_begin(call, call[PART]) * width, part_begin(call, call[PART] + 1) * width
    target, table = at(values, place[row[1]] + first), at(reals(call[POSITIONS]), first)
    for i in range(last - first):
        target[i] += table[i]


@kernel
def sinusoidal_backward(
    row: Ints,
    call: Ints,
    place: Ints,
    weights: Reals,
    transposed: Reals,
    values: Reals,
    d_values: Reals,
    d_weights: Reals,
    scratch: Reals,
):
    """Leave the gradient as it is: the table is fixed."""


SINUSOIDAL = Kind("sinusoidal", sinusoidal_forward, sinusoidal_backward, _SINUSOIDAL_FIELDS, reads=())


@kernel
def learned_forward(row: Ints, call: Ints, place: Ints, weights: Reals, values: Reals, scratch: Reals):
    """Add the learned vector of each position; steps past the table take its last row."""
    width = row[3]
    for t in range(part_begin(call, call[PART]), part_begin(call, call[PART] + 1)):
        target = at(values, place[row[1]] + t * width)
        vector = at(weights, row[2] + min(t, row[4] - 1) * width)
        for j in range(width):
            target[j] += vector[j]


@kernel
def learned_backward(
    row: Ints,
    call: Ints,
    place: Ints,
    weights: Reals,
    transposed: Reals,
    values: Reals,
    d_values: Reals,
    d_weights: Reals,
    scratch: Reals,
):
    """Add each step's gradient to its position's."""
    width = row[3]
    for t in range(part_begin(call, call[PART]), part_begin(call, call[PART] + 1)):
        d_target = at(d_values, place[row[1]] + t * width)
        d_vector = at(d_weights, row[2] + min(t, row[4] - 1) * width)
        for j in range(width):
            d_vector[j] += d_target[j]


LEARNED = Kind("learned", learned_forward, learned_backward, _LEARNED_FIELDS, reads=())


@kernel
def hidden_forward(row: Ints, call: Ints, place: Ints, weights: Reals, values: Reals, scratch: Reals):
    """Put one learned vector in the place of each hidden step."""
    width = row[3]
    token = at(weights, row[2])
    for t in range(part_begin(call, call[PART]), part_begin(call, call[PART] + 1)):
        if hides(call, t, row[4]):
            target = at(values, place[row[1]] + t * width)
            for j in range(width):
                target[j] = token[j]


@kernel
def hidden_backward(
    row: Ints,
    call: Ints,
    place: Ints,
    weights: Reals,
    transposed: Reals,
    values: Reals,
    d_values: Reals,
    d_weights: Reals,
    scratch: Reals,
):
    """Give a hidden step's gradient to the learned vector, and none to what it hides."""
    width = row[3]
    d_token = at(d_weights, row[2])
    for t in range(part_begin(call, call[PART]), part_begin(call, call[PART] + 1)):
        if hides(call, t, row[4]):
            d_target = at(d_values, place[row[1]] + t * width)
            for j in range(width):
                d_token[j] += d_target[j]
                d_target[j] = real(0)


HIDDEN = Kind("hidden", hidden_forward, hidden_backward, _HIDDEN_FIELDS, reads=())
