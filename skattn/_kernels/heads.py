"""Attention on plain arrays: one head of one sample an item, its queries cut into parts."""

from .ahead import N_AHEAD, begin_list, enlist
from .attention import KEYS, LOG2_E, QUERIES, attend_backward, attend_forward
from .jit import Int, Ints, Real, Reals, ints, kernel, real, reals
from .matmul import matmul, transpose
from .simd import at, lanes_of
from .softmax import mask_columns, recall_masked

# Of each array its address, then how many numbers lie between samples, heads and steps.
QUERY, KEY, VALUE, OUTPUT, D_QUERY, D_KEY, D_VALUE, D_OUTPUT, WEIGHTS = range(0, 36, 4)
(
    QUERY_LENGTHS, KEY_LENGTHS, TOP, INVERSE, N_HEADS, N_KV_HEADS, N_QUERIES, D_HEAD, WIDTH, LEFT, RIGHT, N_PARTS,
    SCRATCH, SCRATCH_SIZE, SCALE, RUN, N_SAMPLES, N_KEYS, PART_SIZE, AHEAD, ITEMSIZE, DOSE,
    N_ARGUMENTS,
) = range(36, 59)  # fmt: skip


@kernel
def heads_forward_item(arguments: Ints, item: Int, worker: Int):
    """Attend with a part of the queries of each of a run of heads."""
    n_parts, n_heads = arguments[N_PARTS], arguments[N_HEADS]
    group, part, run = n_heads // arguments[N_KV_HEADS], item % n_parts, arguments[RUN]
    last = min((item // n_parts + 1) * run, arguments[N_SAMPLES] * n_heads)
    ahead = _ahead(arguments, worker)
    for i in range(item // n_parts * run, last):
        head, sample = i % n_heads, i // n_heads
        shared = head // group
        begin_list(ahead, arguments[DOSE])
        if i + 1 < last and arguments[DOSE]:
            wraps = head + 1 == n_heads
            _enlist_inputs(arguments, ahead, sample + wraps, 0 if wraps else head + 1, group)
        n_queries = ints(arguments[QUERY_LENGTHS])[sample]
        attend_forward(
            _begin(arguments, QUERY, sample, head), arguments[QUERY + 3],
            _begin(arguments, KEY, sample, shared), arguments[KEY + 3],
            _begin(arguments, VALUE, sample, shared), arguments[VALUE + 3],
            _begin(arguments, OUTPUT, sample, head), arguments[OUTPUT + 3],
            _kept(arguments, TOP, sample, head), _kept(arguments, INVERSE, sample, head),
            _part_begin(n_queries, part, n_parts), _part_begin(n_queries, part + 1, n_parts),
            ints(arguments[KEY_LENGTHS])[sample], arguments[D_HEAD], arguments[WIDTH],
            arguments[LEFT], arguments[RIGHT], _scale(arguments), _scratch(arguments, worker), ahead,
        )  # fmt: skip


@kernel
def heads_backward_item(arguments: Ints, item: Int, worker: Int):
    """Give the gradients of a part of the keys of each of a run of key/value heads, and of the queries that share them.

    Each part of the keys has a gradient of the queries of its own; the caller adds them up.
    """
    n_heads, n_kv_heads, run = arguments[N_HEADS], arguments[N_KV_HEADS], arguments[RUN]
    group, n_parts, part = n_heads // n_kv_heads, arguments[N_PARTS], item % arguments[N_PARTS]
    last = min((item // n_parts + 1) * run, arguments[N_SAMPLES] * n_kv_heads)
    ahead = _ahead(arguments, worker)
    for i in range(item // n_parts * run, last):
        shared, sample = i % n_kv_heads, i // n_kv_heads
        begin_list(ahead, arguments[DOSE])
        if i + 1 < last and group == 1 and arguments[DOSE]:
            wraps = shared + 1 == n_heads
            _enlist_inputs(arguments, ahead, sample + wraps, 0 if wraps else shared + 1, group)
            _enlist_gradients(arguments, ahead, sample + wraps, 0 if wraps else shared + 1)
        n_queries, n_keys = ints(arguments[QUERY_LENGTHS])[sample], ints(arguments[KEY_LENGTHS])[sample]
        begin, end = _part_begin(n_keys, part, n_parts), _part_begin(n_keys, part + 1, n_parts)
        for head in range(shared * group, (shared + 1) * group):
            attend_backward(
                _begin(arguments, QUERY, sample, head), arguments[QUERY + 3],
                _begin(arguments, KEY, sample, shared), arguments[KEY + 3],
                _begin(arguments, VALUE, sample, shared), arguments[VALUE + 3],
                _begin(arguments, OUTPUT, sample, head), arguments[OUTPUT + 3],
                _kept(arguments, TOP, sample, head), _kept(arguments, INVERSE, sample, head),
                0, n_queries, begin, end,
                arguments[D_HEAD], arguments[WIDTH], arguments[LEFT], arguments[RIGHT], _scale(arguments),
                at(_begin(arguments, D_QUERY, sample, head), part * arguments[PART_SIZE]),
                _begin(arguments, D_KEY, sample, shared),
                _begin(arguments, D_VALUE, sample, shared), _begin(arguments, D_OUTPUT, sample, head),
                head == shared * group, _scratch(arguments, worker), ahead,
            )  # fmt: skip


@kernel
def heads_weights_item(arguments: Ints, item: Int, worker: Int):
    """Give the weights of one head from the kept maxima and sums; outside the bounds they are left as they are."""
    n_heads = arguments[N_HEADS]
    head, sample = item % n_heads, item // n_heads
    shared = head // (n_heads // arguments[N_KV_HEADS])
    query, query_row = _begin(arguments, QUERY, sample, head), arguments[QUERY + 3]
    key, key_row = _begin(arguments, KEY, sample, shared), arguments[KEY + 3]
    weights, weights_row = _begin(arguments, WEIGHTS, sample, head), arguments[WEIGHTS + 3]
    top, inverse = _kept(arguments, TOP, sample, head), _kept(arguments, INVERSE, sample, head)
    left, right, d_head = arguments[LEFT], arguments[RIGHT], arguments[D_HEAD]
    turned = _scratch(arguments, worker)
    scores = at(turned, QUERIES * d_head)
    unused = at(scores, QUERIES * KEYS)
    highest = at(unused, QUERIES * KEYS)
    share = at(highest, QUERIES)
    n_queries, n_keys = ints(arguments[QUERY_LENGTHS])[sample], ints(arguments[KEY_LENGTHS])[sample]
    lanes = lanes_of(query)
    for i in range(QUERIES * KEYS):
        unused[i] = real(0)
    for first in range(0, n_queries, QUERIES):
        n = min(n_queries - first, QUERIES)
        width = (n + lanes - 1) // lanes * lanes
        scale = _scale(arguments) * real(LOG2_E)
        transpose(at(query, first * query_row), query_row, n, d_head, turned, width, width, scale)
        for q in range(width):
            highest[q] = top[first + q] if q < n else real(0)
            share[q] = inverse[first + q] if q < n else real(0)
        for k in range(max(0, first - left), min(n_keys, first + n + right), KEYS):
            n_block = min(min(n_keys, first + n + right) - k, KEYS)
            matmul(at(key, k * key_row), key_row, 1, turned, width, scores, width, n_block, d_head, width, True)
            for q in range(0, width, lanes):
                mask_columns(at(scores, q), width, n_block, k, first + q, left, right)
                recall_masked(
                    at(scores, q),
                    at(unused, q),
                    width,
                    n_block,
                    at(highest, q),
                    at(share, q),
                    at(share, q),
                    real(0),
                )
            block = at(weights, first * weights_row + k)
            transpose(scores, width, n_block, n, block, weights_row, n_block, real(1))


@kernel
def _ahead(arguments: Ints, worker: Int) -> Ints:
    """Give a worker's list of what to fetch ahead."""
    return at(ints(arguments[AHEAD]), worker * N_AHEAD)


@kernel
def _enlist_inputs(arguments: Ints, ahead: Ints, sample: Int, head: Int, group: Int):
    """Put what the forward pass of a head reads and writes on the list."""
    _enlist(arguments, ahead, QUERY, N_QUERIES, sample, head)
    _enlist(arguments, ahead, OUTPUT, N_QUERIES, sample, head)
    _enlist(arguments, ahead, KEY, N_KEYS, sample, head // group)
    _enlist(arguments, ahead, VALUE, N_KEYS, sample, head // group)


@kernel
def _enlist_gradients(arguments: Ints, ahead: Ints, sample: Int, head: Int):
    """Put the gradients of a head that shares nothing on the list."""
    _enlist(arguments, ahead, D_OUTPUT, N_QUERIES, sample, head)
    _enlist(arguments, ahead, D_QUERY, N_QUERIES, sample, head)
    _enlist(arguments, ahead, D_KEY, N_KEYS, sample, head)
    _enlist(arguments, ahead, D_VALUE, N_KEYS, sample, head)


@kernel
def _enlist(arguments: Ints, ahead: Ints, entry: Int, count: Int, sample: Int, head: Int):
    """Put one head of an array on the list."""
    start = sample * arguments[entry + 1] + head * arguments[entry + 2]
    itemsize = arguments[ITEMSIZE]
    enlist(ahead, arguments[entry] + start * itemsize, arguments[count] * arguments[entry + 3] * itemsize)


@kernel
def _begin(arguments: Ints, entry: Int, sample: Int, head: Int) -> Reals:
    """Give where one head of one sample of an array begins."""
    return at(reals(arguments[entry]), sample * arguments[entry + 1] + head * arguments[entry + 2])


@kernel
def _kept(arguments: Ints, entry: Int, sample: Int, head: Int) -> Reals:
    """Give what is kept of the softmax of one head of one sample."""
    return at(reals(arguments[entry]), (sample * arguments[N_HEADS] + head) * arguments[N_QUERIES])


@kernel
def _part_begin(n_steps: Int, part: Int, n_parts: Int) -> Int:
    """Give the first query, or key, of a part; parts begin where blocks of queries do."""
    if n_parts == 1:
        return n_steps * part
    blocks = (n_steps + QUERIES - 1) // QUERIES
    return min(part * blocks // n_parts * QUERIES, n_steps)


@kernel
def _scale(arguments: Ints) -> Real:
    """Give what scores are multiplied by."""
    return reals(arguments[SCALE])[0]


@kernel
def _scratch(arguments: Ints, worker: Int) -> Reals:
    """Give a worker's scratch."""
    return at(reals(arguments[SCRATCH]), worker * arguments[SCRATCH_SIZE])
