"""Responses of a group of random kernels, in vector instructions: the convolution, and what is made of its results.

A group's kernels share a dilation and channels, so that a convolution is one product of register tiles: steps down,
kernels across.
"""

import functools
from contextlib import contextmanager

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
def add_squashed(typing_context, y, n_rows, slope, shift, target, mean, scale, factor, is_first, is_last):
    """Add a group's squashed responses [n_rows, GROUP] up, to what is at `target` unless they are a token's first.

    What is squashed, ``u = slope * y + shift``, lies between -1 and 1 or is brought there. A polynomial,
    ``u (15 - 10 u^2 + 3 u^4) / 8``, rises as a sigmoid does, in less than half of its instructions. With the last of a
    token's rows, what is left at `target` is ``(factor * sum - mean) * scale``.
    """
    signature = types.void(y, types.int64, *[y] * 5, y.dtype, types.boolean, types.boolean)

    def generate(context, builder, signature, arguments):
        y, n_rows, slope, shift, *rest = arguments
        emit = Emitter(builder, y.type)
        for column in range(0, GROUP, 2 * emit.lanes):
            places = [emit.index(first) for first in range(column, min(column + 2 * emit.lanes, GROUP), emit.lanes)]
            _emit_squashed(emit, places, y, n_rows, slope, shift, rest)
        return context.get_dummy_value()

    return signature, generate


def _emit_squashed(emit, places, y, n_rows, slope, shift, rest):
    builder, one = emit.builder, emit.constant(1.0)
    slopes, shifts = ([emit.load(part, place) for place in places] for part in (slope, shift))
    with _sums(emit, places, *rest) as sums, cgutils.for_range(builder, n_rows) as loop:
        row = builder.mul(loop.index, emit.index(GROUP))
        for total, place, steep, off in zip(sums, places, slopes, shifts, strict=True):
            u = emit.multiply_add(emit.load(y, builder.add(row, place)), steep, off)
            u = emit.maximum(emit.constant(-1.0), emit.minimum(one, u))
            square = builder.fmul(u, u)
            bent = emit.multiply_add(square, emit.constant(3 / 8), emit.constant(-10 / 8))
            bent = emit.multiply_add(square, bent, emit.constant(15 / 8))
            builder.store(emit.multiply_add(u, bent, builder.load(total)), total)


@intrinsic
def add_winners(typing_context, y, n_rows, target, mean, scale, factor, is_first, is_last):
    """Count at how many of `n_rows` steps each response was the largest of its `RIVALS`; else as `add_squashed`.

    Nobody wins where none is above `_STILL`: what differs there is rounding.
    """
    signature = types.void(y, types.int64, *[y] * 3, y.dtype, types.boolean, types.boolean)

    def generate(context, builder, signature, arguments):
        y, n_rows, *rest = arguments
        emit = Emitter(builder, y.type)
        n_vectors = max(1, RIVALS // emit.lanes)
        for column in range(0, GROUP, n_vectors * emit.lanes):
            _emit_winners(emit, [emit.index(column + v * emit.lanes) for v in range(n_vectors)], y, n_rows, rest)
        return context.get_dummy_value()

    return signature, generate


def _emit_winners(emit, places, y, n_rows, rest):
    builder, zero, one = emit.builder, emit.constant(0.0), emit.constant(1.0)
    with _sums(emit, places, *rest) as counts, cgutils.for_range(builder, n_rows) as loop:
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


@contextmanager
def _sums(emit, places, target, mean, scale, factor, is_first, is_last):
    """Give room for a sum a vector, which goes on from what is at `target`, and leave there what comes of it."""
    builder, factor = emit.builder, emit.splat(factor)
    sums = [cgutils.alloca_once(builder, emit.vector) for _ in places]
    for total, place in zip(sums, places, strict=True):
        builder.store(builder.select(is_first, emit.constant(0.0), emit.load(target, place)), total)
    yield sums
    for total, place in zip(sums, places, strict=True):
        found = builder.load(total)
        distance = builder.fsub(builder.fmul(found, factor), emit.load(mean, place))
        done = builder.fmul(distance, emit.load(scale, place))
        emit.store(builder.select(is_last, done, found), target, place)
