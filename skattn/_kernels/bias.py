"""What is added to the scores of a block: by time, by an array of scores, or minus infinity by a mask.

These kernels, as those of a table of distances, are called by the addresses that a head has of them.
"""

from .head import LOG2_E, Block, Head, Keys, Strand
from .jit import Int, Real, Reals, kernel, octets, real, reals
from .matmul import transpose
from .simd import at
from .softmax import lowest


@kernel
def add_times(head: Head, strand: Strand, keys: Keys, block: Block, k: Int, n: Int):
    """Take off what each unit of time between a query and a key counts, in units of log2."""
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
def corner_of(strand: Strand, keys: Keys, block: Block, k: Int, row: Int, step: Int) -> Int:
    """Give where an array of all pairs has the first query of a block, and key `k`."""
    return (strand.row + block.first * strand.step) * row + (keys.origin + k * keys.step) * step


@kernel
def cover(head: Head, strand: Strand, keys: Keys, block: Block, k: Int, n: Int):
    """Add an array of scores, and hide what a mask hides, of which there is one at least."""
    if head.bias:
        _add_array(head, strand, keys, block, k, n)
    if head.mask:
        _hide(head, strand, keys, block, k, n)


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
def look_for_seen(head: Head, strand: Strand, keys: Keys, block: Block, k: Int, n: Int):
    """Say that the mask hides every key of a block from every query of it, unless one is found that is seen."""
    row, step = head.mask_row, head.mask_step
    corner = octets(head.mask + corner_of(strand, keys, block, k, row, step))
    row, step = row * strand.step, step * keys.step
    for q in range(block.n_queries):
        for key in range(n):
            if corner[q * row + key * step]:
                return
    block.hidden = 1
