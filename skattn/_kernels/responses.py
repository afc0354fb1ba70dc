"""Responses of a group of random kernels, in vector instructions: the convolution, and what is made of its results.

A group's kernels share a dilation and channels, so that a convolution is one product of register tiles: steps down,
kernels across.
"""

import functools

from numba.core import cgutils, types
from numba.extending import intrinsic

from .simd import HIGH_ROWS, TILE_ROWS, Emitter

GROUP = 16
"""Kernels that share a dilation and channels; a whole number of vectors on every machine."""
TAPS = 9
"""Steps that a kernel reads."""
RIVALS = 8
"""Kernels of which the one that responds most wins a step, in a stem whose kernels compete."""
# Response, in deviations of the training steps, that a kernel must have to win.
_STILL = 1e-3


@intrinsic
def convolve_rows(typing_context, x, length, channels, n_channels, dilation, stride, weights, y, y_row, n_rows):
    """Write the responses of a group of kernels at `n_rows` steps, `stride` apart; rows of y are `y_row` apart.

    ``y[r, k] = sum over channels c and taps j of x[channels[c], r * stride + j * dilation] * weights[c, j, k]``, where
    a channel of x has `length` numbers.

    The accumulators of a tile stay in registers over all channels and taps, in this order.
    """
    integer = types.int64
    signature = types.void(x, integer, channels, *[integer] * 3, x, x, integer, integer)

    def generate(context, builder, signature, arguments):
        emit = Emitter(builder, arguments[0].type)
        rows, vectors = _tile_size(emit)
        *given, y, y_row, n_rows = arguments
        with cgutils.for_range_slice(builder, emit.index(0), n_rows, emit.index(rows)) as (row, _):
            x, stride = emit.at(given[0], builder.mul(row, given[5])), given[5]
            below, live = emit.at(y, builder.mul(row, y_row)), builder.sub(n_rows, row)
            for column in range(0, GROUP, vectors * emit.lanes):
                _emit_convolution(builder, column, x, *given[1:5], stride, given[6], below, y_row, live)
        return context.get_dummy_value()

    return signature, generate


def _tile_size(emit):
    """Steps and vectors of a tile, by what registers hold."""
    vectors = min(2, GROUP // emit.lanes)
    return (HIGH_ROWS, 1) if vectors == 1 else (TILE_ROWS[2], 2)


def _emit_convolution(builder, column, x, length, channels, n_channels, dilation, stride, weights, y, y_row, live):
    emit = Emitter(builder, x.type)
    index, (rows, vectors) = emit.index, _tile_size(emit)
    last = builder.sub(live, index(1))
    # Rows past the live ones repeat the last live one, so nothing beyond it is read.
    places = [builder.select(builder.icmp_signed("<", index(row), last), index(row), last) for row in range(rows)]
    sums = [cgutils.alloca_once_value(builder, emit.constant(0.0)) for _ in range(rows * vectors)]
    for total in sums:
        builder.store(emit.constant(0.0), total)
    with cgutils.for_range(builder, n_channels) as loop:
        channel = builder.mul(builder.load(emit.at(channels, loop.index)), length)
        block = builder.mul(loop.index, index(TAPS * GROUP))
        starts = [emit.at(x, builder.add(channel, builder.mul(place, stride))) for place in places]
        with cgutils.for_range(builder, index(TAPS)) as taps:
            begin = builder.add(block, builder.mul(taps.index, index(GROUP)))
            across = [emit.load(weights, builder.add(begin, index(column + v * emit.lanes))) for v in range(vectors)]
            along = builder.mul(taps.index, dilation)
            for row in range(rows):
                factor = emit.splat(builder.load(emit.at(starts[row], along)))
                for vector in range(vectors):
                    total = sums[row * vectors + vector]
                    builder.store(emit.multiply_add(factor, across[vector], builder.load(total)), total)
    for row in range(rows):
        with builder.if_then(builder.icmp_signed("<", index(row), live)):
            for vector in range(vectors):
                place = builder.add(builder.mul(index(row), y_row), index(column + vector * emit.lanes))
                emit.store(builder.load(sums[row * vectors + vector]), y, place)


@intrinsic
def add_squashed(typing_context, y, n_rows, slope, shift, target, is_fresh):
    """Add a group's squashed responses [n_rows, GROUP] up, to `target` or, if `is_fresh`, in place of it.

    What is squashed, ``u = slope * y + shift``, lies between -1 and 1 or is brought there; ``u (3 - u^2) / 2`` rises as
    a sigmoid does, and takes a sixth of its instructions.
    """
    signature = types.void(y, types.int64, y, y, y, types.boolean)

    def generate(context, builder, signature, arguments):
        emit = Emitter(builder, arguments[0].type)
        for column in range(0, GROUP, 2 * emit.lanes):
            vectors = range(column, min(column + 2 * emit.lanes, GROUP), emit.lanes)
            _emit_squashed(emit, [emit.index(first) for first in vectors], *arguments)
        return context.get_dummy_value()

    return signature, generate


def _emit_squashed(emit, places, y, n_rows, slope, shift, target, is_fresh):
    builder, one = emit.builder, emit.constant(1.0)
    slopes, shifts = ([emit.load(part, place) for place in places] for part in (slope, shift))
    sums = _begin_sums(emit, places, target, is_fresh)
    with cgutils.for_range(builder, n_rows) as loop:
        row = builder.mul(loop.index, emit.index(GROUP))
        for total, place, steep, off in zip(sums, places, slopes, shifts, strict=True):
            u = emit.multiply_add(emit.load(y, builder.add(row, place)), steep, off)
            u = emit.maximum(emit.constant(-1.0), emit.minimum(one, u))
            bent = emit.multiply_add(builder.fmul(u, u), emit.constant(-0.5), emit.constant(1.5))
            builder.store(emit.multiply_add(u, bent, builder.load(total)), total)
    for total, place in zip(sums, places, strict=True):
        emit.store(builder.load(total), target, place)


@intrinsic
def add_winners(typing_context, y, n_rows, target, is_fresh):
    """Count at how many of `n_rows` steps each response was the largest of its `RIVALS`, as `add_squashed` adds up.

    Nobody wins where none is above `_STILL`: what differs there is rounding.
    """
    signature = types.void(y, types.int64, y, types.boolean)

    def generate(context, builder, signature, arguments):
        emit = Emitter(builder, arguments[0].type)
        n_vectors = max(1, RIVALS // emit.lanes)
        for column in range(0, GROUP, n_vectors * emit.lanes):
            places = [emit.index(column + v * emit.lanes) for v in range(n_vectors)]
            _emit_winners(emit, places, *arguments)
        return context.get_dummy_value()

    return signature, generate


def _emit_winners(emit, places, y, n_rows, target, is_fresh):
    builder, zero, one = emit.builder, emit.constant(0.0), emit.constant(1.0)
    counts = _begin_sums(emit, places, target, is_fresh)
    with cgutils.for_range(builder, n_rows) as loop:
        row = builder.mul(loop.index, emit.index(GROUP))
        responses = [emit.load(y, builder.add(row, place)) for place in places]
        best = functools.reduce(emit.maximum, responses, emit.constant(_STILL))
        distance = min(RIVALS, emit.lanes) // 2
        while distance:
            best = emit.maximum(best, emit.swapped(best, distance))
            distance //= 2
        for count, response in zip(counts, responses, strict=True):
            won = builder.select(builder.fcmp_ordered("==", response, best), one, zero)
            builder.store(builder.fadd(builder.load(count), won), count)
    for count, place in zip(counts, places, strict=True):
        emit.store(builder.load(count), target, place)


def _begin_sums(emit, places, target, is_fresh):
    """Give room for a sum a vector, which begins with 0 if `is_fresh`, or else with what is there."""
    builder = emit.builder
    sums = [cgutils.alloca_once(builder, emit.vector) for _ in places]
    for total, place in zip(sums, places, strict=True):
        builder.store(builder.select(is_fresh, emit.constant(0.0), emit.load(target, place)), total)
    return sums
