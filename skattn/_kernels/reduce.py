"""Sums whose order is written down, so that their bits depend on no compiler and on no width of vectors; the largest.

Numbers are summed in as many lanes as fit 64 bytes, whatever the machine's vectors hold, then the lanes by halves.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .simd import Emitter

# Bytes of the lanes that sums are taken in.
_BYTES = 64


def emitter(builder, kind):
    """Write vectors of 64 bytes, whatever those of this machine hold."""
    return Emitter(builder, kind, width=_BYTES // Emitter(builder, kind).itemsize)


def _emit_sum(builder, n, reader, adder, add):
    """Write the sum of ``add(load, place, total)`` over blocks of lanes; past the end `load` gives zeros.

    `reader` and `adder` write for what is loaded and for what is summed, in as many lanes.
    """
    total = cgutils.alloca_once_value(builder, adder.constant(0.0))
    width = reader.index(reader.lanes)
    whole, rest = builder.sdiv(n, width), builder.srem(n, width)
    with cgutils.for_range(builder, whole) as loop:
        builder.store(add(reader.load, builder.mul(loop.index, width), builder.load(total)), total)
    with builder.if_then(builder.icmp_signed(">", rest, reader.index(0))):
        mask = reader.first(rest)

        def load(pointer, place):
            return reader.masked_load(pointer, place, mask)

        builder.store(add(load, builder.mul(whole, width), builder.load(total)), total)
    return fold(builder, builder.load(total), adder.lanes)


def fold(builder, vector, lanes):
    """Add the upper half of the lanes to the lower, until one is left."""
    number = ir.IntType(32)
    while lanes > 1:
        lanes //= 2
        lower, upper = (ir.Constant(ir.VectorType(number, lanes), list(range(i, i + lanes))) for i in (0, lanes))
        low, high = (builder.shuffle_vector(vector, vector, half) for half in (lower, upper))
        vector = builder.fadd(low, high)
    return builder.extract_element(vector, number(0))


@intrinsic
def add_up(typing_context, a, n):
    """Give the sum of `n` numbers."""

    def generate(context, builder, signature, arguments):
        a, n = arguments
        emit = emitter(builder, a.type)
        return _emit_sum(builder, n, emit, emit, lambda load, place, total: builder.fadd(total, load(a, place)))

    return a.dtype(a, types.int64), generate


@intrinsic
def dot(typing_context, a, b, n):
    """Give the inner product of two vectors of `n` numbers."""

    def generate(context, builder, signature, arguments):
        a, b, n = arguments
        emit = emitter(builder, a.type)

        def add(load, place, total):
            return emit.multiply_add(load(a, place), load(b, place), total)

        return _emit_sum(builder, n, emit, emit, add)

    return a.dtype(a, a, types.int64), generate


@intrinsic
def add_squares(typing_context, a, n):
    """Give the sum of the squares of `n` numbers in double precision: those of float32 overflow early."""

    def generate(context, builder, signature, arguments):
        a, n = arguments
        double = emitter(builder, ir.DoubleType())
        emit = Emitter(builder, a.type, width=double.lanes)

        def add(load, place, total):
            wide = load(a, place)
            if wide.type != double.vector:
                wide = builder.fpext(wide, double.vector)
            return double.multiply_add(wide, wide, total)

        return _emit_sum(builder, n, emit, double, add)

    return types.float64(a, types.int64), generate


@intrinsic
def largest(typing_context, a, n):
    """Give the largest of one number or more; of what is not a number, some of it may pass for the largest."""

    def generate(context, builder, signature, arguments):
        a, n = arguments
        emit, one = emitter(builder, a.type), Emitter(builder, a.type, width=0)
        width = emit.index(emit.lanes)
        whole = builder.sdiv(n, width)
        top = cgutils.alloca_once_value(builder, builder.load(a))
        with builder.if_then(builder.icmp_signed(">", whole, emit.index(0))):
            tops = cgutils.alloca_once_value(builder, emit.load(a, emit.index(0)))
            with cgutils.for_range(builder, whole, start=emit.index(1)) as loop:
                block = emit.load(a, builder.mul(loop.index, width))
                builder.store(emit.maximum(builder.load(tops), block), tops)
            for lane in range(emit.lanes):
                number = builder.extract_element(builder.load(tops), ir.IntType(32)(lane))
                builder.store(one.maximum(builder.load(top), number), top)
        with cgutils.for_range(builder, n, start=builder.mul(whole, width)) as loop:
            builder.store(one.maximum(builder.load(top), builder.load(emit.at(a, loop.index))), top)
        return builder.load(top)

    return a.dtype(a, types.int64), generate
