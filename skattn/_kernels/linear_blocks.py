"""Blocks of queries and keys of linear attention: their features, what they come to, and their gradients.

A block is up to 64 steps. See linear_attention.py for the order in which they are taken.
"""

from .head import LOG2_E, QUERIES, Head
from .jit import Bool, Int, Reals, address_of, kernel, real, reals
from .matmul import matmul, transpose
from .record import Record
from .simd import at, exp2

# Steps of a piece: their number decides the bits, so it is the same for all.
BLOCKS = 8
PIECE = BLOCKS * QUERIES

Room = Record(
    # Features of a block of queries [n, d_head] and of keys, and these turned; their gradient.
    *("queries", "keys", "turned_keys", "d_features"),
    # Values of a block with ones [n, d_value + 1], and turned; what queries fetch, or the gradient of that.
    *("values", "turned_values", "mixed"),
    # Pairs of a block [n queries, n keys], and their gradient.
    *("pairs", "d_pairs"),
    # What is summed up [d_head, d_value + 1]: of the piece at hand, of those gone through, both together, and turned.
    *("total", "before", "both", "turned"),
    # Whether queries look back only, how many places the first piece of keys begins before the first key then, and how
    # many pieces of keys there are; the piece of keys at the same places as the first of queries.
    *("causal", "lead", "n_key_pieces", "ahead"),
)


def scratch_size(d_head, d_value):
    """Give how many numbers a head takes in `scratch`."""
    return QUERIES * (4 * d_head + 3 * (d_value + 1) + 2 * QUERIES) + 4 * sum_size(d_head, d_value)


def sum_size(d_head, d_value):
    """Give how many numbers the sum of a piece takes."""
    return d_head * (d_value + 1)


def most_pieces(n_steps, is_moved=False):
    """Give how many pieces so many steps are cut into at the most; `is_moved` if the first may begin within one."""
    return -(-(n_steps + (PIECE - 1 if is_moved else 0)) // PIECE)


@kernel
def lay_out(head: Head, room: Room):
    """Say where arrays lie, and how keys are cut into pieces."""
    room.causal = head.right == 0
    room.lead = -head.offset % PIECE if room.causal else 0
    room.n_key_pieces = (head.end_key + room.lead + PIECE - 1) // PIECE if head.end_key else 0
    room.ahead = (head.offset + room.lead) // PIECE
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
    room.total, room.before = address_of(total), address_of(at(total, n_total))
    room.both, room.turned = address_of(at(total, 2 * n_total)), address_of(at(total, 3 * n_total))


@kernel
def featurise(rows: Reals, row: Int, n: Int, width: Int, out: Reals):
    """Give elu(x) + 1 of some rows: x + 1 above 0, exp(x) below."""
    for t in range(n):
        x, y = at(rows, t * row), at(out, t * width)
        for j in range(width):
            power = exp2((real(0) if x[j] > real(0) else x[j]) * real(LOG2_E))
            y[j] = x[j] + real(1) if x[j] > real(0) else power


@kernel
def take_queries(head: Head, room: Room, first: Int, n: Int):
    """Give the features of a block of queries."""
    featurise(at(reals(head.query), first * head.query_row), head.query_row, n, head.d_head, reals(room.queries))


@kernel
def take_keys(head: Head, room: Room, first: Int, n: Int):
    """Give the features of a block of keys, and their values with ones."""
    d_value, values = head.d_value, reals(room.values)
    featurise(at(reals(head.key), first * head.key_row), head.key_row, n, head.d_head, reals(room.keys))
    for t in range(n):
        source, target = at(reals(head.value), (first + t) * head.value_row), at(values, t * (d_value + 1))
        for j in range(d_value):
            target[j] = source[j]
        target[d_value] = real(1)


@kernel
def turn_block(head: Head, room: Room, n: Int):
    """Turn the features and values of a block of keys."""
    d_head, width = head.d_head, head.d_value + 1
    transpose(reals(room.keys), d_head, n, d_head, reals(room.turned_keys), n, n, real(1))
    transpose(reals(room.values), width, n, width, reals(room.turned_values), n, n, real(1))


@kernel
def pair_up(head: Head, a: Reals, width: Int, b: Reals, first: Int, n: Int, k: Int, m: Int, pairs: Reals):
    """Multiply rows of a block of queries with turned rows of one of keys; what a query does not see gives 0."""
    matmul(a, width, 1, b, m, pairs, m, n, width, m, True)
    for i in range(n):
        for j in range(max(0, first + i + head.offset - k + 1), m):
            pairs[i * m + j] = real(0)


@kernel
def add_keys(head: Head, room: Room, m: Int, total: Reals, is_turned: Bool, fresh: Bool):
    """Add what the keys and values at hand come to to a sum, or begin it."""
    d_head, width, keys, values = head.d_head, head.d_value + 1, reals(room.keys), reals(room.values)
    if is_turned:
        matmul(values, 1, width, keys, d_head, total, d_head, width, m, d_head, fresh)
    else:
        matmul(keys, 1, d_head, values, width, total, width, d_head, m, width, fresh)


@kernel
def add_queries(head: Head, room: Room, n: Int, total: Reals, fresh: Bool):
    """Add what the queries at hand, and the gradients of what they have fetched, come to to a sum, or begin it."""
    d_head, width = head.d_head, head.d_value + 1
    matmul(reals(room.queries), 1, d_head, reals(room.mixed), width, total, width, d_head, n, width, fresh)


@kernel
def divide(head: Head, first: Int, n: Int, mixed: Reals):
    """Divide what a block of queries has fetched by its sums; where there is none, give 0."""
    d_value, top, inverse = head.d_value, reals(head.top), reals(head.inverse)
    for t in range(n):
        source, target = at(mixed, t * (d_value + 1)), at(reals(head.target), (first + t) * head.target_row)
        over = real(0) if source[d_value] == real(0) else real(1) / source[d_value]
        for j in range(d_value):
            target[j] = source[j] * over
        top[first + t], inverse[first + t] = real(0), over


@kernel
def take_gradients(head: Head, room: Room, first: Int, n: Int):
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
def finish_queries(head: Head, room: Room, first: Int, n: Int):
    """Write the gradients of queries, from those of their features."""
    d_head = head.d_head
    for t in range(n):
        d_query, x = at(reals(head.d_query), (first + t) * head.query_row), at(reals(room.queries), t * d_head)
        d_feature, source = (
            at(reals(room.d_features), t * d_head),
            at(reals(head.query), (first + t) * head.query_row),
        )
        for j in range(d_head):
            d_query[j] = d_feature[j] if source[j] > real(0) else d_feature[j] * x[j]


@kernel
def give_keys(head: Head, room: Room, total: Reals, k: Int, m: Int):
    """Give the block of keys and values at hand what all of the summed queries see of them."""
    d_head, width = head.d_head, head.d_value + 1
    turned, d_features = reals(room.turned), reals(room.d_features)
    transpose(total, width, d_head, width, turned, d_head, d_head, real(1))
    matmul(reals(room.values), width, 1, turned, d_head, d_features, d_head, m, width, d_head, True)
    d_values = at(reals(head.d_values), k * head.value_row)
    matmul(reals(room.keys), d_head, 1, total, width, d_values, head.value_row, m, d_head, width - 1, False)


@kernel
def meet_queries(head: Head, room: Room, first: Int, n: Int, k: Int, m: Int, fresh: Bool):
    """Give the block of keys and values at hand what is seen of them by the block of queries at the same places."""
    d_head, width, pairs, d_pairs = head.d_head, head.d_value + 1, reals(room.pairs), reals(room.d_pairs)
    pair_up(head, reals(room.queries), d_head, reals(room.turned_keys), first, n, k, m, pairs)
    pair_up(head, reals(room.mixed), width, reals(room.turned_values), first, n, k, m, d_pairs)
    matmul(d_pairs, 1, m, reals(room.queries), d_head, reals(room.d_features), d_head, m, n, d_head, fresh)
    d_values = at(reals(head.d_values), k * head.value_row)
    matmul(pairs, 1, m, reals(room.mixed), width, d_values, head.value_row, m, n, width - 1, False)


@kernel
def finish_keys(head: Head, room: Room, k: Int, m: Int):
    """Add the gradients of keys, from those of their features."""
    d_head = head.d_head
    for t in range(m):
        d_key, source = at(reals(head.d_key), (k + t) * head.key_row), at(reals(head.key), (k + t) * head.key_row)
        d_feature, x = at(reals(room.d_features), t * d_head), at(reals(room.keys), t * d_head)
        for j in range(d_head):
            d_key[j] += d_feature[j] if source[j] > real(0) else d_feature[j] * x[j]
