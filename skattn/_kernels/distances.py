"""What a table says of the distance from a key to a query: added to a block of scores, and learned from its gradients.

Where queries and keys lie equally far apart, all pairs on a diagonal of the block have one distance, so a row of
numbers read at an offset serves every key; and where all distances are beyond the table's reach, one number does.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .head import LOG2_E, QUERIES, Block, Head, Keys, Strand
from .jit import Int, Real, Reals, kernel, real, reals
from .matmul import matmul
from .simd import Emitter, at, lanes_of

_MOST_DISTANCES = 3 * QUERIES


@intrinsic
def _add_slanted(typing_context, scores, row, n_keys, begin, end, biases):
    """Add ``biases[n_keys - 1 - key + query]`` to the score of each pair, for whole vectors of queries."""
    integer = types.int64

    def generate(context, builder, signature, arguments):
        scores, row, n_keys, begin, end, biases = arguments
        emit = Emitter(builder, scores.type)
        last = builder.sub(n_keys, emit.index(1))
        with cgutils.for_range(builder, n_keys) as loop:
            own, slant = builder.mul(loop.index, row), builder.sub(last, loop.index)
            with cgutils.for_range_slice(builder, begin, end, emit.index(emit.lanes)) as (query, _):
                place = builder.add(own, query)
                bias = emit.load(biases, builder.add(slant, query))
                emit.store(builder.fadd(emit.load(scores, place), bias), scores, place)
        return context.get_dummy_value()

    return types.void(scores, integer, integer, integer, integer, scores), generate


@intrinsic
def _sum_diagonals(typing_context, scores, row, n_keys, begin, end, sums):
    """Add each score to ``sums[n_keys - 1 - key + query]``, for whole vectors of keys and of queries.

    Squares of lanes by lanes along a diagonal add to the same sums: a vector for each of their keys stays in a register
    over all squares, and at the end these are added up, each a lane further on.
    """
    integer = types.int64

    def generate(context, builder, signature, arguments):
        _, row, n_keys, begin, end, sums = arguments
        emit = Emitter(builder, sums.type)
        lanes, zero = emit.index(emit.lanes), emit.index(0)
        first = builder.add(builder.sub(begin, n_keys), lanes)
        with cgutils.for_range_slice(builder, first, end, lanes) as (diagonal, _):
            start, stop = builder.sub(begin, diagonal), builder.sub(end, diagonal)
            start = builder.select(builder.icmp_signed("<", start, zero), zero, start)
            stop = builder.select(builder.icmp_signed("<", stop, n_keys), stop, n_keys)
            totals = _sum_squares(builder, emit, arguments[0], row, diagonal, start, stop)
            halves, place = _slide(builder, emit, totals), builder.add(diagonal, builder.sub(n_keys, lanes))
            for half in halves:
                emit.store(builder.fadd(emit.load(sums, place), half), sums, place)
                place = builder.add(place, lanes)
        return context.get_dummy_value()

    return types.void(scores, integer, integer, integer, integer, scores), generate


def _sum_squares(builder, emit, scores, row, diagonal, start, stop):
    """Add up squares of lanes by lanes along a diagonal: a vector for each of their keys."""
    sums = [cgutils.alloca_once(builder, emit.vector) for _ in range(emit.lanes)]
    for total in sums:
        builder.store(emit.constant(0.0), total)
    with cgutils.for_range_slice(builder, start, stop, emit.index(emit.lanes)) as (key, _):
        place = builder.add(builder.mul(key, row), builder.add(key, diagonal))
        for total in sums:
            builder.store(builder.fadd(builder.load(total), emit.load(scores, place)), total)
            place = builder.add(place, row)
    return [builder.load(total) for total in sums]


def _slide(builder, emit, vectors):
    """Add up vectors each of which stands a lane before the one above it; gives the sum as two vectors."""
    lanes, integer = list(range(emit.lanes)), ir.IntType(32)
    nothing = emit.constant(0.0)

    def shuffle(a, b, chosen):
        return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(integer, emit.lanes), chosen))

    low, high = vectors[0], nothing
    for vector in vectors[1:]:
        high = shuffle(low, high, [lanes[-1], *[emit.lanes + i for i in lanes[:-1]]])
        low = builder.fadd(shuffle(nothing, low, [0, *[emit.lanes + i for i in lanes[:-1]]]), vector)
    return low, high


@kernel
def _nearest(strand: Strand, keys: Keys, block: Block, last: Int) -> Int:
    """Give the distance from a key to the first query of the block."""
    return strand.origin + block.first * strand.step - keys.origin - last * keys.step


@kernel
def _before(distance: Int, step: Int, bound: Int, n: Int) -> Int:
    """Give how many of `n` distances, from one on and `step` apart, are below a bound."""
    return min(max((bound - distance + step - 1) // step, 0), n)


@kernel
def add_distances(head: Head, strand: Strand, keys: Keys, block: Block, k: Int, n: Int):
    """Add what the table says of distances; what is the same for a whole block becomes its level instead."""
    table, reach, step = at(reals(head.table), head.reach), head.reach, strand.step
    if step != keys.step:
        _add_pairs(head, strand, keys, block, k, n)
        return
    begin, end, biases = block.begin, block.end, reals(block.biases)
    # Of the first of these pairs, the last key and the query at `begin`.
    distance, count = _nearest(strand, keys, block, k + n - 1) + begin * step, n + end - begin - 1
    low, high = _before(distance, step, -reach, count), _before(distance, step, reach + 1, count)
    least, most = table[-reach] * real(LOG2_E), table[reach] * real(LOG2_E)
    if low == count or high == 0:
        block.level = least if low else most
        return
    of_pairs = at(biases, begin)
    for i in range(low):
        of_pairs[i] = least
    for i in range(low, high):
        of_pairs[i] = table[distance + i * step] * real(LOG2_E)
    for i in range(high, count):
        of_pairs[i] = most
    _add_slanted(reals(block.scores), block.width, n, begin, end, biases)


@kernel
def _add_pairs(head: Head, strand: Strand, keys: Keys, block: Block, k: Int, n: Int):
    """Add what the table says of distances, pair by pair."""
    table, reach, width, step = at(reals(head.table), head.reach), head.reach, block.width, strand.step
    scores = reals(block.scores)
    for key in range(n):
        distance, row = _nearest(strand, keys, block, k + key), at(scores, key * width)
        for q in range(width):
            row[q] += table[min(max(distance + q * step, -reach), reach)] * real(LOG2_E)


@kernel
def learn_distances(head: Head, strand: Strand, keys: Keys, block: Block, k: Int, n: Int):
    """Add the gradients of a block of scores, which are of those before scaling, to those of the distances."""
    table, reach, width, step = at(reals(head.d_table), head.reach), head.reach, block.width, strand.step
    d_scores, sums, begin, end = reals(block.d_scores), at(reals(block.biases), _MOST_DISTANCES), block.begin, block.end
    unscaled, lanes = real(1) / real(head.scale), lanes_of(d_scores)
    if step != keys.step:
        _learn_pairs(head, strand, keys, block, k, n)
        return
    n_queries = min(end, block.n_queries)
    n_rows = (n + lanes - 1) // lanes * lanes
    distance = _nearest(strand, keys, block, k + n - 1) + begin * step
    count = n + n_queries - begin - 1
    low, high = _before(distance, step, -reach, count), _before(distance, step, reach + 1, count)
    if low == count or high == 0:
        table[-reach if low else reach] += _sum_all(at(d_scores, begin), width, n, n_queries - begin, sums) * unscaled
        return
    # What is no pair has no gradient.
    for key in range(n):
        for q in range(n_queries, end):
            d_scores[key * width + q] = real(0)
    for i in range(n * width, n_rows * width):
        d_scores[i] = real(0)
    for i in range(n_rows + end):
        sums[i] = real(0)
    _sum_diagonals(d_scores, width, n_rows, begin, end, sums)
    sums = at(sums, begin + n_rows - n)
    for i in range(low):
        table[-reach] += sums[i] * unscaled
    for i in range(low, high):
        table[distance + i * step] += sums[i] * unscaled
    for i in range(high, count):
        table[reach] += sums[i] * unscaled


@kernel
def _sum_all(scores: Reals, row: Int, n_keys: Int, n_queries: Int, sums: Reals) -> Real:
    """Give the sum of a block; takes a number for each query, and one."""
    one, total = at(sums, n_queries), real(0)
    one[0] = real(1)
    matmul(one, 0, 0, scores, row, sums, row, 1, n_keys, n_queries, True)
    for q in range(n_queries):
        total += sums[q]
    return total


@kernel
def _learn_pairs(head: Head, strand: Strand, keys: Keys, block: Block, k: Int, n: Int):
    """Add the gradients of a block of scores to those of the distances, pair by pair."""
    table, reach, width, step = at(reals(head.d_table), head.reach), head.reach, block.width, strand.step
    d_scores, unscaled = reals(block.d_scores), real(1) / real(head.scale)
    for key in range(n):
        distance, row = _nearest(strand, keys, block, k + key), at(d_scores, key * width)
        for q in range(block.begin, min(block.end, block.n_queries)):
            table[min(max(distance + q * step, -reach), reach)] += row[q] * unscaled
