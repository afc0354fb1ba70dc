"""Attention on plain arrays: one head of one sample an item, its queries cut into parts.

What is done to a head is said by the address of a kernel: to all keys that a query sees, or to the best of them.
"""

from .ahead import N_AHEAD, begin_list, enlist
from .head import Head
from .invoke import invoke_head
from .jit import Int, Ints, address_at, address_of, doubles, ints, kernel, reals
from .linear_attention import learn_keys, learn_queries, n_key_pieces, n_query_pieces, read_pieces, sum_pieces
from .operation import part_begin
from .record import Record
from .simd import at

Array = Record("address", "sample", "head", "row")
"""Where an array begins, and how many numbers lie between samples, heads and steps."""

N_ARRAY = len(Array)
QUERY, KEY, VALUE, OUTPUT, D_QUERY, D_KEY, D_VALUE, D_OUTPUT, PAIRS, BIAS, MASK, N_ARRAYS = range(12)

Heads = Record(
    # What is done to a head: the address of a kernel that takes one.
    "attend",
    # An `Array` of each; lengths of each sample; what is kept of the softmax of each query.
    *("arrays", "query_lengths", "key_lengths", "top", "inverse", "best"),
    *("n_samples", "n_heads", "n_kv_heads", "n_queries", "n_keys", "d_head", "width"),
    # What a query sees: see `Head`; the place of the first query, unless the last one stands where the last key does.
    *("left", "right", "dilation", "n_global", "top_k", "offset", "at_end"),
    # Heads of an item, and how many parts they are cut into; numbers of a gradient of all queries.
    *("run", "n_parts", "part_size"),
    # Each worker's room, and its list of what to fetch ahead, so many lines at a time.
    *("scratch", "scratch_size", "ahead", "dose", "itemsize"),
    # What is added to scores of every sample, if anything: see `Head`; slopes and tables lie one head after another.
    *("times", "slopes", "table", "reach", "adds", "covers", "hides", "gathers"),
    # Linear attention in pieces: what those of each key/value head come to, and those of the queries of each head; how
    # many numbers lie between heads.
    *("sums", "sums_size", "d_sums", "d_sums_size"),
    # Entries between keys of an array of scores, of a mask, and of what is asked of all pairs.
    *("bias_step", "mask_step", "pairs_step"),
    doubles=("scale",),
)
"""What kernels of many heads are told."""


@kernel
def heads_forward_item(heads: Heads, item: Int, worker: Int):
    """Attend with a part of the queries of each of a run of heads."""
    n_parts, n_heads, head = heads.n_parts, heads.n_heads, _begin_head(heads, worker, Head())
    group, run = n_heads // heads.n_kv_heads, heads.run
    last, ahead = min((item // n_parts + 1) * run, heads.n_samples * n_heads), ints(head.ahead)
    for i in range(item // n_parts * run, last):
        number, sample = i % n_heads, i // n_heads
        begin_list(ahead, heads.dose)
        if i + 1 < last and heads.dose:
            wraps = number + 1 == n_heads
            _enlist_inputs(heads, ahead, sample + wraps, 0 if wraps else number + 1, group)
        _choose_head(heads, head, sample, number)
        head.part, head.n_parts = item % n_parts, n_parts
        invoke_head(heads.attend, head)


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
        for number in range(shared * group, (shared + 1) * group):
            _choose_head(heads, head, sample, number)
            n_keys = head.end_key
            head.first_key, head.end_key = part_begin(n_keys, part, n_parts), part_begin(n_keys, part + 1, n_parts)
            head.begins = number == shared * group
            d_query = at(reals(_begin(heads, D_QUERY, sample, number)), part * heads.part_size)
            head.d_query, head.d_target = address_of(d_query), _begin(heads, D_OUTPUT, sample, number)
            head.d_key, head.d_values = _begin(heads, D_KEY, sample, shared), _begin(heads, D_VALUE, sample, shared)
            invoke_head(heads.attend, head)


@kernel
def heads_weights_item(heads: Heads, item: Int, worker: Int):
    """Give the weights of one head from what was kept of it; of what a query does not see they are left as they are."""
    number, sample, head = item % heads.n_heads, item // heads.n_heads, _begin_head(heads, worker, Head())
    begin_list(ints(head.ahead), 0)
    _choose_head(heads, head, sample, number)
    _choose_pairs(heads, head, sample, number)
    invoke_head(heads.attend, head)


@kernel
def heads_bias_item(heads: Heads, item: Int, worker: Int):
    """Give the gradient of a part of the rows of one matrix that was added to scores, of all heads that it serves.

    They are added up one head after another, whoever takes which item.
    """
    pairs, head = _array(heads, PAIRS), _begin_head(heads, worker, Head())
    n_parts, matrix = heads.n_parts, item // heads.n_parts
    n_matrices = heads.n_heads if pairs.head else 1
    begin_list(ints(head.ahead), 0)
    for sample in range(heads.n_samples):
        for number in range(heads.n_heads):
            if pairs.sample and sample != matrix // n_matrices or pairs.head and number != matrix % n_matrices:
                continue
            _choose_head(heads, head, sample, number)
            _choose_pairs(heads, head, sample, number)
            head.part, head.n_parts = item % n_parts, n_parts
            head.d_target = _begin(heads, D_OUTPUT, sample, number)
            # Gradients of scores alone are asked for.
            head.d_query = head.d_key = head.d_values = head.d_target
            invoke_head(heads.attend, head)


@kernel
def sums_item(heads: Heads, item: Int, worker: Int):
    """Sum up a part of the pieces of one key/value head, for linear attention."""
    n_parts, head = heads.n_parts, _begin_linear(heads, worker, Head())
    part, shared = item % n_parts, item // n_parts % heads.n_kv_heads
    sample = item // n_parts // heads.n_kv_heads
    _choose_head(heads, head, sample, shared * (heads.n_heads // heads.n_kv_heads))
    n = n_key_pieces(head)
    sum_pieces(head, _sums(heads, sample, shared), part * n // n_parts, (part + 1) * n // n_parts)


@kernel
def reads_item(heads: Heads, item: Int, worker: Int):
    """Attend linearly from a part of the pieces of one head, whose keys were summed up."""
    n_parts, head = heads.n_parts, _begin_linear(heads, worker, Head())
    part, number, sample = item % n_parts, item // n_parts % heads.n_heads, item // n_parts // heads.n_heads
    _choose_head(heads, head, sample, number)
    n, sums = n_query_pieces(head), _sums(heads, sample, number // (heads.n_heads // heads.n_kv_heads))
    read_pieces(head, sums, part * n // n_parts, (part + 1) * n // n_parts)


@kernel
def queries_backward_item(heads: Heads, item: Int, worker: Int):
    """Give the gradient of a part of the pieces of the queries of one head, and what keys learn from these."""
    n_parts, head = heads.n_parts, _begin_linear(heads, worker, Head())
    part, number, sample = item % n_parts, item // n_parts % heads.n_heads, item // n_parts // heads.n_heads
    _choose_head(heads, head, sample, number)
    head.d_query, head.d_target = _begin(heads, D_QUERY, sample, number), _begin(heads, D_OUTPUT, sample, number)
    n, sums = n_query_pieces(head), _sums(heads, sample, number // (heads.n_heads // heads.n_kv_heads))
    learn_queries(head, sums, _d_sums(heads, sample, number), part * n // n_parts, (part + 1) * n // n_parts)


@kernel
def keys_backward_item(heads: Heads, item: Int, worker: Int):
    """Give the gradients of a part of the pieces of one key/value head, from what queries have come to."""
    n_parts, group, head = heads.n_parts, heads.n_heads // heads.n_kv_heads, _begin_linear(heads, worker, Head())
    part, shared = item % n_parts, item // n_parts % heads.n_kv_heads
    sample = item // n_parts // heads.n_kv_heads
    for number in range(shared * group, (shared + 1) * group):
        _choose_head(heads, head, sample, number)
        head.begins, head.d_target = number == shared * group, _begin(heads, D_OUTPUT, sample, number)
        head.d_key, head.d_values = _begin(heads, D_KEY, sample, shared), _begin(heads, D_VALUE, sample, shared)
        n = n_key_pieces(head)
        learn_keys(head, _d_sums(heads, sample, number), part * n // n_parts, (part + 1) * n // n_parts)


@kernel
def _begin_linear(heads: Heads, worker: Int, head: Head) -> Head:
    """Write what all heads have alike, none of which is fetched ahead."""
    _begin_head(heads, worker, head)
    begin_list(ints(head.ahead), 0)
    return head


@kernel
def _sums(heads: Heads, sample: Int, shared: Int) -> Int:
    """Give where what the pieces of a key/value head come to lies."""
    return address_of(at(reals(heads.sums), (sample * heads.n_kv_heads + shared) * heads.sums_size))


@kernel
def _d_sums(heads: Heads, sample: Int, number: Int) -> Int:
    """Give where what the pieces of the queries of a head come to lies."""
    return address_of(at(reals(heads.d_sums), (sample * heads.n_heads + number) * heads.d_sums_size))


@kernel
def _begin_head(heads: Heads, worker: Int, head: Head) -> Head:
    """Write what all heads have alike, for one worker."""
    head.query_row, head.key_row = _array(heads, QUERY).row, _array(heads, KEY).row
    head.value_row, head.target_row = _array(heads, VALUE).row, _array(heads, OUTPUT).row
    head.left, head.right, head.dilation, head.n_global = heads.left, heads.right, heads.dilation, heads.n_global
    head.d_head, head.d_value, head.top_k, head.part, head.n_parts = heads.d_head, heads.width, heads.top_k, 0, 1
    head.scratch = address_at(heads.scratch, worker * heads.scratch_size)
    head.ahead = address_of(at(ints(heads.ahead), worker * N_AHEAD))
    head.scale, head.times, head.reach, head.table, head.d_table = heads.scale, heads.times, heads.reach, 0, 0
    head.bias_row, head.mask_row = _array(heads, BIAS).row, _array(heads, MASK).row
    head.bias_step, head.mask_step, head.bias, head.mask, head.best = heads.bias_step, heads.mask_step, 0, 0, 0
    head.d_query = head.d_key = head.d_values = head.d_target = head.begins = 0
    head.adds, head.covers, head.hides, head.gathers = heads.adds, heads.covers, heads.hides, heads.gathers
    return head


@kernel
def _choose_head(heads: Heads, head: Head, sample: Int, number: Int):
    """Write where the arrays of one head of one sample are."""
    shared, n_queries, n_keys = (
        number // (heads.n_heads // heads.n_kv_heads),
        ints(heads.query_lengths)[sample],
        ints(heads.key_lengths)[sample],
    )
    head.query, head.target = _begin(heads, QUERY, sample, number), _begin(heads, OUTPUT, sample, number)
    head.key, head.value = _begin(heads, KEY, sample, shared), _begin(heads, VALUE, sample, shared)
    head.n_queries, head.first_key, head.end_key = n_queries, 0, n_keys
    head.offset = n_keys - n_queries if heads.at_end else heads.offset
    kept = (sample * heads.n_heads + number) * heads.n_queries
    head.top, head.inverse = address_at(heads.top, kept), address_at(heads.inverse, kept)
    if heads.best:
        head.best = address_at(heads.best, 2 * heads.top_k * kept)
    if heads.times:
        head.slope = doubles(heads.slopes)[number]
    if heads.table:
        head.table = address_at(heads.table, number * (2 * heads.reach + 1))
    if _array(heads, BIAS).address:
        head.bias = _begin(heads, BIAS, sample, number)
    mask = _array(heads, MASK)
    if mask.address:
        head.mask = mask.address + sample * mask.sample + number * mask.head


@kernel
def _choose_pairs(heads: Heads, head: Head, sample: Int, number: Int):
    """Write where what is asked of all pairs of a head goes."""
    head.out, head.out_row = _begin(heads, PAIRS, sample, number), _array(heads, PAIRS).row
    head.out_step = heads.pairs_step


@kernel
def _array(heads: Heads, entry: Int) -> Array:
    """Give one of the arrays."""
    return Array(at(ints(heads.arrays), entry * N_ARRAY))


@kernel
def _begin(heads: Heads, entry: Int, sample: Int, number: Int) -> Int:
    """Give the address where one head of one sample of an array begins."""
    array = _array(heads, entry)
    return address_at(array.address, sample * array.sample + number * array.head)


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
