"""From lengths to shares of a batch, and to parts of a long sequence: by the data alone.

So results do not depend on how many threads there are. Most batches are cut into shares of whole sequences; a sequence
that is long beside its batch is cut within, operation by operation, so that it uses every core.
"""

import numpy as np

from .._kernels.operation import GRANULE

# Rows that a share of a batch has at least, so that adding up gradients stays a small part of the work: steps, and
# tokens of a stem, each of which is as much work as many steps.
STEPS_A_SHARE, TOKENS_A_SHARE = 128, 32
MOST_SHARES = 64
# A sequence is cut within if it is this long and this large a part of its batch's work.
LONG_STEPS = 1024
_LONG_PART = 1 / 8
_STEPS_A_PART = 2 * GRANULE
_MOST_PARTS = 64


def work_of(lengths):
    """Give how much work sequences are: what grows with their steps, and with the square of them."""
    return lengths * (lengths + 512.0)


def part_long_ones(lengths):
    """Give the numbers of the sequences that are taken whole, and of those that are cut within."""
    if lengths.max() < LONG_STEPS:
        return np.arange(len(lengths), dtype=np.int64), ()
    work = work_of(lengths)
    is_cut = (lengths >= LONG_STEPS) & (work >= _LONG_PART * work.sum())
    return np.flatnonzero(~is_cut), np.flatnonzero(is_cut)


def count_parts(length):
    """Give how many parts a long sequence is cut into."""
    return int(min(_MOST_PARTS, -(-length // _STEPS_A_PART)))


def cut(lengths, least, most):
    """Cut sequences in a row into shares of about equal work, a power of two of them: where each begins, and the end.

    A share has `least` rows or more, if there are as many, and there are `most` of them or fewer.
    """
    if len(lengths) <= 1:
        return np.array([0, len(lengths)], np.int64)
    wanted = max(1, min(most, int(lengths.sum()) // least, len(lengths)))
    return cut_evenly(work_of(lengths), 1 << (wanted.bit_length() - 1))


def cut_evenly(work, n_shares):
    """Cut items in a row into shares of about equal work: where each begins, and the end, shape (n_shares + 1,)."""
    ends = np.cumsum(work)
    marks = np.arange(1, n_shares) * (ends[-1] / n_shares)
    # An item is of the share that its middle lies in.
    return np.concatenate([[0], np.searchsorted(ends - work / 2, marks), [len(work)]]).astype(np.int64)


def cut_all(lengths, firsts, counts, least, most):
    """Cut several batches at once, each as `cut` does.

    Parameters
    ----------
    lengths : int array of shape (n_sequences,)
        Of the sequences of all batches, one batch behind another.
    firsts, counts : int array of shape (n_batches,)
        Where each batch begins, and its sequences.
    least, most : int

    Returns
    -------
    bounds : int array
        Of each batch where its shares begin, among all sequences, and the end.
    places, n_shares : int array of shape (n_batches,)
        Where each batch's bounds begin, and how many shares it has.
    """
    work = work_of(lengths)
    ends = np.cumsum(work)
    begins = ends[firsts] - work[firsts]
    wanted = np.clip(np.add.reduceat(lengths, firsts) // least, 1, np.minimum(most, counts))
    n_shares = 1 << (np.frexp(wanted.astype(float))[1] - 1).astype(np.int64)
    places = np.cumsum(n_shares + 1) - (n_shares + 1)
    # Sums of whole numbers are exact, and so are their parts by powers of two: each batch is cut as it would be alone.
    share = (ends[firsts + counts - 1] - begins) / n_shares
    batch = np.repeat(np.arange(len(counts)), n_shares + 1)
    number = np.arange(len(batch)) - places[batch]
    bounds = np.searchsorted(ends - work / 2, begins[batch] + number * share[batch])
    bounds[places], bounds[places + n_shares] = firsts, firsts + counts
    return bounds.astype(np.int64), places, n_shares
