"""Linear attention of one head: phi(q) (sum of phi(k) v^T) / phi(q) (sum of phi(k)), with phi(x) = elu(x) + 1.

What keys and values come to is one matrix, so time and memory grow with the length alone (Katharopoulos et al. 2020,
arXiv:2006.16236). Values have a column of ones more, which makes the sums that outputs are divided by. Looking back
only, a block of queries sees the matrix of what came before it, and its own block key by key.
"""

from .attend import clear_keys
from .head import LOG2_E, QUERIES, Head
from .jit import Bool, Int, Reals, address_of, kernel, real, reals
from .matmul import matmul, transpose
from .record import Record
from .simd import at, exp2

_Room = Record(
    # Features of a block of queries [n, d_head] and of keys, and these turned; their gradient.
    *("queries", "keys", "turned_keys", "d_features"),
    # Values of a block with ones [n, d_value + 1], and turned; what queries fetch, or the gradient of that.
    *("values", "turned_values", "mixed"),
    # Pairs of a block [n queries, n keys], and their gradient; what is summed up [d_head, d_value + 1], and turned.
    *("pairs", "d_pairs", "total", "turned_total"),
)


def scratch_size(d_head, d_value):
    """Give how many numbers a head takes in `scratch`."""
    return QUERIES * (4 * d_head + 3 * (d_value + 1) + 2 * QUERIES) + 2 * d_head * (d_value + 1)


@kernel
def _lay_out(head: Head, room: _Room):
    """Say where arrays lie, and sum up from 0."""
    n_features, n_values = QUERIES * head.d_head, QUERIES * (head.d_value + 1)
    n_pairs, n_total = QUERIES * QUERIES, head.d_head * (head.d_value + 1)
    queries = reals(head.scratch)
    room.queries, room.keys = address_of(queries), address_of(at(queries, n_features))
    room.turned_keys, room.d_features = address_of(at(queries, 2 * n_features)), address_of(at(queries, 3 * n_features))
    values = at(queries, 4 * n_features)
    room.values, room.turned_values = address_of(values), address_of(at(values, n_values))
    room.mixed = address_of(at(values, 2 * n_values))
    pairs = at(values, 3 * n_values)
    room.pairs, room.d_pairs = address_of(pairs), address_of(at(pairs, n_pairs))
    total = at(pairs, 2 * n_pairs)
    room.total, room.turned_total = address_of(total), address_of(at(total, n_total))
    for i in range(2 * n_total):
        total[i] = real(0)


@kernel
def _features(rows: Reals, row: Int, n: Int, width: Int, out: Reals):
    """Give elu(x) + 1 of some rows: x + 1 above 0, exp(x) below."""
    for t in range(n):
        x, y = at(rows, t * row), at(out, t * width)
        for j in range(width):
            power = exp2((real(0) if x[j] > real(0) else x[j]) * real(LOG2_E))
            y[j] = x[j] + real(1) if x[j] > real(0) else power


@kernel
def _take_queries(head: Head, room: _Room, first: Int, n: Int):
    """Give the features of a block of queries."""
    _features(at(reals(head.query), first * head.query_row), head.query_row, n, head.d_head, reals(room.queries))


@kernel
def _take_keys(head: Head, room: _Room, first: Int, n: Int):
    """Give the features of a block of keys, and their values with ones."""
    d_value, values = head.d_value, reals(room.values)
    _features(at(reals(head.key), first * head.key_row), head.key_row, n, head.d_head, reals(room.keys))
    for t in range(n):
        source, target = at(reals(head.value), (first + t) * head.value_row), at(values, t * (d_value + 1))
        for j in range(d_value):
            target[j] = source[j]
        target[d_value] = real(1)


@kernel
def _turn_block(head: Head, room: _Room, n: Int):
    """Turn the features and values of a block of keys."""
    d_head, width = head.d_head, head.d_value + 1
    transpose(reals(room.keys), d_head, n, d_head, reals(room.turned_keys), n, n, real(1))
    transpose(reals(room.values), width, n, width, reals(room.turned_values), n, n, real(1))


@kernel
def _pair_up(head: Head, room: _Room, a: Reals, width: Int, b: Reals, first: Int, n: Int, k: Int, m: Int, pairs: Reals):
    """Multiply rows of a block of queries with turned rows of one of keys; what a query does not see gives 0."""
    matmul(a, width, 1, b, m, pairs, m, n, width, m, True)
    for i in range(n):
        for j in range(max(0, first + i + head.offset - k + 1), m):
            pairs[i * m + j] = real(0)


@kernel
def _is_causal(head: Head) -> Int:
    """Tell whether queries look back only."""
    return head.right == 0


@kernel
def _n_before(head: Head, row: Int) -> Int:
    """Give how many keys stand before the place of a query."""
    return min(max(row + head.offset, 0), head.end_key)


@kernel
def _sum_keys(head: Head, room: _Room, begin: Int, end: Int, is_turned: Int):
    """Add up what some keys and values come to."""
    d_head, width = head.d_head, head.d_value + 1
    for k in range(begin, end, QUERIES):
        m = min(end - k, QUERIES)
        _take_keys(head, room, k, m)
        if is_turned:
            matmul(
                reals(room.values), 1, width, reals(room.keys), d_head, reals(room.turned_total), d_head, width, m,
                d_head, False,
            )  # fmt: skip
        else:
            matmul(
                reals(room.keys), 1, d_head, reals(room.values), width, reals(room.total), width, d_head, m, width,
                False,
            )  # fmt: skip


@kernel
def linear_forward(head: Head):
    """Attend from the queries of one head; one over its sum is kept of each query."""
    room, width, d_head, causal = _Room(), head.d_value + 1, head.d_head, _is_causal(head)
    _lay_out(head, room)
    mixed, summed = reals(room.mixed), 0 if causal else head.end_key
    _sum_keys(head, room, 0, summed, False)
    for first in range(0, head.n_queries, QUERIES):
        n = min(head.n_queries - first, QUERIES)
        if causal:
            k = _n_before(head, first)
            _sum_keys(head, room, summed, k, False)
            summed = k
        _take_queries(head, room, first, n)
        matmul(reals(room.queries), d_head, 1, reals(room.total), width, mixed, width, n, d_head, width, True)
        if causal:
            m = _n_before(head, first + n) - k
            _take_keys(head, room, k, m)
            _turn_block(head, room, m)
            pairs = reals(room.pairs)
            _pair_up(head, room, reals(room.queries), d_head, reals(room.turned_keys), first, n, k, m, pairs)
            matmul(pairs, m, 1, reals(room.values), width, mixed, width, n, m, width, False)
        _divide(head, first, n, mixed)


@kernel
def _divide(head: Head, first: Int, n: Int, mixed: Reals):
    """Divide what a block of queries has fetched by its sums; where there is none, give 0."""
    d_value, top, inverse = head.d_value, reals(head.top), reals(head.inverse)
    for t in range(n):
        source, target = at(mixed, t * (d_value + 1)), at(reals(head.target), (first + t) * head.target_row)
        over = real(0) if source[d_value] == real(0) else real(1) / source[d_value]
        for j in range(d_value):
            target[j] = source[j] * over
        top[first + t], inverse[first + t] = real(0), over


@kernel
def _take_gradients(head: Head, room: _Room, first: Int, n: Int):
    """Give the gradients of what a block of queries has fetched before it was divided, and of the sums."""
    d_value, mixed = head.d_value, reals(room.mixed)
    for t in range(n):
        target, d_target = at(reals(head.target), (first + t) * head.target_row), at(mixed, t * (d_value + 1))
        d_row, over = at(reals(head.d_target), (first + t) * head.target_row), reals(head.inverse)[first + t]
        along = real(0)
        for j in range(d_value):
            along += target[j] * d_row[j]
            d_target[j] = d_row[j] * over
        d_target[d_value] = -along * over


@kernel
def linear_backward(head: Head):
    """Begin the gradient of the queries, and begin or add to those of keys and values."""
    if head.begins:
        clear_keys(head, head.first_key, head.end_key)
    room = _Room()
    _lay_out(head, room)
    _queries_backward(head, room)
    _lay_out(head, room)
    _keys_backward(head, room)


@kernel
def _queries_backward(head: Head, room: _Room):
    """Give the gradient of the queries, from the first on."""
    width, d_head, causal = head.d_value + 1, head.d_head, _is_causal(head)
    d_features, d_pairs, summed = reals(room.d_features), reals(room.d_pairs), 0 if causal else head.end_key
    _sum_keys(head, room, 0, summed, True)
    for first in range(0, head.n_queries, QUERIES):
        n = min(head.n_queries - first, QUERIES)
        if causal:
            k = _n_before(head, first)
            _sum_keys(head, room, summed, k, True)
            summed = k
        _take_queries(head, room, first, n)
        _take_gradients(head, room, first, n)
        matmul(
            reals(room.mixed), width, 1, reals(room.turned_total), d_head, d_features, d_head, n, width, d_head, True
        )
        if causal:
            m = _n_before(head, first + n) - k
            _take_keys(head, room, k, m)
            _turn_block(head, room, m)
            _pair_up(head, room, reals(room.mixed), width, reals(room.turned_values), first, n, k, m, d_pairs)
            matmul(d_pairs, m, 1, reals(room.keys), d_head, d_features, d_head, n, m, d_head, False)
        for t in range(n):
            d_query, x = at(reals(head.d_query), (first + t) * head.query_row), at(reals(room.queries), t * d_head)
            d_feature, source = at(d_features, t * d_head), at(reals(head.query), (first + t) * head.query_row)
            for j in range(d_head):
                d_query[j] = d_feature[j] if source[j] > real(0) else d_feature[j] * x[j]


@kernel
def _keys_backward(head: Head, room: _Room):
    """Add to the gradients of keys and values, from the last on: the queries behind a key are those that see it."""
    n_queries, offset, causal = head.n_queries, head.offset, _is_causal(head)
    summed = n_queries if causal else 0
    _sum_queries(head, room, 0, n_queries - summed)
    n_blocks = (head.end_key + QUERIES - 1) // QUERIES
    for number in range(n_blocks):
        k = (n_blocks - 1 - number) * QUERIES
        m = min(head.end_key - k, QUERIES)
        if causal:
            # From this row on, queries see the whole block.
            row = min(max(k + m - 1 - offset, 0), n_queries)
            _sum_queries(head, room, row, summed)
            summed = row
        _take_keys(head, room, k, m)
        _turn_block(head, room, m)
        _give_keys(head, room, k, m)
        if causal:
            first = min(max(k - offset, 0), n_queries)
            _meet_queries(head, room, first, row - first, k, m)
        _finish_keys(head, room, k, m)


@kernel
def _sum_queries(head: Head, room: _Room, begin: Int, end: Int):
    """Add up what the gradients of some queries come to."""
    d_head, width = head.d_head, head.d_value + 1
    for first in range(begin, end, QUERIES):
        n = min(end - first, QUERIES)
        _take_queries(head, room, first, n)
        _take_gradients(head, room, first, n)
        matmul(
            reals(room.queries), 1, d_head, reals(room.mixed), width, reals(room.total), width, d_head, n, width, False
        )


@kernel
def _give_keys(head: Head, room: _Room, k: Int, m: Int):
    """Give a block of keys and values what all of the summed queries see of them."""
    d_head, width = head.d_head, head.d_value + 1
    total, turned, d_features = reals(room.total), reals(room.turned_total), reals(room.d_features)
    transpose(total, width, d_head, width, turned, d_head, d_head, real(1))
    matmul(reals(room.values), width, 1, turned, d_head, d_features, d_head, m, width, d_head, True)
    d_values = at(reals(head.d_values), k * head.value_row)
    matmul(reals(room.keys), d_head, 1, total, width, d_values, head.value_row, m, d_head, width - 1, False)


@kernel
def _meet_queries(head: Head, room: _Room, first: Int, n: Int, k: Int, m: Int):
    """Give a block of keys and values what is seen of them by queries that do not see all of the block."""
    d_head, width, pairs, d_pairs = head.d_head, head.d_value + 1, reals(room.pairs), reals(room.d_pairs)
    _take_queries(head, room, first, n)
    _take_gradients(head, room, first, n)
    _pair_up(head, room, reals(room.queries), d_head, reals(room.turned_keys), first, n, k, m, pairs)
    _pair_up(head, room, reals(room.mixed), width, reals(room.turned_values), first, n, k, m, d_pairs)
    matmul(d_pairs, 1, m, reals(room.queries), d_head, reals(room.d_features), d_head, m, n, d_head, False)
    d_values = at(reals(head.d_values), k * head.value_row)
    matmul(pairs, 1, m, reals(room.mixed), width, d_values, head.value_row, m, n, width - 1, False)


@kernel
def _finish_keys(head: Head, room: _Room, k: Int, m: Int):
    """Add the gradients of keys, from those of their features."""
    d_head = head.d_head
    for t in range(m):
        d_key, source = at(reals(head.d_key), (k + t) * head.key_row), at(reals(head.key), (k + t) * head.key_row)
        d_feature, x = at(reals(room.d_features), t * d_head), at(reals(room.keys), t * d_head)
        for j in range(d_head):
            d_key[j] += d_feature[j] if source[j] > real(0) else d_feature[j] * x[j]


@kernel
def add_key(key: Reals, value: Reals, d_head: Int, d_value: Int, total: Reals, features: Reals, fresh: Bool):
    """Add a key and its value to the sum of those before [d_head, d_value + 1], or begin it; `features` is scratch."""
    _features(key, d_head, 1, d_head, features)
    for i in range(d_head):
        row = at(total, i * (d_value + 1))
        for j in range(d_value):
            row[j] = features[i] * value[j] + (real(0) if fresh else row[j])
        row[d_value] = features[i] + (real(0) if fresh else row[d_value])


@kernel
def read_sum(query: Reals, d_head: Int, d_value: Int, total: Reals, target: Reals, scratch: Reals):
    """Give what a query reads of a sum of keys and values."""
    features, mixed, width = scratch, at(scratch, d_head), d_value + 1
    _features(query, d_head, 1, d_head, features)
    matmul(features, d_head, 1, total, width, mixed, width, 1, d_head, width, True)
    over = real(0) if mixed[d_value] == real(0) else real(1) / mixed[d_value]
    for j in range(d_value):
        target[j] = mixed[j] * over


@kernel
def linear_weights(head: Head):
    """Give the weights of a head; where a query does not see a key they are left as they are."""
    room, d_head = _Room(), head.d_head
    _lay_out(head, room)
    for first in range(0, head.n_queries, QUERIES):
        n = min(head.n_queries - first, QUERIES)
        _take_queries(head, room, first, n)
        for k in range(0, head.end_key, QUERIES):
            m = min(head.end_key - k, QUERIES)
            _take_keys(head, room, k, m)
            _turn_block(head, room, m)
            matmul(reals(room.queries), d_head, 1, reals(room.turned_keys), m, reals(room.pairs), m, n, d_head, m, True)
            for i in range(n):
                seen = min(m, first + i + head.offset - k + 1) if _is_causal(head) else m
                over, row = reals(head.inverse)[first + i], at(reals(head.out), (first + i) * head.out_row)
                for j in range(seen):
                    row[(k + j) * head.out_step] = reals(room.pairs)[i * m + j] * over
