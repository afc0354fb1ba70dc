"""Layer normalisation of each row (Ba, Kiros & Hinton 2016, arXiv:1607.06450): forward and backward."""

import math

from .jit import Int, Reals, kernel, real, reals
from .operation import Call, Kind, d_slot, slot
from .record import Record
from .reduce import add_up, dot
from .simd import at

# `normal` [rows, width] keeps the normalised rows, `spread` [rows] one over their deviation.
_Row = Record("source", "target", "normal", "spread", "scale", "bias", "width", "adds")

EPSILON = 1e-5
# Rows whose gradients of the parameters are summed at a time.
_BLOCK = 64


@kernel
def norm_forward(row: _Row, call: Call):
    """Compute ``target = (source - mean) / sqrt(variance + EPSILON) * scale + bias`` of each row."""
    width, weights = row.width, reals(call.weights)
    scale, bias, spread = at(weights, row.scale), at(weights, row.bias), slot(call, row.spread)
    sources, targets, normals = slot(call, row.source), slot(call, row.target), slot(call, row.normal)
    factor = real(1) / real(width)
    for t in range(call.first, call.last):
        source, target, normal = at(sources, t * width), at(targets, t * width), at(normals, t * width)
        mean = add_up(source, width) * factor
        for j in range(width):
            normal[j] = source[j] - mean
        inverse = real(1) / math.sqrt(dot(normal, normal, width) * factor + real(EPSILON))
        if inverse == real(0):
            # The squares overflowed. Zeros would pass for a result; what is not a number is noticed.
            inverse = real(math.nan)
        spread[t] = inverse
        for j in range(width):
            normal[j] *= inverse
            target[j] = normal[j] * scale[j] + bias[j]


@kernel
def norm_backward(row: _Row, call: Call):
    """Add to the gradients of scale and bias, and give the source's."""
    width, adds, first, last = row.width, row.adds, call.first, call.last
    scale, spread, scratch = at(reals(call.weights), row.scale), slot(call, row.spread), reals(call.scratch)
    normals, d_targets, d_sources = slot(call, row.normal), d_slot(call, row.target), d_slot(call, row.source)
    factor = real(1) / real(width)
    for block in range(first, last, _BLOCK):
        end = min(block + _BLOCK, last)
        if row.scale < call.n_learned or row.bias < call.n_learned:
            _add_to_parameters(row, call, at(normals, block * width), at(d_targets, block * width), end - block)
        for t in range(block, end):
            normal, d_target, d_source = at(normals, t * width), at(d_targets, t * width), at(d_sources, t * width)
            for j in range(width):
                scratch[j] = d_target[j] * scale[j]
            mean, along = add_up(scratch, width) * factor, dot(scratch, normal, width) * factor
            for j in range(width):
                passed = spread[t] * (scratch[j] - mean - normal[j] * along)
                d_source[j] = d_source[j] + passed if adds else passed


NORM = Kind("norm", norm_forward, norm_backward, _Row, step=norm_forward)


@kernel
def _add_to_parameters(row: _Row, call: Call, normal: Reals, d_target: Reals, n_rows: Int):
    """Add a block of rows to the gradients of scale and bias, if these learn: sums of sums err less than a long one."""
    width, scratch, d_weights = row.width, reals(call.scratch), reals(call.d_weights)
    d_shift, d_scale, d_bias = at(scratch, width), at(d_weights, row.scale), at(d_weights, row.bias)
    for j in range(2 * width):
        scratch[j] = real(0)
    for r in range(n_rows):
        normal_row, d_row = at(normal, r * width), at(d_target, r * width)
        for j in range(width):
            scratch[j] += d_row[j] * normal_row[j]
            d_shift[j] += d_row[j]
    if row.scale < call.n_learned:
        for j in range(width):
            d_scale[j] += scratch[j]
    if row.bias < call.n_learned:
        for j in range(width):
            d_bias[j] += d_shift[j]
