"""Steps that act on each number by itself: GELU and dropout, forward and backward."""

from .jit import Int, Ints, Real, Reals, kernel, real
from .simd import at, exp2
from .step import (
    DROPOUT_SITE,
    LEARN,
    PART,
    PROBABILITY_UNIT,
    TRAINING,
    Kind,
    drawing,
    part_begin,
    row_begin,
    row_end,
    scatter,
)

_GELU_FIELDS = ("source", "target", "width")
_DROPOUT_FIELDS = ("source", "target", "width", "per_step", "rate", "site", "adds")
# `rate` in PROBABILITY_UNIT parts; `site` numbers the dropouts of a network.

# GELU in tanh form, 0.5 x (1 + tanh(u)) = x / (1 + 2 ** t) (Hendrycks & Gimpel 2016, arXiv:1606.08415):
# t = -2 u log2(e), u = sqrt(2 / pi) (x + 0.044715 x^3).
_SLOPE = -2.0 * 0.7978845608028654 * 1.4426950408889634
_CUBIC = 0.044715
# 2 ** t of anything larger overflows nothing and changes no result.
_LARGEST = 100.0
_FLAT = 20.0
_LN2 = 0.6931471805599453


@kernel
def gelu_forward(row: Ints, call: Ints, place: Ints, weights: Reals, values: Reals, scratch: Reals):
    """Compute ``target = gelu(source)``; both [n_steps, width]."""
    first, last = part_begin(call, call[PART]) * row[3], part_begin(call, call[PART] + 1) * row[3]
    source, target = at(values, place[row[1]] + first), at(values, place[row[2]] + first)
    for i in range(last - first):
        x = source[i]
        t = x * (real(1) + real(_CUBIC) * x * x) * real(_SLOPE)
        t = real(_LARGEST) if t > real(_LARGEST) else t
        target[i] = x / (real(1) + exp2(t))


@kernel
def gelu_backward(
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
    """Give the source's gradient."""
    first, last = part_begin(call, call[PART]) * row[3], part_begin(call, call[PART] + 1) * row[3]
    source = at(values, place[row[1]] + first)
    d_source, d_target = at(d_values, place[row[1]] + first), at(d_values, place[row[2]] + first)
    for i in range(last - first):
        # Beyond this the slope is 0 or 1 to the last bit, and powers of x would overflow.
        x = min(max(source[i], real(-_FLAT)), real(_FLAT))
        t = x * (real(1) + real(_CUBIC) * x * x) * real(_SLOPE)
        t = real(_LARGEST) if t > real(_LARGEST) else t
        power = exp2(t)
        sigmoid = real(1) / (real(1) + power)
        # d/dx 1 / (1 + 2^t) = -ln 2 * 2^t / (1 + 2^t)^2 * dt/dx
        slope = (real(1) + real(3 * _CUBIC) * x * x) * real(_SLOPE * _LN2)
        d_source[i] = d_target[i] * sigmoid * (real(1) - x * slope * power * sigmoid)


GELU = Kind("gelu", gelu_forward, gelu_backward, _GELU_FIELDS)


@kernel
def dropout_forward(row: Ints, call: Ints, place: Ints, weights: Reals, values: Reals, scratch: Reals):
    """Zero a share of the numbers and stretch the others, so that their expectation stays (Srivastava et al. 2014)."""
    first, last = row_begin(call, row[4]) * row[3], row_end(call, row[4]) * row[3]
    source, target = at(values, place[row[1]] + first), at(values, place[row[2]] + first)
    begin, rate, stretch = drawing(call, DROPOUT_SITE + row[6]) + first, _rate(row, call), _stretch(row, call)
    for i in range(last - first):
        kept = (scatter(begin + i) & (PROBABILITY_UNIT - 1)) >= rate
        target[i] = source[i] * stretch if kept else real(0)


@kernel
def dropout_backward(
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
    """Give the source's gradient: what was zeroed gets none."""
    first, last = row_begin(call, row[4]) * row[3], row_end(call, row[4]) * row[3]
    d_source, d_target = at(d_values, place[row[1]] + first), at(d_values, place[row[2]] + first)
    begin, rate, stretch = drawing(call, DROPOUT_SITE + row[6]) + first, _rate(row, call), _stretch(row, call)
    adds = row[7]
    for i in range(last - first):
        kept = (scatter(begin + i) & (PROBABILITY_UNIT - 1)) >= rate
        passed = d_target[i] * stretch if kept else real(0)
        d_source[i] = d_source[i] + passed if adds else passed


DROPOUT = Kind("dropout", dropout_forward, dropout_backward, _DROPOUT_FIELDS)


@kernel
def _rate(row: Ints, call: Ints) -> Int:
    """Give the share that is dropped, of PROBABILITY_UNIT; none but while learning."""
    return row[5] if call[TRAINING] == LEARN else 0


@kernel
def _stretch(row: Ints, call: Ints) -> Real:
    """Give one over the share that is kept."""
    return real(PROBABILITY_UNIT) / real(PROBABILITY_UNIT - _rate(row, call))
