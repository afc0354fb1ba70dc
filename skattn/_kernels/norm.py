"""Layer normalisation of each step (Ba, Kiros & Hinton 2016, arXiv:1607.06450): forward and backward."""

import math

from .jit import Int, Ints, Reals, kernel, real
from .reduce import add_up, dot
from .simd import at
from .step import PART, Kind, part_begin

_FIELDS = ("source", "target", "normal", "spread", "scale", "bias", "width", "adds")
# `normal` [n_steps, width] keeps the normalised steps, `spread` [n_steps] one over their deviation.

EPSILON = 1e-5
# Steps whose share of the parameters' gradients is summed at a time.
_BLOCK = 64


@kernel
def norm_forward(row: Ints, call: Ints, place: Ints, weights: Reals, values: Reals, scratch: Reals):
    """Compute ``target = (source - mean) / sqrt(variance + EPSILON) * scale + bias`` of each step."""
    scale, bias, width = at(weights, row[5]), at(weights, row[6]), row[7]
    spread = at(values, place[row[4]])
    share = real(1) / real(width)
    for t in range(part_begin(call, call[PART]), part_begin(call, call[PART] + 1)):
        source = at(values, place[row[1]] + t * width)
        target = at(values, place[row[2]] + t * width)
        normal = at(values, place[row[3]] + t * width)
        mean = add_up(source, width) * share
        for j in range(width):
            normal[j] = source[j] - mean
        inverse = real(1) / math.sqrt(dot(normal, normal, width) * share + real(EPSILON))
        if inverse == real(0):
            # The squares overflowed. Zeros would pass for a result; what is not a number is noticed.
            inverse = real(math.nan)
        spread[t] = inverse
        for j in range(width):
            normal[j] *= inverse
            target[j] = normal[j] * scale[j] + bias[j]


@kernel
def norm_backward(
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
    """Add to the gradients of scale and bias, and give the source's."""
    scale, width, adds = at(weights, row[5]), row[7], row[8]
    spread = at(values, place[row[4]])
    share = real(1) / real(width)
    first, last = part_begin(call, call[PART]), part_begin(call, call[PART] + 1)
    for block in range(first, last, _BLOCK):
        end = min(block + _BLOCK, last)
        _add_to_parameters(
            at(values, place[row[3]] + block * width),
            at(d_values, place[row[2]] + block * width),
            end - block,
            width,
            at(d_weights, row[5]),
            at(d_weights, row[6]),
            scratch,
        )
        for t in range(block, end):
            normal = at(values, place[row[3]] + t * width)
            d_target = at(d_values, place[row[2]] + t * width)
            d_source = at(d_values, place[row[1]] + t * width)
            for j in range(width):
                scratch[j] = d_target[j] * scale[j]
            mean, along = add_up(scratch, width) * share, dot(scratch, normal, width) * share
            for j in range(width):
                passed = spread[t] * (scratch[j] - mean - normal[j] * along)
                d_source[j] = d_source[j] + passed if adds else passed


NORM = Kind("norm", norm_forward, norm_backward, _FIELDS)


@kernel
def _add_to_parameters(
    normal: Reals, d_target: Reals, n_rows: Int, width: Int, d_scale: Reals, d_bias: Reals, scratch: Reals
):
    """Add a block of steps to the gradients of scale and bias: sums of sums err less than one long sum."""
    d_shift = at(scratch, width)
    for j in range(2 * width):
        scratch[j] = real(0)
    for r in range(n_rows):
        normal_row, d_row = at(normal, r * width), at(d_target, r * width)
        for j in range(width):
            scratch[j] += d_row[j] * normal_row[j]
            d_shift[j] += d_row[j]
    for j in range(width):
        d_scale[j] += scratch[j]
        d_bias[j] += d_shift[j]
