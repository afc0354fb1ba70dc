"""Attention to the best keys alone: each query reads the `top_k` of highest score among those that it sees.

Scores are made by blocks, as in full attention; what exceeds the lowest of the best so far is noted, and when twice as
many are noted as wanted, half of them are dropped. So selecting costs a comparison a score, and notes that become few.
Values are fetched, and gradients given, for what was kept. Of equals the first are kept.
"""

import numpy as np

from .attend import clear_keys, is_cut, is_hidden, score_keys, turn_queries
from .head import KEYS, QUERIES, Block, Head, Keys, Strand, lay_out, tell_strand
from .jit import Int, Real, Reals, kernel, real, reals
from .reduce import add_up, dot
from .simd import at, exp2, lanes_of
from .softmax import first_lane, lanes_above, lowest, mask_columns


@kernel
def best_forward(head: Head):
    """Attend from the queries of one head to the best keys of each.

    Of each query `Head.best` has a row: the places of its keys, -1 behind the last of them, then their weights.
    """
    strand, near, shared, block = Strand(), Keys(), Keys(), Block()
    lay_out(head, block)
    for number in range(block.n_strands):
        tell_strand(head, block, number, strand, near, shared)
        for first in range(strand.begin, strand.end, QUERIES):
            turn_queries(head, strand, block, first)
            _begin(block)
            _collect(head, strand, shared, block)
            _collect(head, strand, near, block)
            for q in range(block.n_queries):
                _mix(head, strand, block, q)


@kernel
def _begin(block: Block):
    """Note nothing yet; what only fills a vector up shall never note anything."""
    least, counts = reals(block.highest), reals(block.total)
    for q in range(block.width):
        least[q] = lowest(least) if q < block.n_queries else real(np.inf)
        counts[q] = real(0)


@kernel
def _collect(head: Head, strand: Strand, keys: Keys, block: Block):
    """Note the keys whose score exceeds the lowest of the best so far."""
    first, width, scores, least = block.first, block.width, reals(block.scores), reals(block.highest)
    lanes, stop = lanes_of(scores), min(keys.end, first + block.n_queries + keys.right)
    counts, top_k = reals(block.total), head.top_k
    for k in range(max(keys.first, first - keys.left), stop, KEYS):
        n = min(stop - k, KEYS)
        if is_hidden(head, strand, keys, block, k, n):
            continue
        level = score_keys(head, strand, keys, block, k, n)
        if level != real(0):
            for i in range(n * width):
                scores[i] += level
        masked = is_cut(head, keys, block, k, n)
        for q in range(0, width, lanes):
            if masked:
                mask_columns(at(scores, q), width, n, k, first + q, keys.left, keys.right)
            for key in range(n):
                bits = lanes_above(at(scores, key * width + q), at(least, q))
                while bits:
                    lane = first_lane(bits)
                    noted, score = at(reals(block.spare), 4 * top_k * (q + lane)), scores[key * width + q + lane]
                    place, count = keys.origin + (k + key) * keys.step, int(counts[q + lane])
                    counts[q + lane] = real(note(noted, top_k, count, score, place, at(least, q + lane)))
                    bits &= bits - 1


@kernel
def note(scores: Reals, top_k: Int, count: Int, score: Real, place: Int, least: Reals) -> Int:
    """Note a key behind `count` others of a query; gives how many there are now, and raises the `least` that is noted.

    The scores have room for twice as many as are wanted, and so have the places, which lie behind them.
    """
    places = at(scores, 2 * top_k)
    # What is not a number shall be kept, and show.
    scores[count] = score if score == score else real(np.inf)
    # float32 counts to 16 million.
    places[count] = real(place)
    count += 1
    if count < 2 * top_k:
        return count
    keep_best(scores, places, count, top_k)
    least[0] = scores[0]
    for i in range(1, top_k):
        least[0] = min(least[0], scores[i])
    return top_k


@kernel
def keep_best(scores: Reals, places: Reals, n: Int, n_kept: Int):
    """Bring the best of `n` to the front, of equals those that come first (Hoare 1961, Algorithm 65: Find)."""
    low, high, wanted = 0, n - 1, n_kept - 1
    while low < high:
        score, place = scores[(low + high) // 2], places[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while scores[i] > score or scores[i] == score and places[i] < place:
                i += 1
            while score > scores[j] or score == scores[j] and place < places[j]:
                j -= 1
            if i <= j:
                scores[i], scores[j] = scores[j], scores[i]
                places[i], places[j] = places[j], places[i]
                i += 1
                j -= 1
        if wanted <= j:
            high = j
        elif wanted >= i:
            low = i
        else:
            return


@kernel
def _mix(head: Head, strand: Strand, block: Block, q: Int):
    """Mix the values of the best keys of a query, and keep which they are and what they weigh."""
    top_k, d_value, counts = head.top_k, head.d_value, reals(block.total)
    scores, row = at(reals(block.spare), 4 * top_k * q), strand.row + (block.first + q) * strand.step
    places, best, n = at(scores, 2 * top_k), at(reals(head.best), 2 * top_k * row), int(counts[q])
    n = weigh(scores, n, top_k, at(reals(head.top), row), at(reals(head.inverse), row))
    inverse = reals(head.inverse)[row]
    target = at(reals(head.target), row * head.target_row)
    for j in range(d_value):
        target[j] = real(0)
    for i in range(top_k):
        best[i], best[top_k + i] = real(-1), real(0)
    for i in range(n):
        weight, value = scores[i] * inverse, at(reals(head.value), int(places[i]) * head.value_row)
        best[i], best[top_k + i] = places[i], weight
        for j in range(d_value):
            target[j] += weight * value[j]


@kernel
def weigh(scores: Reals, n: Int, top_k: Int, top: Reals, inverse: Reals) -> Int:
    """Turn the best of `n` noted scores into powers; gives how many they are, the largest and one over the sum."""
    if n > top_k:
        keep_best(scores, at(scores, 2 * top_k), n, top_k)
        n = top_k
    highest = lowest(scores)
    for i in range(n):
        highest = max(highest, scores[i])
    for i in range(n):
        scores[i] = exp2(scores[i] - highest)
    top[0] = highest if n else real(0)
    inverse[0] = real(1) / add_up(scores, n) if n else real(0)
    return n


@kernel
def best_backward(head: Head):
    """Begin the gradient of the queries, and begin or add to those of the keys, and values, that were kept."""
    d_head, d_value, top_k, scale = head.d_head, head.d_value, head.top_k, real(head.scale)
    if head.begins:
        clear_keys(head, head.first_key, head.end_key)
    for row in range(head.n_queries):
        query, d_query = at(reals(head.query), row * head.query_row), at(reals(head.d_query), row * head.query_row)
        d_target, best = at(reals(head.d_target), row * head.target_row), at(reals(head.best), 2 * top_k * row)
        expected = dot(at(reals(head.target), row * head.target_row), d_target, d_value)
        for j in range(d_head):
            d_query[j] = real(0)
        for i in range(top_k):
            place, weight = int(best[i]), best[top_k + i]
            if place < head.first_key or place >= head.end_key:
                continue
            key, value = at(reals(head.key), place * head.key_row), at(reals(head.value), place * head.value_row)
            d_key = at(reals(head.d_key), place * head.key_row)
            d_values = at(reals(head.d_values), place * head.value_row)
            slope = weight * (dot(value, d_target, d_value) - expected)
            if head.d_table:
                distance = min(max(row + head.offset - place, -head.reach), head.reach)
                at(reals(head.d_table), head.reach)[distance] += slope
            slope *= scale
            for j in range(d_value):
                d_values[j] += weight * d_target[j]
            for j in range(d_head):
                d_key[j] += slope * query[j]
                d_query[j] += slope * key[j]


@kernel
def best_weights(head: Head):
    """Give the weights of a head; where a query reads no key they are left as they are."""
    top_k, weights = head.top_k, reals(head.out)
    for row in range(head.n_queries):
        best = at(reals(head.best), 2 * top_k * row)
        for i in range(top_k):
            if best[i] >= 0:
                weights[row * head.out_row + int(best[i]) * head.out_step] = best[top_k + i]


@kernel
def best_bias(head: Head):
    """Add the gradients of the scores that were kept to those of an array that was added to them."""
    d_value, top_k, d_bias = head.d_value, head.top_k, reals(head.out)
    for row in range(head.n_queries):
        d_target, best = at(reals(head.d_target), row * head.target_row), at(reals(head.best), 2 * top_k * row)
        expected = dot(at(reals(head.target), row * head.target_row), d_target, d_value)
        for i in range(top_k):
            if best[i] >= 0:
                value = at(reals(head.value), int(best[i]) * head.value_row)
                slope = best[top_k + i] * (dot(value, d_target, d_value) - expected)
                d_bias[row * head.out_row + int(best[i]) * head.out_step] += slope
