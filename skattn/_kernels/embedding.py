"""Steps that act on the embedded sequence in place: positions and hidden steps, forward and backward."""

from .jit import Ints, Reals, kernel, real, reals
from .simd import at
from .step import (
    FEATURE_SITE,
    LEARN,
    PART,
    POSITIONS,
    PROBABILITY_UNIT,
    TRAINING,
    drawing,
    hides,
    part_begin,
    scatter,
)

SINUSOIDAL_FIELDS = ("target", "width")
LEARNED_FIELDS = ("target", "table", "width", "n_table")
HIDDEN_FIELDS = ("target", "token", "width", "share")
# `share` of the steps that are hidden, in PROBABILITY_UNIT parts.
DROP_FEATURES_FIELDS = ("target", "width", "rate")
# `rate` in PROBABILITY_UNIT parts.


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


@kernel
def drop_features_forward(row: Ints, call: Ints, place: Ints, weights: Reals, values: Reals, scratch: Reals):
    """Zero a share of the features at all steps alike, and stretch the others; target [n_steps, width].

    Features of neighbouring steps tell much the same: to drop single numbers would leave what they tell.
    """
    if call[TRAINING] != LEARN:
        return
    width, rate = row[2], row[3]
    begin, stretch = drawing(call, FEATURE_SITE), real(PROBABILITY_UNIT) / real(PROBABILITY_UNIT - rate)
    for j in range(width):
        scratch[j] = stretch if (scatter(begin + j) & (PROBABILITY_UNIT - 1)) >= rate else real(0)
    for t in range(part_begin(call, call[PART]), part_begin(call, call[PART] + 1)):
        target = at(values, place[row[1]] + t * width)
        for j in range(width):
            target[j] *= scratch[j]


@kernel
def drop_features_backward(
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
    """Leave the gradient as it is: nobody asks for that of the input."""
