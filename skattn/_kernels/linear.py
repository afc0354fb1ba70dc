"""The linear map of every row of a slot: forward and backward."""

from .jit import kernel, reals
from .matmul import add_rows, matmul
from .operation import Call, Kind, d_slot, slot
from .record import Record
from .simd import at

# `bias` -1: none. `onto`: add to what the target holds (a residual).
_Row = Record("source", "target", "weight", "bias", "n_in", "n_out", "onto", "adds")

# Rows summed at a time into a weight's gradient: both factors stay in the first-level cache.
_BLOCK = 128


@kernel
def linear_forward(row: _Row, call: Call):
    """Compute ``target (+)= source @ weight + bias``; source [rows, n_in], target [rows, n_out]."""
    n_in, n_out, onto, bias, first = row.n_in, row.n_out, row.onto, row.bias, call.first
    n_rows, weights = call.last - first, reals(call.weights)
    source, target = at(slot(call, row.source), first * n_in), at(slot(call, row.target), first * n_out)
    weight = at(weights, row.weight)
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
    matmul(source, n_in, 1, weight, n_out, target, n_out, n_rows, n_in, n_out, bias < 0 and onto == 0)


@kernel
def linear_backward(row: _Row, call: Call):
    """Add to the gradients of weight and bias, and give the source's."""
    n_in, n_out, bias, adds, first = row.n_in, row.n_out, row.bias, row.adds, call.first
    n_rows, d_weights = call.last - first, reals(call.d_weights)
    source, d_target = at(slot(call, row.source), first * n_in), at(d_slot(call, row.target), first * n_out)
    if 0 <= bias < call.n_learned:
        add_rows(d_target, n_rows, n_out, at(d_weights, bias), reals(call.scratch))
    if row.weight < call.n_learned:
        d_weight = at(d_weights, row.weight)
        for r in range(0, n_rows, _BLOCK):
            n = min(n_rows - r, _BLOCK)
            left, right = at(source, r * n_in), at(d_target, r * n_out)
            matmul(left, 1, n_in, right, n_out, d_weight, n_out, n_in, n, n_out, False)
    if adds >= 0:
        d_source, transposed = at(d_slot(call, row.source), first * n_in), at(reals(call.transposed), row.weight)
        matmul(d_target, n_out, 1, transposed, n_in, d_source, n_in, n_rows, n_out, n_in, adds == 0)


LINEAR = Kind("linear", linear_forward, linear_backward, _Row, step=linear_forward)
