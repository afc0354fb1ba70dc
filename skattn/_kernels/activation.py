"""Steps that act on each number by itself: GELU and dropout, forward and backward."""

from .jit import Int, Ints, Real, Reals, kernel, real
from .simd import at, exp2
from .step import DROPOUT_SITE, LEARN, PART, PROBABILITY_UNIT, TRAINING, draw, part_begin, row_begin, row_end

GELU_FIELDS = ("source", "target", "width")
DROPOUT_FIELDS = ("source", "target", "width", "per_step", "rate", "site", "adds")
# `rate` in PROBABILITY_UNIT parts; `site` numbers the dropouts of a network.

# GELU in tanh form, 0.5 x (1 + tanh(u)) = x / (1 + 2 ** t) (Hendrycks & Gimpel 2016, arXiv:1606.08415):
# t = -2 u log2(e), u = sqrt(2 / pi) (x + 0.044715 x^3).
_SLOPE = -2.0 * 0.7978845608028654 * 1.4426950408889634
_CUBIC = 0.044715
# 2 ** t of anything larger overflows nothing and changes no result.
_LARGEST = 100.0
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
        x = source[i]
        t = x * (real(1) + real(_CUBIC) * x * x) * real(_SLOPE)
        t = real(_LARGEST) if t > real(_LARGEST) else t
        power = exp2(t)
        sigmoid = real(1) / (real(1) + power)
        # d/dx 1 / (1 + 2^t) = -ln 2 * 2^t / (1 + 2^t)^2 * dt/dx
        slope = (real(1) + real(3 * _CUBIC) * x * x) * real(_SLOPE * _LN2)
        d_source[i] = d_target[i] * sigmoid * (real(1) - x * slope * power * sigmoid)


@kernel
def dropout_forward(row: Ints, call: Ints, place: Ints, weights: Reals, values: Reals, scratch: Reals):
    """Zero a share of the numbers and stretch the others, so that their expectation stays (Srivastava et al. 2014)."""
    width, first, last = row[3], row_begin(call, row[4]), row_end(call, row[4])
    source, target = at(values, place[row[1]]), at(values, place[row[2]])
    for i in range(first * width, last * width):
        target[i] = source[i] * _factor(row, call, i) if call[TRAINING] == LEARN else source[i]


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
    width, first, last = row[3], row_begin(call, row[4]), row_end(call, row[4])
    d_source, d_target = at(d_values, place[row[1]]), at(d_values, place[row[2]])
    for i in range(first * width, last * width):
        passed = d_target[i] * _factor(row, call, i) if call[TRAINING] == LEARN else d_target[i]
        d_source[i] = d_source[i] + passed if row[7] else passed


@kernel
def _factor(row: Ints, call: Ints, index: Int) -> Real:
    """Give 0 for a number that is dropped, one over the share that is kept for the others."""
    if draw(call, DROPOUT_SITE + row[6], index) < row[5]:
        return real(0)
    return real(PROBABILITY_UNIT) / real(PROBABILITY_UNIT - row[5])
