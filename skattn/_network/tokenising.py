"""Tokens of a batch, made anew in every update where those of all sequences would take too much room."""

import numpy as np

from .._kernels import convolution, parallel
from .._kernels.convolution import Batch
from .stem import cut_pieces


def token_stages(stem, values, starts, lengths, firsts, counts, scaling, room, n_workers):
    """Write down how some updates make tokens.

    Parameters
    ----------
    stem : Stem
    values : ndarray of shape (n_rows, n_features)
    starts, lengths : int array of shape (n_sequences,)
        Of the sequences of all batches, one batch behind another.
    firsts, counts : int array of shape (n_updates,)
        Where each batch's sequences begin, and how many they are.
    scaling : pair of ndarray of shape (n_features,)
    room : callable (name, size) -> ndarray
    n_workers : int

    Returns
    -------
    stages : list of ndarray
    tokens : ndarray
        Where each update puts them.
    token_starts, n_tokens : int array of shape (n_sequences,)
        Of each sequence within its batch.
    alive : tuple
        What the stages point to.
    """
    n_tokens = stem.count_tokens(lengths)
    pieces, longest = cut_pieces(n_tokens, np.full(len(n_tokens), stem.stride))
    begins = np.cumsum(n_tokens) - n_tokens
    token_starts = begins - np.repeat(begins[firsts], counts)
    # Pieces stand in the order of their sequences.
    first_pieces = np.searchsorted(pieces[:, 0], firsts)
    n_pieces = np.diff(np.append(first_pieces, len(pieces)))
    tokens = room("tokens", int(np.add.reduceat(n_tokens, firsts).max()) * stem.width)
    arrays, numbers = stem.arguments(values, starts, lengths, scaling, longest, n_workers)
    arrays |= {"items": pieces, "out": tokens, "out_starts": token_starts}
    one = Batch.new(**{name: parallel.address(array) for name, array in arrays.items()}, **numbers)
    of_sequences, of_features = firsts * starts.itemsize, firsts * values.shape[1] * arrays["sample_mean"].itemsize
    measured = Batch.write(
        Batch.repeat(one, len(counts)),
        starts=parallel.address(starts) + of_sequences,
        lengths=parallel.address(lengths) + of_sequences,
        sample_mean=parallel.address(arrays["sample_mean"]) + of_features,
        sample_scale=parallel.address(arrays["sample_scale"]) + of_features,
    )
    made = Batch.write(
        Batch.repeat(one, len(counts)), items=parallel.address(pieces) + first_pieces * pieces.strides[0]
    )
    stages = [
        parallel.write_stages(kernel, stem.dtype.name, records, records.strides[0], len(counts), n_items, n_workers)
        for kernel, records, n_items in (
            (convolution.measure_item, measured, counts),
            (convolution.tokens_item, made, n_pieces),
        )
    ]
    return stages, tokens, token_starts, n_tokens, (arrays, measured, made)
