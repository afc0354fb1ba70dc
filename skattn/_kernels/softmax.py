"""Softmax down the columns of a block of scores, a vector of queries at a time.

Scores lie transposed, ``S[key, query]``, in units of log2: queries fill the lanes, so the running maximum and sum of
each are vertical vector operations and nothing is reduced across lanes (online softmax: Dao 2023, arXiv:2307.08691).
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .simd import LOWEST, Emitter

# Keys whose scores are worked on side by side.
_GROUP = 4
# How far scores may rise above what powers are relative to, in powers of two: far from overflow, and seldom passed.
_HEADROOM = 8.0


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


def _by_groups(builder, emit, row, n_keys, body):
    """Write a loop over keys, some of them side by side: ``body(where each one's scores are)``."""
    index = emit.index
    groups = builder.sdiv(n_keys, index(_GROUP))
    with cgutils.for_range(builder, groups) as loop:
        first = builder.mul(loop.index, index(_GROUP))
        body([builder.mul(builder.add(first, index(i)), row) for i in range(_GROUP)])
    with cgutils.for_range(builder, n_keys, start=builder.mul(groups, index(_GROUP))) as loop:
        body([builder.mul(loop.index, row)])


def _room(builder, emit, number):
    """Make registers for running results, one for each key of a group."""
    room = [cgutils.alloca_once(builder, emit.vector) for _ in range(_GROUP)]
    for place in room:
        builder.store(emit.constant(number), place)
    return room


def _fold(builder, room, join):
    """Join running results into one."""
    parts = [builder.load(place) for place in room]
    while len(parts) > 1:
        parts = [join(a, b) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def _absorb(masked):
    @intrinsic
    def absorb(typing_context, scores, row, n_keys, level, top, total, mixed, mixed_row, d_value, fresh):
        integer = types.int64
        signature = types.void(
            scores, integer, integer, scores.dtype, scores, scores, scores, integer, integer, types.boolean
        )

        def generate(context, builder, signature, arguments):
            _emit_absorb(builder, masked, *arguments)
            return context.get_dummy_value()

        return signature, generate

    return absorb


def _emit_absorb(builder, masked, scores, row, n_keys, level, top, total, mixed, mixed_row, d_value, fresh):
    emit = Emitter(builder, scores.type)
    zero = emit.index(0)
    # One running maximum, and one sum, would be a chain of instructions that wait for each other.
    largest, sums = _room(builder, emit, LOWEST[emit.kind]), _room(builder, emit, 0.0)

    def compare(places):
        for room, place in zip(largest, places, strict=False):
            builder.store(emit.maximum(builder.load(room), emit.load(scores, place)), room)

    _by_groups(builder, emit, row, n_keys, compare)
    level = emit.splat(level)
    highest = cgutils.alloca_once_value(builder, builder.fadd(_fold(builder, largest, emit.maximum), level))
    with builder.if_then(builder.not_(fresh)):
        _rescale(builder, emit, top, total, highest, sums[0], mixed, mixed_row, d_value)
    highest = builder.load(highest)
    base = builder.fsub(highest, level)

    def power(places):
        powers = [builder.fsub(emit.load(scores, place), base) for place in places]
        powers = emit.exp2(powers, exact_zero=masked)
        for room, place, power in zip(sums, places, powers, strict=False):
            builder.store(builder.fadd(builder.load(room), power), room)
            emit.store(power, scores, place)

    _by_groups(builder, emit, row, n_keys, power)
    emit.store(highest, top, zero)
    emit.store(_fold(builder, sums, builder.fadd), total, zero)


def _rescale(builder, emit, top, total, highest, sums, mixed, mixed_row, d_value):
    """Raise the maximum that powers are relative to, where a block is far above it: earlier terms shrink.

    Any number near the maximum serves as well as the maximum itself, and changing it costs a pass over `mixed`.
    """
    zero = emit.index(0)
    before = emit.load(top, zero)
    block = builder.load(highest)
    rises = builder.fcmp_ordered(">", block, builder.fadd(before, emit.constant(_HEADROOM)))
    raised = builder.select(rises, block, before)
    builder.store(raised, highest)
    builder.store(emit.load(total, zero), sums)
    with builder.if_then(emit.any(rises)):
        shrink = emit.exp2([builder.fsub(before, raised)], exact_zero=True)[0]
        builder.store(builder.fmul(builder.load(sums), shrink), sums)
        with cgutils.for_range(builder, d_value) as loop:
            place = builder.mul(loop.index, mixed_row)
            emit.store(builder.fmul(emit.load(mixed, place), shrink), mixed, place)


# Turn one vector of queries' scores against a block of keys into powers of two, relative to the largest score so far;
# bring `top` (that maximum), `total` (the sum of powers) and `mixed` [d_value] (what they mixed before) up to it. All
# scores of the block are short of `level`, which costs nothing to add here.
absorb = _absorb(masked=False)
# The same for scores among which some are masked: those give exactly 0.
absorb_masked = _absorb(masked=True)


@intrinsic
def settle(typing_context, highest, total):
    """Turn the sums of a vector of queries into one over each; of a query that has met no key, both become 0."""
    signature = types.void(highest, highest)

    def generate(context, builder, signature, arguments):
        highest, total = arguments
        emit = Emitter(builder, highest.type)
        zeros, start = emit.constant(0.0), emit.index(0)
        top = emit.load(highest, start)
        # What is not a number has been met.
        is_met = builder.fcmp_unordered(">", top, emit.constant(LOWEST[emit.kind]))
        inverse = builder.fdiv(emit.constant(1.0), emit.load(total, start))
        emit.store(builder.select(is_met, top, zeros), highest, start)
        emit.store(builder.select(is_met, inverse, zeros), total, start)
        return context.get_dummy_value()

    return signature, generate


def _recall(masked):
    @intrinsic
    def recall(typing_context, scores, d_scores, row, n_keys, level, top, inverse, expected, scale):
        integer = types.int64
        signature = types.void(scores, scores, integer, integer, scores.dtype, scores, scores, scores, scores.dtype)

        def generate(context, builder, signature, arguments):
            _emit_recall(builder, masked, *arguments)
            return context.get_dummy_value()

        return signature, generate

    return recall


def _emit_recall(builder, masked, scores, d_scores, row, n_keys, level, top, inverse, expected, scale):
    emit = Emitter(builder, scores.type)
    zero = emit.index(0)
    highest, over_total, mean = emit.load(top, zero), emit.load(inverse, zero), emit.load(expected, zero)
    factor, base = emit.splat(scale), builder.fsub(highest, emit.splat(level))

    def turn(places):
        powers = [builder.fsub(emit.load(scores, place), base) for place in places]
        powers = emit.exp2(powers, exact_zero=masked)
        weights = [builder.fmul(power, over_total) for power in powers]
        slopes = [builder.fsub(emit.load(d_scores, place), mean) for place in places]
        for place, weight, slope in zip(places, weights, slopes, strict=True):
            emit.store(weight, scores, place)
            emit.store(builder.fmul(builder.fmul(weight, factor), slope), d_scores, place)

    _by_groups(builder, emit, row, n_keys, turn)


# Give the attention weights again from the scores, what all of them are short of, the kept maximum and one over the
# kept sum, and turn the gradient of the weights into that of the scores before scaling:
# weight * (d_weight - expected) * scale.
recall = _recall(masked=False)
recall_masked = _recall(masked=True)


@intrinsic
def lowest(typing_context, pointer):
    """Give the number that stands for minus infinity among scores."""

    def generate(context, builder, signature, arguments):
        emit = Emitter(builder, arguments[0].type, width=0)
        return emit.constant(LOWEST[emit.kind])

    return pointer.dtype(pointer), generate


@intrinsic
def lanes_above(typing_context, a, b):
    """Give, a bit a lane, where a vector of `a` is not at most that of `b`."""

    def generate(context, builder, signature, arguments):
        a, b = arguments
        emit = Emitter(builder, a.type)
        above = builder.fcmp_unordered(">", emit.load(a, emit.index(0)), emit.load(b, emit.index(0)))
        return builder.zext(builder.bitcast(above, ir.IntType(emit.lanes)), ir.IntType(64))

    return types.int64(a, b), generate


@intrinsic
def first_lane(typing_context, bits):
    """Give the place of the lowest bit that is set."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), generate
