"""The linear map of every step, or of one vector: forward and backward."""

from .jit import Ints, Reals, kernel
from .matmul import add_rows, matmul
from .simd import at
from .step import Kind, row_begin, row_end

_FIELDS = ("source", "target", "weight", "bias", "n_in", "n_out", "per_step", "onto", "adds")
# `bias` -1: none. `onto`: add to what the target holds (a residual). `adds`: the source's gradient is added to (1),
# begun (0), or not wanted (-1).

# Steps summed at a time into a weight's gradient: both factors stay in the first-level cache.
_BLOCK = 128


@kernel
def linear_forward(row: Ints, call: Ints, place: Ints, weights: Reals, values: Reals, scratch: Reals):
    """Compute ``target (+)= source @ weight + bias``; source [rows, n_in], target [rows, n_out]."""
    bias, n_in, n_out, onto = row[4], row[5], row[6], row[8]
    first, last = row_begin(call, row[7]), row_end(call, row[7])
    source = at(values, place[row[1]] + first * n_in)
    target = at(values, place[row[2]] + first * n_out)
    n_rows = last - first
    if bias >= 0:
        shift = at(weights, bias)
        for r in range(n_rows):
            into = at(target, r * n_out)
            if onto:
                for j in range(n_out):
                    into[j] += shift[j]
            else:
                for j in range(n_out):
                    into[j] = shift[j]
    matmul(
        source,
        n_in,
        1,
        at(weights, row[3]),
        n_out,
        target,
        n_out,
        n_rows,
        n_in,
        n_out,
        bias < 0 and onto == 0,
    )


@kernel
def linear_backward(
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
    """Add to the gradients of weight and bias, and give the source's."""
    bias, n_in, n_out, adds = row[4], row[5], row[6], row[9]
    first, last = row_begin(call, row[7]), row_end(call, row[7])
    source = at(values, place[row[1]] + first * n_in)
    d_target = at(d_values, place[row[2]] + first * n_out)
    n_rows = last - first
    if bias >= 0:
        add_rows(d_target, n_rows, n_out, at(d_weights, bias), scratch)
    d_weight = at(d_weights, row[3])
    for r in range(0, n_rows, _BLOCK):
        n_block = min(n_rows - r, _BLOCK)
        matmul(
            at(source, r * n_in),
            1,
            n_in,
            at(d_target, r * n_out),
            n_out,
            d_weight,
            n_out,
            n_in,
            n_block,
            n_out,
            False,
        )
    if adds >= 0:
        d_source = at(d_values, place[row[1]] + first * n_in)
        matmul(d_target, n_out, 1, at(transposed, row[3]), n_in, d_source, n_in, n_rows, n_out, n_in, adds == 0)


LINEAR = Kind("linear", linear_forward, linear_backward, _FIELDS)
