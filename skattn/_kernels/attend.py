"""Scaled dot-product attention, softmax(Q K^T / sqrt(d_head)) V, of what each query sees: forward and backward.

Blocks of queries meet blocks of keys; what no query of a block sees is skipped. Queries fill the lanes of vectors
(softmax.py). Of the forward pass only the largest score and one over the sum of powers are kept for each query; the
backward pass computes the weights again, so that no array grows with the square of the length (Dao 2023,
arXiv:2307.08691).
"""

from .ahead import fetch_some
from .head import (
    LOG2_E,
    Block,
    Head,
    Keys,
    Strand,
    bring_keys,
    bring_queries,
    cut_blocks,
    lay_out,
    next_keys,
    tell_strand,
)
from .invoke import invoke_block
from .jit import Int, Real, Reals, ints, kernel, real, reals
from .matmul import matmul, transpose
from .simd import at, lanes_of, transpose_tile
from .softmax import absorb, absorb_masked, lowest, mask_columns, recall, recall_masked, settle


@kernel
def attend_forward(head: Head):
    """Attend from the queries of one head."""
    strand, near, shared, block = Strand(), Keys(), Keys(), Block()
    lay_out(head, block)
    for number in range(block.n_strands):
        tell_strand(head, block, number, strand, near, shared)
        cut_blocks(strand, near, block, lanes_of(reals(head.scratch)))
        for first in range(strand.begin, strand.end, block.height):
            turn_queries(head, strand, block, first)
            block.fresh = True
            _absorb_keys(head, strand, shared, block)
            _absorb_keys(head, strand, near, block)
            _finish(head, strand, block)


@kernel
def turn_queries(head: Head, strand: Strand, block: Block, first: Int):
    """Begin a block of queries: a column each, in units of log2."""
    rows = at(reals(strand.query), first * strand.query_row)
    lanes, n_queries = lanes_of(rows), min(strand.end - first, block.height)
    width = (n_queries + lanes - 1) // lanes * lanes
    block.first, block.n_queries, block.width, block.begin, block.end = first, n_queries, width, 0, width
    fetch_some(ints(head.ahead))
    factor = real(head.scale) * real(LOG2_E)
    transpose(rows, strand.query_row, n_queries, head.d_head, reals(block.turned), width, width, factor)


@kernel
def score_keys(head: Head, strand: Strand, keys: Keys, block: Block, k: Int, n: Int) -> Real:
    """Compute the scores of `n` keys from `k` on, in the columns that see some of them; gives what all are short of."""
    width, begin = block.width, block.begin
    turned, scores = at(reals(block.turned), begin), at(reals(block.scores), begin)
    bring_keys(head, keys, block, k, n)
    matmul(reals(block.key), block.key_row, 1, turned, width, scores, width, n, head.d_head, block.end - begin, True)
    block.level = 0.0
    if head.adds:
        invoke_block(head.adds, head, strand, keys, block, k, n)
    if head.covers:
        invoke_block(head.covers, head, strand, keys, block, k, n)
    return real(block.level)


@kernel
def is_hidden(head: Head, strand: Strand, keys: Keys, block: Block, k: Int, n: Int) -> Int:
    """Tell whether a mask hides every key of a block from every query of it."""
    block.hidden = 0
    if head.hides:
        invoke_block(head.hides, head, strand, keys, block, k, n)
    return block.hidden


@kernel
def is_cut(head: Head, keys: Keys, block: Block, k: Int, n: Int) -> Int:
    """Tell whether some queries of a block do not see some of its keys."""
    first, last = block.first, block.first + block.n_queries - 1
    return k < last - keys.left or k + n - 1 > first + keys.right or head.bias or head.mask


@kernel
def mask_edges(keys: Keys, block: Block, column: Reals, q: Int, k: Int, n: Int):
    """Mask what the queries of one vector do not see of some keys, at either end."""
    first, width, lanes, left, right = block.first + q, block.width, lanes_of(column), keys.left, keys.right
    before = min(n, max(0, first + lanes - 1 - left - k))
    mask_columns(column, width, before, k, first, left, right)
    seen = min(n, max(before, first + right + 1 - k))
    mask_columns(at(column, seen * width), width, n - seen, k + seen, first, left, right)


@kernel
def _absorb_keys(head: Head, strand: Strand, keys: Keys, block: Block):
    """Mix in what the queries of a block fetch from those of some keys that they see."""
    first, width, d_value, left, right = block.first, block.width, head.d_value, keys.left, keys.right
    scores, mixed, highest, total = reals(block.scores), reals(block.mixed), reals(block.highest), reals(block.total)
    ahead, lanes = ints(head.ahead), lanes_of(scores)
    stop, n = min(keys.end, first + block.n_queries + right), 0
    k = max(keys.first, first - left)
    while k < stop:
        n = next_keys(keys, block, k, stop, lanes)
        if is_hidden(head, strand, keys, block, k, n):
            k += n
            continue
        begin, end = block.begin, block.end
        if block.fresh and end - begin < width:
            _begin_sums(head, block)
        fetch_some(ahead)
        level = score_keys(head, strand, keys, block, k, n)
        masked, fresh = is_cut(head, keys, block, k, n), block.fresh != 0
        for q in range(begin, end, lanes):
            fetch_some(ahead)
            column, before = at(scores, q), at(mixed, q)
            if masked:
                mask_edges(keys, block, column, q, k, n)
                absorb_masked(column, width, n, level, at(highest, q), at(total, q), before, width, d_value, fresh)
            else:
                absorb(column, width, n, level, at(highest, q), at(total, q), before, width, d_value, fresh)
        fetch_some(ahead)
        own, mix = at(scores, begin), at(mixed, begin)
        matmul(reals(block.value), 1, block.value_row, own, width, mix, width, d_value, n, end - begin, fresh)
        block.fresh = False
        k += n


@kernel
def _begin_sums(head: Head, block: Block):
    """Begin with nothing, where the first keys are not seen by all queries."""
    highest, total, mixed = reals(block.highest), reals(block.total), reals(block.mixed)
    for q in range(block.width):
        highest[q], total[q] = lowest(highest), real(0)
    for i in range(head.d_value * block.width):
        mixed[i] = real(0)
    block.fresh = False


@kernel
def _finish(head: Head, strand: Strand, block: Block):
    """Divide by the sums, keep what softmax needs, and turn the block back; a query that has met no key gives 0."""
    first, width, n_queries, d_value, kept_row = (
        block.first,
        block.width,
        block.n_queries,
        head.d_value,
        strand.kept_row,
    )
    mixed, highest, total, lanes = (
        reals(block.mixed),
        reals(block.highest),
        reals(block.total),
        lanes_of(reals(block.mixed)),
    )
    target, target_row = at(reals(strand.target), first * strand.target_row), strand.target_row
    top, inverse = at(reals(strand.top), first * kept_row), at(reals(strand.inverse), first * kept_row)
    fetch_some(ints(head.ahead))
    if block.fresh:
        for q in range(width):
            highest[q] = total[q] = real(0)
        for i in range(d_value * width):
            mixed[i] = real(0)
    for q in range(0, width, lanes):
        if not block.fresh:
            settle(at(highest, q), at(total, q))
        live = min(n_queries - q, lanes)
        for j in range(0, d_value, lanes):
            source, out, across = at(mixed, j * width + q), at(target, q * target_row + j), min(d_value - j, lanes)
            transpose_tile(source, width, across, live, out, target_row, across, at(total, q))
    for q in range(n_queries):
        top[q * kept_row] = highest[q]
        inverse[q * kept_row] = total[q]


@kernel
def attend_backward(head: Head):
    """Begin the gradient of the queries, and begin or add to those of keys and values.

    Several workers can share a head: each meets some of its keys, and has a `d_query` of its own. Block by block of
    queries: 1. turn them, and recall what the forward pass kept; 2. meet the keys; 3. turn the gradient back.
    """
    strand, near, shared, block = Strand(), Keys(), Keys(), Block()
    lay_out(head, block)
    # One strand meets all keys in its first block, or knows which it does not meet.
    begins_apart = block.n_strands > 1 or head.mask or head.n_queries == 0
    if head.begins and begins_apart:
        clear_keys(head, head.first_key, head.end_key)
    for number in range(block.n_strands):
        tell_strand(head, block, number, strand, near, shared)
        near.begins = head.begins and not begins_apart
        cut_blocks(strand, near, block, lanes_of(reals(head.scratch)))
        for first in range(strand.begin, strand.end, block.height):
            if first > strand.begin and not (
                _meets(shared, strand, block, first) or _meets(near, strand, block, first)
            ):
                _clear_queries(head, strand, first, min(first + block.height, strand.end))
                continue
            turn_queries(head, strand, block, first)
            recall_queries(head, strand, block)
            block.fresh = True
            _meet_keys(head, strand, shared, block)
            _meet_keys(head, strand, near, block)
            _finish_backward(head, strand, block)


@kernel
def _meets(keys: Keys, strand: Strand, block: Block, first: Int) -> Int:
    """Tell whether a block of queries sees some of these keys."""
    end = min(first + block.height, strand.end)
    return max(keys.first, first - keys.left) < min(keys.end, end + keys.right)


@kernel
def _clear_queries(head: Head, strand: Strand, begin: Int, end: Int):
    """Set the gradients of some queries to zeros."""
    for t in range(begin, end):
        d_query = at(reals(strand.d_query), t * strand.query_row)
        for j in range(head.d_head):
            d_query[j] = real(0)


@kernel
def recall_queries(head: Head, strand: Strand, block: Block):
    """Turn the gradients of what the queries of a block fetched, and recall what softmax needs of each."""
    first, n_queries, width, d_value = block.first, block.n_queries, block.width, head.d_value
    target_row, expected = strand.target_row, reals(block.expected)
    bring_queries(head, strand, block)
    target, d_rows, d_row = at(reals(strand.target), first * target_row), reals(block.d_rows), block.d_row
    transpose(d_rows, d_row, n_queries, d_value, reals(block.mixed), width, width, real(1))
    recall_sums(strand, block)
    for q in range(0, n_queries, 4):
        _expect(target, target_row, d_rows, d_row, q, n_queries - 1, d_value, expected)


@kernel
def _expect(a: Reals, a_row: Int, b: Reals, b_row: Int, q: Int, last: Int, width: Int, expected: Reals):
    """Give the products of four rows with four others; behind the last, the last one's again.

    One after the other along the rows, as in a matrix product, so that it cancels exactly where a query attends to one
    key alone. Such a sum is a chain of additions that wait for each other, so there are four side by side.
    """
    q_1, q_2, q_3 = min(q + 1, last), min(q + 2, last), min(q + 3, last)
    a_0, a_1, a_2, a_3 = at(a, q * a_row), at(a, q_1 * a_row), at(a, q_2 * a_row), at(a, q_3 * a_row)
    b_0, b_1, b_2, b_3 = at(b, q * b_row), at(b, q_1 * b_row), at(b, q_2 * b_row), at(b, q_3 * b_row)
    sum_0 = sum_1 = sum_2 = sum_3 = real(0)
    for j in range(width):
        sum_0 += a_0[j] * b_0[j]
        sum_1 += a_1[j] * b_1[j]
        sum_2 += a_2[j] * b_2[j]
        sum_3 += a_3[j] * b_3[j]
    expected[q], expected[q_1], expected[q_2], expected[q_3] = sum_0, sum_1, sum_2, sum_3


@kernel
def recall_sums(strand: Strand, block: Block):
    """Recall the largest score of each query of a block, and one over the sum of powers."""
    kept_row, highest, inverses, expected = (
        strand.kept_row,
        reals(block.highest),
        reals(block.total),
        reals(block.expected),
    )
    top, inverse = at(reals(strand.top), block.first * kept_row), at(reals(strand.inverse), block.first * kept_row)
    for q in range(block.width):
        live = q < block.n_queries
        highest[q] = top[q * kept_row] if live else real(0)
        inverses[q] = inverse[q * kept_row] if live else real(0)
        expected[q] = real(0)


@kernel
def recall_keys(head: Head, strand: Strand, keys: Keys, block: Block, k: Int, n: Int, scale: Real):
    """Compute the weights of a block of keys anew, and the gradients of its scores, times a number."""
    width, lanes = block.width, lanes_of(reals(block.scores))
    scores, d_scores, highest = reals(block.scores), reals(block.d_scores), reals(block.highest)
    inverses, expected, ahead = reals(block.total), reals(block.expected), ints(head.ahead)
    fetch_some(ahead)
    level = score_keys(head, strand, keys, block, k, n)
    fetch_some(ahead)
    begin, end = block.begin, block.end
    mixed, d_block = at(reals(block.mixed), begin), at(d_scores, begin)
    matmul(reals(block.value), block.value_row, 1, mixed, width, d_block, width, n, head.d_value, end - begin, True)
    masked = is_cut(head, keys, block, k, n)
    for q in range(begin, end, lanes):
        fetch_some(ahead)
        column, d_column = at(scores, q), at(d_scores, q)
        if masked:
            mask_edges(keys, block, column, q, k, n)
            recall_masked(column, d_column, width, n, level, at(highest, q), at(inverses, q), at(expected, q), scale)
        else:
            recall(column, d_column, width, n, level, at(highest, q), at(inverses, q), at(expected, q), scale)


@kernel
def _meet_keys(head: Head, strand: Strand, keys: Keys, block: Block):
    """Compute scores and their gradients anew, block by block of keys, and what these add to all other gradients."""
    first, n_queries, width, d_head, d_value = block.first, block.n_queries, block.width, head.d_head, head.d_value
    key_row, value_row = keys.key_row, keys.value_row
    rows, query_row, d_rows, d_row = reals(block.query), block.query_row, reals(block.d_rows), block.d_row
    scores, d_scores, d_turned = reals(block.scores), reals(block.d_scores), reals(block.d_turned)
    ahead, scale, first_key, end_key = ints(head.ahead), real(head.scale), keys.first, keys.end
    start, stop = max(first_key, first - keys.left), min(end_key, first + n_queries + keys.right)
    begins = keys.begins and first == strand.begin
    if begins:
        # The first block meets these not at all; those that it meets it writes.
        clear_keys(head, first_key, min(start, end_key))
        clear_keys(head, max(start, stop), end_key)
    k, lanes = start, lanes_of(scores)
    while k < stop:
        n = next_keys(keys, block, k, stop, lanes)
        if is_hidden(head, strand, keys, block, k, n):
            k += n
            continue
        begin, end = block.begin, block.end
        if block.fresh and end - begin < width:
            for i in range(d_head * width):
                d_turned[i] = real(0)
            block.fresh = False
        recall_keys(head, strand, keys, block, k, n, scale)
        if head.d_table:
            invoke_block(head.learns, head, strand, keys, block, k, n)
        fetch_some(ahead)
        own, d_own, live = at(scores, begin), at(d_scores, begin), min(n_queries, end) - begin
        d_values, d_seen = at(reals(keys.d_values), k * value_row), at(d_rows, begin * d_row)
        matmul(own, width, 1, d_seen, d_row, d_values, value_row, n, live, d_value, begins)
        fetch_some(ahead)
        d_keys, seen = at(reals(keys.d_key), k * key_row), at(rows, begin * query_row)
        matmul(d_own, width, 1, seen, query_row, d_keys, key_row, n, live, d_head, begins)
        fetch_some(ahead)
        fresh = block.fresh != 0
        matmul(
            reals(block.key), 1, block.key_row, d_own, width, at(d_turned, begin), width, d_head, n, end - begin, fresh
        )
        block.fresh = False
        k += n


@kernel
def _finish_backward(head: Head, strand: Strand, block: Block):
    """Turn the gradient of a block of queries back; of queries that have met no key it is 0."""
    d_turned, width, d_head, query_row = reals(block.d_turned), block.width, head.d_head, strand.query_row
    if block.fresh:
        for i in range(d_head * width):
            d_turned[i] = real(0)
    d_rows = at(reals(strand.d_query), block.first * query_row)
    transpose(d_turned, width, d_head, block.n_queries, d_rows, query_row, d_head, real(1))


@kernel
def clear_keys(head: Head, begin: Int, end: Int):
    """Set the gradients of some keys and values to zeros."""
    d_head, d_value = head.d_head, head.d_value
    for t in range(begin, end):
        d_key, d_value_row = at(reals(head.d_key), t * head.key_row), at(reals(head.d_values), t * head.value_row)
        for j in range(d_head):
            d_key[j] = real(0)
        for j in range(d_value):
            d_value_row[j] = real(0)
