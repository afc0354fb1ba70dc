"""Linear attention of one head: phi(q) (sum of phi(k) v^T) / phi(q) (sum of phi(k)), with phi(x) = elu(x) + 1.

What keys and values come to is one matrix, so time and memory grow with the length alone (Katharopoulos et al. 2020,
arXiv:2006.16236). Values have a column of ones more, which makes the sums that outputs are divided by. Looking back
only, a block of queries sees the matrix of what came before it, and its own block key by key.

Sums are made of pieces of `PIECE` steps, each from 0, and added up in order. So one thread can go through all pieces,
or many take some each once the sums are known, and the bits are the same. Looking back only, pieces of queries and of
keys begin at the same places. Pieces of queries are numbered from the first query on, those of keys from the first key.
"""

from .attend import clear_keys
from .head import QUERIES, Head
from .jit import Bool, Int, Reals, kernel, real, reals
from .linear_blocks import (
    BLOCKS,
    PIECE,
    Room,
    add_keys,
    add_queries,
    divide,
    featurise,
    finish_keys,
    finish_queries,
    give_keys,
    lay_out,
    meet_queries,
    pair_up,
    take_gradients,
    take_keys,
    take_queries,
    turn_block,
)
from .matmul import matmul, transpose
from .simd import at


@kernel
def n_query_pieces(head: Head) -> Int:
    """Give how many pieces the queries are cut into."""
    return (head.n_queries + PIECE - 1) // PIECE


@kernel
def n_key_pieces(head: Head) -> Int:
    """Give how many pieces the keys are cut into."""
    lead = -head.offset % PIECE if head.right == 0 else 0
    return (head.end_key + lead + PIECE - 1) // PIECE if head.end_key else 0


@kernel
def _n_before(room: Room, piece: Int) -> Int:
    """Give how many pieces of keys a whole piece of queries sees all of."""
    return min(max(piece + room.ahead, 0), room.n_key_pieces) if room.causal else room.n_key_pieces


@kernel
def _n_behind(head: Head, room: Room, piece: Int) -> Int:
    """Give how many pieces of queries see all of a piece of keys."""
    n_pieces = n_query_pieces(head)
    return min(max(n_pieces - 1 - piece + room.ahead, 0), n_pieces) if room.causal else n_pieces


@kernel
def _add_up(source: Reals, n: Int, total: Reals, fresh: Bool):
    """Add some numbers to others, or begin these with them."""
    for i in range(n):
        total[i] = source[i] if fresh else total[i] + source[i]


@kernel
def _sum_of_keys(head: Head, room: Room, piece: Int, total: Reals, is_turned: Bool):
    """Sum up what the keys and values of a piece come to."""
    begin, fresh = piece * PIECE - room.lead, True
    for place in range(begin, begin + PIECE, QUERIES):
        k = max(place, 0)
        m = min(place + QUERIES, head.end_key) - k
        if m > 0:
            take_keys(head, room, k, m)
            add_keys(head, room, m, total, is_turned, fresh)
            fresh = False


@kernel
def _sum_of_queries(head: Head, room: Room, piece: Int, total: Reals):
    """Sum up what the queries of a piece and their gradients come to, from its end: so keys meet them."""
    begin = piece * PIECE
    n_blocks = (min(begin + PIECE, head.n_queries) - begin + QUERIES - 1) // QUERIES
    for number in range(n_blocks):
        first = begin + (n_blocks - 1 - number) * QUERIES
        n = min(head.n_queries - first, QUERIES)
        take_queries(head, room, first, n)
        take_gradients(head, room, first, n)
        add_queries(head, room, n, total, number == 0)


@kernel
def _sum_before(head: Head, room: Room, sums: Int, n: Int, is_turned: Bool):
    """Add up what the first `n` pieces of keys come to, in order; `sums` is where that is known of each, or 0."""
    d_head, width, before = head.d_head, head.d_value + 1, reals(room.before)
    for piece in range(n):
        own = reals(room.total) if piece else before
        if sums:
            own = at(reals(sums), piece * d_head * width)
        else:
            _sum_of_keys(head, room, piece, own, is_turned)
        if piece or sums:
            _add_up(own, d_head * width, before, piece == 0)
    if sums and is_turned and n > 0:
        transpose(before, width, d_head, width, reals(room.both), d_head, d_head, real(1))
        _add_up(reals(room.both), d_head * width, before, True)


@kernel
def _sum_behind(head: Head, room: Room, d_sums: Int, n: Int):
    """Add up what the last `n` pieces of queries come to, from the last on; `d_sums` as in `_sum_before`."""
    size, n_pieces, before = head.d_head * (head.d_value + 1), n_query_pieces(head), reals(room.before)
    for number in range(n):
        piece, own = n_pieces - 1 - number, reals(room.total) if number else before
        if d_sums:
            own = at(reals(d_sums), piece * size)
        else:
            _sum_of_queries(head, room, piece, own)
        if number or d_sums:
            _add_up(own, size, before, number == 0)


@kernel
def _go_on(head: Head, room: Room, n: Int, n_next: Int) -> Int:
    """Count the piece at hand to those gone through, where these become more; gives how many they are now."""
    if n_next > n:
        _add_up(reals(room.total), head.d_head * (head.d_value + 1), reals(room.before), n == 0)
    return n_next


@kernel
def _all_so_far(head: Head, room: Room, has_before: Bool, has_own: Bool) -> Int:
    """Give where the sum lies of all that was gone through, of the piece at hand too; 0 if that is nothing."""
    if not has_own:
        return room.before if has_before else 0
    if not has_before:
        return room.total
    total, before, both = reals(room.total), reals(room.before), reals(room.both)
    for i in range(head.d_head * (head.d_value + 1)):
        both[i] = before[i] + total[i]
    return room.both


@kernel
def sum_pieces(head: Head, sums: Int, first: Int, last: Int):
    """Write what some pieces of keys come to, each to its place."""
    room, size = Room(), head.d_head * (head.d_value + 1)
    lay_out(head, room)
    for piece in range(first, last):
        _sum_of_keys(head, room, piece, at(reals(sums), piece * size), False)


@kernel
def read_pieces(head: Head, sums: Int, first: Int, last: Int):
    """Attend from some pieces of queries; one over its sum is kept of each query."""
    room = Room()
    lay_out(head, room)
    n_before = _n_before(room, first)
    _sum_before(head, room, sums, n_before, False)
    for piece in range(first, last):
        _read_piece(head, room, piece, n_before > 0)
        if piece + 1 < last:
            n_before = _go_on(head, room, n_before, _n_before(room, piece + 1))


@kernel
def linear_forward(head: Head):
    """Attend from the queries of one head."""
    read_pieces(head, 0, 0, n_query_pieces(head))


@kernel
def _read_piece(head: Head, room: Room, piece: Int, has_before: Bool):
    """Attend from the queries of a piece; looking back only, its keys are summed up meanwhile."""
    d_head, width, causal, has_own = head.d_head, head.d_value + 1, room.causal, False
    for first in range(piece * PIECE, min((piece + 1) * PIECE, head.n_queries), QUERIES):
        n = min(head.n_queries - first, QUERIES)
        take_queries(head, room, first, n)
        mixed, found = reals(room.mixed), _all_so_far(head, room, has_before, has_own)
        if found:
            matmul(reals(room.queries), d_head, 1, reals(found), width, mixed, width, n, d_head, width, True)
        k = max(first + head.offset, 0)
        m = min(first + n + head.offset, head.end_key) - k if causal else 0
        if m > 0:
            take_keys(head, room, k, m)
            turn_block(head, room, m)
            pairs = reals(room.pairs)
            pair_up(head, reals(room.queries), d_head, reals(room.turned_keys), first, n, k, m, pairs)
            matmul(pairs, m, 1, reals(room.values), width, mixed, width, n, m, width, not found)
            # Behind the last query nobody asks.
            if first + n < head.n_queries:
                add_keys(head, room, m, reals(room.total), False, not has_own)
                has_own = True
        elif not found:
            _clear(mixed, n * width)
        divide(head, first, n, mixed)


@kernel
def _clear(numbers: Reals, n: Int):
    """Set numbers to 0."""
    for i in range(n):
        numbers[i] = real(0)


@kernel
def linear_backward(head: Head):
    """Begin the gradient of the queries, and begin or add to those of keys and values."""
    learn_queries(head, 0, 0, 0, n_query_pieces(head))
    learn_keys(head, 0, 0, n_key_pieces(head))


@kernel
def learn_queries(head: Head, sums: Int, d_sums: Int, first: Int, last: Int):
    """Begin the gradient of some pieces of queries; write what these come to for keys, unless `d_sums` is 0."""
    room, size = Room(), head.d_head * (head.d_value + 1)
    lay_out(head, room)
    n_before = _n_before(room, first)
    _sum_before(head, room, sums, n_before, True)
    for piece in range(first, last):
        _queries_backward(head, room, piece, n_before > 0)
        if piece + 1 < last:
            n_before = _go_on(head, room, n_before, _n_before(room, piece + 1))
    if d_sums:
        for piece in range(first, last):
            _sum_of_queries(head, room, piece, at(reals(d_sums), piece * size))


@kernel
def _queries_backward(head: Head, room: Room, piece: Int, has_before: Bool):
    """Give the gradient of the queries of a piece; looking back only, its keys are summed up meanwhile, turned."""
    d_head, width, causal, has_own = head.d_head, head.d_value + 1, room.causal, False
    d_features, d_pairs = reals(room.d_features), reals(room.d_pairs)
    for first in range(piece * PIECE, min((piece + 1) * PIECE, head.n_queries), QUERIES):
        n = min(head.n_queries - first, QUERIES)
        take_queries(head, room, first, n)
        take_gradients(head, room, first, n)
        mixed, found = reals(room.mixed), _all_so_far(head, room, has_before, has_own)
        if found:
            matmul(mixed, width, 1, reals(found), d_head, d_features, d_head, n, width, d_head, True)
        k = max(first + head.offset, 0)
        m = min(first + n + head.offset, head.end_key) - k if causal else 0
        if m > 0:
            take_keys(head, room, k, m)
            turn_block(head, room, m)
            pair_up(head, mixed, width, reals(room.turned_values), first, n, k, m, d_pairs)
            matmul(d_pairs, m, 1, reals(room.keys), d_head, d_features, d_head, n, m, d_head, not found)
            if first + n < head.n_queries:
                add_keys(head, room, m, reals(room.total), True, not has_own)
                has_own = True
        elif not found:
            _clear(d_features, n * d_head)
        finish_queries(head, room, first, n)


@kernel
def learn_keys(head: Head, d_sums: Int, first: Int, last: Int):
    """Begin or add to the gradients of some pieces of keys and values, from the last on."""
    room = Room()
    lay_out(head, room)
    lead = room.lead
    if head.begins:
        clear_keys(head, max(first * PIECE - lead, 0), min(last * PIECE - lead, head.end_key))
    n_behind = _n_behind(head, room, last - 1)
    _sum_behind(head, room, d_sums, n_behind)
    for number in range(last - first):
        piece = last - 1 - number
        _keys_backward(head, room, piece, n_behind > 0)
        if piece > first:
            n_behind = _go_on(head, room, n_behind, _n_behind(head, room, piece - 1))


@kernel
def _keys_backward(head: Head, room: Room, piece: Int, has_behind: Bool):
    """Add to the gradients of a piece of keys and values: the queries behind a key are those that see it."""
    begin, causal, has_own = piece * PIECE - room.lead, room.causal, False
    for number in range(BLOCKS):
        place = begin + (BLOCKS - 1 - number) * QUERIES
        k, first = max(place, 0), place - head.offset
        m = min(place + QUERIES, head.end_key) - k
        n = min(head.n_queries - first, QUERIES) if causal and first >= 0 else 0
        if n > 0:
            take_queries(head, room, first, n)
            take_gradients(head, room, first, n)
        if m > 0:
            take_keys(head, room, k, m)
            turn_block(head, room, m)
            found = _all_so_far(head, room, has_behind, has_own)
            if found:
                give_keys(head, room, reals(found), k, m)
            if n > 0:
                meet_queries(head, room, first, n, k, m, not found)
            if found or n > 0:
                finish_keys(head, room, k, m)
        # Before the first key nobody asks.
        if n > 0 and place > 0:
            add_queries(head, room, n, reals(room.total), not has_own)
            has_own = True


@kernel
def add_key(key: Reals, value: Reals, d_head: Int, d_value: Int, total: Reals, features: Reals, fresh: Bool):
    """Add a key and its value to the sum of those before [d_head, d_value + 1], or begin it; `features` is scratch."""
    featurise(key, d_head, 1, d_head, features)
    for i in range(d_head):
        row = at(total, i * (d_value + 1))
        for j in range(d_value):
            row[j] = features[i] * value[j] + (real(0) if fresh else row[j])
        row[d_value] = features[i] + (real(0) if fresh else row[d_value])


@kernel
def read_sum(query: Reals, d_head: Int, d_value: Int, total: Reals, target: Reals, scratch: Reals):
    """Give what a query reads of a sum of keys and values."""
    features, mixed, width = scratch, at(scratch, d_head), d_value + 1
    featurise(query, d_head, 1, d_head, features)
    matmul(features, d_head, 1, total, width, mixed, width, 1, d_head, width, True)
    over = real(0) if mixed[d_value] == real(0) else real(1) / mixed[d_value]
    for j in range(d_value):
        target[j] = mixed[j] * over


@kernel
def linear_weights(head: Head):
    """Give the weights of a head; where a query does not see a key they are left as they are."""
    room, d_head = Room(), head.d_head
    lay_out(head, room)
    for first in range(0, head.n_queries, QUERIES):
        n = min(head.n_queries - first, QUERIES)
        take_queries(head, room, first, n)
        for k in range(0, head.end_key, QUERIES):
            m = min(head.end_key - k, QUERIES)
            take_keys(head, room, k, m)
            turn_block(head, room, m)
            matmul(reals(room.queries), d_head, 1, reals(room.turned_keys), m, reals(room.pairs), m, n, d_head, m, True)
            for i in range(n):
                seen = min(m, first + i + head.offset - k + 1) if room.causal else m
                over, row = reals(head.inverse)[first + i], at(reals(head.out), (first + i) * head.out_row)
                for j in range(seen):
                    row[(k + j) * head.out_step] = reals(room.pairs)[i * m + j] * over
