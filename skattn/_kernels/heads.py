"""Attention on plain arrays: one head of one sample an item, its queries cut into parts."""

from .ahead import N_AHEAD, begin_list, enlist
from .attention import KEYS, LOG2_E, QUERIES, Head, add_bias, attend_backward, attend_forward
from .jit import Int, Ints, address_of, doubles, ints, kernel, real, reals
from .matmul import matmul, transpose
from .record import Record
from .simd import at, lanes_of
from .softmax import mask_columns, recall_masked

Array = Record("address", "sample", "head", "row")
"""Where an array begins, and how many numbers lie between samples, heads and steps."""

N_ARRAY = len(Array)
QUERY, KEY, VALUE, OUTPUT, D_QUERY, D_KEY, D_VALUE, D_OUTPUT, WEIGHTS, N_ARRAYS = range(10)

Heads = Record(
    # An `Array` of each; lengths of each sample; what is kept of the softmax of each query.
    *("arrays", "query_lengths", "key_lengths", "top", "inverse"),
    *("n_samples", "n_heads", "n_kv_heads", "n_queries", "n_keys", "d_head", "width", "left", "right"),
    # Heads of an item, and how many parts they are cut into; numbers of a gradient of all queries.
    *("run", "n_parts", "part_size"),
    # Each worker's room, and its list of what to fetch ahead, so many lines at a time.
    *("scratch", "scratch_size", "ahead", "dose", "itemsize"),
    # What is added to scores of every sample, if anything: see `Head`; slopes and tables lie one head after another.
    *("times", "slopes", "table", "reach"),
    doubles=("scale",),
)
"""What kernels of many heads are told."""


@kernel
def heads_forward_item(heads: Heads, item: Int, worker: Int):
    """Attend with a part of the queries of each of a run of heads."""
    n_parts, n_heads, head = heads.n_parts, heads.n_heads, _begin_head(heads, worker, Head())
    group, part, run = n_heads // heads.n_kv_heads, item % n_parts, heads.run
    last, ahead = min((item // n_parts + 1) * run, heads.n_samples * n_heads), ints(head.ahead)
    for i in range(item // n_parts * run, last):
        number, sample = i % n_heads, i // n_heads
        begin_list(ahead, heads.dose)
        if i + 1 < last and heads.dose:
            wraps = number + 1 == n_heads
            _enlist_inputs(heads, ahead, sample + wraps, 0 if wraps else number + 1, group)
        _choose_head(heads, head, sample, number)
        n_queries = ints(heads.query_lengths)[sample]
        head.begin, head.end = _part_begin(n_queries, part, n_parts), _part_begin(n_queries, part + 1, n_parts)
        head.first_key, head.end_key = 0, ints(heads.key_lengths)[sample]
        attend_forward(head)


@kernel
def heads_backward_item(heads: Heads, item: Int, worker: Int):
    """Give the gradients of a part of the keys of each of a run of key/value heads, and of the queries that share them.

    Each part of the keys has a gradient of the queries of its own; the caller adds them up.
    """
    n_heads, n_kv_heads, run, head = heads.n_heads, heads.n_kv_heads, heads.run, _begin_head(heads, worker, Head())
    group, n_parts, part, ahead = n_heads // n_kv_heads, heads.n_parts, item % heads.n_parts, ints(head.ahead)
    last = min((item // n_parts + 1) * run, heads.n_samples * n_kv_heads)
    for i in range(item // n_parts * run, last):
        shared, sample = i % n_kv_heads, i // n_kv_heads
        begin_list(ahead, heads.dose)
        if i + 1 < last and group == 1 and heads.dose:
            wraps = shared + 1 == n_heads
            _enlist_inputs(heads, ahead, sample + wraps, 0 if wraps else shared + 1, group)
            _enlist_gradients(heads, ahead, sample + wraps, 0 if wraps else shared + 1)
        n_keys = ints(heads.key_lengths)[sample]
        head.begin, head.end = 0, ints(heads.query_lengths)[sample]
        head.first_key, head.end_key = _part_begin(n_keys, part, n_parts), _part_begin(n_keys, part + 1, n_parts)
        for number in range(shared * group, (shared + 1) * group):
            _choose_head(heads, head, sample, number)
            head.begins = number == shared * group
            d_query = at(reals(_begin(heads, D_QUERY, sample, number)), part * heads.part_size)
            head.d_query, head.d_target = address_of(d_query), _begin(heads, D_OUTPUT, sample, number)
            head.d_key, head.d_values = _begin(heads, D_KEY, sample, shared), _begin(heads, D_VALUE, sample, shared)
            attend_backward(head)


@kernel
def heads_weights_item(heads: Heads, item: Int, worker: Int):
    """Give the weights of one head from the kept maxima and sums; outside the bounds they are left as they are."""
    number, sample, head = item % heads.n_heads, item // heads.n_heads, _begin_head(heads, worker, Head())
    _choose_head(heads, head, sample, number)
    query, query_row, key, key_row = reals(head.query), head.query_row, reals(head.key), head.key_row
    weights, weights_row = reals(_begin(heads, WEIGHTS, sample, number)), _array(heads, WEIGHTS).row
    top, inverse, left, right, d_head = reals(head.top), reals(head.inverse), head.left, head.right, head.d_head
    turned = reals(head.scratch)
    scores = at(turned, QUERIES * d_head)
    unused = at(scores, QUERIES * KEYS)
    highest = at(unused, QUERIES * KEYS)
    inverses = at(highest, QUERIES)
    n_queries, n_keys = ints(heads.query_lengths)[sample], ints(heads.key_lengths)[sample]
    lanes, scale = lanes_of(query), real(head.scale) * real(LOG2_E)
    for i in range(QUERIES * KEYS):
        unused[i] = real(0)
    for first in range(0, n_queries, QUERIES):
        n = min(n_queries - first, QUERIES)
        width = (n + lanes - 1) // lanes * lanes
        transpose(at(query, first * query_row), query_row, n, d_head, turned, width, width, scale)
        for q in range(width):
            highest[q] = top[first + q] if q < n else real(0)
            inverses[q] = inverse[first + q] if q < n else real(0)
        for k in range(max(0, first - left), min(n_keys, first + n + right), KEYS):
            n_block = min(min(n_keys, first + n + right) - k, KEYS)
            matmul(at(key, k * key_row), key_row, 1, turned, width, scores, width, n_block, d_head, width, True)
            if heads.times or heads.table:
                add_bias(head, first, width, k, n_block, scores)
            for q in range(0, width, lanes):
                column, of_column = at(scores, q), at(inverses, q)
                mask_columns(column, width, n_block, k, first + q, left, right)
                recall_masked(column, at(unused, q), width, n_block, at(highest, q), of_column, of_column, real(0))
            block = at(weights, first * weights_row + k)
            transpose(scores, width, n_block, n, block, weights_row, n_block, real(1))


@kernel
def _begin_head(heads: Heads, worker: Int, head: Head) -> Head:
    """Write what all heads have alike, for one worker."""
    head.query_row, head.key_row = _array(heads, QUERY).row, _array(heads, KEY).row
    head.value_row, head.target_row = _array(heads, VALUE).row, _array(heads, OUTPUT).row
    head.left, head.right, head.d_head, head.d_value = heads.left, heads.right, heads.d_head, heads.width
    head.scratch = address_of(at(reals(heads.scratch), worker * heads.scratch_size))
    head.ahead = address_of(at(ints(heads.ahead), worker * N_AHEAD))
    head.scale, head.times, head.reach, head.table, head.d_table = heads.scale, heads.times, heads.reach, 0, 0
    return head


@kernel
def _choose_head(heads: Heads, head: Head, sample: Int, number: Int):
    """Write where the arrays of one head of one sample are."""
    shared = number // (heads.n_heads // heads.n_kv_heads)
    head.query, head.target = _begin(heads, QUERY, sample, number), _begin(heads, OUTPUT, sample, number)
    head.key, head.value = _begin(heads, KEY, sample, shared), _begin(heads, VALUE, sample, shared)
    kept = (sample * heads.n_heads + number) * heads.n_queries
    head.top, head.inverse = address_of(at(reals(heads.top), kept)), address_of(at(reals(heads.inverse), kept))
    if heads.times:
        head.slope = doubles(heads.slopes)[number]
    if heads.table:
        head.table = address_of(at(reals(heads.table), number * (2 * heads.reach + 1)))


@kernel
def _array(heads: Heads, entry: Int) -> Array:
    """Give one of the arrays."""
    return Array(at(ints(heads.arrays), entry * N_ARRAY))


@kernel
def _begin(heads: Heads, entry: Int, sample: Int, number: Int) -> Int:
    """Give the address where one head of one sample of an array begins."""
    array = _array(heads, entry)
    return address_of(at(reals(array.address), sample * array.sample + number * array.head))


@kernel
def _enlist_inputs(heads: Heads, ahead: Ints, sample: Int, number: Int, group: Int):
    """Put what the forward pass of a head reads and writes on the list."""
    _enlist(heads, ahead, QUERY, heads.n_queries, sample, number)
    _enlist(heads, ahead, OUTPUT, heads.n_queries, sample, number)
    _enlist(heads, ahead, KEY, heads.n_keys, sample, number // group)
    _enlist(heads, ahead, VALUE, heads.n_keys, sample, number // group)


@kernel
def _enlist_gradients(heads: Heads, ahead: Ints, sample: Int, number: Int):
    """Put the gradients of a head that shares nothing on the list."""
    _enlist(heads, ahead, D_OUTPUT, heads.n_queries, sample, number)
    _enlist(heads, ahead, D_QUERY, heads.n_queries, sample, number)
    _enlist(heads, ahead, D_KEY, heads.n_keys, sample, number)
    _enlist(heads, ahead, D_VALUE, heads.n_keys, sample, number)


@kernel
def _enlist(heads: Heads, ahead: Ints, entry: Int, n_rows: Int, sample: Int, number: Int):
    """Put one head of an array on the list."""
    enlist(ahead, _begin(heads, entry, sample, number), n_rows * _array(heads, entry).row * heads.itemsize)


@kernel
def _part_begin(n_steps: Int, part: Int, n_parts: Int) -> Int:
    """Give the first query, or key, of a part; parts begin where blocks of queries do."""
    if n_parts == 1:
        return n_steps * part
    blocks = (n_steps + QUERIES - 1) // QUERIES
    return min(part * blocks // n_parts * QUERIES, n_steps)
