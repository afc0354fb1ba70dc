"""Pool each sequence's steps into one vector: forward and backward. The first part of a sequence does all of it."""

import math

from .jit import Ints, Reals, kernel, real
from .matmul import add_rows
from .reduce import add_up, dot
from .simd import at
from .step import N_STEPS, PART, Kind

_FIELDS = ("source", "target", "column", "width", "adds")
# The result fills `width` columns of the target, from `column` on.
_SELECT_FIELDS = (*_FIELDS, "last")
_ATTENTION_FIELDS = (*_FIELDS, "query", "shares")
# `shares` [n_steps] keeps how much of each step is taken.


@kernel
def mean_forward(row: Ints, call: Ints, place: Ints, weights: Reals, values: Reals, scratch: Reals):
    """Give the mean over steps; source [n_steps, width]."""
    if call[PART] > 0:
        return
    width, n_steps = row[4], call[N_STEPS]
    target = at(values, place[row[2]] + row[3])
    for j in range(width):
        target[j] = real(0)
    add_rows(at(values, place[row[1]]), n_steps, width, target, scratch)
    share = real(1) / real(n_steps)
    for j in range(width):
        target[j] *= share


@kernel
def mean_backward(
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
    """Give every step its equal share of the gradient."""
    if call[PART] > 0:
        return
    width, n_steps, adds = row[4], call[N_STEPS], row[5]
    d_target = at(d_values, place[row[2]] + row[3])
    share = real(1) / real(n_steps)
    for t in range(n_steps):
        d_source = at(d_values, place[row[1]] + t * width)
        for j in range(width):
            d_source[j] = d_source[j] + d_target[j] * share if adds else d_target[j] * share


MEAN = Kind("pool_mean", mean_forward, mean_backward, _FIELDS)


@kernel
def max_forward(row: Ints, call: Ints, place: Ints, weights: Reals, values: Reals, scratch: Reals):
    """Give the largest value over steps of each column."""
    if call[PART] > 0:
        return
    width = row[4]
    target = at(values, place[row[2]] + row[3])
    source = at(values, place[row[1]])
    for j in range(width):
        target[j] = source[j]
    for t in range(1, call[N_STEPS]):
        source = at(values, place[row[1]] + t * width)
        for j in range(width):
            # What is not a number is the largest, lest it pass unnoticed.
            target[j] = source[j] if source[j] > target[j] or source[j] != source[j] else target[j]


@kernel
def max_backward(
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
    """Give each column's gradient to the first step that has the largest value."""
    if call[PART] > 0:
        return
    width, adds = row[4], row[5]
    target, d_target = at(values, place[row[2]] + row[3]), at(d_values, place[row[2]] + row[3])
    for j in range(width):
        scratch[j] = d_target[j]
    for t in range(call[N_STEPS]):
        source, d_source = at(values, place[row[1]] + t * width), at(d_values, place[row[1]] + t * width)
        for j in range(width):
            passed = scratch[j] if source[j] == target[j] else real(0)
            # What one step has taken is gone for later ones that tie with it.
            scratch[j] -= passed
            d_source[j] = d_source[j] + passed if adds else passed


MAX = Kind("pool_max", max_forward, max_backward, _FIELDS)


@kernel
def select_forward(row: Ints, call: Ints, place: Ints, weights: Reals, values: Reals, scratch: Reals):
    """Give the first step, or the last."""
    if call[PART] > 0:
        return
    width = row[4]
    chosen = call[N_STEPS] - 1 if row[6] else 0
    source, target = at(values, place[row[1]] + chosen * width), at(values, place[row[2]] + row[3])
    for j in range(width):
        target[j] = source[j]


@kernel
def select_backward(
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
    """Give the gradient to the chosen step alone."""
    if call[PART] > 0:
        return
    width, adds = row[4], row[5]
    chosen = call[N_STEPS] - 1 if row[6] else 0
    d_source = at(d_values, place[row[1]])
    if adds == 0:
        for i in range(call[N_STEPS] * width):
            d_source[i] = real(0)
    d_target = at(d_values, place[row[2]] + row[3])
    d_source = at(d_source, chosen * width)
    for j in range(width):
        d_source[j] += d_target[j]


SELECT = Kind("pool_select", select_forward, select_backward, _SELECT_FIELDS)


@kernel
def attention_forward(row: Ints, call: Ints, place: Ints, weights: Reals, values: Reals, scratch: Reals):
    """Mix the steps by how well each matches one learned query: softmax(source @ query / sqrt(width)) @ source."""
    if call[PART] > 0:
        return
    width, n_steps = row[4], call[N_STEPS]
    query, shares = at(weights, row[6]), at(values, place[row[7]])
    scale = real(1) / math.sqrt(real(width))
    largest = real(-1e38)
    for t in range(n_steps):
        source = at(values, place[row[1]] + t * width)
        shares[t] = dot(source, query, width) * scale
        largest = shares[t] if shares[t] > largest else largest
    for t in range(n_steps):
        shares[t] = math.exp(shares[t] - largest)
    total = add_up(shares, n_steps)
    target = at(values, place[row[2]] + row[3])
    for j in range(width):
        target[j] = real(0)
    for t in range(n_steps):
        source = at(values, place[row[1]] + t * width)
        shares[t] /= total
        for j in range(width):
            target[j] += shares[t] * source[j]


@kernel
def attention_backward(
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
    """Add to the query's gradient, and give the steps'."""
    if call[PART] > 0:
        return
    width, n_steps, adds = row[4], call[N_STEPS], row[5]
    query, d_query, shares = at(weights, row[6]), at(d_weights, row[6]), at(values, place[row[7]])
    target, d_target = at(values, place[row[2]] + row[3]), at(d_values, place[row[2]] + row[3])
    scale = real(1) / math.sqrt(real(width))
    expected = dot(d_target, target, width)
    for t in range(n_steps):
        source, d_source = at(values, place[row[1]] + t * width), at(d_values, place[row[1]] + t * width)
        d_score = shares[t] * (dot(d_target, source, width) - expected) * scale
        for j in range(width):
            d_query[j] += d_score * source[j]
            passed = shares[t] * d_target[j] + d_score * query[j]
            d_source[j] = d_source[j] + passed if adds else passed


ATTENTION = Kind("pool_attention", attention_forward, attention_backward, _ATTENTION_FIELDS)
