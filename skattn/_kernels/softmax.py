"""Softmax down the columns of a block of scores, a vector of queries at a time.

Scores lie transposed, ``S[key, query]``, in units of log2: queries fill the lanes, so the running maximum and sum of
each are vertical vector operations and nothing is reduced across lanes (online softmax: Dao 2023, arXiv:2307.08691).
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .simd import LOWEST, Emitter


@intrinsic
def mask_columns(typing_context, scores, row, n_keys, first_key, first_query, left, right):
    """Set scores of keys before ``query - left`` and after ``query + right`` to LOWEST, in one vector of queries."""
    integer = types.int64
    signature = types.void(scores, integer, integer, integer, integer, integer, integer)

    def generate(context, builder, signature, arguments):
        scores, row, n_keys, first_key, first_query, left, right = arguments
        emit = Emitter(builder, scores.type)
        whole = Emitter(builder, ir.IntType(64), emit.lanes)
        queries = builder.add(whole.splat(first_query), ir.Constant(whole.vector, list(range(emit.lanes))))
        begin = builder.sub(queries, whole.splat(left))
        end = builder.add(queries, whole.splat(right))
        with cgutils.for_range(builder, n_keys) as loop:
            place = builder.mul(loop.index, row)
            key = whole.splat(builder.add(first_key, loop.index))
            inside = builder.and_(builder.icmp_signed(">=", key, begin), builder.icmp_signed("<=", key, end))
            emit.store(
                builder.select(inside, emit.load(scores, place), emit.constant(LOWEST[emit.kind])), scores, place
            )
        return context.get_dummy_value()

    return signature, generate


def _absorb(masked):
    @intrinsic
    def absorb(typing_context, scores, row, n_keys, top, total, mixed, mixed_row, d_value, fresh):
        integer = types.int64
        signature = types.void(scores, integer, integer, scores, scores, scores, integer, integer, types.boolean)

        def generate(context, builder, signature, arguments):
            _emit_absorb(builder, masked, *arguments)
            return context.get_dummy_value()

        return signature, generate

    return absorb


def _emit_absorb(builder, masked, scores, row, n_keys, top, total, mixed, mixed_row, d_value, fresh):
    emit = Emitter(builder, scores.type)
    zero = emit.index(0)
    largest, sums = cgutils.alloca_once(builder, emit.vector), cgutils.alloca_once(builder, emit.vector)
    builder.store(emit.constant(LOWEST[emit.kind]), largest)
    builder.store(emit.constant(0.0), sums)
    with cgutils.for_range(builder, n_keys) as loop:
        score = emit.load(scores, builder.mul(loop.index, row))
        builder.store(emit.maximum(builder.load(largest), score), largest)
    with builder.if_then(builder.not_(fresh)):
        before = emit.load(top, zero)
        builder.store(emit.maximum(builder.load(largest), before), largest)
        # Rescale: where the running maximum rose, earlier terms shrink.
        shrink = emit.exp2(builder.fsub(before, builder.load(largest)), exact_zero=True)
        builder.store(builder.fmul(emit.load(total, zero), shrink), sums)
        with cgutils.for_range(builder, d_value) as loop:
            place = builder.mul(loop.index, mixed_row)
            emit.store(builder.fmul(emit.load(mixed, place), shrink), mixed, place)
    highest = builder.load(largest)
    with cgutils.for_range(builder, n_keys) as loop:
        place = builder.mul(loop.index, row)
        power = emit.exp2(builder.fsub(emit.load(scores, place), highest), exact_zero=masked)
        builder.store(builder.fadd(builder.load(sums), power), sums)
        emit.store(power, scores, place)
    emit.store(highest, top, zero)
    emit.store(builder.load(sums), total, zero)


# Turn one vector of queries' scores against a block of keys into powers of two, relative to the largest score so far;
# bring `top` (that maximum), `total` (the sum of powers) and `mixed` [d_value] (what they mixed before) up to it.
absorb = _absorb(masked=False)
# The same for scores among which some are masked: those give exactly 0.
absorb_masked = _absorb(masked=True)


def _recall(masked):
    @intrinsic
    def recall(typing_context, scores, d_scores, row, n_keys, top, inverse, expected, scale):
        integer = types.int64
        signature = types.void(scores, scores, integer, integer, scores, scores, scores, scores.dtype)

        def generate(context, builder, signature, arguments):
            _emit_recall(builder, masked, *arguments)
            return context.get_dummy_value()

        return signature, generate

    return recall


def _emit_recall(builder, masked, scores, d_scores, row, n_keys, top, inverse, expected, scale):
    emit = Emitter(builder, scores.type)
    zero = emit.index(0)
    highest, share, mean = emit.load(top, zero), emit.load(inverse, zero), emit.load(expected, zero)
    factor = emit.splat(scale)
    with cgutils.for_range(builder, n_keys) as loop:
        place = builder.mul(loop.index, row)
        power = emit.exp2(builder.fsub(emit.load(scores, place), highest), exact_zero=masked)
        weight = builder.fmul(power, share)
        slope = builder.fsub(emit.load(d_scores, place), mean)
        emit.store(weight, scores, place)
        emit.store(builder.fmul(builder.fmul(weight, factor), slope), d_scores, place)


# Give the attention weights again from the scores, the kept maximum and one over the kept sum, and turn the gradient of
# the weights into that of the scores before scaling: weight * (d_weight - expected) * scale.
recall = _recall(masked=False)
recall_masked = _recall(masked=True)
