"""What is added to the scores of a block: by distance, by an array of scores, or minus infinity by a mask."""

from .head import LOG2_E, QUERIES, Block, Head, Keys, Strand
from .jit import Int, Real, Reals, kernel, octets, real, reals
from .matmul import transpose
from .simd import at
from .softmax import lowest

_MOST_DISTANCES = 3 * QUERIES


@kernel
def add_bias(head: Head, strand: Strand, keys: Keys, block: Block, k: Int, n: Int):
    """Add what counts besides queries and keys to the scores of `n` keys from `k` on, in units of log2."""
    if head.times:
        _add_times(head, strand, keys, block, k, n)
    if head.table:
        _add_distances(head, strand, keys, block, k, n)
    if head.bias:
        _add_array(head, strand, keys, block, k, n)
    if head.mask:
        _hide(head, strand, keys, block, k, n)


@kernel
def _add_times(head: Head, strand: Strand, keys: Keys, block: Block, k: Int, n: Int):
    """Take off what each unit of time between a query and a key counts."""
    times, slope, scores, width = reals(head.times), real(head.slope) * real(LOG2_E), reals(block.scores), block.width
    step, n_queries = strand.step, block.n_queries
    of_queries = at(times, strand.origin + block.first * step)
    for key in range(n):
        row, time = at(scores, key * width), times[keys.origin + (k + key) * keys.step]
        if step == 1:
            for q in range(n_queries):
                row[q] -= slope * abs(of_queries[q] - time)
        else:
            for q in range(n_queries):
                row[q] -= slope * abs(of_queries[q * step] - time)


@kernel
def _run(strand: Strand, keys: Keys, n: Int) -> Int:
    """Give how many keys at a time share the distances of their queries: all where these lie equally far apart."""
    return n if strand.step == keys.step else 1


@kernel
def _nearest(strand: Strand, keys: Keys, block: Block, last: Int) -> Int:
    """Give the distance from a key to the first query of the block."""
    return strand.origin + block.first * strand.step - keys.origin - last * keys.step


@kernel
def _add_distances(head: Head, strand: Strand, keys: Keys, block: Block, k: Int, n: Int):
    """Add what the table says of distances."""
    table, reach, width, step = at(reals(head.table), head.reach), head.reach, block.width, strand.step
    scores, biases, run = reals(block.scores), reals(block.biases), _run(strand, keys, n)
    for begin in range(0, n, run):
        distance = _nearest(strand, keys, block, k + begin + run - 1)
        for i in range(run + width - 1):
            biases[i] = table[min(max(distance + i * step, -reach), reach)] * real(LOG2_E)
        for key in range(run):
            row, of_key = at(scores, (begin + key) * width), at(biases, run - 1 - key)
            for q in range(width):
                row[q] += of_key[q]


@kernel
def learn_distances(head: Head, strand: Strand, keys: Keys, block: Block, k: Int, n: Int):
    """Add the gradients of a block of scores, which are of those before scaling, to those of the distances."""
    table, reach, width, step, n_queries = (
        at(reals(head.d_table), head.reach),
        head.reach,
        block.width,
        strand.step,
        block.n_queries,
    )
    d_scores, d_biases, run = reals(block.d_scores), at(reals(block.biases), _MOST_DISTANCES), _run(strand, keys, n)
    unscaled = real(1) / real(head.scale)
    for begin in range(0, n, run):
        for i in range(run + n_queries - 1):
            d_biases[i] = real(0)
        for key in range(run):
            row, of_key = at(d_scores, (begin + key) * width), at(d_biases, run - 1 - key)
            for q in range(block.begin, min(block.end, n_queries)):
                of_key[q] += row[q]
        distance = _nearest(strand, keys, block, k + begin + run - 1)
        for i in range(run + n_queries - 1):
            table[min(max(distance + i * step, -reach), reach)] += d_biases[i] * unscaled


@kernel
def corner_of(strand: Strand, keys: Keys, block: Block, k: Int, row: Int, step: Int) -> Int:
    """Give where an array of all pairs has the first query of a block, and key `k`."""
    return (strand.row + block.first * strand.step) * row + (keys.origin + k * keys.step) * step


@kernel
def _add_array(head: Head, strand: Strand, keys: Keys, block: Block, k: Int, n: Int):
    """Add an array of scores. The room of their gradients is free as yet, to turn a block of it into."""
    row, step, width, n_queries = head.bias_row, head.bias_step, block.width, block.n_queries
    scores, turned = reals(block.scores), reals(block.d_scores)
    corner = at(reals(head.bias), corner_of(strand, keys, block, k, row, step))
    row, step = row * strand.step, step * keys.step
    if step == 1:
        transpose(corner, row, n_queries, n, turned, width, width, real(LOG2_E))
    else:
        _turn(corner, row, step, n_queries, n, turned, width, real(LOG2_E))
    for i in range(n * width):
        scores[i] += turned[i]


@kernel
def _turn(a: Reals, a_row: Int, a_step: Int, n_rows: Int, n_columns: Int, b: Reals, b_row: Int, scale: Real):
    """Compute ``B[c, r] = scale * A[r, c]`` where the columns of A lie apart."""
    for c in range(n_columns):
        for r in range(b_row):
            b[c * b_row + r] = scale * a[r * a_row + c * a_step] if r < n_rows else real(0)


@kernel
def _hide(head: Head, strand: Strand, keys: Keys, block: Block, k: Int, n: Int):
    """Set the scores that a mask hides to the lowest there is."""
    row, step, width, scores = head.mask_row, head.mask_step, block.width, reals(block.scores)
    corner = octets(head.mask + corner_of(strand, keys, block, k, row, step))
    row, step, hidden = row * strand.step, step * keys.step, lowest(scores)
    for q in range(block.n_queries):
        for key in range(n):
            if corner[q * row + key * step] == 0:
                scores[key * width + q] = hidden


@kernel
def is_hidden(head: Head, strand: Strand, keys: Keys, block: Block, k: Int, n: Int) -> Int:
    """Tell whether a mask hides every key of a block from every query of it."""
    if head.mask == 0:
        return 0
    row, step = head.mask_row, head.mask_step
    corner = octets(head.mask + corner_of(strand, keys, block, k, row, step))
    row, step = row * strand.step, step * keys.step
    for q in range(block.n_queries):
        for key in range(n):
            if corner[q * row + key * step]:
                return 0
    return 1
