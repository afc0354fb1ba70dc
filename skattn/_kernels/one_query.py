"""Vectors of one query: its scores, their powers, and the values that these mix.

Sums are taken in as many lanes as fit 64 bytes and in an order that is written down, as in reduce.py; several of them
side by side, for one alone would be a chain of instructions that wait for each other.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .reduce import emitter, fold
from .simd import tile

# Vectors that scores are computed in at a time.
WIDE = 8
wide_scores = tile(1, WIDE)
"""The scores of `WIDE` vectors of keys: see `tile`."""

# Blocks of 64 bytes whose powers are computed side by side, and keys whose values are mixed side by side.
_POWERS, _KEYS = 2, 4


@intrinsic
def powers_at_once(typing_context, pointer):
    """Give the multiple of numbers that `powers` works on."""

    def generate(context, builder, signature, arguments):
        return ir.IntType(64)(_POWERS * emitter(builder, arguments[0].type).lanes)

    return types.int64(pointer), generate


@intrinsic
def powers(typing_context, scores, n, top):
    """Turn each score into a power of two, relative to `top`, and give their sum; see `powers_at_once`."""

    def generate(context, builder, signature, arguments):
        scores, n, top = arguments
        emit = emitter(builder, scores.type)
        width, highest = emit.index(_POWERS * emit.lanes), emit.splat(top)
        sums = [cgutils.alloca_once_value(builder, emit.constant(0.0)) for _ in range(_POWERS)]
        with cgutils.for_range(builder, builder.sdiv(n, width)) as loop:
            first = builder.mul(loop.index, width)
            places = [builder.add(first, emit.index(i * emit.lanes)) for i in range(_POWERS)]
            blocks = emit.exp2([builder.fsub(emit.load(scores, place), highest) for place in places])
            for room, place, block in zip(sums, places, blocks, strict=True):
                emit.store(block, scores, place)
                builder.store(builder.fadd(builder.load(room), block), room)
        total = builder.fadd(builder.load(sums[0]), builder.load(sums[1]))
        return fold(builder, total, emit.lanes)

    return scores.dtype(scores, types.int64, scores.dtype), generate


@intrinsic
def mix(typing_context, weights, n, values, width, mixed, fresh):
    """Give, or add, ``sum_k weights[k] * values[k, :]``; values [n, width], mixed [width]."""
    integer = types.int64

    def generate(context, builder, signature, arguments):
        weights, n, values, width, mixed, fresh = arguments
        lanes = emitter(builder, values.type).index(emitter(builder, values.type).lanes)
        whole, rest = builder.sdiv(width, lanes), builder.srem(width, lanes)
        with cgutils.for_range(builder, whole) as loop:
            column = builder.mul(loop.index, lanes)
            _emit_mix(builder, weights, n, values, width, mixed, fresh, column, None)
        with builder.if_then(builder.icmp_signed(">", rest, lanes.type(0))):
            _emit_mix(builder, weights, n, values, width, mixed, fresh, builder.mul(whole, lanes), rest)
        return context.get_dummy_value()

    return types.void(weights, integer, weights, integer, weights, types.boolean), generate


def _emit_mix(builder, weights, n, values, width, mixed, fresh, column, rest):
    """Write the sum for one block of columns, all of its lanes or the first `rest`."""
    emit = emitter(builder, values.type)
    index, mask = emit.index, None if rest is None else emit.first(rest)
    sums = [cgutils.alloca_once(builder, emit.vector) for _ in range(_KEYS)]
    for total in sums:
        builder.store(emit.constant(0.0), total)

    def load(pointer, place):
        return emit.load(pointer, place) if mask is None else emit.masked_load(pointer, place, mask)

    def add(key, total):
        weight = emit.splat(builder.load(emit.at(weights, key)))
        row = load(values, builder.add(builder.mul(key, width), column))
        builder.store(emit.multiply_add(weight, row, builder.load(total)), total)

    groups = builder.sdiv(n, index(_KEYS))
    with cgutils.for_range(builder, groups) as loop:
        first = builder.mul(loop.index, index(_KEYS))
        for i, total in enumerate(sums):
            add(builder.add(first, index(i)), total)
    with cgutils.for_range(builder, n, start=builder.mul(groups, index(_KEYS))) as loop:
        add(loop.index, sums[0])
    parts = [builder.load(total) for total in sums]
    while len(parts) > 1:
        parts = [builder.fadd(a, b) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    room = cgutils.alloca_once_value(builder, parts[0])
    with builder.if_then(builder.not_(fresh)):
        builder.store(builder.fadd(load(mixed, column), builder.load(room)), room)
    if mask is None:
        emit.store(builder.load(room), mixed, column)
    else:
        emit.masked_store(builder.load(room), mixed, column, mask)
