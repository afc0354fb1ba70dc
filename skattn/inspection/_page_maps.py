"""Maps of attention as a page holds them: averaged in blocks where they are long, and rounded to a few bits."""

from base64 import b64encode
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skattn.inspection.attention_blocks import block_size

FINE = 2**21
"""Weights of a page up to which each has 16 bits; those of larger pages have 8."""


def bits_of(n_weights: int) -> int:
    """Bits of each of so many weights."""
    return 16 if n_weights <= FINE else 8


def blocks_of_spans(spans: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """First step of each block of tokens, and the one after its last."""
    firsts = np.arange(0, len(spans), size)
    return np.stack([spans[firsts, 0], np.maximum.reduceat(spans[:, 1], firsts)], axis=1)


def rounded(weights: NDArray[Any], bits: int) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Tell weights as whole parts of the largest in their row.

    Parameters
    ----------
    weights : ndarray of shape (n_heads, n_rows, n_columns)
        None negative.
    bits : {8, 16}

    Returns
    -------
    codes : uint8 or uint16 array of the same shape
        A weight is ``code / (2**bits - 1)`` of the largest, which itself loses nothing. Only a weight of 0 has the
        code 0, so that what is hidden is told from what is small.
    largest : float32 array of shape (n_heads, n_rows)
    """
    most = 2**bits - 1
    largest = weights.max(axis=-1)
    shares = np.divide(weights, largest[..., np.newaxis], out=np.zeros_like(weights), where=weights > 0)
    codes = np.maximum(np.rint(shares * most), weights > 0)
    return codes.astype(f"<u{bits // 8}"), largest.astype("<f4")


def encoded(array: NDArray[Any]) -> str:
    """The bytes of an array as text."""
    return b64encode(np.ascontiguousarray(array)).decode("ascii")


def map_of(weights: NDArray[Any], bits: int) -> dict[str, Any]:
    """One layer's maps of one sequence, as the page reads them."""
    codes, largest = rounded(weights, bits)
    return {"heads": len(codes), "codes": encoded(codes), "largest": encoded(largest)}


def n_bytes(n_heads: int, lengths: list[int], most: int) -> tuple[int, int]:
    """Count the weights of maps, and the bytes that they take in a page.

    Parameters
    ----------
    n_heads : int
        Of all layers and networks together.
    lengths : list of int
        Tokens of each sequence.
    most : int
        Rows that a map has at most.
    """
    rows = [-(-length // block_size(length, most)) for length in lengths]
    n_weights = n_heads * sum(n * n for n in rows)
    return n_weights, 4 * (n_weights * bits_of(n_weights) // 8 + 4 * n_heads * sum(rows)) // 3
