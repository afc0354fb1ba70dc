"""One head of one sequence: what attends, to what, and where its arrays lie."""

from .ahead import LINE, prefetch
from .invoke import invoke_gather
from .jit import Int, address_at, address_of, kernel, reals
from .operation import GRANULE, part_begin
from .record import Record
from .simd import TILE_ROWS, at

QUERIES = GRANULE
KEYS = 128
# Keys of a block that some queries do not see: of fewer keys, fewer queries are computed with for nothing.
_EDGE = 32
_WIDEST = max(TILE_ROWS)
# Keys, and values, of a strand that are kept together at most.
_HELD = 1024
# Stands for a window without an end: no sequence is as long.
UNBOUNDED = 1 << 40
LOG2_E = 1.4426950408889634

Head = Record(
    # Arrays of one head, and how many numbers lie between rows; what is kept of the softmax of its queries.
    *("query", "query_row", "key", "key_row", "value", "value_row", "target", "target_row", "top", "inverse"),
    # Queries of the sequence and the part of them that is at hand; the keys that they may meet.
    *("n_queries", "part", "n_parts", "first_key", "end_key", "d_head", "d_value"),
    # A query stands `offset` places behind where its row is, and sees places from `left` before it to `right` after it,
    # one in `dilation` of them; the first `n_global` places see all, and are seen by all.
    *("offset", "left", "right", "dilation", "n_global"),
    # How many keys a query reads, if not all that it sees, and a row for each query: which, and how much of each.
    *("top_k", "best"),
    # Gradients, which lie as what they are of; whether those of keys and values are begun here, or added to.
    *("d_query", "d_key", "d_values", "d_target", "begins"),
    # Addresses of kernels, so that none is compiled which no head needs; 0 where there is nothing to do. What adds to
    # scores by distances, and learns from the gradients; what adds an array or hides by a mask, and tells what is
    # hidden whole; what gathers rows of strands.
    *("adds", "learns", "covers", "hides", "gathers"),
    # What these read: addresses, 0 where there is nothing, and of the gradient of the table. Of an array of scores, and
    # of a mask of bytes, how many entries lie between queries and between keys.
    *("times", "table", "reach", "d_table", "bias", "bias_row", "bias_step", "mask", "mask_row", "mask_step"),
    # What is asked of all pairs, if anything: a matrix, and how many numbers lie between its rows and columns.
    *("out", "out_row", "out_step"),
    *("scratch", "ahead"),
    doubles=("scale", "slope"),
)
"""One head of one sequence."""

Strand = Record(
    # Queries that see the same places of each other: rows `begin` to `end` of these arrays.
    *("query", "query_row", "target", "target_row", "top", "inverse", "kept_row", "begin", "end", "n_rows"),
    *("d_query", "d_target"),
    # The row of the head that row 0 is, its place, and places from one row to the next.
    *("row", "origin", "step"),
)
"""Some of the queries of a head, evenly apart: one in `Head.dilation`, or all."""

Keys = Record(
    # Rows `first` to `end` of these arrays; query `i` of the strand sees rows from ``i - left`` to ``i + right``.
    *("key", "key_row", "value", "value_row", "first", "end", "left", "right"),
    *("d_key", "d_values", "begins"),
    # The place of row 0, and places from one row to the next.
    *("origin", "step"),
)
"""Some of the keys of a head, evenly apart."""

Block = Record(
    # Queries at hand, and their columns in whole vectors; those that see some of the keys at hand; whether no key was
    # met yet.
    *("first", "n_queries", "width", "begin", "end", "fresh"),
    # Strands of the head, and places between neighbours of one.
    *("n_strands", "step"),
    # Columns of the largest block; where a window ends on both sides, columns that begin and end to see keys together.
    *("height", "strip"),
    # What lies in scratch: arrays that are turned have a column a query, scores a row a key, the rest a number a query.
    *("turned", "d_turned", "mixed", "scores", "d_scores", "highest", "total", "expected", "biases", "spare"),
    # Room to have rows of queries, and of keys, together that lie apart in memory; where the rows at hand are now.
    *("query_room", "key_room", "query", "query_row", "d_rows", "d_row", "key", "key_row", "value", "value_row"),
    # Keys that are together in `key_room`, as many as it has places, and whose they are.
    *("held_of", "held", "held_end", "ring"),
    # Whether no query sees any of the keys at hand; what all of their scores are short of.
    "hidden",
    doubles=("level",),
)
"""A block of queries on its way."""


def bound(steps):
    """Give a number of steps as kernels take it: None has no end, nor has what is longer than any sequence."""
    return UNBOUNDED if steps is None else min(steps, UNBOUNDED)


def scratch_size(d_head, d_value, top_k=0, dilation=1):
    """Give how many numbers a block takes in `scratch`."""
    gathered = (QUERIES + _HELD) * (d_head + d_value) if dilation > 1 else 0
    return QUERIES * (2 * d_head + d_value + 2 * KEYS + 3) + 2 * (QUERIES + KEYS) + gathered + 4 * QUERIES * top_k


@kernel
def lay_out(head: Head, block: Block):
    """Say where the arrays of a block lie, and how many strands the queries of its head make."""
    block.height, block.strip, block.ring = QUERIES, 0, _HELD
    turned, d_head, d_value = head.scratch, head.d_head, head.d_value
    mixed = address_at(turned, 2 * QUERIES * d_head)
    block.turned, block.d_turned, block.mixed = turned, address_at(turned, QUERIES * d_head), mixed
    scores = address_at(mixed, QUERIES * d_value)
    highest = address_at(scores, 2 * QUERIES * KEYS)
    block.scores, block.d_scores, block.highest = scores, address_at(scores, QUERIES * KEYS), highest
    block.total, block.expected = address_at(highest, QUERIES), address_at(highest, 2 * QUERIES)
    block.biases = address_at(highest, 3 * QUERIES)
    # Rooms for what lies apart are there where there is a dilation.
    query_room = address_at(block.biases, 2 * (QUERIES + KEYS))
    key_room = address_at(query_room, QUERIES * (d_head + d_value))
    block.query_room, block.key_room, block.held_of = query_room, key_room, 0
    block.spare = address_at(key_room, _HELD * (d_head + d_value)) if head.dilation > 1 else query_room
    # No query and key are farther apart than all there are.
    block.step = min(head.dilation, head.n_queries + abs(head.offset) + head.end_key + 1)
    block.n_strands = block.step + min(head.n_global, 1)


@kernel
def tell_strand(head: Head, block: Block, number: Int, strand: Strand, near: Keys, shared: Keys):
    """Write one of the strands of a head, and the two kinds of keys that it sees: those near it, and the global ones.

    With a dilation of k, queries at places that leave the same rest by k see each other alone. So each rest is a
    sequence of its own, with rows k times as far apart and a window of a k-th: what is left out is never met. The first
    strand is that of the global places, if there are any, to which every key is near.
    """
    is_global, n_global, offset = head.n_global > 0 and number == 0, head.n_global, head.offset
    step = 1 if is_global else block.step
    rest = 0 if is_global else number - min(n_global, 1)
    n_before = min(max(n_global - offset, 0), head.n_queries) if n_global else 0
    lowest, highest = (0, n_before) if is_global else (n_before, head.n_queries)
    row = lowest + (rest - offset - lowest) % step
    n_rows = max(0, (highest - row + step - 1) // step)
    strand.row, strand.origin, strand.step, strand.kept_row = row, row + offset, step, step
    strand.n_rows = n_rows
    strand.begin, strand.end = (
        part_begin(n_rows, head.part, head.n_parts),
        part_begin(n_rows, head.part + 1, head.n_parts),
    )
    strand.query_row, strand.target_row = step * head.query_row, step * head.target_row
    strand.query = address_at(head.query, row * head.query_row)
    strand.target = address_at(head.target, row * head.target_row)
    strand.top, strand.inverse = address_at(head.top, row), address_at(head.inverse, row)
    if head.d_target:
        strand.d_query = address_at(head.d_query, row * head.query_row)
        strand.d_target = address_at(head.d_target, row * head.target_row)
    ahead = (row + offset - rest) // step
    _choose_keys(head, near, rest, step, head.first_key if is_global else max(head.first_key, n_global), head.end_key)
    near.left, near.right = head.left // step - ahead, head.right // step + ahead
    if is_global:
        near.left, near.right = UNBOUNDED, head.right + offset if head.right == 0 else UNBOUNDED
    _choose_keys(head, shared, 0, 1, head.first_key, 0 if is_global else min(n_global, head.end_key))
    shared.left = shared.right = UNBOUNDED


@kernel
def _choose_keys(head: Head, keys: Keys, origin: Int, step: Int, first: Int, end: Int):
    """Write the keys at the places from `first` to `end` that are `origin` or whole steps behind it."""
    keys.origin, keys.step, keys.begins = origin, step, False
    keys.first, keys.end = (first - origin + step - 1) // step, (end - origin + step - 1) // step
    keys.key_row, keys.value_row = step * head.key_row, step * head.value_row
    keys.key, keys.value = address_at(head.key, origin * head.key_row), address_at(head.value, origin * head.value_row)
    if head.d_target:
        keys.d_key = address_at(head.d_key, origin * head.key_row)
        keys.d_values = address_at(head.d_values, origin * head.value_row)


@kernel
def cut_blocks(strand: Strand, near: Keys, block: Block, lanes: Int):
    """Choose how many queries of a strand make a block, and which of them begin and end to see keys together.

    Where a window ends on both sides, two strips of queries make a block, each as wide as the widest tile of a product,
    about: of the keys at either end a strip computes half its width for nothing.
    """
    block.height, block.strip, block.ring = QUERIES, 0, _HELD
    if near.left + near.right < UNBOUNDED:
        tile = _WIDEST * lanes
        block.strip = min(_EDGE, _EDGE // tile * tile if tile <= _EDGE else tile)
        block.height = 2 * block.strip
        # The fewer, the nearer they stay.
        block.ring = min(_HELD, _round_up(near.left + near.right + block.height, KEYS))
        # Parts of the queries are cut between blocks, so that no bit depends on how many parts there are.
        strand.begin = _round_up(strand.begin, block.height)
        strand.end = min(strand.n_rows, _round_up(strand.end, block.height))


@kernel
def _round_up(n: Int, step: Int) -> Int:
    """Give the next whole number of steps."""
    return (n + step - 1) // step * step


@kernel
def next_keys(keys: Keys, block: Block, k: Int, stop: Int, lanes: Int) -> Int:
    """Give how many keys from `k` on are met together, and say which columns see some of them, in whole vectors.

    Keys that all queries see come in large blocks. Where a window begins or ends they come in small ones.
    """
    if keys.step > 1:
        stop = min(stop, _round_up(k + 1, block.ring))
    if block.strip:
        return _next_of_band(keys, block, k, stop)
    first, n_queries = block.first, block.n_queries
    whole = first + keys.right
    is_edge = k < first + n_queries - 1 - keys.left or k >= whole
    n = min(stop - k, _EDGE if is_edge else min(KEYS, whole - k))
    block.begin = max(0, k - keys.right - first) // lanes * lanes
    block.end = min(block.width, (k + n - first + keys.left + lanes - 1) // lanes * lanes)
    return n


@kernel
def _next_of_band(keys: Keys, block: Block, k: Int, stop: Int) -> Int:
    """Do the same where strips of queries begin and end to see keys: until the next one does, or KEYS are reached."""
    strip = block.strip
    # The first query that sees the first of these keys, and the one behind the last.
    since, until = k - keys.right - block.first, k - block.first + keys.left + 1
    block.begin = max(0, since) // strip * strip
    block.end = min(block.width, _round_up(until, strip))
    n = min(stop - k, min(KEYS, block.begin + strip - since))
    return n if block.end == block.width else min(n, block.end - until + 1)


@kernel
def bring_queries(head: Head, strand: Strand, block: Block):
    """Say where the rows of a block of queries are, and those of what they learn from: together, if they lay apart.

    Rows of a strand that lie a power of two apart would share few places of the first-level cache.
    """
    first, n, d_head, d_value = block.first, block.n_queries, head.d_head, head.d_value
    block.query, block.query_row = address_at(strand.query, first * strand.query_row), strand.query_row
    block.d_rows, block.d_row = address_at(strand.d_target, first * strand.target_row), strand.target_row
    if strand.step > 1:
        room = address_at(block.query_room, n * d_head)
        invoke_gather(head.gathers, block.query, block.query_row, n, d_head, block.query_room)
        invoke_gather(head.gathers, block.d_rows, block.d_row, n, d_value, room)
        block.query, block.query_row, block.d_rows, block.d_row = block.query_room, d_head, room, d_value


@kernel
def bring_keys(head: Head, keys: Keys, block: Block, k: Int, n: Int):
    """Say where the rows of `n` keys from `k` on are, and of their values: together, if they lay apart.

    They lie in a ring, so that each is brought once while blocks of queries, and the keys that these see, move on.
    """
    block.key, block.key_row = address_at(keys.key, k * keys.key_row), keys.key_row
    block.value, block.value_row = address_at(keys.value, k * keys.value_row), keys.value_row
    place, ring = k % block.ring, block.ring
    if keys.step == 1 or place + n > ring:
        return
    d_head, d_value, room = head.d_head, head.d_value, address_at(block.key_room, _HELD * head.d_head)
    if block.held_of != keys.key or k < block.held_end - ring or k < block.held or k > block.held_end:
        block.held_of, block.held, block.held_end = keys.key, k, k
    begin, missing = block.held_end, k + n - block.held_end
    if missing > 0:
        key, value = address_at(keys.key, begin * keys.key_row), address_at(keys.value, begin * keys.value_row)
        key_place, value_place = begin % ring * d_head, begin % ring * d_value
        invoke_gather(head.gathers, key, keys.key_row, missing, d_head, address_at(block.key_room, key_place))
        invoke_gather(head.gathers, value, keys.value_row, missing, d_value, address_at(room, value_place))
        block.held_end = k + n
    block.key, block.key_row = address_at(block.key_room, place * d_head), d_head
    block.value, block.value_row = address_at(room, place * d_value), d_value


@kernel
def gather(address: Int, row: Int, n_rows: Int, width: Int, room: Int):
    """Copy rows to where they lie together."""
    rows, target = reals(address), reals(room)
    n_lines = (address_of(at(rows, width)) - address + LINE - 1) // LINE
    for r in range(n_rows):
        source, out = at(rows, r * row), at(target, r * width)
        # What is brought next lies behind these rows, and too far apart for the CPU to guess.
        prefetch(address_of(at(source, n_rows * row)), n_lines)
        for j in range(width):
            out[j] = source[j]
