"""What is asked of all pairs of a head: the weights, to look at, and the gradient of an array added to scores."""

from .attend import is_hidden, recall_keys, recall_queries, recall_sums, score_keys, turn_queries
from .bias import corner_of
from .head import KEYS, QUERIES, Block, Head, Keys, Strand, lay_out, tell_strand
from .jit import Int, kernel, real, reals
from .simd import at, lanes_of
from .softmax import mask_columns, recall_masked


@kernel
def head_weights(head: Head):
    """Give the weights of a head from the kept maxima and sums; where a query sees no key they are left as they are."""
    strand, near, shared, block = Strand(), Keys(), Keys(), Block()
    lay_out(head, block)
    for number in range(block.n_strands):
        tell_strand(head, block, number, strand, near, shared)
        for first in range(strand.begin, strand.end, QUERIES):
            turn_queries(head, strand, block, first)
            recall_sums(strand, block)
            _show_keys(head, strand, shared, block)
            _show_keys(head, strand, near, block)


@kernel
def _show_keys(head: Head, strand: Strand, keys: Keys, block: Block):
    """Write the weights of some keys for a block of queries."""
    first, width, scores, d_scores = block.first, block.width, reals(block.scores), reals(block.d_scores)
    highest, inverses, expected = reals(block.highest), reals(block.total), reals(block.expected)
    stop, lanes = min(keys.end, first + block.n_queries + keys.right), lanes_of(scores)
    for k in range(max(keys.first, first - keys.left), stop, KEYS):
        n = min(stop - k, KEYS)
        level = score_keys(head, strand, keys, block, k, n)
        for i in range(n * width):
            d_scores[i] = real(0)
        for q in range(0, width, lanes):
            column, d_column = at(scores, q), at(d_scores, q)
            mask_columns(column, width, n, k, first + q, keys.left, keys.right)
            recall_masked(column, d_column, width, n, level, at(highest, q), at(inverses, q), at(expected, q), real(0))
        row, step = strand.step * head.out_row, keys.step * head.out_step
        corner = at(reals(head.out), corner_of(strand, keys, block, k, head.out_row, head.out_step))
        for q in range(block.n_queries):
            for key in range(n):
                corner[q * row + key * step] = scores[key * width + q]


@kernel
def head_bias(head: Head):
    """Add the gradients of the scores of a head to those of an array that was added to them."""
    strand, near, shared, block = Strand(), Keys(), Keys(), Block()
    lay_out(head, block)
    for number in range(block.n_strands):
        tell_strand(head, block, number, strand, near, shared)
        for first in range(strand.begin, strand.end, QUERIES):
            turn_queries(head, strand, block, first)
            recall_queries(head, strand, block)
            _add_keys(head, strand, shared, block)
            _add_keys(head, strand, near, block)


@kernel
def _add_keys(head: Head, strand: Strand, keys: Keys, block: Block):
    """Add the gradients of the scores of some keys."""
    first = block.first
    stop = min(keys.end, first + block.n_queries + keys.right)
    for k in range(max(keys.first, first - keys.left), stop, KEYS):
        n = min(stop - k, KEYS)
        if not is_hidden(head, strand, keys, block, k, n):
            recall_keys(head, strand, keys, block, k, n, real(1))
            _add_block(head, strand, keys, block, k, n)


@kernel
def _add_block(head: Head, strand: Strand, keys: Keys, block: Block, k: Int, n: Int):
    """Add the gradients of a block of scores."""
    width, d_scores = block.width, reals(block.d_scores)
    row, step = strand.step * head.out_row, keys.step * head.out_step
    corner = at(reals(head.out), corner_of(strand, keys, block, k, head.out_row, head.out_step))
    for q in range(block.n_queries):
        for key in range(n):
            corner[q * row + key * step] += d_scores[key * width + q]
